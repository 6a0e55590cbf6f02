/* What domains publish, from configurations; and that our own readers understand it. */
#include "setup/published.h"

#include "base/arena.h"
#include "delivery/mtasts.h"
#include "delivery/tlsrpt.h"
#include "mailauth/dmarc_record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SERVER                                                                                     \
	"hostname: mail.b\xc3\xbc"                                                                 \
	"cher.example\n"                                                                           \
	"postmaster: me\n"                                                                         \
	"listeners: {public: {addresses: [192.0.2.1], smtp: {}}}\n"
#define ACCOUNT "accounts: {me: {addresses: [me@example.org]}}\n"

struct fixture {
	struct arena arena;
	struct config *config;
	const struct config_domain *domain;
	struct buf out;
};

static void load(struct fixture *f, const char *settings)
{
	struct config_problems problems;
	char domains[4000];
	snprintf(domains, sizeof(domains), "domains:\n  example.org: {%s}\n" ACCOUNT, settings);
	arena_init(&f->arena, CONFIG_ARENA_MAX);
	buf_init(&f->out, PUBLISHED_MAX);
	config_problems_init(&problems);
	const struct config_sources sources = {
	        .directory = "/etc/mailkeep",
	        .text = {[CONFIG_SERVER] = SLICE(SERVER), [CONFIG_DOMAINS] = slice_str(domains)},
	};
	struct status status = config_parse(&sources, &f->arena, &f->config, &problems);
	for (size_t i = 0; i < problems.n; i++)
		print_message("%s\n", problems.v[i].what);
	assert_int_equal(status.code, ERR_OK);
	config_problems_done(&problems);
	f->domain = config_domain_find(f->config, SLICE("example.org"));
	assert_non_null(f->domain);
}

static void unload(struct fixture *f)
{
	buf_done(&f->out);
	arena_done(&f->arena);
}

/* ---- what is printed ---- */

