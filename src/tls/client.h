/* TLS as a client: whom a connection is to reach, what the certificate must prove, and what came of
 * it.
 *
 * Two checks of the server's certificate: by authorities (PKIX: a chain to a known one and the
 * expected name, RFC 5280, RFC 9525) and, where there are TLSA records, by these (DANE, RFC 7672).
 * PKIX is always made, DANE where records are given; a target says which of them must be good, or
 * the handshake fails. The other's result is recorded. With neither the connection is opportunistic
 * (RFC 7435): encrypted whatever the certificate. TLS 1.2 at least. Sessions are kept and resumed,
 * by all that a target demands, so that many messages to one host cost one full handshake.
 *
 * Immutable but for the sessions; shared by reference, thread-safe.
 */
#pragma once

#include "tls/dane.h"
#include "tls/facts.h"
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

/* Whom a connection is to reach. What it points to outlives the handshake. */
struct tls_target {
	const char *name;      /* A-labels, or an IP address: the SNI (but with DANE its base) */
	const char *pkix_name; /* what authorities must have vouched for; NULL: name */
	bool verified;         /* PKIX must be good */
	const struct tls_dane *dane; /* NULL: no records */
	bool dane_required;          /* DANE must be good */
	const char *session; /* what else a session belongs to ("port 25"); NULL: none is kept */
};

/* What is known of the server after the handshake, or after one that failed at the certificate. */
struct tls_verdict {
	bool verified;   /* pkix.good, on an open connection */
	bool resumed;    /* the checks are those of the handshake that began the session */
	const char *why; /* static; why it is not verified, "" when it is */
	struct tls_check pkix, dane;
	/* What is told of each record of the target's; NULL where DANE was not asked for or the
	 * session was resumed. As long as the stream. */
	const struct tls_tlsa_finding *findings;
};

/* A stream on a socket that we connected: in clear, TLS as the client from start_tls on, which
 * gives TLS when the handshake or the certificate fails, with why. */
struct tls_client_stream {
	struct tls_stream t; /* first member: &s->t.stream is what a session gets */
	struct tls_client *client;
	struct tls_target target;
	char *session_key;
	int n_usable; /* records */
	struct tls_check pkix, dane;
	struct tls_tlsa_finding *findings;
	STACK_OF(X509) * sent;
};

/* Takes the socket and a reference to the client (NULL: start_tls is UNSUPPORTED); the target's
 * texts outlive the handshake. */
void tls_client_stream_init(struct tls_client_stream *s, int fd, struct tls_client *client,
                            const struct tls_target *target);
/* Frees all and closes the socket, like tls_stream_done; says nothing to the server. */
void tls_client_stream_done(struct tls_client_stream *s);

/* Of the server after the handshake; not verified before or without it. */
struct tls_verdict tls_client_stream_verdict(const struct tls_client_stream *s);

/* The certificates that the server sent, its own first, after a handshake that was good or failed
 * at them; at most TLS_SENT_MAX. Texts live in the arena; what a stranger wrote into them is
 * escaped. */
struct tls_sent {
	const struct tls_certificate_facts *v;
	size_t n;
};
struct tls_sent tls_client_stream_sent(const struct tls_client_stream *s, struct arena *arena);
