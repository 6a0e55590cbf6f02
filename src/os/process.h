/* Processes and threads: what the supervisor needs to start, watch and end rooms, what the account
 * zygote needs to fork, and how sessions get their threads.
 */
#pragma once

#include "os/fault.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/types.h>

/* A child that we started and must reap. */
struct process {
	pid_t pid;  /* 0: none */
	int pid_fd; /* readable when it has ended */
};
#define PROCESS_NONE ((struct process){.pid = 0, .pid_fd = -1})

struct process_fd {
	int from; /* ours */
	int to;   /* the number it has in the child */
};
struct process_limit {
	int resource; /* RLIMIT_... */
	struct rlimit limit;
};
#define PROCESS_FDS_MAX 256

struct process_options {
	const char *path;             /* absolute: no search */
	const char *const *argv;      /* NULL-terminated, argv[0] included */
	const char *const *env;       /* NULL-terminated; NULL: an empty environment */
	const struct process_fd *fds; /* exactly these are open in the child; any `from` may also be
	                                 another one's `to` */
	size_t n_fds;
	const struct process_limit *limits;
	size_t n_limits;
	int death_signal; /* sent to the child when the calling thread ends; 0: none */
	bool new_session; /* setsid */
};
/* fork and execve. Signals are at their defaults and unblocked in the child. Returns when the new
 * program runs; its failure to start (no such file, not executable) is reported here. The child is
 * exec'ed with spare room behind its arguments for process_title_set. */
struct status process_spawn(const struct process_options *options, struct process *ret_process,
                            struct os_fault *ret_fault);

/* fork alone, for the zygote: false in *ret_in_child for the parent, whose *ret_process is the
 * child. The caller has one thread only (INVALID otherwise). In the child the death signal is set,
 * and nothing is inherited that the caller does not close itself (fd_close_all_except). */
struct status process_fork(int death_signal, struct process *ret_process, bool *ret_in_child);

struct process_end {
	bool by_signal;
	int number; /* exit status or signal */
};
/* Does not block: BUSY while it runs. On OK the process is reaped and becomes PROCESS_NONE. */
struct status process_reap(struct process *process, struct process_end *ret_end);
/* Waits at most timeout_ms (< 0: for ever): TIMEOUT. */
struct status process_wait(struct process *process, int timeout_ms, struct process_end *ret_end);
/* By pid fd, so never to a stranger that got the same number. OK when it has ended already. */
struct status process_signal(const struct process *process, int signal_number);
/* For CLEANUP: kills and reaps what is still there. */
void process_kill(struct process *process);

/* Threads of this process as the kernel counts them; 0 when that cannot be seen. */
unsigned process_n_threads(void);

/* What ps shows. init takes over the memory that the kernel shows as arguments (and moves the
 * environment away from it); call it once in main, before threads, and keep the struct. */
struct process_title {
	char *start;
	size_t size; /* 0: cannot be changed */
};
void process_title_init(struct process_title *title, int argc, char **argv);
/* Shows "mailkeep: account me" for role "account me": as the command line, cut to the room there
 * is, and its first 15 bytes without "mailkeep: " as the thread's name. */
void process_title_set(struct process_title *title, const char *role);

#define THREAD_STACK_DEFAULT ((size_t)128 * 1024)
struct thread_options {
	const char *name;  /* at most 15 bytes are kept; may be NULL */
	size_t stack_size; /* usable bytes, a guard page comes on top; 0: THREAD_STACK_DEFAULT */
	bool joinable;
};
/* All signals are blocked in the new thread but those that the thread itself causes (SIGSEGV,
 * SIGSYS and their kin). BUSY when the system has no more threads to give. `context` belongs to the
 * thread from now on; on failure it stays the caller's. ret_thread may be NULL when not joinable.
 */
struct status thread_start(const struct thread_options *options, void (*run)(void *context),
                           void *context, pthread_t *ret_thread);
void thread_join(pthread_t thread);
/* Blocks all signals in the calling thread (for main, before it starts others) but the ones above.
 */
void thread_block_signals(void);
