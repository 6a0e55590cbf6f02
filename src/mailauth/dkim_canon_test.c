/* Canonical forms: each case whole, at every split and byte by byte. */
#include "mailauth/dkim_canon.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

struct collector {
	struct dkim_sink sink;
	struct buf out;
};

static void collect(struct dkim_sink *sink, struct slice piece)
{
	struct collector *c = (struct collector *)sink;
	buf_add(&c->out, piece);
}

static void collector_init(struct collector *c)
{
	c->sink.add = collect;
	buf_init(&c->out, 4 * MIB);
}

static void body(enum dkim_canon canon, struct slice in, size_t split, size_t step,
                 struct collector *c)
{
	struct dkim_body_canon b;
	buf_reset(&c->out);
	dkim_body_canon_init(&b, canon, &c->sink);
	dkim_body_canon_feed(&b, slice_sub(in, 0, split));
	for (size_t at = split; at < in.n; at += step)
		dkim_body_canon_feed(&b, slice_sub(in, at, step));
	dkim_body_canon_finish(&b);
	assert_int_equal(b.size, c->out.n);
}

static void check_body(enum dkim_canon canon, struct slice in, struct slice expected)
{
	struct collector c;
	collector_init(&c);
	for (size_t split = 0; split <= in.n; split++) {
		body(canon, in, split, SIZE_MAX - in.n, &c);
		assert_int_equal(c.out.n, expected.n);
		assert_memory_equal(c.out.p ? c.out.p : expected.p, expected.p, expected.n);
	}
	body(canon, in, 0, 1, &c);
	assert_true(slice_eq(buf_slice(&c.out), expected));
	buf_done(&c.out);
}

#define LONG_LINE "0123456789abcdef0123456789abcdef0123456789 0123456789abcdef"

static const struct {
	struct slice in, simple, relaxed;
} bodies[] = {
        /* section 3.4.5 */
        {SLICE(" C \r\nD \t E\r\n\r\n\r\n"), SLICE(" C \r\nD \t E\r\n"), SLICE(" C\r\nD E\r\n")},
        {SLICE(""), SLICE("\r\n"), SLICE("")},
        {SLICE("\r\n"), SLICE("\r\n"), SLICE("")},
        {SLICE("\r\n\r\n\r\n"), SLICE("\r\n"), SLICE("")},
        {SLICE("a"), SLICE("a\r\n"), SLICE("a\r\n")},
        {SLICE("a\r\n"), SLICE("a\r\n"), SLICE("a\r\n")},
        {SLICE("a\r\n\r\n"), SLICE("a\r\n"), SLICE("a\r\n")},
        {SLICE("\r\n\r\na\r\n"), SLICE("\r\n\r\na\r\n"), SLICE("\r\n\r\na\r\n")},
        {SLICE("a\r\n\r\n\r\nb\r\n"), SLICE("a\r\n\r\n\r\nb\r\n"), SLICE("a\r\n\r\n\r\nb\r\n")},
        /* blanks */
        {SLICE(" "), SLICE(" \r\n"), SLICE("")},
        {SLICE(" \r\n"), SLICE(" \r\n"), SLICE("")},
        {SLICE(" \r\n\t\r\n"), SLICE(" \r\n\t\r\n"), SLICE("")},
        {SLICE("a\r\n \t \r\n\t\r\n"), SLICE("a\r\n \t \r\n\t\r\n"), SLICE("a\r\n")},
        {SLICE("a\r\n \r\nb"), SLICE("a\r\n \r\nb\r\n"), SLICE("a\r\n\r\nb\r\n")},
        {SLICE("a \t"), SLICE("a \t\r\n"), SLICE("a\r\n")},
        {SLICE("\ta\tb  c\t\td \t e"), SLICE("\ta\tb  c\t\td \t e\r\n"), SLICE(" a b c d e\r\n")},
        {SLICE("  a\r\n  b"), SLICE("  a\r\n  b\r\n"), SLICE(" a\r\n b\r\n")},
        {SLICE(LONG_LINE "  " LONG_LINE " \r\n" LONG_LINE "\t" LONG_LINE),
         SLICE(LONG_LINE "  " LONG_LINE " \r\n" LONG_LINE "\t" LONG_LINE "\r\n"),
         SLICE(LONG_LINE " " LONG_LINE "\r\n" LONG_LINE " " LONG_LINE "\r\n")},
        /* bare CR, bare LF, NUL and others: octets */
        {SLICE("a\r"), SLICE("a\r\r\n"), SLICE("a\r\r\n")},
        {SLICE("a \r"), SLICE("a \r\r\n"), SLICE("a \r\r\n")},
        {SLICE("\r"), SLICE("\r\r\n"), SLICE("\r\r\n")},
        {SLICE("\n"), SLICE("\n\r\n"), SLICE("\n\r\n")},
        {SLICE("a \n b\n\n"), SLICE("a \n b\n\n\r\n"), SLICE("a \n b\n\n\r\n")},
        {SLICE("a  \n  b"), SLICE("a  \n  b\r\n"), SLICE("a \n b\r\n")},
        {SLICE("a\r\r\n"), SLICE("a\r\r\n"), SLICE("a\r\r\n")},
        {SLICE("a \r \r\n"), SLICE("a \r \r\n"), SLICE("a \r\r\n")},
        {SLICE("\r\n\r\r\n\r\n"), SLICE("\r\n\r\r\n"), SLICE("\r\n\r\r\n")},
        {SLICE("\n\r\n\r"), SLICE("\n\r\n\r\r\n"), SLICE("\n\r\n\r\r\n")},
        {SLICE("\r\n \r"), SLICE("\r\n \r\r\n"), SLICE("\r\n \r\r\n")},
        {SLICE("a\0 \0\r\n"), SLICE("a\0 \0\r\n"), SLICE("a\0 \0\r\n")},
        {SLICE("a \v b\f \r\n"), SLICE("a \v b\f \r\n"), SLICE("a \v b\f\r\n")},
        {SLICE("\xc3\xa4 \xc3\xa4\xa0 \r\n"), SLICE("\xc3\xa4 \xc3\xa4\xa0 \r\n"),
         SLICE("\xc3\xa4 \xc3\xa4\xa0\r\n")},
};

