/* Authentication-Results: read, printed, and recognised when forged. */
#include "mailauth/authres.h"

#include "message/compose.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

/* "id/version; method/version=result (comment) {reason} ptype.property=[value] <mailbox> ... bad"
 */
static void describe(const struct authres *authres, struct buf *out)
{
	buf_printf(out, "%.*s", SLICE_FMT(authres->id));
	if (authres->version > 0)
		buf_printf(out, "/%" PRIu32, authres->version);
	for (size_t i = 0; i < authres->n_results; i++) {
		const struct authres_result *result = &authres->results[i];
		buf_printf(out, "; %.*s", SLICE_FMT(result->method));
		if (result->version > 0)
			buf_printf(out, "/%" PRIu32, result->version);
		buf_printf(out, "=%.*s", SLICE_FMT(result->result));
		if (result->comment.n > 0)
			buf_printf(out, " (%.*s)", SLICE_FMT(result->comment));
		if (result->has_reason)
			buf_printf(out, " {%.*s}", SLICE_FMT(result->reason));
		for (size_t k = 0; k < result->n_properties; k++) {
			const struct authres_property *property = &result->properties[k];
			bool mailbox = property->form == AUTHRES_MAILBOX;
			buf_printf(out, " %s.%s=%c%.*s%c", property->ptype, property->property,
			           mailbox ? '<' : '[', SLICE_FMT(property->value),
			           mailbox ? '>' : ']');
		}
	}
	for (size_t i = 0; i < authres->n_bad; i++)
		buf_add_str(out, " bad");
}

static void check_slice(struct slice payload, const char *expected)
{
	struct arena arena;
	struct authres authres = {.id = SLICE("")};
	struct buf got;
	arena_init(&arena, MIB);
	buf_init(&got, MIB);
	struct status status = authres_parse(payload, &arena, &authres);
	if (!is_ok(status))
		buf_printf(&got, "(%s) ", status.why);
	if (is_ok(status) || status.code == ERR_UNSUPPORTED)
		describe(&authres, &got);
	assert_string_equal(buf_cstr(&got), expected);
	buf_done(&got);
	arena_done(&arena);
}

static void check(const char *payload, const char *expected)
{
	check_slice(slice_str(payload), expected);
}

/* RFC 8601 appendix B and the text. */
static void examples_of_the_rfc_are_read(void **state)
{
	(void)state;
	check(" example.org 1; none", "example.org/1");
	check(" example.com;\r\n          spf=pass smtp.mailfrom=example.net",
	      "example.com; spf=pass smtp.mailfrom=[example.net]");
	check(" example.com;\r\n"
	      "          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
	      "          spf=pass smtp.mailfrom=example.net",
	      "example.com; auth=pass (cram-md5) smtp.auth=<sender@example.net>; "
	      "spf=pass smtp.mailfrom=[example.net]");
	check(" example.com; iprev=pass\r\n          policy.iprev=192.0.2.200",
	      "example.com; iprev=pass policy.iprev=[192.0.2.200]");
	check(" example.com;\r\n"
	      "      dkim=pass reason=\"good signature\"\r\n"
	      "        header.i=@mail-router.example.net;\r\n"
	      "      dkim=fail reason=\"bad signature\"\r\n"
	      "        header.i=@newyork.example.com",
	      "example.com; dkim=pass {good signature} header.i=<@mail-router.example.net>; "
	      "dkim=fail {bad signature} header.i=<@newyork.example.com>");
	/* the very comment-heavy one */
	check(" foo.example.net (foobar) 1 (baz);\r\n"
	      "    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
	      "      policy (A dot can go here) . (like that) expired\r\n"
	      "      (this surprised me) = (as I wasn't expecting it) 1362471462",
	      "foo.example.net/1; dkim/1=fail policy.expired=[1362471462]");
	check(" example.com; foo=pass bar.baz=blob (2 of 3 tests OK)",
	      "example.com; foo=pass bar.baz=[blob]");
	check(" x; dkim=policy policy.dkim-rules=unsigned-subject",
	      "x; dkim=policy policy.dkim-rules=[unsigned-subject]");
	check(" x; auth=pass smtp.auth=client@c.example smtp.mailfrom=bob@b.example",
	      "x; auth=pass smtp.auth=<client@c.example> smtp.mailfrom=<bob@b.example>");
}

