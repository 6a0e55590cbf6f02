/* See steward_queue.h. Fields of JSON and of the door have the same names. */
#include "rooms/steward_queue.h"

#include "base/encode.h"
#include "os/fd.h"
#include "queue.pb-c.h"
#include "rooms/peers.h"

#define ARENA_MAX        ((size_t)8 * 1024 * 1024)
#define QUEUE_TIMEOUT_MS 60000
#define IDS_MAX          10000u
#define DUMP_PIECE       ((uint64_t)512 * 1024)

struct asking {
	struct room *room;
	const json_t *request;
	struct arena arena;
	Door__QueueRequest message;
	Door__QueueReply *reply;
	int fd; /* that came with the reply */
};

/* ---- from JSON ---- */

static char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return door_string(text ? text : "");
}

static int64_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool bool_of(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static Door__QueueFilter *filter_of(struct asking *a)
{
	const json_t *from = json_object_get(a->request, "filter");
	const json_t *ids = json_object_get(from, "ids");
	Door__QueueFilter *to = ARENA_NEW(&a->arena, Door__QueueFilter);
	size_t n_ids = MIN(json_array_size(ids), (size_t)IDS_MAX);
	if (!to)
		return NULL;
	door__queue_filter__init(to);
	to->ids = ARENA_ARRAY(&a->arena, MAX(n_ids, 1u), int64_t);
	for (size_t i = 0; i < n_ids && to->ids; i++)
		to->ids[to->n_ids++] = json_integer_value(json_array_get(ids, i));
	to->account = text_of(from, "account");
	to->from = text_of(from, "from");
	to->to = text_of(from, "to");
	to->hold = text_of(from, "hold");
	to->transport = text_of(from, "transport");
	to->submitted_before_ms = number_of(from, "submitted_before_ms");
	to->submitted_after_ms = number_of(from, "submitted_after_ms");
	to->next_before_ms = number_of(from, "next_before_ms");
	to->next_after_ms = number_of(from, "next_after_ms");
	to->limit = (uint32_t)MAX(MIN(number_of(from, "limit"), INT32_MAX), 0);
	to->sort = text_of(from, "sort");
	to->page_after = number_of(from, "page_after");
	to->page_key = number_of(from, "page_key");
	return to;
}

/* ---- to JSON ---- */

static json_t *results_json(const Door__QueueAttempt *attempt)
{
	json_t *list = json_array();
	for (size_t i = 0; i < attempt->n_tls_results; i++) {
		const Door__TlsResult *r = attempt->tls_results[i];
		json_array_append_new(list,
		                      json_pack("{s:s, s:s, s:s, s:s, s:s}", "policy", r->policy,
		                                "domain", r->domain, "host", r->host, "result",
		                                r->result, "reason", r->reason));
	}
	return list;
}

static json_t *history_json(const Door__QueueEntry *entry)
{
	json_t *list = json_array();
	for (size_t i = 0; i < entry->n_history; i++) {
		const Door__QueueAttempt *a = entry->history[i];
		json_t *lines = json_array();
		for (size_t j = 0; j < a->n_lines; j++)
			json_array_append_new(lines, json_string(a->lines[j]));
		json_array_append_new(
		        list,
		        json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:o, s:s, s:s, "
		                  "s:s, s:s, s:o}",
		                  "started_ms", (json_int_t)a->started_ms, "ended_ms",
		                  (json_int_t)a->ended_ms, "outcome", a->outcome, "transport",
		                  a->transport, "route", a->route, "remote_host", a->remote_host,
		                  "remote_address", a->remote_address, "code", (int)a->code,
		                  "enhanced", a->enhanced, "lines", lines, "why", a->why, "tls",
		                  a->tls, "protection", a->protection, "demands", a->demands,
		                  "tls_results", results_json(a)));
	}
	return list;
}

static json_t *entry_json(const Door__QueueEntry *e)
{
	return json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, "
	                 "s:i, s:b, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:s, s:s, s:i}",
	                 "id", (json_int_t)e->id, "message", (json_int_t)e->message, "state",
	                 e->state, "account", e->account, "sender", e->sender, "recipient",
	                 e->recipient, "from", e->from, "message_id", e->message_id, "subject",
	                 e->subject, "size", (json_int_t)e->size, "submitted_ms",
	                 (json_int_t)e->submitted_ms, "next_ms", (json_int_t)e->next_ms, "last_ms",
	                 (json_int_t)e->last_ms, "attempts", (int)e->n_attempts, "max_attempts",
	                 (int)e->max_attempts, "hold", (int)e->hold, "transport", e->transport,
	                 "require_tls", e->require_tls, "last_result", e->last_result, "envid",
	                 e->envid, "orcpt", e->orcpt, "notify", (int)e->notify, "deliver_by_ms",
	                 (json_int_t)e->deliver_by_ms, "keep_until_ms",
	                 (json_int_t)e->keep_until_ms, "deliver_by_mode", e->deliver_by_mode,
	                 "message_tls", e->message_tls, "priority", (int)e->priority);
}

