/* From facts of the DNS to what DANE demands of each mail server, and which questions are asked for
 * it. */
#include "delivery/dane.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define D32 "0000000000000000000000000000000000000000000000000000000000000000"
#define D64 D32 D32

static const char facts[] =
        /* all is signed */
        "good.example MX 10 mx.good.example secure\n"
        "mx.good.example A 192.0.2.1 secure\n"
        "mx.good.example AAAA 2001:db8::1 secure\n"
        "_25._tcp.mx.good.example TLSA 3 1 1 " D32 " secure\n"
        "_25._tcp.mx.good.example TLSA 2 0 1 " D32 " secure\n"
        "_25._tcp.mx.good.example TLSA 1 1 1 " D32 " secure\n"
        "_2525._tcp.mx.good.example TLSA 3 1 1 " D32 " secure\n"
        /* the MX records are not */
        "plainmx.example MX 10 mx.good.example\n"
        "aliasofgood.example CNAME good.example\n" /* insecure alias of a secure domain */
        "secalias.example CNAME good.example secure\n"
        /* the host's addresses are not */
        "plainhost.example MX 10 mx.plain.example secure\n"
        "mx.plain.example A 192.0.2.2\n"
        "_25._tcp.mx.plain.example TLSA servfail\n"
        /* no records, proven and not */
        "none.example MX 10 mx.none.example secure\n"
        "mx.none.example A 192.0.2.3 secure\n"
        "_25._tcp.mx.none.example TLSA nxdomain secure\n"
        "unproven.example MX 10 mx.unproven.example secure\n"
        "mx.unproven.example A 192.0.2.3 secure\n"
        "nodata.example MX 10 mx.nodata.example secure\n"
        "mx.nodata.example A 192.0.2.3 secure\n"
        "_25._tcp.mx.nodata.example TLSA nodata secure\n"
        "insecuretlsa.example MX 10 mx.insecuretlsa.example secure\n"
        "mx.insecuretlsa.example A 192.0.2.3 secure\n"
        "_25._tcp.mx.insecuretlsa.example TLSA 3 1 1 " D32 "\n"
        /* lookups that fail */
        "fails.example MX 10 mx.fails.example secure\n"
        "mx.fails.example A 192.0.2.4 secure\n"
        "_25._tcp.mx.fails.example TLSA servfail\n"
        "bogus.example MX 10 mx.bogus.example secure\n"
        "mx.bogus.example A 192.0.2.4 secure\n"
        "_25._tcp.mx.bogus.example TLSA bogus\n"
        "slow.example MX 10 mx.slow.example secure\n"
        "mx.slow.example A 192.0.2.4 secure\n"
        "_25._tcp.mx.slow.example TLSA timeout\n"
        "refused.example MX 10 mx.refused.example secure\n"
        "mx.refused.example A 192.0.2.4 secure\n"
        "_25._tcp.mx.refused.example TLSA refused\n"
        /* records that nobody can use */
        "useless.example MX 10 mx.useless.example secure\n"
        "mx.useless.example A 192.0.2.5 secure\n"
        "_25._tcp.mx.useless.example TLSA 0 0 1 " D32 " secure\n"
        "_25._tcp.mx.useless.example TLSA 1 1 1 " D32 " secure\n"
        "_25._tcp.mx.useless.example TLSA 3 1 1 00 secure\n"
        "_25._tcp.mx.useless.example TLSA 3 1 7 " D32 " secure\n"
        "_25._tcp.mx.useless.example TLSA 3 2 1 " D32 " secure\n"
        "_25._tcp.mx.useless.example TLSA 9 1 1 " D32 " secure\n"
        /* digests outdone by stronger ones still are usable records */
        "agile.example MX 10 mx.agile.example secure\n"
        "mx.agile.example A 192.0.2.5 secure\n"
        "_25._tcp.mx.agile.example TLSA 3 1 1 " D32 " secure\n"
        "_25._tcp.mx.agile.example TLSA 3 1 2 " D64 " secure\n"
        /* hosts that are aliases */
        "a1.example MX 10 alias.a1.example secure\n"
        "alias.a1.example CNAME real.a1.example secure\n"
        "real.a1.example A 192.0.2.6 secure\n"
        "_25._tcp.real.a1.example TLSA 3 1 1 " D32 " secure\n"
        "_25._tcp.alias.a1.example TLSA 3 1 2 " D64 " secure\n"
        "a2.example MX 10 alias.a2.example secure\n" /* records at the alias only */
        "alias.a2.example CNAME real.a2.example secure\n"
        "real.a2.example A 192.0.2.6 secure\n"
        "_25._tcp.alias.a2.example TLSA 3 1 1 " D32 " secure\n"
        "a3.example MX 10 alias.a3.example secure\n" /* leads out of the signed world */
        "alias.a3.example CNAME real.a3.test secure\n"
        "real.a3.test A 192.0.2.6\n"
        "_25._tcp.real.a3.test TLSA servfail\n"
        "_25._tcp.alias.a3.example TLSA 3 1 1 " D32 " secure\n"
        "a4.example MX 10 alias.a4.test secure\n" /* an insecure alias of a signed host */
        "alias.a4.test CNAME real.a4.example\n"
        "real.a4.example A 192.0.2.6 secure\n"
        "_25._tcp.real.a4.example TLSA 3 1 1 " D32 " secure\n"
        "_25._tcp.alias.a4.test TLSA servfail\n"
        "a5.example MX 10 alias.a5.example secure\n" /* insecure in the middle */
        "alias.a5.example CNAME middle.a5.test secure\n"
        "middle.a5.test CNAME real.a5.example\n"
        "real.a5.example A 192.0.2.6 secure\n"
        "_25._tcp.real.a5.example TLSA 3 1 1 " D32 " secure\n"
        "_25._tcp.middle.a5.test TLSA 3 1 1 " D32 " secure\n"
        "_25._tcp.alias.a5.example TLSA nodata secure\n"
        "a6.example MX 10 alias.a6.example secure\n" /* the first candidate fails */
        "alias.a6.example CNAME real.a6.example secure\n"
        "real.a6.example A 192.0.2.6 secure\n"
        "_25._tcp.real.a6.example TLSA bogus\n"
        "_25._tcp.alias.a6.example TLSA 3 1 1 " D32 " secure\n"
        "a7.example MX 10 alias.a7.example secure\n" /* insecure records at the end */
        "alias.a7.example CNAME real.a7.example secure\n"
        "real.a7.example A 192.0.2.6 secure\n"
        "_25._tcp.real.a7.example TLSA 3 1 1 " D32 "\n"
        "_25._tcp.alias.a7.example TLSA 3 1 1 " D32 " secure\n"
        "a8.example MX 10 alias.a8.example secure\n" /* two steps, nothing in the middle */
        "alias.a8.example CNAME middle.a8.example secure\n"
        "middle.a8.example CNAME real.a8.example secure\n"
        "real.a8.example A 192.0.2.6 secure\n"
        "_25._tcp.middle.a8.example TLSA 3 1 1 " D32 " secure\n"
        /* TLSA records behind aliases of their own */
        "t1.example MX 10 mx.t1.example secure\n"
        "mx.t1.example A 192.0.2.7 secure\n"
        "_25._tcp.mx.t1.example CNAME tlsa._dane.t1.example secure\n"
        "tlsa._dane.t1.example TLSA 2 0 1 " D32 " secure\n"
        "t2.example MX 10 mx.t2.example secure\n" /* an insecure one */
        "mx.t2.example A 192.0.2.7 secure\n"
        "_25._tcp.mx.t2.example CNAME tlsa.t1.test\n"
        "tlsa.t1.test TLSA 2 0 1 " D32 " secure\n"
        "t3.example MX 10 mx.t3.example secure\n" /* to a broken one */
        "mx.t3.example A 192.0.2.7 secure\n"
        "_25._tcp.mx.t3.example CNAME _25._tcp.mx.bogus.example secure\n"
        /* no MX records */
        "self.example A 192.0.2.8 secure\n"
        "self.example MX nodata secure\n"
        "_25._tcp.self.example TLSA 3 1 1 " D32 " secure\n"
        "selfplain.test A 192.0.2.8\n"
        "_25._tcp.selfplain.test TLSA servfail\n"
        "s1.example CNAME self.example secure\n"
        "s2.example CNAME real.s2.test secure\n" /* signed alias of an unsigned host */
        "real.s2.test A 192.0.2.8\n"
        "_25._tcp.s2.example TLSA 3 1 1 " D32 " secure\n"
        "_25._tcp.real.s2.test TLSA servfail\n"
        "s3.test CNAME self.example\n"
        "_25._tcp.s3.test TLSA servfail\n"
        "s4.example CNAME s4real.example secure\n"
        "s4real.example A 192.0.2.8 secure\n"
        "s4real.example MX nodata secure\n"
        "_25._tcp.s4.example TLSA 2 1 1 " D32 " secure\n"
        /* addresses of one family that cannot be looked up */
        "half.example MX 10 mx.half.example secure\n"
        "mx.half.example A 192.0.2.9 secure\n"
        "mx.half.example AAAA bogus\n"
        "_25._tcp.mx.half.example TLSA 3 1 1 " D32 " secure\n"
        "mixed.example MX 10 mx.mixed.example secure\n" /* the weaker family counts */
        "mx.mixed.example A 192.0.2.9 secure\n"
        "mx.mixed.example AAAA 2001:db8::9\n"
        "_25._tcp.mx.mixed.example TLSA 3 1 1 " D32 " secure\n"
        /* the domain's own aliases: reference names */
        "exchange.example.org CNAME mail.example.org secure\n"
        "mail.example.org CNAME example.com secure\n"
        "example.com MX 10 mx10.example.com secure\n"
        "mx10.example.com A 192.0.2.10 secure\n"
        "_25._tcp.mx10.example.com TLSA 2 0 1 " D32 " secure\n";

