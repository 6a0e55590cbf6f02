/* The queue's life: opened, counted, closed. */
#include "queue/queue_private.h"

#define INLINE_MAX_DEFAULT ((uint64_t)64 * 1024)

static struct status read_number(struct db *db, const char *sql, int64_t *ret_number)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db, sql, &stmt));
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_CORRUPT, "the queue's counter is missing");
	*ret_number = db_int(stmt, 0);
	return ok();
}

static struct status count(struct queue *queue)
{
	int64_t next_id = 0, n_entries = 0, n_retired = 0, size = 0;
	struct db *db = queue->writer;
	TRY(read_number(db, "SELECT next_id FROM counter WHERE id = 1", &next_id));
	TRY(read_number(db, "SELECT COUNT(*) FROM entry", &n_entries));
	TRY(read_number(db, "SELECT COUNT(*) FROM retired", &n_retired));
	TRY(read_number(db, "SELECT COALESCE(SUM(size), 0) FROM message", &size));
	atomic_store(&queue->next_id, next_id);
	atomic_store(&queue->reserved_id, next_id);
	queue->totals = (struct queue_totals){
	        .n_entries = (uint64_t)n_entries,
	        .n_retired = (uint64_t)n_retired,
	        .size = (uint64_t)size,
	};
	return ok();
}

static struct status open_parts(struct queue *queue)
{
	bool sweep = false;
	TRY(db_open(queue->path, queue->options.vfs, DB_WRITER, &queue->writer));
	TRY(schema_prepare(queue->writer));
	/* After a crash or a failed sync: the database file itself is written and synced before
	 * anything is added to the log. */
	TRY(db_checkpoint(queue->writer, true));
	TRY(blobs_init(&queue->blobs, queue->options.dir_fd, queue->options.io, &sweep));
	if (sweep)
		TRY(bodies_sweep(queue, queue->writer));
	TRY(hold_rules_load(queue, queue->writer));
	return count(queue);
}

static void reader_init(struct reader *reader)
{
	pthread_mutex_init(&reader->lock, NULL);
}

struct status queue_open(const struct queue_options *options, struct queue **ret_queue)
{
	struct queue *queue = base_alloc(sizeof(*queue));
	queue->options = *options;
	if (queue->options.inline_max == 0)
		queue->options.inline_max = INLINE_MAX_DEFAULT;
	queue->path = base_strdup(options->path);
	queue->blobs.fd = -1;
	queue->last = &queue->first;
	pthread_mutex_init(&queue->lock, NULL);
	reader_init(&queue->deliveries);
	reader_init(&queue->people);
	queue_set_limits(queue, options->max_entries, options->max_size, options->keep_retired_ms);
	struct status status = open_parts(queue);
	if (!is_ok(status)) {
		queue_close(queue);
		return status;
	}
	*ret_queue = queue;
	return ok();
}

void queue_close(struct queue *queue)
{
	if (!queue)
		return;
	if (queue->writer && !queue_is_broken(queue))
		(void)db_checkpoint(queue->writer, true); /* else the next start does it */
	db_close(queue->deliveries.db);
	db_close(queue->people.db);
	db_close(queue->writer);
	blobs_done(&queue->blobs);
	arena_done(&queue->rules.arena);
	pthread_mutex_destroy(&queue->lock);
	pthread_mutex_destroy(&queue->deliveries.lock);
	pthread_mutex_destroy(&queue->people.lock);
	base_free(queue->path);
	base_free(queue);
}

void queue_set_limits(struct queue *queue, uint64_t max_entries, uint64_t max_size,
                      int64_t keep_retired_ms)
{
	atomic_store(&queue->max_entries, max_entries);
	atomic_store(&queue->max_size, max_size);
	atomic_store(&queue->keep_retired_ms, keep_retired_ms);
}

bool queue_is_broken(const struct queue *queue)
{
	return atomic_load(&queue->broken);
}

void queue_totals(struct queue *queue, struct queue_totals *ret_totals)
{
	pthread_mutex_lock(&queue->lock);
	*ret_totals = queue->totals;
	pthread_mutex_unlock(&queue->lock);
}

static struct status replay(struct queue *queue, struct db *db)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	const struct queue_observer *observer = &queue->options.observer;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT " ENTRY_COLUMNS
	            " FROM entry e JOIN message m ON m.id = e.message ORDER BY e.id",
	            &stmt));
	TRY(db_step(stmt, &row));
	while (row) {
		struct entry_row entry;
		struct queue_brief brief;
		row_read(stmt, NULL, &entry);
		row_brief(&entry, &brief);
		observer->changed(observer->context, &brief);
		TRY(db_step(stmt, &row));
	}
	return ok();
}

struct status queue_replay(struct queue *queue)
{
	TRY(reader_lock(queue, &queue->deliveries));
	if (queue->options.observer.begin)
		queue->options.observer.begin(queue->options.observer.context);
	struct status status = replay(queue, queue->deliveries.db);
	if (queue->options.observer.end)
		queue->options.observer.end(queue->options.observer.context);
	reader_unlock(&queue->deliveries);
	return status;
}
