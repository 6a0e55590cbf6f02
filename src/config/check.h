/* Checks across fields, and what is derived from them: look-up tables, resolved aliases. */
#pragma once

#include "config/config.h"

/* config: bound from both files. Reports every contradiction; builds the tables in any case, unless
 * the arena is spent (LIMIT). */
struct status config_check(struct config *config, struct arena *arena,
                           struct config_problems *problems);

/* Transports and routes, of all levels (check_routes.c). `hostname_ascii` is there already. */
struct status config_check_routes(struct config *config, struct arena *arena,
                                  struct config_problems *problems);

/* check_reception.c: fills the canonical forms in. LIMIT past the arena's budget. */
struct status config_check_reception(struct config *config, struct arena *arena);
