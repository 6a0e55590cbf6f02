/* Replies of a remote SMTP server, read and bounded (RFC 5321 section 4.2).
 *
 * Whatever a server sends, a reply takes bounded memory and time: a line, the number of lines, all
 * octets and the time for the whole have limits. What a person may get to see (a notification, a
 * log) is cleaned: control characters and broken UTF-8 become '?'.
 *
 * Tolerated: a line that ends in a bare LF, a code with nothing behind it ("250"), lines beyond the
 * 512 octets of RFC 5321 section 4.5.3.1.5 (up to SMTP_REPLY_PARSE_LINE_MAX), octets beyond ASCII.
 */
#pragma once

#include "base/clock.h"
#include "base/stream.h"

#define SMTP_REPLY_PARSE_LINE_MAX  ((size_t)4096)      /* octets with the line end */
#define SMTP_REPLY_PARSE_LINES_MAX ((size_t)256)       /* of one reply */
#define SMTP_REPLY_PARSE_TOTAL_MAX ((size_t)32 * 1024) /* octets of one reply */

#define SMTP_ENHANCED_SIZE 12u /* "5.999.999" and a NUL fit */

/* One line: code, whether more follow, text. SYNTAX when it is no reply line. The text points into
 * the line. */
struct smtp_reply_line {
	uint16_t code; /* 200..599 */
	bool more;
	struct slice text;
};
struct status smtp_reply_line_parse(struct slice line, struct smtp_reply_line *ret_line);

/* "5.1.1" at the start of a text (RFC 2034 section 4, RFC 3463 section 2), of the class of the
 * code; false (and "") where there is none. *ret_rest, which may be NULL: behind it and its blank.
 */
bool smtp_enhanced_parse(uint16_t code, struct slice text, char ret_enhanced[SMTP_ENHANCED_SIZE],
                         struct slice *ret_rest);

/* A whole reply. */
struct smtp_reply_in {
	uint16_t code; /* 0: none read */
	size_t n_lines;
	char enhanced[SMTP_ENHANCED_SIZE]; /* "" when it has none */
	struct buf text; /* the lines as they came, cleaned, code included, parted by '\n' */
};

void smtp_reply_in_init(struct smtp_reply_in *reply);
void smtp_reply_in_done(struct smtp_reply_in *reply);

/* Reads one reply; pending output is flushed before it blocks. timeout_ms counts for the whole
 * reply. TIMEOUT, CLOSED and what the stream says; SYNTAX, LIMIT and PROTOCOL (another code in a
 * later line) for a server that cannot be understood: after any failure the connection is of no
 * use. *reply then holds what had come. */
struct status smtp_reply_in_read(struct smtp_reply_in *reply, struct stream *stream,
                                 const struct clock *clock, int timeout_ms);

/* The i-th line, code and all; empty beyond the last. */
struct slice smtp_reply_in_line(const struct smtp_reply_in *reply, size_t i);
/* The i-th line's text alone. */
struct slice smtp_reply_in_text(const struct smtp_reply_in *reply, size_t i);
