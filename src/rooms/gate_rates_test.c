/* Rates of messages into one account. */
#include "rooms/gate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct config_limits limits = {
        .messages_per_minute = {2, 4, 6},
        .messages_per_day = {5, 100, 100},
        .bytes_per_minute = {1000, 2000, 3000},
        .bytes_per_day = {1500, 100000, 100000},
};

static struct os_address address_of(const char *text)
{
	struct os_address address;
	assert_true(is_ok(os_address_parse(slice_str(text), 0, &address)));
	return address;
}

static bool send_one(struct gate_rates *rates, const char *account, const char *from, uint64_t size,
                     int64_t now_s)
{
	struct os_address peer = address_of(from);
	if (!gate_rates_allow(rates, &limits, account, &peer, now_s))
		return false;
	gate_rates_count(rates, &limits, account, &peer, size, now_s);
	return true;
}

static void messages_count_per_minute_and_day(void **state)
{
	(void)state;
	struct gate_rates *rates = gate_rates_new();
	assert_true(send_one(rates, "me", "192.0.2.1", 1, 0));
	assert_true(send_one(rates, "me", "192.0.2.1", 1, 59));
	assert_false(send_one(rates, "me", "192.0.2.1", 1, 59));
	assert_true(send_one(rates, "you", "192.0.2.1", 1, 59));
	assert_true(send_one(rates, "me", "192.0.2.1", 1, 60));
	assert_true(send_one(rates, "me", "192.0.2.1", 1, 61));
	assert_true(send_one(rates, "me", "192.0.2.1", 1, 120));
	assert_false(send_one(rates, "me", "192.0.2.1", 1, 180)); /* five of the day */
	assert_true(send_one(rates, "me", "192.0.2.1", 1, 86400));
	gate_rates_free(rates);
}

static void bytes_count_too(void **state)
{
	(void)state;
	struct gate_rates *rates = gate_rates_new();
	assert_true(send_one(rates, "me", "192.0.2.1", 1000, 0));
	assert_false(send_one(rates, "me", "192.0.2.1", 1, 1));
	assert_true(send_one(rates, "me", "192.0.2.1", 999, 60));
	assert_false(send_one(rates, "me", "192.0.2.1", 1, 120));
	gate_rates_free(rates);
}

static void a_network_shares_its_count(void **state)
{
	(void)state;
	struct gate_rates *rates = gate_rates_new();
	static const char *const senders[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
	for (size_t i = 0; i < N_ELEMENTS(senders); i++)
		assert_true(send_one(rates, "me", senders[i], 1, 0));
	assert_false(send_one(rates, "me", "192.0.2.5", 1, 0));
	assert_true(send_one(rates, "me", "192.0.3.1", 1, 0));
	assert_true(send_one(rates, "me", "198.51.100.1", 1, 0));
	gate_rates_free(rates);
}

static void a_flood_of_addresses_takes_no_memory(void **state)
{
	(void)state;
	struct gate_rates *rates = gate_rates_new();
	for (uint32_t i = 0; i < 200000; i++) {
		struct os_address peer = {
		        .family = OS_FAMILY_V4,
		        .ip = {(uint8_t)(i >> 16 | 64), (uint8_t)(i >> 8), (uint8_t)i, 1}};
		(void)gate_rates_allow(rates, &limits, "me", &peer, 0);
		gate_rates_count(rates, &limits, "me", &peer, 1, 0);
	}
	gate_rates_free(rates); /* ASan would see a leak; the table cannot grow */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(messages_count_per_minute_and_day),
	        cmocka_unit_test(bytes_count_too),
	        cmocka_unit_test(a_network_shares_its_count),
	        cmocka_unit_test(a_flood_of_addresses_takes_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
