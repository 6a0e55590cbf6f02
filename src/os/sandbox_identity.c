/* Who a room is: user, groups, capabilities.
 *
 * As root: the bounding set and, for rooms that become another user, every set is emptied. Rooms
 * that stay root (supervisor, zygote) keep the capabilities of their entry. As an ordinary user
 * there is nothing to change but what a user namespace may have given.
 *
 * Changing credentials clears the death signal that a parent has set (prctl(2)); it is set again,
 * and a parent that ended meanwhile is noticed.
 */
#include "os/sandbox_private.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static struct status set_capabilities(uint64_t keep, struct os_fault *ret_fault)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2] = {
	        {.effective = (uint32_t)keep, .permitted = (uint32_t)keep},
	        {.effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32)},
	};
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return os_fail(ret_fault, errno, "cannot drop ambient capabilities", NULL);
	if (syscall(SYS_capset, &header, sets) < 0)
		return os_fail(ret_fault, errno, "cannot drop capabilities", NULL);
	return ok();
}

/* Only what is permitted now can be kept: a container may have given less. */
static uint64_t permitted_now(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2] = {{.effective = 0}};
	if (syscall(SYS_capget, &header, sets) < 0)
		return 0;
	return sets[0].permitted | (uint64_t)sets[1].permitted << 32;
}

static struct status bound_capabilities(uint64_t keep, struct os_fault *ret_fault)
{
	if (!(permitted_now() & (uint64_t)1 << CAP_SETPCAP))
		return ok(); /* nobody without it can widen the set either */
	for (int cap = 0; cap < 64; cap++) {
		if (keep & (uint64_t)1 << cap)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break; /* beyond the last that the kernel knows */
			return os_fail(ret_fault, errno, "cannot bound capabilities", NULL);
		}
	}
	return ok();
}

static struct status change_user(uid_t uid, gid_t gid, struct os_fault *ret_fault)
{
	if (setgroups(0, NULL) < 0)
		return os_fail(ret_fault, errno, "cannot drop groups", NULL);
	if (setresgid(gid, gid, gid) < 0)
		return os_fail(ret_fault, errno, "cannot change the group", NULL);
	if (setresuid(uid, uid, uid) < 0)
		return os_fail(ret_fault, errno, "cannot change the user", NULL);
	if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
		return os_refuse(ret_fault, ERR_DENIED, "root could be taken back", NULL);
	return ok();
}

static struct status restore_death_signal(int signal_number, pid_t parent,
                                          struct os_fault *ret_fault)
{
	if (signal_number == 0)
		return ok();
	if (prctl(PR_SET_PDEATHSIG, signal_number) < 0)
		return os_fail(ret_fault, errno, "cannot set the death signal", NULL);
	if (getppid() != parent)
		return os_refuse(ret_fault, ERR_CLOSED, "the parent has ended", NULL);
	return ok();
}

static bool must_change_user(const struct sandbox_policy *policy,
                             const struct sandbox_context *context,
                             const struct sandbox_report *report)
{
	if (geteuid() != 0 || report->user_namespace)
		return false;
	return !(policy->may_stay_root || context->stay_root) || context->uid != 0;
}

struct status sandbox_become(const struct sandbox_policy *policy,
                             const struct sandbox_context *context, struct sandbox_report *report)
{
	struct os_fault *fault = &report->fault;
	bool change = must_change_user(policy, context, report);
	int death_signal = 0;
	pid_t parent = getppid();
	uint64_t keep = change || !policy->may_stay_root ? 0 : policy->capabilities;
	(void)prctl(PR_GET_PDEATHSIG, &death_signal);
	TRY(bound_capabilities(keep, fault));
	if (change)
		TRY(change_user(context->uid, context->gid, fault));
	TRY(set_capabilities(keep & permitted_now(), fault));
	report->became_uid = change;
	return restore_death_signal(death_signal, parent, fault);
}
