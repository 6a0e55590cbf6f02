/* Connection limits of a gate: by address, subnet and network, open and per minute. */
#include "rooms/gate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct config_limits limits_of(uint32_t open, uint32_t per_minute)
{
	return (struct config_limits){
	        .connections = {open, open * 2, open * 3},
	        .connection_rate = {per_minute, per_minute * 2, per_minute * 3},
	};
}

static struct os_address address_of(const char *text)
{
	struct os_address address;
	assert_true(is_ok(os_address_parse(slice_str(text), 0, &address)));
	return address;
}

static void one_address_may_hold_so_many(void **state)
{
	(void)state;
	struct config_limits config = limits_of(3, 1000);
	struct gate_limits *limits = gate_limits_new();
	struct os_address peer = address_of("192.0.2.1");
	for (int i = 0; i < 3; i++)
		assert_true(gate_limits_admit(limits, &config, &peer, 1000));
	assert_false(gate_limits_admit(limits, &config, &peer, 1000));
	gate_limits_release(limits, &config, &peer);
	assert_true(gate_limits_admit(limits, &config, &peer, 1000));
	/* A refused one counts nothing: the next release makes room for one, not two. */
	gate_limits_release(limits, &config, &peer);
	assert_true(gate_limits_admit(limits, &config, &peer, 1000));
	assert_false(gate_limits_admit(limits, &config, &peer, 1000));
	gate_limits_free(limits);
}

static void neighbours_share_their_networks_limit(void **state)
{
	(void)state;
	struct config_limits config = limits_of(2, 1000);
	struct gate_limits *limits = gate_limits_new();
	static const char *const subnet[] = {"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"};
	for (size_t i = 0; i < N_ELEMENTS(subnet); i++) {
		struct os_address peer = address_of(subnet[i]);
		assert_true(gate_limits_admit(limits, &config, &peer, 0));
	}
	struct os_address same_subnet = address_of("192.0.2.9");
	struct os_address same_network = address_of("192.0.3.9");
	struct os_address stranger = address_of("198.51.100.9");
	assert_false(gate_limits_admit(limits, &config, &same_subnet, 0));
	assert_true(gate_limits_admit(limits, &config, &same_network, 0));
	assert_true(gate_limits_admit(limits, &config, &same_network, 0));
	assert_false(gate_limits_admit(limits, &config, &same_network, 0));
	assert_true(gate_limits_admit(limits, &config, &stranger, 0));
	gate_limits_free(limits);
}

static void ipv6_counts_by_its_64(void **state)
{
	(void)state;
	struct config_limits config = limits_of(1, 1000);
	struct gate_limits *limits = gate_limits_new();
	struct os_address one = address_of("2001:db8:0:1::1");
	struct os_address same_64 = address_of("2001:db8:0:1:ffff::2");
	struct os_address other_64 = address_of("2001:db8:0:2::1");
	assert_true(gate_limits_admit(limits, &config, &one, 0));
	assert_false(gate_limits_admit(limits, &config, &same_64, 0));
	assert_true(gate_limits_admit(limits, &config, &other_64, 0));
	gate_limits_free(limits);
}

static void a_minute_allows_so_many_new_ones(void **state)
{
	(void)state;
	struct config_limits config = limits_of(1000, 5);
	struct gate_limits *limits = gate_limits_new();
	struct os_address peer = address_of("192.0.2.1");
	for (int i = 0; i < 5; i++) {
		assert_true(gate_limits_admit(limits, &config, &peer, 1000 + i));
		gate_limits_release(limits, &config, &peer);
	}
	assert_false(gate_limits_admit(limits, &config, &peer, 30000));
	assert_true(gate_limits_admit(limits, &config, &peer, 61000));
	gate_limits_free(limits);
}

static void the_loopback_is_free_unless_configured(void **state)
{
	(void)state;
	struct config_limits config = limits_of(1, 1);
	struct gate_limits *limits = gate_limits_new();
	struct os_address peer = address_of("127.0.0.1");
	for (int i = 0; i < 10; i++)
		assert_true(gate_limits_admit(limits, &config, &peer, 0));
	config.rate_limits_on_loopback = true;
	assert_true(gate_limits_admit(limits, &config, &peer, 0));
	assert_false(gate_limits_admit(limits, &config, &peer, 0));
	gate_limits_free(limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_address_may_hold_so_many),
	        cmocka_unit_test(neighbours_share_their_networks_limit),
	        cmocka_unit_test(ipv6_counts_by_its_64),
	        cmocka_unit_test(a_minute_allows_so_many_new_ones),
	        cmocka_unit_test(the_loopback_is_free_unless_configured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