#define NONE     DELIVERY_DANE_NONE
#define UNUSABLE DELIVERY_DANE_UNUSABLE
#define USABLE   DELIVERY_DANE_USABLE
#define FAILED   DELIVERY_DANE_FAILED

static const struct dane_case {
	const char *domain;
	enum delivery_dane_state state;
	const char *names; /* reference names, the base first */
	const char *asked; /* TLSA questions */
	const char *why;   /* part of the conclusion */
	size_t n_usable;
} cases[] = {
        {"good.example", USABLE, "mx.good.example good.example", "_25._tcp.mx.good.example",
         "2 of 3 usable", 2},
        {"GOOD.Example.", USABLE, "mx.good.example good.example", "_25._tcp.mx.good.example",
         "2 of 3 usable", 2},
        {"secalias.example", USABLE, "mx.good.example secalias.example good.example",
         "_25._tcp.mx.good.example", "2 of 3 usable", 2},
        {"exchange.example.org", USABLE, "mx10.example.com exchange.example.org example.com",
         "_25._tcp.mx10.example.com", "1 of 1 usable", 1},
        {"agile.example", USABLE, "mx.agile.example agile.example", "_25._tcp.mx.agile.example",
         "1 of 2 usable", 1},
        {"t1.example", USABLE, "mx.t1.example t1.example", "_25._tcp.mx.t1.example",
         "1 of 1 usable", 1},
        {"half.example", USABLE, "mx.half.example half.example", "_25._tcp.mx.half.example",
         "1 of 1 usable", 1},
        /* aliases */
        {"a1.example", USABLE, "real.a1.example a1.example", "_25._tcp.real.a1.example",
         "1 of 1 usable", 1},
        {"a2.example", USABLE, "alias.a2.example a2.example",
         "_25._tcp.real.a2.example _25._tcp.alias.a2.example", "1 of 1 usable", 1},
        {"a3.example", USABLE, "alias.a3.example a3.example", "_25._tcp.alias.a3.example",
         "1 of 1 usable", 1},
        {"a4.example", NONE, "", "", "no DANE", 0},
        {"a5.example", NONE, "", "_25._tcp.alias.a5.example", "no DANE", 0},
        {"a6.example", FAILED, "", "_25._tcp.real.a6.example", "bogus", 0},
        {"a7.example", USABLE, "alias.a7.example a7.example",
         "_25._tcp.real.a7.example _25._tcp.alias.a7.example", "1 of 1 usable", 1},
        {"a8.example", NONE, "", "_25._tcp.real.a8.example _25._tcp.alias.a8.example", "no DANE",
         0},
        /* the domain itself */
        {"self.example", USABLE, "self.example", "_25._tcp.self.example", "1 of 1 usable", 1},
        {"s1.example", USABLE, "self.example s1.example", "_25._tcp.self.example", "1 of 1 usable",
         1},
        {"s2.example", USABLE, "s2.example", "_25._tcp.s2.example", "1 of 1 usable", 1},
        {"s3.test", NONE, "", "", "no DANE", 0},
        {"s4.example", USABLE, "s4.example", "_25._tcp.s4real.example _25._tcp.s4.example",
         "1 of 1 usable", 1},
        {"selfplain.test", NONE, "", "", "no DANE", 0},
        /* none */
        {"plainmx.example", NONE, "", "", "no DANE", 0},
        {"aliasofgood.example", NONE, "", "", "no DANE", 0},
        {"plainhost.example", NONE, "", "", "no DANE", 0},
        {"mixed.example", NONE, "", "", "no DANE", 0},
        {"none.example", NONE, "", "_25._tcp.mx.none.example", "no DANE", 0},
        {"nodata.example", NONE, "", "_25._tcp.mx.nodata.example", "no DANE", 0},
        {"unproven.example", NONE, "", "_25._tcp.mx.unproven.example", "no DANE", 0},
        {"insecuretlsa.example", NONE, "", "_25._tcp.mx.insecuretlsa.example", "no DANE", 0},
        {"t2.example", NONE, "", "_25._tcp.mx.t2.example", "no DANE", 0},
        {"[192.0.2.1]", NONE, "", "", "no DANE", 0},
        {"[IPv6:2001:db8::1]", NONE, "", "", "no DANE", 0},
        /* TLS, whatever the certificate */
        {"useless.example", UNUSABLE, "mx.useless.example useless.example",
         "_25._tcp.mx.useless.example", "any certificate", 0},
        /* not known */
        {"fails.example", FAILED, "", "_25._tcp.mx.fails.example", "SERVFAIL", 0},
        {"bogus.example", FAILED, "", "_25._tcp.mx.bogus.example", "bogus", 0},
        {"slow.example", FAILED, "", "_25._tcp.mx.slow.example", "no answer", 0},
        {"refused.example", FAILED, "", "_25._tcp.mx.refused.example", "REFUSED", 0},
        {"t3.example", FAILED, "", "_25._tcp.mx.t3.example", "bogus", 0},
};

