/* Log lines: their form, what a peer's text cannot do, and threads. */
#include "os/log.h"

#include "os/fd.h"
#include "os/process.h"
#include "os/test_support.h"

#include <fcntl.h>
#include <stdio.h>

#define CAPTURE_MAX 65536

static int pipe_fds[2];
static char captured[CAPTURE_MAX];

static void open_log(enum log_level level, enum log_format format)
{
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	log_setup(&(struct log_options){
	        .room = "gate", .fd = pipe_fds[1], .level = level, .format = format});
}

/* What was logged since the last call, or "". */
static const char *lines(void)
{
	ssize_t n = read(pipe_fds[0], captured, sizeof(captured) - 1);
	captured[n > 0 ? n : 0] = '\0';
	return captured;
}

static void close_log(void)
{
	log_setup(&(struct log_options){.room = "test"});
	fd_close(&pipe_fds[0]);
	fd_close(&pipe_fds[1]);
}

/* Behind the time and the process id, which change. */
static const char *tail(const char *line)
{
	char head[32];
	int n = snprintf(head, sizeof(head), "gate %ld ", (long)getpid());
	const char *at = strstr(line, head);
	return at ? at + n : line;
}

static void a_line_has_time_level_room_pid_cid_and_message(void **state)
{
	(void)state;
	char expected[128];
	open_log(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	log_info(0x1f3a, "message stored", LOG_UINT("size", 812), LOG_STR("from", "<a@b>"),
	         LOG_INT("delta", INT64_MIN), LOG_BOOL("tls", true), LOG_BOOL("ipv6", false));
	const char *line = lines();
	snprintf(expected, sizeof(expected), " info gate %ld cid=1f3a msg=\"message stored\"",
	         (long)getpid());
	assert_non_null(strstr(line, expected));
	assert_int_equal(line[4], '-');
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[23], 'Z');
	assert_string_equal(tail(line), "cid=1f3a msg=\"message stored\" size=812 from=<a@b> "
	                                "delta=-9223372036854775808 tls=true ipv6=false\n");
	log_warn(0, "short", LOG_STATUS(fail(ERR_TIMEOUT, "peer was silent")));
	assert_string_equal(tail(lines()), "msg=short err=timeout why=\"peer was silent\"\n");
	log_error(0, "alone");
	assert_string_equal(tail(lines()), "msg=alone\n");
	close_log();
}

static void a_peer_cannot_forge_lines_or_reach_the_terminal(void **state)
{
	(void)state;
	static const struct {
		struct slice value;
		const char *expected;
	} cases[] = {
	        {{(const uint8_t *)"", 0}, "msg=m v=\"\"\n"},
	        {{(const uint8_t *)"a b", 3}, "msg=m v=\"a b\"\n"},
	        {{(const uint8_t *)"a\nb", 3}, "msg=m v=\"a\\x0ab\"\n"},
	        {{(const uint8_t *)"a\r\0b", 4}, "msg=m v=\"a\\x0d\\x00b\"\n"},
	        {{(const uint8_t *)"\x1b[2J", 4}, "msg=m v=\"\\x1b[2J\"\n"},
	        {{(const uint8_t *)"x\" cid=9", 8}, "msg=m v=\"x\\\" cid=9\"\n"},
	        {{(const uint8_t *)"\\", 1}, "msg=m v=\"\\\\\"\n"},
	        {{(const uint8_t *)"a=b", 3}, "msg=m v=\"a=b\"\n"},
	        {{(const uint8_t *)"\x7f\x80\xff\xc3\xa4", 5},
	         "msg=m v=\"\\x7f\\x80\\xff\\xc3\\xa4\"\n"},
	};
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		log_info(0, "m", LOG_SLICE("v", cases[i].value));
		assert_string_equal(tail(lines()), cases[i].expected);
	}
	close_log();
}

static const char *json_tail(const char *line)
{
	const char *at = strstr(line, "\"msg\"");
	return at ? at : line;
}

