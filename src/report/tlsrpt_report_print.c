/* Reports of TLS written (RFC 8460 section 4.4), members in the order of its schema. */
#include "report/tlsrpt_report.h"

#include "base/rfc3339.h"
#include "report/report_private.h"
#include "text/utf8.h"

struct printer {
	struct buf *out;
	unsigned depth;
	bool first; /* of the object or array under way */
};

/* --- JSON --- */

static bool is_noncharacter(uint32_t c)
{
	return (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

static void add_character(struct buf *out, uint32_t c)
{
	if (c == '"' || c == '\\')
		buf_printf(out, "\\%c", (char)c);
	else if (c < 0x20 || c == 0x7f)
		buf_printf(out, "\\u%04x", c);
	else
		utf8_add(out, is_noncharacter(c) ? UTF8_REPLACEMENT : c);
}

static void add_string(struct buf *out, struct slice text)
{
	buf_add_byte(out, '"');
	while (text.n > 0) {
		uint32_t c;
		size_t n;
		bool good = utf8_decode(text, &c, &n) == UTF8_OK;
		add_character(out, good ? c : UTF8_REPLACEMENT);
		text = slice_from(text, n);
	}
	buf_add_byte(out, '"');
}

static void new_line(struct printer *p)
{
	buf_add_byte(p->out, '\n');
	for (unsigned i = 0; i < p->depth; i++)
		buf_add_str(p->out, "  ");
}

/* Up to where the value follows. name is NULL in arrays. */
static void begin_value(struct printer *p, const char *name)
{
	if (!p->first)
		buf_add_byte(p->out, ',');
	if (p->depth > 0)
		new_line(p);
	if (name)
		buf_printf(p->out, "\"%s\": ", name);
	p->first = false;
}

static void begin(struct printer *p, const char *name, char bracket)
{
	begin_value(p, name);
	buf_add_byte(p->out, (uint8_t)bracket);
	p->depth++;
	p->first = true;
}

static void end(struct printer *p, char bracket)
{
	p->depth--;
	if (!p->first)
		new_line(p);
	buf_add_byte(p->out, (uint8_t)bracket);
	p->first = false;
}

static void text(struct printer *p, const char *name, struct slice value)
{
	begin_value(p, name);
	add_string(p->out, value);
}

static void optional(struct printer *p, const char *name, struct slice value)
{
	if (value.n > 0)
		text(p, name, value);
}

static void number(struct printer *p, const char *name, uint64_t value)
{
	begin_value(p, name);
	buf_add_u64(p->out, value);
}

static void date_time(struct printer *p, const char *name, int64_t unix_s)
{
	char value[RFC3339_SIZE];
	rfc3339_format(unix_s, value);
	text(p, name, slice_str(value));
}

static void texts(struct printer *p, const char *name, const struct slice *v, size_t n)
{
	begin(p, name, '[');
	for (size_t i = 0; i < n; i++)
		text(p, NULL, v[i]);
	end(p, ']');
}

/* --- parts of the report --- */

static void print_failure(struct printer *p, const struct tlsrpt_failure *failure)
{
	begin(p, NULL, '{');
	text(p, "result-type", failure->result);
	optional(p, "sending-mta-ip", failure->sending_ip);
	optional(p, "receiving-mx-hostname", failure->mx_hostname);
	optional(p, "receiving-mx-helo", failure->mx_helo);
	optional(p, "receiving-ip", failure->receiving_ip);
	number(p, "failed-session-count", failure->count);
	optional(p, "additional-information", failure->information);
	optional(p, "failure-reason-code", failure->reason);
	end(p, '}');
}

static void print_policy(struct printer *p, const struct tlsrpt_policy *policy)
{
	begin(p, NULL, '{');
	begin(p, "policy", '{');
	text(p, "policy-type", policy->type);
	if (policy->n_strings > 0)
		texts(p, "policy-string", policy->strings, policy->n_strings);
	text(p, "policy-domain", policy->domain);
	if (policy->n_mx_hosts > 0)
		texts(p, "mx-host", policy->mx_hosts, policy->n_mx_hosts);
	end(p, '}');
	begin(p, "summary", '{');
	number(p, "total-successful-session-count", policy->n_successful);
	number(p, "total-failure-session-count", policy->n_failed);
	end(p, '}');
	if (policy->n_failures > 0) {
		begin(p, "failure-details", '[');
		for (size_t i = 0; i < policy->n_failures; i++)
			print_failure(p, &policy->failures[i]);
		end(p, ']');
	}
	end(p, '}');
}

/* --- what cannot be told --- */

static struct status check_failure(const struct tlsrpt_failure *failure)
{
	if (failure->result.n == 0 || failure->count > REPORT_COUNT_MAX)
		return fail(ERR_INVALID, "a failure without result or number");
	if ((failure->sending_ip.n > 0 && !report_is_ip(failure->sending_ip)) ||
	    (failure->receiving_ip.n > 0 && !report_is_ip(failure->receiving_ip)))
		return fail(ERR_INVALID, "a failure without address");
	return ok();
}

static struct status check_policy(const struct tlsrpt_policy *policy)
{
	if (policy->type.n == 0 || policy->domain.n == 0)
		return fail(ERR_INVALID, "a policy without type or domain");
	if (policy->n_successful > REPORT_COUNT_MAX || policy->n_failed > REPORT_COUNT_MAX)
		return fail(ERR_INVALID, "a policy without number");
	for (size_t i = 0; i < policy->n_failures; i++)
		TRY(check_failure(&policy->failures[i]));
	return ok();
}

static struct status check(const struct tlsrpt_report *report)
{
	if (report->n_policies == 0 || report->organization.n == 0 || report->contact.n == 0 ||
	    report->report_id.n == 0)
		return fail(ERR_INVALID, "a report without policy, name, contact or id");
	if (report->start_s < 0 || report->end_s < report->start_s)
		return fail(ERR_INVALID, "a report without period");
	for (size_t i = 0; i < report->n_policies; i++)
		TRY(check_policy(&report->policies[i]));
	return ok();
}

struct status tlsrpt_report_print(const struct tlsrpt_report *report, struct buf *out)
{
	struct printer p = {.out = out, .first = true};
	TRY(check(report));
	begin(&p, NULL, '{');
	text(&p, "organization-name", report->organization);
	begin(&p, "date-range", '{');
	date_time(&p, "start-datetime", report->start_s);
	date_time(&p, "end-datetime", report->end_s);
	end(&p, '}');
	text(&p, "contact-info", report->contact);
	text(&p, "report-id", report->report_id);
	begin(&p, "policies", '[');
	for (size_t i = 0; i < report->n_policies; i++)
		print_policy(&p, &report->policies[i]);
	end(&p, ']');
	end(&p, '}');
	buf_add_byte(out, '\n');
	return buf_failed(out) ? fail(ERR_LIMIT, "the report is too large") : ok();
}
