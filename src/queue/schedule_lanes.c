/* Lanes, senders and destinations of the schedule: whose turn it is. */
#include "queue/schedule_private.h"

#define DESTINATION_KEEP ((int64_t)3600 * 1000)
#define PROBE_AFTER_MS   30000
#define YOUNG_MS         10000
#define NEWEST_OF        4u     /* of so many turns all but one go to the newest lane */
#define DESTINATIONS_MAX 20000u /* remembered for having been reached */

/* ---- lists ---- */

static struct link *link_of(const struct pool *pool, size_t link_at, uint32_t index)
{
	return (struct link *)(void *)((uint8_t *)pool_at(pool, index) + link_at);
}

void list_insert_before(const struct pool *pool, size_t link_at, struct list *list, uint32_t before,
                        uint32_t index)
{
	struct link *link = link_of(pool, link_at, index);
	link->next = before;
	link->prev = before == POOL_NONE ? list->tail : link_of(pool, link_at, before)->prev;
	if (link->prev == POOL_NONE)
		list->head = index;
	else
		link_of(pool, link_at, link->prev)->next = index;
	if (before == POOL_NONE)
		list->tail = index;
	else
		link_of(pool, link_at, before)->prev = index;
}

void list_append(const struct pool *pool, size_t link_at, struct list *list, uint32_t index)
{
	list_insert_before(pool, link_at, list, POOL_NONE, index);
}

void list_remove(const struct pool *pool, size_t link_at, struct list *list, uint32_t index)
{
	struct link link = *link_of(pool, link_at, index);
	if (link.prev == POOL_NONE)
		list->head = link.next;
	else
		link_of(pool, link_at, link.prev)->next = link.next;
	if (link.next == POOL_NONE)
		list->tail = link.prev;
	else
		link_of(pool, link_at, link.next)->prev = link.prev;
}

#define SLOT_LINK      offsetof(struct slot, link)
#define RING_LINK      offsetof(struct lane, ring)
#define DEST_LINK      offsetof(struct lane, of_destination)
#define PAUSE_LINK     offsetof(struct destination, pausing_link)
#define DRAIN_LINK     offsetof(struct destination, draining_link)
#define SENDER_LINK(k) (offsetof(struct sender, rings) + (size_t)(k) * sizeof(struct link))

/* ---- destinations ---- */

static bool is_destination(const void *element, struct slice key)
{
	return slice_eq_str(key, ((const struct destination *)element)->key);
}

/* At one that nothing is known of, one attempt finds out. */
static uint32_t first_limit(const struct queue_schedule *s, enum queue_place_kind kind)
{
	return kind == QUEUE_PLACE_LOCAL ? MAX(s->options.max_local / 4, 1u) : 1;
}

uint32_t destination_get(struct queue_schedule *s, const struct queue_place *place, int64_t now_ms)
{
	struct slice key = slice_str(place->key);
	uint32_t index = pool_find(&s->destinations, key, is_destination);
	if (index == POOL_NONE) {
		index = pool_add(&s->destinations, key);
		struct destination *d = destination_at(s, index);
		d->key = base_strdup(place->key);
		d->kind = place->kind;
		d->limit = first_limit(s, place->kind);
		d->lanes = d->parked = EMPTY_LIST;
	}
	destination_at(s, index)->used_ms = now_ms;
	return index;
}

static void destination_remove(struct queue_schedule *s, uint32_t index)
{
	struct destination *d = destination_at(s, index);
	base_free(d->key);
	base_free(d->why);
	pool_remove(&s->destinations, index);
}

static bool is_unused(const struct destination *d)
{
	return d->n_running == 0 && d->lanes.head == POOL_NONE && !d->pausing;
}

void destination_release(struct queue_schedule *s, uint32_t index)
{
	const struct destination *d = destination_at(s, index);
	bool is_crowded = s->destinations.n > DESTINATIONS_MAX;
	if (is_unused(d) && d->n_failures == 0 && (d->kind == QUEUE_PLACE_LOCAL || is_crowded))
		destination_remove(s, index);
}

void destinations_sweep(struct queue_schedule *s, int64_t now_ms)
{
	for (uint32_t i = 0; i < s->destinations.n_made; i++) {
		const struct destination *d = destination_at(s, i);
		if (d->node.used && is_unused(d) && now_ms - d->used_ms >= DESTINATION_KEEP)
			destination_remove(s, i);
	}
}

