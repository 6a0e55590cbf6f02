/* Aggregate reports written (RFC 7489 appendix C, RFC 9990 section 3.1.1 and appendix A). Elements
 * stand in the order of both schemas. */
#include "report/dmarc_report.h"

#include "report/report_private.h"
#include "text/utf8.h"

#define X(id, name) [DMARC_DISPOSITION_##id] = name,
static const char *const dispositions[] = {DMARC_DISPOSITION_LIST(X)};
#undef X
#define X(id, name) [DMARC_OVERRIDE_##id] = name,
static const char *const overrides[] = {DMARC_OVERRIDE_LIST(X)};
#undef X

const char *dmarc_disposition_name(enum dmarc_disposition disposition)
{
	return (size_t)disposition < N_ELEMENTS(dispositions) ? dispositions[disposition] : "";
}

const char *dmarc_override_name(enum dmarc_override override)
{
	return (size_t) override < N_ELEMENTS(overrides) ? overrides[override] : "";
}

struct printer {
	struct buf *out;
	enum dmarc_report_form form;
	unsigned depth;
};

/* --- XML --- */

static void indent(struct printer *p)
{
	for (unsigned i = 0; i < p->depth; i++)
		buf_add_str(p->out, "  ");
}

static void begin(struct printer *p, const char *name)
{
	indent(p);
	buf_printf(p->out, "<%s>\n", name);
	p->depth++;
}

static void end(struct printer *p, const char *name)
{
	p->depth--;
	indent(p);
	buf_printf(p->out, "</%s>\n", name);
}

/* Char of XML 1.0 (section 2.2): no control characters, no U+FFFE and U+FFFF. */
static bool is_xml(uint32_t c)
{
	return (c >= 0x20 && c != 0x7f && c != 0xfffe && c != 0xffff) || c == '\t' || c == '\n';
}

static void add_character(struct buf *out, uint32_t c)
{
	if (c == '<')
		buf_add_str(out, "&lt;");
	else if (c == '>')
		buf_add_str(out, "&gt;");
	else if (c == '&')
		buf_add_str(out, "&amp;");
	else
		utf8_add(out, is_xml(c) ? c : '?');
}

static void add_text(struct buf *out, struct slice text)
{
	while (text.n > 0) {
		uint32_t c;
		size_t n;
		bool good = utf8_decode(text, &c, &n) == UTF8_OK;
		add_character(out, good ? c : '?');
		text = slice_from(text, n);
	}
}

static void element(struct printer *p, const char *name, struct slice text)
{
	indent(p);
	buf_printf(p->out, "<%s>", name);
	add_text(p->out, text);
	buf_printf(p->out, "</%s>\n", name);
}

static void word(struct printer *p, const char *name, const char *text)
{
	element(p, name, slice_str(text));
}

static void optional(struct printer *p, const char *name, struct slice text)
{
	if (text.n > 0)
		element(p, name, text);
}

static void number(struct printer *p, const char *name, uint64_t value)
{
	uint8_t room[SLICE_U64_DIGITS];
	element(p, name, slice_print_u64(value, room));
}

/* --- parts of the report --- */

static void print_metadata(struct printer *p, const struct dmarc_report *report)
{
	begin(p, "report_metadata");
	element(p, "org_name", report->org_name);
	element(p, "email", report->email);
	optional(p, "extra_contact_info", report->extra_contact_info);
	element(p, "report_id", report->report_id);
	begin(p, "date_range");
	number(p, "begin", (uint64_t)report->begin_s);
	number(p, "end", (uint64_t)report->end_s);
	end(p, "date_range");
	for (size_t i = 0; i < report->n_errors; i++)
		element(p, "error", report->errors[i]);
	if (p->form == DMARC_REPORT_RFC9990)
		optional(p, "generator", report->generator);
	end(p, "report_metadata");
}

static void print_policy(struct printer *p, const struct dmarc_report *report)
{
	bool old = p->form == DMARC_REPORT_RFC7489;
	begin(p, "policy_published");
	element(p, "domain", report->domain);
	if (!old)
		optional(p, "discovery_method", report->discovery);
	if (old) {
		word(p, "adkim", report->adkim == DMARC_STRICT ? "s" : "r");
		word(p, "aspf", report->aspf == DMARC_STRICT ? "s" : "r");
	}
	word(p, "p", dmarc_policy_name(report->p));
	/* RFC 7489 wants sp, pct and fo in any case. */
	if (report->has_sp || old)
		word(p, "sp", dmarc_policy_name(report->has_sp ? report->sp : report->p));
	if (old) {
		number(p, "pct", report->has_pct ? report->pct : DMARC_PCT_DEFAULT);
		element(p, "fo", report->has_fo ? report->fo : SLICE("0"));
	} else {
		if (report->has_np)
			word(p, "np", dmarc_policy_name(report->np));
		if (report->has_fo)
			element(p, "fo", report->fo);
		word(p, "adkim", report->adkim == DMARC_STRICT ? "s" : "r");
		word(p, "aspf", report->aspf == DMARC_STRICT ? "s" : "r");
		if (report->has_testing)
			word(p, "testing", report->testing ? "y" : "n");
	}
	end(p, "policy_published");
}

