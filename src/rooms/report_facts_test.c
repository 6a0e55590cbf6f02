/* Counting: equal things together, batches once, days apart, limits held; and what becomes of a day
 * that has ended. Times are the tests' own. */
#include "rooms/report_outbox.h"
#include "rooms/report_testing.h"

#define DAY      ((int64_t)REPORT_DAY_S)
#define NOON     (INT64_C(20000) * 86400 + 43200)
#define MIDNIGHT (NOON + 43200)

static int set_up(void **state)
{
	struct report_fixture *f = base_alloc(sizeof(*f));
	report_fixture_init(f, NULL);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	report_fixture_done(*state);
	base_free(*state);
	return 0;
}

static struct slice batch_id(uint32_t number)
{
	static uint8_t id[REPORT_BATCH_ID_SIZE];
	memset(id, 0, sizeof(id));
	memcpy(id, &number, sizeof(number));
	return slice_of(id, sizeof(id));
}

static struct report_fact fact_of(const char *domain, const char *form)
{
	return (struct report_fact){.kind = REPORT_DMARC,
	                            .domains = {slice_str(domain)},
	                            .n_domains = 1,
	                            .policy = SLICE("policy"),
	                            .form = slice_str(form),
	                            .count = 1};
}

static void add_facts(struct report_fixture *f, uint32_t batch, int64_t now_s,
                      const struct report_fact *facts, size_t n)
{
	bool repeated;
	assert_ok(report_facts_add(f->db, now_s, batch_id(batch), facts, n, 0, &repeated));
}

static void add_one(struct report_fixture *f, uint32_t batch, int64_t now_s, const char *domain,
                    const char *form)
{
	struct report_fact fact = fact_of(domain, form);
	add_facts(f, batch, now_s, &fact, 1);
}

static size_t list(struct report_fixture *f, enum report_kind kind, const char *domain,
                   struct report_topic **ret_topics)
{
	const struct report_topics_query query = {
	        .kind = kind, .domain = slice_str(domain), .to_s = INT64_MAX, .max = 100};
	size_t n;
	assert_ok(report_topics_list(f->db, &query, &f->arena, ret_topics, &n));
	return n;
}

/* How often all of a topic occurred. */
static uint64_t total(struct report_fixture *f, int64_t topic, size_t *ret_n)
{
	struct report_counted *counted;
	uint64_t sum = 0;
	bool more;
	assert_ok(report_topic_read(f->db, topic, 0, 100, &f->arena, &counted, ret_n, &more));
	assert_false(more);
	for (size_t i = 0; i < *ret_n; i++)
		sum += counted[i].count;
	return sum;
}

static void equal_things_are_one_row(void **state)
{
	struct report_fixture *f = *state;
	struct report_topic *topics;
	size_t n;
	add_one(f, 1, NOON, "a.example", "x");
	add_one(f, 2, NOON, "a.example", "x");
	add_one(f, 3, NOON, "a.example", "y");
	add_one(f, 4, NOON, "b.example", "x");
	assert_int_equal(list(f, REPORT_DMARC, "", &topics), 2);
	assert_int_equal(list(f, REPORT_DMARC, "a.example", &topics), 1);
	assert_int_equal(total(f, topics[0].id, &n), 3);
	assert_int_equal(n, 2);
	assert_int_equal(topics[0].n_facts, 2);
	assert_int_equal(list(f, REPORT_TLS, "", &topics), 0);
}

static void a_batch_is_counted_once_also_after_a_restart(void **state)
{
	struct report_fixture *f = *state;
	struct report_fact fact = fact_of("a.example", "x");
	struct report_topic *topics;
	bool repeated;
	size_t n;
	assert_ok(report_facts_add(f->db, NOON, batch_id(7), &fact, 1, 0, &repeated));
	assert_false(repeated);
	assert_ok(report_facts_add(f->db, NOON + 5, batch_id(7), &fact, 1, 0, &repeated));
	assert_true(repeated);
	report_fixture_reopen(f);
	assert_ok(report_facts_add(f->db, NOON + 9, batch_id(7), &fact, 1, 0, &repeated));
	assert_true(repeated);
	assert_int_equal(list(f, REPORT_DMARC, "", &topics), 1);
	assert_int_equal(total(f, topics[0].id, &n), 1);
}

