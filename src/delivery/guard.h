/* All that guards mail to one host, in one place: its DANE, the domain's MTA-STS, the message's
 * wish, what follows from them for TLS, and what is reported afterwards.
 *
 *	delivery_hosts_find, mtasts_find                         once for a domain
 *	for each host: delivery_addresses_find
 *		TRY(delivery_guard_find(&query, host, &addresses, &arena, &guard));
 *		switch (guard.security.way) ...
 *		const struct tls_target target = delivery_guard_target(&guard, "host:25");
 *		... connect, STARTTLS with that target as security.tls says ...
 *		delivery_guard_report(&guard, &session, &facts, &arena);
 *		judgement = delivery_security_judge(&guard.security, session.progress, offered);
 *
 * Memory is the arena's.
 */
#pragma once

#include "delivery/mtasts_find.h"
#include "delivery/security.h"
#include "delivery/tls_facts.h"

/* The same for all hosts of an attempt. */
struct delivery_guard_query {
	const struct dns_resolver *resolver;
	int timeout_ms;                     /* of each lookup; 0: DNS_LOOKUP_TIMEOUT_MS */
	const struct delivery_hosts *hosts; /* NULL: the config names the host */
	const struct mtasts_found *sts;     /* NULL: not looked for */
	uint16_t port;
	enum delivery_floor floor;
	enum delivery_wish wish;
	bool null_sender;
};

struct delivery_guard {
	const char *host;
	const char *domain; /* the recipients'; the host's name where the config names it */
	struct delivery_dane dane;
	struct delivery_given given;
	struct delivery_security security;
	const struct mtasts_found *sts;
};

/* Looks for TLSA records, but not where they could change nothing: a transport without TLS. LIMIT
 * only: the arena's budget. */
struct status delivery_guard_find(const struct delivery_guard_query *query,
                                  const struct delivery_host *host,
                                  const struct delivery_addresses *addresses, struct arena *arena,
                                  struct delivery_guard *ret_guard);

/* For a connection to the host; points into the guard. session as in struct tls_target. */
struct tls_target delivery_guard_target(const struct delivery_guard *guard, const char *session);

/* What a message is protected by on a connection, the least first. */
#define DELIVERY_PROTECTION_LIST(X)                                                                \
	X(NOT_SENT, "")                                                                            \
	X(CLEAR, "clear")                                                                          \
	X(UNVERIFIED, "unverified")   /* TLS with whoever answered */                              \
	X(AUTHORITIES, "authorities") /* as the message or our config demands */                   \
	X(STS, "mta-sts")                                                                          \
	X(DANE, "dane")                                                                            \
	X(DANE_AND_STS, "dane and mta-sts")

enum delivery_protection {
#define X(id, name) DELIVERY_PROTECTION_##id,
	DELIVERY_PROTECTION_LIST(X)
#undef X
};
const char *delivery_protection_name(enum delivery_protection protection);

/* Of a session that mail was sent over. A check counts only where it was demanded: without that, a
 * server that fails it would have got the mail as well. */
enum delivery_protection delivery_guard_protection(const struct delivery_guard *guard,
                                                   const struct delivery_tls_session *session);
/* All that was demanded or not, as sentences of one line. */
void delivery_guard_print(const struct delivery_guard *guard, struct buf *out);

/* Adds what the session was under each policy that applies, or that there is none. Also for a host
 * that was not connected to since its way is not open. */
void delivery_guard_report(const struct delivery_guard *guard,
                           const struct delivery_tls_session *session,
                           struct delivery_tls_facts *facts, struct arena *arena);
/* Of the domain: a policy that was announced and could not be had (found->fetch). Once an attempt.
 */
void delivery_guard_report_fetch(const struct mtasts_found *found, struct delivery_tls_facts *facts,
                                 struct arena *arena);
