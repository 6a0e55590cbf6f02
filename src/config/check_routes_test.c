/* Transports and routes: what is understood, what is filled in, what is refused and where. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SERVER                                                                                     \
	"hostname: mail.example.org\n"                                                             \
	"postmaster: me\n"                                                                         \
	"listeners: {public: {addresses: [192.0.2.1], smtp: {}}}\n"
#define DOMAINS                                                                                    \
	"domains: {example.org: {}}\n"                                                             \
	"accounts: {me: {addresses: [me@example.org]}}\n"

struct loaded {
	struct arena arena;
	struct config_problems problems;
	struct config *config;
	struct status status;
};

static void load(struct loaded *l, const char *server, const char *domains)
{
	struct config_sources sources = {
	        .directory = "/etc/mailkeep",
	        .text = {slice_str(server), slice_str(domains)},
	};
	*l = (struct loaded){0};
	arena_init(&l->arena, CONFIG_ARENA_MAX);
	config_problems_init(&l->problems);
	l->status = config_parse(&sources, &l->arena, &l->config, &l->problems);
}

static void unload(struct loaded *l)
{
	arena_done(&l->arena);
	config_problems_done(&l->problems);
}

static void print_problems(const struct loaded *l)
{
	struct buf text;
	buf_init(&text, 1000000);
	for (size_t i = 0; i < l->problems.n; i++)
		config_problem_print(&l->problems.v[i], NULL, &text);
	print_message("%s", buf_cstr(&text));
	buf_done(&text);
}

static void load_good(struct loaded *l, const char *server, const char *domains)
{
	load(l, server, domains);
	if (!is_ok(l->status) || l->problems.n > 0)
		print_problems(l);
	assert_true(is_ok(l->status));
	assert_int_equal(l->problems.n, 0);
}

static const char transports[] = SERVER
        "transports:\n"
        "  d: {kind: direct}\n"
        "  d6: {kind: direct, port: 1025, address_family: ipv6, tls: required, ca: ca.pem}\n"
        "  relay: {kind: smtp, host: Relay.B\xc3\xbc"
        "cher.Example}\n"
        "  inner: {kind: smtp, host: \"2001:db8::1\", tls: none, ehlo_name: Out.Example.Org}\n"
        "  sub: {kind: submission, host: smtp.example.net, user: \"Ada L\", secret: s1}\n"
        "  subs: {kind: submission, host: 192.0.2.9, tls: implicit, user: u, secret: s1,\n"
        "    tls_name: smtp.example.net, mechanisms: [SCRAM-SHA-256, PLAIN]}\n"
        "  proxy: {kind: socks, host: 127.0.0.1}\n"
        "  proxy2: {kind: socks, host: p.example, port: 9050, user: u, secret: s2,\n"
        "    remote_port: 2525}\n"
        "  no: {kind: fail}\n"
        "  busy: {kind: fail, code: 451, message: \"4.3.2 Later\"}\n";

static const struct transport_case {
	const char *name;
	enum config_transport_kind kind;
	uint16_t port, remote_port;
	enum config_tls_policy tls;
	const char *host, *tls_name, *ehlo;
	bool is_ip;
} transport_cases[] = {
        {"d", CONFIG_TRANSPORT_DIRECT, 25, 25, CONFIG_TLS_OPPORTUNISTIC, "", "", "mail.example.org",
         false},
        {"d6", CONFIG_TRANSPORT_DIRECT, 1025, 25, CONFIG_TLS_REQUIRED, "", "", "mail.example.org",
         false},
        {"relay", CONFIG_TRANSPORT_SMTP, 25, 25, CONFIG_TLS_OPPORTUNISTIC,
         "relay.xn--bcher-kva.example", "relay.xn--bcher-kva.example", "mail.example.org", false},
        {"inner", CONFIG_TRANSPORT_SMTP, 25, 25, CONFIG_TLS_NONE, "2001:db8::1", "2001:db8::1",
         "out.example.org", true},
        {"sub", CONFIG_TRANSPORT_SUBMISSION, 587, 25, CONFIG_TLS_REQUIRED, "smtp.example.net",
         "smtp.example.net", "mail.example.org", false},
        {"subs", CONFIG_TRANSPORT_SUBMISSION, 465, 25, CONFIG_TLS_IMPLICIT, "192.0.2.9",
         "smtp.example.net", "mail.example.org", true},
        {"proxy", CONFIG_TRANSPORT_SOCKS, 1080, 25, CONFIG_TLS_OPPORTUNISTIC, "127.0.0.1",
         "127.0.0.1", "mail.example.org", true},
        {"proxy2", CONFIG_TRANSPORT_SOCKS, 9050, 2525, CONFIG_TLS_OPPORTUNISTIC, "p.example",
         "p.example", "mail.example.org", false},
};

static void transports_are_filled_in_by_kind(void **state)
{
	(void)state;
	struct loaded l;
	load_good(&l, transports, DOMAINS);
	for (size_t i = 0; i < N_ELEMENTS(transport_cases); i++) {
		const struct transport_case *c = &transport_cases[i];
		const struct config_transport *t =
		        config_transport_find(l.config, slice_str(c->name));
		assert_non_null(t);
		assert_int_equal(t->kind, c->kind);
		assert_int_equal(t->port, c->port);
		assert_int_equal(t->remote_port, c->remote_port);
		assert_int_equal(t->tls, c->tls);
		assert_string_equal(t->host_ascii, c->host);
		assert_string_equal(t->tls_name_ascii, c->tls_name);
		assert_string_equal(t->ehlo_ascii, c->ehlo);
		assert_int_equal(t->host_is_ip, c->is_ip);
	}
	const struct config_transport *t = config_transport_find(l.config, SLICE("d6"));
	assert_string_equal(t->ca.s, "/etc/mailkeep/ca.pem");
	assert_int_equal(t->family, CONFIG_FAMILY_IPV6);
	t = config_transport_find(l.config, SLICE("subs"));
	assert_int_equal(t->mechanisms.n, 2);
	assert_string_equal(t->mechanisms.v[1].s, "PLAIN");
	t = config_transport_find(l.config, SLICE("no"));
	assert_int_equal(t->code, 554);
	t = config_transport_find(l.config, SLICE("busy"));
	assert_int_equal(t->code, 451);
	assert_string_equal(t->message.s, "4.3.2 Later");
	assert_null(config_transport_find(l.config, SLICE("")));
	assert_null(config_transport_find(l.config, SLICE("D")));
	unload(&l);
}

static void routes_keep_the_order_of_the_file(void **state)
{
	(void)state;
	struct loaded l;
	load_good(&l,
	          SERVER "transports: {a: {kind: direct}, b: {kind: fail}}\n"
	                 "routes:\n"
	                 "  zz: {to: [B\xc3\xbc"
	                 "cher.Example, .Example.COM, \"[192.0.2.1]\"], transport: b}\n"
	                 "  aa: {from: [\".\"], min_attempts: 3, transport: \"\"}\n"
	                 "  mm: {transport: a}\n",
	          "domains: {example.org: {routes: {r1: {transport: a}}}}\n"
	          "accounts: {me: {addresses: [me@example.org], routes: {r2: {}, r1: {transport: "
	          "b}}}}\n");
	const struct config_routes *routes = &l.config->routes;
	assert_int_equal(routes->n, 3);
	assert_string_equal(routes->v[0].name.s, "zz");
	assert_string_equal(routes->v[0].to_ascii[0], "xn--bcher-kva.example");
	assert_string_equal(routes->v[0].to_ascii[1], ".example.com");
	assert_string_equal(routes->v[0].to_ascii[2], "[192.0.2.1]");
	assert_ptr_equal(routes->v[0].via, &l.config->transports.v[1]);
	assert_string_equal(routes->v[1].from_ascii[0], ".");
	assert_int_equal(routes->v[1].min_attempts, 3);
	assert_null(routes->v[1].via);
	assert_string_equal(routes->v[2].name.s, "mm");
	assert_ptr_equal(routes->v[2].via, &l.config->transports.v[0]);
	assert_ptr_equal(l.config->domains.v[0].routes.v[0].via, &l.config->transports.v[0]);
	assert_int_equal(l.config->accounts.v[0].routes.n, 2);
	assert_null(l.config->accounts.v[0].routes.v[0].via);
	assert_ptr_equal(l.config->accounts.v[0].routes.v[1].via, &l.config->transports.v[1]);
	unload(&l);
}

#define T(fields) SERVER "transports:\n  t: {" fields "}\n"
#define SUB       "kind: submission, host: h.example, user: u, secret: s"
static const struct bad {
	const char *server;  /* NULL: SERVER */
	const char *domains; /* NULL: DOMAINS */
	unsigned line, column;
	const char *what, *mend; /* parts of the sentences */
} bad_cases[] = {
        {T(""), NULL, 5, 3, "`kind` is missing", "submission"},
        {T("kind: smarthost"), NULL, 5, 13, "must be one of: direct, smtp, submission", ""},
        {T("kind: direct, host: a.example"), NULL, 5, 27, "`host` has no meaning", "remove it"},
        {T("kind: direct, user: a"), NULL, 5, 27, "`user` has no meaning", ""},
        {T("kind: direct, secret: a"), NULL, 5, 29, "`secret` has no meaning", ""},
        {T("kind: direct, tls_name: a.example"), NULL, 5, 31, "`tls_name` has no meaning", ""},
        {T("kind: direct, message: a"), NULL, 5, 30, "`message` has no meaning", ""},
        {T("kind: direct, tls: implicit"), NULL, 5, 3, "`tls: implicit`", "tls: required"},
        {T("kind: direct, tls: yes"), NULL, 5, 26, "must be one of: default, none", ""},
        {T("kind: direct, tls: none, ca: /x"), NULL, 5, 36, "no meaning with `tls: none`", ""},
        {T("kind: direct, mechanisms: [PLAIN]"), NULL, 5, 34, "no meaning", "submission"},
        {T("kind: direct, address_family: ipv5"), NULL, 5, 37, "both, ipv4, ipv6", ""},
        {T("kind: direct, port: 0"), NULL, 5, 27, "from 1 to 65535", ""},
        {T("kind: direct, password: hunter2"), NULL, 5, 21, "no secret", "mailkeep secret set"},
        {T("kind: smtp"), NULL, 5, 3, "has no `host`", "add `host: ...`"},
        {T("kind: smtp, host: \"a b\""), NULL, 5, 25, "a domain name or an IP address", ""},
        {T("kind: smtp, host: a.example, user: u"), NULL, 5, 42, "`user` has no meaning", ""},
        {T("kind: smtp, host: a.example, ehlo_name: \"a b\""), NULL, 5, 47, "domain name", ""},
        {T("kind: submission, host: a.example"), NULL, 5, 3, "has no `user`", ""},
        {T("kind: submission, host: a.example, user: u"), NULL, 5, 3, "has no `secret`", ""},
        {T("kind: submission, user: u, secret: s"), NULL, 5, 3, "has no `host`", ""},
        {T("kind: submission, host: a.example, user: u, secret: \"not a name\""), NULL, 5, 59,
         "must be a name", ""},
        {T(SUB ", mechanisms: [GSSAPI]"), NULL, 5, 75, "SCRAM-SHA-256-PLUS", "mend"},
        {T(SUB ", mechanisms: [plain]"), NULL, 5, 75, "must be one of", ""},
        {T(SUB ", mechanisms: [PLAIN, PLAIN]"), NULL, 5, 82, "listed twice", ""},
        {T(SUB ", mechanisms: [PLAIN, LOGIN], tls: opportunistic"), NULL, 5, 75,
         "show the password", "tls: required"},
        {T(SUB ", mechanisms: [PLAIN], tls: none"), NULL, 5, 75, "show the password", ""},
        {T("kind: socks"), NULL, 5, 3, "has no `host`", ""},
        {T("kind: socks, host: p.example, user: u"), NULL, 5, 43, "one of `user` and `secret`",
         "both, or none"},
        {T("kind: socks, host: p.example, secret: u"), NULL, 5, 45, "one of `user` and `secret`",
         ""},
        {T("kind: socks, host: p.example, tls: implicit"), NULL, 5, 3, "`tls: implicit`", ""},
        {T("kind: fail, host: a.example"), NULL, 5, 25, "`host` has no meaning", ""},
        {T("kind: fail, ca: /a"), NULL, 5, 23, "`ca` has no meaning", ""},
        {T("kind: fail, code: 250"), NULL, 5, 25, "from 400 to 599", ""},
        {T("kind: fail, message: \"a\xc3\xa4\""), NULL, 5, 28, "plain ASCII", ""},
        {SERVER "transports: {\"a b\": {kind: direct}}\n", NULL, 4, 14, "must be a name", "rename"},
        {SERVER "transports: {\"\": {kind: direct}}\n", NULL, 4, 14, "must be a name", "rename"},
        {SERVER "transports: [a]\n", NULL, 4, 13, "section of names", ""},
        /* routes */
        {SERVER "routes: {r: {transport: x}}\n", NULL, 4, 25, "names the transport `x`",
         "`transports` in mailkeep.yaml"},
        {SERVER "transports: {smarthost: {kind: direct}}\nroutes: {r: {transport: smarthots}}\n",
         NULL, 5, 25, "names the transport `smarthots`", "did you mean `smarthost`?"},
        {SERVER "routes: {r: {to: example.org}}\n", NULL, 4, 18, "must be a list", ""},
        {SERVER "routes: {r: {to: [\"a b\"]}}\n", NULL, 4, 19, "must be a domain", "mend"},
        {SERVER "routes: {r: {to: [\"..a.example\"]}}\n", NULL, 4, 19, "must be a domain", ""},
        {SERVER "routes: {r: {to: [\"*.example\"]}}\n", NULL, 4, 19, "must be a domain", ""},
        {SERVER "routes: {r: {to: [\"\"]}}\n", NULL, 4, 19, "must be a domain", ""},
        {SERVER "routes: {r: {to: [\"me@example.org\"]}}\n", NULL, 4, 19, "must be a domain", ""},
        {SERVER "routes: {r: {to: [\"[1.2.3]\"]}}\n", NULL, 4, 19, "must be a domain", ""},
        {SERVER "routes: {r: {to: [\"[::1]\"]}}\n", NULL, 4, 19, "must be a domain", ""},
        {SERVER "routes: {r: {from: [\"<>\"]}}\n", NULL, 4, 21, "must be a domain", ""},
        {SERVER "routes: {r: {min_attempts: -1}}\n", NULL, 4, 28, "whole number", ""},
        {SERVER "routes: {r: {min_attempts: 1001}}\n", NULL, 4, 28, "from 0 to 1000", ""},
        {SERVER "routes: {r: {min_attemps: 1}}\n", NULL, 4, 14, "no field",
         "did you mean `min_attempts`?"},
        {SERVER "routes: {r: {}, r: {}}\n", NULL, 4, 17, "already there", ""},
        {SERVER "routes: {R: {}}\n", NULL, 4, 10, "must be a name", ""},
        {NULL, "domains: {example.org: {routes: {r: {transport: x}}}}\n", 1, 49,
         "names the transport `x`", "mailkeep.yaml"},
        {NULL,
         "domains: {example.org: {}}\n"
         "accounts: {me: {addresses: [me@example.org], routes: {r: {transport: x}}}}\n",
         2, 70, "names the transport `x`", "mailkeep.yaml"},
        {NULL,
         "domains: {example.org: {}}\n"
         "accounts: {me: {addresses: [me@example.org], transports: {t: {kind: direct}}}}\n",
         2, 46, "no field", "mailkeep.yaml, as transports"},
};

