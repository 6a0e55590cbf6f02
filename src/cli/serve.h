/* Starting the server, for the commands serve, localserve and rooms. */
#pragma once

#include "base/buf.h"

/* Replaces this process by the supervisor. Returns only on failure, with an exit status, after it
 * has said why on standard error. */
int cli_become_supervisor(const char *config_directory, bool localserve);

/* `mailkeep serve`: becomes the supervisor. Returns as above. */
int cli_serve_run(const char *config_directory);

#define CLI_LOCALSERVE_DIRECTORY "mailkeep-localserve"
#define CLI_LOCALSERVE_PASSWORD  "mailkeep"

struct cli_localserve {
	const char *directory; /* config/ and data/ below it */
	const char *ip;
	unsigned port_base;
	unsigned n_accounts; /* user1..userN besides me */
};

/* `mailkeep localserve`: makes a config and passwords at the first start, then becomes the
 * supervisor. Returns as above. */
int cli_localserve_run(const struct cli_localserve *options);

/* `mailkeep rooms`: the matrix of introductions and each room's walls, from the tables themselves.
 */
void cli_rooms_print(bool json, struct buf *out);
