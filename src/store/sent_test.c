/* What an account sends is counted, within its limits, over restarts, and in accounts of before. */
#include "store/sent.h"

#include "store/db.h"
#include "store/store_testing.h"

#define NOW ((int64_t)1700000000)
#define DAY ((int64_t)86400)

static const struct store_sent_limits unlimited = {STORE_SENT_UNLIMITED, STORE_SENT_UNLIMITED};

static struct arena arena; /* of the test that runs */

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	fixture_set_time(NOW);
	fixture_init(f);
	arena_init(&arena, (size_t)64 * 1024 * 1024);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	fixture_set_time(NOW);
	fixture_done(f);
	arena_done(&arena);
	base_free(f);
	return 0;
}

/* Recipients parted by blanks. */
static enum store_sent_verdict send_to(struct fixture *f, const char *text, uint64_t per_day,
                                       uint64_t first_time, struct store_sent_count *ret_count)
{
	struct slice list[64], rest = slice_str(text);
	size_t n = 0;
	struct store_sent_limits limits = {per_day, first_time};
	enum store_sent_verdict verdict;
	struct store_sent_count count;
	struct store_sent_state after;
	while (rest.n > 0)
		slice_cut(rest, ' ', &list[n++], &rest);
	assert_ok(store_sent_add(f->store, list, n, &limits, &arena, &verdict, &count, &after));
	if (ret_count)
		*ret_count = count;
	return verdict;
}

static void assert_state(struct fixture *f, uint64_t n, uint64_t n_first)
{
	struct store_sent_state now;
	assert_ok(store_sent_get(f->store, &now));
	assert_int_equal(now.n, n);
	assert_int_equal(now.n_first, n_first);
}

static void recipients_count_within_the_limit_of_a_day(void **state)
{
	struct fixture *f = *state;
	assert_state(f, 0, 0);
	assert_int_equal(send_to(f, "a@x b@x", 3, 100, NULL), STORE_SENT_OK);
	assert_int_equal(send_to(f, "a@x b@x", 3, 100, NULL), STORE_SENT_OVER_DAY);
	assert_state(f, 2, 2); /* all or nothing */
	assert_int_equal(send_to(f, "a@x", 3, 100, NULL), STORE_SENT_OK);
	assert_int_equal(send_to(f, "a@x", 3, 100, NULL), STORE_SENT_OVER_DAY);
	assert_int_equal(send_to(f, "c@x d@x e@x f@x", 3, 100, NULL), STORE_SENT_OVER_DAY);
	assert_state(f, 3, 2);
	assert_int_equal(send_to(f, "a@x", STORE_SENT_UNLIMITED, 0, NULL), STORE_SENT_OK);
	assert_state(f, 4, 2);
}

static void strangers_count_by_themselves(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(send_to(f, "a@x b@x", 100, 2, NULL), STORE_SENT_OK);
	assert_int_equal(send_to(f, "c@x", 100, 2, NULL), STORE_SENT_OVER_FIRST_TIME);
	assert_int_equal(send_to(f, "a@x c@x", 100, 2, NULL), STORE_SENT_OVER_FIRST_TIME);
	assert_int_equal(send_to(f, "a@x b@x", 100, 2, NULL), STORE_SENT_OK); /* no strangers */
	assert_state(f, 4, 2);
	fixture_set_time(NOW + DAY + 60);
	assert_int_equal(send_to(f, "a@x c@x", 100, 1, NULL), STORE_SENT_OK);
	assert_state(f, 2, 1);
	fixture_set_time(NOW + DAY + STORE_SENT_KEEP_S + DAY); /* forgotten */
	assert_int_equal(send_to(f, "z@x", 100, 5, NULL), STORE_SENT_OK);
	assert_int_equal(send_to(f, "b@x", 100, 5, NULL), STORE_SENT_OK);
	assert_state(f, 2, 2);
}

/* Every copy counts, however the address is spelled: a@x, A@x ... would be a way around the limit.
 */
static void one_address_is_one_stranger_and_as_many_recipients_as_given(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(send_to(f, "a@x A@X a@x b@x", 3, 2, NULL), STORE_SENT_OVER_DAY);
	assert_int_equal(send_to(f, "a@x A@X a@x b@x", 4, 2, NULL), STORE_SENT_OK);
	assert_state(f, 4, 2);
	assert_int_equal(send_to(f, "B@x", 5, 2, NULL), STORE_SENT_OK);
	assert_state(f, 5, 2);
}

static void the_day_rolls(void **state)
{
	struct fixture *f = *state;
	for (int hour = 0; hour < 24; hour++) {
		fixture_set_time(NOW + hour * 3600);
		assert_int_equal(send_to(f, "a@x", 24, 24, NULL), STORE_SENT_OK);
	}
	assert_int_equal(send_to(f, "a@x", 24, 24, NULL), STORE_SENT_OVER_DAY);
	fixture_set_time(NOW + DAY - 60);
	assert_int_equal(send_to(f, "a@x", 24, 24, NULL), STORE_SENT_OVER_DAY);
	fixture_set_time(NOW + DAY); /* the first one is a day old */
	assert_int_equal(send_to(f, "a@x", 24, 24, NULL), STORE_SENT_OK);
	assert_int_equal(send_to(f, "a@x", 24, 24, NULL), STORE_SENT_OVER_DAY);
	fixture_set_time(NOW + 10 * DAY);
	assert_state(f, 0, 0);
}

