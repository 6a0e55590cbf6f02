/* The queue on disk: what it was given it keeps, once, until it is told what became of it. */
#include "queue/queue_testing.h"

#include "store/db.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#define HOUR ((int64_t)3600 * 1000)

static void test_added_is_kept(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	struct queue_message message;
	(void)state;
	fixture_init(&f);
	struct queue_recipient rcpts[2] = {
	        {.address = SLICE("a@b\xc3\xbc"
	                          "cher.example"),
	         .notify = 5,
	         .orcpt = SLICE("rfc822;x@y")},
	        {.address = SLICE("b@[192.0.2.1]"), .orcpt = slice_empty()},
	};
	struct queue_add add = some_add(&f, "one", rcpts, 2);
	add.message.envid = SLICE("env");
	add.message.references = SLICE("<r@x>");
	add.message.prefix = SLICE("Received: x\r\n");
	add.message.has_8bit = add.message.binary = true;
	add.message.priority = -4;
	add.hold_until_ms = test_now() + HOUR;
	add.transport = SLICE("smarthost");
	assert_ok(add_with(&f, &add, "body text"));
	assert_int_equal(rcpts[1].ret_id, rcpts[0].ret_id + 1);
	assert_int_equal(f.n_waiting, 2);
	for (int again = 0; again < 2; again++, fixture_reopen(&f)) {
		assert_ok(queue_load(f.queue, rcpts[0].ret_id, &f.arena, &entry, &message));
		assert_slice(entry.recipient, "a@b\xc3\xbc"
		                              "cher.example");
		assert_slice(entry.domain, "xn--bcher-kva.example");
		assert_slice(entry.orcpt, "rfc822;x@y");
		assert_slice(entry.transport, "smarthost");
		assert_int_equal(entry.notify, 5);
		assert_int_equal(entry.next_ms, test_now() + HOUR);
		assert_int_equal(entry.submitted_ms, test_now());
		assert_slice(message.account, "me");
		assert_slice(message.sender, "me@example.org");
		assert_slice(message.message_id, "<one@example.org>");
		assert_slice(message.references, "<r@x>");
		assert_slice(message.prefix, "Received: x\r\n");
		assert_slice(message.envid, "env");
		assert_int_equal(message.priority, -4);
		assert_true(message.has_8bit && message.binary && !message.smtputf8);
		assert_ok(queue_load(f.queue, rcpts[1].ret_id, &f.arena, &entry, &message));
		assert_slice(entry.domain, "[192.0.2.1]");
		assert_body(&f, entry.message, "body text");
	}
	fixture_done(&f);
}

/* Small bodies lie in the database, large ones in files that go with their last user. */
static void test_bodies(void **state)
{
	static const size_t sizes[] = {0, 1, 999, 1000, 1001, 70000, 300000};
	struct fixture f;
	(void)state;
	fixture_init(&f);
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		char id[16];
		struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
		CLEANUP(base_freep) char *body = test_body(i, sizes[i]);
		snprintf(id, sizeof(id), "n%zu", i);
		struct queue_add add = some_add(&f, id, &rcpt, 1);
		assert_ok(add_bytes(&f, &add, slice_of(body, sizes[i])));
		struct queue_entry entry;
		assert_ok(queue_load(f.queue, rcpt.ret_id, &f.arena, &entry, NULL));
		assert_body_bytes(&f, entry.message, slice_of(body, sizes[i]));
		assert_int_equal(n_files(&f), sizes[i] > 1000);
		assert_ok(retire(&f, rcpt.ret_id, QUEUE_DELIVERED));
		assert_int_equal(n_files(&f), 0);
		int fd = -1;
		assert_err(queue_body(f.queue, entry.message, &fd), ERR_NOT_FOUND);
	}
	struct queue_totals totals;
	queue_totals(f.queue, &totals);
	assert_int_equal(totals.n_entries, 0);
	assert_int_equal(totals.size, 0);
	assert_int_equal(totals.n_retired, N_ELEMENTS(sizes));
	fixture_done(&f);
}

static void test_damage_is_noticed(void **state)
{
	struct fixture f;
	int fd = -1;
	(void)state;
	fixture_init(&f);
	struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
	CLEANUP(base_freep) char *body = test_body(7, 5000);
	struct queue_add add = some_add(&f, "big", &rcpt, 1);
	assert_ok(add_bytes(&f, &add, slice_of(body, 5000)));
	struct queue_entry entry;
	assert_ok(queue_load(f.queue, rcpt.ret_id, &f.arena, &entry, NULL));
	char path[512];
	find_file(&f, path, sizeof(path));
	int file = openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(file, "X", 1, 4999), 1);
	assert_err(queue_body(f.queue, entry.message, &fd), ERR_CORRUPT);
	assert_int_equal(ftruncate(file, 4000), 0);
	assert_err(queue_body(f.queue, entry.message, &fd), ERR_CORRUPT);
	assert_int_equal(unlinkat(AT_FDCWD, path, 0), 0);
	assert_err(queue_body(f.queue, entry.message, &fd), ERR_CORRUPT);
	close(file);
	fixture_done(&f);
}

