/* Names: normalizing, creating, deleting, renaming, subscribing, special use. */
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

static struct status create(struct fixture *f, const char *name)
{
	struct store_mailbox_id id;
	return store_mailbox_create(f->store, slice_str(name), STORE_USE_NONE, &id);
}

static struct status rename_to(struct fixture *f, const char *from, const char *to)
{
	return store_mailbox_rename(f->store, slice_str(from), slice_str(to));
}

/* Every name but the seven of a new account: "a a/b(-) c(-s+)": - without a mailbox, s subscribed,
 * + with children. */
static const char *names_text(struct fixture *f)
{
	struct store_mailbox *list;
	const char *text = "";
	size_t n;
	assert_ok(store_mailboxes(f->store, &f->arena, &list, &n));
	assert_true(n > 0 && slice_eq_str(list[0].name, "Inbox"));
	for (size_t i = 0; i < n; i++) {
		const struct store_mailbox *m = &list[i];
		if (m->special_use != STORE_USE_NONE)
			continue;
		assert_true(m->exists == (m->id.v > 0));
		assert_true(i < 2 || slice_cmp(list[i - 1].name, m->name) < 0);
		text = arena_printf(
		        &f->arena, "%s%s%.*s%s%s%s%s%s", text, *text ? " " : "", SLICE_FMT(m->name),
		        !m->exists || m->subscribed || m->has_children ? "(" : "",
		        m->exists ? "" : "-", m->subscribed ? "s" : "", m->has_children ? "+" : "",
		        !m->exists || m->subscribed || m->has_children ? ")" : "");
	}
	return text;
}

static char *repeat(struct fixture *f, const char *text, size_t n)
{
	char *out = arena_alloc(&f->arena, n * strlen(text) + 1);
	for (size_t i = 0; i < n; i++)
		memcpy(out + i * strlen(text), text, strlen(text));
	return out;
}

static void names_are_normalized(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *in, *out;
	} good[] = {
	        {"a", "a"},
	        {"inbox", "Inbox"},
	        {"INBOX/x", "Inbox/x"},
	        {"InBoX", "Inbox"},
	        {"inboxes", "inboxes"},
	        {"x/INBOX", "x/INBOX"},
	        {"e\xcc\x81", "\xc3\xa9"},
	        {"\xc3\xa9", "\xc3\xa9"},
	        {"a b*%\\\"", "a b*%\\\""},
	        {"\xf0\x9f\x93\xac", "\xf0\x9f\x93\xac"},
	};
	static const char *const bad[] = {
	        "",
	        "/",
	        "a/",
	        "/a",
	        "a//b",
	        "a\x01",
	        "a\x7f",
	        "\xc2\x80",
	        "\xc2\x9f",
	        "a\tb",
	        "a\nb",
	        "\xff",
	        "\xc3",
	        "\xe2\x80\xa8",
	        "\xe2\x80\xa9",
	        "\xc0\xaf",
	        "\xed\xa0\x80",
	        "\xf5\x80\x80\x80",
	};
	struct slice name;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		assert_ok(store_name_normalize(slice_str(good[i].in), &f->arena, &name));
		assert_true(slice_eq_str(name, good[i].out));
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_err(store_name_normalize(slice_str(bad[i]), &f->arena, &name), ERR_INVALID);
	assert_err(store_name_normalize(SLICE("a\0b"), &f->arena, &name), ERR_INVALID);
	const char *longest = repeat(f, "x", STORE_NAME_MAX);
	const char *deepest = repeat(f, "x/", STORE_NAME_DEPTH_MAX - 1);
	assert_ok(store_name_normalize(slice_str(longest), &f->arena, &name));
	assert_err(store_name_normalize(slice_str(arena_printf(&f->arena, "%sx", longest)),
	                                &f->arena, &name),
	           ERR_LIMIT);
	assert_ok(store_name_normalize(slice_str(arena_printf(&f->arena, "%sx", deepest)),
	                               &f->arena, &name));
	assert_err(store_name_normalize(slice_str(arena_printf(&f->arena, "%sx/x", deepest)),
	                                &f->arena, &name),
	           ERR_LIMIT);
	/* U+1D160 becomes twelve bytes from four. */
	assert_err(store_name_normalize(slice_str(repeat(f, "\xf0\x9d\x85\xa0", 200)), &f->arena,
	                                &name),
	           ERR_LIMIT);
}

