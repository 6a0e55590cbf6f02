/* What verifiers ask a cache of keys for. */
#pragma once

#include "mailauth/dkim_crypto.h"
#include "mailauth/dkim_key_cache.h"

/* As dkim_public_key_new, and the caller frees the key likewise: what was given lives on when the
 * cache is freed. Without a cache (NULL) the same. */
struct status dkim_key_cache_get(struct dkim_key_cache *cache, const struct dkim_key *key,
                                 struct dkim_public_key **ret_key);
