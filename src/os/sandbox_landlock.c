/* Landlock: which files and ports are within reach, by raw system calls, since the headers of the
 * build machine may be older than the kernel that runs.
 *
 * All rights that the kernel knows are "handled", that is denied but where a rule grants them. What
 * a kernel does not know yet is left out (best effort); sandbox_report says what there was: ABI 1
 * files, 2 renaming between directories, 3 truncation, 4 TCP ports, 5 device ioctls, 6 signals and
 * abstract sockets of others.
 */
#include "os/fd.h"
#include "os/sandbox_private.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* linux/landlock.h, as of ABI 6. */
#define LL_CREATE_RULESET_VERSION 1U
#define LL_RULE_PATH_BENEATH      1
#define LL_RULE_NET_PORT          2

#define LL_FS_WRITE_FILE  ((uint64_t)1 << 1)
#define LL_FS_READ_FILE   ((uint64_t)1 << 2)
#define LL_FS_READ_DIR    ((uint64_t)1 << 3)
#define LL_FS_REMOVE_DIR  ((uint64_t)1 << 4)
#define LL_FS_REMOVE_FILE ((uint64_t)1 << 5)
#define LL_FS_MAKE_DIR    ((uint64_t)1 << 7)
#define LL_FS_MAKE_REG    ((uint64_t)1 << 8)
#define LL_FS_REFER       ((uint64_t)1 << 13)
#define LL_FS_TRUNCATE    ((uint64_t)1 << 14)

#define LL_FS_ABI_1 (((uint64_t)1 << 13) - 1) /* execute to make_sym */
#define LL_FS_ABI_2 (((uint64_t)1 << 14) - 1) /* refer */
#define LL_FS_ABI_3 (((uint64_t)1 << 15) - 1) /* truncate */
#define LL_FS_ABI_5 (((uint64_t)1 << 16) - 1) /* ioctl_dev */

#define LL_NET_BIND_TCP    ((uint64_t)1 << 0)
#define LL_NET_CONNECT_TCP ((uint64_t)1 << 1)

#define LL_SCOPE_ABSTRACT_UNIX_SOCKET ((uint64_t)1 << 0)
#define LL_SCOPE_SIGNAL               ((uint64_t)1 << 1)

struct ll_ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};
struct ll_path_beneath {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));
struct ll_net_port {
	uint64_t allowed_access;
	uint64_t port;
};

/* Rights on files that are no directories; the kernel refuses others on them. */
#define RIGHTS_OF_FILES (LL_FS_READ_FILE | LL_FS_WRITE_FILE | LL_FS_TRUNCATE)
#define RIGHTS_READ     (LL_FS_READ_FILE | LL_FS_READ_DIR)
#define RIGHTS_SPOOL                                                                               \
	(LL_FS_READ_FILE | LL_FS_WRITE_FILE | LL_FS_TRUNCATE | LL_FS_MAKE_REG | LL_FS_REMOVE_FILE)
#define RIGHTS_OWN (RIGHTS_SPOOL | LL_FS_READ_DIR | LL_FS_REMOVE_DIR | LL_FS_MAKE_DIR | LL_FS_REFER)

int sandbox_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_CREATE_RULESET_VERSION);
	return abi < 0 ? 0 : (int)abi;
}

static uint64_t files_of_abi(int abi)
{
	return abi >= 5   ? LL_FS_ABI_5
	       : abi >= 3 ? LL_FS_ABI_3
	       : abi == 2 ? LL_FS_ABI_2
	                  : LL_FS_ABI_1;
}

static struct ll_ruleset ruleset_of(const struct sandbox_policy *policy, int abi)
{
	struct ll_ruleset ruleset = {.handled_access_fs = files_of_abi(abi)};
	if (abi >= 4) {
		ruleset.handled_access_net = LL_NET_BIND_TCP;
		if (policy->network != NETWORK_TCP)
			ruleset.handled_access_net |= LL_NET_CONNECT_TCP;
	}
	if (abi >= 6)
		ruleset.scoped = LL_SCOPE_ABSTRACT_UNIX_SOCKET | LL_SCOPE_SIGNAL;
	return ruleset;
}

