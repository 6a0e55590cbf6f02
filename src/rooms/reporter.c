/* See reporter.h. A keyed hash table of packed facts, and a list of them in the order they came;
 * the thread takes from the head of the list what fits a batch. */
#include "rooms/reporter.h"

#include "os/log.h"
#include "rooms/peers.h"

#define BUCKETS         4096u
#define BATCH_ID_SIZE   16u
#define SEND_TIMEOUT_MS 30000
#define REPLY_MAX       ((size_t)64 * 1024)
#define LOG_EVERY_MS    60000
#define STACK           ((size_t)256 * 1024)

struct entry {
	struct entry *next_in_bucket, *next;
	uint64_t hash;
	uint64_t count;
	size_t size;
	uint8_t packed[]; /* a Fact with count 0 */
};

struct reporter {
	struct reporter_options options;
	pthread_mutex_t lock; /* guards all below but batch */
	pthread_cond_t wake;
	bool ends;
	bool is_running;
	struct entry *buckets[BUCKETS];
	struct entry *first, **last;
	size_t n, size;
	uint64_t n_dropped;     /* not told to the steward yet */
	uint64_t n_dropped_log; /* not told in the log yet */
	int64_t logged_ms;
	pthread_t thread;
	/* The thread's: what is on its way. */
	struct entry *batch;
	uint8_t batch_id[BATCH_ID_SIZE];
	uint64_t batch_dropped;
	int64_t batch_ms; /* when it was begun */
	int retry_ms;
};

/* ---- adding ---- */

static void drop(struct reporter *r, uint64_t n)
{
	int64_t now_ms = clock_monotonic_ms(r->options.clock);
	r->n_dropped += n;
	r->n_dropped_log += n;
	if (r->logged_ms != 0 && now_ms < r->logged_ms + LOG_EVERY_MS)
		return;
	log_warn(0, "facts for reports are dropped: the steward does not take them",
	         LOG_UINT("dropped", r->n_dropped_log), LOG_UINT("waiting", r->n));
	r->n_dropped_log = 0;
	r->logged_ms = now_ms;
}

static struct entry *find(struct reporter *r, uint64_t hash, struct slice packed)
{
	struct entry *entry = r->buckets[hash % BUCKETS];
	while (entry &&
	       (entry->hash != hash || !slice_eq(slice_of(entry->packed, entry->size), packed)))
		entry = entry->next_in_bucket;
	return entry;
}

static void insert(struct reporter *r, uint64_t hash, struct slice packed)
{
	struct entry *entry = base_alloc(sizeof(*entry) + packed.n);
	entry->hash = hash;
	entry->count = 1;
	entry->size = packed.n;
	memcpy(entry->packed, packed.p, packed.n);
	entry->next_in_bucket = r->buckets[hash % BUCKETS];
	r->buckets[hash % BUCKETS] = entry;
	*r->last = entry;
	r->last = &entry->next;
	r->n++;
	r->size += packed.n;
}

