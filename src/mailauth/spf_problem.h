/* What can be wrong with an SPF record or an explanation, in words for the one who publishes it
 * (RFC 7208 section 12; each problem makes the whole record a permerror, section 4.6).
 */
#pragma once

#include "base/slice.h"

/* code, what is wrong, how to mend it */
#define SPF_PROBLEM_LIST(X)                                                                        \
	X(VERSION, "this does not begin with v=spf1 and a space", "begin the record with v=spf1")  \
	X(TOO_LONG, "the record is longer than 8192 octets", "divide it by include or redirect")   \
	X(TOO_MANY_TERMS, "the record has more than 1000 terms",                                   \
	  "divide it by include or "                                                               \
	  "redirect")                                                                              \
	X(BYTE, "this byte may not stand in a record",                                             \
	  "write visible ASCII and single spaces only, names of other scripts as A-labels "        \
	  "(xn--)")                                                                                \
	X(UNKNOWN_MECHANISM, "there is no such mechanism",                                         \
	  "mechanisms are all, include, a, mx, ptr, ip4, ip6 and exists, written with a colon")    \
	X(IS_MODIFIER, "this is a modifier, and is written with an equals sign",                   \
	  "write redirect=NAME or exp=NAME, without a sign before it")                             \
	X(MODIFIER_NAME, "this is no name of a modifier",                                          \
	  "a name is a letter, then letters, digits, '-', '_' and '.'; signs belong to "           \
	  "mechanisms only")                                                                       \
	X(TWICE, "redirect and exp may stand in a record once each", "leave one of them out")      \
	X(ARGUMENT, "all takes nothing behind it", "write all alone, with a sign or without")      \
	X(NO_DOMAIN, "a domain name is missing", "write the name, as in include:example.com")      \
	X(DOMAIN_END, "this is no full domain name",                                               \
	  "end the name in a top-level domain of letters, as in mail.example.com, or in a "        \
	  "macro")                                                                                 \
	X(DOMAIN_IS_ADDRESS, "a name belongs here, and this is an address",                        \
	  "use ip4 or ip6 for addresses")                                                          \
	X(IP4, "this is no IPv4 address",                                                          \
	  "write all four numbers, as in ip4:192.0.2.0/24, without leading zeros")                 \
	X(IP6, "this is no IPv6 address", "write it as in ip6:2001:db8::/32")                      \
	X(PREFIX4, "the prefix length of IPv4 is a number from 0 to 32",                           \
	  "write it as in /24, without leading zeros")                                             \
	X(PREFIX6, "the prefix length of IPv6 is a number from 0 to 128",                          \
	  "write it as in /64, for a and mx as in //64, without leading zeros")                    \
	X(PREFIX_HERE, "no prefix length may stand here",                                          \
	  "leave it out, or use a, mx, ip4 or "                                                    \
	  "ip6")                                                                                   \
	X(MACRO_PERCENT, "behind '%' must stand '{', '%', '_' or '-'",                             \
	  "write %% for the character itself")                                                     \
	X(MACRO_LETTER, "there is no such macro",                                                  \
	  "letters are s, l, o, d, i, p, v and h; c, r and t in explanations")                     \
	X(MACRO_EXPLANATION, "this macro is for texts of explanations only",                       \
	  "use one of s, l, o, d, i, p, v and h here")                                             \
	X(MACRO_ZERO, "no parts of a macro are nothing", "give a number of at least 1")            \
	X(MACRO_END, "the macro does not end",                                                     \
	  "behind the letter: a number, r, delimiters of .-+,/_= and then '}'")

enum spf_problem {
#define X(code, what, mend) SPF_PROBLEM_##code,
	SPF_PROBLEM_LIST(X)
#undef X
};

/* A problem and its place. */
struct spf_fault {
	enum spf_problem problem;
	struct slice
	        at; /* points into what was parsed; may be empty (something is missing there) */
};

/* Sentences without a full stop. */
const char *spf_problem_what(enum spf_problem problem);
const char *spf_problem_mend(enum spf_problem problem);
/* "MACRO_END": for programs. */
const char *spf_problem_code(enum spf_problem problem);
