/* Sockets: listening, accepting, pairs, timed sending and receiving, and a stream on a plain
 * connected descriptor.
 *
 * All descriptors are close-on-exec from birth. Writing never raises SIGPIPE.
 */
#pragma once

#include "base/buf.h"
#include "base/stream.h"
#include "os/address.h"
#include "os/fault.h"

/* Who is at the other end, and at this one. */
struct os_address socket_peer(int fd); /* family NONE when it has none */
struct os_address socket_local(int fd);

struct socket_listen_options {
	int backlog;     /* 0: SOMAXCONN */
	bool reuse_port; /* several processes share the port (SO_REUSEPORT) */
	bool free_bind;  /* an address that the machine does not have yet (IP_FREEBIND) */
};
/* A listening, non-blocking TCP socket with SO_REUSEADDR; v6 sockets are v6 only. Port 0 lets the
 * kernel choose (ask socket_local). EXISTS when the port is taken, DENIED when it may not be bound.
 */
struct status socket_listen(const struct os_address *address,
                            const struct socket_listen_options *options, int *ret_fd,
                            struct os_fault *ret_fault);

/* What to do about a failed accept. */
enum socket_accept {
	SOCKET_ACCEPTED,
	SOCKET_ACCEPT_AGAIN,     /* nothing there now: poll and come back */
	SOCKET_ACCEPT_EXHAUSTED, /* out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM):
	                            stop polling the listener until a connection has ended or
	                            SOCKET_EXHAUSTED_PAUSE_MS have passed, else the loop spins;
	                            socket_refuse_one may be used meanwhile */
	SOCKET_ACCEPT_BROKEN,    /* the listener itself is unusable */
};
#define SOCKET_EXHAUSTED_PAUSE_MS 100
/* The accepted descriptor is blocking (a session is a thread) and has TCP_NODELAY. Connections that
 * died in the queue are skipped. *ret_fd and *ret_peer are set for ACCEPTED only. */
enum socket_accept socket_accept(int listener_fd, int *ret_fd, struct os_address *ret_peer);
/* Out of descriptors: gives up *reserve_fd (opened beforehand with socket_reserve), accepts one
 * connection, sends `goodbye`, closes it and takes the reserve again. Keeps the backlog from
 * filling with peers that wait for nothing. False when there was none. */
bool socket_refuse_one(int listener_fd, int *reserve_fd, struct slice goodbye);
struct status socket_reserve(int *ret_fd);

/* Starts no thread and resolves no name; blocks for at most timeout_ms. source may be NULL. */
struct status socket_connect(const struct os_address *address, const struct os_address *source,
                             int timeout_ms, int *ret_fd, struct os_fault *ret_fault);

/* A UDP socket that hears this peer only, from a port that the kernel chooses at random. Blocking:
 * use socket_receive, whose timeout counts. */
struct status socket_connect_udp(const struct os_address *address, int *ret_fd,
                                 struct os_fault *ret_fault);

#define SOCKET_CONNECT_MAX 32u /* addresses of one call */

struct socket_connect_options {
	int stagger_ms; /* the next address is begun after it, or when one has failed; 0: 250 ms, as
	                   RFC 8305 section 5 recommends */
	int each_ms;    /* for one address; 0: timeout_ms */
	int timeout_ms; /* for all together */
	int wake_fd;    /* CANCELED when it becomes readable; 0 or negative: none */
};

/* What became of one address. */
struct socket_connect_result {
	bool tried;
	int errno_value; /* 0: it is the one, or it was given up for another */
};

/* Connects to the first of several addresses that answers, tried in their order with a head start
 * for each (RFC 8305, without its lookups). ret_results may be NULL, else it has an entry for each.
 * On failure the fault is that of the last address that failed; LIMIT for more than
 * SOCKET_CONNECT_MAX, INVALID for none. The descriptor is as from socket_connect. */
struct status socket_connect_any(const struct os_address *addresses, size_t n,
                                 const struct socket_connect_options *options, int *ret_fd,
                                 size_t *ret_index, struct socket_connect_result *ret_results,
                                 struct os_fault *ret_fault);

struct status socket_pair_seqpacket(int ret_fds[2]);
struct status socket_pair_stream(int ret_fds[2]);

struct status socket_set_nodelay(int fd, bool on);
/* Send and receive buffers; the kernel may round and cap. */
struct status socket_set_buffers(int fd, int send_size, int receive_size);

/* Waits until the descriptor is readable / writable: TIMEOUT after timeout_ms (< 0: never). */
struct status socket_wait_readable(int fd, int timeout_ms);
struct status socket_wait_writable(int fd, int timeout_ms);
/* At least one byte; *ret_n == 0 at the peer's end. TIMEOUT after timeout_ms of nothing. */
struct status socket_receive(int fd, void *p, size_t n, int timeout_ms, size_t *ret_n);
/* All of it. TIMEOUT when no byte could be sent for timeout_ms. CLOSED when the peer is gone. */
struct status socket_send_all(int fd, struct slice bytes, int timeout_ms);

/* A struct stream on a connected stream socket or socket pair; start_tls is UNSUPPORTED. */
struct fd_stream {
	struct stream stream; /* first member: &s->stream is what a session gets */
	int fd;
};
void fd_stream_init(struct fd_stream *s, int fd); /* owns the descriptor from now on */
void fd_stream_done(struct fd_stream *s);         /* closes it; safe on a zeroed stream and twice */
/* Takes the descriptor out, to hand the connection over: flush first; what stream_buffered shows
 * has been read from it already and must travel along. */
int fd_stream_take_fd(struct fd_stream *s);
