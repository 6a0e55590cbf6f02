/* The fault axis: whatever fails and whenever, what was acknowledged is there afterwards, what was
 * refused is there whole or not at all, nothing else is, and the account verifies clean.
 * STORE_FAULT_STEP=1 and STORE_KILL_ROUNDS=N are for long runs. */
#include "os/fd.h"
#include "store/faulty_vfs.h"
#include "store/store_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <pthread.h>

/* ---- what should be there -------------------------------------------------------------------- */

enum fate { NEVER, MAYBE, SURELY };

#define MESSAGES_MAX 20000u

/* By the number that a message's body is made from. Size follows from it. */
static struct {
	enum fate fate[MESSAGES_MAX];
	uint8_t seen[MESSAGES_MAX];
	uint32_t n;
} expected;

static size_t size_of(uint32_t number)
{
	return number % 4 == 3 ? 70000 + number % 100 : 20 + number % 3000;
}

/* "N " and text made from N. */
static char *body_of(uint32_t number)
{
	char *body = test_body(number, size_of(number));
	int n = snprintf(body, 16, "%" PRIu32, number);
	body[n] = ' ';
	return body;
}

static void check_message(struct fixture *f, const struct store_entry *entry)
{
	struct slice bytes = message_bytes(f, entry->message), digits, rest;
	uint32_t number = 0;
	slice_cut(bytes, ' ', &digits, &rest);
	assert_true(slice_to_u32(digits, MESSAGES_MAX - 1, &number));
	CLEANUP(base_freep) char *body = body_of(number);
	assert_true(slice_eq(bytes, slice_of(body, size_of(number))));
	assert_int_not_equal(expected.fate[number], NEVER);
	expected.seen[number]++;
}

static void check_mailbox(struct fixture *f, const char *name)
{
	struct store_view *view;
	assert_ok(store_view_open(f->store, mailbox_id(f, name), &view));
	for (uint32_t i = 0; i < store_view_count(view); i++)
		check_message(f, store_view_at(view, i));
	store_view_unref(view);
}

/* Everything that must be there is, once; what is there becomes what must be. */
static void check_account(struct fixture *f)
{
	memset(expected.seen, 0, sizeof(expected.seen));
	check_mailbox(f, "Inbox");
	check_mailbox(f, "Archive");
	for (uint32_t i = 0; i < expected.n; i++) {
		assert_true(expected.seen[i] <= 1);
		if (expected.fate[i] == SURELY)
			assert_int_equal(expected.seen[i], 1);
		expected.fate[i] = expected.seen[i] ? SURELY : NEVER;
	}
	fixture_verify(f);
	arena_reset(&f->arena);
}

/* ---- what is done ---------------------------------------------------------------------------- */

static struct store_mailbox_id inbox, archive;

static bool try_append(struct fixture *f)
{
	uint32_t number = expected.n++;
	CLEANUP(base_freep) char *body = body_of(number);
	expected.fate[number] = MAYBE;
	struct status status = append(f, inbox, slice_of(body, size_of(number)), 0, NULL);
	if (is_ok(status))
		expected.fate[number] = SURELY;
	return is_ok(status);
}

static struct store_uids everything(void)
{
	static const struct store_uid_range all[] = {{{1}, {UINT32_MAX}}};
	return (struct store_uids){all, 1};
}

/* Removes all that is in Archive; whether it did shows later. */
static bool try_expunge(struct fixture *f)
{
	struct store_view *view = NULL;
	uint32_t n = 0;
	bool known = is_ok(store_view_open(f->store, archive, &view));
	for (uint32_t i = 0; known && i < store_view_count(view); i++) {
		struct store_blob *blob = NULL;
		uint8_t digits[16] = {0};
		struct slice head, rest;
		uint32_t number = 0;
		size_t got;
		struct status status =
		        store_blob_open(f->store, store_view_at(view, i)->message, &blob);
		if (is_ok(status)) {
			struct store_reader *r = store_blob_reader(blob);
			status = r->read(r, 0, digits, sizeof(digits), &got);
		}
		store_blob_free(blob);
		known = is_ok(status);
		slice_cut(slice_of(digits, sizeof(digits)), ' ', &head, &rest);
		if (known) {
			assert_true(slice_to_u32(head, MESSAGES_MAX - 1, &number));
			expected.fate[number] = MAYBE;
		}
	}
	store_view_unref(view);
	/* Only what is known to be going may go. */
	return known && is_ok(store_expunge(f->store, archive, everything(), false, &n));
}

static bool try_flags(struct fixture *f, uint64_t flags)
{
	struct store_uid *modified;
	size_t n;
	return is_ok(store_flags_update(f->store, inbox, everything(), STORE_FLAGS_REPLACE, flags,
	                                NULL, 0, UINT64_MAX, &f->arena, &modified, &n));
}

