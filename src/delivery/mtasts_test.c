/* Records and policies of MTA-STS: what is understood, and everything else. */
#include "delivery/mtasts.h"

#include "delivery/fields.h"
#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ID32 "0123456789abcdefABCDEF0123456789"

static const struct record_case {
	const char *text;
	const char *id; /* NULL: refused */
} records[] = {
        {"v=STSv1; id=20160831085700Z;", "20160831085700Z"},
        {"v=STSv1;id=1", "1"},
        {"v=STSv1 \t;\t id=1 ; ", "1"},
        {"v=STSv1; id=" ID32, ID32},
        {"v=STSv1; other=x; id=a;", "a"},
        {"v=STSv1; id=a; id=b", "a"},
        {"v=STSv1; id=a; x.y-z_0=!#$%&'()*+,-./:<>?@[]^_`{|}~", "a"},
        {"v=STSv1; 0=x; id=a", "a"},
        {"", NULL},
        {"v=STSv1", NULL},
        {"v=STSv1;", NULL},
        {"v=STSv1; ;", NULL},
        {"v=STSv1; id=1;;", NULL},
        {"v=STSv1; id=1; ;", NULL},
        {"v=STSv1; ID=1", NULL},
        {"v=stsv1; id=1", NULL},
        {" v=STSv1; id=1", NULL},
        {"v=STSv2; id=1", NULL},
        {"v=STSv1 id=1", NULL},
        {"v = STSv1; id=1", NULL},
        {"id=1; v=STSv1", NULL},
        {"v=STSv1; id=", NULL},
        {"v=STSv1; id = 1", NULL},
        {"v=STSv1; id= 1", NULL},
        {"v=STSv1; id=1 2", NULL},
        {"v=STSv1; id=1_2", NULL},
        {"v=STSv1; id=\xc3\xa9", NULL},
        {"v=STSv1; id=" ID32 "0", NULL},
        {"v=STSv1; id=a; id=b c", NULL},
        {"v=STSv1; id=1; x=", NULL},
        {"v=STSv1; id=1; x", NULL},
        {"v=STSv1; id=1; =x", NULL},
        {"v=STSv1; id=1; x=a=b", NULL},
        {"v=STSv1; id=1; x=a b", NULL},
        {"v=STSv1; id=1; x=\x7f", NULL},
        {"v=STSv1; id=1; -x=y", NULL},
        {"v=STSv1; id=1; " ID32 "x=y", NULL},
        {"v=STSv1; id=1\n", NULL},
        {"v=STSv1\r\n; id=1", NULL},
};

static void records_have_a_version_and_an_id(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(records); i++) {
		struct mtasts_record record;
		struct status status = mtasts_record_parse(slice_str(records[i].text), &record);
		if (is_ok(status) != (records[i].id != NULL))
			print_message("record %zu: [%s] %s\n", i, records[i].text, status.why);
		assert_int_equal(is_ok(status), records[i].id != NULL);
		assert_true(is_ok(status) || status.code == ERR_SYNTAX);
		if (is_ok(status))
			assert_string_equal(record.id, records[i].id);
	}
	struct mtasts_record record;
	assert_int_equal(mtasts_record_parse(SLICE("v=STSv1; id=1\0"), &record).code, ERR_SYNTAX);
	struct buf text;
	buf_init(&text, 10000);
	buf_add_str(&text, "v=STSv1; id=1; x=");
	while (text.n <= DELIVERY_RECORD_MAX)
		buf_add_byte(&text, 'y');
	assert_int_equal(mtasts_record_parse(buf_slice(&text), &record).code, ERR_LIMIT);
	buf_done(&text);
}

static void a_printed_record_is_read_again(void **state)
{
	struct mtasts_record record, again;
	struct buf text;
	(void)state;
	buf_init(&text, 100);
	assert_true(is_ok(mtasts_record_parse(SLICE("v=STSv1;id=abc;x=y"), &record)));
	mtasts_record_print(&record, &text);
	assert_string_equal(buf_cstr(&text), "v=STSv1; id=abc;");
	assert_true(is_ok(mtasts_record_parse(buf_slice(&text), &again)));
	assert_string_equal(again.id, "abc");
	buf_done(&text);
}

