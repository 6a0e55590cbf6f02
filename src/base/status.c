/* Names of the error codes and the mapping from errno. */
#include "base/status.h"

#include <errno.h>

static const char *const err_names[] = {
#define X(code, name) [ERR_##code] = name,
        ERR_LIST(X)
#undef X
};
_Static_assert(N_ELEMENTS(err_names) == ERR_COUNT, "a name for every code");

const char *err_name(enum err code)
{
	return (unsigned)code < ERR_COUNT ? err_names[code] : "unknown";
}

struct status fail_errno(int errno_value, const char *why)
{
	switch (errno_value) {
	case ENOSPC:
	case EDQUOT:
		return fail(ERR_NO_SPACE, why);
	case ENOENT:
		return fail(ERR_NOT_FOUND, why);
	case EEXIST:
		return fail(ERR_EXISTS, why);
	case EACCES:
	case EPERM:
		return fail(ERR_DENIED, why);
	case ETIMEDOUT:
		return fail(ERR_TIMEOUT, why);
	case EPIPE:
	case ECONNRESET:
		return fail(ERR_CLOSED, why);
	default:
		return fail(ERR_IO, why);
	}
}
