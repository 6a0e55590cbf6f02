/* What Authentication-Results says of DMARC and iprev. */
#include "mailauth/authres_checks.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static void check(struct authres_result result, const char *expected)
{
	struct authres authres = {.id = SLICE("mx.example"), .results = &result, .n_results = 1};
	struct buf out;
	buf_init(&out, 64 * KIB);
	assert_int_equal(authres_print(&authres, "A", 0, &out).code, ERR_OK);
	assert_string_equal(buf_cstr(&out), expected);
	buf_done(&out);
}

static const struct mailauth_evidence_item secure = {.security = DNS_SECURE};

static void dmarc_is_stated(void **state)
{
	struct authres_result stated;
	struct arena arena;
	struct dmarc_result result = {.result = MAILAUTH_PASS,
	                              .why = "x",
	                              .has_author = true,
	                              .found = {.author = {"xn--bcher-kva.example"}},
	                              .evidence = {&secure, 1, false}};
	(void)state;
	arena_init(&arena, 16 * KIB);
	assert_int_equal(authres_of_dmarc(&result, &arena, &stated).code, ERR_OK);
	check(stated,
	      "A: mx.example; dmarc=pass (dnssec secure) header.from=xn--bcher-kva.example\r\n"
	      " policy.dmarc=none\r\n");
	result.result = MAILAUTH_FAIL;
	result.policy = DMARC_QUARANTINE;
	assert_int_equal(authres_of_dmarc(&result, &arena, &stated).code, ERR_OK);
	check(stated,
	      "A: mx.example; dmarc=fail (dnssec secure) header.from=xn--bcher-kva.example\r\n"
	      " policy.dmarc=quarantine\r\n");
	result.result = MAILAUTH_NONE;
	assert_int_equal(authres_of_dmarc(&result, &arena, &stated).code, ERR_OK);
	check(stated,
	      "A: mx.example; dmarc=none (dnssec secure) header.from=xn--bcher-kva.example\r\n");
	result.result = MAILAUTH_TEMPERROR;
	result.why = "the lookup of _dmarc.a failed";
	assert_int_equal(authres_of_dmarc(&result, &arena, &stated).code, ERR_OK);
	check(stated,
	      "A: mx.example; dmarc=temperror (dnssec secure) reason=\"the lookup of _dmarc.a\r\n"
	      " failed\" header.from=xn--bcher-kva.example\r\n");
	/* no author domain: nothing was authenticated */
	result.result = MAILAUTH_PERMERROR;
	result.why = "several";
	result.has_author = false;
	result.evidence.n = 0;
	assert_int_equal(authres_of_dmarc(&result, &arena, &stated).code, ERR_OK);
	check(stated, "A: mx.example; dmarc=permerror (dnssec none) reason=\"several\"\r\n");
	arena_done(&arena);
	arena_init(&arena, 8);
	assert_int_equal(authres_of_dmarc(&result, &arena, &stated).code, ERR_LIMIT);
	arena_done(&arena);
}

static void iprev_is_stated(void **state)
{
	static const uint8_t v4[4] = {192, 0, 2, 1};
	static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	static const uint8_t mapped[16] = {
	        [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1};
	static const struct {
		struct slice address;
		const char *expected;
	} cases[] = {
	        {{v4, 4}, "A: mx.example; iprev=pass (dnssec secure) policy.iprev=192.0.2.1\r\n"},
	        {{mapped, 16},
	         "A: mx.example; iprev=pass (dnssec secure) policy.iprev=192.0.2.1\r\n"},
	        {{v6, 16},
	         "A: mx.example; iprev=pass (dnssec secure) policy.iprev=\"2001:db8::1\"\r\n"},
	        {{v6, 5}, "A: mx.example; iprev=pass (dnssec secure)\r\n"},
	};
	struct iprev_result result = {.result = MAILAUTH_PASS, .evidence = {&secure, 1, false}};
	struct authres_result stated;
	struct arena arena;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		arena_init(&arena, 16 * KIB);
		assert_int_equal(authres_of_iprev(&result, cases[i].address, &arena, &stated).code,
		                 ERR_OK);
		check(stated, cases[i].expected);
		arena_done(&arena);
	}
	arena_init(&arena, 8);
	assert_int_equal(authres_of_iprev(&result, cases[0].address, &arena, &stated).code,
	                 ERR_LIMIT);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(dmarc_is_stated),
	        cmocka_unit_test(iprev_is_stated),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
