/* The rules of the queue, as tables. */
#include "queue/policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MINUTE ((int64_t)60 * 1000)
#define HOUR   (60 * MINUTE)

static const struct queue_facts remote = {0};

static struct queue_entry some_entry(void)
{
	return (struct queue_entry){.id = 7,
	                            .message = 3,
	                            .sender = SLICE("me@example.org"),
	                            .recipient = SLICE("you@example.net")};
}

static struct queue_outcome after(enum queue_result result, uint32_t code, int64_t ended_ms)
{
	return (struct queue_outcome){.entry = 7,
	                              .attempt = {.result = result,
	                                          .code = code,
	                                          .ended_ms = ended_ms,
	                                          .enhanced = slice_empty()}};
}

static void test_pauses_double(void **state)
{
	static const int64_t expected[] = {450000,   900000,   1800000,  3600000,  7200000,
	                                   14400000, 28800000, 28800000, 28800000, 28800000};
	struct queue_policy policy;
	(void)state;
	queue_policy_init(&policy);
	for (uint32_t n = 1; n <= N_ELEMENTS(expected); n++) {
		int64_t low = INT64_MAX, high = 0, plain = expected[n - 1];
		for (int64_t message = 1; message < 500; message++) {
			int64_t pause = queue_pause_ms(&policy, message, n);
			assert_int_equal(pause, queue_pause_ms(&policy, message, n));
			low = MIN(low, pause);
			high = MAX(high, pause);
		}
		assert_true(low >= plain - plain / 90 && low < plain - plain / 120);
		assert_true(high <= plain + plain / 90 && high > plain + plain / 120);
	}
}

static void test_pauses_of_odd_settings(void **state)
{
	struct queue_policy policy = {.first_retry_ms = INT64_MAX,
	                              .factor = UINT32_MAX,
	                              .max_retry_ms = INT64_MAX,
	                              .max_attempts = 1000};
	(void)state;
	for (uint32_t n = 0; n < 1000; n++)
		assert_in_range(queue_pause_ms(&policy, 1, n), 29 * 24 * HOUR, 31 * 24 * HOUR);
	policy = (struct queue_policy){.first_retry_ms = 1, .factor = 0, .max_retry_ms = HOUR};
	assert_int_equal(queue_pause_ms(&policy, 1, 50), 1);
	policy.first_retry_ms = 0;
	assert_int_equal(queue_pause_ms(&policy, 1, 50), 0);
}

/* What a report promises is what happens. */
static void test_promises_are_kept(void **state)
{
	struct queue_policy policy;
	(void)state;
	queue_policy_init(&policy);
	struct queue_entry entry = some_entry();
	int64_t now = 1000000, until = 0;
	for (uint32_t n = 1; n < policy.max_attempts; n++) {
		struct queue_outcome outcome = after(QUEUE_RESULT_DEFERRED, 451, now);
		queue_decide(&policy, &entry, &remote, &outcome);
		assert_int_equal(outcome.state, QUEUE_WAITING);
		assert_true(outcome.counts);
		if (until)
			assert_int_equal(outcome.retry_until_ms, until);
		until = outcome.retry_until_ms;
		now = outcome.next_ms;
		entry.n_attempts++;
	}
	assert_int_equal(now, until);
	struct queue_outcome last = after(QUEUE_RESULT_DEFERRED, 451, now);
	queue_decide(&policy, &entry, &remote, &last);
	assert_int_equal(last.state, QUEUE_FAILED);
	assert_int_equal(last.notice, QUEUE_NOTICE_FAILED);
}

