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

static bool has_known_fields_only(const ProtobufCMessage *message);

static bool field_is_known(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const uint8_t *bytes = (const uint8_t *)message;
	size_t n = 0;
	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return true;
	if (field->label != PROTOBUF_C_LABEL_REPEATED) {
		uint32_t chosen = (uint32_t)field->id;
		const ProtobufCMessage *child;
		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
			memcpy(&chosen, bytes + field->quantifier_offset, sizeof(chosen));
		memcpy(&child, bytes + field->offset, sizeof(child));
		return chosen != field->id || !child || has_known_fields_only(child);
	}
	ProtobufCMessage *const *children;
	memcpy(&n, bytes + field->quantifier_offset, sizeof(n));
	memcpy(&children, bytes + field->offset, sizeof(children));
	for (size_t i = 0; i < n; i++)
		if (!has_known_fields_only(children[i]))
			return false;
	return true;
}

/* Both ends are of one build: a field that the door does not know is garbage. As deep as our .proto
 * files nest messages, which is three levels, whatever came. */
static bool has_known_fields_only(const ProtobufCMessage *message)
{
	if (message->n_unknown_fields > 0)
		return false;
	for (unsigned i = 0; i < message->descriptor->n_fields; i++)
		if (!field_is_known(message, &message->descriptor->fields[i]))
			return false;
	return true;
}

ProtobufCMessage *door_unpack(const ProtobufCMessageDescriptor *descriptor, struct slice payload,
                              struct arena *arena)
{
	ProtobufCAllocator allocator = {alloc_in_arena, free_nothing, arena};
	ProtobufCMessage *message =
	        protobuf_c_message_unpack(descriptor, &allocator, payload.n, payload.p);
	return message && has_known_fields_only(message) && protobuf_c_message_check(message)
	               ? message
	               : NULL;
}

void door_pack(const ProtobufCMessage *message, struct door_packed *ret_packed)
{
	size_t n = protobuf_c_message_get_packed_size(message);
	ret_packed->memory = n > sizeof(ret_packed->small) ? base_alloc(n) : NULL;
	uint8_t *at = ret_packed->memory ? ret_packed->memory : ret_packed->small;
	protobuf_c_message_pack(message, at);
	ret_packed->bytes = slice_of(at, n);
}

/* What passes through doors may be a password. */
void door_packed_done(struct door_packed *packed)
{
	explicit_bzero((void *)(uintptr_t)packed->bytes.p, packed->bytes.n);
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
