/* Lines and buffering of a stream, at every split of the input. */
#include "base/stream_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void lines_come_whole_at_every_split(void **state)
{
	(void)state;
	struct slice input = SLICE("first\r\nsecond\n\r\nlast");
	for (size_t chunk = 0; chunk <= input.n; chunk++) {
		struct stream_mem m;
		struct slice line;
		bool crlf;
		stream_mem_init(&m, input, chunk);
		assert_true(is_ok(stream_read_line(&m.stream, 100, &line, &crlf)));
		assert_true(slice_eq_str(line, "first") && crlf);
		assert_true(is_ok(stream_read_line(&m.stream, 100, &line, &crlf)));
		assert_true(slice_eq_str(line, "second") && !crlf);
		assert_true(is_ok(stream_read_line(&m.stream, 100, &line, &crlf)));
		assert_true(line.n == 0 && crlf);
		assert_int_equal(stream_read_line(&m.stream, 100, &line, &crlf).code, ERR_CLOSED);
		stream_mem_done(&m);
	}
}

static void a_long_line_is_refused_and_can_be_skipped(void **state)
{
	(void)state;
	for (size_t chunk = 0; chunk < 12; chunk++) {
		struct stream_mem m;
		struct slice line;
		bool crlf;
		stream_mem_init(&m, SLICE("0123456789\r\nnext\r\n"), chunk);
		assert_int_equal(stream_read_line(&m.stream, 8, &line, &crlf).code, ERR_LIMIT);
		assert_true(is_ok(stream_skip_line(&m.stream, 1000)));
		assert_true(is_ok(stream_read_line(&m.stream, 8, &line, &crlf)));
		assert_true(slice_eq_str(line, "next"));
		stream_mem_done(&m);
	}
}

static void plaintext_behind_starttls_is_dropped(void **state)
{
	(void)state;
	struct stream_mem m;
	struct slice line;
	bool crlf;
	stream_mem_init(&m, SLICE("STARTTLS\r\ninjected\r\n"), 0);
	m.allow_tls = true;
	assert_true(is_ok(stream_read_line(&m.stream, 100, &line, &crlf)));
	assert_true(is_ok(stream_start_tls(&m.stream)));
	assert_int_equal(stream_read_line(&m.stream, 100, &line, &crlf).code, ERR_CLOSED);
	stream_mem_done(&m);
}

static void output_is_sent_before_blocking(void **state)
{
	(void)state;
	struct stream_mem m;
	struct slice line;
	bool crlf;
	stream_mem_init(&m, SLICE("a\r\nb\r\n"), 0);
	assert_true(is_ok(stream_read_line(&m.stream, 100, &line, &crlf)));
	assert_true(is_ok(stream_write(&m.stream, SLICE("reply a\r\n"))));
	assert_true(is_ok(stream_read_line(&m.stream, 100, &line, &crlf)));
	assert_int_equal(stream_mem_output(&m).n, 0); /* b was already there: answered together */
	assert_true(is_ok(stream_write(&m.stream, SLICE("reply b\r\n"))));
	assert_int_equal(stream_read_line(&m.stream, 100, &line, &crlf).code, ERR_CLOSED);
	assert_true(slice_eq_str(stream_mem_output(&m), "reply a\r\nreply b\r\n"));
	stream_mem_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lines_come_whole_at_every_split),
	        cmocka_unit_test(a_long_line_is_refused_and_can_be_skipped),
	        cmocka_unit_test(plaintext_behind_starttls_is_dropped),
	        cmocka_unit_test(output_is_sent_before_blocking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
