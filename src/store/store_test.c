/* The store as its users see it: adding, flags, copying, expunging, reading, in one thread. */
#include "os/fd.h"
#include "store/store_testing.h"

#include <fcntl.h>
#include <sys/stat.h>

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

/* ---- keywords, UNCHANGEDSINCE ---------------------------------------------------------------- */

static struct status set_keywords(struct fixture *f, const char *uids, enum store_flags_op op,
                                  const struct slice *keywords, size_t n_keywords)
{
	struct store_uid *modified;
	size_t n;
	return store_flags_update(f->store, mailbox_id(f, "Inbox"), uid_set(f, uids), op, 0,
	                          keywords, n_keywords, UINT64_MAX, &f->arena, &modified, &n);
}

static void keywords_get_bits_in_order(void **state)
{
	struct fixture *f = *state;
	struct slice ab[] = {SLICE("$A"), SLICE("b")}, b[] = {SLICE("B")}, c[] = {SLICE("c")};
	add(f, "Inbox", "x");
	add(f, "Inbox", "y");
	assert_ok(set_keywords(f, "1", STORE_FLAGS_ADD, ab, 2));
	assert_ok(set_keywords(f, "2", STORE_FLAGS_ADD, b, 1));
	assert_ok(set_keywords(f, "2", STORE_FLAGS_REMOVE, c, 1)); /* makes no new one */
	fixture_reopen(f);
	assert_string_equal(uids_text(f, "Inbox", true), "1(01),2(1)");
	assert_ok(set_keywords(f, "1:2", STORE_FLAGS_REMOVE, b, 1));
	assert_ok(set_keywords(f, "2", STORE_FLAGS_REPLACE, c, 1));
	assert_string_equal(uids_text(f, "Inbox", true), "1(0),2(2)");
	struct store_view *view;
	const struct slice *names;
	assert_ok(store_view_open(f->store, mailbox_id(f, "Inbox"), &view));
	assert_int_equal(store_view_keywords(view, &names), 3);
	assert_true(slice_eq_str(names[0], "$A") && slice_eq_str(names[1], "b") &&
	            slice_eq_str(names[2], "c"));
	store_view_unref(view);
}

static void keywords_have_limits(void **state)
{
	struct fixture *f = *state;
	char text[STORE_KEYWORD_SIZE_MAX + 1];
	struct slice names[STORE_KEYWORDS_MAX + 1];
	static const char *const bad[] = {"", "a b", "a\x7f", "a\xc3\xa9", "\x01"};
	memset(text, 'k', sizeof(text));
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		names[i] = slice_str(arena_printf(&f->arena, "k%zu", i));
	add(f, "Inbox", "x");
	struct slice longest = slice_of(text, STORE_KEYWORD_SIZE_MAX);
	struct slice too_long = slice_of(text, sizeof(text));
	assert_err(set_keywords(f, "1", STORE_FLAGS_ADD, &too_long, 1), ERR_LIMIT);
	assert_err(set_keywords(f, "1", STORE_FLAGS_ADD, names, N_ELEMENTS(names)), ERR_LIMIT);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct slice name = slice_str(bad[i]);
		assert_err(set_keywords(f, "1", STORE_FLAGS_ADD, &name, 1), ERR_INVALID);
	}
	assert_string_equal(uids_text(f, "Inbox", true), "1()");
	assert_ok(set_keywords(f, "1", STORE_FLAGS_ADD, &longest, 1));
	assert_err(set_keywords(f, "1", STORE_FLAGS_ADD, names, STORE_KEYWORDS_MAX), ERR_LIMIT);
	assert_ok(set_keywords(f, "1", STORE_FLAGS_REPLACE, names, STORE_KEYWORDS_MAX - 1));
	assert_err(set_keywords(f, "1", STORE_FLAGS_ADD, &names[STORE_KEYWORDS_MAX - 1], 1),
	           ERR_LIMIT);
	struct store_append a = {.mailbox = mailbox_id(f, "Inbox"),
	                         .fd = f->dir_fd,
	                         .prefix = slice_empty(),
	                         .delivery_id = slice_empty(),
	                         .keywords = &names[STORE_KEYWORDS_MAX - 1],
	                         .n_keywords = 1};
	store_append(f->store, &a, 1, false);
	assert_err(a.status, ERR_LIMIT);
}

static void changed_messages_are_left_alone_and_named(void **state)
{
	struct fixture *f = *state;
	struct store_uid *modified;
	size_t n;
	for (int i = 0; i < 4; i++)
		add(f, "Inbox", "x");
	uint64_t since = mailbox(f, "Inbox").highest_modseq;
	assert_ok(set_flags(f, "Inbox", "2,4", STORE_FLAGS_ADD, STORE_FLAGGED));
	assert_ok(store_flags_update(f->store, mailbox_id(f, "Inbox"), uid_set(f, "1:4"),
	                             STORE_FLAGS_ADD, STORE_SEEN, NULL, 0, since, &f->arena,
	                             &modified, &n));
	assert_int_equal(n, 2);
	assert_int_equal(modified[0].v, 2);
	assert_int_equal(modified[1].v, 4);
	assert_string_equal(uids_text(f, "Inbox", true), "1(S),2(F),3(S),4(F)");
}

