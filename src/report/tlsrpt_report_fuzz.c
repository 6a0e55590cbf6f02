/* Any document: limits are kept, and what was read is printed as a document that reads and prints
 * as the same text. */
#include "report/tlsrpt_report.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_text(struct slice text)
{
	ASSERT(text.n <= TLSRPT_REPORT_TEXT_MAX && utf8_valid(text) && !slice_has_control(text));
}

static void check_policy(const struct tlsrpt_policy *policy)
{
	check_text(policy->type);
	check_text(policy->domain);
	ASSERT(policy->n_strings <= TLSRPT_REPORT_STRINGS_MAX);
	ASSERT(policy->n_mx_hosts <= TLSRPT_REPORT_STRINGS_MAX);
	for (size_t i = 0; i < policy->n_strings; i++)
		check_text(policy->strings[i]);
	for (size_t i = 0; i < policy->n_mx_hosts; i++)
		check_text(policy->mx_hosts[i]);
	for (size_t i = 0; i < policy->n_failures; i++) {
		check_text(policy->failures[i].result);
		check_text(policy->failures[i].reason);
	}
}

static void check_again(const struct tlsrpt_report *report, struct arena *arena)
{
	struct tlsrpt_report again;
	struct buf first, second;
	buf_init(&first, 64 * MIB);
	buf_init(&second, 64 * MIB);
	struct status status = tlsrpt_report_print(report, &first);
	ASSERT(is_ok(status) || report->n_policies == 0 || report->contact.n == 0);
	if (is_ok(status)) {
		status = tlsrpt_report_parse(buf_slice(&first), arena, &again);
		ASSERT(is_ok(status) || status.code == ERR_LIMIT);
		if (is_ok(status)) {
			ASSERT(again.n_bad_policies == 0 && again.n_bad_failures == 0);
			ASSERT(is_ok(tlsrpt_report_print(&again, &second)));
			ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
		}
	}
	buf_done(&second);
	buf_done(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena arena;
	struct tlsrpt_report report;
	arena_init(&arena, 4 * MIB);
	if (is_ok(tlsrpt_report_parse(slice_of(p, n), &arena, &report))) {
		ASSERT(report.start_s >= 0 && report.start_s <= report.end_s);
		ASSERT(report.n_policies <= TLSRPT_REPORT_POLICIES_MAX);
		check_text(report.organization);
		check_text(report.contact);
		check_text(report.report_id);
		for (size_t i = 0; i < report.n_policies; i++)
			check_policy(&report.policies[i]);
		check_again(&report, &arena);
	}
	arena_done(&arena);
	return 0;
}
