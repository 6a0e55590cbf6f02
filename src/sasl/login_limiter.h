/* How often a place may fail to log in: one count for all protocols.
 *
 * A failure counts for its address and for two networks around it (IPv4 /32, /26, /21; IPv6 /64,
 * /48, /32), in fixed windows of a minute and a day. Memory is allocated once; entries are found by
 * a keyed hash, and where a bucket is full the one with the fewest failures goes, so that an
 * attacker with many addresses pushes out his own first and still meets his network's count.
 * Thread-safe.
 */
#pragma once

#include "base/clock.h"
#include "base/hash.h"
#include "base/status.h"

#define LOGIN_LIMITER_CLASSES 3
#define LOGIN_LIMITER_WAIT_MS 10000

struct login_limits {
	uint32_t per_minute[LOGIN_LIMITER_CLASSES]; /* failures: address, network, larger network */
	uint32_t per_day[LOGIN_LIMITER_CLASSES];
};

extern const struct login_limits login_limits_default; /* 10, 30, 90 and 50, 150, 450 */

struct login_limiter_options {
	const struct clock *clock; /* outlives the limiter */
	struct hash_key key;       /* random */
	struct login_limits limits;
	bool exempt_loopback;
	uint32_t n_entries; /* counted places; rounded up to a power of two; 0: 16384 (512 KiB) */
};

struct login_limiter;

struct login_limiter *login_limiter_new(const struct login_limiter_options *options);
void login_limiter_free(struct login_limiter *limiter);

/* An address is 4 or 16 bytes in network order; IPv4 in IPv6 (::ffff:a.b.c.d) counts as IPv4.
 * Others (a local socket) are never limited. */

/* May this address try? A first look, which counts nothing. */
bool login_limiter_allows(struct login_limiter *limiter, struct slice address);

/* A try, counted from here to its end, so that many at once are not more than the limit. Waits
 * while those under way could fill it, but no longer than wait_ms (0: LOGIN_LIMITER_WAIT_MS). LIMIT
 * when there is no place; else what came of it is told (failed, succeeded, or nothing for one that
 * was not decided) and then end is called. */
struct status login_limiter_begin(struct login_limiter *limiter, struct slice address, int wait_ms);
void login_limiter_end(struct login_limiter *limiter, struct slice address);

void login_limiter_failed(struct login_limiter *limiter, struct slice address);
/* Forgets the address's failures and takes them off its networks' counts. */
void login_limiter_succeeded(struct login_limiter *limiter, struct slice address);
