/* Who signs for a TLS server: not the process that talks to the network.
 *
 * A TLS terminating room holds certificates and key ids only. Each handshake's private operation
 * goes through a signer, in production a call to the vault. What travels is the whole text to be
 * signed, not its digest, so that the keeper of the key can see that it is the signature of a TLS
 * server handshake and refuse everything else (tls_signable): whoever takes over a gate can sign
 * handshakes while they hold it, but neither certificate requests nor mail.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#define TLS_SIGN_INPUT_MAX ((size_t)512) /* bytes of text to be signed */
#define TLS_SIGNATURE_MAX  ((size_t)512) /* bytes: RSA with 4096 bits */
#define TLS_KEY_ID_MAX     ((size_t)64)  /* bytes */

/* The SignatureScheme values of RFC 8446 section 4.2.3; they travel over IPC. With TLS 1.2 an
 * ecdsa scheme means its digest only, on whichever curve the key has (RFC 5246 section 7.4.1.4.1).
 */
#define TLS_SIGN_SCHEME_LIST(X)                                                                    \
	X(RSA_PKCS1_SHA256, 0x0401, "SHA256")                                                      \
	X(RSA_PKCS1_SHA384, 0x0501, "SHA384")                                                      \
	X(RSA_PKCS1_SHA512, 0x0601, "SHA512")                                                      \
	X(ECDSA_SHA256, 0x0403, "SHA256")                                                          \
	X(ECDSA_SHA384, 0x0503, "SHA384")                                                          \
	X(ECDSA_SHA512, 0x0603, "SHA512")                                                          \
	X(RSA_PSS_SHA256, 0x0804, "SHA256")                                                        \
	X(RSA_PSS_SHA384, 0x0805, "SHA384")                                                        \
	X(RSA_PSS_SHA512, 0x0806, "SHA512")                                                        \
	X(ED25519, 0x0807, "")

enum tls_sign_scheme {
#define X(name, value, digest) TLS_SIGN_##name = value,
	TLS_SIGN_SCHEME_LIST(X)
#undef X
};

struct tls_signer {
	/* Signs `input` with the key of that id. Blocks; called by many threads at once. On success
	 * *ret_n <= max bytes of signature are written. An error ends that handshake only. */
	struct status (*sign)(void *context, struct slice key_id, enum tls_sign_scheme scheme,
	                      struct slice input, uint8_t *signature, size_t max, size_t *ret_n);
	void *context;
};

/* For numbers that came over IPC. */
bool tls_sign_scheme_is_known(uint32_t value);
/* Does one take much longer than all of ECDSA P-256's and Ed25519's some 30 us? RSA 2048: 0.6 ms. */
bool tls_sign_scheme_is_slow(uint32_t value);

/* Is `input` what a TLS server signs: the CertificateVerify text of RFC 8446 section 4.4.3 or the
 * ServerKeyExchange parameters with a named curve of RFC 8422 section 5.4? */
bool tls_signable(struct slice input);