static json_t *list_json(struct asking *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->reply->n_entries; i++)
		json_array_append_new(list, entry_json(a->reply->entries[i]));
	return json_pack("{s:b, s:o, s:b}", "ok", 1, "entries", list, "more", (int)a->reply->more);
}

static json_t *show_json(struct asking *a)
{
	if (a->reply->n_entries != 1)
		return NULL;
	json_t *entry = entry_json(a->reply->entries[0]);
	json_object_set_new(entry, "history", history_json(a->reply->entries[0]));
	return json_pack("{s:b, s:o}", "ok", 1, "entry", entry);
}

static json_t *dump_json(struct asking *a)
{
	struct buf text, piece;
	uint64_t size = 0;
	json_t *answer = NULL;
	buf_init(&text, 2 * DUMP_PIECE);
	buf_init(&piece, DUMP_PIECE);
	if (a->fd >= 0 && is_ok(fd_size(a->fd, &size)) && size <= DUMP_PIECE) {
		uint8_t *room = buf_reserve(&piece, MAX((size_t)size, 1u));
		if (room && is_ok(fd_pread_all(a->fd, room, (size_t)size, 0, NULL))) {
			buf_commit(&piece, (size_t)size);
			base64_encode(buf_slice(&piece), &text);
			answer = json_pack("{s:b, s:s, s:I}", "ok", 1, "base64", buf_cstr(&text),
			                   "total_size", (json_int_t)a->reply->total_size);
		}
	}
	buf_done(&text);
	buf_done(&piece);
	return answer;
}

static json_t *apply_json(struct asking *a)
{
	return json_pack("{s:b, s:I, s:I}", "ok", 1, "changed", (json_int_t)a->reply->n_changed,
	                 "skipped", (json_int_t)a->reply->n_skipped);
}

static json_t *rules_json(struct asking *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->reply->n_hold_rules; i++) {
		const Door__QueueHoldRule *rule = a->reply->hold_rules[i];
		json_array_append_new(list,
		                      json_pack("{s:I, s:s, s:s, s:s, s:I}", "id",
		                                (json_int_t)rule->id, "account", rule->account,
		                                "sender_domain", rule->sender_domain,
		                                "recipient_domain", rule->recipient_domain,
		                                "created_ms", (json_int_t)rule->created_ms));
	}
	json_t *answer = json_pack("{s:b, s:o, s:I}", "ok", 1, "rules", list, "held",
	                           (json_int_t)a->reply->n_changed);
	if (a->reply->n_ids == 1)
		json_object_set_new(answer, "id", json_integer(a->reply->ids[0]));
	return answer;
}

static json_t *suppressions_json(struct asking *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->reply->n_suppressions; i++) {
		const Door__QueueSuppression *s = a->reply->suppressions[i];
		json_array_append_new(
		        list, json_pack("{s:s, s:s, s:s, s:I, s:b}", "account", s->account,
		                        "address", s->address, "reason", s->reason, "created_ms",
		                        (json_int_t)s->created_ms, "manual", (int)s->manual));
	}
	return json_pack("{s:b, s:o, s:b}", "ok", 1, "suppressions", list, "more",
	                 (int)a->reply->more);
}

/* ---- requests ---- */

static bool fill_list(struct asking *a)
{
	Door__QueueList *list = ARENA_NEW(&a->arena, Door__QueueList);
	if (!list)
		return false;
	door__queue_list__init(list);
	list->filter = filter_of(a);
	list->retired = bool_of(a->request, "retired");
	a->message.body_case = DOOR__QUEUE_REQUEST__BODY_LIST;
	a->message.list = list;
	return true;
}

static bool fill_show(struct asking *a)
{
	Door__QueueShow *show = ARENA_NEW(&a->arena, Door__QueueShow);
	if (!show)
		return false;
	door__queue_show__init(show);
	show->id = number_of(a->request, "id");
	show->retired = bool_of(a->request, "retired");
	a->message.body_case = DOOR__QUEUE_REQUEST__BODY_SHOW;
	a->message.show = show;
	return true;
}

static bool fill_dump(struct asking *a)
{
	Door__QueueDump *dump = ARENA_NEW(&a->arena, Door__QueueDump);
	if (!dump)
		return false;
	door__queue_dump__init(dump);
	dump->id = number_of(a->request, "id");
	dump->offset = (uint64_t)MAX(number_of(a->request, "offset"), 0);
	dump->size = DUMP_PIECE;
	a->message.body_case = DOOR__QUEUE_REQUEST__BODY_DUMP;
	a->message.dump = dump;
	return true;
}

static bool change_of(struct slice name, Door__QueueChange *ret_change)
{
	static const char *const names[] = {"hold",       "unhold", "schedule", "transport",
	                                    "requiretls", "fail",   "drop"};
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		if (slice_eq_str(name, names[i])) {
			*ret_change = (Door__QueueChange)i;
			return true;
		}
	}
	return false;
}