static void bodies_become_canonical(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bodies); i++) {
		check_body(DKIM_SIMPLE, bodies[i].in, bodies[i].simple);
		check_body(DKIM_RELAXED, bodies[i].in, bodies[i].relaxed);
		/* what is canonical stays so */
		check_body(DKIM_SIMPLE, bodies[i].simple, bodies[i].simple);
		check_body(DKIM_RELAXED, bodies[i].relaxed, bodies[i].relaxed);
	}
}

static void many_empty_lines_cost_no_memory(void **state)
{
	struct collector c;
	struct buf in;
	(void)state;
	collector_init(&c);
	buf_init(&in, 4 * MIB);
	for (size_t i = 0; i < 100000; i++)
		buf_add_str(&in, "\r\n");
	body(DKIM_SIMPLE, buf_slice(&in), 1, 7, &c);
	assert_int_equal(c.out.n, 2);
	buf_add_str(&in, "x\r\n");
	body(DKIM_RELAXED, buf_slice(&in), 1, 999, &c);
	assert_true(slice_eq(buf_slice(&c.out), buf_slice(&in)));
	buf_done(&in);
	buf_done(&c.out);
}

static const struct {
	struct slice in, relaxed;
} fields[] = {
        /* section 3.4.5 */
        {SLICE("A: X\r\n"), SLICE("a:X\r\n")},
        {SLICE("B : Y\t\r\n\tZ  \r\n"), SLICE("b:Y Z\r\n")},
        {SLICE("SUBJect: AbC\r\n"), SLICE("subject:AbC\r\n")},
        {SLICE("A:\r\n"), SLICE("a:\r\n")},
        {SLICE("A: \t \r\n"), SLICE("a:\r\n")},
        {SLICE("A:\r\n \r\n b\r\n"), SLICE("a:b\r\n")},
        {SLICE("A\t : b"), SLICE("a:b\r\n")},
        {SLICE("A: b:c : d\r\n"), SLICE("a:b:c : d\r\n")},
        {SLICE("A: b\r\n  c\r\n\td\r\n \r\n"), SLICE("a:b c d\r\n")},
        {SLICE("A: " LONG_LINE " \t" LONG_LINE "\r\n\t" LONG_LINE " \r\n"),
         SLICE("a:" LONG_LINE " " LONG_LINE " " LONG_LINE "\r\n")},
        {SLICE(LONG_LINE LONG_LINE ": B"), SLICE("0123456789abcdef0123456789abcdef01234567890123456"
                                                 "789abcdef0123456789abcdef0123456789abcdef012345"
                                                 "67890123456789abcdef:B\r\n")},
        /* bare line ends stay; those that the parser of headers took for a line end, too */
        {SLICE("A: b\n c\n"), SLICE("a:b\n c\n\r\n")},
        {SLICE("A: b \n  c \r\n"), SLICE("a:b \n c\r\n")},
        {SLICE("A: b\r c\r\n"), SLICE("a:b\r c\r\n")},
        {SLICE("A: b \r\r\n c"), SLICE("a:b \r c\r\n")},
        {SLICE("A:\r"), SLICE("a:\r\r\n")},
        {SLICE("A: \0\r\n"), SLICE("a:\0\r\n")},
        {SLICE("A: \xc3\xa4 \r\n"), SLICE("a:\xc3\xa4\r\n")},
};

static void check_field(enum dkim_canon canon, struct slice in, struct slice expected)
{
	struct collector c;
	struct dkim_field_canon f;
	struct slice content = dkim_field_content(in);
	collector_init(&c);
	for (size_t split = 0; split <= content.n; split++) {
		buf_reset(&c.out);
		dkim_field_canon_init(&f, canon, &c.sink);
		dkim_field_canon_feed(&f, slice_sub(content, 0, split));
		dkim_field_canon_feed(&f, slice_from(content, split));
		dkim_field_canon_finish(&f, true);
		assert_int_equal(c.out.n, expected.n);
		assert_memory_equal(c.out.p, expected.p, expected.n);
	}
	buf_reset(&c.out);
	dkim_field_canon_init(&f, canon, &c.sink);
	for (size_t i = 0; i < content.n; i++)
		dkim_field_canon_feed(&f, slice_sub(content, i, 1));
	dkim_field_canon_finish(&f, false);
	assert_true(slice_eq(buf_slice(&c.out), slice_sub(expected, 0, expected.n - 2)));
	buf_reset(&c.out);
	dkim_canon_field(canon, in, &c.sink);
	assert_true(slice_eq(buf_slice(&c.out), expected));
	buf_done(&c.out);
}

static void fields_become_canonical(void **state)
{
	struct buf simple;
	(void)state;
	buf_init(&simple, KIB);
	for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
		check_field(DKIM_RELAXED, fields[i].in, fields[i].relaxed);
		buf_reset(&simple);
		buf_add(&simple, dkim_field_content(fields[i].in));
		buf_add_str(&simple, "\r\n");
		check_field(DKIM_SIMPLE, fields[i].in, buf_slice(&simple));
	}
	buf_done(&simple);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bodies_become_canonical),
	        cmocka_unit_test(many_empty_lines_cost_no_memory),
	        cmocka_unit_test(fields_become_canonical),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
