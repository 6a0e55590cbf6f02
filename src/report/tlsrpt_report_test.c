/* Reports of TLS: written as RFC 8460 has them, read as they come, bombs refused. */
#include "report/tlsrpt_report.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define OUT_MAX ((size_t)64 * 1024 * 1024)

#define TEXT(literal)                                                                              \
	{                                                                                          \
		(const uint8_t *)("" literal), sizeof(literal) - 1                                 \
	}

static const struct slice strings[] = {TEXT("version: STSv1"), TEXT("mode: \"testing\"")};
static const struct slice mx_hosts[] = {TEXT("*.mail.company-y.example")};

static const struct tlsrpt_failure failures[] = {
        {.result = TEXT("certificate-expired"),
         .sending_ip = TEXT("2001:db8:abcd:0012::1"),
         .receiving_ip = TEXT("203.0.113.56"),
         .mx_hostname = TEXT("mx1.mail.company-y.example"),
         .mx_helo = TEXT("mx1"),
         .count = 100,
         .information = TEXT("https://reports.company-x.example/report_info"),
         .reason = TEXT("X509_V_ERR\\\x01\xff\xef\xbf\xbf\xf0\x9f\x98\x80")},
        {.result = TEXT("sts-policy-fetch-error"), .count = 1},
};

static const struct tlsrpt_policy policies[] = {
        {.type = TEXT("sts"),
         .strings = strings,
         .n_strings = 2,
         .domain = TEXT("company-y.example"),
         .mx_hosts = mx_hosts,
         .n_mx_hosts = 1,
         .n_successful = 5326,
         .n_failed = 303,
         .failures = failures,
         .n_failures = 2},
        {.type = TEXT("no-policy-found"), .domain = TEXT("b.example")},
};

static const struct tlsrpt_report sample = {
        .organization = TEXT("Company-X"),
        .contact = TEXT("sts-reporting@company-x.example"),
        .report_id = TEXT("5065427c"),
        .start_s = 1459468800,
        .end_s = 1459555199,
        .policies = policies,
        .n_policies = 2,
};

static void reports_are_written(void **state)
{
	static const char expected[] =
	        "{\n"
	        "  \"organization-name\": \"Company-X\",\n"
	        "  \"date-range\": {\n"
	        "    \"start-datetime\": \"2016-04-01T00:00:00Z\",\n"
	        "    \"end-datetime\": \"2016-04-01T23:59:59Z\"\n"
	        "  },\n"
	        "  \"contact-info\": \"sts-reporting@company-x.example\",\n"
	        "  \"report-id\": \"5065427c\",\n"
	        "  \"policies\": [\n"
	        "    {\n"
	        "      \"policy\": {\n"
	        "        \"policy-type\": \"sts\",\n"
	        "        \"policy-string\": [\n"
	        "          \"version: STSv1\",\n"
	        "          \"mode: \\\"testing\\\"\"\n"
	        "        ],\n"
	        "        \"policy-domain\": \"company-y.example\",\n"
	        "        \"mx-host\": [\n"
	        "          \"*.mail.company-y.example\"\n"
	        "        ]\n"
	        "      },\n"
	        "      \"summary\": {\n"
	        "        \"total-successful-session-count\": 5326,\n"
	        "        \"total-failure-session-count\": 303\n"
	        "      },\n"
	        "      \"failure-details\": [\n"
	        "        {\n"
	        "          \"result-type\": \"certificate-expired\",\n"
	        "          \"sending-mta-ip\": \"2001:db8:abcd:0012::1\",\n"
	        "          \"receiving-mx-hostname\": \"mx1.mail.company-y.example\",\n"
	        "          \"receiving-mx-helo\": \"mx1\",\n"
	        "          \"receiving-ip\": \"203.0.113.56\",\n"
	        "          \"failed-session-count\": 100,\n"
	        "          \"additional-information\": "
	        "\"https://reports.company-x.example/report_info\",\n"
	        "          \"failure-reason-code\": "
	        "\"X509_V_ERR\\\\\\u0001\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80\"\n"
	        "        },\n"
	        "        {\n"
	        "          \"result-type\": \"sts-policy-fetch-error\",\n"
	        "          \"failed-session-count\": 1\n"
	        "        }\n"
	        "      ]\n"
	        "    },\n"
	        "    {\n"
	        "      \"policy\": {\n"
	        "        \"policy-type\": \"no-policy-found\",\n"
	        "        \"policy-domain\": \"b.example\"\n"
	        "      },\n"
	        "      \"summary\": {\n"
	        "        \"total-successful-session-count\": 0,\n"
	        "        \"total-failure-session-count\": 0\n"
	        "      }\n"
	        "    }\n"
	        "  ]\n"
	        "}\n";
	struct buf out;
	(void)state;
	buf_init(&out, OUT_MAX);
	assert_int_equal(tlsrpt_report_print(&sample, &out).code, ERR_OK);
	assert_string_equal(buf_cstr(&out), expected);
	buf_done(&out);
	buf_init(&out, 1000);
	assert_int_equal(tlsrpt_report_print(&sample, &out).code, ERR_LIMIT);
	buf_done(&out);
}

