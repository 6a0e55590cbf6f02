/* Framing of IMAP commands.
 *
 *   command = line *(literal line), where all lines but the last end in a literal's head
 *
 * Lines end in CRLF exactly; a bare LF, a bare CR or a NUL in a line make the command unusable. A
 * refused command is still read to its end where the client has already sent it (RFC 7888 section
 * 4), so that no part of it is taken for a command of its own. Where that is too much, the
 * connection ends: guessing where the next command starts would let data be run as commands.
 */
#include "imap/reader.h"

void imap_reader_init(struct imap_reader *r, struct stream *stream,
                      const struct imap_reader_limits *limits)
{
	ASSERT(limits->line_max <= IMAP_LINE_MAX);
	*r = (struct imap_reader){.stream = stream, .limits = *limits};
	buf_init(&r->unit, limits->line_max * 8 + (size_t)limits->total_max);
}

void imap_reader_done(struct imap_reader *r)
{
	buf_done(&r->unit);
}

static struct status fill(struct imap_reader *r)
{
	struct stream *s = r->stream;
	if (r->deadline_ms == 0)
		return stream_fill(s);
	int64_t left = r->deadline_ms - clock_monotonic_ms(r->clock);
	if (left <= 0)
		return fail(ERR_TIMEOUT, "the time for this is over");
	int timeout_ms = s->timeout_ms;
	s->timeout_ms = (int)MIN(left, (int64_t)timeout_ms);
	struct status status = stream_fill(s);
	s->timeout_ms = timeout_ms;
	return status;
}

/* Waits for a line end in the buffer: *ret_n is the line's size with its LF. LIMIT when it is
 * longer than max. */
static struct status await_line(struct imap_reader *r, size_t max, size_t *ret_n)
{
	size_t searched = 0;
	for (;;) {
		struct slice have = stream_buffered(r->stream);
		size_t lf = slice_index(slice_from(have, searched), '\n');
		if (lf != SIZE_MAX && searched + lf < max) {
			*ret_n = searched + lf + 1;
			return ok();
		}
		if (lf != SIZE_MAX || have.n >= max)
			return fail(ERR_LIMIT, "the line is too long");
		searched = have.n;
		TRY(fill(r));
	}
}

#define TAIL_SIZE 32u /* enough for a literal's head and CRLF */

/* Drops a line that is too long. Its end is kept in `tail`, for a literal's head may stand there.
 */
static struct status drop_line(struct imap_reader *r, uint8_t *tail, size_t *ret_n_tail)
{
	size_t n_tail = 0;
	for (bool ended = false; !ended;) {
		struct slice have = stream_buffered(r->stream);
		size_t lf = slice_index(have, '\n');
		ended = lf != SIZE_MAX;
		size_t n = ended ? lf + 1 : have.n;
		size_t keep = MIN(n, (size_t)TAIL_SIZE);
		size_t old = MIN(n_tail, TAIL_SIZE - keep);
		memmove(tail, tail + (n_tail - old), old);
		memcpy(tail + old, have.p + (n - keep), keep);
		n_tail = old + keep;
		r->discarded += n;
		stream_take(r->stream, n);
		if (r->discarded > r->limits.discard_max)
			return fail(ERR_PROTOCOL, "the line is far too long");
		if (!ended)
			TRY(fill(r));
	}
	*ret_n_tail = n_tail;
	return ok();
}

