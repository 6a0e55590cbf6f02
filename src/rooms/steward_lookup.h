/* The administrator's questions to the DNS, through the resolver room:
 *
 *	{"command":"dns-lookup", "name":"example.org", "type":15, "timeout_ms":5000}
 *	{"ok":true, "answer":"..."}                base64 of a packed struct dns_answer
 *
 * The answer is carried, not read: what strangers' servers say is parsed by the resolver room and
 * by the one who asked.
 */
#pragma once

#include "rooms/runtime.h"

#include <jansson.h>

/* The answer; the caller's. NULL when the request is malformed. Blocks for the timeout and a little
 * more. */
json_t *steward_lookup(struct room *room, const json_t *request);
