/* Replies on the wire, and trace fields. */
#include "smtp/reply.h"

#include "smtp/trace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void every_row_of_the_table_can_be_sent(void **state)
{
	(void)state;
	for (unsigned id = SMTP_REPLY_NONE + 1; id < SMTP_REPLY_COUNT; id++) {
		struct smtp_reply reply = smtp_reply((enum smtp_reply_id)id);
		CLEANUP(buf_done) struct buf out;
		buf_init(&out, 4096);
		assert_true(is_ok(smtp_reply_print(reply, &out)));
		assert_true(reply.code / 100 == 3 || reply.enhanced[0]);
		assert_true(slice_find(buf_slice(&out), SLICE("\r\n")) == out.n - 2);
	}
}

static void good_replies_print(void **state)
{
	(void)state;
	static const struct {
		struct smtp_reply reply;
		const char *printed;
	} cases[] = {
	        {{250, "2.0.0", "OK"}, "250 2.0.0 OK\r\n"},
	        {{220, "", "mx ESMTP"}, "220 mx ESMTP\r\n"},
	        {{354, "", "go"}, "354 go\r\n"},
	        {{250, "2.0.0", ""}, "250 2.0.0 \r\n"},
	        {{550, "5.7.1", "a\nb\nc"}, "550-5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c\r\n"},
	        {{550, "5.7.1", "a\n"}, "550 5.7.1 a\r\n"},
	        {{550, "5.7.1", "a\n\nb"}, "550-5.7.1 a\r\n550-5.7.1 \r\n550 5.7.1 b\r\n"},
	        {{599, "5.999.999", "x"}, "599 5.999.999 x\r\n"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		CLEANUP(buf_done) struct buf out;
		buf_init(&out, 4096);
		assert_true(is_ok(smtp_reply_print(cases[i].reply, &out)));
		assert_true(slice_eq_str(buf_slice(&out), cases[i].printed));
	}
}

static void bad_replies_are_not_sent(void **state)
{
	(void)state;
	static const struct smtp_reply cases[] = {
	        {0, "", ""},
	        {199, "", "x"},
	        {600, "", "x"},
	        {250, "2.0.0", "a\rb"},
	        {250, "2.0.0", "a\r\n250 b"},
	        {250, "2.0.0", "a\tb"},
	        {250, "2.0.0", "\x7f"},
	        {250, "2.0.0", "\x1b[2J"},
	        {250, "2.0.0", "\xc3\xa9"},
	        {250, "5.0.0", "x"},
	        {550, "2.0.0", "x"},
	        {354, "3.0.0", "x"},
	        {250, "2.0", "x"},
	        {250, "2", "x"},
	        {250, "2.0.0.0", "x"},
	        {250, "2..0", "x"},
	        {250, "2.0.x", "x"},
	        {250, "2.1000.0", "x"},
	        {250, "2.0.0\r\n", "x"},
	        {250, "2.0000000000.0", "x"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		CLEANUP(buf_done) struct buf out;
		buf_init(&out, 4096);
		if (is_ok(smtp_reply_print(cases[i], &out)))
			fail_msg("case %zu was sent", i);
		assert_int_equal(out.n, 0);
	}
}

/* RFC 5321 section 4.5.3.1.5: no line above 512 octets, no word lost. */
static void long_replies_are_continued(void **state)
{
	(void)state;
	for (size_t n = 400; n < 1200; n += 7) {
		char text[1201] = "";
		CLEANUP(buf_done) struct buf out;
		buf_init(&out, 8192);
		for (size_t i = 0; i < n; i++)
			text[i] = n % 2 && i % 9 == 8 ? ' ' : 'x';
		assert_true(is_ok(smtp_reply_print((struct smtp_reply){550, "5.7.1", text}, &out)));
		struct slice rest = buf_slice(&out);
		size_t n_text = 0;
		while (rest.n > 0) {
			size_t end = slice_find(rest, SLICE("\r\n"));
			assert_true(end != SIZE_MAX && end + 2 <= SMTP_REPLY_LINE_MAX);
			assert_true(slice_starts(rest, end + 2 == rest.n ? SLICE("550 5.7.1 ")
			                                                 : SLICE("550-5.7.1 ")));
			n_text += end - strlen("550 5.7.1 ") + (n % 2 && end + 2 < rest.n);
			rest = slice_from(rest, end + 2);
		}
		assert_int_equal(n_text, n);
	}
}

static void endless_replies_are_cut(void **state)
{
	(void)state;
	char text[4 * SMTP_REPLY_LINES_MAX + 1];
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 8192);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 2 ? '\n' : 'x';
	text[sizeof(text) - 1] = 0;
	assert_true(is_ok(smtp_reply_print((struct smtp_reply){550, "", text}, &out)));
	assert_int_equal(out.n, SMTP_REPLY_LINES_MAX * strlen("550-x\r\n"));
}

static void failures_become_replies(void **state)
{
	(void)state;
	static const struct {
		enum err err;
		uint16_t code;
	} cases[] = {
	        {ERR_OK, 250},        {ERR_NO_SPACE, 452},  {ERR_QUOTA, 452},    {ERR_LIMIT, 552},
	        {ERR_DENIED, 550},    {ERR_PERMANENT, 550}, {ERR_DRAINING, 421}, {ERR_IO, 451},
	        {ERR_TEMPORARY, 451}, {ERR_CORRUPT, 451},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(smtp_reply_of_status((struct status){cases[i].err, ""}).code,
		                 cases[i].code);
}

static void outcomes_of_recipients_become_one_reply(void **state)
{
	(void)state;
	static const struct {
		enum smtp_reply_id a, b, all;
	} cases[] = {
	        {SMTP_REPLY_OK, SMTP_REPLY_OK, SMTP_REPLY_ACCEPTED},
	        {SMTP_REPLY_OK, SMTP_REPLY_OVER_QUOTA, SMTP_REPLY_ACCEPTED},
	        {SMTP_REPLY_POLICY, SMTP_REPLY_OK, SMTP_REPLY_ACCEPTED},
	        {SMTP_REPLY_OVER_QUOTA, SMTP_REPLY_OVER_QUOTA, SMTP_REPLY_OVER_QUOTA},
	        {SMTP_REPLY_OVER_QUOTA, SMTP_REPLY_NO_SPACE, SMTP_REPLY_TRY_LATER},
	        {SMTP_REPLY_POLICY, SMTP_REPLY_OVER_QUOTA, SMTP_REPLY_TRY_LATER},
	        {SMTP_REPLY_POLICY, SMTP_REPLY_NO_RELAY, SMTP_REPLY_POLICY},
	        {SMTP_REPLY_POLICY, SMTP_REPLY_TOO_LARGE, SMTP_REPLY_ALL_REFUSED},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct smtp_reply both[] = {smtp_reply(cases[i].a), smtp_reply(cases[i].b)};
		struct smtp_reply reply = smtp_reply_combine(both, 2);
		assert_int_equal(reply.code, smtp_reply(cases[i].all).code);
		assert_string_equal(reply.enhanced, smtp_reply(cases[i].all).enhanced);
	}
}

/* --- trace fields --- */

struct trace_parts {
	struct arena arena;
	struct smtp_host helo;
	struct smtp_path rcpt;
	struct stream_tls tls;
	struct smtp_trace trace;
};

static void parts_init(struct trace_parts *parts)
{
	*parts = (struct trace_parts){.tls = {.on = true, .version = "TLSv1.3", .cipher = "AES"}};
	arena_init(&parts->arena, 4096);
	assert_true(is_ok(smtp_helo_parse(SLICE("client.example"), &parts->helo)));
	assert_true(is_ok(smtp_mailbox_parse(SLICE("u@example.org"), &parts->arena, &parts->rcpt)));
	parts->trace = (struct smtp_trace){.helo = &parts->helo,
	                                   .peer_name = SLICE("ptr.example"),
	                                   .peer_note = slice_empty(),
	                                   .peer_address = SLICE("192.0.2.1"),
	                                   .by = SLICE("mx.example.org"),
	                                   .id = SLICE("c1-1"),
	                                   .extended = true,
	                                   .tls = &parts->tls,
	                                   .rcpt = &parts->rcpt,
	                                   .at_s = 1795367890};
}

/* What users submit: no word about where they are. */
static void received_of_a_user_has_no_from_clause(void **state)
{
	(void)state;
	struct trace_parts parts;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 4096);
	parts_init(&parts);
	parts.trace.peer_address = slice_empty();
	parts.trace.authenticated = true;
	parts.trace.rcpt = NULL;
	assert_true(is_ok(smtp_received_print(&parts.trace, &out)));
	assert_string_equal(buf_cstr(&out),
	                    "Received: by mx.example.org with ESMTPSA (TLSv1.3 AES)\r\n"
	                    "\tid c1-1;\r\n"
	                    "\tSun, 22 Nov 2026 17:18:10 +0000\r\n");
	arena_done(&parts.arena);
}

static void received_says_what_is_known(void **state)
{
	(void)state;
	struct trace_parts parts;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 4096);
	parts_init(&parts);
	assert_true(is_ok(smtp_received_print(&parts.trace, &out)));
	assert_string_equal(buf_cstr(&out),
	                    "Received: from client.example (ptr.example [192.0.2.1])\r\n"
	                    "\tby mx.example.org with ESMTPS (TLSv1.3 AES)\r\n"
	                    "\tid c1-1\r\n"
	                    "\tfor <u@example.org>;\r\n"
	                    "\tSun, 22 Nov 2026 17:18:10 +0000\r\n");
	buf_reset(&out);
	parts.trace.helo = NULL;
	parts.trace.peer_name = slice_empty();
	parts.trace.peer_note = SLICE("dnssec");
	parts.trace.peer_address = SLICE("2001:db8::1");
	parts.trace.tls = NULL;
	parts.trace.rcpt = NULL;
	parts.trace.extended = false;
	assert_true(is_ok(smtp_received_print(&parts.trace, &out)));
	assert_string_equal(buf_cstr(&out),
	                    "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n"
	                    "\t(dnssec)\r\n"
	                    "\tby mx.example.org with SMTP\r\n"
	                    "\tid c1-1;\r\n"
	                    "\tSun, 22 Nov 2026 17:18:10 +0000\r\n");
	arena_done(&parts.arena);
}

