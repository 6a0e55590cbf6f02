/* Inside of the sandbox: the table's types, and the steps that have a file of their own. */
#pragma once

#include "os/sandbox.h"

#include <linux/filter.h>

/* What system calls are for. A room's list is the union of its groups (sandbox_table.c names the
 * calls; those that depend on arguments are in sandbox_seccomp.c). */
#define SANDBOX_GROUP_LIST(X)                                                                      \
	X(BASE, "memory, time, polling, reading and writing open descriptors")                     \
	X(THREADS, "starting threads")                                                             \
	X(MEMFD, "memory files")                                                                   \
	X(SOCKETS, "using sockets that it was given")                                              \
	X(ACCEPT, "accepting on listeners that it was given")                                      \
	X(SOCKETPAIR, "making local socket pairs")                                                 \
	X(READ, "opening files for reading")                                                       \
	X(WRITE, "creating, changing and removing files")                                          \
	X(SPOOL, "creating new files only")                                                        \
	X(CONNECT_TCP, "connecting by TCP")                                                        \
	X(CONNECT_UDP, "sending by UDP")                                                           \
	X(LISTEN, "opening listeners")                                                             \
	X(FORK, "forking, signalling and reaping children")                                        \
	X(SEAL, "entering a narrower sandbox")                                                     \
	X(EXEC, "executing programs")

enum {
#define X(id, words) SANDBOX_GROUP_NUMBER_##id,
	SANDBOX_GROUP_LIST(X)
#undef X
	        SANDBOX_GROUP_COUNT
};
enum sandbox_group {
#define X(id, words) GROUP_##id = 1 << SANDBOX_GROUP_NUMBER_##id,
	SANDBOX_GROUP_LIST(X)
#undef X
};

/* Rights on the room's own directory (and write_dirs). */
enum sandbox_files {
	FILES_ANY, /* no Landlock: the supervisor starts rooms that need anything */
	FILES_NONE,
	FILES_SPOOL, /* new files in it, not even listing */
	FILES_OWN,   /* all within it */
};

enum sandbox_network {
	NETWORK_ANY,
	NETWORK_NONE,      /* nothing but what is open; an empty namespace where possible */
	NETWORK_INHERITED, /* none, and the namespace is the zygote's */
	NETWORK_TCP,       /* out, any port */
	NETWORK_MAIL,      /* out, TCP to the context's ports (25) */
	NETWORK_DNS,       /* out, UDP and TCP to the context's ports (53) */
};

struct sandbox_policy {
	const char *purpose;
	unsigned groups;
	enum sandbox_files files;
	bool read_list; /* may be given read_paths */
	enum sandbox_network network;
	bool may_stay_root;
	uint64_t capabilities; /* bit per CAP_...; what root keeps */
	uint64_t n_files_max;
	uint64_t memory_max;    /* RLIMIT_DATA */
	uint64_t file_size_max; /* RLIMIT_FSIZE; 0: no limit */
	uint64_t n_tasks_max;   /* RLIMIT_NPROC, counted by the kernel over all of the uid; 0: no
	                           limit */
};
extern const struct sandbox_policy sandbox_policies[SANDBOX_ROOM_COUNT];
/* NULL-terminated names of the calls that the group (by number) allows whatever their arguments. */
const char *const *sandbox_group_calls(unsigned group_number);
const char *sandbox_group_words(unsigned group_number);

/* --- system calls --- */

#define SANDBOX_CALLS_MAX 512 /* numbers with a name for the message */
struct sandbox_filter {
	enum sandbox_room room;
	struct sock_fprog program;
	char names[SANDBOX_CALLS_MAX][20];
};
/* Installs the handler of SIGSYS and loads the filter; single-threaded. */
struct status sandbox_seccomp_enter(const struct sandbox_filter *filter,
                                    struct os_fault *ret_fault);
/* Runs a call that should be denied: true when it was trapped. Afterwards traps are deadly again.
 */
bool sandbox_seccomp_try(long number, const long args[6], long *ret_result);

/* --- files and ports --- */

/* 0 when the kernel has none. */
int sandbox_landlock_abi(void);
struct status sandbox_landlock_enter(const struct sandbox_policy *policy,
                                     const struct sandbox_context *context, int abi,
                                     struct os_fault *ret_fault);

/* --- identity --- */

struct status sandbox_become(const struct sandbox_policy *policy,
                             const struct sandbox_context *context, struct sandbox_report *report);

/* --- the last step --- */

struct status sandbox_check(const struct sandbox_policy *policy,
                            const struct sandbox_context *context, struct sandbox_report *report);

static inline bool sandbox_has_fd(int fd)
{
	return fd > 2;
}
