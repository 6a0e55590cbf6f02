/* Whether anybody answers at all. Where the network is down nobody is to wait for each name in
 * turn, but silent servers of strangers must not make it seem down: so when a lookup has waited for
 * a while and nothing was heard meanwhile, the forwarders, or some root servers, are asked
 * directly. While none of these answers (that is asked again and again) lookups wait for what the
 * cache has only. */
#pragma once

#include "dns/resolver.h"
#include "os/address.h"

#include <pthread.h>

#define DNS_SILENCE_SERVERS_MAX 64u
#define DNS_SILENCE_PATIENCE_MS 400  /* that a lookup waits before anybody is suspected */
#define DNS_SILENCE_HEARD_MS    2000 /* so long ago is not silent */
#define DNS_SILENCE_CACHE_MS    50   /* that a lookup waits while all is silent */

struct dns_silence {
	struct os_address servers[DNS_SILENCE_SERVERS_MAX];
	size_t n_servers; /* 0: some of the root's */
	bool forwarders;  /* any answer of theirs will do; a root server has to know the root */
	size_t turn;
	pthread_mutex_t *lock;          /* the resolver's; guards what follows */
	void (*changed)(void *context); /* called with the lock held when it has become silent */
	void *context;
	pthread_t thread;
	pthread_cond_t cond;
	bool running, suspected, stop;
	bool silent;
	int64_t last_heard_ms; /* monotonic */
};

void dns_silence_init(struct dns_silence *silence, pthread_mutex_t *lock,
                      void (*changed)(void *context), void *context);
void dns_silence_done(struct dns_silence *silence); /* without the lock; waits for a moment */
/* One of those to ask; further ones than DNS_SILENCE_SERVERS_MAX are left out. */
void dns_silence_add_server(struct dns_silence *silence, const struct os_address *server);

/* With the lock held: */
void dns_silence_suspect(struct dns_silence *silence); /* a lookup waits */
void dns_silence_heard(struct dns_silence *silence);   /* the network has answered */
