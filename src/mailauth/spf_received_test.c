/* Received-SPF: the field as it should be, and what strangers put into it. */
#include "mailauth/spf_received.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static const uint8_t v4[4] = {192, 0, 2, 1};
static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

static struct spf_args args_of_test(void)
{
	return (struct spf_args){
	        .client_ip = slice_of(v4, 4),
	        .helo = SLICE("foo.example.com"),
	        .localpart = SLICE("myname"),
	        .domain = SLICE("example.com"),
	        .receiver = SLICE("mybox.example.org"),
	};
}

static struct spf_result result_of_test(void)
{
	return (struct spf_result){
	        .result = MAILAUTH_PASS,
	        .identity = SPF_MAILFROM,
	        .domain = "example.com",
	        .mechanism = "ip4:192.0.2.1",
	        .matched_in = "example.com",
	        .why = "example.com lets 192.0.2.1 send: ip4:192.0.2.1 in the record of "
	               "example.com",
	        .problem = "",
	        .explanation = "",
	};
}

static void check(const struct spf_args *args, const struct spf_result *result,
                  const char *expected)
{
	struct buf out;
	buf_init(&out, SPF_RECEIVED_MAX);
	assert_true(is_ok(spf_received_print(args, result, "secure", &out)));
	assert_string_equal(buf_cstr(&out), expected);
	buf_done(&out);
}

static void fields(void **state)
{
	(void)state;
	struct spf_args args = args_of_test();
	struct spf_result result = result_of_test();
	check(&args, &result,
	      "Received-SPF: pass (mybox.example.org: example.com lets 192.0.2.1 send:\r\n"
	      "\tip4:192.0.2.1 in the record of example.com; DNSSEC: secure)\r\n"
	      "\treceiver=mybox.example.org; identity=mailfrom; client-ip=192.0.2.1;\r\n"
	      "\tenvelope-from=\"myname@example.com\"; helo=foo.example.com;\r\n"
	      "\tmechanism=\"ip4:192.0.2.1\";\r\n");
	result.null_sender = true;
	result.result = MAILAUTH_PERMERROR;
	result.why = "so (it) is\\";
	result.problem = "a \"quoted\" \\ thing";
	result.mechanism = "";
	args.client_ip = slice_of(v6, 16);
	args.receiver = slice_empty();
	check(&args, &result,
	      "Received-SPF: permerror (unknown: so \\(it\\) is\\\\; DNSSEC: secure)\r\n"
	      "\treceiver=unknown; identity=mailfrom; client-ip=\"2001:db8::1\";\r\n"
	      "\tenvelope-from=\"<>\"; helo=foo.example.com;\r\n"
	      "\tproblem=\"a \\\"quoted\\\" \\\\ thing\";\r\n");
	result.problem = "the lookup of the record of bogus.example failed: nobody  knows why this "
	                 "should be as long as it is";
	check(&args, &result,
	      "Received-SPF: permerror (unknown: so \\(it\\) is\\\\; DNSSEC: secure)\r\n"
	      "\treceiver=unknown; identity=mailfrom; client-ip=\"2001:db8::1\";\r\n"
	      "\tenvelope-from=\"<>\"; helo=foo.example.com; problem=\"the lookup of the\r\n"
	      " record of bogus.example failed: nobody  knows why this should be as long as\r\n"
	      " it is\";\r\n");
	result.identity = SPF_HELO;
	result.problem = "";
	args.helo = SLICE("[192.0.2.1]");
	check(&args, &result,
	      "Received-SPF: permerror (unknown: so \\(it\\) is\\\\; DNSSEC: secure)\r\n"
	      "\treceiver=unknown; identity=helo; client-ip=\"2001:db8::1\";\r\n"
	      "\thelo=\"[192.0.2.1]\";\r\n");
}

static const char *pair(const char *key, struct slice helo, struct slice localpart, struct buf *out)
{
	struct spf_args args = args_of_test();
	struct spf_result result = result_of_test();
	args.helo = helo;
	args.localpart = localpart;
	buf_reset(out);
	assert_true(is_ok(spf_received_print(&args, &result, "none", out)));
	const char *at = strstr(buf_cstr(out), key);
	assert_non_null(at);
	return at;
}

static void strangers_words(void **state)
{
	static const struct {
		struct slice localpart;
		const char *field;
	} cases[] = {
	        {SLICE(""), "envelope-from=\"postmaster@example.com\"; "},
	        {SLICE("a b"), "envelope-from=\"\\\"a b\\\"@example.com\"; "},
	        {SLICE(".a"), "envelope-from=\"\\\".a\\\"@example.com\"; "},
	        {SLICE("a\r\nX: y"), "envelope-from=\"\\\"a??X: y\\\"@example.com\"; "},
	        {SLICE("a\0b"), "envelope-from=\"\\\"a?b\\\"@example.com\"; "},
	        {SLICE("a\\\"b"), "envelope-from=\"\\\"a\\\\\\\\\\\\\\\"b\\\"@example.com\"; "},
	        {SLICE("b\xc3\xbc"), "envelope-from=\"b\xc3\xbc@example.com\"; "},
	        {SLICE("b\xc3(\xff"), "envelope-from=\"b\xef\xbf\xbd(\xef\xbf\xbd@example.com\"; "},
	        {SLICE("b\xc3\xbc\r\n"), "envelope-from=\"b\xc3\xbc??@example.com\"; "},
	};
	struct buf out;
	(void)state;
	buf_init(&out, SPF_RECEIVED_MAX);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const char *at =
		        pair("envelope-from", SLICE("h.example"), cases[i].localpart, &out);
		assert_true(slice_starts(slice_str(at), slice_str(cases[i].field)));
	}
	const char *at = pair("helo=", SLICE("\xc3\xbc\r\n\0; x=\"y\""), SLICE("u"), &out);
	assert_true(slice_starts(slice_str(at), SLICE("helo=\"?????; x=\\\"y\\\"\";")));
	at = pair("helo=", SLICE(""), SLICE("u"), &out);
	assert_true(slice_starts(slice_str(at), SLICE("helo=\"\";")));
	at = pair("helo=", SLICE("a..b"), SLICE("u"), &out);
	assert_true(slice_starts(slice_str(at), SLICE("helo=\"a..b\";")));
	buf_done(&out);
}

/* Whatever comes: lines of at most 998 octets, each CRLF followed by a blank or at the end. */
static void lines_are_lines(void **state)
{
	struct buf out, long_text;
	(void)state;
	buf_init(&out, SPF_RECEIVED_MAX);
	buf_init(&long_text, 64 * KIB);
	for (int i = 0; i < 5000; i++)
		buf_add_byte(&long_text, '"');
	pair("helo=", buf_slice(&long_text), buf_slice(&long_text), &out);
	size_t column = 0;
	for (size_t i = 0; i < out.n; i++) {
		column = out.p[i] == '\n' ? 0 : column + 1;
		assert_in_range(column, 0, 999);
		if (out.p[i] == '\r')
			assert_true(
			        out.p[i + 1] == '\n' &&
			        (i + 2 == out.n || out.p[i + 2] == ' ' || out.p[i + 2] == '\t'));
	}
	struct spf_args args = args_of_test();
	struct spf_result result = result_of_test();
	struct buf small;
	buf_init(&small, 20);
	assert_int_equal(spf_received_print(&args, &result, "none", &small).code, ERR_LIMIT);
	buf_done(&small);
	buf_done(&long_text);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fields),
	        cmocka_unit_test(strangers_words),
	        cmocka_unit_test(lines_are_lines),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
