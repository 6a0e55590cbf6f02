/* The page format.
 *
 *   page   = version count column{7} checksum
 *   version = 1 (u8); count = entries - 1 (u8)
 *   column = widths base difference{count}   in the order uid, message, flags, modseq, size,
 *            received_at, saved_at
 *   widths = base bytes (high nibble, 0..8), bytes of each difference (low nibble, 0..8)
 *   checksum = XXH3-64 of all before it
 *
 * Integers are little-endian. A value is base + difference, where base is the smallest of the page
 * (frame of reference); for uid, message and modseq, which usually go up by one, the value is taken
 * minus its index first, so that a run costs nothing. uid is relative to the page's first, signed
 * values are zigzag-coded in the base and ordered by a flipped sign bit.
 */
#include "store/page.h"

#include <xxhash.h>

#define PAGE_VERSION  1
#define N_COLUMNS     7
#define SIGN          (UINT64_C(1) << 63)
#define HEADER_SIZE   2u
#define CHECKSUM_SIZE 8u

static uint64_t zigzag(uint64_t v)
{
	return (v << 1) ^ (v & SIGN ? UINT64_MAX : 0);
}

static uint64_t unzigzag(uint64_t v)
{
	return (v >> 1) ^ (v & 1 ? UINT64_MAX : 0);
}

static unsigned width_of(uint64_t v)
{
	return v == 0 ? 0 : (unsigned)(71 - __builtin_clzll(v)) / 8;
}

static uint64_t load(const uint8_t *p, unsigned width)
{
	uint64_t v = 0;
	memcpy(&v, p, width);
	return v;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "pages are written in memory order");

/* Writes one column; values are wrapping 64-bit, ordered as signed. */
static uint8_t *put_column(uint8_t *out, const uint64_t *values, size_t n)
{
	uint64_t min = UINT64_MAX, max = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t ordered = values[i] ^ SIGN;
		min = ordered < min ? ordered : min;
		max = ordered > max ? ordered : max;
	}
	uint64_t base = min ^ SIGN;
	uint64_t coded = zigzag(base);
	unsigned base_width = width_of(coded), width = width_of(max - min);
	*out++ = (uint8_t)(base_width << 4 | width);
	memcpy(out, &coded, 8); /* the rest is overwritten */
	out += base_width;
	for (size_t i = 0; i < n && width > 0; i++) {
		uint64_t difference = values[i] - base;
		memcpy(out, &difference, 8);
		out += width;
	}
	return out;
}

static inline uint64_t column_value(const struct store_entry *e, unsigned column, uint32_t first,
                                    uint64_t i)
{
	switch (column) {
	case 0:
		return (uint64_t)(e->uid.v - first) - i;
	case 1:
		return (uint64_t)e->message.v - i;
	case 2:
		return e->flags;
	case 3:
		return e->modseq - i;
	case 4:
		return e->size;
	case 5:
		return (uint64_t)e->received_at;
	default:
		return (uint64_t)e->saved_at;
	}
}

size_t page_encode(uint32_t page_no, const struct store_entry *entries, size_t n,
                   uint8_t ret_bytes[PAGE_SIZE_MAX])
{
	uint64_t values[PAGE_ENTRIES];
	ASSERT(n >= 1 && n <= PAGE_ENTRIES);
	uint8_t *out = ret_bytes;
	*out++ = PAGE_VERSION;
	*out++ = (uint8_t)(n - 1);
	for (unsigned column = 0; column < N_COLUMNS; column++) {
		for (size_t i = 0; i < n; i++)
			values[i] = column_value(&entries[i], column, page_first_uid(page_no), i);
		out = put_column(out, values, n);
	}
	uint64_t sum = XXH3_64bits(ret_bytes, (size_t)(out - ret_bytes));
	memcpy(out, &sum, CHECKSUM_SIZE);
	return (size_t)(out - ret_bytes) + CHECKSUM_SIZE;
}

struct status page_count(struct slice bytes, size_t *ret_n)
{
	if (bytes.n < HEADER_SIZE + N_COLUMNS + CHECKSUM_SIZE || bytes.p[0] != PAGE_VERSION)
		return fail(ERR_CORRUPT, "a page of mailbox entries has an unknown form");
	*ret_n = (size_t)bytes.p[1] + 1;
	return ok();
}

static inline void set_column(struct store_entry *e, unsigned column, uint32_t first, uint64_t i,
                              uint64_t value)
{
	switch (column) {
	case 0: /* a value past 32 bits is found by its order */
		e->uid.v = first + (uint32_t)MIN(value + i, (uint64_t)PAGE_ENTRIES);
		break;
	case 1:
		e->message.v = (int64_t)(value + i);
		break;
	case 2:
		e->flags = value;
		break;
	case 3:
		e->modseq = value + i;
		break;
	case 4:
		e->size = value;
		break;
	case 5:
		e->received_at = (int64_t)value;
		break;
	default:
		e->saved_at = (int64_t)value;
		break;
	}
}

/* Reads one column, which takes the bytes [*at, end); false when it does not fit. */
static bool take_column(const uint8_t **at, const uint8_t *end, unsigned column, uint32_t first,
                        struct store_entry *entries, size_t n)
{
	const uint8_t *p = *at;
	if (p == end)
		return false;
	unsigned base_width = *p >> 4, width = *p & 15;
	p++;
	if (base_width > 8 || width > 8 || (size_t)(end - p) < base_width + width * n)
		return false;
	uint64_t base = unzigzag(load(p, base_width));
	p += base_width;
	for (size_t i = 0; i < n; i++, p += width)
		set_column(&entries[i], column, first, i, base + load(p, width));
	*at = p;
	return true;
}

static bool entries_are_valid(uint32_t page_no, const struct store_entry *entries, size_t n)
{
	uint32_t first = page_first_uid(page_no);
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = entries[i].uid.v;
		if (entries[i].message.v <= 0 || uid < first || uid - first >= PAGE_ENTRIES)
			return false;
		if (i > 0 && entries[i].uid.v <= entries[i - 1].uid.v)
			return false;
	}
	return true;
}

struct status page_decode(uint32_t page_no, struct slice bytes, struct store_entry *entries,
                          size_t n_entries)
{
	size_t n = 0;
	TRY(page_count(bytes, &n));
	if (n != n_entries)
		return fail(ERR_CORRUPT, "a page of mailbox entries changed while it was read");
	const uint8_t *end = bytes.p + bytes.n - CHECKSUM_SIZE;
	if (load(end, 8) != XXH3_64bits(bytes.p, bytes.n - CHECKSUM_SIZE))
		return fail(ERR_CORRUPT, "a page of mailbox entries fails its checksum");
	const uint8_t *at = bytes.p + HEADER_SIZE;
	for (unsigned column = 0; column < N_COLUMNS; column++)
		if (!take_column(&at, end, column, page_first_uid(page_no), entries, n))
			return fail(ERR_CORRUPT, "a page of mailbox entries ends early");
	if (at != end || !entries_are_valid(page_no, entries, n))
		return fail(ERR_CORRUPT, "a page of mailbox entries contradicts itself");
	return ok();
}
