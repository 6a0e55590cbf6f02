/* The life of a room's process, from its inherited channel to its end. */
#include "rooms/runtime.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/log.h"
#include "os/process.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/random.h>

#define START_ARENA_MAX   ((size_t)1024 * 1024)
#define MESSAGE_ARENA_MAX ((size_t)4 * 1024 * 1024)

void room_random(void *p, size_t n)
{
	uint8_t *at = p;
	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		ASSERT(got > 0);
		at += got;
		n -= (size_t)got;
	}
}

uint64_t room_new_cid(void)
{
	uint64_t cid;
	do
		room_random(&cid, sizeof(cid));
	while (cid == 0);
	return cid;
}

void room_give_up(struct status status, const char *doing)
{
	log_error(0, "room cannot begin", LOG_STR("doing", doing), LOG_STATUS(status));
	_exit(1);
}

/* ---- config ---- */

struct room_config *room_config_ref(struct room_config *config)
{
	atomic_fetch_add(&config->references, 1);
	return config;
}

void room_config_unref(struct room_config *config)
{
	if (!config || atomic_fetch_sub(&config->references, 1) != 1)
		return;
	arena_done(&config->arena);
	base_free(config);
}

struct room_config *room_config_get(struct room *room)
{
	pthread_mutex_lock(&room->lock);
	struct room_config *config = room->config ? room_config_ref(room->config) : NULL;
	pthread_mutex_unlock(&room->lock);
	return config;
}

struct status room_config_load(int fd, struct room_config **ret_config)
{
	struct room_config *config = base_alloc(sizeof(*config));
	struct config_problems problems;
	atomic_init(&config->references, 1);
	arena_init(&config->arena, CONFIG_ARENA_MAX);
	config_problems_init(&problems);
	struct status status = config_load_frozen(fd, &config->arena, &config->config, &problems);
	config_problems_done(&problems);
	fd_close(&fd); /* what a room holds before its sandbox would be closed by it */
	if (!is_ok(status)) {
		room_config_unref(config);
		return status;
	}
	*ret_config = config;
	return ok();
}

void room_config_replace(struct room *room, int fd)
{
	struct room_config *config;
	struct status status = room_config_load(fd, &config);
	if (!is_ok(status)) {
		log_error(0, "new config is not usable here", LOG_STATUS(status));
		return;
	}
	pthread_mutex_lock(&room->lock);
	struct room_config *old = room->config;
	room->config = config;
	pthread_mutex_unlock(&room->lock);
	room_config_unref(old);
}

/* ---- messages of the supervisor ---- */

static void on_start(struct room *room, struct ipc_packet *packet)
{
	/* Kept for good, so unpacked again into an arena that lives as long as the room. */
	Door__RoomMessage *message = (Door__RoomMessage *)door_unpack(
	        &door__room_message__descriptor, packet->payload, &room->start_arena);
	if (room->started || !message || message->start->room >= IPC_ROOM_COUNT)
		BUG("malformed start message");
	room->start = message->start;
	room->id = (enum ipc_room)message->start->room;
	room->started = true;
	int fd = ipc_packet_take_fd(packet, 0);
	if (fd >= 0)
		room_config_replace(room, fd);
}

static void on_meet(struct room *room, const Door__Meet *meet, struct ipc_packet *packet)
{
	int fd = ipc_packet_take_fd(packet, 0);
	if (fd < 0)
		return;
	if (room->ops->meet && meet->room < IPC_ROOM_COUNT)
		room->ops->meet(room, (enum ipc_room)meet->room, slice_str(meet->name), fd);
	else
		fd_close(&fd);
}

static void on_config(struct room *room, const Door__Config *message, struct ipc_packet *packet)
{
	int fd = ipc_packet_take_fd(packet, 0);
	if (fd >= 0) {
		room_config_replace(room, fd);
		struct room_config *config = room_config_get(room);
		if (config)
			log_set_level((enum log_level)config->config->log.level);
		room_config_unref(config);
	}
	if (room->ops->reconfigured)
		room->ops->reconfigured(room, message);
}

static void on_message(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct room *room = context;
	struct arena arena;
	(void)channel;
	arena_init(&arena, MESSAGE_ARENA_MAX);
	Door__RoomMessage *message = (Door__RoomMessage *)door_unpack(
	        &door__room_message__descriptor, packet->payload, &arena);
	if (!message) {
		arena_done(&arena);
		return;
	}
	switch (message->body_case) {
	case DOOR__ROOM_MESSAGE__BODY_START:
		on_start(room, packet);
		break;
	case DOOR__ROOM_MESSAGE__BODY_MEET:
		on_meet(room, message->meet, packet);
		break;
	case DOOR__ROOM_MESSAGE__BODY_LISTEN:
		if (room->ops->listen && message->listen->listener)
			room->ops->listen(room, message->listen->listener,
			                  ipc_packet_take_fd(packet, 0));
		break;
	case DOOR__ROOM_MESSAGE__BODY_CONFIG:
		on_config(room, message->config, packet);
		break;
	case DOOR__ROOM_MESSAGE__BODY_FORK: {
		/* Copied: in the child the arena and the packet are of no concern. */
		char account[256];
		snprintf(account, sizeof(account), "%s", message->fork->account);
		int fd = ipc_packet_take_fd(packet, 0);
		arena_done(&arena);
		if (room->ops->fork && fd >= 0)
			room->ops->fork(room, slice_str(account), fd);
		else
			fd_close(&fd);
		return;
	}
	case DOOR__ROOM_MESSAGE__BODY_STOP:
		if (room->ops->stop)
			room->ops->stop(room);
		_exit(0);
	case DOOR__ROOM_MESSAGE__BODY__NOT_SET:
	case _DOOR__ROOM_MESSAGE__BODY__CASE_IS_INT_SIZE:
		break;
	}
	arena_done(&arena);
}

