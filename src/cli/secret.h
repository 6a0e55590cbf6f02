/* `mailkeep secret set|rm|list`: what transports log in with. */
#pragma once

#include "cli/cli.h"

int cli_secret_set(struct cli *cli);
int cli_secret_rm(struct cli *cli);
int cli_secret_list(struct cli *cli);