static void check_refused(const struct tlsrpt_report *report)
{
	struct buf out;
	buf_init(&out, OUT_MAX);
	assert_int_equal(tlsrpt_report_print(report, &out).code, ERR_INVALID);
	assert_int_equal(out.n, 0);
	buf_done(&out);
}

static void check_refused_failure(struct tlsrpt_failure failure)
{
	struct tlsrpt_policy policy = policies[1];
	struct tlsrpt_report report = sample;
	policy.failures = &failure;
	policy.n_failures = 1;
	report.policies = &policy;
	report.n_policies = 1;
	check_refused(&report);
}

static void check_refused_policy(struct tlsrpt_policy policy)
{
	struct tlsrpt_report report = sample;
	report.policies = &policy;
	report.n_policies = 1;
	check_refused(&report);
}

#define WITHOUT(check, type, from, member, value)                                                  \
	do {                                                                                       \
		type changed = (from);                                                             \
		changed.member = (value);                                                          \
		check(changed);                                                                    \
	} while (0)

static void check_refused_report(struct tlsrpt_report report)
{
	check_refused(&report);
}

static void what_makes_no_report_is_refused(void **state)
{
	struct slice none = SLICE("");
	(void)state;
	WITHOUT(check_refused_report, struct tlsrpt_report, sample, organization, none);
	WITHOUT(check_refused_report, struct tlsrpt_report, sample, contact, none);
	WITHOUT(check_refused_report, struct tlsrpt_report, sample, report_id, none);
	WITHOUT(check_refused_report, struct tlsrpt_report, sample, n_policies, 0);
	WITHOUT(check_refused_report, struct tlsrpt_report, sample, start_s, -1);
	WITHOUT(check_refused_report, struct tlsrpt_report, sample, end_s, sample.start_s - 1);
	WITHOUT(check_refused_policy, struct tlsrpt_policy, policies[0], type, none);
	WITHOUT(check_refused_policy, struct tlsrpt_policy, policies[0], domain, none);
	WITHOUT(check_refused_policy, struct tlsrpt_policy, policies[0], n_failed,
	        UINT64_C(1000000000000001));
	WITHOUT(check_refused_policy, struct tlsrpt_policy, policies[0], n_successful, UINT64_MAX);
	WITHOUT(check_refused_failure, struct tlsrpt_failure, failures[0], result, none);
	WITHOUT(check_refused_failure, struct tlsrpt_failure, failures[0], count, UINT64_MAX);
	WITHOUT(check_refused_failure, struct tlsrpt_failure, failures[0], sending_ip, SLICE("x"));
	WITHOUT(check_refused_failure, struct tlsrpt_failure, failures[0], receiving_ip,
	        SLICE("[203.0.113.1]"));
}

/* --- read --- */

static void describe_policy(const struct tlsrpt_policy *policy, struct buf *got)
{
	buf_printf(got, "; %.*s %.*s %llu/%llu", SLICE_FMT(policy->type), SLICE_FMT(policy->domain),
	           (unsigned long long)policy->n_successful, (unsigned long long)policy->n_failed);
	for (size_t i = 0; i < policy->n_strings; i++)
		buf_printf(got, " <%.*s>", SLICE_FMT(policy->strings[i]));
	for (size_t i = 0; i < policy->n_mx_hosts; i++)
		buf_printf(got, " mx:%.*s", SLICE_FMT(policy->mx_hosts[i]));
	for (size_t i = 0; i < policy->n_failures; i++) {
		const struct tlsrpt_failure *f = &policy->failures[i];
		buf_printf(got, " (%.*s*%llu %.*s>%.*s %.*s,%.*s %.*s %.*s)", SLICE_FMT(f->result),
		           (unsigned long long)f->count, SLICE_FMT(f->sending_ip),
		           SLICE_FMT(f->receiving_ip), SLICE_FMT(f->mx_hostname),
		           SLICE_FMT(f->mx_helo), SLICE_FMT(f->information), SLICE_FMT(f->reason));
	}
}

