/* The servers of a domain: facts of the DNS to hosts in order, or to why there are none. */
#include "delivery/hosts.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char facts[] = "two.example MX 20 b.two.example secure\n"
                            "two.example MX 10 a.two.example secure\n"
                            "a.two.example A 192.0.2.10 secure\n"
                            "a.two.example AAAA 2001:db8::10 secure\n"
                            "b.two.example A 192.0.2.20\n"
                            "equal.example MX 10 e1.example\n"
                            "equal.example MX 10 e2.example\n"
                            "equal.example MX 10 e3.example\n"
                            "equal.example MX 5 best.example\n"
                            "same.example MX 20 one.example\n"
                            "same.example MX 10 One.Example\n"
                            "plain.example A 192.0.2.30 secure\n"
                            "plain.example TXT \"x\" secure\n"
                            "alias.example CNAME two.example\n"
                            "chain.example CNAME alias.example secure\n"
                            "toplain.example CNAME plain.example secure\n"
                            "null.example MX 0 . secure\n"
                            "mixed.example MX 0 .\n"
                            "mixed.example MX 10 mx.mixed.example\n"
                            "rootonly.example MX 0 .\n"
                            "rootonly.example MX 1 .\n"
                            "odd.example MX 10 under_score.example\n"
                            "bad.example MX 10 a\\032b.example\n"
                            "fails.example MX servfail\n"
                            "refuses.example MX refused\n"
                            "forged.example MX bogus\n"
                            "intoforged.example CNAME forged.example secure\n"
                            "ours.example MX 10 mail.us.example\n"
                            "second.example MX 10 first.example\n"
                            "second.example MX 20 Mail.US.example\n"
                            "second.example MX 20 peer.example\n"
                            "second.example MX 30 third.example\n"
                            "us.example A 192.0.2.99\n"
                            "mail.us.example A 192.0.2.99\n"
                            "first.example A 192.0.2.1\n"
                            /* hosts */
                            "v4.example A 192.0.2.4\n"
                            "v6.example AAAA 2001:db8::6\n"
                            "half.example A 192.0.2.5\n"
                            "half.example AAAA servfail\n"
                            "dead.example A servfail\n"
                            "dead.example AAAA servfail\n"
                            "halfdead.example A servfail\n"
                            "mxalias.example CNAME a.two.example\n"
                            "nowhere.example A 0.0.0.0\n"
                            "nowhere.example A 224.0.0.1\n"
                            "nowhere.example A 255.255.255.255\n"
                            "nowhere.example AAAA ::\n"
                            "nowhere.example AAAA ff02::1\n"
                            "nowhere.example AAAA ::ffff:192.0.2.1\n"
                            "loop.example A 127.0.0.1\n";

static const char *const own_names[] = {"mail.us.example", "us.example"};

struct fixture {
	struct dns_table table;
	struct arena arena;
	struct delivery_ip own_ip;
	struct delivery_query query;
};