static void sets_must_ascend(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"0", "2:1", "1,1", "1:3,3", "5,4"};
	uint32_t n;
	add(f, "Inbox", "x");
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_err(set_flags(f, "Inbox", bad[i], STORE_FLAGS_ADD, STORE_SEEN), ERR_INVALID);
		assert_err(store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, bad[i]),
		                         false, &n),
		           ERR_INVALID);
	}
	assert_err(store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, ""), false, &n),
	           ERR_INVALID);
	assert_err(
	        store_expunge(f->store, (struct store_mailbox_id){77}, uid_set(f, "1"), false, &n),
	        ERR_NOT_FOUND);
	assert_string_equal(uids_text(f, "Inbox", true), "1()");
}

/* ---- copying and moving ---------------------------------------------------------------------- */

static size_t copy(struct fixture *f, const char *from, const char *uids, const char *to, bool move)
{
	struct store_uid *old_uids, *new_uids;
	uint32_t validity;
	size_t n;
	assert_ok(store_copy(f->store, mailbox_id(f, from), uid_set(f, uids), mailbox_id(f, to),
	                     move, &f->arena, &validity, &old_uids, &new_uids, &n));
	assert_int_equal(validity, mailbox(f, to).uid_validity);
	for (size_t i = 1; i < n; i++)
		assert_true(old_uids[i].v > old_uids[i - 1].v && new_uids[i].v > new_uids[i - 1].v);
	return n;
}

static struct store_entry entry(struct fixture *f, const char *mailbox, uint32_t index)
{
	struct store_view *view;
	assert_ok(store_view_open(f->store, mailbox_id(f, mailbox), &view));
	struct store_entry e = *store_view_at(view, index);
	store_view_unref(view);
	return e;
}

static void a_copy_shares_the_message_and_its_keywords(void **state)
{
	struct fixture *f = *state;
	struct slice one[] = {SLICE("one")}, two[] = {SLICE("two")};
	for (int i = 0; i < 3; i++)
		add(f, "Inbox", "x");
	assert_ok(set_keywords(f, "1", STORE_FLAGS_ADD, one, 1));
	assert_ok(set_keywords(f, "2", STORE_FLAGS_ADD, two, 1));
	fixture_set_time(1800000000);
	assert_int_equal(copy(f, "Inbox", "2:3", "Archive", false), 2);
	/* "two" is Archive's first keyword. */
	assert_string_equal(uids_text(f, "Archive", true), "1(0),2()");
	assert_string_equal(uids_text(f, "Inbox", true), "1(0),2(1),3()");
	struct store_entry old = entry(f, "Inbox", 1), new = entry(f, "Archive", 0);
	assert_int_equal(old.message.v, new.message.v);
	assert_int_equal(new.received_at, old.received_at);
	assert_int_equal(new.saved_at, 1800000000);
	fixture_verify(f);
	struct store_usage usage;
	assert_ok(store_usage(f->store, &usage));
	assert_int_equal(usage.n_messages, 5);
	assert_int_equal(copy(f, "Archive", "9:10", "Inbox", false), 0);
}

static void the_last_entry_takes_the_message_along(void **state)
{
	struct fixture *f = *state;
	uint32_t n;
	CLEANUP(base_freep) char *large = test_body(1, 100000);
	add(f, "Inbox", "small");
	add(f, "Inbox", large);
	assert_int_equal(copy(f, "Inbox", "1:2", "Archive", false), 2);
	assert_int_equal(copy(f, "Inbox", "1:2", "Inbox", false), 2);
	struct store_message_id small = entry(f, "Inbox", 0).message;
	struct store_message_id in_file = entry(f, "Inbox", 1).message;
	assert_ok(store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, "1:4"), false, &n));
	assert_ok(store_idle(f->store));
	fixture_verify(f);
	assert_true(slice_eq_str(message_bytes(f, small), "small"));
	struct store_blob *held, *blob;
	assert_ok(store_blob_open(f->store, in_file, &held));
	assert_ok(store_expunge(f->store, mailbox_id(f, "Archive"), uid_set(f, "1:2"), false, &n));
	assert_ok(store_idle(f->store));
	assert_err(store_blob_open(f->store, small, &blob), ERR_NOT_FOUND);
	assert_err(store_blob_open(f->store, in_file, &blob), ERR_NOT_FOUND);
	uint8_t byte;
	size_t got;
	struct store_reader *r = store_blob_reader(held);
	assert_ok(r->read(r, 99999, &byte, 1, &got));
	assert_true(got == 1 && byte == (uint8_t)large[99999]);
	store_blob_free(held);
}

