/* What guards an attempt's mail on its way (delivery/guard.h): the domain's MTA-STS policy, looked
 * for once; of each host its TLSA records and what all of it demands of TLS; and what is told of
 * that to those who want reports (RFC 8460).
 *
 * A policy that is old but holds is used at once, and fetched anew behind the attempt, in a thread
 * of its own: mail does not wait for it.
 *
 * Limits: REFRESHES_MAX of these at a time; one more is left to the next attempt.
 */
#include "rooms/courier_attempt.h"

#include "os/log.h"
#include "os/process.h"

#define REFRESH_STACK ((size_t)256 * 1024)
#define REFRESHES_MAX 8u

/* --- the domain --- */

static struct mtasts_query sts_query(const struct courier_attempt *a)
{
	return (struct mtasts_query){
	        .resolver = a->query.resolver,
	        .clock = a->courier->options.clock,
	        .domain = slice_str(a->in->domain),
	        .families = a->query.families,
	        .store = a->courier->options.sts_store,
	        .fetcher = a->courier->options.fetcher,
	        .authorities = courier_tls_authorities(&a->courier->tls,
	                                               a->transport ? a->transport->ca.s : ""),
	};
}

/* A refresh of a policy, behind the attempt that found it due. */
struct refresh {
	struct courier *courier;
	struct mtasts_query query;
	char *domain;
};

static void run_refresh(void *context)
{
	struct refresh *refresh = context;
	struct courier *courier = refresh->courier;
	struct delivery_tls_facts *facts = base_alloc(sizeof(*facts));
	struct mtasts_found found;
	struct arena arena;
	arena_init(&arena, MTASTS_ARENA);
	struct status status = mtasts_find(&refresh->query, &arena, &found);
	if (is_ok(status) && found.refresh_due)
		status = mtasts_refresh(&refresh->query, &arena, &found);
	if (is_ok(status))
		delivery_guard_report_fetch(&found, facts, &arena);
	if (facts->n > 0 && courier->options.report)
		courier->options.report(courier->options.context, refresh->domain, facts);
	arena_done(&arena);
	base_free(facts);
	base_free(refresh->domain);
	base_free(refresh);
	courier_leave(courier);
}

/* The next attempt would find it due as well, and begin it again: one at a time is enough. */
static void start_refresh(struct courier_attempt *a)
{
	const struct thread_options options = {.name = "policy", .stack_size = REFRESH_STACK};
	struct courier *courier = a->courier;
	if (!courier->options.resolver || !courier_enter(courier, REFRESHES_MAX))
		return;
	struct refresh *refresh = base_alloc(sizeof(*refresh));
	*refresh = (struct refresh){.courier = courier, .query = sts_query(a)};
	refresh->domain = base_strdup(a->in->domain);
	refresh->query.domain = slice_str(refresh->domain);
	refresh->query.resolver = courier->options.resolver;
	if (is_ok(thread_start(&options, run_refresh, refresh, NULL)))
		return;
	base_free(refresh->domain);
	base_free(refresh);
	courier_leave(courier);
}

bool courier_find_policy(struct courier_attempt *a)
{
	const struct mtasts_query query = sts_query(a);
	if (!query.fetcher || a->floor == DELIVERY_FLOOR_CLEAR)
		return true;
	struct mtasts_found *found = ARENA_NEW(a->arena, struct mtasts_found);
	if (!found || !is_ok(mtasts_find(&query, a->arena, found)))
		return false;
	a->sts = found;
	delivery_guard_report_fetch(found, a->facts, a->arena);
	if (found->refresh_due)
		start_refresh(a);
	return true;
}

/* --- a host --- */

static enum delivery_wish wish_of(const Door__Attempt *in)
{
	if (in->require_tls)
		return DELIVERY_WISH_REQUIRED;
	return in->tls_optional ? DELIVERY_WISH_OPTIONAL : DELIVERY_WISH_NONE;
}

struct delivery_guard *courier_guard_host(struct courier_attempt *a,
                                          const struct delivery_host *host,
                                          const struct delivery_addresses *addresses, uint16_t port)
{
	const struct delivery_guard_query query = {
	        .resolver = a->query.resolver,
	        .hosts = a->hosts_found,
	        .sts = a->sts,
	        .port = port,
	        .floor = a->floor,
	        .wish = wish_of(a->in),
	        .null_sender = a->in->sender[0] == 0,
	};
	struct delivery_guard *guard = ARENA_NEW(a->arena, struct delivery_guard);
	return guard && is_ok(delivery_guard_find(&query, host, addresses, a->arena, guard)) ? guard
	                                                                                     : NULL;
}

/* --- what is told --- */

void courier_report_lookup(struct courier_attempt *a, const struct delivery_hosts *hosts)
{
	if (hosts->answer)
		(void)delivery_tls_add_lookup(a->facts, hosts->domain, "", hosts->answer, a->arena);
}

void courier_report_addresses(struct courier_attempt *a, const char *host,
                              const struct delivery_addresses *addresses)
{
	const char *domain = a->hosts_found ? a->hosts_found->domain : host;
	bool told = a->floor == DELIVERY_FLOOR_CLEAR; /* no TLS was to be tried */
	for (size_t i = 0; i < addresses->n_answers && !told; i++)
		told = delivery_tls_add_lookup(a->facts, domain, host, addresses->answers[i],
		                               a->arena);
}

void courier_report_session(struct courier_attempt *a, const struct delivery_guard *guard,
                            const struct courier_session *session)
{
	const struct delivery_tls_session told = {
	        .progress = session->progress,
	        .verdict = session->verdict,
	        .why = courier_text(a, slice_str(session->why), COURIER_TEXT_MAX),
	        .host = guard->host,
	        .address = courier_keep(a, session->address),
	        .helo = courier_text(a, slice_str(session->helo), COURIER_TEXT_MAX),
	};
	delivery_guard_report(guard, &told, a->facts, a->arena);
}

/* A server of ours that passes mail on is no server of the recipients' domain. */
static bool is_relayed(const struct courier_attempt *a)
{
	return a->transport && (a->transport->kind == CONFIG_TRANSPORT_SMTP ||
	                        a->transport->kind == CONFIG_TRANSPORT_SUBMISSION);
}

void courier_report_all(struct courier_attempt *a)
{
	/* RFC 8460 section 3: reports tell nothing about how reports were delivered. */
	if (a->facts->n > 0 && !a->in->report && !is_relayed(a) && a->courier->options.report)
		a->courier->options.report(a->courier->options.context, a->in->domain, a->facts);
}
