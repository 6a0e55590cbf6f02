/* Packets, descriptors and the pairing of replies with requests.
 *
 * Layout of a packet, in the machine's byte order (both ends run on it):
 *	magic u32 | id u32 | cid u64 | kind u32 | reserved u32 | payload
 * kind: 0 request or one-way (id 0), 1 reply.
 *
 * Reading is done by one thread at a time (`reading`). A waiting caller that finds nobody reading
 * becomes the reader; when its own reply has come it stops and wakes another waiter to take over.
 */
#include "ipc/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define MAGIC 0x4d4b4950u /* "MKIP" */

enum { KIND_REQUEST = 0, KIND_REPLY = 1 };

struct header {
	uint32_t magic;
	uint32_t id;
	uint64_t cid;
	uint32_t kind;
	uint32_t reserved;
};
_Static_assert(sizeof(struct header) == 24, "no padding");

#define BUFFER_SIZE (sizeof(struct header) + IPC_PACKET_MAX)

struct ipc_channel {
	int fd;
	struct ipc_channel_options options;
	atomic_uint references;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	bool reading; /* some thread reads for all */
	bool closed;
	uint32_t next_id;
	struct ipc_wait *waits;
	unsigned n_waits;
	uint8_t *buffer; /* the reader's; allocated at the first read */
};

int ipc_packet_take_fd(struct ipc_packet *packet, size_t index)
{
	if (index >= packet->n_fds)
		return -1;
	int fd = packet->fds[index];
	packet->fds[index] = -1;
	return fd;
}

static void close_packet_fds(struct ipc_packet *packet)
{
	for (size_t i = 0; i < packet->n_fds; i++)
		if (packet->fds[i] >= 0)
			close(packet->fds[i]);
	packet->n_fds = 0;
}

void ipc_reply_done(struct ipc_reply *reply)
{
	close_packet_fds(&reply->packet);
	base_free(reply->memory);
	*reply = (struct ipc_reply){0};
}

struct ipc_channel *ipc_channel_new(int fd, const struct ipc_channel_options *options)
{
	struct ipc_channel *channel = base_alloc(sizeof(*channel));
	channel->fd = fd;
	if (options)
		channel->options = *options;
	atomic_init(&channel->references, 1);
	pthread_mutex_init(&channel->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&channel->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	channel->next_id = 1;
	return channel;
}

struct ipc_channel *ipc_channel_ref(struct ipc_channel *channel)
{
	atomic_fetch_add(&channel->references, 1);
	return channel;
}

void ipc_channel_unref(struct ipc_channel *channel)
{
	if (!channel || atomic_fetch_sub(&channel->references, 1) != 1)
		return;
	close(channel->fd);
	pthread_mutex_destroy(&channel->lock);
	pthread_cond_destroy(&channel->changed);
	if (channel->buffer)
		(void)munmap(channel->buffer, BUFFER_SIZE);
	base_free(channel);
}

void ipc_channel_close(struct ipc_channel *channel)
{
	pthread_mutex_lock(&channel->lock);
	channel->closed = true;
	pthread_cond_broadcast(&channel->changed);
	pthread_mutex_unlock(&channel->lock);
	/* Wakes a thread that blocks in recvmsg; the fd itself lives until the last reference. */
	shutdown(channel->fd, SHUT_RDWR);
}

bool ipc_channel_is_closed(struct ipc_channel *channel)
{
	pthread_mutex_lock(&channel->lock);
	bool closed = channel->closed;
	pthread_mutex_unlock(&channel->lock);
	return closed;
}

int ipc_channel_fd(const struct ipc_channel *channel)
{
	return channel->fd;
}

/* ---- sending ---- */

static void put_fds(struct msghdr *message, uint8_t *control, const int *fds, size_t n_fds)
{
	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(message);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
}

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

static struct status send_packet(struct ipc_channel *channel, const struct header *header,
                                 struct slice payload, const int *fds, size_t n_fds)
{
	union {
		uint8_t bytes[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
		struct cmsghdr align;
	} control = {0};
	struct header copy = *header;
	union {
		const uint8_t *from;
		void *to;
	} bytes = {.from = payload.p}; /* iovec is shared by reading and writing */
	struct iovec parts[2] = {{&copy, sizeof(copy)}, {bytes.to, payload.n}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = payload.n ? 2 : 1};
	int64_t until_ms = monotonic_ms() + IPC_SEND_TIMEOUT_MS;

