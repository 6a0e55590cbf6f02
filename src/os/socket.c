/* Listening, accepting, connecting, timed I/O, and the stream on a plain descriptor.
 *
 * Timed I/O tries first and polls only when there is nothing, with MSG_DONTWAIT, so it works alike
 * on blocking and non-blocking descriptors. A timeout counts from the last progress, not from the
 * call.
 */
#include "os/socket.h"

#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

static int to_af(const struct os_address *address)
{
	return address->family == OS_FAMILY_V4 ? AF_INET : AF_INET6;
}

struct os_address socket_peer(int fd)
{
	struct sockaddr_storage sa;
	socklen_t size = sizeof(sa);
	if (getpeername(fd, (struct sockaddr *)&sa, &size) < 0)
		return (struct os_address){.family = OS_FAMILY_NONE};
	return os_address_from_sockaddr((struct sockaddr *)&sa, MIN(size, (socklen_t)sizeof(sa)));
}

struct os_address socket_local(int fd)
{
	struct sockaddr_storage sa;
	socklen_t size = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &size) < 0)
		return (struct os_address){.family = OS_FAMILY_NONE};
	return os_address_from_sockaddr((struct sockaddr *)&sa, MIN(size, (socklen_t)sizeof(sa)));
}

static struct status set_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) < 0)
		return fail_errno(errno, "cannot set a socket option");
	return ok();
}

static struct status set_listen_options(int fd, const struct os_address *address,
                                        const struct socket_listen_options *options)
{
	bool v6 = address->family == OS_FAMILY_V6;
	TRY(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1));
	if (v6)
		TRY(set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	if (options->reuse_port)
		TRY(set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1));
	if (options->free_bind)
		TRY(set_option(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND,
		               1));
	return ok();
}

static struct status bind_failed(int errno_value, const char *text, struct os_fault *ret_fault)
{
	struct status status = os_fail(ret_fault, errno_value, "cannot listen on", text);
	if (errno_value == EADDRINUSE)
		status.code = ERR_EXISTS;
	return status;
}

