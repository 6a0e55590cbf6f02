/* The last step of the recipe: try what is forbidden. Each trial is chosen to do nothing should it
 * be allowed against all expectation (bad descriptors, empty names, impossible flags).
 */
#include "os/fd.h"
#include "os/sandbox_private.h"
#include "os/sanitizers.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

struct trial {
	const char *name;
	unsigned granted_by; /* groups; 0: nobody */
	bool wide;           /* also trapped in a sanitizer build */
	long number;
	long args[6];
};

static const struct trial trials[] = {
        {"executed a program", GROUP_EXEC, true, SYS_execve, {0}},
        {"forked", GROUP_FORK, true, SYS_clone, {CLONE_SIGHAND}},
        {"traced a process", 0, false, SYS_ptrace, {PTRACE_DETACH}},
        {"sent a signal", GROUP_FORK, true, SYS_kill, {0x7ffffff0}},
        {"connected",
         GROUP_CONNECT_TCP | GROUP_CONNECT_UDP | GROUP_LISTEN,
         true,
         SYS_connect,
         {-1}},
        {"bound a port",
         GROUP_CONNECT_TCP | GROUP_CONNECT_UDP | GROUP_LISTEN,
         true,
         SYS_bind,
         {-1}},
        {"listened", GROUP_LISTEN, true, SYS_listen, {-1}},
        {"made a socket",
         GROUP_CONNECT_TCP | GROUP_CONNECT_UDP | GROUP_LISTEN,
         true,
         SYS_socket,
         {AF_INET, SOCK_STREAM | SOCK_CLOEXEC}},
        {"mounted", 0, true, SYS_mount, {0}},
        {"left its namespaces", GROUP_SEAL, true, SYS_unshare, {0}},
        {"changed its user", GROUP_SEAL, true, SYS_setresuid, {-1, -1, -1}},
        {"changed a mode by name", GROUP_EXEC, true, SYS_fchmodat, {-1, 0, 0600}},
        {"used bpf", 0, true, SYS_bpf, {-1}},
        {"used io_uring", 0, true, SYS_io_uring_setup, {0}},
        {"took a descriptor of another process", 0, true, SYS_pidfd_getfd, {-1, -1}},
        {"read another process's memory", 0, false, SYS_process_vm_readv, {0x7ffffff0}},
};

static struct status failed(struct sandbox_report *report, const char *what)
{
	return os_refuse(&report->fault, ERR_DENIED, "the sandbox leaks: the room", what);
}

static struct status check_calls(const struct sandbox_policy *policy, struct sandbox_report *report)
{
	for (size_t i = 0; i < N_ELEMENTS(trials); i++) {
		const struct trial *t = &trials[i];
		long result;
		if ((policy->groups & t->granted_by) != 0 || (OS_SANITIZED && !t->wide))
			continue;
		if (!sandbox_seccomp_try(t->number, t->args, &result))
			return failed(report, t->name);
		report->n_checks++;
	}
	return ok();
}

static struct status check_executable_memory(const struct sandbox_policy *policy,
                                             struct sandbox_report *report)
{
	if ((policy->groups & GROUP_EXEC) || OS_SANITIZED)
		return ok();
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED) {
		munmap(p, 4096);
		return failed(report, "mapped executable memory");
	}
	report->n_checks++;
	return ok();
}

static bool can_open(const char *name, int flags)
{
	CLEANUP(fd_close) int fd = openat(AT_FDCWD, name, flags | O_CLOEXEC);
	return fd >= 0;
}

/* World-readable everywhere, so that only the sandbox can be what refuses them. */
static struct status check_files(const struct sandbox_policy *policy,
                                 const struct sandbox_context *context,
                                 struct sandbox_report *report)
{
	static const char *const outside[] = {"/etc/passwd", "/proc/self/status", "/proc/1/status"};
	if (policy->files == FILES_ANY)
		return ok();
	for (size_t i = 0; i < N_ELEMENTS(outside); i++) {
		if (!can_open(outside[i], O_RDONLY)) {
			report->n_checks++;
			continue;
		}
		if (report->landlock_abi > 0 || !context->allow_weak)
			return failed(report, "opened a file outside");
		report->weak = true;
	}
	return ok();
}

static struct status check_parent(const struct sandbox_policy *policy,
                                  struct sandbox_report *report)
{
	if (policy->files == FILES_ANY || report->chrooted || report->landlock_abi == 0)
		return ok(); /* above a chroot there is nothing: ".." is the directory itself */
	if (can_open("..", O_RDONLY | O_DIRECTORY))
		return failed(report, "listed the directory above its own");
	report->n_checks++;
	return ok();
}

struct status sandbox_check(const struct sandbox_policy *policy,
                            const struct sandbox_context *context, struct sandbox_report *report)
{
	TRY(check_calls(policy, report));
	TRY(check_executable_memory(policy, report));
	TRY(check_files(policy, context, report));
	return check_parent(policy, report);
}
