/* What the courier tells for TLS reports (RFC 8460), as facts for the steward. */
#pragma once

#include "delivery/tls_facts.h"
#include "rooms/reporter.h"

#define COURIER_POLICY_TEXT_MAX                                                                    \
	((size_t)16 * 1024) /* bytes of a policy's strings; of its hosts, too */

/* domain: the recipients'. It is told of each fact; a host's domain of its TLSA records, too
 * (section 1.1: the policy domain of TLSA is the host's). Address literals have nobody to be told.
 */
void courier_facts_tell(struct reporter *reporter, const char *domain,
                        const struct delivery_tls_facts *facts);
