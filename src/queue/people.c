/* What administrators ask: lists, one entry with its history, changes of all that a filter names. A
 * filter's meaning stands in one function, not in SQL. */
#include "queue/policy.h"
#include "queue/queue_private.h"

#define SCAN_MAX  1000 /* entries looked at in one transaction */
#define IDS_MAX   10000u
#define WHOLE_ROW ((size_t)64 * 1024)

/* ---- filters ---- */

static bool has_part(struct slice text, struct slice part)
{
	if (part.n == 0)
		return true;
	for (size_t i = 0; i + part.n <= text.n; i++)
		if (slice_ieq(slice_sub(text, i, part.n), part))
			return true;
	return false;
}

static bool is_among(const int64_t *ids, size_t n, int64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return n == 0;
}

static bool is_between(int64_t at_ms, int64_t after_ms, int64_t before_ms)
{
	return (after_ms == 0 || at_ms > after_ms) && (before_ms == 0 || at_ms < before_ms);
}

bool queue_filter_matches(const struct queue_filter *filter, const struct queue_entry *entry)
{
	bool retired = entry->state >= QUEUE_DELIVERED;
	return (filter->hold < 0 || filter->hold == (entry->state == QUEUE_HELD)) &&
	       (filter->account.n == 0 || slice_eq(filter->account, entry->account)) &&
	       (filter->transport.n == 0 || slice_eq(filter->transport, entry->transport)) &&
	       (has_part(entry->sender, filter->from) || has_part(entry->from, filter->from)) &&
	       has_part(entry->recipient, filter->to) &&
	       is_between(entry->submitted_ms, filter->submitted_after_ms,
	                  filter->submitted_before_ms) &&
	       is_between(retired ? entry->last_ms : entry->next_ms, filter->next_after_ms,
	                  filter->next_before_ms) &&
	       is_among(filter->ids, filter->n_ids, entry->id);
}

/* ---- lists ---- */

#define ENTRIES "SELECT " ENTRY_COLUMNS " FROM entry e JOIN message m ON m.id = e.message"
#define RETIRED "SELECT " RETIRED_COLUMNS " FROM retired"

/* By submission is by id: ids are given out in that order. Parameters stand in ascending order. */
static const char *list_sql(bool retired, const struct queue_page *page)
{
	static const char *const texts[2][2][2] = {
	        {{ENTRIES " WHERE (e.next_at, e.id) > ($1, $2) ORDER BY e.next_at, e.id",
	          ENTRIES " WHERE (e.next_at, e.id) < ($1, $2) ORDER BY e.next_at DESC, e.id DESC"},
	         {ENTRIES " WHERE $1 = $1 AND e.id > $2 ORDER BY e.id",
	          ENTRIES " WHERE $1 = $1 AND e.id < $2 ORDER BY e.id DESC"}},
	        {{RETIRED " WHERE (last_at, id) > ($1, $2) ORDER BY last_at, id",
	          RETIRED " WHERE (last_at, id) < ($1, $2) ORDER BY last_at DESC, id DESC"},
	         {RETIRED " WHERE $1 = $1 AND id > $2 ORDER BY id",
	          RETIRED " WHERE $1 = $1 AND id < $2 ORDER BY id DESC"}},
	};
	return texts[retired][page->by_submitted][page->descending];
}

struct listing {
	const struct queue_filter *filter;
	size_t limit, n;
	bool (*each)(void *context, const struct queue_entry *entry);
	void *context;
	bool retired, more;
};

/* False: enough. */
static bool offer(struct listing *listing, const struct queue_entry *entry)
{
	if (!queue_filter_matches(listing->filter, entry))
		return true;
	listing->more = (listing->limit > 0 && listing->n >= listing->limit) ||
	                !listing->each(listing->context, entry);
	listing->n += !listing->more;
	return !listing->more;
}

static void read_either(struct db_stmt *stmt, bool retired, struct entry_row *ret_row)
{
	if (retired)
		retired_row_read(stmt, NULL, ret_row);
	else
		row_read(stmt, NULL, ret_row);
}

static struct status list_all(struct db *db, struct listing *listing, const struct queue_page *page)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	int64_t start = page->descending ? INT64_MAX : INT64_MIN;
	bool row = true;
	TRY(db_stmt(db, list_sql(listing->retired, page), &stmt));
	db_bind(stmt, 1, page->after ? page->after_key : start);
	db_bind(stmt, 2, page->after ? page->after_id : start);
	TRY(db_step(stmt, &row));
	while (row) {
		struct entry_row entry;
		read_either(stmt, listing->retired, &entry);
		if (!offer(listing, &entry.entry))
			break;
		TRY(db_step(stmt, &row));
	}
	return ok();
}

