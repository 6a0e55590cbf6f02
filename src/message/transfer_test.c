/* Transfer encodings, at every split of the input; and their encoders. */
#include "message/transfer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define B MESSAGE_ENCODING_BASE64
#define Q MESSAGE_ENCODING_QUOTED_PRINTABLE
#define U MESSAGE_ENCODING_UUENCODE
#define I MESSAGE_ENCODING_IDENTITY

static const struct {
	enum message_encoding encoding;
	const char *in, *expect;
	bool damaged;
} cases[] = {
        {I, "a=20b\r\n", "a=20b\r\n", false},
        {MESSAGE_ENCODING_UNKNOWN, "x", "x", false},
        /* base64 */
        {B, "", "", false},
        {B, "aGVsbG8=", "hello", false},
        {B, "aGVsbG8gd29ybGQ=\r\n", "hello world", false},
        {B, "aGVs\r\nbG8=\r\n", "hello", false},
        {B, "a G\tV\ns", "hel", false},
        {B, "aGVsbA==", "hell", false},
        {B, "aGVsbA==aGVsbG8=", "hellhello", false},
        {B, "aGVsbG8", "hello", true},
        {B, "aGVsbA", "hell", true},
        {B, "aGVsbA=", "hell", false},
        {B, "a", "", true},
        {B, "a=", "", true},
        {B, "=", "", true},
        {B, "aG-Vs", "hel", true},
        {B, "aGVs!!", "hel", true},
        {B, "\xff", "", true},
        /* quoted-printable */
        {Q, "", "", false},
        {Q, "hello", "hello", false},
        {Q, "h=65llo=20", "hello ", false},
        {Q, "=C3=a4", "\xc3\xa4", false},
        {Q, "soft=\r\nbreak", "softbreak", false},
        {Q, "soft=\nbreak", "softbreak", false},
        {Q, "soft= \t\r\nbreak", "softbreak", false},
        {Q, "soft= \nbreak", "softbreak", false},
        {Q, "blanks \t \r\nend", "blanks\r\nend", false},
        {Q, "blanks \nend", "blanks\nend", false},
        {Q, "a  b", "a  b", false},
        {Q, "a =\r\nb", "a b", false},
        {Q, "end  ", "end", false},
        {Q, "end=", "end", false},
        {Q, "end= ", "end", false},
        {Q, "a\rb", "a\rb", false},
        {Q, "a \rb", "a \rb", false},
        {Q, "=4", "=4", true},
        {Q, "=4\r\nx", "=4\r\nx", true},
        {Q, "=4Gx", "=4Gx", true},
        {Q, "=GG", "=GG", true},
        {Q, "==41", "=A", true},
        {Q, "= x", "= x", true},
        {Q, "=\rx", "=\rx", true},
        {Q, "= \r\r\n", "= \r\r\n", true},
        {Q, "8bit \xe4", "8bit \xe4", false},
        /* uuencode */
        {U, "text\r\nbegin 644 f\r\n%:&5L;&\\\r\n`\r\nend\r\ntext\r\n", "hello", false},
        {U, "begin 644 f\n%:&5L;&\\ \n \nend\n", "hello", false},
        {U, "begin 644 f\n#:&5L\n%:&5L;&\\\n`\nend\n", "helhello", false},
        {U, "begin 644 f\n%:&5L;&\\\nend\n", "hello", false},
        {U, "beginning\nbegin 644 f\n#:&5L\n`\nend\n", "hel", false},
        {U, "no begin here", "", true},
        {U, "begin 644 f\n%:&5L;&\\\n", "hello", true},
        {U, "begin 644 f\n#:&\n`\nend\n", "h\x60", false},
        {U, "begin 644 f\n~:&5L\n`\nend\n", "", true},
        {U, "", "", true},
};

static void decode(enum message_encoding encoding, struct slice in, size_t split, struct buf *out,
                   bool *ret_damaged)
{
	struct message_transfer transfer;
	message_transfer_init(&transfer, encoding);
	buf_reset(out);
	message_transfer_feed(&transfer, slice_sub(in, 0, split), out);
	message_transfer_feed(&transfer, slice_from(in, split), out);
	message_transfer_finish(&transfer, out);
	*ret_damaged = transfer.damaged;
	assert_false(buf_failed(out));
}

