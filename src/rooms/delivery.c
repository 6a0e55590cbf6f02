/* Deliveries to account rooms, in batches that are under way together, with memory of those
 * transactions that went through for some recipients only. */
#include "rooms/delivery.h"

#include "account.pb-c.h"
#include "os/fd.h"

#define BATCH              32u
#define DELIVER_TIMEOUT_MS 120000
#define REPLY_MAX          ((size_t)16 * 1024)
#define ID_SIZE            16
#define PARTIALS_MAX       256u
#define READ_SIZE          ((size_t)64 * 1024)

/* ---- transactions that were half delivered ---- */

struct partial {
	uint64_t fingerprint; /* of sender and content; 0: free */
	uint8_t id[ID_SIZE];
};

/* Shared by the sessions of this gate; the ring forgets the oldest. */
static struct {
	pthread_mutex_t lock;
	struct hash_key key;
	struct partial ring[PARTIALS_MAX];
	size_t next;
	size_t n;
} partials = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void make_key(void)
{
	room_random(&partials.key, sizeof(partials.key));
}

static uint64_t fingerprint(const struct delivery *delivery)
{
	uint64_t hash = hash_slice(partials.key, delivery->from);
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(READ_SIZE + sizeof(hash));
	for (uint64_t at = 0; at < delivery->size;) {
		size_t n = (size_t)MIN(delivery->size - at, READ_SIZE);
		memcpy(bytes, &hash, sizeof(hash));
		if (!is_ok(fd_pread_all(delivery->body_fd, bytes + sizeof(hash), n, at, NULL)))
			return 0;
		hash = hash_slice(partials.key, slice_of(bytes, n + sizeof(hash)));
		at += n;
	}
	return hash ? hash : 1;
}

/* The id of this transaction: that of an earlier one it repeats, else a new one. */
static void choose_id(const struct delivery *delivery, uint8_t id[ID_SIZE])
{
	room_random(id, ID_SIZE);
	pthread_mutex_lock(&partials.lock);
	bool any = partials.n > 0;
	pthread_mutex_unlock(&partials.lock);
	if (!any)
		return;
	uint64_t wanted = fingerprint(delivery);
	pthread_mutex_lock(&partials.lock);
	for (size_t i = 0; i < PARTIALS_MAX; i++) {
		if (wanted != 0 && partials.ring[i].fingerprint == wanted)
			memcpy(id, partials.ring[i].id, ID_SIZE);
	}
	pthread_mutex_unlock(&partials.lock);
}

/* After the transaction: remembered when it was delivered to some only, forgotten when to all. */
static void remember(const struct delivery *delivery, const uint8_t id[ID_SIZE], size_t n_ok,
                     size_t n)
{
	pthread_mutex_lock(&partials.lock);
	bool any = partials.n > 0;
	pthread_mutex_unlock(&partials.lock);
	bool half = n_ok > 0 && n_ok < n;
	if (!any && !half)
		return;
	uint64_t print = fingerprint(delivery);
	pthread_mutex_lock(&partials.lock);
	struct partial *known = NULL;
	for (size_t i = 0; i < PARTIALS_MAX; i++)
		if (partials.ring[i].fingerprint != 0 &&
		    memcmp(partials.ring[i].id, id, ID_SIZE) == 0)
			known = &partials.ring[i];
	if (known && n_ok == n) {
		known->fingerprint = 0;
		partials.n--;
	} else if (!known && half) {
		struct partial *place = &partials.ring[partials.next++ % PARTIALS_MAX];
		partials.n += place->fingerprint == 0;
		place->fingerprint = print;
		memcpy(place->id, id, ID_SIZE);
	}
	pthread_mutex_unlock(&partials.lock);
}

/* ---- asking ---- */

/* What tells the targets of one transaction apart, the same in a repetition: account and recipient.
 * The same pair twice is one delivery. */
static uint64_t target_number(const struct delivery_target *target)
{
	struct buf text;
	buf_init(&text, 4096);
	buf_add_str(&text, target->account);
	buf_add_byte(&text, 0);
	smtp_mailbox_print(&target->rcpt, &text);
	uint64_t number = hash_slice(partials.key, buf_slice(&text));
	buf_done(&text);
	return number;
}

struct asked {
	struct ipc_channel *channel; /* NULL: could not be asked */
	struct ipc_wait wait;
	uint8_t id[ID_SIZE + 8];
};

static void fill_request(const struct delivery *delivery, const struct delivery_target *target,
                         struct slice id, Door__Deliver *deliver, Door__AccountRequest *request)
{
	door__deliver__init(deliver);
	deliver->size = delivery->size;
	deliver->prefix = door_binary(target->prefix);
	deliver->mailbox = door_string(target->mailbox ? target->mailbox : "");
	deliver->junk = target->junk;
	deliver->note = door_binary(target->note);
	deliver->received_at = delivery->received_at_s;
	deliver->delivery_id = door_binary(id);
	door__account_request__init(request);
	request->body_case = DOOR__ACCOUNT_REQUEST__BODY_DELIVER;
	request->deliver = deliver;
}

