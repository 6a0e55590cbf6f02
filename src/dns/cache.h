/* Answers kept for as long as their TTL allows, so that a room that asks the same again and again
 * (who sent this mail? the same as the last one) need not ask another process.
 *
 *	struct dns_cached cached;
 *	dns_cached_init(&cached, cache, upstream);    asks the cache first, then upstream
 *	check(&cached.resolver);
 *
 * With upstream NULL only what is known is told; what is not is a failure TEMPORARY and counts as
 * missed: so a check can be tried at once, and made again with patience when it missed something.
 *
 * Failures and bogus answers are kept for moments, what is large is not. Of a denial the TTL counts
 * likewise (RFC 2308). All of it is bounded by size, the oldest used goes first. Thread-safe.
 */
#pragma once

#include "base/clock.h"
#include "base/hash.h"
#include "dns/resolver.h"

#define DNS_CACHE_TTL_MAX_S    3600u /* whatever the answer says: others keep it longer */
#define DNS_CACHE_FAILURE_MS   2000  /* failures, bogus answers */
#define DNS_CACHE_ANSWER_MAX   ((size_t)16 * 1024) /* bytes, packed; larger ones are not kept */
#define DNS_CACHE_SIZE_DEFAULT ((size_t)2 * 1024 * 1024)

struct dns_cache;

/* key: random. The clock outlives the cache. */
struct dns_cache *dns_cache_new(size_t size_max, struct hash_key key, const struct clock *clock);
void dns_cache_free(struct dns_cache *cache); /* NULL is fine */
void dns_cache_clear(struct dns_cache *cache);

/* True: the answer, in the arena, its TTLs as they are now. */
bool dns_cache_find(struct dns_cache *cache, struct dns_name name, enum dns_type type,
                    struct arena *arena, const struct dns_answer **ret_answer);
void dns_cache_put(struct dns_cache *cache, const struct dns_answer *answer);

struct dns_cached {
	struct dns_resolver resolver;
	struct dns_cache *cache;
	const struct dns_resolver *upstream; /* NULL: only what is known */
	bool missed;                         /* private */
};

void dns_cached_init(struct dns_cached *cached, struct dns_cache *cache,
                     const struct dns_resolver *upstream);
/* Whether anything was missed since the last call, or since it was made. */
bool dns_cached_missed(struct dns_cached *cached);
