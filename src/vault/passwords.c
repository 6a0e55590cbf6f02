/* Setting and checking passwords.
 *
 * An account that does not exist is answered with the verifier of nobody (a file made at first
 * start, for a random password), so that both kinds of account cost the same reads and
 * computations; its SCRAM salt is derived from the seed and the name, so that it is always the
 * same. Argon2id hashes are computed by hashing.c; SCRAM and CRAM-MD5 cost the vault nothing to
 * speak of. */
#include "vault/vault_private.h"

#include "base/encode.h"
#include "sasl/prepare.h"
#include "vault/sealed_file.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define NOBODY               "nobody"
#define NOBODY_PASSWORD_SIZE ((size_t)32)

/* --- files --- */

static struct status password_path(struct slice account, char path[SEALED_PATH_MAX])
{
	if (account.n > VAULT_NAME_MAX)
		return fail(ERR_INVALID, "the account's name is too long");
	return sealed_file_path("passwords", account, path);
}

static struct status write_verifier(struct vault *vault, const char *path,
                                    const struct verifier *verifier, struct os_fault *ret_fault)
{
	struct buf text;
	buf_init(&text, VERIFIER_TEXT_MAX);
	buf_reserve(&text, VERIFIER_TEXT_MAX / 2); /* never moved: no copy stays on the heap */
	verifier_print(verifier, &text);
	struct status status = buf_failed(&text)
	                               ? fail(ERR_LIMIT, "verifier is too long")
	                               : sealed_file_write(vault->options.dir_fd, path, "password",
	                                                   buf_slice(&text), ret_fault);
	OPENSSL_cleanse(text.p, text.capacity);
	buf_done(&text);
	return status;
}

static struct status read_verifier(struct vault *vault, const char *path,
                                   struct verifier *ret_verifier, struct os_fault *ret_fault)
{
	CLEANUP(secret_done) struct secret content = {.p = NULL};
	TRY(sealed_file_read(vault->options.dir_fd, path, "password", &content, ret_fault));
	struct status status = verifier_parse(secret_slice(&content), ret_verifier);
	return is_ok(status) ? status : os_refuse(ret_fault, status.code, status.why, path);
}

/* The account's verifier, or nobody's and *ret_known false. */
static struct status load(struct vault *vault, struct slice account, struct verifier *ret_verifier,
                          bool *ret_known)
{
	char path[SEALED_PATH_MAX];
	*ret_known = is_ok(password_path(account, path));
	if (*ret_known) {
		struct status status = read_verifier(vault, path, ret_verifier, NULL);
		if (status.code != ERR_NOT_FOUND)
			return status;
		*ret_known = false;
	}
	return read_verifier(vault, NOBODY, ret_verifier, NULL);
}

/* --- setting --- */

static struct status make_verifier(struct vault *vault, struct slice password,
                                   struct verifier *ret_verifier)
{
	const struct vault_options *options = &vault->options;
	struct verifier v = {.cram = {.present = false}};
	TRY(vault_hashing_make(vault->hashing, password, options->argon2_kib,
	                       options->argon2_passes, &v.argon2));
	TRY(verifier_scram_make(SASL_SHA1, password, options->scram_iterations, &v.scram_sha1));
	TRY(verifier_scram_make(SASL_SHA256, password, options->scram_iterations, &v.scram_sha256));
	if (options->cram_md5)
		verifier_cram_make(password, &v.cram);
	*ret_verifier = v;
	return ok();
}

static struct status set_password(struct vault *vault, const char *path, struct slice password,
                                  struct os_fault *ret_fault)
{
	struct verifier verifier;
	TRY(make_verifier(vault, password, &verifier));
	struct status status = write_verifier(vault, path, &verifier, ret_fault);
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return status;
}

/* Nobody must cost what a new account costs. */
static bool has_current_costs(const struct vault_options *options, const struct verifier *verifier)
{
	return verifier->argon2.kib == options->argon2_kib &&
	       verifier->argon2.passes == options->argon2_passes &&
	       verifier->scram_sha1.iterations == options->scram_iterations &&
	       verifier->scram_sha256.iterations == options->scram_iterations;
}

struct status vault_passwords_prepare(struct vault *vault, struct os_fault *ret_fault)
{
	uint8_t password[NOBODY_PASSWORD_SIZE];
	struct verifier present;
	struct status status = read_verifier(vault, NOBODY, &present, ret_fault);
	if (is_ok(status) && has_current_costs(&vault->options, &present))
		return ok();
	if (!is_ok(status) && status.code != ERR_NOT_FOUND)
		return status;
	if (RAND_priv_bytes(password, sizeof(password)) != 1)
		return fail(ERR_IO, "no randomness");
	return set_password(vault, NOBODY, slice_of(password, sizeof(password)), ret_fault);
}

