/* Who tries what, when. Whoever changes the schedule takes from it what may run and gives it to
 * workers: a commit of new entries, a worker that has ended (which keeps the first for itself), and
 * the clerk, a thread that sleeps until something is due. Workers are made when none is idle and
 * leave after some seconds without work; the schedule's limits bound them. A worker loads the
 * entries, tries, records what became of them, and only then tells the schedule: so what was not
 * recorded is tried again. */
#include "rooms/queue_room.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>

#define CLERK_STACK      ((size_t)128 * 1024)
#define WORKER_STACK     ((size_t)128 * 1024)
#define WORKER_IDLE_S    5
#define MAX_LOCAL        32u
#define LOCAL_SHARES     64u
#define RECORD_PAUSE_US  1000000
#define RECORD_TRIES_MAX 5 /* for what is not the disk's passing trouble */
#define LONG_SLEEP_MS    60000

struct queue_job {
	struct queue_job *next;
	bool is_deadline;
	int64_t entry; /* deadline */
	struct queue_batch batch;
};

int64_t queue_now_ms(void)
{
	return clock_now_us(clock_real()) / 1000;
}

/* ---- what the schedule is told ---- */

/* What one commit changed is told under one lock: recipients of a message are taken together. */
void queue_observe_begin(void *context)
{
	struct queue_room *q = context;
	pthread_mutex_lock(&q->lock);
}

void queue_observe_end(void *context)
{
	struct queue_room *q = context;
	queue_dispatch(q);
	pthread_mutex_unlock(&q->lock);
}

void queue_observe_changed(void *context, const struct queue_brief *brief)
{
	struct queue_room *q = context;
	queue_schedule_put(q->schedule, brief);
}

void queue_observe_left(void *context, int64_t id)
{
	struct queue_room *q = context;
	queue_schedule_remove(q->schedule, id);
}

static void place_by_transport(const struct config_transport *transport, struct slice domain,
                               struct queue_place *ret_place)
{
	bool by_domain = transport->kind == CONFIG_TRANSPORT_DIRECT ||
	                 transport->kind == CONFIG_TRANSPORT_SOCKS;
	if (by_domain)
		snprintf(ret_place->key, sizeof(ret_place->key), "%.*s by %s", SLICE_FMT(domain),
		         transport->name.s);
	else
		snprintf(ret_place->key, sizeof(ret_place->key), "by %s", transport->name.s);
}

/* Where an entry goes just now; called with the lock held. */
static void place(void *context, const struct queue_brief *brief, struct queue_place *ret_place)
{
	const struct queue_room *q = context;
	const struct config *config = q->config->config;
	struct delivery_choice choice;
	ret_place->kind = QUEUE_PLACE_REMOTE;
	if (brief->transport.n > 0) {
		snprintf(ret_place->key, sizeof(ret_place->key), "by %.*s",
		         SLICE_FMT(brief->transport));
		return;
	}
	if (config_domain_find(config, brief->domain)) {
		ret_place->kind = QUEUE_PLACE_LOCAL;
		/* A room that hangs holds up its own share of the mailboxes only. */
		snprintf(ret_place->key, sizeof(ret_place->key), "here %u %.*s",
		         brief->mailbox % LOCAL_SHARES, SLICE_FMT(brief->domain));
		return;
	}
	delivery_choose(
	        &(struct delivery_question){config, config_account_find(config, brief->account),
	                                    brief->sender_domain, brief->domain, brief->n_attempts},
	        &choice);
	if (choice.transport)
		place_by_transport(choice.transport, brief->domain, ret_place);
	else
		snprintf(ret_place->key, sizeof(ret_place->key), "%.*s", SLICE_FMT(brief->domain));
}

void queue_schedule_options_of(struct queue_room *q, const struct config *config,
                               struct queue_schedule_options *ret_options)
{
	*ret_options = (struct queue_schedule_options){
	        .max_running = config->queue.max_connections,
	        .max_per_destination = config->queue.max_per_destination,
	        .max_local = MAX_LOCAL,
	        .rest_ms = (int64_t)(config->queue.first_retry_ms / 4 * 3),
	        .place = place,
	        .context = q,
	};
	room_random(&ret_options->key, sizeof(ret_options->key));
}

void queue_policy_of(const struct config *config, struct queue_policy *ret_policy)
{
	*ret_policy = (struct queue_policy){
	        .first_retry_ms = (int64_t)config->queue.first_retry_ms,
	        .factor = config->queue.retry_factor,
	        .max_retry_ms = (int64_t)config->queue.max_retry_ms,
	        .max_attempts = config->queue.max_attempts,
	        .delay_notice_ms = (int64_t)config->queue.delay_notice_ms,
	};
}

