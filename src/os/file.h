/* Files by directory descriptor: read whole, replace atomically, create, lock, sync.
 *
 * Every name is relative to a directory fd (AT_FDCWD is accepted), so a room needs no path outside
 * its own directory. Nothing follows a symbolic link in the last component unless it says so. A
 * change that has returned OK from a function that promises durability is on stable storage.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "os/fault.h"

#include <sys/types.h>

/* openat with O_CLOEXEC and O_NOFOLLOW added, EINTR retried; mode counts with O_CREAT only. */
struct status file_open(int dir_fd, const char *name, int flags, mode_t mode, int *ret_fd,
                        struct os_fault *ret_fault);
/* A directory, opened to be passed as dir_fd. */
struct status file_open_dir(int dir_fd, const char *name, int *ret_fd, struct os_fault *ret_fault);

/* All bytes of a regular file; LIMIT when it is longer than max. The slice lies in the arena (LIMIT
 * too when the arena's budget is spent). */
struct status file_read(int dir_fd, const char *name, size_t max, struct arena *arena,
                        struct slice *ret_bytes, struct os_fault *ret_fault);
/* For what the administrator names, before a sandbox closes: an ordinary path, symbolic links are
 * followed (/etc/resolv.conf is one as often as not). */
struct status file_read_path(const char *path, size_t max, struct arena *arena,
                             struct slice *ret_bytes, struct os_fault *ret_fault);
/* The same from an open descriptor, from its start. */
struct status file_read_fd(int fd, size_t max, struct arena *arena, struct slice *ret_bytes,
                           struct os_fault *ret_fault);

/* The file has the new contents or the old, never a mixture, also after a power cut: written to a
 * temporary file beside it, fsync, rename, fsync of the directory. `name` may hold slashes. */
struct status file_replace(int dir_fd, const char *name, struct slice bytes, mode_t mode,
                           struct os_fault *ret_fault);

/* Creates the directory and all above it (as in mkdir -p) with this mode, whatever the umask; those
 * that exist are left as they are. Created directories are synced into their parents. */
struct status file_mkdir_all(int dir_fd, const char *path, mode_t mode, struct os_fault *ret_fault);

struct status file_sync(int fd, struct os_fault *ret_fault);      /* fsync */
struct status file_sync_data(int fd, struct os_fault *ret_fault); /* fdatasync */
struct status file_sync_dir(int dir_fd, const char *name, struct os_fault *ret_fault);

/* A nameless file for reading and writing in the directory: O_TMPFILE, or where the file system has
 * none a new file whose name is removed at once. */
struct status file_temporary(int dir_fd, const char *dir, mode_t mode, int *ret_fd,
                             struct os_fault *ret_fault);

/* NOT_FOUND when it is not there. Not durable before the directory is synced. */
struct status file_unlink(int dir_fd, const char *name, struct os_fault *ret_fault);
/* Within one file system. Not durable before the directories are synced. */
struct status file_rename(int from_dir_fd, const char *from, int to_dir_fd, const char *to,
                          struct os_fault *ret_fault);

/* Opens (creating it, mode 0600) and locks the file until the descriptor is closed; BUSY when
 * another open file holds it. The holder's process id stands in the file, for people. */
struct status file_lock(int dir_fd, const char *name, int *ret_fd, struct os_fault *ret_fault);

/* Copies n bytes from one file to another, each at its offset, in the kernel where possible.
 * TRUNCATED when the source ends before. */
struct status file_copy(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                        uint64_t n, struct os_fault *ret_fault);
