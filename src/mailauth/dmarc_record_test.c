/* DMARC records: what counts, what an error costs, what is printed. */
#include "mailauth/dmarc_record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

/* "[policy|reports|nothing] record {where: why} ..." or "(why)" of what is none. */
static void describe(struct slice text, struct arena *arena, struct buf *out)
{
	static const char *const uses[] = {"[policy] ", "[reports] ", "[nothing] "};
	struct dmarc_record record;
	struct status status = dmarc_record_parse(text, arena, &record);
	if (!is_ok(status)) {
		buf_printf(out, "(%s)", status.why);
		return;
	}
	buf_add_str(out, uses[record.use]);
	dmarc_record_print(&record, out);
	for (size_t i = 0; i < record.n_defects; i++)
		buf_printf(out, " {%s: %s}", record.defects[i].where, record.defects[i].why);
}

static void check_text(struct slice text, const char *expected)
{
	struct arena arena;
	struct buf got;
	arena_init(&arena, MIB);
	buf_init(&got, MIB);
	describe(text, &arena, &got);
	assert_string_equal(buf_cstr(&got), expected);
	buf_done(&got);
	arena_done(&arena);
}

static void check(const char *text, const char *expected)
{
	check_text(slice_str(text), expected);
}

/* RFC 7489 appendix B.2, RFC 9989 appendix B.2 and B.3. */
static void examples_of_the_rfcs_are_read(void **state)
{
	static const char *const records[] = {
	        "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com",
	        "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; "
	        "ruf=mailto:auth-reports@example.com",
	        "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; "
	        "ruf=mailto:auth-reports@thirdparty.example.net",
	        "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,"
	        "mailto:tld-test@thirdparty.example.net!10m; pct=25",
	        "v=DMARC1; p=quarantine; t=y; rua=mailto:dmarc-feedback@example.com,"
	        "mailto:tld-test@thirdparty.example.net",
	        "v=DMARC1; p=reject; rua=mailto:dmarc-feedback@example.com,"
	        "mailto:tld-test@thirdparty.example.net",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(records); i++) {
		char expected[400];
		snprintf(expected, sizeof(expected), "[policy] %s", records[i]);
		check(records[i], expected);
	}
	check("v=DMARC1; p=reject; aspf=r; rua=mailto:dmarc-feedback@example.com",
	      "[policy] v=DMARC1; p=reject; rua=mailto:dmarc-feedback@example.com");
	/* what authorises reports */
	check("v=DMARC1", "[nothing] v=DMARC1");
	check("v=DMARC1;", "[nothing] v=DMARC1");
	check("v=DMARC1; rua=mailto:aggregate-reports@thirdparty.example.net; "
	      "ruf=mailto:failure-reports@thirdparty.example.net",
	      "[reports] v=DMARC1; rua=mailto:aggregate-reports@thirdparty.example.net; "
	      "ruf=mailto:failure-reports@thirdparty.example.net");
}

