/* Evaluation, on tables of DNS facts: results, what they rest on, limits. */
#include "mailauth/spf.h"

#include "dns/table.h"
#include "mailauth/spf_advice.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static int64_t test_now_us(const struct clock *clock)
{
	(void)clock;
	return 1700000000 * (int64_t)1000000;
}

static int64_t now_ms;

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
	struct spf_args args;
	uint8_t ip[16];
	struct spf_result result;
};

static void begin(struct fixture *f, const char *facts)
{
	now_ms = 0;
	*f = (struct fixture){.ip = {0}};
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	arena_init(&f->arena, MAILAUTH_DNS_ARENA);
	mailauth_dns_init(&f->dns, &f->table.resolver, &test_clock, 1000, &f->arena);
}

static void end(struct fixture *f)
{
	arena_done(&f->arena);
	dns_table_done(&f->table);
}

static void set_args(struct fixture *f, const char *ip, const char *helo, const char *from)
{
	struct slice localpart = slice_empty(), domain = slice_empty(), text = slice_str(from);
	size_t at = slice_rindex(text, '@');
	if (at != SIZE_MAX) {
		localpart = slice_sub(text, 0, at);
		domain = slice_from(text, at + 1);
	}
	size_t n = inet_pton(AF_INET, ip, f->ip) == 1 ? 4 : 16;
	if (n == 16)
		assert_int_equal(inet_pton(AF_INET6, ip, f->ip), 1);
	f->args = (struct spf_args){
	        .client_ip = slice_of(f->ip, n),
	        .helo = slice_str(helo),
	        .localpart = localpart,
	        .domain = domain,
	        .receiver = SLICE("mx.receiver.example"),
	        .explain = true,
	};
}

static const char *run(struct fixture *f, const char *ip, const char *helo, const char *from,
                       enum spf_identity identity)
{
	set_args(f, ip, helo, from);
	spf_check(&f->dns, &f->args, identity, &f->result);
	assert_true(f->result.why[0]);
	bool is_error =
	        f->result.result == MAILAUTH_PERMERROR || f->result.result == MAILAUTH_TEMPERROR;
	assert_int_equal(is_error, f->result.problem[0] != 0);
	return mailauth_result_name(f->result.result);
}

struct scenario {
	const char *facts;
	struct {
		const char *ip, *from, *result, *mechanism, *matched_in;
	} cases[12];
};

static void check_scenario(const struct scenario *s)
{
	for (size_t i = 0; i < N_ELEMENTS(s->cases) && s->cases[i].ip; i++) {
		struct fixture f;
		begin(&f, s->facts);
		const char *result =
		        run(&f, s->cases[i].ip, "helo.example", s->cases[i].from, SPF_MAILFROM);
		if (strcmp(result, s->cases[i].result) != 0)
			print_message("%s %s: %s\n", s->cases[i].ip, s->cases[i].from,
			              f.result.why);
		assert_string_equal(result, s->cases[i].result);
		assert_string_equal(f.result.mechanism, s->cases[i].mechanism);
		assert_string_equal(f.result.matched_in, s->cases[i].matched_in);
		end(&f);
	}
}

static void mechanisms(void **state)
{
	static const struct scenario scenario = {
	        "a.example TXT \"v=spf1 ip4:192.0.2.0/25 ip6:2001:db8::/33 -all\"\n"
	        "b.example TXT \"v=spf1 a ?a:h.example/24//64 -all\"\n"
	        "b.example A 192.0.2.1\n"
	        "b.example AAAA 2001:db8::1\n"
	        "h.example A 198.51.100.1\n"
	        "h.example AAAA 2001:db8:1::1\n"
	        "c.example TXT \"v=spf1 ~mx -all\"\n"
	        "c.example MX 10 m2.example\n"
	        "c.example MX 5 m1.example\n"
	        "m1.example A 192.0.2.11\n"
	        "m1.example A 192.0.2.13\n"
	        "m2.example CNAME m3.example\n"
	        "m3.example A 192.0.2.12\n"
	        "null.example TXT \"v=spf1 mx -all\"\n"
	        "null.example MX 0 .\n"
	        "imp.example TXT \"v=spf1 mx\"\n"
	        "imp.example A 192.0.2.1\n"
	        "e.example TXT \"v=spf1 exists:%{ir}.%{l}.l.example -all\"\n"
	        "1.2.0.192.u.l.example A 127.0.0.2\n",
	        {
	                {"192.0.2.127", "u@a.example", "pass", "ip4:192.0.2.0/25", "a.example"},
	                {"192.0.2.128", "u@a.example", "fail", "all", "a.example"},
	                {"2001:db8:7fff::1", "u@a.example", "pass", "ip6:2001:db8::/33",
	                 "a.example"},
	                {"2001:db8:8000::1", "u@a.example", "fail", "all", "a.example"},
	                {"::ffff:192.0.2.1", "u@a.example", "pass", "ip4:192.0.2.0/25",
	                 "a.example"},
	                {"192.0.2.1", "u@b.example", "pass", "a", "b.example"},
	                {"2001:db8::1", "u@b.example", "pass", "a", "b.example"},
	                {"198.51.100.255", "u@b.example", "neutral", "a:h.example/24//64",
	                 "b.example"},
	                {"2001:db8:1::ffff", "u@b.example", "neutral", "a:h.example/24//64",
	                 "b.example"},
	                {"2001:db8:1:1::1", "u@b.example", "fail", "all", "b.example"},
	        }};
	static const struct scenario more = {
	        "c.example TXT \"v=spf1 ~mx -all\"\n"
	        "c.example MX 10 m2.example\n"
	        "c.example MX 5 m1.example\n"
	        "m1.example A 192.0.2.11\n"
	        "m1.example A 192.0.2.13\n"
	        "m2.example CNAME m3.example\n"
	        "m3.example A 192.0.2.12\n"
	        "null.example TXT \"v=spf1 mx -all\"\n"
	        "null.example MX 0 .\n"
	        "imp.example TXT \"v=spf1 mx\"\n"
	        "imp.example A 192.0.2.1\n"
	        "e.example TXT \"v=spf1 exists:%{ir}.%{l}.l.example -all\"\n"
	        "1.2.0.192.u.l.example A 127.0.0.2\n"
	        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.u.l.example A "
	        "127.0.0.2\n"
	        "empty.example TXT \"v=spf1\"\n",
	        {
	                {"192.0.2.11", "u@c.example", "softfail", "mx", "c.example"},
	                {"192.0.2.12", "u@c.example", "softfail", "mx", "c.example"},
	                {"192.0.2.13", "u@c.example", "softfail", "mx", "c.example"},
	                {"192.0.2.14", "u@c.example", "fail", "all", "c.example"},
	                {"192.0.2.1", "u@null.example", "fail", "all", "null.example"},
	                {"192.0.2.1", "u@imp.example", "neutral", "default", "imp.example"},
	                {"192.0.2.1", "u@e.example", "pass", "exists:%{ir}.%{l}.l.example",
	                 "e.example"},
	                {"192.0.2.1", "v@e.example", "fail", "all", "e.example"},
	                {"2001:db8::1", "U@e.example", "pass", "exists:%{ir}.%{l}.l.example",
	                 "e.example"},
	                {"192.0.2.1", "u@empty.example", "neutral", "default", "empty.example"},
	                {"192.0.2.1", "u@EMPTY.example.", "neutral", "default", "empty.example"},
	        }};
	(void)state;
	check_scenario(&scenario);
	check_scenario(&more);
}

