/* The header scanner: the same counts at any split, within the input. */
#include "smtp/header_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_header_scan whole, split;
	if (size == 0)
		return 0;
	struct slice in = slice_of(data + 1, size - 1);
	size_t chunk = data[0] % 16 + (size_t)1;
	smtp_header_scan_init(&whole);
	smtp_header_scan_feed(&whole, in);
	smtp_header_scan_init(&split);
	for (size_t at = 0; at < in.n; at += chunk)
		smtp_header_scan_feed(&split, slice_sub(in, at, chunk));
	ASSERT(whole.size == split.size && whole.size <= in.n);
	ASSERT(whole.n_fields == split.n_fields && whole.n_received == split.n_received);
	ASSERT(whole.n_received <= whole.n_fields && whole.has_8bit == split.has_8bit);
	ASSERT(smtp_header_scan_ended(&whole) == smtp_header_scan_ended(&split));
	ASSERT(smtp_header_scan_ended(&whole) || whole.size == in.n);
	return 0;
}
