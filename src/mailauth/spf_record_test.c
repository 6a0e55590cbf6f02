/* Records: what they are made of, what is refused and where, and back to text. */
#include "mailauth/spf_record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define ROOM ((size_t)(1024 * 1024))

/* The canonical text of a good record, "CODE at `text`" of a bad one. */
static void describe(struct slice in, struct buf *out)
{
	struct arena arena;
	struct spf_record record;
	struct spf_fault fault = {.at = slice_empty()};
	arena_init(&arena, ROOM);
	struct status status = spf_record_parse(in, &arena, &record, &fault);
	if (is_ok(status)) {
		spf_record_print(&record, out);
	} else {
		assert_int_equal(status.code, ERR_SYNTAX);
		assert_string_equal(status.why, spf_problem_what(fault.problem));
		assert_true(fault.at.p >= in.p && fault.at.p + fault.at.n <= in.p + in.n);
		buf_printf(out, "%s at `%.*s`", spf_problem_code(fault.problem),
		           SLICE_FMT(fault.at));
	}
	arena_done(&arena);
}

static void check(const char *in, const char *expected)
{
	struct buf out;
	buf_init(&out, ROOM);
	describe(slice_str(in), &out);
	assert_string_equal(buf_cstr(&out), expected);
	buf_done(&out);
}

static void records_are_read_and_printed(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	        {"v=spf1", "v=spf1"},
	        {"v=spf1 ", "v=spf1"},
	        {"V=SpF1   -ALL  ", "v=spf1 -all"},
	        {"v=spf1 +all", "v=spf1 all"},
	        {"v=spf1 ?all ~all", "v=spf1 ?all ~all"},
	        {"v=spf1 a mx ptr", "v=spf1 a mx ptr"},
	        {"v=spf1 A:Example.COM MX:x.example/24", "v=spf1 a:Example.COM mx:x.example/24"},
	        {"v=spf1 a/32 a//128 a/32//128", "v=spf1 a a a"},
	        {"v=spf1 a/0 a//0 a/24//64", "v=spf1 a/0 a//0 a/24//64"},
	        {"v=spf1 a:x.example/24//64 mx//48", "v=spf1 a:x.example/24//64 mx//48"},
	        {"v=spf1 a:foo:bar/baz.example", "v=spf1 a:foo:bar/baz.example"},
	        {"v=spf1 a:a/24/b.example/24", "v=spf1 a:a/24/b.example/24"},
	        {"v=spf1 a:%{d}/24 mx:%{d}//64", "v=spf1 a:%{d}/24 mx:%{d}//64"},
	        {"v=spf1 exists:%{ir}/24.%{d/}", "v=spf1 exists:%{ir}/24.%{d/}"},
	        {"v=spf1 ip4:192.0.2.1 -IP4:0.0.0.0/0", "v=spf1 ip4:192.0.2.1 -ip4:0.0.0.0/0"},
	        {"v=spf1 ip4:192.0.2.1/32", "v=spf1 ip4:192.0.2.1"},
	        {"v=spf1 ip6:2001:DB8::1/128 ip6:::/0", "v=spf1 ip6:2001:db8::1 ip6:::/0"},
	        {"v=spf1 ip6:::1.1.1.1/9", "v=spf1 ip6:::1.1.1.1/9"},
	        {"v=spf1 include:x.example ptr:x.example.",
	         "v=spf1 include:x.example ptr:x.example."},
	        {"v=spf1 Redirect=x.example EXP=y.example",
	         "v=spf1 redirect=x.example exp=y.example"},
	        {"v=spf1 foo=bar foo=bar ra.b-c_d=%{c}x:/=",
	         "v=spf1 foo=bar foo=bar ra.b-c_d=%{c}x:/="},
	        {"v=spf1 default=", "v=spf1 default="},
	        /* to the letter of the grammar these are unknown modifiers */
	        {"v=spf1 ip4=192.0.2.1 all=x", "v=spf1 ip4=192.0.2.1 all=x"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].in, cases[i].out);
}

