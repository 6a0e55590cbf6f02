/* Group commit: see queue_private.h. There is no thread of our own. */
#include "queue/queue_private.h"

#define BATCH_MAX 256u
/* Pages in the log after which the leader copies them into the database (see store/writer.c). */
#define LOG_PAGES_MAX 1000
/* Ids that a crash may skip. */
#define ID_RESERVE   1000
#define TX_ARENA_MAX ((size_t)256 * 1024 * 1024)

bool err_is_environment(enum err code)
{
	return code == ERR_IO || code == ERR_NO_SPACE || code == ERR_BUSY || code == ERR_CORRUPT;
}

/* ---- what a transaction collects ---- */

static void *grow_array(void *p, size_t n, size_t *capacity, size_t element_size)
{
	if (n < *capacity)
		return p;
	*capacity = MAX(2 * *capacity, (size_t)16);
	return base_realloc(p, *capacity * element_size);
}

void tx_tell(struct tx *tx, const struct queue_brief *brief)
{
	tx->events =
	        grow_array(tx->events, tx->n_events, &tx->events_capacity, sizeof(tx->events[0]));
	struct event *event = &tx->events[tx->n_events++];
	*event = (struct event){.brief = *brief};
	event->brief.account = arena_copy(&tx->arena, brief->account);
	event->brief.sender_domain = arena_copy(&tx->arena, brief->sender_domain);
	event->brief.domain = arena_copy(&tx->arena, brief->domain);
	event->brief.transport = arena_copy(&tx->arena, brief->transport);
}

void tx_tell_left(struct tx *tx, int64_t id)
{
	tx->events =
	        grow_array(tx->events, tx->n_events, &tx->events_capacity, sizeof(tx->events[0]));
	tx->events[tx->n_events++] = (struct event){.left = true, .brief.id = id};
}

void tx_unlink(struct tx *tx, int64_t message)
{
	tx->unlink =
	        grow_array(tx->unlink, tx->n_unlink, &tx->unlink_capacity, sizeof(tx->unlink[0]));
	tx->unlink[tx->n_unlink++] = message;
}

int64_t queue_new_ids(struct queue *queue, int64_t n)
{
	return atomic_fetch_add(&queue->next_id, n);
}

/* ---- one transaction ---- */

static struct status reserve_ids(struct tx *tx, int64_t *ret_reserved)
{
	struct queue *queue = tx->queue;
	int64_t next = atomic_load(&queue->next_id);
	*ret_reserved = atomic_load(&queue->reserved_id);
	if (next <= *ret_reserved)
		return ok();
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	TRY(db_stmt(tx->db, "UPDATE counter SET next_id = $1 WHERE id = 1", &stmt));
	*ret_reserved = next + ID_RESERVE;
	db_bind(stmt, 1, *ret_reserved);
	return db_run(stmt);
}

static void tx_begin(struct tx *tx, struct queue *queue)
{
	*tx = (struct tx){
	        .queue = queue,
	        .db = queue->writer,
	        .now_ms = clock_now_us(queue->options.clock) / 1000,
	};
	arena_init(&tx->arena, TX_ARENA_MAX);
	pthread_mutex_lock(&queue->lock);
	tx->totals = queue->totals;
	pthread_mutex_unlock(&queue->lock);
}

static void tx_done(struct tx *tx)
{
	base_free(tx->events);
	base_free(tx->unlink);
	arena_done(&tx->arena);
}

static struct status run_requests(struct tx *tx, struct request *const *batch, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		batch[i]->status = batch[i]->run(tx, batch[i]);
		if (err_is_environment(batch[i]->status.code))
			return batch[i]->status;
	}
	if (arena_failed(&tx->arena))
		return fail(ERR_IO, "the change is too large for the memory it may take");
	return ok();
}

static struct status commit(struct tx *tx)
{
	int64_t reserved = 0;
	TRY(reserve_ids(tx, &reserved));
	if (tx->n_unlink > 0)
		TRY(blobs_mark(&tx->queue->blobs));
	TRY(db_commit(tx->db));
	atomic_store(&tx->queue->reserved_id, reserved);
	return ok();
}

static void tell(const struct queue_observer *observer, const struct tx *tx)
{
	if (observer->begin)
		observer->begin(observer->context);
	for (size_t i = 0; i < tx->n_events; i++) {
		const struct event *event = &tx->events[i];
		if (event->left)
			observer->left(observer->context, event->brief.id);
		else
			observer->changed(observer->context, &event->brief);
	}
	if (observer->end)
		observer->end(observer->context);
}

