/* Aggregate reports read, by expat.
 *
 * An element means something at one place only: the table below says under which parent. What
 * stands elsewhere, or is not known, is passed over with all that is in it. Prefixes of names are
 * dropped, since reports come with all kinds of namespaces, most of them wrong. A DOCTYPE ends the
 * reading: without one there are no entities to expand (XML 1.0 section 4) and no files to include.
 *
 * Limits: those in the header. Memory besides the arena is expat's, in the order of the input.
 */
#include "report/dmarc_report.h"

#include "report/report_private.h"

#include <expat.h>

enum element {
	E_UNKNOWN,
	E_ROOT, /* of the document; not an element */
	E_FEEDBACK,
	E_METADATA,
	E_ORG_NAME,
	E_EMAIL,
	E_CONTACT,
	E_REPORT_ID,
	E_DATE_RANGE,
	E_BEGIN,
	E_END,
	E_ERROR,
	E_GENERATOR,
	E_POLICY,
	E_DOMAIN,
	E_DISCOVERY,
	E_ADKIM,
	E_ASPF,
	E_P,
	E_SP,
	E_NP,
	E_PCT,
	E_FO,
	E_TESTING,
	E_RECORD,
	E_ROW,
	E_SOURCE_IP,
	E_COUNT,
	E_EVALUATED,
	E_DISPOSITION,
	E_DKIM_ALIGNED,
	E_SPF_ALIGNED,
	E_REASON,
	E_REASON_TYPE,
	E_REASON_COMMENT,
	E_IDENTIFIERS,
	E_ENVELOPE_TO,
	E_ENVELOPE_FROM,
	E_HEADER_FROM,
	E_AUTH,
	E_DKIM,
	E_DKIM_DOMAIN,
	E_DKIM_SELECTOR,
	E_DKIM_RESULT,
	E_DKIM_HUMAN,
	E_SPF,
	E_SPF_DOMAIN,
	E_SPF_SCOPE,
	E_SPF_RESULT,
	E_SPF_HUMAN,
};

static const struct {
	enum element parent;
	const char *name;
	enum element element;
} places[] = {
        {E_ROOT, "feedback", E_FEEDBACK},
        {E_FEEDBACK, "report_metadata", E_METADATA},
        {E_METADATA, "org_name", E_ORG_NAME},
        {E_METADATA, "email", E_EMAIL},
        {E_METADATA, "extra_contact_info", E_CONTACT},
        {E_METADATA, "report_id", E_REPORT_ID},
        {E_METADATA, "date_range", E_DATE_RANGE},
        {E_DATE_RANGE, "begin", E_BEGIN},
        {E_DATE_RANGE, "end", E_END},
        {E_METADATA, "error", E_ERROR},
        {E_METADATA, "generator", E_GENERATOR},
        {E_FEEDBACK, "policy_published", E_POLICY},
        {E_POLICY, "domain", E_DOMAIN},
        {E_POLICY, "discovery_method", E_DISCOVERY},
        {E_POLICY, "adkim", E_ADKIM},
        {E_POLICY, "aspf", E_ASPF},
        {E_POLICY, "p", E_P},
        {E_POLICY, "sp", E_SP},
        {E_POLICY, "np", E_NP},
        {E_POLICY, "pct", E_PCT},
        {E_POLICY, "fo", E_FO},
        {E_POLICY, "testing", E_TESTING},
        {E_FEEDBACK, "record", E_RECORD},
        {E_RECORD, "row", E_ROW},
        {E_ROW, "source_ip", E_SOURCE_IP},
        {E_ROW, "count", E_COUNT},
        {E_ROW, "policy_evaluated", E_EVALUATED},
        {E_EVALUATED, "disposition", E_DISPOSITION},
        {E_EVALUATED, "dkim", E_DKIM_ALIGNED},
        {E_EVALUATED, "spf", E_SPF_ALIGNED},
        {E_EVALUATED, "reason", E_REASON},
        {E_REASON, "type", E_REASON_TYPE},
        {E_REASON, "comment", E_REASON_COMMENT},
        {E_RECORD, "identifiers", E_IDENTIFIERS},
        {E_IDENTIFIERS, "envelope_to", E_ENVELOPE_TO},
        {E_IDENTIFIERS, "envelope_from", E_ENVELOPE_FROM},
        {E_IDENTIFIERS, "header_from", E_HEADER_FROM},
        {E_RECORD, "auth_results", E_AUTH},
        {E_AUTH, "dkim", E_DKIM},
        {E_DKIM, "domain", E_DKIM_DOMAIN},
        {E_DKIM, "selector", E_DKIM_SELECTOR},
        {E_DKIM, "result", E_DKIM_RESULT},
        {E_DKIM, "human_result", E_DKIM_HUMAN},
        {E_AUTH, "spf", E_SPF},
        {E_SPF, "domain", E_SPF_DOMAIN},
        {E_SPF, "scope", E_SPF_SCOPE},
        {E_SPF, "result", E_SPF_RESULT},
        {E_SPF, "human_result", E_SPF_HUMAN},
};