static void json_is_valid_whatever_the_bytes(void **state)
{
	(void)state;
	static const struct {
		struct slice value;
		const char *expected;
	} cases[] = {
	        {{(const uint8_t *)"plain", 5}, "\"msg\":\"m\",\"v\":\"plain\"}\n"},
	        {{(const uint8_t *)"q\"\\", 3}, "\"msg\":\"m\",\"v\":\"q\\\"\\\\\"}\n"},
	        {{(const uint8_t *)"\n\0", 2}, "\"msg\":\"m\",\"v\":\"\\u000a\\u0000\"}\n"},
	        {{(const uint8_t *)"\xc3\xa4", 2}, "\"msg\":\"m\",\"v\":\"\\u00e4\"}\n"},
	        {{(const uint8_t *)"\xe2\x82\xac", 3}, "\"msg\":\"m\",\"v\":\"\\u20ac\"}\n"},
	        {{(const uint8_t *)"\xf0\x9f\x93\xa7", 4},
	         "\"msg\":\"m\",\"v\":\"\\ud83d\\udce7\"}\n"},
	        {{(const uint8_t *)"\xff", 1}, "\"msg\":\"m\",\"v\":\"\\ufffd\"}\n"},
	        {{(const uint8_t *)"\xc3", 1}, "\"msg\":\"m\",\"v\":\"\\ufffd\"}\n"},
	        {{(const uint8_t *)"\xc0\xaf", 2}, "\"msg\":\"m\",\"v\":\"\\ufffd\\ufffd\"}\n"},
	        {{(const uint8_t *)"\xed\xa0\x80", 3},
	         "\"msg\":\"m\",\"v\":\"\\ufffd\\ufffd\\ufffd\"}\n"},
	        {{(const uint8_t *)"\xf5\x80\x80\x80", 4},
	         "\"msg\":\"m\",\"v\":\"\\ufffd\\ufffd\\ufffd\\ufffd\"}\n"},
	        {{(const uint8_t *)"\xc3"
	                           "x",
	          2},
	         "\"msg\":\"m\",\"v\":\"\\ufffdx\"}\n"},
	};
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		log_info(0, "m", LOG_SLICE("v", cases[i].value));
		assert_string_equal(json_tail(lines()), cases[i].expected);
	}
	log_info(255, "m", LOG_INT("i", -5), LOG_BOOL("b", true));
	const char *line = lines();
	assert_memory_equal(line, "{\"time\":\"20", 11);
	assert_non_null(strstr(line, "\"level\":\"info\",\"room\":\"gate\",\"pid\":"));
	assert_non_null(strstr(line, ",\"cid\":\"ff\",\"msg\":\"m\",\"i\":-5,\"b\":true}\n"));
	close_log();
}

static void long_values_are_cut_and_long_lines_lose_whole_fields(void **state)
{
	(void)state;
	static uint8_t bytes[5000];
	memset(bytes, 'x', sizeof(bytes));
	struct slice value = slice_of(bytes, sizeof(bytes));
	for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
		open_log(LOG_LEVEL_INFO, (enum log_format)format);
		log_info(0, "m", LOG_SLICE("v", value), LOG_STR("after", "seen"));
		assert_non_null(strstr(lines(), "seen"));
		assert_true(strlen(captured) < LOG_VALUE_MAX + 200);
		memset(bytes, '\n', sizeof(bytes)); /* four to six bytes each when escaped */
		log_info(0, "m", LOG_SLICE("v0", value), LOG_SLICE("v1", value),
		         LOG_SLICE("v2", value), LOG_SLICE("v3", value), LOG_SLICE("v4", value),
		         LOG_STR("lost", "x"));
		const char *line = lines();
		assert_true(strlen(line) <= LOG_LINE_MAX);
		assert_int_equal(line[strlen(line) - 1], '\n');
		assert_int_equal(line[strlen(line) - 2], format == LOG_FORMAT_JSON ? '}' : '"');
		assert_null(strstr(line, "lost"));
		assert_non_null(strstr(line, "v0"));
		close_log();
		memset(bytes, 'x', sizeof(bytes));
	}
}

