/* `mailkeep dmarc received` and `mailkeep tlsrpt received`: the reports about our domains that
 * others sent. What they say is a stranger's: it is shown, escaped, in this process. */
#include "cli/queue.h"

#include "base/encode.h"
#include "ipc/door.h"
#include "steward.pb-c.h"

#define PAGES_MAX   1000u
#define ROWS_MAX    ((size_t)256 * 1024) /* of one report, packed */
#define ROWS_MEMORY ((size_t)4 * 1024 * 1024)
#define NEEDS       "reports are kept by a running server"

struct received {
	struct cli_queue q;
	const char *kind; /* "dmarc", "tls" */
	struct arena arena;
};

static void add(const char *text, struct buf *out)
{
	cli_text_add(slice_str(text), out);
}

/* ---- the list ---- */

/* "2026-11-29". */
static void add_day(int64_t at_s, struct buf *out)
{
	struct buf instant;
	buf_init(&instant, 64);
	cli_instant(at_s * 1000, &instant);
	buf_add(out, slice_sub(buf_slice(&instant), 0, strlen("2026-11-29")));
	buf_done(&instant);
}

static void say_report(const json_t *report, const char *what, struct buf *out)
{
	int64_t bad = cli_json_number(report, "bad"), good = cli_json_number(report, "good");
	buf_printf(out, "%" PRId64 " ", cli_json_number(report, "id"));
	add(cli_json_text(report, "domain"), out);
	buf_add_str(out, ": ");
	buf_printf(out, "%" PRId64 " of %" PRId64 " %s failed, ", bad, good + bad, what);
	add_day(cli_json_number(report, "begin"), out);
	buf_add_str(out, " to ");
	add_day(cli_json_number(report, "end"), out);
	buf_add_str(out, ", by ");
	add(cli_json_text(report, "organization"), out);
	if (!json_is_true(json_object_get(report, "authentic")))
		buf_add_str(out, " (not proven: its mail did not pass DMARC)");
	buf_add_byte(out, '\n');
}

static int ask(struct received *r, json_t *request, json_t **ret_answer)
{
	return cli_server_ask(r->q.cli, r->q.config, request, NEEDS, ret_answer);
}

/* What a person types, as it is kept; "" for all. */
static int domain_of(struct received *r, const char **ret_domain)
{
	const struct cli *cli = r->q.cli;
	const struct config_domain *domain;
	*ret_domain = "";
	if (cli->n_args == 0)
		return 0;
	domain = config_domain_find(r->q.config, slice_str(cli->args[0]));
	if (!domain)
		return cli_fail(cli, NULL,
		                "there is no domain `%s`; `mailkeep domain list` shows all",
		                cli->args[0]);
	*ret_domain = domain->ascii;
	return 0;
}

static int list(struct received *r, json_t *all)
{
	const char *domain;
	int64_t below = 0;
	int result = domain_of(r, &domain);
	for (unsigned page = 0; result == 0 && page < PAGES_MAX; page++) {
		json_t *answer = NULL;
		result =
		        ask(r,
		            json_pack("{s:s, s:s, s:s, s:I}", "command", "reports-received", "kind",
		                      r->kind, "domain", domain, "below", (json_int_t)below),
		            &answer);
		const json_t *reports = json_object_get(answer, "reports");
		for (size_t i = 0; i < json_array_size(reports); i++)
			json_array_append(all, json_array_get(reports, i));
		size_t n = json_array_size(reports);
		bool more = n > 0 && json_is_true(json_object_get(answer, "more"));
		below = n > 0 ? cli_json_number(json_array_get(reports, n - 1), "id") : 0;
		json_decref(answer);
		if (!more)
			break;
	}
	return result;
}

static int run_list(struct received *r)
{
	bool is_dmarc = strcmp(r->kind, "dmarc") == 0;
	json_t *all = json_array();
	struct buf text;
	int result = list(r, all);
	buf_init(&text, SIZE_MAX);
	for (size_t i = 0; i < json_array_size(all); i++)
		say_report(json_array_get(all, i), is_dmarc ? "messages" : "sessions", &text);
	if (result == 0 && r->q.cli->json)
		cli_put_json(json_pack("{s:b, s:O}", "ok", 1, "reports", all));
	else if (result == 0 && text.n == 0)
		printf("no reports came in\n");
	else if (result == 0)
		cli_put(&text);
	buf_done(&text);
	json_decref(all);
	return result;
}

/* ---- one ---- */

/* NULL: they cannot be read. */
static const Door__ReceivedRows *read_rows(struct received *r, const json_t *report)
{
	const Door__ReceivedRows *rows = NULL;
	struct buf packed;
	buf_init(&packed, ROWS_MAX);
	if (is_ok(base64_decode(slice_str(cli_json_text(report, "rows")), &packed)))
		rows = (const Door__ReceivedRows *)door_unpack(&door__received_rows__descriptor,
		                                               buf_slice(&packed), &r->arena);
	buf_done(&packed);
	return rows;
}

static json_t *text_json(const char *text)
{
	return cli_text_json(slice_str(text));
}