static void creating_makes_parents(void **state)
{
	struct fixture *f = *state;
	assert_ok(create(f, "a/b/c"));
	assert_string_equal(names_text(f), "a(+) a/b(+) a/b/c");
	assert_err(create(f, "a/b"), ERR_EXISTS);
	assert_err(create(f, "inbox"), ERR_EXISTS);
	assert_err(create(f, "x//y"), ERR_INVALID);
	assert_ok(create(f, "INBOX/y"));
	fixture_reopen(f);
	assert_string_equal(names_text(f), "Inbox/y a(+) a/b(+) a/b/c");
	assert_true(mailbox(f, "Inbox").has_children);
}

static void deleting_keeps_names_of_parents(void **state)
{
	struct fixture *f = *state;
	assert_ok(create(f, "a/b/c"));
	assert_ok(create(f, "a-b"));
	uint32_t validity = mailbox(f, "a/b").uid_validity;
	int64_t id = mailbox(f, "a/b").id.v;
	add(f, "a/b", "x");
	assert_ok(store_mailbox_delete(f->store, SLICE("a/b")));
	assert_string_equal(names_text(f), "a(+) a-b a/b(-+) a/b/c");
	assert_err(store_mailbox_delete(f->store, SLICE("a/b")), ERR_NOT_FOUND);
	assert_err(store_mailbox_delete(f->store, SLICE("INBOX")), ERR_DENIED);
	assert_err(store_mailbox_delete(f->store, SLICE("nope")), ERR_NOT_FOUND);
	assert_ok(store_mailbox_delete(f->store, SLICE("a")));
	assert_string_equal(names_text(f), "a(-+) a-b a/b(-+) a/b/c");
	assert_ok(create(f, "a/b"));
	assert_true(mailbox(f, "a/b").uid_validity > validity);
	assert_true(mailbox(f, "a/b").id.v > id);
	assert_int_equal(mailbox(f, "a/b").n_messages, 0);
	assert_string_equal(names_text(f), "a(+) a-b a/b(+) a/b/c");
	struct store_usage usage;
	assert_ok(store_usage(f->store, &usage));
	assert_int_equal(usage.n_messages, 0);
	assert_int_equal(usage.size, 0);
}

static void uid_validity_is_never_used_twice(void **state)
{
	struct fixture *f = *state;
	uint32_t last = 0;
	int64_t last_id = 0;
	for (int i = 0; i < 5; i++) {
		fixture_set_time(1700000000 - i * 1000); /* a clock that goes back */
		assert_ok(create(f, "x"));
		struct store_mailbox m = mailbox(f, "x");
		assert_true(m.uid_validity > last && m.id.v > last_id);
		last = m.uid_validity;
		last_id = m.id.v;
		assert_ok(store_mailbox_delete(f->store, SLICE("x")));
		fixture_reopen(f);
	}
}

static void renaming_takes_children_along(void **state)
{
	struct fixture *f = *state;
	assert_ok(create(f, "a/b/c"));
	assert_ok(create(f, "ab"));
	add(f, "a/b", "x");
	int64_t id = mailbox(f, "a/b").id.v;
	struct store_view *view;
	assert_ok(store_view_open(f->store, mailbox_id(f, "a/b"), &view));
	assert_ok(rename_to(f, "a", "n/e/w"));
	assert_string_equal(names_text(f), "ab n(+) n/e(+) n/e/w(+) n/e/w/b(+) n/e/w/b/c");
	assert_int_equal(mailbox(f, "n/e/w/b").id.v, id);
	assert_int_equal(mailbox(f, "n/e/w/b").n_messages, 1);
	assert_int_equal(store_view_count(view), 1);
	store_view_unref(view);
	assert_err(rename_to(f, "n", "ab"), ERR_EXISTS);
	assert_err(rename_to(f, "n", "n"), ERR_EXISTS);
	assert_err(rename_to(f, "n", "n/x"), ERR_INVALID);
	assert_err(rename_to(f, "nope", "x"), ERR_NOT_FOUND);
	assert_err(rename_to(f, "n", ""), ERR_INVALID);
	assert_err(rename_to(f, "n", "Inbox"), ERR_EXISTS);
	fixture_reopen(f);
	assert_string_equal(names_text(f), "ab n(+) n/e(+) n/e/w(+) n/e/w/b(+) n/e/w/b/c");
}

