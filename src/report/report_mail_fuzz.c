/* Any message: no report, or one within its limits. */
#include "report/report_mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct message_source_mem source;
	struct message_part *root;
	struct report_mail mail;
	struct arena arena;
	unsigned defects;
	arena_init(&arena, REPORT_MAIL_ARENA);
	message_source_mem_init(&source, slice_of(p, n));
	if (is_ok(message_parse(slice_of(p, n), &arena, &root, &defects)) &&
	    is_ok(report_mail_read(root, &source.source, &arena, &mail))) {
		if (mail.kind == REPORT_MAIL_DMARC) {
			ASSERT(mail.dmarc.n_rows <= DMARC_REPORT_ROWS_MAX);
			ASSERT(mail.dmarc.report_id.n > 0 && mail.dmarc.domain.n > 0);
		} else {
			ASSERT(mail.tls.n_policies <= TLSRPT_REPORT_POLICIES_MAX);
			ASSERT(mail.tls.report_id.n > 0);
		}
	}
	arena_done(&arena);
	return 0;
}
