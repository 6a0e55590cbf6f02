/* Channels between rooms: pairing, descriptors, many callers, hostile packets; the matrix. */
#include "account.pb-c.h"
#include "ipc/channel.h"
#include "ipc/door.h"
#include "ipc/room.h"
#include "vault.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

static void make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

/* Answers with the payload reversed and gives the descriptor back. */
static void answer_reversed(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	(void)context;
	uint8_t reversed[256];
	for (size_t i = 0; i < packet->payload.n; i++)
		reversed[i] = packet->payload.p[packet->payload.n - 1 - i];
	(void)ipc_answer(channel, packet->id, packet->cid, slice_of(reversed, packet->payload.n),
	                 packet->fds, packet->n_fds);
}

static void *serve(void *channel)
{
	(void)ipc_channel_serve(channel);
	return NULL;
}

struct house {
	struct ipc_channel *client, *server;
	pthread_t thread;
};

static void open_house(struct house *house)
{
	int fds[2];
	make_pair(fds);
	house->client = ipc_channel_new(fds[0], NULL);
	house->server = ipc_channel_new(
	        fds[1], &(struct ipc_channel_options){.on_request = answer_reversed});
	assert_int_equal(pthread_create(&house->thread, NULL, serve, house->server), 0);
}

static void close_house(struct house *house)
{
	ipc_channel_close(house->client);
	pthread_join(house->thread, NULL);
	ipc_channel_unref(house->client);
	ipc_channel_unref(house->server);
}

static void a_call_gets_its_reply_and_descriptor(void **state)
{
	(void)state;
	struct house house;
	open_house(&house);
	int fd = memfd_create("test", MFD_CLOEXEC);
	CLEANUP(ipc_reply_done) struct ipc_reply reply = {0};
	assert_true(is_ok(ipc_call(house.client, 7, SLICE("abc"), &fd, 1, 1000, &reply)));
	assert_true(slice_eq_str(reply.packet.payload, "cba"));
	assert_int_equal(reply.packet.cid, 7);
	int back = ipc_packet_take_fd(&reply.packet, 0);
	assert_true(back >= 0 && (fcntl(back, F_GETFD) & FD_CLOEXEC));
	close(back);
	close(fd);
	close_house(&house);
}

#define CALLS_PER_THREAD 500

static void *call_many(void *argument)
{
	struct ipc_channel *channel = argument;
	for (int i = 0; i < CALLS_PER_THREAD; i++) {
		char text[32], reversed[32];
		int n = snprintf(text, sizeof(text), "%p-%d", (void *)&i, i);
		for (int j = 0; j < n; j++)
			reversed[j] = text[n - 1 - j];
		CLEANUP(ipc_reply_done) struct ipc_reply reply = {0};
		if (!is_ok(ipc_call(channel, 0, slice_of(text, (size_t)n), NULL, 0, 5000,
		                    &reply)) ||
		    !slice_eq(reply.packet.payload, slice_of(reversed, (size_t)n)))
			return argument;
	}
	return NULL;
}