/* ---- recording ---- */

static bool any_notice(const struct queue_outcome *outcomes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (outcomes[i].notice != QUEUE_NOTICE_NONE)
			return true;
	return false;
}

/* What a remote server has taken must not be forgotten: a disk in trouble is asked until it works.
 * What cannot be recorded for other reasons stays as it was until the next start. */
static void record(struct queue_room *q, uint64_t cid, struct queue_outcome *outcomes, size_t n)
{
	struct status status;
	for (unsigned i = 0; !is_ok(status = queue_record(q->queue, outcomes, n)); i++) {
		log_error(cid, "cannot record what became of a delivery", LOG_STATUS(status));
		if (queue_is_broken(q->queue)) {
			log_error(cid, "the queue's disk failed: starting again");
			_exit(1);
		}
		if (status.code != ERR_NO_SPACE && i >= RECORD_TRIES_MAX)
			break;
		usleep(RECORD_PAUSE_US);
	}
	if (any_notice(outcomes, n))
		queue_call_notices(q);
	pthread_mutex_lock(&q->lock);
	for (size_t i = 0; i < n && !is_ok(status); i++)
		queue_schedule_remove(q->schedule, outcomes[i].entry);
	pthread_mutex_unlock(&q->lock);
}

static void log_outcome(const struct queue_work *work, size_t i)
{
	static const char *const words[] = {"deferred", "held", "delivered", "failed", "dropped"};
	const struct queue_entry *entry = &work->entries[i];
	const struct queue_outcome *outcome = &work->outcomes[i];
	const struct queue_attempt *attempt = &outcome->attempt;
	log_info(work->cid, words[outcome->state], LOG_INT("entry", entry->id),
	         LOG_INT("message", entry->message), LOG_SLICE("account", entry->account),
	         LOG_SLICE("to", entry->recipient), LOG_UINT("attempt", entry->n_attempts + 1),
	         LOG_SLICE("host", attempt->remote_host),
	         LOG_SLICE("address", attempt->remote_address), LOG_UINT("code", attempt->code),
	         LOG_SLICE("why", attempt->why));
}

/* ---- a batch ---- */

static void load(struct queue_work *work)
{
	struct queue_room *q = work->q;
	for (size_t i = 0; i < work->batch.n; i++) {
		struct queue_entry *entry = &work->entries[work->n];
		struct status status = queue_load(q->queue, work->batch.ids[i], &work->arena, entry,
		                                  work->message.id ? NULL : &work->message);
		if (is_ok(status)) {
			work->outcomes[work->n++].entry = entry->id;
			continue;
		}
		if (status.code != ERR_NOT_FOUND)
			log_error(work->cid, "cannot read a queue entry",
			          LOG_INT("entry", work->batch.ids[i]), LOG_STATUS(status));
		pthread_mutex_lock(&q->lock);
		queue_schedule_remove(q->schedule, work->batch.ids[i]);
		pthread_mutex_unlock(&q->lock);
	}
}

/* The same for all. */
static void say(struct queue_work *work, enum queue_result result, bool lost, const char *enhanced,
                const char *why)
{
	for (size_t i = 0; i < work->n; i++) {
		struct queue_attempt *attempt = &work->outcomes[i].attempt;
		attempt->result = result;
		attempt->enhanced = slice_str(enhanced);
		attempt->why = slice_str(why);
		work->facts[i].lost = lost;
		work->facts[i].own_decision = true;
	}
}

/* False when there is nothing to try: the outcomes are there. */
static bool open_body(struct queue_work *work)
{
	struct status status = queue_body(work->q->queue, work->message.id, &work->body_fd);
	if (is_ok(status))
		return true;
	log_error(work->cid, "cannot read a queued message", LOG_INT("message", work->message.id),
	          LOG_STATUS(status));
	if (status.code == ERR_CORRUPT)
		say(work, QUEUE_RESULT_FAILED, false, "5.3.0",
		    "the message was damaged on this server's disk");
	else
		say(work, QUEUE_RESULT_DEFERRED, true, "4.3.0",
		    "the message could not be read from this server's disk");
	return false;
}

