/* Writing responses: a thin layer over a stream with a sticky error, so that a command writes
 * freely and the session asks once whether the peer is still there. */
#pragma once

#include "base/stream.h"

struct imap_out {
	struct stream *stream;
	struct buf *to;       /* not NULL: collected here for now, not written to the stream */
	struct status status; /* the first failure */
};

void imap_out_init(struct imap_out *out, struct stream *stream);
static inline bool imap_out_ok(const struct imap_out *out)
{
	return is_ok(out->status);
}

void imap_out_slow(struct imap_out *out, struct slice s); /* for imap_out_slice */
/* Large ones are not copied. Inline, for responses are made of very many small pieces: where there
 * is room in the stream's buffer they are copied there without further ado. */
static inline void imap_out_slice(struct imap_out *out, struct slice s)
{
	struct buf *buf = out->to ? out->to : &out->stream->out;
	size_t room = out->to ? buf->capacity : MIN(buf->capacity, STREAM_OUT_MAX);
	if (buf->n > room || s.n > room - buf->n || buf->failed || !imap_out_ok(out)) {
		imap_out_slow(out, s);
		return;
	}
	if (s.n > 0)
		memcpy(buf->p + buf->n, s.p, s.n);
	buf->n += s.n;
}
static inline void imap_out_str(struct imap_out *out, const char *s)
{
	imap_out_slice(out, slice_of(s, strlen(s)));
}
static inline void imap_out_byte(struct imap_out *out, uint8_t byte)
{
	imap_out_slice(out, (struct slice){&byte, 1});
}
void imap_out_u64(struct imap_out *out, uint64_t value);
PRINTF(2, 3) void imap_out_printf(struct imap_out *out, const char *format, ...);
void imap_out_flush(struct imap_out *out);

/* string: quoted where that is possible, else a literal. NUL becomes 0x80, which no client chokes
 * on.
 */
void imap_out_string(struct imap_out *out, struct slice s);
void imap_out_astring(struct imap_out *out, struct slice s);
/* The same into a buffer (rendered columns). */
void imap_buf_string(struct buf *buf, struct slice s);

/* Text behind a response code: what could end the line is left out. */
void imap_out_text(struct imap_out *out, struct slice text);

/* " 1-Feb-1994 12:00:00 +0000" with its quotes. */
void imap_out_date_time(struct imap_out *out, int64_t unix_s);
