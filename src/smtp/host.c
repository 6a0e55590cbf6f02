/* Domains and address literals.
 *
 *   Domain           = sub-domain *("." sub-domain)                    RFC 5321 section 4.1.2
 *   sub-domain       = Let-dig [Ldh-str] / U-label                     RFC 6531 section 3.3
 *   address-literal  = "[" ( IPv4 / "IPv6:" IPv6-addr / tag ":" 1*dcontent ) "]"   section 4.1.3
 *
 * Not done here: IDNA (the directory maps U-labels), and whether a general literal's tag is
 * registered. Limits: SMTP_DOMAIN_MAX, SMTP_LABEL_MAX, SMTP_LITERAL_MAX.
 */
#include "smtp/host.h"

#include "smtp/rules.h"

static bool is_let_dig(int c)
{
	return c >= 0 && (ascii_is_alnum((uint8_t)c) || c == '_');
}

/* One character of a label: its size, 0 at the label's end. */
static size_t label_char_size(const struct cursor *c, bool *utf8)
{
	int byte = cursor_peek(c);
	if (is_let_dig(byte) || byte == '-')
		return 1;
	if (byte < 0x80)
		return 0;
	*utf8 = true;
	return smtp_utf8_size(cursor_rest(c));
}

static void sub_domain(struct cursor *c, bool *utf8)
{
	size_t start = c->at;
	if (cursor_peek(c) == '-')
		cursor_fail(c, "domain label starts with a hyphen");
	for (size_t n; (n = label_char_size(c, utf8)) > 0;)
		cursor_take(c, n);
	if (!cursor_ok(c))
		return;
	if (c->at == start)
		cursor_fail(c, "expected a domain label");
	else if (c->at - start > SMTP_LABEL_MAX)
		cursor_fail(c, "domain label is too long");
	else if (c->in.p[c->at - 1] == '-')
		cursor_fail(c, "domain label ends with a hyphen");
}

static struct smtp_host domain(struct cursor *c)
{
	struct smtp_host host = {.kind = SMTP_HOST_DOMAIN};
	struct slice rest = cursor_rest(c);
	size_t start = c->at;
	do {
		sub_domain(c, &host.utf8);
	} while (cursor_skip(c, '.'));
	host.text = slice_sub(rest, 0, c->at - start);
	if (host.text.n > SMTP_DOMAIN_MAX)
		cursor_fail(c, "domain is too long");
	return host;
}

/* Snum = 1*3DIGIT, 0..255 */
static uint8_t snum(struct cursor *c)
{
	size_t start = c->at;
	uint8_t value = (uint8_t)cursor_u32(c, 255, "IPv4 address has an invalid number");
	if (c->at - start > 3)
		cursor_fail(c, "IPv4 address has a number of more than three digits");
	return value;
}

static void ipv4_address(struct cursor *c, uint8_t *address)
{
	for (size_t i = 0; i < 4; i++) {
		if (i > 0)
			cursor_expect(c, '.', "IPv4 address is incomplete");
		address[i] = snum(c);
	}
}

/* IPv6-hex = 1*4HEXDIG */
static uint16_t ipv6_hex(struct cursor *c)
{
	unsigned value = 0;
	size_t n_digits = 0;
	for (int digit; cursor_peek(c) >= 0 &&
	                (digit = ascii_hex_value((uint8_t)cursor_peek(c))) >= 0 && n_digits < 4;
	     n_digits++) {
		value = value << 4 | (unsigned)digit;
		cursor_byte(c);
	}
	if (n_digits == 0)
		cursor_fail(c, "IPv6 address has an invalid group");
	return (uint16_t)value;
}

static bool ipv4_follows(const struct cursor *c)
{
	struct slice rest = cursor_rest(c);
	return slice_index(rest, '.') < slice_index(rest, ':');
}

/* Groups before and after "::" share one list; `gap` is where the zeros go. */
struct ipv6_groups {
	uint8_t bytes[16];
	size_t n; /* bytes, even */
	size_t gap;
};

/* One group, or the IPv4 address at the end as two. */
static void ipv6_group(struct cursor *c, struct ipv6_groups *groups)
{
	bool ipv4 = ipv4_follows(c);
	if (groups->n + (ipv4 ? 4 : 2) > sizeof(groups->bytes)) {
		cursor_fail(c, "IPv6 address has too many groups");
		return;
	}
	if (ipv4) {
		ipv4_address(c, groups->bytes + groups->n);
		groups->n += 4;
		cursor_expect_end(c, "IPv4 part must end the IPv6 address");
		return;
	}
	uint16_t value = ipv6_hex(c);
	groups->bytes[groups->n++] = (uint8_t)(value >> 8);
	groups->bytes[groups->n++] = (uint8_t)value;
}

