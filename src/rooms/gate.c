/* The gate's life: accepting connections, a thread each, within limits, until it stops.
 *
 * SECURITY. Talks to strangers (gate-mx), users (gate-login) and browsers (gate-web): every byte is
 * hostile. Holds open connections only: no private key, no password file, no mailbox. May accept on
 * inherited sockets, keep nameless spool files, ask the rooms of its row in the matrix. An intruder
 * gains the connections that pass while they are here: mail in transit (mx), or passwords of those
 * who log in meanwhile and logins to accounts with registered client keys or Unix users (login);
 * otherwise never stored mail, never keys, never the other gates.
 */
#include "rooms/gate.h"

#include "dns/cache.h"
#include "mailauth/dkim_key_cache.h"
#include "mailauth/dnsbl.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "rooms/gate_checks.h"
#include "rooms/reporter.h"
#include "tls/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#define SESSION_STACK         ((size_t)256 * 1024)
#define CERTIFICATES_EVERY_S  (6 * 3600)
#define CERTIFICATES_RETRY_MS 1000
#define STOP_WAIT_MS          8000

/* ---- listeners ---- */

static void unref_listener(struct gate_listener *listener)
{
	if (atomic_fetch_sub(&listener->references, 1) != 1)
		return;
	fd_close(&listener->fd);
	fd_close(&listener->stop_fd);
	base_free(listener->name);
	base_free(listener->address);
	base_free(listener);
}

const struct config_listener *gate_listener_config(const struct gate_connection *connection)
{
	const struct config_listeners *listeners = &connection->config->config->listeners;
	for (size_t i = 0; i < listeners->n; i++)
		if (slice_eq_str(config_slice(&listeners->v[i].name), connection->listener->name))
			return &listeners->v[i];
	return NULL;
}

/* ---- connections ---- */

static void end_connection(struct gate_connection *connection)
{
	struct gate *gate = connection->gate;
	gate_limits_release(gate->limits, &connection->config->config->limits, &connection->peer);
	fd_close(&connection->fd);
	room_config_unref(connection->config);
	unref_listener(connection->listener);
	base_free(connection);
	atomic_fetch_sub(&gate->n_connections, 1);
}

static bool is_submission(enum room_protocol protocol)
{
	return protocol == ROOM_PROTOCOL_SUBMISSION || protocol == ROOM_PROTOCOL_SUBMISSIONS ||
	       protocol == ROOM_PROTOCOL_SUBMIT;
}

/* True: stream and connection have gone to the relay. */
static bool serve_protocol(struct gate_connection *connection, struct tls_stream *stream)
{
	if (is_submission(connection->listener->protocol))
		return gate_submission_serve(connection, stream);
	if (connection->listener->protocol != ROOM_PROTOCOL_SMTP)
		return gate_login_serve(connection, stream);
	gate_mx_serve(connection, stream);
	return false;
}

static void serve_connection(void *context)
{
	struct gate_connection *connection = context;
	struct gate *gate = connection->gate;
	const struct config_listener *config = gate_listener_config(connection);
	struct tls_context *tls = config && config->tls.enabled ? gate_tls_get(gate) : NULL;
	struct tls_stream stream;
	tls_stream_init(&stream, TAKE_FD(connection->fd), tls);
	tls_context_unref(tls);
	struct status status = ok();
	stream.stream.write_timeout_ms = (int)connection->config->config->timeouts.write_ms;
	if (room_protocol_is_tls(connection->listener->protocol)) {
		stream.stream.timeout_ms =
		        (int)connection->config->config->timeouts.tls_handshake_ms;
		status = stream_start_tls(&stream.stream);
	}
	if (!is_ok(status))
		log_info(connection->cid, "TLS handshake failed",
		         LOG_STR("peer", connection->peer_text), LOG_STATUS(status));
	else if (!config && connection->listener->protocol != ROOM_PROTOCOL_SUBMIT)
		log_info(connection->cid, "listener was removed",
		         LOG_STR("peer", connection->peer_text));
	else if (serve_protocol(connection, &stream))
		return;
	tls_stream_done(&stream);
	end_connection(connection);
}

