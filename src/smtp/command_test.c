/* Tables of the SMTP grammar: hosts, paths, parameters, command lines. More bad cases than good. */
#include "smtp/command.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MANY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 63 */

/* --- hosts --- */

static void good_hosts_are_taken_apart(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum smtp_host_kind kind;
		const char *address; /* hex */
	} cases[] = {
	        {"example.org", SMTP_HOST_DOMAIN, ""},
	        {"localhost", SMTP_HOST_DOMAIN, ""},
	        {"a-b.1c.example", SMTP_HOST_DOMAIN, ""},
	        {"MY_PC", SMTP_HOST_DOMAIN, ""},
	        {"192.0.2.1", SMTP_HOST_DOMAIN, ""},
	        {MANY_A ".example", SMTP_HOST_DOMAIN, ""},
	        {"[192.0.2.1]", SMTP_HOST_IPV4, "c0000201"},
	        {"[0.0.0.0]", SMTP_HOST_IPV4, "00000000"},
	        {"[255.255.255.255]", SMTP_HOST_IPV4, "ffffffff"},
	        {"[IPv6:2001:db8::1]", SMTP_HOST_IPV6, "20010db8000000000000000000000001"},
	        {"[ipv6:1:2:3:4:5:6:7:8]", SMTP_HOST_IPV6, "00010002000300040005000600070008"},
	        {"[IPv6:::]", SMTP_HOST_IPV6, "00000000000000000000000000000000"},
	        {"[IPv6:::1]", SMTP_HOST_IPV6, "00000000000000000000000000000001"},
	        {"[IPv6:1::]", SMTP_HOST_IPV6, "00010000000000000000000000000000"},
	        {"[IPv6:::ffff:192.0.2.1]", SMTP_HOST_IPV6, "00000000000000000000ffffc0000201"},
	        {"[IPv6:1:2:3:4:5:6:192.0.2.1]", SMTP_HOST_IPV6,
	         "000100020003000400050006c0000201"},
	        {"[IPv6:1:2::5:6:7:8]", SMTP_HOST_IPV6, "00010002000000000005000600070008"},
	        {"[x-tag:anything!]", SMTP_HOST_GENERAL, ""},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct smtp_host host;
		CLEANUP(buf_done) struct buf hex;
		buf_init(&hex, 64);
		assert_true(is_ok(smtp_helo_parse(slice_str(cases[i].text), &host)));
		assert_int_equal(host.kind, cases[i].kind);
		assert_true(slice_eq_str(host.text, cases[i].text));
		for (size_t j = 0; j < strlen(cases[i].address) / 2; j++)
			buf_printf(&hex, "%02x", host.address[j]);
		assert_true(slice_eq_str(buf_slice(&hex), cases[i].address));
	}
}

static void bad_hosts_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
	        "",
	        ".",
	        "a.",
	        ".a",
	        "a..b",
	        "-a",
	        "a-",
	        "a.-b",
	        "a-.b",
	        "a b",
	        "a/b",
	        "a@b",
	        "a\x01",
	        "a\x7f",
	        "\xc3\xa9.example", /* HELO is ASCII */
	        MANY_A "a.example",
	        MANY_A "." MANY_A "." MANY_A "." MANY_A ".a",
	        "[",
	        "[]",
	        "[192.0.2.1",
	        "192.0.2.1]",
	        "[192.0.2]",
	        "[192.0.2.]",
	        "[192.0.2.1.]",
	        "[192.0.2.1.2]",
	        "[192.0.2.256]",
	        "[192.0.2.0001]",
	        "[192.0.2.-1]",
	        "[192.0.2.1 ]",
	        "[192.0.2.1]x",
	        "[example.org]",
	        "[IPv6:]",
	        "[IPv6:1]",
	        "[IPv6:1:2:3:4:5:6:7]",
	        "[IPv6:1:2:3:4:5:6:7:8:9]",
	        "[IPv6:1:2:3:4:5:6:7:]",
	        "[IPv6::1:2:3:4:5:6:7:8]",
	        "[IPv6:1::2::3]",
	        "[IPv6:1:2:3:4:5:6:7::]", /* "::" is at least two groups */
	        "[IPv6:::1:2:3:4:5:6:7]",
	        "[IPv6:12345::]",
	        "[IPv6:g::]",
	        "[IPv6:1:::2]",
	        "[IPv6:::1.2.3]",
	        "[IPv6:::1.2.3.4:5]",
	        "[IPv6:1:2:3:4:5:6:7:1.2.3.4]",
	        "[IPv6:2001:db8::1%eth0]",
	        "[:x]",
	        "[tag:]",
	        "[tag-:x]",
	        "[t g:x]",
	        "[tag:a b]",
	        "[tag:a[b]",
	        "[tag:a\\b]",
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct smtp_host host;
		if (is_ok(smtp_helo_parse(slice_str(cases[i]), &host)))
			fail_msg("taken: %s", cases[i]);
	}
}

