/* The ID command (RFC 2971). Limits: its section 3.3, but values of IMAP_ID_VALUE_MAX bytes. */
#include "imap/id.h"

struct status imap_id_parse(struct cursor *c, struct arena *arena)
{
	imap_sp(c);
	if (cursor_skip_text(c, "NIL")) {
		cursor_expect_end(c, "nothing may follow NIL");
		return cursor_status(c);
	}
	cursor_expect(c, '(', "ID takes a list in parentheses or NIL");
	for (unsigned n = 0; cursor_ok(c) && cursor_peek(c) != ')'; n++) {
		bool is_nil;
		if (n == IMAP_ID_PAIRS_MAX)
			cursor_fail(c, "ID takes at most 30 fields");
		if (n > 0)
			imap_sp(c);
		struct slice name = imap_string(c, arena);
		imap_sp(c);
		struct slice value = imap_nstring(c, arena, &is_nil);
		if (name.n > 30 || value.n > IMAP_ID_VALUE_MAX)
			cursor_fail(c, "a field of ID is too long");
	}
	cursor_expect(c, ')', "ID's list is not closed");
	cursor_expect_end(c, "nothing may follow ID's list");
	return cursor_status(c);
}

void imap_id_answer(struct imap_out *out)
{
	imap_out_str(out, "* ID (\"name\" \"mailkeep\")\r\n");
}
