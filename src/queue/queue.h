/* The outgoing queue on disk: what was acknowledged is here until it is delivered or its sender is
 * told. A message (bytes and envelope of one submission) has one entry per recipient.
 *
 * Life of an entry: queue_add -> attempts, each recorded by queue_record -> retired (delivered,
 * failed or dropped), kept for a while for people and for reports that come in. A message's bytes
 * go when its last entry has retired and no notice to its sender is pending.
 *
 * A notice is the intention to tell the sender something (RFC 3461). It is recorded in the same
 * transaction as the outcome that caused it and removed when the report lies in the sender's
 * mailbox, so no crash loses one.
 *
 * When to try what is not decided here: schedule.h keeps the times, policy.h the rules. The
 * observer hears of every committed change, so that the schedule follows.
 *
 * Functions may be called from any thread and block for the disk. Changes from several threads
 * share commits. Text in results lives in the caller's arena.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "store/blob.h"

/* Limits of one submission and of what is kept about it. */
#define QUEUE_RECIPIENTS_MAX  10000u
#define QUEUE_PREFIX_MAX      ((size_t)64 * 1024)
#define QUEUE_TEXT_MAX        ((size_t)1000) /* bytes of a name, address or sentence */
#define QUEUE_REFERENCES_MAX  ((size_t)8000)
#define QUEUE_LINES_SIZE_MAX  ((size_t)8000) /* bytes of a remote reply */
#define QUEUE_RESULTS_MAX     ((size_t)3000) /* of an attempt's sessions by policy */
#define QUEUE_HISTORY_MAX     32u            /* attempts kept per entry: the first and the latest */
#define QUEUE_HOLD_RULES_MAX  1000u
#define QUEUE_ID_MAX          64u       /* bytes of a submission id */
#define QUEUE_SUBMISSION_KEEP 86400000L /* ms that a submission id is remembered */

struct queue;

/* ---- what is queued ---- */

/* As enum smtp_notify. */
enum queue_notify { /* bits, RFC 3461 section 4.1; 0: not given */
	            QUEUE_NOTIFY_NEVER = 1,
	            QUEUE_NOTIFY_SUCCESS = 2,
	            QUEUE_NOTIFY_FAILURE = 4,
	            QUEUE_NOTIFY_DELAY = 8,
};

enum queue_by_mode { QUEUE_BY_NONE, QUEUE_BY_RETURN, QUEUE_BY_NOTIFY }; /* RFC 2852 */

enum queue_tls_wish { QUEUE_TLS_DEFAULT, QUEUE_TLS_YES, QUEUE_TLS_NO };

struct queue_message {
	int64_t id;
	uint8_t uid[16]; /* random: what identifiers of deliveries are made of */
	struct slice account;
	struct slice sender; /* "" is the null sender */
	struct slice from;
	struct slice message_id;
	struct slice subject;
	struct slice references;
	struct slice prefix;
	struct slice envid;
	uint64_t size; /* without the prefix */
	bool has_8bit, smtputf8, binary, require_tls, tls_optional;
	uint32_t ret;
	int64_t submitted_ms;
	int64_t deliver_by_ms; /* 0: none */
	enum queue_by_mode deliver_by_mode;
	bool deliver_by_trace;
	int priority; /* -9 to 9 */
};

struct queue_recipient {
	struct slice address;
	uint32_t notify;
	struct slice orcpt;
	int64_t ret_id; /* out: the entry's */
};

struct queue_add {
	/* in */
	struct slice submission_id;
	struct queue_message message; /* id, uid and submitted_ms are made */
	int body_fd;                  /* message.size bytes from offset 0; stays the caller's */
	int64_t hold_until_ms;        /* 0: at once */
	struct slice transport;
	struct queue_recipient *recipients;
	size_t n_recipients;
	/* out */
	struct status status;
	bool repeated; /* the same submission had been stored before */
};

enum queue_state {
	QUEUE_WAITING,
	QUEUE_HELD,
	QUEUE_DELIVERED, /* retired */
	QUEUE_FAILED,    /* retired */
	QUEUE_DROPPED,   /* retired */
};

