/* Organisational domains by the public suffix list. */
#include "mailauth/public_suffix.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static void check(const char *text, enum public_suffix_sections sections, const char *expected)
{
	struct arena arena;
	struct dns_name name, found = {"(suffix)"};
	arena_init(&arena, 16 * KIB);
	assert_int_equal(dns_name_parse(slice_str(text), &arena, &name).code, ERR_OK);
	bool has = public_suffix_organizational(name, sections, &found);
	assert_int_equal(has, !public_suffix_is(name, sections));
	assert_string_equal(found.text, expected);
	arena_done(&arena);
}

static void domains_belong_together(void **state)
{
	static const struct {
		const char *name, *all, *icann;
	} cases[] = {
	        {".", "(suffix)", "(suffix)"},
	        {"com", "(suffix)", "(suffix)"},
	        {"example.com", "example.com", "example.com"},
	        {"a.b.c.d.example.com", "example.com", "example.com"}, /* RFC 7489 section 3.2 */
	        {"co.uk", "(suffix)", "(suffix)"},
	        {"mail.example.co.uk", "example.co.uk", "example.co.uk"},
	        {"example.nosuchtld", "example.nosuchtld", "example.nosuchtld"},
	        {"a.example.nosuchtld", "example.nosuchtld", "example.nosuchtld"},
	        {"nosuchtld", "(suffix)", "(suffix)"},
	        /* wildcard and exception */
	        {"x.ck", "(suffix)", "(suffix)"},
	        {"a.x.ck", "a.x.ck", "a.x.ck"},
	        {"www.ck", "www.ck", "www.ck"},
	        {"a.www.ck", "www.ck", "www.ck"},
	        /* the private section */
	        {"github.io", "(suffix)", "github.io"},
	        {"someone.github.io", "someone.github.io", "github.io"},
	        {"a.someone.github.io", "someone.github.io", "github.io"},
	        /* IDNA */
	        {"\xe5\x85\xac\xe5\x8f\xb8.cn", "(suffix)", "(suffix)"},
	        {"a.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn",
	         "xn--85x722f.xn--55qx5d.cn"},
	        /* names of the DNS that are no host names */
	        {"_dmarc.example.com", "example.com", "example.com"},
	        {"a\\.b.example.com", "example.com", "example.com"},
	        {"\\000.com", "\\000.com", "\\000.com"},
	        {"1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.example.org", "example.org",
	         "example.org"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		check(cases[i].name, PUBLIC_SUFFIX_ALL, cases[i].all);
		check(cases[i].name, PUBLIC_SUFFIX_ICANN, cases[i].icann);
	}
}

static void there_is_a_list(void **state)
{
	(void)state;
	assert_true(public_suffix_is_known());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(domains_belong_together),
	        cmocka_unit_test(there_is_a_list),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
