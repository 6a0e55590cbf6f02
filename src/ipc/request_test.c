/* The tables of introductions and of requests agree, and say no where it matters. */
#include "ipc/request.h"

#include "account.pb-c.h"
#include "courier.pb-c.h"
#include "queue.pb-c.h"
#include "steward.pb-c.h"
#include "vault.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned count_requests(enum ipc_room from, enum ipc_room to)
{
	unsigned n = 0;
	for (unsigned request = 0; request < IPC_REQUEST_MAX; request++)
		n += ipc_may_request(from, to, request);
	return n;
}

static void nobody_asks_without_an_introduction(void **state)
{
	(void)state;
	for (unsigned from = 0; from < IPC_ROOM_COUNT; from++) {
		for (unsigned to = 0; to < IPC_ROOM_COUNT; to++) {
			bool introduced = ipc_may_introduce((enum ipc_room)from, (enum ipc_room)to);
			unsigned n = count_requests((enum ipc_room)from, (enum ipc_room)to);
			if (to == IPC_ROOM_WEB) /* relayed bytes, no requests */
				assert_int_equal(n, 0);
			else if ((n > 0) != introduced)
				fail_msg("%s to %s", ipc_room_name((enum ipc_room)from),
				         ipc_room_name((enum ipc_room)to));
		}
	}
}

static void every_request_has_somebody_who_makes_it(void **state)
{
	(void)state;
	unsigned n_named = 0, n_rows = 0;
	for (unsigned to = 0; to < IPC_ROOM_COUNT; to++) {
		for (unsigned request = 0; request < IPC_REQUEST_MAX; request++) {
			const char *name = ipc_request_name((enum ipc_room)to, request);
			unsigned n = 0;
			for (unsigned from = 0; from < IPC_ROOM_COUNT; from++)
				n += ipc_may_request((enum ipc_room)from, (enum ipc_room)to,
				                     request);
			if (name && n == 0)
				fail_msg("nobody may ask %s for %s",
				         ipc_room_name((enum ipc_room)to), name);
			if (!name && n > 0)
				fail_msg("%s has no request %u", ipc_room_name((enum ipc_room)to),
				         request);
			n_named += name != NULL;
			n_rows += n;
		}
	}
	assert_true(n_named > 15);
	assert_true(n_rows >= n_named);
}

/* Each line is a way in that an intruder would like. */
static void what_must_not_be_asked(void **state)
{
	(void)state;
	static const struct {
		enum ipc_room from, to;
		unsigned request;
	} refused[] = {
	        {IPC_ROOM_GATE_MX, IPC_ROOM_ACCOUNT, DOOR__ACCOUNT_REQUEST__BODY_OPEN_SESSION},
	        {IPC_ROOM_GATE_LOGIN, IPC_ROOM_ACCOUNT, DOOR__ACCOUNT_REQUEST__BODY_DELIVER},
	        {IPC_ROOM_QUEUE, IPC_ROOM_ACCOUNT, DOOR__ACCOUNT_REQUEST__BODY_OPEN_SESSION},
	        {IPC_ROOM_GATE_MX, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_VERIFY_PLAIN},
	        {IPC_ROOM_GATE_WEB, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_VERIFY_PLAIN},
	        {IPC_ROOM_GATE_LOGIN, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_SET_PASSWORD},
	        {IPC_ROOM_GATE_LOGIN, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_GET_SECRET},
	        {IPC_ROOM_STEWARD, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_GET_SECRET},
	        {IPC_ROOM_COURIER, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_SIGN},
	        {IPC_ROOM_COURIER, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_SET_SECRET},
	        {IPC_ROOM_ACCOUNT, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_GET_SECRET},
	        {IPC_ROOM_ACCOUNT, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_SIGN},
	        {IPC_ROOM_ACCOUNT, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_DKIM_GENERATE},
	        {IPC_ROOM_QUEUE, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_DKIM_LIST},
	        {IPC_ROOM_GATE_MX, IPC_ROOM_VAULT, DOOR__VAULT_REQUEST__BODY_DKIM_SIGN},
	        {IPC_ROOM_ACCOUNT, IPC_ROOM_ACCOUNT, DOOR__ACCOUNT_REQUEST__BODY_DELIVER},
	        {IPC_ROOM_ACCOUNT, IPC_ROOM_QUEUE, DOOR__QUEUE_REQUEST__BODY_DUMP},
	        {IPC_ROOM_ACCOUNT, IPC_ROOM_QUEUE, DOOR__QUEUE_REQUEST__BODY_APPLY},
	        {IPC_ROOM_GATE_MX, IPC_ROOM_QUEUE, DOOR__QUEUE_REQUEST__BODY_ADD},
	        {IPC_ROOM_STEWARD, IPC_ROOM_QUEUE, DOOR__QUEUE_REQUEST__BODY_ADD},
	        {IPC_ROOM_GATE_MX, IPC_ROOM_STEWARD, DOOR__STEWARD_REQUEST__BODY_GET_POLICY},
	        {IPC_ROOM_GATE_MX, IPC_ROOM_STEWARD, DOOR__STEWARD_REQUEST__BODY_PUT_POLICY},
	        {IPC_ROOM_GATE_LOGIN, IPC_ROOM_STEWARD, DOOR__STEWARD_REQUEST__BODY_ADD_FACTS},
	        {IPC_ROOM_ACCOUNT, IPC_ROOM_STEWARD, DOOR__STEWARD_REQUEST__BODY_ADD_FACTS},
	        {IPC_ROOM_GATE_MX, IPC_ROOM_STEWARD, DOOR__STEWARD_REQUEST__BODY_ADD_RECEIVED},
	        {IPC_ROOM_COURIER, IPC_ROOM_STEWARD, DOOR__STEWARD_REQUEST__BODY_ADD_RECEIVED},
	        {IPC_ROOM_QUEUE, IPC_ROOM_STEWARD, DOOR__STEWARD_REQUEST__BODY_PUT_POLICY},
	        {IPC_ROOM_RESOLVER, IPC_ROOM_STEWARD, DOOR__STEWARD_REQUEST__BODY_GET_POLICY},
	        {IPC_ROOM_ACCOUNT, IPC_ROOM_QUEUE, DOOR__QUEUE_REQUEST__BODY_REPORT},
	        {IPC_ROOM_COURIER, IPC_ROOM_QUEUE, DOOR__QUEUE_REQUEST__BODY_REPORT},
	        {IPC_ROOM_STEWARD, IPC_ROOM_COURIER, DOOR__COURIER_REQUEST__BODY_ATTEMPT},
	        {IPC_ROOM_QUEUE, IPC_ROOM_COURIER, DOOR__COURIER_REQUEST__BODY_POST_REPORT},
	};
	for (size_t i = 0; i < N_ELEMENTS(refused); i++)
		if (ipc_may_request(refused[i].from, refused[i].to, refused[i].request))
			fail_msg("%s may ask %s for %s", ipc_room_name(refused[i].from),
			         ipc_room_name(refused[i].to),
			         ipc_request_name(refused[i].to, refused[i].request));
	assert_null(ipc_request_name(IPC_ROOM_COUNT, 1));
	assert_null(ipc_request_name(IPC_ROOM_VAULT, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nobody_asks_without_an_introduction),
	        cmocka_unit_test(every_request_has_somebody_who_makes_it),
	        cmocka_unit_test(what_must_not_be_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
