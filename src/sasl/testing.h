/* For tests and fuzzers: a backend with one user, "user" whose password is "pencil", and a stable
 * answer for everybody else. */
#pragma once

#include "sasl/server.h"

struct sasl_test_backend {
	struct sasl_backend backend;
	const char *user, *password;
	const char *salt[2]; /* base64, by hash: SHA-1, SHA-256 */
	uint32_t iterations;
	enum err broken; /* not OK: every call fails with it */
	unsigned n_calls;
};

void sasl_test_backend_init(struct sasl_test_backend *t);
