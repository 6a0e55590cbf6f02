/* `mailkeep arc verify` and `mailkeep arc seal`. */
#include "cli/dkim.h"

#include "cli/dns.h"
#include "mailauth/arc.h"
#include "message/header.h"
#include "os/clock.h"
#include "text/utf8.h"

#define FIELDS_MAX ((size_t)1024 * 1024)

/* --- a chain --- */

/* One message and what is known of it. */
struct verified {
	struct arena arena;
	struct dkim_verifier *v;
	struct arc_result result;
};

static struct status verify(const struct cli_message *message, const struct cli_resolver *resolver,
                            int64_t at_s, struct verified *verified)
{
	struct dkim_options options = {.now_s = at_s};
	struct arc_chain *chain;
	struct mailauth_dns dns;
	struct arena *arena = &verified->arena;
	TRY(dkim_verifier_new(cli_message_header(message), &options, arena, &verified->v));
	TRY(arc_chain_new(verified->v, &chain));
	mailauth_dns_init(&dns, resolver->resolver, clock_real(), resolver->timeout_ms, arena);
	for (size_t i = 0; i < dkim_verifier_n_keys(verified->v); i++)
		dkim_verifier_fetch_key(verified->v, i, &dns);
	dkim_verifier_feed(verified->v, cli_message_body(message));
	dkim_verifier_finish(verified->v);
	arc_chain_finish(chain, &verified->result);
	return ok();
}

static int verify_or_fail(const struct cli *cli, const struct cli_message *message,
                          const struct cli_resolver *resolver, int64_t at_s,
                          struct verified *verified)
{
	*verified = (struct verified){.v = NULL};
	arena_init(&verified->arena, DKIM_VERIFIER_ARENA + MAILAUTH_DNS_ARENA);
	struct status status = verify(message, resolver, at_s, verified);
	return is_ok(status) ? 0 : cli_fail(cli, NULL, "%s: %s", message->name, status.why);
}

static void verified_done(struct verified *verified)
{
	dkim_verifier_free(verified->v);
	arena_done(&verified->arena);
}

/* --- verify --- */

struct session {
	struct cli_resolver resolver;
	int64_t at_s;
	bool failed, many;
	json_t *messages;
};

static void print_set(const struct arc_set *set, struct buf *out)
{
	struct arena arena;
	arena_init(&arena, MIB);
	buf_printf(out, "set %u: sealed by %s, selector %s, key %s: %s\n", set->instance,
	           set->seal->domain, set->seal->selector,
	           mailauth_evidence_word(&set->seal_evidence),
	           set->seal_result == MAILAUTH_NONE ? "not tried"
	                                             : mailauth_result_name(set->seal_result));
	buf_printf(out, "  message signature by %s, selector %s, key %s: %s%s%s\n",
	           set->message->domain, set->message->selector,
	           mailauth_evidence_word(&set->message_evidence),
	           set->message_result == MAILAUTH_NONE ? "not tried"
	                                                : mailauth_result_name(set->message_result),
	           *set->message_why ? ": it " : "", set->message_why);
	buf_add_str(out, "  said: ");
	cli_text_add(message_unfold(set->results, &arena), out);
	buf_add_byte(out, '\n');
	arena_done(&arena);
}

static void print_chain(const struct session *s, const struct cli_message *message,
                        const struct arc_result *r, struct buf *out)
{
	buf_printf(out, "%s: ", mailauth_result_name(r->result));
	if (s->many)
		buf_printf(out, "%s: ", message->name);
	if (r->result == MAILAUTH_NONE)
		buf_add_str(out, "there is no chain\n");
	else if (r->result == MAILAUTH_PASS)
		buf_printf(out, "%zu set%s\n", r->n_sets, r->n_sets == 1 ? "" : "s");
	else
		buf_printf(out, "the chain %s%s\n", r->why,
		           r->temporary ? " (a later attempt may end otherwise)" : "");
	if (r->has_oldest_pass && r->oldest_pass == 0)
		buf_add_str(out, "the message is as it was when it was sealed first\n");
	else if (r->has_oldest_pass)
		buf_printf(out, "the message was changed before set %u\n", r->oldest_pass);
	for (size_t i = r->n_sets; i-- > 0;)
		print_set(&r->sets[i], out);
	for (size_t i = 0; i < r->n_sets; i++) {
		mailauth_evidence_print(&r->sets[i].seal_evidence, out);
		mailauth_evidence_print(&r->sets[i].message_evidence, out);
	}
}

static json_t *set_json(const struct arc_set *set)
{
	struct arena arena;
	arena_init(&arena, MIB);
	json_t *json = json_pack(
	        "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o}", "instance",
	        (int)set->instance, "seal_result", mailauth_result_name(set->seal_result),
	        "seal_domain", set->seal->domain, "seal_selector", set->seal->selector,
	        "seal_security", mailauth_evidence_word(&set->seal_evidence), "message_result",
	        mailauth_result_name(set->message_result), "message_domain", set->message->domain,
	        "message_selector", set->message->selector, "message_why",
	        cli_text_json(slice_str(set->message_why)), "message_security",
	        mailauth_evidence_word(&set->message_evidence), "results",
	        cli_text_json(message_unfold(set->results, &arena)), "seal_lookups",
	        cli_evidence_json(&set->seal_evidence), "message_lookups",
	        cli_evidence_json(&set->message_evidence));
	arena_done(&arena);
	return json;
}

