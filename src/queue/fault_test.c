/* The fault axis: whatever fails and whenever, every submission that was acknowledged is there
 * afterwards, whole and once, with the state that was last acknowledged; what was refused is there
 * whole or not at all; no file is left over. QUEUE_FAULT_STEP=1 fails every single operation. */
#include "queue/queue_testing.h"

#include "os/fd.h"
#include "store/faulty_vfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ENTRIES_MAX 4000u

enum fate {
	ABSENT,  /* never submitted, or refused */
	UNKNOWN, /* the answer was a failure of the disk */
	WAITING,
	RETIRED,
	RETIRED_MAYBE, /* it was there; recording its end failed */
};

/* By the number that a submission's id and body are made from. */
static struct {
	enum fate fate[ENTRIES_MAX];
	int64_t id[ENTRIES_MAX];
	uint32_t n;
} expected;

static size_t size_of(uint32_t number)
{
	return number % 3 == 2 ? 3000 + number : number;
}

static bool is_environment(struct status status)
{
	return status.code == ERR_IO || status.code == ERR_NO_SPACE || status.code == ERR_CORRUPT;
}

static bool try_add(struct fixture *f)
{
	uint32_t number = expected.n++;
	char id[16];
	struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
	CLEANUP(base_freep) char *body = test_body(number, size_of(number));
	snprintf(id, sizeof(id), "%" PRIu32, number);
	struct queue_add add = some_add(f, id, &rcpt, 1);
	struct status status = add_bytes(f, &add, slice_of(body, size_of(number)));
	expected.fate[number] = is_ok(status) ? WAITING : UNKNOWN;
	expected.id[number] = rcpt.ret_id;
	assert_true(is_ok(status) || is_environment(status));
	return is_ok(status);
}

/* The oldest that waits is delivered. */
static bool try_retire(struct fixture *f)
{
	for (uint32_t i = 0; i < expected.n; i++) {
		if (expected.fate[i] != WAITING)
			continue;
		struct status status = retire(f, expected.id[i], QUEUE_DELIVERED);
		expected.fate[i] = is_ok(status) ? RETIRED : RETIRED_MAYBE;
		assert_true(is_ok(status) || is_environment(status));
		return is_ok(status);
	}
	return true;
}

static unsigned script(struct fixture *f)
{
	unsigned n_failed = 0;
	bool more;
	for (int i = 0; i < 4; i++)
		n_failed += !try_add(f);
	n_failed += !try_retire(f);
	n_failed += !try_retire(f);
	struct queue_apply apply = {.filter.hold = -1, .change = QUEUE_CHANGE_HOLD};
	n_failed += !is_ok(queue_apply(f->queue, &apply));
	n_failed += !try_add(f);
	n_failed += !try_retire(f);
	n_failed += !is_ok(queue_clean(f->queue, &more));
	return n_failed;
}

static void check_entry(struct fixture *f, uint32_t number, const struct queue_entry *entry)
{
	CLEANUP(base_freep) char *body = test_body(number, size_of(number));
	assert_int_equal(entry->size, size_of(number));
	assert_body_bytes(f, entry->message, slice_of(body, size_of(number)));
}

struct seen {
	uint8_t times[ENTRIES_MAX];
	struct queue_entry entries[ENTRIES_MAX];
};

static bool note_entry(void *context, const struct queue_entry *entry)
{
	struct seen *seen = context;
	struct slice digits =
	        slice_sub(entry->message_id, 1, slice_index(entry->message_id, '@') - 1);
	uint32_t number = 0;
	assert_true(slice_to_u32(digits, ENTRIES_MAX - 1, &number));
	seen->times[number]++;
	seen->entries[number] =
	        (struct queue_entry){.message = entry->message, .size = entry->size};
	return true;
}

static void list_into(struct fixture *f, bool retired, struct seen *seen)
{
	struct queue_filter filter = {.hold = -1};
	struct queue_page page = {.by_submitted = true};
	bool more;
	assert_ok(queue_list(f->queue, retired, &filter, &page, note_entry, seen, &more));
}

