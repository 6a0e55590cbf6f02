/* Attempts by many threads at once against a small server in this process: kept connections are
 * shared, forgotten and closed, and every message arrives once. Run with TSan, too. What a single
 * attempt makes of a server's behaviour is tested from outside (tests/e2e/test_courier.py). */
#include "rooms/courier_private.h"

#include "dns/table.h"
#include "os/fd.h"
#include "os/log.h"
#include "os/process.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail /* of cmocka: ours makes a status */

#define THREADS  8u
#define ATTEMPTS 25u
#define BODY     "Subject: x\r\n\r\nhello\r\n"

/* --- a server --- */

struct server {
	int listener;
	uint16_t port;
	atomic_uint n_connections, n_messages;
	unsigned per_connection; /* messages, then it hangs up; 0: any number */
};

struct session {
	struct server *server;
	int fd;
};

static struct status take_message(struct stream *stream)
{
	struct slice line;
	bool crlf;
	TRY(stream_write(stream, SLICE("354 go on\r\n")));
	do
		TRY(stream_read_line(stream, 1000, &line, &crlf));
	while (!slice_eq_str(line, "."));
	return stream_write(stream, SLICE("250 2.0.0 taken\r\n"));
}

static struct status answer(struct session *s, struct stream *stream, struct slice line,
                            unsigned *n_messages)
{
	if (slice_istarts(line, SLICE("EHLO")))
		return stream_write(stream, SLICE("250-test\r\n250 PIPELINING\r\n"));
	if (slice_istarts(line, SLICE("DATA"))) {
		TRY(take_message(stream));
		atomic_fetch_add(&s->server->n_messages, 1);
		if (++*n_messages == s->server->per_connection) {
			TRY(stream_flush(stream));
			return fail(ERR_CLOSED, "enough");
		}
		return ok();
	}
	if (slice_istarts(line, SLICE("QUIT"))) {
		TRY(stream_write(stream, SLICE("221 bye\r\n")));
		TRY(stream_flush(stream));
		return fail(ERR_CLOSED, "over");
	}
	return stream_write(stream, SLICE("250 2.0.0 ok\r\n"));
}

static void serve(void *context)
{
	struct session *s = context;
	struct fd_stream stream;
	struct slice line;
	bool crlf;
	unsigned n_messages = 0;
	fd_stream_init(&stream, s->fd);
	struct status status = stream_write(&stream.stream, SLICE("220 test\r\n"));
	while (is_ok(status)) {
		status = stream_read_line(&stream.stream, 1000, &line, &crlf);
		if (is_ok(status))
			status = answer(s, &stream.stream, line, &n_messages);
	}
	fd_stream_done(&stream);
	base_free(s);
}

static void run_server(void *context)
{
	struct server *server = context;
	struct os_address peer;
	int fd;
	for (;;) {
		if (!is_ok(socket_wait_readable(server->listener, -1)))
			return;
		enum socket_accept accepted = socket_accept(server->listener, &fd, &peer);
		if (accepted == SOCKET_ACCEPT_BROKEN)
			return;
		if (accepted != SOCKET_ACCEPTED)
			continue;
		struct session *s = base_alloc(sizeof(*s));
		*s = (struct session){server, fd};
		atomic_fetch_add(&server->n_connections, 1);
		assert_true(is_ok(
		        thread_start(&(struct thread_options){.name = "session"}, serve, s, NULL)));
	}
}

/* --- fixture --- */

struct fixture {
	struct server server;
	pthread_t server_thread;
	struct dns_table table;
	struct arena arena;
	struct config *config;
	struct courier *courier;
	int body_fd;
};

static struct status no_secret(void *context, uint64_t cid, struct slice name, struct arena *arena,
                               struct slice *ret_secret)
{
	(void)context, (void)cid, (void)name, (void)arena, (void)ret_secret;
	return fail(ERR_NOT_FOUND, "no secrets here");
}

static void load_config(struct fixture *f)
{
	char server[500];
	struct config_problems problems;
	snprintf(server, sizeof(server),
	         "hostname: client.example\npostmaster: me\n"
	         "listeners: {l: {addresses: [127.0.0.1], smtp: {}}}\n"
	         "transports: {d: {kind: direct, port: %u, tls: none}}\n",
	         f->server.port);
	struct config_sources sources = {
	        .directory = "/etc/mailkeep",
	        .text = {slice_str(server), SLICE("domains: {a.example: }\naccounts: {me: "
	                                          "{addresses: [me@a.example]}}\n")},
	};
	config_problems_init(&problems);
	assert_true(is_ok(config_parse(&sources, &f->arena, &f->config, &problems)));
	config_problems_done(&problems);
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	struct os_address address;
	*state = f;
	arena_init(&f->arena, CONFIG_ARENA_MAX);
	assert_true(is_ok(os_address_parse(SLICE("127.0.0.1"), 0, &address)));
	assert_true(is_ok(socket_listen(&address, NULL, &f->server.listener, NULL)));
	f->server.port = socket_local(f->server.listener).port;
	assert_true(is_ok(thread_start(&(struct thread_options){.name = "server", .joinable = true},
	                               run_server, &f->server, &f->server_thread)));
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, "one.example MX 10 mx.one.example\n"
	                               "mx.one.example A 127.0.0.1\n"
	                               "two.example MX 10 mx.two.example\n"
	                               "mx.two.example A 127.0.0.1\n");
	load_config(f);
	assert_true(is_ok(memfd_new_sealed("body", SLICE(BODY), &f->body_fd)));
	const struct courier_options options = {
	        .clock = clock_real(), .key = {1, 2}, .bundle_fd = -1, .secret = no_secret};
	f->courier = courier_new(&options);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	courier_free(f->courier);
	(void)shutdown(f->server.listener, SHUT_RDWR);
	thread_join(f->server_thread);
	fd_close(&f->server.listener);
	fd_close(&f->body_fd);
	dns_table_done(&f->table);
	arena_done(&f->arena);
	base_free(f);
	return 0;
}