static void test_refused(void **state)
{
	static char long_text[QUEUE_TEXT_MAX + 2];
	struct fixture f;
	struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
	struct queue_add add;
	(void)state;
	fixture_init(&f);
	memset(long_text, 'x', sizeof(long_text) - 1);
#define REFUSED(change, expected)                                                                  \
	do {                                                                                       \
		rcpt = (struct queue_recipient){.address = SLICE("a@b.example")};                  \
		add = some_add(&f, "bad", &rcpt, 1);                                               \
		change;                                                                            \
		assert_err(add_with(&f, &add, "text"), expected);                                  \
	} while (0)
	REFUSED(add.submission_id = slice_empty(), ERR_SYNTAX);
	REFUSED(add.submission_id = slice_of(long_text, QUEUE_ID_MAX + 1), ERR_SYNTAX);
	REFUSED(add.n_recipients = 0, ERR_LIMIT);
	REFUSED(add.n_recipients = QUEUE_RECIPIENTS_MAX + 1, ERR_LIMIT);
	REFUSED(add.message.account = slice_empty(), ERR_SYNTAX);
	REFUSED(add.message.subject = slice_str(long_text), ERR_LIMIT);
	REFUSED(add.message.sender = SLICE("a@b\r\nRCPT TO:<c@d>"), ERR_SYNTAX);
	REFUSED(add.message.priority = 10, ERR_SYNTAX);
	REFUSED(add.message.size = UINT64_MAX, ERR_SYNTAX);
	REFUSED(add.hold_until_ms = -1, ERR_SYNTAX);
	REFUSED(rcpt.address = SLICE("nobody"), ERR_SYNTAX);
	REFUSED(rcpt.address = SLICE("a@b\nc"), ERR_SYNTAX);
	REFUSED(rcpt.orcpt = SLICE("a\rb"), ERR_SYNTAX);
	REFUSED(add.transport = slice_str(long_text), ERR_LIMIT);
	/* A body that is shorter than said. */
	rcpt = (struct queue_recipient){.address = SLICE("a@b.example")};
	add = some_add(&f, "short", &rcpt, 1);
	add.message.size = 100;
	add.body_fd = text_fd("text");
	queue_add(f.queue, &(struct queue_add *){&add}, 1);
	assert_err(add.status, ERR_TRUNCATED);
	add.message.size = 5000;
	queue_add(f.queue, &(struct queue_add *){&add}, 1);
	assert_err(add.status, ERR_TRUNCATED);
	close(add.body_fd);
	assert_int_equal(n_files(&f), 0);
	assert_int_equal(f.n_waiting, 0);
	fixture_done(&f);
}

static void test_full(void **state)
{
	struct fixture f;
	struct queue_recipient rcpts[3] = {{.address = SLICE("a@b.example")},
	                                   {.address = SLICE("b@b.example")},
	                                   {.address = SLICE("c@b.example")}};
	(void)state;
	fixture_init(&f);
	queue_set_limits(f.queue, 4, 1000, HOUR);
	struct queue_add add = some_add(&f, "1", rcpts, 3);
	assert_ok(add_with(&f, &add, "text"));
	add = some_add(&f, "2", rcpts, 3);
	assert_err(add_with(&f, &add, "text"), ERR_NO_SPACE);
	int64_t first = rcpts[0].ret_id;
	add = some_add(&f, "3", rcpts, 1);
	assert_ok(add_with(&f, &add, "text"));
	assert_ok(retire(&f, first, QUEUE_DELIVERED));
	CLEANUP(base_freep) char *body = test_body(1, 993);
	add = some_add(&f, "4", rcpts, 1);
	assert_err(add_bytes(&f, &add, slice_of(body, 993)), ERR_NO_SPACE);
	add = some_add(&f, "4", rcpts, 1);
	assert_ok(add_bytes(&f, &add, slice_of(body, 992)));
	/* The same one again is no more: it answers as before. */
	add = some_add(&f, "4", rcpts, 1);
	assert_err(add_with(&f, &add, ""), ERR_NO_SPACE);
	fixture_done(&f);
}

static void test_same_submission_once(void **state)
{
	struct fixture f;
	struct queue_recipient rcpts[2] = {{.address = SLICE("a@b.example")},
	                                   {.address = SLICE("b@b.example")}};
	(void)state;
	fixture_init(&f);
	struct queue_add add = some_add(&f, "same", rcpts, 2);
	assert_ok(add_with(&f, &add, "text"));
	int64_t first = rcpts[0].ret_id;
	assert_false(add.repeated);
	/* Both of one call, then after a restart, then when the entries have left. */
	struct queue_add twin = some_add(&f, "same", rcpts, 2), *both[2] = {&add, &twin};
	add = some_add(&f, "same", rcpts, 2);
	add.body_fd = twin.body_fd = text_fd("text");
	queue_add(f.queue, both, 2);
	close(add.body_fd);
	assert_true(is_ok(add.status) && add.repeated && is_ok(twin.status) && twin.repeated);
	fixture_reopen(&f);
	assert_ok(retire(&f, first, QUEUE_DELIVERED));
	assert_ok(retire(&f, first + 1, QUEUE_DELIVERED));
	add = some_add(&f, "same", rcpts, 2);
	assert_ok(add_with(&f, &add, "text"));
	assert_true(add.repeated);
	assert_int_equal(rcpts[0].ret_id, first);
	assert_int_equal(rcpts[1].ret_id, first + 1);
	assert_int_equal(f.n_waiting, 0);
	/* Another submission that claims the id. */
	add = some_add(&f, "same", rcpts, 1);
	assert_err(add_with(&f, &add, "text"), ERR_INVALID);
	/* Forgotten after a day. */
	test_later(QUEUE_SUBMISSION_KEEP + 1);
	bool more;
	assert_ok(queue_clean(f.queue, &more));
	add = some_add(&f, "same", rcpts, 2);
	assert_ok(add_with(&f, &add, "text"));
	assert_false(add.repeated);
	assert_true(rcpts[0].ret_id > first + 1);
	fixture_done(&f);
}

/* ---- outcomes ---- */

