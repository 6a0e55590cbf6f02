/* The supervisor: starts the rooms, introduces them to each other, starts them again when they end.
 *
 *	supervisor --config DIR [--localserve]
 *
 * SECURITY. Talks to every room over one channel each and to nobody outside. Runs as root where
 * started so (to bind ports and to give rooms their uid), in localserve as the user. Parses no
 * config and no mail: steward gives it typed facts. An intruder here has everything; an intruder
 * elsewhere can only send it requests, which are bounded and checked against the matrix
 * (introductions.c).
 */
#include "rooms/house.h"

#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/socket.h"
#include "rooms/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define EVENTS_MAX         64
#define LISTEN_PATIENCE_MS 3000
#define LISTEN_PAUSE_MS    50
#define CHECK_TIMEOUT_MS   60000

NORETURN static void die(const char *what)
{
	fprintf(stderr, "mailkeep: %s\n", what);
	_exit(1);
}

/* ---- the config, by a first steward that only checks ---- */

struct check {
	struct house *house;
	struct arena arena;
	bool done;
	Door__NewConfig *config;
};

static void on_check_request(struct ipc_channel *channel, struct ipc_packet *packet, void *context)
{
	struct check *check = context;
	Door__SupervisorRequest *request = (Door__SupervisorRequest *)door_unpack(
	        &door__supervisor_request__descriptor, packet->payload, &check->arena);
	(void)channel;
	if (!request || request->body_case != DOOR__SUPERVISOR_REQUEST__BODY_NEW_CONFIG ||
	    check->done)
		return;
	check->house->config_fd = ipc_packet_take_fd(packet, 0);
	check->config = request->new_config;
	check->done = true;
	house_reply(channel, packet, ok(), -1);
}

static struct ipc_channel *start_checker(struct house *house, struct check *check,
                                         struct process *ret_process)
{
	char path[4096];
	int pair[2];
	struct os_fault fault = {0};
	snprintf(path, sizeof(path), "%s/steward", house->program_directory);
	if (!is_ok(socket_pair_seqpacket(pair)))
		die("out of descriptors");
	const char *const argv[] = {path, NULL};
	const struct process_fd fds[] = {
	        {house->null_fd, 0}, {2, 1}, {2, 2}, {pair[1], ROOM_CHANNEL_FD}};
	const struct process_options options = {.path = path,
	                                        .argv = argv,
	                                        .fds = fds,
	                                        .n_fds = N_ELEMENTS(fds),
	                                        .death_signal = SIGKILL};
	if (!is_ok(process_spawn(&options, ret_process, &fault))) {
		fprintf(stderr, "mailkeep: cannot start %s: %s\n", path, fault.text);
		_exit(1);
	}
	fd_close(&pair[1]);
	return ipc_channel_new(pair[0], &(struct ipc_channel_options){
	                                        .on_request = on_check_request, .context = check});
}

/* The steward prints what is wrong with the config itself; then we only end. */
static void load_config(struct house *house, struct check *check)
{
	struct process process = PROCESS_NONE;
	struct process_end end;
	arena_init(&check->arena, (size_t)4 * 1024 * 1024);
	check->house = house;
	struct ipc_channel *channel = start_checker(house, check, &process);
	Door__Start start = DOOR__START__INIT;
	start.room = IPC_ROOM_STEWARD;
	start.config_directory = door_string(house->config_directory);
	start.check_only = true;
	Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
	message.body_case = DOOR__ROOM_MESSAGE__BODY_START;
	message.start = &start;
	(void)door_send(channel, 0, &message.base, NULL, 0);
	while (!check->done &&
	       is_ok(socket_wait_readable(ipc_channel_fd(channel), CHECK_TIMEOUT_MS)) &&
	       is_ok(ipc_channel_pump(channel)))
		;
	ipc_channel_unref(channel);
	(void)process_wait(&process, 5000, &end);
	process_kill(&process);
	if (!check->done || house->config_fd < 0)
		_exit(1);
	house->data_directory = base_strdup(check->config->data_directory);
}

/* ---- who and where ---- */

static void choose_user(struct house *house, const char *user)
{
	house->privileged = geteuid() == 0 && !house->localserve;
	house->uid = geteuid();
	house->gid = getegid();
	if (!house->privileged)
		return;
	struct passwd *entry = getpwnam(user);
	if (!entry) {
		fprintf(stderr,
		        "mailkeep: there is no Unix user \"%s\"; make it (useradd --system %s) or "
		        "name "
		        "another in mailkeep.yaml, field user\n",
		        user, user);
		_exit(1);
	}
	if (entry->pw_uid == 0)
		die("field user in mailkeep.yaml must not be root");
	house->uid = entry->pw_uid;
	house->gid = entry->pw_gid;
}

