/* Tokens of structured header fields (RFC 5322 section 3.2).
 *
 *   atext   = ALPHA / DIGIT / any of !#$%&'*+-/=?^_`{|}~ / UTF8-non-ascii
 *   comment = "(" *([FWS] (ctext / quoted-pair / comment)) [FWS] ")"
 *   quoted-string = DQUOTE *([FWS] (qtext / quoted-pair)) [FWS] DQUOTE
 *
 * A quoted string or literal that never ends is no quoted string: its first byte becomes a special.
 * Having looked for the end once and in vain, the lexer does not look again: work stays linear.
 */
#include "message/lex.h"

static const bool atext[256] = {
        ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,   ['!'] = true,
        ['#'] = true,         ['$'] = true,         ['%'] = true,           ['&'] = true,
        ['\''] = true,        ['*'] = true,         ['+'] = true,           ['-'] = true,
        ['/'] = true,         ['='] = true,         ['?'] = true,           ['^'] = true,
        ['_'] = true,         ['`'] = true,         ['{'] = true,           ['|'] = true,
        ['}'] = true,         ['~'] = true,         [0x80 ... 0xff] = true,
};

bool message_is_atext(uint8_t c)
{
	return atext[c];
}

struct message_lex message_lex_of(struct slice value)
{
	return (struct message_lex){.in = value, .comment = SLICE(""), .token = SLICE("")};
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* At "(": takes the comment with all that nest in it. */
static void skip_comment(struct message_lex *lex)
{
	size_t depth = 0, start = lex->at + 1, i = lex->at;
	for (; i < lex->in.n; i++) {
		uint8_t c = lex->in.p[i];
		if (c == '(')
			depth++;
		else if (c == '\\')
			i++;
		else if (c == ')' && --depth == 0)
			break;
	}
	size_t end = MIN(i, lex->in.n);
	lex->comment = slice_sub(lex->in, start, end - MIN(start, end));
	lex->has_comment = true;
	lex->at = MIN(end + 1, lex->in.n);
}

bool message_lex_skip_blank(struct message_lex *lex)
{
	size_t start = lex->at;
	while (lex->at < lex->in.n) {
		uint8_t c = lex->in.p[lex->at];
		if (c == '(')
			skip_comment(lex);
		else if (is_blank(c))
			lex->at++;
		else
			break;
	}
	return lex->at > start;
}

/* From the opening byte at lex->at to the closing one; quoted pairs are skipped. */
static bool take_enclosed(struct message_lex *lex, uint8_t close, struct slice *ret_enclosed)
{
	for (size_t i = lex->at + 1; i < lex->in.n; i++) {
		uint8_t c = lex->in.p[i];
		if (c == '\\') {
			i++;
		} else if (c == close) {
			*ret_enclosed = slice_sub(lex->in, lex->at, i + 1 - lex->at);
			lex->at = i + 1;
			return true;
		}
	}
	return false;
}

bool message_lex_quoted(struct message_lex *lex, struct slice *ret_quoted)
{
	if (lex->no_quote_end || lex->at >= lex->in.n || lex->in.p[lex->at] != '"')
		return false;
	if (take_enclosed(lex, '"', ret_quoted))
		return true;
	lex->no_quote_end = true;
	return false;
}

static bool literal(struct message_lex *lex)
{
	if (lex->no_bracket_end)
		return false;
	lex->no_bracket_end = !take_enclosed(lex, ']', &lex->token);
	return !lex->no_bracket_end;
}

enum message_token message_lex_next(struct message_lex *lex)
{
	lex->gap = message_lex_skip_blank(lex);
	size_t start = lex->at;
	lex->token = slice_sub(lex->in, start, 0);
	if (start >= lex->in.n)
		return MESSAGE_TOKEN_END;
	uint8_t c = lex->in.p[start];
	if (c == '"' && message_lex_quoted(lex, &lex->token))
		return MESSAGE_TOKEN_QUOTED;
	if (c == '[' && literal(lex))
		return MESSAGE_TOKEN_LITERAL;
	while (lex->at < lex->in.n && atext[lex->in.p[lex->at]])
		lex->at++;
	bool special = lex->at == start;
	lex->at += special;
	lex->token = slice_sub(lex->in, start, lex->at - start);
	return special ? MESSAGE_TOKEN_SPECIAL : MESSAGE_TOKEN_ATOM;
}

size_t message_lex_unescape(struct slice raw, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < raw.n; i++) {
		uint8_t c = raw.p[i];
		if (c == '\\' && i + 1 < raw.n)
			c = raw.p[++i];
		if (c != '\r' && c != '\n')
			out[n++] = c;
	}
	return n;
}