static void a_fact_of_two_domains_is_told_to_both(void **state)
{
	struct report_fixture *f = *state;
	struct report_fact fact = fact_of("a.example", "x");
	struct report_topic *topics;
	size_t n;
	fact.kind = REPORT_TLS;
	fact.domains[fact.n_domains++] = SLICE("mx.b.example");
	fact.count = 5;
	add_facts(f, 1, NOON, &fact, 1);
	assert_int_equal(list(f, REPORT_TLS, "", &topics), 2);
	assert_int_equal(total(f, topics[0].id, &n), 5);
	assert_int_equal(total(f, topics[1].id, &n), 5);
}

static void what_is_no_fact_spoils_the_batch_and_nothing_else(void **state)
{
	struct report_fixture *f = *state;
	static const uint8_t large[REPORT_FORM_MAX + 1];
	struct report_topic *topics;
	bool repeated;
	struct report_fact bad[9];
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = fact_of("a.example", "x");
	bad[0].kind = (enum report_kind)REPORT_KINDS;
	bad[1].n_domains = 0;
	bad[2].n_domains = REPORT_DOMAINS_MAX + 1;
	bad[3].domains[0] = SLICE("a..example");
	bad[4].domains[0] = SLICE("[192.0.2.1]");
	bad[5].count = 0;
	bad[6].count = REPORT_COUNT_MAX_FACT + 1;
	bad[7].form = slice_of(large, sizeof(large));
	bad[8].n_domains = 2;
	bad[8].domains[1] = bad[8].domains[0];
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_false(report_fact_is_good(&bad[i]));
		assert_err(report_facts_add(f->db, NOON, batch_id(1), &bad[i], 1, 0, &repeated),
		           ERR_INVALID);
	}
	assert_err(report_facts_add(f->db, NOON, SLICE("short"), bad, 0, 0, &repeated),
	           ERR_INVALID);
	assert_int_equal(list(f, REPORT_DMARC, "", &topics), 0);
}

static void each_day_is_apart(void **state)
{
	struct report_fixture *f = *state;
	struct report_topic *topics;
	int64_t next_s;
	size_t n;
	add_one(f, 1, NOON, "a.example", "x");
	add_one(f, 2, MIDNIGHT - 1, "a.example", "x");
	add_one(f, 3, MIDNIGHT, "a.example", "x");
	assert_int_equal(list(f, REPORT_DMARC, "a.example", &topics), 2);
	assert_int_equal(topics[0].begin_s, MIDNIGHT); /* newest first */
	assert_int_equal(topics[0].end_s, MIDNIGHT + DAY);
	assert_false(topics[0].ended);
	assert_int_equal(topics[1].begin_s, MIDNIGHT - DAY);
	assert_int_equal(topics[1].end_s, MIDNIGHT);
	assert_true(topics[1].ended);
	assert_int_equal(total(f, topics[1].id, &n), 2);
	assert_ok(report_facts_roll(f->db, MIDNIGHT + DAY - 1, &next_s));
	assert_int_equal(next_s, MIDNIGHT + DAY);
	assert_ok(report_facts_roll(f->db, MIDNIGHT + DAY, &next_s));
	assert_int_equal(next_s, INT64_MAX);
	/* A clock that goes back does not open it again. */
	add_one(f, 4, NOON, "a.example", "x");
	assert_int_equal(list(f, REPORT_DMARC, "a.example", &topics), 3);
	assert_int_equal(topics[0].begin_s, MIDNIGHT + DAY);
}

static void a_period_that_is_ended_early_is_followed_by_the_rest_of_the_day(void **state)
{
	struct report_fixture *f = *state;
	struct report_topic *topics;
	assert_err(report_facts_end_now(f->db, NOON), ERR_NOT_FOUND);
	add_one(f, 1, NOON, "a.example", "x");
	assert_ok(report_facts_end_now(f->db, NOON + 60));
	add_one(f, 2, NOON + 61, "a.example", "x");
	assert_int_equal(list(f, REPORT_DMARC, "a.example", &topics), 2);
	assert_int_equal(topics[1].end_s, NOON + 60);
	assert_int_equal(topics[0].begin_s, NOON + 60);
	assert_int_equal(topics[0].end_s, MIDNIGHT);
}

static void report_mail_alone_is_no_reason(void **state)
{
	struct report_fixture *f = *state;
	struct report_fact fact = fact_of("a.example", "x");
	struct report_topic *topics;
	fact.unwanted = true;
	add_facts(f, 1, NOON, &fact, 1);
	assert_int_equal(list(f, REPORT_DMARC, "", &topics), 1);
	assert_false(topics[0].wanted);
	add_one(f, 2, NOON, "a.example", "x");
	assert_int_equal(list(f, REPORT_DMARC, "", &topics), 1);
	assert_true(topics[0].wanted);
}

