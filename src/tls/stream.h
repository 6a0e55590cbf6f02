/* A stream on a connected socket: in clear, and TLS from start_tls on, as the server or the client.
 *
 * Also what plain connections use: without a context start_tls is UNSUPPORTED. Blocking with
 * deadlines by poll; the socket itself is non-blocking. Writing to a closed connection gives
 * CLOSED, never a signal. One thread at a time, like every stream.
 */
#pragma once

#include "base/stream.h"
#include "tls/context.h"

#define TLS_BINDING_MAX ((size_t)64) /* bytes of channel binding data */

struct tls_stream;

/* What makes a stream a client's, kept apart so that a room that only serves links none of it. */
struct tls_client_side {
	SSL *(*begin)(struct tls_stream *t); /* NULL: it cannot */
	struct status (*explain)(const struct tls_stream *t, struct status why);
	void (*end)(struct tls_stream *t); /* frees t->ssl and what is its own */
};

struct tls_stream {
	struct stream stream; /* first member: &t->stream is what a session gets */
	int fd;
	struct tls_context *context;        /* a reference, or NULL */
	const struct tls_client_side *side; /* we are the client (client_stream.h), or NULL */
	SSL *ssl;                           /* NULL in clear */
	struct status broken;               /* TLS failed for good, what later calls return */
};

/* Takes the socket and a reference to the context (NULL: no TLS). Sets O_NONBLOCK on it. */
void tls_stream_init(struct tls_stream *t, int fd, struct tls_context *context);
/* Frees all and closes the socket. Says nothing to the peer: stream_shutdown does. */
void tls_stream_done(struct tls_stream *t);

/* Hands the socket over, blocking again, and leaves the stream without one; only in clear. Buffered
 * input and output stay behind: ask for them with stream_buffered and flush first. */
int tls_stream_take_fd(struct tls_stream *t);

/* Channel bindings for SASL, the same at both ends. NOT_FOUND where the connection has none of that
 * type. tls-exporter (RFC 9266): TLS 1.3, and 1.2 with extended master secret. tls-server-end-point
 * (RFC 5929 section 4): certificates signed with a hash. tls-unique (RFC 5929 section 3): TLS 1.2
 * with extended master secret only (RFC 7627). */
enum tls_binding {
	TLS_BINDING_EXPORTER,
	TLS_BINDING_SERVER_END_POINT,
	TLS_BINDING_UNIQUE,
};
struct status tls_stream_binding(const struct tls_stream *t, enum tls_binding binding,
                                 uint8_t value[TLS_BINDING_MAX], size_t *ret_n);

/* The protocol that ALPN chose; empty when none. Valid as long as the connection. */
struct slice tls_stream_alpn(const struct tls_stream *t);

/* The client's certificate as DER, into arena; empty when it sent none. */
struct slice tls_stream_client_certificate(const struct tls_stream *t, struct arena *arena);
