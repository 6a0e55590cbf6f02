/* Any bytes as a record: what is read and printed is read again as the same, every slice lies
 * within the record, a mistake has its place in it, and advice is about what is there. */
#include "mailauth/spf_advice.h"
#include "mailauth/spf_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define ROOM ((size_t)1024 * 1024)

static bool lies_within(struct slice inner, struct slice outer)
{
	return inner.n == 0 || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

static void check_term(const struct spf_term *term, struct slice text)
{
	bool is_known_modifier = term->kind == SPF_REDIRECT || term->kind == SPF_EXP;
	ASSERT(term->text.n > 0 && lies_within(term->text, text));
	ASSERT(lies_within(term->domain_spec, text) && lies_within(term->name, text));
	ASSERT(lies_within(term->value, text));
	ASSERT(term->prefix4 <= 32 && term->prefix6 <= 128);
	ASSERT(!is_known_modifier || term->domain_spec.n > 0);
	ASSERT((term->name.n > 0) == (term->kind == SPF_UNKNOWN));
	ASSERT(!spf_term_is_mechanism(term->kind) || term->qualifier <= MAILAUTH_NEUTRAL);
}

static void check_same(const struct spf_record *a, const struct spf_record *b)
{
	ASSERT(a->n_terms == b->n_terms);
	ASSERT(!a->redirect == !b->redirect && !a->exp == !b->exp);
	for (size_t i = 0; i < a->n_terms; i++) {
		const struct spf_term *x = &a->terms[i], *y = &b->terms[i];
		ASSERT(x->kind == y->kind && x->qualifier == y->qualifier);
		ASSERT(x->prefix4 == y->prefix4 && x->prefix6 == y->prefix6);
		ASSERT(slice_eq(x->domain_spec, y->domain_spec));
		ASSERT(slice_eq(x->name, y->name) && slice_eq(x->value, y->value));
		ASSERT(memcmp(x->network, y->network, sizeof(x->network)) == 0);
	}
}

static void check_record(const struct spf_record *record, struct arena *arena)
{
	struct spf_record again;
	struct spf_fault fault;
	struct spf_advice advice[SPF_ADVICE_MAX];
	struct buf text;
	ASSERT(record->n_terms <= SPF_TERMS_MAX);
	for (size_t i = 0; i < record->n_terms; i++)
		check_term(&record->terms[i], record->text);
	size_t n = spf_record_advise(record, advice);
	ASSERT(n <= SPF_ADVICE_MAX);
	for (size_t i = 0; i < n; i++)
		ASSERT(lies_within(advice[i].at, record->text));
	/* an address may be printed longer than it was written */
	buf_init(&text, 8 * SPF_RECORD_MAX);
	spf_record_print(record, &text);
	ASSERT(!buf_failed(&text));
	if (text.n <= SPF_RECORD_MAX) {
		ASSERT(is_ok(spf_record_parse(buf_slice(&text), arena, &again, &fault)));
		check_same(record, &again);
	}
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena arena;
	struct spf_record record;
	struct spf_fault fault = {.at = slice_empty()};
	struct slice in = slice_of(p, n);
	arena_init(&arena, ROOM);
	struct status status = spf_record_parse(in, &arena, &record, &fault);
	if (is_ok(status)) {
		ASSERT(spf_record_is(in) && n <= SPF_RECORD_MAX);
		check_record(&record, &arena);
	} else {
		ASSERT(status.code == ERR_SYNTAX);
		ASSERT(lies_within(fault.at, in) && spf_problem_mend(fault.problem)[0]);
	}
	arena_done(&arena);
	return 0;
}
