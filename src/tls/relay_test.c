/* The relay under a thousand connections, and what it does at every kind of end. */
#include "tls/relay.h"

#include "tls/connection_private.h"
#include "tls/testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define MANY      1000
#define CHUNK_MAX 9000

struct fixture {
	struct tls_library *library;
	struct tls_test_keys keys;
	struct tls_context *context;
	struct arena arena;
	SSL_CTX *client;
	struct tls_relay *relay;
	pthread_t thread;
	atomic_size_t n_ended, n_ended_well;
	struct tls_relay_result
	        last; /* read after the thread was joined or by luck of one connection */
};

static void on_end(void *context, void *owner, const struct tls_relay_result *result)
{
	struct fixture *f = context;
	(void)owner;
	f->last = *result;
	if (is_ok(result->status))
		atomic_fetch_add(&f->n_ended_well, 1);
	atomic_fetch_add(&f->n_ended, 1);
}

static void *run_relay(void *p)
{
	struct fixture *f = p;
	assert_true(is_ok(tls_relay_run(f->relay)));
	return NULL;
}

static void raise_fd_limit(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int set_up_with(void **state, unsigned linger_ms)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
	raise_fd_limit();
	arena_init(&f->arena, (size_t)MIB);
	f->library = tls_library_new();
	tls_test_keys_init(&f->keys);
	tls_test_keys_add(&f->keys, 0, TLS_KEY_EC_P256, "mail.example.org");
	const struct tls_site_certificate certificate = {slice_str(f->keys.pems[0]),
	                                                 tls_test_key_id(0)};
	const struct tls_site site = {
	        .label = "site", .certificates = &certificate, .n_certificates = 1};
	const struct tls_context_options options = {
	        .sites = &site, .n_sites = 1, .signer = &f->keys.signer, .clock = &tls_test_clock};
	assert_true(is_ok(tls_context_new(f->library, &options, &f->context, &f->arena)));
	f->client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(f->client, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                                    SSL_MODE_RELEASE_BUFFERS);
	const struct tls_relay_options relay = {
	        .ended = on_end, .context = f, .linger_ms = linger_ms};
	assert_true(is_ok(tls_relay_new(&relay, &f->relay)));
	assert_int_equal(pthread_create(&f->thread, NULL, run_relay, f), 0);
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, 20000);
}

static int set_up_impatient(void **state)
{
	return set_up_with(state, 300);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	tls_relay_stop(f->relay);
	pthread_join(f->thread, NULL);
	tls_relay_free(f->relay);
	SSL_CTX_free(f->client);
	tls_context_unref(f->context);
	tls_test_keys_done(&f->keys);
	tls_library_free(f->library);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

static void wait_ended(struct fixture *f, size_t n)
{
	for (int i = 0; i < 5000 && atomic_load(&f->n_ended) < n; i++)
		poll(NULL, 0, 2);
	assert_int_equal(atomic_load(&f->n_ended), n);
	assert_int_equal(tls_relay_count(f->relay), 0);
}

/* --- one connection through the relay --- */

struct line {
	SSL *ssl;   /* the client's side; NULL in clear */
	int client; /* the client's socket */
	int room;   /* the room's socket */
};

static void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
	                 0);
}

struct accepting {
	struct tls_stream *stream;
	struct status status;
};

static void *accept_tls(void *p)
{
	struct accepting *a = p;
	a->status = stream_start_tls(&a->stream->stream);
	return NULL;
}

