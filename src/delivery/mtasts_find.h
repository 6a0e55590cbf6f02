/* The MTA-STS policy for mail to a domain, at this moment: record, kept policy, fetch (RFC 8461
 * section 5.1), with every step in words and what is to be reported (RFC 8460).
 *
 *	TRY(mtasts_find(&query, &arena, &found));
 *	switch (found.use) ...                      found.entry.policy applies with
 * MTASTS_USE_POLICY
 *	... deliver ...
 *	if (found.refresh_due)
 *		TRY(mtasts_refresh(&query, &arena, &found));
 *
 * The policy domain is that of the address, not what it is an alias of (section 3.4).
 */
#pragma once

#include "base/clock.h"
#include "delivery/https_fetch.h"
#include "delivery/mtasts_cache.h"
#include "delivery/tls_facts.h"

#define MTASTS_FETCH_TIMEOUT_MS 60000 /* section 3.3 */
#define MTASTS_STEPS_MAX        8u
#define MTASTS_ARENA            ((size_t)4 * 1024 * 1024) /* a fit budget for mtasts_find */

/* Where policies are kept, by domain. Both may block. */
struct mtasts_store {
	/* The printed form (mtasts_entry_print) into the arena; NOT_FOUND. Another failure: it is
	 * not known whether one is kept, and no mail goes before it is. A form that makes no sense
	 * counts as not found. */
	struct status (*get)(void *context, const char *domain, struct arena *arena,
	                     struct slice *ret_form);
	/* Instead of what was kept for the domain. A failure costs a fetch later. */
	void (*put)(void *context, const char *domain, struct slice form);
	void *context;
};

struct mtasts_query {
	const struct dns_resolver *resolver;
	const struct clock *clock;
	struct slice domain;             /* of the address; A- or U-labels, or an address literal */
	int lookup_timeout_ms;           /* of each lookup; 0: DNS_LOOKUP_TIMEOUT_MS */
	int fetch_timeout_ms;            /* 0: MTASTS_FETCH_TIMEOUT_MS */
	enum delivery_families families; /* to the policy host */
	uint16_t port;                   /* of the policy host; 0: 443 */
	const struct mtasts_store *store; /* NULL: nothing is kept */
	const struct https_fetcher *fetcher;
	struct tls_authorities *authorities;
};

/* One fetch, as it went. */
struct mtasts_fetch {
	bool made;
	const char *url;
	struct https_response response;
	enum delivery_tls_result result; /* SUCCESS, or what is to be reported */
	const char *why;                 /* one sentence */
};

struct mtasts_found {
	enum mtasts_use use;
	bool refresh_due;
	const char *why; /* the conclusion, one sentence */
	struct mtasts_lookup lookup;
	struct mtasts_entry entry; /* what is kept now; entry.policy counts with has_policy */
	struct mtasts_fetch fetch;
	const char *steps[MTASTS_STEPS_MAX];
	size_t n_steps;
};

/* Blocks for lookups and, where a policy must be fetched before mail goes, the fetch. LIMIT only:
 * the arena's budget. */
struct status mtasts_find(const struct mtasts_query *query, struct arena *arena,
                          struct mtasts_found *ret_found);
/* Fetches anew and keeps what comes; found->fetch says how it went, all else stays. */
struct status mtasts_refresh(const struct mtasts_query *query, struct arena *arena,
                             struct mtasts_found *found);
