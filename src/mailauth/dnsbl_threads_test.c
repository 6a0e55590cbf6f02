/* Many threads ask many lists through one state while its clock runs on. For TSan. */
#include "mailauth/dnsbl.h"

#include "dns/table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>
#undef fail

#define THREADS 8
#define ROUNDS  200
#define ZONES   (DNSBL_LISTS_MAX + 20)

static atomic_int_fast64_t now_ms;

static int64_t test_now(const struct clock *clock)
{
	(void)clock;
	return atomic_fetch_add(&now_ms, 1000);
}

static const struct clock test_clock = {test_now, test_now};
static const struct clock still_clock = {NULL, test_now};

struct shared {
	struct dns_table table;
	struct dnsbl_state *lists;
	atomic_size_t n_wrong;
};

static void ask_round(struct shared *shared, unsigned zone_number)
{
	static const uint8_t listed[4] = {192, 0, 2, 99};
	struct arena arena;
	struct mailauth_dns dns;
	struct dnsbl_result result;
	char zone[40];
	arena_init(&arena, MAILAUTH_DNS_ARENA);
	mailauth_dns_init(&dns, &shared->table.resolver, &still_clock, INT32_MAX, &arena);
	snprintf(zone, sizeof(zone), "z%u.test", zone_number);
	dnsbl_ask_address(shared->lists, &dns, (struct dns_name){zone}, slice_of(listed, 4),
	                  &result);
	bool healthy = zone_number % 2 == 0;
	if (result.outcome != (healthy ? DNSBL_LISTED : DNSBL_BROKEN))
		atomic_fetch_add(&shared->n_wrong, 1);
	arena_done(&arena);
}

static void *run(void *context)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		ask_round(context, i * 7 % ZONES);
	return NULL;
}

static void threads_share_what_is_known(void **state)
{
	struct shared shared = {.lists = dnsbl_state_new(&test_clock)};
	pthread_t threads[THREADS];
	(void)state;
	dns_table_init(&shared.table);
	for (unsigned i = 0; i < ZONES; i++) {
		char fact[100];
		snprintf(fact, sizeof(fact), "99.2.0.192.z%u.test A 127.0.0.2", i);
		dns_table_add(&shared.table, fact);
		if (i % 2 > 0)
			continue;
		snprintf(fact, sizeof(fact), "2.0.0.127.z%u.test A 127.0.0.2", i);
		dns_table_add(&shared.table, fact);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, &shared), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(shared.n_wrong, 0);
	/* fewer than a checkup a question */
	assert_true(shared.table.n_lookups < 4u * THREADS * ROUNDS);
	dnsbl_state_free(shared.lists);
	dns_table_done(&shared.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(threads_share_what_is_known),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
