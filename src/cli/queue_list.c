/* mailkeep queue list|show|dump, queue retired list|show */
#include "cli/queue.h"

#include "base/encode.h"

#define PIECE_MAX ((size_t)1024 * 1024)

/* ---- list ---- */

static void list_row(struct cli_queue *q, struct cli_table *table, const json_t *e, bool retired)
{
	struct buf cell;
	int64_t at_ms = cli_json_number(e, retired ? "last_ms" : "next_ms");
	buf_init(&cell, 10000);
	buf_printf(&cell, "%" PRId64, cli_json_number(e, "id"));
	cli_table_add(table, buf_cstr(&cell));
	cli_table_add(table, cli_json_text(e, "state"));
	buf_reset(&cell);
	if (strcmp(cli_json_text(e, "state"), "held") == 0)
		buf_add_str(&cell, "-");
	else
		cli_queue_distance(at_ms - q->now_ms, &cell);
	cli_table_add(table, buf_cstr(&cell));
	buf_reset(&cell);
	buf_printf(&cell, retired ? "%" PRId64 : "%" PRId64 "/%" PRId64,
	           cli_json_number(e, "attempts"), cli_json_number(e, "max_attempts"));
	cli_table_add(table, buf_cstr(&cell));
	cli_table_add(table, cli_json_text(e, "account"));
	const char *sender = cli_json_text(e, "sender");
	cli_table_add(table, *sender ? sender : "<>");
	cli_table_add(table, cli_json_text(e, "recipient"));
	const char *result = cli_json_text(e, "last_result");
	cli_table_add(table, *result ? result : "-");
	buf_done(&cell);
}

struct listing {
	json_t *all; /* with --json */
	struct cli_table table;
	size_t n;
};

static void take_page(struct cli_queue *q, struct listing *l, const json_t *entries, bool retired)
{
	size_t i;
	json_t *entry;
	json_array_foreach(entries, i, entry)
	{
		if (q->cli->json)
			json_array_append(l->all, entry);
		else
			list_row(q, &l->table, entry, retired);
	}
	l->n += json_array_size(entries);
}

/* The next page begins behind the last entry of this one. */
static void set_page(json_t *filter, const char *sort, const json_t *last, bool retired)
{
	bool by_submitted = strstr(sort, "submitted") != NULL;
	const char *key = by_submitted ? "submitted_ms" : retired ? "last_ms" : "next_ms";
	json_object_set_new(filter, "page_after", json_integer(cli_json_number(last, "id")));
	json_object_set_new(filter, "page_key", json_integer(cli_json_number(last, key)));
}

static int list_pages(struct cli_queue *q, json_t *filter, const char *sort, size_t limit,
                      bool retired, struct listing *l)
{
	bool more = true;
	while (more && l->n < limit) {
		json_t *answer;
		json_object_set_new(filter, "limit",
		                    json_integer((json_int_t)MIN(limit - l->n, (size_t)1000)));
		int result = cli_queue_ask(q,
		                           json_pack("{s:s, s:O, s:b}", "command", "queue-list",
		                                     "filter", filter, "retired", (int)retired),
		                           &answer);
		if (result != 0)
			return result;
		const json_t *entries = json_object_get(answer, "entries");
		size_t n = json_array_size(entries);
		take_page(q, l, entries, retired);
		more = n > 0 && json_is_true(json_object_get(answer, "more"));
		if (more)
			set_page(filter, sort, json_array_get(entries, n - 1), retired);
		json_decref(answer);
	}
	return 0;
}

static int read_order(struct cli_queue *q, json_t *filter, bool retired, const char **ret_sort,
                      size_t *ret_limit)
{
	static const char *const sorts[] = {"next", "-next", "submitted", "-submitted"};
	const char *sort = cli_option(q->cli, "sort"), *limit = cli_option(q->cli, "limit");
	uint64_t n = SIZE_MAX;
	bool known = !sort;
	for (size_t i = 0; sort && i < N_ELEMENTS(sorts); i++)
		known = known || strcmp(sort, sorts[i]) == 0;
	if (!known || (limit && (!slice_to_u64(slice_str(limit), INT32_MAX, &n) || n == 0))) {
		(void)cli_fail(q->cli, NULL,
		               "--sort takes next or submitted, with - before it for the other "
		               "direction; --limit a number");
		return CLI_USAGE;
	}
	*ret_sort = sort ? sort : retired ? "-next" : "next";
	*ret_limit = (size_t)n;
	json_object_set_new(filter, "sort", json_string(*ret_sort));
	return 0;
}