static void what_is_wrong_is_said_and_where(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	        {"", "VERSION at ``"},
	        {"v=spf", "VERSION at `v=spf`"},
	        {"v=spf10 -all", "VERSION at `v=spf1`"},
	        {"v=spf1\t-all", "VERSION at `v=spf1`"},
	        {" v=spf1 -all", "VERSION at ` v=spf`"},
	        {"spf2.0/pra -all", "VERSION at `spf2.0`"},
	        {"v=spf1 a\tmx", "BYTE at `\t`"},
	        {"v=spf1 a\rmx", "BYTE at `\r`"},
	        {"v=spf1 ip4:192.0.2.5\n -all", "BYTE at `\n`"},
	        {"v=spf1 \x80"
	         "a -all",
	         "BYTE at `\x80`"},
	        {"v=spf1 a:x.example\xc2\xa0-all", "BYTE at `\xc2`"},
	        {"v=spf1 -all moo", "UNKNOWN_MECHANISM at `moo`"},
	        {"v=spf1 -", "UNKNOWN_MECHANISM at ``"},
	        {"v=spf1 :x", "UNKNOWN_MECHANISM at ``"},
	        {"v=spf1 /24", "UNKNOWN_MECHANISM at ``"},
	        {"v=spf1 --all", "UNKNOWN_MECHANISM at `-all`"},
	        {"v=spf1 all.", "UNKNOWN_MECHANISM at `all.`"},
	        {"v=spf1 a24", "UNKNOWN_MECHANISM at `a24`"},
	        {"v=spf1 ipv4:192.0.2.1", "UNKNOWN_MECHANISM at `ipv4`"},
	        {"v=spf1 a, mx", "UNKNOWN_MECHANISM at `a,`"},
	        {"v=spf1 \"a\"", "UNKNOWN_MECHANISM at `\"a\"`"},
	        {"v=spf1 v=spf1:x -all v=spf1", "v=spf1 v=spf1:x -all v=spf1"},
	        {"v=spf1 redirect:x.example", "IS_MODIFIER at `redirect:x.example`"},
	        {"v=spf1 exp:x.example", "IS_MODIFIER at `exp:x.example`"},
	        {"v=spf1 redirect", "IS_MODIFIER at `redirect`"},
	        {"v=spf1 -redirect=x.example", "MODIFIER_NAME at `-redirect`"},
	        {"v=spf1 =all", "MODIFIER_NAME at ``"},
	        {"v=spf1 1up=foo", "MODIFIER_NAME at `1up`"},
	        {"v=spf1 a,b=c", "MODIFIER_NAME at `a,b`"},
	        {"v=spf1 moo.cow/far_out=man", "UNKNOWN_MECHANISM at `moo.cow`"},
	        {"v=spf1 moo.cow:far_out=man", "UNKNOWN_MECHANISM at `moo.cow`"},
	        {"v=spf1 all:x", "ARGUMENT at `:x`"},
	        {"v=spf1 all/8", "ARGUMENT at `/8`"},
	        {"v=spf1 include", "NO_DOMAIN at `include`"},
	        {"v=spf1 ?exists", "NO_DOMAIN at `?exists`"},
	        {"v=spf1 include: -all", "NO_DOMAIN at ``"},
	        {"v=spf1 a:", "NO_DOMAIN at ``"},
	        {"v=spf1 a:/24", "NO_DOMAIN at ``"},
	        {"v=spf1 ptr:", "NO_DOMAIN at ``"},
	        {"v=spf1 redirect=", "NO_DOMAIN at ``"},
	        {"v=spf1 exp=", "NO_DOMAIN at ``"},
	        {"v=spf1 exp=-all", "DOMAIN_END at `-all`"},
	        {"v=spf1 a:foo-bar", "DOMAIN_END at `foo-bar`"},
	        {"v=spf1 a:example.com:8080", "DOMAIN_END at `example.com:8080`"},
	        {"v=spf1 a:192.0.2.1", "DOMAIN_IS_ADDRESS at `192.0.2.1`"},
	        {"v=spf1 mx:192.0.2.1/24", "DOMAIN_IS_ADDRESS at `192.0.2.1`"},
	        {"v=spf1 include:x.example/24", "PREFIX_HERE at `/24`"},
	        {"v=spf1 include/24", "PREFIX_HERE at `/24`"},
	        {"v=spf1 ptr/0", "PREFIX_HERE at `/0`"},
	        {"v=spf1 exists:x.example/24", "PREFIX_HERE at `/24`"},
	        {"v=spf1 a/33", "PREFIX4 at `33`"},
	        {"v=spf1 a/024", "PREFIX4 at `024`"},
	        {"v=spf1 a/", "PREFIX4 at ``"},
	        {"v=spf1 a/24/64", "PREFIX4 at `64`"},
	        {"v=spf1 a/16/24", "PREFIX4 at `/16`"},
	        {"v=spf1 a/x", "PREFIX4 at `/x`"},
	        {"v=spf1 a/99999999999999999999", "PREFIX4 at `99999999999999999999`"},
	        {"v=spf1 a//129", "PREFIX6 at `129`"},
	        {"v=spf1 a//", "PREFIX6 at ``"},
	        {"v=spf1 a//064", "PREFIX6 at `064`"},
	        {"v=spf1 a/33//64", "PREFIX4 at `33`"},
	        {"v=spf1 ip4", "IP4 at `ip4`"},
	        {"v=spf1 ip4:", "IP4 at ``"},
	        {"v=spf1 ip4/24", "IP4 at `ip4/24`"},
	        {"v=spf1 ip4:192.0.2", "IP4 at `192.0.2`"},
	        {"v=spf1 ip4:192.0.2.256", "IP4 at `192.0.2.256`"},
	        {"v=spf1 ip4:192.0.02.1", "IP4 at `192.0.02.1`"},
	        {"v=spf1 ip4:192.0.2.1:25", "IP4 at `192.0.2.1:25`"},
	        {"v=spf1 ip4:192.0.2.1//32", "IP4 at `192.0.2.1/`"},
	        {"v=spf1 ip4:192.0.2.1/33", "PREFIX4 at `33`"},
	        {"v=spf1 ip4:2001:db8::1", "IP4 at `2001:db8::1`"},
	        {"v=spf1 ip4:%{i}", "IP4 at `%{i}`"},
	        {"v=spf1 ip6", "IP6 at `ip6`"},
	        {"v=spf1 ip6::CAFE::BABE", "IP6 at `:CAFE::BABE`"},
	        {"v=spf1 ip6:2001:db8::1/129", "PREFIX6 at `129`"},
	        {"v=spf1 ip6:2001:db8::1//33", "IP6 at `2001:db8::1/`"},
	        {"v=spf1 ip6:192.0.2.1", "IP6 at `192.0.2.1`"},
	        {"v=spf1 ip6:fe80::1%eth0", "IP6 at `fe80::1%eth0`"},
	        {"v=spf1 redirect=a.example redirect=a.example", "TWICE at `redirect=a.example`"},
	        {"v=spf1 exp=a.example -all exp=b.example", "TWICE at `exp=b.example`"},
	        {"v=spf1 redirect=a.example -all redirect=b.example",
	         "TWICE at `redirect=b.example`"},
	        {"v=spf1 foo=%abc", "MACRO_PERCENT at `%`"},
	        {"v=spf1 exists:%(ir).x.example", "MACRO_PERCENT at `%`"},
	        {"v=spf1 a:%{a}.example", "MACRO_LETTER at `%{a`"},
	        {"v=spf1 exp=%{r}.example", "MACRO_EXPLANATION at `%{r`"},
	        {"v=spf1 a:%{d0}.example", "MACRO_ZERO at `0`"},
	        {"v=spf1 a:%{d.example", "MACRO_END at `%{d.`"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].in, cases[i].out);
}

