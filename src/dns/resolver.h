/* Asking the DNS, whoever answers: the resolver room, libunbound in this process, a table of facts
 * in a test.
 */
#pragma once

#include "dns/answer.h"

#define DNS_LOOKUP_TIMEOUT_MS                                                                      \
	15000 /* a fit timeout where the caller has no deadline of its own                         \
	       */

struct dns_resolver;

struct dns_resolver_ops {
	/* Blocks for at most about timeout_ms. Always gives an answer when it returns OK: what went
	 * wrong on the way, also that the resolver is busy or away, is a DNS_FAILED answer. The
	 * only failure is LIMIT: the arena's budget does not suffice. */
	struct status (*lookup)(const struct dns_resolver *resolver, struct dns_name name,
	                        enum dns_type type, int timeout_ms, struct arena *arena,
	                        const struct dns_answer **ret_answer);
};

/* Each implementation says how it is made; it may be used by many threads at the same time. */
struct dns_resolver {
	const struct dns_resolver_ops *ops;
	void *context;
};

/* Looks up; the answer lives in the arena (DNS_ANSWER_ARENA is a fit budget). */
struct status dns_lookup_name(const struct dns_resolver *resolver, struct dns_name name,
                              enum dns_type type, int timeout_ms, struct arena *arena,
                              const struct dns_answer **ret_answer);
/* The same for a name as it is written. SYNTAX when it is no name (dns_name_parse). */
struct status dns_lookup(const struct dns_resolver *resolver, struct slice name, enum dns_type type,
                         int timeout_ms, struct arena *arena, const struct dns_answer **ret_answer);
