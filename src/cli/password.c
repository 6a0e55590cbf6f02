/* Passwords of accounts: read from people, made, handed to the vault (vault_change.c). */
#include "cli/password.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>

/* --- reading --- */

bool cli_secret_line(struct secret *line)
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

bool cli_secret_hidden(const char *prompt, struct secret *line)
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
	bool got = cli_secret_line(line);
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
	if (!cli_secret_hidden(prompt, password))
		return cli_fail(cli, NULL, "no password was given, or one of more than %d bytes",
		                CLI_PASSWORD_MAX);
	secret_init(&again, CLI_PASSWORD_MAX);
	bool same = cli_secret_hidden("The same again: ", &again) &&
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
	} else if (!cli_secret_line(ret_password)) {
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

/* --- to the vault --- */

struct password_change {
	const char *account;
	const struct secret *password; /* NULL: removed */
};

static struct status write_vault(struct vault *vault, void *context, struct os_fault *fault)
{
	const struct password_change *change = context;
	struct slice account = slice_str(change->account);
	if (change->password)
		return vault_password_set(vault, account, secret_slice(change->password), fault);
	return vault_password_remove(vault, account, fault);
}

static struct status change_password(const struct config *config, const char *account,
                                     const struct secret *password, struct arena *arena,
                                     enum cli_password_way *ret_way, const char **ret_why)
{
	struct password_change offline = {account, password};
	struct cli_vault_change change = {
	        .request = json_pack("{s:s, s:s}", "command",
	                             password ? "password" : "remove-password", "account", account),
	        .offline = write_vault,
	        .context = &offline,
	};
	struct status status = ok();
	if (password && !cli_vault_add_secret(change.request, "password", password)) {
		*ret_why = "the password is not UTF-8 text";
		status = fail(ERR_INVALID, *ret_why);
	}
	bool live = false;
	if (is_ok(status))
		status = cli_vault_change(config, &change, arena, NULL, &live, ret_why);
	*ret_way = live ? CLI_PASSWORD_LIVE : CLI_PASSWORD_OFFLINE;
	json_decref(change.request);
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