/* A type that the form does not know is other, with its name in the comment. */
static void print_reason(struct printer *p, const struct dmarc_report_reason *reason)
{
	bool old = p->form == DMARC_REPORT_RFC7489;
	bool known = old ? reason->type != DMARC_OVERRIDE_POLICY_TEST_MODE
	                 : reason->type != DMARC_OVERRIDE_FORWARDED &&
	                             reason->type != DMARC_OVERRIDE_SAMPLED_OUT;
	begin(p, "reason");
	word(p, "type", known ? dmarc_override_name(reason->type) : "other");
	if (reason->comment.n > 0)
		element(p, "comment", reason->comment);
	else if (!known)
		word(p, "comment", dmarc_override_name(reason->type));
	end(p, "reason");
}

static void print_row(struct printer *p, const struct dmarc_report_row *row)
{
	bool none = p->form == DMARC_REPORT_RFC7489 && row->disposition == DMARC_DISPOSITION_PASS;
	begin(p, "row");
	element(p, "source_ip", row->source_ip);
	number(p, "count", row->count);
	begin(p, "policy_evaluated");
	word(p, "disposition", none ? "none" : dmarc_disposition_name(row->disposition));
	word(p, "dkim", row->dkim_aligned ? "pass" : "fail");
	word(p, "spf", row->spf_aligned ? "pass" : "fail");
	for (size_t i = 0; i < row->n_reasons; i++)
		print_reason(p, &row->reasons[i]);
	end(p, "policy_evaluated");
	end(p, "row");
}

static void print_identifiers(struct printer *p, const struct dmarc_report_row *row)
{
	begin(p, "identifiers");
	if (row->has_envelope_to)
		element(p, "envelope_to", row->envelope_to);
	if (row->has_envelope_from || p->form == DMARC_REPORT_RFC7489)
		element(p, "envelope_from", row->envelope_from);
	element(p, "header_from", row->header_from);
	end(p, "identifiers");
}

static void print_dkim(struct printer *p, const struct dmarc_report_auth *auth)
{
	begin(p, "dkim");
	element(p, "domain", auth->domain);
	if (auth->selector.n > 0 || p->form == DMARC_REPORT_RFC9990)
		element(p, "selector", auth->selector);
	word(p, "result", mailauth_result_name(auth->result));
	optional(p, "human_result", auth->human_result);
	end(p, "dkim");
}

/* RFC 9990 knows the MAIL FROM identity only, and human_result. */
static void print_spf(struct printer *p, const struct dmarc_report_auth *auth)
{
	begin(p, "spf");
	element(p, "domain", auth->domain);
	word(p, "scope", auth->helo && p->form == DMARC_REPORT_RFC7489 ? "helo" : "mfrom");
	word(p, "result", mailauth_result_name(auth->result));
	if (p->form == DMARC_REPORT_RFC9990)
		optional(p, "human_result", auth->human_result);
	end(p, "spf");
}

static void print_auth(struct printer *p, const struct dmarc_report_row *row)
{
	size_t n_spf = p->form == DMARC_REPORT_RFC9990 ? MIN(row->n_spf, 1) : row->n_spf;
	begin(p, "auth_results");
	for (size_t i = 0; i < row->n_dkim; i++)
		print_dkim(p, &row->dkim[i]);
	for (size_t i = 0; i < n_spf; i++)
		print_spf(p, &row->spf[i]);
	end(p, "auth_results");
}

static struct status check(const struct dmarc_report *report)
{
	if (report->n_rows == 0 || !report->rows || report->org_name.n == 0 ||
	    report->report_id.n == 0 || report->domain.n == 0)
		return fail(ERR_INVALID, "a report without row, name, id or domain");
	if (report->begin_s < 0 || report->end_s < report->begin_s)
		return fail(ERR_INVALID, "a report without period");
	for (const struct dmarc_report_row *row = report->rows; row; row = row->next)
		if (!report_is_ip(row->source_ip))
			return fail(ERR_INVALID, "a row without address");
	return ok();
}

struct status dmarc_report_print(const struct dmarc_report *report, enum dmarc_report_form form,
                                 struct buf *out)
{
	struct printer p = {.out = out, .form = form, .depth = 1};
	TRY(check(report));
	buf_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	buf_add_str(out, form == DMARC_REPORT_RFC9990 ? "<feedback xmlns=\"" DMARC_REPORT_NAMESPACE
	                                                "\">\n"
	                                              : "<feedback>\n");
	word(&p, "version", "1.0");
	print_metadata(&p, report);
	print_policy(&p, report);
	for (const struct dmarc_report_row *row = report->rows; row; row = row->next) {
		begin(&p, "record");
		print_row(&p, row);
		print_identifiers(&p, row);
		print_auth(&p, row);
		end(&p, "record");
	}
	buf_add_str(out, "</feedback>\n");
	return buf_failed(out) ? fail(ERR_LIMIT, "the report is too large") : ok();
}