static void test_deferred_and_retired(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	struct queue_attempt *history;
	size_t n;
	(void)state;
	fixture_init(&f);
	int64_t id = add_one(&f, "one", "a@b.example");
	for (int64_t i = 1; i <= 50; i++) {
		struct queue_outcome outcome = {
		        .entry = id,
		        .state = QUEUE_WAITING,
		        .counts = true,
		        .next_ms = test_now() + i,
		        .attempt =
		                some_attempt(test_now(), 451, "451 4.3.0 later\n451 4.3.0 please",
		                             QUEUE_RESULT_DEFERRED)};
		assert_ok(queue_record(f.queue, &outcome, 1));
		assert_true(outcome.found);
		assert_int_equal(f.last.next_ms, test_now() + i);
	}
	fixture_reopen(&f);
	assert_ok(queue_show(f.queue, false, id, &f.arena, &entry, &history, &n));
	assert_int_equal(entry.n_attempts, 50);
	assert_int_equal(entry.last_ms, test_now());
	assert_slice(entry.last_result, "451 4.3.0 later");
	assert_int_equal(n, QUEUE_HISTORY_MAX);
	assert_int_equal(history[0].code, 451);
	assert_slice(history[0].lines, "451 4.3.0 later\n451 4.3.0 please");
	assert_ok(retire(&f, id, QUEUE_DELIVERED));
	assert_err(queue_load(f.queue, id, &f.arena, &entry, NULL), ERR_NOT_FOUND);
	assert_err(queue_show(f.queue, false, id, &f.arena, &entry, &history, &n), ERR_NOT_FOUND);
	assert_ok(queue_show(f.queue, true, id, &f.arena, &entry, &history, &n));
	assert_int_equal(entry.state, QUEUE_DELIVERED);
	assert_int_equal(entry.n_attempts, 51);
	assert_int_equal(n, QUEUE_HISTORY_MAX);
	/* What has left is passed over. */
	struct queue_outcome late = {.entry = id, .state = QUEUE_FAILED};
	late.attempt = some_attempt(1, 0, "", QUEUE_RESULT_FAILED);
	assert_ok(queue_record(f.queue, &late, 1));
	assert_false(late.found);
	/* Retired ones go by time. */
	bool more;
	test_later(8 * 24 * HOUR);
	assert_ok(queue_clean(f.queue, &more));
	assert_false(more);
	assert_err(queue_show(f.queue, true, id, &f.arena, &entry, &history, &n), ERR_NOT_FOUND);
	fixture_done(&f);
}

static void test_attempts_say_what_protected_them(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	struct queue_attempt *history;
	size_t n;
	static char results[QUEUE_RESULTS_MAX + 10];
	(void)state;
	fixture_init(&f);
	int64_t id = add_one(&f, "one", "a@b.example");
	struct queue_outcome outcome = {.entry = id, .state = QUEUE_WAITING, .counts = true};
	outcome.attempt = some_attempt(test_now(), 0, "", QUEUE_RESULT_DEFERRED);
	assert_ok(queue_record(f.queue, &outcome, 1)); /* with none of it */
	memset(results, 'x', sizeof(results));
	outcome.attempt.protection = SLICE("dane");
	outcome.attempt.demands = SLICE("TLSA records demand it");
	outcome.attempt.tls_results = slice_of((const uint8_t *)results, sizeof(results));
	assert_ok(queue_record(f.queue, &outcome, 1));
	assert_ok(queue_show(f.queue, false, id, &f.arena, &entry, &history, &n));
	assert_int_equal(n, 2);
	assert_slice(history[0].protection, "");
	assert_slice(history[0].tls_results, "");
	assert_slice(history[1].protection, "dane");
	assert_slice(history[1].demands, "TLSA records demand it");
	assert_int_equal(history[1].tls_results.n, QUEUE_RESULTS_MAX);
	fixture_done(&f);
}

/* A queue of release 2, which had no such columns, goes on. */
static void test_attempts_of_an_older_release(void **state)
{
	static const char *const older[] = {
	        "ALTER TABLE attempt DROP COLUMN protection",
	        "ALTER TABLE attempt DROP COLUMN demands",
	        "ALTER TABLE attempt DROP COLUMN tls_results",
	        "PRAGMA user_version = 2",
	};
	struct fixture f;
	struct queue_entry entry;
	struct queue_attempt *history;
	struct db *db;
	size_t n;
	(void)state;
	fixture_init(&f);
	int64_t id = add_one(&f, "one", "a@b.example");
	struct queue_outcome outcome = {.entry = id, .state = QUEUE_WAITING, .counts = true};
	outcome.attempt = some_attempt(test_now(), 451, "451 later", QUEUE_RESULT_DEFERRED);
	assert_ok(queue_record(f.queue, &outcome, 1));
	queue_close(f.queue);
	assert_ok(db_open(f.db_path, NULL, DB_WRITER, &db));
	for (size_t i = 0; i < N_ELEMENTS(older); i++)
		assert_ok(db_exec(db, older[i]));
	db_close(db);
	assert_ok(queue_open(&f.options, &f.queue));
	assert_ok(queue_show(f.queue, false, id, &f.arena, &entry, &history, &n));
	assert_int_equal(n, 1);
	assert_slice(history[0].lines, "451 later");
	assert_slice(history[0].protection, "");
	fixture_done(&f);
}

