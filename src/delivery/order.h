/* In which order the addresses of a host are tried: what worked last time first, the other family
 * first after a failure.
 *
 * A greylisting server wants to see the same client address again, and a network without working
 * IPv6 costs a timeout each time it is tried first. The memory is a table of fixed size, lost at
 * restart; what falls out of it costs no more than a slower attempt. Thread-safe.
 */
#pragma once

#include "base/clock.h"
#include "base/hash.h"
#include "delivery/hosts.h"

#include <pthread.h>

#define DELIVERY_ORDER_ENTRIES 512u           /* hosts remembered */
#define DELIVERY_ORDER_TTL_MS  (24 * 3600000) /* for how long */

enum delivery_experience {
	DELIVERY_WORKED,   /* connected, and not refused by policy */
	DELIVERY_NO_ROUTE, /* no connection to this address */
	DELIVERY_UNLOVED,  /* refused by policy (x.7.y): the other family may be liked better */
};

struct delivery_order_entry; /* private */

struct delivery_order {
	pthread_mutex_t lock;
	struct hash_key key;
	const struct clock *clock;
	struct delivery_order_entry *entries; /* made at the first note */
};

void delivery_order_init(struct delivery_order *order, struct hash_key key,
                         const struct clock *clock);
void delivery_order_done(struct delivery_order *order);

/* What came of one address of the host. */
void delivery_order_note(struct delivery_order *order, struct slice host,
                         const struct delivery_ip *ip, enum delivery_experience experience);

/* Sorts: the address that worked; else the family that was not unloved or without route lately
 * (IPv6 when nothing is known); then both families in turns (RFC 8305 section 4), so that a dead
 * family delays the second try only. Keeps the order within a family. */
void delivery_order_sort(struct delivery_order *order, struct slice host, struct delivery_ip *ips,
                         size_t n);
