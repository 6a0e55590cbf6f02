/* Notices: what senders are still to be told. */
#include "queue/queue_private.h"

#define TOLD_MAX 10000u /* recipients of one notice */

/* ---- made ---- */

static struct status insert_notice(struct tx *tx, int64_t id, int64_t message,
                                   enum queue_notice_kind kind)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db,
	            "INSERT INTO notice (id, message, kind, made_at, next_at, n_tries)"
	            " VALUES ($1, $2, $3, $4, $5, 0)",
	            &stmt));
	db_bind(stmt, 1, id);
	db_bind(stmt, 2, message);
	db_bind(stmt, 3, kind);
	db_bind(stmt, 4, tx->now_ms);
	db_bind(stmt, 5, tx->now_ms);
	TRY(db_run(stmt));
	return message_change_users(tx, message, 1);
}

static struct status insert_told(struct tx *tx, int64_t notice, const struct entry_row *row,
                                 const struct queue_outcome *outcome)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	const struct queue_attempt *a = &outcome->attempt;
	TRY(db_stmt(tx->db,
	            "INSERT INTO told (notice, entry, recipient, orcpt, next_at, retry_until,"
	            " started_at, ended_at, host, address, code, enhanced, lines, why, result,"
	            " n_attempts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
	            " $13, $14, $15, $16)",
	            &stmt));
	db_bind(stmt, 1, notice);
	db_bind(stmt, 2, row->entry.id);
	db_bind_text(stmt, 3, row->entry.recipient);
	db_bind_text(stmt, 4, row->entry.orcpt);
	db_bind(stmt, 5, outcome->next_ms);
	db_bind(stmt, 6, outcome->retry_until_ms);
	db_bind(stmt, 7, a->started_ms);
	db_bind(stmt, 8, a->ended_ms);
	db_bind_text(stmt, 9, cut_text(a->remote_host, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 10, cut_text(a->remote_address, QUEUE_TEXT_MAX));
	db_bind(stmt, 11, a->code);
	db_bind_text(stmt, 12, cut_text(a->enhanced, QUEUE_TEXT_MAX));
	db_bind_text(stmt, 13, cut_text(a->lines, QUEUE_LINES_SIZE_MAX));
	db_bind_text(stmt, 14, cut_text(a->why, QUEUE_TEXT_MAX));
	db_bind(stmt, 15, a->result);
	db_bind(stmt, 16, (int64_t)row->entry.n_attempts + outcome->counts);
	return db_run(stmt);
}

static bool goes_with(const struct queue_outcome *outcomes, const struct entry_row *rows, size_t i,
                      size_t first)
{
	return outcomes[i].found && outcomes[i].notice == outcomes[first].notice &&
	       rows[i].entry.message == rows[first].entry.message;
}

static bool is_first(const struct queue_outcome *outcomes, const struct entry_row *rows, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (goes_with(outcomes, rows, j, i))
			return false;
	return true;
}

struct status notices_insert(struct tx *tx, const struct queue_outcome *outcomes,
                             const struct entry_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!outcomes[i].found || outcomes[i].notice == QUEUE_NOTICE_NONE ||
		    !is_first(outcomes, rows, i))
			continue;
		int64_t id = queue_new_ids(tx->queue, 1);
		TRY(insert_notice(tx, id, rows[i].entry.message, outcomes[i].notice));
		for (size_t j = i; j < n; j++)
			if (goes_with(outcomes, rows, j, i))
				TRY(insert_told(tx, id, &rows[j], &outcomes[j]));
	}
	return ok();
}

/* ---- read ---- */

