/* From an address' domain to the policy that holds for it now.
 *
 *	_mta-sts.DOMAIN TXT                             is one announced, which
 *	store                                           is one kept
 *	mtasts_plan                                     which holds, must one be fetched
 *	mta-sts.DOMAIN AAAA, A                          by our own resolver
 *	https://mta-sts.DOMAIN/.well-known/mta-sts.txt
 *	mtasts_note_..., store, mtasts_plan             and what holds then
 */
#include "delivery/mtasts_find.h"

#include <stdarg.h>

/* One search. */
struct search {
	const struct mtasts_query *query;
	struct arena *arena;
	struct mtasts_found *found;
};

PRINTF(2, 3) static void say(struct search *s, const char *format, ...)
{
	char text[500];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *copy = arena_printf(s->arena, "%s", text);
	if (!copy || s->found->n_steps == MTASTS_STEPS_MAX)
		return; /* LIMIT is said at the end */
	s->found->steps[s->found->n_steps++] = copy;
	s->found->why = copy;
}

static int64_t now_s(const struct search *s)
{
	return clock_now_s(s->query->clock);
}

static struct status no_room(void)
{
	return fail(ERR_LIMIT, "too little memory for MTA-STS");
}

/* --- what is kept --- */

/* *ret_known false: there may be one that nobody can read now. */
static struct status recall(struct search *s, const char *domain, bool *ret_known)
{
	const struct mtasts_store *store = s->query->store;
	struct mtasts_entry *entry = &s->found->entry;
	struct slice form;
	*entry = (struct mtasts_entry){.domain = domain, .body = slice_empty()};
	struct status status = store ? store->get(store->context, domain, s->arena, &form)
	                             : fail(ERR_NOT_FOUND, "nothing is kept");
	*ret_known = is_ok(status) || status.code == ERR_NOT_FOUND;
	if (!is_ok(status))
		return arena_failed(s->arena) ? no_room() : ok();
	struct mtasts_entry kept;
	status = mtasts_entry_parse(form, s->arena, &kept);
	if (status.code == ERR_LIMIT && arena_failed(s->arena))
		return status;
	if (is_ok(status) && strcmp(kept.domain, domain) == 0)
		*entry = kept;
	if (is_ok(status) && kept.state.has_policy)
		say(s, "policy %s (%s) is kept, %" PRId64 " s old of %" PRIu32, kept.state.id,
		    mtasts_mode_name(kept.state.mode),
		    MAX(now_s(s) - kept.state.fetched_at_s, (int64_t)0), kept.state.max_age_s);
	return ok();
}

static void keep(struct search *s)
{
	const struct mtasts_store *store = s->query->store;
	struct buf form;
	if (!store)
		return;
	buf_init(&form, MTASTS_ENTRY_MAX);
	mtasts_entry_print(&s->found->entry, &form);
	if (!buf_failed(&form))
		store->put(store->context, s->found->entry.domain, buf_slice(&form));
	buf_done(&form);
}

/* --- fetching --- */

/* RFC 8460 section 4.3.2.2. */
static enum delivery_tls_result result_of(enum https_failure failure)
{
	switch (failure) {
	case HTTPS_OK:
		return DELIVERY_TLS_SUCCESS;
	case HTTPS_CERTIFICATE:
		return DELIVERY_TLS_STS_WEBPKI_INVALID;
	case HTTPS_TYPE:
	case HTTPS_SIZE:
	case HTTPS_ENCODING:
		return DELIVERY_TLS_STS_POLICY_INVALID;
	case HTTPS_UNREACHABLE:
	case HTTPS_TIMEOUT:
	case HTTPS_TLS:
	case HTTPS_PROTOCOL:
	case HTTPS_REDIRECT:
	case HTTPS_STATUS:
	case HTTPS_LOCAL:
		return DELIVERY_TLS_STS_POLICY_FETCH_ERROR;
	}
	BUG("an unknown failure of HTTPS");
}

static void set_result(struct search *s, enum delivery_tls_result result, const char *why)
{
	s->found->fetch.result = result;
	s->found->fetch.why = arena_printf(s->arena, "%.400s", why);
	say(s, "%s: %s", s->found->fetch.url, why);
}

static struct status find_policy_host(struct search *s, const char *host,
                                      struct delivery_addresses *addresses)
{
	const struct delivery_query query = {
	        .resolver = s->query->resolver,
	        .timeout_ms = s->query->lookup_timeout_ms,
	        .families = s->query->families,
	};
	const struct delivery_host policy_host = {.name = host};
	return delivery_addresses_find(&query, &policy_host, s->arena, addresses);
}

