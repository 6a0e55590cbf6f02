/* Elements of one size in one block of memory, named by their index, found by a hash. Small and
 * without pointers, since the schedule keeps a hundred thousand of them.
 *
 * Every element begins with a struct pool_node. An index is good until its element is removed; a
 * pointer only until the next pool_add. Keys are hashed with a key of the pool's own, so nobody
 * can choose names that collide.
 */
#pragma once

#include "base/hash.h"

#define POOL_NONE UINT32_MAX

struct pool_node {
	uint64_t hash;
	uint32_t next; /* of the same bucket, or of the free ones */
	bool used;
};

struct pool {
	uint8_t *elements;
	uint32_t *heads; /* buckets; a power of two of them */
	size_t element_size;
	uint32_t n, n_made, capacity, n_heads;
	uint32_t first_free;
	struct hash_key key;
};

void pool_init(struct pool *pool, size_t element_size, struct hash_key key);
void pool_done(struct pool *pool); /* safe on a zeroed one and twice */

static inline void *pool_at(const struct pool *pool, uint32_t index)
{
	return pool->elements + (size_t)index * pool->element_size;
}

/* A zeroed element under that key. */
uint32_t pool_add(struct pool *pool, struct slice key);
void pool_remove(struct pool *pool, uint32_t index);
/* The element of that key for which `is` holds; POOL_NONE when there is none. */
uint32_t pool_find(const struct pool *pool, struct slice key,
                   bool (*is)(const void *element, struct slice key));
size_t pool_memory(const struct pool *pool); /* bytes */
