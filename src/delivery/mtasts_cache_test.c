/* What is done with a kept policy, on a clock that is set by hand, and how it is kept. */
#include "delivery/mtasts_cache.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DAY  86400
#define T0   1700000000
#define WEEK (7 * DAY)

/* --- stories --- */

enum event {
	MAIL,    /* mail at that time: what is planned */
	FETCHED, /* a policy came: mode and max_age */
	FAILED,  /* none came */
};

struct step {
	int64_t at_s; /* since the story's beginning */
	enum event event;
	/* MAIL: what the DNS says: an id; "": absent; "?": no answer; "!": a forged one.
	 * FETCHED, FAILED: the id that announced it. */
	const char *id;
	enum mtasts_use use;          /* MAIL */
	enum mtasts_fetch_when fetch; /* MAIL */
	enum mtasts_mode mode;        /* FETCHED */
	uint32_t max_age_s;           /* FETCHED */
};

#define STEPS_MAX 16
#define NOTHING   MTASTS_USE_NOTHING
#define POLICY    MTASTS_USE_POLICY
#define LATER     MTASTS_USE_LATER
#define NEVER     MTASTS_FETCH_NEVER
#define FIRST     MTASTS_FETCH_FIRST
#define SOON      MTASTS_FETCH_SOON
#define ENFORCE   MTASTS_MODE_ENFORCE

static const struct story {
	const char *name;
	struct step steps[STEPS_MAX];
} stories[] = {
        {"a domain without MTA-STS",
         {{0, MAIL, "", NOTHING, NEVER}, {DAY, MAIL, "", NOTHING, NEVER}}},
        {"a DNS that does not answer",
         {{0, MAIL, "?", NOTHING, NEVER}, {1, MAIL, "!", LATER, NEVER}}},
        {"found, used, refreshed each day",
         {{0, MAIL, "a", NOTHING, FIRST},
          {1, FETCHED, "a", 0, 0, ENFORCE, WEEK},
          {2, MAIL, "a", POLICY, NEVER},
          {DAY, MAIL, "a", POLICY, NEVER},
          {DAY + 1, MAIL, "a", POLICY, SOON},
          {DAY + 2, FETCHED, "a", 0, 0, ENFORCE, WEEK},
          {DAY + 3, MAIL, "a", POLICY, NEVER},
          {2 * DAY + 2, MAIL, "a", POLICY, SOON}}},
        {"kept while HTTPS fails, until it ends",
         {{0, FETCHED, "a", 0, 0, ENFORCE, WEEK},
          {DAY, MAIL, "a", POLICY, SOON},
          {DAY, FAILED, "a"},
          {DAY + 299, MAIL, "a", POLICY, NEVER},
          {DAY + 300, MAIL, "a", POLICY, SOON},
          {DAY + 300, FAILED, "a"},
          {DAY + 899, MAIL, "a", POLICY, NEVER},
          {DAY + 900, MAIL, "a", POLICY, SOON},
          {WEEK, MAIL, "a", POLICY, SOON},
          {WEEK, FAILED, "a"},
          {WEEK + 1, MAIL, "a", NOTHING, NEVER},
          {WEEK + 1200, MAIL, "a", NOTHING, FIRST}}},
        {"kept while the DNS fails, until it ends",
         {{0, FETCHED, "a", 0, 0, ENFORCE, WEEK},
          {DAY, MAIL, "?", POLICY, NEVER},
          {2 * DAY, MAIL, "!", POLICY, NEVER},
          {WEEK, MAIL, "?", POLICY, NEVER},
          {WEEK + 1, MAIL, "?", NOTHING, NEVER},
          {WEEK + 1, MAIL, "!", LATER, NEVER}}},
        {"a removed record does not remove the policy",
         {{0, FETCHED, "a", 0, 0, ENFORCE, WEEK},
          {2 * DAY, MAIL, "", POLICY, NEVER},
          {WEEK, MAIL, "", POLICY, NEVER},
          {WEEK + 1, MAIL, "", NOTHING, NEVER}}},
        {"another id is another policy",
         {{0, FETCHED, "a", 0, 0, ENFORCE, WEEK},
          {10, MAIL, "b", POLICY, FIRST},
          {11, FETCHED, "b", 0, 0, MTASTS_MODE_NONE, WEEK},
          {12, MAIL, "b", NOTHING, NEVER},
          {13, MAIL, "a", NOTHING, FIRST}}},
        {"another id whose policy cannot be had leaves the old one",
         {{0, FETCHED, "a", 0, 0, ENFORCE, WEEK},
          {10, MAIL, "b", POLICY, FIRST},
          {11, FAILED, "b"},
          {12, MAIL, "b", POLICY, NEVER},
          {13, MAIL, "c", POLICY, FIRST}, /* the pause is per id */
          {14, FAILED, "c"},
          {15, MAIL, "b", POLICY, FIRST},
          {16, MAIL, "a", POLICY, NEVER}}},
        {"removing MTA-STS: mode none, then nothing",
         {{0, FETCHED, "a", 0, 0, MTASTS_MODE_NONE, DAY},
          {10, MAIL, "a", NOTHING, NEVER},
          {DAY / 2, MAIL, "a", NOTHING, SOON},
          {DAY / 2, MAIL, "", NOTHING, NEVER},
          {2 * DAY, MAIL, "", NOTHING, NEVER}}},
        {"announced, but never to be had: longer pauses, to an hour",
         {{0, MAIL, "a", NOTHING, FIRST},
          {0, FAILED, "a"},
          {299, MAIL, "a", NOTHING, NEVER},
          {300, MAIL, "a", NOTHING, FIRST},
          {300, FAILED, "a"},
          {899, MAIL, "a", NOTHING, NEVER},
          {900, FAILED, "a"},
          {2099, MAIL, "a", NOTHING, NEVER},
          {2100, FAILED, "a"},
          {4499, MAIL, "a", NOTHING, NEVER},
          {4500, FAILED, "a"},
          {8099, MAIL, "a", NOTHING, NEVER},
          {8100, FAILED, "a"},
          {11699, MAIL, "a", NOTHING, NEVER},
          {11700, MAIL, "a", NOTHING, FIRST}}},
        {"a short max_age is refreshed at half of it",
         {{0, FETCHED, "a", 0, 0, ENFORCE, 3600},
          {1799, MAIL, "a", POLICY, NEVER},
          {1800, MAIL, "a", POLICY, SOON},
          {3600, MAIL, "a", POLICY, SOON},
          {3601, MAIL, "a", NOTHING, FIRST}}},
        {"a max_age of nothing",
         {{0, FETCHED, "a", 0, 0, ENFORCE, 0},
          {0, MAIL, "a", POLICY, SOON},
          {1, MAIL, "a", NOTHING, FIRST}}},
        {"a clock that is set back",
         {{DAY, FETCHED, "a", 0, 0, ENFORCE, 10},
          {0, MAIL, "a", POLICY, NEVER},
          {DAY + 11, MAIL, "a", NOTHING, FIRST}}},
        {"a success forgets failures",
         {{0, FAILED, "a"},
          {1, FETCHED, "a", 0, 0, MTASTS_MODE_TESTING, WEEK},
          {2, MAIL, "a", POLICY, NEVER},
          {DAY + 1, MAIL, "a", POLICY, SOON}}},
};

