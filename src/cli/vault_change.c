/* Changing what the vault keeps, from the command line.
 *
 * Without a server src/vault writes into DATA/vault, as the user that owns DATA: root becomes that
 * user while it writes, or the server could not read what root left there.
 */
#include "cli/vault_change.h"

#include "cli/control.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

/* --- by the running server --- */

static const char *first_error(const json_t *answer, struct arena *arena)
{
	const char *text = json_string_value(json_array_get(json_object_get(answer, "errors"), 0));
	const char *copy = arena_cstr(arena, slice_str(text ? text : "it did not say why"));
	return copy ? copy : "";
}

bool cli_vault_add_secret(json_t *request, const char *key, const struct secret *secret)
{
	json_t *value = json_stringn((const char *)secret->p, secret->n);
	return value && json_object_set_new(request, key, value) == 0;
}

static struct status change_live(const struct config *config, const struct cli_vault_change *change,
                                 struct arena *arena, json_t **ret_answer, const char **ret_why)
{
	json_t *answer = NULL;
	struct status status = control_call(config->data_directory.s, change->request, &answer);
	*ret_why = status.why;
	if (is_ok(status) && !json_is_true(json_object_get(answer, "ok"))) {
		const char *code = json_string_value(json_object_get(answer, "code"));
		*ret_why = first_error(answer, arena);
		/* Not the NOT_FOUND of a missing server. */
		status = fail(slice_eq_str(slice_str(code), "not-found") ? ERR_INVALID
		                                                         : ERR_TEMPORARY,
		              "the running server refused");
	}
	if (is_ok(status) && ret_answer)
		*ret_answer = json_incref(answer);
	json_decref(answer);
	return status;
}

/* --- without a server --- */

/* Who may read what is written: the owner of DATA, or the configured user where it is not there. */
static struct status find_owner(const struct config *config, uid_t *ret_uid, gid_t *ret_gid,
                                struct os_fault *fault)
{
	struct stat st;
	if (stat(config->data_directory.s, &st) == 0) {
		*ret_uid = st.st_uid;
		*ret_gid = st.st_gid;
		return ok();
	}
	*ret_uid = geteuid();
	*ret_gid = getegid();
	if (*ret_uid != 0)
		return ok();
	const struct passwd *user = getpwnam(config->user.s);
	if (!user) {
		snprintf(fault->text, sizeof(fault->text),
		         "the Unix user %s does not exist; make it first, for example by `adduser "
		         "--system --group %s`",
		         config->user.s, config->user.s);
		return fail(ERR_INVALID, "there is no such Unix user");
	}
	*ret_uid = user->pw_uid;
	*ret_gid = user->pw_gid;
	return ok();
}

/* DATA belongs to the server's user, who could put a link where the directory is looked for: what
 * is given away is the directory that was opened, and of `vault` no link is followed. */
static struct status own_directory(const char *path, int flags, uid_t uid, gid_t gid,
                                   struct os_fault *fault)
{
	TRY(file_mkdir_all(AT_FDCWD, path, 0700, fault));
	struct stat st;
	CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	if (fd < 0 || fstat(fd, &st) < 0)
		return os_fail(fault, errno, "cannot look at", path);
	if (geteuid() == 0 && (st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) < 0)
		return os_fail(fault, errno, "cannot give away", path);
	return ok();
}

static struct status open_and_change(int dir_fd, const struct cli_vault_change *change,
                                     struct os_fault *fault)
{
	struct vault *vault;
	TRY(vault_open(&(struct vault_options){.dir_fd = dir_fd, .clock = clock_real()}, &vault,
	               fault));
	struct status status = change->offline(vault, change->context, fault);
	vault_close(vault);
	return status;
}

static struct status change_offline(const struct config *config,
                                    const struct cli_vault_change *change, struct os_fault *fault)
{
	uid_t uid;
	gid_t gid;
	char path[4200];
	CLEANUP(fd_close) int dir_fd = -1;
	TRY(find_owner(config, &uid, &gid, fault));
	snprintf(path, sizeof(path), "%s/vault", config->data_directory.s);
	TRY(own_directory(config->data_directory.s, 0, uid, gid, fault));
	TRY(own_directory(path, O_NOFOLLOW, uid, gid, fault));
	bool other = geteuid() == 0 && uid != 0;
	gid_t own_gid = getegid();
	if (other && (setegid(gid) < 0 || seteuid(uid) < 0))
		return os_fail(fault, errno, "cannot become the owner of", path);
	struct status status = file_open_dir(AT_FDCWD, path, &dir_fd, fault);
	if (is_ok(status))
		status = open_and_change(dir_fd, change, fault);
	if (other && (seteuid(0) < 0 || setegid(own_gid) < 0))
		BUG("cannot become root again");
	return status;
}

struct status cli_vault_change(const struct config *config, const struct cli_vault_change *change,
                               struct arena *arena, json_t **ret_answer, bool *ret_live,
                               const char **ret_why)
{
	struct os_fault fault = {0};
	*ret_why = "";
	*ret_live = true;
	struct status status = change_live(config, change, arena, ret_answer, ret_why);
	if (status.code != ERR_NOT_FOUND)
		return status;
	*ret_live = false;
	*ret_why = "";
	status = change_offline(config, change, &fault);
	if (!is_ok(status)) {
		const char *text = fault.text[0] ? fault.text : status.why;
		const char *copy = arena_cstr(arena, slice_str(text));
		*ret_why = copy ? copy : "";
	}
	return status;
}
