/* Submission in the account's room: the session behind a login. Private to the account room. */
#pragma once

#include "base/stream.h"
#include "rooms/runtime.h"
#include "store/store.h"

struct account_submission {
	struct room *room;
	const char *account;        /* its name in the config */
	struct store *store;        /* NULL: the account cannot be opened */
	struct status store_status; /* why */
	struct stream *stream;
	int wake_fd; /* the room ends: 421 at the next command */
	uint64_t cid;
	bool local; /* by the local socket: the client waits for a greeting, not for 235 */
};

/* Greets or says 235, then serves until the client has gone. Blocks; the stream stays the
 * caller's. */
void account_submission_run(const struct account_submission *options);
