/* Macros: every letter and transformer, names as the DNS is asked for them, what is refused. */
#include "mailauth/spf_macro.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static const uint8_t v4[] = {192, 0, 2, 3};
static const uint8_t v6[] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x01, [14] = 0xcb};

/* RFC 7208 section 7.4 */
static struct spf_macro_values values_of_rfc(void)
{
	return (struct spf_macro_values){
	        .client_ip = slice_of(v4, 4),
	        .localpart = SLICE("strong-bad"),
	        .sender_domain = SLICE("email.example.com"),
	        .domain = SLICE("email.example.com"),
	        .helo = SLICE("helo.example.org"),
	        .validated = SLICE("mx.example.org"),
	        .receiver = SLICE("mail.example.net"),
	        .now_s = 1700000000,
	};
}

static void check_text(const struct spf_macro_values *values, const char *in, const char *expected)
{
	struct spf_fault fault;
	struct buf out;
	buf_init(&out, 4096);
	assert_true(spf_macro_check(slice_str(in), SPF_MACRO_IN_EXPLANATION, &fault));
	spf_macro_expand(slice_str(in), values, &out);
	assert_string_equal(buf_cstr(&out), expected);
	assert_false(buf_failed(&out));
	buf_done(&out);
}

static void examples_of_the_rfc(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	        {"%{s}", "strong-bad@email.example.com"},
	        {"%{o}", "email.example.com"},
	        {"%{d}", "email.example.com"},
	        {"%{d4}", "email.example.com"},
	        {"%{d3}", "email.example.com"},
	        {"%{d2}", "example.com"},
	        {"%{d1}", "com"},
	        {"%{dr}", "com.example.email"},
	        {"%{d2r}", "example.email"},
	        {"%{l}", "strong-bad"},
	        {"%{l-}", "strong.bad"},
	        {"%{lr}", "strong-bad"},
	        {"%{lr-}", "bad.strong"},
	        {"%{l1r-}", "strong"},
	        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
	        {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
	        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
	         "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
	        {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
	         "3.2.0.192.in-addr.strong.lp._spf.example.com"},
	        {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
	};
	(void)state;
	struct spf_macro_values values = values_of_rfc();
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check_text(&values, cases[i].in, cases[i].out);
	values.client_ip = slice_of(v6, 16);
	check_text(&values, "%{ir}.%{v}._spf.%{d2}",
	           "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf."
	           "example.com");
	check_text(&values, "%{c}", "2001:db8::cb01");
}

static void letters_and_transformers(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	        {"", ""},
	        {"plain text", "plain text"},
	        {"%%%_%-", "% %20"},
	        {"%{i}", "192.0.2.3"},
	        {"%{c}", "192.0.2.3"},
	        {"%{p}", "mx.example.org"},
	        {"%{h}", "helo.example.org"},
	        {"%{r}", "mail.example.net"},
	        {"%{t}", "1700000000"},
	        {"%{v}", "in-addr"},
	        {"%{D}", "email.example.com"},
	        {"%{S}", "strong-bad%40email.example.com"},
	        {"%{DR}", "com.example.email"},
	        {"%{d127}", "email.example.com"},
	        {"%{d99999999999999999999999999}", "email.example.com"},
	        {"%{d4294967297}", "email.example.com"}, /* 2^32 + 1 */
	        {"%{d01}", "com"},
	        {"%{d1r}", "email"},
	        {"%{d3r}", "com.example.email"},
	        {"%{s1@}", NULL},
	        {"%{l1-}", "bad"},
	        {"%{s2-.}", "example.com"},
	        {"%{sr-.}", "com.example.bad@email.strong"},
	        {"%{l.}", "strong-bad"},
	        {"%{l+,/_=-}", "strong.bad"},
	};
	(void)state;
	struct spf_macro_values values = values_of_rfc();
	struct spf_fault fault;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		if (cases[i].out)
			check_text(&values, cases[i].in, cases[i].out);
		else
			assert_false(spf_macro_check(slice_str(cases[i].in),
			                             SPF_MACRO_IN_EXPLANATION, &fault));
	values.validated = values.receiver = slice_empty();
	check_text(&values, "%{p} %{r}", "unknown unknown");
}

/* "no special treatment is given to leading, trailing, or consecutive delimiters" (section 7.3) */
static void empty_parts_stay(void **state)
{
	(void)state;
	struct spf_macro_values values = values_of_rfc();
	values.localpart = SLICE("-a--b-");
	check_text(&values, "%{l-}", ".a..b.");
	check_text(&values, "%{l1-}", "");
	check_text(&values, "%{l2-}", "b.");
	check_text(&values, "%{l3-}", ".b.");
	check_text(&values, "%{lr-}", ".b..a.");
	check_text(&values, "%{l1r-}", "");
	check_text(&values, "%{l2r-}", "a.");
	check_text(&values, "%{l9r-}", ".b..a.");
	values.localpart = slice_empty();
	check_text(&values, "<%{lr-}%{l2}>", "<>");
	values.localpart = SLICE("a.b-c\0d");
	struct buf out;
	buf_init(&out, 64);
	spf_macro_expand(SLICE("%{L}"), &values, &out);
	assert_string_equal(buf_cstr(&out), "a.b-c%00d");
	buf_done(&out);
}

