/* Encoded words of header fields (RFC 2047, RFC 2231 section 5). */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

/* A field's value (folded or not) as UTF-8 for people and for searching: unfolded, encoded words
 * decoded, blanks between adjacent ones dropped, characters that are split over adjacent words of
 * one charset put together; bytes >= 0x80 outside of words are UTF-8 where valid, else
 * windows-1252. A word that cannot be understood stays as it came. The output holds no CR, LF or
 * NUL, whatever was encoded (each becomes a space), and is valid UTF-8. Work is linear. Encoded
 * words are found anywhere, also where RFC 2047 does not allow them (inside quoted strings, next to
 * other text). */
void message_words_decode(struct slice value, struct buf *out);

/* UTF-8 text as encoded words that may stand in unstructured fields and in phrases, as few as
 * needed, folded with CRLF and a space so that no line is longer than 76 characters. column:
 * characters already on the line. Text that needs no encoding is written as it is (not folded).
 * Invalid UTF-8 becomes U+FFFD. */
void message_words_encode(struct slice text, size_t column, struct buf *out);

/* True when message_words_encode would encode it: bytes >= 0x80, control characters, or what looks
 * like an encoded word. */
bool message_words_needed(struct slice text);
