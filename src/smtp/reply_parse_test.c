/* Reply lines, enhanced codes and what EHLO announces. Whole replies are in client_test.c. */
#include "smtp/ehlo.h"
#include "smtp/reply_parse.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void lines(void **state)
{
	static const struct {
		const char *line;
		int code; /* 0: no reply line */
		bool more;
		const char *text;
	} cases[] = {
	        {"250 ok", 250, false, "ok"}, {"250-ok", 250, true, "ok"},
	        {"250", 250, false, ""},      {"250 ", 250, false, ""},
	        {"250-", 250, true, ""},      {"599 x", 599, false, "x"},
	        {"200 x", 200, false, "x"},   {"250  x ", 250, false, " x "},
	        {"", 0, false, NULL},         {"25", 0, false, NULL},
	        {"2500 x", 0, false, NULL},   {"250x", 0, false, NULL},
	        {"250\tx", 0, false, NULL},   {" 250 x", 0, false, NULL},
	        {"199 x", 0, false, NULL},    {"600 x", 0, false, NULL},
	        {"-50 x", 0, false, NULL},    {"2 50", 0, false, NULL},
	        {"0x1 x", 0, false, NULL},    {"+25 x", 0, false, NULL},
	        {"hello", 0, false, NULL},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct smtp_reply_line line = {.code = 0};
		bool good = is_ok(smtp_reply_line_parse(slice_str(cases[i].line), &line));
		assert_int_equal(good, cases[i].code != 0);
		assert_int_equal(line.code, cases[i].code);
		if (good) {
			assert_int_equal(line.more, cases[i].more);
			assert_true(slice_eq_str(line.text, cases[i].text));
		}
	}
}