static struct mtasts_lookup lookup_of(const char *id, struct dns_answer *answer)
{
	struct mtasts_lookup lookup = {
	        .announcement = MTASTS_ANNOUNCED, .answer = answer, .why = ""};
	*answer = (struct dns_answer){.security = *id == '!' ? DNS_BOGUS : DNS_INSECURE};
	if (*id == '?' || *id == '!')
		lookup.announcement = MTASTS_UNKNOWN;
	else if (!*id)
		lookup.announcement = MTASTS_ABSENT;
	else
		snprintf(lookup.record.id, sizeof(lookup.record.id), "%s", id);
	return lookup;
}

static void tell(const struct story *story)
{
	struct mtasts_state state = {0};
	for (size_t i = 0; i < STEPS_MAX && story->steps[i].id; i++) {
		const struct step *step = &story->steps[i];
		int64_t now_s = T0 + step->at_s;
		const struct mtasts_policy policy = {.mode = step->mode,
		                                     .max_age_s = step->max_age_s};
		struct dns_answer answer;
		struct mtasts_lookup lookup = lookup_of(step->id, &answer);
		struct mtasts_plan plan;
		switch (step->event) {
		case FETCHED:
			mtasts_note_policy(&state, now_s, step->id, &policy);
			break;
		case FAILED:
			mtasts_note_failure(&state, now_s, step->id);
			break;
		case MAIL:
			plan = mtasts_plan(&state, now_s, &lookup);
			if (plan.use != step->use || plan.fetch != step->fetch)
				print_message("%s: step %zu: use %d fetch %d: %s\n", story->name, i,
				              plan.use, plan.fetch, plan.why);
			assert_int_equal(plan.use, step->use);
			assert_int_equal(plan.fetch, step->fetch);
			assert_true(*plan.why);
		}
	}
}

