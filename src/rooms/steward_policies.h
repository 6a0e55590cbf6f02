/* The administrator's commands for the policies of MTA-STS that are kept:
 *
 *	{"command":"mtasts-list", "domain":"", "after":""}      policies, more
 *	{"command":"mtasts-forget", "domain":"example.org"}
 *
 * of each: domain, used (unix seconds), form: base64 of what the courier has kept. It is carried,
 * not read: the text of a policy is a stranger's.
 */
#pragma once

#include "rooms/report_db.h"
#include "rooms/runtime.h"

#include <jansson.h>

/* The answer to one; the caller's. NULL when it is no such command. */
json_t *steward_policies(struct room *room, struct report_db *db, const char *command,
                         const json_t *request);