static bool fill_apply(struct asking *a)
{
	Door__QueueApply *apply = ARENA_NEW(&a->arena, Door__QueueApply);
	if (!apply)
		return false;
	door__queue_apply__init(apply);
	apply->filter = filter_of(a);
	apply->value_ms = number_of(a->request, "value_ms");
	apply->relative = bool_of(a->request, "relative");
	apply->text = text_of(a->request, "text");
	a->message.body_case = DOOR__QUEUE_REQUEST__BODY_APPLY;
	a->message.apply = apply;
	return change_of(slice_str(text_of(a->request, "change")), &apply->change);
}

static bool fill_rules(struct asking *a)
{
	const json_t *from = json_object_get(a->request, "rule");
	Door__QueueHoldRules *rules = ARENA_NEW(&a->arena, Door__QueueHoldRules);
	Door__QueueHoldRule *rule = ARENA_NEW(&a->arena, Door__QueueHoldRule);
	if (!rules || !rule)
		return false;
	door__queue_hold_rules__init(rules);
	door__queue_hold_rule__init(rule);
	rules->action = text_of(a->request, "action");
	rules->rule = rule;
	rule->id = number_of(from, "id");
	rule->account = text_of(from, "account");
	rule->sender_domain = text_of(from, "sender_domain");
	rule->recipient_domain = text_of(from, "recipient_domain");
	a->message.body_case = DOOR__QUEUE_REQUEST__BODY_HOLD_RULES;
	a->message.hold_rules = rules;
	return true;
}

static Door__QueueSuppression *suppression_of(struct asking *a, const char *key)
{
	const json_t *from = json_object_get(a->request, key);
	Door__QueueSuppression *to = ARENA_NEW(&a->arena, Door__QueueSuppression);
	if (!to)
		return NULL;
	door__queue_suppression__init(to);
	to->account = text_of(from, "account");
	to->address = text_of(from, "address");
	to->reason = text_of(from, "reason");
	return to;
}

static bool fill_suppressions(struct asking *a)
{
	Door__QueueSuppressions *list = ARENA_NEW(&a->arena, Door__QueueSuppressions);
	if (!list)
		return false;
	door__queue_suppressions__init(list);
	list->action = text_of(a->request, "action");
	list->suppression = suppression_of(a, "suppression");
	if (json_object_get(a->request, "page_after"))
		list->page_after = suppression_of(a, "page_after");
	a->message.body_case = DOOR__QUEUE_REQUEST__BODY_SUPPRESSIONS;
	a->message.suppressions = list;
	return true;
}

/* ---- asking ---- */

static struct status ask_queue(struct asking *a)
{
	struct ipc_channel *channel;
	ProtobufCMessage *message = NULL;
	TRY(room_peer(a->room, IPC_ROOM_QUEUE, "", &channel));
	struct status status =
	        door_call(channel, 0, &a->message.base, NULL, 0, QUEUE_TIMEOUT_MS,
	                  &door__queue_reply__descriptor, &a->arena, &message, &a->fd);
	if (status.code == ERR_CLOSED)
		ipc_channel_close(channel);
	ipc_channel_unref(channel);
	TRY(status);
	a->reply = (Door__QueueReply *)message;
	if (!a->reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the queue");
	return door_status(a->reply->status->code, a->reply->status->why);
}

static json_t *failure(struct status status)
{
	return json_pack("{s:b, s:s, s:[s]}", "ok", 0, "code", err_name(status.code), "errors",
	                 status.why);
}

static const struct {
	const char *command;
	bool (*fill)(struct asking *a);
	json_t *(*answer)(struct asking *a);
} commands[] = {
        {"queue-list", fill_list, list_json},
        {"queue-show", fill_show, show_json},
        {"queue-dump", fill_dump, dump_json},
        {"queue-apply", fill_apply, apply_json},
        {"queue-holdrules", fill_rules, rules_json},
        {"queue-suppress", fill_suppressions, suppressions_json},
};

json_t *steward_queue(struct room *room, const char *command, const json_t *request)
{
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		if (strcmp(command, commands[i].command) != 0)
			continue;
		struct asking a = {.room = room, .request = request, .fd = -1};
		arena_init(&a.arena, ARENA_MAX);
		door__queue_request__init(&a.message);
		struct status status = commands[i].fill(&a) && !arena_failed(&a.arena)
		                               ? ask_queue(&a)
		                               : fail(ERR_SYNTAX, "the command is malformed");
		json_t *answer = is_ok(status) ? commands[i].answer(&a) : failure(status);
		if (!answer)
			answer = failure(fail(ERR_PROTOCOL, "malformed reply of the queue"));
		fd_close(&a.fd);
		arena_done(&a.arena);
		return answer;
	}
	return NULL;
}
