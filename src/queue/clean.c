/* What goes by time: submission ids of yesterday, retired entries past their time; and reports that
 * come in about what was sent. */
#include "queue/policy.h"
#include "queue/queue_private.h"

#define PRUNE_EVERY_MS 600000
#define CLEAN_MAX      500 /* retired entries in one transaction */
#define MATCHES_MAX    1000u

/* ---- submissions ---- */

struct status prune(struct tx *tx)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct queue *queue = tx->queue;
	if (tx->now_ms - queue->pruned_ms < PRUNE_EVERY_MS && tx->now_ms >= queue->pruned_ms)
		return ok();
	TRY(db_stmt(tx->db, "DELETE FROM submission WHERE done_at < $1", &stmt));
	db_bind(stmt, 1, tx->now_ms - QUEUE_SUBMISSION_KEEP);
	TRY(db_run(stmt));
	queue->pruned_ms = tx->now_ms;
	return ok();
}

/* ---- retired entries ---- */

struct cleaning {
	struct request request;
	bool more;
};

static struct status read_ids(struct db_stmt *stmt, int64_t *ids, size_t max, size_t *ret_n)
{
	bool row = true;
	size_t n = 0;
	while (n < max) {
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		ids[n++] = db_int(stmt, 0);
	}
	*ret_n = n;
	return ok();
}

static struct status overdue(struct tx *tx, int64_t *ids, size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "SELECT id FROM retired WHERE keep_until <= $1 LIMIT $2", &stmt));
	db_bind(stmt, 1, tx->now_ms);
	db_bind(stmt, 2, CLEAN_MAX);
	return read_ids(stmt, ids, CLEAN_MAX, ret_n);
}

static struct status run_clean(struct tx *tx, struct request *request)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct cleaning *cleaning = (struct cleaning *)request;
	int64_t *ids = ARENA_ARRAY(&tx->arena, CLEAN_MAX, int64_t);
	size_t n = 0;
	if (!ids)
		return fail(ERR_IO, "no memory");
	TRY(overdue(tx, ids, &n));
	cleaning->more = n == CLEAN_MAX;
	TRY(db_stmt(tx->db, "DELETE FROM retired WHERE id = $1", &stmt));
	for (size_t i = 0; i < n; i++) {
		db_bind(stmt, 1, ids[i]);
		TRY(db_run(stmt));
		TRY(history_remove(tx->db, ids[i]));
	}
	tx->totals.n_retired -= MIN(tx->totals.n_retired, n);
	return prune(tx);
}

struct status queue_clean(struct queue *queue, bool *ret_more)
{
	struct cleaning cleaning = {.request.run = run_clean};
	TRY(writer_do(queue, &cleaning.request));
	*ret_more = cleaning.more;
	return ok();
}

/* ---- reports ---- */

struct reporting {
	struct request request;
	const struct queue_report *report;
	uint64_t n_matched;
};

static bool is_about(const struct queue_report *report, const struct entry_row *row)
{
	struct slice r = report->recipient, kind, orcpt;
	const struct queue_entry *e = &row->entry;
	if (report->message_id.n == 0 && !slice_eq(report->envid, e->envid))
		return false;
	if (!slice_cut(e->orcpt, ';', &kind, &orcpt))
		orcpt = slice_empty();
	return r.n == 0 || slice_ieq(r, e->recipient) || (orcpt.n > 0 && slice_ieq(r, orcpt));
}

/* In the words of the history. */
static struct queue_attempt words_of(struct tx *tx, const struct queue_report *report)
{
	char *why = arena_printf(&tx->arena, "a report came in: %.*s%s%.*s%s%.*s",
	                         SLICE_FMT(report->action), report->status.n ? " " : "",
	                         SLICE_FMT(report->status), report->diagnostic.n ? ": " : "",
	                         SLICE_FMT(report->diagnostic));
	bool failed = slice_ieq_str(report->action, "failed");
	bool delayed = slice_ieq_str(report->action, "delayed");
	return (struct queue_attempt){
	        .started_ms = tx->now_ms,
	        .ended_ms = tx->now_ms,
	        .enhanced = report->status,
	        .why = slice_str(why),
	        .result = failed    ? QUEUE_RESULT_FAILED
	                  : delayed ? QUEUE_RESULT_DEFERRED
	                            : QUEUE_RESULT_DELIVERED,
	};
}

static struct status set_n_history(struct tx *tx, bool retired, const struct entry_row *row)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            retired ? "UPDATE retired SET n_history = $1 WHERE id = $2"
	                    : "UPDATE entry SET n_history = $1 WHERE id = $2",
	            &stmt));
	db_bind(stmt, 1, (int64_t)row->n_history + 1);
	db_bind(stmt, 2, row->entry.id);
	return db_run(stmt);
}

static struct status note(struct tx *tx, struct reporting *r, bool retired,
                          const struct entry_row *row)
{
	struct queue_attempt attempt = words_of(tx, r->report);
	attempt_complete(&attempt);
	TRY(history_add(tx->db, row->entry.id, row->n_history, &attempt));
	TRY(set_n_history(tx, retired, row));
	r->n_matched++;
	return ok();
}

/* $2 = '': any message of the account; is_about looks at the envelope id then. */
static const char *match_sql(bool retired)
{
	return retired ? "SELECT " RETIRED_COLUMNS
	                 " FROM retired WHERE account = $1 AND ($2 = '' OR message_id = $2)"
	                 " ORDER BY id DESC LIMIT $3"
	               : "SELECT " ENTRY_COLUMNS " FROM entry e JOIN message m ON m.id = e.message"
	                 " WHERE m.account = $1 AND ($2 = '' OR m.message_id = $2)"
	                 " ORDER BY e.id DESC LIMIT $3";
}

static struct status match(struct tx *tx, struct reporting *r, bool retired, struct entry_row *rows,
                           size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = true;
	size_t n = 0;
	TRY(db_stmt(tx->db, match_sql(retired), &stmt));
	db_bind_text(stmt, 1, r->report->account);
	db_bind_text(stmt, 2, r->report->message_id);
	db_bind(stmt, 3, MATCHES_MAX);
	while (n < MATCHES_MAX) {
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		if (retired)
			retired_row_read(stmt, &tx->arena, &rows[n]);
		else
			row_read(stmt, &tx->arena, &rows[n]);
		n += is_about(r->report, &rows[n]);
	}
	*ret_n = n;
	return ok();
}

static struct status run_report(struct tx *tx, struct request *request)
{
	struct reporting *r = (struct reporting *)request;
	struct entry_row *rows = ARENA_ARRAY(&tx->arena, MATCHES_MAX + 1, struct entry_row);
	if (!rows)
		return fail(ERR_IO, "no memory");
	r->n_matched = 0;
	for (int retired = 0; retired < 2; retired++) {
		size_t n = 0;
		TRY(match(tx, r, retired != 0, rows, &n));
		for (size_t i = 0; i < n; i++)
			TRY(note(tx, r, retired != 0, &rows[i]));
	}
	return r->n_matched ? ok() : fail(ERR_NOT_FOUND, "nothing was sent that it is about");
}

struct status queue_report(struct queue *queue, const struct queue_report *report,
                           uint64_t *ret_n_matched)
{
	struct reporting r = {.request.run = run_report, .report = report};
	if (report->message_id.n == 0 && report->envid.n == 0)
		return fail(ERR_NOT_FOUND, "the report does not say what it is about");
	TRY(writer_do(queue, &r.request));
	*ret_n_matched = r.n_matched;
	return ok();
}
