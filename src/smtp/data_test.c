/* The DATA machine against a plain reference, at every split; the header scanner. */
#include "smtp/data.h"

#include "base/buf.h"
#include "smtp/header_scan.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What the machine should find, worked out without states: looks for CRLF "." CRLF, then judges. */
struct expected {
	size_t end; /* octets up to behind the terminator; SIZE_MAX when there is none */
	bool faulty;
	struct buf content; /* of a message without fault */
};

static bool is_line_start(struct slice in, size_t at)
{
	return at == 0 || (at >= 2 && in.p[at - 1] == '\n' && in.p[at - 2] == '\r');
}

static void expect(struct slice in, struct expected *expected)
{
	expected->end = SIZE_MAX;
	expected->faulty = false;
	buf_init(&expected->content, MIB);
	for (size_t i = 0; i < in.n; i++) {
		bool dot = in.p[i] == '.' && is_line_start(in, i);
		if (dot && slice_starts(slice_from(in, i + 1), SLICE("\r\n"))) {
			expected->end = i + 3;
			return;
		}
		expected->faulty |= in.p[i] == 0;
		expected->faulty |= in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r');
		expected->faulty |= in.p[i] == '\r' && i + 1 < in.n && in.p[i + 1] != '\n';
		if (!dot)
			buf_add_byte(&expected->content, in.p[i]);
	}
}

struct found {
	struct smtp_data data;
	struct buf content;
};

static void feed(struct found *found, struct slice piece)
{
	while (piece.n > 0 && !smtp_data_ended(&found->data)) {
		struct slice before = piece;
		struct slice run = smtp_data_next(&found->data, &piece);
		assert_true(piece.n < before.n);
		assert_true(run.n == 0 ||
		            (run.p >= before.p && run.p + run.n <= before.p + before.n));
		buf_add(&found->content, run);
	}
}

static void check_split(struct slice in, const struct expected *expected, size_t a, size_t b)
{
	struct found found;
	smtp_data_init(&found.data);
	buf_init(&found.content, MIB);
	feed(&found, slice_sub(in, 0, a));
	feed(&found, slice_sub(in, a, b - a));
	feed(&found, slice_from(in, b));
	bool ended = expected->end != SIZE_MAX;
	assert_int_equal(smtp_data_ended(&found.data), ended);
	assert_int_equal(smtp_data_faulty(&found.data), expected->faulty);
	assert_int_equal(found.data.n_taken, ended ? expected->end : in.n);
	/* a dot or its CR at the very end of an unfinished input is not yet content */
	if (!expected->faulty && ended)
		assert_true(slice_eq(buf_slice(&found.content), buf_slice(&expected->content)));
	buf_done(&found.content);
}

static void check_every_split(struct slice in)
{
	struct expected expected;
	expect(in, &expected);
	for (size_t a = 0; a <= in.n; a++)
		for (size_t b = a; b <= in.n; b++)
			check_split(in, &expected, a, b);
	buf_done(&expected.content);
}

static void messages_are_found_at_every_split(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		const char *content; /* NULL: must be faulty, or without end */
	} cases[] = {
	        {".\r\n", ""},
	        {"a\r\n.\r\n", "a\r\n"},
	        {"a\r\n\r\n.\r\n", "a\r\n\r\n"},
	        {"..\r\n.\r\n", ".\r\n"},
	        {"...\r\n.\r\n", "..\r\n"},
	        {".a\r\n.\r\n", "a\r\n"},
	        {"a.\r\n.\r\n", "a.\r\n"},
	        {"a\r\n.\r\nQUIT\r\n", "a\r\n"},
	        {"a\r\n.\r\n.\r\n", "a\r\n"},
	        {"\r\n..\r\n..\r\n.\r\n", "\r\n.\r\n.\r\n"},
	        {"a\n.\n", NULL},
	        {"a\n.\r\n", NULL},
	        {"a\r\n.\n", NULL},
	        {"a\r.\r", NULL},
	        {"a\r.\r\n", NULL},
	        {"a\r\n.\r", NULL},
	        {"a\r\n..", NULL},
	        {"a\r\n.\r.\r\n", NULL},
	        {"a\r\n.\r\r\n", NULL},
	        {"a\r\n.\r\r\n.\r\n", NULL},
	        {"a\r\r\n.\r\n", NULL},
	        {"\n.\r\n.\r\n", NULL},
	        {"\r.\r\n\r\n.\r\n", NULL},
	        {"a\n\r\n.\r\n", NULL},
	        {"a\r\n.\n\r\n.\r\n", NULL},
	        {"\r\n.\r", NULL},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice in = slice_str(cases[i].in);
		struct expected expected;
		expect(in, &expected);
		assert_int_equal(!expected.faulty && expected.end != SIZE_MAX,
		                 cases[i].content != NULL);
		if (cases[i].content)
			assert_true(slice_eq_str(buf_slice(&expected.content), cases[i].content));
		buf_done(&expected.content);
		check_every_split(in);
	}
}

static void a_nul_anywhere_is_a_fault(void **state)
{
	(void)state;
	struct slice in = SLICE("ab\r\n.c\r\n.\r\n");
	for (size_t i = 0; i < in.n; i++) {
		uint8_t copy[16];
		memcpy(copy, in.p, in.n);
		copy[i] = 0;
		check_every_split(slice_of(copy, in.n));
	}
}