static json_t *rows_json(const Door__ReceivedRows *rows)
{
	json_t *list_of = json_array();
	for (size_t i = 0; i < rows->n_dmarc; i++) {
		const Door__ReceivedDmarcRow *row = rows->dmarc[i];
		json_array_append_new(list_of,
		                      json_pack("{s:o, s:I, s:o, s:b, s:b, s:o, s:o}", "source_ip",
		                                text_json(row->source_ip), "count",
		                                (json_int_t)row->count, "disposition",
		                                text_json(row->disposition), "dkim", (int)row->dkim,
		                                "spf", (int)row->spf, "header_from",
		                                text_json(row->header_from), "envelope_from",
		                                text_json(row->envelope_from)));
	}
	for (size_t i = 0; i < rows->n_tls; i++) {
		const Door__ReceivedTlsRow *row = rows->tls[i];
		json_array_append_new(list_of, json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "policy",
		                                         text_json(row->policy), "result",
		                                         text_json(row->result), "host",
		                                         text_json(row->host), "address",
		                                         text_json(row->address), "reason",
		                                         text_json(row->reason), "count",
		                                         (json_int_t)row->count));
	}
	return list_of;
}

static void add_named(const char *before, const char *text, struct buf *out)
{
	if (!*text)
		return;
	buf_add_str(out, before);
	add(text, out);
}

static void say_rows(const Door__ReceivedRows *rows, struct buf *out)
{
	for (size_t i = 0; i < rows->n_dmarc; i++) {
		const Door__ReceivedDmarcRow *row = rows->dmarc[i];
		buf_printf(out, "  %" PRIu64 " message%s", row->count, row->count == 1 ? "" : "s");
		add_named(" from ", row->source_ip, out);
		add_named(", author ", row->header_from, out);
		add_named(", sender ", row->envelope_from, out);
		add_named(": ", row->disposition, out);
		buf_printf(out, ", DKIM %s, SPF %s\n", row->dkim ? "aligned" : "not aligned",
		           row->spf ? "aligned" : "not aligned");
	}
	for (size_t i = 0; i < rows->n_tls; i++) {
		const Door__ReceivedTlsRow *row = rows->tls[i];
		buf_printf(out, "  %" PRIu64 " session%s ", row->count, row->count == 1 ? "" : "s");
		buf_add_str(out, *row->result ? "failed: " : "good");
		add(row->result, out);
		add_named(", policy ", row->policy, out);
		add_named(", host ", row->host, out);
		add_named(", address ", row->address, out);
		add_named(", ", row->reason, out);
		buf_add_byte(out, '\n');
	}
	if (rows->n_left_out > 0)
		buf_printf(out, "  and %" PRIu64 " more rows, which are in the mail itself\n",
		           rows->n_left_out);
}

static void say_line(const char *label, const char *text, struct buf *out)
{
	buf_printf(out, "  %-10s ", label);
	add(text, out);
	buf_add_byte(out, '\n');
}

static int put_one(struct received *r, const json_t *report)
{
	const Door__ReceivedRows *rows = read_rows(r, report);
	struct buf text;
	if (!rows)
		return cli_fail(r->q.cli, NULL, "the report's rows cannot be read");
	if (r->q.cli->json) {
		json_t *copy = json_copy((json_t *)(uintptr_t)report);
		json_object_set_new(copy, "rows", rows_json(rows));
		json_object_set_new(copy, "left_out", json_integer((json_int_t)rows->n_left_out));
		cli_put_json(json_pack("{s:b, s:o}", "ok", 1, "report", copy));
		return 0;
	}
	buf_init(&text, SIZE_MAX);
	say_report(report, rows->n_dmarc > 0 ? "messages" : "sessions", &text);
	say_line("id", cli_json_text(report, "report_id"), &text);
	say_line("contact", cli_json_text(report, "contact"), &text);
	say_line("account", cli_json_text(report, "account"), &text);
	say_rows(rows, &text);
	cli_put(&text);
	buf_done(&text);
	return 0;
}

static int run_one(struct received *r, const char *number)
{
	uint64_t id;
	json_t *answer = NULL;
	if (!slice_to_u64(slice_str(number), INT64_MAX, &id)) {
		(void)cli_fail(r->q.cli, NULL, "--id %s: the number of a report is wanted", number);
		return CLI_USAGE;
	}
	int result = ask(r,
	                 json_pack("{s:s, s:s, s:I}", "command", "report-received", "kind", r->kind,
	                           "id", (json_int_t)id),
	                 &answer);
	if (result == 0)
		result = put_one(r, json_object_get(answer, "report"));
	json_decref(answer);
	return result;
}

static int run(struct cli *cli, const char *kind)
{
	struct received r = {.kind = kind};
	const char *id = cli_option(cli, "id");
	arena_init(&r.arena, ROWS_MEMORY);
	int result = cli_queue_begin(&r.q, cli);
	if (result == 0)
		result = id ? run_one(&r, id) : run_list(&r);
	cli_queue_end(&r.q);
	arena_done(&r.arena);
	return result;
}

int cli_dmarc_received(struct cli *cli)
{
	return run(cli, "dmarc");
}

int cli_tlsrpt_received(struct cli *cli)
{
	return run(cli, "tls");
}
