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

static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
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
