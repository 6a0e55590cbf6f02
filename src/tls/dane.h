/* A server's certificates against TLSA records (RFC 6698, RFC 7671), by OpenSSL's own DANE support,
 * with a finding for each record in words.
 *
 * What is done as RFC 7672 has it for mail servers: usages 2 and 3 only; with usage 3 neither names
 * nor dates count (section 3.1.1); with usage 2 the chain is verified as usual up to the authority
 * of the record, which the server must send unless the record holds it, and one of the names must
 * be in the certificate, as a DNS-ID or, where it has none, as its common name (section 3.2.3).
 * Local authorities do not count. Weaker digests give way to stronger ones (RFC 7671 section 9).
 */
#pragma once

#include "tls/library.h"
#include "tls/tlsa.h"
#include "tls/verify.h"

#include <openssl/ssl.h>

#define TLS_DANE_NAMES_MAX ((size_t)4)

/* What to compare with; all of it the caller's. */
struct tls_dane {
	const struct tls_tlsa
	        *records; /* at most TLS_TLSA_RECORDS_MAX; those beyond are unusable */
	size_t n_records;
	/* Reference names, at least one, the TLSA base domain first: A-labels. Beyond
	 * TLS_DANE_NAMES_MAX they do not count. */
	const char *const *names;
	size_t n_names;
};

enum tls_tlsa_finding_kind {
	TLS_TLSA_UNTRIED,  /* there was no certificate to compare with */
	TLS_TLSA_MATCHED,  /* this one verified the server */
	TLS_TLSA_FITS,     /* it is of a certificate of the server, but did not verify it */
	TLS_TLSA_DIFFERS,  /* it is of none of the server's certificates */
	TLS_TLSA_OUTDONE,  /* a stronger digest counts instead */
	TLS_TLSA_UNUSABLE, /* why says why */
};

struct tls_tlsa_finding {
	enum tls_tlsa_finding_kind kind;
	int depth;       /* of the certificate that it fits: 0 the server's own; -1: none */
	const char *why; /* static words, never NULL */
};

/* Before a handshake and without one: which are usable. */
void tls_dane_judge(const struct tls_tlsa *records, size_t n, struct tls_tlsa_finding *findings);

/* For contexts that make DANE connections. */
bool tls_dane_prepare(SSL_CTX *ssl);
/* Gives a connection records and names, before its handshake; sets its SNI to the base domain. The
 * number of usable records; -1 when OpenSSL fails. */
int tls_dane_begin(SSL *ssl, const struct tls_dane *dane);
/* In the verification callback of such a connection. Not good, fault NO_MATCH, where no record is
 * usable. */
struct tls_check tls_dane_check(X509_STORE_CTX *store, int n_usable);
/* After the verification: a finding for each record. check as tls_dane_check gave it; sent as the
 * server sent them, its own first, or NULL. */
void tls_dane_explain(SSL *ssl, const struct tls_dane *dane, const struct tls_check *check,
                      STACK_OF(X509) * sent, struct tls_tlsa_finding *findings);

/* All of it without a connection: a chain in PEM text, the server's certificate first. At the time
 * now_s (unix), 0: now. INVALID when the text holds no certificate. findings has room for all
 * records. */
struct status tls_dane_verify(const struct tls_library *library, const struct tls_dane *dane,
                              struct slice chain_pem, int64_t now_s, struct tls_check *ret_check,
                              struct tls_tlsa_finding *findings);