static void decide(struct queue_work *work)
{
	int64_t now_ms = queue_now_ms();
	for (size_t i = 0; i < work->n; i++) {
		struct queue_outcome *outcome = &work->outcomes[i];
		bool expanded = outcome->notice == QUEUE_NOTICE_EXPANDED;
		outcome->attempt.started_ms = work->started_ms;
		outcome->attempt.ended_ms = now_ms;
		queue_decide(&work->policy, &work->entries[i], &work->facts[i], outcome);
		if (expanded && outcome->notice == QUEUE_NOTICE_DELIVERED)
			outcome->notice = QUEUE_NOTICE_EXPANDED;
		if (outcome->n_more > 0)
			outcome->next_ms =
			        now_ms + queue_pause_ms(&work->policy, work->message.id, 1);
		log_outcome(work, i);
	}
}

/* For a destination that rests: deferred without an attempt, for the same reason. */
static void say_resting(struct queue_work *work)
{
	char *why = arena_printf(&work->arena,
	                         "not tried: the destination was found unreachable "
	                         "a moment ago (%s)",
	                         work->batch.why);
	say(work, QUEUE_RESULT_DEFERRED, false, "4.4.1", why ? why : "not tried");
}

static void work_init(struct queue_work *work, struct queue_room *q,
                      const struct queue_batch *batch)
{
	*work = (struct queue_work){
	        .q = q,
	        .config = room_config_get(q->room),
	        .batch = *batch,
	        .started_ms = queue_now_ms(),
	        .body_fd = -1,
	        .cid = room_new_cid(),
	};
	arena_init(&work->arena, QUEUE_ATTEMPT_MEMORY);
	queue_policy_of(work->config->config, &work->policy);
	work->entries = ARENA_ARRAY(&work->arena, batch->n, struct queue_entry);
	work->facts = ARENA_ARRAY(&work->arena, batch->n, struct queue_facts);
	work->outcomes = ARENA_ARRAY(&work->arena, batch->n, struct queue_outcome);
}

static void work_done(struct queue_work *work)
{
	fd_close(&work->body_fd);
	arena_done(&work->arena);
	room_config_unref(work->config);
}

static void run_batch(struct queue_room *q, const struct queue_batch *batch)
{
	struct queue_work *work = base_alloc(sizeof(*work));
	work_init(work, q, batch);
	load(work);
	if (work->n > 0) {
		if (batch->resting)
			say_resting(work);
		else if (open_body(work) && batch->place.kind == QUEUE_PLACE_LOCAL)
			queue_try_local(work);
		else if (work->body_fd >= 0)
			queue_try_remote(work);
		decide(work);
		record(q, work->cid, work->outcomes, work->n);
	}
	pthread_mutex_lock(&q->lock);
	queue_schedule_finish(q->schedule, batch, &work->feedback, queue_now_ms());
	pthread_mutex_unlock(&q->lock);
	work_done(work);
	base_free(work);
}

/* ---- deadlines ---- */

static void run_deadline(struct queue_room *q, int64_t id)
{
	struct arena arena;
	struct queue_entry entry;
	struct queue_message message;
	struct queue_outcome outcome = {.entry = id};
	struct queue_policy policy;
	bool changed = false;
	struct room_config *config = room_config_get(q->room);
	queue_policy_of(config->config, &policy);
	room_config_unref(config);
	arena_init(&arena, QUEUE_ATTEMPT_MEMORY);
	struct status status = queue_load(q->queue, id, &arena, &entry, &message);
	if (is_ok(status))
		queue_decide_deadline(&policy, &entry, message.deliver_by_mode, queue_now_ms(),
		                      &outcome, &changed);
	if (changed) {
		log_info(0, "delivery time expired", LOG_INT("entry", id),
		         LOG_SLICE("to", entry.recipient));
		record(q, 0, &outcome, 1);
	}
	pthread_mutex_lock(&q->lock);
	queue_schedule_put_back(q->schedule, id);
	pthread_mutex_unlock(&q->lock);
	arena_done(&arena);
}

/* ---- workers ---- */

static void run_job(struct queue_room *q, struct queue_job *job)
{
	if (job->is_deadline)
		run_deadline(q, job->entry);
	else
		run_batch(q, &job->batch);
	base_free(job);
}

static struct queue_job *first_of(struct queue_jobs *jobs)
{
	struct queue_job *job = jobs->first;
	if (!job)
		return NULL;
	jobs->first = job->next;
	jobs->n--;
	return job;
}

