/* Scalars, names, suggestions, and the documentation made from the schema. */
#include "config/describe.h"
#include "config/name.h"
#include "config/suggest.h"
#include "config/value.h"

#include "os/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void sizes_are_exact(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
	        {"0", 0},
	        {"1", 1},
	        {"1B", 1},
	        {"1 KB", 1000},
	        {"1KiB", 1024},
	        {"100 MiB", 100 * MIB},
	        {"2gb", 2000000000},
	        {"3 TiB", 3 * 1024 * GIB},
	        {"18446744073709551615", UINT64_MAX},
	};
	static const char *const bad[] = {"",
	                                  "MiB",
	                                  "-1",
	                                  "+1",
	                                  "1.5 GiB",
	                                  "1 Mi",
	                                  "1 M B",
	                                  "1e3",
	                                  "0x10",
	                                  "1 k",
	                                  "1\tx",
	                                  "1 MiB x",
	                                  "18446744073709551616",
	                                  "99999999999 TiB"};
	uint64_t bytes;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		assert_true(is_ok(config_value_size(slice_str(good[i].text), &bytes)));
		assert_true(bytes == good[i].bytes);
		struct buf text;
		buf_init(&text, 100);
		config_print_size(bytes, &text);
		assert_true(is_ok(config_value_size(buf_slice(&text), &bytes)) &&
		            bytes == good[i].bytes);
		buf_done(&text);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(config_value_size(slice_str(bad[i]), &bytes).code, ERR_SYNTAX);
}

static void durations_need_a_unit(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {{"250ms", 250},  {"60s", 60000},     {"5m", 300000},
	            {"1h", 3600000}, {"7 d", 604800000}, {"0s", 0}};
	static const char *const bad[] = {"",     "5",   "m",   "1h30m",
	                                  "1.5h", "-1s", "1 w", "99999999999999999d"};
	uint64_t ms;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		assert_true(is_ok(config_value_duration(slice_str(good[i].text), &ms)));
		assert_true(ms == good[i].ms);
		struct buf text;
		buf_init(&text, 100);
		config_print_duration(ms, &text);
		assert_true(is_ok(config_value_duration(buf_slice(&text), &ms)) &&
		            ms == good[i].ms);
		buf_done(&text);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(config_value_duration(slice_str(bad[i]), &ms).code, ERR_SYNTAX);
}

