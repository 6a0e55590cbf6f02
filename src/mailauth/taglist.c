/* Tag lists (RFC 6376 section 3.2):
 *
 *   tag-list  = tag-spec *( ";" tag-spec ) [ ";" ]
 *   tag-spec  = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
 *   tag-name  = ALPHA *( ALPHA / DIGIT / "_" )
 *   tag-value = [ tval *( 1*(WSP / FWS) tval ) ]
 *   tval      = 1*VALCHAR                     ; "!" to "~" but ";"; UTF-8 as well (RFC 8616)
 *
 * FWS is read as any run of SP, HTAB, CR and LF: a list comes from a field that was cut by the one
 * field parser, or from the DNS, where a line end means nothing anyway.
 */
#include "mailauth/taglist.h"

#include "base/cursor.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_tag_name(uint8_t c)
{
	return ascii_is_alnum(c) || c == '_';
}

static bool is_in_value(uint8_t c)
{
	return is_blank(c) || (c > 0x20 && c != 0x7f && c != ';');
}

static void tag_spec(struct cursor *c, struct mailauth_tag *ret_tag)
{
	(void)cursor_while(c, is_blank);
	ret_tag->name = cursor_while(c, is_tag_name);
	if (ret_tag->name.n == 0 || !ascii_is_alpha(ret_tag->name.p[0]))
		cursor_fail(c, "a tag without a name");
	(void)cursor_while(c, is_blank);
	cursor_expect(c, '=', "a tag without '='");
	ret_tag->raw = cursor_while(c, is_in_value);
	ret_tag->value = slice_trim(ret_tag->raw);
}

static bool is_known(const struct mailauth_tag *tags, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(tags[i].name, name))
			return true;
	return false;
}

struct status mailauth_taglist_parse(struct slice text, struct arena *arena,
                                     struct mailauth_taglist *ret_list)
{
	struct mailauth_tag tags[MAILAUTH_TAGS_MAX];
	size_t n = 0;
	struct cursor c = cursor_of(text);
	do {
		struct mailauth_tag tag;
		if (n == MAILAUTH_TAGS_MAX)
			return fail(ERR_LIMIT, "too many tags");
		tag_spec(&c, &tag);
		TRY(cursor_status(&c));
		if (is_known(tags, n, tag.name))
			return fail(ERR_SYNTAX, "a tag occurs twice");
		tags[n++] = tag;
		if (!cursor_skip(&c, ';'))
			break;
		(void)cursor_while(&c, is_blank);
	} while (!cursor_at_end(&c));
	cursor_expect_end(&c, "a byte that no tag's value may have");
	TRY(cursor_status(&c));
	struct mailauth_tag *v = ARENA_ARRAY(arena, n, struct mailauth_tag);
	if (!v)
		return fail(ERR_LIMIT, "no room for a tag list");
	memcpy(v, tags, n * sizeof(*v));
	*ret_list = (struct mailauth_taglist){v, n};
	return ok();
}

const struct mailauth_tag *mailauth_taglist_find(const struct mailauth_taglist *list,
                                                 const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (slice_eq_str(list->v[i].name, name))
			return &list->v[i];
	return NULL;
}

struct slice mailauth_tag_strip(struct slice value, struct arena *arena)
{
	size_t n_blanks = 0;
	for (size_t i = 0; i < value.n; i++)
		n_blanks += is_blank(value.p[i]);
	if (n_blanks == 0)
		return value;
	uint8_t *out = arena_alloc(arena, value.n - n_blanks);
	size_t n = 0;
	if (!out)
		return slice_empty();
	for (size_t i = 0; i < value.n; i++)
		if (!is_blank(value.p[i]))
			out[n++] = value.p[i];
	return slice_of(out, n);
}

struct mailauth_items mailauth_items_of(struct slice value, uint8_t separator)
{
	return (struct mailauth_items){.rest = value, .separator = separator};
}

bool mailauth_items_next(struct mailauth_items *items, struct slice *ret_item)
{
	if (items->ended)
		return false;
	struct slice item;
	items->ended = !slice_cut(items->rest, items->separator, &item, &items->rest);
	*ret_item = slice_trim(item);
	return true;
}
