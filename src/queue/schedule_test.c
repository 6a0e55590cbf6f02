/* The schedule: order, limits, fairness, resting destinations; and a long random run against what
 * must always hold. */
#include "queue/schedule.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct queue_feedback good = {.reached = true};
static const struct queue_feedback bad = {.unreachable = true, .why = "connection timed out"};

/* Domains that begin with "local" are ours, a transport stands for its own destination. */
static void place(void *context, const struct queue_brief *brief, struct queue_place *ret_place)
{
	unsigned *n_placed = context;
	struct slice name = brief->transport.n ? brief->transport : brief->domain;
	if (n_placed)
		(*n_placed)++;
	ret_place->kind =
	        slice_starts(name, SLICE("local")) ? QUEUE_PLACE_LOCAL : QUEUE_PLACE_REMOTE;
	snprintf(ret_place->key, sizeof(ret_place->key), "%.*s", SLICE_FMT(name));
}

static struct queue_schedule *make(uint32_t max_running, uint32_t max_per_destination)
{
	return queue_schedule_new(&(struct queue_schedule_options){
	        .max_running = max_running,
	        .max_per_destination = max_per_destination,
	        .max_local = 4,
	        .rest_ms = 300000,
	        .key = {1, 2},
	        .place = place,
	});
}

struct row {
	int64_t id, message, due_ms;
	const char *account, *domain;
};

static struct queue_brief brief_of(const struct row *row)
{
	return (struct queue_brief){
	        .id = row->id,
	        .message = row->message,
	        .account = slice_str(row->account),
	        .sender_domain = SLICE("example.org"),
	        .domain = slice_str(row->domain),
	        .transport = slice_empty(),
	        .next_ms = row->due_ms,
	};
}

static void put(struct queue_schedule *s, int64_t id, int64_t message, const char *account,
                const char *domain, int64_t due_ms)
{
	struct queue_brief brief = brief_of(&(struct row){id, message, due_ms, account, domain});
	queue_schedule_put(s, &brief);
}

/* Something was delivered there once. */
static void prove(struct queue_schedule *s, const char *domain)
{
	struct queue_batch batch;
	put(s, 999999, 999999, "prover", domain, 0);
	assert_true(queue_schedule_take(s, 0, &batch));
	queue_schedule_remove(s, 999999);
	queue_schedule_finish(s, &batch, &good, 0);
}

static void test_due_times(void **state)
{
	struct queue_schedule *s = make(100, 20);
	struct queue_batch batch;
	(void)state;
	assert_int_equal(queue_schedule_wake_ms(s, 0), INT64_MAX);
	for (int64_t i = 0; i < 200; i++) {
		char domain[32];
		snprintf(domain, sizeof(domain), "d%" PRId64 ".example", i);
		put(s, i + 1, i + 1, "me", domain, 1000 + (i * 37) % 200);
	}
	assert_int_equal(queue_schedule_wake_ms(s, 5), 1000);
	assert_false(queue_schedule_take(s, 999, &batch));
	for (int64_t now = 1000; now < 1200; now++) {
		assert_int_equal(queue_schedule_wake_ms(s, now), now);
		assert_true(queue_schedule_take(s, now, &batch));
		assert_int_equal(batch.n, 1);
		assert_int_equal(1000 + ((batch.ids[0] - 1) * 37) % 200, now);
		assert_false(queue_schedule_take(s, now, &batch));
		batch.n = 1;
		queue_schedule_remove(s, batch.ids[0]);
		queue_schedule_finish(s, &batch, &good, now);
	}
	assert_int_equal(queue_schedule_n(s), 0);
	assert_int_equal(queue_schedule_wake_ms(s, 2000), INT64_MAX);
	queue_schedule_free(s);
}