static void moving_keeps_one_message(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 5; i++)
		add(f, "Inbox", "x");
	assert_ok(set_flags(f, "Inbox", "2", STORE_FLAGS_ADD, STORE_ANSWERED));
	assert_int_equal(copy(f, "Inbox", "2,4", "Trash", true), 2);
	assert_string_equal(uids_text(f, "Inbox", false), "1,3,5");
	assert_string_equal(uids_text(f, "Trash", true), "1(A),2()");
	/* In its own mailbox: new UIDs, though the set covers them too. */
	assert_int_equal(copy(f, "Inbox", "3:4294967295", "Inbox", true), 2);
	assert_string_equal(uids_text(f, "Inbox", false), "1,6,7");
	fixture_reopen(f);
	assert_string_equal(uids_text(f, "Inbox", false), "1,6,7");
	assert_int_equal(mailbox(f, "Inbox").highest_modseq, entry(f, "Inbox", 2).modseq);
}

/* ---- limits and once-only -------------------------------------------------------------------- */

static void the_quota_is_kept(void **state)
{
	struct fixture *f = *state;
	struct store_uid *old_uids, *new_uids;
	uint32_t validity;
	size_t n;
	f->options.quota_size = 100;
	fixture_reopen(f);
	struct store_mailbox_id inbox = mailbox_id(f, "Inbox");
	CLEANUP(base_freep) char *body = test_body(1, 60);
	assert_ok(append(f, inbox, slice_of(body, 60), 0, NULL));
	assert_err(append(f, inbox, slice_of(body, 41), 0, NULL), ERR_QUOTA);
	assert_err(store_copy(f->store, inbox, uid_set(f, "1"), mailbox_id(f, "Sent"), false,
	                      &f->arena, &validity, &old_uids, &new_uids, &n),
	           ERR_QUOTA);
	assert_int_equal(copy(f, "Inbox", "1", "Sent", true), 1);
	assert_ok(append(f, inbox, slice_of(body, 40), 0, NULL));
	assert_err(append(f, inbox, slice_of(body, 1), 0, NULL), ERR_QUOTA);
	struct store_usage usage;
	assert_ok(store_usage(f->store, &usage));
	assert_int_equal(usage.size, 100);
	assert_int_equal(usage.quota, 100);
}

static struct store_append delivery(struct fixture *f, const char *id)
{
	return (struct store_append){.mailbox = mailbox_id(f, "Inbox"),
	                             .fd = f->dir_fd, /* of which no byte is read */
	                             .prefix = SLICE("p"),
	                             .delivery_id = slice_str(id)};
}

static void a_delivery_happens_once_a_day(void **state)
{
	struct fixture *f = *state;
	struct store_append a = delivery(f, "id-1"), b = delivery(f, "id-2");
	store_append(f->store, &a, 1, false);
	assert_ok(a.status);
	for (int round = 0; round < 2; round++) {
		struct store_append again[] = {delivery(f, "id-1"), b, delivery(f, "id-2")};
		store_append(f->store, again, 3, true);
		assert_ok(again[0].status);
		assert_int_equal(again[0].uid.v, a.uid.v);
		assert_int_equal(again[0].uid_validity, a.uid_validity);
		assert_int_equal(again[0].message.v, a.message.v);
		assert_int_equal(again[1].uid.v, 2);
		assert_int_equal(again[2].uid.v, 2);
		fixture_reopen(f);
	}
	fixture_set_time(1700000000 + 24 * 3600 + 1);
	struct store_append late = delivery(f, "id-1");
	store_append(f->store, &late, 1, false);
	assert_ok(late.status);
	assert_int_equal(late.uid.v, 3);
	char long_id[66] = {0};
	memset(long_id, 'x', 65);
	struct store_append bad = delivery(f, long_id);
	store_append(f->store, &bad, 1, false);
	assert_err(bad.status, ERR_LIMIT);
}

static void one_failure_may_undo_all(void **state)
{
	struct fixture *f = *state;
	for (int all = 0; all < 2; all++) {
		struct slice keyword = SLICE("kept?");
		struct store_append a[] = {delivery(f, ""), delivery(f, ""), delivery(f, "")};
		a[0].keywords = &keyword;
		a[0].n_keywords = 1;
		a[1].mailbox.v = 999;
		store_append(f->store, a, 3, all == 0);
		assert_err(a[1].status, ERR_NOT_FOUND);
		if (all == 0) {
			assert_false(is_ok(a[0].status) || is_ok(a[2].status));
			assert_string_equal(uids_text(f, "Inbox", false), "");
		} else {
			assert_ok(a[0].status);
			assert_ok(a[2].status);
			assert_string_equal(uids_text(f, "Inbox", true), "1(0),2()");
		}
		fixture_verify(f);
	}
	/* One that cannot even be prepared. */
	struct store_append a[] = {delivery(f, ""), delivery(f, "")};
	a[0].size = 100; /* a directory cannot be read */
	store_append(f->store, a, 2, true);
	assert_false(is_ok(a[0].status));
	assert_err(a[1].status, ERR_CANCELED);
	assert_string_equal(uids_text(f, "Inbox", false), "1,2");
}

