/* The words of the grammar: tables with more bad cases than good ones. */
#include "imap/syntax.h"

#include "imap/fetch_items.h"
#include "imap/mailbox_name.h"
#include "imap/set.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct string_case {
	struct slice in;
	const char *out; /* NULL: an error */
};

static void check_strings(const struct string_case *cases, size_t n,
                          struct slice (*parse)(struct cursor *c, struct arena *arena))
{
	for (size_t i = 0; i < n; i++) {
		struct arena arena;
		arena_init(&arena, 4096);
		struct cursor c = cursor_of(cases[i].in);
		struct slice out = parse(&c, &arena);
		cursor_expect_end(&c, "something follows");
		if (cursor_ok(&c) != (cases[i].out != NULL))
			print_error("case %zu: %s\n", i, c.why ? c.why : "accepted");
		assert_int_equal(cursor_ok(&c), cases[i].out != NULL);
		if (cases[i].out)
			assert_true(slice_eq_str(out, cases[i].out));
		arena_done(&arena);
	}
}

static void astrings(void **state)
{
	static const struct string_case cases[] = {
	        {SLICE("atom"), "atom"},
	        {SLICE("a]b"), "a]b"},
	        {SLICE("\"\""), ""},
	        {SLICE("\"a b\""), "a b"},
	        {SLICE("\"a\\\"b\\\\\""), "a\"b\\"},
	        {SLICE("\"\xc3\xb6\""), "\xc3\xb6"},
	        {SLICE("{0}\r\n"), ""},
	        {SLICE("{3}\r\na\r\n"), "a\r\n"},
	        {SLICE("{3+}\r\n\"{}"), "\"{}"},
	        {SLICE(""), NULL},
	        {SLICE(" a"), NULL},
	        {SLICE("a b"), NULL},
	        {SLICE("a(b"), NULL},
	        {SLICE("a*"), NULL},
	        {SLICE("a%"), NULL},
	        {SLICE("a\\b"), NULL},
	        {SLICE("a\"b"), NULL},
	        {SLICE("a{b"), NULL},
	        {SLICE("\xc3\xb6"), NULL},
	        {SLICE("\x01"), NULL},
	        {SLICE("\x7f"), NULL},
	        {SLICE("\"a"), NULL},
	        {SLICE("\"a\\\""), NULL},
	        {SLICE("\"a\\b\""), NULL},
	        {SLICE("\"a\\"), NULL},
	        {SLICE("\"a\rb\""), NULL},
	        {SLICE("\"a\nb\""), NULL},
	        {SLICE("\"a\0b\""), NULL},
	        {SLICE("\"a\"b"), NULL},
	        {SLICE("{3}\r\nab"), NULL},
	        {SLICE("{3}\r\nabcd"), NULL},
	        {SLICE("{3}\nabc"), NULL},
	        {SLICE("{3}abc"), NULL},
	        {SLICE("{}\r\n"), NULL},
	        {SLICE("{-1}\r\n"), NULL},
	        {SLICE("{3-}\r\nabc"), NULL},
	        {SLICE("{3 }\r\nabc"), NULL},
	        {SLICE("{1}\r\n\0"), NULL},
	        {SLICE("~{1}\r\na"), NULL},
	        {SLICE("{99999999999999999999999}\r\na"), NULL},
	        {SLICE("{18446744073709551615}\r\na"), NULL},
	};
	(void)state;
	check_strings(cases, N_ELEMENTS(cases), imap_astring);
}

static struct slice parse_tag(struct cursor *c, struct arena *arena)
{
	(void)arena;
	return imap_tag(c);
}

static struct slice parse_flag(struct cursor *c, struct arena *arena)
{
	(void)arena;
	return imap_flag(c);
}

static void tags_and_flags(void **state)
{
	static const struct string_case tags[] = {
	        {SLICE("a1"), "a1"}, {SLICE("*"), NULL},    {SLICE("a+"), NULL},
	        {SLICE(""), NULL},   {SLICE("a(1"), NULL},  {SLICE("\"a\""), NULL},
	        {SLICE("."), "."},   {SLICE("a\\1"), NULL}, {SLICE("\xff"), NULL},
	};
	static const struct string_case flags[] = {
	        {SLICE("\\Seen"), "\\Seen"}, {SLICE("$Forwarded"), "$Forwarded"},
	        {SLICE("\\"), NULL},         {SLICE("\\\\Seen"), NULL},
	        {SLICE("\\*"), NULL},        {SLICE("a]"), NULL},
	        {SLICE(""), NULL},           {SLICE("\"a\""), NULL},
	};
	(void)state;
	check_strings(tags, N_ELEMENTS(tags), parse_tag);
	check_strings(flags, N_ELEMENTS(flags), parse_flag);
}

