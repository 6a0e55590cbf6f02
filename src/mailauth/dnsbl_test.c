/* Block lists: what is listed, what only looks so, and lists that are none (any more). */
#include "mailauth/dnsbl.h"

#include "dns/table.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static int64_t now_ms;

static int64_t test_now(const struct clock *clock)
{
	(void)clock;
	return now_ms;
}

static const struct clock test_clock = {test_now, test_now};

/* good.test lists 192.0.2.99 and more, and is healthy for each kind. */
#define NIBBLES_2 "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
#define NIBBLES_1 "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"

static const char facts[] =
        /* RFC 5782 sections 2.1, 2.4, 3 and 5 */
        "2.0.0.127.good.test A 127.0.0.2 secure\n" NIBBLES_2 ".good.test A 127.0.0.2\n"
        "test.good.test A 127.0.0.2\n"
        "99.2.0.192.good.test A 127.0.0.2\n"
        "99.2.0.192.good.test TXT \"Dynamic address, see http://bad.example.com?192.0.2.99\"\n"
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.good.test "
        "A 127.0.0.2\n"
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.good.test "
        "TXT \"Spam received.\"\n"
        "invalid.edu.good.test A 127.0.0.2\n"
        "invalid.edu.good.test TXT \"Host name used in phish\"\n"
        "xn--bcher-kva.example.good.test A 127.0.0.4\n"
        /* several codes, bit masks, odd texts */
        "98.2.0.192.good.test A 127.0.1.1\n"
        "98.2.0.192.good.test A 127.0.1.2\n"
        "98.2.0.192.good.test TXT \"caf\xc3\xa9\r\x01X: y\t\\\"\"\n"
        "97.2.0.192.good.test A 127.0.0.6\n"
        "97.2.0.192.good.test TXT servfail\n"
        /* refusals */
        "90.2.0.192.good.test A 127.255.255.252\n"
        "91.2.0.192.good.test A 127.255.255.254\n"
        "92.2.0.192.good.test A 127.255.255.255\n"
        "93.2.0.192.good.test A 127.255.255.1\n"
        "94.2.0.192.good.test A 127.0.0.1\n"
        "95.2.0.192.good.test A 127.0.1.255\n"
        "96.2.0.192.good.test A 127.0.0.2\n"
        "96.2.0.192.good.test A 127.255.255.254\n"
        "89.2.0.192.good.test A refused\n"
        "88.2.0.192.good.test A 127.0.0.255\n"
        /* no codes at all */
        "80.2.0.192.good.test A 198.51.100.7\n"
        "81.2.0.192.good.test A 127.0.0.2\n"
        "81.2.0.192.good.test A 198.51.100.7\n"
        "82.2.0.192.good.test A 0.0.0.0\n"
        /* failures */
        "70.2.0.192.good.test A servfail\n"
        "71.2.0.192.good.test A timeout\n"
        "72.2.0.192.good.test A bogus\n"
        "73.2.0.192.good.test TXT \"only a text\"\n"
        /* lists that are none */
        "99.2.0.192.empty.test A 127.0.0.2\n"
        "empty.test A 192.0.2.1\n"
        "99.2.0.192.all.test A 127.0.0.2\n"
        "2.0.0.127.all.test A 127.0.0.2\n"
        "1.0.0.127.all.test A 127.0.0.2\n"
        "99.2.0.192.parked.test A 127.0.0.2\n"
        "2.0.0.127.parked.test A 198.51.100.7\n"
        "1.0.0.127.parked.test A 198.51.100.7\n"
        "99.2.0.192.silent.test A 127.0.0.2\n"
        "2.0.0.127.silent.test A 127.255.255.254\n"
        "99.2.0.192.silent2.test A 127.0.0.2\n"
        "2.0.0.127.silent2.test A 127.0.0.2\n"
        "1.0.0.127.silent2.test A 127.0.0.1\n"
        "99.2.0.192.down.test A 127.0.0.2\n"
        "2.0.0.127.down.test A servfail\n"
        "99.2.0.192.half.test A 127.0.0.2\n"
        "2.0.0.127.half.test A 127.0.0.2\n"
        "1.0.0.127.half.test A timeout\n" NIBBLES_2 ".all6.test A 127.0.0.2\n" NIBBLES_1
        ".all6.test A 127.0.0.2\n"
        "test.alldomains.test A 127.0.0.2\n"
        "invalid.alldomains.test A 127.0.0.2\n";

