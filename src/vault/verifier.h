/* What is kept instead of a password: one verifier for each way to log in. */
#pragma once

#include "base/buf.h"
#include "sasl/scram.h"

#define VERIFIER_SALT_SIZE ((size_t)16)
#define VERIFIER_HASH_SIZE ((size_t)32)
#define VERIFIER_TEXT_MAX  ((size_t)2048) /* bytes in a file */

struct verifier_argon2 {
	uint32_t kib, passes;
	uint8_t salt[VERIFIER_SALT_SIZE];
	uint8_t hash[VERIFIER_HASH_SIZE];
};

struct verifier_scram {
	uint32_t iterations;
	uint8_t salt[VERIFIER_SALT_SIZE];
	struct sasl_scram_keys keys;
};

/* RFC 2195 section 3: HMAC-MD5 after its first block, which the password determines. */
struct verifier_cram {
	bool present;
	uint8_t inner[16], outer[16];
};

struct verifier {
	struct verifier_argon2 argon2;
	struct verifier_scram scram_sha1, scram_sha256;
	struct verifier_cram cram;
};

void verifier_print(const struct verifier *verifier, struct buf *out);
/* CORRUPT unless every line is there once, in order, and in range. */
struct status verifier_parse(struct slice text, struct verifier *ret_verifier);

struct status verifier_scram_make(enum sasl_hash hash, struct slice password, uint32_t iterations,
                                  struct verifier_scram *ret_scram);
void verifier_cram_make(struct slice password, struct verifier_cram *ret_cram);
/* The digest that a client with that password sends. */
void verifier_cram_digest(const struct verifier_cram *cram, struct slice challenge,
                          uint8_t ret_digest[16]);
