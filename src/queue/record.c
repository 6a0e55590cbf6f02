/* What became of entries: recorded in one transaction with the notices and suppressions that follow
 * from it. */
#include "queue/policy.h"
#include "queue/queue_private.h"

#define RESULT_TEXT_MAX ((size_t)200)

/* One more or less that needs the message's bytes; the last takes them along. */
struct status message_change_users(struct tx *tx, int64_t message, int64_t change)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	CLEANUP(db_donep) struct db_stmt *body = NULL;
	CLEANUP(db_donep) struct db_stmt *gone = NULL;
	bool row = false;
	TRY(db_stmt(tx->db,
	            "UPDATE message SET n_users = n_users + $1 WHERE id = $2"
	            " RETURNING n_users, is_file, size",
	            &stmt));
	db_bind(stmt, 1, change);
	db_bind(stmt, 2, message);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_CORRUPT, "an entry without its message");
	int64_t n_users = db_int(stmt, 0), size = db_int(stmt, 2);
	bool is_file = db_int(stmt, 1) != 0;
	db_done(stmt);
	if (n_users > 0)
		return ok();
	TRY(db_stmt(tx->db, "DELETE FROM message WHERE id = $1", &gone));
	db_bind(gone, 1, message);
	TRY(db_run(gone));
	tx->totals.size -= MIN(tx->totals.size, (uint64_t)size);
	if (is_file) {
		tx_unlink(tx, message);
		return ok();
	}
	TRY(db_stmt(tx->db, "DELETE FROM body WHERE message = $1", &body));
	db_bind(body, 1, message);
	return db_run(body);
}

/* What stands in lists: the reply's first line, else the words. */
static struct slice result_text(const struct queue_attempt *attempt)
{
	struct slice line, rest;
	(void)slice_cut(attempt->lines, '\n', &line, &rest);
	return cut_text(line.n > 0 ? line : attempt->why, RESULT_TEXT_MAX);
}

static struct status update_entry(struct tx *tx, struct entry_row *row,
                                  const struct queue_outcome *outcome)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct queue_entry *e = &row->entry;
	e->next_ms = outcome->next_ms;
	if (outcome->counts || outcome->lost)
		e->last_ms = outcome->attempt.ended_ms;
	e->n_attempts += outcome->counts;
	e->n_lost = outcome->lost ? e->n_lost + 1 : outcome->counts ? 0 : e->n_lost;
	e->delay_told = e->delay_told || outcome->delay_told;
	TRY(db_stmt(tx->db,
	            "UPDATE entry SET next_at = $1, last_at = $2, n_attempts = $3, n_lost = $4,"
	            " delay_told = $5, last_result = $6, n_history = $7 WHERE id = $8",
	            &stmt));
	db_bind(stmt, 1, e->next_ms);
	db_bind(stmt, 2, e->last_ms);
	db_bind(stmt, 3, e->n_attempts);
	db_bind(stmt, 4, e->n_lost);
	db_bind(stmt, 5, e->delay_told);
	db_bind_text(stmt, 6, result_text(&outcome->attempt));
	db_bind(stmt, 7, row->n_history);
	db_bind(stmt, 8, e->id);
	TRY(db_run(stmt));
	tx_tell_row(tx, row);
	return ok();
}

static struct status insert_retired(struct tx *tx, const struct entry_row *row,
                                    const struct queue_outcome *outcome)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	const struct queue_entry *e = &row->entry;
	int64_t keep_ms = atomic_load(&tx->queue->keep_retired_ms);
	if (keep_ms <= 0)
		return history_remove(tx->db, e->id);
	struct slice base = queue_base_address(e->recipient, &tx->arena);
	TRY(db_stmt(tx->db,
	            "INSERT INTO retired (" RETIRED_COLUMNS ", base) VALUES ($1, $2, $3, $4, $5,"
	            " $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,"
	            " $22)",
	            &stmt));
	db_bind(stmt, 1, e->id);
	db_bind(stmt, 2, e->message);
	db_bind_text(stmt, 3, e->account);
	db_bind_text(stmt, 4, e->sender);
	db_bind_text(stmt, 5, e->recipient);
	db_bind_text(stmt, 6, e->from);
	db_bind_text(stmt, 7, e->message_id);
	db_bind_text(stmt, 8, e->subject);
	db_bind_text(stmt, 9, e->envid);
	db_bind(stmt, 10, (int64_t)e->size);
	db_bind_text(stmt, 11, e->orcpt);
	db_bind(stmt, 12, e->notify);
	db_bind(stmt, 13, e->submitted_ms);
	db_bind(stmt, 14, MAX(outcome->attempt.ended_ms, e->last_ms));
	db_bind(stmt, 15, (int64_t)e->n_attempts + outcome->counts);
	db_bind(stmt, 16, outcome->state);
	db_bind_text(stmt, 17, e->transport);
	db_bind(stmt, 18, e->require_tls);
	db_bind_text(stmt, 19, result_text(&outcome->attempt));
	db_bind(stmt, 20, row->n_history);
	db_bind(stmt, 21, tx->now_ms + keep_ms);
	db_bind_text(stmt, 22, base);
	TRY(db_run(stmt));
	tx->totals.n_retired++;
	return ok();
}

