/* `mailkeep message explain`: what was found out about a message when it came in, and what was made
 * of it. */
#include "cli/change.h"
#include "cli/server.h"

#include "base/encode.h"
#include "config/value.h"
#include "ipc/door.h"
#include "verdict.pb-c.h"

#define VERDICT_MAX   ((size_t)256 * 1024) /* packed */
#define VERDICT_ARENA ((size_t)4 * 1024 * 1024)

/* Which message: `ACCOUNT [UID]` and options. */
static int make_request(struct cli *cli, json_t **ret_request)
{
	const char *mailbox = cli_option(cli, "mailbox");
	const char *message_id = cli_option(cli, "message-id");
	uint64_t uid = 0;
	if (cli->n_args > 1 && message_id) {
		(void)cli_fail(cli, NULL, "a message has a UID or a Message-ID here, not both");
		return CLI_USAGE;
	}
	if (cli->n_args > 1 &&
	    (!slice_to_u64(slice_str(cli->args[1]), UINT32_MAX, &uid) || uid == 0)) {
		(void)cli_fail(cli, NULL,
		               "`%s` is no UID; mail programs and IMAP show them as numbers from 1",
		               cli->args[1]);
		return CLI_USAGE;
	}
	*ret_request = json_pack("{s:s, s:s, s:s, s:I, s:s}", "command", "message-explain",
	                         "account", cli->args[0], "mailbox", mailbox ? mailbox : "", "uid",
	                         (json_int_t)uid, "message_id", message_id ? message_id : "");
	if (*ret_request)
		return 0;
	(void)cli_fail(cli, NULL, "names are to be UTF-8");
	return CLI_USAGE;
}

/* NULL: nothing was written down, or not by this version. */
static const Door__Verdict *read_verdict(const json_t *answer, struct arena *arena)
{
	const Door__Verdict *verdict = NULL;
	struct buf packed;
	buf_init(&packed, VERDICT_MAX);
	if (is_ok(base64_decode(slice_str(cli_json_text(answer, "verdict")), &packed)) &&
	    packed.n > 0)
		verdict = (const Door__Verdict *)door_unpack(&door__verdict__descriptor,
		                                             buf_slice(&packed), arena);
	buf_done(&packed);
	return verdict;
}

/* --- in words --- */

/* The account's room says it, so it is a stranger's text. */
static void add(const char *text, struct buf *out)
{
	cli_text_add(slice_str(text), out);
}

static void print_check(const Door__Check *check, struct buf *out)
{
	add(check->method, out);
	buf_add_str(out, ": ");
	add(check->result, out);
	if (check->about[0]) {
		buf_add_str(out, ", ");
		add(check->about, out);
	}
	buf_add_str(out, " (dnssec ");
	add(check->dnssec, out);
	buf_add_str(out, ")\n");
	if (check->why[0]) {
		buf_add_str(out, "  ");
		add(check->why, out);
		buf_add_str(out, "\n");
	}
	for (size_t i = 0; i < check->n_lookups; i++) {
		const Door__CheckLookup *lookup = check->lookups[i];
		buf_add_str(out, "  looked up ");
		add(lookup->question, out);
		buf_add_str(out, ": ");
		add(lookup->answer, out);
		buf_add_str(out, ", ");
		add(lookup->dnssec, out);
		if (lookup->extended_error[0]) {
			buf_add_str(out, ", extended error ");
			add(lookup->extended_error, out);
		}
		buf_add_str(out, "\n");
	}
}

static void print_line(const char *label, const char *text, struct buf *out)
{
	if (!text[0])
		return;
	buf_printf(out, "%-10s ", label);
	add(text, out);
	buf_add_str(out, "\n");
}

static void print_verdict(const Door__Verdict *v, struct buf *out)
{
	buf_add_str(out, "received   ");
	cli_instant(v->at_s * 1000, out);
	buf_add_str(out, "\n");
	print_line("from", v->mail_from[0] ? v->mail_from : "<>", out);
	print_line("for", v->recipient, out);
	print_line("client", v->client, out);
	print_line("HELO", v->helo, out);
	print_line("TLS", v->tls[0] ? v->tls : "none", out);
	print_line("log", v->cid, out);
	buf_add_str(out, "\n");
	add(slice_eq_str(slice_str(v->decision), "quarantine") ? "put with the junk" : "accepted",
	    out);
	buf_add_str(out, "\n");
	for (size_t i = 0; i < v->n_reasons; i++) {
		buf_add_str(out, "  ");
		add(v->reasons[i], out);
		buf_add_str(out, "\n");
	}
	buf_add_str(out, "\n");
	for (size_t i = 0; i < v->n_checks; i++)
		print_check(v->checks[i], out);
}