struct status socket_listen(const struct os_address *address,
                            const struct socket_listen_options *options, int *ret_fd,
                            struct os_fault *ret_fault)
{
	static const struct socket_listen_options defaults;
	struct sockaddr_storage sa;
	char text[OS_ADDRESS_TEXT_MAX];
	socklen_t size = os_address_to_sockaddr(address, &sa);
	if (!options)
		options = &defaults;
	os_address_print_port(address, text);
	if (size == 0)
		return os_refuse(ret_fault, ERR_INVALID, "no address to listen on", NULL);
	CLEANUP(fd_close)
	int fd = socket(to_af(address), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return os_fail(ret_fault, errno, "cannot create a socket for", text);
	if (!is_ok(set_listen_options(fd, address, options)))
		return os_fail(ret_fault, errno, "cannot set up the listener", text);
	if (bind(fd, (struct sockaddr *)&sa, size) < 0 ||
	    listen(fd, options->backlog > 0 ? options->backlog : SOMAXCONN) < 0)
		return bind_failed(errno, text, ret_fault);
	*ret_fd = TAKE_FD(fd);
	return ok();
}

/* accept(2): errors of the connection that waited come up through the listener and are skipped. */
static enum socket_accept accept_verdict(int errno_value)
{
	switch (errno_value) {
	case EAGAIN:
		return SOCKET_ACCEPT_AGAIN;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return SOCKET_ACCEPT_EXHAUSTED;
	case EINTR:
	case ECONNABORTED:
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM:                     /* a firewall rule */
		return SOCKET_ACCEPTED; /* meaning: try the next */
	default:
		return SOCKET_ACCEPT_BROKEN;
	}
}

enum socket_accept socket_accept(int listener_fd, int *ret_fd, struct os_address *ret_peer)
{
	for (;;) {
		struct sockaddr_storage sa;
		socklen_t size = sizeof(sa);
		int fd = accept4(listener_fd, (struct sockaddr *)&sa, &size, SOCK_CLOEXEC);
		if (fd >= 0) {
			/* Replies leave at once; failing to set it costs speed only. */
			(void)socket_set_nodelay(fd, true);
			*ret_fd = fd;
			*ret_peer = os_address_from_sockaddr((struct sockaddr *)&sa,
			                                     MIN(size, (socklen_t)sizeof(sa)));
			return SOCKET_ACCEPTED;
		}
		enum socket_accept verdict = accept_verdict(errno);
		if (verdict != SOCKET_ACCEPTED)
			return verdict;
	}
}

struct status socket_reserve(int *ret_fd)
{
	return eventfd_new(ret_fd); /* any descriptor will do, and this needs no file */
}

bool socket_refuse_one(int listener_fd, int *reserve_fd, struct slice goodbye)
{
	int fd = -1;
	struct os_address peer;
	fd_close(reserve_fd);
	bool accepted = socket_accept(listener_fd, &fd, &peer) == SOCKET_ACCEPTED;
	if (accepted) {
		(void)send(fd, goodbye.p, goodbye.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)shutdown(fd, SHUT_WR);
	}
	fd_close(&fd);
	(void)socket_reserve(reserve_fd);
	return accepted;
}

static struct status finish_connect(int fd, int timeout_ms, const char *text,
                                    struct os_fault *ret_fault)
{
	int error = 0;
	socklen_t size = sizeof(error);
	struct status waited = socket_wait_writable(fd, timeout_ms);
	if (!is_ok(waited))
		return os_fail(ret_fault, waited.code == ERR_TIMEOUT ? ETIMEDOUT : EIO,
		               "cannot connect to", text);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	return error ? os_fail(ret_fault, error, "cannot connect to", text) : ok();
}

static struct status bind_source(int fd, const struct os_address *source)
{
	struct sockaddr_storage sa;
	socklen_t size = os_address_to_sockaddr(source, &sa);
	if (size == 0 || bind(fd, (struct sockaddr *)&sa, size) < 0)
		return fail_errno(size == 0 ? EINVAL : errno, "cannot use the source address");
	return ok();
}

struct status socket_connect(const struct os_address *address, const struct os_address *source,
                             int timeout_ms, int *ret_fd, struct os_fault *ret_fault)
{
	struct sockaddr_storage sa;
	char text[OS_ADDRESS_TEXT_MAX];
	socklen_t size = os_address_to_sockaddr(address, &sa);
	os_address_print_port(address, text);
	if (size == 0)
		return os_refuse(ret_fault, ERR_INVALID, "no address to connect to", NULL);
	CLEANUP(fd_close)
	int fd = socket(to_af(address), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return os_fail(ret_fault, errno, "cannot create a socket for", text);
	if (source && !is_ok(bind_source(fd, source)))
		return os_fail(ret_fault, errno, "cannot use the source address for", text);
	if (connect(fd, (struct sockaddr *)&sa, size) < 0) {
		if (errno != EINPROGRESS && errno != EINTR)
			return os_fail(ret_fault, errno, "cannot connect to", text);
		TRY(finish_connect(fd, timeout_ms, text, ret_fault));
	}
	TRY(fd_set_nonblocking(fd, false));
	(void)socket_set_nodelay(fd, true);
	*ret_fd = TAKE_FD(fd);
	return ok();
}

struct status socket_connect_udp(const struct os_address *address, int *ret_fd,
                                 struct os_fault *ret_fault)
{
	struct sockaddr_storage sa;
	char text[OS_ADDRESS_TEXT_MAX];
	socklen_t size = os_address_to_sockaddr(address, &sa);
	os_address_print_port(address, text);
	if (size == 0)
		return os_refuse(ret_fault, ERR_INVALID, "no address to send to", NULL);
	CLEANUP(fd_close) int fd = socket(to_af(address), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return os_fail(ret_fault, errno, "cannot create a socket for", text);
	if (connect(fd, (struct sockaddr *)&sa, size) < 0)
		return os_fail(ret_fault, errno, "cannot reach", text);
	*ret_fd = TAKE_FD(fd);
	return ok();
}

static struct status make_pair(int type, int ret_fds[2])
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return fail_errno(errno, "cannot create a socket pair");
	return ok();
}

struct status socket_pair_seqpacket(int ret_fds[2])
{
	return make_pair(SOCK_SEQPACKET, ret_fds);
}

struct status socket_pair_stream(int ret_fds[2])
{
	return make_pair(SOCK_STREAM, ret_fds);
}

struct status socket_set_nodelay(int fd, bool on)
{
	return set_option(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

struct status socket_set_buffers(int fd, int send_size, int receive_size)
{
	TRY(set_option(fd, SOL_SOCKET, SO_SNDBUF, send_size));
	return set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_size);
}

/* Polls two descriptors (the second may be -1: poll ignores it) with a fixed end. */
static struct status poll_until(struct pollfd fds[2], struct deadline deadline)
{
	for (;;) {
		int n = poll(fds, 2, deadline_left_ms(deadline));
		if (n > 0)
			return ok();
		if (n == 0 && deadline_passed(deadline))
			return fail(ERR_TIMEOUT, "peer was silent for too long");
		if (n < 0 && errno != EINTR)
			return fail_errno(errno, "cannot wait for a socket");
	}
}

static struct status wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = -1}};
	TRY(poll_until(fds, deadline_in(timeout_ms)));
	return fds[0].revents & POLLNVAL ? fail(ERR_INVALID, "not an open descriptor") : ok();
}

