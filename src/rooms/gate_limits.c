/* How many connections an address, its subnet and its network may hold and open per minute.
 *
 * A table of counters keyed by network. Entries live as long as they count something: the number of
 * open connections is bounded by connections_total, and counts of the current minute are dropped
 * when the minute is over; past LIMITS_ENTRIES_MAX new networks are not counted by rate any more
 * (they are still bounded in total). A keyed hash, since peers choose their addresses.
 */
#include "rooms/gate.h"

#define LIMITS_BUCKETS     4096
#define LIMITS_ENTRIES_MAX 200000
#define WINDOW_MS          60000

struct counter {
	struct counter *next;
	struct os_address network;
	unsigned bits;
	uint32_t n_open;
	uint32_t n_new; /* in the window */
	int64_t window_ms;
};

struct gate_limits {
	pthread_mutex_t lock;
	struct hash_key key;
	struct counter *buckets[LIMITS_BUCKETS];
	size_t n_entries;
};

struct gate_limits *gate_limits_new(void)
{
	struct gate_limits *limits = base_alloc(sizeof(*limits));
	pthread_mutex_init(&limits->lock, NULL);
	room_random(&limits->key, sizeof(limits->key));
	return limits;
}

void gate_limits_free(struct gate_limits *limits)
{
	if (!limits)
		return;
	for (size_t i = 0; i < LIMITS_BUCKETS; i++) {
		while (limits->buckets[i]) {
			struct counter *counter = limits->buckets[i];
			limits->buckets[i] = counter->next;
			base_free(counter);
		}
	}
	pthread_mutex_destroy(&limits->lock);
	base_free(limits);
}

/* The three networks of an address that are counted. */
static const unsigned bits_v4[3] = {32, 26, 21};
static const unsigned bits_v6[3] = {64, 48, 32};

static unsigned class_bits(const struct os_address *peer, size_t class)
{
	return peer->family == OS_FAMILY_V6 ? bits_v6[class] : bits_v4[class];
}

/* The counter, made when there is none; sweeps what has expired in its bucket. */
static struct counter *get(struct gate_limits *limits, const struct os_address *peer, unsigned bits,
                           int64_t now_ms)
{
	struct os_address network = os_address_network(peer, bits);
	uint8_t key[sizeof(network.ip) + 2];
	memcpy(key, network.ip, sizeof(network.ip));
	key[sizeof(network.ip)] = (uint8_t)bits;
	key[sizeof(network.ip) + 1] = (uint8_t)network.family;
	struct counter **link =
	        &limits->buckets[hash_slice(limits->key, slice_of(key, sizeof(key))) %
	                         LIMITS_BUCKETS];
	struct counter *found = NULL;
	while (*link) {
		struct counter *counter = *link;
		if (counter->bits == bits && os_address_eq_ip(&counter->network, &network)) {
			found = counter;
		} else if (counter->n_open == 0 && now_ms - counter->window_ms >= WINDOW_MS) {
			*link = counter->next;
			base_free(counter);
			limits->n_entries--;
			continue;
		}
		link = &counter->next;
	}
	if (!found && limits->n_entries < LIMITS_ENTRIES_MAX) {
		found = base_alloc(sizeof(*found));
		found->network = network;
		found->bits = bits;
		found->window_ms = now_ms;
		*link = found;
		limits->n_entries++;
	}
	if (found && now_ms - found->window_ms >= WINDOW_MS) {
		found->window_ms = now_ms;
		found->n_new = 0;
	}
	return found;
}

static bool is_exempt(const struct config_limits *config, const struct os_address *peer)
{
	return peer->family == OS_FAMILY_NONE ||
	       (!config->rate_limits_on_loopback && os_address_is_loopback(peer));
}

static uint32_t of_class(const struct config_rate *rate, size_t class)
{
	return class == 0 ? rate->per_ip : class == 1 ? rate->per_subnet : rate->per_network;
}

bool gate_limits_admit(struct gate_limits *limits, const struct config_limits *config,
                       const struct os_address *peer, int64_t now_ms)
{
	if (is_exempt(config, peer))
		return true;
	struct counter *counters[3];
	bool admitted = true;
	pthread_mutex_lock(&limits->lock);
	for (size_t i = 0; i < 3; i++) {
		counters[i] = get(limits, peer, class_bits(peer, i), now_ms);
		if (counters[i] && (counters[i]->n_open >= of_class(&config->connections, i) ||
		                    counters[i]->n_new >= of_class(&config->connection_rate, i)))
			admitted = false;
	}
	for (size_t i = 0; i < 3 && admitted; i++) {
		if (counters[i]) {
			counters[i]->n_open++;
			counters[i]->n_new++;
		}
	}
	pthread_mutex_unlock(&limits->lock);
	return admitted;
}

void gate_limits_release(struct gate_limits *limits, const struct config_limits *config,
                         const struct os_address *peer)
{
	if (is_exempt(config, peer))
		return;
	pthread_mutex_lock(&limits->lock);
	for (size_t i = 0; i < 3; i++) {
		struct counter *counter = get(limits, peer, class_bits(peer, i), 0);
		if (counter && counter->n_open > 0)
			counter->n_open--;
	}
	pthread_mutex_unlock(&limits->lock);
}
