/* Changing flags, copying, moving and expunging: walks over a mailbox's pages.
 *
 * All of it happens to decoded pages in memory; the pages that changed are written once, when the
 * transaction is flushed. What SQL there is (references, garbage, the log) comes last.
 */
#include "store/store_private.h"

/* ---- walking a set of UIDs ------------------------------------------------------------------- */

static const struct store_uid_range all_uids[] = {{{1}, {UINT32_MAX}}};

/* Calls `visit` for each page that may hold UIDs of a range, with the entries [from, to) in it. */
struct walk {
	struct tx *tx;
	struct staged *staged;
	struct status (*visit)(struct walk *walk, const struct chunk *page, uint32_t from,
	                       uint32_t to);
	void *context;
};

static uint32_t first_not_below(const struct chunk *chunk, uint32_t uid)
{
	uint32_t low = 0, high = chunk->n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (chunk->entries[middle].uid.v < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct status walk_range(struct walk *walk, struct store_uid_range range)
{
	uint32_t last_page = page_of_uid(range.last);
	for (uint32_t page_no = page_of_uid(range.first); page_no <= last_page; page_no++) {
		const struct chunk *page = tx_next_page(walk->staged, page_no);
		if (!page || page->page_no > last_page)
			break;
		page_no = page->page_no;
		uint32_t from = first_not_below(page, range.first.v);
		uint32_t to = range.last.v >= page_first_uid(page_no) + (PAGE_ENTRIES - 1)
		                      ? page->n
		                      : first_not_below(page, range.last.v + 1);
		if (from < to)
			TRY(walk->visit(walk, page, from, to));
	}
	return ok();
}

static struct status walk_uids(struct walk *walk, struct store_uids uids)
{
	for (size_t i = 0; i < uids.n; i++)
		TRY(walk_range(walk, uids.ranges[i]));
	return ok();
}

static struct status check_uids(struct store_uids uids)
{
	for (size_t i = 0; i < uids.n; i++) {
		struct store_uid_range range = uids.ranges[i];
		if (range.first.v == 0 || range.last.v < range.first.v ||
		    (i > 0 && range.first.v <= uids.ranges[i - 1].last.v))
			return fail(ERR_INVALID, "a set of UIDs is not ascending");
	}
	return ok();
}

/* Warms the mailbox up in the caller's thread, so that the transaction finds it in memory. */
static struct status warm_up(struct store *store, struct store_mailbox_id id,
                             struct store_uids uids, struct store_view **ret_view)
{
	TRY(check_uids(uids));
	return store_view_open(store, id, ret_view);
}

static void unref_view(struct store_view **view)
{
	store_view_unref(*view);
}

/* ---- a growing list of UIDs ------------------------------------------------------------------ */

struct uid_list {
	struct store_uid *uids;
	size_t n, capacity;
};

static void uid_list_add(struct uid_list *list, struct store_uid uid)
{
	if (list->n == list->capacity) {
		list->capacity = MAX(list->capacity * 2, (size_t)64);
		list->uids = base_realloc(list->uids, list->capacity * sizeof(list->uids[0]));
	}
	list->uids[list->n++] = uid;
}

static struct status uid_list_give(const struct uid_list *list, struct arena *arena,
                                   struct store_uid **ret_uids)
{
	struct store_uid *copy = ARENA_ARRAY(arena, list->n, struct store_uid);
	if (!copy)
		return fail(ERR_LIMIT, "no memory left for a list of UIDs");
	if (list->n > 0)
		memcpy(copy, list->uids, list->n * sizeof(copy[0]));
	*ret_uids = copy;
	return ok();
}

/* ---- flags ----------------------------------------------------------------------------------- */

struct flags_request {
	struct request request;
	struct store_mailbox_id mailbox;
	struct store_uids uids;
	enum store_flags_op op;
	uint64_t system_flags;
	const struct slice *keywords;
	size_t n_keywords;
	uint64_t unchanged_since;
	uint64_t bits; /* system flags and keywords */
	struct uid_list modified;
};

static uint64_t apply_flags(const struct flags_request *r, uint64_t flags)
{
	switch (r->op) {
	case STORE_FLAGS_ADD:
		return flags | r->bits;
	case STORE_FLAGS_REMOVE:
		return flags & ~r->bits;
	case STORE_FLAGS_REPLACE:
		return r->bits;
	}
	return flags;
}

static struct status flag_page(struct walk *walk, const struct chunk *page, uint32_t from,
                               uint32_t to)
{
	struct flags_request *r = walk->context;
	struct counts *counts = &walk->staged->now;
	struct chunk *own = NULL;
	for (uint32_t i = from; i < to; i++) {
		const struct store_entry *old = &page->entries[i];
		uint64_t was = old->flags, flags = apply_flags(r, was);
		if (old->modseq > r->unchanged_since) {
			uid_list_add(&r->modified, old->uid);
			continue;
		}
		if (flags == was)
			continue;
		if (!own)
			own = tx_write_page(walk->tx, walk->staged, page, 0);
		own->entries[i].flags = flags;
		own->entries[i].modseq = tx_modseq(walk->tx);
		counts->n_unseen +=
		        (uint32_t) !(flags & STORE_SEEN) - (uint32_t) !(was & STORE_SEEN);
		counts->n_deleted +=
		        (uint32_t) !!(flags & STORE_DELETED) - (uint32_t) !!(was & STORE_DELETED);
		counts->modseq = tx_modseq(walk->tx);
	}
	return ok();
}

static struct status keyword_bits(struct tx *tx, struct staged *staged,
                                  const struct flags_request *r, uint64_t *ret_bits)
{
	if (r->op != STORE_FLAGS_REMOVE)
		return tx_keywords(tx, staged, r->keywords, r->n_keywords, ret_bits);
	uint64_t bits = 0;
	for (size_t i = 0; i < r->n_keywords; i++) {
		int bit = keywords_find(staged->keywords, r->keywords[i]);
		bits |= bit < 0 ? 0 : UINT64_C(1) << bit;
	}
	*ret_bits = bits;
	return ok();
}

static struct status run_flags(struct tx *tx, struct request *request)
{
	struct flags_request *r = (struct flags_request *)request;
	struct walk walk = {.tx = tx, .visit = flag_page, .context = r};
	uint64_t bits = 0;
	r->modified.n = 0;
	TRY(tx_mailbox_whole(tx, r->mailbox, &walk.staged));
	TRY(keyword_bits(tx, walk.staged, r, &bits));
	r->bits = (r->system_flags & STORE_SYSTEM_FLAGS) | bits;
	return walk_uids(&walk, r->uids);
}

struct status store_flags_update(struct store *store, struct store_mailbox_id id,
                                 struct store_uids uids, enum store_flags_op op,
                                 uint64_t system_flags, const struct slice *keywords,
                                 size_t n_keywords, uint64_t unchanged_since, struct arena *arena,
                                 struct store_uid **ret_modified, size_t *ret_n_modified)
{
	CLEANUP(unref_view) struct store_view *view = NULL;
	struct flags_request r = {
	        .request.run = run_flags,
	        .mailbox = id,
	        .uids = uids,
	        .op = op,
	        .system_flags = system_flags,
	        .keywords = keywords,
	        .n_keywords = n_keywords,
	        .unchanged_since = unchanged_since,
	};
	TRY(warm_up(store, id, uids, &view));
	struct status status = writer_do(store, &r.request);
	if (is_ok(status))
		status = uid_list_give(&r.modified, arena, ret_modified);
	if (is_ok(status))
		*ret_n_modified = r.modified.n;
	base_free(r.modified.uids);
	return status;
}

/* ---- removing -------------------------------------------------------------------------------- */

struct removal {
	bool only_deleted;
	bool keep_messages; /* they went elsewhere */
	uint32_t before;    /* UIDs from here on stay: they came in this very change */
	struct uid_list uids;
	int64_t *messages;
	size_t capacity;
};

static void note_removed(struct removal *r, struct staged *staged, const struct store_entry *entry)
{
	if (r->uids.n == r->capacity) {
		r->capacity = MAX(r->capacity * 2, (size_t)64);
		r->messages = base_realloc(r->messages, r->capacity * sizeof(r->messages[0]));
	}
	r->messages[r->uids.n] = entry->message.v;
	uid_list_add(&r->uids, entry->uid);
	tx_count(staged, entry, false);
}

static struct status remove_from_page(struct walk *walk, const struct chunk *page, uint32_t from,
                                      uint32_t to)
{
	struct removal *r = walk->context;
	struct chunk *rest = NULL;
	for (uint32_t i = from; i < to; i++) {
		const struct store_entry *entry = &page->entries[i];
		if ((r->only_deleted && !(entry->flags & STORE_DELETED)) ||
		    entry->uid.v >= r->before) {
			if (rest)
				rest->entries[rest->n++] = *entry;
			continue;
		}
		if (!rest) {
			rest = chunk_new(page->page_no, page->n);
			memcpy(rest->entries, page->entries, i * sizeof(page->entries[0]));
			rest->n = i;
		}
		note_removed(r, walk->staged, entry);
	}
	if (!rest)
		return ok();
	memcpy(rest->entries + rest->n, page->entries + to,
	       (page->n - to) * sizeof(page->entries[0]));
	rest->n += page->n - to;
	uint32_t page_no = page->page_no; /* the page itself may go now */
	if (rest->n == 0) {
		chunk_unref(rest);
		rest = NULL;
	}
	tx_put_page(walk->tx, walk->staged, page_no, rest);
	return ok();
}

static void removal_done(struct removal *removal)
{
	base_free(removal->uids.uids);
	base_free(removal->messages);
}

/* Takes entries out of a mailbox, with all that follows from it. */
static struct status remove_entries(struct tx *tx, struct staged *staged, struct store_uids uids,
                                    struct removal *removal)
{
	struct walk walk = {
	        .tx = tx, .staged = staged, .visit = remove_from_page, .context = removal};
	TRY(walk_uids(&walk, uids));
	if (removal->uids.n == 0)
		return ok();
	staged->now.modseq = tx_modseq(tx);
	if (!removal->keep_messages)
		TRY(garbage_drop(tx, removal->messages, removal->uids.n));
	return expunged_add(tx, staged->mailbox->id, removal->uids.uids, removal->uids.n);
}

struct expunge_request {
	struct request request;
	struct store_mailbox_id mailbox;
	struct store_uids uids;
	bool only_deleted;
	size_t n;
};

static struct status run_expunge(struct tx *tx, struct request *request)
{
	struct expunge_request *r = (struct expunge_request *)request;
	CLEANUP(removal_done)
	struct removal removal = {.only_deleted = r->only_deleted, .before = UINT32_MAX};
	struct staged *staged = NULL;
	TRY(tx_mailbox_whole(tx, r->mailbox, &staged));
	TRY(remove_entries(tx, staged, r->uids, &removal));
	r->n = removal.uids.n;
	return ok();
}

struct status store_expunge(struct store *store, struct store_mailbox_id id, struct store_uids uids,
                            bool only_deleted, uint32_t *ret_n)
{
	CLEANUP(unref_view) struct store_view *view = NULL;
	if (uids.n == 0 && !only_deleted)
		return fail(ERR_INVALID, "an empty set of UIDs");
	if (uids.n == 0)
		uids = (struct store_uids){all_uids, 1};
	struct expunge_request r = {.request.run = run_expunge,
	                            .mailbox = id,
	                            .uids = uids,
	                            .only_deleted = only_deleted};
	TRY(warm_up(store, id, uids, &view));
	TRY(writer_do(store, &r.request));
	*ret_n = (uint32_t)r.n;
	return ok();
}

/* ---- copying and moving ---------------------------------------------------------------------- */

struct copy_request {
	struct request request;
	struct store_mailbox_id from, to;
	struct store_uids uids;
	bool move;
	struct store_entry *entries; /* of the source, then of the copies */
	size_t n, capacity;
	struct uid_list old_uids;
	uint32_t uid_validity;
};

static struct status gather_page(struct walk *walk, const struct chunk *page, uint32_t from,
                                 uint32_t to)
{
	struct copy_request *r = walk->context;
	size_t n = to - from;
	if (r->n + n > r->capacity) {
		r->capacity = MAX(r->capacity * 2, r->n + n);
		r->entries = base_realloc(r->entries, r->capacity * sizeof(r->entries[0]));
	}
	memcpy(r->entries + r->n, page->entries + from, n * sizeof(page->entries[0]));
	r->n += n;
	for (uint32_t i = from; i < to; i++)
		uid_list_add(&r->old_uids, page->entries[i].uid);
	return ok();
}

/* Gives the target the keywords that the messages have and translates their bits. */
static struct status translate_keywords(struct tx *tx, const struct staged *from, struct staged *to,
                                        struct copy_request *r)
{
	struct slice names[STORE_KEYWORDS_MAX];
	uint64_t used = 0, unused = 0, map[STORE_KEYWORDS_MAX] = {0};
	size_t n = 0;
	for (size_t i = 0; i < r->n; i++)
		used |= r->entries[i].flags;
	used >>= STORE_KEYWORD_BIT;
	if (used == 0 || from == to)
		return ok();
	const struct keywords *keywords = from->keywords;
	for (size_t k = 0; k < keywords->n; k++)
		if (used >> k & 1)
			names[n++] = keywords->names[k];
	TRY(tx_keywords(tx, to, names, n, &unused));
	for (size_t k = 0; k < keywords->n; k++)
		if (used >> k & 1)
			map[k] = UINT64_C(1) << keywords_find(to->keywords, keywords->names[k]);
	for (size_t i = 0; i < r->n; i++) {
		uint64_t flags = r->entries[i].flags & STORE_SYSTEM_FLAGS;
		for (uint64_t rest = r->entries[i].flags >> STORE_KEYWORD_BIT; rest;
		     rest &= rest - 1)
			flags |= map[__builtin_ctzll(rest)];
		r->entries[i].flags = flags;
	}
	return ok();
}

static struct status check_copy(const struct tx *tx, const struct staged *to,
                                const struct copy_request *r)
{
	uint64_t size = 0, quota = tx->store->options.quota_size;
	for (size_t i = 0; i < r->n; i++)
		size += r->entries[i].size;
	if (!r->move && quota > 0 && tx_usage(tx) + size > quota)
		return fail(ERR_QUOTA, "the account is over its quota");
	if (r->n > UINT32_MAX - to->now.uid_next)
		return fail(ERR_LIMIT, "the mailbox has no UIDs left");
	return ok();
}

/* Into `to`, all of `uids` of `from`; both staged by this request. */
static struct status copy_entries(struct tx *tx, struct staged *from, struct staged *to,
                                  struct copy_request *r)
{
	struct walk walk = {.tx = tx, .staged = from, .visit = gather_page, .context = r};
	r->n = 0;
	r->old_uids.n = 0;
	r->uid_validity = to->mailbox->uid_validity;
	uint32_t before = from->now.uid_next;
	TRY(walk_uids(&walk, r->uids));
	TRY(check_copy(tx, to, r));
	TRY(translate_keywords(tx, from, to, r));
	for (size_t i = 0; i < r->n; i++)
		TRY(tx_add_entry(tx, to, &r->entries[i]));
	if (!r->move) {
		for (size_t i = 0; i < r->n; i++)
			TRY(reference_add(tx, r->entries[i].message.v));
		return ok();
	}
	CLEANUP(removal_done) struct removal removal = {.keep_messages = true, .before = before};
	return remove_entries(tx, from, r->uids, &removal);
}

static struct status run_copy(struct tx *tx, struct request *request)
{
	struct copy_request *r = (struct copy_request *)request;
	struct staged *from = NULL, *to = NULL;
	TRY(tx_mailbox_whole(tx, r->from, &from));
	TRY(tx_mailbox(tx, r->to, &to));
	return copy_entries(tx, from, to, r);
}

static void copy_done(struct copy_request *r)
{
	base_free(r->entries);
	base_free(r->old_uids.uids);
}

static struct status give_copied(const struct copy_request *r, struct arena *arena,
                                 struct store_uid **ret_from, struct store_uid **ret_to)
{
	struct store_uid *old_uids = NULL, *new_uids = ARENA_ARRAY(arena, r->n, struct store_uid);
	TRY(uid_list_give(&r->old_uids, arena, &old_uids));
	if (!new_uids)
		return fail(ERR_LIMIT, "no memory left for a list of UIDs");
	for (size_t i = 0; i < r->n; i++)
		new_uids[i] = r->entries[i].uid;
	*ret_from = old_uids;
	*ret_to = new_uids;
	return ok();
}

struct status store_copy(struct store *store, struct store_mailbox_id from, struct store_uids uids,
                         struct store_mailbox_id to, bool move, struct arena *arena,
                         uint32_t *ret_uid_validity, struct store_uid **ret_from,
                         struct store_uid **ret_to, size_t *ret_n)
{
	CLEANUP(unref_view) struct store_view *view = NULL;
	CLEANUP(copy_done)
	struct copy_request r = {
	        .request.run = run_copy, .from = from, .to = to, .uids = uids, .move = move};
	TRY(warm_up(store, from, uids, &view));
	TRY(writer_do(store, &r.request));
	TRY(give_copied(&r, arena, ret_from, ret_to));
	*ret_uid_validity = r.uid_validity;
	*ret_n = r.n;
	return ok();
}

struct status tx_move_all(struct tx *tx, struct store_mailbox_id from, struct store_mailbox_id to)
{
	CLEANUP(copy_done) struct copy_request r = {.uids = {all_uids, 1}, .move = true};
	struct staged *source = NULL, *target = NULL;
	TRY(tx_mailbox_whole(tx, from, &source));
	TRY(tx_mailbox(tx, to, &target));
	return copy_entries(tx, source, target, &r);
}
