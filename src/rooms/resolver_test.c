/* The resolver room as the supervisor runs it, walls and all, with a little DNS server beside it.
 */
#include "os/clock.h"
#include "os/fd.h"
#include "os/socket.h"
#include "rooms/resolver_testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <cmocka.h>
#undef fail

#define assert_ok(expr)            assert_int_equal((expr).code, ERR_OK)
#define assert_err(expr, expected) assert_int_equal((expr).code, (expected))

#define QUESTION_AT 12

/* --- a DNS server: any name has the address 192.0.2.1, but for names that begin with slow (no
 * answer) or fail (SERVFAIL) --- */

struct server {
	int fd;
	uint16_t port;
	atomic_int n_queries;
	atomic_bool silent; /* no answer to anything */
	pthread_t thread;
};

static size_t question_end(const uint8_t *p, size_t n)
{
	size_t at = QUESTION_AT;
	while (at < n && p[at] != 0)
		at += 1u + p[at];
	return at + 5;
}

static void serve(void *context)
{
	struct server *server = context;
	for (;;) {
		uint8_t p[1024];
		struct sockaddr_storage peer;
		socklen_t size = sizeof(peer);
		ssize_t n = recvfrom(server->fd, p, 512, 0, (struct sockaddr *)&peer, &size);
		if (n <= QUESTION_AT)
			return;
		size_t end = question_end(p, (size_t)n);
		struct slice name = slice_of(p + QUESTION_AT + 1, 4);
		atomic_fetch_add(&server->n_queries, 1);
		if (end > (size_t)n || slice_eq_str(name, "slow") || atomic_load(&server->silent))
			continue;
		bool fails = slice_eq_str(name, "fail"), is_a = p[end - 3] == 1;
		memcpy(p + 2, fails ? "\x81\x82" : "\x81\x80", 2);
		memcpy(p + 6, is_a && !fails ? "\0\1\0\0\0\0" : "\0\0\0\0\0\0", 6);
		if (is_a && !fails) {
			memcpy(p + end, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1", 16);
			end += 16;
		}
		(void)sendto(server->fd, p, end, 0, (struct sockaddr *)&peer, size);
	}
}

static void start_server(struct server *server)
{
	struct os_address address;
	struct sockaddr_storage sa;
	assert_ok(os_address_parse(SLICE("127.0.0.1"), 0, &address));
	socklen_t size = os_address_to_sockaddr(&address, &sa);
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&sa, size), 0);
	server->port = socket_local(server->fd).port;
	assert_ok(thread_start(&(struct thread_options){.name = "dns", .joinable = true}, serve,
	                       server, &server->thread));
}

/* A packet too short for a query ends it. */
static void stop_server(struct server *server)
{
	struct os_address address = socket_local(server->fd);
	struct sockaddr_storage sa;
	socklen_t size = os_address_to_sockaddr(&address, &sa);
	assert_int_equal(sendto(server->fd, "x", 1, 0, (struct sockaddr *)&sa, size), 1);
	thread_join(server->thread);
	fd_close(&server->fd);
}

/* --- the room --- */

struct house {
	struct server server;
	struct resolver_house room;
	struct arena arena;
};

static int set_up(void **state)
{
	struct house *house = base_alloc(sizeof(*house));
	arena_init(&house->arena, 16 * MIB);
	start_server(&house->server);
	*state = house;
	return 0;
}

static int tear_down(void **state)
{
	struct house *house = *state;
	resolver_house_stop(&house->room);
	stop_server(&house->server);
	arena_done(&house->arena);
	base_free(house);
	return 0;
}

static void start_room(struct house *house, const char *config)
{
	resolver_house_start(&house->room, RESOLVER_PROGRAM, config);
}

static struct ipc_channel *meet(struct house *house, enum ipc_room who)
{
	return resolver_house_meet(&house->room, who);
}

