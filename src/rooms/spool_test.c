/* The gate's spool: bytes come back whole across the move from memory to a file. */
#include "rooms/spool.h"

#include "os/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 31 + offset / 251);
}

static void write_in_pieces(struct spool *spool, uint64_t size, size_t piece)
{
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(piece);
	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)MIN(size - at, (uint64_t)piece);
		for (size_t i = 0; i < n; i++)
			bytes[i] = byte_at(at + i);
		assert_true(is_ok(spool_write(spool, slice_of(bytes, n))));
		at += n;
	}
}

static void assert_whole(struct spool *spool, uint64_t size)
{
	int fd;
	uint64_t there;
	CLEANUP(base_freep) uint8_t *bytes = base_alloc((size_t)size);
	assert_true(is_ok(spool_finish(spool, &fd)));
	assert_int_equal(spool->size, size);
	assert_true(is_ok(fd_size(fd, &there)));
	assert_int_equal(there, size);
	assert_true(is_ok(fd_pread_all(fd, bytes, (size_t)size, 0, NULL)));
	for (uint64_t i = 0; i < size; i++)
		if (bytes[i] != byte_at(i))
			fail_msg("byte %" PRIu64 " of %" PRIu64 " differs", i, size);
}

static void bytes_come_back_whole(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {0,
	                                 1,
	                                 SPOOL_BUFFER_SIZE - 1,
	                                 SPOOL_BUFFER_SIZE,
	                                 SPOOL_BUFFER_SIZE + 1,
	                                 SPOOL_MEMORY_MAX - 1,
	                                 SPOOL_MEMORY_MAX,
	                                 SPOOL_MEMORY_MAX + 1,
	                                 3 * SPOOL_MEMORY_MAX + 7};
	static const size_t pieces[] = {997, 4096, SPOOL_BUFFER_SIZE, SPOOL_BUFFER_SIZE + 3,
	                                1 << 20};
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		for (size_t j = 0; j < N_ELEMENTS(pieces); j++) {
			struct spool spool;
			spool_init(&spool);
			write_in_pieces(&spool, sizes[i], pieces[j]);
			assert_whole(&spool, sizes[i]);
			assert_int_equal(spool.in_file, sizes[i] > SPOOL_MEMORY_MAX);
			spool_done(&spool);
		}
	}
}

static void a_reset_spool_starts_afresh(void **state)
{
	(void)state;
	struct spool spool;
	spool_init(&spool);
	write_in_pieces(&spool, 2 * SPOOL_MEMORY_MAX, 5000);
	spool_reset(&spool);
	write_in_pieces(&spool, 100, 7);
	assert_whole(&spool, 100);
	assert_false(spool.in_file);
	spool_done(&spool);
	spool_done(&spool);
}

int main(void)
{
	char directory[] = "/tmp/mailkeep-spool-XXXXXX";
	if (!mkdtemp(directory) || chdir(directory) < 0)
		return 1;
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bytes_come_back_whole),
	        cmocka_unit_test(a_reset_spool_starts_afresh),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
