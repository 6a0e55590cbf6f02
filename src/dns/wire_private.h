/* Numbers in network order, read by a cursor and written to a buffer. */
#pragma once

#include "base/buf.h"
#include "base/cursor.h"

static inline uint16_t wire_u16(struct cursor *c)
{
	struct slice s = cursor_take(c, 2);
	unsigned value = s.n == 2 ? (unsigned)s.p[0] << 8 | s.p[1] : 0;
	return (uint16_t)value;
}
static inline uint32_t wire_u32(struct cursor *c)
{
	struct slice s = cursor_take(c, 4);
	return s.n == 4 ? (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 |
	                          s.p[3]
	                : 0;
}
static inline void wire_add_u16(struct buf *out, uint16_t value)
{
	buf_add_byte(out, (uint8_t)(value >> 8));
	buf_add_byte(out, (uint8_t)value);
}
static inline void wire_add_u32(struct buf *out, uint32_t value)
{
	wire_add_u16(out, (uint16_t)(value >> 16));
	wire_add_u16(out, (uint16_t)value);
}
