/* Many threads at once: everybody's changes arrive, views stay consistent, nothing is lost. Run
 * under ThreadSanitizer too. STORE_STRESS_ROUNDS makes it longer. */
#include "os/fd.h"
#include "store/store_testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static struct stress {
	struct fixture f;
	struct store_mailbox_id inbox, archive;
	atomic_uint n_appended, n_expunged, n_copied, n_failed;
	atomic_bool stop;
	uint32_t rounds;
} stress;

/* Threads must not use cmocka's asserts: they note the failure. */
static bool check(bool good, const char *what)
{
	if (!good) {
		print_error("stress: %s\n", what);
		atomic_fetch_add(&stress.n_failed, 1);
	}
	return good;
}

static bool check_ok(struct status status, const char *what)
{
	if (!is_ok(status))
		print_error("stress: %s: %s\n", what, status.why);
	return check(is_ok(status), what);
}

static void *append_some(void *context)
{
	size_t number = (size_t)(uintptr_t)context;
	for (uint32_t i = 0; i < stress.rounds; i++) {
		struct store_append a;
		size_t size = i % 10 == 9 ? 70000 : 10 + i;
		CLEANUP(base_freep) char *body = test_body(number * 1000000 + i, size);
		if (check_ok(append(&stress.f, stress.inbox, slice_of(body, size), 0, &a),
		             "append"))
			atomic_fetch_add(&stress.n_appended, 1);
	}
	return NULL;
}

static void *flag_some(void *context)
{
	uint64_t flags = context ? STORE_SEEN : STORE_FLAGGED;
	struct arena arena;
	arena_init(&arena, (size_t)1 << 26);
	for (uint32_t i = 0; i < stress.rounds; i++) {
		struct store_uid_range range = {{i % 50 + 1}, {i % 50 + 100}};
		struct slice keyword = slice_str(i & 1 ? "odd" : "even");
		struct store_uid *modified;
		size_t n;
		check_ok(store_flags_update(stress.f.store, i & 1 ? stress.inbox : stress.archive,
		                            (struct store_uids){&range, 1},
		                            i & 2 ? STORE_FLAGS_ADD : STORE_FLAGS_REMOVE, flags,
		                            &keyword, 1, UINT64_MAX, &arena, &modified, &n),
		         "flags");
		arena_reset(&arena);
	}
	arena_done(&arena);
	return NULL;
}

static void *move_some(void *context)
{
	struct arena arena;
	(void)context;
	arena_init(&arena, (size_t)1 << 26);
	for (uint32_t i = 0; i < stress.rounds; i++) {
		struct store_uid_range range = {{i * 2 + 1}, {i * 2 + 1}};
		struct store_uid *from, *to;
		uint32_t validity;
		size_t n = 0;
		check_ok(store_copy(stress.f.store, stress.inbox, (struct store_uids){&range, 1},
		                    stress.archive, i % 3 != 0, &arena, &validity, &from, &to, &n),
		         "copy");
		if (i % 3 == 0)
			atomic_fetch_add(&stress.n_copied, (unsigned)n);
		arena_reset(&arena);
	}
	arena_done(&arena);
	return NULL;
}

static void *expunge_some(void *context)
{
	(void)context;
	for (uint32_t i = 0; i < stress.rounds; i++) {
		struct store_uid_range range = {{i + 1}, {i + 3}};
		uint32_t n = 0;
		if (i % 2 == 0)
			check_ok(store_expunge(stress.f.store, stress.archive,
			                       (struct store_uids){&range, 1}, false, &n),
			         "expunge");
		atomic_fetch_add(&stress.n_expunged, n);
	}
	return NULL;
}

/* What a session would do with the differences: a list that must end up like the view. */
struct shadow {
	uint32_t uids[100000];
	uint32_t n;
	uint32_t added;
};

static void shadow_expunged(void *context, uint32_t index, const struct store_entry *entry)
{
	struct shadow *s = context;
	if (!check(index < s->n && s->uids[index] == entry->uid.v, "an expunge at its place"))
		return;
	memmove(&s->uids[index], &s->uids[index + 1], (s->n - index - 1) * sizeof(s->uids[0]));
	s->n--;
}

static void shadow_changed(void *context, uint32_t index, const struct store_entry *entry)
{
	struct shadow *s = context;
	check(index < s->n && s->uids[index] == entry->uid.v, "a change at its place");
}

static void shadow_added(void *context, uint32_t count, uint32_t n)
{
	struct shadow *s = context;
	check(count == s->n + n, "as many added as there are");
	s->added = n;
}

static void follow(struct shadow *shadow, struct store_view *from, struct store_view *to)
{
	static const struct store_view_diff_ops ops = {shadow_expunged, shadow_changed,
	                                               shadow_added};
	shadow->added = 0;
	store_view_diff(from, to, &ops, shadow);
	uint32_t n = store_view_count(to);
	check(shadow->n + shadow->added == n, "the count follows");
	for (uint32_t i = 0; i < n; i++) {
		const struct store_entry *e = store_view_at(to, i);
		if (i < shadow->n)
			check(shadow->uids[i] == e->uid.v, "the list follows");
		else
			shadow->uids[i] = e->uid.v;
		check(e->modseq <= store_view_modseq(to), "no entry is newer than its view");
	}
	shadow->n = n;
}

