/* The rooms that this room has been introduced to: one channel each, made at first use, made again
 * when the other room has ended. Thread-safe. */
#pragma once

#include "rooms/runtime.h"

#define ROOM_PEERS_MAX 4096 /* channels kept at a time; unused ones are given up beyond it */

/* The channel to `to` (`name`: the account's, else ""); the caller unrefs. Blocks for the
 * supervisor's introduction. DENIED where the matrix says no, NOT_FOUND for an account that is not
 * configured. */
struct status room_peer(struct room *room, enum ipc_room to, const char *name,
                        struct ipc_channel **ret_channel);

/* A request and its reply. Asks again, with a new introduction, when the other room ended before it
 * answered: only for requests that may be repeated. fds stay the caller's. */
struct status room_call(struct room *room, enum ipc_room to, const char *name, uint64_t cid,
                        const ProtobufCMessage *request, const int *fds, size_t n_fds,
                        int timeout_ms, const ProtobufCMessageDescriptor *reply_type,
                        struct arena *arena, ProtobufCMessage **ret_reply);