static void make_directories(const struct house *house)
{
	static const char *const names[] = {"", "accounts", "queue", "vault", "steward", "spool"};
	struct os_fault fault = {0};
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		char path[4096];
		int n = snprintf(path, sizeof(path), "%s/%s", house->data_directory, names[i]);
		if (n < 0 || (size_t)n >= sizeof(path))
			die("data_directory is too long");
		struct status status = file_mkdir_all(AT_FDCWD, path, 0700, &fault);
		if (!is_ok(status)) {
			fprintf(stderr, "mailkeep: cannot make %s: %s\n", path, fault.text);
			_exit(1);
		}
		if (house->privileged && chown(path, house->uid, house->gid) < 0)
			die("cannot give the data directory to its user");
	}
}

/* ---- the loop ---- */

static void on_signal(struct house *house)
{
	struct signalfd_siginfo info;
	while (read(house->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
			house->stopping = true;
		} else if (info.ssi_signo == SIGHUP) {
			struct house_room *steward = house_room_find(house, IPC_ROOM_STEWARD);
			Door__Config config = DOOR__CONFIG__INIT;
			Door__RoomMessage message = DOOR__ROOM_MESSAGE__INIT;
			message.body_case = DOOR__ROOM_MESSAGE__BODY_CONFIG;
			message.config = &config;
			if (steward && steward->channel)
				(void)door_send(steward->channel, 0, &message.base, NULL, 0);
		}
	}
	/* Account rooms whose zygote died become our children (we are their subreaper). */
}

static bool is_own_child(const struct house *house, pid_t pid)
{
	for (const struct house_room *room = house->rooms; room; room = room->next)
		if (room->process.pid == pid)
			return true;
	return false;
}

static void reap_orphans(struct house *house)
{
	siginfo_t info;
	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		if (is_own_child(house, info.si_pid))
			return; /* its pid fd tells; looked at again afterwards */
		waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
	}
}

static void on_room_event(struct house_room *room)
{
	if (room->channel && !ipc_channel_is_closed(room->channel) &&
	    !is_ok(ipc_channel_pump(room->channel))) {
		epoll_ctl(room->house->epoll_fd, EPOLL_CTL_DEL, ipc_channel_fd(room->channel),
		          NULL);
		(void)process_signal(&room->process, SIGKILL); /* a room without us is no use */
	}
	if (room->process.pid != 0)
		house_room_ended(room);
}

static void run(struct house *house)
{
	struct epoll_event events[EVENTS_MAX];
	while (!house->stopping) {
		house_start_due(house);
		int n = epoll_wait(house->epoll_fd, events, EVENTS_MAX, house_next_start_ms(house));
		for (int i = 0; i < n; i++) {
			uint64_t tag = events[i].data.u64;
			if (tag == 0) {
				on_signal(house);
			} else if (tag & 1) {
				struct house_account *account =
				        (struct house_account *)(uintptr_t)(tag & ~(uint64_t)1);
				if (!is_ok(ipc_channel_pump(account->channel)))
					house_account_gone(account);
			} else {
				on_room_event((struct house_room *)(uintptr_t)tag);
			}
		}
		reap_orphans(house);
	}
}

static void add_rooms(struct house *house, const Door__NewConfig *config)
{
	house_room_add(house, IPC_ROOM_VAULT, "vault");
	house_room_add(house, IPC_ROOM_RESOLVER, "resolver");
	house_room_add(house, IPC_ROOM_COURIER, "courier");
	house_room_add(house, IPC_ROOM_QUEUE, "queue");
	house_room_add(house, IPC_ROOM_ACCOUNT, "account");
	house_room_add(house, IPC_ROOM_WEB, "web");
	for (unsigned i = 0; i < MIN(MAX(config->n_gates_mx, 1), HOUSE_GATES_MAX); i++)
		house_room_add(house, IPC_ROOM_GATE_MX, "gate");
	for (unsigned i = 0; i < MIN(MAX(config->n_gates_login, 1), HOUSE_GATES_MAX); i++)
		house_room_add(house, IPC_ROOM_GATE_LOGIN, "gate");
	for (unsigned i = 0; i < MIN(MAX(config->n_gates_web, 1), HOUSE_GATES_MAX); i++)
		house_room_add(house, IPC_ROOM_GATE_WEB, "gate");
	house_room_add(house, IPC_ROOM_STEWARD, "steward");
}