static void a_prefix_stands_before_the_body(void **state)
{
	struct fixture *f = *state;
	CLEANUP(base_freep) char *large = test_body(5, 200000);
	struct store_spool *spool;
	assert_ok(store_spool_new(f->store, &spool));
	for (size_t at = 0; at < 200000; at += 10000) {
		assert_ok(store_spool_write(spool, slice_of(large + at, 10000)));
		assert_int_equal(store_spool_size(spool), at + 10000);
	}
	/* One spool, three messages: a file is copied, not shared. */
	struct store_append a[] = {delivery(f, ""), delivery(f, "")}, b = delivery(f, "");
	a[0].spool = a[1].spool = b.spool = spool;
	a[1].prefix = SLICE("Another: prefix\r\n");
	store_append(f->store, a, 2, true);
	store_append(f->store, &b, 1, true);
	assert_err(store_spool_write(spool, SLICE("x")), ERR_INVALID);
	assert_ok(a[0].status);
	assert_ok(a[1].status);
	assert_ok(b.status);
	assert_true(a[0].message.v != a[1].message.v && a[1].message.v != b.message.v);
	store_spool_free(spool);
	struct slice bytes = message_bytes(f, a[1].message), prefix;
	assert_int_equal(bytes.n, 200000 + a[1].prefix.n);
	assert_true(slice_starts(bytes, a[1].prefix));
	assert_true(slice_eq(slice_from(bytes, a[1].prefix.n), slice_of(large, 200000)));
	struct store_blob *blob;
	int fd;
	assert_ok(store_blob_open(f->store, a[1].message, &blob));
	assert_false(store_blob_bytes(blob, &bytes));
	assert_true(store_blob_file(blob, &prefix, &fd));
	assert_true(slice_eq(prefix, a[1].prefix));
	store_blob_free(blob);
	char *too_long = test_body(1, STORE_PREFIX_MAX + 1);
	b.prefix = slice_of(too_long, STORE_PREFIX_MAX + 1);
	b.spool = NULL;
	store_append(f->store, &b, 1, true);
	assert_err(b.status, ERR_LIMIT);
	base_free(too_long);
}

static void a_spool_that_is_not_used_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	CLEANUP(base_freep) char *large = test_body(5, 100000);
	struct store_spool *spool;
	assert_ok(store_spool_new(f->store, &spool));
	assert_ok(store_spool_write(spool, slice_of(large, 100000)));
	struct store_reader *r = store_spool_reader(spool);
	uint8_t back[100];
	size_t n;
	assert_ok(r->read(r, 99950, back, sizeof(back), &n));
	assert_int_equal(n, 50);
	assert_memory_equal(back, large + 99950, 50);
	struct store_append a = delivery(f, "");
	a.spool = spool;
	a.mailbox.v = 999;
	store_append(f->store, &a, 1, false);
	assert_err(a.status, ERR_NOT_FOUND);
	store_spool_free(spool);
	store_spool_free(NULL);
	fixture_verify(f); /* no file */
}

/* ---- views ----------------------------------------------------------------------------------- */

struct story {
	struct fixture *f;
	const char *text;
	uint32_t n;
};

static void tell_expunged(void *context, uint32_t index, const struct store_entry *entry)
{
	struct story *s = context;
	s->text = arena_printf(&s->f->arena, "%s -%" PRIu32 "@%" PRIu32, s->text, entry->uid.v,
	                       index);
}

static void tell_changed(void *context, uint32_t index, const struct store_entry *entry)
{
	struct story *s = context;
	s->text = arena_printf(&s->f->arena, "%s *%" PRIu32 "@%" PRIu32, s->text, entry->uid.v,
	                       index);
}

static void tell_added(void *context, uint32_t count, uint32_t n)
{
	struct story *s = context;
	s->text = arena_printf(&s->f->arena, "%s +%" PRIu32 "=%" PRIu32, s->text, n, count);
}

static const struct store_view_diff_ops story_ops = {tell_expunged, tell_changed, tell_added};

static const char *diff(struct fixture *f, const struct store_view *from,
                        const struct store_view *to)
{
	struct story story = {f, "", 0};
	store_view_diff(from, to, &story_ops, &story);
	return story.text;
}

static void a_view_stays_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct store_view *old, *new;
	uint32_t n;
	struct store_mailbox_id inbox = mailbox_id(f, "Inbox");
	for (int i = 0; i < 6; i++)
		add(f, "Inbox", "x");
	assert_ok(store_view_open(f->store, inbox, &old));
	assert_ok(set_flags(f, "Inbox", "3,5", STORE_FLAGS_ADD, STORE_SEEN));
	add(f, "Inbox", "x");
	assert_ok(store_expunge(f->store, inbox, uid_set(f, "2,5"), false, &n));
	add(f, "Inbox", "x");
	assert_ok(store_view_open(f->store, inbox, &new));
	assert_int_equal(store_view_count(old), 6);
	assert_int_equal(store_view_at(old, 2)->flags, 0);
	assert_int_equal(store_view_uid_next(old), 7);
	assert_string_equal(diff(f, old, new), " -5@4 -2@1 *3@1 +2=6");
	assert_string_equal(diff(f, old, old), "");
	assert_true(store_view_modseq(new) > store_view_modseq(old));
	assert_int_equal(store_view_uid_validity(new), mailbox(f, "Inbox").uid_validity);
	store_view_unref(old);
	store_view_unref(new);
	store_view_unref(NULL);
}

