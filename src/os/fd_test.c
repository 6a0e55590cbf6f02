/* Descriptors, memfds, eventfds, deadlines. */
#include "os/fd.h"

#include "os/clock.h"
#include "os/test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void a_scope_closes_what_was_not_taken(void **state)
{
	(void)state;
	int kept, closed;
	{
		CLEANUP(fd_close) int a = -1;
		CLEANUP(fd_close) int b = -1;
		assert_ok(eventfd_new(&a));
		assert_ok(eventfd_new(&b));
		closed = a;
		kept = TAKE_FD(b);
		assert_int_equal(b, -1);
	}
	assert_false(is_open(closed));
	assert_true(is_open(kept));
	fd_close(&kept);
	fd_close(&kept); /* twice is harmless */
	assert_int_equal(kept, -1);
}

static void closing_keeps_errno(void **state)
{
	(void)state;
	int fd = 1000; /* not open */
	errno = ENOSPC;
	fd_close(&fd);
	assert_int_equal(errno, ENOSPC);
}

static void a_copy_is_close_on_exec_and_above_the_standard_ones(void **state)
{
	(void)state;
	CLEANUP(fd_close) int copy = -1;
	assert_ok(fd_dup(0, &copy));
	assert_true(copy > 2);
	assert_int_equal(fcntl(copy, F_GETFD), FD_CLOEXEC);
	assert_ok(fd_set_cloexec(copy, false));
	assert_int_equal(fcntl(copy, F_GETFD), 0);
	int none = -1;
	assert_err(fd_dup(-1, &none), ERR_IO);
	assert_int_equal(none, -1);
}

static void check_closing(const int *keep, size_t n_keep, const bool expected[12])
{
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 3; i < 12; i++) {
			if (dup2(0, i) < 0)
				_exit(100);
		}
		if (!is_ok(fd_close_all_except(keep, n_keep)))
			_exit(101);
		for (int i = 0; i < 12; i++) {
			if (is_open(i) != expected[i])
				_exit(i + 1);
		}
		_exit(0);
	}
	assert_int_equal(test_wait(pid), 0);
}

