/* Bodies: taken in, given out, swept after a crash. Small ones stand in the database, large ones
 * are files (store/blob.h). A checksum (XXH3-128, against decay of the disk) is compared whenever a
 * body is read. */
#include "queue/queue_private.h"

#include "os/fd.h"

#define PIECE ((size_t)64 * 1024)

static void write_sum(const XXH3_state_t *state, uint8_t sum[SUM_SIZE])
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
	memcpy(sum, canonical.digest, SUM_SIZE);
}

static XXH3_state_t *new_sum(void)
{
	XXH3_state_t *state = XXH3_createState();
	ASSERT(state != NULL);
	(void)XXH3_128bits_reset(state); /* fails for NULL only */
	return state;
}

/* ---- in ---- */

static struct status take_inline(int fd, XXH3_state_t *sum, struct body *body)
{
	body->bytes = base_alloc((size_t)body->size);
	TRY(fd_pread_all(fd, body->bytes, (size_t)body->size, 0, NULL));
	(void)XXH3_128bits_update(sum, body->bytes, (size_t)body->size);
	return ok();
}

static struct status copy_in(struct queue *queue, int from, int to, XXH3_state_t *sum,
                             uint64_t size)
{
	CLEANUP(base_freep) uint8_t *piece = base_alloc(PIECE);
	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)MIN((uint64_t)PIECE, size - at);
		TRY(fd_pread_all(from, piece, n, at, NULL));
		(void)XXH3_128bits_update(sum, piece, n);
		TRY(blob_write(&queue->blobs, to, slice_of(piece, n)));
		at += n;
	}
	return ok();
}

static struct status take_file(struct queue *queue, int64_t message, int fd, XXH3_state_t *sum,
                               struct body *body)
{
	CLEANUP(fd_close) int file = -1;
	TRY(blob_create(&queue->blobs, message, &file));
	body->is_file = true;
	TRY(copy_in(queue, fd, file, sum, body->size));
	TRY(blob_sync(&queue->blobs, file));
	return blob_sync_folder(&queue->blobs, message);
}

struct status body_take(struct queue *queue, int64_t message, int fd, uint64_t size,
                        struct body *ret_body)
{
	XXH3_state_t *sum = new_sum();
	*ret_body = (struct body){.size = size};
	struct status status = size <= queue->options.inline_max
	                               ? take_inline(fd, sum, ret_body)
	                               : take_file(queue, message, fd, sum, ret_body);
	write_sum(sum, ret_body->sum);
	XXH3_freeState(sum);
	return status;
}

void body_done(struct queue *queue, int64_t message, struct body *body)
{
	base_free(body->bytes);
	body->bytes = NULL;
	if (body->is_file && !body->kept)
		blob_remove(&queue->blobs, message);
}

/* ---- out ---- */

static struct status damaged(void)
{
	return fail(ERR_CORRUPT, "the stored message is damaged");
}

static struct status check_bytes(struct slice bytes, struct slice expected)
{
	uint8_t sum[SUM_SIZE];
	XXH3_state_t *state = new_sum();
	(void)XXH3_128bits_update(state, bytes.p, bytes.n);
	write_sum(state, sum);
	XXH3_freeState(state);
	return slice_eq(slice_of(sum, SUM_SIZE), expected) ? ok() : damaged();
}

static struct status check_file(struct queue *queue, int fd, uint64_t size, struct slice expected)
{
	CLEANUP(base_freep) uint8_t *piece = base_alloc(PIECE);
	uint8_t sum[SUM_SIZE];
	struct status status = ok();
	XXH3_state_t *state = new_sum();
	for (uint64_t at = 0; at < size && is_ok(status);) {
		size_t n = 0;
		status = blob_read(&queue->blobs, fd, at, piece,
		                   (size_t)MIN((uint64_t)PIECE, size - at), &n);
		if (is_ok(status) && n == 0)
			status = damaged();
		(void)XXH3_128bits_update(state, piece, n);
		at += n;
	}
	write_sum(state, sum);
	XXH3_freeState(state);
	TRY(status);
	return slice_eq(slice_of(sum, SUM_SIZE), expected) ? ok() : damaged();
}

static struct status open_file(struct queue *queue, int64_t message, uint64_t size,
                               struct slice sum, int *ret_fd)
{
	CLEANUP(fd_close) int fd = -1;
	uint64_t there = 0;
	struct status status = blob_open(&queue->blobs, message, &fd);
	if (status.code == ERR_NOT_FOUND)
		return damaged();
	TRY(status);
	TRY(fd_size(fd, &there));
	if (there != size)
		return damaged();
	TRY(check_file(queue, fd, size, sum));
	*ret_fd = TAKE_FD(fd);
	return ok();
}

struct stored_body {
	bool is_file;
	uint64_t size;
	uint8_t sum[SUM_SIZE];
};

/* One in a file is only looked up: it is read when the lock is free again. */
static struct status find_body(struct db *db, int64_t message, struct stored_body *ret_body,
                               int *ret_fd)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT m.is_file, m.size, m.xxh3_128, b.bytes FROM message m"
	            " LEFT JOIN body b ON b.message = m.id WHERE m.id = $1",
	            &stmt));
	db_bind(stmt, 1, message);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "there is no such message");
	struct slice sum = db_bytes(stmt, 2);
	if (sum.n != SUM_SIZE)
		return damaged();
	*ret_body = (struct stored_body){db_int(stmt, 0) != 0, (uint64_t)db_int(stmt, 1), {0}};
	memcpy(ret_body->sum, sum.p, SUM_SIZE);
	struct slice bytes = db_bytes(stmt, 3);
	if (ret_body->is_file)
		return ok();
	if (bytes.n != ret_body->size)
		return damaged();
	TRY(check_bytes(bytes, sum));
	return memfd_new_sealed("message", bytes, ret_fd);
}

struct status queue_body(struct queue *queue, int64_t message, int *ret_fd)
{
	struct stored_body body;
	TRY(reader_lock(queue, &queue->deliveries));
	struct status status = find_body(queue->deliveries.db, message, &body, ret_fd);
	reader_unlock(&queue->deliveries);
	if (!is_ok(status) || !body.is_file)
		return status;
	return open_file(queue, message, body.size, slice_of(body.sum, SUM_SIZE), ret_fd);
}

/* ---- sweep ---- */

struct sweep {
	struct queue *queue;
	struct db *db;
};

static struct status sweep_file(void *context, int64_t id, const char *name)
{
	const struct sweep *sweep = context;
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	bool row = false;
	(void)name;
	if (id == 0)
		return ok(); /* none of ours */
	TRY(db_stmt(sweep->db, "SELECT 1 FROM message WHERE id = $1 AND is_file = 1", &stmt));
	db_bind(stmt, 1, id);
	TRY(db_step(stmt, &row));
	if (!row)
		blob_remove(&sweep->queue->blobs, id);
	return ok();
}

struct status bodies_sweep(struct queue *queue, struct db *db)
{
	struct sweep sweep = {queue, db};
	return blobs_list(&queue->blobs, sweep_file, &sweep);
}
