/* Tag lists: what is one, what is none, and what a value's blanks mean. */
#include "mailauth/taglist.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

/* "name<value>" of each tag, or the reason of the refusal in parentheses. */
static void check(const char *in, const char *expected)
{
	struct arena arena;
	struct buf got;
	struct mailauth_taglist list = {0};
	arena_init(&arena, 64 * KIB);
	buf_init(&got, 64 * KIB);
	struct status status = mailauth_taglist_parse(slice_str(in), &arena, &list);
	if (!is_ok(status))
		buf_printf(&got, "(%s)", status.why);
	for (size_t i = 0; i < list.n; i++)
		buf_printf(&got, "%.*s<%.*s>", SLICE_FMT(list.v[i].name),
		           SLICE_FMT(list.v[i].value));
	assert_string_equal(buf_cstr(&got), expected);
	buf_done(&got);
	arena_done(&arena);
}

static void lists_are_read(void **state)
{
	(void)state;
	check("v=DKIM1; k=rsa; p=MIGf", "v<DKIM1>k<rsa>p<MIGf>");
	check("v=1;", "v<1>");
	check("v=1; ", "v<1>");
	check("v=1;\r\n\t", "v<1>");
	check(" v = 1 ; a_2=\r\n x y\t;B=", "v<1>a_2<x y>B<>");
	check("p=", "p<>");
	check("p= ;q=x", "p<>q<x>");
	check("a=b=c==", "a<b=c==>");
	check("d=b\xc3\xbc"
	      "cher",
	      "d<b\xc3\xbc"
	      "cher>");
	check("a=1;A=2", "a<1>A<2>");
}

static void what_is_no_list_is_refused(void **state)
{
	(void)state;
	check("", "(a tag without a name)");
	check(";", "(a tag without a name)");
	check("v=1;;", "(a tag without a name)");
	check("v=1;;k=2", "(a tag without a name)");
	check("=1", "(a tag without a name)");
	check("1v=1", "(a tag without a name)");
	check("_v=1", "(a tag without a name)");
	check("v", "(a tag without '=')");
	check("v 1", "(a tag without '=')");
	check("v-x=1", "(a tag without '=')");
	check("v=1; k", "(a tag without '=')");
	check("v=1; v=2", "(a tag occurs twice)");
	check("v=\x01", "(a byte that no tag's value may have)");
	check("v=a\x7f", "(a byte that no tag's value may have)");
}

static void nul_ends_nothing(void **state)
{
	struct arena arena;
	struct mailauth_taglist list;
	(void)state;
	arena_init(&arena, KIB);
	assert_int_equal(mailauth_taglist_parse(SLICE("v=1\0;k=2"), &arena, &list).code,
	                 ERR_SYNTAX);
	arena_done(&arena);
}

static void tags_are_bounded(void **state)
{
	struct arena arena;
	struct buf in;
	struct mailauth_taglist list;
	(void)state;
	arena_init(&arena, 64 * KIB);
	buf_init(&in, 64 * KIB);
	for (unsigned i = 0; i < MAILAUTH_TAGS_MAX; i++)
		buf_printf(&in, "a%u=;", i);
	assert_int_equal(mailauth_taglist_parse(buf_slice(&in), &arena, &list).code, ERR_OK);
	assert_int_equal(list.n, MAILAUTH_TAGS_MAX);
	assert_non_null(mailauth_taglist_find(&list, "a99"));
	assert_null(mailauth_taglist_find(&list, "A99"));
	buf_add_str(&in, "b=");
	assert_int_equal(mailauth_taglist_parse(buf_slice(&in), &arena, &list).code, ERR_LIMIT);
	buf_done(&in);
	arena_done(&arena);
}

static void blanks_go_and_items_come(void **state)
{
	struct arena arena;
	struct slice item;
	(void)state;
	arena_init(&arena, KIB);
	assert_true(slice_eq_str(mailauth_tag_strip(SLICE("a b\r\n\tc"), &arena), "abc"));
	assert_true(slice_eq_str(mailauth_tag_strip(SLICE("abc"), &arena), "abc"));
	assert_int_equal(mailauth_tag_strip(SLICE(" \t"), &arena).n, 0);
	struct mailauth_items items = mailauth_items_of(SLICE("from : to::x "), ':');
	static const char *const expected[] = {"from", "to", "", "x"};
	for (size_t i = 0; i < N_ELEMENTS(expected); i++) {
		assert_true(mailauth_items_next(&items, &item));
		assert_true(slice_eq_str(item, expected[i]));
	}
	assert_false(mailauth_items_next(&items, &item));
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lists_are_read),
	        cmocka_unit_test(what_is_no_list_is_refused),
	        cmocka_unit_test(nul_ends_nothing),
	        cmocka_unit_test(tags_are_bounded),
	        cmocka_unit_test(blanks_go_and_items_come),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
