/* The life of a room without work. */
#include "rooms/resting.h"

#include "os/fd.h"
#include "os/file.h"
#include "os/process.h"
#include "rooms/runtime.h"

#include <fcntl.h>

struct resting {
	const char *directory;
};

static void refuse(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	(void)context;
	Door__Status text = DOOR__STATUS__INIT;
	text.code = ERR_UNSUPPORTED;
	text.why = door_string("this room has no work in this release");
	Door__SupervisorReply reply = DOOR__SUPERVISOR_REPLY__INIT;
	reply.status = &text;
	(void)door_answer(channel, packet, &reply.base, NULL, 0);
}

static void serve(void *context)
{
	struct ipc_channel *channel = context;
	(void)ipc_channel_serve(channel);
	ipc_channel_unref(channel);
}

static void on_meet(struct room *room, enum ipc_room who, struct slice name, int fd)
{
	(void)room;
	(void)who;
	(void)name;
	struct ipc_channel *channel =
	        ipc_channel_new(fd, &(struct ipc_channel_options){.on_request = refuse});
	if (!is_ok(thread_start(&(struct thread_options){.name = "door"}, serve, channel, NULL)))
		ipc_channel_unref(channel);
}

static struct status warm(struct room *room, struct sandbox_context *walls)
{
	const struct resting *resting = room->state;
	char path[4096];
	if (!resting->directory) {
		walls->chroot = false;
		return ok();
	}
	snprintf(path, sizeof(path), "%s/%s", room->start->data_directory, resting->directory);
	return file_open_dir(AT_FDCWD, path, &walls->own_dir, NULL);
}

int room_rest(int argc, char **argv, enum sandbox_room walls, const char *directory)
{
	static const struct room_ops ops = {.warm = warm, .meet = on_meet};
	struct resting *resting = base_alloc(sizeof(*resting));
	resting->directory = directory;
	return room_main(argc, argv, walls, &ops, resting);
}