static struct status insert_more(struct tx *tx, const struct entry_row *row,
                                 const struct queue_outcome *outcome)
{
	for (size_t i = 0; i < outcome->n_more; i++) {
		const struct queue_recipient *more = &outcome->more[i];
		struct entry_row added = *row;
		struct new_entry entry = {
		        .id = queue_new_ids(tx->queue, 1),
		        .message = row->entry.message,
		        .recipient = more->address,
		        .domain = queue_domain_of(more->address, &tx->arena),
		        .orcpt = more->orcpt,
		        .transport = slice_empty(),
		        .notify = more->notify,
		        .next_ms = outcome->next_ms,
		};
		TRY(entry_insert(tx, &entry));
		added.entry.id = entry.id;
		added.entry.domain = entry.domain;
		added.entry.transport = entry.transport;
		added.entry.next_ms = entry.next_ms;
		added.entry.n_attempts = 0;
		added.entry.state = QUEUE_WAITING;
		tx_tell_row(tx, &added);
	}
	return outcome->n_more
	               ? message_change_users(tx, row->entry.message, (int64_t)outcome->n_more)
	               : ok();
}

static struct status retire(struct tx *tx, const struct entry_row *row,
                            const struct queue_outcome *outcome)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(suppress_after(tx, row, outcome->suppress, &outcome->attempt));
	TRY(insert_retired(tx, row, outcome));
	TRY(insert_more(tx, row, outcome));
	TRY(db_stmt(tx->db, "DELETE FROM entry WHERE id = $1", &stmt));
	db_bind(stmt, 1, row->entry.id);
	TRY(db_run(stmt));
	tx->totals.n_entries -= MIN(tx->totals.n_entries, 1u);
	tx_tell_left(tx, row->entry.id);
	return message_change_users(tx, row->entry.message, -1);
}

static struct status apply_one(struct tx *tx, struct entry_row *row,
                               const struct queue_outcome *outcome)
{
	TRY(history_add(tx->db, row->entry.id, row->n_history++, &outcome->attempt));
	if (outcome->state == QUEUE_WAITING || outcome->state == QUEUE_HELD)
		return update_entry(tx, row, outcome);
	return retire(tx, row, outcome);
}

/* Notices first: they hold the message. */
struct status outcome_apply(struct tx *tx, struct queue_outcome *outcomes, size_t n)
{
	struct entry_row *rows = ARENA_ARRAY(&tx->arena, MAX(n, 1u), struct entry_row);
	if (!rows)
		return fail(ERR_IO, "too many outcomes at once");
	for (size_t i = 0; i < n; i++) {
		struct status status = row_find(tx->db, outcomes[i].entry, &tx->arena, &rows[i]);
		attempt_complete(&outcomes[i].attempt);
		outcomes[i].found = is_ok(status);
		if (status.code != ERR_NOT_FOUND)
			TRY(status);
	}
	TRY(notices_insert(tx, outcomes, rows, n));
	for (size_t i = 0; i < n; i++)
		if (outcomes[i].found)
			TRY(apply_one(tx, &rows[i], &outcomes[i]));
	return ok();
}

struct recording {
	struct request request;
	struct queue_outcome *outcomes;
	size_t n;
};

static struct status run_record(struct tx *tx, struct request *request)
{
	const struct recording *r = (const struct recording *)request;
	return outcome_apply(tx, r->outcomes, r->n);
}

struct status queue_record(struct queue *queue, struct queue_outcome *outcomes, size_t n)
{
	struct recording r = {.request.run = run_record, .outcomes = outcomes, .n = n};
	return writer_do(queue, &r.request);
}
