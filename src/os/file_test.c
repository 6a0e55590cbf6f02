/* Files by directory descriptor, on a real file system. */
#include "os/file.h"

#include "os/fd.h"
#include "os/test_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct place {
	char path[64];
	int dir;
};

static int make_place(void **state)
{
	static struct place place;
	snprintf(place.path, sizeof(place.path), "/tmp/file_test.XXXXXX");
	if (!mkdtemp(place.path))
		return -1;
	place.dir = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &place;
	return place.dir < 0;
}

static int remove_place(void **state)
{
	struct place *place = *state;
	char command[128];
	pid_t pid = fork();
	snprintf(command, sizeof(command), "rm -rf '%s'", place->path);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	fd_close(&place->dir);
	return test_wait(pid);
}

static unsigned n_entries(int dir)
{
	unsigned n = 0;
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY));
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void check_contents(int dir, const char *name, const char *expected)
{
	struct arena arena;
	struct slice bytes;
	arena_init(&arena, 1 << 20);
	assert_ok(file_read(dir, name, 1000, &arena, &bytes, NULL));
	assert_true(slice_eq_str(bytes, expected));
	arena_done(&arena);
}

static mode_t mode_of(int dir, const char *name)
{
	struct stat st;
	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void a_file_is_replaced_whole(void **state)
{
	struct place *place = *state;
	unsigned before = n_entries(place->dir);
	assert_ok(file_replace(place->dir, "f", SLICE("first"), 0640, NULL));
	check_contents(place->dir, "f", "first");
	assert_int_equal(mode_of(place->dir, "f"), 0640);
	assert_ok(file_replace(place->dir, "f", SLICE(""), 0600, NULL));
	check_contents(place->dir, "f", "");
	assert_int_equal(mode_of(place->dir, "f"), 0600);
	assert_int_equal(n_entries(place->dir), before + 1); /* no temporary left */
	char absolute[128];
	snprintf(absolute, sizeof(absolute), "%s/f", place->path);
	assert_ok(file_replace(AT_FDCWD, absolute, SLICE("by path"), 0600, NULL));
	check_contents(place->dir, "f", "by path");
}

static void a_failed_replacement_leaves_the_old_file(void **state)
{
	struct place *place = *state;
	struct os_fault fault;
	assert_ok(file_mkdir_all(place->dir, "taken", 0700, NULL));
	unsigned before = n_entries(place->dir);
	assert_err(file_replace(place->dir, "taken", SLICE("x"), 0600, &fault), ERR_IO);
	assert_int_equal(fault.errno_value, EISDIR);
	assert_err(file_replace(place->dir, "nowhere/f", SLICE("x"), 0600, &fault), ERR_NOT_FOUND);
	assert_err(file_replace(place->dir, "", SLICE("x"), 0600, &fault), ERR_INVALID);
	assert_int_equal(n_entries(place->dir), before);
}

/* A file system that is full in the middle: the size limit stands in for it. */
static void a_full_disk_leaves_the_old_file(void **state)
{
	struct place *place = *state;
	assert_ok(file_replace(place->dir, "old", SLICE("old"), 0600, NULL));
	unsigned before = n_entries(place->dir);
	pid_t pid = fork();
	if (pid == 0) {
		static uint8_t bytes[100000];
		struct rlimit limit = {5000, 5000};
		(void)signal(SIGXFSZ, SIG_IGN);
		(void)setrlimit(RLIMIT_FSIZE, &limit);
		struct status s =
		        file_replace(place->dir, "old", slice_of(bytes, sizeof(bytes)), 0600, NULL);
		_exit(s.code == ERR_IO ? 0 : 1);
	}
	assert_int_equal(test_wait(pid), 0);
	check_contents(place->dir, "old", "old");
	assert_int_equal(n_entries(place->dir), before);
}

static void reading_has_a_limit(void **state)
{
	struct place *place = *state;
	struct arena small, large;
	struct slice bytes;
	struct os_fault fault;
	arena_init(&small, 64);
	arena_init(&large, 1 << 16);
	static uint8_t kilobyte[1000];
	assert_ok(file_replace(place->dir, "k", slice_of(kilobyte, 1000), 0600, NULL));
	assert_ok(file_read(place->dir, "k", 1000, &large, &bytes, NULL));
	assert_int_equal(bytes.n, 1000);
	assert_err(file_read(place->dir, "k", 999, &large, &bytes, &fault), ERR_LIMIT);
	assert_text(fault.text, "file is too large: k");
	assert_err(file_read(place->dir, "k", 1000, &small, &bytes, &fault), ERR_LIMIT);
	assert_err(file_read(place->dir, "absent", 10, &large, &bytes, &fault), ERR_NOT_FOUND);
	assert_text(fault.text, "cannot open absent: No such file or directory");
	assert_err(file_read(place->dir, ".", 10, &large, &bytes, &fault), ERR_INVALID);
	arena_done(&small);
	arena_done(&large);
}

static void neither_links_nor_fifos_are_read(void **state)
{
	struct place *place = *state;
	struct arena arena;
	struct slice bytes;
	struct os_fault fault;
	arena_init(&arena, 1 << 16);
	assert_int_equal(symlinkat("/etc/passwd", place->dir, "link"), 0);
	assert_int_equal(mkfifoat(place->dir, "fifo", 0600), 0);
	assert_err(file_read(place->dir, "link", 1 << 16, &arena, &bytes, &fault), ERR_IO);
	assert_int_equal(fault.errno_value, ELOOP);
	assert_err(file_read(place->dir, "fifo", 10, &arena, &bytes, &fault), ERR_INVALID);
	arena_done(&arena);
}

static void a_path_may_lead_through_links_but_not_to_a_fifo(void **state)
{
	struct place *place = *state;
	struct arena arena;
	struct slice bytes;
	struct os_fault fault;
	char path[128];
	arena_init(&arena, 1 << 16);
	assert_int_equal(symlinkat("/etc/passwd", place->dir, "named"), 0);
	assert_int_equal(mkfifoat(place->dir, "pipe", 0600), 0);
	snprintf(path, sizeof(path), "%s/named", place->path);
	assert_ok(file_read_path(path, 1 << 15, &arena, &bytes, &fault));
	assert_true(bytes.n > 0);
	assert_err(file_read_path(path, 1, &arena, &bytes, &fault), ERR_LIMIT);
	snprintf(path, sizeof(path), "%s/pipe", place->path);
	assert_err(file_read_path(path, 10, &arena, &bytes, &fault), ERR_INVALID);
	assert_err(file_read_path("/nonexistent", 10, &arena, &bytes, &fault), ERR_NOT_FOUND);
	assert_text(fault.text, "cannot open /nonexistent: No such file or directory");
	arena_done(&arena);
}

static void directories_are_made_with_their_mode(void **state)
{
	struct place *place = *state;
	static const char *const good[] = {"a", "a/b/c", "a/b/c", "d/", "e//f///", "./g/./h"};
	static const char *const bad[] = {"", "file/x", "file", "file/"};
	mode_t old = umask(077);
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		assert_ok(file_mkdir_all(place->dir, good[i], 0750, NULL));
	umask(old);
	assert_int_equal(mode_of(place->dir, "a/b/c"), 0750);
	assert_int_equal(mode_of(place->dir, "a"), 0750);
	assert_int_equal(mode_of(place->dir, "e/f"), 0750);
	assert_int_equal(mode_of(place->dir, "g/h"), 0750);
	assert_ok(file_replace(place->dir, "file", SLICE("x"), 0600, NULL));
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_false(is_ok(file_mkdir_all(place->dir, bad[i], 0700, NULL)));
	assert_ok(file_mkdir_all(AT_FDCWD, place->path, 0711, NULL));
	assert_int_equal(mode_of(AT_FDCWD, place->path), 0700); /* existing ones are left alone */
	assert_ok(file_mkdir_all(AT_FDCWD, "/", 0700, NULL));
}

static void a_temporary_file_has_no_name(void **state)
{
	struct place *place = *state;
	CLEANUP(fd_close) int fd = -1;
	struct stat st;
	unsigned before = n_entries(place->dir);
	assert_ok(file_temporary(place->dir, ".", 0600, &fd, NULL));
	assert_ok(fd_write_all(fd, SLICE("body"), NULL));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(n_entries(place->dir), before);
	int none = -1;
	assert_err(file_temporary(place->dir, "absent", 0600, &none, NULL), ERR_NOT_FOUND);
	assert_int_equal(none, -1);
}

static void a_lock_is_held_until_closed(void **state)
{
	struct place *place = *state;
	int first = -1;
	int second = -1;
	struct os_fault fault;
	assert_ok(file_lock(place->dir, "lock", &first, NULL));
	assert_err(file_lock(place->dir, "lock", &second, &fault), ERR_BUSY);
	assert_int_equal(second, -1);
	fd_close(&first);
	assert_ok(file_lock(place->dir, "lock", &second, NULL));
	char pid[32];
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	check_contents(place->dir, "lock", pid);
	fd_close(&second);
	assert_err(file_lock(place->dir, "absent/lock", &first, &fault), ERR_NOT_FOUND);
}

static void bytes_are_copied_between_offsets(void **state)
{
	struct place *place = *state;
	enum { SIZE = 300000 };
	uint8_t *bytes = base_alloc(SIZE);
	uint8_t *back = base_alloc(SIZE);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	CLEANUP(fd_close) int memory = -1; /* another file system: copied by hand */
	CLEANUP(fd_close) int from = -1;
	CLEANUP(fd_close) int to = -1;
	assert_ok(memfd_new("from", &memory));
	assert_ok(fd_pwrite_all(memory, slice_of(bytes, SIZE), 0, NULL));
	assert_ok(file_temporary(place->dir, ".", 0600, &from, NULL));
	assert_ok(file_temporary(place->dir, ".", 0600, &to, NULL));
	assert_ok(file_copy(memory, 0, from, 0, SIZE, NULL));
	assert_ok(file_copy(from, 1000, to, 5, SIZE - 1000, NULL));
	assert_ok(fd_pread_all(to, back, SIZE - 1000, 5, NULL));
	assert_memory_equal(back, bytes + 1000, SIZE - 1000);
	assert_err(file_copy(from, 1, to, 0, SIZE, NULL), ERR_TRUNCATED);
	assert_ok(file_copy(from, 0, to, 0, 0, NULL));
	assert_err(file_copy(from, 0, -1, 0, 10, NULL), ERR_IO);
	base_free(bytes);
	base_free(back);
}

static void names_come_and_go(void **state)
{
	struct place *place = *state;
	struct os_fault fault;
	assert_ok(file_replace(place->dir, "one", SLICE("1"), 0600, NULL));
	assert_ok(file_rename(place->dir, "one", place->dir, "two", NULL));
	assert_err(file_rename(place->dir, "one", place->dir, "three", &fault), ERR_NOT_FOUND);
	check_contents(place->dir, "two", "1");
	assert_ok(file_unlink(place->dir, "two", NULL));
	assert_err(file_unlink(place->dir, "two", &fault), ERR_NOT_FOUND);
	assert_ok(file_sync_dir(place->dir, ".", NULL));
	assert_err(file_sync_dir(place->dir, "absent", &fault), ERR_NOT_FOUND);
	assert_err(file_sync(-1, &fault), ERR_IO);
	assert_err(file_sync_data(-1, &fault), ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_file_is_replaced_whole),
	        cmocka_unit_test(a_failed_replacement_leaves_the_old_file),
	        cmocka_unit_test(a_full_disk_leaves_the_old_file),
	        cmocka_unit_test(reading_has_a_limit),
	        cmocka_unit_test(neither_links_nor_fifos_are_read),
	        cmocka_unit_test(a_path_may_lead_through_links_but_not_to_a_fifo),
	        cmocka_unit_test(directories_are_made_with_their_mode),
	        cmocka_unit_test(a_temporary_file_has_no_name),
	        cmocka_unit_test(a_lock_is_held_until_closed),
	        cmocka_unit_test(bytes_are_copied_between_offsets),
	        cmocka_unit_test(names_come_and_go),
	};
	return cmocka_run_group_tests(tests, make_place, remove_place);
}
