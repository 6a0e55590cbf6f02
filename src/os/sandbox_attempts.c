/* Attempts to break out, one function each, and their table. */
#include "os/sandbox_attempts.h"

#include "os/fd.h"
#include "os/sanitizers.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static enum outcome done_if(bool done)
{
	return done ? OUTCOME_DONE : OUTCOME_REFUSED;
}

static enum outcome opens_at(int dir, const char *name, int flags)
{
	CLEANUP(fd_close) int fd = openat(dir, name, flags | O_CLOEXEC, 0600);
	return done_if(fd >= 0);
}

static enum outcome opens(const char *name, int flags)
{
	return opens_at(AT_FDCWD, name, flags);
}

/* --- files --- */

static enum outcome open_passwd(const struct scene *s)
{
	(void)s;
	return opens("/etc/passwd", O_RDONLY);
}

static enum outcome list_etc(const struct scene *s)
{
	(void)s;
	return opens("/etc", O_RDONLY | O_DIRECTORY);
}

static enum outcome open_by_old_call(const struct scene *s)
{
	(void)s;
	long fd = syscall(SYS_open, "/etc/passwd", O_RDONLY, 0);
	return done_if(fd >= 0);
}

static enum outcome open_through_proc_root(const struct scene *s)
{
	(void)s;
	return opens("/proc/self/root/etc/passwd", O_RDONLY);
}

static enum outcome open_device(const struct scene *s)
{
	(void)s;
	return opens("/dev/null", O_WRONLY);
}

static enum outcome open_others_secret(const struct scene *s)
{
	return opens(s->secret, O_RDONLY);
}

static enum outcome open_others_secret_upwards(const struct scene *s)
{
	(void)s;
	return opens("../other/secret", O_RDONLY);
}

static enum outcome open_others_secret_from_own_dir(const struct scene *s)
{
	return opens_at(s->own_dir, "sub/../../other/secret", O_RDONLY);
}

static enum outcome list_others_directory(const struct scene *s)
{
	(void)s;
	return opens("../other", O_RDONLY | O_DIRECTORY);
}

static enum outcome follow_link_out(const struct scene *s)
{
	(void)s;
	return opens("link-out", O_RDONLY);
}

static enum outcome reopen_through_proc_fd(const struct scene *s)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/self/fd/%d/../other/secret", s->own_dir);
	return opens(name, O_RDONLY);
}

static enum outcome open_existing_in_own_dir(const struct scene *s)
{
	return opens_at(s->own_dir, "existing", O_RDONLY);
}

static enum outcome open_path_in_disguise(const struct scene *s)
{
	return opens_at(s->own_dir, "existing", O_PATH | O_TMPFILE | O_RDWR);
}

static enum outcome read_list(const struct scene *s)
{
	return s->list_dir < 0 ? OUTCOME_REFUSED : opens_at(s->list_dir, "readme", O_RDONLY);
}

static enum outcome write_list(const struct scene *s)
{
	return s->list_dir < 0 ? OUTCOME_REFUSED : opens_at(s->list_dir, "readme", O_RDWR);
}

static enum outcome create_in_list(const struct scene *s)
{
	return s->list_dir < 0 ? OUTCOME_REFUSED
	                       : opens_at(s->list_dir, "new", O_CREAT | O_EXCL | O_WRONLY);
}

static enum outcome open_above_list(const struct scene *s)
{
	return s->list_dir < 0 ? OUTCOME_REFUSED
	                       : opens_at(s->list_dir, "../outside/file", O_RDONLY);
}

static void outside_name(const struct scene *s, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", s->outside, name);
}

static enum outcome create_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "new", path);
	return opens(path, O_CREAT | O_WRONLY);
}

static enum outcome write_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return opens(path, O_WRONLY);
}

static enum outcome temporary_outside(const struct scene *s)
{
	return opens(s->outside, O_TMPFILE | O_RDWR);
}

static enum outcome remove_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(unlinkat(AT_FDCWD, path, 0) == 0);
}

static enum outcome rename_from_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(renameat(AT_FDCWD, path, AT_FDCWD, "stolen") == 0);
}

static enum outcome link_from_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(linkat(AT_FDCWD, path, AT_FDCWD, "stolen", 0) == 0);
}

