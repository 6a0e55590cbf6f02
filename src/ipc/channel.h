/* A channel between two rooms: requests and replies, one a packet, file descriptors beside them.
 *
 * SOCK_SEQPACKET keeps packets whole. A packet is a fixed header, then a protobuf message of the
 * receiving room's door (*.proto), then up to IPC_FDS_MAX descriptors by SCM_RIGHTS. Bodies of mail
 * travel as descriptors, never as bytes.
 *
 * Any thread may call ipc_call and ipc_send at any time. Whoever waits for a reply reads for all:
 * replies go to the threads that wait for them, requests to on_request. A room that answers
 * requests has one thread in ipc_channel_serve, which reads for all as long as the channel lives.
 *
 * What arrives is hostile: a malformed packet closes the channel (PROTOCOL), nothing more.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#define IPC_PACKET_MAX      ((size_t)128 * 1024) /* bytes of one message */
#define IPC_SEND_TIMEOUT_MS 30000 /* a room that reads nothing for so long is not waited for */
#define IPC_FDS_MAX         4u
#define IPC_CALLS_MAX       4096u /* calls that wait at the same time on one channel */

struct ipc_channel;

struct ipc_packet {
	uint64_t cid; /* the connection this serves; follows a mail through the house */
	uint32_t id;  /* pairs a reply with its request; 0 for one-way messages */
	struct slice payload;
	int fds[IPC_FDS_MAX]; /* -1 beyond n_fds */
	size_t n_fds;
};

/* Takes a descriptor out of a received packet (the packet no longer closes it); -1 if none. */
int ipc_packet_take_fd(struct ipc_packet *packet, size_t index);

struct ipc_channel_options {
	/* A request or one-way message arrived. Runs in the reading thread: long work belongs
	 * elsewhere. Descriptors that it does not take are closed afterwards. May be NULL: requests
	 * are then a protocol error. */
	void (*on_request)(struct ipc_channel *channel, struct ipc_packet *packet, void *context);
	void *context;
	/* Sending never waits: a room that does not read what it is sent loses its channel. For the
	 * supervisor, whom no room may hold up. */
	bool never_block;
};

/* Takes the fd over, whatever happens. */
struct ipc_channel *ipc_channel_new(int fd, const struct ipc_channel_options *options);
/* References count because calls may be under way while a room gives a channel up. */
struct ipc_channel *ipc_channel_ref(struct ipc_channel *channel);
void ipc_channel_unref(struct ipc_channel *channel); /* NULL is fine */
/* Every waiting and later call fails with CLOSED; the peer sees the end. */
void ipc_channel_close(struct ipc_channel *channel);
bool ipc_channel_is_closed(struct ipc_channel *channel);
int ipc_channel_fd(const struct ipc_channel *channel); /* for poll; stays the channel's */

/* One-way. The fds stay the caller's. */
struct status ipc_send(struct ipc_channel *channel, uint64_t cid, struct slice payload,
                       const int *fds, size_t n_fds);

/* A reply that was received; free it. */
struct ipc_reply {
	struct ipc_packet packet;
	void *memory;
};
void ipc_reply_done(struct ipc_reply *reply); /* closes fds not taken; safe on a zeroed one */

/* Sends a request and waits. TIMEOUT after timeout_ms (< 0 waits for ever): a late reply is
 * dropped. */
struct status ipc_call(struct ipc_channel *channel, uint64_t cid, struct slice payload,
                       const int *fds, size_t n_fds, int timeout_ms, struct ipc_reply *ret_reply);

/* The same in two steps, so that one thread can have several requests under way. The call struct
 * stays at its place from start to wait. Each successful start needs its wait. */
struct ipc_wait {
	struct ipc_wait *next;
	uint32_t id;
	bool arrived;
	struct ipc_reply reply;
	struct status status;
};
struct status ipc_call_start(struct ipc_channel *channel, uint64_t cid, struct slice payload,
                             const int *fds, size_t n_fds, struct ipc_wait *wait);
struct status ipc_call_wait(struct ipc_channel *channel, struct ipc_wait *wait, int timeout_ms,
                            struct ipc_reply *ret_reply);

/* Answers a request received through on_request, from any thread. */
struct status ipc_answer(struct ipc_channel *channel, uint32_t id, uint64_t cid,
                         struct slice payload, const int *fds, size_t n_fds);

/* Reads until the channel ends; returns why (CLOSED when the peer ended it, PROTOCOL ...). */
struct status ipc_channel_serve(struct ipc_channel *channel);

/* Waits for one packet and handles it: for a room's first message, behind which others wait that
 * must not be taken yet. Nobody else may be reading. */
struct status ipc_channel_step(struct ipc_channel *channel);

/* Without a thread of its own (the supervisor's loop): handles what has arrived, without blocking.
 * CLOSED at the end. */
struct status ipc_channel_pump(struct ipc_channel *channel);
