/* The fast dot-stuffing against a plain one, at every split of the input. */
#include "smtp/data.h"
#include "smtp/stuff.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct plain {
	bool bare_cr, bare_lf, nul, has_8bit;
};

static void plain_stuff(struct slice in, struct buf *out, struct plain *facts)
{
	*facts = (struct plain){false, false, false, false};
	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i], before = i > 0 ? in.p[i - 1] : '\n';
		bool starts_line = before == '\n';
		if (c == '.' && starts_line)
			buf_add_byte(out, '.');
		buf_add_byte(out, c);
		facts->bare_lf |= c == '\n' && (i == 0 || before != '\r');
		facts->bare_cr |= c == '\r' && (i + 1 == in.n || in.p[i + 1] != '\n');
		facts->nul |= c == 0;
		facts->has_8bit |= c >= 0x80;
	}
}

static void feed(struct smtp_stuff *stuff, struct slice in, struct buf *out)
{
	struct slice run;
	bool dot = true;
	while (dot) {
		dot = smtp_stuff_next(stuff, &in, &run);
		buf_add(out, run);
		if (dot)
			buf_add_byte(out, '.');
	}
	assert_int_equal(in.n, 0);
}

static void check_split(struct slice in, size_t at, struct slice expected, struct plain facts)
{
	struct smtp_stuff stuff, noted;
	struct buf out;
	buf_init(&out, 100000);
	smtp_stuff_init(&stuff);
	smtp_stuff_init(&noted);
	feed(&stuff, slice_sub(in, 0, at), &out);
	feed(&stuff, slice_from(in, at), &out);
	smtp_stuff_note(&noted, slice_sub(in, 0, at));
	smtp_stuff_note(&noted, slice_from(in, at));
	smtp_stuff_end(&stuff);
	smtp_stuff_end(&noted);
	assert_true(slice_eq(buf_slice(&out), expected));
	assert_true(stuff.bare_cr == facts.bare_cr && noted.bare_cr == facts.bare_cr);
	assert_true(stuff.bare_lf == facts.bare_lf && noted.bare_lf == facts.bare_lf);
	assert_true(stuff.nul == facts.nul && noted.nul == facts.nul);
	assert_true(stuff.has_8bit == facts.has_8bit && noted.has_8bit == facts.has_8bit);
	assert_true(smtp_stuff_at_line_start(&stuff) == (in.n == 0 || in.p[in.n - 1] == '\n'));
	buf_done(&out);
}

static void check(struct slice in)
{
	struct buf expected;
	struct plain facts;
	buf_init(&expected, 100000);
	plain_stuff(in, &expected, &facts);
	for (size_t at = 0; at <= in.n; at++)
		check_split(in, at, buf_slice(&expected), facts);
	buf_done(&expected);
}

static void short_inputs(void **state)
{
	static const char *const cases[] = {
	        "",      ".",       "..",          "\r\n",        "\r\n.",     "\r\n.\r\n",
	        ".\r\n", "a.b",     "a\n.b",       "a\r.b",       "\n.",       "\r",
	        "a\r",   "\r\r\n.", "x\r\n..\r\n", ".\r\n.\r\n.", "\xff\r\n.", "\n\n..",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(slice_str(cases[i]));
	check(SLICE("a\0b"));
}

/* All texts of few octets that matter, placed so that they cross the ends of blocks. */
static void inputs_across_blocks(void **state)
{
	static const char alphabet[] = {'\r', '\n', '.', 'x', 0, (char)0xe9};
	uint8_t text[200];
	(void)state;
	for (size_t start = 60; start < 70; start++) {
		for (uint32_t n = 0; n < 6 * 6 * 6 * 6; n++) {
			uint32_t rest = n;
			memset(text, 'a', sizeof(text));
			for (size_t i = 0; i < 4; i++, rest /= 6)
				text[start + i] = (uint8_t)alphabet[rest % 6];
			struct slice in = slice_of(text, 140);
			struct buf expected;
			struct plain facts;
			buf_init(&expected, 1000);
			plain_stuff(in, &expected, &facts);
			check_split(in, 0, buf_slice(&expected), facts);
			check_split(in, start + 2, buf_slice(&expected), facts);
			buf_done(&expected);
		}
	}
}

/* What we stuff, data.h undoes. */
static void server_sees_what_was_sent(void **state)
{
	struct slice in = SLICE(".a\r\n..\r\n\r\n.\r\nb.\r\n"), rest, run;
	struct smtp_stuff stuff;
	struct smtp_data data;
	struct buf wire, seen;
	(void)state;
	buf_init(&wire, 1000);
	buf_init(&seen, 1000);
	smtp_stuff_init(&stuff);
	smtp_data_init(&data);
	feed(&stuff, in, &wire);
	buf_add_str(&wire, ".\r\n");
	for (rest = buf_slice(&wire); rest.n > 0;) {
		run = smtp_data_next(&data, &rest);
		buf_add(&seen, run);
	}
	assert_true(smtp_data_ended(&data));
	assert_true(slice_eq(buf_slice(&seen), in));
	buf_done(&wire);
	buf_done(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(short_inputs),
	        cmocka_unit_test(inputs_across_blocks),
	        cmocka_unit_test(server_sees_what_was_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
