/* A private key in memory: generate, load, sign. Only rooms that keep keys (the vault) and tests
 * use it; it links libcrypto and nothing of TLS.
 *
 * A key does not change after it was made: any number of threads may sign with it at once.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "tls/signer.h"

#define TLS_PEM_MAX ((size_t)256 * 1024) /* bytes of PEM text that are looked at */

struct tls_key;

#define TLS_KEY_TYPE_LIST(X)                                                                       \
	X(EC_P256, "ecdsa-p256")                                                                   \
	X(EC_P384, "ecdsa-p384")                                                                   \
	X(RSA_2048, "rsa-2048")                                                                    \
	X(RSA_3072, "rsa-3072")                                                                    \
	X(RSA_4096, "rsa-4096")                                                                    \
	X(ED25519, "ed25519")

enum tls_key_type {
#define X(name, text) TLS_KEY_##name,
	TLS_KEY_TYPE_LIST(X)
#undef X
};

const char *tls_key_type_name(enum tls_key_type type);
bool tls_key_type_of(struct slice name, enum tls_key_type *ret_type);

/* Initialises libcrypto without its configuration file and touches what it loads late. To be called
 * once before a room closes its sandbox. */
void tls_crypto_warm_up(void);

struct status tls_key_generate(enum tls_key_type type, struct tls_key **ret_key);

/* The first private key in PEM text (PKCS #8, or the traditional RSA and EC forms), not encrypted.
 * `name` says in errors where the text came from; they are built in `arena`. RSA below 2048 bits
 * and curves other than P-256 and P-384 are refused. */
struct status tls_key_from_pem(struct slice pem, const char *name, struct tls_key **ret_key,
                               struct arena *arena);
void tls_key_free(struct tls_key *key);

/* PKCS #8 in PEM. The buffer then holds a secret: its owner wipes it. */
struct status tls_key_to_pem(const struct tls_key *key, struct buf *out);

#define TLS_DIGEST_SIZE ((size_t)32) /* SHA-256 */

/* Signs a SHA-256 as such: RSASSA-PKCS1-v1_5, or pure Ed25519 of its 32 bytes. INVALID for other
 * keys. */
bool tls_key_can_sign_digest(const struct tls_key *key);
struct status tls_key_sign_digest(const struct tls_key *key, const uint8_t digest[TLS_DIGEST_SIZE],
                                  uint8_t *signature, size_t max, size_t *ret_n);
bool tls_key_is_ed25519(const struct tls_key *key);
/* DER SubjectPublicKeyInfo. */
struct status tls_key_public_der(const struct tls_key *key, struct buf *out);

/* As tls_signer.sign. INVALID when the scheme does not fit the key. */
struct status tls_key_sign(const struct tls_key *key, enum tls_sign_scheme scheme,
                           struct slice input, uint8_t *signature, size_t max, size_t *ret_n);