/* A table that writes down which TLSA questions it hears. */
struct fixture {
	struct dns_table table;
	struct dns_resolver resolver;
	struct buf asked;
	struct arena arena;
};

static struct status noting_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                   enum dns_type type, int timeout_ms, struct arena *arena,
                                   const struct dns_answer **ret_answer)
{
	struct fixture *f = resolver->context;
	if (type == DNS_TYPE_TLSA)
		buf_printf(&f->asked, "%s%s", f->asked.n ? " " : "", name.text);
	return dns_lookup_name(&f->table.resolver, name, type, timeout_ms, arena, ret_answer);
}

static int set_up(void **state)
{
	static const struct dns_resolver_ops ops = {.lookup = noting_lookup};
	struct fixture *f = base_alloc(sizeof(*f));
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	f->resolver = (struct dns_resolver){.ops = &ops, .context = f};
	buf_init(&f->asked, 1000);
	arena_init(&f->arena, DELIVERY_HOSTS_ARENA);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	dns_table_done(&f->table);
	buf_done(&f->asked);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

static struct status find(struct fixture *f, const char *domain, uint16_t port, struct arena *arena,
                          struct delivery_dane *dane)
{
	struct delivery_hosts *hosts = ARENA_NEW(arena, struct delivery_hosts);
	struct delivery_addresses *addresses = ARENA_NEW(arena, struct delivery_addresses);
	const struct delivery_query query = {.resolver = &f->resolver, .domain = slice_str(domain)};
	if (!hosts || !addresses)
		return (fail)(ERR_LIMIT, "");
	TRY(delivery_hosts_find(&query, arena, hosts));
	if (hosts->n == 0)
		return (fail)(ERR_NOT_FOUND, hosts->why);
	TRY(delivery_addresses_find(&query, &hosts->v[0], arena, addresses));
	if (addresses->n == 0)
		return (fail)(ERR_NOT_FOUND, addresses->why);
	buf_reset(&f->asked);
	const struct delivery_dane_query question = {.resolver = &f->resolver,
	                                             .hosts = hosts,
	                                             .host = &hosts->v[0],
	                                             .addresses = addresses,
	                                             .port = port};
	return delivery_dane_find(&question, arena, dane);
}

static void print_names(const struct delivery_dane *dane, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < dane->tls.n_names; i++)
		buf_printf(out, "%s%s", i ? " " : "", dane->tls.names[i]);
}

