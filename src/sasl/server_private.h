/* What server.c and server_scram.c share. */
#pragma once

#include "sasl/server.h"

/* The one text for all that is wrong about credentials. */
struct status sasl_wrong(void);
/* Prepares and keeps the user's name. A name that cannot be prepared is a wrong one. */
struct status sasl_take_user(struct sasl_server *s, struct slice name);
void sasl_wipe(struct buf *buf); /* buf_done, and nothing stays in memory */

struct status sasl_scram_step(struct sasl_server *s, const struct slice *response,
                              enum sasl_step *ret_step);
