/* Canonical domains and local parts.
 *
 * Domain grammar: RFC 5321 section 4.1.2 (sub-domain), RFC 1035 section 2.3.4 for the sizes; a name
 * of one label is accepted (localhost). IDNA: RFC 5891 by libidn2, non-transitional, with the
 * mapping of RFC 5895 and UTS 46. Local parts: RFC 6532 section 3.1 asks for NFC. Not done: address
 * literals (the look-up handles them), quoted local parts (callers unquote).
 */
#include "config/name.h"

#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#define LABEL_MAX 63

/* One label: letters, digits, hyphens and underscores (in use, though no hostname), no hyphen at
 * either end. */
static bool is_label(struct slice label)
{
	if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
			return false;
	return true;
}

static bool is_domain(struct slice s)
{
	bool more = s.n > 0 && s.n <= CONFIG_DOMAIN_MAX;
	if (!more)
		return false;
	while (more) {
		struct slice label;
		more = slice_cut(s, '.', &label, &s);
		if (!is_label(label))
			return false;
	}
	return true;
}

/* A-labels are turned to Unicode and back, so that two spellings of one name meet. */
static struct status idna_to_ascii(struct slice s, char *ret, size_t *ret_n)
{
	uint8_t *ascii = NULL;
	char text[CONFIG_DOMAIN_MAX * 4 + 1];
	if (s.n >= sizeof(text) || slice_has_control(s))
		return fail(ERR_SYNTAX, "not a domain name");
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	int rc = idn2_lookup_u8((const uint8_t *)text, &ascii,
	                        IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return fail(ERR_SYNTAX, "not a domain name");
	size_t n = strlen((const char *)ascii);
	bool fits = n <= CONFIG_DOMAIN_MAX;
	if (fits) {
		memcpy(ret, ascii, n + 1);
		*ret_n = n;
	}
	idn2_free(ascii);
	return fits && is_domain(slice_of(ret, *ret_n)) ? ok()
	                                                : fail(ERR_SYNTAX, "not a domain name");
}

static bool has_ace_label(struct slice s)
{
	for (size_t at = 0; at < s.n;) {
		if (slice_istarts(slice_from(s, at), SLICE("xn--")))
			return true;
		size_t dot = slice_index(slice_from(s, at), '.');
		if (dot == SIZE_MAX)
			break;
		at += dot + 1;
	}
	return false;
}

struct status config_domain_canonical(struct slice s, char *ret, size_t *ret_n)
{
	if (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	if (!slice_is_ascii(s) || has_ace_label(s))
		return idna_to_ascii(s, ret, ret_n);
	if (!is_domain(s))
		return fail(ERR_SYNTAX, "not a domain name");
	for (size_t i = 0; i < s.n; i++)
		ret[i] = (char)ascii_lower(s.p[i]);
	ret[s.n] = 0;
	*ret_n = s.n;
	return ok();
}

/* Lower case and NFC; the size may change either way, so libunistring allocates. */
static struct status unicode_canonical(struct slice s, bool case_sensitive, char *ret,
                                       size_t *ret_n)
{
	if (u8_check(s.p, s.n) != NULL)
		return fail(ERR_SYNTAX, "local part is not UTF-8");
	size_t n = 0;
	uint8_t *text = case_sensitive ? u8_normalize(UNINORM_NFC, s.p, s.n, NULL, &n)
	                               : u8_tolower(s.p, s.n, NULL, UNINORM_NFC, NULL, &n);
	if (!text)
		return fail(ERR_SYNTAX, "local part cannot be normalised");
	bool fits = n <= CONFIG_LOCALPART_MAX;
	if (fits) {
		memcpy(ret, text, n);
		ret[n] = 0;
		*ret_n = n;
	}
	free(text);
	return fits ? ok() : fail(ERR_SYNTAX, "local part is too long");
}

struct status config_localpart_canonical(struct slice s, bool case_sensitive, char *ret,
                                         size_t *ret_n)
{
	if (s.n == 0 || s.n > CONFIG_LOCALPART_MAX)
		return fail(ERR_SYNTAX, "local part is empty or too long");
	bool ascii = true;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return fail(ERR_SYNTAX, "local part has a control character");
		ascii = ascii && s.p[i] < 0x80;
	}
	if (!ascii)
		return unicode_canonical(s, case_sensitive, ret, ret_n);
	for (size_t i = 0; i < s.n; i++)
		ret[i] = (char)(case_sensitive ? s.p[i] : ascii_lower(s.p[i]));
	ret[s.n] = 0;
	*ret_n = s.n;
	return ok();
}

bool config_address_split(struct slice address, struct slice *ret_localpart,
                          struct slice *ret_domain)
{
	size_t at = slice_rindex(address, '@');
	if (at == SIZE_MAX)
		return false;
	*ret_localpart = slice_sub(address, 0, at);
	*ret_domain = slice_from(address, at + 1);
	return true;
}
