/* The first error of the queue is the cause; later ones only say who passed it on. */
#include "tls/openssl_status.h"

#include <openssl/err.h>

struct status tls_openssl_fail(enum err code, const char *why)
{
	unsigned long first = ERR_get_error();
	ERR_clear_error();
	const char *reason = first ? ERR_reason_error_string(first) : NULL;
	return fail(code, reason ? reason : why);
}
