/* User names and passwords as they are compared: the OpaqueString profile of PRECIS
 * (RFC 8265 section 4.2). Plain ASCII comes out as it went in. */
#pragma once

#include "base/buf.h"
#include "base/status.h"

#define SASL_PREPARE_MAX ((size_t)1024) /* bytes of a name or password */

/* Appends the prepared form. SYNTAX for bytes that are not UTF-8, for control characters, for
 * characters that are unassigned in the Unicode version of libunistring, and for an empty string;
 * LIMIT beyond SASL_PREPARE_MAX. What `out` grew by holds a secret if `in` did; nothing else does.
 */
struct status sasl_prepare(struct slice in, struct buf *out);