static void each_host_is_judged_by_the_letter(void **state)
{
	struct fixture *f = *state;
	struct buf names;
	size_t n_failed = 0;
	buf_init(&names, 1000);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct dane_case *c = &cases[i];
		struct delivery_dane dane;
		struct status status = find(f, c->domain, 25, &f->arena, &dane);
		if (!is_ok(status))
			fail_msg("%s: %s", c->domain, status.why);
		print_names(&dane, &names);
		if (dane.state != c->state || !slice_eq_str(buf_slice(&names), c->names) ||
		    !slice_eq_str(buf_slice(&f->asked), c->asked) || !strstr(dane.why, c->why) ||
		    dane.n_usable != c->n_usable) {
			print_message("%s: %s [%s] asked [%s] usable %zu: %s\n", c->domain,
			              delivery_dane_state_name(dane.state), buf_cstr(&names),
			              buf_cstr(&f->asked), dane.n_usable, dane.why);
			n_failed++;
		}
		assert_true(dane.n_steps > 0);
		assert_string_equal(dane.why, dane.steps[dane.n_steps - 1]);
		assert_int_equal(dane.state == USABLE || dane.state == UNUSABLE,
		                 dane.tls.n_records > 0);
		assert_string_equal(dane.base, dane.tls.n_names ? dane.tls.names[0] : "");
	}
	buf_done(&names);
	assert_int_equal(n_failed, 0);
}

