/* libunbound in two parts: asking (unbound.c) and making answers of what it tells
 * (unbound_answer.c). */
#pragma once

#include "base/hash.h"
#include "dns/unbound.h"
#include "dns/unbound_silence.h"

#include <pthread.h>
#include <unbound.h>

#define DNS_RCODE_SERVFAIL 2
#define DNS_RCODE_NXDOMAIN 3

struct lines {
	char *v[DNS_UNBOUND_ANCHORS_MAX];
	size_t n;
};

struct dns_unbound {
	struct dns_resolver resolver, for_strangers; /* of the same context */
	struct lines anchors, hints;
	struct os_address servers[DNS_UNBOUND_SERVERS_MAX];
	size_t n_servers;
	size_t cache_size;
	unsigned lookups_max;
	struct hash_key key; /* of parties */

	pthread_mutex_t lock; /* guards all below, and every wait */
	struct ub_ctx *ctx;   /* NULL until the first lookup */
	pthread_t pump;
	int stop_fd;
	struct wait *waits; /* all that are held by someone */
	unsigned n_under_way;
	unsigned n_for_strangers;                  /* of these */
	unsigned n_for_party[DNS_UNBOUND_PARTIES]; /* of those */
	struct dns_silence silence;
};
_Static_assert(DNS_UNBOUND_HINTS_MAX <= DNS_UNBOUND_ANCHORS_MAX, "both fit struct lines");

/* For whom something is looked up, and until when. */
struct dns_unbound_asker {
	struct dns_unbound *unbound;
	bool for_strangers;
	int64_t deadline_ms; /* monotonic */
};

/* One question to libunbound; type is any RR type's number. Blocks until the deadline. The caller
 * frees the result. TIMEOUT, BUSY: too many lookups at once, TEMPORARY. */
struct status dns_unbound_ask(const struct dns_unbound_asker *asker, struct dns_name name,
                              unsigned type, struct ub_result **ret_result);

/* What a result says, with all that libunbound keeps to itself asked in other ways. The result
 * stays the caller's. NULL past the arena's budget. */
struct dns_answer *dns_unbound_answer(const struct dns_unbound_asker *asker, struct dns_name name,
                                      enum dns_type type, const struct ub_result *result,
                                      struct arena *arena);