/* What EHLO accepts must not keep a message from getting its Received field. */
static void odd_hello_names_do_no_harm(void **state)
{
	(void)state;
	static const char *const names[] = {"[x:(;<)>\"]", "[IPv6:::1]", "A_b.c", "[192.0.2.9]"};
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct trace_parts parts;
		CLEANUP(buf_done) struct buf out;
		buf_init(&out, 4096);
		parts_init(&parts);
		assert_true(is_ok(smtp_helo_parse(slice_str(names[i]), &parts.helo)));
		assert_true(is_ok(smtp_received_print(&parts.trace, &out)));
		assert_true(slice_find(buf_slice(&out), slice_str(i == 0 ? "from [192.0.2.1] ("
		                                                         : names[i])) != SIZE_MAX);
		arena_done(&parts.arena);
	}
}

static void with_keywords_are_the_registered_ones(void **state)
{
	(void)state;
	static const struct {
		bool extended, utf8, tls, auth;
		const char *with;
	} cases[] = {
	        {false, false, false, false, "SMTP"},   {false, false, true, false, "SMTP"},
	        {true, false, false, false, "ESMTP"},   {true, false, true, false, "ESMTPS"},
	        {true, false, false, true, "ESMTPA"},   {true, false, true, true, "ESMTPSA"},
	        {true, true, false, false, "UTF8SMTP"}, {true, true, true, false, "UTF8SMTPS"},
	        {true, true, false, true, "UTF8SMTPA"}, {true, true, true, true, "UTF8SMTPSA"},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct stream_tls tls = {.on = cases[i].tls};
		struct smtp_trace trace = {.extended = cases[i].extended,
		                           .utf8 = cases[i].utf8,
		                           .tls = &tls,
		                           .authenticated = cases[i].auth};
		assert_string_equal(smtp_with_protocol(&trace), cases[i].with);
	}
}

