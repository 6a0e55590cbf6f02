/* Structures of messages: trees, offsets, envelopes, limits; each at every split of the input. */
#include "message/dump.h"
#include "message/part.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BUDGET ((size_t)64 * 1024 * 1024)

static void dump(struct slice message, size_t split, struct buf *out, unsigned *ret_defects)
{
	CLEANUP(arena_done) struct arena arena = {.budget = BUDGET};
	struct message_parser *parser = message_parser_new(&arena);
	struct message_part *root;
	message_parser_feed(parser, slice_sub(message, 0, split));
	message_parser_feed(parser, slice_from(message, split));
	assert_true(is_ok(message_parser_finish(parser, &root, ret_defects)));
	buf_reset(out);
	message_dump(root, out);
	buf_printf(out, "defects %x\n", *ret_defects);
}

static void dump_bytewise(struct slice message, struct buf *out)
{
	CLEANUP(arena_done) struct arena arena = {.budget = BUDGET};
	struct message_parser *parser = message_parser_new(&arena);
	struct message_part *root;
	unsigned defects;
	for (size_t i = 0; i < message.n; i++)
		message_parser_feed(parser, slice_sub(message, i, 1));
	assert_true(is_ok(message_parser_finish(parser, &root, &defects)));
	buf_reset(out);
	message_dump(root, out);
	buf_printf(out, "defects %x\n", defects);
}

#define TEXT     "Content-Type: text/plain\r\n"
#define MIXED(b) "Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"

