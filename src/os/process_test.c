/* Children, titles and threads. */
#include "os/process.h"

#include "os/fd.h"
#include "os/sanitizers.h"
#include "os/test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#define WAIT_MS 20000

static struct status spawn_shell(const char *script, struct process_options *options,
                                 struct process *ret_process)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	options->path = "/bin/sh";
	options->argv = argv;
	return process_spawn(options, ret_process, NULL);
}

static struct process_end end_of(struct process *process)
{
	struct process_end end = {.number = -1};
	assert_ok(process_wait(process, WAIT_MS, &end));
	assert_int_equal(process->pid, 0);
	assert_int_equal(process->pid_fd, -1);
	return end;
}

/* Runs the script with its standard output in a pipe and gives what it printed. */
static const char *output_of(const char *script, struct process_options *options)
{
	static char text[4096];
	int fds[2];
	struct process_fd map[16] = {{.to = 1}};
	struct process process;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	map[0].from = fds[1];
	for (size_t i = 0; i < options->n_fds; i++)
		map[i + 1] = options->fds[i];
	options->fds = map;
	options->n_fds++;
	assert_ok(spawn_shell(script, options, &process));
	fd_close(&fds[1]);
	size_t n = 0;
	ssize_t got;
	while ((got = read(fds[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	fd_close(&fds[0]);
	(void)end_of(&process);
	return text;
}

static void a_child_ends_with_its_status(void **state)
{
	(void)state;
	struct process p = PROCESS_NONE;
	struct process_options o = {.n_fds = 0};
	assert_ok(spawn_shell("exit 42", &o, &p));
	struct process_end end = end_of(&p);
	assert_false(end.by_signal);
	assert_int_equal(end.number, 42);
	assert_ok(spawn_shell("kill -9 $$", &o, &p));
	end = end_of(&p);
	assert_true(end.by_signal);
	assert_int_equal(end.number, SIGKILL);
	assert_err(process_reap(&p, &end), ERR_INVALID);
	assert_err(process_signal(&p, SIGTERM), ERR_INVALID);
	process_kill(&p); /* nothing there: harmless */
}

static void a_running_child_is_busy_until_ended(void **state)
{
	(void)state;
	struct process p;
	struct process_end end;
	struct process_options o = {.n_fds = 0};
	assert_ok(spawn_shell("sleep 100", &o, &p));
	assert_err(process_reap(&p, &end), ERR_BUSY);
	assert_err(process_wait(&p, 30, &end), ERR_TIMEOUT);
	assert_int_equal(fcntl(p.pid_fd, F_GETFD), FD_CLOEXEC);
	assert_ok(process_signal(&p, SIGTERM));
	struct pollfd wait = {.fd = p.pid_fd, .events = POLLIN};
	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	assert_ok(process_signal(&p, SIGTERM)); /* ended, not yet reaped */
	end = end_of(&p);
	assert_true(end.by_signal && end.number == SIGTERM);
	{
		CLEANUP(process_kill) struct process scoped = PROCESS_NONE;
		assert_ok(spawn_shell("sleep 100", &o, &scoped));
		p.pid = scoped.pid;
	}
	assert_int_equal(kill(p.pid, 0), -1); /* killed and reaped by its scope */
}

static void a_failure_to_start_is_told(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		int errno_value;
		const char *text;
	} cases[] = {
	        {"/nonexistent/room", ENOENT,
	         "cannot execute /nonexistent/room: No such file or directory"},
	        {"/etc/passwd", EACCES, "cannot execute /etc/passwd: Permission denied"},
	        {"/tmp", EACCES, "cannot execute /tmp: Permission denied"},
	};
	const char *argv[] = {"x", NULL};
	struct process p = PROCESS_NONE;
	struct os_fault fault;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct process_options o = {.path = cases[i].path, .argv = argv};
		assert_false(is_ok(process_spawn(&o, &p, &fault)));
		assert_int_equal(fault.errno_value, cases[i].errno_value);
		assert_string_equal(fault.text, cases[i].text);
		assert_int_equal(p.pid, 0);
	}
	struct process_fd closed = {.from = 1000, .to = 5};
	struct process_options o = {.path = "/bin/true", .argv = argv, .fds = &closed, .n_fds = 1};
	assert_false(is_ok(process_spawn(&o, &p, &fault)));
	assert_int_equal(fault.errno_value, EBADF);
	struct process_fd far = {.from = 0, .to = 1 << 20};
	o.fds = &far;
	assert_err(process_spawn(&o, &p, &fault), ERR_INVALID);
	o.n_fds = PROCESS_FDS_MAX + 1;
	assert_err(process_spawn(&o, &p, &fault), ERR_LIMIT);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void the_child_has_exactly_the_descriptors_of_the_map(void **state)
{
	(void)state;
	CLEANUP(fd_close) int a = -1;
	CLEANUP(fd_close) int b = -1;
	CLEANUP(fd_close) int leaked = dup(0); /* without close-on-exec */
	assert_ok(memfd_new_sealed("a", SLICE("A"), &a));
	assert_ok(memfd_new_sealed("b", SLICE("B"), &b));
	assert_true(leaked > 2);
	/* Crossed over: each target number is the other's source. */
	struct process_fd crossed[] = {{.from = a, .to = b}, {.from = b, .to = a}};
	char script[128];
	struct process_options o = {.fds = crossed, .n_fds = 2};
	snprintf(script, sizeof(script), "cat <&%d; cat <&%d", a, b);
	assert_string_equal(output_of(script, &o), "BA");
	/* 3 is the shell's listing of the directory itself. */
	struct process_fd gap[] = {{.from = a, .to = 9}, {.from = a, .to = 7}};
	o = (struct process_options){.fds = gap, .n_fds = 2};
	assert_string_equal(
	        output_of("cd /proc/self/fd; for f in *; do [ -e $f ] && printf '%s ' $f; done",
	                  &o),
	        "1 7 9 ");
}

static void the_environment_is_empty_unless_given(void **state)
{
	(void)state;
	static const char *const env[] = {"A=1", "B=two", NULL};
	const char *many[70];
	setenv("SECRET", "inherited", 1);
	struct process_options o = {.n_fds = 0};
	assert_string_equal(output_of("echo \"${SECRET-unset} ${HOME-unset}\"", &o),
	                    "unset unset\n");
	o = (struct process_options){.env = env};
	assert_string_equal(output_of("echo $A $B", &o), "1 two\n");
	for (size_t i = 0; i < N_ELEMENTS(many); i++)
		many[i] = "X=1";
	many[N_ELEMENTS(many) - 1] = NULL;
	struct process p;
	o = (struct process_options){.env = many};
	assert_err(spawn_shell("true", &o, &p), ERR_LIMIT);
}

static void signals_session_and_limits_are_as_asked(void **state)
{
	(void)state;
	static const struct process_limit limit = {RLIMIT_NOFILE, {100, 100}};
	char expected[64];
	sigset_t term, old;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, &old);
	(void)signal(SIGINT, SIG_IGN);
	struct process_options o = {.limits = &limit, .n_limits = 1};
	snprintf(expected, sizeof(expected),
	         "100\nSigBlk:\t0000000000000000\n"
	         "SigIgn:\t0000000000000000\n");
	assert_string_equal(
	        output_of("ulimit -n; exec grep -E 'Sig(Blk|Ign)' /proc/self/status", &o),
	        expected);
	(void)signal(SIGINT, SIG_DFL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	o = (struct process_options){.new_session = true};
	assert_string_equal(output_of("read p c s pp g sid rest < /proc/self/stat; "
	                              "[ $sid = $$ ] && echo leader",
	                              &o),
	                    "leader\n");
	o = (struct process_options){.new_session = false};
	assert_string_equal(output_of("read p c s pp g sid rest < /proc/self/stat; "
	                              "[ $sid = $$ ] || echo member",
	                              &o),
	                    "member\n");
}

static bool ended_within(pid_t pid, int ms)
{
	struct timespec pause = {.tv_nsec = 10000000};
	for (; ms > 0; ms -= 10) {
		if (kill(pid, 0) < 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* A middle process starts a sleeper and is killed: the sleeper must not stay. */
static void children_end_with_their_parent(void **state)
{
	(void)state;
	int fds[2];
	pid_t sleeper = 0;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t middle = fork();
	if (middle == 0) {
		struct process p;
		struct process_options o = {.death_signal = SIGKILL};
		if (!is_ok(spawn_shell("exec sleep 100", &o, &p)))
			_exit(1);
		ssize_t n = write(fds[1], &p.pid, sizeof(p.pid));
		(void)n;
		pause();
	}
	assert_int_equal(read(fds[0], &sleeper, sizeof(sleeper)), sizeof(sleeper));
	kill(middle, SIGKILL);
	(void)test_wait(middle);
	int status = test_wait(sleeper);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(ended_within(sleeper, 100));
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
}

static void forking_gives_a_watched_child(void **state)
{
	(void)state;
	struct process p = PROCESS_NONE;
	bool in_child;
	assert_ok(process_fork(SIGKILL, &p, &in_child));
	if (in_child) {
		int death_signal = 0;
		(void)prctl(PR_GET_PDEATHSIG, &death_signal);
		_exit(death_signal == SIGKILL ? 7 : 8);
	}
	struct process_end end = end_of(&p);
	assert_int_equal(end.number, 7);
}

static void wait_for_go(void *context)
{
	while (eventfd_drain(*(int *)context) == 0) {
		struct pollfd p = {.fd = *(int *)context, .events = POLLIN};
		(void)poll(&p, 1, -1);
	}
}

static void a_process_with_threads_does_not_fork(void **state)
{
	(void)state;
	CLEANUP(fd_close) int go = -1;
	pthread_t thread;
	struct process p;
	bool in_child;
	unsigned before = process_n_threads();
	assert_int_equal(before, 1);
	assert_ok(eventfd_new(&go));
	assert_ok(thread_start(&(struct thread_options){.name = "waiter", .joinable = true},
	                       wait_for_go, &go, &thread));
	assert_int_equal(process_n_threads(), 2);
	assert_err(process_fork(0, &p, &in_child), ERR_INVALID);
	eventfd_signal(go);
	thread_join(thread);
}

/* --- threads --- */

struct seen {
	char name[16];
	sigset_t blocked;
	size_t sum;
};

#define DEEP (THREAD_STACK_DEFAULT - (size_t)4 * 1024)

static void look_around(void *context)
{
	struct seen *seen = context;
	volatile uint8_t deep[DEEP]; /* what was promised can be used */
	for (size_t i = 0; i < sizeof(deep); i += 1024)
		deep[i] = 1;
	for (size_t i = 0; i < sizeof(deep); i += 1024)
		seen->sum += deep[i];
	(void)prctl(PR_GET_NAME, seen->name);
	pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
}

static void a_thread_has_its_name_stack_and_no_signals(void **state)
{
	(void)state;
	static const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGPIPE, SIGALRM};
	static const int open[] = {SIGSEGV, SIGBUS, SIGSYS, SIGABRT, SIGFPE, SIGILL};
	struct seen seen = {.sum = 0};
	sigset_t mine;
	pthread_t thread;
	struct thread_options o = {.name = "a name that is too long", .joinable = true};
	assert_ok(thread_start(&o, look_around, &seen, &thread));
	thread_join(thread);
	assert_string_equal(seen.name, "a name that is ");
	assert_int_equal(seen.sum, (DEEP + 1023) / 1024);
	for (size_t i = 0; i < N_ELEMENTS(blocked); i++)
		assert_int_equal(sigismember(&seen.blocked, blocked[i]), 1);
	for (size_t i = 0; i < N_ELEMENTS(open); i++)
		assert_int_equal(sigismember(&seen.blocked, open[i]), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_int_equal(sigismember(&mine, SIGTERM), 0); /* the starter's are as before */
}

static volatile int forever = 1; /* more than a compiler can know */

static void overflow(void *context)
{
	volatile uint8_t deep[1 << 16];
	deep[0] = *(volatile uint8_t *)context;
	if (forever)
		overflow((void *)(uintptr_t)&deep[0]);
	deep[1] = 1;
}

static void a_stack_that_overflows_hits_its_guard(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		uint8_t byte = 0;
		pthread_t thread;
		int null = open("/dev/null", O_WRONLY);
		(void)dup2(null, 2); /* a sanitizer would write about it */
		(void)thread_start(&(struct thread_options){.joinable = true}, overflow, &byte,
		                   &thread);
		thread_join(thread);
		_exit(0);
	}
	assert_int_not_equal(test_wait(pid), 0);
}

static void count(void *context)
{
	eventfd_signal(*(int *)context);
}

static void detached_threads_run_and_go(void **state)
{
	(void)state;
	CLEANUP(fd_close) int fd = -1;
	uint64_t sum = 0;
	assert_ok(eventfd_new(&fd));
	for (int i = 0; i < 50; i++)
		assert_ok(thread_start(&(struct thread_options){.name = NULL}, count, &fd, NULL));
	while (sum < 50) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		sum += eventfd_drain(fd);
	}
	struct timespec pause = {.tv_nsec = 10000000};
	for (int i = 0; i < 500 && process_n_threads() > 1; i++)
		nanosleep(&pause, NULL);
	assert_int_equal(process_n_threads(), 1);
}

/* In a child of its own user, since the limit counts all threads of a user. */
static void no_more_threads_is_busy(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* another user's count is needed, which only root can take */
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit limit = {1, 1};
		int fd = -1;
		(void)eventfd_new(&fd);
		if (setrlimit(RLIMIT_NPROC, &limit) < 0 || setresuid(61234, 61234, 61234) < 0)
			_exit(10);
		struct status s =
		        thread_start(&(struct thread_options){.name = "x"}, count, &fd, NULL);
		_exit(s.code == ERR_BUSY ? 0 : 1);
	}
	int status = test_wait(pid);
	assert_int_equal(status, 0);
}

/* --- titles --- */

static int title_child(int argc, char **argv)
{
	struct process_title title;
	char command[64] = "";
	char expected[] = "mailkeep: account me";
	process_title_init(&title, argc, argv);
	process_title_set(&title, "account me");
	CLEANUP(fd_close) int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, command, sizeof(command) - 1) < (ssize_t)sizeof(expected) - 1)
		return 1;
	if (memcmp(command, expected, sizeof(expected)) != 0)
		return 2;
	const char *kept = getenv("KEPT");
	if (!kept || strncmp(kept, "value", 6) != 0)
		return 3; /* the environment was overwritten */
	char name[16] = "";
	(void)prctl(PR_GET_NAME, name);
	if (memcmp(name, "account me", 11) != 0)
		return 4;
	process_title_set(&title, "x"); /* a shorter one leaves nothing behind */
	memset(command, 1, sizeof(command));
	return pread(fd, command, sizeof(command), 0) > 12 && memcmp(command, "mailkeep: x\0\0", 13)
	               ? 5
	               : 0;
}

static void ps_shows_the_role(void **state)
{
	(void)state;
	static const char *const env[] = {"KEPT=value", NULL};
	const char *argv[] = {"r", "title", NULL}; /* far shorter than the title */
	struct process p;
	static const struct process_fd standard[] = {{1, 1}, {2, 2}};
	struct process_options o = {
	        .path = "/proc/self/exe", .argv = argv, .env = env, .fds = standard, .n_fds = 2};
	assert_ok(process_spawn(&o, &p, NULL));
	assert_int_equal(end_of(&p).number, 0);
	struct process_title none;
	char *empty[] = {NULL};
	process_title_init(&none, 0, empty);
	process_title_set(&none, "process_test");
}

int main(int argc, char **argv)
{
	if (argc == 2 && strncmp(argv[1], "title", 6) == 0)
		return title_child(argc, argv);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_child_ends_with_its_status),
	        cmocka_unit_test(a_running_child_is_busy_until_ended),
	        cmocka_unit_test(a_failure_to_start_is_told),
	        cmocka_unit_test(the_child_has_exactly_the_descriptors_of_the_map),
	        cmocka_unit_test(the_environment_is_empty_unless_given),
	        cmocka_unit_test(signals_session_and_limits_are_as_asked),
	        cmocka_unit_test(children_end_with_their_parent),
	        cmocka_unit_test(forking_gives_a_watched_child),
	        cmocka_unit_test(a_process_with_threads_does_not_fork),
	        cmocka_unit_test(a_thread_has_its_name_stack_and_no_signals),
	        cmocka_unit_test(a_stack_that_overflows_hits_its_guard),
	        cmocka_unit_test(detached_threads_run_and_go),
	        cmocka_unit_test(no_more_threads_is_busy),
	        cmocka_unit_test(ps_shows_the_role),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
