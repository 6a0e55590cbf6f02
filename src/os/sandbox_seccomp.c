/* System calls: the list of a room as a BPF program, and what happens when a call is not on it.
 *
 * libseccomp builds an allow list whose default is a trap: SIGSYS, whose handler logs room and call
 * and ends the process by the same signal. The program is exported once and loaded by seccomp(2),
 * so that the zygote's children need not build it again. libseccomp cannot say "anything else"
 * about the arguments of a call, so polite refusals are written as rules that together cover the
 * rest.
 *
 * A second small program, made per process, lets tgkill (abort, pthread_kill) reach
 * this process only: its number is not known when the list is built.
 *
 * A sanitizer build is the other way round: all is allowed but the calls that sandbox_check tries
 * and some that nobody needs.
 */
#include "os/fd.h"
#include "os/log.h"
#include "os/sandbox_private.h"
#include "os/sanitizers.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define NEW_NAMESPACES                                                                             \
	((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |  \
	            CLONE_NEWPID | CLONE_NEWNET))
#define THREAD_FLAGS     ((uint64_t)(CLONE_VM | CLONE_THREAD | CLONE_SIGHAND))
#define TMPFILE_BIT      ((uint64_t)(O_TMPFILE & ~O_DIRECTORY)) /* libc means both bits by it */
#define SOCKET_TYPE_MASK 0xf

/* Signal flags: the handler's view of the process. Set before the filter is loaded; `checking` and
 * `trapped` are used by the last step only, while there is one thread. */
static struct {
	const struct sandbox_filter *filter;
	volatile sig_atomic_t checking;
	volatile sig_atomic_t trapped;
} trap;

/* Collects rules; the first failure stays. */
struct rules {
	scmp_filter_ctx ctx;
	unsigned groups;
	int error;
};

static bool has(const struct rules *r, unsigned groups)
{
	return (r->groups & groups) != 0;
}

/* A rule with at most two conditions. Calls that the architecture lacks and repeats are no error.
 */
static void add_if(struct rules *r, uint32_t action, const char *call, unsigned n_conditions,
                   const struct scmp_arg_cmp *conditions)
{
	int number = seccomp_syscall_resolve_name(call);
	if (number == __NR_SCMP_ERROR || number < 0 || r->error)
		return;
	int error = seccomp_rule_add_array(r->ctx, action, number, n_conditions, conditions);
	if (error && error != -EEXIST)
		r->error = -error;
}

static void allow(struct rules *r, const char *call)
{
	add_if(r, SCMP_ACT_ALLOW, call, 0, NULL);
}

static void refuse(struct rules *r, const char *call, int errno_value)
{
	add_if(r, SCMP_ACT_ERRNO((uint32_t)errno_value), call, 0, NULL);
}

static void add_eq(struct rules *r, uint32_t action, const char *call, unsigned arg, uint64_t value)
{
	struct scmp_arg_cmp c = {.arg = arg, .op = SCMP_CMP_EQ, .datum_a = value};
	add_if(r, action, call, 1, &c);
}

