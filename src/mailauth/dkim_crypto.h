/* What DKIM and ARC need of libcrypto, so that nothing else here knows it: SHA-256 as a sink, and
 * the verification of a signature over such a hash (RFC 6376 section 3.3.2, RFC 8463 section 3).
 *
 * A libcrypto that does not hash is a broken environment: it ends the process.
 */
#pragma once

#include "mailauth/dkim_key.h"

struct dkim_hash;

struct dkim_hash *dkim_hash_new(void);
void dkim_hash_free(struct dkim_hash *hash);  /* accepts NULL */
void dkim_hash_reset(struct dkim_hash *hash); /* to be used again from the start */
struct dkim_sink *dkim_hash_sink(struct dkim_hash *hash);
/* The hash of what was given; reset is needed before more. */
void dkim_hash_finish(struct dkim_hash *hash, uint8_t digest[DKIM_HASH_SIZE]);
/* Of what was given so far, without an end: more may follow. */
void dkim_hash_peek(struct dkim_hash *hash, struct dkim_hash *copy);

struct dkim_public_key;

/* For a key that is not revoked. INVALID when libcrypto does not take it. What costs too much to
 * verify with is refused before (DKIM_RSA_BITS_MAX): LIMIT. */
struct status dkim_public_key_new(const struct dkim_key *key, struct dkim_public_key **ret_key);
/* The same key once more: freed with the last free. Threads may use one at the same time. */
struct dkim_public_key *dkim_public_key_ref(struct dkim_public_key *key);
void dkim_public_key_free(struct dkim_public_key *key); /* accepts NULL */
bool dkim_public_key_verify(const struct dkim_public_key *key, const uint8_t digest[DKIM_HASH_SIZE],
                            struct slice signature);
