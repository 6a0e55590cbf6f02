/* iprev: names that lead back, names that do not, and lookups that fail. */
#include "mailauth/iprev.h"

#include "dns/table.h"

#include <arpa/inet.h>
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
        "1.2.0.192.in-addr.arpa PTR mail.example.com secure\n"
        "mail.example.com A 192.0.2.1 secure\n"
        "mail.example.com AAAA 2001:db8::1 secure\n"
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR "
        "Mail.Example.com\n"
        "2.2.0.192.in-addr.arpa PTR liar.example.com\n"
        "liar.example.com A 192.0.2.99\n"
        "3.2.0.192.in-addr.arpa PTR v6only.example.com\n"
        "v6only.example.com AAAA ::ffff:192.0.2.3\n"
        "4.2.0.192.in-addr.arpa PTR gone.example.com secure\n"
        "gone.example.com * nxdomain secure\n"
        /* of several the first that leads back */
        "5.2.0.192.in-addr.arpa PTR liar.example.com\n"
        "5.2.0.192.in-addr.arpa PTR down.example.com\n"
        "5.2.0.192.in-addr.arpa PTR good.example.com\n"
        "down.example.com A servfail\n"
        "good.example.com A 192.0.2.7\n"
        "good.example.com A 192.0.2.5\n"
        "6.2.0.192.in-addr.arpa PTR liar.example.com\n"
        "6.2.0.192.in-addr.arpa PTR down.example.com\n"
        "7.2.0.192.in-addr.arpa PTR servfail\n"
        "8.2.0.192.in-addr.arpa PTR refused\n"
        "9.2.0.192.in-addr.arpa PTR bogus\n"
        "10.2.0.192.in-addr.arpa PTR bad.example.com\n"
        "bad.example.com A bogus\n"
        "11.2.0.192.in-addr.arpa TXT \"x\"\n"
        /* RFC 2317: an alias in the reverse tree */
        "12.2.0.192.in-addr.arpa CNAME 12.0/25.2.0.192.in-addr.arpa secure\n"
        "12.0/25.2.0.192.in-addr.arpa PTR classless.example.com\n"
        "classless.example.com CNAME host.example.net\n"
        "host.example.net A 192.0.2.12\n"
        /* names that are no host names */
        "13.2.0.192.in-addr.arpa PTR a_b.example.com\n"
        "13.2.0.192.in-addr.arpa PTR a\\\"b.example.com\n"
        "13.2.0.192.in-addr.arpa PTR 192.0.2.13\n"
        "13.2.0.192.in-addr.arpa PTR .\n"
        "a_b.example.com A 192.0.2.13\n"
        "192.0.2.13 A 192.0.2.13\n"
        "14.2.0.192.in-addr.arpa PTR a_b.example.com\n"
        "14.2.0.192.in-addr.arpa PTR fine.example.com\n"
        "fine.example.com A 192.0.2.14\n";

struct fixture {
	struct dns_table table;
	struct arena arena;
	struct mailauth_dns dns;
	struct iprev_result result;
};

static void open_fixture(struct fixture *f)
{
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	arena_init(&f->arena, MAILAUTH_DNS_ARENA);
	mailauth_dns_init(&f->dns, &f->table.resolver, &test_clock, 1000, &f->arena);
}

static void close_fixture(struct fixture *f)
{
	arena_done(&f->arena);
	dns_table_done(&f->table);
}

static void check_address(struct fixture *f, const char *text)
{
	uint8_t bytes[16];
	size_t n = 4;
	if (strchr(text, ':')) {
		n = 16;
		assert_int_equal(inet_pton(AF_INET6, text, bytes), 1);
	} else {
		assert_int_equal(inet_pton(AF_INET, text, bytes), 1);
	}
	iprev_check(&f->dns, slice_of(bytes, n), &f->result);
}

