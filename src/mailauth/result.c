/* Names of results. */
#include "mailauth/result.h"

#define X(code, name) [MAILAUTH_##code] = name,
static const char *const names[] = {MAILAUTH_RESULT_LIST(X)};
#undef X

const char *mailauth_result_name(enum mailauth_result result)
{
	return (size_t)result < N_ELEMENTS(names) ? names[result] : "";
}

bool mailauth_result_parse(struct slice name, enum mailauth_result *ret_result)
{
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (slice_ieq_str(name, names[i])) {
			*ret_result = (enum mailauth_result)i;
			return true;
		}
	return false;
}