static struct status look_up(struct house *house, struct ipc_channel *channel, const char *name,
                             uint32_t type, uint32_t timeout_ms,
                             const struct dns_answer **ret_answer)
{
	return resolver_house_look_up(channel, name, type, timeout_ms, &house->arena, ret_answer);
}

static const char *forward_to_server(const struct house *house, char text[200], const char *more)
{
	snprintf(text, 200, "{mode: forward, servers: [\"127.0.0.1:%u\"], validate: false%s}",
	         house->server.port, more);
	return text;
}

/* --- tests --- */

static void names_are_looked_up_behind_the_walls(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200];
	start_room(house, forward_to_server(house, config, ""));
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	assert_ok(look_up(house, courier, "a.example", DNS_TYPE_A, 5000, &answer));
	assert_int_equal(answer->outcome, DNS_FOUND);
	assert_int_equal(answer->security, DNS_INSECURE);
	assert_memory_equal(answer->records[0].a, "\300\0\2\1", 4);
	int n = house->server.n_queries;
	assert_ok(look_up(house, courier, "A.Example.", DNS_TYPE_A, 5000, &answer));
	assert_int_equal(answer->outcome, DNS_FOUND);
	assert_int_equal(house->server.n_queries, n); /* from the cache */
	assert_ok(look_up(house, courier, "fail.example", DNS_TYPE_A, 5000, &answer));
	assert_int_equal(answer->failure, DNS_FAILURE_TEMPORARY);
	ipc_channel_unref(courier);
}

static void malformed_questions_are_refused_and_hurt_nobody(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200];
	start_room(house, forward_to_server(house, config, ""));
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	assert_err(look_up(house, courier, "a b", DNS_TYPE_A, 5000, &answer), ERR_SYNTAX);
	assert_err(look_up(house, courier, "", DNS_TYPE_A, 5000, &answer), ERR_SYNTAX);
	assert_err(look_up(house, courier, "a.example", 255, 5000, &answer), ERR_PROTOCOL);
	assert_err(look_up(house, courier, "a.example", 0, 5000, &answer), ERR_PROTOCOL);
	assert_ok(look_up(house, courier, "a.example", DNS_TYPE_A, UINT32_MAX, &answer));
	ipc_channel_unref(courier);
}

struct asker {
	struct house *house;
	struct ipc_channel *channel;
	const char *name;
	struct arena arena;
	struct status status;
	enum dns_outcome outcome;
};

static void ask(void *context)
{
	struct asker *asker = context;
	struct house own = {.arena = asker->arena};
	const struct dns_answer *answer = NULL;
	asker->status = look_up(&own, asker->channel, asker->name, DNS_TYPE_A, 1500, &answer);
	asker->outcome = is_ok(asker->status) ? answer->outcome : DNS_FAILED;
	arena_done(&own.arena);
}

/* Of 16 places strangers get 12; a slow name holds up no other; one too many is told so at once. */
static void slow_names_hold_up_no_others(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200];
	static char names[13][32];
	struct asker askers[13];
	pthread_t threads[13];
	start_room(house, forward_to_server(house, config, ", max_lookups: 16"));
	struct ipc_channel *stranger = meet(house, IPC_ROOM_GATE_MX);
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	int64_t began = clock_monotonic_ms(clock_real());
	size_t n_busy = 0;
	for (size_t i = 0; i < N_ELEMENTS(askers); i++) {
		snprintf(names[i], sizeof(names[i]), "slow%zu.example", i);
		askers[i] = (struct asker){.house = house, .channel = stranger, .name = names[i]};
		arena_init(&askers[i].arena, MIB);
		assert_ok(thread_start(&(struct thread_options){.name = "asker", .joinable = true},
		                       ask, &askers[i], &threads[i]));
	}
	while (house->server.n_queries < 12 && clock_monotonic_ms(clock_real()) < began + 1200)
		usleep(10000);
	assert_ok(look_up(house, courier, "quick.example", DNS_TYPE_A, 5000, &answer));
	assert_int_equal(answer->outcome, DNS_FOUND);
	assert_true(clock_monotonic_ms(clock_real()) < began + 1400);
	for (size_t i = 0; i < N_ELEMENTS(askers); i++) {
		thread_join(threads[i]);
		n_busy += askers[i].status.code == ERR_BUSY;
		assert_true(askers[i].status.code == ERR_BUSY || is_ok(askers[i].status));
		assert_int_equal(askers[i].outcome, DNS_FAILED);
	}
	assert_int_equal(n_busy, 1);
	assert_true(clock_monotonic_ms(clock_real()) < began + 3000);
	ipc_channel_unref(stranger);
	ipc_channel_unref(courier);
}