	if (payload.n > IPC_PACKET_MAX || n_fds > IPC_FDS_MAX)
		return fail(ERR_LIMIT, "message to another room is too large");
	if (n_fds > 0)
		put_fds(&message, control.bytes, fds, n_fds);
	for (;;) {
		if (sendmsg(channel->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return ok();
		if (errno == EAGAIN && channel->options.never_block) {
			shutdown(channel->fd, SHUT_RDWR);
			return fail(ERR_CLOSED, "the other room does not read");
		}
		if (errno == EAGAIN) {
			struct pollfd ready = {.fd = channel->fd, .events = POLLOUT};
			int64_t left_ms = until_ms - monotonic_ms();
			if (left_ms <= 0)
				return fail(ERR_TIMEOUT, "the other room does not read");
			poll(&ready, 1, (int)left_ms);
		} else if (errno != EINTR) {
			return fail(ERR_CLOSED, "the other room is gone");
		}
	}
}

struct status ipc_send(struct ipc_channel *channel, uint64_t cid, struct slice payload,
                       const int *fds, size_t n_fds)
{
	struct header header = {.magic = MAGIC, .cid = cid, .kind = KIND_REQUEST};
	return send_packet(channel, &header, payload, fds, n_fds);
}

struct status ipc_answer(struct ipc_channel *channel, uint32_t id, uint64_t cid,
                         struct slice payload, const int *fds, size_t n_fds)
{
	struct header header = {.magic = MAGIC, .id = id, .cid = cid, .kind = KIND_REPLY};
	return send_packet(channel, &header, payload, fds, n_fds);
}

/* ---- receiving ---- */

static void collect_fds(struct msghdr *message, struct ipc_packet *packet)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg;
	     cmsg = CMSG_NXTHDR(message, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (packet->n_fds < IPC_FDS_MAX)
				packet->fds[packet->n_fds++] = fd;
			else
				close(fd);
		}
	}
}

/* Pages of its own: most packets are short, and what none has filled takes no memory. On the heap
 * all of it would be cleared. */
static uint8_t *new_buffer(void)
{
	void *p =
	        mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		BUG("out of memory");
	return p;
}

/* One packet into the channel's buffer. BUSY when nothing has arrived and flags say not to block.
 */
static struct status receive_packet(struct ipc_channel *channel, int flags,
                                    struct header *ret_header, struct ipc_packet *ret_packet)
{
	union {
		uint8_t bytes[CMSG_SPACE(sizeof(int) * (IPC_FDS_MAX + 4))];
		struct cmsghdr align;
	} control;
	if (!channel->buffer)
		channel->buffer = new_buffer();
	struct iovec part = {channel->buffer, BUFFER_SIZE};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	ssize_t n;
	do
		n = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return fail(ERR_BUSY, "nothing has arrived");
	if (n <= 0)
		return fail(ERR_CLOSED, "the other room is gone");

