/* The clock that protocol and store code is given: real in rooms, set by hand in tests. */
#pragma once

#include "base/base.h"

struct clock {
	/* Microseconds since 1970-01-01 UTC. */
	int64_t (*now_us)(const struct clock *clock);
	/* Milliseconds on a clock that never jumps, for deadlines. */
	int64_t (*monotonic_ms)(const struct clock *clock);
};

static inline int64_t clock_now_us(const struct clock *clock)
{
	return clock->now_us(clock);
}
static inline int64_t clock_now_s(const struct clock *clock)
{
	return clock->now_us(clock) / 1000000;
}
static inline int64_t clock_monotonic_ms(const struct clock *clock)
{
	return clock->monotonic_ms(clock);
}

/* A civil time (proleptic Gregorian). No time zone files are read. */
struct civil_time {
	int year;  /* 1970.. */
	int month; /* 1..12 */
	int day;   /* 1..31 */
	int hour, minute, second;
	int weekday; /* 0 = Sunday */
};

struct civil_time civil_from_unix(int64_t unix_s); /* UTC */
/* The fields may be out of range (second 60, day 0): they carry over. */
int64_t civil_to_unix(const struct civil_time *civil);

extern const char civil_month_names[12][4];  /* "Jan" */
extern const char civil_weekday_names[7][4]; /* "Sun" */