static void test_recipients_of_a_message_go_together(void **state)
{
	struct queue_schedule *s = make(100, 20);
	struct queue_batch batch;
	(void)state;
	prove(s, "big.example");
	prove(s, "smarthost");
	for (int64_t id = 1; id <= 250; id++)
		put(s, id, 1, "me", "big.example", 0);
	put(s, 251, 2, "me", "big.example", 0);
	struct queue_brief other = brief_of(&(struct row){252, 1, 0, "me", "big.example"});
	other.require_tls = QUEUE_TLS_YES;
	queue_schedule_put(s, &other);
	other = brief_of(&(struct row){253, 1, 0, "me", "big.example"});
	other.transport = SLICE("smarthost");
	queue_schedule_put(s, &other);
	size_t sizes[8] = {0}, n = 0, total = 0;
	while (queue_schedule_take(s, 0, &batch)) {
		assert_true(n < N_ELEMENTS(sizes));
		sizes[n++] = batch.n;
		total += batch.n;
	}
	assert_int_equal(total, 253);
	assert_int_equal(n, 6);
	assert_int_equal(sizes[0], QUEUE_BATCH_MAX);
	queue_schedule_free(s);
	/* RCPTMAX of the host is kept to once it is known. */
	s = make(100, 20);
	for (int64_t id = 1; id <= 10; id++)
		put(s, id, id <= 2 ? 1 : 2, "me", "big.example", id <= 2 ? 0 : 10);
	assert_true(queue_schedule_take(s, 0, &batch));
	for (size_t i = 0; i < batch.n; i++)
		queue_schedule_remove(s, batch.ids[i]);
	queue_schedule_finish(s, &batch,
	                      &(struct queue_feedback){.reached = true, .recipient_limit = 3}, 5);
	assert_true(queue_schedule_take(s, 10, &batch));
	assert_int_equal(batch.n, 3);
	queue_schedule_free(s);
}

static unsigned take_all(struct queue_schedule *s, int64_t now, struct queue_batch *batches,
                         unsigned max)
{
	unsigned n = 0;
	while (n < max && queue_schedule_take(s, now, &batches[n]))
		n++;
	return n;
}

static void end_all(struct queue_schedule *s, int64_t now, struct queue_batch *batches, unsigned n,
                    const struct queue_feedback *feedback)
{
	for (unsigned i = 0; i < n; i++) {
		for (size_t j = 0; j < batches[i].n; j++)
			queue_schedule_remove(s, batches[i].ids[j]);
		queue_schedule_finish(s, &batches[i], feedback, now);
	}
}

static void test_concurrency_adapts(void **state)
{
	struct queue_schedule *s = make(1000, 12);
	struct queue_batch *batches = base_alloc(1000 * sizeof(*batches));
	(void)state;
	for (int64_t id = 1; id <= 5000; id++)
		put(s, id, id, "me", "big.example", 0);
	unsigned n = take_all(s, 0, batches, 1000);
	assert_int_equal(n, 1); /* nothing is known of it */
	end_all(s, 0, batches, n, &good);
	unsigned before = n = take_all(s, 0, batches, 1000);
	assert_int_equal(n, 5);
	for (unsigned round = 0; round < 30; round++) {
		end_all(s, 0, batches, n, &good);
		n = take_all(s, 0, batches, 1000);
		assert_true(n >= before && n <= 12);
		before = n;
	}
	assert_int_equal(n, 12);
	assert_int_equal(queue_schedule_limit(s, "big.example"), 12);
	queue_schedule_finish(s, &batches[0], &(struct queue_feedback){.busy = true}, 0);
	assert_int_equal(queue_schedule_limit(s, "big.example"), 6);
	queue_schedule_finish(s, &batches[1],
	                      &(struct queue_feedback){.reached = true, .busy = true}, 0);
	queue_schedule_finish(s, &batches[2], &(struct queue_feedback){.busy = true}, 0);
	queue_schedule_finish(s, &batches[3], &(struct queue_feedback){.busy = true}, 0);
	assert_int_equal(queue_schedule_limit(s, "big.example"), 1);
	/* Those under way stay; no new one begins before there is room. */
	assert_int_equal(take_all(s, 0, batches + 12, 10), 0);
	end_all(s, 0, batches + 4, 8, &(struct queue_feedback){0});
	assert_int_equal(take_all(s, 0, batches, 10), 1);
	base_free(batches);
	queue_schedule_free(s);
}

/* A big mailing to proven destinations neither holds up other accounts nor its own account's next
 * letter, and nothing of it starves. */
