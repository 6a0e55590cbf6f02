/* Destinations of reports: whose they are, and who must allow them. */
#include "mailauth/dmarc_destination.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static int64_t test_now(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static const struct clock test_clock = {test_now, test_now};

static const char facts[] =
        "_dmarc.example.com TXT \"v=DMARC1; p=none\"\n"
        "_dmarc.blue.example.com TXT \"v=DMARC1; p=none\"\n"
        "_dmarc.own.example.com TXT \"v=DMARC1; p=none; psd=n\"\n"
        "_dmarc.down.example.com TXT servfail\n"
        /* RFC 9990 section 3, RFC 7489 appendix B.2.3 and 9989 appendix B.2.4 */
        "blue.example.com._report._dmarc.red.example.net TXT \"v=DMARC1;\" secure\n"
        "example.com._report._dmarc.thirdparty.example.net TXT \"v=DMARC1\"\n"
        "example.com._report._dmarc.override.example.net TXT \"v=DMARC1; \" "
        "\"rua=mailto:aggregate-reports@override.example.net; \" "
        "\"ruf=mailto:failure-reports@override.example.net\"\n"
        "example.com._report._dmarc.elsewhere.example.net TXT "
        "\"v=DMARC1; rua=mailto:victim@example.org\"\n"
        "example.com._report._dmarc.mixed.example.net TXT "
        "\"v=DMARC1; rua=mailto:a@mixed.example.net,mailto:victim@example.org\"\n"
        "example.com._report._dmarc.web.example.net TXT \"v=DMARC1; rua=https://x.example/\"\n"
        "example.com._report._dmarc.sub.example.net TXT "
        "\"v=DMARC1; rua=mailto:a@x.sub.example.net\"\n"
        "example.com._report._dmarc.many.example.net TXT \"v=spf1 -all\"\n"
        "example.com._report._dmarc.many.example.net TXT \"v=DMARC1\"\n"
        "example.com._report._dmarc.many.example.net TXT \"v=DMARC1; "
        "rua=mailto:b@many.example.net\"\n"
        "example.com._report._dmarc.text.example.net TXT \"DMARC1\"\n"
        "example.com._report._dmarc.wrong.example.net TXT \"v=dmarc1\"\n"
        "example.com._report._dmarc.defect.example.net TXT \"v=DMARC1; p=x; rubbish\"\n"
        "example.com._report._dmarc.fails.example.net TXT timeout\n"
        "example.com._report._dmarc.bogus.example.net TXT bogus\n"
        "example.com._report._dmarc.refuses.example.net TXT refused\n"
        "example.com._report._dmarc.alias.example.net CNAME any._report._dmarc.example.org\n"
        "any._report._dmarc.example.org TXT \"v=DMARC1\"\n";

/* "kind address address" */
static void check(const char *policy_domain, const char *uri_text, enum dmarc_reports reports,
                  enum dmarc_discovery discovery, const char *expected)
{
	struct dns_table table;
	struct arena arena;
	struct mailauth_dns dns;
	struct dmarc_record record;
	struct dmarc_destination destination;
	struct dns_name name;
	struct buf got;
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	arena_init(&arena, MAILAUTH_DNS_ARENA);
	buf_init(&got, 64 * KIB);
	mailauth_dns_init(&dns, &table.resolver, &test_clock, 1000, &arena);
	const char *text = arena_printf(&arena, "v=DMARC1; p=none; rua=%s", uri_text);
	assert_int_equal(dmarc_record_parse(slice_str(text), &arena, &record).code, ERR_OK);
	assert_int_equal(record.rua.n, 1);
	assert_int_equal(dns_name_parse(slice_str(policy_domain), &arena, &name).code, ERR_OK);
	dmarc_destination_check(&dns, name, &record.rua.v[0], reports, discovery, &destination);
	buf_add_str(&got, dmarc_destination_kind_name(destination.kind));
	for (size_t i = 0; i < destination.uris.n; i++) {
		buf_add_byte(&got, ' ');
		assert_true(dmarc_uri_address(&destination.uris.v[i], &got));
	}
	assert_string_equal(buf_cstr(&got), expected);
	assert_true(*destination.why && destination.story.n > 0);
	buf_done(&got);
	arena_done(&arena);
	dns_table_done(&table);
}