static void levels_filter_before_fields_are_evaluated(void **state)
{
	(void)state;
	int evaluated = 0;
	enum log_level level = LOG_LEVEL_ERROR;
	open_log(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	log_info(0, "m", LOG_INT("n", ++evaluated));
	assert_int_equal(evaluated, 0);
	assert_string_equal(lines(), "");
	log_fields(LOG_LEVEL_DEBUG, 0, "m", NULL, 0);
	assert_string_equal(lines(), "");
	log_warn(0, "m", LOG_INT("n", ++evaluated));
	assert_string_equal(tail(lines()), "msg=m n=1\n");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug(0, "d");
	assert_string_equal(tail(lines()), "msg=d\n");
	close_log();
	assert_true(log_level_parse(SLICE("WARN"), &level));
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_false(log_level_parse(SLICE("warning"), &level));
	assert_false(log_level_parse(SLICE(""), &level));
	assert_string_equal(log_level_name(LOG_LEVEL_DEBUG), "debug");
}

static void a_stuck_or_closed_sink_stops_nobody(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT); /* non-blocking */
	for (int i = 0; i < 5000; i++)
		log_info(0, "a line of some length that fills the pipe at last", LOG_INT("i", i));
	size_t n = strlen(lines());
	assert_true(n > 4096);
	assert_int_equal(captured[n - 1] == '\n' || n == CAPTURE_MAX - 1, 1);
	close_log();
	log_setup(&(struct log_options){.fd = 1000});
	log_info(0, "nowhere");
	log_setup(
	        &(struct log_options){.room = "a name of far more than thirty-one bytes", .fd = 0});
}

#define N_THREADS 8
#define N_LINES   200

static void log_many(void *context)
{
	for (int i = 0; i < N_LINES; i++) {
		log_info(1, "from a thread", LOG_STR("text", context), LOG_INT("i", i));
		if (i % 50 == 0)
			log_set_level(LOG_LEVEL_INFO);
	}
}

static void lines_of_threads_stay_whole(void **state)
{
	(void)state;
	pthread_t threads[N_THREADS];
	char path[] = "/tmp/log_test.XXXXXX";
	CLEANUP(fd_close) int fd = mkostemp(path, O_CLOEXEC | O_APPEND);
	char text[] = "0123456789012345678901234567890123456789";
	assert_true(fd >= 0);
	unlink(path);
	log_setup(&(struct log_options){.room = "gate", .fd = fd, .level = LOG_LEVEL_INFO});
	for (int i = 0; i < N_THREADS; i++)
		assert_ok(thread_start(&(struct thread_options){.joinable = true}, log_many, text,
		                       &threads[i]));
	for (int i = 0; i < N_THREADS; i++)
		thread_join(threads[i]);
	log_setup(&(struct log_options){.room = "test"});
	uint64_t size;
	assert_ok(fd_size(fd, &size));
	char *all = base_alloc((size_t)size + 1);
	assert_ok(fd_pread_all(fd, all, (size_t)size, 0, NULL));
	struct slice rest = slice_of(all, (size_t)size);
	struct slice line;
	size_t n = 0;
	while (slice_cut(rest, '\n', &line, &rest)) {
		assert_true(slice_find(line, SLICE(" text=0123456789012345678901234567890123456789 "
		                                   "i=")) != SIZE_MAX);
		n++;
	}
	assert_int_equal(n, N_THREADS * N_LINES);
	base_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_line_has_time_level_room_pid_cid_and_message),
	        cmocka_unit_test(a_peer_cannot_forge_lines_or_reach_the_terminal),
	        cmocka_unit_test(json_is_valid_whatever_the_bytes),
	        cmocka_unit_test(long_values_are_cut_and_long_lines_lose_whole_fields),
	        cmocka_unit_test(levels_filter_before_fields_are_evaluated),
	        cmocka_unit_test(a_stuck_or_closed_sink_stops_nobody),
	        cmocka_unit_test(lines_of_threads_stay_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