static const struct {
	const char *message, *expect;
	unsigned defects;
} cases[] = {
        {"", "text/plain 0+0 0+0 lines 0+0 {0}\n", MESSAGE_DEFECT_NO_HEADER_END},
        {"\r\n", "text/plain 0+2 2+0 lines 1+0 {0}\n", 0},
        {"A: b\r\n\r\nhello\r\n", "text/plain 0+8 8+7 lines 2+1 {0}\n", 0},
        {"A: b\n\nhello\n", "text/plain 0+6 6+6 lines 2+1 {0}\n", MESSAGE_DEFECT_BARE_LF},
        {"A: b", "text/plain 0+4 4+0 lines 0+0 {0}\n", MESSAGE_DEFECT_NO_HEADER_END},
        {"Subject: x", "text/plain 0+10 10+0 lines 0+0 {0 subject=x}\n",
         MESSAGE_DEFECT_NO_HEADER_END},
        {"no field\r\n\r\nx", "text/plain 0+12 12+1 lines 2+0 {0}\n", MESSAGE_DEFECT_BAD_FIELD},
        {"A: b\r\n\r\na\rb\0c", "text/plain 0+8 8+3 lines 2+0 {0}\n", MESSAGE_DEFECT_BARE_CR},
        {"S\xc3: b\r\n\r\n", "text/plain 0+9 9+0 lines 2+0 {0}\n",
         MESSAGE_DEFECT_8BIT_HEADER | MESSAGE_DEFECT_BAD_FIELD},
        /* envelope */
        {"From: a@b\r\nTo: c@d,\r\n e@f\r\nSubject : Hello\r\n\tWorld \r\nsubject:\r\nDATE:1\r\n"
         "Message-ID: <x>\r\nIn-Reply-To: <y>\r\nTo: g@h\r\nCc:\r\n\r\n",
         "text/plain 0+122 122+0 lines 12+0 {1 date=1 subject= from=[a@b] to=[c@d][e@f][g@h] cc= "
         "in-reply-to=<y> message-id=<x>}\n",
         0},
        /* parameters and the fields of a leaf */
        {"Content-Type: TEXT/Html; charset=\"x\\\"y\"; name*0*=utf-8''%C3%A4;\r\n name*1=b\r\n"
         "Content-Transfer-Encoding: Base64 (comment)\r\nContent-ID: <i>\r\n"
         "Content-Description: d e\r\nContent-MD5: m\r\nContent-Location: l\r\n"
         "Content-Language: de, en-GB\r\nContent-Disposition: ATTACHMENT; FileName=f\r\n\r\n",
         "text/html;charset=x\"y;name*=\xc3\xa4"
         "b<utf-8''%C3%A4b> 0+277 277+0 lines 10+0 encoding=Base64 id=<i> description=d e md5=m "
         "location=l disposition=attachment;filename=f language=de language=en-GB {0}\n",
         0},
        {"Content-Type: nonsense; charset=x\r\n\r\n",
         "text/plain;charset=x 0+37 37+0 lines 2+0 {0}\n", MESSAGE_DEFECT_BAD_CONTENT_TYPE},
        /* multiparts */
        {MIXED("b") "pre\r\n--b\r\n" TEXT "\r\none\r\n--b\r\n\r\ntwo\r\nlines\r\n--b--\r\nepi\r\n",
         "multi multipart/mixed;boundary=b 0+45 45+74 lines 2+11 {0}\n"
         " text/plain 55+28 83+3 lines 2+0\n"
         " text/plain 93+2 95+10 lines 1+1\n",
         0},
        {MIXED("b") "--b\r\n\r\n--b\r\n--b--",
         "multi multipart/mixed;boundary=b 0+45 45+17 lines 2+3 {0}\n"
         " text/plain 50+2 52+0 lines 1+0\n"
         " text/plain 57+0 57+0 lines 0+0\n",
         MESSAGE_DEFECT_NO_HEADER_END},
        {MIXED("b") "no parts\r\n", "multi multipart/mixed;boundary=b 0+45 45+10 lines 2+1 {0}\n",
         MESSAGE_DEFECT_UNCLOSED},
        {MIXED("b") "--b\r\nA: b\r\n\r\nx\r\n",
         "multi multipart/mixed;boundary=b 0+45 45+16 lines 2+4 {0}\n"
         " text/plain 50+8 58+3 lines 2+1\n",
         MESSAGE_DEFECT_UNCLOSED},
        {"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
         "multipart/mixed 0+33 33+17 lines 2+4 {0}\n", MESSAGE_DEFECT_NO_BOUNDARY},
        {"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n",
         "multipart/mixed;boundary= 0+46 46+4 lines 2+1 {0}\n", MESSAGE_DEFECT_NO_BOUNDARY},
        /* a boundary line with more behind it, dashes that are none, a mere beginning */
        {MIXED("bb") "--bb \t\r\n\r\n-\r\n--\r\n--b\r\n--bbx\r\n\r\ny\r\n--bb-- \r\n",
         "multi multipart/mixed;boundary=bb 0+46 46+43 lines 2+9 {0}\n"
         " text/plain 54+2 56+10 lines 1+2\n"
         " text/plain 75+2 77+1 lines 1+0\n",
         0},
        /* nested, the inner boundary begins like the outer */
        {MIXED("b") "--b\r\n" MIXED("b1") "--b1\r\n\r\nx\r\n--b1--\r\n--b\r\n\r\ny\r\n--b--\r\n",
         "multi multipart/mixed;boundary=b 0+45 45+87 lines 2+11 {0}\n"
         " multi multipart/mixed;boundary=b1 50+46 96+17 lines 2+3\n"
         "  text/plain 102+2 104+1 lines 1+0\n"
         " text/plain 120+2 122+1 lines 1+0\n",
         0},
        /* the same boundary twice: the inner one first */
        {MIXED("b") "--b\r\n" MIXED("b") "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n--b--\r\n",
         "multi multipart/mixed;boundary=b 0+45 45+84 lines 2+11 {0}\n"
         " multi multipart/mixed;boundary=b 50+45 95+15 lines 2+3\n"
         "  text/plain 100+2 102+1 lines 1+0\n"
         " text/plain 117+2 119+1 lines 1+0\n",
         0},
        /* the outer boundary ends inner parts that were not closed; inside of a header too */
        {MIXED("b") "--b\r\n" MIXED("c") "--c\r\n\r\nx\r\n--b--\r\n",
         "multi multipart/mixed;boundary=b 0+45 45+67 lines 2+7 {0}\n"
         " multi multipart/mixed;boundary=c 50+45 95+8 lines 2+2\n"
         "  text/plain 100+2 102+1 lines 1+0\n",
         MESSAGE_DEFECT_UNCLOSED},
        {MIXED("b") "--b\r\nSubject: x\r\n--b\r\n" TEXT "--b--\r\n",
         "multi multipart/mixed;boundary=b 0+45 45+55 lines 2+5 {0}\n"
         " text/plain 50+12 62+0 lines 1+0\n"
         " text/plain 67+26 93+0 lines 1+0\n",
         MESSAGE_DEFECT_NO_HEADER_END},
        /* messages inside */
        {"Content-Type: message/rfc822\r\n\r\nFrom: x@y\r\n\r\nhello\r\n",
         "inner message/rfc822 0+32 32+20 lines 2+3 {0}\n"
         " text/plain 32+13 45+7 lines 2+1 {1 from=[x@y]}\n",
         0},
        {"Content-Type: message/GLOBAL\r\n\r\n\r\n",
         "inner message/global 0+32 32+2 lines 2+1 {0}\n"
         " text/plain 32+2 34+0 lines 1+0 {0}\n",
         0},
        {"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: BASE64\r\n\r\nQQ==\r\n",
         "message/rfc822 0+67 67+6 lines 3+1 encoding=BASE64 {0}\n", 0},
        {"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: "
         "s\r\n\r\nx\r\n--b\r\n" TEXT "\r\ny\r\n--b--\r\n",
         "multi multipart/digest;boundary=b 0+46 46+67 lines 2+10 {0}\n"
         " inner message/rfc822 51+2 53+15 lines 1+2\n"
         "  text/plain 53+14 67+1 lines 2+0 {0 subject=s}\n"
         " text/plain 75+28 103+1 lines 2+0\n",
         0},
        {MIXED("b") "--b\r\nContent-Type: message/rfc822\r\n\r\n" MIXED(
                 "c") "--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
         "multi multipart/mixed;boundary=b 0+45 45+106 lines 2+10 {0}\n"
         " inner message/rfc822 50+32 82+60 lines 2+5\n"
         "  multi multipart/mixed;boundary=c 82+45 127+15 lines 2+3 {0}\n"
         "   text/plain 132+2 134+1 lines 1+0\n",
         0},
        {MIXED("b") "--b\r\nContent-Type: message/rfc822\r\n\r\n--b--\r\n",
         "multi multipart/mixed;boundary=b 0+45 45+44 lines 2+4 {0}\n"
         " inner message/rfc822 50+32 82+0 lines 2+0\n"
         "  text/plain 82+0 82+0 lines 0+0 {0}\n",
         MESSAGE_DEFECT_NO_HEADER_END},
};

