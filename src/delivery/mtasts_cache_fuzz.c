/* Any bytes as a kept policy: what is read is printed and read again as the same; and whatever it
 * says, plans keep their promises at any time. */
#include "delivery/mtasts_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plans(const struct mtasts_state *state, int64_t now_s)
{
	static const char *const ids[] = {"a", "b", "", "?"};
	for (size_t i = 0; i < N_ELEMENTS(ids); i++) {
		struct mtasts_lookup lookup = {.announcement = i < 2    ? MTASTS_ANNOUNCED
		                                               : i == 2 ? MTASTS_ABSENT
		                                                        : MTASTS_UNKNOWN};
		snprintf(lookup.record.id, sizeof(lookup.record.id), "%s", ids[i]);
		struct mtasts_plan plan = mtasts_plan(state, now_s, &lookup);
		bool valid = mtasts_is_valid(state, now_s);
		ASSERT(*plan.why && plan.use != MTASTS_USE_LATER);
		ASSERT((plan.use == MTASTS_USE_POLICY) ==
		       (valid && state->mode != MTASTS_MODE_NONE));
		ASSERT(plan.fetch == MTASTS_FETCH_NEVER || i < 2);
		ASSERT(plan.fetch != MTASTS_FETCH_SOON || valid);
		ASSERT(!valid || !mtasts_is_spent(state, now_s));
	}
}

static bool same(const struct mtasts_state *a, const struct mtasts_state *b)
{
	return a->has_policy == b->has_policy && a->mode == b->mode &&
	       a->max_age_s == b->max_age_s && a->fetched_at_s == b->fetched_at_s &&
	       strcmp(a->id, b->id) == 0 && a->n_failures == b->n_failures &&
	       a->failed_at_s == b->failed_at_s && strcmp(a->failed_id, b->failed_id) == 0;
}

static void check_again(const struct mtasts_entry *entry, struct arena *arena)
{
	struct mtasts_entry again;
	struct buf form;
	buf_init(&form, MTASTS_ENTRY_MAX);
	mtasts_entry_print(entry, &form);
	ASSERT(!buf_failed(&form));
	ASSERT(is_ok(mtasts_entry_parse(buf_slice(&form), arena, &again)));
	ASSERT(strcmp(entry->domain, again.domain) == 0 && slice_eq(entry->body, again.body));
	ASSERT(same(&entry->state, &again.state));
	buf_done(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct mtasts_entry entry;
	arena_init(&arena, MIB);
	if (is_ok(mtasts_entry_parse(slice_of(data, size), &arena, &entry))) {
		int64_t at_s = entry.state.fetched_at_s;
		check_again(&entry, &arena);
		check_plans(&entry.state, at_s);
		check_plans(&entry.state, at_s + entry.state.max_age_s);
		check_plans(&entry.state, at_s + (int64_t)entry.state.max_age_s + 1);
		check_plans(&entry.state, entry.state.failed_at_s + MTASTS_RETRY_S);
		(void)mtasts_next_refresh_s(&entry.state);
	}
	arena_done(&arena);
	return 0;
}
