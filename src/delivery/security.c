/* Which TLS, by rules in this order:
 *
 *   transport in clear    no TLS; a message with REQUIRETLS does not go that way
 *   TLS-Required: No      TLS where it works, whatever the recipient's policies say: they are
 *                         reported alone (RFC 8689 sections 4.2.2, 8.4)
 *   policy not known      later: a lookup for TLSA records failed (RFC 7672 section 2.1.2), the
 *                         announcement of a policy is forged
 *   policy against host   later: an enforced MTA-STS policy does not name it (RFC 8461
 *                         section 5)
 *   REQUIRETLS            the host's name must be proven, by DNSSEC or by an enforced policy, else
 *                         closed; a certificate by DANE or by authorities (RFC 8689
 *                         section 4.2.1)
 *   DANE, usable          TLS, a record must fit (RFC 7672 section 2.2)
 *   DANE, unusable        TLS
 *   MTA-STS, enforced     TLS, authorities must vouch for the host; beside DANE both count (RFC
 *                         8461 section 2)
 *   transport verified    TLS, authorities must vouch, or DANE where there is one
 *   nothing               TLS where it works (RFC 7435)
 *
 * Rules only add: none takes away what another demands. MTA-STS in testing mode demands nothing.
 */
#include "delivery/security.h"

const char *delivery_way_name(enum delivery_way way)
{
	static const char *const names[] = {
	        [DELIVERY_WAY_OPEN] = "open",
	        [DELIVERY_WAY_LATER] = "later",
	        [DELIVERY_WAY_CLOSED] = "closed",
	};
	return names[way];
}

const char *delivery_tls_need_name(enum delivery_tls_need need)
{
	static const char *const names[] = {
	        [DELIVERY_TLS_NEVER] = "never",
	        [DELIVERY_TLS_MAY] = "may",
	        [DELIVERY_TLS_MUST] = "must",
	};
	return names[need];
}

static void say(struct delivery_security *s, const char *step)
{
	ASSERT(s->n_steps < DELIVERY_SECURITY_STEPS_MAX);
	s->steps[s->n_steps++] = step;
	s->why = step;
}

static void close_way(struct delivery_security *s, enum delivery_way way, const char *enhanced,
                      const char *step)
{
	s->way = way;
	snprintf(s->enhanced, sizeof(s->enhanced), "%s", enhanced);
	say(s, step);
}

static void demand_tls(struct delivery_security *s)
{
	s->tls = DELIVERY_TLS_MUST;
	s->clear_allowed = false;
}

/* --- rules; true: nothing more is to be asked --- */

static bool in_clear(const struct delivery_given *g, struct delivery_security *s)
{
	if (g->floor != DELIVERY_FLOOR_CLEAR)
		return false;
	s->tls = DELIVERY_TLS_NEVER;
	s->clear_allowed = true;
	say(s, "the transport uses no TLS");
	if (g->wish == DELIVERY_WISH_REQUIRED)
		close_way(s, DELIVERY_WAY_CLOSED, "5.7.30",
		          "the message asks for verified TLS all the way (REQUIRETLS)");
	return true;
}

static void by_floor(const struct delivery_given *g, struct delivery_security *s)
{
	if (g->floor != DELIVERY_FLOOR_VERIFIED)
		return;
	demand_tls(s);
	if (g->dane == DELIVERY_DANE_USABLE)
		s->dane_required = true;
	else
		s->pkix_required = true;
	say(s, "the transport demands TLS and a verified certificate");
}

static bool optional(const struct delivery_given *g, struct delivery_security *s)
{
	if (g->wish != DELIVERY_WISH_OPTIONAL)
		return false;
	s->dane_reported = g->dane == DELIVERY_DANE_USABLE || g->dane == DELIVERY_DANE_UNUSABLE;
	s->sts_reported = g->sts == DELIVERY_STS_TESTING || g->sts == DELIVERY_STS_ENFORCED;
	say(s, "the message asks to be sent even without TLS (TLS-Required: No): policies of the "
	       "recipient's domain do not count");
	by_floor(g, s); /* that is our own policy */
	return true;
}

static bool unknown(const struct delivery_given *g, struct delivery_security *s)
{
	if (g->dane == DELIVERY_DANE_FAILED)
		close_way(s, DELIVERY_WAY_LATER, "4.4.3",
		          "whether the host has TLSA records (DANE) cannot be found out now");
	else if (g->sts == DELIVERY_STS_LATER)
		close_way(s, DELIVERY_WAY_LATER, "4.4.3",
		          "whether the domain has an MTA-STS policy cannot be found out now");
	else
		return false;
	return true;
}

static bool mismatch(const struct delivery_given *g, struct delivery_security *s)
{
	if (g->sts != DELIVERY_STS_ENFORCED || g->sts_matches)
		return false;
	s->sts_reported = true;
	close_way(s, DELIVERY_WAY_LATER, "4.7.5",
	          "the domain's MTA-STS policy (enforce) does not name this host");
	return true;
}