/* --- looking it up --- */

static const char facts[] = "_mta-sts.good.example TXT \"v=STSv1; id=1;\" secure\n"
                            "_mta-sts.plain.example TXT \"v=STSv1; id=2;\"\n"
                            "_mta-sts.parts.example TXT \"v=STS\" \"v1; i\" \"d=3;\"\n"
                            "_mta-sts.mixed.example TXT \"hello\"\n"
                            "_mta-sts.mixed.example TXT \"v=STSv1; id=4\"\n"
                            "_mta-sts.mixed.example TXT \"v=STSv1\"\n"
                            "_mta-sts.mixed.example TXT \"v=STSv12; id=9\"\n"
                            "_mta-sts.mixed.example TXT \"v=STSv1 ; id=9\"\n"
                            "_mta-sts.alias.example CNAME _mta-sts.good.example\n"
                            "_mta-sts.two.example TXT \"v=STSv1; id=1;\"\n"
                            "_mta-sts.two.example TXT \"v=STSv1; id=2;\"\n"
                            "_mta-sts.broken.example TXT \"v=STSv1; id=1_2;\"\n"
                            "_mta-sts.onebroken.example TXT \"v=STSv1; id=1;\"\n"
                            "_mta-sts.onebroken.example TXT \"v=STSv1; broken\"\n"
                            "_mta-sts.other.example TXT \"v=spf1 -all\"\n"
                            "_mta-sts.fails.example TXT servfail\n"
                            "_mta-sts.bogus.example TXT bogus\n"
                            "sub.parent.example A 192.0.2.1\n"
                            "_mta-sts.parent.example TXT \"v=STSv1; id=1;\"\n";

static const struct lookup_case {
	const char *domain;
	enum mtasts_announcement announcement;
	const char *id, *why;
} lookups[] = {
        {"good.example", MTASTS_ANNOUNCED, "1", "a record at _mta-sts.good.example (secure)"},
        {"Good.Example.", MTASTS_ANNOUNCED, "1", "(secure)"},
        {"plain.example", MTASTS_ANNOUNCED, "2", "(insecure)"},
        {"parts.example", MTASTS_ANNOUNCED, "3", ""},
        {"mixed.example", MTASTS_ANNOUNCED, "4", ""},
        {"alias.example", MTASTS_ANNOUNCED, "1", "(insecure)"},
        {"two.example", MTASTS_ABSENT, "", "2 records at"},
        {"broken.example", MTASTS_ABSENT, "", "malformed: the id is"},
        {"onebroken.example", MTASTS_ABSENT, "", "2 records at"},
        {"other.example", MTASTS_ABSENT, "", "no record at"},
        {"none.example", MTASTS_ABSENT, "", "no record at _mta-sts.none.example"},
        {"sub.parent.example", MTASTS_ABSENT, "", "no record at"}, /* RFC 8461 section 3.4 */
        {"[192.0.2.1]", MTASTS_ABSENT, "", "no record for such a domain"},
        {"a..b", MTASTS_ABSENT, "", "no record for such a domain"},
        {"fails.example", MTASTS_UNKNOWN, "", "cannot be looked up: server answered SERVFAIL"},
        {"bogus.example", MTASTS_UNKNOWN, "", "cannot be looked up: DNSSEC"},
};

