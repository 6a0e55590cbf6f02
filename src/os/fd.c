/* Descriptors, memfds and eventfds.
 *
 * fd_close_all_except uses close_range(2) on the gaps between the kept numbers, so that it costs
 * the same with ten open descriptors or ten thousand.
 */
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define KEEP_MAX  ((size_t)1024)
#define SEALS_ALL (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

void fd_close(int *fd)
{
	if (*fd < 0)
		return;
	int saved = errno;
	close(*fd); /* on Linux the number is free even after EINTR: never repeated */
	*fd = -1;
	errno = saved;
}

struct status fd_dup(int fd, int *ret_fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return fail_errno(errno, "cannot duplicate a descriptor");
	*ret_fd = copy;
	return ok();
}

struct status fd_set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return fail_errno(errno, "cannot read descriptor flags");
	int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0)
		return fail_errno(errno, "cannot change descriptor flags");
	return ok();
}

struct status fd_set_cloexec(int fd, bool on)
{
	if (fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0)
		return fail_errno(errno, "cannot change descriptor flags");
	return ok();
}

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a;
	int y = *(const int *)b;
	return (x > y) - (x < y);
}

/* By number: glibc's wrapper is newer than some of the systems we build on. */
static int close_gap(unsigned first, unsigned last)
{
	return first > last ? 0 : (int)syscall(SYS_close_range, first, last, 0);
}

struct status fd_close_all_except(const int *keep, size_t n_keep)
{
	int sorted[KEEP_MAX];
	unsigned next = 0;
	if (n_keep > KEEP_MAX)
		return fail(ERR_LIMIT, "too many descriptors to keep");
	if (n_keep > 0)
		memcpy(sorted, keep, n_keep * sizeof(*keep));
	qsort(sorted, n_keep, sizeof(*sorted), compare_ints);
	for (size_t i = 0; i < n_keep; i++) {
		if (sorted[i] < 0 || (unsigned)sorted[i] < next)
			continue; /* none, or a repeat */
		if (sorted[i] > 0 && close_gap(next, (unsigned)sorted[i] - 1) < 0)
			return fail_errno(errno, "cannot close descriptors");
		next = (unsigned)sorted[i] + 1;
	}
	if (close_gap(next, UINT_MAX) < 0)
		return fail_errno(errno, "cannot close descriptors");
	return ok();
}

/* True when the call is worth repeating: interrupted, or a non-blocking descriptor is ready now. */
static bool may_repeat(int fd, short events)
{
	if (errno == EINTR)
		return true;
	if (errno != EAGAIN)
		return false;
	struct pollfd p = {.fd = fd, .events = events};
	return poll(&p, 1, -1) > 0 || errno == EINTR;
}

struct status fd_write_all(int fd, struct slice bytes, struct os_fault *ret_fault)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n >= 0)
			bytes = slice_from(bytes, (size_t)n);
		else if (!may_repeat(fd, POLLOUT))
			return os_fail(ret_fault, errno, "cannot write", NULL);
	}
	return ok();
}

struct status fd_pwrite_all(int fd, struct slice bytes, uint64_t offset, struct os_fault *ret_fault)
{
	while (bytes.n > 0) {
		ssize_t n = pwrite(fd, bytes.p, bytes.n, (off_t)offset);
		if (n >= 0) {
			bytes = slice_from(bytes, (size_t)n);
			offset += (uint64_t)n;
		} else if (errno != EINTR) {
			return os_fail(ret_fault, errno, "cannot write", NULL);
		}
	}
	return ok();
}

struct status fd_pread_all(int fd, void *p, size_t n, uint64_t offset, struct os_fault *ret_fault)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(fd, (uint8_t *)p + done, n - done, (off_t)(offset + done));
		if (got == 0)
			return os_refuse(ret_fault, ERR_TRUNCATED, "file ends early", NULL);
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			return os_fail(ret_fault, errno, "cannot read", NULL);
	}
	return ok();
}

struct status fd_read_all(int fd, void *p, size_t n, struct os_fault *ret_fault)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = read(fd, (uint8_t *)p + done, n - done);
		if (got == 0)
			return os_refuse(ret_fault, ERR_TRUNCATED, "input ends early", NULL);
		if (got > 0)
			done += (size_t)got;
		else if (!may_repeat(fd, POLLIN))
			return os_fail(ret_fault, errno, "cannot read", NULL);
	}
	return ok();
}

struct status fd_size(int fd, uint64_t *ret_size)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail_errno(errno, "cannot look at an open file");
	if (!S_ISREG(st.st_mode))
		return fail(ERR_INVALID, "not a regular file");
	*ret_size = (uint64_t)st.st_size;
	return ok();
}

struct status memfd_new(const char *name, int *ret_fd)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fail_errno(errno, "cannot create a memfd");
	*ret_fd = fd;
	return ok();
}

struct status memfd_new_sealed(const char *name, struct slice bytes, int *ret_fd)
{
	CLEANUP(fd_close) int fd = -1;
	TRY(memfd_new(name, &fd));
	TRY(fd_pwrite_all(fd, bytes, 0, NULL));
	TRY(memfd_seal(fd));
	*ret_fd = TAKE_FD(fd);
	return ok();
}

struct status memfd_seal(int fd)
{
	if (fcntl(fd, F_ADD_SEALS, SEALS_ALL) < 0)
		return fail_errno(errno, "cannot seal a memfd");
	return ok();
}

struct status memfd_check(int fd, uint64_t max_size, uint64_t *ret_size)
{
	uint64_t size;
	int seals = fcntl(fd, F_GET_SEALS); /* EINVAL where the file system knows no seals */
	if (seals < 0 || (seals & SEALS_ALL) != SEALS_ALL)
		return fail(ERR_INVALID, "not a sealed memfd");
	TRY(fd_size(fd, &size));
	if (size > max_size)
		return fail(ERR_LIMIT, "memfd is too large");
	*ret_size = size;
	return ok();
}

struct status memfd_map_open(int fd, uint64_t max_size, struct memfd_map *ret_map)
{
	uint64_t size;
	TRY(memfd_check(fd, MIN(max_size, (uint64_t)SIZE_MAX), &size));
	if (size == 0) {
		*ret_map = (struct memfd_map){.bytes = slice_empty()};
		return ok();
	}
	/* Shared: a private mapping would allow copies, and the seals already forbid any change. */
	void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return fail_errno(errno, "cannot map a memfd");
	*ret_map = (struct memfd_map){
	        .bytes = slice_of(p, (size_t)size),
	        .mapping = p,
	        .size = (size_t)size,
	};
	return ok();
}

void memfd_map_close(struct memfd_map *map)
{
	if (map->mapping)
		munmap(map->mapping, map->size);
	*map = (struct memfd_map){.bytes = slice_empty()};
}

struct status eventfd_new(int *ret_fd)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return fail_errno(errno, "cannot create an eventfd");
	*ret_fd = fd;
	return ok();
}

void eventfd_signal(int fd)
{
	uint64_t one = 1;
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

uint64_t eventfd_drain(int fd)
{
	uint64_t count = 0;
	ssize_t n;
	do {
		n = read(fd, &count, sizeof(count));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(count) ? count : 0;
}
