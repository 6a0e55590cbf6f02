/* Looks over a message's header while its content streams by: counts Received fields for loop
 * detection (RFC 5321 section 6.3) and measures the header. Fed any split; keeps one field name,
 * nothing else.
 *
 * It does not parse: the header ends at the first empty line, whatever stands before it. Lines end
 * in LF, with or without CR, since content that came by BDAT may hold both.
 */
#pragma once

#include "base/slice.h"

#define SMTP_SCAN_NAME_MAX 16 /* longer field names are none of those counted */

enum smtp_scan_state {
	SMTP_SCAN_LINE_START,
	SMTP_SCAN_NAME,
	SMTP_SCAN_REST, /* of a line */
	SMTP_SCAN_CR,   /* a CR at the start of a line: empty line if LF follows */
	SMTP_SCAN_BODY,
};

struct smtp_header_scan {
	enum smtp_scan_state state;
	uint64_t size;       /* octets of the header so far, the empty line included */
	uint32_t n_fields;   /* lines that start a field */
	uint32_t n_received; /* Received fields */
	bool has_8bit;       /* in the header: it should have come with SMTPUTF8 */
	uint8_t name[SMTP_SCAN_NAME_MAX];
	size_t n_name; /* SIZE_MAX: too long to be of interest */
};

void smtp_header_scan_init(struct smtp_header_scan *scan);
void smtp_header_scan_feed(struct smtp_header_scan *scan, struct slice content);

static inline bool smtp_header_scan_ended(const struct smtp_header_scan *scan)
{
	return scan->state == SMTP_SCAN_BODY;
}
