/* What account rooms ask of the queue. The account is the one that the channel belongs to, whatever
 * a request says. Adds that arrive together are committed together. */
#include "rooms/queue_room.h"

#include "os/log.h"

#define PRIORITY_MAX 9

/* ---- add ---- */

static struct slice cut(const char *s, size_t max)
{
	struct slice text = slice_str(s);
	while (text.n > max || (text.n > 0 && text.n == max && (text.p[text.n - 1] & 0x80)))
		text.n--;
	return text;
}

static enum queue_by_mode by_mode_of(uint32_t mode)
{
	return mode == QUEUE_BY_RETURN   ? QUEUE_BY_RETURN
	       : mode == QUEUE_BY_NOTIFY ? QUEUE_BY_NOTIFY
	                                 : QUEUE_BY_NONE;
}

static void fill_message(const struct queue_door *door, const Door__QueueAdd *from,
                         struct queue_message *to)
{
	to->account = slice_str(door->name);
	to->sender = slice_str(from->sender);
	to->from = cut(from->from, QUEUE_TEXT_MAX);
	to->message_id = cut(from->message_id, QUEUE_TEXT_MAX);
	to->subject = cut(from->subject, QUEUE_TEXT_MAX);
	to->references = door_bytes(from->references);
	to->prefix = door_bytes(from->prefix);
	to->envid = slice_str(from->envid);
	to->size = from->size;
	to->has_8bit = from->has_8bit;
	to->smtputf8 = from->smtputf8;
	to->binary = from->binary;
	to->require_tls = from->require_tls;
	to->tls_optional = from->tls_optional;
	to->ret = from->ret;
	to->deliver_by_mode = by_mode_of(from->deliver_by_mode);
	to->deliver_by_ms = to->deliver_by_mode == QUEUE_BY_NONE ? 0 : from->deliver_by_ms;
	to->deliver_by_trace = from->deliver_by_trace;
	to->priority = from->priority;
}

static struct status fill_recipients(struct arena *arena, const Door__QueueAdd *from,
                                     struct queue_add *to)
{
	to->recipients = ARENA_ARRAY(arena, MAX(from->n_recipients, 1u), struct queue_recipient);
	if (!to->recipients)
		return fail(ERR_LIMIT, "too many recipients");
	to->n_recipients = from->n_recipients;
	for (size_t i = 0; i < from->n_recipients; i++)
		to->recipients[i] = (struct queue_recipient){
		        .address = slice_str(from->recipients[i]->address),
		        .notify = from->recipients[i]->notify & 15u,
		        .orcpt = slice_str(from->recipients[i]->orcpt),
		};
	return ok();
}

static void answer_add(const struct queue_door *door, const struct ipc_packet *packet,
                       const struct queue_add *add)
{
	Door__QueueReply reply = DOOR__QUEUE_REPLY__INIT;
	CLEANUP(base_freep) int64_t *ids = NULL;
	if (is_ok(add->status)) {
		ids = base_alloc(add->n_recipients * sizeof(*ids));
		for (size_t i = 0; i < add->n_recipients; i++)
			ids[i] = add->recipients[i].ret_id;
		reply.ids = ids;
		reply.n_ids = add->n_recipients;
	}
	queue_door_answer(door, packet, add->status, &reply, -1);
}

static void log_add(const struct queue_door *door, const struct ipc_packet *packet,
                    const struct queue_add *add)
{
	if (is_ok(add->status))
		log_info(packet->cid, add->repeated ? "queued before" : "queued",
		         LOG_STR("account", door->name), LOG_SLICE("from", add->message.sender),
		         LOG_SLICE("message_id", add->message.message_id),
		         LOG_UINT("rcpts", add->n_recipients), LOG_UINT("size", add->message.size),
		         LOG_INT("entry", add->recipients[0].ret_id));
	else
		log_warn(packet->cid, "not queued", LOG_STR("account", door->name),
		         LOG_STATUS(add->status));
}

void queue_commit_adds(struct queue_door *door)
{
	struct queue_add *adds[QUEUE_ADD_BATCH];
	if (door->n_adds == 0)
		return;
	for (size_t i = 0; i < door->n_adds; i++)
		adds[i] = &door->adds[i];
	queue_add(door->room->queue, adds, door->n_adds);
	for (size_t i = 0; i < door->n_adds; i++) {
		answer_add(door, &door->packets[i], adds[i]);
		log_add(door, &door->packets[i], adds[i]);
		close(adds[i]->body_fd);
	}
	door->n_adds = 0;
	arena_reset(&door->arena);
	if (queue_is_broken(door->room->queue)) {
		log_error(0, "the queue's disk failed: starting again");
		_exit(1);
	}
}

void queue_on_add(struct queue_door *door, struct ipc_packet *packet, const Door__QueueAdd *add)
{
	struct queue_add *slot = &door->adds[door->n_adds];
	*slot = (struct queue_add){
	        .submission_id = door_bytes(add->submission_id),
	        .body_fd = packet->n_fds > 0 ? packet->fds[0] : -1,
	        .hold_until_ms = add->hold_until_ms,
	        .transport = slice_str(add->transport),
	};
	fill_message(door, add, &slot->message);
	struct status status = slot->body_fd >= 0 ? fill_recipients(&door->arena, add, slot)
	                                          : fail(ERR_PROTOCOL, "no message was sent");
	if (!is_ok(status)) {
		Door__QueueReply reply = DOOR__QUEUE_REPLY__INIT;
		queue_door_answer(door, packet, status, &reply, -1);
		return;
	}
	(void)ipc_packet_take_fd(packet, 0);
	door->packets[door->n_adds] = (struct ipc_packet){.id = packet->id, .cid = packet->cid};
	door->n_adds++;
}

/* ---- reports that came in ---- */

static struct slice with_brackets(struct slice id, struct arena *arena)
{
	if (id.n == 0 || id.p[0] == '<')
		return id;
	return slice_str(arena_printf(arena, "<%.*s>", SLICE_FMT(id)));
}

void queue_on_reported(struct queue_door *door, struct ipc_packet *packet,
                       const Door__QueueReported *reported)
{
	struct queue_report report = {
	        .account = slice_str(door->name),
	        .message_id = with_brackets(slice_str(reported->message_id), &door->arena),
	        .envid = slice_str(reported->envid),
	        .recipient = slice_str(reported->recipient),
	        .action = cut(reported->action, 32),
	        .status = cut(reported->status, 32),
	        .diagnostic = cut(reported->diagnostic, QUEUE_TEXT_MAX / 2),
	};
	Door__QueueReply reply = DOOR__QUEUE_REPLY__INIT;
	struct status status = queue_report(door->room->queue, &report, &reply.n_changed);
	log_info(packet->cid, "report came in", LOG_STR("account", door->name),
	         LOG_SLICE("message_id", report.message_id), LOG_SLICE("to", report.recipient),
	         LOG_SLICE("action", report.action), LOG_UINT("matched", reply.n_changed));
	queue_door_answer(door, packet, status, &reply, -1);
}
