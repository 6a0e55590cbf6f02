/* Slices, buffers, arenas, cursors, encodings, hashing and civil time. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/prose.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void slices_never_read_outside(void **state)
{
	(void)state;
	struct slice s = SLICE("hello");
	assert_int_equal(slice_sub(s, 3, 100).n, 2);
	assert_int_equal(slice_sub(s, 100, 1).n, 0);
	assert_int_equal(slice_index(s, 'z'), SIZE_MAX);
	assert_int_equal(slice_rindex(s, 'l'), 3);
	assert_int_equal(slice_find(s, SLICE("lo")), 3);
	assert_non_null(slice_of(NULL, 0).p);
	struct slice head, tail;
	assert_false(slice_cut(s, ':', &head, &tail));
	assert_true(slice_eq(head, s) && tail.n == 0);
	assert_true(slice_cut(SLICE("a:b:c"), ':', &head, &tail));
	assert_true(slice_eq_str(head, "a") && slice_eq_str(tail, "b:c"));
	assert_true(slice_eq_str(slice_trim(SLICE(" \t x y \r\n")), "x y"));
	assert_null(slice_to_cstr(SLICE("a\0b")));
}

static void numbers_are_strict(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "", "+1", "-1", " 1", "1 ", "1a", "18446744073709551616", "101"};
	uint64_t value = 7;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_false(slice_to_u64(slice_str(bad[i]), 100, &value));
	assert_int_equal(value, 7);
	assert_true(slice_to_u64(SLICE("18446744073709551615"), UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	uint8_t room[SLICE_U64_DIGITS];
	assert_true(slice_eq_str(slice_print_u64(0, room), "0"));
	assert_true(slice_eq_str(slice_print_u64(10, room), "10"));
	assert_true(slice_eq_str(slice_print_u64(UINT64_MAX, room), "18446744073709551615"));
}

static void a_buffer_stops_at_its_ceiling(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 8);
	buf_add_str(&buf, "12345");
	buf_add_str(&buf, "6789");
	assert_true(buf_failed(&buf));
	assert_true(slice_eq_str(buf_slice(&buf), "12345"));
	buf_reset(&buf);
	buf_printf(&buf, "%s", "12345678");
	assert_false(buf_failed(&buf));
	buf_reset(&buf);
	buf_add_line_safe(&buf, SLICE("a\rb"));
	assert_true(buf_failed(&buf));
	buf_done(&buf);
	buf_init(&buf, 2000);
	CLEANUP(base_freep) char *big = base_alloc(1001);
	memset(big, 'x', 1000);
	buf_printf(&buf, "%s", big);
	assert_int_equal(buf.n, 1000);
	assert_int_equal(strlen(buf_cstr(&buf)), 1000);
	buf_consume(&buf, 999);
	assert_true(slice_eq_str(buf_slice(&buf), "x"));
	buf_done(&buf);
}

static void an_arena_keeps_its_budget(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 100000);
	for (int i = 0; i < 1000; i++)
		assert_non_null(arena_alloc(&arena, 60));
	assert_null(arena_alloc(&arena, 100000));
	assert_true(arena_failed(&arena));
	assert_null(arena_alloc(&arena, 1));
	arena_reset(&arena);
	assert_false(arena_failed(&arena));
	assert_null(arena_array(&arena, SIZE_MAX / 2, 4));
	arena_reset(&arena);
	assert_string_equal(arena_printf(&arena, "%d-%s", 5, "x"), "5-x");
	assert_null(arena_cstr(&arena, SLICE("a\0b")));
	arena_done(&arena);
	arena_done(&arena);
}

static void a_cursor_fails_once_and_stays(void **state)
{
	(void)state;
	struct cursor c = cursor_of(SLICE("12 ab"));
	assert_int_equal(cursor_u64(&c, 99, "no number"), 12);
	cursor_expect(&c, ' ', "no space");
	assert_true(cursor_skip_text(&c, "AB"));
	assert_true(cursor_at_end(&c) && cursor_ok(&c));
	assert_int_equal(cursor_byte(&c), 0);
	cursor_fail(&c, "later reason");
	assert_string_equal(cursor_status(&c).why, "input ends early");
	assert_int_equal(cursor_take(&c, 0).n, 0);
}

static void base64_is_strict_and_round_trips(void **state)
{
	(void)state;
	static const char *const bad[] = {"A",    "AA",   "AAA",  "A===", "AA=A",
	                                  "AB==", "AAB=", "AA A", "====", "Zg==Zg=="};
	struct buf out;
	buf_init(&out, 1000);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		buf_reset(&out);
		assert_false(is_ok(base64_decode(slice_str(bad[i]), &out)));
	}
	static const char *const vectors[][2] = {
	        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
	        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}};
	for (size_t i = 0; i < N_ELEMENTS(vectors); i++) { /* RFC 4648 section 10 */
		buf_reset(&out);
		base64_encode(slice_str(vectors[i][0]), &out);
		assert_true(slice_eq_str(buf_slice(&out), vectors[i][1]));
		buf_reset(&out);
		assert_true(is_ok(base64_decode(slice_str(vectors[i][1]), &out)));
		assert_true(slice_eq_str(buf_slice(&out), vectors[i][0]));
	}
	buf_reset(&out);
	xtext_encode(SLICE("a+b=c d"), &out);
	assert_true(slice_eq_str(buf_slice(&out), "a+2Bb+3Dc+20d"));
	buf_reset(&out);
	assert_true(is_ok(xtext_decode(SLICE("a+2Bb"), &out)));
	assert_true(slice_eq_str(buf_slice(&out), "a+b"));
	assert_false(is_ok(xtext_decode(SLICE("a+2"), &out)));
	assert_false(is_ok(xtext_decode(SLICE("a+2b"), &out)));
	assert_false(is_ok(hex_decode(SLICE("abc"), &out)));
	buf_done(&out);
}

