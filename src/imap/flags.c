/* Flags: their names, lists of them, and the FETCH responses that tell them (RFC 9051
 * sections 2.3.2 and 7.5.2, RFC 7162 section 3.1). \Recent is never set: see docs/deviations.md. */
#include "imap/session_private.h"

static const struct {
	uint64_t bit;
	struct slice name;
} system_flags[] = {
        {STORE_ANSWERED, {(const uint8_t *)"\\Answered", 9}},
        {STORE_FLAGGED, {(const uint8_t *)"\\Flagged", 8}},
        {STORE_DELETED, {(const uint8_t *)"\\Deleted", 8}},
        {STORE_SEEN, {(const uint8_t *)"\\Seen", 5}},
        {STORE_DRAFT, {(const uint8_t *)"\\Draft", 6}},
};

uint64_t imap_system_flag(struct slice name)
{
	for (size_t i = 0; i < N_ELEMENTS(system_flags); i++)
		if (slice_ieq(name, system_flags[i].name))
			return system_flags[i].bit;
	return 0;
}

/* One flag of a list into ret_flags. */
static void add_flag(struct cursor *c, struct imap_flags *flags)
{
	struct slice name = imap_flag(c);
	if (!cursor_ok(c))
		return;
	if (name.p[0] == '\\') {
		uint64_t bit = imap_system_flag(name);
		if (bit == 0)
			cursor_fail(c, "there is no such system flag, or none that can be set");
		flags->system_bits |= bit;
		return;
	}
	for (size_t i = 0; i < flags->n_keywords; i++)
		if (slice_ieq(flags->keywords[i], name))
			return;
	if (flags->n_keywords == STORE_KEYWORDS_MAX)
		cursor_fail(c, "too many keywords at once");
	else
		flags->keywords[flags->n_keywords++] = name;
}

static bool flags_init(struct cursor *c, struct arena *arena, struct imap_flags *flags)
{
	*flags = (struct imap_flags){.keywords =
	                                     ARENA_ARRAY(arena, STORE_KEYWORDS_MAX, struct slice)};
	if (!flags->keywords)
		cursor_fail(c, "the command needs too much memory");
	return cursor_ok(c);
}

static void read_flags_up_to(struct cursor *c, struct imap_flags *flags)
{
	do
		add_flag(c, flags);
	while (cursor_skip(c, ' '));
}

/* flag-list = "(" [flag *(SP flag)] ")" */
void imap_read_flag_list(struct cursor *c, struct arena *arena, struct imap_flags *ret_flags)
{
	if (!flags_init(c, arena, ret_flags))
		return;
	cursor_expect(c, '(', "a list of flags stands in parentheses");
	if (cursor_skip(c, ')'))
		return;
	read_flags_up_to(c, ret_flags);
	cursor_expect(c, ')', "the list of flags is not closed");
}

/* store-att-flags' end: flag-list / (flag *(SP flag)) */
void imap_read_store_flags(struct cursor *c, struct arena *arena, struct imap_flags *ret_flags)
{
	if (cursor_peek(c) == '(')
		imap_read_flag_list(c, arena, ret_flags);
	else if (flags_init(c, arena, ret_flags))
		read_flags_up_to(c, ret_flags);
}

void imap_write_flags(struct imap_session *s, uint64_t flags, const struct store_view *names)
{
	const struct slice *keywords;
	bool first = true;
	imap_out_str(&s->out, "FLAGS (");
	for (size_t i = 0; i < N_ELEMENTS(system_flags); i++) {
		if (!(flags & system_flags[i].bit))
			continue;
		if (!first)
			imap_out_byte(&s->out, ' ');
		imap_out_slice(&s->out, system_flags[i].name);
		first = false;
	}
	uint64_t rest = flags >> STORE_KEYWORD_BIT;
	size_t n = rest ? store_view_keywords(names, &keywords) : 0;
	for (size_t i = 0; i < n && rest >> i; i++) {
		if (!(rest >> i & 1))
			continue;
		if (!first)
			imap_out_byte(&s->out, ' ');
		imap_out_slice(&s->out, keywords[i]);
		first = false;
	}
	imap_out_byte(&s->out, ')');
}

void imap_tell_flags(struct imap_session *s, uint32_t index, const struct store_entry *entry,
                     const struct store_view *names, bool uid)
{
	struct imap_out *out = &s->out;
	imap_out_str(out, "* ");
	imap_out_u64(out, (uint64_t)index + 1);
	imap_out_str(out, " FETCH (");
	/* RFC 7162 section 3.2.4: with the UID once QRESYNC is on. */
	if (uid || imap_has(s, IMAP_QRESYNC)) {
		imap_out_str(out, "UID ");
		imap_out_u64(out, entry->uid.v);
		imap_out_byte(out, ' ');
	}
	imap_write_flags(s, entry->flags, names);
	if (imap_has(s, IMAP_CONDSTORE)) {
		imap_out_str(out, " MODSEQ (");
		imap_out_u64(out, entry->modseq);
		imap_out_byte(out, ')');
	}
	imap_out_str(out, ")\r\n");
}
