/* Each room tries what it must not do, and does what it must: the tables of sandbox_attempts.c and
 * sandbox_works.c, as root with and without chroot, and as an ordinary user with and without a
 * network namespace. Every try is a process of its own, since a denied call ends it.
 */
#include "os/sandbox.h"

#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "os/sandbox_private.h"
#include "os/sandbox_works.h"
#include "os/sanitizers.h"
#include "os/test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define NOBODY       65534
#define ENTER_FAILED 99

struct variant {
	const char *name;
	bool root;
	bool chroot;
	bool user_namespace;
};
static const struct variant variants[] = {
        {"root, chroot", true, true, false},
        {"root", true, false, false},
        {"user", false, false, false},
        {"user, namespace", false, false, true},
};

/* Sanitizer builds are slow, and their walls thinner: one way as root, one as a user. */
#define VARIANT_STEP ((size_t)(OS_SANITIZED ? 2 : 1))

/* The scene and what of it differs by room. */
static struct scene scene;
static struct sandbox_filter *filters[SANDBOX_ROOM_COUNT];
static int dir_base = -1, dir_accounts = -1, dir_me = -1, dir_spool = -1, dir_empty = -1,
           dir_list = -1;
static int echo_end = -1, channel_end = -1, abstract_fd = -1, other_listener = -1;

static int dir_of(enum sandbox_room room)
{
	switch (room) {
	case SANDBOX_SUPERVISOR:
		return dir_base;
	case SANDBOX_GATE:
		return dir_spool;
	case SANDBOX_ZYGOTE:
		return dir_accounts;
	case SANDBOX_ACCOUNT:
	case SANDBOX_QUEUE:
	case SANDBOX_VAULT:
	case SANDBOX_STEWARD:
		return dir_me;
	case SANDBOX_WEB:
	case SANDBOX_COURIER:
	case SANDBOX_RESOLVER:
		return dir_empty;
	case SANDBOX_ROOM_COUNT:
		break;
	}
	return -1;
}

static void become_nobody(void)
{
	if (geteuid() != 0)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(ENTER_FAILED);
	(void)prctl(PR_SET_DUMPABLE, 1); /* as any process that a user starts */
}

static void silence(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		(void)dup2(null, i);
}

/* In a child: the room's ordinary context, then through the door. */
static struct status enter(enum sandbox_room room, const struct variant *v,
                           struct sandbox_report *report)
{
	const int keep[] = {scene.listener, scene.connection, scene.channel};
	bool listed = sandbox_policies[room].read_list;
	bool stays = sandbox_policies[room].may_stay_root;
	scene.own_dir = dir_of(room);
	scene.list_dir = listed ? dir_list : -1;
	scene.as_root = v->root;
	struct sandbox_context c = {
	        .keep_fds = keep,
	        .n_keep_fds = N_ELEMENTS(keep),
	        .own_dir = scene.own_dir,
	        .read_paths = &scene.list_dir,
	        .n_read_paths = listed ? 1 : 0,
	        .connect_ports = &scene.listener_at.port,
	        .n_connect_ports = 1,
	        .uid = stays ? 0 : NOBODY,
	        .gid = stays ? 0 : NOBODY,
	        .chroot = v->chroot && !stays,
	        .user_namespace = v->user_namespace,
	        .filter = filters[room],
	};
	if (!v->root)
		become_nobody();
	return sandbox_enter(room, &c, report);
}

static void make_file(int dir, const char *name, const char *text, mode_t mode)
{
	assert_ok(file_replace(dir, name, slice_str(text), mode, NULL));
	if (geteuid() == 0)
		assert_int_equal(fchownat(dir, name, NOBODY, NOBODY, 0), 0);
}

static int make_dir(const char *name, mode_t mode)
{
	int fd = -1;
	assert_ok(file_mkdir_all(dir_base, name, mode, NULL));
	assert_ok(file_open_dir(dir_base, name, &fd, NULL));
	if (geteuid() == 0)
		assert_int_equal(fchown(fd, NOBODY, NOBODY), 0);
	return fd;
}

static int listen_loopback(struct os_address *ret_at)
{
	struct os_address at;
	int fd = -1;
	assert_ok(os_address_parse(SLICE("127.0.0.1"), 0, &at));
	assert_ok(socket_listen(&at, NULL, &fd, NULL));
	*ret_at = socket_local(fd);
	return fd;
}

/* Names below the scene's directory; "." is all of it. */
static void remove_tree(const char *names)
{
	char command[256];
	snprintf(command, sizeof(command), "cd '%s' && rm -rf %s", scene.base, names);
	if (strncmp(names, ".", 2) == 0)
		snprintf(command, sizeof(command), "rm -rf '%s'", scene.base);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(test_wait(pid), 0);
}

