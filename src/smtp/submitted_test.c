/* Headers as users submit them. */
#include "smtp/submitted.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define F "From: Me <me@example.org>\r\n"

static struct status parse(struct slice block, struct arena *arena, struct smtp_submitted *ret)
{
	arena_init(arena, 256 * KIB);
	return smtp_submitted_parse(block, arena, ret);
}

static void what_a_header_says_is_found(void **state)
{
	(void)state;
	static const struct {
		struct slice block;
		const char *message_id, *subject, *references;
		bool date, unwanted, tls_optional;
	} cases[] = {
	        {SLICE(F "\r\nbody"), "", "", "", false, false, false},
	        {SLICE(F), "", "", "", false, false, false},
	        {SLICE(F "Date: x\r\nMessage-ID: <a@b>\r\n\r\n"), "<a@b>", "", "", true, false,
	         false},
	        {SLICE(F "message-id:\r\n <a@b> (c)\r\n\r\n"), "<a@b>", "", "", false, false,
	         false},
	        {SLICE(F "Message-ID: <\xc3\xa9@b>\r\n\r\n"), "", "", "", false, false, false},
	        {SLICE(F "Subject: =?utf-8?q?=C3=A9?= x\r\n y\r\n\r\n"), "", "\xc3\xa9 x y", "",
	         false, false, false},
	        {SLICE(F "In-Reply-To: <p@x>\r\n\r\n"), "", "", "<p@x>", false, false, false},
	        {SLICE(F "References: <a@x>\r\n <b@x>\r\nIn-Reply-To: <p@x>\r\n\r\n"), "", "",
	         "<a@x> <b@x>", false, false, false},
	        {SLICE(F "In-Reply-To: <p@x>\r\nReferences: <a@x>\r\n\r\n"), "", "", "<a@x>", false,
	         false, false},
	        {SLICE(F "bCC: x@y\r\n\r\n"), "", "", "", false, true, false},
	        {SLICE("Return-Path: <x@y>\r\n" F "\r\n"), "", "", "", false, true, false},
	        {SLICE(F "Resent-Bcc :x@y\r\n\r\n"), "", "", "", false, true, false},
	        {SLICE(F "TLS-Required: No\r\n\r\n"), "", "", "", false, false, true},
	        {SLICE(F "TLS-Required: nothing\r\n\r\n"), "", "", "", false, false, false},
	        {SLICE(F "\r\nBcc: x@y\r\nDate: x\r\n"), "", "", "", false, false, false},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct smtp_submitted s;
		assert_true(is_ok(parse(cases[i].block, &arena, &s)));
		assert_true(slice_eq_str(s.message_id, cases[i].message_id));
		assert_true(slice_eq_str(s.subject, cases[i].subject));
		assert_true(slice_eq_str(s.references, cases[i].references));
		assert_int_equal(s.has_date, cases[i].date);
		assert_int_equal(s.has_unwanted, cases[i].unwanted);
		assert_int_equal(s.tls_optional, cases[i].tls_optional);
		assert_int_equal(s.from.n, 1);
		assert_true(slice_eq_str(s.from.v[0].localpart, "me"));
		arena_done(&arena);
	}
}

static void several_authors_and_a_sender_are_kept(void **state)
{
	(void)state;
	struct arena arena;
	struct smtp_submitted s;
	struct slice block = SLICE("From: a@x, \"B\" <b@y>\r\nSender: c@z\r\n\r\nbody");
	assert_true(is_ok(parse(block, &arena, &s)));
	assert_int_equal(s.from.n, 2);
	assert_int_equal(s.sender.n, 1);
	assert_int_equal(s.header_size, block.n - 4);
	arena_done(&arena);
}

