/* Changes of what the vault keeps: asked of the running server, or made in the vault's own
 * directory when none runs. */
#pragma once

#include "config/config.h"
#include "vault/vault.h"

#include <jansson.h>

struct cli_vault_change {
	json_t *request; /* for the control socket; stays the caller's, wiped when it was sent */
	struct status (*offline)(struct vault *vault, void *context, struct os_fault *fault);
	void *context;
};

/* A text of the request; false when it is no UTF-8. */
bool cli_vault_add_secret(json_t *request, const char *key, const struct secret *secret);

/* ret_answer (may be NULL) is set when the running server answered with success; the caller frees
 * it. *ret_live: it was asked. On failure *ret_why (in the arena) says why; INVALID for what the
 * server does not know. */
struct status cli_vault_change(const struct config *config, const struct cli_vault_change *change,
                               struct arena *arena, json_t **ret_answer, bool *ret_live,
                               const char **ret_why);
