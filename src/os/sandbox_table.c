/* The policy: what each room may do, and nothing else in the program decides it.
 *
 * A change here is a change of the house's security: sandbox_test.c tries for each room what its
 * entry must not allow, and what it must.
 *
 * Limits are ceilings against runaway use, not targets; descriptors and memory can be set by the
 * context. RLIMIT_DATA is used and not RLIMIT_AS, since address space is also spent on shared maps
 * and on reserves that nobody touches. RLIMIT_NPROC counts all threads of a uid, so it is generous;
 * that a room does not fork is seccomp's part.
 */
#include "os/sandbox_private.h"

#include <linux/capability.h>
#include <string.h>

#define CAP(name) ((uint64_t)1 << CAP_##name)

#define GROUPS_OF_ALL     (GROUP_BASE | GROUP_THREADS | GROUP_MEMFD | GROUP_SOCKETS)
#define GROUPS_OF_FILES   (GROUP_READ | GROUP_WRITE)
#define GROUPS_OF_ACCOUNT (GROUPS_OF_ALL | GROUPS_OF_FILES)

/* What it takes to seal a child as root: change uid and root directory, set up an empty network
 * namespace, drop capabilities. KILL: the death signal of a parent needs it. */
#define CAPS_TO_SEAL                                                                               \
	(CAP(SETUID) | CAP(SETGID) | CAP(SETPCAP) | CAP(SYS_CHROOT) | CAP(KILL) |                  \
	 CAP(DAC_OVERRIDE) | CAP(CHOWN) | CAP(FOWNER))

/* Of all rooms that share a user, in localserve the whole house and what else the user runs. */
#define N_TASKS 65536

const struct sandbox_policy sandbox_policies[SANDBOX_ROOM_COUNT] = {
        [SANDBOX_SUPERVISOR] =
                {
                        .purpose = "binds ports, starts, restarts and introduces rooms; reads "
                                   "nothing from outside",
                        .groups = (1U << SANDBOX_GROUP_COUNT) - 1,
                        .files = FILES_ANY,
                        .network = NETWORK_ANY,
                        .may_stay_root = true,
                        .capabilities = CAPS_TO_SEAL | CAP(SYS_ADMIN) | CAP(SYS_RESOURCE) |
                                        CAP(NET_BIND_SERVICE),
                        .n_files_max = 1 << 20,
                        .memory_max = 0,
                },
        [SANDBOX_GATE] =
                {
                        .purpose = "every inbound connection: TLS, SMTP reception, what comes "
                                   "before login",
                        .groups = GROUPS_OF_ALL | GROUP_ACCEPT | GROUP_SOCKETPAIR | GROUP_SPOOL,
                        .files = FILES_SPOOL,
                        .network = NETWORK_NONE,
                        .n_files_max = 65536,
                        .memory_max = 4 * GIB,
                        .file_size_max = 8 * GIB,
                        .n_tasks_max = N_TASKS,
                },
        [SANDBOX_WEB] =
                {
                        .purpose = "HTTP requests, relayed by gate; static sites and configured "
                                   "backends",
                        .groups = GROUPS_OF_ALL | GROUP_SOCKETPAIR | GROUP_READ | GROUP_CONNECT_TCP,
                        .files = FILES_NONE,
                        .read_list = true,
                        .network = NETWORK_TCP,
                        .n_files_max = 65536,
                        .memory_max = 2 * GIB,
                        .file_size_max = 8 * GIB,
                        .n_tasks_max = N_TASKS,
                },
        [SANDBOX_ZYGOTE] =
                {
                        .purpose = "forks the account rooms; reads nothing but the supervisor's "
                                   "requests",
                        .groups = GROUPS_OF_ACCOUNT | GROUP_FORK | GROUP_SEAL,
                        .files = FILES_OWN,
                        .network = NETWORK_NONE,
                        .may_stay_root = true,
                        .capabilities = CAPS_TO_SEAL,
                        .n_files_max = 65536,
                        .memory_max = 1 * GIB,
                        .n_tasks_max = 0,
                },
        [SANDBOX_ACCOUNT] =
                {
                        .purpose = "one user's mail: sessions after login, delivery, the store",
                        .groups = GROUPS_OF_ACCOUNT,
                        .files = FILES_OWN,
                        .network = NETWORK_INHERITED,
                        .n_files_max = 4096,
                        .memory_max = 1 * GIB,
                        .n_tasks_max = N_TASKS,
                },
        [SANDBOX_QUEUE] =
                {
                        .purpose = "the outgoing queue",
                        .groups = GROUPS_OF_ALL | GROUPS_OF_FILES,
                        .files = FILES_OWN,
                        .network = NETWORK_NONE,
                        .n_files_max = 16384,
                        .memory_max = 2 * GIB,
                        .n_tasks_max = N_TASKS,
                },
        [SANDBOX_COURIER] =
                {
                        .purpose = "delivers to remote SMTP servers and reads their replies",
                        .groups = GROUPS_OF_ALL | GROUP_SOCKETPAIR | GROUP_CONNECT_TCP,
                        .files = FILES_NONE,
                        .network = NETWORK_MAIL,
                        .n_files_max = 16384,
                        .memory_max = 2 * GIB,
                        .file_size_max = 8 * GIB,
                        .n_tasks_max = N_TASKS,
                },
        [SANDBOX_RESOLVER] =
                {
                        .purpose = "DNS with DNSSEC validation; holds the cache",
                        .groups = GROUPS_OF_ALL | GROUP_SOCKETPAIR | GROUP_CONNECT_TCP |
                                  GROUP_CONNECT_UDP,
                        .files = FILES_NONE,
                        .network = NETWORK_DNS,
                        .n_files_max = 65536,
                        .memory_max = 2 * GIB,
                        .file_size_max = 8 * GIB,
                        .n_tasks_max = N_TASKS,
                },
        [SANDBOX_VAULT] =
                {
                        .purpose = "password verifiers and private keys: signs and verifies, gives "
                                   "none away",
                        .groups = GROUPS_OF_ALL | GROUPS_OF_FILES,
                        .files = FILES_OWN,
                        .network = NETWORK_NONE,
                        .n_files_max = 4096,
                        .memory_max = 4 * GIB,
                        .n_tasks_max = N_TASKS,
                },
        [SANDBOX_STEWARD] =
                {
                        .purpose = "configuration, the administrator's commands, certificates' "
                                   "state, reports",
                        .groups = GROUPS_OF_ALL | GROUP_ACCEPT | GROUPS_OF_FILES,
                        .files = FILES_OWN,
                        .read_list = true,
                        .network = NETWORK_NONE,
                        .n_files_max = 4096,
                        .memory_max = 2 * GIB,
                        .n_tasks_max = N_TASKS,
                },
};