static enum outcome make_directory_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "dir", path);
	return done_if(mkdirat(AT_FDCWD, path, 0700) == 0);
}

static enum outcome truncate_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(truncate(path, 0) == 0);
}

static enum outcome chmod_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(syscall(SYS_chmod, path, 0777) == 0);
}

static enum outcome chmod_at_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(syscall(SYS_fchmodat, AT_FDCWD, path, 0777) == 0);
}

static enum outcome chown_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(fchownat(AT_FDCWD, path, (uid_t)-1, (gid_t)-1, 0) == 0);
}

static enum outcome touch_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(utimensat(AT_FDCWD, path, NULL, 0) == 0);
}

static enum outcome set_attribute_outside(const struct scene *s)
{
	char path[128];
	outside_name(s, "file", path);
	return done_if(setxattr(path, "user.x", "y", 1, 0) == 0);
}

static enum outcome make_link(const struct scene *s)
{
	(void)s;
	return done_if(symlinkat("/etc/passwd", AT_FDCWD, "fresh-link") == 0);
}

static enum outcome make_device(const struct scene *s)
{
	(void)s;
	return done_if(mknodat(AT_FDCWD, "device", S_IFIFO | 0600, 0) == 0);
}

/* --- network --- */

static enum outcome connects(const struct os_address *at)
{
	CLEANUP(fd_close) int fd = -1;
	return done_if(is_ok(socket_connect(at, NULL, 2000, &fd, NULL)));
}

static enum outcome connect_tcp(const struct scene *s)
{
	return connects(&s->listener_at);
}

static enum outcome connect_tcp_other_port(const struct scene *s)
{
	return connects(&s->other_at);
}

static enum outcome connect_given_socket(const struct scene *s)
{
	struct sockaddr_storage sa;
	socklen_t size = os_address_to_sockaddr(&s->other_at, &sa);
	int r = connect(s->connection, (struct sockaddr *)&sa, size);
	return done_if(r == 0 || errno == EISCONN); /* the call itself went through */
}

static enum outcome listen_tcp(const struct scene *s)
{
	struct os_address any = s->listener_at;
	CLEANUP(fd_close) int fd = -1;
	any.port = 0;
	return done_if(is_ok(socket_listen(&any, NULL, &fd, NULL)));
}

static enum outcome send_udp(const struct scene *s)
{
	struct sockaddr_storage sa;
	socklen_t size = os_address_to_sockaddr(&s->listener_at, &sa);
	CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return done_if(fd >= 0 && sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, size) == 1);
}

static enum outcome open_raw_socket(const struct scene *s)
{
	(void)s;
	CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	return done_if(fd >= 0);
}

static enum outcome open_netlink(const struct scene *s)
{
	(void)s;
	CLEANUP(fd_close) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	return done_if(fd >= 0);
}

static enum outcome connect_abstract(const struct scene *s)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "%s", s->base);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	return done_if(fd >= 0 && connect(fd, (struct sockaddr *)&sa, size) == 0);
}

static enum outcome accept_on_listener(const struct scene *s)
{
	int fd = -1;
	struct os_address peer;
	enum socket_accept verdict = socket_accept(s->listener, &fd, &peer);
	fd_close(&fd);
	return done_if(verdict == SOCKET_ACCEPTED || verdict == SOCKET_ACCEPT_AGAIN);
}

static enum outcome make_pair(const struct scene *s)
{
	int fds[2];
	(void)s;
	return done_if(is_ok(socket_pair_stream(fds)));
}

/* --- other processes --- */

static enum outcome execute(const struct scene *s)
{
	(void)s;
	execl("/bin/true", "true", (char *)NULL); /* its success is ours: status 0 */
	return OUTCOME_REFUSED;
}

static enum outcome execute_memfd(const struct scene *s)
{
	CLEANUP(fd_close) int fd = -1;
	char *const none[] = {NULL};
	(void)s;
	if (!is_ok(memfd_new("program", &fd)) ||
	    !is_ok(fd_write_all(fd, SLICE("#!/bin/true\n"), NULL)) ||
	    !is_ok(fd_set_cloexec(fd, false)))
		return OUTCOME_BROKEN;
	syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH);
	return OUTCOME_REFUSED;
}