static bool try_move(struct fixture *f)
{
	struct store_uid *from, *to;
	uint32_t validity;
	size_t n;
	return is_ok(store_copy(f->store, inbox, everything(), archive, true, &f->arena, &validity,
	                        &from, &to, &n));
}

/* One of each; the number of those that failed. */
static unsigned script(struct fixture *f)
{
	struct store_mailbox_id id;
	unsigned n_failed = 0;
	for (int i = 0; i < 4; i++)
		n_failed += !try_append(f);
	n_failed += !try_flags(f, STORE_SEEN);
	n_failed += !try_expunge(f);
	n_failed += !try_move(f);
	n_failed += !is_ok(store_idle(f->store));
	for (int i = 0; i < 4; i++)
		n_failed += !try_append(f);
	n_failed += !is_ok(store_mailbox_create(f->store, SLICE("new/x"), STORE_USE_NONE, &id));
	n_failed += !is_ok(store_mailbox_delete(f->store, SLICE("new/x")));
	n_failed += !is_ok(store_mailbox_delete(f->store, SLICE("new")));
	n_failed += !try_flags(f, 0);
	return n_failed;
}

static void start(struct fixture *f)
{
	memset(&expected, 0, sizeof(expected));
	fixture_init(f);
	faults_register();
	f->options.vfs = "faulty";
	f->options.blob_io = &faulty_io;
	fixture_reopen(f);
	inbox = mailbox_id(f, "Inbox");
	archive = mailbox_id(f, "Archive");
}

/* Every at-th operation would take minutes: STORE_FAULT_STEP=1 does that. */
static void fail_everywhere(enum fault_kind kind, bool lasting)
{
	struct fixture f;
	const char *text = getenv("STORE_FAULT_STEP");
	uint32_t step = kind == FAULT_SYNC || kind == FAULT_OPEN || kind == FAULT_UNLINK ? 2 : 11;
	if (text)
		slice_to_u32(slice_str(text), 100, &step);
	step = MAX(step, 1);
	start(&f);
	for (unsigned at = 1;; at += step) {
		assert_true(expected.n + 16 < MESSAGES_MAX);
		faults_set(kind, at, lasting);
		unsigned n_failed = script(&f);
		store_close(f.store);
		f.store = NULL;
		bool happened = faults_happened();
		faults_set(FAULT_NONE, 0, false);
		if (lasting && happened && kind != FAULT_UNLINK && at == 1)
			assert_true(n_failed > 0);
		assert_ok(store_open(f.dir_fd, &f.options, &f.store));
		check_account(&f);
		/* Where deleting failed. */
		(void)store_mailbox_delete(f.store, SLICE("new/x"));
		(void)store_mailbox_delete(f.store, SLICE("new"));
		if (!happened) {
			assert_int_equal(n_failed, 0);
			break;
		}
	}
	fixture_done(&f);
}

static void writes_may_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_WRITE, false);
	fail_everywhere(FAULT_WRITE, true);
}

static void the_disk_may_be_full(void **state)
{
	(void)state;
	fail_everywhere(FAULT_SPACE, false);
	fail_everywhere(FAULT_SPACE, true);
}

static void syncs_may_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_SYNC, false);
	fail_everywhere(FAULT_SYNC, true);
}

static void reads_may_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_READ, false);
	fail_everywhere(FAULT_READ, true);
}

static void opening_may_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_OPEN, false);
	fail_everywhere(FAULT_OPEN, true);
}

static void removing_may_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_UNLINK, false);
	fail_everywhere(FAULT_UNLINK, true);
}

static void after_a_failed_sync_nothing_is_written(void **state)
{
	struct fixture f;
	(void)state;
	start(&f);
	assert_true(try_append(&f));
	faults_set(FAULT_SYNC, 1, false);
	assert_false(try_append(&f));
	for (int i = 0; i < 3; i++) {
		assert_false(try_append(&f));
		expected.fate[expected.n - 1] = NEVER; /* it did not even try */
	}
	assert_false(try_flags(&f, STORE_SEEN));
	assert_string_equal(uids_text(&f, "Inbox", false), "1"); /* reading goes on */
	faults_set(FAULT_NONE, 0, false);
	fixture_reopen(&f);
	check_account(&f);
	assert_true(try_append(&f));
	check_account(&f);
	fixture_done(&f);
}

/* ---- power cuts ------------------------------------------------------------------------------ */

static void open_at(struct fixture *f, const char *path)
{
	fd_close(&f->dir_fd);
	f->dir_fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
}

static unsigned power_step(void)
{
	return getenv("STORE_FAULT_STEP") ? 1 : 7;
}

