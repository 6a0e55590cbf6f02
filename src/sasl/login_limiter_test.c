/* Counting failures per address and network, in windows, in bounded memory. */
#include "sasl/login_limiter.h"

#include "base/slice.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct test_clock {
	struct clock clock;
	int64_t now_s;
};

static int64_t test_now_us(const struct clock *clock)
{
	return ((const struct test_clock *)clock)->now_s * 1000000;
}

static struct test_clock clock_at(int64_t now_s)
{
	return (struct test_clock){{test_now_us, test_now_us}, now_s};
}

static struct login_limiter *limiter_with(const struct test_clock *clock, uint32_t n_entries,
                                          bool exempt_loopback)
{
	const struct login_limiter_options options = {
	        .clock = &clock->clock,
	        .key = {1, 2},
	        .limits = login_limits_default,
	        .exempt_loopback = exempt_loopback,
	        .n_entries = n_entries,
	};
	return login_limiter_new(&options);
}

static struct slice v4(uint8_t bytes[4], uint32_t address)
{
	for (size_t i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(address >> (24 - 8 * i));
	return slice_of(bytes, 4);
}

static void fail_times(struct login_limiter *limiter, struct slice address, size_t n)
{
	for (size_t i = 0; i < n; i++)
		login_limiter_failed(limiter, address);
}

static void an_address_has_ten_failures_a_minute_and_fifty_a_day(void **state)
{
	struct test_clock clock = clock_at(86400 * 100);
	struct login_limiter *limiter = limiter_with(&clock, 0, true);
	uint8_t a[4];
	struct slice address = v4(a, 0xc0000201);
	(void)state;
	for (size_t minute = 0; minute < 5; minute++) {
		fail_times(limiter, address, 9);
		assert_true(login_limiter_allows(limiter, address));
		login_limiter_failed(limiter, address);
		assert_false(login_limiter_allows(limiter, address));
		clock.now_s += 60;
		assert_int_equal(login_limiter_allows(limiter, address), minute < 4);
	}
	clock.now_s += 86400;
	assert_true(login_limiter_allows(limiter, address));
	login_limiter_free(limiter);
}

static void networks_count_their_addresses_together(void **state)
{
	struct test_clock clock = clock_at(0);
	static const struct {
		uint32_t step;   /* between addresses that fail */
		size_t n;        /* how many addresses fail nine times each */
		uint32_t inside; /* refused, never failed */
		uint32_t outside;
	} cases[] = {
	        {1, 4, 0x0a00003f, 0x0a000040},   /* 36 in a /26 */
	        {64, 10, 0x0a0007ff, 0x0a000800}, /* 90 in a /21 */
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct login_limiter *limiter = limiter_with(&clock, 0, true);
		uint8_t a[4];
		for (size_t k = 0; k < cases[i].n; k++)
			fail_times(limiter, v4(a, 0x0a000000 + (uint32_t)k * cases[i].step), 9);
		assert_false(login_limiter_allows(limiter, v4(a, cases[i].inside)));
		assert_true(login_limiter_allows(limiter, v4(a, cases[i].outside)));
		login_limiter_free(limiter);
	}
}

static void v6_addresses_count_by_their_64(void **state)
{
	struct test_clock clock = clock_at(0);
	struct login_limiter *limiter = limiter_with(&clock, 0, true);
	uint8_t a[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 1, 1};
	struct slice address = slice_of(a, sizeof(a));
	(void)state;
	for (uint8_t i = 0; i < 10; i++) {
		a[15] = i;
		login_limiter_failed(limiter, address);
	}
	a[9] = 99;
	assert_false(login_limiter_allows(limiter, address));
	a[7] = 2;
	assert_true(login_limiter_allows(limiter, address));
	login_limiter_free(limiter);
}

static void mapped_v4_is_v4(void **state)
{
	struct test_clock clock = clock_at(0);
	struct login_limiter *limiter = limiter_with(&clock, 0, true);
	uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1}, a[4];
	(void)state;
	fail_times(limiter, slice_of(mapped, 16), 10);
	assert_false(login_limiter_allows(limiter, v4(a, 0xc0000001)));
	login_limiter_free(limiter);
}

static void success_forgives(void **state)
{
	struct test_clock clock = clock_at(0);
	struct login_limiter *limiter = limiter_with(&clock, 0, true);
	uint8_t a[4], b[4];
	struct slice good = v4(a, 0x0a000001), other = v4(b, 0x0a000002);
	(void)state;
	fail_times(limiter, good, 9);
	fail_times(limiter, other, 9);
	login_limiter_succeeded(limiter, good);
	fail_times(limiter, good, 9);
	assert_true(login_limiter_allows(limiter, good));
	assert_true(login_limiter_allows(limiter, other));
	login_limiter_succeeded(limiter, v4(a, 0x0b000001)); /* nothing known: nothing happens */
	login_limiter_free(limiter);
}

static void loopback_and_local_sockets(void **state)
{
	struct test_clock clock = clock_at(0);
	uint8_t a[4], v6_loopback[16] = {[15] = 1};
	struct slice addresses[] = {v4(a, 0x7f000001), slice_of(v6_loopback, 16), slice_empty()};
	(void)state;
	for (int exempt = 0; exempt < 2; exempt++) {
		struct login_limiter *limiter = limiter_with(&clock, 0, exempt);
		for (size_t i = 0; i < N_ELEMENTS(addresses); i++) {
			fail_times(limiter, addresses[i], 100);
			assert_int_equal(login_limiter_allows(limiter, addresses[i]),
			                 exempt || addresses[i].n == 0);
		}
		login_limiter_free(limiter);
	}
}

