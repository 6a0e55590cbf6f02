/* Buffering shared by all streams: cutting lines, collecting output, forgetting at STARTTLS. */
#include "base/stream.h"

#include <stdarg.h>
#include <stdio.h>

#define TIMEOUT_DEFAULT_MS (5 * 60 * 1000)
#define READ_SIZE          ((size_t)16 * 1024)
#define IDLE_AFTER_MS      500
#define PRINTF_MAX         ((size_t)1024 * 1024)

void stream_init(struct stream *s, const struct stream_ops *ops)
{
	*s = (struct stream){.ops = ops, .timeout_ms = TIMEOUT_DEFAULT_MS};
	buf_init(&s->in, STREAM_IN_MAX + READ_SIZE);
	buf_init(&s->out, STREAM_OUT_MAX * 2);
}

void stream_done(struct stream *s)
{
	buf_done(&s->in);
	buf_done(&s->out);
}

struct slice stream_buffered(const struct stream *s)
{
	return slice_from(buf_slice(&s->in), s->in_at);
}

void stream_take(struct stream *s, size_t n)
{
	ASSERT(n <= s->in.n - s->in_at);
	s->in_at += n;
	if (s->in_at == s->in.n) {
		buf_reset(&s->in);
		s->in_at = 0;
	}
}

/* A peer that has not said a word yet costs no buffer: thousands may be silent. */
static struct status wait_without_buffer(struct stream *s)
{
	enum stream_event event = STREAM_INPUT;
	if (s->in.capacity > 0)
		return ok();
	TRY(s->ops->wait(s, -1, s->timeout_ms, &event));
	return event == STREAM_TIMEOUT ? fail(ERR_TIMEOUT, "peer was silent for too long") : ok();
}

struct status stream_fill(struct stream *s)
{
	TRY(stream_flush(s));
	if (s->in_at > 0) {
		buf_consume(&s->in, s->in_at);
		s->in_at = 0;
	}
	if (s->in.n >= STREAM_IN_MAX)
		return fail(ERR_LIMIT, "input unit is too long");
	TRY(wait_without_buffer(s));
	size_t n;
	uint8_t *at = buf_reserve(&s->in, READ_SIZE);
	TRY(s->ops->read(s, at, READ_SIZE, s->timeout_ms, &n));
	if (n == 0)
		return fail(ERR_CLOSED, "peer closed the connection");
	buf_commit(&s->in, n);
	return ok();
}

struct status stream_read_line(struct stream *s, size_t max, struct slice *ret_line, bool *ret_crlf)
{
	size_t searched = 0;
	for (;;) {
		struct slice have = stream_buffered(s);
		size_t lf = slice_index(slice_from(have, searched), '\n');
		if (lf != SIZE_MAX) {
			lf += searched;
			if (lf + 1 > max)
				return fail(ERR_LIMIT, "line is too long");
			*ret_crlf = lf > 0 && have.p[lf - 1] == '\r';
			*ret_line = slice_sub(have, 0, *ret_crlf ? lf - 1 : lf);
			s->in_at += lf + 1; /* the bytes stay in place until the next fill */
			return ok();
		}
		if (have.n >= max)
			return fail(ERR_LIMIT, "line is too long");
		searched = have.n;
		TRY(stream_fill(s));
	}
}

struct status stream_read_some(struct stream *s, size_t n, struct slice *ret_bytes)
{
	if (stream_buffered(s).n == 0)
		TRY(stream_fill(s));
	*ret_bytes = slice_sub(stream_buffered(s), 0, n);
	s->in_at += ret_bytes->n;
	return ok();
}

struct status stream_skip_line(struct stream *s, size_t max)
{
	size_t skipped = 0;
	for (;;) {
		struct slice have = stream_buffered(s);
		size_t lf = slice_index(have, '\n');
		if (lf != SIZE_MAX) {
			stream_take(s, lf + 1);
			return ok();
		}
		skipped += have.n;
		stream_take(s, have.n);
		if (skipped > max)
			return fail(ERR_LIMIT, "line is too long");
		TRY(stream_fill(s));
	}
}

static int write_timeout(const struct stream *s)
{
	return s->write_timeout_ms > 0 ? s->write_timeout_ms : s->timeout_ms;
}

struct status stream_write(struct stream *s, struct slice bytes)
{
	if (bytes.n > STREAM_OUT_MAX - MIN(s->out.n, STREAM_OUT_MAX))
		TRY(stream_flush(s));
	if (bytes.n > STREAM_OUT_MAX)
		return s->ops->write(s, bytes, write_timeout(s));
	buf_add(&s->out, bytes);
	return ok();
}

struct status stream_printf(struct stream *s, const char *format, ...)
{
	char small[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	if (n < 0 || (size_t)n > PRINTF_MAX)
		return fail(ERR_LIMIT, "formatted output is too long");
	if ((size_t)n < sizeof(small))
		return stream_write(s, slice_of(small, (size_t)n));
	CLEANUP(base_freep) char *text = base_alloc((size_t)n + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)n + 1, format, args);
	va_end(args);
	return stream_write(s, slice_of(text, (size_t)n));
}

struct status stream_flush(struct stream *s)
{
	if (s->out.n == 0)
		return ok();
	struct status status = s->ops->write(s, buf_slice(&s->out), write_timeout(s));
	buf_reset(&s->out);
	return status;
}

/* Waits a moment with the buffers at hand; a connection that stays idle gives them back. */
static struct status wait_idle(struct stream *s, int wake_fd, int timeout_ms,
                               enum stream_event *ret_event)
{
	int first_ms = timeout_ms < 0 ? IDLE_AFTER_MS : MIN(timeout_ms, IDLE_AFTER_MS);
	TRY(s->ops->wait(s, wake_fd, first_ms, ret_event));
	if (*ret_event != STREAM_TIMEOUT || first_ms == timeout_ms)
		return ok();
	buf_done(&s->in);
	buf_done(&s->out);
	s->in_at = 0;
	return s->ops->wait(s, wake_fd, timeout_ms < 0 ? -1 : timeout_ms - first_ms, ret_event);
}

struct status stream_wait(struct stream *s, int wake_fd, int timeout_ms,
                          enum stream_event *ret_event)
{
	TRY(stream_flush(s));
	if (stream_buffered(s).n > 0) {
		*ret_event = STREAM_INPUT;
		return ok();
	}
	return wait_idle(s, wake_fd, timeout_ms, ret_event);
}

struct status stream_start_tls(struct stream *s)
{
	TRY(stream_flush(s));
	stream_take(s, stream_buffered(s).n);
	return s->ops->start_tls(s, s->timeout_ms);
}

void stream_shutdown(struct stream *s)
{
	if (stream_flush(s).code == ERR_OK && s->ops->shutdown)
		s->ops->shutdown(s);
}
