/* Views, chunks and the difference between two views. See view.h for their form. */
#include "store/view.h"

/* ---- chunks --------------------------------------------------------------------------------- */

struct chunk *chunk_new(uint32_t page_no, uint32_t capacity)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + capacity * sizeof(chunk->entries[0]));
	if (!chunk)
		BUG("out of memory");
	atomic_init(&chunk->refs, 1);
	chunk->page_no = page_no;
	chunk->n = 0;
	chunk->capacity = capacity;
	return chunk;
}

struct chunk *chunk_copy(const struct chunk *chunk, uint32_t extra)
{
	struct chunk *copy = chunk_new(chunk->page_no, MIN(chunk->n + extra, PAGE_ENTRIES));
	memcpy(copy->entries, chunk->entries, chunk->n * sizeof(chunk->entries[0]));
	copy->n = chunk->n;
	return copy;
}

struct chunk *chunk_ref(struct chunk *chunk)
{
	atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
	return chunk;
}

/* True for the last one: everything others did with it has happened. */
static bool drop_ref(atomic_uint *refs)
{
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

void chunk_unref(struct chunk *chunk)
{
	if (chunk && drop_ref(&chunk->refs))
		base_free(chunk);
}

struct status chunk_decode(uint32_t page_no, struct slice bytes, struct chunk **ret_chunk)
{
	size_t n = 0;
	TRY(page_count(bytes, &n));
	struct chunk *chunk = chunk_new(page_no, (uint32_t)n);
	struct status status = page_decode(page_no, bytes, chunk->entries, n);
	if (!is_ok(status)) {
		chunk_unref(chunk);
		return status;
	}
	chunk->n = (uint32_t)n;
	*ret_chunk = chunk;
	return ok();
}

/* ---- keywords ------------------------------------------------------------------------------- */

struct keywords *keywords_new(const struct slice *names, size_t n)
{
	size_t size = 0;
	ASSERT(n <= STORE_KEYWORDS_MAX);
	for (size_t i = 0; i < n; i++)
		size += names[i].n;
	struct keywords *keywords = base_alloc(sizeof(*keywords) + size);
	atomic_init(&keywords->refs, 1);
	keywords->n = n;
	uint8_t *at = keywords->bytes;
	for (size_t i = 0; i < n; i++) {
		memcpy(at, names[i].p, names[i].n);
		keywords->names[i] = slice_of(at, names[i].n);
		at += names[i].n;
	}
	return keywords;
}

struct keywords *keywords_ref(struct keywords *keywords)
{
	atomic_fetch_add_explicit(&keywords->refs, 1, memory_order_relaxed);
	return keywords;
}

void keywords_unref(struct keywords *keywords)
{
	if (keywords && drop_ref(&keywords->refs))
		base_free(keywords);
}

int keywords_find(const struct keywords *keywords, struct slice name)
{
	for (size_t i = 0; i < keywords->n; i++)
		if (slice_ieq(keywords->names[i], name))
			return STORE_KEYWORD_BIT + (int)i;
	return -1;
}

/* ---- making views --------------------------------------------------------------------------- */

struct store_view *view_new(struct store_mailbox_id mailbox, uint32_t capacity)
{
	struct store_view *view = base_alloc(sizeof(*view));
	atomic_init(&view->refs, 1);
	view->mailbox = mailbox;
	view->capacity = capacity;
	view->chunks = base_alloc(capacity * sizeof(view->chunks[0]));
	view->starts = base_alloc(((size_t)capacity + 1) * sizeof(view->starts[0]));
	return view;
}

void view_add_chunk(struct store_view *view, struct chunk *chunk)
{
	if (view->n_chunks == view->capacity) {
		size_t capacity = (size_t)view->capacity * 2;
		view->chunks = base_realloc(view->chunks, capacity * sizeof(view->chunks[0]));
		view->starts = base_realloc(view->starts, (capacity + 1) * sizeof(view->starts[0]));
		view->capacity = (uint32_t)capacity;
	}
	view->starts[view->n_chunks] = view->n_entries;
	view->chunks[view->n_chunks++] = chunk;
	view->n_entries += chunk->n;
}

void view_finish(struct store_view *view)
{
	view->starts[view->n_chunks] = view->n_entries;
}

struct store_view *store_view_ref(struct store_view *view)
{
	atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
	return view;
}

void store_view_unref(struct store_view *view)
{
	if (!view || !drop_ref(&view->refs))
		return;
	for (uint32_t i = 0; i < view->n_chunks; i++)
		chunk_unref(view->chunks[i]);
	keywords_unref(view->keywords);
	base_free(view->chunks);
	base_free(view->starts);
	base_free(view);
}

/* ---- looking at views ----------------------------------------------------------------------- */

uint32_t store_view_count(const struct store_view *view)
{
	return view->n_entries;
}

uint32_t store_view_uid_validity(const struct store_view *view)
{
	return view->uid_validity;
}

uint32_t store_view_uid_next(const struct store_view *view)
{
	return view->uid_next;
}

uint64_t store_view_modseq(const struct store_view *view)
{
	return view->modseq;
}

size_t store_view_keywords(const struct store_view *view, const struct slice **ret_names)
{
	*ret_names = view->keywords->names;
	return view->keywords->n;
}

/* The chunk that holds an index. Where nothing was ever expunged the first guess is right. */
static uint32_t chunk_of_index(const struct store_view *view, uint32_t index)
{
	uint32_t guess = index / PAGE_ENTRIES;
	if (guess < view->n_chunks && view->starts[guess] <= index &&
	    index < view->starts[guess + 1])
		return guess;
	uint32_t low = 0, high = view->n_chunks - 1; /* the answer is in low..high */
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if (view->starts[middle] <= index)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

const struct store_entry *store_view_at(const struct store_view *view, uint32_t index)
{
	ASSERT(index < view->n_entries);
	uint32_t i = chunk_of_index(view, index);
	return &view->chunks[i]->entries[index - view->starts[i]];
}

uint32_t view_chunk_from(const struct store_view *view, uint32_t page_no)
{
	uint32_t low = 0, high = view->n_chunks;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (view->chunks[middle]->page_no < page_no)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t store_view_lower_bound(const struct store_view *view, struct store_uid uid)
{
	if (uid.v == 0)
		return 0;
	uint32_t i = view_chunk_from(view, page_of_uid(uid));
	if (i == view->n_chunks)
		return view->n_entries;
	const struct chunk *chunk = view->chunks[i];
	uint32_t low = 0, high = chunk->n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (chunk->entries[middle].uid.v < uid.v)
			low = middle + 1;
		else
			high = middle;
	}
	return view->starts[i] + low;
}

/* ---- the difference of two views ------------------------------------------------------------ */

/* Entries of `from`'s chunk i whose UID is not in the other chunk (NULL: none is), from the end. */
static void tell_expunged(const struct store_view *from, uint32_t i, const struct chunk *to,
                          const struct store_view_diff_ops *ops, void *context)
{
	const struct chunk *chunk = from->chunks[i];
	uint32_t other = to ? to->n : 0;
	for (uint32_t at = chunk->n; at-- > 0;) {
		uint32_t uid = chunk->entries[at].uid.v;
		while (other > 0 && to->entries[other - 1].uid.v > uid)
			other--;
		if (other == 0 || to->entries[other - 1].uid.v != uid)
			ops->expunged(context, from->starts[i] + at, &chunk->entries[at]);
	}
}

static void tell_all_expunged(const struct store_view *from, const struct store_view *to,
                              const struct store_view_diff_ops *ops, void *context)
{
	uint32_t other = to->n_chunks;
	for (uint32_t i = from->n_chunks; i-- > 0;) {
		const struct chunk *chunk = from->chunks[i];
		/* Most are shared: not even their numbers are looked at. */
		while (other > 0 && to->chunks[other - 1] != chunk &&
		       to->chunks[other - 1]->page_no > chunk->page_no)
			other--;
		const struct chunk *same = other > 0 ? to->chunks[other - 1] : NULL;
		if (same == chunk) {
			other--;
			continue;
		}
		if (same && same->page_no != chunk->page_no)
			same = NULL;
		/* UIDs only ascend: where none came and as many are left, none went. */
		if (same && same->n == chunk->n &&
		    same->entries[same->n - 1].uid.v < from->uid_next)
			continue;
		tell_expunged(from, i, same, ops, context);
	}
}

/* Entries that both chunks have and that differ. */
static void tell_changed(const struct store_view *to, uint32_t i, const struct chunk *from,
                         const struct store_view_diff_ops *ops, void *context)
{
	const struct chunk *chunk = to->chunks[i];
	for (uint32_t at = 0, other = 0; at < chunk->n && other < from->n; at++) {
		const struct store_entry *entry = &chunk->entries[at];
		while (other < from->n && from->entries[other].uid.v < entry->uid.v)
			other++;
		if (other == from->n || from->entries[other].uid.v != entry->uid.v)
			continue;
		const struct store_entry *old = &from->entries[other];
		if (old->flags != entry->flags || old->modseq != entry->modseq)
			ops->changed(context, to->starts[i] + at, entry);
	}
}

static void tell_all_changed(const struct store_view *from, const struct store_view *to,
                             const struct store_view_diff_ops *ops, void *context)
{
	uint32_t other = 0;
	for (uint32_t i = 0; i < to->n_chunks; i++) {
		const struct chunk *chunk = to->chunks[i];
		while (other < from->n_chunks && from->chunks[other] != chunk &&
		       from->chunks[other]->page_no < chunk->page_no)
			other++;
		if (other == from->n_chunks)
			return;
		const struct chunk *same = from->chunks[other];
		if (same == chunk)
			other++;
		else if (same->page_no == chunk->page_no)
			tell_changed(to, i, same, ops, context);
	}
}

void store_view_diff(const struct store_view *from, const struct store_view *to,
                     const struct store_view_diff_ops *ops, void *context)
{
	ASSERT(from->mailbox.v == to->mailbox.v);
	if (from == to)
		return;
	tell_all_expunged(from, to, ops, context);
	tell_all_changed(from, to, ops, context);
	/* UIDs only ascend: what `from` could not know is at the end. */
	uint32_t old_next = from->uid_next;
	uint32_t first_new = to->uid_next > old_next
	                             ? store_view_lower_bound(to, (struct store_uid){old_next})
	                             : to->n_entries;
	if (first_new < to->n_entries)
		ops->added(context, to->n_entries, to->n_entries - first_new);
}