static enum outcome fork_child(const struct scene *s)
{
	(void)s;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return done_if(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

static enum outcome clone_into_namespaces(const struct scene *s)
{
	(void)s;
	long pid = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return done_if(pid > 0);
}

static enum outcome clone3_child(const struct scene *s)
{
	uint64_t args[11] = {[4] = SIGCHLD};
	(void)s;
	long pid = syscall(SYS_clone3, args, sizeof(args));
	if (pid == 0)
		_exit(0);
	return done_if(pid > 0);
}

static enum outcome kill_sibling(const struct scene *s)
{
	return done_if(kill(s->sibling, SIGCONT) == 0);
}

static enum outcome tgkill_sibling(const struct scene *s)
{
	return done_if(syscall(SYS_tgkill, s->sibling, s->sibling, SIGCONT) == 0);
}

static enum outcome queue_signal_to_sibling(const struct scene *s)
{
	return done_if(sigqueue(s->sibling, SIGCONT, (union sigval){.sival_int = 0}) == 0);
}

static enum outcome pidfd_signal_sibling(const struct scene *s)
{
	CLEANUP(fd_close) int fd = (int)syscall(SYS_pidfd_open, s->sibling, 0);
	return done_if(fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0) == 0);
}

static enum outcome trace_sibling(const struct scene *s)
{
	return done_if(ptrace(PTRACE_ATTACH, s->sibling, NULL, NULL) == 0);
}

static enum outcome read_siblings_memory(const struct scene *s)
{
	char here[8];
	struct iovec local = {here, sizeof(here)};
	struct iovec remote = {(void *)(uintptr_t)s->base, sizeof(here)}; /* forked: same address */
	return done_if(process_vm_readv(s->sibling, &local, 1, &remote, 1, 0) > 0);
}

static enum outcome open_siblings_memory(const struct scene *s)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%ld/mem", (long)s->sibling);
	return opens(path, O_RDONLY);
}

static enum outcome open_siblings_environment(const struct scene *s)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%ld/environ", (long)s->sibling);
	return opens(path, O_RDONLY);
}

static enum outcome take_siblings_descriptor(const struct scene *s)
{
	CLEANUP(fd_close) int pid_fd = (int)syscall(SYS_pidfd_open, s->sibling, 0);
	long fd = syscall(SYS_pidfd_getfd, pid_fd, 0, 0);
	return done_if(fd >= 0);
}

static enum outcome limit_sibling(const struct scene *s)
{
	struct rlimit limit = {0, 0};
	return done_if(prlimit(s->sibling, RLIMIT_CORE, &limit, NULL) == 0);
}

/* --- privileges --- */

static enum outcome become_root(const struct scene *s)
{
	(void)s;
	return done_if(setresuid(0, 0, 0) == 0);
}

static enum outcome change_root(const struct scene *s)
{
	(void)s;
	return done_if(chroot("/") == 0);
}

static enum outcome mount_something(const struct scene *s)
{
	return done_if(mount("none", s->outside, "tmpfs", 0, NULL) == 0);
}

static enum outcome mount_by_new_calls(const struct scene *s)
{
	(void)s;
	return done_if(syscall(SYS_fsopen, "tmpfs", 0) >= 0);
}

static enum outcome new_user_namespace(const struct scene *s)
{
	(void)s;
	return done_if(unshare(CLONE_NEWUSER) == 0);
}

static enum outcome new_mount_namespace(const struct scene *s)
{
	(void)s;
	return done_if(unshare(CLONE_NEWNS) == 0);
}

static enum outcome enter_namespace(const struct scene *s)
{
	return done_if(setns(s->own_dir, 0) == 0);
}

static enum outcome use_bpf(const struct scene *s)
{
	uint64_t attr[16] = {0};
	(void)s;
	return done_if(syscall(SYS_bpf, 0, attr, sizeof(attr)) >= 0);
}

static enum outcome use_io_uring(const struct scene *s)
{
	uint8_t params[120] = {0};
	(void)s;
	return done_if(syscall(SYS_io_uring_setup, 8, params) >= 0);
}

static enum outcome use_keyring(const struct scene *s)
{
	(void)s;
	return done_if(syscall(SYS_keyctl, 0, -3, 1) >= 0);
}

static enum outcome use_perf(const struct scene *s)
{
	(void)s;
	return done_if(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0);
}

