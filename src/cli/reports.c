/* `mailkeep tlsrpt show`, `mailkeep dmarc show`, `mailkeep reports send`: what the running server
 * has counted for reports to other domains, and what it has sent or will send. */
#include "cli/queue.h"

#include "base/rfc3339.h"
#include "dns/name.h"
#include "os/clock.h"

#define DAY_S     86400
#define PAGES_MAX 1000u
#define NEEDS     "reports are the running server's"

/* The UTC day of --day, as instants; all without it. */
static int read_day(struct cli *cli, int64_t *ret_from_s, int64_t *ret_to_s)
{
	const char *day = cli_option(cli, "day");
	struct buf text;
	*ret_from_s = *ret_to_s = 0;
	if (!day)
		return 0;
	int64_t now_s = clock_now_s(clock_real()), from_s = now_s - now_s % DAY_S;
	bool good = true;
	buf_init(&text, 64);
	buf_printf(&text, "%sT00:00:00Z", day);
	if (strcmp(day, "yesterday") == 0)
		from_s -= DAY_S;
	else if (strcmp(day, "today") != 0)
		good = !buf_failed(&text) && rfc3339_parse(buf_slice(&text), &from_s);
	buf_done(&text);
	if (!good) {
		(void)cli_fail(cli, NULL,
		               "--day %s: a day such as 2026-03-09, today or yesterday is wanted",
		               day);
		return CLI_USAGE;
	}
	*ret_from_s = from_s;
	*ret_to_s = from_s + DAY_S;
	return 0;
}

/* ---- text ---- */

static void add_text(const char *text, struct buf *out)
{
	cli_text_add(slice_str(text), out);
}

static void add_named(const char *before, const char *text, struct buf *out)
{
	if (!*text)
		return;
	buf_add_str(out, before);
	add_text(text, out);
}

static void say_tls_row(const json_t *row, struct buf *out)
{
	const char *result = cli_json_text(row, "result");
	buf_printf(out, "  %" PRId64 " session%s ", cli_json_number(row, "count"),
	           cli_json_number(row, "count") == 1 ? "" : "s");
	buf_add_str(out, *result ? "failed: " : "good");
	add_text(result, out);
	add_named(", policy ", cli_json_text(row, "policy"), out);
	add_named(" of ", cli_json_text(row, "policy_domain"), out);
	add_named(", host ", cli_json_text(row, "host"), out);
	add_named(" [", cli_json_text(row, "address"), out);
	if (*cli_json_text(row, "address"))
		buf_add_byte(out, ']');
	buf_add_byte(out, '\n');
	add_named("    ", cli_json_text(row, "reason"), out);
	if (*cli_json_text(row, "reason"))
		buf_add_byte(out, '\n');
}

static void say_auths(const char *method, const json_t *auths, struct buf *out)
{
	for (size_t i = 0; i < json_array_size(auths); i++) {
		const json_t *auth = json_array_get(auths, i);
		buf_printf(out, "    %s %s", method, cli_json_text(auth, "result"));
		add_named(" ", cli_json_text(auth, "domain"), out);
		add_named(", selector ", cli_json_text(auth, "selector"), out);
		buf_add_byte(out, '\n');
	}
}

static void say_dmarc_row(const json_t *row, struct buf *out)
{
	const json_t *reasons = json_object_get(row, "reasons");
	buf_printf(out, "  %" PRId64 " message%s", cli_json_number(row, "count"),
	           cli_json_number(row, "count") == 1 ? "" : "s");
	add_named(" from ", cli_json_text(row, "source_ip"), out);
	add_named(", author ", cli_json_text(row, "header_from"), out);
	buf_printf(out, ": %s, DKIM %s, SPF %s\n", cli_json_text(row, "disposition"),
	           json_is_true(json_object_get(row, "dkim_aligned")) ? "aligned" : "not aligned",
	           json_is_true(json_object_get(row, "spf_aligned")) ? "aligned" : "not aligned");
	for (size_t i = 0; i < json_array_size(reasons); i++) {
		const json_t *reason = json_array_get(reasons, i);
		buf_printf(out, "    not as the policy asks: %s", cli_json_text(reason, "type"));
		add_named(", ", cli_json_text(reason, "comment"), out);
		buf_add_byte(out, '\n');
	}
	say_auths("DKIM", json_object_get(row, "dkim"), out);
	say_auths("SPF", json_object_get(row, "spf"), out);
}

static void say_rows(const json_t *topic, bool is_dmarc, struct buf *out)
{
	const json_t *rows = json_object_get(topic, "rows");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		if (is_dmarc)
			say_dmarc_row(json_array_get(rows, i), out);
		else
			say_tls_row(json_array_get(rows, i), out);
	}
	if (json_is_true(json_object_get(topic, "more_rows")))
		buf_add_str(out, "  and more\n");
}

static void say_instant(const char *before, int64_t at_s, struct buf *out)
{
	if (at_s == 0)
		return;
	buf_add_str(out, before);
	cli_instant(at_s * 1000, out);
}

static void say_dispatch(const json_t *dispatch, struct buf *out)
{
	buf_printf(out, "  %s", cli_json_text(dispatch, "state"));
	add_named(": ", cli_json_text(dispatch, "uri"), out);
	say_instant(", ", cli_json_number(dispatch, "ended"), out);
	say_instant(", next try ", cli_json_number(dispatch, "next"), out);
	add_named(", id ", cli_json_text(dispatch, "report_id"), out);
	buf_add_byte(out, '\n');
	add_named("    ", cli_json_text(dispatch, "why"), out);
	if (*cli_json_text(dispatch, "why"))
		buf_add_byte(out, '\n');
}

