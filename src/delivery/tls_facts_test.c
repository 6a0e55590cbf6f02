/* Sessions and lookups by the names that TLS reports have for them. */
#include "delivery/tls_facts.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct arena arena;
	struct delivery_tls_facts facts;
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	arena_init(&f->arena, 1024 * KIB);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

static void the_names_are_those_of_the_rfc(void **state)
{
	static const char *const names[] = {"starttls-not-supported", "certificate-host-mismatch",
	                                    "certificate-expired",    "certificate-not-trusted",
	                                    "validation-failure",     "tlsa-invalid",
	                                    "dnssec-invalid",         "dane-required",
	                                    "sts-policy-fetch-error", "sts-policy-invalid",
	                                    "sts-webpki-invalid"};
	(void)state;
	assert_int_equal(N_ELEMENTS(names), DELIVERY_TLS_RESULT_COUNT - 1);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		enum delivery_tls_result result;
		assert_true(delivery_tls_result_parse(slice_str(names[i]), &result));
		assert_string_equal(delivery_tls_result_name(result), names[i]);
	}
	enum delivery_tls_result result;
	assert_false(delivery_tls_result_parse(SLICE("starttls"), &result));
	assert_string_equal(delivery_tls_policy_name(DELIVERY_TLS_POLICY_NONE), "no-policy-found");
	assert_string_equal(delivery_tls_policy_name(DELIVERY_TLS_POLICY_STS), "sts");
	assert_string_equal(delivery_tls_policy_name(DELIVERY_TLS_POLICY_TLSA), "tlsa");
}

/* --- sessions --- */

#define NO_CHECK                                                                                   \
	{                                                                                          \
		.why = "", .code = ""                                                              \
	}
#define GOOD                                                                                       \
	{                                                                                          \
		.made = true, .good = true, .why = "", .code = ""                                  \
	}
#define BAD(f, c)                                                                                  \
	{                                                                                          \
		.made = true, .fault = TLS_FAULT_##f, .why = "why", .code = c                      \
	}

static const struct session_case {
	enum delivery_tls_progress progress;
	struct tls_check pkix, dane;
	const char *why;
	/* "result reason" under each policy; "": a success; NULL: not told */
	const char *sts, *tlsa, *none;
} sessions[] = {
        {DELIVERY_TLS_NOT_CONNECTED, NO_CHECK, NO_CHECK, "", NULL, NULL, NULL},
        {DELIVERY_TLS_DONE, GOOD, GOOD, "", " ", " ", " "},
        {DELIVERY_TLS_NOT_OFFERED, NO_CHECK, NO_CHECK, "no STARTTLS",
         "starttls-not-supported no STARTTLS", "starttls-not-supported no STARTTLS",
         "starttls-not-supported no STARTTLS"},
        {DELIVERY_TLS_NO_HANDSHAKE, NO_CHECK, NO_CHECK, "wrong version number",
         "validation-failure wrong version number", "validation-failure wrong version number",
         "validation-failure wrong version number"},
        {DELIVERY_TLS_DONE, BAD(NAME, "X509_V_ERR_HOSTNAME_MISMATCH"), GOOD, "",
         "certificate-host-mismatch X509_V_ERR_HOSTNAME_MISMATCH", " ", " "},
        {DELIVERY_TLS_DONE, BAD(EXPIRED, "X"), GOOD, "", "certificate-expired X", " ", " "},
        {DELIVERY_TLS_DONE, BAD(UNTRUSTED, "X"), GOOD, "", "certificate-not-trusted X", " ", " "},
        {DELIVERY_TLS_DONE, BAD(OTHER, "X"), GOOD, "", "validation-failure X", " ", " "},
        {DELIVERY_TLS_NO_HANDSHAKE, BAD(UNTRUSTED, "X"), GOOD, "refused",
         "certificate-not-trusted X", " ", "validation-failure refused"},
        {DELIVERY_TLS_NO_HANDSHAKE, GOOD, BAD(NO_MATCH, "X509_V_ERR_DANE_NO_MATCH"), "refused", " ",
         "validation-failure dane-no-match", "validation-failure refused"},
        {DELIVERY_TLS_DONE, GOOD, BAD(NAME, "X"), "", " ", "certificate-host-mismatch X", " "},
        {DELIVERY_TLS_DONE, GOOD, BAD(EXPIRED, "X"), "", " ", "certificate-expired X", " "},
        {DELIVERY_TLS_DONE, GOOD, BAD(UNTRUSTED, "X"), "", " ", "certificate-not-trusted X", " "},
};

