/* Address lists: what stands in an envelope for every form, correct, obsolete and broken. */
#include "message/address.h"
#include "message/dump.h"
#include "message/part.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *value, *expect;
} cases[] = {
        /* RFC 5322 section 3.4 and appendix A */
        {"a@b.example", "[a@b.example]"},
        {"<a@b.example>", "[a@b.example]"},
        {"John Doe <jdoe@machine.example>", "[{John Doe} jdoe@machine.example]"},
        {"\"Joe Q. Public\" <john.q.public@example.com>",
         "[{Joe Q. Public} john.q.public@example.com]"},
        {"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
         "[{Mary Smith} mary@x.test][jdoe@example.org][{Who?} one@y.test]"},
        {"<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
         "[boss@nil.test][{Giant; \"Big\" Box} sysservices@example.net]"},
        {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
         "[start A Group][{Ed Jones} c@a.test][joe@where.test][{John} jdoe@one.test][end]"},
        {"Undisclosed recipients:;", "[start Undisclosed recipients][end]"},
        {"undisclosed-recipients: ;", "[start undisclosed-recipients][end]"},
        {"a@b, g: c@d, e@f; , h@i", "[a@b][start g][c@d][e@f][end][h@i]"},
        /* comments and white space (A.5) */
        {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
         "[{Pete} pete@silly.test]"},
        {"A Group(Some people)\r\n  :Chris Jones <c@(Chris's host.)public.example>,\r\n"
         "  joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)",
         "[start A Group][{Chris Jones} c@public.example][joe@example.org][{John} "
         "jdoe@one.test][end]"},
        {"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
         "[start Hidden recipients][end]"},
        {"user@example.com (Real Name)", "[{Real Name} user@example.com]"},
        {"user@example.com (nested (comment) here)", "[{nested (comment) here} user@example.com]"},
        {"root (Cron Daemon)", "[{Cron Daemon} root]"},
        {"a@b (x), c@d", "[{x} a@b][c@d]"},
        {"a@b, (x) c@d", "[a@b][c@d]"},
        /* obsolete (A.6) */
        {"Joe Q. Public <john.q.public@example.com>",
         "[{Joe Q. Public} john.q.public@example.com]"},
        {"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
         "[{Mary Smith} @node.test:mary@example.net][jdoe@test.example]"},
        {"<@a.test, @b.test:c@d.test>", "[@a.test,@b.test:c@d.test]"},
        {"john . doe @ example . com", "[john.doe@example.com]"},
        {"\"john doe\"@example.com", "[john doe@example.com]"},
        {"\"john\".doe@example.com", "[john.doe@example.com]"},
        {"john@[192.0.2.1]", "[john@[192.0.2.1]]"},
        {"john@[IPv6:2001:db8::1]", "[john@[IPv6:2001:db8::1]]"},
        {",,a@b,,", "[a@b]"},
        /* RFC 6532 and raw bytes; encoded words are kept */
        {"J\xc3\xb6rg <j\xc3\xb6rg@ex\xc3\xa4mple.de>",
         "[{J\xc3\xb6rg} j\xc3\xb6rg@ex\xc3\xa4mple.de]"},
        {"J\xf6rg <j@x>", "[{J\xf6rg} j@x]"},
        {"=?utf-8?q?J=C3=B6rg?= <j@x>", "[{=?utf-8?q?J=C3=B6rg?=} j@x]"},
        {"\"=?utf-8?q?J=C3=B6rg?= X\" <j@x>", "[{=?utf-8?q?J=C3=B6rg?= X} j@x]"},
        /* folds inside */
        {"\"a\r\n b\" <c@d>", "[{a b} c@d]"},
        {"A\r\n\tB <c@d>", "[{A B} c@d]"},
        /* empty */
        {"", ""},
        {" \t\r\n ", ""},
        {"(nothing)", ""},
        {",", ""},
        {";", ""},
        {"<>", "[]"},
        {"Nobody <>", "[{Nobody} ]"},
        /* broken */
        {"root", "[root]"},
        {"<root>", "[root]"},
        {"foo bar", "[invalid foo bar]"},
        {"\"Foo Bar\"", "[invalid \"Foo Bar\"]"},
        {"foo bar, a@b", "[invalid foo bar][a@b]"},
        {"foo@", "[foo]"},
        {"@bar", "[invalid @bar]"},
        {"a@b@c", "[invalid a@b@c]"},
        {"<a@b@c>", "[invalid a@b@c]"},
        {"X <a@b@c>, d@e", "[invalid {X} a@b@c][d@e]"},
        {"foo bar@baz", "[invalid foo bar@baz]"},
        {"\"Foo\" a@b", "[invalid \"Foo\" a@b]"},
        {"<foo bar@baz>", "[invalid foo bar@baz]"},
        {"a@b <c@d>", "[{a@b} c@d]"},
        {"a@b <a@b>, e@f", "[{a@b} a@b][e@f]"},
        {"Foo <a@b", "[{Foo} a@b]"},
        {"Foo <a@b, c@d", "[{Foo} a@b][c@d]"},
        {"Foo a@b>", "[invalid Foo a@b>]"},
        {"a@b>", "[a@b]"},
        {"<<a@b>>", "[a@b]"},
        {"<a@b> <c@d>", "[a@b][c@d]"},
        {"<a@b> text", "[a@b]"},
        {"<a@b> text, c@d", "[a@b][c@d]"},
        {"a@b; c@d", "[a@b][c@d]"},
        {"a@b c@d", "[a@b][c@d]"},
        {"g: a@b", "[start g][a@b][end]"},
        {"g: a@b, h: c@d;", "[start g][a@b][invalid h: c@d][end]"},
        {": a@b;", "[start ][a@b][end]"},
        {"<mailto:a@b>", "[invalid mailto:a@b]"},
        {"<@a.test>", "[invalid @a.test]"},
        {"<@a.test b@c>", "[invalid @a.test b@c]"},
        {"\"Foo <a@b>", "[{\"Foo} a@b]"},
        {"Foo (bar <a@b>", "[{bar <a@b>} Foo]"},
        {"a..b@c", "[a..b@c]"},
        {".a.@c.", "[.a.@c.]"},
        {"a@[unclosed", "[a]"},
        {"\\", "[invalid \\]"},
        {")", "[invalid )]"},
        {"a\rb@c", "[invalid ab@c]"},
        {"x\x01y@z", "[invalid x\x01y@z]"},
};

