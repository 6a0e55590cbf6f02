/* Reports that come in about what was sent: found by the ids that a report quotes, noted in the
 * history of the entries that it is about.
 *
 * Finding reads by index and beside the writer; the writer gets a list of entries. At most
 * MATCHES_MAX of a report's entries are noted, and SEEN_MAX looked at.
 */
#include "queue/queue_private.h"

#define MATCHES_MAX 1000u
#define SEEN_MAX    20000u

/* ---- found ---- */

struct match {
	int64_t entry;
	bool retired;
};

struct matches {
	struct match v[MATCHES_MAX];
	size_t n;
};

static bool is_about(const struct queue_report *report, const struct queue_entry *entry)
{
	struct slice r = report->recipient, kind, orcpt;
	if (!slice_cut(entry->orcpt, ';', &kind, &orcpt))
		orcpt = slice_empty();
	return r.n == 0 || slice_ieq(r, entry->recipient) || (orcpt.n > 0 && slice_ieq(r, orcpt));
}

/* By the message's id, or where the report has none by the envelope's. */
static const char *match_sql(bool retired, bool by_envid)
{
	static const char *const sql[2][2] = {
	        {"SELECT " ENTRY_COLUMNS " FROM message m JOIN entry e ON e.message = m.id"
	         " WHERE m.account = $1 AND m.message_id = $2 LIMIT $3",
	         "SELECT " ENTRY_COLUMNS " FROM message m JOIN entry e ON e.message = m.id"
	         " WHERE m.account = $1 AND m.envid = $2 AND m.envid <> '' LIMIT $3"},
	        {"SELECT " RETIRED_COLUMNS " FROM retired"
	         " WHERE account = $1 AND message_id = $2 LIMIT $3",
	         "SELECT " RETIRED_COLUMNS " FROM retired"
	         " WHERE account = $1 AND envid = $2 AND envid <> '' LIMIT $3"},
	};
	return sql[retired][by_envid];
}

static struct status find(struct db *db, const struct queue_report *report, bool retired,
                          struct matches *matches)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool by_envid = report->message_id.n == 0, row = true;
	TRY(db_stmt(db, match_sql(retired, by_envid), &stmt));
	db_bind_text(stmt, 1, report->account);
	db_bind_text(stmt, 2, by_envid ? report->envid : report->message_id);
	db_bind(stmt, 3, SEEN_MAX);
	while (matches->n < MATCHES_MAX) {
		struct entry_row found;
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		if (retired)
			retired_row_read(stmt, NULL, &found);
		else
			row_read(stmt, NULL, &found);
		if (is_about(report, &found.entry))
			matches->v[matches->n++] = (struct match){found.entry.id, retired};
	}
	return ok();
}

/* ---- noted ---- */

struct reporting {
	struct request request;
	const struct queue_report *report;
	const struct matches *matches;
	uint64_t n_noted;
};

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

/* Gives the number that the next line of the history gets. False: the entry has left. */
static struct status count_line(struct tx *tx, bool retired, int64_t entry, int64_t *ret_n,
                                bool *ret_found)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            retired ? "UPDATE retired SET n_history = n_history + 1 WHERE id = $1"
	                      " RETURNING n_history"
	                    : "UPDATE entry SET n_history = n_history + 1 WHERE id = $1"
	                      " RETURNING n_history",
	            &stmt));
	db_bind(stmt, 1, entry);
	TRY(db_step(stmt, ret_found));
	*ret_n = *ret_found ? db_int(stmt, 0) - 1 : 0;
	return ok();
}

/* One that waited when it was found may have retired meanwhile. */
static struct status note(struct tx *tx, struct reporting *r, const struct match *match,
                          const struct queue_attempt *attempt)
{
	int64_t n = 0;
	bool found = false;
	TRY(count_line(tx, match->retired, match->entry, &n, &found));
	if (!found && !match->retired)
		TRY(count_line(tx, true, match->entry, &n, &found));
	if (!found)
		return ok();
	r->n_noted++;
	return history_add(tx->db, match->entry, (uint32_t)n, attempt);
}

static struct status run_report(struct tx *tx, struct request *request)
{
	struct reporting *r = (struct reporting *)request;
	struct queue_attempt attempt = words_of(tx, r->report);
	attempt_complete(&attempt);
	r->n_noted = 0;
	for (size_t i = 0; i < r->matches->n; i++)
		TRY(note(tx, r, &r->matches->v[i], &attempt));
	return ok();
}

struct status queue_report(struct queue *queue, const struct queue_report *report,
                           uint64_t *ret_n_matched)
{
	CLEANUP(base_freep) struct matches *matches = base_alloc(sizeof(*matches));
	struct reporting r = {.request.run = run_report, .report = report, .matches = matches};
	if (report->message_id.n == 0 && report->envid.n == 0)
		return fail(ERR_NOT_FOUND, "the report does not say what it is about");
	TRY(reader_lock(queue, &queue->people));
	struct status status = find(queue->people.db, report, false, matches);
	if (is_ok(status))
		status = find(queue->people.db, report, true, matches);
	reader_unlock(&queue->people);
	TRY(status);
	if (matches->n > 0)
		TRY(writer_do(queue, &r.request));
	*ret_n_matched = r.n_noted;
	return r.n_noted ? ok() : fail(ERR_NOT_FOUND, "nothing was sent that it is about");
}
