/* UTF-8, charsets, collations, NFC, modified UTF-7 and domain names. */
#include "text/charset.h"
#include "text/domain.h"
#include "text/fold.h"
#include "text/mutf7.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct buf out;

static int set_up(void **state)
{
	(void)state;
	buf_init(&out, 1000000);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_done(&out);
	return 0;
}

static void utf8_takes_shortest_forms_only(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "\x80",
	        "\xbf",
	        "\xc0\x80",
	        "\xc1\xbf",
	        "\xc3",
	        "\xc3(",
	        "\xe0\x80\x80",
	        "\xe0\x9f\xbf",
	        "\xed\xa0\x80",
	        "\xed\xbf\xbf",
	        "\xe2\x82",
	        "\xe2(\xac",
	        "\xf0\x80\x80\x80",
	        "\xf0\x8f\xbf\xbf",
	        "\xf4\x90\x80\x80",
	        "\xf5\x80\x80\x80",
	        "\xff",
	        "\xfe",
	        "\xf0\x9f\x98",
	        "aaaaaaaaaaaaaaaaa\xc3",
	};
	static const char *const good[] = {"",
	                                   "abc",
	                                   "\xc2\x80",
	                                   "\xdf\xbf",
	                                   "\xe0\xa0\x80",
	                                   "\xed\x9f\xbf",
	                                   "\xee\x80\x80",
	                                   "\xef\xbf\xbf",
	                                   "\xf0\x90\x80\x80",
	                                   "\xf4\x8f\xbf\xbf",
	                                   "aaaaaaaaaaaaaaaaaaaaaaa\xc3\xa4zzzzzzzzzzzzzz"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_false(utf8_valid(slice_str(bad[i])));
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		assert_true(utf8_valid(slice_str(good[i])));
}

static void every_codepoint_round_trips(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x110000; c += c < 0x3000 ? 1 : 61) {
		uint8_t bytes[4];
		size_t n = utf8_encode(c, bytes), n_read;
		uint32_t read;
		assert_int_equal(utf8_decode(slice_of(bytes, n), &read, &n_read), UTF8_OK);
		assert_int_equal(n_read, n);
		bool scalar = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
		assert_int_equal(read, scalar ? c : UTF8_REPLACEMENT);
	}
}

static void invalid_utf8_is_replaced_by_maximal_subparts(void **state)
{
	(void)state;
	/* The example of the Unicode standard, section 3.9, table 3-8. */
	utf8_add_valid(&out, SLICE("a\xf1\x80\x80\xe1\x80\xc2"
	                           "b\x80"
	                           "c\x80\xbf"
	                           "d"));
	assert_string_equal(buf_cstr(&out), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
	                                    "b\xef\xbf\xbd"
	                                    "c\xef\xbf\xbd\xef\xbf\xbd"
	                                    "d");
	assert_true(slice_eq_str(utf8_cut(SLICE("a\xc3\xa4"), 2), "a"));
	assert_true(slice_eq_str(utf8_cut(SLICE("a\xc3\xa4"), 3), "a\xc3\xa4"));
	assert_int_equal(utf8_cut(SLICE("\xe2\x82\xac"), 1).n, 0);
}

#define FFFD "\xef\xbf\xbd"

