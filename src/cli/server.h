/* Questions to the running server, and what commands print of its answers. */
#pragma once

#include "cli/cli.h"

/* Asks the server whose data is where the config says; takes the request. When there is none,
 * `needs` says why one is needed. On failure it has explained itself (the exit status is given);
 * else the answer is the caller's. */
int cli_server_ask(const struct cli *cli, const struct config *config, json_t *request,
                   const char *needs, json_t **ret_answer);

/* Members of JSON objects; "" and 0 when they are not there. */
const char *cli_json_text(const json_t *object, const char *key);
int64_t cli_json_number(const json_t *object, const char *key);

/* "2026-11-22 20:10:01 UTC"; "-" for 0. */
void cli_instant(int64_t at_ms, struct buf *out);
