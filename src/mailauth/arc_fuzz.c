/* Any header: its ARC sets are complete when they are said to be, within their limits; and when the
 * message can be sealed, the new set continues what is there. */
#include "mailauth/arc_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool lies_within(struct slice inner, struct slice outer)
{
	return inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n;
}

static void check(const struct arc_sets *sets, struct slice in)
{
	ASSERT(sets->highest <= ARC_SETS_MAX && (sets->any || (!sets->why && sets->highest == 0)));
	if (!sets->any || sets->why)
		return;
	ASSERT(sets->highest > 0 && !sets->marked);
	for (unsigned i = 1; i <= sets->highest; i++) {
		const struct arc_fields *set = &sets->v[i - 1];
		ASSERT(set->results && set->message && set->seal);
		ASSERT(set->message_signature.instance == i && set->seal_signature.instance == i);
		ASSERT(set->payload.n == 0 || lies_within(set->payload, in));
		ASSERT(set->seal_signature.cv == (i == 1 ? ARC_CV_NONE : ARC_CV_PASS));
	}
}

static struct status sign(void *context, const uint8_t digest[DKIM_HASH_SIZE], uint8_t *signature,
                          size_t max, size_t *ret_n)
{
	(void)context;
	ASSERT(max >= DKIM_HASH_SIZE);
	memcpy(signature, digest, DKIM_HASH_SIZE);
	*ret_n = DKIM_HASH_SIZE;
	return ok();
}

static void seal(struct slice in, const struct arc_sets *before, struct arena *arena)
{
	struct dkim_signer_key key = {.algorithm = DKIM_ED25519_SHA256, .sign = sign};
	struct arc_seal_options options = {.domain = SLICE("example.com"),
	                                   .selector = SLICE("s"),
	                                   .key = &key,
	                                   .results = SLICE("example.com; none"),
	                                   .cv = ARC_CV_PASS};
	struct dkim_body *body = dkim_body_new(DKIM_BODY_RELAXED);
	struct dkim_header header;
	struct arc_sets after;
	struct buf out;
	unsigned instance = 0;
	dkim_body_finish(body);
	buf_init(&out, 4 * MIB);
	if (is_ok(arc_seal(in, body, &options, &out, &instance)) && instance > 0) {
		ASSERT(instance == before->highest + 1);
		buf_add(&out, in);
		ASSERT(is_ok(dkim_header_index(buf_slice(&out), arena, &header)));
		ASSERT(is_ok(arc_sets_read(&header, arena, &after)));
		ASSERT(after.highest == instance && after.marked == (before->why != NULL));
		ASSERT(after.marked == (after.why != NULL));
	}
	buf_done(&out);
	dkim_body_free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct dkim_header header;
	struct arc_sets sets;
	struct arena arena;
	struct slice in = slice_of(p, n);
	arena_init(&arena, 16 * MIB);
	if (is_ok(dkim_header_index(in, &arena, &header)) &&
	    is_ok(arc_sets_read(&header, &arena, &sets))) {
		check(&sets, in);
		seal(in, &sets, &arena);
	}
	arena_done(&arena);
	return 0;
}
