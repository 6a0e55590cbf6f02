/* One delivery attempt: a message to the recipients of one destination, by one transport.
 *
 * Mail is guarded on its way as the recipient's domain, the message and the config demand
 * (delivery/guard.h; courier_guard.c).
 *
 * What the room adds is around it: the door, threads, the config, the resolver, the vault. So the
 * same code runs in a test program against servers of a test's own.
 *
 *	struct courier *courier = courier_new(&options);
 *	courier_run(courier, &job, &arena, &reply);     by many threads at once
 *	courier_free(courier);
 *
 * How an attempt goes (courier_attempt.c): transport, hosts in their order (RFC 5321 section 5.1),
 * of each a kept connection or a new one (courier_connection.c), the message. The next host is
 * tried when one failed before it had accepted MAIL, not after it has judged a recipient. Every
 * recipient gets one outcome, every host that was tried an entry.
 */
#pragma once

#include "config/config.h"
#include "delivery/mtasts_find.h"
#include "dns/resolver.h"
#include "os/clock.h"

#include "courier.pb-c.h"

#define COURIER_RECIPIENTS_MAX   1000u            /* of one attempt */
#define COURIER_HOSTS_TRIED_MAX  40u              /* entries; further ones are left out */
#define COURIER_NEW_HOST_MS      (10 * 60 * 1000) /* no further host is begun after it */
#define COURIER_CONNECT_MS       30000            /* to all addresses of a host together */
#define COURIER_CONNECT_EACH_MS  20000
#define COURIER_PROXY_MS         30000               /* a SOCKS proxy's work for one address */
#define COURIER_IDLE_MS          5000                /* a connection is kept for the next attempt */
#define COURIER_IDLE_MAX         64u                 /* connections kept at a time */
#define COURIER_IDLE_PER_KEY_MAX 8u                  /* to one host */
#define COURIER_REPLY_BUDGET     ((size_t)80 * 1024) /* texts in a reply */
#define COURIER_REPLY_MAX        ((size_t)120 * 1024)       /* a packed reply: fits a packet */
#define COURIER_ARENA_MAX        ((size_t)16 * 1024 * 1024) /* a fit budget for courier_run */

/* How long an attempt can take at most; who waits for it waits a little longer. Every wait for a
 * server's word ends with it, whatever its own timeout. */
#define COURIER_ATTEMPT_MAX_MS (100 * 60 * 1000)

struct courier_options {
	const struct clock *clock;
	struct hash_key key; /* random */
	int bundle_fd; /* the system's certificates of authorities (PEM), taken; -1: there are none
	                */
	/* The secret of that name, into the arena; the caller wipes it. */
	struct status (*secret)(void *context, uint64_t cid, struct slice name, struct arena *arena,
	                        struct slice *ret_secret);
	/* How policies of MTA-STS are fetched; NULL: none are looked for. And where they are kept;
	 * NULL: nowhere. */
	const struct https_fetcher *fetcher;
	const struct mtasts_store *sts_store;
	/* For lookups that no attempt waits for; NULL: there are none. */
	const struct dns_resolver *resolver;
	/* Takes what is to be told in TLS reports about mail to that domain; copies it. NULL:
	 * nothing is. */
	void (*report)(void *context, const char *domain, const struct delivery_tls_facts *facts);
	void *context;
};

struct courier;

struct courier *courier_new(const struct courier_options *options);
/* Says goodbye on kept connections. No attempt is under way any more. */
void courier_free(struct courier *courier);

/* Texts of a transport's own `ca` file, read beforehand; at most CONFIG_TRANSPORTS_MAX. A path that
 * was never added has no certificates: nothing is verified by it. */
void courier_add_ca(struct courier *courier, const char *path, struct slice pem);
/* Kept connections are closed: the config that they were made under is gone. */
void courier_forget(struct courier *courier);

struct courier_job {
	uint64_t cid;
	const struct config *config;
	const struct dns_resolver *resolver;
	const Door__Attempt *attempt; /* checked here, as hostile as any message between rooms */
	int body_fd;                  /* stays the caller's */
};

/* Blocks until every recipient has an outcome. The reply's parts live in the arena. Its status is
 * not OK when nothing was tried: PROTOCOL for a malformed attempt. */
void courier_run(struct courier *courier, const struct courier_job *job, struct arena *arena,
                 Door__CourierReply *ret_reply);
