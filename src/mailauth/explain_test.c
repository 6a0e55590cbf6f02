/* Stories: what is told, what is left out, what foreign bytes look like in them. */
#include "mailauth/explain.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static void check_story(const struct mailauth_story *story, const char *expected)
{
	struct buf out;
	buf_init(&out, MIB);
	mailauth_story_print(story, &out);
	assert_string_equal(buf_cstr(&out), expected);
	buf_done(&out);
}

static void sentences_stand_in_order(void **state)
{
	struct mailauth_story story = {0};
	struct arena arena;
	(void)state;
	arena_init(&arena, MIB);
	check_story(&story, "");
	mailauth_tell(&story, &arena, "%s has %u records", "a.example", 2u);
	mailauth_tell(&story, &arena, "nothing else");
	check_story(&story, "a.example has 2 records\nnothing else\n");
	arena_done(&arena);
}

static void stories_are_bounded(void **state)
{
	struct mailauth_story story = {0};
	struct arena arena;
	char long_text[2 * MAILAUTH_STEP_MAX], expected[20];
	(void)state;
	arena_init(&arena, 4 * MIB);
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = 0;
	mailauth_tell(&story, &arena, "%s", long_text);
	assert_int_equal(strlen(story.v[0]), MAILAUTH_STEP_MAX - 1);
	for (unsigned i = 1; i < MAILAUTH_STEPS_MAX; i++) {
		assert_false(story.truncated);
		mailauth_tell(&story, &arena, "step %u", i);
	}
	assert_int_equal(story.n, MAILAUTH_STEPS_MAX);
	assert_false(story.truncated);
	mailauth_tell(&story, &arena, "one too many");
	assert_int_equal(story.n, MAILAUTH_STEPS_MAX);
	assert_true(story.truncated);
	for (unsigned i = 1; i < MAILAUTH_STEPS_MAX; i++) {
		snprintf(expected, sizeof(expected), "step %u", i);
		assert_string_equal(story.v[i], expected);
	}
	arena_done(&arena);
}

static void memory_is_bounded(void **state)
{
	(void)state;
	for (size_t budget = 0; budget < 2000; budget += 8) {
		struct mailauth_story story = {0};
		struct arena arena;
		arena_init(&arena, budget);
		for (unsigned i = 0; i < 40; i++)
			mailauth_tell(&story, &arena, "a sentence");
		assert_int_equal(story.truncated, story.n < 40);
		assert_int_equal(arena_failed(&arena), story.truncated);
		for (size_t i = 0; i < story.n; i++)
			assert_string_equal(story.v[i], "a sentence");
		arena_done(&arena);
	}
	struct mailauth_story story = {0};
	struct arena arena;
	arena_init(&arena, 0);
	mailauth_tell(&story, &arena, "lost");
	check_story(&story, "and more that was not written down\n");
	assert_string_equal(mailauth_printable(SLICE("lost"), 10, &arena), "");
	arena_done(&arena);
}

static void foreign_bytes_are_made_printable(void **state)
{
	static const struct {
		struct slice bytes;
		size_t max;
		const char *expected;
	} cases[] = {
	        {{(const uint8_t *)"", 0}, 10, ""},
	        {{(const uint8_t *)"v=DMARC1; p=none", 16}, 16, "v=DMARC1; p=none"},
	        {{(const uint8_t *)"v=DMARC1; p=none", 16}, 15, "v=DMARC1; p=non..."},
	        {{(const uint8_t *)"abc", 3}, 0, "..."},
	        {{(const uint8_t *)"a\r\n\0\t\x1b\x7f", 7}, 10, "a\\0d\\0a\\00\\09\\1b\\7f"},
	        {{(const uint8_t *)"\xc3\xa9\xff", 3}, 10, "\\c3\\a9\\ff"},
	        {{(const uint8_t *)"\\0a%s", 5}, 10, "\\5c0a%s"},
	};
	struct arena arena;
	(void)state;
	arena_init(&arena, MIB);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_string_equal(mailauth_printable(cases[i].bytes, cases[i].max, &arena),
		                    cases[i].expected);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sentences_stand_in_order),
	        cmocka_unit_test(stories_are_bounded),
	        cmocka_unit_test(memory_is_bounded),
	        cmocka_unit_test(foreign_bytes_are_made_printable),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
