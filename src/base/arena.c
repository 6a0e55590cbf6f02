/* Bump allocation in chunks that double from 4 KB to 256 KB; larger requests get their own chunk.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#define CHUNK_MIN ((size_t)4096)
#define CHUNK_MAX ((size_t)256 * 1024)
#define ALIGNMENT _Alignof(max_align_t)

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct arena_chunk {
	struct arena_chunk *older;
	size_t size; /* of bytes[] */
	_Alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *arena, size_t budget)
{
	*arena = (struct arena){.budget = budget};
}

static void free_chunk(struct arena_chunk *chunk)
{
	ASAN_UNPOISON_MEMORY_REGION(chunk->bytes, chunk->size);
	base_free(chunk);
}

void arena_done(struct arena *arena)
{
	for (struct arena_chunk *chunk = arena->chunks; chunk;) {
		struct arena_chunk *older = chunk->older;
		free_chunk(chunk);
		chunk = older;
	}
	*arena = (struct arena){.budget = arena->budget};
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *keep = arena->chunks;
	if (!keep || keep->older || keep->size > CHUNK_MIN) {
		arena_done(arena);
		return;
	}
	ASAN_POISON_MEMORY_REGION(keep->bytes, keep->size);
	arena->next = keep->bytes;
	arena->end = keep->bytes + keep->size;
	arena->used = 0;
	arena->failed = false;
}

static void add_chunk(struct arena *arena, size_t size)
{
	size_t doubled = arena->chunks ? MIN(arena->chunks->size * 2, CHUNK_MAX) : CHUNK_MIN;
	size_t chunk_size = MAX(size, doubled);
	/* not zeroed: each piece is, when it is given out */
	struct arena_chunk *chunk = base_realloc(NULL, sizeof(*chunk) + chunk_size);
	chunk->older = arena->chunks;
	chunk->size = chunk_size;
	ASAN_POISON_MEMORY_REGION(chunk->bytes, chunk_size);
	arena->chunks = chunk;
	arena->next = chunk->bytes;
	arena->end = chunk->bytes + chunk_size;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	if (arena->failed || size > arena->budget) {
		arena->failed = true;
		return NULL;
	}
	size = (MAX(size, 1) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (size > arena->budget - MIN(arena->used, arena->budget)) {
		arena->failed = true;
		return NULL;
	}
	if ((size_t)(arena->end - arena->next) < size)
		add_chunk(arena, size);
	void *p = arena->next;
	arena->next += size;
	arena->used += size;
	ASAN_UNPOISON_MEMORY_REGION(p, size);
	return memset(p, 0, size);
}

void *arena_array(struct arena *arena, size_t n, size_t element_size)
{
	size_t size;
	if (__builtin_mul_overflow(n, element_size, &size)) {
		arena->failed = true;
		return NULL;
	}
	return arena_alloc(arena, size);
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
	uint8_t *copy = s.n ? arena_alloc(arena, s.n) : NULL;
	if (!copy)
		return slice_empty();
	memcpy(copy, s.p, s.n);
	return slice_of(copy, s.n);
}

char *arena_cstr(struct arena *arena, struct slice s)
{
	if (slice_index(s, 0) != SIZE_MAX)
		return NULL;
	char *copy = arena_alloc(arena, s.n + 1);
	if (copy)
		memcpy(copy, s.p, s.n);
	return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return NULL;
	char *text = arena_alloc(arena, (size_t)n + 1);
	if (!text)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)n + 1, format, args);
	va_end(args);
	return text;
}
