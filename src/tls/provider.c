/* The provider "mailkeep": key management and signature for keys that sign elsewhere.
 *
 * Which provider signs: libssl asks for the key's algorithm by name and would get OpenSSL's own
 * implementation, to which it then exports our key. That export is refused as soon as a private key
 * is asked for, and EVP_DigestSignInit turns to the provider that the key comes from
 * (crypto/evp/m_sigver.c, since OpenSSL 3.0). The default query "?provider=default" sees to it that
 * every other operation (ephemeral keys, certificates) finds OpenSSL's own.
 *
 * Not here: generation, import from files, decryption, encoding; a remote key cannot be written
 * out.
 */
#include "tls/provider_private.h"

#include "tls/signer.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

enum kind {
	KIND_EC,
	KIND_RSA,
	KIND_ED25519,
};

/* Written while it is made (new, import), constant afterwards. */
struct remote_key {
	enum kind kind;
	OSSL_PARAM *public_params; /* what describes the public key, as OpenSSL exported it */
	uint8_t id[TLS_KEY_ID_MAX];
	size_t n_id;
	const struct tls_signer *signer; /* NULL: a public key only */
	int bits, security_bits, size;
};

/* --- key management: provider-keymgmt(7) --- */

static struct remote_key *key_new(enum kind kind)
{
	struct remote_key *key = base_alloc(sizeof(*key));
	key->kind = kind;
	return key;
}

static void *ec_new(void *provider)
{
	(void)provider;
	return key_new(KIND_EC);
}

static void *rsa_new(void *provider)
{
	(void)provider;
	return key_new(KIND_RSA);
}

static void *ed25519_new(void *provider)
{
	(void)provider;
	return key_new(KIND_ED25519);
}

static void key_free(void *p)
{
	struct remote_key *key = p;
	if (key)
		OSSL_PARAM_free(key->public_params);
	base_free(key);
}

static int key_has(const void *p, int selection)
{
	const struct remote_key *key = p;
	if (!key->public_params)
		return (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0;
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || key->signer != NULL;
}

static bool get_signer(struct remote_key *key, const OSSL_PARAM params[])
{
	const OSSL_PARAM *id = OSSL_PARAM_locate_const(params, TLS_PARAM_KEY_ID);
	const OSSL_PARAM *signer = OSSL_PARAM_locate_const(params, TLS_PARAM_SIGNER);
	if (!id || !signer)
		return true;
	void *id_at = key->id, *signer_at = &key->signer;
	size_t n_signer;
	return OSSL_PARAM_get_octet_string(id, &id_at, sizeof(key->id), &key->n_id) == 1 &&
	       OSSL_PARAM_get_octet_string(signer, &signer_at, sizeof(key->signer), &n_signer) ==
	               1 &&
	       n_signer == sizeof(key->signer);
}

static int key_import(void *p, int selection, const OSSL_PARAM params[])
{
	struct remote_key *key = p;
	if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0 || !get_signer(key, params))
		return 0;
	const OSSL_PARAM *param;
	if ((param = OSSL_PARAM_locate_const(params, TLS_PARAM_BITS)))
		OSSL_PARAM_get_int(param, &key->bits);
	if ((param = OSSL_PARAM_locate_const(params, TLS_PARAM_SECURITY_BITS)))
		OSSL_PARAM_get_int(param, &key->security_bits);
	if ((param = OSSL_PARAM_locate_const(params, TLS_PARAM_SIZE)))
		OSSL_PARAM_get_int(param, &key->size);
	OSSL_PARAM_free(key->public_params);
	key->public_params = OSSL_PARAM_dup(params);
	return key->public_params != NULL;
}

static const OSSL_PARAM *ec_types(int selection)
{
	static const OSSL_PARAM types[] = {
	        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
	        OSSL_PARAM_END,
	};
	(void)selection;
	return types;
}

static const OSSL_PARAM *rsa_types(int selection)
{
	static const OSSL_PARAM types[] = {
	        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
	        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
	        OSSL_PARAM_END,
	};
	(void)selection;
	return types;
}

static const OSSL_PARAM *ed25519_types(int selection)
{
	static const OSSL_PARAM types[] = {
	        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
	        OSSL_PARAM_END,
	};
	(void)selection;
	return types;
}

/* The parameters that make up a public key of this kind. */
static const OSSL_PARAM *kind_types(enum kind kind)
{
	switch (kind) {
	case KIND_EC:
		return ec_types(0);
	case KIND_RSA:
		return rsa_types(0);
	case KIND_ED25519:
		return ed25519_types(0);
	}
	BUG("unknown kind of key");
}

static int key_export(void *p, int selection, OSSL_CALLBACK *callback, void *context)
{
	const struct remote_key *key = p;
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || !key->public_params)
		return 0;
	OSSL_PARAM public_only[3];
	size_t n = 0;
	for (const OSSL_PARAM *type = kind_types(key->kind); type->key; type++) {
		const OSSL_PARAM *param = OSSL_PARAM_locate_const(key->public_params, type->key);
		if (param && n < N_ELEMENTS(public_only) - 1)
			public_only[n++] = *param;
	}
	public_only[n] = OSSL_PARAM_construct_end();
	return callback(public_only, context);
}