static void test_fairness(void **state)
{
	struct queue_schedule *s = make(40, 20);
	struct queue_batch *batches = base_alloc(2000 * sizeof(*batches));
	(void)state;
	prove(s, "fresh.example");
	for (int i = 0; i < 1000; i++) {
		char domain[32];
		snprintf(domain, sizeof(domain), "d%d.example", i);
		prove(s, domain);
	}
	for (int64_t id = 1; id <= 10000; id++) {
		char domain[32];
		snprintf(domain, sizeof(domain), "d%" PRId64 ".example", id % 1000);
		put(s, id, id, "mailing", domain, 0);
	}
	/* Three quarters are the most that one account gets. */
	unsigned n = take_all(s, 0, batches, 1000);
	assert_int_equal(n, 30);
	put(s, 20001, 20001, "other", "d5.example", 1);
	put(s, 20002, 20002, "third", "d6.example", 1);
	struct queue_batch first, second;
	assert_true(queue_schedule_take(s, 1, &first));
	assert_true(queue_schedule_take(s, 1, &second));
	assert_int_equal(first.ids[0] + second.ids[0], 20001 + 20002);
	/* The same account's next one, to a place of its own, runs when the next slots are free. */
	put(s, 20003, 20003, "mailing", "fresh.example", 2);
	bool found = false;
	for (unsigned i = 0; i < 3; i++) {
		end_all(s, 2, &batches[i], 1, &good);
		assert_true(queue_schedule_take(s, 2, &batches[i]));
		found = found || batches[i].ids[0] == 20003;
	}
	assert_true(found);
	bool *seen = base_alloc(20004 * sizeof(bool));
	for (unsigned i = 0; i < n; i++)
		seen[batches[i].ids[0]] = true;
	for (unsigned i = 0; i < 10100; i++) {
		end_all(s, 3, &batches[i % n], 1, &good);
		if (!queue_schedule_take(s, 3, &batches[i % n])) {
			batches[i % n].n = 0;
			batches[i % n].resting = true;
			continue;
		}
		assert_false(seen[batches[i % n].ids[0]]);
		seen[batches[i % n].ids[0]] = true;
	}
	assert_int_equal(queue_schedule_n(s), 2);
	base_free(seen);
	base_free(batches);
	queue_schedule_free(s);
}

#define HANG_MS 20000

struct hanging {
	struct queue_batch batch;
	int64_t until_ms;
};

/* Time goes on by a step: attempts at hosts that never answer end when they have hung long enough,
 * what runs otherwise ends well at once. True when entry `wanted` was tried. */
static bool pass(struct queue_schedule *s, int64_t now, struct hanging *hanging, unsigned n_max,
                 int64_t wanted)
{
	struct queue_batch batch;
	bool found = false;
	for (unsigned i = 0; i < n_max; i++) {
		if (hanging[i].until_ms == 0 || hanging[i].until_ms > now)
			continue;
		for (size_t j = 0; j < hanging[i].batch.n; j++)
			put(s, hanging[i].batch.ids[j], hanging[i].batch.ids[j], "mailing",
			    hanging[i].batch.place.key, now + 450000);
		queue_schedule_finish(s, &hanging[i].batch, &bad, now);
		hanging[i].until_ms = 0;
	}
	while (queue_schedule_take(s, now, &batch)) {
		found = found || batch.ids[0] == wanted;
		if (batch.resting || batch.place.key[0] != 'd') {
			end_all(s, now, &batch, 1, &good);
			continue;
		}
		unsigned i = 0;
		while (i < n_max && hanging[i].until_ms != 0)
			i++;
		assert_true(i < n_max);
		hanging[i] = (struct hanging){batch, now + HANG_MS};
	}
	return found;
}

/* Ten thousand new destinations that never answer: a letter to one that was reached before goes at
 * once, one to a new healthy destination within moments, of any account, at any time. */
static void dead_hosts(unsigned n_senders, int64_t most_same, int64_t most_other)
{
	enum { MAX = 200, STEP = 20 };
	struct queue_schedule *s = make(MAX, 20);
	struct hanging *hanging = base_alloc(MAX * sizeof(*hanging));
	int64_t now = 1000000, worst_proven = 0, worst_new[2] = {0}, id = 100000;
	prove(s, "proven.example");
	for (int64_t i = 1; i <= 40000; i++) {
		char domain[32], account[32] = "mailing";
		snprintf(domain, sizeof(domain), "d%" PRId64 ".example", i / 4);
		if (i % n_senders)
			snprintf(account, sizeof(account), "mailing%" PRId64, i % n_senders);
		put(s, i, i, account, domain, 0);
	}
	int64_t waiting = 0, since = 0;
	for (unsigned i = 0; now < 1000000 + 200000; now += STEP) {
		if (waiting && pass(s, now, hanging, MAX, waiting)) {
			int64_t *worst = i % 3 == 0 ? &worst_proven : &worst_new[i % 3 - 1];
			*worst = MAX(*worst, now - since);
			waiting = 0;
		} else if (!waiting) {
			(void)pass(s, now, hanging, MAX, 0);
		}
		if (!waiting && now % 700 == 0) {
			char domain[32];
			i++;
			snprintf(domain, sizeof(domain), i % 3 ? "new%u.example" : "proven.example",
			         i);
			waiting = ++id;
			since = now;
			put(s, id, id, i % 3 == 1 ? "mailing" : "other", domain, now);
		}
	}
	print_message("a letter waited at most %d ms for a proven destination, %d and %d ms for a "
	              "new one (same account, another)\n",
	              (int)worst_proven, (int)worst_new[0], (int)worst_new[1]);
	assert_true(worst_proven <= STEP);
	assert_true(worst_new[0] <= most_same);
	assert_true(worst_new[1] <= most_other);
	base_free(hanging);
	queue_schedule_free(s);
}

