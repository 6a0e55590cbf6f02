/* See store_testing.h. The summary of a message: ENVELOPE is its first line in parentheses, BODY
 * its size, BODYSTRUCTURE both; SENT is the number in a first line "Date: N". */
#include "store/store_testing.h"

#include "base/buf.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

static atomic_int_fast64_t test_now_s = 1700000000;

static int64_t test_now_us(const struct clock *clock)
{
	(void)clock;
	return atomic_load(&test_now_s) * 1000000;
}

static int64_t test_monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static const struct clock test_clock = {test_now_us, test_monotonic_ms};

void assert_ok_failed(const char *expr, struct status status, const char *file, int line)
{
	print_error("%s: %s: %s\n", expr, err_name(status.code), status.why);
	_fail(file, line);
}

void fixture_set_time(int64_t now_s)
{
	atomic_store(&test_now_s, now_s);
}

static struct status test_summarize(const struct store_reader *r, struct arena *arena,
                                    struct store_summary *ret_summary)
{
	uint8_t start[100];
	size_t n = 0;
	uint64_t date = 0;
	struct slice line, rest;
	TRY(r->read(r, 0, start, sizeof(start), &n));
	slice_cut(slice_of(start, n), '\n', &line, &rest);
	line = slice_trim(line);
	ret_summary->envelope = slice_str(arena_printf(arena, "(%.*s)", SLICE_FMT(line)));
	ret_summary->body = slice_str(arena_printf(arena, "%" PRIu64, r->size));
	ret_summary->bodystructure =
	        slice_str(arena_printf(arena, "(%.*s) %" PRIu64, SLICE_FMT(line), r->size));
	if (slice_starts(line, SLICE("Date: ")) &&
	    slice_to_u64(slice_from(line, 6), UINT32_MAX, &date)) {
		ret_summary->sent_at = (int64_t)date;
		ret_summary->sent_day = (int32_t)(date / 86400);
	}
	return slice_starts(line, SLICE("unsummarizable")) ? fail(ERR_IO, "as asked") : ok();
}

void fixture_init(struct fixture *f)
{
	const char *base = getenv("TMPDIR");
	*f = (struct fixture){.dir_fd = -1};
	fixture_set_time(1700000000);
	snprintf(f->path, sizeof(f->path), "%s/store-test-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(f->path));
	f->dir_fd = openat(AT_FDCWD, f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	f->options = (struct store_options){.clock = &test_clock, .summarize = test_summarize};
	arena_init(&f->arena, (size_t)256 * 1024 * 1024);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
}

void fixture_reopen(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
}

/* Two levels: msg/ and its folders. */
static void remove_tree(int dir_fd, const char *name, int depth)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) != 0 && depth > 0)
			remove_tree(fd, entry->d_name, depth - 1);
	}
	closedir(dir);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void fixture_remove(struct fixture *f)
{
	fd_close(&f->dir_fd);
	remove_tree(AT_FDCWD, f->path, 2);
	arena_done(&f->arena);
}

void fixture_done(struct fixture *f)
{
	fixture_verify(f);
	store_close(f->store);
	fixture_remove(f);
}

static void count_problem(void *context, const char *text)
{
	print_message("verify: %s\n", text);
	(*(size_t *)context)++;
}

void fixture_verify(struct fixture *f)
{
	size_t n_problems = 0;
	assert_ok(store_verify(f->store, count_problem, &n_problems));
	assert_int_equal(n_problems, 0);
}

struct store_mailbox_id mailbox_id(struct fixture *f, const char *name)
{
	struct store_mailbox m;
	struct status status = store_mailbox_find(f->store, slice_str(name), &f->arena, &m);
	return is_ok(status) ? m.id : (struct store_mailbox_id){0};
}

struct store_mailbox mailbox(struct fixture *f, const char *name)
{
	struct store_mailbox m;
	assert_ok(store_mailbox_find(f->store, slice_str(name), &f->arena, &m));
	return m;
}