static void a_topic_is_bounded(void **state)
{
	struct report_fixture *f = *state;
	struct report_topic *topics;
	for (uint32_t i = 0; i < REPORT_TOPIC_POLICIES_MAX + 5; i++) {
		struct report_fact fact = fact_of("a.example", "x");
		char policy[16];
		snprintf(policy, sizeof(policy), "p%" PRIu32, i);
		fact.policy = slice_str(policy);
		add_facts(f, i + 1, NOON, &fact, 1);
	}
	assert_int_equal(list(f, REPORT_DMARC, "", &topics), 1);
	assert_int_equal(topics[0].n_facts, REPORT_TOPIC_POLICIES_MAX);
	assert_int_equal(topics[0].n_dropped, 5);
}

static void what_is_over_is_forgotten(void **state)
{
	struct report_fixture *f = *state;
	struct report_topic *topics;
	bool repeated;
	struct report_fact fact = fact_of("a.example", "x");
	add_one(f, 1, NOON, "a.example", "x");
	add_one(f, 2, NOON + DAY, "b.example", "x");
	assert_ok(report_facts_clean(f->db, MIDNIGHT + REPORT_KEEP_S));
	assert_int_equal(list(f, REPORT_DMARC, "", &topics), 2);
	assert_ok(report_facts_clean(f->db, MIDNIGHT + REPORT_KEEP_S + 1));
	assert_ok(report_db_shrink(f->db));
	assert_int_equal(list(f, REPORT_DMARC, "", &topics), 1);
	assert_true(slice_eq_str(topics[0].domain, "b.example"));
	assert_ok(report_facts_add(f->db, NOON + 2 * DAY, batch_id(1), &fact, 1, 0, &repeated));
	assert_false(repeated);
}

/* ---- the outbox ---- */

static struct report_destination mail_to(const char *address)
{
	return (struct report_destination){
	        .uri = slice_str(address), .address = slice_str(address), .refused = slice_empty()};
}

/* A topic whose report is due at once. */
static int64_t ended_topic(struct report_fixture *f)
{
	struct report_task task;
	int64_t next_s;
	add_one(f, 1, NOON, "a.example", "x");
	assert_err(report_outbox_next(f->db, NOON, &f->arena, &task, &next_s), ERR_NOT_FOUND);
	assert_ok(report_facts_end_now(f->db, NOON));
	assert_ok(report_outbox_next(f->db, NOON, &f->arena, &task, &next_s));
	assert_int_equal(task.dispatch.topic, 0);
	assert_true(slice_eq_str(task.topic.domain, "a.example"));
	return task.topic.id;
}

static struct report_dispatch due_dispatch(struct report_fixture *f, int64_t now_s)
{
	struct report_task task;
	int64_t next_s;
	assert_ok(report_outbox_next(f->db, now_s, &f->arena, &task, &next_s));
	assert_int_not_equal(task.dispatch.topic, 0);
	return task.dispatch;
}

static struct report_progress progress_of(struct report_fixture *f, int64_t topic)
{
	struct report_progress progress;
	assert_ok(report_outbox_read(f->db, topic, &f->arena, &progress));
	return progress;
}

static void reports_are_due_within_hours_of_midnight(void **state)
{
	struct report_fixture *f = *state;
	struct report_task task;
	int64_t next_s, first = INT64_MAX, last = 0;
	for (uint32_t i = 0; i < 50; i++) {
		char domain[32];
		snprintf(domain, sizeof(domain), "d%" PRIu32 ".example", i);
		add_one(f, i + 1, NOON, domain, "x");
	}
	assert_ok(report_facts_roll(f->db, MIDNIGHT, &next_s));
	for (uint32_t i = 0; i < 50; i++) {
		struct report_topic *topics;
		char domain[32];
		snprintf(domain, sizeof(domain), "d%" PRIu32 ".example", i);
		assert_int_equal(list(f, REPORT_DMARC, domain, &topics), 1);
		int64_t at = progress_of(f, topics[0].id).next_s;
		first = MIN(first, at);
		last = MAX(last, at);
	}
	assert_true(first >= MIDNIGHT + REPORT_DELAY_MIN_S);
	assert_true(last < MIDNIGHT + REPORT_DELAY_MIN_S + REPORT_JITTER_S);
	assert_true(last - first > REPORT_JITTER_S / 4); /* spread */
	assert_err(report_outbox_next(f->db, MIDNIGHT, &f->arena, &task, &next_s), ERR_NOT_FOUND);
	assert_int_equal(next_s, first);
	assert_ok(report_outbox_hurry(f->db, 0, INT64_MAX, MIDNIGHT + 1));
	assert_ok(report_outbox_next(f->db, MIDNIGHT + 1, &f->arena, &task, &next_s));
}