static void check_slice(struct slice json, const char *expected)
{
	struct tlsrpt_report report;
	struct arena arena;
	struct buf got;
	arena_init(&arena, TLSRPT_REPORT_ARENA);
	buf_init(&got, OUT_MAX);
	struct status status = tlsrpt_report_parse(json, &arena, &report);
	if (is_ok(status)) {
		buf_printf(&got, "%.*s %.*s %.*s %lld-%lld", SLICE_FMT(report.organization),
		           SLICE_FMT(report.contact), SLICE_FMT(report.report_id),
		           (long long)report.start_s, (long long)report.end_s);
		for (size_t i = 0; i < report.n_policies; i++)
			describe_policy(&report.policies[i], &got);
		if (report.n_bad_policies + report.n_bad_failures > 0)
			buf_printf(&got, "; bad %zu %zu", report.n_bad_policies,
			           report.n_bad_failures);
	} else {
		buf_printf(&got, "(%s)", status.why);
	}
	assert_string_equal(buf_cstr(&got), expected);
	buf_done(&got);
	arena_done(&arena);
}

static void check(const char *json, const char *expected)
{
	check_slice(slice_str(json), expected);
}

static void the_example_of_rfc_8460_is_read(void **state)
{
	(void)state;
	/* Appendix B; blanks in the URI, which are the layout's, are left out. */
	check("{ \"organization-name\": \"Company-X\", \"date-range\": {"
	      "\"start-datetime\": \"2016-04-01T00:00:00Z\","
	      "\"end-datetime\": \"2016-04-01T23:59:59Z\" },"
	      "\"contact-info\": \"sts-reporting@company-x.example\","
	      "\"report-id\": \"5065427c-23d3-47ca-b6e0-946ea0e8c4be\","
	      "\"policies\": [{ \"policy\": { \"policy-type\": \"sts\","
	      "\"policy-string\": [\"version: STSv1\",\"mode: testing\","
	      "\"mx: *.mail.company-y.example\",\"max_age: 86400\"],"
	      "\"policy-domain\": \"company-y.example\","
	      "\"mx-host\": \"*.mail.company-y.example\" },"
	      "\"summary\": { \"total-successful-session-count\": 5326,"
	      "\"total-failure-session-count\": 303 },"
	      "\"failure-details\": [{ \"result-type\": \"certificate-expired\","
	      "\"sending-mta-ip\": \"2001:db8:abcd:0012::1\","
	      "\"receiving-mx-hostname\": \"mx1.mail.company-y.example\","
	      "\"failed-session-count\": 100 }, {"
	      "\"result-type\": \"starttls-not-supported\","
	      "\"sending-mta-ip\": \"2001:db8:abcd:0013::1\","
	      "\"receiving-mx-hostname\": \"mx2.mail.company-y.example\","
	      "\"receiving-ip\": \"203.0.113.56\", \"failed-session-count\": 200,"
	      "\"additional-information\": \"https://reports.company-x.example/report_info\"}, {"
	      "\"result-type\": \"validation-failure\", \"sending-mta-ip\": \"198.51.100.62\","
	      "\"receiving-ip\": \"203.0.113.58\","
	      "\"receiving-mx-hostname\": \"mx-backup.mail.company-y.example\","
	      "\"failed-session-count\": 3,"
	      "\"failure-reason-code\": \"X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED\"}]}]}",
	      "Company-X sts-reporting@company-x.example 5065427c-23d3-47ca-b6e0-946ea0e8c4be "
	      "1459468800-1459555199; sts company-y.example 5326/303 <version: STSv1> "
	      "<mode: testing> <mx: *.mail.company-y.example> <max_age: 86400> "
	      "mx:*.mail.company-y.example "
	      "(certificate-expired*100 2001:db8:abcd:0012::1> mx1.mail.company-y.example,  ) "
	      "(starttls-not-supported*200 2001:db8:abcd:0013::1>203.0.113.56 "
	      "mx2.mail.company-y.example, https://reports.company-x.example/report_info ) "
	      "(validation-failure*3 198.51.100.62>203.0.113.58 "
	      "mx-backup.mail.company-y.example,  X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED)");
}