static void every_structure_is_found_at_every_split(void **state)
{
	(void)state;
	struct buf whole, split;
	buf_init(&whole, 100000);
	buf_init(&split, 100000);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice message = slice_str(cases[i].message);
		unsigned defects;
		dump(message, message.n, &whole, &defects);
		CLEANUP(base_freep) char *expect = base_alloc(10000);
		snprintf(expect, 10000, "%sdefects %x\n", cases[i].expect, cases[i].defects);
		if (strcmp(buf_cstr(&whole), expect) != 0)
			print_error("case %zu: %s\n", i, cases[i].message);
		assert_string_equal(buf_cstr(&whole), expect);
		for (size_t at = 0; at <= message.n; at++) {
			dump(message, at, &split, &defects);
			assert_string_equal(buf_cstr(&split), buf_cstr(&whole));
		}
		dump_bytewise(message, &split);
		assert_string_equal(buf_cstr(&split), buf_cstr(&whole));
	}
	buf_done(&whole);
	buf_done(&split);
}

static void nul_is_noted(void **state)
{
	(void)state;
	struct buf out;
	unsigned defects;
	buf_init(&out, 1000);
	dump(SLICE("A: b\r\n\r\na\0b"), 0, &out, &defects);
	assert_int_equal(defects, MESSAGE_DEFECT_NUL);
	buf_done(&out);
}

static void parse(struct buf *message, struct arena *arena, struct message_part **ret_root,
                  unsigned *ret_defects)
{
	assert_false(buf_failed(message));
	assert_true(is_ok(message_parse(buf_slice(message), arena, ret_root, ret_defects)));
}

