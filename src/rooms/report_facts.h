/* What reports are made of, counted: per period, kind and domain, per policy that was met, and per
 * thing that messages or sessions have in common. What these are is not known here: policy and form
 * are packed messages of the steward's door, equal when their bytes are.
 *
 * A period is a UTC day (RFC 8460 section 4.1 wants that, RFC 7489 section 7.2 allows it); one that
 * a person ended early is followed by one for the rest of the day. Facts are added to the period
 * that runs when they arrive, so that a period that has ended never changes. When one ends, a
 * report of each of its topics is entered in the same transaction (report_outbox.h).
 *
 * Facts come in batches with ids: a batch is counted once, however often it is added within a day.
 *
 * Limits: below. What goes beyond them is counted as dropped, by topic where there is one.
 */
#pragma once

#include "base/arena.h"
#include "rooms/report_db.h"
#include "rooms/report_kind.h"

#define REPORT_TOPICS_MAX         20000u  /* of a period */
#define REPORT_FACTS_MAX          500000u /* of a period: things, not how often they occurred */
#define REPORT_TOPIC_POLICIES_MAX 50u     /* of a topic */
#define REPORT_TOPIC_FACTS_MAX    20000u  /* of a topic */
#define REPORT_FORM_MAX           ((size_t)24 * 1024) /* bytes of a policy; of a fact's form, too */
#define REPORT_COUNT_MAX_FACT     UINT64_C(1000000000) /* of one fact in a batch */
#define REPORT_DOMAINS_MAX        2u
#define REPORT_BATCH_ID_SIZE      16u
#define REPORT_BATCH_KEEP_S       86400
#define REPORT_KEEP_S             (14 * 86400) /* a period, after its end */

#define REPORT_DAY_S       86400
#define REPORT_DELAY_MIN_S 600        /* from the end of a day to the first report */
#define REPORT_JITTER_S    (4 * 3600) /* and from that to the last */

struct report_fact {
	enum report_kind kind;
	struct slice domains[REPORT_DOMAINS_MAX]; /* that are told of it */
	size_t n_domains;
	struct slice policy, form;
	uint64_t count;
	bool unwanted; /* no reason for a report by itself */
};

/* Whether it keeps to the limits; what does not is not added. */
bool report_fact_is_good(const struct report_fact *fact);

/* INVALID with a fact that is not good: nothing is counted then. */
struct status report_facts_add(struct report_db *db, int64_t now_s, struct slice batch,
                               const struct report_fact *facts, size_t n_facts, uint64_t n_dropped,
                               bool *ret_repeated);

/* Ends the period that runs when its time has come; *ret_next_s: when it will have. */
struct status report_facts_roll(struct report_db *db, int64_t now_s, int64_t *ret_next_s);
/* Ends the period that runs now, and has its reports sent at once. NOT_FOUND: nothing was counted
 * in it. */
struct status report_facts_end_now(struct report_db *db, int64_t now_s);
/* Forgets periods and batches whose time is over. */
struct status report_facts_clean(struct report_db *db, int64_t now_s);

/* ---- what was counted ---- */

struct report_topic {
	int64_t id, period;
	int64_t begin_s, end_s;
	bool ended;
	enum report_kind kind;
	struct slice domain;
	bool wanted;
	uint64_t n_facts, n_dropped;
	uint64_t n_period_dropped; /* of all topics, before it was known of which */
};

/* kind and domain of the topics in question; domain empty: all. Times: periods that overlap them; 0
 * and INT64_MAX: all. Newest period first; those behind `after` (0: from the beginning), at most
 * max. */
struct report_topics_query {
	enum report_kind kind;
	struct slice domain;
	int64_t from_s, to_s;
	int64_t after;
	size_t max;
};
struct status report_topics_list(struct report_db *db, const struct report_topics_query *query,
                                 struct arena *arena, struct report_topic **ret_topics,
                                 size_t *ret_n);
struct status report_topic_find(struct report_db *db, int64_t id, struct arena *arena,
                                struct report_topic *ret_topic);

struct report_counted {
	int64_t policy;
	struct slice policy_form;
	struct slice form;
	uint64_t count;
};
/* All of a topic, those of one policy next to each other; policy 0: of all. At most max: *ret_more
 * then. */
struct status report_topic_read(struct report_db *db, int64_t topic, int64_t policy, size_t max,
                                struct arena *arena, struct report_counted **ret_counted,
                                size_t *ret_n, bool *ret_more);
