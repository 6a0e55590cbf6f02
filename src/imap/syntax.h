/* Words of IMAP's grammar, read from one whole command (RFC 9051 section 9, RFC 3501 section 9).
 *
 * A command is one unit: its lines and, in place, its literals ("{5}\r\nhello"), as imap_reader
 * cuts it. All functions read from a cursor with a sticky error and return slices into the unit, or
 * into the arena where quoting had to be removed.
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"

#define IMAP_TAG_MAX     128u /* bytes */
#define IMAP_KEYWORD_MAX 100u /* bytes of a flag keyword */

bool imap_is_atom_char(uint8_t c);
bool imap_is_astring_char(uint8_t c); /* ATOM-CHAR or "]" */
bool imap_is_list_char(uint8_t c);    /* the same or a wildcard */
bool imap_is_tag_char(uint8_t c);     /* ASTRING-CHAR but "+" */

struct slice imap_tag(struct cursor *c);
void imap_sp(struct cursor *c); /* exactly one space */
struct slice imap_atom(struct cursor *c);

/* quoted / literal. Neither may hold NUL; a quoted string neither CR nor LF. Bytes from 0x80 are
 * let through: who uses the text checks that it is UTF-8. */
struct slice imap_string(struct cursor *c, struct arena *arena);
struct slice imap_astring(struct cursor *c, struct arena *arena);
/* astring, but wildcards are allowed in its unquoted form (LIST's patterns). */
struct slice imap_list_mailbox(struct cursor *c, struct arena *arena);
/* NIL / string; *ret_is_nil tells. */
struct slice imap_nstring(struct cursor *c, struct arena *arena, bool *ret_is_nil);

/* A number above 0, and one of 63 bits (mod-sequence-value allows 0, RFC 7162). */
uint32_t imap_nz_number(struct cursor *c);
uint32_t imap_number(struct cursor *c);
uint64_t imap_number64(struct cursor *c);

/* The head of a literal at the end of a line: "{n}", "{n+}" or "~{n}", "~{n+}" (RFC 7888, 9051). */
struct imap_literal {
	uint64_t size;
	bool non_sync; /* the client does not wait for "+" */
	bool binary;   /* literal8 */
	size_t head_size;
};
/* True when line (without its CRLF) ends in one. */
bool imap_literal_at_end(struct slice line, struct imap_literal *ret_literal);

/* date = "1-Feb-1994" or the same quoted: days since 1970-01-01 (RFC 9051 "date"). */
int32_t imap_date(struct cursor *c);
/* date-time = DQUOTE date-day-fixed "-" month "-" year SP time SP zone DQUOTE: unix seconds. */
int64_t imap_date_time(struct cursor *c);

/* flag-list's content: system flags as STORE_* bits are the caller's; here only words.
 * flag = "\" atom / atom; the backslash is part of the slice. */
struct slice imap_flag(struct cursor *c);
