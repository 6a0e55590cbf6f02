/* See courier_memory.h. A table mapped by the entry's number: a later entry takes the place of one
 * that is COURIER_MEMORY_SLOTS before it. */
#include "rooms/courier_memory.h"

#include "base/buf.h"

#include <pthread.h>

#define TEXT_MAX 200u

/* An end, small: words and lines of the reply are cut. */
struct slot {
	int64_t id; /* 0: free */
	uint64_t fingerprint;
	Door__Outcome outcome;
	uint32_t code;
	bool relayed, no_deliver_by;
	char enhanced[16];
	char *text; /* host, address, line, why: each with its NUL */
};

struct courier_memory {
	struct hash_key key;
	pthread_mutex_t lock; /* guards all of it */
	pthread_cond_t ended;
	struct courier_claim *claims; /* under way */
	struct slot *slots;           /* made at first need */
};

struct courier_memory *courier_memory_new(struct hash_key key)
{
	struct courier_memory *m = base_alloc(sizeof(*m));
	m->key = key;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->ended, NULL);
	return m;
}

void courier_memory_free(struct courier_memory *m)
{
	if (!m)
		return;
	for (size_t i = 0; m->slots && i < COURIER_MEMORY_SLOTS; i++)
		base_free(m->slots[i].text);
	base_free(m->slots);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->ended);
	base_free(m);
}

/* The generated lines hold what is unique to a submission. */
static uint64_t fingerprint(const struct courier_memory *m, const Door__Attempt *attempt, size_t i)
{
	uint64_t parts[3] = {
	        hash_slice(m->key, slice_of(attempt->prefix.data, attempt->prefix.len)),
	        hash_slice(m->key, slice_str(attempt->recipients[i]->address)),
	        attempt->size,
	};
	return hash_slice(m->key, slice_of(parts, sizeof(parts)));
}

/* ---- what is known ---- */

static struct slot *slot_of(const struct courier_memory *m, int64_t id)
{
	return &m->slots[(uint64_t)id % COURIER_MEMORY_SLOTS];
}

static const struct slot *find(const struct courier_memory *m, int64_t id, uint64_t print)
{
	const struct slot *slot = m->slots && id > 0 ? slot_of(m, id) : NULL;
	return slot && slot->id == id && slot->fingerprint == print ? slot : NULL;
}

static char *copy_string(const char **at, struct arena *arena)
{
	char *copy = arena_cstr(arena, slice_str(*at));
	*at += strlen(*at) + 1;
	return copy;
}

static Door__RecipientOutcome *recall(const struct slot *slot, struct arena *arena)
{
	Door__RecipientOutcome *o = ARENA_NEW(arena, Door__RecipientOutcome);
	const char *at = slot->text;
	if (!o)
		return NULL;
	door__recipient_outcome__init(o);
	o->id = slot->id;
	o->outcome = slot->outcome;
	o->code = slot->code;
	o->relayed = slot->relayed;
	o->no_deliver_by = slot->no_deliver_by;
	o->enhanced = arena_cstr(arena, slice_str(slot->enhanced));
	o->remote_host = copy_string(&at, arena);
	o->remote_address = copy_string(&at, arena);
	o->lines = ARENA_ARRAY(arena, 1, char *);
	if (o->lines && *at)
		o->lines[o->n_lines++] = copy_string(&at, arena);
	else
		at++;
	o->why = copy_string(&at, arena);
	return arena_failed(arena) ? NULL : o;
}

static void remember(struct courier_memory *m, const Door__RecipientOutcome *o, uint64_t print)
{
	struct buf text;
	const char *const parts[] = {o->remote_host, o->remote_address,
	                             o->n_lines > 0 ? o->lines[0] : "", o->why};
	if (o->id <= 0 || o->outcome == DOOR__OUTCOME__OUTCOME_DEFERRED)
		return; /* trying that again does no harm */
	if (!m->slots)
		m->slots = base_alloc(COURIER_MEMORY_SLOTS * sizeof(*m->slots));
	struct slot *slot = slot_of(m, o->id);
	base_free(slot->text);
	*slot = (struct slot){
	        .id = o->id,
	        .fingerprint = print,
	        .outcome = o->outcome,
	        .code = o->code,
	        .relayed = o->relayed,
	        .no_deliver_by = o->no_deliver_by,
	};
	snprintf(slot->enhanced, sizeof(slot->enhanced), "%s", o->enhanced);
	buf_init(&text, N_ELEMENTS(parts) * (TEXT_MAX + 1));
	for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
		struct slice part = slice_str(parts[i]);
		if (part.n > TEXT_MAX || !slice_is_ascii(part))
			part = slice_empty(); /* cut, it might be no UTF-8 any more */
		buf_add(&text, part);
		buf_add_byte(&text, 0);
	}
	slot->text = base_alloc(text.n);
	memcpy(slot->text, text.p, text.n);
	buf_done(&text);
}