static void many_threads_share_one_channel(void **state)
{
	(void)state;
	struct house house;
	open_house(&house);
	pthread_t threads[8];
	for (size_t i = 0; i < N_ELEMENTS(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_many, house.client), 0);
	for (size_t i = 0; i < N_ELEMENTS(threads); i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	close_house(&house);
}

static void *call_in_vain(void *channel)
{
	struct ipc_reply reply = {0};
	struct status status = ipc_call(channel, 0, SLICE("abc"), NULL, 0, 100, &reply);
	return status.code == ERR_TIMEOUT ? NULL : channel;
}

/* A room's thread calls before the room begins to serve on the same channel, and reads for all:
 * when its call has ended nobody else waits for a reply, and the server must hear that it is his
 * turn. */
static void a_server_takes_over_from_a_caller(void **state)
{
	const struct ipc_channel_options options = {.on_request = answer_reversed};
	struct ipc_channel *ours, *theirs;
	pthread_t caller, server;
	void *failed;
	int fds[2];
	(void)state;
	make_pair(fds);
	ours = ipc_channel_new(fds[0], &options);
	theirs = ipc_channel_new(fds[1], &options);
	assert_int_equal(pthread_create(&caller, NULL, call_in_vain, ours), 0);
	usleep(30000);
	assert_int_equal(pthread_create(&server, NULL, serve, ours), 0);
	pthread_join(caller, &failed);
	assert_null(failed);
	CLEANUP(ipc_reply_done) struct ipc_reply reply = {0};
	assert_true(is_ok(ipc_call(theirs, 0, SLICE("xyz"), NULL, 0, 10000, &reply)));
	assert_true(slice_eq_str(reply.packet.payload, "zyx"));
	ipc_channel_close(ours);
	pthread_join(server, NULL);
	ipc_channel_unref(ours);
	ipc_channel_unref(theirs);
}

static void a_call_times_out_and_ends_with_the_channel(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct ipc_channel *client = ipc_channel_new(fds[0], NULL);
	struct ipc_reply reply;
	assert_int_equal(ipc_call(client, 0, SLICE("x"), NULL, 0, 20, &reply).code, ERR_TIMEOUT);
	close(fds[1]);
	assert_int_equal(ipc_call(client, 0, SLICE("x"), NULL, 0, 1000, &reply).code, ERR_CLOSED);
	assert_true(ipc_channel_is_closed(client) ||
	            ipc_call(client, 0, SLICE("x"), NULL, 0, 1000, &reply).code == ERR_CLOSED);
	ipc_channel_unref(client);
}

static void hostile_packets_end_the_channel_only(void **state)
{
	(void)state;
	static const char *const bad[] = {"x", "shorter than a head", "twenty-four bytes here!!"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		int fds[2];
		make_pair(fds);
		struct ipc_channel *server = ipc_channel_new(
		        fds[1], &(struct ipc_channel_options){.on_request = answer_reversed});
		assert_int_equal(send(fds[0], bad[i], strlen(bad[i]), 0), (int)strlen(bad[i]));
		assert_int_equal(ipc_channel_serve(server).code, ERR_PROTOCOL);
		ipc_channel_unref(server);
		close(fds[0]);
	}
	/* A request to a room that answers none. */
	int fds[2];
	make_pair(fds);
	struct ipc_channel *client = ipc_channel_new(fds[0], NULL);
	struct ipc_channel *mute = ipc_channel_new(fds[1], NULL);
	assert_true(is_ok(ipc_send(client, 0, SLICE("hello"), NULL, 0)));
	assert_int_equal(ipc_channel_pump(mute).code, ERR_PROTOCOL);
	ipc_channel_unref(mute);
	ipc_channel_unref(client);
}

static void an_oversized_message_is_refused_by_the_sender(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct ipc_channel *client = ipc_channel_new(fds[0], NULL);
	CLEANUP(base_freep) uint8_t *big = base_alloc(IPC_PACKET_MAX + 1);
	assert_int_equal(ipc_send(client, 0, slice_of(big, IPC_PACKET_MAX + 1), NULL, 0).code,
	                 ERR_LIMIT);
	assert_true(is_ok(ipc_send(client, 0, slice_of(big, IPC_PACKET_MAX), NULL, 0)));
	ipc_channel_unref(client);
	close(fds[1]);
}

static void a_door_message_round_trips(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 100000);
	Door__Deliver deliver = DOOR__DELIVER__INIT;
	deliver.size = 12345;
	deliver.prefix = door_binary(SLICE("Received: x\r\n"));
	Door__AccountRequest request = DOOR__ACCOUNT_REQUEST__INIT;
	request.body_case = DOOR__ACCOUNT_REQUEST__BODY_DELIVER;
	request.deliver = &deliver;
	CLEANUP(door_packed_done) struct door_packed packed;
	door_pack(&request.base, &packed);
	Door__AccountRequest *back = (Door__AccountRequest *)door_unpack(
	        &door__account_request__descriptor, packed.bytes, &arena);
	assert_non_null(back);
	assert_int_equal(back->body_case, DOOR__ACCOUNT_REQUEST__BODY_DELIVER);
	assert_int_equal(back->deliver->size, 12345);
	assert_true(slice_eq_str(door_bytes(back->deliver->prefix), "Received: x\r\n"));
	assert_null(door_unpack(&door__account_request__descriptor, SLICE("\xff\xff\xff"), &arena));
	/* Fields that the door does not have, on top and inside. */
	assert_null(door_unpack(&door__account_request__descriptor, SLICE("\x78\x01"), &arena));
	assert_null(
	        door_unpack(&door__account_request__descriptor, SLICE("\x0a\x02\x78\x01"), &arena));
	arena_done(&arena);
}

static void only_the_matrix_introduces(void **state)
{
	(void)state;
	assert_true(ipc_may_introduce(IPC_ROOM_GATE_MX, IPC_ROOM_ACCOUNT));
	assert_true(ipc_may_introduce(IPC_ROOM_ACCOUNT, IPC_ROOM_VAULT)); /* to sign (DKIM) */
	assert_false(ipc_may_introduce(IPC_ROOM_ACCOUNT, IPC_ROOM_RESOLVER));
	assert_false(ipc_may_introduce(IPC_ROOM_ACCOUNT, IPC_ROOM_ACCOUNT));
	assert_false(ipc_may_introduce(IPC_ROOM_GATE_LOGIN, IPC_ROOM_STEWARD));
	assert_false(ipc_may_introduce(IPC_ROOM_WEB, IPC_ROOM_VAULT));
	for (int room = 0; room < IPC_ROOM_COUNT; room++) {
		assert_false(ipc_may_introduce((enum ipc_room)room, IPC_ROOM_SUPERVISOR));
		assert_false(ipc_may_introduce((enum ipc_room)room, (enum ipc_room)room));
	}
}

static void what_was_packed_is_overwritten(void **state)
{
	uint8_t password[] = "a password";
	static const uint8_t nothing[sizeof(password)] = {0};
	Door__VaultRequest request = DOOR__VAULT_REQUEST__INIT;
	Door__VerifyPlain verify = DOOR__VERIFY_PLAIN__INIT;
	struct door_packed packed;
	(void)state;
	verify.password = door_binary(slice_of(password, sizeof(password)));
	request.body_case = DOOR__VAULT_REQUEST__BODY_VERIFY_PLAIN;
	request.verify_plain = &verify;
	door_pack(&request.base, &packed);
	size_t at = slice_find(packed.bytes, slice_of(password, sizeof(password)));
	assert_true(at != SIZE_MAX && at + sizeof(password) <= sizeof(packed.small));
	door_packed_done(&packed);
	assert_memory_equal(packed.small + at, nothing, sizeof(nothing));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_call_gets_its_reply_and_descriptor),
	        cmocka_unit_test(many_threads_share_one_channel),
	        cmocka_unit_test(a_server_takes_over_from_a_caller),
	        cmocka_unit_test(a_call_times_out_and_ends_with_the_channel),
	        cmocka_unit_test(hostile_packets_end_the_channel_only),
	        cmocka_unit_test(an_oversized_message_is_refused_by_the_sender),
	        cmocka_unit_test(a_door_message_round_trips),
	        cmocka_unit_test(what_was_packed_is_overwritten),
	        cmocka_unit_test(only_the_matrix_introduces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