/* What is there becomes what must be. */
static void check(struct fixture *f)
{
	struct seen *waiting = base_alloc(sizeof(*waiting)),
	            *retired = base_alloc(sizeof(*retired));
	unsigned n_waiting_files = 0;
	list_into(f, false, waiting);
	list_into(f, true, retired);
	for (uint32_t i = 0; i < expected.n; i++) {
		enum fate fate = expected.fate[i];
		unsigned n = waiting->times[i], m = retired->times[i];
		assert_true(n + m <= 1);
		if (fate == WAITING)
			assert_int_equal(n, 1);
		if (fate == RETIRED)
			assert_int_equal(m, 1);
		if (fate == RETIRED_MAYBE)
			assert_int_equal(n + m, 1);
		if (fate == ABSENT)
			assert_int_equal(n + m, 0);
		if (fate == UNKNOWN)
			assert_int_equal(m, 0);
		if (n == 1)
			check_entry(f, i, &waiting->entries[i]);
		n_waiting_files += n == 1 && size_of(i) > 1000;
		expected.fate[i] = n == 1 ? WAITING : m == 1 ? RETIRED : ABSENT;
	}
	assert_int_equal(n_files(f), n_waiting_files);
	base_free(waiting);
	base_free(retired);
	arena_reset(&f->arena);
}

/* Ids of entries whose submission failed and that are there all the same: by asking again. */
static void repeat_unknown(struct fixture *f)
{
	for (uint32_t i = 0; i < expected.n; i++) {
		char id[16];
		struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
		if (expected.fate[i] != UNKNOWN)
			continue;
		CLEANUP(base_freep) char *body = test_body(i, size_of(i));
		snprintf(id, sizeof(id), "%" PRIu32, i);
		struct queue_add add = some_add(f, id, &rcpt, 1);
		assert_ok(add_bytes(f, &add, slice_of(body, size_of(i))));
		expected.fate[i] = WAITING;
		expected.id[i] = rcpt.ret_id;
	}
}

static void start(struct fixture *f)
{
	memset(&expected, 0, sizeof(expected));
	fixture_init(f);
	faults_register();
	f->options.vfs = "faulty";
	f->options.io = &faulty_io;
	fixture_reopen(f);
}

static void fail_everywhere(enum fault_kind kind, bool lasting)
{
	struct fixture f;
	const char *text = getenv("QUEUE_FAULT_STEP");
	uint32_t step = 3;
	if (text)
		slice_to_u32(slice_str(text), 100, &step);
	step = MAX(step, 1);
	start(&f);
	for (unsigned at = 1;; at += step) {
		assert_true(expected.n + 16 < ENTRIES_MAX);
		faults_set(kind, at, lasting);
		unsigned n_failed = script(&f);
		queue_close(f.queue);
		f.queue = NULL;
		bool happened = faults_happened();
		faults_set(FAULT_NONE, 0, false);
		if (lasting && happened && kind != FAULT_UNLINK && kind != FAULT_OPEN && at == 1)
			assert_true(n_failed > 0);
		fixture_reopen(&f);
		if (at % 2)
			repeat_unknown(&f);
		check(&f);
		if (!happened)
			break;
	}
	fixture_done(&f);
}

static void test_writes_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_WRITE, false);
	fail_everywhere(FAULT_WRITE, true);
}

static void test_disk_is_full(void **state)
{
	(void)state;
	fail_everywhere(FAULT_SPACE, false);
	fail_everywhere(FAULT_SPACE, true);
}

static void test_syncs_fail(void **state)
{
	(void)state;
	fail_everywhere(FAULT_SYNC, false);
	fail_everywhere(FAULT_SYNC, true);
}

static void test_files_cannot_be_made(void **state)
{
	(void)state;
	fail_everywhere(FAULT_OPEN, false);
	fail_everywhere(FAULT_OPEN, true);
}

