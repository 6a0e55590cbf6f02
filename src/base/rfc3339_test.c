/* Internet date-times. */
#include "base/rfc3339.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void date_times_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t unix_s; /* -1: refused */
	} cases[] = {
	        {"1970-01-01T00:00:00Z", 0},
	        {"2016-04-01T00:00:00Z", 1459468800},
	        {"2016-04-01t23:59:59z", 1459555199},
	        {"2016-04-01T23:59:60Z", 1459555200},
	        {"2016-02-29T12:00:00.123456789012345678901Z", 1456747200},
	        {"2016-04-01T02:00:00+02:00", 1459468800},
	        {"2016-03-31T18:30:00-05:30", 1459468800},
	        {"9999-12-31T23:59:59Z", 253402300799},
	        {"1970-01-01T01:00:00+01:00", 0},
	        /* refused */
	        {"", -1},
	        {"2016-04-01", -1},
	        {"2016-04-01T00:00:00", -1},
	        {"2016-04-01 00:00:00Z", -1},
	        {"2016-04-01T00:00Z", -1},
	        {"2016-04-01T00:00:00.Z", -1},
	        {"2016-04-01T00:00:00Zx", -1},
	        {"2016-04-01T00:00:00+0200", -1},
	        {"2016-04-01T00:00:00+24:00", -1},
	        {"2016-04-01T24:00:00Z", -1},
	        {"2016-04-01T00:60:00Z", -1},
	        {"2016-04-01T00:00:61Z", -1},
	        {"2016-04-31T00:00:00Z", -1},
	        {"2015-02-29T00:00:00Z", -1},
	        {"2016-13-01T00:00:00Z", -1},
	        {"2016-00-01T00:00:00Z", -1},
	        {"2016-01-00T00:00:00Z", -1},
	        {"1969-12-31T23:59:59Z", -1},
	        {"16-04-01T00:00:00Z", -1},
	        {"02016-04-01T00:00:00Z", -1},
	        {"2016-4-1T00:00:00Z", -1},
	        {"-016-04-01T00:00:00Z", -1},
	        {"+016-04-01T00:00:00Z", -1},
	        {" 2016-04-01T00:00:00Z", -1},
	        {"1459468800", -1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t unix_s = -1;
		assert_int_equal(rfc3339_parse(slice_str(cases[i].text), &unix_s),
		                 cases[i].unix_s >= 0);
		assert_int_equal(unix_s, cases[i].unix_s);
	}
	int64_t unix_s;
	assert_false(rfc3339_parse(SLICE("2016-04-01T00:00:00Z\0"), &unix_s));
}

static void date_times_are_written(void **state)
{
	char text[RFC3339_SIZE];
	(void)state;
	rfc3339_format(1459555199, text);
	assert_string_equal(text, "2016-04-01T23:59:59Z");
	rfc3339_format(-1, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	rfc3339_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(date_times_are_read),
	        cmocka_unit_test(date_times_are_written),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
