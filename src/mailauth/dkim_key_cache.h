/* RSA keys that libcrypto has taken in, kept for the next message signed with them: taking one in,
 * and what libcrypto works out at its first use, costs more than a verification itself. Keys are
 * known by their numbers, not by their names: what the DNS says counts each time.
 *
 * Thread-safe. Bounded by number; the one that was not used for longest goes first. Given to
 * verifiers (dkim_verify.h) and checks (inspection.h), which it must outlive.
 */
#pragma once

#include "base/base.h"

#define DKIM_KEY_CACHE_MAX 64u

struct dkim_key_cache;

struct dkim_key_cache *dkim_key_cache_new(void);
void dkim_key_cache_free(struct dkim_key_cache *cache); /* NULL is fine */
/* How many keys were not known when they were asked for. */
uint64_t dkim_key_cache_n_missed(struct dkim_key_cache *cache);
