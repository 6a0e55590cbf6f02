/* The addresses at which our domains have others' reports. A library of its own: the account room
 * asks, and needs nothing of what published.h is made with. */
#pragma once

#include "config/config.h"

/* Whether a domain of ours has reports sent to that address, of DMARC or of TLS; localpart
 * unquoted.
 */
bool setup_is_report_address(const struct config *config, struct slice localpart,
                             struct slice domain);
