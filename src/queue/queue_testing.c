/* See queue_testing.h. */
#include "queue/queue_testing.h"

#include "os/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>

static int64_t now_us = (int64_t)1800000000 * 1000000;

static int64_t fake_now_us(const struct clock *clock)
{
	(void)clock;
	return now_us;
}
static int64_t fake_monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return now_us / 1000;
}
static const struct clock fake_clock = {.now_us = fake_now_us, .monotonic_ms = fake_monotonic_ms};

int64_t test_now(void)
{
	return now_us / 1000;
}

void test_later(int64_t ms)
{
	now_us += ms * 1000;
}

/* ---- the observer ---- */

static void changed(void *context, const struct queue_brief *brief)
{
	struct fixture *f = context;
	pthread_mutex_lock(&f->lock);
	assert_in_range(brief->id, 1, KNOWN_MAX - 1);
	f->n_waiting += !f->known[brief->id];
	f->known[brief->id] = true;
	f->last = *brief;
	snprintf(f->last_transport, sizeof(f->last_transport), "%.*s", SLICE_FMT(brief->transport));
	pthread_mutex_unlock(&f->lock);
}

static void left(void *context, int64_t id)
{
	struct fixture *f = context;
	pthread_mutex_lock(&f->lock);
	f->n_waiting -= f->known[id];
	f->known[id] = false;
	pthread_mutex_unlock(&f->lock);
}

/* ---- life ---- */

__attribute__((noinline)) static void join(char *ret_path, size_t size, const char *dir,
                                           const char *name)
{
	snprintf(ret_path, size, "%s/%s", dir, name);
}

