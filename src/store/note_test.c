/* Notes: kept with their message, shared by its copies, gone with the last of them. */
#include "store/db.h"
#include "store/store_testing.h"

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
	fixture_init(f);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	fixture_done(f);
	base_free(f);
	return 0;
}

static struct store_append add_noted(struct fixture *f, struct slice note, int fd)
{
	struct store_append a = {
	        .mailbox = mailbox_id(f, "Inbox"), .fd = fd, .size = 4, .note = note};
	store_append(f->store, &a, 1, false);
	return a;
}

static int body_fd(void)
{
	FILE *file = tmpfile();
	assert_non_null(file);
	fputs("a\r\n\n", file);
	fflush(file);
	return fileno(file);
}

static void assert_note(struct fixture *f, struct store_message_id id, struct slice expected)
{
	struct slice note;
	assert_ok(store_note(f->store, id, &f->arena, &note));
	assert_true(slice_eq(note, expected));
}

static int64_t n_notes(struct fixture *f)
{
	struct db *db;
	struct db_stmt *stmt;
	char path[300];
	bool row;
	snprintf(path, sizeof(path), "%s/index.db", f->path);
	assert_ok(db_open(path, NULL, DB_READER, &db));
	assert_ok(db_stmt(db, "SELECT COUNT(*) FROM note", &stmt));
	assert_ok(db_step(stmt, &row));
	int64_t n = db_int(stmt, 0);
	db_done(stmt);
	db_close(db);
	return n;
}

static void notes_live_and_die_with_their_message(void **state)
{
	struct fixture *f = *state;
	int fd = body_fd();
	struct store_uid *from, *to;
	uint32_t validity, n_gone;
	size_t n;
	struct slice bytes = SLICE("known\0and opaque");
	struct store_append noted = add_noted(f, bytes, fd),
	                    plain = add_noted(f, slice_empty(), fd);
	assert_ok(noted.status);
	assert_note(f, noted.message, bytes);
	assert_note(f, plain.message, slice_empty());
	assert_note(f, (struct store_message_id){4711}, slice_empty());
	assert_ok(store_copy(f->store, mailbox_id(f, "Inbox"), uid_set(f, "1"),
	                     mailbox_id(f, "Junk"), false, &f->arena, &validity, &from, &to, &n));
	assert_ok(
	        store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, "1:2"), false, &n_gone));
	assert_ok(store_idle(f->store));
	fixture_reopen(f);
	assert_note(f, noted.message, bytes);
	assert_ok(store_expunge(f->store, mailbox_id(f, "Junk"), uid_set(f, "1"), false, &n_gone));
	assert_ok(store_idle(f->store));
	assert_note(f, noted.message, slice_empty());
	assert_int_equal(n_notes(f), 0);
}

static void a_repeated_delivery_keeps_the_first_note(void **state)
{
	struct fixture *f = *state;
	struct store_append a = {.mailbox = mailbox_id(f, "Inbox"),
	                         .fd = body_fd(),
	                         .size = 4,
	                         .delivery_id = SLICE("id"),
	                         .note = SLICE("first")};
	store_append(f->store, &a, 1, false);
	a.note = SLICE("second");
	store_append(f->store, &a, 1, false);
	assert_ok(a.status);
	assert_note(f, a.message, SLICE("first"));
	assert_int_equal(n_notes(f), 1);
}

static void notes_have_a_limit(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = base_alloc(STORE_NOTE_MAX + 1);
	int fd = body_fd();
	assert_ok(add_noted(f, slice_of(bytes, STORE_NOTE_MAX), fd).status);
	assert_err(add_noted(f, slice_of(bytes, STORE_NOTE_MAX + 1), fd).status, ERR_LIMIT);
	base_free(bytes);
}

static void count_problem(void *context, const char *text)
{
	assert_string_equal(text, "notes about no message: 1");
	++*(unsigned *)context;
}

static void verify_finds_a_note_about_nothing(void **state)
{
	struct fixture *f = *state;
	struct db *db;
	char path[300];
	unsigned n = 0;
	snprintf(path, sizeof(path), "%s/index.db", f->path);
	store_close(f->store);
	assert_ok(db_open(path, NULL, DB_WRITER, &db));
	assert_ok(db_begin(db));
	assert_ok(db_exec(db, "INSERT INTO note (message, bytes) VALUES (99, x'00')"));
	assert_ok(db_commit(db));
	db_close(db);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
	assert_ok(store_verify(f->store, count_problem, &n));
	assert_int_equal(n, 1);
	store_close(f->store);
	assert_ok(db_open(path, NULL, DB_WRITER, &db));
	assert_ok(db_begin(db));
	assert_ok(db_exec(db, "DELETE FROM note"));
	assert_ok(db_commit(db));
	db_close(db);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        TEST(notes_live_and_die_with_their_message),
	        TEST(a_repeated_delivery_keeps_the_first_note),
	        TEST(notes_have_a_limit),
	        TEST(verify_finds_a_note_about_nothing),
	};
#undef TEST
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
