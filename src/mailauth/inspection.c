/* A message's checks, from MAIL to the end of its body. */
#include "mailauth/inspection_private.h"

#include "mailauth/public_suffix.h"
#include "message/header.h"

/* ---- SPF ---- */

static struct spf_args spf_args_of(const struct inspection *i)
{
	return (struct spf_args){
	        .client_ip = inspection_client_address(i->client),
	        .helo = i->envelope.helo,
	        .localpart = i->envelope.localpart,
	        .domain = i->envelope.domain,
	        .receiver = slice_str(i->env->receiver),
	        .explain = true,
	};
}

static void check_helo(struct mailauth_dns *dns, void *argument)
{
	struct inspection *i = argument;
	const struct spf_args args = spf_args_of(i);
	spf_check(dns, &args, SPF_HELO, &i->helo);
}

static void check_mailfrom(struct mailauth_dns *dns, void *argument)
{
	struct inspection *i = argument;
	const struct spf_args args = spf_args_of(i);
	spf_check(dns, &args, SPF_MAILFROM, &i->mailfrom);
}

/* ---- life ---- */

struct inspection *inspection_new(const struct inspection_env *env,
                                  struct inspection_client *client,
                                  const struct inspection_envelope *envelope)
{
	struct inspection *i = base_alloc(sizeof(*i));
	i->env = env;
	i->client = client;
	arena_init(&i->arena, INSPECTION_ARENA);
	i->envelope = (struct inspection_envelope){
	        .helo = arena_copy(&i->arena, envelope->helo),
	        .localpart = arena_copy(&i->arena, envelope->localpart),
	        .domain = arena_copy(&i->arena, envelope->domain),
	        .utf8 = envelope->utf8,
	};
	inspection_task_start(&i->mailfrom_task, env, check_mailfrom, i, INSPECTION_TRY);
	/* For the null path MAIL FROM is checked as HELO (RFC 7208 section 2.4). */
	if (envelope->domain.n > 0)
		inspection_task_start(&i->helo_task, env, check_helo, i, INSPECTION_TRY);
	return i;
}

void inspection_free(struct inspection *i)
{
	if (!i)
		return;
	inspection_task_done(&i->helo_task);
	inspection_task_done(&i->mailfrom_task);
	inspection_task_done(&i->ahead_task);
	for (size_t k = 0; k < KEY_TASKS; k++)
		inspection_task_done(&i->key_tasks[k]);
	for (size_t z = 0; z < i->n_zones; z++)
		inspection_task_done(&i->zones[z].task);
	inspection_task_done(&i->dmarc_task);
	base_free(i->zones);
	dkim_verifier_free(i->verifier);
	arena_done(&i->arena);
	base_free(i);
}

/* ---- DKIM and ARC ---- */

/* Nobody signs for a public suffix (RFC 6376 section 6.1.1). */
static bool is_suffix(void *context, const char *domain)
{
	(void)context;
	return public_suffix_is((struct dns_name){domain}, PUBLIC_SUFFIX_ALL);
}

static void fetch_keys(struct mailauth_dns *dns, void *argument)
{
	const struct inspection_keys *keys = argument;
	struct dkim_verifier *v = keys->inspection->verifier;
	for (size_t k = keys->first; k < dkim_verifier_n_keys(v); k += KEY_TASKS)
		dkim_verifier_fetch_key(v, k, dns);
}

/* A key may be fetched once only: so what is known is looked for before. */
static bool are_known(struct inspection *i, size_t first)
{
	const struct dns_answer *answer;
	struct dns_name name;
	struct arena scratch;
	bool known = i->env->cache != NULL;
	arena_init(&scratch, MAILAUTH_DNS_ARENA);
	for (size_t k = first; known && k < dkim_verifier_n_keys(i->verifier); k += KEY_TASKS)
		known = inspection_name(slice_str(dkim_verifier_key_name(i->verifier, k)), &scratch,
		                        &name) &&
		        dns_cache_find(i->env->cache, name, DNS_TYPE_TXT, &scratch, &answer);
	arena_done(&scratch);
	return known;
}

