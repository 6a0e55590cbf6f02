/* What the tests of the steward's database share: a database in a temporary directory. */
#pragma once

#include "rooms/report_facts.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail /* cmocka's; ours makes a status */

struct report_fixture {
	char path[256], db_path[300];
	const char *vfs;
	struct report_db *db;
	struct arena arena;
};

void report_fixture_init(struct report_fixture *f, const char *vfs);
void report_fixture_reopen(struct report_fixture *f); /* as after a restart */
void report_fixture_done(struct report_fixture *f);   /* and removes the directory */

#define assert_ok(expr)                                                                            \
	do {                                                                                       \
		struct status assert_ok_ = (expr);                                                 \
		if (!is_ok(assert_ok_))                                                            \
			print_message("%s: %s\n", #expr, assert_ok_.why);                          \
		assert_int_equal(assert_ok_.code, ERR_OK);                                         \
	} while (0)
#define assert_err(expr, expected) assert_string_equal(err_name((expr).code), err_name(expected))