static bool required(const struct delivery_given *g, struct delivery_security *s)
{
	if (g->wish != DELIVERY_WISH_REQUIRED)
		return false;
	say(s, "the message asks for verified TLS all the way (REQUIRETLS)");
	demand_tls(s);
	/* RFC 8689 section 5: a notification is not lost for the sake of the extension. */
	s->requiretls_needed = !g->null_sender;
	if (g->mx == DELIVERY_MX_INSECURE && g->sts != DELIVERY_STS_ENFORCED) {
		close_way(s, DELIVERY_WAY_CLOSED, "5.7.30",
		          "neither DNSSEC nor an enforced MTA-STS policy proves that the host is "
		          "the domain's");
		return true;
	}
	s->pkix_required = g->dane != DELIVERY_DANE_USABLE;
	return false;
}

static void by_dane(const struct delivery_given *g, struct delivery_security *s)
{
	switch (g->dane) {
	case DELIVERY_DANE_NONE:
	case DELIVERY_DANE_FAILED:
		return;
	case DELIVERY_DANE_UNUSABLE:
		demand_tls(s);
		s->dane_reported = true;
		say(s, "TLSA records (DANE) demand TLS; none of them can be used to verify");
		return;
	case DELIVERY_DANE_USABLE:
		demand_tls(s);
		s->dane_required = true;
		say(s, "TLSA records (DANE) demand TLS and a certificate that fits them");
		return;
	}
}

static void by_sts(const struct delivery_given *g, struct delivery_security *s)
{
	switch (g->sts) {
	case DELIVERY_STS_NONE:
	case DELIVERY_STS_LATER:
		return;
	case DELIVERY_STS_TESTING:
		s->sts_reported = true;
		say(s, g->sts_matches
		               ? "the domain's MTA-STS policy (testing) demands nothing: what is "
		                 "against it is reported"
		               : "the domain's MTA-STS policy (testing) does not name this host, "
		                 "which is reported");
		return;
	case DELIVERY_STS_ENFORCED:
		demand_tls(s);
		s->pkix_required = true;
		say(s, "the domain's MTA-STS policy (enforce) demands TLS and a certificate that "
		       "authorities vouch for");
		return;
	}
}

void delivery_security_decide(const struct delivery_given *given,
                              struct delivery_security *ret_security)
{
	struct delivery_security *s = ret_security;
	*s = (struct delivery_security){.tls = DELIVERY_TLS_MAY, .clear_allowed = true, .why = ""};
	if (in_clear(given, s) || optional(given, s) || unknown(given, s) || mismatch(given, s) ||
	    required(given, s))
		return;
	by_dane(given, s);
	by_sts(given, s);
	by_floor(given, s);
	if (s->n_steps == 0)
		say(s, "nothing demands TLS: it is used where it works (opportunistic)");
}

/* --- when a session came as far as TLS --- */

static struct delivery_judgement not_now(const char *enhanced, const char *why)
{
	struct delivery_judgement judgement = {.next = DELIVERY_NOT_NOW, .why = why};
	snprintf(judgement.enhanced, sizeof(judgement.enhanced), "%s", enhanced);
	return judgement;
}

struct delivery_judgement delivery_security_judge(const struct delivery_security *security,
                                                  enum delivery_tls_progress progress,
                                                  bool requiretls_offered)
{
	bool must = security->tls == DELIVERY_TLS_MUST;
	switch (progress) {
	case DELIVERY_TLS_NOT_CONNECTED:
		return not_now("4.4.1", "the host cannot be reached");
	case DELIVERY_TLS_NOT_OFFERED:
		if (must)
			return not_now("4.7.4", "TLS is demanded and the server does not offer it");
		return (struct delivery_judgement){.next = DELIVERY_SEND,
		                                   .why = "in clear: the server offers no TLS"};
	case DELIVERY_TLS_NO_HANDSHAKE:
		if (must)
			return not_now("4.7.5", "TLS is demanded and its handshake failed");
		return (struct delivery_judgement){
		        .next = DELIVERY_AGAIN_IN_CLEAR,
		        .why = "in clear, on a new connection: the handshake failed"};
	case DELIVERY_TLS_DONE:
		if (security->requiretls_needed && !requiretls_offered)
			return (struct delivery_judgement){
			        .next = DELIVERY_NOT_HERE,
			        .enhanced = "5.7.30",
			        .why = "the server does not offer REQUIRETLS"};
		return (struct delivery_judgement){.next = DELIVERY_SEND, .why = "over TLS"};
	}
	BUG("an unknown progress");
}

/* --- givens --- */

enum delivery_mx delivery_mx_of(const struct delivery_hosts *hosts)
{
	if (hosts->security == DNS_SECURE)
		return DELIVERY_MX_SECURE;
	bool is_itself = !hosts->has_mx && strcmp(hosts->expanded, hosts->domain) == 0;
	return is_itself ? DELIVERY_MX_ITSELF : DELIVERY_MX_INSECURE;
}

enum delivery_sts delivery_sts_of(enum mtasts_use use, const struct mtasts_policy *policy,
                                  const char *host, bool *ret_matches)
{
	*ret_matches = false;
	if (use == MTASTS_USE_LATER)
		return DELIVERY_STS_LATER;
	if (use == MTASTS_USE_NOTHING || policy->mode == MTASTS_MODE_NONE)
		return DELIVERY_STS_NONE;
	*ret_matches = mtasts_policy_matches(policy, slice_str(host));
	return policy->mode == MTASTS_MODE_ENFORCE ? DELIVERY_STS_ENFORCED : DELIVERY_STS_TESTING;
}
