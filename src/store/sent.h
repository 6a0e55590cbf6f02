/* What the account has sent lately, against its limits: recipients in a day, and recipients that it
 * never wrote to before in a day. Every way of sending asks here, so that no way leads around.
 *
 * A day is the last 24 hours, in steps of a minute. Who was written to is remembered for two years
 * (STORE_SENT_KEEP_S). Addresses are compared in ASCII lower case.
 */
#pragma once

#include "store/store.h"

#define STORE_SENT_UNLIMITED      UINT64_MAX
#define STORE_SENT_KEEP_S         ((int64_t)2 * 365 * 86400)
#define STORE_SENT_ADDRESS_MAX    512u   /* bytes that are compared */
#define STORE_SENT_RECIPIENTS_MAX 10000u /* of one message */

struct store_sent_limits {
	uint64_t per_day;            /* recipients; STORE_SENT_UNLIMITED */
	uint64_t first_time_per_day; /* among them, those never written to before */
};

enum store_sent_verdict {
	STORE_SENT_OK,
	STORE_SENT_OVER_DAY,
	STORE_SENT_OVER_FIRST_TIME,
};

/* What was counted, to be taken back if the message could not be sent after all. */
struct store_sent_count {
	int64_t at_s;
	uint32_t n;
	uint32_t n_first;
	const struct slice *first; /* n_first: who was never written to before */
};

struct store_sent_state { /* of the last 24 hours */
	uint64_t n;
	uint64_t n_first;
};

/* Counts one message to these recipients ("local@domain") durably, or, when a limit speaks against
 * it, nothing. Every recipient given counts, since each gets a copy: leave repeated ones out. For
 * first-time recipients addresses that differ in case only are one. Works in the arena, and
 * ret_count points into it. */
struct status store_sent_add(struct store *store, const struct slice *recipients, size_t n,
                             const struct store_sent_limits *limits, struct arena *arena,
                             enum store_sent_verdict *ret_verdict,
                             struct store_sent_count *ret_count,
                             struct store_sent_state *ret_state);

/* The message was not sent: takes its count back, and forgets whom it would have been the first to,
 * unless another message has gone there meanwhile. */
struct status store_sent_take_back(struct store *store, const struct store_sent_count *count);

struct status store_sent_get(struct store *store, struct store_sent_state *ret_state);
