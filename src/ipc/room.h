/* The rooms of the house and who may be introduced to whom.
 *
 * The matrix in room.c is the security policy of the house: the supervisor makes a channel between
 * two rooms only where it says so. `mailkeep rooms` prints it.
 */
#pragma once

#include "base/slice.h"

/* identifier, name (also of its executable) */
#define IPC_ROOM_LIST(X)                                                                           \
	X(SUPERVISOR, "supervisor")                                                                \
	X(GATE_MX, "gate-mx")       /* strangers' mail: port 25 */                                 \
	X(GATE_LOGIN, "gate-login") /* users: submission and IMAP */                               \
	X(GATE_WEB, "gate-web")     /* HTTP and HTTPS */                                           \
	X(WEB, "web")                                                                              \
	X(ACCOUNT, "account")                                                                      \
	X(QUEUE, "queue")                                                                          \
	X(COURIER, "courier")                                                                      \
	X(RESOLVER, "resolver")                                                                    \
	X(VAULT, "vault")                                                                          \
	X(STEWARD, "steward")

enum ipc_room {
#define X(id, name) IPC_ROOM_##id,
	IPC_ROOM_LIST(X)
#undef X
	        IPC_ROOM_COUNT
};

const char *ipc_room_name(enum ipc_room room);
bool ipc_room_parse(struct slice name, enum ipc_room *ret_room);

/* May `from` ask to be introduced to `to`? The asker is the one who makes requests, `to` answers.
 */
bool ipc_may_introduce(enum ipc_room from, enum ipc_room to);

/* What a room asks of another, in words, for `mailkeep rooms`; "" where there is no introduction.
 */
const char *ipc_introduction_purpose(enum ipc_room from, enum ipc_room to);
