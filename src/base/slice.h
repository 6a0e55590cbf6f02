/* Counted bytes: the only form in which bytes from outside travel.
 *
 * A slice owns nothing; it is valid as long as the memory it points into. An empty slice has a
 * non-NULL p. Slices may hold any byte, NUL included.
 */
#pragma once

#include "base/base.h"

#include <string.h>

struct slice {
	const uint8_t *p;
	size_t n;
};

/* From a string literal, usable in static initialisers (of GNU C). */
#ifndef __cplusplus
#define SLICE(literal) ((struct slice){(const uint8_t *)("" literal), sizeof("" literal) - 1})
#else
#define SLICE(literal) slice_of("" literal, sizeof("" literal) - 1)
#endif

/* For printf("%.*s"): cut at INT_MAX. */
#define SLICE_FMT(s)                                                                               \
	(int)((s).n < (size_t)INT32_MAX ? (s).n : (size_t)INT32_MAX), (const char *)(s).p

struct slice slice_of(const void *p, size_t n);
struct slice slice_str(const char *s); /* NULL gives an empty slice */
static inline struct slice slice_empty(void)
{
	return SLICE("");
}

bool slice_eq(struct slice a, struct slice b);
bool slice_eq_str(struct slice a, const char *b);
/* ASCII case-insensitive: the protocols' notion, independent of any locale. */
bool slice_ieq(struct slice a, struct slice b);
bool slice_ieq_str(struct slice a, const char *b);
int slice_cmp(struct slice a, struct slice b);  /* bytewise, shorter first */
int slice_icmp(struct slice a, struct slice b); /* the same on ASCII lower case */

bool slice_starts(struct slice s, struct slice prefix);
bool slice_istarts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
bool slice_iends(struct slice s, struct slice suffix);

/* From offset, at most n bytes; both are cut to what is there. */
struct slice slice_sub(struct slice s, size_t offset, size_t n);
struct slice slice_from(struct slice s, size_t offset);

/* Index of the first/last such byte, SIZE_MAX when there is none. */
size_t slice_index(struct slice s, uint8_t byte);
size_t slice_rindex(struct slice s, uint8_t byte);
size_t slice_find(struct slice s, struct slice needle);

/* Splits at the first `byte`: true when found. ret_head and ret_tail exclude the byte; when it is
 * not found ret_head is all of s and ret_tail is empty. */
bool slice_cut(struct slice s, uint8_t byte, struct slice *ret_head, struct slice *ret_tail);

/* Without SP, HTAB, CR and LF at both ends. */
struct slice slice_trim(struct slice s);

/* Every byte in 0x00..0x7f. */
bool slice_is_ascii(struct slice s);
/* Holds CR, LF or NUL: must never be written into a header or protocol line. */
bool slice_has_control(struct slice s);

/* Decimal digits only, no sign, no blanks, at least one digit; false beyond max. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *ret_value);
bool slice_to_u32(struct slice s, uint32_t max, uint32_t *ret_value);

/* The way back: decimal digits, at the end of `room`. */
#define SLICE_U64_DIGITS 20
struct slice slice_print_u64(uint64_t value, uint8_t room[SLICE_U64_DIGITS]);

/* A C string for a library border, on the heap (base_free). NULL when s holds NUL. */
char *slice_to_cstr(struct slice s);

/* ASCII character classes, locale-free. */
static inline bool ascii_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_is_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}
static inline bool ascii_is_alpha(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_is_alnum(uint8_t c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}
static inline bool ascii_is_print(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e;
}
static inline uint8_t ascii_lower(uint8_t c)
{
	return ascii_is_upper(c) ? (uint8_t)(c | 0x20) : c;
}
static inline uint8_t ascii_upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c & ~0x20) : c;
}
/* Value of a hexadecimal digit, -1 for other bytes. */
int ascii_hex_value(uint8_t c);

/* The one constant-time comparison: for secrets, tags, verifiers. Its time depends on the sizes
 * only; different sizes are unequal. */
bool slice_eq_secret(struct slice a, struct slice b);