static void addresses_of_sockets_are_parsed(void **state)
{
	(void)state;
	struct smtp_host host;
	assert_true(is_ok(smtp_ip_parse(SLICE("192.0.2.1"), &host)));
	assert_int_equal(host.kind, SMTP_HOST_IPV4);
	assert_true(is_ok(smtp_ip_parse(SLICE("2001:db8::1"), &host)));
	assert_int_equal(host.kind, SMTP_HOST_IPV6);
	assert_false(is_ok(smtp_ip_parse(SLICE(""), &host)));
	assert_false(is_ok(smtp_ip_parse(SLICE("[192.0.2.1]"), &host)));
	assert_false(is_ok(smtp_ip_parse(SLICE("192.0.2.1)"), &host)));
	assert_false(is_ok(smtp_ip_parse(SLICE("x"), &host)));
}

/* --- paths: parsed from MAIL and RCPT lines, shown as printed again --- */

static enum smtp_reply_id parse_line(const char *line, bool utf8, struct buf *out)
{
	struct arena arena;
	arena_init(&arena, 64 * KIB);
	struct smtp_command command = smtp_command_parse(slice_str(line));
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;
	enum smtp_reply_id reply;
	if (command.verb == SMTP_VERB_MAIL) {
		reply = smtp_mail_parse(command.argument, &arena, &mail);
		if (reply == SMTP_REPLY_NONE)
			smtp_mail_print(&mail, out);
	} else {
		reply = smtp_rcpt_parse(command.argument, utf8, &arena, &rcpt);
		if (reply == SMTP_REPLY_NONE)
			smtp_rcpt_print(&rcpt, out);
	}
	arena_done(&arena);
	return reply;
}

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" /* 64 */

#define D60 "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd" /* 60 */