static int show_list(struct cli_queue *q, bool retired)
{
	static const char *const heads[] = {"ID",      "STATE", "NEXT", "TRIES",
	                                    "ACCOUNT", "FROM",  "TO",   "LAST RESULT"};
	static const char *const retired_heads[] = {"ID",      "STATE", "ENDED", "TRIES",
	                                            "ACCOUNT", "FROM",  "TO",    "LAST RESULT"};
	struct listing l = {0};
	json_t *filter = NULL;
	const char *sort = "";
	size_t limit = 0;
	bool given;
	int result = cli_queue_filter(q, 0, &filter, &given);
	if (result == 0)
		result = read_order(q, filter, retired, &sort, &limit);
	if (result != 0) {
		json_decref(filter);
		return result;
	}
	l.all = json_array();
	cli_table_heads(&l.table, retired ? retired_heads : heads, N_ELEMENTS(heads));
	result = list_pages(q, filter, sort, limit, retired, &l);
	if (result == 0 && q->cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "entries", l.all));
	if (result == 0 && !q->cli->json && l.n > 0) {
		cli_table_show(q->cli, &l.table);
	} else {
		if (result == 0 && !q->cli->json)
			printf(given ? "nothing matches\n" : "nothing is queued\n");
		cli_table_done(&l.table);
	}
	json_decref(l.all);
	json_decref(filter);
	return result;
}

static int run_list(struct cli *cli, bool retired)
{
	struct cli_queue q;
	int result = cli_queue_begin(&q, cli);
	if (result == 0)
		result = show_list(&q, retired);
	cli_queue_end(&q);
	return result;
}

int cli_queue_list(struct cli *cli)
{
	return run_list(cli, false);
}

int cli_queue_retired_list(struct cli *cli)
{
	return run_list(cli, true);
}

/* ---- show ---- */

static void add_fact(struct buf *out, const char *name, const char *value)
{
	if (*value)
		buf_printf(out, "  %-12s %s\n", name, value);
}

static void add_time(struct cli_queue *q, struct buf *out, const char *name, int64_t at_ms)
{
	if (at_ms == 0)
		return;
	buf_printf(out, "  %-12s ", name);
	cli_instant(at_ms, out);
	buf_add_str(out, " (");
	cli_queue_distance(at_ms - q->now_ms, out);
	buf_add_str(out, ")\n");
}

/* What protected the message, or would have had to. */
static void add_protection(struct buf *out, const json_t *a)
{
	static const struct {
		const char *name, *words;
	} known[] = {
	        {"clear", "sent in clear"},
	        {"unverified", "TLS, not verified: anybody could have answered"},
	        {"authorities", "TLS, verified by authorities"},
	        {"mta-sts", "TLS, verified by the domain's MTA-STS policy"},
	        {"dane", "TLS, verified by DANE"},
	        {"dane and mta-sts", "TLS, verified by DANE and by the domain's MTA-STS policy"},
	};
	const char *protection = cli_json_text(a, "protection");
	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (strcmp(protection, known[i].name) == 0)
			buf_printf(out, "   guarded %s\n", known[i].words);
	if (*cli_json_text(a, "demands"))
		buf_printf(out, "   demand  %s\n", cli_json_text(a, "demands"));
}

/* "policy  tlsa of mx.example: validation-failure (dane-no-match)" */
static void add_results(struct buf *out, const json_t *a)
{
	size_t i;
	json_t *r;
	json_array_foreach(json_object_get(a, "tls_results"), i, r)
	{
		const char *policy = cli_json_text(r, "policy"), *host = cli_json_text(r, "host"),
		           *domain = cli_json_text(r, "domain"),
		           *reason = cli_json_text(r, "reason");
		bool has_host = *host && strcmp(host, domain) != 0;
		buf_printf(out, "   policy  %s%s%s%s%s: %s", policy,
		           strcmp(policy, "no-policy-found") == 0 ? " for " : " of ", domain,
		           has_host ? ", host " : "", has_host ? host : "",
		           cli_json_text(r, "result"));
		if (*reason)
			buf_printf(out, " (%s)", reason);
		buf_add_byte(out, '\n');
	}
}

