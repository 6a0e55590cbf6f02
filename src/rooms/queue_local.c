/* Delivery to accounts of this house: addresses mean what they mean at the gate for strangers'
 * mail (config_lookup_address). All account rooms of a batch are asked at once. A delivery's id is
 * made of the message's, the entry's and the account's, so that a repetition stores nothing twice.
 */
#include "rooms/queue_room.h"

#include "account.pb-c.h"
#include "os/log.h"
#include "smtp/trace.h"

#define DELIVER_TIMEOUT_MS 120000
#define REPLY_MAX          ((size_t)16 * 1024)
#define PREFIX_MAX         (QUEUE_PREFIX_MAX + 4096)
#define DELIVERY_ID_SIZE   32

/* One account that an entry leads to. */
struct target {
	size_t entry; /* its place in the work */
	const char *account;
	const char *address;
	struct slice prefix;
	uint8_t id[DELIVERY_ID_SIZE];
	struct ipc_channel *channel; /* NULL: was not asked */
	struct ipc_wait wait;
	struct status status;
};

struct local {
	struct queue_work *work;
	struct config_lookup *found; /* of each entry */
	struct target *targets;
	size_t n_targets;
};

/* ---- who ---- */

static void say(struct queue_work *work, size_t i, enum queue_result result, const char *enhanced,
                const char *why)
{
	struct queue_attempt *attempt = &work->outcomes[i].attempt;
	attempt->result = result;
	attempt->enhanced = slice_str(enhanced);
	attempt->why = slice_str(why);
}

/* False: the outcome is there. */
static bool look_up(struct local *l, size_t i)
{
	struct queue_work *work = l->work;
	struct smtp_path path;
	work->facts[i].local = true;
	if (!is_ok(smtp_mailbox_parse(work->entries[i].recipient, &work->arena, &path))) {
		say(work, i, QUEUE_RESULT_FAILED, "5.1.3", "the address is malformed");
		return false;
	}
	config_lookup_address(work->config->config, path.localpart, path.host.text, &l->found[i]);
	switch (l->found[i].kind) {
	case CONFIG_LOOKUP_ACCOUNT:
	case CONFIG_LOOKUP_ALIAS:
		return true;
	case CONFIG_LOOKUP_UNKNOWN_USER:
		say(work, i, QUEUE_RESULT_FAILED, "5.1.1", "there is no such user here");
		break;
	case CONFIG_LOOKUP_UNKNOWN_DOMAIN:
		say(work, i, QUEUE_RESULT_DEFERRED, "4.3.0", "the domain is not ours any more");
		work->facts[i].lost = true; /* soon again, by another way */
		break;
	case CONFIG_LOOKUP_DISABLED:
		say(work, i, QUEUE_RESULT_DEFERRED, "4.2.1", "the mailbox is disabled");
		break;
	}
	return false;
}

static void make_id(const struct queue_work *work, struct target *target)
{
	static const struct hash_key fixed = {0x64656c6976657279, 0x6163636f756e74};
	int64_t entry = work->entries[target->entry].id;
	uint64_t account = hash_slice(fixed, slice_str(target->account));
	memcpy(target->id, work->message.uid, sizeof(work->message.uid));
	memcpy(target->id + 16, &entry, sizeof(entry));
	memcpy(target->id + 24, &account, sizeof(account));
}

static size_t n_targets_of(const struct config_lookup *found)
{
	return found->alias ? found->alias->n_targets : 1;
}

static void add_target(struct local *l, size_t entry, const char *account, const char *address)
{
	struct target *target = &l->targets[l->n_targets++];
	*target = (struct target){.entry = entry, .account = account, .address = address};
	make_id(l->work, target);
}

/* ---- asking ---- */

/* Newest on top: Return-Path, Delivered-To, then what was generated at submission (Received among
 * it). */
