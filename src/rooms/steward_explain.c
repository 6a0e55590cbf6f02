/* See steward_explain.h. */
#include "rooms/steward_explain.h"

#include "account.pb-c.h"
#include "base/encode.h"
#include "rooms/peers.h"

#define REPLY_ARENA_MAX ((size_t)512 * 1024)
#define VERDICT_MAX     ((size_t)256 * 1024)
#define TIMEOUT_MS      30000

/* NULL also when the room says what is not UTF-8. */
static json_t *reply_json(const Door__AccountReply *reply)
{
	struct buf verdict;
	json_t *json = NULL;
	buf_init(&verdict, VERDICT_MAX);
	base64_encode(door_bytes(reply->note), &verdict);
	if (!buf_failed(&verdict))
		json = json_pack("{s:b, s:s, s:I, s:s, s:s}", "ok", 1, "mailbox", reply->mailbox,
		                 "uid", (json_int_t)reply->uid, "subject", reply->subject,
		                 "verdict", buf_cstr(&verdict));
	buf_done(&verdict);
	return json;
}

static struct status ask(struct room *room, const char *account, Door__Explain *explain,
                         struct arena *arena, json_t **ret_json)
{
	Door__AccountRequest request = DOOR__ACCOUNT_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	request.body_case = DOOR__ACCOUNT_REQUEST__BODY_EXPLAIN;
	request.explain = explain;
	TRY(room_call(room, IPC_ROOM_ACCOUNT, account, 0, &request.base, NULL, 0, TIMEOUT_MS,
	              &door__account_reply__descriptor, arena, &message));
	const Door__AccountReply *reply = (const Door__AccountReply *)message;
	if (!reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the account room");
	TRY(door_status(reply->status->code, reply->status->why));
	*ret_json = reply_json(reply);
	return *ret_json ? ok() : fail(ERR_PROTOCOL, "malformed reply of the account room");
}

static struct status check_account(struct room *room, const char *name)
{
	struct room_config *config = room_config_get(room);
	bool there = config_account_find(config->config, slice_str(name)) != NULL;
	room_config_unref(config);
	return there ? ok() : fail(ERR_NOT_FOUND, "there is no such account");
}

json_t *steward_explain(struct room *room, const json_t *request)
{
	Door__Explain explain = DOOR__EXPLAIN__INIT;
	const char *account, *mailbox, *message_id;
	json_int_t uid;
	struct arena arena;
	json_t *reply = NULL;
	if (json_unpack((json_t *)(uintptr_t)request, "{s:s, s:s, s:I, s:s}", "account", &account,
	                "mailbox", &mailbox, "uid", &uid, "message_id", &message_id) < 0 ||
	    uid < 0 || uid > UINT32_MAX)
		return NULL;
	explain.mailbox = door_string(mailbox);
	explain.uid = (uint32_t)uid;
	explain.message_id = door_string(message_id);
	arena_init(&arena, REPLY_ARENA_MAX);
	struct status status = check_account(room, account);
	if (is_ok(status))
		status = ask(room, account, &explain, &arena, &reply);
	if (!is_ok(status))
		reply = json_pack("{s:b, s:s, s:[s]}", "ok", 0, "code", err_name(status.code),
		                  "errors", status.why);
	arena_done(&arena);
	return reply;
}