static void test_lost_attempts_do_not_count(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	(void)state;
	fixture_init(&f);
	int64_t id = add_one(&f, "one", "a@b.example");
	struct queue_outcome outcome = {
	        .entry = id, .state = QUEUE_WAITING, .lost = true, .next_ms = test_now() + 5};
	outcome.attempt = some_attempt(test_now(), 0, "", QUEUE_RESULT_DEFERRED);
	assert_ok(queue_record(f.queue, &outcome, 1));
	assert_ok(queue_record(f.queue, &outcome, 1));
	assert_ok(queue_load(f.queue, id, &f.arena, &entry, NULL));
	assert_int_equal(entry.n_lost, 2);
	assert_int_equal(entry.n_attempts, 0);
	outcome.lost = false;
	outcome.counts = true;
	assert_ok(queue_record(f.queue, &outcome, 1));
	assert_ok(queue_load(f.queue, id, &f.arena, &entry, NULL));
	assert_int_equal(entry.n_lost, 0);
	assert_int_equal(entry.n_attempts, 1);
	fixture_done(&f);
}

/* A notice holds the message until it is delivered, whatever happens in between. */
static void test_notices(void **state)
{
	struct fixture f;
	struct queue_recipient rcpts[3] = {{.address = SLICE("a@b.example")},
	                                   {.address = SLICE("b@b.example")},
	                                   {.address = SLICE("c@b.example")}};
	struct queue_notice notice;
	int64_t next;
	(void)state;
	fixture_init(&f);
	struct queue_add add = some_add(&f, "one", rcpts, 3);
	assert_ok(add_with(&f, &add, "text"));
	assert_err(queue_notice_next(f.queue, test_now(), &f.arena, &notice, &next), ERR_NOT_FOUND);
	assert_int_equal(next, INT64_MAX);
	struct queue_outcome outcomes[3];
	for (size_t i = 0; i < 3; i++) {
		outcomes[i] = (struct queue_outcome){.entry = rcpts[i].ret_id,
		                                     .state = QUEUE_FAILED,
		                                     .counts = true,
		                                     .notice = i == 1 ? QUEUE_NOTICE_RELAYED
		                                                      : QUEUE_NOTICE_FAILED};
		outcomes[i].attempt =
		        some_attempt(test_now(), 550, "550 5.1.1 no", QUEUE_RESULT_FAILED);
	}
	assert_ok(queue_record(f.queue, outcomes, 3));
	fixture_reopen(&f);
	assert_ok(queue_notice_next(f.queue, test_now(), &f.arena, &notice, &next));
	assert_int_equal(notice.kind, QUEUE_NOTICE_FAILED);
	assert_int_equal(notice.n_told, 2);
	assert_slice(notice.told[0].recipient, "a@b.example");
	assert_slice(notice.told[1].recipient, "c@b.example");
	assert_slice(notice.told[1].attempt.lines, "550 5.1.1 no");
	assert_slice(notice.message.account, "me");
	assert_body(&f, notice.message.id, "text");
	/* Not now: the other one is next. */
	int64_t first = notice.id;
	assert_ok(queue_notice_later(f.queue, first, test_now() + 1000));
	assert_ok(queue_notice_next(f.queue, test_now(), &f.arena, &notice, &next));
	assert_int_equal(notice.kind, QUEUE_NOTICE_RELAYED);
	assert_ok(queue_notice_done(f.queue, notice.id));
	assert_ok(queue_notice_done(f.queue, notice.id));
	assert_err(queue_notice_next(f.queue, test_now(), &f.arena, &notice, &next), ERR_NOT_FOUND);
	assert_int_equal(next, test_now() + 1000);
	assert_ok(queue_notice_next(f.queue, test_now() + 1000, &f.arena, &notice, &next));
	assert_int_equal(notice.id, first);
	assert_int_equal(notice.n_tries, 1);
	assert_ok(queue_notice_done(f.queue, notice.id));
	int fd = -1;
	assert_err(queue_body(f.queue, notice.message.id, &fd), ERR_NOT_FOUND);
	fixture_done(&f);
}

static void test_members_that_got_nothing(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	(void)state;
	fixture_init(&f);
	int64_t id = add_one(&f, "one", "list@b.example");
	struct queue_recipient more[2] = {
	        {.address = SLICE("x@b.example"), .orcpt = slice_empty()},
	        {.address = SLICE("y@b.example"), .orcpt = slice_empty()}};
	struct queue_outcome outcome = {.entry = id,
	                                .state = QUEUE_DELIVERED,
	                                .counts = true,
	                                .next_ms = test_now() + 7,
	                                .more = more,
	                                .n_more = 2};
	outcome.attempt = some_attempt(test_now(), 0, "", QUEUE_RESULT_DELIVERED);
	assert_ok(queue_record(f.queue, &outcome, 1));
	assert_int_equal(f.n_waiting, 2);
	assert_ok(queue_load(f.queue, f.last.id, &f.arena, &entry, NULL));
	assert_slice(entry.recipient, "y@b.example");
	assert_int_equal(entry.next_ms, test_now() + 7);
	assert_body(&f, entry.message, "text");
	fixture_done(&f);
}

/* ---- suppression ---- */

