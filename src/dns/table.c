/* A resolver over facts: reads them from lines and answers as a validating resolver would.
 *
 *	fact = name [ttl] (type / "*") (data / word) ["secure" / "insecure"]
 *	word = "bogus" / "servfail" / "timeout" / "refused" / "nodata" / "nxdomain"
 */
#include "dns/table.h"

#include "base/cursor.h"
#include "base/encode.h"

#include <arpa/inet.h>

#define FACTS_ARENA_MAX ((size_t)64 * 1024 * 1024)
#define TTL_DEFAULT     3600u

enum fact_kind {
	FACT_RECORD,
	FACT_BOGUS,
	FACT_SERVFAIL,
	FACT_TIMEOUT,
	FACT_REFUSED,
	FACT_NODATA,
	FACT_NXDOMAIN,
	FACT_KIND_COUNT,
};
static const char *const fact_words[FACT_KIND_COUNT] = {
        "", "bogus", "servfail", "timeout", "refused", "nodata", "nxdomain",
};

struct dns_table_fact {
	struct dns_table_fact *next;
	struct dns_name name;
	bool any_type;
	enum fact_kind kind;
	enum dns_security security;
	struct dns_record record; /* its type counts for every kind */
};

/* --- reading facts --- */

NORETURN static void bad_fact(struct slice fact)
{
	fprintf(stderr, "not a fact of the DNS: %.*s\n", SLICE_FMT(fact));
	BUG("a test's fact cannot be read");
}

static bool is_no_blank(uint8_t byte)
{
	return byte != ' ' && byte != '\t';
}

static bool is_blank(uint8_t byte)
{
	return !is_no_blank(byte);
}

static struct slice next_word(struct cursor *c)
{
	(void)cursor_while(c, is_blank);
	return cursor_while(c, is_no_blank);
}

static struct dns_name next_name(struct cursor *c, struct arena *arena)
{
	struct dns_name name = dns_root;
	if (!is_ok(dns_name_parse(next_word(c), arena, &name)))
		cursor_fail(c, "name");
	return name;
}

static uint32_t next_number(struct cursor *c, uint32_t max)
{
	uint32_t number = 0;
	if (!slice_to_u32(next_word(c), max, &number))
		cursor_fail(c, "number");
	return number;
}

/* "..." with \" and \\ in it. */
static struct slice next_string(struct cursor *c, struct arena *arena)
{
	struct buf text;
	buf_init(&text, UINT16_MAX);
	(void)cursor_while(c, is_blank);
	cursor_expect(c, '"', "quoted string");
	while (cursor_ok(c) && !cursor_skip(c, '"')) {
		(void)cursor_skip(c, '\\');
		buf_add_byte(&text, cursor_byte(c));
	}
	struct slice copy = arena_copy(arena, buf_slice(&text));
	buf_done(&text);
	return copy;
}

static void read_txt(struct cursor *c, struct arena *arena, struct dns_record *record)
{
	struct slice *strings = ARENA_ARRAY(arena, DNS_TXT_STRINGS_MAX, struct slice);
	struct buf joined;
	buf_init(&joined, UINT16_MAX);
	size_t n = 0;
	do {
		strings[n] = next_string(c, arena);
		buf_add(&joined, strings[n++]);
		(void)cursor_while(c, is_blank);
	} while (cursor_peek(c) == '"' && n < DNS_TXT_STRINGS_MAX);
	record->txt.strings = strings;
	record->txt.n_strings = n;
	record->txt.joined = arena_copy(arena, buf_slice(&joined));
	buf_done(&joined);
}

static void read_tlsa(struct cursor *c, struct arena *arena, struct dns_record *record)
{
	struct buf bytes;
	record->tlsa.usage = (uint8_t)next_number(c, UINT8_MAX);
	record->tlsa.selector = (uint8_t)next_number(c, UINT8_MAX);
	record->tlsa.matching = (uint8_t)next_number(c, UINT8_MAX);
	buf_init(&bytes, UINT16_MAX);
	if (!is_ok(hex_decode(next_word(c), &bytes)))
		cursor_fail(c, "hexadecimal");
	record->tlsa.bytes = arena_copy(arena, buf_slice(&bytes));
	buf_done(&bytes);
}

static void read_address(struct cursor *c, int family, void *bytes)
{
	char text[DNS_ADDRESS_TEXT_MAX];
	struct slice word = next_word(c);
	snprintf(text, sizeof(text), "%.*s", SLICE_FMT(word));
	if (inet_pton(family, text, bytes) != 1)
		cursor_fail(c, "address");
}