static void literal_heads(void **state)
{
	static const struct {
		struct slice line;
		bool is;
		uint64_t size;
		bool non_sync, binary;
		size_t head;
	} cases[] = {
	        {SLICE("a LOGIN {5}"), true, 5, false, false, 3},
	        {SLICE("a LOGIN {5+}"), true, 5, true, false, 4},
	        {SLICE("a APPEND x ~{12}"), true, 12, false, true, 5},
	        {SLICE("{0}"), true, 0, false, false, 3},
	        {SLICE("{99999999999999999999}"), true, INT64_MAX, false, false, 22},
	        {SLICE("{18446744073709551616}"), true, INT64_MAX, false, false, 22},
	        {SLICE("a {5} "), false, 0, false, false, 0},
	        {SLICE("a {5"), false, 0, false, false, 0},
	        {SLICE("a 5}"), false, 0, false, false, 0},
	        {SLICE("a {}"), false, 0, false, false, 0},
	        {SLICE("a {+}"), false, 0, false, false, 0},
	        {SLICE("a {-5}"), false, 0, false, false, 0},
	        {SLICE("a {5-}"), false, 0, false, false, 0},
	        {SLICE("a {5++}"), false, 0, false, false, 0},
	        {SLICE("a { 5}"), false, 0, false, false, 0},
	        {SLICE("a {5x}"), false, 0, false, false, 0},
	        {SLICE("a {999999999999999999999}"), false, 0, false, false, 0},
	        {SLICE("}"), false, 0, false, false, 0},
	        {SLICE(""), false, 0, false, false, 0},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct imap_literal l = {0};
		assert_int_equal(imap_literal_at_end(cases[i].line, &l), cases[i].is);
		assert_int_equal(l.size, cases[i].size);
		assert_int_equal(l.non_sync, cases[i].non_sync);
		assert_int_equal(l.binary, cases[i].binary);
		assert_int_equal(l.head_size, cases[i].head);
	}
}

static void dates(void **state)
{
	static const struct {
		const char *text;
		bool good;
		int64_t value;
	} times[] = {
	        {"\" 1-Jan-1970 00:00:00 +0000\"", true, 0},
	        {"\"01-Jan-1970 01:00:00 +0100\"", true, 0},
	        {"\"31-Dec-1969 23:00:00 -0100\"", true, 0},
	        {"\"29-Feb-2024 12:00:00 +0000\"", true, 1709208000},
	        {"\"29-feb-2024 12:00:00 +0000\"", true, 1709208000},
	        {"\"29-Feb-2023 12:00:00 +0000\"", false, 0},
	        {"\"1-Jan-1970 00:00:00 +0000\"", false, 0},
	        {"\"00-Jan-1970 00:00:00 +0000\"", false, 0},
	        {"\"32-Jan-1970 00:00:00 +0000\"", false, 0},
	        {"\"01-Foo-1970 00:00:00 +0000\"", false, 0},
	        {"\"01-Jan-70 00:00:00 +0000\"", false, 0},
	        {"\"01-Jan-1970 24:00:00 +0000\"", false, 0},
	        {"\"01-Jan-1970 00:60:00 +0000\"", false, 0},
	        {"\"01-Jan-1970 00:00:61 +0000\"", false, 0},
	        {"\"01-Jan-1970 00:00:00 0000\"", false, 0},
	        {"\"01-Jan-1970 00:00:00 +0060\"", false, 0},
	        {"\"01-Jan-1970 00:00:00\"", false, 0},
	        {"\"01-Jan-1970 00:00:00 +0000", false, 0},
	        {"01-Jan-1970 00:00:00 +0000", false, 0},
	};
	static const struct {
		const char *text;
		bool good;
		int32_t day;
	} days[] = {
	        {"1-Jan-1970", true, 0},    {"\"2-Jan-1970\"", true, 1}, {"31-Dec-1969", true, -1},
	        {"01-Jan-1970", true, 0},   {"30-Feb-2024", false, 0},   {"0-Jan-1970", false, 0},
	        {"\"1-Jan-1970", false, 0}, {"1-Jan-19700", false, 0},   {"1 Jan 1970", false, 0},
	        {"1-Jan", false, 0},        {"Jan-1-1970", false, 0},    {"", false, 0},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(times); i++) {
		struct cursor c = cursor_of(slice_str(times[i].text));
		int64_t value = imap_date_time(&c);
		cursor_expect_end(&c, "something follows");
		assert_int_equal(cursor_ok(&c), times[i].good);
		assert_true(value == times[i].value);
	}
	for (size_t i = 0; i < N_ELEMENTS(days); i++) {
		struct cursor c = cursor_of(slice_str(days[i].text));
		int32_t day = imap_date(&c);
		cursor_expect_end(&c, "something follows");
		assert_int_equal(cursor_ok(&c), days[i].good);
		if (days[i].good)
			assert_int_equal(day, days[i].day);
	}
}

