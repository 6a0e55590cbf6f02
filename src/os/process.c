/* Starting, watching and ending child processes; process titles.
 *
 * Between fork and execve the child calls only what is async-signal-safe, since the parent may have
 * threads: everything is prepared before the fork. It tells its failure through a close-on-exec
 * pipe, whose silent end means that the new program runs.
 */
#include "os/process.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/sanitizers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ENV_MAX       ((size_t)64)
#define FD_NUMBER_MAX 4096
#define TITLE_PREFIX  "mailkeep: "

/* Moved behind argv by the kernel, so that a title finds room there. */
static const char title_room[] = "TITLE_ROOM=................................................"
                                 "................................................................";

#define N_FOREIGN_THREADS (OS_TSAN ? 1U : 0U) /* the sanitizer's own */

/* What the child needs, made by the parent. */
struct plan {
	const struct process_options *options;
	const char *env[ENV_MAX + 2];
	pid_t parent;
	int error_fd;
	int first_free; /* above every number that the child is to have */
};

struct failure {
	int errno_value;
	char step[48];
};

NORETURN static void child_fails(const struct plan *plan, const char *step)
{
	struct failure failure = {.errno_value = errno};
	memcpy(failure.step, step, strnlen(step, sizeof(failure.step) - 1));
	ssize_t n = write(plan->error_fd, &failure, sizeof(failure));
	_exit(n == (ssize_t)sizeof(failure) ? 126 : 127);
}