static void parts_stop_at_their_limit(void **state)
{
	(void)state;
	struct buf message;
	buf_init(&message, 1000000);
	buf_add_str(&message, MIXED("b"));
	for (size_t i = 0; i < MESSAGE_PARTS_MAX + 100; i++)
		buf_add_str(&message, "--b\r\n\r\nx\r\n");
	buf_add_str(&message, "--b--\r\n");
	CLEANUP(arena_done) struct arena arena = {.budget = BUDGET};
	struct message_part *root;
	unsigned defects;
	parse(&message, &arena, &root, &defects);
	assert_int_equal(defects, MESSAGE_DEFECT_LIMIT);
	assert_int_equal(root->n_children, MESSAGE_PARTS_MAX - 1);
	const struct message_part *last =
	        message_part_find(root, (const uint32_t[]){MESSAGE_PARTS_MAX - 1}, 1);
	assert_int_equal(last->body_size, 101 * 10 + 1);
	buf_done(&message);
}

static size_t depth_of(const struct message_part *part)
{
	size_t depth = 0;
	for (; part; part = part->first_child)
		depth++;
	return depth;
}

static void depth_stops_at_its_limit(void **state)
{
	(void)state;
	struct buf message;
	buf_init(&message, 1000000);
	for (size_t i = 0; i < MESSAGE_DEPTH_MAX + 50; i++)
		buf_printf(&message, MIXED("b%zu") "--b%zu\r\n", i, i);
	CLEANUP(arena_done) struct arena arena = {.budget = BUDGET};
	struct message_part *root;
	unsigned defects;
	parse(&message, &arena, &root, &defects);
	assert_true(defects & MESSAGE_DEFECT_LIMIT);
	assert_int_equal(depth_of(root), MESSAGE_DEPTH_MAX);
	buf_reset(&message);
	for (size_t i = 0; i < MESSAGE_DEPTH_MAX + 50; i++)
		buf_add_str(&message, "Content-Type: message/rfc822\r\n\r\n");
	parse(&message, &arena, &root, &defects);
	assert_int_equal(depth_of(root), MESSAGE_DEPTH_MAX);
	buf_done(&message);
}

static void fields_and_headers_stop_at_their_limits(void **state)
{
	(void)state;
	struct buf message;
	struct message_part *root;
	unsigned defects;
	buf_init(&message, 4000000);
	CLEANUP(arena_done) struct arena arena = {.budget = BUDGET};
	for (size_t i = 0; i < MESSAGE_HEADERS_MAX; i++)
		buf_add_str(&message, "X: y\r\n");
	buf_add_str(&message, "Subject: late\r\n\r\nbody");
	parse(&message, &arena, &root, &defects);
	assert_int_equal(defects, MESSAGE_DEFECT_LIMIT);
	assert_false(root->envelope->has_subject);
	assert_int_equal(root->body_size, 4);

	buf_reset(&message);
	buf_add_str(&message, "Subject: ");
	for (size_t i = 0; i < MESSAGE_FIELD_SIZE_MAX; i++)
		buf_add_byte(&message, 'x');
	buf_add_str(&message, "\r\n\r\nbody");
	parse(&message, &arena, &root, &defects);
	assert_int_equal(defects, MESSAGE_DEFECT_LIMIT);
	assert_true(root->envelope->subject.n <= MESSAGE_FIELD_SIZE_MAX);
	assert_int_equal(root->body_size, 4);

	buf_reset(&message);
	for (size_t i = 0; i < MESSAGE_HEADER_SIZE_MAX / 1000 + 1; i++)
		buf_printf(&message, "X: %01000d\r\n", 0);
	buf_add_str(&message, "Subject: late\r\n\r\nbody");
	parse(&message, &arena, &root, &defects);
	assert_int_equal(defects, MESSAGE_DEFECT_LIMIT);
	assert_false(root->envelope->has_subject);
	buf_done(&message);
}

