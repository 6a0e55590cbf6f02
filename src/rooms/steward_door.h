/* The steward's door (steward.proto): policies of MTA-STS that it keeps for the courier, facts for
 * reports that it counts. Thread-safe; each channel has a thread of its own. */
#pragma once

#include "rooms/report_db.h"
#include "rooms/runtime.h"

/* Serves a channel until it ends; takes the fd over. */
void steward_door_serve(struct report_db *db, enum ipc_room who, int fd);
