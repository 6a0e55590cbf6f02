/* Mailbox names: what is accepted stays the same when it is normalized again, and keeps the limits.
 */
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct slice name, again;
	arena_init(&arena, 65536);
	if (is_ok(store_name_normalize(slice_of(data, size), &arena, &name))) {
		ASSERT(name.n > 0 && name.n <= STORE_NAME_MAX);
		ASSERT(!slice_has_control(name));
		ASSERT(name.p[0] != '/' && name.p[name.n - 1] != '/');
		ASSERT(is_ok(store_name_normalize(name, &arena, &again)));
		ASSERT(slice_eq(name, again));
	}
	arena_done(&arena);
	return 0;
}
