/* A growing byte buffer with a ceiling: append freely, ask once.
 *
 * Overflowing the ceiling is sticky: the buffer keeps what fitted, later appends do nothing, and
 * buf_failed tells. Heap-backed; init/done. Not thread-safe.
 */
#pragma once

#include "base/slice.h"

struct buf {
	uint8_t *p;
	size_t n;
	size_t capacity;
	size_t max; /* bytes */
	bool failed;
};

void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);  /* safe on a zeroed buffer and twice */
void buf_reset(struct buf *buf); /* empty again, memory kept, `failed` cleared */

void buf_add(struct buf *buf, struct slice s);
void buf_add_byte(struct buf *buf, uint8_t byte);
void buf_add_str(struct buf *buf, const char *s);
void buf_add_u64(struct buf *buf, uint64_t value); /* decimal */
MAILKEEP_PRINTF(2, 3) void buf_printf(struct buf *buf, const char *format, ...);

/* For a value inside a header or protocol line: a CR, LF or NUL in it fails the buffer. */
void buf_add_line_safe(struct buf *buf, struct slice s);

/* Room for n bytes at the end, for a reader to fill; NULL past the ceiling (and failed). The caller
 * then adds what it wrote with buf_commit(n_written <= n). */
uint8_t *buf_reserve(struct buf *buf, size_t n);
void buf_commit(struct buf *buf, size_t n);

/* Removes the first n bytes (cut to what is there). */
void buf_consume(struct buf *buf, size_t n);

static inline struct slice buf_slice(const struct buf *buf)
{
	return slice_of(buf->p, buf->n);
}
static inline bool buf_failed(const struct buf *buf)
{
	return buf->failed;
}
/* NUL-terminated view (the NUL is not counted in n). Valid until the next change. */
const char *buf_cstr(struct buf *buf);
