/* What the administrator asks of the queue, through steward. Long lists come in pages: as many as
 * fit a packet; the reply says if there are more. */
#include "rooms/queue_room.h"

#include "os/fd.h"
#include "os/log.h"

#define REPLY_ENTRIES_SIZE ((size_t)96 * 1024) /* below IPC_PACKET_MAX, with room to spare */
#define LIST_MEMORY        ((size_t)4 * 1024 * 1024)
#define PAGE_MAX           1000u
#define COPY_PIECE         ((size_t)64 * 1024)

/* ---- to the door's words ---- */

static char *string_of(struct arena *arena, struct slice s)
{
	char *string = arena_cstr(arena, s);
	return string ? string : door_string("");
}

static const char *state_name(const struct queue_room *q, const struct queue_entry *entry)
{
	static const char *const names[] = {"waiting", "held", "delivered", "failed", "dropped"};
	bool waits = entry->state == QUEUE_WAITING || entry->state == QUEUE_HELD;
	return waits && queue_schedule_is_running(q->schedule, entry->id) ? "delivering"
	                                                                  : names[entry->state];
}

static const char *wish_name(enum queue_tls_wish wish)
{
	static const char *const names[] = {"default", "yes", "no"};
	return names[wish];
}

static Door__QueueEntry *entry_message(struct queue_room *q, const struct queue_entry *from,
                                       uint32_t max_attempts, struct arena *arena)
{
	Door__QueueEntry *to = ARENA_NEW(arena, Door__QueueEntry);
	if (!to)
		return NULL;
	door__queue_entry__init(to);
	to->id = from->id;
	to->message = from->message;
	to->account = string_of(arena, from->account);
	to->sender = string_of(arena, from->sender);
	to->recipient = string_of(arena, from->recipient);
	to->from = string_of(arena, from->from);
	to->message_id = string_of(arena, from->message_id);
	to->subject = string_of(arena, from->subject);
	to->size = from->size;
	to->submitted_ms = from->submitted_ms;
	to->next_ms = from->next_ms;
	to->last_ms = from->last_ms;
	to->n_attempts = from->n_attempts;
	to->max_attempts = max_attempts;
	to->hold = from->state == QUEUE_HELD;
	to->transport = string_of(arena, from->transport);
	to->require_tls = door_string(wish_name(from->require_tls));
	to->last_result = string_of(arena, from->last_result);
	pthread_mutex_lock(&q->lock);
	to->state = door_string(state_name(q, from));
	pthread_mutex_unlock(&q->lock);
	to->envid = string_of(arena, from->envid);
	to->orcpt = string_of(arena, from->orcpt);
	to->notify = from->notify;
	to->deliver_by_ms = from->deliver_by_ms;
	to->deliver_by_mode = door_string(from->by_mode == QUEUE_BY_RETURN   ? "return"
	                                  : from->by_mode == QUEUE_BY_NOTIFY ? "notify"
	                                                                     : "");
	to->message_tls = door_string(from->message_require_tls    ? "required"
	                              : from->message_tls_optional ? "optional"
	                                                           : "");
	to->priority = from->priority;
	to->keep_until_ms = from->keep_until_ms;
	return to;
}

static void fill_results(struct slice lines, struct arena *arena, Door__QueueAttempt *to)
{
	size_t n_max = 0;
	for (size_t i = 0; i < lines.n; i++)
		n_max += lines.p[i] == '\n';
	to->tls_results = ARENA_ARRAY(arena, n_max, Door__TlsResult *);
	while (to->tls_results && to->n_tls_results < n_max) {
		struct slice line, fields[5];
		Door__TlsResult *result = ARENA_NEW(arena, Door__TlsResult);
		(void)slice_cut(lines, '\n', &line, &lines);
		for (size_t i = 0; i < N_ELEMENTS(fields); i++)
			(void)slice_cut(line, '\t', &fields[i], &line);
		if (!result)
			return;
		door__tls_result__init(result);
		result->policy = string_of(arena, fields[0]);
		result->domain = string_of(arena, fields[1]);
		result->host = string_of(arena, fields[2]);
		result->result = string_of(arena, fields[3]);
		result->reason = string_of(arena, fields[4]);
		to->tls_results[to->n_tls_results++] = result;
	}
}