/* Older kernels take only as much of the structure as they know. */
static size_t ruleset_size(int abi)
{
	return abi >= 6   ? sizeof(struct ll_ruleset)
	       : abi >= 4 ? 2 * sizeof(uint64_t)
	                  : sizeof(uint64_t);
}

static struct status add_path(int ruleset_fd, int path_fd, uint64_t rights, uint64_t handled,
                              struct os_fault *ret_fault)
{
	struct stat st;
	struct ll_path_beneath rule = {.parent_fd = path_fd};
	if (fstat(path_fd, &st) < 0)
		return os_fail(ret_fault, errno, "cannot look at a granted path", NULL);
	if (!S_ISDIR(st.st_mode))
		rights &= RIGHTS_OF_FILES;
	rule.allowed_access = rights & handled;
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LL_RULE_PATH_BENEATH, &rule, 0) < 0)
		return os_fail(ret_fault, errno, "cannot grant a path", NULL);
	return ok();
}

static struct status add_port(int ruleset_fd, uint16_t port, uint64_t rights,
                              struct os_fault *ret_fault)
{
	struct ll_net_port rule = {.allowed_access = rights, .port = port};
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LL_RULE_NET_PORT, &rule, 0) < 0)
		return os_fail(ret_fault, errno, "cannot grant a port", NULL);
	return ok();
}

static struct status add_paths(int ruleset_fd, const struct sandbox_policy *policy,
                               const struct sandbox_context *context, uint64_t handled,
                               struct os_fault *ret_fault)
{
	uint64_t own = policy->files == FILES_OWN     ? RIGHTS_OWN
	               : policy->files == FILES_SPOOL ? RIGHTS_SPOOL
	                                              : 0;
	if (own && sandbox_has_fd(context->own_dir))
		TRY(add_path(ruleset_fd, context->own_dir, own, handled, ret_fault));
	for (size_t i = 0; i < context->n_write_dirs; i++)
		TRY(add_path(ruleset_fd, context->write_dirs[i], own, handled, ret_fault));
	for (size_t i = 0; i < context->n_read_paths; i++)
		TRY(add_path(ruleset_fd, context->read_paths[i], RIGHTS_READ, handled, ret_fault));
	return ok();
}

static struct status add_ports(int ruleset_fd, const struct sandbox_policy *policy,
                               const struct sandbox_context *context, struct os_fault *ret_fault)
{
	const uint16_t usual = policy->network == NETWORK_DNS ? 53 : 25;
	const uint16_t *ports = context->n_connect_ports ? context->connect_ports : &usual;
	size_t n = context->n_connect_ports ? context->n_connect_ports : 1;
	bool listed = policy->network == NETWORK_DNS || policy->network == NETWORK_MAIL;
	/* Port 0: a source address may be chosen, a port not. */
	if (policy->network == NETWORK_TCP || listed)
		TRY(add_port(ruleset_fd, 0, LL_NET_BIND_TCP, ret_fault));
	for (size_t i = 0; listed && i < n; i++)
		TRY(add_port(ruleset_fd, ports[i], LL_NET_CONNECT_TCP, ret_fault));
	return ok();
}

struct status sandbox_landlock_enter(const struct sandbox_policy *policy,
                                     const struct sandbox_context *context, int abi,
                                     struct os_fault *ret_fault)
{
	struct ll_ruleset ruleset = ruleset_of(policy, abi);
	CLEANUP(fd_close)
	int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, ruleset_size(abi), 0);
	if (fd < 0)
		return os_fail(ret_fault, errno, "cannot create a Landlock ruleset", NULL);
	TRY(add_paths(fd, policy, context, ruleset.handled_access_fs, ret_fault));
	if (ruleset.handled_access_net)
		TRY(add_ports(fd, policy, context, ret_fault));
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return os_fail(ret_fault, errno, "cannot enter a Landlock domain", NULL);
	return ok();
}
