/* What it costs that no gate has a key: TLS handshakes a second at so many connections, with the key
 * in the process that shakes hands, and with the key in another, asked over a room's channel as gates
 * ask the vault. The clients live in a process of their own. Built on
 * demand (ninja src/rooms/isolation_bench); prints one figure a line. */
#include "ipc/door.h"
#include "tls/testing.h"
#include "vault.pb-c.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SECONDS_MS  2000
#define ROUNDS      5
#define REPLY_MAX   ((size_t)64 * 1024)
#define REQUEST_MAX ((size_t)64 * 1024)

/* ---- the key's process: as the vault does it (src/rooms/vault.c) ---- */

struct signing {
	struct tls_test_keys *keys;
	struct ipc_channel *channel;
	struct ipc_packet packet; /* id and cid only */
	struct arena arena;
	const Door__Sign *request;
};

static atomic_uint n_signers;

static void sign(struct signing *s)
{
	uint8_t signature[TLS_SIGNATURE_MAX];
	size_t n = 0;
	struct status status =
	        s->keys->signer.sign(s->keys->signer.context, door_bytes(s->request->key_id),
	                             (enum tls_sign_scheme)s->request->scheme,
	                             door_bytes(s->request->input), signature, sizeof(signature), &n);
	Door__Status text = DOOR__STATUS__INIT;
	Door__VaultReply reply = DOOR__VAULT_REPLY__INIT;
	text.code = status.code;
	reply.status = &text;
	reply.signature = door_binary(slice_of(signature, n));
	(void)door_answer(s->channel, &s->packet, &reply.base, NULL, 0);
	ipc_channel_unref(s->channel);
	arena_done(&s->arena);
	base_free(s);
}

static void *run_signing(void *argument)
{
	sign(argument);
	atomic_fetch_sub(&n_signers, 1);
	return NULL;
}

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct signing *s = base_alloc(sizeof(*s));
	pthread_t thread;
	s->keys = context;
	s->channel = ipc_channel_ref(channel);
	s->packet = (struct ipc_packet){.id = packet->id, .cid = packet->cid};
	arena_init(&s->arena, REQUEST_MAX);
	const Door__VaultRequest *request = (const Door__VaultRequest *)door_unpack(
	        &door__vault_request__descriptor, packet->payload, &s->arena);
	if (!request || request->body_case != DOOR__VAULT_REQUEST__BODY_SIGN)
		BUG("another request");
	s->request = request->sign;
	if (tls_sign_scheme_is_slow(s->request->scheme) && atomic_fetch_add(&n_signers, 1) < 4 &&
	    pthread_create(&thread, NULL, run_signing, s) == 0) {
		pthread_detach(thread);
		return;
	}
	if (tls_sign_scheme_is_slow(s->request->scheme))
		atomic_fetch_sub(&n_signers, 1);
	sign(s);
}

NORETURN static void be_vault(struct tls_test_keys *keys, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct ipc_channel *channel = ipc_channel_new(
	        fd, &(struct ipc_channel_options){.on_request = on_request, .context = keys});
	(void)ipc_channel_serve(channel);
	_exit(0);
}

static struct status sign_elsewhere(void *context, struct slice key_id, enum tls_sign_scheme scheme,
                                    struct slice input, uint8_t *signature, size_t max,
                                    size_t *ret_n)
{
	Door__Sign sign = DOOR__SIGN__INIT;
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	struct arena arena;
	ProtobufCMessage *message = NULL;
	sign.key_id = door_binary(key_id);
	sign.scheme = scheme;
	sign.input = door_binary(input);
	request.body_case = DOOR__VAULT_REQUEST__BODY_SIGN;
	request.sign = &sign;
	arena_init(&arena, REPLY_MAX);
	struct status status = door_call(context, 0, &request.base, NULL, 0, 20000,
	                                 &door__vault_reply__descriptor, &arena, &message, NULL);
	const Door__VaultReply *reply = (const Door__VaultReply *)message;
	if (is_ok(status) && (reply->status->code != ERR_OK || reply->signature.len > max))
		status = fail(ERR_TLS, "not signed");
	if (is_ok(status)) {
		memcpy(signature, reply->signature.data, reply->signature.len);
		*ret_n = reply->signature.len;
	}
	arena_done(&arena);
	return status;
}

/* ---- clients ---- */

/* One handshake after the other on each socket that the server's thread hands it. */
struct client {
	int control; /* descriptors come by it */
	pthread_t thread;
};

static int receive_fd(int control)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov,
	                         .msg_iovlen = 1,
	                         .msg_control = space,
	                         .msg_controllen = sizeof(space)};
	int fd = -1;
	if (recvmsg(control, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void send_fd(int control, int fd)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov,
	                         .msg_iovlen = 1,
	                         .msg_control = space,
	                         .msg_controllen = sizeof(space)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (sendmsg(control, &message, MSG_NOSIGNAL) != 1)
		BUG("no client");
}

static void *run_client(void *argument)
{
	const struct client *client = argument;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	for (int fd; (fd = receive_fd(client->control)) >= 0;) {
		char byte;
		SSL *ssl = SSL_new(context);
		SSL_set_fd(ssl, fd);
		if (SSL_connect(ssl) != 1)
			BUG("no handshake");
		(void)SSL_read(ssl, &byte, 1);
		SSL_free(ssl);
		close(fd);
	}
	SSL_CTX_free(context);
	return NULL;
}

NORETURN static void be_clients(struct client *clients, size_t n)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) != 0)
			BUG("no thread");
	for (size_t i = 0; i < n; i++)
		pthread_join(clients[i].thread, NULL);
	_exit(0);
}