static Door__QueueAttempt *attempt_message(const struct queue_attempt *from, struct arena *arena)
{
	static const char *const outcomes[] = {"delivered", "deferred", "failed"};
	Door__QueueAttempt *to = ARENA_NEW(arena, Door__QueueAttempt);
	struct slice lines = from->lines;
	size_t n_max = lines.n > 0;
	if (!to)
		return NULL;
	door__queue_attempt__init(to);
	to->started_ms = from->started_ms;
	to->ended_ms = from->ended_ms;
	to->transport = string_of(arena, from->transport);
	to->route = string_of(arena, from->route);
	to->remote_host = string_of(arena, from->remote_host);
	to->remote_address = string_of(arena, from->remote_address);
	to->code = from->code;
	to->enhanced = string_of(arena, from->enhanced);
	for (size_t i = 0; i < lines.n; i++)
		n_max += lines.p[i] == '\n';
	to->lines = ARENA_ARRAY(arena, MAX(n_max, 1u), char *);
	while (to->lines && to->n_lines < n_max) {
		struct slice line;
		(void)slice_cut(lines, '\n', &line, &lines);
		to->lines[to->n_lines++] = string_of(arena, line);
	}
	to->outcome = door_string(outcomes[from->result]);
	to->why = string_of(arena, from->why);
	to->tls = string_of(arena, from->tls);
	to->protection = string_of(arena, from->protection);
	to->demands = string_of(arena, from->demands);
	fill_results(from->tls_results, arena, to);
	return to;
}

/* ---- from the door's words ---- */

static void filter_of(const Door__QueueFilter *from, struct queue_filter *to)
{
	*to = (struct queue_filter){.hold = -1};
	if (!from)
		return;
	to->ids = from->ids;
	to->n_ids = from->n_ids;
	to->account = slice_str(from->account);
	to->from = slice_str(from->from);
	to->to = slice_str(from->to);
	to->transport = slice_str(from->transport);
	to->hold = strcmp(from->hold, "yes") == 0 ? 1 : strcmp(from->hold, "no") == 0 ? 0 : -1;
	to->submitted_before_ms = from->submitted_before_ms;
	to->submitted_after_ms = from->submitted_after_ms;
	to->next_before_ms = from->next_before_ms;
	to->next_after_ms = from->next_after_ms;
}

static void page_of(const Door__QueueFilter *from, struct queue_page *to)
{
	*to = (struct queue_page){.limit = PAGE_MAX};
	if (!from)
		return;
	struct slice sort = slice_str(from->sort);
	to->descending = slice_starts(sort, SLICE("-"));
	to->by_submitted = slice_ends(sort, SLICE("submitted"));
	if (from->limit > 0)
		to->limit = MIN(from->limit, PAGE_MAX);
	to->after = from->page_after != 0;
	to->after_id = from->page_after;
	to->after_key = from->page_key;
}

/* ---- list, show, dump ---- */

struct listing {
	struct queue_room *q;
	Door__QueueReply *reply;
	struct arena *arena;
	size_t size; /* packed */
	uint32_t max_attempts;
};

static bool add_entry(void *context, const struct queue_entry *entry)
{
	struct listing *l = context;
	Door__QueueEntry *item = entry_message(l->q, entry, l->max_attempts, l->arena);
	size_t size = item ? protobuf_c_message_get_packed_size(&item->base) + 8 : 0;
	if (!item || arena_failed(l->arena) || l->size + size > REPLY_ENTRIES_SIZE)
		return false;
	l->size += size;
	l->reply->entries[l->reply->n_entries++] = item;
	return true;
}

static uint32_t max_attempts_of(struct queue_room *q)
{
	struct room_config *config = room_config_get(q->room);
	uint32_t n = config->config->queue.max_attempts;
	room_config_unref(config);
	return n;
}

static struct status list(struct queue_room *q, const Door__QueueList *request, struct arena *arena,
                          Door__QueueReply *reply)
{
	struct queue_filter filter;
	struct queue_page page;
	bool more = false;
	struct listing l = {q, reply, arena, 0, max_attempts_of(q)};
	filter_of(request->filter, &filter);
	page_of(request->filter, &page);
	reply->entries = ARENA_ARRAY(arena, PAGE_MAX, Door__QueueEntry *);
	if (!reply->entries)
		return fail(ERR_LIMIT, "the list is too long");
	TRY(queue_list(q->queue, request->retired, &filter, &page, add_entry, &l, &more));
	reply->more = more;
	return ok();
}

