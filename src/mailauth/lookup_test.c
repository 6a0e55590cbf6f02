/* Evidence: each question is written down, the weakest answer counts, limits end in "temporary". */
#include "mailauth/lookup.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static int64_t now_ms;

static int64_t test_now_us(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static int64_t test_monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return now_ms;
}

static const struct clock test_clock = {test_now_us, test_monotonic_ms};

struct fixture {
	struct dns_table table;
	struct arena arena;
	struct mailauth_dns dns;
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	now_ms = 5000;
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, "safe.example A 192.0.2.1 secure\n"
	                               "open.example A 192.0.2.2\n"
	                               "bad.example A bogus\n"
	                               "down.example A servfail\n"
	                               "gone.example * nxdomain secure\n");
	arena_init(&f->arena, 256 * KIB);
	mailauth_dns_init(&f->dns, &f->table.resolver, &test_clock, 1000, &f->arena);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	arena_done(&f->arena);
	dns_table_done(&f->table);
	base_free(f);
	return 0;
}

static const struct dns_answer *ask(struct fixture *f, const char *name)
{
	struct dns_name parsed;
	assert_int_equal(dns_name_parse(slice_str(name), &f->arena, &parsed).code, ERR_OK);
	return mailauth_lookup(&f->dns, parsed, DNS_TYPE_A);
}

static void the_weakest_counts(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(mailauth_evidence_word(&f->dns.evidence), "none");
	ask(f, "safe.example");
	ask(f, "gone.example");
	assert_string_equal(mailauth_evidence_word(&f->dns.evidence), "secure");
	ask(f, "open.example");
	assert_string_equal(mailauth_evidence_word(&f->dns.evidence), "insecure");
	ask(f, "bad.example");
	assert_string_equal(mailauth_evidence_word(&f->dns.evidence), "bogus");
	struct mailauth_evidence since = mailauth_evidence_since(&f->dns, 2);
	assert_int_equal(since.n, 2);
	since = mailauth_evidence_since(&f->dns, 9);
	assert_string_equal(mailauth_evidence_word(&since), "none");
}

static void evidence_reads_well(void **state)
{
	struct fixture *f = *state;
	struct buf out;
	buf_init(&out, 4096);
	ask(f, "safe.example");
	ask(f, "gone.example");
	ask(f, "down.example");
	mailauth_evidence_print(&f->dns.evidence, &out);
	assert_non_null(strstr(buf_cstr(&out), "safe.example A: 1 record, secure\n"
	                                       "gone.example A: no such name, secure\n"
	                                       "down.example A: failed (temporary), "));
	buf_done(&out);
}

static void past_the_deadline_nothing_is_asked(void **state)
{
	struct fixture *f = *state;
	now_ms = 5999;
	assert_int_equal(ask(f, "safe.example")->outcome, DNS_FOUND);
	now_ms = 6000;
	const struct dns_answer *answer = ask(f, "safe.example");
	assert_int_equal(answer->outcome, DNS_FAILED);
	assert_int_equal(answer->failure, DNS_FAILURE_TEMPORARY);
	assert_int_equal(f->table.n_lookups, 1);
	assert_int_equal(f->dns.evidence.n, 2);
	assert_string_equal(mailauth_evidence_word(&f->dns.evidence), "insecure");
}

static void questions_are_bounded(void **state)
{
	struct fixture *f = *state;
	arena_done(&f->arena);
	arena_init(&f->arena, MAILAUTH_DNS_ARENA);
	for (size_t i = 0; i < MAILAUTH_LOOKUPS_MAX; i++)
		assert_int_equal(ask(f, "safe.example")->outcome, DNS_FOUND);
	assert_int_equal(ask(f, "safe.example")->failure, DNS_FAILURE_TEMPORARY);
	assert_int_equal(f->table.n_lookups, MAILAUTH_LOOKUPS_MAX);
}

static void memory_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct dns_name name;
	assert_int_equal(dns_name_parse(SLICE("safe.example"), &f->arena, &name).code, ERR_OK);
	for (size_t i = 0; i < MAILAUTH_LOOKUPS_MAX && !arena_failed(&f->arena); i++) {
		(void)arena_alloc(&f->arena, 4000);
		mailauth_lookup(&f->dns, name, DNS_TYPE_A);
	}
	assert_true(arena_failed(&f->arena));
	assert_int_equal(mailauth_lookup(&f->dns, name, DNS_TYPE_A)->failure,
	                 DNS_FAILURE_TEMPORARY);
	enum dns_security security;
	f->dns.evidence.truncated = true;
	assert_true(mailauth_evidence_security(&f->dns.evidence, &security));
	assert_int_equal(security, DNS_INSECURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(the_weakest_counts, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(evidence_reads_well, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(past_the_deadline_nothing_is_asked, set_up,
	                                        tear_down),
	        cmocka_unit_test_setup_teardown(questions_are_bounded, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(memory_is_bounded, set_up, tear_down),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