static struct status read_told(struct db *db, int64_t notice, struct arena *arena,
                               struct queue_told **ret_told, size_t *ret_n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	CLEANUP(db_donep) struct db_stmt *count = NULL;
	bool row = false;
	size_t n = 0;
	TRY(db_stmt(db, "SELECT COUNT(*) FROM told WHERE notice = $1", &count));
	db_bind(count, 1, notice);
	TRY(db_step(count, &row));
	size_t n_max = (size_t)MAX(MIN(db_int(count, 0), (int64_t)TOLD_MAX), 1);
	struct queue_told *told = ARENA_ARRAY(arena, n_max, struct queue_told);
	TRY(db_stmt(db,
	            "SELECT entry, recipient, orcpt, next_at, retry_until, started_at, ended_at,"
	            " host, address, code, enhanced, lines, why, result, n_attempts FROM told"
	            " WHERE notice = $1 ORDER BY entry",
	            &stmt));
	db_bind(stmt, 1, notice);
	while (told && n < n_max) {
		TRY(db_step(stmt, &row));
		if (!row)
			break;
		struct queue_told *t = &told[n++];
		t->entry = db_int(stmt, 0);
		t->recipient = row_text(stmt, 1, arena);
		t->orcpt = row_text(stmt, 2, arena);
		t->next_ms = db_int(stmt, 3);
		t->retry_until_ms = db_int(stmt, 4);
		t->attempt = (struct queue_attempt){
		        .started_ms = db_int(stmt, 5),
		        .ended_ms = db_int(stmt, 6),
		        .transport = slice_empty(),
		        .route = slice_empty(),
		        .remote_host = row_text(stmt, 7, arena),
		        .remote_address = row_text(stmt, 8, arena),
		        .code = (uint32_t)db_int(stmt, 9),
		        .enhanced = row_text(stmt, 10, arena),
		        .lines = row_text(stmt, 11, arena),
		        .why = row_text(stmt, 12, arena),
		        .tls = slice_empty(),
		        .result = (enum queue_result)db_int(stmt, 13),
		};
		t->n_attempts = (uint32_t)db_int(stmt, 14);
	}
	*ret_told = told;
	*ret_n = n;
	return arena_failed(arena) ? fail(ERR_LIMIT, "a notice is too large") : ok();
}

static struct status next_notice(struct db *db, int64_t now_ms, struct arena *arena,
                                 struct queue_notice *ret_notice, int64_t *ret_next_ms)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	*ret_next_ms = INT64_MAX;
	TRY(db_stmt(db,
	            "SELECT id, message, kind, made_at, next_at, n_tries FROM notice"
	            " ORDER BY next_at, id LIMIT 1",
	            &stmt));
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "no notice waits");
	*ret_next_ms = db_int(stmt, 4);
	if (*ret_next_ms > now_ms)
		return fail(ERR_NOT_FOUND, "no notice is due");
	*ret_notice = (struct queue_notice){
	        .id = db_int(stmt, 0),
	        .kind = (enum queue_notice_kind)db_int(stmt, 2),
	        .at_ms = db_int(stmt, 3),
	        .n_tries = (uint32_t)db_int(stmt, 5),
	};
	int64_t message = db_int(stmt, 1);
	TRY(message_read(db, message, arena, &ret_notice->message));
	return read_told(db, ret_notice->id, arena, &ret_notice->told, &ret_notice->n_told);
}

struct status queue_notice_next(struct queue *queue, int64_t now_ms, struct arena *arena,
                                struct queue_notice *ret_notice, int64_t *ret_next_ms)
{
	TRY(reader_lock(queue, &queue->deliveries));
	struct status status =
	        next_notice(queue->deliveries.db, now_ms, arena, ret_notice, ret_next_ms);
	reader_unlock(&queue->deliveries);
	return status;
}

/* ---- ended ---- */

struct ending {
	struct request request;
	int64_t id, next_ms;
};

static struct status run_done(struct tx *tx, struct request *request)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	CLEANUP(db_donep) struct db_stmt *told = NULL;
	int64_t id = ((const struct ending *)request)->id;
	bool row = false;
	TRY(db_stmt(tx->db, "DELETE FROM notice WHERE id = $1 RETURNING message", &stmt));
	db_bind(stmt, 1, id);
	TRY(db_step(stmt, &row));
	if (!row)
		return ok();
	int64_t message = db_int(stmt, 0);
	db_done(stmt);
	TRY(db_stmt(tx->db, "DELETE FROM told WHERE notice = $1", &told));
	db_bind(told, 1, id);
	TRY(db_run(told));
	return message_change_users(tx, message, -1);
}

struct status queue_notice_done(struct queue *queue, int64_t id)
{
	struct ending ending = {.request.run = run_done, .id = id};
	return writer_do(queue, &ending.request);
}

static struct status run_later(struct tx *tx, struct request *request)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	const struct ending *ending = (const struct ending *)request;
	TRY(db_stmt(tx->db, "UPDATE notice SET next_at = $1, n_tries = n_tries + 1 WHERE id = $2",
	            &stmt));
	db_bind(stmt, 1, ending->next_ms);
	db_bind(stmt, 2, ending->id);
	return db_run(stmt);
}

struct status queue_notice_later(struct queue *queue, int64_t id, int64_t next_ms)
{
	struct ending ending = {.request.run = run_later, .id = id, .next_ms = next_ms};
	return writer_do(queue, &ending.request);
}