static void test_suppression(void **state)
{
	struct fixture f;
	struct queue_suppression found, *list;
	size_t n;
	(void)state;
	fixture_init(&f);
	struct queue_outcome outcome = {
	        .state = QUEUE_FAILED, .counts = true, .suppress = QUEUE_SUPPRESS_NOW};
	outcome.entry = add_one(&f, "1", "Jo.Doe+x@b.example");
	outcome.attempt = some_attempt(test_now(), 550, "550 5.1.1 no such user\n550 bye",
	                               QUEUE_RESULT_FAILED);
	assert_ok(queue_record(f.queue, &outcome, 1));
	assert_ok(queue_suppress_find(f.queue, SLICE("me"), SLICE("jodoe-y@B.example"), &f.arena,
	                              &found));
	assert_slice(found.address, "jodoe@b.example");
	assert_slice(found.reason, "550 5.1.1 no such user");
	assert_false(found.manual);
	/* Of this account alone, of this domain alone. */
	assert_err(queue_suppress_find(f.queue, SLICE("you"), SLICE("jodoe@b.example"), &f.arena,
	                               &found),
	           ERR_NOT_FOUND);
	assert_err(queue_suppress_find(f.queue, SLICE("me"), SLICE("jodoe@c.example"), &f.arena,
	                               &found),
	           ERR_NOT_FOUND);
	/* The third failure in a row. */
	for (unsigned i = 0; i < 5; i++) {
		char id[16];
		snprintf(id, sizeof(id), "third%u", i);
		outcome.entry = add_one(&f, id, "third@b.example");
		outcome.state = i == 1 ? QUEUE_DELIVERED : QUEUE_FAILED;
		outcome.suppress = i == 1 ? QUEUE_SUPPRESS_NO : QUEUE_SUPPRESS_THIRD;
		outcome.attempt = some_attempt(test_now() + i, 451, "451 no", QUEUE_RESULT_FAILED);
		assert_err(queue_suppress_find(f.queue, SLICE("me"), SLICE("third@b.example"),
		                               &f.arena, &found),
		           ERR_NOT_FOUND);
		assert_ok(queue_record(f.queue, &outcome, 1));
	}
	assert_ok(queue_suppress_find(f.queue, SLICE("me"), SLICE("third@b.example"), &f.arena,
	                              &found));
	/* By hand. */
	struct queue_suppression manual = {.account = SLICE("anna"),
	                                   .address = SLICE("X.Y@b.example"),
	                                   .reason = SLICE("asked for"),
	                                   .manual = true};
	assert_ok(queue_suppress_add(f.queue, &manual));
	assert_err(queue_suppress_add(f.queue, &manual), ERR_EXISTS);
	manual.account = slice_empty();
	assert_err(queue_suppress_add(f.queue, &manual), ERR_SYNTAX);
	assert_ok(queue_suppress_list(f.queue, slice_empty(), NULL, 2, &f.arena, &list, &n));
	assert_int_equal(n, 2);
	assert_slice(list[0].account, "anna");
	assert_ok(queue_suppress_list(f.queue, slice_empty(), &list[1], 2, &f.arena, &list, &n));
	assert_int_equal(n, 1);
	assert_slice(list[0].address, "third@b.example");
	assert_ok(queue_suppress_list(f.queue, SLICE("me"), NULL, 9, &f.arena, &list, &n));
	assert_int_equal(n, 2);
	assert_ok(queue_suppress_remove(f.queue, SLICE("me"), SLICE("th.ird+1@b.example")));
	assert_err(queue_suppress_remove(f.queue, SLICE("me"), SLICE("third@b.example")),
	           ERR_NOT_FOUND);
	fixture_done(&f);
}

/* ---- hold rules ---- */

static void test_hold_rules_are_anded(void **state)
{
	static const struct {
		const char *rule[3], *account, *sender, *domain;
		bool matches;
	} rows[] = {
	        {{"", "", ""}, "me", "me@a.example", "b.example", true},
	        {{"", "", ""}, "me", "", "", true},
	        {{"me", "", ""}, "me", "x@a.example", "b.example", true},
	        {{"me", "", ""}, "Me", "x@a.example", "b.example", false},
	        {{"", "a.example", ""}, "me", "x@A.example", "b.example", true},
	        {{"", "a.example", ""}, "me", "x@sub.a.example", "b.example", false},
	        {{"", "a.example", ""}, "me", "", "b.example", false},
	        {{"", "", "b.example"}, "me", "x@a.example", "B.EXAMPLE", true},
	        {{"", "", "b.example"}, "me", "x@a.example", "c.example", false},
	        {{"me", "a.example", "b.example"}, "me", "x@a.example", "b.example", true},
	        {{"me", "a.example", "b.example"}, "you", "x@a.example", "b.example", false},
	        {{"me", "a.example", "b.example"}, "me", "x@c.example", "b.example", false},
	        {{"me", "a.example", "b.example"}, "me", "x@a.example", "c.example", false},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct queue_hold_rule rule = {.account = slice_str(rows[i].rule[0]),
		                               .sender_domain = slice_str(rows[i].rule[1]),
		                               .recipient_domain = slice_str(rows[i].rule[2])};
		assert_int_equal(queue_hold_rule_matches(&rule, slice_str(rows[i].account),
		                                         slice_str(rows[i].sender),
		                                         slice_str(rows[i].domain)),
		                 rows[i].matches);
	}
}

static void test_hold_rules(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	struct queue_hold_rule *rules;
	uint64_t n_held;
	size_t n;
	(void)state;
	fixture_init(&f);
	int64_t before = add_one(&f, "1", "a@held.example");
	(void)add_one(&f, "2", "a@free.example");
	struct queue_hold_rule rule = {.account = SLICE("me"),
	                               .sender_domain = SLICE("example.org"),
	                               .recipient_domain = SLICE("held.example")};
	assert_ok(queue_hold_rule_add(f.queue, &rule, &n_held));
	assert_int_equal(n_held, 1);
	assert_true(f.last.hold);
	assert_int_equal(f.last.id, before);
	for (int again = 0; again < 2; again++, fixture_reopen(&f)) {
		char id[2] = {(char)('a' + again), 0}, other[2] = {(char)('k' + again), 0};
		(void)add_one(&f, id, "b@HELD.example");
		assert_true(f.last.hold);
		(void)add_one(&f, other, "b@free.example");
		assert_false(f.last.hold);
	}
	assert_ok(queue_hold_rule_list(f.queue, &f.arena, &rules, &n));
	assert_int_equal(n, 1);
	assert_slice(rules[0].recipient_domain, "held.example");
	assert_ok(queue_hold_rule_remove(f.queue, rules[0].id));
	assert_err(queue_hold_rule_remove(f.queue, rules[0].id), ERR_NOT_FOUND);
	assert_ok(queue_load(f.queue, before, &f.arena, &entry, NULL));
	assert_int_equal(entry.state, QUEUE_HELD); /* nothing goes by itself */
	(void)add_one(&f, "z", "b@held.example");
	assert_false(f.last.hold);
	fixture_done(&f);
}