#define HEAD                                                                                       \
	"\"organization-name\":\"O\",\"date-range\":{\"start-datetime\":\"1970-01-01T00:00:01Z\"," \
	"\"end-datetime\":\"1970-01-01T01:00:02+01:00\"},\"report-id\":\"1\""
#define POLICY "\"policy\":{\"policy-type\":\"tlsa\",\"policy-domain\":\"d\"}"
#define SUMMARY                                                                                    \
	"\"summary\":{\"total-successful-session-count\":1,\"total-failure-session-count\":2}"
#define PLAIN "O  1 1-2"

static void what_can_be_understood_is_kept(void **state)
{
	(void)state;
	check("{" HEAD ",\"policies\":[]}", PLAIN);
	check("\xef\xbb\xbf{" HEAD ",\"policies\":[]}", PLAIN);
	check(" \r\n{\"x\":[{\"policies\":1}]," HEAD ",\"contact-info\":7,\"policies\":[]}\n",
	      PLAIN);
	check("{\"policies\":[{" SUMMARY "," POLICY ",\"x\":null}]," HEAD "}",
	      PLAIN "; tlsa d 1/2");
	check("{" HEAD ",\"policies\":[{" POLICY "," SUMMARY ",\"failure-details\":null}]}",
	      PLAIN "; tlsa d 1/2");
	check("{" HEAD ",\"policies\":[{" POLICY "," SUMMARY ",\"failure-details\":{}}]}",
	      PLAIN "; tlsa d 1/2");
	/* texts: control characters, blanks, other types, what is not ASCII */
	check("{" HEAD ",\"contact-info\":\" a\\r\\nb\\u007f\\u00e9\\ud83d\\ude00\\t\","
	      "\"policies\":[{\"policy\":{\"policy-type\":\"new\",\"policy-domain\":\"d\","
	      "\"policy-string\":[\"x\",1,null,\"y\\n\"],\"mx-host\":{\"a\":1}}," SUMMARY "}]}",
	      "O a  b \xc3\xa9\xf0\x9f\x98\x80 1 1-2; new d 1/2 <x> <> <> <y>");
	check("{" HEAD ",\"policies\":[{\"policy\":{\"policy-type\":\"sts\",\"policy-domain\":"
	      "\"d\",\"policy-string\":\"one\",\"mx-host\":[\"a\",\"b\"]}," SUMMARY "}]}",
	      PLAIN "; sts d 1/2 <one> mx:a mx:b");
	/* an address that is none */
	check("{" HEAD ",\"policies\":[{" POLICY "," SUMMARY ",\"failure-details\":[{"
	      "\"result-type\":\"r\",\"failed-session-count\":0,\"sending-mta-ip\":\"x\","
	      "\"receiving-ip\":\"::1%eth0\",\"receiving-mx-helo\":\"h\"}]}]}",
	      PLAIN "; tlsa d 1/2 (r*0 > ,h  )");
}