static void terms_are_types(void **state)
{
	struct arena arena;
	struct spf_record r;
	struct spf_fault fault;
	(void)state;
	arena_init(&arena, ROOM);
	assert_int_equal(spf_record_parse(SLICE("v=spf1 ~MX:%{d}/20//40 ip6:2001:db8::/32 x=%{c} "
	                                        "exp=e.example redirect=r.example"),
	                                  &arena, &r, &fault)
	                         .code,
	                 ERR_OK);
	assert_int_equal(r.n_terms, 5);
	assert_int_equal(r.terms[0].kind, SPF_MX);
	assert_int_equal(r.terms[0].qualifier, MAILAUTH_SOFTFAIL);
	assert_int_equal(spf_qualifier_sign(r.terms[0].qualifier), '~');
	assert_true(slice_eq_str(r.terms[0].domain_spec, "%{d}"));
	assert_true(slice_eq_str(r.terms[0].text, "~MX:%{d}/20//40"));
	assert_int_equal(r.terms[0].prefix4, 20);
	assert_int_equal(r.terms[0].prefix6, 40);
	assert_int_equal(r.terms[1].kind, SPF_IP6);
	assert_int_equal(r.terms[1].qualifier, MAILAUTH_PASS);
	assert_int_equal(r.terms[1].network[0], 0x20);
	assert_int_equal(r.terms[1].prefix6, 32);
	assert_int_equal(r.terms[2].kind, SPF_UNKNOWN);
	assert_true(slice_eq_str(r.terms[2].name, "x"));
	assert_true(slice_eq_str(r.terms[2].value, "%{c}"));
	assert_ptr_equal(r.exp, &r.terms[3]);
	assert_ptr_equal(r.redirect, &r.terms[4]);
	/* section 6.1: redirect is ignored beside all, wherever it stands */
	assert_true(is_ok(
	        spf_record_parse(SLICE("v=spf1 redirect=r.example ~all"), &arena, &r, &fault)));
	assert_null(r.redirect);
	arena_done(&arena);
}