/* ---- claims ---- */

static bool is_claimed(const struct courier_memory *m, const struct courier_claim *claim)
{
	for (const struct courier_claim *other = m->claims; other; other = other->next)
		for (size_t i = 0; i < other->rest.n_recipients; i++)
			for (size_t j = 0; j < claim->attempt->n_recipients; j++)
				if (other->rest.recipients[i]->id ==
				    claim->attempt->recipients[j]->id)
					return true;
	return false;
}

/* Those that are known are answered, the others tried. */
static bool divide(const struct courier_memory *m, struct courier_claim *claim, struct arena *arena)
{
	const Door__Attempt *attempt = claim->attempt;
	for (size_t i = 0; i < attempt->n_recipients; i++) {
		const struct slot *slot =
		        find(m, attempt->recipients[i]->id, claim->fingerprints[i]);
		if (!slot) {
			claim->rest.recipients[claim->rest.n_recipients++] = attempt->recipients[i];
			continue;
		}
		claim->known[claim->n_known] = recall(slot, arena);
		if (!claim->known[claim->n_known++])
			return false;
	}
	return true;
}

bool courier_memory_begin(struct courier_memory *m, const Door__Attempt *attempt,
                          struct arena *arena, struct courier_claim *ret_claim)
{
	size_t n = MAX(attempt->n_recipients, 1u);
	struct courier_claim *claim = ret_claim;
	*claim = (struct courier_claim){.attempt = attempt, .rest = *attempt};
	claim->rest.n_recipients = 0;
	claim->rest.recipients = ARENA_ARRAY(arena, n, Door__AttemptRecipient *);
	claim->known = ARENA_ARRAY(arena, n, Door__RecipientOutcome *);
	claim->fingerprints = ARENA_ARRAY(arena, n, uint64_t);
	if (!claim->rest.recipients || !claim->known || !claim->fingerprints)
		return false;
	for (size_t i = 0; i < attempt->n_recipients; i++)
		claim->fingerprints[i] = fingerprint(m, attempt, i);
	pthread_mutex_lock(&m->lock);
	while (is_claimed(m, claim))
		pthread_cond_wait(&m->ended, &m->lock);
	bool good = divide(m, claim, arena);
	if (good) {
		claim->next = m->claims;
		m->claims = claim;
	}
	pthread_mutex_unlock(&m->lock);
	return good;
}

static uint64_t fingerprint_of(const struct courier_claim *claim, int64_t id)
{
	for (size_t i = 0; i < claim->attempt->n_recipients; i++)
		if (claim->attempt->recipients[i]->id == id)
			return claim->fingerprints[i];
	return 0;
}

static void add_known(const struct courier_claim *claim, Door__CourierReply *reply,
                      struct arena *arena)
{
	size_t n = reply->n_outcomes;
	Door__RecipientOutcome **all =
	        ARENA_ARRAY(arena, n + claim->n_known, Door__RecipientOutcome *);
	if (!all)
		return; /* asked again, they are known again */
	for (size_t i = 0; i < n; i++)
		all[i] = reply->outcomes[i];
	for (size_t i = 0; i < claim->n_known; i++)
		all[n + i] = claim->known[i];
	reply->outcomes = all;
	reply->n_outcomes = n + claim->n_known;
}

void courier_memory_end(struct courier_memory *m, struct courier_claim *claim,
                        Door__CourierReply *reply, struct arena *arena)
{
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < reply->n_outcomes; i++)
		remember(m, reply->outcomes[i], fingerprint_of(claim, reply->outcomes[i]->id));
	struct courier_claim **link = &m->claims;
	while (*link && *link != claim)
		link = &(*link)->next;
	if (*link)
		*link = claim->next;
	pthread_cond_broadcast(&m->ended);
	pthread_mutex_unlock(&m->lock);
	if (claim->n_known > 0)
		add_known(claim, reply, arena);
}
