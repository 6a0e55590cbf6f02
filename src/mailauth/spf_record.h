/* SPF records (RFC 7208 sections 4.5 to 6 and 12): text to terms and back.
 *
 * Parsing is strict, and of the whole record: any mistake anywhere makes it a permerror (section
 * 4.6). Names of mechanisms and modifiers may have any case; what is printed has lower case.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "mailauth/result.h"
#include "mailauth/spf_problem.h"

#define SPF_RECORD_MAX ((size_t)8192) /* octets; RFC 7208 section 3.4 recommends 450 */
#define SPF_TERMS_MAX  ((size_t)1000) /* of one record */

/* code, name, is a mechanism, causes lookups that are counted (section 4.6.4) */
#define SPF_TERM_LIST(X)                                                                           \
	X(ALL, "all", true, false)                                                                 \
	X(INCLUDE, "include", true, true)                                                          \
	X(A, "a", true, true)                                                                      \
	X(MX, "mx", true, true)                                                                    \
	X(PTR, "ptr", true, true)                                                                  \
	X(IP4, "ip4", true, false)                                                                 \
	X(IP6, "ip6", true, false)                                                                 \
	X(EXISTS, "exists", true, true)                                                            \
	X(REDIRECT, "redirect", false, true)                                                       \
	X(EXP, "exp", false, false)                                                                \
	X(UNKNOWN, "", false, false) /* a modifier of another specification (section 6) */

enum spf_term_kind {
#define X(code, name, is_mechanism, is_lookup) SPF_##code,
	SPF_TERM_LIST(X)
#undef X
};
const char *spf_term_name(enum spf_term_kind kind); /* "include"; "" for UNKNOWN */
bool spf_term_is_mechanism(enum spf_term_kind kind);
bool spf_term_is_lookup(enum spf_term_kind kind);

struct spf_term {
	enum spf_term_kind kind;
	struct slice text; /* as it stands in the record */
	/* Of a mechanism: PASS, FAIL, SOFTFAIL or NEUTRAL (section 4.6.2). */
	enum mailauth_result qualifier;
	struct slice domain_spec; /* unexpanded; empty: none was given */
	uint8_t network[16];      /* of ip4 (4 bytes) and ip6 */
	uint8_t prefix4, prefix6; /* bits: 32 and 128 where none were given */
	struct slice name, value; /* of an UNKNOWN modifier */
};

struct spf_record {
	struct slice text;
	const struct spf_term *terms; /* in order */
	size_t n_terms;
	const struct spf_term *redirect; /* NULL: none, or ignored beside all (section 6.1) */
	const struct spf_term *exp;      /* NULL: none */
};

/* Whether a TXT record is one of SPF: "v=spf1", then a space or nothing (section 4.5). */
bool spf_record_is(struct slice text);

/* SYNTAX with *ret_fault set; LIMIT (past the arena's budget) without. Slices point into text. */
struct status spf_record_parse(struct slice text, struct arena *arena,
                               struct spf_record *ret_record, struct spf_fault *ret_fault);

/* In its shortest form: single spaces, lower case, no "+", no prefix length that means nothing. */
void spf_record_print(const struct spf_record *record, struct buf *out);
void spf_term_print(const struct spf_term *term, struct buf *out);
/* '+', '-', '~' or '?'. */
char spf_qualifier_sign(enum mailauth_result qualifier);
