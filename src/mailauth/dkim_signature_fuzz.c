/* Any value of each of the three fields: what is read lies within limits and within the input, and
 * what is read, written and read again is the same. The first byte chooses the field. */
#include "mailauth/dkim_signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(const struct dkim_signature *s, struct slice in)
{
	ASSERT(s->b_raw.p >= in.p && s->b_raw.p + s->b_raw.n <= in.p + in.n);
	ASSERT(s->signature.n > 0 && s->signature.n <= DKIM_SIGNATURE_SIZE_MAX);
	ASSERT(s->n_names <= DKIM_SIGNED_NAMES_MAX && strlen(s->domain) <= DKIM_NAME_MAX);
	ASSERT(!slice_has_control(slice_str(s->domain)) && strlen(s->selector) > 0);
	ASSERT(!s->has_identity || !slice_has_control(s->identity));
	ASSERT(s->time_s >= 0 && s->expiry_s >= 0 && s->instance <= ARC_INSTANCE_MAX);
}

static void compare(const struct dkim_signature *a, const struct dkim_signature *b)
{
	ASSERT(a->algorithm == b->algorithm && a->header_canon == b->header_canon);
	ASSERT(a->body_canon == b->body_canon && a->n_names == b->n_names);
	ASSERT(slice_eq_str(slice_str(a->domain), b->domain));
	ASSERT(slice_eq_str(slice_str(a->selector), b->selector));
	ASSERT(slice_eq(a->signature, b->signature) && slice_eq(a->body_hash, b->body_hash));
	for (size_t i = 0; i < a->n_names; i++)
		ASSERT(slice_eq(a->names[i], b->names[i]));
	ASSERT(a->has_identity == b->has_identity && a->has_length == b->has_length);
	ASSERT(!a->has_identity || slice_eq(a->identity, b->identity));
	ASSERT(a->has_time == b->has_time && a->has_expiry == b->has_expiry);
	ASSERT(a->time_s == b->time_s && a->length == b->length);
	ASSERT(a->instance == b->instance && a->cv == b->cv);
}

static void round_trip(const struct dkim_signature *s, bool utf8, struct arena *arena)
{
	struct dkim_signature again;
	struct slice name, value;
	struct buf out;
	buf_init(&out, MIB);
	struct status status = dkim_signature_print(s, utf8, &out);
	/* A name of a field may be longer than a line. */
	ASSERT(is_ok(status) || (status.code == ERR_INVALID && s->n_names > 0));
	if (is_ok(status)) {
		ASSERT(slice_cut(buf_slice(&out), ':', &name, &value));
		ASSERT(is_ok(dkim_signature_parse(s->kind, value, arena, &again)));
		compare(s, &again);
	}
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct dkim_signature s;
	struct arena arena;
	if (n == 0)
		return 0;
	struct slice in = slice_of(p + 1, n - 1);
	arena_init(&arena, MIB);
	if (is_ok(dkim_signature_parse((enum dkim_kind)(p[0] % DKIM_N_KINDS), in, &arena, &s))) {
		check(&s, in);
		round_trip(&s, false, &arena);
		round_trip(&s, true, &arena);
	}
	arena_done(&arena);
	return 0;
}
