/* What every room's process does alike: inherit its channel, take the start message, warm up, close
 * its sandbox, tell that it is ready, and then listen to the supervisor for the rest of its life.
 *
 * The order is the recipe of STYLE.md: inherit fds, drop what must not be held, sandbox (which
 * tries the forbidden thing), serve. When the supervisor's channel ends the process ends.
 */
#pragma once

#include "config/config.h"
#include "ipc/door.h"
#include "ipc/room.h"
#include "os/process.h"
#include "os/sandbox.h"

#include "supervisor.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROOM_CHANNEL_FD 3 /* every room's channel to the supervisor */

/* A config in force, shared by the sessions that began under it. */
struct room_config {
	atomic_uint references;
	struct arena arena;
	struct config *config;
};
struct room_config *room_config_ref(struct room_config *config);
void room_config_unref(struct room_config *config); /* NULL is fine */

struct room;
struct room_peer_entry;
#define ROOM_PEER_BUCKETS 256

struct room_ops {
	/* Before the sandbox closes: load what cannot be loaded later, open directories, and say
	 * what the room keeps. May be NULL. */
	struct status (*warm)(struct room *room, struct sandbox_context *walls);
	/* Behind the sandbox, before Ready. May be NULL. */
	struct status (*begin)(struct room *room);
	/* Someone was introduced; takes the fd over. NULL: the room has no door of its own. */
	void (*meet)(struct room *room, enum ipc_room who, struct slice name, int fd);
	/* Takes the listening fd over. May be NULL. */
	void (*listen)(struct room *room, const Door__Listener *listener, int fd);
	/* room->config has changed; `listeners` names all that stay. May be NULL. */
	void (*reconfigured)(struct room *room, const Door__Config *message);
	/* The zygote alone. */
	void (*fork)(struct room *room, struct slice account, int fd);
	/* Clean end: returns when it is done; the process then exits. May be NULL. */
	void (*stop)(struct room *room);
};

struct room {
	const struct room_ops *ops;
	enum sandbox_room walls;
	enum ipc_room id; /* from the start message */
	struct ipc_channel *supervisor;
	const Door__Start *start; /* in start_arena */
	struct arena start_arena;
	bool started;
	void *state; /* the room's own */
	struct process_title title;
	/* room->config: take a reference with room_config_get. */
	pthread_mutex_t lock; /* guards config and peers */
	struct room_config *config;
	struct room_peer_entry *peers[ROOM_PEER_BUCKETS]; /* peers.c */
	size_t n_peers;
	struct hash_key peers_key;
};

/* The whole life of a room's process; main returns its result. `walls` names the sandbox. */
int room_main(int argc, char **argv, enum sandbox_room walls, const struct room_ops *ops,
              void *state);
/* The part after the fork of an account room: an own channel, the sandbox, then the same life. The
 * start message is the zygote's. Never returns. */
NORETURN void room_live_forked(struct room *room, int channel_fd, const struct room_ops *ops,
                               enum sandbox_room walls, struct sandbox_context *context);

struct room_config *room_config_get(struct room *room); /* the caller unrefs */

/* A loaded config from a sealed memfd; takes the fd over. */
struct status room_config_load(int fd, struct room_config **ret_config);
/* Makes the config in the sealed memfd room->config; takes the fd over. Logs a failure and keeps
 * the old one. */
void room_config_replace(struct room *room, int fd);

/* Logs and exits: the room cannot begin. The supervisor reports it and tries again later. */
NORETURN void room_give_up(struct status status, const char *doing);

/* Random bytes from the kernel; never fails. */
void room_random(void *p, size_t n);
uint64_t room_new_cid(void); /* for a new connection: unique in this process and hard to guess */