static void the_grammar_is_followed(void **state)
{
	static const struct {
		const char *payload, *expected;
	} cases[] = {
	        {"x;none", "x"},
	        {"x ; none (really)", "x"},
	        {"(a)\"x y\"(b)1(c);(d)NONE(e)", "x y/1"},
	        {"x;a=b", "x; a=b"},
	        {"x;a=b;c=d", "x; a=b; c=d"},
	        {"x; none=pass", "x; none=pass"},
	        {"x; A-1=B-2", "x; A-1=B-2"},
	        {"x; a/2=b", "x; a/2=b"},
	        {"x; a=b Reason = c", "x; a=b {c}"},
	        {"x; a=b reason=\"c; \\\"d\\\" (e)\"", "x; a=b {c; \"d\" (e)}"},
	        {"x; a=b reason=c d.e=f", "x; a=b {c} d.e=[f]"},
	        {"x; a=b reason.x=y", "x; a=b reason.x=[y]"},
	        {"x; a=b c.d=\"e f\" g.h=i", "x; a=b c.d=[e f] g.h=[i]"},
	        {"x; a=b c.d=\"\"", "x; a=b c.d=[]"},
	        {"x; a=b C.D=e", "x; a=b c.d=[e]"},
	        {"x; a=b c.d=@e.f", "x; a=b c.d=<@e.f>"},
	        {"x; a=b c.d=\"e f\"@g.h", "x; a=b c.d=<e f@g.h>"},
	        {"x; a=b c.d=e+f/g=h@i.j", "x; a=b c.d=<e+f/g=h@i.j>"},
	        {"x; a=b c.d=b\xc3\xbc"
	         "cher.example",
	         "x; a=b c.d=[b\xc3\xbc"
	         "cher.example]"},
	        {"b\xc3\xbc"
	         "cher.example; a=b",
	         "b\xc3\xbc"
	         "cher.example; a=b"},
	        {"x; a=b (one) (two) c.d=e", "x; a=b (two) c.d=[e]"},
	        {"x; a=b (n(es)ted \\( one)", "x; a=b (n(es)ted ( one)"},
	        {"x; a=b (dnssec secure) reason=c (no) d.e=f (no)",
	         "x; a=b (dnssec secure) {c} d.e=[f]"},
	        {"x\r\n\t1\r\n ;\r\n a\r\n =\r\n b", "x/1; a=b"},
	        /* tolerated */
	        {"x; a=b c.d=e/f+g==", "x; a=b c.d=[e/f+g==]"},
	        {"x; a=b policy.iprev=2001:db8::1", "x; a=b policy.iprev=[2001:db8::1]"},
	        {"x; a=b;", "x; a=b"},
	        {"x; a=b; (end)", "x; a=b"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].payload, cases[i].expected);
}

static void results_without_grammar_are_passed_over(void **state)
{
	static const struct {
		const char *payload, *expected;
	} cases[] = {
	        {"x;", "x bad"},
	        {"x;;a=b", "x; a=b bad"},
	        {"x; none; a=b", "x; a=b bad"},
	        {"x; a=b; none", "x; a=b bad"},
	        {"x; none a=b", "x bad"},
	        {"x; a", "x bad"},
	        {"x; =b", "x bad"},
	        {"x; a=", "x bad"},
	        {"x; a =b c", "x bad"},
	        {"x; a-=b", "x bad"},
	        {"x; a_b=c", "x bad"},
	        {"x; a=b-", "x bad"},
	        {"x; a/=b", "x bad"},
	        {"x; a/x=b", "x bad"},
	        {"x; a/4294967296=b", "x bad"},
	        {"x; a=b c.d", "x bad"},
	        {"x; a=b c.d=", "x bad"},
	        {"x; a=b c.=d", "x bad"},
	        {"x; a=b .c=d", "x bad"},
	        {"x; a=b c=d", "x bad"},
	        {"x; a=b c.d=e@", "x bad"},
	        {"x; a=b c.d=<e@f>", "x bad"},
	        {"x; a=b c.d=\"e", "x bad"},
	        {"x; a=b c.d=\"e\x01\"", "x bad"},
	        {"x; a=b c.d=\"e\\\x7f\"", "x bad"},
	        {"x; a=b c.d=\xff", "x bad"},
	        {"x; a=b reason", "x bad"},
	        {"x; a=b reason=", "x bad"},
	        {"x; a=b reason=c reason=d", "x bad"},
	        {"x; a=b c.d=e reason=f", "x bad"},
	        {"x; \"a\"=b", "x bad"},
	        /* the others stay: as large services write */
	        {"x; spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=e.example; dkim=pass\r\n"
	         " header.d=e.example;dmarc=pass action=none header.from=e.example;"
	         "compauth=pass reason=100",
	         "x; spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=[e.example]; "
	         "dkim=pass header.d=[e.example]; compauth=pass {100} bad"},
	        {"x; bad \"; a=b\" (; c=d) ; e=f", "x; e=f bad"},
	        {"x; bad \"; a=b", "x; a=b bad"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].payload, cases[i].expected);
}