static void test_dead_hosts_hold_up_nobody(void **state)
{
	(void)state;
	dead_hosts(1, 1000, 1000);
	dead_hosts(8, 1000, 1000);
}

/* What is tried again takes half of the slots at most. */
static void test_room_for_the_fresh(void **state)
{
	struct queue_schedule *s = make(20, 20);
	struct queue_batch batches[50];
	(void)state;
	for (int64_t id = 1; id <= 100; id++) {
		char domain[32], account[32];
		snprintf(domain, sizeof(domain), "dead%" PRId64 ".example", id);
		snprintf(account, sizeof(account), "user%" PRId64, id);
		struct queue_brief brief = brief_of(&(struct row){id, id, 0, account, domain});
		brief.n_attempts = 3;
		queue_schedule_put(s, &brief);
	}
	unsigned n = 0;
	for (int64_t now = 0; now < 100000; now += 100)
		n += take_all(s, now, batches + n, 50 - n);
	assert_int_equal(n, 10);
	put(s, 1000, 1000, "me", "healthy.example", 1);
	struct queue_batch batch;
	assert_true(queue_schedule_take(s, 100001, &batch));
	assert_int_equal(batch.ids[0], 1000);
	assert_false(queue_schedule_take(s, 100001, &batch));
	queue_schedule_free(s);
}

static void test_local_mail_has_slots_of_its_own(void **state)
{
	struct queue_schedule *s = make(1, 1);
	struct queue_batch batches[10];
	(void)state;
	for (int64_t id = 1; id <= 20; id++)
		put(s, id, id, "me", id % 2 ? "remote.example" : id % 4 ? "local1" : "local2", 0);
	/* One remote, a quarter of the local slots for each of the local places. */
	assert_int_equal(take_all(s, 0, batches, 10), 3);
	queue_schedule_free(s);
}

static void test_resting_destinations(void **state)
{
	struct queue_schedule *s = make(20, 20);
	struct queue_batch batch, second;
	(void)state;
	for (int64_t id = 1; id <= 150; id++)
		put(s, id, id, "me", "dead.example", 0);
	assert_true(queue_schedule_take(s, 0, &batch));
	assert_false(batch.resting);
	put(s, batch.ids[0], batch.ids[0], "me", "dead.example", 450000);
	queue_schedule_finish(s, &batch, &bad, 10000);
	assert_int_equal(queue_schedule_limit(s, "dead.example"), 1);
	/* All that waits is given out without an attempt, with the reason. */
	size_t n = 0;
	while (queue_schedule_take(s, 10000, &batch)) {
		assert_true(batch.resting);
		assert_string_equal(batch.why, "connection timed out");
		n += batch.n;
		for (size_t i = 0; i < batch.n; i++) {
			struct queue_brief brief = brief_of(&(struct row){
			        batch.ids[i], batch.ids[i], 310001, "me", "dead.example"});
			brief.n_attempts = 1;
			queue_schedule_put(s, &brief);
		}
		queue_schedule_finish(s, &batch, &(struct queue_feedback){0}, 10000);
	}
	assert_int_equal(n, 149);
	/* A fresh one soon after: not tried either. After half a minute: it is. */
	put(s, 1000, 1000, "me", "dead.example", 20000);
	assert_true(queue_schedule_take(s, 20000, &batch) && batch.resting);
	queue_schedule_remove(s, 1000);
	queue_schedule_finish(s, &batch, &(struct queue_feedback){0}, 20000);
	put(s, 1001, 1001, "me", "dead.example", 40000);
	put(s, 1002, 1002, "me", "dead.example", 40001);
	assert_true(queue_schedule_take(s, 40001, &batch) && !batch.resting);
	assert_int_equal(batch.n, 1);
	assert_false(queue_schedule_take(s, 40001, &second)); /* one at a time */
	/* It fails: the other is not tried. */
	queue_schedule_remove(s, batch.ids[0]);
	queue_schedule_finish(s, &batch, &bad, 41000);
	assert_true(queue_schedule_take(s, 41000, &batch) && batch.resting && batch.n == 1);
	queue_schedule_remove(s, batch.ids[0]);
	queue_schedule_finish(s, &batch, &(struct queue_feedback){0}, 41000);
	/* When it has rested, what is due is tried, one first; success opens it again. */
	assert_true(queue_schedule_take(s, 400000, &batch) && !batch.resting);
	queue_schedule_remove(s, batch.ids[0]);
	queue_schedule_finish(s, &batch, &good, 400000);
	assert_true(queue_schedule_take(s, 400000, &batch) && !batch.resting);
	assert_true(queue_schedule_take(s, 400000, &second) && !second.resting);
	queue_schedule_free(s);
}