static void expect(struct fixture *f, const char *wanted, const char *type, const char *domain)
{
	if (!wanted) {
		assert_int_equal(f->facts.n, 0);
		return;
	}
	assert_int_equal(f->facts.n, 1);
	const struct delivery_tls_fact *fact = &f->facts.v[0];
	char text[700];
	snprintf(text, sizeof(text), "%s %s", delivery_tls_result_name(fact->result), fact->reason);
	assert_string_equal(text, wanted);
	assert_string_equal(delivery_tls_policy_name(fact->policy.type), type);
	assert_string_equal(fact->policy.domain, domain);
	f->facts.n = 0;
}

static const struct tls_tlsa records[] = {{3, 1, 1, {(const uint8_t *)"\x01\xab", 2}},
                                          {2, 0, 1, {(const uint8_t *)"\xff", 1}}};
static const struct tls_tlsa_finding findings[] = {{TLS_TLSA_UNUSABLE, -1, "too short"},
                                                   {TLS_TLSA_UNUSABLE, -1, "too short"}};
static const struct delivery_dane usable = {.state = DELIVERY_DANE_USABLE,
                                            .base = "mx.example",
                                            .tls = {.records = records, .n_records = 2},
                                            .findings = findings};

static void each_session_is_told_under_each_policy(void **state)
{
	struct fixture *f = *state;
	static const char body[] = "version: STSv1\r\nmode: enforce\r\n\r\nmx: *.example\r\n"
	                           "odd\x01line\xff\r\nmax_age: 1";
	static const struct slice mx[] = {{(const uint8_t *)"*.example", 9}};
	const struct mtasts_policy policy = {.mx = mx, .n_mx = 1};
	for (size_t i = 0; i < N_ELEMENTS(sessions); i++) {
		const struct session_case *c = &sessions[i];
		const struct delivery_tls_session session = {
		        .progress = c->progress,
		        .verdict = {.pkix = c->pkix, .dane = c->dane},
		        .why = c->why,
		        .host = "mx.example",
		        .address = "192.0.2.1",
		        .helo = "mx"};
		const struct delivery_tls_policy *sts = delivery_tls_policy_of_sts(
		        "a.example", slice_str(body), &policy, &f->arena);
		assert_int_equal(sts->n_strings, 5);
		assert_string_equal(sts->strings[0], "version: STSv1");
		assert_string_equal(sts->strings[3], "odd?line\xef\xbf\xbd");
		assert_string_equal(sts->strings[4], "max_age: 1");
		assert_string_equal(sts->mx[0], "*.example");
		delivery_tls_add_sts(&f->facts, sts, false, &session, &f->arena);
		expect(f, c->sts, "sts", "a.example");
		delivery_tls_add_dane(&f->facts, &usable, &session, &f->arena);
		if (f->facts.n) {
			assert_int_equal(f->facts.v[0].policy.n_strings, 2);
			assert_string_equal(f->facts.v[0].policy.strings[0], "3 1 1 01ab");
			assert_string_equal(f->facts.v[0].host, "mx.example");
			assert_string_equal(f->facts.v[0].address, "192.0.2.1");
		}
		expect(f, c->tlsa, "tlsa", "mx.example");
		delivery_tls_add_none(&f->facts, "a.example", &session, &f->arena);
		expect(f, c->none, "no-policy-found", "a.example");
	}
}

