/* Starting rooms, starting them again with back-off when they end, and stopping the house in order.
 *
 * A room that ends is started again at once the first time; one that keeps ending within a minute
 * waits twice as long each time, up to half a minute.
 */
#include "rooms/house.h"

#include "os/fd.h"
#include "os/log.h"
#include "os/socket.h"

#include <signal.h>
#include <sys/epoll.h>

#include "rooms/runtime.h"

#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS   30000
#define STEADY_MS        60000 /* a room that lived this long starts afresh */
#define STOP_GATES_MS    10000
#define STOP_REST_MS     10000

struct house_room *house_room_add(struct house *house, enum ipc_room id, const char *program)
{
	struct house_room *room = base_alloc(sizeof(*room));
	room->house = house;
	room->id = id;
	room->program = program;
	room->process = PROCESS_NONE;
	room->restart_at = deadline_in(0);
	struct house_room **end = &house->rooms;
	while (*end)
		end = &(*end)->next;
	*end = room;
	return room;
}

struct house_room *house_room_find(struct house *house, enum ipc_room id)
{
	struct house_room *best = NULL;
	for (struct house_room *room = house->rooms; room; room = room->next) {
		if (room->id == id && room->state == ROOM_READY)
			return room;
		if (room->id == id && !best)
			best = room;
	}
	return best;
}

/* ---- starting ---- */

static void send_start(struct house_room *room)
{
	struct house *house = room->house;
	Door__Start start = DOOR__START__INIT;
	start.room = room->id;
	start.data_directory = house->data_directory;
	start.config_directory = door_string(house->config_directory);
	start.uid = house->uid;
	start.gid = house->gid;
	start.privileged = house->privileged;
	start.localserve = house->localserve;
	if (room->id == IPC_ROOM_VAULT || room->id == IPC_ROOM_ACCOUNT)
		start.ticket_key = door_binary(slice_of(house->ticket_key, HOUSE_TICKET_KEY_SIZE));
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	message.body_case = DOOR__ROOM_MESSAGE__BODY_START;
	message.start = &start;
	(void)door_send(room->channel, 0, &message.base, &house->config_fd, 1);
}

void house_send_listener(struct house_room *room, const struct house_listener *listener)
{
	Door__Listener description = DOOR__LISTENER__INIT;
	description.protocol = listener->protocol;
	description.name = listener->name;
	description.address = listener->address;
	description.port = listener->port;
	Door__Listen listen = DOOR__LISTEN__INIT;
	listen.listener = &description;
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	message.body_case = DOOR__ROOM_MESSAGE__BODY_LISTEN;
	message.listen = &listen;
	(void)door_send(room->channel, 0, &message.base, &listener->fd, 1);
}

static void send_listeners(struct house_room *room)
{
	for (struct house_listener *l = room->house->listeners; l; l = l->next)
		if (room_protocol_room(l->protocol) == room->id)
			house_send_listener(room, l);
}

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context);

static struct status spawn(struct house_room *room, struct os_fault *ret_fault)
{
	struct house *house = room->house;
	char path[4096];
	int pair[2];
	snprintf(path, sizeof(path), "%s/%s", house->program_directory, room->program);
	TRY(socket_pair_seqpacket(pair));
	const char *const argv[] = {path, NULL};
	const struct process_fd fds[] = {
	        {house->null_fd, 0}, {2, 1}, {2, 2}, {pair[1], ROOM_CHANNEL_FD}};
	struct status status = process_spawn(
	        &(struct process_options){
	                .path = path,
	                .argv = argv,
	                .fds = fds,
	                .n_fds = N_ELEMENTS(fds),
	                .death_signal = SIGKILL,
	                .new_session = true,
	        },
	        &room->process, ret_fault);
	fd_close(&pair[1]);
	if (!is_ok(status)) {
		fd_close(&pair[0]);
		return status;
	}
	room->channel = ipc_channel_new(pair[0], &(struct ipc_channel_options){
	                                                 .on_request = on_request,
	                                                 .context = room,
	                                                 .never_block = true,
	                                         });
	return ok();
}