static void fields_without_an_id_are_refused(void **state)
{
	static const struct {
		const char *payload, *expected;
	} cases[] = {
	        {"", "(no authserv-id) "},
	        {" (x)", "(no authserv-id) "},
	        {";a=b", "(no authserv-id) "},
	        {"\"\"; a=b", "(no authserv-id) "},
	        {"@x; a=b", "(no authserv-id) "},
	        {"\"x; a=b", "(no authserv-id) "},
	        {"\xff; a=b", "(no authserv-id) "},
	        {"x", "(no authentication results) "},
	        {"x 1", "(no authentication results) "},
	        {"x y; a=b", "(text behind the authserv-id) "},
	        {"x/y; a=b", "(text behind the authserv-id) "},
	        {"x=y", "(text behind the authserv-id) "},
	        {"x@y; a=b", "(text behind the authserv-id) "},
	        {"\"x\"1; a=b", "(text behind the authserv-id) "},
	        {"x 1 2; a=b", "(text behind the version) "},
	        {"x 1a; a=b", "(text behind the version) "},
	        {"x 99999999999; a=b", "(text behind the authserv-id) "},
	        {"x 2; a=b", "(unknown version) x/2"},
	        {"x 0; a=b", "(unknown version) x"},
	        {"x; a=b (never closed", "(a comment that is never closed) "},
	        {"x (never closed; a=b", "(no authentication results) "},
	        {"x; none (", "(a comment that is never closed) "},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		check(cases[i].payload, cases[i].expected);
	check_slice(SLICE("x\0y; a=b"), "(text behind the authserv-id) ");
}

static void arc_payloads_have_an_instance(void **state)
{
	static const struct {
		const char *payload;
		unsigned instance; /* 0: refused */
	} cases[] = {
	        {" i=1; x; none", 1},
	        {" i = 50 ; x; spf=fail smtp.from=jqd@d1.example", 50},
	        {"(a)i(b)=(c)3(d);(e)x;a=b", 3},
	        {"i=0; x; none", 0},
	        {"i=51; x; none", 0},
	        {"i=; x; none", 0},
	        {"i=1 x; none", 0},
	        {"I=1; x; none", 0},
	        {"x; none", 0},
	        {"i=1;", 0},
	        {"i=1; i=1; x; none", 0},
	        {"", 0},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct authres authres;
		unsigned instance = 0;
		arena_init(&arena, MIB);
		struct status status =
		        authres_parse_arc(slice_str(cases[i].payload), &arena, &instance, &authres);
		assert_int_equal(is_ok(status), cases[i].instance > 0);
		assert_int_equal(instance, cases[i].instance);
		assert_true(!is_ok(status) || slice_eq_str(authres.id, "x"));
		arena_done(&arena);
	}
}

static void results_are_found(void **state)
{
	struct arena arena;
	struct authres authres;
	struct slice value;
	(void)state;
	arena_init(&arena, MIB);
	assert_int_equal(
	        authres_parse(SLICE("x; dkim=pass header.d=a; DKIM/1=fail header.d=b; dkim/2=pass "
	                            "header.d=c; spf=pass"),
	                      &arena, &authres)
	                .code,
	        ERR_OK);
	assert_true(slice_eq_str(authres_find(&authres, "dkim", 0)->result, "pass"));
	assert_true(slice_eq_str(authres_find(&authres, "dkim", 1)->result, "fail"));
	assert_null(authres_find(&authres, "dkim", 2));
	assert_null(authres_find(&authres, "dmarc", 0));
	assert_true(authres_value(authres_find(&authres, "dkim", 1), "header", "d", &value));
	assert_true(slice_eq_str(value, "b"));
	assert_false(authres_value(authres_find(&authres, "spf", 0), "header", "d", &value));
	arena_done(&arena);
}

/* --- printing --- */

static void check_print(const struct authres *authres, const char *expected)
{
	struct buf out;
	buf_init(&out, MIB);
	struct status status = authres_print(authres, "Authentication-Results", 0, &out);
	if (!is_ok(status))
		assert_int_equal(out.n, 0);
	assert_string_equal(is_ok(status) ? buf_cstr(&out) : status.why, expected);
	buf_done(&out);
}

static void fields_are_printed(void **state)
{
	static const struct authres_property properties[] = {
	        {"header", "from", AUTHRES_VALUE, {(const uint8_t *)"example.com", 11}},
	        {"policy", "iprev", AUTHRES_VALUE, {(const uint8_t *)"2001:db8::1", 11}},
	        {"header", "i", AUTHRES_MAILBOX, {(const uint8_t *)"@example.com", 12}},
	        {"smtp", "mailfrom", AUTHRES_MAILBOX, {(const uint8_t *)"a \"b@c.example", 14}},
	        {"header", "b", AUTHRES_VALUE, {(const uint8_t *)"a/+=", 4}},
	};
	struct authres_result results[] = {
	        {.method = SLICE("dmarc"),
	         .result = SLICE("pass"),
	         .comment = SLICE("dnssec secure"),
	         .properties = properties,
	         .n_properties = 1},
	        {.method = SLICE("x"),
	         .version = 2,
	         .result = SLICE("fail"),
	         .has_reason = true,
	         .reason = SLICE("no \"such\" (thing)"),
	         .properties = properties + 1,
	         .n_properties = 4},
	};
	struct authres authres = {.id = SLICE("mx.example.org")};
	(void)state;
	check_print(&authres, "Authentication-Results: mx.example.org; none\r\n");
	authres.version = 1;
	check_print(&authres, "Authentication-Results: mx.example.org 1; none\r\n");
	authres.results = results;
	authres.n_results = 2;
	check_print(
	        &authres,
	        "Authentication-Results: mx.example.org 1;\r\n"
	        " dmarc=pass (dnssec secure) header.from=example.com;\r\n"
	        " x/2=fail reason=\"no \\\"such\\\" (thing)\" policy.iprev=\"2001:db8::1\"\r\n"
	        " header.i=@example.com smtp.mailfrom=\"a \\\"b\"@c.example header.b=\"a/+=\"\r\n");
	authres.id = SLICE("an id; (x)");
	authres.n_results = 0;
	check_print(&authres, "Authentication-Results: \"an id; (x)\" 1; none\r\n");
	struct buf out;
	buf_init(&out, MIB);
	authres.id = SLICE("x");
	authres.version = 0;
	assert_int_equal(authres_print(&authres, "ARC-Authentication-Results", 3, &out).code,
	                 ERR_OK);
	assert_string_equal(buf_cstr(&out), "ARC-Authentication-Results: i=3; x; none\r\n");
	buf_done(&out);
}

static void print_value(struct slice value, enum authres_form form, bool utf8, const char *expected)
{
	struct authres_property property = {"a", "b", form, value};
	struct authres_result result = {.method = SLICE("m"),
	                                .result = SLICE("r"),
	                                .properties = &property,
	                                .n_properties = 1};
	struct authres authres = {
	        .id = SLICE("x"), .utf8 = utf8, .results = &result, .n_results = 1};
	char line[2000];
	snprintf(line, sizeof(line), "Authentication-Results: x; m=r%s\r\n", expected);
	check_print(&authres, line);
}

static void unsafe_values_are_left_out(void **state)
{
	(void)state;
	print_value(SLICE("ok"), AUTHRES_VALUE, false, " a.b=ok");
	print_value(SLICE(""), AUTHRES_VALUE, false, " a.b=\"\"");
	print_value(SLICE("a;b=c"), AUTHRES_VALUE, false, " a.b=\"a;b=c\"");
	print_value(SLICE("a (b"), AUTHRES_VALUE, false, " a.b=\"a (b\"");
	print_value(SLICE("a\\\"b"), AUTHRES_VALUE, false, " a.b=\"a\\\\\\\"b\"");
	print_value(SLICE("a\r\nX: y"), AUTHRES_VALUE, false, "");
	print_value(SLICE("a\0b"), AUTHRES_VALUE, false, "");
	print_value(SLICE("a\tb"), AUTHRES_VALUE, false, "");
	print_value(SLICE("a\x7f"), AUTHRES_VALUE, false, "");
	print_value(SLICE("b\xc3\xbc"), AUTHRES_VALUE, false, "");
	print_value(SLICE("b\xc3\xbc"), AUTHRES_VALUE, true, " a.b=\"b\xc3\xbc\"");
	print_value(SLICE("b\xfc"), AUTHRES_VALUE, true, "");
	print_value(SLICE("a@b"), AUTHRES_VALUE, false, " a.b=\"a@b\"");
	print_value(SLICE("a@b"), AUTHRES_MAILBOX, false, " a.b=a@b");
	print_value(SLICE("@"), AUTHRES_MAILBOX, false, " a.b=\"@\"");
	print_value(SLICE("ab"), AUTHRES_MAILBOX, false, " a.b=ab");
	print_value(SLICE("a@b;c"), AUTHRES_MAILBOX, false, " a.b=\"a@b;c\"");
	print_value(SLICE("a@[1.2.3.4]"), AUTHRES_MAILBOX, false, " a.b=\"a@[1.2.3.4]\"");
	print_value(SLICE("a..b@c"), AUTHRES_MAILBOX, false, " a.b=\"a..b\"@c");
	print_value(SLICE("a@b@c"), AUTHRES_MAILBOX, false, " a.b=\"a@b\"@c");
	print_value(SLICE("\xc3\xbc@\xc3\xbc"), AUTHRES_MAILBOX, true, " a.b=\xc3\xbc@\xc3\xbc");
	print_value(SLICE("a\r\n@b"), AUTHRES_MAILBOX, false, "");
	uint8_t text[AUTHRES_VALUE_MAX + 1];
	memset(text, '\\', sizeof(text));
	print_value(slice_of(text, sizeof(text)), AUTHRES_VALUE, false, "");
}

static void the_callers_mistakes_are_refused(void **state)
{
	static const char refused[] = "not what Authentication-Results can say";
	struct authres_property property = {"a", "b", AUTHRES_VALUE, SLICE("c")};
	struct authres_result good = {.method = SLICE("m"),
	                              .result = SLICE("r"),
	                              .properties = &property,
	                              .n_properties = 1};
	struct authres_result result = good;
	struct authres authres = {.id = SLICE("x"), .results = &result, .n_results = 1};
	(void)state;
	check_print(&authres, "Authentication-Results: x; m=r a.b=c\r\n");
	static const char *const bad[] = {"", "a b", "a;b", "a=b", "a\r\n", "a-", "\xc3\xbc"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		result = good;
		result.method = slice_str(bad[i]);
		check_print(&authres, refused);
		result = good;
		result.result = slice_str(bad[i]);
		check_print(&authres, refused);
		result = good;
		property.ptype = bad[i];
		check_print(&authres, refused);
		property.ptype = "a";
		property.property = bad[i];
		check_print(&authres, refused);
		property.property = "b";
	}
	static const char *const bad_ids[] = {"", "a\r\nb", "a\tb", "\xc3\xbc"};
	for (size_t i = 0; i < N_ELEMENTS(bad_ids); i++) {
		authres.id = slice_str(bad_ids[i]);
		check_print(&authres, refused);
	}
	authres.id = SLICE("x");
	struct buf out;
	buf_init(&out, MIB);
	assert_int_equal(authres_print(&authres, "Not a name", 0, &out).code, ERR_INVALID);
	assert_int_equal(authres_print(&authres, "X", AUTHRES_INSTANCE_MAX + 1, &out).code,
	                 ERR_INVALID);
	buf_done(&out);
	buf_init(&out, 20);
	assert_int_equal(authres_print(&authres, "Authentication-Results", 0, &out).code,
	                 ERR_LIMIT);
	buf_done(&out);
}

static void texts_are_cleaned_and_cut(void **state)
{
	struct authres_result result = {.method = SLICE("m"), .result = SLICE("r")};
	struct authres authres = {.id = SLICE("x"), .results = &result, .n_results = 1};
	uint8_t text[1000];
	(void)state;
	result.comment = SLICE("a) evil=pass (\r\n\0\\");
	result.has_reason = true;
	result.reason = SLICE("b\" evil=pass\r\nX: y\xc3\xbc");
	check_print(&authres,
	            "Authentication-Results: x; m=r (a\\) evil=pass \\(???\\\\) reason=\"b\\\"\r\n"
	            " evil=pass??X: y??\"\r\n");
	authres.utf8 = true;
	result.comment = SLICE("\xc3\xbc");
	result.reason = SLICE("\xc3\xbc\xff");
	check_print(&authres, "Authentication-Results: x; m=r (\xc3\xbc) reason=\"???\"\r\n");
	/* blanks around a comment would not be read back, nor would an empty one */
	result.has_reason = false;
	result.comment = SLICE(" \tx y ");
	check_print(&authres, "Authentication-Results: x; m=r (x y)\r\n");
	result.comment = SLICE(" \r\n ");
	check_print(&authres, "Authentication-Results: x; m=r\r\n");
	memset(text, ' ', sizeof(text));
	text[0] = text[AUTHRES_REASON_MAX] = 'x';
	result.comment = slice_of(text, sizeof(text));
	check_print(&authres, "Authentication-Results: x; m=r (x)\r\n");
	result.has_reason = true;
	/* the longest there is keeps its lines short where it has blanks, and below 998 anyway */
	memset(text, '"', sizeof(text));
	result.reason = slice_of(text, sizeof(text));
	result.comment = result.reason;
	struct buf out;
	buf_init(&out, MIB);
	assert_int_equal(authres_print(&authres, "Authentication-Results", 0, &out).code, ERR_OK);
	assert_true(out.n < 2 * AUTHRES_REASON_MAX + 2 * AUTHRES_REASON_MAX + 100);
	buf_done(&out);
}

static void numbers_are_bounded(void **state)
{
	static struct authres_property properties[AUTHRES_PROPERTIES_MAX + 1];
	static struct authres_result results[AUTHRES_RESULTS_MAX + 1];
	struct authres authres = {.id = SLICE("x"), .results = results};
	struct buf out;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(properties); i++)
		properties[i] = (struct authres_property){"a", "b", AUTHRES_VALUE, SLICE("c")};
	for (size_t i = 0; i < N_ELEMENTS(results); i++)
		results[i] = (struct authres_result){.method = SLICE("m"),
		                                     .version = 1,
		                                     .result = SLICE("r"),
		                                     .properties = properties,
		                                     .n_properties = i == 0};
	authres.n_results = 1;
	check_print(&authres, "Authentication-Results: x; m=r a.b=c\r\n");
	buf_init(&out, MIB);
	results[0].n_properties = AUTHRES_PROPERTIES_MAX;
	authres.n_results = AUTHRES_RESULTS_MAX;
	assert_int_equal(authres_print(&authres, "X", AUTHRES_INSTANCE_MAX, &out).code, ERR_OK);
	authres.n_results++;
	assert_int_equal(authres_print(&authres, "X", 0, &out).code, ERR_INVALID);
	authres.n_results = 1;
	results[0].n_properties++;
	assert_int_equal(authres_print(&authres, "X", 0, &out).code, ERR_INVALID);
	buf_done(&out);
}