static void a_host_that_the_policy_does_not_name_is_told_without_a_session(void **state)
{
	struct fixture *f = *state;
	const struct delivery_tls_policy policy = {.type = DELIVERY_TLS_POLICY_STS,
	                                           .domain = "a.example"};
	const struct delivery_tls_session session = {
	        .why = "", .host = "mx.other", .address = "", .helo = ""};
	delivery_tls_add_sts(&f->facts, &policy, true, &session, &f->arena);
	expect(f, "validation-failure mx-mismatch", "sts", "a.example");
	delivery_tls_add_sts(&f->facts, NULL, true, &session, &f->arena);
	assert_int_equal(f->facts.n, 0);
}

static void unusable_records_are_told_of_good_sessions_too(void **state)
{
	struct fixture *f = *state;
	struct delivery_dane dane = usable;
	struct delivery_tls_session session = {.progress = DELIVERY_TLS_DONE,
	                                       .why = "",
	                                       .host = "mx.example",
	                                       .address = "",
	                                       .helo = ""};
	dane.state = DELIVERY_DANE_UNUSABLE;
	delivery_tls_add_dane(&f->facts, &dane, &session, &f->arena);
	expect(f, "tlsa-invalid all-records-unusable: too short", "tlsa", "mx.example");
	session.progress = DELIVERY_TLS_NOT_OFFERED;
	delivery_tls_add_dane(&f->facts, &dane, &session, &f->arena);
	expect(f, "starttls-not-supported ", "tlsa", "mx.example");
	dane.state = DELIVERY_DANE_NONE;
	delivery_tls_add_dane(&f->facts, &dane, &session, &f->arena);
	expect(f, NULL, "", "");
}

/* --- lookups --- */

static void dnssec_is_blamed_for_its_own_failures_only(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum dns_failure failure;
		uint32_t ede_code;
		const char *ede_text;
		const char *reason; /* NULL: not told */
		const char *information;
	} cases[] = {
	        {DNS_FAILURE_AUTHENTICATION, 6, "", "dns-extended-error-6 DNSSEC Bogus",
	         "https://www.rfc-editor.org/rfc/rfc8914.html#section-4.7"},
	        {DNS_FAILURE_AUTHENTICATION, 7, "since May",
	         "dns-extended-error-7 Signature Expired: since May",
	         "https://www.rfc-editor.org/rfc/rfc8914.html#section-4.8"},
	        {DNS_FAILURE_AUTHENTICATION, DNS_NO_EDE, "", "it is forged", ""},
	        {DNS_FAILURE_AUTHENTICATION, 4000, "x", "dns-extended-error-4000: x", ""},
	        {DNS_FAILURE_TEMPORARY, 9, "", "dns-extended-error-9 DNSKEY Missing",
	         "https://www.rfc-editor.org/rfc/rfc8914.html#section-4.10"},
	        {DNS_FAILURE_TEMPORARY, 22, "", NULL, ""}, /* no reachable authority */
	        {DNS_FAILURE_TEMPORARY, DNS_NO_EDE, "", NULL, ""},
	        {DNS_FAILURE_OTHER, 20, "", NULL, ""},
	};
	const struct delivery_tls_session session = {
	        .why = "", .host = "mx.example", .address = "", .helo = ""};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct dns_answer answer = {.outcome = DNS_FAILED,
		                                  .failure = cases[i].failure,
		                                  .ede_code = cases[i].ede_code,
		                                  .ede_text = cases[i].ede_text,
		                                  .why = "it is forged"};
		const struct delivery_dane dane = {
		        .state = DELIVERY_DANE_FAILED, .base = "", .tlsa = &answer};
		delivery_tls_add_dane(&f->facts, &dane, &session, &f->arena);
		bool told = delivery_tls_add_lookup(&f->facts, "a.example", "mx.example", &answer,
		                                    &f->arena);
		assert_int_equal(told, cases[i].reason != NULL);
		assert_int_equal(f->facts.n, cases[i].reason ? 2 : 0);
		for (size_t j = 0; j < f->facts.n; j++) {
			const struct delivery_tls_fact *fact = &f->facts.v[j];
			assert_int_equal(fact->result, DELIVERY_TLS_DNSSEC_INVALID);
			assert_string_equal(fact->reason, cases[i].reason);
			assert_string_equal(fact->information, cases[i].information);
			assert_string_equal(fact->policy.domain, j ? "a.example" : "mx.example");
			assert_string_equal(fact->host, "mx.example");
		}
		f->facts.n = 0;
	}
	const struct dns_answer found = {.outcome = DNS_FOUND, .ede_code = 6, .ede_text = ""};
	assert_false(delivery_tls_add_lookup(&f->facts, "a.example", "", &found, &f->arena));
	assert_int_equal(f->facts.n, 0);
}

