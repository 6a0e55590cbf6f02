/* Opening the vault, and its named secrets. */
#include "vault/vault_private.h"

#include "os/file.h"
#include "vault/sealed_file.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#define ARGON2_KIB_DEFAULT       19456U /* OWASP's second choice: 19 MiB, two passes, one lane */
#define ARGON2_PASSES_DEFAULT    2U
#define SCRAM_ITERATIONS_DEFAULT 10000U
#define PARALLEL_DEFAULT         2U
#define REMEMBER_DEFAULT_S       300U

static struct status load_seed(struct vault *vault, struct os_fault *ret_fault)
{
	CLEANUP(secret_done) struct secret content = {.p = NULL};
	struct status status =
	        sealed_file_read(vault->options.dir_fd, "seed", "seed", &content, ret_fault);
	if (status.code == ERR_NOT_FOUND) {
		if (RAND_priv_bytes(vault->seed, VAULT_SEED_SIZE) != 1)
			return fail(ERR_IO, "no randomness");
		return sealed_file_write(vault->options.dir_fd, "seed", "seed",
		                         slice_of(vault->seed, VAULT_SEED_SIZE), ret_fault);
	}
	TRY(status);
	if (content.n != VAULT_SEED_SIZE)
		return os_refuse(ret_fault, ERR_CORRUPT, "file has the wrong size:", "seed");
	memcpy(vault->seed, content.p, VAULT_SEED_SIZE);
	return ok();
}

static struct status make_folders(const struct vault *vault, struct os_fault *ret_fault)
{
	static const char *const folders[] = {"passwords", "keys", "dkim", "secrets"};
	for (size_t i = 0; i < N_ELEMENTS(folders); i++)
		TRY(file_mkdir_all(vault->options.dir_fd, folders[i], 0700, ret_fault));
	return ok();
}

static void fill_defaults(struct vault_options *options)
{
	if (options->argon2_kib == 0)
		options->argon2_kib = ARGON2_KIB_DEFAULT;
	if (options->argon2_passes == 0)
		options->argon2_passes = ARGON2_PASSES_DEFAULT;
	if (options->scram_iterations == 0)
		options->scram_iterations = SCRAM_ITERATIONS_DEFAULT;
	if (options->n_hashing == 0)
		options->n_hashing = PARALLEL_DEFAULT;
	if (options->remember_s == 0)
		options->remember_s = REMEMBER_DEFAULT_S;
}

static struct status open_all(struct vault *vault, struct os_fault *ret_fault)
{
	TRY(make_folders(vault, ret_fault));
	TRY(load_seed(vault, ret_fault));
	TRY(vault_passwords_prepare(vault, ret_fault));
	TRY(vault_keys_load(vault, ret_fault));
	return vault_dkim_load(vault, ret_fault);
}

struct status vault_open(const struct vault_options *options, struct vault **ret_vault,
                         struct os_fault *ret_fault)
{
	struct vault *vault = base_alloc(sizeof(*vault));
	vault->options = *options;
	fill_defaults(&vault->options);
	pthread_mutex_init(&vault->change_lock, NULL);
	pthread_rwlock_init(&vault->keys_lock, NULL);
	const struct vault_hashing_options hashing = {
	        .clock = options->clock,
	        .n_parallel = vault->options.n_hashing,
	        .n_waiting = VAULT_WAITING_MAX,
	        .remember_s = vault->options.remember_s,
	};
	vault->hashing = vault_hashing_new(&hashing);
	struct status status = open_all(vault, ret_fault);
	if (is_ok(status))
		*ret_vault = vault;
	else
		vault_close(vault);
	return status;
}

void vault_close(struct vault *vault)
{
	if (!vault)
		return;
	vault_keys_drop(vault);
	vault_dkim_drop(vault);
	vault_hashing_free(vault->hashing);
	pthread_mutex_destroy(&vault->change_lock);
	pthread_rwlock_destroy(&vault->keys_lock);
	OPENSSL_cleanse(vault, sizeof(*vault));
	base_free(vault);
}

/* --- named secrets --- */

struct status vault_secret_set(struct vault *vault, struct slice name, struct slice value,
                               struct os_fault *ret_fault)
{
	char path[SEALED_PATH_MAX];
	TRY(sealed_file_path("secrets", name, path));
	if (value.n > VAULT_SECRET_MAX)
		return os_refuse(ret_fault, ERR_LIMIT, "secret is too long:", path);
	return sealed_file_write(vault->options.dir_fd, path, "secret", value, ret_fault);
}

struct status vault_secret_get(struct vault *vault, struct slice name, struct secret *ret_secret,
                               struct os_fault *ret_fault)
{
	char path[SEALED_PATH_MAX];
	TRY(sealed_file_path("secrets", name, path));
	return sealed_file_read(vault->options.dir_fd, path, "secret", ret_secret, ret_fault);
}

struct status vault_secret_remove(struct vault *vault, struct slice name,
                                  struct os_fault *ret_fault)
{
	return sealed_file_remove(vault->options.dir_fd, "secrets", name, ret_fault);
}

struct status vault_secret_list(struct vault *vault, const struct slice **ret_names, size_t *ret_n,
                                struct arena *arena)
{
	return sealed_file_list(vault->options.dir_fd, "secrets", ret_names, ret_n, arena);
}