/* ---- life ---- */

static void set_up_log(const struct room *room)
{
	static char name[64]; /* kept by the log for the life of the process */
	const struct config_log *log = room->config ? &room->config->config->log : NULL;
	snprintf(name, sizeof(name), "%s", ipc_room_name(room->id));
	log_setup(&(struct log_options){
	        .room = name,
	        .level = log ? (enum log_level)log->level : LOG_LEVEL_INFO,
	        .format = log && log->format == CONFIG_LOG_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
	});
}

static void tell_ready(struct room *room, const struct sandbox_report *report)
{
	struct buf text;
	buf_init(&text, 1024);
	sandbox_report_print(report, &text);
	Door__Ready ready = DOOR__READY__INIT;
	ready.sandbox = door_string(buf_cstr(&text));
	Door__SupervisorRequest request = DOOR__SUPERVISOR_REQUEST__INIT;
	request.body_case = DOOR__SUPERVISOR_REQUEST__BODY_READY;
	request.ready = &ready;
	(void)door_send(room->supervisor, 0, &request.base, NULL, 0);
	buf_done(&text);
}

/* Unmaps what of a program's or library's file is mapped and never written: code and constants. It
 * is mapped again, from the page cache, when it is used. */
static int give_back_file_pages(struct dl_phdr_info *info, size_t size, void *context)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	(void)size;
	(void)context;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0)
			continue;
		uintptr_t from = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
		uintptr_t to = info->dlpi_addr + segment->p_vaddr + segment->p_filesz;
		(void)madvise((void *)from, to - from, MADV_DONTNEED); /* costs memory at worst */
	}
	return 0;
}

/* Warming up and the making of the walls took memory that is not needed again: on the heap, and
 * pages of libraries, of which each touch maps sixteen. */
static void give_back_memory(void)
{
	malloc_trim(0);
	(void)dl_iterate_phdr(give_back_file_pages, NULL);
}

/* From the sandbox to the end of the process. */
NORETURN static void live(struct room *room, enum sandbox_room walls,
                          struct sandbox_context *context)
{
	struct sandbox_report report = {0};
	struct status status = sandbox_enter(walls, context, &report);
	if (!is_ok(status)) {
		log_error(0, "sandbox is not tight", LOG_STATUS(status),
		          LOG_STR("fault", report.fault.text));
		_exit(1);
	}
	if (room->ops->begin) {
		status = room->ops->begin(room);
		if (!is_ok(status))
			room_give_up(status, "begin");
	}
	give_back_memory();
	tell_ready(room, &report);
	(void)ipc_channel_serve(room->supervisor);
	_exit(0); /* the supervisor is gone, and the house with it */
}

static void open_channel(struct room *room, int fd)
{
	room->supervisor = ipc_channel_new(
	        fd, &(struct ipc_channel_options){.on_request = on_message, .context = room});
}

/* The start message alone: descriptors in later ones must arrive behind the sandbox, which closes
 * all that it does not know. */
static void wait_for_start(struct room *room)
{
	while (!room->started)
		if (!is_ok(ipc_channel_step(room->supervisor)))
			_exit(1);
}

int room_main(int argc, char **argv, enum sandbox_room walls, const struct room_ops *ops,
              void *state)
{
	struct room *room = base_alloc(sizeof(*room));
	room->ops = ops;
	room->walls = walls;
	room->state = state;
	arena_init(&room->start_arena, START_ARENA_MAX);
	pthread_mutex_init(&room->lock, NULL);
	room_random(&room->peers_key, sizeof(room->peers_key));
	process_title_init(&room->title, argc, argv);
	open_channel(room, ROOM_CHANNEL_FD);
	wait_for_start(room);
	process_title_set(&room->title, ipc_room_name(room->id));
	set_up_log(room);

	struct sandbox_context context = {
	        .uid = room->start->privileged ? room->start->uid : 0,
	        .gid = room->start->privileged ? room->start->gid : 0,
	        .chroot = room->start->privileged,
	        .user_namespace = false,
	        .stay_root = !room->start->privileged,
	        .keep_fds = (const int[]){ROOM_CHANNEL_FD},
	        .n_keep_fds = 1,
	};
	if (ops->warm) {
		struct status status = ops->warm(room, &context);
		if (!is_ok(status))
			room_give_up(status, "warm up");
	}
	live(room, walls, &context);
}

void room_live_forked(struct room *room, int channel_fd, const struct room_ops *ops,
                      enum sandbox_room walls, struct sandbox_context *context)
{
	room->ops = ops;
	room->walls = walls;
	open_channel(room, channel_fd);
	live(room, walls, context);
}
