/* The matrix of introductions. One row per pair that may talk; all else may not. */
#include "ipc/room.h"

static const char *const room_names[] = {
#define X(id, name) [IPC_ROOM_##id] = name,
        IPC_ROOM_LIST(X)
#undef X
};
_Static_assert(N_ELEMENTS(room_names) == IPC_ROOM_COUNT, "a name for every room");

struct introduction {
	enum ipc_room from, to;
	const char *purpose;
};

static const struct introduction introductions[] = {
        {IPC_ROOM_GATE_MX, IPC_ROOM_ACCOUNT, "deliver received mail"},
        {IPC_ROOM_GATE_MX, IPC_ROOM_VAULT, "sign TLS handshakes"},
        {IPC_ROOM_GATE_MX, IPC_ROOM_RESOLVER, "look up facts about senders"},
        {IPC_ROOM_GATE_MX, IPC_ROOM_STEWARD, "have messages counted for DMARC reports"},
        {IPC_ROOM_GATE_LOGIN, IPC_ROOM_ACCOUNT, "hand over a logged-in connection"},
        {IPC_ROOM_GATE_LOGIN, IPC_ROOM_VAULT, "sign TLS handshakes, check credentials"},
        {IPC_ROOM_GATE_WEB, IPC_ROOM_WEB, "relay HTTP requests"},
        {IPC_ROOM_GATE_WEB, IPC_ROOM_VAULT, "sign TLS handshakes"},
        {IPC_ROOM_ACCOUNT, IPC_ROOM_QUEUE, "hand over what its user sends"},
        {IPC_ROOM_ACCOUNT, IPC_ROOM_STEWARD, "hand over reports about our domains that came in"},
        {IPC_ROOM_ACCOUNT, IPC_ROOM_VAULT, "have what its user sends signed (DKIM)"},
        {IPC_ROOM_QUEUE, IPC_ROOM_VAULT, "have delivery reports signed (DKIM)"},
        {IPC_ROOM_QUEUE, IPC_ROOM_COURIER, "have a message delivered elsewhere"},
        {IPC_ROOM_QUEUE, IPC_ROOM_ACCOUNT, "deliver local mail and delivery reports"},
        {IPC_ROOM_COURIER, IPC_ROOM_RESOLVER, "find the hosts of a domain"},
        {IPC_ROOM_COURIER, IPC_ROOM_VAULT, "read a transport's secret"},
        {IPC_ROOM_COURIER, IPC_ROOM_STEWARD, "keep MTA-STS policies, have TLS sessions counted"},
        {IPC_ROOM_STEWARD, IPC_ROOM_VAULT, "set and remove credentials, keys and secrets"},
        {IPC_ROOM_STEWARD, IPC_ROOM_ACCOUNT, "ask why a message was accepted"},
        {IPC_ROOM_STEWARD, IPC_ROOM_QUEUE,
         "send reports, carry the administrator's queue commands"},
        {IPC_ROOM_STEWARD, IPC_ROOM_COURIER, "find who wants reports, send them by HTTPS"},
        {IPC_ROOM_STEWARD, IPC_ROOM_RESOLVER, "carry the administrator's questions to the DNS"},
};

static const struct introduction *find(enum ipc_room from, enum ipc_room to)
{
	for (size_t i = 0; i < N_ELEMENTS(introductions); i++)
		if (introductions[i].from == from && introductions[i].to == to)
			return &introductions[i];
	return NULL;
}

const char *ipc_room_name(enum ipc_room room)
{
	return (unsigned)room < IPC_ROOM_COUNT ? room_names[room] : "unknown";
}

bool ipc_room_parse(struct slice name, enum ipc_room *ret_room)
{
	for (size_t i = 0; i < IPC_ROOM_COUNT; i++) {
		if (slice_eq_str(name, room_names[i])) {
			*ret_room = (enum ipc_room)i;
			return true;
		}
	}
	return false;
}

bool ipc_may_introduce(enum ipc_room from, enum ipc_room to)
{
	return find(from, to) != NULL;
}

const char *ipc_introduction_purpose(enum ipc_room from, enum ipc_room to)
{
	const struct introduction *introduction = find(from, to);
	return introduction ? introduction->purpose : "";
}
