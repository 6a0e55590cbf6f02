/* What the server shows of its TLS keys to everybody who connects, for those who publish it:
 *
 *	{"command":"certificates"}
 *	{"ok":true, "certificates":[{"names":["mx.example.org"], "pem":"-----BEGIN ..."}]}
 */
#pragma once

#include "rooms/runtime.h"

#include <jansson.h>

/* The answer; the caller's. */
json_t *steward_certificates(struct room *room);
