/* Fields that are written: folding, encoding, and refusal of everything that would break a header.
 * Dates and message identifiers. */
#include "message/compose.h"
#include "message/date.h"
#include "message/dump.h"
#include "message/msgid.h"
#include "message/part.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void control_characters_are_refused(void **state)
{
	(void)state;
	static const struct slice bad[] = {
	        {(const uint8_t *)"a\r\nBcc: x", 9}, {(const uint8_t *)"a\n", 2},
	        {(const uint8_t *)"\r", 1},          {(const uint8_t *)"a\0b", 3},
	        {(const uint8_t *)"\x01", 1},        {(const uint8_t *)"\x7f", 1},
	        {(const uint8_t *)"\xff", 1}};
	struct buf out;
	buf_init(&out, 10000);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		for (int utf8 = 0; utf8 < 2; utf8++) {
			struct message_compose c[4];
			for (size_t k = 0; k < N_ELEMENTS(c); k++)
				message_compose_init(&c[k], &out, utf8);
			message_compose_structured(&c[0], "X", bad[i]);
			message_compose_text(&c[1], "X", bad[i]);
			struct message_address a = {.has_name = true, .name = bad[i]};
			a.localpart = a.domain = SLICE("x");
			message_compose_addresses(&c[2], "X", &a, 1);
			a.localpart = bad[i];
			a.name = SLICE("n");
			message_compose_addresses(&c[3], "X", &a, 1);
			for (size_t k = 0; k < N_ELEMENTS(c); k++)
				assert_false(is_ok(message_compose_status(&c[k])));
		}
	}
	static const char *const names[] = {"", "a b", "a:", "a\n", "\xc3\xa4"};
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct message_compose c;
		message_compose_init(&c, &out, true);
		message_compose_structured(&c, names[i], SLICE("x"));
		assert_int_equal(message_compose_status(&c).code, ERR_INVALID);
	}
	buf_done(&out);
}

static void utf8_is_encoded_or_refused_where_it_may_not_stand(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 10000);
	struct message_compose c;
	message_compose_init(&c, &out, false);
	message_compose_text(&c, "Subject", SLICE("\xc3\xa4"));
	struct message_address a = {.has_name = true, .name = SLICE("J\xc3\xb6rg")};
	a.localpart = SLICE("j");
	a.domain = SLICE("b\xc3\xbc"
	                 "cher.example");
	message_compose_addresses(&c, "To", &a, 1);
	assert_true(is_ok(message_compose_status(&c)));
	assert_string_equal(buf_cstr(&out),
	                    "Subject: =?utf-8?b?w6Q=?=\r\n"
	                    "To: =?utf-8?b?SsO2cmc=?= <j@xn--bcher-kva.example>\r\n");
	buf_reset(&out);
	message_compose_init(&c, &out, true);
	message_compose_text(&c, "Subject", SLICE("\xc3\xa4"));
	message_compose_addresses(&c, "To", &a, 1);
	assert_string_equal(buf_cstr(&out), "Subject: \xc3\xa4\r\n"
	                                    "To: J\xc3\xb6rg <j@b\xc3\xbc"
	                                    "cher.example>\r\n");
	message_compose_init(&c, &out, false);
	message_compose_structured(&c, "X", SLICE("\xc3\xa4"));
	assert_int_equal(message_compose_status(&c).code, ERR_UNSUPPORTED);
	message_compose_init(&c, &out, false);
	a.localpart = SLICE("\xc3\xa4");
	message_compose_addresses(&c, "To", &a, 1);
	assert_int_equal(message_compose_status(&c).code, ERR_UNSUPPORTED);
	buf_done(&out);
}

static void lines_are_folded(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	struct message_compose c;
	message_compose_init(&c, &out, false);
	message_compose_structured(
	        &c, "Received",
	        SLICE("from a.example (a.example [192.0.2.1]) by b.example with ESMTPS id "
	              "0123456789abcdef for <c@d.example>; Fri, 21 Nov 1997 09:55:06 -0600"));
	assert_true(is_ok(message_compose_status(&c)));
	assert_string_equal(
	        buf_cstr(&out),
	        "Received: from a.example (a.example [192.0.2.1]) by b.example with ESMTPS id\r\n"
	        " 0123456789abcdef for <c@d.example>; Fri, 21 Nov 1997 09:55:06 -0600\r\n");
	buf_reset(&out);
	message_compose_structured(&c, "Empty", SLICE(""));
	assert_string_equal(buf_cstr(&out), "Empty:\r\n");
	char word[MESSAGE_LINE_MAX + 1];
	memset(word, 'x', sizeof(word));
	message_compose_structured(&c, "X", slice_of(word, MESSAGE_LINE_MAX - 1));
	assert_true(is_ok(message_compose_status(&c)));
	message_compose_structured(&c, "X", slice_of(word, MESSAGE_LINE_MAX));
	assert_int_equal(message_compose_status(&c).code, ERR_LIMIT);
	struct buf small;
	buf_init(&small, 5);
	message_compose_init(&c, &small, false);
	message_compose_text(&c, "Subject", SLICE("x"));
	assert_int_equal(message_compose_status(&c).code, ERR_LIMIT);
	buf_done(&small);
	buf_done(&out);
}

