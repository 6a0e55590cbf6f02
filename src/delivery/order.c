/* What worked, host by host: a table of DELIVERY_ORDER_ENTRIES, in groups of WAYS entries of which
 * the oldest gives way. Keyed by a hash, so that nobody who owns domains can aim at an entry. */
#include "delivery/order.h"

#define WAYS   4u
#define GROUPS (DELIVERY_ORDER_ENTRIES / WAYS)
_Static_assert((GROUPS & (GROUPS - 1)) == 0, "the group is cut out of the hash");

/* How long a family is tried second after a failure. */
#define AVOID_MS ((int64_t)4 * 3600 * 1000)

struct delivery_order_entry {
	uint64_t hash;
	int64_t noted_at_ms; /* monotonic; 0: free */
	struct delivery_ip worked;
	bool has_worked;
	int64_t avoid_until_ms[2]; /* IPv4, IPv6 */
};

void delivery_order_init(struct delivery_order *order, struct hash_key key,
                         const struct clock *clock)
{
	*order = (struct delivery_order){.key = key, .clock = clock};
	pthread_mutex_init(&order->lock, NULL);
}

void delivery_order_done(struct delivery_order *order)
{
	base_free(order->entries);
	pthread_mutex_destroy(&order->lock);
}

static struct delivery_order_entry *find(struct delivery_order *order, uint64_t hash,
                                         int64_t now_ms)
{
	struct delivery_order_entry *group = &order->entries[hash % GROUPS * WAYS];
	for (size_t i = 0; i < WAYS; i++)
		if (group[i].noted_at_ms && group[i].hash == hash &&
		    now_ms - group[i].noted_at_ms < DELIVERY_ORDER_TTL_MS)
			return &group[i];
	return NULL;
}

static struct delivery_order_entry *claim(struct delivery_order *order, uint64_t hash)
{
	struct delivery_order_entry *group = &order->entries[hash % GROUPS * WAYS];
	struct delivery_order_entry *oldest = group;
	for (size_t i = 1; i < WAYS; i++)
		if (group[i].noted_at_ms < oldest->noted_at_ms)
			oldest = &group[i];
	*oldest = (struct delivery_order_entry){.hash = hash};
	return oldest;
}

void delivery_order_note(struct delivery_order *order, struct slice host,
                         const struct delivery_ip *ip, enum delivery_experience experience)
{
	uint64_t hash = hash_slice(order->key, host);
	int64_t now_ms = clock_monotonic_ms(order->clock);
	pthread_mutex_lock(&order->lock);
	if (!order->entries)
		order->entries = base_alloc(DELIVERY_ORDER_ENTRIES * sizeof(*order->entries));
	struct delivery_order_entry *entry = find(order, hash, now_ms);
	if (!entry)
		entry = claim(order, hash);
	entry->noted_at_ms = MAX(now_ms, 1);
	if (experience == DELIVERY_WORKED) {
		entry->worked = *ip;
		entry->has_worked = true;
		entry->avoid_until_ms[ip->is_v6] = 0;
	} else {
		if (entry->has_worked && delivery_ip_eq(&entry->worked, ip))
			entry->has_worked = false;
		entry->avoid_until_ms[ip->is_v6] = now_ms + AVOID_MS;
	}
	pthread_mutex_unlock(&order->lock);
}

/* The family to begin with. */
static bool begins_with_v6(const struct delivery_order_entry *entry, int64_t now_ms)
{
	bool avoid_v4 = entry->avoid_until_ms[0] > now_ms;
	bool avoid_v6 = entry->avoid_until_ms[1] > now_ms;
	if (avoid_v4 != avoid_v6)
		return avoid_v4;
	return entry->has_worked ? entry->worked.is_v6 : true;
}

/* Both families in turns: the i-th of the result is the next of the family whose turn it is. */
static void take_turns(struct delivery_ip *ips, size_t n, bool v6_first)
{
	for (size_t at = 0; at < n; at++) {
		bool want_v6 = (at % 2 == 0) == v6_first;
		size_t next = at;
		while (next < n && ips[next].is_v6 != want_v6)
			next++;
		if (next == n)
			continue; /* only the other family is left */
		struct delivery_ip chosen = ips[next];
		memmove(&ips[at + 1], &ips[at], (next - at) * sizeof(*ips));
		ips[at] = chosen;
	}
}

static void move_to_front(struct delivery_ip *ips, size_t n, const struct delivery_ip *wanted)
{
	for (size_t i = 0; i < n; i++) {
		if (!delivery_ip_eq(&ips[i], wanted))
			continue;
		memmove(&ips[1], &ips[0], i * sizeof(*ips));
		ips[0] = *wanted;
		return;
	}
}

void delivery_order_sort(struct delivery_order *order, struct slice host, struct delivery_ip *ips,
                         size_t n)
{
	struct delivery_order_entry known = {0};
	int64_t now_ms = clock_monotonic_ms(order->clock);
	pthread_mutex_lock(&order->lock);
	const struct delivery_order_entry *entry =
	        order->entries ? find(order, hash_slice(order->key, host), now_ms) : NULL;
	if (entry)
		known = *entry;
	pthread_mutex_unlock(&order->lock);
	bool v6_first = begins_with_v6(&known, now_ms);
	take_turns(ips, n, v6_first);
	if (known.has_worked && known.worked.is_v6 == v6_first)
		move_to_front(ips, n, &known.worked);
}