static void the_port_is_part_of_the_question(void **state)
{
	struct fixture *f = *state;
	struct delivery_dane dane;
	assert_true(is_ok(find(f, "good.example", 2525, &f->arena, &dane)));
	assert_string_equal(buf_cstr(&f->asked), "_2525._tcp.mx.good.example");
	assert_int_equal(dane.tls.n_records, 1);
	assert_true(is_ok(find(f, "good.example", 465, &f->arena, &dane)));
	assert_int_equal(dane.state, NONE);
}

static void every_answer_is_evidence(void **state)
{
	struct fixture *f = *state;
	struct delivery_dane dane;
	static const enum dns_type types[] = {DNS_TYPE_MX, DNS_TYPE_AAAA, DNS_TYPE_A, DNS_TYPE_TLSA,
	                                      DNS_TYPE_TLSA};
	assert_true(is_ok(find(f, "a2.example", 25, &f->arena, &dane)));
	assert_int_equal(dane.n_answers, N_ELEMENTS(types));
	for (size_t i = 0; i < dane.n_answers; i++)
		assert_int_equal(dane.answers[i]->type, types[i]);
	assert_ptr_equal(dane.tlsa, dane.answers[4]);
	assert_true(is_ok(find(f, "bogus.example", 25, &f->arena, &dane)));
	assert_int_equal(dane.tlsa->security, DNS_BOGUS);
	assert_int_equal(dane.tlsa->ede_code, 6);
	assert_string_equal(dane.steps[0], "the MX records of bogus.example are secure");
	assert_string_equal(dane.steps[1], "the addresses of mx.bogus.example are secure");
	assert_non_null(
	        strstr(dane.steps[2], "_25._tcp.mx.bogus.example cannot be looked up (bogus)"));
}

static void findings_say_which_records_count(void **state)
{
	struct fixture *f = *state;
	struct delivery_dane dane;
	assert_true(is_ok(find(f, "good.example", 25, &f->arena, &dane)));
	assert_int_equal(dane.findings[0].kind, TLS_TLSA_UNTRIED);
	assert_int_equal(dane.findings[1].kind, TLS_TLSA_UNTRIED);
	assert_int_equal(dane.findings[2].kind, TLS_TLSA_UNUSABLE);
	assert_true(is_ok(find(f, "agile.example", 25, &f->arena, &dane)));
	assert_int_equal(dane.findings[0].kind, TLS_TLSA_OUTDONE);
	assert_true(is_ok(find(f, "useless.example", 25, &f->arena, &dane)));
	for (size_t i = 0; i < dane.tls.n_records; i++)
		assert_int_equal(dane.findings[i].kind, TLS_TLSA_UNUSABLE);
}