char *test_body(uint64_t seed, size_t n)
{
	char *body = base_alloc(n + 1);
	uint64_t x = seed * 2654435761u + 1;
	for (size_t i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		body[i] = i % 72 == 71 ? '\n' : (char)('a' + (x >> 33) % 26);
	}
	return body;
}

struct status append(struct fixture *f, struct store_mailbox_id id, struct slice body,
                     uint64_t flags, struct store_append *ret_append)
{
	struct store_spool *spool = NULL;
	struct status status = store_spool_new(f->store, &spool);
	if (is_ok(status))
		status = store_spool_write(spool, body);
	struct store_append a = {.mailbox = id,
	                         .spool = spool,
	                         .prefix = slice_empty(),
	                         .delivery_id = slice_empty(),
	                         .flags = flags,
	                         .received_at = 1600000000};
	if (is_ok(status)) {
		store_append(f->store, &a, 1, false);
		status = a.status;
	}
	store_spool_free(spool);
	if (ret_append)
		*ret_append = a;
	return status;
}

struct store_uid add(struct fixture *f, const char *mailbox, const char *body)
{
	struct store_append a;
	assert_ok(append(f, mailbox_id(f, mailbox), slice_str(body), 0, &a));
	return a.uid;
}

struct slice message_bytes(struct fixture *f, struct store_message_id id)
{
	struct store_blob *blob = NULL;
	assert_ok(store_blob_open(f->store, id, &blob));
	struct store_reader *r = store_blob_reader(blob);
	uint8_t *bytes = arena_alloc(&f->arena, (size_t)r->size + 1);
	size_t n = 0, at = 0;
	do {
		assert_ok(r->read(r, at, bytes + at, 1000, &n));
		at += n;
	} while (n > 0 && at + 1000 <= r->size);
	assert_ok(r->read(r, at, bytes + at, (size_t)r->size - at, &n));
	assert_int_equal(at + n, r->size);
	store_blob_free(blob);
	return slice_of(bytes, at + n);
}

struct store_uids uid_set(struct fixture *f, const char *text)
{
	struct store_uid_range *ranges = ARENA_ARRAY(&f->arena, 1000, struct store_uid_range);
	struct slice range, rest = slice_str(text);
	size_t n = 0;
	while (rest.n > 0) {
		struct slice first, last;
		slice_cut(rest, ',', &range, &rest);
		if (!slice_cut(range, ':', &first, &last))
			last = first;
		assert_true(slice_to_u32(first, UINT32_MAX, &ranges[n].first.v));
		assert_true(slice_to_u32(last, UINT32_MAX, &ranges[n].last.v));
		n++;
	}
	return (struct store_uids){ranges, n};
}

const char *uids_text(struct fixture *f, const char *mailbox, bool flags)
{
	struct store_view *view = NULL;
	struct buf buf;
	static const char letters[] = "SAFDT";
	buf_init(&buf, (size_t)16 * 1024 * 1024);
	assert_ok(store_view_open(f->store, mailbox_id(f, mailbox), &view));
	for (uint32_t i = 0; i < store_view_count(view); i++) {
		const struct store_entry *e = store_view_at(view, i);
		buf_printf(&buf, "%s%" PRIu32, i ? "," : "", e->uid.v);
		if (!flags)
			continue;
		buf_add_byte(&buf, '(');
		for (size_t bit = 0; bit < 5; bit++)
			if (e->flags >> bit & 1)
				buf_add_byte(&buf, (uint8_t)letters[bit]);
		for (uint32_t bit = STORE_KEYWORD_BIT; bit < 64; bit++)
			if (e->flags >> bit & 1)
				buf_printf(&buf, "%" PRIu32, bit - STORE_KEYWORD_BIT);
		buf_add_byte(&buf, ')');
	}
	store_view_unref(view);
	const char *text = arena_cstr(&f->arena, buf_slice(&buf));
	buf_done(&buf);
	return text;
}
