/* Runs the session scripts (scripts/NAME.txt) against the real session on a real store, each at
 * several splits of the input and pipelined.
 *
 *   C: text      the client sends text and CRLF
 *   C+ text      the same without CRLF
 *   S: text      the server's next line; <any> stands for any text
 *   = text       a comment
 *   @on N        what follows is session N (1 when nothing is said); it logs in when first used
 *   @time N      sets the clock (seconds since 1970)
 *   @timeout     nothing comes for longer than the session waits
 *   @stop        asks the session to end
 *   @quota N     the store's quota, at the start of a script
 *
 * \r \n \t \\ \0 and \xHH are escapes in C lines and S lines.
 */
#include "imap/session.h"

#include "base/stream_mem.h"
#include "imap/summarize.h"
#include "store/store_testing.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#define SESSIONS   3
#define SCRIPT_MAX ((size_t)1024 * 1024)

/* ---- a session in a thread, run step by step ------------------------------------------------ */

struct peer {
	struct stream_mem mem;
	struct stream_ops ops; /* mem's, but for waiting */
	struct imap_session_options options;
	pthread_t thread;
	bool started, ended, timeout;
	_Atomic bool stop, closed;
	sem_t go, idle;
	struct status status;
	size_t output_at; /* what the script has looked at */
};

static atomic_int_fast64_t now_s = 1700000000;
static atomic_int_fast64_t monotonic_ms = 1000000;

static int64_t script_now_us(const struct clock *clock)
{
	(void)clock;
	return atomic_load(&now_s) * 1000000;
}

static int64_t script_monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return atomic_load(&monotonic_ms);
}

static const struct clock script_clock = {script_now_us, script_monotonic_ms};

/* Hands control back to the script until it has more for this session. */
static void pause_session(struct peer *p)
{
	sem_post(&p->idle);
	while (sem_wait(&p->go) != 0)
		continue;
}

static bool more_input(struct stream_mem *m, void *context)
{
	struct peer *p = context;
	while (m->input_at == m->input.n) {
		if (atomic_load(&p->closed))
			return false;
		pause_session(p);
	}
	return true;
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return fd >= 0 && poll(&p, 1, 0) == 1;
}

static struct status wait_for_script(struct stream *s, int wake_fd, int timeout_ms,
                                     enum stream_event *ret_event)
{
	struct peer *p = (struct peer *)(void *)s;
	for (;;) {
		*ret_event = STREAM_WOKEN;
		if (is_readable(wake_fd))
			return ok();
		*ret_event = STREAM_INPUT;
		if (p->mem.input_at < p->mem.input.n || atomic_load(&p->closed))
			return ok();
		*ret_event = STREAM_TIMEOUT;
		if (p->timeout) {
			p->timeout = timeout_ms < 10000; /* a stream waits in two steps */
			atomic_fetch_add(&monotonic_ms, timeout_ms);
			return ok();
		}
		pause_session(p);
	}
}

static void *run_session(void *argument)
{
	struct peer *p = argument;
	while (sem_wait(&p->go) != 0)
		continue;
	p->status = imap_session_run(&p->options);
	p->ended = true;
	sem_post(&p->idle);
	return NULL;
}

static void resume(struct peer *p)
{
	if (p->ended)
		return;
	sem_post(&p->go);
	while (sem_wait(&p->idle) != 0)
		continue;
}

static void peer_start(struct peer *p, struct store *store, size_t chunk)
{
	stream_mem_init(&p->mem, slice_empty(), chunk);
	p->ops = *p->mem.stream.ops;
	p->ops.wait = wait_for_script;
	p->mem.stream.ops = &p->ops;
	p->mem.more = more_input;
	p->mem.context = p;
	p->options = (struct imap_session_options){
	        .stream = &p->mem.stream,
	        .store = store,
	        .clock = &script_clock,
	        .login_tag = "login",
	        .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	        .stop = &p->stop,
	        .append_max = 100000,
	};
	sem_init(&p->go, 0, 0);
	sem_init(&p->idle, 0, 0);
	p->started = true;
	assert_int_equal(pthread_create(&p->thread, NULL, run_session, p), 0);
	resume(p);
}

static void peer_stop(struct peer *p)
{
	if (!p->started)
		return;
	atomic_store(&p->closed, true);
	while (!p->ended)
		resume(p);
	pthread_join(p->thread, NULL);
	close(p->options.wake_fd);
	stream_mem_done(&p->mem);
	sem_destroy(&p->go);
	sem_destroy(&p->idle);
}

/* ---- scripts -------------------------------------------------------------------------------- */

