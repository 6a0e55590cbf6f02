/* See pool.h. Buckets are chained through the elements; both arrays double when they are full. */
#include "queue/pool.h"

#define FIRST_CAPACITY 16u

void pool_init(struct pool *pool, size_t element_size, struct hash_key key)
{
	*pool = (struct pool){.element_size = element_size, .first_free = POOL_NONE, .key = key};
}

void pool_done(struct pool *pool)
{
	base_free(pool->elements);
	base_free(pool->heads);
	*pool = (struct pool){0};
}

static struct pool_node *node_at(const struct pool *pool, uint32_t index)
{
	return pool_at(pool, index);
}

static void chain(struct pool *pool, uint32_t index)
{
	struct pool_node *node = node_at(pool, index);
	uint32_t *head = &pool->heads[node->hash & (pool->n_heads - 1)];
	node->next = *head;
	*head = index;
}

static void grow(struct pool *pool)
{
	uint32_t capacity = pool->capacity ? 2 * pool->capacity : FIRST_CAPACITY;
	ASSERT(capacity > pool->capacity);
	pool->elements = base_realloc(pool->elements, (size_t)capacity * pool->element_size);
	pool->heads = base_realloc(pool->heads, (size_t)capacity * sizeof(pool->heads[0]));
	pool->capacity = pool->n_heads = capacity;
	for (uint32_t i = 0; i < capacity; i++)
		pool->heads[i] = POOL_NONE;
	for (uint32_t i = 0; i < pool->n_made; i++)
		chain(pool, i); /* all are used: it was full */
}

uint32_t pool_add(struct pool *pool, struct slice key)
{
	uint32_t index = pool->first_free;
	if (index != POOL_NONE) {
		pool->first_free = node_at(pool, index)->next;
	} else {
		if (pool->n_made == pool->capacity)
			grow(pool);
		index = pool->n_made++;
	}
	struct pool_node *node = node_at(pool, index);
	memset(node, 0, pool->element_size);
	node->hash = hash_slice(pool->key, key);
	node->used = true;
	chain(pool, index);
	pool->n++;
	return index;
}

void pool_remove(struct pool *pool, uint32_t index)
{
	struct pool_node *node = node_at(pool, index);
	ASSERT(node->used);
	uint32_t *link = &pool->heads[node->hash & (pool->n_heads - 1)];
	while (*link != index)
		link = &node_at(pool, *link)->next;
	*link = node->next;
	node->used = false;
	node->next = pool->first_free;
	pool->first_free = index;
	pool->n--;
}

uint32_t pool_find(const struct pool *pool, struct slice key,
                   bool (*is)(const void *element, struct slice key))
{
	if (pool->n == 0)
		return POOL_NONE;
	uint64_t hash = hash_slice(pool->key, key);
	uint32_t index = pool->heads[hash & (pool->n_heads - 1)];
	while (index != POOL_NONE) {
		const struct pool_node *node = node_at(pool, index);
		if (node->hash == hash && is(node, key))
			return index;
		index = node->next;
	}
	return POOL_NONE;
}

size_t pool_memory(const struct pool *pool)
{
	return pool->capacity * (pool->element_size + sizeof(pool->heads[0]));
}
