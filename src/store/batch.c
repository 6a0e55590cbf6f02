/* Reading many messages one after another: the bodies that stand in the index are copied out of it
 * a piece at a time, in one snapshot and mostly by stepping along the table, and then given out as
 * blobs that share the piece. No connection is kept while the caller waits for a slow peer.
 *
 * Memory: a piece of STORE_BATCH_SIZE and one body more, as long as the batch or a blob of it
 * lives.
 */
#include "store/store_private.h"

enum row_kind { ROW_MISSING, ROW_INLINE, ROW_FILE, ROW_BROKEN };

struct batch_row {
	struct store_message_id message;
	enum row_kind kind;
	size_t offset; /* in the piece */
	struct content_row content;
};

struct store_batch {
	struct store *store;
	struct piece *piece; /* NULL before the first read */
	size_t n_bytes;
	struct batch_row *rows; /* STORE_BATCH_MAX */
	size_t n_rows;
	XXH3_state_t *sum;
};

/* ---- pieces --------------------------------------------------------------------------------- */

static struct piece *piece_new(size_t capacity)
{
	struct piece *piece = malloc(sizeof(*piece) + capacity);
	if (!piece)
		BUG("out of memory");
	piece->refs = 1;
	piece->capacity = capacity;
	return piece;
}

void piece_unref(struct piece *piece)
{
	if (piece && --piece->refs == 0)
		base_free(piece);
}

/* An empty piece: the last one, unless a blob is still in it. */
static void start_piece(struct store_batch *batch)
{
	batch->n_bytes = 0;
	if (batch->piece && batch->piece->refs == 1)
		return;
	piece_unref(batch->piece);
	batch->piece = piece_new(STORE_BATCH_SIZE);
}

/* No blob has the piece yet: it may move. */
static size_t keep_bytes(struct store_batch *batch, struct slice bytes)
{
	struct piece *piece = batch->piece;
	size_t offset = batch->n_bytes;
	if (bytes.n > piece->capacity - offset) {
		size_t capacity = offset + bytes.n;
		piece = base_realloc(piece, sizeof(*piece) + capacity);
		piece->capacity = capacity;
		batch->piece = piece;
	}
	memcpy(piece->bytes + offset, bytes.p, bytes.n);
	batch->n_bytes += bytes.n;
	return offset;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void read_found(struct store_batch *batch, struct db_stmt *stmt, struct batch_row *row)
{
	struct slice bytes;
	if (!is_ok(content_row_read(stmt, &row->content, &bytes))) {
		row->kind = ROW_BROKEN;
	} else if (row->content.is_file) {
		row->kind = ROW_FILE;
	} else {
		row->kind = ROW_INLINE;
		row->offset = keep_bytes(batch, bytes);
	}
}

static struct status gather(struct store_batch *batch, struct db *db,
                            const struct store_message_id *ids, size_t n)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	int64_t at = 0;
	bool found = false;
	TRY(db_stmt(db,
	            "SELECT id, size, prefix_size, is_file, xxh3_128, bytes FROM content"
	            " WHERE id >= $1 ORDER BY id",
	            &stmt));
	while (batch->n_rows < n && batch->n_bytes < STORE_BATCH_SIZE) {
		struct batch_row *row = &batch->rows[batch->n_rows];
		*row = (struct batch_row){.message = ids[batch->n_rows], .kind = ROW_MISSING};
		/* A row that is stepped over is a body read in vain: only to the very next. */
		TRY(rows_seek(stmt, row->message.v, 1, &at, &found));
		if (found)
			read_found(batch, stmt, row);
		batch->n_rows++;
	}
	return ok();
}

struct store_batch *store_batch_new(struct store *store)
{
	struct store_batch *batch = base_alloc(sizeof(*batch));
	batch->store = store;
	batch->rows = base_alloc(STORE_BATCH_MAX * sizeof(batch->rows[0]));
	batch->sum = sum_new();
	return batch;
}

void store_batch_free(struct store_batch *batch)
{
	if (!batch)
		return;
	piece_unref(batch->piece);
	XXH3_freeState(batch->sum);
	base_free(batch->rows);
	base_free(batch);
}

struct status store_batch_read(struct store_batch *batch, const struct store_message_id *ids,
                               size_t n, size_t *ret_n)
{
	struct db *db = NULL;
	batch->n_rows = 0;
	start_piece(batch);
	TRY(reader_take(batch->store, &db));
	struct status status = db_begin(db);
	if (is_ok(status))
		status = gather(batch, db, ids, MIN(n, (size_t)STORE_BATCH_MAX));
	db_rollback(db);
	reader_give(batch->store, db);
	*ret_n = batch->n_rows;
	/* What stands before the fault can be given; the next read meets it first. */
	return batch->n_rows > 0 ? ok() : status;
}

struct status store_batch_open(struct store_batch *batch, size_t i, struct store_blob **ret_blob)
{
	ASSERT(i < batch->n_rows);
	const struct batch_row *row = &batch->rows[i];
	switch (row->kind) {
	case ROW_INLINE:
		break;
	case ROW_FILE:
		return store_blob_open(batch->store, row->message, ret_blob);
	case ROW_BROKEN:
		return fail(ERR_CORRUPT, "a message's row contradicts itself");
	case ROW_MISSING:
		return fail(ERR_NOT_FOUND, "no such message");
	}
	return blob_in_piece(&row->content, batch->piece, row->offset, batch->sum, ret_blob);
}
