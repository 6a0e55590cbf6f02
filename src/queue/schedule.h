/* Which entry is tried when: due times, destinations and their limits, fairness. Pure: time is
 * given, nothing blocks, no thread of its own; the owner locks.
 *
 * An entry waits until it is due, is then asked where it goes (`place`), and waits in a lane: the
 * entries of one account for one destination. What may run is chosen
 *	- by account in turn, so that one big mailing does not hold up others;
 *	- within an account by destination in turn, alternately the one that waits longest and the
 *	  newest, so that a fresh message does not wait behind ten thousand others;
 *	- within a lane by priority, then by time. Entries of one message there go together.
 * A destination has a limit of attempts at a time: one, until it was reached, then some; the limit
 * grows with success and shrinks with trouble.
 *
 * Hosts that do not answer take half a minute to say so, each. So that what is fresh does not wait
 * for them: a quarter of the slots is for destinations that have been reached; half of them at most
 * serve what is tried again, or the unproven destinations of one account; three quarters at most
 * one account; and unproven attempts begin at a pace, so that slots become free one after the
 * other.
 *
 * A destination that cannot be reached is left alone for a while: what becomes due for it is given
 * out without an attempt, to be deferred for the same reason. One that worked before gets a second
 * chance after some seconds first, and what waits for it waits with it.
 *
 * Memory: about 100 bytes an entry, names stored once.
 */
#pragma once

#include "base/hash.h"
#include "queue/queue.h"

#define QUEUE_BATCH_MAX     100u /* RFC 5321 section 4.5.3.1.8: every server takes so many */
#define QUEUE_PLACE_KEY_MAX 300u
#define QUEUE_WHY_MAX       200u

struct queue_schedule;

enum queue_place_kind { QUEUE_PLACE_LOCAL, QUEUE_PLACE_REMOTE };

/* Where an entry goes, now. Entries of one key share limits and may share a transaction. */
struct queue_place {
	enum queue_place_kind kind;
	char key[QUEUE_PLACE_KEY_MAX + 1];
};

struct queue_schedule_options {
	uint32_t max_running; /* remote attempts at a time */
	uint32_t max_per_destination;
	uint32_t max_local;  /* local deliveries at a time */
	int64_t rest_ms;     /* how long an unreachable destination is left alone */
	struct hash_key key; /* random */
	void (*place)(void *context, const struct queue_brief *brief,
	              struct queue_place *ret_place);
	void *context;
};

struct queue_schedule *queue_schedule_new(const struct queue_schedule_options *options);
void queue_schedule_free(struct queue_schedule *schedule); /* NULL is fine */
void queue_schedule_set_limits(struct queue_schedule *schedule,
                               const struct queue_schedule_options *options);
/* Everything that waits is placed anew: routes have changed. */
void queue_schedule_replace(struct queue_schedule *schedule);

/* Destinations that rest are tried again: someone asked for it. */
void queue_schedule_end_rests(struct queue_schedule *schedule);

/* New, or changed. What is under way goes on; the change counts afterwards. */
void queue_schedule_put(struct queue_schedule *schedule, const struct queue_brief *brief);
void queue_schedule_remove(struct queue_schedule *schedule, int64_t id);
bool queue_schedule_is_running(const struct queue_schedule *schedule, int64_t id);
/* For one who is about to end an entry: it is not taken until it is put, or put back. False, and
 * nothing done, when it is under way. An entry that is not known is true as well. */
bool queue_schedule_set_aside(struct queue_schedule *schedule, int64_t id);
void queue_schedule_put_back(struct queue_schedule *schedule, int64_t id);
size_t queue_schedule_n(const struct queue_schedule *schedule);

/* Entries of one message for one destination; `resting`: of any message, not to be tried. */
struct queue_batch {
	uint32_t destination, sender; /* these and kind are the schedule's */
	unsigned kind;
	struct queue_place place;
	bool resting;
	char why[QUEUE_WHY_MAX + 1]; /* resting: what happened to the destination */
	size_t n;
	int64_t ids[QUEUE_BATCH_MAX];
};
/* The next to try at this time; false when there is nothing. Its entries are then under way. */
bool queue_schedule_take(struct queue_schedule *schedule, int64_t now_ms,
                         struct queue_batch *ret_batch);
/* An entry whose deadline has passed and that is not under way; each is given once, and is set
 * aside until it is put, removed or put back. */
bool queue_schedule_deadline(struct queue_schedule *schedule, int64_t now_ms, int64_t *ret_id);
/* When there may be something to take: INT64_MAX when only a change or an end can bring it. */
int64_t queue_schedule_wake_ms(const struct queue_schedule *schedule, int64_t now_ms);

/* How it went; what became of the entries is told by put and remove, before. */
struct queue_feedback {
	bool reached;             /* a server talked to us */
	bool busy;                /* it asked for fewer connections */
	bool unreachable;         /* no server could be talked to */
	const char *why;          /* unreachable; cut */
	uint32_t recipient_limit; /* LIMITS RCPTMAX (RFC 9422); 0: none known */
};
void queue_schedule_finish(struct queue_schedule *schedule, const struct queue_batch *batch,
                           const struct queue_feedback *feedback, int64_t now_ms);

/* For people and tests. */
struct queue_schedule_stats {
	size_t n_entries, n_running, n_destinations, n_ready;
	size_t memory; /* bytes */
};
void queue_schedule_stats(const struct queue_schedule *schedule,
                          struct queue_schedule_stats *ret_stats);
/* The limit of a destination just now; 0: not known. */
uint32_t queue_schedule_limit(const struct queue_schedule *schedule, const char *key);
