/* The stream on real sockets: deadlines, wakes, partial records, ends, in clear and in TLS. */
#include "tls/testing.h"

#include "tls/connection_private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* A client that this test drives by hand: what it would send is held back in memory, so that any
 * number of its bytes can be let through at a time. */
struct fixture {
	struct tls_library *library;
	struct tls_test_keys keys;
	struct tls_context *context;
	struct arena arena;
	SSL_CTX *client_ctx;
	struct tls_stream t;
	int client; /* the client's end of the socket pair */
	SSL *ssl;
	BIO *to_server, *from_server; /* belong to ssl */
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
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
	f->client_ctx = SSL_CTX_new(TLS_client_method());
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->client = fds[1];
	tls_stream_init(&f->t, fds[0], f->context);
	f->t.stream.timeout_ms = 2000;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	SSL_free(f->ssl);
	SSL_CTX_free(f->client_ctx);
	tls_stream_done(&f->t);
	if (f->client >= 0)
		close(f->client);
	tls_context_unref(f->context);
	tls_test_keys_done(&f->keys);
	tls_library_free(f->library);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

static void *accept_tls(void *p)
{
	struct fixture *f = p;
	assert_true(is_ok(stream_start_tls(&f->t.stream)));
	return NULL;
}

/* Moves what the client has written to the socket, at most max bytes. */
static size_t let_through(struct fixture *f, size_t max)
{
	uint8_t bytes[4096];
	int n = BIO_read(f->to_server, bytes, (int)MIN(max, sizeof(bytes)));
	if (n <= 0)
		return 0;
	assert_int_equal(send(f->client, bytes, (size_t)n, MSG_NOSIGNAL), n);
	return (size_t)n;
}

static void take_in(struct fixture *f)
{
	uint8_t bytes[4096];
	struct pollfd item = {.fd = f->client, .events = POLLIN};
	if (poll(&item, 1, 50) != 1)
		return;
	ssize_t n = recv(f->client, bytes, sizeof(bytes), 0);
	if (n > 0)
		assert_int_equal(BIO_write(f->from_server, bytes, (int)n), n);
}

static void start_tls(struct fixture *f)
{
	pthread_t thread;
	f->ssl = SSL_new(f->client_ctx);
	f->to_server = BIO_new(BIO_s_mem());
	f->from_server = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(f->from_server, -1);
	SSL_set_bio(f->ssl, f->from_server, f->to_server);
	SSL_set_connect_state(f->ssl);
	assert_int_equal(pthread_create(&thread, NULL, accept_tls, f), 0);
	while (SSL_do_handshake(f->ssl) != 1) {
		while (let_through(f, 4096) > 0)
			;
		take_in(f);
	}
	while (let_through(f, 4096) > 0)
		;
	pthread_join(thread, NULL);
}

static struct status next_line(struct fixture *f, struct slice *ret_line)
{
	bool crlf;
	return stream_read_line(&f->t.stream, 1000, ret_line, &crlf);
}

static void without_a_context_there_is_no_tls(void **state)
{
	struct fixture *f = *state;
	int fds[2];
	struct tls_stream plain;
	struct slice line;
	bool crlf;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	tls_stream_init(&plain, fds[0], NULL);
	assert_int_equal(stream_start_tls(&plain.stream).code, ERR_UNSUPPORTED);
	assert_int_equal(send(fds[1], "still in clear\r\n", 16, 0), 16);
	assert_true(is_ok(stream_read_line(&plain.stream, 100, &line, &crlf)));
	assert_true(slice_eq_str(line, "still in clear"));
	int fd = tls_stream_take_fd(&plain);
	assert_int_equal(fd, fds[0]);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	tls_stream_done(&plain);
	assert_int_equal(send(fd, "mine", 4, 0), 4);
	close(fd);
	close(fds[1]);
	uint8_t value[TLS_BINDING_MAX];
	size_t n;
	assert_int_equal(tls_stream_binding(&f->t, TLS_BINDING_EXPORTER, value, &n).code,
	                 ERR_NOT_FOUND);
}

static void plaintext_behind_starttls_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct slice line;
	assert_int_equal(send(f->client, "STARTTLS\r\nMAIL FROM:<a@b>\r\n", 27, 0), 27);
	assert_true(is_ok(next_line(f, &line)));
	assert_true(slice_eq_str(line, "STARTTLS"));
	start_tls(f);
	assert_int_equal(SSL_write(f->ssl, "EHLO x\r\n", 8), 8);
	let_through(f, 4096);
	assert_true(is_ok(next_line(f, &line)));
	assert_true(slice_eq_str(line, "EHLO x"));
	assert_string_equal(f->t.stream.tls.version, "TLSv1.3");
	assert_int_equal(stream_start_tls(&f->t.stream).code, ERR_INVALID);
}

