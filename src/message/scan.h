/* Fast looks at body bytes: counting of line ends, search for lines that may be boundaries. */
#pragma once

#include "base/slice.h"

#define MESSAGE_SCAN_BLOCK ((size_t)64 * 1024) /* bytes looked at in one go */

struct message_scan {
	uint64_t n_lf;
	uint64_t n_crlf;      /* LFs with a CR before them */
	uint64_t n_cr_not_lf; /* CRs with another byte after them; a CR at the end is not counted
	                         yet */
	bool has_nul;
};

/* before: the byte before the first one (a CR there counts now). s is not empty. */
struct message_scan message_scan(struct slice s, uint8_t before);

/* Offset of the first "-" that stands right after an LF within s, or s.n. */
size_t message_scan_find_dash_line(struct slice s);