static void read_data(struct cursor *c, struct arena *arena, struct dns_record *record)
{
	switch (record->type) {
	case DNS_TYPE_A:
		read_address(c, AF_INET, record->a);
		break;
	case DNS_TYPE_AAAA:
		read_address(c, AF_INET6, record->aaaa);
		break;
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
		record->name = next_name(c, arena);
		break;
	case DNS_TYPE_MX:
		record->mx.preference = (uint16_t)next_number(c, UINT16_MAX);
		record->mx.host = next_name(c, arena);
		break;
	case DNS_TYPE_TXT:
		read_txt(c, arena, record);
		break;
	case DNS_TYPE_SRV:
		record->srv.priority = (uint16_t)next_number(c, UINT16_MAX);
		record->srv.weight = (uint16_t)next_number(c, UINT16_MAX);
		record->srv.port = (uint16_t)next_number(c, UINT16_MAX);
		record->srv.target = next_name(c, arena);
		break;
	case DNS_TYPE_TLSA:
		read_tlsa(c, arena, record);
		break;
	case DNS_TYPE_CAA:
		record->caa.flags = (uint8_t)next_number(c, UINT8_MAX);
		record->caa.tag = arena_copy(arena, next_word(c));
		record->caa.value = next_string(c, arena);
		break;
	}
}

/* [ttl] type */
static void read_type(struct cursor *c, struct dns_table_fact *fact)
{
	struct slice word = next_word(c);
	fact->record.ttl_s = TTL_DEFAULT;
	if (slice_to_u32(word, INT32_MAX, &fact->record.ttl_s))
		word = next_word(c);
	fact->any_type = slice_eq_str(word, "*");
	if (!fact->any_type && !dns_type_parse(word, &fact->record.type))
		cursor_fail(c, "type");
}

static void read_what(struct cursor *c, struct arena *arena, struct dns_table_fact *fact)
{
	struct cursor try = *c;
	struct slice word = next_word(&try);
	for (unsigned kind = FACT_BOGUS; kind < FACT_KIND_COUNT; kind++)
		if (slice_eq_str(word, fact_words[kind]))
			fact->kind = (enum fact_kind)kind;
	if (fact->kind != FACT_RECORD)
		*c = try;
	else if (fact->any_type)
		cursor_fail(c, "no record has every type");
	else
		read_data(c, arena, &fact->record);
}

static void add_fact(struct dns_table *table, struct slice text)
{
	struct cursor c = cursor_of(text);
	struct dns_table_fact *fact = ARENA_NEW(&table->arena, struct dns_table_fact);
	ASSERT(fact);
	fact->name = next_name(&c, &table->arena);
	fact->security = DNS_INSECURE;
	read_type(&c, fact);
	read_what(&c, &table->arena, fact);
	struct slice trust = next_word(&c);
	if (slice_eq_str(trust, "secure"))
		fact->security = DNS_SECURE;
	else if (trust.n > 0 && !slice_eq_str(trust, "insecure"))
		bad_fact(text);
	(void)cursor_while(&c, is_blank);
	if (!cursor_ok(&c) || !cursor_at_end(&c) || arena_failed(&table->arena))
		bad_fact(text);
	if (table->last)
		table->last->next = fact;
	else
		table->first = fact;
	table->last = fact;
}

void dns_table_add(struct dns_table *table, const char *fact)
{
	add_fact(table, slice_str(fact));
}

void dns_table_add_lines(struct dns_table *table, const char *facts)
{
	struct slice line, rest = slice_str(facts);
	bool more;
	do {
		more = slice_cut(rest, '\n', &line, &rest);
		line = slice_trim(line);
		if (line.n > 0 && line.p[0] != '#')
			add_fact(table, line);
	} while (more);
}

/* --- answering --- */

static bool matches(const struct dns_table_fact *fact, struct dns_name name, enum dns_type type)
{
	return dns_name_eq(fact->name, name) && (fact->any_type || fact->record.type == type);
}

/* The first fact of this name that is of the type, or is a CNAME to follow. */
static const struct dns_table_fact *find_fact(const struct dns_table *table, struct dns_name name,
                                              enum dns_type type)
{
	for (const struct dns_table_fact *fact = table->first; fact; fact = fact->next)
		if (matches(fact, name, type) || matches(fact, name, DNS_TYPE_CNAME))
			return fact;
	return NULL;
}

static bool exists(const struct dns_table *table, struct dns_name name)
{
	for (const struct dns_table_fact *fact = table->first; fact; fact = fact->next)
		if (dns_name_is_within(fact->name, name))
			return true;
	return false;
}

static void lower_trust(struct dns_answer *answer, enum dns_security security)
{
	answer->final_security = dns_security_min(answer->final_security, security);
	answer->security = dns_security_min(answer->security, security);
}

static void deny(struct dns_answer *answer, enum dns_outcome outcome, enum dns_security security)
{
	lower_trust(answer, security);
	answer->outcome = outcome;
	answer->denial_proven = security == DNS_SECURE;
	answer->ttl_s = MIN(answer->ttl_s, TTL_DEFAULT);
}

