/* DMARC (RFC 9989, which replaces RFC 7489): did the domain in From send this message, and what
 * does its owner wish to be done when not.
 *
 *	struct mailauth_author author;
 *	mailauth_author_find(header, arena, &author);
 *	struct dmarc_identity identities[] = {{DMARC_SPF, mail_from_domain, MAILAUTH_PASS}, ...};
 *	struct dmarc_question question = {.identities = identities, .n_identities = 2,
 *	                                  .sample = DMARC_NO_SAMPLING};
 *	dmarc_evaluate(&dns, &author, &question, &result);
 *
 * The result is advice. Section 7.4 of RFC 9989: nobody may refuse a message for p=reject alone.
 *
 * Results: PASS, FAIL, NONE (no record), TEMPERROR (a lookup failed that the result depends on: it
 * is neither none nor fail), PERMERROR (the record is defective and asks for nothing, there is no
 * author domain, a lookup cannot be answered). Everything lives in dns->arena.
 */
#pragma once

#include "mailauth/author.h"
#include "mailauth/dmarc_record.h"
#include "mailauth/explain.h"
#include "mailauth/lookup.h"
#include "mailauth/result.h"

#define DMARC_WALK_MAX       8u   /* queries of one tree walk (RFC 9989 section 4.10) */
#define DMARC_IDENTITIES_MAX 100u /* of a message; further ones are not looked at */

/* How organisational domains and inherited records are found. */
enum dmarc_discovery {
	DMARC_TREE_WALK,     /* RFC 9989 section 4.10 */
	DMARC_PUBLIC_SUFFIX, /* RFC 7489 sections 3.2 and 6.6.3 */
};
const char *dmarc_discovery_name(enum dmarc_discovery discovery); /* "treewalk", "psl" */

/* --- what applies to a domain --- */

enum dmarc_outcome {
	DMARC_FOUND,     /* a record that applies */
	DMARC_ABSENT,    /* no record: DMARC does not apply */
	DMARC_DEFECTIVE, /* the record has no valid policy and no address: DMARC is not applied */
	DMARC_TEMPORARY, /* a lookup failed; later it may not */
	DMARC_PERMANENT, /* a lookup failed, and will again */
};

/* Where the record was, in order of preference (RFC 9989 section 4.10.1). */
enum dmarc_place {
	DMARC_AT_AUTHOR,
	DMARC_AT_ORGANIZATION,
	DMARC_AT_SUFFIX, /* the public suffix above the organisational domain */
};
const char *dmarc_place_name(enum dmarc_place place); /* "author", "organization", "suffix" */

struct dmarc_found {
	enum dmarc_outcome outcome;
	const char *why;        /* a sentence; the lookup that failed, the record that was found */
	struct dns_name author; /* the domain that was asked about */
	/* FOUND and DEFECTIVE: */
	struct dns_name domain; /* that has the record: the policy domain */
	enum dmarc_place place;
	struct dmarc_record record;
	const char *text; /* the record as it stands in the DNS, made printable */
	/* The organisational domain of `author`, when it had to be known; else the root. */
	struct dns_name organization;
	bool several; /* on the way were domains with several records; those do not count */
};

/* --- a message --- */

enum dmarc_mechanism {
	DMARC_SPF, /* of the MAIL FROM identity (RFC 7208 section 2.4): HELO for the null path */
	DMARC_DKIM,
};
const char *dmarc_mechanism_name(enum dmarc_mechanism mechanism); /* "spf", "dkim" */

/* A domain that SPF was checked for, or that signed. */
struct dmarc_identity {
	enum dmarc_mechanism mechanism;
	struct slice domain; /* in any case and script */
	enum mailauth_result result;
};

#define DMARC_NO_SAMPLING (-1)

struct dmarc_question {
	const struct dmarc_identity *identities;
	size_t n_identities;
	enum dmarc_discovery discovery;
	/* RFC 9989 knows no pct: DMARC_NO_SAMPLING. A random number from 0 to 99 has it applied as
	 * RFC 7489 section 6.6.4 says. */
	int sample;
};

enum dmarc_aligned {
	DMARC_NOT_ALIGNED,
	DMARC_ALIGNED_RELAXED, /* the same organisational domain */
	DMARC_ALIGNED_STRICT,  /* the same domain */
	DMARC_ALIGNED_UNKNOWN, /* a lookup failed */
};
const char *dmarc_aligned_name(enum dmarc_aligned aligned); /* "no", "relaxed", ... */

/* What became of an identity. */
struct dmarc_alignment {
	const struct dmarc_identity *identity;
	enum dmarc_aligned aligned; /* NOT_ALIGNED, too, when its result is no pass */
	const char *why;            /* a sentence */
};

struct dmarc_result {
	enum mailauth_result result;
	const char *why; /* a sentence */
	/* What the owner wishes for this message now: NONE unless the result is FAIL, or there is
	 * no author domain (then the strictest of what the domains in From wish). */
	enum dmarc_policy policy;
	enum dmarc_policy published;         /* the same before testing mode and sampling */
	const char *tag;                     /* that it is from: "p", "sp", "np"; "" for none */
	bool testing;                        /* t=y took one level off (RFC 9989 section 4.7) */
	bool sampled_out;                    /* pct did */
	bool has_author;                     /* there is an author domain: found.author */
	bool existence_known, author_exists; /* looked up only where np depends on it */
	struct dmarc_found found;
	bool spf_aligned, dkim_aligned; /* a pass of the mechanism is aligned */
	const struct dmarc_alignment *alignments;
	size_t n_alignments;
	struct mailauth_evidence evidence;
	struct mailauth_story story;
};

/* Blocks in lookups. Never fails: what cannot be done is TEMPERROR with the reason. The identities
 * must outlive the result. */
void dmarc_evaluate(struct mailauth_dns *dns, const struct mailauth_author *author,
                    const struct dmarc_question *question, struct dmarc_result *ret_result);

/* What applies to a message whose author domain is `domain`, should it not pass: result NONE or an
 * error where no record applies, else FAIL. The organisational domain is always looked up. */
void dmarc_look_up(struct mailauth_dns *dns, struct dns_name domain, enum dmarc_discovery discovery,
                   struct dmarc_result *ret_result);
