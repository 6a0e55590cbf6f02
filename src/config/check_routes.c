/* Checks of transports and routes: which fields go together by the transport's kind, and whether a
 * route's transport exists. Fills in what depends on the kind: port, TLS, names in A-labels.
 */
#include "config/check.h"

#include "config/name.h"
#include "config/suggest.h"
#include "config/value.h"

struct route_checker {
	struct config *config;
	struct arena *arena;
	struct config_problems *problems;
};

#define ERROR_AT(c, file, text, ...)                                                               \
	config_problem_add((c)->problems, CONFIG_ERROR,                                            \
	                   (struct config_place){(file), (text)->line, (text)->column},            \
	                   __VA_ARGS__)

const char *config_transport_kind_name(enum config_transport_kind kind)
{
	switch (kind) {
	case CONFIG_TRANSPORT_DIRECT:
		return "direct";
	case CONFIG_TRANSPORT_SMTP:
		return "smtp";
	case CONFIG_TRANSPORT_SUBMISSION:
		return "submission";
	case CONFIG_TRANSPORT_SOCKS:
		return "socks";
	case CONFIG_TRANSPORT_FAIL:
		return "fail";
	}
	return "unknown";
}

static struct status out_of_memory(void)
{
	return fail(ERR_LIMIT, "the configuration needs more memory than its budget");
}

/* --- transports --- */

#define DIRECT     (1u << CONFIG_TRANSPORT_DIRECT)
#define SMTP       (1u << CONFIG_TRANSPORT_SMTP)
#define SUBMISSION (1u << CONFIG_TRANSPORT_SUBMISSION)
#define SOCKS      (1u << CONFIG_TRANSPORT_SOCKS)
#define FAIL       (1u << CONFIG_TRANSPORT_FAIL)

/* Texts of a transport: the kinds that need it, and those that may have it. */
static const struct text_rule {
	const char *key;
	size_t at;
	unsigned needed, allowed;
} text_rules[] = {
        {"host", offsetof(struct config_transport, host), SMTP | SUBMISSION | SOCKS,
         SMTP | SUBMISSION | SOCKS},
        {"ca", offsetof(struct config_transport, ca), 0, DIRECT | SMTP | SUBMISSION | SOCKS},
        {"tls_name", offsetof(struct config_transport, tls_name), 0, SMTP | SUBMISSION},
        {"user", offsetof(struct config_transport, user), SUBMISSION, SUBMISSION | SOCKS},
        {"secret", offsetof(struct config_transport, secret), SUBMISSION, SUBMISSION | SOCKS},
        {"ehlo_name", offsetof(struct config_transport, ehlo_name), 0,
         DIRECT | SMTP | SUBMISSION | SOCKS},
        {"message", offsetof(struct config_transport, message), 0, FAIL},
};

static void check_texts(struct route_checker *c, const struct config_transport *t)
{
	const char *kind = config_transport_kind_name(t->kind);
	for (size_t i = 0; i < N_ELEMENTS(text_rules); i++) {
		const struct text_rule *rule = &text_rules[i];
		const struct config_text *text = (const void *)((const uint8_t *)t + rule->at);
		/* A value that its format refused is reported already; its line is 0 then. */
		if (text->n == 0 && rule->needed & 1u << t->kind)
			ERROR_AT(c, CONFIG_SERVER_FILE, &t->name,
			         "transport `%s` is of kind %s and has no `%s`\nadd `%s: ...`; see "
			         "`mailkeep config describe transports.*.%s`",
			         t->name.s, kind, rule->key, rule->key, rule->key);
		if (text->n > 0 && !(rule->allowed & 1u << t->kind))
			ERROR_AT(c, CONFIG_SERVER_FILE, text,
			         "`%s` has no meaning for a transport of kind %s\nremove it, or "
			         "change `kind`",
			         rule->key, kind);
	}
	if (t->kind == CONFIG_TRANSPORT_SOCKS && (t->user.n > 0) != (t->secret.n > 0))
		ERROR_AT(c, CONFIG_SERVER_FILE, t->user.n > 0 ? &t->user : &t->secret,
		         "transport `%s` has one of `user` and `secret` only\nwrite both, or none "
		         "for a proxy without login",
		         t->name.s);
}

