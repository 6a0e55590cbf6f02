/* Pages of entries: what is written is read back; anything else is refused. */
#include "store/expunged.h"
#include "store/page.h"
#include "store/store_testing.h"

#include <xxhash.h>

static uint64_t next_random(uint64_t *x)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return *x >> 20 ^ *x << 30;
}

/* n entries with values of up to `bits` bits. */
static void make_entries(uint32_t page_no, struct store_entry *entries, size_t n, unsigned bits,
                         uint64_t seed)
{
	uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	size_t free_uids = PAGE_ENTRIES - n;
	uint32_t uid = page_first_uid(page_no);
	for (size_t i = 0; i < n; i++) {
		size_t skip =
		        next_random(&seed) % 3 == 0 ? next_random(&seed) % (free_uids + 1) : 0;
		free_uids -= skip;
		uid += (uint32_t)skip;
		entries[i].uid.v = uid++;
		entries[i].message.v = (int64_t)(next_random(&seed) & mask & INT64_MAX);
		entries[i].message.v += entries[i].message.v == 0;
		entries[i].flags = next_random(&seed) & mask;
		entries[i].modseq = next_random(&seed) & mask;
		entries[i].size = next_random(&seed) & mask;
		entries[i].received_at = (int64_t)(next_random(&seed) & mask);
		entries[i].saved_at = -(int64_t)(next_random(&seed) & mask);
	}
}

/* The page after the last of these ends with UID 2^32 - 1, one short. */
static const uint32_t page_numbers[] = {0, 1, 77, (1u << 24) - 2};

static void pages_come_back_as_they_were(void **state)
{
	static const size_t counts[] = {1, 2, 3, 100, 255, 256};
	struct store_entry in[PAGE_ENTRIES], out[PAGE_ENTRIES];
	uint8_t bytes[PAGE_SIZE_MAX];
	(void)state;
	memset(in, 0, sizeof(in));
	memset(out, 0, sizeof(out));
	for (size_t p = 0; p < N_ELEMENTS(page_numbers); p++)
		for (size_t c = 0; c < N_ELEMENTS(counts); c++)
			for (unsigned bits = 0; bits <= 64; bits++) {
				size_t n = 0;
				make_entries(page_numbers[p], in, counts[c], bits, bits + c);
				size_t size = page_encode(page_numbers[p], in, counts[c], bytes);
				assert_true(size <= PAGE_SIZE_MAX);
				assert_ok(page_count(slice_of(bytes, size), &n));
				assert_int_equal(n, counts[c]);
				assert_ok(page_decode(page_numbers[p], slice_of(bytes, size), out,
				                      n));
				assert_memory_equal(in, out, n * sizeof(in[0]));
			}
}

static void a_run_costs_little(void **state)
{
	struct store_entry in[PAGE_ENTRIES];
	uint8_t bytes[PAGE_SIZE_MAX];
	(void)state;
	memset(in, 0, sizeof(in));
	for (uint32_t i = 0; i < PAGE_ENTRIES; i++) {
		in[i].uid.v = 257 + i;
		in[i].message.v = 100000 + (int64_t)i;
		in[i].modseq = 200000 + i;
		in[i].size = 4000 + i * 7;
		in[i].received_at = in[i].saved_at = 1700000000 + (int64_t)i;
	}
	assert_true(page_encode(1, in, PAGE_ENTRIES, bytes) < 256 * 8);
}

static void damaged_pages_are_refused(void **state)
{
	struct store_entry in[5], out[PAGE_ENTRIES];
	uint8_t bytes[PAGE_SIZE_MAX + 1];
	size_t n = 0;
	(void)state;
	make_entries(1, in, 5, 20, 1);
	size_t size = page_encode(1, in, 5, bytes);
	for (size_t i = 0; i < size; i++)
		for (int bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1 << bit);
			struct status status = page_count(slice_of(bytes, size), &n);
			if (is_ok(status))
				status = page_decode(1, slice_of(bytes, size), out, n);
			assert_err(status, ERR_CORRUPT);
			bytes[i] ^= (uint8_t)(1 << bit);
		}
	for (size_t cut = 0; cut < size; cut++) {
		struct status status = page_count(slice_of(bytes, cut), &n);
		if (is_ok(status))
			status = page_decode(1, slice_of(bytes, cut), out, n);
		assert_err(status, ERR_CORRUPT);
	}
	assert_err(page_decode(1, slice_of(bytes, size), out, 4), ERR_CORRUPT);
	assert_ok(page_decode(1, slice_of(bytes, size), out, 5));
}

/* With a right checksum, so that the checks behind it are reached. */
static struct status decode_sealed(uint8_t *bytes, size_t size)
{
	struct store_entry out[PAGE_ENTRIES];
	size_t n = 0;
	uint64_t sum = XXH3_64bits(bytes, size - 8);
	memcpy(bytes + size - 8, &sum, 8);
	TRY(page_count(slice_of(bytes, size), &n));
	return page_decode(1, slice_of(bytes, size), out, n);
}