static void add_masked(struct rules *r, uint32_t action, const char *call, unsigned arg,
                       uint64_t mask, uint64_t value)
{
	struct scmp_arg_cmp c = {
	        .arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
	add_if(r, action, call, 1, &c);
}

/* Refused when any of the bits is set, given one by one. */
static void refuse_bits(struct rules *r, const char *call, unsigned arg, const uint64_t *bits,
                        size_t n_bits, int errno_value)
{
	for (size_t i = 0; i < n_bits; i++)
		add_masked(r, SCMP_ACT_ERRNO((uint32_t)errno_value), call, arg, bits[i], bits[i]);
}

/* No new executable memory: what is loaded is all that will ever run. */
static void add_memory_rules(struct rules *r)
{
	static const char *const calls[] = {"mmap", "mprotect"};
	static const uint64_t exec[] = {PROT_EXEC};
	if (has(r, GROUP_EXEC))
		return;
	for (size_t i = 0; i < N_ELEMENTS(calls); i++) {
		add_masked(r, SCMP_ACT_ALLOW, calls[i], 2, PROT_EXEC, 0);
		refuse_bits(r, calls[i], 2, exec, 1, EACCES);
	}
}

static void add_fd_rules(struct rules *r)
{
	static const uint64_t commands[] = {
	        F_DUPFD,      F_GETFD,      F_SETFD,     F_GETFL,     F_SETFL,      F_GETLK,
	        F_SETLK,      F_SETLKW,     F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC,
	        F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS,
	};
	if (has(r, GROUP_EXEC))
		return;
	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		add_eq(r, SCMP_ACT_ALLOW, "fcntl", 1, commands[i]);
}

/* Terminals and devices are nobody's business here; libc asks whether standard error is one. */
static void add_ioctl_rules(struct rules *r)
{
	const uint32_t no = SCMP_ACT_ERRNO(ENOTTY);
	const struct scmp_arg_cmp below = {.arg = 1, .op = SCMP_CMP_LT, .datum_a = FIONREAD};
	const struct scmp_arg_cmp above = {.arg = 1, .op = SCMP_CMP_GT, .datum_a = FIONBIO};
	_Static_assert(FIONREAD < FIONBIO && FIONBIO - FIONREAD < 16, "the gap is listed below");
	if (has(r, GROUP_EXEC))
		return;
	add_eq(r, SCMP_ACT_ALLOW, "ioctl", 1, FIONREAD);
	add_eq(r, SCMP_ACT_ALLOW, "ioctl", 1, FIONBIO);
	for (uint64_t between = FIONREAD + 1; between < FIONBIO; between++)
		add_eq(r, no, "ioctl", 1, between);
	add_if(r, no, "ioctl", 1, &below);
	add_if(r, no, "ioctl", 1, &above);
}

static void add_process_rules(struct rules *r)
{
	static const uint64_t options[] = {
	        PR_SET_NAME,         PR_GET_NAME,    PR_SET_PDEATHSIG, PR_GET_PDEATHSIG,
	        PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_CAPBSET_READ,  0x53564d41 /* PR_SET_VMA */,
	};
	static const struct scmp_arg_cmp own_limits[] = {
	        {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 0},
	        {.arg = 2, .op = SCMP_CMP_EQ, .datum_a = 0},
	};
	if (!has(r, GROUP_SEAL)) {
		for (size_t i = 0; i < N_ELEMENTS(options); i++)
			add_eq(r, SCMP_ACT_ALLOW, "prctl", 0, options[i]);
		add_if(r, SCMP_ACT_ALLOW, "prlimit64", 2, own_limits);
	}
	refuse(r, "clone3", ENOSYS); /* its flags are out of sight; glibc falls back to clone */
	if (has(r, GROUP_FORK))
		add_masked(r, SCMP_ACT_ALLOW, "clone", 0, NEW_NAMESPACES, 0);
	else if (has(r, GROUP_THREADS))
		add_masked(r, SCMP_ACT_ALLOW, "clone", 0, THREAD_FLAGS | NEW_NAMESPACES,
		           THREAD_FLAGS);
}

/* All but new files: neither O_TMPFILE nor O_CREAT and O_EXCL together. */
static void refuse_existing(struct rules *r)
{
	const uint32_t no = SCMP_ACT_ERRNO(EACCES);
	add_masked(r, no, "openat", 2, TMPFILE_BIT | O_CREAT, 0);
	add_masked(r, no, "openat", 2, TMPFILE_BIT | O_EXCL, 0);
}

/* Opening is refused, not deadly: libc tries files it can do without. */
static void add_open_rules(struct rules *r)
{
	static const uint64_t writing[] = {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, TMPFILE_BIT};
	static const uint64_t creating = O_CREAT | O_EXCL;
	if (!has(r, GROUP_EXEC)) {
		refuse(r, "open", EACCES);
		refuse(r, "creat", EACCES);
		refuse(r, "openat2", ENOSYS);
	}
	if (has(r, GROUP_WRITE))
		return;
	if (has(r, GROUP_READ)) {
		add_masked(r, SCMP_ACT_ALLOW, "openat", 2,
		           O_ACCMODE | O_CREAT | O_TRUNC | TMPFILE_BIT, 0);
		refuse_bits(r, "openat", 2, writing, N_ELEMENTS(writing), EACCES);
	} else if (has(r, GROUP_SPOOL)) {
		/* What exists already cannot be opened by either form (with O_PATH, which makes the
		 * kernel forget the other flags, it could). */
		add_masked(r, SCMP_ACT_ALLOW, "openat", 2, TMPFILE_BIT | O_PATH, TMPFILE_BIT);
		add_masked(r, SCMP_ACT_ALLOW, "openat", 2, creating | O_PATH, creating);
		refuse_existing(r);
	} else {
		refuse(r, "openat", EACCES);
	}
}

static void add_stat_rules(struct rules *r)
{
	static const char *const by_name[] = {"stat",       "lstat",    "access",    "faccessat",
	                                      "faccessat2", "readlink", "readlinkat"};
	if (has(r, GROUP_READ))
		return;
	/* fstat is newfstatat with an empty name in newer libcs. */
	add_masked(r, SCMP_ACT_ALLOW, "newfstatat", 3, AT_EMPTY_PATH, AT_EMPTY_PATH);
	add_masked(r, SCMP_ACT_ERRNO(EACCES), "newfstatat", 3, AT_EMPTY_PATH, 0);
	add_masked(r, SCMP_ACT_ALLOW, "statx", 2, AT_EMPTY_PATH, AT_EMPTY_PATH);
	add_masked(r, SCMP_ACT_ERRNO(EACCES), "statx", 2, AT_EMPTY_PATH, 0);
	for (size_t i = 0; i < N_ELEMENTS(by_name); i++)
		refuse(r, by_name[i], EACCES);
}

static void add_socket(struct rules *r, uint32_t action, int family, int type)
{
	const struct scmp_arg_cmp c[] = {
	        {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (uint64_t)family},
	        {.arg = 1,
	         .op = SCMP_CMP_MASKED_EQ,
	         .datum_a = SOCKET_TYPE_MASK,
	         .datum_b = (uint64_t)type},
	};
	add_if(r, action, "socket", 2, c);
}

static void add_socket_rules(struct rules *r)
{
	static const int internet[] = {AF_INET, AF_INET6};
	const uint32_t no = SCMP_ACT_ERRNO(EACCES);
	if (has(r, GROUP_SOCKETPAIR))
		add_eq(r, SCMP_ACT_ALLOW, "socketpair", 0, AF_UNIX);
	/* With an address, sendto reaches peers and (TCP Fast Open) connects. */
	if (has(r, GROUP_SOCKETS) && !has(r, GROUP_CONNECT_UDP))
		add_eq(r, SCMP_ACT_ALLOW, "sendto", 4, 0);
	if (has(r, GROUP_LISTEN) || !has(r, GROUP_CONNECT_TCP | GROUP_CONNECT_UDP))
		return;
	for (size_t i = 0; i < N_ELEMENTS(internet); i++) {
		add_socket(r, has(r, GROUP_CONNECT_TCP) ? SCMP_ACT_ALLOW : no, internet[i],
		           SOCK_STREAM);
		add_socket(r, has(r, GROUP_CONNECT_UDP) ? SCMP_ACT_ALLOW : no, internet[i],
		           SOCK_DGRAM);
	}
	/* Libraries probe these (interfaces, name service) and do without. */
	add_eq(r, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", 0, AF_UNIX);
	add_eq(r, SCMP_ACT_ERRNO(EAFNOSUPPORT), "socket", 0, AF_NETLINK);
}

static void add_list(struct rules *r)
{
	for (unsigned g = 0; g < SANDBOX_GROUP_COUNT; g++) {
		const char *const *call = sandbox_group_calls(g);
		for (; has(r, 1U << g) && *call; call++)
			allow(r, *call);
	}
	add_memory_rules(r);
	add_fd_rules(r);
	add_ioctl_rules(r);
	add_process_rules(r);
	add_open_rules(r);
	add_stat_rules(r);
	add_socket_rules(r);
}

/* The wide profile of sanitizer builds: a call is denied unless one of the groups needs it. */
static void add_denied(struct rules *r)
{
	static const struct {
		const char *call;
		unsigned groups;
	} denied[] = {
	        {"execve", GROUP_EXEC},
	        {"execveat", GROUP_EXEC},
	        {"fork", GROUP_FORK},
	        {"vfork", GROUP_FORK},
	        {"kill", GROUP_FORK},
	        {"pidfd_send_signal", GROUP_FORK},
	        {"connect", GROUP_CONNECT_TCP | GROUP_CONNECT_UDP},
	        {"bind", GROUP_CONNECT_TCP | GROUP_CONNECT_UDP | GROUP_LISTEN},
	        {"listen", GROUP_LISTEN},
	        {"unshare", GROUP_SEAL},
	        {"chroot", GROUP_SEAL},
	        {"setuid", GROUP_SEAL},
	        {"setresuid", GROUP_SEAL},
	        {"setgroups", GROUP_SEAL},
	        {"chmod", GROUP_EXEC},
	        {"fchmodat", GROUP_EXEC},
	        {"chown", GROUP_EXEC},
	        {"fchownat", GROUP_EXEC},
	        {"mount", 0},
	        {"umount2", 0},
	        {"pivot_root", 0},
	        {"setns", 0},
	        {"bpf", 0},
	        {"io_uring_setup", 0},
	        {"pidfd_getfd", 0},
	        {"process_vm_writev", 0},
	        {"perf_event_open", 0},
	        {"keyctl", 0},
	        {"userfaultfd", 0},
	        {"open_by_handle_at", 0},
	        {"kexec_load", 0},
	        {"init_module", 0},
	        {"finit_module", 0},
	        {"reboot", 0},
	        {"swapon", 0},
	        {"sethostname", 0},
	};
	for (size_t i = 0; i < N_ELEMENTS(denied); i++) {
		if (!has(r, denied[i].groups))
			add_if(r, SCMP_ACT_TRAP, denied[i].call, 0, NULL);
	}
	if (!has(r, GROUP_CONNECT_TCP | GROUP_CONNECT_UDP | GROUP_LISTEN))
		add_if(r, SCMP_ACT_TRAP, "socket", 0, NULL);
	if (!has(r, GROUP_FORK)) /* the sanitizers' own helper shares memory */
		add_masked(r, SCMP_ACT_TRAP, "clone", 0, CLONE_VM, 0);
	refuse(r, "clone3", ENOSYS);
	if (has(r, GROUP_SPOOL) && !has(r, GROUP_READ))
		refuse_existing(r);
}

/* Through a memfd: libseccomp 2.5 exports to descriptors only. */
static struct status export_program(const struct rules *r, struct sock_fprog *ret_program)
{
	CLEANUP(fd_close) int fd = -1;
	uint64_t size;
	TRY(memfd_new("seccomp", &fd));
	if (seccomp_export_bpf(r->ctx, fd) < 0)
		return fail(ERR_IO, "cannot export the system call list");
	TRY(fd_size(fd, &size));
	size_t n = (size_t)size / sizeof(struct sock_filter);
	if (n == 0 || n > BPF_MAXINSNS)
		return fail(ERR_LIMIT, "system call list is too long for the kernel");
	CLEANUP(base_freep) struct sock_filter *code = base_alloc((size_t)size);
	TRY(fd_pread_all(fd, code, (size_t)size, 0, NULL));
	*ret_program = (struct sock_fprog){.len = (unsigned short)n, .filter = code};
	code = NULL;
	return ok();
}

static struct status build(enum sandbox_room room, struct sock_fprog *ret_program)
{
	struct rules r = {.groups = sandbox_policies[room].groups};
	r.ctx = seccomp_init(OS_SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
	if (!r.ctx)
		return fail(ERR_IO, "cannot begin a system call list");
	/* A tree instead of a list: a few comparisons for each call instead of a hundred. */
	(void)seccomp_attr_set(r.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (OS_SANITIZED)
		add_denied(&r);
	else
		add_list(&r);
	struct status status = r.error ? fail_errno(r.error, "cannot add to the system call list")
	                               : export_program(&r, ret_program);
	seccomp_release(r.ctx);
	return status;
}

/* Beforehand: the handler cannot ask a library that allocates. */
static void fill_names(struct sandbox_filter *filter)
{
	for (int i = 0; i < SANDBOX_CALLS_MAX; i++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
		size_t n = name ? strnlen(name, sizeof(filter->names[i]) - 1) : 0;
		if (n > 0)
			memcpy(filter->names[i], name, n);
		free(name);
	}
}

struct status sandbox_filter_new(enum sandbox_room room, struct sandbox_filter **ret_filter)
{
	ASSERT((unsigned)room < SANDBOX_ROOM_COUNT);
	struct sock_fprog program = {.len = 0};
	TRY(build(room, &program));
	struct sandbox_filter *filter = base_alloc(sizeof(*filter));
	filter->room = room;
	filter->program = program;
	fill_names(filter);
	*ret_filter = filter;
	return ok();
}

void sandbox_filter_free(struct sandbox_filter *filter)
{
	if (!filter)
		return;
	base_free(filter->program.filter);
	base_free(filter);
}

/* Also safe here: it neither allocates nor locks. */
NORETURN static void die(int number)
{
	bool known = trap.filter && number >= 0 && number < SANDBOX_CALLS_MAX;
	const char *room = trap.filter ? sandbox_room_name(trap.filter->room) : "unknown";
	log_error(0, "forbidden system call", LOG_STR("sandbox", room),
	          LOG_STR("call", known ? trap.filter->names[number] : ""),
	          LOG_INT("number", number));
	struct sigaction by_default = {.sa_handler = SIG_DFL};
	(void)sigaction(SIGSYS, &by_default, NULL);
	syscall(SYS_reboot, 0, 0, 0, 0); /* denied to all: the kernel now ends us by SIGSYS */
	_exit(128 + SIGSYS);
}

static void on_trap(int signal_number, siginfo_t *info, void *context)
{
	(void)signal_number;
	(void)context;
	if (!trap.checking)
		die(info->si_syscall);
	trap.trapped = 1;
}

static struct status install_handler(const struct sandbox_filter *filter,
                                     struct os_fault *ret_fault)
{
	struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigset_t set;
	trap.filter = filter;
	trap.checking = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		return os_fail(ret_fault, errno, "cannot handle SIGSYS", NULL);
	return ok();
}

static struct status load(const struct sock_fprog *program, struct os_fault *ret_fault)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) < 0) {
		int code = errno;
		struct status status =
		        os_fail(ret_fault, code, "cannot load the system call list", NULL);
		if (code == ENOSYS || code == EINVAL)
			status.code = ERR_UNSUPPORTED;
		return status;
	}
	return ok();
}

/* tgkill to others than this process is trapped. */
static struct status load_pid_guard(struct os_fault *ret_fault)
{
	const uint32_t first_arg_low = (uint32_t)offsetof(struct seccomp_data, args);
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 2),
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first_arg_low),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "low half of an argument first");
	struct sock_fprog program = {.len = N_ELEMENTS(code), .filter = code};
	return load(&program, ret_fault);
}

struct status sandbox_seccomp_enter(const struct sandbox_filter *filter, struct os_fault *ret_fault)
{
	TRY(install_handler(filter, ret_fault));
	if (!(sandbox_policies[filter->room].groups & GROUP_FORK))
		TRY(load_pid_guard(ret_fault));
	return load(&filter->program, ret_fault);
}

bool sandbox_seccomp_try(long number, const long args[6], long *ret_result)
{
	trap.trapped = 0;
	trap.checking = 1;
	*ret_result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
	trap.checking = 0;
	return trap.trapped != 0;
}
