/* What client.c and client_scram.c share. */
#pragma once

#include "sasl/client.h"

#define SASL_CLIENT_OVER (-1)

/* Appends the prepared name or password (INVALID when it cannot be). */
struct status sasl_client_prepare(struct slice text, const char *why, struct buf *out);

struct status sasl_client_scram_step(struct sasl_client *c, const struct slice *challenge);
/* The server's signature has been seen and fits. */
bool sasl_client_scram_verified(const struct sasl_client *c);