static void the_power_may_go(void **state)
{
	struct fixture f;
	char image[300];
	(void)state;
	start(&f);
	store_close(f.store);
	snprintf(image, sizeof(image), "%s.image", f.path);
	for (unsigned at = 1;; at += power_step()) {
		faults_copy_tree(f.path, image);
		faults_keep_image(f.path, image);
		open_at(&f, f.path);
		faults_set(FAULT_POWER, at, true);
		script(&f);
		store_close(f.store);
		bool happened = faults_happened();
		faults_set(FAULT_NONE, 0, false);
		faults_keep_image(NULL, NULL);
		/* What the disk has kept becomes the account. */
		if (happened)
			faults_copy_tree(image, f.path);
		open_at(&f, f.path);
		check_account(&f);
		(void)store_mailbox_delete(f.store, SLICE("new/x"));
		(void)store_mailbox_delete(f.store, SLICE("new"));
		if (!happened)
			break;
		store_close(f.store);
	}
	faults_remove_tree(image);
	fixture_done(&f);
}

/* ---- killed at any moment -------------------------------------------------------------------- */

static struct fixture killed;
static int ack_fd;
static pthread_mutex_t number_lock = PTHREAD_MUTEX_INITIALIZER;

static void *append_for_ever(void *context)
{
	(void)context;
	for (;;) {
		pthread_mutex_lock(&number_lock);
		uint32_t number = expected.n++;
		pthread_mutex_unlock(&number_lock);
		if (number >= MESSAGES_MAX)
			_exit(0);
		CLEANUP(base_freep) char *body = body_of(number);
		struct status status =
		        append(&killed, inbox, slice_of(body, size_of(number)), 0, NULL);
		if (!is_ok(status) || write(ack_fd, &number, sizeof(number)) != sizeof(number))
			_exit(1);
	}
}

static void *move_for_ever(void *context)
{
	(void)context;
	for (;;) {
		if (!try_move(&killed) || !is_ok(store_idle(killed.store)))
			_exit(1);
		arena_reset(&killed.arena);
		usleep(3000);
	}
}

static void be_killed(void)
{
	pthread_t threads[4];
	if (!is_ok(store_open(killed.dir_fd, &killed.options, &killed.store)))
		_exit(1);
	pthread_create(&threads[3], NULL, move_for_ever, NULL);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, append_for_ever, NULL);
	pthread_join(threads[0], NULL);
	_exit(0);
}

static void kill_once(unsigned wait_us)
{
	int fds[2], status = 0;
	uint32_t number, first = expected.n;
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		ack_fd = fds[1];
		be_killed();
	}
	close(fds[1]);
	usleep(wait_us);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read(fds[0], &number, sizeof(number)) == sizeof(number)) {
		assert_true(number < MESSAGES_MAX);
		expected.fate[number] = SURELY;
		expected.n = MAX(expected.n, number + 1);
	}
	close(fds[0]);
	/* Under way without an answer: as many as there are threads, beyond the last answered. */
	expected.n = MIN(expected.n + 4, MESSAGES_MAX);
	for (uint32_t i = first; i < expected.n; i++)
		if (expected.fate[i] == NEVER)
			expected.fate[i] = MAYBE;
	assert_ok(store_open(killed.dir_fd, &killed.options, &killed.store));
	check_account(&killed);
	store_close(killed.store);
}

static void kill_rounds(void **state)
{
	const char *text = getenv("STORE_KILL_ROUNDS");
	uint32_t rounds = 8;
	uint64_t x = 1;
	(void)state;
	if (text)
		slice_to_u32(slice_str(text), 100000, &rounds);
	memset(&expected, 0, sizeof(expected));
	fixture_init(&killed);
	inbox = mailbox_id(&killed, "Inbox");
	archive = mailbox_id(&killed, "Archive");
	store_close(killed.store);
	for (uint32_t i = 0; i < rounds; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		if (expected.n + 2000 > MESSAGES_MAX || i % 50 == 49) { /* start afresh */
			fixture_remove(&killed);
			memset(&expected, 0, sizeof(expected));
			fixture_init(&killed);
			store_close(killed.store);
		}
		kill_once(3000 + (unsigned)(x >> 33) % 60000);
	}
	fixture_remove(&killed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(writes_may_fail),
	        cmocka_unit_test(the_disk_may_be_full),
	        cmocka_unit_test(syncs_may_fail),
	        cmocka_unit_test(reads_may_fail),
	        cmocka_unit_test(opening_may_fail),
	        cmocka_unit_test(removing_may_fail),
	        cmocka_unit_test(after_a_failed_sync_nothing_is_written),
	        cmocka_unit_test(the_power_may_go),
	        cmocka_unit_test(kill_rounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