static void nul_ends_nothing(void **state)
{
	struct arena arena;
	struct spf_record r;
	struct spf_fault fault;
	(void)state;
	arena_init(&arena, ROOM);
	assert_int_equal(
	        spf_record_parse(SLICE("v=spf1 a:foo.example.com\0"), &arena, &r, &fault).code,
	        ERR_SYNTAX);
	assert_int_equal(fault.problem, SPF_PROBLEM_BYTE);
	assert_false(spf_record_is(SLICE("v=spf1\0")));
	assert_true(spf_record_is(SLICE("v=spf1 \0")));
	arena_done(&arena);
}

static void fill(struct buf *in, const char *term, size_t n)
{
	buf_reset(in);
	buf_add_str(in, "v=spf1");
	for (size_t i = 0; i < n; i++)
		buf_add_str(in, term);
}

static void sizes_are_bounded(void **state)
{
	struct buf in, out;
	(void)state;
	buf_init(&in, ROOM);
	buf_init(&out, ROOM);
	fill(&in, " a", SPF_TERMS_MAX);
	describe(buf_slice(&in), &out);
	assert_true(slice_eq(buf_slice(&in), buf_slice(&out)));
	fill(&in, " a", SPF_TERMS_MAX + 1);
	buf_reset(&out);
	describe(buf_slice(&in), &out);
	assert_string_equal(buf_cstr(&out), "TOO_MANY_TERMS at ``");
	fill(&in, " ", SPF_RECORD_MAX - 6);
	buf_reset(&out);
	describe(buf_slice(&in), &out);
	assert_string_equal(buf_cstr(&out), "v=spf1");
	buf_add_byte(&in, ' ');
	buf_reset(&out);
	describe(buf_slice(&in), &out);
	assert_string_equal(buf_cstr(&out), "TOO_LONG at ` `");
	fill(&in, " a:xxxxxxx.example.com", 3000); /* 64 KB */
	buf_reset(&out);
	describe(buf_slice(&in), &out);
	assert_true(slice_starts(buf_slice(&out), SLICE("TOO_LONG at")));
	buf_done(&in);
	buf_done(&out);
}

static void memory_is_bounded(void **state)
{
	struct arena arena;
	struct spf_record r;
	struct spf_fault fault;
	(void)state;
	arena_init(&arena, 100);
	assert_int_equal(spf_record_parse(SLICE("v=spf1 a mx -all"), &arena, &r, &fault).code,
	                 ERR_LIMIT);
	arena_done(&arena);
}

static void every_problem_has_words(void **state)
{
	(void)state;
#define X(code, what, mend)                                                                        \
	assert_string_equal(spf_problem_code(SPF_PROBLEM_##code), #code);                          \
	assert_true(spf_problem_what(SPF_PROBLEM_##code)[0] &&                                     \
	            spf_problem_mend(SPF_PROBLEM_##code)[0]);
	SPF_PROBLEM_LIST(X)
#undef X
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(records_are_read_and_printed),
	        cmocka_unit_test(what_is_wrong_is_said_and_where),
	        cmocka_unit_test(terms_are_types),
	        cmocka_unit_test(nul_ends_nothing),
	        cmocka_unit_test(sizes_are_bounded),
	        cmocka_unit_test(memory_is_bounded),
	        cmocka_unit_test(every_problem_has_words),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
