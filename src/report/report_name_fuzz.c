/* Any text as a file's name and as a subject: slices lie within it, and what was read prints (but
 * for an extension or an id that is not printed) as what reads as the same. */
#include "report/report_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define OUT_MAX 4000u

static void check_within(struct slice part, struct slice whole)
{
	ASSERT(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void check_filename(struct slice text)
{
	struct report_filename name, again;
	struct buf out;
	if (!report_filename_parse(text, &name))
		return;
	check_within(name.submitter, text);
	check_within(name.domain, text);
	check_within(name.unique, text);
	buf_init(&out, OUT_MAX);
	struct status status = report_filename_print(&name, &out);
	ASSERT(is_ok(status) || name.extension > REPORT_JSON_GZ);
	if (is_ok(status)) {
		ASSERT(slice_index(buf_slice(&out), '/') == SIZE_MAX);
		ASSERT(report_filename_parse(buf_slice(&out), &again));
		ASSERT(slice_eq(name.submitter, again.submitter));
		ASSERT(slice_eq(name.domain, again.domain));
		ASSERT(slice_eq(name.unique, again.unique));
		ASSERT(name.begin_s == again.begin_s && name.end_s == again.end_s);
		ASSERT(name.extension == again.extension);
	}
	buf_done(&out);
}

static void check_subject(struct slice text)
{
	struct report_subject subject, again;
	struct buf out;
	if (!report_subject_parse(text, &subject))
		return;
	check_within(subject.domain, text);
	check_within(subject.submitter, text);
	check_within(subject.report_id, text);
	buf_init(&out, OUT_MAX);
	struct status status = report_subject_print(&subject, &out);
	ASSERT(is_ok(status) || subject.report_id.n == 0);
	if (is_ok(status)) {
		ASSERT(!slice_has_control(buf_slice(&out)));
		ASSERT(report_subject_parse(buf_slice(&out), &again));
		ASSERT(slice_eq(subject.domain, again.domain));
		ASSERT(slice_eq(subject.submitter, again.submitter));
		ASSERT(slice_eq(subject.report_id, again.report_id));
	}
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	check_filename(slice_of(p, n));
	check_subject(slice_of(p, n));
	return 0;
}
