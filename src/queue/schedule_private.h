/* The schedule's inside. Who points at whom, by index:
 *
 *	sender (an account) -> rings of its lanes, by kind and urgency
 *	lane   (sender, destination, kind, urgency) -> slots that are ready, in their order
 *	destination -> all its lanes; those that wait for it to have room again (parked)
 *	ring of senders per kind -> whose turn it is
 *
 * A sender stands in the ring of a kind only while it has a lane there; a lane that cannot run
 * leaves the ring when its turn comes and returns when an attempt at its destination ends. So
 * choosing costs a few steps however much waits.
 */
#pragma once

#include "queue/pool.h"
#include "queue/schedule.h"

/* To a mailbox here; to a destination that was reached before; to one that nothing is known of; to
 * one that could not be reached, or another attempt. The last two are unproven. */
enum { KIND_LOCAL, KIND_PROVEN, KIND_FRESH, KIND_AGAIN, N_KINDS };
enum { URGENT, USUAL, BULK, N_URGENCIES }; /* priorities above, at and below 0 */

enum slot_state { SLOT_HELD, SLOT_TIMED, SLOT_READY, SLOT_RUNNING };

struct list {
	uint32_t head, tail;
};
struct link {
	uint32_t prev, next;
};

struct slot {
	struct pool_node node; /* by id */
	int64_t id, message;
	int64_t due_ms, deadline_ms;
	uint32_t sender, sender_domain, domain, transport;
	uint32_t mailbox;
	uint32_t lane;    /* READY */
	uint32_t heap_at; /* TIMED */
	struct link link; /* READY: in its lane */
	uint16_t n_attempts;
	int8_t priority;
	uint8_t state;
	uint8_t require_tls;
	bool held;
};

struct name {
	struct pool_node node;
	uint32_t n_users;
	char *text;
};

struct sender {
	struct pool_node node;
	uint32_t n_users, n_running, n_unproven, turn;
	char *name;
	struct list fresh[N_KINDS][N_URGENCIES];  /* lanes that had no turn yet */
	struct list served[N_KINDS][N_URGENCIES]; /* those that had */
	struct link rings[N_KINDS];
	bool in_ring[N_KINDS];
};

enum lane_place { LANE_IN_RING, LANE_PARKED };

struct lane {
	struct pool_node node; /* by struct lane_key */
	uint32_t sender, destination;
	uint8_t kind, urgency, place;
	bool served; /* had its turn since it was made */
	struct list slots;
	struct link ring; /* of the sender, or among the destination's parked ones */
	struct link of_destination;
};

struct destination {
	struct pool_node node; /* by key */
	char *key;
	enum queue_place_kind kind;
	bool proven; /* reached, and not out of reach since */
	uint32_t n_running, limit, n_good, n_failures, recipient_limit;
	int64_t rests_until_ms, pauses_until_ms, failed_ms, used_ms;
	char *why;
	struct list lanes, parked;
	struct link draining_link, pausing_link;
	bool draining, pausing;
};

struct deadline_item {
	int64_t at_ms, id;
};

struct queue_schedule {
	struct queue_schedule_options options;
	struct pool slots, names, senders, lanes, destinations;
	uint32_t *heap; /* slots by due time */
	size_t n_heap, heap_capacity;
	struct deadline_item *deadlines; /* a heap too; may hold some that are void */
	size_t n_deadlines, deadlines_capacity;
	struct list rings[N_KINDS];
	struct list draining; /* destinations that rest and have something ready */
	struct list pausing;  /* those for which a moment is waited */
	size_t n_running[N_KINDS], n_ready;
	int64_t tokens_milli, tokens_at_ms; /* unproven attempts that may begin now */
	bool has_tokens, wants_token;
	uint32_t newest; /* lane of what arrived last, to a destination that nothing is known of */
	unsigned turn;
	unsigned n_finished;
};

/* ---- lists (schedule_lanes.c) ---- */

#define EMPTY_LIST ((struct list){POOL_NONE, POOL_NONE})
void list_append(const struct pool *pool, size_t link_at, struct list *list, uint32_t index);
void list_insert_before(const struct pool *pool, size_t link_at, struct list *list, uint32_t before,
                        uint32_t index);
void list_remove(const struct pool *pool, size_t link_at, struct list *list, uint32_t index);

/* ---- lanes (schedule_lanes.c) ---- */

static inline struct slot *slot_at(const struct queue_schedule *s, uint32_t i)
{
	return pool_at(&s->slots, i);
}
static inline struct sender *sender_at(const struct queue_schedule *s, uint32_t i)
{
	return pool_at(&s->senders, i);
}
static inline struct lane *lane_at(const struct queue_schedule *s, uint32_t i)
{
	return pool_at(&s->lanes, i);
}
static inline struct destination *destination_at(const struct queue_schedule *s, uint32_t i)
{
	return pool_at(&s->destinations, i);
}

/* The destination of that key, made at need. */
uint32_t destination_get(struct queue_schedule *s, const struct queue_place *place, int64_t now_ms);
/* Forgets it when there is nothing to remember. */
void destination_release(struct queue_schedule *s, uint32_t index);
void destinations_sweep(struct queue_schedule *s, int64_t now_ms);
void destinations_free(struct queue_schedule *s);

/* Puts a slot that is due into its lane. */
void lane_put(struct queue_schedule *s, uint32_t slot, uint32_t destination, int64_t now_ms);
void lane_take_out(struct queue_schedule *s, uint32_t slot);
/* Chooses a lane whose first slot may run now; POOL_NONE. */
uint32_t lane_choose(struct queue_schedule *s);
/* After the choice: its turn is over for now. */
void lane_end_turn(struct queue_schedule *s, uint32_t lane);
/* Unproven attempts begin at a pace: those that hang would otherwise begin, and end, all at once.
 * One that reaches its destination gives its token back. */
void tokens_refill(struct queue_schedule *s, int64_t now_ms);
void token_spend(struct queue_schedule *s);
void token_return(struct queue_schedule *s);
int64_t token_wait_ms(const struct queue_schedule *s); /* until the next one */
/* What waits for a destination of which something else is known now. */
void destination_regroup(struct queue_schedule *s, uint32_t index, int64_t now_ms);
static inline bool is_unproven(unsigned kind)
{
	return kind == KIND_FRESH || kind == KIND_AGAIN;
}
/* An attempt at the destination has ended: one parked lane for each place that is free. */
void destination_unpark(struct queue_schedule *s, uint32_t index);
void sender_ended(struct queue_schedule *s, uint32_t sender);
void destination_rest(struct queue_schedule *s, uint32_t index);
void destination_pause(struct queue_schedule *s, uint32_t index, int64_t until_ms);
void pauses_end(struct queue_schedule *s, int64_t now_ms);
int64_t pauses_next_ms(const struct queue_schedule *s); /* INT64_MAX: none */
