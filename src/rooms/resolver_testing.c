/* A supervisor with one room. */
#include "rooms/resolver_testing.h"

#include "config/config.h"
#include "ipc/door.h"
#include "os/fd.h"
#include "os/socket.h"
#include "resolver.pb-c.h"
#include "supervisor.pb-c.h"

#define CHANNEL_FD     3
#define DOOR_MARGIN_MS 5000

static void note_ready(struct resolver_house *house)
{
	pthread_mutex_lock(&house->lock);
	house->ready = true;
	pthread_cond_signal(&house->cond);
	pthread_mutex_unlock(&house->lock);
}

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	(void)channel;
	(void)packet;
	note_ready(context);
}

static void listen_to_room(void *context)
{
	struct resolver_house *house = context;
	(void)ipc_channel_serve(house->supervisor);
	note_ready(house); /* or gone */
}

static int freeze_config(const char *resolver)
{
	struct config_sources sources = {.directory = "/etc/mailkeep"};
	struct buf text;
	int fd = -1;
	buf_init(&text, 4096);
	buf_printf(&text,
	           "hostname: mail.example.org\nlisteners: {a: {addresses: [127.0.0.1], imap: "
	           "{}}}\nresolver: %s\n",
	           resolver);
	sources.text[CONFIG_SERVER] = buf_slice(&text);
	ASSERT(is_ok(config_freeze(&sources, &fd)));
	buf_done(&text);
	return fd;
}

static void send_start(struct resolver_house *house, const char *resolver)
{
	Door__Start start = DOOR__START__INIT;
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	CLEANUP(fd_close) int config_fd = freeze_config(resolver);
	start.room = IPC_ROOM_RESOLVER;
	start.data_directory = door_string("/nonexistent");
	start.config_directory = door_string("/nonexistent");
	message.body_case = DOOR__ROOM_MESSAGE__BODY_START;
	message.start = &start;
	ASSERT(is_ok(door_send(house->supervisor, 0, &message.base, &config_fd, 1)));
}

static void spawn(struct resolver_house *house, const char *program)
{
	static const char *const argv[] = {"resolver", NULL};
	struct os_fault fault = {0};
	int fds[2];
	ASSERT(is_ok(socket_pair_seqpacket(fds)));
	const struct process_fd map[] = {{0, 0}, {1, 1}, {2, 2}, {fds[1], CHANNEL_FD}};
	struct process_options options = {.path = program,
	                                  .argv = argv,
	                                  .fds = map,
	                                  .n_fds = N_ELEMENTS(map),
	                                  .death_signal = 9};
	ASSERT(is_ok(process_spawn(&options, &house->room, &fault)));
	fd_close(&fds[1]);
	house->supervisor = ipc_channel_new(
	        fds[0], &(struct ipc_channel_options){.on_request = on_request, .context = house});
}

void resolver_house_start(struct resolver_house *house, const char *program, const char *resolver)
{
	const struct thread_options options = {.name = "supervisor", .joinable = true};
	*house = (struct resolver_house){.room = PROCESS_NONE};
	pthread_mutex_init(&house->lock, NULL);
	pthread_cond_init(&house->cond, NULL);
	spawn(house, program);
	send_start(house, resolver);
	ASSERT(is_ok(thread_start(&options, listen_to_room, house, &house->thread)));
	pthread_mutex_lock(&house->lock);
	while (!house->ready)
		pthread_cond_wait(&house->cond, &house->lock);
	pthread_mutex_unlock(&house->lock);
	ASSERT(!ipc_channel_is_closed(house->supervisor));
}

void resolver_house_stop(struct resolver_house *house)
{
	if (!house->supervisor)
		return;
	process_kill(&house->room);
	ipc_channel_close(house->supervisor);
	thread_join(house->thread);
	ipc_channel_unref(house->supervisor);
	house->supervisor = NULL;
	pthread_cond_destroy(&house->cond);
	pthread_mutex_destroy(&house->lock);
}

void resolver_house_configure(struct resolver_house *house, const char *resolver)
{
	Door__Config config = DOOR__CONFIG__INIT;
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	CLEANUP(fd_close) int config_fd = freeze_config(resolver);
	message.body_case = DOOR__ROOM_MESSAGE__BODY_CONFIG;
	message.config = &config;
	ASSERT(is_ok(door_send(house->supervisor, 0, &message.base, &config_fd, 1)));
}

struct ipc_channel *resolver_house_meet(struct resolver_house *house, enum ipc_room who)
{
	Door__Meet request = DOOR__MEET__INIT;
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	int fds[2];
	ASSERT(is_ok(socket_pair_seqpacket(fds)));
	request.room = who;
	message.body_case = DOOR__ROOM_MESSAGE__BODY_MEET;
	message.meet = &request;
	ASSERT(is_ok(door_send(house->supervisor, 0, &message.base, &fds[1], 1)));
	fd_close(&fds[1]);
	return ipc_channel_new(fds[0], &(struct ipc_channel_options){.context = NULL});
}

struct status resolver_house_look_up(struct ipc_channel *channel, const char *name, uint32_t type,
                                     uint32_t timeout_ms, struct arena *arena,
                                     const struct dns_answer **ret_answer)
{
	Door__Lookup lookup = DOOR__LOOKUP__INIT;
	Door__ResolverRequest request = DOOR__RESOLVER_REQUEST__INIT;
	ProtobufCMessage *message;
	int patience_ms = (int)MIN(timeout_ms, 120000u) + DOOR_MARGIN_MS;
	lookup.name = door_string(name);
	lookup.type = type;
	lookup.timeout_ms = timeout_ms;
	request.body_case = DOOR__RESOLVER_REQUEST__BODY_LOOKUP;
	request.lookup = &lookup;
	TRY(door_call(channel, 1, &request.base, NULL, 0, patience_ms,
	              &door__resolver_reply__descriptor, arena, &message, NULL));
	const Door__ResolverReply *reply = (const Door__ResolverReply *)message;
	TRY(door_status(reply->status->code, reply->status->why));
	return dns_answer_unpack(door_bytes(reply->answer), arena, ret_answer);
}
