/* MIME parameters:
 *
 *   content   = type "/" subtype *(";" parameter)                      RFC 2045 section 5.1
 *   parameter = attribute "=" value; value = token / quoted-string
 *   attribute = name [ "*" section ] [ "*" ]                           RFC 2231 section 7
 *   extended-initial-value = [charset] "'" [language] "'" *(ext-octet / attribute-char)
 *
 * Sections are joined in the order of their numbers from 0 up to the first that is missing. Of
 * several forms of one parameter the one with a charset wins, then the sections, then the plain
 * one; of two alike the first. A token's value ends at a blank or ";": what follows up to the next
 * ";" is ignored.
 *
 * Not done: no decoding of encoded words in values (RFC 2047 section 5 forbids them);
 * message/word.h can be asked where they shall be shown. Limits: MESSAGE_PARAMS_MAX parameters,
 * sections counted singly.
 */
#include "message/param.h"

#include "message/lex.h"
#include "text/charset.h"

/* One parameter as it stands in the field. */
struct piece {
	struct slice name;  /* lower case, without section and "*" */
	uint32_t section;   /* NO_SECTION when there is none */
	bool extended;      /* "*" at the end */
	struct slice value; /* unquoted */
	bool done;
};
#define NO_SECTION UINT32_MAX

static bool is_token_byte(uint8_t c)
{
	/* tspecials of RFC 2045 section 5.1; bytes >= 0x80 and dots are let through. */
	static const char tspecials[] = "()<>@,;:\\\"/[]?=";
	return c > ' ' && c != 0x7f && !memchr(tspecials, c, sizeof(tspecials) - 1);
}

static struct slice take_token(struct message_lex *lex)
{
	size_t start = lex->at;
	while (lex->at < lex->in.n && is_token_byte(lex->in.p[lex->at]))
		lex->at++;
	return slice_sub(lex->in, start, lex->at - start);
}

static struct slice lower(struct slice s, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, s.n);
	if (!out)
		return slice_empty();
	for (size_t i = 0; i < s.n; i++)
		out[i] = ascii_lower(s.p[i]);
	return slice_of(out, s.n);
}

static uint8_t next_byte(const struct message_lex *lex)
{
	return lex->at < lex->in.n ? lex->in.p[lex->at] : 0;
}

/* --------------------------------------------------------------------------- one parameter */

/* Tokens of values may hold what tspecials forbid but is harmless: "name==?utf-8?q?x?=", "a/b". */
static struct slice take_loose_value(struct message_lex *lex)
{
	size_t start = lex->at;
	for (; lex->at < lex->in.n; lex->at++) {
		uint8_t c = lex->in.p[lex->at];
		if (c <= ' ' || c == ';' || c == '(' || c == 0x7f)
			break;
	}
	return slice_sub(lex->in, start, lex->at - start);
}

/* After a quote that is never closed: up to the next ";". */
static struct slice take_unclosed(struct message_lex *lex)
{
	struct slice rest = slice_from(lex->in, lex->at + 1);
	struct slice value = slice_sub(rest, 0, slice_index(rest, ';'));
	lex->at += 1 + value.n;
	return slice_trim(value);
}

static struct slice take_value(struct message_lex *lex, struct arena *arena)
{
	struct slice quoted;
	message_lex_skip_blank(lex);
	if (next_byte(lex) != '"')
		return arena_copy(arena, take_loose_value(lex));
	if (message_lex_quoted(lex, &quoted))
		quoted = slice_sub(quoted, 1, quoted.n - 2);
	else
		quoted = take_unclosed(lex);
	uint8_t *out = arena_alloc(arena, quoted.n);
	if (!out)
		return slice_empty();
	return slice_of(out, message_lex_unescape(quoted, out));
}

/* Splits "filename*0*" into name, section and star. */
static void split_attribute(struct slice attribute, struct piece *piece)
{
	struct slice base, section;
	piece->section = NO_SECTION;
	piece->extended = slice_ends(attribute, SLICE("*"));
	if (piece->extended)
		attribute.n--;
	piece->name = attribute;
	size_t star = slice_rindex(attribute, '*');
	if (star == SIZE_MAX)
		return;
	base = slice_sub(attribute, 0, star);
	section = slice_from(attribute, star + 1);
	bool leading_zero = section.n > 1 && section.p[0] == '0';
	if (!leading_zero && slice_to_u32(section, MESSAGE_PARAMS_MAX - 1, &piece->section))
		piece->name = base;
	else
		piece->section = NO_SECTION;
}