static void *view_some(void *context)
{
	struct store_mailbox_id id = context ? stress.inbox : stress.archive;
	struct shadow *shadow = base_alloc(sizeof(*shadow));
	struct store_view *old = NULL, *new = NULL;
	while (!atomic_load(&stress.stop)) {
		if (!check_ok(store_view_open(stress.f.store, id, &new), "view"))
			break;
		if (old) {
			check(store_view_modseq(new) >= store_view_modseq(old), "views go forward");
			follow(shadow, old, new);
			store_view_unref(old);
		} else {
			shadow->n = store_view_count(new);
			for (uint32_t i = 0; i < shadow->n; i++)
				shadow->uids[i] = store_view_at(new, i)->uid.v;
		}
		old = new;
		if (store_view_modseq(new) % 5 == 0) { /* let it get cold */
			store_view_unref(old);
			old = NULL;
		}
	}
	store_view_unref(old);
	base_free(shadow);
	return NULL;
}

static struct status check_summary(void *context, uint32_t index, const struct store_entry *entry,
                                   const struct store_summary *summary)
{
	(void)context;
	(void)index;
	(void)entry;
	check(summary->envelope.n > 2, "a summary has its text");
	return ok();
}

static void *read_some(void *context)
{
	static const struct store_summary_ops ops = {NULL, check_summary};
	(void)context;
	while (!atomic_load(&stress.stop)) {
		struct store_view *view = NULL;
		if (!check_ok(store_view_open(stress.f.store, stress.inbox, &view), "view"))
			break;
		uint32_t n = store_view_count(view);
		check_ok(store_summaries(stress.f.store, view, 0, n, STORE_COLUMN_ENVELOPE, &ops,
		                         NULL),
		         "summaries");
		for (uint32_t i = 0; i < n; i += 7) {
			struct store_blob *blob = NULL;
			struct status status = store_blob_open(
			        stress.f.store, store_view_at(view, i)->message, &blob);
			check(is_ok(status) || status.code == ERR_NOT_FOUND, status.why);
			store_blob_free(blob);
		}
		store_view_unref(view);
	}
	return NULL;
}

static void *rename_some(void *context)
{
	struct arena arena;
	(void)context;
	arena_init(&arena, (size_t)1 << 26);
	for (uint32_t i = 0; i < stress.rounds / 8; i++) {
		struct store_mailbox_id id;
		struct store_mailbox *list;
		size_t n;
		check_ok(store_mailbox_create(stress.f.store, SLICE("a/b"), STORE_USE_NONE, &id),
		         "create");
		check_ok(store_mailbox_rename(stress.f.store, SLICE("a"), SLICE("c")), "rename");
		check_ok(store_mailboxes(stress.f.store, &arena, &list, &n), "list");
		check_ok(store_mailbox_delete(stress.f.store, SLICE("c/b")), "delete");
		check_ok(store_mailbox_delete(stress.f.store, SLICE("c")), "delete");
		if (i % 4 == 0)
			check_ok(store_idle(stress.f.store), "idle");
		arena_reset(&arena);
	}
	arena_done(&arena);
	return NULL;
}

static void *watch_some(void *context)
{
	(void)context;
	while (!atomic_load(&stress.stop)) {
		struct store_watcher w = {.event_fd = -1};
		if (!check_ok(store_watch(stress.f.store, stress.inbox, &w), "watch"))
			break;
		usleep(1000);
		eventfd_drain(w.event_fd);
		store_unwatch(stress.f.store, &w);
	}
	return NULL;
}

static void everybody_at_once(void **state)
{
	static const struct {
		void *(*run)(void *context);
		uintptr_t context;
		bool until_stop;
	} jobs[] = {
	        {append_some, 1, false},  {append_some, 2, false}, {append_some, 3, false},
	        {flag_some, 0, false},    {flag_some, 1, false},   {move_some, 0, false},
	        {expunge_some, 0, false}, {rename_some, 0, false}, {view_some, 0, true},
	        {view_some, 1, true},     {read_some, 0, true},    {watch_some, 0, true},
	};
	pthread_t threads[N_ELEMENTS(jobs)];
	const char *rounds = getenv("STORE_STRESS_ROUNDS");
	(void)state;
	fixture_init(&stress.f);
	stress.rounds = 150;
	if (rounds)
		slice_to_u32(slice_str(rounds), 30000, &stress.rounds);
	stress.inbox = mailbox_id(&stress.f, "Inbox");
	stress.archive = mailbox_id(&stress.f, "Archive");
	for (size_t i = 0; i < N_ELEMENTS(jobs); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, jobs[i].run,
		                                (void *)jobs[i].context), /* a small number */
		                 0);
	for (size_t i = 0; i < N_ELEMENTS(jobs); i++) {
		if (jobs[i].until_stop)
			atomic_store(&stress.stop, true);
		pthread_join(threads[i], NULL);
	}
	assert_int_equal(stress.n_failed, 0);
	assert_int_equal(stress.n_appended, 3 * stress.rounds);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(mailbox(&stress.f, "Inbox").n_messages +
		                         mailbox(&stress.f, "Archive").n_messages,
		                 stress.n_appended + stress.n_copied - stress.n_expunged);
		fixture_verify(&stress.f);
		fixture_reopen(&stress.f);
	}
	fixture_done(&stress.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(everybody_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