static const struct {
	const char *charset, *in, *expect;
} charsets[] = {
        {"utf-8", "a\xc3\xa4", "a\xc3\xa4"},
        {"UTF8", "\xe2\x82\xac", "\xe2\x82\xac"},
        {" 'utf-8' ", "\xe2\x82\xac", "\xe2\x82\xac"},
        {"utf-8", "a\xff\xe2\x82", "a" FFFD FFFD},
        {"us-ascii", "abc", "abc"},
        {"us-ascii", "\xc3\xa4\xe4", "\xc3\xa4\xc3\xa4"},
        {"", "\xe4\x80", "\xc3\xa4\xe2\x82\xac"},
        {"unknown-8bit", "\xe2\x82\xac", "\xe2\x82\xac"},
        {"iso-8859-1", "\xe4\x80\x81", "\xc3\xa4\xe2\x82\xac" FFFD},
        {"Latin1", "\xff", "\xc3\xbf"},
        {"windows-1252", "\x93", "\xe2\x80\x9c"},
        {"iso-8859-2", "\xb1", "\xc4\x85"},
        {"ISO8859-15", "\xa4", "\xe2\x82\xac"},
        {"windows-1251", "\xcf\xf0", "\xd0\x9f\xd1\x80"},
        {"windows1251", "\xcf", "\xd0\x9f"},
        {"cp-1251", "\xcf", "\xd0\x9f"},
        {"x-cp1251", "\xcf", "\xd0\x9f"},
        {"koi8-r", "\xf0", "\xd0\x9f"},
        {"gb2312", "\xc4\xe3", "\xe4\xbd\xa0"},
        {"gbk", "\x81\x40", "\xe4\xb8\x82"},
        {"big5", "\xa7\x41", "\xe4\xbd\xa0"},
        {"shift_jis", "\x82\xa0\x81", "\xe3\x81\x82" FFFD},
        {"x-sjis", "\x87\x40", "\xe2\x91\xa0"},
        {"euc-jp", "\xa4\xa2", "\xe3\x81\x82"},
        {"iso-2022-jp", "\x1b$B$\"\x1b(Bx", "\xe3\x81\x82x"},
        {"euc-kr", "\xb0\xa1", "\xea\xb0\x80"},
        {"ks_c_5601-1987", "\x81\x41", "\xea\xb0\x82"},
        {"iso-2022-kr", "\x1b$)C\x0e\x30\x21\x0f", "\xea\xb0\x80"},
        {"utf-16le", "a", FFFD},
        {"utf-16be", "\xd8\x3d\xde\x01", "\xf0\x9f\x98\x81"},
        {"utf-7", "A+AOQ-", "A\xc3\xa4"},
        /* RFC 2152, "Examples"; then shifts that end by a character, by the end, by "--" */
        {"utf-7", "Hi Mom -+Jjo--!", "Hi Mom -\xe2\x98\xba-!"},
        {"UTF7", "+ZeVnLIqe-", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
        {"unicode-1-1-utf-7", "1 +- 1 = 2", "1 + 1 = 2"},
        {"utf-7", "A+AOQ.", "A\xc3\xa4."},
        {"utf-7", "A+AOQ", "A\xc3\xa4"},
        {"utf-7", "+2D3cqQ-", "\xf0\x9f\x92\xa9"}, /* a surrogate pair */
        /* wrong: 8-bit, nothing shifted, half a pair, halves in the wrong order, bits left over */
        {"utf-7", "a\xa9", "a\xef\xbf\xbd"},
        {"utf-7", "a+.", "a\xef\xbf\xbd."},
        {"utf-7", "a+", "a\xef\xbf\xbd"},
        {"utf-7", "+2D0-x", "\xef\xbf\xbdx"},
        {"utf-7", "+3KnYPQ-", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"utf-7", "+AOR-", "\xc3\xa4\xef\xbf\xbd"},
        {"utf-7", "+AA-", "\xef\xbf\xbd"},
        {"iso-8859-8-i", "\xe0", "\xd7\x90"},
        {"tis-620", "\xa1", "\xe0\xb8\x81"},
};

static void charsets_decode_at_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(charsets); i++) {
		struct slice in = slice_str(charsets[i].in);
		for (size_t at = 0; at <= in.n; at++) {
			struct text_decoder decoder;
			assert_true(
			        is_ok(text_decoder_init(&decoder, slice_str(charsets[i].charset))));
			buf_reset(&out);
			text_decoder_feed(&decoder, slice_sub(in, 0, at), &out);
			text_decoder_feed(&decoder, slice_from(in, at), &out);
			text_decoder_finish(&decoder, &out);
			text_decoder_done(&decoder);
			if (!slice_eq_str(buf_slice(&out), charsets[i].expect))
				print_error("%s split %zu\n", charsets[i].charset, at);
			assert_string_equal(buf_cstr(&out), charsets[i].expect);
		}
	}
}

static void names_that_are_none_are_unsupported_and_guessed(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "nonsense",
	        "utf-8//IGNORE",
	        "utf-8//TRANSLIT",
	        "../x",
	        "INTERNAL",
	        "wchar_t",
	        "a b",
	        "utf-8\n",
	        "0123456789012345678901234567890123456789012345678901234567890"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		buf_reset(&out);
		struct status status = text_decode(slice_str(bad[i]), SLICE("x\xe4"), &out);
		assert_int_equal(status.code == ERR_UNSUPPORTED, i != 7);
		if (i != 7)
			assert_string_equal(buf_cstr(&out), "x\xc3\xa4");
	}
	assert_false(text_charset_known(SLICE("a\0b")));
}

static void long_input_is_decoded_whole(void **state)
{
	(void)state;
	CLEANUP(base_freep) uint8_t *in = base_alloc(200000);
	memset(in, 0xcf, 200000);
	assert_true(is_ok(text_decode(SLICE("windows-1251"), slice_of(in, 200000), &out)));
	assert_int_equal(out.n, 400000);
	assert_true(utf8_valid(buf_slice(&out)));
}

