/* OpenSSL for a process that terminates TLS, with keys that sign elsewhere.
 *
 * A remote key is a public key, an id and a signer. libssl handles it like any other key (through
 * an OpenSSL provider of our own); the signature over a handshake becomes one call of
 * tls_signer.sign. ECDSA, RSA (PKCS #1 and PSS) and Ed25519. No decryption: RSA key exchange does
 * not exist here.
 */
#pragma once

#include "tls/signer.h"

#include <openssl/bio.h>
#include <openssl/evp.h>

/* OpenSSL's state of a process that terminates TLS, apart from the default one: reads no
 * configuration file, so neither a sandbox nor a host's settings change what it does. Made once at
 * start, before threads and sandbox; everything loads here that OpenSSL would load late. */
struct tls_library;

struct tls_library *tls_library_new(void);
/* After the last context and stream that use it. */
void tls_library_free(struct tls_library *library);

OSSL_LIB_CTX *tls_library_libctx(const struct tls_library *library);
const BIO_METHOD *tls_library_socket_method(const struct tls_library *library);

/* A private key that signs through `signer` (which must outlive it) for a known public key. NULL on
 * failure, with the reason in OpenSSL's queue. */
EVP_PKEY *tls_remote_key_new(const struct tls_library *library, const EVP_PKEY *public_key,
                             struct slice key_id, const struct tls_signer *signer);