static void reads_and_handshakes_end_at_their_deadline(void **state)
{
	struct fixture *f = *state;
	struct slice line;
	f->t.stream.timeout_ms = 30;
	assert_int_equal(next_line(f, &line).code, ERR_TIMEOUT);
	assert_int_equal(send(f->client, "half a li", 9, 0), 9);
	assert_int_equal(next_line(f, &line).code, ERR_TIMEOUT);
	assert_int_equal(send(f->client, "ne\r\n", 4, 0), 4); /* a timeout loses nothing */
	assert_true(is_ok(next_line(f, &line)));
	assert_true(slice_eq_str(line, "half a line"));
	assert_int_equal(stream_start_tls(&f->t.stream).code, ERR_TIMEOUT);
	assert_int_equal(next_line(f, &line).code, ERR_TIMEOUT); /* and stays unusable */
}

static void noise_instead_of_a_handshake_is_a_tls_failure(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(send(f->client, "EHLO not tls at all\r\n", 21, 0), 21);
	assert_int_equal(f->t.stream.ops->start_tls(&f->t.stream, 1000).code, ERR_TLS);
	struct slice line;
	assert_int_equal(next_line(f, &line).code, ERR_TLS);
}

static void writes_end_when_nobody_reads(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bytes[1 << 20];
	f->t.stream.timeout_ms = 30;
	assert_int_equal(stream_write(&f->t.stream, slice_of(bytes, sizeof(bytes))).code,
	                 ERR_TIMEOUT);
	/* Half a unit is out: nothing may follow it. */
	assert_int_equal(stream_write(&f->t.stream, slice_of(bytes, sizeof(bytes))).code,
	                 ERR_TIMEOUT);
}

static void writing_to_a_closed_connection_raises_no_signal(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bytes[1 << 20];
	for (int tls = 0; tls < 2; tls++) {
		if (tls) {
			tear_down(state);
			set_up(state);
			f = *state;
			start_tls(f);
		}
		close(f->client);
		f->client = -1;
		assert_int_equal(stream_write(&f->t.stream, slice_of(bytes, sizeof(bytes))).code,
		                 ERR_CLOSED);
		stream_shutdown(&f->t.stream);
	}
}

static void records_come_whole_at_every_split(void **state)
{
	struct fixture *f = *state;
	struct slice line;
	enum stream_event event;
	start_tls(f);
	for (size_t split = 1; split < 35; split++) {
		assert_int_equal(SSL_write(f->ssl, "NOOP\r\nQ\r\n", 9), 9);
		let_through(f, split);
		/* Part of a record is no input. */
		bool whole = BIO_ctrl_pending(f->to_server) == 0;
		assert_true(is_ok(stream_wait(&f->t.stream, -1, 2, &event)));
		assert_int_equal(event, whole ? STREAM_INPUT : STREAM_TIMEOUT);
		let_through(f, 4096);
		assert_true(is_ok(stream_wait(&f->t.stream, -1, 1000, &event)));
		assert_int_equal(event, STREAM_INPUT);
		assert_true(is_ok(next_line(f, &line)));
		assert_true(slice_eq_str(line, "NOOP"));
		assert_true(is_ok(stream_wait(&f->t.stream, -1, 0, &event)));
		assert_int_equal(event, STREAM_INPUT);
		assert_true(is_ok(next_line(f, &line)));
		assert_true(slice_eq_str(line, "Q"));
		assert_true(is_ok(stream_wait(&f->t.stream, -1, 0, &event)));
		assert_int_equal(event, STREAM_TIMEOUT);
	}
}

/* What libssl has decrypted and not given out is invisible to poll. */
static void decrypted_input_counts_as_input(void **state)
{
	struct fixture *f = *state;
	enum stream_event event;
	uint8_t bytes[4];
	size_t n;
	start_tls(f);
	assert_int_equal(SSL_write(f->ssl, "0123456789", 10), 10);
	let_through(f, 4096);
	assert_true(is_ok(f->t.stream.ops->read(&f->t.stream, bytes, 4, 1000, &n)));
	assert_int_equal(n, 4);
	assert_true(is_ok(stream_wait(&f->t.stream, -1, 1000, &event)));
	assert_int_equal(event, STREAM_INPUT);
	assert_true(is_ok(f->t.stream.ops->read(&f->t.stream, bytes, 4, 1000, &n)));
	assert_memory_equal(bytes, "4567", 4);
}

