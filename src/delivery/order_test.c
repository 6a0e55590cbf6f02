/* The order of a host's addresses: families in turns, what worked first, bounded memory. */
#include "delivery/order.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int64_t now_ms;
static int64_t fake_ms(const struct clock *clock)
{
	(void)clock;
	return now_ms;
}
static const struct clock clock_fake = {.monotonic_ms = fake_ms};

static struct delivery_ip ip(const char *text)
{
	struct delivery_ip ip;
	assert_true(delivery_ip_parse(slice_str(text), &ip));
	return ip;
}

/* "6a 4a": by family and last digit. */
static const char *sorted(struct delivery_order *order, const char *host, const char *list)
{
	static char text[200];
	struct delivery_ip ips[DELIVERY_ADDRESSES_MAX];
	size_t n = 0, at = 0;
	for (; *list; list++) {
		char address[20];
		if (*list == ' ')
			continue;
		bool v6 = *list++ == '6';
		snprintf(address, sizeof(address), v6 ? "2001:db8::%c" : "192.0.2.%c", *list);
		ips[n++] = ip(address);
	}
	delivery_order_sort(order, slice_str(host), ips, n);
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%c%u", i ? " " : "",
		                       ips[i].is_v6 ? '6' : '4',
		                       ips[i].bytes[ips[i].is_v6 ? 15 : 3]);
	return text;
}

static void note(struct delivery_order *order, const char *host, const char *address,
                 enum delivery_experience experience)
{
	struct delivery_ip a = ip(address);
	delivery_order_note(order, slice_str(host), &a, experience);
}

static void set_up(struct delivery_order *order)
{
	now_ms = 1000;
	delivery_order_init(order, (struct hash_key){1, 2}, &clock_fake);
}

static void families_take_turns(void **state)
{
	(void)state;
	struct delivery_order order;
	set_up(&order);
	assert_string_equal(sorted(&order, "a", ""), "");
	assert_string_equal(sorted(&order, "a", "41"), "41");
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "61 41 62 42");
	assert_string_equal(sorted(&order, "a", "41 42 61 62"), "61 41 62 42");
	assert_string_equal(sorted(&order, "a", "61 62 63 41"), "61 41 62 63");
	assert_string_equal(sorted(&order, "a", "61 41 42 43"), "61 41 42 43");
	assert_string_equal(sorted(&order, "a", "41 42 43"), "41 42 43");
	delivery_order_done(&order);
}

static void what_worked_comes_first(void **state)
{
	(void)state;
	struct delivery_order order;
	set_up(&order);
	note(&order, "a", "192.0.2.2", DELIVERY_WORKED);
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "42 41 61 62");
	assert_string_equal(sorted(&order, "b", "61 62 41 42"), "61 41 62 42");
	assert_string_equal(sorted(&order, "a", "61 62 41"), "41 61 62"); /* it is gone */
	note(&order, "a", "2001:db8::2", DELIVERY_WORKED);
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "62 61 41 42");
	now_ms += DELIVERY_ORDER_TTL_MS;
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "61 41 62 42");
	delivery_order_done(&order);
}

static void a_family_without_a_route_is_tried_second(void **state)
{
	(void)state;
	struct delivery_order order;
	set_up(&order);
	note(&order, "a", "2001:db8::1", DELIVERY_NO_ROUTE);
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "41 61 42 62");
	note(&order, "a", "192.0.2.1", DELIVERY_NO_ROUTE); /* both: as if nothing were known */
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "61 41 62 42");
	note(&order, "a", "192.0.2.1", DELIVERY_WORKED);
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "41 61 42 62");
	note(&order, "a", "192.0.2.1", DELIVERY_UNLOVED);
	note(&order, "a", "2001:db8::2", DELIVERY_WORKED);
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "62 61 41 42");
	now_ms += DELIVERY_ORDER_TTL_MS;
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "61 41 62 42");
	delivery_order_done(&order);
}

static void a_refusal_by_policy_changes_the_family(void **state)
{
	(void)state;
	struct delivery_order order;
	set_up(&order);
	note(&order, "a", "2001:db8::1", DELIVERY_WORKED);
	note(&order, "a", "2001:db8::1", DELIVERY_UNLOVED);
	assert_string_equal(sorted(&order, "a", "61 62 41 42"), "41 61 42 62");
	assert_string_equal(sorted(&order, "a", "61 62"), "61 62");
	delivery_order_done(&order);
}

static void its_memory_is_bounded(void **state)
{
	(void)state;
	struct delivery_order order;
	set_up(&order);
	for (unsigned i = 0; i < 10 * DELIVERY_ORDER_ENTRIES; i++) {
		char host[20];
		now_ms++;
		snprintf(host, sizeof(host), "h%u", i);
		note(&order, host, "192.0.2.1", DELIVERY_WORKED);
		assert_string_equal(sorted(&order, host, "61 41"), "41 61");
	}
	unsigned n_known = 0;
	for (unsigned i = 0; i < 10 * DELIVERY_ORDER_ENTRIES; i++) {
		char host[20];
		snprintf(host, sizeof(host), "h%u", i);
		n_known += strcmp(sorted(&order, host, "61 41"), "41 61") == 0;
	}
	assert_true(n_known <= DELIVERY_ORDER_ENTRIES && n_known > DELIVERY_ORDER_ENTRIES / 2);
	delivery_order_done(&order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(families_take_turns),
	        cmocka_unit_test(what_worked_comes_first),
	        cmocka_unit_test(a_family_without_a_route_is_tried_second),
	        cmocka_unit_test(a_refusal_by_policy_changes_the_family),
	        cmocka_unit_test(its_memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