static void shake_hands(struct fixture *f, struct tls_stream *stream, struct line *line)
{
	pthread_t thread;
	struct accepting accepting = {.stream = stream};
	line->ssl = SSL_new(f->client);
	BIO *bio = BIO_new(tls_library_socket_method(f->library));
	BIO_set_data(bio, (void *)(intptr_t)line->client);
	SSL_set_bio(line->ssl, bio, bio);
	assert_int_equal(pthread_create(&thread, NULL, accept_tls, &accepting), 0);
	int result;
	while ((result = SSL_connect(line->ssl)) != 1) {
		struct status why;
		enum tls_io io = tls_connection_outcome(line->ssl, result, &why);
		assert_true(io == TLS_IO_WANT_READ || io == TLS_IO_WANT_WRITE);
		struct pollfd item = {.fd = line->client,
		                      .events = io == TLS_IO_WANT_READ ? POLLIN : POLLOUT};
		poll(&item, 1, 5000);
	}
	pthread_join(thread, NULL);
	assert_true(is_ok(accepting.status));
}

static struct line open_line(struct fixture *f, bool tls, struct slice read_ahead,
                             struct slice pending_output)
{
	int outside[2], inside[2];
	struct tls_stream stream;
	pair(outside);
	pair(inside);
	struct line line = {.client = outside[1], .room = inside[1]};
	tls_stream_init(&stream, outside[0], f->context);
	if (tls)
		shake_hands(f, &stream, &line);
	buf_add(&stream.stream.in, read_ahead);
	buf_add(&stream.stream.out, pending_output);
	tls_relay_add(f->relay, &stream, inside[0], NULL);
	return line;
}

static void close_line(struct line *line)
{
	SSL_free(line->ssl);
	close(line->client);
	close(line->room);
}

/* --- a stream of bytes that both ends can compute --- */

struct sequence {
	uint64_t x;
	uint64_t left; /* bytes still to come */
};

static uint8_t next_byte(struct sequence *s)
{
	s->x ^= s->x << 13;
	s->x ^= s->x >> 7;
	s->x ^= s->x << 17;
	return (uint8_t)(s->x >> 24);
}

/* One direction: what the sender has still to send and the receiver to see. */
struct talk {
	struct sequence sent, expected;
	uint8_t chunk[CHUNK_MAX];
	size_t n_chunk, at;
	bool end_sent, end_seen;
};

static struct talk talk_of(uint64_t seed, uint64_t n)
{
	return (struct talk){.sent = {seed, n}, .expected = {seed, n}};
}

static enum tls_io put(SSL *ssl, int fd, struct talk *t, bool *moved, struct status *why)
{
	size_t n;
	if (t->at == t->n_chunk && t->sent.left > 0) {
		t->n_chunk = MIN(1 + t->sent.x % CHUNK_MAX, t->sent.left);
		t->sent.left -= t->n_chunk;
		t->at = 0;
		for (size_t i = 0; i < t->n_chunk; i++)
			t->chunk[i] = next_byte(&t->sent);
	}
	if (t->at == t->n_chunk) {
		if (!t->end_sent)
			t->end_sent = tls_connection_goodbye(ssl, fd) == TLS_IO_DONE;
		return TLS_IO_DONE;
	}
	enum tls_io io = tls_connection_write(
	        ssl, fd, slice_of(t->chunk + t->at, t->n_chunk - t->at), &n, why);
	if (io == TLS_IO_DONE) {
		t->at += n;
		*moved = true;
	}
	return io;
}

static enum tls_io get(SSL *ssl, int fd, struct talk *t, bool *moved, struct status *why)
{
	uint8_t bytes[CHUNK_MAX];
	size_t n = 0;
	enum tls_io io =
	        tls_connection_read(ssl, fd, bytes, 1 + t->expected.x % CHUNK_MAX, &n, why);
	if (io == TLS_IO_END)
		t->end_seen = true;
	if (io != TLS_IO_DONE)
		return io;
	*moved = true;
	assert_true(n <= t->expected.left);
	t->expected.left -= n;
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != next_byte(&t->expected))
			fail_msg("a byte was changed on the way");
	return io;
}

struct conversation {
	struct line line;
	struct talk to_room, to_client;
	struct status why;
	bool done;
};

