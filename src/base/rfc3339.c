/*   date-time   = full-date "T" full-time                             RFC 3339 section 5.6
 *   full-date   = 4DIGIT "-" 2DIGIT "-" 2DIGIT
 *   full-time   = 2DIGIT ":" 2DIGIT ":" 2DIGIT [ "." 1*DIGIT ] time-offset
 *   time-offset = "Z" / ("+" / "-") 2DIGIT ":" 2DIGIT
 */
#include "base/rfc3339.h"

#include "base/clock.h"
#include "base/cursor.h"

#define YEAR_MIN   1970
#define YEAR_MAX   9999
#define UNIX_S_MAX INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static int take_number(struct cursor *c, size_t n_digits, int low, int high)
{
	uint32_t number = 0;
	if (!slice_to_u32(cursor_take(c, n_digits), (uint32_t)high, &number) || (int)number < low)
		cursor_fail(c, "not a date");
	return (int)number;
}

static void take_date_and_time(struct cursor *c, struct civil_time *t)
{
	t->year = take_number(c, 4, YEAR_MIN, YEAR_MAX);
	cursor_expect(c, '-', "not a date");
	t->month = take_number(c, 2, 1, 12);
	cursor_expect(c, '-', "not a date");
	t->day = take_number(c, 2, 1, 31);
	if (!cursor_skip_text(c, "T"))
		cursor_fail(c, "not a date");
	t->hour = take_number(c, 2, 0, 23);
	cursor_expect(c, ':', "not a time");
	t->minute = take_number(c, 2, 0, 59);
	cursor_expect(c, ':', "not a time");
	t->second = take_number(c, 2, 0, 60);
	if (cursor_skip(c, '.') && cursor_while(c, ascii_is_digit).n == 0)
		cursor_fail(c, "not a time");
}

/* In seconds. */
static int64_t take_offset(struct cursor *c)
{
	if (cursor_skip_text(c, "Z"))
		return 0;
	bool west = cursor_skip(c, '-');
	if (!west)
		cursor_expect(c, '+', "not a time zone");
	int hours = take_number(c, 2, 0, 23);
	cursor_expect(c, ':', "not a time zone");
	int minutes = take_number(c, 2, 0, 59);
	int64_t offset_s = hours * 3600 + minutes * 60;
	return west ? -offset_s : offset_s;
}

static bool is_real_day(const struct civil_time *t)
{
	struct civil_time day = {.year = t->year, .month = t->month, .day = t->day};
	struct civil_time again = civil_from_unix(civil_to_unix(&day));
	return again.day == t->day && again.month == t->month;
}

bool rfc3339_parse(struct slice text, int64_t *ret_unix_s)
{
	struct civil_time t = {0};
	struct cursor c = cursor_of(text);
	take_date_and_time(&c, &t);
	int64_t offset_s = take_offset(&c);
	cursor_expect_end(&c, "text behind the time zone");
	if (!cursor_ok(&c) || !is_real_day(&t))
		return false;
	*ret_unix_s = civil_to_unix(&t) - offset_s;
	return true;
}

void rfc3339_format(int64_t unix_s, char out[RFC3339_SIZE])
{
	struct civil_time t = civil_from_unix(MIN(MAX(unix_s, 0), UNIX_S_MAX));
	/* The ranges are what the compiler cannot know. */
	snprintf(out, RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)t.year % 10000,
	         (unsigned)t.month % 100, (unsigned)t.day % 100, (unsigned)t.hour % 100,
	         (unsigned)t.minute % 100, (unsigned)t.second % 100);
}
