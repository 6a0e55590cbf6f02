/* Internet date-times (RFC 3339 section 5.6): "2016-04-01T00:00:00Z". */
#pragma once

#include "base/slice.h"

#define RFC3339_SIZE 21 /* "9999-12-31T23:59:59Z" and its NUL */

/* Any offset, any case, any fraction of a second (which is dropped); a leap second is the first of
 * the next minute. False for everything else, for days that are not in the calendar, and for years
 * before 1970. */
bool rfc3339_parse(struct slice text, int64_t *ret_unix_s);

/* In UTC. Instants outside of 1970 to 9999 are cut to that. */
void rfc3339_format(int64_t unix_s, char out[RFC3339_SIZE]);
