/* The recipe itself: what it demands of its context, what it reports, what is left afterwards; the
 * message of a forbidden call; rooms that start rooms; the table's own order.
 */
#include "os/sandbox.h"

#include "os/fd.h"
#include "os/file.h"
#include "os/log.h"
#include "os/process.h"
#include "os/sandbox_private.h"
#include "os/sanitizers.h"
#include "os/socket.h"
#include "os/test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define NOBODY 65534

static char base[48];
static int accounts = -1, me = -1;

static void own(int fd)
{
	if (geteuid() == 0)
		assert_int_equal(fchown(fd, NOBODY, NOBODY), 0);
}

static int make_place(void **state)
{
	(void)state;
	int other = -1;
	snprintf(base, sizeof(base), "/tmp/sandbox_enter.XXXXXX");
	if (!mkdtemp(base) || chmod(base, 0755) < 0)
		return -1;
	assert_ok(file_open_dir(AT_FDCWD, base, &accounts, NULL));
	assert_ok(file_mkdir_all(accounts, "me", 0700, NULL));
	assert_ok(file_mkdir_all(accounts, "other", 0755, NULL));
	assert_ok(file_open_dir(accounts, "me", &me, NULL));
	assert_ok(file_open_dir(accounts, "other", &other, NULL));
	assert_ok(file_replace(other, "secret", SLICE("s"), 0644, NULL));
	own(me);
	own(accounts);
	fd_close(&other);
	return 0;
}

static int remove_place(void **state)
{
	(void)state;
	char command[96];
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return test_wait(pid);
}

static struct sandbox_context account_context(void)
{
	return (struct sandbox_context){.own_dir = me, .uid = NOBODY, .gid = NOBODY};
}

/* Runs `run` in a child: its result is the exit status. */
static int in_child(int (*run)(void))
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(run());
	return test_wait(pid);
}

#define STEP(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return 1 + __LINE__ % 100;                                                 \
	} while (0)

static int enter_account(struct sandbox_report *report)
{
	struct sandbox_context c = account_context();
	return is_ok(sandbox_enter(SANDBOX_ACCOUNT, &c, report)) ? 0 : 120;
}

/* --- contexts --- */

static const int many[SANDBOX_PATHS_MAX + 300];
static const uint16_t ports[SANDBOX_PORTS_MAX + 1];

static void a_context_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	const int own_dir[] = {me};
	const struct {
		enum sandbox_room room;
		struct sandbox_context context;
		enum err expected;
	} cases[] = {
	        {SANDBOX_ACCOUNT, {.uid = NOBODY}, ERR_INVALID}, /* no directory */
	        {SANDBOX_ACCOUNT, {.own_dir = -1, .uid = NOBODY}, ERR_INVALID},
	        {SANDBOX_GATE, {.uid = NOBODY}, ERR_INVALID},
	        {SANDBOX_ACCOUNT,
	         {.own_dir = me, .uid = NOBODY, .read_paths = own_dir, .n_read_paths = 1},
	         ERR_INVALID},
	        {SANDBOX_GATE,
	         {.own_dir = me, .uid = NOBODY, .write_dirs = own_dir, .n_write_dirs = 1},
	         ERR_INVALID},
	        {SANDBOX_COURIER,
	         {.uid = NOBODY, .write_dirs = own_dir, .n_write_dirs = 1},
	         ERR_INVALID},
	        {SANDBOX_COURIER, {.uid = NOBODY, .chroot = true}, ERR_INVALID},
	        {SANDBOX_WEB,
	         {.uid = NOBODY, .read_paths = many, .n_read_paths = SANDBOX_PATHS_MAX + 1},
	         ERR_LIMIT},
	        {SANDBOX_COURIER,
	         {.uid = NOBODY, .read_paths = many, .n_read_paths = 1},
	         ERR_INVALID},
	        {SANDBOX_COURIER,
	         {.uid = NOBODY, .connect_ports = ports, .n_connect_ports = SANDBOX_PORTS_MAX + 1},
	         ERR_LIMIT},
	        {SANDBOX_COURIER, {.uid = NOBODY, .keep_fds = many, .n_keep_fds = 257}, ERR_LIMIT},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct sandbox_report report;
		struct status s = sandbox_enter(cases[i].room, &cases[i].context, &report);
		assert_int_equal(s.code, cases[i].expected);
		assert_true(report.fault.text[0] != '\0');
		assert_false(report.seccomp);
	}
	if (geteuid() == 0) {
		struct sandbox_report report;
		struct sandbox_context as_root = {.own_dir = me};
		assert_err(sandbox_enter(SANDBOX_ACCOUNT, &as_root, &report), ERR_INVALID);
		assert_string_equal(report.fault.text, "this room must not run as root");
	}
	assert_true(access("/etc/passwd", R_OK) == 0); /* nothing has been taken from us */
}

