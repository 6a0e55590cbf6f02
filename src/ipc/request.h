/* What a room may ask at the door of another: one row a request, beside the matrix of
 * introductions.
 *
 * A room that answers looks here before it looks at a request's content, so that a channel opened
 * for one purpose serves no other. `mailkeep rooms` prints the rows.
 */
#pragma once

#include "ipc/room.h"

/* request: the number of the field in the oneof of the door's request message. */
bool ipc_may_request(enum ipc_room from, enum ipc_room to, unsigned request);

/* Name of the request as its .proto declares it; NULL where the door has none of that number. */
const char *ipc_request_name(enum ipc_room door, unsigned request);

#define IPC_REQUEST_MAX 64 /* numbers are below it */
