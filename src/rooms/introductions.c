/* Introductions: the matrix, account rooms made at first need, and those who wait for a room.
 *
 * SECURITY: every request here comes from a lesser room and may be hostile: the pair must be in the
 * matrix, an account's name must have the form of one (it becomes a directory's name), and nobody
 * can make the supervisor wait or hold more than HOUSE_PENDING_MAX requests.
 */
#include "rooms/house.h"

#include "os/fd.h"
#include "os/log.h"
#include "os/socket.h"

#include <sys/epoll.h>

void house_reply(struct ipc_channel *channel, const struct ipc_packet *packet, struct status status,
                 int fd)
{
	Door__Status text = DOOR__STATUS__INIT;
	text.code = status.code;
	text.why = door_string(status.why);
	Door__SupervisorReply reply = DOOR__SUPERVISOR_REPLY__INIT;
	reply.status = &text;
	(void)door_answer(channel, packet, &reply.base, &fd, fd >= 0 ? 1 : 0);
}

/* Two ends: one to the room that is met, one to the asker. */
static void introduce_now(struct ipc_channel *asker, enum ipc_room asker_room,
                          const char *asker_name, const struct ipc_packet *packet,
                          struct ipc_channel *met)
{
	int pair[2];
	if (!is_ok(socket_pair_seqpacket(pair))) {
		house_reply(asker, packet, fail(ERR_TEMPORARY, "out of descriptors"), -1);
		return;
	}
	Door__Meet meet = DOOR__MEET__INIT;
	meet.room = asker_room;
	meet.name = door_string(asker_name);
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	message.body_case = DOOR__ROOM_MESSAGE__BODY_MEET;
	message.meet = &meet;
	struct status status = door_send(met, packet->cid, &message.base, &pair[1], 1);
	house_reply(asker, packet, status, is_ok(status) ? pair[0] : -1);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

/* ---- those who wait ---- */

static void hold(struct house *house, struct pending **list, struct ipc_channel *asker,
                 enum ipc_room asker_room, const char *asker_name, const struct ipc_packet *packet)
{
	if (house->n_pending >= HOUSE_PENDING_MAX) {
		house_reply(asker, packet, fail(ERR_BUSY, "too many wait for an introduction"), -1);
		return;
	}
	struct pending *pending = base_alloc(sizeof(*pending));
	pending->asker = ipc_channel_ref(asker);
	pending->asker_room = asker_room;
	snprintf(pending->asker_name, sizeof(pending->asker_name), "%s", asker_name);
	pending->id = packet->id;
	pending->cid = packet->cid;
	pending->next = *list;
	*list = pending;
	house->n_pending++;
}

static void flush(struct house *house, struct pending **list, struct ipc_channel *met)
{
	while (*list) {
		struct pending *pending = *list;
		*list = pending->next;
		struct ipc_packet packet = {.id = pending->id, .cid = pending->cid};
		introduce_now(pending->asker, pending->asker_room, pending->asker_name, &packet,
		              met);
		ipc_channel_unref(pending->asker);
		base_free(pending);
		house->n_pending--;
	}
}

void house_room_flush_pending(struct house_room *room)
{
	if (room->channel)
		flush(room->house, &room->pending, room->channel);
}

/* ---- account rooms ---- */

static struct house_account **bucket_of(struct house *house, const char *name)
{
	return &house->accounts[hash_slice(house->hash_key, slice_str(name)) %
	                        HOUSE_ACCOUNT_BUCKETS];
}

struct house_account *house_account_find(struct house *house, const char *name)
{
	for (struct house_account *a = *bucket_of(house, name); a; a = a->next)
		if (!a->gone && slice_eq_str(slice_str(a->name), name))
			return a;
	return NULL;
}

/* [a-z0-9][a-z0-9._-]*, as the config wants it. */
static bool is_account_name(const char *name)
{
	size_t n = strlen(name);
	if (n == 0 || n >= HOUSE_ACCOUNT_NAME_MAX || name[0] == '.' || name[0] == '-' ||
	    name[0] == '_')
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)name[i];
		if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'z') && c != '.' && c != '_' &&
		    c != '-')
			return false;
	}
	return true;
}

static void on_account_request(struct ipc_channel *channel, struct ipc_packet *packet,
                               void *context)
{
	struct house_account *account = context;
	struct arena arena;
	arena_init(&arena, (size_t)1024 * 1024);
	Door__SupervisorRequest *request = (Door__SupervisorRequest *)door_unpack(
	        &door__supervisor_request__descriptor, packet->payload, &arena);
	if (request && request->body_case == DOOR__SUPERVISOR_REQUEST__BODY_MAY_LEAVE) {
		account->leaving = true;
		house_reply(channel, packet, ok(), -1);
	} else if (request && request->body_case == DOOR__SUPERVISOR_REQUEST__BODY_INTRODUCE) {
		house_introduce(account->house, channel, IPC_ROOM_ACCOUNT, account->name, packet,
		                request->introduce);
	}
	arena_done(&arena); /* Ready needs no answer: requests wait in the channel meanwhile */
}

