/* What was counted and what became of it, for the administrator (steward_reports.h). Texts are what
 * rooms that strangers talk to have sent: JSON carries them, whoever prints them makes them fit a
 * terminal.
 *
 * Limits: TOPICS_PAGE topics an answer; with a domain ROWS_PAGE rows of each, and fewer topics.
 */
#include "os/clock.h"
#include "os/log.h"
#include "report/dmarc_report.h"
#include "rooms/steward_reports_private.h"
#include "steward.pb-c.h"

#define TOPICS_PAGE  200u
#define DETAILS_PAGE 5u
#define ROWS_PAGE    200u
#define ANSWER_MAX   ((size_t)700 * 1024) /* of the rows of one answer, as JSON text, nearly */
#define SHOW_MEMORY  ((size_t)32 * 1024 * 1024)

struct showing {
	struct steward_reports *s;
	struct arena arena;
	const struct config *config;
	bool details;
	size_t size; /* of the rows so far */
};

static json_t *text_json(struct slice text)
{
	json_t *json = json_stringn((const char *)text.p, text.n);
	return json ? json : json_string("?");
}

static json_t *refusal(struct status status)
{
	return json_pack("{s:b, s:s, s:[s]}", "ok", 0, "code", err_name(status.code), "errors",
	                 status.why);
}

/* ---- what was counted ---- */

static json_t *texts_json(char *const *texts, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *tls_row_json(const struct report_counted *row, struct arena *arena)
{
	const Door__TlsPolicy *p = (const Door__TlsPolicy *)door_unpack(
	        &door__tls_policy__descriptor, row->policy_form, arena);
	const Door__TlsFailure *f = (const Door__TlsFailure *)door_unpack(
	        &door__tls_failure__descriptor, row->form, arena);
	if (!p || !f)
		return NULL;
	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s}", "count",
	                 (json_int_t)row->count, "policy", p->type, "policy_domain", p->domain,
	                 "policy_strings", texts_json(p->strings, p->n_strings), "mx",
	                 texts_json(p->mx, p->n_mx), "result", f->result, "host", f->host,
	                 "address", f->address, "helo", f->helo, "reason", f->reason, "information",
	                 f->information);
}

static json_t *auths_json(Door__DmarcAuth *const *auths, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		        list,
		        json_pack("{s:s, s:s, s:b, s:s}", "domain", auths[i]->domain, "selector",
		                  auths[i]->selector, "helo", (int)auths[i]->helo, "result",
		                  auths[i]->result <= MAILAUTH_PERMERROR
		                          ? mailauth_result_name(
		                                    (enum mailauth_result)auths[i]->result)
		                          : "none"));
	return list;
}

static json_t *reasons_json(const Door__DmarcChecked *c)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->n_reasons; i++)
		json_array_append_new(
		        list, json_pack("{s:s, s:s}", "type",
		                        c->reasons[i]->type <= DMARC_OVERRIDE_POLICY_TEST_MODE
		                                ? dmarc_override_name(
		                                          (enum dmarc_override)c->reasons[i]->type)
		                                : "other",
		                        "comment", c->reasons[i]->comment));
	return list;
}

static json_t *dmarc_row_json(const struct report_counted *row, struct arena *arena)
{
	const Door__DmarcPublished *p = (const Door__DmarcPublished *)door_unpack(
	        &door__dmarc_published__descriptor, row->policy_form, arena);
	const Door__DmarcChecked *c = (const Door__DmarcChecked *)door_unpack(
	        &door__dmarc_checked__descriptor, row->form, arena);
	if (!p || !c || p->p > DMARC_REJECT || c->disposition > DMARC_DISPOSITION_REJECT)
		return NULL;
	return json_pack(
	        "{s:I, s:s, s:s, s:s, s:b, s:b, s:s, s:s, s:o, s:o, s:o}", "count",
	        (json_int_t)row->count, "policy", dmarc_policy_name((enum dmarc_policy)p->p),
	        "source_ip", c->source_ip, "disposition",
	        dmarc_disposition_name((enum dmarc_disposition)c->disposition), "dkim_aligned",
	        (int)c->dkim_aligned, "spf_aligned", (int)c->spf_aligned, "header_from",
	        c->header_from, "envelope_from", c->envelope_from, "reasons", reasons_json(c),
	        "dkim", auths_json(c->dkim, c->n_dkim), "spf", auths_json(c->spf, c->n_spf));
}