static void a_report_goes_to_each_destination_once(void **state)
{
	struct report_fixture *f = *state;
	struct report_task task;
	int64_t next_s, topic = ended_topic(f);
	struct report_destination to[3] = {mail_to("a@a.example"), mail_to("b@b.example"),
	                                   mail_to("c@c.example")};
	to[2].refused = SLICE("not allowed");
	assert_ok(
	        report_outbox_found(f->db, topic, NOON, to, 3, SLICE("us.example"), slice_empty()));
	assert_err(
	        report_outbox_found(f->db, topic, NOON, to, 3, SLICE("us.example"), slice_empty()),
	        ERR_NOT_FOUND);
	for (int i = 0; i < 2; i++) {
		struct report_dispatch d = due_dispatch(f, NOON);
		assert_ok(report_dispatch_begin(f->db, &d, NOON));
		assert_err(report_dispatch_begin(f->db, &d, NOON), ERR_NOT_FOUND);
		assert_ok(
		        report_dispatch_end(f->db, &d, REPORT_DISPATCH_SENT, NOON, slice_empty()));
		assert_err(
		        report_dispatch_end(f->db, &d, REPORT_DISPATCH_SENT, NOON, slice_empty()),
		        ERR_NOT_FOUND);
	}
	assert_err(report_outbox_next(f->db, NOON + 90 * DAY, &f->arena, &task, &next_s),
	           ERR_NOT_FOUND);
	struct report_progress p = progress_of(f, topic);
	assert_int_equal(p.state, REPORT_DONE);
	assert_int_equal(p.n_dispatches, 3);
	assert_int_equal(p.dispatches[2].state, REPORT_DISPATCH_REFUSED);
	assert_true(slice_eq(p.dispatches[0].report_id, p.dispatches[1].report_id));
	assert_true(slice_ends(p.dispatches[0].report_id, SLICE("@us.example")));
}

static void nobody_to_tell_is_the_end(void **state)
{
	struct report_fixture *f = *state;
	int64_t topic = ended_topic(f);
	assert_ok(report_outbox_found(f->db, topic, NOON, NULL, 0, SLICE("us.example"),
	                              SLICE("no record")));
	struct report_progress p = progress_of(f, topic);
	assert_int_equal(p.state, REPORT_DONE);
	assert_true(slice_eq_str(p.why, "no record"));
}

static void what_cannot_be_found_out_is_tried_for_a_day(void **state)
{
	struct report_fixture *f = *state;
	struct report_task task;
	int64_t now_s = NOON, next_s, topic = ended_topic(f), pause = 0;
	unsigned n = 0;
	while (is_ok(report_outbox_next(f->db, now_s, &f->arena, &task, &next_s))) {
		assert_ok(report_outbox_later(f->db, topic, now_s, SLICE("the DNS fails")));
		int64_t at = progress_of(f, topic).next_s;
		assert_true(progress_of(f, topic).state == REPORT_DONE || at - now_s >= pause);
		pause = MIN(at - now_s, REPORT_RETRY_MAX_S);
		now_s = MAX(at, now_s);
		assert_true(n++ < 100);
	}
	assert_in_range(n, 5, 30);
	assert_true(now_s >= NOON + REPORT_GIVE_UP_S);
	assert_int_equal(progress_of(f, topic).state, REPORT_DONE);
	assert_true(slice_eq_str(progress_of(f, topic).why, "the DNS fails"));
}

static void a_destination_that_fails_is_tried_again_and_given_up(void **state)
{
	struct report_fixture *f = *state;
	struct report_task task;
	struct report_destination to = mail_to("a@a.example");
	int64_t now_s = NOON, next_s, topic = ended_topic(f);
	unsigned n = 0;
	assert_ok(report_outbox_found(f->db, topic, NOON, &to, 1, SLICE("us.example"),
	                              slice_empty()));
	while (progress_of(f, topic).state != REPORT_DONE) {
		struct status status = report_outbox_next(f->db, now_s, &f->arena, &task, &next_s);
		if (status.code == ERR_NOT_FOUND) {
			now_s = next_s;
			continue;
		}
		assert_ok(report_dispatch_begin(f->db, &task.dispatch, now_s));
		if (task.dispatch.begun_s == 0)
			task.dispatch.begun_s = now_s;
		assert_ok(report_dispatch_later(f->db, &task.dispatch, now_s, SLICE("busy")));
		assert_true(n++ < 100);
	}
	assert_in_range(n, 4, 30);
	struct report_progress p = progress_of(f, topic);
	assert_int_equal(p.dispatches[0].state, REPORT_DISPATCH_REFUSED);
	assert_true(p.dispatches[0].ended_s < NOON + REPORT_BATCH_KEEP_S);
}

