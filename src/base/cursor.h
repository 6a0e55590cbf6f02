/* A bounded reader over a slice with a sticky error: the base of every hand-written parser.
 *
 * After the first failure every read fails and returns zero or an empty slice, so a rule may read
 * on and its caller checks once with cursor_ok. The first reason is kept. A cursor may be copied to
 * try an alternative: restore the copy to go back.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

struct cursor {
	struct slice in;
	size_t at;
	const char *why; /* NULL until the first failure */
};

static inline struct cursor cursor_of(struct slice s)
{
	struct cursor c = {s, 0, NULL};
	return c;
}
static inline bool cursor_ok(const struct cursor *c)
{
	return c->why == NULL;
}
static inline bool cursor_at_end(const struct cursor *c)
{
	return c->why != NULL || c->at >= c->in.n;
}
/* The next byte without taking it; -1 at the end or after a failure. */
static inline int cursor_peek(const struct cursor *c)
{
	return cursor_at_end(c) ? -1 : c->in.p[c->at];
}
/* The byte `ahead` places on; -1 beyond the end. */
int cursor_peek_at(const struct cursor *c, size_t ahead);
struct slice cursor_rest(const struct cursor *c);

void cursor_fail(struct cursor *c, const char *why); /* the first reason stays */

/* Takes the byte if it is next: true. Otherwise takes nothing; no failure. */
bool cursor_skip(struct cursor *c, uint8_t byte);
/* Takes the text, ASCII case-insensitively, if it is next. */
bool cursor_skip_text(struct cursor *c, const char *text);
/* The same, but its absence is a failure with `why`. */
void cursor_expect(struct cursor *c, uint8_t byte, const char *why);
void cursor_expect_end(struct cursor *c, const char *why);

uint8_t cursor_byte(struct cursor *c);                /* fails at the end */
struct slice cursor_take(struct cursor *c, size_t n); /* fails when fewer are left */
/* The longest run for which is(byte); may be empty. */
struct slice cursor_while(struct cursor *c, bool (*is)(uint8_t byte));
/* Decimal digits, at least one, value <= max. */
uint64_t cursor_u64(struct cursor *c, uint64_t max, const char *why);
uint32_t cursor_u32(struct cursor *c, uint32_t max, const char *why);

static inline struct status cursor_status(const struct cursor *c)
{
	return c->why ? status_fail(ERR_SYNTAX, c->why) : status_ok();
}
