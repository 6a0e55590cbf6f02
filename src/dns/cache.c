/* A hash table of packed answers with a list from the newest to the oldest used.
 *
 * Answers are packed as between rooms, so an entry is one allocation and cannot point elsewhere.
 */
#include "dns/cache.h"

#include <pthread.h>

#define BUCKETS 1024u /* a power of two */

struct entry {
	struct entry *next;          /* of the bucket */
	struct entry *newer, *older; /* by use */
	uint64_t hash;
	int64_t stored_ms, expires_ms;
	size_t size; /* of all of it */
	enum dns_type type;
	uint32_t n_name, n_packed;
	uint8_t bytes[]; /* name, then the packed answer */
};

struct dns_cache {
	size_t size_max;
	struct hash_key key;
	const struct clock *clock;
	pthread_mutex_t lock; /* guards what follows */
	struct entry *buckets[BUCKETS];
	struct entry *newest, *oldest;
	size_t size;
};

struct dns_cache *dns_cache_new(size_t size_max, struct hash_key key, const struct clock *clock)
{
	struct dns_cache *cache = base_alloc(sizeof(*cache));
	cache->size_max = size_max;
	cache->key = key;
	cache->clock = clock;
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

/* ---- the table; all with the lock held ---- */

static uint64_t hash_of(const struct dns_cache *cache, struct dns_name name, enum dns_type type)
{
	return hash_slice(cache->key, dns_name_slice(name)) ^ (uint64_t)type * 0x9e3779b97f4a7c15u;
}

static struct entry **bucket_of(struct dns_cache *cache, uint64_t hash)
{
	return &cache->buckets[hash % BUCKETS];
}

static struct entry *find(struct dns_cache *cache, uint64_t hash, struct dns_name name,
                          enum dns_type type)
{
	for (struct entry *e = *bucket_of(cache, hash); e; e = e->next)
		if (e->hash == hash && e->type == type &&
		    slice_eq(slice_of(e->bytes, e->n_name), dns_name_slice(name)))
			return e;
	return NULL;
}

static void unlink_use(struct dns_cache *cache, const struct entry *e)
{
	*(e->newer ? &e->newer->older : &cache->newest) = e->older;
	*(e->older ? &e->older->newer : &cache->oldest) = e->newer;
}

static void link_newest(struct dns_cache *cache, struct entry *e)
{
	e->newer = NULL;
	e->older = cache->newest;
	*(e->older ? &e->older->newer : &cache->oldest) = e;
	cache->newest = e;
}

static void drop(struct dns_cache *cache, struct entry *e)
{
	struct entry **link = bucket_of(cache, e->hash);
	while (*link != e)
		link = &(*link)->next;
	*link = e->next;
	unlink_use(cache, e);
	cache->size -= e->size;
	base_free(e);
}

void dns_cache_clear(struct dns_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	while (cache->newest)
		drop(cache, cache->newest);
	pthread_mutex_unlock(&cache->lock);
}

void dns_cache_free(struct dns_cache *cache)
{
	if (!cache)
		return;
	dns_cache_clear(cache);
	pthread_mutex_destroy(&cache->lock);
	base_free(cache);
}

/* ---- finding ---- */

/* Of an answer that we unpacked just now, hence may change. */
static void let_age(const struct dns_answer *answer, uint32_t age_s)
{
	struct dns_answer *a = (struct dns_answer *)(uintptr_t)answer;
	a->ttl_s -= MIN(a->ttl_s, age_s);
	for (size_t i = 0; i < a->n_records; i++) {
		struct dns_record *record = (struct dns_record *)(uintptr_t)&a->records[i];
		record->ttl_s -= MIN(record->ttl_s, age_s);
	}
	for (size_t i = 0; i < a->n_chain; i++) {
		struct dns_step *step = (struct dns_step *)(uintptr_t)&a->chain[i];
		step->ttl_s -= MIN(step->ttl_s, age_s);
	}
}

bool dns_cache_find(struct dns_cache *cache, struct dns_name name, enum dns_type type,
                    struct arena *arena, const struct dns_answer **ret_answer)
{
	int64_t now_ms = clock_monotonic_ms(cache->clock), age_ms = 0;
	bool found = false;
	uint64_t hash = hash_of(cache, name, type);
	pthread_mutex_lock(&cache->lock);
	struct entry *e = find(cache, hash, name, type);
	if (e && e->expires_ms <= now_ms) {
		drop(cache, e);
	} else if (e) {
		age_ms = now_ms - e->stored_ms;
		unlink_use(cache, e);
		link_newest(cache, e);
		found = is_ok(dns_answer_unpack(slice_of(e->bytes + e->n_name, e->n_packed), arena,
		                                ret_answer));
	}
	pthread_mutex_unlock(&cache->lock);
	if (found)
		let_age(*ret_answer, (uint32_t)(age_ms / 1000));
	return found;
}

/* ---- storing ---- */

/* What failed may be asked again soon, but not by each of a hundred messages that come at once. */
static int64_t lifetime_ms(const struct dns_answer *answer)
{
	if (answer->outcome == DNS_FAILED)
		return DNS_CACHE_FAILURE_MS;
	return (int64_t)MIN(answer->ttl_s, DNS_CACHE_TTL_MAX_S) * 1000;
}

static struct entry *make_entry(const struct dns_answer *answer, struct slice packed, uint64_t hash,
                                int64_t now_ms)
{
	struct slice name = dns_name_slice(answer->name);
	size_t size = sizeof(struct entry) + name.n + packed.n;
	struct entry *e = base_alloc(size);
	e->hash = hash;
	e->stored_ms = now_ms;
	e->expires_ms = now_ms + lifetime_ms(answer);
	e->size = size;
	e->type = answer->type;
	e->n_name = (uint32_t)name.n;
	e->n_packed = (uint32_t)packed.n;
	memcpy(e->bytes, name.p, name.n);
	memcpy(e->bytes + name.n, packed.p, packed.n);
	return e;
}

static void insert(struct dns_cache *cache, struct entry *e, struct dns_name name)
{
	struct entry *old = find(cache, e->hash, name, e->type);
	if (old)
		drop(cache, old);
	while (cache->oldest && cache->size + e->size > cache->size_max)
		drop(cache, cache->oldest);
	if (e->size > cache->size_max) {
		base_free(e);
		return;
	}
	struct entry **bucket = bucket_of(cache, e->hash);
	e->next = *bucket;
	*bucket = e;
	link_newest(cache, e);
	cache->size += e->size;
}

void dns_cache_put(struct dns_cache *cache, const struct dns_answer *answer)
{
	struct buf packed;
	if (lifetime_ms(answer) == 0)
		return;
	buf_init(&packed, DNS_CACHE_ANSWER_MAX);
	if (is_ok(dns_answer_pack(answer, &packed))) {
		uint64_t hash = hash_of(cache, answer->name, answer->type);
		struct entry *e = make_entry(answer, buf_slice(&packed), hash,
		                             clock_monotonic_ms(cache->clock));
		pthread_mutex_lock(&cache->lock);
		insert(cache, e, answer->name);
		pthread_mutex_unlock(&cache->lock);
	}
	buf_done(&packed);
}

/* ---- as a resolver ---- */

static struct status cached_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                   enum dns_type type, int timeout_ms, struct arena *arena,
                                   const struct dns_answer **ret_answer)
{
	struct dns_cached *cached = resolver->context;
	if (dns_cache_find(cached->cache, name, type, arena, ret_answer))
		return ok();
	if (!cached->upstream) {
		__atomic_store_n(&cached->missed, true, __ATOMIC_SEQ_CST);
		*ret_answer = dns_answer_failed(name, type, DNS_FAILURE_TEMPORARY,
		                                "not known without asking", arena);
		return *ret_answer ? ok() : fail(ERR_LIMIT, "no room for an answer");
	}
	TRY(dns_lookup_name(cached->upstream, name, type, timeout_ms, arena, ret_answer));
	dns_cache_put(cached->cache, *ret_answer);
	return ok();
}

void dns_cached_init(struct dns_cached *cached, struct dns_cache *cache,
                     const struct dns_resolver *upstream)
{
	static const struct dns_resolver_ops ops = {.lookup = cached_lookup};
	cached->resolver = (struct dns_resolver){.ops = &ops, .context = cached};
	cached->cache = cache;
	cached->upstream = upstream;
	cached->missed = false;
}

bool dns_cached_missed(struct dns_cached *cached)
{
	return __atomic_exchange_n(&cached->missed, false, __ATOMIC_SEQ_CST);
}
