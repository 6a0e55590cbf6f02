/* `mailkeep dane record`: a TLSA record of a certificate. `mailkeep dane dial`: one server, its
 * TLSA records, its certificate, and whether they fit. In this process: no running server is
 * needed. */
#include "cli/dns.h"
#include "cli/evidence.h"

#include "os/file.h"
#include "tls/certificate.h"

#include <stdarg.h>

#define DIAL_ARENA  ((size_t)64 * 1024 * 1024)
#define RECORD_PORT 25u

/* --- dane record --- */

static int number_option(const struct cli *cli, const char *name, uint32_t max, uint32_t fallback,
                         uint8_t *ret_value)
{
	const char *text = cli_option(cli, name);
	uint32_t value = fallback;
	if (text && !slice_to_u32(slice_str(text), max, &value))
		return cli_fail(cli, NULL, "--%s is a number from 0 to %u", name, max);
	*ret_value = (uint8_t)value;
	return 0;
}

static void put_record(const struct cli *cli, const struct tls_tlsa *record, const char *owner)
{
	struct buf text;
	buf_init(&text, 4 * TLS_PEM_MAX);
	tls_tlsa_print(record, &text);
	if (cli->json)
		cli_put_json(json_pack("{s:b, s:s, s:i, s:i, s:i, s:s}", "ok", 1, "record",
		                       buf_cstr(&text), "usage", record->usage, "selector",
		                       record->selector, "matching", record->matching, "owner",
		                       owner));
	else if (*owner)
		printf("%s IN TLSA %s\n", owner, buf_cstr(&text));
	else
		printf("%s\n", buf_cstr(&text));
	buf_done(&text);
}

/* "_25._tcp.mx.example.com." or "". */
static int owner_of(const struct cli *cli, struct arena *arena, const char **ret_owner)
{
	const char *host = cli_option(cli, "host");
	struct dns_name name;
	uint16_t port;
	char prefix[16];
	int result = cli_port_option(cli, "port", &port);
	*ret_owner = "";
	if (result != 0 || !host)
		return result;
	snprintf(prefix, sizeof(prefix), "_%u._tcp", port ? port : RECORD_PORT);
	if (!is_ok(dns_name_parse(slice_str(host), arena, &name)) ||
	    !is_ok(dns_name_prepend(slice_str(prefix), name, arena, &name)))
		return cli_fail(cli, NULL, "`%s` is not the name of a host", host);
	*ret_owner = arena_printf(arena, "%s.", name.text);
	return 0;
}

int cli_dane_record(struct cli *cli)
{
	uint8_t usage = 0, selector = 0, matching = 0;
	struct os_fault fault = {0};
	struct tls_tlsa record;
	struct arena arena;
	struct slice pem;
	const char *owner;
	int result = number_option(cli, "usage", 3, TLS_TLSA_DANE_EE, &usage);
	if (result == 0)
		result = number_option(cli, "selector", 1, TLS_TLSA_SPKI, &selector);
	if (result == 0)
		result = number_option(cli, "matching", 2, TLS_TLSA_SHA256, &matching);
	if (result != 0)
		return result;
	arena_init(&arena, 4 * TLS_PEM_MAX);
	result = owner_of(cli, &arena, &owner);
	if (result == 0 && !is_ok(file_read_path(cli->args[0], TLS_PEM_MAX, &arena, &pem, &fault)))
		result = cli_fail(cli, NULL, "the file cannot be read: %s", fault.text);
	if (result == 0) {
		struct status status = tls_tlsa_of_pem(pem, cli->args[0], usage, selector, matching,
		                                       &record, &arena);
		if (is_ok(status))
			put_record(cli, &record, owner);
		else
			result = cli_fail(cli, NULL, "%s", status.why);
	}
	arena_done(&arena);
	return result;
}

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
