/* Answers: names of what stands in them, printing, packing.
 *
 * Packed form, all numbers in network order, names as on the wire without compression:
 *	answer = version(1)=1 type(2) outcome(1) failure(1) security(1) final_security(1) ttl(4)
 *	         rcode(2) ede_code(4) text(ede_text) text(why) name
 *	         n_chain(1) n_chain*( target security(1) ttl(4) )
 *	         n_records(2) n_records*( ttl(4) size(2) rdata )
 *	text   = size(2) octets
 * What follows from the rest is not written: canonical_name, aliases, denial_proven.
 */
#include "dns/answer.h"

#include "dns/answer_private.h"
#include "dns/wire_private.h"
#include "text/utf8.h"

#include <arpa/inet.h>

#define PACKED_VERSION 1
#define WHY_MAX        400u /* bytes of a sentence that travel */

/* --- names of things --- */

static const struct {
	enum dns_type type;
	const char *name;
} types[] = {
#define X(name, number) {DNS_TYPE_##name, #name},
        DNS_TYPE_LIST(X)
#undef X
};

bool dns_type_is_known(uint32_t number)
{
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if ((uint32_t)types[i].type == number)
			return true;
	return false;
}

const char *dns_type_name(enum dns_type type)
{
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

bool dns_type_parse(struct slice name, enum dns_type *ret_type)
{
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		if (slice_ieq_str(name, types[i].name)) {
			*ret_type = types[i].type;
			return true;
		}
	}
	return false;
}

const char *dns_security_name(enum dns_security security)
{
	static const char *const names[] = {"bogus", "insecure", "secure"};
	return names[security];
}

const char *dns_outcome_name(enum dns_outcome outcome)
{
	static const char *const names[] = {"found", "nodata", "nxdomain", "failed"};
	return names[outcome];
}

const char *dns_failure_name(enum dns_failure failure)
{
	static const char *const names[] = {"none", "temporary", "authentication", "other"};
	return names[failure];
}

/* RFC 8914 section 5.2 and the IANA registry it began. */
const char *dns_ede_name(uint32_t code)
{
	static const char *const names[] = {
	        "Other Error",
	        "Unsupported DNSKEY Algorithm",
	        "Unsupported DS Digest Type",
	        "Stale Answer",
	        "Forged Answer",
	        "DNSSEC Indeterminate",
	        "DNSSEC Bogus",
	        "Signature Expired",
	        "Signature Not Yet Valid",
	        "DNSKEY Missing",
	        "RRSIGs Missing",
	        "No Zone Key Bit Set",
	        "NSEC Missing",
	        "Cached Error",
	        "Not Ready",
	        "Blocked",
	        "Censored",
	        "Filtered",
	        "Prohibited",
	        "Stale NXDomain Answer",
	        "Not Authoritative",
	        "Not Supported",
	        "No Reachable Authority",
	        "Network Error",
	        "Invalid Data",
	        "Signature Expired before Valid",
	        "Too Early",
	        "Unsupported NSEC3 Iterations Value",
	        "Unable to conform to policy",
	        "Synthesized",
	};
	return code < N_ELEMENTS(names) ? names[code] : "";
}

const char *dns_rcode_name(uint32_t rcode)
{
	static const char *const names[] = {
	        "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
	        "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE",
	};
	if (rcode == 16)
		return "BADVERS";
	return rcode < N_ELEMENTS(names) ? names[rcode] : "RCODE";
}

/* --- failures --- */

/* Sentences travel and are logged: whoever made them, they hold no controls. */
static const char *sentence_of(const char *why, struct arena *arena)
{
	char *copy = arena_cstr(arena, slice_sub(slice_str(why), 0, WHY_MAX));
	for (char *p = copy; p && *p; p++)
		if (!ascii_is_print((uint8_t)*p))
			*p = '?';
	return copy;
}