static struct status show(struct queue_room *q, const Door__QueueShow *request, struct arena *arena,
                          Door__QueueReply *reply)
{
	struct queue_entry entry;
	struct queue_attempt *history;
	size_t n = 0, size = 0;
	TRY(queue_show(q->queue, request->retired, request->id, arena, &entry, &history, &n));
	Door__QueueEntry *item = entry_message(q, &entry, max_attempts_of(q), arena);
	reply->entries = ARENA_ARRAY(arena, 1, Door__QueueEntry *);
	if (!item || !reply->entries)
		return fail(ERR_LIMIT, "the entry is too large");
	item->history = ARENA_ARRAY(arena, MAX(n, 1u), Door__QueueAttempt *);
	/* The newest say most: what does not fit is of the middle. */
	for (size_t i = 0; i < n && item->history; i++) {
		Door__QueueAttempt *attempt = attempt_message(&history[i], arena);
		size_t packed =
		        attempt ? protobuf_c_message_get_packed_size(&attempt->base) + 8 : 0;
		if (!attempt || size + packed > REPLY_ENTRIES_SIZE)
			break;
		size += packed;
		item->history[item->n_history++] = attempt;
	}
	reply->entries[reply->n_entries++] = item;
	return arena_failed(arena) ? fail(ERR_LIMIT, "the entry is too large") : ok();
}

/* A piece of the prefix and then of the body. */
static struct status copy_piece(const struct queue_message *message, int body,
                                const Door__QueueDump *request, int to)
{
	CLEANUP(base_freep) uint8_t *piece = base_alloc(COPY_PIECE);
	uint64_t total = message->prefix.n + message->size;
	uint64_t at = MIN(request->offset, total);
	uint64_t end = request->size == 0 ? total : at + MIN(request->size, total - at);
	if (at < message->prefix.n) {
		size_t n = (size_t)(MIN(end, (uint64_t)message->prefix.n) - at);
		TRY(fd_write_all(to, slice_sub(message->prefix, (size_t)at, n), NULL));
		at += n;
	}
	while (at < end) {
		size_t n = (size_t)MIN((uint64_t)COPY_PIECE, end - at);
		TRY(fd_pread_all(body, piece, n, at - message->prefix.n, NULL));
		TRY(fd_write_all(to, slice_of(piece, n), NULL));
		at += n;
	}
	return ok();
}

static struct status dump(struct queue_room *q, const Door__QueueDump *request, struct arena *arena,
                          Door__QueueReply *reply, int *ret_fd)
{
	struct queue_entry entry;
	struct queue_message message;
	CLEANUP(fd_close) int body = -1;
	CLEANUP(fd_close) int fd = -1;
	TRY(queue_load(q->queue, request->id, arena, &entry, &message));
	TRY(queue_body(q->queue, message.id, &body));
	TRY(memfd_new("dump", &fd));
	TRY(copy_piece(&message, body, request, fd));
	reply->total_size = message.prefix.n + message.size;
	*ret_fd = TAKE_FD(fd);
	return ok();
}

/* ---- changes ---- */

static bool claim(void *context, int64_t id)
{
	struct queue_room *q = context;
	pthread_mutex_lock(&q->lock);
	bool claimed = queue_schedule_set_aside(q->schedule, id);
	pthread_mutex_unlock(&q->lock);
	return claimed;
}

static void release(void *context, int64_t id)
{
	struct queue_room *q = context;
	pthread_mutex_lock(&q->lock);
	queue_schedule_put_back(q->schedule, id);
	pthread_mutex_unlock(&q->lock);
}

static bool parse_wish(const char *text, enum queue_tls_wish *ret_wish)
{
	for (int wish = QUEUE_TLS_DEFAULT; wish <= QUEUE_TLS_NO; wish++) {
		if (strcmp(text, wish_name((enum queue_tls_wish)wish)) == 0) {
			*ret_wish = (enum queue_tls_wish)wish;
			return true;
		}
	}
	return false;
}

