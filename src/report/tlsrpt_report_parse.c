/* Reports of TLS read, by jansson.
 *
 * jansson recurses, and a value of two bytes costs it hundreds. So the text is looked over first:
 * depth and the number of values are bounded before it sees them. What is of another type than the
 * schema wants counts as missing. One pattern that stands as a string and not in an array is taken
 * for an array of one: RFC 8460's own example has that (appendix B).
 */
#include "report/tlsrpt_report.h"

#include "base/rfc3339.h"
#include "report/report_private.h"

#include <jansson.h>

struct reader {
	struct arena *arena;
	struct tlsrpt_report report;
	size_t n_failures; /* of all policies */
};

/* --- before jansson --- */

/* Behind the string that begins at `at`, with its quotes. */
static size_t skip_string(struct slice json, size_t at)
{
	for (at++; at < json.n && json.p[at] != '"'; at++)
		if (json.p[at] == '\\')
			at++;
	return at + 1;
}

/* Each value but the first of an array or object stands behind a comma. */
static struct status check_shape(struct slice json)
{
	size_t depth = 0, n_values = 1;
	size_t at = 0;
	while (at < json.n) {
		uint8_t c = json.p[at];
		if (c == '"') {
			at = skip_string(json, at);
			continue;
		}
		bool opens = c == '[' || c == '{';
		depth += opens;
		if ((c == ']' || c == '}') && depth > 0)
			depth--;
		n_values += opens || c == ',';
		if (depth > TLSRPT_REPORT_DEPTH_MAX)
			return fail(ERR_LIMIT, "the report is nested too deep");
		if (n_values > TLSRPT_REPORT_VALUES_MAX)
			return fail(ERR_LIMIT, "the report has too many values");
		at++;
	}
	return ok();
}

/* --- members --- */

static struct slice keep(struct reader *r, const json_t *value)
{
	size_t n = json_string_length(value);
	const char *p = json_string_value(value);
	uint8_t *copy = p ? arena_alloc(r->arena, n) : NULL;
	if (!copy)
		return SLICE("");
	memcpy(copy, p, n);
	return report_clean(copy, n, TLSRPT_REPORT_TEXT_MAX);
}

static struct slice text(struct reader *r, const json_t *object, const char *name)
{
	return keep(r, json_object_get(object, name));
}

static struct slice address(struct reader *r, const json_t *object, const char *name)
{
	struct slice value = text(r, object, name);
	return report_is_ip(value) ? value : SLICE("");
}

static bool number(const json_t *object, const char *name, uint64_t *ret_value)
{
	const json_t *value = json_object_get(object, name);
	*ret_value = (uint64_t)json_integer_value(value); /* a negative one is beyond the limit */
	return json_is_integer(value) && *ret_value <= REPORT_COUNT_MAX;
}

static bool date_time(const json_t *object, const char *name, int64_t *ret_s)
{
	const json_t *value = json_object_get(object, name);
	return json_is_string(value) &&
	       rfc3339_parse(slice_of(json_string_value(value), json_string_length(value)), ret_s);
}

static const struct slice *texts(struct reader *r, const json_t *object, const char *name,
                                 size_t *ret_n)
{
	const json_t *value = json_object_get(object, name);
	bool one = json_is_string(value);
	size_t n = one ? 1 : MIN(json_array_size(value), TLSRPT_REPORT_STRINGS_MAX);
	struct slice *v = ARENA_ARRAY(r->arena, n, struct slice);
	*ret_n = v ? n : 0;
	for (size_t i = 0; i < *ret_n; i++)
		v[i] = keep(r, one ? value : json_array_get(value, i));
	return v;
}

/* --- parts of the report --- */

static bool read_failure(struct reader *r, const json_t *json, struct tlsrpt_failure *ret_failure)
{
	*ret_failure = (struct tlsrpt_failure){
	        .result = text(r, json, "result-type"),
	        .sending_ip = address(r, json, "sending-mta-ip"),
	        .receiving_ip = address(r, json, "receiving-ip"),
	        .mx_hostname = text(r, json, "receiving-mx-hostname"),
	        .mx_helo = text(r, json, "receiving-mx-helo"),
	        .information = text(r, json, "additional-information"),
	        .reason = text(r, json, "failure-reason-code"),
	};
	return number(json, "failed-session-count", &ret_failure->count) &&
	       ret_failure->result.n > 0;
}

