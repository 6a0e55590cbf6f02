/* The parts of an SPF check: spf_check.c runs records, spf_terms.c asks the DNS for single terms,
 * spf_words.c says what came out.
 */
#pragma once

#include "mailauth/spf.h"
#include "mailauth/spf_macro.h"
#include "mailauth/spf_record.h"

/* Why a record is evaluated. */
enum spf_frame_kind {
	SPF_FRAME_FIRST,
	SPF_FRAME_INCLUDE,
	SPF_FRAME_REDIRECT,
};

/* One check_host() under way (RFC 7208 section 4). */
struct spf_frame {
	enum spf_frame_kind kind;
	struct spf_target target; /* <domain> */
	struct spf_record record;
	const struct spf_term *term; /* under way, or that led on; NULL before the first */
	size_t n_done;               /* terms of the record */
};

/* A name that the client's address points back to (section 5.5). */
struct spf_pointer {
	struct dns_name name;
	enum { SPF_POINTER_UNKNOWN, SPF_POINTER_GOOD, SPF_POINTER_BAD } state;
};

struct spf_check {
	struct mailauth_dns *dns;
	const struct spf_args *args;
	struct spf_limits limits;
	struct arena *arena;
	uint8_t ip[16];
	struct spf_macro_values values;
	struct spf_frame frames[SPF_DEPTH_MAX]; /* the outermost first */
	size_t n_frames;
	unsigned n_lookup_terms, n_void_terms;
	bool term_was_void; /* the term under way is counted already */
	struct spf_pointer pointers[SPF_PTR_NAMES_MAX];
	size_t n_pointers;
	bool has_pointers;
	const char *cut_short; /* a lookup that may fail was not to be made: no time, no memory */
	bool is_malformed;     /* why spf_term_target had no target: no name, and not RFC 8616 */
	/* The outermost record that decided, for its exp; term NULL while there is none. */
	struct spf_frame decider;
	const char *nothing; /* why there is no record, for words */
	struct spf_result *result;
};

/* How a term ended; FAILED: check_host() ends with *ret_result. */
enum spf_match {
	SPF_NO_MATCH,
	SPF_MATCH,
	SPF_FAILED,
};

/* Evaluates a, mx, ptr, exists, ip4, ip6 or all. */
enum spf_match spf_term_match(struct spf_check *check, const struct spf_term *term,
                              enum mailauth_result *ret_result);
/* Expands a domain-spec for the frame under way, %{p} included. MATCH: it is there; NO_MATCH: it is
 * no name; FAILED: the limits (the lookup of %{p} is counted) or the memory are used up. */
enum spf_match spf_term_target(struct spf_check *check, struct slice domain_spec,
                               enum mailauth_result *ret_result, struct spf_target *ret_target);
/* One more term that asks the DNS. */
bool spf_count_lookup(struct spf_check *check, enum mailauth_result *ret_result);
/* Looks the explanation of the decider up (section 6.2); sets result->explanation. */
void spf_explain(struct spf_check *check);

/* Sets the problem (the first one stays) and gives FAILED with PERMERROR or TEMPERROR. */
PRINTF(4, 5)
enum spf_match spf_fail(struct spf_check *check, enum mailauth_result code,
                        enum mailauth_result *ret_result, const char *format, ...);
enum spf_match spf_fail_memory(struct spf_check *check, enum mailauth_result *ret_result);

/* Writes down the way to the term under way (NULL: the end of the record). */
void spf_note_path(struct spf_check *check, const struct spf_term *term);
/* Fills in why. */
void spf_tell(struct spf_check *check);
/* At most max octets, what is not printable ASCII as '?'; fallback when there is no room. */
const char *spf_printable(struct slice text, size_t max, struct arena *arena, const char *fallback);
