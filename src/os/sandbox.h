/* The walls of a room: what each process of the house may do, and the steps that take everything
 * else away from it.
 *
 * The whole policy is one const table (sandbox_table.c), an entry per room; `mailkeep rooms` prints
 * it by sandbox_describe. A room warms up (libraries that load files, character sets, keys), then
 * calls sandbox_enter once, while it has one thread, and only then reads what others send.
 *
 * The recipe, in this order: drop descriptors -> namespaces -> chroot -> no_new_privs -> Landlock
 * -> capabilities and uid -> rlimits, dumpable -> seccomp -> try what is forbidden, which must
 * fail. (no_new_privs comes before Landlock because the kernel wants it so.)
 *
 * As root all of it applies. As an ordinary user (localserve, tests) chroot and uid do not, network
 * namespaces where the kernel allows them to users; all else does.
 *
 * A system call that is not on the room's list ends the process with SIGSYS after one line that
 * names room and call. Exceptions, which fail politely because libc probes them and lives without:
 * opening files (EACCES), clone3 (ENOSYS), unknown ioctls (ENOTTY), executable memory (EACCES).
 *
 * Programs built with AddressSanitizer or ThreadSanitizer get a wider seccomp profile (everything
 * but a list of dangerous calls), no memory limit, and stay dumpable: their runtimes need more.
 * Landlock and all else stays.
 */
#pragma once

#include "base/buf.h"
#include "os/fault.h"

#include <sys/types.h>

/* enum name, name. ZYGOTE is the process that the account rooms are forked from. */
#define SANDBOX_ROOM_LIST(X)                                                                       \
	X(SUPERVISOR, "supervisor")                                                                \
	X(GATE, "gate")                                                                            \
	X(WEB, "web")                                                                              \
	X(ZYGOTE, "zygote")                                                                        \
	X(ACCOUNT, "account")                                                                      \
	X(QUEUE, "queue")                                                                          \
	X(COURIER, "courier")                                                                      \
	X(RESOLVER, "resolver")                                                                    \
	X(VAULT, "vault")                                                                          \
	X(STEWARD, "steward")

enum sandbox_room {
#define X(id, name) SANDBOX_##id,
	SANDBOX_ROOM_LIST(X)
#undef X
	        SANDBOX_ROOM_COUNT
};
const char *sandbox_room_name(enum sandbox_room room);
bool sandbox_room_parse(struct slice name, enum sandbox_room *ret_room);

#define SANDBOX_PATHS_MAX 32  /* in each list of paths below */
#define SANDBOX_PORTS_MAX 600 /* ports to connect to */

/* A compiled system call list. The zygote makes the account's once, its children share it. */
struct sandbox_filter;
struct status sandbox_filter_new(enum sandbox_room room, struct sandbox_filter **ret_filter);
void sandbox_filter_free(struct sandbox_filter *filter); /* not after it has been entered with */

/* A zeroed context is valid: nothing kept, no directory. Where a descriptor is asked for, 0 to 2
 * and negative numbers mean none. */
struct sandbox_context {
	const int *keep_fds; /* besides 0, 1, 2 and the descriptors below; all else is closed */
	size_t n_keep_fds;
	int own_dir;           /* the room's own directory; becomes the working directory */
	const int *read_paths; /* files and directories (O_PATH will do) that may be read; they are
	                          kept open, so a chrooted room reaches them by openat */
	size_t n_read_paths;
	const int *write_dirs; /* further directories of its own; steward and zygote only */
	size_t n_write_dirs;
	const uint16_t *connect_ports; /* TCP ports, where the room's entry limits them */
	size_t n_connect_ports;
	uid_t uid; /* as root: whom to become; 0 is refused but for supervisor and zygote */
	gid_t gid;
	bool stay_root; /* as root, with uid 0: keep the uid, without any capability (localserve run
	                   by root); weaker, since root owns the machine's files */
	bool chroot;    /* as root: to own_dir */
	bool user_namespace;  /* as an ordinary user: try for an empty network namespace */
	bool allow_weak;      /* go on where the kernel lacks what keeps files out of reach */
	uint64_t memory_max;  /* bytes, instead of the table's; 0: the table's */
	uint64_t n_files_max; /* descriptors, likewise */
	const struct sandbox_filter *filter; /* made beforehand; NULL: made now */
};

/* What was achieved; filled as far as it went on failure, too. */
struct sandbox_report {
	enum sandbox_room room;
	int landlock_abi; /* 0: the kernel has none */
	bool chrooted;
	bool became_uid;
	bool network_namespace;
	bool user_namespace;
	bool seccomp;
	bool wide_profile;     /* a sanitizer build */
	bool weak;             /* a file outside could be opened, which allow_weak let pass */
	unsigned n_checks;     /* forbidden things tried, all of which failed */
	struct os_fault fault; /* on failure: the step and the reason */
};

/* Takes away everything that the room's entry does not grant, for ever. On failure the process is
 * half sealed: it must exit. DENIED when a forbidden thing succeeded, UNSUPPORTED when the kernel
 * lacks seccomp, INVALID when the context does not fit the room or the process has several threads.
 */
struct status sandbox_enter(enum sandbox_room room, const struct sandbox_context *context,
                            struct sandbox_report *ret_report);

/* "landlock=7 chroot=yes uid=yes netns=yes seccomp=yes checks=14" */
void sandbox_report_print(const struct sandbox_report *report, struct buf *out);

/* The room's entry in words, several lines, or as a JSON object. */
void sandbox_describe(enum sandbox_room room, bool json, struct buf *out);