static struct status check_transport(struct queue_room *q, struct slice name)
{
	if (name.n == 0 || slice_eq_str(name, "direct"))
		return ok();
	struct room_config *config = room_config_get(q->room);
	bool found = config_transport_find(config->config, name) != NULL;
	room_config_unref(config);
	return found ? ok() : fail(ERR_NOT_FOUND, "there is no such transport");
}

/* Someone who schedules wants an attempt, also where the last one found nobody. */
static void end_rests(struct queue_room *q)
{
	pthread_mutex_lock(&q->lock);
	queue_schedule_end_rests(q->schedule);
	queue_dispatch(q);
	pthread_mutex_unlock(&q->lock);
}

static struct status apply(struct queue_room *q, const Door__QueueApply *request,
                           Door__QueueReply *reply)
{
	struct queue_apply change = {
	        .change = (enum queue_change)request->change,
	        .value_ms = request->value_ms,
	        .relative = request->relative,
	        .transport = slice_str(request->text),
	        .why = SLICE("given up by the administrator"),
	        .claim = claim,
	        .release = release,
	        .context = q,
	};
	if ((unsigned)request->change > QUEUE_CHANGE_DROP)
		return fail(ERR_UNSUPPORTED, "unknown change");
	if (change.change == QUEUE_CHANGE_DROP)
		change.why = SLICE("removed by the administrator");
	if (change.change == QUEUE_CHANGE_TRANSPORT)
		TRY(check_transport(q, change.transport));
	if (change.change == QUEUE_CHANGE_REQUIRE_TLS &&
	    !parse_wish(request->text, &change.require_tls))
		return fail(ERR_SYNTAX, "yes, no or default");
	filter_of(request->filter, &change.filter);
	if (change.change == QUEUE_CHANGE_SCHEDULE)
		end_rests(q);
	TRY(queue_apply(q->queue, &change));
	reply->n_changed = change.n_changed;
	reply->n_skipped = change.n_skipped;
	log_info(0, "queue changed by the administrator", LOG_UINT("change", request->change),
	         LOG_UINT("entries", change.n_changed));
	if (change.change == QUEUE_CHANGE_FAIL)
		queue_call_notices(q);
	return ok();
}

/* ---- hold rules ---- */

static struct status list_rules(struct queue_room *q, struct arena *arena, Door__QueueReply *reply)
{
	struct queue_hold_rule *rules;
	size_t n = 0, size = 0;
	TRY(queue_hold_rule_list(q->queue, arena, &rules, &n));
	reply->hold_rules = ARENA_ARRAY(arena, MAX(n, 1u), Door__QueueHoldRule *);
	for (size_t i = 0; i < n && reply->hold_rules; i++) {
		Door__QueueHoldRule *item = ARENA_NEW(arena, Door__QueueHoldRule);
		if (!item)
			break;
		door__queue_hold_rule__init(item);
		item->id = rules[i].id;
		item->account = string_of(arena, rules[i].account);
		item->sender_domain = string_of(arena, rules[i].sender_domain);
		item->recipient_domain = string_of(arena, rules[i].recipient_domain);
		item->created_ms = rules[i].created_ms;
		size += protobuf_c_message_get_packed_size(&item->base) + 8;
		if (size > REPLY_ENTRIES_SIZE)
			break;
		reply->hold_rules[reply->n_hold_rules++] = item;
	}
	return arena_failed(arena) ? fail(ERR_LIMIT, "the list is too long") : ok();
}

/* A domain as entries carry it. */
static struct slice domain_of(const char *name, struct arena *arena)
{
	if (!name[0])
		return slice_empty();
	return queue_domain_of(slice_str(arena_printf(arena, "x@%s", name)), arena);
}

static struct status hold_rules(struct queue_room *q, const Door__QueueHoldRules *request,
                                struct arena *arena, Door__QueueReply *reply)
{
	if (strcmp(request->action, "list") == 0)
		return list_rules(q, arena, reply);
	if (!request->rule)
		return fail(ERR_SYNTAX, "which rule");
	if (strcmp(request->action, "rm") == 0)
		return queue_hold_rule_remove(q->queue, request->rule->id);
	if (strcmp(request->action, "add") != 0)
		return fail(ERR_UNSUPPORTED, "unknown action");
	struct queue_hold_rule rule = {
	        .account = slice_str(request->rule->account),
	        .sender_domain = domain_of(request->rule->sender_domain, arena),
	        .recipient_domain = domain_of(request->rule->recipient_domain, arena),
	};
	TRY(queue_hold_rule_add(q->queue, &rule, &reply->n_changed));
	reply->ids = ARENA_ARRAY(arena, 1, int64_t);
	if (reply->ids)
		reply->ids[reply->n_ids++] = rule.id;
	return ok();
}