static void test_delay_is_told_once(void **state)
{
	struct queue_policy policy;
	(void)state;
	queue_policy_init(&policy);
	struct queue_entry entry = some_entry();
	int64_t now = 0;
	unsigned n_told = 0, told_at = 0;
	for (uint32_t n = 1; n < policy.max_attempts; n++) {
		struct queue_outcome outcome = after(QUEUE_RESULT_DEFERRED, 451, now);
		queue_decide(&policy, &entry, &remote, &outcome);
		if (outcome.notice == QUEUE_NOTICE_DELAYED) {
			n_told++;
			told_at = n;
		}
		entry.delay_told = entry.delay_told || outcome.delay_told;
		now = outcome.next_ms;
		entry.n_attempts++;
	}
	assert_int_equal(n_told, 1);
	assert_int_equal(told_at, 5); /* 112.5 minutes after the first */
	/* A message that its sender held for a day is not late when it is first tried. */
	entry = some_entry();
	entry.released_ms = 24 * HOUR;
	struct queue_outcome outcome = after(QUEUE_RESULT_DEFERRED, 451, 24 * HOUR + MINUTE);
	queue_decide(&policy, &entry, &remote, &outcome);
	assert_int_equal(outcome.notice, QUEUE_NOTICE_NONE);
	policy.delay_notice_ms = 0;
	outcome = after(QUEUE_RESULT_DEFERRED, 451, 100 * HOUR);
	queue_decide(&policy, &entry, &remote, &outcome);
	assert_int_equal(outcome.notice, QUEUE_NOTICE_NONE);
}

static void test_notify(void **state)
{
	enum {
		NEVER = QUEUE_NOTIFY_NEVER,
		SUCCESS = QUEUE_NOTIFY_SUCCESS,
		FAILURE = QUEUE_NOTIFY_FAILURE,
		DELAY = QUEUE_NOTIFY_DELAY
	};
	static const struct {
		uint32_t notify;
		bool failed, delayed, relayed, delivered;
	} rows[] = {
	        {0, true, true, false, false},
	        {NEVER, false, false, false, false},
	        {NEVER | SUCCESS | FAILURE | DELAY, false, false, false, false},
	        {SUCCESS, false, false, true, true},
	        {FAILURE, true, false, false, false},
	        {DELAY, false, true, false, false},
	        {SUCCESS | FAILURE | DELAY, true, true, true, true},
	};
	struct slice me = SLICE("me@example.org");
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		uint32_t n = rows[i].notify;
		assert_int_equal(queue_wants_notice(me, n, QUEUE_NOTICE_FAILED), rows[i].failed);
		assert_int_equal(queue_wants_notice(me, n, QUEUE_NOTICE_DELAYED), rows[i].delayed);
		assert_int_equal(queue_wants_notice(me, n, QUEUE_NOTICE_RELAYED), rows[i].relayed);
		assert_int_equal(queue_wants_notice(me, n, QUEUE_NOTICE_DELIVERED),
		                 rows[i].delivered);
		assert_false(queue_wants_notice(me, n, QUEUE_NOTICE_NONE));
		/* Never a report about a report (RFC 3461 section 6.2). */
		for (int kind = QUEUE_NOTICE_NONE; kind <= QUEUE_NOTICE_EXPANDED; kind++)
			assert_false(
			        queue_wants_notice(slice_empty(), n, (enum queue_notice_kind)kind));
	}
}

