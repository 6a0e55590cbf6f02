/* Delivery reports that come in: read behind the delivery's answer, told to the queue, which knows
 * what they are about. Private to the account room. */
#pragma once

#include "rooms/runtime.h"

struct account_report;

struct account_reports {
	struct room *room;
	const char *account;
	void (*busy)(void *context, int change); /* the room may not leave meanwhile */
	void *context;
	pthread_mutex_t lock; /* guards what follows */
	struct account_report *first, **last;
	unsigned n;
	bool running;
};

void account_reports_init(struct account_reports *reports);

/* May this delivery be a report? They come from the null sender (RFC 3461 section 6.1, RFC 5321
 * section 4.5.5), which the prefix tells. */
bool account_reports_wants(struct slice prefix);

/* Takes the descriptor of a stored message over and returns at once; it is looked at in a thread of
 * its own. Past a limit it is forgotten: nothing but the queue's knowledge suffers. */
void account_reports_add(struct account_reports *reports, int fd, uint64_t size, uint64_t cid);