static void add_attempt(struct buf *out, size_t number, const json_t *a)
{
	size_t i;
	json_t *line;
	int64_t took = cli_json_number(a, "ended_ms") - cli_json_number(a, "started_ms");
	const char *host = cli_json_text(a, "remote_host"), *tls = cli_json_text(a, "tls");
	buf_printf(out, "\n%zu. ", number);
	cli_instant(cli_json_number(a, "started_ms"), out);
	buf_printf(out, ", %" PRId64 ".%" PRId64 " s: %s\n", took / 1000, took % 1000 / 100,
	           cli_json_text(a, "outcome"));
	if (*cli_json_text(a, "route"))
		buf_printf(out, "   way     %s\n", cli_json_text(a, "route"));
	if (*host)
		buf_printf(out, "   host    %s [%s]%s%s\n", host,
		           cli_json_text(a, "remote_address"), *tls ? ", TLS: " : "", tls);
	add_protection(out, a);
	add_results(out, a);
	json_array_foreach(json_object_get(a, "lines"), i, line) buf_printf(
	        out, "   %s %s\n", i == 0 ? "reply  " : "       ", json_string_value(line));
	if (*cli_json_text(a, "why"))
		buf_printf(out, "   %s %s\n", "meaning", cli_json_text(a, "why"));
	if (*cli_json_text(a, "enhanced"))
		buf_printf(out, "   status  %s\n", cli_json_text(a, "enhanced"));
}

static void add_notify(struct buf *out, int64_t bits)
{
	static const char *const names[] = {"never", "success", "failure", "delay"};
	if (bits == 0)
		return;
	buf_printf(out, "  %-12s", "notify");
	for (unsigned i = 0; i < N_ELEMENTS(names); i++)
		if (bits & 1 << i)
			buf_printf(out, " %s", names[i]);
	buf_add_byte(out, '\n');
}

/* What the message asked for, and what was set since. */
static void add_wishes(struct buf *out, const json_t *e)
{
	const char *wish = cli_json_text(e, "require_tls");
	const char *asked = cli_json_text(e, "message_tls");
	const char *mode = cli_json_text(e, "deliver_by_mode");
	int64_t priority = cli_json_number(e, "priority");
	if (strcmp(asked, "required") == 0)
		add_fact(out, "TLS", "required and verified all the way, as the message asks");
	else if (strcmp(asked, "optional") == 0)
		add_fact(out, "TLS", "better in clear than not at all, as the message says");
	if (strcmp(wish, "yes") == 0)
		add_fact(out, "require TLS", "yes, set here; it counts");
	else if (strcmp(wish, "no") == 0)
		add_fact(out, "require TLS", "no, set here; it counts");
	if (strcmp(mode, "return") == 0)
		add_fact(out, "if late", "returned to its sender");
	else if (strcmp(mode, "notify") == 0)
		add_fact(out, "if late", "its sender is told, and it goes on");
	if (priority != 0)
		buf_printf(out, "  %-12s %" PRId64 "\n", "priority", priority);
}

