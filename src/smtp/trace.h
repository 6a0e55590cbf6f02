/* Trace fields that a receiving server puts before a message: Received and Return-Path
 * (RFC 5321 section 4.4; "with" keywords of RFC 3848 and RFC 6531 section 4.3).
 *
 * Every value is checked while it is written: nothing that holds a CR, an LF or a NUL, or that
 * would end its comment early, gets into a header. Then nothing is written and the answer is
 * INVALID.
 */
#pragma once

#include "base/stream.h"
#include "smtp/path.h"

struct smtp_trace {
	const struct smtp_host
	        *helo;          /* NULL when the client gave no name: its address stands there */
	struct slice peer_name; /* from reverse DNS, checked; empty when there is none */
	struct slice peer_note; /* comment on it, such as "dnssec"; may be empty */
	/* "192.0.2.1" or "2001:db8::1"; empty: there is no "from" clause at all, for what a user
	 * submits: where he was is nobody's business. */
	struct slice peer_address;
	struct slice by; /* our host name */
	struct slice id; /* what the log knows this message by */
	bool extended;   /* EHLO */
	bool utf8;       /* MAIL had SMTPUTF8 */
	bool authenticated;
	const struct stream_tls *tls; /* NULL or !on: clear text */
	const struct smtp_path *rcpt; /* the only recipient; NULL when there are several */
	int64_t at_s;                 /* seconds since 1970, UTC */
};

/* "ESMTPS", "UTF8SMTP", ... */
const char *smtp_with_protocol(const struct smtp_trace *trace);

/* Each appends a whole folded field with its CRLF. */
struct status smtp_received_print(const struct smtp_trace *trace, struct buf *out);
struct status smtp_return_path_print(const struct smtp_path *from, struct buf *out);
