/* Dot-stuffing of content that is sent with DATA (RFC 5321 section 4.5.2), and the check that what
 * is sent has CRLF line ends only.
 *
 * The mirror of data.h: fed any split of the content, it hands back runs that point into that input
 * and says where a dot must be put between them. It neither allocates nor buffers. What a receiver
 * may take for a line end or not (a bare CR, a bare LF, a NUL) is noted; such content must not be
 * finished (SMTP smuggling, 2023).
 */
#pragma once

#include "base/slice.h"

struct smtp_stuff {
	uint8_t last; /* the octet before; LF at the very start */
	bool dotted;  /* the dot that comes next has been announced */
	bool bare_cr;
	bool bare_lf;
	bool nul;
	bool has_8bit;
};

void smtp_stuff_init(struct smtp_stuff *stuff);

/* Takes a prefix of *in as a run to be written as it is (maybe empty). True: write a dot behind it
 * and call again. False: *in is empty now. */
bool smtp_stuff_next(struct smtp_stuff *stuff, struct slice *in, struct slice *ret_run);

/* The same checks on content that needs no dots (BDAT). */
void smtp_stuff_note(struct smtp_stuff *stuff, struct slice content);

/* The content ends here: a CR at its end was bare. */
void smtp_stuff_end(struct smtp_stuff *stuff);

/* Behind a line end, or at the very start. */
static inline bool smtp_stuff_at_line_start(const struct smtp_stuff *stuff)
{
	return stuff->last == '\n';
}
static inline bool smtp_stuff_faulty(const struct smtp_stuff *stuff)
{
	return stuff->bare_cr || stuff->bare_lf || stuff->nul;
}