static struct status read_reply(const Door__AccountReply *reply)
{
	if (!reply || !reply->status)
		return fail(ERR_PROTOCOL, "malformed reply of the account room");
	/* The text lives in the reply's arena: static words for what is said on. */
	uint32_t code = reply->status->code;
	if (code == ERR_OK)
		return ok();
	if (code == ERR_QUOTA)
		return fail(ERR_QUOTA, "mailbox is full");
	if (code == ERR_NO_SPACE)
		return fail(ERR_NO_SPACE, "disk is full");
	return fail(code < ERR_COUNT ? (enum err)code : ERR_PROTOCOL,
	            "the account room could not store it");
}

static void ask(struct room *room, const struct delivery *delivery, struct delivery_target *target,
                struct asked *asked)
{
	Door__Deliver deliver;
	Door__AccountRequest request;
	CLEANUP(door_packed_done) struct door_packed packed;
	fill_request(delivery, target, slice_of(asked->id, sizeof(asked->id)), &deliver, &request);
	door_pack(&request.base, &packed);
	asked->channel = NULL;
	struct ipc_channel *channel;
	target->status = room_peer(room, IPC_ROOM_ACCOUNT, target->account, &channel);
	if (!is_ok(target->status))
		return;
	target->status = ipc_call_start(channel, delivery->cid, packed.bytes, &delivery->body_fd, 1,
	                                &asked->wait);
	if (is_ok(target->status))
		asked->channel = channel;
	else
		ipc_channel_unref(channel);
}

/* The room had ended: asked again, one by one. The id makes that harmless. */
static struct status ask_again(struct room *room, const struct delivery *delivery,
                               const struct delivery_target *target, const struct asked *asked)
{
	Door__Deliver deliver;
	Door__AccountRequest request;
	ProtobufCMessage *message = NULL;
	struct arena arena;
	fill_request(delivery, target, slice_of(asked->id, sizeof(asked->id)), &deliver, &request);
	arena_init(&arena, REPLY_MAX);
	struct status status = room_call(room, IPC_ROOM_ACCOUNT, target->account, delivery->cid,
	                                 &request.base, &delivery->body_fd, 1, DELIVER_TIMEOUT_MS,
	                                 &door__account_reply__descriptor, &arena, &message);
	if (is_ok(status))
		status = read_reply((const Door__AccountReply *)message);
	arena_done(&arena);
	return status;
}

static void collect(struct room *room, const struct delivery *delivery,
                    struct delivery_target *target, struct asked *asked)
{
	if (asked->channel) {
		struct ipc_reply reply = {0};
		struct arena arena;
		arena_init(&arena, REPLY_MAX);
		target->status =
		        ipc_call_wait(asked->channel, &asked->wait, DELIVER_TIMEOUT_MS, &reply);
		if (is_ok(target->status))
			target->status = read_reply((const Door__AccountReply *)door_unpack(
			        &door__account_reply__descriptor, reply.packet.payload, &arena));
		if (target->status.code == ERR_CLOSED)
			ipc_channel_close(asked->channel);
		ipc_channel_unref(asked->channel);
		ipc_reply_done(&reply);
		arena_done(&arena);
	}
	if (target->status.code == ERR_CLOSED || target->status.code == ERR_DRAINING)
		target->status = ask_again(room, delivery, target, asked);
}

void delivery_run(struct room *room, const struct delivery *delivery,
                  struct delivery_target *targets, size_t n)
{
	uint8_t id[ID_SIZE];
	struct asked asked[BATCH];
	size_t n_ok = 0;
	static pthread_once_t key_once = PTHREAD_ONCE_INIT;
	pthread_once(&key_once, make_key);
	choose_id(delivery, id);
	for (size_t first = 0; first < n; first += BATCH) {
		size_t n_batch = MIN(n - first, (size_t)BATCH);
		for (size_t i = 0; i < n_batch; i++) {
			uint64_t number = target_number(&targets[first + i]);
			memcpy(asked[i].id, id, ID_SIZE);
			memcpy(asked[i].id + ID_SIZE, &number, sizeof(number));
			ask(room, delivery, &targets[first + i], &asked[i]);
		}
		for (size_t i = 0; i < n_batch; i++) {
			collect(room, delivery, &targets[first + i], &asked[i]);
			n_ok += is_ok(targets[first + i].status);
		}
	}
	remember(delivery, id, n_ok, n);
}