struct dns_answer *dns_answer_failed(struct dns_name name, enum dns_type type,
                                     enum dns_failure failure, const char *why, struct arena *arena)
{
	struct dns_answer *answer = ARENA_NEW(arena, struct dns_answer);
	const char *sentence = sentence_of(why, arena);
	if (!answer || !sentence)
		return NULL;
	bool bogus = failure == DNS_FAILURE_AUTHENTICATION;
	*answer = (struct dns_answer){
	        .name = name,
	        .canonical_name = name,
	        .type = type,
	        .outcome = DNS_FAILED,
	        .failure = failure,
	        .security = bogus ? DNS_BOGUS : DNS_INSECURE,
	        .final_security = bogus ? DNS_BOGUS : DNS_INSECURE,
	        .ede_code = DNS_NO_EDE,
	        .ede_text = "",
	        .why = sentence,
	};
	return answer;
}

/* --- printing --- */

void dns_address_print(const struct dns_record *record, char text[DNS_ADDRESS_TEXT_MAX])
{
	bool v4 = record->type == DNS_TYPE_A;
	const void *bytes = v4 ? (const void *)record->a : (const void *)record->aaaa;
	if (!inet_ntop(v4 ? AF_INET : AF_INET6, bytes, text, DNS_ADDRESS_TEXT_MAX))
		text[0] = 0;
}

static void print_name(struct dns_name name, struct buf *out)
{
	buf_add_str(out, name.text);
	if (!dns_name_is_root(name))
		buf_add_byte(out, '.');
}

/* RFC 1035 section 5.1: a quoted string. */
static void print_string(struct slice s, struct buf *out)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_printf(out, "\\%c", s.p[i]);
		else if (ascii_is_print(s.p[i]))
			buf_add_byte(out, s.p[i]);
		else
			buf_printf(out, "\\%03u", s.p[i]);
	}
	buf_add_byte(out, '"');
}

static void print_hex(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		buf_printf(out, "%02x", s.p[i]);
}

static void print_txt(const struct dns_record *record, struct buf *out)
{
	for (size_t i = 0; i < record->txt.n_strings; i++) {
		if (i > 0)
			buf_add_byte(out, ' ');
		print_string(record->txt.strings[i], out);
	}
}

void dns_record_print(const struct dns_record *record, struct buf *out)
{
	char address[DNS_ADDRESS_TEXT_MAX];
	switch (record->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		dns_address_print(record, address);
		buf_add_str(out, address);
		break;
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		print_name(record->name, out);
		break;
	case DNS_TYPE_MX:
		buf_printf(out, "%u ", record->mx.preference);
		print_name(record->mx.host, out);
		break;
	case DNS_TYPE_TXT:
		print_txt(record, out);
		break;
	case DNS_TYPE_SRV:
		buf_printf(out, "%u %u %u ", record->srv.priority, record->srv.weight,
		           record->srv.port);
		print_name(record->srv.target, out);
		break;
	case DNS_TYPE_TLSA:
		buf_printf(out, "%u %u %u ", record->tlsa.usage, record->tlsa.selector,
		           record->tlsa.matching);
		print_hex(record->tlsa.bytes, out);
		break;
	case DNS_TYPE_CAA:
		buf_printf(out, "%u ", record->caa.flags);
		buf_add(out, record->caa.tag);
		buf_add_byte(out, ' ');
		print_string(record->caa.value, out);
		break;
	}
}

/* --- packing --- */

static void write_name(struct dns_name name, struct buf *out)
{
	uint8_t wire[DNS_NAME_WIRE_MAX];
	size_t n;
	dns_name_to_wire(name, wire, &n);
	buf_add(out, slice_of(wire, n));
}

static void write_string(struct slice s, struct buf *out)
{
	buf_add_byte(out, (uint8_t)s.n);
	buf_add(out, s);
}

