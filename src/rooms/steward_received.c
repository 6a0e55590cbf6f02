/* See steward_received.h. */
#include "rooms/steward_received.h"

#include "base/encode.h"
#include "rooms/report_received.h"

#define PAGE_MAX    50u
#define LIST_MEMORY ((size_t)1024 * 1024)

static json_t *refusal(struct status status)
{
	return json_pack("{s:b, s:s, s:[s]}", "ok", 0, "code", err_name(status.code), "errors",
	                 status.why);
}

static json_t *text_json(struct slice text)
{
	return json_stringn((const char *)text.p, text.n);
}

static json_t *report_json(const struct report_received *r)
{
	json_t *json =
	        json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:b}", "id",
	                  (json_int_t)r->id, "domain", text_json(r->domain), "organization",
	                  text_json(r->organization), "contact", text_json(r->contact), "report_id",
	                  text_json(r->report_id), "account", text_json(r->account), "begin",
	                  (json_int_t)r->begin_s, "end", (json_int_t)r->end_s, "received",
	                  (json_int_t)r->received_s, "good", (json_int_t)r->n_good, "bad",
	                  (json_int_t)r->n_bad, "authentic", (int)r->authentic);
	return json ? json : json_null();
}

static json_t *list(struct report_db *db, enum report_kind kind, const char *domain, int64_t below)
{
	struct report_received *reports = NULL;
	size_t n = 0;
	struct arena arena;
	arena_init(&arena, LIST_MEMORY);
	struct status status =
	        report_received_list(db, kind, slice_str(domain), below > 0 ? below : INT64_MAX,
	                             PAGE_MAX, &arena, &reports, &n);
	json_t *array = json_array();
	for (size_t i = 0; is_ok(status) && i < n; i++)
		json_array_append_new(array, report_json(&reports[i]));
	json_t *answer = is_ok(status) ? json_pack("{s:b, s:O, s:b}", "ok", 1, "reports", array,
	                                           "more", (int)(n == PAGE_MAX))
	                               : refusal(status);
	json_decref(array);
	arena_done(&arena);
	return answer;
}

static json_t *show(struct report_db *db, enum report_kind kind, int64_t id)
{
	struct report_received report;
	struct buf rows;
	struct arena arena;
	arena_init(&arena, LIST_MEMORY);
	buf_init(&rows, 2 * REPORT_RECEIVED_FORM_MAX);
	struct status status = report_received_find(db, kind, id, &arena, &report);
	json_t *answer;
	if (is_ok(status)) {
		base64_encode(report.form, &rows);
		json_t *json = report_json(&report);
		json_object_set_new(json, "rows", json_string(buf_cstr(&rows)));
		answer = json_pack("{s:b, s:o}", "ok", 1, "report", json);
	} else {
		answer = refusal(status);
	}
	buf_done(&rows);
	arena_done(&arena);
	return answer;
}

json_t *steward_received(struct report_db *db, const char *command, const json_t *request)
{
	const char *domain = "", *kind = "";
	json_int_t below = 0, id = 0;
	struct slice name = slice_str(command);
	(void)json_unpack((json_t *)(uintptr_t)request, "{s?:s, s?:s, s?:I, s?:I}", "domain",
	                  &domain, "kind", &kind, "below", &below, "id", &id);
	enum report_kind of = slice_eq_str(slice_str(kind), "dmarc") ? REPORT_DMARC : REPORT_TLS;
	if (slice_eq_str(name, "reports-received"))
		return list(db, of, domain, below);
	if (slice_eq_str(name, "report-received"))
		return show(db, of, id);
	return NULL;
}