/* Up to and with the next ";" that is not quoted or in a comment. */
static void skip_to_next(struct message_lex *lex)
{
	struct slice quoted;
	for (;;) {
		message_lex_skip_blank(lex);
		if (lex->at >= lex->in.n)
			return;
		if (next_byte(lex) == '"' && message_lex_quoted(lex, &quoted))
			continue;
		if (lex->in.p[lex->at++] == ';')
			return;
	}
}

/* After a ";". False when there is no parameter here. */
static bool take_piece(struct message_lex *lex, struct arena *arena, struct piece *ret_piece)
{
	message_lex_skip_blank(lex);
	struct slice attribute = take_token(lex);
	message_lex_skip_blank(lex);
	if (attribute.n == 0 || next_byte(lex) != '=')
		return false;
	lex->at++;
	struct piece piece = {0};
	split_attribute(lower(attribute, arena), &piece);
	piece.value = take_value(lex, arena);
	if (piece.name.n == 0)
		return false;
	*ret_piece = piece;
	return true;
}

/* --------------------------------------------------------------------------- joining them */

struct pieces {
	struct piece v[MESSAGE_PARAMS_MAX];
	size_t n;
};

static struct piece *find_piece(struct pieces *pieces, struct slice name, uint32_t section,
                                int extended)
{
	for (size_t i = 0; i < pieces->n; i++) {
		struct piece *piece = &pieces->v[i];
		if (!piece->done && piece->section == section && slice_eq(piece->name, name) &&
		    (extended < 0 || piece->extended == (extended > 0)))
			return piece;
	}
	return NULL;
}

static bool is_escape(struct slice s)
{
	return s.n >= 3 && s.p[0] == '%' && ascii_hex_value(s.p[1]) >= 0 &&
	       ascii_hex_value(s.p[2]) >= 0;
}

static void add_percent_decoded(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_escape(slice_from(s, i))) {
			int byte = ascii_hex_value(s.p[i + 1]) << 4 | ascii_hex_value(s.p[i + 2]);
			buf_add_byte(out, (uint8_t)byte);
			i += 2;
		} else {
			buf_add_byte(out, s.p[i]);
		}
	}
}

/* A section without "*" among others with it is literal text. */
static void add_percent_encoded(struct buf *out, struct slice s, bool encode)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		if (encode && (!is_token_byte(c) || c == '%' || c == '\'' || c == '*' || c >= 0x80))
			buf_printf(out, "%%%02X", c);
		else
			buf_add_byte(out, c);
	}
}

/* A "%" that begins no escape becomes one, lest it does together with the next section. */
static void add_mended(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		buf_add_byte(out, s.p[i]);
		if (s.p[i] == '%' && !is_escape(slice_from(s, i)))
			buf_add_str(out, "25");
	}
}

/* charset'language'text: cuts off the first two. False when the quotes are missing. */
static bool cut_charset(struct slice value, struct slice *ret_charset, struct slice *ret_text)
{
	struct slice rest, language;
	return slice_cut(value, '\'', ret_charset, &rest) &&
	       slice_cut(rest, '\'', &language, ret_text);
}

struct joined {
	bool extended;
	struct buf raw;   /* as it came, sections concatenated */
	struct buf bytes; /* percent-decoded where extended, charset cut off */
	struct slice charset;
	bool has_charset;
};

static void join_piece(struct joined *joined, const struct piece *piece, bool first)
{
	struct slice text = piece->value;
	if (!piece->extended) {
		add_percent_encoded(&joined->raw, text, joined->extended);
		buf_add(&joined->bytes, text);
		return;
	}
	if (first)
		joined->has_charset = cut_charset(text, &joined->charset, &text);
	if (first && !joined->has_charset) {
		/* Quotes in later sections must not become those of a charset. */
		buf_add_str(&joined->raw, "''");
		joined->charset = slice_empty();
		text = piece->value;
	}
	add_mended(&joined->raw, piece->value);
	add_percent_decoded(&joined->bytes, text);
}

/* The charset of an extended value without one is unknown; UTF-8 is what is meant. */
static void finish_join(struct joined *joined, struct arena *arena, struct message_param *param)
{
	struct buf text;
	param->raw = arena_copy(arena, buf_slice(&joined->raw));
	param->extended = joined->extended;
	if (!joined->extended) {
		param->value = param->raw;
		return;
	}
	buf_init(&text, joined->bytes.n * 4 + 16);
	struct slice charset = joined->charset.n > 0 ? joined->charset : SLICE("utf-8");
	/* An unknown charset is guessed. */
	(void)!is_ok(text_decode(charset, buf_slice(&joined->bytes), &text));
	param->value = arena_copy(arena, buf_slice(&text));
	buf_done(&text);
}

/* The pieces of one parameter, from `first` on: one piece without a section or all of section 0..
 */
