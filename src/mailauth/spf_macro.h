/* Macro strings of SPF (RFC 7208 section 7): checking and expanding.
 *
 * A text is checked once, when its record is parsed; what passed the check can be expanded with any
 * values. Names that come out are exactly what the DNS is asked: labels of any bytes, no escaping
 * (section 4.8).
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "dns/name.h"
#include "mailauth/spf_problem.h"

/* What an expanded name may have on its way; what a name keeps of it is 253 octets. */
#define SPF_EXPANSION_MAX ((size_t)64 * 1024)
#define SPF_NAME_MAX      253u /* octets of a name, without a dot at the end (section 7.3) */

enum spf_macro_place {
	SPF_MACRO_IN_DOMAIN,      /* domain-spec: no c, r, t */
	SPF_MACRO_IN_MODIFIER,    /* value of an unknown modifier: every letter */
	SPF_MACRO_IN_EXPLANATION, /* explain-string: every letter, and spaces */
};

/* What the letters stand for. Slices are valid while a text is expanded. */
struct spf_macro_values {
	struct slice client_ip;     /* i, c, v: 4 or 16 bytes */
	struct slice localpart;     /* l, s */
	struct slice sender_domain; /* o, s: A-labels */
	struct slice domain;        /* d: whose record is looked at */
	struct slice helo;          /* h */
	struct slice validated;     /* p: "unknown" when empty */
	struct slice receiver;      /* r: "unknown" when empty */
	int64_t now_s;              /* t: seconds since 1970 */
};

/* True when text follows the grammar of its place; else *ret_fault says what and where. */
bool spf_macro_check(struct slice text, enum spf_macro_place place, struct spf_fault *ret_fault);
/* The same for a whole domain-spec, its end included. */
bool spf_domain_spec_check(struct slice text, struct spf_fault *ret_fault);

/* Whether a checked text has one of these letters (lower case) as a macro. */
bool spf_macro_uses(struct slice text, const char *letters);

/* Appends the expansion of a checked text. Past out's ceiling it is cut, and out has failed. */
void spf_macro_expand(struct slice text, const struct spf_macro_values *values, struct buf *out);

/* <target-name> (RFC 7208 section 4.8). */
struct spf_target {
	struct dns_name name;
	struct slice
	        text; /* as it was expanded, without a dot at the end: %{d} of what lies there */
};

/* Expands a domain-spec: cut from the left to SPF_NAME_MAX octets, without a dot at its end.
 * INVALID with the reason when what comes out is no name of the DNS; UNSUPPORTED when a value in
 * it is not ASCII, and the term is to match nothing (RFC 8616 section 4); LIMIT past the arena's
 * budget. */
struct status spf_target_expand(struct slice domain_spec, const struct spf_macro_values *values,
                                struct arena *arena, struct spf_target *ret_target);
/* The same for a name that is there already. Its text is copied. */
struct status spf_target_parse(struct slice name, struct arena *arena,
                               struct spf_target *ret_target);
