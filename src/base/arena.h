/* Memory with one lifetime: allocate freely, release everything at once.
 *
 * An arena has a byte budget. Past it, arena_alloc returns NULL and the arena stays failed, so a
 * parser may check once at the end (arena_failed). Functions that return memory take the arena
 * last. Not thread-safe: an arena belongs to one thread.
 */
#pragma once

#include "base/slice.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	uint8_t *next;
	uint8_t *end;
	size_t used;   /* bytes handed out, padding included */
	size_t budget; /* bytes */
	bool failed;
};

void arena_init(struct arena *arena, size_t budget);
void arena_done(struct arena *arena); /* frees all; safe on a zeroed arena and twice */

/* Everything handed out becomes invalid; keeps one small chunk for reuse. Clears `failed`. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type. NULL past the budget (never because the heap is exhausted). */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_array(struct arena *arena, size_t n, size_t element_size); /* overflow-checked */

/* Copies. A failed arena gives an empty slice / NULL. The string form refuses NUL with NULL. */
struct slice arena_copy(struct arena *arena, struct slice s);
char *arena_cstr(struct arena *arena, struct slice s);
MAILKEEP_PRINTF(2, 3) char *arena_printf(struct arena *arena, const char *format, ...);

static inline bool arena_failed(const struct arena *arena)
{
	return arena->failed;
}

#define ARENA_NEW(arena, type)      ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, n, type) ((type *)arena_array((arena), (n), sizeof(type)))
