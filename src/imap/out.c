/* Response writers (RFC 9051 section 9: string, astring, date-time, resp-text). */
#include "imap/out.h"

#include "base/clock.h"
#include "imap/syntax.h"

#include <stdarg.h>

#define QUOTED_MAX 1000u /* longer strings become literals */

void imap_out_init(struct imap_out *out, struct stream *stream)
{
	*out = (struct imap_out){.stream = stream, .status = ok()};
}

void imap_out_slow(struct imap_out *out, struct slice s)
{
	if (out->to)
		buf_add(out->to, s);
	else if (imap_out_ok(out))
		out->status = stream_write(out->stream, s);
}

void imap_out_u64(struct imap_out *out, uint64_t value)
{
	uint8_t room[SLICE_U64_DIGITS];
	imap_out_slice(out, slice_print_u64(value, room));
}

void imap_out_printf(struct imap_out *out, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ASSERT(n >= 0 && (size_t)n < sizeof(text)); /* formats of ours only, all bounded */
	imap_out_slice(out, slice_of(text, (size_t)n));
}

void imap_out_flush(struct imap_out *out)
{
	if (imap_out_ok(out))
		out->status = stream_flush(out->stream);
}

/* What may stand between quotes everywhere: 7-bit text. */
static bool quotable(struct slice s)
{
	if (s.n > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] >= 0x7f)
			return false;
	return true;
}

/* Calls emit for pieces of s that need no change and for each byte's replacement in between. */
static void with_replaced(struct slice s, bool in_quotes,
                          void (*emit)(void *context, struct slice piece), void *context)
{
	size_t start = 0;
	for (size_t i = 0; i < s.n; i++) {
		bool escape = in_quotes && (s.p[i] == '"' || s.p[i] == '\\');
		if (!escape && s.p[i] != 0)
			continue;
		emit(context, slice_sub(s, start, i - start));
		start = i;
		if (escape) {
			emit(context, SLICE("\\"));
		} else {
			emit(context, SLICE("\x80"));
			start = i + 1;
		}
	}
	emit(context, slice_from(s, start));
}

static void emit_to_out(void *context, struct slice piece)
{
	imap_out_slice(context, piece);
}

static void emit_to_buf(void *context, struct slice piece)
{
	buf_add(context, piece);
}

void imap_out_string(struct imap_out *out, struct slice s)
{
	bool in_quotes = quotable(s);
	if (in_quotes)
		imap_out_byte(out, '"');
	else
		imap_out_printf(out, "{%zu}\r\n", s.n);
	with_replaced(s, in_quotes, emit_to_out, out);
	if (in_quotes)
		imap_out_byte(out, '"');
}

void imap_buf_string(struct buf *buf, struct slice s)
{
	bool in_quotes = quotable(s);
	if (in_quotes)
		buf_add_byte(buf, '"');
	else
		buf_printf(buf, "{%zu}\r\n", s.n);
	with_replaced(s, in_quotes, emit_to_buf, buf);
	if (in_quotes)
		buf_add_byte(buf, '"');
}

void imap_out_astring(struct imap_out *out, struct slice s)
{
	bool plain = s.n > 0 && !slice_ieq_str(s, "NIL");
	for (size_t i = 0; plain && i < s.n; i++)
		plain = imap_is_atom_char(s.p[i]);
	if (plain)
		imap_out_slice(out, s);
	else
		imap_out_string(out, s);
}

void imap_out_text(struct imap_out *out, struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] >= 0x20 && text.p[i] != 0x7f)
			imap_out_byte(out, text.p[i]);
}

static uint8_t *two_digits(uint8_t *p, int value)
{
	p[0] = (uint8_t)('0' + value / 10 % 10);
	p[1] = (uint8_t)('0' + value % 10);
	return p + 2;
}

/* Not by printf: FETCH writes one of these for each message. */
void imap_out_date_time(struct imap_out *out, int64_t unix_s)
{
	uint8_t text[] = "\" 1-Jan-1970 00:00:00 +0000\"";
	struct civil_time t = civil_from_unix(unix_s);
	/* The grammar has room for four digits of a year only. */
	if (t.year < 0 || t.year > 9999)
		t = civil_from_unix(0);
	two_digits(text + 1, t.day);
	if (t.day < 10)
		text[1] = ' ';
	memcpy(text + 4, civil_month_names[t.month - 1], 3);
	two_digits(two_digits(text + 8, t.year / 100), t.year % 100);
	two_digits(text + 13, t.hour);
	two_digits(text + 16, t.minute);
	two_digits(text + 19, t.second);
	imap_out_slice(out, slice_of(text, sizeof(text) - 1));
}
