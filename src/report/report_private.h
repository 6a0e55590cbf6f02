/* What printers and readers of reports share. */
#pragma once

#include "base/slice.h"

#define DMARC_REPORT_NAMESPACE "urn:ietf:params:xml:ns:dmarc-2.0" /* RFC 9990 */

/* Counts beyond are no counts: sums of them do not overflow, and JSON carries them exactly
 * (RFC 7493 section 2.2). */
#define REPORT_COUNT_MAX UINT64_C(1000000000000000)

bool report_is_ip(struct slice text);

/* A text of a stranger's as it is kept: control characters become blanks in place, then it is
 * trimmed and cut to max bytes, to whole characters. */
struct slice report_clean(uint8_t *p, size_t n, size_t max);