/* One that worked a moment ago gets a second chance, and nothing is deferred meanwhile. */
static void test_a_moment_out_of_reach(void **state)
{
	struct queue_schedule *s = make(20, 20);
	struct queue_batch batch, other;
	(void)state;
	prove(s, "big.example");
	for (int64_t id = 1; id <= 20; id++)
		put(s, id, id, "me", "big.example", 0);
	assert_true(queue_schedule_take(s, 1000, &batch));
	assert_true(queue_schedule_take(s, 1000, &other));
	queue_schedule_remove(s, batch.ids[0]);
	queue_schedule_finish(s, &batch, &bad, 1000);
	assert_false(queue_schedule_take(s, 1000, &batch));
	assert_int_equal(queue_schedule_wake_ms(s, 1000), 6000);
	assert_false(queue_schedule_take(s, 5999, &batch));
	/* It is there again. */
	queue_schedule_remove(s, other.ids[0]);
	queue_schedule_finish(s, &other, &(struct queue_feedback){0}, 5999);
	assert_true(queue_schedule_take(s, 6000, &batch) && !batch.resting);
	assert_false(queue_schedule_take(s, 6000, &other)); /* one finds out */
	queue_schedule_remove(s, batch.ids[0]);
	queue_schedule_finish(s, &batch, &good, 6000);
	assert_true(queue_schedule_take(s, 6000, &batch) && !batch.resting);
	/* It fails twice in a row: now what waits is deferred. */
	queue_schedule_remove(s, batch.ids[0]);
	queue_schedule_finish(s, &batch, &bad, 7000);
	assert_true(queue_schedule_take(s, 12000, &batch) && !batch.resting);
	queue_schedule_remove(s, batch.ids[0]);
	queue_schedule_finish(s, &batch, &bad, 12000);
	assert_true(queue_schedule_take(s, 12000, &batch) && batch.resting);
	assert_int_equal(batch.n, 15);
	queue_schedule_free(s);
}

/* Of several lanes that waited for a destination one is let go; when what is in it leaves without
 * an attempt, the others must not wait for ever. */
static void a_turn_that_is_not_taken(int64_t which)
{
	struct queue_schedule *s = make(20, 20);
	struct queue_batch batch;
	for (int64_t id = 1; id <= 3; id++) {
		char account[16];
		snprintf(account, sizeof(account), "a%" PRId64, id);
		put(s, id, id, account, "big.example", 0);
	}
	assert_true(queue_schedule_take(s, 0, &batch)); /* one finds out, two are parked */
	int64_t first = batch.ids[0];
	assert_false(queue_schedule_take(s, 0, &batch));
	queue_schedule_remove(s, first);
	queue_schedule_finish(s, &batch, &(struct queue_feedback){.busy = true}, 0);
	assert_true(queue_schedule_set_aside(s, (first + which) % 3 + 1));
	assert_true(queue_schedule_take(s, 0, &batch));
	assert_int_equal(batch.ids[0], (first + 1 - which) % 3 + 1);
	queue_schedule_free(s);
}

/* Attempts at hosts of which nothing is known are paced; whatever waits for its turn among them,
 * and whoever was served before it, somebody wakes when it comes. */
static void one_that_waits_is_woken_for(int64_t n_served, uint32_t n_attempts)
{
	struct queue_schedule *s = make(20, 20);
	struct queue_batch batch;
	for (int64_t id = 1; id <= n_served; id++) {
		prove(s, "good.example");
		put(s, id, id, "me", "good.example", 0);
		assert_true(queue_schedule_take(s, 0, &batch));
		queue_schedule_remove(s, id);
		queue_schedule_finish(s, &batch, &good, 0);
	}
	for (int64_t id = 101; id <= 120; id++) {
		char domain[32];
		snprintf(domain, sizeof(domain), "dead%" PRId64 ".example", id);
		struct queue_brief brief = brief_of(&(struct row){id, id, 0, "me", domain});
		brief.n_attempts = n_attempts;
		queue_schedule_put(s, &brief);
	}
	int64_t now_ms = 0;
	for (size_t n = 0; n < 20; n++) {
		while (!queue_schedule_take(s, now_ms, &batch)) {
			int64_t wake_ms = queue_schedule_wake_ms(s, now_ms);
			assert_in_range(wake_ms, now_ms + 1, now_ms + 40000);
			now_ms = wake_ms;
		}
		queue_schedule_remove(s, batch.ids[0]);
		queue_schedule_finish(s, &batch, &bad, now_ms);
	}
	queue_schedule_free(s);
}

