/* UTF-8 (RFC 3629): shortest forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

#define UTF8_REPLACEMENT 0xfffdu

/* All of s is valid UTF-8. */
bool utf8_valid(struct slice s);
/* Longest prefix of s that is valid. */
size_t utf8_valid_prefix(struct slice s);

enum utf8_result {
	UTF8_OK,
	UTF8_INVALID, /* *ret_n bytes (>= 1) are no character: "maximal subpart" of Unicode 3.9 */
	UTF8_INCOMPLETE, /* s ends inside of what may become a character; *ret_n == s.n */
};

/* The character at the start of s, which is not empty. */
enum utf8_result utf8_decode(struct slice s, uint32_t *ret_codepoint, size_t *ret_n);

/* Writes 1 to 4 bytes; what is no Unicode scalar value is written as U+FFFD. */
size_t utf8_encode(uint32_t codepoint, uint8_t out[4]);
void utf8_add(struct buf *out, uint32_t codepoint);

/* Appends s with what is invalid replaced by U+FFFD. */
void utf8_add_valid(struct buf *out, struct slice s);

/* Cut of s to at most max bytes that does not split a character. */
struct slice utf8_cut(struct slice s, size_t max);