static void renaming_into_a_parents_place_works(void **state)
{
	struct fixture *f = *state;
	assert_ok(create(f, "a/b/b/z"));
	assert_ok(create(f, "a/b/z"));
	assert_ok(store_mailbox_delete(f->store, SLICE("a")));
	/* a/b -> a, a/b/b -> a/b, a/b/z -> a/z, a/b/b/z -> a/b/z, which is taken in between */
	assert_ok(rename_to(f, "a/b", "a"));
	assert_string_equal(names_text(f), "a(+) a/b(+) a/b/z a/z");
}

static void renaming_respects_limits_of_children(void **state)
{
	struct fixture *f = *state;
	const char *deep = repeat(f, "x/", STORE_NAME_DEPTH_MAX - 2);
	assert_ok(create(f, "a/b/c"));
	assert_err(rename_to(f, "a", arena_printf(&f->arena, "%sx", deep)), ERR_LIMIT);
	assert_err(rename_to(f, "a", repeat(f, "y", STORE_NAME_MAX - 3)), ERR_LIMIT);
	assert_string_equal(names_text(f), "a(+) a/b(+) a/b/c");
	assert_ok(create(f, "n"));
	assert_ok(create(f, "m/b"));
	assert_ok(store_mailbox_delete(f->store, SLICE("m")));
	assert_err(rename_to(f, "a", "m"), ERR_EXISTS); /* m/b is there */
	assert_string_equal(names_text(f), "a(+) a/b(+) a/b/c m(-+) m/b n");
}

static void renaming_the_inbox_moves_its_messages(void **state)
{
	struct fixture *f = *state;
	struct store_uid *uids;
	size_t n;
	bool complete;
	add(f, "Inbox", "one");
	add(f, "Inbox", "two");
	assert_ok(create(f, "Inbox/child"));
	uint64_t before = mailbox(f, "Inbox").highest_modseq;
	assert_ok(rename_to(f, "INBOX", "old/mail"));
	assert_string_equal(names_text(f), "Inbox/child old(+) old/mail");
	assert_string_equal(uids_text(f, "Inbox", false), "");
	assert_string_equal(uids_text(f, "old/mail", false), "1,2");
	assert_ok(store_expunged_since(f->store, mailbox_id(f, "Inbox"), before, &f->arena, &uids,
	                               &n, &complete));
	assert_true(complete);
	assert_int_equal(n, 2);
	assert_int_equal(add(f, "Inbox", "three").v, 3);
	fixture_reopen(f);
	assert_string_equal(uids_text(f, "old/mail", false), "1,2");
	assert_err(rename_to(f, "Inbox", "old"), ERR_EXISTS);
}

static void subscriptions_need_no_mailbox(void **state)
{
	struct fixture *f = *state;
	assert_ok(store_subscribe(f->store, SLICE("ghost/x"), true));
	assert_ok(store_subscribe(f->store, SLICE("ghost/x"), true));
	assert_ok(create(f, "a"));
	assert_ok(store_subscribe(f->store, SLICE("a"), true));
	assert_string_equal(names_text(f), "a(s) ghost/x(-s)");
	assert_ok(store_mailbox_delete(f->store, SLICE("a")));
	assert_string_equal(names_text(f), "a(-s) ghost/x(-s)");
	assert_ok(store_subscribe(f->store, SLICE("a"), false));
	assert_ok(store_subscribe(f->store, SLICE("never"), false));
	assert_ok(store_subscribe(f->store, SLICE("inbox"), false));
	assert_err(store_subscribe(f->store, SLICE("a//b"), true), ERR_INVALID);
	fixture_reopen(f);
	assert_string_equal(names_text(f), "ghost/x(-s)");
	assert_false(mailbox(f, "Inbox").subscribed);
}

