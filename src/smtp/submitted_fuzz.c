/* Submitted headers: what is accepted stays accepted, and the same, when it is printed without its
 * unwanted fields; nothing points outside; limits hold. */
#include "smtp/submitted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice block = slice_of(data, MIN(size, (size_t)64 * 1024));
	struct arena arena;
	struct buf printed;
	struct smtp_submitted first, second;
	arena_init(&arena, 4 * MIB);
	buf_init(&printed, 2 * block.n + 64);
	if (is_ok(smtp_submitted_parse(block, &arena, &first))) {
		ASSERT(first.header_size <= block.n && first.from.n > 0);
		ASSERT(first.subject.n <= SMTP_SUBMITTED_SUBJECT_MAX);
		ASSERT(first.references.n <= SMTP_SUBMITTED_REFERENCES_MAX);
		ASSERT(!slice_has_control(first.message_id) && !slice_has_control(first.subject));
		smtp_submitted_print(slice_sub(block, 0, first.header_size), &printed);
		ASSERT(first.has_unwanted || printed.n == first.header_size);
		if (printed.n > 0 &&
		    is_ok(smtp_submitted_parse(buf_slice(&printed), &arena, &second))) {
			ASSERT(!second.has_unwanted && second.from.n == first.from.n);
			ASSERT(second.has_date == first.has_date);
			ASSERT(slice_eq(second.subject, first.subject));
		} else {
			ASSERT(arena_failed(&arena) || first.has_unwanted);
		}
	}
	arena_done(&arena);
	buf_done(&printed);
	return 0;
}
