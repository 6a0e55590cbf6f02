/* The inside of the vault, for its own files. */
#pragma once

#include "vault/hashing.h"
#include "vault/vault.h"
#include "vault/verifier.h"

#include <pthread.h>

#define VAULT_SEED_SIZE ((size_t)32)

struct vault_key; /* keys.c */
struct dkim_key;  /* dkim_keys.c */

struct vault {
	struct vault_options options; /* defaults filled in */
	uint8_t seed[VAULT_SEED_SIZE];
	struct vault_hashing *hashing;
	pthread_mutex_t change_lock; /* held while a key's file and its place in memory change */
	pthread_rwlock_t keys_lock;  /* guards keys and n_keys; a key itself does not change */
	struct vault_key **keys;
	size_t n_keys;
	struct dkim_key **dkim_keys; /* guarded as keys */
	size_t n_dkim_keys;
};

struct status vault_keys_load(struct vault *vault, struct os_fault *ret_fault);
void vault_keys_drop(struct vault *vault);
struct status vault_dkim_load(struct vault *vault, struct os_fault *ret_fault);
void vault_dkim_drop(struct vault *vault);

/* Makes nobody's verifier where there is none or its costs are not those of the options. */
struct status vault_passwords_prepare(struct vault *vault, struct os_fault *ret_fault);