static void test_policies(void **state)
{
	static const struct {
		const char *settings, *policy;
	} cases[] = {
	        {"mta_sts: {mode: enforce}", "version: STSv1\r\nmode: enforce\r\n"
	                                     "mx: mail.xn--bcher-kva.example\r\n"
	                                     "max_age: 2419200\r\n"},
	        {"mta_sts: {mode: testing, max_age: 1d, mx: [MX.Example.org, '*.b\xc3\xbc"
	         "cher.example']}",
	         "version: STSv1\r\nmode: testing\r\nmx: mx.example.org\r\n"
	         "mx: *.xn--bcher-kva.example\r\nmax_age: 86400\r\n"},
	        {"mta_sts: {mode: none, mx: [mx.example.org]}",
	         "version: STSv1\r\nmode: none\r\nmax_age: 2419200\r\n"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		struct mtasts_policy policy;
		load(&f, cases[i].settings);
		assert_int_equal(published_mtasts_policy(f.config, f.domain, &f.out).code, ERR_OK);
		assert_string_equal(buf_cstr(&f.out), cases[i].policy);
		assert_int_equal(mtasts_policy_parse(buf_slice(&f.out), &f.arena, &policy).code,
		                 ERR_OK);
		unload(&f);
	}
}

static void test_ids_follow_policies(void **state)
{
	static const char *const settings[] = {"mta_sts: {mode: enforce}",
	                                       "mta_sts: {mode: testing}",
	                                       "mta_sts: {mode: enforce, max_age: 1d}",
	                                       "mta_sts: {mode: enforce, mx: [mx.example.org]}"};
	char ids[N_ELEMENTS(settings)][MTASTS_ID_MAX + 1];
	(void)state;
	for (unsigned again = 0; again < 2; again++)
		for (size_t i = 0; i < N_ELEMENTS(settings); i++) {
			struct fixture f;
			struct mtasts_record record;
			load(&f, settings[i]);
			assert_int_equal(published_mtasts_record(f.config, f.domain, &f.out).code,
			                 ERR_OK);
			assert_int_equal(mtasts_record_parse(buf_slice(&f.out), &record).code,
			                 ERR_OK);
			if (again)
				assert_string_equal(record.id, ids[i]);
			snprintf(ids[i], sizeof(ids[i]), "%s", record.id);
			for (size_t j = 0; j < i; j++)
				assert_string_not_equal(ids[i], ids[j]);
			unload(&f);
		}
}

static void test_report_records(void **state)
{
	static const struct {
		const char *settings, *tlsrpt, *dmarc;
	} cases[] = {
	        {"tls_reports: [tls@example.org], dmarc: {policy: none}",
	         "v=TLSRPTv1; rua=mailto:tls@example.org", "v=DMARC1; p=none"},
	        {"tls_reports: [a+b=c@b\xc3\xbc"
	         "cher.example, 'https://r.example/in?x=1'], dmarc: {policy: quarantine, reports: "
	         "[a!b@example.org, \xc3\xbc@example.net]}",
	         "v=TLSRPTv1; rua=mailto:a+b%3Dc@xn--bcher-kva.example,https://r.example/in?x=1",
	         "v=DMARC1; p=quarantine; rua=mailto:a%21b@example.org,mailto:%C3%BC@example.net"},
	        {"tls_reports: ['x%y@example.org'], dmarc: {policy: reject, reports: "
	         "[dmarc@example.org]}",
	         "v=TLSRPTv1; rua=mailto:x%25y@example.org",
	         "v=DMARC1; p=reject; rua=mailto:dmarc@example.org"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		struct tlsrpt_record tlsrpt;
		struct dmarc_record dmarc;
		load(&f, cases[i].settings);
		assert_int_equal(published_tlsrpt_record(f.domain, &f.out).code, ERR_OK);
		assert_string_equal(buf_cstr(&f.out), cases[i].tlsrpt);
		assert_int_equal(tlsrpt_record_parse(buf_slice(&f.out), &f.arena, &tlsrpt).code,
		                 ERR_OK);
		for (size_t k = 0; k < tlsrpt.n; k++)
			assert_int_not_equal(tlsrpt.rua[k].kind, TLSRPT_URI_OTHER);
		assert_int_equal(tlsrpt.n, f.domain->tls_reports.n);
		buf_reset(&f.out);
		assert_int_equal(published_dmarc_record(f.domain, &f.out).code, ERR_OK);
		assert_string_equal(buf_cstr(&f.out), cases[i].dmarc);
		assert_int_equal(dmarc_record_parse(buf_slice(&f.out), &f.arena, &dmarc).code,
		                 ERR_OK);
		assert_int_equal(dmarc.n_defects, 0);
		assert_int_equal(dmarc.rua.n, f.domain->dmarc.reports.n);
		unload(&f);
	}
}

/* ---- what is not ---- */

static void test_nothing_to_publish(void **state)
{
	struct fixture f;
	(void)state;
	load(&f, "");
	assert_int_equal(published_mtasts_policy(f.config, f.domain, &f.out).code, ERR_NOT_FOUND);
	assert_int_equal(published_mtasts_record(f.config, f.domain, &f.out).code, ERR_NOT_FOUND);
	assert_int_equal(published_tlsrpt_record(f.domain, &f.out).code, ERR_NOT_FOUND);
	assert_int_equal(published_dmarc_record(f.domain, &f.out).code, ERR_NOT_FOUND);
	assert_int_equal(f.out.n, 0);
	unload(&f);
}

static void test_a_text_that_is_too_long(void **state)
{
	struct fixture f;
	struct buf small;
	(void)state;
	load(&f, "mta_sts: {mode: enforce}, tls_reports: [tls@example.org], dmarc: {policy: none}");
	buf_init(&small, 10);
	assert_int_equal(published_mtasts_policy(f.config, f.domain, &small).code, ERR_LIMIT);
	buf_done(&small);
	buf_init(&small, 10);
	assert_int_equal(published_tlsrpt_record(f.domain, &small).code, ERR_LIMIT);
	buf_done(&small);
	unload(&f);
}

static void test_settings_that_are_refused(void **state)
{
	static const char *const settings[] = {
	        "mta_sts: {mode: yes}",
	        "mta_sts: {mx: ['*']}",
	        "mta_sts: {mx: ['*.*.example.org']}",
	        "mta_sts: {mx: ['mx.*.example.org']}",
	        "mta_sts: {mx: [192.0.2.1]}",
	        "mta_sts: {max_age: 10s}",
	        "mta_sts: {max_age: 400d}",
	        "tls_reports: ['http://r.example/']",
	        "tls_reports: ['https://']",
	        "tls_reports: ['https://r.example/a,b']",
	        "tls_reports: ['https://r.example/a;b']",
	        "tls_reports: ['https://r.example/a b']",
	        "tls_reports: ['https://r.example/a!b']",
	        "tls_reports: ['mailto:a@example.org']",
	        "tls_reports: [example.org]",
	        "dmarc: {policy: strict}",
	        "dmarc: {reports: ['https://r.example/']}",
	        "dmarc: {reports: ['@example.org']}",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(settings); i++) {
		char domains[4000];
		struct config_problems problems;
		struct config *config;
		struct arena arena;
		snprintf(domains, sizeof(domains), "domains:\n  example.org: {%s}\n" ACCOUNT,
		         settings[i]);
		arena_init(&arena, CONFIG_ARENA_MAX);
		config_problems_init(&problems);
		const struct config_sources sources = {
		        .directory = "/etc/mailkeep",
		        .text = {[CONFIG_SERVER] = SLICE(SERVER),
		                 [CONFIG_DOMAINS] = slice_str(domains)},
		};
		if (is_ok(config_parse(&sources, &arena, &config, &problems)))
			fail_msg("taken: %s", settings[i]);
		config_problems_done(&problems);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_policies),
	        cmocka_unit_test(test_ids_follow_policies),
	        cmocka_unit_test(test_report_records),
	        cmocka_unit_test(test_nothing_to_publish),
	        cmocka_unit_test(test_a_text_that_is_too_long),
	        cmocka_unit_test(test_settings_that_are_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