static void start_room(struct house_room *room)
{
	struct os_fault fault = {0};
	struct status status = spawn(room, &fault);
	room->started_ms = clock_monotonic_ms(clock_real());
	room->n_starts++;
	if (!is_ok(status)) {
		log_error(0, "cannot start room", LOG_STR("room", ipc_room_name(room->id)),
		          LOG_STATUS(status), LOG_STR("fault", fault.text));
		room->backoff_ms = BACKOFF_MAX_MS;
		room->restart_at = deadline_in(room->backoff_ms);
		return;
	}
	room->state = ROOM_STARTING;
	struct epoll_event input = {.events = EPOLLIN, .data.ptr = room};
	epoll_ctl(room->house->epoll_fd, EPOLL_CTL_ADD, ipc_channel_fd(room->channel), &input);
	epoll_ctl(room->house->epoll_fd, EPOLL_CTL_ADD, room->process.pid_fd, &input);
	send_start(room);
	send_listeners(room);
	house_room_flush_pending(room);
}

void house_start_due(struct house *house)
{
	for (struct house_room *room = house->rooms; room; room = room->next)
		if (room->state == ROOM_WAITING && deadline_passed(room->restart_at))
			start_room(room);
}

int house_next_start_ms(const struct house *house)
{
	int next = -1;
	for (const struct house_room *room = house->rooms; room; room = room->next) {
		if (room->state != ROOM_WAITING)
			continue;
		int left = deadline_left_ms(room->restart_at);
		if (left >= 0 && (next < 0 || left < next))
			next = left;
	}
	return next;
}

/* ---- ready, ended ---- */

static void tell_when_all_ready(struct house *house)
{
	for (struct house_room *room = house->rooms; room; room = room->next)
		if (room->state != ROOM_READY)
			return;
	if (house->told_ready)
		return;
	house->told_ready = true;
	log_info(0, "ready", LOG_UINT("pid", (uint64_t)getpid()));
	printf("mailkeep: ready\n");
	fflush(stdout);
}

void house_room_ready(struct house_room *room, const char *sandbox)
{
	room->state = ROOM_READY;
	log_info(0, "room is ready", LOG_STR("room", ipc_room_name(room->id)),
	         LOG_UINT("pid", (uint64_t)room->process.pid), LOG_STR("sandbox", sandbox));
	house_room_flush_pending(room);
	tell_when_all_ready(room->house);
}

void house_forget_channel(struct house *house, struct ipc_channel *channel)
{
	epoll_ctl(house->epoll_fd, EPOLL_CTL_DEL, ipc_channel_fd(channel), NULL);
	ipc_channel_close(channel);
	ipc_channel_unref(channel);
}

void house_room_ended(struct house_room *room)
{
	struct process_end end = {0};
	if (!is_ok(process_reap(&room->process, &end)))
		return;
	int64_t lived_ms = clock_monotonic_ms(clock_real()) - room->started_ms;
	house_forget_channel(room->house, room->channel);
	room->channel = NULL;
	if (room->house->stopping) {
		room->state = ROOM_STOPPED;
		return;
	}
	if (lived_ms >= STEADY_MS || room->backoff_ms == 0)
		room->backoff_ms = BACKOFF_FIRST_MS;
	else
		room->backoff_ms = MIN(room->backoff_ms * 2, BACKOFF_MAX_MS);
	room->state = ROOM_WAITING;
	room->restart_at = deadline_in(room->backoff_ms);
	log_warn(0, "room ended, starting it again", LOG_STR("room", ipc_room_name(room->id)),
	         LOG_STR("by", end.by_signal ? "signal" : "exit"), LOG_INT("number", end.number),
	         LOG_INT("lived_ms", lived_ms), LOG_INT("pause_ms", room->backoff_ms));
}

/* ---- requests of rooms ---- */

static void apply_config(struct house_room *room, const struct ipc_packet *packet,
                         const Door__NewConfig *config, int fd);

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct house_room *room = context;
	struct arena arena;
	arena_init(&arena, (size_t)4 * 1024 * 1024);
	Door__SupervisorRequest *request = (Door__SupervisorRequest *)door_unpack(
	        &door__supervisor_request__descriptor, packet->payload, &arena);
	if (request && request->body_case == DOOR__SUPERVISOR_REQUEST__BODY_INTRODUCE)
		house_introduce(room->house, channel, room->id, "", packet, request->introduce);
	else if (request && request->body_case == DOOR__SUPERVISOR_REQUEST__BODY_READY)
		house_room_ready(room, request->ready->sandbox);
	else if (request && request->body_case == DOOR__SUPERVISOR_REQUEST__BODY_NEW_CONFIG &&
	         room->id == IPC_ROOM_STEWARD)
		apply_config(room, packet, request->new_config, ipc_packet_take_fd(packet, 0));
	else
		log_warn(0, "request that this room may not make",
		         LOG_STR("room", ipc_room_name(room->id)));
	arena_done(&arena);
}