static void lines_are_folded(void **state)
{
	struct authres_property properties[20];
	struct authres_result result = {.method = SLICE("m"),
	                                .result = SLICE("r"),
	                                .comment = SLICE("many words in one comment that must go "
	                                                 "on in another line, as it is so long"),
	                                .properties = properties,
	                                .n_properties = N_ELEMENTS(properties)};
	struct authres authres = {.id = SLICE("x"), .results = &result, .n_results = 1};
	struct buf out;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(properties); i++)
		properties[i] = (struct authres_property){"header", "d", AUTHRES_VALUE,
		                                          SLICE("a.rather.long.domain.example")};
	buf_init(&out, MIB);
	assert_int_equal(authres_print(&authres, "Authentication-Results", 0, &out).code, ERR_OK);
	struct slice line, rest = buf_slice(&out);
	while (slice_cut(rest, '\n', &line, &rest))
		assert_true(line.n <= MESSAGE_LINE_FOLD + 1);
	buf_done(&out);
}

static void results_tell_what_they_rest_on(void **state)
{
	struct mailauth_evidence_item item = {.security = DNS_SECURE};
	struct mailauth_evidence evidence = {&item, 0, false};
	(void)state;
	assert_true(slice_eq_str(authres_dnssec_comment(&evidence), "dnssec none"));
	evidence.n = 1;
	assert_true(slice_eq_str(authres_dnssec_comment(&evidence), "dnssec secure"));
	item.security = DNS_INSECURE;
	assert_true(slice_eq_str(authres_dnssec_comment(&evidence), "dnssec insecure"));
	item.security = DNS_BOGUS;
	assert_true(slice_eq_str(authres_dnssec_comment(&evidence), "dnssec bogus"));
}