/* ---- suppression ---- */

static struct status list_suppressed(struct queue_room *q, const Door__QueueSuppressions *request,
                                     struct arena *arena, Door__QueueReply *reply)
{
	struct queue_suppression *found, after;
	size_t n = 0, size = 0;
	if (request->page_after)
		after = (struct queue_suppression){
		        .account = slice_str(request->page_after->account),
		        .address = slice_str(request->page_after->address)};
	TRY(queue_suppress_list(q->queue,
	                        request->suppression ? slice_str(request->suppression->account)
	                                             : slice_empty(),
	                        request->page_after ? &after : NULL, PAGE_MAX, arena, &found, &n));
	reply->suppressions = ARENA_ARRAY(arena, MAX(n, 1u), Door__QueueSuppression *);
	reply->more = n == PAGE_MAX;
	for (size_t i = 0; i < n && reply->suppressions; i++) {
		Door__QueueSuppression *item = ARENA_NEW(arena, Door__QueueSuppression);
		if (!item)
			break;
		door__queue_suppression__init(item);
		item->account = string_of(arena, found[i].account);
		item->address = string_of(arena, found[i].address);
		item->reason = string_of(arena, found[i].reason);
		item->created_ms = found[i].created_ms;
		item->manual = found[i].manual;
		size += protobuf_c_message_get_packed_size(&item->base) + 8;
		if (size > REPLY_ENTRIES_SIZE) {
			reply->more = true;
			break;
		}
		reply->suppressions[reply->n_suppressions++] = item;
	}
	return arena_failed(arena) ? fail(ERR_LIMIT, "the list is too long") : ok();
}

static struct status suppressions(struct queue_room *q, const Door__QueueSuppressions *request,
                                  struct arena *arena, Door__QueueReply *reply)
{
	const Door__QueueSuppression *given = request->suppression;
	if (strcmp(request->action, "list") == 0)
		return list_suppressed(q, request, arena, reply);
	if (!given)
		return fail(ERR_SYNTAX, "which address");
	if (strcmp(request->action, "rm") == 0)
		return queue_suppress_remove(q->queue, slice_str(given->account),
		                             slice_str(given->address));
	if (strcmp(request->action, "add") != 0)
		return fail(ERR_UNSUPPORTED, "unknown action");
	return queue_suppress_add(q->queue, &(struct queue_suppression){
	                                            .account = slice_str(given->account),
	                                            .address = slice_str(given->address),
	                                            .reason = slice_str(given->reason),
	                                            .manual = true,
	                                    });
}

/* ---- the door ---- */

void queue_on_people(struct queue_door *door, struct ipc_packet *packet,
                     const Door__QueueRequest *request)
{
	struct queue_room *q = door->room;
	Door__QueueReply reply = DOOR__QUEUE_REPLY__INIT;
	struct arena arena;
	int fd = -1;
	struct status status = fail(ERR_UNSUPPORTED, "unknown request");
	arena_init(&arena, LIST_MEMORY);
	if (request->body_case == DOOR__QUEUE_REQUEST__BODY_LIST)
		status = list(q, request->list, &arena, &reply);
	else if (request->body_case == DOOR__QUEUE_REQUEST__BODY_SHOW)
		status = show(q, request->show, &arena, &reply);
	else if (request->body_case == DOOR__QUEUE_REQUEST__BODY_DUMP)
		status = dump(q, request->dump, &arena, &reply, &fd);
	else if (request->body_case == DOOR__QUEUE_REQUEST__BODY_APPLY)
		status = apply(q, request->apply, &reply);
	else if (request->body_case == DOOR__QUEUE_REQUEST__BODY_HOLD_RULES)
		status = hold_rules(q, request->hold_rules, &arena, &reply);
	else if (request->body_case == DOOR__QUEUE_REQUEST__BODY_SUPPRESSIONS)
		status = suppressions(q, request->suppressions, &arena, &reply);
	queue_door_answer(door, packet, status, &reply, fd);
	fd_close(&fd);
	arena_done(&arena);
}
