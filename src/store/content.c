/* Reading a message's bytes: inline ones come whole and checked; those in files are read in place,
 * and checked when they were read from start to end. */
#include "store/store_private.h"

#include "os/fd.h"

struct store_blob {
	struct span span; /* first: its reader is ours */
	struct status (*read_span)(const struct store_reader *r, uint64_t offset, uint8_t *p,
	                           size_t n, size_t *ret_n);
	uint8_t *head; /* the whole message, or the prefix of one in a file */
	size_t n_head;
	struct piece *piece; /* that head is in; NULL: it is the blob's own */
	size_t prefix_size;
	XXH3_state_t *sum; /* of a file's first `hashed` bytes */
	uint64_t hashed;
	uint64_t body_size;
	uint8_t expected[SUM_SIZE];
};

static bool sum_is_right(struct store_blob *blob)
{
	uint8_t sum[SUM_SIZE];
	XXH3_128bits_update(blob->sum, blob->head, blob->prefix_size);
	sum_write(XXH3_128bits_digest(blob->sum), sum);
	return memcmp(sum, blob->expected, SUM_SIZE) == 0;
}

static struct status corrupt(void)
{
	return fail(ERR_CORRUPT, "a message's bytes fail their checksum");
}

/* Follows a reader that goes from start to end; others are not checked. */
static struct status read_checked(const struct store_reader *r, uint64_t offset, uint8_t *p,
                                  size_t n, size_t *ret_n)
{
	struct store_blob *blob = (struct store_blob *)span_of(r);
	size_t got = 0;
	TRY(blob->read_span(r, offset, p, n, &got));
	if (got < n && offset + got < r->size)
		return fail(ERR_CORRUPT, "a message's file is too short");
	uint64_t next = blob->prefix_size + blob->hashed, end = offset + got;
	if (blob->hashed < blob->body_size && offset <= next && next < end) {
		XXH3_128bits_update(blob->sum, p + (next - offset), (size_t)(end - next));
		blob->hashed += end - next;
		if (blob->hashed == blob->body_size && !sum_is_right(blob))
			return corrupt();
	}
	*ret_n = got;
	return ok();
}

struct status content_row_read(struct db_stmt *stmt, struct content_row *ret_row,
                               struct slice *ret_bytes)
{
	uint64_t size = (uint64_t)db_int(stmt, 1), prefix_size = (uint64_t)db_int(stmt, 2);
	struct slice sum = db_bytes(stmt, 4), bytes = db_bytes(stmt, 5);
	bool is_file = db_int(stmt, 3) != 0;
	if (sum.n != SUM_SIZE || size > INT64_MAX || prefix_size > size ||
	    bytes.n != (is_file ? prefix_size : size))
		return fail(ERR_CORRUPT, "a message's row contradicts itself");
	ret_row->size = size;
	ret_row->prefix_size = (size_t)prefix_size;
	ret_row->is_file = is_file;
	memcpy(ret_row->sum, sum.p, SUM_SIZE);
	*ret_bytes = bytes;
	return ok();
}

static void set_row(struct store_blob *blob, const struct content_row *row)
{
	memcpy(blob->expected, row->sum, SUM_SIZE);
	blob->prefix_size = row->prefix_size;
	blob->body_size = row->size - row->prefix_size;
}

static struct status read_row(struct db *db, struct store_message_id id, struct store_blob *blob,
                              bool *ret_is_file)
{
	CLEANUP(db_donep) struct db_stmt *stmt = NULL;
	struct content_row content;
	struct slice bytes;
	bool row = false;
	TRY(db_stmt(db,
	            "SELECT id, size, prefix_size, is_file, xxh3_128, bytes FROM content"
	            " WHERE id = $1",
	            &stmt));
	db_bind(stmt, 1, id.v);
	TRY(db_step(stmt, &row));
	if (!row)
		return fail(ERR_NOT_FOUND, "no such message");
	TRY(content_row_read(stmt, &content, &bytes));
	set_row(blob, &content);
	*ret_is_file = content.is_file;
	blob->head = base_alloc(bytes.n);
	memcpy(blob->head, bytes.p, bytes.n);
	blob->n_head = bytes.n;
	return ok();
}

