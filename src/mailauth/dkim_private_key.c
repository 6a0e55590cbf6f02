/* Private keys on top of EVP_PKEY. */
#include "mailauth/dkim_private_key.h"

#include "mailauth/dkim_crypto_private.h"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

DKIM_OPENSSL_CLEANUP(BIGNUM, BN_free)
DKIM_OPENSSL_CLEANUP(BIO, BIO_free_all)
DKIM_OPENSSL_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
DKIM_OPENSSL_CLEANUP(EVP_PKEY, EVP_PKEY_free)
DKIM_OPENSSL_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

struct dkim_private_key {
	EVP_PKEY *pkey;
	enum dkim_algorithm algorithm;
};

/* Takes pkey over. */
static struct dkim_private_key *key_of(EVP_PKEY *pkey)
{
	struct dkim_private_key *key = base_alloc(sizeof(*key));
	key->pkey = pkey;
	key->algorithm = EVP_PKEY_is_a(pkey, "RSA") ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256;
	return key;
}

struct status dkim_private_key_generate(enum dkim_key_type type, unsigned bits,
                                        struct dkim_private_key **ret_key)
{
	bool rsa = type == DKIM_KEY_RSA;
	if (rsa ? bits < 2048 || bits > DKIM_RSA_BITS_NEW || bits % 1024 != 0 : bits != 0)
		return fail(ERR_INVALID, "keys of that size are not made");
	EVP_PKEY *pkey = rsa ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
	                     : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	ERR_clear_error();
	if (!pkey)
		return fail(ERR_IO, "cannot make a key");
	*ret_key = key_of(pkey);
	return ok();
}

/* Why this key is not acceptable; NULL when it is. */
static const char *objection(const EVP_PKEY *pkey)
{
	if (EVP_PKEY_is_a(pkey, "ED25519"))
		return NULL;
	if (!EVP_PKEY_is_a(pkey, "RSA"))
		return "the key is neither RSA nor Ed25519";
	unsigned bits = (unsigned)EVP_PKEY_get_bits(pkey);
	if (bits < DKIM_RSA_BITS_MIN)
		return "the RSA key is shorter than 1024 bits";
	return bits > DKIM_RSA_BITS_MAX ? "the RSA key is longer than 8192 bits" : NULL;
}

static int no_passphrase(char *text, int size, int writing, void *context)
{
	(void)text, (void)size, (void)writing;
	*(bool *)context = true;
	return -1;
}

struct status dkim_private_key_from_pem(struct slice pem, struct dkim_private_key **ret_key)
{
	if (pem.n > DKIM_PEM_MAX)
		return fail(ERR_INVALID, "the file of the key is too large");
	CLEANUP(dkim_BIO_freep) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	bool encrypted = false;
	CLEANUP(dkim_EVP_PKEY_freep)
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted) : NULL;
	ERR_clear_error();
	if (!pkey)
		return fail(ERR_INVALID, encrypted ? "the private key is encrypted"
		                                   : "there is no private key in PEM form");
	const char *why = objection(pkey);
	if (why)
		return fail(ERR_INVALID, why);
	*ret_key = key_of(pkey);
	pkey = NULL;
	return ok();
}

void dkim_private_key_free(struct dkim_private_key *key)
{
	if (key)
		EVP_PKEY_free(key->pkey);
	base_free(key);
}

struct status dkim_private_key_to_pem(const struct dkim_private_key *key, struct buf *out)
{
	/* BIO_s_secmem wipes what it held. */
	CLEANUP(dkim_BIO_freep) BIO *bio = BIO_new(BIO_s_secmem());
	bool written = bio && PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL,
	                                                    NULL) == 1;
	ERR_clear_error();
	if (!written)
		return fail(ERR_IO, "cannot write a private key");
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	buf_add(out, slice_of(p, (size_t)n));
	return buf_failed(out) ? fail(ERR_LIMIT, "the private key does not fit") : ok();
}

/* --- the public half --- */

static struct slice number_of(const EVP_PKEY *pkey, const char *name, struct arena *arena)
{
	CLEANUP(dkim_BIGNUM_freep) BIGNUM *number = NULL;
	if (EVP_PKEY_get_bn_param(pkey, name, &number) != 1)
		return slice_empty();
	size_t n = (size_t)BN_num_bytes(number);
	uint8_t *bytes = arena_alloc(arena, n);
	if (!bytes)
		return slice_empty();
	BN_bn2bin(number, bytes);
	return slice_of(bytes, n);
}

