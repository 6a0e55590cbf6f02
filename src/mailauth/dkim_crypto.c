/* libcrypto behind DKIM: EVP only.
 *
 * Small pieces are gathered before they are hashed, since each call costs as much as the hashing of
 * some 30 octets; large ones are passed on as they are.
 */
#include "mailauth/dkim_crypto.h"

#include "mailauth/dkim_crypto_private.h"

#include <openssl/bn.h>
#include <openssl/rsa.h>
#include <stdatomic.h>

#define STAGE_SIZE ((size_t)2048)
#define STAGE_PAST ((size_t)512) /* larger pieces are not copied */

DKIM_OPENSSL_CLEANUP(BIGNUM, BN_free)
DKIM_OPENSSL_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
DKIM_OPENSSL_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
DKIM_OPENSSL_CLEANUP(OSSL_PARAM, OSSL_PARAM_free)
DKIM_OPENSSL_CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)

/* --- hashing --- */

struct dkim_hash {
	struct dkim_sink sink; /* first member */
	EVP_MD *md;
	EVP_MD_CTX *context;
	size_t n_staged;
	uint8_t stage[STAGE_SIZE];
};

static void update(struct dkim_hash *hash, struct slice s)
{
	if (EVP_DigestUpdate(hash->context, s.p, s.n) != 1)
		BUG("libcrypto does not hash");
}

static void flush(struct dkim_hash *hash)
{
	if (hash->n_staged > 0)
		update(hash, slice_of(hash->stage, hash->n_staged));
	hash->n_staged = 0;
}

static void add(struct dkim_sink *sink, struct slice piece)
{
	struct dkim_hash *hash = (struct dkim_hash *)sink;
	if (piece.n > STAGE_SIZE - hash->n_staged)
		flush(hash);
	if (piece.n > STAGE_PAST) {
		flush(hash);
		update(hash, piece);
		return;
	}
	memcpy(hash->stage + hash->n_staged, piece.p, piece.n);
	hash->n_staged += piece.n;
}

void dkim_hash_reset(struct dkim_hash *hash)
{
	hash->n_staged = 0;
	if (EVP_DigestInit_ex2(hash->context, hash->md, NULL) != 1)
		BUG("libcrypto does not hash");
}

struct dkim_hash *dkim_hash_new(void)
{
	struct dkim_hash *hash = base_alloc(sizeof(*hash));
	hash->sink.add = add;
	hash->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	hash->context = EVP_MD_CTX_new();
	if (!hash->md || !hash->context)
		BUG("libcrypto has no SHA-256");
	dkim_hash_reset(hash);
	return hash;
}

void dkim_hash_free(struct dkim_hash *hash)
{
	if (!hash)
		return;
	EVP_MD_CTX_free(hash->context);
	EVP_MD_free(hash->md);
	base_free(hash);
}

struct dkim_sink *dkim_hash_sink(struct dkim_hash *hash)
{
	return &hash->sink;
}

void dkim_hash_finish(struct dkim_hash *hash, uint8_t digest[DKIM_HASH_SIZE])
{
	unsigned n = 0;
	flush(hash);
	if (EVP_DigestFinal_ex(hash->context, digest, &n) != 1 || n != DKIM_HASH_SIZE)
		BUG("libcrypto does not hash");
}

void dkim_hash_peek(struct dkim_hash *hash, struct dkim_hash *copy)
{
	flush(hash);
	copy->n_staged = 0;
	if (EVP_MD_CTX_copy_ex(copy->context, hash->context) != 1)
		BUG("libcrypto does not hash");
}

/* --- verifying --- */

struct dkim_public_key {
	enum dkim_key_type type;
	EVP_PKEY *pkey;
	atomic_uint n_refs;
};

static EVP_PKEY *import_numbers(OSSL_PARAM *params)
{
	CLEANUP(dkim_EVP_PKEY_CTX_freep)
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *pkey = NULL;
	if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return pkey;
}

static EVP_PKEY *import_rsa(const struct dkim_key *key)
{
	CLEANUP(dkim_OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	CLEANUP(dkim_BIGNUM_freep)
	BIGNUM *n = BN_bin2bn(key->modulus.p, (int)key->modulus.n, NULL);
	CLEANUP(dkim_BIGNUM_freep)
	BIGNUM *e = BN_bin2bn(key->exponent.p, (int)key->exponent.n, NULL);
	if (!builder || !n || !e ||
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1)
		return NULL;
	CLEANUP(dkim_OSSL_PARAM_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	return params ? import_numbers(params) : NULL;
}

static EVP_PKEY *import(const struct dkim_key *key)
{
	if (key->type == DKIM_KEY_RSA)
		return import_rsa(key);
	return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key->ed25519.p,
	                                      key->ed25519.n);
}

static struct dkim_public_key *wrap(enum dkim_key_type type, EVP_PKEY *pkey)
{
	struct dkim_public_key *public_key = base_alloc(sizeof(*public_key));
	public_key->type = type;
	public_key->pkey = pkey;
	atomic_init(&public_key->n_refs, 1);
	return public_key;
}

struct status dkim_public_key_new(const struct dkim_key *key, struct dkim_public_key **ret_key)
{
	if (key->bits > DKIM_RSA_BITS_MAX)
		return fail(ERR_LIMIT, "the key is too long");
	EVP_PKEY *pkey = key->revoked ? NULL : import(key);
	ERR_clear_error();
	if (!pkey)
		return fail(ERR_INVALID, "the key cannot be used");
	*ret_key = wrap(key->type, pkey);
	return ok();
}

struct dkim_public_key *dkim_public_key_ref(struct dkim_public_key *key)
{
	atomic_fetch_add(&key->n_refs, 1);
	return key;
}

void dkim_public_key_free(struct dkim_public_key *key)
{
	if (!key || atomic_fetch_sub(&key->n_refs, 1) > 1)
		return;
	EVP_PKEY_free(key->pkey);
	base_free(key);
}

/* RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2); the signature is as long as the modulus. */
static bool verify_rsa(EVP_PKEY *pkey, const uint8_t digest[DKIM_HASH_SIZE], struct slice signature)
{
	uint8_t info[DKIM_DIGEST_INFO_SIZE + DKIM_HASH_SIZE];
	memcpy(info, DKIM_DIGEST_INFO, DKIM_DIGEST_INFO_SIZE);
	memcpy(info + DKIM_DIGEST_INFO_SIZE, digest, DKIM_HASH_SIZE);
	CLEANUP(dkim_EVP_PKEY_CTX_freep)
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	return context && signature.n == (size_t)EVP_PKEY_get_size(pkey) &&
	       EVP_PKEY_verify_init(context) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
	       EVP_PKEY_verify(context, signature.p, signature.n, info, sizeof(info)) == 1;
}

/* PureEdDSA over the hash (RFC 8463 section 3). */
static bool verify_ed25519(EVP_PKEY *pkey, const uint8_t digest[DKIM_HASH_SIZE],
                           struct slice signature)
{
	CLEANUP(dkim_EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
	return context &&
	       EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, pkey, NULL) == 1 &&
	       EVP_DigestVerify(context, signature.p, signature.n, digest, DKIM_HASH_SIZE) == 1;
}

bool dkim_public_key_verify(const struct dkim_public_key *key, const uint8_t digest[DKIM_HASH_SIZE],
                            struct slice signature)
{
	bool good = key->type == DKIM_KEY_RSA ? verify_rsa(key->pkey, digest, signature)
	                                      : verify_ed25519(key->pkey, digest, signature);
	ERR_clear_error();
	return good;
}
