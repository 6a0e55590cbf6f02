/* Any file: output stays within its limits, and what is unpacked packs and unpacks again. */
#include "report/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define OUT_MAX ((size_t)4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct slice in = slice_of(p, n);
	struct buf out, packed, again;
	buf_init(&out, 2 * OUT_MAX);
	buf_init(&packed, 2 * OUT_MAX);
	buf_init(&again, 2 * OUT_MAX);
	struct status status = unpack(in, OUT_MAX, &out);
	ASSERT(out.n <= OUT_MAX + 64 * KIB);
	if (is_ok(status)) {
		ASSERT(out.n <= OUT_MAX);
		ASSERT(out.n <= UNPACK_RATIO_FREE || out.n / UNPACK_RATIO_MAX <= n);
		if (out.n < 64 * KIB) {
			ASSERT(is_ok(pack_gzip(buf_slice(&out), &packed)));
			ASSERT(is_ok(unpack(buf_slice(&packed), OUT_MAX, &again)));
			ASSERT(slice_eq(buf_slice(&out), buf_slice(&again)));
		}
	}
	buf_done(&again);
	buf_done(&packed);
	buf_done(&out);
	return 0;
}