static void test_success(void **state)
{
	static const struct {
		uint32_t notify;
		struct queue_facts facts;
		enum queue_notice_kind notice;
	} rows[] = {
	        {QUEUE_NOTIFY_SUCCESS, {.local = true}, QUEUE_NOTICE_DELIVERED},
	        {QUEUE_NOTIFY_SUCCESS, {.relayed = true}, QUEUE_NOTICE_RELAYED},
	        {QUEUE_NOTIFY_SUCCESS, {0}, QUEUE_NOTICE_NONE}, /* the next server reports */
	        {0, {.relayed = true}, QUEUE_NOTICE_NONE},
	        {0, {.local = true}, QUEUE_NOTICE_NONE},
	        {0, {.told_anyway = true}, QUEUE_NOTICE_RELAYED},
	        {QUEUE_NOTIFY_NEVER, {.told_anyway = true}, QUEUE_NOTICE_NONE},
	        {QUEUE_NOTIFY_SUCCESS,
	         {.told_anyway = true, .local = true},
	         QUEUE_NOTICE_DELIVERED},
	};
	struct queue_policy policy;
	(void)state;
	queue_policy_init(&policy);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct queue_entry entry = some_entry();
		struct queue_outcome outcome = after(QUEUE_RESULT_DELIVERED, 250, 5);
		entry.notify = rows[i].notify;
		queue_decide(&policy, &entry, &rows[i].facts, &outcome);
		assert_int_equal(outcome.state, QUEUE_DELIVERED);
		assert_int_equal(outcome.notice, rows[i].notice);
		assert_int_equal(outcome.suppress, QUEUE_SUPPRESS_NO);
	}
}

static void test_lost_attempts_come_back_soon(void **state)
{
	struct queue_policy policy;
	struct queue_facts facts = {.lost = true};
	(void)state;
	queue_policy_init(&policy);
	struct queue_entry entry = some_entry();
	for (entry.n_lost = 0; entry.n_lost < 3; entry.n_lost++) {
		struct queue_outcome outcome = after(QUEUE_RESULT_DEFERRED, 0, HOUR);
		queue_decide(&policy, &entry, &facts, &outcome);
		assert_true(outcome.lost && !outcome.counts);
		assert_in_range(outcome.next_ms, HOUR + 1, HOUR + 10000);
	}
	struct queue_outcome outcome = after(QUEUE_RESULT_DEFERRED, 0, HOUR);
	queue_decide(&policy, &entry, &facts, &outcome);
	assert_true(!outcome.lost && outcome.counts);
	assert_true(outcome.next_ms > HOUR + 7 * MINUTE);
}

static void test_suppression(void **state)
{
	static const struct {
		uint32_t code;
		const char *enhanced;
		enum queue_suppress expected;
	} rows[] = {
	        {550, "", QUEUE_SUPPRESS_NOW},         {551, "5.0.0", QUEUE_SUPPRESS_NOW},
	        {521, "", QUEUE_SUPPRESS_NOW},         {553, "", QUEUE_SUPPRESS_NOW},
	        {556, "5.1.10", QUEUE_SUPPRESS_NOW},   {554, "5.1.1", QUEUE_SUPPRESS_NOW},
	        {554, "5.2.1", QUEUE_SUPPRESS_NOW},    {554, "5.7.1", QUEUE_SUPPRESS_NOW},
	        {554, "5.7.10", QUEUE_SUPPRESS_THIRD}, {554, "", QUEUE_SUPPRESS_THIRD},
	        {552, "5.2.2", QUEUE_SUPPRESS_THIRD},  {451, "4.1.1", QUEUE_SUPPRESS_THIRD},
	        {451, "5.1.1", QUEUE_SUPPRESS_THIRD},  {0, "5.1.1", QUEUE_SUPPRESS_NO},
	        {250, "2.0.0", QUEUE_SUPPRESS_NO},     {600, "5.1.1", QUEUE_SUPPRESS_NO},
	};
	struct queue_policy policy;
	(void)state;
	queue_policy_init(&policy);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		assert_int_equal(queue_suppress_of(rows[i].code, slice_str(rows[i].enhanced)),
		                 rows[i].expected);
	/* What we decided ourselves says nothing about the address. */
	struct queue_entry entry = some_entry();
	struct queue_outcome outcome = after(QUEUE_RESULT_FAILED, 550, 5);
	queue_decide(&policy, &entry, &(struct queue_facts){.own_decision = true}, &outcome);
	assert_int_equal(outcome.suppress, QUEUE_SUPPRESS_NO);
	queue_decide(&policy, &entry, &(struct queue_facts){.local = true}, &outcome);
	assert_int_equal(outcome.suppress, QUEUE_SUPPRESS_NO);
	queue_decide(&policy, &entry, &remote, &outcome);
	assert_int_equal(outcome.suppress, QUEUE_SUPPRESS_NOW);
}