void destinations_free(struct queue_schedule *s)
{
	for (uint32_t i = 0; i < s->destinations.n_made; i++)
		if (destination_at(s, i)->node.used)
			destination_remove(s, i);
	pool_done(&s->destinations);
}

static void drain(struct queue_schedule *s, uint32_t index)
{
	struct destination *d = destination_at(s, index);
	if (d->draining)
		return;
	d->draining = true;
	list_append(&s->destinations, DRAIN_LINK, &s->draining, index);
}

void destination_rest(struct queue_schedule *s, uint32_t index)
{
	if (destination_at(s, index)->lanes.head != POOL_NONE)
		drain(s, index);
}

/* One that worked a moment ago may be starting anew: what waits for it waits a little more, instead
 * of being deferred. */
void destination_pause(struct queue_schedule *s, uint32_t index, int64_t until_ms)
{
	struct destination *d = destination_at(s, index);
	d->pauses_until_ms = until_ms;
	if (d->pausing)
		return;
	d->pausing = true;
	list_append(&s->destinations, PAUSE_LINK, &s->pausing, index);
}

void pauses_end(struct queue_schedule *s, int64_t now_ms)
{
	for (uint32_t index = s->pausing.head, next; index != POOL_NONE; index = next) {
		struct destination *d = destination_at(s, index);
		next = d->pausing_link.next;
		if (d->pauses_until_ms > now_ms)
			continue;
		d->pausing = false;
		list_remove(&s->destinations, PAUSE_LINK, &s->pausing, index);
		destination_unpark(s, index);
	}
}

int64_t pauses_next_ms(const struct queue_schedule *s)
{
	int64_t next_ms = INT64_MAX;
	for (uint32_t index = s->pausing.head; index != POOL_NONE;
	     index = destination_at(s, index)->pausing_link.next)
		next_ms = MIN(next_ms, destination_at(s, index)->pauses_until_ms);
	return next_ms;
}

static bool is_full(const struct destination *d)
{
	return d->n_running >= d->limit || d->pausing;
}

/* ---- rings ---- */

/* One for whom no unproven attempt is under way goes before those for whom some are. */
static void sender_enter(struct queue_schedule *s, uint32_t index, unsigned kind)
{
	struct sender *sender = sender_at(s, index);
	uint32_t before = POOL_NONE;
	if (sender->in_ring[kind])
		return;
	sender->in_ring[kind] = true;
	if (is_unproven(kind) && sender->n_unproven == 0)
		before = s->rings[kind].head;
	list_insert_before(&s->senders, SENDER_LINK(kind), &s->rings[kind], before, index);
}

static void sender_leave(struct queue_schedule *s, uint32_t index, unsigned kind)
{
	struct sender *sender = sender_at(s, index);
	if (!sender->in_ring[kind])
		return;
	sender->in_ring[kind] = false;
	list_remove(&s->senders, SENDER_LINK(kind), &s->rings[kind], index);
}

static bool has_lane(const struct sender *sender, unsigned kind)
{
	for (unsigned u = 0; u < N_URGENCIES; u++)
		if (sender->fresh[kind][u].head != POOL_NONE ||
		    sender->served[kind][u].head != POOL_NONE)
			return true;
	return false;
}

static struct list *ring_of(struct queue_schedule *s, const struct lane *lane)
{
	struct sender *sender = sender_at(s, lane->sender);
	return lane->served ? &sender->served[lane->kind][lane->urgency]
	                    : &sender->fresh[lane->kind][lane->urgency];
}

static void ring_add(struct queue_schedule *s, uint32_t index)
{
	struct lane *lane = lane_at(s, index);
	lane->place = LANE_IN_RING;
	list_append(&s->lanes, RING_LINK, ring_of(s, lane), index);
	sender_enter(s, lane->sender, lane->kind);
}

static void ring_remove(struct queue_schedule *s, uint32_t index)
{
	struct lane *lane = lane_at(s, index);
	list_remove(&s->lanes, RING_LINK, ring_of(s, lane), index);
	if (!has_lane(sender_at(s, lane->sender), lane->kind))
		sender_leave(s, lane->sender, lane->kind);
}