/* The queue knows an id for a day: within it a mail is handed over once more, a POST never. */
static void a_crash_while_handing_over_doubles_nothing(void **state)
{
	static const struct {
		bool is_mail;
		int64_t later_s;
		enum report_dispatch_state state;
	} cases[] = {
	        {true, 5, REPORT_DISPATCH_WAITING},
	        {true, REPORT_HANDING_FRESH_S - 1, REPORT_DISPATCH_WAITING},
	        {true, REPORT_HANDING_FRESH_S, REPORT_DISPATCH_UNKNOWN},
	        {true, -10, REPORT_DISPATCH_UNKNOWN}, /* the clock went back: nobody knows */
	        {false, 5, REPORT_DISPATCH_UNKNOWN},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct report_fixture f;
		report_fixture_init(&f, NULL);
		struct report_destination to = mail_to("a@a.example");
		if (!cases[i].is_mail)
			to.address = slice_empty();
		int64_t topic = ended_topic(&f);
		assert_ok(report_outbox_found(f.db, topic, NOON, &to, 1, SLICE("us.example"),
		                              slice_empty()));
		struct report_dispatch d = due_dispatch(&f, NOON), again;
		assert_ok(report_dispatch_begin(f.db, &d, NOON));
		report_fixture_reopen(&f);
		assert_ok(report_outbox_resume(f.db, NOON + cases[i].later_s));
		assert_int_equal(progress_of(&f, topic).dispatches[0].state, cases[i].state);
		if (cases[i].state == REPORT_DISPATCH_WAITING) {
			again = due_dispatch(&f, NOON + cases[i].later_s);
			assert_true(slice_eq(again.report_id, d.report_id));
			assert_int_equal(again.n, d.n);
			/* The day counts from the first time. */
			assert_ok(report_dispatch_begin(f.db, &again, NOON + cases[i].later_s));
			assert_int_equal(progress_of(&f, topic).dispatches[0].begun_s, NOON);
		}
		report_fixture_done(&f);
	}
}

static void each_policy_of_a_domain_has_its_own_dmarc_report(void **state)
{
	struct report_fixture *f = *state;
	struct report_fact fact = fact_of("a.example", "x");
	struct report_destination to = mail_to("a@a.example");
	fact.policy = SLICE("other");
	add_facts(f, 9, NOON, &fact, 1);
	int64_t topic = ended_topic(f);
	assert_ok(report_outbox_found(f->db, topic, NOON, &to, 1, SLICE("us.example"),
	                              slice_empty()));
	struct report_progress p = progress_of(f, topic);
	assert_int_equal(p.n_dispatches, 2);
	assert_int_not_equal(p.dispatches[0].policy, p.dispatches[1].policy);
	assert_false(slice_eq(p.dispatches[0].report_id, p.dispatches[1].report_id));
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(equal_things_are_one_row),
	        WITH_FIXTURE(a_batch_is_counted_once_also_after_a_restart),
	        WITH_FIXTURE(a_fact_of_two_domains_is_told_to_both),
	        WITH_FIXTURE(what_is_no_fact_spoils_the_batch_and_nothing_else),
	        WITH_FIXTURE(each_day_is_apart),
	        WITH_FIXTURE(a_period_that_is_ended_early_is_followed_by_the_rest_of_the_day),
	        WITH_FIXTURE(report_mail_alone_is_no_reason),
	        WITH_FIXTURE(a_topic_is_bounded),
	        WITH_FIXTURE(what_is_over_is_forgotten),
	        WITH_FIXTURE(reports_are_due_within_hours_of_midnight),
	        WITH_FIXTURE(a_report_goes_to_each_destination_once),
	        WITH_FIXTURE(nobody_to_tell_is_the_end),
	        WITH_FIXTURE(what_cannot_be_found_out_is_tried_for_a_day),
	        WITH_FIXTURE(a_destination_that_fails_is_tried_again_and_given_up),
	        cmocka_unit_test(a_crash_while_handing_over_doubles_nothing),
	        WITH_FIXTURE(each_policy_of_a_domain_has_its_own_dmarc_report),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