static void say_topic(const json_t *topic, bool is_dmarc, struct buf *out)
{
	const json_t *dispatches = json_object_get(topic, "dispatches");
	add_text(cli_json_text(topic, "domain"), out);
	say_instant(", ", cli_json_number(topic, "begin"), out);
	say_instant(" to ", cli_json_number(topic, "end"), out);
	buf_printf(out, ": %s", cli_json_text(topic, "state"));
	say_instant(", report after ", cli_json_number(topic, "next"), out);
	buf_add_byte(out, '\n');
	if (cli_json_number(topic, "dropped") > 0)
		buf_printf(out, "  %" PRId64 " more than could be kept\n",
		           cli_json_number(topic, "dropped"));
	if (cli_json_number(topic, "dropped_of_all") > 0)
		buf_printf(out, "  %" PRId64 " more of this and other domains could not be kept\n",
		           cli_json_number(topic, "dropped_of_all"));
	if (*cli_json_text(topic, "why")) {
		add_named("  ", cli_json_text(topic, "why"), out);
		buf_add_byte(out, '\n');
	}
	say_rows(topic, is_dmarc, out);
	for (size_t i = 0; i < json_array_size(dispatches); i++)
		say_dispatch(json_array_get(dispatches, i), out);
}

/* ---- show ---- */

struct show {
	struct cli_queue q;
	bool is_dmarc;
	const char *domain;
	int64_t from_s, to_s;
	json_t *topics;
};

static int read_arguments(struct show *s)
{
	struct cli *cli = s->q.cli;
	struct dns_name name;
	s->domain = "";
	if (cli->n_args > 0) {
		if (!is_ok(dns_name_parse(slice_str(cli->args[0]), &s->q.arena, &name)) ||
		    !dns_name_is_host(name))
			return cli_fail(cli, NULL, "`%s` is no domain", cli->args[0]);
		s->domain = name.text;
	}
	return read_day(cli, &s->from_s, &s->to_s);
}

static int read_page(struct show *s, int64_t *after, bool *ret_more)
{
	json_t *answer = NULL;
	json_t *request = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "command", "reports-show",
	                            "kind", s->is_dmarc ? "dmarc" : "tls", "domain", s->domain,
	                            "from", (json_int_t)s->from_s, "to", (json_int_t)s->to_s,
	                            "after", (json_int_t)*after);
	int result = cli_server_ask(s->q.cli, s->q.config, request, NEEDS, &answer);
	if (result != 0)
		return result;
	json_t *topics = json_object_get(answer, "topics");
	size_t n = json_array_size(topics);
	json_array_extend(s->topics, topics);
	*ret_more = n > 0 && json_is_true(json_object_get(answer, "more"));
	if (n > 0)
		*after = cli_json_number(json_array_get(topics, n - 1), "id");
	json_decref(answer);
	return 0;
}

static int read_all(struct show *s)
{
	int64_t after = 0;
	bool more = true;
	int result = 0;
	for (size_t page = 0; page < PAGES_MAX && more && result == 0; page++)
		result = read_page(s, &after, &more);
	return result;
}

static void put(const struct show *s)
{
	struct buf text;
	if (s->q.cli->json) {
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "topics", s->topics));
		return;
	}
	buf_init(&text, SIZE_MAX);
	for (size_t i = 0; i < json_array_size(s->topics); i++)
		say_topic(json_array_get(s->topics, i), s->is_dmarc, &text);
	if (text.n == 0)
		buf_add_str(&text, "nothing was counted\n");
	cli_put(&text);
	buf_done(&text);
}

static int show(struct cli *cli, bool is_dmarc)
{
	struct show s = {.is_dmarc = is_dmarc, .topics = json_array()};
	int result = cli_queue_begin(&s.q, cli);
	if (result == 0)
		result = read_arguments(&s);
	if (result == 0)
		result = read_all(&s);
	if (result == 0)
		put(&s);
	json_decref(s.topics);
	cli_queue_end(&s.q);
	return result;
}

int cli_tlsrpt_show(struct cli *cli)
{
	return show(cli, false);
}

int cli_dmarc_show(struct cli *cli)
{
	return show(cli, true);
}

/* ---- send ---- */

int cli_reports_send(struct cli *cli)
{
	struct cli_queue q;
	json_t *answer = NULL;
	int64_t from_s, to_s;
	int result = cli_queue_begin(&q, cli);
	if (result == 0)
		result = read_day(cli, &from_s, &to_s);
	if (result == 0)
		result = cli_server_ask(cli, q.config,
		                        json_pack("{s:s, s:I, s:I}", "command", "reports-send",
		                                  "from", (json_int_t)from_s, "to",
		                                  (json_int_t)to_s),
		                        NEEDS, &answer);
	if (result == 0 && cli->json)
		cli_put_json(json_pack("{s:b}", "ok", 1));
	else if (result == 0)
		printf("what was counted is being sent to those who want it; `mailkeep tlsrpt "
		       "show` "
		       "and `mailkeep dmarc show` tell how it goes\n");
	json_decref(answer);
	cli_queue_end(&q);
	return result;
}