static void every_form_gives_its_addresses(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		CLEANUP(arena_done) struct arena arena = {.budget = 100000};
		struct message_address_list list;
		message_addresses_parse(slice_str(cases[i].value), &arena, &list);
		buf_reset(&out);
		message_dump_addresses(&list, &out);
		if (!slice_eq_str(buf_slice(&out), cases[i].expect))
			print_error("for: %s\n", cases[i].value);
		assert_string_equal(buf_cstr(&out), cases[i].expect);
		assert_true(list.present && !list.truncated);
	}
	buf_done(&out);
}

static void a_list_ends_at_its_limit_with_groups_closed(void **state)
{
	(void)state;
	struct buf value;
	buf_init(&value, 1000000);
	buf_add_str(&value, "a@b, group:");
	for (size_t i = 0; i < 2 * MESSAGE_ADDRESSES_MAX; i++)
		buf_add_str(&value, "c@d,");
	CLEANUP(arena_done) struct arena arena = {.budget = 10000000};
	struct message_address_list list;
	message_addresses_parse(buf_slice(&value), &arena, &list);
	assert_true(list.truncated);
	assert_int_equal(list.n, MESSAGE_ADDRESSES_MAX);
	assert_int_equal(list.v[list.n - 1].kind, MESSAGE_ADDRESS_GROUP_END);
	buf_done(&value);
}

static void many_fields_of_one_address_stay_cheap(void **state)
{
	(void)state;
	CLEANUP(arena_done) struct arena arena = {.budget = 2000000};
	struct message_address_list list = {0};
	for (size_t i = 0; i < 10000; i++)
		message_addresses_add(SLICE("a@b"), &arena, &list);
	assert_int_equal(list.n, MESSAGE_ADDRESSES_MAX);
	assert_true(list.truncated);
	assert_false(arena_failed(&arena));
}

static void hostile_nesting_costs_linear_work(void **state)
{
	(void)state;
	static const char *const units[] = {"(",  "\\\"", "\"\\\"", "[", "<",
	                                    "<@", "a:",   "(a)",    "@", "[\\]"};
	size_t size = MESSAGE_FIELD_SIZE_MAX;
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(size);
	for (size_t i = 0; i < N_ELEMENTS(units); i++) {
		for (size_t at = 0; at < size; at++)
			bytes[at] = (uint8_t)units[i][at % strlen(units[i])];
		CLEANUP(arena_done) struct arena arena = {.budget = 10000000};
		struct message_address_list list;
		message_addresses_parse(slice_of(bytes, size), &arena, &list);
		assert_true(list.n <= MESSAGE_ADDRESSES_MAX);
	}
}

static void an_exhausted_arena_shortens_the_list(void **state)
{
	(void)state;
	CLEANUP(arena_done) struct arena arena = {.budget = 500};
	struct message_address_list list;
	message_addresses_parse(SLICE("a@b,c@d,e@f,g@h,i@j,k@l,m@n,o@p"), &arena, &list);
	assert_true(list.truncated);
	assert_true(list.n < 8);
}

static void printing_and_parsing_agree(void **state)
{
	(void)state;
	static const char *const good[] = {
	        "<a@b>",        "A B <a@b>", "\"A, \\\"B\\\"\" <a@b>", "\"a b\" <\"c d\"@e>",
	        "<\"a..b\"@c>", "<>"};
	struct buf out;
	buf_init(&out, 1000);
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		CLEANUP(arena_done) struct arena arena = {.budget = 10000};
		struct message_address_list list;
		message_addresses_parse(slice_str(good[i]), &arena, &list);
		assert_int_equal(list.n, 1);
		buf_reset(&out);
		assert_true(message_address_print(&list.v[0], &out));
		if (i != 3)
			assert_string_equal(buf_cstr(&out), good[i]);
	}
	struct message_address bad = {.name = SLICE("a\r\nBcc: x"), .has_name = true};
	bad.localpart = bad.domain = SLICE("x");
	assert_false(message_address_print(&bad, &out));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_form_gives_its_addresses),
	        cmocka_unit_test(a_list_ends_at_its_limit_with_groups_closed),
	        cmocka_unit_test(many_fields_of_one_address_stay_cheap),
	        cmocka_unit_test(hostile_nesting_costs_linear_work),
	        cmocka_unit_test(an_exhausted_arena_shortens_the_list),
	        cmocka_unit_test(printing_and_parsing_agree),
	};
	return cmocka_run_group_tests_name("message_address", tests, NULL, NULL);
}
