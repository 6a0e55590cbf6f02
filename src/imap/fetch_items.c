/* The grammar of FETCH.
 *
 *   fetch         = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
 *                   "(" fetch-att *(SP fetch-att) ")") [SP "(" fetch-modifier *(SP fetch-modifier)
 * ")"] section       = "[" [section-msgtext / (section-part ["." section-text])] "]" partial = "<"
 * number64 "." nz-number64 ">"
 *
 * Limits: IMAP_SECTIONS_MAX, IMAP_SECTION_DEPTH_MAX, IMAP_SECTION_FIELDS_MAX.
 */
#include "imap/fetch_items.h"

#include "imap/syntax.h"

/* section-part = nz-number *("." nz-number); a text part may follow it. */
static void read_numbers(struct cursor *c, struct arena *arena, struct imap_section *section)
{
	if (!ascii_is_digit((uint8_t)MAX(cursor_peek(c), 0)))
		return;
	section->numbers = ARENA_ARRAY(arena, IMAP_SECTION_DEPTH_MAX, uint32_t);
	if (!section->numbers) {
		cursor_fail(c, "the command needs too much memory");
		return;
	}
	for (;;) {
		if (section->n_numbers == IMAP_SECTION_DEPTH_MAX) {
			cursor_fail(c, "the section is too deep");
			return;
		}
		section->numbers[section->n_numbers++] = imap_nz_number(c);
		int next = cursor_peek_at(c, 1);
		if (cursor_peek(c) != '.' || next < '0' || next > '9')
			return;
		cursor_byte(c);
	}
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static void read_fields(struct cursor *c, struct arena *arena, struct imap_section *section)
{
	imap_sp(c);
	cursor_expect(c, '(', "header fields are named in parentheses");
	section->fields = ARENA_ARRAY(arena, IMAP_SECTION_FIELDS_MAX, struct slice);
	if (!section->fields)
		cursor_fail(c, "the command needs too much memory");
	do {
		struct slice name = imap_astring(c, arena);
		if (section->n_fields == IMAP_SECTION_FIELDS_MAX)
			cursor_fail(c, "too many header fields");
		/* The name comes back in the response. */
		if (cursor_ok(c) && (name.n == 0 || slice_has_control(name)))
			cursor_fail(c, "that is no name of a header field");
		if (cursor_ok(c))
			section->fields[section->n_fields++] = name;
	} while (cursor_ok(c) && cursor_skip(c, ' '));
	cursor_expect(c, ')', "the list of header fields is not closed");
}

/* section-msgtext / "MIME" */
static void read_what(struct cursor *c, struct arena *arena, struct imap_section *section)
{
	if (cursor_skip_text(c, "HEADER.FIELDS.NOT"))
		section->what = IMAP_WHAT_FIELDS_NOT;
	else if (cursor_skip_text(c, "HEADER.FIELDS"))
		section->what = IMAP_WHAT_FIELDS;
	else if (cursor_skip_text(c, "HEADER"))
		section->what = IMAP_WHAT_HEADER;
	else if (cursor_skip_text(c, "TEXT"))
		section->what = IMAP_WHAT_TEXT;
	else if (section->n_numbers > 0 && cursor_skip_text(c, "MIME"))
		section->what = IMAP_WHAT_MIME;
	else
		cursor_fail(c, "there is no such section");
	if (section->what == IMAP_WHAT_FIELDS || section->what == IMAP_WHAT_FIELDS_NOT)
		read_fields(c, arena, section);
}

static void read_partial(struct cursor *c, struct imap_section *section)
{
	if (section->kind == IMAP_SECTION_BINARY_SIZE || !cursor_skip(c, '<'))
		return;
	section->partial = true;
	section->offset = imap_number64(c);
	cursor_expect(c, '.', "a part of a section looks like <0.1024>");
	section->size = imap_number64(c);
	cursor_expect(c, '>', "a part of a section looks like <0.1024>");
	if (section->size == 0)
		cursor_fail(c, "a part of a section has at least one byte");
}

static void read_section(struct cursor *c, struct arena *arena, struct imap_section *section)
{
	cursor_expect(c, '[', "a section stands in brackets");
	read_numbers(c, arena, section);
	bool text_allowed = section->kind == IMAP_SECTION_BODY;
	if (cursor_ok(c) && section->n_numbers > 0 && text_allowed && cursor_skip(c, '.'))
		read_what(c, arena, section);
	else if (section->n_numbers == 0 && text_allowed && cursor_peek(c) != ']')
		read_what(c, arena, section);
	cursor_expect(c, ']', "the section is not closed");
	read_partial(c, section);
}

static struct imap_section *add_section(struct cursor *c, struct arena *arena, struct imap_fetch *f,
                                        enum imap_section_kind kind, bool peek)
{
	if (!f->sections)
		f->sections = ARENA_ARRAY(arena, IMAP_SECTIONS_MAX, struct imap_section);
	if (!f->sections || f->n_sections == IMAP_SECTIONS_MAX) {
		cursor_fail(c, "too many sections");
		return NULL;
	}
	struct imap_section *section = &f->sections[f->n_sections++];
	*section = (struct imap_section){.kind = kind, .peek = peek};
	f->sets_seen |= !peek;
	return section;
}

static const struct {
	const char *name;
	unsigned items;
} plain_items[] = {
        {"UID", IMAP_FETCH_UID},           {"FLAGS", IMAP_FETCH_FLAGS},
        {"MODSEQ", IMAP_FETCH_MODSEQ},     {"INTERNALDATE", IMAP_FETCH_INTERNALDATE},
        {"SAVEDATE", IMAP_FETCH_SAVEDATE}, {"RFC822.SIZE", IMAP_FETCH_SIZE},
        {"EMAILID", IMAP_FETCH_EMAILID},   {"THREADID", IMAP_FETCH_THREADID},
        {"ENVELOPE", IMAP_FETCH_ENVELOPE}, {"BODYSTRUCTURE", IMAP_FETCH_BODYSTRUCTURE},
        {"BODY", IMAP_FETCH_BODY},
};

static const struct {
	const char *name;
	enum imap_section_kind kind;
	bool peek, bracket;
} section_items[] = {
        {"BODY", IMAP_SECTION_BODY, false, true},
        {"BODY.PEEK", IMAP_SECTION_BODY, true, true},
        {"BINARY", IMAP_SECTION_BINARY, false, true},
        {"BINARY.PEEK", IMAP_SECTION_BINARY, true, true},
        {"BINARY.SIZE", IMAP_SECTION_BINARY_SIZE, true, true},
        {"RFC822", IMAP_SECTION_RFC822, false, false},
        {"RFC822.HEADER", IMAP_SECTION_RFC822_HEADER, true, false},
        {"RFC822.TEXT", IMAP_SECTION_RFC822_TEXT, false, false},
};

static bool is_item_char(uint8_t c)
{
	return imap_is_atom_char(c) && c != '[' && c != '<';
}

static void read_item(struct cursor *c, struct arena *arena, struct imap_fetch *f)
{
	struct slice name = cursor_while(c, is_item_char);
	bool bracket = cursor_peek(c) == '[';
	for (size_t i = 0; i < N_ELEMENTS(section_items); i++) {
		if (section_items[i].bracket != bracket ||
		    !slice_ieq_str(name, section_items[i].name))
			continue;
		struct imap_section *section =
		        add_section(c, arena, f, section_items[i].kind, section_items[i].peek);
		if (bracket && section)
			read_section(c, arena, section);
		return;
	}
	for (size_t i = 0; i < N_ELEMENTS(plain_items); i++) {
		if (bracket || !slice_ieq_str(name, plain_items[i].name))
			continue;
		f->items |= plain_items[i].items;
		return;
	}
	cursor_fail(c, "FETCH knows no such item");
}

/* Macros stand alone (RFC 9051 section 6.4.5). */
static bool read_macro(struct cursor *c, struct imap_fetch *f)
{
	const unsigned fast = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE;
	struct cursor start = *c;
	struct slice name = cursor_while(c, is_item_char);
	if (slice_ieq_str(name, "FAST"))
		f->items = fast;
	else if (slice_ieq_str(name, "ALL"))
		f->items = fast | IMAP_FETCH_ENVELOPE;
	else if (slice_ieq_str(name, "FULL"))
		f->items = fast | IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY;
	else
		*c = start;
	return f->items != 0;
}

/* fetch-modifier = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED" (RFC 7162) */
static void read_modifiers(struct cursor *c, struct imap_fetch *f)
{
	imap_sp(c);
	cursor_expect(c, '(', "FETCH's modifiers stand in parentheses");
	do {
		struct slice name = imap_atom(c);
		if (slice_ieq_str(name, "VANISHED")) {
			f->vanished = true;
		} else if (slice_ieq_str(name, "CHANGEDSINCE")) {
			imap_sp(c);
			f->has_changed_since = true;
			f->changed_since = imap_number64(c);
		} else {
			cursor_fail(c, "FETCH knows no such modifier");
		}
	} while (cursor_ok(c) && cursor_skip(c, ' '));
	cursor_expect(c, ')', "FETCH's modifiers are not closed");
}

void imap_fetch_parse(struct cursor *c, struct arena *arena, struct imap_fetch *ret_fetch)
{
	struct imap_fetch *f = ret_fetch;
	*f = (struct imap_fetch){0};
	if (cursor_skip(c, '(')) {
		do
			read_item(c, arena, f);
		while (cursor_ok(c) && cursor_skip(c, ' '));
		cursor_expect(c, ')', "the list of items is not closed");
	} else if (!read_macro(c, f)) {
		read_item(c, arena, f);
	}
	if (cursor_ok(c) && !cursor_at_end(c))
		read_modifiers(c, f);
	cursor_expect_end(c, "nothing may follow FETCH's items");
	if (f->vanished && !f->has_changed_since)
		cursor_fail(c, "VANISHED needs CHANGEDSINCE");
}