struct queue_entry {
	int64_t id, message;
	struct slice account, sender, from, message_id, subject, envid;
	uint64_t size;
	struct slice recipient;
	struct slice domain; /* of the recipient: A-labels, lower case, or a literal */
	struct slice orcpt;
	uint32_t notify;
	int64_t submitted_ms, next_ms, last_ms; /* last 0: not tried yet */
	int64_t released_ms; /* when it was first due: later than submitted when held by its sender
	                      */
	int64_t deliver_by_ms;
	enum queue_by_mode by_mode;
	bool message_require_tls, message_tls_optional; /* what the message asked for */
	int priority;
	uint32_t n_attempts;
	uint32_t n_lost; /* attempts in a row of which nothing was heard */
	enum queue_state state;
	bool delay_told;
	struct slice transport;
	enum queue_tls_wish require_tls;
	struct slice last_result;
	int64_t keep_until_ms; /* retired */
};

/* What the schedule needs to know of an entry. */
struct queue_brief {
	int64_t id, message;
	struct slice account, sender_domain, domain, transport;
	uint32_t mailbox; /* queue_mailbox_hash of the recipient */
	int64_t next_ms;
	int64_t deadline_ms; /* 0: none */
	int priority;
	uint32_t n_attempts;
	enum queue_tls_wish require_tls;
	bool hold;
};

/* The same for all spellings of a local part that commonly mean one mailbox: case and "+tag" do not
 * count. To keep recipients of one domain apart where they must not wait for each other. */
uint32_t queue_mailbox_hash(struct slice recipient);

/* Called after a commit, in the order of commits; what one commit changed between begin and end,
 * which may be NULL. It must not call the queue. */
struct queue_observer {
	void (*begin)(void *context);
	void (*end)(void *context);
	void (*changed)(void *context, const struct queue_brief *brief); /* new ones too */
	void (*left)(void *context, int64_t id);
	void *context;
};

struct queue_options {
	int dir_fd;               /* of the queue's directory; the caller's */
	const char *path;         /* of the database, for the process's view of the file system */
	const char *vfs;          /* NULL: the real one */
	const struct blob_io *io; /* NULL: the real one */
	const struct clock *clock;
	struct queue_observer observer;
	uint64_t inline_max; /* larger bodies are files; 0: the default */
	uint64_t max_entries;
	uint64_t max_size; /* bytes of bodies */
	int64_t keep_retired_ms;
};

/* Opens or makes the queue and sweeps what a crash left. The observer hears nothing yet. */
struct status queue_open(const struct queue_options *options, struct queue **ret_queue);
void queue_close(struct queue *queue); /* NULL is fine; nobody uses it any more */
void queue_set_limits(struct queue *queue, uint64_t max_entries, uint64_t max_size,
                      int64_t keep_retired_ms);
/* True once a sync has failed: nothing is taken any more until the queue is opened anew. */
bool queue_is_broken(const struct queue *queue);

/* Tells the observer of every entry; once, after the start. */
struct status queue_replay(struct queue *queue);

struct queue_totals {
	uint64_t n_entries, n_retired;
	uint64_t size; /* bytes of bodies */
};
void queue_totals(struct queue *queue, struct queue_totals *ret_totals);

/* ---- adding ---- */

/* Each with its own status; durable when OK. LIMIT or SYNTAX: never acceptable. NO_SPACE: the disk
 * or the queue is full for now. A hold rule that matches holds the entry from its birth. */
void queue_add(struct queue *queue, struct queue_add *const *adds, size_t n);

/* ---- attempts ---- */

/* NOT_FOUND when the entry has left. The message may be NULL when it is not wanted. */
struct status queue_load(struct queue *queue, int64_t entry, struct arena *arena,
                         struct queue_entry *ret_entry, struct queue_message *ret_message);
/* A descriptor with exactly message.size bytes from offset 0, checked against their checksum:
 * CORRUPT when they are damaged. The caller's. */
struct status queue_body(struct queue *queue, int64_t message, int *ret_fd);

