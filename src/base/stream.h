/* What a protocol session sees of its connection: bounded units in, buffered bytes out, deadlines.
 *
 * A stream has an implementation (`struct stream_ops`: a socket in os/, TLS in tls/, memory in
 * tests) and one input and one output buffer that all of them share. Blocking: a session is a
 * thread that reads top to bottom. Not thread-safe, with one exception: nothing.
 *
 * Plaintext that a peer sends behind STARTTLS is dropped by stream_start_tls itself
 * (RFC 3207 section 4.2, RFC 9051 section 6.2.1), so that no protocol can forget it.
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"

#define STREAM_IN_MAX  ((size_t)64 * 1024) /* longest unit that can be cut from the buffer */
#define STREAM_OUT_MAX ((size_t)16 * 1024) /* more pending output than this is written at once */

struct stream;

enum stream_event {
	STREAM_INPUT, /* at least one byte, or the end, can be read */
	STREAM_WOKEN, /* the wake fd became readable (the caller reads it) */
	STREAM_TIMEOUT,
};

struct stream_tls {
	bool on;
	char version[16];      /* "TLSv1.3" */
	char cipher[48];       /* "TLS_AES_256_GCM_SHA384" */
	char server_name[256]; /* SNI that the client sent, "" when none */
};

struct stream_ops {
	/* Blocks for at least one byte; *ret_n == 0 at the peer's end. TIMEOUT after timeout_ms. */
	struct status (*read)(struct stream *s, uint8_t *p, size_t n, int timeout_ms,
	                      size_t *ret_n);
	/* Writes all of it. TIMEOUT when no byte could be written for timeout_ms. */
	struct status (*write)(struct stream *s, struct slice bytes, int timeout_ms);
	/* Waits for input or, when wake_fd >= 0, for it; timeout_ms < 0 waits for ever. */
	struct status (*wait)(struct stream *s, int wake_fd, int timeout_ms,
	                      enum stream_event *ret_event);
	/* Server side handshake on the open connection. UNSUPPORTED where there is no TLS. */
	struct status (*start_tls)(struct stream *s, int timeout_ms);
	/* Says goodbye (TLS close_notify) where that costs no waiting. May be NULL. */
	void (*shutdown)(struct stream *s);
};

struct stream {
	const struct stream_ops *ops;
	struct buf in;  /* received, not yet taken */
	struct buf out; /* written, not yet sent */
	size_t in_at;   /* start of the untaken bytes in `in` */
	int timeout_ms; /* for each blocking step; set by the session for the state it is in */
	int write_timeout_ms; /* for the peer to take what is sent; 0: timeout_ms */
	struct stream_tls tls;
};

/* For implementations: sets ops, empty buffers, a timeout of five minutes. */
void stream_init(struct stream *s, const struct stream_ops *ops);
void stream_done(struct stream *s); /* frees the buffers; the implementation frees the rest */

/* Bytes received and not yet taken; no I/O. */
struct slice stream_buffered(const struct stream *s);
void stream_take(struct stream *s, size_t n); /* n <= buffered */

/* Reads once more into the buffer. CLOSED at the peer's end, LIMIT when the buffer is full. Pending
 * output is flushed before it blocks. */
struct status stream_fill(struct stream *s);

/* One line of at most max bytes with its LF. *ret_line excludes the line end and is valid until the
 * next call on the stream; *ret_crlf tells if it ended in CRLF (false: bare LF). A line that is too
 * long gives LIMIT and takes nothing. Pending output is flushed only before it must block, so that
 * pipelined commands are answered together. */
struct status stream_read_line(struct stream *s, size_t max, struct slice *ret_line,
                               bool *ret_crlf);

/* At least one and at most n bytes; the slice points into the buffer and is taken. */
struct status stream_read_some(struct stream *s, size_t n, struct slice *ret_bytes);

/* Throws away the rest of a line that was too long, reading at most max bytes more. */
struct status stream_skip_line(struct stream *s, size_t max);

/* Buffered; sends by itself when more than STREAM_OUT_MAX is pending; large slices are not copied.
 */
struct status stream_write(struct stream *s, struct slice bytes);
PRINTF(2, 3) struct status stream_printf(struct stream *s, const char *format, ...);
struct status stream_flush(struct stream *s);

/* Waits for input (already buffered input counts) or a wake. Flushes first. */
struct status stream_wait(struct stream *s, int wake_fd, int timeout_ms,
                          enum stream_event *ret_event);

/* Flushes, drops buffered plaintext input, shakes hands. On failure the connection is unusable. */
struct status stream_start_tls(struct stream *s);
void stream_shutdown(struct stream *s);
