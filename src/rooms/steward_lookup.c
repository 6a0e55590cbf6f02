/* One question, carried to the resolver room and back. */
#include "rooms/steward_lookup.h"

#include "base/encode.h"
#include "resolver.pb-c.h"
#include "rooms/peers.h"

#define REPLY_ARENA_MAX ((size_t)512 * 1024)
#define ANSWER_MAX      ((size_t)256 * 1024) /* base64 of the largest that a room can send */
#define DOOR_MARGIN_MS  1000                 /* the room keeps the deadline; this is for the way */
#define TIMEOUT_MAX_MS  600000

static struct status ask(struct room *room, Door__Lookup *lookup, struct arena *arena,
                         struct buf *answer)
{
	Door__ResolverRequest request = DOOR__RESOLVER_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	request.body_case = DOOR__RESOLVER_REQUEST__BODY_LOOKUP;
	request.lookup = lookup;
	TRY(room_call(room, IPC_ROOM_RESOLVER, "", 0, &request.base, NULL, 0,
	              (int)lookup->timeout_ms + DOOR_MARGIN_MS, &door__resolver_reply__descriptor,
	              arena, &message));
	const Door__ResolverReply *reply = (const Door__ResolverReply *)message;
	if (!reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the resolver");
	TRY(door_status(reply->status->code, reply->status->why));
	base64_encode(door_bytes(reply->answer), answer);
	return buf_failed(answer) ? fail(ERR_LIMIT, "the answer is too large") : ok();
}

json_t *steward_lookup(struct room *room, const json_t *request)
{
	Door__Lookup lookup = DOOR__LOOKUP__INIT;
	const char *name;
	int type, timeout_ms;
	struct arena arena;
	struct buf answer;
	if (json_unpack((json_t *)(uintptr_t)request, "{s:s, s:i, s:i}", "name", &name, "type",
	                &type, "timeout_ms", &timeout_ms) < 0)
		return NULL;
	if (type < 0 || timeout_ms < 1 || timeout_ms > TIMEOUT_MAX_MS)
		return NULL;
	lookup.name = door_string(name);
	lookup.type = (uint32_t)type;
	lookup.timeout_ms = (uint32_t)timeout_ms;
	arena_init(&arena, REPLY_ARENA_MAX);
	buf_init(&answer, ANSWER_MAX);
	struct status status = ask(room, &lookup, &arena, &answer);
	json_t *reply = is_ok(status)
	                        ? json_pack("{s:b, s:s}", "ok", 1, "answer", buf_cstr(&answer))
	                        : json_pack("{s:b, s:s, s:[s]}", "ok", 0, "code",
	                                    err_name(status.code), "errors", status.why);
	buf_done(&answer);
	arena_done(&arena);
	return reply;
}
