/* Introductions, kept. A table of channels by room and name. */
#include "rooms/peers.h"

#include "os/log.h"

#define INTRODUCTION_TIMEOUT_MS 30000
#define REPLY_ARENA_MAX         ((size_t)16 * 1024)
#define TRIES_MAX               5
#define PATIENCE_TRIES          50
#define PATIENCE_PAUSE_US       100000

struct room_peer_entry {
	struct room_peer_entry *next;
	enum ipc_room to;
	char *name;
	struct ipc_channel *channel;
};

static struct room_peer_entry **bucket_of(struct room *room, enum ipc_room to, const char *name)
{
	uint64_t hash = hash_slice(room->peers_key, slice_str(name)) + (uint64_t)to;
	return &room->peers[hash % ROOM_PEER_BUCKETS];
}

static void drop_entry(struct room *room, struct room_peer_entry **link)
{
	struct room_peer_entry *entry = *link;
	*link = entry->next;
	ipc_channel_close(entry->channel);
	ipc_channel_unref(entry->channel);
	base_free(entry->name);
	base_free(entry);
	room->n_peers--;
}

/* The live channel, with a reference, or NULL. A dead one is forgotten. */
static struct ipc_channel *find_live(struct room *room, enum ipc_room to, const char *name)
{
	for (struct room_peer_entry **link = bucket_of(room, to, name); *link;
	     link = &(*link)->next) {
		struct room_peer_entry *entry = *link;
		if (entry->to != to || slice_cmp(slice_str(entry->name), slice_str(name)) != 0)
			continue;
		if (!ipc_channel_is_closed(entry->channel))
			return ipc_channel_ref(entry->channel);
		drop_entry(room, link);
		return NULL;
	}
	return NULL;
}

/* Over the limit: gives up one bucket's channels. Calls under way on them fail with CLOSED and are
 * made again by room_call. */
static void make_place(struct room *room)
{
	for (size_t i = 0; i < ROOM_PEER_BUCKETS && room->n_peers >= ROOM_PEERS_MAX; i++)
		while (room->peers[i])
			drop_entry(room, &room->peers[i]);
}

static struct ipc_channel *keep(struct room *room, enum ipc_room to, const char *name, int fd)
{
	pthread_mutex_lock(&room->lock);
	struct ipc_channel *channel = find_live(room, to, name);
	if (channel) { /* another thread was quicker */
		pthread_mutex_unlock(&room->lock);
		close(fd);
		return channel;
	}
	make_place(room);
	struct room_peer_entry *entry = base_alloc(sizeof(*entry));
	struct room_peer_entry **bucket = bucket_of(room, to, name);
	entry->to = to;
	entry->name = base_strdup(name);
	entry->channel = ipc_channel_new(fd, NULL);
	entry->next = *bucket;
	*bucket = entry;
	room->n_peers++;
	channel = ipc_channel_ref(entry->channel);
	pthread_mutex_unlock(&room->lock);
	return channel;
}

static struct status introduce_once(struct room *room, enum ipc_room to, const char *name,
                                    int *ret_fd)
{
	Door__Introduce introduce = DOOR__INTRODUCE__INIT;
	introduce.room = to;
	introduce.name = door_string(name);
	Door__SupervisorRequest request = DOOR__SUPERVISOR_REQUEST__INIT;
	request.body_case = DOOR__SUPERVISOR_REQUEST__BODY_INTRODUCE;
	request.introduce = &introduce;

	struct arena arena;
	ProtobufCMessage *message = NULL;
	int fd = -1;
	arena_init(&arena, REPLY_ARENA_MAX);
	struct status status =
	        door_call(room->supervisor, 0, &request.base, NULL, 0, INTRODUCTION_TIMEOUT_MS,
	                  &door__supervisor_reply__descriptor, &arena, &message, &fd);
	if (is_ok(status)) {
		const Door__SupervisorReply *reply = (const Door__SupervisorReply *)message;
		enum err code = reply->status ? (enum err)reply->status->code : ERR_PROTOCOL;
		if (code == ERR_OK && fd < 0)
			code = ERR_PROTOCOL;
		if (code != ERR_OK)
			status = fail(code, "no introduction to the other room");
	}
	arena_done(&arena);
	if (is_ok(status))
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return status;
}

/* The zygote may be starting again: a little patience. */
static struct status introduce(struct room *room, enum ipc_room to, const char *name, int *ret_fd)
{
	struct status status = ok();
	for (int i = 0; i < PATIENCE_TRIES; i++) {
		status = introduce_once(room, to, name, ret_fd);
		if (status.code != ERR_TEMPORARY)
			break;
		usleep(PATIENCE_PAUSE_US);
	}
	return status;
}

struct status room_peer(struct room *room, enum ipc_room to, const char *name,
                        struct ipc_channel **ret_channel)
{
	pthread_mutex_lock(&room->lock);
	struct ipc_channel *channel = find_live(room, to, name);
	pthread_mutex_unlock(&room->lock);
	if (!channel) {
		int fd;
		TRY(introduce(room, to, name, &fd));
		channel = keep(room, to, name, fd);
	}
	*ret_channel = channel;
	return ok();
}

struct status room_call(struct room *room, enum ipc_room to, const char *name, uint64_t cid,
                        const ProtobufCMessage *request, const int *fds, size_t n_fds,
                        int timeout_ms, const ProtobufCMessageDescriptor *reply_type,
                        struct arena *arena, ProtobufCMessage **ret_reply)
{
	struct status status = ok();
	for (int i = 0; i < TRIES_MAX; i++) {
		struct ipc_channel *channel;
		TRY(room_peer(room, to, name, &channel));
		status = door_call(channel, cid, request, fds, n_fds, timeout_ms, reply_type, arena,
		                   ret_reply, NULL);
		if (status.code == ERR_CLOSED)
			ipc_channel_close(channel); /* so that the next try asks anew */
		ipc_channel_unref(channel);
		if (status.code != ERR_CLOSED)
			break;
	}
	return status;
}
