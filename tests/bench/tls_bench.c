/* Figures of TLS on this machine: handshakes through the signer, memory of idle connections, bytes
 * per second through the relay. Built on demand (ninja src/tls/tls_bench); prints one figure a
 * line. */
#include "tls/relay.h"
#include "tls/testing.h"

#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define SECONDS_MS 1500
#define IDLE       1000
#define RELAYED    ((size_t)256 * 1024 * 1024)

struct bench {
	struct tls_library *library;
	struct tls_test_keys keys;
	struct tls_context *context;
	struct arena arena;
};

static double cpu_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int64_t now_ms(void)
{
	return clock_monotonic_ms(&tls_test_clock);
}

static void set_up(struct bench *b, enum tls_key_type type, unsigned ticket_key_s)
{
	*b = (struct bench){.context = NULL};
	arena_init(&b->arena, (size_t)MIB);
	b->library = tls_library_new();
	tls_test_keys_init(&b->keys);
	tls_test_keys_add(&b->keys, 0, type, "mail.example.org");
	const struct tls_site_certificate certificate = {slice_str(b->keys.pems[0]),
	                                                 tls_test_key_id(0)};
	const struct tls_site site = {
	        .label = "site", .certificates = &certificate, .n_certificates = 1};
	const struct tls_context_options options = {.sites = &site,
	                                            .n_sites = 1,
	                                            .signer = &b->keys.signer,
	                                            .clock = &tls_test_clock,
	                                            .ticket_key_s = ticket_key_s};
	if (!is_ok(tls_context_new(b->library, &options, &b->context, &b->arena)))
		BUG("no context");
}

static void tear_down(struct bench *b)
{
	tls_context_unref(b->context);
	tls_test_keys_done(&b->keys);
	tls_library_free(b->library);
	arena_done(&b->arena);
}

static void measure_signatures(enum tls_key_type type, enum tls_sign_scheme scheme)
{
	struct bench b;
	uint8_t text[130] = {0}, signature[TLS_SIGNATURE_MAX];
	size_t n = 0, count = 0;
	set_up(&b, type, 0);
	int64_t until = now_ms() + SECONDS_MS;
	double before = cpu_s();
	for (; now_ms() < until; count++)
		b.keys.signer.sign(b.keys.signer.context, tls_test_key_id(0), scheme,
		                   slice_of(text, sizeof(text)), signature, sizeof(signature), &n);
	printf("signatures %s: %.0f per CPU second\n", tls_key_type_name(type),
	       (double)count / (cpu_s() - before));
	tear_down(&b);
}

static void handshake_once(struct bench *b, struct tls_test_client *c)
{
	int fds[2];
	struct tls_stream t;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		BUG("no sockets");
	c->fd = fds[1];
	tls_test_client_start(c);
	tls_stream_init(&t, fds[0], b->context);
	if (!is_ok(stream_start_tls(&t.stream)))
		BUG("no handshake");
	stream_shutdown(&t.stream);
	tls_stream_done(&t);
	tls_test_client_join(c);
}

static void measure_handshakes(enum tls_key_type type, int version, bool resume)
{
	struct bench b;
	struct tls_test_client c = {.version = version, .keep_session = resume};
	size_t count = 0;
	set_up(&b, type, resume ? 3600 : 0);
	handshake_once(&b, &c);
	int64_t until = now_ms() + SECONDS_MS;
	double before = cpu_s();
	for (; now_ms() < until; count++)
		handshake_once(&b, &c);
	printf("handshakes %s TLS1.%d%s: %.2f ms CPU each on the server's side\n",
	       tls_key_type_name(type), version == TLS1_2_VERSION ? 2 : 3, resume ? " resumed" : "",
	       (cpu_s() - before) * 1000 / (double)count);
	tls_test_client_done(&c);
	tear_down(&b);
}

/* --- idle connections: the server's memory alone, so the clients live in a child --- */

static void *run_relay(void *p)
{
	if (!is_ok(tls_relay_run(p)))
		BUG("no relay");
	return NULL;
}