/* After the commit: files go, numbers are published, the observer hears. */
static void publish(struct tx *tx)
{
	struct queue *queue = tx->queue;
	for (size_t i = 0; i < tx->n_unlink; i++)
		blob_remove(&queue->blobs, tx->unlink[i]);
	pthread_mutex_lock(&queue->lock);
	queue->totals = tx->totals;
	pthread_mutex_unlock(&queue->lock);
	if (tx->rules_changed && !is_ok(hold_rules_load(queue, queue->writer)))
		atomic_store(&queue->broken, true); /* rules of another time must not go on */
	tell(&queue->options.observer, tx);
}

static void undo(struct queue *queue)
{
	db_rollback(queue->writer);
	if (!db_sync_failed(queue->writer))
		return;
	atomic_store(&queue->broken, true);
	atomic_store(&queue->blobs.unclean, true);
}

/* False when it was rolled back though some request in it may have been good. */
static bool try_batch(struct queue *queue, struct request *const *batch, size_t n)
{
	struct tx tx;
	struct status status = db_begin(queue->writer);
	if (!is_ok(status)) {
		for (size_t i = 0; i < n; i++)
			batch[i]->status = status;
		return true;
	}
	tx_begin(&tx, queue);
	status = run_requests(&tx, batch, n);
	if (is_ok(status))
		status = commit(&tx);
	if (is_ok(status)) {
		publish(&tx);
	} else {
		undo(queue);
		for (size_t i = 0; i < n; i++)
			if (is_ok(batch[i]->status))
				batch[i]->status = status;
	}
	tx_done(&tx);
	return is_ok(status);
}

static void run_batch(struct queue *queue, struct request *const *batch, size_t n)
{
	if (atomic_load(&queue->broken)) {
		for (size_t i = 0; i < n; i++)
			batch[i]->status =
			        fail(ERR_IO, "the queue stopped writing after a failed sync");
		return;
	}
	if (try_batch(queue, batch, n) || n == 1)
		return;
	for (size_t i = 0; i < n; i++)
		run_batch(queue, &batch[i], 1);
}

/* ---- the line ---- */

static size_t take_batch(struct queue *queue, struct request **batch)
{
	size_t n = 0;
	while (queue->first && n < BATCH_MAX) {
		batch[n++] = queue->first;
		queue->first = queue->first->next;
	}
	if (!queue->first)
		queue->last = &queue->first;
	return n;
}

static void checkpoint(struct queue *queue)
{
	/* Its failure loses nothing: the log still has the pages. */
	if (db_log_pages(queue->writer) >= LOG_PAGES_MAX &&
	    !is_ok(db_checkpoint(queue->writer, false)) && db_sync_failed(queue->writer))
		atomic_store(&queue->broken, true);
}

static void lead(struct queue *queue)
{
	struct request *batch[BATCH_MAX];
	size_t n = take_batch(queue, batch);
	pthread_mutex_unlock(&queue->lock);
	run_batch(queue, batch, n);
	pthread_mutex_lock(&queue->lock);
	for (size_t i = 0; i < n; i++) {
		batch[i]->done = true;
		pthread_cond_signal(&batch[i]->wake);
	}
	pthread_mutex_unlock(&queue->lock);
	checkpoint(queue);
	pthread_mutex_lock(&queue->lock);
	if (queue->first) {
		queue->first->leads = true;
		pthread_cond_signal(&queue->first->wake);
	} else {
		queue->writing = false;
	}
}

void writer_do_all(struct queue *queue, struct request *const *requests, size_t n)
{
	pthread_mutex_lock(&queue->lock);
	for (size_t i = 0; i < n; i++) {
		struct request *request = requests[i];
		pthread_cond_init(&request->wake, NULL);
		request->next = NULL;
		*queue->last = request;
		queue->last = &request->next;
	}
	if (n > 0 && !queue->writing) {
		queue->writing = true;
		queue->first->leads = true;
	}
	for (size_t i = 0; i < n; i++) {
		while (!requests[i]->done && !requests[i]->leads)
			pthread_cond_wait(&requests[i]->wake, &queue->lock);
		if (!requests[i]->done)
			lead(queue);
	}
	pthread_mutex_unlock(&queue->lock);
	for (size_t i = 0; i < n; i++)
		pthread_cond_destroy(&requests[i]->wake);
}

struct status writer_do(struct queue *queue, struct request *request)
{
	writer_do_all(queue, &request, 1);
	return request->status;
}

/* ---- readers ---- */

struct status reader_lock(struct queue *queue, struct reader *reader)
{
	pthread_mutex_lock(&reader->lock);
	struct status status =
	        reader->db ? ok()
	                   : db_open(queue->path, queue->options.vfs, DB_READER, &reader->db);
	if (!is_ok(status))
		pthread_mutex_unlock(&reader->lock);
	return status;
}

void reader_unlock(struct reader *reader)
{
	pthread_mutex_unlock(&reader->lock);
}
