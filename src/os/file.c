/* Files by directory descriptor.
 *
 * Durability on Linux: fsync of the file makes its bytes durable, fsync of its directory makes its
 * name durable; rename within a directory is atomic. Nothing is assumed of other orderings.
 */
#include "os/file.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#define TEMPORARY_TRIES 16
#define COPY_BUFFER     ((size_t)64 * 1024)

struct status file_open(int dir_fd, const char *name, int flags, mode_t mode, int *ret_fd,
                        struct os_fault *ret_fault)
{
	int fd;
	do {
		fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return os_fail(ret_fault, errno, "cannot open", name);
	*ret_fd = fd;
	return ok();
}

struct status file_open_dir(int dir_fd, const char *name, int *ret_fd, struct os_fault *ret_fault)
{
	return file_open(dir_fd, name, O_RDONLY | O_DIRECTORY, 0, ret_fd, ret_fault);
}

static struct status read_open_file(int fd, const char *name, size_t max, struct arena *arena,
                                    struct slice *ret_bytes, struct os_fault *ret_fault)
{
	uint64_t size;
	if (!is_ok(fd_size(fd, &size)))
		return os_refuse(ret_fault, ERR_INVALID, "not a regular file:", name);
	if (size > max)
		return os_refuse(ret_fault, ERR_LIMIT, "file is too large:", name);
	uint8_t *p = arena_alloc(arena, (size_t)size + 1);
	if (!p)
		return os_refuse(ret_fault, ERR_LIMIT, "no memory is granted to read", name);
	/* A file that shrinks meanwhile is TRUNCATED; one that grows is read as it was. */
	TRY(fd_pread_all(fd, p, (size_t)size, 0, ret_fault));
	*ret_bytes = slice_of(p, (size_t)size);
	return ok();
}

struct status file_read(int dir_fd, const char *name, size_t max, struct arena *arena,
                        struct slice *ret_bytes, struct os_fault *ret_fault)
{
	CLEANUP(fd_close) int fd = -1;
	/* Non-blocking, so that a fifo planted here cannot hold us. */
	TRY(file_open(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, ret_fault));
	return read_open_file(fd, name, max, arena, ret_bytes, ret_fault);
}

struct status file_read_path(const char *path, size_t max, struct arena *arena,
                             struct slice *ret_bytes, struct os_fault *ret_fault)
{
	CLEANUP(fd_close)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return os_fail(ret_fault, errno, "cannot open", path);
	return read_open_file(fd, path, max, arena, ret_bytes, ret_fault);
}

struct status file_read_fd(int fd, size_t max, struct arena *arena, struct slice *ret_bytes,
                           struct os_fault *ret_fault)
{
	return read_open_file(fd, "(open file)", max, arena, ret_bytes, ret_fault);
}

/* "dir/name" gives "dir" and "/name" "/"; without a slash it gives ".". */
static struct status parent_of(const char *path, char parent[PATH_MAX])
{
	struct slice s = slice_str(path);
	size_t slash = slice_rindex(s, '/');
	if (s.n == 0 || s.n >= PATH_MAX)
		return fail(ERR_INVALID, "path is empty or too long");
	if (slash == SIZE_MAX)
		snprintf(parent, PATH_MAX, ".");
	else
		snprintf(parent, PATH_MAX, "%.*s", (int)MAX(slash, (size_t)1), path);
	return ok();
}

/* A new file beside `path` with a random name, which is written to `name`. */
static struct status create_beside(int dir_fd, const char *path, int flags, mode_t mode,
                                   char name[PATH_MAX], int *ret_fd, struct os_fault *ret_fault)
{
	for (int i = 0; i < TEMPORARY_TRIES; i++) {
		uint64_t suffix;
		if (getrandom(&suffix, sizeof(suffix), 0) != (ssize_t)sizeof(suffix))
			return os_fail(ret_fault, errno, "cannot get randomness", NULL);
		int n = snprintf(name, PATH_MAX, "%s.%016" PRIx64 ".tmp", path, suffix);
		if (n < 0 || n >= PATH_MAX)
			return os_refuse(ret_fault, ERR_INVALID, "path is too long", NULL);
		struct status status =
		        file_open(dir_fd, name, flags | O_CREAT | O_EXCL, mode, ret_fd, ret_fault);
		if (status.code != ERR_EXISTS)
			return status;
	}
	return os_refuse(ret_fault, ERR_EXISTS, "no free name for a temporary file beside", path);
}

static struct status write_and_rename(int dir_fd, int fd, const char *from, const char *to,
                                      struct slice bytes, mode_t mode, struct os_fault *ret_fault)
{
	TRY(fd_write_all(fd, bytes, ret_fault));
	if (fchmod(fd, mode) < 0)
		return os_fail(ret_fault, errno, "cannot set the mode of", from);
	TRY(file_sync(fd, ret_fault));
	return file_rename(dir_fd, from, dir_fd, to, ret_fault);
}

struct status file_replace(int dir_fd, const char *name, struct slice bytes, mode_t mode,
                           struct os_fault *ret_fault)
{
	char parent[PATH_MAX];
	char temporary[PATH_MAX];
	CLEANUP(fd_close) int fd = -1;
	TRY(parent_of(name, parent));
	TRY(create_beside(dir_fd, name, O_WRONLY, mode & 0700, temporary, &fd, ret_fault));
	struct status status =
	        write_and_rename(dir_fd, fd, temporary, name, bytes, mode, ret_fault);
	if (!is_ok(status)) {
		(void)unlinkat(dir_fd, temporary, 0);
		return status;
	}
	return file_sync_dir(dir_fd, parent, ret_fault);
}

static struct status make_dir(int dir_fd, const char *path, mode_t mode, struct os_fault *ret_fault)
{
	char parent[PATH_MAX];
	CLEANUP(fd_close) int fd = -1;
	if (mkdirat(dir_fd, path, 0700) < 0) {
		if (errno == EEXIST)
			return ok();
		return os_fail(ret_fault, errno, "cannot create directory", path);
	}
	TRY(file_open_dir(dir_fd, path, &fd, ret_fault));
	if (fchmod(fd, mode) < 0)
		return os_fail(ret_fault, errno, "cannot set the mode of", path);
	TRY(parent_of(path, parent));
	return file_sync_dir(dir_fd, parent, ret_fault);
}

struct status file_mkdir_all(int dir_fd, const char *path, mode_t mode, struct os_fault *ret_fault)
{
	char part[PATH_MAX];
	struct stat st;
	size_t n = strnlen(path, PATH_MAX);
	if (n == 0 || n >= PATH_MAX)
		return os_refuse(ret_fault, ERR_INVALID, "path is empty or too long", NULL);
	while (n > 1 && path[n - 1] == '/')
		n--;
	for (size_t i = 1; i <= n; i++) {
		if (i < n && path[i] != '/')
			continue;
		if (path[i - 1] == '/')
			continue; /* a doubled slash, or "/" itself */
		memcpy(part, path, i);
		part[i] = '\0';
		TRY(make_dir(dir_fd, part, mode, ret_fault));
	}
	/* Through a symbolic link is fine here: an administrator may have moved the place. */
	if (fstatat(dir_fd, path, &st, 0) < 0)
		return os_fail(ret_fault, errno, "cannot look at", path);
	return S_ISDIR(st.st_mode) ? ok()
	                           : os_refuse(ret_fault, ERR_EXISTS, "not a directory:", path);
}

struct status file_sync(int fd, struct os_fault *ret_fault)
{
	/* Not repeated on failure: the kernel drops the pages' error after telling it once. */
	return fsync(fd) < 0 ? os_fail(ret_fault, errno, "cannot sync", NULL) : ok();
}

struct status file_sync_data(int fd, struct os_fault *ret_fault)
{
	return fdatasync(fd) < 0 ? os_fail(ret_fault, errno, "cannot sync", NULL) : ok();
}

struct status file_sync_dir(int dir_fd, const char *name, struct os_fault *ret_fault)
{
	/* By openat rather than file_open: the directory may be reached through a link. */
	CLEANUP(fd_close) int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return os_fail(ret_fault, errno, "cannot open directory", name);
	return fsync(fd) < 0 ? os_fail(ret_fault, errno, "cannot sync directory", name) : ok();
}

/* EISDIR: a kernel older than O_TMPFILE sees an attempt to write a directory. */
static bool has_no_tmpfile(int errno_value)
{
	return errno_value == EOPNOTSUPP || errno_value == EISDIR || errno_value == EINVAL;
}

struct status file_temporary(int dir_fd, const char *dir, mode_t mode, int *ret_fd,
                             struct os_fault *ret_fault)
{
	char path[PATH_MAX];
	char name[PATH_MAX];
	int fd = openat(dir_fd, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (fd >= 0) {
		*ret_fd = fd;
		return ok();
	}
	if (!has_no_tmpfile(errno))
		return os_fail(ret_fault, errno, "cannot create a temporary file in", dir);
	int n = snprintf(path, sizeof(path), "%s/unnamed", dir);
	if (n < 0 || (size_t)n >= sizeof(path))
		return os_refuse(ret_fault, ERR_INVALID, "path is too long", NULL);
	TRY(create_beside(dir_fd, path, O_RDWR, mode, name, &fd, ret_fault));
	if (unlinkat(dir_fd, name, 0) < 0) {
		fd_close(&fd);
		return os_fail(ret_fault, errno, "cannot remove the name of", name);
	}
	*ret_fd = fd;
	return ok();
}

struct status file_unlink(int dir_fd, const char *name, struct os_fault *ret_fault)
{
	return unlinkat(dir_fd, name, 0) < 0 ? os_fail(ret_fault, errno, "cannot remove", name)
	                                     : ok();
}

struct status file_rename(int from_dir_fd, const char *from, int to_dir_fd, const char *to,
                          struct os_fault *ret_fault)
{
	if (renameat(from_dir_fd, from, to_dir_fd, to) < 0)
		return os_fail(ret_fault, errno, "cannot rename to", to);
	return ok();
}

struct status file_lock(int dir_fd, const char *name, int *ret_fd, struct os_fault *ret_fault)
{
	CLEANUP(fd_close) int fd = -1;
	char pid[24];
	TRY(file_open(dir_fd, name, O_RDWR | O_CREAT, 0600, &fd, ret_fault));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return os_refuse(ret_fault, ERR_BUSY, "another process holds the lock",
			                 name);
		return os_fail(ret_fault, errno, "cannot lock", name);
	}
	int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0)
		return os_fail(ret_fault, errno, "cannot write", name);
	TRY(fd_pwrite_all(fd, slice_of(pid, (size_t)n), 0, ret_fault));
	*ret_fd = TAKE_FD(fd);
	return ok();
}

