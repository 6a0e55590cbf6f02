/* What a domain of ours publishes about itself, as its configuration says: texts of TXT records,
 * and the MTA-STS policy.
 *
 * All of these end with OK and the text at the end of out; with NOT_FOUND where the configuration
 * has nothing to publish, and why says which field would; LIMIT when out is full.
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"
#include "config/config.h"

/* A fit limit for out. */
#define PUBLISHED_MAX ((size_t)64 * 1024)

/* Lines that end in CRLF (RFC 8461 section 3.2). */
struct status published_mtasts_policy(const struct config *config,
                                      const struct config_domain *domain, struct buf *out);
/* Of _mta-sts.DOMAIN (RFC 8461 section 3.1). The id is made of the policy: it changes when that
 * does, and with nothing else. */
struct status published_mtasts_record(const struct config *config,
                                      const struct config_domain *domain, struct buf *out);
/* Of _smtp._tls.DOMAIN (RFC 8460 section 3). */
struct status published_tlsrpt_record(const struct config_domain *domain, struct buf *out);
/* Of _dmarc.DOMAIN (RFC 9989 section 4.8). */
struct status published_dmarc_record(const struct config_domain *domain, struct buf *out);
