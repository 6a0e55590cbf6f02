/* TLSRPT records by the grammar of RFC 8460 section 3.
 *
 *	tlsrpt-record = %s"v=TLSRPTv1" 1*(delim field) [delim]
 *	tlsrpt-rua    = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
 *	tlsrpt-uri    = URI      ; "," "!" and ";" must be encoded
 *
 * A mailto URI (RFC 6068) is decoded to one plain address: a dot-atom and a domain. Quoted local
 * parts, several addresses and other scripts in the local part are not used; header fields behind
 * "?" are passed over. The record that declares none of ours is kept as it is.
 *
 * Limits: DELIVERY_RECORD_MAX, TLSRPT_RUA_MAX, TLSRPT_URI_MAX.
 */
#include "delivery/tlsrpt.h"

#include "delivery/fields.h"
#include "text/domain.h"

#define RECORD_NAME    "_smtp._tls"
#define VERSION        "v=TLSRPTv1"
#define LOCAL_PART_MAX ((size_t)64) /* RFC 5321 section 4.5.3.1.1 */

/* --- URIs --- */

/* scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (RFC 3986 section 3.1) */
static bool has_scheme(struct slice uri)
{
	size_t colon = slice_index(uri, ':');
	if (colon == SIZE_MAX || colon == 0 || !ascii_is_alpha(uri.p[0]) || colon + 1 == uri.n)
		return false;
	for (size_t i = 0; i < colon; i++)
		if (!ascii_is_alnum(uri.p[i]) && !memchr("+-.", uri.p[i], 3))
			return false;
	return true;
}

static bool is_uri(struct slice uri)
{
	for (size_t i = 0; i < uri.n; i++)
		if (!ascii_is_print(uri.p[i]) || memchr(" !,;\"<>\\^`{|}", uri.p[i], 13))
			return false;
	return uri.n <= TLSRPT_URI_MAX && has_scheme(uri);
}

/* Percent signs undone (RFC 3986 section 2.1). False where one is malformed or there is no room. */
static bool decode(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '%') {
			buf_add_byte(out, text.p[i]);
			continue;
		}
		if (text.n - i < 3)
			return false;
		int high = ascii_hex_value(text.p[i + 1]), low = ascii_hex_value(text.p[i + 2]);
		if (high < 0 || low < 0)
			return false;
		buf_add_byte(out, (uint8_t)(high << 4 | low));
		i += 2;
	}
	return !buf_failed(out);
}

/* dot-atom (RFC 5322 section 3.2.3) */
static bool is_dot_atom(struct slice text)
{
	if (text.n == 0 || text.n > LOCAL_PART_MAX || text.p[0] == '.' ||
	    text.p[text.n - 1] == '.' || slice_find(text, SLICE("..")) != SIZE_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_alnum(text.p[i]) && !memchr("!#$%&'*+-/=?^_`{|}~.", text.p[i], 20))
			return false;
	return true;
}

static const char *address_of(struct slice rest, struct arena *arena)
{
	CLEANUP(buf_done) struct buf text;
	struct slice local, domain;
	struct text_domain name;
	buf_init(&text, LOCAL_PART_MAX + 4 * TEXT_DOMAIN_MAX);
	(void)slice_cut(rest, '?', &rest, &domain);
	if (!decode(rest, &text) || !slice_cut(buf_slice(&text), '@', &local, &domain) ||
	    !is_dot_atom(local) || !is_ok(text_domain_parse(domain, TEXT_DOMAIN_STRICT, &name)))
		return NULL;
	return arena_printf(arena, "%.*s@%s", SLICE_FMT(local), name.ascii);
}

static struct tlsrpt_uri classify(struct slice text, struct arena *arena)
{
	struct tlsrpt_uri uri = {.kind = TLSRPT_URI_OTHER, .text = text};
	if (slice_istarts(text, SLICE("mailto:"))) {
		uri.address = address_of(slice_from(text, 7), arena);
		uri.kind = uri.address ? TLSRPT_URI_MAILTO : TLSRPT_URI_OTHER;
	} else if (slice_istarts(text, SLICE("https://")) && text.n > 8 && text.p[8] != '/') {
		uri.kind = TLSRPT_URI_HTTPS;
	}
	return uri;
}

/* --- records --- */

static struct status read_rua(struct slice value, struct arena *arena, struct tlsrpt_record *record)
{
	bool more = true;
	while (more) {
		struct slice uri;
		more = slice_cut(value, ',', &uri, &value);
		uri = slice_trim(uri);
		if (!is_uri(uri))
			return fail(ERR_SYNTAX, "rua has something that is no URI");
		record->rua_cut = record->n == TLSRPT_RUA_MAX;
		if (record->rua_cut)
			return ok();
		record->rua[record->n++] = classify(uri, arena);
	}
	return ok();
}

struct status tlsrpt_record_parse(struct slice text, struct arena *arena,
                                  struct tlsrpt_record *ret_record)
{
	struct tlsrpt_record record = {.n = 0};
	struct slice name, value;
	struct cursor c;
	TRY(delivery_fields_begin(text, VERSION, &c));
	while (delivery_field_next(&c, &name, &value)) {
		if (slice_eq_str(name, "rua") && record.n == 0)
			TRY(read_rua(value, arena, &record));
		else if (!slice_eq_str(name, "rua") && !delivery_field_is_plain(value))
			return fail(ERR_SYNTAX, "a byte that no field's value may have");
	}
	TRY(cursor_status(&c));
	if (record.n == 0)
		return fail(ERR_SYNTAX, "the record has no rua");
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "too little memory for a TLSRPT record");
	*ret_record = record;
	return ok();
}

void tlsrpt_record_print(const struct tlsrpt_record *record, struct buf *out)
{
	buf_add_str(out, VERSION "; rua=");
	for (size_t i = 0; i < record->n; i++) {
		if (i > 0)
			buf_add_byte(out, ',');
		buf_add_line_safe(out, record->rua[i].text);
	}
}

/* --- looking one up --- */

struct status tlsrpt_lookup(const struct dns_resolver *resolver, struct slice domain,
                            int timeout_ms, struct arena *arena, struct tlsrpt_lookup *ret_lookup)
{
	struct delivery_record found;
	struct tlsrpt_lookup lookup = {.outcome = TLSRPT_ABSENT};
	TRY(delivery_record_find(resolver, RECORD_NAME, domain, VERSION, timeout_ms, arena,
	                         &found));
	if (found.outcome == DELIVERY_RECORD_FOUND) {
		struct status status = tlsrpt_record_parse(found.text, arena, &lookup.record);
		if (is_ok(status))
			lookup.outcome = TLSRPT_FOUND;
		else
			delivery_record_refuse(&found, status.why, arena);
	} else if (found.outcome == DELIVERY_RECORD_UNKNOWN) {
		lookup.outcome = TLSRPT_UNKNOWN;
	}
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "too little memory for a TLSRPT record");
	lookup.answer = found.answer;
	lookup.why = found.why;
	*ret_lookup = lookup;
	return ok();
}
