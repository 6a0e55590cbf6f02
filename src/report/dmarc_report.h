/* Aggregate reports of DMARC: how many messages with a domain in From came from where, and what
 * became of them. XML in the forms of RFC 7489 appendix C and of RFC 9990, which replaces it.
 *
 * Printing takes plain structs and writes a document of either form. Reading takes what is sent:
 * both forms, elements in any order, those that are missing or unknown, any namespace; and keeps
 * what can be understood. Nothing of a document is trusted: a DOCTYPE is refused, so that there are
 * no entities; size, depth, rows and texts are bounded.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "mailauth/dmarc_record.h"
#include "mailauth/result.h"

#define DMARC_REPORT_SIZE_MAX    ((size_t)64 * 1024 * 1024) /* bytes of a document that is read */
#define DMARC_REPORT_DEPTH_MAX   16u
#define DMARC_REPORT_ROWS_MAX    100000u
#define DMARC_REPORT_TEXT_MAX    1000u /* bytes of one text that are kept */
#define DMARC_REPORT_ERRORS_MAX  100u  /* of the metadata; of one row: */
#define DMARC_REPORT_REASONS_MAX 20u
#define DMARC_REPORT_DKIM_MAX    100u /* RFC 9990 section 3.1.4: SHOULD be no more */
#define DMARC_REPORT_SPF_MAX     10u
/* A fit budget for a report's arena when it is read: rows are small. */
#define DMARC_REPORT_ARENA ((size_t)256 * 1024 * 1024)

enum dmarc_report_form {
	DMARC_REPORT_RFC7489,
	DMARC_REPORT_RFC9990,
};

/* What was done, as "disposition" tells. name in RFC 9990 */
#define DMARC_DISPOSITION_LIST(X)                                                                  \
	X(NONE, "none")                                                                            \
	X(PASS, "pass") /* it passed; none in RFC 7489 */                                          \
	X(QUARANTINE, "quarantine")                                                                \
	X(REJECT, "reject")
enum dmarc_disposition {
#define X(id, name) DMARC_DISPOSITION_##id,
	DMARC_DISPOSITION_LIST(X)
#undef X
};
const char *dmarc_disposition_name(enum dmarc_disposition disposition);

/* Why that is not what the policy says. */
#define DMARC_OVERRIDE_LIST(X)                                                                     \
	X(OTHER, "other")                                                                          \
	X(FORWARDED, "forwarded")     /* RFC 7489 only: printed as other by RFC 9990 */            \
	X(SAMPLED_OUT, "sampled_out") /* the same */                                               \
	X(TRUSTED_FORWARDER, "trusted_forwarder")                                                  \
	X(MAILING_LIST, "mailing_list")                                                            \
	X(LOCAL_POLICY, "local_policy")                                                            \
	X(POLICY_TEST_MODE, "policy_test_mode") /* RFC 9990 only: other by RFC 7489 */
enum dmarc_override {
#define X(id, name) DMARC_OVERRIDE_##id,
	DMARC_OVERRIDE_LIST(X)
#undef X
};
const char *dmarc_override_name(enum dmarc_override override);

struct dmarc_report_reason {
	enum dmarc_override type;
	struct slice comment; /* may be empty */
};

/* A signature or a check of SPF, as it was before DMARC looked at it. */
struct dmarc_report_auth {
	struct slice domain;
	struct slice selector; /* DKIM */
	bool helo;             /* SPF: of the HELO name; RFC 9990 knows mfrom only */
	enum mailauth_result result;
	struct slice human_result; /* may be empty */
};

/* Messages that have all of this in common. */
struct dmarc_report_row {
	struct dmarc_report_row *next;
	struct slice source_ip; /* an address, as text */
	uint64_t count;
	enum dmarc_disposition disposition;
	bool dkim_aligned, spf_aligned; /* a pass that is aligned */
	const struct dmarc_report_reason *reasons;
	size_t n_reasons;
	struct slice header_from;
	bool has_envelope_from, has_envelope_to;
	struct slice envelope_from; /* empty for the null path */
	struct slice envelope_to;
	const struct dmarc_report_auth *dkim, *spf; /* RFC 7489 wants one of SPF at least */
	size_t n_dkim, n_spf;
};

struct dmarc_report {
	enum dmarc_report_form form; /* by its namespace */
	struct slice org_name, email;
	struct slice extra_contact_info; /* may be empty */
	struct slice generator;          /* RFC 9990; may be empty */
	struct slice report_id;
	int64_t begin_s, end_s; /* since 1970 */
	const struct slice *errors;
	size_t n_errors;
	/* The policy as it was published. */
	struct slice domain;
	struct slice discovery; /* RFC 9990: "treewalk", "psl"; may be empty */
	bool has_sp, has_np, has_fo, has_testing, has_pct;
	enum dmarc_policy p, sp, np;
	enum dmarc_mode adkim, aspf;
	struct slice fo;
	bool testing;
	unsigned pct;
	const struct dmarc_report_row *rows;
	size_t n_rows;
	/* Read: rows that were left out, because their address or number could not be read. */
	size_t n_bad_rows;
};

/* The document. Characters that XML cannot carry become '?'. INVALID: no row, no domain, name or
 * id, an end before the begin, an address that is none. LIMIT when out is full. */
struct status dmarc_report_print(const struct dmarc_report *report, enum dmarc_report_form form,
                                 struct buf *out);

/* xml: unpacked. Everything is copied into the arena. SYNTAX: not well-formed, another kind of
 * document, or without what a report must have (name, id, period, domain). UNSUPPORTED: a DOCTYPE.
 * LIMIT: size, depth, rows, the arena's budget. */
struct status dmarc_report_parse(struct slice xml, struct arena *arena,
                                 struct dmarc_report *ret_report);
