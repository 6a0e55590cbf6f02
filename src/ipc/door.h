/* Packing and unpacking the messages of the doors (*.proto) with our arenas and limits.
 *
 * Unpacked messages live in the arena; there is nothing to free. Text fields are checked: a string
 * with a NUL inside or that is no UTF-8 is refused, since it came from another room.
 */
#pragma once

#include "base/arena.h"
#include "base/status.h"
#include "ipc/channel.h"

#include <protobuf-c/protobuf-c.h>

/* A received payload as a message of the given type; NULL when it is malformed or the arena's
 * budget does not suffice. Names a message's descriptor: DOOR_UNPACK(&arena, payload, door__start).
 */
ProtobufCMessage *door_unpack(const ProtobufCMessageDescriptor *descriptor, struct slice payload,
                              struct arena *arena);

/* A packed message; door_packed_done overwrites and frees it. */
struct door_packed {
	struct slice bytes;
	uint8_t *memory;
	uint8_t small[512];
};
void door_pack(const ProtobufCMessage *message, struct door_packed *ret_packed);
void door_packed_done(struct door_packed *packed);

/* The common moves: pack and send, call and unpack the reply into the arena. */
struct status door_send(struct ipc_channel *channel, uint64_t cid, const ProtobufCMessage *message,
                        const int *fds, size_t n_fds);
struct status door_answer(struct ipc_channel *channel, const struct ipc_packet *request,
                          const ProtobufCMessage *message, const int *fds, size_t n_fds);
/* ret_fd (may be NULL) receives the reply's first descriptor or -1; it is the caller's. */
struct status door_call(struct ipc_channel *channel, uint64_t cid, const ProtobufCMessage *message,
                        const int *fds, size_t n_fds, int timeout_ms,
                        const ProtobufCMessageDescriptor *reply_type, struct arena *arena,
                        ProtobufCMessage **ret_reply, int *ret_fd);

static inline struct slice door_bytes(ProtobufCBinaryData bytes)
{
	return slice_of(bytes.data, bytes.len);
}
/* protobuf-c wants a writable pointer although it only reads. */
ProtobufCBinaryData door_binary(struct slice s);
char *door_string(const char *s);

/* A Status field both ways. `why` of a received one lives in the arena it was unpacked into. */
struct status door_status(uint32_t code, const char *why);