/* Lookups that were given up go on within libunbound: those of strangers take no places of others.
 */
static void strangers_names_that_were_given_up_hold_up_no_others(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200], name[32];
	start_room(house, forward_to_server(house, config, ", max_lookups: 16"));
	struct ipc_channel *stranger = meet(house, IPC_ROOM_GATE_MX);
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	for (size_t i = 0; i < 40; i++) { /* of 24 places */
		snprintf(name, sizeof(name), "slow%zu.example", i);
		assert_ok(look_up(house, stranger, name, DNS_TYPE_A, 10, &answer));
		assert_int_equal(answer->failure, DNS_FAILURE_TEMPORARY);
	}
	assert_non_null(strstr(answer->why, "too many lookups"));
	assert_ok(look_up(house, courier, "quick.example", DNS_TYPE_A, 5000, &answer));
	assert_int_equal(answer->outcome, DNS_FOUND);
	ipc_channel_unref(stranger);
	ipc_channel_unref(courier);
}

/* A domain's silence takes an eighth of strangers' places, 3 of 24. */
static void one_domain_holds_up_no_others(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200], name[32];
	start_room(house, forward_to_server(house, config, ", max_lookups: 16"));
	struct ipc_channel *stranger = meet(house, IPC_ROOM_GATE_MX);
	for (size_t i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "slow%zu.shop.example", i);
		assert_ok(look_up(house, stranger, name, DNS_TYPE_A, 10, &answer));
		assert_string_equal(answer->why,
		                    i < 3 ? "no answer in time"
		                          : "too many lookups of names of this domain at once");
	}
	size_t n_found = 0; /* of four other domains one may share the first one's hash */
	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "quick.other%zu.example", i);
		assert_ok(look_up(house, stranger, name, DNS_TYPE_A, 5000, &answer));
		n_found += answer->outcome == DNS_FOUND;
	}
	assert_true(n_found >= 3);
	ipc_channel_unref(stranger);
}

static int64_t since_ms(int64_t began_ms)
{
	return clock_monotonic_ms(clock_real()) - began_ms;
}

static void a_silent_network_is_not_waited_for(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200];
	start_room(house, forward_to_server(house, config, ""));
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	assert_ok(look_up(house, courier, "known.example", DNS_TYPE_A, 10000, &answer));
	assert_int_equal(answer->outcome, DNS_FOUND);
	usleep(2100 * 1000); /* so long ago is not silent */
	atomic_store(&house->server.silent, true);
	for (int i = 0; i < 2; i++) {
		int64_t began_ms = clock_monotonic_ms(clock_real());
		assert_ok(look_up(house, courier, i == 0 ? "a.example" : "b.example", DNS_TYPE_A,
		                  30000, &answer));
		assert_int_equal(answer->outcome, DNS_FAILED);
		assert_int_equal(answer->failure, DNS_FAILURE_TEMPORARY);
		assert_string_equal(answer->why, "no server of the DNS can be reached");
		assert_true(since_ms(began_ms) < 15000);
	}
	assert_ok(look_up(house, courier, "known.example", DNS_TYPE_A, 10000, &answer));
	assert_int_equal(answer->outcome, DNS_FOUND);
	/* It is noticed when the network is back. */
	atomic_store(&house->server.silent, false);
	bool back = false;
	for (int i = 0; i < 100 && !back; i++) {
		char name[32];
		snprintf(name, sizeof(name), "back%d.example", i);
		usleep(100 * 1000);
		assert_ok(look_up(house, courier, name, DNS_TYPE_A, 10000, &answer));
		back = answer->outcome == DNS_FOUND;
	}
	assert_true(back);
	ipc_channel_unref(courier);
}

