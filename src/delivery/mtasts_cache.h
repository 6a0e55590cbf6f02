/* What is kept of a domain's MTA-STS policy, and what to do with it: pure functions of what is
 * known and of the time.
 *
 *	plan = mtasts_plan(&state, now_s, &lookup);
 *	if (plan.fetch == MTASTS_FETCH_FIRST) {
 *		... fetch ...
 *		mtasts_note_policy(&state, now_s, id, &policy)  or  mtasts_note_failure(...)
 *		plan = mtasts_plan(&state, now_s, &lookup);     which does not fetch again at once
 *	}
 *	apply the policy when plan.use is MTASTS_USE_POLICY
 *
 * RFC 8461: a policy holds for max_age from its fetch, whatever DNS and HTTPS do meanwhile
 * (sections 3.1, 3.3, 5.1); another id in the record means another policy; it is fetched anew once
 * a day, long before it ends, so that nobody can outwait it (section 10.2); a fetch that failed is
 * not repeated for five minutes, per id, and for longer each time.
 */
#pragma once

#include "delivery/mtasts.h"

#define MTASTS_REFRESH_S   86400 /* at the latest; earlier where max_age is short */
#define MTASTS_RETRY_S     300   /* after a failed fetch (section 3.3), doubled each time */
#define MTASTS_RETRY_MAX_S 3600
#define MTASTS_DOMAIN_MAX  253u

/* Of one policy domain. Zeroed: nothing is known. */
struct mtasts_state {
	bool has_policy;
	enum mtasts_mode mode;
	uint32_t max_age_s;
	int64_t fetched_at_s;       /* unix */
	char id[MTASTS_ID_MAX + 1]; /* of the record that announced it */
	/* The last fetch, when it failed. */
	uint32_t n_failures; /* in a row, for failed_id */
	int64_t failed_at_s;
	char failed_id[MTASTS_ID_MAX + 1];
};

enum mtasts_use {
	MTASTS_USE_NOTHING, /* there is no policy, or one of mode none */
	MTASTS_USE_POLICY,
	MTASTS_USE_LATER, /* the DNS's answer is forged: no mail before it is known */
};

enum mtasts_fetch_when {
	MTASTS_FETCH_NEVER,
	MTASTS_FETCH_FIRST, /* before the policy is applied */
	MTASTS_FETCH_SOON,  /* a refresh: mail need not wait for it */
};

struct mtasts_plan {
	enum mtasts_use use;
	enum mtasts_fetch_when fetch;
	const char *why; /* static, one sentence */
};

/* For mail at this moment. */
struct mtasts_plan mtasts_plan(const struct mtasts_state *state, int64_t now_s,
                               const struct mtasts_lookup *lookup);

/* A policy was fetched and could be read. */
void mtasts_note_policy(struct mtasts_state *state, int64_t now_s, const char *id,
                        const struct mtasts_policy *policy);
/* It could not be fetched or read. What is kept is kept. */
void mtasts_note_failure(struct mtasts_state *state, int64_t now_s, const char *id);

/* Has a policy that still holds, of whatever mode. */
bool mtasts_is_valid(const struct mtasts_state *state, int64_t now_s);
/* When a keeper of policies does well to look after it: the next refresh or retry, while there is a
 * policy. INT64_MAX where there is nothing to look after. */
int64_t mtasts_next_refresh_s(const struct mtasts_state *state);
/* Nothing is lost by forgetting it. */
bool mtasts_is_spent(const struct mtasts_state *state, int64_t now_s);

/* --- how it is kept --- */

#define MTASTS_ENTRY_MAX (MTASTS_POLICY_MAX + 1024) /* octets of the printed form */

struct mtasts_entry {
	const char *domain; /* A-labels, lower case */
	struct mtasts_state state;
	struct slice body; /* the policy as it was fetched; empty without one */
	struct mtasts_policy policy;
};

/* A short head of lines, an empty line, the body:
 *
 *	mailkeep-mtasts 1
 *	domain example.com
 *	policy 20160831085700Z 1700000000     id and instant of the fetch; or - 0
 *	failed 20160831085700Z 1700000000 2   id, instant, how often;      or - 0 0
 *
 * mode and max_age are read from the body. The buffer's ceiling counts. */
void mtasts_entry_print(const struct mtasts_entry *entry, struct buf *out);
/* CORRUPT for what was not printed by that; LIMIT. Everything is copied into the arena. */
struct status mtasts_entry_parse(struct slice form, struct arena *arena,
                                 struct mtasts_entry *ret_entry);
