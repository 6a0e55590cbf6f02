/* What came of looking at a server's certificate, and the look by public authorities (PKIX).
 *
 * A certificate may be looked at in several ways in one handshake: by authorities (here) and by
 * TLSA records (dane.h). Each gives a struct tls_check; which of them must be good is the caller's
 * policy.
 */
#pragma once

#include "tls/authorities.h"

/* What is wrong, as reports distinguish it (RFC 8460 section 4.3). */
enum tls_fault {
	TLS_FAULT_NONE,
	TLS_FAULT_NO_CERTIFICATE,
	TLS_FAULT_NAME,      /* it is good, but for another name */
	TLS_FAULT_EXPIRED,   /* or not yet valid: it, or one that it rests on */
	TLS_FAULT_UNTRUSTED, /* no chain to an authority, or a broken one */
	TLS_FAULT_NO_MATCH,  /* no TLSA record fits */
	TLS_FAULT_OTHER,
};

struct tls_check {
	bool made; /* false: not asked for, or the handshake did not come so far */
	bool good;
	enum tls_fault fault;
	int x509;         /* X509_V_... of OpenSSL */
	const char *why;  /* static words; "" when good */
	const char *code; /* "X509_V_ERR_CERT_HAS_EXPIRED", for reports; "" when good */
};

struct tls_check tls_check_of_x509(int x509);

#define TLS_SENT_MAX 16 /* certificates of a server's chain that are looked at */

/* A chain from the leaf through those that the server sent to an authority (RFC 5280), and the name
 * among its subject alternative names: a DNS name or an IP address (RFC 9525; common names do not
 * count, "*" stands for one whole label on the left). Authorities may be NULL: nothing is trusted.
 * At the time `now_s` (unix), 0: now. sent may be NULL. */
struct tls_check tls_pkix_check(struct tls_authorities *authorities, OSSL_LIB_CTX *libctx,
                                X509 *leaf, STACK_OF(X509) * sent, const char *name, int64_t now_s);

/* In place of X509_verify_cert, as an SSL_CTX's verification callback of others (libcurl): the same
 * check, whose result is left in the context, too. False when it is not good. */
bool tls_pkix_check_store(X509_STORE_CTX *store, struct tls_authorities *authorities,
                          OSSL_LIB_CTX *libctx, const char *name, struct tls_check *ret_check);