static void sets(void **state)
{
	static const struct {
		const char *text;
		const char *normal; /* NULL: an error; of 10 messages */
	} cases[] = {
	        {"1", "1"},
	        {"1,2,3", "1:3"},
	        {"3:1", "1:3"},
	        {"5,1:3,2:4", "1:5"},
	        {"*", "10"},
	        {"*:8", "8:10"},
	        {"8:*", "8:10"},
	        {"1,10,5", "1,5,10"},
	        {"7,7,7", "7"},
	        {"1:10,3", "1:10"},
	        {"0", NULL},
	        {"", NULL},
	        {"1,", NULL},
	        {",1", NULL},
	        {"1:", NULL},
	        {":1", NULL},
	        {"1:2:3", NULL},
	        {"11", NULL},
	        {"1:11", NULL},
	        {"a", NULL},
	        {"1 ", NULL},
	        {"-1", NULL},
	        {"**", NULL},
	        {"1,,2", NULL},
	        {"99999999999", NULL},
	        {"4294967296", NULL},
	        {"+1", NULL},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct imap_set set;
		struct buf text;
		struct imap_out out = {.to = &text};
		arena_init(&arena, 100000);
		buf_init(&text, 1000);
		struct cursor c = cursor_of(slice_str(cases[i].text));
		imap_set_parse(&c, 10, 10, &arena, &set);
		cursor_expect_end(&c, "something follows");
		assert_int_equal(cursor_ok(&c), cases[i].normal != NULL);
		imap_out_set(&out, &set);
		if (cases[i].normal)
			assert_string_equal(buf_cstr(&text), cases[i].normal);
		for (uint32_t n = 1; cases[i].normal && n <= 10; n++) {
			bool member = false;
			for (size_t k = 0; k < set.n; k++)
				member |= set.v[k].first.v <= n && n <= set.v[k].last.v;
			assert_int_equal(imap_set_has(&set, n), member);
		}
		buf_done(&text);
		arena_done(&arena);
	}
}

static void a_set_may_not_have_too_many_ranges(void **state)
{
	struct arena arena;
	struct imap_set set;
	struct buf text;
	(void)state;
	arena_init(&arena, 16 * 1024 * 1024);
	buf_init(&text, 1024 * 1024);
	for (unsigned i = 0; i < IMAP_SET_RANGES_MAX; i++)
		buf_printf(&text, "%s%u", i ? "," : "", 2 * i + 1);
	struct cursor c = cursor_of(buf_slice(&text));
	imap_set_parse(&c, UINT32_MAX, UINT32_MAX, &arena, &set);
	assert_true(cursor_ok(&c));
	assert_int_equal(set.n, IMAP_SET_RANGES_MAX);
	buf_add_str(&text, ",1");
	c = cursor_of(buf_slice(&text));
	imap_set_parse(&c, UINT32_MAX, UINT32_MAX, &arena, &set);
	assert_false(cursor_ok(&c));
	buf_done(&text);
	arena_done(&arena);
}

static void patterns(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} cases[] = {
	        {"*", "", true},           {"*", "a/b", true},      {"%", "ab", true},
	        {"%", "a/b", false},       {"a*", "a/b/c", true},   {"a%", "a/b", false},
	        {"a/%", "a/b", true},      {"a/%", "a/b/c", false}, {"*c", "a/b/c", true},
	        {"%/%", "a/b", true},      {"%/%", "a/b/c", false}, {"*/c", "a/b/c", true},
	        {"%*", "a/b", true},       {"*%", "a/b", true},     {"a**b", "ab", true},
	        {"a*b*c", "aXbYc", true},  {"a*b*c", "acb", false}, {"abc", "abc", true},
	        {"abc", "abcd", false},    {"abcd", "abc", false},  {"", "", true},
	        {"", "a", false},          {"A", "a", false},       {"a%c", "abbc", true},
	        {"a%b%c", "a/b/c", false}, {"%a%", "bab", true},    {"%%%a", "bba", true},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(imap_pattern_matches(slice_str(cases[i].pattern),
		                                      slice_str(cases[i].name), 0),
		                 cases[i].matches);
	assert_true(imap_pattern_matches(SLICE("inbox/%"), SLICE("Inbox/x"), 5));
	assert_false(imap_pattern_matches(SLICE("inbox/X"), SLICE("Inbox/x"), 5));
}

