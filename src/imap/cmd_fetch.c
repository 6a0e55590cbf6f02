/* FETCH (RFC 9051 section 6.4.5; CHANGEDSINCE and VANISHED RFC 7162; BINARY RFC 3516; EMAILID RFC
 * 8474; SAVEDATE RFC 8514).
 *
 * ENVELOPE, BODY and BODYSTRUCTURE are copied from the store's summaries in batches, so that no
 * connection to the index is held while a slow client reads. Sections that set \Seen set it for
 * SEEN_BATCH messages at a time, before these are sent, and tell the new flags with them.
 */
#include "imap/fetch_body.h"
#include "imap/read_ahead.h"

#define BATCH_SIZE ((size_t)128 * 1024)       /* of rendered responses */
#define BATCH_MAX  ((size_t)16 * 1024 * 1024) /* with the last one, however large */
#define SEEN_BATCH 256u

struct fetch {
	struct imap_session *s;
	const struct imap_fetch *what;
	bool uid;
	struct imap_set uids;
	struct store_view *now; /* after \Seen was set; NULL before */
	struct imap_ahead ahead;
	struct imap_set_walk walk, ahead_walk; /* behind the message, behind what is read ahead */
	bool some_expunged, unknown_encoding;
	struct status status; /* a message could not be read */

	/* Of a batch of summaries. */
	struct buf batch;
	uint32_t next; /* index of the first entry not yet given */
	bool finished;
};

static void write_item_name(struct fetch *f, const char **separator, const char *name)
{
	imap_out_str(&f->s->out, *separator);
	imap_out_str(&f->s->out, name);
	*separator = " ";
}

static void write_plain_number(struct fetch *f, const char **separator, const char *name,
                               uint64_t value)
{
	write_item_name(f, separator, name);
	imap_out_u64(&f->s->out, value);
}

/* What the view knows. `flags` are those of `now` when \Seen was just set. */
static void write_plain(struct fetch *f, unsigned items, const struct store_entry *entry,
                        const struct store_view *names, const char **separator)
{
	struct imap_out *out = &f->s->out;
	if (items & IMAP_FETCH_UID)
		write_plain_number(f, separator, "UID ", entry->uid.v);
	if (items & IMAP_FETCH_FLAGS) {
		write_item_name(f, separator, "");
		imap_write_flags(f->s, entry->flags, names);
	}
	if (items & IMAP_FETCH_MODSEQ) {
		write_plain_number(f, separator, "MODSEQ (", entry->modseq);
		imap_out_byte(out, ')');
	}
	if (items & IMAP_FETCH_INTERNALDATE) {
		write_item_name(f, separator, "INTERNALDATE ");
		imap_out_date_time(out, entry->received_at);
	}
	if (items & IMAP_FETCH_SAVEDATE) {
		write_item_name(f, separator, "SAVEDATE ");
		imap_out_date_time(out, entry->saved_at);
	}
	if (items & IMAP_FETCH_SIZE)
		write_plain_number(f, separator, "RFC822.SIZE ", entry->size);
	if (items & IMAP_FETCH_EMAILID) {
		write_plain_number(f, separator, "EMAILID (M", (uint64_t)entry->message.v);
		imap_out_byte(out, ')');
	}
	if (items & IMAP_FETCH_THREADID)
		write_item_name(f, separator, "THREADID NIL");
}

static void open_response(struct fetch *f, uint32_t index)
{
	imap_out_str(&f->s->out, "* ");
	imap_out_u64(&f->s->out, (uint64_t)index + 1);
	imap_out_str(&f->s->out, " FETCH (");
}

static bool is_wanted(const struct fetch *f, const struct store_entry *entry)
{
	return !f->what->has_changed_since || entry->modseq > f->what->changed_since;
}

/* ---- only what the view knows --------------------------------------------------------------- */

