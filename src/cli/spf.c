/* `mailkeep spf check`, `spf lookup`, `spf parse`: what SPF says, and why. In this process: no
 * running server is asked, and none is needed. */
#include "cli/spf.h"

#include "cli/dns.h"
#include "mailauth/spf.h"
#include "mailauth/spf_received.h"
#include "os/clock.h"

/* One run of a command: the resolver, and what it brought. */
struct session {
	struct cli *cli;
	struct cli_resolver resolver;
	struct arena arena;
	struct mailauth_dns dns;
};

static int open_session(struct session *s, struct cli *cli)
{
	*s = (struct session){.cli = cli};
	int result = cli_resolver_open(cli, &s->resolver);
	if (result != 0)
		return result;
	arena_init(&s->arena, MAILAUTH_DNS_ARENA);
	mailauth_dns_init(&s->dns, s->resolver.resolver, clock_real(), s->resolver.timeout_ms,
	                  &s->arena);
	return 0;
}

static void close_session(struct session *s)
{
	arena_done(&s->arena);
	cli_resolver_done(&s->resolver);
}

static void put(void (*fill)(const void *what, struct buf *out), const void *what)
{
	struct buf text;
	buf_init(&text, SIZE_MAX);
	fill(what, &text);
	cli_put(&text);
	buf_done(&text);
}

static json_t *evidence_json(const struct mailauth_evidence *evidence)
{
	json_t *list = json_array();
	for (size_t i = 0; i < evidence->n; i++) {
		const struct mailauth_evidence_item *item = &evidence->v[i];
		json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", item->name.text,
		                         "type", dns_type_name(item->type), "outcome",
		                         dns_outcome_name(item->outcome), "security",
		                         dns_security_name(item->security), "records",
		                         (int)item->n_records);
		if (item->outcome == DNS_FAILED)
			json_object_set_new(json, "error", json_string(item->why));
		json_array_append_new(list, json);
	}
	return list;
}

/* --- check --- */

/* Both identities; only one result where they are the same. */
struct checked {
	const struct mailauth_dns *dns;
	struct spf_args args;
	struct spf_result from, helo;
	uint8_t ip[16];
};

/* "local@domain", with or without brackets, a quoted localpart as it is written; "domain" alone is
 * postmaster's there. */
static struct slice unquote(struct slice localpart, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, localpart.n);
	size_t n = 0;
	if (localpart.n < 2 || localpart.p[0] != '"' || !slice_ends(localpart, SLICE("\"")) || !out)
		return localpart;
	for (size_t i = 1; i + 1 < localpart.n; i++) {
		if (localpart.p[i] == '\\' && i + 2 < localpart.n)
			i++;
		out[n++] = localpart.p[i];
	}
	return slice_of(out, n);
}

static void set_sender(struct spf_args *args, struct slice text, struct arena *arena)
{
	if (slice_starts(text, SLICE("<")) && slice_ends(text, SLICE(">")))
		text = slice_sub(text, 1, text.n - 2);
	size_t at = slice_rindex(text, '@');
	args->domain = at == SIZE_MAX ? text : slice_from(text, at + 1);
	args->localpart = at == SIZE_MAX ? slice_empty() : unquote(slice_sub(text, 0, at), arena);
}

static int set_ip(struct cli *cli, struct checked *checked)
{
	struct os_address address;
	const char *text = cli->args[0];
	if (!is_ok(os_address_parse(slice_str(text), 0, &address)))
		return cli_fail(cli, NULL,
		                "IP is an address such as 192.0.2.1 or 2001:db8::1, not `%s`",
		                text);
	memcpy(checked->ip, address.ip, sizeof(checked->ip));
	checked->args.client_ip = slice_of(checked->ip, address.family == OS_FAMILY_V4 ? 4 : 16);
	return 0;
}