/* One that a config names: no MX record led to it (RFC 7672 section 2.2.2). */
static void a_configured_host_needs_no_mx_records(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *host;
		enum delivery_dane_state state;
		const char *names;
	} hosts[] = {
	        {"mx.good.example", USABLE, "mx.good.example"},
	        {"MX.Good.Example", USABLE, "MX.Good.Example"},
	        {"alias.a1.example", USABLE, "real.a1.example alias.a1.example"},
	        {"alias.a3.example", USABLE, "alias.a3.example"},
	        {"mx.plain.example", NONE, ""},
	        {"mx.fails.example", FAILED, ""},
	};
	struct buf names;
	buf_init(&names, 1000);
	for (size_t i = 0; i < N_ELEMENTS(hosts); i++) {
		const struct delivery_query query = {.resolver = &f->resolver};
		const struct delivery_host host = {.name = hosts[i].host};
		struct delivery_addresses addresses;
		struct delivery_dane dane;
		assert_true(is_ok(delivery_addresses_find(&query, &host, &f->arena, &addresses)));
		const struct delivery_dane_query question = {.resolver = &f->resolver,
		                                             .host = &host,
		                                             .addresses = &addresses,
		                                             .port = 25};
		assert_true(is_ok(delivery_dane_find(&question, &f->arena, &dane)));
		print_names(&dane, &names);
		assert_int_equal(dane.state, hosts[i].state);
		assert_string_equal(buf_cstr(&names), hosts[i].names);
	}
	buf_done(&names);
}

/* --- bad input --- */

static void a_name_without_room_for_a_prefix_has_no_records(void **state)
{
	struct fixture *f = *state;
	struct buf host, fact;
	struct delivery_dane dane;
	buf_init(&host, 300);
	buf_init(&fact, 1000);
	for (unsigned i = 0; i < 62; i++)
		buf_add_str(&host, "abc."); /* 4 bytes each on the wire */
	buf_add_str(&host, "abcd");
	buf_printf(&fact, "long.example MX 10 %s secure\n%s A 192.0.2.1 secure\n", buf_cstr(&host),
	           buf_cstr(&host));
	dns_table_add_lines(&f->table, buf_cstr(&fact));
	assert_true(is_ok(find(f, "long.example", 25, &f->arena, &dane)));
	assert_int_equal(dane.state, NONE);
	assert_string_equal(buf_cstr(&f->asked), "");
	buf_done(&host);
	buf_done(&fact);
}

static void a_thousand_records_and_a_thousand_hosts_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct delivery_dane dane;
	char fact[200];
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(fact, sizeof(fact), "many.example MX %u h%u.many.example secure", i, i);
		dns_table_add(&f->table, fact);
		snprintf(fact, sizeof(fact), "_25._tcp.h0.many.example TLSA 3 1 1 %064x secure", i);
		dns_table_add(&f->table, fact);
	}
	dns_table_add(&f->table, "h0.many.example A 192.0.2.1 secure");
	assert_true(is_ok(find(f, "many.example", 25, &f->arena, &dane)));
	assert_int_equal(dane.state, USABLE);
	assert_int_equal(dane.n_usable, 1000);
	assert_true(dane.n_steps < DELIVERY_DANE_STEPS_MAX);
}

static void a_small_arena_is_a_limit(void **state)
{
	struct fixture *f = *state;
	size_t n_good = 0;
	for (size_t budget = 0; budget < 60000; budget += budget < 30000 ? 128 : 1024) {
		struct arena arena;
		struct delivery_dane dane;
		arena_init(&arena, budget);
		struct status status = find(f, "a2.example", 25, &arena, &dane);
		assert_true(status.code == ERR_LIMIT || is_ok(status));
		if (is_ok(status)) {
			assert_int_equal(dane.state, USABLE);
			n_good++;
		}
		arena_done(&arena);
	}
	assert_true(n_good > 0);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(each_host_is_judged_by_the_letter),
	        WITH_FIXTURE(the_port_is_part_of_the_question),
	        WITH_FIXTURE(every_answer_is_evidence),
	        WITH_FIXTURE(findings_say_which_records_count),
	        WITH_FIXTURE(a_configured_host_needs_no_mx_records),
	        WITH_FIXTURE(a_name_without_room_for_a_prefix_has_no_records),
	        WITH_FIXTURE(a_thousand_records_and_a_thousand_hosts_are_bounded),
	        WITH_FIXTURE(a_small_arena_is_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
