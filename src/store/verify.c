/* Checks everything that can be checked, in one snapshot: the database's structure, every page of
 * every mailbox, counters, references, garbage, the log, checksums of all bodies, and the files.
 *
 * Who shows which message is counted in an array of (message, entries) pairs, sorted by message:
 * twelve bytes an entry.
 */
#include "store/expunged.h"
#include "store/store_private.h"

#include <stdarg.h>

#define PIECE    ((size_t)256 * 1024)
#define TEXT_MAX 300

struct verify {
	struct store *store;
	struct db *db;
	void (*problem)(void *context, const char *text);
	void *context;
	int64_t *shown; /* message ids, one for each entry, then one for each garbage id */
	size_t n_shown, capacity;
	size_t n_sorted; /* of them, from the start */
	uint8_t *piece;
	struct db_stmt *is_file; /* while files are listed */
};

PRINTF(2, 3) static void report(struct verify *v, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	v->problem(v->context, text);
}

static void note_shown(struct verify *v, int64_t message)
{
	if (v->n_shown == v->capacity) {
		v->capacity = MAX(v->capacity * 2, (size_t)1024);
		v->shown = base_realloc(v->shown, v->capacity * sizeof(v->shown[0]));
	}
	v->shown[v->n_shown++] = message;
}

static int compare_ids(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;
	return *left < *right ? -1 : *left > *right;
}

static size_t count_shown(const struct verify *v, int64_t message)
{
	size_t low = 0, high = v->n_sorted, n = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (v->shown[middle] < message)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < v->n_sorted && v->shown[low + n] == message)
		n++;
	return n;
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

static void check_counts(struct verify *v, const struct mailbox *m, const struct store_view *view)
{
	struct counts is = {.uid_next = view->uid_next};
	for (uint32_t i = 0; i < view->n_entries; i++) {
		const struct store_entry *e = store_view_at(view, i);
		is.n_messages++;
		is.n_unseen += !(e->flags & STORE_SEEN);
		is.n_deleted += (e->flags & STORE_DELETED) != 0;
		is.size += e->size;
		is.modseq = MAX(is.modseq, e->modseq);
		if (e->flags >> STORE_KEYWORD_BIT >> m->keywords->n)
			report(v, "mailbox %.*s: UID %" PRIu32 " has a keyword without a name",
			       SLICE_FMT(m->name), e->uid.v);
		note_shown(v, e->message.v);
	}
	if (is.n_messages != m->counts.n_messages || is.n_unseen != m->counts.n_unseen ||
	    is.n_deleted != m->counts.n_deleted || is.size != m->counts.size)
		report(v, "mailbox %.*s: its counters differ from its entries", SLICE_FMT(m->name));
	if (is.modseq > m->counts.modseq)
		report(v, "mailbox %.*s: an entry is newer than the mailbox", SLICE_FMT(m->name));
}

static void check_mailbox(struct verify *v, const struct mailbox *m)
{
	struct store_view *view = NULL;
	struct status status = view_load(v->db, m->id, &view);
	if (!is_ok(status)) {
		report(v, "mailbox %.*s: %s", SLICE_FMT(m->name), status.why);
		return;
	}
	check_counts(v, m, view);
	store_view_unref(view);
}

static struct status check_orphan_pages(struct verify *v)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(v->db,
	            "SELECT COUNT(*) FROM page WHERE id / 16777216 NOT IN (SELECT id FROM mailbox)",
	            &stmt));
	TRY(db_step(stmt, &row));
	if (db_int(stmt, 0) > 0)
		report(v, "%" PRId64 " pages belong to no mailbox", db_int(stmt, 0));
	return ok();
}

static struct status check_mailboxes(struct verify *v)
{
	struct catalog *catalog = NULL;
	TRY(catalog_load(v->db, &catalog));
	for (size_t i = 0; i < catalog->n; i++) {
		check_mailbox(v, catalog->by_id[i]);
		if (i > 0 && slice_eq(catalog->by_name[i]->name, catalog->by_name[i - 1]->name))
			report(v, "two mailboxes are called %.*s",
			       SLICE_FMT(catalog->by_name[i]->name));
	}
	if (!catalog_find(catalog, SLICE("Inbox")))
		report(v, "there is no Inbox");
	catalog_free(catalog);
	return check_orphan_pages(v);
}

/* ---- who shows what -------------------------------------------------------------------------- */

static struct status note_garbage(struct verify *v)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(v->db, "SELECT messages FROM garbage", &stmt));
	TRY(db_step(stmt, &row));
	while (row) {
		struct slice bytes = db_bytes(stmt, 0);
		for (size_t at = 0; at + sizeof(int64_t) <= bytes.n; at += sizeof(int64_t)) {
			int64_t id = 0;
			memcpy(&id, bytes.p + at, sizeof(id));
			if (count_shown(v, id) > 0)
				report(v, "message %" PRId64 " is shown and marked as removed", id);
			note_shown(v, id);
		}
		TRY(db_step(stmt, &row));
	}
	return ok();
}

static struct status check_references(struct verify *v)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	CLEANUP(db_donep) struct db_stmt *more = NULL;
	bool row = false;
	TRY(db_stmt(v->db, "SELECT message, n_more FROM reference", &stmt));
	TRY(db_step(stmt, &row));
	for (; row;) {
		int64_t id = db_int(stmt, 0), n_more = db_int(stmt, 1);
		if (count_shown(v, id) != (size_t)n_more + 1)
			report(v, "message %" PRId64 " is not shown as often as counted", id);
		TRY(db_step(stmt, &row));
	}
	TRY(db_stmt(v->db, "SELECT n_more FROM reference WHERE message = $1", &more));
	for (size_t i = 1; i < v->n_shown; i++) {
		int64_t id = v->shown[i];
		if (v->shown[i - 1] != id || (i > 1 && v->shown[i - 2] == id))
			continue;
		db_bind(more, 1, id);
		TRY(db_step(more, &row));
		db_done(more);
		if (!row)
			report(v, "message %" PRId64 " is shown twice and counted once", id);
	}
	return ok();
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static struct status read_whole(struct verify *v, struct store_blob *blob)
{
	const struct store_reader *r = store_blob_reader(blob);
	for (uint64_t at = 0; at < r->size;) {
		size_t n = 0;
		TRY(r->read(r, at, v->piece, PIECE, &n));
		at += n;
	}
	return ok();
}

