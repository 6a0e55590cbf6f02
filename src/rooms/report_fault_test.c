/* The fault axis: whatever fails and whenever, a batch that was acknowledged is counted once, one
 * that was not is counted whole or not at all, and once when it comes again; a dispatch is begun
 * before it can have ended, and what was told as sent stays so. REPORT_FAULT_STEP=1 fails every
 * single operation. */
#include "rooms/report_outbox.h"
#include "rooms/report_policies.h"
#include "rooms/report_testing.h"

#include "store/faulty_vfs.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOON    (INT64_C(20000) * 86400 + 43200)
#define BATCHES 6u

/* What was answered. */
struct answers {
	bool added[BATCHES], policy, ended, found, begun, sent;
};

static struct status add_batch(struct report_fixture *f, uint32_t number)
{
	uint8_t id[REPORT_BATCH_ID_SIZE] = {(uint8_t)number};
	struct report_fact facts[2];
	bool repeated;
	for (size_t i = 0; i < N_ELEMENTS(facts); i++)
		facts[i] = (struct report_fact){.kind = REPORT_TLS,
		                                .domains = {SLICE("a.example")},
		                                .n_domains = 1,
		                                .policy = SLICE("policy"),
		                                .form = i == 0 ? SLICE("x") : SLICE("y"),
		                                .count = 1};
	return report_facts_add(f->db, NOON, slice_of(id, sizeof(id)), facts, N_ELEMENTS(facts), 0,
	                        &repeated);
}

static bool begin_and_send(struct report_fixture *f, struct answers *a)
{
	struct report_task task;
	int64_t next_s;
	if (!is_ok(report_outbox_next(f->db, NOON, &f->arena, &task, &next_s)) ||
	    task.dispatch.topic == 0)
		return false;
	a->begun = is_ok(report_dispatch_begin(f->db, &task.dispatch, NOON));
	a->sent = a->begun && is_ok(report_dispatch_end(f->db, &task.dispatch, REPORT_DISPATCH_SENT,
	                                                NOON, slice_empty()));
	return a->sent;
}

static bool find_destination(struct report_fixture *f)
{
	struct report_task task;
	int64_t next_s;
	const struct report_destination to = {.uri = SLICE("mailto:a@a.example"),
	                                      .address = SLICE("a@a.example"),
	                                      .refused = slice_empty()};
	return is_ok(report_outbox_next(f->db, NOON, &f->arena, &task, &next_s)) &&
	       is_ok(report_outbox_found(f->db, task.topic.id, NOON, &to, 1, SLICE("us.example"),
	                                 slice_empty()));
}

static unsigned script(struct report_fixture *f, struct answers *a)
{
	unsigned n_failed = 0;
	for (uint32_t i = 0; i < BATCHES; i++) {
		a->added[i] = is_ok(add_batch(f, i));
		n_failed += !a->added[i];
	}
	a->policy = is_ok(report_policies_put(f->db, SLICE("b.example"), NOON, SLICE("form")));
	a->ended = is_ok(report_facts_end_now(f->db, NOON));
	a->found = a->ended && find_destination(f);
	n_failed += !a->policy + !a->ended + !a->found;
	n_failed += !(a->found && begin_and_send(f, a));
	return n_failed;
}

static uint64_t count_of(struct report_fixture *f, struct report_topic *topics, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		struct report_counted *counted;
		size_t n_counted;
		bool more;
		assert_ok(report_topic_read(f->db, topics[i].id, 0, 100, &f->arena, &counted,
		                            &n_counted, &more));
		for (size_t j = 0; j < n_counted; j++)
			sum += counted[j].count;
	}
	return sum;
}

static struct report_topic *topics_of(struct report_fixture *f, size_t *ret_n)
{
	const struct report_topics_query query = {
	        .kind = REPORT_TLS, .domain = slice_empty(), .to_s = INT64_MAX, .max = 100};
	struct report_topic *topics;
	assert_ok(report_topics_list(f->db, &query, &f->arena, &topics, ret_n));
	return topics;
}