static void good_lines_print_as_they_should(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *printed; /* without CRLF; NULL: as the line */
	} cases[] = {
	        {"MAIL FROM:<>", NULL},
	        {"MAIL FROM:<a@example.org>", NULL},
	        {"mail from:<A@Example.ORG>", "MAIL FROM:<A@Example.ORG>"},
	        {"MAIL FROM:  <a@example.org>  ", "MAIL FROM:<a@example.org>"},
	        {"MAIL FROM:<!#$%&'*+-/=?^_`{|}~.a@example.org>", NULL},
	        {"MAIL FROM:<\"a b\"@example.org>", NULL},
	        {"MAIL FROM:<\"ab\"@example.org>", "MAIL FROM:<ab@example.org>"},
	        {"MAIL FROM:<\"a\\b\"@example.org>", "MAIL FROM:<ab@example.org>"},
	        {"MAIL FROM:<\"\\\"\\\\\"@example.org>", NULL},
	        {"MAIL FROM:<\"\"@example.org>", NULL},
	        {"MAIL FROM:<\"a@b\"@example.org>", NULL},
	        {"MAIL FROM:<\">\"@example.org>", NULL},
	        {"MAIL FROM:<a..b.@example.org>", "MAIL FROM:<\"a..b.\"@example.org>"},
	        {"MAIL FROM:<a..b@example.org>", "MAIL FROM:<\"a..b\"@example.org>"},
	        {"MAIL FROM:<.a@example.org>", "MAIL FROM:<\".a\"@example.org>"},
	        {"MAIL FROM:<a.@example.org>", "MAIL FROM:<\"a.\"@example.org>"},
	        {"MAIL FROM:<a@[192.0.2.1]>", NULL},
	        {"MAIL FROM:<a@[IPv6:2001:db8::1]>", NULL},
	        {"MAIL FROM:<@x.example:a@example.org>", "MAIL FROM:<a@example.org>"},
	        {"MAIL FROM:<@x.example,@[192.0.2.1]:a@example.org>", "MAIL FROM:<a@example.org>"},
	        {"MAIL FROM:<" X64 "@example.org>", NULL},
	        {"MAIL FROM:<" X64 X64 "@example.org>", NULL},
	        {"MAIL FROM:<a@" MANY_A "." MANY_A "." MANY_A "." D60 ">", NULL}, /* 256 in all */
	        {"MAIL FROM:<\xc3\xa9@\xe4\xbe\x8b.example> SMTPUTF8", NULL},
	        {"MAIL FROM:<\"\xf0\x9f\x93\xa7 \"@example.org> SMTPUTF8", NULL},
	        {"MAIL FROM:<> size=0", "MAIL FROM:<> SIZE=0"},
	        {"MAIL FROM:<> SIZE=18446744073709551615", NULL},
	        {"MAIL FROM:<> SIZE=99999999999999999999",
	         "MAIL FROM:<> SIZE=18446744073709551615"},
	        {"MAIL FROM:<> BODY=7BIT", NULL},
	        {"MAIL FROM:<>  body=8bitmime ", "MAIL FROM:<> BODY=8BITMIME"},
	        {"MAIL FROM:<> SMTPUTF8 BODY=BINARYMIME", "MAIL FROM:<> BODY=BINARYMIME SMTPUTF8"},
	        {"MAIL FROM:<> AUTH=<>", NULL},
	        {"MAIL FROM:<> AUTH=e+3Dmc2@example.com", NULL},
	        {"MAIL FROM:<> AUTH=<a@example.com>", "MAIL FROM:<> AUTH=a@example.com"},
	        {"MAIL FROM:<> RET=FULL ENVID=QQ314159", NULL},
	        {"MAIL FROM:<> RET=hdrs ENVID=a+2Bb+3D+20",
	         "MAIL FROM:<> RET=HDRS ENVID=a+2Bb+3D+20"},
	        {"MAIL FROM:<> SIZE=1 BODY=8BITMIME SMTPUTF8 AUTH=<> RET=HDRS ENVID=x", NULL},
	        {"RCPT TO:<a@example.org>", NULL},
	        {"RCPT TO:<Postmaster>", NULL},
	        {"RCPT TO:<postMASTER>", NULL},
	        {"RCPT TO:<a@example.org> NOTIFY=NEVER", NULL},
	        {"RCPT TO:<a@example.org> NOTIFY=success,FAILURE,delay",
	         "RCPT TO:<a@example.org> NOTIFY=SUCCESS,FAILURE,DELAY"},
	        {"RCPT TO:<a@example.org> ORCPT=rfc822;Bob@Example.com", NULL},
	        {"RCPT TO:<a@example.org> ORCPT=rfc822;a+2Bb+3Dc@example.com NOTIFY=DELAY",
	         "RCPT TO:<a@example.org> NOTIFY=DELAY ORCPT=rfc822;a+2Bb+3Dc@example.com"},
	        {"RCPT TO:<a@example.org> ORCPT=rfc822;+41",
	         "RCPT TO:<a@example.org> ORCPT=rfc822;A"},
	        {"RCPT TO:<a@example.org> ORCPT=utf-8;\\x{E9}@example.com", NULL},
	        {"RCPT TO:<a@example.org> ORCPT=utf-8;\xc3\xa9@example.com", NULL},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		CLEANUP(buf_done) struct buf out;
		buf_init(&out, 4096);
		const char *wanted = cases[i].printed ? cases[i].printed : cases[i].line;
		enum smtp_reply_id reply = parse_line(cases[i].line, true, &out);
		struct slice whole = buf_slice(&out);
		if (reply != SMTP_REPLY_NONE || whole.n < 2 ||
		    !slice_eq_str(slice_sub(whole, 0, whole.n - 2), wanted))
			fail_msg("%s: %d %.*s", cases[i].line, (int)reply, SLICE_FMT(whole));
	}
}

