/* Text of parts: transfer encoding and charset undone in pieces, in constant memory. */
#include "message/body.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail /* ours returns a status */

static const struct {
	const char *message, *decoded, *text;
} cases[] = {
        {"\r\nhello\r\n", "hello\r\n", "hello\r\n"},
        {"Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n", "hello", "hello"},
        {"Content-Type: text/plain; charset=iso-8859-2\r\nContent-Transfer-Encoding: "
         "quoted-printable\r\n"
         "\r\n=B1=\r\n=B1\r\n",
         "\xb1\xb1\r\n", "\xc4\x85\xc4\x85\r\n"},
        {"Content-Type: text/plain; charset=utf-16be\r\nContent-Transfer-Encoding: "
         "base64\r\n\r\n2D3eAQ==",
         "\xd8\x3d\xde\x01", "\xf0\x9f\x98\x81"},
        {"Content-Type: text/plain; charset=nobody-knows\r\n\r\n\xe4", "\xe4", "\xc3\xa4"},
        {"Content-Type: application/x; charset=koi8-r\r\n\r\n\xe4", "\xe4", "\xc3\xa4"},
        {"Content-Transfer-Encoding: nobody-knows\r\n\r\nx=20y", NULL, "x=20y"},
        {"Content-Type: text/plain; charset=utf-8\r\n\r\na\xe2\x82", "a\xe2\x82", "a\xef\xbf\xbd"},
        {"", "", ""},
};

static const struct message_part *parse(struct slice message, struct arena *arena)
{
	struct message_part *root;
	unsigned defects;
	assert_true(is_ok(message_parse(message, arena, &root, &defects)));
	return root;
}

static void bodies_are_decoded(void **state)
{
	(void)state;
	struct buf out;
	struct message_sink_buf sink;
	struct message_source_mem source;
	buf_init(&out, 10000);
	message_sink_buf_init(&sink, &out);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		CLEANUP(arena_done) struct arena arena = {.budget = 100000};
		struct slice message = slice_str(cases[i].message);
		const struct message_part *root = parse(message, &arena);
		message_source_mem_init(&source, message);
		buf_reset(&out);
		struct status status = message_body_decode(root, &source.source, &sink.sink, NULL);
		assert_int_equal(status.code, cases[i].decoded ? ERR_OK : ERR_UNSUPPORTED);
		if (cases[i].decoded)
			assert_string_equal(buf_cstr(&out), cases[i].decoded);
		buf_reset(&out);
		assert_true(is_ok(message_body_text(root, &source.source, &sink.sink)));
		assert_string_equal(buf_cstr(&out), cases[i].text);
	}
	buf_done(&out);
}

static void damage_is_told(void **state)
{
	(void)state;
	struct buf out;
	struct message_sink_buf sink;
	struct message_source_mem source;
	CLEANUP(arena_done) struct arena arena = {.budget = 100000};
	struct slice message = SLICE("Content-Transfer-Encoding: base64\r\n\r\naGVs!");
	buf_init(&out, 100);
	message_sink_buf_init(&sink, &out);
	message_source_mem_init(&source, message);
	bool damaged = false;
	assert_true(is_ok(
	        message_body_decode(parse(message, &arena), &source.source, &sink.sink, &damaged)));
	assert_true(damaged);
	buf_done(&out);
}

struct counting_sink {
	struct message_sink sink;
	uint64_t n;
	size_t largest;
	bool valid;
	uint64_t stop_at;
};

static struct status count(struct message_sink *sink, struct slice piece)
{
	struct counting_sink *counting = (struct counting_sink *)sink;
	counting->n += piece.n;
	counting->largest = MAX(counting->largest, piece.n);
	counting->valid &= utf8_valid(piece);
	if (counting->n >= counting->stop_at)
		return fail(ERR_CANCELED, "enough");
	return ok();
}

/* Endless Cyrillic in an 8-bit charset: offset decides the byte. */
static struct status endless(const struct message_source *source, uint64_t offset, uint8_t *p,
                             size_t n, size_t *ret_n)
{
	(void)source;
	for (size_t i = 0; i < n; i++)
		p[i] = (offset + i) % 77 == 76 ? '\n' : 0xcf;
	*ret_n = n;
	return ok();
}

static void large_bodies_come_in_small_pieces(void **state)
{
	(void)state;
	CLEANUP(arena_done) struct arena arena = {.budget = 100000};
	struct message_part part =
	        *parse(SLICE("Content-Type: text/plain; charset=koi8-r\r\n\r\n"), &arena);
	part.body_size = 20 * 1024 * 1024;
	const struct message_source source = {.read = endless};
	struct counting_sink sink = {.sink = {.add = count}, .valid = true, .stop_at = UINT64_MAX};
	assert_true(is_ok(message_body_text(&part, &source, &sink.sink)));
	assert_true(sink.valid);
	assert_true(sink.n > part.body_size && sink.largest <= 4 * MESSAGE_BODY_PIECE);
	sink.n = 0;
	sink.stop_at = 100;
	assert_int_equal(message_body_text(&part, &source, &sink.sink).code, ERR_CANCELED);
	assert_true(sink.n <= 4 * MESSAGE_BODY_PIECE);
}

static void a_short_source_is_an_error(void **state)
{
	(void)state;
	CLEANUP(arena_done) struct arena arena = {.budget = 100000};
	struct slice message = SLICE("A: b\r\n\r\nhello");
	const struct message_part *root = parse(message, &arena);
	struct message_source_mem source;
	struct counting_sink sink = {.sink = {.add = count}, .stop_at = UINT64_MAX};
	message_source_mem_init(&source, slice_sub(message, 0, 10));
	assert_int_equal(message_body_text(root, &source.source, &sink.sink).code, ERR_TRUNCATED);
	assert_int_equal(message_body_decode(root, &source.source, &sink.sink, NULL).code,
	                 ERR_TRUNCATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bodies_are_decoded),
	        cmocka_unit_test(damage_is_told),
	        cmocka_unit_test(large_bodies_come_in_small_pieces),
	        cmocka_unit_test(a_short_source_is_an_error),
	};
	return cmocka_run_group_tests_name("message_body", tests, NULL, NULL);
}