/* --- forged fields --- */

static void fields_in_our_name_must_go(void **state)
{
	static const struct {
		const char *name, *value;
		bool remove;
	} cases[] = {
	        {"Authentication-Results", " mx.example.org; dkim=pass", true},
	        {"authentication-RESULTS", " MX.Example.ORG; dkim=pass", true},
	        {"Authentication-Results", " (x) mx.example.org (y) 1; dkim=pass", true},
	        {"Authentication-Results", " \"mx.example.org\"; dkim=pass", true},
	        {"Authentication-Results", "\r\n mx.example.org\r\n ; dkim=pass", true},
	        {"Authentication-Results", " \"mx.exa\\mple.org\"; dkim=pass", true},
	        {"Authentication-Results", " mx.example.org.; dkim=pass", true},
	        {"Authentication-Results", " a.mx.example.org; dkim=pass", true},
	        {"Authentication-Results",
	         " b\xc3\xbc"
	         "cher.example; dkim=pass",
	         true},
	        {"Authentication-Results", " xn--bcher-kva.example; dkim=pass", true},
	        {"Authentication-Results", " our auth; dkim=pass", true}, /* cannot be read */
	        {"Authentication-Results", " \"our auth\"; dkim=pass", true},
	        /* whatever cannot be read */
	        {"Authentication-Results", "", true},
	        {"Authentication-Results", " ; dkim=pass", true},
	        {"Authentication-Results", " other.example 2; dkim=pass", true},
	        {"Authentication-Results", " other.example x; dkim=pass", true},
	        {"Authentication-Results", " other.example/x; dkim=pass", true},
	        {"Authentication-Results", " other.example (; dkim=pass", true},
	        {"Authentication-Results", " \"mx.example.org; dkim=pass", true},
	        {"Authentication-Results", " other.example mx.example.org; dkim=pass", true},
	        /* names that others may take for it */
	        {"", "Authentication-Results\x01: mx.example.org; dkim=pass", true},
	        {"", " Authentication-Results: other.example; dkim=pass", true},
	        {"", "Authentication-Results other.example", false},
	        {"", "Authentication-Results", true},
	        /* others may stay */
	        {"Authentication-Results", " other.example; dkim=pass", false},
	        {"Authentication-Results", " other.example 1; dkim=pass", false},
	        {"Authentication-Results", " other.example; rubbish", false},
	        {"Authentication-Results", " example.org; dkim=pass", false},
	        {"Authentication-Results", " xmx.example.org; dkim=pass", false},
	        {"Authentication-Results", " mx.example.org.evil.example; dkim=pass", false},
	        {"Authentication-Results", " other.example; x=y (mx.example.org)", false},
	        {"ARC-Authentication-Results", " i=1; mx.example.org; dkim=pass", false},
	        {"X-Authentication-Results", " mx.example.org; dkim=pass", false},
	        {"Subject", " mx.example.org; dkim=pass", false},
	        {"", "", false},
	};
	static const struct slice ids[] = {
	        {(const uint8_t *)"mx.example.org", 14},
	        {(const uint8_t *)"our auth", 8},
	        {(const uint8_t *)"b\xc3\xbc"
	                          "cher.example",
	         15},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		bool remove = authres_must_remove(slice_str(cases[i].name),
		                                  slice_str(cases[i].value), ids, N_ELEMENTS(ids));
		if (remove != cases[i].remove)
			print_message("# %s: %s\n", cases[i].name, cases[i].value);
		assert_int_equal(remove, cases[i].remove);
	}
}