static void siphash_matches_its_paper(void **state)
{
	(void)state;
	uint8_t bytes[15];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	struct hash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
	assert_true(hash_slice(key, slice_of(bytes, sizeof(bytes))) == 0xa129ca6149be45e5u);
}

static void civil_time_round_trips(void **state)
{
	(void)state;
	static const int64_t times[] = {0,  951782400, 951868799, 1792592000,
	                                -1, -86400,    4102444800};
	for (size_t i = 0; i < N_ELEMENTS(times); i++) {
		struct civil_time civil = civil_from_unix(times[i]);
		assert_true(civil_to_unix(&civil) == times[i]);
	}
	struct civil_time leap = civil_from_unix(951782400);
	assert_int_equal(leap.month, 2);
	assert_int_equal(leap.day, 29);
	assert_int_equal(leap.weekday, 2);
}

static void secrets_compare_by_all_bytes(void **state)
{
	(void)state;
	assert_true(slice_eq_secret(SLICE("abc"), SLICE("abc")));
	assert_false(slice_eq_secret(SLICE("abc"), SLICE("abd")));
	assert_false(slice_eq_secret(SLICE("abc"), SLICE("ab")));
	assert_false(slice_eq_secret(SLICE(""), SLICE("ab")));
	assert_int_equal(fail_errno(ENOSPC, "x").code, ERR_NO_SPACE);
}

static void sentences_are_wrapped(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 10000);
	prose_wrap(SLICE("one two three verylongword four"), 2, 12, &out);
	assert_string_equal(buf_cstr(&out), "  one two\n  three\n  verylongword\n  four\n");
	buf_done(&out);
}

static void roff_is_escaped(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 1000);
	prose_roff(".a\\b-c\n'd.\n", &out);
	assert_string_equal(buf_cstr(&out), "\\&.a\\eb\\-c\n\\&'d.\n");
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(slices_never_read_outside),
	        cmocka_unit_test(numbers_are_strict),
	        cmocka_unit_test(a_buffer_stops_at_its_ceiling),
	        cmocka_unit_test(an_arena_keeps_its_budget),
	        cmocka_unit_test(a_cursor_fails_once_and_stays),
	        cmocka_unit_test(base64_is_strict_and_round_trips),
	        cmocka_unit_test(siphash_matches_its_paper),
	        cmocka_unit_test(civil_time_round_trips),
	        cmocka_unit_test(secrets_compare_by_all_bytes),
	        cmocka_unit_test(sentences_are_wrapped),
	        cmocka_unit_test(roff_is_escaped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
