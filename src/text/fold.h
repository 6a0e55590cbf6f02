/* Text made comparable: the collations of IMAP SEARCH and SORT (RFC 4790, RFC 5051), and NFC.
 *
 * A collation's key is the text changed so that equal texts become equal bytes; "contains" is a
 * search of the key of one in the key of the other. All take UTF-8; invalid bytes become U+FFFD.
 * Text may be given in pieces of whole characters: keys of pieces joined are the key of the whole.
 */
#pragma once

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

/* i;unicode-casemap (RFC 5051 section 2): title case by the simple mapping, then full
 * decomposition. */
void text_unicode_casemap(struct slice text, struct buf *out);

/* i;ascii-casemap (RFC 4790 section 9.2): a-z become A-Z, all else stays, invalid bytes too. */
void text_ascii_casemap(struct slice text, struct buf *out);

/* Unicode normalisation form C of a whole text (not in pieces). SYNTAX when it is not UTF-8. */
struct status text_nfc(struct slice text, struct buf *out);
bool text_is_nfc(struct slice text);
