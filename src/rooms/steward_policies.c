/* See steward_policies.h. */
#include "rooms/steward_policies.h"

#include "base/encode.h"
#include "courier.pb-c.h"
#include "os/clock.h"
#include "os/log.h"
#include "rooms/peers.h"
#include "rooms/report_policies.h"

#define PAGE_SIZE          ((size_t)256 * 1024) /* of forms; base64 of it fits an answer */
#define LIST_MEMORY        ((size_t)2 * 1024 * 1024)
#define REPLY_MEMORY       ((size_t)64 * 1024)
#define COURIER_TIMEOUT_MS 10000

static json_t *refusal(struct status status)
{
	return json_pack("{s:b, s:s, s:[s]}", "ok", 0, "code", err_name(status.code), "errors",
	                 status.why);
}

static json_t *policy_json(const struct report_policy *policy)
{
	struct buf form;
	buf_init(&form, 2 * REPORT_POLICY_SIZE_MAX);
	base64_encode(policy->form, &form);
	json_t *json = json_pack("{s:s%, s:I, s:s}", "domain", (const char *)policy->domain.p,
	                         policy->domain.n, "used", (json_int_t)policy->used_at_s, "form",
	                         buf_cstr(&form));
	buf_done(&form);
	return json;
}

static struct status read_one(struct report_db *db, const char *domain, struct arena *arena,
                              struct report_policy **ret_policies, size_t *ret_n)
{
	struct report_policy *policy = ARENA_NEW(arena, struct report_policy);
	if (!policy)
		return fail(ERR_LIMIT, "no memory for a policy");
	policy->domain = slice_str(domain);
	TRY(report_policies_find(db, policy, arena));
	*ret_policies = policy;
	*ret_n = 1;
	return ok();
}

static json_t *list(struct report_db *db, const char *domain, const char *after)
{
	struct report_policy *policies = NULL;
	size_t n = 0;
	bool more = false;
	json_t *reply;
	struct arena arena;
	arena_init(&arena, LIST_MEMORY);
	struct status status = *domain ? read_one(db, domain, &arena, &policies, &n)
	                               : report_policies_list(db, slice_str(after), PAGE_SIZE,
	                                                      &arena, &policies, &n, &more);
	if (is_ok(status)) {
		json_t *array = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(array, policy_json(&policies[i]));
		reply = json_pack("{s:b, s:o, s:b}", "ok", 1, "policies", array, "more", (int)more);
	} else {
		reply = refusal(status);
	}
	arena_done(&arena);
	return reply;
}

/* The courier has it in memory for some minutes. */
static void tell_courier(struct room *room, const char *domain)
{
	Door__ForgetPolicy forget = DOOR__FORGET_POLICY__INIT;
	Door__CourierRequest request = DOOR__COURIER_REQUEST__INIT;
	ProtobufCMessage *message = NULL;
	struct arena arena;
	forget.domain = door_string(domain);
	request.body_case = DOOR__COURIER_REQUEST__BODY_FORGET_POLICY;
	request.forget_policy = &forget;
	arena_init(&arena, REPLY_MEMORY);
	struct status status =
	        room_call(room, IPC_ROOM_COURIER, "", 0, &request.base, NULL, 0, COURIER_TIMEOUT_MS,
	                  &door__courier_reply__descriptor, &arena, &message);
	if (!is_ok(status))
		log_warn(0, "the courier does not hear that a policy is forgotten",
		         LOG_STR("domain", domain), LOG_STATUS(status));
	arena_done(&arena);
}

static json_t *forget(struct room *room, struct report_db *db, const char *domain)
{
	struct status status = report_policies_forget(db, slice_str(domain));
	if (!is_ok(status))
		return refusal(status);
	tell_courier(room, domain);
	log_info(0, "an MTA-STS policy is forgotten", LOG_STR("domain", domain));
	return json_pack("{s:b}", "ok", 1);
}

json_t *steward_policies(struct room *room, struct report_db *db, const char *command,
                         const json_t *request)
{
	const char *domain = "", *after = "";
	struct slice name = slice_str(command);
	(void)json_unpack((json_t *)(uintptr_t)request, "{s?:s, s?:s}", "domain", &domain, "after",
	                  &after);
	if (slice_eq_str(name, "mtasts-list"))
		return list(db, domain, after);
	if (slice_eq_str(name, "mtasts-forget"))
		return forget(room, db, domain);
	return NULL;
}
