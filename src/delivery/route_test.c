/* Routes: configurations, senders, recipients and attempt numbers to the transport chosen, on all
 * three levels. */
#include "delivery/route.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEAD                                                                                       \
	"hostname: mail.example.org\n"                                                             \
	"postmaster: me\n"                                                                         \
	"listeners: {public: {addresses: [192.0.2.1], smtp: {}}}\n"                                \
	"transports:\n"                                                                            \
	"  slow: {kind: direct, address_family: ipv4}\n"                                           \
	"  host: {kind: smtp, host: relay.example}\n"                                              \
	"  sub: {kind: submission, host: relay.example, user: u, secret: s}\n"                     \
	"  proxy: {kind: socks, host: 127.0.0.1}\n"                                                \
	"  no: {kind: fail}\n"
#define PLAIN_DOMAINS                                                                              \
	"domains: {example.org: {}, b.example: {}, \"b\xc3\xbc"                                    \
	"cher.example\": {}}\n"                                                                    \
	"accounts: {me: {addresses: [me@example.org]}, you: {addresses: [you@b.example]}}\n"

/* All levels in one: what a level says must hide those behind it, and nothing else. */
#define LEVELS                                                                                     \
	"domains:\n"                                                                               \
	"  example.org:\n"                                                                         \
	"    routes:\n"                                                                            \
	"      d-acme: {to: [acme.example], transport: proxy}\n"                                   \
	"      d-late: {min_attempts: 5, transport: sub}\n"                                        \
	"  b.example:\n"                                                                           \
	"    routes: {all: {transport: no}}\n"                                                     \
	"accounts:\n"                                                                              \
	"  me:\n"                                                                                  \
	"    addresses: [me@example.org]\n"                                                        \
	"    routes:\n"                                                                            \
	"      a-only: {to: [only.example, acme.example], min_attempts: 2, transport: host}\n"     \
	"      a-direct: {to: [direct.example], transport: \"\"}\n"                                \
	"  you: {addresses: [you@b.example]}\n"

static const struct setting {
	const char *server, *domains;
} settings[] = {
        /* 0: no routes at all */
        {HEAD, PLAIN_DOMAINS},
        /* 1: by recipient */
        {HEAD "routes:\n"
              "  one: {to: [exact.example], transport: host}\n"
              "  two: {to: [.wide.example, \"b\xc3\xbc"
              "cher.example\"], transport: sub}\n"
              "  three: {to: [\"[192.0.2.7]\", \"[IPv6:2001:db8::7]\"], transport: proxy}\n"
              "  four: {to: [exact.example, second.example], transport: no}\n",
         PLAIN_DOMAINS},
        /* 2: by sender */
        {HEAD "routes:\n"
              "  ours: {from: [example.org], transport: host}\n"
              "  theirs: {from: [.b.example, \"xn--bcher-kva.example\"], transport: sub}\n"
              "  pair: {from: [c.example], to: [d.example], transport: proxy}\n"
              "  any: {from: [\".\"], to: [known.example], transport: slow}\n",
         PLAIN_DOMAINS},
        /* 3: by attempts: three direct ones, then the smarthost, at the end no more */
        {HEAD "routes:\n"
              "  last: {min_attempts: 6, transport: no}\n"
              "  fallback: {min_attempts: 3, transport: host}\n",
         PLAIN_DOMAINS},
        /* 4: everything by one way, but for one domain */
        {HEAD "routes:\n"
              "  inside: {to: [.inside.example]}\n"
              "  rest: {transport: sub}\n",
         PLAIN_DOMAINS},
        /* 5: three levels */
        {HEAD "routes:\n"
              "  g-acme: {to: [.acme.example], transport: slow}\n"
              "  g-only: {to: [only.example], transport: sub}\n"
              "  g-direct: {to: [direct.example], transport: host}\n"
              "  g-null: {from: [\".\"], to: [null.example], transport: host}\n",
         LEVELS},
};

