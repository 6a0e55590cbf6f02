/* The lexical layer of RFC 5322 section 3.2, shared by every structured header field.
 *
 * A lexer walks over a field's value, folded or not: CR, LF, SP and HTAB are blanks, comments nest
 * (counted, never recursed), quoted strings may hold anything. It is total: any bytes give tokens,
 * and its work is linear in the input. Tokens are slices of the input; message_lex_text makes their
 * meaning.
 */
#pragma once

#include "base/slice.h"

enum message_token {
	MESSAGE_TOKEN_END,
	MESSAGE_TOKEN_ATOM,    /* atext and bytes >= 0x80 (RFC 6532), without dots */
	MESSAGE_TOKEN_QUOTED,  /* with its quotes */
	MESSAGE_TOKEN_LITERAL, /* "[...]" of a domain literal, with its brackets */
	MESSAGE_TOKEN_SPECIAL, /* one byte: a dot, another special, a control character, a lone
	                          quote */
};

struct message_lex {
	struct slice in;
	size_t at;
	bool no_quote_end;   /* no quoted string ends any more: a quote is an ordinary character */
	bool no_bracket_end; /* the same for literals */
	struct slice
	        comment; /* inside of the last comment that was skipped, without its parentheses */
	bool has_comment;

	/* Of the token that message_lex_next gave last. */
	struct slice token;
	bool gap; /* blanks or comments stood before it */
};

struct message_lex message_lex_of(struct slice value);

/* Blanks and comments (CFWS). True when there were any. A comment that never ends reaches to the
 * end of the input. */
bool message_lex_skip_blank(struct message_lex *lex);

enum message_token message_lex_next(struct message_lex *lex);

/* Takes a quoted string (at its opening quote) with its quotes. False, and nothing is taken, when
 * it never ends. */
bool message_lex_quoted(struct message_lex *lex, struct slice *ret_quoted);

/* Writes the meaning of a quoted string's or comment's inside: folding (CR LF) and the backslash of
 * quoted pairs removed. `out` has room for raw.n bytes; gives the number written. */
size_t message_lex_unescape(struct slice raw, uint8_t *out);

/* RFC 5322 section 3.2.3, with UTF-8. */
bool message_is_atext(uint8_t c);
