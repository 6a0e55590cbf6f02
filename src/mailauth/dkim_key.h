/* Key records (RFC 6376 section 3.6.1, RFC 8463 section 4.2): "v=DKIM1; k=rsa; p=MIGf...", read
 * strictly, and written.
 *
 * The public key is taken apart here, before any arithmetic: what a key may be is decided on its
 * numbers.
 */
#pragma once

#include "mailauth/dkim_signature.h"
#include "mailauth/result.h"

#define DKIM_KEY_RECORD_MAX    ((size_t)16 * 1024) /* bytes; RSA with 16,384 bits needs 3 KB */
#define DKIM_RSA_BITS_MIN      1024u               /* RFC 8301 section 3.2 */
#define DKIM_RSA_BITS_MAX      8192u               /* what verifying may cost */
#define DKIM_RSA_EXPONENT_BITS 33u                 /* of a public exponent, at most */
#define DKIM_ED25519_KEY_SIZE  32u
#define DKIM_KEY_NOTES_MAX     1000u /* bytes of n= that are kept */

enum dkim_key_type {
	DKIM_KEY_RSA,
	DKIM_KEY_ED25519,
};
const char *dkim_key_type_name(enum dkim_key_type type); /* "rsa": of k= */

struct dkim_key {
	enum dkim_key_type type; /* k= */
	bool revoked;            /* p= is empty: none of the next four */
	unsigned bits;           /* of the modulus; 256 for Ed25519 */
	struct slice modulus;    /* RSA: big-endian, without leading zeros */
	struct slice exponent;   /* RSA: the same */
	struct slice ed25519;    /* DKIM_ED25519_KEY_SIZE bytes */
	bool sha256;             /* h= allows it, or nothing is said */
	bool email;              /* s= allows it, or nothing is said */
	bool testing;            /* t=y */
	bool strict_identity;    /* t=s: the domain of i= must be d= itself */
	struct slice notes;      /* n=, as it is written; for people */
};

/* SYNTAX: no key record; UNSUPPORTED: of another version or type of key; INVALID: p= holds no key
 * of its type, or one with which anybody could sign; LIMIT: too long. The reasons are static
 * sentences about "the key record". Keeps no pointer into text. */
struct status dkim_key_parse(struct slice text, struct arena *arena, struct dkim_key *ret_key);

/* The best that a signature by this key can get (RFC 6376 section 6.1.2, RFC 8301 section 3.2):
 * pass, permerror or policy; and why it is no pass, a static sentence about "the key" ("was
 * revoked"), else "". */
enum mailauth_result dkim_key_judge(const struct dkim_key *key, const char **ret_why);

/* The record for such a key, in one line. INVALID for numbers that could not be parsed again. An
 * RSA key is written as SubjectPublicKeyInfo, as in appendix C and as everybody does; section 3.6.1
 * speaks of the bare RSAPublicKey, and both are read. */
struct status dkim_key_print(const struct dkim_key *key, struct buf *out);

/* "selector._domainkey.domain" (section 3.6.2.1). NULL when that is too long for the DNS. */
const char *dkim_key_name(const char *selector, const char *domain, struct arena *arena);