static void grammar(void **state)
{
	static const struct {
		const char *in;
		enum spf_macro_place place;
		int problem; /* -1: none */
		size_t at, n;
	} cases[] = {
	        {"foo%{d}bar", SPF_MACRO_IN_DOMAIN, -1, 0, 0},
	        {"%{c}%{r}%{t}", SPF_MACRO_IN_MODIFIER, -1, 0, 0},
	        {"a b", SPF_MACRO_IN_EXPLANATION, -1, 0, 0},
	        {"a b", SPF_MACRO_IN_MODIFIER, SPF_PROBLEM_BYTE, 1, 1},
	        {"a b", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_BYTE, 1, 1},
	        {"a\tb", SPF_MACRO_IN_EXPLANATION, SPF_PROBLEM_BYTE, 1, 1},
	        {"a\x7f", SPF_MACRO_IN_EXPLANATION, SPF_PROBLEM_BYTE, 1, 1},
	        {"\xc3\xbc", SPF_MACRO_IN_EXPLANATION, SPF_PROBLEM_BYTE, 0, 1},
	        {"ab%", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_PERCENT, 2, 1},
	        {"%(ir).x", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_PERCENT, 0, 1},
	        {"%abc", SPF_MACRO_IN_MODIFIER, SPF_PROBLEM_MACRO_PERCENT, 0, 1},
	        {"%{", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_END, 0, 2},
	        {"%{}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_LETTER, 0, 3},
	        {"%{x}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_LETTER, 0, 3},
	        {"%{1}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_LETTER, 0, 3},
	        {"..%{C}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_EXPLANATION, 2, 3},
	        {"%{r}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_EXPLANATION, 0, 3},
	        {"%{t}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_EXPLANATION, 0, 3},
	        {"%{d0}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_ZERO, 3, 1},
	        {"%{d000r}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_ZERO, 3, 3},
	        {"%{d", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_END, 0, 3},
	        {"%{d2", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_END, 0, 4},
	        {"%{dr2}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_END, 0, 4},
	        {"%{d-r}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_END, 0, 4},
	        {"%{d:}", SPF_MACRO_IN_DOMAIN, SPF_PROBLEM_MACRO_END, 0, 3},
	        {"%{rr}%{d}}", SPF_MACRO_IN_EXPLANATION, -1, 0, 0},
	        {"%{ d}", SPF_MACRO_IN_EXPLANATION, SPF_PROBLEM_MACRO_LETTER, 0, 3},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct slice in = slice_str(cases[i].in);
		struct spf_fault fault = {.at = slice_empty()};
		bool good = spf_macro_check(in, cases[i].place, &fault);
		assert_int_equal(good, cases[i].problem < 0);
		if (good)
			continue;
		assert_int_equal(fault.problem, cases[i].problem);
		assert_int_equal(fault.at.p - in.p, cases[i].at);
		assert_int_equal(fault.at.n, cases[i].n);
	}
	struct spf_fault fault;
	assert_false(spf_macro_check(SLICE("a\0b"), SPF_MACRO_IN_EXPLANATION, &fault));
	assert_false(spf_macro_check(SLICE("%{\0}"), SPF_MACRO_IN_EXPLANATION, &fault));
	assert_false(spf_macro_check(SLICE("%{d\0}"), SPF_MACRO_IN_EXPLANATION, &fault));
}

static void ends_of_domain_specs(void **state)
{
	static const struct {
		const char *in;
		int problem; /* -1: none */
	} cases[] = {
	        {"example.com", -1},
	        {"example.com.", -1},
	        {".com", -1}, /* a macro-string may be empty */
	        {"%{d}", -1},
	        {"a.%{d}", -1},
	        {"%{d}.example", -1},
	        {"a%%", -1}, /* ends in a macro-expand, to the letter of the grammar */
	        {"a%_", -1},
	        {"foo:bar/baz.example.com", -1},
	        {"foo..example..com", -1},
	        {"_spf.example.xn--zckzah", -1},
	        {"a.1-2", -1},
	        {"a.b1", -1},
	        {"a.1b", -1},
	        {"", SPF_PROBLEM_NO_DOMAIN},
	        {"com", SPF_PROBLEM_DOMAIN_END},
	        {"museum.", SPF_PROBLEM_DOMAIN_END},
	        {".", SPF_PROBLEM_DOMAIN_END},
	        {"example.com..", SPF_PROBLEM_DOMAIN_END},
	        {"%{d}.", SPF_PROBLEM_DOMAIN_END},
	        {"%{d}com", SPF_PROBLEM_DOMAIN_END},
	        {"%{d}.1", SPF_PROBLEM_DOMAIN_END},
	        {"abc.123", SPF_PROBLEM_DOMAIN_END},
	        {"a.-com", SPF_PROBLEM_DOMAIN_END},
	        {"a.com-", SPF_PROBLEM_DOMAIN_END},
	        {"a.c_m", SPF_PROBLEM_DOMAIN_END},
	        {"example.com:8080", SPF_PROBLEM_DOMAIN_END},
	        {"example.com/24", SPF_PROBLEM_DOMAIN_END},
	        {"192.0.2.1", SPF_PROBLEM_DOMAIN_IS_ADDRESS},
	        {"2001:db8::1", SPF_PROBLEM_DOMAIN_IS_ADDRESS},
	        {"111.222.333.444", SPF_PROBLEM_DOMAIN_END},
	        {"%{c}.example.com", SPF_PROBLEM_MACRO_EXPLANATION},
	        {"b\xc3\xbc"
	         "cher.example",
	         SPF_PROBLEM_BYTE},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct spf_fault fault;
		bool good = spf_domain_spec_check(slice_str(cases[i].in), &fault);
		assert_int_equal(good, cases[i].problem < 0);
		if (!good)
			assert_int_equal(fault.problem, cases[i].problem);
	}
}

static void letters_are_found(void **state)
{
	(void)state;
	assert_true(spf_macro_uses(SLICE("a.%{p}.b"), "p"));
	assert_true(spf_macro_uses(SLICE("%%%_%{d}%{P2r}"), "p"));
	assert_true(spf_macro_uses(SLICE("see %{S}"), "sl"));
	assert_false(spf_macro_uses(SLICE("p%%{p}"), "p"));
	assert_false(spf_macro_uses(SLICE("%{d}"), "p"));
	assert_false(spf_macro_uses(SLICE(""), "p"));
}

/* --- names --- */

struct names {
	struct arena arena;
	struct spf_macro_values values;
	struct spf_target target;
};

static enum err expand(struct names *n, struct slice domain_spec)
{
	struct status status = spf_target_expand(domain_spec, &n->values, &n->arena, &n->target);
	return status.code;
}

static void set_up(struct names *n)
{
	*n = (struct names){.values = values_of_rfc()};
	arena_init(&n->arena, 64 * KIB);
}

static void names_are_asked_as_they_are(void **state)
{
	struct names n;
	(void)state;
	set_up(&n);
	assert_int_equal(expand(&n, SLICE("A.%{d}.")), ERR_OK);
	assert_string_equal(n.target.name.text, "a.email.example.com");
	assert_true(slice_eq_str(n.target.text, "A.email.example.com"));
	/* nothing is an escape: a backslash is a byte of the label */
	assert_int_equal(expand(&n, SLICE("a\\046b%_%%.example.com")), ERR_OK);
	assert_string_equal(n.target.name.text, "a\\092046b\\032\\037.example.com");
	n.values.helo = SLICE("[192.0.2.1]");
	assert_int_equal(expand(&n, SLICE("%{H}")), ERR_OK);
	assert_string_equal(n.target.name.text, "\\0375b192.0.2.1\\0375d");
	n.values.helo = SLICE("nul\0here.example");
	assert_int_equal(expand(&n, SLICE("%{h}")), ERR_OK);
	assert_string_equal(n.target.name.text, "nul\\000here.example");
	arena_done(&n.arena);
}

static void what_is_no_name(void **state)
{
	struct names n;
	(void)state;
	set_up(&n);
	assert_int_equal(expand(&n, SLICE("a..example.com")), ERR_INVALID);
	assert_int_equal(expand(&n, SLICE(".example.com")), ERR_INVALID);
	assert_int_equal(expand(&n, SLICE("example.com..")), ERR_INVALID);
	n.values.localpart = slice_empty();
	assert_int_equal(expand(&n, SLICE("%{l}")), ERR_INVALID);
	n.values.localpart =
	        SLICE("a123456789012345678901234567890123456789012345678901234567890123");
	assert_int_equal(expand(&n, SLICE("%{l}.example.com")), ERR_INVALID);
	n.values.localpart =
	        SLICE("a12345678901234567890123456789012345678901234567890123456789012");
	assert_int_equal(expand(&n, SLICE("%{l}.example.com")), ERR_OK);
	n.values.localpart = SLICE("b\xc3\xbc");
	assert_int_equal(expand(&n, SLICE("%{l}.example.com")), ERR_UNSUPPORTED);
	assert_int_equal(expand(&n, SLICE("%{L}.example.com")), ERR_UNSUPPORTED);
	assert_int_equal(expand(&n, SLICE("%{S}.example.com")), ERR_UNSUPPORTED);
	assert_int_equal(expand(&n, SLICE("%{d}")), ERR_OK);
	n.values.helo = SLICE("b\xc3\xbc.example");
	assert_int_equal(expand(&n, SLICE("%{h}")), ERR_UNSUPPORTED);
	arena_done(&n.arena);
}

/* Section 7.3: whole labels go from the left until 253 octets are left. */
static void long_names_lose_labels(void **state)
{
	struct names n;
	struct buf text;
	(void)state;
	set_up(&n);
	buf_init(&text, 4 * KIB);
	for (int i = 0; i < 41; i++)
		buf_printf(&text, "x%04d.", i);
	buf_add_str(&text, "exampl"); /* 41 * 6 + 6 = 252 */
	n.values.domain = buf_slice(&text);
	assert_int_equal(expand(&n, SLICE("%{d}")), ERR_OK);
	assert_int_equal(n.target.text.n, 252);
	assert_int_equal(expand(&n, SLICE("%{d}e")), ERR_OK);
	assert_int_equal(n.target.text.n, 253);
	assert_int_equal(expand(&n, SLICE("%{d}ee")), ERR_OK);
	assert_int_equal(n.target.text.n, 248);
	assert_true(slice_starts(n.target.text, SLICE("x0001.")));
	assert_int_equal(expand(&n, SLICE("%{d}e.")),
	                 ERR_OK); /* the dot at the end is none of it */
	assert_int_equal(n.target.text.n, 253);
	/* one label without a dot in 253 octets: nothing is left */
	n.values.domain = slice_sub(buf_slice(&text), 0, 0);
	for (int i = 0; i < 300; i++)
		buf_add_byte(&text, 'y');
	n.values.domain = buf_slice(&text);
	assert_int_equal(expand(&n, SLICE("%{d}")), ERR_INVALID);
	buf_done(&text);
	arena_done(&n.arena);
}

/* Whatever a macro grows to, the right end is exact and memory is bounded. */
static void huge_expansions(void **state)
{
	struct names n;
	struct buf spec, helo;
	(void)state;
	set_up(&n);
	buf_init(&spec, 64 * KIB);
	buf_init(&helo, MIB);
	for (int i = 0; i < 1000; i++)
		buf_add_str(&spec, "%{s}.%{S}.");
	buf_add_str(&spec, "end.example.com");
	assert_int_equal(expand(&n, buf_slice(&spec)), ERR_OK);
	assert_true(
	        slice_ends(n.target.text, SLICE(".strong-bad@email.example.com."
	                                        "strong-bad%40email.example.com.end.example.com")));
	assert_in_range(n.target.text.n, 200, 253);
	for (int i = 0; i < 20000; i++)
		buf_add_str(&helo, "a.bcd");
	n.values.helo = buf_slice(&helo);
	assert_int_equal(expand(&n, SLICE("%{h}")), ERR_INVALID);
	assert_int_equal(expand(&n, SLICE("%{h2r}.example.com")), ERR_INVALID);
	n.values.helo = slice_sub(buf_slice(&helo), 0, 20000);
	assert_int_equal(expand(&n, SLICE("%{h}")), ERR_OK);
	assert_int_equal(expand(&n, SLICE("%{h2}.example.com")), ERR_OK);
	assert_string_equal(n.target.name.text, "bcda.bcd.example.com");
	buf_done(&helo);
	buf_done(&spec);
	arena_done(&n.arena);
}

static void memory_is_bounded(void **state)
{
	struct names n;
	(void)state;
	set_up(&n);
	arena_done(&n.arena);
	for (size_t budget = 0; budget < 80; budget += 16) {
		arena_init(&n.arena, budget);
		enum err err = expand(&n, SLICE("%{d}"));
		assert_true(err == ERR_LIMIT || (err == ERR_OK && budget >= 48));
		arena_done(&n.arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(examples_of_the_rfc),
	        cmocka_unit_test(letters_and_transformers),
	        cmocka_unit_test(empty_parts_stay),
	        cmocka_unit_test(grammar),
	        cmocka_unit_test(ends_of_domain_specs),
	        cmocka_unit_test(letters_are_found),
	        cmocka_unit_test(names_are_asked_as_they_are),
	        cmocka_unit_test(what_is_no_name),
	        cmocka_unit_test(long_names_lose_labels),
	        cmocka_unit_test(huge_expansions),
	        cmocka_unit_test(memory_is_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