struct parser {
	XML_Parser expat;
	struct arena *arena;
	struct status status;
	struct dmarc_report report;
	struct dmarc_report_row *last_row;

	enum element path[DMARC_REPORT_DEPTH_MAX + 1]; /* path[0]: E_ROOT */
	size_t depth;
	struct buf text; /* of the element under way */
	bool has_begin, has_end;

	/* The row under way. */
	struct dmarc_report_row row;
	bool has_count;
	struct dmarc_report_reason reasons[DMARC_REPORT_REASONS_MAX];
	struct dmarc_report_auth dkim[DMARC_REPORT_DKIM_MAX];
	struct dmarc_report_auth spf[DMARC_REPORT_SPF_MAX];
	struct slice errors[DMARC_REPORT_ERRORS_MAX];
};

/* expat may still call for what it has read; those calls do nothing. */
static void stop(struct parser *p, enum err code, const char *why)
{
	if (is_ok(p->status))
		p->status = fail(code, why);
	(void)XML_StopParser(p->expat, XML_FALSE);
}

/* --- texts --- */

static struct slice keep(struct parser *p, struct slice text)
{
	return arena_copy(p->arena, text);
}

static bool read_time(struct slice text, int64_t *ret_s)
{
	uint64_t value;
	if (!slice_to_u64(text, INT64_MAX, &value))
		return false;
	*ret_s = (int64_t)value;
	return true;
}

/* Names that were common before RFC 7489 are understood, as it says itself. */
static enum mailauth_result read_result(struct slice text)
{
	static const struct {
		const char *name;
		enum mailauth_result result;
	} old[] = {{"unknown", MAILAUTH_TEMPERROR},
	           {"error", MAILAUTH_PERMERROR},
	           {"hardfail", MAILAUTH_FAIL}};
	enum mailauth_result result = MAILAUTH_NONE;
	if (mailauth_result_parse(text, &result))
		return result;
	for (size_t i = 0; i < N_ELEMENTS(old); i++)
		if (slice_ieq_str(text, old[i].name))
			return old[i].result;
	return MAILAUTH_NONE;
}

static enum dmarc_disposition read_disposition(struct slice text)
{
	for (unsigned i = DMARC_DISPOSITION_NONE; i <= DMARC_DISPOSITION_REJECT; i++)
		if (slice_ieq_str(text, dmarc_disposition_name((enum dmarc_disposition)i)))
			return (enum dmarc_disposition)i;
	return DMARC_DISPOSITION_NONE;
}

static enum dmarc_override read_override(struct slice text)
{
	for (unsigned i = DMARC_OVERRIDE_OTHER; i <= DMARC_OVERRIDE_POLICY_TEST_MODE; i++)
		if (slice_ieq_str(text, dmarc_override_name((enum dmarc_override)i)))
			return (enum dmarc_override)i;
	return DMARC_OVERRIDE_OTHER;
}

/* --- what an element's text says --- */

