/* Reading many messages together gives what reading each alone gives, whatever lies between them.
 */
#include "os/fd.h"
#include "store/faulty_vfs.h"
#include "store/store_testing.h"

#include <sqlite3.h>

static int set_up(void **state)
{
	*state = base_alloc(sizeof(struct fixture));
	fixture_init(*state);
	return 0;
}

static int tear_down(void **state)
{
	fixture_done(*state);
	base_free(*state);
	return 0;
}

/* A message of n bytes that depend on n. */
static struct store_message_id add_sized(struct fixture *f, size_t n)
{
	struct store_append a;
	CLEANUP(base_freep) char *body = test_body(n, n);
	assert_ok(append(f, mailbox_id(f, "Inbox"), slice_of(body, n), 0, &a));
	return a.message;
}

static void assert_is(struct store_blob *blob, size_t n)
{
	CLEANUP(base_freep) char *body = test_body(n, n);
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(n + 1);
	struct store_reader *r = store_blob_reader(blob);
	size_t got = 0;
	assert_int_equal(r->size, n);
	assert_ok(r->read(r, 0, bytes, n + 1, &got));
	assert_int_equal(got, n);
	assert_memory_equal(bytes, body, n);
}

static void assert_opens(struct store_batch *batch, size_t i, size_t n)
{
	struct store_blob *blob;
	assert_ok(store_batch_open(batch, i, &blob));
	assert_is(blob, n);
	store_blob_free(blob);
}

static void assert_refuses(struct store_batch *batch, size_t i, enum err code)
{
	struct store_blob *blob = NULL;
	assert_err(store_batch_open(batch, i, &blob), code);
	assert_null(blob);
}

static void expunge(struct fixture *f, const char *uids)
{
	uint32_t n;
	assert_ok(store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, uids), false, &n));
	assert_ok(store_idle(f->store)); /* removes what nobody shows */
}

static void run_sql(struct fixture *f, const char *sql)
{
	char path[512];
	sqlite3 *db;
	store_close(f->store);
	snprintf(path, sizeof(path), "%s/index.db", f->path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
}

/* ---- what is there --------------------------------------------------------------------------- */

static const size_t sizes[] = {0, 1, 70000, 300, 4096, 65536, 65537, 5, 0, 100000, 20};

static void any_order_is_read(void **state)
{
	struct fixture *f = *state;
	enum { N = N_ELEMENTS(sizes) };
	struct store_message_id ids[N], order[N * 3];
	size_t which[N * 3], n = 0;
	for (size_t i = 0; i < N; i++)
		ids[i] = add_sized(f, sizes[i]);
	for (size_t i = 0; i < N; i++)
		which[n++] = i;
	for (size_t i = 0; i < N; i++)
		which[n++] = N - 1 - i;
	for (size_t i = 0; i < N; i++)
		which[n++] = i / 2;
	for (size_t i = 0; i < n; i++)
		order[i] = ids[which[i]];
	struct store_batch *batch = store_batch_new(f->store);
	for (size_t at = 0; at < n;) {
		size_t got = 0;
		assert_ok(store_batch_read(batch, order + at, n - at, &got));
		assert_in_range(got, 1, n - at);
		for (size_t i = 0; i < got; i++)
			assert_opens(batch, i, sizes[which[at + i]]);
		at += got;
	}
	store_batch_free(batch);
}

static void bodies_in_files_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct store_message_id ids[] = {add_sized(f, 100), add_sized(f, 65537), add_sized(f, 101)};
	struct store_batch *batch = store_batch_new(f->store);
	struct store_blob *blob;
	struct slice bytes;
	size_t n;
	int fd;
	assert_ok(store_batch_read(batch, ids, 3, &n));
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_ok(store_batch_open(batch, i, &blob));
		assert_int_equal(store_blob_bytes(blob, &bytes), i != 1);
		assert_int_equal(store_blob_file(blob, &bytes, &fd), i == 1);
		store_blob_free(blob);
	}
	assert_int_equal(unlinkat(f->dir_fd, "msg/00/2", 0), 0);
	assert_opens(batch, 0, 100);
	assert_refuses(batch, 1, ERR_CORRUPT);
	assert_opens(batch, 2, 101);
	store_batch_free(batch);
	expunge(f, "2");
}

