/* The fields of a header block in memory (RFC 5322 section 2.2, obsolete forms of section 4.5).
 *
 * All slices point into the block. A line that is no field (no colon, blanks in the name) is given
 * too, marked bad, so that whoever copies a header loses nothing.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

struct message_field {
	struct slice raw;   /* the whole field with all its line ends */
	struct slice name;  /* blanks before the colon ("Name :") removed; empty when bad */
	struct slice value; /* after the colon, as it came, without the last line end */
	bool bad;
};

struct message_headers {
	struct slice block;
	size_t at;
	size_t n_fields; /* given so far; not more than MESSAGE_HEADERS_MAX */
	bool ended;      /* the blank line or the end was reached */
};

/* block: a header with or without its blank line; what follows the blank line is never looked at.
 */
struct message_headers message_headers_of(struct slice block);
/* The next field; false at the blank line, at the end or at MESSAGE_HEADERS_MAX (then `ended` is
 * not set). */
bool message_headers_next(struct message_headers *headers, struct message_field *ret_field);

/* Finds the blank line of a message that comes in pieces. */
struct message_header_end {
	bool found;
	enum { MESSAGE_AT_LINE, MESSAGE_AT_CR, MESSAGE_IN_LINE } state; /* 0: nothing seen yet */
};
/* How many of the bytes belong to the header, its blank line included: all of them while it has not
 * been found. */
size_t message_header_end_feed(struct message_header_end *end, struct slice bytes);

/* The first field of that name, ASCII case-insensitively. */
bool message_headers_find(struct slice block, const char *name, struct message_field *ret_field);

/* Takes one field (all of its lines) apart. */
struct message_field message_field_of(struct slice raw);

/* The value in one line (RFC 5322 section 2.2.3): trimmed; line ends are removed, and become a
 * space where no blank follows them. Points into the value when there was nothing to remove. A bare
 * CR or LF is never left in. Empty when the arena's budget is exhausted. */
struct slice message_unfold(struct slice value, struct arena *arena);
