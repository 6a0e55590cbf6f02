/* The supervisor's picture of the house: which rooms run, who waits for whom. Private to the
 * supervisor's files (supervisor.c, house.c, introductions.c, sockets.c). Single-threaded: one
 * epoll loop. */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "ipc/door.h"
#include "ipc/room.h"
#include "os/clock.h"
#include "os/process.h"
#include "rooms/protocol.h"

#include "supervisor.pb-c.h"

#define HOUSE_GATES_MAX        64u /* processes of one gate */
#define HOUSE_LISTENERS_MAX    1024u
#define HOUSE_PENDING_MAX      10000u /* introductions that wait for a room */
#define HOUSE_ACCOUNT_NAME_MAX 128u
#define HOUSE_TICKET_KEY_SIZE  32

struct house;

/* An introduction that was asked for and cannot be made yet. */
struct pending {
	struct pending *next;
	struct ipc_channel *asker; /* a reference */
	enum ipc_room asker_room;
	char asker_name[HOUSE_ACCOUNT_NAME_MAX];
	uint32_t id;
	uint64_t cid;
};

enum room_state {
	ROOM_WAITING,  /* to be started at `restart_at` */
	ROOM_STARTING, /* runs, not yet ready */
	ROOM_READY,
	ROOM_STOPPED, /* not to be started again */
};

/* A room of the supervisor's own making: one process, restarted when it ends. */
struct house_room {
	struct house_room *next;
	struct house *house;
	enum ipc_room id;
	const char *program;
	enum room_state state;
	struct process process;
	struct ipc_channel *channel;
	struct pending *pending;
	struct deadline restart_at;
	int64_t started_ms;
	int backoff_ms;
	uint64_t n_starts;
};

/* An account room: forked by the zygote; lives and ends with its channel. */
struct house_account {
	struct house_account *next;
	struct house *house;
	char name[HOUSE_ACCOUNT_NAME_MAX];
	struct ipc_channel *channel;
	bool leaving; /* has been told that it may: nobody is introduced any more */
	bool gone;
	struct pending *pending;
};

struct house_listener {
	struct house_listener *next;
	enum room_protocol protocol;
	char *name;
	char *address;
	uint16_t port;
	int fd;
	bool wanted; /* while a new config is applied */
};

#define HOUSE_ACCOUNT_BUCKETS 1024

struct house {
	const char *config_directory;
	const char *program_directory; /* where the rooms' executables lie */
	bool localserve;
	bool privileged;
	uid_t uid;
	gid_t gid;
	char *data_directory;
	int config_fd; /* sealed memfd of the config in force */
	uint8_t ticket_key[HOUSE_TICKET_KEY_SIZE];
	struct hash_key hash_key;
	int null_fd; /* /dev/null: what rooms get as standard input */
	int epoll_fd;
	int signal_fd;
	struct house_room *rooms;
	struct house_account *accounts[HOUSE_ACCOUNT_BUCKETS];
	size_t n_accounts;
	size_t n_pending;
	struct house_listener *listeners;
	bool told_ready;
	bool stopping;
};

/* house.c: processes */
struct house_room *house_room_add(struct house *house, enum ipc_room id, const char *program);
struct house_room *house_room_find(struct house *house, enum ipc_room id); /* a ready one if any */
void house_start_due(struct house *house);          /* starts what waits and is due */
int house_next_start_ms(const struct house *house); /* for epoll; -1 */
void house_room_ended(struct house_room *room);     /* its process has ended */
/* Closes the channel of a room that has ended. Who waits for an introduction may still hold it as
 * the asker: its descriptor then lives on and must not stay in the event loop, whose tag would
 * point to what is gone. */
void house_forget_channel(struct house *house, struct ipc_channel *channel);
void house_send_listener(struct house_room *room, const struct house_listener *listener);
void house_stop(struct house *house); /* everything, in order; returns when done */
void house_room_ready(struct house_room *room, const char *sandbox);

/* introductions.c */
void house_introduce(struct house *house, struct ipc_channel *asker, enum ipc_room asker_room,
                     const char *asker_name, const struct ipc_packet *packet,
                     const Door__Introduce *introduce);
void house_room_flush_pending(struct house_room *room);
struct house_account *house_account_find(struct house *house, const char *name);
void house_account_gone(struct house_account *account);
void house_accounts_send(struct house *house, const ProtobufCMessage *message, int fd);
void house_reply(struct ipc_channel *channel, const struct ipc_packet *packet, struct status status,
                 int fd);

/* sockets.c */
/* Brings the listening sockets in step with the list: binds what is new, forgets what is gone. On
 * failure nothing has changed and `ret_why` says what a person can do. */
struct status house_listen(struct house *house, Door__Listener *const *wanted, size_t n_wanted,
                           struct buf *why);
void house_describe_listeners(const struct house *house, struct arena *arena,
                              Door__Config *ret_config);