static size_t size_of(const json_t *json)
{
	return json_dumpb(json, NULL, 0, JSON_COMPACT);
}

static struct status add_rows(struct showing *w, const struct report_topic *topic, json_t *json)
{
	struct report_counted *rows;
	size_t n;
	bool more;
	json_t *list = json_array();
	json_object_set_new(json, "rows", list);
	TRY(report_topic_read(w->s->db, topic->id, 0, ROWS_PAGE, &w->arena, &rows, &n, &more));
	for (size_t i = 0; i < n; i++) {
		json_t *row = topic->kind == REPORT_DMARC ? dmarc_row_json(&rows[i], &w->arena)
		                                          : tls_row_json(&rows[i], &w->arena);
		size_t size = row ? size_of(row) : 0;
		more = more || (row && w->size + size > ANSWER_MAX);
		if (row && w->size + size <= ANSWER_MAX) {
			json_array_append(list, row);
			w->size += size;
		}
		json_decref(row);
	}
	json_object_set_new(json, "more_rows", json_boolean(more));
	return ok();
}

/* ---- what becomes of it ---- */

static json_t *dispatch_json(const struct report_dispatch *d)
{
	return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:i, s:o}", "state",
	                 report_dispatch_state_name(d->state), "uri", text_json(d->uri),
	                 "report_id", text_json(d->report_id), "begun", (json_int_t)d->begun_s,
	                 "ended", (json_int_t)d->ended_s, "next",
	                 (json_int_t)(d->state == REPORT_DISPATCH_WAITING ? d->next_s : 0), "tries",
	                 (int)d->n_tries, "why", text_json(d->why));
}

/* A period that runs: what would be, by the config. */
static const char *outlook(struct showing *w, const struct report_topic *topic)
{
	const struct config_reports *r = &w->config->reports;
	struct report_author author;
	const char *no_author = steward_report_author(w->config, &w->arena, &author);
	if (!(topic->kind == REPORT_DMARC ? r->dmarc : r->tls))
		return "reports of this kind are turned off in the config";
	if (!topic->wanted)
		return "only report mail so far, which causes no report";
	return no_author ? no_author : "";
}

static struct status add_progress(struct showing *w, const struct report_topic *topic, json_t *json)
{
	struct report_progress *progress = ARENA_NEW(&w->arena, struct report_progress);
	json_t *list = json_array();
	json_object_set_new(json, "dispatches", list);
	if (!progress)
		return fail(ERR_LIMIT, "too much to show at once");
	struct status status = report_outbox_read(w->s->db, topic->id, &w->arena, progress);
	if (status.code == ERR_NOT_FOUND) {
		json_object_set_new(json, "state", json_string("counting"));
		json_object_set_new(json, "why", json_string(outlook(w, topic)));
		json_object_set_new(json, "next", json_integer(topic->end_s));
		return ok();
	}
	TRY(status);
	json_object_set_new(json, "state", json_string(report_state_name(progress->state)));
	json_object_set_new(json, "why", text_json(progress->why));
	json_object_set_new(json, "next",
	                    json_integer(progress->state == REPORT_WAITING ? progress->next_s : 0));
	for (size_t i = 0; i < progress->n_dispatches; i++)
		json_array_append_new(list, dispatch_json(&progress->dispatches[i]));
	return ok();
}

