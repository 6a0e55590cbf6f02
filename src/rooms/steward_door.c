/* See steward_door.h. Whoever asks is a room that strangers talk to: what it says is bounded and
 * counted, and never a reason to do anything but that. */
#include "rooms/steward_door.h"

#include "ipc/request.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"
#include "rooms/report_facts.h"
#include "rooms/report_policies.h"
#include "rooms/report_received.h"
#include "steward.pb-c.h"

#define DOOR_STACK ((size_t)256 * 1024)
#define ARENA_MAX  ((size_t)4 * 1024 * 1024)
#define FACTS_MAX  10000u /* of a batch */

struct steward_door {
	struct room *room;
	struct report_db *db;
	struct ipc_channel *channel;
	enum ipc_room who;
	char *account; /* of an account's room; else "" */
};

static void answer(const struct steward_door *door, const struct ipc_packet *packet,
                   struct status status, struct slice form)
{
	Door__StewardReply reply = DOOR__STEWARD_REPLY__INIT;
	Door__Status text = DOOR__STATUS__INIT;
	text.code = status.code;
	text.why = door_string(status.why);
	reply.status = &text;
	reply.form = door_binary(form);
	(void)door_answer(door->channel, packet, &reply.base, NULL, 0);
}

static int64_t now_s(void)
{
	return clock_now_s(clock_real());
}

/* ---- facts ---- */

/* Its parts are what the kind says: what is kept must be readable when its report is made. */
static bool is_packed(const ProtobufCMessageDescriptor *type, ProtobufCBinaryData bytes,
                      struct arena *arena)
{
	return door_unpack(type, door_bytes(bytes), arena) != NULL;
}

static bool is_readable(const Door__Fact *fact)
{
	struct arena arena;
	arena_init(&arena, (size_t)256 * 1024);
	bool good =
	        fact->kind == REPORT_DMARC
	                ? is_packed(&door__dmarc_published__descriptor, fact->policy, &arena) &&
	                          is_packed(&door__dmarc_checked__descriptor, fact->form, &arena)
	                : is_packed(&door__tls_policy__descriptor, fact->policy, &arena) &&
	                          is_packed(&door__tls_failure__descriptor, fact->form, &arena);
	arena_done(&arena);
	return good;
}

/* Each room tells its own kind. */
static bool may_tell(enum ipc_room who, uint32_t kind)
{
	return (who == IPC_ROOM_COURIER && kind == REPORT_TLS) ||
	       (who == IPC_ROOM_GATE_MX && kind == REPORT_DMARC);
}

static bool read_fact(const struct steward_door *door, const Door__Fact *from,
                      struct report_fact *to)
{
	if (!may_tell(door->who, from->kind) || from->n_domains > REPORT_DOMAINS_MAX ||
	    !is_readable(from))
		return false;
	*to = (struct report_fact){
	        .kind = (enum report_kind)from->kind,
	        .n_domains = from->n_domains,
	        .policy = door_bytes(from->policy),
	        .form = door_bytes(from->form),
	        .count = from->count,
	        .unwanted = from->unwanted,
	};
	for (size_t i = 0; i < from->n_domains; i++)
		to->domains[i] = slice_str(from->domains[i]);
	return report_fact_is_good(to);
}

/* One that is of no use does not take the others along. */
static struct status add_facts(const struct steward_door *door, const struct ipc_packet *packet,
                               const Door__AddFacts *add, struct arena *arena)
{
	struct report_fact *facts =
	        ARENA_ARRAY(arena, MAX(add->n_facts, (size_t)1), struct report_fact);
	uint64_t n_dropped = MIN(add->n_dropped, (uint64_t)UINT32_MAX);
	size_t n = 0;
	bool repeated;
	if (!facts || add->n_facts > FACTS_MAX)
		return fail(ERR_LIMIT, "too many facts at once");
	for (size_t i = 0; i < add->n_facts; i++) {
		bool good = read_fact(door, add->facts[i], &facts[n]);
		n += good;
		n_dropped += !good;
	}
	if (n < add->n_facts)
		log_warn(packet->cid, "facts of a room are of no use",
		         LOG_STR("room", ipc_room_name(door->who)),
		         LOG_UINT("facts", add->n_facts - n));
	return report_facts_add(door->db, now_s(), door_bytes(add->batch), facts, n, n_dropped,
	                        &repeated);
}

/* ---- reports that came in ---- */