/* ---- filters and changes ---- */

static void test_filters_are_anded(void **state)
{
	static const int64_t ids[] = {5, 7}, others[] = {8};
	static const struct queue_entry entry = {
	        .id = 7,
	        .account = SLICE("me"),
	        .sender = SLICE("bounce@example.org"),
	        .from = SLICE("Me@Example.org"),
	        .recipient = SLICE("you@example.net"),
	        .transport = SLICE("smarthost"),
	        .submitted_ms = 1000,
	        .next_ms = 2000,
	};
	static const struct {
		struct queue_filter filter;
		bool matches;
	} rows[] = {
	        {{.hold = -1}, true},
	        {{.hold = 0}, true},
	        {{.hold = 1}, false},
	        {{.hold = -1, .ids = ids, .n_ids = 2}, true},
	        {{.hold = -1, .ids = others, .n_ids = 1}, false},
	        {{.hold = -1, .account = SLICE("me")}, true},
	        {{.hold = -1, .account = SLICE("m")}, false},
	        {{.hold = -1, .from = SLICE("me@ex")}, true},
	        {{.hold = -1, .from = SLICE("BOUNCE@")}, true},
	        {{.hold = -1, .from = SLICE("you")}, false},
	        {{.hold = -1, .to = SLICE("@example.net")}, true},
	        {{.hold = -1, .to = SLICE("@example.org")}, false},
	        {{.hold = -1, .from = SLICE("me@"), .to = SLICE("nobody")}, false},
	        {{.hold = -1, .from = SLICE("nobody"), .to = SLICE("you@")}, false},
	        {{.hold = -1, .from = SLICE("me@"), .to = SLICE("you@")}, true},
	        {{.hold = -1, .transport = SLICE("smarthost")}, true},
	        {{.hold = -1, .transport = SLICE("smart")}, false},
	        {{.hold = -1, .submitted_after_ms = 999}, true},
	        {{.hold = -1, .submitted_after_ms = 1000}, false},
	        {{.hold = -1, .submitted_before_ms = 1001}, true},
	        {{.hold = -1, .submitted_before_ms = 1000}, false},
	        {{.hold = -1, .next_after_ms = 1999, .next_before_ms = 2001}, true},
	        {{.hold = -1, .next_after_ms = 2000}, false},
	        {{.hold = -1, .account = SLICE("me"), .next_before_ms = 2000}, false},
	        {{.hold = -1, .to = SLICE("you@example.net and much longer than that")}, false},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		assert_int_equal(queue_filter_matches(&rows[i].filter, &entry), rows[i].matches);
}

struct collected {
	int64_t ids[100];
	size_t n, max;
	int64_t key;
};

static bool collect(void *context, const struct queue_entry *entry)
{
	struct collected *c = context;
	if (c->n >= c->max)
		return false;
	c->ids[c->n++] = entry->id;
	c->key = entry->next_ms;
	return true;
}

static void test_lists_in_pages(void **state)
{
	struct fixture f;
	struct queue_filter filter = {.hold = -1};
	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 23; i++) {
		char id[16];
		struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
		snprintf(id, sizeof(id), "n%d", i);
		struct queue_add add = some_add(&f, id, &rcpt, 1);
		add.hold_until_ms = test_now() + 1 + i * 7 % 5;
		assert_ok(add_with(&f, &add, "text"));
	}
	for (unsigned order = 0; order < 4; order++) {
		struct collected c = {.max = 100};
		struct queue_page page = {
		        .by_submitted = order & 1, .descending = order & 2, .limit = 4};
		bool more = true;
		unsigned n_pages = 0;
		while (more) {
			assert_ok(queue_list(f.queue, false, &filter, &page, collect, &c, &more));
			page.after = true;
			page.after_id = c.ids[c.n - 1];
			page.after_key = c.key;
			n_pages++;
		}
		assert_int_equal(n_pages, 6);
		assert_int_equal(c.n, 23);
		for (size_t i = 1; i < c.n && (order & 1); i++)
			assert_true((c.ids[i] > c.ids[i - 1]) == !(order & 2));
	}
	/* The taker may have had enough; named ones come in the order of their ids, once. */
	struct collected c = {.max = 3};
	bool more = false;
	assert_ok(queue_list(f.queue, false, &filter, &(struct queue_page){0}, collect, &c, &more));
	assert_true(more);
	int64_t ids[] = {c.ids[2], c.ids[0], 999999, c.ids[2], c.ids[1]};
	filter.ids = ids;
	filter.n_ids = 5;
	c = (struct collected){.max = 100};
	assert_ok(queue_list(f.queue, false, &filter, &(struct queue_page){0}, collect, &c, &more));
	assert_int_equal(c.n, 3);
	assert_false(more);
	fixture_done(&f);
}