static void collect(const struct dns_table *table, struct dns_answer *answer, struct arena *arena)
{
	struct dns_record *records = NULL;
	for (int pass = 0; pass < 2; pass++) {
		size_t n = 0;
		for (const struct dns_table_fact *fact = table->first; fact; fact = fact->next) {
			if (fact->kind != FACT_RECORD ||
			    !matches(fact, answer->canonical_name, answer->type))
				continue;
			if (records) {
				records[n] = fact->record;
				answer->ttl_s = MIN(answer->ttl_s, fact->record.ttl_s);
				lower_trust(answer, fact->security);
			}
			n++;
		}
		if (pass == 0)
			records = ARENA_ARRAY(arena, n, struct dns_record);
		answer->n_records = records ? n : 0;
	}
	answer->records = records;
	answer->outcome = DNS_FOUND;
}

static struct dns_answer *failed(const struct dns_answer *answer, enum fact_kind kind,
                                 struct arena *arena)
{
	static const struct {
		enum dns_failure failure;
		uint32_t rcode, ede_code;
		const char *why;
	} failures[FACT_KIND_COUNT] = {
	        [FACT_RECORD] = {DNS_FAILURE_OTHER, 0, DNS_NO_EDE,
	                         "aliases (CNAME) go on and on or in a circle"},
	        [FACT_BOGUS] = {DNS_FAILURE_AUTHENTICATION, 2, 6, "DNSSEC validation failed"},
	        [FACT_SERVFAIL] = {DNS_FAILURE_TEMPORARY, 2, DNS_NO_EDE,
	                           "server answered SERVFAIL"},
	        [FACT_TIMEOUT] = {DNS_FAILURE_TEMPORARY, 0, DNS_NO_EDE, "no answer in time"},
	        [FACT_REFUSED] = {DNS_FAILURE_OTHER, 5, DNS_NO_EDE, "server answered REFUSED"},
	};
	struct dns_answer *failure = dns_answer_failed(
	        answer->name, answer->type, failures[kind].failure, failures[kind].why, arena);
	if (failure) {
		failure->rcode = failures[kind].rcode;
		failure->ede_code = failures[kind].ede_code;
	}
	return failure;
}

static struct dns_answer *answer_from_facts(const struct dns_table *table,
                                            struct dns_answer *answer, struct arena *arena)
{
	struct dns_step *chain = ARENA_ARRAY(arena, DNS_CHAIN_MAX, struct dns_step);
	answer->chain = chain;
	while (chain) {
		const struct dns_table_fact *fact =
		        find_fact(table, answer->canonical_name, answer->type);
		if (!fact) {
			bool known = exists(table, answer->canonical_name);
			deny(answer, known ? DNS_NODATA : DNS_NXDOMAIN, DNS_INSECURE);
			return answer;
		}
		if (fact->kind == FACT_NODATA || fact->kind == FACT_NXDOMAIN) {
			deny(answer, fact->kind == FACT_NODATA ? DNS_NODATA : DNS_NXDOMAIN,
			     fact->security);
			return answer;
		}
		if (fact->kind != FACT_RECORD)
			return failed(answer, fact->kind, arena);
		if (fact->record.type == answer->type) {
			collect(table, answer, arena);
			return answer;
		}
		if (answer->n_chain == DNS_CHAIN_MAX)
			return failed(answer, FACT_RECORD, arena);
		chain[answer->n_chain++] =
		        (struct dns_step){answer->canonical_name, fact->record.name, fact->security,
		                          fact->record.ttl_s};
		answer->canonical_name = fact->record.name;
		answer->ttl_s = MIN(answer->ttl_s, fact->record.ttl_s);
		lower_trust(answer, fact->security);
		answer->final_security = DNS_SECURE; /* until the end of the chain tells */
	}
	return NULL;
}

static struct status table_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                  enum dns_type type, int timeout_ms, struct arena *arena,
                                  const struct dns_answer **ret_answer)
{
	struct dns_table *table = resolver->context;
	struct dns_answer *answer = ARENA_NEW(arena, struct dns_answer);
	(void)timeout_ms;
	__atomic_fetch_add(&table->n_lookups, 1, __ATOMIC_RELAXED);
	if (answer) {
		*answer = (struct dns_answer){.name = name,
		                              .canonical_name = name,
		                              .type = type,
		                              .security = DNS_SECURE,
		                              .final_security = DNS_SECURE,
		                              .ttl_s = INT32_MAX,
		                              .ede_code = DNS_NO_EDE,
		                              .ede_text = "",
		                              .why = ""};
		answer = answer_from_facts(table, answer, arena);
	}
	if (!answer || arena_failed(arena))
		return fail(ERR_LIMIT, "no room for an answer");
	*ret_answer = answer;
	return ok();
}

void dns_table_init(struct dns_table *table)
{
	static const struct dns_resolver_ops ops = {.lookup = table_lookup};
	*table = (struct dns_table){.resolver = {.ops = &ops, .context = table}};
	arena_init(&table->arena, FACTS_ARENA_MAX);
}

void dns_table_done(struct dns_table *table)
{
	arena_done(&table->arena);
}