static void a_special_use_has_one_mailbox(void **state)
{
	struct fixture *f = *state;
	struct store_mailbox_id id;
	assert_err(store_mailbox_create(f->store, SLICE("S"), STORE_USE_SENT, &id), ERR_EXISTS);
	assert_err(store_mailbox_create(f->store, SLICE("S"), STORE_USE_INBOX, &id), ERR_INVALID);
	assert_err(store_mailbox_find(f->store, SLICE("S"), &f->arena,
	                              &(struct store_mailbox){.exists = false}),
	           ERR_NOT_FOUND);
	assert_ok(create(f, "S"));
	assert_err(store_mailbox_set_use(f->store, SLICE("S"), STORE_USE_SENT, false), ERR_EXISTS);
	assert_ok(store_mailbox_set_use(f->store, SLICE("S"), STORE_USE_SENT, true));
	assert_err(store_mailbox_set_use(f->store, SLICE("Inbox"), STORE_USE_NONE, true),
	           ERR_DENIED);
	assert_err(store_mailbox_set_use(f->store, SLICE("no"), STORE_USE_NONE, true),
	           ERR_NOT_FOUND);
	assert_int_equal(mailbox(f, "S").special_use, STORE_USE_SENT);
	struct store_mailbox found;
	assert_ok(store_mailbox_find_use(f->store, STORE_USE_SENT, &f->arena, &found));
	assert_true(slice_eq_str(found.name, "S"));
	assert_err(store_mailbox_find_use(f->store, STORE_USE_NONE, &f->arena, &found),
	           ERR_NOT_FOUND);
	assert_int_equal(mailbox(f, "Sent").special_use, STORE_USE_NONE);
	assert_ok(store_mailbox_delete(f->store, SLICE("S")));
	assert_err(store_mailbox_find_use(f->store, STORE_USE_SENT, &f->arena, &found),
	           ERR_NOT_FOUND);
	assert_ok(store_mailbox_create(f->store, SLICE("T"), STORE_USE_SENT, &id));
	fixture_reopen(f);
	assert_int_equal(mailbox(f, "T").special_use, STORE_USE_SENT);
}

static void there_may_be_so_many_mailboxes(void **state)
{
	struct fixture *f = *state;
	char name[32];
	/* 51 new names a call: fewer transactions. */
	for (unsigned i = 0; i < (STORE_MAILBOXES_MAX - 7) / 49; i++) {
		snprintf(name, sizeof(name), "p%u/", i);
		assert_ok(create(f, arena_printf(&f->arena, "%s%sx", name, repeat(f, "y/", 47))));
	}
	struct store_mailbox *list;
	size_t n;
	assert_ok(store_mailboxes(f->store, &f->arena, &list, &n));
	while (n < STORE_MAILBOXES_MAX) {
		snprintf(name, sizeof(name), "q%zu", n++);
		assert_ok(create(f, name));
	}
	assert_err(create(f, "one-more"), ERR_LIMIT);
	assert_err(rename_to(f, "Inbox", "one-more"), ERR_LIMIT);
	assert_ok(store_mailbox_delete(f->store, SLICE("Junk")));
	assert_err(create(f, "one-more/child"), ERR_LIMIT);
	assert_ok(create(f, "one-more"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(names_are_normalized),
	        TEST(creating_makes_parents),
	        TEST(deleting_keeps_names_of_parents),
	        TEST(uid_validity_is_never_used_twice),
	        TEST(renaming_takes_children_along),
	        TEST(renaming_into_a_parents_place_works),
	        TEST(renaming_respects_limits_of_children),
	        TEST(renaming_the_inbox_moves_its_messages),
	        TEST(subscriptions_need_no_mailbox),
	        TEST(a_special_use_has_one_mailbox),
	        TEST(there_may_be_so_many_mailboxes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
