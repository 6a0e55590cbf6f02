/* A whole reception session. The first octet chooses the size of reads and if TLS is offered. */
#include "smtp/session_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		smtp_session_check(slice_empty(), slice_of(data + 1, size - 1),
		                   data[0] % 32 + (size_t)1, data[0] >= 128);
	return 0;
}