static void ipv6_separator(struct cursor *c, struct ipv6_groups *groups)
{
	cursor_expect(c, ':', "IPv6 address has an invalid group");
	if (!cursor_skip(c, ':')) {
		if (cursor_at_end(c))
			cursor_fail(c, "IPv6 address ends in a colon");
	} else if (groups->gap != SIZE_MAX) {
		cursor_fail(c, "IPv6 address has two ::");
	} else {
		groups->gap = groups->n;
	}
}

/* IPv6-addr; "::" stands for at least two groups, so at most six others may be there. */
static void ipv6_address(struct cursor *c, uint8_t address[16])
{
	struct ipv6_groups groups = {.gap = SIZE_MAX};
	if (cursor_skip_text(c, "::"))
		groups.gap = 0;
	while (!cursor_at_end(c)) {
		ipv6_group(c, &groups);
		if (!cursor_at_end(c))
			ipv6_separator(c, &groups);
	}
	if (!cursor_ok(c))
		return;
	if (groups.gap == SIZE_MAX ? groups.n != 16 : groups.n > 12) {
		cursor_fail(c, "IPv6 address has a wrong number of groups");
		return;
	}
	size_t head = MIN(groups.gap, groups.n);
	memset(address, 0, 16);
	memcpy(address, groups.bytes, head);
	memcpy(address + 16 - (groups.n - head), groups.bytes + head, groups.n - head);
}

/* General-address-literal = Standardized-tag ":" 1*dcontent */
static void general_literal(struct cursor *c)
{
	struct slice tag, content;
	struct slice all = cursor_rest(c);
	bool found = slice_cut(all, ':', &tag, &content);
	if (!found || tag.n == 0 || content.n == 0 || tag.p[tag.n - 1] == '-')
		cursor_fail(c, "invalid address literal");
	for (size_t i = 0; i < tag.n; i++)
		if (!ascii_is_alnum(tag.p[i]) && tag.p[i] != '-')
			cursor_fail(c, "invalid tag of an address literal");
	for (size_t i = 0; i < content.n; i++)
		if (content.p[i] < 33 || content.p[i] > 126 || strchr("[\\]", content.p[i]))
			cursor_fail(c, "invalid character in an address literal");
}

/* The text between the brackets. */
static struct status literal_content(struct slice content, struct smtp_host *host)
{
	struct cursor c = cursor_of(content);
	if (cursor_skip_text(&c, "IPv6:")) {
		host->kind = SMTP_HOST_IPV6;
		ipv6_address(&c, host->address);
	} else if (slice_index(content, ':') != SIZE_MAX) {
		host->kind = SMTP_HOST_GENERAL;
		general_literal(&c);
	} else {
		host->kind = SMTP_HOST_IPV4;
		ipv4_address(&c, host->address);
		cursor_expect_end(&c, "invalid IPv4 address");
	}
	return cursor_status(&c);
}

static struct smtp_host address_literal(struct cursor *c)
{
	struct smtp_host host = {0};
	struct slice rest = slice_sub(cursor_rest(c), 0, SMTP_LITERAL_MAX);
	size_t end = slice_index(rest, ']');
	if (end == SIZE_MAX) {
		cursor_fail(c, "address literal has no end");
		return host;
	}
	struct status status = literal_content(slice_sub(rest, 1, end - 1), &host);
	if (!is_ok(status))
		cursor_fail(c, status.why);
	host.text = cursor_take(c, end + 1);
	return host;
}

void smtp_host_parse(struct cursor *c, struct smtp_host *ret_host)
{
	struct smtp_host host = cursor_peek(c) == '[' ? address_literal(c) : domain(c);
	if (cursor_ok(c))
		*ret_host = host;
}

struct status smtp_helo_parse(struct slice argument, struct smtp_host *ret_host)
{
	struct cursor c = cursor_of(slice_trim(argument));
	struct smtp_host host = {0};
	smtp_host_parse(&c, &host);
	cursor_expect_end(&c, "text after the host name");
	if (host.utf8)
		cursor_fail(&c, "host name is not ASCII");
	TRY(cursor_status(&c));
	*ret_host = host;
	return ok();
}

struct status smtp_ip_parse(struct slice text, struct smtp_host *ret_host)
{
	struct cursor c = cursor_of(text);
	struct smtp_host host = {.text = text};
	if (slice_index(text, ':') != SIZE_MAX) {
		host.kind = SMTP_HOST_IPV6;
		ipv6_address(&c, host.address);
	} else {
		host.kind = SMTP_HOST_IPV4;
		ipv4_address(&c, host.address);
	}
	cursor_expect_end(&c, "text after the address");
	TRY(cursor_status(&c));
	*ret_host = host;
	return ok();
}
