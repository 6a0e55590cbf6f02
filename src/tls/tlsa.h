/* TLSA records (RFC 6698 section 2): what they may say, which of them are usable between mail
 * servers, and how one is made of a certificate or a public key.
 *
 * A record is plain data; that it is to be believed (DNSSEC) is known to whoever found it. Links
 * libcrypto only.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

#define TLS_TLSA_RECORDS_MAX ((size_t)1000) /* of one host that are looked at */

/* number, name (RFC 7218 section 2) */
#define TLS_TLSA_USAGE_LIST(X)                                                                     \
	X(PKIX_TA, 0, "PKIX-TA")                                                                   \
	X(PKIX_EE, 1, "PKIX-EE")                                                                   \
	X(DANE_TA, 2, "DANE-TA")                                                                   \
	X(DANE_EE, 3, "DANE-EE")
#define TLS_TLSA_SELECTOR_LIST(X)                                                                  \
	X(CERT, 0, "Cert")                                                                         \
	X(SPKI, 1, "SPKI")
#define TLS_TLSA_MATCHING_LIST(X)                                                                  \
	X(FULL, 0, "Full")                                                                         \
	X(SHA256, 1, "SHA2-256")                                                                   \
	X(SHA512, 2, "SHA2-512")

#define X(id, number, name) TLS_TLSA_##id = number,
enum tls_tlsa_usage { TLS_TLSA_USAGE_LIST(X) };
enum tls_tlsa_selector { TLS_TLSA_SELECTOR_LIST(X) };
enum tls_tlsa_matching { TLS_TLSA_MATCHING_LIST(X) };
#undef X

struct tls_tlsa {
	uint8_t usage, selector, matching;
	struct slice bytes; /* certificate association data */
};

/* "DANE-EE", "SPKI", "SHA2-256"; "" for numbers that have no name here. */
const char *tls_tlsa_usage_name(uint8_t usage);
const char *tls_tlsa_selector_name(uint8_t selector);
const char *tls_tlsa_matching_name(uint8_t matching);

/* As in a zone file: "3 1 1 e3b0c442...", lower case. */
void tls_tlsa_print(const struct tls_tlsa *record, struct buf *out);

/* --- usable or not --- */

/* NULL when a client between mail servers can use it (RFC 6698 section 4.1, RFC 7672 section 3.1);
 * else static words that say why not: a number that is not understood, a usage that asks for public
 * authorities, a digest of a wrong length, a certificate or key that is malformed or followed by
 * more bytes. */
const char *tls_tlsa_unusable(const struct tls_tlsa *record);

/* Of several records: whether this one is passed over for another of the same usage and selector
 * with a stronger digest (RFC 7671 section 9). `usable` has a value for each record. */
bool tls_tlsa_is_outdone(const struct tls_tlsa *records, const bool *usable, size_t n, size_t i);

/* --- making one --- */

/* Of PEM text: of its first certificate, for usages 0 and 2 of its last (the authority behind a
 * chain), or of its first PUBLIC KEY, which gives SPKI records only. INVALID, in words that begin
 * with `name` (a file's), when there is none, it is damaged or does not fit; private keys are not
 * looked at. The bytes live in the arena. */
struct status tls_tlsa_of_pem(struct slice pem, const char *name, uint8_t usage, uint8_t selector,
                              uint8_t matching, struct tls_tlsa *ret_record, struct arena *arena);

/* What a record of that selector and matching type has for a certificate in DER; for comparing.
 * Empty when the certificate cannot be read or the numbers are not known here. */
struct slice tls_tlsa_association(struct slice certificate_der, uint8_t selector, uint8_t matching,
                                  struct arena *arena);
