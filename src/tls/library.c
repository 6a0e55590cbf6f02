/* OpenSSL as a TLS terminating process uses it, and the making of remote keys. */
#include "tls/library.h"

#include "tls/connection_private.h"
#include "tls/provider_private.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

struct tls_library {
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *default_provider;
	OSSL_PROVIDER *own_provider;
	BIO_METHOD *socket_method;
};

struct tls_library *tls_library_new(void)
{
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
	struct tls_library *library = base_alloc(sizeof(*library));
	library->libctx = OSSL_LIB_CTX_new();
	if (!library->libctx ||
	    OSSL_PROVIDER_add_builtin(library->libctx, TLS_PROVIDER_NAME, tls_provider_init) != 1)
		BUG("OpenSSL cannot be set up");
	library->default_provider = OSSL_PROVIDER_load(library->libctx, "default");
	library->own_provider = OSSL_PROVIDER_load(library->libctx, TLS_PROVIDER_NAME);
	if (!library->default_provider || !library->own_provider ||
	    EVP_set_default_properties(library->libctx, "?provider=default") != 1)
		BUG("OpenSSL's providers cannot be loaded");
	library->socket_method = tls_socket_method_new();
	return library;
}

void tls_library_free(struct tls_library *library)
{
	if (!library)
		return;
	BIO_meth_free(library->socket_method);
	OSSL_PROVIDER_unload(library->own_provider);
	OSSL_PROVIDER_unload(library->default_provider);
	OSSL_LIB_CTX_free(library->libctx);
	base_free(library);
}

OSSL_LIB_CTX *tls_library_libctx(const struct tls_library *library)
{
	return library->libctx;
}

const BIO_METHOD *tls_library_socket_method(const struct tls_library *library)
{
	return library->socket_method;
}

/* --- making a remote key --- */

static const char *algorithm_of(const EVP_PKEY *key)
{
	static const char *const names[] = {"EC", "RSA", "ED25519"};
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (EVP_PKEY_is_a(key, names[i]))
			return names[i];
	return NULL;
}

/* What the key is made of besides its public parameters. */
static OSSL_PARAM *own_params(const EVP_PKEY *public_key, struct slice key_id,
                              const struct tls_signer *signer)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	bool pushed = builder &&
	              OSSL_PARAM_BLD_push_octet_string(builder, TLS_PARAM_KEY_ID, key_id.p,
	                                               key_id.n) == 1 &&
	              OSSL_PARAM_BLD_push_octet_string(builder, TLS_PARAM_SIGNER, &signer,
	                                               sizeof(signer)) == 1 &&
	              OSSL_PARAM_BLD_push_int(builder, TLS_PARAM_BITS,
	                                      EVP_PKEY_get_bits(public_key)) == 1 &&
	              OSSL_PARAM_BLD_push_int(builder, TLS_PARAM_SECURITY_BITS,
	                                      EVP_PKEY_get_security_bits(public_key)) == 1 &&
	              OSSL_PARAM_BLD_push_int(builder, TLS_PARAM_SIZE,
	                                      EVP_PKEY_get_size(public_key)) == 1;
	OSSL_PARAM *params = pushed ? OSSL_PARAM_BLD_to_param(builder) : NULL;
	OSSL_PARAM_BLD_free(builder);
	return params;
}

EVP_PKEY *tls_remote_key_new(const struct tls_library *library, const EVP_PKEY *public_key,
                             struct slice key_id, const struct tls_signer *signer)
{
	const char *algorithm = algorithm_of(public_key);
	if (!algorithm || key_id.n == 0 || key_id.n > TLS_KEY_ID_MAX)
		return NULL;
	EVP_PKEY *key = NULL;
	OSSL_PARAM *public_params = NULL, *own = own_params(public_key, key_id, signer);
	OSSL_PARAM *all = NULL;
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(library->libctx, algorithm,
	                                                 "provider=" TLS_PROVIDER_NAME);
	if (own && maker && EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &public_params) == 1)
		all = OSSL_PARAM_merge(public_params, own);
	if (all && EVP_PKEY_fromdata_init(maker) == 1 &&
	    EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, all) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(maker);
	OPENSSL_free(all);
	OSSL_PARAM_free(own);
	OSSL_PARAM_free(public_params);
	return key;
}
