/* Passwords on the command line: read, made, handed to the vault. */
#pragma once

#include "cli/cli.h"
#include "cli/vault_change.h"

#define CLI_PASSWORD_MIN 8    /* characters */
#define CLI_PASSWORD_MAX 1024 /* bytes */

/* One line of standard input without its end; false at the end of input or beyond the room. */
bool cli_secret_line(struct secret *line);
/* The same after a prompt on the terminal, without echo. */
bool cli_secret_hidden(const char *prompt, struct secret *line);

/* From the terminal without echo and twice, or one line of standard input. On failure it has
 * explained itself. */
int cli_password_read(const struct cli *cli, const char *account, struct secret *ret_password);
/* 20 random letters and digits in four groups: 100 bits. */
struct status cli_password_make(struct secret *ret_password);

enum cli_password_way {
	CLI_PASSWORD_LIVE,    /* the running server took it */
	CLI_PASSWORD_OFFLINE, /* written into the vault's directory, no server runs */
};

/* By the running server, and where none runs straight into the vault. On failure *ret_why (in the
 * arena) says why. */
struct status cli_password_set(const struct config *config, const char *account,
                               const struct secret *password, struct arena *arena,
                               enum cli_password_way *ret_way, const char **ret_why);
/* The same for removing it; one that is not there is no failure. */
struct status cli_password_remove(const struct config *config, const char *account,
                                  struct arena *arena, const char **ret_why);
