/* Character rules (RFC 5322 section 3.2.3, RFC 6532 section 3.1). */
#include "smtp/rules.h"

#include "text/utf8.h"

bool smtp_is_atext(uint8_t c)
{
	return ascii_is_alnum(c) || (c != 0 && c < 0x80 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

size_t smtp_utf8_size(struct slice s)
{
	uint32_t codepoint;
	size_t n;
	if (s.n == 0 || utf8_decode(s, &codepoint, &n) != UTF8_OK || codepoint < 0xa0)
		return 0;
	return n;
}
