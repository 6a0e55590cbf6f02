/* What the queue's tests share: a queue in a temporary directory, a clock set by hand, an observer
 * that counts. */
#pragma once

#include "queue/policy.h"
#include "queue/queue.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail /* cmocka's; ours makes a status */

struct fixture {
	char path[256], db_path[300];
	int dir_fd;
	struct queue_options options;
	struct queue *queue;
	struct arena arena;
	pthread_mutex_t lock; /* guards what the observer writes */
	int64_t n_waiting;    /* entries that the observer knows */
	bool *known;          /* by id */
	struct queue_brief last;
	char last_transport[64];
};

#define KNOWN_MAX 200000

int64_t test_now(void);
void test_later(int64_t ms);

void fixture_init(struct fixture *f); /* files above 1000 bytes */
void fixture_done(struct fixture *f);
void fixture_reopen(struct fixture *f); /* and replays: the observer starts anew */
void fixture_remove(struct fixture *f); /* the directory; the queue is closed */

#define assert_ok(expr)                                                                            \
	do {                                                                                       \
		struct status assert_ok_ = (expr);                                                 \
		if (!is_ok(assert_ok_))                                                            \
			print_message("%s: %s\n", #expr, assert_ok_.why);                          \
		assert_int_equal(assert_ok_.code, ERR_OK);                                         \
	} while (0)
#define assert_err(expr, expected) assert_string_equal(err_name((expr).code), err_name(expected))
#define assert_slice(s, text)                                                                      \
	do {                                                                                       \
		struct slice assert_slice_ = (s);                                                  \
		if (!slice_eq_str(assert_slice_, (text)))                                          \
			print_message("%.*s\n", SLICE_FMT(assert_slice_));                         \
		assert_true(slice_eq_str(assert_slice_, (text)));                                  \
	} while (0)

int text_fd(const char *text);
char *test_body(uint64_t seed, size_t n);
/* Of account me, Message-ID <ID@example.org>. */
struct queue_add some_add(struct fixture *f, const char *id, struct queue_recipient *rcpts,
                          size_t n);
struct status add_with(struct fixture *f, struct queue_add *add, const char *body);
struct status add_bytes(struct fixture *f, struct queue_add *add, struct slice body);
int64_t add_one(struct fixture *f, const char *id, const char *address); /* body "text" */
struct queue_attempt some_attempt(int64_t at_ms, uint32_t code, const char *lines,
                                  enum queue_result result);
struct status retire(struct fixture *f, int64_t entry, enum queue_state how);
void assert_body(struct fixture *f, int64_t message, const char *text);
void assert_body_bytes(struct fixture *f, int64_t message, struct slice bytes);
unsigned n_files(struct fixture *f);
void find_file(struct fixture *f, char *ret_path, size_t size);
