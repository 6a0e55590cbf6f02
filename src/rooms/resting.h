/* A room that has its process, walls and door, and no work yet: it answers every request with
 * UNSUPPORTED. */
#pragma once

#include "os/sandbox.h"

/* `directory`: its own below the data directory, or NULL. Like room_main. */
int room_rest(int argc, char **argv, enum sandbox_room walls, const char *directory);
