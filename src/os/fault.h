/* The second half of a failure that came from the kernel: a status says what failed to the code, a
 * fault says it to a person ("open index.db: Permission denied").
 *
 * Every function of this folder that takes a `ret_fault` accepts NULL there and writes it on
 * failure only.
 */
#pragma once

#include "base/status.h"

#define OS_FAULT_MAX 200 /* bytes of text, NUL included */

struct os_fault {
	int errno_value; /* 0 when the failure was not the kernel's */
	char text[OS_FAULT_MAX];
};

/* Fills the fault (when there is one) with "what name: errno text" and returns fail_errno. `what`
 * is static text; `name` may be NULL; control bytes in it are shown as '?'. */
struct status os_fail(struct os_fault *ret_fault, int errno_value, const char *what,
                      const char *name);
/* The same where no system call failed: the fault's text is "why name". */
struct status os_refuse(struct os_fault *ret_fault, enum err code, const char *why,
                        const char *name);

/* Static text for an errno ("Permission denied"), thread-safe; never NULL. */
const char *os_errno_text(int errno_value);