/* ---- the server ---- */

struct server {
	struct tls_context *context;
	int control;
	pthread_t thread;
	size_t n;
};

static atomic_bool is_over;

static void *run_server(void *argument)
{
	struct server *server = argument;
	while (!is_over) {
		int fds[2];
		struct tls_stream t;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
			BUG("no sockets");
		send_fd(server->control, fds[1]);
		close(fds[1]);
		tls_stream_init(&t, fds[0], server->context);
		if (!is_ok(stream_start_tls(&t.stream)))
			BUG("no handshake");
		server->n++;
		stream_shutdown(&t.stream);
		tls_stream_done(&t);
	}
	close(server->control);
	return NULL;
}

/* Everything is made anew for each measurement: a child must not share threads. */
static double measure(enum tls_key_type type, size_t n, bool isolated)
{
	struct tls_test_keys keys;
	struct server *servers = base_alloc(n * sizeof(*servers));
	struct client *clients = base_alloc(n * sizeof(*clients));
	struct ipc_channel *channel = NULL;
	struct arena arena;
	int pair[2], ends[2];
	pid_t vault = -1;
	arena_init(&arena, (size_t)MIB);
	struct tls_library *library = tls_library_new();
	tls_test_keys_init(&keys);
	tls_test_keys_add(&keys, 0, type, "mail.example.org");
	struct tls_signer signer = keys.signer;
	for (size_t i = 0; i < n; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
			BUG("no sockets");
		servers[i] = (struct server){.control = ends[0]};
		clients[i] = (struct client){.control = ends[1]};
	}
	pid_t others = fork();
	if (others == 0) {
		for (size_t i = 0; i < n; i++)
			close(servers[i].control);
		be_clients(clients, n);
	}
	for (size_t i = 0; i < n; i++)
		close(clients[i].control);
	if (isolated) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
			BUG("no sockets");
		vault = fork();
		if (vault == 0) {
			for (size_t i = 0; i < n; i++)
				close(servers[i].control);
			close(pair[0]);
			be_vault(&keys, pair[1]);
		}
		close(pair[1]);
		channel = ipc_channel_new(pair[0], &(struct ipc_channel_options){0});
		signer = (struct tls_signer){.sign = sign_elsewhere, .context = channel};
	}
	const struct tls_site_certificate certificate = {slice_str(keys.pems[0]),
	                                                 tls_test_key_id(0)};
	const struct tls_site site = {
	        .label = "site", .certificates = &certificate, .n_certificates = 1};
	struct tls_context *context;
	if (!is_ok(tls_context_new(library,
	                           &(struct tls_context_options){.sites = &site,
	                                                         .n_sites = 1,
	                                                         .signer = &signer,
	                                                         .clock = &tls_test_clock},
	                           &context, &arena)))
		BUG("no context");
	is_over = false;
	int64_t begin = clock_monotonic_ms(&tls_test_clock);
	for (size_t i = 0; i < n; i++) {
		servers[i].context = context;
		if (pthread_create(&servers[i].thread, NULL, run_server, &servers[i]) != 0)
			BUG("no thread");
	}
	usleep(SECONDS_MS * 1000);
	is_over = true;
	size_t total = 0;
	for (size_t i = 0; i < n; i++) {
		pthread_join(servers[i].thread, NULL);
		total += servers[i].n;
	}
	int64_t spent = clock_monotonic_ms(&tls_test_clock) - begin;
	waitpid(others, NULL, 0);
	if (isolated) {
		kill(vault, SIGKILL);
		waitpid(vault, NULL, 0);
		ipc_channel_unref(channel);
	}
	tls_context_unref(context);
	tls_test_keys_done(&keys);
	tls_library_free(library);
	arena_done(&arena);
	base_free(servers);
	base_free(clients);
	return (double)total * 1000 / (double)spent;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* By turns, so that what else the machine does meets both. */
static void compare(enum tls_key_type type, size_t n)
{
	double here[ROUNDS], elsewhere[ROUNDS];
	for (size_t i = 0; i < ROUNDS; i++) {
		here[i] = measure(type, n, false);
		elsewhere[i] = measure(type, n, true);
	}
	qsort(here, ROUNDS, sizeof(*here), by_size);
	qsort(elsewhere, ROUNDS, sizeof(*elsewhere), by_size);
	printf("%s, %zu connections: %.0f handshakes a second with the key here, %.0f with the key "
	       "elsewhere: %.1f %% lost\n",
	       tls_key_type_name(type), n, here[ROUNDS / 2], elsewhere[ROUNDS / 2],
	       (1 - elsewhere[ROUNDS / 2] / here[ROUNDS / 2]) * 100);
	fflush(stdout);
}

/* isolation_bench [CONNECTIONS] */
int main(int argc, char **argv)
{
	static const uint32_t usual[] = {1, 10, 50};
	uint32_t wanted = 0;
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && !slice_to_u32(slice_str(argv[1]), 1000, &wanted))
		BUG("a number of connections is wanted");
	for (size_t i = 0; i < N_ELEMENTS(usual); i++) {
		if (wanted != 0 && wanted != usual[i])
			continue;
		compare(TLS_KEY_EC_P256, usual[i]);
		compare(TLS_KEY_RSA_2048, usual[i]);
	}
	return 0;
}