/* "pass name reverse-status forward-status" */
static void results_follow_the_names(void **state)
{
	static const struct {
		const char *address, *expected;
	} cases[] = {
	        {"192.0.2.1", "pass mail.example.com secure/secure"},
	        {"::ffff:192.0.2.1", "pass mail.example.com secure/secure"},
	        {"2001:db8::1", "pass mail.example.com insecure/secure"},
	        {"192.0.2.2", "fail . insecure/insecure"},
	        {"192.0.2.3", "fail . insecure/insecure"},
	        {"192.0.2.4", "fail . secure/secure"},
	        {"192.0.2.5", "pass good.example.com insecure/insecure"},
	        {"192.0.2.6", "temperror . insecure/insecure"},
	        {"192.0.2.7", "temperror . insecure/-"},
	        {"192.0.2.8", "temperror . insecure/-"},
	        {"192.0.2.9", "temperror . bogus/-"},
	        {"192.0.2.10", "temperror . insecure/bogus"},
	        {"192.0.2.11", "permerror . insecure/-"},
	        {"192.0.2.12", "pass classless.example.com insecure/insecure"},
	        {"192.0.2.13", "fail . insecure/-"},
	        {"192.0.2.14", "pass fine.example.com insecure/insecure"},
	        {"192.0.2.200", "permerror . insecure/-"},
	        {"2001:db8::2", "permerror . insecure/-"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		char got[200];
		open_fixture(&f);
		check_address(&f, cases[i].address);
		snprintf(got, sizeof(got), "%s %s %s/%s", mailauth_result_name(f.result.result),
		         f.result.name.text, dns_security_name(f.result.reverse_security),
		         f.result.has_forward ? dns_security_name(f.result.forward_security) : "-");
		assert_string_equal(got, cases[i].expected);
		assert_true(f.result.story.n >= 2 && *f.result.why);
		assert_true(dns_name_is_root(f.result.name) || dns_name_is_host(f.result.name));
		close_fixture(&f);
	}
}

static void what_is_no_address_has_no_name(void **state)
{
	struct fixture f;
	(void)state;
	open_fixture(&f);
	iprev_check(&f.dns, SLICE("12345"), &f.result);
	assert_int_equal(f.result.result, MAILAUTH_PERMERROR);
	assert_int_equal(f.result.evidence.n, 0);
	close_fixture(&f);
}

static void names_are_bounded(void **state)
{
	struct fixture f;
	(void)state;
	open_fixture(&f);
	for (unsigned i = 0; i < 3 * IPREV_NAMES_MAX; i++) {
		char fact[200];
		/* each twice */
		snprintf(fact, sizeof(fact), "20.2.0.192.in-addr.arpa PTR n%u.example.com", i / 2);
		dns_table_add(&f.table, fact);
		snprintf(fact, sizeof(fact), "n%u.example.com A 192.0.2.%u", i / 2,
		         i / 2 == IPREV_NAMES_MAX ? 20 : 99);
		dns_table_add(&f.table, fact);
	}
	check_address(&f, "192.0.2.20");
	assert_int_equal(f.result.result, MAILAUTH_FAIL);
	assert_int_equal(f.result.n_names, IPREV_NAMES_MAX);
	assert_int_equal(f.result.evidence.n, 1 + IPREV_NAMES_MAX);
	close_fixture(&f);
}

static void the_story_tells_every_step(void **state)
{
	struct fixture f;
	struct buf out;
	(void)state;
	buf_init(&out, MIB);
	open_fixture(&f);
	check_address(&f, "192.0.2.5");
	mailauth_story_print(&f.result.story, &out);
	assert_string_equal(
	        buf_cstr(&out),
	        "5.2.0.192.in-addr.arpa has 3 PTR records (insecure)\n"
	        "liar.example.com does not lead to the address (insecure)\n"
	        "down.example.com A: the lookup failed (temporary): server answered SERVFAIL\n"
	        "good.example.com leads to the address (insecure)\n"
	        "iprev=pass: the name of the address leads back to it\n");
	close_fixture(&f);
	buf_done(&out);
}

static void memory_is_bounded(void **state)
{
	size_t n_finished = 0;
	(void)state;
	for (size_t budget = 0; budget < 20000; budget += 50) {
		struct fixture f;
		open_fixture(&f);
		f.arena.budget = budget;
		check_address(&f, "192.0.2.1");
		bool passed = f.result.result == MAILAUTH_PASS;
		assert_true(passed || f.result.result == MAILAUTH_TEMPERROR);
		assert_int_equal(passed, !dns_name_is_root(f.result.name));
		n_finished += passed;
		close_fixture(&f);
	}
	assert_true(n_finished > 100 && n_finished < 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(results_follow_the_names),
	        cmocka_unit_test(what_is_no_address_has_no_name),
	        cmocka_unit_test(names_are_bounded),
	        cmocka_unit_test(the_story_tells_every_step),
	        cmocka_unit_test(memory_is_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
