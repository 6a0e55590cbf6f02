/* From a host to its guard, and from a session back to the facts of reports. */
#include "delivery/guard.h"

static struct status find_dane(const struct delivery_guard_query *query,
                               const struct delivery_host *host,
                               const struct delivery_addresses *addresses, struct arena *arena,
                               struct delivery_dane *dane)
{
	const struct delivery_dane_query question = {
	        .resolver = query->resolver,
	        .timeout_ms = query->timeout_ms,
	        .hosts = query->hosts,
	        .host = host,
	        .addresses = addresses,
	        .port = query->port,
	};
	if (query->floor != DELIVERY_FLOOR_CLEAR)
		return delivery_dane_find(&question, arena, dane);
	*dane = (struct delivery_dane){.base = "", .why = ""};
	return ok();
}

struct status delivery_guard_find(const struct delivery_guard_query *query,
                                  const struct delivery_host *host,
                                  const struct delivery_addresses *addresses, struct arena *arena,
                                  struct delivery_guard *ret_guard)
{
	struct delivery_guard guard = {
	        .host = host->name,
	        .domain = query->hosts ? query->hosts->domain : host->name,
	        .sts = query->sts,
	        .given = {.floor = query->floor,
	                  .wish = query->wish,
	                  .null_sender = query->null_sender,
	                  /* Whom the config names needs no proof. */
	                  .mx = query->hosts ? delivery_mx_of(query->hosts) : DELIVERY_MX_ITSELF},
	};
	TRY(find_dane(query, host, addresses, arena, &guard.dane));
	guard.given.dane = guard.dane.state;
	if (query->sts)
		guard.given.sts = delivery_sts_of(query->sts->use, &query->sts->entry.policy,
		                                  host->name, &guard.given.sts_matches);
	delivery_security_decide(&guard.given, &guard.security);
	*ret_guard = guard;
	return ok();
}

struct tls_target delivery_guard_target(const struct delivery_guard *guard, const char *session)
{
	bool has_dane = guard->dane.state == DELIVERY_DANE_USABLE;
	return (struct tls_target){
	        /* RFC 7672 section 8.1: with DANE the SNI is the base domain, else the host
	         * (RFC 8461 section 7.1), which is what authorities must have vouched for. */
	        .name = guard->host,
	        .pkix_name = guard->host,
	        .verified = guard->security.pkix_required,
	        .dane = has_dane ? &guard->dane.tls : NULL,
	        .dane_required = guard->security.dane_required,
	        .session = session,
	};
}

const char *delivery_protection_name(enum delivery_protection protection)
{
	static const char *const names[] = {
#define X(id, name) [DELIVERY_PROTECTION_##id] = name,
	        DELIVERY_PROTECTION_LIST(X)
#undef X
	};
	return names[protection];
}

enum delivery_protection delivery_guard_protection(const struct delivery_guard *guard,
                                                   const struct delivery_tls_session *session)
{
	const struct delivery_security *security = &guard->security;
	bool by_dane = security->dane_required && session->verdict.dane.good;
	bool by_pkix = security->pkix_required && session->verdict.pkix.good;
	bool by_sts = by_pkix && guard->given.sts == DELIVERY_STS_ENFORCED;
	if (session->progress != DELIVERY_TLS_DONE)
		return DELIVERY_PROTECTION_CLEAR;
	if (by_dane)
		return by_sts ? DELIVERY_PROTECTION_DANE_AND_STS : DELIVERY_PROTECTION_DANE;
	if (by_pkix)
		return by_sts ? DELIVERY_PROTECTION_STS : DELIVERY_PROTECTION_AUTHORITIES;
	return DELIVERY_PROTECTION_UNVERIFIED;
}

void delivery_guard_print(const struct delivery_guard *guard, struct buf *out)
{
	for (size_t i = 0; i < guard->security.n_steps; i++)
		buf_printf(out, "%s%s", i > 0 ? "; " : "", guard->security.steps[i]);
}

void delivery_guard_report(const struct delivery_guard *guard,
                           const struct delivery_tls_session *session,
                           struct delivery_tls_facts *facts, struct arena *arena)
{
	const struct delivery_given *given = &guard->given;
	bool has_sts = given->sts == DELIVERY_STS_TESTING || given->sts == DELIVERY_STS_ENFORCED;
	bool has_dane = given->dane != DELIVERY_DANE_NONE;
	if (given->floor == DELIVERY_FLOOR_CLEAR)
		return; /* no TLS was tried */
	if (has_sts)
		delivery_tls_add_sts(facts,
		                     delivery_tls_policy_of_sts(guard->domain,
		                                                guard->sts->entry.body,
		                                                &guard->sts->entry.policy, arena),
		                     !given->sts_matches, session, arena);
	if (has_dane)
		delivery_tls_add_dane(facts, &guard->dane, session, arena);
	if (!has_sts && !has_dane)
		delivery_tls_add_none(facts, guard->domain, session, arena);
}

void delivery_guard_report_fetch(const struct mtasts_found *found, struct delivery_tls_facts *facts,
                                 struct arena *arena)
{
	const struct mtasts_entry *entry = &found->entry;
	bool has_policy = found->use == MTASTS_USE_POLICY; /* one that has expired counts no more */
	/* RFC 8461 section 6: not of a policy of mode none. */
	if (!found->fetch.made ||
	    (entry->state.has_policy && entry->state.mode == MTASTS_MODE_NONE))
		return;
	delivery_tls_add_fetch(facts, entry->domain,
	                       has_policy ? delivery_tls_policy_of_sts(entry->domain, entry->body,
	                                                               &entry->policy, arena)
	                                  : NULL,
	                       found->fetch.result, found->fetch.why, arena);
}