/* Against a list kept by hand, over several pages. */
static const struct store_entry *find_uid(const struct store_view *view, struct store_uid uid)
{
	uint32_t i = store_view_lower_bound(view, uid);
	return i < store_view_count(view) && store_view_at(view, i)->uid.v == uid.v
	               ? store_view_at(view, i)
	               : NULL;
}

/* The same as diff, entry by entry. */
static const char *slow_diff(struct fixture *f, const struct store_view *from,
                             const struct store_view *to)
{
	struct story story = {f, "", 0};
	uint32_t n_added = 0;
	for (uint32_t i = store_view_count(from); i-- > 0;)
		if (!find_uid(to, store_view_at(from, i)->uid))
			tell_expunged(&story, i, store_view_at(from, i));
	for (uint32_t i = 0; i < store_view_count(to); i++) {
		const struct store_entry *new = store_view_at(to, i),
		                         *old = find_uid(from, new->uid);
		n_added += !old;
		if (old && (old->flags != new->flags || old->modseq != new->modseq))
			tell_changed(&story, i, new);
	}
	if (n_added > 0)
		tell_added(&story, store_view_count(to), n_added);
	return story.text;
}

static void views_follow_many_changes(void **state)
{
	struct fixture *f = *state;
	enum { N = 700, ROUNDS = 60 };
	bool present[N + ROUNDS + 1] = {false};
	struct store_view *old, *new;
	struct store_append *a = base_alloc(N * sizeof(a[0]));
	uint64_t x = 12345;
	uint32_t last = N, n;
	for (int i = 0; i < N; i++) {
		a[i] = delivery(f, "");
		present[i + 1] = true;
	}
	store_append(f->store, a, N, true);
	base_free(a);
	struct store_mailbox_id inbox = mailbox_id(f, "Inbox");
	assert_ok(store_view_open(f->store, inbox, &old));
	for (int round = 0; round < ROUNDS; round++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		uint32_t first = 1 + (uint32_t)(x >> 33) % last,
		         end = first + (uint32_t)(x >> 50) % 40;
		struct store_uid_range range = {{first}, {end}};
		if (round % 3 == 0) {
			assert_ok(append(f, inbox, SLICE("x"), 0, NULL));
			present[++last] = true;
		} else if (round % 3 == 1) {
			assert_ok(store_expunge(f->store, inbox, (struct store_uids){&range, 1},
			                        false, &n));
			for (uint32_t uid = first; uid <= MIN(end, last); uid++)
				present[uid] = false;
		} else {
			assert_ok(set_flags(f, "Inbox",
			                    arena_printf(&f->arena, "%u:%u", first, end),
			                    STORE_FLAGS_REPLACE, x >> 40 & STORE_SEEN));
		}
		if (round % 7 == 0)
			assert_ok(store_idle(f->store));
		if (round % 10 == 9) {
			fixture_reopen(f);
			fixture_verify(f);
		}
		assert_ok(store_view_open(f->store, inbox, &new));
		assert_string_equal(diff(f, old, new), slow_diff(f, old, new));
		uint32_t index = 0;
		for (uint32_t uid = 1; uid <= last; uid++) {
			assert_int_equal(store_view_lower_bound(new, (struct store_uid){uid}),
			                 index);
			if (!present[uid])
				continue;
			assert_int_equal(store_view_at(new, index)->uid.v, uid);
			index++;
		}
		assert_int_equal(store_view_count(new), index);
		assert_int_equal(store_view_lower_bound(new, (struct store_uid){UINT32_MAX}),
		                 index);
		if (round % 4 == 1) { /* else the next difference is of more than one change */
			store_view_unref(old);
			old = store_view_ref(new);
		}
		store_view_unref(new);
	}
	store_view_unref(old);
}