static void park(struct queue_schedule *s, uint32_t index)
{
	struct lane *lane = lane_at(s, index);
	ring_remove(s, index);
	lane->place = LANE_PARKED;
	list_append(&s->lanes, RING_LINK, &destination_at(s, lane->destination)->parked, index);
}

void destination_unpark(struct queue_schedule *s, uint32_t index)
{
	struct destination *d = destination_at(s, index);
	for (uint32_t n = d->n_running; n < d->limit && d->parked.head != POOL_NONE && !d->pausing;
	     n++) {
		uint32_t lane = d->parked.head;
		list_remove(&s->lanes, RING_LINK, &d->parked, lane);
		ring_add(s, lane);
	}
}

/* ---- lanes ---- */

struct lane_key {
	uint32_t sender, destination, kind, urgency;
};

static bool is_lane(const void *element, struct slice key)
{
	const struct lane *lane = element;
	struct lane_key k;
	memcpy(&k, key.p, sizeof(k));
	return lane->sender == k.sender && lane->destination == k.destination &&
	       lane->kind == k.kind && lane->urgency == k.urgency;
}

static uint32_t lane_get(struct queue_schedule *s, const struct lane_key *key)
{
	struct slice bytes = slice_of(key, sizeof(*key));
	uint32_t index = pool_find(&s->lanes, bytes, is_lane);
	if (index != POOL_NONE)
		return index;
	index = pool_add(&s->lanes, bytes);
	struct lane *lane = lane_at(s, index);
	lane->sender = key->sender;
	lane->destination = key->destination;
	lane->kind = (uint8_t)key->kind;
	lane->urgency = (uint8_t)key->urgency;
	lane->slots = EMPTY_LIST;
	list_append(&s->lanes, DEST_LINK, &destination_at(s, key->destination)->lanes, index);
	ring_add(s, index);
	return index;
}

static void lane_free(struct queue_schedule *s, uint32_t index)
{
	struct lane *lane = lane_at(s, index);
	uint32_t destination = lane->destination;
	struct destination *d = destination_at(s, destination);
	if (s->newest == index)
		s->newest = POOL_NONE;
	if (lane->place == LANE_PARKED)
		list_remove(&s->lanes, RING_LINK, &d->parked, index);
	else
		ring_remove(s, index);
	list_remove(&s->lanes, DEST_LINK, &d->lanes, index);
	pool_remove(&s->lanes, index);
	if (d->lanes.head == POOL_NONE && d->draining) {
		d->draining = false;
		list_remove(&s->destinations, DRAIN_LINK, &s->draining, destination);
	}
	/* It may have had the turn that parked ones wait for. */
	destination_unpark(s, destination);
}

static unsigned kind_of(const struct slot *slot, const struct destination *d)
{
	if (d->kind == QUEUE_PLACE_LOCAL)
		return KIND_LOCAL;
	if (d->proven)
		return KIND_PROVEN;
	return slot->n_attempts > 0 || d->n_failures > 0 ? KIND_AGAIN : KIND_FRESH;
}

/* Behind all of at least its priority. */
static void insert_by_priority(struct queue_schedule *s, struct lane *lane, uint32_t index)
{
	uint32_t before = POOL_NONE;
	for (uint32_t at = lane->slots.tail;
	     at != POOL_NONE && slot_at(s, at)->priority < slot_at(s, index)->priority;
	     at = slot_at(s, at)->link.prev)
		before = at;
	list_insert_before(&s->slots, SLOT_LINK, &lane->slots, before, index);
}

/* Something fresh may try a destination that rests, after a moment; the rest waits for it. */
static bool may_probe(const struct slot *slot, const struct destination *d, int64_t now_ms)
{
	return slot->n_attempts == 0 && d->n_running == 0 &&
	       now_ms - d->failed_ms >= PROBE_AFTER_MS;
}

