/* Identifiers:
 *
 *   msg-id = [CFWS] "<" id-left "@" id-right ">" [CFWS]              RFC 5322 section 3.6.4
 *
 * What stands between the brackets is not checked further: it is an opaque string that others
 * compare. Blanks inside (folds) are dropped. Limits: MESSAGE_IDS_MAX, MESSAGE_ID_SIZE_MAX.
 */
#include "message/msgid.h"

#include "message/lex.h"

static bool is_blank_or_control(uint8_t c)
{
	return c <= ' ' || c == 0x7f;
}

/* Without blanks and control characters. */
static struct slice squeeze(struct slice s, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, s.n);
	size_t n = 0;
	for (size_t i = 0; out && i < s.n; i++)
		if (!is_blank_or_control(s.p[i]))
			out[n++] = s.p[i];
	return slice_of(out, n);
}

/* Behind "<": up to ">" that is not quoted. False when there is none. */
static bool take_id(struct message_lex *lex, struct slice *ret_id)
{
	struct slice quoted;
	size_t start = lex->at;
	while (lex->at < lex->in.n) {
		uint8_t c = lex->in.p[lex->at];
		if (c == '>' || c == '<') {
			*ret_id = slice_sub(lex->in, start, lex->at - start);
			lex->at += c == '>';
			return c == '>';
		}
		if (!(c == '"' && message_lex_quoted(lex, &quoted)))
			lex->at++;
	}
	return false;
}

/* The next "<...>"; false at the end. */
static bool next_id(struct message_lex *lex, struct slice *ret_id)
{
	struct slice quoted;
	for (;;) {
		message_lex_skip_blank(lex);
		if (lex->at >= lex->in.n)
			return false;
		uint8_t c = lex->in.p[lex->at];
		if (c == '"' && message_lex_quoted(lex, &quoted))
			continue;
		lex->at++;
		if (c == '<' && take_id(lex, ret_id))
			return true;
	}
}

static bool add_id(struct slice id, struct arena *arena, struct message_ids *ids)
{
	if (ids->n == MESSAGE_IDS_MAX || id.n > MESSAGE_ID_SIZE_MAX) {
		ids->truncated = true;
		return ids->n < MESSAGE_IDS_MAX;
	}
	if ((ids->n & (ids->n - 1)) == 0) {
		struct slice *v = ARENA_ARRAY(arena, MAX(ids->n * 2, 1), struct slice);
		if (!v) {
			ids->truncated = true;
			return false;
		}
		if (ids->n > 0)
			memcpy(v, ids->v, ids->n * sizeof(*v));
		ids->v = v;
	}
	struct slice squeezed = squeeze(id, arena);
	if (squeezed.n > 0)
		ids->v[ids->n++] = squeezed;
	return true;
}

void message_ids_parse(struct slice value, struct arena *arena, struct message_ids *ret_ids)
{
	struct message_lex lex = message_lex_of(value);
	struct slice id;
	*ret_ids = (struct message_ids){0};
	while (next_id(&lex, &id) && add_id(id, arena, ret_ids))
		;
}

static struct slice first_word(struct slice value)
{
	struct message_lex lex = message_lex_of(value);
	message_lex_skip_blank(&lex);
	size_t start = lex.at;
	while (lex.at < lex.in.n && !is_blank_or_control(lex.in.p[lex.at]) &&
	       lex.in.p[lex.at] != '<' && lex.in.p[lex.at] != '>')
		lex.at++;
	return slice_sub(lex.in, start, lex.at - start);
}

bool message_id_parse(struct slice value, struct arena *arena, struct slice *ret_id)
{
	struct message_lex lex = message_lex_of(value);
	struct slice id;
	if (!next_id(&lex, &id))
		id = first_word(value);
	if (id.n > MESSAGE_ID_SIZE_MAX)
		return false;
	id = squeeze(id, arena);
	if (id.n == 0)
		return false;
	*ret_id = id;
	return true;
}
