/* Character rules (RFC 5322 section 3.2.3, RFC 3629 section 4). */
#include "smtp/rules.h"

bool smtp_is_atext(uint8_t c)
{
	return ascii_is_alnum(c) || (c != 0 && c < 0x80 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_tail(uint8_t c)
{
	return c >= 0x80 && c <= 0xbf;
}

/* UTF8-2 = %xC2-DF UTF8-tail; lead C2 with a tail below A0 is a C1 control */
static bool is_utf8_2(const uint8_t *p)
{
	return p[0] >= 0xc2 && p[0] <= 0xdf && is_tail(p[1]) && (p[0] > 0xc2 || p[1] >= 0xa0);
}

/* UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) / %xED %x80-9F UTF8-tail / %xEE-EF ...
 */
static bool is_utf8_3(const uint8_t *p)
{
	return (p[0] & 0xf0) == 0xe0 && is_tail(p[1]) && is_tail(p[2]) &&
	       (p[0] != 0xe0 || p[1] >= 0xa0) && (p[0] != 0xed || p[1] <= 0x9f);
}

/* UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail ) */
static bool is_utf8_4(const uint8_t *p)
{
	return p[0] >= 0xf0 && p[0] <= 0xf4 && is_tail(p[1]) && is_tail(p[2]) && is_tail(p[3]) &&
	       (p[0] != 0xf0 || p[1] >= 0x90) && (p[0] != 0xf4 || p[1] <= 0x8f);
}

size_t smtp_utf8_size(struct slice s)
{
	if (s.n >= 2 && is_utf8_2(s.p))
		return 2;
	if (s.n >= 3 && is_utf8_3(s.p))
		return 3;
	return s.n >= 4 && is_utf8_4(s.p) ? 4 : 0;
}