static struct status make_prefix(struct local *l, struct target *target)
{
	struct queue_work *work = l->work;
	struct smtp_path sender = {.kind = SMTP_PATH_NULL}, rcpt;
	struct buf out;
	if (work->message.sender.n > 0)
		TRY(smtp_mailbox_parse(work->message.sender, &work->arena, &sender));
	TRY(smtp_mailbox_parse(work->entries[target->entry].recipient, &work->arena, &rcpt));
	buf_init(&out, PREFIX_MAX);
	struct status status = smtp_return_path_print(&sender, &out);
	buf_add_str(&out, "Delivered-To: ");
	smtp_mailbox_print(&rcpt, &out);
	buf_add_str(&out, "\r\n");
	buf_add(&out, work->message.prefix);
	if (is_ok(status) && buf_failed(&out))
		status = fail(ERR_LIMIT, "the generated header is too long");
	target->prefix = arena_copy(&work->arena, buf_slice(&out));
	buf_done(&out);
	return status;
}

static struct status read_reply(const Door__AccountReply *reply)
{
	if (!reply || !reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the account room");
	uint32_t code = reply->status->code;
	return code == ERR_OK ? ok()
	                      : fail(code < ERR_COUNT ? (enum err)code : ERR_PROTOCOL,
	                             "the account room could not store it");
}

static void fill_deliver(const struct local *l, const struct target *target, Door__Deliver *deliver,
                         Door__AccountRequest *request)
{
	door__deliver__init(deliver);
	deliver->size = l->work->message.size;
	deliver->prefix = door_binary(target->prefix);
	deliver->received_at = queue_now_ms() / 1000;
	deliver->delivery_id = door_binary(slice_of(target->id, sizeof(target->id)));
	door__account_request__init(request);
	request->body_case = DOOR__ACCOUNT_REQUEST__BODY_DELIVER;
	request->deliver = deliver;
}

static void ask(struct local *l, struct target *target)
{
	Door__Deliver deliver;
	Door__AccountRequest request;
	CLEANUP(door_packed_done) struct door_packed packed = {0};
	struct ipc_channel *channel;
	target->status = make_prefix(l, target);
	if (!is_ok(target->status))
		return;
	fill_deliver(l, target, &deliver, &request);
	door_pack(&request.base, &packed);
	target->status = room_peer(l->work->q->room, IPC_ROOM_ACCOUNT, target->account, &channel);
	if (!is_ok(target->status))
		return;
	target->status = ipc_call_start(channel, l->work->cid, packed.bytes, &l->work->body_fd, 1,
	                                &target->wait);
	if (is_ok(target->status))
		target->channel = channel;
	else
		ipc_channel_unref(channel);
}

/* The room had ended: its successor is asked. */
static struct status ask_again(struct local *l, struct target *target)
{
	return queue_deliver(l->work->q, target->account, l->work->cid,
	                     slice_of(target->id, sizeof(target->id)), target->prefix,
	                     l->work->body_fd, l->work->message.size);
}

static void collect(struct local *l, struct target *target)
{
	if (target->channel) {
		struct ipc_reply reply = {0};
		struct arena arena;
		arena_init(&arena, REPLY_MAX);
		target->status =
		        ipc_call_wait(target->channel, &target->wait, DELIVER_TIMEOUT_MS, &reply);
		if (is_ok(target->status))
			target->status = read_reply((const Door__AccountReply *)door_unpack(
			        &door__account_reply__descriptor, reply.packet.payload, &arena));
		if (target->status.code == ERR_CLOSED)
			ipc_channel_close(target->channel);
		ipc_channel_unref(target->channel);
		target->channel = NULL;
		ipc_reply_done(&reply);
		arena_done(&arena);
	}
	if (target->status.code == ERR_CLOSED || target->status.code == ERR_DRAINING)
		target->status = ask_again(l, target);
}

/* ---- judging ---- */

static void judge_failure(struct queue_work *work, size_t i, struct status status)
{
	switch ((int)status.code) {
	case ERR_QUOTA:
		say(work, i, QUEUE_RESULT_DEFERRED, "4.2.2", "the mailbox is full");
		break;
	case ERR_NO_SPACE:
		say(work, i, QUEUE_RESULT_DEFERRED, "4.3.1", "this server's disk is full");
		break;
	case ERR_NOT_FOUND:
	case ERR_DENIED:
		say(work, i, QUEUE_RESULT_DEFERRED, "4.2.1", "the mailbox cannot be reached");
		break;
	default:
		say(work, i, QUEUE_RESULT_DEFERRED, "4.3.0",
		    "the mailbox could not store it for now");
		work->facts[i].lost = status.code != ERR_CORRUPT && status.code != ERR_IO;
	}
}

/* Members of an alias that did not get it go on as entries of their own. */
static void split(struct local *l, size_t i, size_t n_failed)
{
	struct queue_work *work = l->work;
	struct queue_outcome *outcome = &work->outcomes[i];
	struct queue_recipient *more = ARENA_ARRAY(&work->arena, n_failed, struct queue_recipient);
	if (!more)
		return;
	for (size_t j = 0; j < l->n_targets && outcome->n_more < n_failed; j++) {
		const struct target *target = &l->targets[j];
		if (target->entry == i && !is_ok(target->status))
			more[outcome->n_more++] = (struct queue_recipient){
			        .address = slice_str(target->address),
			        .notify = work->entries[i].notify,
			        .orcpt = work->entries[i].orcpt,
			};
	}
	outcome->more = more;
}

static void judge(struct local *l, size_t i)
{
	struct queue_work *work = l->work;
	struct status worst = ok();
	size_t n = 0, n_failed = 0;
	for (size_t j = 0; j < l->n_targets; j++) {
		const struct target *target = &l->targets[j];
		if (target->entry != i)
			continue;
		n++;
		if (is_ok(target->status))
			continue;
		n_failed++;
		worst = target->status;
		log_warn(work->cid, "not delivered", LOG_STR("account", target->account),
		         LOG_STATUS(target->status));
	}
	if (n_failed == n) {
		judge_failure(work, i, worst);
		return;
	}
	say(work, i, QUEUE_RESULT_DELIVERED, "2.0.0",
	    n > 1 ? "delivered to the members of the alias" : "delivered to the mailbox here");
	if (n > 1)
		work->outcomes[i].notice = QUEUE_NOTICE_EXPANDED; /* RFC 3461 section 5.2.7.3 */
	if (n_failed > 0)
		split(l, i, n_failed);
}

void queue_try_local(struct queue_work *work)
{
	struct local l = {.work = work};
	size_t n_max = 0;
	bool *looked_up = ARENA_ARRAY(&work->arena, work->n, bool);
	l.found = ARENA_ARRAY(&work->arena, work->n, struct config_lookup);
	for (size_t i = 0; i < work->n && l.found && looked_up; i++) {
		looked_up[i] = look_up(&l, i);
		n_max += looked_up[i] ? n_targets_of(&l.found[i]) : 0;
	}
	CLEANUP(base_freep) void *memory = base_alloc(n_max * sizeof(struct target));
	l.targets = memory;
	for (size_t i = 0; i < work->n && looked_up; i++) {
		const struct config_lookup *found = &l.found[i];
		for (size_t j = 0; looked_up[i] && j < n_targets_of(found); j++)
			add_target(&l, i,
			           found->alias ? found->alias->targets[j].account->name.s
			                        : found->account->name.s,
			           found->alias ? found->alias->targets[j].address
			                        : found->address);
	}
	for (size_t j = 0; j < l.n_targets; j++)
		ask(&l, &l.targets[j]);
	for (size_t j = 0; j < l.n_targets; j++)
		collect(&l, &l.targets[j]);
	for (size_t i = 0; i < work->n && looked_up; i++)
		if (looked_up[i])
			judge(&l, i);
}