static void add_packed(struct reporter *r, struct slice packed)
{
	uint64_t hash = hash_slice(r->options.key, packed);
	pthread_mutex_lock(&r->lock);
	struct entry *entry = find(r, hash, packed);
	if (entry)
		entry->count++;
	else if (packed.n > REPORTER_FACT_MAX || r->n >= REPORTER_FACTS_MAX ||
	         packed.n > REPORTER_SIZE_MAX - r->size)
		drop(r, 1);
	else
		insert(r, hash, packed);
	if (r->n == 1)
		pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

void reporter_add(struct reporter *r, const Door__Fact *fact)
{
	Door__Fact plain = *fact;
	struct door_packed packed;
	plain.count = 0;
	door_pack(&plain.base, &packed);
	add_packed(r, packed.bytes);
	door_packed_done(&packed);
}

/* ---- a batch ---- */

static void unlink_entry(struct reporter *r, struct entry *entry)
{
	struct entry **link = &r->buckets[entry->hash % BUCKETS];
	while (*link != entry)
		link = &(*link)->next_in_bucket;
	*link = entry->next_in_bucket;
	r->first = entry->next;
	if (!r->first)
		r->last = &r->first;
	r->n--;
	r->size -= entry->size;
}

/* With the lock held. */
static void take_batch(struct reporter *r)
{
	struct entry **last = &r->batch;
	size_t n = 0, size = 0;
	while (r->first && n < REPORTER_BATCH_FACTS &&
	       size + r->first->size <= REPORTER_BATCH_SIZE) {
		struct entry *entry = r->first;
		unlink_entry(r, entry);
		entry->next = NULL;
		*last = entry;
		last = &entry->next;
		size += entry->size + 16; /* its count and length */
		n++;
	}
	r->batch_dropped = r->n_dropped;
	r->n_dropped = 0;
	room_random(r->batch_id, sizeof(r->batch_id));
	r->batch_ms = clock_monotonic_ms(r->options.clock);
	r->retry_ms = REPORTER_RETRY_MS;
}

static void forget_batch(struct reporter *r)
{
	while (r->batch) {
		struct entry *entry = r->batch;
		r->batch = entry->next;
		base_free(entry);
	}
}

static size_t batch_length(const struct reporter *r)
{
	size_t n = 0;
	for (const struct entry *entry = r->batch; entry; entry = entry->next)
		n++;
	return n;
}

static struct status send_batch(struct reporter *r)
{
	Door__AddFacts add = DOOR__ADD_FACTS__INIT;
	struct arena arena;
	size_t n = batch_length(r);
	arena_init(&arena, 32 * REPORTER_BATCH_SIZE + n * 512);
	add.batch = door_binary(slice_of(r->batch_id, sizeof(r->batch_id)));
	add.n_dropped = r->batch_dropped;
	add.facts = ARENA_ARRAY(&arena, MAX(n, (size_t)1), Door__Fact *);
	for (const struct entry *entry = r->batch; entry && add.facts; entry = entry->next) {
		Door__Fact *fact = (Door__Fact *)door_unpack(
		        &door__fact__descriptor, slice_of(entry->packed, entry->size), &arena);
		if (!fact)
			continue; /* not of valid UTF-8: nobody could read it */
		fact->count = entry->count;
		add.facts[add.n_facts++] = fact;
	}
	struct status status = arena_failed(&arena) ? fail(ERR_LIMIT, "a batch is too large")
	                                            : r->options.send(r->options.context, &add);
	status.why = err_name(status.code);
	arena_done(&arena);
	return status;
}

static bool is_hopeless(enum err code)
{
	return code == ERR_INVALID || code == ERR_DENIED || code == ERR_LIMIT ||
	       code == ERR_PROTOCOL || code == ERR_UNSUPPORTED;
}

/* True: the batch is done with. */
static bool try_batch(struct reporter *r)
{
	struct status status = send_batch(r);
	int64_t age_ms = clock_monotonic_ms(r->options.clock) - r->batch_ms;
	if (!is_ok(status) && !is_hopeless(status.code) && age_ms < REPORTER_PATIENCE_MS)
		return false;
	if (!is_ok(status))
		log_error(0, "facts for reports are lost", LOG_UINT("facts", batch_length(r)),
		          LOG_STATUS(status));
	forget_batch(r);
	return true;
}

/* ---- the thread ---- */

/* With the lock held; ends early when the reporter does. */
static void rest(struct reporter *r, int ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!r->ends && pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0)
		;
}

static void run(void *context)
{
	struct reporter *r = context;
	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->ends && r->n == 0)
			pthread_cond_wait(&r->wake, &r->lock);
		if (r->n == 0)
			break;
		if (r->size < REPORTER_BATCH_SIZE / 2)
			rest(r, r->options.pause_ms); /* more may come */
		take_batch(r);
		pthread_mutex_unlock(&r->lock);
		bool done = try_batch(r);
		pthread_mutex_lock(&r->lock);
		while (!done && !r->ends) {
			rest(r, r->retry_ms);
			r->retry_ms = MIN(2 * r->retry_ms, REPORTER_RETRY_MAX_MS);
			pthread_mutex_unlock(&r->lock);
			done = try_batch(r);
			pthread_mutex_lock(&r->lock);
		}
		if (!done)
			break;
	}
	pthread_mutex_unlock(&r->lock);
}

/* ---- life ---- */

struct reporter *reporter_new(const struct reporter_options *options)
{
	const struct thread_options thread = {
	        .name = "reporter", .stack_size = STACK, .joinable = true};
	struct reporter *r = base_alloc(sizeof(*r));
	r->options = *options;
	if (r->options.pause_ms == 0)
		r->options.pause_ms = REPORTER_PAUSE_MS;
	r->last = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	r->is_running = is_ok(thread_start(&thread, run, r, &r->thread));
	if (!r->is_running)
		log_error(0, "no thread for facts for reports: they will be dropped");
	return r;
}

void reporter_free(struct reporter *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->ends = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (r->is_running)
		thread_join(r->thread);
	forget_batch(r);
	while (r->first) {
		struct entry *entry = r->first;
		r->first = entry->next;
		base_free(entry);
	}
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->wake);
	base_free(r);
}

/* ---- the steward ---- */

struct status reporter_send_to_steward(void *context, const Door__AddFacts *batch)
{
	Door__StewardRequest request = DOOR__STEWARD_REQUEST__INIT;
	Door__AddFacts facts = *batch;
	ProtobufCMessage *message = NULL;
	struct arena arena;
	request.body_case = DOOR__STEWARD_REQUEST__BODY_ADD_FACTS;
	request.add_facts = &facts;
	arena_init(&arena, REPLY_MAX);
	struct status status =
	        room_call(context, IPC_ROOM_STEWARD, "", 0, &request.base, NULL, 0, SEND_TIMEOUT_MS,
	                  &door__steward_reply__descriptor, &arena, &message);
	if (is_ok(status)) {
		const Door__StewardReply *reply = (const Door__StewardReply *)message;
		status = reply->status ? door_status(reply->status->code, "")
		                       : fail(ERR_PROTOCOL, "");
	}
	status.why = err_name(status.code);
	arena_done(&arena);
	return status;
}
