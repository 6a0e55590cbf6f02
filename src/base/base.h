/* Foundation of every file: types, scope cleanup, checked arithmetic.
 *
 * Included first, by every header. Knows nothing of mail.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Attributes for headers. */
#define MAILKEEP_PRINTF(fmt_index, args_index)                                                     \
	__attribute__((format(printf, fmt_index, args_index)))
#define MAILKEEP_NORETURN __attribute__((noreturn))

/* Our own mistake, in production too: says where, aborts the process; the supervisor restarts the
 * room. Never for input or for the environment. */
MAILKEEP_NORETURN void base_bug(const char *file, int line, const char *what);

/* Heap allocation that cannot fail: exhaustion of the process's memory limit ends the room like a
 * bug (the supervisor restarts it). Sizes that input drives are capped by the caller beforehand. */
void *base_alloc(size_t size);            /* zeroed; size 0 gives a unique pointer */
void *base_realloc(void *p, size_t size); /* as realloc; new bytes are not zeroed */
char *base_strdup(const char *s);
void base_free(void *p);                /* accepts NULL */
static inline void base_freep(void *pp) /* for CLEANUP(base_freep) */
{
	base_free(*(void **)pp);
}

/* Short words, for the files of mailkeep itself. Programs that use the libraries have their own
 * (BUG, MIN, ...) and see these only when they define MAILKEEP_WORDS first. */
#ifdef MAILKEEP_WORDS

/* Runs FN(&variable) when the variable leaves scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define PRINTF(fmt_index, args_index) MAILKEEP_PRINTF(fmt_index, args_index)
#define NORETURN                      MAILKEEP_NORETURN
#define UNUSED                        __attribute__((unused))
#define FALLTHROUGH                   __attribute__((fallthrough))

/* gcc wants the attribute on the type as [[nodiscard]]-like; clang takes it on types, gcc 12 on
 * functions only. MUST_USE stands before functions and works in both. */
#define MUST_USE __attribute__((warn_unused_result))

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define BUG(what) base_bug(__FILE__, __LINE__, what)
#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			BUG(#cond);                                                                \
	} while (0)

#endif
