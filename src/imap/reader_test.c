/* Framing: whole commands at every split, and that refused ones leave the connection in step. */
#include "imap/reader.h"

#include "base/stream_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct imap_reader_limits small = {
        .line_max = 100,
        .literal_max = 20,
        .non_sync_max = 10,
        .total_max = 30,
        .literals_max = 3,
        .discard_max = 200,
        .message_literals = true,
};

struct frame_case {
	struct slice in;
	enum err first;    /* how the first command ends */
	struct slice unit; /* of the first, when OK */
	enum err second;
	struct slice next; /* unit of the second, when OK */
	const char *output;
};

static void check(const struct frame_case *k, size_t chunk)
{
	struct stream_mem m;
	struct imap_reader r;
	stream_mem_init(&m, k->in, chunk);
	imap_reader_init(&r, &m.stream, &small);
	struct status status = imap_reader_next(&r);
	assert_string_equal(err_name(status.code), err_name(k->first));
	if (is_ok(status))
		assert_true(slice_eq(buf_slice(&r.unit), k->unit));
	if (is_ok(status) || status.code == ERR_SYNTAX || status.code == ERR_LIMIT) {
		status = imap_reader_next(&r);
		assert_string_equal(err_name(status.code), err_name(k->second));
		if (is_ok(status))
			assert_true(slice_eq(buf_slice(&r.unit), k->next));
	}
	(void)stream_flush(&m.stream);
	assert_true(slice_eq_str(stream_mem_output(&m), k->output));
	imap_reader_done(&r);
	stream_mem_done(&m);
}