static void pointers(void **state)
{
	static const struct scenario scenario = {
	        "a.example TXT \"v=spf1 ptr ?ptr:other.example -all\"\n"
	        "1.2.0.192.in-addr.arpa PTR h.a.example\n"
	        "h.a.example A 192.0.2.1\n"
	        "2.2.0.192.in-addr.arpa PTR liar.a.example\n"
	        "liar.a.example A 192.0.2.99\n"
	        "3.2.0.192.in-addr.arpa PTR a.example\n"
	        "a.example A 192.0.2.3\n"
	        "4.2.0.192.in-addr.arpa PTR down.a.example\n"
	        "4.2.0.192.in-addr.arpa PTR h.other.example\n"
	        "down.a.example A servfail\n"
	        "h.other.example A 192.0.2.4\n"
	        "5.2.0.192.in-addr.arpa PTR bad-a.example\n"
	        "bad-a.example A 192.0.2.5\n"
	        "6.2.0.192.in-addr.arpa PTR servfail\n"
	        /* the target within the name is no match: erratum 4751 */
	        "sub.b.example TXT \"v=spf1 ptr -all\"\n"
	        "7.2.0.192.in-addr.arpa PTR b.example\n"
	        "b.example A 192.0.2.7\n"
	        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR "
	        "six.a.example\n"
	        "six.a.example AAAA 2001:db8::1\n"
	        "six.a.example A 192.0.2.1\n",
	        {
	                {"192.0.2.1", "u@a.example", "pass", "ptr", "a.example"},
	                {"192.0.2.2", "u@a.example", "fail", "all", "a.example"},
	                {"192.0.2.3", "u@a.example", "pass", "ptr", "a.example"},
	                {"192.0.2.4", "u@a.example", "neutral", "ptr:other.example", "a.example"},
	                {"192.0.2.5", "u@a.example", "fail", "all", "a.example"},
	                {"192.0.2.6", "u@a.example", "fail", "all", "a.example"},
	                {"192.0.2.7", "u@sub.b.example", "fail", "all", "sub.b.example"},
	                {"192.0.2.8", "u@a.example", "fail", "all", "a.example"},
	                {"2001:db8::1", "u@a.example", "pass", "ptr", "a.example"},
	        }};
	(void)state;
	check_scenario(&scenario);
}

static void includes_and_redirections(void **state)
{
	static const struct scenario scenario = {
	        "a.example TXT \"v=spf1 include:b.example ?include:c.example -include:d.example "
	        "~all\"\n"
	        "b.example TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
	        "c.example TXT \"v=spf1 redirect=b2.example\"\n"
	        "b2.example TXT \"v=spf1 ip4:192.0.2.2 ~all\"\n"
	        "d.example TXT \"v=spf1 include:e.example\"\n"
	        "e.example TXT \"v=spf1 ip4:192.0.2.3 ?all\"\n"
	        "r.example TXT \"v=spf1 redirect=s.example\"\n"
	        "s.example TXT \"v=spf1 redirect=t.example\"\n"
	        "t.example TXT \"v=spf1 a -all\"\n"
	        "t.example A 192.0.2.9\n",
	        {
	                {"192.0.2.1", "u@a.example", "pass", "ip4:192.0.2.1", "b.example"},
	                {"192.0.2.2", "u@a.example", "neutral", "ip4:192.0.2.2", "b2.example"},
	                {"192.0.2.3", "u@a.example", "fail", "ip4:192.0.2.3", "e.example"},
	                {"192.0.2.4", "u@a.example", "softfail", "all", "a.example"},
	                {"192.0.2.9", "u@r.example", "pass", "a", "t.example"},
	                {"192.0.2.8", "u@r.example", "fail", "all", "t.example"},
	        }};
	static const struct scenario errors = {
	        "none.example TXT \"no policy\"\n"
	        "a.example TXT \"v=spf1 include:none.example -all\"\n"
	        "b.example TXT \"v=spf1 include:gone.example -all\"\n"
	        "c.example TXT \"v=spf1 include:down.example -all\"\n"
	        "d.example TXT \"v=spf1 redirect=none.example\"\n"
	        "e.example TXT \"v=spf1 redirect=gone.example\"\n"
	        "f.example TXT \"v=spf1 redirect=a..example\"\n"
	        "g.example TXT \"v=spf1 include:a..example -all\"\n"
	        "h.example TXT \"v=spf1 a:a..example exists:b..example mx:c..example ?all\"\n"
	        "i.example TXT \"v=spf1 include:%{l} -all\"\n"
	        "down.example TXT servfail\n"
	        "bad.example TXT \"v=spf1 all.\"\n"
	        "j.example TXT \"v=spf1 include:bad.example +all\"\n",
	        {
	                {"192.0.2.1", "u@a.example", "permerror", "", ""},
	                {"192.0.2.1", "u@b.example", "permerror", "", ""},
	                {"192.0.2.1", "u@c.example", "temperror", "", ""},
	                {"192.0.2.1", "u@d.example", "permerror", "", ""},
	                {"192.0.2.1", "u@e.example", "permerror", "", ""},
	                {"192.0.2.1", "u@f.example", "permerror", "", ""},
	                {"192.0.2.1", "u@g.example", "permerror", "", ""},
	                {"192.0.2.1", "u@h.example", "neutral", "all", "h.example"},
	                {"192.0.2.1", "u@i.example", "permerror", "", ""},
	                {"192.0.2.1", "u@j.example", "permerror", "", ""},
	        }};
	(void)state;
	check_scenario(&scenario);
	check_scenario(&errors);
}