static void print_result(const struct checked *c, const struct spf_result *result, struct buf *out)
{
	struct mailauth_evidence evidence = spf_evidence(c->dns, result);
	buf_printf(out, "%s (%s%s%s, DNSSEC: %s)\n%s\n", mailauth_result_name(result->result),
	           spf_identity_name(result->identity), result->domain[0] ? " of " : "",
	           result->domain, mailauth_evidence_word(&evidence), result->why);
	if (result->explanation[0])
		buf_printf(out, "the domain explains: %s\n", result->explanation);
	for (size_t i = 0; i < result->n_path; i++)
		buf_printf(out, "in the record of %s: %s\n", result->path[i].domain,
		           result->path[i].directive[0] ? result->path[i].directive
		                                        : "no mechanism matched");
	mailauth_evidence_print(&evidence, out);
	if (result->n_lookup_terms > 0)
		buf_printf(out, "%u of %u terms with lookups, %u of %u without an answer\n",
		           result->n_lookup_terms, SPF_LOOKUP_TERMS_MAX, result->n_void_terms,
		           SPF_VOID_TERMS_MAX);
}

static void print_check(const void *what, struct buf *out)
{
	const struct checked *c = what;
	struct mailauth_evidence evidence = spf_evidence(c->dns, &c->from);
	print_result(c, &c->from, out);
	if (!c->from.null_sender) {
		buf_add_byte(out, '\n');
		print_result(c, &c->helo, out);
	}
	buf_add_byte(out, '\n');
	(void)spf_received_print(&c->args, &c->from, mailauth_evidence_word(&evidence), out);
}

static json_t *result_json(const struct checked *c, const struct spf_result *result)
{
	struct mailauth_evidence evidence = spf_evidence(c->dns, result);
	json_t *path = json_array();
	for (size_t i = 0; i < result->n_path; i++)
		json_array_append_new(path,
		                      json_pack("{s:s, s:s}", "domain", result->path[i].domain,
		                                "directive", result->path[i].directive));
	json_t *json = json_pack(
	        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:o}", "result",
	        mailauth_result_name(result->result), "identity",
	        spf_identity_name(result->identity), "domain", result->domain, "security",
	        mailauth_evidence_word(&evidence), "mechanism", result->mechanism, "matched_in",
	        result->matched_in, "why", result->why, "property", spf_property(result),
	        "lookup_terms", (int)result->n_lookup_terms, "void_terms",
	        (int)result->n_void_terms, "path", path, "lookups", evidence_json(&evidence));
	if (result->problem[0])
		json_object_set_new(json, "problem", json_string(result->problem));
	if (result->explanation[0])
		json_object_set_new(json, "explanation", json_string(result->explanation));
	return json;
}

static void put_check_json(const struct checked *c)
{
	struct mailauth_evidence evidence = spf_evidence(c->dns, &c->from);
	json_t *json = result_json(c, &c->from);
	struct buf field;
	buf_init(&field, SPF_RECEIVED_MAX);
	(void)spf_received_print(&c->args, &c->from, mailauth_evidence_word(&evidence), &field);
	json_object_set_new(json, "ok", json_true());
	json_object_set_new(json, "received_spf", json_string(buf_cstr(&field)));
	if (!c->from.null_sender)
		json_object_set_new(json, "helo", result_json(c, &c->helo));
	buf_done(&field);
	cli_put_json(json);
}

int cli_spf_check(struct cli *cli)
{
	struct session s;
	struct checked checked = {.args = {.explain = true}};
	int result = set_ip(cli, &checked);
	if (result == 0)
		result = open_session(&s, cli);
	if (result != 0)
		return result;
	checked.dns = &s.dns;
	checked.args.helo = slice_str(cli->args[1]);
	checked.args.receiver = slice_str(cli_option(cli, "receiver"));
	set_sender(&checked.args, slice_str(cli->args[2]), &s.arena);
	spf_check(&s.dns, &checked.args, SPF_MAILFROM, &checked.from);
	if (!checked.from.null_sender)
		spf_check(&s.dns, &checked.args, SPF_HELO, &checked.helo);
	if (cli->json)
		put_check_json(&checked);
	else
		put(print_check, &checked);
	close_session(&s);
	return 0;
}

/* --- lookup --- */

struct found {
	struct dns_name name;
	const struct dns_answer *answer;
	struct spf_record record;
};