struct fixture {
	struct dns_table table;
	struct arena arena;
	struct mailauth_dns dns;
	struct buf got;
};

static void begin_dns(struct fixture *f)
{
	arena_init(&f->arena, MAILAUTH_DNS_ARENA);
	mailauth_dns_init(&f->dns, &f->table.resolver, &test_clock, 1000, &f->arena);
}

static void open_fixture(struct fixture *f)
{
	now_ms = 1000000;
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	buf_init(&f->got, MIB);
	begin_dns(f);
}

static void close_fixture(struct fixture *f)
{
	buf_done(&f->got);
	arena_done(&f->arena);
	dns_table_done(&f->table);
}

static struct slice address_of(const char *text, uint8_t bytes[16])
{
	bool v6 = strchr(text, ':') != NULL;
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, bytes), 1);
	return slice_of(bytes, v6 ? 16 : 4);
}

static void check_address(struct fixture *f, const char *zone, const char *address,
                          struct dnsbl_result *ret_result)
{
	uint8_t bytes[16];
	dnsbl_check_address(&f->dns, (struct dns_name){zone}, address_of(address, bytes),
	                    ret_result);
}

/* "listed 127.0.0.2 {text}" */
static void describe(const struct dnsbl_result *result, struct buf *out)
{
	buf_reset(out);
	buf_add_str(out, dnsbl_outcome_name(result->outcome));
	for (size_t i = 0; i < result->n_codes; i++) {
		const uint8_t *o = result->codes[i].octets;
		buf_printf(out, " %u.%u.%u.%u", o[0], o[1], o[2], o[3]);
	}
	if (*result->text)
		buf_printf(out, " {%s}", result->text);
}

