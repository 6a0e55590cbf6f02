/* The recipe: one function that reads like the list in sandbox.h, and a step each below it.
 *
 * Limits: descriptors and paths that a context may name are capped by SANDBOX_KEEP_MAX,
 * SANDBOX_PATHS_MAX and SANDBOX_PORTS_MAX.
 */
#include "os/sandbox.h"

#include "os/fd.h"
#include "os/process.h"
#include "os/sandbox_private.h"
#include "os/sanitizers.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define SANDBOX_KEEP_MAX ((size_t)256)

#if OS_ASAN
/* LeakSanitizer looks at the end with ptrace and /proc, which a sealed process no longer has:
 * there, and only there, it is told to stay out. Its name is the runtime's. */
int __lsan_is_turned_off(void);
static volatile sig_atomic_t sealed;
int __lsan_is_turned_off(void)
{
	return sealed;
}
static void note_sealed(void)
{
	sealed = 1;
}
#else
static void note_sealed(void)
{
}
#endif

static struct status check_context(const struct sandbox_policy *policy,
                                   const struct sandbox_context *c, struct os_fault *fault)
{
	bool root = geteuid() == 0;
	bool owns = policy->files == FILES_OWN || policy->files == FILES_SPOOL;
	if (process_n_threads() > 1)
		return os_refuse(fault, ERR_INVALID, "threads were started before the sandbox",
		                 NULL);
	if (c->n_keep_fds > SANDBOX_KEEP_MAX || c->n_read_paths > SANDBOX_PATHS_MAX ||
	    c->n_write_dirs > SANDBOX_PATHS_MAX || c->n_connect_ports > SANDBOX_PORTS_MAX)
		return os_refuse(fault, ERR_LIMIT, "too many descriptors or paths", NULL);
	if (c->n_read_paths > 0 && !policy->read_list && policy->files != FILES_ANY)
		return os_refuse(fault, ERR_INVALID, "this room may not be given files to read",
		                 NULL);
	if (c->n_write_dirs > 0 && policy->files != FILES_OWN)
		return os_refuse(fault, ERR_INVALID, "this room may not be given directories",
		                 NULL);
	if (owns && !sandbox_has_fd(c->own_dir))
		return os_refuse(fault, ERR_INVALID, "this room needs its own directory", NULL);
	if (c->chroot && !sandbox_has_fd(c->own_dir))
		return os_refuse(fault, ERR_INVALID, "no directory to change the root to", NULL);
	if (root && c->uid == 0 && !policy->may_stay_root && !c->stay_root)
		return os_refuse(fault, ERR_INVALID, "this room must not run as root", NULL);
	if (c->filter && &sandbox_policies[c->filter->room] != policy)
		return os_refuse(fault, ERR_INVALID, "the filter is another room's", NULL);
	return ok();
}

static void keep(int *list, size_t *n, const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++)
		list[(*n)++] = fds[i];
}

static struct status drop_fds(const struct sandbox_context *c, struct os_fault *fault)
{
	static const int standard[] = {0, 1, 2};
	int list[SANDBOX_KEEP_MAX + 2 * SANDBOX_PATHS_MAX + N_ELEMENTS(standard) + 1];
	size_t n = 0;
	keep(list, &n, standard, N_ELEMENTS(standard));
	keep(list, &n, c->keep_fds, c->n_keep_fds);
	keep(list, &n, c->read_paths, c->n_read_paths);
	keep(list, &n, c->write_dirs, c->n_write_dirs);
	keep(list, &n, &c->own_dir, 1);
	struct status status = fd_close_all_except(list, n);
	return is_ok(status) ? status : os_refuse(fault, status.code, status.why, NULL);
}

static void write_map(const char *path, unsigned id)
{
	char text[40];
	int n = snprintf(text, sizeof(text), "%u %u 1", id, id);
	CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)fd_write_all(fd, slice_of(text, (size_t)n), NULL);
}

/* An ordinary user gets an empty network only inside a user namespace, where he is still himself.
 */
static void enter_user_namespace(struct sandbox_report *report)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return; /* seccomp denies the network by itself */
	CLEANUP(fd_close) int fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)fd_write_all(fd, SLICE("deny"), NULL);
	write_map("/proc/self/uid_map", uid);
	write_map("/proc/self/gid_map", gid);
	report->user_namespace = true;
	report->network_namespace = true;
}

static struct status enter_namespaces(const struct sandbox_policy *policy,
                                      const struct sandbox_context *c,
                                      struct sandbox_report *report)
{
	if (policy->network != NETWORK_NONE)
		return ok();
	/* Refused in containers without CAP_SYS_ADMIN: the report says so, the rest holds. */
	if (geteuid() == 0)
		report->network_namespace = unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0;
	else if (c->user_namespace)
		enter_user_namespace(report);
	return ok();
}