void lane_put(struct queue_schedule *s, uint32_t index, uint32_t destination, int64_t now_ms)
{
	struct slot *slot = slot_at(s, index);
	struct destination *d = destination_at(s, destination);
	struct lane_key key = {
	        .sender = slot->sender,
	        .destination = destination,
	        .kind = kind_of(slot, d),
	        .urgency = slot->priority > 0    ? URGENT
	                   : slot->priority == 0 ? USUAL
	                                         : BULK,
	};
	slot->lane = lane_get(s, &key);
	slot->state = SLOT_READY;
	insert_by_priority(s, lane_at(s, slot->lane), index);
	s->n_ready++;
	if (key.kind == KIND_FRESH && now_ms - slot->due_ms < YOUNG_MS)
		s->newest = slot->lane;
	if (d->rests_until_ms > now_ms && !d->draining && may_probe(slot, d, now_ms))
		d->rests_until_ms = 0;
	else if (d->rests_until_ms > now_ms)
		drain(s, destination);
}

void lane_take_out(struct queue_schedule *s, uint32_t index)
{
	struct slot *slot = slot_at(s, index);
	uint32_t lane = slot->lane;
	list_remove(&s->slots, SLOT_LINK, &lane_at(s, lane)->slots, index);
	s->n_ready--;
	slot->lane = POOL_NONE;
	if (lane_at(s, lane)->slots.head == POOL_NONE)
		lane_free(s, lane);
}

void destination_regroup(struct queue_schedule *s, uint32_t index, int64_t now_ms)
{
	struct list waiting = EMPTY_LIST;
	uint32_t lane, slot;
	while ((lane = destination_at(s, index)->lanes.head) != POOL_NONE) {
		slot = lane_at(s, lane)->slots.head;
		lane_take_out(s, slot);
		list_append(&s->slots, SLOT_LINK, &waiting, slot);
	}
	while ((slot = waiting.head) != POOL_NONE) {
		list_remove(&s->slots, SLOT_LINK, &waiting, slot);
		lane_put(s, slot, index, now_ms);
	}
}

/* ---- tokens ---- */

static size_t max_unproven(const struct queue_schedule *s)
{
	return MAX(s->options.max_running - s->options.max_running / 4, 1u);
}

/* Some at once, then as many as fill the slots in TOKENS_FILL_S, which is longer than most attempts
 * hang. */
#define TOKENS_FILL_S 40
#define TOKENS_FEW    2u

static int64_t tokens_max_milli(const struct queue_schedule *s)
{
	return (int64_t)MAX(max_unproven(s) / 8, (size_t)TOKENS_FEW) * 1000;
}

void tokens_refill(struct queue_schedule *s, int64_t now_ms)
{
	int64_t passed_ms = MIN(MAX(now_ms - s->tokens_at_ms, 0), TOKENS_FILL_S * 1000);
	int64_t more = passed_ms * (int64_t)max_unproven(s) / TOKENS_FILL_S;
	s->wants_token = false;
	if (!s->has_tokens)
		more = tokens_max_milli(s);
	else if (more == 0 && passed_ms > 0)
		return; /* too little yet to count */
	s->has_tokens = true;
	s->tokens_milli = MIN(s->tokens_milli + more, tokens_max_milli(s));
	s->tokens_at_ms = now_ms;
}

void token_spend(struct queue_schedule *s)
{
	s->tokens_milli -= 1000;
}

void token_return(struct queue_schedule *s)
{
	s->tokens_milli = MIN(s->tokens_milli + 1000, tokens_max_milli(s));
}

int64_t token_wait_ms(const struct queue_schedule *s)
{
	int64_t missing = 1000 - s->tokens_milli;
	return MAX(missing * TOKENS_FILL_S / (int64_t)max_unproven(s), 0) + 1;
}

/* ---- choosing ---- */

static size_t n_unproven(const struct queue_schedule *s)
{
	return s->n_running[KIND_FRESH] + s->n_running[KIND_AGAIN];
}

static bool kind_has_room(struct queue_schedule *s, unsigned kind)
{
	if (kind == KIND_LOCAL)
		return s->n_running[KIND_LOCAL] < s->options.max_local;
	if (n_unproven(s) + s->n_running[KIND_PROVEN] >= s->options.max_running)
		return false;
	if (kind == KIND_PROVEN)
		return true;
	if (n_unproven(s) >= max_unproven(s) ||
	    (kind == KIND_AGAIN && s->n_running[KIND_AGAIN] >= MAX(s->options.max_running / 2, 1u)))
		return false;
	if (s->tokens_milli >= 1000)
		return true;
	s->wants_token |= s->rings[kind].head != POOL_NONE;
	return false;
}

