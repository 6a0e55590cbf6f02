/* The cache: what is kept and for how long, what never is, and that it stays small. */
#include "dns/cache.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static int64_t now_ms;

static int64_t test_now_us(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static int64_t test_monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return now_ms;
}

static const struct clock test_clock = {test_now_us, test_monotonic_ms};

struct fixture {
	struct dns_table table;
	struct dns_cache *cache;
	struct dns_cached asking, knowing;
	struct arena arena;
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	now_ms = 1000;
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, "a.example 60 A 192.0.2.1 secure\n"
	                               "alias.example 30 CNAME a.example secure\n"
	                               "long.example 86400 A 192.0.2.2\n"
	                               "zero.example 0 A 192.0.2.3\n"
	                               "none.example * nxdomain secure\n"
	                               "down.example A servfail\n"
	                               "bad.example A bogus\n");
	f->cache = dns_cache_new(DNS_CACHE_SIZE_DEFAULT, (struct hash_key){1, 2}, &test_clock);
	dns_cached_init(&f->asking, f->cache, &f->table.resolver);
	dns_cached_init(&f->knowing, f->cache, NULL);
	arena_init(&f->arena, (size_t)(8 * MIB));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	arena_done(&f->arena);
	dns_cache_free(f->cache);
	dns_table_done(&f->table);
	base_free(f);
	return 0;
}

static const struct dns_answer *ask(struct fixture *f, const char *name)
{
	const struct dns_answer *answer;
	assert_int_equal(dns_lookup(&f->asking.resolver, slice_str(name), DNS_TYPE_A, 1000,
	                            &f->arena, &answer)
	                         .code,
	                 ERR_OK);
	return answer;
}

static bool is_known(struct fixture *f, const char *name, enum dns_type type)
{
	const struct dns_answer *answer;
	dns_cached_missed(&f->knowing);
	assert_int_equal(
	        dns_lookup(&f->knowing.resolver, slice_str(name), type, 1000, &f->arena, &answer)
	                .code,
	        ERR_OK);
	bool missed = dns_cached_missed(&f->knowing);
	if (missed)
		assert_int_equal(answer->failure, DNS_FAILURE_TEMPORARY);
	return !missed;
}

static void answers_live_as_long_as_they_say(void **state)
{
	struct fixture *f = *state;
	assert_false(is_known(f, "alias.example", DNS_TYPE_A));
	assert_int_equal(ask(f, "alias.example")->ttl_s, 30);
	assert_true(is_known(f, "alias.example", DNS_TYPE_A));
	assert_true(is_known(f, "ALIAS.example.", DNS_TYPE_A));
	assert_false(is_known(f, "alias.example", DNS_TYPE_AAAA));
	assert_false(is_known(f, "a.example", DNS_TYPE_A));
	now_ms += 29000;
	const struct dns_answer *answer = ask(f, "alias.example");
	assert_int_equal(f->table.n_lookups, 1);
	assert_int_equal(answer->ttl_s, 1);
	assert_int_equal(answer->records[0].ttl_s, 31);
	assert_int_equal(answer->chain[0].ttl_s, 1);
	assert_int_equal(answer->security, DNS_SECURE);
	assert_string_equal(answer->canonical_name.text, "a.example");
	now_ms += 1000;
	assert_false(is_known(f, "alias.example", DNS_TYPE_A));
	ask(f, "alias.example");
	assert_int_equal(f->table.n_lookups, 2);
}

static void no_answer_is_kept_for_long(void **state)
{
	struct fixture *f = *state;
	ask(f, "long.example");
	now_ms += (int64_t)DNS_CACHE_TTL_MAX_S * 1000 - 1;
	assert_true(is_known(f, "long.example", DNS_TYPE_A));
	now_ms += 1;
	assert_false(is_known(f, "long.example", DNS_TYPE_A));
}

static void failures_are_kept_for_moments(void **state)
{
	struct fixture *f = *state;
	ask(f, "zero.example");
	assert_false(is_known(f, "zero.example", DNS_TYPE_A));
	ask(f, "down.example");
	ask(f, "bad.example");
	now_ms += DNS_CACHE_FAILURE_MS - 1;
	assert_true(is_known(f, "down.example", DNS_TYPE_A));
	assert_true(is_known(f, "bad.example", DNS_TYPE_A));
	assert_int_equal(ask(f, "bad.example")->security, DNS_BOGUS);
	now_ms += 1;
	assert_false(is_known(f, "down.example", DNS_TYPE_A));
	assert_false(is_known(f, "bad.example", DNS_TYPE_A));
	dns_cache_clear(f->cache);
}

static void denials_are_kept(void **state)
{
	struct fixture *f = *state;
	struct dns_answer answer = *ask(f, "none.example");
	answer.ttl_s = 10;
	dns_cache_put(f->cache, &answer);
	assert_true(is_known(f, "none.example", DNS_TYPE_A));
	assert_true(ask(f, "none.example")->denial_proven);
	now_ms += 10000;
	assert_false(is_known(f, "none.example", DNS_TYPE_A));
}

static void put_name(struct fixture *f, unsigned i)
{
	char text[32];
	struct dns_answer answer = *ask(f, "a.example");
	snprintf(text, sizeof(text), "n%u.example", i);
	assert_int_equal(dns_name_parse(slice_str(text), &f->arena, &answer.name).code, ERR_OK);
	answer.canonical_name = answer.name;
	dns_cache_put(f->cache, &answer);
}

static void it_stays_small_and_the_oldest_used_goes(void **state)
{
	struct fixture *f = *state;
	dns_cache_free(f->cache);
	f->cache = dns_cache_new(20000, (struct hash_key){1, 2}, &test_clock);
	f->asking.cache = f->knowing.cache = f->cache;
	put_name(f, 0);
	unsigned n_known = 0;
	for (unsigned i = 1; i < 1000; i++) {
		put_name(f, i);
		assert_true(is_known(f, "n0.example", DNS_TYPE_A)); /* it is used all the time */
	}
	for (unsigned i = 1; i < 1000; i++) {
		char text[32];
		snprintf(text, sizeof(text), "n%u.example", i);
		n_known += is_known(f, text, DNS_TYPE_A);
	}
	assert_true(n_known > 20 && n_known < 400);
	assert_true(is_known(f, "n999.example", DNS_TYPE_A));
	assert_false(is_known(f, "n1.example", DNS_TYPE_A));
	/* One that does not fit at all. */
	dns_cache_free(f->cache);
	f->cache = dns_cache_new(10, (struct hash_key){1, 2}, &test_clock);
	f->asking.cache = f->knowing.cache = f->cache;
	ask(f, "a.example");
	assert_false(is_known(f, "a.example", DNS_TYPE_A));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        TEST(answers_live_as_long_as_they_say),        TEST(no_answer_is_kept_for_long),
	        TEST(failures_are_kept_for_moments),           TEST(denials_are_kept),
	        TEST(it_stays_small_and_the_oldest_used_goes),
	};
#undef TEST
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
