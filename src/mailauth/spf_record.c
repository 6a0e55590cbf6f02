/* SPF records (RFC 7208 section 12):
 *
 *   record    = version terms *SP
 *   version   = "v=spf1"
 *   terms     = *( 1*SP ( directive / modifier ) )
 *   directive = [ qualifier ] mechanism
 *   qualifier = "+" / "-" / "?" / "~"
 *   mechanism = all / include / a / mx / ptr / ip4 / ip6 / exists
 *   modifier  = redirect / explanation / unknown-modifier
 *
 * A term is a run of bytes between spaces; each is cut off first and then read as a whole. Each
 * rule is a function above which it stands.
 */
#include "mailauth/spf_record.h"

#include "base/cursor.h"
#include "mailauth/spf_macro.h"

#include <arpa/inet.h>

#define N_VERSION 6u /* octets of "v=spf1" */

static const struct {
	const char *name;
	bool is_mechanism, is_lookup;
} kinds[] = {
#define X(code, name, is_mechanism, is_lookup) [SPF_##code] = {name, is_mechanism, is_lookup},
        SPF_TERM_LIST(X)
#undef X
};

_Static_assert(SPF_RECORD_MAX == 8192 && SPF_TERMS_MAX == 1000, "spf_problem.h says these figures");

const char *spf_term_name(enum spf_term_kind kind)
{
	return kinds[kind].name;
}

bool spf_term_is_mechanism(enum spf_term_kind kind)
{
	return kinds[kind].is_mechanism;
}

bool spf_term_is_lookup(enum spf_term_kind kind)
{
	return kinds[kind].is_lookup;
}

/* --- mechanisms --- */

static bool fault(enum spf_problem problem, struct slice at, struct spf_fault *ret_fault)
{
	*ret_fault = (struct spf_fault){problem, at};
	return false;
}

/* ( "0" / %x31-39 *DIGIT ), up to max */
static bool prefix_length(struct slice digits, uint32_t max, uint8_t *ret_bits)
{
	uint32_t bits;
	if (!slice_to_u32(digits, max, &bits) || (digits.n > 1 && digits.p[0] == '0'))
		return false;
	*ret_bits = (uint8_t)bits;
	return true;
}

/* Cuts "/" *DIGIT off the end of *text. */
static bool cut_prefix(struct slice *text, struct slice *ret_digits)
{
	size_t at = text->n;
	while (at > 0 && ascii_is_digit(text->p[at - 1]))
		at--;
	if (at == 0 || text->p[at - 1] != '/')
		return false;
	*ret_digits = slice_from(*text, at);
	*text = slice_sub(*text, 0, at - 1);
	return true;
}

/* dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
 *
 * Cut from the end: a domain-spec may hold slashes, but cannot end in one and digits. */
static bool dual_cidr_length(struct slice *text, struct spf_term *term, struct spf_fault *ret_fault)
{
	struct slice digits, rest = *text;
	if (!cut_prefix(&rest, &digits))
		return true;
	if (slice_ends(rest, SLICE("/"))) {
		*text = slice_sub(rest, 0, rest.n - 1);
		if (!prefix_length(digits, 128, &term->prefix6))
			return fault(SPF_PROBLEM_PREFIX6, digits, ret_fault);
		rest = *text;
		if (!cut_prefix(&rest, &digits))
			return true;
	}
	*text = rest;
	return prefix_length(digits, 32, &term->prefix4) ||
	       fault(SPF_PROBLEM_PREFIX4, digits, ret_fault);
}

static bool domain_spec(struct slice text, struct spf_term *term, struct spf_fault *ret_fault)
{
	struct slice digits, name = text;
	if (spf_domain_spec_check(text, ret_fault)) {
		term->domain_spec = text;
		return true;
	}
	/* the likely mistake: a prefix length where none may stand */
	if (ret_fault->problem == SPF_PROBLEM_DOMAIN_END && cut_prefix(&name, &digits))
		return fault(SPF_PROBLEM_PREFIX_HERE, slice_from(text, name.n), ret_fault);
	return false;
}

