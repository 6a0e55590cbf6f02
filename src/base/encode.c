/* Encodings of small values. */
#include "base/encode.h"

static const char base64_digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i += 3) {
		size_t n = MIN(in.n - i, (size_t)3);
		uint32_t group = (uint32_t)in.p[i] << 16;
		if (n > 1)
			group |= (uint32_t)in.p[i + 1] << 8;
		if (n > 2)
			group |= in.p[i + 2];
		uint8_t quad[4] = {
		        (uint8_t)base64_digits[group >> 18],
		        (uint8_t)base64_digits[group >> 12 & 63],
		        n > 1 ? (uint8_t)base64_digits[group >> 6 & 63] : '=',
		        n > 2 ? (uint8_t)base64_digits[group & 63] : '=',
		};
		buf_add(out, slice_of(quad, sizeof(quad)));
	}
}

/* Values of digits, plus one: comparing would be a jump that no processor can foresee. */
static const uint8_t base64_values[256] = {
        ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
        ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
        ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
        ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
        ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
        ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
        ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
        ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
        ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
        ['/'] = 64,
};

static int base64_value(uint8_t c)
{
	return base64_values[c] - 1;
}

struct status base64_decode(struct slice in, struct buf *out)
{
	if (in.n % 4 != 0)
		return fail(ERR_SYNTAX, "base64 is not a multiple of four characters");
	for (size_t i = 0; i < in.n; i += 4) {
		bool last = i + 4 == in.n;
		size_t n_pad = 0;
		if (last && in.p[i + 3] == '=')
			n_pad = in.p[i + 2] == '=' ? 2 : 1;
		uint32_t group = 0;
		for (size_t j = 0; j < 4; j++) {
			int value = j >= 4 - n_pad ? 0 : base64_value(in.p[i + j]);
			if (value < 0)
				return fail(ERR_SYNTAX, "invalid base64 character");
			group = group << 6 | (uint32_t)value;
		}
		uint8_t bytes[3] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
		for (size_t j = 3 - n_pad; j < 3; j++)
			if (bytes[j] != 0)
				return fail(ERR_SYNTAX, "base64 has stray bits at its end");
		buf_add(out, slice_of(bytes, 3 - n_pad));
	}
	return buf_failed(out) ? fail(ERR_LIMIT, "base64 value is too long") : ok();
}

static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

void hex_encode(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		buf_add_byte(out, (uint8_t)hex_lower[in.p[i] >> 4]);
		buf_add_byte(out, (uint8_t)hex_lower[in.p[i] & 15]);
	}
}

struct status hex_decode(struct slice in, struct buf *out)
{
	if (in.n % 2 != 0)
		return fail(ERR_SYNTAX, "hexadecimal value has an odd number of digits");
	for (size_t i = 0; i < in.n; i += 2) {
		int high = ascii_hex_value(in.p[i]);
		int low = ascii_hex_value(in.p[i + 1]);
		if (high < 0 || low < 0)
			return fail(ERR_SYNTAX, "invalid hexadecimal digit");
		buf_add_byte(out, (uint8_t)(high << 4 | low));
	}
	return buf_failed(out) ? fail(ERR_LIMIT, "hexadecimal value is too long") : ok();
}

/* xchar = any ASCII between "!" and "~" except "+" and "=" */
static bool is_xchar(uint8_t c)
{
	return c >= '!' && c <= '~' && c != '+' && c != '=';
}

void xtext_encode(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		if (is_xchar(in.p[i])) {
			buf_add_byte(out, in.p[i]);
		} else {
			buf_add_byte(out, '+');
			buf_add_byte(out, (uint8_t)hex_upper[in.p[i] >> 4]);
			buf_add_byte(out, (uint8_t)hex_upper[in.p[i] & 15]);
		}
	}
}

struct status xtext_decode(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		if (is_xchar(in.p[i])) {
			buf_add_byte(out, in.p[i]);
			continue;
		}
		if (in.p[i] != '+' || in.n - i < 3)
			return fail(ERR_SYNTAX, "invalid xtext");
		int high = ascii_hex_value(in.p[i + 1]);
		int low = ascii_hex_value(in.p[i + 2]);
		/* hexchar is upper case by the grammar; lower case is refused */
		if (high < 0 || low < 0 || in.p[i + 1] > 'F' || in.p[i + 2] > 'F')
			return fail(ERR_SYNTAX, "invalid xtext");
		buf_add_byte(out, (uint8_t)(high << 4 | low));
		i += 2;
	}
	return buf_failed(out) ? fail(ERR_LIMIT, "xtext value is too long") : ok();
}
