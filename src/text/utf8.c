/* UTF-8 by the table of well-formed byte sequences (RFC 3629 section 4):
 *
 *   UTF8-2 = %xC2-DF UTF8-tail
 *   UTF8-3 = %xE0 %xA0-BF tail / %xE1-EC 2tail / %xED %x80-9F tail / %xEE-EF 2tail
 *   UTF8-4 = %xF0 %x90-BF 2tail / %xF1-F3 3tail / %xF4 %x80-8F 2tail
 */
#include "text/utf8.h"

struct lead {
	uint8_t n_tail;
	uint8_t second_min, second_max;
};

static struct lead lead_of(uint8_t c)
{
	if (c >= 0xc2 && c <= 0xdf)
		return (struct lead){1, 0x80, 0xbf};
	if (c >= 0xe0 && c <= 0xef)
		return (struct lead){2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf};
	if (c >= 0xf0 && c <= 0xf4)
		return (struct lead){3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf};
	return (struct lead){0, 0, 0};
}

enum utf8_result utf8_decode(struct slice s, uint32_t *ret_codepoint, size_t *ret_n)
{
	uint8_t first = s.p[0];
	*ret_codepoint = first;
	*ret_n = 1;
	if (first < 0x80)
		return UTF8_OK;
	struct lead lead = lead_of(first);
	if (lead.n_tail == 0)
		return UTF8_INVALID;
	uint32_t codepoint = first & (0x3fu >> lead.n_tail);
	for (size_t i = 1; i <= lead.n_tail; i++, *ret_n = i) {
		if (i >= s.n)
			return UTF8_INCOMPLETE;
		uint8_t min = i == 1 ? lead.second_min : 0x80,
		        max = i == 1 ? lead.second_max : 0xbf;
		if (s.p[i] < min || s.p[i] > max)
			return UTF8_INVALID;
		codepoint = codepoint << 6 | (s.p[i] & 0x3fu);
	}
	*ret_codepoint = codepoint;
	return UTF8_OK;
}

/* Bytes below 0x80 at the start of s, eight at a time. */
static size_t ascii_prefix(struct slice s)
{
	size_t i = 0;
	for (uint64_t eight; i + sizeof(eight) <= s.n; i += sizeof(eight)) {
		memcpy(&eight, s.p + i, sizeof(eight));
		if (eight & UINT64_C(0x8080808080808080))
			break;
	}
	while (i < s.n && s.p[i] < 0x80)
		i++;
	return i;
}

size_t utf8_valid_prefix(struct slice s)
{
	size_t at = 0, n;
	uint32_t codepoint;
	for (;;) {
		at += ascii_prefix(slice_from(s, at));
		if (at >= s.n || utf8_decode(slice_from(s, at), &codepoint, &n) != UTF8_OK)
			return at;
		at += n;
	}
}

bool utf8_valid(struct slice s)
{
	return utf8_valid_prefix(s) == s.n;
}

size_t utf8_encode(uint32_t c, uint8_t out[4])
{
	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = UTF8_REPLACEMENT;
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (uint8_t)(0x80 | (c & 0x3f));
	out[0] = (uint8_t)(0xf00u >> n | c);
	return n;
}

void utf8_add(struct buf *out, uint32_t codepoint)
{
	uint8_t bytes[4];
	buf_add(out, slice_of(bytes, utf8_encode(codepoint, bytes)));
}

void utf8_add_valid(struct buf *out, struct slice s)
{
	while (s.n > 0) {
		size_t n = utf8_valid_prefix(s);
		buf_add(out, slice_sub(s, 0, n));
		s = slice_from(s, n);
		if (s.n == 0)
			return;
		uint32_t codepoint;
		utf8_decode(s, &codepoint, &n);
		utf8_add(out, UTF8_REPLACEMENT);
		s = slice_from(s, n);
	}
}

struct slice utf8_cut(struct slice s, size_t max)
{
	if (s.n <= max)
		return s;
	size_t n = max;
	while (n > 0 && max - n < 3 && (s.p[n] & 0xc0) == 0x80)
		n--;
	return slice_sub(s, 0, n);
}