static void addresses_that_are_written_read_back(void **state)
{
	(void)state;
	static const char lists[] =
	        "A B <a@b>, \"C, D\" <c@d>, empty:;, group: \"e f\"@g, h@[192.0.2.1];, i@j, "
	        "\"quite a long display name\" "
	        "<with.an.address@that.makes.the.line.very.long.example>";
	CLEANUP(arena_done) struct arena arena = {.budget = 100000};
	struct message_address_list list, again;
	struct buf out, first, second;
	buf_init(&out, 10000);
	buf_init(&first, 10000);
	buf_init(&second, 10000);
	message_addresses_parse(slice_str(lists), &arena, &list);
	struct message_compose c;
	message_compose_init(&c, &out, false);
	message_compose_addresses(&c, "To", list.v, list.n);
	assert_true(is_ok(message_compose_status(&c)));
	message_addresses_parse(slice_from(buf_slice(&out), 3), &arena, &again);
	message_dump_addresses(&list, &first);
	message_dump_addresses(&again, &second);
	assert_string_equal(buf_cstr(&first), buf_cstr(&second));
	message_addresses_parse(SLICE("not an address"), &arena, &list);
	message_compose_addresses(&c, "To", list.v, list.n);
	assert_int_equal(message_compose_status(&c).code, ERR_INVALID);
	buf_done(&out);
	buf_done(&first);
	buf_done(&second);
}

static const struct {
	const char *value;
	int64_t unix_s; /* -1: no date */
	int zone;
	int day;
} dates[] = {
        {"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360, 10186},
        {"21 Nov 97 09:55:06 GMT", 880106106, 0, 10186},
        {"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120, 12234},
        {"Thu, 13\r\n  Feb\r\n  1969\r\n  23:32\r\n  -0330 (Newfoundland Time)", -27723480, -210,
         -322},
        {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, -360, 10186},
        {"1 Jan 1970 00:00:00 +0000", 0, 0, 0},
        {"31 Dec 1969 23:59:59 +0000", -1 + 0, 0, -1},
        {"1 Jan 1970 02:00:00 +0200", 0, 120, 0},
        {"31 Dec 1998 23:59:60 +0000", 915148800, 0, 10591},
        {"1 Jan 49 00:00 UT", 2493072000, 0, 28855},
        {"1 Jan 50 00:00 UT", -631152000, 0, -7305},
        {"1 Jan 103 00:00 UT", 1041379200, 0, 12053},
        {"Sat, 01 Jan 2000 00:00:00 EST", 946702800, -300, 10957},
        {"1 Jan 2000 00:00:00 PDT", 946710000, -420, 10957},
        {"1 Jan 2000 00:00:00 A", 946684800, 0, 10957},
        {"1 Jan 2000 00:00:00 CEST", 946684800, 0, 10957},
        {"1 Jan 2000 00:00:00", 946684800, 0, 10957},
        {"1 Jan 2000 00:00:00 -0000", 946684800, 0, 10957},
        {"29 Feb 2000 00:00:00 +0000", 951782400, 0, 11016},
        {"Sat 1 Jan 2000 00:00:00 +0000", 946684800, 0, 10957},
        {"Sat., 1 January 2000 00:00:00 +0000", 946684800, 0, 10957},
        {"Sat Jan  1 00:00:00 2000", 946684800, 0, 10957},
        {"Jan 1 00:00:00 2000 GMT", 946684800, 0, 10957},
        {"1-Jan-2000 00:00:00 +0000", 946684800, 0, 10957},
        {"1 Jan 2000, 00:00:00.123 +0000 (UTC) garbage", 946684800, 0, 10957},
        {"", -1, 0, 0},
        {"nonsense", -1, 0, 0},
        {"Fri", -1, 0, 0},
        {"1 Jan", -1, 0, 0},
        {"1 Jan 2000", -1, 0, 0},
        {"1 Jan 2000 00", -1, 0, 0},
        {"1 Jan 2000 00:", -1, 0, 0},
        {"0 Jan 2000 00:00 +0000", -1, 0, 0},
        {"32 Jan 2000 00:00 +0000", -1, 0, 0},
        {"30 Feb 2000 00:00 +0000", -1, 0, 0},
        {"29 Feb 1900 00:00 +0000", -1, 0, 0},
        {"1 Foo 2000 00:00 +0000", -1, 0, 0},
        {"1 Jan 1899 00:00 +0000", -1, 0, 0},
        {"1 Jan 12000 00:00 +0000", -1, 0, 0},
        {"1 Jan 2 00:00 +0000", -1, 0, 0},
        {"1 Jan 2000 24:00 +0000", -1, 0, 0},
        {"1 Jan 2000 00:60 +0000", -1, 0, 0},
        {"1 Jan 2000 00:00:61 +0000", -1, 0, 0},
        {"1 Jan 2000 00:00 +00", -1, 0, 0},
        {"1 Jan 2000 00:00 +0060", -1, 0, 0},
        {"1 Jan 2000 00:00 +99999", -1, 0, 0},
        {"2000-01-01T00:00:00Z", -1, 0, 0},
        {"99999999999999999999 Jan 2000 00:00", -1, 0, 0},
};

static void dates_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(dates); i++) {
		struct message_date date = {0};
		bool ok = is_ok(message_date_parse(slice_str(dates[i].value), &date));
		bool expect = dates[i].unix_s != -1 || dates[i].day != 0;
		if (ok != expect || (ok && date.unix_s != dates[i].unix_s))
			print_error("%s: %jd\n", dates[i].value, (intmax_t)date.unix_s);
		assert_int_equal(ok, expect);
		if (!ok)
			continue;
		assert_true(date.unix_s == dates[i].unix_s);
		assert_int_equal(date.zone_minutes, dates[i].zone);
		assert_int_equal(date.day, dates[i].day);
		char text[MESSAGE_DATE_SIZE];
		struct message_date again;
		message_date_format(date.unix_s, date.zone_minutes, text);
		assert_true(is_ok(message_date_parse(slice_str(text), &again)));
		assert_true(again.unix_s == date.unix_s && again.day >= date.day);
	}
	char text[MESSAGE_DATE_SIZE];
	message_date_format(880127706, -360, text);
	assert_string_equal(text, "Fri, 21 Nov 1997 09:55:06 -0600");
	message_date_format(INT64_MAX, INT32_MAX, text);
	message_date_format(INT64_MIN, INT32_MIN, text);
}

