/* Domains and local parts in the one form in which they are compared.
 *
 * Domains: A-labels in lower case (IDNA2008 with the mapping of UTS 46), no final dot. Local parts:
 * Unicode NFC, in lower case unless the domain says otherwise (RFC 5321 section 2.4 leaves that to
 * the receiving side). ASCII goes a fast way without allocation.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#include "config/config.h"

/* SYNTAX when s is no domain name. ret has room for CONFIG_DOMAIN_MAX + 1 and gets a final NUL. */
struct status config_domain_canonical(struct slice s, char *ret, size_t *ret_n);

/* s: unquoted. SYNTAX when it is empty, too long, no UTF-8, or has control characters. ret has room
 * for CONFIG_LOCALPART_MAX + 1 and gets a final NUL. */
struct status config_localpart_canonical(struct slice s, bool case_sensitive, char *ret,
                                         size_t *ret_n);

/* At the last "@". False without one. */
bool config_address_split(struct slice address, struct slice *ret_localpart,
                          struct slice *ret_domain);