/* Would take for ever if it backtracked. */
static void a_pattern_of_many_wildcards_is_matched_in_little_time(void **state)
{
	char pattern[IMAP_PATTERN_MAX + 2], name[1001];
	(void)state;
	for (size_t i = 0; i < IMAP_PATTERN_MAX; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[IMAP_PATTERN_MAX - 1] = 'b';
	pattern[IMAP_PATTERN_MAX] = pattern[IMAP_PATTERN_MAX + 1] = 0;
	memset(name, 'a', 1000);
	name[1000] = 0;
	assert_false(imap_pattern_matches(slice_str(pattern), slice_str(name), 0));
	pattern[IMAP_PATTERN_MAX] = 'a';
	assert_false(imap_pattern_matches(slice_str(pattern), slice_str(name), 0));
}

static void fetch_items(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
	        {"ALL", true},
	        {"fast", true},
	        {"BODY", true},
	        {"(UID FLAGS)", true},
	        {"BODY[]", true},
	        {"BODY[1.2.HEADER.FIELDS (A \"b c\" {1}\r\nd)]<0.1>", true},
	        {"BODY.PEEK[1.MIME]", true},
	        {"BINARY[1.2]<3.4>", true},
	        {"BINARY.SIZE[1]", true},
	        {"BINARY[]", true},
	        {"FLAGS (CHANGEDSINCE 1 VANISHED)", true},
	        {"", false},
	        {"()", false},
	        {"(UID  FLAGS)", false},
	        {"(UID FLAGS", false},
	        {"UID FLAGS", false},
	        {"(ALL)", false},
	        {"ALLES", false},
	        {"BODY[", false},
	        {"BODY[]]", false},
	        {"BODY[ ]", false},
	        {"BODY[.1]", false},
	        {"BODY[1..2]", false},
	        {"BODY[1.]", false},
	        {"BODY[01x]", false},
	        {"BODY[MIME]", false},
	        {"BODY[HEADER.FIELDS]", false},
	        {"BODY[HEADER.FIELDS (]", false},
	        {"BODY[HEADER.FIELDS (A,B)", false},
	        {"BODY[HEADER.FIELDS (\"\")]", false},
	        {"BODY[HEADER.FIELDS ({2}\r\n\r\n)]", false},
	        {"BODY[TEXT.1]", false},
	        {"BODY[]<1>", false},
	        {"BODY[]<1.>", false},
	        {"BODY[]<-1.1>", false},
	        {"BODY[]<1.0>", false},
	        {"BODY.PEEK", false},
	        {"BINARY", false},
	        {"BINARY.SIZE", false},
	        {"RFC822[]", false},
	        {"RFC822.SIZES", false},
	        {"FLAGS (VANISHED)", false},
	        {"FLAGS (CHANGEDSINCE)", false},
	        {"FLAGS CHANGEDSINCE 1", false},
	        {"FLAGS ()", false},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct imap_fetch fetch;
		arena_init(&arena, 1024 * 1024);
		struct cursor c = cursor_of(slice_str(cases[i].text));
		imap_fetch_parse(&c, &arena, &fetch);
		if (cursor_ok(&c) != cases[i].good)
			print_error("%s: %s\n", cases[i].text, c.why ? c.why : "accepted");
		assert_int_equal(cursor_ok(&c), cases[i].good);
		arena_done(&arena);
	}
}

static void strings_are_written_so_that_they_read_back(void **state)
{
	static const struct {
		struct slice in;
		const char *out;
	} cases[] = {
	        {SLICE(""), "\"\""},
	        {SLICE("plain"), "\"plain\""},
	        {SLICE("a\"b\\c"), "\"a\\\"b\\\\c\""},
	        {SLICE("a\r\nb"), "{4}\r\na\r\nb"},
	        {SLICE("\xc3\xb6"), "{2}\r\n\xc3\xb6"},
	        {SLICE("a\0b"), "{3}\r\na\x80"
	                        "b"},
	        {SLICE("\x7f"), "{1}\r\n\x7f"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct buf out;
		struct arena arena;
		arena_init(&arena, 1000);
		buf_init(&out, 1000);
		imap_buf_string(&out, cases[i].in);
		assert_string_equal(buf_cstr(&out), cases[i].out);
		struct cursor c = cursor_of(buf_slice(&out));
		struct slice back = imap_string(&c, &arena);
		assert_true(cursor_ok(&c));
		assert_true(slice_eq(back, cases[i].in) || slice_index(cases[i].in, 0) != SIZE_MAX);
		buf_done(&out);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(astrings),
	        cmocka_unit_test(tags_and_flags),
	        cmocka_unit_test(literal_heads),
	        cmocka_unit_test(dates),
	        cmocka_unit_test(sets),
	        cmocka_unit_test(a_set_may_not_have_too_many_ranges),
	        cmocka_unit_test(patterns),
	        cmocka_unit_test(a_pattern_of_many_wildcards_is_matched_in_little_time),
	        cmocka_unit_test(fetch_items),
	        cmocka_unit_test(strings_are_written_so_that_they_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