static void test_one_that_waits_is_woken_for(void **state)
{
	(void)state;
	for (int64_t n_served = 0; n_served < 8; n_served++) {
		one_that_waits_is_woken_for(n_served, 0);
		one_that_waits_is_woken_for(n_served, 1);
	}
}

static void test_a_turn_that_is_not_taken(void **state)
{
	(void)state;
	a_turn_that_is_not_taken(0);
	a_turn_that_is_not_taken(1);
}

static void test_hold_and_changes_under_way(void **state)
{
	struct queue_schedule *s = make(20, 20);
	struct queue_batch batch, other;
	(void)state;
	struct queue_brief brief = brief_of(&(struct row){1, 1, 0, "me", "a.example"});
	brief.hold = true;
	queue_schedule_put(s, &brief);
	assert_int_equal(queue_schedule_wake_ms(s, 0), INT64_MAX);
	assert_false(queue_schedule_take(s, 1000, &batch));
	brief.hold = false;
	queue_schedule_put(s, &brief);
	assert_true(queue_schedule_take(s, 1000, &batch));
	assert_true(queue_schedule_is_running(s, 1));
	/* Held while it is under way: counts when it has ended. */
	brief.hold = true;
	queue_schedule_put(s, &brief);
	assert_true(queue_schedule_is_running(s, 1));
	queue_schedule_finish(s, &batch, &good, 1000);
	assert_false(queue_schedule_is_running(s, 1));
	assert_false(queue_schedule_take(s, 2000, &batch));
	/* Rescheduled, then removed while ready in its lane. */
	brief.hold = false;
	queue_schedule_put(s, &brief);
	put(s, 2, 2, "me", "a.example", 0);
	assert_true(queue_schedule_take(s, 2000, &batch));
	queue_schedule_remove(s, batch.ids[0] == 1 ? 2 : 1);
	assert_false(queue_schedule_take(s, 2000, &other));
	queue_schedule_remove(s, batch.ids[0]);
	queue_schedule_remove(s, 77);
	queue_schedule_finish(s, &batch, &good, 2000);
	assert_int_equal(queue_schedule_n(s), 0);
	queue_schedule_free(s);
}

/* Who ends an entry must not meet an attempt that begins at the same moment. */
static void test_set_aside(void **state)
{
	struct queue_schedule *s = make(20, 20);
	struct queue_batch batch;
	(void)state;
	put(s, 1, 1, "me", "a.example", 0);
	put(s, 2, 2, "me", "b.example", 5000);
	assert_true(queue_schedule_set_aside(s, 1));
	assert_true(queue_schedule_set_aside(s, 1));
	assert_true(queue_schedule_set_aside(s, 2));
	assert_true(queue_schedule_set_aside(s, 77));
	assert_false(queue_schedule_take(s, 9000, &batch));
	queue_schedule_put_back(s, 1);
	queue_schedule_put_back(s, 1);
	queue_schedule_put_back(s, 77);
	assert_true(queue_schedule_take(s, 9000, &batch));
	assert_int_equal(batch.ids[0], 1);
	assert_false(queue_schedule_set_aside(s, 1));
	queue_schedule_put_back(s, 1); /* under way: stays so */
	assert_true(queue_schedule_is_running(s, 1));
	queue_schedule_remove(s, 1);
	queue_schedule_finish(s, &batch, &good, 9000);
	/* A change puts it back as well; one that is held stays held. */
	struct queue_brief brief = brief_of(&(struct row){2, 2, 0, "me", "b.example"});
	brief.hold = true;
	queue_schedule_put(s, &brief);
	assert_true(queue_schedule_set_aside(s, 2));
	queue_schedule_put_back(s, 2);
	assert_false(queue_schedule_take(s, 9000, &batch));
	brief.hold = false;
	queue_schedule_put(s, &brief);
	assert_true(queue_schedule_take(s, 9000, &batch));
	queue_schedule_free(s);
}

static void test_new_routes_count_for_what_waits(void **state)
{
	unsigned n_placed = 0;
	struct queue_schedule *s =
	        queue_schedule_new(&(struct queue_schedule_options){.max_running = 1,
	                                                            .max_per_destination = 1,
	                                                            .max_local = 1,
	                                                            .place = place,
	                                                            .context = &n_placed});
	struct queue_batch batch;
	(void)state;
	for (int64_t id = 1; id <= 10; id++)
		put(s, id, id, "me", "a.example", 0);
	assert_true(queue_schedule_take(s, 0, &batch));
	assert_int_equal(n_placed, 10);
	queue_schedule_replace(s);
	assert_false(queue_schedule_take(s, 0, &batch));
	assert_int_equal(n_placed, 19);
	queue_schedule_free(s);
}