static void check_tls(struct route_checker *c, struct config_transport *t)
{
	bool one_host = t->kind == CONFIG_TRANSPORT_SMTP || t->kind == CONFIG_TRANSPORT_SUBMISSION;
	if (t->tls == CONFIG_TLS_DEFAULT)
		t->tls = t->kind == CONFIG_TRANSPORT_SUBMISSION ? CONFIG_TLS_REQUIRED
		                                                : CONFIG_TLS_OPPORTUNISTIC;
	if (t->tls == CONFIG_TLS_IMPLICIT && !one_host)
		ERROR_AT(c, CONFIG_SERVER_FILE, &t->name,
		         "transport `%s` is of kind %s, but has `tls: implicit`\nmail servers of "
		         "other domains speak TLS after STARTTLS only: write `tls: required`",
		         t->name.s, config_transport_kind_name(t->kind));
	if (t->tls == CONFIG_TLS_NONE && t->ca.n > 0)
		ERROR_AT(c, CONFIG_SERVER_FILE, &t->ca,
		         "`ca` has no meaning with `tls: none`\nremove one of the two");
}

static bool is_plaintext(const struct config_text *mechanism)
{
	return strcmp(mechanism->s, "PLAIN") == 0 || strcmp(mechanism->s, "LOGIN") == 0;
}

static void check_mechanisms(struct route_checker *c, const struct config_transport *t)
{
	const struct config_texts *list = &t->mechanisms;
	bool verified = t->tls == CONFIG_TLS_REQUIRED || t->tls == CONFIG_TLS_IMPLICIT;
	size_t n_usable = 0;
	for (size_t i = 0; i < list->n; i++) {
		for (size_t j = 0; j < i; j++)
			if (strcmp(list->v[i].s, list->v[j].s) == 0)
				ERROR_AT(c, CONFIG_SERVER_FILE, &list->v[i],
				         "`%s` is listed twice\nremove one of the two",
				         list->v[i].s);
		if (!is_plaintext(&list->v[i]) || verified)
			n_usable++;
	}
	if (list->n > 0 && t->kind != CONFIG_TRANSPORT_SUBMISSION)
		ERROR_AT(c, CONFIG_SERVER_FILE, &list->v[0],
		         "`mechanisms` has no meaning for a transport of kind %s\nremove it, or "
		         "change `kind` to submission",
		         config_transport_kind_name(t->kind));
	else if (list->n > 0 && n_usable == 0)
		ERROR_AT(c, CONFIG_SERVER_FILE, &list->v[0],
		         "PLAIN and LOGIN show the password, but transport `%s` does not verify "
		         "whom it speaks to\nwrite `tls: required` or `tls: implicit`, or list a "
		         "SCRAM mechanism",
		         t->name.s);
}

static uint16_t usual_port(const struct config_transport *t)
{
	switch (t->kind) {
	case CONFIG_TRANSPORT_DIRECT:
	case CONFIG_TRANSPORT_SMTP:
	case CONFIG_TRANSPORT_FAIL:
		break;
	case CONFIG_TRANSPORT_SUBMISSION:
		return t->tls == CONFIG_TLS_IMPLICIT ? 465 : 587; /* RFC 8314 section 3.3 */
	case CONFIG_TRANSPORT_SOCKS:
		return 1080; /* RFC 1928 section 3 */
	}
	return 25;
}

