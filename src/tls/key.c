/* Private keys on top of EVP_PKEY.
 *
 * PEM: the first block that is a private key counts; certificates before it are passed over, so
 * that a combined file works. Encrypted keys are refused in words: nobody could type the
 * passphrase.
 */
#include "tls/key_private.h"
#include "tls/openssl_status.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096

TLS_OPENSSL_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
TLS_OPENSSL_CLEANUP(EVP_PKEY, EVP_PKEY_free)
TLS_OPENSSL_CLEANUP(BIO, BIO_free_all)

static const char *const type_names[] = {
#define X(name, text) [TLS_KEY_##name] = text,
        TLS_KEY_TYPE_LIST(X)
#undef X
};

const char *tls_key_type_name(enum tls_key_type type)
{
	return type_names[type];
}

bool tls_key_type_of(struct slice name, enum tls_key_type *ret_type)
{
	for (size_t i = 0; i < N_ELEMENTS(type_names); i++) {
		if (slice_eq_str(name, type_names[i])) {
			*ret_type = (enum tls_key_type)i;
			return true;
		}
	}
	return false;
}

void tls_crypto_warm_up(void)
{
	uint8_t bytes[16];
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		BUG("no randomness");
	struct tls_key *key;
	if (!is_ok(tls_key_generate(TLS_KEY_EC_P256, &key)))
		BUG("libcrypto does not work");
	uint8_t signature[TLS_SIGNATURE_MAX];
	size_t n;
	if (!is_ok(tls_key_sign(key, TLS_SIGN_ECDSA_SHA256, slice_of(bytes, sizeof(bytes)),
	                        signature, sizeof(signature), &n)))
		BUG("libcrypto does not sign");
	tls_key_free(key);
}

static EVP_PKEY *generate(enum tls_key_type type)
{
	switch (type) {
	case TLS_KEY_EC_P256:
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	case TLS_KEY_EC_P384:
		return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	case TLS_KEY_RSA_2048:
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	case TLS_KEY_RSA_3072:
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072);
	case TLS_KEY_RSA_4096:
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)4096);
	case TLS_KEY_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	}
	BUG("unknown key type");
}

static struct tls_key *key_of(EVP_PKEY *pkey)
{
	struct tls_key *key = base_alloc(sizeof(*key));
	key->pkey = pkey;
	return key;
}

struct status tls_key_generate(enum tls_key_type type, struct tls_key **ret_key)
{
	EVP_PKEY *pkey = generate(type);
	if (!pkey)
		return tls_openssl_fail(ERR_IO, "cannot generate a key");
	*ret_key = key_of(pkey);
	return ok();
}

/* Why this key is not acceptable; NULL when it is. */
static const char *key_objection(const EVP_PKEY *pkey)
{
	char group[32] = "";
	if (EVP_PKEY_is_a(pkey, "ED25519"))
		return NULL;
	if (EVP_PKEY_is_a(pkey, "RSA")) {
		int bits = EVP_PKEY_get_bits(pkey);
		if (bits < RSA_BITS_MIN)
			return "RSA key is shorter than 2048 bits";
		return bits > RSA_BITS_MAX ? "RSA key is longer than 4096 bits" : NULL;
	}
	if (!EVP_PKEY_is_a(pkey, "EC"))
		return "key is neither RSA, ECDSA nor Ed25519";
	EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL);
	struct slice name = slice_str(group);
	if (slice_eq_str(name, "prime256v1") || slice_eq_str(name, "secp384r1"))
		return NULL;
	return "elliptic curve is neither P-256 nor P-384";
}

static int no_passphrase(char *text, int size, int writing, void *context)
{
	(void)text, (void)size, (void)writing;
	*(bool *)context = true;
	return -1;
}

static const char *why_unreadable(struct slice pem, bool asked_passphrase)
{
	if (asked_passphrase)
		return "private key is encrypted; store it without a passphrase";
	if (slice_find(pem, SLICE("PRIVATE KEY-----")) != SIZE_MAX)
		return "private key is damaged";
	if (slice_find(pem, SLICE("-----BEGIN CERTIFICATE-----")) != SIZE_MAX)
		return "file holds a certificate but no private key";
	return "no private key in PEM form found";
}

static struct status refuse(struct arena *arena, const char *name, const char *why)
{
	const char *text = arena_printf(arena, "%s: %s", name, why);
	return fail(ERR_INVALID, text ? text : why);
}

struct status tls_key_from_pem(struct slice pem, const char *name, struct tls_key **ret_key,
                               struct arena *arena)
{
	if (pem.n > TLS_PEM_MAX)
		return refuse(arena, name, "file is too large");
	CLEANUP(BIO_freep) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	bool asked_passphrase = false;
	CLEANUP(EVP_PKEY_freep)
	EVP_PKEY *pkey =
	        bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked_passphrase) : NULL;
	ERR_clear_error();
	const char *why = pkey ? key_objection(pkey) : why_unreadable(pem, asked_passphrase);
	if (why)
		return refuse(arena, name, why);
	*ret_key = key_of(pkey);
	pkey = NULL;
	return ok();
}

