/* What reports there are, as rooms tell each other. */
#pragma once

enum report_kind {
	REPORT_TLS,   /* RFC 8460 */
	REPORT_DMARC, /* RFC 7489, RFC 9990 */
};
#define REPORT_KINDS 2u
