/* Bodies on their way in: in memory up to the inline limit, then in a message file that already has
 * the name under which the index will know it. See blob.h for the order of things. */
#include "store/store_private.h"

#include "os/fd.h"

#define MEMORY_MIN ((size_t)2048)

/* ---- reading -------------------------------------------------------------------------------- */

struct span *span_of(const struct store_reader *reader)
{
	return (struct span *)(uintptr_t)reader;
}

static struct status read_span(const struct store_reader *reader, uint64_t offset, uint8_t *p,
                               size_t n, size_t *ret_n)
{
	const struct span *span = span_of(reader);
	size_t got = 0;
	if (offset < span->head.n) {
		struct slice part = slice_sub(span->head, (size_t)offset, n);
		memcpy(p, part.p, part.n);
		got = part.n;
	}
	if (got < n && offset + got < reader->size && span->fd >= 0) {
		size_t more = (size_t)MIN((uint64_t)(n - got), reader->size - offset - got);
		TRY(blob_read(span->blobs, span->fd, offset + got - span->head.n, p + got, more,
		              &more));
		got += more;
	}
	*ret_n = got;
	return ok();
}

void span_init(struct span *span, const struct blobs *blobs, struct slice head, int fd,
               uint64_t file_size)
{
	*span = (struct span){
	        .reader = {.size = head.n + file_size, .read = read_span},
	        .blobs = blobs,
	        .head = head,
	        .fd = fd,
	};
}

/* ---- checksums ------------------------------------------------------------------------------ */

void sum_write(XXH128_hash_t hash, uint8_t ret_sum[SUM_SIZE])
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(ret_sum, canonical.digest, SUM_SIZE);
}

XXH3_state_t *sum_new(void)
{
	XXH3_state_t *sum = XXH3_createState();
	if (!sum || XXH3_128bits_reset(sum) != XXH_OK)
		BUG("out of memory");
	return sum;
}

/* ---- files ---------------------------------------------------------------------------------- */

struct status body_file_new(struct store *store, struct body_file *ret_file)
{
	struct body_file file = {.store = store, .fd = -1};
	struct status status;
	do {
		file.id = atomic_fetch_add(&store->next_message, 1);
		status = blob_create(&store->blobs, file.id, &file.fd);
	} while (status.code == ERR_EXISTS); /* one that could not be removed */
	TRY(status);
	file.sum = sum_new();
	*ret_file = file;
	return ok();
}

struct status body_file_write(struct body_file *file, struct slice bytes)
{
	TRY(blob_write(&file->store->blobs, file->fd, bytes));
	XXH3_128bits_update(file->sum, bytes.p, bytes.n);
	file->size += bytes.n;
	return ok();
}

void body_file_done(struct body_file *file)
{
	if (file->id == 0)
		return;
	fd_close(&file->fd);
	XXH3_freeState(file->sum);
	if (!file->taken)
		blob_remove(&file->store->blobs, file->id);
	*file = (struct body_file){.fd = -1};
}

/* ---- spool ---------------------------------------------------------------------------------- */

struct status store_spool_new(struct store *store, struct store_spool **ret_spool)
{
	struct store_spool *spool = base_alloc(sizeof(*spool));
	spool->store = store;
	spool->file.fd = -1;
	*ret_spool = spool;
	return ok();
}

static void add_to_memory(struct store_spool *spool, struct slice bytes)
{
	if (spool->n_memory + bytes.n > spool->capacity) {
		size_t capacity = MAX(spool->capacity * 2, MEMORY_MIN);
		spool->capacity = MAX(capacity, spool->n_memory + bytes.n);
		spool->memory = base_realloc(spool->memory, spool->capacity);
	}
	memcpy(spool->memory + spool->n_memory, bytes.p, bytes.n);
	spool->n_memory += bytes.n;
}

static struct status move_to_file(struct store_spool *spool)
{
	struct body_file file;
	TRY(body_file_new(spool->store, &file));
	struct status status = body_file_write(&file, slice_of(spool->memory, spool->n_memory));
	if (!is_ok(status)) {
		body_file_done(&file);
		return status;
	}
	spool->file = file;
	base_free(spool->memory);
	spool->memory = NULL;
	spool->n_memory = 0;
	spool->capacity = 0;
	return ok();
}

struct status store_spool_write(struct store_spool *spool, struct slice bytes)
{
	if (bytes.n == 0)
		return ok();
	if (spool->file.sealed)
		return fail(ERR_INVALID, "the spool was appended already");
	if (spool->file.id == 0) {
		if (spool->n_memory + bytes.n <= spool->store->options.inline_max) {
			add_to_memory(spool, bytes);
			return ok();
		}
		TRY(move_to_file(spool));
	}
	return body_file_write(&spool->file, bytes);
}

uint64_t store_spool_size(const struct store_spool *spool)
{
	return spool->file.id != 0 ? spool->file.size : spool->n_memory;
}

struct store_reader *store_spool_reader(struct store_spool *spool)
{
	span_init(&spool->span, &spool->store->blobs, slice_of(spool->memory, spool->n_memory),
	          spool->file.fd, spool->file.size);
	return &spool->span.reader;
}

void store_spool_free(struct store_spool *spool)
{
	if (!spool)
		return;
	body_file_done(&spool->file);
	base_free(spool->memory);
	base_free(spool);
}
