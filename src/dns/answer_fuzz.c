/* A packed answer from another room: it is refused, or it is what unpacking its packing gives. */
#include "dns/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	const struct dns_answer *answer, *back;
	struct buf packed, again;
	arena_init(&arena, 2 * DNS_ANSWER_ARENA);
	buf_init(&packed, DNS_PACKED_MAX);
	buf_init(&again, DNS_PACKED_MAX);
	if (is_ok(dns_answer_unpack(slice_of(data, size), &arena, &answer)) &&
	    is_ok(dns_answer_pack(answer, &packed))) {
		struct status status = dns_answer_unpack(buf_slice(&packed), &arena, &back);
		ASSERT(is_ok(status) || arena_failed(&arena));
		if (is_ok(status)) {
			ASSERT(is_ok(dns_answer_pack(back, &again)));
			ASSERT(slice_eq(buf_slice(&packed), buf_slice(&again)));
		}
	}
	buf_done(&packed);
	buf_done(&again);
	arena_done(&arena);
	return 0;
}
