#include "sasl/testing.h"

#include "base/encode.h"

#include <openssl/evp.h>

/* The salts of the examples in RFC 5802 section 5 and RFC 7677 section 3. */
#define SALT_SHA1   "QSXCR+Q6sek8bf92"
#define SALT_SHA256 "W22ZaJ0SNY7soEsUEjb6gQ=="

static struct status begin(struct sasl_test_backend *t)
{
	t->n_calls++;
	return t->broken == ERR_OK ? ok() : fail(t->broken, "the vault is away");
}

static struct status check(bool right)
{
	return right ? ok() : fail(ERR_AUTH, "credentials are wrong");
}

static struct status verify_plain(void *context, struct slice user, struct slice password)
{
	struct sasl_test_backend *t = context;
	TRY(begin(t));
	return check(slice_eq_str(user, t->user) && slice_eq_str(password, t->password));
}

static struct slice salt_of(const struct sasl_test_backend *t, enum sasl_hash hash, uint8_t *salt)
{
	struct buf bytes;
	buf_init(&bytes, SASL_SALT_MAX);
	if (!is_ok(base64_decode(slice_str(t->salt[hash == SASL_SHA256]), &bytes)))
		BUG("bad test salt");
	size_t n = bytes.n;
	memcpy(salt, bytes.p, n);
	buf_done(&bytes);
	return slice_of(salt, n);
}

static struct status scram_parameters(void *context, struct slice user, enum sasl_hash hash,
                                      uint8_t salt[SASL_SALT_MAX], size_t *ret_n_salt,
                                      uint32_t *ret_iterations)
{
	struct sasl_test_backend *t = context;
	TRY(begin(t));
	*ret_n_salt = salt_of(t, hash, salt).n;
	if (!slice_eq_str(user, t->user))
		salt[0] ^= 1;
	*ret_iterations = t->iterations;
	return ok();
}

static struct status scram_verify(void *context, struct slice user, enum sasl_hash hash,
                                  struct slice auth_message, struct slice proof,
                                  uint8_t server_signature[SASL_HASH_MAX])
{
	struct sasl_test_backend *t = context;
	uint8_t salt[SASL_SALT_MAX];
	struct sasl_scram_keys keys;
	TRY(begin(t));
	TRY(sasl_scram_derive(hash, slice_str(t->password), salt_of(t, hash, salt), t->iterations,
	                      &keys));
	struct status status =
	        sasl_scram_verify(hash, &keys, auth_message, proof, server_signature);
	return slice_eq_str(user, t->user) ? status : check(false);
}

static struct status cram_md5_verify(void *context, struct slice user, struct slice challenge,
                                     const uint8_t digest[16])
{
	struct sasl_test_backend *t = context;
	uint8_t expected[16];
	size_t n = 0;
	TRY(begin(t));
	EVP_Q_mac(NULL, "HMAC", NULL, "MD5", NULL, t->password, strlen(t->password), challenge.p,
	          challenge.n, expected, sizeof(expected), &n);
	return check(slice_eq_str(user, t->user) &&
	             slice_eq_secret(slice_of(expected, 16), slice_of(digest, 16)));
}

static struct status external(void *context, struct slice wanted, struct buf *ret_user)
{
	struct sasl_test_backend *t = context;
	TRY(begin(t));
	buf_add_str(ret_user, t->user);
	return check(wanted.n == 0 || slice_eq_str(wanted, t->user));
}

void sasl_test_backend_init(struct sasl_test_backend *t)
{
	*t = (struct sasl_test_backend){
	        .backend = {verify_plain, scram_parameters, scram_verify, cram_md5_verify, external,
	                    t},
	        .user = "user",
	        .password = "pencil",
	        .salt = {SALT_SHA1, SALT_SHA256},
	        .iterations = SASL_ITERATIONS_MIN,
	        .broken = ERR_OK,
	};
}