static void each_domain_announces_its_policy_or_none(void **state)
{
	struct dns_table table;
	struct arena arena;
	(void)state;
	dns_table_init(&table);
	dns_table_add_lines(&table, facts);
	arena_init(&arena, 1024 * KIB);
	for (size_t i = 0; i < N_ELEMENTS(lookups); i++) {
		const struct lookup_case *c = &lookups[i];
		struct mtasts_lookup lookup;
		assert_true(is_ok(
		        mtasts_lookup(&table.resolver, slice_str(c->domain), 0, &arena, &lookup)));
		if (lookup.announcement != c->announcement || !strstr(lookup.why, c->why))
			print_message("%s: %d %s\n", c->domain, lookup.announcement, lookup.why);
		assert_int_equal(lookup.announcement, c->announcement);
		assert_string_equal(lookup.record.id, c->id);
		assert_non_null(strstr(lookup.why, c->why));
		arena_reset(&arena);
	}
	for (size_t budget = 0; budget < 4000; budget += 16) {
		struct arena small;
		struct mtasts_lookup lookup;
		arena_init(&small, budget);
		struct status status =
		        mtasts_lookup(&table.resolver, SLICE("broken.example"), 0, &small, &lookup);
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
		arena_done(&small);
	}
	dns_table_done(&table);
	arena_done(&arena);
}

/* --- policies --- */

#define HEAD "version: STSv1\r\n"
#define AGE  "max_age: 604800\r\n"

