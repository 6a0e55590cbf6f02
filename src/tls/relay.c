/* An epoll loop, edge-triggered: what a descriptor last allowed is remembered, so that nothing is
 * registered anew while bytes flow, and a side that is not wanted right now costs no events.
 *
 * Each direction is a `struct flow`: from one end to the other, with at most one piece of pending
 * bytes (allocated only while the receiver does not take them; its sender is not read meanwhile).
 * One large buffer of the loop serves all reads. After a fixed amount of work a connection goes to
 * the end of the queue, so that a fast one does not starve the others.
 *
 * Threads: `add`, `stop` and `count` touch only what the lock or an atomic guards; all else belongs
 * to the thread in `run`.
 */
#include "tls/relay.h"

#include "tls/connection_private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#define SCRATCH_SIZE   ((size_t)64 * 1024)
#define EVENTS         256
#define STEPS_PER_TURN 16 /* reads of one connection before the next one's turn */

enum side {
	CLIENT,
	PEER,
};

/* One descriptor of a connection. */
struct end {
	struct connection *connection;
	int fd;
	SSL *ssl;                /* client only; NULL in clear */
	bool readable, writable; /* what epoll or the last call said */
};

/* Bytes from `from` to the other end. */
struct flow {
	uint8_t *pending; /* NULL when there is none */
	size_t n_pending, at;
	bool ended;  /* the sender said so; pending bytes are still to be sent */
	bool closed; /* and the receiver was told */
	uint64_t n_total;
};

struct connection {
	struct end ends[2];
	struct flow flows[2]; /* by sender */
	struct tls_context *context;
	void *owner;
	struct status status;
	bool over;
	bool room_gone;          /* sends no more; what it sent may still be under way */
	bool queued;             /* in the ready queue */
	struct connection *next; /* in the inbox or the ready queue */
	struct connection *linger_next, *linger_previous;
	int64_t linger_until_ms; /* 0: not lingering */
	struct connection *all_next, *all_previous;
};

struct list {
	struct connection *first, *last;
};

struct tls_relay {
	struct tls_relay_options options;
	int epoll_fd, wake_fd;
	atomic_bool stopped;
	atomic_size_t n_connections;
	pthread_mutex_t lock; /* guards inbox */
	struct list inbox;    /* handed over, not yet registered */
	struct list ready;    /* have work to do */
	struct connection *all;
	struct connection *linger_first, *linger_last; /* by deadline */
	uint8_t *scratch;
};

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void push(struct list *list, struct connection *c)
{
	c->next = NULL;
	if (list->last)
		list->last->next = c;
	else
		list->first = c;
	list->last = c;
}

static struct connection *pop(struct list *list)
{
	struct connection *c = list->first;
	if (c) {
		list->first = c->next;
		if (!list->first)
			list->last = NULL;
	}
	return c;
}

static void make_ready(struct tls_relay *relay, struct connection *c)
{
	if (!c->queued)
		push(&relay->ready, c);
	c->queued = true;
}

/* --- lingering: the room has closed, the client takes what is left or is dropped --- */

static void linger_stop(struct tls_relay *relay, struct connection *c)
{
	if (c->linger_until_ms == 0)
		return;
	*(c->linger_previous ? &c->linger_previous->linger_next : &relay->linger_first) =
	        c->linger_next;
	*(c->linger_next ? &c->linger_next->linger_previous : &relay->linger_last) =
	        c->linger_previous;
	c->linger_until_ms = 0;
}

/* From now on anew; all wait equally long, so the list stays in order. */
static void linger_start(struct tls_relay *relay, struct connection *c)
{
	linger_stop(relay, c);
	c->linger_until_ms = now_ms() + relay->options.linger_ms;
	c->linger_next = NULL;
	c->linger_previous = relay->linger_last;
	*(relay->linger_last ? &relay->linger_last->linger_next : &relay->linger_first) = c;
	relay->linger_last = c;
}

static int wait_ms(const struct tls_relay *relay)
{
	if (relay->ready.first)
		return 0;
	if (!relay->linger_first)
		return -1;
	int64_t left = relay->linger_first->linger_until_ms - now_ms();
	return left < 0 ? 0 : (int)MIN(left + 1, (int64_t)INT32_MAX);
}

/* --- moving bytes --- */