static const struct route_case {
	size_t setting;
	const char *account; /* NULL: none */
	const char *from, *to;
	unsigned n_attempts;
	const char *transport; /* NULL: direct */
	const char *route;     /* NULL: none matches */
	enum delivery_level level;
} cases[] = {
#define NONE    NULL, NULL, DELIVERY_LEVEL_NONE
#define GLOBAL  DELIVERY_LEVEL_GLOBAL
#define DOMAIN  DELIVERY_LEVEL_DOMAIN
#define ACCOUNT DELIVERY_LEVEL_ACCOUNT
        {0, "me", "example.org", "x.example", 0, NONE},
        {0, "me", "", "x.example", 99, NONE},
        {0, NULL, "", "", 0, NONE},
        /* recipients */
        {1, "me", "example.org", "exact.example", 0, "host", "one", GLOBAL},
        {1, "me", "example.org", "EXACT.Example", 0, "host", "one", GLOBAL},
        {1, "me", "example.org", "exact.example.", 0, "host", "one", GLOBAL},
        {1, "me", "", "exact.example", 0, "host", "one", GLOBAL},
        {1, NULL, "other.example", "exact.example", 7, "host", "one", GLOBAL},
        {1, "me", "example.org", "sub.exact.example", 0, NONE},
        {1, "me", "example.org", "inexact.example", 0, NONE},
        {1, "me", "example.org", "exact.example.org", 0, NONE},
        {1, "me", "example.org", "example", 0, NONE},
        {1, "me", "example.org", "wide.example", 0, "sub", "two", GLOBAL},
        {1, "me", "example.org", "a.wide.example", 0, "sub", "two", GLOBAL},
        {1, "me", "example.org", "a.b.c.Wide.Example", 0, "sub", "two", GLOBAL},
        {1, "me", "example.org", "awide.example", 0, NONE},
        {1, "me", "example.org", ".wide.example", 0, "sub", "two", GLOBAL},
        {1, "me", "example.org", "wide.example.com", 0, NONE},
        {1, "me", "example.org", "xn--bcher-kva.example", 0, "sub", "two", GLOBAL},
        {1, "me", "example.org",
         "B\xc3\x9c"
         "CHER.example",
         0, "sub", "two", GLOBAL},
        {1, "me", "example.org",
         "x.b\xc3\xbc"
         "cher.example",
         0, NONE},
        {1, "me", "example.org", "[192.0.2.7]", 0, "proxy", "three", GLOBAL},
        {1, "me", "example.org", "[ipv6:2001:DB8::7]", 0, "proxy", "three", GLOBAL},
        {1, "me", "example.org", "[192.0.2.70]", 0, NONE},
        {1, "me", "example.org", "192.0.2.7", 0, NONE},
        {1, "me", "example.org", "second.example", 0, "no", "four", GLOBAL},
        {1, "me", "example.org", "", 0, NONE},
        {1, "me", "example.org", "not a domain", 0, NONE},
        {1, "me", "exact.example", "x.example", 0, NONE},
        /* senders */
        {2, "me", "example.org", "x.example", 0, "host", "ours", GLOBAL},
        {2, "you", "example.org", "x.example", 0, "host", "ours", GLOBAL},
        {2, "me", "Example.ORG", "x.example", 4, "host", "ours", GLOBAL},
        {2, "me", "a.example.org", "x.example", 0, NONE},
        {2, "me", "b.example", "x.example", 0, "sub", "theirs", GLOBAL},
        {2, "me", "deep.down.b.example", "x.example", 0, "sub", "theirs", GLOBAL},
        {2, "me", "bb.example", "x.example", 0, NONE},
        {2, "me",
         "b\xc3\xbc"
         "cher.example",
         "x.example", 0, "sub", "theirs", GLOBAL},
        {2, "me", "c.example", "d.example", 0, "proxy", "pair", GLOBAL},
        {2, "me", "c.example", "x.example", 0, NONE},
        {2, "me", "x.example", "d.example", 0, NONE},
        {2, "me", "d.example", "c.example", 0, NONE},
        {2, "me", "x.example", "known.example", 0, "slow", "any", GLOBAL},
        {2, "me", "", "known.example", 0, NONE},
        {2, "me", "", "example.org", 0, NONE},
        /* attempts */
        {3, "me", "example.org", "x.example", 0, NONE},
        {3, "me", "example.org", "x.example", 1, NONE},
        {3, "me", "example.org", "x.example", 2, NONE},
        {3, "me", "example.org", "x.example", 3, "host", "fallback", GLOBAL},
        {3, "me", "", "x.example", 4, "host", "fallback", GLOBAL},
        {3, "me", "example.org", "x.example", 5, "host", "fallback", GLOBAL},
        {3, "me", "example.org", "x.example", 6, "no", "last", GLOBAL},
        {3, "me", "example.org", "x.example", 4000000000u, "no", "last", GLOBAL},
        /* an exception that goes directly */
        {4, "me", "example.org", "a.inside.example", 0, NULL, "inside", GLOBAL},
        {4, "me", "example.org", "inside.example", 9, NULL, "inside", GLOBAL},
        {4, "me", "example.org", "outside.example", 0, "sub", "rest", GLOBAL},
        {4, "me", "", "outside.example", 0, "sub", "rest", GLOBAL},
        {4, "me", "example.org", "[192.0.2.1]", 0, "sub", "rest", GLOBAL},
        {4, NULL, "", "", 0, "sub", "rest", GLOBAL},
        /* levels */
        {5, "me", "example.org", "acme.example", 0, "proxy", "d-acme", DOMAIN},
        {5, "me", "example.org", "acme.example", 1, "proxy", "d-acme", DOMAIN},
        {5, "me", "example.org", "acme.example", 2, "host", "a-only", ACCOUNT},
        {5, "me", "example.org", "acme.example", 5, "host", "a-only", ACCOUNT},
        {5, "me", "other.example", "acme.example", 0, "slow", "g-acme", GLOBAL},
        {5, "me", "other.example", "acme.example", 2, "host", "a-only", ACCOUNT},
        {5, "me", "b.example", "acme.example", 0, "no", "all", DOMAIN},
        {5, "me", "b.example", "acme.example", 2, "host", "a-only", ACCOUNT},
        {5, "you", "b.example", "acme.example", 2, "no", "all", DOMAIN},
        {5, "you", "B.Example", "elsewhere.example", 0, "no", "all", DOMAIN},
        {5, "you", "x.b.example", "elsewhere.example", 0, NONE},
        {5, "you", "example.org", "acme.example", 9, "proxy", "d-acme", DOMAIN},
        {5, NULL, "example.org", "acme.example", 9, "proxy", "d-acme", DOMAIN},
        {5, NULL, "", "acme.example", 9, "slow", "g-acme", GLOBAL},
        {5, "me", "", "a.acme.example", 0, "slow", "g-acme", GLOBAL},
        {5, "me", "example.org", "a.acme.example", 0, "slow", "g-acme", GLOBAL},
        {5, "me", "example.org", "a.acme.example", 5, "sub", "d-late", DOMAIN},
        {5, "me", "example.org", "only.example", 0, "sub", "g-only", GLOBAL},
        {5, "me", "example.org", "only.example", 1, "sub", "g-only", GLOBAL},
        {5, "me", "example.org", "only.example", 2, "host", "a-only", ACCOUNT},
        {5, "you", "example.org", "only.example", 2, "sub", "g-only", GLOBAL},
        {5, "me", "example.org", "direct.example", 0, NULL, "a-direct", ACCOUNT},
        {5, "me", "example.org", "direct.example", 8, NULL, "a-direct", ACCOUNT},
        {5, "you", "example.org", "direct.example", 0, "host", "g-direct", GLOBAL},
        {5, "you", "example.org", "direct.example", 8, "sub", "d-late", DOMAIN},
        {5, "me", "example.org", "elsewhere.example", 4, NONE},
        {5, "me", "example.org", "elsewhere.example", 5, "sub", "d-late", DOMAIN},
        {5, "me", "example.org", "null.example", 0, "host", "g-null", GLOBAL},
        {5, "me", "", "null.example", 0, NONE},
        {5, NULL, "", "null.example", 0, NONE},
};

