/* The arithmetic of SCRAM (RFC 5802 section 3, RFC 7677), without messages. Thread-safe. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#define SASL_HASH_MAX       ((size_t)32)        /* bytes of the longest digest */
#define SASL_SALT_MAX       ((size_t)64)        /* bytes */
#define SASL_ITERATIONS_MIN ((uint32_t)4096)    /* RFC 7677 section 4 */
#define SASL_ITERATIONS_MAX ((uint32_t)1000000) /* a client would compute for seconds */

/* The numbers travel over IPC. */
enum sasl_hash {
	SASL_SHA1 = 1,
	SASL_SHA256 = 256,
};

bool sasl_hash_is_known(uint32_t value); /* for numbers from IPC or files */
size_t sasl_hash_size(enum sasl_hash hash);
const char *sasl_hash_name(enum sasl_hash hash); /* OpenSSL's name */

/* What a server keeps instead of the password. */
struct sasl_scram_keys {
	uint8_t stored[SASL_HASH_MAX];
	uint8_t server[SASL_HASH_MAX];
};

/* From a prepared password; costs `iterations` HMACs. */
struct status sasl_scram_derive(enum sasl_hash hash, struct slice password, struct slice salt,
                                uint32_t iterations, struct sasl_scram_keys *ret_keys);

/* AUTH unless the proof fits; the server's signature is written either way (so that both cost the
 * same) and must be sent on OK only. */
struct status sasl_scram_verify(enum sasl_hash hash, const struct sasl_scram_keys *keys,
                                struct slice auth_message, struct slice proof,
                                uint8_t server_signature[SASL_HASH_MAX]);

/* The client's proof and the server signature that it must see, from the password. */
struct status sasl_scram_prove(enum sasl_hash hash, struct slice password, struct slice salt,
                               uint32_t iterations, struct slice auth_message,
                               uint8_t proof[SASL_HASH_MAX],
                               uint8_t server_signature[SASL_HASH_MAX]);
