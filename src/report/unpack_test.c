/* Compressed reports: sound ones, damaged ones, and bombs. */
#include "report/unpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <zlib.h>

#include <cmocka.h>
#undef fail

#define BUF_MAX ((size_t)256 * 1024 * 1024)

static void check(struct slice bytes, size_t max, enum err code, struct slice expected)
{
	struct buf out;
	buf_init(&out, BUF_MAX);
	buf_add_str(&out, "before ");
	struct status status = unpack(bytes, max, &out);
	assert_int_equal(status.code, code);
	if (is_ok(status)) {
		struct slice written = slice_from(buf_slice(&out), 7);
		assert_true(slice_eq(written, expected));
	}
	assert_true(out.n <= max + 7 + 64 * KIB);
	buf_done(&out);
}

static void pack(struct slice bytes, struct buf *out)
{
	assert_int_equal(pack_gzip(bytes, out).code, ERR_OK);
}

/* --- gzip --- */

static void gzip_files_are_unpacked(void **state)
{
	struct slice text = SLICE("<feedback>some text, some text, some text</feedback>");
	struct buf packed;
	(void)state;
	buf_init(&packed, BUF_MAX);
	check(text, 1000, ERR_OK, text);
	check(SLICE(""), 0, ERR_OK, SLICE(""));
	pack(text, &packed);
	assert_int_equal(unpack_form_of(buf_slice(&packed)), UNPACK_GZIP);
	assert_true(packed.n < text.n + 20);
	check(buf_slice(&packed), 1000, ERR_OK, text);
	check(buf_slice(&packed), text.n, ERR_OK, text);
	check(buf_slice(&packed), text.n - 1, ERR_LIMIT, text);
	/* members follow each other (RFC 1952 section 2.2); padding */
	size_t n = packed.n;
	pack(SLICE("!"), &packed);
	buf_add(&packed, SLICE("\0\0\0"));
	check(buf_slice(&packed), 1000, ERR_OK,
	      SLICE("<feedback>some text, some text, some text</feedback>!"));
	packed.n = n;
	buf_add_byte(&packed, 'x');
	check(buf_slice(&packed), 1000, ERR_SYNTAX, text);
	buf_done(&packed);
}

static void damaged_gzip_files_are_refused(void **state)
{
	struct slice text =
	        SLICE("a text that is long enough to be compressed, compressed, compressed");
	struct buf packed;
	(void)state;
	buf_init(&packed, BUF_MAX);
	pack(text, &packed);
	for (size_t n = 2; n < packed.n; n++)
		check(slice_sub(buf_slice(&packed), 0, n), 1000, ERR_SYNTAX, text);
	for (size_t i = 10; i < packed.n; i++) {
		struct buf out;
		packed.p[i] ^= 0x55;
		buf_init(&out, BUF_MAX);
		assert_int_not_equal(unpack(buf_slice(&packed), 1000, &out).code, ERR_OK);
		buf_done(&out);
		packed.p[i] ^= 0x55;
	}
	check(SLICE("\x1f\x8b"), 1000, ERR_SYNTAX, text);
	check(SLICE("\x1f\x8b\x08\0\0\0\0\0\0\x03rubbish"), 1000, ERR_SYNTAX, text);
	buf_done(&packed);
}

static void bombs_do_not_go_off(void **state)
{
	struct buf zeros, packed, again;
	(void)state;
	buf_init(&zeros, BUF_MAX);
	buf_init(&packed, BUF_MAX);
	buf_init(&again, BUF_MAX);
	memset(buf_reserve(&zeros, 100 * MIB), 0, 100 * MIB);
	buf_commit(&zeros, 100 * MIB);
	pack(buf_slice(&zeros), &packed);
	assert_true(packed.n < 200 * KIB);
	/* by size, by ratio */
	check(buf_slice(&packed), 500 * KIB, ERR_LIMIT, SLICE(""));
	check(buf_slice(&packed), UNPACK_SIZE_MAX, ERR_LIMIT, SLICE(""));
	check(buf_slice(&packed), SIZE_MAX / 2, ERR_LIMIT, SLICE(""));
	/* little output is free of the ratio */
	zeros.n = UNPACK_RATIO_FREE;
	buf_reset(&packed);
	pack(buf_slice(&zeros), &packed);
	check(buf_slice(&packed), UNPACK_SIZE_MAX, ERR_OK, buf_slice(&zeros));
	/* a bomb within is not looked into */
	pack(buf_slice(&packed), &again);
	check(buf_slice(&again), UNPACK_SIZE_MAX, ERR_OK, buf_slice(&packed));
	/* many members */
	buf_reset(&packed);
	for (unsigned i = 0; i < UNPACK_MEMBERS_MAX; i++)
		pack(SLICE("a"), &packed);
	check(buf_slice(&packed), 1000, ERR_OK, SLICE("aaaaaaaaaaaaaaaa"));
	pack(SLICE("a"), &packed);
	check(buf_slice(&packed), 1000, ERR_LIMIT, SLICE(""));
	buf_done(&again);
	buf_done(&packed);
	buf_done(&zeros);
}

