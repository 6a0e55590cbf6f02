/* The inside of a key, for key.c and certificate.c. */
#pragma once

#include "tls/key.h"

#include <openssl/evp.h>

struct tls_key {
	EVP_PKEY *pkey;
};

/* CLEANUP helpers for OpenSSL's types. */
#define TLS_OPENSSL_CLEANUP(type, free_fn)                                                         \
	static inline void type##_freep(type **p)                                                  \
	{                                                                                          \
		free_fn(*p);                                                                       \
	}
