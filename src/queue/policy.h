/* The rules of the queue: when to try again, when to give up, whom to tell, what to suppress. Pure
 * functions of what they are given; no clock, no disk.
 */
#pragma once

#include "base/hash.h"
#include "queue/queue.h"

struct queue_policy {
	int64_t first_retry_ms;
	uint32_t factor;      /* each pause is so many times the one before */
	int64_t max_retry_ms; /* but no longer */
	uint32_t max_attempts;
	int64_t delay_notice_ms; /* age at which the sender is told of the delay; 0: never */
};
void queue_policy_init(struct queue_policy *policy); /* the defaults */

/* The pause behind the n-th attempt (from 1). Some per cent of it depend on the message, so that
 * what came together does not come back together; the same message always gets the same pause, so
 * that a promise made from it is kept. */
int64_t queue_pause_ms(const struct queue_policy *policy, int64_t message, uint32_t n_attempt);
/* When the last attempt will be, if the n-th was at `at_ms` and all fail. */
int64_t queue_last_attempt_ms(const struct queue_policy *policy, int64_t message,
                              uint32_t n_attempt, int64_t at_ms);

/* What follows from an attempt: fills state, counts, next_ms, retry_until_ms, notice and suppress
 * of the outcome, whose entry and attempt are set. Notices are left out where the sender is null or
 * did not ask (RFC 3461 section 5.2). */
struct queue_facts {
	bool relayed;      /* to a server that does not promise reports */
	bool told_anyway;  /* RFC 2852 section 4.1.4: a relayed notice without NOTIFY=SUCCESS */
	bool local;        /* delivered into a mailbox here */
	bool lost;         /* nothing was heard: try again soon */
	bool own_decision; /* no remote said so: never a reason to suppress */
};
void queue_decide(const struct queue_policy *policy, const struct queue_entry *entry,
                  const struct queue_facts *facts, struct queue_outcome *outcome);

/* Whether the sender is to be told, by NOTIFY of the recipient (RFC 3461 sections 4.1 and 5.2). */
bool queue_wants_notice(struct slice sender, uint32_t notify, enum queue_notice_kind kind);

/* RFC 2852: the time is over for an entry that is not under way. MODE RETURN: fails; NOTIFY: told
 * once, goes on. *ret_changed false: nothing to do. */
void queue_decide_deadline(const struct queue_policy *policy, const struct queue_entry *entry,
                           enum queue_by_mode mode, int64_t now_ms, struct queue_outcome *outcome,
                           bool *ret_changed);

/* Does a permanent failure say that the address itself is of no use? `enhanced` may be "". */
enum queue_suppress queue_suppress_of(uint32_t code, struct slice enhanced);
/* The address that suppression goes by: lower case, without a tag (+ or -) and dots in the local
 * part. In the arena. */
struct slice queue_base_address(struct slice address, struct arena *arena);

/* The part behind the last "@", lower case; A-labels. Empty when there is none. In the arena. */
struct slice queue_domain_of(struct slice address, struct arena *arena);
