/* A set-associative table of counters in one allocation. */
#include "sasl/login_limiter.h"

#include "base/slice.h"

#include <pthread.h>
#include <time.h>

#define BUCKET          ((size_t)8)
#define ENTRIES_DEFAULT 16384U
#define ENTRIES_MAX     (1U << 22)
#define MINUTE_S        60
#define DAY_S           86400

const struct login_limits login_limits_default = {
        .per_minute = {10, 30, 90},
        .per_day = {50, 150, 450},
};

struct entry {
	uint64_t tag; /* hash of class and network; 0: free */
	int64_t minute, day;
	uint32_t in_minute, in_day;
	uint32_t n_trying; /* under way, may become failures */
};

struct login_limiter {
	struct login_limiter_options options;
	pthread_mutex_t lock; /* guards the entries */
	pthread_cond_t ended; /* a try */
	size_t n_entries;
	struct entry entries[];
};

struct login_limiter *login_limiter_new(const struct login_limiter_options *options)
{
	size_t n = BUCKET;
	uint32_t wanted = options->n_entries ? options->n_entries : ENTRIES_DEFAULT;
	while (n < MIN(wanted, ENTRIES_MAX))
		n *= 2;
	struct login_limiter *limiter = base_alloc(sizeof(*limiter) + n * sizeof(struct entry));
	limiter->options = *options;
	limiter->n_entries = n;
	pthread_mutex_init(&limiter->lock, NULL);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&limiter->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	return limiter;
}

void login_limiter_free(struct login_limiter *limiter)
{
	if (!limiter)
		return;
	pthread_cond_destroy(&limiter->ended);
	pthread_mutex_destroy(&limiter->lock);
	base_free(limiter);
}

/* --- places --- */

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const unsigned v4_bits[LOGIN_LIMITER_CLASSES] = {32, 26, 21};
static const unsigned v6_bits[LOGIN_LIMITER_CLASSES] = {64, 48, 32};

static struct slice unmapped(struct slice address)
{
	struct slice prefix = slice_of(v4_prefix, sizeof(v4_prefix));
	return address.n == 16 && slice_starts(address, prefix) ? slice_from(address, 12) : address;
}

static bool is_loopback(struct slice address)
{
	static const uint8_t v6[16] = {[15] = 1};
	return address.n == 4 ? address.p[0] == 127 : slice_eq(address, slice_of(v6, sizeof(v6)));
}

static bool is_limited(const struct login_limiter *limiter, struct slice address)
{
	if (address.n != 4 && address.n != 16)
		return false;
	return !limiter->options.exempt_loopback || !is_loopback(address);
}

/* The address's network of that class, hashed. Never 0. */
static uint64_t tag_of(const struct login_limiter *limiter, struct slice address, size_t level)
{
	uint8_t text[18] = {(uint8_t)level, (uint8_t)address.n};
	unsigned bits = address.n == 4 ? v4_bits[level] : v6_bits[level];
	for (unsigned i = 0; i < address.n && bits > 0; i++) {
		unsigned here = MIN(bits, 8U);
		text[2 + i] = (uint8_t)(address.p[i] & (0xff00 >> here));
		bits -= here;
	}
	return hash_slice(limiter->options.key, slice_of(text, sizeof(text))) | 1;
}

/* --- counters --- */

static void roll(struct entry *entry, int64_t now_s)
{
	if (entry->minute != now_s / MINUTE_S)
		entry->in_minute = 0;
	if (entry->day != now_s / DAY_S)
		entry->in_day = 0;
	entry->minute = now_s / MINUTE_S;
	entry->day = now_s / DAY_S;
}

static struct entry *bucket_of(struct login_limiter *limiter, uint64_t tag)
{
	return &limiter->entries[(size_t)(tag >> 1) & (limiter->n_entries - 1) & ~(BUCKET - 1)];
}

static struct entry *find(struct login_limiter *limiter, uint64_t tag, int64_t now_s)
{
	struct entry *bucket = bucket_of(limiter, tag);
	for (size_t i = 0; i < BUCKET; i++) {
		if (bucket[i].tag == tag) {
			roll(&bucket[i], now_s);
			return &bucket[i];
		}
	}
	return NULL;
}

static uint64_t worth(const struct entry *entry)
{
	return (uint64_t)entry->in_day + entry->n_trying;
}

/* A free entry, else the one with the fewest failures today. */
static struct entry *make(struct login_limiter *limiter, uint64_t tag, int64_t now_s)
{
	struct entry *bucket = bucket_of(limiter, tag);
	struct entry *least = bucket;
	for (size_t i = 0; i < BUCKET; i++) {
		roll(&bucket[i], now_s);
		if (worth(&bucket[i]) < worth(least))
			least = &bucket[i];
	}
	*least = (struct entry){.tag = tag};
	roll(least, now_s);
	return least;
}