static void domains_have_one_form(void **state)
{
	(void)state;
	static const struct {
		const char *text, *canonical;
	} good[] = {
	        {"example.org", "example.org"},
	        {"EXAMPLE.Org.", "example.org"},
	        {"localhost", "localhost"},
	        {"_x.a-b.c1", "_x.a-b.c1"},
	        {"b\xc3\xbc"
	         "cher.example",
	         "xn--bcher-kva.example"},
	        {"B\xc3\x9c"
	         "CHER.example",
	         "xn--bcher-kva.example"},
	        {"bu\xcc\x88"
	         "cher.example",
	         "xn--bcher-kva.example"},
	        {"XN--bcher-KVA.Example", "xn--bcher-kva.example"},
	        {"fa\xc3\x9f.de", "xn--fa-hia.de"},
	        {"\xe4\xbe\x8b\xe3\x80\x82jp", "xn--fsq.jp"},
	};
	static const char *const bad[] = {
	        "",     ".",    "..",   ".a",           "a..b",      "-a",    "a-",
	        "a b",  "a@b",  "a/b",  "[1.2.3.4]",    "a\n",       "a\x01", "xn--0.example",
	        "xn--", "\xff", "\xc3", "\xe2\x80\x8b", "a\xc2\xa0", "*.a",   "xn--bcher-.example"};
	char out[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		assert_true(is_ok(config_domain_canonical(slice_str(good[i].text), out, &n)));
		assert_string_equal(out, good[i].canonical);
		assert_int_equal(n, strlen(out));
		assert_true(is_ok(config_domain_canonical(slice_of(out, n), out, &n)));
		assert_string_equal(out, good[i].canonical);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(config_domain_canonical(slice_str(bad[i]), out, &n).code,
		                 ERR_SYNTAX);
	assert_int_equal(config_domain_canonical(SLICE("a\0b"), out, &n).code, ERR_SYNTAX);
}

static void domains_have_a_longest_size(void **state)
{
	(void)state;
	char text[400], out[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 64 == 63 ? '.' : 'a';
	assert_true(is_ok(config_domain_canonical(slice_of(text, 63), out, &n)));
	assert_true(is_ok(config_domain_canonical(slice_of(text, 255), out, &n)));
	assert_false(is_ok(config_domain_canonical(slice_of(text, 257), out, &n)));
	memset(text, 'a', 64);
	assert_false(is_ok(config_domain_canonical(slice_of(text, 64), out, &n)));
}

static void localparts_have_one_form(void **state)
{
	(void)state;
	char out[CONFIG_LOCALPART_MAX + 1], text[300];
	size_t n;
	assert_true(is_ok(config_localpart_canonical(SLICE("Me"), false, out, &n)));
	assert_string_equal(out, "me");
	assert_true(is_ok(config_localpart_canonical(SLICE("Me"), true, out, &n)));
	assert_string_equal(out, "Me");
	assert_true(is_ok(config_localpart_canonical(SLICE("JO\xcc\x88"), false, out, &n)));
	assert_string_equal(out, "j\xc3\xb6");
	assert_true(is_ok(config_localpart_canonical(SLICE("JO\xcc\x88"), true, out, &n)));
	assert_string_equal(out, "J\xc3\x96");
	static const char *const bad[] = {"", "a\n", "\x7f", "\xff", "\xc3", "\xed\xa0\x80"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_false(is_ok(config_localpart_canonical(slice_str(bad[i]), false, out, &n)));
	memset(text, 'A', sizeof(text));
	assert_true(is_ok(
	        config_localpart_canonical(slice_of(text, CONFIG_LOCALPART_MAX), false, out, &n)));
	assert_false(is_ok(config_localpart_canonical(slice_of(text, CONFIG_LOCALPART_MAX + 1),
	                                              false, out, &n)));
	/* Grows when it is folded: U+0130 becomes three bytes of two. */
	for (size_t i = 0; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc4\xb0", 2);
	assert_false(is_ok(config_localpart_canonical(slice_of(text, 256), false, out, &n)));
}

static void distances_are_known(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		unsigned distance;
	} cases[] = {
	        {"", "", 0},
	        {"a", "", 1},
	        {"", "ab", 2},
	        {"abc", "abc", 0},
	        {"abc", "ABC", 0},
	        {"abc", "acb", 1},
	        {"abc", "abd", 1},
	        {"abc", "ab", 1},
	        {"kitten", "sitting", 3},
	        {"adresses", "addresses", 1},
	        {"ca", "abc", 3},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(suggest_distance(slice_str(cases[i].a), slice_str(cases[i].b)),
		                 cases[i].distance);
		assert_int_equal(suggest_distance(slice_str(cases[i].b), slice_str(cases[i].a)),
		                 cases[i].distance);
	}
	char big[SUGGEST_NAME_MAX + 1];
	memset(big, 'a', sizeof(big));
	assert_int_equal(suggest_distance(slice_of(big, sizeof(big)), SLICE("a")), UINT32_MAX);
	assert_int_equal(
	        suggest_distance(slice_of(big, SUGGEST_NAME_MAX), slice_of(big, SUGGEST_NAME_MAX)),
	        0);
}

static void fields_are_described(void **state)
{
	(void)state;
	struct buf text;
	const char *near = NULL;
	buf_init(&text, 1000000);
	assert_true(is_ok(config_describe_text("listeners.public.smtp.port", 60, &text, NULL)));
	assert_non_null(strstr(buf_cstr(&text), "listeners.*.smtp.port\n"));
	assert_non_null(strstr(buf_cstr(&text), "from 1 to 65535. Default: 25."));
	buf_reset(&text);
	assert_true(is_ok(config_describe_text("", 80, &text, NULL)));
	for (size_t i = 0; i < config_n_fields; i++)
		assert_non_null(strstr(buf_cstr(&text), config_fields[i].path));
	assert_int_equal(config_describe_text("limits.quotas", 80, &text, &near).code,
	                 ERR_NOT_FOUND);
	assert_string_equal(near, "limits.quota");
	assert_int_equal(config_describe_text("quota", 80, &text, &near).code, ERR_NOT_FOUND);
	assert_string_equal(near, "limits.quota");
	assert_int_equal(config_describe_text("hostname.x", 80, &text, &near).code, ERR_NOT_FOUND);
	buf_done(&text);
}

/* Write it anew with: mailkeep config describe --markdown > docs/config.md */
static void the_page_in_docs_is_up_to_date(void **state)
{
	(void)state;
	struct buf text;
	struct arena arena;
	struct slice page;
	arena_init(&arena, 4000000);
	buf_init(&text, 1000000);
	config_describe_markdown(&text);
	assert_true(is_ok(file_read(AT_FDCWD, CONFIG_PAGE, 1000000, &arena, &page, NULL)));
	assert_true(slice_eq(page, buf_slice(&text)));
	buf_done(&text);
	arena_done(&arena);
}

/* The n-th example of the page. */
static struct slice example(struct slice page, unsigned n)
{
	for (;; n--) {
		page = slice_from(page, slice_find(page, SLICE("```yaml\n")) + 8);
		if (n == 0)
			return slice_sub(page, 0, slice_find(page, SLICE("```")));
	}
}

static void the_examples_are_a_valid_configuration(void **state)
{
	(void)state;
	struct buf text;
	struct arena arena;
	struct config *config;
	struct config_problems problems;
	struct config_sources sources = {.directory = "/etc/mailkeep"};
	arena_init(&arena, CONFIG_ARENA_MAX);
	config_problems_init(&problems);
	buf_init(&text, 1000000);
	config_describe_markdown(&text);
	sources.text[CONFIG_SERVER] = example(buf_slice(&text), 0);
	sources.text[CONFIG_DOMAINS] = example(buf_slice(&text), 1);
	assert_true(is_ok(config_parse(&sources, &arena, &config, &problems)));
	assert_int_equal(problems.n, 0);
	assert_int_equal(config->accounts.n, 2);
	config_problems_done(&problems);
	arena_done(&arena);
	buf_done(&text);
}

static void manual_pages_have_every_field(void **state)
{
	(void)state;
	struct buf text[CONFIG_FILE_COUNT];
	for (unsigned i = 0; i < CONFIG_FILE_COUNT; i++) {
		buf_init(&text[i], 1000000);
		config_describe_man(i, &text[i]);
	}
	for (size_t i = 0; i < config_n_fields; i++) {
		char line[200];
		snprintf(line, sizeof(line), ".B %s\n", config_fields[i].path);
		assert_non_null(strstr(buf_cstr(&text[config_fields[i].file]), line));
	}
	for (unsigned i = 0; i < CONFIG_FILE_COUNT; i++)
		buf_done(&text[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sizes_are_exact),
	        cmocka_unit_test(durations_need_a_unit),
	        cmocka_unit_test(domains_have_one_form),
	        cmocka_unit_test(domains_have_a_longest_size),
	        cmocka_unit_test(localparts_have_one_form),
	        cmocka_unit_test(distances_are_known),
	        cmocka_unit_test(fields_are_described),
	        cmocka_unit_test(the_page_in_docs_is_up_to_date),
	        cmocka_unit_test(the_examples_are_a_valid_configuration),
	        cmocka_unit_test(manual_pages_have_every_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