static void a_flood_of_addresses_does_not_free_its_network(void **state)
{
	struct test_clock clock = clock_at(0);
	struct login_limiter *limiter = limiter_with(&clock, 64, true);
	uint8_t a[4];
	(void)state;
	/* 64 entries, 2,048 addresses of one /21. */
	for (uint32_t i = 0; i < 2048; i++)
		login_limiter_failed(limiter, v4(a, 0x0a000000 + i));
	assert_false(login_limiter_allows(limiter, v4(a, 0x0a000000)));
	assert_false(login_limiter_allows(limiter, v4(a, 0x0a0007ff)));
	assert_true(login_limiter_allows(limiter, v4(a, 0x0b000000)));
	login_limiter_free(limiter);
}

/* Guesses that are sent at once are no more than those sent one by one. */
static void tries_under_way_count(void **state)
{
	struct test_clock clock = clock_at(0);
	struct login_limiter *limiter = limiter_with(&clock, 0, true);
	uint8_t a[4];
	struct slice address = v4(a, 0x0a000001);
	(void)state;
	fail_times(limiter, address, 7);
	for (int i = 0; i < 3; i++)
		assert_int_equal(login_limiter_begin(limiter, address, 1).code, ERR_OK);
	assert_int_equal(login_limiter_begin(limiter, address, 1).code, ERR_LIMIT);
	assert_true(login_limiter_allows(limiter, address)); /* nobody has failed yet */
	login_limiter_end(limiter, address);                 /* one that was not decided */
	assert_int_equal(login_limiter_begin(limiter, address, 1).code, ERR_OK);
	login_limiter_succeeded(limiter, address); /* forgives failures, not what is under way */
	login_limiter_end(limiter, address);
	for (int i = 0; i < 8; i++)
		assert_int_equal(login_limiter_begin(limiter, address, 1).code, ERR_OK);
	assert_int_equal(login_limiter_begin(limiter, address, 1).code, ERR_LIMIT);
	for (int i = 0; i < 10; i++) {
		login_limiter_failed(limiter, address);
		login_limiter_end(limiter, address);
	}
	assert_int_equal(login_limiter_begin(limiter, address, 1).code, ERR_LIMIT);
	clock.now_s += 60;
	assert_int_equal(login_limiter_begin(limiter, address, 1).code, ERR_OK);
	login_limiter_end(limiter, address);
	login_limiter_end(limiter, address); /* nothing under way: nothing happens */
	login_limiter_free(limiter);
}

static void tries_of_a_network_count_together(void **state)
{
	struct test_clock clock = clock_at(0);
	struct login_limiter *limiter = limiter_with(&clock, 0, true);
	uint8_t a[4];
	(void)state;
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(login_limiter_begin(limiter, v4(a, 0x0a000000 + i), 1).code,
		                 ERR_OK);
	assert_int_equal(login_limiter_begin(limiter, v4(a, 0x0a00003f), 1).code, ERR_LIMIT);
	assert_int_equal(login_limiter_begin(limiter, v4(a, 0x0a000040), 1).code, ERR_OK);
	login_limiter_free(limiter);
}

static void *begin_and_end(void *context)
{
	struct login_limiter *limiter = context;
	uint8_t a[4];
	struct slice address = v4(a, 0x0a000001);
	struct status status = login_limiter_begin(limiter, address, 60000);
	if (is_ok(status))
		login_limiter_end(limiter, address);
	return is_ok(status) ? limiter : NULL;
}

/* Many good logins at once from one address are not refused: they wait for one another. */
static void one_too_many_waits_for_another_to_end(void **state)
{
	uint8_t a[4];
	struct slice address = v4(a, 0x0a000001);
	(void)state;
	for (int failing = 0; failing < 2; failing++) {
		struct test_clock clock = clock_at(0);
		struct login_limiter *limiter = limiter_with(&clock, 0, true);
		pthread_t threads[20];
		for (int i = 0; i < 10; i++)
			assert_int_equal(login_limiter_begin(limiter, address, 1).code, ERR_OK);
		for (size_t i = 0; i < N_ELEMENTS(threads); i++)
			assert_int_equal(pthread_create(&threads[i], NULL, begin_and_end, limiter),
			                 0);
		for (int i = 0; i < 10; i++) {
			if (failing)
				login_limiter_failed(limiter, address);
			else
				login_limiter_succeeded(limiter, address);
		}
		for (int i = 0; i < 10; i++)
			login_limiter_end(limiter, address);
		for (size_t i = 0; i < N_ELEMENTS(threads); i++) {
			void *let_in;
			assert_int_equal(pthread_join(threads[i], &let_in), 0);
			assert_int_equal(let_in != NULL, !failing);
		}
		login_limiter_free(limiter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_address_has_ten_failures_a_minute_and_fifty_a_day),
	        cmocka_unit_test(networks_count_their_addresses_together),
	        cmocka_unit_test(v6_addresses_count_by_their_64),
	        cmocka_unit_test(mapped_v4_is_v4),
	        cmocka_unit_test(success_forgives),
	        cmocka_unit_test(loopback_and_local_sockets),
	        cmocka_unit_test(tries_under_way_count),
	        cmocka_unit_test(tries_of_a_network_count_together),
	        cmocka_unit_test(one_too_many_waits_for_another_to_end),
	        cmocka_unit_test(a_flood_of_addresses_does_not_free_its_network),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