static void identifiers_are_found(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"<a@b>", "[a@b]"},
	        {"<a@b> <c@d>", "[a@b][c@d]"},
	        {"<a@b><c@d>,<e@f>", "[a@b][c@d][e@f]"},
	        {"Your message of (\"<x@y>\") \"<q@r>\" Friday <a@b>", "[a@b]"},
	        {"<a@\r\n b>", "[a@b]"},
	        {"< a @ b >", "[a@b]"},
	        {"<\"a>b\"@c>", "[\"a>b\"@c]"},
	        {"<no-domain>", "[no-domain]"},
	        {"<a@b <c@d>", "[c@d]"},
	        {"<>", ""},
	        {"", ""},
	        {"a@b", ""},
	        {"<a@b", ""},
	        {"(<a@b>)", ""},
	};
	struct buf out;
	buf_init(&out, 1000);
	CLEANUP(arena_done) struct arena arena = {.budget = 10000000};
	struct message_ids ids;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		message_ids_parse(slice_str(cases[i][0]), &arena, &ids);
		buf_reset(&out);
		for (size_t k = 0; k < ids.n; k++)
			buf_printf(&out, "[%.*s]", SLICE_FMT(ids.v[k]));
		assert_string_equal(buf_cstr(&out), cases[i][1]);
	}
	struct slice id;
	assert_true(message_id_parse(SLICE(" a@b (x)"), &arena, &id));
	assert_true(slice_eq_str(id, "a@b"));
	assert_true(message_id_parse(SLICE("x <a@b>"), &arena, &id));
	assert_true(slice_eq_str(id, "a@b"));
	assert_false(message_id_parse(SLICE(" (x)"), &arena, &id));
	buf_done(&out);
	buf_init(&out, 1000000);
	for (size_t i = 0; i < MESSAGE_IDS_MAX + 10; i++)
		buf_printf(&out, "<%zu@x>", i);
	message_ids_parse(buf_slice(&out), &arena, &ids);
	assert_true(ids.truncated);
	assert_int_equal(ids.n, MESSAGE_IDS_MAX);
	buf_reset(&out);
	buf_printf(&out, "<%0*d> <a@b>", (int)MESSAGE_ID_SIZE_MAX + 1, 0);
	message_ids_parse(buf_slice(&out), &arena, &ids);
	assert_int_equal(ids.n, 1);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(control_characters_are_refused),
	        cmocka_unit_test(utf8_is_encoded_or_refused_where_it_may_not_stand),
	        cmocka_unit_test(lines_are_folded),
	        cmocka_unit_test(addresses_that_are_written_read_back),
	        cmocka_unit_test(dates_are_read),
	        cmocka_unit_test(identifiers_are_found),
	};
	return cmocka_run_group_tests_name("message_compose", tests, NULL, NULL);
}