static void what_was_not_sent_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct store_sent_count count;
	assert_int_equal(send_to(f, "a@x b@x", 2, 2, &count), STORE_SENT_OK);
	assert_ok(store_sent_take_back(f->store, &count));
	assert_state(f, 0, 0);
	assert_int_equal(send_to(f, "a@x b@x", 2, 2, NULL), STORE_SENT_OK);
	assert_int_equal(send_to(f, "a@x", 2, 2, NULL), STORE_SENT_OVER_DAY);
}

/* Nor does it make anybody known: a message that the queue refuses is no way to meet people. */
static void who_was_not_written_to_stays_a_stranger(void **state)
{
	struct fixture *f = *state;
	struct store_sent_count count;
	assert_int_equal(send_to(f, "old@x", 100, 2, NULL), STORE_SENT_OK);
	fixture_set_time(NOW + 5);
	assert_int_equal(send_to(f, "New@x old@x", 100, 2, &count), STORE_SENT_OK);
	assert_ok(store_sent_take_back(f->store, &count));
	assert_state(f, 1, 1);
	assert_int_equal(send_to(f, "new@x other@x", 100, 2, NULL), STORE_SENT_OVER_FIRST_TIME);
	assert_int_equal(send_to(f, "old@x", 100, 1, NULL), STORE_SENT_OK); /* known as before */
	assert_state(f, 2, 1);
	/* what another message wrote to meanwhile stays known */
	assert_int_equal(send_to(f, "new@x", 100, 2, &count), STORE_SENT_OK);
	fixture_set_time(NOW + 6);
	assert_int_equal(send_to(f, "new@x", 100, 2, NULL), STORE_SENT_OK);
	assert_ok(store_sent_take_back(f->store, &count));
	assert_int_equal(send_to(f, "new@x", 100, 0, NULL), STORE_SENT_OK);
}

static void counts_outlive_the_process(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(send_to(f, "a@x b@x", 3, 2, NULL), STORE_SENT_OK);
	fixture_reopen(f);
	assert_state(f, 2, 2);
	assert_int_equal(send_to(f, "c@x", 3, 2, NULL), STORE_SENT_OVER_FIRST_TIME);
	assert_int_equal(send_to(f, "a@x b@x", 3, 2, NULL), STORE_SENT_OVER_DAY);
}

static void too_many_recipients_are_refused(void **state)
{
	struct fixture *f = *state;
	size_t n = STORE_SENT_RECIPIENTS_MAX + 1;
	struct slice *list = base_alloc(n * sizeof(*list));
	char *text = base_alloc(n * 12);
	enum store_sent_verdict verdict;
	struct store_sent_count count;
	struct store_sent_state after;
	for (size_t i = 0; i < n; i++) {
		snprintf(text + i * 12, 12, "%zu@x", i);
		list[i] = slice_str(text + i * 12);
	}
	assert_err(store_sent_add(f->store, list, n, &unlimited, &arena, &verdict, &count, &after),
	           ERR_LIMIT);
	assert_ok(store_sent_add(f->store, list, n - 1, &unlimited, &arena, &verdict, &count,
	                         &after));
	assert_int_equal(after.n_first, n - 1);
	base_free(list);
	base_free(text);
}

static void an_account_of_version_1_is_migrated(void **state)
{
	struct fixture *f = *state;
	struct db *db;
	char path[300];
	int64_t version = 0;
	struct store_sent_state now;
	struct store_uid uid = add(f, "Inbox", "Subject: old\r\n\r\n");
	assert_ok(store_idle(f->store));
	store_close(f->store);
	f->store = NULL;
	snprintf(path, sizeof(path), "%s/index.db", f->path);
	assert_ok(db_open(path, NULL, DB_WRITER, &db));
	assert_ok(db_begin(db));
	assert_ok(db_exec(db, "DROP TABLE sent"));
	assert_ok(db_exec(db, "DROP TABLE recipient"));
	assert_ok(db_exec(db, "DROP TABLE note"));
	assert_ok(db_set_schema_version(db, 1));
	assert_ok(db_commit(db));
	db_close(db);
	fixture_reopen(f);
	assert_string_equal(uids_text(f, "Inbox", false), "1");
	assert_int_equal(uid.v, 1);
	assert_ok(store_sent_get(f->store, &now));
	assert_int_equal(send_to(f, "a@x", 1, 1, NULL), STORE_SENT_OK);
	assert_int_equal(send_to(f, "a@x", 1, 1, NULL), STORE_SENT_OVER_DAY);
	assert_ok(store_idle(f->store));
	store_close(f->store);
	f->store = NULL;
	assert_ok(db_open(path, NULL, DB_WRITER, &db));
	assert_ok(db_schema_version(db, &version));
	assert_int_equal(version, 3);
	db_close(db);
	fixture_reopen(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(recipients_count_within_the_limit_of_a_day),
	        TEST(strangers_count_by_themselves),
	        TEST(one_address_is_one_stranger_and_as_many_recipients_as_given),
	        TEST(the_day_rolls),
	        TEST(what_was_not_sent_is_taken_back),
	        TEST(who_was_not_written_to_stays_a_stranger),
	        TEST(counts_outlive_the_process),
	        TEST(too_many_recipients_are_refused),
	        TEST(an_account_of_version_1_is_migrated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