/* With no file descriptor to be had, nothing can be loaded any more: as in a sandbox. */
static void warm_charsets_need_no_files(void **state)
{
	(void)state;
	struct text_charsets *loaded = text_charsets_warm();
	assert_true(text_charsets_count(loaded) >= 40);
	struct rlimit before, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	size_t n_known = 0;
	for (size_t i = 0; i < N_ELEMENTS(charsets); i++) {
		buf_reset(&out);
		n_known += is_ok(text_decode(slice_str(charsets[i].charset),
		                             slice_str(charsets[i].in), &out)) &&
		           slice_eq_str(buf_slice(&out), charsets[i].expect);
	}
	/* One that nobody warmed cannot be loaded: the test sees what it claims. */
	bool cold = text_charset_known(SLICE("IBM1047"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(n_known, N_ELEMENTS(charsets));
	assert_false(cold);
	assert_true(text_charset_known(SLICE("IBM1047")));
	text_charsets_free(loaded);
	text_charsets_free(NULL);
}

static void casemap_makes_equal_what_is_equal(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
	        {"hello", "HeLLo"},
	        {"\xc3\xa4", "\xc3\x84"},  /* a umlaut, A umlaut */
	        {"\xc3\xa4", "a\xcc\x88"}, /* precomposed, decomposed */
	        {"\xef\xac\x81", "FI"},    /* the ligature decomposes, compatible */
	        {"\xea\xb0\x80", "\xe1\x84\x80\xe1\x85\xa1"}, /* Hangul */
	        {"\xc7\x86", "\xc7\x84"},                     /* dz with caron: title case */
	        {"\xd0\xbf", "\xd0\x9f"},
	        {"\xef\xbd\x81", "A"}, /* full width */
	        {"\xff", "\xef\xbf\xbd"},
	};
	struct buf other;
	buf_init(&other, 1000);
	for (size_t i = 0; i < N_ELEMENTS(pairs); i++) {
		buf_reset(&out);
		buf_reset(&other);
		text_unicode_casemap(slice_str(pairs[i][0]), &out);
		text_unicode_casemap(slice_str(pairs[i][1]), &other);
		/* The ligature's letters are made after its case was: they stay small. */
		bool ligature = i == 3;
		assert_int_equal(slice_eq(buf_slice(&out), buf_slice(&other)), !ligature);
		assert_true(utf8_valid(buf_slice(&out)));
	}
	buf_reset(&out);
	text_unicode_casemap(SLICE("\xef\xb7\xba"), &out); /* the longest: 18 characters */
	assert_int_equal(out.n, 33);
	buf_reset(&out);
	text_ascii_casemap(SLICE("a\xc3\xa4\xffz"), &out);
	assert_string_equal(buf_cstr(&out), "A\xc3\xa4\xffZ");
	buf_done(&other);
}

static void nfc_composes(void **state)
{
	(void)state;
	assert_true(is_ok(text_nfc(SLICE("a\xcc\x88x"), &out)));
	assert_string_equal(buf_cstr(&out), "\xc3\xa4x");
	assert_true(text_is_nfc(SLICE("\xc3\xa4")));
	assert_true(text_is_nfc(SLICE("")));
	assert_false(text_is_nfc(SLICE("a\xcc\x88")));
	assert_false(text_is_nfc(SLICE("\xff")));
	assert_int_equal(text_nfc(SLICE("\xff"), &out).code, ERR_SYNTAX);
}

static void modified_utf7_has_one_spelling(void **state)
{
	(void)state;
	static const char *const good[][2] = {
	        {"", ""},
	        {"INBOX", "INBOX"},
	        {"&-", "&"},
	        {"a&-b&-", "a&b&"},
	        {"Entw&APw-rfe", "Entw\xc3\xbcrfe"},
	        {"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
	         "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
	        {"&2D3eAA-", "\xf0\x9f\x98\x80"},
	        {"&AAA-", NULL},
	        {"&AOQ-&-", "\xc3\xa4&"},
	};
	static const char *const bad[] = {
	        "&",      "&AOQ",  "a\tb",     "\xc3\xa4",  "&AOQ-&AOQ-", "&AGE-", "&Jjo!",
	        "&AOQA-", "&A-",   "&AO-",     "&AOR-",     "&2D0-",      "&3gA-", "&2D0AYQ-",
	        "&AOQ=-", "&AO/-", "&U,BTFx-", "&Jjo-&-x&", "&AOQAYQ-",   "x\x7f",
	};
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		buf_reset(&out);
		assert_true(is_ok(text_mutf7_decode(slice_str(good[i][0]), &out)));
		struct slice text = good[i][1] ? slice_str(good[i][1]) : SLICE("\0");
		assert_true(slice_eq(buf_slice(&out), text));
		buf_reset(&out);
		assert_true(is_ok(text_mutf7_encode(text, &out)));
		assert_string_equal(buf_cstr(&out), good[i][0]);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		if (is_ok(text_mutf7_decode(slice_str(bad[i]), &out)))
			print_error("accepted: %s\n", bad[i]);
		assert_int_equal(text_mutf7_decode(slice_str(bad[i]), &out).code, ERR_SYNTAX);
	}
	assert_int_equal(text_mutf7_encode(SLICE("\xff"), &out).code, ERR_SYNTAX);
}

static const struct {
	const char *name, *ascii, *unicode; /* ascii NULL: refused, "lax": only strictly */
} domains[] = {
        {"example.com", "example.com", "example.com"},
        {"EXAMPLE.Com", "example.com", "example.com"},
        {"localhost", "localhost", "localhost"},
        {"B\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example",
         "b\xc3\xbc"
         "cher.example"},
        {"XN--bcher-kva.example", "xn--bcher-kva.example",
         "b\xc3\xbc"
         "cher.example"},
        {"fa\xc3\x9f.de", "xn--fa-hia.de", "fa\xc3\x9f.de"},
        {"bu\xcc\x88"
         "cher.example",
         "xn--bcher-kva.example",
         "b\xc3\xbc"
         "cher.example"},
        {"a_b.example", "lax", "a_b.example"},
        {"_dmarc.example", "lax", "_dmarc.example"},
        {"", NULL, NULL},
        {".", NULL, NULL},
        {"example.com.", NULL, NULL},
        {".example.com", NULL, NULL},
        {"a..b", NULL, NULL},
        {"-a.example", NULL, NULL},
        {"a-.example", NULL, NULL},
        {"a b.example", NULL, NULL},
        {"a@b.example", NULL, NULL},
        {"192.0.2.1", NULL, NULL},
        {"1", NULL, NULL},
        {"[192.0.2.1]", NULL, NULL},
        {"\xff.example", NULL, NULL},
        {"\xe2\x98\x83\n.example", NULL, NULL},
        {"xn--a.example", NULL, NULL},
        {"xn---.example", NULL, NULL},
        {"\xc3\xa4"
         "*.example",
         NULL, NULL},
        {"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd.example", NULL, NULL},
};

static void domain_names_come_in_both_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(domains); i++) {
		struct slice name = slice_str(domains[i].name);
		struct text_domain domain;
		bool lax_only = domains[i].ascii && strcmp(domains[i].ascii, "lax") == 0;
		bool ok = is_ok(text_domain_parse(name, TEXT_DOMAIN_STRICT, &domain));
		if (ok != (domains[i].ascii && !lax_only))
			print_error("domain %s\n", domains[i].name);
		assert_int_equal(ok, domains[i].ascii && !lax_only);
		ok = is_ok(text_domain_parse(name, TEXT_DOMAIN_LAX, &domain));
		assert_int_equal(ok, domains[i].ascii != NULL);
		if (ok && !lax_only)
			assert_string_equal(domain.ascii, domains[i].ascii);
		if (ok)
			assert_string_equal(domain.unicode, domains[i].unicode);
	}
	struct text_domain domain;
	assert_false(is_ok(text_domain_parse(SLICE("a\0b"), TEXT_DOMAIN_LAX, &domain)));
	char name[300];
	memset(name, 'a', sizeof(name));
	for (size_t i = 50; i < sizeof(name); i += 51)
		name[i] = '.';
	assert_true(is_ok(text_domain_parse(slice_of(name, 253), TEXT_DOMAIN_STRICT, &domain)));
	assert_false(is_ok(text_domain_parse(slice_of(name, 254), TEXT_DOMAIN_STRICT, &domain)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(utf8_takes_shortest_forms_only),
	        cmocka_unit_test(every_codepoint_round_trips),
	        cmocka_unit_test_setup_teardown(invalid_utf8_is_replaced_by_maximal_subparts,
	                                        set_up, tear_down),
	        cmocka_unit_test_setup_teardown(charsets_decode_at_every_split, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(names_that_are_none_are_unsupported_and_guessed,
	                                        set_up, tear_down),
	        cmocka_unit_test_setup_teardown(long_input_is_decoded_whole, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(warm_charsets_need_no_files, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(casemap_makes_equal_what_is_equal, set_up,
	                                        tear_down),
	        cmocka_unit_test_setup_teardown(nfc_composes, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(modified_utf7_has_one_spelling, set_up, tear_down),
	        cmocka_unit_test(domain_names_come_in_both_forms),
	};
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