static struct status read_failures(struct reader *r, const json_t *json,
                                   struct tlsrpt_policy *policy)
{
	size_t n = json_array_size(json);
	if (n > TLSRPT_REPORT_FAILURES_MAX - r->n_failures)
		return fail(ERR_LIMIT, "the report has too many failures");
	r->n_failures += n;
	struct tlsrpt_failure *failures = ARENA_ARRAY(r->arena, n, struct tlsrpt_failure);
	policy->failures = failures;
	for (size_t i = 0; failures && i < n; i++) {
		bool good = read_failure(r, json_array_get(json, i), &failures[policy->n_failures]);
		if (good)
			policy->n_failures++;
		else
			r->report.n_bad_failures++;
	}
	return ok();
}

/* *ret_good: it has what a policy must have. */
static struct status read_policy(struct reader *r, const json_t *json,
                                 struct tlsrpt_policy *ret_policy, bool *ret_good)
{
	const json_t *policy = json_object_get(json, "policy");
	const json_t *summary = json_object_get(json, "summary");
	*ret_policy = (struct tlsrpt_policy){.type = text(r, policy, "policy-type"),
	                                     .domain = text(r, policy, "policy-domain")};
	*ret_good = ret_policy->type.n > 0 && ret_policy->domain.n > 0 &&
	            number(summary, "total-successful-session-count", &ret_policy->n_successful) &&
	            number(summary, "total-failure-session-count", &ret_policy->n_failed);
	if (!*ret_good)
		return ok();
	ret_policy->strings = texts(r, policy, "policy-string", &ret_policy->n_strings);
	ret_policy->mx_hosts = texts(r, policy, "mx-host", &ret_policy->n_mx_hosts);
	return read_failures(r, json_object_get(json, "failure-details"), ret_policy);
}

static struct status read_policies(struct reader *r, const json_t *json)
{
	size_t n = json_array_size(json);
	if (!json_is_array(json))
		return fail(ERR_SYNTAX, "the report has no policies");
	if (n > TLSRPT_REPORT_POLICIES_MAX)
		return fail(ERR_LIMIT, "the report has too many policies");
	struct tlsrpt_policy *policies = ARENA_ARRAY(r->arena, n, struct tlsrpt_policy);
	r->report.policies = policies;
	for (size_t i = 0; policies && i < n; i++) {
		bool good;
		TRY(read_policy(r, json_array_get(json, i), &policies[r->report.n_policies],
		                &good));
		if (good)
			r->report.n_policies++;
		else
			r->report.n_bad_policies++;
	}
	return ok();
}

static struct status read_report(struct reader *r, const json_t *json)
{
	struct tlsrpt_report *report = &r->report;
	const json_t *range = json_object_get(json, "date-range");
	report->organization = text(r, json, "organization-name");
	report->contact = text(r, json, "contact-info");
	report->report_id = text(r, json, "report-id");
	TRY(read_policies(r, json_object_get(json, "policies")));
	if (arena_failed(r->arena))
		return fail(ERR_LIMIT, "no room for a report");
	if (report->organization.n == 0 || report->report_id.n == 0)
		return fail(ERR_SYNTAX, "the report has no name or id");
	if (!date_time(range, "start-datetime", &report->start_s) ||
	    !date_time(range, "end-datetime", &report->end_s) || report->end_s < report->start_s)
		return fail(ERR_SYNTAX, "the report has no period");
	return ok();
}

struct status tlsrpt_report_parse(struct slice json, struct arena *arena,
                                  struct tlsrpt_report *ret_report)
{
	struct reader r = {.arena = arena};
	json_error_t error;
	if (json.n > TLSRPT_REPORT_SIZE_MAX)
		return fail(ERR_LIMIT, "the report is too large");
	if (slice_starts(json,
	                 SLICE("\xef\xbb\xbf"))) /* RFC 8259 section 8.1: may be passed over */
		json = slice_from(json, 3);
	TRY(check_shape(json));
	json_t *root = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(root)) {
		json_decref(root);
		return fail(ERR_SYNTAX, "not well-formed JSON");
	}
	struct status status = read_report(&r, root);
	if (is_ok(status))
		*ret_report = r.report;
	json_decref(root);
	return status;
}