/* A client that is not served is told so, without waiting for it. */
static void refuse(enum room_protocol protocol, int fd)
{
	struct slice text =
	        protocol == ROOM_PROTOCOL_SMTP || is_submission(protocol)
	                ? SLICE("421 4.7.0 Too many connections, try again later\r\n")
	                : SLICE("* BYE [UNAVAILABLE] Too many connections, try again later\r\n");
	if (!room_protocol_is_tls(protocol))
		(void)socket_send_all(fd, text, 0);
	close(fd);
}

static void take_connection(struct gate_listener *listener, int fd, const struct os_address *peer)
{
	struct gate *gate = listener->gate;
	struct room_config *config = room_config_get(gate->room);
	const struct config_limits *limits = &config->config->limits;
	unsigned n_open = atomic_fetch_add(&gate->n_connections, 1);
	if (n_open >= limits->connections_total ||
	    !gate_limits_admit(gate->limits, limits, peer, clock_monotonic_ms(clock_real()))) {
		log_info(0, "connection refused: over a limit",
		         LOG_STR("protocol", room_protocol_name(listener->protocol)));
		atomic_fetch_sub(&gate->n_connections, 1);
		refuse(listener->protocol, fd);
		room_config_unref(config);
		return;
	}
	struct gate_connection *connection = base_alloc(sizeof(*connection));
	connection->gate = gate;
	connection->listener = listener;
	atomic_fetch_add(&listener->references, 1);
	connection->config = config;
	connection->fd = fd;
	connection->peer = *peer;
	os_address_print(peer, connection->peer_text);
	connection->cid = room_new_cid();
	snprintf(connection->cid_text, sizeof(connection->cid_text), "%" PRIx64, connection->cid);
	struct thread_options options = {.name = "session", .stack_size = SESSION_STACK};
	if (!is_ok(thread_start(&options, serve_connection, connection, NULL))) {
		refuse(listener->protocol, TAKE_FD(connection->fd));
		end_connection(connection);
	}
}

static void accept_all(struct gate_listener *listener)
{
	for (;;) {
		struct os_address peer;
		int fd;
		switch (socket_accept(listener->fd, &fd, &peer)) {
		case SOCKET_ACCEPTED:
			take_connection(listener, fd, &peer);
			break;
		case SOCKET_ACCEPT_AGAIN:
			return;
		case SOCKET_ACCEPT_EXHAUSTED:
			usleep(SOCKET_EXHAUSTED_PAUSE_MS * 1000);
			return;
		case SOCKET_ACCEPT_BROKEN:
			log_error(0, "listening socket is broken",
			          LOG_STR("address", listener->address));
			atomic_store(&listener->stopped, true);
			return;
		}
	}
}

static void run_listener(void *context)
{
	struct gate_listener *listener = context;
	struct pollfd events[2] = {{.fd = listener->fd, .events = POLLIN},
	                           {.fd = listener->stop_fd, .events = POLLIN}};
	while (!atomic_load(&listener->stopped)) {
		if (poll(events, 2, -1) < 0)
			continue;
		if (events[1].revents)
			break;
		accept_all(listener);
	}
	unref_listener(listener);
}

static void start_listener(struct gate_listener *listener)
{
	struct thread_options options = {.name = "listen"};
	atomic_fetch_add(&listener->references, 1);
	struct status status = thread_start(&options, run_listener, listener, NULL);
	if (!is_ok(status))
		room_give_up(status, "start a listening thread");
}

static bool is_same_socket(const struct gate_listener *listener, const Door__Listener *description)
{
	return listener->protocol == (enum room_protocol)description->protocol &&
	       listener->port == description->port &&
	       slice_eq_str(slice_str(listener->name), description->name) &&
	       slice_eq_str(slice_str(listener->address), description->address);
}

