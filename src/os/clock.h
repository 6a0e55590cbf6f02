/* The real clock, and deadlines on its monotonic side. */
#pragma once

#include "base/clock.h"

/* CLOCK_REALTIME and CLOCK_MONOTONIC; static, usable by all threads. */
const struct clock *clock_real(void);

/* An instant on the monotonic clock. */
struct deadline {
	int64_t at_ms; /* INT64_MAX: never */
};

struct deadline deadline_in(int64_t ms); /* ms < 0: never */
struct deadline deadline_never(void);
bool deadline_passed(struct deadline deadline);
/* For poll: 0 when it has passed, -1 for never, else at least 1. */
int deadline_left_ms(struct deadline deadline);