static const char *const room_names[] = {
#define X(id, name) [SANDBOX_##id] = name,
        SANDBOX_ROOM_LIST(X)
#undef X
};

const char *sandbox_room_name(enum sandbox_room room)
{
	return (unsigned)room < SANDBOX_ROOM_COUNT ? room_names[room] : "unknown";
}

bool sandbox_room_parse(struct slice name, enum sandbox_room *ret_room)
{
	for (unsigned i = 0; i < SANDBOX_ROOM_COUNT; i++) {
		if (slice_eq_str(name, room_names[i])) {
			*ret_room = (enum sandbox_room)i;
			return true;
		}
	}
	return false;
}

/* --- the calls of each group; names that an architecture lacks are passed over --- */

static const char *const base_calls[] = {
        /* open descriptors */
        "read",
        "write",
        "readv",
        "writev",
        "pread64",
        "pwrite64",
        "preadv",
        "pwritev",
        "preadv2",
        "pwritev2",
        "lseek",
        "_llseek",
        "close",
        "close_range",
        "fstat",
        "fstat64",
        "dup",
        "dup2",
        "dup3",
        "pipe2",
        "eventfd2",
        "sendfile",
        "copy_file_range",
        "fadvise64",
        "getcwd",
        "umask",
        /* waiting */
        "poll",
        "ppoll",
        "select",
        "pselect6",
        "epoll_create1",
        "epoll_ctl",
        "epoll_wait",
        "epoll_pwait",
        "epoll_pwait2",
        "timerfd_create",
        "timerfd_settime",
        "timerfd_gettime",
        "signalfd4",
        /* memory */
        "munmap",
        "mremap",
        "madvise",
        "brk",
        "msync",
        "mlock",
        "mlock2",
        "munlock",
        "mincore",
        /* threads' machinery and signals */
        "futex",
        "futex_wait",
        "futex_wake",
        "futex_waitv",
        "set_robust_list",
        "get_robust_list",
        "rseq",
        "membarrier",
        "sched_yield",
        "sched_getaffinity",
        "getcpu",
        "sigaltstack",
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "rt_sigpending",
        "rt_sigtimedwait",
        "rt_sigsuspend",
        "pause",
        "tgkill",
        "restart_syscall",
        "exit",
        "exit_group",
        /* time, chance, identity */
        "clock_gettime",
        "clock_getres",
        "clock_nanosleep",
        "nanosleep",
        "gettimeofday",
        "time",
        "getrandom",
        "getpid",
        "gettid",
        "getppid",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "getresuid",
        "getresgid",
        "getgroups",
        "uname",
        "sysinfo",
        "getrusage",
        "getrlimit",
        "times",
        NULL,
};
static const char *const threads_calls[] = {NULL}; /* clone, by its flags */
static const char *const memfd_calls[] = {"memfd_create", "ftruncate", "fallocate", NULL};
static const char *const sockets_calls[] = {
        "recvfrom",   "recvmsg",    "recvmmsg",    "sendmsg",     "sendmmsg", "shutdown",
        "getsockopt", "setsockopt", "getsockname", "getpeername", NULL, /* sendto, without an
                                                                           address */
};
static const char *const accept_calls[] = {"accept4", "accept", NULL};
static const char *const socketpair_calls[] = {NULL}; /* socketpair, AF_UNIX */
static const char *const read_calls[] = {
        "newfstatat", "fstatat64", "statx",      "stat",       "lstat",  "access",  "faccessat",
        "faccessat2", "readlink",  "readlinkat", "getdents64", "statfs", "fstatfs", "chdir",
        "fchdir",     "readahead", "flock",      NULL, /* openat, by its flags */
};
static const char *const write_calls[] = {
        "openat",    "unlink",          "unlinkat", "rename", "renameat",  "renameat2", "mkdir",
        "mkdirat",   "rmdir",           "link",     "linkat", "ftruncate", "fallocate", "fsync",
        "fdatasync", "sync_file_range", "fchmod",   "fchown", "futimens",  NULL,
};
static const char *const spool_calls[] = {
        "ftruncate", "fallocate", "fsync", "fdatasync", "unlinkat", NULL, /* openat, by its flags */
};
static const char *const connect_tcp_calls[] = {"connect", "bind", NULL}; /* socket, by its kind */
static const char *const connect_udp_calls[] = {"connect", "bind", "sendto", NULL};
static const char *const listen_calls[] = {"socket", "bind", "listen", "sendto", NULL};
static const char *const fork_calls[] = {
        "fork", "vfork",  "wait4",   "waitid",  "pidfd_open", "pidfd_send_signal",
        "kill", "setsid", "setpgid", "getpgrp", "getpgid",    "getsid",
        NULL, /* clone, by its flags */
};
static const char *const seal_calls[] = {
        "chroot",
        "unshare",
        "setuid",
        "setgid",
        "setresuid",
        "setresgid",
        "setgroups",
        "capget",
        "capset",
        "prctl",
        "prlimit64",
        "setrlimit",
        "seccomp",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        NULL,
};
static const char *const exec_calls[] = {
        /* what a program does between its start and its own sandbox */
        "execve",
        "execveat",
        "arch_prctl",
        "set_tid_address",
        "open",
        "mmap",
        "mprotect",
        "ioctl",
        "fcntl",
        "fchownat",
        "chown",
        "fchmodat",
        "chmod",
        "symlinkat",
        "truncate",
        "getpriority",
        "sched_getparam",
        "sched_getscheduler",
        "sched_setaffinity",
        "getdents",
        "utimensat",
        "sync",
        "personality",
        "pipe",
        "epoll_create",
        "eventfd",
        NULL,
};