static uint32_t always_zero(void *context, uint32_t bound)
{
	(void)context, (void)bound;
	return 0;
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	arena_init(&f->arena, DELIVERY_HOSTS_ARENA);
	assert_true(delivery_ip_parse(SLICE("192.0.2.99"), &f->own_ip));
	f->query = (struct delivery_query){
	        .resolver = &f->table.resolver,
	        .own_names = own_names,
	        .n_own_names = N_ELEMENTS(own_names),
	        .own_ips = &f->own_ip,
	        .n_own_ips = 1,
	};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	dns_table_done(&f->table);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

#define FOUND    DELIVERY_HOSTS_FOUND
#define DEFERRED DELIVERY_HOSTS_DEFERRED
#define FAILED   DELIVERY_HOSTS_FAILED

static const struct hosts_case {
	const char *domain;
	const char *hosts; /* "name/preference" in order */
	enum delivery_hosts_outcome outcome;
	bool has_mx;
	enum dns_security security;
	const char *enhanced, *why;
} hosts_cases[] = {
        {"two.example", "a.two.example/10 b.two.example/20", FOUND, true, DNS_SECURE, "", ""},
        {"TWO.Example.", "a.two.example/10 b.two.example/20", FOUND, true, DNS_SECURE, "", ""},
        {"alias.example", "a.two.example/10 b.two.example/20", FOUND, true, DNS_INSECURE, "", ""},
        {"chain.example", "a.two.example/10 b.two.example/20", FOUND, true, DNS_INSECURE, "", ""},
        {"equal.example", "best.example/5 e1.example/10 e2.example/10 e3.example/10", FOUND, true,
         DNS_INSECURE, "", ""},
        {"same.example", "one.example/20", FOUND, true, DNS_INSECURE, "", ""},
        {"plain.example", "plain.example/0", FOUND, false, DNS_INSECURE, "", ""},
        {"toplain.example", "plain.example/0", FOUND, false, DNS_INSECURE, "", ""},
        {"mixed.example", "mx.mixed.example/10", FOUND, true, DNS_INSECURE, "", ""},
        {"odd.example", "under_score.example/10", FOUND, true, DNS_INSECURE, "", ""},
        {"[192.0.2.7]", "192.0.2.7/0", FOUND, false, DNS_INSECURE, "", ""},
        {"[IPv6:2001:DB8::7]", "2001:db8::7/0", FOUND, false, DNS_INSECURE, "", ""},
        {"second.example", "first.example/10", FOUND, true, DNS_INSECURE, "", ""},
        /* for good */
        {"null.example", "", FAILED, true, DNS_SECURE, "5.1.10", "null MX"},
        {"rootonly.example", "", FAILED, true, DNS_INSECURE, "5.4.4", "names a host"},
        {"bad.example", "", FAILED, true, DNS_INSECURE, "5.4.4", "names a host"},
        {"gone.invalid", "", FAILED, false, DNS_INSECURE, "5.1.2", "no domain gone.invalid"},
        {"ours.example", "", FAILED, true, DNS_INSECURE, "5.4.6", "leads back"},
        {"us.example", "", FAILED, false, DNS_INSECURE, "5.4.6", "leads back"},
        {"[192.0.2.99]", "", FAILED, false, DNS_INSECURE, "5.4.6", "leads back"},
        {"[0.0.0.0]", "", FAILED, false, DNS_INSECURE, "5.4.6", "leads back"},
        {"", "", FAILED, false, DNS_BOGUS, "5.1.2", "no domain name"},
        {".", "", FAILED, false, DNS_BOGUS, "5.1.2", "no domain name"},
        {"a..b", "", FAILED, false, DNS_BOGUS, "5.1.2", "no domain name"},
        {"a b", "", FAILED, false, DNS_BOGUS, "5.1.2", "no domain name"},
        {"[192.0.2]", "", FAILED, false, DNS_INSECURE, "5.1.2", ""},
        {"[::1]", "", FAILED, false, DNS_INSECURE, "5.1.2", ""},
        {"[IPv6:192.0.2.1]", "", FAILED, false, DNS_INSECURE, "5.1.2", ""},
        /* for now */
        {"fails.example", "", DEFERRED, false, DNS_INSECURE, "4.4.3", "cannot be looked up"},
        {"refuses.example", "", DEFERRED, false, DNS_INSECURE, "4.4.3", "cannot be looked up"},
        {"forged.example", "", DEFERRED, false, DNS_BOGUS, "4.4.3", "cannot be looked up"},
        {"intoforged.example", "", DEFERRED, false, DNS_BOGUS, "4.4.3", "cannot be looked up"},
};

static void print_hosts(const struct delivery_hosts *hosts, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < hosts->n; i++)
		buf_printf(out, "%s%s/%u", i ? " " : "", hosts->v[i].name, hosts->v[i].preference);
}