static enum outcome use_userfaultfd(const struct scene *s)
{
	(void)s;
	return done_if(syscall(SYS_userfaultfd, 0) >= 0);
}

static enum outcome become_dumpable(const struct scene *s)
{
	(void)s;
	return done_if(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

static enum outcome raise_limit(const struct scene *s)
{
	struct rlimit limit;
	(void)s;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return OUTCOME_BROKEN;
	limit.rlim_max++;
	return done_if(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static enum outcome map_executable(const struct scene *s)
{
	(void)s;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return done_if(p != MAP_FAILED);
}

static enum outcome make_executable(const struct scene *s)
{
	(void)s;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return done_if(p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
}

static enum outcome type_into_terminal(const struct scene *s)
{
	char c = 'x';
	(void)s;
	return done_if(ioctl(0, TIOCSTI, &c) == 0);
}

#define SUPER   ROOM(SUPERVISOR)
#define SEALERS (ROOM(SUPERVISOR) | ROOM(ZYGOTE))
#define KEEPERS (ROOM(ZYGOTE) | ROOM(ACCOUNT) | ROOM(QUEUE) | ROOM(VAULT) | ROOM(STEWARD))
#define CALLERS (ROOM(WEB) | ROOM(COURIER) | ROOM(RESOLVER))
#define READERS (ROOM(WEB) | ROOM(STEWARD))
/* Sanitizers' runtimes need these calls: the wide profile does not trap them. */
#define UNLESS_SANITIZED (OS_SANITIZED ? ROOMS_ALL : 0)

const struct attempt sandbox_attempts[] = {
        {"open /etc/passwd", open_passwd, .may = SUPER},
        {"list /etc", list_etc, .may = SUPER},
        {"open by the old call", open_by_old_call, .may = SUPER},
        {"open through /proc/self/root", open_through_proc_root, .may = SUPER},
        {"open a device", open_device, .may = SUPER},
        {"open another account's file", open_others_secret, .may = SEALERS},
        {"open it by ..", open_others_secret_upwards, .unsaid = SUPER},
        {"open it by .. from its directory", open_others_secret_from_own_dir, .unsaid = SUPER},
        {"list another account's directory", list_others_directory, .unsaid = SUPER},
        {"follow a link out of its directory", follow_link_out, .unsaid = SUPER},
        {"leave through /proc/self/fd", reopen_through_proc_fd, .unsaid = SUPER},
        {"open an existing file of its directory", open_existing_in_own_dir,
         .may = KEEPERS | SUPER},
        {"open a path as a temporary file", open_path_in_disguise,
         .unsaid = OS_SANITIZED ? ROOMS_ALL : ROOMS_ALL & ~ROOM(GATE), .trapped = true},
        {"read a listed file", read_list, .may = READERS},
        {"write a listed file", write_list},
        {"create among listed files", create_in_list},
        {"open above listed files", open_above_list},
        {"create a file outside", create_outside, .unsaid = SUPER},
        {"write a file outside", write_outside, .unsaid = SUPER},
        {"make a temporary file outside", temporary_outside, .unsaid = SUPER},
        {"remove a file outside", remove_outside, .unsaid = SUPER},
        {"rename a file from outside", rename_from_outside, .unsaid = SUPER},
        {"link a file from outside", link_from_outside, .unsaid = SUPER},
        {"make a directory outside", make_directory_outside, .unsaid = SUPER},
        {"truncate a file outside", truncate_outside, .unsaid = SUPER | UNLESS_SANITIZED,
         .trapped = true},
        {"chmod a file outside", chmod_outside, .unsaid = SUPER, .trapped = true},
        {"fchmodat a file outside", chmod_at_outside, .unsaid = SUPER, .trapped = true},
        {"chown a file outside", chown_outside, .unsaid = SUPER, .trapped = true},
        {"touch a file outside", touch_outside, .unsaid = SUPER | UNLESS_SANITIZED,
         .trapped = true},
        {"set an attribute of a file outside", set_attribute_outside, .unsaid = UNLESS_SANITIZED,
         .trapped = true},
        {"make a symbolic link", make_link, .unsaid = SUPER},
        {"make a device", make_device, .unsaid = SUPER},

        {"connect by TCP", connect_tcp, .may = CALLERS | SUPER, .trapped = true},
        {"connect to an unlisted port", connect_tcp_other_port, .may = ROOM(WEB) | SUPER,
         .landlock = 4},
        {"connect a socket it was given", connect_given_socket, .may = ROOM(WEB) | SUPER,
         .unsaid = ROOM(RESOLVER) | ROOM(COURIER), .trapped = true},
        {"listen on TCP", listen_tcp, .may = SUPER},
        {"send by UDP", send_udp, .may = ROOM(RESOLVER) | SUPER,
         .unsaid = UNLESS_SANITIZED & CALLERS},
        {"open a raw socket", open_raw_socket},
        {"open a netlink socket", open_netlink, .may = SUPER, .unsaid = UNLESS_SANITIZED & CALLERS},
        {"connect to an abstract socket", connect_abstract, .may = SUPER},
        {"accept on a listener", accept_on_listener, .may = ROOM(GATE) | ROOM(STEWARD) | SUPER,
         .unsaid = UNLESS_SANITIZED, .trapped = true},
        {"make a socket pair", make_pair, .may = ROOM(GATE) | CALLERS | SUPER,
         .unsaid = UNLESS_SANITIZED, .trapped = true},

        {"execute a program", execute, .may = SUPER, .trapped = true},
        {"execute a memfd", execute_memfd, .may = SUPER, .trapped = true},
        {"fork", fork_child, .may = SEALERS, .trapped = true},
        {"clone into new namespaces", clone_into_namespaces, .trapped = true,
         .unsaid = OS_SANITIZED ? SEALERS : 0},
        {"fork by clone3", clone3_child},
        {"signal a sibling", kill_sibling, .may = SUPER, .landlock = 6},
        {"signal a sibling's thread", tgkill_sibling, .may = SUPER, .unsaid = ROOM(ZYGOTE),
         .trapped = true, .landlock = 6},
        {"queue a signal to a sibling", queue_signal_to_sibling, .unsaid = UNLESS_SANITIZED,
         .trapped = true},
        {"signal a sibling by pidfd", pidfd_signal_sibling, .may = SUPER, .landlock = 6},
        {"trace a sibling", trace_sibling, .unsaid = OS_SANITIZED ? SUPER : 0,
         .trapped = !OS_SANITIZED},
        {"read a sibling's memory", read_siblings_memory, .unsaid = OS_SANITIZED ? SUPER : 0,
         .trapped = !OS_SANITIZED},
        {"open a sibling's memory", open_siblings_memory, .unsaid = SUPER},
        {"open a sibling's environment", open_siblings_environment, .unsaid = SUPER},
        {"take a sibling's descriptor", take_siblings_descriptor, .trapped = true},
        {"limit a sibling", limit_sibling, .unsaid = SUPER | ROOM(ZYGOTE) | UNLESS_SANITIZED,
         .trapped = true},

        {"become root", become_root, .unsaid = SEALERS, .trapped = true},
        {"change the root directory", change_root, .unsaid = SEALERS, .trapped = true},
        {"mount", mount_something, .trapped = true},
        {"mount by the new calls", mount_by_new_calls, .unsaid = UNLESS_SANITIZED, .trapped = true},
        {"make a user namespace", new_user_namespace, .unsaid = SEALERS, .trapped = true},
        {"make a mount namespace", new_mount_namespace, .unsaid = SEALERS, .trapped = true},
        {"enter a namespace", enter_namespace, .trapped = true},
        {"use bpf", use_bpf, .trapped = true},
        {"use io_uring", use_io_uring, .trapped = true},
        {"use a keyring", use_keyring, .trapped = true},
        {"use perf", use_perf, .trapped = true},
        {"use userfaultfd", use_userfaultfd, .trapped = true},
        {"become dumpable", become_dumpable, .unsaid = SEALERS | UNLESS_SANITIZED, .trapped = true},
        {"raise a limit", raise_limit, .unsaid = SUPER | UNLESS_SANITIZED},
        {"map executable memory", map_executable, .may = SUPER, .unsaid = UNLESS_SANITIZED},
        {"make memory executable", make_executable, .may = SUPER, .unsaid = UNLESS_SANITIZED},
        {"type into the terminal", type_into_terminal, .unsaid = SUPER},
};
const size_t n_sandbox_attempts = N_ELEMENTS(sandbox_attempts);
