/* Domain names over libidn2 (RFC 5891 lookup, UTS #46 non-transitional).
 *
 * libidn2 maps and checks labels with characters beyond ASCII; what it gives is checked here as any
 * ASCII name: letters, digits, hyphens, sizes. A last label of digits only is refused: it would
 * read as an IPv4 address (WHATWG, RFC 3696 section 2).
 */
#include "text/domain.h"

#include "text/utf8.h"

#include <idn2.h>

#define INPUT_MAX 1000u /* bytes of a name as it is given */

static struct status check_label(struct slice label, enum text_domain_kind kind)
{
	if (label.n == 0)
		return fail(ERR_SYNTAX, "empty label in a domain name");
	if (label.n > TEXT_LABEL_MAX)
		return fail(ERR_SYNTAX, "label of a domain name is too long");
	for (size_t i = 0; i < label.n; i++) {
		uint8_t c = label.p[i];
		bool hyphen = c == '-' && i > 0 && i + 1 < label.n;
		if (!ascii_is_alnum(c) && !hyphen && !(c == '_' && kind == TEXT_DOMAIN_LAX))
			return fail(ERR_SYNTAX, "character not allowed in a domain name");
	}
	return ok();
}

static bool is_number(struct slice label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_digit(label.p[i]))
			return false;
	return true;
}

static struct status check_ascii(struct slice name, enum text_domain_kind kind)
{
	struct slice label, rest = name;
	bool more;
	if (name.n > TEXT_DOMAIN_MAX)
		return fail(ERR_SYNTAX, "domain name is too long");
	do {
		more = slice_cut(rest, '.', &label, &rest);
		TRY(check_label(label, kind));
	} while (more);
	if (is_number(label))
		return fail(ERR_SYNTAX, "an address is not a domain name");
	return ok();
}

static bool has_a_label(struct slice name)
{
	struct slice label, rest = name;
	bool more;
	do {
		more = slice_cut(rest, '.', &label, &rest);
		if (slice_istarts(label, SLICE("xn--")))
			return true;
	} while (more);
	return false;
}

static void free_idn(char **p)
{
	idn2_free(*p);
}

/* Both forms, where one of them is not plain ASCII. */
static struct status convert(const char *name, enum text_domain_kind kind,
                             struct text_domain *domain)
{
	CLEANUP(free_idn) char *ascii = NULL;
	CLEANUP(free_idn) char *unicode = NULL;
	/* Not with IDN2_USE_STD3_ASCII_RULES: it drops forbidden characters instead of refusing
	 * them. */
	int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
	if (idn2_to_ascii_8z(name, &ascii, flags) != IDN2_OK)
		return fail(ERR_SYNTAX, "not an international domain name");
	TRY(check_ascii(slice_str(ascii), kind));
	if (idn2_to_unicode_8z8z(ascii, &unicode, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return fail(ERR_SYNTAX, "not an international domain name");
	if (strlen(unicode) >= sizeof(domain->unicode))
		return fail(ERR_SYNTAX, "domain name is too long");
	snprintf(domain->ascii, sizeof(domain->ascii), "%s", ascii);
	snprintf(domain->unicode, sizeof(domain->unicode), "%s", unicode);
	return ok();
}

struct status text_domain_parse(struct slice name, enum text_domain_kind kind,
                                struct text_domain *ret_domain)
{
	struct text_domain domain = {.ascii = ""};
	if (name.n > INPUT_MAX)
		return fail(ERR_SYNTAX, "domain name is too long");
	CLEANUP(base_freep) char *text = slice_to_cstr(name);
	if (!text || !utf8_valid(name))
		return fail(ERR_SYNTAX, "domain name is not UTF-8");
	if (!slice_is_ascii(name) || has_a_label(name)) {
		TRY(convert(text, kind, &domain));
	} else {
		TRY(check_ascii(name, kind));
		for (size_t i = 0; i < name.n; i++)
			domain.ascii[i] = domain.unicode[i] = (char)ascii_lower(name.p[i]);
	}
	*ret_domain = domain;
	return ok();
}

bool text_domain_eq(const struct text_domain *a, const struct text_domain *b)
{
	return strcmp(a->ascii, b->ascii) == 0;
}
