/* What a room must be able to do inside its sandbox; for tests only. */
#pragma once

#include "os/sandbox_attempts.h"

struct work {
	const char *name;
	int (*run)(const struct scene *scene); /* 0: done; else the step that failed */
	unsigned rooms;
};
extern const struct work sandbox_works[];
extern const size_t n_sandbox_works;
