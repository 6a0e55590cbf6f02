/* BDAT and what may stand between chunks: a session that already has its recipient. */
#include "smtp/session_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char prefix[] = "EHLO x.example\r\nMAIL FROM:<> BODY=BINARYMIME\r\n"
	                             "RCPT TO:<u@example.org>\r\n";
	if (size > 0)
		smtp_session_check(slice_str(prefix), slice_of(data + 1, size - 1),
		                   data[0] % 32 + (size_t)1, false);
	return 0;
}