static void nothing_bends_a_trace_field(void **state)
{
	(void)state;
	static const char *const bad[] = {"a\r\nX: y", "a\nb", "a\rb", "a)b",      "(a",  "a\\b",
	                                  "a;b",       "a<b",  "a\tb", "\xc3\xa9", "\x7f"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		for (unsigned part = 0; part < 5; part++) {
			struct trace_parts parts;
			CLEANUP(buf_done) struct buf out;
			buf_init(&out, 4096);
			parts_init(&parts);
			struct slice *values[] = {&parts.trace.peer_name, &parts.trace.peer_note,
			                          &parts.trace.peer_address, &parts.trace.by,
			                          &parts.trace.id};
			*values[part] = slice_str(bad[i]);
			assert_int_equal(smtp_received_print(&parts.trace, &out).code, ERR_INVALID);
			assert_int_equal(out.n, 0);
			arena_done(&parts.arena);
		}
	}
}

static void return_path_is_the_sender(void **state)
{
	(void)state;
	struct trace_parts parts;
	struct smtp_path null = {.kind = SMTP_PATH_NULL, .localpart = slice_empty()};
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 4096);
	parts_init(&parts);
	assert_true(is_ok(smtp_return_path_print(&parts.rcpt, &out)));
	assert_true(is_ok(smtp_return_path_print(&null, &out)));
	assert_string_equal(buf_cstr(&out), "Return-Path: <u@example.org>\r\nReturn-Path: <>\r\n");
	arena_done(&parts.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_row_of_the_table_can_be_sent),
	        cmocka_unit_test(good_replies_print),
	        cmocka_unit_test(bad_replies_are_not_sent),
	        cmocka_unit_test(long_replies_are_continued),
	        cmocka_unit_test(endless_replies_are_cut),
	        cmocka_unit_test(failures_become_replies),
	        cmocka_unit_test(outcomes_of_recipients_become_one_reply),
	        cmocka_unit_test(received_says_what_is_known),
	        cmocka_unit_test(received_of_a_user_has_no_from_clause),
	        cmocka_unit_test(odd_hello_names_do_no_harm),
	        cmocka_unit_test(with_keywords_are_the_registered_ones),
	        cmocka_unit_test(nothing_bends_a_trace_field),
	        cmocka_unit_test(return_path_is_the_sender),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