static void a_small_arena_is_a_limit(void **state)
{
	(void)state;
	for (size_t budget = 0; budget < 20000; budget += 97) {
		CLEANUP(arena_done) struct arena arena = {.budget = budget};
		struct message_part *root;
		unsigned defects;
		struct status status = message_parse(
		        slice_str(cases[N_ELEMENTS(cases) - 2].message), &arena, &root, &defects);
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
	}
}

static void a_large_message_takes_no_more_memory(void **state)
{
	(void)state;
	CLEANUP(arena_done) struct arena arena = {.budget = 32 * 1024};
	CLEANUP(base_freep) uint8_t *piece = base_alloc(65536);
	struct message_parser *parser = message_parser_new(&arena);
	struct message_part *root;
	unsigned defects;
	message_parser_feed(parser, SLICE(MIXED("b") "--b\r\n\r\n"));
	/* Lines that nearly are boundaries are held: no more than one at a time. */
	for (size_t i = 0; i < 65536; i++)
		piece[i] = (uint8_t) "--c of a line\r\n"[i % 15];
	for (size_t i = 0; i < 1024; i++)
		message_parser_feed(parser, slice_of(piece, 65536));
	message_parser_feed(parser, SLICE("\r\n--b--\r\n"));
	assert_true(is_ok(message_parser_finish(parser, &root, &defects)));
	assert_int_equal(root->n_children, 1);
	assert_int_equal(root->first_child->body_size, 1024 * 65536);
}

static void numbers_find_parts(void **state)
{
	(void)state;
	static const char message[] =
	        MIXED("b") "--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" MIXED(
	                "c") "--c\r\n\r\nx\r\n--c\r\nContent-Type: message/rfc822\r\n\r\nSubject: "
	                     "s\r\n\r\n"
	                     "in\r\n--c--\r\n--b--\r\n";
	static const struct {
		uint32_t numbers[4];
		size_t n;
		const char *type; /* "" for none, "h" for the innermost message */
	} finds[] = {
	        {{0}, 0, "mixed"},
	        {{1}, 1, "plain"},
	        {{1, 1}, 2, ""},
	        {{2}, 1, "rfc822"},
	        {{2, 1}, 2, "plain"},
	        {{2, 2}, 2, "rfc822"},
	        {{2, 2, 1}, 3, "plain"},
	        {{2, 2, 2}, 3, ""},
	        {{2, 2, 1, 1}, 4, ""},
	        {{3}, 1, ""},
	        {{0}, 1, ""},
	        {{2, 3}, 2, ""},
	        {{2, 0}, 2, ""},
	        {{UINT32_MAX}, 1, ""},
	};
	CLEANUP(arena_done) struct arena arena = {.budget = BUDGET};
	struct message_part *root;
	unsigned defects;
	assert_true(is_ok(message_parse(slice_str(message), &arena, &root, &defects)));
	for (size_t i = 0; i < N_ELEMENTS(finds); i++) {
		const struct message_part *part =
		        message_part_find(root, finds[i].numbers, finds[i].n);
		assert_int_equal(part != NULL, finds[i].type[0] != 0);
		if (part)
			assert_true(slice_eq_str(part->subtype, finds[i].type));
	}
	/* Of a message that is not multipart, part 1 is its body. */
	assert_true(is_ok(message_parse(SLICE("A: b\r\n\r\nx"), &arena, &root, &defects)));
	assert_ptr_equal(message_part_find(root, (const uint32_t[]){1}, 1), root);
	assert_null(message_part_find(root, (const uint32_t[]){2}, 1));
	assert_null(message_part_find(root, (const uint32_t[]){1, 1}, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_structure_is_found_at_every_split),
	        cmocka_unit_test(nul_is_noted),
	        cmocka_unit_test(parts_stop_at_their_limit),
	        cmocka_unit_test(depth_stops_at_its_limit),
	        cmocka_unit_test(fields_and_headers_stop_at_their_limits),
	        cmocka_unit_test(a_small_arena_is_a_limit),
	        cmocka_unit_test(a_large_message_takes_no_more_memory),
	        cmocka_unit_test(numbers_find_parts),
	};
	return cmocka_run_group_tests_name("message_part", tests, NULL, NULL);
}