void dns_record_write(const struct dns_record *record, struct buf *out)
{
	switch (record->type) {
	case DNS_TYPE_A:
		buf_add(out, slice_of(record->a, sizeof(record->a)));
		break;
	case DNS_TYPE_AAAA:
		buf_add(out, slice_of(record->aaaa, sizeof(record->aaaa)));
		break;
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		write_name(record->name, out);
		break;
	case DNS_TYPE_MX:
		wire_add_u16(out, record->mx.preference);
		write_name(record->mx.host, out);
		break;
	case DNS_TYPE_TXT:
		for (size_t i = 0; i < record->txt.n_strings; i++)
			write_string(record->txt.strings[i], out);
		break;
	case DNS_TYPE_SRV:
		wire_add_u16(out, record->srv.priority);
		wire_add_u16(out, record->srv.weight);
		wire_add_u16(out, record->srv.port);
		write_name(record->srv.target, out);
		break;
	case DNS_TYPE_TLSA:
		buf_add_byte(out, record->tlsa.usage);
		buf_add_byte(out, record->tlsa.selector);
		buf_add_byte(out, record->tlsa.matching);
		buf_add(out, record->tlsa.bytes);
		break;
	case DNS_TYPE_CAA:
		buf_add_byte(out, record->caa.flags);
		write_string(record->caa.tag, out);
		buf_add(out, record->caa.value);
		break;
	}
}

static void pack_text(const char *text, struct buf *out)
{
	struct slice cut = utf8_cut(slice_str(text), WHY_MAX);
	wire_add_u16(out, (uint16_t)cut.n);
	buf_add(out, cut);
}

static void pack_record(const struct dns_record *record, struct buf *out)
{
	wire_add_u32(out, record->ttl_s);
	size_t size_at = out->n;
	wire_add_u16(out, 0);
	dns_record_write(record, out);
	if (buf_failed(out))
		return;
	size_t n = out->n - size_at - 2;
	out->failed = n > UINT16_MAX;
	out->p[size_at] = (uint8_t)(n >> 8);
	out->p[size_at + 1] = (uint8_t)n;
}

struct status dns_answer_pack(const struct dns_answer *answer, struct buf *out)
{
	size_t begins = out->n;
	buf_add_byte(out, PACKED_VERSION);
	wire_add_u16(out, (uint16_t)answer->type);
	buf_add_byte(out, (uint8_t)answer->outcome);
	buf_add_byte(out, (uint8_t)answer->failure);
	buf_add_byte(out, (uint8_t)answer->security);
	buf_add_byte(out, (uint8_t)answer->final_security);
	wire_add_u32(out, answer->ttl_s);
	wire_add_u16(out, (uint16_t)answer->rcode);
	wire_add_u32(out, answer->ede_code);
	pack_text(answer->ede_text, out);
	pack_text(answer->why, out);
	write_name(answer->name, out);
	buf_add_byte(out, (uint8_t)answer->n_chain);
	for (size_t i = 0; i < answer->n_chain; i++) {
		write_name(answer->chain[i].target, out);
		buf_add_byte(out, (uint8_t)answer->chain[i].security);
		wire_add_u32(out, answer->chain[i].ttl_s);
	}
	wire_add_u16(out, (uint16_t)answer->n_records);
	for (size_t i = 0; i < answer->n_records; i++)
		pack_record(&answer->records[i], out);
	if (buf_failed(out) || out->n - begins > DNS_PACKED_MAX)
		return fail(ERR_LIMIT, "answer is too large to be passed on");
	return ok();
}

/* --- unpacking --- */

static const char *unpack_text(struct cursor *c, struct arena *arena)
{
	struct slice text = cursor_take(c, wire_u16(c));
	if (text.n > WHY_MAX || !utf8_valid(text) || slice_has_control(text))
		cursor_fail(c, "malformed text");
	const char *copy = arena_cstr(arena, text);
	return copy ? copy : "";
}

/* Only uncompressed names: each byte is looked at once. */
static struct dns_name unpack_name(struct cursor *c, struct arena *arena)
{
	struct dns_name name = dns_root;
	size_t n = 0;
	for (int length; (length = cursor_peek_at(c, n)) > 0;)
		n += 1 + (size_t)length;
	struct slice wire = cursor_take(c, n + 1);
	struct status status = dns_name_from_wire(wire, arena, &name);
	if (!is_ok(status))
		cursor_fail(c, status.why);
	return name;
}

static unsigned unpack_enum(struct cursor *c, unsigned last)
{
	unsigned value = cursor_byte(c);
	if (value > last)
		cursor_fail(c, "value out of range");
	return MIN(value, last);
}

