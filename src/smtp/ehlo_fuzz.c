/* What EHLO announces: no crash; a keyword alone decides its bit; order of other lines is of no
 * matter to what is announced. */
#include "smtp/ehlo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_ehlo forward = {.extended = true}, printed = {.extended = true};
	struct slice line, rest = slice_of(data, size);
	struct buf text;
	while (rest.n > 0) {
		(void)slice_cut(rest, '\n', &line, &rest);
		smtp_ehlo_line(&forward, line);
	}
	buf_init(&text, 4096);
	smtp_ehlo_print(&forward, &text);
	if (buf_failed(&text) || slice_has_control(buf_slice(&text)))
		BUG("what is announced cannot be printed");
	for (int i = 0; i < SMTP_EXTENSION_COUNT; i++) {
		enum smtp_extension e = (enum smtp_extension)i;
		if (smtp_ehlo_has(&forward, e))
			smtp_ehlo_line(&printed, slice_str(smtp_extension_keyword(e)));
	}
	if (printed.bits != forward.bits)
		BUG("a keyword does not announce its extension");
	if (forward.mechanisms.bits != 0 && !smtp_ehlo_has(&forward, SMTP_EXTENSION_AUTH))
		BUG("mechanisms without AUTH");
	buf_done(&text);
	return 0;
}
