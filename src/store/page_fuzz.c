/* What stands in the index's packed columns: pages of entries and rows of the expunged log. A page
 * that is accepted is what its own entries are written as, read again. */
#include "store/expunged.h"
#include "store/page.h"

#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX ((size_t)16384)

static void check_page(const uint8_t *data, size_t size)
{
	static uint8_t sealed[INPUT_MAX + 8], again[PAGE_SIZE_MAX];
	struct store_entry entries[PAGE_ENTRIES], same[PAGE_ENTRIES];
	size_t n = 0;
	uint32_t page_no = size % 5 ? (uint32_t)size : 0;
	memcpy(sealed, data, size);
	uint64_t sum = XXH3_64bits(data, size);
	memcpy(sealed + size, &sum, 8);
	memset(entries, 0, sizeof(entries));
	memset(same, 0, sizeof(same));
	struct slice bytes = slice_of(sealed, size + 8);
	if (!is_ok(page_count(bytes, &n)) || !is_ok(page_decode(page_no, bytes, entries, n)))
		return;
	size_t n_again = page_encode(page_no, entries, n, again);
	ASSERT(is_ok(page_decode(page_no, slice_of(again, n_again), same, n)));
	ASSERT(memcmp(entries, same, n * sizeof(same[0])) == 0);
}

static void check_log(const uint8_t *data, size_t size)
{
	struct store_uid uids[1024], same[1024];
	size_t n = data[0] % 200 + 1u, n_again = 0;
	if (!is_ok(expunged_unpack(slice_of(data + 1, size - 1), uids, n)))
		return;
	for (size_t i = 1; i < n; i++)
		ASSERT(uids[i].v > uids[i - 1].v);
	uint8_t *again = expunged_pack(uids, n, &n_again);
	ASSERT(is_ok(expunged_unpack(slice_of(again, n_again), same, n)));
	ASSERT(memcmp(uids, same, n * sizeof(same[0])) == 0);
	base_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > INPUT_MAX)
		return 0;
	check_page(data, size);
	check_log(data, size);
	return 0;
}
