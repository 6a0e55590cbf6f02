/* Lookups through the resolver room's door. */
#include "rooms/resolver_client.h"

#include "resolver.pb-c.h"
#include "rooms/peers.h"

#define REPLY_ARENA_MAX ((size_t)512 * 1024)
#define DOOR_MARGIN_MS  1000 /* the room keeps the deadline; this is for its answer's way back */

static struct status ask_room(const struct resolver_client *client, struct dns_name name,
                              enum dns_type type, int timeout_ms, struct arena *scratch,
                              struct arena *arena, const struct dns_answer **ret_answer)
{
	Door__Lookup lookup = DOOR__LOOKUP__INIT;
	Door__ResolverRequest request = DOOR__RESOLVER_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	lookup.name = door_string(name.text);
	lookup.type = (uint32_t)type;
	lookup.timeout_ms = (uint32_t)timeout_ms;
	request.body_case = DOOR__RESOLVER_REQUEST__BODY_LOOKUP;
	request.lookup = &lookup;
	TRY(room_call(client->room, IPC_ROOM_RESOLVER, "", client->cid, &request.base, NULL, 0,
	              timeout_ms + DOOR_MARGIN_MS, &door__resolver_reply__descriptor, scratch,
	              &message));
	const Door__ResolverReply *reply = (const Door__ResolverReply *)message;
	if (!reply->status)
		return fail(ERR_PROTOCOL, "reply without a status");
	TRY(door_status(reply->status->code, reply->status->why));
	TRY(dns_answer_unpack(door_bytes(reply->answer), arena, ret_answer));
	if ((*ret_answer)->type != type || !dns_name_eq((*ret_answer)->name, name))
		return fail(ERR_PROTOCOL, "answer to another question");
	return ok();
}

static struct status client_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                   enum dns_type type, int timeout_ms, struct arena *arena,
                                   const struct dns_answer **ret_answer)
{
	const struct resolver_client *client = resolver->context;
	struct arena scratch;
	const struct dns_answer *answer = NULL;
	arena_init(&scratch, REPLY_ARENA_MAX);
	struct status status =
	        ask_room(client, name, type, MAX(timeout_ms, 1), &scratch, arena, &answer);
	if (!is_ok(status) && !arena_failed(arena)) {
		const char *why =
		        arena_printf(arena, "no answer from the resolver room: %s", status.why);
		answer =
		        dns_answer_failed(name, type, DNS_FAILURE_TEMPORARY, why ? why : "", arena);
	}
	arena_done(&scratch);
	if (!answer || arena_failed(arena))
		return fail(ERR_LIMIT, "no room for an answer");
	*ret_answer = answer;
	return ok();
}

void resolver_client_init(struct resolver_client *client, struct room *room, uint64_t cid)
{
	static const struct dns_resolver_ops ops = {.lookup = client_lookup};
	*client = (struct resolver_client){.room = room, .cid = cid};
	client->resolver = (struct dns_resolver){.ops = &ops, .context = client};
}
