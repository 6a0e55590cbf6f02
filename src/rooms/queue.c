/* The queue room: outgoing mail from its acknowledgement until it is delivered or its sender is
 * told. See queue_room.h for its parts.
 *
 * SECURITY. Hears account rooms (their own mail and what came of it), steward (the administrator's
 * commands, reports about mail that it wrote) and the answers of couriers and account rooms it
 * asked. It looks into no message but for the header that a report returns. Holds the queue's
 * directory; no network. An intruder gains mail that is on its way out, and may deliver into
 * mailboxes.
 */
#include "rooms/queue_room.h"

#include "ipc/request.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/socket.h"

#include <fcntl.h>
#include <malloc.h>

#define DOOR_STACK       ((size_t)256 * 1024)
#define DOOR_MEMORY      ((size_t)QUEUE_ADD_BATCH * 8 * IPC_PACKET_MAX)
#define OPEN_PATIENCE_MS 15000
#define OPEN_PAUSE_MS    50

/* ---- the door ---- */

void queue_door_answer(const struct queue_door *door, const struct ipc_packet *packet,
                       struct status status, Door__QueueReply *reply, int fd)
{
	Door__Status text = DOOR__STATUS__INIT;
	text.code = status.code;
	text.why = door_string(status.why);
	reply->status = &text;
	(void)door_answer(door->channel, packet, &reply->base, &fd, fd >= 0);
}

static void refuse(const struct queue_door *door, const struct ipc_packet *packet,
                   struct status status)
{
	Door__QueueReply reply = DOOR__QUEUE_REPLY__INIT;
	queue_door_answer(door, packet, status, &reply, -1);
}

static void on_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct queue_door *door = context;
	(void)channel;
	/* What is added must outlive this packet: it is unpacked into the batch's arena. */
	Door__QueueRequest *request = (Door__QueueRequest *)door_unpack(
	        &door__queue_request__descriptor, packet->payload, &door->arena);
	if (!request) {
		refuse(door, packet, fail(ERR_PROTOCOL, "malformed request"));
	} else if (!ipc_may_request(door->who, IPC_ROOM_QUEUE, request->body_case)) {
		log_warn(packet->cid, "request that this room may not make",
		         LOG_STR("room", ipc_room_name(door->who)));
		refuse(door, packet, fail(ERR_DENIED, "not for this room"));
	} else if (request->body_case == DOOR__QUEUE_REQUEST__BODY_ADD) {
		queue_on_add(door, packet, request->add);
	} else if (request->body_case == DOOR__QUEUE_REQUEST__BODY_REPORTED) {
		queue_on_reported(door, packet, request->reported);
	} else if (request->body_case == DOOR__QUEUE_REQUEST__BODY_REPORT) {
		queue_on_report(door, packet, request->report);
	} else {
		queue_on_people(door, packet, request);
	}
	if (door->n_adds == QUEUE_ADD_BATCH || arena_failed(&door->arena))
		queue_commit_adds(door);
	if (door->n_adds == 0)
		arena_reset(&door->arena);
}

/* Waits, takes all that has arrived, adds it in one commit, answers; again. */
static void run_door(void *context)
{
	struct queue_door *door = context;
	while (is_ok(socket_wait_readable(ipc_channel_fd(door->channel), -1))) {
		struct status status = ipc_channel_pump(door->channel);
		queue_commit_adds(door);
		if (!is_ok(status))
			break;
	}
	ipc_channel_unref(door->channel);
	arena_done(&door->arena);
	base_free(door->name);
	base_free(door);
}

static void on_meet(struct room *room, enum ipc_room who, struct slice name, int fd)
{
	struct queue_door *door = base_alloc(sizeof(*door));
	door->room = room->state;
	door->who = who;
	door->name = slice_to_cstr(name);
	arena_init(&door->arena, DOOR_MEMORY);
	door->channel = ipc_channel_new(
	        fd, &(struct ipc_channel_options){.on_request = on_request, .context = door});
	struct thread_options options = {.name = "door", .stack_size = DOOR_STACK};
	if (door->name && is_ok(thread_start(&options, run_door, door, NULL)))
		return;
	ipc_channel_unref(door->channel);
	arena_done(&door->arena);
	base_free(door->name);
	base_free(door);
}

