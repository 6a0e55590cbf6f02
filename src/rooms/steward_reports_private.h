/* What the two files of the daily reports share: steward_reports.c works, steward_reports_show.c
 * tells. */
#pragma once

#include "rooms/report_make.h"
#include "rooms/steward_reports.h"

struct steward_reports {
	struct room *room;
	struct report_db *db;
	/* The thread's: */
	bool resumed;
	int64_t clean_s;
	pthread_mutex_t lock; /* guards called */
	pthread_cond_t wake;
	bool called;
};

/* There is something to do now. */
void steward_reports_call(struct steward_reports *s);

/* Who reports, by the config; texts live as long as that and the arena. Not NULL: why nobody can.
 */
const char *steward_report_author(const struct config *config, struct arena *arena,
                                  struct report_author *ret_author);