static bool param_eq(const OSSL_PARAM *a, const OSSL_PARAM *b)
{
	return a && b && a->data_type == b->data_type && a->data_size == b->data_size &&
	       memcmp(a->data, b->data, a->data_size) == 0; /* public keys: no secret to time */
}

static int key_match(const void *p1, const void *p2, int selection)
{
	const struct remote_key *a = p1, *b = p2;
	(void)selection;
	if (a->kind != b->kind || !a->public_params || !b->public_params)
		return 0;
	for (const OSSL_PARAM *type = kind_types(a->kind); type->key; type++)
		if (!param_eq(OSSL_PARAM_locate_const(a->public_params, type->key),
		              OSSL_PARAM_locate_const(b->public_params, type->key)))
			return 0;
	return 1;
}

static bool answer_int(OSSL_PARAM params[], const char *name, int value)
{
	OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
	return !param || OSSL_PARAM_set_int(param, value) == 1;
}

static bool answer_text(OSSL_PARAM params[], const char *name, const char *value)
{
	OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
	return !param || OSSL_PARAM_set_utf8_string(param, value) == 1;
}

static bool answer_group(const struct remote_key *key, OSSL_PARAM params[])
{
	const OSSL_PARAM *group =
	        OSSL_PARAM_locate_const(key->public_params, OSSL_PKEY_PARAM_GROUP_NAME);
	const char *name;
	return !group || OSSL_PARAM_get_utf8_string_ptr(group, &name) != 1 ||
	       answer_text(params, OSSL_PKEY_PARAM_GROUP_NAME, name);
}

static int key_get_params(void *p, OSSL_PARAM params[])
{
	const struct remote_key *key = p;
	if (!key->public_params || !answer_int(params, OSSL_PKEY_PARAM_BITS, key->bits) ||
	    !answer_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, key->security_bits) ||
	    !answer_int(params, OSSL_PKEY_PARAM_MAX_SIZE, key->size) || !answer_group(key, params))
		return 0;
	/* Ed25519 signs the text itself: no digest may be asked for. */
	if (key->kind == KIND_ED25519)
		return answer_text(params, OSSL_PKEY_PARAM_MANDATORY_DIGEST, "");
	return answer_text(params, OSSL_PKEY_PARAM_DEFAULT_DIGEST, "SHA256");
}

static const OSSL_PARAM *key_gettable(void *provider)
{
	static const OSSL_PARAM gettable[] = {
	        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
	        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
	        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
	        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
	        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
	        OSSL_PARAM_END,
	};
	(void)provider;
	return gettable;
}

static const char *ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const char *rsa_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

static const char *ed25519_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ED25519" : NULL;
}

#define ENTRY(id, fn)                                                                              \
	{                                                                                          \
		id, (void (*)(void))(fn)                                                           \
	}
