/* Chains verified (RFC 8617 section 5.2).
 *
 * Seals sign all sets up to their own, in order: one running hash is carried through them, so that
 * the work grows with the number of sets and not with its square.
 *
 * Of a DKIM signature's rules those hold for a message signature that speak of the signature
 * itself: algorithm, key size, l=, x=, From. A message signature that signs seals is refused
 * (section 4.1.2 forbids all ARC fields; docs/deviations.md).
 */
#include "mailauth/arc_private.h"
#include "mailauth/dkim_verify_private.h"

struct arc_chain {
	struct dkim_verifier *v;
	struct arc_sets sets;
	struct arc_set *told; /* n of them */
	/* Checks of the message signatures and seals, of instance i at [i - 1]. */
	struct dkim_check *messages, *seals;
	size_t n; /* sets: 0 when the structure is wrong */
};

static bool signs(const struct dkim_signature *s, const char *field)
{
	for (size_t i = 0; i < s->n_names; i++)
		if (slice_ieq_str(s->names[i], field))
			return true;
	return false;
}

static void begin_check(const struct arc_chain *chain, const struct dkim_signature *signature,
                        const struct dkim_field *field, struct dkim_check *check)
{
	*check = (struct dkim_check){.signature = *signature,
	                             .field = field,
	                             .key = DKIM_NO_KEY,
	                             .result = MAILAUTH_PASS,
	                             .why = ""};
	if (signature->kind == DKIM_KIND_ARC_MESSAGE && signs(signature, "ARC-Seal")) {
		check->result = MAILAUTH_PERMERROR;
		check->why = "signs seals";
	}
	dkim_check_judge(chain->v, check);
}

static bool is_tried(const struct arc_chain *chain, size_t i)
{
	return chain->n - 1 - i <= ARC_OLDER_MAX;
}

static void begin_sets(struct arc_chain *chain)
{
	for (size_t i = chain->n; i-- > 0;) {
		const struct arc_fields *fields = &chain->sets.v[i];
		begin_check(chain, &fields->message_signature, fields->message,
		            &chain->messages[i]);
		begin_check(chain, &fields->seal_signature, fields->seal, &chain->seals[i]);
		if (is_tried(chain, i))
			dkim_check_want(chain->v, &chain->messages[i]);
		dkim_check_want(chain->v, &chain->seals[i]);
	}
}

struct status arc_chain_new(struct dkim_verifier *v, struct arc_chain **ret_chain)
{
	struct arc_chain *chain = ARENA_NEW(v->arena, struct arc_chain);
	if (!chain)
		return fail(ERR_LIMIT, "no room for a chain");
	chain->v = v;
	TRY(arc_sets_read(&v->header, v->arena, &chain->sets));
	if (chain->sets.any && !chain->sets.why)
		chain->n = chain->sets.highest;
	chain->told = ARENA_ARRAY(v->arena, chain->n, struct arc_set);
	chain->messages = ARENA_ARRAY(v->arena, chain->n, struct dkim_check);
	chain->seals = ARENA_ARRAY(v->arena, chain->n, struct dkim_check);
	if (arena_failed(v->arena))
		return fail(ERR_LIMIT, "no room for a chain");
	begin_sets(chain);
	if (arena_failed(v->arena))
		return fail(ERR_LIMIT, "no room for a chain");
	*ret_chain = chain;
	return ok();
}

/* --- the steps --- */

static void fail_chain(const struct arc_chain *chain, struct arc_result *result, const char *what,
                       size_t i, const struct dkim_check *check)
{
	const char *why = arena_printf(chain->v->arena, "has a %s of instance %zu that %s", what,
	                               i + 1, check->why);
	result->result = MAILAUTH_FAIL;
	result->why = why ? why : "has a signature that does not pass";
	result->temporary = check->result == MAILAUTH_TEMPERROR;
}