static void fetch_plain(struct fetch *f)
{
	struct imap_set_walk walk = imap_set_walk_of(f->s->selected.view, &f->uids);
	const struct store_entry *entry;
	uint32_t index;
	while (imap_set_next(&walk, &index, &entry) && imap_out_ok(&f->s->out)) {
		const char *separator = "";
		if (!is_wanted(f, entry))
			continue;
		open_response(f, index);
		write_plain(f, f->what->items, entry, f->s->selected.view, &separator);
		imap_out_str(&f->s->out, ")\r\n");
	}
}

/* ---- summaries ------------------------------------------------------------------------------ */

static void write_summary(struct fetch *f, const struct store_summary *summary,
                          const char **separator)
{
	unsigned items = f->what->items;
	if (items & IMAP_FETCH_ENVELOPE) {
		write_item_name(f, separator, "ENVELOPE ");
		imap_out_slice(&f->s->out, summary->envelope);
	}
	if (items & IMAP_FETCH_BODYSTRUCTURE) {
		write_item_name(f, separator, "BODYSTRUCTURE ");
		imap_out_slice(&f->s->out, summary->bodystructure);
	}
	if (items & IMAP_FETCH_BODY) {
		write_item_name(f, separator, "BODY ");
		imap_out_slice(&f->s->out, summary->body);
	}
}

static unsigned columns_of(unsigned items)
{
	return (items & IMAP_FETCH_ENVELOPE ? STORE_COLUMN_ENVELOPE : 0u) |
	       (items & IMAP_FETCH_BODYSTRUCTURE ? STORE_COLUMN_BODYSTRUCTURE : 0u) |
	       (items & IMAP_FETCH_BODY ? STORE_COLUMN_BODY : 0u);
}

static bool want_summary(void *context, uint32_t index, const struct store_entry *entry)
{
	struct fetch *f = context;
	(void)index;
	return is_wanted(f, entry);
}

static struct status each_summary(void *context, uint32_t index, const struct store_entry *entry,
                                  const struct store_summary *summary)
{
	struct fetch *f = context;
	const char *separator = "";
	open_response(f, index);
	write_plain(f, f->what->items, entry, f->s->selected.view, &separator);
	write_summary(f, summary, &separator);
	imap_out_str(&f->s->out, ")\r\n");
	f->next = index + 1;
	return f->batch.n >= BATCH_SIZE ? fail(ERR_CANCELED, "the batch is full") : ok();
}

/* Indexes first..last of the view, all of the set. */
static struct status fetch_summary_range(struct fetch *f, uint32_t first, uint32_t last)
{
	static const struct store_summary_ops ops = {want_summary, each_summary};
	while (first <= last && imap_out_ok(&f->s->out)) {
		f->next = last + 1;
		f->s->out.to = &f->batch;
		struct status status = store_summaries(f->s->store, f->s->selected.view, first,
		                                       last, columns_of(f->what->items), &ops, f);
		f->s->out.to = NULL;
		if (!is_ok(status) && status.code != ERR_CANCELED)
			return status;
		if (buf_failed(&f->batch))
			return fail(ERR_LIMIT, "a response is too large");
		imap_out_slice(&f->s->out, buf_slice(&f->batch));
		buf_reset(&f->batch);
		if (is_ok(status))
			break;
		first = f->next;
	}
	return ok();
}

static struct status fetch_summaries(struct fetch *f)
{
	const struct store_view *view = f->s->selected.view;
	struct status status = ok();
	buf_init(&f->batch, BATCH_MAX);
	for (size_t i = 0; i < f->uids.n && is_ok(status); i++) {
		struct store_uid after = {f->uids.v[i].last.v + 1};
		uint32_t first = store_view_lower_bound(view, f->uids.v[i].first);
		uint32_t end =
		        after.v ? store_view_lower_bound(view, after) : store_view_count(view);
		if (first < end)
			status = fetch_summary_range(f, first, end - 1);
	}
	buf_done(&f->batch);
	return status;
}