static void answers_are_understood(void **state)
{
	static const struct {
		const char *address, *expected;
	} cases[] = {
	        {"192.0.2.99",
	         "listed 127.0.0.2 {Dynamic address, see http://bad.example.com?192.0.2.99}"},
	        {"::ffff:192.0.2.99",
	         "listed 127.0.0.2 {Dynamic address, see http://bad.example.com?192.0.2.99}"},
	        {"2001:db8:1:2:3:4:567:89ab", "listed 127.0.0.2 {Spam received.}"},
	        {"192.0.2.98", "listed 127.0.1.1 127.0.1.2 {caf????X: y?\"}"},
	        {"192.0.2.97", "listed 127.0.0.6"},
	        {"192.0.2.1", "not-listed"},
	        {"2001:db8::1", "not-listed"},
	        {"192.0.2.73", "not-listed"},
	        {"192.0.2.90", "refused 127.255.255.252"},
	        {"192.0.2.91", "refused 127.255.255.254"},
	        {"192.0.2.92", "refused 127.255.255.255"},
	        {"192.0.2.93", "refused 127.255.255.1"},
	        {"192.0.2.94", "refused 127.0.0.1"},
	        {"192.0.2.95", "refused 127.0.1.255"},
	        {"192.0.2.96", "refused 127.0.0.2 127.255.255.254"},
	        {"192.0.2.88", "refused 127.0.0.255"},
	        {"192.0.2.89", "refused"},
	        {"192.0.2.80", "broken 198.51.100.7"},
	        {"192.0.2.81", "broken 127.0.0.2 198.51.100.7"},
	        {"192.0.2.82", "broken 0.0.0.0"},
	        {"192.0.2.70", "failed"},
	        {"192.0.2.71", "failed"},
	        {"192.0.2.72", "failed"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		struct dnsbl_result result;
		open_fixture(&f);
		check_address(&f, "good.test", cases[i].address, &result);
		describe(&result, &f.got);
		assert_string_equal(buf_cstr(&f.got), cases[i].expected);
		assert_true(*result.why && result.story.n > 0 && result.evidence.n > 0);
		close_fixture(&f);
	}
}

static void domains_are_asked_about(void **state)
{
	static const char l60[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	char long_name[300];
	(void)state;
	snprintf(long_name, sizeof(long_name), "%s.%s.%s.%s", l60, l60, l60, l60);
	const struct {
		const char *zone, *domain, *expected;
	} cases[] = {
	        {"good.test", "invalid.edu", "listed 127.0.0.2 {Host name used in phish}"},
	        {"good.test", "Invalid.EDU.", "listed 127.0.0.2 {Host name used in phish}"},
	        {"good.test",
	         "b\xc3\xbc"
	         "cher.example",
	         "listed 127.0.0.4"},
	        {"good.test", "example.com", "not-listed"},
	        {"good.test", "www.invalid.edu", "not-listed"},
	        {"good.test", "192.0.2.99", "not-asked"},
	        {"good.test", "a_b.example", "not-asked"},
	        {"good.test", "a\\.b.example", "not-asked"},
	        {"good.test", "*.example", "not-asked"},
	        {"good.test", ".", "not-asked"},
	        {"some.longer.zone.example", long_name, "not-asked"},
	        {".", "example.com", "not-asked"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		struct dnsbl_result result;
		struct dns_name domain;
		open_fixture(&f);
		assert_int_equal(dns_name_parse(slice_str(cases[i].domain), &f.arena, &domain).code,
		                 ERR_OK);
		dnsbl_check_domain(&f.dns, (struct dns_name){cases[i].zone}, domain, &result);
		describe(&result, &f.got);
		assert_string_equal(buf_cstr(&f.got), cases[i].expected);
		close_fixture(&f);
	}
}

static void what_is_no_address_is_not_asked(void **state)
{
	struct fixture f;
	struct dnsbl_result result;
	(void)state;
	open_fixture(&f);
	dnsbl_check_address(&f.dns, (struct dns_name){"good.test"}, SLICE("12345"), &result);
	assert_int_equal(result.outcome, DNSBL_NOT_ASKED);
	assert_int_equal(f.dns.evidence.n, 0);
	close_fixture(&f);
}

static void health_shows_in_the_test_entries(void **state)
{
	static const struct {
		const char *zone;
		enum dnsbl_kind kind;
		enum dnsbl_health health;
		const char *why;
	} cases[] = {
	        {"good.test", DNSBL_IPV4, DNSBL_HEALTHY, "its test entries are as they must be"},
	        {"good.test", DNSBL_IPV6, DNSBL_HEALTHY, "its test entries are as they must be"},
	        {"good.test", DNSBL_DOMAIN, DNSBL_HEALTHY, "its test entries are as they must be"},
	        {"empty.test", DNSBL_IPV4, DNSBL_DEFECTIVE,
	         "it does not list 127.0.0.2, which every list must"},
	        {"empty.test", DNSBL_IPV6, DNSBL_DEFECTIVE,
	         "it does not list ::FFFF:7F00:2, which every list of IPv6 addresses must"},
	        {"empty.test", DNSBL_DOMAIN, DNSBL_DEFECTIVE,
	         "it does not list TEST, which every list of domains must"},
	        {"all.test", DNSBL_IPV4, DNSBL_DEFECTIVE, "it lists 127.0.0.1, which no list may"},
	        {"all6.test", DNSBL_IPV6, DNSBL_DEFECTIVE,
	         "it lists ::FFFF:7F00:1, which no list may"},
	        {"alldomains.test", DNSBL_DOMAIN, DNSBL_DEFECTIVE,
	         "it lists INVALID, which no list may"},
	        {"parked.test", DNSBL_IPV4, DNSBL_DEFECTIVE,
	         "the list answers with what is no code of a block list"},
	        {"silent.test", DNSBL_IPV4, DNSBL_SILENT,
	         "the list does not answer queries by a public resolver"},
	        {"silent2.test", DNSBL_IPV4, DNSBL_SILENT, "the list does not answer us"},
	        {"down.test", DNSBL_IPV4, DNSBL_UNKNOWN, "server answered SERVFAIL"},
	        {"half.test", DNSBL_IPV4, DNSBL_UNKNOWN, "no answer in time"},
	        {".", DNSBL_IPV4, DNSBL_DEFECTIVE, "the root is no block list"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		struct dnsbl_checkup checkup;
		open_fixture(&f);
		dnsbl_check_health(&f.dns, (struct dns_name){cases[i].zone}, cases[i].kind,
		                   &checkup);
		assert_string_equal(checkup.why, cases[i].why);
		assert_int_equal(checkup.health, cases[i].health);
		assert_true(checkup.story.n > 0);
		close_fixture(&f);
	}
}

/* --- remembered health --- */

static enum dnsbl_outcome ask(struct fixture *f, struct dnsbl_state *list, const char *zone)
{
	struct dnsbl_result result;
	uint8_t bytes[16];
	dnsbl_ask_address(list, &f->dns, (struct dns_name){zone}, address_of("192.0.2.99", bytes),
	                  &result);
	assert_true(result.outcome == DNSBL_LISTED || !*result.text);
	return result.outcome;
}

static void broken_lists_list_nobody(void **state)
{
	static const struct {
		const char *zone;
		enum dnsbl_outcome outcome;
	} cases[] = {
	        {"good.test", DNSBL_LISTED},     {"empty.test", DNSBL_BROKEN},
	        {"all.test", DNSBL_BROKEN},      {"parked.test", DNSBL_BROKEN},
	        {"silent.test", DNSBL_REFUSED},  {"silent2.test", DNSBL_REFUSED},
	        {"down.test", DNSBL_FAILED},     {"half.test", DNSBL_FAILED},
	        {"none.test", DNSBL_NOT_LISTED},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		open_fixture(&f);
		struct dnsbl_state *lists = dnsbl_state_new(&test_clock);
		assert_int_equal(ask(&f, lists, cases[i].zone), cases[i].outcome);
		dnsbl_state_free(lists);
		close_fixture(&f);
	}
	dnsbl_state_free(NULL);
}

/* What ask() costs in lookups: the entry and its text, and two for a checkup. */
static size_t cost(struct fixture *f, struct dnsbl_state *lists, const char *zone,
                   enum dnsbl_outcome expected)
{
	size_t before = f->table.n_lookups;
	arena_done(&f->arena);
	begin_dns(f);
	assert_int_equal(ask(f, lists, zone), expected);
	return f->table.n_lookups - before;
}

static void health_is_remembered(void **state)
{
	struct fixture f;
	struct dnsbl_result result;
	(void)state;
	open_fixture(&f);
	struct dnsbl_state *lists = dnsbl_state_new(&test_clock);
	/* who is not listed costs no checkup */
	uint8_t bytes[16];
	dnsbl_ask_address(lists, &f.dns, (struct dns_name){"good.test"},
	                  address_of("192.0.2.1", bytes), &result);
	assert_int_equal(f.table.n_lookups, 1);
	assert_int_equal(cost(&f, lists, "good.test", DNSBL_LISTED), 4);
	assert_int_equal(cost(&f, lists, "good.test", DNSBL_LISTED), 2);
	now_ms += DNSBL_HEALTHY_MS - 1;
	assert_int_equal(cost(&f, lists, "good.test", DNSBL_LISTED), 2);
	now_ms += 1;
	assert_int_equal(cost(&f, lists, "good.test", DNSBL_LISTED), 4);
	/* another kind of entry is another matter */
	dnsbl_ask_domain(lists, &f.dns, (struct dns_name){"good.test"},
	                 (struct dns_name){"invalid.edu"}, &result);
	assert_int_equal(result.outcome, DNSBL_LISTED);
	assert_int_equal(cost(&f, lists, "empty.test", DNSBL_BROKEN), 3);
	now_ms += DNSBL_UNHEALTHY_MS - 1;
	assert_int_equal(cost(&f, lists, "empty.test", DNSBL_BROKEN), 2);
	now_ms += 1;
	assert_int_equal(cost(&f, lists, "empty.test", DNSBL_BROKEN), 3);
	assert_int_equal(cost(&f, lists, "down.test", DNSBL_FAILED), 3);
	now_ms += DNSBL_RETRY_MS - 1;
	assert_int_equal(cost(&f, lists, "down.test", DNSBL_FAILED), 2);
	now_ms += 1;
	assert_int_equal(cost(&f, lists, "down.test", DNSBL_FAILED), 3);
	dnsbl_state_free(lists);
	close_fixture(&f);
}

/* The same zone on two tables: healthy, then in trouble. */
static void a_healthy_list_may_be_out_of_reach_for_a_while(void **state)
{
	struct fixture good, down;
	(void)state;
	open_fixture(&good);
	open_fixture(&down);
	dns_table_done(&down.table);
	dns_table_init(&down.table);
	dns_table_add_lines(&down.table, "99.2.0.192.good.test A 127.0.0.2\n"
	                                 "2.0.0.127.good.test A servfail\n");
	begin_dns(&down);
	struct dnsbl_state *lists = dnsbl_state_new(&test_clock);
	assert_int_equal(ask(&down, lists, "good.test"), DNSBL_FAILED);
	now_ms += DNSBL_RETRY_MS;
	assert_int_equal(cost(&good, lists, "good.test", DNSBL_LISTED), 4);
	now_ms += DNSBL_HEALTHY_MS;
	assert_int_equal(cost(&down, lists, "good.test", DNSBL_LISTED), 3);
	assert_int_equal(cost(&down, lists, "good.test", DNSBL_LISTED), 2);
	now_ms += DNSBL_RETRY_MS;
	assert_int_equal(cost(&down, lists, "good.test", DNSBL_LISTED), 3);
	now_ms += DNSBL_STALE_MS;
	assert_int_equal(cost(&down, lists, "good.test", DNSBL_FAILED), 3);
	dnsbl_state_free(lists);
	close_fixture(&good);
	close_fixture(&down);
}

static void lists_are_bounded(void **state)
{
	struct fixture f;
	(void)state;
	open_fixture(&f);
	struct dnsbl_state *lists = dnsbl_state_new(&test_clock);
	for (unsigned i = 0; i < DNSBL_LISTS_MAX; i++) {
		char zone[40];
		snprintf(zone, sizeof(zone), "z%u.test", i);
		arena_done(&f.arena);
		begin_dns(&f);
		assert_int_equal(
		        dnsbl_state_health(lists, &f.dns, (struct dns_name){zone}, DNSBL_IPV4),
		        DNSBL_DEFECTIVE);
	}
	/* one more works, but is not remembered */
	assert_int_equal(cost(&f, lists, "good.test", DNSBL_LISTED), 4);
	assert_int_equal(cost(&f, lists, "good.test", DNSBL_LISTED), 4);
	dnsbl_state_free(lists);
	close_fixture(&f);
}

static void codes_and_texts_are_bounded(void **state)
{
	struct fixture f;
	struct dnsbl_result result;
	char fact[600];
	(void)state;
	open_fixture(&f);
	for (unsigned i = 0; i < 3 * DNSBL_CODES_MAX; i++) {
		snprintf(fact, sizeof(fact), "1.2.0.192.many.test A 127.0.2.%u", i + 2);
		dns_table_add(&f.table, fact);
		snprintf(fact, sizeof(fact), "2.2.0.192.many.test A 127.0.2.%u", i + 2);
		dns_table_add(&f.table, fact);
	}
	dns_table_add(&f.table, "2.2.0.192.many.test A 192.0.2.1");
	snprintf(fact, sizeof(fact), "1.2.0.192.many.test TXT \"%0250d\"", 7);
	dns_table_add(&f.table, fact);
	check_address(&f, "many.test", "192.0.2.1", &result);
	assert_int_equal(result.outcome, DNSBL_LISTED);
	assert_int_equal(result.n_codes, DNSBL_CODES_MAX);
	assert_int_equal(strlen(result.text), DNSBL_TEXT_MAX);
	/* what is not kept is looked at all the same */
	check_address(&f, "many.test", "192.0.2.2", &result);
	assert_int_equal(result.outcome, DNSBL_BROKEN);
	close_fixture(&f);
}

static void memory_is_bounded(void **state)
{
	size_t n_finished = 0;
	(void)state;
	for (size_t budget = 0; budget < 20000; budget += 50) {
		struct fixture f;
		struct dnsbl_result result;
		open_fixture(&f);
		f.arena.budget = budget;
		check_address(&f, "good.test", "192.0.2.99", &result);
		bool listed = result.outcome == DNSBL_LISTED;
		assert_true(listed || result.outcome == DNSBL_FAILED);
		assert_true(listed || (result.n_codes == 0 && !*result.text));
		n_finished += listed;
		close_fixture(&f);
	}
	assert_true(n_finished > 100 && n_finished < 390);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(answers_are_understood),
	        cmocka_unit_test(domains_are_asked_about),
	        cmocka_unit_test(what_is_no_address_is_not_asked),
	        cmocka_unit_test(health_shows_in_the_test_entries),
	        cmocka_unit_test(broken_lists_list_nobody),
	        cmocka_unit_test(health_is_remembered),
	        cmocka_unit_test(a_healthy_list_may_be_out_of_reach_for_a_while),
	        cmocka_unit_test(lists_are_bounded),
	        cmocka_unit_test(codes_and_texts_are_bounded),
	        cmocka_unit_test(memory_is_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
