/* The report that a message carries: found among its parts, unpacked and read. Mail of DMARC
 * reports (RFC 7489 section 7.2.1.1, RFC 9990 section 3.5) and of TLS reports (RFC 8460 section
 * 5.3).
 *
 * What kind it is, its first character says: types and file names of parts are what the sender's
 * program made of them.
 */
#pragma once

#include "message/body.h"
#include "report/dmarc_report.h"
#include "report/tlsrpt_report.h"

#define REPORT_MAIL_PARTS_MAX    10u                        /* parts that are tried */
#define REPORT_MAIL_PACKED_MAX   ((size_t)8 * 1024 * 1024)  /* bytes of one, as it was sent */
#define REPORT_MAIL_UNPACKED_MAX ((size_t)32 * 1024 * 1024) /* and as it is read */
/* A fit budget for the arena. */
#define REPORT_MAIL_ARENA ((size_t)128 * 1024 * 1024)

enum report_mail_kind {
	REPORT_MAIL_DMARC,
	REPORT_MAIL_TLS,
};

struct report_mail {
	enum report_mail_kind kind;
	union {
		struct dmarc_report dmarc;
		struct tlsrpt_report tls;
	};
};

/* NOT_FOUND: no part looks like a report. SYNTAX, UNSUPPORTED, LIMIT: one does, and cannot be read;
 * why belongs to the last that was tried. Failures of the source are passed on. All texts live in
 * the arena. */
struct status report_mail_read(const struct message_part *root, const struct message_source *source,
                               struct arena *arena, struct report_mail *ret_mail);
