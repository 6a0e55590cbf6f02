/* The queue's inside.
 *
 * Changes are requests that share transactions: the first in line leads, takes all that wait, runs
 * and commits them together, tells the observer in their order, and hands the lead on (writer.c). A
 * request that fails for its own reasons does so before its first SQL write; every other failure is
 * the disk's, and then each request of the transaction runs again alone.
 *
 * A body's file is made and synced before the transaction that names it and removed after the one
 * that forgets it; what a crash leaves is swept at the next start (bodies.c).
 *
 * Ids of messages, entries and notices come from one counter and are never used twice; the database
 * holds a number that all given out are below.
 */
#pragma once

#include "queue/queue.h"
#include "store/db.h"

#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>

#define SUM_SIZE 16u

struct tx;

struct request {
	struct request *next;
	struct status (*run)(struct tx *tx, struct request *request);
	struct status status;
	bool done, leads;
	pthread_cond_t wake;
};

/* An event for the observer. */
struct event {
	bool left;
	struct queue_brief brief; /* left: the id only; text in the transaction's arena */
};

/* A transaction under way, the leader's. */
struct tx {
	struct queue *queue;
	struct db *db;
	int64_t now_ms;
	struct arena arena; /* until the observer was told */
	struct queue_totals totals;
	struct event *events;
	size_t n_events, events_capacity;
	int64_t *unlink; /* bodies whose files go after the commit */
	size_t n_unlink, unlink_capacity;
	bool rules_changed;
};

/* A connection for reading, one user at a time. */
struct reader {
	pthread_mutex_t lock;
	struct db *db; /* NULL until it is needed */
};

/* Copies of the hold rules, for adding. */
struct hold_rules {
	struct arena arena;
	struct queue_hold_rule *v;
	size_t n;
};

struct queue {
	struct queue_options options;
	char *path;
	struct blobs blobs;
	struct db *writer; /* the leader's */
	struct reader deliveries, people;
	_Atomic int64_t next_id, reserved_id;
	_Atomic uint64_t max_entries, max_size;
	_Atomic int64_t keep_retired_ms;
	atomic_bool broken;
	pthread_mutex_t lock; /* guards the line of requests and totals */
	struct request *first, **last;
	bool writing;
	struct queue_totals totals;
	struct hold_rules rules; /* the leader's */
	int64_t pruned_ms;       /* the leader's: when submission ids were last forgotten */
};

/* ---- schema.c ---- */

struct status schema_prepare(struct db *db);

/* ---- writer.c ---- */

struct status writer_do(struct queue *queue, struct request *request);
/* Several at once: they share a transaction as far as they fit. */
void writer_do_all(struct queue *queue, struct request *const *requests, size_t n);
void tx_tell(struct tx *tx, const struct queue_brief *brief); /* text is copied */
void tx_tell_left(struct tx *tx, int64_t id);
void tx_unlink(struct tx *tx, int64_t message);
int64_t queue_new_ids(struct queue *queue, int64_t n); /* the first of n */
bool err_is_environment(enum err code);

struct status reader_lock(struct queue *queue, struct reader *reader);
void reader_unlock(struct reader *reader);

/* ---- bodies.c ---- */

struct body {
	bool is_file;
	bool kept; /* the file is named by the index, or its fate is unknown */
	uint64_t size;
	uint8_t sum[SUM_SIZE];
	uint8_t *bytes; /* inline */
};
/* Reads a body in and, when it is large, makes its file durable. */
struct status body_take(struct queue *queue, int64_t message, int fd, uint64_t size,
                        struct body *ret_body);
void body_done(struct queue *queue, int64_t message, struct body *body);
struct status bodies_sweep(struct queue *queue, struct db *db);

/* ---- rows.c ---- */

struct entry_row {
	struct queue_entry entry;
	uint32_t n_history;
};
/* Columns of an entry and its message, in the order that row_read expects. */
#define ENTRY_COLUMNS                                                                              \
	"e.id, e.message, m.account, m.sender, e.recipient, m.from_address, m.message_id,"         \
	" m.subject, m.envid, m.size, e.domain, e.orcpt, e.notify, m.submitted_at, e.next_at,"     \
	" e.last_at, e.released_at, m.deliver_by, m.by_mode, m.priority, e.n_attempts, e.n_lost,"  \
	" e.hold, e.delay_told, e.transport, e.require_tls, e.last_result, e.n_history, m.flags"
#define RETIRED_COLUMNS                                                                            \
	"id, message, account, sender, recipient, from_address, message_id, subject, envid, size," \
	" orcpt, notify, submitted_at, last_at, n_attempts, state, transport, require_tls,"        \
	" last_result, n_history, keep_until"
/* Text points into the row unless there is an arena. */
void row_read(struct db_stmt *stmt, struct arena *arena, struct entry_row *ret_row);
void retired_row_read(struct db_stmt *stmt, struct arena *arena, struct entry_row *ret_row);
/* NOT_FOUND when it has left. */
struct status row_find(struct db *db, int64_t entry, struct arena *arena,
                       struct entry_row *ret_row);
struct slice row_text(struct db_stmt *stmt, int column, struct arena *arena);
void row_brief(const struct entry_row *row, struct queue_brief *ret_brief);
void tx_tell_row(struct tx *tx, const struct entry_row *row);
int64_t message_flags(const struct queue_message *message);
struct status message_read(struct db *db, int64_t id, struct arena *arena,
                           struct queue_message *ret_message);
/* Texts that were not given become empty ones. */
void attempt_complete(struct queue_attempt *attempt);
struct status history_add(struct db *db, int64_t entry, uint32_t n,
                          const struct queue_attempt *attempt);
struct status history_read(struct db *db, int64_t entry, struct arena *arena,
                           struct queue_attempt **ret_history, size_t *ret_n);
struct status history_remove(struct db *db, int64_t entry);

struct slice cut_text(struct slice text, size_t max); /* at a character's start */

/* ---- parts of transactions ---- */

struct new_entry {
	int64_t id, message;
	struct slice recipient, domain, orcpt, transport;
	uint32_t notify;
	int64_t next_ms;
	bool hold;
};
struct status entry_insert(struct tx *tx, const struct new_entry *entry);             /* add.c */
struct status outcome_apply(struct tx *tx, struct queue_outcome *outcomes, size_t n); /* record.c */
struct status message_change_users(struct tx *tx, int64_t message, int64_t change);   /* record.c */
/* One notice for all outcomes of a message that cause the same kind. */
struct status notices_insert(struct tx *tx, const struct queue_outcome *outcomes,
                             const struct entry_row *rows, size_t n); /* notice.c */
struct status suppress_insert(struct tx *tx, const struct queue_suppression *suppression,
                              bool *ret_new); /* rules.c */
struct status suppress_after(struct tx *tx, const struct entry_row *row, enum queue_suppress how,
                             const struct queue_attempt *attempt); /* rules.c */
struct status hold_rules_load(struct queue *queue, struct db *db); /* rules.c */
bool hold_rules_match(const struct queue *queue, struct slice account, struct slice sender,
                      struct slice recipient_domain); /* rules.c */
struct status prune(struct tx *tx);                   /* clean.c */

/* Changes every entry that is wanted, in pieces; people.c. */
struct status apply_where(struct queue *queue, struct queue_apply *apply,
                          bool (*wants)(void *context, const struct queue_entry *entry),
                          void *context);
