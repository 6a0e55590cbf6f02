/* What the vault's door does with DKIM keys; private to the vault room. */
#pragma once

#include "rooms/runtime.h"
#include "vault.pb-c.h"
#include "vault/vault.h"

struct vault_dkim_call {
	struct vault *vault;
	const struct config *config;
	enum ipc_room who;   /* asks; that it may ask for this at all was looked at before */
	const char *account; /* of an account room, as the supervisor introduced it */
	uint64_t cid;
};

bool vault_dkim_is_request(const Door__VaultRequest *request);

/* Fills the reply, whose parts live in the arena (VAULT_DKIM_MEMORY is a fit budget); a failure's
 * words do, too. */
#define VAULT_DKIM_MEMORY ((size_t)16 * 1024 * 1024)
struct status vault_dkim_answer(const struct vault_dkim_call *call,
                                const Door__VaultRequest *request, struct arena *arena,
                                Door__VaultReply *reply);
