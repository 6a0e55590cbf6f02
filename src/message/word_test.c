/* Encoded words: decoding of correct and broken ones, encoding, and that both agree. */
#include "message/word.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *value, *expect;
} cases[] = {
        {"", ""},
        {"plain text", "plain text"},
        {" \t folded\r\n  text \r\n", "folded  text"},
        /* RFC 2047 section 8 */
        {"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
        {"=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?=", "Patrik F\xc3\xa4ltstr\xc3\xb6m"},
        {"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
         " =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."},
        {"=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=",
         "\xd7\x9d\xd7\x95\xd7\x9c\xd7\xa9 \xd7\x9f\xd7\x91 "
         "\xd7\x99\xd7\x9c\xd7\x98\xd7\xa4\xd7\xa0"},
        {"(=?ISO-8859-1?Q?a?=)", "(a)"},
        {"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"},
        /* RFC 2231 section 5 */
        {"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"},
        /* a character split over two words */
        {"=?utf-8?q?=C3?= =?UTF-8?q?=A4?=", "\xc3\xa4"},
        {"=?utf-8?b?w6TD?= =?utf-8?b?tg==?=", "\xc3\xa4\xc3\xb6"},
        {"=?utf-8?q?=C3?= x", "\xef\xbf\xbd x"},
        {"=?iso-2022-jp?b?GyRCJCIbKEI=?=", "\xe3\x81\x82"},
        /* seen in the wild */
        {"=?utf-8?q?with blanks inside?=", "with blanks inside"},
        {"next=?utf-8?q?to?=text", "nexttotext"},
        {"\"=?utf-8?q?in_quotes?=\"", "\"in quotes\""},
        {"=?utf-8?b?aGVsbG8?=", "hello"},
        {"=?utf-8?b?aGVs bG8=?=", "hello"},
        {"=?unknown-charset?q?=C3=A4?=", "\xc3\xa4"},
        {"=?utf-8?q?bad_=GG_escape=?=", "bad =GG escape="},
        {"raw \xe4 and \xc3\xa4", "raw \xc3\xa4 and \xc3\xa4"},
        {"=?utf-8?q?"
         "?=",
         ""},
        {"a =?utf-8?q?"
         "?= b",
         "a  b"},
        {"=?us-ascii?q?=E2=82=AC?=", "\xe2\x82\xac"},
        /* control characters do not get out */
        {"=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"},
        {"=?utf-8?b?AA0K?=x", "   x"},
        {"a\rb\nc", "abc"},
        /* broken: as they came */
        {"=?", "=?"},
        {"=?utf-8", "=?utf-8"},
        {"=?utf-8?q", "=?utf-8?q"},
        {"=?utf-8?q?", "=?utf-8?q?"},
        {"=?utf-8?q?abc", "=?utf-8?q?abc"},
        {"=?utf-8?q?abc?", "=?utf-8?q?abc?"},
        {"=?utf-8?q?abc?x", "=?utf-8?q?abc?x"},
        {"=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
        {"=?utf-8?qq?abc?=", "=?utf-8?qq?abc?="},
        {"=??q?abc?=", "=??q?abc?="},
        {"=?utf 8?q?abc?=", "=?utf 8?q?abc?="},
        {"=?*en?q?abc?=", "=?*en?q?abc?="},
        {"=?=?utf-8?q?x?=", "=?x"},
        {"=?utf-8?q?a?b?=", "=?utf-8?q?a?b?="},
        {"x ?= y", "x ?= y"},
};

static void words_decode(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 10000);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		buf_reset(&out);
		message_words_decode(slice_str(cases[i].value), &out);
		if (!slice_eq_str(buf_slice(&out), cases[i].expect))
			print_error("for: %s\n", cases[i].value);
		assert_string_equal(buf_cstr(&out), cases[i].expect);
		assert_true(utf8_valid(buf_slice(&out)));
	}
	buf_done(&out);
}

static void hostile_values_cost_linear_work(void **state)
{
	(void)state;
	static const char *const units[] = {"=?", "=?a?q?",
	                                    "=?a?b?=?=", "=?utf-8?q?x?= ", "=?a?q?x?"};
	size_t size = 256 * 1024;
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(size);
	struct buf out;
	buf_init(&out, 8 * size);
	for (size_t i = 0; i < N_ELEMENTS(units); i++) {
		for (size_t at = 0; at < size; at++)
			bytes[at] = (uint8_t)units[i][at % strlen(units[i])];
		buf_reset(&out);
		message_words_decode(slice_of(bytes, size), &out);
		assert_false(buf_failed(&out));
	}
	buf_done(&out);
}

static void what_is_encoded_decodes_to_itself(void **state)
{
	(void)state;
	static const char *const texts[] = {
	        "plain",
	        "",
	        "\xc3\xa4",
	        "Gr\xc3\xbc\xc3\x9f"
	        "e aus K\xc3\xb6ln",
	        "=?utf-8?q?not_a_word?=",
	        "a long subject with \xe2\x82\xac in it that does not fit into one encoded word of "
	        "seventy-five characters, nor into two of them, perhaps",
	        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97"
	        "\xa5\xe6"
	        "\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac"
	        "\xe8\xaa"
	        "\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
	        "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
	};
	struct buf encoded, out;
	buf_init(&encoded, 10000);
	buf_init(&out, 10000);
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		for (size_t column = 0; column < 100; column += 9) {
			buf_reset(&encoded);
			buf_reset(&out);
			message_words_encode(slice_str(texts[i]), column, &encoded);
			assert_true(slice_is_ascii(buf_slice(&encoded)));
			message_words_decode(buf_slice(&encoded), &out);
			assert_string_equal(buf_cstr(&out), texts[i]);
			struct slice line, rest = buf_slice(&encoded);
			bool more;
			do {
				more = slice_cut(rest, '\n', &line, &rest);
				assert_true(line.n <= 77 ||
				            !message_words_needed(slice_str(texts[i])));
			} while (more);
		}
	}
	buf_reset(&encoded);
	message_words_encode(SLICE("a\r\nBcc: \xff\0"), 0, &encoded);
	assert_int_equal(slice_find(buf_slice(&encoded), SLICE("\n")), SIZE_MAX);
	buf_done(&encoded);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(words_decode),
	        cmocka_unit_test(hostile_values_cost_linear_work),
	        cmocka_unit_test(what_is_encoded_decodes_to_itself),
	};
	return cmocka_run_group_tests_name("message_word", tests, NULL, NULL);
}
