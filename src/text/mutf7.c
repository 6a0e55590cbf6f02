/* Modified UTF-7 (RFC 3501 section 5.1.3):
 *
 *   %x20-25 / %x27-7e stand for themselves, "&-" for "&"; all else is "&" base64 "-" of UTF-16BE,
 *   with "," for "/" and no padding. Not allowed: printable US-ASCII in base64, "&" base64 "-&"
 * base64 (a null shift), and base64 that is not the shortest.
 */
#include "text/mutf7.h"

#include "text/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_direct(uint32_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* ------------------------------------------------------------------------------------- decoding */

struct shift {
	uint32_t bits;
	unsigned n_bits;
	uint32_t high; /* surrogate that waits for its partner */
};

static struct status take_unit(struct shift *shift, uint32_t unit, struct buf *out)
{
	bool is_high = unit >= 0xd800 && unit <= 0xdbff, is_low = unit >= 0xdc00 && unit <= 0xdfff;
	if (is_low != (shift->high != 0))
		return fail(ERR_SYNTAX, "surrogate without its partner");
	if (is_high) {
		shift->high = unit;
		return ok();
	}
	if (is_low)
		unit = 0x10000 + ((shift->high - 0xd800) << 10) + (unit - 0xdc00);
	if (is_direct(unit))
		return fail(ERR_SYNTAX, "printable character in base64");
	shift->high = 0;
	utf8_add(out, unit);
	return ok();
}

static struct status take_digit(struct shift *shift, uint8_t c, struct buf *out)
{
	const char *at = memchr(alphabet, c, sizeof(alphabet) - 1);
	if (!at)
		return fail(ERR_SYNTAX, "not a base64 character");
	shift->bits = shift->bits << 6 | (uint32_t)(at - alphabet);
	shift->n_bits += 6;
	if (shift->n_bits < 16)
		return ok();
	shift->n_bits -= 16;
	return take_unit(shift, shift->bits >> shift->n_bits & 0xffff, out);
}

/* Behind "&", up to and with "-". */
static struct status take_shift(struct slice *in, struct buf *out)
{
	struct shift shift = {0};
	while (in->n > 0 && in->p[0] != '-') {
		TRY(take_digit(&shift, in->p[0], out));
		*in = slice_from(*in, 1);
	}
	if (in->n == 0)
		return fail(ERR_SYNTAX, "base64 without its end");
	if (shift.high != 0)
		return fail(ERR_SYNTAX, "surrogate without its partner");
	if (shift.n_bits >= 6 || (shift.bits & ((1u << shift.n_bits) - 1)) != 0)
		return fail(ERR_SYNTAX, "base64 that is not the shortest");
	*in = slice_from(*in, 1);
	return ok();
}

struct status text_mutf7_decode(struct slice name, struct buf *out)
{
	bool after_shift = false;
	while (name.n > 0) {
		uint8_t c = name.p[0];
		name = slice_from(name, 1);
		if (!is_direct(c))
			return fail(ERR_SYNTAX, "not a printable US-ASCII character");
		bool escape = c == '&' && name.n > 0 && name.p[0] == '-';
		bool shifts = c == '&' && !escape;
		if (shifts && after_shift)
			return fail(ERR_SYNTAX, "superfluous shift");
		after_shift = shifts;
		if (shifts)
			TRY(take_shift(&name, out));
		else
			buf_add_byte(out, c);
		if (escape)
			name = slice_from(name, 1);
	}
	return ok();
}

/* ------------------------------------------------------------------------------------- encoding */

struct writer {
	struct buf *out;
	bool shifted;
	uint32_t bits;
	unsigned n_bits;
};

static void add_unit(struct writer *w, uint32_t unit)
{
	if (!w->shifted)
		buf_add_byte(w->out, '&');
	w->shifted = true;
	w->bits = w->bits << 16 | unit;
	w->n_bits += 16;
	while (w->n_bits >= 6) {
		w->n_bits -= 6;
		buf_add_byte(w->out, (uint8_t)alphabet[w->bits >> w->n_bits & 63]);
	}
	w->bits &= (1u << w->n_bits) - 1;
}

static void end_shift(struct writer *w)
{
	if (!w->shifted)
		return;
	if (w->n_bits > 0)
		buf_add_byte(w->out, (uint8_t)alphabet[w->bits << (6 - w->n_bits) & 63]);
	buf_add_byte(w->out, '-');
	*w = (struct writer){.out = w->out};
}

struct status text_mutf7_encode(struct slice text, struct buf *out)
{
	struct writer w = {.out = out};
	while (text.n > 0) {
		uint32_t c;
		size_t n;
		if (utf8_decode(text, &c, &n) != UTF8_OK)
			return fail(ERR_SYNTAX, "not UTF-8");
		text = slice_from(text, n);
		if (is_direct(c)) {
			end_shift(&w);
			buf_add_byte(out, (uint8_t)c);
			if (c == '&')
				buf_add_byte(out, '-');
		} else if (c < 0x10000) {
			add_unit(&w, c);
		} else {
			add_unit(&w, 0xd800 + ((c - 0x10000) >> 10));
			add_unit(&w, 0xdc00 + ((c - 0x10000) & 0x3ff));
		}
	}
	end_shift(&w);
	return ok();
}
