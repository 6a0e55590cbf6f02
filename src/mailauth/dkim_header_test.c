/* Which fields a list of names stands for. */
#include "mailauth/dkim_header.h"

#include "base/buf.h"
#include "message/part.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static size_t split_names(const char *list, struct slice *names)
{
	struct slice rest = slice_str(list);
	size_t n = 0;
	while (slice_cut(rest, ':', &names[n], &rest))
		n++;
	return n + 1;
}

/* The last byte of each chosen field's value, '-' for none. self: rank of a "Sig" field. */
static void check(const char *block, const char *list, int self, const char *expected)
{
	struct arena arena;
	struct dkim_header header;
	struct slice names[DKIM_SIGNED_NAMES_MAX];
	const struct dkim_field *fields[DKIM_SIGNED_NAMES_MAX];
	char got[DKIM_SIGNED_NAMES_MAX + 1] = "";
	arena_init(&arena, 64 * KIB);
	assert_int_equal(dkim_header_index(slice_str(block), &arena, &header).code, ERR_OK);
	size_t n = split_names(list, names);
	const struct dkim_field *own =
	        self >= 0 ? dkim_header_find(&header, SLICE("sig"), (size_t)self) : NULL;
	dkim_header_select(&header, names, n, own, fields);
	for (size_t i = 0; i < n; i++)
		got[i] = fields[i] ? (char)slice_trim(fields[i]->raw)
		                             .p[slice_trim(fields[i]->raw).n - 1]
		                   : '-';
	assert_string_equal(got, expected);
	arena_done(&arena);
}

#define TRACE                                                                                      \
	"Sig: 1\r\nReceived: A\r\nSig: 2\r\nReceived: B\r\nno field\r\nFrom: f\r\n"                \
	"received : C\r\nX:x\r\nXY:\r\n y\r\nSig: 3\r\n"

static void fields_are_chosen_from_the_bottom(void **state)
{
	(void)state;
	/* the example of section 5.4.2 */
	check("Received: A\r\nReceived: B\r\nReceived: C\r\n", "Received:Received", -1, "CB");
	check(TRACE, "received:from:RECEIVED:Received:received:From", -1, "CfBA--");
	check(TRACE, "x:xy:XYZ::no field:x ", -1, "xy----");
	check(TRACE, "sig:sig:sig:sig", -1, "321-");
	check(TRACE, "sig:sig:sig:sig", 0, "21--");
	check(TRACE, "sig:sig:sig", 1, "31-");
	check(TRACE, "sig:x:sig:sig", 2, "3x2-");
	check("", "from", -1, "-");
	check("\r\nFrom: x\r\n", "from", -1, "-");
	check("From: 1\r\n\r\nFrom: 2\r\n", "from:from", -1, "1-");
	check("From: 1\nFrom: 2\n", "from:from", -1, "21");
}

static void fields_are_counted(void **state)
{
	struct arena arena;
	struct dkim_header header;
	(void)state;
	arena_init(&arena, 64 * KIB);
	assert_true(is_ok(dkim_header_index(SLICE(TRACE), &arena, &header)));
	assert_int_equal(header.n, 9);
	assert_false(header.truncated);
	assert_int_equal(dkim_header_count(&header, SLICE("SIG")), 3);
	assert_int_equal(dkim_header_count(&header, SLICE("x")), 1);
	assert_int_equal(dkim_header_count(&header, SLICE("")), 0);
	assert_int_equal(dkim_header_count(&header, SLICE("zz")), 0);
	assert_null(dkim_header_find(&header, SLICE("zz"), 0));
	assert_null(dkim_header_find(&header, SLICE("sig"), SIZE_MAX));
	arena_done(&arena);
}

static void large_headers_have_limits(void **state)
{
	struct arena arena, small;
	struct dkim_header header;
	struct buf block;
	(void)state;
	arena_init(&arena, 2 * MIB);
	arena_init(&small, KIB);
	buf_init(&block, 2 * MIB);
	for (size_t i = 0; i < MESSAGE_HEADERS_MAX; i++)
		buf_printf(&block, "F%zu: x\r\n", i % 3000);
	assert_true(is_ok(dkim_header_index(buf_slice(&block), &arena, &header)));
	assert_false(header.truncated);
	assert_int_equal(dkim_header_count(&header, SLICE("f999")), 4);
	buf_add_str(&block, "From: unseen\r\n");
	assert_true(is_ok(dkim_header_index(buf_slice(&block), &arena, &header)));
	assert_true(header.truncated);
	assert_int_equal(header.n, MESSAGE_HEADERS_MAX);
	assert_int_equal(dkim_header_index(buf_slice(&block), &small, &header).code, ERR_LIMIT);
	buf_done(&block);
	arena_done(&arena);
	arena_done(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fields_are_chosen_from_the_bottom),
	        cmocka_unit_test(fields_are_counted),
	        cmocka_unit_test(large_headers_have_limits),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
