/* Civil time without libc's time zone machinery (gmtime is banned: it hides static state). */
#include "base/clock.h"

const char civil_month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
const char civil_weekday_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

#define DAY_S        86400
#define DAYS_PER_ERA 146097 /* 400 Gregorian years */
#define DAYS_TO_1970 719468 /* from 0000-03-01 */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Years begin on 1 March in both directions, so that a leap day is the last day of its year. */
struct civil_time civil_from_unix(int64_t unix_s)
{
	int64_t days = floor_div(unix_s, DAY_S);
	int64_t second_of_day = unix_s - days * DAY_S;
	int64_t z = days + DAYS_TO_1970;
	int64_t era = floor_div(z, DAYS_PER_ERA);
	int64_t day_of_era = z - era * DAYS_PER_ERA;
	int64_t year_of_era =
	        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
	        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;
	int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
	return (struct civil_time){
	        .year = (int)(year_of_era + era * 400 + (month <= 2)),
	        .month = month,
	        .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
	        .hour = (int)(second_of_day / 3600),
	        .minute = (int)(second_of_day / 60 % 60),
	        .second = (int)(second_of_day % 60),
	        .weekday = (int)(((days % 7) + 7 + 4) % 7),
	};
}

int64_t civil_to_unix(const struct civil_time *civil)
{
	int64_t months = (int64_t)civil->year * 12 + civil->month - 1;
	int64_t year = floor_div(months, 12);
	int64_t month = months - year * 12 + 1;
	year -= month <= 2;
	int64_t era = floor_div(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	int64_t days = era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970 + civil->day - 1;
	return days * DAY_S + (int64_t)civil->hour * 3600 + (int64_t)civil->minute * 60 +
	       civil->second;
}