static void test_files_cannot_be_removed(void **state)
{
	(void)state;
	fail_everywhere(FAULT_UNLINK, false);
	fail_everywhere(FAULT_UNLINK, true);
}

/* A full disk is said so, and gone when there is space again. */
static void test_full_is_said(void **state)
{
	struct fixture f;
	struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
	CLEANUP(base_freep) char *body = test_body(1, 100000);
	(void)state;
	start(&f);
	for (size_t i = 0; i < 2; i++) {
		size_t size = i ? 100000 : 500;
		char id[8];
		snprintf(id, sizeof(id), "%zu", i);
		faults_set(FAULT_SPACE, 1, true);
		struct queue_add add = some_add(&f, id, &rcpt, 1);
		assert_err(add_bytes(&f, &add, slice_of(body, size)), ERR_NO_SPACE);
		faults_set(FAULT_NONE, 0, false);
		add = some_add(&f, id, &rcpt, 1);
		assert_ok(add_bytes(&f, &add, slice_of(body, size)));
	}
	fixture_done(&f);
}

/* After a failed sync nothing is taken until the queue is opened anew. */
static void test_nothing_is_taken_after_a_failed_sync(void **state)
{
	struct fixture f;
	struct queue_recipient rcpt = {.address = SLICE("a@b.example")};
	(void)state;
	start(&f);
	faults_set(FAULT_SYNC, 1, false);
	struct queue_add add = some_add(&f, "1", &rcpt, 1);
	assert_err(add_with(&f, &add, "text"), ERR_IO);
	faults_set(FAULT_NONE, 0, false);
	assert_true(queue_is_broken(f.queue));
	add = some_add(&f, "2", &rcpt, 1);
	assert_err(add_with(&f, &add, "text"), ERR_IO);
	fixture_reopen(&f);
	add = some_add(&f, "2", &rcpt, 1);
	assert_ok(add_with(&f, &add, "text"));
	add = some_add(&f, "1", &rcpt, 1);
	assert_ok(add_with(&f, &add, "text"));
	fixture_done(&f);
}

/* ---- power cuts ---- */

static void open_dir_again(struct fixture *f)
{
	fd_close(&f->dir_fd);
	f->dir_fd = openat(AT_FDCWD, f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->dir_fd >= 0);
	f->options.dir_fd = f->dir_fd;
}

/* The power goes at every operation: what was acknowledged is in what was synced. */
static void test_power_cuts(void **state)
{
	struct fixture f;
	char image[300];
	const char *text = getenv("QUEUE_FAULT_STEP");
	uint32_t step = 5;
	(void)state;
	if (text)
		slice_to_u32(slice_str(text), 100, &step);
	start(&f);
	snprintf(image, sizeof(image), "%s.image", f.path);
	for (unsigned at = 1;; at += MAX(step, 1)) {
		queue_close(f.queue);
		f.queue = NULL;
		faults_copy_tree(f.path, image);
		faults_keep_image(f.path, image);
		open_dir_again(&f);
		assert_ok(queue_open(&f.options, &f.queue));
		faults_set(FAULT_POWER, at, true);
		(void)script(&f);
		queue_close(f.queue);
		f.queue = NULL;
		bool happened = faults_happened();
		faults_set(FAULT_NONE, 0, false);
		faults_keep_image(NULL, NULL);
		if (happened)
			faults_copy_tree(image, f.path); /* what the disk has kept */
		open_dir_again(&f);
		fixture_reopen(&f);
		check(&f);
		if (!happened)
			break;
	}
	faults_remove_tree(image);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_writes_fail),
	        cmocka_unit_test(test_disk_is_full),
	        cmocka_unit_test(test_syncs_fail),
	        cmocka_unit_test(test_files_cannot_be_made),
	        cmocka_unit_test(test_files_cannot_be_removed),
	        cmocka_unit_test(test_full_is_said),
	        cmocka_unit_test(test_nothing_is_taken_after_a_failed_sync),
	        cmocka_unit_test(test_power_cuts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
