/* A whole session on a new account: whatever the client says, the session ends, its answers are
 * whole lines, and the store is sound afterwards. The first byte chooses how the input is split. */
#include "base/stream_mem.h"
#include "imap/session.h"
#include "imap/summarize.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t fixed_us(const struct clock *clock)
{
	(void)clock;
	return INT64_C(1700000000) * 1000000;
}

static int64_t fixed_ms(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static const struct clock fixed_clock = {fixed_us, fixed_ms};

/* Directories hold files and, one level down, message files. */
static void remove_files(const char *path, int levels)
{
	char name[4096];
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (unlink(name) != 0 && levels > 0)
			remove_files(name, levels - 1);
	}
	closedir(dir);
	rmdir(path);
}

static void count_problem(void *context, const char *text)
{
	(void)context;
	(void)text;
	BUG("the store is not sound");
}

static void run(struct store *store, struct slice input, size_t chunk)
{
	struct stream_mem m;
	stream_mem_init(&m, input, chunk);
	struct imap_session_options options = {
	        .stream = &m.stream,
	        .store = store,
	        .clock = &fixed_clock,
	        .login_tag = "t",
	        .wake_fd = -1,
	        .append_max = 100000,
	};
	(void)imap_session_run(&options);
	ASSERT(slice_starts(stream_mem_output(&m), SLICE("t OK ")));
	ASSERT(slice_ends(stream_mem_output(&m), SLICE("\r\n")));
	stream_mem_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char messages[] =
	        "1 APPEND INBOX (\\Seen x) {94+}\r\nFrom: a@b\r\nSubject: =?utf-8?q?=C3=B6?=\r\n"
	        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n "
	        "{5+}\r\nthree\r\n"
	        "2 SELECT INBOX\r\n";
	char path[] = "/dev/shm/imap-fuzz-XXXXXX";
	struct store *store;
	struct store_options options = {.clock = &fixed_clock, .summarize = imap_summarize};
	if (size < 1 || !mkdtemp(path))
		return 0;
	int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT(fd >= 0 && is_ok(store_open(fd, &options, &store)));
	struct buf input;
	buf_init(&input, MIB);
	buf_add_str(&input, messages);
	buf_add(&input, slice_of(data + 1, MIN(size - 1, (size_t)100000)));
	run(store, buf_slice(&input), data[0] % 8);
	ASSERT(is_ok(store_verify(store, count_problem, NULL)));
	buf_done(&input);
	store_close(store);
	close(fd);
	remove_files(path, 3);
	return 0;
}
