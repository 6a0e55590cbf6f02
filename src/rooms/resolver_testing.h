/* The resolver room as the supervisor runs it, walls and all, for tests: this process is its
 * supervisor and every other room.
 *
 *	struct resolver_house house;
 *	resolver_house_start(&house, program, "{mode: forward, servers: [\"127.0.0.1:5300\"]}");
 *	struct ipc_channel *courier = resolver_house_meet(&house, IPC_ROOM_COURIER);
 *	status = resolver_house_look_up(courier, "a.example", DNS_TYPE_A, 5000, &arena, &answer);
 *	ipc_channel_unref(courier);
 *	resolver_house_stop(&house);
 *
 * What should not happen here aborts.
 */
#pragma once

#include "dns/answer.h"
#include "ipc/channel.h"
#include "ipc/room.h"
#include "os/process.h"

struct resolver_house {
	struct process room;
	struct ipc_channel *supervisor; /* to the room */
	bool ready;
	pthread_mutex_t lock; /* guards ready */
	pthread_cond_t cond;
	pthread_t thread;
};

/* program: the room's. resolver: YAML, the group of that name in mailkeep.yaml. Waits until the
 * room is ready. */
void resolver_house_start(struct resolver_house *house, const char *program, const char *resolver);
/* Ends the room if it still runs. Safe on a zeroed house. */
void resolver_house_stop(struct resolver_house *house);
/* A new config comes into force, as after a reload. */
void resolver_house_configure(struct resolver_house *house, const char *resolver);
/* What another room would get when it is introduced; the caller unrefs. */
struct ipc_channel *resolver_house_meet(struct resolver_house *house, enum ipc_room who);

/* One request over such a channel. Fails as the door says (BUSY, SYNTAX, PROTOCOL). */
struct status resolver_house_look_up(struct ipc_channel *channel, const char *name, uint32_t type,
                                     uint32_t timeout_ms, struct arena *arena,
                                     const struct dns_answer **ret_answer);