static void what_cannot_is_left_out_and_counted(void **state)
{
	static const char *const bad_policies[] = {
	        "{}",
	        "null",
	        "[]",
	        "\""
	        "x"
	        "\"",
	        "{" POLICY "}",
	        "{" SUMMARY "}",
	        "{\"policy\":[]," SUMMARY "}",
	        "{\"policy\":{\"policy-domain\":\"d\"}," SUMMARY "}",
	        "{\"policy\":{\"policy-type\":\"sts\"}," SUMMARY "}",
	        "{\"policy\":{\"policy-type\":\" \",\"policy-domain\":\"d\"}," SUMMARY "}",
	        "{\"policy\":{\"policy-type\":\"sts\",\"policy-domain\":7}," SUMMARY "}",
	        "{" POLICY ",\"summary\":{\"total-successful-session-count\":1}}",
	        "{" POLICY ",\"summary\":{\"total-successful-session-count\":1,"
	        "\"total-failure-session-count\":-1}}",
	        "{" POLICY ",\"summary\":{\"total-successful-session-count\":\"1\","
	        "\"total-failure-session-count\":1}}",
	        "{" POLICY ",\"summary\":{\"total-successful-session-count\":1.0,"
	        "\"total-failure-session-count\":1}}",
	        "{" POLICY ",\"summary\":{\"total-successful-session-count\":1000000000000001,"
	        "\"total-failure-session-count\":1}}",
	};
	static const char *const bad_failures[] = {
	        "{}",
	        "null",
	        "[[]]",
	        "1",
	        "{\"result-type\":\"r\"}",
	        "{\"failed-session-count\":1}",
	        "{\"result-type\":\"\",\"failed-session-count\":1}",
	        "{\"result-type\":[\"r\"],\"failed-session-count\":1}",
	        "{\"result-type\":\"r\",\"failed-session-count\":-1}",
	        "{\"result-type\":\"r\",\"failed-session-count\":1e0}",
	        "{\"result-type\":\"r\",\"failed-session-count\":9223372036854775807}",
	};
	char json[2000];
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad_policies); i++) {
		snprintf(json, sizeof(json),
		         "{" HEAD ",\"policies\":[%s,{" POLICY "," SUMMARY "}]}", bad_policies[i]);
		check(json, PLAIN "; tlsa d 1/2; bad 1 0");
	}
	for (size_t i = 0; i < N_ELEMENTS(bad_failures); i++) {
		snprintf(json, sizeof(json),
		         "{" HEAD ",\"policies\":[{" POLICY "," SUMMARY
		         ",\"failure-details\":[%s,{\"result-type\":\"r\","
		         "\"failed-session-count\":3}]}]}",
		         bad_failures[i]);
		check(json, PLAIN "; tlsa d 1/2 (r*3 > ,  ); bad 0 1");
	}
}

static void other_documents_are_refused(void **state)
{
	static const struct {
		const char *json, *expected;
	} cases[] = {
	        {"", "(not well-formed JSON)"},
	        {"x", "(not well-formed JSON)"},
	        {"[]", "(not well-formed JSON)"},
	        {"7", "(not well-formed JSON)"},
	        {"\"", "(not well-formed JSON)"},
	        {"\"\\", "(not well-formed JSON)"},
	        {"{", "(not well-formed JSON)"},
	        {"{\"a\":", "(not well-formed JSON)"},
	        {"{\"a\":1,}", "(not well-formed JSON)"},
	        {"{} x", "(not well-formed JSON)"},
	        {"]]]{}", "(not well-formed JSON)"},
	        {"{\"a\":1,\"a\":1}", "(not well-formed JSON)"},
	        {"{\"a\":\"\xff\"}", "(not well-formed JSON)"},
	        {"{\"a\":\"\\ud800\"}", "(not well-formed JSON)"},
	        {"{\"a\":\"\\u0000\"}", "(not well-formed JSON)"},
	        {"{\"a\":\"\n\"}", "(not well-formed JSON)"},
	        {"{\"a\":99999999999999999999}", "(not well-formed JSON)"},
	        {"{}", "(the report has no policies)"},
	        {"{" HEAD "}", "(the report has no policies)"},
	        {"{" HEAD ",\"policies\":{}}", "(the report has no policies)"},
	        {"{" HEAD ",\"policies\":null}", "(the report has no policies)"},
	        {"{\"policies\":[]}", "(the report has no name or id)"},
	        {"{\"policies\":[],\"organization-name\":\"\",\"report-id\":\"x\"}",
	         "(the report has no name or id)"},
	        {"{\"policies\":[],\"organization-name\":\"x\",\"report-id\":1}",
	         "(the report has no name or id)"},
#define NAMED "{\"policies\":[],\"organization-name\":\"x\",\"report-id\":\"1\""
	        {NAMED "}", "(the report has no period)"},
	        {NAMED ",\"date-range\":[]}", "(the report has no period)"},
	        {NAMED ",\"date-range\":{\"start-datetime\":\"2016-04-01T00:00:00Z\"}}",
	         "(the report has no period)"},
	        {NAMED ",\"date-range\":{\"start-datetime\":\"2016-04-01T00:00:00Z\","
	               "\"end-datetime\":\"2016-04-01\"}}",
	         "(the report has no period)"},
	        {NAMED ",\"date-range\":{\"start-datetime\":\"2016-04-01T00:00:00Z\","
	               "\"end-datetime\":\"2016-03-31T23:59:59Z\"}}",
	         "(the report has no period)"},
	        {NAMED ",\"date-range\":{\"start-datetime\":1,\"end-datetime\":2}}",
	         "(the report has no period)"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].json, cases[i].expected);
	check_slice(SLICE("{\"a\":\"\0\"}"), "(not well-formed JSON)");
}