/* Step 5: from the newest down to the first that does not pass. */
static void find_oldest_pass(struct arc_chain *chain, struct arc_result *result)
{
	size_t oldest = chain->n - 1;
	while (oldest > 0 && is_tried(chain, oldest - 1)) {
		dkim_check_message(chain->v, &chain->messages[oldest - 1]);
		chain->told[oldest - 1].message_result = chain->messages[oldest - 1].result;
		if (chain->messages[oldest - 1].result != MAILAUTH_PASS)
			break;
		oldest--;
	}
	result->has_oldest_pass = true;
	result->oldest_pass = oldest == 0 ? 0 : (unsigned)oldest + 1;
}

/* The hash that each seal signs (section 5.1.1). */
static void hash_seals(struct arc_chain *chain, uint8_t (*digests)[DKIM_HASH_SIZE])
{
	struct dkim_sink *running = dkim_check_hash(chain->v);
	struct dkim_hash *own = dkim_hash_new();
	for (size_t i = 0; i < chain->n; i++) {
		const struct arc_fields *fields = &chain->sets.v[i];
		dkim_canon_field(DKIM_RELAXED, fields->results->raw, running);
		dkim_canon_field(DKIM_RELAXED, fields->message->raw, running);
		dkim_hash_peek(chain->v->hash, own);
		dkim_check_add_self(&chain->seals[i], dkim_hash_sink(own));
		dkim_hash_finish(own, digests[i]);
		dkim_canon_field(DKIM_RELAXED, fields->seal->raw, running);
	}
	dkim_hash_free(own);
}

/* Step 6. */
static void check_seals(struct arc_chain *chain, struct arc_result *result)
{
	uint8_t digests[ARC_SETS_MAX][DKIM_HASH_SIZE];
	hash_seals(chain, digests);
	for (size_t i = chain->n; i-- > 0;) {
		struct dkim_check *check = &chain->seals[i];
		dkim_check_digest(chain->v, check, digests[i]);
		chain->told[i].seal_result = check->result;
		if (check->result != MAILAUTH_PASS) {
			fail_chain(chain, result, "seal", i, check);
			return;
		}
	}
}

static void check_chain(struct arc_chain *chain, struct arc_result *result)
{
	size_t newest = chain->n - 1;
	struct dkim_check *check = &chain->messages[newest];
	/* Step 4. */
	dkim_check_message(chain->v, check);
	chain->told[newest].message_result = check->result;
	if (check->result != MAILAUTH_PASS) {
		fail_chain(chain, result, "message signature", newest, check);
		return;
	}
	check_seals(chain, result);
	if (result->result == MAILAUTH_PASS)
		find_oldest_pass(chain, result);
}

static struct mailauth_evidence evidence_of(const struct arc_chain *chain,
                                            const struct dkim_check *check)
{
	if (check->key == DKIM_NO_KEY)
		return (struct mailauth_evidence){0};
	return chain->v->keys[check->key]->evidence;
}

static void tell_sets(struct arc_chain *chain)
{
	for (size_t i = 0; i < chain->n; i++) {
		struct arc_set *set = &chain->told[i];
		set->instance = (unsigned)i + 1;
		set->message = &chain->messages[i].signature;
		set->seal = &chain->seals[i].signature;
		set->results = chain->sets.v[i].payload;
		set->message_why =
		        set->message_result == MAILAUTH_NONE ? "" : chain->messages[i].why;
		set->seal_why = set->seal_result == MAILAUTH_NONE ? "" : chain->seals[i].why;
		set->message_evidence = evidence_of(chain, &chain->messages[i]);
		set->seal_evidence = evidence_of(chain, &chain->seals[i]);
	}
}

void arc_chain_finish(struct arc_chain *chain, struct arc_result *ret_result)
{
	struct arc_result result = {
	        .result = MAILAUTH_PASS, .why = "", .sets = chain->told, .n_sets = chain->n};
	if (!chain->sets.any) {
		result.result = MAILAUTH_NONE;
	} else if (chain->sets.why) {
		result.result = MAILAUTH_FAIL;
		result.why = chain->sets.why;
	} else {
		check_chain(chain, &result);
	}
	tell_sets(chain);
	*ret_result = result;
}