static void the_same_organization_needs_no_permission(void **state)
{
	static const struct {
		const char *domain, *uri, *expected;
	} cases[] = {
	        {"example.com", "mailto:a@example.com", "internal <a@example.com>"},
	        {"example.com", "mailto:a@Mail.example.com", "internal <a@mail.example.com>"},
	        {"blue.example.com", "mailto:a@example.com", "internal <a@example.com>"},
	        {"blue.example.com", "mailto:a@red.example.com", "internal <a@red.example.com>"},
	        {"nothing.example", "mailto:a@nothing.example", "internal <a@nothing.example>"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		check(cases[i].domain, cases[i].uri, DMARC_AGGREGATE_REPORTS, DMARC_TREE_WALK,
		      cases[i].expected);
		check(cases[i].domain, cases[i].uri, DMARC_AGGREGATE_REPORTS, DMARC_PUBLIC_SUFFIX,
		      cases[i].expected);
	}
	/* psd=n cuts an organisation in two; the list does not know */
	check("example.com", "mailto:a@own.example.com", DMARC_AGGREGATE_REPORTS, DMARC_TREE_WALK,
	      "refused");
	check("example.com", "mailto:a@own.example.com", DMARC_AGGREGATE_REPORTS,
	      DMARC_PUBLIC_SUFFIX, "internal <a@own.example.com>");
}

static void others_must_allow_it(void **state)
{
	static const struct {
		const char *domain, *uri, *expected;
	} cases[] = {
	        {"blue.example.com", "mailto:reports@red.example.net",
	         "authorized <reports@red.example.net>"},
	        {"example.com", "mailto:auth-reports@thirdparty.example.net",
	         "authorized <auth-reports@thirdparty.example.net>"},
	        {"example.com", "mailto:a@alias.example.net", "authorized <a@alias.example.net>"},
	        {"example.com", "mailto:a@defect.example.net", "authorized <a@defect.example.net>"},
	        {"example.com", "mailto:x@override.example.net",
	         "overridden <aggregate-reports@override.example.net>"},
	        {"example.com", "mailto:a@many.example.net", "overridden <b@many.example.net>"},
	        /* the permission is for one domain */
	        {"example.com", "mailto:reports@red.example.net", "refused"},
	        {"sub.example.com", "mailto:a@thirdparty.example.net", "refused"},
	        {"example.com", "mailto:a@example.net", "refused"},
	        {"example.com", "mailto:a@text.example.net", "refused"},
	        {"example.com", "mailto:a@wrong.example.net", "refused"},
	        /* who points elsewhere gets nothing */
	        {"example.com", "mailto:a@elsewhere.example.net", "refused"},
	        {"example.com", "mailto:a@mixed.example.net", "refused"},
	        {"example.com", "mailto:a@sub.example.net", "refused"},
	        {"example.com", "mailto:a@web.example.net", "refused"},
	        /* failures */
	        {"example.com", "mailto:a@fails.example.net", "temporary"},
	        {"example.com", "mailto:a@bogus.example.net", "temporary"},
	        {"example.com", "mailto:a@refuses.example.net", "refused"},
	        {"down.example.com", "mailto:a@example.net", "temporary"},
	        {"example.com", "mailto:a@down.example.com", "temporary"},
	        {"example.com", "https://example.com/", "unsupported"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].domain, cases[i].uri, DMARC_AGGREGATE_REPORTS, DMARC_TREE_WALK,
		      cases[i].expected);
	check("example.com", "mailto:x@override.example.net", DMARC_FAILURE_REPORTS,
	      DMARC_TREE_WALK, "overridden <failure-reports@override.example.net>");
	/* ruf is not overridden by rua */
	check("example.com", "mailto:a@elsewhere.example.net", DMARC_FAILURE_REPORTS,
	      DMARC_TREE_WALK, "authorized <a@elsewhere.example.net>");
}

static void names_that_do_not_fit_allow_nothing(void **state)
{
	static const char l60[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	char domain[300];
	(void)state;
	snprintf(domain, sizeof(domain), "%s.%s.%s.%s", l60, l60, l60, l60);
	check(domain, "mailto:a@example.net", DMARC_AGGREGATE_REPORTS, DMARC_PUBLIC_SUFFIX,
	      "refused");
}

static void memory_is_bounded(void **state)
{
	size_t n_finished = 0;
	struct dns_table table;
	struct dmarc_uri uri = {.text = SLICE("mailto:x@override.example.net"),
	                        .is_mailto = true,
	                        .local = SLICE("x"),
	                        .host = {"override.example.net"}};
	(void)state;
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	for (size_t budget = 0; budget < 60000; budget += 200) {
		struct arena arena;
		struct mailauth_dns dns;
		struct dmarc_destination destination;
		arena_init(&arena, budget);
		mailauth_dns_init(&dns, &table.resolver, &test_clock, 1000, &arena);
		dmarc_destination_check(&dns, (struct dns_name){"example.com"}, &uri,
		                        DMARC_AGGREGATE_REPORTS, DMARC_TREE_WALK, &destination);
		if (destination.kind == DMARC_DESTINATION_TEMPORARY) {
			assert_int_equal(destination.uris.n, 0);
		} else {
			assert_int_equal(destination.kind, DMARC_DESTINATION_OVERRIDDEN);
			n_finished++;
		}
		arena_done(&arena);
	}
	assert_true(n_finished > 50 && n_finished < 300);
	dns_table_done(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_same_organization_needs_no_permission),
	        cmocka_unit_test(others_must_allow_it),
	        cmocka_unit_test(names_that_do_not_fit_allow_nothing),
	        cmocka_unit_test(memory_is_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
