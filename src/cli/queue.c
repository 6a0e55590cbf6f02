/* Shared by the commands of the queue. See queue.h. */
#include "cli/queue.h"

#include "config/value.h"
#include "os/clock.h"

#define QUEUE_ARENA_MAX ((size_t)64 * 1024)

int cli_queue_begin(struct cli_queue *q, struct cli *cli)
{
	*q = (struct cli_queue){.cli = cli, .now_ms = clock_now_us(clock_real()) / 1000};
	arena_init(&q->arena, CONFIG_ARENA_MAX);
	return cli_load(cli, &q->arena, &q->config);
}

void cli_queue_end(struct cli_queue *q)
{
	arena_done(&q->arena);
}

int cli_queue_ask(struct cli_queue *q, json_t *request, json_t **ret_answer)
{
	return cli_server_ask(q->cli, q->config, request, "the queue belongs to a running server",
	                      ret_answer);
}

/* ---- filters ---- */

static int bad_value(struct cli_queue *q, const char *option, const char *value, const char *mend)
{
	(void)cli_fail(q->cli, NULL, "--%s %s: %s", option, value, mend);
	return CLI_USAGE;
}

static int add_ids(struct cli_queue *q, size_t first, json_t *filter)
{
	json_t *ids = json_array();
	json_object_set_new(filter, "ids", ids);
	for (size_t i = first; i < q->cli->n_args; i++) {
		uint64_t id;
		if (!slice_to_u64(slice_str(q->cli->args[i]), INT64_MAX, &id)) {
			(void)cli_fail(
			        q->cli, NULL,
			        "`%s` is no entry's number; `mailkeep queue list` shows them",
			        q->cli->args[i]);
			return CLI_USAGE;
		}
		json_array_append_new(ids, json_integer((json_int_t)id));
	}
	return 0;
}

static void add_text(struct cli_queue *q, const char *option, json_t *filter)
{
	const char *value = cli_option(q->cli, option);
	if (value)
		json_object_set_new(filter, option, json_string(value));
}

/* Now, and `direction` times the duration later. */
static int add_time(struct cli_queue *q, const char *option, const char *key, int direction,
                    json_t *filter)
{
	const char *value = cli_option(q->cli, option);
	uint64_t ms;
	if (!value)
		return 0;
	if (!is_ok(config_value_duration(slice_str(value), &ms)) || ms > INT64_MAX / 4)
		return bad_value(q, option, value, "a time such as 90s, 30m, 2h or 7d is wanted");
	int64_t at_ms = q->now_ms + direction * (int64_t)ms;
	json_object_set_new(filter, key, json_integer(at_ms));
	return 0;
}

int cli_queue_filter(struct cli_queue *q, size_t first, json_t **ret_filter, bool *ret_given)
{
	const char *hold = cli_option(q->cli, "hold");
	json_t *filter = json_object();
	int result = q->cli->n_args > first ? add_ids(q, first, filter) : 0;
	add_text(q, "account", filter);
	add_text(q, "from", filter);
	add_text(q, "to", filter);
	add_text(q, "via", filter);
	if (json_object_get(filter, "via")) {
		json_object_set(filter, "transport", json_object_get(filter, "via"));
		json_object_del(filter, "via");
	}
	if (hold && strcmp(hold, "yes") != 0 && strcmp(hold, "no") != 0)
		result = bad_value(q, "hold", hold, "yes or no is wanted");
	else if (hold)
		json_object_set_new(filter, "hold", json_string(hold));
	if (result == 0)
		result = add_time(q, "older", "submitted_before_ms", -1, filter);
	if (result == 0)
		result = add_time(q, "newer", "submitted_after_ms", -1, filter);
	if (result == 0)
		result = add_time(q, "due", "next_before_ms", 1, filter);
	if (result != 0) {
		json_decref(filter);
		return result;
	}
	*ret_given = json_object_size(filter) > 0;
	*ret_filter = filter;
	return 0;
}

/* ---- times ---- */

void cli_queue_distance(int64_t ms, struct buf *out)
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
	int64_t size = ms < 0 ? -ms : ms;
	if (size < 1000) {
		buf_add_str(out, "now");
		return;
	}
	size_t i = 0;
	while (i + 1 < N_ELEMENTS(units) && size < 2 * units[i].ms)
		i++;
	buf_printf(out, "%s%" PRId64 " %s%s", ms > 0 ? "in " : "", size / units[i].ms,
	           units[i].name, ms < 0 ? " ago" : "");
}
