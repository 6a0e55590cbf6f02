/* What a TLS server offers: versions, ciphers, certificates by name, tickets.
 *
 * Immutable after it was made and reference-counted: reload makes a new one, connections that are
 * under way keep theirs. All functions may be called by any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "tls/library.h"

#include <openssl/ssl.h>

#define TLS_SITES_MAX             ((size_t)4096) /* certificate sets in one context */
#define TLS_SITE_CERTIFICATES_MAX ((size_t)3)    /* one of each kind: RSA, ECDSA, Ed25519 */

struct tls_context;

struct tls_site_certificate {
	struct slice chain_pem; /* leaf first */
	struct slice key_id;    /* what the signer knows the private key by */
};

/* One set of certificates for the same names, of which the client's abilities choose one. */
struct tls_site {
	const char *label; /* for error messages: a file or host name */
	const struct slice
	        *names; /* DNS names, "*.example.org" too; none: those in the certificate */
	size_t n_names;
	const struct tls_site_certificate *certificates;
	size_t n_certificates;
};

enum tls_client_certificate {
	TLS_CLIENT_CERTIFICATE_NONE,
	/* Asked for and not checked against any authority: who uses it looks at the key itself. */
	TLS_CLIENT_CERTIFICATE_OPTIONAL,
};

struct tls_context_options {
	const struct tls_site *sites; /* the first one serves unknown and missing names */
	size_t n_sites;
	const struct tls_signer *signer; /* outlives the context and its connections */
	bool strict_names; /* an unknown SNI name ends the handshake (unrecognized_name) */
	bool tls13_only;
	/* Session tickets (RFC 5077, RFC 8446 section 4.6.1) under keys that exist only in memory
	 * and change every `ticket_key_s` seconds; a ticket lives for at most twice that. 0: no
	 * tickets. */
	unsigned ticket_key_s;
	const struct clock *clock; /* needed with tickets */
	/* Protocols for ALPN (RFC 7301), most wanted first, as C strings. With a list, a client
	 * that offers others only is refused (no_application_protocol). */
	const char *const *alpn;
	size_t n_alpn;
	enum tls_client_certificate client_certificate;
};

/* The library outlives the context. INVALID when a certificate cannot be used; `why` (in the arena)
 * says which and what is wrong. */
struct status tls_context_new(const struct tls_library *library,
                              const struct tls_context_options *options,
                              struct tls_context **ret_context, struct arena *arena);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* accepts NULL */

/* A new server side connection on a socket, which stays the caller's. NULL when memory or OpenSSL
 * fails. For tls/. */
SSL *tls_context_connection(struct tls_context *context, int fd);
