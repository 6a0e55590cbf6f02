/* A short list, looked through from its beginning: to compare two keys costs a few octets. */
#include "mailauth/dkim_key_cache_private.h"

#include <pthread.h>

struct entry {
	struct dkim_public_key *key; /* NULL: free */
	uint8_t *numbers;            /* modulus, exponent */
	size_t n_modulus, n_exponent;
	uint64_t used_at; /* count of the cache */
};

struct dkim_key_cache {
	pthread_mutex_t lock; /* guards what follows */
	struct entry entries[DKIM_KEY_CACHE_MAX];
	uint64_t n_used, n_missed;
};

struct dkim_key_cache *dkim_key_cache_new(void)
{
	struct dkim_key_cache *cache = base_alloc(sizeof(*cache));
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

static void clear(struct entry *entry)
{
	dkim_public_key_free(entry->key);
	base_free(entry->numbers);
	*entry = (struct entry){.key = NULL};
}

void dkim_key_cache_free(struct dkim_key_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < DKIM_KEY_CACHE_MAX; i++)
		clear(&cache->entries[i]);
	pthread_mutex_destroy(&cache->lock);
	base_free(cache);
}

static bool is_of(const struct entry *entry, const struct dkim_key *key)
{
	return entry->key && entry->n_modulus == key->modulus.n &&
	       entry->n_exponent == key->exponent.n &&
	       memcmp(entry->numbers, key->modulus.p, key->modulus.n) == 0 &&
	       memcmp(entry->numbers + key->modulus.n, key->exponent.p, key->exponent.n) == 0;
}

static struct entry *find(struct dkim_key_cache *cache, const struct dkim_key *key)
{
	for (size_t i = 0; i < DKIM_KEY_CACHE_MAX; i++)
		if (is_of(&cache->entries[i], key))
			return &cache->entries[i];
	return NULL;
}

static struct dkim_public_key *find_key(struct dkim_key_cache *cache, const struct dkim_key *key)
{
	struct dkim_public_key *found = NULL;
	pthread_mutex_lock(&cache->lock);
	struct entry *entry = find(cache, key);
	if (entry) {
		entry->used_at = ++cache->n_used;
		found = dkim_public_key_ref(entry->key);
	} else {
		cache->n_missed++;
	}
	pthread_mutex_unlock(&cache->lock);
	return found;
}

static struct entry *oldest(struct dkim_key_cache *cache)
{
	struct entry *found = &cache->entries[0];
	for (size_t i = 1; i < DKIM_KEY_CACHE_MAX; i++)
		if (cache->entries[i].used_at < found->used_at)
			found = &cache->entries[i];
	return found;
}

/* Unless another thread was faster. */
static void put(struct dkim_key_cache *cache, const struct dkim_key *key,
                struct dkim_public_key *public_key)
{
	pthread_mutex_lock(&cache->lock);
	if (!find(cache, key)) {
		struct entry *entry = oldest(cache);
		clear(entry);
		*entry = (struct entry){
		        .key = dkim_public_key_ref(public_key),
		        .numbers = base_alloc(key->modulus.n + key->exponent.n),
		        .n_modulus = key->modulus.n,
		        .n_exponent = key->exponent.n,
		        .used_at = ++cache->n_used,
		};
		memcpy(entry->numbers, key->modulus.p, key->modulus.n);
		memcpy(entry->numbers + key->modulus.n, key->exponent.p, key->exponent.n);
	}
	pthread_mutex_unlock(&cache->lock);
}

struct status dkim_key_cache_get(struct dkim_key_cache *cache, const struct dkim_key *key,
                                 struct dkim_public_key **ret_key)
{
	if (!cache || key->type != DKIM_KEY_RSA || key->revoked)
		return dkim_public_key_new(key, ret_key);
	struct dkim_public_key *public_key = find_key(cache, key);
	if (!public_key) {
		TRY(dkim_public_key_new(key, &public_key));
		put(cache, key, public_key);
	}
	*ret_key = public_key;
	return ok();
}

uint64_t dkim_key_cache_n_missed(struct dkim_key_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	uint64_t n = cache->n_missed;
	pthread_mutex_unlock(&cache->lock);
	return n;
}