enum queue_result { QUEUE_RESULT_DELIVERED, QUEUE_RESULT_DEFERRED, QUEUE_RESULT_FAILED };

struct queue_attempt {
	int64_t started_ms, ended_ms;
	struct slice transport, route;
	struct slice remote_host, remote_address;
	uint32_t code; /* of the remote reply; 0: none */
	struct slice enhanced;
	struct slice lines; /* of the reply, joined by LF */
	struct slice why;
	struct slice tls;
	struct slice protection, demands; /* as in courier.proto */
	/* What the sessions were by the policies that apply: lines of policy, domain, host, result
	 * and reason with tabs between; at most QUEUE_RESULTS_MAX bytes. */
	struct slice tls_results;
	enum queue_result result;
};

enum queue_notice_kind {
	QUEUE_NOTICE_NONE,
	QUEUE_NOTICE_FAILED,
	QUEUE_NOTICE_DELAYED,
	QUEUE_NOTICE_RELAYED,
	QUEUE_NOTICE_DELIVERED,
	QUEUE_NOTICE_EXPANDED,
};

enum queue_suppress {
	QUEUE_SUPPRESS_NO,
	QUEUE_SUPPRESS_NOW,
	QUEUE_SUPPRESS_THIRD, /* when the two deliveries before it failed as well */
};

/* What an attempt, or an administrator, made of one entry. policy.h decides what stands here. */
struct queue_outcome {
	int64_t entry;
	enum queue_state state; /* WAITING: deferred; DELIVERED, FAILED, DROPPED: retires */
	bool counts;            /* as an attempt; else n_attempts stays */
	bool lost;              /* nothing was heard of it */
	bool delay_told;        /* from now on: the sender knows, or did not want to */
	struct queue_attempt attempt;
	int64_t next_ms;        /* deferred */
	int64_t retry_until_ms; /* deferred: the last attempt there will be */
	enum queue_notice_kind notice;
	enum queue_suppress suppress;
	/* Further recipients in place of this one (members of an alias that did not get it). */
	const struct queue_recipient *more;
	size_t n_more;
	bool found; /* out: the entry was there */
};

/* All of them or none, durable when OK. Entries that have left are passed over. */
struct status queue_record(struct queue *queue, struct queue_outcome *outcomes, size_t n);

/* ---- notices ---- */

struct queue_told { /* one recipient of a notice */
	int64_t entry;
	struct slice recipient, orcpt;
	int64_t next_ms, retry_until_ms; /* DELAYED */
	uint32_t n_attempts;             /* made so far */
	struct queue_attempt attempt;
};

struct queue_notice {
	int64_t id;
	enum queue_notice_kind kind;
	int64_t at_ms;
	uint32_t n_tries;
	struct queue_message message;
	struct queue_told *told;
	size_t n_told;
};

/* The next one due, in the order of their time; NOT_FOUND when there is none, with the time of the
 * next in *ret_next_ms (INT64_MAX: none at all). */
struct status queue_notice_next(struct queue *queue, int64_t now_ms, struct arena *arena,
                                struct queue_notice *ret_notice, int64_t *ret_next_ms);
struct status queue_notice_done(struct queue *queue, int64_t id);
struct status queue_notice_later(struct queue *queue, int64_t id, int64_t next_ms);

/* ---- what people ask ---- */

struct queue_filter { /* all that is given must hold */
	const int64_t *ids;
	size_t n_ids;
	struct slice account;
	struct slice from; /* part of the sender's address, of the envelope or of the From field */
	struct slice to;   /* part of the recipient's address */
	struct slice transport;                          /* as it was set on the entry */
	int hold;                                        /* 1 held, 0 not, -1 either */
	int64_t submitted_before_ms, submitted_after_ms; /* 0: any */
	int64_t next_before_ms, next_after_ms;           /* retired: the last activity */
};
bool queue_filter_matches(const struct queue_filter *filter, const struct queue_entry *entry);

struct queue_page {
	bool by_submitted; /* else by the next attempt; retired: by the last activity */
	bool descending;
	size_t limit;
	bool after; /* continue behind: */
	int64_t after_key, after_id;
};

