/* Spooling: small writes are collected, so that a short message costs one write. */
#include "rooms/spool.h"

#include "os/fd.h"
#include "os/file.h"

#include <fcntl.h>

void spool_init(struct spool *spool)
{
	*spool = (struct spool){.fd = -1};
}

void spool_reset(struct spool *spool)
{
	fd_close(&spool->fd);
	spool->in_file = false;
	spool->size = 0;
	spool->n_buffered = 0;
}

void spool_done(struct spool *spool)
{
	spool_reset(spool);
	base_free(spool->buffer);
	spool->buffer = NULL;
}

static struct status move_to_file(struct spool *spool, uint64_t n_written)
{
	int fd;
	TRY(file_temporary(AT_FDCWD, ".", 0600, &fd, NULL));
	struct status status = file_copy(spool->fd, 0, fd, 0, n_written, NULL);
	if (is_ok(status) && lseek(fd, (off_t)n_written, SEEK_SET) < 0)
		status = fail(ERR_IO, "cannot position in the spool file");
	if (!is_ok(status)) {
		fd_close(&fd);
		return status;
	}
	fd_close(&spool->fd);
	spool->fd = fd;
	spool->in_file = true;
	return ok();
}

/* Room in the descriptor for what comes: opened at first need, moved to a file past the limit. */
static struct status prepare(struct spool *spool, uint64_t n_written, size_t n_more)
{
	if (spool->fd < 0)
		TRY(memfd_new("message", &spool->fd));
	if (!spool->in_file && n_written + n_more > SPOOL_MEMORY_MAX)
		TRY(move_to_file(spool, n_written));
	return ok();
}

static struct status flush(struct spool *spool)
{
	uint64_t n_written = spool->size - spool->n_buffered;
	TRY(prepare(spool, n_written, spool->n_buffered));
	TRY(fd_write_all(spool->fd, slice_of(spool->buffer, spool->n_buffered), NULL));
	spool->n_buffered = 0;
	return ok();
}

struct status spool_write(struct spool *spool, struct slice bytes)
{
	if (!spool->buffer)
		spool->buffer = base_alloc(SPOOL_BUFFER_SIZE);
	if (bytes.n > SPOOL_BUFFER_SIZE - spool->n_buffered)
		TRY(flush(spool));
	if (bytes.n > SPOOL_BUFFER_SIZE) {
		TRY(prepare(spool, spool->size, bytes.n));
		TRY(fd_write_all(spool->fd, bytes, NULL));
	} else {
		memcpy(spool->buffer + spool->n_buffered, bytes.p, bytes.n);
		spool->n_buffered += bytes.n;
	}
	spool->size += bytes.n;
	return ok();
}

struct status spool_finish(struct spool *spool, int *ret_fd)
{
	if (spool->n_buffered > 0 || spool->fd < 0) {
		if (!spool->buffer)
			spool->buffer = base_alloc(SPOOL_BUFFER_SIZE);
		TRY(flush(spool));
	}
	*ret_fd = spool->fd;
	return ok();
}
