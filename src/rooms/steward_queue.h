/* The administrator's commands for the queue, from JSON to the queue's door and back.
 *
 *	{"command":"queue-list", "filter":{...}, "retired":false}   entries, more
 *	{"command":"queue-show", "id":7, "retired":false}           entry with its history
 *	{"command":"queue-dump", "id":7, "offset":0}                base64 of a piece, total_size
 *	{"command":"queue-apply", "filter":{...}, "change":"hold"}  changed, skipped
 *	{"command":"queue-holdrules", "action":"list"}              rules
 *	{"command":"queue-suppress", "action":"list"}               suppressions, more
 *
 * An answer fits one line of the control socket: what is longer comes in pages.
 */
#pragma once

#include "rooms/runtime.h"

#include <jansson.h>

/* The answer to one; the caller's. NULL when it is no command of the queue. */
json_t *steward_queue(struct room *room, const char *command, const json_t *request);
