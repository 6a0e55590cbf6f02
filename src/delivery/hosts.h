/* The servers of a mail domain, in the order in which they are to be tried (RFC 5321 section 5),
 * and the addresses of each.
 *
 *	TRY(delivery_hosts_find(&query, &arena, &hosts));
 *	for each of hosts->v while hosts->outcome is DELIVERY_HOSTS_FOUND:
 *		delivery_addresses_find(&query, host, &arena, &addresses);
 *
 * Every fact keeps its DNSSEC status: DANE (RFC 7672 section 2.2) needs to know which of them were
 * signed. All memory is the arena's; each answer of the DNS lies there too
 * (DELIVERY_HOSTS_ARENA suffices for a domain and all its hosts).
 */
#pragma once

#include "dns/resolver.h"

#define DELIVERY_HOSTS_MAX     20u /* MX records beyond are left out, the worst first */
#define DELIVERY_ADDRESSES_MAX 16u /* of one host; half of them of either family */
#define DELIVERY_HOSTS_ARENA   ((size_t)8 * 1024 * 1024)
#define DELIVERY_REASON_MAX    300

struct delivery_ip {
	bool is_v6;
	uint8_t bytes[16]; /* network order; the first four for IPv4 */
};
bool delivery_ip_eq(const struct delivery_ip *a, const struct delivery_ip *b);
#define DELIVERY_IP_TEXT_MAX 46
void delivery_ip_print(const struct delivery_ip *ip, char text[DELIVERY_IP_TEXT_MAX]);
/* "192.0.2.1", "2001:db8::1"; no brackets, no scope. */
bool delivery_ip_parse(struct slice text, struct delivery_ip *ret_ip);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3). */
bool delivery_literal_parse(struct slice text, struct delivery_ip *ret_ip);

enum delivery_families {
	DELIVERY_BOTH,
	DELIVERY_IPV4,
	DELIVERY_IPV6,
};

/* Who asks, and about what. */
struct delivery_query {
	const struct dns_resolver *resolver;
	struct slice domain; /* A- or U-labels, or an address literal */
	int timeout_ms;      /* of each lookup; 0: DNS_LOOKUP_TIMEOUT_MS */
	enum delivery_families families;
	/* Names (A-labels, any case) and addresses of this host: RFC 5321 section 5.1 forbids to
	 * send to ourselves or to anybody less preferred. */
	const char *const *own_names;
	size_t n_own_names;
	const struct delivery_ip *own_ips;
	size_t n_own_ips;
	/* Random number below `bound`, for hosts of one preference. NULL: the order of the answer.
	 */
	uint32_t (*chance)(void *context, uint32_t bound);
	void *chance_context;
};

enum delivery_hosts_outcome {
	DELIVERY_HOSTS_FOUND,
	DELIVERY_HOSTS_DEFERRED, /* the DNS did not answer for now */
	DELIVERY_HOSTS_FAILED,   /* for good: no such domain, no mail there, no way but to us */
};

struct delivery_host {
	const char *name;    /* A-labels without a final dot; a literal's address as text */
	uint32_t preference; /* 0 without MX records */
	bool is_literal;
	struct delivery_ip literal;
};

/* What is known of the way from the domain to its hosts. A failure tells the enhanced code and
 * the reason as they go into a report (RFC 3463). */
struct delivery_hosts {
	enum delivery_hosts_outcome outcome;
	struct delivery_host v[DELIVERY_HOSTS_MAX];
	size_t n;
	bool has_mx;          /* false: the domain itself (or what it is an alias of) */
	bool null_mx;         /* RFC 7505 */
	bool loops;           /* we are the best of its servers, or the only one */
	const char *domain;   /* A-labels as asked, "" for what is no name */
	const char *expanded; /* after CNAMEs */
	/* Of the domain as asked and of its MX records, CNAMEs included: their minimum; BOGUS never
	 * comes with FOUND. */
	enum dns_security security;
	const struct dns_answer *answer; /* to the question for MX; NULL where nothing was asked */
	char enhanced[8];
	char why[DELIVERY_REASON_MAX];
};

/* Never fails but for LIMIT: the arena's budget. */
struct status delivery_hosts_find(const struct delivery_query *query, struct arena *arena,
                                  struct delivery_hosts *ret_hosts);

/* One host turned out to be ourselves: it and all of its preference or worse are taken out
 * (those tried already stay in front). When none is left behind `n_tried`, outcome says so. */
void delivery_hosts_drop(struct delivery_hosts *hosts, size_t n_tried, uint32_t preference);

struct delivery_addresses {
	enum delivery_hosts_outcome outcome; /* FAILED: the host has no address */
	struct delivery_ip v[DELIVERY_ADDRESSES_MAX];
	size_t n;
	bool own;                   /* one of them is ours */
	const char *expanded;       /* the host's name after CNAMEs */
	enum dns_security security; /* of the whole answer that the first address comes from */
	enum dns_security final_security;    /* of the address records alone, without the CNAMEs */
	const struct dns_answer *answers[2]; /* to all that was asked */
	size_t n_answers;
	char enhanced[8];
	char why[DELIVERY_REASON_MAX];
};

/* IPv6 first (RFC 6724), each family in the order of its answer, until order.h knows better. A
 * family whose lookup failed is missing when the other has addresses. LIMIT only. */
struct status delivery_addresses_find(const struct delivery_query *query,
                                      const struct delivery_host *host, struct arena *arena,
                                      struct delivery_addresses *ret_addresses);