struct status vault_password_set(struct vault *vault, struct slice account, struct slice password,
                                 struct os_fault *ret_fault)
{
	char path[SEALED_PATH_MAX];
	struct buf prepared;
	TRY(password_path(account, path));
	buf_init(&prepared, 4 * SASL_PREPARE_MAX);
	buf_reserve(&prepared, 3 * SASL_PREPARE_MAX); /* never moved */
	struct status status = sasl_prepare(password, &prepared);
	if (is_ok(status))
		status = set_password(vault, path, buf_slice(&prepared), ret_fault);
	else
		status = os_refuse(ret_fault, ERR_INVALID, status.why, NULL);
	OPENSSL_cleanse(prepared.p, prepared.capacity);
	buf_done(&prepared);
	return status;
}

struct status vault_password_remove(struct vault *vault, struct slice account,
                                    struct os_fault *ret_fault)
{
	return sealed_file_remove(vault->options.dir_fd, "passwords", account, ret_fault);
}

struct status vault_password_list(struct vault *vault, const struct slice **ret_names,
                                  size_t *ret_n, struct arena *arena)
{
	return sealed_file_list(vault->options.dir_fd, "passwords", ret_names, ret_n, arena);
}

/* --- checking --- */

static struct status wrong(void)
{
	return fail(ERR_AUTH, "credentials are wrong");
}

struct status vault_verify_plain(struct vault *vault, struct slice account, struct slice password)
{
	struct verifier verifier;
	bool known;
	if (password.n > 3 * SASL_PREPARE_MAX)
		return wrong();
	TRY(load(vault, account, &verifier, &known));
	struct status status =
	        vault_hashing_verify(vault->hashing, account, &verifier.argon2, password);
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return is_ok(status) && !known ? wrong() : status;
}

static bool invented_salt(const struct vault *vault, enum sasl_hash hash, struct slice user,
                          uint8_t salt[VERIFIER_SALT_SIZE])
{
	struct buf text;
	uint8_t mac[32];
	size_t n = 0;
	buf_init(&text, SASL_PREPARE_MAX + 64);
	buf_printf(&text, "salt %s ", sasl_hash_name(hash));
	buf_add(&text, slice_sub(user, 0, SASL_PREPARE_MAX));
	bool made = EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, vault->seed, VAULT_SEED_SIZE,
	                      text.p, text.n, mac, sizeof(mac), &n) != NULL;
	memcpy(salt, mac, VERIFIER_SALT_SIZE);
	buf_done(&text);
	return made;
}

static const struct verifier_scram *scram_of(const struct verifier *verifier, enum sasl_hash hash)
{
	return hash == SASL_SHA1 ? &verifier->scram_sha1 : &verifier->scram_sha256;
}

struct status vault_scram_parameters(struct vault *vault, struct slice account, struct slice user,
                                     enum sasl_hash hash, uint8_t salt[SASL_SALT_MAX],
                                     size_t *ret_n_salt, uint32_t *ret_iterations)
{
	struct verifier verifier;
	uint8_t invented[VERIFIER_SALT_SIZE];
	bool known;
	TRY(load(vault, account, &verifier, &known));
	if (!invented_salt(vault, hash, user, invented)) /* for all: it takes its time */
		return fail(ERR_IO, "libcrypto cannot compute a MAC");
	const struct verifier_scram *scram = scram_of(&verifier, hash);
	memcpy(salt, known ? scram->salt : invented, VERIFIER_SALT_SIZE);
	*ret_n_salt = VERIFIER_SALT_SIZE;
	*ret_iterations = scram->iterations;
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return ok();
}

struct status vault_scram_verify(struct vault *vault, struct slice account, enum sasl_hash hash,
                                 struct slice auth_message, struct slice proof,
                                 uint8_t server_signature[SASL_HASH_MAX])
{
	struct verifier verifier;
	bool known;
	TRY(load(vault, account, &verifier, &known));
	struct status status = sasl_scram_verify(hash, &scram_of(&verifier, hash)->keys,
	                                         auth_message, proof, server_signature);
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	if (is_ok(status) && known)
		return status;
	OPENSSL_cleanse(server_signature, SASL_HASH_MAX);
	return status.code == ERR_IO ? status : wrong();
}

struct status vault_cram_md5_verify(struct vault *vault, struct slice account,
                                    struct slice challenge, const uint8_t digest[16])
{
	struct verifier verifier;
	bool known;
	uint8_t expected[16];
	TRY(load(vault, account, &verifier, &known));
	verifier_cram_digest(&verifier.cram, challenge, expected);
	bool equal = slice_eq_secret(slice_of(expected, 16), slice_of(digest, 16));
	bool usable = known && verifier.cram.present;
	OPENSSL_cleanse(&verifier, sizeof(verifier));
	return equal && usable ? ok() : wrong();
}