static void end_metadata(struct parser *p, enum element element, struct slice text)
{
	struct dmarc_report *report = &p->report;
	if (element == E_ORG_NAME)
		report->org_name = keep(p, text);
	else if (element == E_EMAIL)
		report->email = keep(p, text);
	else if (element == E_CONTACT)
		report->extra_contact_info = keep(p, text);
	else if (element == E_REPORT_ID)
		report->report_id = keep(p, text);
	else if (element == E_GENERATOR)
		report->generator = keep(p, text);
	else if (element == E_BEGIN)
		p->has_begin = read_time(text, &report->begin_s);
	else if (element == E_END)
		p->has_end = read_time(text, &report->end_s);
	else if (element == E_ERROR && report->n_errors < DMARC_REPORT_ERRORS_MAX)
		p->errors[report->n_errors++] = keep(p, text);
}

static void end_policy(struct parser *p, enum element element, struct slice text)
{
	struct dmarc_report *report = &p->report;
	if (element == E_DOMAIN) {
		report->domain = keep(p, text);
	} else if (element == E_DISCOVERY) {
		report->discovery = keep(p, text);
	} else if (element == E_ADKIM) {
		report->adkim = slice_ieq_str(text, "s") ? DMARC_STRICT : DMARC_RELAXED;
	} else if (element == E_ASPF) {
		report->aspf = slice_ieq_str(text, "s") ? DMARC_STRICT : DMARC_RELAXED;
	} else if (element == E_P) {
		(void)dmarc_policy_parse(text, &report->p);
	} else if (element == E_SP) {
		report->has_sp = dmarc_policy_parse(text, &report->sp);
	} else if (element == E_NP) {
		report->has_np = dmarc_policy_parse(text, &report->np);
	} else if (element == E_PCT) {
		report->has_pct = slice_to_u32(text, 100, &report->pct);
	} else if (element == E_FO) {
		report->has_fo = text.n > 0;
		report->fo = keep(p, text);
	} else if (element == E_TESTING) {
		report->has_testing = true;
		report->testing = slice_ieq_str(text, "y");
	}
}

static void end_reason(struct parser *p, enum element element, struct slice text)
{
	if (p->row.n_reasons == 0)
		return;
	struct dmarc_report_reason *reason = &p->reasons[p->row.n_reasons - 1];
	if (element == E_REASON_TYPE)
		reason->type = read_override(text);
	else
		reason->comment = keep(p, text);
}

static void end_row(struct parser *p, enum element element, struct slice text)
{
	struct dmarc_report_row *row = &p->row;
	if (element == E_SOURCE_IP)
		row->source_ip = keep(p, text);
	else if (element == E_COUNT)
		p->has_count = slice_to_u64(text, REPORT_COUNT_MAX, &row->count);
	else if (element == E_DISPOSITION)
		row->disposition = read_disposition(text);
	else if (element == E_DKIM_ALIGNED)
		row->dkim_aligned = slice_ieq_str(text, "pass");
	else if (element == E_SPF_ALIGNED)
		row->spf_aligned = slice_ieq_str(text, "pass");
	else if (element == E_REASON_TYPE || element == E_REASON_COMMENT)
		end_reason(p, element, text);
}

static void end_identifier(struct parser *p, enum element element, struct slice text)
{
	struct dmarc_report_row *row = &p->row;
	if (element == E_HEADER_FROM) {
		row->header_from = keep(p, text);
	} else if (element == E_ENVELOPE_FROM) {
		row->has_envelope_from = true;
		row->envelope_from = keep(p, text);
	} else if (element == E_ENVELOPE_TO) {
		row->has_envelope_to = true;
		row->envelope_to = keep(p, text);
	}
}

static void end_auth(struct parser *p, enum element element, struct slice text)
{
	bool is_spf = element >= E_SPF;
	size_t n = is_spf ? p->row.n_spf : p->row.n_dkim;
	if (n == 0)
		return;
	struct dmarc_report_auth *auth = is_spf ? &p->spf[n - 1] : &p->dkim[n - 1];
	if (element == E_DKIM_DOMAIN || element == E_SPF_DOMAIN)
		auth->domain = keep(p, text);
	else if (element == E_DKIM_SELECTOR)
		auth->selector = keep(p, text);
	else if (element == E_SPF_SCOPE)
		auth->helo = slice_ieq_str(text, "helo");
	else if (element == E_DKIM_RESULT || element == E_SPF_RESULT)
		auth->result = read_result(text);
	else if (element == E_DKIM_HUMAN || element == E_SPF_HUMAN)
		auth->human_result = keep(p, text);
}