static struct status open_file(struct store *store, struct store_message_id id,
                               struct store_blob *blob)
{
	int fd = -1;
	uint64_t size = 0;
	TRY(blob_open(&store->blobs, id.v, &fd));
	span_init(&blob->span, &store->blobs, slice_of(blob->head, blob->n_head), fd,
	          blob->body_size);
	TRY(fd_size(fd, &size));
	if (size != blob->body_size)
		return fail(ERR_CORRUPT, "a message's file has another size than the index says");
	blob->read_span = blob->span.reader.read;
	blob->span.reader.read = read_checked;
	blob->sum = sum_new();
	return ok();
}

/* All of the message is in memory. */
static struct status check_inline(struct store_blob *blob, XXH3_state_t *state)
{
	uint8_t sum[SUM_SIZE];
	span_init(&blob->span, NULL, slice_of(blob->head, blob->n_head), -1, 0);
	XXH3_128bits_reset(state);
	XXH3_128bits_update(state, blob->head + blob->prefix_size,
	                    blob->n_head - blob->prefix_size);
	XXH3_128bits_update(state, blob->head, blob->prefix_size);
	sum_write(XXH3_128bits_digest(state), sum);
	return memcmp(sum, blob->expected, SUM_SIZE) == 0 ? ok() : corrupt();
}

static struct status check_inline_once(struct store_blob *blob)
{
	XXH3_state_t *state = sum_new();
	struct status status = check_inline(blob, state);
	XXH3_freeState(state);
	return status;
}

struct status blob_in_piece(const struct content_row *row, struct piece *piece, size_t offset,
                            XXH3_state_t *state, struct store_blob **ret_blob)
{
	struct store_blob *blob = base_alloc(sizeof(*blob));
	blob->piece = piece;
	piece->refs++;
	blob->head = piece->bytes + offset;
	blob->n_head = (size_t)row->size;
	set_row(blob, row);
	struct status status = check_inline(blob, state);
	if (!is_ok(status)) {
		store_blob_free(blob);
		return status;
	}
	*ret_blob = blob;
	return ok();
}

struct status blob_load(struct store *store, struct db *db, struct store_message_id id,
                        struct store_blob **ret_blob)
{
	struct store_blob *blob = base_alloc(sizeof(*blob));
	bool is_file = false;
	blob->span.fd = -1;
	struct status status = read_row(db, id, blob, &is_file);
	if (is_ok(status))
		status = is_file ? open_file(store, id, blob) : check_inline_once(blob);
	if (!is_ok(status)) {
		store_blob_free(blob);
		return status;
	}
	*ret_blob = blob;
	return ok();
}

static bool store_has_message(struct store *store, struct store_message_id id)
{
	struct store_blob blob = {.head = NULL};
	struct db *db = NULL;
	bool is_file = false;
	if (!is_ok(reader_take(store, &db)))
		return false;
	bool found = is_ok(read_row(db, id, &blob, &is_file));
	reader_give(store, db);
	base_free(blob.head);
	return found;
}

struct status store_blob_open(struct store *store, struct store_message_id id,
                              struct store_blob **ret_blob)
{
	struct db *db = NULL;
	TRY(reader_take(store, &db));
	struct status status = blob_load(store, db, id, ret_blob);
	reader_give(store, db);
	/* A file without its row was removed after the row was read; one with it is lost. */
	if (status.code == ERR_NOT_FOUND && store_has_message(store, id))
		return fail(ERR_CORRUPT, "a message's file is missing");
	return status;
}

struct store_reader *store_blob_reader(struct store_blob *blob)
{
	return &blob->span.reader;
}

bool store_blob_bytes(struct store_blob *blob, struct slice *ret_bytes)
{
	if (blob->span.fd >= 0)
		return false;
	*ret_bytes = slice_of(blob->head, blob->n_head);
	return true;
}

bool store_blob_file(struct store_blob *blob, struct slice *ret_prefix, int *ret_fd)
{
	if (blob->span.fd < 0)
		return false;
	*ret_prefix = slice_of(blob->head, blob->n_head);
	*ret_fd = blob->span.fd;
	return true;
}

void store_blob_free(struct store_blob *blob)
{
	if (!blob)
		return;
	fd_close(&blob->span.fd);
	XXH3_freeState(blob->sum);
	if (blob->piece)
		piece_unref(blob->piece);
	else
		base_free(blob->head);
	base_free(blob);
}