/* Calls `each` in order; it returns false to stop before the entry (nothing more is given).
 * *ret_more: the limit was reached or `each` stopped. Entries live until `each` returns. */
struct status queue_list(struct queue *queue, bool retired, const struct queue_filter *filter,
                         const struct queue_page *page,
                         bool (*each)(void *context, const struct queue_entry *entry),
                         void *context, bool *ret_more);
struct status queue_show(struct queue *queue, bool retired, int64_t entry, struct arena *arena,
                         struct queue_entry *ret_entry, struct queue_attempt **ret_history,
                         size_t *ret_n);

enum queue_change { /* as Door__QueueChange */
	            QUEUE_CHANGE_HOLD,
	            QUEUE_CHANGE_UNHOLD,
	            QUEUE_CHANGE_SCHEDULE,
	            QUEUE_CHANGE_TRANSPORT,
	            QUEUE_CHANGE_REQUIRE_TLS,
	            QUEUE_CHANGE_FAIL,
	            QUEUE_CHANGE_DROP,
};

struct queue_apply {
	struct queue_filter filter;
	enum queue_change change;
	int64_t value_ms; /* SCHEDULE: the time, or what is added to the one it has */
	bool relative;
	struct slice transport;
	enum queue_tls_wish require_tls;
	struct slice why; /* FAIL: for the report */
	/* FAIL and DROP claim an entry before they end it: false when it is under way and must be
	 * left alone; from true on no attempt at it may begin. What was claimed and stays after all
	 * is released. May be NULL. */
	bool (*claim)(void *context, int64_t entry);
	void (*release)(void *context, int64_t entry);
	void *context;
	uint64_t n_changed, n_skipped; /* out */
};
struct status queue_apply(struct queue *queue, struct queue_apply *apply);

struct queue_hold_rule {
	int64_t id;
	struct slice account, sender_domain, recipient_domain; /* "" matches everything */
	int64_t created_ms;
};
bool queue_hold_rule_matches(const struct queue_hold_rule *rule, struct slice account,
                             struct slice sender, struct slice recipient_domain);
/* Adding one holds what is queued already and matches; removing one lets nothing go. */
struct status queue_hold_rule_add(struct queue *queue, struct queue_hold_rule *rule,
                                  uint64_t *ret_n_held);
struct status queue_hold_rule_remove(struct queue *queue, int64_t id);
struct status queue_hold_rule_list(struct queue *queue, struct arena *arena,
                                   struct queue_hold_rule **ret_rules, size_t *ret_n);

struct queue_suppression {
	struct slice account;
	struct slice address; /* of the base address (policy.h) */
	struct slice reason;
	int64_t created_ms;
	bool manual;
};
/* EXISTS when it is there. */
struct status queue_suppress_add(struct queue *queue, const struct queue_suppression *suppression);
struct status queue_suppress_remove(struct queue *queue, struct slice account,
                                    struct slice address);
/* account "": of all. In the order of account and address, behind `after` (NULL: from the start).
 */
struct status queue_suppress_list(struct queue *queue, struct slice account,
                                  const struct queue_suppression *after, size_t limit,
                                  struct arena *arena, struct queue_suppression **ret_list,
                                  size_t *ret_n);
/* NOT_FOUND when mail of this account to this address is not suppressed. */
struct status queue_suppress_find(struct queue *queue, struct slice account, struct slice address,
                                  struct arena *arena, struct queue_suppression *ret_suppression);

/* A delivery report that came in, about something that this account has sent. */
struct queue_report {
	struct slice account, message_id, envid, recipient, action, status, diagnostic;
};
/* Noted in the history of every entry that it is about; NOT_FOUND when there is none. Nothing else
 * follows from it: anybody can write such a report who has seen the message's id. */
struct status queue_report(struct queue *queue, const struct queue_report *report,
                           uint64_t *ret_n_matched);

/* Removes retired entries and submission ids past their time: a bounded piece of it. *ret_more:
 * there is more. */
struct status queue_clean(struct queue *queue, bool *ret_more);
