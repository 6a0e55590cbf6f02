/* Transfer encodings:
 *
 *   base64           RFC 2045 section 6.8: bytes outside the alphabet are ignored; "=" ends a
 * group; a new group after padding goes on (bodies that were joined) quoted-printable RFC 2045
 * section 6.7: "=" 2HEX, "=" *WSP line-end (soft break), blanks at the end of a line dropped;
 * anything else behind "=" is kept as it came uuencode         as of POSIX: from a "begin " line to
 * an "end" line; text around is dropped
 *
 * Limits: MESSAGE_TRANSFER_HELD_MAX blanks before a line end; more of them are kept as text.
 */
#include "message/transfer.h"

enum message_encoding message_encoding_of(struct slice name)
{
	static const struct {
		const char *name;
		enum message_encoding encoding;
	} names[] = {
	        {"", MESSAGE_ENCODING_IDENTITY},
	        {"7bit", MESSAGE_ENCODING_IDENTITY},
	        {"8bit", MESSAGE_ENCODING_IDENTITY},
	        {"binary", MESSAGE_ENCODING_IDENTITY},
	        {"quoted-printable", MESSAGE_ENCODING_QUOTED_PRINTABLE},
	        {"base64", MESSAGE_ENCODING_BASE64},
	        {"x-uuencode", MESSAGE_ENCODING_UUENCODE},
	        {"x-uue", MESSAGE_ENCODING_UUENCODE},
	        {"uuencode", MESSAGE_ENCODING_UUENCODE},
	};
	name = slice_trim(name);
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (slice_ieq_str(name, names[i].name))
			return names[i].encoding;
	return MESSAGE_ENCODING_UNKNOWN;
}

void message_transfer_init(struct message_transfer *t, enum message_encoding encoding)
{
	*t = (struct message_transfer){.encoding = encoding};
}

/* --------------------------------------------------------------------------------------- base64 */

#define NONE 255 /* not in the alphabet */
#define PAD  64

/* Value and one; 0 is not in the alphabet. */
static const uint8_t base64_values[256] = {
        ['='] = PAD + 1,
        ['+'] = 63,
        ['/'] = 64,
        ['A'] = 1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
        18,
        19,
        20,
        21,
        22,
        23,
        24,
        25,
        26,
        ['a'] = 27,
        28,
        29,
        30,
        31,
        32,
        33,
        34,
        35,
        36,
        37,
        38,
        39,
        40,
        41,
        42,
        43,
        44,
        45,
        46,
        47,
        48,
        49,
        50,
        51,
        52,
        ['0'] = 53,
        54,
        55,
        56,
        57,
        58,
        59,
        60,
        61,
        62,
};

static uint8_t base64_value(uint8_t c)
{
	return (uint8_t)(base64_values[c] - 1);
}

static uint8_t *base64_flush(struct message_transfer *t, uint8_t *out)
{
	if (t->n_bits == 1)
		t->damaged = true;
	if (t->n_bits >= 2)
		*out++ = (uint8_t)(t->bits >> (t->n_bits == 2 ? 4 : 10));
	if (t->n_bits == 3)
		*out++ = (uint8_t)(t->bits >> 2);
	t->bits = 0;
	t->n_bits = 0;
	return out;
}

static uint8_t *base64_byte(struct message_transfer *t, uint8_t c, uint8_t *out)
{
	uint8_t value = base64_value(c);
	if (value == PAD) {
		t->damaged |= t->n_bits < 2 && !t->padded;
		t->padded = true;
		return base64_flush(t, out);
	}
	if (value == NONE) {
		t->damaged |= c != '\r' && c != '\n' && c != ' ' && c != '\t';
		return out;
	}
	t->padded = false;
	t->bits = t->bits << 6 | value;
	if (++t->n_bits < 4)
		return out;
	*out++ = (uint8_t)(t->bits >> 16);
	*out++ = (uint8_t)(t->bits >> 8);
	*out++ = (uint8_t)t->bits;
	t->bits = 0;
	t->n_bits = 0;
	return out;
}

