/* Any bytes as a record and as a policy: what is understood is printed and understood again as the
 * same, limits hold, and patterns name what they should. */
#include "delivery/mtasts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_record(struct slice in)
{
	struct mtasts_record record, again;
	struct buf text;
	if (!is_ok(mtasts_record_parse(in, &record)))
		return;
	size_t n = strlen(record.id);
	ASSERT(n > 0 && n <= MTASTS_ID_MAX);
	buf_init(&text, 100);
	mtasts_record_print(&record, &text);
	ASSERT(!buf_failed(&text) && is_ok(mtasts_record_parse(buf_slice(&text), &again)));
	ASSERT(strcmp(record.id, again.id) == 0);
	buf_done(&text);
}

/* "*.example" names "a.example" and neither "example" nor "a.a.example". */
static void check_pattern(const struct mtasts_policy *policy, struct slice pattern)
{
	const struct mtasts_policy one = {.mx = &pattern, .n_mx = 1};
	struct buf host;
	buf_init(&host, 1000);
	bool wild = slice_starts(pattern, SLICE("*."));
	buf_add_str(&host, wild ? "a" : "");
	buf_add(&host, slice_from(pattern, wild ? 1 : 0));
	ASSERT(mtasts_policy_matches(policy, buf_slice(&host)));
	buf_add_byte(&host, '.');
	ASSERT(mtasts_policy_matches(&one, buf_slice(&host)));
	ASSERT(!wild || !mtasts_policy_matches(&one, slice_from(pattern, 2)));
	buf_reset(&host);
	buf_add_str(&host, wild ? "a.a" : "a.");
	buf_add(&host, slice_from(pattern, wild ? 1 : 0));
	ASSERT(!mtasts_policy_matches(&one, buf_slice(&host)));
	buf_done(&host);
}

static void try_policy(struct slice in, struct arena *arena)
{
	struct mtasts_policy policy, again;
	struct buf text;
	if (!is_ok(mtasts_policy_parse(in, arena, &policy)))
		return;
	ASSERT(in.n <= MTASTS_POLICY_MAX && policy.n_mx <= MTASTS_MX_MAX);
	ASSERT(policy.max_age_s <= MTASTS_MAX_AGE_MAX);
	ASSERT(policy.n_mx > 0 || policy.mode == MTASTS_MODE_NONE);
	buf_init(&text, 2 * MTASTS_POLICY_MAX);
	mtasts_policy_print(&policy, &text);
	ASSERT(is_ok(mtasts_policy_parse(buf_slice(&text), arena, &again)));
	ASSERT(again.mode == policy.mode && again.max_age_s == policy.max_age_s);
	ASSERT(again.n_mx == policy.n_mx);
	for (size_t i = 0; i < policy.n_mx; i++) {
		ASSERT(slice_eq(policy.mx[i], again.mx[i]));
		ASSERT(!slice_has_control(policy.mx[i]));
		check_pattern(&policy, policy.mx[i]);
	}
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	arena_init(&arena, MIB);
	try_record(slice_of(data, size));
	try_policy(slice_of(data, size), &arena);
	arena_done(&arena);
	return 0;
}