static void set_up_loop(struct house *house)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	house->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	house->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event input = {.events = EPOLLIN, .data.u64 = 0};
	if (house->signal_fd < 0 || house->epoll_fd < 0 ||
	    epoll_ctl(house->epoll_fd, EPOLL_CTL_ADD, house->signal_fd, &input) < 0)
		die("cannot set up the event loop");
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* Two servers on one data directory would destroy it: the lock is held as long as we live. */
static void lock_data(const struct house *house)
{
	char path[4096];
	int fd;
	snprintf(path, sizeof(path), "%s/lock", house->data_directory);
	struct os_fault fault = {0};
	struct status status = file_lock(AT_FDCWD, path, &fd, &fault);
	if (status.code == ERR_BUSY) {
		fprintf(stderr, "mailkeep: another mailkeep already runs on %s\n",
		        house->data_directory);
		_exit(1);
	}
	if (!is_ok(status)) {
		fprintf(stderr, "mailkeep: cannot lock %s: %s\n", path, fault.text);
		_exit(1);
	}
}

/* After a supervisor was killed its gates hold their sockets for some moments more. */
static struct status listen_patiently(struct house *house, const Door__NewConfig *config,
                                      struct buf *why)
{
	struct deadline deadline = deadline_in(LISTEN_PATIENCE_MS);
	for (;;) {
		buf_reset(why);
		struct status status =
		        house_listen(house, config->listeners, config->n_listeners, why);
		if (status.code != ERR_EXISTS || deadline_passed(deadline))
			return status;
		usleep(LISTEN_PAUSE_MS * 1000);
	}
}

static void parse_arguments(struct house *house, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (slice_eq_str(slice_str(argv[i]), "--localserve"))
			house->localserve = true;
		else if (slice_eq_str(slice_str(argv[i]), "--config") && i + 1 < argc)
			house->config_directory = argv[++i];
		else
			die("supervisor is started by `mailkeep serve` or `mailkeep localserve`");
	}
	if (!house->config_directory)
		die("supervisor is started by `mailkeep serve` or `mailkeep localserve`");
}

/* Its walls are wide, since the rooms come from it, but they are there: no system call that no room
 * needs, no capability that sealing the rooms and binding ports does not take. */
static void enter_sandbox(const struct house *house)
{
	const int keep[] = {house->null_fd, house->config_fd};
	struct sandbox_report report = {0};
	const struct sandbox_context context = {
	        .keep_fds = keep, .n_keep_fds = N_ELEMENTS(keep), .stay_root = true};
	struct status status = sandbox_enter(SANDBOX_SUPERVISOR, &context, &report);
	if (!is_ok(status)) {
		fprintf(stderr, "mailkeep: sandbox is not tight: %s\n", report.fault.text);
		_exit(1);
	}
}

static char *own_directory(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n <= 0)
		die("cannot find the rooms' programs: /proc is not mounted");
	path[n] = 0;
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = 0;
	return base_strdup(path);
}

int main(int argc, char **argv)
{
	struct house house = {.config_fd = -1};
	struct check check = {0};
	struct buf why;
	parse_arguments(&house, argc, argv);
	log_setup(&(struct log_options){.room = "supervisor", .level = LOG_LEVEL_INFO});
	house.program_directory = own_directory();
	room_random(house.ticket_key, sizeof(house.ticket_key));
	room_random(&house.hash_key, sizeof(house.hash_key));
	if (!is_ok(file_open(AT_FDCWD, "/dev/null", O_RDWR, 0, &house.null_fd, NULL)))
		die("cannot open /dev/null");
	load_config(&house, &check);
	choose_user(&house, check.config->user);
	enter_sandbox(&house);
	make_directories(&house);
	lock_data(&house);
	set_up_loop(&house);
	buf_init(&why, 4096);
	struct status status = listen_patiently(&house, check.config, &why);
	if (!is_ok(status)) {
		fprintf(stderr, "mailkeep: %s\n", why.n ? buf_cstr(&why) : status.why);
		return 1;
	}
	buf_done(&why);
	add_rooms(&house, check.config);
	arena_done(&check.arena);
	run(&house);
	house_stop(&house);
	return 0;
}