static void pages_that_contradict_themselves_are_refused(void **state)
{
	/* version, count - 1, then seven columns of constants: uid as distance from 257 */
	static const uint8_t good[] = {1, 0, 0x10, 0, 0x10, 2, 0, 0, 0, 0, 0};
	static const struct {
		const char *what;
		uint8_t bytes[16];
		size_t n;
	} bad[] = {
	        {"version", {2, 0, 0x10, 0, 0x10, 2, 0, 0, 0, 0, 0}, 11},
	        {"message 0", {1, 0, 0x10, 0, 0x10, 0, 0, 0, 0, 0, 0}, 11},
	        {"message < 0", {1, 0, 0x10, 0, 0x10, 1, 0, 0, 0, 0, 0}, 11},
	        {"uid before the page", {1, 0, 0x10, 1, 0x10, 2, 0, 0, 0, 0, 0}, 11},
	        {"uid after the page", {1, 0, 0x20, 0, 2, 0x10, 2, 0, 0, 0, 0, 0}, 12},
	        {"uid 2^32 on", {1, 0, 0x50, 0, 0, 0, 0, 2, 0x10, 2, 0, 0, 0, 0, 0}, 15},
	        {"width 9", {1, 0, 0x10, 0, 0x10, 2, 0x09, 0, 0, 0, 0}, 11},
	        {"base of 9 bytes", {1, 0, 0x10, 0, 0x10, 2, 0x90, 0, 0, 0, 0}, 11},
	        {"a byte too many", {1, 0, 0x10, 0, 0x10, 2, 0, 0, 0, 0, 0, 0}, 12},
	        {"a byte too few", {1, 0, 0x10, 0, 0x10, 2, 0, 0, 0, 0x10}, 10},
	        {"uids not ascending", {1, 1, 0x11, 0, 1, 0, 0x10, 2, 0, 0, 0, 0, 0}, 13},
	        {"uid twice", {1, 1, 0x11, 1, 2, 1, 0x10, 2, 0, 0, 0, 0, 0}, 13},
	};
	uint8_t bytes[32];
	(void)state;
	memcpy(bytes, good, sizeof(good));
	assert_ok(decode_sealed(bytes, sizeof(good) + 8));
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		memcpy(bytes, bad[i].bytes, bad[i].n);
		struct status status = decode_sealed(bytes, bad[i].n + 8);
		if (status.code != ERR_CORRUPT)
			print_error("accepted: %s\n", bad[i].what);
		assert_err(status, ERR_CORRUPT);
	}
}

static void packed_uids_come_back(void **state)
{
	static const uint32_t uids[] = {1, 2, 3, 7, 130, 131, 20000, 4294967294, 4294967295};
	struct store_uid in[N_ELEMENTS(uids)], out[N_ELEMENTS(uids)];
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(uids); i++)
		in[i].v = uids[i];
	for (size_t n = 1; n <= N_ELEMENTS(uids); n++) {
		size_t size = 0;
		CLEANUP(base_freep) uint8_t *bytes = expunged_pack(in, n, &size);
		assert_ok(expunged_unpack(slice_of(bytes, size), out, n));
		assert_memory_equal(in, out, n * sizeof(in[0]));
		assert_err(expunged_unpack(slice_of(bytes, size), out, n - 1), ERR_CORRUPT);
		assert_err(expunged_unpack(slice_of(bytes, size - 1), out, n), ERR_CORRUPT);
	}
}

static void broken_packed_uids_are_refused(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t size, n;
	} bad[] = {
	        {{0, 0}, 2, 1},
	        {{1}, 1, 1},
	        {{1, 1}, 2, 1},
	        {{1, 0}, 2, 2},
	        {{1, 0, 0, 0}, 4, 2},
	        {{0x80}, 1, 1},
	        {{0x80, 0x80, 0x80, 0x80, 0x80, 0}, 6, 1},
	        {{0xff, 0xff, 0xff, 0xff, 0x0f, 1}, 6, 2},
	        {{0xff, 0xff, 0xff, 0xff, 0x1f, 0}, 6, 1},
	        {{1, 0xff, 0xff, 0xff, 0xff, 0x7f}, 6, 4},
	};
	struct store_uid out[4];
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_err(expunged_unpack(slice_of(bad[i].bytes, bad[i].size), out, bad[i].n),
		           ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pages_come_back_as_they_were),
	        cmocka_unit_test(a_run_costs_little),
	        cmocka_unit_test(damaged_pages_are_refused),
	        cmocka_unit_test(pages_that_contradict_themselves_are_refused),
	        cmocka_unit_test(packed_uids_come_back),
	        cmocka_unit_test(broken_packed_uids_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
