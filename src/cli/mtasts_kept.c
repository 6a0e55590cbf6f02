/* `mailkeep mtasts list` and `mailkeep mtasts forget`: the policies that the running server keeps.
 * What they say is read here, in the administrator's own process: the server only carries it. */
#include "cli/queue.h"

#include "base/encode.h"
#include "delivery/mtasts_cache.h"
#include "dns/name.h"
#include "os/clock.h"

#define KEPT_MEMORY ((size_t)1024 * 1024)
#define PAGES_MAX   10000u

/* One kept policy as the answer has it; entry counts when it could be read. */
struct kept {
	const char *domain;
	int64_t used_at_s;
	bool is_read;
	struct mtasts_entry entry;
	struct arena arena;
};

static void read_kept(const json_t *json, struct kept *kept)
{
	struct buf form;
	kept->domain = cli_json_text(json, "domain");
	kept->used_at_s = cli_json_number(json, "used");
	arena_init(&kept->arena, KEPT_MEMORY);
	buf_init(&form, MTASTS_ENTRY_MAX);
	kept->is_read = is_ok(base64_decode(slice_str(cli_json_text(json, "form")), &form)) &&
	                is_ok(mtasts_entry_parse(buf_slice(&form), &kept->arena, &kept->entry));
	buf_done(&form);
}

/* What holds at this moment. */
static const char *mode_of(const struct kept *kept, int64_t now_s)
{
	const struct mtasts_state *state = &kept->entry.state;
	if (!kept->is_read)
		return "unreadable";
	if (!state->has_policy)
		return "failed";
	return mtasts_is_valid(state, now_s) ? mtasts_mode_name(state->mode) : "expired";
}

static int64_t expires_s(const struct mtasts_state *state)
{
	return state->has_policy ? state->fetched_at_s + (int64_t)state->max_age_s : 0;
}

/* ---- JSON ---- */

static json_t *patterns_json(const struct kept *kept)
{
	json_t *list = json_array();
	for (size_t i = 0;
	     kept->is_read && kept->entry.state.has_policy && i < kept->entry.policy.n_mx; i++)
		json_array_append_new(list, cli_text_json(kept->entry.policy.mx[i]));
	return list;
}

static json_t *kept_json(const struct kept *kept, int64_t now_s)
{
	const struct mtasts_state *state = &kept->entry.state;
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:o}", "domain",
	                 kept->domain, "mode", mode_of(kept, now_s), "id", state->id, "fetched",
	                 (json_int_t)(state->has_policy ? state->fetched_at_s : 0), "expires",
	                 (json_int_t)expires_s(state), "used", (json_int_t)kept->used_at_s,
	                 "failed", (json_int_t)(state->n_failures > 0 ? state->failed_at_s : 0),
	                 "failures", (json_int_t)state->n_failures, "failed_id", state->failed_id,
	                 "mx", patterns_json(kept));
}

/* ---- text ---- */

static void add_instant(const char *what, int64_t at_s, struct buf *out)
{
	if (at_s == 0)
		return;
	buf_printf(out, "  %s ", what);
	cli_instant(at_s * 1000, out);
	buf_add_byte(out, '\n');
}

static void say_failure(const struct mtasts_state *state, struct buf *out)
{
	buf_printf(out, "  last fetch failed (%" PRIu32 " in a row, of id %s) ", state->n_failures,
	           state->failed_id);
	cli_instant(state->failed_at_s * 1000, out);
	buf_add_byte(out, '\n');
}

static void say_kept(const struct kept *kept, int64_t now_s, struct buf *out)
{
	const struct mtasts_state *state = &kept->entry.state;
	buf_printf(out, "%s: %s", kept->domain, mode_of(kept, now_s));
	if (state->has_policy)
		buf_printf(out, ", id %s", state->id);
	buf_add_byte(out, '\n');
	if (state->has_policy) {
		add_instant("fetched", state->fetched_at_s, out);
		add_instant("expires", expires_s(state), out);
	}
	add_instant("last used", kept->used_at_s, out);
	if (state->n_failures > 0)
		say_failure(state, out);
	for (size_t i = 0; state->has_policy && i < kept->entry.policy.n_mx; i++) {
		buf_add_str(out, "  mx ");
		cli_text_add(kept->entry.policy.mx[i], out);
		buf_add_byte(out, '\n');
	}
}

