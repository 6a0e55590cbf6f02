/* The list of findings. Limits: CONFIG_PROBLEMS_MAX entries, PROBLEM_BYTES_MAX bytes of text. */
#include "config/problem.h"

#include <stdarg.h>

#define PROBLEM_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define QUOTE_MAX         80 /* bytes of input shown */

void config_problems_init(struct config_problems *problems)
{
	*problems = (struct config_problems){0};
	arena_init(&problems->arena, PROBLEM_BYTES_MAX);
}

void config_problems_done(struct config_problems *problems)
{
	base_free(problems->v);
	arena_done(&problems->arena);
	*problems = (struct config_problems){.arena = problems->arena};
}

/* Splits "what\nmend" in place. */
static const char *split_mend(char *text)
{
	char *newline = text + strcspn(text, "\n");
	if (!*newline)
		return "";
	*newline = 0;
	return newline + 1;
}

void config_problem_add(struct config_problems *problems, enum config_severity severity,
                        struct config_place place, const char *what_and_mend, ...)
{
	if (severity == CONFIG_ERROR)
		problems->n_errors++;
	char text[2048];
	va_list args;
	va_start(args, what_and_mend);
	int n = vsnprintf(text, sizeof(text), what_and_mend, args);
	va_end(args);
	char *copy = n < 0 || problems->n >= CONFIG_PROBLEMS_MAX
	                     ? NULL
	                     : arena_cstr(&problems->arena, slice_str(text));
	if (!copy) {
		problems->n_dropped++;
		return;
	}
	if ((problems->n & (problems->n - 1)) == 0)
		problems->v =
		        base_realloc(problems->v, MAX(problems->n * 2, 1) * sizeof(*problems->v));
	const char *mend = split_mend(copy);
	problems->v[problems->n++] = (struct config_problem){
	        .severity = severity,
	        .file = place.file,
	        .line = place.line,
	        .column = place.column,
	        .what = copy,
	        .mend = mend,
	};
}

static bool comes_after(const struct config_problem *a, const struct config_problem *b)
{
	/* mailkeep.yaml is read first, so it is also reported first. */
	int order = -strcmp(a->file, b->file);
	if (order != 0)
		return order > 0;
	if (a->line != b->line)
		return a->line > b->line;
	return a->column > b->column;
}

/* Insertion sort is stable; the list has a small ceiling and comes nearly sorted. */
void config_problems_sort(struct config_problems *problems)
{
	for (size_t i = 1; i < problems->n; i++) {
		struct config_problem moving = problems->v[i];
		size_t at = i;
		for (; at > 0 && comes_after(&problems->v[at - 1], &moving); at--)
			problems->v[at] = problems->v[at - 1];
		problems->v[at] = moving;
	}
}

void config_problem_print(const struct config_problem *problem, const char *directory,
                          struct buf *out)
{
	if (directory && *directory)
		buf_printf(out, "%s/", directory);
	buf_add_str(out, problem->file);
	if (problem->line > 0)
		buf_printf(out, ":%u:%u", problem->line, problem->column);
	buf_printf(out, ": %s: %s\n", problem->severity == CONFIG_ERROR ? "error" : "warning",
	           problem->what);
	if (*problem->mend)
		buf_printf(out, "    %s\n", problem->mend);
}

const char *config_quote(struct config_problems *problems, struct slice s)
{
	char text[QUOTE_MAX * 4 + 8];
	size_t n = 0;
	for (size_t i = 0; i < MIN(s.n, (size_t)QUOTE_MAX); i++) {
		uint8_t c = s.p[i];
		if (c >= 0x20 && c != 0x7f)
			text[n++] = (char)c;
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n, "\\x%02x", c);
	}
	/* A character cut in two at the end is left out as a whole. */
	if (s.n > QUOTE_MAX) {
		while (n > 0 && ((uint8_t)text[n - 1] & 0xc0) == 0x80)
			n--;
		if (n > 0 && ((uint8_t)text[n - 1] & 0x80))
			n--;
		memcpy(text + n, "...", 3);
		n += 3;
	}
	const char *copy = arena_cstr(&problems->arena, slice_of(text, n));
	return copy ? copy : "?";
}