static void fail_connection(struct connection *c, struct status why)
{
	if (is_ok(c->status))
		c->status = why;
	c->over = true;
}

/* What a step of libssl or the kernel asks for becomes the end's state. */
static void note_wait(struct end *end, enum tls_io io)
{
	if (io == TLS_IO_WANT_READ)
		end->readable = false;
	if (io == TLS_IO_WANT_WRITE)
		end->writable = false;
}

/* Writes what the end takes; returns how much, SIZE_MAX when the connection is over. */
static size_t write_some(struct connection *c, struct end *end, struct slice bytes)
{
	size_t done = 0;
	while (done < bytes.n && end->writable) {
		size_t n = 0;
		struct status why;
		enum tls_io io =
		        tls_connection_write(end->ssl, end->fd, slice_from(bytes, done), &n, &why);
		if (io == TLS_IO_DONE) {
			done += n;
			continue;
		}
		note_wait(end, io);
		if (io == TLS_IO_FAILED || io == TLS_IO_END) {
			fail_connection(c, io == TLS_IO_FAILED
			                           ? why
			                           : fail(ERR_CLOSED, "receiver has closed"));
			return SIZE_MAX;
		}
		if (io == TLS_IO_WANT_READ)
			break; /* only during a key update; goes on when input comes */
	}
	return done;
}

static void keep_pending(struct flow *flow, struct slice rest)
{
	flow->pending = base_alloc(rest.n);
	memcpy(flow->pending, rest.p, rest.n);
	flow->n_pending = rest.n;
	flow->at = 0;
}

static void drop_pending(struct flow *flow)
{
	if (flow->pending)
		OPENSSL_cleanse(flow->pending, flow->n_pending);
	base_free(flow->pending);
	flow->pending = NULL;
	flow->n_pending = 0;
	flow->at = 0;
}

/* True when something moved. */
static bool send_pending(struct connection *c, struct flow *flow, struct end *to)
{
	if (!flow->pending || !to->writable)
		return false;
	struct slice rest = slice_of(flow->pending + flow->at, flow->n_pending - flow->at);
	size_t n = write_some(c, to, rest);
	if (n == SIZE_MAX)
		return false;
	flow->at += n;
	if (flow->at == flow->n_pending)
		drop_pending(flow);
	return n > 0;
}

/* One read and what the receiver takes of it. True when something moved. */
static bool move_some(struct tls_relay *relay, struct connection *c, struct flow *flow,
                      struct end *from, struct end *to)
{
	size_t n = 0;
	struct status why;
	if (flow->pending || flow->ended || !from->readable)
		return false;
	enum tls_io io =
	        tls_connection_read(from->ssl, from->fd, relay->scratch, SCRATCH_SIZE, &n, &why);
	note_wait(from, io);
	switch (io) {
	case TLS_IO_DONE:
		break;
	case TLS_IO_END:
		flow->ended = true;
		c->room_gone |= from == &c->ends[PEER];
		return true;
	case TLS_IO_FAILED:
		/* Gone without goodbye, as many clients go: what it sent before still counts. */
		flow->ended = why.code == ERR_CLOSED;
		if (!flow->ended)
			fail_connection(c, why);
		return flow->ended;
	case TLS_IO_WANT_READ:
	case TLS_IO_WANT_WRITE:
		return false;
	}
	flow->n_total += n;
	struct slice bytes = slice_of(relay->scratch, n);
	size_t sent = write_some(c, to, bytes);
	if (sent < n)
		keep_pending(flow, slice_from(bytes, sent));
	return sent != SIZE_MAX;
}

/* Tells the receiver of the end of what it got. */
static void pass_end_on(struct tls_relay *relay, struct connection *c, enum side from)
{
	struct flow *flow = &c->flows[from];
	struct end *to = &c->ends[from == CLIENT ? PEER : CLIENT];
	if (!flow->ended || flow->pending || flow->closed || !to->writable)
		return;
	enum tls_io io = tls_connection_goodbye(to->ssl, to->fd);
	note_wait(to, io);
	if (io == TLS_IO_WANT_WRITE)
		return;
	flow->closed = true;
	if (from == PEER && !c->over)
		linger_start(relay, c);
}