static struct status public_of(const EVP_PKEY *pkey, struct arena *arena, struct dkim_key *ret_key)
{
	uint8_t raw[DKIM_ED25519_KEY_SIZE];
	size_t n = sizeof(raw);
	const char *why = objection(pkey);
	if (why)
		return fail(ERR_INVALID, why);
	struct dkim_key key = {.sha256 = true,
	                       .email = true,
	                       .modulus = slice_empty(),
	                       .exponent = slice_empty(),
	                       .ed25519 = slice_empty(),
	                       .notes = slice_empty()};
	key.bits = (unsigned)EVP_PKEY_get_bits(pkey);
	if (EVP_PKEY_is_a(pkey, "RSA")) {
		key.modulus = number_of(pkey, OSSL_PKEY_PARAM_RSA_N, arena);
		key.exponent = number_of(pkey, OSSL_PKEY_PARAM_RSA_E, arena);
	} else if (EVP_PKEY_get_raw_public_key(pkey, raw, &n) == 1) {
		key.type = DKIM_KEY_ED25519;
		key.ed25519 = arena_copy(arena, slice_of(raw, n));
	}
	if (arena_failed(arena) || key.modulus.n + key.ed25519.n == 0)
		return fail(ERR_LIMIT, "no room for a public key");
	*ret_key = key;
	return ok();
}

struct status dkim_private_key_public(const struct dkim_private_key *key, struct arena *arena,
                                      struct dkim_key *ret_key)
{
	return public_of(key->pkey, arena, ret_key);
}

struct status dkim_public_from_pem(struct slice pem, struct arena *arena, struct dkim_key *ret_key)
{
	if (pem.n > DKIM_PEM_MAX)
		return fail(ERR_INVALID, "the file of the key is too large");
	CLEANUP(dkim_BIO_freep) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	CLEANUP(dkim_EVP_PKEY_freep)
	EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	ERR_clear_error();
	if (!pkey)
		return fail(ERR_INVALID, "there is no public key in PEM form");
	return public_of(pkey, arena, ret_key);
}

/* --- signing --- */

static bool sign_rsa(EVP_PKEY *pkey, const uint8_t digest[DKIM_HASH_SIZE], uint8_t *signature,
                     size_t *n)
{
	uint8_t info[DKIM_DIGEST_INFO_SIZE + DKIM_HASH_SIZE];
	memcpy(info, DKIM_DIGEST_INFO, DKIM_DIGEST_INFO_SIZE);
	memcpy(info + DKIM_DIGEST_INFO_SIZE, digest, DKIM_HASH_SIZE);
	CLEANUP(dkim_EVP_PKEY_CTX_freep)
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	return context && EVP_PKEY_sign_init(context) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
	       EVP_PKEY_sign(context, signature, n, info, sizeof(info)) == 1;
}

static bool sign_ed25519(EVP_PKEY *pkey, const uint8_t digest[DKIM_HASH_SIZE], uint8_t *signature,
                         size_t *n)
{
	CLEANUP(dkim_EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
	return context && EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, pkey, NULL) == 1 &&
	       EVP_DigestSign(context, signature, n, digest, DKIM_HASH_SIZE) == 1;
}

static struct status sign(void *context, const uint8_t digest[DKIM_HASH_SIZE], uint8_t *signature,
                          size_t max, size_t *ret_n)
{
	const struct dkim_private_key *key = context;
	size_t n = max;
	if ((size_t)EVP_PKEY_get_size(key->pkey) > max)
		return fail(ERR_LIMIT, "the signature does not fit");
	bool signed_ = key->algorithm == DKIM_RSA_SHA256
	                       ? sign_rsa(key->pkey, digest, signature, &n)
	                       : sign_ed25519(key->pkey, digest, signature, &n);
	ERR_clear_error();
	if (!signed_)
		return fail(ERR_IO, "libcrypto does not sign");
	*ret_n = n;
	return ok();
}

struct dkim_signer_key dkim_private_key_signer(const struct dkim_private_key *key)
{
	union {
		const struct dkim_private_key *key;
		void *context;
	} context = {.key = key};
	return (struct dkim_signer_key){
	        .algorithm = key->algorithm, .sign = sign, .context = context.context};
}
