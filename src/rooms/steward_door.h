/* The steward's door (steward.proto): policies of MTA-STS that it keeps for the courier, facts for
 * reports that it counts, reports that came in. Thread-safe; each channel has a thread of its own.
 */
#pragma once

#include "rooms/report_db.h"
#include "rooms/runtime.h"

/* Serves a channel until it ends; takes the fd over. name: of an account's room, its account. */
void steward_door_serve(struct room *room, struct report_db *db, enum ipc_room who,
                        struct slice name, int fd);
