/* mailkeep queue hold|unhold|schedule|transport|requiretls|fail|drop */
#include "cli/queue.h"

#include "config/value.h"

struct change {
	const char *name; /* as the server knows it */
	const char *done; /* "held" */
	size_t first_id;  /* among the words */
	const char *text;
	int64_t value_ms;
	bool relative;
};

static void tell(const struct cli *cli, const struct change *change, const json_t *answer)
{
	int64_t n = cli_json_number(answer, "changed"),
	        n_skipped = cli_json_number(answer, "skipped");
	if (cli->json) {
		cli_put_json(json_pack("{s:b, s:I, s:I}", "ok", 1, "changed", (json_int_t)n,
		                       "skipped", (json_int_t)n_skipped));
		return;
	}
	if (n == 0 && n_skipped == 0)
		printf("nothing matches\n");
	else
		printf("%" PRId64 " %s %s\n", n, n == 1 ? "entry" : "entries", change->done);
	if (n_skipped > 0)
		printf("%" PRId64 " left alone: being delivered at this moment\n", n_skipped);
}

static int apply(struct cli_queue *q, const struct change *change)
{
	json_t *filter, *answer;
	bool given;
	int result = cli_queue_filter(q, change->first_id, &filter, &given);
	if (result != 0)
		return result;
	if (!given && !cli_option(q->cli, "all")) {
		json_decref(filter);
		(void)cli_fail(q->cli, NULL,
		               "say which entries: give their numbers, a filter such as --to, or "
		               "--all");
		return CLI_USAGE;
	}
	result = cli_queue_ask(q,
	                       json_pack("{s:s, s:o, s:s, s:I, s:b, s:s}", "command", "queue-apply",
	                                 "filter", filter, "change", change->name, "value_ms",
	                                 (json_int_t)change->value_ms, "relative",
	                                 (int)change->relative, "text",
	                                 change->text ? change->text : ""),
	                       &answer);
	if (result != 0)
		return result;
	tell(q->cli, change, answer);
	json_decref(answer);
	return 0;
}

static int run(struct cli *cli, const struct change *change)
{
	struct cli_queue q;
	int result = cli_queue_begin(&q, cli);
	if (result == 0)
		result = apply(&q, change);
	cli_queue_end(&q);
	return result;
}

int cli_queue_hold(struct cli *cli)
{
	return run(cli, &(struct change){.name = "hold", .done = "held"});
}

int cli_queue_unhold(struct cli *cli)
{
	return run(cli, &(struct change){.name = "unhold", .done = "released"});
}

int cli_queue_fail(struct cli *cli)
{
	return run(cli, &(struct change){.name = "fail", .done = "given up; the senders are told"});
}

int cli_queue_drop(struct cli *cli)
{
	return run(cli, &(struct change){.name = "drop", .done = "removed; nobody is told"});
}

int cli_queue_transport(struct cli *cli)
{
	bool by_routes = strcmp(cli->args[0], "routes") == 0;
	return run(cli, &(struct change){.name = "transport",
	                                 .done = "changed",
	                                 .first_id = 1,
	                                 .text = by_routes ? "" : cli->args[0]});
}

int cli_queue_requiretls(struct cli *cli)
{
	return run(cli, &(struct change){.name = "requiretls",
	                                 .done = "changed",
	                                 .first_id = 1,
	                                 .text = cli->args[0]});
}

/* "now", "2h" (from now), "+2h" (from the time that each has). */
static bool parse_when(const char *text, int64_t now_ms, struct change *change)
{
	uint64_t ms = 0;
	change->relative = *text == '+';
	if (strcmp(text, "now") != 0 &&
	    (!is_ok(config_value_duration(slice_str(text + change->relative), &ms)) ||
	     ms > INT64_MAX / 4))
		return false;
	change->value_ms = (int64_t)ms + (change->relative ? 0 : now_ms);
	return true;
}

int cli_queue_schedule(struct cli *cli)
{
	struct cli_queue q;
	struct change change = {.name = "schedule", .done = "scheduled", .first_id = 1};
	int result = cli_queue_begin(&q, cli);
	if (result == 0 && !parse_when(cli->args[0], q.now_ms, &change)) {
		(void)cli_fail(cli, NULL,
		               "`%s`: now, a time from now such as 30m, or one to add such as +2h "
		               "is wanted",
		               cli->args[0]);
		result = CLI_USAGE;
	}
	if (result == 0)
		result = apply(&q, &change);
	cli_queue_end(&q);
	return result;
}
