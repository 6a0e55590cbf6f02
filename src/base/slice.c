/* Operations on counted bytes. All are total: no offset or size can make them read outside. */
#include "base/slice.h"

struct slice slice_of(const void *p, size_t n)
{
	return p ? (struct slice){p, n} : SLICE("");
}

struct slice slice_str(const char *s)
{
	return s ? (struct slice){(const uint8_t *)s, strlen(s)} : SLICE("");
}

bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

bool slice_eq_str(struct slice a, const char *b)
{
	return slice_eq(a, slice_str(b));
}

int slice_cmp(struct slice a, struct slice b)
{
	int order = memcmp(a.p, b.p, MIN(a.n, b.n));
	if (order != 0)
		return order;
	return a.n < b.n ? -1 : a.n > b.n;
}

int slice_icmp(struct slice a, struct slice b)
{
	size_t n = MIN(a.n, b.n);
	for (size_t i = 0; i < n; i++) {
		int order = ascii_lower(a.p[i]) - ascii_lower(b.p[i]);
		if (order != 0)
			return order;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

bool slice_ieq(struct slice a, struct slice b)
{
	return a.n == b.n && slice_icmp(a, b) == 0;
}

bool slice_ieq_str(struct slice a, const char *b)
{
	return slice_ieq(a, slice_str(b));
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_eq(slice_sub(s, 0, prefix.n), prefix);
}

bool slice_istarts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_ieq(slice_sub(s, 0, prefix.n), prefix);
}

bool slice_ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n && slice_eq(slice_from(s, s.n - suffix.n), suffix);
}

bool slice_iends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n && slice_ieq(slice_from(s, s.n - suffix.n), suffix);
}

struct slice slice_sub(struct slice s, size_t offset, size_t n)
{
	if (offset > s.n)
		offset = s.n;
	return (struct slice){s.p + offset, MIN(n, s.n - offset)};
}

struct slice slice_from(struct slice s, size_t offset)
{
	return slice_sub(s, offset, SIZE_MAX);
}

size_t slice_index(struct slice s, uint8_t byte)
{
	const uint8_t *at = s.n ? memchr(s.p, byte, s.n) : NULL;
	return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t slice_rindex(struct slice s, uint8_t byte)
{
	const uint8_t *at = s.n ? memrchr(s.p, byte, s.n) : NULL;
	return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t slice_find(struct slice s, struct slice needle)
{
	if (needle.n == 0)
		return 0;
	const uint8_t *at = memmem(s.p, s.n, needle.p, needle.n);
	return at ? (size_t)(at - s.p) : SIZE_MAX;
}

bool slice_cut(struct slice s, uint8_t byte, struct slice *ret_head, struct slice *ret_tail)
{
	size_t at = slice_index(s, byte);
	*ret_head = slice_sub(s, 0, at);
	*ret_tail = slice_from(s, at == SIZE_MAX ? s.n : at + 1);
	return at != SIZE_MAX;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool slice_is_ascii(struct slice s)
{
	uint8_t seen = 0;
	for (size_t i = 0; i < s.n; i++)
		seen |= s.p[i];
	return seen < 0x80;
}

bool slice_has_control(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
			return true;
	return false;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]) || __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*ret_value = value;
	return true;
}

bool slice_to_u32(struct slice s, uint32_t max, uint32_t *ret_value)
{
	uint64_t value;
	if (!slice_to_u64(s, max, &value))
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

struct slice slice_print_u64(uint64_t value, uint8_t room[SLICE_U64_DIGITS])
{
	size_t at = SLICE_U64_DIGITS;
	do {
		room[--at] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return slice_of(room + at, SLICE_U64_DIGITS - at);
}

char *slice_to_cstr(struct slice s)
{
	if (slice_index(s, 0) != SIZE_MAX)
		return NULL;
	char *copy = base_alloc(s.n + 1);
	memcpy(copy, s.p, s.n);
	return copy;
}

int ascii_hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool slice_eq_secret(struct slice a, struct slice b)
{
	volatile uint8_t differ = a.n != b.n;
	size_t n = MIN(a.n, b.n);
	for (size_t i = 0; i < n; i++)
		differ |= a.p[i] ^ b.p[i];
	return differ == 0;
}