static json_t *chain_json(const struct cli_message *message, const struct arc_result *r)
{
	json_t *sets = json_array();
	for (size_t i = 0; i < r->n_sets; i++)
		json_array_append_new(sets, set_json(&r->sets[i]));
	json_t *json =
	        json_pack("{s:s, s:s, s:o, s:b, s:o}", "file", message->name, "result",
	                  mailauth_result_name(r->result), "why", cli_text_json(slice_str(r->why)),
	                  "temporary", (int)r->temporary, "sets", sets);
	if (r->has_oldest_pass)
		json_object_set_new(json, "oldest_pass", json_integer(r->oldest_pass));
	return json;
}

static int run_verify(struct cli *cli, const struct cli_message *message, void *context)
{
	struct session *s = context;
	struct verified verified;
	int result = verify_or_fail(cli, message, &s->resolver, s->at_s, &verified);
	s->failed |= verified.result.result != MAILAUTH_PASS;
	if (result == 0 && cli->json) {
		json_array_append_new(s->messages, chain_json(message, &verified.result));
	} else if (result == 0) {
		struct buf text;
		buf_init(&text, SIZE_MAX);
		print_chain(s, message, &verified.result, &text);
		cli_put(&text);
		buf_done(&text);
	}
	verified_done(&verified);
	return result;
}

int cli_arc_verify(struct cli *cli)
{
	struct session s = {.many = cli->n_args > 1};
	int result = cli_at(cli, &s.at_s);
	if (result == 0)
		result = cli_resolver_open(cli, &s.resolver);
	if (result != 0)
		return result;
	s.messages = json_array();
	result = cli_messages_each(cli, run_verify, &s);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", (int)!s.failed, "messages", s.messages));
	json_decref(s.messages);
	cli_resolver_done(&s.resolver);
	return result == 0 && s.failed ? CLI_FAILED : result;
}

/* --- seal --- */

struct sealing {
	struct cli_signers signers;
	struct arc_seal_options options;
	struct slice names[DKIM_SIGNED_NAMES_MAX];
	bool has_cv; /* --cv: nothing is looked up */
	struct cli_resolver resolver;
	json_t *messages;
};

static bool cv_of(const char *text, enum arc_cv *ret_cv)
{
	static const enum arc_cv all[] = {ARC_CV_NONE, ARC_CV_FAIL, ARC_CV_PASS};
	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		if (strcmp(text, arc_cv_name(all[i])) == 0) {
			*ret_cv = all[i];
			return true;
		}
	return false;
}

static int read_options(struct cli *cli, struct sealing *s)
{
	const char *cv = cli_option(cli, "cv");
	s->options = (struct arc_seal_options){
	        .domain = s->signers.domains[0],
	        .selector = s->signers.selectors[0],
	        .key = &s->signers.signers[0],
	        .results = slice_str(cli_option(cli, "results")),
	};
	if (s->signers.n != 1)
		return cli_fail(cli, NULL, "a chain is sealed with one key");
	if (s->options.results.n == 0)
		return cli_fail(cli, NULL,
		                "--results must be given: what was found when the "
		                "message came in");
	if (cv && !cv_of(cv, &s->options.cv))
		return cli_fail(cli, NULL, "--cv is none, pass or fail");
	s->has_cv = cv != NULL;
	int result = cli_at(cli, &s->options.now_s);
	if (result == 0)
		result = cli_header_names(cli, cli_option(cli, "headers"), s->names,
		                          &s->options.n_names);
	s->options.names = s->options.n_names > 0 ? s->names : NULL;
	if (result == 0 && !s->has_cv)
		result = cli_resolver_open(cli, &s->resolver);
	return result;
}

static int find_cv(const struct cli *cli, const struct cli_message *message, struct sealing *s)
{
	struct verified verified;
	int result = verify_or_fail(cli, message, &s->resolver, s->options.now_s, &verified);
	enum mailauth_result found = verified.result.result;
	s->options.cv = found == MAILAUTH_PASS   ? ARC_CV_PASS
	                : found == MAILAUTH_NONE ? ARC_CV_NONE
	                                         : ARC_CV_FAIL;
	verified_done(&verified);
	return result;
}

static int run_seal(struct cli *cli, const struct cli_message *message, void *context)
{
	struct sealing *s = context;
	struct slice header = cli_message_header(message);
	struct buf fields;
	unsigned instance;
	int result = s->has_cv ? 0 : find_cv(cli, message, s);
	if (result != 0)
		return result;
	struct dkim_body *body = dkim_body_new(DKIM_BODY_RELAXED);
	s->options.utf8 = !slice_is_ascii(header) && utf8_valid(header);
	buf_init(&fields, FIELDS_MAX);
	dkim_body_feed(body, cli_message_body(message));
	dkim_body_finish(body);
	struct status status = arc_seal(header, body, &s->options, &fields, &instance);
	result = is_ok(status) ? cli_put_fields(cli, message, buf_slice(&fields), s->messages)
	                       : cli_fail(cli, NULL, "%s: %s", message->name, status.why);
	dkim_body_free(body);
	buf_done(&fields);
	return result;
}

int cli_arc_seal(struct cli *cli)
{
	struct sealing s = {.messages = NULL};
	int result = cli_signers_open(cli, &s.signers);
	if (result != 0)
		return result;
	s.messages = json_array();
	result = read_options(cli, &s);
	if (result == 0)
		result = cli_messages_each(cli, run_seal, &s);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "messages", s.messages));
	json_decref(s.messages);
	cli_signers_done(&s.signers);
	cli_resolver_done(&s.resolver);
	return result;
}