static void records_are_selected(void **state)
{
	static const struct scenario scenario = {
	        "a.example TXT \"v=spf10 +all\"\n"
	        "a.example TXT \"other\"\n"
	        "a.example TXT \"v=sp\" \"f1 \" \"-all\"\n"
	        "two.example TXT \"v=spf1 -all\"\n"
	        "two.example TXT \"V=SPF1\"\n"
	        "glued.example TXT \"v=spf1\" \"mx\"\n"
	        "down.example TXT timeout\n"
	        "refused.example TXT refused\n"
	        "bogus.example TXT bogus\n"
	        "www.example CNAME a.example\n"
	        "bad.example TXT \"v=spf1 ip4:192.0.2.1 -all moo\"\n"
	        "long.example A 192.0.2.1\n",
	        {
	                {"192.0.2.1", "u@a.example", "fail", "all", "a.example"},
	                {"192.0.2.1", "u@two.example", "permerror", "", ""},
	                {"192.0.2.1", "u@glued.example", "none", "", ""},
	                {"192.0.2.1", "u@down.example", "temperror", "", ""},
	                {"192.0.2.1", "u@refused.example", "temperror", "", ""},
	                {"192.0.2.1", "u@bogus.example", "temperror", "", ""},
	                {"192.0.2.1", "u@www.example", "fail", "all", "www.example"},
	                {"192.0.2.1", "u@bad.example", "permerror", "", ""},
	                {"192.0.2.1", "u@long.example", "none", "", ""},
	                {"192.0.2.1", "u@gone.example", "none", "", ""},
	        }};
	(void)state;
	check_scenario(&scenario);
}

#define LABEL63 "a12345678901234567890123456789012345678901234567890123456789012"

/* Sections 2.3 and 4.3: what is no domain is not looked up. */
static void malformed_domains_are_none(void **state)
{
	static const char *const domains[] = {
	        "example",
	        "example.",
	        "a..example",
	        ".a.example",
	        "a.example..",
	        "[192.0.2.1]",
	        "192.0.2.1",
	        "[IPv6:2001:db8::1]",
	        "a b.example",
	        "a\n.example",
	        "a\\.example",
	        "a/b.example",
	        ".",
	        LABEL63 "x.example",
	        "a.1",
	        "\xff.example",
	        "a(b.example",
	        "b\xc3\xbc",
	        "%{d}.example",
	        "a.\"b\"",
	        LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 ".example",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(domains); i++) {
		struct fixture f;
		char from[512];
		begin(&f, "");
		snprintf(from, sizeof(from), "u@%s", domains[i]);
		assert_string_equal(run(&f, "192.0.2.1", "h.example", from, SPF_MAILFROM), "none");
		assert_string_equal(run(&f, "192.0.2.1", domains[i], "", SPF_HELO), "none");
		assert_string_equal(run(&f, "192.0.2.1", domains[i], "", SPF_MAILFROM), "none");
		assert_int_equal(f.table.n_lookups, 0);
		assert_int_equal(f.result.n_lookups, 0);
		struct mailauth_evidence evidence = spf_evidence(&f.dns, &f.result);
		assert_string_equal(mailauth_evidence_word(&evidence), "none");
		for (const char *p = f.result.domain; *p; p++)
			assert_true(ascii_is_print((uint8_t)*p));
		end(&f);
	}
}

static void identities(void **state)
{
	static const char facts[] = "h.example TXT \"v=spf1 exists:%{l}.%{o}.x.example -all\"\n"
	                            "postmaster.h.example.x.example A 127.0.0.2\n"
	                            "from.example TXT \"v=spf1 a:%{h} -all\"\n"
	                            "h.example A 192.0.2.1\n"
	                            "xn--bcher-kva.example TXT \"v=spf1 exists:%{o}.%{d}.x.example "
	                            "-all\"\n"
	                            "xn--bcher-kva.example.xn--bcher-kva.example.x.example A "
	                            "127.0.0.2\n";
	(void)state;
	struct fixture f;
	begin(&f, facts);
	assert_string_equal(run(&f, "192.0.2.1", "h.example", "u@from.example", SPF_HELO), "pass");
	assert_string_equal(f.result.domain, "h.example");
	assert_string_equal(spf_property(&f.result), "smtp.helo");
	assert_false(f.result.null_sender);
	assert_string_equal(run(&f, "192.0.2.1", "H.example.", "", SPF_MAILFROM), "pass");
	assert_string_equal(f.result.domain, "h.example");
	assert_true(f.result.null_sender);
	assert_string_equal(spf_property(&f.result), "smtp.helo");
	assert_string_equal(run(&f, "192.0.2.1", "h.example", "u@from.example", SPF_MAILFROM),
	                    "pass");
	assert_string_equal(spf_property(&f.result), "smtp.mailfrom");
	assert_string_equal(spf_identity_name(f.result.identity), "mailfrom");
	assert_string_equal(run(&f, "192.0.2.1", "z", "@h.example", SPF_MAILFROM), "pass");
	assert_false(f.result.null_sender);
	/* RFC 8616 section 4 */
	assert_string_equal(run(&f, "192.0.2.1", "z",
	                        "u@b\xc3\xbc"
	                        "cher.example",
	                        SPF_MAILFROM),
	                    "pass");
	assert_string_equal(f.result.domain, "xn--bcher-kva.example");
	assert_string_equal(run(&f, "192.0.2.1",
	                        "b\xc3\xbc"
	                        "cher.example",
	                        "", SPF_HELO),
	                    "none");
	f.args.client_ip = slice_empty();
	spf_check(&f.dns, &f.args, SPF_HELO, &f.result);
	assert_int_equal(f.result.result, MAILAUTH_NONE);
	end(&f);
}

/* RFC 8616 section 4: such terms match nothing, whatever the DNS holds. */
static void localparts_that_are_not_ascii(void **state)
{
	static const struct scenario scenario = {
	        "a.example TXT \"v=spf1 -exists:%{l}.x.example -include:%{L}.y.example a:%{s} "
	        "?all\"\n"
	        "*.x.example A 127.0.0.2\n"
	        "r.example TXT \"v=spf1 redirect=%{l}.x.example\"\n"
	        "n.example TXT \"v=spf1 exists:%{o}.x.example\"\n"
	        "n.example.x.example A 127.0.0.2\n",
	        {
	                {"192.0.2.1", "b\xc3\xbc@a.example", "neutral", "all", "a.example"},
	                {"192.0.2.1", "b\xc3\xbc@r.example", "permerror", "", ""},
	                {"192.0.2.1", "b\xc3\xbc@n.example", "pass", "exists:%{o}.x.example",
	                 "n.example"},
	        }};
	(void)state;
	check_scenario(&scenario);
}

