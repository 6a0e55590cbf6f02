/* Policies of MTA-STS, kept durably by the steward for the courier (RFC 8461 section 3.3: a policy
 * that was fetched holds for its max_age, whatever happens to us meanwhile). What a policy says is
 * not read here: texts of strangers are parsed by the courier and by the administrator's own
 * command.
 *
 * When there are too many, those go that were unused longest.
 */
#pragma once

#include "base/arena.h"
#include "rooms/report_db.h"

#define REPORT_POLICIES_MAX      10000u
#define REPORT_POLICIES_SIZE_MAX ((int64_t)64 * 1024 * 1024) /* bytes of all */
#define REPORT_POLICY_SIZE_MAX   ((size_t)66 * 1024)
#define REPORT_POLICY_USED_S     300 /* last use is written down so exactly */

struct report_policy {
	struct slice domain;
	int64_t used_at_s;
	struct slice form;
};

/* In lower case, A-labels, at most 253 octets: how domains are named in this database. */
bool report_domain_is_good(struct slice domain);

/* Noted as used. NOT_FOUND. */
struct status report_policies_get(struct report_db *db, struct slice domain, int64_t now_s,
                                  struct arena *arena, struct slice *ret_form);
/* The same without being a use. policy->domain says which; the rest is filled in. NOT_FOUND. */
struct status report_policies_find(struct report_db *db, struct report_policy *policy,
                                   struct arena *arena);
/* INVALID domain, LIMIT size. */
struct status report_policies_put(struct report_db *db, struct slice domain, int64_t now_s,
                                  struct slice form);
/* NOT_FOUND. */
struct status report_policies_forget(struct report_db *db, struct slice domain);

/* Those behind `after` in the order of their domains, until their forms exceed size_max (one at
 * least); *ret_more: there are further ones. */
struct status report_policies_list(struct report_db *db, struct slice after, size_t size_max,
                                   struct arena *arena, struct report_policy **ret_policies,
                                   size_t *ret_n, bool *ret_more);