/* --- limits --- */

static void work_is_bounded(void **state)
{
	struct arena arena;
	struct authres authres;
	struct buf in;
	(void)state;
	buf_init(&in, MIB);
	arena_init(&arena, 4 * MIB);
	buf_add_str(&in, "x");
	for (size_t i = 0; i < AUTHRES_RESULTS_MAX; i++)
		buf_add_str(&in, ";a=b");
	assert_int_equal(authres_parse(buf_slice(&in), &arena, &authres).code, ERR_OK);
	assert_int_equal(authres.n_results, AUTHRES_RESULTS_MAX);
	buf_add_str(&in, ";a=b");
	assert_int_equal(authres_parse(buf_slice(&in), &arena, &authres).code, ERR_LIMIT);
	buf_reset(&in);
	buf_add_str(&in, "x;a=b");
	for (size_t i = 0; i < AUTHRES_PROPERTIES_MAX; i++)
		buf_add_str(&in, " c.d=e");
	assert_int_equal(authres_parse(buf_slice(&in), &arena, &authres).code, ERR_OK);
	assert_int_equal(authres.results[0].n_properties, AUTHRES_PROPERTIES_MAX);
	buf_add_str(&in, " c.d=e");
	assert_int_equal(authres_parse(buf_slice(&in), &arena, &authres).code, ERR_OK);
	assert_int_equal(authres.n_bad, 1);
	static const char *const fillings[] = {"(", "\"", ";", "\\", "a", "a=b ", "@", "=", "(\""};
	for (size_t i = 0; i < N_ELEMENTS(fillings); i++) {
		buf_reset(&in);
		buf_add_str(&in, "x; a=b ");
		while (in.n + 8 < AUTHRES_SIZE_MAX)
			buf_add_str(&in, fillings[i]);
		(void)authres_parse(buf_slice(&in), &arena, &authres);
		(void)authres_must_remove(SLICE("Authentication-Results"), buf_slice(&in), NULL, 0);
	}
	buf_reset(&in);
	while (in.n <= AUTHRES_SIZE_MAX)
		buf_add_byte(&in, 'x');
	assert_int_equal(authres_parse(buf_slice(&in), &arena, &authres).code, ERR_LIMIT);
	assert_true(authres_must_remove(SLICE("Authentication-Results"), buf_slice(&in), NULL, 0));
	arena_done(&arena);
	buf_done(&in);
}

