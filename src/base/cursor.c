/* The bounded, sticky cursor. */
#include "base/cursor.h"

int cursor_peek_at(const struct cursor *c, size_t ahead)
{
	if (c->why || c->at >= c->in.n || ahead >= c->in.n - c->at)
		return -1;
	return c->in.p[c->at + ahead];
}

struct slice cursor_rest(const struct cursor *c)
{
	return c->why ? slice_empty() : slice_from(c->in, c->at);
}

void cursor_fail(struct cursor *c, const char *why)
{
	if (!c->why)
		c->why = why;
}

bool cursor_skip(struct cursor *c, uint8_t byte)
{
	if (cursor_peek(c) != byte)
		return false;
	c->at++;
	return true;
}

bool cursor_skip_text(struct cursor *c, const char *text)
{
	struct slice wanted = slice_str(text);
	if (!slice_istarts(cursor_rest(c), wanted))
		return false;
	c->at += wanted.n;
	return true;
}

void cursor_expect(struct cursor *c, uint8_t byte, const char *why)
{
	if (!cursor_skip(c, byte))
		cursor_fail(c, why);
}

void cursor_expect_end(struct cursor *c, const char *why)
{
	if (!cursor_at_end(c))
		cursor_fail(c, why);
}

uint8_t cursor_byte(struct cursor *c)
{
	int byte = cursor_peek(c);
	if (byte < 0) {
		cursor_fail(c, "input ends early");
		return 0;
	}
	c->at++;
	return (uint8_t)byte;
}

struct slice cursor_take(struct cursor *c, size_t n)
{
	struct slice rest = cursor_rest(c);
	if (c->why || n > rest.n) {
		cursor_fail(c, "input ends early");
		return slice_empty();
	}
	c->at += n;
	return slice_sub(rest, 0, n);
}

struct slice cursor_while(struct cursor *c, bool (*is)(uint8_t byte))
{
	struct slice rest = cursor_rest(c);
	size_t n = 0;
	while (n < rest.n && is(rest.p[n]))
		n++;
	c->at += n;
	return slice_sub(rest, 0, n);
}

uint64_t cursor_u64(struct cursor *c, uint64_t max, const char *why)
{
	uint64_t value = 0;
	struct slice rest = cursor_rest(c);
	size_t n = 0;
	while (n < rest.n && ascii_is_digit(rest.p[n]))
		n++;
	if (!slice_to_u64(slice_sub(rest, 0, n), max, &value)) {
		cursor_fail(c, why);
		return 0;
	}
	c->at += n;
	return value;
}

uint32_t cursor_u32(struct cursor *c, uint32_t max, const char *why)
{
	return (uint32_t)cursor_u64(c, max, why);
}