/* --- explanations --- */

static void explain(const char *facts, const char *from, const char *expected)
{
	struct fixture f;
	begin(&f, facts);
	assert_string_equal(run(&f, "192.0.2.1", "h.example", from, SPF_MAILFROM), "fail");
	assert_string_equal(f.result.explanation, expected);
	end(&f);
}

static void explanations(void **state)
{
	(void)state;
	static const char facts[] =
	        "a.example TXT \"v=spf1 -all exp=e.%{d}\"\n"
	        "e.a.example TXT \"See http://%{d}/why?\" \"s=%{S}&i=%{i}, %{c} at %{r} on %{t}: "
	        "100%%\"\n"
	        "r.example TXT \"v=spf1 exp=e.a.example redirect=s.example\"\n"
	        "s.example TXT \"v=spf1 -all\"\n"
	        "r2.example TXT \"v=spf1 redirect=a.example\"\n"
	        "i.example TXT \"v=spf1 include:a.example -all exp=e.i.example\"\n"
	        "e.i.example TXT \"mine: %{d} %{p}\"\n"
	        "n.example TXT \"v=spf1 -include:all.example exp=e.i.example\"\n"
	        "all.example TXT \"v=spf1 +all exp=e.a.example\"\n";
	explain(facts, "u x@a.example",
	        "See http://a.example/why?s=u%20x%40a.example&i=192.0.2.1, 192.0.2.1 at "
	        "mx.receiver.example on 1700000000: 100%");
	explain(facts, "u@r.example", "");
	explain(facts, "u@r2.example",
	        "See http://a.example/why?s=u%40r2.example&i=192.0.2.1, 192.0.2.1 at "
	        "mx.receiver.example on 1700000000: 100%");
	explain(facts, "u@i.example", "mine: i.example unknown");
	explain(facts, "u@n.example", "mine: n.example unknown");
	/* neither the text nor its %{p} counts among the lookups (section 4.6.4) */
	explain("a.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example "
	        "a:h.example "
	        "a:h.example a:h.example a:h.example a:h.example a:h.example -all exp=e.example\"\n"
	        "h.example A 198.51.100.1\n"
	        "e.example TXT \"you are %{p}\"\n",
	        "u@a.example", "you are unknown");
}

/* Section 6.2: each of these is as if there were no exp. */
static void explanations_that_are_none(void **state)
{
	static const char *const texts[] = {
	        "e.example TXT \"one\"\ne.example TXT \"two\"",
	        "e.example TXT servfail",
	        "e.example TXT nodata",
	        "e.example TXT \"bad %{x}\"",
	        "e.example TXT \"bad %\"",
	        "e.example TXT \"\xc3\xbc\"",
	        "e.example TXT \"tab\there\"",
	        "e.example TXT \"%{l}\"",
	        "e.example TXT \"%{h}\"",
	        "e.example TXT \"\"",
	        "",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct fixture f;
		begin(&f, "a.example TXT \"v=spf1 -all exp=e.example\"");
		dns_table_add_lines(&f.table, texts[i]);
		assert_string_equal(
		        run(&f, "192.0.2.1", "h\r\nX: y", "\xc3\xbc@a.example", SPF_MAILFROM),
		        "fail");
		assert_string_equal(f.result.explanation, "");
		assert_int_equal(f.result.n_lookups, 1);
		end(&f);
	}
	explain("a.example TXT \"v=spf1 -all exp=%{l}..example\"", "u@a.example", "");
}

static void explanations_are_bounded_and_asked_for(void **state)
{
	struct fixture f;
	struct buf fact;
	(void)state;
	begin(&f, "a.example TXT \"v=spf1 -all exp=e.example\"");
	buf_init(&fact, 64 * KIB);
	buf_add_str(&fact, "e.example TXT \"");
	for (int i = 0; i < 1000; i++)
		buf_add_str(&fact, "%{s}!");
	buf_add_byte(&fact, '"');
	dns_table_add(&f.table, buf_cstr(&fact));
	assert_string_equal(run(&f, "192.0.2.1", "h.example", "u@a.example", SPF_MAILFROM), "fail");
	assert_int_equal(strlen(f.result.explanation), SPF_EXPLANATION_MAX);
	size_t n_lookups = f.table.n_lookups;
	f.args.explain = false;
	spf_check(&f.dns, &f.args, SPF_MAILFROM, &f.result);
	assert_string_equal(f.result.explanation, "");
	assert_int_equal(f.table.n_lookups, n_lookups + 1);
	buf_done(&fact);
	end(&f);
}

