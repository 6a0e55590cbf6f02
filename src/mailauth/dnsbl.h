/* Block lists in the DNS (RFC 5782): is an address or a domain on one, and is the list one at all.
 *
 * A list that is broken lists nobody: answers outside of 127.0.0.0/8, a list that lists what it
 * must not or not what it must (section 5), and codes by which large lists say that they do not
 * answer us, are all told apart from LISTED. Two ways to ask:
 *
 *	dnsbl_check_address(&dns, zone, address, &result)              what the list says
 *	dnsbl_ask_address(state, &dns, zone, address, &result)         the same, but LISTED only
 *	                                                               from a list that is healthy
 *
 * Results live in dns->arena.
 */
#pragma once

#include "base/clock.h"
#include "mailauth/explain.h"
#include "mailauth/lookup.h"

#define DNSBL_CODES_MAX 20u  /* of an answer that are kept */
#define DNSBL_TEXT_MAX  200u /* bytes of the explanation that are kept */
#define DNSBL_LISTS_MAX 100u /* whose health is remembered: zones times kinds */

/* How long what is known of a list's health counts. */
#define DNSBL_HEALTHY_MS   (4 * 3600 * 1000)
#define DNSBL_UNHEALTHY_MS (3600 * 1000)
#define DNSBL_RETRY_MS     (5 * 60 * 1000) /* after failed lookups */
/* For so long a list that was healthy counts as healthy while its test entries cannot be looked up.
 */
#define DNSBL_STALE_MS (24 * 3600 * 1000)

enum dnsbl_kind {
	DNSBL_IPV4,
	DNSBL_IPV6,
	DNSBL_DOMAIN,
};
const char *dnsbl_kind_name(enum dnsbl_kind kind); /* "ipv4" */

enum dnsbl_outcome {
	DNSBL_LISTED,
	DNSBL_NOT_LISTED,
	DNSBL_FAILED,    /* a lookup failed: nothing is known */
	DNSBL_REFUSED,   /* the list does not answer us: too many queries, wrong resolver */
	DNSBL_BROKEN,    /* it is no block list, or none any more */
	DNSBL_NOT_ASKED, /* it cannot be asked about: no domain name, too long a name */
};
const char *dnsbl_outcome_name(enum dnsbl_outcome outcome); /* "listed", "not-listed", ... */

struct dnsbl_code {
	uint8_t octets[4]; /* 127.x.y.z: what they mean is the list's affair (section 2.3) */
};

struct dnsbl_result {
	enum dnsbl_outcome outcome;
	const char *why; /* a sentence */
	struct dns_name question;
	const struct dnsbl_code *codes; /* LISTED: all of the answer; else what there was */
	size_t n_codes;
	const char *text; /* LISTED: the list's explanation (TXT) as printable ASCII; "" for none */
	struct mailauth_evidence evidence;
	struct mailauth_story story;
};

/* address: 4 or 16 bytes in network order; an IPv4 address mapped into IPv6 counts as IPv4. Blocks
 * in lookups. Never fails. */
void dnsbl_check_address(struct mailauth_dns *dns, struct dns_name zone, struct slice address,
                         struct dnsbl_result *ret_result);
/* domain: a host name. */
void dnsbl_check_domain(struct mailauth_dns *dns, struct dns_name zone, struct dns_name domain,
                        struct dnsbl_result *ret_result);

/* --- health (section 5) --- */

enum dnsbl_health {
	DNSBL_HEALTHY,
	DNSBL_DEFECTIVE, /* lacks the entry that it must have, or has the one that it must not */
	DNSBL_SILENT,    /* does not answer us */
	DNSBL_UNKNOWN,   /* lookups failed */
};
const char *dnsbl_health_name(enum dnsbl_health health); /* "healthy", "defective", ... */

struct dnsbl_checkup {
	enum dnsbl_health health;
	const char *why;
	struct mailauth_evidence evidence;
	struct mailauth_story story;
};

/* By the entries for 127.0.0.2 and 127.0.0.1, ::FFFF:7F00:2 and ::FFFF:7F00:1, TEST and INVALID.
 * Blocks in two lookups at most. */
void dnsbl_check_health(struct mailauth_dns *dns, struct dns_name zone, enum dnsbl_kind kind,
                        struct dnsbl_checkup *ret_checkup);

/* What is known of the health of lists. Thread-safe: a lock guards it, which is not held during
 * lookups; who finds a checkup under way takes what was known before, or makes one of his own. */
struct dnsbl_state;
struct dnsbl_state *dnsbl_state_new(const struct clock *clock); /* the clock outlives it */
void dnsbl_state_free(struct dnsbl_state *state);               /* NULL is fine */

/* From memory where it is fresh enough, else by a checkup. */
enum dnsbl_health dnsbl_state_health(struct dnsbl_state *state, struct mailauth_dns *dns,
                                     struct dns_name zone, enum dnsbl_kind kind);

/* As dnsbl_check_..., and where that says LISTED the list's health is looked at: then LISTED means
 * that it is healthy, BROKEN, REFUSED or FAILED that it is defective, silent or unknown. */
void dnsbl_ask_address(struct dnsbl_state *state, struct mailauth_dns *dns, struct dns_name zone,
                       struct slice address, struct dnsbl_result *ret_result);
void dnsbl_ask_domain(struct dnsbl_state *state, struct mailauth_dns *dns, struct dns_name zone,
                      struct dns_name domain, struct dnsbl_result *ret_result);