struct status socket_wait_readable(int fd, int timeout_ms)
{
	return wait_for(fd, POLLIN, timeout_ms);
}

struct status socket_wait_writable(int fd, int timeout_ms)
{
	return wait_for(fd, POLLOUT, timeout_ms);
}

struct status socket_receive(int fd, void *p, size_t n, int timeout_ms, size_t *ret_n)
{
	for (;;) {
		ssize_t got = recv(fd, p, n, MSG_DONTWAIT);
		if (got >= 0) {
			*ret_n = (size_t)got;
			return ok();
		}
		if (errno == EAGAIN)
			TRY(socket_wait_readable(fd, timeout_ms));
		else if (errno != EINTR)
			return fail_errno(errno, "cannot receive");
	}
}

struct status socket_send_all(int fd, struct slice bytes, int timeout_ms)
{
	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			bytes = slice_from(bytes, (size_t)n);
		else if (errno == EAGAIN)
			TRY(socket_wait_writable(fd, timeout_ms));
		else if (errno != EINTR)
			return fail_errno(errno, "cannot send");
	}
	return ok();
}

static struct fd_stream *fd_stream_of(struct stream *s)
{
	return (struct fd_stream *)s;
}

static struct status fd_stream_read(struct stream *s, uint8_t *p, size_t n, int timeout_ms,
                                    size_t *ret_n)
{
	return socket_receive(fd_stream_of(s)->fd, p, n, timeout_ms, ret_n);
}

static struct status fd_stream_write(struct stream *s, struct slice bytes, int timeout_ms)
{
	return socket_send_all(fd_stream_of(s)->fd, bytes, timeout_ms);
}

/* A wake is told before input: it is rare, and input stays where it is. */
static struct status fd_stream_wait(struct stream *s, int wake_fd, int timeout_ms,
                                    enum stream_event *ret_event)
{
	struct pollfd fds[2] = {{.fd = fd_stream_of(s)->fd, .events = POLLIN},
	                        {.fd = wake_fd, .events = POLLIN}};
	struct status status = poll_until(fds, deadline_in(timeout_ms));
	if (status.code != ERR_OK && status.code != ERR_TIMEOUT)
		return status;
	if ((fds[0].revents | fds[1].revents) & POLLNVAL)
		return fail(ERR_INVALID, "not an open descriptor");
	if (status.code == ERR_TIMEOUT)
		*ret_event = STREAM_TIMEOUT;
	else
		*ret_event = fds[1].revents ? STREAM_WOKEN : STREAM_INPUT;
	return ok();
}

static struct status fd_stream_start_tls(struct stream *s, int timeout_ms)
{
	(void)s;
	(void)timeout_ms;
	return fail(ERR_UNSUPPORTED, "no TLS on a plain connection");
}

/* Tells the peer that no more will come; what it still sends can be read. */
static void fd_stream_shutdown(struct stream *s)
{
	(void)shutdown(fd_stream_of(s)->fd, SHUT_WR);
}

void fd_stream_init(struct fd_stream *s, int fd)
{
	static const struct stream_ops ops = {
	        .read = fd_stream_read,
	        .write = fd_stream_write,
	        .wait = fd_stream_wait,
	        .start_tls = fd_stream_start_tls,
	        .shutdown = fd_stream_shutdown,
	};
	stream_init(&s->stream, &ops);
	s->fd = fd;
}

void fd_stream_done(struct fd_stream *s)
{
	if (!s->stream.ops)
		return; /* zeroed, or done before */
	stream_done(&s->stream);
	fd_close(&s->fd);
	*s = (struct fd_stream){.fd = -1};
}

int fd_stream_take_fd(struct fd_stream *s)
{
	return TAKE_FD(s->fd);
}
