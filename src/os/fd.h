/* File descriptors: owned by a scope, handed over explicitly, close-on-exec from birth; memfds with
 * seals; eventfds.
 *
 *	CLEANUP(fd_close) int fd = -1;
 *	TRY(file_open(..., &fd, NULL));
 *	return take_over(TAKE_FD(fd));
 */
#pragma once

#include "base/slice.h"
#include "os/fault.h"

#include <sys/types.h>

/* Closes *fd if it is >= 0 and sets it to -1. Keeps errno. For CLEANUP and by hand. */
void fd_close(int *fd);

/* Gives the descriptor away: the variable becomes -1. */
#define TAKE_FD(fd) fd_take(&(fd))
static inline int fd_take(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

struct status fd_dup(int fd, int *ret_fd); /* close-on-exec, number above 2 */
struct status fd_set_nonblocking(int fd, bool on);
struct status fd_set_cloexec(int fd, bool on);

/* Closes every descriptor but those listed (any order, repeats and negative entries are ignored);
 * 0, 1 and 2 are closed too unless listed. */
struct status fd_close_all_except(const int *keep, size_t n_keep);

/* All of it, through short writes and EINTR; blocks; waits when the descriptor is non-blocking. */
struct status fd_write_all(int fd, struct slice bytes, struct os_fault *ret_fault);
struct status fd_pwrite_all(int fd, struct slice bytes, uint64_t offset,
                            struct os_fault *ret_fault);
/* Exactly n bytes at offset; TRUNCATED when the file ends before. */
struct status fd_pread_all(int fd, void *p, size_t n, uint64_t offset, struct os_fault *ret_fault);
/* Exactly n bytes from the current position; TRUNCATED at the end. */
struct status fd_read_all(int fd, void *p, size_t n, struct os_fault *ret_fault);
struct status fd_size(int fd, uint64_t *ret_size); /* of a regular file or memfd */

/* A memfd that may be written and later sealed. */
struct status memfd_new(const char *name, int *ret_fd);
/* A memfd with these bytes, sealed: readers may map it. */
struct status memfd_new_sealed(const char *name, struct slice bytes, int *ret_fd);
/* No more writing, growing, shrinking; not even new seals. Existing writable mappings fail it. */
struct status memfd_seal(int fd);
/* For one that came from another room: INVALID unless it is a memfd with all four seals and at most
 * max bytes (LIMIT). */
struct status memfd_check(int fd, uint64_t max_size, uint64_t *ret_size);

/* A checked memfd mapped read-only: stays readable after the fd is closed. */
struct memfd_map {
	struct slice bytes;
	void *mapping; /* NULL when empty */
	size_t size;
};
struct status memfd_map_open(int fd, uint64_t max_size, struct memfd_map *ret_map);
void memfd_map_close(struct memfd_map *map); /* safe on a zeroed map and twice; for CLEANUP */

/* A counter to wake a poll; non-blocking, close-on-exec. */
struct status eventfd_new(int *ret_fd);
void eventfd_signal(int fd);    /* never blocks; a full counter stays full */
uint64_t eventfd_drain(int fd); /* what was signalled since the last drain, 0 if nothing */
