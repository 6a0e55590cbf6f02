/* What is to be sent of a period that has ended, and what became of it. A report of each topic:
 *
 *	WAITING    for its time; then it is found out who wants it, tried for a day while the DNS
 * fails SENDING    its dispatches are under way: one for each destination (and policy, of DMARC)
 *	DONE       they have ended, or there were none: `why`
 *
 * and of each dispatch:
 *
 *	WAITING    for its time, the first or another one after a failure for the time being
 *	HANDING    begun: written down before anything leaves
 *	SENT       the queue has it, or the HTTPS server has taken it
 *	REFUSED    it was not sent: `why`
 *	UNKNOWN    begun, and we ended before we heard what became of it: not sent again
 *
 * Each change is a transaction of its own. A dispatch that a crash left HANDING is begun once more
 * where that cannot double it: the queue knows the id of what it has been given for a day. See
 * docs/decisions/reports.md.
 */
#pragma once

#include "rooms/report_facts.h"

#define REPORT_DISPATCHES_MAX  40u   /* of a report */
#define REPORT_GIVE_UP_S       86400 /* after the first try (RFC 8460 section 5.5) */
#define REPORT_RETRY_S         30    /* after a failure, doubled each time */
#define REPORT_RETRY_MAX_S     14400
#define REPORT_HANDING_FRESH_S (20 * 3600) /* the queue surely still knows the id */
#define REPORT_ID_MAX          400u
#define REPORT_WHY_MAX         500u
#define REPORT_URI_MAX         1000u

#define REPORT_STATE_LIST(X)                                                                       \
	X(WAITING, "waiting")                                                                      \
	X(SENDING, "sending")                                                                      \
	X(DONE, "done")
enum report_state {
#define X(id, name) REPORT_##id,
	REPORT_STATE_LIST(X)
#undef X
};
const char *report_state_name(enum report_state state);

#define REPORT_DISPATCH_LIST(X)                                                                    \
	X(WAITING, "waiting")                                                                      \
	X(HANDING, "handing over")                                                                 \
	X(SENT, "sent")                                                                            \
	X(REFUSED, "not sent")                                                                     \
	X(UNKNOWN, "unknown")
enum report_dispatch_state {
#define X(id, name) REPORT_DISPATCH_##id,
	REPORT_DISPATCH_LIST(X)
#undef X
};
const char *report_dispatch_state_name(enum report_dispatch_state state);

/* Part of the transaction that ends a period: a report of each of its topics, due at an instant
 * within jitter_s of due_s. */
struct status report_outbox_enter(struct db *db, int64_t period, int64_t due_s, int64_t jitter_s);

/* Once at the start: what a crash has left HANDING. */
struct status report_outbox_resume(struct report_db *db, int64_t now_s);

/* What waits, of periods that overlap these instants, is due now. */
struct status report_outbox_hurry(struct report_db *db, int64_t from_s, int64_t to_s,
                                  int64_t now_s);

struct report_dispatch {
	int64_t topic;
	unsigned n;     /* its number within the report */
	int64_t policy; /* of DMARC; else 0 */
	enum report_dispatch_state state;
	struct slice uri;
	struct slice address; /* of a mailto:; empty: it goes by HTTPS */
	uint64_t size_max;    /* bytes; 0: any */
	struct slice report_id;
	int64_t begun_s, ended_s, next_s;
	uint32_t n_tries;
	struct slice why;
};

/* The next thing that is due: a report whose destinations are to be found (dispatch.topic 0), or a
 * dispatch. NOT_FOUND: none; *ret_next_s (always set): when there may be. */
struct report_task {
	struct report_topic topic;
	uint32_t n_tries;
	struct report_dispatch dispatch;
};
struct status report_outbox_next(struct report_db *db, int64_t now_s, struct arena *arena,
                                 struct report_task *ret_task, int64_t *ret_next_s);

/* Where a report goes. */
struct report_destination {
	struct slice uri, address;
	uint64_t size_max;
	struct slice refused; /* why it gets nothing; empty: it does */
};

/* Its destinations are found; those of DMARC get a report of each policy that was met. domain: of
 * the submitter, for identifiers. why: where there is nobody, or what there is to say. */
struct status report_outbox_found(struct report_db *db, int64_t topic, int64_t now_s,
                                  const struct report_destination *destinations, size_t n,
                                  struct slice domain, struct slice why);
/* They could not be found now. Given up when it was tried for a day. */
struct status report_outbox_later(struct report_db *db, int64_t topic, int64_t now_s,
                                  struct slice why);

struct status report_dispatch_begin(struct report_db *db, const struct report_dispatch *dispatch,
                                    int64_t now_s);
/* SENT, REFUSED or UNKNOWN. The report is DONE with its last dispatch. */
struct status report_dispatch_end(struct report_db *db, const struct report_dispatch *dispatch,
                                  enum report_dispatch_state state, int64_t now_s,
                                  struct slice why);
/* Nothing has left, surely: it is tried again, or given up. */
struct status report_dispatch_later(struct report_db *db, const struct report_dispatch *dispatch,
                                    int64_t now_s, struct slice why);

/* What becomes of a topic's report. NOT_FOUND: its period has not ended. */
struct report_progress {
	enum report_state state;
	int64_t next_s;
	uint32_t n_tries;
	struct slice why;
	struct report_dispatch dispatches[REPORT_DISPATCHES_MAX];
	size_t n_dispatches;
};
struct status report_outbox_read(struct report_db *db, int64_t topic, struct arena *arena,
                                 struct report_progress *ret_progress);