/* As far as it goes within one turn. */
static void pump(struct tls_relay *relay, struct connection *c)
{
	struct end *client = &c->ends[CLIENT], *peer = &c->ends[PEER];
	bool moved = true;
	for (int steps = 0; moved && !c->over && steps < STEPS_PER_TURN; steps++) {
		moved = send_pending(c, &c->flows[CLIENT], peer);
		moved |= send_pending(c, &c->flows[PEER], client);
		if (!c->over)
			moved |= move_some(relay, c, &c->flows[CLIENT], client, peer);
		if (!c->over)
			moved |= move_some(relay, c, &c->flows[PEER], peer, client);
		/* What a room that has ended left behind waits for its client, not for ever. */
		if (c->room_gone && (moved || c->linger_until_ms == 0))
			linger_start(relay, c);
	}
	if (moved && !c->over)
		make_ready(relay, c);
	pass_end_on(relay, c, CLIENT);
	pass_end_on(relay, c, PEER);
	if (c->flows[CLIENT].closed && c->flows[PEER].closed)
		c->over = true;
}

/* --- life of a connection --- */

static void unlink_connection(struct tls_relay *relay, struct connection *c)
{
	linger_stop(relay, c);
	*(c->all_previous ? &c->all_previous->all_next : &relay->all) = c->all_next;
	if (c->all_next)
		c->all_next->all_previous = c->all_previous;
}

/* Frees what the connection holds; not in any list any more. */
static void end_connection(struct tls_relay *relay, struct connection *c)
{
	struct tls_relay_result result = {
	        .n_from_client = c->flows[CLIENT].n_total,
	        .n_to_client = c->flows[PEER].n_total,
	        .status = c->status,
	};
	SSL_free(c->ends[CLIENT].ssl);
	close(c->ends[CLIENT].fd);
	close(c->ends[PEER].fd);
	drop_pending(&c->flows[CLIENT]);
	drop_pending(&c->flows[PEER]);
	tls_context_unref(c->context);
	atomic_fetch_sub(&relay->n_connections, 1);
	if (relay->options.ended)
		relay->options.ended(relay->options.context, c->owner, &result);
	base_free(c);
}

static bool watch(struct tls_relay *relay, struct end *end)
{
	struct epoll_event event = {
	        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	        .data.ptr = end,
	};
	return epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, end->fd, &event) == 0;
}

static void begin_connection(struct tls_relay *relay, struct connection *c)
{
	c->all_next = relay->all;
	if (relay->all)
		relay->all->all_previous = c;
	relay->all = c;
	for (size_t i = 0; i < 2; i++) {
		/* Optimistic: the first attempt finds out. */
		c->ends[i].readable = c->ends[i].writable = true;
		if (!watch(relay, &c->ends[i]))
			fail_connection(c, fail_errno(errno, "cannot watch a connection"));
	}
	make_ready(relay, c);
}

static void take_inbox(struct tls_relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	struct list inbox = relay->inbox;
	relay->inbox = (struct list){NULL, NULL};
	pthread_mutex_unlock(&relay->lock);
	for (struct connection *c; (c = pop(&inbox));)
		begin_connection(relay, c);
}

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void tls_relay_add(struct tls_relay *relay, struct tls_stream *stream, int peer_fd, void *owner)
{
	struct connection *c = base_alloc(sizeof(*c));
	struct slice input = stream_buffered(&stream->stream);
	c->owner = owner;
	c->status = stream->broken;
	c->over = !is_ok(stream->broken);
	c->context = stream->context;
	c->ends[CLIENT] = (struct end){.connection = c, .fd = stream->fd, .ssl = stream->ssl};
	c->ends[PEER] = (struct end){.connection = c, .fd = peer_fd};
	if (input.n > 0)
		keep_pending(&c->flows[CLIENT], input);
	if (stream->stream.out.n > 0)
		keep_pending(&c->flows[PEER], buf_slice(&stream->stream.out));
	c->flows[CLIENT].n_total = input.n;
	c->flows[PEER].n_total = stream->stream.out.n;
	stream->fd = -1;
	stream->ssl = NULL;
	stream->context = NULL;
	tls_stream_done(stream);
	set_nonblocking(peer_fd);
	atomic_fetch_add(&relay->n_connections, 1);
	pthread_mutex_lock(&relay->lock);
	push(&relay->inbox, c);
	pthread_mutex_unlock(&relay->lock);
	eventfd_write(relay->wake_fd, 1);
}