static void a_batch_has_an_end(void **state)
{
	struct fixture *f = *state;
	enum { N = STORE_BATCH_MAX + 44, LARGE = 60000 };
	struct store_message_id *ids = base_alloc(N * sizeof(ids[0]));
	struct store_batch *batch = store_batch_new(f->store);
	size_t n = 99;
	assert_ok(store_batch_read(batch, ids, 0, &n));
	assert_int_equal(n, 0);
	for (size_t i = 0; i < N; i++)
		ids[i] = add_sized(f, i);
	assert_ok(store_batch_read(batch, ids, N, &n));
	assert_int_equal(n, STORE_BATCH_MAX);
	assert_opens(batch, n - 1, n - 1);
	assert_ok(store_batch_read(batch, ids + n, N - n, &n));
	assert_int_equal(n, 44);
	assert_opens(batch, n - 1, N - 1);
	/* By bytes: the one that passes the limit is the last. */
	for (size_t i = 0; i < 10; i++)
		ids[i] = add_sized(f, LARGE + i);
	assert_ok(store_batch_read(batch, ids, 10, &n));
	assert_int_equal(n, STORE_BATCH_SIZE / LARGE + 1);
	for (size_t i = 0; i < n; i++)
		assert_opens(batch, i, LARGE + i);
	store_batch_free(batch);
	base_free(ids);
}

static void blobs_outlive_their_batch(void **state)
{
	struct fixture *f = *state;
	struct store_message_id ids[] = {add_sized(f, 50), add_sized(f, 60), add_sized(f, 70)};
	struct store_blob *held[3];
	struct store_batch *batch = store_batch_new(f->store);
	size_t n;
	assert_ok(store_batch_read(batch, ids, 2, &n));
	assert_ok(store_batch_open(batch, 0, &held[0]));
	assert_ok(store_batch_open(batch, 1, &held[1]));
	assert_ok(store_batch_read(batch, ids + 2, 1, &n));
	assert_ok(store_batch_open(batch, 0, &held[2]));
	assert_ok(store_batch_read(batch, ids, 3, &n));
	store_batch_free(batch);
	for (size_t i = 0; i < 3; i++) {
		assert_is(held[i], 50 + 10 * i);
		store_blob_free(held[i]);
	}
	store_batch_free(store_batch_new(f->store));
	store_batch_free(NULL);
}

/* ---- what is not ----------------------------------------------------------------------------- */

static void expunged_messages_are_missing(void **state)
{
	struct fixture *f = *state;
	struct store_message_id ids[7];
	struct store_batch *batch = store_batch_new(f->store);
	size_t n;
	for (size_t i = 0; i < 5; i++)
		ids[i] = add_sized(f, 500 + i);
	ids[5] = (struct store_message_id){INT64_MAX};
	ids[6] = (struct store_message_id){-1};
	/* Between reading and opening: what was read stays. */
	assert_ok(store_batch_read(batch, ids, 7, &n));
	assert_int_equal(n, 7);
	expunge(f, "2:3");
	for (size_t i = 0; i < 5; i++)
		assert_opens(batch, i, 500 + i);
	/* Before reading. */
	assert_ok(store_batch_read(batch, ids, 7, &n));
	assert_int_equal(n, 7);
	for (size_t i = 0; i < 7; i++) {
		if (i == 0 || i == 3 || i == 4)
			assert_opens(batch, i, 500 + i);
		else
			assert_refuses(batch, i, ERR_NOT_FOUND);
	}
	/* The last ones, and all. */
	expunge(f, "4:5");
	assert_ok(store_batch_read(batch, ids, 5, &n));
	assert_opens(batch, 0, 500);
	assert_refuses(batch, 4, ERR_NOT_FOUND);
	expunge(f, "1");
	assert_ok(store_batch_read(batch, ids, 7, &n));
	assert_int_equal(n, 7);
	for (size_t i = 0; i < 7; i++)
		assert_refuses(batch, i, ERR_NOT_FOUND);
	store_batch_free(batch);
}

