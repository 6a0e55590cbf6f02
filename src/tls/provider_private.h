/* What provider.c and library.c agree on. */
#pragma once

#include <openssl/core.h>

#define TLS_PROVIDER_NAME "mailkeep"

/* Parameters of a remote key besides those of its public key. */
#define TLS_PARAM_KEY_ID        "mailkeep-key-id" /* octets */
#define TLS_PARAM_SIGNER        "mailkeep-signer" /* octets: the pointer to the struct tls_signer */
#define TLS_PARAM_BITS          "mailkeep-bits"
#define TLS_PARAM_SECURITY_BITS "mailkeep-security-bits"
#define TLS_PARAM_SIZE          "mailkeep-size"

/* For OSSL_PROVIDER_add_builtin. */
int tls_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                      const OSSL_DISPATCH **out, void **provider);