static void check_dispatch(struct report_fixture *f, const struct answers *a,
                           const struct report_topic *topic)
{
	struct report_progress progress;
	struct status status = report_outbox_read(f->db, topic->id, &f->arena, &progress);
	if (a->ended)
		assert_ok(status);
	if (!is_ok(status) || progress.n_dispatches == 0) {
		assert_false(a->found);
		return;
	}
	assert_int_equal(progress.n_dispatches, 1);
	enum report_dispatch_state state = progress.dispatches[0].state;
	if (a->sent)
		assert_int_equal(state, REPORT_DISPATCH_SENT);
	else if (a->begun)
		assert_true(state == REPORT_DISPATCH_HANDING || state == REPORT_DISPATCH_SENT);
}

static void check(struct report_fixture *f, const struct answers *a)
{
	struct slice form;
	size_t n;
	struct report_topic *topics = topics_of(f, &n);
	uint64_t n_acknowledged = 0, counted = count_of(f, topics, n);
	for (size_t i = 0; i < BATCHES; i++)
		n_acknowledged += a->added[i];
	assert_true(counted % 2 == 0 && counted >= 2 * n_acknowledged && counted <= 2 * BATCHES);
	if (a->policy)
		assert_ok(report_policies_get(f->db, SLICE("b.example"), NOON, &f->arena, &form));
	if (n == 1)
		check_dispatch(f, a, &topics[0]);
	/* All come again. */
	for (uint32_t i = 0; i < BATCHES; i++)
		assert_ok(add_batch(f, i));
	topics = topics_of(f, &n);
	assert_int_equal(count_of(f, topics, n), 2 * BATCHES);
}

static uint32_t step_of(void)
{
	const char *text = getenv("REPORT_FAULT_STEP");
	uint32_t step = 3;
	if (text)
		slice_to_u32(slice_str(text), 100, &step);
	return MAX(step, 1u);
}

static void fail_everywhere(enum fault_kind kind, bool lasting)
{
	bool happened = true;
	faults_register();
	for (unsigned at = 1; happened; at += step_of()) {
		struct report_fixture f;
		struct answers answers = {.policy = false};
		report_fixture_init(&f, "faulty");
		faults_set(kind, at, lasting);
		unsigned n_failed = script(&f, &answers);
		report_db_close(f.db);
		f.db = NULL;
		happened = faults_happened();
		faults_set(FAULT_NONE, 0, false);
		if (!happened)
			assert_int_equal(n_failed, 0);
		assert_ok(report_db_open(f.db_path, f.vfs, &f.db));
		check(&f, &answers);
		report_fixture_done(&f);
	}
}

static void writes_that_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_WRITE, false);
	fail_everywhere(FAULT_WRITE, true);
}

static void a_full_disk(void **state)
{
	(void)state;
	fail_everywhere(FAULT_SPACE, false);
	fail_everywhere(FAULT_SPACE, true);
}

static void syncs_that_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_SYNC, false);
	fail_everywhere(FAULT_SYNC, true);
}

/* What was not synced is gone: the database goes on with the image of what the disk had. */
static void power_that_goes(void **state)
{
	bool happened = true;
	(void)state;
	faults_register();
	for (unsigned at = 1; happened; at += step_of()) {
		struct report_fixture f;
		struct answers answers = {.policy = false};
		char image[300];
		report_fixture_init(&f, "faulty");
		report_db_close(f.db);
		snprintf(image, sizeof(image), "%s.image", f.path);
		faults_copy_tree(f.path, image);
		faults_keep_image(f.path, image);
		assert_ok(report_db_open(f.db_path, f.vfs, &f.db));
		faults_set(FAULT_POWER, at, true);
		(void)script(&f, &answers);
		report_db_close(f.db);
		f.db = NULL;
		happened = faults_happened();
		faults_set(FAULT_NONE, 0, false);
		faults_keep_image(NULL, NULL);
		if (happened)
			faults_copy_tree(image, f.path);
		assert_ok(report_db_open(f.db_path, f.vfs, &f.db));
		check(&f, &answers);
		report_fixture_done(&f);
		faults_remove_tree(image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(writes_that_fail),
	        cmocka_unit_test(a_full_disk),
	        cmocka_unit_test(syncs_that_fail),
	        cmocka_unit_test(power_that_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
