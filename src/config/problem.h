/* What is wrong with a configuration: every finding with its place and how to mend it.
 *
 * The list owns its texts. At most CONFIG_PROBLEMS_MAX are kept, the rest is only counted, so that
 * a hostile file costs bounded memory.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

#define CONFIG_PROBLEMS_MAX 1000

enum config_severity {
	CONFIG_ERROR,
	CONFIG_WARNING,
};

struct config_problem {
	enum config_severity severity;
	const char *file; /* "domains.yaml" */
	uint32_t line;    /* from 1; 0 when the whole file is meant */
	uint32_t column;  /* from 1 */
	const char *what; /* one sentence without a full stop; quoted input is escaped */
	const char *mend; /* what to do about it; "" when `what` says it all */
};

struct config_problems {
	struct arena arena;
	struct config_problem *v;
	size_t n;
	size_t n_dropped; /* found, but past CONFIG_PROBLEMS_MAX */
	size_t n_errors;  /* all, the dropped ones included */
};

void config_problems_init(struct config_problems *problems);
void config_problems_done(struct config_problems *problems); /* safe twice */

/* Where a problem is. */
struct config_place {
	const char *file; /* static, or outlives the list */
	uint32_t line, column;
};

/* Adds one; `mend` is a format like `what`, both share the arguments' order: first those of what.
 * The two are given as one format with a "\n" between them: "what\nmend". */
PRINTF(4, 5)
void config_problem_add(struct config_problems *problems, enum config_severity severity,
                        struct config_place place, const char *what_and_mend, ...);

/* Further ones are only counted: no use in finding good words for them. */
static inline bool config_problems_full(const struct config_problems *problems)
{
	return problems->n >= CONFIG_PROBLEMS_MAX;
}

/* In order of file, line and column; equal places keep their order. */
void config_problems_sort(struct config_problems *problems);

/* One problem as text for people: "domains.yaml:3:5: error: …\n    mend: …\n". */
void config_problem_print(const struct config_problem *problem, const char *directory,
                          struct buf *out);

/* Input for a message: unprintable bytes escaped, cut to 80 bytes; in the problems' arena. */
const char *config_quote(struct config_problems *problems, struct slice s);