static void each_domain_has_its_hosts(void **state)
{
	struct fixture *f = *state;
	struct buf text;
	size_t n_failed = 0;
	buf_init(&text, 10000);
	for (size_t i = 0; i < N_ELEMENTS(hosts_cases); i++) {
		const struct hosts_case *c = &hosts_cases[i];
		struct delivery_hosts hosts;
		f->query.domain = slice_str(c->domain);
		assert_true(is_ok(delivery_hosts_find(&f->query, &f->arena, &hosts)));
		print_hosts(&hosts, &text);
		bool security_matters = hosts.outcome == FOUND || hosts.null_mx;
		if (hosts.outcome != c->outcome || !slice_eq_str(buf_slice(&text), c->hosts) ||
		    hosts.has_mx != c->has_mx || strcmp(hosts.enhanced, c->enhanced) != 0 ||
		    !strstr(hosts.why, c->why) ||
		    (security_matters && hosts.security != c->security)) {
			print_message("%s: %d [%s] mx %d security %d %s %s\n", c->domain,
			              hosts.outcome, buf_cstr(&text), hosts.has_mx, hosts.security,
			              hosts.enhanced, hosts.why);
			n_failed++;
		}
	}
	buf_done(&text);
	assert_int_equal(n_failed, 0);
}

static void hosts_of_one_preference_are_shuffled(void **state)
{
	struct fixture *f = *state;
	struct buf text;
	struct delivery_hosts hosts;
	buf_init(&text, 1000);
	f->query.domain = SLICE("equal.example");
	f->query.chance = always_zero;
	assert_true(is_ok(delivery_hosts_find(&f->query, &f->arena, &hosts)));
	print_hosts(&hosts, &text);
	assert_true(slice_starts(buf_slice(&text), SLICE("best.example/5 ")));
	assert_null(strstr(buf_cstr(&text), "e1.example/10 e2.example/10 e3.example/10"));
	assert_int_equal(hosts.n, 4);
	buf_done(&text);
}

/* The best twenty of many, whatever their order. */
static void many_hosts_are_cut_at_the_worst(void **state)
{
	struct fixture *f = *state;
	struct delivery_hosts hosts;
	for (unsigned i = 0; i < 200; i++) {
		char fact[100];
		snprintf(fact, sizeof(fact), "many.example MX %u h%u.example", (i * 77) % 200, i);
		dns_table_add(&f->table, fact);
	}
	f->query.domain = SLICE("many.example");
	f->query.chance = always_zero;
	assert_true(is_ok(delivery_hosts_find(&f->query, &f->arena, &hosts)));
	assert_int_equal(hosts.n, DELIVERY_HOSTS_MAX);
	for (unsigned i = 0; i < DELIVERY_HOSTS_MAX; i++)
		assert_int_equal(hosts.v[i].preference, i);
}

static void a_host_that_is_ours_ends_the_list(void **state)
{
	struct fixture *f = *state;
	struct delivery_hosts hosts;
	f->query.domain = SLICE("equal.example");
	assert_true(is_ok(delivery_hosts_find(&f->query, &f->arena, &hosts)));
	delivery_hosts_drop(&hosts, 1, 10);
	assert_int_equal(hosts.n, 1);
	assert_int_equal(hosts.outcome, FOUND);
	assert_true(is_ok(delivery_hosts_find(&f->query, &f->arena, &hosts)));
	delivery_hosts_drop(&hosts, 2, 10); /* one equal host has been tried */
	assert_int_equal(hosts.n, 2);
	delivery_hosts_drop(&hosts, 0, 5);
	assert_int_equal(hosts.n, 0);
	assert_int_equal(hosts.outcome, FAILED);
	assert_true(hosts.loops);
	assert_string_equal(hosts.enhanced, "5.4.6");
}

