/* CLEANUP helpers for libcrypto's types, for dkim_crypto.c and dkim_private_key.c. */
#pragma once

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#define DKIM_OPENSSL_CLEANUP(type, free_fn)                                                        \
	static inline void dkim_##type##_freep(type **p)                                           \
	{                                                                                          \
		free_fn(*p);                                                                       \
	}

/* DigestInfo of SHA-256 before the hash itself (RFC 8017 section 9.2, note 1): with it RSA is asked
 * for PKCS #1 v1.5 over bytes that are complete, and needs to look up no digest. */
#define DKIM_DIGEST_INFO                                                                           \
	"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
#define DKIM_DIGEST_INFO_SIZE (sizeof(DKIM_DIGEST_INFO) - 1)
