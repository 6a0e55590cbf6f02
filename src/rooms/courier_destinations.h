/* Where a domain wants reports, by its records in the DNS as they are now (RFC 8460 section 3; RFC
 * 7489 section 7.1): read here, by a room that owns nothing. */
#pragma once

#include "mailauth/dmarc.h"
#include "rooms/report_kind.h"
#include "rooms/runtime.h"

#include "courier.pb-c.h"

#define COURIER_DESTINATIONS_MAX   20u
#define COURIER_DESTINATIONS_ARENA ((size_t)12 * 1024 * 1024)

/* Fills destinations and why of the reply, which live in the arena. TEMPORARY with why: the DNS
 * does not tell. Blocks. */
struct status courier_destinations_find(const struct dns_resolver *resolver,
                                        const struct clock *clock, enum report_kind kind,
                                        const char *domain, enum dmarc_discovery discovery,
                                        struct arena *arena, Door__CourierReply *reply);
