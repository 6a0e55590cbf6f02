/* Shared by the tests of this folder: cmocka, and children that report by how they end. */
#pragma once

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail /* cmocka's; ours makes a status */
#include <sys/wait.h>

#define assert_ok(expr)             assert_int_equal((expr).code, ERR_OK)
#define assert_err(expr, expected)  assert_int_equal((expr).code, (expected))
#define assert_text(expr, expected) assert_string_equal((expr), (expected))

/* wait status of the child. */
static inline int test_wait(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) != pid)
		continue;
	return status;
}