/* [ ":" domain-spec ] [ dual-cidr-length ], of a and mx */
static bool host_argument(struct slice argument, struct spf_term *term, struct spf_fault *ret_fault)
{
	if (!dual_cidr_length(&argument, term, ret_fault))
		return false;
	if (argument.n == 0)
		return true;
	if (argument.p[0] != ':')
		return fault(SPF_PROBLEM_PREFIX4, argument, ret_fault);
	return domain_spec(slice_from(argument, 1), term, ret_fault);
}

/* ":" domain-spec, which ptr may do without */
static bool domain_argument(struct slice argument, struct spf_term *term,
                            struct spf_fault *ret_fault)
{
	if (argument.n == 0)
		return term->kind == SPF_PTR || fault(SPF_PROBLEM_NO_DOMAIN, term->text, ret_fault);
	if (argument.p[0] != ':')
		return fault(SPF_PROBLEM_PREFIX_HERE, argument, ret_fault);
	return domain_spec(slice_from(argument, 1), term, ret_fault);
}

static bool read_address(struct slice text, int family, uint8_t *bytes)
{
	char c_text[INET6_ADDRSTRLEN];
	if (text.n >= sizeof(c_text) || slice_index(text, 0) != SIZE_MAX)
		return false;
	snprintf(c_text, sizeof(c_text), "%.*s", SLICE_FMT(text));
	return inet_pton(family, c_text, bytes) == 1;
}

/* ip4 = "ip4" ":" ip4-network [ ip4-cidr-length ]
 * ip6 = "ip6" ":" ip6-network [ ip6-cidr-length ] */
static bool network_argument(struct slice argument, struct spf_term *term,
                             struct spf_fault *ret_fault)
{
	bool v4 = term->kind == SPF_IP4;
	struct slice text = slice_from(argument, 1), digits;
	if (argument.n == 0 || argument.p[0] != ':')
		return fault(v4 ? SPF_PROBLEM_IP4 : SPF_PROBLEM_IP6, term->text, ret_fault);
	if (cut_prefix(&text, &digits) &&
	    !prefix_length(digits, v4 ? 32 : 128, v4 ? &term->prefix4 : &term->prefix6))
		return fault(v4 ? SPF_PROBLEM_PREFIX4 : SPF_PROBLEM_PREFIX6, digits, ret_fault);
	return read_address(text, v4 ? AF_INET : AF_INET6, term->network) ||
	       fault(v4 ? SPF_PROBLEM_IP4 : SPF_PROBLEM_IP6, text, ret_fault);
}

static bool mechanism_argument(struct slice argument, struct spf_term *term,
                               struct spf_fault *ret_fault)
{
	switch (term->kind) {
	case SPF_ALL:
		return argument.n == 0 || fault(SPF_PROBLEM_ARGUMENT, argument, ret_fault);
	case SPF_A:
	case SPF_MX:
		return host_argument(argument, term, ret_fault);
	case SPF_INCLUDE:
	case SPF_PTR:
	case SPF_EXISTS:
		return domain_argument(argument, term, ret_fault);
	case SPF_IP4:
	case SPF_IP6:
		return network_argument(argument, term, ret_fault);
	case SPF_REDIRECT:
	case SPF_EXP:
	case SPF_UNKNOWN:
		break;
	}
	return fault(SPF_PROBLEM_IS_MODIFIER, term->text, ret_fault);
}

static bool find_kind(struct slice name, enum spf_term_kind *ret_kind)
{
	for (size_t i = 0; i < SPF_UNKNOWN; i++)
		if (slice_ieq_str(name, kinds[i].name)) {
			*ret_kind = (enum spf_term_kind)i;
			return true;
		}
	return false;
}

/* Section 4.6.2. */
static const struct {
	char sign;
	enum mailauth_result result;
} qualifiers[] = {
        {'+', MAILAUTH_PASS},
        {'-', MAILAUTH_FAIL},
        {'~', MAILAUTH_SOFTFAIL},
        {'?', MAILAUTH_NEUTRAL},
};

char spf_qualifier_sign(enum mailauth_result qualifier)
{
	for (size_t i = 0; i < N_ELEMENTS(qualifiers); i++)
		if (qualifiers[i].result == qualifier)
			return qualifiers[i].sign;
	return '+';
}

