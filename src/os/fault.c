/* Failures of the kernel in words. */
#include "os/fault.h"

#include <stdio.h>

const char *os_errno_text(int errno_value)
{
	const char *text = strerrordesc_np(errno_value);
	return text ? text : "unknown error";
}

static void hide_control(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

struct status os_fail(struct os_fault *ret_fault, int errno_value, const char *what,
                      const char *name)
{
	if (ret_fault) {
		ret_fault->errno_value = errno_value;
		snprintf(ret_fault->text, sizeof(ret_fault->text), "%s%s%s: %s", what,
		         name ? " " : "", name ? name : "", os_errno_text(errno_value));
		hide_control(ret_fault->text);
	}
	return fail_errno(errno_value, what);
}

struct status os_refuse(struct os_fault *ret_fault, enum err code, const char *why,
                        const char *name)
{
	if (ret_fault) {
		ret_fault->errno_value = 0;
		snprintf(ret_fault->text, sizeof(ret_fault->text), "%s%s%s", why, name ? " " : "",
		         name ? name : "");
		hide_control(ret_fault->text);
	}
	return fail(code, why);
}
