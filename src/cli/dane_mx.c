/* `mailkeep dane dialmx`: what would happen to a message for a domain, host by host, as the courier
 * would decide it: MX records, MTA-STS, addresses, DANE, the decision, a session as far as TLS.
 * Only that no message is sent. In this process: no running server is needed. */
#include "cli/dns.h"
#include "cli/evidence.h"

#include "delivery/https_fetch.h"
#include "os/clock.h"

#include <stdarg.h>

#define MX_ARENA ((size_t)128 * 1024 * 1024)
#define MX_PORT  25

/* What a message would be, from the best to the worst. */
#define RESULT_LIST(X)                                                                             \
	X(VERIFIED, "verified")                                                                    \
	X(ENCRYPTED, "encrypted")                                                                  \
	X(CLEAR, "clear")                                                                          \
	X(DEFERRED, "deferred")                                                                    \
	X(FAILED, "failed")

enum result {
#define X(id, name) RESULT_##id,
	RESULT_LIST(X)
#undef X
};

static const char *result_name(enum result result)
{
	static const char *const names[] = {
#define X(id, name) [RESULT_##id] = name,
	        RESULT_LIST(X)
#undef X
	};
	return names[result];
}

/* One host. */
struct look {
	const struct delivery_host *host;
	struct delivery_addresses addresses;
	bool guarded; /* its guard is known */
	struct delivery_guard guard;
	bool dialed;
	struct cli_session session;
	enum result result;
	const char *why;
};

struct mx {
	struct cli *cli;
	struct arena arena;
	struct cli_resolver resolver;
	struct cli_tls tls;
	uint16_t port, https_port;
	struct delivery_query query;
	struct delivery_hosts hosts;
	struct mtasts_found sts;
	struct look *looks[DELIVERY_HOSTS_MAX];
	size_t n_looks;
	enum result result;
	const char *why;
};

PRINTF(2, 3) static const char *words(struct mx *mx, const char *format, ...)
{
	char text[900];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *copy = arena_printf(&mx->arena, "%s", text);
	return copy ? copy : "";
}

/* --- one host --- */

static const char *by_whom(const struct delivery_security *security)
{
	if (security->dane_required && security->pkix_required)
		return "verified by TLSA records (DANE) and by authorities";
	if (security->dane_required)
		return "verified by TLSA records (DANE)";
	return security->pkix_required ? "verified by authorities"
	                               : "not verified, since nothing demands it";
}

static void set_result(struct mx *mx, struct look *look, enum result result, const char *why)
{
	look->result = result;
	look->why = words(mx, "%s", why);
}

static void judge(struct mx *mx, struct look *look)
{
	const struct delivery_security *security = &look->guard.security;
	const struct cli_session *session = &look->session;
	struct delivery_judgement judgement =
	        delivery_security_judge(security, session->progress, session->requiretls);
	const char *reason = *session->why ? session->why : judgement.why;
	bool verified = security->dane_required || security->pkix_required;
	switch (judgement.next) {
	case DELIVERY_SEND:
		if (!session->tls.on)
			set_result(mx, look, RESULT_CLEAR, judgement.why);
		else
			set_result(
			        mx, look, verified ? RESULT_VERIFIED : RESULT_ENCRYPTED,
			        words(mx, "over %s, %s", session->tls.version, by_whom(security)));
		return;
	case DELIVERY_AGAIN_IN_CLEAR:
		set_result(mx, look, RESULT_CLEAR,
		           words(mx, "%s: %s", judgement.why, session->why));
		return;
	case DELIVERY_NOT_NOW:
		set_result(mx, look, RESULT_DEFERRED,
		           session->progress == DELIVERY_TLS_NOT_CONNECTED
		                   ? reason
		                   : words(mx, "%s: %s", judgement.why, session->why));
		return;
	case DELIVERY_NOT_HERE:
		set_result(mx, look, RESULT_FAILED, judgement.why);
		return;
	}
}

static void dial(struct mx *mx, struct look *look)
{
	const struct cli_dial dial = {
	        .tls = &mx->tls,
	        .ips = look->addresses.v,
	        .n_ips = look->addresses.n,
	        .port = mx->port,
	        .target = delivery_guard_target(&look->guard, NULL),
	        .smtp = true,
	        .must = look->guard.security.tls == DELIVERY_TLS_MUST,
	        .ehlo = cli_ehlo_name(mx->cli, &mx->arena),
	        .timeout_ms = mx->resolver.timeout_ms,
	};
	cli_dial(&dial, &mx->arena, &look->session);
	look->dialed = true;
	judge(mx, look);
}