/* %{p} (section 7.3): the domain itself, then a subdomain, then any. */
static void validated_names(void **state)
{
	(void)state;
	static const char record[] = "a.example TXT \"v=spf1 -all exp=e.example\"\n"
	                             "e.example TXT \"%{p}\"\n";
	static const struct {
		const char *facts, *name;
	} cases[] = {
	        {"", "unknown"},
	        {"1.2.0.192.in-addr.arpa PTR servfail", "unknown"},
	        {"1.2.0.192.in-addr.arpa PTR x.other\nx.other A 192.0.2.1", "x.other"},
	        {"1.2.0.192.in-addr.arpa PTR x.other\nx.other A 192.0.2.2", "unknown"},
	        {"1.2.0.192.in-addr.arpa PTR x.other\nx.other A timeout", "unknown"},
	        {"1.2.0.192.in-addr.arpa PTR x.other\nx.other A 192.0.2.1\n"
	         "1.2.0.192.in-addr.arpa PTR b.a.example\nb.a.example A 192.0.2.1",
	         "b.a.example"},
	        {"1.2.0.192.in-addr.arpa PTR b.a.example\nb.a.example A 192.0.2.1\n"
	         "1.2.0.192.in-addr.arpa PTR a.example\na.example A 192.0.2.1",
	         "a.example"},
	        {"1.2.0.192.in-addr.arpa PTR b.a.example\nb.a.example A 192.0.2.2\n"
	         "1.2.0.192.in-addr.arpa PTR a.example\na.example A 192.0.2.2",
	         "unknown"},
	        {"1.2.0.192.in-addr.arpa PTR a\\040b.other\na\\040b.other A 192.0.2.1", "unknown"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char facts[1024];
		snprintf(facts, sizeof(facts), "%s%s", record, cases[i].facts);
		explain(facts, "u@a.example", cases[i].name);
	}
}

/* --- limits --- */

static void add_many(struct dns_table *table, const char *format, unsigned n)
{
	char fact[256];
	for (unsigned i = 0; i < n; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(fact, sizeof(fact), format, i, i);
#pragma GCC diagnostic pop
		dns_table_add(table, fact);
	}
}

static void lookups_are_bounded(void **state)
{
	static const struct scenario scenario = {
	        "h.example A 198.51.100.1\n"
	        "ten.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example "
	        "a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example ?all\"\n"
	        "eleven.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example "
	        "a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example "
	        "a:h.example ?all\"\n"
	        "nested.example TXT \"v=spf1 include:ten.example ?all\"\n"
	        "redirected.example TXT \"v=spf1 redirect=ten.example\"\n"
	        "early.example TXT \"v=spf1 ip4:192.0.2.1 redirect=eleven.example\"\n"
	        "p.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example "
	        "a:h.example a:h.example a:h.example a:h.example a:h.example "
	        "exists:%{p}.%{p}.h.example ?all\"\n"
	        "p9.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example "
	        "a:h.example a:h.example a:h.example a:h.example "
	        "exists:%{p}.%{p}.h.example ?all\"\n"
	        "ptrp.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example "
	        "a:h.example a:h.example a:h.example a:h.example ptr:x.example "
	        "exists:%{p}.h.example ?all\"\n"
	        "free.example TXT \"v=spf1 ip4:198.51.100.1 ip6:2001:db8::1 a:h.example "
	        "exp=e.example "
	        "x=%{p} a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example "
	        "a:h.example a:h.example a:h.example ?all\"\n",
	        {
	                {"192.0.2.1", "u@ten.example", "neutral", "all", "ten.example"},
	                {"192.0.2.1", "u@eleven.example", "permerror", "", ""},
	                {"198.51.100.1", "u@eleven.example", "pass", "a:h.example",
	                 "eleven.example"},
	                {"192.0.2.1", "u@nested.example", "permerror", "", ""},
	                {"192.0.2.1", "u@redirected.example", "permerror", "", ""},
	                {"192.0.2.1", "u@early.example", "pass", "ip4:192.0.2.1", "early.example"},
	                {"192.0.2.1", "u@p.example", "permerror", "", ""},
	                {"192.0.2.1", "u@p9.example", "neutral", "all", "p9.example"},
	                {"192.0.2.1", "u@ptrp.example", "neutral", "all", "ptrp.example"},
	                {"192.0.2.1", "u@free.example", "neutral", "all", "free.example"},
	        }};
	(void)state;
	check_scenario(&scenario);
}

/* A term counts once, however many of its lookups are void; one that matches is no matter. */
static void void_terms_are_bounded(void **state)
{
	static const struct scenario scenario = {
	        "two.example TXT \"v=spf1 a:v1.example mx:v2.example ?all\"\n"
	        "three.example TXT \"v=spf1 a:v1.example mx:v2.example exists:v3.example ?all\"\n"
	        "last.example TXT \"v=spf1 a:v1.example mx:v2.example ip4:192.0.2.1 "
	        "a:v3.example\"\n"
	        "hosts.example TXT \"v=spf1 mx mx mx:some.example ?all\"\n"
	        "hosts.example MX 1 v1.example\n"
	        "hosts.example MX 2 v2.example\n"
	        "hosts.example MX 3 v3.example\n"
	        "some.example MX 1 v1.example\n"
	        "some.example MX 2 good.example\n"
	        "good.example A 192.0.2.7\n"
	        "nested.example TXT \"v=spf1 a:v1.example include:two.example ?all\"\n"
	        "nodata.example TXT \"v=spf1 a:t.example a:t.example a:t.example ?all\"\n"
	        "t.example TXT \"x\"\n"
	        "ptr.example TXT \"v=spf1 ptr ptr ptr:x.example ?all\"\n"
	        "exp.example TXT \"v=spf1 a:v1.example a:v2.example -all exp=v3.example\"\n",
	        {
	                {"192.0.2.9", "u@two.example", "neutral", "all", "two.example"},
	                {"192.0.2.9", "u@three.example", "permerror", "", ""},
	                {"192.0.2.1", "u@last.example", "pass", "ip4:192.0.2.1", "last.example"},
	                {"192.0.2.9", "u@last.example", "permerror", "", ""},
	                {"192.0.2.9", "u@hosts.example", "permerror", "", ""},
	                {"192.0.2.7", "u@hosts.example", "pass", "mx:some.example",
	                 "hosts.example"},
	                {"192.0.2.9", "u@nested.example", "permerror", "", ""},
	                {"192.0.2.9", "u@nodata.example", "permerror", "", ""},
	                {"192.0.2.9", "u@ptr.example", "neutral", "all", "ptr.example"},
	                {"192.0.2.9", "u@exp.example", "fail", "all", "exp.example"},
	        }};
	(void)state;
	check_scenario(&scenario);
}

static void limits_are_parameters(void **state)
{
	struct fixture f;
	struct spf_limits limits = {.lookup_terms = 1, .void_terms = 0};
	(void)state;
	begin(&f, "a.example TXT \"v=spf1 a:v.example a:w.example -all\"\n"
	          "b.example TXT \"v=spf1 a:t.example a:t.example -all\"\n"
	          "t.example A 198.51.100.1\n");
	assert_string_equal(run(&f, "192.0.2.1", "h", "u@a.example", SPF_MAILFROM), "fail");
	assert_int_equal(f.result.n_lookup_terms, 2);
	assert_int_equal(f.result.n_void_terms, 2);
	f.args.limits = &limits;
	spf_check(&f.dns, &f.args, SPF_MAILFROM, &f.result);
	assert_int_equal(f.result.result, MAILAUTH_PERMERROR);
	assert_non_null(strstr(f.result.problem, "more than 0 terms"));
	f.args.domain = SLICE("b.example");
	spf_check(&f.dns, &f.args, SPF_MAILFROM, &f.result);
	assert_int_equal(f.result.result, MAILAUTH_PERMERROR);
	assert_non_null(strstr(f.result.problem, "more than 1 lookups"));
	limits.lookup_terms = 2;
	spf_check(&f.dns, &f.args, SPF_MAILFROM, &f.result);
	assert_int_equal(f.result.result, MAILAUTH_FAIL);
	end(&f);
}

static void hosts_and_names_are_bounded(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, "a.example TXT \"v=spf1 mx mx mx mx mx mx mx mx mx mx ?all\"\n"
	          "p.example TXT \"v=spf1 ptr ?all\"\n"
	          "1.2.0.192.in-addr.arpa PTR eleventh.p.example\n"
	          "eleventh.p.example A 192.0.2.1\n");
	add_many(&f.table, "a.example MX %u m%u.example", 10);
	add_many(&f.table, "m%u.example A 198.51.100.%u", 10);
	add_many(&f.table, "1.2.0.192.in-addr.arpa PTR n%u.example", 20);
	add_many(&f.table, "2.2.0.192.in-addr.arpa PTR n%u.p.example", 10);
	dns_table_add(&f.table, "2.2.0.192.in-addr.arpa PTR eleventh.p.example");
	dns_table_add(&f.table, "eleventh.p.example A 192.0.2.2");
	assert_string_equal(run(&f, "192.0.2.1", "h", "u@a.example", SPF_MAILFROM), "neutral");
	assert_int_equal(f.table.n_lookups, 1 + 10 * 11);
	assert_string_equal(run(&f, "198.51.100.9", "h", "u@a.example", SPF_MAILFROM), "pass");
	dns_table_add(&f.table, "a.example MX 99 m0.example");
	assert_string_equal(run(&f, "198.51.100.0", "h", "u@a.example", SPF_MAILFROM), "permerror");
	assert_non_null(strstr(f.result.problem, "a.example has more than 10 mail hosts"));
	assert_string_equal(run(&f, "192.0.2.1", "h", "u@p.example", SPF_MAILFROM), "pass");
	assert_string_equal(run(&f, "192.0.2.2", "h", "u@p.example", SPF_MAILFROM), "neutral");
	end(&f);
}