static uint8_t *base64_feed(struct message_transfer *t, struct slice s, uint8_t *out)
{
	size_t i = 0;
	while (i < s.n) {
		/* Whole groups, as long as they are clean. */
		while (t->n_bits == 0 && i + 4 <= s.n) {
			uint8_t a = base64_value(s.p[i]), b = base64_value(s.p[i + 1]);
			uint8_t c = base64_value(s.p[i + 2]), d = base64_value(s.p[i + 3]);
			if ((a | b | c | d) & 0xc0)
				break;
			uint32_t bits =
			        (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
			out[0] = (uint8_t)(bits >> 16);
			out[1] = (uint8_t)(bits >> 8);
			out[2] = (uint8_t)bits;
			out += 3;
			i += 4;
			t->padded = false;
		}
		if (i < s.n)
			out = base64_byte(t, s.p[i++], out);
	}
	return out;
}

/* ----------------------------------------------------------------------------- quoted-printable */

/* What is held begins with "=" or is a run of blanks. */
static uint8_t *qp_release(struct message_transfer *t, uint8_t *out)
{
	memcpy(out, t->held, t->n_held);
	out += t->n_held;
	t->n_held = 0;
	return out;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* c comes after "=". True when it was used up. */
static bool qp_escape(struct message_transfer *t, uint8_t c, uint8_t **out)
{
	if (t->n_held == 1 && ascii_hex_value(c) >= 0) {
		t->held[t->n_held++] = c;
		return true;
	}
	int high = t->n_held == 2 ? ascii_hex_value(t->held[1]) : -1;
	int low = high >= 0 ? ascii_hex_value(c) : -1;
	if (low >= 0) {
		*(*out)++ = (uint8_t)(high << 4 | low);
		t->n_held = 0;
		return true;
	}
	uint8_t last = t->held[t->n_held - 1];
	if (c == '\n' && high < 0) {
		t->n_held = 0;
		return true;
	}
	bool may_break = high < 0 && last != '\r' && (is_blank(c) || c == '\r');
	if (may_break && t->n_held < sizeof(t->held)) {
		t->held[t->n_held++] = c;
		return true;
	}
	t->damaged = true;
	*out = qp_release(t, *out);
	return false;
}

/* c comes after blanks, and perhaps a CR. True when it was used up. */
static bool qp_blanks(struct message_transfer *t, uint8_t c, uint8_t **out)
{
	uint8_t last = t->held[t->n_held - 1];
	if (c == '\n') {
		if (last == '\r')
			*(*out)++ = '\r';
		*(*out)++ = '\n';
		t->n_held = 0;
		return true;
	}
	if (last != '\r' && (is_blank(c) || c == '\r') && t->n_held < sizeof(t->held)) {
		t->held[t->n_held++] = c;
		return true;
	}
	*out = qp_release(t, *out);
	return false;
}

static bool qp_held(struct message_transfer *t, uint8_t c, uint8_t **out)
{
	return t->held[0] == '=' ? qp_escape(t, c, out) : qp_blanks(t, c, out);
}

static uint8_t *qp_feed(struct message_transfer *t, struct slice s, uint8_t *out)
{
	for (size_t i = 0; i < s.n;) {
		uint8_t c = s.p[i];
		if (t->n_held > 0) {
			i += qp_held(t, c, &out);
		} else if (c == '=' || is_blank(c)) {
			t->held[t->n_held++] = c;
			i++;
		} else {
			*out++ = c;
			i++;
		}
	}
	return out;
}

static uint8_t *qp_finish(struct message_transfer *t, uint8_t *out)
{
	/* "=" or "=" and blanks at the very end is a soft break without its line end. */
	bool escape = t->n_held > 0 && t->held[0] == '=';
	bool half = t->n_held == 2 && ascii_hex_value(t->held[1]) >= 0;
	if (half)
		t->damaged = true;
	if ((escape && !half) || (t->n_held > 0 && !escape))
		t->n_held = 0;
	return qp_release(t, out);
}

/* ------------------------------------------------------------------------------------- uuencode */

#define UU_LINE_BYTES 45u

enum {
	UU_OUTSIDE,      /* at the start of a line before "begin "; n_held bytes of it matched */
	UU_OUTSIDE_LINE, /* in a line that is not it */
	UU_BEGIN_LINE,   /* behind "begin " */
	UU_LENGTH,       /* at the start of a line of data */
	UU_LINE,         /* in its characters */
	UU_REST,         /* behind them, up to the line end */
	UU_END,
};

static void uu_outside(struct message_transfer *t, uint8_t c)
{
	static const char begin[] = "begin ";
	if (c == '\n') {
		t->uu_state = UU_OUTSIDE;
		t->n_held = 0;
	} else if (c != (uint8_t)begin[t->n_held]) {
		t->uu_state = UU_OUTSIDE_LINE;
	} else if (++t->n_held == sizeof(begin) - 1) {
		t->uu_state = UU_BEGIN_LINE;
	}
}

static void uu_length(struct message_transfer *t, uint8_t c)
{
	unsigned n = c >= ' ' && c <= '`' ? (c - ' ') & 0x3fu : 64;
	if (c == '\r' || c == '\n')
		return;
	/* "`" or " " is the last, empty line; "end" begins with a character that is no length. */
	bool end = c == 'e' || n == 0;
	t->damaged |= n > UU_LINE_BYTES && !end;
	t->uu_left = n <= UU_LINE_BYTES ? n : 0;
	t->bits = 0;
	t->n_bits = 0;
	t->uu_state = end ? UU_END : UU_LINE;
}

static uint8_t *uu_char(struct message_transfer *t, uint8_t c, uint8_t *out)
{
	/* A line that ends early is filled with zeros: trailing blanks were lost. */
	t->bits = t->bits << 6 | (c >= ' ' && c <= '`' ? (c - ' ') & 0x3fu : 0);
	if (++t->n_bits < 4)
		return out;
	for (unsigned shift = 16; t->uu_left > 0; shift -= 8) {
		*out++ = (uint8_t)(t->bits >> shift);
		t->uu_left--;
		if (shift == 0)
			break;
	}
	t->bits = 0;
	t->n_bits = 0;
	if (t->uu_left == 0)
		t->uu_state = UU_REST;
	return out;
}

static uint8_t *uu_line(struct message_transfer *t, uint8_t c, uint8_t *out)
{
	if (t->uu_left == 0)
		t->uu_state = UU_REST;
	else if (c != '\r' && c != '\n')
		return uu_char(t, c, out);
	else if (c == '\n' && t->n_bits > 0)
		while (t->n_bits > 0)
			out = uu_char(t, ' ', out);
	if (c == '\n')
		t->uu_state = UU_LENGTH;
	return out;
}

static uint8_t *uu_feed(struct message_transfer *t, struct slice s, uint8_t *out)
{
	for (size_t i = 0; i < s.n && t->uu_state != UU_END; i++) {
		uint8_t c = s.p[i];
		if (t->uu_state == UU_OUTSIDE || (t->uu_state == UU_OUTSIDE_LINE && c == '\n'))
			uu_outside(t, c);
		else if (t->uu_state == UU_LENGTH)
			uu_length(t, c);
		else if (t->uu_state == UU_LINE)
			out = uu_line(t, c, out);
		else if (c == '\n' && t->uu_state != UU_OUTSIDE_LINE)
			t->uu_state = UU_LENGTH;
	}
	return out;
}

/* --------------------------------------------------------------------------------------- stream */

void message_transfer_feed(struct message_transfer *t, struct slice bytes, struct buf *out)
{
	if (t->encoding == MESSAGE_ENCODING_IDENTITY || t->encoding == MESSAGE_ENCODING_UNKNOWN) {
		buf_add(out, bytes);
		return;
	}
	uint8_t *to = buf_reserve(out, bytes.n + t->n_held + MESSAGE_TRANSFER_SLACK), *end = to;
	if (!to)
		return;
	if (t->encoding == MESSAGE_ENCODING_BASE64)
		end = base64_feed(t, bytes, to);
	else if (t->encoding == MESSAGE_ENCODING_QUOTED_PRINTABLE)
		end = qp_feed(t, bytes, to);
	else
		end = uu_feed(t, bytes, to);
	buf_commit(out, (size_t)(end - to));
}

void message_transfer_finish(struct message_transfer *t, struct buf *out)
{
	uint8_t *to = buf_reserve(out, t->n_held + MESSAGE_TRANSFER_SLACK), *end = to;
	if (!to)
		return;
	if (t->encoding == MESSAGE_ENCODING_BASE64) {
		t->damaged |= t->n_bits > 0;
		end = base64_flush(t, to);
	} else if (t->encoding == MESSAGE_ENCODING_QUOTED_PRINTABLE) {
		end = qp_finish(t, to);
	} else if (t->encoding == MESSAGE_ENCODING_UUENCODE) {
		t->damaged |= t->uu_state != UU_END;
	}
	buf_commit(out, (size_t)(end - to));
	bool damaged = t->damaged;
	message_transfer_init(t, t->encoding);
	t->damaged = damaged;
}

/* ------------------------------------------------------------------------------------- encoders */

#define LINE_BYTES 57 /* that fill 76 characters of base64 */
#define QP_LINE    76

void message_base64_encode(struct slice bytes, struct buf *out)
{
	static const char alphabet[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t at = 0; at < bytes.n; at += LINE_BYTES) {
		struct slice line = slice_sub(bytes, at, LINE_BYTES);
		uint8_t text[QP_LINE + 2];
		size_t n = 0;
		for (size_t i = 0; i < line.n; i += 3) {
			size_t left = line.n - i;
			uint32_t bits = (uint32_t)line.p[i] << 16;
			bits |= left > 1 ? (uint32_t)line.p[i + 1] << 8 : 0;
			bits |= left > 2 ? line.p[i + 2] : 0;
			text[n++] = (uint8_t)alphabet[bits >> 18];
			text[n++] = (uint8_t)alphabet[bits >> 12 & 63];
			text[n++] = left > 1 ? (uint8_t)alphabet[bits >> 6 & 63] : '=';
			text[n++] = left > 2 ? (uint8_t)alphabet[bits & 63] : '=';
		}
		text[n++] = '\r';
		text[n++] = '\n';
		buf_add(out, slice_of(text, n));
	}
}

static bool qp_plain(struct slice text, size_t i)
{
	uint8_t c = text.p[i];
	if (c == ' ' || c == '\t') {
		struct slice rest = slice_from(text, i + 1);
		return rest.n > 0 && !slice_starts(rest, SLICE("\r\n"));
	}
	return ascii_is_print(c) && c != '=';
}

void message_quoted_printable_encode(struct slice text, struct buf *out)
{
	size_t column = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (slice_starts(slice_from(text, i), SLICE("\r\n"))) {
			buf_add_str(out, "\r\n");
			column = 0;
			i++;
			continue;
		}
		bool plain = qp_plain(text, i);
		size_t size = plain ? 1 : 3;
		if (column + size >= QP_LINE) {
			buf_add_str(out, "=\r\n");
			column = 0;
		}
		if (plain)
			buf_add_byte(out, text.p[i]);
		else
			buf_printf(out, "=%02X", text.p[i]);
		column += size;
	}
}