static enum delivery_wish wish_of(const struct cli *cli)
{
	if (cli_option(cli, "requiretls"))
		return DELIVERY_WISH_REQUIRED;
	return cli_option(cli, "tls-optional") ? DELIVERY_WISH_OPTIONAL : DELIVERY_WISH_NONE;
}

static struct status look_at(struct mx *mx, struct look *look)
{
	const struct delivery_guard_query query = {
	        .resolver = mx->resolver.resolver,
	        .timeout_ms = mx->resolver.timeout_ms,
	        .hosts = &mx->hosts,
	        .sts = &mx->sts,
	        .port = mx->port,
	        .floor = DELIVERY_FLOOR_OPPORTUNISTIC,
	        .wish = wish_of(mx->cli),
	};
	TRY(delivery_addresses_find(&mx->query, look->host, &mx->arena, &look->addresses));
	if (look->addresses.n == 0) {
		set_result(mx, look,
		           look->addresses.enhanced[0] == '5' ? RESULT_FAILED : RESULT_DEFERRED,
		           look->addresses.why);
		return ok();
	}
	TRY(delivery_guard_find(&query, look->host, &look->addresses, &mx->arena, &look->guard));
	look->guarded = true;
	switch (look->guard.security.way) {
	case DELIVERY_WAY_OPEN:
		dial(mx, look);
		break;
	case DELIVERY_WAY_LATER:
		set_result(mx, look, RESULT_DEFERRED, look->guard.security.why);
		break;
	case DELIVERY_WAY_CLOSED:
		set_result(mx, look, RESULT_FAILED, look->guard.security.why);
		break;
	}
	return ok();
}

/* --- all of them --- */

/* The first host that would take it; else the first that may do so later. */
static void conclude(struct mx *mx)
{
	const char *domain = mx->hosts.domain;
	const struct look *chosen = NULL;
	for (size_t i = 0; i < mx->n_looks; i++) {
		const struct look *look = mx->looks[i];
		if (!chosen || (chosen->result > RESULT_CLEAR && look->result < chosen->result))
			chosen = look;
	}
	if (!chosen)
		return;
	mx->result = chosen->result;
	if (chosen->result <= RESULT_CLEAR)
		mx->why = words(mx, "a message to %s would go to %s [%s] %s", domain,
		                chosen->host->name, chosen->session.address, chosen->why);
	else
		mx->why = words(mx, "no message to %s would go now: %s: %s", domain,
		                chosen->host->name, chosen->why);
}

static struct status look_at_hosts(struct mx *mx)
{
	bool all = cli_option(mx->cli, "all") != NULL;
	for (size_t i = 0; i < mx->hosts.n; i++) {
		struct look *look = ARENA_NEW(&mx->arena, struct look);
		if (!look)
			return fail(ERR_LIMIT, "too little memory for so many hosts");
		look->host = &mx->hosts.v[i];
		TRY(look_at(mx, look));
		mx->looks[mx->n_looks++] = look;
		if (!all && look->result <= RESULT_CLEAR)
			break;
	}
	conclude(mx);
	return ok();
}

static struct status look(struct mx *mx)
{
	const struct mtasts_query sts = {
	        .resolver = mx->resolver.resolver,
	        .clock = clock_real(),
	        .domain = mx->query.domain,
	        .lookup_timeout_ms = mx->resolver.timeout_ms,
	        .fetch_timeout_ms = mx->resolver.timeout_ms,
	        .port = mx->https_port,
	        .fetcher = &https_by_curl,
	        .authorities = mx->tls.authorities,
	};
	TRY(delivery_hosts_find(&mx->query, &mx->arena, &mx->hosts));
	if (mx->hosts.outcome != DELIVERY_HOSTS_FOUND) {
		mx->result = mx->hosts.enhanced[0] == '5' ? RESULT_FAILED : RESULT_DEFERRED;
		mx->why = words(mx, "%s", mx->hosts.why);
		return ok();
	}
	TRY(mtasts_find(&sts, &mx->arena, &mx->sts));
	return look_at_hosts(mx);
}

/* --- telling --- */

static void say_look(const struct look *look, struct buf *out)
{
	buf_printf(out, "\n%s (preference %" PRIu32 "): %s\n", look->host->name,
	           look->host->preference, result_name(look->result));
	if (look->guarded) {
		/* The answer for MX is told of the domain. */
		const struct delivery_dane *dane = &look->guard.dane;
		size_t skip = dane->n_answers > 0 && dane->answers[0]->type == DNS_TYPE_MX;
		size_t n = dane->n_answers - skip;
		if (n == 0)
			cli_say_answers(look->addresses.answers, look->addresses.n_answers, out);
		cli_say_answers(dane->answers + skip, n, out);
		cli_say_dane(dane, look->session.verdict.findings, out);
		cli_say_steps("decision", look->guard.security.steps, look->guard.security.n_steps,
		              out);
	} else {
		cli_say_answers(look->addresses.answers, look->addresses.n_answers, out);
	}
	if (look->dialed)
		cli_say_session(&look->session, out);
	buf_printf(out, "  outcome: %s\n", look->why);
}

