/* URIs of DMARC records:
 *
 *   dmarc-uri             = URI       ; RFC 3986, commas and exclamation points encoded
 *   obs-dmarc-report-size = "!" 1*DIGIT [ "k" / "m" / "g" / "t" ]     RFC 9989 section 4.8
 *   mailtoURI             = "mailto:" [ to ] [ hfields ]              RFC 6068 section 2
 *
 * Units are powers of two (RFC 7489 section 6.4). Of a URI its characters and its scheme are
 * looked at; mailto: must name exactly one mailbox with a domain, hfields are passed over. The one
 * address parser decides what a mailbox is.
 */
#include "mailauth/dmarc_uri_private.h"

#include "message/address.h"
#include "text/utf8.h"

#define LOCAL_MAX 256u /* bytes of a local part: more than RFC 5321 section 4.5.3.1.1 allows */

static bool is_in_uri(uint8_t c)
{
	/* reserved and unreserved of RFC 3986 section 2.2 and 2.3, without "," and "!" */
	static const char others[] = ":/?#[]@$&'()*+;=-._~%";
	return ascii_is_alnum(c) || (c > ' ' && c < 0x7f && strchr(others, c));
}

static bool is_uri_text(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (!is_in_uri(text.p[i]))
			return false;
		bool encoded = text.p[i] != '%' ||
		               (i + 2 < text.n && ascii_hex_value(text.p[i + 1]) >= 0 &&
		                ascii_hex_value(text.p[i + 2]) >= 0);
		if (!encoded)
			return false;
	}
	return true;
}

/* scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) */
static bool is_scheme(struct slice scheme)
{
	for (size_t i = 0; i < scheme.n; i++) {
		uint8_t c = scheme.p[i];
		if (!ascii_is_alnum(c) && c != '+' && c != '-' && c != '.')
			return false;
	}
	return scheme.n > 0 && ascii_is_alpha(scheme.p[0]);
}

/* obs-dmarc-report-size without its "!". */
static bool parse_limit(struct slice text, uint64_t *ret_limit)
{
	static const char units[] = "kmgt";
	unsigned shift = 0;
	uint64_t number;
	if (text.n > 0 && !ascii_is_digit(text.p[text.n - 1])) {
		const char *unit = memchr(units, ascii_lower(text.p[text.n - 1]), 4);
		if (!unit)
			return false;
		shift = 10u * (unsigned)(unit - units + 1);
		text.n--;
	}
	if (!slice_to_u64(text, UINT64_MAX, &number))
		return false;
	*ret_limit = number > UINT64_MAX >> shift ? UINT64_MAX : number << shift;
	return true;
}

/* pct-encoded = "%" HEXDIG HEXDIG; the text was checked. Empty past the arena's budget. */
static struct slice decode(struct slice text, struct arena *arena)
{
	uint8_t *out = arena_alloc(arena, text.n);
	size_t n = 0;
	if (!out)
		return slice_empty();
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (c == '%') {
			c = (uint8_t)(ascii_hex_value(text.p[i + 1]) * 16 +
			              ascii_hex_value(text.p[i + 2]));
			i += 2;
		}
		out[n++] = c;
	}
	return slice_of(out, n);
}

static bool is_clean(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	return utf8_valid(text);
}

static struct status parse_mailto(struct slice to, struct arena *arena, struct dmarc_uri *uri)
{
	struct message_address_list list = {0};
	struct slice address = decode(to, arena);
	if (!is_clean(address))
		return fail(ERR_SYNTAX, "a mailto: URI with control characters");
	message_addresses_parse(address, arena, &list);
	if (list.n != 1 || list.v[0].kind != MESSAGE_ADDRESS_MAILBOX || list.v[0].has_name ||
	    list.v[0].has_route || list.v[0].localpart.n == 0 || list.v[0].domain.n == 0)
		return fail(ERR_SYNTAX, "a mailto: URI that is not one address");
	if (list.v[0].localpart.n > LOCAL_MAX)
		return fail(ERR_SYNTAX, "a mailto: URI with a too long address");
	struct dns_name host;
	if (!is_ok(dns_name_parse(list.v[0].domain, arena, &host)) || !dns_name_is_host(host))
		return fail(ERR_SYNTAX, "a mailto: URI without a domain");
	uri->is_mailto = true;
	uri->local = list.v[0].localpart;
	uri->host = host;
	return ok();
}

struct status dmarc_uri_parse(struct slice text, struct arena *arena, struct dmarc_uri *ret_uri)
{
	struct dmarc_uri uri = {.host = dns_root, .local = SLICE("")};
	struct slice scheme, rest, limit, to;
	uri.has_limit = slice_cut(text, '!', &text, &limit);
	if (uri.has_limit && !parse_limit(limit, &uri.limit))
		return fail(ERR_SYNTAX, "a URI with a size limit that is none");
	if (!slice_cut(text, ':', &scheme, &rest))
		return fail(ERR_SYNTAX, "a URI without a scheme, such as mailto:");
	if (!is_scheme(scheme) || !is_uri_text(text))
		return fail(ERR_SYNTAX, "not a URI");
	if (slice_ieq_str(scheme, "mailto")) {
		slice_cut(rest, '?', &to, &rest);
		TRY(parse_mailto(to, arena, &uri));
	}
	uri.text = arena_copy(arena, text);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for a URI");
	*ret_uri = uri;
	return ok();
}

bool dmarc_uri_address(const struct dmarc_uri *uri, struct buf *out)
{
	struct message_address address = {
	        .kind = MESSAGE_ADDRESS_MAILBOX,
	        .name = SLICE(""),
	        .route = SLICE(""),
	        .localpart = uri->local,
	        .domain = dns_name_slice(uri->host),
	};
	return uri->is_mailto && message_address_print(&address, out);
}

void dmarc_uri_print(const struct dmarc_uri *uri, struct buf *out)
{
	static const char units[] = "kmgt";
	uint64_t number = uri->limit;
	unsigned n_units = 0;
	buf_add(out, uri->text);
	if (!uri->has_limit)
		return;
	while (n_units < 4 && number > 0 && number % 1024 == 0) {
		number /= 1024;
		n_units++;
	}
	buf_printf(out, "!%" PRIu64, number);
	if (n_units > 0)
		buf_add_byte(out, (uint8_t)units[n_units - 1]);
}