static void test_deadlines(void **state)
{
	struct queue_schedule *s = make(20, 20);
	struct queue_batch batch;
	int64_t id = 0;
	(void)state;
	for (int64_t i = 1; i <= 100; i++) {
		struct queue_brief brief =
		        brief_of(&(struct row){i, i, 1000000, "me", "a.example"});
		brief.deadline_ms = 1000 + (i * 61) % 100;
		queue_schedule_put(s, &brief);
	}
	assert_int_equal(queue_schedule_wake_ms(s, 0), 1000);
	assert_false(queue_schedule_deadline(s, 999, &id));
	for (int64_t now = 1000; now < 1100; now++) {
		assert_true(queue_schedule_deadline(s, now, &id));
		assert_int_equal(1000 + (id * 61) % 100, now);
		assert_false(queue_schedule_deadline(s, now, &id));
	}
	/* One that is under way comes when it has ended; one that has left never. */
	struct queue_brief brief = brief_of(&(struct row){200, 200, 2000, "me", "b.example"});
	brief.deadline_ms = 2100;
	queue_schedule_put(s, &brief);
	brief.id = brief.message = 201;
	brief.domain = SLICE("c.example");
	queue_schedule_put(s, &brief);
	assert_true(queue_schedule_take(s, 2000, &batch));
	int64_t running = batch.ids[0];
	queue_schedule_remove(s, 401 - running);
	assert_false(queue_schedule_deadline(s, 2200, &id));
	queue_schedule_finish(s, &batch, &good, 2200);
	assert_true(queue_schedule_deadline(s, 2200, &id));
	assert_int_equal(id, running);
	assert_false(queue_schedule_deadline(s, 9999, &id));
	queue_schedule_free(s);
}

static void test_priorities(void **state)
{
	static const int priorities[] = {0, -3, 4, 9, 0, -9, 4, 1};
	static const int64_t order[] = {4, 3, 7, 8, 1, 5, 2, 6};
	struct queue_schedule *s = make(1, 1);
	struct queue_batch batch;
	(void)state;
	for (int64_t id = 1; id <= 8; id++) {
		struct queue_brief brief = brief_of(&(struct row){id, id, 0, "me", "a.example"});
		brief.priority = priorities[id - 1];
		queue_schedule_put(s, &brief);
	}
	for (size_t i = 0; i < N_ELEMENTS(order); i++) {
		assert_true(queue_schedule_take(s, 0, &batch));
		assert_int_equal(batch.ids[0], order[i]);
		end_all(s, 0, &batch, 1, &good);
	}
	queue_schedule_free(s);
}

static void test_memory(void **state)
{
	struct queue_schedule *s = make(100, 20);
	struct queue_schedule_stats stats;
	struct queue_batch batch;
	(void)state;
	for (int64_t id = 1; id <= 100000; id++) {
		char domain[64];
		snprintf(domain, sizeof(domain), "d%" PRId64 ".example", id % 10000);
		put(s, id, id, "me", domain, id % 2 ? 0 : 1000000);
	}
	while (queue_schedule_wake_ms(s, 0) == 0)
		(void)queue_schedule_take(s, 0, &batch);
	queue_schedule_stats(s, &stats);
	assert_int_equal(stats.n_entries, 100000);
	assert_true(stats.memory < (size_t)400 * 100000);
	print_message("%zu bytes an entry\n", stats.memory / stats.n_entries);
	queue_schedule_free(s);
}

/* ---- anything may happen ---- */

#define N_IDS     400
#define N_BATCHES 64

struct model {
	struct queue_schedule *s;
	bool there[N_IDS + 1], running[N_IDS + 1];
	struct queue_batch batches[N_BATCHES];
	size_t n_batches;
	uint64_t random;
	int64_t now;
};

static unsigned any(struct model *m, unsigned n)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(m->random >> 33) % n;
}

static void model_put(struct model *m)
{
	static const char *const accounts[] = {"a", "b", "c", "d", "e"};
	static const char *const transports[] = {"", "", "", "", "", "smarthost", "local3"};
	char domain[32];
	int64_t id = 1 + any(m, N_IDS);
	snprintf(domain, sizeof(domain), "%s%u", any(m, 5) ? "d" : "local", any(m, 12));
	struct queue_brief brief = brief_of(&(struct row){id, id / 3, m->now + any(m, 3000) - 1000,
	                                                  accounts[any(m, 5)], domain});
	brief.transport = slice_str(transports[any(m, N_ELEMENTS(transports))]);
	brief.hold = any(m, 10) == 0;
	brief.deadline_ms = any(m, 10) == 0 ? m->now + any(m, 2000) : 0;
	brief.priority = any(m, 4) ? 0 : (int)any(m, 19) - 9;
	brief.n_attempts = any(m, 3);
	queue_schedule_put(m->s, &brief);
	m->there[id] = true;
}