static size_t heap_in_use(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static size_t resident(void)
{
	size_t size = 0, pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	char text[128] = "";
	if (file && fgets(text, sizeof(text), file)) {
		struct slice head, tail;
		uint64_t value;
		slice_cut(slice_str(text), ' ', &head, &tail);
		slice_cut(tail, ' ', &head, &tail);
		if (slice_to_u64(head, UINT64_MAX, &value))
			pages = (size_t)value;
	}
	if (file)
		fclose(file);
	size = pages * (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

/* In the child: plain libssl clients that shake hands, read a line and stay. */
static void be_clients(const int *fds, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL *all[IDLE];
	for (size_t i = 0; i < IDLE; i++) {
		char text[16];
		all[i] = SSL_new(ctx);
		SSL_set_fd(all[i], fds[i]);
		if (SSL_connect(all[i]) != 1 || SSL_read(all[i], text, sizeof(text)) <= 0)
			_exit(1);
	}
	poll(NULL, 0, 60000);
	_exit(0);
}

static void open_idle(struct bench *b, struct tls_relay *relay, const int *server, int version,
                      int *peers)
{
	for (size_t i = 0; i < IDLE; i++) {
		struct tls_stream t;
		int inside[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, inside) != 0)
			BUG("no sockets");
		tls_stream_init(&t, server[i], b->context);
		if (version != 0 && !is_ok(stream_start_tls(&t.stream)))
			BUG("no handshake");
		if (!is_ok(stream_printf(&t.stream, "* OK ready\r\n")) ||
		    !is_ok(stream_flush(&t.stream)))
			BUG("no greeting");
		peers[i] = inside[1];
		tls_relay_add(relay, &t, inside[0], NULL);
	}
}

static void measure_idle(int version)
{
	struct bench b;
	struct tls_relay *relay;
	const struct tls_relay_options options = {.ended = NULL};
	pthread_t thread;
	static int server[IDLE], client[IDLE], peers[IDLE];
	for (size_t i = 0; i < IDLE; i++) {
		int fds[2];
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
			BUG("no sockets");
		server[i] = fds[0];
		client[i] = fds[1];
	}
	set_up(&b, TLS_KEY_EC_P256, 0);
	pid_t child = version == 0 ? 0 : fork();
	if (version != 0 && child == 0)
		be_clients(client, version);
	if (!is_ok(tls_relay_new(&options, &relay)) ||
	    pthread_create(&thread, NULL, run_relay, relay) != 0)
		BUG("no relay");
	size_t heap = heap_in_use(), rss = resident();
	open_idle(&b, relay, server, version, peers);
	poll(NULL, 0, 300);
	printf("idle connection %s: %zu bytes of heap, %zu bytes resident\n",
	       version == 0                ? "in clear"
	       : version == TLS1_2_VERSION ? "TLS1.2"
	                                   : "TLS1.3",
	       (heap_in_use() - heap) / IDLE, (resident() - rss) / IDLE);
	if (child > 0)
		kill(child, SIGKILL);
	tls_relay_stop(relay);
	pthread_join(thread, NULL);
	tls_relay_free(relay);
	for (size_t i = 0; i < IDLE; i++) {
		close(peers[i]);
		close(client[i]);
	}
	tear_down(&b);
}

/* --- throughput --- */

static void *drain(void *p)
{
	static char bytes[65536];
	int fd = *(int *)p;
	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	return NULL;
}

static void measure_relay(void)
{
	struct bench b;
	struct tls_relay *relay;
	const struct tls_relay_options options = {.ended = NULL};
	int outside[2], inside[2];
	pthread_t thread, reader;
	struct tls_stream t;
	static uint8_t bytes[65536];
	set_up(&b, TLS_KEY_EC_P256, 0);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, outside) != 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, inside) != 0 ||
	    !is_ok(tls_relay_new(&options, &relay)) ||
	    pthread_create(&thread, NULL, run_relay, relay) != 0 ||
	    pthread_create(&reader, NULL, drain, &outside[1]) != 0)
		BUG("no relay");
	tls_stream_init(&t, outside[0], NULL);
	tls_relay_add(relay, &t, inside[0], NULL);
	int64_t before = now_ms();
	for (size_t sent = 0; sent < RELAYED;) {
		ssize_t n = send(inside[1], bytes, sizeof(bytes), 0);
		if (n <= 0)
			BUG("relay broke");
		sent += (size_t)n;
	}
	close(inside[1]);
	pthread_join(reader, NULL);
	printf("relay in clear: %.0f MB/s\n",
	       (double)RELAYED / 1e3 / (double)MAX(now_ms() - before, (int64_t)1));
	tls_relay_stop(relay);
	pthread_join(thread, NULL);
	tls_relay_free(relay);
	close(outside[1]);
	tear_down(&b);
}

int main(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	measure_idle(0);
	measure_idle(TLS1_2_VERSION);
	measure_idle(TLS1_3_VERSION);
	measure_signatures(TLS_KEY_EC_P256, TLS_SIGN_ECDSA_SHA256);
	measure_signatures(TLS_KEY_RSA_2048, TLS_SIGN_RSA_PSS_SHA256);
	measure_signatures(TLS_KEY_ED25519, TLS_SIGN_ED25519);
	measure_handshakes(TLS_KEY_EC_P256, TLS1_2_VERSION, false);
	measure_handshakes(TLS_KEY_EC_P256, TLS1_3_VERSION, false);
	measure_handshakes(TLS_KEY_EC_P256, TLS1_3_VERSION, true);
	measure_handshakes(TLS_KEY_RSA_2048, TLS1_3_VERSION, false);
	measure_relay();
	return 0;
}
