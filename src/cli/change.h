/* The frame of every command that edits domains.yaml: open, change, check, write, tell the server.
 */
#pragma once

#include "cli/cli.h"
#include "config/edit.h"

struct cli_change {
	struct cli *cli;
	struct config_problems problems;
	struct config_edit *edit;
	struct arena arena;
	bool is_live; /* a running server took the change over */
};

/* On failure it has explained itself, and there is nothing to end. */
int cli_change_begin(struct cli_change *change, struct cli *cli);
void cli_change_end(struct cli_change *change);

/* Explains why `what` ("add domain `x`") failed. */
int cli_change_fail(struct cli_change *change, struct status status, const char *what);

/* Writes, and has the running server reload. On failure it has explained itself. */
int cli_change_commit(struct cli_change *change, const char *what);

/* Says that it is done ("added domain `x`"), and from when it counts. Takes `extra` (may be NULL):
 * more members of the JSON object. */
int cli_change_done(struct cli_change *change, const char *done, json_t *extra);

/* "; did you mean `x`?" for an account, alias or domain that does not exist; "" when nothing is
 * near. */
const char *cli_change_near(struct cli_change *change, enum cli_kind kind, const char *wanted);

/* Loads the configuration to look at it. On failure it has explained itself; warnings are dropped.
 */
int cli_load(struct cli *cli, struct arena *arena, struct config **ret_config);

/* A list command: loads the configuration and shows it the one way or the other. */
int cli_list(struct cli *cli, void (*list_json)(const struct config *config),
             void (*list_text)(const struct cli *cli, const struct config *config));