/* --- limits --- */

static void add_times(struct buf *out, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		buf_add_str(out, i > 0 ? "," : "");
		buf_add_str(out, text);
	}
}

static void depth_and_values_are_bounded(void **state)
{
	struct buf json;
	(void)state;
	buf_init(&json, OUT_MAX);
	/* brackets in strings are none */
	buf_add_str(&json, "{" HEAD ",\"policies\":[],\"x\":\"\\\\\\\"[[[[[[[[[[[[[[[[[[[[[{{{\"}");
	check_slice(buf_slice(&json), PLAIN);
	buf_reset(&json);
	buf_add_str(&json, "{" HEAD ",\"policies\":[],\"x\":");
	size_t n = json.n;
	for (unsigned i = 1; i < TLSRPT_REPORT_DEPTH_MAX; i++)
		buf_add_byte(&json, '[');
	for (unsigned i = 1; i < TLSRPT_REPORT_DEPTH_MAX; i++)
		buf_add_byte(&json, ']');
	buf_add_byte(&json, '}');
	check_slice(buf_slice(&json), PLAIN);
	json.n = n;
	for (unsigned i = 0; i < TLSRPT_REPORT_DEPTH_MAX; i++)
		buf_add_byte(&json, '[');
	check_slice(buf_slice(&json), "(the report is nested too deep)");
	for (unsigned i = 0; i < 1000000; i++)
		buf_add_byte(&json, '[');
	check_slice(buf_slice(&json), "(the report is nested too deep)");
	json.n = n;
	buf_add_byte(&json, '[');
	add_times(&json, TLSRPT_REPORT_VALUES_MAX / 2 - 10, "[]");
	buf_add_str(&json, "]}");
	check_slice(buf_slice(&json), PLAIN);
	json.n = n;
	buf_add_byte(&json, '[');
	add_times(&json, TLSRPT_REPORT_VALUES_MAX / 2, "[]");
	buf_add_str(&json, "]}");
	check_slice(buf_slice(&json), "(the report has too many values)");
	buf_reset(&json);
	assert_non_null(buf_reserve(&json, TLSRPT_REPORT_SIZE_MAX + 1));
	memset(json.p, ' ', TLSRPT_REPORT_SIZE_MAX + 1);
	buf_commit(&json, TLSRPT_REPORT_SIZE_MAX + 1);
	check_slice(buf_slice(&json), "(the report is too large)");
	json.n--;
	check_slice(buf_slice(&json), "(not well-formed JSON)");
	buf_done(&json);
}

static enum err parse(struct buf *json, size_t budget, struct tlsrpt_report *ret_report,
                      struct arena *arena)
{
	arena_init(arena, budget);
	return tlsrpt_report_parse(buf_slice(json), arena, ret_report).code;
}

#define FAILURE "{\"result-type\":\"r\",\"failed-session-count\":1}"

