/* Names in signatures: d=, s= and the two halves of i=.
 *
 *	domain-name = sub-domain 1*("." sub-domain)                    RFC 6376 section 3.5
 *	selector    = sub-domain *("." sub-domain)                     section 3.1
 *	sub-domain  = Let-dig [Ldh-str]                                RFC 5321 section 4.1.2
 *
 * An underscore counts as a letter. Names beyond ASCII become A-labels (RFC 8616 section 5).
 * Nothing but the DNS is asked for such a name, so an A-label is not looked into.
 */
#include "mailauth/dkim_signature.h"

#include "text/domain.h"
#include "text/utf8.h"

#define LABEL_MAX 63u

static bool is_label(struct slice label)
{
	if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
			return false;
	return true;
}

static bool is_name(struct slice name, size_t at_least_labels)
{
	struct slice label, rest = name;
	size_t n = 0;
	bool more;
	if (name.n > DKIM_NAME_MAX)
		return false;
	do {
		more = slice_cut(rest, '.', &label, &rest);
		if (!is_label(label))
			return false;
		n++;
	} while (more);
	return n >= at_least_labels;
}

static const char *lower_case(struct slice name, struct arena *arena)
{
	char *text = arena_alloc(arena, name.n + 1);
	for (size_t i = 0; text && i < name.n; i++)
		text[i] = (char)ascii_lower(name.p[i]);
	return text;
}

/* In A-labels. A last label is added for the conversion, since a selector may be a number. */
static const char *international(struct slice name, size_t at_least_labels, struct arena *arena)
{
	struct text_domain domain;
	char text[4 * DKIM_NAME_MAX];
	if (name.n > sizeof(text) - sizeof(".name"))
		return NULL;
	memcpy(text, name.p, name.n);
	memcpy(text + name.n, ".name", sizeof(".name"));
	if (!is_ok(text_domain_parse(slice_str(text), TEXT_DOMAIN_LAX, &domain)))
		return NULL;
	struct slice ascii = slice_str(domain.ascii);
	ascii.n -= sizeof(".name") - 1;
	return is_name(ascii, at_least_labels) ? lower_case(ascii, arena) : NULL;
}

const char *dkim_name_parse(struct slice text, size_t at_least_labels, struct arena *arena)
{
	if (!slice_is_ascii(text))
		return international(text, at_least_labels, arena);
	return is_name(text, at_least_labels) ? lower_case(text, arena) : NULL;
}

bool dkim_name_is_within(const char *name, const char *ancestor)
{
	struct slice inner = slice_str(name), outer = slice_str(ancestor);
	if (!slice_ends(inner, outer))
		return false;
	return inner.n == outer.n || inner.p[inner.n - outer.n - 1] == '.';
}

/* sig-i-tag = [FWS] "=" [FWS] [ Local-part ] "@" domain-name
 * What the local part looks like inside is nobody's business: any text is taken. */
bool dkim_identity_parse(struct slice text, struct arena *arena, struct dkim_signature *signature)
{
	size_t at = slice_rindex(text, '@');
	if (at == SIZE_MAX || text.n > DKIM_IDENTITY_MAX || !utf8_valid(text))
		return false;
	for (size_t i = 0; i < at; i++)
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	const char *domain = dkim_name_parse(slice_from(text, at + 1), 2, arena);
	if (!domain)
		return false;
	signature->has_identity = true;
	signature->identity = slice_sub(text, 0, at);
	signature->identity_domain = domain;
	return true;
}
