/* Domain names: text, wire and the moves between them.
 *
 * Text (RFC 1035 section 5.1; the canonical form is ours, see name.h):
 *	name   = label *("." label) [ "." ] / "."
 *	label  = 1*63 ( octet / "\" 3DIGIT / "\" octet )
 * Wire (RFC 1035 section 3.1): each label after its length, then a zero.
 *
 * Case is folded for ASCII letters only (RFC 4343 section 3).
 */
#include "dns/name.h"

#include "base/cursor.h"
#include "dns/name_private.h"
#include "text/domain.h"

const struct dns_name dns_root = {"."};

static const char too_long[] = "domain name is too long";

/* --- building the canonical text, byte by byte --- */

void dns_name_builder_init(struct dns_name_builder *builder)
{
	*builder = (struct dns_name_builder){.n_wire = 1};
}

static bool is_plain(uint8_t byte)
{
	return ascii_is_alnum(byte) || byte == '-' || byte == '_' || byte == '*' || byte == '/';
}

struct status dns_name_builder_byte(struct dns_name_builder *builder, uint8_t byte)
{
	bool begins = builder->n_label == 0;
	if (builder->n_label == DNS_LABEL_MAX)
		return fail(ERR_SYNTAX, "label of a domain name is too long");
	if (builder->n_wire + 1u + begins > DNS_NAME_WIRE_MAX)
		return fail(ERR_SYNTAX, too_long);
	builder->n_wire += 1u + begins;
	builder->n_label++;
	if (begins && builder->n_text > 0)
		builder->text[builder->n_text++] = '.';
	if (is_plain(byte)) {
		builder->text[builder->n_text++] = (char)ascii_lower(byte);
	} else {
		builder->text[builder->n_text++] = '\\';
		builder->text[builder->n_text++] = (char)('0' + byte / 100);
		builder->text[builder->n_text++] = (char)('0' + byte / 10 % 10);
		builder->text[builder->n_text++] = (char)('0' + byte % 10);
	}
	return ok();
}

struct status dns_name_builder_end_label(struct dns_name_builder *builder)
{
	if (builder->n_label == 0)
		return fail(ERR_SYNTAX, "empty label in a domain name");
	builder->n_label = 0;
	return ok();
}

struct status dns_name_builder_finish(const struct dns_name_builder *builder, struct arena *arena,
                                      struct dns_name *ret_name)
{
	if (builder->n_text == 0) {
		*ret_name = dns_root;
		return ok();
	}
	const char *text = arena_cstr(arena, slice_of(builder->text, builder->n_text));
	if (!text)
		return fail(ERR_LIMIT, "no room for a domain name");
	*ret_name = (struct dns_name){text};
	return ok();
}

/* --- parsing text --- */

/* What follows a backslash. */
static struct status parse_escape(struct cursor *c, uint8_t *ret_byte)
{
	int first = cursor_peek(c);
	if (first < 0)
		return fail(ERR_SYNTAX, "domain name ends within an escape");
	if (!ascii_is_digit((uint8_t)first)) {
		if (!ascii_is_print((uint8_t)first))
			return fail(ERR_SYNTAX, "malformed escape in a domain name");
		*ret_byte = cursor_byte(c);
		return ok();
	}
	uint32_t value;
	if (!slice_to_u32(cursor_take(c, 3), UINT8_MAX, &value))
		return fail(ERR_SYNTAX, "malformed escape in a domain name");
	*ret_byte = (uint8_t)value;
	return ok();
}

static struct status parse_ascii(struct slice text, struct dns_name_builder *builder)
{
	struct cursor c = cursor_of(text);
	while (!cursor_at_end(&c)) {
		uint8_t byte = cursor_byte(&c);
		if (byte == '.') {
			TRY(dns_name_builder_end_label(builder));
			continue;
		}
		if (byte <= ' ' || byte == 0x7f)
			return fail(ERR_SYNTAX, "blank or control in a domain name");
		if (byte == '\\')
			TRY(parse_escape(&c, &byte));
		TRY(dns_name_builder_byte(builder, byte));
	}
	return ok();
}

static struct slice without_final_dot(struct slice text)
{
	return text.n > 0 && text.p[text.n - 1] == '.' ? slice_sub(text, 0, text.n - 1) : text;
}

struct status dns_name_parse(struct slice text, struct arena *arena, struct dns_name *ret_name)
{
	struct dns_name_builder builder;
	dns_name_builder_init(&builder);
	if (text.n == 0)
		return fail(ERR_SYNTAX, "empty domain name");
	if (text.n > DNS_NAME_TEXT_MAX)
		return fail(ERR_SYNTAX, too_long);
	if (slice_is_ascii(text)) {
		if (!slice_eq_str(text, "."))
			TRY(parse_ascii(text, &builder));
	} else {
		struct text_domain domain;
		TRY(text_domain_parse(without_final_dot(text), TEXT_DOMAIN_LAX, &domain));
		TRY(parse_ascii(slice_str(domain.ascii), &builder));
	}
	return dns_name_builder_finish(&builder, arena, ret_name);
}

struct status dns_name_prepend(struct slice prefix, struct dns_name name, struct arena *arena,
                               struct dns_name *ret_name)
{
	struct dns_name_builder builder;
	dns_name_builder_init(&builder);
	if (prefix.n == 0 || prefix.n > DNS_NAME_TEXT_MAX)
		return fail(ERR_SYNTAX, "prefix of a domain name is empty or too long");
	if (!slice_is_ascii(prefix))
		return fail(ERR_SYNTAX, "prefix of a domain name is not ASCII");
	TRY(parse_ascii(prefix, &builder));
	if (builder.n_label > 0)
		TRY(dns_name_builder_end_label(&builder));
	if (!dns_name_is_root(name))
		TRY(parse_ascii(dns_name_slice(name), &builder));
	return dns_name_builder_finish(&builder, arena, ret_name);
}