#define KEYMGMT(kind)                                                                              \
	static const OSSL_DISPATCH kind##_keymgmt[] = {                                            \
	        ENTRY(OSSL_FUNC_KEYMGMT_NEW, kind##_new),                                          \
	        ENTRY(OSSL_FUNC_KEYMGMT_FREE, key_free),                                           \
	        ENTRY(OSSL_FUNC_KEYMGMT_HAS, key_has),                                             \
	        ENTRY(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                                       \
	        ENTRY(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, kind##_types),                               \
	        ENTRY(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                                       \
	        ENTRY(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, kind##_types),                               \
	        ENTRY(OSSL_FUNC_KEYMGMT_MATCH, key_match),                                         \
	        ENTRY(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                               \
	        ENTRY(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable),                            \
	        ENTRY(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, kind##_operation),                   \
	        {0, NULL},                                                                         \
	}
KEYMGMT(ec);
KEYMGMT(rsa);
KEYMGMT(ed25519);

/* --- signature: provider-signature(7), one-shot --- */

struct signature_context {
	const struct remote_key *key; /* kept alive by OpenSSL for as long as the operation */
	char digest[16];
	bool pss;
};

static void *signature_new(void *provider, const char *properties)
{
	(void)provider, (void)properties;
	return base_alloc(sizeof(struct signature_context));
}

static void signature_free(void *p)
{
	base_free(p);
}

static void *signature_dup(void *p)
{
	struct signature_context *copy = base_alloc(sizeof(*copy));
	*copy = *(const struct signature_context *)p;
	return copy;
}

static int signature_set_params(void *p, const OSSL_PARAM params[])
{
	struct signature_context *context = p;
	const OSSL_PARAM *param =
	        params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
	if (!param)
		return 1; /* salt length and MGF digest are those of TLS anyway */
	int mode;
	const char *text;
	if (OSSL_PARAM_get_int(param, &mode) == 1)
		context->pss = mode == RSA_PKCS1_PSS_PADDING;
	else if (OSSL_PARAM_get_utf8_string_ptr(param, &text) == 1)
		context->pss = slice_eq_str(slice_str(text), OSSL_PKEY_RSA_PAD_MODE_PSS);
	else
		return 0;
	return 1;
}

static const OSSL_PARAM *signature_settable(void *context, void *provider)
{
	static const OSSL_PARAM settable[] = {
	        OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL),
	        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
	        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
	        OSSL_PARAM_END,
	};
	(void)context, (void)provider;
	return settable;
}

static int signature_init(void *p, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signature_context *context = p;
	if (key)
		context->key = key;
	struct slice name = slice_str(digest);
	if (!context->key || name.n >= sizeof(context->digest))
		return 0;
	memcpy(context->digest, name.p, name.n);
	context->digest[name.n] = 0;
	return signature_set_params(context, params);
}

/* libssl says "SHA256" or "SHA2-256". */
static int digest_bits(const char *digest)
{
	struct slice name = slice_str(digest);
	if (slice_ends(name, SLICE("256")))
		return 256;
	if (slice_ends(name, SLICE("384")))
		return 384;
	return slice_ends(name, SLICE("512")) ? 512 : 0;
}

static bool scheme_of(const struct signature_context *context, enum tls_sign_scheme *ret_scheme)
{
	static const enum tls_sign_scheme table[3][3] = {
	        {TLS_SIGN_ECDSA_SHA256, TLS_SIGN_ECDSA_SHA384, TLS_SIGN_ECDSA_SHA512},
	        {TLS_SIGN_RSA_PKCS1_SHA256, TLS_SIGN_RSA_PKCS1_SHA384, TLS_SIGN_RSA_PKCS1_SHA512},
	        {TLS_SIGN_RSA_PSS_SHA256, TLS_SIGN_RSA_PSS_SHA384, TLS_SIGN_RSA_PSS_SHA512},
	};
	if (context->key->kind == KIND_ED25519) {
		*ret_scheme = TLS_SIGN_ED25519;
		return true;
	}
	int bits = digest_bits(context->digest);
	if (bits == 0)
		return false;
	int row = context->key->kind == KIND_EC ? 0 : 1 + context->pss;
	*ret_scheme = table[row][(bits - 256) / 128];
	return true;
}

static int signature_sign(void *p, unsigned char *signature, size_t *n, size_t max,
                          const unsigned char *input, size_t n_input)
{
	const struct signature_context *context = p;
	const struct remote_key *key = context->key;
	enum tls_sign_scheme scheme;
	if (!signature) {
		*n = (size_t)key->size;
		return 1;
	}
	if (!key->signer || !scheme_of(context, &scheme) || n_input > TLS_SIGN_INPUT_MAX)
		return 0;
	size_t n_signature = 0;
	struct status status =
	        key->signer->sign(key->signer->context, slice_of(key->id, key->n_id), scheme,
	                          slice_of(input, n_input), signature, max, &n_signature);
	if (!is_ok(status) || n_signature == 0 || n_signature > max)
		return 0;
	*n = n_signature;
	return 1;
}

static const OSSL_DISPATCH signature_functions[] = {
        ENTRY(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
        ENTRY(OSSL_FUNC_SIGNATURE_FREECTX, signature_free),
        ENTRY(OSSL_FUNC_SIGNATURE_DUPCTX, signature_dup),
        ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signature_init),
        ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signature_sign),
        ENTRY(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signature_set_params),
        ENTRY(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signature_settable),
        {0, NULL},
};

/* --- the provider: provider-base(7) --- */

static const OSSL_ALGORITHM keymgmt_algorithms[] = {
        {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=" TLS_PROVIDER_NAME, ec_keymgmt, NULL},
        {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=" TLS_PROVIDER_NAME, rsa_keymgmt,
         NULL},
        {"ED25519:1.3.101.112", "provider=" TLS_PROVIDER_NAME, ed25519_keymgmt, NULL},
        {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM signature_algorithms[] = {
        {"ECDSA", "provider=" TLS_PROVIDER_NAME, signature_functions, NULL},
        {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=" TLS_PROVIDER_NAME,
         signature_functions, NULL},
        {"ED25519:1.3.101.112", "provider=" TLS_PROVIDER_NAME, signature_functions, NULL},
        {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *query_operation(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return keymgmt_algorithms;
	return operation == OSSL_OP_SIGNATURE ? signature_algorithms : NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
        ENTRY(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query_operation),
        {0, NULL},
};

int tls_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                      const OSSL_DISPATCH **out, void **provider)
{
	(void)handle, (void)in;
	static const char context[] = TLS_PROVIDER_NAME; /* has no state; must not be NULL */
	union {
		const void *in;
		void *out;
	} unconst = {.in = context};
	*out = provider_functions;
	*provider = unconst.out;
	return 1;
}
