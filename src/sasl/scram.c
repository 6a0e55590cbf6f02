/* RFC 5802 section 3:
 *
 *	SaltedPassword  := Hi(Normalize(password), salt, i)
 *	ClientKey       := HMAC(SaltedPassword, "Client Key")
 *	StoredKey       := H(ClientKey)
 *	ClientSignature := HMAC(StoredKey, AuthMessage)
 *	ClientProof     := ClientKey XOR ClientSignature
 *	ServerKey       := HMAC(SaltedPassword, "Server Key")
 *	ServerSignature := HMAC(ServerKey, AuthMessage)
 *
 * Hi is PBKDF2 with HMAC (section 2.2). */
#include "sasl/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

bool sasl_hash_is_known(uint32_t value)
{
	return value == SASL_SHA1 || value == SASL_SHA256;
}

size_t sasl_hash_size(enum sasl_hash hash)
{
	return hash == SASL_SHA1 ? 20 : 32;
}

const char *sasl_hash_name(enum sasl_hash hash)
{
	return hash == SASL_SHA1 ? "SHA1" : "SHA256";
}

static bool hmac(enum sasl_hash hash, const uint8_t *key, struct slice text, uint8_t *to)
{
	size_t n = sasl_hash_size(hash);
	return EVP_Q_mac(NULL, "HMAC", NULL, sasl_hash_name(hash), NULL, key, n, text.p, text.n, to,
	                 n, &n) != NULL;
}

static bool digest(enum sasl_hash hash, const uint8_t *text, uint8_t *to)
{
	return EVP_Q_digest(NULL, sasl_hash_name(hash), NULL, text, sasl_hash_size(hash), to,
	                    NULL) == 1;
}

static bool salted_password(enum sasl_hash hash, struct slice password, struct slice salt,
                            uint32_t iterations, uint8_t *to)
{
	const EVP_MD *md = hash == SASL_SHA1 ? EVP_sha1() : EVP_sha256();
	return PKCS5_PBKDF2_HMAC((const char *)password.p, (int)password.n, salt.p, (int)salt.n,
	                         (int)iterations, md, (int)sasl_hash_size(hash), to) == 1;
}

static struct status check_parameters(struct slice password, struct slice salt, uint32_t iterations)
{
	if (salt.n == 0 || salt.n > SASL_SALT_MAX || iterations == 0 ||
	    iterations > SASL_ITERATIONS_MAX || password.n > (size_t)INT16_MAX)
		return fail(ERR_LIMIT, "SCRAM parameters are out of range");
	return ok();
}

struct status sasl_scram_derive(enum sasl_hash hash, struct slice password, struct slice salt,
                                uint32_t iterations, struct sasl_scram_keys *ret_keys)
{
	uint8_t salted[SASL_HASH_MAX], client[SASL_HASH_MAX];
	struct sasl_scram_keys keys = {{0}, {0}};
	TRY(check_parameters(password, salt, iterations));
	bool good = salted_password(hash, password, salt, iterations, salted) &&
	            hmac(hash, salted, SLICE("Client Key"), client) &&
	            digest(hash, client, keys.stored) &&
	            hmac(hash, salted, SLICE("Server Key"), keys.server);
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	if (!good)
		return fail(ERR_IO, "libcrypto cannot compute SCRAM keys");
	*ret_keys = keys;
	return ok();
}

static void xor_into(uint8_t *to, const uint8_t *with, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] ^= with[i];
}

struct status sasl_scram_verify(enum sasl_hash hash, const struct sasl_scram_keys *keys,
                                struct slice auth_message, struct slice proof,
                                uint8_t server_signature[SASL_HASH_MAX])
{
	size_t n = sasl_hash_size(hash);
	uint8_t client[SASL_HASH_MAX], stored[SASL_HASH_MAX];
	if (proof.n != n)
		return fail(ERR_AUTH, "proof has the wrong size");
	if (!hmac(hash, keys->stored, auth_message, client) ||
	    !hmac(hash, keys->server, auth_message, server_signature))
		return fail(ERR_IO, "libcrypto cannot compute a SCRAM signature");
	xor_into(client, proof.p, n); /* ClientKey, if the client knows it */
	bool computed = digest(hash, client, stored);
	bool equal = slice_eq_secret(slice_of(stored, n), slice_of(keys->stored, n));
	OPENSSL_cleanse(client, sizeof(client));
	return computed && equal ? ok() : fail(ERR_AUTH, "proof does not fit");
}

struct status sasl_scram_prove(enum sasl_hash hash, struct slice password, struct slice salt,
                               uint32_t iterations, struct slice auth_message,
                               uint8_t proof[SASL_HASH_MAX],
                               uint8_t server_signature[SASL_HASH_MAX])
{
	uint8_t salted[SASL_HASH_MAX], client[SASL_HASH_MAX], stored[SASL_HASH_MAX];
	uint8_t server[SASL_HASH_MAX];
	TRY(check_parameters(password, salt, iterations));
	bool good = salted_password(hash, password, salt, iterations, salted) &&
	            hmac(hash, salted, SLICE("Client Key"), client) &&
	            digest(hash, client, stored) && hmac(hash, stored, auth_message, proof) &&
	            hmac(hash, salted, SLICE("Server Key"), server) &&
	            hmac(hash, server, auth_message, server_signature);
	if (good)
		xor_into(proof, client, sasl_hash_size(hash));
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	OPENSSL_cleanse(server, sizeof(server));
	return good ? ok() : fail(ERR_IO, "libcrypto cannot compute a SCRAM proof");
}
