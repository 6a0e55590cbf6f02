/* Bytes that must not leave this process's memory by accident: passwords, keys.
 *
 * Pages of their own, locked (never on swap), left out of core dumps, wiped when freed; fixed size,
 * so that nothing is moved and leaves a copy. For few and short-lived things: each takes a page.
 * Not thread-safe.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#define SECRET_MAX ((size_t)256 * 1024) /* bytes */

struct secret {
	uint8_t *p;
	size_t n;    /* bytes in use */
	size_t room; /* bytes that fit */
};

/* Room for n bytes, zeroed; aborts like base_alloc when memory is exhausted. Where the limit of
 * locked memory is too low the pages are used unlocked. */
void secret_init(struct secret *s, size_t room);
void secret_done(struct secret *s); /* safe on a zeroed one and twice; for CLEANUP */
struct status secret_set(struct secret *s, struct slice bytes); /* LIMIT beyond the room */
static inline struct slice secret_slice(const struct secret *s)
{
	return slice_of(s->p, s->n);
}
/* Wipes memory that held a secret in passing. */
void secret_wipe(void *p, size_t n);