void fixture_init(struct fixture *f)
{
	const char *dir = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	*f = (struct fixture){.dir_fd = -1};
	snprintf(f->path, sizeof(f->path), "%s/queue-test-XXXXXX", dir);
	assert_non_null(mkdtemp(f->path));
	join(f->db_path, sizeof(f->db_path), f->path, "queue.db");
	f->dir_fd = openat(AT_FDCWD, f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	pthread_mutex_init(&f->lock, NULL);
	f->known = base_alloc(KNOWN_MAX * sizeof(bool));
	arena_init(&f->arena, (size_t)64 * 1024 * 1024);
	f->options = (struct queue_options){
	        .dir_fd = f->dir_fd,
	        .path = f->db_path,
	        .clock = &fake_clock,
	        .observer = {.changed = changed, .left = left, .context = f},
	        .inline_max = 1000,
	        .max_entries = 100000,
	        .max_size = (uint64_t)1 << 30,
	        .keep_retired_ms = (int64_t)7 * 86400 * 1000,
	};
	assert_ok(queue_open(&f->options, &f->queue));
}

void fixture_reopen(struct fixture *f)
{
	queue_close(f->queue);
	f->queue = NULL;
	memset(f->known, 0, KNOWN_MAX * sizeof(bool));
	f->n_waiting = 0;
	assert_ok(queue_open(&f->options, &f->queue));
	assert_ok(queue_replay(f->queue));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return unlinkat(AT_FDCWD, path, flag == FTW_DP ? AT_REMOVEDIR : 0);
}

void fixture_remove(struct fixture *f)
{
	fd_close(&f->dir_fd);
	assert_int_equal(nftw(f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	arena_done(&f->arena);
	base_free(f->known);
	pthread_mutex_destroy(&f->lock);
}

void fixture_done(struct fixture *f)
{
	queue_close(f->queue);
	fixture_remove(f);
}

/* ---- doing ---- */

int text_fd(const char *text)
{
	int fd = -1;
	assert_ok(memfd_new_sealed("test", slice_str(text), &fd));
	return fd;
}

char *test_body(uint64_t seed, size_t n)
{
	char *body = base_alloc(n + 1);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		body[i] = (char)('a' + (seed >> 33) % 26);
	}
	return body;
}

struct queue_add some_add(struct fixture *f, const char *id, struct queue_recipient *rcpts,
                          size_t n)
{
	struct queue_add add = {
	        .submission_id = slice_str(id),
	        .message = {.account = SLICE("me"),
	                    .sender = SLICE("me@example.org"),
	                    .from = SLICE("me@example.org"),
	                    .message_id = slice_empty(),
	                    .subject = SLICE("Hello"),
	                    .references = slice_empty(),
	                    .prefix = slice_empty(),
	                    .envid = slice_empty()},
	        .body_fd = -1,
	        .transport = slice_empty(),
	        .recipients = rcpts,
	        .n_recipients = n,
	};
	(void)f;
	for (size_t i = 0; i < n; i++)
		rcpts[i].orcpt = slice_of(rcpts[i].orcpt.p, rcpts[i].orcpt.n);
	return add;
}

struct status add_bytes(struct fixture *f, struct queue_add *add, struct slice body)
{
	char message_id[128];
	snprintf(message_id, sizeof(message_id), "<%.*s@example.org>",
	         SLICE_FMT(add->submission_id));
	if (add->message.message_id.n == 0)
		add->message.message_id = slice_str(message_id);
	if (add->message.size == 0)
		add->message.size = body.n;
	assert_ok(memfd_new_sealed("test", body, &add->body_fd));
	queue_add(f->queue, &add, 1);
	fd_close(&add->body_fd);
	add->message.message_id = slice_empty();
	return add->status;
}

struct status add_with(struct fixture *f, struct queue_add *add, const char *body)
{
	return add_bytes(f, add, slice_str(body));
}

int64_t add_one(struct fixture *f, const char *id, const char *address)
{
	struct queue_recipient rcpt = {.address = slice_str(address)};
	struct queue_add add = some_add(f, id, &rcpt, 1);
	assert_ok(add_with(f, &add, "text"));
	return rcpt.ret_id;
}

struct queue_attempt some_attempt(int64_t at_ms, uint32_t code, const char *lines,
                                  enum queue_result result)
{
	return (struct queue_attempt){
	        .started_ms = at_ms,
	        .ended_ms = at_ms,
	        .transport = slice_empty(),
	        .route = slice_empty(),
	        .remote_host = SLICE("mx.example"),
	        .remote_address = SLICE("192.0.2.1"),
	        .code = code,
	        .enhanced = slice_empty(),
	        .lines = slice_str(lines),
	        .why = SLICE("it was so"),
	        .tls = slice_empty(),
	        .result = result,
	};
}

struct status retire(struct fixture *f, int64_t entry, enum queue_state how)
{
	struct queue_outcome outcome = {.entry = entry, .state = how, .counts = true};
	outcome.attempt = some_attempt(test_now(), 250, "250 ok", QUEUE_RESULT_DELIVERED);
	return queue_record(f->queue, &outcome, 1);
}

void assert_body_bytes(struct fixture *f, int64_t message, struct slice bytes)
{
	int fd = -1;
	uint64_t size = 0;
	CLEANUP(base_freep) uint8_t *there = base_alloc(bytes.n + 1);
	assert_ok(queue_body(f->queue, message, &fd));
	assert_ok(fd_size(fd, &size));
	assert_int_equal(size, bytes.n);
	assert_ok(fd_pread_all(fd, there, bytes.n, 0, NULL));
	assert_memory_equal(there, bytes.p, bytes.n);
	close(fd);
}

void assert_body(struct fixture *f, int64_t message, const char *text)
{
	assert_body_bytes(f, message, slice_str(text));
}

static struct {
	unsigned n;
	char path[512];
} found_files;

static int count_file(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	if (flag == FTW_F && strstr(path, "/msg/") && ftw->level == 3) {
		found_files.n++;
		snprintf(found_files.path, sizeof(found_files.path), "%s", path);
	}
	return 0;
}

unsigned n_files(struct fixture *f)
{
	found_files.n = 0;
	assert_int_equal(nftw(f->path, count_file, 16, FTW_PHYS), 0);
	return found_files.n;
}

void find_file(struct fixture *f, char *ret_path, size_t size)
{
	assert_int_equal(n_files(f), 1);
	snprintf(ret_path, size, "%s", found_files.path);
}