static bool is_ours(const struct steward_door *door, const char *domain)
{
	struct room_config *config = room_config_get(door->room);
	bool ours = config_domain_find(config->config, slice_str(domain)) != NULL;
	room_config_unref(config);
	return ours;
}

static struct status add_received(const struct steward_door *door, const Door__AddReceived *add,
                                  struct arena *arena)
{
	const struct report_received report = {
	        .kind = (enum report_kind)add->kind,
	        .domain = slice_str(add->domain),
	        .organization = slice_str(add->organization),
	        .contact = slice_str(add->contact),
	        .report_id = slice_str(add->report_id),
	        .account = slice_str(door->account),
	        .begin_s = add->begin_s,
	        .end_s = add->end_s,
	        .received_s = now_s(),
	        .n_good = add->n_good,
	        .n_bad = add->n_bad,
	        .authentic = add->authentic,
	        .form = door_bytes(add->form),
	};
	bool is_new = false;
	if (!is_packed(&door__received_rows__descriptor, add->form, arena))
		return fail(ERR_INVALID, "a report that no room of ours hands over");
	if (!is_ours(door, add->domain))
		return fail(ERR_NOT_FOUND, "a report about a domain that is not ours");
	TRY(report_received_add(door->db, &report, &is_new));
	if (is_new)
		log_info(0, "a report came in", LOG_STR("account", door->account),
		         LOG_STR("domain", add->domain), LOG_STR("from", add->organization),
		         LOG_STR("id", add->report_id), LOG_UINT("good", add->n_good),
		         LOG_UINT("bad", add->n_bad), LOG_BOOL("authentic", add->authentic));
	return ok();
}

/* ---- the door ---- */

static struct status execute(const struct steward_door *door, const struct ipc_packet *packet,
                             const Door__StewardRequest *request, struct arena *arena,
                             struct slice *ret_form)
{
	switch (request->body_case) {
	case DOOR__STEWARD_REQUEST__BODY_GET_POLICY:
		return report_policies_get(door->db, slice_str(request->get_policy->domain),
		                           now_s(), arena, ret_form);
	case DOOR__STEWARD_REQUEST__BODY_PUT_POLICY:
		return report_policies_put(door->db, slice_str(request->put_policy->domain),
		                           now_s(), door_bytes(request->put_policy->form));
	case DOOR__STEWARD_REQUEST__BODY_ADD_FACTS:
		return add_facts(door, packet, request->add_facts, arena);
	case DOOR__STEWARD_REQUEST__BODY_ADD_RECEIVED:
		return add_received(door, request->add_received, arena);
	case DOOR__STEWARD_REQUEST__BODY__NOT_SET:
	case _DOOR__STEWARD_REQUEST__BODY__CASE_IS_INT_SIZE:
		break;
	}
	return fail(ERR_UNSUPPORTED, "unknown request");
}

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	const struct steward_door *door = context;
	struct slice form = slice_empty();
	struct status status;
	struct arena arena;
	(void)channel;
	arena_init(&arena, ARENA_MAX);
	const Door__StewardRequest *request = (const Door__StewardRequest *)door_unpack(
	        &door__steward_request__descriptor, packet->payload, &arena);
	if (!request)
		status = fail(ERR_PROTOCOL, "malformed request");
	else if (!ipc_may_request(door->who, IPC_ROOM_STEWARD, request->body_case))
		status = fail(ERR_DENIED, "not for this room");
	else
		status = execute(door, packet, request, &arena, &form);
	if (!is_ok(status) && status.code != ERR_NOT_FOUND)
		log_warn(packet->cid, "a room's request failed",
		         LOG_STR("room", ipc_room_name(door->who)), LOG_STATUS(status));
	answer(door, packet, status, form);
	arena_done(&arena);
}

static void run(void *context)
{
	struct steward_door *door = context;
	(void)ipc_channel_serve(door->channel);
	ipc_channel_unref(door->channel);
	base_free(door->account);
	base_free(door);
}

void steward_door_serve(struct room *room, struct report_db *db, enum ipc_room who,
                        struct slice name, int fd)
{
	const struct thread_options options = {.name = "door", .stack_size = DOOR_STACK};
	struct steward_door *door = base_alloc(sizeof(*door));
	door->room = room;
	door->db = db;
	door->who = who;
	door->account = slice_to_cstr(name);
	door->channel = ipc_channel_new(
	        fd, &(struct ipc_channel_options){.on_request = on_request, .context = door});
	if (door->account && is_ok(thread_start(&options, run, door, NULL)))
		return;
	ipc_channel_unref(door->channel);
	base_free(door->account);
	base_free(door);
}
