/* The courier's memory of policies: what it has it does not ask for again, what it could not learn
 * it does. */
#include "rooms/sts_store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail

struct fixture {
	struct clock clock; /* first */
	int64_t now_ms;
	enum err answer; /* of the steward; OK: "kept" */
	unsigned n_gets, n_puts;
	struct sts_store *store, *forget_meanwhile;
	struct arena arena;
};

static int64_t monotonic_ms(const struct clock *clock)
{
	return ((const struct fixture *)(const void *)clock)->now_ms;
}

static struct status get(void *context, const char *domain, struct arena *arena,
                         struct slice *ret_form)
{
	struct fixture *f = context;
	f->n_gets++;
	if (f->forget_meanwhile)
		sts_store_forget(f->forget_meanwhile, domain);
	if (f->answer != ERR_OK)
		return fail(f->answer, "as the test wants");
	*ret_form = arena_copy(arena, SLICE("kept"));
	return ok();
}

static struct status put(void *context, const char *domain, struct slice form)
{
	struct fixture *f = context;
	(void)domain;
	(void)form;
	f->n_puts++;
	return f->answer == ERR_OK ? ok() : fail(f->answer, "as the test wants");
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	f->clock.monotonic_ms = monotonic_ms;
	f->store = sts_store_new(&(struct sts_store_options){
	        .clock = &f->clock, .get = get, .put = put, .context = f});
	arena_init(&f->arena, (size_t)32 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	sts_store_free(f->store);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

/* The form, or the error's name. */
static const char *look(struct fixture *f, const char *domain)
{
	const struct mtasts_store *s = sts_store_interface(f->store);
	struct slice form;
	struct status status = s->get(s->context, domain, &f->arena, &form);
	return is_ok(status) ? arena_cstr(&f->arena, form) : err_name(status.code);
}

static void keep(struct fixture *f, const char *domain, struct slice form)
{
	const struct mtasts_store *s = sts_store_interface(f->store);
	s->put(s->context, domain, form);
}

static void what_is_known_is_not_asked_again_for_a_while(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(look(f, "a.example"), "kept");
	assert_string_equal(look(f, "a.example"), "kept");
	assert_int_equal(f->n_gets, 1);
	f->now_ms += STS_STORE_KEEP_MS;
	f->answer = ERR_NOT_FOUND;
	assert_string_equal(look(f, "a.example"), err_name(ERR_NOT_FOUND));
	assert_string_equal(look(f, "a.example"), err_name(ERR_NOT_FOUND));
	assert_int_equal(f->n_gets, 2);
}

static void a_steward_that_cannot_tell_is_asked_again(void **state)
{
	struct fixture *f = *state;
	f->answer = ERR_TIMEOUT;
	assert_string_equal(look(f, "a.example"), err_name(ERR_TIMEOUT));
	assert_string_equal(look(f, "a.example"), err_name(ERR_TIMEOUT));
	assert_int_equal(f->n_gets, 2);
	f->answer = ERR_OK;
	assert_string_equal(look(f, "a.example"), "kept");
}

static void what_is_put_counts_even_when_the_steward_fails(void **state)
{
	struct fixture *f = *state;
	f->answer = ERR_IO;
	keep(f, "a.example", SLICE("new"));
	assert_string_equal(look(f, "a.example"), "new");
	assert_int_equal(f->n_gets, 0);
	assert_int_equal(f->n_puts, 1);
}

static void what_is_forgotten_is_asked_for(void **state)
{
	struct fixture *f = *state;
	keep(f, "a.example", SLICE("old"));
	sts_store_forget(f->store, "a.example");
	assert_string_equal(look(f, "a.example"), "kept");
	/* An answer that was on its way meanwhile is not kept. */
	f->now_ms += STS_STORE_KEEP_MS;
	f->forget_meanwhile = f->store;
	assert_string_equal(look(f, "a.example"), "kept");
	f->forget_meanwhile = NULL;
	assert_string_equal(look(f, "a.example"), "kept");
	assert_int_equal(f->n_gets, 3);
}

static void memory_is_bounded(void **state)
{
	struct fixture *f = *state;
	static uint8_t large[MTASTS_ENTRY_MAX];
	unsigned n_kept = 0;
	for (unsigned i = 0; i < 2 * STS_STORE_SLOTS; i++) {
		char domain[32];
		snprintf(domain, sizeof(domain), "d%u.example", i);
		keep(f, domain, slice_of(large, sizeof(large)));
	}
	f->answer = ERR_NOT_FOUND;
	for (unsigned i = 0; i < 2 * STS_STORE_SLOTS; i++) {
		char domain[32];
		struct slice form;
		snprintf(domain, sizeof(domain), "d%u.example", i);
		const struct mtasts_store *s = sts_store_interface(f->store);
		arena_reset(&f->arena);
		n_kept += is_ok(s->get(s->context, domain, &f->arena, &form));
	}
	assert_true(n_kept > 0);
	assert_true(n_kept * sizeof(large) <= STS_STORE_SIZE_MAX);
}

static void a_small_arena_is_a_limit(void **state)
{
	struct fixture *f = *state;
	const struct mtasts_store *s = sts_store_interface(f->store);
	struct arena small;
	struct slice form;
	keep(f, "a.example", SLICE("0123456789"));
	arena_init(&small, 4);
	assert_int_equal(s->get(s->context, "a.example", &small, &form).code, ERR_LIMIT);
	arena_done(&small);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(what_is_known_is_not_asked_again_for_a_while),
	        WITH_FIXTURE(a_steward_that_cannot_tell_is_asked_again),
	        WITH_FIXTURE(what_is_put_counts_even_when_the_steward_fails),
	        WITH_FIXTURE(what_is_forgotten_is_asked_for),
	        WITH_FIXTURE(memory_is_bounded),
	        WITH_FIXTURE(a_small_arena_is_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
