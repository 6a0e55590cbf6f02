/* The resolver of a running server as a struct dns_resolver: asked through the control socket, so
 * it answers from the cache and by the settings that the server's own rooms use. */
#pragma once

#include "dns/resolver.h"

struct cli_running {
	struct dns_resolver resolver;
	const char *data_directory;
};

/* data_directory: where the server's control socket is; stays the caller's. Nothing to end. That no
 * server is running is a failure TEMPORARY of each lookup. Waits less than control.h does. */
void cli_running_init(struct cli_running *running, const char *data_directory);
