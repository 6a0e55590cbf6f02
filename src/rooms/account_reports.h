/* Reports that come in by mail, read behind the delivery's answer: notifications about what was
 * sent are told to the queue, others' reports about our domains to the steward
 * (account_feedback.h). Private to the account room. */
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

/* A message that was stored. */
struct account_mail {
	uint64_t size;
	uint64_t cid;
	struct slice prefix; /* generated header lines */
	struct slice note;   /* a Verdict (verdict.proto), or empty */
	bool from_elsewhere; /* by SMTP, not from our own queue */
};

/* Takes the descriptor over and returns at once; when it may have a report, it is looked at in a
 * thread of its own. Past a limit it is forgotten: nothing but the others' knowledge suffers. */
void account_reports_look(struct account_reports *reports, int fd, const struct account_mail *mail);