static void only_the_listed_descriptors_stay_open(void **state)
{
	(void)state;
	static const struct {
		int keep[6];
		size_t n;
		bool expected[12];
	} cases[] = {
	        {{0, 1, 2}, 3, {1, 1, 1}},
	        {{2, 1, 0, 7}, 4, {1, 1, 1, 0, 0, 0, 0, 1}},
	        {{7, 7, 7, 2}, 4, {0, 0, 1, 0, 0, 0, 0, 1}},
	        {{-1, 11, -5, 3}, 4, {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}},
	        {{4, 5, 6}, 3, {0, 0, 0, 0, 1, 1, 1}},
	        {{0}, 0, {0}},
	        {{INT_MAX, 3}, 2, {0, 0, 0, 1}},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_closing(cases[i].keep, cases[i].n, cases[i].expected);
	static int many[2000];
	assert_err(fd_close_all_except(many, N_ELEMENTS(many)), ERR_LIMIT);
}

static void *drain_slowly(void *p)
{
	int fd = *(int *)p;
	uint8_t piece[1000];
	size_t sum = 0;
	ssize_t n;
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		sum += (size_t)n;
	*(int *)p = (int)sum;
	return NULL;
}

static void all_is_written_through_short_writes(void **state)
{
	(void)state;
	enum { SIZE = 3000000 };
	int fds[2];
	pthread_t thread;
	uint8_t *bytes = base_alloc(SIZE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_ok(fd_set_nonblocking(fds[0], true)); /* must wait by itself */
	int reader = fds[1];
	assert_int_equal(pthread_create(&thread, NULL, drain_slowly, &reader), 0);
	assert_ok(fd_write_all(fds[0], slice_of(bytes, SIZE), NULL));
	fd_close(&fds[0]);
	pthread_join(thread, NULL);
	assert_int_equal(reader, SIZE);
	fd_close(&fds[1]);
	base_free(bytes);
}

static void failures_are_told_with_their_reason(void **state)
{
	(void)state;
	struct os_fault fault = {.errno_value = 0};
	CLEANUP(fd_close) int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	assert_err(fd_write_all(fd, SLICE("x"), &fault), ERR_NO_SPACE);
	assert_int_equal(fault.errno_value, ENOSPC);
	assert_text(fault.text, "cannot write: No space left on device");
	assert_err(os_fail(&fault, EACCES, "cannot open", "a\nb\x1b"), ERR_DENIED);
	assert_text(fault.text, "cannot open a?b?: Permission denied");
	assert_err(os_refuse(&fault, ERR_LIMIT, "too much of", NULL), ERR_LIMIT);
	assert_text(fault.text, "too much of");
	assert_text(os_errno_text(99999), "unknown error");
}

static void reading_past_the_end_is_truncated(void **state)
{
	(void)state;
	CLEANUP(fd_close) int fd = -1;
	uint8_t p[8];
	assert_ok(memfd_new("test", &fd));
	assert_ok(fd_write_all(fd, SLICE("12345"), NULL));
	assert_ok(fd_pread_all(fd, p, 3, 2, NULL));
	assert_memory_equal(p, "345", 3);
	assert_err(fd_pread_all(fd, p, 3, 3, NULL), ERR_TRUNCATED);
	assert_err(fd_pread_all(-1, p, 3, 3, NULL), ERR_IO);
	assert_int_equal(lseek(fd, 1, SEEK_SET), 1);
	assert_ok(fd_read_all(fd, p, 4, NULL));
	assert_memory_equal(p, "2345", 4);
	assert_err(fd_read_all(fd, p, 1, NULL), ERR_TRUNCATED);
	assert_ok(fd_pwrite_all(fd, SLICE("zz"), 1, NULL));
	assert_ok(fd_pread_all(fd, p, 5, 0, NULL));
	assert_memory_equal(p, "1zz45", 5);
}

static void a_sealed_memfd_never_changes(void **state)
{
	(void)state;
	CLEANUP(fd_close) int fd = -1;
	uint64_t size;
	assert_ok(memfd_new_sealed("config", SLICE("hello"), &fd));
	assert_ok(memfd_check(fd, 5, &size));
	assert_int_equal(size, 5);
	assert_true(pwrite(fd, "X", 1, 0) < 0);
	assert_true(ftruncate(fd, 0) < 0);
	assert_true(ftruncate(fd, 10) < 0);
	assert_true(mmap(NULL, 5, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_true(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
}

static int partly_sealed(int seals)
{
	int fd = -1;
	assert_ok(memfd_new("weak", &fd));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void what_is_not_sealed_is_refused(void **state)
{
	(void)state;
	static const int too_few[] = {0, F_SEAL_WRITE, F_SEAL_WRITE | F_SEAL_SHRINK,
	                              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	                              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE};
	uint64_t size = 77;
	struct memfd_map map = {.size = 0};
	int others[] = {open("/dev/null", O_RDONLY), open("/etc/passwd", O_RDONLY), -1};
	CLEANUP(fd_close) int large = -1;
	for (size_t i = 0; i < N_ELEMENTS(too_few); i++) {
		CLEANUP(fd_close) int fd = partly_sealed(too_few[i]);
		assert_err(memfd_check(fd, 100, &size), ERR_INVALID);
		assert_err(memfd_map_open(fd, 100, &map), ERR_INVALID);
	}
	for (size_t i = 0; i < N_ELEMENTS(others); i++) {
		assert_err(memfd_check(others[i], 1 << 20, &size), ERR_INVALID);
		fd_close(&others[i]);
	}
	assert_ok(memfd_new_sealed("large", SLICE("123456"), &large));
	assert_err(memfd_check(large, 5, &size), ERR_LIMIT);
	assert_int_equal(size, 77);
}

static void a_map_outlives_its_descriptor(void **state)
{
	(void)state;
	int fd = -1;
	struct memfd_map map;
	assert_ok(memfd_new_sealed("map", SLICE("contents"), &fd));
	assert_ok(memfd_map_open(fd, 100, &map));
	fd_close(&fd);
	assert_true(slice_eq_str(map.bytes, "contents"));
	memfd_map_close(&map);
	memfd_map_close(&map);
	assert_ok(memfd_new_sealed("empty", SLICE(""), &fd));
	assert_ok(memfd_map_open(fd, 100, &map));
	assert_int_equal(map.bytes.n, 0);
	memfd_map_close(&map);
	fd_close(&fd);
}

static void an_event_counts_and_drains(void **state)
{
	(void)state;
	CLEANUP(fd_close) int fd = -1;
	assert_ok(eventfd_new(&fd));
	assert_int_equal(eventfd_drain(fd), 0); /* does not block */
	eventfd_signal(fd);
	eventfd_signal(fd);
	assert_int_equal(eventfd_drain(fd), 2);
	assert_int_equal(eventfd_drain(fd), 0);
	uint64_t full = UINT64_MAX - 1;
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	eventfd_signal(fd); /* full: returns all the same */
	assert_true(eventfd_drain(fd) == full);
}

static void deadlines_pass_and_never_does_not(void **state)
{
	(void)state;
	struct deadline now = deadline_in(0);
	struct deadline later = deadline_in(60000);
	assert_true(deadline_passed(now));
	assert_int_equal(deadline_left_ms(now), 0);
	assert_false(deadline_passed(later));
	assert_in_range(deadline_left_ms(later), 50000, 60000);
	assert_int_equal(deadline_left_ms(deadline_never()), -1);
	assert_int_equal(deadline_left_ms(deadline_in(-1)), -1);
	assert_false(deadline_passed(deadline_in(INT64_MAX)));
	assert_int_equal(deadline_left_ms(deadline_in((int64_t)INT_MAX * 4)), INT_MAX);
	int64_t us = clock_now_us(clock_real());
	assert_true(us > INT64_C(1600000000) * 1000000);
	assert_true(clock_monotonic_ms(clock_real()) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_scope_closes_what_was_not_taken),
	        cmocka_unit_test(closing_keeps_errno),
	        cmocka_unit_test(a_copy_is_close_on_exec_and_above_the_standard_ones),
	        cmocka_unit_test(only_the_listed_descriptors_stay_open),
	        cmocka_unit_test(all_is_written_through_short_writes),
	        cmocka_unit_test(failures_are_told_with_their_reason),
	        cmocka_unit_test(reading_past_the_end_is_truncated),
	        cmocka_unit_test(a_sealed_memfd_never_changes),
	        cmocka_unit_test(what_is_not_sealed_is_refused),
	        cmocka_unit_test(a_map_outlives_its_descriptor),
	        cmocka_unit_test(an_event_counts_and_drains),
	        cmocka_unit_test(deadlines_pass_and_never_does_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
