/* The table of requests. */
#include "ipc/request.h"

#include "account.pb-c.h"
#include "courier.pb-c.h"
#include "queue.pb-c.h"
#include "resolver.pb-c.h"
#include "steward.pb-c.h"
#include "vault.pb-c.h"

static const struct permission {
	enum ipc_room from, to;
	unsigned request;
} permissions[] = {
#define ROW(from, to, door, request)                                                               \
	{                                                                                          \
		IPC_ROOM_##from, IPC_ROOM_##to, DOOR__##door##_REQUEST__BODY_##request             \
	}
        /* mail comes in */
        ROW(GATE_MX, ACCOUNT, ACCOUNT, DELIVER),
        ROW(GATE_MX, RESOLVER, RESOLVER, LOOKUP),
        ROW(GATE_MX, VAULT, VAULT, LIST_CERTIFICATES),
        ROW(GATE_MX, VAULT, VAULT, SIGN),
        ROW(GATE_MX, STEWARD, STEWARD, ADD_FACTS),
        /* users come in */
        ROW(GATE_LOGIN, ACCOUNT, ACCOUNT, OPEN_SESSION),
        ROW(GATE_LOGIN, VAULT, VAULT, LIST_CERTIFICATES),
        ROW(GATE_LOGIN, VAULT, VAULT, SIGN),
        ROW(GATE_LOGIN, VAULT, VAULT, VERIFY_PLAIN),
        ROW(GATE_LOGIN, VAULT, VAULT, SCRAM_PARAMETERS),
        ROW(GATE_LOGIN, VAULT, VAULT, SCRAM_VERIFY),
        ROW(GATE_LOGIN, VAULT, VAULT, CRAM_MD5_VERIFY),
        ROW(GATE_LOGIN, VAULT, VAULT, VERIFY_KEY),
        ROW(GATE_LOGIN, VAULT, VAULT, VERIFY_UNIX_USER),
        ROW(GATE_WEB, VAULT, VAULT, LIST_CERTIFICATES),
        ROW(GATE_WEB, VAULT, VAULT, SIGN),
        /* mail goes out */
        ROW(ACCOUNT, QUEUE, QUEUE, ADD),
        ROW(ACCOUNT, QUEUE, QUEUE, REPORTED),
        ROW(ACCOUNT, STEWARD, STEWARD, ADD_RECEIVED),
        ROW(ACCOUNT, VAULT, VAULT, DKIM_SIGN),
        ROW(QUEUE, VAULT, VAULT, DKIM_SIGN),
        ROW(QUEUE, ACCOUNT, ACCOUNT, DELIVER),
        ROW(QUEUE, COURIER, COURIER, ATTEMPT),
        ROW(COURIER, RESOLVER, RESOLVER, LOOKUP),
        ROW(COURIER, VAULT, VAULT, GET_SECRET),
        ROW(COURIER, STEWARD, STEWARD, GET_POLICY),
        ROW(COURIER, STEWARD, STEWARD, PUT_POLICY),
        ROW(COURIER, STEWARD, STEWARD, ADD_FACTS),
        /* reports go out */
        ROW(STEWARD, COURIER, COURIER, FIND_DESTINATIONS),
        ROW(STEWARD, COURIER, COURIER, POST_REPORT),
        ROW(STEWARD, QUEUE, QUEUE, REPORT),
        /* the administrator */
        ROW(STEWARD, VAULT, VAULT, SET_PASSWORD),
        ROW(STEWARD, VAULT, VAULT, REMOVE_PASSWORD),
        ROW(STEWARD, VAULT, VAULT, SET_SECRET),
        ROW(STEWARD, VAULT, VAULT, REMOVE_SECRET),
        ROW(STEWARD, VAULT, VAULT, LIST_SECRETS),
        ROW(STEWARD, VAULT, VAULT, LIST_CERTIFICATES),
        ROW(STEWARD, VAULT, VAULT, DKIM_GENERATE),
        ROW(STEWARD, VAULT, VAULT, DKIM_IMPORT),
        ROW(STEWARD, VAULT, VAULT, DKIM_REMOVE),
        ROW(STEWARD, VAULT, VAULT, DKIM_LIST),
        ROW(STEWARD, ACCOUNT, ACCOUNT, EXPLAIN),
        ROW(STEWARD, QUEUE, QUEUE, LIST),
        ROW(STEWARD, QUEUE, QUEUE, SHOW),
        ROW(STEWARD, QUEUE, QUEUE, DUMP),
        ROW(STEWARD, QUEUE, QUEUE, APPLY),
        ROW(STEWARD, QUEUE, QUEUE, HOLD_RULES),
        ROW(STEWARD, QUEUE, QUEUE, SUPPRESSIONS),
        ROW(STEWARD, RESOLVER, RESOLVER, LOOKUP),
        ROW(STEWARD, COURIER, COURIER, FORGET_POLICY),
#undef ROW
};

static const ProtobufCMessageDescriptor *const doors[IPC_ROOM_COUNT] = {
        [IPC_ROOM_ACCOUNT] = &door__account_request__descriptor,
        [IPC_ROOM_QUEUE] = &door__queue_request__descriptor,
        [IPC_ROOM_COURIER] = &door__courier_request__descriptor,
        [IPC_ROOM_RESOLVER] = &door__resolver_request__descriptor,
        [IPC_ROOM_VAULT] = &door__vault_request__descriptor,
        [IPC_ROOM_STEWARD] = &door__steward_request__descriptor,
};

bool ipc_may_request(enum ipc_room from, enum ipc_room to, unsigned request)
{
	for (size_t i = 0; i < N_ELEMENTS(permissions); i++)
		if (permissions[i].from == from && permissions[i].to == to &&
		    permissions[i].request == request)
			return true;
	return false;
}

const char *ipc_request_name(enum ipc_room door, unsigned request)
{
	if ((unsigned)door >= IPC_ROOM_COUNT || !doors[door])
		return NULL;
	const ProtobufCFieldDescriptor *field =
	        protobuf_c_message_descriptor_get_field(doors[door], request);
	return field ? field->name : NULL;
}
