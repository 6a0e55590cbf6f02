/* The store as its users see it: adding, flags, copying, expunging, reading, in one thread. */
#include "store/store_testing.h"

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	fixture_init(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	fixture_done(f);
	base_free(f);
	return 0;
}

static struct status set_flags(struct fixture *f, const char *mailbox, const char *uids,
                               enum store_flags_op op, uint64_t flags)
{
	struct store_uid *modified;
	size_t n;
	return store_flags_update(f->store, mailbox_id(f, mailbox), uid_set(f, uids), op, flags,
	                          NULL, 0, UINT64_MAX, &f->arena, &modified, &n);
}

static void a_new_account_has_its_mailboxes(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"Inbox",   "Archive", "Drafts", "Junk",
	                                    "Rejects", "Sent",    "Trash"};
	struct store_mailbox *list;
	size_t n;
	assert_ok(store_mailboxes(f->store, &f->arena, &list, &n));
	assert_int_equal(n, N_ELEMENTS(names));
	for (size_t i = 0; i < n; i++) {
		assert_true(slice_eq_str(list[i].name, names[i]));
		assert_true(list[i].exists && list[i].subscribed && !list[i].has_children);
		assert_int_equal(list[i].uid_next, 1);
		assert_true(list[i].special_use != STORE_USE_NONE);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(list[i].uid_validity, list[j].uid_validity);
	}
}

static void what_was_added_is_there_after_reopening(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = {0, 1, 1000, 65535, 65536, 65537, 300000};
	struct store_append appended[N_ELEMENTS(sizes)];
	struct store_mailbox_id inbox = mailbox_id(f, "Inbox");
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		CLEANUP(base_freep) char *body = test_body(i, sizes[i]);
		assert_ok(append(f, inbox, slice_of(body, sizes[i]), i ? STORE_SEEN : 0,
		                 &appended[i]));
		assert_int_equal(appended[i].uid.v, i + 1);
	}
	for (int round = 0; round < 2; round++) {
		struct store_view *view;
		assert_ok(store_view_open(f->store, inbox, &view));
		assert_int_equal(store_view_count(view), N_ELEMENTS(sizes));
		for (uint32_t i = 0; i < N_ELEMENTS(sizes); i++) {
			CLEANUP(base_freep) char *body = test_body(i, sizes[i]);
			const struct store_entry *e = store_view_at(view, i);
			assert_int_equal(e->uid.v, appended[i].uid.v);
			assert_int_equal(e->message.v, appended[i].message.v);
			assert_int_equal(e->size, sizes[i]);
			assert_int_equal(e->flags, i ? STORE_SEEN : 0);
			assert_int_equal(e->received_at, 1600000000);
			assert_int_equal(e->saved_at, 1700000000);
			assert_true(
			        slice_eq(message_bytes(f, e->message), slice_of(body, sizes[i])));
		}
		store_view_unref(view);
		struct store_mailbox m = mailbox(f, "Inbox");
		assert_int_equal(m.n_messages, N_ELEMENTS(sizes));
		assert_int_equal(m.n_unseen, 1);
		fixture_reopen(f);
	}
}

static void flags_change_only_what_was_named(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 5; i++)
		add(f, "Inbox", "x");
	uint64_t before = mailbox(f, "Inbox").highest_modseq;
	assert_ok(set_flags(f, "Inbox", "2:3,5,900:1000", STORE_FLAGS_ADD, STORE_SEEN));
	assert_string_equal(uids_text(f, "Inbox", true), "1(),2(S),3(S),4(),5(S)");
	assert_ok(set_flags(f, "Inbox", "1:4294967295", STORE_FLAGS_ADD, STORE_DELETED));
	assert_ok(set_flags(f, "Inbox", "3:4", STORE_FLAGS_REMOVE, STORE_SEEN | STORE_DELETED));
	assert_ok(set_flags(f, "Inbox", "5", STORE_FLAGS_REPLACE, STORE_FLAGGED));
	for (int round = 0; round < 2; round++) {
		assert_string_equal(uids_text(f, "Inbox", true), "1(D),2(SD),3(),4(),5(F)");
		assert_int_equal(mailbox(f, "Inbox").n_unseen, 4);
		assert_int_equal(mailbox(f, "Inbox").n_deleted, 2);
		assert_int_equal(mailbox(f, "Inbox").highest_modseq, before + 4);
		fixture_reopen(f);
	}
	/* Nothing changes: no new modseq. */
	assert_ok(set_flags(f, "Inbox", "1:2", STORE_FLAGS_ADD, STORE_DELETED));
	assert_int_equal(mailbox(f, "Inbox").highest_modseq, before + 4);
}

static void expunge_removes_the_deleted(void **state)
{
	struct fixture *f = *state;
	uint32_t n;
	for (int i = 0; i < 6; i++)
		add(f, "Inbox", "x");
	assert_ok(set_flags(f, "Inbox", "2,4:5", STORE_FLAGS_ADD, STORE_DELETED));
	assert_ok(store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, "1:4"), true, &n));
	assert_int_equal(n, 2);
	assert_string_equal(uids_text(f, "Inbox", false), "1,3,5,6");
	assert_ok(store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, "6"), false, &n));
	assert_ok(store_expunge(f->store, mailbox_id(f, "Inbox"), (struct store_uids){NULL, 0},
	                        true, &n));
	assert_string_equal(uids_text(f, "Inbox", false), "1,3");
	fixture_reopen(f);
	assert_string_equal(uids_text(f, "Inbox", false), "1,3");
	assert_int_equal(add(f, "Inbox", "y").v, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_new_account_has_its_mailboxes, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(what_was_added_is_there_after_reopening, set_up,
	                                        tear_down),
	        cmocka_unit_test_setup_teardown(flags_change_only_what_was_named, set_up,
	                                        tear_down),
	        cmocka_unit_test_setup_teardown(expunge_removes_the_deleted, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