/* ---- the commands ---- */

/* What a person types, as a name in the DNS; in the arena. */
static int domain_of(struct cli *cli, struct arena *arena, struct dns_name *ret_name)
{
	if (is_ok(dns_name_parse(slice_str(cli->args[0]), arena, ret_name)) &&
	    dns_name_is_host(*ret_name))
		return 0;
	return cli_fail(cli, NULL, "`%s` is no domain", cli->args[0]);
}

static void add_page(const json_t *answer, bool json, json_t *list, struct buf *text)
{
	const json_t *policies = json_object_get(answer, "policies");
	int64_t now_s = clock_now_s(clock_real());
	for (size_t i = 0; i < json_array_size(policies); i++) {
		struct kept kept = {.is_read = false};
		read_kept(json_array_get(policies, i), &kept);
		if (json)
			json_array_append_new(list, kept_json(&kept, now_s));
		else
			say_kept(&kept, now_s, text);
		arena_done(&kept.arena);
	}
}

/* The last domain of a page, from where the next goes on; "" at the end. */
static void next_page(const json_t *answer, char *after, size_t size)
{
	const json_t *policies = json_object_get(answer, "policies");
	size_t n = json_array_size(policies);
	bool more = json_is_true(json_object_get(answer, "more")) && n > 0;
	snprintf(after, size, "%s",
	         more ? cli_json_text(json_array_get(policies, n - 1), "domain") : "");
}

static int list_all(struct cli_queue *q, const char *domain, json_t *list, struct buf *text)
{
	char after[DNS_NAME_TEXT_MAX] = "";
	for (size_t page = 0; page < PAGES_MAX; page++) {
		json_t *answer = NULL;
		json_t *request = json_pack("{s:s, s:s, s:s}", "command", "mtasts-list", "domain",
		                            domain, "after", after);
		int result = cli_server_ask(q->cli, q->config, request,
		                            "policies are kept by a running server", &answer);
		if (result != 0)
			return result;
		add_page(answer, q->cli->json, list, text);
		next_page(answer, after, sizeof(after));
		json_decref(answer);
		if (!*after)
			break;
	}
	return 0;
}

int cli_mtasts_list(struct cli *cli)
{
	struct cli_queue q;
	struct dns_name name = {.text = ""};
	struct buf text;
	json_t *list = json_array();
	buf_init(&text, SIZE_MAX);
	int result = cli_queue_begin(&q, cli);
	if (result == 0 && cli->n_args > 0)
		result = domain_of(cli, &q.arena, &name);
	if (result == 0)
		result = list_all(&q, name.text, list, &text);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "policies", list));
	else if (result == 0 && text.n == 0)
		printf("no policies are kept\n");
	else if (result == 0)
		cli_put(&text);
	json_decref(list);
	buf_done(&text);
	cli_queue_end(&q);
	return result;
}

int cli_mtasts_forget(struct cli *cli)
{
	struct cli_queue q;
	struct dns_name name;
	json_t *answer = NULL;
	int result = cli_queue_begin(&q, cli);
	if (result == 0)
		result = domain_of(cli, &q.arena, &name);
	if (result == 0)
		result = cli_server_ask(
		        cli, q.config,
		        json_pack("{s:s, s:s}", "command", "mtasts-forget", "domain", name.text),
		        "policies are kept by a running server", &answer);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b, s:s}", "ok", 1, "domain", name.text));
	else if (result == 0)
		printf("forgot the policy of %s; the next message to it fetches a new one\n",
		       name.text);
	json_decref(answer);
	cli_queue_end(&q);
	return result;
}
