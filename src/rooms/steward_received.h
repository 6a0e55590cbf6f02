/* The administrator's looks at reports that came in, in JSON.
 *
 *	{"command":"reports-received", "kind":"dmarc", "domain":"example.org", "below":0}
 *	    "reports", the newest first, those below an id (0: all), and "more"; domain "": of all
 *	{"command":"report-received", "kind":"tls", "id":7}
 *	    "report", with "rows": base64 of packed ReceivedRows (steward.proto)
 */
#pragma once

#include "rooms/report_db.h"
#include "rooms/runtime.h"

#include <jansson.h>

/* The answer to one; the caller's. NULL when it is no such command. */
json_t *steward_received(struct report_db *db, const char *command, const json_t *request);