static void check_body(struct verify *v, int64_t id)
{
	struct store_blob *blob = NULL;
	struct status status = blob_load(v->store, v->db, (struct store_message_id){id}, &blob);
	if (is_ok(status))
		status = read_whole(v, blob);
	if (!is_ok(status))
		report(v, "message %" PRId64 ": %s", id, status.why);
	store_blob_free(blob);
}

static struct status check_bodies(struct verify *v)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	int64_t previous = 0;
	bool row = false;
	TRY(db_stmt(v->db,
	            "SELECT content.id, summary.id FROM content LEFT JOIN summary"
	            " ON summary.id = content.id ORDER BY content.id",
	            &stmt));
	TRY(db_step(stmt, &row));
	while (row) {
		int64_t id = db_int(stmt, 0);
		if (db_int(stmt, 1) != id)
			report(v, "message %" PRId64 " has no summary", id);
		if (count_shown(v, id) == 0)
			report(v, "message %" PRId64 " is shown nowhere", id);
		check_body(v, id);
		previous = id;
		TRY(db_step(stmt, &row));
	}
	if (previous >= atomic_load(&v->store->next_message))
		report(v, "message %" PRId64 " has an id that was not given out", previous);
	return ok();
}

static struct status check_notes(struct verify *v)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(v->db,
	            "SELECT COUNT(*) FROM note WHERE message NOT IN (SELECT id FROM content)",
	            &stmt));
	TRY(db_step(stmt, &row));
	if (db_int(stmt, 0) > 0)
		report(v, "notes about no message: %" PRId64, db_int(stmt, 0));
	return ok();
}

static struct status check_missing(struct verify *v)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(v->db, "SELECT id FROM content WHERE id = $1", &stmt));
	for (size_t i = 0; i < v->n_shown; i++) {
		if (i > 0 && v->shown[i] == v->shown[i - 1])
			continue;
		db_bind(stmt, 1, v->shown[i]);
		TRY(db_step(stmt, &row));
		db_done(stmt);
		if (!row)
			report(v, "message %" PRId64 " is shown and has no content", v->shown[i]);
	}
	return ok();
}

/* ---- files, log ------------------------------------------------------------------------------ */

static struct status check_file(void *context, int64_t id, const char *name)
{
	struct verify *v = context;
	bool row = false;
	if (id == 0) {
		report(v, "msg: %.60s is no message file", name);
		return ok();
	}
	db_bind(v->is_file, 1, id);
	struct status status = db_step(v->is_file, &row);
	db_done(v->is_file);
	if (is_ok(status) && !row)
		report(v, "the file of message %" PRId64 " is not in the index", id);
	return status;
}

static struct status check_files(struct verify *v)
{
	TRY(db_stmt(v->db, "SELECT id FROM content WHERE id = $1 AND is_file = 1", &v->is_file));
	return blobs_list(&v->store->blobs, check_file, v);
}

static struct status check_log(struct verify *v)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(v->db, "SELECT n, uids, modseq FROM expunged", &stmt));
	TRY(db_step(stmt, &row));
	while (row) {
		int64_t n = db_int(stmt, 0);
		if (n <= 0 || n > UINT32_MAX) {
			report(v, "the log row %" PRId64 " has no size", db_int(stmt, 2));
		} else {
			CLEANUP(base_freep)
			struct store_uid *uids = base_alloc((size_t)n * sizeof(uids[0]));
			struct status status = expunged_unpack(db_bytes(stmt, 1), uids, (size_t)n);
			if (!is_ok(status))
				report(v, "the log row %" PRId64 ": %s", db_int(stmt, 2),
				       status.why);
		}
		TRY(db_step(stmt, &row));
	}
	return ok();
}

static void sort_shown(struct verify *v)
{
	if (v->n_shown > 1)
		qsort(v->shown, v->n_shown, sizeof(v->shown[0]), compare_ids);
	v->n_sorted = v->n_shown;
}

static struct status check_all(struct verify *v)
{
	TRY(db_check(v->db, v->problem, v->context));
	TRY(check_mailboxes(v));
	sort_shown(v);
	TRY(check_references(v));
	TRY(note_garbage(v));
	sort_shown(v);
	TRY(check_missing(v));
	TRY(check_bodies(v));
	TRY(check_notes(v));
	TRY(check_files(v));
	return check_log(v);
}

/* In the transaction of whoever holds the writer: files and rows must not come and go meanwhile. */
struct verify_request {
	struct request request;
	struct verify *verify;
};

static struct status run_verify(struct tx *tx, struct request *request)
{
	struct verify *v = ((struct verify_request *)request)->verify;
	v->db = tx->db;
	v->n_shown = 0;
	v->n_sorted = 0;
	return check_all(v);
}

struct status store_verify(struct store *store, void (*problem)(void *context, const char *text),
                           void *context)
{
	struct verify v = {.store = store, .problem = problem, .context = context};
	struct verify_request r = {.request = {.run = run_verify, .alone = true}, .verify = &v};
	v.piece = base_alloc(PIECE);
	struct status status = writer_do(store, &r.request);
	base_free(v.piece);
	base_free(v.shown);
	return status;
}
