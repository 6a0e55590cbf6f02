/* libunbound's sentences, as it was heard to say them, and their codes. */
#include "dns/reason.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define FAILURE(name, reason) "validation failure <" name " A IN>: " reason
#define CAUSED(reason)                                                                             \
	FAILURE("a.example.", "key for validation example. is marked as invalid because of a "     \
	                      "previous " FAILURE("b.example.", reason))

static void each_reason_has_its_code(void **state)
{
	(void)state;
	static const struct {
		const char *words;
		uint32_t code;
	} cases[] = {
	        {FAILURE("a.example.", "signature expired from 192.0.2.1 for key example. while "
	                               "building chain of trust"),
	         7},
	        {CAUSED("signature expired from 2001:db8::3 for key example."), 7},
	        {FAILURE("a.example.", "signature before inception date from 192.0.2.1"), 8},
	        {FAILURE("a.example.", "signature inception after expiration from 192.0.2.1"), 25},
	        {FAILURE("a.example.", "No DNSKEY record from 192.0.2.1 for key example."), 9},
	        {FAILURE("a.example.", "DS hash mismatches key from 192.0.2.1 for key example."),
	         9},
	        {FAILURE("a.example.", "no keys have a DS with algorithm ECDSAP256SHA256 from ::1"),
	         9},
	        {FAILURE("a.example.", "dnskey without ZSK flag from 192.0.2.1"), 11},
	        {FAILURE("a.example.", "no signatures from 192.0.2.1"), 10},
	        {FAILURE("a.example.", "no signatures over NSECs from 192.0.2.1 for DS a.example."),
	         10},
	        {FAILURE("a.example.", "no DNSSEC records from 192.0.2.1 for DS a.example."), 12},
	        {FAILURE("a.example.", "nodata proof failed from 192.0.2.1"), 12},
	        {FAILURE("a.example.", "nameerror proof failed from 192.0.2.1"), 12},
	        {FAILURE("a.example.", "wildcard proof failed from 192.0.2.1"), 12},
	        {FAILURE("a.example.", "ECDSA signature verification failed from 192.0.2.1"), 6},
	        {FAILURE("a.example.", "signature crypto failed for CNAME from 192.0.2.1"), 6},
	        {FAILURE("a.example.", "misc failure"), 6},
	        {FAILURE("a.example.", ""), 6},
	        {FAILURE("a.example.", "DS got DNAME answer"), 6},
	        {"validation failure", 6},
	        {"", 6},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(dns_reason_ede(slice_str(cases[i].words)), cases[i].code);
}

static void names_decide_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *words;
		uint32_t code;
	} cases[] = {
	        {FAILURE("wildcard.dnskey.nsec.example.", "signature crypto failed from ::1"), 6},
	        {FAILURE("dnskey.example.", "signature expired from ::1 for key dnskey.example."),
	         7},
	        {FAILURE("no?signatures.example.", "misc failure"), 6},
	        {FAILURE("signature?expired.example.", "no signatures from ::1"), 10},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(dns_reason_ede(slice_str(cases[i].words)), cases[i].code);
}

static void only_some_codes_speak_of_validation(void **state)
{
	(void)state;
	static const uint32_t bogus[] = {6, 7, 8, 9, 10, 11, 12, 25};
	static const uint32_t others[] = {0,  1,  2,  3,  4,  5,  13,    14,    15,
	                                  18, 22, 23, 24, 26, 27, 65535, 49152, UINT32_MAX};
	for (size_t i = 0; i < N_ELEMENTS(bogus); i++)
		assert_true(dns_ede_is_bogus(bogus[i]));
	for (size_t i = 0; i < N_ELEMENTS(others); i++)
		assert_false(dns_ede_is_bogus(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_reason_has_its_code),
	        cmocka_unit_test(names_decide_nothing),
	        cmocka_unit_test(only_some_codes_speak_of_validation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