static void join(struct pieces *pieces, struct piece *first, struct arena *arena,
                 struct message_param *param)
{
	struct joined joined = {.extended = first->extended, .charset = SLICE("")};
	param->name = first->name;
	if (!first->extended && first->section == NO_SECTION) {
		param->raw = param->value = first->value;
		return;
	}
	buf_init(&joined.raw, 3 * (size_t)MESSAGE_FIELD_SIZE_MAX);
	buf_init(&joined.bytes, MESSAGE_FIELD_SIZE_MAX);
	join_piece(&joined, first, true);
	uint32_t section = first->section;
	while (section != NO_SECTION) {
		struct piece *next = find_piece(pieces, first->name, ++section, -1);
		if (!next)
			break;
		join_piece(&joined, next, false);
	}
	finish_join(&joined, arena, param);
	buf_done(&joined.raw);
	buf_done(&joined.bytes);
}

static void mark_done(struct pieces *pieces, struct slice name)
{
	for (size_t i = 0; i < pieces->n; i++)
		if (slice_eq(pieces->v[i].name, name))
			pieces->v[i].done = true;
}

/* The piece that the parameter `name` is made from; NULL when it has sections but no section 0. */
static struct piece *best_piece(struct pieces *pieces, struct slice name)
{
	struct piece *piece = find_piece(pieces, name, NO_SECTION, 1);
	if (!piece)
		piece = find_piece(pieces, name, 0, -1);
	return piece ? piece : find_piece(pieces, name, NO_SECTION, 0);
}

static void parse_params(struct message_lex *lex, struct arena *arena,
                         struct message_params *ret_params)
{
	struct pieces pieces = {.n = 0};
	*ret_params = (struct message_params){0};
	while (lex->at < lex->in.n) {
		if (pieces.n == MESSAGE_PARAMS_MAX) {
			ret_params->truncated = true;
			break;
		}
		pieces.n += take_piece(lex, arena, &pieces.v[pieces.n]);
		skip_to_next(lex);
	}
	if (pieces.n == 0)
		return;
	ret_params->v = ARENA_ARRAY(arena, pieces.n, struct message_param);
	for (size_t i = 0; i < pieces.n && ret_params->v; i++) {
		struct piece *first =
		        pieces.v[i].done ? NULL : best_piece(&pieces, pieces.v[i].name);
		if (first)
			join(&pieces, first, arena, &ret_params->v[ret_params->n++]);
		mark_done(&pieces, pieces.v[i].name);
	}
}

/* --------------------------------------------------------------------------------- fields */

void message_content_type_parse(struct slice value, struct arena *arena,
                                struct message_content_type *ret_type)
{
	struct message_lex lex = message_lex_of(value);
	message_lex_skip_blank(&lex);
	struct slice type = take_token(&lex), subtype = slice_empty();
	message_lex_skip_blank(&lex);
	if (next_byte(&lex) == '/') {
		lex.at++;
		message_lex_skip_blank(&lex);
		subtype = take_token(&lex);
	}
	*ret_type = (struct message_content_type){.type = SLICE("text"), .subtype = SLICE("plain")};
	ret_type->valid = type.n > 0 && subtype.n > 0;
	if (ret_type->valid) {
		ret_type->type = lower(type, arena);
		ret_type->subtype = lower(subtype, arena);
	}
	skip_to_next(&lex);
	parse_params(&lex, arena, &ret_type->params);
}

void message_disposition_parse(struct slice value, struct arena *arena, struct slice *ret_token,
                               struct message_params *ret_params)
{
	struct message_lex lex = message_lex_of(value);
	message_lex_skip_blank(&lex);
	*ret_token = lower(take_token(&lex), arena);
	skip_to_next(&lex);
	parse_params(&lex, arena, ret_params);
}

struct slice message_token_parse(struct slice value, struct arena *arena)
{
	struct message_lex lex = message_lex_of(value);
	message_lex_skip_blank(&lex);
	return arena_copy(arena, take_token(&lex));
}

struct slice *message_token_list_parse(struct slice value, struct arena *arena, size_t *ret_n)
{
	struct slice *list = NULL;
	struct message_lex lex = message_lex_of(value);
	*ret_n = 0;
	while (lex.at < lex.in.n && *ret_n < MESSAGE_PARAMS_MAX) {
		message_lex_skip_blank(&lex);
		struct slice token = take_token(&lex);
		if (token.n == 0) {
			lex.at++;
			continue;
		}
		if (!list)
			list = ARENA_ARRAY(arena, MESSAGE_PARAMS_MAX, struct slice);
		if (!list)
			break;
		list[(*ret_n)++] = arena_copy(arena, token);
	}
	return list;
}