	struct ipc_packet packet = {.fds = {-1, -1, -1, -1}};
	collect_fds(&message, &packet);
	if ((size_t)n < sizeof(struct header) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		close_packet_fds(&packet);
		return fail(ERR_PROTOCOL, "malformed packet from another room");
	}
	memcpy(ret_header, channel->buffer, sizeof(*ret_header));
	if (ret_header->magic != MAGIC || ret_header->kind > KIND_REPLY ||
	    ret_header->reserved != 0) {
		close_packet_fds(&packet);
		return fail(ERR_PROTOCOL, "malformed packet from another room");
	}
	packet.id = ret_header->id;
	packet.cid = ret_header->cid;
	packet.payload = slice_of(channel->buffer + sizeof(struct header),
	                          (size_t)n - sizeof(struct header));
	*ret_packet = packet;
	return ok();
}

/* Called with the lock held. A reply nobody waits for (it timed out) is dropped. */
static void give_reply(struct ipc_channel *channel, struct ipc_packet *packet)
{
	for (struct ipc_wait *wait = channel->waits; wait; wait = wait->next) {
		if (wait->id != packet->id || wait->arrived)
			continue;
		uint8_t *memory = base_alloc(packet->payload.n);
		memcpy(memory, packet->payload.p, packet->payload.n);
		wait->reply = (struct ipc_reply){.packet = *packet, .memory = memory};
		wait->reply.packet.payload = slice_of(memory, packet->payload.n);
		wait->arrived = true;
		wait->status = ok();
		packet->n_fds = 0;
		pthread_cond_broadcast(&channel->changed);
		break;
	}
	close_packet_fds(packet);
}

/* Reads and hands out one packet. Called by the one reader, without the lock. */
static struct status read_one(struct ipc_channel *channel, int flags)
{
	struct header header;
	struct ipc_packet packet;
	TRY(receive_packet(channel, flags, &header, &packet));
	if (header.kind == KIND_REPLY) {
		pthread_mutex_lock(&channel->lock);
		give_reply(channel, &packet);
		pthread_mutex_unlock(&channel->lock);
		return ok();
	}
	if (!channel->options.on_request) {
		close_packet_fds(&packet);
		return fail(ERR_PROTOCOL, "request from a room that may make none");
	}
	channel->options.on_request(channel, &packet, channel->options.context);
	close_packet_fds(&packet);
	return ok();
}

static void become_closed(struct ipc_channel *channel)
{
	pthread_mutex_lock(&channel->lock);
	channel->closed = true;
	channel->reading = false;
	pthread_cond_broadcast(&channel->changed);
	pthread_mutex_unlock(&channel->lock);
	shutdown(channel->fd, SHUT_RDWR);
}

struct status ipc_channel_serve(struct ipc_channel *channel)
{
	pthread_mutex_lock(&channel->lock);
	while (channel->reading && !channel->closed)
		pthread_cond_wait(&channel->changed, &channel->lock);
	channel->reading = true;
	pthread_mutex_unlock(&channel->lock);
	struct status status;
	do
		status = read_one(channel, 0);
	while (is_ok(status));
	become_closed(channel);
	return status;
}

struct status ipc_channel_step(struct ipc_channel *channel)
{
	struct status status = read_one(channel, 0);
	if (!is_ok(status))
		become_closed(channel);
	return status;
}

struct status ipc_channel_pump(struct ipc_channel *channel)
{
	for (;;) {
		struct status status = read_one(channel, MSG_DONTWAIT);
		if (status.code == ERR_BUSY)
			return ok();
		if (!is_ok(status)) {
			become_closed(channel);
			return status;
		}
	}
}

/* ---- calling ---- */

static void forget_wait(struct ipc_channel *channel, struct ipc_wait *wait)
{
	for (struct ipc_wait **link = &channel->waits; *link; link = &(*link)->next) {
		if (*link == wait) {
			*link = wait->next;
			channel->n_waits--;
			return;
		}
	}
}

struct status ipc_call_start(struct ipc_channel *channel, uint64_t cid, struct slice payload,
                             const int *fds, size_t n_fds, struct ipc_wait *wait)
{
	*wait = (struct ipc_wait){0};
	pthread_mutex_lock(&channel->lock);
	if (channel->closed || channel->n_waits >= IPC_CALLS_MAX) {
		bool closed = channel->closed;
		pthread_mutex_unlock(&channel->lock);
		return closed ? fail(ERR_CLOSED, "the other room is gone")
		              : fail(ERR_BUSY, "too many requests wait for the other room");
	}
	wait->id = channel->next_id++;
	if (channel->next_id == 0)
		channel->next_id = 1;
	wait->next = channel->waits;
	channel->waits = wait;
	channel->n_waits++;
	pthread_mutex_unlock(&channel->lock);

	struct header header = {.magic = MAGIC, .id = wait->id, .cid = cid, .kind = KIND_REQUEST};
	struct status status = send_packet(channel, &header, payload, fds, n_fds);
	if (!is_ok(status)) {
		pthread_mutex_lock(&channel->lock);
		forget_wait(channel, wait);
		pthread_mutex_unlock(&channel->lock);
	}
	return status;
}

/* Reads for all until something arrived or the deadline passed. Lock held on entry and return. */
static void read_for_all(struct ipc_channel *channel, int64_t deadline)
{
	channel->reading = true;
	pthread_mutex_unlock(&channel->lock);
	struct status status = ok();
	struct pollfd input = {.fd = channel->fd, .events = POLLIN};
	int64_t left = deadline < 0 ? -1 : MAX(deadline - monotonic_ms(), 0);
	int n = 1;
	if (deadline >= 0)
		n = poll(&input, 1, (int)MIN(left, INT32_MAX));
	if (n > 0)
		status = read_one(channel, 0);
	if (!is_ok(status))
		become_closed(channel);
	pthread_mutex_lock(&channel->lock);
	channel->reading = false;
}

static void wait_for_reader(struct ipc_channel *channel, int64_t deadline)
{
	if (deadline < 0) {
		pthread_cond_wait(&channel->changed, &channel->lock);
		return;
	}
	struct timespec until = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
	pthread_cond_timedwait(&channel->changed, &channel->lock, &until);
}

struct status ipc_call_wait(struct ipc_channel *channel, struct ipc_wait *wait, int timeout_ms,
                            struct ipc_reply *ret_reply)
{
	int64_t deadline = timeout_ms < 0 ? -1 : monotonic_ms() + timeout_ms;
	struct status status = ok();
	pthread_mutex_lock(&channel->lock);
	while (!wait->arrived) {
		if (channel->closed) {
			status = fail(ERR_CLOSED, "the other room is gone");
			break;
		}
		if (deadline >= 0 && monotonic_ms() >= deadline) {
			status = fail(ERR_TIMEOUT, "the other room did not answer in time");
			break;
		}
		if (channel->reading)
			wait_for_reader(channel, deadline);
		else
			read_for_all(channel, deadline);
	}
	forget_wait(channel, wait);
	if (!channel->reading)
		pthread_cond_broadcast(&channel->changed); /* who waits, or serves, takes it over */
	pthread_mutex_unlock(&channel->lock);
	if (is_ok(status))
		*ret_reply = wait->reply;
	return status;
}

struct status ipc_call(struct ipc_channel *channel, uint64_t cid, struct slice payload,
                       const int *fds, size_t n_fds, int timeout_ms, struct ipc_reply *ret_reply)
{
	struct ipc_wait wait;
	TRY(ipc_call_start(channel, cid, payload, fds, n_fds, &wait));
	return ipc_call_wait(channel, &wait, timeout_ms, ret_reply);
}