/* However many of them strangers have looked up. */
static void silent_names_do_not_make_the_network_silent(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200], name[32];
	start_room(house, forward_to_server(house, config, ""));
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "slow%d.example", i);
		int64_t began_ms = clock_monotonic_ms(clock_real());
		assert_ok(look_up(house, courier, name, DNS_TYPE_A, 2500, &answer));
		assert_string_equal(answer->why, "no answer in time");
		assert_true(since_ms(began_ms) >= 2400);
	}
	ipc_channel_unref(courier);
}

/* The root of the world is signed, that of the server here is not. */
static void unsigned_answers_fail_validation_behind_the_walls(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200];
	snprintf(config, sizeof(config), "{mode: forward, servers: [\"127.0.0.1:%u\"]}",
	         house->server.port);
	start_room(house, config);
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	assert_ok(look_up(house, courier, "a.example", DNS_TYPE_A, 5000, &answer));
	assert_int_equal(answer->outcome, DNS_FAILED);
	assert_int_equal(answer->security, DNS_BOGUS);
	assert_int_equal(answer->failure, DNS_FAILURE_AUTHENTICATION);
	ipc_channel_unref(courier);
}

static void trust_asks_the_servers_themselves(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	char config[200];
	snprintf(config, sizeof(config), "{mode: trust, servers: [\"127.0.0.1:%u\"]}",
	         house->server.port);
	start_room(house, config);
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	assert_ok(look_up(house, courier, "a.example", DNS_TYPE_A, 5000, &answer));
	assert_int_equal(answer->outcome, DNS_FOUND);
	assert_int_equal(answer->security, DNS_INSECURE); /* no AD bit */
	ipc_channel_unref(courier);
}

static void a_config_that_cannot_be_used_fails_lookups_alone(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	start_room(house, "{anchor: /nonexistent/anchor}");
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	assert_ok(look_up(house, courier, "a.example", DNS_TYPE_A, 5000, &answer));
	assert_int_equal(answer->outcome, DNS_FAILED);
	assert_int_equal(answer->failure, DNS_FAILURE_TEMPORARY);
	ipc_channel_unref(courier);
}

static void only_a_new_config_of_the_resolver_ends_it(void **state)
{
	struct house *house = *state;
	const struct dns_answer *answer;
	struct process_end end;
	char config[200];
	start_room(house, forward_to_server(house, config, ""));
	struct ipc_channel *courier = meet(house, IPC_ROOM_COURIER);
	resolver_house_configure(&house->room, config); /* the same */
	assert_ok(look_up(house, courier, "a.example", DNS_TYPE_A, 5000, &answer));
	assert_err(process_reap(&house->room.room, &end), ERR_BUSY);
	resolver_house_configure(&house->room, forward_to_server(house, config, ", timeout: 3s"));
	assert_ok(process_wait(&house->room.room, 10000, &end));
	assert_false(end.by_signal);
	assert_int_equal(end.number, 0);
	ipc_channel_unref(courier);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(names_are_looked_up_behind_the_walls),
	        TEST(malformed_questions_are_refused_and_hurt_nobody),
	        TEST(slow_names_hold_up_no_others),
	        TEST(strangers_names_that_were_given_up_hold_up_no_others),
	        TEST(one_domain_holds_up_no_others),
	        TEST(a_silent_network_is_not_waited_for),
	        TEST(silent_names_do_not_make_the_network_silent),
	        TEST(unsigned_answers_fail_validation_behind_the_walls),
	        TEST(trust_asks_the_servers_themselves),
	        TEST(a_config_that_cannot_be_used_fails_lookups_alone),
	        TEST(only_a_new_config_of_the_resolver_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
