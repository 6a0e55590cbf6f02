/* The Received-SPF field (RFC 7208 section 9.1 with erratum 5436): what was checked and what came
 * out, put before the message above Received.
 */
#pragma once

#include "mailauth/spf.h"

#define SPF_RECEIVED_MAX ((size_t)8192) /* octets of one field */

/* Appends the whole folded field with its CRLF. What strangers said (names, addresses) is cleaned,
 * quoted and cut: no byte of it can end the field, a line or a value. dnssec is the word of
 * mailauth_evidence_word. A localpart of valid UTF-8 stays (RFC 6532), as only messages with
 * SMTPUTF8 have one. LIMIT when out is full. */
struct status spf_received_print(const struct spf_args *args, const struct spf_result *result,
                                 const char *dnssec, struct buf *out);