static void plain_files_are_bounded(void **state)
{
	(void)state;
	check(SLICE("<x/>"), 4, ERR_OK, SLICE("<x/>"));
	check(SLICE("<x/>"), 3, ERR_LIMIT, SLICE(""));
	check(SLICE("\x1f"), 4, ERR_OK, SLICE("\x1f"));
	check(SLICE("PK\3"), 4, ERR_OK, SLICE("PK\3"));
}

/* --- zip --- */

struct zip {
	struct slice content;
	uint16_t method, flags;
	uint16_t n_entries;
	uint32_t size;   /* as told; 0: the real one */
	bool descriptor; /* sizes and checksum stand behind the bytes only */
	const char *comment;
	struct slice behind; /* the packed bytes */
	uint32_t crc_wrong;
};

static void add_u16(struct buf *out, unsigned value)
{
	buf_add_byte(out, (uint8_t)value);
	buf_add_byte(out, (uint8_t)(value >> 8));
}

static void add_u32(struct buf *out, uint32_t value)
{
	add_u16(out, value & 0xffff);
	add_u16(out, value >> 16);
}

/* Raw deflate: a gzip member without header (10 bytes) and trailer (8). */
static void add_packed(const struct zip *zip, struct buf *out)
{
	struct buf packed;
	if (zip->method != 8) {
		buf_add(out, zip->content);
		return;
	}
	buf_init(&packed, BUF_MAX);
	pack(zip->content, &packed);
	buf_add(out, slice_sub(buf_slice(&packed), 10, packed.n - 18));
	buf_done(&packed);
}

static void make_zip(const struct zip *zip, struct buf *out)
{
	uint32_t crc = (uint32_t)crc32_z(0, zip->content.p, zip->content.n) ^ zip->crc_wrong;
	uint32_t size = zip->size ? zip->size : (uint32_t)zip->content.n;
	struct buf packed;
	buf_init(&packed, BUF_MAX);
	add_packed(zip, &packed);
	buf_add(&packed, zip->behind);
	add_u32(out, 0x04034b50);
	add_u16(out, 20);
	add_u16(out, zip->flags);
	add_u16(out, zip->method);
	add_u32(out, 0);
	add_u32(out, zip->descriptor ? 0 : crc);
	add_u32(out, zip->descriptor ? 0 : (uint32_t)packed.n);
	add_u32(out, zip->descriptor ? 0 : size);
	add_u16(out, 5);
	add_u16(out, 4);
	buf_add_str(out, "../xy");
	buf_add(out, SLICE("ext\0"));
	buf_add(out, buf_slice(&packed));
	size_t central = out->n;
	add_u32(out, 0x02014b50);
	add_u16(out, 20);
	add_u16(out, 20);
	add_u16(out, zip->flags);
	add_u16(out, zip->method);
	add_u32(out, 0);
	add_u32(out, crc);
	add_u32(out, (uint32_t)packed.n);
	add_u32(out, size);
	add_u16(out, 5);
	add_u16(out, 0);
	add_u16(out, 0);
	add_u16(out, 0);
	add_u16(out, 0);
	add_u32(out, 0);
	add_u32(out, 0);
	buf_add_str(out, "../xy");
	size_t central_size = out->n - central;
	const char *comment = zip->comment ? zip->comment : "";
	add_u32(out, 0x06054b50);
	add_u16(out, 0);
	add_u16(out, 0);
	add_u16(out, zip->n_entries);
	add_u16(out, zip->n_entries);
	add_u32(out, (uint32_t)central_size);
	add_u32(out, (uint32_t)central);
	add_u16(out, (unsigned)strlen(comment));
	buf_add_str(out, comment);
	buf_done(&packed);
}

static void check_zip(struct zip zip, size_t max, enum err code)
{
	struct buf file;
	buf_init(&file, BUF_MAX);
	make_zip(&zip, &file);
	assert_int_equal(unpack_form_of(buf_slice(&file)), UNPACK_ZIP);
	check(buf_slice(&file), max, code, zip.content);
	buf_done(&file);
}

