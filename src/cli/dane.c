/* `mailkeep dane dial`: one server, its TLSA records, its certificate, and whether they fit. In
 * this process: no running server is needed. */
#include "cli/dns.h"
#include "cli/evidence.h"

#include "tls/certificate.h"

#include <stdarg.h>

#define DIAL_ARENA ((size_t)64 * 1024 * 1024)

/* --- dane dial --- */

struct dialing {
	struct cli *cli;
	struct arena arena;
	struct cli_resolver resolver;
	struct cli_tls tls;
	struct delivery_host host;
	uint16_t port;
	bool smtp;
	struct delivery_addresses addresses;
	struct delivery_dane dane;
	bool dialed;
	struct cli_session session;
	const char *result, *why;
};

static int read_arguments(struct dialing *d)
{
	const char *starttls = cli_option(d->cli, "starttls");
	struct slice text = slice_str(d->cli->args[0]);
	size_t colon = slice_rindex(text, ':');
	uint32_t port;
	if (colon == SIZE_MAX || colon == 0 ||
	    !slice_to_u32(slice_from(text, colon + 1), 65535, &port) || port == 0)
		return cli_fail(d->cli, NULL, "`%s` is not HOST:PORT", d->cli->args[0]);
	if (starttls && strcmp(starttls, "smtp") != 0)
		return cli_fail(d->cli, NULL, "--starttls is smtp");
	text = slice_sub(text, 0, colon);
	struct slice bare = text.p[0] == '[' ? slice_sub(text, 1, text.n - 2) : text;
	struct dns_name name;
	d->port = (uint16_t)port;
	d->smtp = starttls != NULL;
	d->host.is_literal = delivery_ip_parse(bare, &d->host.literal);
	if (d->host.is_literal)
		d->host.name = arena_cstr(&d->arena, bare);
	else if (is_ok(dns_name_parse(text, &d->arena, &name)) && !dns_name_is_root(name))
		d->host.name = name.text;
	return d->host.name ? 0 : cli_fail(d->cli, NULL, "`%s` names no host", d->cli->args[0]);
}

PRINTF(3, 4)
static void conclude(struct dialing *d, const char *result, const char *format, ...)
{
	char text[700];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	d->result = result;
	d->why = arena_printf(&d->arena, "%s", text);
	d->why = d->why ? d->why : "";
}

static void dial(struct dialing *d)
{
	bool has_dane = d->dane.state == DELIVERY_DANE_USABLE;
	const struct cli_dial options = {
	        .tls = &d->tls,
	        .ips = d->addresses.v,
	        .n_ips = d->addresses.n,
	        .port = d->port,
	        .target = {.name = d->host.name, .dane = has_dane ? &d->dane.tls : NULL},
	        .smtp = d->smtp,
	        .must = d->dane.state != DELIVERY_DANE_NONE,
	        .ehlo = cli_ehlo_name(d->cli, &d->arena),
	        .timeout_ms = d->resolver.timeout_ms,
	};
	cli_dial(&options, &d->arena, &d->session);
	d->dialed = true;
}

static void judge(struct dialing *d)
{
	const char *host = d->host.name;
	const struct tls_check *dane = &d->session.verdict.dane;
	if (d->session.progress == DELIVERY_TLS_NOT_CONNECTED)
		conclude(d, "failed", "%s cannot be reached: %s", host, d->session.why);
	else if (d->session.progress != DELIVERY_TLS_DONE)
		conclude(d, "failed", "no TLS with %s: %s", host, d->session.why);
	else if (d->dane.state == DELIVERY_DANE_NONE)
		conclude(d, "none", "%s has no DANE; %s", host, d->session.tls.version);
	else if (d->dane.state == DELIVERY_DANE_UNUSABLE)
		conclude(d, "unusable", "%s has TLSA records, but none that can be used; %s", host,
		         d->session.tls.version);
	else if (dane->good)
		conclude(d, "verified", "the certificate of %s fits its TLSA records", host);
	else
		conclude(d, "mismatch", "the certificate of %s does not fit its TLSA records: %s",
		         host, dane->why);
}

static struct status look(struct dialing *d)
{
	const struct delivery_query query = {.resolver = d->resolver.resolver,
	                                     .timeout_ms = d->resolver.timeout_ms};
	TRY(delivery_addresses_find(&query, &d->host, &d->arena, &d->addresses));
	if (d->addresses.n == 0) {
		conclude(d, "failed", "%s", d->addresses.why);
		return ok();
	}
	const struct delivery_dane_query question = {.resolver = d->resolver.resolver,
	                                             .timeout_ms = d->resolver.timeout_ms,
	                                             .host = &d->host,
	                                             .addresses = &d->addresses,
	                                             .port = d->port};
	TRY(delivery_dane_find(&question, &d->arena, &d->dane));
	if (d->dane.state == DELIVERY_DANE_FAILED) {
		conclude(d, "failed", "%s", d->dane.why);
		return ok();
	}
	dial(d);
	judge(d);
	return ok();
}

static void put(struct dialing *d, int result)
{
	const struct tls_tlsa_finding *findings = d->session.verdict.findings;
	struct buf text;
	if (d->cli->json) {
		cli_put_json(json_pack("{s:b, s:s, s:s, s:s, s:i, s:o, s:o}", "ok", result == 0,
		                       "result", d->result, "why", d->why, "host", d->host.name,
		                       "port", (int)d->port, "dane",
		                       cli_dane_json(&d->dane, findings), "session",
		                       d->dialed ? cli_session_json(&d->session) : json_null()));
		return;
	}
	buf_init(&text, SIZE_MAX);
	buf_printf(&text, "%s: %s\n", d->result, d->why);
	cli_say_answers(d->dane.answers, d->dane.n_answers, &text);
	cli_say_dane(&d->dane, findings, &text);
	if (d->dialed)
		cli_say_session(&d->session, &text);
	cli_put(&text);
	buf_done(&text);
}

int cli_dane_dial(struct cli *cli)
{
	struct dialing *d = base_alloc(sizeof(*d));
	*d = (struct dialing){.cli = cli, .dane = {.base = "", .why = ""}};
	arena_init(&d->arena, DIAL_ARENA);
	int result = read_arguments(d);
	if (result == 0)
		result = cli_resolver_open(cli, &d->resolver);
	if (result == 0) {
		result = cli_tls_open(cli, &d->tls);
		struct status status = result == 0 ? look(d) : ok();
		if (!is_ok(status))
			result = cli_fail(cli, NULL, "%s", status.why);
		if (result == 0) {
			bool bad = strcmp(d->result, "failed") == 0 ||
			           strcmp(d->result, "mismatch") == 0;
			result = bad ? CLI_FAILED : 0;
			put(d, result);
		}
		cli_tls_done(&d->tls);
		cli_resolver_done(&d->resolver);
	}
	arena_done(&d->arena);
	base_free(d);
	return result;
}
