/* See schedule.h and schedule_private.h. Due times stand in a binary heap. */
#include "queue/schedule_private.h"

#define PROMOTE_MAX    4096u /* entries placed in one call */
#define PAUSE_MS       5000  /* for a destination that worked before */
#define LIMIT_AT_FIRST 5u    /* attempts at a time at a destination that was reached once */
#define SWEEP_EVERY    4096u /* ended attempts between two looks for forgotten destinations */
#define MAX_N_ATTEMPTS UINT16_MAX

/* ---- the heap of due times ---- */

static bool is_sooner(const struct queue_schedule *s, uint32_t a, uint32_t b)
{
	const struct slot *x = slot_at(s, a), *y = slot_at(s, b);
	return x->due_ms != y->due_ms ? x->due_ms < y->due_ms : x->id < y->id;
}

static void heap_set(struct queue_schedule *s, size_t at, uint32_t index)
{
	s->heap[at] = index;
	slot_at(s, index)->heap_at = (uint32_t)at;
}

static void sift_up(struct queue_schedule *s, size_t at)
{
	uint32_t index = s->heap[at];
	while (at > 0 && is_sooner(s, index, s->heap[(at - 1) / 2])) {
		heap_set(s, at, s->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(s, at, index);
}

static void sift_down(struct queue_schedule *s, size_t at)
{
	uint32_t index = s->heap[at];
	for (size_t child = 2 * at + 1; child < s->n_heap; child = 2 * at + 1) {
		if (child + 1 < s->n_heap && is_sooner(s, s->heap[child + 1], s->heap[child]))
			child++;
		if (!is_sooner(s, s->heap[child], index))
			break;
		heap_set(s, at, s->heap[child]);
		at = child;
	}
	heap_set(s, at, index);
}

static void heap_add(struct queue_schedule *s, uint32_t index)
{
	if (s->n_heap == s->heap_capacity) {
		s->heap_capacity = MAX(2 * s->heap_capacity, (size_t)64);
		s->heap = base_realloc(s->heap, s->heap_capacity * sizeof(s->heap[0]));
	}
	s->heap[s->n_heap] = index;
	slot_at(s, index)->state = SLOT_TIMED;
	sift_up(s, s->n_heap++);
}

static void heap_remove(struct queue_schedule *s, uint32_t index)
{
	size_t at = slot_at(s, index)->heap_at;
	uint32_t last = s->heap[--s->n_heap];
	if (last == index)
		return;
	heap_set(s, at, last);
	sift_up(s, at);
	sift_down(s, slot_at(s, last)->heap_at);
}

/* ---- deadlines: few, so those that have become void are dropped when they come up ---- */

static void deadline_swap(struct queue_schedule *s, size_t a, size_t b)
{
	struct deadline_item item = s->deadlines[a];
	s->deadlines[a] = s->deadlines[b];
	s->deadlines[b] = item;
}

static void deadline_add(struct queue_schedule *s, int64_t at_ms, int64_t id)
{
	if (s->n_deadlines == s->deadlines_capacity) {
		s->deadlines_capacity = MAX(2 * s->deadlines_capacity, (size_t)16);
		s->deadlines =
		        base_realloc(s->deadlines, s->deadlines_capacity * sizeof(s->deadlines[0]));
	}
	size_t at = s->n_deadlines++;
	s->deadlines[at] = (struct deadline_item){at_ms, id};
	while (at > 0 && s->deadlines[at].at_ms < s->deadlines[(at - 1) / 2].at_ms) {
		deadline_swap(s, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
}

static void deadline_drop_first(struct queue_schedule *s)
{
	size_t at = 0;
	s->deadlines[0] = s->deadlines[--s->n_deadlines];
	for (size_t child = 1; child < s->n_deadlines; child = 2 * at + 1) {
		if (child + 1 < s->n_deadlines &&
		    s->deadlines[child + 1].at_ms < s->deadlines[child].at_ms)
			child++;
		if (s->deadlines[at].at_ms <= s->deadlines[child].at_ms)
			break;
		deadline_swap(s, at, child);
		at = child;
	}
}

/* ---- names ---- */

static bool is_name(const void *element, struct slice key)
{
	return slice_eq_str(key, ((const struct name *)element)->text);
}

static char *text_of(struct slice s)
{
	char *text = slice_to_cstr(s);
	return text ? text : base_strdup("");
}

static uint32_t name_get(struct queue_schedule *s, struct slice text)
{
	uint32_t index = pool_find(&s->names, text, is_name);
	if (index == POOL_NONE) {
		index = pool_add(&s->names, text);
		((struct name *)pool_at(&s->names, index))->text = text_of(text);
	}
	((struct name *)pool_at(&s->names, index))->n_users++;
	return index;
}

static void name_release(struct queue_schedule *s, uint32_t index)
{
	struct name *name = pool_at(&s->names, index);
	if (--name->n_users > 0)
		return;
	base_free(name->text);
	pool_remove(&s->names, index);
}

static struct slice name_text(const struct queue_schedule *s, uint32_t index)
{
	return slice_str(((const struct name *)pool_at(&s->names, index))->text);
}

static bool is_sender(const void *element, struct slice key)
{
	return slice_eq_str(key, ((const struct sender *)element)->name);
}

static uint32_t sender_get(struct queue_schedule *s, struct slice name)
{
	uint32_t index = pool_find(&s->senders, name, is_sender);
	if (index == POOL_NONE) {
		index = pool_add(&s->senders, name);
		struct sender *sender = sender_at(s, index);
		sender->name = text_of(name);
		for (unsigned kind = 0; kind < N_KINDS; kind++)
			for (unsigned u = 0; u < N_URGENCIES; u++)
				sender->fresh[kind][u] = sender->served[kind][u] = EMPTY_LIST;
	}
	sender_at(s, index)->n_users++;
	return index;
}

static void sender_release(struct queue_schedule *s, uint32_t index)
{
	struct sender *sender = sender_at(s, index);
	if (--sender->n_users > 0)
		return;
	base_free(sender->name);
	pool_remove(&s->senders, index);
}

/* ---- life ---- */

struct queue_schedule *queue_schedule_new(const struct queue_schedule_options *options)
{
	struct queue_schedule *s = base_alloc(sizeof(*s));
	s->options = *options;
	pool_init(&s->slots, sizeof(struct slot), options->key);
	pool_init(&s->names, sizeof(struct name), options->key);
	pool_init(&s->senders, sizeof(struct sender), options->key);
	pool_init(&s->lanes, sizeof(struct lane), options->key);
	pool_init(&s->destinations, sizeof(struct destination), options->key);
	for (unsigned kind = 0; kind < N_KINDS; kind++)
		s->rings[kind] = EMPTY_LIST;
	s->draining = s->pausing = EMPTY_LIST;
	s->newest = POOL_NONE;
	return s;
}

void queue_schedule_free(struct queue_schedule *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->names.n_made; i++) {
		const struct name *name = pool_at(&s->names, i);
		if (name->node.used)
			base_free(name->text);
	}
	for (uint32_t i = 0; i < s->senders.n_made; i++)
		if (sender_at(s, i)->node.used)
			base_free(sender_at(s, i)->name);
	destinations_free(s);
	pool_done(&s->slots);
	pool_done(&s->names);
	pool_done(&s->senders);
	pool_done(&s->lanes);
	base_free(s->heap);
	base_free(s->deadlines);
	base_free(s);
}

void queue_schedule_set_limits(struct queue_schedule *s,
                               const struct queue_schedule_options *options)
{
	s->options.max_running = options->max_running;
	s->options.max_per_destination = options->max_per_destination;
	s->options.max_local = options->max_local;
	s->options.rest_ms = options->rest_ms;
	for (uint32_t i = 0; i < s->destinations.n_made; i++) {
		struct destination *d = destination_at(s, i);
		if (d->node.used && d->kind == QUEUE_PLACE_REMOTE)
			d->limit = MAX(MIN(d->limit, options->max_per_destination), 1u);
	}
}

void queue_schedule_end_rests(struct queue_schedule *s)
{
	for (uint32_t i = 0; i < s->destinations.n_made; i++)
		if (destination_at(s, i)->node.used)
			destination_at(s, i)->rests_until_ms =
			        destination_at(s, i)->pauses_until_ms = 0;
}

/* ---- entries ---- */

static bool is_slot(const void *element, struct slice key)
{
	return memcmp(&((const struct slot *)element)->id, key.p, sizeof(int64_t)) == 0;
}

static uint32_t slot_find(const struct queue_schedule *s, int64_t id)
{
	return pool_find(&s->slots, slice_of(&id, sizeof(id)), is_slot);
}

/* Out of the heap or its lane. */
static void slot_take_out(struct queue_schedule *s, uint32_t index)
{
	const struct slot *slot = slot_at(s, index);
	if (slot->state == SLOT_TIMED)
		heap_remove(s, index);
	else if (slot->state == SLOT_READY)
		lane_take_out(s, index);
}

static void release_names(struct queue_schedule *s, const struct slot *slot)
{
	sender_release(s, slot->sender);
	name_release(s, slot->sender_domain);
	name_release(s, slot->domain);
	name_release(s, slot->transport);
}

static void set_names(struct queue_schedule *s, uint32_t index, const struct queue_brief *brief)
{
	uint32_t sender = sender_get(s, brief->account);
	uint32_t sender_domain = name_get(s, brief->sender_domain);
	uint32_t domain = name_get(s, brief->domain);
	uint32_t transport = name_get(s, brief->transport);
	struct slot *slot = slot_at(s, index);
	slot->sender = sender;
	slot->sender_domain = sender_domain;
	slot->domain = domain;
	slot->transport = transport;
}

static void slot_wait(struct queue_schedule *s, uint32_t index, bool hold)
{
	if (hold)
		slot_at(s, index)->state = SLOT_HELD;
	else
		heap_add(s, index);
}

static void set_deadline(struct queue_schedule *s, struct slot *slot, int64_t deadline_ms)
{
	if (deadline_ms != 0 && deadline_ms != slot->deadline_ms)
		deadline_add(s, deadline_ms, slot->id);
	slot->deadline_ms = deadline_ms;
}

void queue_schedule_put(struct queue_schedule *s, const struct queue_brief *brief)
{
	uint32_t index = slot_find(s, brief->id);
	bool is_new = index == POOL_NONE, running = false;
	struct slot old = {0};
	if (is_new) {
		index = pool_add(&s->slots, slice_of(&brief->id, sizeof(brief->id)));
		slot_at(s, index)->id = brief->id;
	} else {
		running = slot_at(s, index)->state == SLOT_RUNNING;
		slot_take_out(s, index);
		old = *slot_at(s, index);
	}
	set_names(s, index, brief);
	if (!is_new)
		release_names(s, &old);
	struct slot *slot = slot_at(s, index);
	slot->message = brief->message;
	slot->mailbox = brief->mailbox;
	slot->due_ms = brief->next_ms;
	slot->n_attempts = (uint16_t)MIN(brief->n_attempts, (uint32_t)MAX_N_ATTEMPTS);
	slot->priority = (int8_t)MAX(MIN(brief->priority, 9), -9);
	slot->require_tls = (uint8_t)brief->require_tls;
	slot->held = brief->hold;
	set_deadline(s, slot, brief->deadline_ms);
	if (!running)
		slot_wait(s, index, brief->hold);
}

void queue_schedule_remove(struct queue_schedule *s, int64_t id)
{
	uint32_t index = slot_find(s, id);
	if (index == POOL_NONE)
		return;
	slot_take_out(s, index);
	struct slot slot = *slot_at(s, index);
	pool_remove(&s->slots, index);
	release_names(s, &slot);
}

bool queue_schedule_is_running(const struct queue_schedule *s, int64_t id)
{
	uint32_t index = slot_find(s, id);
	return index != POOL_NONE && slot_at(s, index)->state == SLOT_RUNNING;
}

bool queue_schedule_set_aside(struct queue_schedule *s, int64_t id)
{
	uint32_t index = slot_find(s, id);
	if (index == POOL_NONE)
		return true;
	if (slot_at(s, index)->state == SLOT_RUNNING)
		return false;
	slot_take_out(s, index);
	slot_at(s, index)->state = SLOT_HELD;
	return true;
}

void queue_schedule_put_back(struct queue_schedule *s, int64_t id)
{
	uint32_t index = slot_find(s, id);
	if (index != POOL_NONE && slot_at(s, index)->state == SLOT_HELD && !slot_at(s, index)->held)
		slot_wait(s, index, false);
}

size_t queue_schedule_n(const struct queue_schedule *s)
{
	return s->slots.n;
}

void queue_schedule_replace(struct queue_schedule *s)
{
	for (uint32_t i = 0; i < s->slots.n_made; i++) {
		const struct slot *slot = slot_at(s, i);
		if (!slot->node.used || slot->state != SLOT_READY)
			continue;
		lane_take_out(s, i);
		heap_add(s, i);
	}
}

/* ---- taking ---- */

static void place_slot(struct queue_schedule *s, uint32_t index, int64_t now_ms)
{
	const struct slot *slot = slot_at(s, index);
	struct queue_place place = {.kind = QUEUE_PLACE_REMOTE};
	struct queue_brief brief = {
	        .id = slot->id,
	        .message = slot->message,
	        .account = slice_str(sender_at(s, slot->sender)->name),
	        .sender_domain = name_text(s, slot->sender_domain),
	        .domain = name_text(s, slot->domain),
	        .transport = name_text(s, slot->transport),
	        .mailbox = slot->mailbox,
	        .next_ms = slot->due_ms,
	        .deadline_ms = slot->deadline_ms,
	        .priority = slot->priority,
	        .n_attempts = slot->n_attempts,
	        .require_tls = (enum queue_tls_wish)slot->require_tls,
	};
	s->options.place(s->options.context, &brief, &place);
	lane_put(s, index, destination_get(s, &place, now_ms), now_ms);
}

static void promote(struct queue_schedule *s, int64_t now_ms)
{
	for (unsigned i = 0; i < PROMOTE_MAX && s->n_heap > 0; i++) {
		uint32_t index = s->heap[0];
		if (slot_at(s, index)->due_ms > now_ms)
			break;
		heap_remove(s, index);
		place_slot(s, index, now_ms);
	}
}

static void start_slot(struct queue_schedule *s, uint32_t index, struct queue_batch *batch)
{
	lane_take_out(s, index);
	slot_at(s, index)->state = SLOT_RUNNING;
	batch->ids[batch->n++] = slot_at(s, index)->id;
}

static void begin_batch(const struct queue_schedule *s, uint32_t destination, bool resting,
                        struct queue_batch *batch)
{
	const struct destination *d = destination_at(s, destination);
	batch->destination = destination;
	batch->place.kind = d->kind;
	snprintf(batch->place.key, sizeof(batch->place.key), "%s", d->key);
	batch->resting = resting;
	snprintf(batch->why, sizeof(batch->why), "%s", resting && d->why ? d->why : "");
	batch->n = 0;
}

/* What is ready for a destination that rests: of all its lanes. */
static bool take_resting(struct queue_schedule *s, int64_t now_ms, struct queue_batch *batch)
{
	uint32_t index;
	while ((index = s->draining.head) != POOL_NONE) {
		struct destination *d = destination_at(s, index);
		if (d->rests_until_ms > now_ms)
			break;
		d->draining = false; /* rested enough: its lanes have their turns */
		list_remove(&s->destinations, offsetof(struct destination, draining_link),
		            &s->draining, index);
		destination_unpark(s, index);
	}
	if (index == POOL_NONE)
		return false;
	begin_batch(s, index, true, batch);
	while (batch->n < QUEUE_BATCH_MAX && destination_at(s, index)->lanes.head != POOL_NONE)
		start_slot(s, lane_at(s, destination_at(s, index)->lanes.head)->slots.head, batch);
	return true;
}

static bool goes_with(const struct slot *slot, const struct slot *first)
{
	return slot->message == first->message && slot->transport == first->transport &&
	       slot->require_tls == first->require_tls;
}

static void take_batch(struct queue_schedule *s, uint32_t lane, struct queue_batch *batch)
{
	uint32_t destination = lane_at(s, lane)->destination, sender = lane_at(s, lane)->sender;
	unsigned kind = lane_at(s, lane)->kind;
	struct destination *d = destination_at(s, destination);
	size_t n_max =
	        d->recipient_limit ? MIN(d->recipient_limit, QUEUE_BATCH_MAX) : QUEUE_BATCH_MAX;
	begin_batch(s, destination, false, batch);
	batch->sender = sender;
	batch->kind = kind;
	d->n_running++;
	sender_at(s, sender)->n_users++; /* until the batch ends */
	sender_at(s, sender)->n_running += kind != KIND_LOCAL;
	sender_at(s, sender)->n_unproven += is_unproven(kind);
	s->n_running[kind]++;
	if (is_unproven(kind))
		token_spend(s);
	lane_end_turn(s, lane);
	uint32_t index = lane_at(s, lane)->slots.head;
	struct slot first = *slot_at(s, index);
	while (index != POOL_NONE && batch->n < n_max && goes_with(slot_at(s, index), &first)) {
		uint32_t next = slot_at(s, index)->link.next;
		start_slot(s, index, batch);
		index = next;
	}
}

bool queue_schedule_take(struct queue_schedule *s, int64_t now_ms, struct queue_batch *ret_batch)
{
	promote(s, now_ms);
	pauses_end(s, now_ms);
	tokens_refill(s, now_ms);
	if (take_resting(s, now_ms, ret_batch))
		return true;
	uint32_t lane = lane_choose(s);
	if (lane == POOL_NONE)
		return false;
	take_batch(s, lane, ret_batch);
	return true;
}

bool queue_schedule_deadline(struct queue_schedule *s, int64_t now_ms, int64_t *ret_id)
{
	while (s->n_deadlines > 0 && s->deadlines[0].at_ms <= now_ms) {
		struct deadline_item item = s->deadlines[0];
		uint32_t index = slot_find(s, item.id);
		deadline_drop_first(s);
		if (index == POOL_NONE || slot_at(s, index)->deadline_ms != item.at_ms ||
		    slot_at(s, index)->state == SLOT_RUNNING)
			continue; /* one under way comes again when it has ended */
		slot_at(s, index)->deadline_ms = 0;
		(void)queue_schedule_set_aside(s, item.id);
		*ret_id = item.id;
		return true;
	}
	return false;
}

int64_t queue_schedule_wake_ms(const struct queue_schedule *s, int64_t now_ms)
{
	int64_t wake_ms = s->n_heap > 0 ? slot_at(s, s->heap[0])->due_ms : INT64_MAX;
	if (s->n_deadlines > 0)
		wake_ms = MIN(wake_ms, s->deadlines[0].at_ms);
	wake_ms = MIN(wake_ms, pauses_next_ms(s));
	if (s->wants_token)
		wake_ms = MIN(wake_ms, now_ms + token_wait_ms(s));
	return wake_ms == INT64_MAX ? wake_ms : MAX(wake_ms, now_ms);
}

/* ---- ending ---- */

static void learn_failure(struct queue_schedule *s, struct destination *d, const char *why,
                          int64_t now_ms)
{
	bool was_proven = d->proven;
	d->n_failures++;
	d->limit = 1;
	d->n_good = 0;
	d->proven = false;
	d->failed_ms = now_ms;
	if (d->n_failures > 1 || !was_proven)
		d->rests_until_ms = now_ms + s->options.rest_ms;
	base_free(d->why);
	d->why = base_strdup(why ? why : "");
}

static void learn_success(struct queue_schedule *s, struct destination *d)
{
	d->n_failures = 0;
	d->rests_until_ms = 0;
	if (!d->proven) {
		d->proven = true;
		d->limit = MAX(MIN(LIMIT_AT_FIRST, s->options.max_per_destination), 1u);
	} else if (++d->n_good >= d->limit && d->limit < s->options.max_per_destination) {
		d->limit++;
		d->n_good = 0;
	}
}

/* True when what waits for it belongs elsewhere now. */
static bool learn(struct queue_schedule *s, struct destination *d,
                  const struct queue_feedback *feedback, int64_t now_ms)
{
	bool was_proven = d->proven;
	if (feedback->recipient_limit)
		d->recipient_limit = feedback->recipient_limit;
	if (d->kind == QUEUE_PLACE_LOCAL)
		return false;
	if (feedback->unreachable) {
		learn_failure(s, d, feedback->why, now_ms);
	} else if (feedback->busy) {
		d->limit = MAX(d->limit / 2, 1u);
		d->n_good = 0;
	} else if (feedback->reached) {
		learn_success(s, d);
	}
	return d->proven != was_proven;
}

static void end_slot(struct queue_schedule *s, int64_t id)
{
	uint32_t index = slot_find(s, id);
	if (index == POOL_NONE || slot_at(s, index)->state != SLOT_RUNNING)
		return;
	const struct slot *slot = slot_at(s, index);
	if (slot->deadline_ms != 0)
		deadline_add(s, slot->deadline_ms, id);
	slot_wait(s, index, slot->held);
}

void queue_schedule_finish(struct queue_schedule *s, const struct queue_batch *batch,
                           const struct queue_feedback *feedback, int64_t now_ms)
{
	for (size_t i = 0; i < batch->n; i++)
		end_slot(s, batch->ids[i]);
	if (batch->resting)
		return;
	struct destination *d = destination_at(s, batch->destination);
	d->n_running--;
	s->n_running[batch->kind]--;
	sender_at(s, batch->sender)->n_running -= batch->kind != KIND_LOCAL;
	sender_at(s, batch->sender)->n_unproven -= is_unproven(batch->kind);
	if (is_unproven(batch->kind) && feedback->reached)
		token_return(s);
	if (learn(s, d, feedback, now_ms))
		destination_regroup(s, batch->destination, now_ms);
	d = destination_at(s, batch->destination);
	if (feedback->unreachable && d->rests_until_ms > now_ms)
		destination_rest(s, batch->destination);
	else if (feedback->unreachable && d->kind == QUEUE_PLACE_REMOTE)
		destination_pause(s, batch->destination, now_ms + PAUSE_MS);
	destination_unpark(s, batch->destination);
	sender_ended(s, batch->sender);
	sender_release(s, batch->sender);
	destination_release(s, batch->destination);
	if (++s->n_finished % SWEEP_EVERY == 0)
		destinations_sweep(s, now_ms);
}

/* ---- for people and tests ---- */

void queue_schedule_stats(const struct queue_schedule *s, struct queue_schedule_stats *ret_stats)
{
	*ret_stats = (struct queue_schedule_stats){
	        .n_entries = s->slots.n,
	        .n_running = s->n_running[KIND_LOCAL] + s->n_running[KIND_PROVEN] +
	                     s->n_running[KIND_FRESH] + s->n_running[KIND_AGAIN],
	        .n_destinations = s->destinations.n,
	        .n_ready = s->n_ready,
	        .memory = pool_memory(&s->slots) + pool_memory(&s->names) +
	                  pool_memory(&s->senders) + pool_memory(&s->lanes) +
	                  pool_memory(&s->destinations) + s->heap_capacity * sizeof(s->heap[0]),
	};
}

static bool has_key(const void *element, struct slice key)
{
	return slice_eq_str(key, ((const struct destination *)element)->key);
}

uint32_t queue_schedule_limit(const struct queue_schedule *s, const char *key)
{
	uint32_t index = pool_find(&s->destinations, slice_str(key), has_key);
	return index == POOL_NONE ? 0 : destination_at(s, index)->limit;
}