#define TEXT SLICE("a text that is long enough to be compressed, compressed, compressed")

static void zip_files_with_one_entry_are_unpacked(void **state)
{
	(void)state;
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 1}, 1000, ERR_OK);
	check_zip((struct zip){.content = TEXT, .method = 0, .n_entries = 1}, 1000, ERR_OK);
	check_zip((struct zip){.content = SLICE(""), .method = 0, .n_entries = 1}, 0, ERR_OK);
	check_zip((struct zip){.content = TEXT,
	                       .method = 8,
	                       .n_entries = 1,
	                       .descriptor = true,
	                       .flags = 8,
	                       .behind = SLICE("")},
	          1000, ERR_OK);
	check_zip((struct zip){.content = TEXT,
	                       .method = 8,
	                       .n_entries = 1,
	                       .comment = "a comment PK\5\6 that looks like an end record"},
	          1000, ERR_OK);
}

static void other_zip_files_are_refused(void **state)
{
	(void)state;
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 2}, 1000,
	          ERR_UNSUPPORTED);
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 0}, 1000,
	          ERR_UNSUPPORTED);
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 1, .flags = 1}, 1000,
	          ERR_UNSUPPORTED);
	check_zip((struct zip){.content = TEXT, .method = 12, .n_entries = 1}, 1000,
	          ERR_UNSUPPORTED);
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 1, .crc_wrong = 1}, 1000,
	          ERR_SYNTAX);
	check_zip((struct zip){.content = TEXT, .method = 0, .n_entries = 1, .crc_wrong = 1}, 1000,
	          ERR_SYNTAX);
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 1, .size = 1}, 1000,
	          ERR_SYNTAX);
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 1, .behind = SLICE("x")},
	          1000, ERR_SYNTAX);
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 1}, 10, ERR_LIMIT);
	check_zip((struct zip){.content = TEXT, .method = 0, .n_entries = 1}, 10, ERR_LIMIT);
	/* the told size is small, the bytes are not */
	check_zip((struct zip){.content = TEXT, .method = 8, .n_entries = 1, .size = 5}, 10,
	          ERR_LIMIT);
	check(SLICE("PK\3\4"), 1000, ERR_SYNTAX, SLICE(""));
	check(SLICE("PK\3\4rubbish that is longer than an end record is"), 1000, ERR_SYNTAX,
	      SLICE(""));
}

static void damaged_zip_files_are_refused(void **state)
{
	struct buf file, out;
	struct zip zip = {.content = TEXT, .method = 8, .n_entries = 1};
	(void)state;
	buf_init(&file, BUF_MAX);
	buf_init(&out, BUF_MAX);
	make_zip(&zip, &file);
	for (size_t n = 4; n < file.n; n++)
		check(slice_sub(buf_slice(&file), 0, n), 1000, ERR_SYNTAX, SLICE(""));
	/* any byte may be wrong: an error, or the same content */
	for (size_t i = 4; i < file.n; i++)
		for (unsigned flip = 1; flip < 256; flip *= 2) {
			file.p[i] ^= (uint8_t)flip;
			buf_reset(&out);
			if (is_ok(unpack(buf_slice(&file), 1000, &out)))
				assert_true(slice_eq(buf_slice(&out), TEXT));
			file.p[i] ^= (uint8_t)flip;
		}
	buf_done(&out);
	buf_done(&file);
}

static void small_buffers_are_an_error(void **state)
{
	struct buf packed, out;
	(void)state;
	buf_init(&packed, BUF_MAX);
	pack(TEXT, &packed);
	for (size_t max = 0; max < 60; max += 10) {
		buf_init(&out, max);
		assert_int_equal(unpack(buf_slice(&packed), 1000, &out).code, ERR_LIMIT);
		buf_done(&out);
	}
	buf_init(&out, 10);
	assert_int_equal(pack_gzip(TEXT, &out).code, ERR_LIMIT);
	buf_done(&out);
	buf_done(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(gzip_files_are_unpacked),
	        cmocka_unit_test(damaged_gzip_files_are_refused),
	        cmocka_unit_test(bombs_do_not_go_off),
	        cmocka_unit_test(plain_files_are_bounded),
	        cmocka_unit_test(zip_files_with_one_entry_are_unpacked),
	        cmocka_unit_test(other_zip_files_are_refused),
	        cmocka_unit_test(damaged_zip_files_are_refused),
	        cmocka_unit_test(small_buffers_are_an_error),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