static void what_cannot_be_sent_is_refused(void **state)
{
	(void)state;
	static const struct slice cases[] = {
	        SLICE(""),
	        SLICE("\r\n"),
	        SLICE("\r\nFrom: a@b\r\n"),
	        SLICE("hello\r\nFrom: a@b\r\n\r\n"),
	        SLICE("Subject: x\r\n\r\n"),
	        SLICE("Subject: x\r\n\r\nFrom: a@b\r\n"),
	        SLICE("From:\r\n\r\n"),
	        SLICE("From: \r\n\r\n"),
	        SLICE("From: <>\r\n\r\n"),
	        SLICE("From: me\r\n\r\n"),
	        SLICE("From: just some words\r\n\r\n"),
	        SLICE("From: undisclosed:;\r\n\r\n"),
	        SLICE("From: list: a@b;\r\n\r\n"),
	        SLICE("From: a@b, c\r\n\r\n"),
	        SLICE("From: a@\r\n\r\n"),
	        SLICE("From: @b\r\n\r\n"),
	        SLICE(F F "\r\n"),
	        SLICE(F "from : boss@x\r\n\r\n"),
	        SLICE(F "junk\r\nFrom: boss@x\r\n\r\n"),
	        SLICE(F "Sender: a@b, c@d\r\n\r\n"),
	        SLICE(F "Sender: a@b\r\nSender: c@d\r\n\r\n"),
	        SLICE(F "Sender: x\r\n\r\n"),
	        SLICE(F "Subject: x\nFrom: boss@x\r\n\r\n"),
	        SLICE(F "Subject: x\rFrom: boss@x\r\n\r\n"),
	        SLICE(F "Subject: x\0y\r\n\r\n"),
	        SLICE("From: a@b\n\nbody"),
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct smtp_submitted s;
		struct status status = parse(cases[i], &arena, &s);
		if (status.code != ERR_SYNTAX)
			fail_msg("case %zu: %.*s gave %s", i, SLICE_FMT(cases[i]),
			         err_name(status.code));
		arena_done(&arena);
	}
}

static void unwanted_fields_are_left_out(void **state)
{
	(void)state;
	static const struct {
		const char *block, *printed;
	} cases[] = {
	        {F "Bcc: a@b,\r\n c@d\r\nX: y\r\n\r\n", F "X: y\r\n\r\n"},
	        {"Return-Path: <a@b>\r\nbcc:\r\n" F "\r\n", F "\r\n"},
	        {F "resent-bcc : x\r\n", F},
	        {F "Bcc2: x\r\nX-Bcc: y\r\n\r\n", F "Bcc2: x\r\nX-Bcc: y\r\n\r\n"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct buf out;
		buf_init(&out, 4096);
		smtp_submitted_print(slice_str(cases[i].block), &out);
		assert_string_equal(buf_cstr(&out), cases[i].printed);
		buf_done(&out);
	}
}

static void what_is_missing_is_added(void **state)
{
	(void)state;
	struct buf out;
	struct smtp_submitted s = {.has_date = false};
	buf_init(&out, 4096);
	smtp_submitted_complete(&s, SLICE("id"), "h.example", 880127706, &out);
	assert_string_equal(buf_cstr(&out), "Date: Fri, 21 Nov 1997 15:55:06 +0000\r\n"
	                                    "Message-ID: <id@h.example>\r\n");
	buf_reset(&out);
	s.has_date = s.has_message_id = true;
	smtp_submitted_complete(&s, SLICE("id"), "h.example", 880127706, &out);
	assert_int_equal(out.n, 0);
	buf_done(&out);
}

static void long_texts_are_cut(void **state)
{
	(void)state;
	struct arena arena;
	struct smtp_submitted s;
	struct buf block;
	buf_init(&block, 128 * KIB);
	buf_add_str(&block, F "Subject: x");
	while (block.n < 3000)
		buf_add_str(&block, "\xc3\xa9");
	buf_add_str(&block, "\r\nReferences:");
	for (int i = 0; i < 1000; i++)
		buf_printf(&block, "\r\n <%d@example.org>", i);
	buf_add_str(&block, "\r\n\r\n");
	assert_true(is_ok(parse(buf_slice(&block), &arena, &s)));
	assert_int_equal(s.subject.n, SMTP_SUBMITTED_SUBJECT_MAX - 1); /* whole characters */
	assert_true(s.references.n <= SMTP_SUBMITTED_REFERENCES_MAX);
	assert_true(slice_starts(s.references, SLICE("<")));
	assert_true(slice_ends(s.references, SLICE("<999@example.org>")));
	arena_done(&arena);
	buf_done(&block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_a_header_says_is_found),
	        cmocka_unit_test(several_authors_and_a_sender_are_kept),
	        cmocka_unit_test(what_cannot_be_sent_is_refused),
	        cmocka_unit_test(unwanted_fields_are_left_out),
	        cmocka_unit_test(what_is_missing_is_added),
	        cmocka_unit_test(long_texts_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