static void show_entry(struct cli_queue *q, const json_t *e, bool retired)
{
	struct buf out;
	const json_t *history = json_object_get(e, "history");
	const char *sender = cli_json_text(e, "sender");
	buf_init(&out, 16 * PIECE_MAX);
	buf_printf(&out, "Entry %" PRId64 " of message %" PRId64 ": %s\n\n",
	           cli_json_number(e, "id"), cli_json_number(e, "message"),
	           cli_json_text(e, "state"));
	add_fact(&out, "account", cli_json_text(e, "account"));
	add_fact(&out, "sender", *sender ? sender : "<>");
	add_fact(&out, "from", cli_json_text(e, "from"));
	add_fact(&out, "recipient", cli_json_text(e, "recipient"));
	add_fact(&out, "meant for", cli_json_text(e, "orcpt"));
	add_fact(&out, "subject", cli_json_text(e, "subject"));
	add_fact(&out, "message-id", cli_json_text(e, "message_id"));
	add_fact(&out, "envelope id", cli_json_text(e, "envid"));
	add_notify(&out, cli_json_number(e, "notify"));
	add_fact(&out, "transport", cli_json_text(e, "transport"));
	add_wishes(&out, e);
	buf_printf(&out, "  %-12s %" PRId64 " bytes\n", "size", cli_json_number(e, "size"));
	add_time(q, &out, "submitted", cli_json_number(e, "submitted_ms"));
	add_time(q, &out, "deliver by", cli_json_number(e, "deliver_by_ms"));
	if (!retired)
		add_time(q, &out, "next attempt", cli_json_number(e, "next_ms"));
	else
		add_time(q, &out, "ended", cli_json_number(e, "last_ms"));
	add_time(q, &out, "kept until", cli_json_number(e, "keep_until_ms"));
	buf_printf(&out, "  %-12s %" PRId64 " of %" PRId64 "\n", "attempts",
	           cli_json_number(e, "attempts"), cli_json_number(e, "max_attempts"));
	for (size_t i = 0; i < json_array_size(history); i++)
		add_attempt(&out, i + 1, json_array_get(history, i));
	cli_put(&out);
	buf_done(&out);
}

static int ask_entry(struct cli_queue *q, bool retired)
{
	uint64_t id;
	json_t *answer;
	if (!slice_to_u64(slice_str(q->cli->args[0]), INT64_MAX, &id)) {
		(void)cli_fail(q->cli, NULL, "`%s` is no entry's number", q->cli->args[0]);
		return CLI_USAGE;
	}
	int result = cli_queue_ask(q,
	                           json_pack("{s:s, s:I, s:b}", "command", "queue-show", "id",
	                                     (json_int_t)id, "retired", (int)retired),
	                           &answer);
	if (result != 0)
		return result;
	if (q->cli->json)
		cli_put_json(answer);
	else
		show_entry(q, json_object_get(answer, "entry"), retired);
	if (!q->cli->json)
		json_decref(answer);
	return 0;
}

static int run_show(struct cli *cli, bool retired)
{
	struct cli_queue q;
	int result = cli_queue_begin(&q, cli);
	if (result == 0)
		result = ask_entry(&q, retired);
	cli_queue_end(&q);
	return result;
}

int cli_queue_show(struct cli *cli)
{
	return run_show(cli, false);
}

int cli_queue_retired_show(struct cli *cli)
{
	return run_show(cli, true);
}

/* ---- dump ---- */

static int dump_piece(struct cli_queue *q, uint64_t id, uint64_t *offset, uint64_t *ret_total,
                      json_t *all)
{
	struct buf bytes;
	json_t *answer;
	int result = cli_queue_ask(q,
	                           json_pack("{s:s, s:I, s:I}", "command", "queue-dump", "id",
	                                     (json_int_t)id, "offset", (json_int_t)*offset),
	                           &answer);
	if (result != 0)
		return result;
	buf_init(&bytes, PIECE_MAX);
	const char *text = cli_json_text(answer, "base64");
	*ret_total = (uint64_t)cli_json_number(answer, "total_size");
	if (!is_ok(base64_decode(slice_str(text), &bytes)) ||
	    (bytes.n == 0 && *offset < *ret_total))
		result = cli_fail(q->cli, NULL, "the server's answer makes no sense");
	else if (all)
		json_array_append_new(all, json_string(text));
	else
		cli_put(&bytes);
	*offset += bytes.n;
	buf_done(&bytes);
	json_decref(answer);
	return result;
}

int cli_queue_dump(struct cli *cli)
{
	struct cli_queue q;
	uint64_t id = 0, offset = 0, total = 1;
	json_t *all = cli->json ? json_array() : NULL;
	int result = cli_queue_begin(&q, cli);
	if (result == 0 && !slice_to_u64(slice_str(cli->args[0]), INT64_MAX, &id)) {
		(void)cli_fail(cli, NULL, "`%s` is no entry's number", cli->args[0]);
		result = CLI_USAGE;
	}
	while (result == 0 && offset < total)
		result = dump_piece(&q, id, &offset, &total, all);
	if (result == 0 && all)
		cli_put_json(json_pack("{s:b, s:I, s:O}", "ok", 1, "size", (json_int_t)total,
		                       "base64", all));
	json_decref(all);
	cli_queue_end(&q);
	return result;
}