struct script {
	const char *name;
	struct slice text;
	struct fixture *store;
	struct peer peers[SESSIONS];
	struct peer *at;
	size_t chunk;
	bool pipelined; /* all input of the client at once; only for scripts of one session */
	unsigned line;
};

static void complain(const struct script *s, const char *what, struct slice got,
                     struct slice expected)
{
	print_error("%s:%u (chunk %zu%s): %s\n  got:      %.*s\n  expected: %.*s\n", s->name,
	            s->line, s->chunk, s->pipelined ? ", pipelined" : "", what, SLICE_FMT(got),
	            SLICE_FMT(expected));
	_fail(__FILE__, __LINE__);
}

static void unescape(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (c != '\\' || i + 1 == text.n) {
			buf_add_byte(out, c);
			continue;
		}
		switch (text.p[++i]) {
		case 'r':
			buf_add_byte(out, '\r');
			break;
		case 'n':
			buf_add_byte(out, '\n');
			break;
		case 't':
			buf_add_byte(out, '\t');
			break;
		case '0':
			buf_add_byte(out, 0);
			break;
		case 'x':
			buf_add_byte(out, (uint8_t)(ascii_hex_value(text.p[i + 1]) * 16 +
			                            ascii_hex_value(text.p[i + 2])));
			i += 2;
			break;
		default:
			buf_add_byte(out, text.p[i]);
		}
	}
}

/* <any> matches any text, also none. */
static bool line_matches(struct slice line, struct slice expected)
{
	struct slice any = SLICE("<any>");
	size_t first = slice_find(expected, any);
	if (first == SIZE_MAX)
		return slice_eq(line, expected);
	if (!slice_starts(line, slice_sub(expected, 0, first)))
		return false;
	line = slice_from(line, first);
	expected = slice_from(expected, first + any.n);
	for (;;) {
		size_t next = slice_find(expected, any);
		if (next == SIZE_MAX)
			return slice_ends(line, expected);
		struct slice piece = slice_sub(expected, 0, next);
		size_t at = slice_find(line, piece);
		if (at == SIZE_MAX)
			return false;
		line = slice_from(line, at + piece.n);
		expected = slice_from(expected, next + any.n);
	}
}

static void expect_line(struct script *s, struct slice expected)
{
	struct peer *p = s->at;
	struct buf wanted;
	buf_init(&wanted, SCRIPT_MAX);
	unescape(expected, &wanted);
	struct slice rest = slice_from(stream_mem_output(&p->mem), p->output_at);
	size_t lf = slice_find(rest, SLICE("\r\n"));
	if (lf == SIZE_MAX)
		complain(s, "the server said no more", rest, expected);
	struct slice line = slice_sub(rest, 0, lf);
	if (!line_matches(line, buf_slice(&wanted)))
		complain(s, "another line", line, expected);
	p->output_at += lf + 2;
	buf_done(&wanted);
}

static void expect_nothing(struct script *s)
{
	for (size_t i = 0; i < SESSIONS; i++) {
		struct peer *p = &s->peers[i];
		if (!p->started)
			continue;
		struct slice rest = slice_from(stream_mem_output(&p->mem), p->output_at);
		if (rest.n > 0)
			complain(s, "the server said more", rest, slice_empty());
	}
}

static void use_session(struct script *s, size_t number)
{
	assert_true(number >= 1 && number <= SESSIONS);
	s->at = &s->peers[number - 1];
	if (s->at->started)
		return;
	peer_start(s->at, s->store->store, s->chunk);
	expect_line(s, SLICE("login OK [CAPABILITY <any>] Logged in"));
}

static void feed(struct script *s, struct slice text, const char *end)
{
	struct buf bytes;
	buf_init(&bytes, SCRIPT_MAX);
	unescape(text, &bytes);
	buf_add_str(&bytes, end);
	stream_mem_feed(&s->at->mem, buf_slice(&bytes));
	buf_done(&bytes);
	if (!s->pipelined)
		resume(s->at);
}

static void run_directive(struct script *s, struct slice line)
{
	struct slice name, argument;
	uint64_t number = 0;
	slice_cut(line, ' ', &name, &argument);
	(void)slice_to_u64(argument, INT64_MAX, &number);
	if (slice_eq_str(name, "@on")) {
		use_session(s, (size_t)number);
	} else if (slice_eq_str(name, "@time")) {
		atomic_store(&now_s, (int64_t)number);
		fixture_set_time((int64_t)number);
	} else if (slice_eq_str(name, "@timeout")) {
		s->at->timeout = true;
		resume(s->at);
	} else if (slice_eq_str(name, "@stop")) {
		uint64_t one = 1;
		atomic_store(&s->at->stop, true);
		assert_int_equal(write(s->at->options.wake_fd, &one, sizeof(one)), 8);
		resume(s->at);
	} else if (slice_eq_str(name, "@wake")) {
		resume(s->at);
	} else if (!slice_eq_str(name, "@quota")) {
		complain(s, "no such directive", line, slice_empty());
	}
}

