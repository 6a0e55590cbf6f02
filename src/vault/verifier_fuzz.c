/* What is read prints as it was read. */
#include "vault/verifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verifier verifier;
	struct buf text;
	if (!is_ok(verifier_parse(slice_of(data, size), &verifier)))
		return 0;
	buf_init(&text, VERIFIER_TEXT_MAX);
	verifier_print(&verifier, &text);
	if (buf_failed(&text))
		BUG("a verifier is longer than its limit");
	/* Numbers may have been written with leading zeros; from then on nothing changes. */
	struct verifier again;
	struct buf text_again;
	buf_init(&text_again, VERIFIER_TEXT_MAX);
	if (!is_ok(verifier_parse(buf_slice(&text), &again)))
		BUG("what is printed cannot be read");
	verifier_print(&again, &text_again);
	if (!slice_eq(buf_slice(&text), buf_slice(&text_again)))
		BUG("a verifier changes when it is printed");
	buf_done(&text_again);
	buf_done(&text);
	return 0;
}