static const struct policy_case {
	const char *body;
	const char *printed; /* "mode max_age mx..."; NULL: refused */
} policies[] = {
        {HEAD "mode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n" AGE,
         "enforce 604800 mail.example.com *.example.net"},
        {"version: STSv1\nmode: testing\nmx: a.example\nmax_age: 1", "testing 1 a.example"},
        {"max_age: 0\nmx:a.example\nmode:enforce\nversion:STSv1\n", "enforce 0 a.example"},
        {HEAD "mode: none\r\n" AGE, "none 604800"},
        {HEAD "mode: none\r\nmx: a.example\r\n" AGE, "none 604800 a.example"},
        {"version:\t STSv1 \t\r\nmode:   enforce\t\r\nmx:\t*.EXAMPLE.org \r\nmax_age:1 \r\n",
         "enforce 1 *.example.org"},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age: 31557600\r\n",
         "enforce 31557600 a.example"},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age: 31557601\r\n",
         "enforce 31557600 a.example"},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age: 9999999999\r\n",
         "enforce 31557600 a.example"},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age: 0000000001\r\n", "enforce 1 a.example"},
        /* repeated: the first counts, even before something malformed */
        {HEAD "version: STSv2\r\nmode: enforce\r\nmode: what\r\nmx: a.example\r\nmax_age: "
              "5\r\nmax_age: x\r\n",
         "enforce 5 a.example"},
        {HEAD "mode: enforce\nmx: a.example\nmx: a.example\n" AGE,
         "enforce 604800 a.example a.example"},
        /* unknown fields, empty lines */
        {HEAD "mode: enforce\r\nx-new: b\xc3\xbc"
              "cher and more\r\nmx: a.example\r\n0.a_b-c: =;:\r\n" AGE,
         "enforce 604800 a.example"},
        {"\r\n\n" HEAD "\r\nmode: enforce\r\n  \t\r\nmx: a.example\r\n" AGE "\r\n\r\n\n",
         "enforce 604800 a.example"},
        {HEAD "mode: enforce\r\nmx: xn--bcher-kva.example\r\n" AGE,
         "enforce 604800 xn--bcher-kva.example"},
        {HEAD "mode: enforce\r\nmx: a\r\n" AGE, "enforce 604800 a"},
        /* missing */
        {"", NULL},
        {"\r\n", NULL},
        {HEAD, NULL},
        {"mode: enforce\r\nmx: a.example\r\n" AGE, NULL},
        {HEAD "mx: a.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\n", NULL},
        {HEAD "mode: enforce\r\n" AGE, NULL},
        {HEAD "mode: testing\r\n" AGE, NULL},
        /* wrong values */
        {"version: STSv2\r\nmode: enforce\r\nmx: a.example\r\n" AGE, NULL},
        {"version: stsv1\r\nmode: enforce\r\nmx: a.example\r\n" AGE, NULL},
        {"Version: STSv1\r\nmode: enforce\r\nmx: a.example\r\n" AGE, NULL},
        {HEAD "mode: Enforce\r\nmx: a.example\r\n" AGE, NULL},
        {HEAD "mode: enforced\r\nmx: a.example\r\n" AGE, NULL},
        {HEAD "mode:\r\nmx: a.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age: -1\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age: 1d\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age: 1 0\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age:\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\nmax_age: 00000000001\r\n", NULL},
        /* patterns */
        {HEAD "mode: enforce\r\nmx: *\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: *.\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: *.*.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a.*.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: m*.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: *example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: .example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a..example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a.example.\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: -a.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a-.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a_b.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: [192.0.2.1]\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: b\xc3\xbc"
              "cher.example\r\n" AGE,
         NULL},
        {HEAD "mode: enforce\r\nmx: a.example, b.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a.example b.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx:\r\n" AGE, NULL},
        {HEAD "mode: none\r\nmx: *\r\n" AGE, NULL},
        /* lines */
        {"version: STSv1\rmode: enforce\rmx: a.example\rmax_age: 1\r", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\n" AGE "junk\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\n" AGE ": x\r\n", NULL},
        {HEAD "mode : enforce\r\nmx: a.example\r\n" AGE, NULL},
        {HEAD " mode: enforce\r\nmx: a.example\r\n" AGE, NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\n" AGE "-x: y\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\n" AGE "x:\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\n" AGE "x: \x01\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\n" AGE "x: \xff\r\n", NULL},
        {HEAD "mode: enforce\r\nmx: a.example\r\n" AGE "a23456789012345678901234567890123: x\r\n",
         NULL},
        {"<html><body>version: STSv1</body></html>", NULL},
        {"\xef\xbb\xbf" HEAD "mode: enforce\r\nmx: a.example\r\n" AGE, NULL},
};

static void print_policy(const struct mtasts_policy *policy, struct buf *out)
{
	buf_reset(out);
	buf_printf(out, "%s %u", mtasts_mode_name(policy->mode), policy->max_age_s);
	for (size_t i = 0; i < policy->n_mx; i++)
		buf_printf(out, " %.*s", SLICE_FMT(policy->mx[i]));
}

static void policies_are_read_by_the_grammar(void **state)
{
	struct arena arena;
	struct buf text;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	buf_init(&text, 100000);
	for (size_t i = 0; i < N_ELEMENTS(policies); i++) {
		const struct policy_case *c = &policies[i];
		struct mtasts_policy policy, again;
		struct status status = mtasts_policy_parse(slice_str(c->body), &arena, &policy);
		if (is_ok(status) != (c->printed != NULL))
			print_message("policy %zu: [%s] %s\n", i, c->body, status.why);
		assert_int_equal(is_ok(status), c->printed != NULL);
		assert_true(is_ok(status) || status.code == ERR_SYNTAX);
		if (!is_ok(status))
			continue;
		print_policy(&policy, &text);
		assert_string_equal(buf_cstr(&text), c->printed);
		buf_reset(&text);
		mtasts_policy_print(&policy, &text);
		assert_true(is_ok(mtasts_policy_parse(buf_slice(&text), &arena, &again)));
		print_policy(&again, &text);
		assert_string_equal(buf_cstr(&text), c->printed);
		arena_reset(&arena);
	}
	struct mtasts_policy policy;
	assert_int_equal(mtasts_policy_parse(SLICE("version: STSv1\0\nmode: none\nmax_age: 1\n"),
	                                     &arena, &policy)
	                         .code,
	                 ERR_SYNTAX);
	arena_done(&arena);
	buf_done(&text);
}

static void fill(struct buf *text, const char *with, size_t n)
{
	buf_reset(text);
	buf_add_str(text, "version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.example\n");
	while (text->n + strlen(with) <= n)
		buf_add_str(text, with);
}

static void large_policies_are_bounded(void **state)
{
	struct arena arena;
	struct mtasts_policy policy;
	struct buf text;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	buf_init(&text, 10 * MTASTS_POLICY_MAX);
	fill(&text, "x", MTASTS_POLICY_MAX); /* one endless line */
	assert_int_equal(mtasts_policy_parse(buf_slice(&text), &arena, &policy).code, ERR_SYNTAX);
	fill(&text, "x: ", 80);
	fill(&text, "x", MTASTS_POLICY_MAX);
	text.p[60] = ':';
	text.p[55] = 'y';
	struct status status = mtasts_policy_parse(buf_slice(&text), &arena, &policy);
	assert_true(is_ok(status)); /* one endless line, and a field */
	buf_add_byte(&text, 'x');
	assert_int_equal(mtasts_policy_parse(buf_slice(&text), &arena, &policy).code, ERR_LIMIT);
	fill(&text, "mx: a.example\n", MTASTS_POLICY_MAX);
	assert_int_equal(mtasts_policy_parse(buf_slice(&text), &arena, &policy).code, ERR_LIMIT);
	fill(&text, "\n", MTASTS_POLICY_MAX);
	assert_int_equal(mtasts_policy_parse(buf_slice(&text), &arena, &policy).code, ERR_LIMIT);
	fill(&text, "mx: a.example\n", 60 + 14 * (MTASTS_MX_MAX - 1));
	assert_true(is_ok(mtasts_policy_parse(buf_slice(&text), &arena, &policy)));
	assert_true(policy.n_mx > 490 && policy.n_mx <= MTASTS_MX_MAX);
	arena_done(&arena);
	arena_init(&arena, 100);
	assert_int_equal(mtasts_policy_parse(buf_slice(&text), &arena, &policy).code, ERR_LIMIT);
	arena_done(&arena);
	buf_done(&text);
}

static void patterns_name_hosts(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool matches;
	} cases[] = {
	        {"mail.example.com", "mail.example.com", true},
	        {"mail.example.com", "MAIL.Example.COM", true},
	        {"MAIL.Example.COM", "mail.example.com", true},
	        {"mail.example.com", "mail.example.com.", true},
	        {"*.example.com", "mail.example.com", true},
	        {"*.example.com", "Mail.EXAMPLE.com.", true},
	        {"*.example.com", "example.com", false},
	        {"*.example.com", "foo.bar.example.com", false},
	        {"*.example.com", ".example.com", false},
	        {"*.example.com", "mail.example.com.evil.example", false},
	        {"*.example.com", "mailexample.com", false},
	        {"mail.example.com", "xmail.example.com", false},
	        {"mail.example.com", "mail.example.co", false},
	        {"mail.example.com", "", false},
	        {"mail.example.com", ".", false},
	        {"*.com", "example.com", true},
	        {"*.com", "com", false},
	};
	struct arena arena;
	struct buf text;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	buf_init(&text, 1000);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct mtasts_policy policy;
		buf_reset(&text);
		buf_printf(&text,
		           "version: STSv1\nmode: enforce\nmax_age: 1\nmx: x.example\nmx: %s\n",
		           cases[i].pattern);
		assert_true(is_ok(mtasts_policy_parse(buf_slice(&text), &arena, &policy)));
		assert_int_equal(mtasts_policy_matches(&policy, slice_str(cases[i].host)),
		                 cases[i].matches);
	}
	const struct mtasts_policy none = {.mode = MTASTS_MODE_NONE};
	assert_false(mtasts_policy_matches(&none, SLICE("mail.example.com")));
	arena_done(&arena);
	buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(records_have_a_version_and_an_id),
	        cmocka_unit_test(a_printed_record_is_read_again),
	        cmocka_unit_test(each_domain_announces_its_policy_or_none),
	        cmocka_unit_test(policies_are_read_by_the_grammar),
	        cmocka_unit_test(large_policies_are_bounded),
	        cmocka_unit_test(patterns_name_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
