/* SPF (RFC 7208): may this client send mail under this name?
 *
 *	struct spf_args args = {.client_ip = ip, .helo = helo, .localpart = l, .domain = d};
 *	struct spf_result result;
 *	spf_check(&dns, &args, SPF_MAILFROM, &result);
 *	if (result.result == MAILAUTH_PASS) ...
 *
 * The two identities are two checks; they may share one mailauth_dns, one after the other. A check
 * blocks for its lookups, at most until the deadline of its mailauth_dns. It cannot fail: what
 * prevents it is a temperror.
 */
#pragma once

#include "mailauth/lookup.h"
#include "mailauth/result.h"

/* RFC 7208 section 4.6.4. */
#define SPF_LOOKUP_TERMS_MAX 10u /* include, a, mx, ptr, exists, redirect and %{p} of one check */
#define SPF_VOID_TERMS_MAX   2u  /* of these, those that the DNS had nothing for */
#define SPF_MX_HOSTS_MAX     10u /* of one mx; more are a permerror */
#define SPF_PTR_NAMES_MAX    10u /* of one address; the others are ignored */
/* Ours. */
#define SPF_DEPTH_MAX       20u /* records within records, redirections included */
#define SPF_EXPLANATION_MAX 500u

enum spf_identity {
	SPF_HELO,     /* section 2.3 */
	SPF_MAILFROM, /* section 2.4 */
};
const char *spf_identity_name(enum spf_identity identity); /* "mailfrom" */

struct spf_limits {
	unsigned lookup_terms, void_terms;
};
extern const struct spf_limits spf_limits_default;

/* Slices of any bytes; they need to live as long as the call. */
struct spf_args {
	struct slice client_ip; /* 4 or 16 bytes; a v4-mapped address counts as v4 (section 5) */
	struct slice helo;      /* as the client said it */
	struct slice localpart; /* of the reverse-path, unquoted; empty: "postmaster" (4.3) */
	/* Of the reverse-path, A-labels or U-labels (RFC 8616 section 4). Empty for the null
	 * reverse-path: then MAILFROM is postmaster at the HELO name (section 2.4). */
	struct slice domain;
	struct slice receiver;           /* our host name, for %{r}; empty: "unknown" */
	bool explain;                    /* fetch the explanation of a fail */
	const struct spf_limits *limits; /* NULL: spf_limits_default */
};

/* One record on the way to the decision. */
struct spf_step {
	const char *domain;    /* whose record it is */
	const char *directive; /* what led on or decided: "-include:a.example", "ip4:192.0.2.1" */
};

/* All text is printable ASCII without line ends, in the mailauth_dns's arena, never NULL; "" where
 * there is none. */
struct spf_result {
	enum mailauth_result result; /* never POLICY */
	enum spf_identity identity;
	bool null_sender;       /* MAILFROM without a reverse-path: the HELO name was checked */
	const char *domain;     /* that was checked; A-labels, lower case */
	const char *mechanism;  /* that matched, as in the record; "default": none did; "": no
	                           record was evaluated to its end */
	const char *matched_in; /* the domain in whose record mechanism stands */
	const struct spf_step *path; /* from domain's record to that record, or to the problem */
	size_t n_path;
	const char *why;         /* a sentence for people */
	const char *problem;     /* what is wrong, of permerror and temperror */
	const char *explanation; /* of a fail: the domain owner's words (section 6.2) */
	/* What the result rests on: lookups first_lookup .. + n_lookups of the evidence; those of
	 * the explanation follow. */
	size_t first_lookup, n_lookups;
	bool truncated;          /* more was asked than is recorded */
	unsigned n_lookup_terms; /* used up of the limits */
	unsigned n_void_terms;
};

void spf_check(struct mailauth_dns *dns, const struct spf_args *args, enum spf_identity identity,
               struct spf_result *ret_result);

/* The lookups that the result rests on, for mailauth_evidence_word and its like. */
struct mailauth_evidence spf_evidence(const struct mailauth_dns *dns,
                                      const struct spf_result *result);

/* For Authentication-Results (RFC 8601 section 2.7.2): "smtp.mailfrom" or "smtp.helo"; its value is
 * result->domain. A null reverse-path has no mailfrom, so helo is named. */
const char *spf_property(const struct spf_result *result);

/* The answer to SMTP for those who refuse by SPF alone (sections 8.4, 8.6, 8.7; RFC 7372 section
 * 3.2): code and enhanced code; false for results that are no reason to refuse. */
bool spf_reply(const struct spf_result *result, unsigned *ret_code, const char **ret_enhanced);
/* Its text, lines that each end in LF, with the explanation marked as the domain's words. */
void spf_reply_text(const struct spf_result *result, struct buf *out);

/* The record of a domain, without evaluating it. */
enum spf_lookup_outcome {
	SPF_LOOKUP_FOUND,
	SPF_LOOKUP_NONE,    /* the name exists, and has no such record */
	SPF_LOOKUP_NO_NAME, /* there is no such name */
	SPF_LOOKUP_SEVERAL, /* more than one: permerror (section 4.5) */
	SPF_LOOKUP_FAILED,  /* the DNS did not answer: temperror (section 4.4) */
};
/* *ret_answer is the answer, never NULL; *ret_text is set when FOUND and points into it. */
enum spf_lookup_outcome spf_lookup(struct mailauth_dns *dns, struct dns_name name,
                                   const struct dns_answer **ret_answer, struct slice *ret_text);
