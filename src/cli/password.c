/* Passwords of accounts.
 *
 * Without a server the verifier is written by src/vault into DATA/vault, as the user that owns
 * DATA: root becomes that user while it writes, or the server could not read what root left there.
 */
#include "cli/password.h"

#include "cli/control.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "vault/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>

/* --- reading --- */

/* One line without its end; false at the end of input or beyond the room. */
static bool read_line(struct secret *line)
{
	line->n = 0;
	for (;;) {
		uint8_t byte;
		ssize_t n = read(STDIN_FILENO, &byte, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || byte == '\n')
			break;
		if (line->n == line->room)
			return false;
		line->p[line->n++] = byte;
	}
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return line->n > 0;
}

static bool read_hidden(const char *prompt, struct secret *line)
{
	struct termios before, hidden;
	bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (is_terminal) {
		hidden = before;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	/* Only now: what is typed after the prompt is neither shown nor thrown away. */
	fputs(prompt, stderr);
	bool got = read_line(line);
	if (is_terminal)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	fputc('\n', stderr);
	return got;
}

static size_t n_characters(struct slice s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	return n;
}

static int read_twice(const struct cli *cli, const char *account, struct secret *password)
{
	char prompt[200];
	struct secret again;
	snprintf(prompt, sizeof(prompt), "New password of %s: ", account);
	if (!read_hidden(prompt, password))
		return cli_fail(cli, NULL, "no password was given, or one of more than %d bytes",
		                CLI_PASSWORD_MAX);
	secret_init(&again, CLI_PASSWORD_MAX);
	bool same = read_hidden("The same again: ", &again) &&
	            slice_eq_secret(secret_slice(password), secret_slice(&again));
	secret_done(&again);
	return same ? 0 : cli_fail(cli, NULL, "the two passwords differ; nothing was changed");
}

int cli_password_read(const struct cli *cli, const char *account, struct secret *ret_password)
{
	if (isatty(STDIN_FILENO)) {
		int failed = read_twice(cli, account, ret_password);
		if (failed)
			return failed;
	} else if (!read_line(ret_password)) {
		return cli_fail(cli, NULL,
		                "no password came on standard input, or one of more than %d "
		                "bytes; write it as one line, or use --generate",
		                CLI_PASSWORD_MAX);
	}
	if (n_characters(secret_slice(ret_password)) < CLI_PASSWORD_MIN)
		return cli_fail(cli, NULL,
		                "the password has fewer than %d characters; --generate makes a "
		                "good one",
		                CLI_PASSWORD_MIN);
	return 0;
}

struct status cli_password_make(struct secret *ret_password)
{
	/* 32 characters that are not mistaken for each other, so a byte is not biased. */
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
	_Static_assert(sizeof(alphabet) == 33, "five bits a character");
	uint8_t bits[20], text[23];
	if (getrandom(bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		return fail(ERR_IO, "no random numbers to be had");
	for (size_t i = 0, at = 0; i < sizeof(bits); i++) {
		if (i > 0 && i % 5 == 0)
			text[at++] = '-';
		text[at++] = (uint8_t)alphabet[bits[i] & 31];
	}
	struct status status = secret_set(ret_password, slice_of(text, sizeof(text)));
	secret_wipe(bits, sizeof(bits));
	secret_wipe(text, sizeof(text));
	return status;
}

/* --- by the running server --- */

static const char *first_error(const json_t *answer, struct arena *arena)
{
	const char *text = json_string_value(json_array_get(json_object_get(answer, "errors"), 0));
	const char *copy = arena_cstr(arena, slice_str(text ? text : "it did not say why"));
	return copy ? copy : "";
}

static struct status set_live(const struct config *config, const char *account,
                              const struct secret *password, struct arena *arena,
                              const char **ret_why)
{
	json_t *answer = NULL;
	json_t *request = json_pack("{s:s, s:s}", "command",
	                            password ? "password" : "remove-password", "account", account);
	if (password) {
		json_t *value = json_stringn((const char *)password->p, password->n);
		if (!value) {
			json_decref(request);
			*ret_why = "the password is not UTF-8 text";
			return fail(ERR_INVALID, *ret_why);
		}
		json_object_set_new(request, "password", value);
	}
	struct status status = control_call(config->data_directory.s, request, &answer);
	json_decref(request);
	*ret_why = status.why;
	if (is_ok(status) && !json_is_true(json_object_get(answer, "ok"))) {
		const char *code = json_string_value(json_object_get(answer, "code"));
		*ret_why = first_error(answer, arena);
		/* Not the NOT_FOUND of a missing server. */
		status = fail(slice_eq_str(slice_str(code), "not-found") ? ERR_INVALID
		                                                         : ERR_TEMPORARY,
		              "the running server refused");
	}
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

static struct status own_directory(const char *path, uid_t uid, gid_t gid, struct os_fault *fault)
{
	TRY(file_mkdir_all(AT_FDCWD, path, 0700, fault));
	struct stat st;
	if (stat(path, &st) < 0)
		return os_fail(fault, errno, "cannot look at", path);
	if (geteuid() == 0 && (st.st_uid != uid || st.st_gid != gid) && chown(path, uid, gid) < 0)
		return os_fail(fault, errno, "cannot give away", path);
	return ok();
}

static struct status write_vault(int dir_fd, const char *account, const struct secret *password,
                                 struct os_fault *fault)
{
	struct vault *vault;
	TRY(vault_open(&(struct vault_options){.dir_fd = dir_fd, .clock = clock_real()}, &vault,
	               fault));
	struct status status = password ? vault_password_set(vault, slice_str(account),
	                                                     secret_slice(password), fault)
	                                : vault_password_remove(vault, slice_str(account), fault);
	vault_close(vault);
	return status;
}

static struct status set_offline(const struct config *config, const char *account,
                                 const struct secret *password, struct os_fault *fault)
{
	uid_t uid;
	gid_t gid;
	char path[4200];
	CLEANUP(fd_close) int dir_fd = -1;
	TRY(find_owner(config, &uid, &gid, fault));
	snprintf(path, sizeof(path), "%s/vault", config->data_directory.s);
	TRY(own_directory(config->data_directory.s, uid, gid, fault));
	TRY(own_directory(path, uid, gid, fault));
	bool change = geteuid() == 0 && uid != 0;
	gid_t own_gid = getegid();
	if (change && (setegid(gid) < 0 || seteuid(uid) < 0))
		return os_fail(fault, errno, "cannot become the owner of", path);
	struct status status = file_open_dir(AT_FDCWD, path, &dir_fd, fault);
	if (is_ok(status))
		status = write_vault(dir_fd, account, password, fault);
	if (change && (seteuid(0) < 0 || setegid(own_gid) < 0))
		BUG("cannot become root again");
	return status;
}

static struct status change_password(const struct config *config, const char *account,
                                     const struct secret *password, struct arena *arena,
                                     enum cli_password_way *ret_way, const char **ret_why)
{
	struct os_fault fault = {0};
	*ret_why = "";
	*ret_way = CLI_PASSWORD_LIVE;
	struct status status = set_live(config, account, password, arena, ret_why);
	if (status.code != ERR_NOT_FOUND)
		return status;
	*ret_way = CLI_PASSWORD_OFFLINE;
	*ret_why = "";
	status = set_offline(config, account, password, &fault);
	if (!is_ok(status)) {
		const char *text = fault.text[0] ? fault.text : status.why;
		const char *copy = arena_cstr(arena, slice_str(text));
		*ret_why = copy ? copy : "";
	}
	return status;
}

struct status cli_password_set(const struct config *config, const char *account,
                               const struct secret *password, struct arena *arena,
                               enum cli_password_way *ret_way, const char **ret_why)
{
	return change_password(config, account, password, arena, ret_way, ret_why);
}

struct status cli_password_remove(const struct config *config, const char *account,
                                  struct arena *arena, const char **ret_why)
{
	enum cli_password_way way;
	struct stat st;
	char path[4200];
	snprintf(path, sizeof(path), "%s/vault", config->data_directory.s);
	if (stat(path, &st) < 0 && errno == ENOENT)
		return ok();
	struct status status = change_password(config, account, NULL, arena, &way, ret_why);
	return status.code == ERR_NOT_FOUND ? ok() : status;
}
