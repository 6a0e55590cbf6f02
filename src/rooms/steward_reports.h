/* The daily reports: ends periods when their time has come, finds out who wants a report (asking
 * the courier), makes it, and hands it to the queue or, by HTTPS, to the courier. One thread;
 * report_outbox.h says what is written down when. */
#pragma once

#include "rooms/report_db.h"
#include "rooms/runtime.h"

#include <jansson.h>

struct steward_reports;

/* Begins the thread; lives as long as the room. NULL when there is none to be had. */
struct steward_reports *steward_reports_start(struct room *room, struct report_db *db);

/* The administrator's commands:
 *
 *	{"command":"reports-send"}                                     what was counted until now is
 * sent
 *	{"command":"reports-show", "kind":"tls", "domain":"", "from":0, "to":0, "after":0}
 *
 * The second: topics, each with what becomes of its report; more. With a domain also what was
 * counted, cut to some hundred rows of each. Instants are unix seconds, `to` 0: no end; `after`:
 * the id of the last topic of the page before. The answer is the caller's; NULL when it is no such
 * command.
 */
json_t *steward_reports_command(struct steward_reports *reports, const char *command,
                                const json_t *request);
