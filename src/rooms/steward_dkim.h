/* The administrator's commands for DKIM keys, from JSON to the vault's door and back.
 *
 *   {"command":"dkim-generate", "domain":"example.org", "selector":"2026a", "type":"ed25519"}
 *   {"command":"dkim-import", "domain":"example.org", "selector":"2026a", "pem":"-----BEGIN ..."}
 *   {"command":"dkim-rm", "domain":"example.org", "selector":"2026a"}
 *   {"command":"dkim-list", "domain":"example.org"}
 *       keys: domain, selector, created, public_key
 *
 * Public keys are SubjectPublicKeyInfo in base64. Domains are A-labels in lower case.
 */
#pragma once

#include "rooms/runtime.h"

#include <jansson.h>

/* The answer to one; the caller's. NULL when it is no command for DKIM keys. */
json_t *steward_dkim(struct room *room, const char *command, const json_t *request);
