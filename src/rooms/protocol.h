/* What a listening socket speaks, as the supervisor and the gates name it. */
#pragma once

#include "base/base.h"
#include "ipc/room.h"

/* identifier, name, room that listens, TLS from the first byte */
#define ROOM_PROTOCOL_LIST(X)                                                                      \
	X(SMTP, "smtp", IPC_ROOM_GATE_MX, false)                                                   \
	X(IMAP, "imap", IPC_ROOM_GATE_LOGIN, false)                                                \
	X(IMAPS, "imaps", IPC_ROOM_GATE_LOGIN, true)                                               \
	X(SUBMISSION, "submission", IPC_ROOM_GATE_LOGIN, false)                                    \
	X(SUBMISSIONS, "submissions", IPC_ROOM_GATE_LOGIN, true)                                   \
	X(SUBMIT, "submit", IPC_ROOM_GATE_LOGIN, false) /* Unix socket, no password */             \
	X(CONTROL, "control", IPC_ROOM_STEWARD, false)

enum room_protocol {
#define X(id, name, room, tls) ROOM_PROTOCOL_##id,
	ROOM_PROTOCOL_LIST(X)
#undef X
	        ROOM_PROTOCOL_COUNT
};

static inline enum ipc_room room_protocol_room(enum room_protocol protocol)
{
	static const enum ipc_room rooms[] = {
#define X(id, name, room, tls) room,
	        ROOM_PROTOCOL_LIST(X)
#undef X
	};
	return rooms[protocol];
}

static inline const char *room_protocol_name(enum room_protocol protocol)
{
	static const char *const names[] = {
#define X(id, name, room, tls) name,
	        ROOM_PROTOCOL_LIST(X)
#undef X
	};
	return names[protocol];
}

static inline bool room_protocol_is_tls(enum room_protocol protocol)
{
	static const bool tls_from_start[] = {
#define X(id, name, room, tls) tls,
	        ROOM_PROTOCOL_LIST(X)
#undef X
	};
	return tls_from_start[protocol];
}