static void unpack_chain(struct cursor *c, struct dns_answer *answer, struct arena *arena)
{
	size_t n = unpack_enum(c, DNS_CHAIN_MAX);
	struct dns_step *chain = ARENA_ARRAY(arena, n, struct dns_step);
	answer->canonical_name = answer->name;
	for (size_t i = 0; i < n && chain && cursor_ok(c); i++) {
		chain[i].alias = answer->canonical_name;
		chain[i].target = unpack_name(c, arena);
		chain[i].security = (enum dns_security)unpack_enum(c, DNS_SECURE);
		chain[i].ttl_s = wire_u32(c);
		answer->canonical_name = chain[i].target;
		answer->n_chain = i + 1;
	}
	answer->chain = chain;
}

static void unpack_records(struct cursor *c, struct dns_answer *answer, struct arena *arena)
{
	size_t n = wire_u16(c);
	if (n > DNS_RECORDS_MAX)
		cursor_fail(c, "too many records");
	struct dns_record *records = cursor_ok(c) ? ARENA_ARRAY(arena, n, struct dns_record) : NULL;
	for (size_t i = 0; i < n && records && cursor_ok(c); i++) {
		records[i].type = answer->type;
		records[i].ttl_s = wire_u32(c);
		struct cursor rdata = cursor_of(cursor_take(c, wire_u16(c)));
		struct status status = dns_record_read(&rdata, arena, &records[i]);
		if (!is_ok(status))
			cursor_fail(c, status.why);
		answer->n_records = i + 1;
	}
	answer->records = records;
}

/* What holds for every answer that was ever packed. */
static bool is_consistent(const struct dns_answer *answer)
{
	bool found = answer->outcome == DNS_FOUND, failed = answer->outcome == DNS_FAILED;
	return found == (answer->n_records > 0) &&
	       failed == (answer->failure != DNS_FAILURE_NONE) &&
	       (failed || answer->security != DNS_BOGUS);
}

struct status dns_answer_unpack(struct slice packed, struct arena *arena,
                                const struct dns_answer **ret_answer)
{
	struct cursor c = cursor_of(packed);
	struct dns_answer *answer = ARENA_NEW(arena, struct dns_answer);
	if (!answer)
		return fail(ERR_LIMIT, "no room for an answer");
	if (packed.n > DNS_PACKED_MAX)
		return fail(ERR_PROTOCOL, "packed answer is too large");
	if (cursor_byte(&c) != PACKED_VERSION)
		return fail(ERR_PROTOCOL, "packed answer of another version");
	uint32_t type = wire_u16(&c);
	if (!dns_type_is_known(type))
		return fail(ERR_PROTOCOL, "packed answer of an unknown type");
	answer->type = (enum dns_type)type;
	answer->outcome = (enum dns_outcome)unpack_enum(&c, DNS_FAILED);
	answer->failure = (enum dns_failure)unpack_enum(&c, DNS_FAILURE_OTHER);
	answer->security = (enum dns_security)unpack_enum(&c, DNS_SECURE);
	answer->final_security = (enum dns_security)unpack_enum(&c, DNS_SECURE);
	answer->ttl_s = wire_u32(&c);
	answer->rcode = wire_u16(&c);
	answer->ede_code = wire_u32(&c);
	answer->ede_text = unpack_text(&c, arena);
	answer->why = unpack_text(&c, arena);
	answer->name = unpack_name(&c, arena);
	unpack_chain(&c, answer, arena);
	unpack_records(&c, answer, arena);
	cursor_expect_end(&c, "bytes behind a packed answer");
	answer->denial_proven =
	        (answer->outcome == DNS_NODATA || answer->outcome == DNS_NXDOMAIN) &&
	        answer->final_security == DNS_SECURE;
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no room for an answer");
	if (!cursor_ok(&c) || !is_consistent(answer))
		return fail(ERR_PROTOCOL, c.why ? c.why : "packed answer contradicts itself");
	*ret_answer = answer;
	return ok();
}