static struct status take_body(struct search *s)
{
	struct mtasts_found *found = s->found;
	struct mtasts_policy policy;
	struct slice body = found->fetch.response.body;
	struct status status = mtasts_policy_parse(body, s->arena, &policy);
	if (status.code == ERR_LIMIT && arena_failed(s->arena))
		return status;
	if (!is_ok(status)) {
		set_result(s, DELIVERY_TLS_STS_POLICY_INVALID, status.why);
		return ok();
	}
	set_result(s, DELIVERY_TLS_SUCCESS, "the policy was fetched");
	mtasts_note_policy(&found->entry.state, now_s(s), found->lookup.record.id, &policy);
	found->entry.body = body;
	found->entry.policy = policy;
	return ok();
}

static struct status ask_policy_host(struct search *s, const char *host,
                                     const struct delivery_addresses *addresses)
{
	const struct mtasts_query *query = s->query;
	struct mtasts_fetch *fetch = &s->found->fetch;
	const struct https_request request = {
	        .host = host,
	        .port = query->port,
	        .path = MTASTS_PATH,
	        .ips = addresses->v,
	        .n_ips = addresses->n,
	        .media_type = "text/plain",
	        .body_max = MTASTS_POLICY_MAX,
	        .timeout_ms = query->fetch_timeout_ms > 0 ? query->fetch_timeout_ms
	                                                  : MTASTS_FETCH_TIMEOUT_MS,
	        .authorities = query->authorities,
	};
	query->fetcher->fetch(query->fetcher->context, &request, s->arena, &fetch->response);
	if (fetch->response.failure == HTTPS_OK)
		return take_body(s);
	set_result(s, result_of(fetch->response.failure), fetch->response.why);
	return ok();
}

static struct status fetch(struct search *s)
{
	struct mtasts_found *found = s->found;
	struct delivery_addresses *addresses = ARENA_NEW(s->arena, struct delivery_addresses);
	const char *host = arena_printf(s->arena, MTASTS_HOST_PREFIX ".%s", found->entry.domain);
	const char *url = host ? arena_printf(s->arena, "https://%s" MTASTS_PATH, host) : NULL;
	if (!addresses || !url)
		return no_room();
	found->fetch = (struct mtasts_fetch){.made = true, .url = url, .why = ""};
	TRY(find_policy_host(s, host, addresses));
	if (addresses->n > 0)
		TRY(ask_policy_host(s, host, addresses));
	else
		set_result(s, DELIVERY_TLS_STS_POLICY_FETCH_ERROR, addresses->why);
	if (found->fetch.result != DELIVERY_TLS_SUCCESS)
		mtasts_note_failure(&found->entry.state, now_s(s), found->lookup.record.id);
	keep(s);
	return ok();
}

/* --- the whole --- */

static struct status search(struct search *s)
{
	struct mtasts_found *found = s->found;
	const struct mtasts_query *query = s->query;
	TRY(mtasts_lookup(query->resolver, query->domain, query->lookup_timeout_ms, s->arena,
	                  &found->lookup));
	say(s, "%s", found->lookup.why);
	if (!found->lookup.answer)
		return ok(); /* an address, or a name without room for a record */
	/* "_mta-sts.example.com" without its first label. */
	bool known;
	TRY(recall(s, dns_name_parent(found->lookup.answer->name).text, &known));
	if (!known) { /* a policy that holds must not be passed over (section 5.1) */
		found->use = MTASTS_USE_LATER;
		say(s, "the policy that may be kept of the domain cannot be read now");
		return ok();
	}
	struct mtasts_plan plan = mtasts_plan(&found->entry.state, now_s(s), &found->lookup);
	if (plan.fetch == MTASTS_FETCH_FIRST) {
		TRY(fetch(s));
		/* What was just fetched holds for this mail, however short its max_age is. */
		bool fetched = found->fetch.result == DELIVERY_TLS_SUCCESS;
		int64_t at_s = fetched ? found->entry.state.fetched_at_s : now_s(s);
		plan = mtasts_plan(&found->entry.state, at_s, &found->lookup);
	}
	found->use = plan.use;
	found->refresh_due = plan.fetch == MTASTS_FETCH_SOON;
	say(s, "%s", plan.why);
	return ok();
}

struct status mtasts_find(const struct mtasts_query *query, struct arena *arena,
                          struct mtasts_found *ret_found)
{
	struct mtasts_found found = {.why = "",
	                             .entry = {.domain = "", .body = slice_empty()},
	                             .fetch = {.url = "", .why = ""}};
	struct search s = {.query = query, .arena = arena, .found = &found};
	TRY(search(&s));
	if (arena_failed(arena))
		return no_room();
	*ret_found = found;
	return ok();
}

struct status mtasts_refresh(const struct mtasts_query *query, struct arena *arena,
                             struct mtasts_found *found)
{
	struct search s = {.query = query, .arena = arena, .found = found};
	found->refresh_due = false;
	TRY(fetch(&s));
	return arena_failed(arena) ? no_room() : ok();
}