void tls_key_free(struct tls_key *key)
{
	if (key)
		EVP_PKEY_free(key->pkey);
	base_free(key);
}

struct status tls_key_to_pem(const struct tls_key *key, struct buf *out)
{
	/* BIO_s_secmem wipes what it held. */
	CLEANUP(BIO_freep) BIO *bio = BIO_new(BIO_s_secmem());
	if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return tls_openssl_fail(ERR_IO, "cannot write a private key");
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	buf_add(out, slice_of(p, (size_t)n));
	return buf_failed(out) ? fail(ERR_LIMIT, "private key does not fit") : ok();
}

/* The EVP name of the scheme's digest (NULL: signs the text itself) and whether it is PSS. */
static const char *scheme_digest(enum tls_sign_scheme scheme)
{
	switch (scheme) {
#define X(name, value, digest)                                                                     \
	case TLS_SIGN_##name:                                                                      \
		return (digest)[0] ? (digest) : NULL;
		TLS_SIGN_SCHEME_LIST(X)
#undef X
	}
	return NULL;
}

static bool scheme_is_pss(enum tls_sign_scheme scheme)
{
	return scheme == TLS_SIGN_RSA_PSS_SHA256 || scheme == TLS_SIGN_RSA_PSS_SHA384 ||
	       scheme == TLS_SIGN_RSA_PSS_SHA512;
}

static const char *scheme_key(enum tls_sign_scheme scheme)
{
	if (scheme == TLS_SIGN_ED25519)
		return "ED25519";
	return ((unsigned)scheme & 0xff) == 0x03 ? "EC" : "RSA";
}

struct status tls_key_sign(const struct tls_key *key, enum tls_sign_scheme scheme,
                           struct slice input, uint8_t *signature, size_t max, size_t *ret_n)
{
	if (!tls_sign_scheme_is_known((uint32_t)scheme) ||
	    !EVP_PKEY_is_a(key->pkey, scheme_key(scheme)))
		return fail(ERR_INVALID, "signature scheme does not fit the key");
	CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options = NULL; /* belongs to md */
	size_t n = max;
	if (!md || EVP_DigestSignInit_ex(md, &options, scheme_digest(scheme), NULL, NULL, key->pkey,
	                                 NULL) != 1)
		return tls_openssl_fail(ERR_IO, "cannot begin a signature");
	if (scheme_is_pss(scheme) &&
	    (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
	     EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1))
		return tls_openssl_fail(ERR_IO, "cannot set PSS padding");
	if ((size_t)EVP_PKEY_get_size(key->pkey) > max)
		return fail(ERR_LIMIT, "signature does not fit");
	if (EVP_DigestSign(md, signature, &n, input.p, input.n) != 1)
		return tls_openssl_fail(ERR_IO, "cannot sign");
	*ret_n = n;
	return ok();
}

bool tls_key_is_ed25519(const struct tls_key *key)
{
	return EVP_PKEY_is_a(key->pkey, "ED25519");
}

bool tls_key_can_sign_digest(const struct tls_key *key)
{
	return EVP_PKEY_is_a(key->pkey, "RSA") || EVP_PKEY_is_a(key->pkey, "ED25519");
}

static bool sign_rsa(EVP_PKEY *pkey, const uint8_t digest[TLS_DIGEST_SIZE], uint8_t *signature,
                     size_t *n)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	bool good = context && EVP_PKEY_sign_init(context) == 1 &&
	            EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
	            EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
	            EVP_PKEY_sign(context, signature, n, digest, TLS_DIGEST_SIZE) == 1;
	EVP_PKEY_CTX_free(context);
	return good;
}

static bool sign_ed25519(EVP_PKEY *pkey, const uint8_t digest[TLS_DIGEST_SIZE], uint8_t *signature,
                         size_t *n)
{
	CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	return md && EVP_DigestSignInit_ex(md, NULL, NULL, NULL, NULL, pkey, NULL) == 1 &&
	       EVP_DigestSign(md, signature, n, digest, TLS_DIGEST_SIZE) == 1;
}

struct status tls_key_sign_digest(const struct tls_key *key, const uint8_t digest[TLS_DIGEST_SIZE],
                                  uint8_t *signature, size_t max, size_t *ret_n)
{
	size_t n = max;
	if (!tls_key_can_sign_digest(key))
		return fail(ERR_INVALID, "the key is neither RSA nor Ed25519");
	if ((size_t)EVP_PKEY_get_size(key->pkey) > max)
		return fail(ERR_LIMIT, "signature does not fit");
	bool done = EVP_PKEY_is_a(key->pkey, "RSA")
	                    ? sign_rsa(key->pkey, digest, signature, &n)
	                    : sign_ed25519(key->pkey, digest, signature, &n);
	if (!done)
		return tls_openssl_fail(ERR_IO, "cannot sign");
	*ret_n = n;
	return ok();
}

struct status tls_key_public_der(const struct tls_key *key, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key->pkey, &der);
	if (n <= 0)
		return tls_openssl_fail(ERR_IO, "cannot write a public key");
	buf_add(out, slice_of(der, (size_t)n));
	OPENSSL_free(der);
	return buf_failed(out) ? fail(ERR_LIMIT, "public key does not fit") : ok();
}
