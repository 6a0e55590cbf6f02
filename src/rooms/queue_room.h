/* The queue room's parts and what they share.
 *
 *	queue.c          life, door, config
 *	queue_add.c      what account rooms ask: add, reports that came in
 *	queue_people.c   what the administrator asks
 *	queue_work.c     the clerk who looks at the schedule, the workers who try
 *	queue_remote.c   an attempt by a courier
 *	queue_local.c    a delivery to account rooms
 *	queue_notices.c  reports to senders, and cleaning up
 */
#pragma once

#include "delivery/route.h"
#include "queue/policy.h"
#include "queue/schedule.h"
#include "rooms/peers.h"

#include "queue.pb-c.h"

#define QUEUE_ATTEMPT_MEMORY ((size_t)8 * 1024 * 1024) /* of one attempt: entries, reply */

struct queue_job;

struct queue_jobs {
	struct queue_job *first, *last;
	size_t n;
};

struct queue_room {
	struct room *room;
	int dir_fd;
	struct queue *queue;
	/* The schedule, what it is configured by, and the jobs of the workers. */
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the clerk; on the wall clock */
	struct queue_schedule *schedule;
	struct room_config *config; /* that the schedule places by */
	bool is_working;
	int64_t clerk_at_ms;       /* when it wakes by itself */
	struct queue_jobs jobs;    /* for workers */
	struct queue_jobs resting; /* for the clerk */
	struct queue_job *spare;
	pthread_cond_t job_there;
	unsigned n_workers, n_idle;
	/* The notices' thread. */
	pthread_mutex_t notice_lock;
	pthread_cond_t notice_wake;
	bool notice_called;
};

/* One peer's channel; adds that have arrived on it and wait to be committed together. */
#define QUEUE_ADD_BATCH 64u
struct queue_door {
	struct queue_room *room;
	struct ipc_channel *channel;
	enum ipc_room who;
	char *name; /* of the account */
	struct arena arena;
	size_t n_adds;
	struct ipc_packet packets[QUEUE_ADD_BATCH];
	struct queue_add adds[QUEUE_ADD_BATCH];
};

void queue_door_answer(const struct queue_door *door, const struct ipc_packet *packet,
                       struct status status, Door__QueueReply *reply, int fd);

/* ---- queue_add.c ---- */

void queue_on_add(struct queue_door *door, struct ipc_packet *packet, const Door__QueueAdd *add);
void queue_commit_adds(struct queue_door *door);
void queue_on_reported(struct queue_door *door, struct ipc_packet *packet,
                       const Door__QueueReported *reported);

/* ---- queue_reports.c ---- */

/* Under this name reports stand in the queue; no account can have it. */
#define QUEUE_REPORTS_ACCOUNT "(reports)"

void queue_on_report(struct queue_door *door, struct ipc_packet *packet,
                     const Door__QueueReport *report);

/* ---- queue_people.c ---- */

void queue_on_people(struct queue_door *door, struct ipc_packet *packet,
                     const Door__QueueRequest *request);

/* ---- queue_work.c ---- */

struct status queue_work_start(struct queue_room *q);
/* Gives what the schedule has now to workers; with the lock held. */
void queue_dispatch(struct queue_room *q);
void queue_observe_begin(void *context);
void queue_observe_end(void *context);
void queue_observe_changed(void *context, const struct queue_brief *brief);
void queue_observe_left(void *context, int64_t id);
void queue_schedule_options_of(struct queue_room *q, const struct config *config,
                               struct queue_schedule_options *ret_options);
int64_t queue_now_ms(void);
void queue_policy_of(const struct config *config, struct queue_policy *ret_policy);

/* An attempt under way. */
struct queue_work {
	struct queue_room *q;
	struct room_config *config;
	struct queue_policy policy;
	struct arena arena;
	struct queue_batch batch;
	int64_t started_ms;
	struct queue_message message;
	int body_fd;
	uint64_t cid;
	size_t n;                       /* entries that are still there */
	struct queue_entry *entries;    /* n */
	struct queue_facts *facts;      /* n: what is known beside the attempt's fields */
	struct queue_outcome *outcomes; /* n */
	struct queue_feedback feedback;
	char why[QUEUE_WHY_MAX + 1]; /* feedback.why points here */
};

/* Each fills the attempts and facts of the work's outcomes, for entries that have no result yet. */
void queue_try_remote(struct queue_work *work);
void queue_try_local(struct queue_work *work);

/* ---- queue_notices.c ---- */

struct status queue_notices_start(struct queue_room *q);
void queue_call_notices(struct queue_room *q);
/* A message into an account's Inbox, once however often it is asked for under this id. */
struct status queue_deliver(struct queue_room *q, const char *account, uint64_t cid,
                            struct slice delivery_id, struct slice prefix, int body_fd,
                            uint64_t size);
