/* MTA-STS (RFC 8461): the record that announces a policy, the policy, and which MX hosts it names.
 *
 * Texts of strangers: read strictly, bounded, never believed beyond what they are for. How a policy
 * is looked for and kept is mtasts_find.h and mtasts_cache.h.
 */
#pragma once

#include "dns/resolver.h"

#define MTASTS_ID_MAX      32u
#define MTASTS_POLICY_MAX  ((size_t)64 * 1024) /* octets of a policy (section 3.3) */
#define MTASTS_MX_MAX      500u                /* patterns of a policy */
#define MTASTS_LINES_MAX   5000u               /* lines of a policy */
#define MTASTS_MAX_AGE_MAX 31557600u           /* seconds; larger values are cut (section 3.2) */
#define MTASTS_PATH        "/.well-known/mta-sts.txt"
#define MTASTS_HOST_PREFIX "mta-sts" /* before the domain: the policy host */

/* --- the record: "v=STSv1; id=20160831085700Z;" (section 3.1) --- */

struct mtasts_record {
	char id[MTASTS_ID_MAX + 1];
};

/* SYNTAX with what is wrong; LIMIT beyond DELIVERY_RECORD_MAX octets. */
struct status mtasts_record_parse(struct slice text, struct mtasts_record *ret_record);
void mtasts_record_print(const struct mtasts_record *record, struct buf *out);

enum mtasts_announcement {
	MTASTS_ANNOUNCED,
	MTASTS_ABSENT,  /* no record, several of them, or a malformed one */
	MTASTS_UNKNOWN, /* the DNS did not tell, or what it told is forged (answer->security) */
};

struct mtasts_lookup {
	enum mtasts_announcement announcement;
	struct mtasts_record record;     /* ANNOUNCED */
	const struct dns_answer *answer; /* NULL where nothing was asked: an address literal */
	const char *why;                 /* one sentence, in the arena */
};

/* Of the domain of an address, never of its parent or of what it is an alias of. Blocks for one
 * lookup. timeout_ms 0: DNS_LOOKUP_TIMEOUT_MS. LIMIT only: the arena's budget. */
struct status mtasts_lookup(const struct dns_resolver *resolver, struct slice domain,
                            int timeout_ms, struct arena *arena, struct mtasts_lookup *ret_lookup);

/* --- the policy (section 3.2) --- */

#define MTASTS_MODE_LIST(X)                                                                        \
	X(NONE, "none")                                                                            \
	X(TESTING, "testing")                                                                      \
	X(ENFORCE, "enforce")

enum mtasts_mode {
#define X(id, name) MTASTS_MODE_##id,
	MTASTS_MODE_LIST(X)
#undef X
};
const char *mtasts_mode_name(enum mtasts_mode mode);

struct mtasts_policy {
	enum mtasts_mode mode;
	uint32_t max_age_s;     /* at most MTASTS_MAX_AGE_MAX */
	const struct slice *mx; /* patterns in lower case, in their order */
	size_t n_mx;            /* 0 with mode none alone */
};

/* The patterns live in the arena. SYNTAX with what is wrong; LIMIT for too many octets, lines or
 * patterns, and for the arena's budget. */
struct status mtasts_policy_parse(struct slice body, struct arena *arena,
                                  struct mtasts_policy *ret_policy);
void mtasts_policy_print(const struct mtasts_policy *policy, struct buf *out);

/* Whether a pattern of the policy names the host of an MX record (section 4.1): "*" stands for one
 * whole label, the left-most. Case and a dot at the host's end make no difference. */
bool mtasts_policy_matches(const struct mtasts_policy *policy, struct slice host);
