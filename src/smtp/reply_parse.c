/* Reading of replies.
 *
 *   Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 *   Reply-code = %x32-35 %x30-35 %x30-39
 *   (RFC 5321 section 4.2; the class of the code is what counts, so the second and third digit may
 *   be any)
 *
 * An enhanced code (RFC 2034 section 4) is taken from the first line; it counts only when its class
 * is that of the code.
 *
 * Does not: know which replies a command may get, recover from one that makes no sense.
 */
#include "smtp/reply_parse.h"

#include "base/cursor.h"
#include "smtp/rules.h"

/* --- one line --- */

struct status smtp_reply_line_parse(struct slice line, struct smtp_reply_line *ret_line)
{
	uint32_t code;
	if (line.n < 3 || !slice_to_u32(slice_sub(line, 0, 3), 999, &code) || code < 200 ||
	    code > 599)
		return fail(ERR_SYNTAX, "server's reply has no code");
	if (line.n > 3 && line.p[3] != '-' && line.p[3] != ' ')
		return fail(ERR_SYNTAX, "server's reply has no blank behind its code");
	*ret_line = (struct smtp_reply_line){
	        .code = (uint16_t)code,
	        .more = line.n > 3 && line.p[3] == '-',
	        .text = slice_from(line, 4),
	};
	return ok();
}

/* 1*3DIGIT, without leading zeros beyond "0" being enforced: servers write "5.01.1" */
static bool skip_number(struct cursor *c)
{
	size_t n = 0;
	for (; n < 3 && cursor_peek(c) >= 0 && ascii_is_digit((uint8_t)cursor_peek(c)); n++)
		(void)cursor_byte(c);
	return n > 0;
}

bool smtp_enhanced_parse(uint16_t code, struct slice text, char ret_enhanced[SMTP_ENHANCED_SIZE],
                         struct slice *ret_rest)
{
	struct cursor c = cursor_of(text);
	ret_enhanced[0] = 0;
	if (ret_rest)
		*ret_rest = text;
	if (cursor_peek(&c) != '0' + code / 100 || (code / 100 != 2 && code / 100 < 4))
		return false;
	(void)cursor_byte(&c);
	if (!cursor_skip(&c, '.') || !skip_number(&c) || !cursor_skip(&c, '.') || !skip_number(&c))
		return false;
	if (!cursor_at_end(&c) && cursor_peek(&c) != ' ')
		return false;
	ASSERT(c.at < SMTP_ENHANCED_SIZE);
	memcpy(ret_enhanced, text.p, c.at);
	ret_enhanced[c.at] = 0;
	(void)cursor_skip(&c, ' ');
	if (ret_rest)
		*ret_rest = cursor_rest(&c);
	return true;
}

/* --- a whole reply --- */

void smtp_reply_in_init(struct smtp_reply_in *reply)
{
	*reply = (struct smtp_reply_in){.code = 0};
	buf_init(&reply->text, SMTP_REPLY_PARSE_TOTAL_MAX + SMTP_REPLY_PARSE_LINES_MAX);
}

void smtp_reply_in_done(struct smtp_reply_in *reply)
{
	buf_done(&reply->text);
}

static void reset(struct smtp_reply_in *reply)
{
	reply->code = 0;
	reply->n_lines = 0;
	reply->enhanced[0] = 0;
	buf_reset(&reply->text);
}

/* Nothing that acts on a terminal or breaks a header gets any further. */
static void add_cleaned(struct buf *out, struct slice line)
{
	while (line.n > 0) {
		size_t size = ascii_is_print(line.p[0]) ? 1 : smtp_utf8_size(line);
		if (size > 0)
			buf_add(out, slice_sub(line, 0, size));
		else
			buf_add_byte(out, line.p[0] == '\t' ? ' ' : '?');
		line = slice_from(line, MAX(size, (size_t)1));
	}
}

static struct status take_line(struct smtp_reply_in *reply, struct slice line, bool *ret_more)
{
	struct smtp_reply_line parsed = {.code = 0};
	struct status status = smtp_reply_line_parse(line, &parsed);
	if (reply->n_lines > 0)
		buf_add_byte(&reply->text, '\n');
	add_cleaned(&reply->text, line);
	reply->n_lines++;
	TRY(status);
	if (reply->code != 0 && reply->code != parsed.code)
		return fail(ERR_PROTOCOL, "lines of the server's reply have different codes");
	if (reply->n_lines == 1)
		(void)smtp_enhanced_parse(parsed.code, parsed.text, reply->enhanced, NULL);
	reply->code = parsed.code;
	*ret_more = parsed.more;
	if (parsed.more && reply->n_lines >= SMTP_REPLY_PARSE_LINES_MAX)
		return fail(ERR_LIMIT, "server's reply has too many lines");
	if (parsed.more && reply->text.n > SMTP_REPLY_PARSE_TOTAL_MAX - SMTP_REPLY_PARSE_LINE_MAX)
		return fail(ERR_LIMIT, "server's reply is too long");
	return ok();
}

/* One more read; the time left is for the whole reply, however it trickles in. */
static struct status fill(struct stream *stream, const struct clock *clock, int64_t until_ms)
{
	int64_t left_ms = until_ms - clock_monotonic_ms(clock);
	if (left_ms <= 0)
		return fail(ERR_TIMEOUT, "server did not answer in time");
	stream->timeout_ms = (int)left_ms;
	return stream_fill(stream);
}

/* The next line without its end; it has been taken and is valid until the next fill. */
static struct status read_line(struct stream *stream, const struct clock *clock, int64_t until_ms,
                               struct slice *ret_line)
{
	size_t searched = 0;
	for (;;) {
		struct slice have = stream_buffered(stream);
		size_t lf = slice_index(slice_from(have, searched), '\n');
		size_t n = lf == SIZE_MAX ? have.n : searched + lf + 1;
		if (n > SMTP_REPLY_PARSE_LINE_MAX ||
		    (lf == SIZE_MAX && n == SMTP_REPLY_PARSE_LINE_MAX))
			return fail(ERR_LIMIT, "line of the server's reply is too long");
		if (lf != SIZE_MAX) {
			struct slice line = slice_sub(have, 0, n - 1);
			line.n -= slice_ends(line, SLICE("\r"));
			*ret_line = line;
			return ok();
		}
		searched = have.n;
		TRY(fill(stream, clock, until_ms));
	}
}

struct status smtp_reply_in_read(struct smtp_reply_in *reply, struct stream *stream,
                                 const struct clock *clock, int timeout_ms)
{
	int64_t until_ms = clock_monotonic_ms(clock) + timeout_ms;
	bool more = true;
	reset(reply);
	while (more) {
		struct slice line;
		TRY(read_line(stream, clock, until_ms, &line));
		struct status status = take_line(reply, line, &more);
		stream_take(stream, slice_index(stream_buffered(stream), '\n') + 1);
		TRY(status);
	}
	return ok();
}

struct slice smtp_reply_in_line(const struct smtp_reply_in *reply, size_t i)
{
	struct slice line = slice_empty(), rest = buf_slice(&reply->text);
	if (i >= reply->n_lines)
		return slice_empty();
	for (size_t at = 0; at <= i; at++)
		(void)slice_cut(rest, '\n', &line, &rest);
	return line;
}

struct slice smtp_reply_in_text(const struct smtp_reply_in *reply, size_t i)
{
	return slice_from(smtp_reply_in_line(reply, i), 4);
}