static const char *const *const group_calls[] = {
        [SANDBOX_GROUP_NUMBER_BASE] = base_calls,
        [SANDBOX_GROUP_NUMBER_THREADS] = threads_calls,
        [SANDBOX_GROUP_NUMBER_MEMFD] = memfd_calls,
        [SANDBOX_GROUP_NUMBER_SOCKETS] = sockets_calls,
        [SANDBOX_GROUP_NUMBER_ACCEPT] = accept_calls,
        [SANDBOX_GROUP_NUMBER_SOCKETPAIR] = socketpair_calls,
        [SANDBOX_GROUP_NUMBER_READ] = read_calls,
        [SANDBOX_GROUP_NUMBER_WRITE] = write_calls,
        [SANDBOX_GROUP_NUMBER_SPOOL] = spool_calls,
        [SANDBOX_GROUP_NUMBER_CONNECT_TCP] = connect_tcp_calls,
        [SANDBOX_GROUP_NUMBER_CONNECT_UDP] = connect_udp_calls,
        [SANDBOX_GROUP_NUMBER_LISTEN] = listen_calls,
        [SANDBOX_GROUP_NUMBER_FORK] = fork_calls,
        [SANDBOX_GROUP_NUMBER_SEAL] = seal_calls,
        [SANDBOX_GROUP_NUMBER_EXEC] = exec_calls,
};
_Static_assert(N_ELEMENTS(group_calls) == SANDBOX_GROUP_COUNT, "calls for every group");

const char *const *sandbox_group_calls(unsigned group_number)
{
	return group_calls[group_number];
}

const char *sandbox_group_words(unsigned group_number)
{
	static const char *const words[] = {
#define X(id, text) [SANDBOX_GROUP_NUMBER_##id] = text,
	        SANDBOX_GROUP_LIST(X)
#undef X
	};
	return words[group_number];
}