static void print_text(const json_t *answer, const Door__Verdict *verdict, struct buf *out)
{
	add(cli_json_text(answer, "mailbox"), out);
	buf_printf(out, ", UID %lld: ", (long long)cli_json_number(answer, "uid"));
	add(cli_json_text(answer, "subject"), out);
	buf_add_str(out, "\n");
	if (verdict)
		print_verdict(verdict, out);
	else
		buf_add_str(out,
		            "Nothing is known about how it came in: it was not checked, or came by "
		            "IMAP or submission.\n");
}

/* --- JSON --- */

static json_t *lookup_json(const Door__CheckLookup *lookup)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "question",
	                 cli_text_json(slice_str(lookup->question)), "answer",
	                 cli_text_json(slice_str(lookup->answer)), "dnssec",
	                 cli_text_json(slice_str(lookup->dnssec)), "extended_error",
	                 cli_text_json(slice_str(lookup->extended_error)));
}

static json_t *check_json(const Door__Check *check)
{
	json_t *lookups = json_array();
	for (size_t i = 0; i < check->n_lookups; i++)
		json_array_append_new(lookups, lookup_json(check->lookups[i]));
	return json_pack(
	        "{s:o, s:o, s:o, s:o, s:o, s:o}", "method", cli_text_json(slice_str(check->method)),
	        "result", cli_text_json(slice_str(check->result)), "about",
	        cli_text_json(slice_str(check->about)), "why", cli_text_json(slice_str(check->why)),
	        "dnssec", cli_text_json(slice_str(check->dnssec)), "lookups", lookups);
}

static json_t *verdict_json(const Door__Verdict *v)
{
	json_t *reasons = json_array();
	json_t *checks = json_array();
	for (size_t i = 0; i < v->n_reasons; i++)
		json_array_append_new(reasons, cli_text_json(slice_str(v->reasons[i])));
	for (size_t i = 0; i < v->n_checks; i++)
		json_array_append_new(checks, check_json(v->checks[i]));
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "received_at",
	                 (json_int_t)v->at_s, "decision", cli_text_json(slice_str(v->decision)),
	                 "reasons", reasons, "mail_from", cli_text_json(slice_str(v->mail_from)),
	                 "recipient", cli_text_json(slice_str(v->recipient)), "client",
	                 cli_text_json(slice_str(v->client)), "helo",
	                 cli_text_json(slice_str(v->helo)), "tls", cli_text_json(slice_str(v->tls)),
	                 "log_id", cli_text_json(slice_str(v->cid)), "checks", checks);
}

static void show(const struct cli *cli, const json_t *answer)
{
	struct arena arena;
	struct buf text;
	arena_init(&arena, VERDICT_ARENA);
	buf_init(&text, SIZE_MAX);
	const Door__Verdict *verdict = read_verdict(answer, &arena);
	if (cli->json) {
		cli_put_json(json_pack("{s:b, s:s, s:I, s:s, s:o}", "ok", 1, "mailbox",
		                       cli_json_text(answer, "mailbox"), "uid",
		                       (json_int_t)cli_json_number(answer, "uid"), "subject",
		                       cli_json_text(answer, "subject"), "verdict",
		                       verdict ? verdict_json(verdict) : json_null()));
	} else {
		print_text(answer, verdict, &text);
		cli_put(&text);
	}
	buf_done(&text);
	arena_done(&arena);
}

int cli_message_explain(struct cli *cli)
{
	struct arena arena;
	struct config *config;
	json_t *request = NULL, *answer = NULL;
	int result = make_request(cli, &request);
	if (result != 0)
		return result;
	arena_init(&arena, CONFIG_ARENA_MAX);
	result = cli_load(cli, &arena, &config);
	if (result == 0)
		result = cli_server_ask(cli, config, json_incref(request),
		                        "only its rooms can open mailboxes", &answer);
	if (result == 0)
		show(cli, answer);
	json_decref(request);
	json_decref(answer);
	arena_done(&arena);
	return result;
}