static void damage_is_found_in_its_message(void **state)
{
	static const char *const damages[] = {
	        "UPDATE content SET xxh3_128 = zeroblob(16) WHERE id = 2",
	        "UPDATE content SET xxh3_128 = zeroblob(15) WHERE id = 2",
	        "UPDATE content SET bytes = zeroblob(501) WHERE id = 2",
	        "UPDATE content SET bytes = zeroblob(500) WHERE id = 2",
	        "UPDATE content SET size = 500 WHERE id = 2",
	        "UPDATE content SET size = -1 WHERE id = 2",
	        "UPDATE content SET prefix_size = 1 WHERE id = 2",
	        "UPDATE content SET prefix_size = 502 WHERE id = 2",
	        "UPDATE content SET is_file = 1 WHERE id = 2",
	};
	struct fixture *f = *state;
	struct store_message_id ids[3];
	size_t n;
	for (size_t i = 0; i < 3; i++)
		ids[i] = add_sized(f, 500 + i);
	run_sql(f, "CREATE TABLE kept AS SELECT * FROM content WHERE id = 2");
	for (size_t i = 0; i < N_ELEMENTS(damages); i++) {
		run_sql(f, damages[i]);
		struct store_batch *batch = store_batch_new(f->store);
		assert_ok(store_batch_read(batch, ids, 3, &n));
		assert_int_equal(n, 3);
		assert_opens(batch, 0, 500);
		assert_refuses(batch, 1, ERR_CORRUPT);
		assert_opens(batch, 2, 502);
		store_batch_free(batch);
		run_sql(f, "INSERT OR REPLACE INTO content SELECT * FROM kept");
	}
	run_sql(f, "DROP TABLE kept");
}

/* One failing read of the disk: what is given is right, and the next try gives the rest. */
static void reads_may_fail(void **state)
{
	struct fixture *f = *state;
	enum { N = 40 };
	struct store_message_id ids[N];
	unsigned n_cut = 0, n_failed = 0;
	for (size_t i = 0; i < N; i++)
		ids[i] = add_sized(f, 5000 + i);
	store_close(f->store);
	f->options.vfs = "faulty";
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
	for (unsigned at = 1; at < 100; at++) {
		struct store_batch *batch = store_batch_new(f->store);
		size_t n = 0;
		assert_ok(store_idle(f->store)); /* nothing is cached */
		faults_set(FAULT_READ, at, false);
		struct status status = store_batch_read(batch, ids, N, &n);
		bool happened = faults_happened();
		faults_set(FAULT_NONE, 0, false);
		if (is_ok(status))
			assert_in_range(n, 1, N);
		else
			assert_int_equal(n, 0);
		n_failed += !is_ok(status);
		n_cut += n > 0 && n < N;
		if (!happened)
			assert_int_equal(n, N);
		for (size_t i = 0; i < n; i++)
			assert_opens(batch, i, 5000 + i);
		assert_ok(store_batch_read(batch, ids, N, &n));
		assert_int_equal(n, N);
		assert_opens(batch, N - 1, 5000 + N - 1);
		store_batch_free(batch);
	}
	assert_true(n_cut > 0 && n_failed > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(any_order_is_read),
	        TEST(bodies_in_files_are_told_apart),
	        TEST(a_batch_has_an_end),
	        TEST(blobs_outlive_their_batch),
	        TEST(expunged_messages_are_missing),
	        TEST(damage_is_found_in_its_message),
	        TEST(reads_may_fail),
	};
	faults_register();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