static struct status find_either(struct db *db, bool retired, int64_t id, struct arena *arena,
                                 struct entry_row *ret_row)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	if (!retired)
		return row_find(db, id, arena, ret_row);
	TRY(db_stmt(db, RETIRED " WHERE id = $1", &stmt));
	db_bind(stmt, 1, id);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "there is no such retired entry");
	retired_row_read(stmt, arena, ret_row);
	return arena_failed(arena) ? fail(ERR_LIMIT, "an entry is too large") : ok();
}

static int compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* Those that were named, in the order of their ids. */
static struct status list_named(struct db *db, struct listing *listing,
                                const struct queue_page *page)
{
	const struct queue_filter *filter = listing->filter;
	CLEANUP(base_freep) int64_t *ids = base_alloc(filter->n_ids * sizeof(*ids));
	struct arena arena;
	struct status status = ok();
	memcpy(ids, filter->ids, filter->n_ids * sizeof(*ids));
	qsort(ids, filter->n_ids, sizeof(*ids), compare_ids);
	arena_init(&arena, WHOLE_ROW);
	for (size_t i = 0; i < filter->n_ids; i++) {
		struct entry_row row;
		bool again = i > 0 && ids[i] == ids[i - 1];
		if (again || (page->after && ids[i] <= page->after_id))
			continue;
		arena_reset(&arena);
		status = find_either(db, listing->retired, ids[i], &arena, &row);
		if (is_ok(status) ? !offer(listing, &row.entry) : status.code != ERR_NOT_FOUND)
			break;
	}
	arena_done(&arena);
	return status.code == ERR_NOT_FOUND ? ok() : status;
}

struct status queue_list(struct queue *queue, bool retired, const struct queue_filter *filter,
                         const struct queue_page *page,
                         bool (*each)(void *context, const struct queue_entry *entry),
                         void *context, bool *ret_more)
{
	struct listing listing = {.filter = filter,
	                          .limit = page->limit,
	                          .each = each,
	                          .context = context,
	                          .retired = retired};
	if (filter->n_ids > IDS_MAX)
		return fail(ERR_LIMIT, "too many ids");
	TRY(reader_lock(queue, &queue->people));
	struct db *db = queue->people.db;
	struct status status =
	        filter->n_ids > 0 ? list_named(db, &listing, page) : list_all(db, &listing, page);
	reader_unlock(&queue->people);
	*ret_more = listing.more;
	return status;
}

struct status queue_show(struct queue *queue, bool retired, int64_t entry, struct arena *arena,
                         struct queue_entry *ret_entry, struct queue_attempt **ret_history,
                         size_t *ret_n)
{
	struct entry_row row;
	TRY(reader_lock(queue, &queue->people));
	struct status status = find_either(queue->people.db, retired, entry, arena, &row);
	if (is_ok(status))
		status = history_read(queue->people.db, entry, arena, ret_history, ret_n);
	reader_unlock(&queue->people);
	if (is_ok(status))
		*ret_entry = row.entry;
	return status;
}

static struct status load(struct db *db, int64_t entry, struct arena *arena,
                          struct queue_entry *ret_entry, struct queue_message *ret_message)
{
	struct entry_row row;
	TRY(row_find(db, entry, arena, &row));
	if (ret_message)
		TRY(message_read(db, row.entry.message, arena, ret_message));
	*ret_entry = row.entry;
	return ok();
}

struct status queue_load(struct queue *queue, int64_t entry, struct arena *arena,
                         struct queue_entry *ret_entry, struct queue_message *ret_message)
{
	TRY(reader_lock(queue, &queue->deliveries));
	struct status status = load(queue->deliveries.db, entry, arena, ret_entry, ret_message);
	reader_unlock(&queue->deliveries);
	return status;
}

/* ---- changes ---- */

struct applying {
	struct request request;
	struct queue_apply *apply;
	bool (*wants)(void *context, const struct queue_entry *entry);
	void *context;
	int64_t after, reached; /* ids: where this piece begins, how far it got */
	bool more;
	uint64_t n_changed, n_skipped; /* of this piece */
	int64_t claimed[SCAN_MAX];
	size_t n_claimed;
};

static struct status save(struct tx *tx, const struct entry_row *row)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	const struct queue_entry *e = &row->entry;
	TRY(db_stmt(tx->db,
	            "UPDATE entry SET hold = $1, next_at = $2, transport = $3, require_tls = $4"
	            " WHERE id = $5",
	            &stmt));
	db_bind(stmt, 1, e->state == QUEUE_HELD);
	db_bind(stmt, 2, e->next_ms);
	db_bind_text(stmt, 3, e->transport);
	db_bind(stmt, 4, e->require_tls);
	db_bind(stmt, 5, e->id);
	TRY(db_run(stmt));
	tx_tell_row(tx, row);
	return ok();
}