/* What comes of the hosts of an mx does not depend on the order in which the DNS gives them. */
static void hosts_have_an_order(void **state)
{
	static const char *const facts[] = {
	        "a.example MX 5 good.example\na.example MX 10 down.example\n",
	        "a.example MX 10 down.example\na.example MX 5 good.example\n",
	        "a.example MX 7 good.example\na.example MX 7 hood.example\n",
	        "a.example MX 7 hood.example\na.example MX 7 good.example\n",
	        "a.example MX 10 good.example\na.example MX 5 down.example\n",
	        "a.example MX 5 down.example\na.example MX 10 good.example\n",
	        "a.example MX 7 good.example\na.example MX 7 down.example\n",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(facts); i++) {
		struct fixture f;
		begin(&f, "a.example TXT \"v=spf1 mx\"\ngood.example A 192.0.2.1\n"
		          "down.example A servfail\nhood.example A servfail\n");
		dns_table_add_lines(&f.table, facts[i]);
		assert_string_equal(run(&f, "192.0.2.1", "h", "u@a.example", SPF_MAILFROM),
		                    i < 4 ? "pass" : "temperror");
		end(&f);
	}
}

static void what_is_not_asked_for(void **state)
{
	static const struct {
		const char *facts;
		enum mailauth_result result;
		size_t n_lookups;
		unsigned n_void_terms;
	} cases[] = {
	        {"a.example TXT \"v=spf1 mx\"\na.example MX 0 .", MAILAUTH_NEUTRAL, 2, 0},
	        /* a single label is no domain (section 4.3) */
	        {"a.example TXT \"v=spf1 include:%{d1}\"\nexample TXT \"v=spf1 +all\"",
	         MAILAUTH_PERMERROR, 1, 0},
	        {"a.example TXT \"v=spf1 redirect=%{d1}\"\nexample TXT \"v=spf1 +all\"",
	         MAILAUTH_PERMERROR, 1, 0},
	        {"a.example TXT \"v=spf1 exists:%{d1}\"\nexample A 127.0.0.2", MAILAUTH_PASS, 2, 0},
	        {"a.example TXT \"v=spf1 a:v.example redirect=%{p}.x.example\"\n"
	         "unknown.x.example TXT \"v=spf1 +all\"",
	         MAILAUTH_PASS, 4, 2},
	        /* names that cannot match are not validated */
	        {"a.example TXT \"v=spf1 ptr\"\n1.2.0.192.in-addr.arpa PTR b.example",
	         MAILAUTH_NEUTRAL, 2, 0},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture f;
		begin(&f, cases[i].facts);
		(void)run(&f, "192.0.2.1", "h", "u@a.example", SPF_MAILFROM);
		assert_int_equal(f.result.result, cases[i].result);
		assert_int_equal(f.table.n_lookups, cases[i].n_lookups);
		assert_int_equal(f.result.n_void_terms, cases[i].n_void_terms);
		end(&f);
	}
}

static void loops_end_at_once(void **state)
{
	static const char *const facts[] = {
	        "a.example TXT \"v=spf1 include:a.example -all\"",
	        "a.example TXT \"v=spf1 redirect=a.example\"",
	        "a.example TXT \"v=spf1 include:b.example -all\"\n"
	        "b.example TXT \"v=spf1 include:A.example. -all\"",
	        "a.example TXT \"v=spf1 include:b.example -all\"\n"
	        "b.example TXT \"v=spf1 redirect=a.example\"",
	        "a.example TXT \"v=spf1 redirect=b.example\"\n"
	        "b.example TXT \"v=spf1 redirect=b.example\"",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(facts); i++) {
		struct fixture f;
		begin(&f, facts[i]);
		assert_string_equal(run(&f, "192.0.2.1", "h", "u@a.example", SPF_MAILFROM),
		                    "permerror");
		assert_non_null(strstr(f.result.problem, "leads back to itself"));
		assert_in_range(f.table.n_lookups, 1, 2);
		end(&f);
	}
}

/* The same record twice, one after the other, is no loop. */
static void twice_is_no_loop(void **state)
{
	static const struct scenario scenario = {
	        "a.example TXT \"v=spf1 include:b.example include:b.example ?all\"\n"
	        "b.example TXT \"v=spf1 ip4:192.0.2.1\"\n",
	        {{"192.0.2.2", "u@a.example", "neutral", "all", "a.example"}}};
	(void)state;
	check_scenario(&scenario);
}

