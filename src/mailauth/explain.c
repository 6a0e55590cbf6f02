/* Sentences of a story. Limits: MAILAUTH_STEPS_MAX, MAILAUTH_STEP_MAX. */
#include "mailauth/explain.h"

#include <stdarg.h>

#define STEPS_AT_FIRST 16u

static bool make_room(struct mailauth_story *story, struct arena *arena)
{
	if (story->n < story->capacity)
		return true;
	size_t capacity = MIN(MAX(STEPS_AT_FIRST, story->capacity * 2), MAILAUTH_STEPS_MAX);
	if (story->n == capacity)
		return false;
	const char **steps = ARENA_ARRAY(arena, capacity, const char *);
	if (!steps)
		return false;
	if (story->n > 0)
		memcpy(steps, story->steps, story->n * sizeof(*steps));
	story->v = story->steps = steps;
	story->capacity = capacity;
	return true;
}

void mailauth_tell(struct mailauth_story *story, struct arena *arena, const char *format, ...)
{
	char sentence[MAILAUTH_STEP_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	const char *step = make_room(story, arena) ? arena_cstr(arena, slice_str(sentence)) : NULL;
	if (step)
		story->steps[story->n++] = step;
	else
		story->truncated = true;
}

void mailauth_story_print(const struct mailauth_story *story, struct buf *out)
{
	for (size_t i = 0; i < story->n; i++) {
		buf_add_str(out, story->v[i]);
		buf_add_byte(out, '\n');
	}
	if (story->truncated)
		buf_add_str(out, "and more that was not written down\n");
}

static bool is_plain(uint8_t c)
{
	return ascii_is_print(c) && c != '\\';
}

const char *mailauth_printable(struct slice s, size_t max, struct arena *arena)
{
	static const char hex[] = "0123456789abcdef";
	struct slice shown = slice_sub(s, 0, max);
	char *text = arena_alloc(arena, 3 * shown.n + sizeof("..."));
	size_t n = 0;
	if (!text)
		return "";
	for (size_t i = 0; i < shown.n; i++) {
		uint8_t c = shown.p[i];
		if (is_plain(c)) {
			text[n++] = (char)c;
		} else {
			text[n++] = '\\';
			text[n++] = hex[c >> 4];
			text[n++] = hex[c & 15];
		}
	}
	memcpy(text + n, shown.n < s.n ? "..." : "", shown.n < s.n ? 4 : 1);
	return text;
}
