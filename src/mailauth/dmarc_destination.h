/* May reports about a domain go to that address: a record can name anybody's (RFC 9990 section 3,
 * RFC 7489 section 7.1).
 *
 * An address in the same organisation as the domain that has the record is its owner's affair. Any
 * other must be allowed by its own domain, which may also say which of its addresses to take
 * instead.
 */
#pragma once

#include "mailauth/dmarc.h"

enum dmarc_destination_kind {
	DMARC_DESTINATION_INTERNAL,   /* of the same organisation */
	DMARC_DESTINATION_AUTHORIZED, /* the destination's domain allows it */
	DMARC_DESTINATION_OVERRIDDEN, /* and names other addresses of its own */
	DMARC_DESTINATION_REFUSED,    /* it does not, or cannot be asked: no report */
	DMARC_DESTINATION_TEMPORARY,  /* not known now: no report yet */
	DMARC_DESTINATION_UNSUPPORTED /* not mailto: */
};
/* "internal", "authorized", "overridden", "refused", "temporary", "unsupported" */
const char *dmarc_destination_kind_name(enum dmarc_destination_kind kind);

enum dmarc_reports {
	DMARC_AGGREGATE_REPORTS, /* rua */
	DMARC_FAILURE_REPORTS,   /* ruf */
};

struct dmarc_destination {
	enum dmarc_destination_kind kind;
	const char *why;
	/* Where to send: the URI itself when INTERNAL or AUTHORIZED, those of the destination's
	 * record when OVERRIDDEN, else none. mailto: only. */
	struct dmarc_uris uris;
	struct mailauth_evidence evidence;
	struct mailauth_story story;
};

/* policy_domain: that had the record. uri: out of its rua or ruf; must outlive the result. Blocks
 * in lookups, never fails. */
void dmarc_destination_check(struct mailauth_dns *dns, struct dns_name policy_domain,
                             const struct dmarc_uri *uri, enum dmarc_reports reports,
                             enum dmarc_discovery discovery,
                             struct dmarc_destination *ret_destination);