static void enhanced_codes(void **state)
{
	static const struct {
		uint16_t code;
		const char *text, *enhanced, *rest;
	} cases[] = {
	        {550, "5.1.1 nobody", "5.1.1", "nobody"},
	        {550, "5.1.1", "5.1.1", ""},
	        {550, "5.999.999 x", "5.999.999", "x"},
	        {250, "2.0.0 x", "2.0.0", "x"},
	        {450, "4.10.0 x", "4.10.0", "x"},
	        {550, "4.1.1 x", "", "4.1.1 x"},
	        {550, "2.1.1 x", "", "2.1.1 x"},
	        {354, "3.0.0 x", "", "3.0.0 x"},
	        {550, "5.1 x", "", "5.1 x"},
	        {550, "5.1. x", "", "5.1. x"},
	        {550, "5..1 x", "", "5..1 x"},
	        {550, "5.1.1x", "", "5.1.1x"},
	        {550, "5.1.1.1 x", "", "5.1.1.1 x"},
	        {550, "5.1000.1 x", "", "5.1000.1 x"},
	        {550, "55.1.1 x", "", "55.1.1 x"},
	        {550, "5,1,1 x", "", "5,1,1 x"},
	        {550, "", "", ""},
	        {550, "5", "", "5"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char enhanced[SMTP_ENHANCED_SIZE];
		struct slice rest;
		bool found = smtp_enhanced_parse(cases[i].code, slice_str(cases[i].text), enhanced,
		                                 &rest);
		assert_int_equal(found, cases[i].enhanced[0] != 0);
		assert_string_equal(enhanced, cases[i].enhanced);
		assert_true(slice_eq_str(rest, cases[i].rest));
	}
}

#define BIT(name) (1u << SMTP_EXTENSION_##name)

static void ehlo_lines(void **state)
{
	static const struct {
		const char *lines; /* parted by newlines */
		uint32_t bits;
		uint64_t size_max;
		uint32_t mail_max, rcpt_max, domain_max;
		uint64_t by, hold;
	} cases[] = {
	        {"PIPELINING", BIT(PIPELINING)},
	        {"pipelining", BIT(PIPELINING)},
	        {"  PIPELINING  x y", BIT(PIPELINING)},
	        {"SIZE", BIT(SIZE)},
	        {"SIZE 0", BIT(SIZE)},
	        {"SIZE 1000", BIT(SIZE), 1000},
	        {"SIZE 99999999999999999999999", BIT(SIZE), UINT64_MAX},
	        {"SIZE -1", BIT(SIZE)},
	        {"SIZE 1k", BIT(SIZE)},
	        {"SIZE 1000\nSIZE 5", BIT(SIZE), 1000},
	        {"8BITMIME\nSMTPUTF8\nDSN\nCHUNKING\nBINARYMIME",
	         BIT(8BITMIME) | BIT(SMTPUTF8) | BIT(DSN) | BIT(CHUNKING) | BIT(BINARYMIME)},
	        {"LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1", BIT(LIMITS), 0, 5, 20, 1},
	        {"LIMITS rcptmax=20  OTHER=3", BIT(LIMITS), 0, 0, 20, 0},
	        {"LIMITS RCPTMAX=99999999999", BIT(LIMITS), 0, 0, UINT32_MAX, 0},
	        {"LIMITS RCPTMAX=-1 MAILMAX RCPTDOMAINMAX=", BIT(LIMITS)},
	        {"DELIVERBY", BIT(DELIVERBY)},
	        {"DELIVERBY 240", BIT(DELIVERBY), .by = 240},
	        {"DELIVERBY 240,x", BIT(DELIVERBY), .by = 240},
	        {"FUTURERELEASE 100 2030-01-01T00:00:00Z", BIT(FUTURERELEASE), .hold = 100},
	        {"STARTTLS\nREQUIRETLS\nMT-PRIORITY MIXER\nENHANCEDSTATUSCODES",
	         BIT(STARTTLS) | BIT(REQUIRETLS) | BIT(MT_PRIORITY) | BIT(ENHANCEDSTATUSCODES)},
	        {"PIPELININGS", 0},
	        {"X-PIPELINING", 0},
	        {"", 0},
	        {"   ", 0},
	        {"VRFY\nHELP\nXCLIENT NAME ADDR", 0},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct smtp_ehlo ehlo = {.extended = true};
		struct slice line, rest = slice_str(cases[i].lines);
		while (rest.n > 0) {
			(void)slice_cut(rest, '\n', &line, &rest);
			smtp_ehlo_line(&ehlo, line);
		}
		assert_int_equal(ehlo.bits, cases[i].bits);
		assert_true(ehlo.size_max == cases[i].size_max);
		assert_int_equal(ehlo.mail_max, cases[i].mail_max);
		assert_int_equal(ehlo.rcpt_max, cases[i].rcpt_max);
		assert_int_equal(ehlo.rcpt_domain_max, cases[i].domain_max);
		assert_true(ehlo.deliver_by_min_s == cases[i].by);
		assert_true(ehlo.hold_max_s == cases[i].hold);
	}
}

static void ehlo_auth(void **state)
{
	struct smtp_ehlo ehlo = {.extended = true};
	CLEANUP(buf_done) struct buf text;
	(void)state;
	buf_init(&text, 1000);
	smtp_ehlo_line(&ehlo, SLICE("AUTH=LOGIN PLAIN"));
	smtp_ehlo_line(&ehlo, SLICE("AUTH SCRAM-SHA-256 XOAUTH2"));
	smtp_ehlo_line(&ehlo, SLICE("AUTH=CRAM-MD5"));
	smtp_ehlo_line(&ehlo, SLICE("SIZE 10"));
	assert_true(sasl_mechanisms_have(ehlo.mechanisms, SASL_LOGIN));
	assert_true(sasl_mechanisms_have(ehlo.mechanisms, SASL_PLAIN));
	assert_true(sasl_mechanisms_have(ehlo.mechanisms, SASL_CRAM_MD5));
	assert_true(sasl_mechanisms_have(ehlo.mechanisms, SASL_SCRAM_SHA_256));
	assert_false(sasl_mechanisms_have(ehlo.mechanisms, SASL_SCRAM_SHA_1));
	smtp_ehlo_print(&ehlo, &text);
	assert_string_equal(buf_cstr(&text), "SIZE 10 AUTH");
}

static void ehlo_future_release(void **state)
{
	static const struct {
		const char *text;
		int64_t until;
	} cases[] = {
	        {"FUTURERELEASE 100 2030-01-01T00:00:00Z", 1893456000},
	        {"FUTURERELEASE 100 2030-01-01", 0},
	        {"FUTURERELEASE 100 2030-01-01T00:00:00+01:00", 0},
	        {"FUTURERELEASE 100 2030-13-01T00:00:00Z", 0},
	        {"FUTURERELEASE 100 soon", 0},
	        {"FUTURERELEASE 100", 0},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct smtp_ehlo ehlo = {.extended = true};
		smtp_ehlo_line(&ehlo, slice_str(cases[i].text));
		assert_true(ehlo.hold_until_max_s == cases[i].until);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lines),
	        cmocka_unit_test(enhanced_codes),
	        cmocka_unit_test(ehlo_lines),
	        cmocka_unit_test(ehlo_auth),
	        cmocka_unit_test(ehlo_future_release),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
