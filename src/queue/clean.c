/* What goes by time: submission ids of yesterday, retired entries past their time. */
#include "queue/queue_private.h"

#define PRUNE_EVERY_MS 600000
#define CLEAN_MAX      500 /* retired entries in one transaction */

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