static void append(struct queue_jobs *jobs, struct queue_job *job)
{
	struct queue_job **end = jobs->first ? &jobs->last->next : &jobs->first;
	*end = job;
	jobs->last = job;
	job->next = NULL;
	jobs->n++;
}

/* With the lock held; NULL when there was nothing for some seconds. */
static struct queue_job *next_job(struct queue_room *q)
{
	struct timespec until;
	if (q->jobs.first)
		return first_of(&q->jobs);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WORKER_IDLE_S;
	q->n_idle++;
	while (!q->jobs.first)
		if (pthread_cond_timedwait(&q->job_there, &q->lock, &until) == ETIMEDOUT)
			break;
	q->n_idle--;
	return first_of(&q->jobs);
}

/* What the schedule gives now, to be tried; what rests goes to the clerk. */
static struct queue_job *take(struct queue_room *q, int64_t now_ms)
{
	for (;;) {
		struct queue_job *job = q->spare ? q->spare : base_alloc(sizeof(*job));
		q->spare = NULL;
		job->is_deadline = false;
		if (!queue_schedule_take(q->schedule, now_ms, &job->batch)) {
			q->spare = job;
			return NULL;
		}
		if (!job->batch.resting)
			return job;
		append(&q->resting, job);
		pthread_cond_signal(&q->wake);
	}
}

/* One that has ended looks for more itself, before anybody is woken. */
static void run_worker(void *context)
{
	struct queue_room *q = context;
	struct queue_job *job;
	pthread_mutex_lock(&q->lock);
	while ((job = next_job(q)) != NULL) {
		while (job) {
			pthread_mutex_unlock(&q->lock);
			run_job(q, job);
			pthread_mutex_lock(&q->lock);
			job = q->jobs.first ? NULL : take(q, queue_now_ms());
			queue_dispatch(q);
		}
	}
	q->n_workers--;
	pthread_mutex_unlock(&q->lock);
}

/* With the lock held. Without a new thread the jobs wait for those that are there. */
static void give_job(struct queue_room *q, struct queue_job *job)
{
	append(&q->jobs, job);
	if (q->n_idle >= q->jobs.n) {
		pthread_cond_signal(&q->job_there);
		return;
	}
	struct thread_options options = {.name = "attempt", .stack_size = WORKER_STACK};
	if (is_ok(thread_start(&options, run_worker, q, NULL)))
		q->n_workers++;
}

void queue_dispatch(struct queue_room *q)
{
	struct queue_job *job;
	int64_t now_ms = queue_now_ms();
	if (!q->is_working)
		return;
	while ((job = take(q, now_ms)) != NULL)
		give_job(q, job);
	if (queue_schedule_wake_ms(q->schedule, now_ms) < q->clerk_at_ms)
		pthread_cond_signal(&q->wake);
}

/* ---- the clerk ---- */

static void sleep_until(struct queue_room *q, int64_t wake_ms, int64_t now_ms)
{
	int64_t at_ms = MIN(wake_ms, now_ms + LONG_SLEEP_MS);
	struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
	q->clerk_at_ms = at_ms;
	if (!q->resting.first && at_ms > now_ms)
		(void)pthread_cond_timedwait(&q->wake, &q->lock, &until);
	q->clerk_at_ms = 0; /* it looks by itself */
}

static void give_deadlines(struct queue_room *q, int64_t now_ms)
{
	int64_t id;
	while (queue_schedule_deadline(q->schedule, now_ms, &id)) {
		struct queue_job *job = base_alloc(sizeof(*job));
		job->is_deadline = true;
		job->entry = id;
		give_job(q, job);
	}
}

/* What rests costs a commit and no wait: the clerk records it itself, so that there are never more
 * workers than attempts. */
static void run_clerk(void *context)
{
	struct queue_room *q = context;
	struct queue_job *job;
	pthread_mutex_lock(&q->lock);
	for (;;) {
		int64_t now_ms = queue_now_ms();
		give_deadlines(q, now_ms);
		queue_dispatch(q);
		if ((job = first_of(&q->resting)) != NULL) {
			pthread_mutex_unlock(&q->lock);
			run_job(q, job);
			pthread_mutex_lock(&q->lock);
			continue;
		}
		sleep_until(q, queue_schedule_wake_ms(q->schedule, now_ms), now_ms);
	}
}

struct status queue_work_start(struct queue_room *q)
{
	q->is_working = true; /* what was replayed waits until here */
	return thread_start(&(struct thread_options){.name = "clerk", .stack_size = CLERK_STACK},
	                    run_clerk, q, NULL);
}
