/* Looking a valid record over. */
#include "mailauth/spf_advice.h"

#include "mailauth/spf.h"
#include "mailauth/spf_macro.h"

#define RECORD_WISH 450u /* RFC 7208 section 3.4 */

static const struct {
	const char *code, *text;
} words[] = {
#define X(code, text) [SPF_ADVICE_##code] = {#code, text},
        SPF_ADVICE_LIST(X)
#undef X
};

const char *spf_advice_text(enum spf_advice_kind kind)
{
	return words[kind].text;
}

const char *spf_advice_code(enum spf_advice_kind kind)
{
	return words[kind].code;
}

struct list {
	struct spf_advice *v;
	size_t n;
};

static void say(struct list *list, enum spf_advice_kind kind, struct slice at)
{
	if (list->n < SPF_ADVICE_MAX)
		list->v[list->n++] = (struct spf_advice){kind, at};
}

static bool has_host_bits(const struct spf_term *term)
{
	unsigned bits = term->kind == SPF_IP4 ? term->prefix4 : term->prefix6;
	unsigned n_bits = term->kind == SPF_IP4 ? 32 : 128;
	for (unsigned bit = bits; bit < n_bits; bit++)
		if (term->network[bit / 8] & (0x80u >> (bit % 8)))
			return true;
	return false;
}

static void advise_modifier(const struct spf_term *term, struct list *list)
{
	bool is_mechanism = false;
	for (unsigned kind = 0; kind < SPF_UNKNOWN; kind++)
		is_mechanism = is_mechanism ||
		               slice_ieq_str(term->name, spf_term_name((enum spf_term_kind)kind));
	say(list, is_mechanism ? SPF_ADVICE_LIKE_MECHANISM : SPF_ADVICE_UNKNOWN_MODIFIER,
	    term->text);
}

static void advise_term(const struct spf_term *term, struct list *list)
{
	if (term->kind == SPF_ALL && term->qualifier == MAILAUTH_PASS)
		say(list, SPF_ADVICE_PASS_ALL, term->text);
	if (term->kind == SPF_PTR)
		say(list, SPF_ADVICE_PTR, term->text);
	if (spf_macro_uses(term->domain_spec, "p"))
		say(list, SPF_ADVICE_MACRO_P, term->text);
	if ((term->kind == SPF_IP4 || term->kind == SPF_IP6) && has_host_bits(term))
		say(list, SPF_ADVICE_HOST_BITS, term->text);
	if (term->kind == SPF_UNKNOWN)
		advise_modifier(term, list);
}

size_t spf_record_advise(const struct spf_record *record, struct spf_advice advice[SPF_ADVICE_MAX])
{
	struct list list = {.v = advice};
	unsigned n_lookups = 0;
	bool has_all = false, has_redirect = false;
	for (size_t i = 0; i < record->n_terms; i++) {
		const struct spf_term *term = &record->terms[i];
		if (has_all && spf_term_is_mechanism(term->kind)) {
			say(&list, SPF_ADVICE_BEHIND_ALL, term->text);
			continue;
		}
		bool is_lookup = spf_term_is_lookup(term->kind) &&
		                 (term->kind != SPF_REDIRECT || term == record->redirect);
		if (is_lookup && ++n_lookups == SPF_LOOKUP_TERMS_MAX + 1)
			say(&list, SPF_ADVICE_MANY_LOOKUPS, term->text);
		advise_term(term, &list);
		has_all = has_all || term->kind == SPF_ALL;
		has_redirect = has_redirect || term->kind == SPF_REDIRECT;
	}
	if (has_all && has_redirect)
		say(&list, SPF_ADVICE_REDIRECT_WITH_ALL, record->text);
	if (!has_all && !has_redirect)
		say(&list, SPF_ADVICE_NO_END, record->text);
	if (record->text.n > RECORD_WISH)
		say(&list, SPF_ADVICE_LONG, record->text);
	return list.n;
}
