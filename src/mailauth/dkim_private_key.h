/* Signing keys in this process's memory, for the command line and tests. In a server the keys lie
 * with another process, which signs hashes (struct dkim_signer_key); it may use this, too.
 *
 * A key does not change after it was made: any number of threads may sign with it at once.
 */
#pragma once

#include "mailauth/dkim_key.h"

#define DKIM_PEM_MAX      ((size_t)64 * 1024) /* bytes of PEM text that are looked at */
#define DKIM_RSA_BITS_NEW 4096u               /* of a key that is made here, at most */

/* Who signs. The hash is that of RFC 6376 section 3.7: for RSA_SHA256 it is signed by RSASSA-
 * PKCS1-v1_5 with SHA-256, for ED25519_SHA256 as a message of 32 octets (RFC 8463 section 3). */
struct dkim_signer_key {
	enum dkim_algorithm algorithm; /* not RSA_SHA1 */
	/* May block. On success *ret_n <= max bytes of signature are written. */
	struct status (*sign)(void *context, const uint8_t digest[DKIM_HASH_SIZE],
	                      uint8_t *signature, size_t max, size_t *ret_n);
	void *context;
};

struct dkim_private_key;

/* bits: 2048, 3072 or 4096 for RSA, else 0. INVALID for others. */
struct status dkim_private_key_generate(enum dkim_key_type type, unsigned bits,
                                        struct dkim_private_key **ret_key);
/* The first private key in PEM text: PKCS #8 or PKCS #1, RSA from 1,024 (RFC 8301 section 3.2) to
 * 8,192 bits or Ed25519, not encrypted. INVALID with the reason. */
struct status dkim_private_key_from_pem(struct slice pem, struct dkim_private_key **ret_key);
void dkim_private_key_free(struct dkim_private_key *key); /* accepts NULL */

/* PKCS #8 in PEM. The buffer then holds a secret: its owner wipes it. */
struct status dkim_private_key_to_pem(const struct dkim_private_key *key, struct buf *out);
/* The public half, as its record would have it. */
struct status dkim_private_key_public(const struct dkim_private_key *key, struct arena *arena,
                                      struct dkim_key *ret_key);
/* Signs as long as the key lives. */
struct dkim_signer_key dkim_private_key_signer(const struct dkim_private_key *key);

/* A public key in PEM ("BEGIN PUBLIC KEY", "BEGIN RSA PUBLIC KEY"), for its record. */
struct status dkim_public_from_pem(struct slice pem, struct arena *arena, struct dkim_key *ret_key);