/* ---- life ---- */

static struct status warm(struct room *room, struct sandbox_context *walls)
{
	struct queue_room *q = room->state;
	char path[4096];
	q->room = room;
	snprintf(path, sizeof(path), "%s/queue", room->start->data_directory);
	TRY(file_open_dir(AT_FDCWD, path, &q->dir_fd, NULL));
	walls->own_dir = q->dir_fd;
	mallopt(M_ARENA_MAX, 2); /* many threads that mostly wait: not a heap for each */
	return ok();
}

/* The room of a supervisor that was killed may hold the queue for some moments more. */
static struct status open_patiently(const struct queue_options *options, struct queue **ret_queue)
{
	struct deadline deadline = deadline_in(OPEN_PATIENCE_MS);
	for (;;) {
		struct status status = queue_open(options, ret_queue);
		if (status.code != ERR_BUSY || deadline_passed(deadline))
			return status;
		usleep(OPEN_PAUSE_MS * 1000);
	}
}

static struct status open_queue(struct queue_room *q, const struct config *config)
{
	struct queue_options options = {
	        .dir_fd = q->dir_fd,
	        .path = "queue.db", /* behind the sandbox the directory is the current one */
	        .clock = clock_real(),
	        .observer = {.begin = queue_observe_begin,
	                     .end = queue_observe_end,
	                     .changed = queue_observe_changed,
	                     .left = queue_observe_left,
	                     .context = q},
	        .max_entries = config->queue.max_messages,
	        .max_size = config->queue.max_size,
	        .keep_retired_ms = (int64_t)config->queue.keep_retired_ms,
	};
	struct status status = open_patiently(&options, &q->queue);
	if (!is_ok(status)) {
		log_error(0, "the queue cannot be opened", LOG_STATUS(status));
		return status;
	}
	return queue_replay(q->queue);
}

static struct status begin(struct room *room)
{
	struct queue_room *q = room->state;
	struct queue_schedule_options options;
	struct queue_totals totals;
	q->config = room_config_get(room);
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->notice_lock, NULL);
	pthread_cond_init(&q->wake, NULL);
	pthread_cond_init(&q->job_there, NULL);
	pthread_cond_init(&q->notice_wake, NULL);
	queue_schedule_options_of(q, q->config->config, &options);
	q->schedule = queue_schedule_new(&options);
	TRY(open_queue(q, q->config->config));
	queue_totals(q->queue, &totals);
	log_info(0, "queue opened", LOG_UINT("entries", totals.n_entries),
	         LOG_UINT("retired", totals.n_retired), LOG_UINT("size", totals.size));
	TRY(queue_work_start(q));
	return queue_notices_start(q);
}

static void on_reconfigured(struct room *room, const Door__Config *message)
{
	struct queue_room *q = room->state;
	struct queue_schedule_options options;
	struct room_config *config = room_config_get(room), *old;
	(void)message;
	queue_schedule_options_of(q, config->config, &options);
	queue_set_limits(q->queue, config->config->queue.max_messages,
	                 config->config->queue.max_size,
	                 (int64_t)config->config->queue.keep_retired_ms);
	pthread_mutex_lock(&q->lock);
	old = q->config;
	q->config = config;
	queue_schedule_set_limits(q->schedule, &options);
	queue_schedule_replace(q->schedule);
	queue_dispatch(q);
	pthread_mutex_unlock(&q->lock);
	room_config_unref(old);
	queue_call_notices(q);
}

int main(int argc, char **argv)
{
	static const struct room_ops ops = {
	        .warm = warm, .begin = begin, .meet = on_meet, .reconfigured = on_reconfigured};
	struct queue_room *q = base_alloc(sizeof(*q));
	q->dir_fd = -1;
	return room_main(argc, argv, SANDBOX_QUEUE, &ops, q);
}