struct loaded {
	struct arena arena;
	struct config_problems problems;
	struct config *config;
};

static void load(struct loaded *l, const struct setting *setting)
{
	struct config_sources sources = {
	        .directory = "/etc/mailkeep",
	        .text = {slice_str(setting->server), slice_str(setting->domains)},
	};
	arena_init(&l->arena, CONFIG_ARENA_MAX);
	config_problems_init(&l->problems);
	assert_true(is_ok(config_parse(&sources, &l->arena, &l->config, &l->problems)));
}

static void unload(struct loaded *l)
{
	arena_done(&l->arena);
	config_problems_done(&l->problems);
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_right(const struct config *config, const struct route_case *c)
{
	struct delivery_choice choice;
	const struct delivery_question question = {
	        .config = config,
	        .account = c->account ? config_account_find(config, slice_str(c->account)) : NULL,
	        .sender_domain = slice_str(c->from),
	        .recipient_domain = slice_str(c->to),
	        .n_attempts = c->n_attempts,
	};
	delivery_choose(&question, &choice);
	const char *transport = choice.transport ? choice.transport->name.s : NULL;
	const char *route = choice.route ? choice.route->name.s : NULL;
	bool explained = strstr(choice.why, transport ? transport : "direct") &&
	                 strstr(choice.why, route ? route : "no route matches");
	if (same(transport, c->transport) && same(route, c->route) && choice.level == c->level &&
	    explained)
		return true;
	print_message("%zu: %s <%s> -> <%s> after %u: %s (%s)\n", c->setting,
	              c->account ? c->account : "-", c->from, c->to, c->n_attempts, choice.why,
	              delivery_level_name(choice.level));
	return false;
}

static void each_message_takes_its_route(void **state)
{
	(void)state;
	struct loaded loaded[N_ELEMENTS(settings)];
	size_t n_failed = 0;
	for (size_t i = 0; i < N_ELEMENTS(settings); i++)
		load(&loaded[i], &settings[i]);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		n_failed += !is_right(loaded[cases[i].setting].config, &cases[i]);
	for (size_t i = 0; i < N_ELEMENTS(settings); i++)
		unload(&loaded[i]);
	assert_int_equal(n_failed, 0);
}

static void a_choice_is_explained(void **state)
{
	(void)state;
	struct loaded l;
	struct delivery_choice choice;
	load(&l, &settings[5]);
	struct delivery_question question = {
	        .config = l.config,
	        .account = config_account_find(l.config, SLICE("me")),
	        .sender_domain = SLICE("example.org"),
	        .recipient_domain = SLICE("direct.example"),
	};
	delivery_choose(&question, &choice);
	assert_string_equal(choice.why, "route `a-direct` of account `me`: direct");
	question.recipient_domain = SLICE("acme.example");
	delivery_choose(&question, &choice);
	assert_string_equal(choice.why, "route `d-acme` of domain `example.org`: proxy");
	question.recipient_domain = SLICE("only.example");
	delivery_choose(&question, &choice);
	assert_string_equal(choice.why, "route `g-only` of the server: sub");
	question.recipient_domain = SLICE("x.example");
	delivery_choose(&question, &choice);
	assert_string_equal(choice.why, "no route matches: direct");
	unload(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_message_takes_its_route),
	        cmocka_unit_test(a_choice_is_explained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
