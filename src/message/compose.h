/* Writing of header fields: folded, encoded where needed, and never more than one field.
 *
 * Values may come from peers: CR, LF, NUL and other control characters in them are refused, sticky,
 * by the writer, so that no caller can forget it. Use: init, fields, end.
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"
#include "message/address.h"

#define MESSAGE_LINE_FOLD 78u  /* characters (RFC 5322 section 2.1.1); lines are folded to fit */
#define MESSAGE_LINE_MAX  998u /* a word that makes a line longer is refused */

struct message_compose {
	struct buf *out; /* the caller's; its ceiling counts */
	bool utf8;       /* UTF-8 may stand in the header (SMTPUTF8, RFC 6532) */
	size_t column;
	struct status status;
};

void message_compose_init(struct message_compose *compose, struct buf *out, bool utf8);

/* A structured field, as its grammar wants it (Received, Message-ID): folded at its spaces. Bytes
 * >= 0x80 are refused unless utf8. */
void message_compose_structured(struct message_compose *compose, const char *name,
                                struct slice value);

/* The same in parts, each of which begins a line. */
void message_compose_lines(struct message_compose *compose, const char *name,
                           const struct slice *parts, size_t n_parts);

/* Text for people (Subject): UTF-8, as encoded words where it must be. */
void message_compose_text(struct message_compose *compose, const char *name, struct slice text);

/* From, To, ...: display names as encoded words, international domains as A-labels where there may
 * be no UTF-8; a local part beyond ASCII is refused then. INVALID addresses are refused. */
void message_compose_addresses(struct message_compose *compose, const char *name,
                               const struct message_address *addresses, size_t n);

/* Date and its like. */
void message_compose_date(struct message_compose *compose, const char *name, int64_t unix_s,
                          int zone_minutes);

/* The blank line between header and body. */
void message_compose_end_header(struct message_compose *compose);

/* What failed first: INVALID for a value that may not be written, UNSUPPORTED for one that needs
 * utf8, LIMIT for a full buffer or an endless word. What was written is of no use then. */
struct status message_compose_status(const struct message_compose *compose);