static void on_listen(struct room *room, const Door__Listener *description, int fd)
{
	struct gate *gate = room->state;
	if (description->protocol >= ROOM_PROTOCOL_COUNT || fd < 0) {
		fd_close(&fd);
		return;
	}
	for (struct gate_listener *l = gate->listeners; l; l = l->next) {
		if (is_same_socket(l, description)) { /* told again after a reload */
			fd_close(&fd);
			return;
		}
	}
	struct gate_listener *listener = base_alloc(sizeof(*listener));
	atomic_init(&listener->references, 1);
	listener->gate = gate;
	listener->protocol = (enum room_protocol)description->protocol;
	listener->name = base_strdup(description->name);
	listener->address = base_strdup(description->address);
	listener->port = (uint16_t)description->port;
	listener->fd = fd;
	listener->stop_fd = -1;
	if (!is_ok(eventfd_new(&listener->stop_fd)))
		room_give_up(fail(ERR_IO, "no eventfd"), "listen");
	listener->next = gate->listeners;
	gate->listeners = listener;
	if (gate->begun)
		start_listener(listener);
}

static void stop_listener(struct gate_listener *listener)
{
	atomic_store(&listener->stopped, true);
	eventfd_signal(listener->stop_fd);
	unref_listener(listener);
}

static void on_reconfigured(struct room *room, const Door__Config *message)
{
	struct gate *gate = room->state;
	for (struct gate_listener **link = &gate->listeners; *link;) {
		struct gate_listener *listener = *link;
		bool stays = false;
		for (size_t i = 0; i < message->n_listeners; i++)
			stays = stays || is_same_socket(listener, message->listeners[i]);
		if (stays) {
			link = &listener->next;
			continue;
		}
		*link = listener->next;
		stop_listener(listener);
	}
	if (gate->library)
		eventfd_signal(gate->certificates_fd);
}

/* ---- life ---- */

static struct status warm(struct room *room, struct sandbox_context *walls)
{
	struct gate *gate = room->state;
	char path[4096];
	struct os_fault fault = {0};
	gate->room = room;
	/* The web gate has nothing to listen on in this release: no TLS, no memory for it. */
	gate->library = room->id == IPC_ROOM_GATE_WEB ? NULL : tls_library_new();
	if (!gate->library && room->id != IPC_ROOM_GATE_WEB)
		return fail(ERR_TLS, "OpenSSL cannot be set up");
	snprintf(path, sizeof(path), "%s/spool", room->start->data_directory);
	return file_open_dir(AT_FDCWD, path, &walls->own_dir, &fault);
}

static void on_relay_ended(void *context, void *owner, const struct tls_relay_result *result)
{
	struct gate_connection *connection = owner;
	(void)context;
	log_debug(connection->cid, "relayed connection ended",
	          LOG_UINT("from_client", result->n_from_client),
	          LOG_UINT("to_client", result->n_to_client), LOG_STATUS(result->status));
	end_connection(connection);
}

static void run_relay(void *context)
{
	struct gate *gate = context;
	struct status status = tls_relay_run(gate->relay);
	if (!is_ok(status))
		room_give_up(status, "relay");
}

static struct status start_relay(struct gate *gate)
{
	TRY(tls_relay_new(&(struct tls_relay_options){.ended = on_relay_ended, .context = gate},
	                  &gate->relay));
	struct thread_options options = {.name = "relay", .stack_size = SESSION_STACK};
	return thread_start(&options, run_relay, gate, NULL);
}