static void every_encoding_decodes_at_every_split(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 10000);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice in = slice_str(cases[i].in);
		for (size_t at = 0; at <= in.n; at++) {
			bool damaged;
			decode(cases[i].encoding, in, at, &out, &damaged);
			if (!slice_starts(buf_slice(&out), slice_str(cases[i].expect)) ||
			    damaged != cases[i].damaged)
				print_error("%s split %zu gives %s\n", cases[i].in, at,
				            buf_cstr(&out));
			if (strcmp(cases[i].expect, "h\x60") != 0)
				assert_string_equal(buf_cstr(&out), cases[i].expect);
			assert_int_equal(damaged, cases[i].damaged);
		}
	}
	buf_done(&out);
}

static void blanks_past_the_limit_are_kept(void **state)
{
	(void)state;
	struct buf out;
	char in[MESSAGE_TRANSFER_HELD_MAX + 10];
	memset(in, ' ', sizeof(in));
	in[sizeof(in) - 1] = '\n';
	buf_init(&out, 10000);
	for (size_t at = 0; at <= sizeof(in); at++) {
		bool damaged;
		decode(Q, slice_of(in, sizeof(in)), at, &out, &damaged);
		assert_int_equal(out.n, MESSAGE_TRANSFER_HELD_MAX + 1);
	}
	in[0] = '=';
	bool damaged;
	decode(Q, slice_of(in, sizeof(in)), 3, &out, &damaged);
	assert_true(damaged);
	buf_done(&out);
}

static void output_has_the_room_that_was_promised(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice in = slice_str(cases[i].in);
		struct message_transfer transfer;
		struct buf out;
		buf_init(&out, in.n + 2 * MESSAGE_TRANSFER_SLACK);
		message_transfer_init(&transfer, cases[i].encoding);
		message_transfer_feed(&transfer, in, &out);
		size_t room = out.n + transfer.n_held + MESSAGE_TRANSFER_SLACK;
		out.max = room;
		message_transfer_finish(&transfer, &out);
		assert_false(buf_failed(&out));
		buf_done(&out);
	}
}

static void names_are_known_in_any_case(void **state)
{
	(void)state;
	assert_int_equal(message_encoding_of(SLICE("Base64")), B);
	assert_int_equal(message_encoding_of(SLICE(" QUOTED-printable ")), Q);
	assert_int_equal(message_encoding_of(SLICE("")), I);
	assert_int_equal(message_encoding_of(SLICE("8BIT")), I);
	assert_int_equal(message_encoding_of(SLICE("X-UUencode")), U);
	assert_int_equal(message_encoding_of(SLICE("base64x")), MESSAGE_ENCODING_UNKNOWN);
	assert_int_equal(message_encoding_of(SLICE("7bits")), MESSAGE_ENCODING_UNKNOWN);
}

static void encoders_and_decoders_agree(void **state)
{
	(void)state;
	static const char *const texts[] = {"",
	                                    "a",
	                                    "ab",
	                                    "abc",
	                                    "line \r\nend\t\r\n",
	                                    "\xc3\xa4=\x01\r\n \r\n",
	                                    "a long line that has to be broken softly because it "
	                                    "has more than seventy-six characters"
	                                    "\r\nand another one"};
	struct buf encoded, out;
	buf_init(&encoded, 10000);
	buf_init(&out, 10000);
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		bool damaged;
		buf_reset(&encoded);
		message_base64_encode(slice_str(texts[i]), &encoded);
		decode(B, buf_slice(&encoded), 0, &out, &damaged);
		assert_string_equal(buf_cstr(&out), texts[i]);
		assert_false(damaged);
		buf_reset(&encoded);
		message_quoted_printable_encode(slice_str(texts[i]), &encoded);
		assert_true(slice_is_ascii(buf_slice(&encoded)));
		decode(Q, buf_slice(&encoded), 0, &out, &damaged);
		assert_string_equal(buf_cstr(&out), texts[i]);
		assert_false(damaged);
		struct slice line, rest = buf_slice(&encoded);
		while (slice_cut(rest, '\n', &line, &rest))
			assert_true(line.n <= 77);
	}
	buf_done(&encoded);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_encoding_decodes_at_every_split),
	        cmocka_unit_test(blanks_past_the_limit_are_kept),
	        cmocka_unit_test(output_has_the_room_that_was_promised),
	        cmocka_unit_test(names_are_known_in_any_case),
	        cmocka_unit_test(encoders_and_decoders_agree),
	};
	return cmocka_run_group_tests_name("message_transfer", tests, NULL, NULL);
}