static void policies_failures_and_texts_are_bounded(void **state)
{
	struct tlsrpt_report report;
	struct arena arena;
	struct buf json;
	(void)state;
	buf_init(&json, OUT_MAX);
	for (unsigned more = 0; more < 2; more++) {
		buf_reset(&json);
		buf_add_str(&json, "{" HEAD ",\"policies\":[");
		add_times(&json, TLSRPT_REPORT_POLICIES_MAX + more, "{" POLICY "," SUMMARY "}");
		buf_add_str(&json, "]}");
		assert_int_equal(parse(&json, TLSRPT_REPORT_ARENA, &report, &arena),
		                 more > 0 ? ERR_LIMIT : ERR_OK);
		assert_int_equal(report.n_policies, TLSRPT_REPORT_POLICIES_MAX);
		arena_done(&arena);
	}
	/* of two policies together */
	for (unsigned more = 0; more < 2; more++) {
		buf_reset(&json);
		buf_add_str(&json, "{" HEAD ",\"policies\":[{" POLICY "," SUMMARY
		                   ",\"failure-details\":[");
		add_times(&json, TLSRPT_REPORT_FAILURES_MAX - 1, FAILURE);
		buf_add_str(&json, "]},{" POLICY "," SUMMARY ",\"failure-details\":[");
		add_times(&json, 1 + more, FAILURE);
		buf_add_str(&json, "]}]}");
		assert_int_equal(parse(&json, TLSRPT_REPORT_ARENA, &report, &arena),
		                 more > 0 ? ERR_LIMIT : ERR_OK);
		arena_done(&arena);
	}
	buf_reset(&json);
	buf_add_str(&json, "{" HEAD ",\"contact-info\":\"");
	for (unsigned i = 0; i < TLSRPT_REPORT_TEXT_MAX; i++)
		buf_add_str(&json, "\xc3\xa9");
	buf_add_str(&json, "\",\"policies\":[{\"policy\":{\"policy-type\":\"t\","
	                   "\"policy-domain\":\"d\",\"policy-string\":[");
	add_times(&json, 10 * TLSRPT_REPORT_STRINGS_MAX, "\"x\"");
	buf_add_str(&json, "],\"mx-host\":[");
	add_times(&json, 10 * TLSRPT_REPORT_STRINGS_MAX, "\"x\"");
	buf_add_str(&json, "]}," SUMMARY "}]}");
	assert_int_equal(parse(&json, TLSRPT_REPORT_ARENA, &report, &arena), ERR_OK);
	assert_int_equal(report.contact.n, TLSRPT_REPORT_TEXT_MAX);
	assert_int_equal(report.policies[0].n_strings, TLSRPT_REPORT_STRINGS_MAX);
	assert_int_equal(report.policies[0].n_mx_hosts, TLSRPT_REPORT_STRINGS_MAX);
	arena_done(&arena);
	buf_done(&json);
}

static void memory_is_bounded(void **state)
{
	struct buf json;
	size_t n_read = 0;
	(void)state;
	buf_init(&json, OUT_MAX);
	assert_int_equal(tlsrpt_report_print(&sample, &json).code, ERR_OK);
	for (size_t budget = 0; budget < 3000; budget += 16) {
		struct tlsrpt_report report;
		struct arena arena;
		enum err code = parse(&json, budget, &report, &arena);
		assert_true(code == ERR_OK || code == ERR_LIMIT);
		if (code == ERR_OK) {
			assert_int_equal(report.n_policies, 2);
			assert_int_equal(report.policies[0].n_failures, 2);
			assert_int_equal(report.policies[0].n_strings, 2);
		}
		n_read += code == ERR_OK;
		arena_done(&arena);
	}
	assert_true(n_read > 50 && n_read < 150);
	buf_done(&json);
}

static void reports_go_round(void **state)
{
	struct tlsrpt_report report;
	struct arena arena;
	struct buf json, again;
	(void)state;
	buf_init(&json, OUT_MAX);
	buf_init(&again, OUT_MAX);
	assert_int_equal(tlsrpt_report_print(&sample, &json).code, ERR_OK);
	assert_int_equal(parse(&json, TLSRPT_REPORT_ARENA, &report, &arena), ERR_OK);
	assert_int_equal(report.start_s, sample.start_s);
	assert_int_equal(report.end_s, sample.end_s);
	assert_int_equal(report.n_bad_policies + report.n_bad_failures, 0);
	const struct tlsrpt_failure *failure = &report.policies[0].failures[0];
	assert_true(slice_eq(failure->mx_helo, SLICE("mx1")));
	assert_true(slice_eq(failure->sending_ip, failures[0].sending_ip));
	assert_true(slice_eq(failure->receiving_ip, failures[0].receiving_ip));
	assert_true(slice_eq(failure->information, failures[0].information));
	/* but for the control character, which is a blank now */
	assert_true(slice_eq(failure->reason,
	                     SLICE("X509_V_ERR\\ \xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80")));
	assert_int_equal(tlsrpt_report_print(&report, &again).code, ERR_OK);
	assert_int_equal(again.n, json.n - 5);
	arena_done(&arena);
	buf_done(&again);
	buf_done(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reports_are_written),
	        cmocka_unit_test(what_makes_no_report_is_refused),
	        cmocka_unit_test(reports_go_round),
	        cmocka_unit_test(the_example_of_rfc_8460_is_read),
	        cmocka_unit_test(what_can_be_understood_is_kept),
	        cmocka_unit_test(what_cannot_is_left_out_and_counted),
	        cmocka_unit_test(other_documents_are_refused),
	        cmocka_unit_test(depth_and_values_are_bounded),
	        cmocka_unit_test(policies_failures_and_texts_are_bounded),
	        cmocka_unit_test(memory_is_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