static bool step(struct conversation *c)
{
	bool moved = false;
	enum tls_io ios[4] = {TLS_IO_DONE, TLS_IO_DONE, TLS_IO_DONE, TLS_IO_DONE};
	ios[0] = put(c->line.ssl, c->line.client, &c->to_room, &moved, &c->why);
	if (!c->to_room.end_seen)
		ios[1] = get(NULL, c->line.room, &c->to_room, &moved, &c->why);
	ios[2] = put(NULL, c->line.room, &c->to_client, &moved, &c->why);
	if (!c->to_client.end_seen)
		ios[3] = get(c->line.ssl, c->line.client, &c->to_client, &moved, &c->why);
	for (size_t i = 0; i < 4; i++)
		if (ios[i] == TLS_IO_FAILED)
			fail_msg("%s %zu: %s", c->line.ssl ? "TLS" : "clear", i, c->why.why);
	c->done = c->to_room.end_seen && c->to_client.end_seen;
	return moved;
}

static void a_thousand_connections_carry_every_byte(void **state)
{
	struct fixture *f = *state;
	struct conversation *all = base_alloc(MANY * sizeof(*all));
	for (size_t i = 0; i < MANY; i++) {
		all[i].line = open_line(f, i % 2 == 0, slice_empty(), slice_empty());
		/* Of very different sizes; some directions are empty. */
		all[i].to_room = talk_of(i * 2 + 1, i % 7 == 0 ? 0 : i * 97 % 60000);
		all[i].to_client = talk_of(i * 2 + 2, i % 5 == 0 ? 0 : i * 89 % 90000);
	}
	size_t left = MANY;
	for (int rounds = 0; left > 0 && rounds < 20000; rounds++) {
		bool moved = false;
		for (size_t i = 0; i < MANY; i++) {
			if (all[i].done)
				continue;
			moved |= step(&all[i]);
			left -= all[i].done;
		}
		if (!moved)
			poll(NULL, 0, 1);
	}
	assert_int_equal(left, 0);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(all[i].to_room.expected.left, 0);
		assert_int_equal(all[i].to_client.expected.left, 0);
		close_line(&all[i].line);
	}
	wait_ended(f, MANY);
	assert_int_equal(atomic_load(&f->n_ended_well), MANY);
	base_free(all);
}

/* --- ends --- */

static size_t read_all(int fd, char *text, size_t max)
{
	size_t n = 0;
	while (n < max) {
		struct pollfd item = {.fd = fd, .events = POLLIN};
		if (poll(&item, 1, 5000) != 1)
			break;
		ssize_t got = recv(fd, text + n, max - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return n;
}

static void what_was_read_ahead_and_not_yet_sent_goes_first(void **state)
{
	struct fixture *f = *state;
	char text[64];
	struct line line = open_line(f, false, SLICE("a1 NOOP\r\n"), SLICE("* OK hello\r\n"));
	assert_int_equal(send(line.client, "a2 NOOP\r\n", 9, 0), 9);
	assert_int_equal(read_all(line.room, text, 18), 18);
	assert_memory_equal(text, "a1 NOOP\r\na2 NOOP\r\n", 18);
	assert_int_equal(send(line.room, "a1 OK\r\n", 7, 0), 7);
	assert_int_equal(read_all(line.client, text, 19), 19);
	assert_memory_equal(text, "* OK hello\r\na1 OK\r\n", 19);
	close_line(&line);
	wait_ended(f, 1);
	assert_int_equal(f->last.n_from_client, 18);
	assert_int_equal(f->last.n_to_client, 19);
}

static void a_client_that_vanishes_ends_the_room_after_its_last_byte(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 2; i++) {
		char text[64];
		size_t n;
		struct status why;
		struct line line = open_line(f, i == 1, slice_empty(), slice_empty());
		assert_int_equal(
		        tls_connection_write(line.ssl, line.client, SLICE("last words"), &n, &why),
		        TLS_IO_DONE);
		SSL_free(line.ssl); /* without close_notify */
		close(line.client);
		assert_int_equal(read_all(line.room, text, sizeof(text)), 10);
		close(line.room);
		wait_ended(f, i + 1);
	}
}

static void a_room_that_dies_ends_its_client(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < 2; i++) {
		struct line line = open_line(f, i == 1, slice_empty(), SLICE("bye\r\n"));
		uint8_t byte[8];
		size_t n = 0;
		struct status why;
		close(line.room);
		enum tls_io io = TLS_IO_WANT_READ;
		for (int k = 0; k < 3000 && io != TLS_IO_END; k++) {
			io = tls_connection_read(line.ssl, line.client, byte, sizeof(byte), &n,
			                         &why);
			assert_int_not_equal(io, TLS_IO_FAILED);
			if (io == TLS_IO_WANT_READ)
				poll(NULL, 0, 1);
		}
		assert_int_equal(io, TLS_IO_END); /* with close_notify where there is TLS */
		SSL_free(line.ssl);
		close(line.client);
		wait_ended(f, i + 1);
	}
}