static void stories_end_as_they_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(stories); i++)
		tell(&stories[i]);
}

/* Whatever happens, a policy that was fetched holds until its end, and nothing is fetched twice in
 * five minutes for one id that failed. */
static void no_order_of_events_loses_a_policy(void **state)
{
	static const char *const ids[] = {"a", "b", "", "?", "!"};
	uint64_t random = 88172645463325252u;
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct mtasts_state s = {0};
		int64_t now_s = T0, fetched_s = 0, failed_s[2] = {0, 0};
		const struct mtasts_policy policy = {.mode = ENFORCE, .max_age_s = 3 * DAY};
		for (unsigned i = 0; i < 40; i++) {
			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			now_s += (int64_t)(random % 20000);
			size_t which = (random >> 20) % N_ELEMENTS(ids);
			struct dns_answer answer;
			struct mtasts_lookup lookup = lookup_of(ids[which], &answer);
			struct mtasts_plan plan = mtasts_plan(&s, now_s, &lookup);
			if (fetched_s && now_s - fetched_s <= 3 * DAY)
				assert_int_equal(plan.use, POLICY);
			if (plan.fetch == NEVER)
				continue;
			assert_true(which < 2 && now_s - failed_s[which] >= MTASTS_RETRY_S);
			if (random >> 40 & 1) {
				mtasts_note_policy(&s, now_s, ids[which], &policy);
				fetched_s = now_s;
				failed_s[0] = failed_s[1] = 0;
			} else {
				mtasts_note_failure(&s, now_s, ids[which]);
				failed_s[which] = now_s;
				failed_s[1 - which] = 0;
			}
			plan = mtasts_plan(&s, now_s, &lookup);
			assert_int_not_equal(plan.fetch, FIRST);
		}
	}
}

static void keepers_know_when_to_look_after_policies(void **state)
{
	struct mtasts_state s = {0};
	const struct mtasts_policy policy = {.mode = ENFORCE, .max_age_s = WEEK};
	(void)state;
	assert_int_equal(mtasts_next_refresh_s(&s), INT64_MAX);
	assert_true(mtasts_is_spent(&s, T0));
	mtasts_note_failure(&s, T0, "a");
	assert_int_equal(mtasts_next_refresh_s(&s), INT64_MAX);
	assert_false(mtasts_is_spent(&s, T0 + 299)); /* the pause is worth keeping */
	assert_true(mtasts_is_spent(&s, T0 + 300));
	mtasts_note_policy(&s, T0, "a", &policy);
	assert_int_equal(mtasts_next_refresh_s(&s), T0 + DAY);
	mtasts_note_failure(&s, T0 + DAY, "a");
	assert_int_equal(mtasts_next_refresh_s(&s), T0 + DAY + 300);
	assert_false(mtasts_is_spent(&s, T0 + WEEK));
	assert_true(mtasts_is_spent(&s, T0 + WEEK + 1));
	for (unsigned i = 0; i < 100; i++)
		mtasts_note_failure(&s, T0, "a");
	assert_int_equal(mtasts_next_refresh_s(&s), T0 + DAY);
}

/* --- how it is kept --- */

#define BODY "version: STSv1\nmode: testing\nmx: *.Example.com\nmax_age: 604800\n"

static bool same(const struct mtasts_entry *a, const struct mtasts_entry *b)
{
	return strcmp(a->domain, b->domain) == 0 && slice_eq(a->body, b->body) &&
	       a->state.has_policy == b->state.has_policy && a->state.mode == b->state.mode &&
	       a->state.max_age_s == b->state.max_age_s &&
	       a->state.fetched_at_s == b->state.fetched_at_s &&
	       strcmp(a->state.id, b->state.id) == 0 &&
	       a->state.n_failures == b->state.n_failures &&
	       a->state.failed_at_s == b->state.failed_at_s &&
	       strcmp(a->state.failed_id, b->state.failed_id) == 0;
}