static void key_updates_are_no_input(void **state)
{
	struct fixture *f = *state;
	enum stream_event event;
	struct slice line;
	start_tls(f);
	assert_int_equal(SSL_key_update(f->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_do_handshake(f->ssl), 1);
	let_through(f, 4096);
	assert_true(is_ok(stream_wait(&f->t.stream, -1, 30, &event)));
	assert_int_equal(event, STREAM_TIMEOUT);
	assert_int_equal(SSL_write(f->ssl, "after\r\n", 7), 7);
	let_through(f, 4096);
	assert_true(is_ok(next_line(f, &line)));
	assert_true(slice_eq_str(line, "after"));
	assert_true(is_ok(stream_printf(&f->t.stream, "answer\r\n")));
	assert_true(is_ok(stream_flush(&f->t.stream)));
	char text[16];
	int n = 0;
	for (int i = 0; i < 50 && n <= 0; i++) {
		take_in(f);
		n = SSL_read(f->ssl, text, sizeof(text));
	}
	assert_int_equal(n, 8);
}

static void a_wake_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	enum stream_event event;
	int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int tls = 0; tls < 2; tls++) {
		if (tls)
			start_tls(f);
		assert_true(is_ok(stream_wait(&f->t.stream, wake, 5, &event)));
		assert_int_equal(event, STREAM_TIMEOUT);
		eventfd_write(wake, 1);
		assert_true(is_ok(stream_wait(&f->t.stream, wake, -1, &event)));
		assert_int_equal(event, STREAM_WOKEN);
		eventfd_t count;
		eventfd_read(wake, &count);
	}
	close(wake);
}

static void ends_are_told_apart(void **state)
{
	struct fixture *f = *state;
	enum stream_event event;
	uint8_t byte;
	size_t n = 1;
	for (int proper = 0; proper < 2; proper++) {
		if (proper) {
			tear_down(state);
			set_up(state);
			f = *state;
		}
		start_tls(f);
		if (proper) {
			SSL_shutdown(f->ssl);
			let_through(f, 4096);
		} else {
			shutdown(f->client, SHUT_WR);
		}
		assert_true(is_ok(stream_wait(&f->t.stream, -1, 1000, &event)));
		assert_int_equal(event, STREAM_INPUT);
		struct status status = f->t.stream.ops->read(&f->t.stream, &byte, 1, 1000, &n);
		assert_int_equal(status.code, proper ? ERR_OK : ERR_CLOSED);
		if (proper)
			assert_int_equal(n, 0);
		else
			assert_string_equal(status.why, "connection ended without close_notify");
	}
}

static void goodbye_is_said_without_waiting(void **state)
{
	struct fixture *f = *state;
	char text[16];
	start_tls(f);
	assert_true(is_ok(stream_printf(&f->t.stream, "221 bye\r\n")));
	int64_t before = clock_monotonic_ms(&tls_test_clock);
	stream_shutdown(&f->t.stream);
	assert_true(clock_monotonic_ms(&tls_test_clock) - before < 1000);
	int n = 0;
	for (int i = 0; i < 50 && n <= 0; i++) {
		take_in(f);
		n = SSL_read(f->ssl, text, sizeof(text));
	}
	assert_int_equal(n, 9);
	for (int i = 0; i < 50 && SSL_read(f->ssl, text, sizeof(text)) <= 0; i++) {
		if (SSL_get_shutdown(f->ssl) & SSL_RECEIVED_SHUTDOWN)
			break;
		take_in(f);
	}
	assert_true(SSL_get_shutdown(f->ssl) & SSL_RECEIVED_SHUTDOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(without_a_context_there_is_no_tls),
	        TEST(plaintext_behind_starttls_is_dropped),
	        TEST(reads_and_handshakes_end_at_their_deadline),
	        TEST(noise_instead_of_a_handshake_is_a_tls_failure),
	        TEST(writes_end_when_nobody_reads),
	        TEST(writing_to_a_closed_connection_raises_no_signal),
	        TEST(records_come_whole_at_every_split),
	        TEST(decrypted_input_counts_as_input),
	        TEST(key_updates_are_no_input),
	        TEST(a_wake_ends_the_wait),
	        TEST(ends_are_told_apart),
	        TEST(goodbye_is_said_without_waiting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
