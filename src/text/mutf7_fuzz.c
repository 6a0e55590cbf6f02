/* Modified UTF-7: what decodes encodes to the same bytes, and the other way round. */
#include "text/mutf7.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct buf once, twice;
	buf_init(&once, 8 * size + 16);
	buf_init(&twice, 8 * size + 16);
	if (is_ok(text_mutf7_decode(in, &once))) {
		ASSERT(utf8_valid(buf_slice(&once)));
		ASSERT(is_ok(text_mutf7_encode(buf_slice(&once), &twice)));
		ASSERT(slice_eq(buf_slice(&twice), in));
	}
	buf_reset(&once);
	buf_reset(&twice);
	bool valid = utf8_valid(in);
	ASSERT(valid == is_ok(text_mutf7_encode(in, &once)));
	if (valid) {
		ASSERT(is_ok(text_mutf7_decode(buf_slice(&once), &twice)));
		ASSERT(slice_eq(buf_slice(&twice), in));
	}
	buf_done(&once);
	buf_done(&twice);
	return 0;
}