/* What copy_file_range says where the two files cannot be copied in the kernel. */
static bool must_copy_by_hand(int errno_value)
{
	return errno_value == EXDEV || errno_value == EINVAL || errno_value == ENOSYS ||
	       errno_value == EOPNOTSUPP || errno_value == EACCES || errno_value == EBADF;
}

static struct status copy_by_hand(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                                  uint64_t n, struct os_fault *ret_fault)
{
	CLEANUP(base_freep) uint8_t *p = base_alloc(COPY_BUFFER);
	for (uint64_t done = 0; done < n;) {
		size_t now = (size_t)MIN(n - done, (uint64_t)COPY_BUFFER);
		TRY(fd_pread_all(from_fd, p, now, from_offset + done, ret_fault));
		TRY(fd_pwrite_all(to_fd, slice_of(p, now), to_offset + done, ret_fault));
		done += now;
	}
	return ok();
}

struct status file_copy(int from_fd, uint64_t from_offset, int to_fd, uint64_t to_offset,
                        uint64_t n, struct os_fault *ret_fault)
{
	off_t from = (off_t)from_offset;
	off_t to = (off_t)to_offset;
	while (n > 0) {
		ssize_t copied =
		        copy_file_range(from_fd, &from, to_fd, &to, (size_t)MIN(n, GIB), 0);
		/* 0 is also what some file systems without real sizes say: the reader decides. */
		if (copied == 0 || (copied < 0 && must_copy_by_hand(errno)))
			return copy_by_hand(from_fd, (uint64_t)from, to_fd, (uint64_t)to, n,
			                    ret_fault);
		if (copied < 0 && errno != EINTR)
			return os_fail(ret_fault, errno, "cannot copy", NULL);
		if (copied > 0)
			n -= (uint64_t)copied;
	}
	return ok();
}
