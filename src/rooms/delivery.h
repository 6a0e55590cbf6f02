/* One message to many account rooms: asked all at once, each answered when durable. */
#pragma once

#include "rooms/peers.h"
#include "smtp/path.h"

struct delivery {
	uint64_t cid;
	int body_fd; /* stays the caller's */
	uint64_t size;
	int64_t received_at_s;
	struct slice from; /* envelope sender, printed: part of what identifies a repetition */
};

struct delivery_target {
	/* in */
	const char *account;
	struct smtp_path rcpt;
	struct slice prefix;
	const char *mailbox; /* NULL: the Inbox */
	bool junk;
	struct slice note; /* may be empty */
	/* out */
	struct status status;
};

/* Blocks until every target has its status. */
void delivery_run(struct room *room, const struct delivery *delivery,
                  struct delivery_target *targets, size_t n);