static void what_is_printed_is_read_again(void **state)
{
	struct arena arena;
	struct buf text;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	buf_init(&text, MTASTS_ENTRY_MAX);
	for (unsigned i = 0; i < 4; i++) {
		struct mtasts_entry entry = {.domain = "example.com", .body = slice_empty()}, again;
		if (i & 1) {
			entry.body = SLICE(BODY);
			assert_true(is_ok(mtasts_policy_parse(entry.body, &arena, &entry.policy)));
			mtasts_note_policy(&entry.state, T0, "id1", &entry.policy);
		}
		if (i & 2) {
			mtasts_note_failure(&entry.state, T0 + 5, "id2");
			mtasts_note_failure(&entry.state, T0 + 9, "id2");
		}
		buf_reset(&text);
		mtasts_entry_print(&entry, &text);
		assert_true(is_ok(mtasts_entry_parse(buf_slice(&text), &arena, &again)));
		assert_true(same(&entry, &again));
		assert_int_equal(again.policy.n_mx, i & 1 ? 1 : 0);
		/* Cut anywhere it is none, or another that says less. */
		for (size_t n = 0; n < text.n; n++) {
			struct status status = mtasts_entry_parse(slice_sub(buf_slice(&text), 0, n),
			                                          &arena, &again);
			assert_true(!is_ok(status) || (i & 1));
			arena_reset(&arena);
		}
	}
	arena_done(&arena);
	buf_done(&text);
}

static void other_forms_are_corrupt(void **state)
{
#define MAGIC_LINE "mailkeep-mtasts 1\n"
#define DOMAIN     "domain example.com\n"
#define POLICY1    "policy a 1700000000\n"
#define FAILED0    "failed - 0 0\n"
	static const char *const bad[] = {
	        "",
	        "mailkeep-mtasts 2\n" DOMAIN "policy - 0\n" FAILED0 "\n",
	        MAGIC_LINE DOMAIN "policy - 0\n" FAILED0,
	        MAGIC_LINE DOMAIN "policy - 0\n" FAILED0 "\n" BODY,
	        MAGIC_LINE DOMAIN "policy - 5\n" FAILED0 "\n",
	        MAGIC_LINE DOMAIN POLICY1 FAILED0 "\n",
	        MAGIC_LINE DOMAIN POLICY1 FAILED0 "\nversion: STSv1\n",
	        MAGIC_LINE "domain \n" POLICY1 FAILED0 "\n" BODY,
	        MAGIC_LINE "domain a b\n" POLICY1 FAILED0 "\n" BODY,
	        MAGIC_LINE "Domain a\n" POLICY1 FAILED0 "\n" BODY,
	        MAGIC_LINE POLICY1 DOMAIN FAILED0 "\n" BODY,
	        MAGIC_LINE DOMAIN "policy a_b 1700000000\n" FAILED0 "\n" BODY,
	        MAGIC_LINE DOMAIN "policy a -1\n" FAILED0 "\n" BODY,
	        MAGIC_LINE DOMAIN "policy a 99999999999999999999\n" FAILED0 "\n" BODY,
	        MAGIC_LINE DOMAIN "policy a 1 \n" FAILED0 "\n" BODY,
	        MAGIC_LINE DOMAIN "policy a 1\r\n" FAILED0 "\n" BODY,
	        MAGIC_LINE DOMAIN POLICY1 "failed - 0 1\n\n" BODY,
	        MAGIC_LINE DOMAIN POLICY1 "failed - 1 0\n\n" BODY,
	        MAGIC_LINE DOMAIN POLICY1 "failed a 1 0\n\n" BODY,
	        MAGIC_LINE DOMAIN POLICY1 "failed a 1 4294967296\n\n" BODY,
	        MAGIC_LINE DOMAIN POLICY1 "failed a 1\n\n" BODY,
	};
	struct arena arena;
	struct mtasts_entry entry;
	struct buf text;
	(void)state;
	arena_init(&arena, 1024 * KIB);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct status status = mtasts_entry_parse(slice_str(bad[i]), &arena, &entry);
		if (status.code != ERR_CORRUPT)
			print_message("form %zu: %s\n", i, status.why);
		assert_int_equal(status.code, ERR_CORRUPT);
	}
	buf_init(&text, 2 * MTASTS_ENTRY_MAX);
	buf_add_str(&text, MAGIC_LINE DOMAIN POLICY1 FAILED0 "\n" BODY);
	while (text.n <= MTASTS_ENTRY_MAX)
		buf_add_str(&text, "x: y\n");
	assert_int_equal(mtasts_entry_parse(buf_slice(&text), &arena, &entry).code, ERR_LIMIT);
	buf_done(&text);
	arena_done(&arena);
	for (size_t budget = 0; budget < 12000; budget += 64) {
		arena_init(&arena, budget);
		struct status status = mtasts_entry_parse(
		        SLICE(MAGIC_LINE DOMAIN POLICY1 FAILED0 "\n" BODY), &arena, &entry);
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(stories_end_as_they_should),
	        cmocka_unit_test(no_order_of_events_loses_a_policy),
	        cmocka_unit_test(keepers_know_when_to_look_after_policies),
	        cmocka_unit_test(what_is_printed_is_read_again),
	        cmocka_unit_test(other_forms_are_corrupt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