struct claims {
	int64_t running;
	int64_t claimed, released; /* the last */
	unsigned n_claimed, n_released;
};

static bool claim(void *context, int64_t entry)
{
	struct claims *claims = context;
	if (entry == claims->running)
		return false;
	claims->claimed = entry;
	claims->n_claimed++;
	return true;
}

static void release(void *context, int64_t entry)
{
	struct claims *claims = context;
	claims->released = entry;
	claims->n_released++;
}

static void test_changes(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	struct queue_notice notice;
	int64_t ids[4], next;
	(void)state;
	fixture_init(&f);
	for (int i = 0; i < 4; i++) {
		char id[16], address[32];
		snprintf(id, sizeof(id), "n%d", i);
		snprintf(address, sizeof(address), "r%d@b.example", i);
		ids[i] = add_one(&f, id, address);
	}
	struct queue_apply apply = {.filter = {.hold = -1, .to = SLICE("r2@")},
	                            .change = QUEUE_CHANGE_HOLD};
	assert_ok(queue_apply(f.queue, &apply));
	assert_int_equal(apply.n_changed, 1);
	assert_int_equal(f.last.id, ids[2]);
	assert_true(f.last.hold);
	apply = (struct queue_apply){.filter = {.hold = 1}, .change = QUEUE_CHANGE_UNHOLD};
	assert_ok(queue_apply(f.queue, &apply));
	assert_int_equal(apply.n_changed, 1);
	apply = (struct queue_apply){.filter = {.hold = -1},
	                             .change = QUEUE_CHANGE_SCHEDULE,
	                             .relative = true,
	                             .value_ms = HOUR};
	assert_ok(queue_apply(f.queue, &apply));
	assert_int_equal(apply.n_changed, 4);
	assert_int_equal(f.last.next_ms, test_now() + HOUR);
	apply.relative = false;
	apply.value_ms = 5;
	assert_ok(queue_apply(f.queue, &apply));
	assert_int_equal(f.last.next_ms, 5);
	apply.change = QUEUE_CHANGE_TRANSPORT;
	apply.transport = SLICE("other");
	assert_ok(queue_apply(f.queue, &apply));
	assert_string_equal(f.last_transport, "other");
	apply.change = QUEUE_CHANGE_REQUIRE_TLS;
	apply.require_tls = QUEUE_TLS_NO;
	assert_ok(queue_apply(f.queue, &apply));
	assert_ok(queue_load(f.queue, ids[3], &f.arena, &entry, NULL));
	assert_int_equal(entry.require_tls, QUEUE_TLS_NO);
	/* What is under way is left alone; dropped tells nobody, failed tells the sender. */
	int64_t kept[] = {ids[0], ids[1]};
	struct claims claims = {.running = ids[1]};
	apply = (struct queue_apply){.filter = {.hold = -1, .ids = kept, .n_ids = 2},
	                             .change = QUEUE_CHANGE_DROP,
	                             .why = SLICE("removed by hand"),
	                             .claim = claim,
	                             .release = release,
	                             .context = &claims};
	assert_ok(queue_apply(f.queue, &apply));
	assert_int_equal(apply.n_changed, 1);
	assert_int_equal(apply.n_skipped, 1);
	assert_int_equal(claims.claimed, ids[0]);
	assert_int_equal(claims.released, ids[0]);
	assert_int_equal(claims.n_claimed, claims.n_released);
	assert_err(queue_notice_next(f.queue, test_now(), &f.arena, &notice, &next), ERR_NOT_FOUND);
	apply.filter = (struct queue_filter){.hold = -1};
	apply.change = QUEUE_CHANGE_FAIL;
	apply.claim = NULL;
	apply.release = NULL;
	assert_ok(queue_apply(f.queue, &apply));
	assert_int_equal(apply.n_changed, 3);
	assert_int_equal(f.n_waiting, 0);
	for (int i = 0; i < 3; i++) {
		assert_ok(queue_notice_next(f.queue, test_now(), &f.arena, &notice, &next));
		assert_slice(notice.told[0].attempt.why, "removed by hand");
		assert_ok(queue_notice_done(f.queue, notice.id));
	}
	fixture_done(&f);
}

/* ---- reports ---- */

static void test_reports(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	struct queue_attempt *history;
	uint64_t n_matched;
	size_t n;
	(void)state;
	fixture_init(&f);
	int64_t waiting = add_one(&f, "one", "a@b.example");
	int64_t gone = add_one(&f, "two", "a@b.example");
	assert_ok(retire(&f, gone, QUEUE_DELIVERED));
	struct queue_report report = {.account = SLICE("me"),
	                              .message_id = SLICE("<two@example.org>"),
	                              .envid = slice_empty(),
	                              .recipient = SLICE("A@b.example"),
	                              .action = SLICE("failed"),
	                              .status = SLICE("5.1.1"),
	                              .diagnostic = SLICE("smtp; 550 no")};
	assert_ok(queue_report(f.queue, &report, &n_matched));
	assert_int_equal(n_matched, 1);
	assert_ok(queue_show(f.queue, true, gone, &f.arena, &entry, &history, &n));
	assert_int_equal(n, 2);
	assert_slice(history[1].why, "a report came in: failed 5.1.1: smtp; 550 no");
	struct queue_suppression found;
	/* Anybody may have written it. */
	assert_err(
	        queue_suppress_find(f.queue, SLICE("me"), SLICE("a@b.example"), &f.arena, &found),
	        ERR_NOT_FOUND);
	report.message_id = SLICE("<one@example.org>");
	report.action = SLICE("relayed");
	assert_ok(queue_report(f.queue, &report, &n_matched));
	assert_ok(queue_show(f.queue, false, waiting, &f.arena, &entry, &history, &n));
	assert_int_equal(n, 1);
	report.recipient = SLICE("other@b.example");
	assert_err(queue_report(f.queue, &report, &n_matched), ERR_NOT_FOUND);
	report.recipient = SLICE("a@b.example");
	report.account = SLICE("you");
	assert_err(queue_report(f.queue, &report, &n_matched), ERR_NOT_FOUND);
	report.message_id = slice_empty();
	assert_err(queue_report(f.queue, &report, &n_matched), ERR_NOT_FOUND);
	fixture_done(&f);
}