static struct status add_topic(struct showing *w, const struct report_topic *topic, json_t *list)
{
	json_t *json = json_pack(
	        "{s:I, s:o, s:I, s:I, s:b, s:b, s:I, s:I, s:I}", "id", (json_int_t)topic->id,
	        "domain", text_json(topic->domain), "begin", (json_int_t)topic->begin_s, "end",
	        (json_int_t)topic->end_s, "ended", (int)topic->ended, "wanted", (int)topic->wanted,
	        "rows_counted", (json_int_t)topic->n_facts, "dropped", (json_int_t)topic->n_dropped,
	        "dropped_of_all", (json_int_t)topic->n_period_dropped);
	json_array_append_new(list, json);
	TRY(add_progress(w, topic, json));
	return w->details ? add_rows(w, topic, json) : ok();
}

static struct status list_topics(struct showing *w, const struct report_topics_query *query,
                                 json_t *list, bool *ret_more)
{
	struct report_topic *topics;
	size_t n;
	TRY(report_topics_list(w->s->db, query, &w->arena, &topics, &n));
	for (size_t i = 0; i < n; i++)
		TRY(add_topic(w, &topics[i], list));
	*ret_more = n == query->max;
	return ok();
}

static bool read_query(const json_t *request, struct report_topics_query *query)
{
	const char *kind = "", *domain = "";
	json_int_t from = 0, to = 0, after = 0;
	if (json_unpack((json_t *)(uintptr_t)request, "{s:s, s?:s, s?:I, s?:I, s?:I}", "kind",
	                &kind, "domain", &domain, "from", &from, "to", &to, "after", &after) < 0)
		return false;
	if (!slice_eq_str(slice_str(kind), "tls") && !slice_eq_str(slice_str(kind), "dmarc"))
		return false;
	*query = (struct report_topics_query){
	        .kind = slice_eq_str(slice_str(kind), "dmarc") ? REPORT_DMARC : REPORT_TLS,
	        .domain = slice_str(domain),
	        .from_s = from,
	        .to_s = to > 0 ? to : INT64_MAX,
	        .after = after,
	        .max = *domain ? DETAILS_PAGE : TOPICS_PAGE,
	};
	return true;
}

static json_t *show(struct steward_reports *s, const json_t *request)
{
	struct report_topics_query query;
	struct showing w = {.s = s};
	bool more = false;
	if (!read_query(request, &query))
		return NULL;
	struct room_config *config = room_config_get(s->room);
	json_t *list = json_array(), *reply;
	w.config = config->config;
	w.details = query.domain.n > 0;
	arena_init(&w.arena, SHOW_MEMORY);
	struct status status = list_topics(&w, &query, list, &more);
	if (is_ok(status))
		reply = json_pack("{s:b, s:O, s:b}", "ok", 1, "topics", list, "more", (int)more);
	else
		reply = refusal(status);
	json_decref(list);
	arena_done(&w.arena);
	room_config_unref(config);
	return reply;
}

/* Of all, or of the periods that overlap these instants; the one that runs ends when it is among
 * them. */
static json_t *send_now(struct steward_reports *s, const json_t *request)
{
	json_int_t from = 0, to = 0;
	int64_t now_s = clock_now_s(clock_real());
	(void)json_unpack((json_t *)(uintptr_t)request, "{s?:I, s?:I}", "from", &from, "to", &to);
	if (to == 0)
		to = INT64_MAX;
	struct status status = from <= now_s && now_s < to
	                               ? report_facts_end_now(s->db, now_s)
	                               : fail(ERR_NOT_FOUND, "not the period that runs");
	if (is_ok(status) || status.code == ERR_NOT_FOUND)
		status = report_outbox_hurry(s->db, from, to, now_s);
	if (!is_ok(status))
		return refusal(status);
	log_info(0, "reports are sent early");
	steward_reports_call(s);
	return json_pack("{s:b}", "ok", 1);
}

json_t *steward_reports_command(struct steward_reports *s, const char *command,
                                const json_t *request)
{
	struct slice name = slice_str(command);
	if (!s)
		return NULL;
	if (slice_eq_str(name, "reports-show"))
		return show(s, request);
	if (slice_eq_str(name, "reports-send"))
		return send_now(s, request);
	return NULL;
}