static const struct address_case {
	const char *host;
	enum delivery_families families;
	const char *addresses;
	enum delivery_hosts_outcome outcome;
	enum dns_security security, final_security;
	bool own;
	const char *enhanced;
} address_cases[] = {
        {"a.two.example", DELIVERY_BOTH, "2001:db8::10 192.0.2.10", FOUND, DNS_SECURE, DNS_SECURE,
         false, ""},
        {"a.two.example", DELIVERY_IPV4, "192.0.2.10", FOUND, DNS_SECURE, DNS_SECURE, false, ""},
        {"a.two.example", DELIVERY_IPV6, "2001:db8::10", FOUND, DNS_SECURE, DNS_SECURE, false, ""},
        {"mxalias.example", DELIVERY_BOTH, "2001:db8::10 192.0.2.10", FOUND, DNS_INSECURE,
         DNS_SECURE, false, ""},
        {"v4.example", DELIVERY_BOTH, "192.0.2.4", FOUND, DNS_INSECURE, DNS_INSECURE, false, ""},
        {"half.example", DELIVERY_BOTH, "192.0.2.5", FOUND, DNS_INSECURE, DNS_INSECURE, false, ""},
        {"loop.example", DELIVERY_BOTH, "127.0.0.1", FOUND, DNS_INSECURE, DNS_INSECURE, false, ""},
        {"mail.us.example", DELIVERY_BOTH, "192.0.2.99", FOUND, DNS_INSECURE, DNS_INSECURE, true,
         ""},
        {"v4.example", DELIVERY_IPV6, "", FAILED, 0, 0, false, "5.4.4"},
        {"v6.example", DELIVERY_IPV4, "", FAILED, 0, 0, false, "5.4.4"},
        {"gone.invalid", DELIVERY_BOTH, "", FAILED, 0, 0, false, "5.4.4"},
        {"nowhere.example", DELIVERY_BOTH, "", FAILED, 0, 0, false, "5.4.4"},
        {"dead.example", DELIVERY_BOTH, "", DEFERRED, 0, 0, false, "4.4.3"},
        {"halfdead.example", DELIVERY_BOTH, "", DEFERRED, 0, 0, false, "4.4.3"},
        {"halfdead.example", DELIVERY_IPV6, "", FAILED, 0, 0, false, "5.4.4"},
};

static void print_addresses(const struct delivery_addresses *addresses, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < addresses->n; i++) {
		char text[DELIVERY_IP_TEXT_MAX];
		delivery_ip_print(&addresses->v[i], text);
		buf_printf(out, "%s%s", i ? " " : "", text);
	}
}

static void each_host_has_its_addresses(void **state)
{
	struct fixture *f = *state;
	struct buf text;
	size_t n_failed = 0;
	buf_init(&text, 10000);
	for (size_t i = 0; i < N_ELEMENTS(address_cases); i++) {
		const struct address_case *c = &address_cases[i];
		const struct delivery_host host = {.name = c->host};
		struct delivery_addresses addresses;
		f->query.families = c->families;
		assert_true(
		        is_ok(delivery_addresses_find(&f->query, &host, &f->arena, &addresses)));
		print_addresses(&addresses, &text);
		bool found = addresses.outcome == FOUND;
		if (addresses.outcome != c->outcome ||
		    !slice_eq_str(buf_slice(&text), c->addresses) || addresses.own != c->own ||
		    strcmp(addresses.enhanced, c->enhanced) != 0 || !*addresses.why == !found ||
		    (found && (addresses.security != c->security ||
		               addresses.final_security != c->final_security))) {
			print_message("%s: %d [%s] %d %d %s %s\n", c->host, addresses.outcome,
			              buf_cstr(&text), addresses.security, addresses.final_security,
			              addresses.enhanced, addresses.why);
			n_failed++;
		}
	}
	buf_done(&text);
	assert_int_equal(n_failed, 0);
}