static void bad_lines_have_their_reply(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum smtp_reply_id reply;
	} cases[] = {
	        {"MAIL", SMTP_REPLY_BAD_ARGUMENT},
	        {"MAIL FROM", SMTP_REPLY_BAD_ARGUMENT},
	        {"MAIL FROM :<>", SMTP_REPLY_BAD_ARGUMENT},
	        {"MAIL <a@example.org>", SMTP_REPLY_BAD_ARGUMENT},
	        {"MAIL FROM:", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:a@example.org", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a@example.org", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:a@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<<a@example.org>>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:< a@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a@example.org >", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:< >", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a@>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<@x.example:>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<@x.example,a@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<@x.example,:a@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<@x.example a@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a@b@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a b@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a(c)@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a,b@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a\\@b@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\"a@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\"a\\", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\"a\"b@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a\"b\"@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\"a\tb\"@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\"a\\\tb\"@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a\x01@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a\x7f@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<postmaster>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a@example.org.>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a@ex ample.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<a@[192.0.2.1>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<" X64 X64 "x@example.org>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<" X64 X64 "@" MANY_A "." MANY_A ".>", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<ab@" MANY_A "." MANY_A "." MANY_A "." D60 ">", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<@" MANY_A "." MANY_A "." MANY_A "." MANY_A ".a:a@b>",
	         SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\xc3\xa9@example.org>", SMTP_REPLY_SENDER_NOT_ASCII},
	        {"MAIL FROM:<a@\xc3\xa9.example>", SMTP_REPLY_SENDER_NOT_ASCII},
	        {"MAIL FROM:<\xc3@example.org> SMTPUTF8", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\xc0\xaf@example.org> SMTPUTF8", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\xed\xa0\x80@example.org> SMTPUTF8", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\xf4\x90\x80\x80@example.org> SMTPUTF8", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\xe0\x80\x80@example.org> SMTPUTF8", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\xc2\x9b@example.org> SMTPUTF8", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<\"\\\xc3\xa9\"@example.org> SMTPUTF8", SMTP_REPLY_BAD_SENDER},
	        {"MAIL FROM:<>SIZE=1", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> =1", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> -X=1", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> S_ZE=1", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> SIZE", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> SIZE=", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> SIZE=1k", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> SIZE=-1", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> SIZE=000000000000000000001", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> BODY", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> BODY=", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> BODY=8BIT", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> SMTPUTF8=yes", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> SMTPUTF8=", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> AUTH", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> AUTH=", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> AUTH=a", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> AUTH=e=mc2@example.com", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> AUTH=a+0Ab@example.com", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> RET=ALL", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> RET", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> ENVID=", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> ENVID=a+", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> ENVID=a+2", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> ENVID=a+2b", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> ENVID=a=b", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> ENVID=a+0D+0Ab", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> ENVID=\xc3\xa9", SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> ENVID=" X64 X64, SMTP_REPLY_BAD_PARAMETER},
	        {"MAIL FROM:<> SIZE=1 size=2", SMTP_REPLY_DUPLICATE_PARAMETER},
	        {"MAIL FROM:<> BODY=7BIT BODY=7BIT", SMTP_REPLY_DUPLICATE_PARAMETER},
	        {"MAIL FROM:<> SMTPUTF8 SMTPUTF8", SMTP_REPLY_DUPLICATE_PARAMETER},
	        {"MAIL FROM:<> RET=FULL RET=HDRS", SMTP_REPLY_DUPLICATE_PARAMETER},
	        {"MAIL FROM:<> ENVID=a ENVID=a", SMTP_REPLY_DUPLICATE_PARAMETER},
	        {"MAIL FROM:<> AUTH=<> AUTH=<>", SMTP_REPLY_DUPLICATE_PARAMETER},
	        {"MAIL FROM:<> SOLICIT=x", SMTP_REPLY_UNKNOWN_PARAMETER},
	        {"MAIL FROM:<> ORCPT=rfc822;a@b", SMTP_REPLY_UNKNOWN_PARAMETER},
	        {"MAIL FROM:<> X", SMTP_REPLY_UNKNOWN_PARAMETER},
	        {"RCPT", SMTP_REPLY_BAD_ARGUMENT},
	        {"RCPT FROM:<a@example.org>", SMTP_REPLY_BAD_ARGUMENT},
	        {"RCPT TO:<>", SMTP_REPLY_BAD_RCPT},
	        {"RCPT TO:<Postmaster", SMTP_REPLY_BAD_RCPT},
	        {"RCPT TO:<hostmaster>", SMTP_REPLY_BAD_RCPT},
	        {"RCPT TO:<@x.example:Postmaster>", SMTP_REPLY_BAD_RCPT},
	        {"RCPT TO:Postmaster", SMTP_REPLY_BAD_RCPT},
	        {"RCPT TO:<a@example.org>,<b@example.org>", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> NOTIFY", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> NOTIFY=", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> NOTIFY=ALWAYS", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> NOTIFY=NEVER,SUCCESS", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> NOTIFY=SUCCESS,", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> NOTIFY=,SUCCESS", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=rfc822", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=rfc822;", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=;a@b", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=rfc(822;a@b", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=rfc822;a+0Ab", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=rfc822;\xc3\xa9", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=utf-8;\xc3", SMTP_REPLY_BAD_PARAMETER},
	        {"RCPT TO:<a@example.org> ORCPT=rfc822;a ORCPT=rfc822;a",
	         SMTP_REPLY_DUPLICATE_PARAMETER},
	        {"RCPT TO:<a@example.org> NOTIFY=NEVER NOTIFY=NEVER",
	         SMTP_REPLY_DUPLICATE_PARAMETER},
	        {"RCPT TO:<a@example.org> SIZE=1", SMTP_REPLY_UNKNOWN_PARAMETER},
	        {"RCPT TO:<a@example.org> SMTPUTF8", SMTP_REPLY_UNKNOWN_PARAMETER},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		CLEANUP(buf_done) struct buf out;
		buf_init(&out, 4096);
		enum smtp_reply_id reply = parse_line(cases[i].line, true, &out);
		if (reply != cases[i].reply)
			fail_msg("%s: %d, not %d", cases[i].line, (int)reply, (int)cases[i].reply);
	}
}

static void utf8_needs_smtputf8_at_rcpt(void **state)
{
	(void)state;
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(parse_line("RCPT TO:<\xc3\xa9@example.org>", false, &out),
	                 SMTP_REPLY_RCPT_NOT_ASCII);
	assert_int_equal(parse_line("RCPT TO:<a@\xc3\xa9.example>", false, &out),
	                 SMTP_REPLY_RCPT_NOT_ASCII);
	assert_int_equal(parse_line("RCPT TO:<a@b.example> ORCPT=utf-8;\xc3\xa9", false, &out),
	                 SMTP_REPLY_BAD_PARAMETER);
	assert_int_equal(out.n, 0);
}

static void a_used_up_arena_is_a_reply(void **state)
{
	(void)state;
	struct arena arena;
	struct smtp_mail mail;
	arena_init(&arena, 8);
	assert_int_equal(smtp_mail_parse(SLICE("FROM:<a123456789@example.org>"), &arena, &mail),
	                 SMTP_REPLY_ENVELOPE_TOO_LARGE);
	arena_done(&arena);
	arena_init(&arena, 16);
	assert_int_equal(smtp_mail_parse(SLICE("FROM:<> ENVID=a"), &arena, &mail), SMTP_REPLY_NONE);
	assert_int_equal(smtp_mail_parse(SLICE("FROM:<> ENVID=b"), &arena, &mail),
	                 SMTP_REPLY_ENVELOPE_TOO_LARGE);
	arena_done(&arena);
}

static void paths_compare_by_mailbox(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
	        {"a@example.org", "a@EXAMPLE.org", true},
	        {"a@example.org", "\"a\"@example.org", true},
	        {"a@example.org", "A@example.org", false},
	        {"a@example.org", "a@example.com", false},
	        {"a@example.org", "b@example.org", false},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct smtp_path a, b;
		arena_init(&arena, KIB);
		assert_true(is_ok(smtp_mailbox_parse(slice_str(cases[i].a), &arena, &a)));
		assert_true(is_ok(smtp_mailbox_parse(slice_str(cases[i].b), &arena, &b)));
		assert_int_equal(smtp_path_eq(&a, &b), cases[i].equal);
		struct smtp_path copy = smtp_path_copy(&a, &arena);
		assert_true(smtp_path_eq(&a, &copy));
		arena_done(&arena);
	}
}