static void make_network(void)
{
	int fds[2];
	struct os_address peer, at;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	CLEANUP(fd_close) int echo_listener = listen_loopback(&at);
	scene.listener = listen_loopback(&scene.listener_at);
	other_listener = listen_loopback(&scene.other_at);
	assert_ok(socket_connect(&at, NULL, 5000, &scene.connection, NULL));
	assert_ok(socket_wait_readable(echo_listener, 5000));
	assert_int_equal(socket_accept(echo_listener, &echo_end, &peer), SOCKET_ACCEPTED);
	assert_ok(socket_pair_seqpacket(fds));
	scene.channel = fds[0];
	channel_end = fds[1];
	abstract_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "%s", scene.base);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	assert_int_equal(bind(abstract_fd, (struct sockaddr *)&sa, size), 0);
	assert_int_equal(listen(abstract_fd, 100), 0);
}

static void make_sibling(void)
{
	scene.sibling = fork();
	if (scene.sibling == 0) {
		become_nobody();
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
}

static int make_scene(void **state)
{
	(void)state;
	snprintf(scene.base, sizeof(scene.base), "/tmp/sandbox_test.XXXXXX");
	if (!mkdtemp(scene.base) || chmod(scene.base, 0755) < 0)
		return -1;
	assert_ok(file_open_dir(AT_FDCWD, scene.base, &dir_base, NULL));
	dir_accounts = make_dir("accounts", 0755);
	dir_me = make_dir("accounts/me", 0700);
	int other = make_dir("accounts/other", 0700);
	int outside = make_dir("outside", 0777);
	dir_spool = make_dir("spool", 0700);
	dir_empty = make_dir("empty", 0755);
	dir_list = make_dir("list", 0755);
	make_file(other, "secret", "s3cret", 0644);
	make_file(outside, "file", "untouched", 0666);
	make_file(dir_list, "readme", "listed", 0666);
	const int own_dirs[] = {dir_base, dir_accounts, dir_me, dir_spool, dir_empty};
	for (size_t i = 0; i < N_ELEMENTS(own_dirs); i++) {
		make_file(own_dirs[i], "existing", "here", 0644);
		assert_int_equal(symlinkat("../other/secret", own_dirs[i], "link-out"), 0);
	}
	snprintf(scene.secret, sizeof(scene.secret), "%s/accounts/other/secret", scene.base);
	snprintf(scene.outside, sizeof(scene.outside), "%s/outside", scene.base);
	fd_close(&other);
	fd_close(&outside);
	make_network();
	make_sibling();
	scene.landlock_abi = sandbox_landlock_abi();
	for (unsigned room = 0; room < SANDBOX_ROOM_COUNT; room++)
		assert_ok(sandbox_filter_new((enum sandbox_room)room, &filters[room]));
	return 0;
}

static int end_scene(void **state)
{
	(void)state;
	kill(scene.sibling, SIGKILL);
	(void)test_wait(scene.sibling);
	for (unsigned room = 0; room < SANDBOX_ROOM_COUNT; room++)
		sandbox_filter_free(filters[room]);
	remove_tree(".");
	return 0;
}

static bool can_play(const struct variant *v)
{
	return !v->root || geteuid() == 0;
}

/* --- what must not work --- */

static enum outcome outcome_of(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return OUTCOME_TRAPPED;
	if (WIFEXITED(status) && WEXITSTATUS(status) <= OUTCOME_REFUSED)
		return (enum outcome)WEXITSTATUS(status);
	return OUTCOME_BROKEN;
}

static enum outcome try_in_room(enum sandbox_room room, const struct variant *v,
                                const struct attempt *attempt)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_report report;
		silence();
		if (!is_ok(enter(room, v, &report)))
			_exit(ENTER_FAILED);
		_exit((int)attempt->run(&scene));
	}
	return outcome_of(test_wait(pid));
}

static bool as_expected(const struct attempt *a, enum sandbox_room room, enum outcome outcome)
{
	if (a->may & 1U << room)
		return outcome == OUTCOME_DONE;
	if (a->trapped)
		return outcome == OUTCOME_TRAPPED;
	return outcome == OUTCOME_REFUSED || outcome == OUTCOME_TRAPPED;
}

static void rooms_keep_to_their_walls(void **state)
{
	(void)state;
	static const char *const words[] = {"done", "refused", "trapped", "broken"};
	unsigned n_tried = 0, n_wrong = 0;
	for (size_t v = 0; v < N_ELEMENTS(variants); v += VARIANT_STEP) {
		for (unsigned r = 0; can_play(&variants[v]) && r < SANDBOX_ROOM_COUNT; r++) {
			for (size_t i = 0; i < n_sandbox_attempts; i++) {
				const struct attempt *a = &sandbox_attempts[i];
				enum sandbox_room room = (enum sandbox_room)r;
				if ((a->unsaid & 1U << r) || a->landlock > scene.landlock_abi)
					continue;
				enum outcome outcome = try_in_room(room, &variants[v], a);
				n_tried++;
				if (as_expected(a, room, outcome))
					continue;
				n_wrong++;
				print_error("%s as %s: %s: %s\n", sandbox_room_name(room),
				            variants[v].name, a->name, words[outcome]);
			}
		}
	}
	print_message("%u attempts\n", n_tried);
	assert_int_equal(n_wrong, 0);
}

