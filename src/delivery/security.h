/* What TLS a message needs on its way to one mail server, from all that has a say: the recipient
 * domain's DANE (RFC 7672) and MTA-STS (RFC 8461), the message's REQUIRETLS or `TLS-Required: No`
 * (RFC 8689), the transport of our config; and without any of them opportunistic TLS (RFC 7435).
 *
 *	delivery_security_decide(&given, &security);
 *	switch (security.way) {
 *	case DELIVERY_WAY_OPEN:   connect; security says what TLS must be
 *	case DELIVERY_WAY_LATER:  not this host, for now; the next one may do
 *	case DELIVERY_WAY_CLOSED: not this host; for good, unless another one may do
 *	}
 *
 * A pure function of values. Every rule that had a say is told in words.
 */
#pragma once

#include "delivery/dane.h"
#include "delivery/mtasts_cache.h"

#define DELIVERY_SECURITY_STEPS_MAX 6u

/* What the transport asks for, whatever the message and its recipients say. */
enum delivery_floor {
	DELIVERY_FLOOR_CLEAR, /* never TLS */
	DELIVERY_FLOOR_OPPORTUNISTIC,
	DELIVERY_FLOOR_VERIFIED, /* TLS and a certificate that is verified */
};

/* What the message asks for. REQUIRED wins over OPTIONAL (RFC 8689 section 4.1). */
enum delivery_wish {
	DELIVERY_WISH_NONE,
	DELIVERY_WISH_REQUIRED, /* REQUIRETLS */
	DELIVERY_WISH_OPTIONAL, /* TLS-Required: No */
};

enum delivery_sts {
	DELIVERY_STS_NONE, /* no policy, or of mode none */
	DELIVERY_STS_TESTING,
	DELIVERY_STS_ENFORCED,
	DELIVERY_STS_LATER, /* it cannot be told for now (mtasts_plan: MTASTS_USE_LATER) */
};

/* How sure it is that the host is one of the domain's. */
enum delivery_mx {
	DELIVERY_MX_INSECURE,
	DELIVERY_MX_SECURE, /* DNSSEC */
	DELIVERY_MX_ITSELF, /* no MX record and no alias: the host's name is the domain */
};

struct delivery_given {
	enum delivery_floor floor;
	enum delivery_wish wish;
	bool null_sender; /* with REQUIRED: a notification (RFC 8689 section 5) */
	enum delivery_mx mx;
	enum delivery_dane_state dane;
	enum delivery_sts sts;
	bool sts_matches; /* the policy names the host */
};

enum delivery_way {
	DELIVERY_WAY_OPEN,
	DELIVERY_WAY_LATER,
	DELIVERY_WAY_CLOSED,
};

enum delivery_tls_need {
	DELIVERY_TLS_NEVER,
	DELIVERY_TLS_MAY,  /* where it is offered; in clear otherwise, and when it fails */
	DELIVERY_TLS_MUST, /* STARTTLS is asked for even when it is not offered */
};

struct delivery_security {
	enum delivery_way way;
	char enhanced[8]; /* of LATER and CLOSED, for reports */
	enum delivery_tls_need tls;
	bool pkix_required; /* authorities must vouch for the host's name */
	bool dane_required; /* a TLSA record must fit */
	bool clear_allowed; /* as the last resort, on a new connection when the handshake failed */
	/* The server must offer REQUIRETLS, or nothing is sent (5.7.30). Without it but with
	 * REQUIRED (a null sender) it is used where it is offered. */
	bool requiretls_needed;
	/* What is reported and not demanded: a failure goes into TLS reports alone. */
	bool sts_reported, dane_reported;
	const char *steps[DELIVERY_SECURITY_STEPS_MAX]; /* static sentences, in order */
	size_t n_steps;
	const char *why; /* the conclusion */
};

void delivery_security_decide(const struct delivery_given *given,
                              struct delivery_security *ret_security);

/* --- when a session came as far as TLS --- */

enum delivery_next {
	DELIVERY_SEND,           /* over what there is now: TLS or clear */
	DELIVERY_AGAIN_IN_CLEAR, /* the handshake failed: a new connection without TLS */
	DELIVERY_NOT_NOW,        /* not to this host; the next one may do */
	DELIVERY_NOT_HERE,       /* for good, unless another host may do */
};

/* How far it came. */
enum delivery_tls_progress {
	DELIVERY_TLS_NOT_CONNECTED,
	DELIVERY_TLS_NOT_OFFERED,  /* no STARTTLS, or it was refused: the connection is in clear */
	DELIVERY_TLS_NO_HANDSHAKE, /* it failed: the connection is lost */
	DELIVERY_TLS_DONE,
};

struct delivery_judgement {
	enum delivery_next next;
	char enhanced[8]; /* of NOT_NOW and NOT_HERE */
	const char *why;  /* static */
};

/* Of a security whose way is open, with TLS as it demands. requiretls_offered: behind TLS. */
struct delivery_judgement delivery_security_judge(const struct delivery_security *security,
                                                  enum delivery_tls_progress progress,
                                                  bool requiretls_offered);

const char *delivery_way_name(enum delivery_way way);            /* "open", "later", "closed" */
const char *delivery_tls_need_name(enum delivery_tls_need need); /* "never", "may", "must" */

/* The way from the domain to the host, as a given. */
enum delivery_mx delivery_mx_of(const struct delivery_hosts *hosts);
/* What a search for a policy came to; policy may be NULL where use is none. *ret_matches: it names
 * the host. */
enum delivery_sts delivery_sts_of(enum mtasts_use use, const struct mtasts_policy *policy,
                                  const char *host, bool *ret_matches);
