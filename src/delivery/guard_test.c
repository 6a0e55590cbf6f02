/* From facts of the DNS and a policy to the target of a connection, and from sessions to reports.
 */
#include "delivery/guard.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define D32 "0000000000000000000000000000000000000000000000000000000000000000"

static const char facts[] = "signed.example MX 10 mx.signed.example secure\n"
                            "mx.signed.example CNAME real.signed.example secure\n"
                            "real.signed.example A 192.0.2.1 secure\n"
                            "_25._tcp.real.signed.example TLSA 3 1 1 " D32 " secure\n"
                            "plain.example MX 10 mx.plain.example\n"
                            "mx.plain.example A 192.0.2.2\n"
                            "broken.example MX 10 mx.broken.example secure\n"
                            "mx.broken.example A 192.0.2.3 secure\n"
                            "_25._tcp.mx.broken.example TLSA bogus\n";

struct fixture {
	struct dns_table table;
	struct arena arena;
	struct delivery_hosts hosts;
	struct delivery_addresses addresses;
	struct mtasts_found found;
	struct delivery_guard_query query;
	struct delivery_guard guard;
	struct delivery_tls_facts facts;
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	arena_init(&f->arena, DELIVERY_HOSTS_ARENA);
	f->query = (struct delivery_guard_query){.resolver = &f->table.resolver,
	                                         .hosts = &f->hosts,
	                                         .port = 25,
	                                         .floor = DELIVERY_FLOOR_OPPORTUNISTIC};
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

static void find(struct fixture *f, const char *domain)
{
	const struct delivery_query query = {.resolver = &f->table.resolver,
	                                     .domain = slice_str(domain)};
	assert_true(is_ok(delivery_hosts_find(&query, &f->arena, &f->hosts)));
	assert_true(
	        is_ok(delivery_addresses_find(&query, &f->hosts.v[0], &f->arena, &f->addresses)));
	assert_true(is_ok(delivery_guard_find(&f->query, &f->hosts.v[0], &f->addresses, &f->arena,
	                                      &f->guard)));
}

static void set_policy(struct fixture *f, const char *body)
{
	struct mtasts_entry *entry = &f->found.entry;
	entry->domain = "plain.example";
	entry->body = slice_str(body);
	assert_true(is_ok(mtasts_policy_parse(entry->body, &f->arena, &entry->policy)));
	entry->state = (struct mtasts_state){.has_policy = true, .mode = entry->policy.mode};
	f->found.use = MTASTS_USE_POLICY;
	f->query.sts = &f->found;
}

#define POLICY(mode, mx) "version: STSv1\nmode: " mode "\nmx: " mx "\nmax_age: 1000\n"

static void dane_names_the_base_and_authorities_the_host(void **state)
{
	struct fixture *f = *state;
	set_policy(f, POLICY("enforce", "mx.signed.example"));
	find(f, "signed.example");
	struct tls_target target = delivery_guard_target(&f->guard, "s");
	assert_string_equal(target.pkix_name, "mx.signed.example");
	assert_string_equal(target.dane->names[0], "real.signed.example");
	assert_true(target.verified && target.dane_required);
	assert_string_equal(target.session, "s");
}

static void without_demands_nothing_is_required(void **state)
{
	struct fixture *f = *state;
	find(f, "plain.example");
	struct tls_target target = delivery_guard_target(&f->guard, NULL);
	assert_string_equal(target.name, "mx.plain.example");
	assert_null(target.dane);
	assert_false(target.verified || target.dane_required);
	f->query.wish = DELIVERY_WISH_OPTIONAL;
	find(f, "signed.example"); /* compared all the same, for reports */
	target = delivery_guard_target(&f->guard, NULL);
	assert_non_null(target.dane);
	assert_false(target.verified || target.dane_required);
}

static void a_transport_in_clear_asks_for_no_records(void **state)
{
	struct fixture *f = *state;
	f->query.floor = DELIVERY_FLOOR_CLEAR;
	find(f, "broken.example");
	assert_int_equal(f->guard.security.way, DELIVERY_WAY_OPEN);
	const struct delivery_tls_session session = {.progress = DELIVERY_TLS_NOT_OFFERED,
	                                             .why = "",
	                                             .host = "mx.broken.example",
	                                             .address = "",
	                                             .helo = ""};
	delivery_guard_report(&f->guard, &session, &f->facts, &f->arena);
	assert_int_equal(f->facts.n, 0);
}

static void a_configured_host_is_proven(void **state)
{
	struct fixture *f = *state;
	const struct delivery_query query = {.resolver = &f->table.resolver};
	const struct delivery_host host = {.name = "mx.plain.example"};
	f->query.hosts = NULL;
	f->query.wish = DELIVERY_WISH_REQUIRED;
	assert_true(is_ok(delivery_addresses_find(&query, &host, &f->arena, &f->addresses)));
	assert_true(
	        is_ok(delivery_guard_find(&f->query, &host, &f->addresses, &f->arena, &f->guard)));
	assert_int_equal(f->guard.security.way, DELIVERY_WAY_OPEN);
	assert_true(f->guard.security.pkix_required);
	assert_string_equal(f->guard.domain, "mx.plain.example");
}

static void sessions_are_reported_under_what_applies(void **state)
{
	static const struct {
		const char *domain, *policy;
		enum delivery_tls_progress progress;
		const char *types; /* of facts: s, t, n, in upper case where it is a failure */
	} cases[] = {
	        {"plain.example", NULL, DELIVERY_TLS_DONE, "n"},
	        {"plain.example", NULL, DELIVERY_TLS_NOT_OFFERED, "N"},
	        {"plain.example", NULL, DELIVERY_TLS_NOT_CONNECTED, ""},
	        {"plain.example", POLICY("none", "x"), DELIVERY_TLS_DONE, "n"},
	        {"plain.example", POLICY("testing", "mx.plain.example"), DELIVERY_TLS_DONE, "s"},
	        {"plain.example", POLICY("testing", "other"), DELIVERY_TLS_DONE, "S"},
	        {"plain.example", POLICY("enforce", "other"), DELIVERY_TLS_NOT_CONNECTED, "S"},
	        {"plain.example", POLICY("enforce", "mx.plain.example"), DELIVERY_TLS_NOT_CONNECTED,
	         ""},
	        {"signed.example", NULL, DELIVERY_TLS_DONE, "t"},
	        {"signed.example", NULL, DELIVERY_TLS_NO_HANDSHAKE, "T"},
	        {"signed.example", POLICY("enforce", "mx.signed.example"), DELIVERY_TLS_DONE, "st"},
	        {"signed.example", POLICY("enforce", "mx.signed.example"), DELIVERY_TLS_NOT_OFFERED,
	         "ST"},
	        {"broken.example", NULL, DELIVERY_TLS_NOT_CONNECTED, "T"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct tls_check good = {.made = true, .good = true, .why = "", .code = ""};
		const struct tls_check none = {.why = "", .code = ""};
		bool done = cases[i].progress == DELIVERY_TLS_DONE;
		const struct delivery_tls_session session = {
		        .progress = cases[i].progress,
		        .verdict = {.pkix = done ? good : none, .dane = done ? good : none},
		        .why = "",
		        .host = "h",
		        .address = "",
		        .helo = ""};
		char types[10] = "";
		f->facts.n = 0;
		f->query.sts = NULL;
		if (cases[i].policy)
			set_policy(f, cases[i].policy);
		find(f, cases[i].domain);
		delivery_guard_report(&f->guard, &session, &f->facts, &f->arena);
		for (size_t j = 0; j < f->facts.n; j++) {
			const struct delivery_tls_fact *fact = &f->facts.v[j];
			bool is_failure = fact->result != DELIVERY_TLS_SUCCESS;
			types[j] = (is_failure ? "NST" : "nst")[fact->policy.type];
		}
		assert_string_equal(types, cases[i].types);
	}
}

static void only_what_was_demanded_protects(void **state)
{
#define ENFORCE(mx) POLICY("enforce", mx)
	enum { NOTHING, PKIX, DANE, BOTH };
	static const struct {
		const char *domain, *policy;
		enum delivery_wish wish;
		enum delivery_floor floor;
		enum delivery_tls_progress progress;
		int good;
		const char *protection;
	} cases[] = {
	        {"plain.example", NULL, 0, DELIVERY_FLOOR_OPPORTUNISTIC, DELIVERY_TLS_NOT_OFFERED,
	         NOTHING, "clear"},
	        {"plain.example", NULL, 0, DELIVERY_FLOOR_CLEAR, DELIVERY_TLS_NOT_CONNECTED,
	         NOTHING, "clear"},
	        {"plain.example", NULL, 0, DELIVERY_FLOOR_OPPORTUNISTIC, DELIVERY_TLS_NO_HANDSHAKE,
	         PKIX, "clear"},
	        {"plain.example", NULL, 0, DELIVERY_FLOOR_OPPORTUNISTIC, DELIVERY_TLS_DONE, NOTHING,
	         "unverified"},
	        {"plain.example", NULL, 0, DELIVERY_FLOOR_OPPORTUNISTIC, DELIVERY_TLS_DONE, PKIX,
	         "unverified"},
	        {"plain.example", POLICY("testing", "mx.plain.example"), 0,
	         DELIVERY_FLOOR_OPPORTUNISTIC, DELIVERY_TLS_DONE, PKIX, "unverified"},
	        {"plain.example", ENFORCE("mx.plain.example"), 0, DELIVERY_FLOOR_OPPORTUNISTIC,
	         DELIVERY_TLS_DONE, PKIX, "mta-sts"},
	        {"plain.example", ENFORCE("mx.plain.example"), DELIVERY_WISH_OPTIONAL,
	         DELIVERY_FLOOR_OPPORTUNISTIC, DELIVERY_TLS_DONE, PKIX, "unverified"},
	        {"plain.example", NULL, 0, DELIVERY_FLOOR_VERIFIED, DELIVERY_TLS_DONE, PKIX,
	         "authorities"},
	        {"signed.example", NULL, 0, DELIVERY_FLOOR_OPPORTUNISTIC, DELIVERY_TLS_DONE, DANE,
	         "dane"},
	        {"signed.example", NULL, 0, DELIVERY_FLOOR_OPPORTUNISTIC, DELIVERY_TLS_DONE, BOTH,
	         "dane"},
	        {"signed.example", NULL, DELIVERY_WISH_REQUIRED, DELIVERY_FLOOR_OPPORTUNISTIC,
	         DELIVERY_TLS_DONE, DANE, "dane"},
	        {"signed.example", ENFORCE("mx.signed.example"), 0, DELIVERY_FLOOR_OPPORTUNISTIC,
	         DELIVERY_TLS_DONE, BOTH, "dane and mta-sts"},
	        {"signed.example", NULL, DELIVERY_WISH_OPTIONAL, DELIVERY_FLOOR_OPPORTUNISTIC,
	         DELIVERY_TLS_DONE, DANE, "unverified"},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct delivery_tls_session session = {
		        .progress = cases[i].progress,
		        .verdict = {.pkix.good = (cases[i].good & PKIX) != 0,
		                    .dane.good = (cases[i].good & DANE) != 0}};
		f->query.sts = NULL;
		f->query.wish = cases[i].wish;
		f->query.floor = cases[i].floor;
		if (cases[i].policy)
			set_policy(f, cases[i].policy);
		find(f, cases[i].domain);
		assert_string_equal(
		        delivery_protection_name(delivery_guard_protection(&f->guard, &session)),
		        cases[i].protection);
	}
}

static void all_demands_are_told(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, SIZE_MAX);
	set_policy(f, POLICY("enforce", "mx.signed.example"));
	find(f, "signed.example");
	delivery_guard_print(&f->guard, &text);
	assert_string_equal(buf_cstr(&text),
	                    "TLSA records (DANE) demand TLS and a certificate that fits them; "
	                    "the domain's MTA-STS policy (enforce) demands TLS and a certificate "
	                    "that authorities vouch for");
}

static void fetches_are_reported_but_for_mode_none(void **state)
{
	struct fixture *f = *state;
	set_policy(f, POLICY("enforce", "x"));
	delivery_guard_report_fetch(&f->found, &f->facts, &f->arena);
	assert_int_equal(f->facts.n, 0);
	f->found.fetch = (struct mtasts_fetch){
	        .made = true, .result = DELIVERY_TLS_STS_POLICY_FETCH_ERROR, .why = "why"};
	delivery_guard_report_fetch(&f->found, &f->facts, &f->arena);
	assert_int_equal(f->facts.n, 1);
	assert_int_equal(f->facts.v[0].policy.type, DELIVERY_TLS_POLICY_STS);
	f->found.use = MTASTS_USE_NOTHING; /* it has expired */
	f->facts.n = 0;
	delivery_guard_report_fetch(&f->found, &f->facts, &f->arena);
	assert_int_equal(f->facts.v[0].policy.type, DELIVERY_TLS_POLICY_NONE);
	set_policy(f, POLICY("none", "x"));
	delivery_guard_report_fetch(&f->found, &f->facts, &f->arena);
	assert_int_equal(f->facts.n, 1);
	f->found.entry = (struct mtasts_entry){.domain = "plain.example"};
	f->found.use = MTASTS_USE_NOTHING;
	delivery_guard_report_fetch(&f->found, &f->facts, &f->arena);
	assert_int_equal(f->facts.n, 2);
	assert_int_equal(f->facts.v[1].policy.type, DELIVERY_TLS_POLICY_NONE);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(dane_names_the_base_and_authorities_the_host),
	        WITH_FIXTURE(without_demands_nothing_is_required),
	        WITH_FIXTURE(a_transport_in_clear_asks_for_no_records),
	        WITH_FIXTURE(a_configured_host_is_proven),
	        WITH_FIXTURE(sessions_are_reported_under_what_applies),
	        WITH_FIXTURE(only_what_was_demanded_protects),
	        WITH_FIXTURE(all_demands_are_told),
	        WITH_FIXTURE(fetches_are_reported_but_for_mode_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
