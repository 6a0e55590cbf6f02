/* Message files: one immutable file per body over the inline limit, msg/xx/ID below the account's
 * directory, where xx is the last but one byte of the id in hexadecimal.
 *
 * A file is created under its final name (its id is reserved beforehand), written once, sealed
 * (synced, then its directory) before the index names it, and removed after the index has forgotten
 * it. What a crash leaves between those steps is swept at the next open: a marker file tells that
 * there may be something. Functions may be called from any thread; a file has one writer.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* The system calls that can fail for want of space or by a broken disk; replaced in fault tests. */
struct blob_io {
	int (*openat)(int dir_fd, const char *path, int flags, mode_t mode);
	int (*mkdirat)(int dir_fd, const char *path, mode_t mode);
	ssize_t (*write)(int fd, const void *p, size_t n);
	ssize_t (*pread)(int fd, void *p, size_t n, off_t offset);
	int (*fsync)(int fd);
	int (*unlinkat)(int dir_fd, const char *path, int flags);
};

struct blobs {
	int fd;     /* of msg/ */
	int dir_fd; /* of the account's directory; the caller's */
	const struct blob_io *io;
	pthread_mutex_t folder_lock; /* guards: */
	bool folders_unsynced;       /* a folder was made and msg/ not synced since */
	atomic_bool marked;          /* the marker is on disk */
	atomic_bool unclean;         /* something could not be removed: the marker stays */
};

/* io: NULL for the real one. *ret_sweep: the last user may have left files behind. */
struct status blobs_init(struct blobs *blobs, int dir_fd, const struct blob_io *io,
                         bool *ret_sweep);
void blobs_done(struct blobs *blobs); /* removes the marker when nothing is left over */

/* Says on disk that there may be something to sweep. Before the first file is made, and before a
 * commit after which files are to be removed. */
struct status blobs_mark(struct blobs *blobs);

/* EXISTS when a file of that id is there. */
struct status blob_create(struct blobs *blobs, int64_t id, int *ret_fd);
struct status blob_write(struct blobs *blobs, int fd, struct slice bytes);
/* Has the disk begin to write a file's bytes: for files of which several are synced afterwards. */
void blob_start(int fd);
/* A file is durable when both have returned OK, in this order; one call for a folder serves all
 * files in it that were synced before. After a failure the file must be removed: what is on disk is
 * unknown. */
struct status blob_sync(const struct blobs *blobs, int fd);
struct status blob_sync_folder(struct blobs *blobs, int64_t id);
bool blob_same_folder(int64_t a, int64_t b);
struct status blob_open(struct blobs *blobs, int64_t id, int *ret_fd);
/* Reads up to n bytes; fewer only at the end. */
struct status blob_read(const struct blobs *blobs, int fd, uint64_t offset, uint8_t *p, size_t n,
                        size_t *ret_n);
void blob_remove(struct blobs *blobs, int64_t id); /* what cannot be removed is swept later */

/* Calls `each` for every file below msg/; id 0 for a name that is none of ours. */
struct status blobs_list(struct blobs *blobs,
                         struct status (*each)(void *context, int64_t id, const char *name),
                         void *context);
