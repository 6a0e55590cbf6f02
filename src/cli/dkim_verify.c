/* `mailkeep dkim verify`: a line of result for each message, one for each signature, and the
 * lookups with their DNSSEC status. */
#include "cli/dkim.h"

#include "cli/dns.h"
#include "os/clock.h"
#include "text/utf8.h"

struct session {
	struct cli_resolver resolver;
	int64_t at_s;
	bool failed; /* a message has no signature that passes */
	bool many;   /* files */
	json_t *messages;
};

/* --- one message --- */

static void verify(const struct session *s, const struct cli_message *message, struct arena *arena,
                   struct dkim_verifier *v)
{
	struct mailauth_dns dns;
	mailauth_dns_init(&dns, s->resolver.resolver, clock_real(), s->resolver.timeout_ms, arena);
	for (size_t i = 0; i < dkim_verifier_n_keys(v); i++)
		dkim_verifier_fetch_key(v, i, &dns);
	dkim_verifier_feed(v, cli_message_body(message));
	dkim_verifier_finish(v);
}

static size_t count_passes(struct dkim_results results)
{
	size_t n = 0;
	for (size_t i = 0; i < results.n; i++)
		n += results.v[i].result == MAILAUTH_PASS;
	return n;
}

/* The result of all together: a pass if there is one, else what may yet become one, else the
 * first. */
static enum mailauth_result overall(struct dkim_results results)
{
	enum mailauth_result result = results.n > 0 ? results.v[0].result : MAILAUTH_NONE;
	for (size_t i = 0; i < results.n; i++)
		if (results.v[i].result == MAILAUTH_TEMPERROR)
			result = MAILAUTH_TEMPERROR;
	return count_passes(results) > 0 ? MAILAUTH_PASS : result;
}

/* --- text --- */

static void print_signature(const struct dkim_result *r, struct buf *out)
{
	const struct dkim_signature *s = r->signature;
	buf_printf(out, "%s", mailauth_result_name(r->result));
	if (s) {
		buf_printf(out, ": by %s, selector %s, %s", s->domain, s->selector,
		           dkim_algorithm_name(s->algorithm));
		if (r->key_bits > 0)
			buf_printf(out, " with %u bits", r->key_bits);
		buf_printf(out, ", key %s", mailauth_evidence_word(&r->evidence));
		if (s->has_identity) {
			buf_add_str(out, ", identity ");
			cli_text_add(slice_str(r->identity), out);
		}
	}
	if (*r->why) {
		buf_printf(out, "%sthe signature ", s ? "; " : ": ");
		cli_text_add(slice_str(r->why), out);
	}
	if (r->testing)
		buf_add_str(out, " (the domain is testing: only a pass means anything)");
	buf_add_byte(out, '\n');
}

static void print_message(const struct session *s, const struct cli_message *message,
                          struct dkim_results results, struct buf *out)
{
	size_t n = count_passes(results);
	buf_printf(out, "%s: ", mailauth_result_name(overall(results)));
	if (s->many)
		buf_printf(out, "%s: ", message->name);
	if (results.n_found == 0)
		buf_add_str(out, "not signed\n");
	else
		buf_printf(out, "%zu signature%s, %zu pass%s\n", results.n_found,
		           results.n_found == 1 ? "" : "s", n, n == 1 ? "es" : "");
	for (size_t i = 0; i < results.n; i++)
		print_signature(&results.v[i], out);
	if (results.n < results.n_found)
		buf_printf(out, "and %zu more that nobody looked at\n",
		           results.n_found - results.n);
	if (results.n_from != 1)
		buf_printf(out, "the message has %zu From fields: DMARC takes none but one\n",
		           results.n_from);
	for (size_t i = 0; i < results.n; i++)
		mailauth_evidence_print(&results.v[i].evidence, out);
}

/* --- JSON --- */

static json_t *signature_json(const struct dkim_result *r)
{
	const struct dkim_signature *s = r->signature;
	json_t *json = json_pack(
	        "{s:s, s:o, s:s, s:b, s:o}", "result", mailauth_result_name(r->result), "why",
	        cli_text_json(slice_str(r->why)), "security", mailauth_evidence_word(&r->evidence),
	        "testing", (int)r->testing, "lookups", cli_evidence_json(&r->evidence));
	if (!s)
		return json;
	json_object_set_new(json, "domain", json_string(s->domain));
	json_object_set_new(json, "selector", json_string(s->selector));
	json_object_set_new(json, "identity", cli_text_json(slice_str(r->identity)));
	json_object_set_new(json, "algorithm", json_string(dkim_algorithm_name(s->algorithm)));
	json_object_set_new(json, "key_bits", json_integer(r->key_bits));
	json_object_set_new(json, "b", cli_text_json(r->b_prefix));
	json_t *names = json_array();
	for (size_t i = 0; i < s->n_names; i++)
		json_array_append_new(names, cli_text_json(s->names[i]));
	json_object_set_new(json, "headers", names);
	if (s->has_time)
		json_object_set_new(json, "signed_at", json_integer(s->time_s));
	if (s->has_expiry)
		json_object_set_new(json, "expires_at", json_integer(s->expiry_s));
	return json;
}

static json_t *message_json(const struct cli_message *message, struct dkim_results results)
{
	json_t *list = json_array();
	for (size_t i = 0; i < results.n; i++)
		json_array_append_new(list, signature_json(&results.v[i]));
	return json_pack("{s:s, s:s, s:i, s:i, s:o}", "file", message->name, "result",
	                 mailauth_result_name(overall(results)), "found", (int)results.n_found,
	                 "from_fields", (int)results.n_from, "signatures", list);
}

/* --- the command --- */

static int run_message(struct cli *cli, const struct cli_message *message, void *context)
{
	struct session *s = context;
	struct dkim_options options = {.now_s = s->at_s};
	struct dkim_verifier *v;
	struct arena arena;
	arena_init(&arena, DKIM_VERIFIER_ARENA + MAILAUTH_DNS_ARENA);
	struct status status = dkim_verifier_new(cli_message_header(message), &options, &arena, &v);
	if (!is_ok(status)) {
		arena_done(&arena);
		return cli_fail(cli, NULL, "%s: %s", message->name, status.why);
	}
	verify(s, message, &arena, v);
	struct dkim_results results = dkim_verifier_results(v);
	s->failed |= count_passes(results) == 0;
	if (cli->json) {
		json_array_append_new(s->messages, message_json(message, results));
	} else {
		struct buf text;
		buf_init(&text, SIZE_MAX);
		print_message(s, message, results, &text);
		cli_put(&text);
		buf_done(&text);
	}
	dkim_verifier_free(v);
	arena_done(&arena);
	return 0;
}

int cli_dkim_verify(struct cli *cli)
{
	struct session s = {.many = cli->n_args > 1};
	int result = cli_at(cli, &s.at_s);
	if (result == 0)
		result = cli_resolver_open(cli, &s.resolver);
	if (result != 0)
		return result;
	s.messages = json_array();
	result = cli_messages_each(cli, run_message, &s);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", (int)!s.failed, "messages", s.messages));
	json_decref(s.messages);
	cli_resolver_done(&s.resolver);
	return result == 0 && s.failed ? CLI_FAILED : result;
}
