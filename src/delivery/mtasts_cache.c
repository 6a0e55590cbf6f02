/* The states of a cached policy.
 *
 * | policy | record in the DNS | what to do |
 * |---|---|---|
 * | none, or expired | announced | fetch first; when that fails or failed lately: no policy |
 * | none, or expired | absent | no policy |
 * | none, or expired | not known | no policy; but where the answer is forged, no mail for now |
 * | valid | its id | use it; refresh it when it is a day or half its time old |
 * | valid | another id | fetch first; when that fails or failed lately: use the old one |
 * | valid | absent | use it: it ends by itself |
 * | valid | not known | use it |
 *
 * A policy of mode none is kept like any other and applied as if there were none.
 */
#include "delivery/mtasts_cache.h"

#include "base/cursor.h"

static void set_id(char to[MTASTS_ID_MAX + 1], const char *id)
{
	size_t n = MIN(strlen(id), (size_t)MTASTS_ID_MAX);
	memset(to, 0, MTASTS_ID_MAX + 1);
	memcpy(to, id, n);
}

/* A clock that was set back makes a policy young, never old. */
static int64_t age_of(int64_t since_s, int64_t now_s)
{
	return now_s > since_s ? now_s - since_s : 0;
}

bool mtasts_is_valid(const struct mtasts_state *state, int64_t now_s)
{
	return state->has_policy && age_of(state->fetched_at_s, now_s) <= (int64_t)state->max_age_s;
}

static int64_t refresh_after_s(const struct mtasts_state *state)
{
	return MIN((int64_t)state->max_age_s / 2, (int64_t)MTASTS_REFRESH_S);
}

static int64_t retry_after_s(const struct mtasts_state *state)
{
	int64_t pause = MTASTS_RETRY_S;
	for (uint32_t i = 1; i < state->n_failures && pause < MTASTS_RETRY_MAX_S; i++)
		pause *= 2;
	return MIN(pause, (int64_t)MTASTS_RETRY_MAX_S);
}

static bool failed_lately(const struct mtasts_state *state, int64_t now_s, const char *id)
{
	return state->n_failures > 0 && strcmp(state->failed_id, id) == 0 &&
	       age_of(state->failed_at_s, now_s) < retry_after_s(state);
}

static enum mtasts_use use_of(const struct mtasts_state *state)
{
	return state->mode == MTASTS_MODE_NONE ? MTASTS_USE_NOTHING : MTASTS_USE_POLICY;
}

static struct mtasts_plan plan_without_policy(const struct mtasts_state *state, int64_t now_s,
                                              const struct mtasts_lookup *lookup)
{
	switch (lookup->announcement) {
	case MTASTS_ANNOUNCED:
		/* Section 3.3: delivery goes on as though there were no MTA-STS. */
		if (failed_lately(state, now_s, lookup->record.id))
			return (struct mtasts_plan){
			        MTASTS_USE_NOTHING, MTASTS_FETCH_NEVER,
			        "the announced policy could not be fetched a moment ago"};
		return (struct mtasts_plan){MTASTS_USE_NOTHING, MTASTS_FETCH_FIRST,
		                            "the announced policy is not known yet"};
	case MTASTS_ABSENT:
		return (struct mtasts_plan){MTASTS_USE_NOTHING, MTASTS_FETCH_NEVER,
		                            "no policy is announced, and none is kept"};
	case MTASTS_UNKNOWN:
		if (lookup->answer && lookup->answer->security == DNS_BOGUS)
			return (struct mtasts_plan){
			        MTASTS_USE_LATER, MTASTS_FETCH_NEVER,
			        "what the DNS says of a policy is forged, and none is kept"};
		return (struct mtasts_plan){MTASTS_USE_NOTHING, MTASTS_FETCH_NEVER,
		                            "the DNS does not tell of a policy, and none is kept"};
	}
	BUG("an unknown announcement");
}