static void memory_is_bounded(void **state)
{
	struct slice payload = SLICE("x 1; a=b (c) reason=\"d e\" f.g=h i.j=\"k l\"@m");
	size_t n_read = 0;
	(void)state;
	for (size_t budget = 0; budget < 30000; budget += 64) {
		struct arena arena;
		struct authres authres = {.n_bad = 77};
		arena_init(&arena, budget);
		struct status status = authres_parse(payload, &arena, &authres);
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
		assert_int_equal(authres.n_bad, is_ok(status) ? 0 : 77);
		n_read += is_ok(status);
		arena_done(&arena);
	}
	assert_true(n_read > 100 && n_read < 460);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(examples_of_the_rfc_are_read),
	        cmocka_unit_test(the_grammar_is_followed),
	        cmocka_unit_test(results_without_grammar_are_passed_over),
	        cmocka_unit_test(fields_without_an_id_are_refused),
	        cmocka_unit_test(arc_payloads_have_an_instance),
	        cmocka_unit_test(results_are_found),
	        cmocka_unit_test(fields_are_printed),
	        cmocka_unit_test(unsafe_values_are_left_out),
	        cmocka_unit_test(the_callers_mistakes_are_refused),
	        cmocka_unit_test(texts_are_cleaned_and_cut),
	        cmocka_unit_test(numbers_are_bounded),
	        cmocka_unit_test(lines_are_folded),
	        cmocka_unit_test(results_tell_what_they_rest_on),
	        cmocka_unit_test(fields_in_our_name_must_go),
	        cmocka_unit_test(work_is_bounded),
	        cmocka_unit_test(memory_is_bounded),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
