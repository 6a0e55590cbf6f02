/* The results of authentication methods, by the names that Authentication-Results has for them
 * (RFC 8601 section 2.7). Which of them a method can have is the method's business.
 */
#pragma once

#include "base/slice.h"

/* code, name */
#define MAILAUTH_RESULT_LIST(X)                                                                    \
	X(NONE, "none") /* nothing to check: no record, no signature */                            \
	X(PASS, "pass")                                                                            \
	X(FAIL, "fail")                                                                            \
	X(SOFTFAIL, "softfail")                                                                    \
	X(NEUTRAL, "neutral")                                                                      \
	X(POLICY, "policy")       /* sound, but not what we accept: too short a key, say */        \
	X(TEMPERROR, "temperror") /* could not be found out now; may be later */                   \
	X(PERMERROR, "permerror") /* what was published or written cannot be understood */

enum mailauth_result {
#define X(code, name) MAILAUTH_##code,
	MAILAUTH_RESULT_LIST(X)
#undef X
};

const char *mailauth_result_name(enum mailauth_result result); /* "softfail" */
bool mailauth_result_parse(struct slice name, enum mailauth_result *ret_result);