static void expunged_uids_are_remembered(void **state)
{
	struct fixture *f = *state;
	struct store_uid *uids;
	uint64_t modseqs[4];
	size_t n;
	bool complete;
	uint32_t n_gone;
	struct store_mailbox_id inbox = mailbox_id(f, "Inbox");
	f->options.expunged_keep = 5;
	fixture_reopen(f);
	for (int i = 0; i < 10; i++)
		add(f, "Inbox", "x");
	static const char *const sets[] = {"9", "1:2,4", "7:8"};
	for (int i = 0; i < 3; i++) {
		modseqs[i] = mailbox(f, "Inbox").highest_modseq;
		assert_ok(store_expunge(f->store, inbox, uid_set(f, sets[i]), false, &n_gone));
	}
	/* Six are one too many: the first change is forgotten. */
	static const struct {
		int since;
		bool complete;
		const char *uids;
	} cases[] = {{0, false, "1 2 4 7 8 9 "}, {1, true, "1 2 4 7 8 "}, {2, true, "7 8 "}};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		fixture_reopen(f);
		const char *text = "";
		assert_ok(store_expunged_since(f->store, inbox, modseqs[cases[i].since], &f->arena,
		                               &uids, &n, &complete));
		for (size_t j = 0; j < n; j++)
			text = arena_printf(&f->arena, "%s%u ", text, uids[j].v);
		assert_string_equal(text, cases[i].uids);
		assert_int_equal(complete, cases[i].complete);
	}
	assert_ok(store_expunged_since(f->store, mailbox_id(f, "Sent"), modseqs[1], &f->arena,
	                               &uids, &n, &complete));
	assert_int_equal(n, 0);
	assert_err(store_expunged_since(f->store, (struct store_mailbox_id){99}, 1, &f->arena,
	                                &uids, &n, &complete),
	           ERR_NOT_FOUND);
}

static void watchers_are_told(void **state)
{
	struct fixture *f = *state;
	struct store_watcher all = {.event_fd = -1}, sent = {.event_fd = -1},
	                     own = {.event_fd = -1};
	assert_ok(eventfd_new(&own.event_fd));
	int own_fd = own.event_fd;
	assert_ok(store_watch(f->store, (struct store_mailbox_id){0}, &all));
	assert_ok(store_watch(f->store, mailbox_id(f, "Sent"), &sent));
	assert_ok(store_watch(f->store, mailbox_id(f, "Inbox"), &own));
	assert_int_equal(own.event_fd, own_fd);
	add(f, "Inbox", "x");
	assert_int_equal(eventfd_drain(all.event_fd), 1);
	assert_int_equal(eventfd_drain(sent.event_fd), 0);
	assert_int_equal(eventfd_drain(own.event_fd), 1);
	assert_int_equal(copy(f, "Inbox", "1", "Sent", false), 1);
	assert_int_equal(eventfd_drain(sent.event_fd), 1);
	assert_int_equal(eventfd_drain(own.event_fd), 0);
	eventfd_drain(all.event_fd);
	assert_ok(store_subscribe(f->store, SLICE("new"), true));
	assert_int_equal(eventfd_drain(all.event_fd), 1);
	assert_int_equal(eventfd_drain(sent.event_fd), 0);
	assert_ok(store_mailbox_delete(f->store, SLICE("Sent")));
	assert_int_equal(eventfd_drain(sent.event_fd), 1);
	store_unwatch(f->store, &sent);
	store_unwatch(f->store, &sent);
	store_unwatch(f->store, &own);
	assert_int_equal(eventfd_drain(own_fd), 0); /* still open */
	fd_close(&own_fd);
	store_unwatch(f->store, &all);
}

/* ---- summaries ------------------------------------------------------------------------------- */

static bool want_even(void *context, uint32_t index, const struct store_entry *entry)
{
	(void)context;
	(void)index;
	return entry->uid.v % 2 == 0;
}

static struct status tell_summary(void *context, uint32_t index, const struct store_entry *entry,
                                  const struct store_summary *summary)
{
	struct story *s = context;
	(void)index;
	s->text = arena_printf(&s->f->arena, "%s%u:%.*s,%.*s,%.*s,%d ", s->text, entry->uid.v,
	                       SLICE_FMT(summary->envelope), SLICE_FMT(summary->bodystructure),
	                       SLICE_FMT(summary->body), summary->sent_day);
	return ++s->n == 3 ? fail(ERR_CLOSED, "enough") : ok();
}

static void summaries_come_in_order(void **state)
{
	struct fixture *f = *state;
	struct store_view *view;
	uint32_t n;
	struct store_summary_ops ops = {NULL, tell_summary};
	struct story story = {f, "", 0};
	add(f, "Inbox", "one");
	add(f, "Inbox", "Date: 864000\nx");
	add(f, "Archive", "three");
	assert_int_equal(copy(f, "Archive", "1", "Inbox", false), 1);
	assert_int_equal(copy(f, "Inbox", "1:2", "Inbox", false), 2); /* ids go back */
	assert_ok(store_view_open(f->store, mailbox_id(f, "Inbox"), &view));
	assert_err(store_summaries(f->store, view, 0, 99, 7, &ops, &story), ERR_CLOSED);
	assert_string_equal(story.text, "1:(one),(one) 3,3,0 "
	                                "2:(Date: 864000),(Date: 864000) 14,14,10 "
	                                "3:(three),(three) 5,5,0 ");
	story = (struct story){f, "", 0};
	ops.want = want_even;
	assert_ok(store_summaries(f->store, view, 0, 3, STORE_COLUMN_ENVELOPE, &ops, &story));
	assert_string_equal(story.text, "2:(Date: 864000),,,10 4:(one),,,0 ");
	story = (struct story){f, "", 0};
	assert_ok(store_summaries(f->store, view, 4, 3, 7, &ops, &story));
	assert_ok(store_summaries(f->store, view, 5, 9, 7, &ops, &story));
	assert_string_equal(story.text, "");
	/* Gone meanwhile: skipped. */
	assert_ok(store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, "2,5"), false, &n));
	assert_ok(store_idle(f->store));
	assert_ok(store_summaries(f->store, view, 0, 4, STORE_COLUMN_BODY, &ops, &story));
	assert_string_equal(story.text, "4:,,3,0 ");
	store_view_unref(view);
}