static void another_rooms_filter_is_refused(void **state)
{
	(void)state;
	struct sandbox_report report;
	struct sandbox_filter *filter;
	struct sandbox_context c = account_context();
	assert_ok(sandbox_filter_new(SANDBOX_GATE, &filter));
	c.filter = filter;
	assert_err(sandbox_enter(SANDBOX_ACCOUNT, &c, &report), ERR_INVALID);
	sandbox_filter_free(filter);
	sandbox_filter_free(NULL);
}

static void wait_for_end(void *context)
{
	struct pollfd p = {.fd = *(int *)context, .events = POLLIN};
	(void)poll(&p, 1, -1);
}

static void threads_must_come_later(void **state)
{
	(void)state;
	CLEANUP(fd_close) int fd = -1;
	pthread_t thread;
	struct sandbox_report report;
	struct sandbox_context c = account_context();
	assert_ok(eventfd_new(&fd));
	assert_ok(thread_start(&(struct thread_options){.joinable = true}, wait_for_end, &fd,
	                       &thread));
	assert_err(sandbox_enter(SANDBOX_ACCOUNT, &c, &report), ERR_INVALID);
	eventfd_signal(fd);
	thread_join(thread);
}

/* --- what is left --- */

static int look_at_what_is_left(void)
{
	struct sandbox_report report;
	struct rlimit limit;
	struct sandbox_context c = account_context();
	int stray = dup(0), kept = dup(0);
	c.keep_fds = &kept;
	c.n_keep_fds = 1;
	c.n_files_max = 77;
	STEP(is_ok(sandbox_enter(SANDBOX_ACCOUNT, &c, &report)));
	STEP(fcntl(stray, F_GETFD) < 0 && fcntl(accounts, F_GETFD) < 0);
	STEP(fcntl(kept, F_GETFD) >= 0 && fcntl(me, F_GETFD) >= 0);
	STEP(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max == 77);
	STEP(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	STEP(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	STEP(OS_SANITIZED || prctl(PR_GET_SECCOMP) == 2);
	STEP(geteuid() != 0 && getegid() != 0 && getgroups(0, NULL) == 0);
	STEP(report.seccomp && report.n_checks > (OS_SANITIZED ? 12 : 16) && !report.weak);
	STEP(report.room == SANDBOX_ACCOUNT && report.fault.text[0] == '\0');
	return 0;
}

static void only_what_was_kept_is_left(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* groups cannot be dropped */
	assert_int_equal(in_child(look_at_what_is_left), 0);
}

static int look_for_capabilities(void)
{
	struct sandbox_report report;
	if (prctl(PR_CAPBSET_READ, 0, 0, 0, 0) != 1)
		return 0; /* a container without any */
	STEP(enter_account(&report) == 0);
	for (int cap = 0; cap < 41; cap++)
		STEP(prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 0);
	return 0;
}

static void no_capability_is_left_in_bounds(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* an ordinary user has none to lose */
	assert_int_equal(in_child(look_for_capabilities), 0);
}

static int stay_root(void)
{
	struct sandbox_report report;
	struct sandbox_context c = account_context();
	c.uid = 0;
	c.stay_root = true;
	STEP(is_ok(sandbox_enter(SANDBOX_ACCOUNT, &c, &report)));
	STEP(!report.became_uid && geteuid() == 0);
	/* The directory is another user's, mode 0700: without capabilities even root stands
	 * outside. */
	STEP(openat(me, "new", O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);
	return 0;
}

static void root_may_stay_without_its_powers(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* about root */
	assert_int_equal(in_child(stay_root), 0);
}

static int keep_death_signal(void)
{
	struct sandbox_report report;
	int death_signal = 0;
	STEP(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	STEP(enter_account(&report) == 0);
	STEP(prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == SIGKILL);
	return 0;
}

static void the_death_signal_survives(void **state)
{
	(void)state;
	assert_int_equal(in_child(keep_death_signal), 0);
}

static int run_out_of_memory(void)
{
	struct sandbox_report report;
	struct sandbox_context c = account_context();
	c.memory_max = 16 * MIB;
	STEP(is_ok(sandbox_enter(SANDBOX_ACCOUNT, &c, &report)));
	void *volatile p = malloc(8 * MIB); /* volatile: a compiler may leave out the pair */
	STEP(p != NULL);
	free(p);
	p = malloc(64 * MIB);
	STEP(p == NULL);
	return 0;
}

static void memory_is_limited(void **state)
{
	(void)state;
	if (OS_SANITIZED)
		skip(); /* shadow memory alone is beyond any limit */
	assert_int_equal(in_child(run_out_of_memory), 0);
}

static int enter_twice(void)
{
	struct sandbox_report report;
	STEP(enter_account(&report) == 0);
	(void)enter_account(&report); /* its system calls are gone */
	return 0;
}

static void nobody_enters_twice(void **state)
{
	(void)state;
	if (OS_SANITIZED)
		skip(); /* the wide profile leaves the calls in place */
	assert_int_not_equal(in_child(enter_twice), 0);
}

/* --- an old kernel --- */

/* From here on the kernel says that it has no Landlock. */
static bool forget_landlock(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	bool done = ctx &&
	            seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset),
	                             0) == 0 &&
	            seccomp_load(ctx) == 0;
	seccomp_release(ctx);
	return done;
}

static int enter_without_landlock(bool chroot, bool allow_weak, struct sandbox_report *report)
{
	struct sandbox_context c = account_context();
	c.chroot = chroot;
	c.allow_weak = allow_weak;
	STEP(forget_landlock());
	int code = (int)sandbox_enter(SANDBOX_ACCOUNT, &c, report).code;
	STEP(report->landlock_abi == 0);
	return code;
}

static int weak_and_refused(void)
{
	struct sandbox_report report;
	STEP(enter_without_landlock(false, false, &report) == ERR_DENIED);
	STEP(slice_eq_str(slice_str(report.fault.text),
	                  "the sandbox leaks: the room opened a file outside"));
	return 0;
}

static int weak_and_allowed(void)
{
	struct sandbox_report report;
	STEP(enter_without_landlock(false, true, &report) == ERR_OK);
	STEP(report.weak && report.seccomp);
	return 0;
}

static int strong_by_chroot(void)
{
	struct sandbox_report report;
	STEP(enter_without_landlock(true, false, &report) == ERR_OK);
	STEP(!report.weak && report.chrooted);
	STEP(access("/etc/passwd", F_OK) < 0);
	return 0;
}

static void without_landlock_the_room_says_that_it_is_weak(void **state)
{
	(void)state;
	assert_int_equal(in_child(weak_and_refused), 0);
	assert_int_equal(in_child(weak_and_allowed), 0);
	if (geteuid() == 0)
		assert_int_equal(in_child(strong_by_chroot), 0);
}

/* --- the message --- */

static int message_fd = -1;

static void forbidden_call(void *context)
{
	(void)context;
	syscall(SYS_bpf, -1, 0, 0);
}

static int die_in_thread(void)
{
	struct sandbox_report report;
	pthread_t thread;
	STEP(dup2(message_fd, 2) == 2);
	log_setup(&(struct log_options){.room = "account-room"});
	STEP(enter_account(&report) == 0);
	if (!is_ok(thread_start(&(struct thread_options){.joinable = true}, forbidden_call, NULL,
	                        &thread)))
		return 1;
	thread_join(thread);
	return 0;
}

static int die_in_main(void)
{
	struct sandbox_report report;
	STEP(dup2(message_fd, 2) == 2);
	log_setup(&(struct log_options){.room = "account-room"});
	STEP(enter_account(&report) == 0);
	forbidden_call(NULL);
	return 0;
}

static void a_forbidden_call_ends_the_room_with_a_message(void **state)
{
	(void)state;
	static int (*const ways[])(void) = {die_in_main, die_in_thread};
	for (size_t i = 0; i < N_ELEMENTS(ways); i++) {
		char text[512] = "";
		int fds[2];
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		message_fd = fds[1];
		int status = in_child(ways[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
		assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
		assert_non_null(strstr(text, " error account-room "));
		assert_non_null(strstr(
		        text, "msg=\"forbidden system call\" sandbox=account call=bpf number="));
		fd_close(&fds[0]);
		fd_close(&fds[1]);
	}
}

static int abort_itself(void)
{
	struct sandbox_report report;
	STEP(dup2(message_fd, 2) == 2);
	STEP(enter_account(&report) == 0);
	BUG("on purpose");
}

static void our_own_bugs_abort_as_ever(void **state)
{
	(void)state;
	CLEANUP(fd_close) int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	message_fd = null;
	int status = in_child(abort_itself);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* --- rooms that start rooms --- */

static int account_below_zygote(const struct sandbox_filter *filter, bool chroot)
{
	struct sandbox_report report;
	CLEANUP(fd_close) int dir = -1;
	CLEANUP(fd_close) int fd = -1;
	STEP(is_ok(file_open_dir(accounts, "me", &dir, NULL)));
	struct sandbox_context c = {
	        .own_dir = dir, .uid = NOBODY, .gid = NOBODY, .chroot = chroot, .filter = filter};
	STEP(is_ok(sandbox_enter(SANDBOX_ACCOUNT, &c, &report)));
	STEP(openat(dir, "../other/secret", O_RDONLY) < 0 || report.landlock_abi == 0);
	fd = openat(dir, "mail", O_CREAT | O_RDWR, 0600);
	STEP(fd >= 0 && is_ok(fd_write_all(fd, SLICE("x"), NULL)));
	STEP(report.chrooted == chroot);
	return 0;
}

static int start_accounts_from_zygote(bool chroot)
{
	struct sandbox_report report;
	struct sandbox_filter *filter;
	struct sandbox_context c = {.own_dir = accounts};
	STEP(is_ok(sandbox_filter_new(SANDBOX_ACCOUNT, &filter)));
	STEP(is_ok(sandbox_enter(SANDBOX_ZYGOTE, &c, &report)));
	for (int i = 0; i < 3; i++) {
		struct process child;
		struct process_end end;
		bool in;
		STEP(is_ok(process_fork(SIGKILL, &child, &in)));
		if (in)
			_exit(account_below_zygote(filter, chroot));
		STEP(is_ok(process_wait(&child, 20000, &end)));
		STEP(!end.by_signal);
		if (end.number != 0)
			return end.number;
	}
	return 0;
}

static int zygote_with_chroot(void)
{
	return start_accounts_from_zygote(true);
}

static int zygote_without_chroot(void)
{
	return start_accounts_from_zygote(false);
}

static int zygote_as_user(void)
{
	if (geteuid() == 0)
		STEP(setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
		     setresuid(NOBODY, NOBODY, NOBODY) == 0);
	return start_accounts_from_zygote(false);
}

static void a_zygote_forks_accounts_that_seal_themselves(void **state)
{
	(void)state;
	if (geteuid() == 0) {
		assert_int_equal(in_child(zygote_with_chroot), 0);
		assert_int_equal(in_child(zygote_without_chroot), 0);
	}
	assert_int_equal(in_child(zygote_as_user), 0);
}

static int house_below_supervisor(void)
{
	struct sandbox_report report;
	struct sandbox_context none = {.own_dir = 0};
	const int keep[] = {accounts, me};
	none.keep_fds = keep;
	none.n_keep_fds = N_ELEMENTS(keep);
	STEP(is_ok(sandbox_enter(SANDBOX_SUPERVISOR, &none, &report)));
	for (unsigned room = 1; room < SANDBOX_ROOM_COUNT; room++) {
		struct process child;
		struct process_end end;
		bool in;
		STEP(is_ok(process_fork(SIGKILL, &child, &in)));
		if (in) {
			struct sandbox_context c = account_context();
			if (sandbox_policies[room].may_stay_root)
				c.uid = c.gid = 0;
			c.chroot = geteuid() == 0 && !sandbox_policies[room].may_stay_root;
			_exit(is_ok(sandbox_enter((enum sandbox_room)room, &c, &report)) ? 0 : 100);
		}
		STEP(is_ok(process_wait(&child, 20000, &end)));
		if (end.by_signal || end.number != 0)
			return 200 + (int)room;
	}
	return 0;
}

static void every_room_can_be_started_by_the_sealed_supervisor(void **state)
{
	(void)state;
	assert_int_equal(in_child(house_below_supervisor), 0);
}

/* --- the table --- */

static void no_room_may_more_than_the_one_that_starts_it(void **state)
{
	(void)state;
	const struct sandbox_policy *p = sandbox_policies;
	for (unsigned room = 0; room < SANDBOX_ROOM_COUNT; room++) {
		assert_int_equal(p[room].groups & ~p[SANDBOX_SUPERVISOR].groups, 0);
		assert_int_equal(p[room].capabilities & ~p[SANDBOX_SUPERVISOR].capabilities, 0);
	}
	assert_int_equal(p[SANDBOX_ACCOUNT].groups & ~p[SANDBOX_ZYGOTE].groups, 0);
}

static void who_reads_strangers_holds_nothing(void **state)
{
	(void)state;
	const unsigned powers = GROUP_FORK | GROUP_SEAL | GROUP_EXEC | GROUP_LISTEN;
	for (unsigned room = 0; room < SANDBOX_ROOM_COUNT; room++) {
		const struct sandbox_policy *p = &sandbox_policies[room];
		if (room == SANDBOX_SUPERVISOR || room == SANDBOX_ZYGOTE)
			continue;
		assert_int_equal(p->groups & powers, 0);
		assert_int_equal(p->capabilities, 0);
		assert_false(p->may_stay_root);
		assert_true(p->memory_max > 0 && p->n_files_max > 0);
	}
	/* Files and the outside network never meet in one room. */
	for (unsigned room = 1; room < SANDBOX_ROOM_COUNT; room++) {
		const struct sandbox_policy *p = &sandbox_policies[room];
		assert_false((p->groups & GROUP_WRITE) &&
		             (p->groups & (GROUP_CONNECT_TCP | GROUP_CONNECT_UDP)));
	}
	const unsigned gate = sandbox_policies[SANDBOX_GATE].groups;
	assert_int_equal(gate & (GROUP_READ | GROUP_WRITE | GROUP_CONNECT_TCP | GROUP_CONNECT_UDP),
	                 0);
}

static void the_table_can_be_read(void **state)
{
	(void)state;
	struct buf out;
	enum sandbox_room parsed;
	buf_init(&out, 100000);
	for (unsigned room = 0; room < SANDBOX_ROOM_COUNT; room++) {
		const char *name = sandbox_room_name((enum sandbox_room)room);
		assert_true(sandbox_room_parse(slice_str(name), &parsed) && parsed == room);
		sandbox_describe((enum sandbox_room)room, false, &out);
		assert_true(slice_find(buf_slice(&out), slice_str(name)) == 0);
		assert_true(slice_find(buf_slice(&out), SLICE("other,")) == SIZE_MAX);
		buf_reset(&out);
		sandbox_describe((enum sandbox_room)room, true, &out);
		assert_true(slice_starts(buf_slice(&out), SLICE("{\"room\":\"")));
		assert_true(slice_ends(buf_slice(&out), SLICE("}}")));
		assert_true(slice_find(buf_slice(&out), SLICE("\"other\"")) == SIZE_MAX);
		assert_false(buf_failed(&out));
		buf_reset(&out);
	}
	assert_false(sandbox_room_parse(SLICE("Gate"), &parsed));
	assert_false(sandbox_room_parse(SLICE(""), &parsed));
	struct sandbox_report report = {
	        .landlock_abi = 7, .chrooted = true, .n_checks = 3, .weak = true};
	sandbox_report_print(&report, &out);
	assert_true(slice_eq_str(buf_slice(&out),
	                         "landlock=7 chroot=yes uid=no netns=no seccomp=no "
	                         "checks=3 weak=yes"));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_context_that_does_not_fit_is_refused),
	        cmocka_unit_test(another_rooms_filter_is_refused),
	        cmocka_unit_test(threads_must_come_later),
	        cmocka_unit_test(only_what_was_kept_is_left),
	        cmocka_unit_test(no_capability_is_left_in_bounds),
	        cmocka_unit_test(root_may_stay_without_its_powers),
	        cmocka_unit_test(the_death_signal_survives),
	        cmocka_unit_test(memory_is_limited),
	        cmocka_unit_test(nobody_enters_twice),
	        cmocka_unit_test(without_landlock_the_room_says_that_it_is_weak),
	        cmocka_unit_test(a_forbidden_call_ends_the_room_with_a_message),
	        cmocka_unit_test(our_own_bugs_abort_as_ever),
	        cmocka_unit_test(a_zygote_forks_accounts_that_seal_themselves),
	        cmocka_unit_test(every_room_can_be_started_by_the_sealed_supervisor),
	        cmocka_unit_test(no_room_may_more_than_the_one_that_starts_it),
	        cmocka_unit_test(who_reads_strangers_holds_nothing),
	        cmocka_unit_test(the_table_can_be_read),
	};
	return cmocka_run_group_tests(tests, make_place, remove_place);
}