/* --- verbs and BDAT --- */

static void verbs_are_words(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum smtp_verb verb;
		const char *argument;
	} cases[] = {
	        {"NOOP", SMTP_VERB_NOOP, ""},
	        {"nOoP", SMTP_VERB_NOOP, ""},
	        {"NOOP a  b \t", SMTP_VERB_NOOP, "a  b"},
	        {"EHLO x", SMTP_VERB_EHLO, "x"},
	        {"", SMTP_VERB_UNKNOWN, ""},
	        {" NOOP", SMTP_VERB_UNKNOWN, "NOOP"},
	        {"NOOPX", SMTP_VERB_UNKNOWN, ""},
	        {"NOO", SMTP_VERB_UNKNOWN, ""},
	        {"NOOP\tx", SMTP_VERB_UNKNOWN, ""},
	        {"MAILFROM:<>", SMTP_VERB_UNKNOWN, ""},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct smtp_command command = smtp_command_parse(slice_str(cases[i].line));
		assert_int_equal(command.verb, cases[i].verb);
		assert_true(slice_eq_str(command.argument, cases[i].argument));
	}
	assert_string_equal(smtp_verb_name(SMTP_VERB_BDAT), "BDAT");
}

static void chunk_sizes_are_exact(void **state)
{
	(void)state;
	static const char *const bad[] = {"",        " ",
	                                  "x",       "-1",
	                                  "+1",      "1x",
	                                  "0x10",    "1  LAST",
	                                  "1 LAS",   "1 LASTX",
	                                  "LAST",    "1 LAST x",
	                                  "1\tLAST", "18446744073709551616"};
	struct smtp_bdat bdat;
	assert_int_equal(smtp_bdat_parse(SLICE("0"), &bdat), SMTP_REPLY_NONE);
	assert_true(bdat.size == 0 && !bdat.last);
	assert_int_equal(smtp_bdat_parse(SLICE("0012 last"), &bdat), SMTP_REPLY_NONE);
	assert_true(bdat.size == 12 && bdat.last);
	assert_int_equal(smtp_bdat_parse(SLICE("18446744073709551615"), &bdat), SMTP_REPLY_NONE);
	assert_true(bdat.size == UINT64_MAX);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(smtp_bdat_parse(slice_str(bad[i]), &bdat), SMTP_REPLY_BAD_CHUNK);
}

