/* Growing buffer with a ceiling; doubles from 256 bytes. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#define CAPACITY_MIN ((size_t)256)

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){.max = max};
}

void buf_done(struct buf *buf)
{
	base_free(buf->p);
	*buf = (struct buf){.max = buf->max};
}

void buf_reset(struct buf *buf)
{
	buf->n = 0;
	buf->failed = false;
}

uint8_t *buf_reserve(struct buf *buf, size_t n)
{
	if (buf->failed || n > buf->max - buf->n) {
		buf->failed = true;
		return NULL;
	}
	if (n > buf->capacity - buf->n) {
		size_t capacity = MAX(buf->capacity * 2, CAPACITY_MIN);
		capacity = MAX(MIN(capacity, buf->max), buf->n + n);
		buf->p = base_realloc(buf->p, capacity);
		buf->capacity = capacity;
	}
	return buf->p + buf->n;
}

void buf_commit(struct buf *buf, size_t n)
{
	ASSERT(n <= buf->capacity - buf->n);
	buf->n += n;
}

void buf_add(struct buf *buf, struct slice s)
{
	if (s.n == 0)
		return;
	uint8_t *at = buf_reserve(buf, s.n);
	if (!at)
		return;
	memcpy(at, s.p, s.n);
	buf->n += s.n;
}

void buf_add_byte(struct buf *buf, uint8_t byte)
{
	buf_add(buf, slice_of(&byte, 1));
}

void buf_add_str(struct buf *buf, const char *s)
{
	buf_add(buf, slice_str(s));
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
	uint8_t room[SLICE_U64_DIGITS];
	buf_add(buf, slice_print_u64(value, room));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	char small[256];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	if (n < 0) {
		buf->failed = true;
	} else if ((size_t)n < sizeof(small)) {
		buf_add(buf, slice_of(small, (size_t)n));
	} else if (buf_reserve(buf, (size_t)n) && (size_t)n < buf->max - buf->n &&
	           buf_reserve(buf, (size_t)n + 1)) {
		va_start(args, format);
		vsnprintf((char *)buf->p + buf->n, (size_t)n + 1, format, args);
		va_end(args);
		buf->n += (size_t)n;
	} else {
		buf->failed = true;
	}
}

void buf_add_line_safe(struct buf *buf, struct slice s)
{
	if (slice_has_control(s))
		buf->failed = true;
	else
		buf_add(buf, s);
}

void buf_consume(struct buf *buf, size_t n)
{
	n = MIN(n, buf->n);
	if (n == 0)
		return;
	memmove(buf->p, buf->p + n, buf->n - n);
	buf->n -= n;
}

const char *buf_cstr(struct buf *buf)
{
	if (buf->capacity == buf->n) {
		buf->capacity = buf->n + 1;
		buf->p = base_realloc(buf->p, buf->capacity);
	}
	buf->p[buf->n] = 0;
	return (const char *)buf->p;
}