/* --- rows --- */

static void begin_row(struct parser *p)
{
	p->row = (struct dmarc_report_row){.source_ip = SLICE(""),
	                                   .header_from = SLICE(""),
	                                   .envelope_from = SLICE(""),
	                                   .envelope_to = SLICE("")};
	p->has_count = false;
}

static const void *keep_array(struct parser *p, const void *v, size_t n, size_t size)
{
	void *copy = arena_array(p->arena, n, size);
	if (copy && n > 0)
		memcpy(copy, v, n * size);
	return copy;
}

static void finish_row(struct parser *p)
{
	struct dmarc_report_row *row = &p->row;
	if (!p->has_count || !report_is_ip(row->source_ip)) {
		p->report.n_bad_rows++;
		return;
	}
	if (p->report.n_rows == DMARC_REPORT_ROWS_MAX) {
		stop(p, ERR_LIMIT, "the report has too many rows");
		return;
	}
	row->reasons = keep_array(p, p->reasons, row->n_reasons, sizeof(*p->reasons));
	row->dkim = keep_array(p, p->dkim, row->n_dkim, sizeof(*p->dkim));
	row->spf = keep_array(p, p->spf, row->n_spf, sizeof(*p->spf));
	struct dmarc_report_row *kept = ARENA_NEW(p->arena, struct dmarc_report_row);
	if (!kept)
		return;
	*kept = *row;
	if (p->last_row)
		p->last_row->next = kept;
	else
		p->report.rows = kept;
	p->last_row = kept;
	p->report.n_rows++;
}

/* Beyond its limit the last one is overwritten: later ones count as little as any. */
static void begin_auth(struct dmarc_report_auth *v, size_t max, size_t *n)
{
	*n = MIN(*n + 1, max);
	v[*n - 1] = (struct dmarc_report_auth){
	        .domain = SLICE(""), .selector = SLICE(""), .human_result = SLICE("")};
}

static void begin_reason(struct parser *p)
{
	p->row.n_reasons = MIN(p->row.n_reasons + 1, DMARC_REPORT_REASONS_MAX);
	p->reasons[p->row.n_reasons - 1] = (struct dmarc_report_reason){.comment = SLICE("")};
}

/* --- expat's calls --- */

static enum element find_element(enum element parent, struct slice name)
{
	size_t colon = slice_rindex(name, ':');
	if (colon != SIZE_MAX)
		name = slice_from(name, colon + 1);
	for (size_t i = 0; i < N_ELEMENTS(places); i++)
		if (places[i].parent == parent && slice_eq_str(name, places[i].name))
			return places[i].element;
	return E_UNKNOWN;
}

static void begin_feedback(struct parser *p, const XML_Char **attributes)
{
	for (size_t i = 0; attributes[i] && attributes[i + 1]; i += 2)
		if (slice_starts(slice_str(attributes[i]), SLICE("xmlns")) &&
		    slice_eq_str(slice_str(attributes[i + 1]), DMARC_REPORT_NAMESPACE))
			p->report.form = DMARC_REPORT_RFC9990;
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
	struct parser *p = context;
	if (!is_ok(p->status))
		return;
	enum element element = find_element(p->path[p->depth], slice_str(name));
	if (p->depth == DMARC_REPORT_DEPTH_MAX) {
		stop(p, ERR_LIMIT, "the report is nested too deep");
		return;
	}
	if (p->depth == 0 && element != E_FEEDBACK) {
		stop(p, ERR_SYNTAX, "not an aggregate report");
		return;
	}
	p->path[++p->depth] = element;
	buf_reset(&p->text);
	if (element == E_FEEDBACK)
		begin_feedback(p, attributes);
	else if (element == E_RECORD)
		begin_row(p);
	else if (element == E_REASON)
		begin_reason(p);
	else if (element == E_DKIM)
		begin_auth(p->dkim, DMARC_REPORT_DKIM_MAX, &p->row.n_dkim);
	else if (element == E_SPF)
		begin_auth(p->spf, DMARC_REPORT_SPF_MAX, &p->row.n_spf);
}