static void run_line(struct script *s, struct slice line)
{
	if (slice_starts(line, SLICE("C: ")))
		feed(s, slice_from(line, 3), "\r\n");
	else if (slice_starts(line, SLICE("C+ ")))
		feed(s, slice_from(line, 3), "");
	else if (slice_starts(line, SLICE("S: ")))
		expect_line(s, slice_from(line, 3));
	else if (slice_starts(line, SLICE("@")))
		run_directive(s, line);
	else if (line.n > 0 && line.p[0] != '=')
		complain(s, "not a line of a script", line, slice_empty());
}

/* Everything the client will ever send is there before the session looks. */
static void feed_all(struct script *s)
{
	struct slice line, rest = s->text;
	while (rest.n > 0) {
		slice_cut(rest, '\n', &line, &rest);
		if (slice_starts(line, SLICE("C")) || slice_starts(line, SLICE("@time ")))
			run_line(s, line);
	}
	atomic_store(&s->at->closed, true);
	resume(s->at);
}

static uint64_t quota_of(struct slice text)
{
	uint64_t quota = 0;
	size_t at = slice_find(text, SLICE("@quota "));
	struct slice line, rest;
	if (at == SIZE_MAX)
		return 0;
	slice_cut(slice_from(text, at + 7), '\n', &line, &rest);
	(void)slice_to_u64(line, UINT32_MAX, &quota);
	return quota;
}

static void run_script(const char *name, struct slice text, size_t chunk, bool pipelined)
{
	struct fixture store;
	struct script s = {.name = name,
	                   .text = text,
	                   .chunk = chunk,
	                   .pipelined = pipelined,
	                   .store = &store};
	struct slice line, rest = text;
	atomic_store(&now_s, 1700000000);
	atomic_store(&monotonic_ms, 1000000);
	fixture_init(&store);
	store.options.summarize = imap_summarize;
	store.options.quota_size = quota_of(text);
	fixture_reopen(&store);
	use_session(&s, 1);
	if (pipelined)
		feed_all(&s);
	while (rest.n > 0) {
		s.line++;
		slice_cut(rest, '\n', &line, &rest);
		if (!pipelined || !slice_starts(line, SLICE("C")))
			run_line(&s, line);
	}
	expect_nothing(&s);
	for (size_t i = 0; i < SESSIONS; i++)
		peer_stop(&s.peers[i]);
	fixture_done(&store);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static struct slice read_script(const char *path)
{
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	uint8_t *bytes = base_alloc(SCRIPT_MAX);
	size_t n = fread(bytes, 1, SCRIPT_MAX, file);
	fclose(file);
	assert_true(n > 0 && n < SCRIPT_MAX);
	return slice_of(bytes, n);
}

static bool is_about_one_session(struct slice text)
{
	return slice_find(text, SLICE("\n@on ")) == SIZE_MAX &&
	       slice_find(text, SLICE("\n@stop")) == SIZE_MAX;
}

static void run_all(size_t chunk, bool pipelined)
{
	const char *only = getenv("IMAP_SCRIPT");
	DIR *dir = opendir(IMAP_SCRIPTS);
	unsigned n = 0;
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		char path[1024];
		if (!slice_ends(slice_str(entry->d_name), SLICE(".txt")) ||
		    (only && !strstr(entry->d_name, only)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", IMAP_SCRIPTS, entry->d_name);
		struct slice text = read_script(path);
		if (!pipelined || is_about_one_session(text))
			run_script(entry->d_name, text, chunk, pipelined);
		base_free((void *)(uintptr_t)text.p);
		n++;
	}
	closedir(dir);
	assert_true(n > 0);
}

static void scripts_run_as_they_are_written(void **state)
{
	(void)state;
	run_all(0, false);
}

static void scripts_run_at_any_split_of_the_input(void **state)
{
	static const size_t chunks[] = {1, 2, 3, 7, 61};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(chunks); i++)
		run_all(chunks[i], false);
}

static void scripts_run_pipelined(void **state)
{
	(void)state;
	run_all(0, true);
	run_all(5, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(scripts_run_as_they_are_written),
	        cmocka_unit_test(scripts_run_at_any_split_of_the_input),
	        cmocka_unit_test(scripts_run_pipelined),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