static void tags_are_read(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
	        {"v=DMARC1;p=none", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1;p=none;", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1 ; p = reject ; sp=\tquarantine;np=none ; ",
	         "[policy] v=DMARC1; p=reject; sp=quarantine; np=none"},
	        {" v\t= DMARC1;p=none", "[policy] v=DMARC1; p=none"},
	        {"V=DMARC1;P=Reject;ADKIM=S", "[policy] v=DMARC1; p=reject; adkim=s"},
	        {"v=DMARC1;sp=reject;p=none", "[policy] v=DMARC1; p=none; sp=reject"},
	        {"v=DMARC1;adkim=s;aspf=s;p=none", "[policy] v=DMARC1; p=none; adkim=s; aspf=s"},
	        {"v=DMARC1;adkim=r;aspf=r;p=none", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1;p=none;psd=y", "[policy] v=DMARC1; p=none; psd=y"},
	        {"v=DMARC1;p=none;psd=n", "[policy] v=DMARC1; p=none; psd=n"},
	        {"v=DMARC1;p=none;psd=u", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1;p=none;t=y", "[policy] v=DMARC1; p=none; t=y"},
	        {"v=DMARC1;p=none;t=n", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1;p=none;fo=0", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1;p=none;fo=1", "[policy] v=DMARC1; p=none; fo=1"},
	        {"v=DMARC1;p=none;fo=s:0:d", "[policy] v=DMARC1; p=none; fo=0:d:s"},
	        {"v=DMARC1;p=none;fo=d", "[policy] v=DMARC1; p=none; fo=d"},
	        {"v=DMARC1;p=none;fo= 1 : d : s ", "[policy] v=DMARC1; p=none; fo=1:d:s"},
	        {"v=DMARC1;p=none;fo=0:1:d:s",
	         "[policy] v=DMARC1; p=none; fo=1:d:s {fo: 0 and 1 exclude each other; 1 "
	         "counts}"},
	        {"v=DMARC1;p=none;pct=0", "[policy] v=DMARC1; p=none; pct=0"},
	        {"v=DMARC1;p=none;pct=100", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1;p=none;ri=3600;rf=afrf", "[policy] v=DMARC1; p=none; ri=3600"},
	        {"v=DMARC1;p=none;rf=iodef:AFRF", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1;p=none;ri=4294967295", "[policy] v=DMARC1; p=none; ri=4294967295"},
	        /* unknown tags */
	        {"v=DMARC1;p=none;x=y;x=z;future_1=a b", "[policy] v=DMARC1; p=none"},
	        {"v=DMARC1;ap=reject;p=none", "[policy] v=DMARC1; p=none"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].text, cases[i].expected);
}

static void what_is_no_record_is_none(void **state)
{
	static const char *const texts[] = {
	        "",
	        ";",
	        "v",
	        "v=",
	        "v=DMARC",
	        "v=DMARC12; p=none",
	        "v=dmarc1; p=none",
	        "v=Dmarc1; p=none",
	        "v=DMARC1 p=none",
	        "v=DMARC1, p=none",
	        "v=DMARC1.0; p=none",
	        "v=D MARC1; p=none",
	        "v=DMARC1=; p=none",
	        "p=none; v=DMARC1",
	        ";v=DMARC1; p=none",
	        "vv=DMARC1; p=none",
	        "v:DMARC1; p=none",
	        "\"v=DMARC1; p=none\"",
	        "v=spf1 -all",
	        "\xef\xbb\xbfv=DMARC1; p=none",
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		check(texts[i], "(not a DMARC record)");
		assert_false(dmarc_record_is(slice_str(texts[i])));
	}
	check_text(SLICE("v=DMARC1\0; p=none"), "(not a DMARC record)");
}

static void errors_cost_their_tag_only(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
	        {"v=DMARC1;;p=none", "[policy] v=DMARC1; p=none {: an empty tag}"},
	        {"v=DMARC1;p=none;;", "[policy] v=DMARC1; p=none {: an empty tag}"},
	        {"v=DMARC1;p=none;rubbish",
	         "[policy] v=DMARC1; p=none {rubbish: a tag without '='}"},
	        {"v=DMARC1;p=none;=x", "[policy] v=DMARC1; p=none {=x: a tag without a name}"},
	        {"v=DMARC1;p=none;a=\x01",
	         "[policy] v=DMARC1; p=none {a=\\01: a byte that no tag's value may have}"},
	        {"v=DMARC1;p=none;v=DMARC1", "[policy] v=DMARC1; p=none {v: occurs twice}"},
	        {"v=DMARC1;p=none;t=yes", "[policy] v=DMARC1; p=none {t: not y or n}"},
	        {"v=DMARC1;p=none;t=", "[policy] v=DMARC1; p=none {t: not y or n}"},
	        {"v=DMARC1;p=none;t=y;t=y", "[policy] v=DMARC1; p=none {t: occurs twice}"},
	        {"v=DMARC1;p=none;psd=x", "[policy] v=DMARC1; p=none {psd: not y, n or u}"},
	        {"v=DMARC1;p=none;psd=y;PSD=n", "[policy] v=DMARC1; p=none {psd: occurs twice}"},
	        {"v=DMARC1;p=none;adkim=strict", "[policy] v=DMARC1; p=none {adkim: not r or s}"},
	        {"v=DMARC1;p=none;aspf=rs", "[policy] v=DMARC1; p=none {aspf: not r or s}"},
	        {"v=DMARC1;p=none;fo=2",
	         "[policy] v=DMARC1; p=none {fo: not a list of 0, 1, d and s}"},
	        {"v=DMARC1;p=none;fo=1:",
	         "[policy] v=DMARC1; p=none {fo: not a list of 0, 1, d and s}"},
	        {"v=DMARC1;p=none;fo=1,d",
	         "[policy] v=DMARC1; p=none {fo: not a list of 0, 1, d and s}"},
	        {"v=DMARC1;p=none;fo=d:d",
	         "[policy] v=DMARC1; p=none {fo: not a list of 0, 1, d and s}"},
	        {"v=DMARC1;p=none;pct=101",
	         "[policy] v=DMARC1; p=none {pct: not a number from 0 to 100}"},
	        {"v=DMARC1;p=none;pct=-1",
	         "[policy] v=DMARC1; p=none {pct: not a number from 0 to 100}"},
	        {"v=DMARC1;p=none;pct=0100",
	         "[policy] v=DMARC1; p=none {pct: not a number from 0 to 100}"},
	        {"v=DMARC1;p=none;pct=50%",
	         "[policy] v=DMARC1; p=none {pct: not a number from 0 to 100}"},
	        {"v=DMARC1;p=none;ri=4294967296",
	         "[policy] v=DMARC1; p=none {ri: not a number of seconds}"},
	        {"v=DMARC1;p=none;rf=iodef",
	         "[policy] v=DMARC1; p=none {rf: no format that is known}"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].text, cases[i].expected);
}

/* RFC 9989 section 4.10.1. */
static void wrong_policies_leave_reports_or_nothing(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
	        {"v=DMARC1; sp=reject", "[nothing] v=DMARC1"},
	        {"v=DMARC1; p=", "[nothing] v=DMARC1 {p: not none, quarantine or reject}"},
	        {"v=DMARC1; p=monitor", "[nothing] v=DMARC1 {p: not none, quarantine or reject}"},
	        {"v=DMARC1; p=reject; p=reject", "[nothing] v=DMARC1 {p: occurs twice}"},
	        {"v=DMARC1; p=reject; sp=x",
	         "[nothing] v=DMARC1 {sp: not none, quarantine or reject}"},
	        {"v=DMARC1; p=reject; np=x",
	         "[nothing] v=DMARC1 {np: not none, quarantine or reject}"},
	        {"v=DMARC1; p=reject; sp=none; sp=none", "[nothing] v=DMARC1 {sp: occurs twice}"},
	        {"v=DMARC1; rua=mailto:a@b.example", "[reports] v=DMARC1; rua=mailto:a@b.example"},
	        {"v=DMARC1; p=monitor; rua=mailto:a@b.example",
	         "[reports] v=DMARC1; rua=mailto:a@b.example {p: not none, quarantine or "
	         "reject}"},
	        {"v=DMARC1; p=reject; sp=x; rua=https://b.example/x",
	         "[reports] v=DMARC1; rua=https://b.example/x {sp: not none, quarantine or "
	         "reject}"},
	        {"v=DMARC1; p=x; rua=b.example",
	         "[nothing] v=DMARC1 {p: not none, quarantine or reject} "
	         "{rua: a URI without a scheme, such as mailto:} "
	         "{rua: no URI that can be understood}"},
	        {"v=DMARC1; p=x; ruf=mailto:a@b.example",
	         "[nothing] v=DMARC1; ruf=mailto:a@b.example {p: not none, quarantine or "
	         "reject}"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].text, cases[i].expected);
}

static void policies_fall_back(void **state)
{
	static const struct {
		const char *text, *domain, *subdomain, *nonexistent;
	} cases[] = {
	        {"v=DMARC1; p=reject", "p=reject", "p=reject", "p=reject"},
	        {"v=DMARC1; p=reject; sp=none", "p=reject", "sp=none", "sp=none"},
	        {"v=DMARC1; p=none; np=reject", "p=none", "p=none", "np=reject"},
	        {"v=DMARC1; p=none; sp=quarantine; np=reject", "p=none", "sp=quarantine",
	         "np=reject"},
	        {"v=DMARC1; rua=mailto:a@b.example; sp=reject", "=none", "=none", "=none"},
	};
	struct arena arena;
	(void)state;
	arena_init(&arena, 256 * KIB);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const char *const expected[] = {cases[i].domain, cases[i].subdomain,
		                                cases[i].nonexistent};
		struct dmarc_record record;
		assert_int_equal(dmarc_record_parse(slice_str(cases[i].text), &arena, &record).code,
		                 ERR_OK);
		for (size_t scope = 0; scope < N_ELEMENTS(expected); scope++) {
			const char *tag;
			char got[40];
			enum dmarc_policy policy =
			        dmarc_record_policy(&record, (enum dmarc_scope)scope, &tag);
			snprintf(got, sizeof(got), "%s=%s", tag, dmarc_policy_name(policy));
			assert_string_equal(got, expected[scope]);
		}
	}
	arena_done(&arena);
}