static void on_end(void *context, const XML_Char *name)
{
	struct parser *p = context;
	(void)name;
	if (!is_ok(p->status))
		return;
	enum element element = p->path[p->depth--];
	struct slice text = report_clean(p->text.p, p->text.n, DMARC_REPORT_TEXT_MAX);
	if (element == E_RECORD)
		finish_row(p);
	else if (element > E_METADATA && element < E_POLICY)
		end_metadata(p, element, text);
	else if (element > E_POLICY && element < E_RECORD)
		end_policy(p, element, text);
	else if (element > E_ROW && element < E_IDENTIFIERS)
		end_row(p, element, text);
	else if (element > E_IDENTIFIERS && element < E_AUTH)
		end_identifier(p, element, text);
	else if (element > E_AUTH)
		end_auth(p, element, text);
	buf_reset(&p->text);
	if (arena_failed(p->arena))
		stop(p, ERR_LIMIT, "no room for a report");
}

/* The buffer's ceiling cuts what is too long; a little more is kept for blanks at the start. */
static void on_text(void *context, const XML_Char *text, int n)
{
	struct parser *p = context;
	size_t left = p->text.max - p->text.n;
	if (p->path[p->depth] != E_UNKNOWN)
		buf_add(&p->text, slice_of(text, MIN((size_t)n, left)));
}

static void on_doctype(void *context, const XML_Char *name, const XML_Char *system_id,
                       const XML_Char *public_id, int has_internal_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal_subset;
	stop(context, ERR_UNSUPPORTED, "the report has a DOCTYPE");
}

/* --- the document --- */

static struct status finish(struct parser *p)
{
	struct dmarc_report *report = &p->report;
	TRY(p->status);
	if (report->org_name.n == 0 || report->report_id.n == 0 || report->domain.n == 0)
		return fail(ERR_SYNTAX, "the report has no name, id or domain");
	if (!p->has_begin || !p->has_end || report->end_s < report->begin_s)
		return fail(ERR_SYNTAX, "the report has no period");
	report->errors = keep_array(p, p->errors, report->n_errors, sizeof(*p->errors));
	return arena_failed(p->arena) ? fail(ERR_LIMIT, "no room for a report") : ok();
}

static struct status run(struct parser *p, struct slice xml)
{
	XML_SetUserData(p->expat, p);
	XML_SetElementHandler(p->expat, on_start, on_end);
	XML_SetCharacterDataHandler(p->expat, on_text);
	XML_SetStartDoctypeDeclHandler(p->expat, on_doctype);
	enum XML_Status status = XML_Parse(p->expat, (const char *)xml.p, (int)xml.n, XML_TRUE);
	if (status != XML_STATUS_OK && is_ok(p->status))
		p->status = fail(ERR_SYNTAX, "not well-formed XML");
	return finish(p);
}

struct status dmarc_report_parse(struct slice xml, struct arena *arena,
                                 struct dmarc_report *ret_report)
{
	if (xml.n > DMARC_REPORT_SIZE_MAX)
		return fail(ERR_LIMIT, "the report is too large");
	struct parser *p = base_alloc(sizeof(*p));
	p->arena = arena;
	p->status = ok();
	p->path[0] = E_ROOT;
	p->report = (struct dmarc_report){.org_name = SLICE(""),
	                                  .email = SLICE(""),
	                                  .extra_contact_info = SLICE(""),
	                                  .generator = SLICE(""),
	                                  .report_id = SLICE(""),
	                                  .domain = SLICE(""),
	                                  .discovery = SLICE(""),
	                                  .fo = SLICE("")};
	buf_init(&p->text, 2 * DMARC_REPORT_TEXT_MAX);
	p->expat = XML_ParserCreate(NULL);
	struct status status = p->expat ? run(p, xml) : fail(ERR_LIMIT, "no room to read a report");
	if (is_ok(status))
		*ret_report = p->report;
	if (p->expat)
		XML_ParserFree(p->expat);
	buf_done(&p->text);
	base_free(p);
	return status;
}