/* --- the loop --- */

static void note_event(struct tls_relay *relay, const struct epoll_event *event)
{
	struct end *end = event->data.ptr;
	if (!end) {
		eventfd_t count;
		eventfd_read(relay->wake_fd, &count);
		return;
	}
	if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->readable = true;
	if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		end->writable = true;
	if (end == &end->connection->ends[PEER] && (event->events & (EPOLLRDHUP | EPOLLHUP)))
		end->connection->room_gone = true;
	make_ready(relay, end->connection);
}

static void serve_ready(struct tls_relay *relay)
{
	struct list ready = relay->ready;
	relay->ready = (struct list){NULL, NULL};
	for (struct connection *c; (c = pop(&ready));) {
		c->queued = false;
		if (!c->over)
			pump(relay, c);
		if (c->over) {
			unlink_connection(relay, c);
			end_connection(relay, c);
		}
	}
}

static void drop_lingering(struct tls_relay *relay)
{
	int64_t now = relay->linger_first ? now_ms() : 0;
	while (relay->linger_first && relay->linger_first->linger_until_ms <= now) {
		struct connection *c = relay->linger_first;
		linger_stop(relay, c);
		/* A client that only keeps its half open has nothing to complain of. */
		if (c->flows[PEER].closed)
			c->over = true;
		else
			fail_connection(c, fail(ERR_TIMEOUT, "client does not take its output"));
		make_ready(relay, c);
	}
}

static void drop_all(struct tls_relay *relay, bool goodbye)
{
	take_inbox(relay);
	while (relay->all) {
		struct connection *c = relay->all;
		if (goodbye && !c->over && !c->flows[PEER].closed && !c->flows[PEER].pending)
			tls_connection_goodbye(c->ends[CLIENT].ssl, c->ends[CLIENT].fd);
		if (is_ok(c->status))
			c->status = fail(ERR_CANCELED, "relay is ending");
		unlink_connection(relay, c);
		end_connection(relay, c);
	}
	relay->ready = (struct list){NULL, NULL};
}

struct status tls_relay_run(struct tls_relay *relay)
{
	struct epoll_event events[EVENTS];
	while (!atomic_load(&relay->stopped)) {
		int n = epoll_wait(relay->epoll_fd, events, EVENTS, wait_ms(relay));
		if (n < 0 && errno != EINTR)
			return fail_errno(errno, "cannot wait for connections");
		for (int i = 0; i < n; i++)
			note_event(relay, &events[i]);
		take_inbox(relay);
		drop_lingering(relay);
		serve_ready(relay);
	}
	drop_all(relay, true);
	return ok();
}

void tls_relay_stop(struct tls_relay *relay)
{
	atomic_store(&relay->stopped, true);
	eventfd_write(relay->wake_fd, 1);
}

size_t tls_relay_count(const struct tls_relay *relay)
{
	return atomic_load(&relay->n_connections);
}

struct status tls_relay_new(const struct tls_relay_options *options, struct tls_relay **ret_relay)
{
	struct tls_relay *relay = base_alloc(sizeof(*relay));
	relay->options = *options;
	if (relay->options.linger_ms == 0)
		relay->options.linger_ms = TLS_RELAY_LINGER_MS;
	pthread_mutex_init(&relay->lock, NULL);
	relay->scratch = base_alloc(SCRATCH_SIZE);
	relay->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	relay->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (relay->epoll_fd < 0 || relay->wake_fd < 0 ||
	    epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, relay->wake_fd, &event) != 0) {
		struct status status = fail_errno(errno, "cannot make an event loop");
		tls_relay_free(relay);
		return status;
	}
	*ret_relay = relay;
	return ok();
}

void tls_relay_free(struct tls_relay *relay)
{
	if (!relay)
		return;
	drop_all(relay, false);
	if (relay->epoll_fd >= 0)
		close(relay->epoll_fd);
	if (relay->wake_fd >= 0)
		close(relay->wake_fd);
	pthread_mutex_destroy(&relay->lock);
	OPENSSL_cleanse(relay->scratch, SCRATCH_SIZE);
	base_free(relay->scratch);
	base_free(relay);
}
