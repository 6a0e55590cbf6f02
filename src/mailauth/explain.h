/* The story of a check for people: a sentence a step, in order.
 *
 *	struct mailauth_story story = {0};
 *	mailauth_tell(&story, arena, "%s has no record", name.text);
 *
 * Bytes from outside go into a sentence through mailauth_printable only. Sentences live in the
 * arena; past MAILAUTH_STEPS_MAX or the arena's budget they are left out, never an error.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#define MAILAUTH_STEPS_MAX     200u  /* of one story */
#define MAILAUTH_STEP_MAX      2000u /* bytes of a sentence; it is cut there */
#define MAILAUTH_PRINTABLE_MAX 300u  /* a fit `max` for mailauth_printable */

struct mailauth_story {
	const char *const *v; /* printable ASCII, no line ends */
	size_t n;
	bool truncated;
	/* Private. */
	const char **steps; /* v */
	size_t capacity;
};

MAILKEEP_PRINTF(3, 4)
void mailauth_tell(struct mailauth_story *story, struct arena *arena, const char *format, ...);

/* A line each, with a line end. */
void mailauth_story_print(const struct mailauth_story *story, struct buf *out);

/* Printable ASCII as it is, every other byte as \HH (hexadecimal), the backslash too; with "..."
 * where more than `max` bytes of s were there. "" past the arena's budget. */
const char *mailauth_printable(struct slice s, size_t max, struct arena *arena);
