/* Policies are kept over restarts, replaced, forgotten, and make place for others by their last
 * use. */
#include "rooms/report_policies.h"
#include "rooms/report_testing.h"

#define T0 INT64_C(1800000000)

static int set_up(void **state)
{
	struct report_fixture *f = base_alloc(sizeof(*f));
	report_fixture_init(f, NULL);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	report_fixture_done(*state);
	base_free(*state);
	return 0;
}

static void put(struct report_fixture *f, const char *domain, int64_t now_s, const char *form)
{
	assert_ok(report_policies_put(f->db, slice_str(domain), now_s, slice_str(form)));
}

static const char *get(struct report_fixture *f, const char *domain, int64_t now_s)
{
	struct slice form;
	struct status status =
	        report_policies_get(f->db, slice_str(domain), now_s, &f->arena, &form);
	if (status.code == ERR_NOT_FOUND)
		return "";
	assert_ok(status);
	return arena_cstr(&f->arena, form);
}

static void what_was_put_is_there_after_a_restart(void **state)
{
	struct report_fixture *f = *state;
	put(f, "example.com", T0, "one");
	put(f, "example.org", T0, "two");
	put(f, "example.com", T0 + 1, "three");
	report_fixture_reopen(f);
	assert_string_equal(get(f, "example.com", T0 + 2), "three");
	assert_string_equal(get(f, "example.org", T0 + 2), "two");
	assert_string_equal(get(f, "example.net", T0 + 2), "");
}

static void what_is_forgotten_is_gone(void **state)
{
	struct report_fixture *f = *state;
	put(f, "example.com", T0, "one");
	assert_ok(report_policies_forget(f->db, SLICE("example.com")));
	assert_string_equal(get(f, "example.com", T0), "");
	assert_err(report_policies_forget(f->db, SLICE("example.com")), ERR_NOT_FOUND);
}

static void domains_and_sizes_are_held_to(void **state)
{
	static const char *const bad[] = {"",          ".",         "a..b",
	                                  "A.example", "a b",       "example.",
	                                  "a/b",       "a%b.c",     "\xc3\xa4.example",
	                                  ".example",  "a\\046b.c", "a'b.c"};
	struct report_fixture *f = *state;
	char long_name[255];
	memset(long_name, 'a', sizeof(long_name));
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_err(report_policies_put(f->db, slice_str(bad[i]), T0, SLICE("x")),
		           ERR_INVALID);
	assert_err(report_policies_put(f->db, slice_of(long_name, 254), T0, SLICE("x")),
	           ERR_INVALID);
	assert_ok(report_policies_put(f->db, slice_of(long_name, 253), T0, SLICE("x")));
	uint8_t *form = base_alloc(REPORT_POLICY_SIZE_MAX + 1);
	assert_ok(report_policies_put(f->db, SLICE("a.example"), T0,
	                              slice_of(form, REPORT_POLICY_SIZE_MAX)));
	assert_err(report_policies_put(f->db, SLICE("a.example"), T0,
	                               slice_of(form, REPORT_POLICY_SIZE_MAX + 1)),
	           ERR_LIMIT);
	assert_err(report_policies_put(f->db, SLICE("a.example"), T0, slice_empty()), ERR_LIMIT);
	base_free(form);
}

/* Large ones reach the limit of size before that of number. */
static void those_unused_longest_make_place(void **state)
{
	struct report_fixture *f = *state;
	const int n = (int)(REPORT_POLICIES_SIZE_MAX / (int64_t)REPORT_POLICY_SIZE_MAX) + 1;
	uint8_t *form = base_alloc(REPORT_POLICY_SIZE_MAX);
	memset(form, 'x', REPORT_POLICY_SIZE_MAX);
	for (int i = 0; i < n; i++) {
		char domain[32];
		snprintf(domain, sizeof(domain), "d%d.example", i);
		assert_ok(report_policies_put(f->db, slice_str(domain), T0 + i,
		                              slice_of(form, REPORT_POLICY_SIZE_MAX)));
		arena_reset(&f->arena);
		(void)get(f, "d0.example", T0 + i + REPORT_POLICY_USED_S); /* is used */
	}
	arena_reset(&f->arena);
	assert_true(*get(f, "d0.example", T0 + n));
	assert_string_equal(get(f, "d1.example", T0 + n), "");
	assert_true(*get(f, "d2.example", T0 + n));
	base_free(form);
}

static void a_list_comes_in_pages(void **state)
{
	struct report_fixture *f = *state;
	struct report_policy *policies;
	size_t n;
	bool more;
	put(f, "b.example", T0, "123456");
	put(f, "a.example", T0, "123456");
	put(f, "c.example", T0 + 5, "123456");
	assert_ok(report_policies_list(f->db, slice_empty(), 6, &f->arena, &policies, &n, &more));
	assert_int_equal(n, 2);
	assert_true(more);
	assert_true(slice_eq_str(policies[0].domain, "a.example"));
	assert_true(slice_eq_str(policies[1].domain, "b.example"));
	assert_ok(report_policies_list(f->db, SLICE("b.example"), 6, &f->arena, &policies, &n,
	                               &more));
	assert_int_equal(n, 1);
	assert_false(more);
	assert_int_equal(policies[0].used_at_s, T0 + 5);
	assert_true(slice_eq_str(policies[0].form, "123456"));
}

static void a_newer_release_keeps_its_database(void **state)
{
	struct report_fixture *f = *state;
	struct db *db;
	report_db_close(f->db);
	f->db = NULL;
	assert_ok(db_open(f->db_path, NULL, DB_WRITER, &db));
	assert_ok(db_set_schema_version(db, 1000));
	db_close(db);
	assert_err(report_db_open(f->db_path, NULL, &f->db), ERR_UNSUPPORTED);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(what_was_put_is_there_after_a_restart),
	        WITH_FIXTURE(what_is_forgotten_is_gone),
	        WITH_FIXTURE(domains_and_sizes_are_held_to),
	        WITH_FIXTURE(those_unused_longest_make_place),
	        WITH_FIXTURE(a_list_comes_in_pages),
	        WITH_FIXTURE(a_newer_release_keeps_its_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