static enum mailauth_result take_qualifier(struct cursor *c)
{
	for (size_t i = 0; i < N_ELEMENTS(qualifiers); i++)
		if (cursor_skip(c, (uint8_t)qualifiers[i].sign))
			return qualifiers[i].result;
	return MAILAUTH_PASS;
}

static bool is_in_mechanism(uint8_t c)
{
	return c != ':' && c != '/';
}

/* directive = [ qualifier ] mechanism */
static bool directive(struct spf_term *term, struct spf_fault *ret_fault)
{
	struct cursor c = cursor_of(term->text);
	term->qualifier = take_qualifier(&c);
	struct slice name = cursor_while(&c, is_in_mechanism);
	if (!find_kind(name, &term->kind))
		return fault(SPF_PROBLEM_UNKNOWN_MECHANISM, name, ret_fault);
	return mechanism_argument(cursor_rest(&c), term, ret_fault);
}

/* --- modifiers --- */

/* name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ) */
static bool is_modifier_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !(i > 0 && name.p[i] && strchr("-_.", name.p[i])))
			return false;
	return name.n > 0 && ascii_is_alpha(name.p[0]);
}

/* modifier         = redirect / explanation / unknown-modifier
 * redirect         = "redirect" "=" domain-spec
 * explanation      = "exp" "=" domain-spec
 * unknown-modifier = name "=" macro-string      ; where name is not any known modifier */
static bool modifier(struct slice name, struct slice value, struct spf_term *term,
                     struct spf_fault *ret_fault)
{
	enum spf_term_kind kind;
	if (!is_modifier_name(name))
		return fault(SPF_PROBLEM_MODIFIER_NAME, name, ret_fault);
	if (find_kind(name, &kind) && !spf_term_is_mechanism(kind)) {
		term->kind = kind;
		return domain_spec(value, term, ret_fault);
	}
	term->kind = SPF_UNKNOWN;
	term->name = name;
	term->value = value;
	return spf_macro_check(value, SPF_MACRO_IN_MODIFIER, ret_fault);
}

/* --- records --- */

static bool is_name_end(uint8_t c)
{
	return c == '=' || c == ':' || c == '/';
}

static bool is_no_name_end(uint8_t c)
{
	return !is_name_end(c);
}

static bool check_bytes(struct slice text, struct spf_fault *ret_fault)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_print(text.p[i]))
			return fault(SPF_PROBLEM_BYTE, slice_sub(text, i, 1), ret_fault);
	return true;
}

/* "Modifiers always contain an equals ('=') character immediately after the name, and before any
 * ":" or "/"" (section 4.6.1) */
static bool read_term(struct slice text, struct spf_term *ret_term, struct spf_fault *ret_fault)
{
	struct spf_term term = {
	        .text = text,
	        .domain_spec = slice_empty(),
	        .name = slice_empty(),
	        .value = slice_empty(),
	        .prefix4 = 32,
	        .prefix6 = 128,
	};
	struct cursor c = cursor_of(text);
	struct slice name = cursor_while(&c, is_no_name_end);
	bool good = cursor_skip(&c, '=') ? modifier(name, cursor_rest(&c), &term, ret_fault)
	                                 : directive(&term, ret_fault);
	if (good)
		*ret_term = term;
	return good;
}

bool spf_record_is(struct slice text)
{
	return slice_istarts(text, SLICE("v=spf1")) &&
	       (text.n == N_VERSION || text.p[N_VERSION] == ' ');
}

static bool is_space(uint8_t c)
{
	return c == ' ';
}

static bool is_no_space(uint8_t c)
{
	return c != ' ';
}

static struct slice next_term(struct cursor *c)
{
	(void)cursor_while(c, is_space);
	return cursor_while(c, is_no_space);
}

static size_t count_terms(struct cursor c)
{
	size_t n = 0;
	while (next_term(&c).n > 0)
		n++;
	return n;
}

/* redirect and exp stand once at most (section 6); all makes redirect mean nothing (6.1). */
static bool find_modifiers(struct spf_record *record, struct spf_fault *ret_fault)
{
	bool has_all = false;
	for (size_t i = 0; i < record->n_terms; i++) {
		const struct spf_term *term = &record->terms[i];
		has_all = has_all || term->kind == SPF_ALL;
		if (term->kind != SPF_REDIRECT && term->kind != SPF_EXP)
			continue;
		const struct spf_term **known =
		        term->kind == SPF_EXP ? &record->exp : &record->redirect;
		if (*known)
			return fault(SPF_PROBLEM_TWICE, term->text, ret_fault);
		*known = term;
	}
	if (has_all)
		record->redirect = NULL;
	return true;
}