static void test_base_addresses(void **state)
{
	static const char *const rows[][2] = {
	        {"me@example.org", "me@example.org"},
	        {"Me.Too+shop@EXAMPLE.org", "metoo@example.org"},
	        {"me-list-x@example.org", "me@example.org"},
	        {"+x@example.org", "+x@example.org"},
	        {"-@example.org", "-@example.org"},
	        {"\"a@b\"@example.org", "\"a@b\"@example.org"},
	        {"me@b\xc3\xbc"
	         "cher.example",
	         "me@xn--bcher-kva.example"},
	        {"me@[IPv6:2001:DB8::1]", "me@[ipv6:2001:db8::1]"},
	        {"nobody", "nobody@"},
	        {"", "@"},
	        {"@", "@"},
	};
	struct arena arena;
	(void)state;
	arena_init(&arena, 65536);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct slice base = queue_base_address(slice_str(rows[i][0]), &arena);
		assert_string_equal(arena_cstr(&arena, base), rows[i][1]);
	}
	arena_done(&arena);
	arena_init(&arena, 8);
	assert_int_equal(queue_base_address(SLICE("somebody@example.org"), &arena).n, 0);
	arena_done(&arena);
}

static void test_deadlines(void **state)
{
	struct queue_policy policy;
	struct queue_outcome outcome = {0};
	bool changed = true;
	(void)state;
	queue_policy_init(&policy);
	struct queue_entry entry = some_entry();
	entry.deliver_by_ms = HOUR;
	entry.next_ms = 2 * HOUR;
	queue_decide_deadline(&policy, &entry, QUEUE_BY_RETURN, HOUR - 1, &outcome, &changed);
	assert_false(changed);
	queue_decide_deadline(&policy, &entry, QUEUE_BY_NONE, HOUR, &outcome, &changed);
	assert_false(changed);
	queue_decide_deadline(&policy, &entry, QUEUE_BY_RETURN, HOUR, &outcome, &changed);
	assert_true(changed);
	assert_int_equal(outcome.state, QUEUE_FAILED);
	assert_int_equal(outcome.notice, QUEUE_NOTICE_FAILED);
	assert_true(slice_eq_str(outcome.attempt.enhanced, "5.4.7"));
	queue_decide_deadline(&policy, &entry, QUEUE_BY_NOTIFY, HOUR, &outcome, &changed);
	assert_true(changed);
	assert_int_equal(outcome.state, QUEUE_WAITING);
	assert_int_equal(outcome.next_ms, 2 * HOUR);
	assert_int_equal(outcome.notice, QUEUE_NOTICE_DELAYED);
	assert_false(outcome.counts);
	entry.notify = QUEUE_NOTIFY_FAILURE;
	queue_decide_deadline(&policy, &entry, QUEUE_BY_NOTIFY, HOUR, &outcome, &changed);
	assert_int_equal(outcome.notice, QUEUE_NOTICE_NONE);
	assert_true(outcome.delay_told); /* one who did not ask is not looked at again */
	entry.delay_told = outcome.delay_told;
	queue_decide_deadline(&policy, &entry, QUEUE_BY_NOTIFY, HOUR, &outcome, &changed);
	assert_false(changed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_pauses_double),
	        cmocka_unit_test(test_pauses_of_odd_settings),
	        cmocka_unit_test(test_promises_are_kept),
	        cmocka_unit_test(test_delay_is_told_once),
	        cmocka_unit_test(test_notify),
	        cmocka_unit_test(test_success),
	        cmocka_unit_test(test_lost_attempts_come_back_soon),
	        cmocka_unit_test(test_suppression),
	        cmocka_unit_test(test_base_addresses),
	        cmocka_unit_test(test_deadlines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