bool login_limiter_allows(struct login_limiter *limiter, struct slice address)
{
	address = unmapped(address);
	if (!is_limited(limiter, address))
		return true;
	int64_t now_s = clock_now_s(limiter->options.clock);
	const struct login_limits *limits = &limiter->options.limits;
	bool allowed = true;
	pthread_mutex_lock(&limiter->lock);
	for (size_t level = 0; level < LOGIN_LIMITER_CLASSES; level++) {
		const struct entry *entry = find(limiter, tag_of(limiter, address, level), now_s);
		if (entry && (entry->in_minute >= limits->per_minute[level] ||
		              entry->in_day >= limits->per_day[level]))
			allowed = false;
	}
	pthread_mutex_unlock(&limiter->lock);
	return allowed;
}

static void add_one(uint32_t *count)
{
	if (*count < UINT32_MAX)
		(*count)++;
}

/* --- tries under way --- */

static bool is_full(const struct login_limiter *limiter, const struct entry *entry, size_t level,
                    uint64_t n_trying)
{
	return entry->in_minute + n_trying >= limiter->options.limits.per_minute[level] ||
	       entry->in_day + n_trying >= limiter->options.limits.per_day[level];
}

/* OK; LIMIT by failures; BUSY when the tries under way could fill it. */
static enum err room_for_one(struct login_limiter *limiter, struct slice address, int64_t now_s)
{
	enum err code = ERR_OK;
	for (size_t level = 0; level < LOGIN_LIMITER_CLASSES; level++) {
		const struct entry *entry = find(limiter, tag_of(limiter, address, level), now_s);
		if (entry && is_full(limiter, entry, level, 0))
			return ERR_LIMIT;
		if (entry && is_full(limiter, entry, level, entry->n_trying))
			code = ERR_BUSY;
	}
	return code;
}

static void add_try(struct login_limiter *limiter, struct slice address, int64_t now_s)
{
	for (size_t level = 0; level < LOGIN_LIMITER_CLASSES; level++) {
		uint64_t tag = tag_of(limiter, address, level);
		struct entry *entry = find(limiter, tag, now_s);
		if (!entry)
			entry = make(limiter, tag, now_s);
		add_one(&entry->n_trying);
	}
}

static struct timespec time_in(int ms)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

struct status login_limiter_begin(struct login_limiter *limiter, struct slice address, int wait_ms)
{
	struct timespec until = time_in(wait_ms > 0 ? wait_ms : LOGIN_LIMITER_WAIT_MS);
	enum err code;
	int waited = 0;
	address = unmapped(address);
	if (!is_limited(limiter, address))
		return ok();
	pthread_mutex_lock(&limiter->lock);
	for (;;) {
		int64_t now_s = clock_now_s(limiter->options.clock);
		code = room_for_one(limiter, address, now_s);
		if (code == ERR_OK)
			add_try(limiter, address, now_s);
		if (code != ERR_BUSY || waited != 0)
			break;
		waited = pthread_cond_timedwait(&limiter->ended, &limiter->lock, &until);
	}
	pthread_mutex_unlock(&limiter->lock);
	return code == ERR_OK ? ok()
	                      : fail(ERR_LIMIT, "too many failed logins from your network, try "
	                                        "again later");
}

void login_limiter_end(struct login_limiter *limiter, struct slice address)
{
	address = unmapped(address);
	if (!is_limited(limiter, address))
		return;
	int64_t now_s = clock_now_s(limiter->options.clock);
	pthread_mutex_lock(&limiter->lock);
	for (size_t level = 0; level < LOGIN_LIMITER_CLASSES; level++) {
		struct entry *entry = find(limiter, tag_of(limiter, address, level), now_s);
		if (entry && entry->n_trying > 0)
			entry->n_trying--;
	}
	pthread_cond_broadcast(&limiter->ended);
	pthread_mutex_unlock(&limiter->lock);
}

/* --- what came of them --- */

void login_limiter_failed(struct login_limiter *limiter, struct slice address)
{
	address = unmapped(address);
	if (!is_limited(limiter, address))
		return;
	int64_t now_s = clock_now_s(limiter->options.clock);
	pthread_mutex_lock(&limiter->lock);
	for (size_t level = 0; level < LOGIN_LIMITER_CLASSES; level++) {
		uint64_t tag = tag_of(limiter, address, level);
		struct entry *entry = find(limiter, tag, now_s);
		if (!entry)
			entry = make(limiter, tag, now_s);
		add_one(&entry->in_minute);
		add_one(&entry->in_day);
	}
	pthread_mutex_unlock(&limiter->lock);
}

void login_limiter_succeeded(struct login_limiter *limiter, struct slice address)
{
	address = unmapped(address);
	if (!is_limited(limiter, address))
		return;
	int64_t now_s = clock_now_s(limiter->options.clock);
	pthread_mutex_lock(&limiter->lock);
	struct entry *own = find(limiter, tag_of(limiter, address, 0), now_s);
	uint32_t in_minute = own ? own->in_minute : 0, in_day = own ? own->in_day : 0;
	for (size_t level = 0; own && level < LOGIN_LIMITER_CLASSES; level++) {
		struct entry *entry = find(limiter, tag_of(limiter, address, level), now_s);
		if (entry) {
			entry->in_minute -= MIN(entry->in_minute, in_minute);
			entry->in_day -= MIN(entry->in_day, in_day);
		}
	}
	pthread_mutex_unlock(&limiter->lock);
}
