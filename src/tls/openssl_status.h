/* From OpenSSL's error queue to a status. */
#pragma once

#include "base/status.h"

/* The reason of the thread's first queued error where there is one (static text), else `why`.
 * Empties the queue. */
struct status tls_openssl_fail(enum err code, const char *why);