static struct login_limiter *make_login_limiter(struct room *room)
{
	struct room_config *config = room_config_get(room);
	const struct config_limits *limits = &config->config->limits;
	const struct config_rate *minute = &limits->failed_logins_per_minute;
	const struct config_rate *day = &limits->failed_logins_per_day;
	struct login_limiter_options options = {
	        .clock = clock_real(),
	        .key = room->peers_key,
	        .limits = {.per_minute = {minute->per_ip, minute->per_subnet, minute->per_network},
	                   .per_day = {day->per_ip, day->per_subnet, day->per_network}},
	        .exempt_loopback = !limits->rate_limits_on_loopback,
	};
	room_config_unref(config);
	return login_limiter_new(&options);
}

/* Certificates are asked for now and then, since the vault renews its self-signed ones by itself,
 * and after each reload, again and again while the vault, which may start anew with the config,
 * does not answer. Not on the supervisor's thread: that is the one that makes introductions. */
static void follow_certificates(void *context)
{
	struct gate *gate = context;
	int wait_ms = CERTIFICATES_EVERY_S * 1000;
	for (;;) {
		struct pollfd wake = {.fd = gate->certificates_fd, .events = POLLIN};
		(void)poll(&wake, 1, wait_ms);
		(void)eventfd_drain(gate->certificates_fd);
		wait_ms = is_ok(gate_tls_load(gate)) ? CERTIFICATES_EVERY_S * 1000
		                                     : CERTIFICATES_RETRY_MS;
	}
}

static void begin_mx(struct gate *gate)
{
	struct hash_key key;
	room_random(&key, sizeof(key));
	gate->rates = gate_rates_new();
	gate->checkers = base_alloc(sizeof(*gate->checkers));
	gate_check_runner_init(gate->checkers);
	gate->dns_cache = dns_cache_new(DNS_CACHE_SIZE_DEFAULT, key, clock_real());
	gate->dkim_keys = dkim_key_cache_new();
	gate->reporter = reporter_new(&(struct reporter_options){.key = key,
	                                                         .clock = clock_real(),
	                                                         .send = reporter_send_to_steward,
	                                                         .context = gate->room});
	gate->lists = dnsbl_state_new(clock_real());
}

static struct status begin(struct room *room)
{
	struct gate *gate = room->state;
	gate->limits = gate_limits_new();
	if (room->id == IPC_ROOM_GATE_MX)
		begin_mx(gate);
	TRY(eventfd_new(&gate->stop_fd));
	gate->login_limiter = make_login_limiter(room);
	if (room->id == IPC_ROOM_GATE_LOGIN)
		TRY(start_relay(gate));
	if (gate->library)
		TRY(eventfd_new(&gate->certificates_fd));
	if (gate->library && !is_ok(gate_tls_load(gate)))
		eventfd_signal(
		        gate->certificates_fd); /* logged; without TLS there is no STARTTLS */
	if (gate->library) {
		struct thread_options options = {.name = "certificates"};
		TRY(thread_start(&options, follow_certificates, gate, NULL));
	}
	gate->begun = true;
	for (struct gate_listener *l = gate->listeners; l; l = l->next)
		start_listener(l);
	return ok();
}

/* No new connections; those under way are told and get a moment to finish what they are at. */
static void stop(struct room *room)
{
	struct gate *gate = room->state;
	struct deadline deadline = deadline_in(STOP_WAIT_MS);
	while (gate->listeners) {
		struct gate_listener *listener = gate->listeners;
		gate->listeners = listener->next;
		stop_listener(listener);
	}
	eventfd_signal(gate->stop_fd);
	while (atomic_load(&gate->n_connections) > 0 && !deadline_passed(deadline))
		usleep(10000);
}

int main(int argc, char **argv)
{
	struct gate *gate = base_alloc(sizeof(*gate));
	static const struct room_ops ops = {
	        .warm = warm,
	        .begin = begin,
	        .listen = on_listen,
	        .reconfigured = on_reconfigured,
	        .stop = stop,
	};
	gate->stop_fd = gate->certificates_fd = -1;
	pthread_mutex_init(&gate->lock, NULL);
	return room_main(argc, argv, SANDBOX_GATE, &ops, gate);
}