/* "" where the text is empty or was refused by its format. */
static struct status ascii_of(struct route_checker *c, const struct config_text *text,
                              const char **ret)
{
	char ascii[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	if (!is_ok(config_domain_canonical(config_slice(text), ascii, &n)))
		n = 0;
	*ret = arena_cstr(c->arena, slice_of(ascii, n));
	return *ret ? ok() : out_of_memory();
}

static struct status derive(struct route_checker *c, struct config_transport *t)
{
	uint8_t bytes[16];
	bool is_v6;
	if (t->port == 0)
		t->port = usual_port(t);
	t->host_is_ip = config_parse_ip(config_slice(&t->host), bytes, &is_v6);
	t->host_ascii = t->host.s;
	if (!t->host_is_ip)
		TRY(ascii_of(c, &t->host, &t->host_ascii));
	TRY(ascii_of(c, &t->tls_name, &t->tls_name_ascii));
	if (!*t->tls_name_ascii)
		t->tls_name_ascii = t->host_ascii;
	TRY(ascii_of(c, &t->ehlo_name, &t->ehlo_ascii));
	if (!*t->ehlo_ascii)
		t->ehlo_ascii = c->config->hostname_ascii;
	return ok();
}

/* --- routes --- */

/* Canonical forms of a list; see struct config_route. */
static struct status canonical_list(struct route_checker *c, const struct config_texts *list,
                                    const char ***ret)
{
	const char **v = ARENA_ARRAY(c->arena, list->n, const char *);
	for (size_t i = 0; v && i < list->n; i++) {
		char text[CONFIG_DOMAIN_MAX + 1];
		struct slice s = config_slice(&list->v[i]);
		bool dot = slice_starts(s, SLICE(".")) && s.n > 1;
		size_t n;
		if (!is_ok(config_domain_canonical(slice_from(s, dot), text, &n)))
			v[i] = list->v[i].s; /* "." or an address literal */
		else
			v[i] = arena_printf(c->arena, "%s%s", dot ? "." : "", text);
	}
	*ret = v;
	return arena_failed(c->arena) ? out_of_memory() : ok();
}

static void unknown_transport(struct route_checker *c, const char *file,
                              const struct config_route *route)
{
	struct suggest near;
	suggest_init(&near, config_slice(&route->transport));
	for (size_t i = 0; i < c->config->transports.n; i++)
		suggest_offer(&near, config_slice(&c->config->transports.v[i].name));
	if (near.best.n > 0)
		ERROR_AT(c, file, &route->transport,
		         "route `%s` names the transport `%s`, which does not exist\ndid you mean "
		         "`%.*s`?",
		         route->name.s, route->transport.s, SLICE_FMT(near.best));
	else
		ERROR_AT(c, file, &route->transport,
		         "route `%s` names the transport `%s`, which does not exist\nadd it to "
		         "`transports` in " CONFIG_SERVER_FILE,
		         route->name.s, route->transport.s);
}

static struct status check_routes(struct route_checker *c, const char *file,
                                  struct config_routes *routes)
{
	for (size_t i = 0; i < routes->n; i++) {
		struct config_route *route = &routes->v[i];
		TRY(canonical_list(c, &route->to, &route->to_ascii));
		TRY(canonical_list(c, &route->from, &route->from_ascii));
		route->via = config_transport_find(c->config, config_slice(&route->transport));
		if (!route->via && route->transport.n > 0)
			unknown_transport(c, file, route);
	}
	return ok();
}

struct status config_check_routes(struct config *config, struct arena *arena,
                                  struct config_problems *problems)
{
	struct route_checker c = {.config = config, .arena = arena, .problems = problems};
	for (size_t i = 0; i < config->transports.n; i++) {
		struct config_transport *transport = &config->transports.v[i];
		check_texts(&c, transport);
		check_tls(&c, transport);
		check_mechanisms(&c, transport);
		TRY(derive(&c, transport));
	}
	TRY(check_routes(&c, CONFIG_SERVER_FILE, &config->routes));
	for (size_t i = 0; i < config->domains.n; i++)
		TRY(check_routes(&c, CONFIG_DOMAINS_FILE, &config->domains.v[i].routes));
	for (size_t i = 0; i < config->accounts.n; i++)
		TRY(check_routes(&c, CONFIG_DOMAINS_FILE, &config->accounts.v[i].routes));
	return ok();
}