static bool sender_has_room(const struct queue_schedule *s, const struct sender *sender,
                            unsigned kind)
{
	if (kind == KIND_LOCAL)
		return true;
	return sender->n_running < MAX(s->options.max_running - s->options.max_running / 4, 1u);
}

void sender_ended(struct queue_schedule *s, uint32_t index)
{
	for (unsigned kind = 0; kind < N_KINDS; kind++)
		if (has_lane(sender_at(s, index), kind))
			sender_enter(s, index, kind);
}

static uint32_t next_lane(const struct sender *sender, unsigned kind)
{
	for (unsigned u = 0; u < N_URGENCIES; u++) {
		const struct list *fresh = &sender->fresh[kind][u];
		const struct list *served = &sender->served[kind][u];
		bool newest = sender->turn % NEWEST_OF != 0;
		if (newest && fresh->head != POOL_NONE)
			return fresh->tail;
		if (served->head != POOL_NONE)
			return served->head;
		if (fresh->head != POOL_NONE)
			return fresh->head;
	}
	return POOL_NONE;
}

static uint32_t choose_of_sender(struct queue_schedule *s, uint32_t index, unsigned kind)
{
	struct sender *sender = sender_at(s, index);
	uint32_t lane;
	while ((lane = next_lane(sender, kind)) != POOL_NONE) {
		if (!is_full(destination_at(s, lane_at(s, lane)->destination)))
			return lane;
		park(s, lane);
	}
	return POOL_NONE;
}

static uint32_t choose_of_kind(struct queue_schedule *s, unsigned kind)
{
	uint32_t sender;
	while ((sender = s->rings[kind].head) != POOL_NONE) {
		if (sender_has_room(s, sender_at(s, sender), kind)) {
			uint32_t lane = choose_of_sender(s, sender, kind);
			if (lane != POOL_NONE)
				return lane;
		}
		sender_leave(s, sender, kind); /* until one of its attempts ends */
	}
	return POOL_NONE;
}

/* Every second turn what has just arrived goes before all that waits longer: somebody may be
 * looking at it. Not every turn, or a flood that arrives just now would be all that is served. */
static uint32_t choose_newest(struct queue_schedule *s)
{
	uint32_t index = s->newest;
	if (index == POOL_NONE || s->turn % 2 == 0)
		return POOL_NONE;
	const struct lane *lane = lane_at(s, index);
	if (lane->place != LANE_IN_RING || !kind_has_room(s, lane->kind) ||
	    !sender_has_room(s, sender_at(s, lane->sender), lane->kind) ||
	    is_full(destination_at(s, lane->destination)))
		return POOL_NONE;
	s->newest = POOL_NONE;
	s->turn++;
	return index;
}

/* What is tried again gets one of four tokens when there are few. */
uint32_t lane_choose(struct queue_schedule *s)
{
	static const uint8_t orders[4][N_KINDS] = {
	        {KIND_PROVEN, KIND_LOCAL, KIND_FRESH, KIND_AGAIN},
	        {KIND_LOCAL, KIND_FRESH, KIND_PROVEN, KIND_AGAIN},
	        {KIND_FRESH, KIND_PROVEN, KIND_LOCAL, KIND_AGAIN},
	        {KIND_AGAIN, KIND_PROVEN, KIND_LOCAL, KIND_FRESH},
	};
	uint32_t newest = choose_newest(s);
	if (newest != POOL_NONE)
		return newest;
	for (unsigned i = 0; i < N_KINDS; i++) {
		unsigned kind = orders[s->turn % N_ELEMENTS(orders)][i];
		uint32_t lane = kind_has_room(s, kind) ? choose_of_kind(s, kind) : POOL_NONE;
		if (lane == POOL_NONE)
			continue;
		s->turn++;
		return lane;
	}
	return POOL_NONE;
}

/* Before the slots are taken out of it, which may end the lane. */
void lane_end_turn(struct queue_schedule *s, uint32_t index)
{
	struct lane *lane = lane_at(s, index);
	uint32_t sender = lane->sender;
	unsigned kind = lane->kind;
	ring_remove(s, index);
	lane->served = true;
	ring_add(s, index);
	sender_at(s, sender)->turn++;
	sender_leave(s, sender, kind);
	sender_enter(s, sender, kind); /* behind the others */
}