static void test_reports_by_envelope_id(void **state)
{
	struct fixture f;
	struct queue_entry entry;
	struct queue_attempt *history;
	struct queue_recipient rcpts[2] = {
	        {.address = SLICE("x@b.example"), .orcpt = SLICE("rfc822;first@a.example")},
	        {.address = SLICE("y@b.example"), .orcpt = slice_empty()}};
	uint64_t n_matched;
	size_t n;
	(void)state;
	fixture_init(&f);
	struct queue_add add = some_add(&f, "one", rcpts, 2);
	add.message.envid = SLICE("QQ314159");
	assert_ok(add_with(&f, &add, "text"));
	assert_ok(retire(&f, rcpts[1].ret_id, QUEUE_DELIVERED));
	struct queue_report report = {.account = SLICE("me"),
	                              .message_id = slice_empty(),
	                              .envid = SLICE("QQ314159"),
	                              .recipient = SLICE("FIRST@a.example"),
	                              .action = SLICE("delayed"),
	                              .status = slice_empty(),
	                              .diagnostic = slice_empty()};
	assert_ok(queue_report(f.queue, &report, &n_matched)); /* by ORCPT */
	assert_int_equal(n_matched, 1);
	assert_ok(queue_show(f.queue, false, rcpts[0].ret_id, &f.arena, &entry, &history, &n));
	assert_int_equal(n, 1);
	assert_slice(history[0].why, "a report came in: delayed");
	report.recipient = slice_empty(); /* of all */
	assert_ok(queue_report(f.queue, &report, &n_matched));
	assert_int_equal(n_matched, 2);
	assert_ok(queue_show(f.queue, true, rcpts[1].ret_id, &f.arena, &entry, &history, &n));
	assert_int_equal(n, 2);
	report.envid = SLICE("QQ314158");
	assert_err(queue_report(f.queue, &report, &n_matched), ERR_NOT_FOUND);
	fixture_done(&f);
}

/* ---- threads ---- */

#define THREADS    8
#define PER_THREAD 40

struct worker {
	struct fixture *f;
	int number;
};

static void *work(void *context)
{
	const struct worker *w = context;
	for (int i = 0; i < PER_THREAD; i++) {
		char id[32];
		struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
		snprintf(id, sizeof(id), "%d-%d", w->number, i);
		struct queue_add add = some_add(w->f, id, &rcpt, 1);
		if (!is_ok(add_with(w->f, &add, "text")))
			return (void *)1;
		if (i % 2 && !is_ok(retire(w->f, rcpt.ret_id, QUEUE_DELIVERED)))
			return (void *)1;
	}
	return NULL;
}

static void test_threads_share_commits(void **state)
{
	struct fixture f;
	pthread_t threads[THREADS];
	struct worker workers[THREADS];
	(void)state;
	fixture_init(&f);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){&f, i};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	struct queue_totals totals;
	queue_totals(f.queue, &totals);
	assert_int_equal(totals.n_entries, THREADS * PER_THREAD / 2);
	assert_int_equal(totals.n_retired, THREADS * PER_THREAD / 2);
	assert_int_equal(f.n_waiting, THREADS * PER_THREAD / 2);
	fixture_done(&f);
}

/* Ids are never used twice, also when nothing is left of their entries. */
static void test_ids_are_not_used_again(void **state)
{
	struct fixture f;
	int64_t last = 0;
	(void)state;
	fixture_init(&f);
	queue_set_limits(f.queue, 100, 100000, 0);
	for (int i = 0; i < 6; i++) {
		char id[16];
		snprintf(id, sizeof(id), "n%d", i);
		int64_t entry = add_one(&f, id, "a@b.example");
		assert_true(entry > last);
		last = entry;
		assert_ok(retire(&f, entry, QUEUE_DROPPED));
		fixture_reopen(&f);
	}
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_added_is_kept),
	        cmocka_unit_test(test_bodies),
	        cmocka_unit_test(test_damage_is_noticed),
	        cmocka_unit_test(test_refused),
	        cmocka_unit_test(test_full),
	        cmocka_unit_test(test_same_submission_once),
	        cmocka_unit_test(test_deferred_and_retired),
	        cmocka_unit_test(test_attempts_say_what_protected_them),
	        cmocka_unit_test(test_attempts_of_an_older_release),
	        cmocka_unit_test(test_lost_attempts_do_not_count),
	        cmocka_unit_test(test_notices),
	        cmocka_unit_test(test_members_that_got_nothing),
	        cmocka_unit_test(test_suppression),
	        cmocka_unit_test(test_hold_rules_are_anded),
	        cmocka_unit_test(test_hold_rules),
	        cmocka_unit_test(test_filters_are_anded),
	        cmocka_unit_test(test_lists_in_pages),
	        cmocka_unit_test(test_changes),
	        cmocka_unit_test(test_reports),
	        cmocka_unit_test(test_reports_by_envelope_id),
	        cmocka_unit_test(test_threads_share_commits),
	        cmocka_unit_test(test_ids_are_not_used_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
