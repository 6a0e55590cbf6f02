/* DANE for one mail server (RFC 7672): what TLSA records in the DNS demand of TLS with it, and
 * every step to that conclusion in words.
 *
 *	TRY(delivery_dane_find(&query, &arena, &dane));
 *	switch (dane.state) {
 *	case DELIVERY_DANE_NONE:     nothing: TLS as without DANE
 *	case DELIVERY_DANE_UNUSABLE: TLS, whatever the certificate (section 2.2)
 *	case DELIVERY_DANE_USABLE:   TLS and a certificate that fits dane.tls, or no mail that way
 *	case DELIVERY_DANE_FAILED:   it is not known: the server counts as unreachable for now
 *	}
 *
 * Only where all of the way to the server is secure, MX records included; the records of a signed
 * host behind unsigned MX records are left alone (docs/decisions/dane.md).
 *
 * Everything lives in the arena, the answers of the DNS included, each with its DNSSEC status.
 */
#pragma once

#include "delivery/hosts.h"
#include "tls/dane.h"

#define DELIVERY_DANE_STEPS_MAX   16u
#define DELIVERY_DANE_ANSWERS_MAX 8u /* MX, AAAA, A and two of TLSA, at most */

enum delivery_dane_state {
	DELIVERY_DANE_NONE,
	DELIVERY_DANE_UNUSABLE,
	DELIVERY_DANE_USABLE,
	DELIVERY_DANE_FAILED,
};
const char *delivery_dane_state_name(enum delivery_dane_state state); /* "usable" */

struct delivery_dane_query {
	const struct dns_resolver *resolver;
	int timeout_ms; /* of each lookup; 0: DNS_LOOKUP_TIMEOUT_MS */
	/* The way to the host; NULL for one that a config names, which no MX record led to. */
	const struct delivery_hosts *hosts;
	const struct delivery_host *host;
	const struct delivery_addresses *addresses; /* of the host, FOUND */
	uint16_t port;
};

struct delivery_dane {
	enum delivery_dane_state state;
	const char *base; /* TLSA base domain (section 2.2.3); "" without records */
	/* Records and reference names, the base domain first: of which the SNI is the first
	 * (section 8.1). With UNUSABLE, too, for the log. */
	struct tls_dane tls;
	const struct tls_tlsa_finding *findings; /* of each record, before any handshake */
	size_t n_usable;
	const struct dns_answer *tlsa; /* that the records are from, or that failed; else NULL */
	const struct dns_answer *answers[DELIVERY_DANE_ANSWERS_MAX]; /* all that it rests on */
	size_t n_answers;
	const char *steps[DELIVERY_DANE_STEPS_MAX]; /* sentences, in order */
	size_t n_steps;
	const char *why; /* the last of them: the conclusion */
};

/* Blocks for the lookups of TLSA records: one or two, or none where they cannot be secure. LIMIT
 * only: the arena's budget. */
struct status delivery_dane_find(const struct delivery_dane_query *query, struct arena *arena,
                                 struct delivery_dane *ret_dane);
