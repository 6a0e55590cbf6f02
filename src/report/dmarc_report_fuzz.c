/* Any document: limits are kept, and what was read is printed as a document that reads and prints
 * as the same text, in both forms. */
#include "report/dmarc_report.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_text(struct slice text)
{
	ASSERT(text.n <= DMARC_REPORT_TEXT_MAX && utf8_valid(text) && !slice_has_control(text));
}

static void check_rows(const struct dmarc_report *report)
{
	size_t n = 0;
	for (const struct dmarc_report_row *row = report->rows; row; row = row->next, n++) {
		check_text(row->source_ip);
		check_text(row->header_from);
		check_text(row->envelope_from);
		ASSERT(row->n_reasons <= DMARC_REPORT_REASONS_MAX);
		ASSERT(row->n_dkim <= DMARC_REPORT_DKIM_MAX);
		ASSERT(row->n_spf <= DMARC_REPORT_SPF_MAX);
		for (size_t i = 0; i < row->n_dkim; i++)
			check_text(row->dkim[i].domain);
	}
	ASSERT(n == report->n_rows && n <= DMARC_REPORT_ROWS_MAX);
}

static void check_again(const struct dmarc_report *report, enum dmarc_report_form form,
                        struct arena *arena)
{
	struct dmarc_report again;
	struct buf first, second;
	buf_init(&first, 64 * MIB);
	buf_init(&second, 64 * MIB);
	struct status status = dmarc_report_print(report, form, &first);
	ASSERT(is_ok(status) || report->n_rows == 0);
	if (is_ok(status)) {
		status = dmarc_report_parse(buf_slice(&first), arena, &again);
		ASSERT(is_ok(status) || status.code == ERR_LIMIT);
		if (is_ok(status)) {
			ASSERT(again.n_bad_rows == 0 && again.n_rows == report->n_rows);
			ASSERT(again.form == form);
			ASSERT(is_ok(dmarc_report_print(&again, form, &second)));
			ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
		}
	}
	buf_done(&second);
	buf_done(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena arena;
	struct dmarc_report report;
	arena_init(&arena, 4 * MIB);
	if (is_ok(dmarc_report_parse(slice_of(p, n), &arena, &report))) {
		ASSERT(report.begin_s >= 0 && report.begin_s <= report.end_s);
		ASSERT(report.n_errors <= DMARC_REPORT_ERRORS_MAX);
		check_text(report.org_name);
		check_text(report.report_id);
		check_text(report.domain);
		check_rows(&report);
		check_again(&report, DMARC_REPORT_RFC7489, &arena);
		check_again(&report, DMARC_REPORT_RFC9990, &arena);
	}
	arena_done(&arena);
	return 0;
}