static void a_client_that_does_not_read_holds_little_and_is_dropped(void **state)
{
	struct fixture *f = *state;
	static const char bytes[65536];
	for (size_t i = 0; i < 2; i++) {
		struct line line = open_line(f, i == 1, slice_empty(), slice_empty());
		size_t n_taken = 0;
		for (int idle = 0; idle < 50;) {
			ssize_t n = send(line.room, bytes, sizeof(bytes), 0);
			n_taken += n > 0 ? (size_t)n : 0;
			idle = n > 0 ? 0 : idle + 1;
			if (n <= 0)
				poll(NULL, 0, 1);
		}
		/* Two socket buffers and one piece in between. */
		assert_true(n_taken < 4 * 1024 * 1024);
		assert_int_equal(tls_relay_count(f->relay), 1);
		close(line.room);
		wait_ended(f, i + 1); /* after linger_ms */
		assert_int_equal(f->last.status.code, ERR_TIMEOUT);
		SSL_free(line.ssl);
		close(line.client);
	}
}

static void half_an_end_is_passed_on(void **state)
{
	struct fixture *f = *state;
	char text[64];
	struct line line = open_line(f, false, slice_empty(), slice_empty());
	shutdown(line.client, SHUT_WR);
	assert_int_equal(read_all(line.room, text, sizeof(text)), 0);
	assert_int_equal(send(line.room, "still here", 10, 0), 10);
	assert_int_equal(read_all(line.client, text, 10), 10);
	close_line(&line);
	wait_ended(f, 1);
}

static void stop_says_goodbye(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;
	size_t n;
	struct status why;
	struct line clear = open_line(f, false, slice_empty(), slice_empty());
	struct line tls = open_line(f, true, slice_empty(), slice_empty());
	tls_relay_stop(f->relay);
	wait_ended(f, 2);
	assert_int_equal(atomic_load(&f->n_ended_well), 0);
	assert_int_equal(tls_connection_read(NULL, clear.client, &byte, 1, &n, &why), TLS_IO_END);
	assert_int_equal(tls_connection_read(tls.ssl, tls.client, &byte, 1, &n, &why), TLS_IO_END);
	assert_int_equal(tls_connection_read(NULL, tls.room, &byte, 1, &n, &why), TLS_IO_END);
	close_line(&clear);
	close_line(&tls);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_thousand_connections_carry_every_byte),
	        TEST(what_was_read_ahead_and_not_yet_sent_goes_first),
	        TEST(a_client_that_vanishes_ends_the_room_after_its_last_byte),
	        TEST(a_room_that_dies_ends_its_client),
	        cmocka_unit_test_setup_teardown(
	                a_client_that_does_not_read_holds_little_and_is_dropped, set_up_impatient,
	                tear_down),
	        TEST(half_an_end_is_passed_on),
	        TEST(stop_says_goodbye),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
