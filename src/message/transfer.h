/* Content-Transfer-Encodings undone, as a stream (RFC 2045 section 6). */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

enum message_encoding {
	MESSAGE_ENCODING_IDENTITY, /* 7bit, 8bit, binary */
	MESSAGE_ENCODING_QUOTED_PRINTABLE,
	MESSAGE_ENCODING_BASE64,
	MESSAGE_ENCODING_UUENCODE, /* x-uuencode, x-uue, uuencode */
	MESSAGE_ENCODING_UNKNOWN,  /* decodes as identity; RFC 2045 section 6.4 */
};

#define MESSAGE_TRANSFER_HELD_MAX                                                                  \
	256u /* blanks at the end of a quoted-printable line that are held */

#define MESSAGE_TRANSFER_SLACK 4u

/* Caller's storage; no end needed. */
struct message_transfer {
	enum message_encoding encoding;
	bool damaged; /* something was skipped or completed: what came out may be incomplete */

	uint32_t bits;   /* base64, uuencode: of the group under way */
	unsigned n_bits; /* characters in it */
	bool padded;     /* base64: "=" ended the group */
	uint8_t uu_state;
	unsigned uu_left; /* bytes that the line still gives */
	size_t n_held;
	uint8_t held[MESSAGE_TRANSFER_HELD_MAX];
};

/* name: a Content-Transfer-Encoding, any case; empty is 7bit. */
enum message_encoding message_encoding_of(struct slice name);

void message_transfer_init(struct message_transfer *transfer, enum message_encoding encoding);
/* Appends what is decoded, for which `out` must have room: at most bytes.n + n_held +
 * MESSAGE_TRANSFER_SLACK bytes. The same output at any
 * split. What the encoding does not know is skipped (base64) or kept as it is (quoted-printable).
 */
void message_transfer_feed(struct message_transfer *transfer, struct slice bytes, struct buf *out);
void message_transfer_finish(struct message_transfer *transfer, struct buf *out);

/* Lines of 76 characters with CRLF behind each. */
void message_base64_encode(struct slice bytes, struct buf *out);
/* Text whose lines end in CRLF; other control characters and bytes >= 0x80 are encoded, and blanks
 * at a line's end. */
void message_quoted_printable_encode(struct slice text, struct buf *out);