static bool has_problem(const struct loaded *l, const struct bad *bad)
{
	const char *file = bad->domains ? CONFIG_DOMAINS_FILE : CONFIG_SERVER_FILE;
	for (size_t i = 0; i < l->problems.n; i++) {
		const struct config_problem *p = &l->problems.v[i];
		if (p->severity == CONFIG_ERROR && strcmp(p->file, file) == 0 &&
		    p->line == bad->line && p->column == bad->column &&
		    strstr(p->what, bad->what) && strstr(p->mend, bad->mend))
			return true;
	}
	return false;
}

static void each_error_is_reported_with_place_and_mend(void **state)
{
	(void)state;
	size_t n_failed = 0;
	for (size_t i = 0; i < N_ELEMENTS(bad_cases); i++) {
		const struct bad *bad = &bad_cases[i];
		struct loaded l;
		load(&l, bad->server ? bad->server : SERVER, bad->domains ? bad->domains : DOMAINS);
		if (l.status.code != ERR_INVALID || !has_problem(&l, bad)) {
			print_message("case %zu wants %u:%u %s / %s, got:\n", i, bad->line,
			              bad->column, bad->what, bad->mend);
			print_problems(&l);
			n_failed++;
		}
		unload(&l);
	}
	assert_int_equal(n_failed, 0);
}

static void a_level_has_a_largest_number_of_routes(void **state)
{
	(void)state;
	struct buf text;
	struct loaded l;
	buf_init(&text, 1000000);
	buf_add_str(&text, SERVER "routes:\n");
	for (unsigned i = 0; i < CONFIG_ROUTES_MAX; i++)
		buf_printf(&text, "  r%u: {}\n", i);
	load_good(&l, buf_cstr(&text), DOMAINS);
	unload(&l);
	buf_add_str(&text, "  more: {}\n");
	load(&l, buf_cstr(&text), DOMAINS);
	assert_int_equal(l.status.code, ERR_INVALID);
	assert_non_null(strstr(l.problems.v[0].what, "more than 1000"));
	unload(&l);
	buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(transports_are_filled_in_by_kind),
	        cmocka_unit_test(routes_keep_the_order_of_the_file),
	        cmocka_unit_test(each_error_is_reported_with_place_and_mend),
	        cmocka_unit_test(a_level_has_a_largest_number_of_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