static void a_literal_is_its_own_address(void **state)
{
	struct fixture *f = *state;
	struct delivery_hosts hosts;
	struct delivery_addresses addresses;
	size_t n_lookups = f->table.n_lookups;
	f->query.domain = SLICE("[IPv6:2001:db8::7]");
	assert_true(is_ok(delivery_hosts_find(&f->query, &f->arena, &hosts)));
	assert_true(is_ok(delivery_addresses_find(&f->query, &hosts.v[0], &f->arena, &addresses)));
	assert_int_equal(addresses.n, 1);
	assert_true(addresses.v[0].is_v6);
	f->query.families = DELIVERY_IPV4;
	assert_true(is_ok(delivery_addresses_find(&f->query, &hosts.v[0], &f->arena, &addresses)));
	assert_int_equal(addresses.n, 0);
	assert_int_equal(addresses.outcome, FAILED);
	assert_int_equal(f->table.n_lookups, n_lookups);
}

static void addresses_of_a_family_are_bounded(void **state)
{
	struct fixture *f = *state;
	const struct delivery_host host = {.name = "wide.example"};
	struct delivery_addresses addresses;
	for (unsigned i = 1; i < 100; i++) {
		char fact[100];
		snprintf(fact, sizeof(fact), "wide.example A 198.51.100.%u", i);
		dns_table_add(&f->table, fact);
		snprintf(fact, sizeof(fact), "wide.example AAAA 2001:db8::%u", i);
		dns_table_add(&f->table, fact);
	}
	assert_true(is_ok(delivery_addresses_find(&f->query, &host, &f->arena, &addresses)));
	assert_int_equal(addresses.n, DELIVERY_ADDRESSES_MAX);
	size_t n_v6 = 0;
	for (size_t i = 0; i < addresses.n; i++)
		n_v6 += addresses.v[i].is_v6;
	assert_int_equal(n_v6, DELIVERY_ADDRESSES_MAX / 2);
}

static void a_small_arena_is_a_limit(void **state)
{
	struct fixture *f = *state;
	f->query.domain = SLICE("equal.example");
	for (size_t budget = 0; budget < 3000; budget += 16) {
		struct arena arena;
		struct delivery_hosts hosts;
		arena_init(&arena, budget);
		struct status status = delivery_hosts_find(&f->query, &arena, &hosts);
		assert_true(status.code == ERR_LIMIT || (is_ok(status) && hosts.n == 4));
		arena_done(&arena);
	}
}

static void literals_have_brackets_and_a_tag(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
	                                  "[",
	                                  "]",
	                                  "[]",
	                                  "192.0.2.1",
	                                  "[192.0.2.1",
	                                  "[IPv6:]",
	                                  "[IPv6:::g]",
	                                  "[::1]",
	                                  "[IPv6:1]",
	                                  "[1.2.3.4.5]",
	                                  "[ 1.2.3.4]",
	                                  "[IPv6:fe80::1%eth0]"};
	struct delivery_ip ip;
	assert_true(delivery_literal_parse(SLICE("[192.0.2.1]"), &ip) && !ip.is_v6);
	assert_true(delivery_literal_parse(SLICE("[ipv6:::1]"), &ip) && ip.is_v6);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_false(delivery_literal_parse(slice_str(bad[i]), &ip));
	assert_false(delivery_literal_parse(SLICE("[192.0.2.1\0]"), &ip));
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(each_domain_has_its_hosts),
	        WITH_FIXTURE(hosts_of_one_preference_are_shuffled),
	        WITH_FIXTURE(many_hosts_are_cut_at_the_worst),
	        WITH_FIXTURE(a_host_that_is_ours_ends_the_list),
	        WITH_FIXTURE(each_host_has_its_addresses),
	        WITH_FIXTURE(a_literal_is_its_own_address),
	        WITH_FIXTURE(addresses_of_a_family_are_bounded),
	        WITH_FIXTURE(a_small_arena_is_a_limit),
	        cmocka_unit_test(literals_have_brackets_and_a_tag),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