static struct status syntax(const struct spf_fault *fault_found)
{
	return fail(ERR_SYNTAX, spf_problem_what(fault_found->problem));
}

static bool check_text(struct slice text, struct spf_fault *ret_fault)
{
	if (!spf_record_is(text))
		return fault(SPF_PROBLEM_VERSION, slice_sub(text, 0, N_VERSION), ret_fault);
	if (text.n > SPF_RECORD_MAX)
		return fault(SPF_PROBLEM_TOO_LONG, slice_from(text, SPF_RECORD_MAX), ret_fault);
	if (count_terms(cursor_of(text)) > SPF_TERMS_MAX + 1) /* the version is counted as well */
		return fault(SPF_PROBLEM_TOO_MANY_TERMS, slice_from(text, text.n), ret_fault);
	return check_bytes(text, ret_fault);
}

struct status spf_record_parse(struct slice text, struct arena *arena,
                               struct spf_record *ret_record, struct spf_fault *ret_fault)
{
	struct spf_record record = {.text = text};
	if (!check_text(text, ret_fault))
		return syntax(ret_fault);
	struct cursor c = cursor_of(text);
	(void)cursor_take(&c, N_VERSION);
	record.n_terms = count_terms(c);
	struct spf_term *terms = ARENA_ARRAY(arena, MAX(record.n_terms, 1u), struct spf_term);
	if (!terms)
		return fail(ERR_LIMIT, "no room for the terms of a record");
	for (size_t i = 0; i < record.n_terms; i++)
		if (!read_term(next_term(&c), &terms[i], ret_fault))
			return syntax(ret_fault);
	record.terms = terms;
	if (!find_modifiers(&record, ret_fault))
		return syntax(ret_fault);
	*ret_record = record;
	return ok();
}

/* --- printing --- */

static void print_network(const struct spf_term *term, struct buf *out)
{
	bool v4 = term->kind == SPF_IP4;
	char text[INET6_ADDRSTRLEN] = "";
	(void)inet_ntop(v4 ? AF_INET : AF_INET6, term->network, text, sizeof(text));
	buf_printf(out, ":%s", text);
	if (v4 && term->prefix4 != 32)
		buf_printf(out, "/%u", term->prefix4);
	if (!v4 && term->prefix6 != 128)
		buf_printf(out, "/%u", term->prefix6);
}

static void print_mechanism(const struct spf_term *term, struct buf *out)
{
	if (term->qualifier != MAILAUTH_PASS)
		buf_add_byte(out, (uint8_t)spf_qualifier_sign(term->qualifier));
	buf_add_str(out, spf_term_name(term->kind));
	if (term->kind == SPF_IP4 || term->kind == SPF_IP6) {
		print_network(term, out);
		return;
	}
	if (term->domain_spec.n > 0) {
		buf_add_byte(out, ':');
		buf_add(out, term->domain_spec);
	}
	if (term->prefix4 != 32)
		buf_printf(out, "/%u", term->prefix4);
	if (term->prefix6 != 128)
		buf_printf(out, "//%u", term->prefix6);
}

void spf_term_print(const struct spf_term *term, struct buf *out)
{
	if (spf_term_is_mechanism(term->kind)) {
		print_mechanism(term, out);
	} else if (term->kind == SPF_UNKNOWN) {
		buf_add(out, term->name);
		buf_add_byte(out, '=');
		buf_add(out, term->value);
	} else {
		buf_add_str(out, spf_term_name(term->kind));
		buf_add_byte(out, '=');
		buf_add(out, term->domain_spec);
	}
}

void spf_record_print(const struct spf_record *record, struct buf *out)
{
	buf_add_str(out, "v=spf1");
	for (size_t i = 0; i < record->n_terms; i++) {
		buf_add_byte(out, ' ');
		spf_term_print(&record->terms[i], out);
	}
}
