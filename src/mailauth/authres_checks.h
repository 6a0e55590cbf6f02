/* Results of DMARC and iprev as Authentication-Results states them.
 *
 *	dmarc=fail (dnssec secure) header.from=example.com policy.dmarc=reject     RFC 9989 section
 * 9 iprev=pass (dnssec insecure) policy.iprev=192.0.2.1                        RFC 8601 2.7.3
 *
 * What they rest on stands in the comment. A reason is given for errors only. Everything lives in
 * the arena or in the result given; LIMIT past the arena's budget.
 */
#pragma once

#include "mailauth/authres.h"
#include "mailauth/dmarc.h"
#include "mailauth/iprev.h"

struct status authres_of_dmarc(const struct dmarc_result *result, struct arena *arena,
                               struct authres_result *ret_result);

/* address: the one that was checked, 4 or 16 bytes. */
struct status authres_of_iprev(const struct iprev_result *result, struct slice address,
                               struct arena *arena, struct authres_result *ret_result);
