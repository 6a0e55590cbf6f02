/* Client of a running server's control socket, DATA/control.sock.
 *
 * A stream socket of the Unix family; each side sends one line of JSON:
 *	{"command": "reload"}
 *	{"command": "password", "account": "me", "password": "..."}
 *	{"command": "remove-password", "account": "me"}
 *	{"command": "secret-set", "name": "n", "value": "..."}
 *	{"command": "secret-rm", "name": "n"}
 *	{"command": "secret-list"}
 *	{"command": "dns-lookup", "name": "example.org", "type": 15, "timeout_ms": 5000}
 *	{"command": "dkim-list", "domain": "example.org"}
 * and the like (rooms/steward_dkim.h, rooms/steward_queue.h, rooms/steward_lookup.h), and the
 * answer is {"ok": true, ...} or {"ok": false, "code": "not-found", "errors": ["...", ...]}.
 */
#pragma once

#include "base/status.h"

#include <jansson.h>

#define CONTROL_SOCKET     "control.sock"
#define CONTROL_LINE_MAX   ((size_t)1024 * 1024) /* bytes of an answer */
#define CONTROL_TIMEOUT_MS 60000                 /* a reload reads a large configuration */

/* Sends the request (which stays the caller's) and waits for the answer (the caller's to free).
 * NOT_FOUND when no server is running; DENIED when it does not let us in; PROTOCOL when what
 * answers makes no sense. The copy of the request is wiped: it may hold a password. */
struct status control_call(const char *data_directory, json_t *request, json_t **ret_answer);