/* ---- bodies --------------------------------------------------------------------------------- */

static struct status keep_summary(void *context, uint32_t index, const struct store_entry *entry,
                                  const struct store_summary *summary)
{
	struct fetch *f = context;
	const char *separator = "";
	(void)index;
	(void)entry;
	f->finished = true;
	write_summary(f, summary, &separator);
	return ok();
}

/* The summary of one message as text in f->batch; NOT_FOUND when it was expunged meanwhile. */
static struct status read_summary(struct fetch *f, uint32_t index)
{
	static const struct store_summary_ops ops = {NULL, keep_summary};
	f->finished = false;
	f->s->out.to = &f->batch;
	struct status status = store_summaries(f->s->store, f->s->selected.view, index, index,
	                                       columns_of(f->what->items), &ops, f);
	f->s->out.to = NULL;
	if (is_ok(status) && !f->finished)
		return fail(ERR_NOT_FOUND, "the message was expunged");
	return status;
}

static void write_sections(struct fetch *f, const char **separator)
{
	for (size_t i = 0; i < f->what->n_sections && imap_out_ok(&f->s->out); i++) {
		struct status status = imap_write_section(f->s, &f->what->sections[i], *separator);
		if (is_ok(status))
			*separator = " ";
		else if (status.code == ERR_UNSUPPORTED)
			f->unknown_encoding = true;
		else
			f->status = status;
	}
}

/* Flags as they are now, when setting \Seen changed them. */
static const struct store_entry *entry_now(struct fetch *f, const struct store_entry *entry)
{
	if (!f->now)
		return entry;
	uint32_t index = store_view_lower_bound(f->now, entry->uid);
	const struct store_entry *now =
	        index < store_view_count(f->now) ? store_view_at(f->now, index) : NULL;
	return now && now->uid.v == entry->uid.v ? now : entry;
}

static void fetch_message(struct fetch *f, uint32_t index, const struct store_entry *entry)
{
	struct imap_session *s = f->s;
	const char *separator = "";
	unsigned items = f->what->items;
	struct status status = imap_ahead_open(&f->ahead, index);
	if (is_ok(status) && (items & IMAP_FETCH_SUMMARY))
		status = read_summary(f, index);
	if (status.code == ERR_NOT_FOUND)
		f->some_expunged = true;
	else if (!is_ok(status))
		f->status = status;
	if (!is_ok(status)) {
		buf_reset(&f->batch);
		return;
	}
	const struct store_entry *now = entry_now(f, entry);
	if (now->flags != entry->flags) { /* RFC 9051 section 6.4.5: tell it with the body */
		items |= IMAP_FETCH_FLAGS;
		items |= imap_has(s, IMAP_CONDSTORE) ? IMAP_FETCH_MODSEQ | IMAP_FETCH_UID : 0u;
		imap_remember_told(s, index, f->now);
	}
	open_response(f, index);
	write_plain(f, items, now, f->now ? f->now : s->selected.view, &separator);
	if (f->batch.n > 0) {
		imap_out_str(&s->out, separator);
		imap_out_slice(&s->out, buf_slice(&f->batch));
		buf_reset(&f->batch);
		separator = " ";
	}
	write_sections(f, &separator);
	imap_out_str(&s->out, ")\r\n");
}

/* Sets \Seen on the next messages that have it not. */
static struct status set_seen(struct fetch *f, struct imap_set_walk walk)
{
	struct imap_session *s = f->s;
	struct imap_set_builder unseen = {0};
	const struct store_entry *entry;
	struct store_uid *modified;
	size_t n_modified;
	uint32_t index;
	for (unsigned n = 0; n < SEEN_BATCH && imap_set_next(&walk, &index, &entry); n++)
		if (is_wanted(f, entry) && !(entry->flags & STORE_SEEN))
			imap_set_add(&unseen, entry->uid.v);
	struct status status = ok();
	if (unseen.set.n > 0)
		status = store_flags_update(s->store, s->selected.id, imap_set_uids(&unseen.set),
		                            STORE_FLAGS_ADD, STORE_SEEN, NULL, 0, UINT64_MAX,
		                            &s->arena, &modified, &n_modified);
	if (is_ok(status) && unseen.set.n > 0) {
		store_view_unref(f->now);
		f->now = NULL;
		status = store_view_open(s->store, s->selected.id, &f->now);
	}
	imap_set_builder_done(&unseen);
	return status;
}