/* --- URIs --- */

/* "URI <address> limit" of each, then the defects. */
static void check_uris(const char *value, const char *expected)
{
	struct arena arena;
	struct buf got, text;
	struct dmarc_record record;
	arena_init(&arena, MIB);
	buf_init(&got, MIB);
	buf_init(&text, MIB);
	buf_printf(&text, "v=DMARC1; p=none; rua=%s", value);
	assert_int_equal(dmarc_record_parse(buf_slice(&text), &arena, &record).code, ERR_OK);
	for (size_t i = 0; i < record.rua.n; i++) {
		const struct dmarc_uri *uri = &record.rua.v[i];
		buf_printf(&got, "[%.*s ", SLICE_FMT(uri->text));
		if (!dmarc_uri_address(uri, &got))
			buf_add_str(&got, "-");
		if (uri->has_limit)
			buf_printf(&got, " %" PRIu64, uri->limit);
		buf_add_str(&got, "]");
	}
	for (size_t i = 0; i < record.n_defects; i++)
		buf_printf(&got, "{%s}", record.defects[i].why);
	assert_string_equal(buf_cstr(&got), expected);
	buf_done(&text);
	buf_done(&got);
	arena_done(&arena);
}

static void uris_are_read(void **state)
{
	static const struct {
		const char *value, *expected;
	} cases[] = {
	        {"mailto:a@b.example", "[mailto:a@b.example <a@b.example>]"},
	        {"MAILTO:a@B.Example", "[MAILTO:a@B.Example <a@b.example>]"},
	        {"mailto:a@b.example , mailto:c@d.example",
	         "[mailto:a@b.example <a@b.example>][mailto:c@d.example <c@d.example>]"},
	        {"mailto:a@b.example!10", "[mailto:a@b.example <a@b.example> 10]"},
	        {"mailto:a@b.example!10k", "[mailto:a@b.example <a@b.example> 10240]"},
	        {"mailto:a@b.example!10M", "[mailto:a@b.example <a@b.example> 10485760]"},
	        {"mailto:a@b.example!1g", "[mailto:a@b.example <a@b.example> 1073741824]"},
	        {"mailto:a@b.example!1t", "[mailto:a@b.example <a@b.example> 1099511627776]"},
	        {"mailto:a@b.example!18446744073709551615t",
	         "[mailto:a@b.example <a@b.example> 18446744073709551615]"},
	        {"mailto:a@b.example?subject=x", "[mailto:a@b.example?subject=x <a@b.example>]"},
	        {"mailto:a%2Bb%21@b.example", "[mailto:a%2Bb%21@b.example <a+b!@b.example>]"},
	        {"mailto:%22a%20b%22@c.example",
	         "[mailto:%22a%20b%22@c.example <\"a b\"@c.example>]"},
	        {"mailto:a@b%C3%BCcher.example",
	         "[mailto:a@b%C3%BCcher.example <a@xn--bcher-kva.example>]"},
	        {"https://b.example/r?x=y#z", "[https://b.example/r?x=y#z -]"},
	        {"x-y.z+1:", "[x-y.z+1: -]"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_uris(cases[i].value, cases[i].expected);
}

#define NONE_LEFT "{no URI that can be understood}"

static void bad_uris_are_left_out(void **state)
{
	static const struct {
		const char *value, *expected;
	} cases[] = {
	        {"", "{a URI without a scheme, such as mailto:}" NONE_LEFT},
	        {"a@b.example", "{a URI without a scheme, such as mailto:}" NONE_LEFT},
	        {":a@b.example", "{not a URI}" NONE_LEFT},
	        {"1mailto:a@b.example", "{not a URI}" NONE_LEFT},
	        {"mail_to:a@b.example", "{not a URI}" NONE_LEFT},
	        {"mailto:a b@c.example", "{not a URI}" NONE_LEFT},
	        {"mailto:a@b.example>", "{not a URI}" NONE_LEFT},
	        {"mailto:a@b.example%2", "{not a URI}" NONE_LEFT},
	        {"mailto:a@b.example%zz", "{not a URI}" NONE_LEFT},
	        {"mailto:a@b\xc3\xbc.example", "{not a URI}" NONE_LEFT},
	        {"mailto:", "{a mailto: URI that is not one address}" NONE_LEFT},
	        {"mailto:a", "{a mailto: URI that is not one address}" NONE_LEFT},
	        {"mailto:@b.example", "{a mailto: URI that is not one address}" NONE_LEFT},
	        {"mailto:a%2Cb@c.example", "{a mailto: URI that is not one address}" NONE_LEFT},
	        {"mailto:a@b.example%2Cc@d.example",
	         "{a mailto: URI that is not one address}" NONE_LEFT},
	        {"mailto:x%3Ca@b.example%3E", "{a mailto: URI that is not one address}" NONE_LEFT},
	        {"mailto:a@[192.0.2.1]", "{a mailto: URI without a domain}" NONE_LEFT},
	        {"mailto:a@b_c.example", "{a mailto: URI without a domain}" NONE_LEFT},
	        {"mailto:a@192.0.2.1", "{a mailto: URI without a domain}" NONE_LEFT},
	        {"mailto:a%0D%0Ab@c.example", "{a mailto: URI with control characters}" NONE_LEFT},
	        {"mailto:a%00b@c.example", "{a mailto: URI with control characters}" NONE_LEFT},
	        {"mailto:a%ffb@c.example", "{a mailto: URI with control characters}" NONE_LEFT},
	        {"mailto:a@b.example!", "{a URI with a size limit that is none}" NONE_LEFT},
	        {"mailto:a@b.example!m", "{a URI with a size limit that is none}" NONE_LEFT},
	        {"mailto:a@b.example!10p", "{a URI with a size limit that is none}" NONE_LEFT},
	        {"mailto:a@b.example!1!2", "{a URI with a size limit that is none}" NONE_LEFT},
	        {"mailto:a@b.example!18446744073709551616",
	         "{a URI with a size limit that is none}" NONE_LEFT},
	        /* the others stay */
	        {"x,mailto:a@b.example,", "[mailto:a@b.example <a@b.example>]"
	                                  "{a URI without a scheme, such as mailto:}"
	                                  "{a URI without a scheme, such as mailto:}"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_uris(cases[i].value, cases[i].expected);
}

/* --- limits --- */

static void big_records_are_bounded(void **state)
{
	struct arena arena;
	struct buf text;
	struct dmarc_record record;
	(void)state;
	buf_init(&text, MIB);
	/* 1,000 tags */
	arena_init(&arena, MIB);
	buf_add_str(&text, "v=DMARC1; p=reject");
	for (size_t i = 0; i < 1000; i++)
		buf_printf(&text, "; x%zu=y", i);
	buf_add_str(&text, "; p=none");
	assert_int_equal(dmarc_record_parse(buf_slice(&text), &arena, &record).code, ERR_OK);
	assert_int_equal(record.p, DMARC_REJECT);
	assert_int_equal(record.n_defects, 1);
	assert_string_equal(record.defects[0].why, "more tags than are looked at");
	arena_done(&arena);
	/* 1,000 URIs */
	arena_init(&arena, MIB);
	buf_reset(&text);
	buf_add_str(&text, "v=DMARC1; p=reject; rua=mailto:a0@b.example");
	for (size_t i = 1; i < 1000; i++)
		buf_printf(&text, ",mailto:a%zu@b.example", i);
	assert_int_equal(dmarc_record_parse(buf_slice(&text), &arena, &record).code, ERR_OK);
	assert_int_equal(record.rua.n, DMARC_URIS_MAX);
	assert_string_equal(record.defects[0].why, "more URIs than are looked at");
	arena_done(&arena);
	/* 64 KB of one value, of defects, of semicolons */
	static const char *const fillings[] = {"a", "x;", ";", ",", ":", "%", "!", "=", "("};
	for (size_t i = 0; i < N_ELEMENTS(fillings); i++) {
		arena_init(&arena, MIB);
		buf_reset(&text);
		buf_add_str(&text, "v=DMARC1; p=reject; rua=mailto:");
		while (text.n < 64 * KIB)
			buf_add_str(&text, fillings[i]);
		assert_int_equal(dmarc_record_parse(buf_slice(&text), &arena, &record).code,
		                 ERR_OK);
		assert_int_equal(record.p, DMARC_REJECT);
		assert_true(record.n_defects > 0 && record.n_defects <= DMARC_DEFECTS_MAX);
		arena_done(&arena);
	}
	buf_done(&text);
}

static void memory_is_bounded(void **state)
{
	struct slice text = SLICE("v=DMARC1; p=reject; x; rua=mailto:a@b.example!1k,mailto:c@d");
	size_t n_read = 0;
	(void)state;
	for (size_t budget = 0; budget < 4000; budget += 8) {
		struct dmarc_record record = {.p = DMARC_QUARANTINE};
		struct arena arena;
		arena_init(&arena, budget);
		struct status status = dmarc_record_parse(text, &arena, &record);
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
		assert_int_equal(record.p, is_ok(status) ? DMARC_REJECT : DMARC_QUARANTINE);
		n_read += is_ok(status);
		arena_done(&arena);
	}
	assert_true(n_read > 100 && n_read < 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(examples_of_the_rfcs_are_read),
	        cmocka_unit_test(tags_are_read),
	        cmocka_unit_test(what_is_no_record_is_none),
	        cmocka_unit_test(errors_cost_their_tag_only),
	        cmocka_unit_test(wrong_policies_leave_reports_or_nothing),
	        cmocka_unit_test(policies_fall_back),
	        cmocka_unit_test(uris_are_read),
	        cmocka_unit_test(bad_uris_are_left_out),
	        cmocka_unit_test(big_records_are_bounded),
	        cmocka_unit_test(memory_is_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