static struct mtasts_plan plan_with_policy(const struct mtasts_state *state, int64_t now_s,
                                           const struct mtasts_lookup *lookup)
{
	struct mtasts_plan plan = {use_of(state), MTASTS_FETCH_NEVER, ""};
	bool is_old = age_of(state->fetched_at_s, now_s) >= refresh_after_s(state);
	switch (lookup->announcement) {
	case MTASTS_ANNOUNCED:
		if (failed_lately(state, now_s, lookup->record.id)) {
			plan.why = "the kept policy holds; fetching it anew failed a moment ago";
		} else if (strcmp(state->id, lookup->record.id) != 0) {
			plan.fetch = MTASTS_FETCH_FIRST;
			plan.why = "another policy than the kept one is announced";
		} else {
			plan.fetch = is_old ? MTASTS_FETCH_SOON : MTASTS_FETCH_NEVER;
			plan.why = "the kept policy is the one that is announced";
		}
		return plan;
	case MTASTS_ABSENT:
		/* Section 3.1: that is not sufficient to remove it. */
		plan.why = "no policy is announced any more, but the kept one holds";
		return plan;
	case MTASTS_UNKNOWN:
		plan.why = "the DNS does not tell of a policy; the kept one holds";
		return plan;
	}
	BUG("an unknown announcement");
}

struct mtasts_plan mtasts_plan(const struct mtasts_state *state, int64_t now_s,
                               const struct mtasts_lookup *lookup)
{
	return mtasts_is_valid(state, now_s) ? plan_with_policy(state, now_s, lookup)
	                                     : plan_without_policy(state, now_s, lookup);
}

void mtasts_note_policy(struct mtasts_state *state, int64_t now_s, const char *id,
                        const struct mtasts_policy *policy)
{
	*state = (struct mtasts_state){
	        .has_policy = true,
	        .mode = policy->mode,
	        .max_age_s = policy->max_age_s,
	        .fetched_at_s = now_s,
	};
	set_id(state->id, id);
}

void mtasts_note_failure(struct mtasts_state *state, int64_t now_s, const char *id)
{
	bool again = state->n_failures > 0 && strcmp(state->failed_id, id) == 0;
	state->n_failures = again ? MIN(state->n_failures, UINT32_MAX - 1) + 1 : 1;
	state->failed_at_s = now_s;
	set_id(state->failed_id, id);
}

int64_t mtasts_next_refresh_s(const struct mtasts_state *state)
{
	if (!state->has_policy)
		return INT64_MAX;
	int64_t due = state->fetched_at_s + refresh_after_s(state);
	if (state->n_failures > 0)
		due = MAX(due, state->failed_at_s + retry_after_s(state));
	return due;
}

bool mtasts_is_spent(const struct mtasts_state *state, int64_t now_s)
{
	bool paused =
	        state->n_failures > 0 && age_of(state->failed_at_s, now_s) < retry_after_s(state);
	return !mtasts_is_valid(state, now_s) && !paused;
}

/* --- how it is kept --- */

#define MAGIC "mailkeep-mtasts 1\n"

void mtasts_entry_print(const struct mtasts_entry *entry, struct buf *out)
{
	const struct mtasts_state *s = &entry->state;
	buf_printf(out, MAGIC "domain %s\n", entry->domain);
	buf_printf(out, "policy %s %" PRId64 "\n", s->has_policy ? s->id : "-",
	           s->has_policy ? s->fetched_at_s : 0);
	buf_printf(out, "failed %s %" PRId64 " %" PRIu32 "\n\n", s->n_failures ? s->failed_id : "-",
	           s->n_failures ? s->failed_at_s : 0, s->n_failures);
	if (s->has_policy)
		buf_add(out, entry->body);
}

static bool is_word(uint8_t c)
{
	return c > ' ' && c < 0x7f;
}

static void expect_word(struct cursor *c, const char *word)
{
	if (!slice_eq_str(cursor_while(c, is_word), word) || !cursor_skip(c, ' '))
		cursor_fail(c, "a kept policy has another line than expected");
}