static void reset_signals(void)
{
	sigset_t none;
	/* The kernel's form of struct sigaction, all zero: SIG_DFL. Not by libc, which refuses its
	 * own two signals; whoever started us may have ignored them, too. */
	static const uint64_t by_default[8];
	for (int i = 1; i < _NSIG; i++)
		(void)syscall(SYS_rt_sigaction, i, by_default, NULL, _NSIG / 8);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First all out of the way of the targets, then each to its place. */
static void place_fds(struct plan *plan)
{
	int moved[PROCESS_FDS_MAX];
	bool wanted[FD_NUMBER_MAX] = {false};
	const struct process_options *o = plan->options;
	plan->error_fd = fcntl(plan->error_fd, F_DUPFD_CLOEXEC, plan->first_free);
	if (plan->error_fd < 0)
		_exit(127);
	for (size_t i = 0; i < o->n_fds; i++) {
		moved[i] = fcntl(o->fds[i].from, F_DUPFD_CLOEXEC, plan->first_free);
		if (moved[i] < 0)
			child_fails(plan, "cannot pass a descriptor to");
	}
	for (size_t i = 0; i < o->n_fds; i++) {
		wanted[o->fds[i].to] = true;
		if (dup2(moved[i], o->fds[i].to) < 0)
			child_fails(plan, "cannot pass a descriptor to");
	}
	for (int i = 0; i < plan->first_free; i++) {
		if (!wanted[i])
			close(i);
	}
	if (syscall(SYS_close_range, plan->first_free, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		child_fails(plan, "cannot close descriptors for");
}

static void set_death_signal(const struct plan *plan, int signal_number)
{
	if (signal_number == 0)
		return;
	if (prctl(PR_SET_PDEATHSIG, signal_number) < 0)
		child_fails(plan, "cannot set the death signal of");
	if (getppid() != plan->parent)
		_exit(127); /* the parent ended before that */
}

NORETURN static void run_child(struct plan *plan)
{
	const struct process_options *o = plan->options;
	reset_signals();
	place_fds(plan);
	if (o->new_session && setsid() < 0)
		child_fails(plan, "cannot start a session for");
	for (size_t i = 0; i < o->n_limits; i++) {
		if (setrlimit((__rlimit_resource_t)o->limits[i].resource, &o->limits[i].limit) < 0)
			child_fails(plan, "cannot set a limit of");
	}
	set_death_signal(plan, o->death_signal);
	/* execve takes what it does not change without const, for history's sake. */
	union {
		const char *const *in;
		char *const *out;
	} argv = {.in = o->argv}, env = {.in = plan->env};
	execve(o->path, argv.out, env.out);
	child_fails(plan, "cannot execute");
}

static struct status make_plan(const struct process_options *options, struct plan *plan)
{
	size_t n_env = 0;
	*plan = (struct plan){.options = options, .parent = getpid(), .first_free = 3};
	if (options->n_fds > PROCESS_FDS_MAX)
		return fail(ERR_LIMIT, "too many descriptors for a child");
	for (size_t i = 0; i < options->n_fds; i++) {
		int to = options->fds[i].to;
		if (to < 0 || to >= FD_NUMBER_MAX - 1)
			return fail(ERR_INVALID, "descriptor number for a child is out of range");
		plan->first_free = MAX(plan->first_free, to + 1);
	}
	for (; options->env && options->env[n_env]; n_env++) {
		if (n_env == ENV_MAX)
			return fail(ERR_LIMIT, "too many environment variables for a child");
		plan->env[n_env] = options->env[n_env];
	}
	plan->env[n_env] = title_room;
	return ok();
}

static int pid_fd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* A pid fd for a fresh child; a child that cannot be watched is not kept. */
static struct status watch(pid_t pid, struct process *ret_process, struct os_fault *ret_fault)
{
	int fd = pid_fd_open(pid);
	if (fd < 0) {
		int saved = errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return os_fail(ret_fault, saved, "cannot watch a child", NULL);
	}
	*ret_process = (struct process){.pid = pid, .pid_fd = fd};
	return ok();
}

/* Silence and the end: it runs. */
static struct status hear_start(int fd, struct process *process, const char *path,
                                struct os_fault *ret_fault)
{
	struct failure failure;
	struct status heard = fd_read_all(fd, &failure, sizeof(failure), NULL);
	if (heard.code == ERR_TRUNCATED)
		return ok();
	process_kill(process);
	if (!is_ok(heard))
		return os_refuse(ret_fault, ERR_IO, "cannot hear from a child", path);
	failure.step[sizeof(failure.step) - 1] = '\0';
	struct status status = os_fail(ret_fault, failure.errno_value, failure.step, path);
	status.why = "child could not be started"; /* the step is not static text */
	return status;
}

struct status process_spawn(const struct process_options *options, struct process *ret_process,
                            struct os_fault *ret_fault)
{
	struct plan plan;
	int pipe_fds[2];
	struct process child = PROCESS_NONE;
	sigset_t all, old;
	struct status planned = make_plan(options, &plan);
	if (!is_ok(planned))
		return os_refuse(ret_fault, planned.code, planned.why, options->path);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return os_fail(ret_fault, errno, "cannot create a pipe", NULL);
	CLEANUP(fd_close) int read_end = pipe_fds[0];
	CLEANUP(fd_close) int write_end = pipe_fds[1];
	plan.error_fd = write_end;
	sigfillset(&all); /* our handlers must not run in the child */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid_t pid = fork();
	int saved = errno;
	if (pid == 0)
		run_child(&plan);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return os_fail(ret_fault, saved, "cannot fork for", options->path);
	TRY(watch(pid, &child, ret_fault));
	fd_close(&write_end);
	TRY(hear_start(read_end, &child, options->path, ret_fault));
	*ret_process = child;
	return ok();
}

struct status process_fork(int death_signal, struct process *ret_process, bool *ret_in_child)
{
	pid_t parent = getpid();
	if (process_n_threads() > 1)
		return fail(ERR_INVALID, "a process with several threads must not fork");
	pid_t pid = fork();
	if (pid < 0)
		return fail_errno(errno, "cannot fork");
	if (pid == 0) {
		if (death_signal && prctl(PR_SET_PDEATHSIG, death_signal) < 0)
			_exit(127);
		if (getppid() != parent)
			_exit(127);
		*ret_in_child = true;
		return ok();
	}
	TRY(watch(pid, ret_process, NULL));
	*ret_in_child = false;
	return ok();
}

static struct status reap(struct process *process, int flags, struct process_end *ret_end)
{
	siginfo_t info = {.si_pid = 0};
	int r;
	if (process->pid_fd < 0)
		return fail(ERR_INVALID, "no such child");
	do {
		r = waitid(P_PIDFD, (id_t)process->pid_fd, &info, WEXITED | flags);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return fail_errno(errno, "cannot wait for a child");
	if (info.si_pid == 0)
		return fail(ERR_BUSY, "child still runs");
	*ret_end = (struct process_end){
	        .by_signal = info.si_code != CLD_EXITED,
	        .number = info.si_status,
	};
	fd_close(&process->pid_fd);
	process->pid = 0;
	return ok();
}

struct status process_reap(struct process *process, struct process_end *ret_end)
{
	return reap(process, WNOHANG, ret_end);
}

struct status process_wait(struct process *process, int timeout_ms, struct process_end *ret_end)
{
	struct deadline deadline = deadline_in(timeout_ms);
	struct pollfd p = {.fd = process->pid_fd, .events = POLLIN};
	for (;;) {
		int n = poll(&p, 1, deadline_left_ms(deadline));
		if (n > 0)
			return process_reap(process, ret_end);
		if (n == 0 && deadline_passed(deadline))
			return fail(ERR_TIMEOUT, "child still runs");
		if (n < 0 && errno != EINTR)
			return fail_errno(errno, "cannot wait for a child");
	}
}

struct status process_signal(const struct process *process, int signal_number)
{
	if (process->pid_fd < 0)
		return fail(ERR_INVALID, "no such child");
	if (syscall(SYS_pidfd_send_signal, process->pid_fd, signal_number, NULL, 0) < 0 &&
	    errno != ESRCH)
		return fail_errno(errno, "cannot signal a child");
	return ok();
}

void process_kill(struct process *process)
{
	struct process_end end;
	if (process->pid_fd < 0 || process->pid == 0)
		return;
	(void)process_signal(process, SIGKILL);
	(void)reap(process, 0, &end);
}

unsigned process_n_threads(void)
{
	/* proc(5): a task directory has a link for each thread besides its own two. */
	struct stat st;
	if (stat("/proc/self/task", &st) < 0 || st.st_nlink < 3)
		return 0;
	unsigned n = (unsigned)(st.st_nlink - 2);
	return n > N_FOREIGN_THREADS ? n - N_FOREIGN_THREADS : n;
}

/* The end of the run of strings that lie one behind the other in memory from `end` on. */
static char *extend(char *end, char **strings)
{
	for (; *strings; strings++) {
		if (*strings != end)
			continue;
		end += strlen(end) + 1;
	}
	return end;
}

static void move_environment(void)
{
	size_t n = 0;
	while (environ[n])
		n++;
	char **copy = base_alloc((n + 1) * sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = base_strdup(environ[i]);
	environ = copy; /* kept until the process ends */
}

void process_title_init(struct process_title *title, int argc, char **argv)
{
	*title = (struct process_title){.start = NULL};
	if (argc < 1 || !argv[0])
		return;
	char *end = extend(argv[0], argv);
	end = extend(end, environ);
	title->start = argv[0];
	title->size = (size_t)(end - argv[0]);
	move_environment();
}

void process_title_set(struct process_title *title, const char *role)
{
	char name[16];
	snprintf(name, sizeof(name), "%s", role);
	(void)prctl(PR_SET_NAME, name);
	if (title->size == 0)
		return;
	memset(title->start, 0, title->size);
	snprintf(title->start, title->size, TITLE_PREFIX "%s", role);
}