static void start_keys(struct inspection *i)
{
	size_t n = dkim_verifier_n_keys(i->verifier);
	for (size_t k = 0; k < MIN(n, (size_t)KEY_TASKS); k++) {
		i->keys[k] = (struct inspection_keys){i, k};
		inspection_task_start(&i->key_tasks[k], i->env, fetch_keys, &i->keys[k],
		                      are_known(i, k) ? INSPECTION_NOW : INSPECTION_BESIDE);
	}
}

static void start_signatures(struct inspection *i, int64_t now_s)
{
	const struct dkim_options options = {.now_s = now_s, .is_public_suffix = is_suffix};
	if (!is_ok(dkim_verifier_new(i->header, &options, &i->arena, &i->verifier))) {
		i->verifier = NULL;
		return;
	}
	if (!is_ok(arc_chain_new(i->verifier, &i->chain)))
		i->chain = NULL;
	start_keys(i);
}

/* ---- block lists of domains ---- */

static void check_zone(struct mailauth_dns *dns, void *argument)
{
	struct inspection_zone *zone = argument;
	dnsbl_ask_domain(zone->env->lists, dns, zone->zone, *zone->domain, &zone->result);
	inspection_zone_words(zone, zone->domain->text, dns->arena);
}

static void add_listed_domain(struct inspection *i, struct dns_name name)
{
	if (!dns_name_is_host(name) || (i->n_domains > 0 && dns_name_eq(name, i->domains[0])))
		return;
	i->domains[i->n_domains++] = name;
}

static void start_domain_lists(struct inspection *i)
{
	const struct inspection_env *env = i->env;
	size_t n_lists = MIN(env->n_domain_lists, (size_t)INSPECTION_LISTS_MAX);
	struct dns_name name;
	if (n_lists == 0)
		return;
	if (inspection_name(i->envelope.domain, &i->arena, &name))
		add_listed_domain(i, name);
	if (i->author.kind == MAILAUTH_AUTHOR_FOUND)
		add_listed_domain(i, i->author.domain);
	i->zones = base_alloc(MAX(n_lists * i->n_domains, (size_t)1) * sizeof(*i->zones));
	for (size_t l = 0; l < n_lists; l++) {
		if (!inspection_name(slice_str(env->domain_lists[l]), &i->arena, &name))
			continue;
		for (size_t d = 0; d < i->n_domains; d++) {
			struct inspection_zone *zone = &i->zones[i->n_zones++];
			zone->env = env;
			zone->zone = name;
			zone->domain = &i->domains[d];
			inspection_task_start(&zone->task, env, check_zone, zone, INSPECTION_TRY);
		}
	}
}

/* ---- DMARC ---- */

/* Fills the cache with what the evaluation will ask for. */
static void look_ahead(struct mailauth_dns *dns, void *argument)
{
	const struct inspection *i = argument;
	struct dmarc_result result;
	dmarc_look_up(dns, i->author.domain, i->env->discovery, &result);
}

static void add_identity(struct dmarc_question *question, struct dmarc_identity *identities,
                         enum dmarc_mechanism mechanism, const char *domain,
                         enum mailauth_result result)
{
	if (question->n_identities < DMARC_IDENTITIES_MAX)
		identities[question->n_identities++] =
		        (struct dmarc_identity){mechanism, slice_str(domain), result};
}

static void ask_question(struct inspection *i)
{
	struct dmarc_identity *identities =
	        ARENA_ARRAY(&i->arena, DMARC_IDENTITIES_MAX, struct dmarc_identity);
	i->question = (struct dmarc_question){.identities = identities,
	                                      .discovery = i->env->discovery,
	                                      .sample = DMARC_NO_SAMPLING};
	if (!identities)
		return;
	add_identity(&i->question, identities, DMARC_SPF, i->mailfrom.domain, i->mailfrom.result);
	for (size_t s = 0; s < i->dkim.n; s++)
		if (i->dkim.v[s].signature)
			add_identity(&i->question, identities, DMARC_DKIM,
			             i->dkim.v[s].signature->domain, i->dkim.v[s].result);
}

