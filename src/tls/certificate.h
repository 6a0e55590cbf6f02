/* Certificates as their keeper sees them: read a chain, compare it with a key, make a self-signed
 * one.
 *
 * Links libcrypto only. Errors name the source of the text (`name`, a file name or key id) and are
 * built in the arena that is given.
 */
#pragma once

#include "tls/key.h"

#define TLS_CHAIN_MAX      ((size_t)16)  /* certificates in a chain */
#define TLS_CERT_NAMES_MAX ((size_t)256) /* subject alternative names */

struct tls_certificate_info {
	const struct slice *names; /* DNS names in lower case, IP addresses as text */
	size_t n_names;
	size_t n_chain;
	int64_t not_before_s, not_after_s; /* unix seconds */
	bool self_signed;
	struct slice key_type;        /* "EC", "RSA", "ED25519" */
	struct slice fingerprint;     /* SHA-256 of the leaf's DER, 64 hexadecimal digits */
	struct slice key_fingerprint; /* SHA-256 of its SubjectPublicKeyInfo: TLSA 3 1 1 */
};

/* Reads PEM text: leaf first, then intermediates; blocks of other kinds are passed over. */
struct status tls_certificate_read(struct slice pem, const char *name,
                                   struct tls_certificate_info *ret_info, struct arena *arena);

/* SHA-256 of a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), 64 hexadecimal digits: of the first
 * certificate or the first public key in PEM text. */
struct status tls_public_key_fingerprint(struct slice pem, const char *name,
                                         struct slice *ret_fingerprint, struct arena *arena);

/* INVALID, in words, when the leaf was made for another key. */
struct status tls_certificate_check_key(struct slice pem, const struct tls_key *key,
                                        const char *name, struct arena *arena);

/* Each name is a DNS name (in ASCII) or an IP address; the first becomes the common name too.
 * Appends PEM. Valid from an hour before `now_s` for that many days. */
struct status tls_certificate_self_sign(const struct tls_key *key, const struct slice *names,
                                        size_t n_names, int64_t now_s, unsigned days,
                                        struct buf *out);

/* RFC 6125 section 6.4.3: a leftmost label "*" stands for one whole label. ASCII case-insensitive.
 */
bool tls_name_matches(struct slice pattern, struct slice name);