static void other_protocols_are_known(void **state)
{
	(void)state;
	assert_true(smtp_is_foreign_protocol(SLICE("GET / HTTP/1.1")));
	assert_true(smtp_is_foreign_protocol(SLICE("PROPFIND /x HTTP/1.1")));
	assert_true(smtp_is_foreign_protocol(SLICE("\x16\x03\x01\x00")));
	assert_true(smtp_is_foreign_protocol(SLICE("SSH-2.0-x")));
	assert_false(smtp_is_foreign_protocol(SLICE("EHLO get.example")));
	assert_false(smtp_is_foreign_protocol(SLICE("\x16")));
	assert_false(smtp_is_foreign_protocol(SLICE("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(good_hosts_are_taken_apart),
	        cmocka_unit_test(bad_hosts_are_refused),
	        cmocka_unit_test(addresses_of_sockets_are_parsed),
	        cmocka_unit_test(good_lines_print_as_they_should),
	        cmocka_unit_test(bad_lines_have_their_reply),
	        cmocka_unit_test(utf8_needs_smtputf8_at_rcpt),
	        cmocka_unit_test(a_used_up_arena_is_a_reply),
	        cmocka_unit_test(paths_compare_by_mailbox),
	        cmocka_unit_test(verbs_are_words),
	        cmocka_unit_test(chunk_sizes_are_exact),
	        cmocka_unit_test(other_protocols_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
