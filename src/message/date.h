/* Dates of header fields (RFC 5322 sections 3.3 and 4.3). */
#pragma once

#include "base/clock.h"
#include "base/slice.h"
#include "base/status.h"

struct message_date {
	int64_t unix_s;
	int zone_minutes; /* east of UTC */
	bool zone_known;  /* false: none, "-0000" or a name that says nothing: read as UTC */
	int32_t day;      /* civil day in its own zone, in days since 1970-01-01 (IMAP SENTON) */
};

/* Understands the obsolete forms (short years, zone names, comments) and what is seen in the wild:
 * no weekday, no comma, no zone, full month names, ctime's order, text behind. SYNTAX for what is
 * no date or does not exist (31 Feb); years are 1900 to 9999. */
struct status message_date_parse(struct slice value, struct message_date *ret_date);

#define MESSAGE_DATE_SIZE 40u

/* "Fri, 21 Nov 1997 09:55:06 -0600" with a NUL. Instants outside of 1900 to 9999 are cut to that.
 */
void message_date_format(int64_t unix_s, int zone_minutes, char out[MESSAGE_DATE_SIZE]);
