/* Modified UTF-7: mailbox names of IMAP4rev1 (RFC 3501 section 5.1.3). */
#pragma once

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

/* To UTF-8. Strict: there is exactly one spelling for each name, so that printing what was parsed
 * gives the same bytes. SYNTAX for anything else: bytes outside of %x20-7e, printable US-ASCII in
 * base64, superfluous shifts, surrogates without partners, unused bits that are not zero. NUL and
 * other control characters may come out of base64. */
struct status text_mutf7_decode(struct slice name, struct buf *out);

/* From UTF-8. SYNTAX when it is not UTF-8. */
struct status text_mutf7_encode(struct slice text, struct buf *out);
