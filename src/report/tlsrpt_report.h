/* Reports of TLS (RFC 8460 section 4): of the sessions with a domain's servers, how many were as
 * its policy wants them, and by what the others failed. JSON.
 *
 * The names of policy types and results are texts, since their lists grow (section 4.3). Reading
 * keeps what can be understood; nothing of a document is trusted: size, depth, values, policies,
 * failures and texts are bounded before or while it is read.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

#define TLSRPT_REPORT_SIZE_MAX     ((size_t)10 * 1024 * 1024) /* bytes that are read (section 5.2) */
#define TLSRPT_REPORT_DEPTH_MAX    16u
#define TLSRPT_REPORT_VALUES_MAX   200000u /* of JSON, of any kind */
#define TLSRPT_REPORT_POLICIES_MAX 1000u
#define TLSRPT_REPORT_FAILURES_MAX 10000u /* of all policies together */
#define TLSRPT_REPORT_STRINGS_MAX  100u   /* of a policy that are kept; of its mx-host, too */
#define TLSRPT_REPORT_TEXT_MAX     1000u  /* bytes of one text that are kept */
/* A fit budget for a report's arena when it is read. */
#define TLSRPT_REPORT_ARENA ((size_t)32 * 1024 * 1024)

/* Sessions that failed in the same way. All but result and count may be empty. */
struct tlsrpt_failure {
	struct slice result; /* result-type: "certificate-expired" */
	struct slice sending_ip, receiving_ip;
	struct slice mx_hostname, mx_helo;
	uint64_t count;
	struct slice information; /* additional-information: a URI */
	struct slice reason;      /* failure-reason-code */
};

struct tlsrpt_policy {
	struct slice type;           /* policy-type: "tlsa", "sts", "no-policy-found" */
	const struct slice *strings; /* policy-string: the lines of the policy, or the records */
	size_t n_strings;
	struct slice domain;          /* A-labels */
	const struct slice *mx_hosts; /* patterns of an STS policy */
	size_t n_mx_hosts;
	uint64_t n_successful, n_failed; /* sessions */
	const struct tlsrpt_failure *failures;
	size_t n_failures;
};

struct tlsrpt_report {
	struct slice organization;
	struct slice contact; /* an address; may be empty in what was read */
	struct slice report_id;
	int64_t start_s, end_s; /* since 1970 */
	const struct tlsrpt_policy *policies;
	size_t n_policies;
	/* Read: what was left out, since it had no name, domain or number. */
	size_t n_bad_policies, n_bad_failures;
};

/* The document, as I-JSON (RFC 7493): what is no character becomes U+FFFD. INVALID: no policy,
 * name, contact or id, an end before the start, a policy without type or domain, a failure without
 * result, an address that is none, a number beyond 10^15. LIMIT when out is full. */
struct status tlsrpt_report_print(const struct tlsrpt_report *report, struct buf *out);

/* json: unpacked. Everything is copied into the arena. SYNTAX: no JSON, a name twice in one object,
 * or without what a report must have (name, id, period, policies). LIMIT: size, depth, values,
 * policies, failures, the arena's budget. */
struct status tlsrpt_report_parse(struct slice json, struct arena *arena,
                                  struct tlsrpt_report *ret_report);
