/* TLS as a client: whom a connection is to reach, whether the certificate must prove it, and what
 * came of it.
 *
 * Two policies. Verified: a chain to a known authority and the expected name, or the handshake
 * fails (RFC 5280, RFC 9525). Opportunistic (RFC 7435): encrypted whatever the certificate; the
 * same checks are made and their result is recorded. TLS 1.2 at least. Sessions are kept and
 * resumed, by policy and name, so that many messages to one host cost one full handshake.
 *
 * DANE (RFC 7672) is to become a third policy here: records to compare with instead of authorities.
 *
 * Immutable but for the sessions; shared by reference, thread-safe.
 */
#pragma once

#include "tls/authorities.h"
#include "tls/stream.h"

#define TLS_CLIENT_SESSIONS_MAX 64u /* kept at a time */

struct tls_client;

/* The library outlives the client; takes a reference to the authorities (NULL: nothing can be
 * verified). NULL when memory or OpenSSL fails. */
struct tls_client *tls_client_new(const struct tls_library *library,
                                  struct tls_authorities *authorities);
struct tls_client *tls_client_ref(struct tls_client *client);
void tls_client_unref(struct tls_client *client); /* accepts NULL */

/* Shows a certificate to servers that ask for one: PEM text of the chain, leaf first, and of its
 * private key. Before the first connection. NOT_FOUND: no certificate in the one; INVALID: no
 * private key in the other, or not of this certificate. */
struct status tls_client_set_certificate(struct tls_client *client, struct slice chain,
                                         struct slice key);

/* Whom a connection is to reach. The texts are copied where they are needed. */
struct tls_target {
	const char *name;    /* in the certificate, and the SNI: A-labels, or an IP address */
	bool verified;       /* the policy; false: opportunistic */
	const char *session; /* what else a session belongs to ("port 25"); NULL: none is kept */
};

/* What is known of the server after the handshake. */
struct tls_verdict {
	bool verified;
	bool resumed;
	const char *why; /* static; why it is not verified, "" when it is */
};

/* A stream on a socket that we connected: in clear, TLS as the client from start_tls on, which
 * gives TLS when the handshake or the certificate fails, with why. */
struct tls_client_stream {
	struct tls_stream t; /* first member: &s->t.stream is what a session gets */
	struct tls_client *client;
	struct tls_target target;
	char *session_key;
};

/* Takes the socket and a reference to the client (NULL: start_tls is UNSUPPORTED); the target's
 * texts outlive the handshake. */
void tls_client_stream_init(struct tls_client_stream *s, int fd, struct tls_client *client,
                            const struct tls_target *target);
/* Frees all and closes the socket, like tls_stream_done; says nothing to the server. */
void tls_client_stream_done(struct tls_client_stream *s);

/* Of the server after the handshake; not verified before or without it. */
struct tls_verdict tls_client_stream_verdict(const struct tls_client_stream *s);
