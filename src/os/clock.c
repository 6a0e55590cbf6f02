/* The real clock. */
#include "os/clock.h"

#include <limits.h>

static int64_t real_now_us(const struct clock *clock)
{
	struct timespec t;
	(void)clock;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_monotonic_ms(const struct clock *clock)
{
	struct timespec t;
	(void)clock;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const struct clock *clock_real(void)
{
	static const struct clock real = {
	        .now_us = real_now_us,
	        .monotonic_ms = real_monotonic_ms,
	};
	return &real;
}

struct deadline deadline_in(int64_t ms)
{
	int64_t now = real_monotonic_ms(NULL);
	if (ms < 0 || ms > INT64_MAX - now)
		return deadline_never();
	return (struct deadline){now + ms};
}

struct deadline deadline_never(void)
{
	return (struct deadline){INT64_MAX};
}

bool deadline_passed(struct deadline deadline)
{
	return deadline.at_ms != INT64_MAX && real_monotonic_ms(NULL) >= deadline.at_ms;
}

int deadline_left_ms(struct deadline deadline)
{
	if (deadline.at_ms == INT64_MAX)
		return -1;
	int64_t left = deadline.at_ms - real_monotonic_ms(NULL);
	if (left <= 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}