static struct status end_entry(struct tx *tx, struct applying *a, const struct queue_entry *entry)
{
	const struct queue_apply *apply = a->apply;
	bool fails = apply->change == QUEUE_CHANGE_FAIL;
	if (apply->claim && !apply->claim(apply->context, entry->id)) {
		a->n_skipped++;
		return ok();
	}
	struct queue_outcome outcome = {
	        .entry = entry->id,
	        .state = fails ? QUEUE_FAILED : QUEUE_DROPPED,
	        .attempt = {.started_ms = tx->now_ms,
	                    .ended_ms = tx->now_ms,
	                    .enhanced = SLICE("5.0.0"),
	                    .why = apply->why,
	                    .result = QUEUE_RESULT_FAILED},
	        .notice = fails && queue_wants_notice(entry->sender, entry->notify,
	                                              QUEUE_NOTICE_FAILED)
	                          ? QUEUE_NOTICE_FAILED
	                          : QUEUE_NOTICE_NONE,
	};
	a->claimed[a->n_claimed++] = entry->id;
	a->n_changed++;
	return outcome_apply(tx, &outcome, 1);
}

static struct status change_entry(struct tx *tx, struct applying *a, struct entry_row *row)
{
	const struct queue_apply *apply = a->apply;
	struct queue_entry *e = &row->entry;
	switch (apply->change) {
	case QUEUE_CHANGE_HOLD:
		e->state = QUEUE_HELD;
		break;
	case QUEUE_CHANGE_UNHOLD:
		e->state = QUEUE_WAITING;
		break;
	case QUEUE_CHANGE_SCHEDULE:
		e->next_ms = apply->relative ? e->next_ms + apply->value_ms : apply->value_ms;
		e->next_ms = MAX(e->next_ms, 0);
		break;
	case QUEUE_CHANGE_TRANSPORT:
		e->transport = apply->transport;
		break;
	case QUEUE_CHANGE_REQUIRE_TLS:
		e->require_tls = apply->require_tls;
		break;
	case QUEUE_CHANGE_FAIL:
	case QUEUE_CHANGE_DROP:
		return end_entry(tx, a, e);
	}
	a->n_changed++;
	return save(tx, row);
}

/* The next entries behind a->after, in the arena. */
static struct status scan(struct tx *tx, struct applying *a, struct entry_row *rows, size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = true;
	size_t n = 0;
	int64_t seen = 0;
	TRY(db_stmt(tx->db, ENTRIES " WHERE e.id > $1 ORDER BY e.id LIMIT $2", &stmt));
	db_bind(stmt, 1, a->after);
	db_bind(stmt, 2, SCAN_MAX);
	for (seen = 0;; seen++) {
		struct entry_row peek;
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		row_read(stmt, NULL, &peek);
		a->reached = peek.entry.id;
		if (a->wants(a->context, &peek.entry))
			row_read(stmt, &tx->arena, &rows[n++]);
	}
	a->more = seen == SCAN_MAX;
	*ret_n = n;
	return ok();
}

static struct status run_apply(struct tx *tx, struct request *request)
{
	struct applying *a = (struct applying *)request;
	struct entry_row *rows = ARENA_ARRAY(&tx->arena, SCAN_MAX, struct entry_row);
	size_t n = 0;
	a->n_changed = a->n_skipped = a->n_claimed = 0;
	struct status status = rows ? scan(tx, a, rows, &n) : fail(ERR_IO, "no memory");
	for (size_t i = 0; i < n && is_ok(status); i++)
		status = change_entry(tx, a, &rows[i]);
	return status;
}

/* Those that have left are not known any more. */
static void release(const struct applying *a)
{
	for (size_t i = 0; i < a->n_claimed && a->apply->release; i++)
		a->apply->release(a->apply->context, a->claimed[i]);
}

struct status apply_where(struct queue *queue, struct queue_apply *apply,
                          bool (*wants)(void *context, const struct queue_entry *entry),
                          void *context)
{
	struct applying a = {.apply = apply, .wants = wants, .context = context, .more = true};
	apply->n_changed = apply->n_skipped = 0;
	while (a.more) {
		a.request = (struct request){.run = run_apply};
		struct status status = writer_do(queue, &a.request);
		release(&a);
		TRY(status);
		a.after = a.reached;
		apply->n_changed += a.n_changed;
		apply->n_skipped += a.n_skipped;
	}
	return ok();
}

static bool filter_wants(void *context, const struct queue_entry *entry)
{
	return queue_filter_matches(context, entry);
}

struct status queue_apply(struct queue *queue, struct queue_apply *apply)
{
	if (apply->transport.n > QUEUE_TEXT_MAX || apply->why.n > QUEUE_TEXT_MAX ||
	    apply->filter.n_ids > IDS_MAX)
		return fail(ERR_LIMIT, "a text of the change is too long");
	return apply_where(queue, apply, filter_wants, &apply->filter);
}
