/* The validating resolver in this process: libunbound behind the interface of resolvers.
 *
 * It asks the servers of the world itself, or forwards to given ones, and validates what it hears
 * in either case. The machinery is made by the first lookup (a process that never looks up stays
 * small) and then lives in a thread of libunbound's own, so that no slow name delays another. All
 * lookups share one cache of limited size. Nothing but sockets is opened after dns_unbound_new.
 *
 * Work is bounded: lookups_max lookups are under way at one time, given-up ones included (they go
 * on to fill the cache); one more is a failure TEMPORARY at once. Of these, three quarters may be
 * for strangers, and an eighth of those for names of one party (dns_name_party): a domain whose
 * servers are silent takes no places of others. What a hostile zone may cost is libunbound's limits
 * (NSEC3 iterations, validation attempts, queries for one name).
 *
 * Where no server can be reached at all, a lookup fails at once unless the cache has it
 * (unbound_silence.h).
 */
#pragma once

#include "dns/resolver.h"
#include "os/address.h"

#define DNS_UNBOUND_SERVERS_MAX 16u
#define DNS_UNBOUND_ANCHORS_MAX 64u
#define DNS_UNBOUND_HINTS_MAX   64u
#define DNS_UNBOUND_CACHE_MIN   ((size_t)256 * 1024)
#define DNS_UNBOUND_CACHE       ((size_t)8 * 1024 * 1024)
#define DNS_UNBOUND_LOOKUPS     512u
#define DNS_UNBOUND_PARTIES     256u /* told apart, by a keyed hash */
/* Of a thread that looks up: libunbound has buffers of 64 KB on it. */
#define DNS_UNBOUND_STACK ((size_t)256 * 1024)

/* The root's keys of 2017 and 2024, for machines without Debian's dns-root-data. */
#define DNS_UNBOUND_ROOT_ANCHORS                                                                   \
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"     \
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n"

struct dns_unbound;

struct dns_unbound_options {
	/* Trust anchors as in a zone file: DS or DNSKEY records, each on one line (Debian's
	 * /usr/share/dns/root.key). Empty: nothing is validated, all is insecure. */
	struct slice anchors;
	/* Where recursion begins: A and AAAA records as in /usr/share/dns/root.hints. Empty:
	 * libunbound's own list. */
	struct slice hints;
	const struct os_address *servers; /* to forward to; none: full recursion */
	size_t n_servers;
	size_t cache_size;    /* bytes, about; 0: DNS_UNBOUND_CACHE */
	unsigned lookups_max; /* 0: DNS_UNBOUND_LOOKUPS */
};

/* Reads the options (they are copied), opens nothing. INVALID: no anchor in the text, a line that
 * is none, no address in the hints. LIMIT: too many of something. */
struct status dns_unbound_new(const struct dns_unbound_options *options,
                              struct dns_unbound **ret_unbound);
/* Nobody may be looking up. NULL is fine. */
void dns_unbound_free(struct dns_unbound *unbound);

/* May be used by many threads; valid until dns_unbound_free. */
const struct dns_resolver *dns_unbound_resolver(struct dns_unbound *unbound);
/* The same with the same cache, for lookups that strangers cause: however many silent names they
 * have looked up, a quarter of the places is left for others. */
const struct dns_resolver *dns_unbound_for_strangers(struct dns_unbound *unbound);