static void failed_fetches_are_told_under_the_kept_policy(void **state)
{
	struct fixture *f = *state;
	const struct delivery_tls_policy policy = {.type = DELIVERY_TLS_POLICY_STS,
	                                           .domain = "a.example"};
	delivery_tls_add_fetch(&f->facts, "a.example", &policy, DELIVERY_TLS_STS_WEBPKI_INVALID,
	                       "expired", &f->arena);
	expect(f, "sts-webpki-invalid expired", "sts", "a.example");
	delivery_tls_add_fetch(&f->facts, "a.example", NULL, DELIVERY_TLS_STS_POLICY_FETCH_ERROR,
	                       "status 404", &f->arena);
	expect(f, "sts-policy-fetch-error status 404", "no-policy-found", "a.example");
	delivery_tls_add_fetch(&f->facts, "a.example", NULL, DELIVERY_TLS_SUCCESS, "", &f->arena);
	assert_int_equal(f->facts.n, 0);
}

static void everything_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct buf text;
	const struct delivery_tls_session session = {
	        .progress = DELIVERY_TLS_DONE, .why = "", .host = "", .address = "", .helo = ""};
	for (unsigned i = 0; i < 3 * DELIVERY_TLS_FACTS_MAX; i++)
		delivery_tls_add_none(&f->facts, "a.example", &session, &f->arena);
	assert_int_equal(f->facts.n, DELIVERY_TLS_FACTS_MAX);
	buf_init(&text, MTASTS_POLICY_MAX);
	while (text.n < MTASTS_POLICY_MAX)
		buf_add_byte(&text, text.n % 7 && text.n < 10000 ? 'x'
		                    : text.n < 10000             ? '\n'
		                                                 : 'y');
	const struct delivery_tls_policy *policy =
	        delivery_tls_policy_of_sts("a", buf_slice(&text), NULL, &f->arena);
	assert_int_equal(policy->n_strings, DELIVERY_TLS_STRINGS_MAX);
	policy = delivery_tls_policy_of_sts("a", slice_from(buf_slice(&text), 10001), NULL,
	                                    &f->arena);
	assert_int_equal(policy->n_strings, 1);
	assert_int_equal(strlen(policy->strings[0]), DELIVERY_TLS_STRING_MAX);
	f->facts.n = 0;
	delivery_tls_add_fetch(&f->facts, "a", NULL, DELIVERY_TLS_STS_POLICY_INVALID,
	                       buf_cstr(&text), &f->arena);
	assert_int_equal(strlen(f->facts.v[0].reason), DELIVERY_TLS_TEXT_MAX);
	for (size_t budget = 0; budget < 5000; budget += 50) {
		struct arena arena;
		arena_init(&arena, budget);
		delivery_tls_add_dane(&f->facts, &usable, &session, &arena);
		(void)delivery_tls_policy_of_sts("a", buf_slice(&text), NULL, &arena);
		arena_done(&arena);
	}
	buf_done(&text);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_names_are_those_of_the_rfc),
	        WITH_FIXTURE(each_session_is_told_under_each_policy),
	        WITH_FIXTURE(a_host_that_the_policy_does_not_name_is_told_without_a_session),
	        WITH_FIXTURE(unusable_records_are_told_of_good_sessions_too),
	        WITH_FIXTURE(dnssec_is_blamed_for_its_own_failures_only),
	        WITH_FIXTURE(failed_fetches_are_told_under_the_kept_policy),
	        WITH_FIXTURE(everything_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
