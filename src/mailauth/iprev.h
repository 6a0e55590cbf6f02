/* iprev (RFC 8601 section 3): does the name that an address claims lead back to it.
 *
 * PASS: a name does. FAIL: there are names, and none does. PERMERROR: the address has no name.
 * TEMPERROR: a lookup failed, and what was found out without it is no pass.
 */
#pragma once

#include "mailauth/explain.h"
#include "mailauth/lookup.h"
#include "mailauth/result.h"

#define IPREV_NAMES_MAX                                                                            \
	10u /* that are looked up; further ones are passed over (RFC 7208 4.6.4)                   \
	     */

struct iprev_result {
	enum mailauth_result result;
	const char *why;      /* a sentence */
	struct dns_name name; /* PASS: the confirmed name, a host name; else the root */
	/* What the address claims, confirmed or not: host names only, in the order of the answer.
	 */
	const struct dns_name *names;
	size_t n_names;
	/* DNSSEC status of the names; of the addresses behind them, as far as they were looked up
	 * to come to the result. */
	enum dns_security reverse_security;
	bool has_forward;
	enum dns_security forward_security;
	struct mailauth_evidence evidence;
	struct mailauth_story story;
};

/* address: 4 or 16 bytes in network order; an IPv4 address mapped into IPv6 counts as IPv4. Blocks
 * in lookups. Never fails. Everything lives in dns->arena. */
void iprev_check(struct mailauth_dns *dns, struct slice address, struct iprev_result *ret_result);