static void depth_is_bounded(void **state)
{
	struct fixture f;
	struct spf_limits limits = {.lookup_terms = 100, .void_terms = 2};
	char fact[128];
	(void)state;
	begin(&f, "d20.example TXT \"v=spf1 all\"");
	for (unsigned i = 0; i < 20; i++) {
		snprintf(fact, sizeof(fact), "d%u.example TXT \"v=spf1 %s%u.example\"", i,
		         i % 2 ? "include:d" : "redirect=d", i + 1);
		dns_table_add(&f.table, fact);
	}
	set_args(&f, "192.0.2.1", "h", "u@d1.example");
	f.args.limits = &limits;
	spf_check(&f.dns, &f.args, SPF_MAILFROM, &f.result);
	assert_int_equal(f.result.result, MAILAUTH_PASS);
	assert_int_equal(f.result.n_path, SPF_DEPTH_MAX);
	f.args.domain = SLICE("d0.example");
	spf_check(&f.dns, &f.args, SPF_MAILFROM, &f.result);
	assert_int_equal(f.result.result, MAILAUTH_PERMERROR);
	assert_non_null(strstr(f.result.problem, "more than 20 times"));
	end(&f);
}

static void big_records(void **state)
{
	struct fixture f;
	struct buf fact;
	(void)state;
	begin(&f, "");
	buf_init(&fact, 70 * KIB);
	buf_add_str(&fact, "a.example TXT \"v=spf1");
	for (int i = 0; i < 260; i++) {
		for (int j = 0; j < 13; j++)
			buf_add_str(&fact, " ip4:192.0.2.254/32");
		buf_add_str(&fact, "\" \"");
	}
	buf_add_str(&fact, "\"");
	dns_table_add(&f.table, buf_cstr(&fact)); /* 64 KB */
	assert_string_equal(run(&f, "192.0.2.1", "h", "u@a.example", SPF_MAILFROM), "permerror");
	assert_non_null(strstr(f.result.problem, "longer than 8192 octets"));
	assert_true(strlen(f.result.problem) < 400);
	buf_done(&fact);
	end(&f);
}

static void time_is_bounded(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, "a.example TXT \"v=spf1 -all\"");
	now_ms = 1000;
	assert_string_equal(run(&f, "192.0.2.1", "h", "u@a.example", SPF_MAILFROM), "temperror");
	assert_non_null(strstr(f.result.problem, "the time for DNS lookups"));
	assert_int_equal(f.table.n_lookups, 0);
	end(&f);
}

/* --- what is told --- */

static void evidence_is_exactly_that(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, "h.example TXT \"v=spf1 a -all\" secure\n"
	          "h.example A 192.0.2.1 secure\n"
	          "a.example TXT \"v=spf1 a:h.example -all exp=e.example\" secure\n"
	          "e.example TXT \"go away\"\n"
	          "b.example TXT \"v=spf1 include:a.example ?all\"\n"
	          "c.example TXT \"v=spf1 exists:bad.example ?all\" secure\n"
	          "bad.example A bogus\n");
	run(&f, "192.0.2.1", "h.example", "u@b.example", SPF_HELO);
	struct spf_result helo = f.result;
	run(&f, "192.0.2.1", "h.example", "u@b.example", SPF_MAILFROM);
	struct spf_result from = f.result;
	run(&f, "192.0.2.2", "h.example", "u@a.example", SPF_MAILFROM);
	struct spf_result explained = f.result;
	run(&f, "192.0.2.2", "h.example", "u@c.example", SPF_MAILFROM);
	const struct {
		const struct spf_result *result;
		size_t first, n;
		const char *word;
	} expected[] = {
	        {&helo, 0, 2, "secure"},
	        {&from, 2, 3, "insecure"},
	        {&explained, 5, 2, "secure"}, /* the explanation is not what it rests on */
	        {&f.result, 8, 2, "bogus"},
	};
	for (size_t i = 0; i < N_ELEMENTS(expected); i++) {
		struct mailauth_evidence e = spf_evidence(&f.dns, expected[i].result);
		assert_int_equal(expected[i].result->first_lookup, expected[i].first);
		assert_int_equal(e.n, expected[i].n);
		assert_string_equal(mailauth_evidence_word(&e), expected[i].word);
	}
	assert_string_equal(explained.explanation, "go away");
	assert_int_equal(f.result.result, MAILAUTH_TEMPERROR);
	end(&f);
}

static void sentences(void **state)
{
	static const struct {
		const char *ip, *from, *why;
	} cases[] = {
	        {"192.0.2.1", "u@a.example",
	         "a.example lets 192.0.2.1 send: ip4:192.0.2.1 in the record of c.example, by "
	         "redirect=c.example of b.example, by include:b.example of a.example"},
	        {"2001:db8::1", "u@a.example",
	         "a.example forbids 2001:db8::1 to send: all in the record of a.example"},
	        {"192.0.2.1", "u@soft.example",
	         "soft.example thinks that 192.0.2.1 should not send: all in the record of "
	         "soft.example"},
	        {"192.0.2.1", "u@open.example",
	         "open.example says neither yes nor no to 192.0.2.1: no mechanism matched in the "
	         "record of open.example"},
	        {"192.0.2.1", "u@gone.example",
	         "there is nothing to check against: gone.example does not exist"},
	        {"192.0.2.1", "u@x.a.example",
	         "there is nothing to check against: x.a.example has no SPF record"},
	        {"192.0.2.1", "u@localhost",
	         "there is nothing to check against: the sender's domain is not a full domain "
	         "name"},
	        {"192.0.2.1", "",
	         "there is nothing to check against: the HELO name is not a full domain name"},
	        {"192.0.2.1", "u@down.example",
	         "this could not be checked now: the lookup of the record of down.example failed: "
	         "server answered SERVFAIL"},
	        {"192.0.2.1", "u@wrong.example",
	         "what was published cannot be used: the record of wrong.example has `192.0.2.1`: "
	         "a "
	         "name belongs here, and this is an address"},
	        {"192.0.2.1", "u@lost.example",
	         "what was published cannot be used: gone.example does not exist"},
	};
	struct fixture f;
	(void)state;
	begin(&f, "a.example TXT \"v=spf1 include:b.example -all\"\n"
	          "b.example TXT \"v=spf1 redirect=c.example\"\n"
	          "c.example TXT \"v=spf1 ip4:192.0.2.1 ~all\"\n"
	          "soft.example TXT \"v=spf1 ~all\"\n"
	          "open.example TXT \"v=spf1\"\n"
	          "x.a.example A 192.0.2.1\n"
	          "down.example TXT servfail\n"
	          "wrong.example TXT \"v=spf1 a:192.0.2.1 -all\"\n"
	          "lost.example TXT \"v=spf1 include:gone.example -all\"\n");
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		run(&f, cases[i].ip, "h", cases[i].from, SPF_MAILFROM);
		assert_string_equal(f.result.why, cases[i].why);
	}
	assert_int_equal(f.result.n_path, 1);
	assert_string_equal(f.result.path[0].domain, "lost.example");
	assert_string_equal(f.result.path[0].directive, "include:gone.example");
	end(&f);
}