static struct slice without_line_end(struct slice line)
{
	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* A line's bytes but its end: no CR, LF or NUL. */
static struct status check_line(struct slice line_with_end)
{
	if (!slice_ends(line_with_end, SLICE("\r\n")))
		return fail(ERR_SYNTAX, "a line must end in CR LF");
	if (slice_has_control(without_line_end(line_with_end)))
		return fail(ERR_SYNTAX, "CR and NUL are not allowed inside a line");
	return ok();
}

static struct status drop_bytes(struct imap_reader *r, uint64_t n)
{
	if (n > r->limits.discard_max || r->discarded + n > r->limits.discard_max)
		return fail(ERR_PROTOCOL, "the literal is far too large");
	r->discarded += n;
	while (n > 0) {
		if (stream_buffered(r->stream).n == 0)
			TRY(fill(r));
		size_t step = MIN(n, stream_buffered(r->stream).n);
		stream_take(r->stream, step);
		n -= step;
	}
	return ok();
}

/* Reads a refused command to its end and gives the reason it was refused for. A synchronising
 * literal ends it: the client will not send one that is not asked for. */
static struct status drop_rest(struct imap_reader *r, struct imap_literal l, bool has_literal,
                               struct status why)
{
	while (has_literal && l.non_sync) {
		uint8_t tail[TAIL_SIZE];
		size_t n_tail;
		TRY(drop_bytes(r, l.size));
		TRY(drop_line(r, tail, &n_tail));
		has_literal = imap_literal_at_end(without_line_end(slice_of(tail, n_tail)), &l);
	}
	return why;
}

static struct status check_literal(const struct imap_reader *r, const struct imap_literal *l)
{
	if (l->size > r->limits.literal_max || r->literals_size + l->size > r->limits.total_max)
		return fail(ERR_LIMIT, "the command's literals are too large");
	if (l->non_sync && l->size > r->limits.non_sync_max)
		return fail(ERR_LIMIT, "a literal of that size must be a synchronising one");
	if (r->n_literals >= r->limits.literals_max)
		return fail(ERR_LIMIT, "the command has too many literals");
	return ok();
}

static struct status read_literal(struct imap_reader *r, const struct imap_literal *l)
{
	r->n_literals++;
	r->literals_size += l->size;
	if (!l->non_sync)
		TRY(imap_reader_continue(r, "OK"));
	for (uint64_t left = l->size; left > 0;) {
		if (stream_buffered(r->stream).n == 0)
			TRY(fill(r));
		struct slice have = slice_sub(stream_buffered(r->stream), 0, (size_t)left);
		buf_add(&r->unit, have);
		stream_take(r->stream, have.n);
		left -= have.n;
	}
	return ok();
}

/* append = "APPEND" SP mailbox 1*append-message: the literal that is no mailbox is a message, and
 * the mailbox stands first. */
static bool is_message_literal(const struct imap_reader *r)
{
	if (!r->limits.message_literals)
		return false;
	struct cursor c = cursor_of(buf_slice(&r->unit));
	(void)imap_tag(&c);
	imap_sp(&c);
	if (!cursor_skip_text(&c, "APPEND "))
		return false;
	return r->n_literals > 0 || cursor_peek(&c) != '{';
}

static struct status too_long(struct imap_reader *r)
{
	uint8_t tail[TAIL_SIZE];
	size_t n_tail;
	struct imap_literal l = {0};
	/* The tag is wanted for the answer. */
	if (r->unit.n == 0)
		buf_add(&r->unit, slice_sub(stream_buffered(r->stream), 0, IMAP_TAG_MAX + 1));
	TRY(drop_line(r, tail, &n_tail));
	bool has_literal = imap_literal_at_end(without_line_end(slice_of(tail, n_tail)), &l);
	return drop_rest(r, l, has_literal, fail(ERR_LIMIT, "the command line is too long"));
}

/* From the current place to the end of the command or a message literal. */
static struct status read_lines(struct imap_reader *r, bool rest_of_append)
{
	for (;;) {
		size_t n;
		struct imap_literal l = {0};
		struct status status = await_line(r, r->limits.line_max, &n);
		if (status.code == ERR_LIMIT)
			return too_long(r);
		TRY(status);
		struct slice line = slice_sub(stream_buffered(r->stream), 0, n);
		struct slice text = without_line_end(line);
		status = check_line(line);
		bool has_literal = imap_literal_at_end(text, &l);
		buf_add(&r->unit, text);
		stream_take(r->stream, n);
		if (!is_ok(status))
			return drop_rest(r, l, has_literal, status);
		if (buf_failed(&r->unit))
			return drop_rest(r, l, has_literal,
			                 fail(ERR_LIMIT, "the command is too long"));
		if (!has_literal)
			return ok();
		if (rest_of_append || is_message_literal(r)) {
			r->at_message = true;
			r->message = l;
			return ok();
		}
		status = check_literal(r, &l);
		if (!is_ok(status))
			return drop_rest(r, l, true, status);
		buf_add(&r->unit, SLICE("\r\n"));
		TRY(read_literal(r, &l));
	}
}

/* A large command's memory is not kept for an idle connection. */
#define UNIT_KEEP ((size_t)4 * 1024)

static void reset_unit(struct imap_reader *r)
{
	size_t max = r->unit.max;
	if (r->unit.capacity > UNIT_KEEP) {
		buf_done(&r->unit);
		buf_init(&r->unit, max);
	}
	buf_reset(&r->unit);
	r->at_message = false;
	r->discarded = 0;
}

struct status imap_reader_next(struct imap_reader *r)
{
	reset_unit(r);
	r->n_literals = 0;
	r->literals_size = 0;
	return read_lines(r, false);
}

struct status imap_reader_rest(struct imap_reader *r)
{
	reset_unit(r);
	return read_lines(r, true);
}

struct status imap_reader_refuse_message(struct imap_reader *r)
{
	r->at_message = false;
	return drop_rest(r, r->message, true, ok());
}

struct status imap_reader_skip_rest(struct imap_reader *r)
{
	uint8_t tail[TAIL_SIZE];
	size_t n_tail;
	struct imap_literal l = {0};
	if (r->at_message)
		return imap_reader_refuse_message(r);
	TRY(drop_line(r, tail, &n_tail));
	bool has_literal = imap_literal_at_end(without_line_end(slice_of(tail, n_tail)), &l);
	return drop_rest(r, l, has_literal, ok());
}

struct status imap_reader_continue(struct imap_reader *r, const char *text)
{
	return stream_printf(r->stream, "+ %s\r\n", text);
}

struct status imap_reader_line(struct imap_reader *r, struct slice *ret_line)
{
	size_t n;
	reset_unit(r);
	struct status status = await_line(r, r->limits.line_max, &n);
	if (status.code == ERR_LIMIT) {
		uint8_t tail[TAIL_SIZE];
		size_t n_tail;
		TRY(drop_line(r, tail, &n_tail));
		return status;
	}
	TRY(status);
	struct slice line = slice_sub(stream_buffered(r->stream), 0, n);
	status = check_line(line);
	buf_add(&r->unit, without_line_end(line));
	stream_take(r->stream, n);
	*ret_line = buf_slice(&r->unit);
	return status;
}