/* --- looking at names --- */

bool dns_name_eq(struct dns_name a, struct dns_name b)
{
	return strcmp(a.text, b.text) == 0;
}

bool dns_name_is_root(struct dns_name name)
{
	return strcmp(name.text, ".") == 0;
}

size_t dns_name_n_labels(struct dns_name name)
{
	if (dns_name_is_root(name))
		return 0;
	size_t n = 1;
	for (const char *p = name.text; *p; p++)
		n += *p == '.';
	return n;
}

/* In canonical text a dot is nothing but a separator, so a suffix behind one is whole labels. */
bool dns_name_is_within(struct dns_name name, struct dns_name ancestor)
{
	if (dns_name_is_root(ancestor))
		return true;
	size_t n = strlen(name.text), m = strlen(ancestor.text);
	if (n < m || strcmp(name.text + (n - m), ancestor.text) != 0)
		return false;
	return n == m || name.text[n - m - 1] == '.';
}

struct dns_name dns_name_parent(struct dns_name name)
{
	const char *dot = strchr(name.text, '.');
	if (!dot || !dot[1])
		return dns_root;
	return (struct dns_name){dot + 1};
}

static bool is_host_label(struct slice label)
{
	for (size_t i = 0; i < label.n; i++) {
		bool inner_hyphen = label.p[i] == '-' && i > 0 && i + 1 < label.n;
		if (!ascii_is_alnum(label.p[i]) && !inner_hyphen)
			return false;
	}
	return label.n > 0;
}

struct dns_name dns_name_party(struct dns_name name)
{
	static const struct {
		struct dns_name above;
		size_t n_labels;
	} kinds[] = {{{"in-addr.arpa"}, 4}, {{"ip6.arpa"}, 10}, {{"."}, 2}};
	size_t kind = 0;
	while (!dns_name_is_within(name, kinds[kind].above))
		kind++;
	for (size_t n = dns_name_n_labels(name); n > kinds[kind].n_labels; n--)
		name = dns_name_parent(name);
	return name;
}

bool dns_name_is_host(struct dns_name name)
{
	struct slice label, rest = dns_name_slice(name);
	uint64_t number;
	bool more;
	do {
		more = slice_cut(rest, '.', &label, &rest);
		if (!is_host_label(label))
			return false;
	} while (more);
	return !slice_to_u64(label, UINT64_MAX, &number);
}

/* --- addresses --- */

struct status dns_name_reverse(struct slice address, struct arena *arena, struct dns_name *ret_name)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = address.p;
	const char *text;
	if (address.n == 4) {
		text = arena_printf(arena, "%u.%u.%u.%u.in-addr.arpa", p[3], p[2], p[1], p[0]);
	} else if (address.n == 16) {
		char nibbles[65];
		for (size_t i = 0; i < 16; i++) {
			nibbles[4 * i] = hex[p[15 - i] & 15];
			nibbles[4 * i + 1] = '.';
			nibbles[4 * i + 2] = hex[p[15 - i] >> 4];
			nibbles[4 * i + 3] = '.';
		}
		nibbles[64] = 0;
		text = arena_printf(arena, "%sip6.arpa", nibbles);
	} else {
		return fail(ERR_INVALID, "not an IP address");
	}
	if (!text)
		return fail(ERR_LIMIT, "no room for a domain name");
	*ret_name = (struct dns_name){text};
	return ok();
}

/* --- wire --- */

static uint8_t next_byte(const char **p)
{
	const char *at = *p;
	if (at[0] != '\\') {
		*p = at + 1;
		return (uint8_t)at[0];
	}
	*p = at + 4;
	return (uint8_t)((at[1] - '0') * 100 + (at[2] - '0') * 10 + (at[3] - '0'));
}

void dns_name_to_wire(struct dns_name name, uint8_t wire[DNS_NAME_WIRE_MAX], size_t *ret_n)
{
	size_t length_at = 0, n = 1;
	wire[0] = 0;
	for (const char *p = dns_name_is_root(name) ? "" : name.text; *p;) {
		if (*p == '.') {
			p++;
			length_at = n;
			wire[n++] = 0;
			continue;
		}
		ASSERT(n + 1 < DNS_NAME_WIRE_MAX);
		wire[n++] = next_byte(&p);
		wire[length_at]++;
	}
	if (wire[0] != 0)
		wire[n++] = 0;
	*ret_n = n;
}

struct status dns_name_from_wire(struct slice wire, struct arena *arena, struct dns_name *ret_name)
{
	struct dns_name_builder builder;
	struct cursor c = cursor_of(wire);
	dns_name_builder_init(&builder);
	for (uint8_t n; (n = cursor_byte(&c)) != 0;) {
		if (n > DNS_LABEL_MAX)
			return fail(ERR_SYNTAX, "label of a domain name is too long");
		struct slice label = cursor_take(&c, n);
		for (size_t i = 0; i < label.n; i++)
			TRY(dns_name_builder_byte(&builder, label.p[i]));
		if (cursor_ok(&c))
			TRY(dns_name_builder_end_label(&builder));
	}
	cursor_expect_end(&c, "bytes behind a domain name");
	TRY(cursor_status(&c));
	return dns_name_builder_finish(&builder, arena, ret_name);
}