/* Asks the zygote for a room. Its first words may already be sent: they wait in the channel. */
static struct house_account *make_account(struct house *house, struct house_room *zygote,
                                          const char *name)
{
	int pair[2];
	if (!is_ok(socket_pair_seqpacket(pair)))
		return NULL;
	Door__Fork fork_message = DOOR__FORK__INIT;
	fork_message.account = door_string(name);
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	message.body_case = DOOR__ROOM_MESSAGE__BODY_FORK;
	message.fork = &fork_message;
	struct status status = door_send(zygote->channel, 0, &message.base, &pair[1], 1);
	fd_close(&pair[1]);
	if (!is_ok(status)) {
		fd_close(&pair[0]);
		return NULL;
	}
	struct house_account *account = base_alloc(sizeof(*account));
	account->house = house;
	snprintf(account->name, sizeof(account->name), "%s", name);
	account->channel = ipc_channel_new(pair[0], &(struct ipc_channel_options){
	                                                    .on_request = on_account_request,
	                                                    .context = account,
	                                                    .never_block = true,
	                                            });
	struct house_account **bucket = bucket_of(house, name);
	account->next = *bucket;
	*bucket = account;
	house->n_accounts++;
	/* The lowest bit tells an account from a room in the event loop; both are aligned. */
	struct epoll_event input = {.events = EPOLLIN, .data.u64 = (uintptr_t)account | 1};
	epoll_ctl(house->epoll_fd, EPOLL_CTL_ADD, pair[0], &input);
	return account;
}

static void introduce_to_account(struct house *house, struct ipc_channel *asker,
                                 enum ipc_room asker_room, const char *asker_name,
                                 const struct ipc_packet *packet, const char *name)
{
	struct house_room *zygote = house_room_find(house, IPC_ROOM_ACCOUNT);
	if (!is_account_name(name)) {
		house_reply(asker, packet, fail(ERR_INVALID, "no such account name"), -1);
		return;
	}
	struct house_account *account = house_account_find(house, name);
	if (account && account->leaving) {
		hold(house, &account->pending, asker, asker_room, asker_name, packet);
		return;
	}
	if (!account && zygote && zygote->channel)
		account = make_account(house, zygote, name);
	if (account)
		introduce_now(asker, asker_room, asker_name, packet, account->channel);
	else
		house_reply(asker, packet, fail(ERR_TEMPORARY, "account rooms cannot be made now"),
		            -1);
}

/* Unlinks it; those who waited for its end are introduced to a new one. */
void house_account_gone(struct house_account *account)
{
	struct house *house = account->house;
	account->gone = true;
	for (struct house_account **link = bucket_of(house, account->name); *link;
	     link = &(*link)->next) {
		if (*link == account) {
			*link = account->next;
			break;
		}
	}
	house->n_accounts--;
	while (account->pending) {
		struct pending *pending = account->pending;
		account->pending = pending->next;
		struct ipc_packet packet = {.id = pending->id, .cid = pending->cid};
		introduce_to_account(house, pending->asker, pending->asker_room,
		                     pending->asker_name, &packet, account->name);
		ipc_channel_unref(pending->asker);
		base_free(pending);
		house->n_pending--;
	}
	house_forget_channel(house, account->channel);
	base_free(account);
}

void house_accounts_send(struct house *house, const ProtobufCMessage *message, int fd)
{
	for (size_t i = 0; i < HOUSE_ACCOUNT_BUCKETS; i++)
		for (struct house_account *a = house->accounts[i]; a; a = a->next)
			(void)door_send(a->channel, 0, message, &fd, 1);
}

/* ---- the request ---- */

void house_introduce(struct house *house, struct ipc_channel *asker, enum ipc_room asker_room,
                     const char *asker_name, const struct ipc_packet *packet,
                     const Door__Introduce *introduce)
{
	enum ipc_room to = (enum ipc_room)introduce->room;
	if (introduce->room >= IPC_ROOM_COUNT || !ipc_may_introduce(asker_room, to)) {
		log_warn(packet->cid, "introduction refused",
		         LOG_STR("from", ipc_room_name(asker_room)),
		         LOG_STR("to", introduce->room < IPC_ROOM_COUNT ? ipc_room_name(to) : "?"));
		house_reply(asker, packet, fail(ERR_DENIED, "not in the matrix of introductions"),
		            -1);
		return;
	}
	if (to == IPC_ROOM_ACCOUNT) {
		introduce_to_account(house, asker, asker_room, asker_name, packet, introduce->name);
		return;
	}
	struct house_room *room = house_room_find(house, to);
	if (room && room->channel)
		introduce_now(asker, asker_room, asker_name, packet, room->channel);
	else if (room)
		hold(house, &room->pending, asker, asker_room, asker_name, packet);
	else
		house_reply(asker, packet, fail(ERR_NOT_FOUND, "no such room runs"), -1);
}
