/* What the store's tests share: an account in a temporary directory, a clock set by hand, a summary
 * that is easy to check. */
#pragma once

#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail /* cmocka's; ours makes a status */

struct fixture {
	char path[256];
	int dir_fd;
	struct store_options options;
	struct store *store;
	struct arena arena;
};

/* Seconds since 1970 that the store sees. */
void fixture_set_time(int64_t now_s);

void fixture_init(struct fixture *f); /* an open store in a new directory */
void fixture_done(struct fixture *f); /* verifies, closes, removes the directory */
void fixture_reopen(struct fixture *f);
void fixture_remove(struct fixture *f); /* the directory; the store is closed */
/* Fails the test on any finding. */
void fixture_verify(struct fixture *f);

void assert_ok_failed(const char *expr, struct status status, const char *file, int line);
#define assert_ok(expr)                                                                            \
	do {                                                                                       \
		struct status assert_ok_ = (expr);                                                 \
		if (!is_ok(assert_ok_))                                                            \
			assert_ok_failed(#expr, assert_ok_, __FILE__, __LINE__);                   \
	} while (0)
#define assert_err(expr, expected) assert_string_equal(err_name((expr).code), err_name(expected))

struct store_mailbox_id mailbox_id(struct fixture *f, const char *name); /* 0: there is none */
struct store_mailbox mailbox(struct fixture *f, const char *name);

/* Text of n bytes that depends on the seed. */
char *test_body(uint64_t seed, size_t n);
/* Appends one message; its status. */
struct status append(struct fixture *f, struct store_mailbox_id id, struct slice body,
                     uint64_t flags, struct store_append *ret_append);
struct store_uid add(struct fixture *f, const char *mailbox, const char *body); /* must succeed */
/* The message's bytes, checked to be readable; in the fixture's arena. */
struct slice message_bytes(struct fixture *f, struct store_message_id id);

/* "1:3,7" */
struct store_uids uid_set(struct fixture *f, const char *text);
/* The view's UIDs as "1,2,3", with flags as "1(S),2(SD),3()" where asked; in the fixture's arena.
 */
const char *uids_text(struct fixture *f, const char *mailbox, bool flags);