static void check_dmarc(struct mailauth_dns *dns, void *argument)
{
	struct inspection *i = argument;
	dmarc_evaluate(dns, &i->author, &i->question, &i->dmarc);
}

/* ---- the message ---- */

void inspection_header(struct inspection *i, struct slice header, int64_t now_s)
{
	i->header = header;
	i->has_header = true;
	mailauth_author_find(header, &i->arena, &i->author);
	start_signatures(i, now_s);
	if (i->author.kind == MAILAUTH_AUTHOR_FOUND && i->env->cache)
		inspection_task_start(&i->ahead_task, i->env, look_ahead, i, INSPECTION_TRY);
	start_domain_lists(i);
}

void inspection_body(struct inspection *i, struct slice octets)
{
	if (i->verifier)
		dkim_verifier_feed(i->verifier, octets);
}

static void finish_signatures(struct inspection *i, int64_t until_ms)
{
	for (size_t k = 0; k < KEY_TASKS; k++)
		inspection_task_wait(&i->key_tasks[k], until_ms);
	if (!i->verifier)
		return;
	dkim_verifier_finish(i->verifier);
	i->dkim = dkim_verifier_results(i->verifier);
	i->facts.dkim = &i->dkim;
	if (!i->chain)
		return;
	arc_chain_finish(i->chain, &i->arc);
	i->facts.arc = &i->arc;
}

static void collect_listings(struct inspection *i, int64_t until_ms)
{
	size_t n_max = i->client->n_listings + i->n_zones, n = i->client->n_listings;
	struct policy_listing *listings =
	        ARENA_ARRAY(&i->arena, MAX(n_max, (size_t)1), struct policy_listing);
	if (!listings)
		return;
	if (n > 0)
		memcpy(listings, i->client->listings, n * sizeof(*listings));
	for (size_t z = 0; z < i->n_zones; z++) {
		struct inspection_zone *zone = &i->zones[z];
		inspection_task_wait(&zone->task, until_ms);
		if (zone->result.outcome == DNSBL_LISTED)
			listings[n++] = (struct policy_listing){zone->zone.text, zone->domain->text,
			                                        &zone->result};
	}
	i->facts.listings = listings;
	i->facts.n_listings = n;
}

static struct slice list_id_of(struct inspection *i)
{
	struct message_field field;
	return message_headers_find(i->header, "List-Id", &field)
	               ? message_unfold(field.value, &i->arena)
	               : slice_empty();
}

void inspection_finish(struct inspection *i)
{
	int64_t until_ms = inspection_until_ms(i->env);
	inspection_client_wait(i->client, until_ms);
	inspection_task_wait(&i->mailfrom_task, until_ms);
	inspection_task_wait(&i->helo_task, until_ms);
	finish_signatures(i, until_ms);
	collect_listings(i, until_ms);
	inspection_task_wait(&i->ahead_task, until_ms);
	i->facts.iprev = &i->client->iprev;
	i->facts.mailfrom = &i->mailfrom;
	i->facts.helo = i->helo_task.state == TASK_NONE ? NULL : &i->helo;
	i->facts.list_id = slice_empty();
	if (i->has_header) {
		i->facts.author = &i->author;
		i->facts.list_id = list_id_of(i);
		ask_question(i);
		inspection_task_start(&i->dmarc_task, i->env, check_dmarc, i, INSPECTION_TRY);
		inspection_task_wait(&i->dmarc_task, inspection_until_ms(i->env));
		i->facts.dmarc = &i->dmarc;
	}
	policy_facts_prepare(&i->facts, &i->arena);
}

const struct policy_facts *inspection_facts(const struct inspection *i)
{
	return &i->facts;
}
