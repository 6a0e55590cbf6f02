/* Any bytes as a message of any door: unpacking is bounded, and what unpacks packs again into
 * something that unpacks. */
#include "account.pb-c.h"
#include "ipc/door.h"
#include "supervisor.pb-c.h"
#include "vault.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BUDGET ((size_t)4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *const doors[] = {
	        &door__supervisor_request__descriptor, &door__supervisor_reply__descriptor,
	        &door__room_message__descriptor,       &door__account_request__descriptor,
	        &door__account_reply__descriptor,      &door__vault_request__descriptor,
	        &door__vault_reply__descriptor,
	};
	if (size == 0 || size > IPC_PACKET_MAX)
		return 0;
	const ProtobufCMessageDescriptor *door = doors[data[0] % N_ELEMENTS(doors)];
	struct arena arena;
	arena_init(&arena, BUDGET);
	ProtobufCMessage *message = door_unpack(door, slice_of(data + 1, size - 1), &arena);
	if (message) {
		CLEANUP(door_packed_done) struct door_packed packed;
		door_pack(message, &packed);
		ASSERT(door_unpack(door, packed.bytes, &arena) || arena_failed(&arena));
	}
	arena_done(&arena);
	return 0;
}
