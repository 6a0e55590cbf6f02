/* Dates:
 *
 *   date-time = [ day-of-week "," ] day month year hour ":" minute [ ":" second ] zone
 *   zone      = ( "+" / "-" ) 4DIGIT / obs-zone          RFC 5322 sections 3.3 and 4.3
 *
 * Comments and blanks may stand between all tokens. Two-digit years below 50 are 20xx, other years
 * of two or three digits count from 1900 (section 4.3). Beyond the grammar: see the header.
 */
#include "message/date.h"

#include "message/lex.h"

#define DAY_S    86400
#define YEAR_MIN 1900
#define YEAR_MAX 9999

struct reader {
	struct message_lex lex;
	struct civil_time civil;
};

static int peek(struct reader *r)
{
	message_lex_skip_blank(&r->lex);
	return r->lex.at < r->lex.in.n ? r->lex.in.p[r->lex.at] : -1;
}

static bool skip(struct reader *r, uint8_t c)
{
	if (peek(r) != c)
		return false;
	r->lex.at++;
	return true;
}

static struct slice take_while(struct reader *r, bool (*is)(uint8_t c))
{
	peek(r);
	size_t start = r->lex.at;
	while (r->lex.at < r->lex.in.n && is(r->lex.in.p[r->lex.at]))
		r->lex.at++;
	return slice_sub(r->lex.in, start, r->lex.at - start);
}

static bool number(struct reader *r, uint32_t max, int *ret_value, size_t *ret_digits)
{
	uint32_t value;
	struct slice digits = take_while(r, ascii_is_digit);
	if (digits.n > 4 || !slice_to_u32(digits, max, &value))
		return false;
	*ret_value = (int)value;
	*ret_digits = digits.n;
	return true;
}

/* Names count by their first three letters. */
static bool month(struct reader *r)
{
	struct slice word = slice_sub(take_while(r, ascii_is_alpha), 0, 3);
	for (int i = 0; i < 12; i++) {
		if (slice_ieq_str(word, civil_month_names[i])) {
			r->civil.month = i + 1;
			return true;
		}
	}
	return false;
}

static bool day(struct reader *r)
{
	size_t digits;
	return number(r, 31, &r->civil.day, &digits) && digits <= 2;
}

static bool year(struct reader *r)
{
	size_t digits;
	if (!number(r, YEAR_MAX, &r->civil.year, &digits) || digits < 2)
		return false;
	if (digits < 4)
		r->civil.year += digits == 2 && r->civil.year < 50 ? 2000 : 1900;
	return r->civil.year >= YEAR_MIN;
}

static bool time_of_day(struct reader *r)
{
	size_t digits;
	if (!number(r, 23, &r->civil.hour, &digits) || !skip(r, ':') ||
	    !number(r, 59, &r->civil.minute, &digits))
		return false;
	/* Second 60 is a leap second (section 3.3). */
	if (skip(r, ':') && !number(r, 60, &r->civil.second, &digits))
		return false;
	if (skip(r, '.'))
		take_while(r, ascii_is_digit);
	return true;
}

static const struct {
	const char *name;
	int hours;
} zones[] = {
        {"UT", 0},   {"GMT", 0},  {"UTC", 0},  {"Z", 0},    {"EST", -5}, {"EDT", -4},
        {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7},
};

static void named_zone(struct slice name, struct message_date *date)
{
	for (size_t i = 0; i < N_ELEMENTS(zones); i++) {
		if (slice_ieq_str(name, zones[i].name)) {
			date->zone_minutes = zones[i].hours * 60;
			date->zone_known = true;
		}
	}
}

/* Section 4.3: other names, military ones among them, are to be read as "-0000". */
static bool zone(struct reader *r, struct message_date *date)
{
	int value = 0, c = peek(r);
	size_t digits;
	if (c != '+' && c != '-') {
		named_zone(take_while(r, ascii_is_alpha), date);
		return true;
	}
	r->lex.at++;
	if (!number(r, YEAR_MAX, &value, &digits) || digits != 4 || value % 100 > 59)
		return false;
	int minutes = value / 100 * 60 + value % 100;
	date->zone_minutes = c == '-' ? -minutes : minutes;
	date->zone_known = c == '+' || minutes != 0;
	return true;
}

/* A weekday, its comma or dot may be missing. ctime has the month next. */
static bool date_and_time(struct reader *r)
{
	struct reader back = *r;
	if (take_while(r, ascii_is_alpha).n > 0 && peek(r) >= 0 && ascii_is_digit((uint8_t)peek(r)))
		*r = back; /* one word before a number: a weekday or a month */
	if (month(r)) {
		if (!day(r))
			return false;
		skip(r, ',');
		return (time_of_day(r) && year(r));
	}
	skip(r, '.');
	skip(r, ',');
	if (peek(r) >= 0 && ascii_is_alpha((uint8_t)peek(r)))
		return month(r) && day(r) && time_of_day(r) && year(r);
	if (!day(r))
		return false;
	skip(r, '-');
	if (!month(r))
		return false;
	skip(r, '.');
	skip(r, '-');
	if (!year(r))
		return false;
	skip(r, ',');
	return time_of_day(r);
}

/* The day is one that its month has. */
static bool exists(const struct civil_time *civil)
{
	struct civil_time day = {.year = civil->year, .month = civil->month, .day = civil->day};
	struct civil_time same = civil_from_unix(civil_to_unix(&day));
	return civil->day > 0 && same.day == civil->day;
}

struct status message_date_parse(struct slice value, struct message_date *ret_date)
{
	struct reader r = {.lex = message_lex_of(value)};
	struct message_date date = {0};
	if (!date_and_time(&r) || !exists(&r.civil) || !zone(&r, &date))
		return fail(ERR_SYNTAX, "not a date");
	int64_t local_s = civil_to_unix(&r.civil);
	struct civil_time midnight = r.civil;
	midnight.hour = midnight.minute = midnight.second = 0;
	date.day = (int32_t)(civil_to_unix(&midnight) / DAY_S);
	date.unix_s = local_s - (int64_t)date.zone_minutes * 60;
	*ret_date = date;
	return ok();
}

void message_date_format(int64_t unix_s, int zone_minutes, char out[MESSAGE_DATE_SIZE])
{
	static const struct civil_time first = {.year = YEAR_MIN, .month = 1, .day = 2};
	static const struct civil_time last = {.year = YEAR_MAX, .month = 12, .day = 30};
	zone_minutes = MIN(MAX(zone_minutes, -12 * 60), 14 * 60);
	unix_s = MIN(MAX(unix_s, civil_to_unix(&first)), civil_to_unix(&last));
	struct civil_time t = civil_from_unix(unix_s + (int64_t)zone_minutes * 60);
	int zone = zone_minutes < 0 ? -zone_minutes : zone_minutes;
	snprintf(out, MESSAGE_DATE_SIZE, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d",
	         civil_weekday_names[t.weekday], t.day, civil_month_names[t.month - 1], t.year,
	         t.hour, t.minute, t.second, zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
}