/* A 64-bit instant: no sign is printed for what is not before 1970. */
static int64_t read_instant(struct cursor *c)
{
	return (int64_t)cursor_u64(c, INT64_MAX / 4, "a kept policy has no instant");
}

/* "-" is none. */
static bool read_id(struct cursor *c, char id[MTASTS_ID_MAX + 1])
{
	struct slice word = cursor_while(c, is_word);
	cursor_expect(c, ' ', "a kept policy has a line that ends early");
	if (slice_eq_str(word, "-"))
		return false;
	for (size_t i = 0; i < word.n; i++)
		if (!ascii_is_alnum(word.p[i]))
			cursor_fail(c, "a kept policy has a malformed id");
	if (word.n == 0 || word.n > MTASTS_ID_MAX)
		cursor_fail(c, "a kept policy has a malformed id");
	if (cursor_ok(c))
		memcpy(id, word.p, word.n);
	return true;
}

static void read_failure(struct cursor *c, struct mtasts_state *state)
{
	bool failed = read_id(c, state->failed_id);
	state->failed_at_s = read_instant(c);
	cursor_expect(c, ' ', "a kept policy has a line that ends early");
	state->n_failures = cursor_u32(c, UINT32_MAX, "a kept policy counts no failures");
	if (failed != (state->n_failures > 0) || (!failed && state->failed_at_s != 0))
		cursor_fail(c, "a kept policy contradicts itself");
}

static void read_head(struct cursor *c, struct arena *arena, struct mtasts_entry *entry)
{
	struct mtasts_state *state = &entry->state;
	if (!slice_eq(cursor_take(c, SLICE(MAGIC).n), SLICE(MAGIC)))
		cursor_fail(c, "this is no kept policy");
	expect_word(c, "domain");
	struct slice domain = cursor_while(c, is_word);
	if (domain.n == 0 || domain.n > MTASTS_DOMAIN_MAX)
		cursor_fail(c, "a kept policy has no domain");
	entry->domain = arena_cstr(arena, domain);
	cursor_expect(c, '\n', "a kept policy has a line that is too long");
	expect_word(c, "policy");
	state->has_policy = read_id(c, state->id);
	state->fetched_at_s = read_instant(c);
	if (!state->has_policy && state->fetched_at_s != 0)
		cursor_fail(c, "a kept policy contradicts itself");
	cursor_expect(c, '\n', "a kept policy has a line that is too long");
	expect_word(c, "failed");
	read_failure(c, state);
	cursor_expect(c, '\n', "a kept policy has a line that is too long");
	cursor_expect(c, '\n', "a kept policy has no empty line before its body");
}

struct status mtasts_entry_parse(struct slice form, struct arena *arena,
                                 struct mtasts_entry *ret_entry)
{
	struct mtasts_entry entry = {.body = slice_empty()};
	struct cursor c = cursor_of(form);
	if (form.n > MTASTS_ENTRY_MAX)
		return fail(ERR_LIMIT, "a kept policy is too long");
	read_head(&c, arena, &entry);
	if (!cursor_ok(&c))
		return fail(ERR_CORRUPT, c.why);
	if (!entry.state.has_policy && !cursor_at_end(&c))
		return fail(ERR_CORRUPT, "a kept policy has a body without a policy");
	if (entry.state.has_policy) {
		entry.body = arena_copy(arena, cursor_rest(&c));
		struct status status = mtasts_policy_parse(entry.body, arena, &entry.policy);
		if (!is_ok(status))
			return fail(status.code == ERR_SYNTAX ? ERR_CORRUPT : status.code,
			            status.why);
		entry.state.mode = entry.policy.mode;
		entry.state.max_age_s = entry.policy.max_age_s;
	}
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "too little memory for a kept policy");
	*ret_entry = entry;
	return ok();
}