/* All inputs of eight octets over the alphabet that matters, each at every split in two. */
static void all_short_inputs_agree_with_the_reference(void **state)
{
	(void)state;
	static const uint8_t alphabet[] = {'\r', '\n', '.', 'a'};
	for (unsigned word = 0; word < 1u << 16; word++) {
		uint8_t in[8];
		struct expected expected;
		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = alphabet[word >> (2 * i) & 3];
		expect(slice_of(in, sizeof(in)), &expected);
		for (size_t a = 0; a <= sizeof(in); a++)
			check_split(slice_of(in, sizeof(in)), &expected, a, sizeof(in));
		buf_done(&expected.content);
	}
}

/* Long enough for the fast blocks, with one odd thing at each place. */
static void odd_octets_are_found_inside_fast_blocks(void **state)
{
	(void)state;
	static const char *const odd[] = {"\r",        "\n",       "\r\n.",      "\r\n..",
	                                  "\r\n.\r\n", "\x80",     "\r\n.\n",    "\n.\r\n",
	                                  "\r\r\n",    "\r\n\r\n", "\r\n.\r\r\n"};
	for (size_t i = 0; i < N_ELEMENTS(odd); i++) {
		for (size_t at = 0; at < 300; at++) {
			CLEANUP(buf_done) struct buf in;
			struct expected expected;
			buf_init(&in, 4096);
			for (size_t j = 0; j < 300; j++)
				buf_add_str(&in, j == at ? odd[i] : j % 20 == 19 ? "\r\n" : "x");
			buf_add_str(&in, "\r\n.\r\nQUIT\r\n");
			expect(buf_slice(&in), &expected);
			check_split(buf_slice(&in), &expected, 0, 0);
			check_split(buf_slice(&in), &expected, at, MIN(at + 70, in.n));
			check_split(buf_slice(&in), &expected, 1, 130);
			buf_done(&expected.content);
		}
	}
}

static void eight_bit_content_is_noted(void **state)
{
	(void)state;
	for (size_t at = 0; at < 200; at++) {
		uint8_t text[200];
		struct smtp_data data;
		struct slice in = slice_of(text, sizeof(text));
		memset(text, 'a', sizeof(text));
		smtp_data_init(&data);
		smtp_data_next(&data, &in);
		assert_false(data.has_8bit);
		text[at] = 0xe9;
		in = slice_of(text, sizeof(text));
		smtp_data_init(&data);
		smtp_data_next(&data, &in);
		assert_true(data.has_8bit);
	}
}

static void chunks_are_judged_but_not_changed(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool faulty;
	} cases[] = {
	        {"", false},  {"a\r\n.\r\nb", false}, {"a\r\n", false}, {"\n", true},
	        {"\r", true}, {"a\rb", true},         {"a\nb", true},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice text = slice_str(cases[i].text);
		for (size_t a = 0; a <= text.n; a++) {
			struct smtp_data data;
			smtp_data_init(&data);
			smtp_data_note_chunk(&data, slice_sub(text, 0, a));
			smtp_data_note_chunk(&data, slice_from(text, a));
			assert_false(smtp_data_ended(&data));
			smtp_data_note_end(&data);
			assert_int_equal(smtp_data_faulty(&data), cases[i].faulty);
			assert_int_equal(data.n_taken, text.n);
		}
	}
}

/* --- the header scanner --- */

static void headers_are_scanned_at_every_split(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t n_fields, n_received;
		uint64_t size;
		bool ended, has_8bit;
	} cases[] = {
	        {"", 0, 0, 0, false, false},
	        {"\r\nReceived: x", 0, 0, 2, true, false},
	        {"\n", 0, 0, 1, true, false},
	        {"Received: a\r\nFrom: b\r\n\r\nReceived: c\r\n", 2, 1, 24, true, false},
	        {"RECEIVED:\r\nreceived :\r\nReceived\t:\r\n", 3, 3, 35, false, false},
	        {"Received: a\r\n Received: b\r\n\tReceived: c\r\n\r\n", 1, 1, 43, true, false},
	        {"Received: a\nReceived: b\n\nx", 2, 2, 25, true, false},
	        {"Received-SPF: a\r\nX-Received: b\r\nReceive: c\r\nReceivedd: d\r\n", 4, 0, 58,
	         false, false},
	        {"Received\r\n: x\r\nReceived x: y\r\n", 3, 0, 30, false, false},
	        {"\rReceived: x\r\n", 0, 0, 14, false, false},
	        {"Received             : x\r\n", 1, 1, 26, false, false},
	        {"A-name-longer-than-sixteen-Received: x\r\nReceived:\r\n", 2, 1, 51, false, false},
	        {"Subject: \xc3\xa9\r\n\r\n", 1, 0, 15, true, true},
	        {"Subject: e\r\n\r\n\xc3\xa9", 1, 0, 14, true, false},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice text = slice_str(cases[i].text);
		for (size_t a = 0; a <= text.n; a++) {
			struct smtp_header_scan scan;
			smtp_header_scan_init(&scan);
			smtp_header_scan_feed(&scan, slice_sub(text, 0, a));
			smtp_header_scan_feed(&scan, slice_from(text, a));
			assert_int_equal(scan.n_fields, cases[i].n_fields);
			assert_int_equal(scan.n_received, cases[i].n_received);
			assert_int_equal(scan.size, cases[i].size);
			assert_int_equal(smtp_header_scan_ended(&scan), cases[i].ended);
			assert_int_equal(scan.has_8bit, cases[i].has_8bit);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(messages_are_found_at_every_split),
	        cmocka_unit_test(a_nul_anywhere_is_a_fault),
	        cmocka_unit_test(all_short_inputs_agree_with_the_reference),
	        cmocka_unit_test(odd_octets_are_found_inside_fast_blocks),
	        cmocka_unit_test(eight_bit_content_is_noted),
	        cmocka_unit_test(chunks_are_judged_but_not_changed),
	        cmocka_unit_test(headers_are_scanned_at_every_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
