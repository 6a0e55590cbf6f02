/* How many messages and bytes one account takes from an address, its subnet and its network, in a
 * minute and a day.
 *
 * A table of fixed size, found by a keyed hash of account and network, in buckets of eight. Where a
 * bucket is full the entry with the fewest messages of the day goes: who sends much is remembered,
 * and a flood from many addresses still meets its network's count. Kept in memory only: after a
 * restart of the gate everybody begins anew.
 */
#include "rooms/gate.h"

#define RATES_BUCKETS 4096u
#define RATES_WAYS    8u
#define CLASSES       3u
#define MINUTE_S      60
#define DAY_S         86400

struct rate {
	uint64_t key;        /* 0: free */
	int64_t minute, day; /* the windows that the counts are of */
	uint32_t n_minute, n_day;
	uint64_t bytes_minute, bytes_day;
};

struct gate_rates {
	pthread_mutex_t lock;
	struct hash_key key;
	struct rate table[RATES_BUCKETS][RATES_WAYS];
};

struct gate_rates *gate_rates_new(void)
{
	struct gate_rates *rates = base_alloc(sizeof(*rates));
	pthread_mutex_init(&rates->lock, NULL);
	room_random(&rates->key, sizeof(rates->key));
	return rates;
}

void gate_rates_free(struct gate_rates *rates)
{
	if (!rates)
		return;
	pthread_mutex_destroy(&rates->lock);
	base_free(rates);
}

static uint64_t key_of(const struct gate_rates *rates, const char *account,
                       const struct os_address *peer, unsigned class)
{
	static const unsigned bits_v4[CLASSES] = {32, 26, 21};
	static const unsigned bits_v6[CLASSES] = {64, 48, 32};
	bool is_v6 = peer->family == OS_FAMILY_V6;
	struct os_address network =
	        os_address_network(peer, is_v6 ? bits_v6[class] : bits_v4[class]);
	struct buf text;
	buf_init(&text, 1024);
	buf_add_str(&text, account);
	buf_add_byte(&text, 0);
	buf_add_byte(&text, (uint8_t) class);
	buf_add_byte(&text, (uint8_t)peer->family);
	buf_add(&text, slice_of(network.ip, sizeof(network.ip)));
	uint64_t key = hash_slice(rates->key, buf_slice(&text));
	buf_done(&text);
	return key ? key : 1;
}

/* Counts of windows that are over do not count. */
static void renew(struct rate *rate, int64_t now_s)
{
	if (rate->minute != now_s / MINUTE_S) {
		rate->minute = now_s / MINUTE_S;
		rate->n_minute = 0;
		rate->bytes_minute = 0;
	}
	if (rate->day != now_s / DAY_S) {
		rate->day = now_s / DAY_S;
		rate->n_day = 0;
		rate->bytes_day = 0;
	}
}

static struct rate *get(struct gate_rates *rates, uint64_t key, int64_t now_s)
{
	struct rate *bucket = rates->table[key % RATES_BUCKETS];
	struct rate *least = &bucket[0];
	for (unsigned i = 0; i < RATES_WAYS; i++) {
		if (bucket[i].key != 0)
			renew(&bucket[i], now_s);
		if (bucket[i].key == key)
			return &bucket[i];
		if (bucket[i].key == 0 || (least->key != 0 && bucket[i].n_day < least->n_day))
			least = &bucket[i];
	}
	*least = (struct rate){.key = key};
	renew(least, now_s);
	return least;
}

static uint64_t of_class(const struct config_rate *rate, unsigned class)
{
	return class == 0 ? rate->per_ip : class == 1 ? rate->per_subnet : rate->per_network;
}

static uint64_t size_of_class(const struct config_size_rate *rate, unsigned class)
{
	return class == 0 ? rate->per_ip : class == 1 ? rate->per_subnet : rate->per_network;
}

static bool is_exempt(const struct config_limits *limits, const struct os_address *peer)
{
	return peer->family == OS_FAMILY_NONE ||
	       (!limits->rate_limits_on_loopback && os_address_is_loopback(peer));
}

bool gate_rates_allow(struct gate_rates *rates, const struct config_limits *limits,
                      const char *account, const struct os_address *peer, int64_t now_s)
{
	bool allowed = true;
	if (is_exempt(limits, peer))
		return true;
	pthread_mutex_lock(&rates->lock);
	for (unsigned class = 0; class < CLASSES; class ++) {
		const struct rate *rate = get(rates, key_of(rates, account, peer, class), now_s);
		allowed = allowed &&
		          rate->n_minute < of_class(&limits->messages_per_minute, class) &&
		          rate->n_day < of_class(&limits->messages_per_day, class) &&
		          rate->bytes_minute < size_of_class(&limits->bytes_per_minute, class) &&
		          rate->bytes_day < size_of_class(&limits->bytes_per_day, class);
	}
	pthread_mutex_unlock(&rates->lock);
	return allowed;
}

void gate_rates_count(struct gate_rates *rates, const struct config_limits *limits,
                      const char *account, const struct os_address *peer, uint64_t size,
                      int64_t now_s)
{
	if (is_exempt(limits, peer))
		return;
	pthread_mutex_lock(&rates->lock);
	for (unsigned class = 0; class < CLASSES; class ++) {
		struct rate *rate = get(rates, key_of(rates, account, peer, class), now_s);
		rate->n_minute++;
		rate->n_day++;
		rate->bytes_minute += size;
		rate->bytes_day += size;
	}
	pthread_mutex_unlock(&rates->lock);
}
