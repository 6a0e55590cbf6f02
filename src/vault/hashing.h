/* Argon2id with a bound on memory, and a memory of recent successes.
 *
 * Few computations at once; others wait their turn in order, and past a limit are told to come
 * again. A success is remembered under a keyed hash of everything that made it one (account,
 * verifier, password), never the password itself: a changed password or a restart forgets it.
 * Thread-safe.
 */
#pragma once

#include "base/clock.h"
#include "vault/verifier.h"

struct vault_hashing;

struct vault_hashing_options {
	const struct clock *clock;
	unsigned n_parallel; /* computations at once */
	unsigned n_waiting;  /* callers that may wait */
	unsigned remember_s; /* 0: remembers nothing */
};

struct vault_hashing *vault_hashing_new(const struct vault_hashing_options *options);
void vault_hashing_free(struct vault_hashing *hashing);

/* A new salt and the hash. */
struct status vault_hashing_make(struct vault_hashing *hashing, struct slice password, uint32_t kib,
                                 uint32_t passes, struct verifier_argon2 *ret_verifier);
/* AUTH when it does not fit; BUSY when too many wait. */
struct status vault_hashing_verify(struct vault_hashing *hashing, struct slice account,
                                   const struct verifier_argon2 *verifier, struct slice password);
/* How many computations there have been; for tests and metrics. */
uint64_t vault_hashing_count(const struct vault_hashing *hashing);