static void apply_config(struct house_room *steward, const struct ipc_packet *packet,
                         const Door__NewConfig *config, int fd)
{
	struct house *house = steward->house;
	struct buf why;
	buf_init(&why, 4096);
	struct status status = fd < 0 ? fail(ERR_PROTOCOL, "no config was sent") : ok();
	if (is_ok(status) &&
	    !slice_eq_str(slice_str(config->data_directory), house->data_directory))
		status = fail(ERR_INVALID,
		              "data_directory cannot change while the server runs: restart it");
	if (is_ok(status))
		status = house_listen(house, config->listeners, config->n_listeners, &why);
	if (why.n > 0)
		status.why = buf_cstr(&why);
	if (!is_ok(status)) {
		log_error(0, "new config is not applied", LOG_STATUS(status));
		house_reply(steward->channel, packet, status, -1);
		fd_close(&fd);
		buf_done(&why);
		return;
	}
	fd_close(&house->config_fd);
	house->config_fd = fd;
	struct arena arena;
	arena_init(&arena, (size_t)1024 * 1024);
	Door__Config told = DOOR__CONFIG__INIT;
	house_describe_listeners(house, &arena, &told);
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	message.body_case = DOOR__ROOM_MESSAGE__BODY_CONFIG;
	message.config = &told;
	for (struct house_room *room = house->rooms; room; room = room->next) {
		if (!room->channel || room == steward)
			continue;
		(void)door_send(room->channel, 0, &message.base, &house->config_fd, 1);
		send_listeners(room);
	}
	house_accounts_send(house, &message.base, house->config_fd);
	house_reply(steward->channel, packet, ok(), -1);
	log_info(0, "new config is in force");
	arena_done(&arena);
	buf_done(&why);
}

/* ---- stopping ---- */

static void send_stop(struct ipc_channel *channel)
{
	Door__Stop stop = DOOR__STOP__INIT;
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	message.body_case = DOOR__ROOM_MESSAGE__BODY_STOP;
	message.stop = &stop;
	(void)door_send(channel, 0, &message.base, NULL, 0);
}

static bool is_gate(enum ipc_room id)
{
	return id == IPC_ROOM_GATE_MX || id == IPC_ROOM_GATE_LOGIN || id == IPC_ROOM_GATE_WEB;
}

/* Asks the rooms of one group to end and waits; those that do not are killed. */
static void stop_group(struct house *house, bool gates, int timeout_ms)
{
	struct deadline deadline = deadline_in(timeout_ms);
	for (struct house_room *room = house->rooms; room; room = room->next)
		if (is_gate(room->id) == gates && room->channel)
			send_stop(room->channel);
	for (struct house_room *room = house->rooms; room; room = room->next) {
		if (is_gate(room->id) != gates || room->process.pid == 0)
			continue;
		struct process_end end;
		int left = deadline_left_ms(deadline);
		if (!is_ok(process_wait(&room->process, left, &end))) {
			log_warn(0, "room did not end in time",
			         LOG_STR("room", ipc_room_name(room->id)));
			process_kill(&room->process);
		}
		room->state = ROOM_STOPPED;
	}
}

/* Account rooms are not our children: their channels' ends tell. */
static void stop_accounts(struct house *house, int timeout_ms)
{
	struct deadline deadline = deadline_in(timeout_ms);
	for (size_t i = 0; i < HOUSE_ACCOUNT_BUCKETS; i++)
		for (struct house_account *a = house->accounts[i]; a; a = a->next)
			send_stop(a->channel);
	for (size_t i = 0; i < HOUSE_ACCOUNT_BUCKETS; i++) {
		for (struct house_account *a = house->accounts[i]; a; a = a->next) {
			while (is_ok(ipc_channel_pump(a->channel))) {
				int left = deadline_left_ms(deadline);
				if (left == 0 ||
				    !is_ok(socket_wait_readable(ipc_channel_fd(a->channel), left)))
					break;
			}
		}
	}
}

void house_stop(struct house *house)
{
	house->stopping = true;
	log_info(0, "stopping");
	stop_group(house, true, STOP_GATES_MS);
	stop_accounts(house, STOP_REST_MS);
	stop_group(house, false, STOP_REST_MS);
	log_info(0, "stopped");
}