/* RFC 7208 section 8 with RFC 7372 section 3.2. */
static void replies(void **state)
{
	struct fixture f;
	struct buf text;
	unsigned code;
	const char *enhanced;
	(void)state;
	begin(&f, "a.example TXT \"v=spf1 ip4:192.0.2.1 -all exp=e.example\"\n"
	          "e.example TXT \"%{i} is not ours\"\n"
	          "down.example TXT servfail\n"
	          "bad.example TXT \"v=spf1 moo\"\n");
	buf_init(&text, 4096);
	run(&f, "192.0.2.1", "h", "u@a.example", SPF_MAILFROM);
	assert_false(spf_reply(&f.result, &code, &enhanced));
	run(&f, "192.0.2.2", "h", "u@a.example", SPF_MAILFROM);
	assert_true(spf_reply(&f.result, &code, &enhanced));
	assert_int_equal(code, 550);
	assert_string_equal(enhanced, "5.7.23");
	spf_reply_text(&f.result, &text);
	assert_string_equal(buf_cstr(&text),
	                    "SPF MAIL FROM check: fail\n"
	                    "a.example forbids 192.0.2.2 to send: all in the record of a.example\n"
	                    "The domain a.example explains: 192.0.2.2 is not ours\n");
	run(&f, "192.0.2.2", "bad.example", "", SPF_HELO);
	assert_true(spf_reply(&f.result, &code, &enhanced));
	assert_int_equal(code, 550);
	assert_string_equal(enhanced, "5.7.24");
	buf_reset(&text);
	spf_reply_text(&f.result, &text);
	assert_true(slice_starts(buf_slice(&text), SLICE("SPF HELO check: permerror\n")));
	run(&f, "192.0.2.2", "bad.example", "u@down.example", SPF_MAILFROM);
	assert_true(spf_reply(&f.result, &code, &enhanced));
	assert_int_equal(code, 451);
	assert_string_equal(enhanced, "4.7.24");
	buf_done(&text);
	end(&f);
}

static void advice(void **state)
{
	static const struct {
		const char *record, *advice;
	} cases[] = {
	        {"v=spf1 a mx -all", ""},
	        {"v=spf1 redirect=a.example exp=e.example", ""},
	        {"v=spf1 +all", "PASS_ALL(+all) "},
	        {"v=spf1 -all a ptr", "BEHIND_ALL(a) BEHIND_ALL(ptr) "},
	        {"v=spf1 ?all exp=e.example", ""},
	        {"v=spf1 a", "NO_END(v=spf1 a) "},
	        {"v=spf1 ptr exists:%{p}.example -all", "PTR(ptr) MACRO_P(exists:%{p}.example) "},
	        {"v=spf1 redirect=a.example -all",
	         "REDIRECT_WITH_ALL(v=spf1 redirect=a.example -all) "},
	        {"v=spf1 a a a a a a a a a a -all redirect=x.example",
	         "REDIRECT_WITH_ALL(v=spf1 a a a a a a a a a a -all redirect=x.example) "},
	        {"v=spf1 a a a a a a a a a a a a -all", "MANY_LOOKUPS(a) "},
	        {"v=spf1 ip4:192.0.2.1/24 ip4:192.0.2.0/24 ip6:2001:db8::1/64 ip4:0.0.0.0/0 -all",
	         "HOST_BITS(ip4:192.0.2.1/24) HOST_BITS(ip6:2001:db8::1/64) "},
	        {"v=spf1 ip4=192.0.2.1 -all", "LIKE_MECHANISM(ip4=192.0.2.1) "},
	        {"v=spf1 ra=x -all", "UNKNOWN_MODIFIER(ra=x) "},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct spf_record record;
		struct spf_fault fault;
		struct spf_advice list[SPF_ADVICE_MAX];
		struct buf text;
		arena_init(&arena, 64 * KIB);
		buf_init(&text, 4096);
		assert_true(is_ok(
		        spf_record_parse(slice_str(cases[i].record), &arena, &record, &fault)));
		size_t n = spf_record_advise(&record, list);
		for (size_t j = 0; j < n; j++) {
			buf_printf(&text, "%s(%.*s) ", spf_advice_code(list[j].kind),
			           SLICE_FMT(list[j].at));
			assert_true(spf_advice_text(list[j].kind)[0]);
		}
		assert_string_equal(buf_cstr(&text), cases[i].advice);
		buf_done(&text);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(mechanisms),
	        cmocka_unit_test(pointers),
	        cmocka_unit_test(includes_and_redirections),
	        cmocka_unit_test(records_are_selected),
	        cmocka_unit_test(malformed_domains_are_none),
	        cmocka_unit_test(identities),
	        cmocka_unit_test(localparts_that_are_not_ascii),
	        cmocka_unit_test(explanations),
	        cmocka_unit_test(explanations_that_are_none),
	        cmocka_unit_test(explanations_are_bounded_and_asked_for),
	        cmocka_unit_test(validated_names),
	        cmocka_unit_test(lookups_are_bounded),
	        cmocka_unit_test(void_terms_are_bounded),
	        cmocka_unit_test(limits_are_parameters),
	        cmocka_unit_test(hosts_and_names_are_bounded),
	        cmocka_unit_test(hosts_have_an_order),
	        cmocka_unit_test(what_is_not_asked_for),
	        cmocka_unit_test(loops_end_at_once),
	        cmocka_unit_test(twice_is_no_loop),
	        cmocka_unit_test(depth_is_bounded),
	        cmocka_unit_test(big_records),
	        cmocka_unit_test(time_is_bounded),
	        cmocka_unit_test(evidence_is_exactly_that),
	        cmocka_unit_test(sentences),
	        cmocka_unit_test(replies),
	        cmocka_unit_test(advice),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