static bool next_wanted(void *context, uint32_t *index)
{
	struct fetch *f = context;
	const struct store_entry *entry;
	while (imap_set_next(&f->ahead_walk, index, &entry))
		if (is_wanted(f, entry))
			return true;
	return false;
}

static void fetch_messages(struct fetch *f)
{
	struct imap_session *s = f->s;
	const struct store_entry *entry;
	uint32_t index;
	unsigned until_seen = 0;
	bool sets_seen = f->what->sets_seen && !s->selected.read_only;
	f->walk = imap_set_walk_of(s->selected.view, &f->uids);
	imap_ahead_init(&f->ahead, s, STORE_BATCH_MAX, next_wanted, f);
	buf_init(&f->batch, BATCH_MAX);
	for (;;) {
		if (sets_seen && until_seen-- == 0) {
			f->status = set_seen(f, f->walk);
			until_seen = SEEN_BATCH - 1;
		}
		if (!is_ok(f->status) || !imap_out_ok(&s->out) ||
		    !imap_set_next(&f->walk, &index, &entry))
			break;
		f->ahead_walk = f->walk;
		if (is_wanted(f, entry))
			fetch_message(f, index, entry);
	}
	buf_done(&f->batch);
	store_view_unref(f->now);
	f->now = NULL;
	imap_ahead_done(&f->ahead);
	imap_shrink_parsed(s);
}

/* ---- the command ---------------------------------------------------------------------------- */

static struct imap_reply outcome(const struct fetch *f)
{
	if (!is_ok(f->status))
		return imap_no_status(f->status);
	if (f->unknown_encoding)
		return imap_no("UNKNOWN-CTE", "A part has a transfer encoding that nobody knows");
	if (f->some_expunged)
		return imap_no("EXPUNGEISSUED", "Some of the messages were expunged meanwhile");
	return imap_ok("FETCH done");
}

static void run_fetch(struct fetch *f)
{
	if (f->what->n_sections > 0)
		fetch_messages(f);
	else if (f->what->items & IMAP_FETCH_SUMMARY)
		f->status = fetch_summaries(f);
	else
		fetch_plain(f);
}

struct imap_reply imap_cmd_fetch(struct imap_session *s, struct imap_args *args)
{
	struct imap_fetch what = {0};
	struct fetch f = {.s = s, .what = &what, .uid = args->uid, .status = ok()};
	if (!imap_read_set(s, args, &f.uids))
		return imap_bad_cursor(&args->c);
	imap_sp(&args->c);
	imap_fetch_parse(&args->c, &s->arena, &what);
	if (what.vanished && (!args->uid || !imap_has(s, IMAP_QRESYNC)))
		cursor_fail(&args->c, "VANISHED goes with UID FETCH, after ENABLE QRESYNC");
	if (!cursor_ok(&args->c))
		return imap_bad_cursor(&args->c);
	if ((what.items & IMAP_FETCH_MODSEQ) || what.has_changed_since)
		imap_enable_condstore(s);
	if (what.has_changed_since) /* RFC 7162 section 3.1.4.1 */
		what.items |= IMAP_FETCH_MODSEQ;
	if (args->uid)
		what.items |= IMAP_FETCH_UID;
	if (what.vanished)
		imap_tell_vanished_earlier(s, what.changed_since, &f.uids, 0);
	run_fetch(&f);
	return outcome(&f);
}
