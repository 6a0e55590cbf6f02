/* The administrator's question why a message was accepted, through the account's room:
 *
 *	{"command":"message-explain", "account":"ada", "mailbox":"", "uid":0, "message_id":""}
 *	{"ok":true, "mailbox":"Inbox", "uid":7, "subject":"...", "verdict":"..."}
 *
 * verdict: base64 of a packed Verdict (verdict.proto), empty when nothing was written down. It is
 * carried, not read: an account's room is as hostile as its mail.
 */
#pragma once

#include "rooms/runtime.h"

#include <jansson.h>

/* The answer; the caller's. NULL when the request is malformed. */
json_t *steward_explain(struct room *room, const json_t *request);