static void say(const struct mx *mx, struct buf *out)
{
	buf_printf(out, "%s: %s\n\n%s\n", result_name(mx->result), mx->why, mx->hosts.domain);
	if (mx->hosts.answer)
		cli_say_answers(&mx->hosts.answer, 1, out);
	cli_say_mtasts(&mx->sts, out);
	for (size_t i = 0; i < mx->n_looks; i++)
		say_look(mx->looks[i], out);
	for (size_t i = mx->n_looks; i < mx->hosts.n; i++)
		buf_printf(out, "\n%s (preference %" PRIu32 "): not tried\n", mx->hosts.v[i].name,
		           mx->hosts.v[i].preference);
}

static json_t *security_json(const struct delivery_security *s)
{
	return json_pack(
	        "{s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:o}", "way", delivery_way_name(s->way),
	        "tls", delivery_tls_need_name(s->tls), "dane_required", s->dane_required,
	        "authorities_required", s->pkix_required, "clear_allowed", s->clear_allowed,
	        "requiretls_needed", s->requiretls_needed, "dane_reported", s->dane_reported,
	        "mta_sts_reported", s->sts_reported, "steps", cli_steps_json(s->steps, s->n_steps));
}

static json_t *look_json(const struct look *look)
{
	return json_pack(
	        "{s:s, s:I, s:s, s:s, s:o, s:o, s:o, s:o}", "host", look->host->name, "preference",
	        (json_int_t)look->host->preference, "result", result_name(look->result), "why",
	        look->why, "addresses",
	        cli_answers_json(look->addresses.answers, look->addresses.n_answers), "dane",
	        look->guarded ? cli_dane_json(&look->guard.dane, look->session.verdict.findings)
	                      : json_null(),
	        "decision", look->guarded ? security_json(&look->guard.security) : json_null(),
	        "session", look->dialed ? cli_session_json(&look->session) : json_null());
}

static json_t *all_json(const struct mx *mx, bool is_good)
{
	json_t *hosts = json_array();
	for (size_t i = 0; i < mx->n_looks; i++)
		json_array_append_new(hosts, look_json(mx->looks[i]));
	return json_pack("{s:b, s:s, s:s, s:s, s:o, s:o, s:o}", "ok", is_good, "result",
	                 result_name(mx->result), "why", mx->why, "domain", mx->hosts.domain, "mx",
	                 mx->hosts.answer ? cli_answer_json(mx->hosts.answer) : json_null(),
	                 "mta_sts", cli_mtasts_json(&mx->sts), "hosts", hosts);
}

static int put(const struct mx *mx)
{
	bool is_good = mx->result <= RESULT_CLEAR;
	struct buf text;
	if (mx->cli->json) {
		cli_put_json(all_json(mx, is_good));
	} else {
		buf_init(&text, SIZE_MAX);
		say(mx, &text);
		cli_put(&text);
		buf_done(&text);
	}
	return is_good ? 0 : CLI_FAILED;
}

/* --- the command --- */

static int prepare(struct mx *mx)
{
	int result = cli_port_option(mx->cli, "port", &mx->port);
	if (result == 0)
		result = cli_port_option(mx->cli, "https-port", &mx->https_port);
	if (result == 0 && !https_warm_up())
		result = cli_fail(mx->cli, NULL, "libcurl cannot be used");
	if (result == 0)
		result = cli_resolver_open(mx->cli, &mx->resolver);
	if (result != 0)
		return result;
	mx->port = mx->port ? mx->port : MX_PORT;
	mx->query = (struct delivery_query){.resolver = mx->resolver.resolver,
	                                    .domain = slice_str(mx->cli->args[0]),
	                                    .timeout_ms = mx->resolver.timeout_ms};
	result = cli_tls_open(mx->cli, &mx->tls);
	if (result != 0)
		cli_resolver_done(&mx->resolver);
	return result;
}

int cli_dane_dialmx(struct cli *cli)
{
	struct mx *mx = base_alloc(sizeof(*mx));
	*mx = (struct mx){.cli = cli, .why = ""};
	arena_init(&mx->arena, MX_ARENA);
	int result = prepare(mx);
	if (result == 0) {
		struct status status = look(mx);
		result = is_ok(status) ? put(mx) : cli_fail(cli, NULL, "%s", status.why);
		cli_tls_done(&mx->tls);
		cli_resolver_done(&mx->resolver);
	}
	arena_done(&mx->arena);
	base_free(mx);
	return result;
}