/* The attempts themselves are sound: without a sandbox, an ordinary user can do most of them. */
static void the_attempts_succeed_outside(void **state)
{
	(void)state;
	static const char *const needed[] = {
	        "open /etc/passwd",
	        "list /etc",
	        "open through /proc/self/root",
	        "open a device",
	        "open another account's file",
	        "open it by ..",
	        "follow a link out of its directory",
	        "list another account's directory",
	        "write a listed file",
	        "create a file outside",
	        "write a file outside",
	        "chmod a file outside",
	        "touch a file outside",
	        "connect by TCP",
	        "listen on TCP",
	        "send by UDP",
	        "connect to an abstract socket",
	        "execute a program",
	        "execute a memfd",
	        "fork",
	        "signal a sibling",
	        "signal a sibling's thread",
	        "signal a sibling by pidfd",
	        "trace a sibling",
	        "read a sibling's memory",
	        "open a sibling's environment",
	        "become dumpable",
	        "map executable memory",
	        "make memory executable",
	        "use a keyring",
	        "set an attribute of a file outside",
	};
	for (size_t i = 0; i < n_sandbox_attempts; i++) {
		const struct attempt *a = &sandbox_attempts[i];
		bool must = false;
		for (size_t k = 0; k < N_ELEMENTS(needed); k++)
			must = must || slice_eq(slice_str(needed[k]), slice_str(a->name));
		if (!must)
			continue;
		pid_t pid = fork();
		if (pid == 0) {
			silence();
			become_nobody();
			scene.own_dir = dir_me;
			scene.list_dir = dir_list;
			if (fchdir(dir_me) < 0)
				_exit(ENTER_FAILED);
			_exit((int)a->run(&scene));
		}
		enum outcome outcome = outcome_of(test_wait(pid));
		if (outcome != OUTCOME_DONE)
			print_error("outside the sandbox: %s: %d\n", a->name, (int)outcome);
		assert_int_equal(outcome, OUTCOME_DONE);
	}
}

/* --- what must work --- */

/* The other ends: one descriptor back, one line answered, one connection made. */
static void serve(const struct work *work)
{
	char byte;
	CLEANUP(fd_close) int client = -1;
	if (strncmp(work->name, "pass", 4) == 0) {
		union {
			struct cmsghdr header;
			uint8_t space[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec part = {&byte, 1};
		struct msghdr m = {.msg_iov = &part,
		                   .msg_iovlen = 1,
		                   .msg_control = &control,
		                   .msg_controllen = sizeof(control.space)};
		if (recvmsg(channel_end, &m, MSG_CMSG_CLOEXEC) != 1)
			return;
		(void)sendmsg(channel_end, &m,
		              MSG_NOSIGNAL); /* the same one, in this process's number */
		int fd;
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
		fd_close(&fd);
	} else if (strncmp(work->name, "use a given", 11) == 0) {
		(void)fd_write_all(echo_end, SLICE("pong\r\n"), NULL);
	} else if (strncmp(work->name, "accept", 6) == 0) {
		assert_ok(socket_connect(&scene.listener_at, NULL, 5000, &client, NULL));
	}
}

static void renew_connection(void)
{
	struct os_address at, peer;
	CLEANUP(fd_close) int listener = listen_loopback(&at);
	fd_close(&scene.connection);
	fd_close(&echo_end);
	assert_ok(socket_connect(&at, NULL, 5000, &scene.connection, NULL));
	assert_ok(socket_wait_readable(listener, 5000));
	assert_int_equal(socket_accept(listener, &echo_end, &peer), SOCKET_ACCEPTED);
}

static void check_work(enum sandbox_room room, const struct variant *v, const struct work *work)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox_report report;
		silence();
		(void)sqlite3_initialize(); /* warm-up, as in a room */
		if (!is_ok(enter(room, v, &report)))
			_exit(ENTER_FAILED);
		int line = work->run(&scene);
		_exit(line == 0 ? 0 : 1 + line % 90);
	}
	serve(work);
	int status = test_wait(pid);
	if (status != 0) {
		print_error("%s as %s: %s: wait status %x\n", sandbox_room_name(room), v->name,
		            work->name, (unsigned)status);
		assert_int_equal(status, 0);
	}
	renew_connection();
	remove_tree("accounts/me/msg accounts/me/index.db* accounts/me/lock accounts/msg "
	            "accounts/lock");
}

static void rooms_can_do_their_work(void **state)
{
	(void)state;
	for (size_t v = 0; v < N_ELEMENTS(variants); v += VARIANT_STEP) {
		for (unsigned r = 0; can_play(&variants[v]) && r < SANDBOX_ROOM_COUNT; r++) {
			for (size_t i = 0; i < n_sandbox_works; i++) {
				if (sandbox_works[i].rooms & 1U << r)
					check_work((enum sandbox_room)r, &variants[v],
					           &sandbox_works[i]);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_attempts_succeed_outside),
	        cmocka_unit_test(rooms_can_do_their_work),
	        cmocka_unit_test(rooms_keep_to_their_walls),
	};
	return cmocka_run_group_tests(tests, make_scene, end_scene);
}
