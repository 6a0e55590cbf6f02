/* Character classes of RFC 8601's grammar, shared by printer and parser. */
#pragma once

#include "base/slice.h"

/* A byte of a token (RFC 2045 section 5.1); bytes beyond ASCII are not. */
static inline bool authres_is_token(uint8_t c)
{
	static const char tspecials[] = "()<>@,;:\\\"/[]?=";
	return c > ' ' && c < 0x7f && !memchr(tspecials, c, sizeof(tspecials) - 1);
}

/* A byte of a domain-name (RFC 6376 section 3.5), with the underscores of DNS names and UTF-8 (RFC
 * 6532). */
static inline bool authres_is_domain(uint8_t c)
{
	return ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c >= 0x80;
}

/* Keyword = Ldh-str (RFC 5321 section 4.1.2): letters, digits and inner hyphens. */
static inline bool authres_is_keyword(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return s.n > 0 && s.p[s.n - 1] != '-';
}