static struct status count_summary(void *context, uint32_t index, const struct store_entry *entry,
                                   const struct store_summary *summary)
{
	uint32_t *next = context;
	(void)entry;
	assert_int_equal(index, (*next)++);
	assert_true(summary->envelope.n > 0);
	return ok();
}

static void many_summaries_come_in_pieces(void **state)
{
	struct fixture *f = *state;
	enum { N = 1500 };
	struct store_append *a = base_alloc(N * sizeof(a[0]));
	for (int i = 0; i < N; i++)
		a[i] = delivery(f, "");
	store_append(f->store, a, N, true);
	base_free(a);
	struct store_view *view;
	uint32_t next = 0;
	const struct store_summary_ops ops = {NULL, count_summary};
	assert_ok(store_view_open(f->store, mailbox_id(f, "Inbox"), &view));
	assert_ok(store_summaries(f->store, view, 0, N, STORE_COLUMN_ENVELOPE, &ops, &next));
	assert_int_equal(next, N);
	store_view_unref(view);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void an_account_is_open_once(void **state)
{
	struct fixture *f = *state;
	struct store *second;
	assert_err(store_open(f->dir_fd, &f->options, &second), ERR_BUSY);
	assert_ok(store_idle(f->store));
	assert_err(store_open(f->dir_fd, &f->options, &second), ERR_BUSY);
}

static void count_finding(void *context, const char *text)
{
	(void)text;
	(*(int *)context)++;
}

static int findings(struct fixture *f)
{
	int n = 0;
	assert_ok(store_verify(f->store, count_finding, &n));
	return n;
}

/* Path of a message's file below the account's directory. */
static const char *file_of(struct fixture *f, struct store_message_id id)
{
	return arena_printf(&f->arena, "msg/%02x/%" PRId64, (unsigned)(id.v / 256 % 256), id.v);
}

static void damaged_files_are_found(void **state)
{
	struct fixture *f = *state;
	CLEANUP(base_freep) char *large = test_body(5, 100000);
	struct store_blob *blob;
	add(f, "Inbox", large);
	struct store_message_id id = entry(f, "Inbox", 0).message;
	CLEANUP(fd_close) int fd = openat(f->dir_fd, file_of(f, id), O_RDWR);
	assert_true(fd >= 0);
	/* One byte. */
	assert_int_equal(pwrite(fd, "!", 1, 50000), 1);
	assert_int_equal(findings(f), 1);
	assert_ok(store_blob_open(f->store, id, &blob));
	struct store_reader *r = store_blob_reader(blob);
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(100000);
	size_t n;
	assert_ok(r->read(r, 50000, bytes, 10, &n)); /* a part cannot be checked */
	assert_ok(r->read(r, 0, bytes, 60000, &n));
	assert_err(r->read(r, 60000, bytes, 40000, &n), ERR_CORRUPT);
	store_blob_free(blob);
	/* Too short. */
	assert_int_equal(ftruncate(fd, 99999), 0);
	assert_int_equal(findings(f), 1);
	assert_err(store_blob_open(f->store, id, &blob), ERR_CORRUPT);
	/* Gone. */
	assert_int_equal(unlinkat(f->dir_fd, file_of(f, id), 0), 0);
	assert_int_equal(findings(f), 1);
	assert_err(store_blob_open(f->store, id, &blob), ERR_CORRUPT);
	/* One that nobody knows, and none of ours. */
	uint32_t n_gone;
	assert_ok(store_expunge(f->store, mailbox_id(f, "Inbox"), uid_set(f, "1"), false, &n_gone));
	assert_ok(store_idle(f->store));
	int other = openat(f->dir_fd, file_of(f, id), O_CREAT | O_WRONLY, 0600);
	assert_int_equal(findings(f), 1);
	fd_close(&other);
	other = openat(f->dir_fd, "msg/00/README", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(findings(f), 2);
	fd_close(&other);
	unlinkat(f->dir_fd, "msg/00/README", 0);
	unlinkat(f->dir_fd, file_of(f, id), 0);
}

static void leftovers_are_swept(void **state)
{
	struct fixture *f = *state;
	CLEANUP(base_freep) char *large = test_body(5, 100000);
	add(f, "Inbox", large);
	struct store_message_id id = entry(f, "Inbox", 0).message;
	store_close(f->store);
	struct stat st;
	assert_int_not_equal(fstatat(f->dir_fd, "msg/unclean", &st, 0), 0);
	assert_int_equal(mkdirat(f->dir_fd, "msg/10", 0700), 0);
	int fd = openat(f->dir_fd, "msg/10/4097", O_CREAT | O_WRONLY, 0600);
	fd_close(&fd);
	fd = openat(f->dir_fd, "msg/unclean", O_CREAT | O_WRONLY, 0600);
	fd_close(&fd);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
	assert_int_not_equal(fstatat(f->dir_fd, "msg/10/4097", &st, 0), 0);
	assert_true(slice_eq(message_bytes(f, id), slice_of(large, 100000)));
}

static void write_at(struct fixture *f, const char *name, const char *bytes, off_t at)
{
	int fd = openat(f->dir_fd, name, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
	fd_close(&fd);
}

static void a_damaged_index_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store *store;
	store_close(f->store);
	write_at(f, "index.db", "this is no database at all", 0);
	assert_err(store_open(f->dir_fd, &f->options, &store), ERR_CORRUPT);
	unlinkat(f->dir_fd, "index.db", 0);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
	store_close(f->store);
	write_at(f, "index.db", "\x7f", 63); /* low byte of user_version: a newer schema */
	assert_err(store_open(f->dir_fd, &f->options, &store), ERR_UNSUPPORTED);
	write_at(f, "index.db", "\x03", 63); /* SCHEMA_VERSION again */
	write_at(f, "index.db", "else", 68); /* application_id */
	assert_err(store_open(f->dir_fd, &f->options, &store), ERR_CORRUPT);
	write_at(f, "index.db", "mkp1", 68);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
}

/* As in a room behind chroot, which has no /proc to go through. */
static void the_working_directory_will_do(void **state)
{
	struct fixture *f = *state;
	CLEANUP(fd_close) int before = openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fchdir(f->dir_fd), 0);
	fixture_reopen(f);
	add(f, "Inbox", "x");
	assert_ok(store_idle(f->store));
	add(f, "Inbox", "y");
	fixture_reopen(f);
	assert_string_equal(uids_text(f, "Inbox", false), "1,2");
	store_close(f->store);
	assert_int_equal(fchdir(before), 0);
	assert_ok(store_open(f->dir_fd, &f->options, &f->store));
	assert_string_equal(uids_text(f, "Inbox", false), "1,2");
}

static void a_failing_summary_fails_the_append(void **state)
{
	struct fixture *f = *state;
	struct store_mailbox_id inbox = mailbox_id(f, "Inbox");
	CLEANUP(base_freep) char *large = test_body(5, 100000);
	memcpy(large, "unsummarizable\n", 15);
	assert_err(append(f, inbox, SLICE("unsummarizable"), 0, NULL), ERR_IO);
	assert_err(append(f, inbox, slice_of(large, 100000), 0, NULL), ERR_IO);
	assert_string_equal(uids_text(f, "Inbox", false), "");
}

static void unknown_ids_are_not_found(void **state)
{
	struct fixture *f = *state;
	static const int64_t ids[] = {0, -1, 99, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < N_ELEMENTS(ids); i++) {
		struct store_view *view;
		struct store_blob *blob;
		struct store_mailbox m;
		struct store_mailbox_id id = {ids[i]};
		assert_err(store_view_open(f->store, id, &view), ERR_NOT_FOUND);
		assert_err(store_mailbox_get(f->store, id, &f->arena, &m), ERR_NOT_FOUND);
		assert_err(store_blob_open(f->store, (struct store_message_id){ids[i]}, &blob),
		           ERR_NOT_FOUND);
		assert_err(append(f, id, SLICE("x"), 0, NULL), ERR_NOT_FOUND);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_new_account_has_its_mailboxes),
	        TEST(what_was_added_is_there_after_reopening),
	        TEST(flags_change_only_what_was_named),
	        TEST(expunge_removes_the_deleted),
	        TEST(keywords_get_bits_in_order),
	        TEST(keywords_have_limits),
	        TEST(changed_messages_are_left_alone_and_named),
	        TEST(sets_must_ascend),
	        TEST(a_copy_shares_the_message_and_its_keywords),
	        TEST(the_last_entry_takes_the_message_along),
	        TEST(moving_keeps_one_message),
	        TEST(the_quota_is_kept),
	        TEST(a_delivery_happens_once_a_day),
	        TEST(one_failure_may_undo_all),
	        TEST(a_prefix_stands_before_the_body),
	        TEST(a_spool_that_is_not_used_leaves_nothing),
	        TEST(a_view_stays_as_it_was),
	        TEST(views_follow_many_changes),
	        TEST(expunged_uids_are_remembered),
	        TEST(watchers_are_told),
	        TEST(summaries_come_in_order),
	        TEST(many_summaries_come_in_pieces),
	        TEST(an_account_is_open_once),
	        TEST(damaged_files_are_found),
	        TEST(leftovers_are_swept),
	        TEST(a_damaged_index_is_refused),
	        TEST(the_working_directory_will_do),
	        TEST(a_failing_summary_fails_the_append),
	        TEST(unknown_ids_are_not_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
