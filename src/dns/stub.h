/* Asking given resolvers over UDP and TCP, without validating: believing their AD bit, or nothing.
 *
 * Each lookup has sockets of its own (a random port and id each) and no cache: such a resolver is
 * near, and has one.
 */
#pragma once

#include "dns/resolver.h"
#include "os/address.h"

#define DNS_STUB_SERVERS_MAX 16u
#define DNS_STUB_TRY_MS      2000 /* for one server to answer, before the next is asked */
#define DNS_STUB_ROUNDS      2u   /* times each server is asked */
#define DNS_STUB_STRAYS_MAX  32u  /* datagrams passed over in one try: forged or late */

struct dns_stub {
	struct dns_resolver resolver;
	struct os_address servers[DNS_STUB_SERVERS_MAX];
	size_t n_servers;
	bool trust; /* the AD bit of an answer means secure (RFC 6840 section 5.8) */
};

/* Nothing to end. Servers beyond DNS_STUB_SERVERS_MAX are left out. `trust` is for a resolver that
 * is beyond doubt and reached over a path that is: on this machine, or as the administrator says.
 */
void dns_stub_init(struct dns_stub *stub, const struct os_address *servers, size_t n_servers,
                   bool trust);

/* The servers of a resolv.conf(5): its text, read elsewhere. *ret_trust_ad tells of `options
 * trust-ad`. None: those that libc would ask, 127.0.0.1. */
void dns_stub_read_resolv_conf(struct slice text, struct os_address servers[DNS_STUB_SERVERS_MAX],
                               size_t *ret_n, bool *ret_trust_ad);