static void commands_are_cut_the_same_at_every_split(void **state)
{
	static const struct frame_case cases[] = {
	        {SLICE("a NOOP\r\nb NOOP\r\n"), ERR_OK, SLICE("a NOOP"), ERR_OK, SLICE("b NOOP"),
	         ""},
	        {SLICE("\r\nb NOOP\r\n"), ERR_OK, SLICE(""), ERR_OK, SLICE("b NOOP"), ""},
	        {SLICE("a L {2}\r\nme {3+}\r\n\r\nx\r\nb N\r\n"), ERR_OK,
	         SLICE("a L {2}\r\nme {3+}\r\n\r\nx"), ERR_OK, SLICE("b N"), "+ OK\r\n"},
	        {SLICE("a L {0}\r\n\r\nb N\r\n"), ERR_OK, SLICE("a L {0}\r\n"), ERR_OK,
	         SLICE("b N"), "+ OK\r\n"},
	        {SLICE("a L {1}\r\n\0\r\nb N\r\n"), ERR_OK, SLICE("a L {1}\r\n\0"), ERR_OK,
	         SLICE("b N"), "+ OK\r\n"},
	        /* refused, in step */
	        {SLICE("a N\nb N\r\n"), ERR_SYNTAX, SLICE(""), ERR_OK, SLICE("b N"), ""},
	        {SLICE("a \0N\r\nb N\r\n"), ERR_SYNTAX, SLICE(""), ERR_OK, SLICE("b N"), ""},
	        {SLICE("a \rN\r\nb N\r\n"), ERR_SYNTAX, SLICE(""), ERR_OK, SLICE("b N"), ""},
	        {SLICE("a L {21}\r\nb N\r\n"), ERR_LIMIT, SLICE(""), ERR_OK, SLICE("b N"), ""},
	        {SLICE("a L {11+}\r\n01234567890 x\r\nb N\r\n"), ERR_LIMIT, SLICE(""), ERR_OK,
	         SLICE("b N"), ""},
	        {SLICE("a L {11+}\r\n01234567890 {2+}\r\nb  {3}\r\nb N\r\n"), ERR_LIMIT, SLICE(""),
	         ERR_OK, SLICE("b N"), ""},
	        {SLICE("a L {1+}\r\nx {1+}\r\nx {1+}\r\nx {1+}\r\nb N\r\nb N\r\n"), ERR_LIMIT,
	         SLICE(""), ERR_OK, SLICE("b N"), ""},
	        {SLICE("a L {20}\r\n01234567890123456789 {11}\r\nb N\r\n"), ERR_LIMIT, SLICE(""),
	         ERR_OK, SLICE("b N"), "+ OK\r\n"},
	        {SLICE("a \0 {5+}\r\nx N\r\n\r\nb N\r\n"), ERR_SYNTAX, SLICE(""), ERR_OK,
	         SLICE("b N"), ""},
	        /* too long a line, with and without a literal behind it */
	        {SLICE("a "
	               "012345678901234567890123456789012345678901234567890123456789012345678901234"
	               "5"
	               "678901234567890123456789\r\nb N\r\n"),
	         ERR_LIMIT, SLICE(""), ERR_OK, SLICE("b N"), ""},
	        {SLICE("a "
	               "012345678901234567890123456789012345678901234567890123456789012345678901234"
	               "5"
	               "678901234567890123456789 {5+}\r\nx N\r\n\r\nb N\r\n"),
	         ERR_LIMIT, SLICE(""), ERR_OK, SLICE("b N"), ""},
	        /* beyond what is dropped */
	        {SLICE("a L {201+}\r\nb N\r\n"), ERR_PROTOCOL, SLICE(""), ERR_OK, SLICE(""), ""},
	        {SLICE("a L {18446744073709551615+}\r\nb N\r\n"), ERR_PROTOCOL, SLICE(""), ERR_OK,
	         SLICE(""), ""},
	        /* the end */
	        {SLICE("a N"), ERR_CLOSED, SLICE(""), ERR_OK, SLICE(""), ""},
	        {SLICE("a N {3+}\r\nab"), ERR_CLOSED, SLICE(""), ERR_OK, SLICE(""), ""},
	        {SLICE(""), ERR_CLOSED, SLICE(""), ERR_OK, SLICE(""), ""},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (size_t chunk = 0; chunk <= cases[i].in.n; chunk++)
			check(&cases[i], chunk);
}

static void a_line_without_end_is_not_kept(void **state)
{
	struct stream_mem m;
	struct imap_reader r;
	(void)state;
	stream_mem_init(&m, slice_empty(), 7);
	for (unsigned i = 0; i < 1000; i++)
		stream_mem_feed(&m, SLICE("nothing "));
	imap_reader_init(&r, &m.stream, &small);
	assert_int_equal(imap_reader_next(&r).code, ERR_PROTOCOL);
	assert_true(r.unit.n <= 200);
	imap_reader_done(&r);
	stream_mem_done(&m);
}

static void the_messages_of_append_stay_in_the_stream(void **state)
{
	static const struct {
		struct slice in;
		const char *unit;
		bool at_message;
		uint64_t size;
	} cases[] = {
	        {SLICE("a APPEND x {9999}\r\n"), "a APPEND x {9999}", true, 9999},
	        {SLICE("a append x (\\Seen) ~{5+}\r\n"), "a append x (\\Seen) ~{5+}", true, 5},
	        {SLICE("a APPEND {1+}\r\nx {7}\r\n"), "a APPEND {1+}\r\nx {7}", true, 7},
	        {SLICE("a APPEND {1+}\r\nx\r\n"), "a APPEND {1+}\r\nx", false, 0},
	        {SLICE("a APPENDX {1+}\r\nx\r\n"), "a APPENDX {1+}\r\nx", false, 0},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct stream_mem m;
		struct imap_reader r;
		stream_mem_init(&m, cases[i].in, 1);
		imap_reader_init(&r, &m.stream, &small);
		assert_true(is_ok(imap_reader_next(&r)));
		assert_true(slice_eq_str(buf_slice(&r.unit), cases[i].unit));
		assert_int_equal(r.at_message, cases[i].at_message);
		assert_int_equal(r.at_message ? r.message.size : 0, cases[i].size);
		imap_reader_done(&r);
		stream_mem_done(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(commands_are_cut_the_same_at_every_split),
	        cmocka_unit_test(a_line_without_end_is_not_kept),
	        cmocka_unit_test(the_messages_of_append_stay_in_the_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