static struct status change_root(const struct sandbox_context *c, struct sandbox_report *report)
{
	if (sandbox_has_fd(c->own_dir) && fchdir(c->own_dir) < 0)
		return os_fail(&report->fault, errno, "cannot enter its own directory", NULL);
	if (!c->chroot || geteuid() != 0)
		return ok();
	if (chroot(".") < 0 || chdir("/") < 0)
		return os_fail(&report->fault, errno, "cannot change the root directory", NULL);
	report->chrooted = true;
	return ok();
}

static struct status forbid_privileges(struct os_fault *fault)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return os_fail(fault, errno, "cannot set no_new_privs", NULL);
	return ok();
}

static struct status confine_files(const struct sandbox_policy *policy,
                                   const struct sandbox_context *c, struct sandbox_report *report)
{
	report->landlock_abi = sandbox_landlock_abi();
	if (policy->files == FILES_ANY || report->landlock_abi == 0)
		return ok();
	return sandbox_landlock_enter(policy, c, report->landlock_abi, &report->fault);
}

/* Never raises a limit. */
static struct status lower_limit(int resource, uint64_t value, struct os_fault *fault)
{
	struct rlimit limit;
	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return os_fail(fault, errno, "cannot read a resource limit", NULL);
	limit.rlim_max = MIN(limit.rlim_max, (rlim_t)value);
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return os_fail(fault, errno, "cannot set a resource limit", NULL);
	return ok();
}

static struct status set_limits(const struct sandbox_policy *policy,
                                const struct sandbox_context *c, struct os_fault *fault)
{
	uint64_t memory = c->memory_max ? c->memory_max : policy->memory_max;
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	TRY(lower_limit(RLIMIT_CORE, 0, fault)); /* cores hold mail and keys */
	TRY(lower_limit(RLIMIT_NOFILE, c->n_files_max ? c->n_files_max : policy->n_files_max,
	                fault));
	if (memory && !OS_SANITIZED)
		TRY(lower_limit(RLIMIT_DATA, memory, fault));
	if (policy->file_size_max)
		TRY(lower_limit(RLIMIT_FSIZE, policy->file_size_max, fault));
	if (policy->n_tasks_max)
		TRY(lower_limit(RLIMIT_NPROC, policy->n_tasks_max, fault));
	/* EFBIG from write instead of a signal. */
	if (sigaction(SIGXFSZ, &ignore, NULL) < 0)
		return os_fail(fault, errno, "cannot ignore a signal", NULL);
	return ok();
}

/* No ptrace, no /proc/PID/mem for others of the same user. */
static struct status hide_memory(const struct sandbox_policy *policy, struct os_fault *fault)
{
	if (OS_SANITIZED || policy->files == FILES_ANY)
		return ok(); /* the supervisor's children would inherit unreadable /proc entries */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return os_fail(fault, errno, "cannot hide its memory", NULL);
	return ok();
}

static struct status seal(const struct sandbox_policy *policy,
                          const struct sandbox_context *context,
                          const struct sandbox_filter *filter, struct sandbox_report *report)
{
	struct os_fault *fault = &report->fault;
	TRY(drop_fds(context, fault));
	TRY(enter_namespaces(policy, context, report));
	TRY(change_root(context, report));
	TRY(forbid_privileges(fault));
	TRY(confine_files(policy, context, report));
	TRY(sandbox_become(policy, context, report));
	TRY(set_limits(policy, context, fault));
	TRY(hide_memory(policy, fault));
	TRY(sandbox_seccomp_enter(filter, fault));
	report->seccomp = true;
	note_sealed();
	return sandbox_check(policy, context, report);
}

struct status sandbox_enter(enum sandbox_room room, const struct sandbox_context *context,
                            struct sandbox_report *ret_report)
{
	ASSERT((unsigned)room < SANDBOX_ROOM_COUNT);
	const struct sandbox_policy *policy = &sandbox_policies[room];
	const struct sandbox_filter *filter = context->filter;
	*ret_report = (struct sandbox_report){.room = room, .wide_profile = OS_SANITIZED};
	TRY(check_context(policy, context, &ret_report->fault));
	if (!filter) {
		struct sandbox_filter *made; /* kept: the handler of SIGSYS takes names from it */
		struct status status = sandbox_filter_new(room, &made);
		if (!is_ok(status))
			return os_refuse(&ret_report->fault, status.code, status.why, NULL);
		filter = made;
	}
	return seal(policy, context, filter, ret_report);
}

static const char *yes_no(bool b)
{
	return b ? "yes" : "no";
}

void sandbox_report_print(const struct sandbox_report *report, struct buf *out)
{
	buf_printf(out, "landlock=%d chroot=%s uid=%s netns=%s seccomp=%s checks=%u",
	           report->landlock_abi, yes_no(report->chrooted), yes_no(report->became_uid),
	           yes_no(report->network_namespace), yes_no(report->seccomp), report->n_checks);
	if (report->wide_profile)
		buf_add_str(out, " profile=sanitizer");
	if (report->weak)
		buf_add_str(out, " weak=yes");
}
