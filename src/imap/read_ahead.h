/* Opening messages that a command goes through in order: those that will probably be wanted next
 * are read together with the one that is wanted now. */
#pragma once

#include "imap/session_private.h"

struct imap_ahead {
	struct imap_session *s;
	/* Finds the first message behind *index that the command may want. */
	bool (*next)(void *context, uint32_t *index);
	void *context;
	size_t window; /* how many to read at once, 1..STORE_BATCH_MAX; follows how many were used
	                */
	struct store_batch *batch;
	bool batched;      /* else what was read last is a single message, not in the batch */
	uint32_t *indexes; /* of what was read, ascending */
	size_t n, at;      /* those before `at` were given or passed over */
	size_t n_given;    /* of them */
};

void imap_ahead_init(struct imap_ahead *ahead, struct imap_session *s, size_t window,
                     bool (*next)(void *context, uint32_t *index), void *context);
void imap_ahead_done(struct imap_ahead *ahead);

/* Makes a message of the selected view the session's parsed one, as imap_open_message does. Indexes
 * ascend from call to call. NOT_FOUND when it was expunged meanwhile. */
struct status imap_ahead_open(struct imap_ahead *ahead, uint32_t index);

/* The same for summaries. */
#define IMAP_SUMMARIES_MAX 512u /* rows at once */
struct imap_summary_row {
	uint32_t index;
	bool found;
	size_t offset; /* in `bytes`, of the columns one after another */
	size_t sizes[3];
	int64_t sent_at;
	int32_t sent_day;
};
struct imap_summaries {
	struct imap_session *s;
	unsigned columns; /* enum store_summary_columns */
	bool (*next)(void *context, uint32_t *index);
	void *context;
	size_t window;
	struct imap_summary_row *rows;
	size_t n, at, n_given;
	struct buf bytes;
	size_t n_asked, n_kept; /* rows that the store has looked at, that it has given */
};

void imap_summaries_init(struct imap_summaries *ahead, struct imap_session *s, unsigned columns,
                         size_t window, bool (*next)(void *context, uint32_t *index),
                         void *context);
void imap_summaries_done(struct imap_summaries *ahead);
/* Indexes ascend from call to call; the summary is valid until the next one. NOT_FOUND when the
 * message was expunged meanwhile. */
struct status imap_summaries_get(struct imap_summaries *ahead, uint32_t index,
                                 struct store_summary *ret_summary);

/* The window for the next read, after n were read of which n_used were wanted. */
size_t imap_ahead_window(size_t window, size_t max, size_t n, size_t n_used);
