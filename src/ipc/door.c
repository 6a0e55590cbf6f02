/* protobuf-c on arenas. The library is bounded by its input: an unpacked message is a small
 * multiple of the packet, and the arena's budget caps it; nesting in our doors is two levels. */
#include "ipc/door.h"

static void *alloc_in_arena(void *allocator_data, size_t size)
{
	return arena_alloc(allocator_data, size);
}

static void free_nothing(void *allocator_data, void *pointer)
{
	(void)allocator_data;
	(void)pointer;
}

ProtobufCMessage *door_unpack(const ProtobufCMessageDescriptor *descriptor, struct slice payload,
                              struct arena *arena)
{
	ProtobufCAllocator allocator = {alloc_in_arena, free_nothing, arena};
	ProtobufCMessage *message =
	        protobuf_c_message_unpack(descriptor, &allocator, payload.n, payload.p);
	return message && protobuf_c_message_check(message) ? message : NULL;
}

void door_pack(const ProtobufCMessage *message, struct door_packed *ret_packed)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	ret_packed->memory = n > sizeof(ret_packed->small) ? base_alloc(n) : NULL;
	uint8_t *at = ret_packed->memory ? ret_packed->memory : ret_packed->small;
	protobuf_c_message_pack(message, at);
	ret_packed->bytes = slice_of(at, n);
}

void door_packed_done(struct door_packed *packed)
{
	base_free(packed->memory);
	packed->memory = NULL;
}

struct status door_send(struct ipc_channel *channel, uint64_t cid, const ProtobufCMessage *message,
                        const int *fds, size_t n_fds)
{
	CLEANUP(door_packed_done) struct door_packed packed;
	door_pack(message, &packed);
	return ipc_send(channel, cid, packed.bytes, fds, n_fds);
}

struct status door_answer(struct ipc_channel *channel, const struct ipc_packet *request,
                          const ProtobufCMessage *message, const int *fds, size_t n_fds)
{
	CLEANUP(door_packed_done) struct door_packed packed;
	door_pack(message, &packed);
	return ipc_answer(channel, request->id, request->cid, packed.bytes, fds, n_fds);
}

struct status door_call(struct ipc_channel *channel, uint64_t cid, const ProtobufCMessage *message,
                        const int *fds, size_t n_fds, int timeout_ms,
                        const ProtobufCMessageDescriptor *reply_type, struct arena *arena,
                        ProtobufCMessage **ret_reply, int *ret_fd)
{
	CLEANUP(door_packed_done) struct door_packed packed;
	CLEANUP(ipc_reply_done) struct ipc_reply reply = {0};
	door_pack(message, &packed);
	TRY(ipc_call(channel, cid, packed.bytes, fds, n_fds, timeout_ms, &reply));
	ProtobufCMessage *unpacked = door_unpack(reply_type, reply.packet.payload, arena);
	if (!unpacked)
		return fail(ERR_PROTOCOL, "malformed reply from another room");
	*ret_reply = unpacked;
	if (ret_fd)
		*ret_fd = ipc_packet_take_fd(&reply.packet, 0);
	return ok();
}

ProtobufCBinaryData door_binary(struct slice s)
{
	union {
		const uint8_t *from;
		uint8_t *to;
	} bytes = {.from = s.p};
	return (ProtobufCBinaryData){.len = s.n, .data = bytes.to};
}

char *door_string(const char *s)
{
	union {
		const char *from;
		char *to;
	} text = {.from = s};
	return text.to;
}

struct status door_status(uint32_t code, const char *why)
{
	if (code == ERR_OK)
		return ok();
	return fail(code < ERR_COUNT ? (enum err)code : ERR_PROTOCOL, why);
}