static void print_found(const void *what, struct buf *out)
{
	const struct found *found = what;
	buf_printf(out, "found (DNSSEC: %s): the record of %s\n",
	           dns_security_name(found->answer->security), found->name.text);
	spf_record_print(&found->record, out);
	buf_add_byte(out, '\n');
	cli_spf_explain(&found->record, out);
}

static void put_found(const struct cli *cli, const struct found *found)
{
	if (!cli->json) {
		put(print_found, found);
		return;
	}
	json_t *json =
	        json_pack("{s:b, s:s, s:s, s:s}", "ok", 1, "outcome", "found", "domain",
	                  found->name.text, "security", dns_security_name(found->answer->security));
	cli_spf_record_json(&found->record, json);
	cli_put_json(json);
}

static int put_none(const struct cli *cli, const struct found *found, const char *what)
{
	const char *security = dns_security_name(found->answer->security);
	if (cli->json)
		cli_put_json(json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", 1, "outcome", "none",
		                       "domain", found->name.text, "security", security, "why",
		                       what));
	else
		printf("none (DNSSEC: %s): %s %s\n", security, found->name.text, what);
	return 0;
}

/* What cannot be used: the first word of standard output says so, the story is an error's. */
static int put_failed(const struct cli *cli, const struct found *found, const char *result,
                      const char *what)
{
	if (!cli->json)
		printf("%s (DNSSEC: %s)\n", result, dns_security_name(found->answer->security));
	return cli_fail(cli, NULL, "%s %s%s%s", found->name.text, what,
	                found->answer->why[0] ? ": " : "", found->answer->why);
}

static int look_up(struct session *s, struct found *found)
{
	struct slice text;
	struct spf_fault fault;
	switch (spf_lookup(&s->dns, found->name, &found->answer, &text)) {
	case SPF_LOOKUP_NONE:
		return put_none(s->cli, found, "has no SPF record");
	case SPF_LOOKUP_NO_NAME:
		return put_none(s->cli, found, "does not exist");
	case SPF_LOOKUP_SEVERAL:
		return put_failed(s->cli, found, "permerror", "has more than one SPF record");
	case SPF_LOOKUP_FAILED:
		return put_failed(s->cli, found, "temperror", "could not be looked up");
	case SPF_LOOKUP_FOUND:
		break;
	}
	struct status status = spf_record_parse(text, &s->arena, &found->record, &fault);
	if (is_ok(status)) {
		put_found(s->cli, found);
		return 0;
	}
	if (status.code == ERR_LIMIT)
		return cli_fail(s->cli, NULL, "%s", status.why);
	if (!s->cli->json)
		printf("permerror (DNSSEC: %s)\n", dns_security_name(found->answer->security));
	return cli_spf_fault(s->cli, text, &fault);
}

int cli_spf_lookup(struct cli *cli)
{
	struct session s;
	struct found found = {.answer = NULL};
	int result = open_session(&s, cli);
	if (result != 0)
		return result;
	struct status status = dns_name_parse(slice_str(cli->args[0]), &s.arena, &found.name);
	if (is_ok(status))
		result = look_up(&s, &found);
	else
		result = cli_fail(cli, NULL, "`%s` is not a domain name: %s", cli->args[0],
		                  status.why);
	close_session(&s);
	return result;
}

/* --- parse --- */

static void print_parsed(const void *what, struct buf *out)
{
	const struct spf_record *record = what;
	spf_record_print(record, out);
	buf_add_byte(out, '\n');
	cli_spf_explain(record, out);
}

int cli_spf_parse(struct cli *cli)
{
	struct arena arena;
	struct spf_record record;
	struct spf_fault fault;
	struct slice text = slice_str(cli->args[0]);
	int result = 0;
	arena_init(&arena, MAILAUTH_DNS_ARENA);
	struct status status = spf_record_parse(text, &arena, &record, &fault);
	if (status.code == ERR_SYNTAX) {
		result = cli_spf_fault(cli, text, &fault);
	} else if (!is_ok(status)) {
		result = cli_fail(cli, NULL, "%s", status.why);
	} else if (cli->json) {
		json_t *json = json_pack("{s:b}", "ok", 1);
		cli_spf_record_json(&record, json);
		cli_put_json(json);
	} else {
		put(print_parsed, &record);
	}
	arena_done(&arena);
	return result;
}