static bool attempt(struct fixture *f, const char *domain, bool *ret_reused)
{
	struct arena arena;
	Door__CourierReply reply;
	char address[100];
	Door__Attempt in = DOOR__ATTEMPT__INIT;
	Door__AttemptRecipient rcpt = DOOR__ATTEMPT_RECIPIENT__INIT, *rcpts[] = {&rcpt};
	snprintf(address, sizeof(address), "you@%s", domain);
	rcpt.address = address;
	in.recipients = rcpts;
	in.n_recipients = 1;
	in.size = sizeof(BODY) - 1;
	in.n_attempt = 1;
	char transport[] = "d", sender[] = "me@a.example", to[50];
	snprintf(to, sizeof(to), "%s", domain);
	in.transport = transport;
	in.sender = sender;
	in.domain = to;
	const struct courier_job job = {.config = f->config,
	                                .resolver = &f->table.resolver,
	                                .attempt = &in,
	                                .body_fd = f->body_fd};
	arena_init(&arena, COURIER_ARENA_MAX);
	courier_run(f->courier, &job, &arena, &reply);
	bool delivered = reply.n_outcomes == 1 &&
	                 reply.outcomes[0]->outcome == DOOR__OUTCOME__OUTCOME_DELIVERED;
	if (!delivered)
		print_message("%s\n", reply.n_outcomes ? reply.outcomes[0]->why : "no outcome");
	*ret_reused = reply.reused;
	arena_done(&arena);
	return delivered;
}

struct worker {
	struct fixture *f;
	unsigned number, n_delivered, n_reused;
};

static void work(void *context)
{
	struct worker *w = context;
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		bool reused;
		w->n_delivered +=
		        attempt(w->f, (w->number + i) % 3 ? "one.example" : "two.example", &reused);
		w->n_reused += reused;
		if (w->number == 0 && i % 8 == 7)
			courier_forget(w->f->courier);
	}
}

/* The reused connections of all. */
static unsigned run_workers(struct fixture *f)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	unsigned n_reused = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.f = f, .number = i};
		assert_true(is_ok(thread_start(&(struct thread_options){.joinable = true}, work,
		                               &workers[i], &threads[i])));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		thread_join(threads[i]);
		assert_int_equal(workers[i].n_delivered, ATTEMPTS);
		n_reused += workers[i].n_reused;
	}
	return n_reused;
}

static void many_threads_share_connections(void **state)
{
	struct fixture *f = *state;
	unsigned n_reused = run_workers(f);
	assert_int_equal(atomic_load(&f->server.n_messages), THREADS * ATTEMPTS);
	assert_int_equal(atomic_load(&f->server.n_connections) + n_reused, THREADS * ATTEMPTS);
	assert_true(n_reused > THREADS * ATTEMPTS / 2);
	assert_true(f->courier->n_pool <= 2 * COURIER_IDLE_PER_KEY_MAX);
}

/* The race between keeping a connection and its end: no message may be lost or come twice. */
static void servers_may_hang_up_between_messages(void **state)
{
	struct fixture *f = *state;
	f->server.per_connection = 3;
	(void)run_workers(f);
	assert_int_equal(atomic_load(&f->server.n_messages), THREADS * ATTEMPTS);
}

static void kept_connections_are_bounded(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < COURIER_IDLE_MAX + 10; i++) {
		char facts[100], domain[50];
		bool reused;
		snprintf(domain, sizeof(domain), "d%u.example", i);
		snprintf(facts, sizeof(facts), "%s A 127.0.0.1", domain);
		dns_table_add(&f->table, facts);
		assert_true(attempt(f, domain, &reused));
		assert_false(reused);
	}
	assert_int_equal(f->courier->n_pool, COURIER_IDLE_MAX);
	courier_forget(f->courier);
	assert_int_equal(f->courier->n_pool, 0);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(many_threads_share_connections),
	        WITH_FIXTURE(servers_may_hang_up_between_messages),
	        WITH_FIXTURE(kept_connections_are_bounded),
	};
	log_setup(&(struct log_options){.room = "test", .level = LOG_LEVEL_ERROR});
	return cmocka_run_group_tests(tests, NULL, NULL);
}
