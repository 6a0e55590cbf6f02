/* mailkeep queue holdrules list|add|rm, queue suppress list|add|rm */
#include "cli/queue.h"

/* A command without a filter: one question, one answer, shown by `show`. */
static int ask_once(struct cli *cli, json_t *request,
                    void (*show)(const struct cli *cli, const json_t *answer))
{
	struct cli_queue q;
	json_t *answer = NULL;
	int result = cli_queue_begin(&q, cli);
	if (result == 0)
		result = cli_queue_ask(&q, request, &answer);
	else
		json_decref(request);
	if (result == 0 && cli->json)
		cli_put_json(json_incref(answer));
	else if (result == 0)
		show(cli, answer);
	json_decref(answer);
	cli_queue_end(&q);
	return result;
}

static void add_instant(struct cli_table *table, int64_t at_ms)
{
	struct buf text;
	buf_init(&text, 64);
	cli_instant(at_ms, &text);
	cli_table_add(table, buf_cstr(&text));
	buf_done(&text);
}

static void add_or_any(struct cli_table *table, const char *text)
{
	cli_table_add(table, *text ? text : "(any)");
}

/* ---- hold rules ---- */

static void show_rules(const struct cli *cli, const json_t *answer)
{
	static const char *const heads[] = {"ID", "ACCOUNT", "SENDER DOMAIN", "RECIPIENT DOMAIN",
	                                    "SINCE"};
	const json_t *rules = json_object_get(answer, "rules");
	struct cli_table table;
	if (json_array_size(rules) == 0) {
		printf("there are no hold rules\n");
		return;
	}
	cli_table_heads(&table, heads, N_ELEMENTS(heads));
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);
		char id[24];
		snprintf(id, sizeof(id), "%" PRId64, cli_json_number(rule, "id"));
		cli_table_add(&table, id);
		add_or_any(&table, cli_json_text(rule, "account"));
		add_or_any(&table, cli_json_text(rule, "sender_domain"));
		add_or_any(&table, cli_json_text(rule, "recipient_domain"));
		add_instant(&table, cli_json_number(rule, "created_ms"));
	}
	cli_table_show(cli, &table);
}

int cli_queue_holdrules_list(struct cli *cli)
{
	return ask_once(cli,
	                json_pack("{s:s, s:s}", "command", "queue-holdrules", "action", "list"),
	                show_rules);
}

static void show_added_rule(const struct cli *cli, const json_t *answer)
{
	int64_t n = cli_json_number(answer, "held");
	(void)cli;
	printf("hold rule %" PRId64 " is in force; %" PRId64 " queued %s held by it\n",
	       cli_json_number(answer, "id"), n, n == 1 ? "entry is" : "entries are");
}

int cli_queue_holdrules_add(struct cli *cli)
{
	const char *account = cli_option(cli, "account");
	const char *sender = cli_option(cli, "sender-domain");
	const char *recipient = cli_option(cli, "recipient-domain");
	if (!account && !sender && !recipient && !cli_option(cli, "all")) {
		(void)cli_fail(
		        cli, NULL,
		        "say what to hold: --account, --sender-domain, --recipient-domain, or "
		        "--all for everything");
		return CLI_USAGE;
	}
	return ask_once(cli,
	                json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "command", "queue-holdrules",
	                          "action", "add", "rule", "account", account ? account : "",
	                          "sender_domain", sender ? sender : "", "recipient_domain",
	                          recipient ? recipient : ""),
	                show_added_rule);
}

static void show_removed_rule(const struct cli *cli, const json_t *answer)
{
	(void)answer;
	printf("hold rule %s is removed; what it held stays held until `mailkeep queue unhold`\n",
	       cli->args[0]);
}

int cli_queue_holdrules_rm(struct cli *cli)
{
	uint64_t id;
	if (!slice_to_u64(slice_str(cli->args[0]), INT64_MAX, &id)) {
		(void)cli_fail(cli, NULL, "`%s` is no rule's number", cli->args[0]);
		return CLI_USAGE;
	}
	return ask_once(cli,
	                json_pack("{s:s, s:s, s:{s:I}}", "command", "queue-holdrules", "action",
	                          "rm", "rule", "id", (json_int_t)id),
	                show_removed_rule);
}

/* ---- suppression ---- */

static void suppression_row(struct cli_table *table, const json_t *s)
{
	const char *reason = cli_json_text(s, "reason");
	cli_table_add(table, cli_json_text(s, "account"));
	cli_table_add(table, cli_json_text(s, "address"));
	add_instant(table, cli_json_number(s, "created_ms"));
	cli_table_add(table, json_is_true(json_object_get(s, "manual")) ? "hand" : "failure");
	cli_table_add(table, *reason ? reason : "-");
}

static json_t *list_request(const char *account, const json_t *last)
{
	json_t *request = json_pack("{s:s, s:s, s:{s:s}}", "command", "queue-suppress", "action",
	                            "list", "suppression", "account", account ? account : "");
	if (last)
		json_object_set_new(request, "page_after",
		                    json_pack("{s:s, s:s}", "account",
		                              cli_json_text(last, "account"), "address",
		                              cli_json_text(last, "address")));
	return request;
}

static int all_suppressed(struct cli_queue *q, json_t *all)
{
	bool more = true;
	while (more) {
		size_t n = json_array_size(all);
		const json_t *last = n > 0 ? json_array_get(all, n - 1) : NULL;
		json_t *answer;
		int result = cli_queue_ask(q, list_request(cli_option(q->cli, "account"), last),
		                           &answer);
		if (result != 0)
			return result;
		json_array_extend(all, json_object_get(answer, "suppressions"));
		more = json_is_true(json_object_get(answer, "more")) && json_array_size(all) > n;
		json_decref(answer);
	}
	return 0;
}

static void show_suppressed(const struct cli *cli, const json_t *all)
{
	static const char *const heads[] = {"ACCOUNT", "ADDRESS", "SINCE", "BY", "REASON"};
	struct cli_table table;
	if (json_array_size(all) == 0) {
		printf("no address is suppressed\n");
		return;
	}
	cli_table_heads(&table, heads, N_ELEMENTS(heads));
	for (size_t i = 0; i < json_array_size(all); i++)
		suppression_row(&table, json_array_get(all, i));
	cli_table_show(cli, &table);
}

int cli_queue_suppress_list(struct cli *cli)
{
	struct cli_queue q;
	json_t *all = json_array();
	int result = cli_queue_begin(&q, cli);
	if (result == 0)
		result = all_suppressed(&q, all);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "suppressions", all));
	else if (result == 0)
		show_suppressed(cli, all);
	json_decref(all);
	cli_queue_end(&q);
	return result;
}

static void show_suppress_done(const struct cli *cli, const json_t *answer)
{
	(void)answer;
	printf("%s: done\n", cli->args[1]);
}

static int change_suppression(struct cli *cli, const char *action, const char *reason)
{
	return ask_once(cli,
	                json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "command", "queue-suppress",
	                          "action", action, "suppression", "account", cli->args[0],
	                          "address", cli->args[1], "reason", reason),
	                show_suppress_done);
}

int cli_queue_suppress_add(struct cli *cli)
{
	const char *reason = cli_option(cli, "reason");
	return change_suppression(cli, "add", reason ? reason : "");
}

int cli_queue_suppress_rm(struct cli *cli)
{
	return change_suppression(cli, "rm", "");
}
