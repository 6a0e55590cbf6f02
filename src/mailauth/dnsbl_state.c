/* The health of lists, remembered.
 *
 * A list that was healthy stays so while its test entries cannot be looked up, for DNSBL_STALE_MS:
 * without DNS nothing is found listed anyway. One that was never seen healthy lists nobody.
 */
#include "mailauth/dnsbl.h"

#include "mailauth/address.h"

#include <pthread.h>

struct entry {
	char *zone;
	enum dnsbl_kind kind;
	bool known, under_way;
	enum dnsbl_health health;
	int64_t next_ms;    /* when it is to be looked at again */
	int64_t healthy_ms; /* when it was found healthy last */
};

struct dnsbl_state {
	const struct clock *clock;
	pthread_mutex_t lock; /* guards all below */
	size_t n_entries;
	struct entry entries[DNSBL_LISTS_MAX];
};

struct dnsbl_state *dnsbl_state_new(const struct clock *clock)
{
	struct dnsbl_state *state = base_alloc(sizeof(*state));
	state->clock = clock;
	pthread_mutex_init(&state->lock, NULL);
	return state;
}

void dnsbl_state_free(struct dnsbl_state *state)
{
	if (!state)
		return;
	for (size_t i = 0; i < state->n_entries; i++)
		base_free(state->entries[i].zone);
	pthread_mutex_destroy(&state->lock);
	base_free(state);
}

/* NULL when there is no room for one more. */
static struct entry *find_entry(struct dnsbl_state *state, struct dns_name zone,
                                enum dnsbl_kind kind)
{
	for (size_t i = 0; i < state->n_entries; i++) {
		struct entry *entry = &state->entries[i];
		if (entry->kind == kind && strcmp(entry->zone, zone.text) == 0)
			return entry;
	}
	if (state->n_entries == DNSBL_LISTS_MAX)
		return NULL;
	struct entry *entry = &state->entries[state->n_entries++];
	*entry = (struct entry){.zone = base_strdup(zone.text), .kind = kind};
	return entry;
}

static void remember(struct entry *entry, enum dnsbl_health health, int64_t now_ms)
{
	int64_t lasts_ms = health == DNSBL_HEALTHY   ? DNSBL_HEALTHY_MS
	                   : health == DNSBL_UNKNOWN ? DNSBL_RETRY_MS
	                                             : DNSBL_UNHEALTHY_MS;
	bool stays = health == DNSBL_UNKNOWN && entry->known && entry->health == DNSBL_HEALTHY &&
	             now_ms - entry->healthy_ms < DNSBL_STALE_MS;
	if (!stays)
		entry->health = health;
	if (health == DNSBL_HEALTHY)
		entry->healthy_ms = now_ms;
	entry->known = true;
	entry->next_ms = now_ms + lasts_ms;
}

enum dnsbl_health dnsbl_state_health(struct dnsbl_state *state, struct mailauth_dns *dns,
                                     struct dns_name zone, enum dnsbl_kind kind)
{
	struct dnsbl_checkup checkup;
	int64_t now_ms = clock_monotonic_ms(state->clock);
	pthread_mutex_lock(&state->lock);
	struct entry *entry = find_entry(state, zone, kind);
	bool from_memory = entry && entry->known && (now_ms < entry->next_ms || entry->under_way);
	enum dnsbl_health health = from_memory ? entry->health : DNSBL_UNKNOWN;
	if (entry && !from_memory)
		entry->under_way = true;
	pthread_mutex_unlock(&state->lock);
	if (from_memory)
		return health;
	dnsbl_check_health(dns, zone, kind, &checkup);
	if (!entry)
		return checkup.health;
	pthread_mutex_lock(&state->lock);
	remember(entry, checkup.health, clock_monotonic_ms(state->clock));
	entry->under_way = false;
	health = entry->health;
	pthread_mutex_unlock(&state->lock);
	return health;
}

/* A list that is not known to be healthy lists nobody. */
static void look_at_health(struct dnsbl_state *state, struct mailauth_dns *dns,
                           struct dns_name zone, enum dnsbl_kind kind, size_t first_evidence,
                           struct dnsbl_result *result)
{
	static const struct {
		enum dnsbl_outcome outcome;
		const char *why;
	} outcomes[] = {
	        [DNSBL_HEALTHY] = {DNSBL_LISTED, "it is listed"},
	        [DNSBL_DEFECTIVE] = {DNSBL_BROKEN, "it is listed, but the list is defective"},
	        [DNSBL_SILENT] = {DNSBL_REFUSED, "it is listed, but the list does not answer us"},
	        [DNSBL_UNKNOWN] = {DNSBL_FAILED,
	                           "it is listed, but whether the list is healthy is not known"},
	};
	if (result->outcome != DNSBL_LISTED)
		return;
	enum dnsbl_health health = dnsbl_state_health(state, dns, zone, kind);
	result->outcome = outcomes[health].outcome;
	result->why = outcomes[health].why;
	if (result->outcome != DNSBL_LISTED)
		result->text = "";
	mailauth_tell(&result->story, dns->arena, "the list is %s", dnsbl_health_name(health));
	result->evidence = mailauth_evidence_since(dns, first_evidence);
}

void dnsbl_ask_address(struct dnsbl_state *state, struct mailauth_dns *dns, struct dns_name zone,
                       struct slice address, struct dnsbl_result *ret_result)
{
	size_t first_evidence = dns->evidence.n;
	bool v4 = mailauth_address_unmap(address).n == MAILAUTH_V4_SIZE;
	dnsbl_check_address(dns, zone, address, ret_result);
	look_at_health(state, dns, zone, v4 ? DNSBL_IPV4 : DNSBL_IPV6, first_evidence, ret_result);
}

void dnsbl_ask_domain(struct dnsbl_state *state, struct mailauth_dns *dns, struct dns_name zone,
                      struct dns_name domain, struct dnsbl_result *ret_result)
{
	size_t first_evidence = dns->evidence.n;
	dnsbl_check_domain(dns, zone, domain, ret_result);
	look_at_health(state, dns, zone, DNSBL_DOMAIN, first_evidence, ret_result);
}
