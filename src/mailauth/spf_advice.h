/* Advice on a record that is valid, for the one who publishes it: what most likely is not meant.
 */
#pragma once

#include "mailauth/spf_record.h"

/* code, text (RFC 7208 sections beside it) */
#define SPF_ADVICE_LIST(X)                                                                         \
	X(PASS_ALL, "this lets every host of the world send in your name")                         \
	X(BEHIND_ALL, "nothing behind all is looked at (section 5.1)")                             \
	X(REDIRECT_WITH_ALL, "redirect is ignored beside all (section 6.1)")                       \
	X(NO_END, "the record says nothing about all other hosts: end it in -all, ~all or "        \
	          "redirect= (section 4.7)")                                                       \
	X(MANY_LOOKUPS, "these are more than 10 lookups: receivers that get this far end in "      \
	                "permerror (section 4.6.4)")                                               \
	X(PTR, "ptr is slow, unreliable and should not be published (section 5.5)")                \
	X(MACRO_P, "the macro p is slow, unreliable and should not be published (section 7.3)")    \
	X(HOST_BITS, "the address has bits beyond the prefix length; they mean nothing")           \
	X(LIKE_MECHANISM, "this is a modifier that nobody knows: a mechanism has a colon")         \
	X(UNKNOWN_MODIFIER, "nobody knows this modifier; it is ignored (section 6)")               \
	X(LONG, "the record is longer than 450 octets, too much for a DNS answer by UDP "          \
	        "everywhere (section 3.4)")

enum spf_advice_kind {
#define X(code, text) SPF_ADVICE_##code,
	SPF_ADVICE_LIST(X)
#undef X
};

struct spf_advice {
	enum spf_advice_kind kind;
	struct slice at; /* the term; the whole record where no one is to blame */
};

#define SPF_ADVICE_MAX 32u /* of one record; further ones are left out */

const char *spf_advice_text(enum spf_advice_kind kind);
const char *spf_advice_code(enum spf_advice_kind kind); /* "PASS_ALL" */
/* Gives the number of pieces of advice. */
size_t spf_record_advise(const struct spf_record *record, struct spf_advice advice[SPF_ADVICE_MAX]);