static void model_remove(struct model *m)
{
	int64_t id = 1 + any(m, N_IDS);
	queue_schedule_remove(m->s, id);
	m->there[id] = m->running[id] = false;
}

static void model_take(struct model *m)
{
	if (m->n_batches == N_BATCHES ||
	    !queue_schedule_take(m->s, m->now, &m->batches[m->n_batches]))
		return;
	const struct queue_batch *batch = &m->batches[m->n_batches++];
	assert_true(batch->n > 0);
	for (size_t i = 0; i < batch->n; i++) {
		int64_t id = batch->ids[i];
		assert_true(m->there[id] && !m->running[id]);
		assert_true(queue_schedule_is_running(m->s, id));
		m->running[id] = true;
	}
}

static void model_finish(struct model *m)
{
	static const struct queue_feedback any_feedback[] = {
	        {.reached = true},
	        {.reached = true, .recipient_limit = 4},
	        {.busy = true},
	        {.unreachable = true, .why = "no route"},
	        {0},
	};
	if (m->n_batches == 0)
		return;
	unsigned which = any(m, (unsigned)m->n_batches);
	struct queue_batch batch = m->batches[which];
	m->batches[which] = m->batches[--m->n_batches];
	for (size_t i = 0; i < batch.n; i++) {
		if (any(m, 2)) {
			queue_schedule_remove(m->s, batch.ids[i]);
			m->there[batch.ids[i]] = false;
		}
		m->running[batch.ids[i]] = false;
	}
	queue_schedule_finish(m->s, &batch, &any_feedback[any(m, N_ELEMENTS(any_feedback))],
	                      m->now);
}

static void model_step(struct model *m)
{
	int64_t id;
	switch (any(m, 12)) {
	case 0:
	case 1:
	case 2:
		model_put(m);
		break;
	case 3:
		model_remove(m);
		break;
	case 4:
	case 5:
	case 6:
		model_take(m);
		break;
	case 7:
	case 8:
		model_finish(m);
		break;
	case 9:
		if (queue_schedule_deadline(m->s, m->now, &id))
			assert_true(m->there[id] && !m->running[id]);
		break;
	case 10:
		if (any(m, 20) == 0)
			queue_schedule_replace(m->s);
		id = 1 + any(m, N_IDS);
		assert_int_equal(queue_schedule_set_aside(m->s, id), !m->running[id]);
		if (any(m, 2))
			queue_schedule_put_back(m->s, id);
		break;
	default:
		m->now += any(m, 500);
	}
}

static void test_anything(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct model *m = base_alloc(sizeof(*m));
		struct queue_schedule_stats stats;
		m->s = make(10, 3);
		m->random = seed;
		for (unsigned i = 0; i < 5000; i++)
			model_step(m);
		/* Everything ends: nothing is stuck in a lane, nothing is counted as running. */
		while (m->n_batches > 0)
			model_finish(m);
		for (unsigned i = 0; i < 3000; i++) {
			m->now += 1000000;
			model_take(m);
			model_finish(m);
		}
		queue_schedule_stats(m->s, &stats);
		assert_int_equal(stats.n_running, 0);
		assert_int_equal(stats.n_ready, 0);
		for (int64_t id = 1; id <= N_IDS; id++)
			queue_schedule_remove(m->s, id);
		assert_int_equal(queue_schedule_n(m->s), 0);
		queue_schedule_free(m->s);
		base_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_due_times),
	        cmocka_unit_test(test_recipients_of_a_message_go_together),
	        cmocka_unit_test(test_concurrency_adapts),
	        cmocka_unit_test(test_fairness),
	        cmocka_unit_test(test_dead_hosts_hold_up_nobody),
	        cmocka_unit_test(test_room_for_the_fresh),
	        cmocka_unit_test(test_local_mail_has_slots_of_its_own),
	        cmocka_unit_test(test_resting_destinations),
	        cmocka_unit_test(test_a_moment_out_of_reach),
	        cmocka_unit_test(test_a_turn_that_is_not_taken),
	        cmocka_unit_test(test_one_that_waits_is_woken_for),
	        cmocka_unit_test(test_hold_and_changes_under_way),
	        cmocka_unit_test(test_new_routes_count_for_what_waits),
	        cmocka_unit_test(test_set_aside),
	        cmocka_unit_test(test_deadlines),
	        cmocka_unit_test(test_priorities),
	        cmocka_unit_test(test_memory),
	        cmocka_unit_test(test_anything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
