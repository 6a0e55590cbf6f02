/* Which addresses take reports. */
#include "setup/report_address.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char server[] = "hostname: mail.example.org\n"
                             "postmaster: me\n"
                             "listeners: {public: {addresses: [192.0.2.1], smtp: {}}}\n";
static const char domains[] =
        "domains:\n"
        "  example.org: {tls_reports: [tls@example.org, 'https://r.example/'],"
        " dmarc: {policy: none, reports: [team@b\xc3\xbc"
        "cher.example]}}\n"
        "  b\xc3\xbc"
        "cher.example: {}\n"
        "  far.example: {tls_reports: [them@elsewhere.example]}\n"
        "accounts:\n"
        "  me: {addresses: [me@example.org, tls@example.org]}\n"
        "  you: {addresses: [you@example.org]}\n"
        "aliases: {team@b\xc3\xbc"
        "cher.example: {members: [me@example.org, you@example.org]}}\n";

static void test_addresses(void **state)
{
	static const struct {
		const char *localpart, *domain;
		bool takes;
	} cases[] = {
	        {"tls", "example.org", true},
	        {"TLS", "EXAMPLE.org", true},
	        {"tls+tag", "example.org", true},
	        {"team",
	         "b\xc3\xbc"
	         "cher.example",
	         true},
	        {"team", "xn--bcher-kva.example", true},
	        {"me", "example.org", false},
	        {"you", "example.org", false},
	        {"tls", "xn--bcher-kva.example", false},
	        {"them", "elsewhere.example", false},
	        {"nobody", "example.org", false},
	        {"postmaster", "example.org", false},
	        {"", "example.org", false},
	        {"tls", "", false},
	};
	const struct config_sources sources = {
	        .directory = "/etc/mailkeep",
	        .text = {[CONFIG_SERVER] = slice_str(server),
	                 [CONFIG_DOMAINS] = slice_str(domains)},
	};
	struct config_problems problems;
	struct config *config;
	struct arena arena;
	(void)state;
	arena_init(&arena, CONFIG_ARENA_MAX);
	config_problems_init(&problems);
	struct status status = config_parse(&sources, &arena, &config, &problems);
	for (size_t i = 0; i < problems.n; i++)
		print_message("%s\n", problems.v[i].what);
	assert_true(is_ok(status));
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		if (setup_is_report_address(config, slice_str(cases[i].localpart),
		                            slice_str(cases[i].domain)) != cases[i].takes)
			fail_msg("%s@%s", cases[i].localpart, cases[i].domain);
	config_problems_done(&problems);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
