/* SPF against the test suite of RFC 7208 by the openspf project, where it lies beside the checkout
 * (../shared/suites/spf); skipped, with a word, where it does not.
 *
 * The file is a YAML document a scenario: tests (client, HELO, MAIL FROM, the results allowed, the
 * explanation) and zone data, which a resolver here answers from by the suite's rules:
 *
 *   NAME:                        a list of
 *     - TYPE: value              records; MX: [preference, host]; TXT, SPF: a string or a list
 *     - TXT: NONE                no record, and none is made from those of type SPF
 *     - TIMEOUT                  a query for a type that no record before it has gets no answer
 *   where no TXT stands, each SPF is a TXT as well
 *
 * Each case prints as one line of TAP. Explanation DEFAULT means: none of the domain's.
 */
#include "dns/resolver.h"
#include "mailauth/spf.h"
#include "mailauth/spf_macro.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <yaml.h>

#define SUITE   SOURCE_ROOT "/../shared/suites/spf/rfc7208-tests.yml"
#define SKIPPED 77
#define CASES   203u /* that a cut file shows */

/* --- zone data --- */

struct entry {
	struct dns_name name;
	bool is_timeout; /* the word alone */
	bool is_none;    /* TXT: NONE */
	enum dns_type type;
	struct dns_record record;
};

#define ENTRIES_MAX 400u /* of one scenario */

struct zone {
	struct arena arena;
	struct entry entries[ENTRIES_MAX];
	size_t n;
	const char *bad; /* what of the file was not understood; NULL */
};

static const yaml_node_t *node_at(yaml_document_t *document, int index)
{
	return yaml_document_get_node(document, index);
}

static struct slice scalar(const yaml_node_t *node)
{
	if (!node || node->type != YAML_SCALAR_NODE)
		return slice_empty();
	return slice_of(node->data.scalar.value, node->data.scalar.length);
}

static const yaml_node_t *member(yaml_document_t *document, const yaml_node_t *map, const char *key)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     pair < map->data.mapping.pairs.top; pair++)
		if (slice_eq_str(scalar(node_at(document, pair->key)), key))
			return node_at(document, pair->value);
	return NULL;
}

static struct dns_name name_of(struct zone *zone, struct slice text)
{
	struct spf_target target = {.name = dns_root};
	if (text.n > 0 && !is_ok(spf_target_parse(text, &zone->arena, &target)))
		zone->bad = "a name";
	return target.name;
}

static struct entry *add_entry(struct zone *zone, struct dns_name name)
{
	if (zone->n == ENTRIES_MAX)
		BUG("a scenario has more records than there is room for");
	struct entry *entry = &zone->entries[zone->n++];
	*entry = (struct entry){.name = name};
	return entry;
}

static void set_text(struct zone *zone, yaml_document_t *document, const yaml_node_t *value,
                     struct dns_record *record)
{
	CLEANUP(buf_done) struct buf joined;
	buf_init(&joined, UINT16_MAX);
	buf_add(&joined, scalar(value));
	if (value->type == YAML_SEQUENCE_NODE)
		for (const yaml_node_item_t *item = value->data.sequence.items.start;
		     item < value->data.sequence.items.top; item++)
			buf_add(&joined, scalar(node_at(document, *item)));
	record->txt.joined = arena_copy(&zone->arena, buf_slice(&joined));
}

static void set_address(struct zone *zone, struct slice text, int family, void *bytes)
{
	const char *c_text = arena_cstr(&zone->arena, text);
	if (!c_text || inet_pton(family, c_text, bytes) != 1)
		zone->bad = "an address";
}

static void set_mx(struct zone *zone, yaml_document_t *document, const yaml_node_t *value,
                   struct dns_record *record)
{
	uint32_t preference = 0;
	const yaml_node_item_t *items = value->data.sequence.items.start;
	if (value->type != YAML_SEQUENCE_NODE || value->data.sequence.items.top - items != 2 ||
	    !slice_to_u32(scalar(node_at(document, items[0])), UINT16_MAX, &preference)) {
		zone->bad = "an MX";
		return;
	}
	record->mx.preference = (uint16_t)preference;
	record->mx.host = name_of(zone, scalar(node_at(document, items[1])));
}

static void set_record(struct zone *zone, yaml_document_t *document, const yaml_node_t *value,
                       struct entry *entry)
{
	struct dns_record *record = &entry->record;
	record->type = entry->type;
	if (entry->type == DNS_TYPE_A)
		set_address(zone, scalar(value), AF_INET, record->a);
	else if (entry->type == DNS_TYPE_AAAA)
		set_address(zone, scalar(value), AF_INET6, record->aaaa);
	else if (entry->type == DNS_TYPE_MX)
		set_mx(zone, document, value, record);
	else if (entry->type == DNS_TYPE_TXT)
		set_text(zone, document, value, record);
	else
		record->name = name_of(zone, scalar(value));
}

static bool has_txt(yaml_document_t *document, const yaml_node_t *list)
{
	for (const yaml_node_item_t *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++)
		if (member(document, node_at(document, *item), "TXT"))
			return true;
	return false;
}

static void add_item(struct zone *zone, yaml_document_t *document, struct dns_name name,
                     const yaml_node_t *item, bool spf_is_txt)
{
	if (item->type == YAML_SCALAR_NODE) {
		add_entry(zone, name)->is_timeout = true;
		return;
	}
	const yaml_node_pair_t *pair = item->data.mapping.pairs.start;
	struct slice type = scalar(node_at(document, pair->key));
	const yaml_node_t *value = node_at(document, pair->value);
	bool is_spf = slice_eq_str(type, "SPF");
	if (is_spf && !spf_is_txt)
		return;
	struct entry *entry = add_entry(zone, name);
	if (is_spf)
		entry->type = DNS_TYPE_TXT;
	else if (!dns_type_parse(type, &entry->type))
		zone->bad = "a type";
	entry->is_none = slice_eq_str(scalar(value), "NONE");
	set_record(zone, document, value, entry);
}

static void read_zone(struct zone *zone, yaml_document_t *document, const yaml_node_t *data)
{
	for (const yaml_node_pair_t *pair = data->data.mapping.pairs.start;
	     pair < data->data.mapping.pairs.top; pair++) {
		struct dns_name name = name_of(zone, scalar(node_at(document, pair->key)));
		const yaml_node_t *list = node_at(document, pair->value);
		bool spf_is_txt = !has_txt(document, list);
		for (const yaml_node_item_t *item = list->data.sequence.items.start;
		     item < list->data.sequence.items.top; item++)
			add_item(zone, document, name, node_at(document, *item), spf_is_txt);
	}
}

/* --- the resolver --- */

static const struct dns_answer *find(const struct zone *zone, struct dns_name name,
                                     struct dns_answer *answer, struct arena *arena)
{
	struct dns_record *records = ARENA_ARRAY(arena, ENTRIES_MAX, struct dns_record);
	bool exists = false;
	for (size_t i = 0; records && i < zone->n; i++) {
		const struct entry *entry = &zone->entries[i];
		if (!dns_name_is_within(entry->name, name))
			continue;
		exists = true;
		if (!dns_name_eq(entry->name, name) || entry->is_none)
			continue;
		if (entry->is_timeout && answer->n_records == 0)
			return dns_answer_failed(answer->name, answer->type, DNS_FAILURE_TEMPORARY,
			                         "no answer in time", arena);
		if (!entry->is_timeout && entry->type == answer->type)
			records[answer->n_records++] = entry->record;
	}
	answer->records = records;
	if (answer->n_records == 0)
		answer->outcome = exists ? DNS_NODATA : DNS_NXDOMAIN;
	return records ? answer : NULL;
}

static bool find_alias(const struct zone *zone, struct dns_name *name)
{
	for (size_t i = 0; i < zone->n; i++) {
		const struct entry *entry = &zone->entries[i];
		if (!entry->is_timeout && entry->type == DNS_TYPE_CNAME &&
		    dns_name_eq(entry->name, *name)) {
			*name = entry->record.name;
			return true;
		}
	}
	return false;
}

static struct status zone_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                 enum dns_type type, int timeout_ms, struct arena *arena,
                                 const struct dns_answer **ret_answer)
{
	struct dns_answer *answer = ARENA_NEW(arena, struct dns_answer);
	size_t n_steps = 0;
	(void)timeout_ms;
	if (!answer)
		return fail(ERR_LIMIT, "no room");
	*answer = (struct dns_answer){.name = name,
	                              .canonical_name = name,
	                              .type = type,
	                              .security = DNS_INSECURE,
	                              .final_security = DNS_INSECURE,
	                              .ede_code = DNS_NO_EDE,
	                              .ede_text = "",
	                              .why = ""};
	while (find_alias(resolver->context, &answer->canonical_name))
		if (++n_steps > DNS_CHAIN_MAX) {
			*ret_answer = dns_answer_failed(name, type, DNS_FAILURE_OTHER,
			                                "aliases in a circle", arena);
			return *ret_answer ? ok() : fail(ERR_LIMIT, "no room");
		}
	*ret_answer = find(resolver->context, answer->canonical_name, answer, arena);
	return *ret_answer ? ok() : fail(ERR_LIMIT, "no room");
}

/* --- cases --- */

struct suite {
	struct zone *zone;
	size_t n_cases, n_failed;
};

static int64_t zero(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static bool is_allowed(yaml_document_t *document, const yaml_node_t *results, const char *result)
{
	if (results->type == YAML_SCALAR_NODE)
		return slice_eq_str(scalar(results), result);
	for (const yaml_node_item_t *item = results->data.sequence.items.start;
	     item < results->data.sequence.items.top; item++)
		if (slice_eq_str(scalar(node_at(document, *item)), result))
			return true;
	return false;
}

static bool is_explained(const yaml_node_t *expected, const char *explanation)
{
	if (!expected)
		return true;
	if (slice_eq_str(scalar(expected), "DEFAULT"))
		return explanation[0] == 0;
	return slice_eq_str(scalar(expected), explanation);
}

static struct slice read_ip(struct slice text, uint8_t ip[16])
{
	char c_text[64];
	snprintf(c_text, sizeof(c_text), "%.*s", SLICE_FMT(text));
	if (inet_pton(AF_INET, c_text, ip) == 1)
		return slice_of(ip, 4);
	return inet_pton(AF_INET6, c_text, ip) == 1 ? slice_of(ip, 16) : slice_empty();
}

static void report(struct suite *suite, struct slice name, bool good,
                   const struct spf_result *result)
{
	suite->n_cases++;
	suite->n_failed += !good;
	printf("%s %zu - %.*s\n", good ? "ok" : "not ok", suite->n_cases, SLICE_FMT(name));
	if (!good)
		printf("# %s; explanation `%s`\n# %s\n", mailauth_result_name(result->result),
		       result->explanation, result->why);
}

static void run_case(struct suite *suite, yaml_document_t *document, struct slice name,
                     const yaml_node_t *test)
{
	static const struct clock clock = {zero, zero};
	static const struct dns_resolver_ops ops = {.lookup = zone_lookup};
	struct dns_resolver resolver = {.ops = &ops, .context = suite->zone};
	CLEANUP(arena_done) struct arena arena = {.budget = 4 * MAILAUTH_DNS_ARENA};
	struct mailauth_dns dns;
	struct spf_result result;
	uint8_t ip[16];
	struct slice mailfrom = scalar(member(document, test, "mailfrom"));
	size_t at = slice_rindex(mailfrom, '@');
	struct spf_args args = {
	        .client_ip = read_ip(scalar(member(document, test, "host")), ip),
	        .helo = scalar(member(document, test, "helo")),
	        .localpart = at == SIZE_MAX ? slice_empty() : slice_sub(mailfrom, 0, at),
	        .domain = at == SIZE_MAX ? mailfrom : slice_from(mailfrom, at + 1),
	        .receiver = slice_empty(),
	        .explain = true,
	};
	mailauth_dns_init(&dns, &resolver, &clock, 1000, &arena);
	spf_check(&dns, &args, SPF_MAILFROM, &result);
	bool good = is_allowed(document, member(document, test, "result"),
	                       mailauth_result_name(result.result)) &&
	            is_explained(member(document, test, "explanation"), result.explanation);
	report(suite, name, good, &result);
}

static void run_scenario(struct suite *suite, yaml_document_t *document)
{
	const yaml_node_t *root = yaml_document_get_root_node(document);
	const yaml_node_t *data = member(document, root, "zonedata");
	const yaml_node_t *tests = member(document, root, "tests");
	if (!data || !tests || tests->type != YAML_MAPPING_NODE)
		BUG("the suite is not what it was");
	arena_init(&suite->zone->arena, 16 * MIB);
	suite->zone->n = 0;
	read_zone(suite->zone, document, data);
	if (suite->zone->bad)
		BUG(suite->zone->bad);
	for (const yaml_node_pair_t *pair = tests->data.mapping.pairs.start;
	     pair < tests->data.mapping.pairs.top; pair++)
		run_case(suite, document, scalar(node_at(document, pair->key)),
		         node_at(document, pair->value));
	arena_done(&suite->zone->arena);
}

static void run_file(struct suite *suite, FILE *file)
{
	yaml_parser_t parser;
	yaml_document_t document;
	bool more = true;
	if (!yaml_parser_initialize(&parser))
		BUG("libyaml");
	yaml_parser_set_input_file(&parser, file);
	while (more) {
		if (!yaml_parser_load(&parser, &document))
			BUG(parser.problem ? parser.problem : "the suite is no YAML");
		more = yaml_document_get_root_node(&document) != NULL;
		if (more)
			run_scenario(suite, &document);
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
}

int main(void)
{
	struct suite suite = {.n_cases = 0};
	FILE *file = fopen(SUITE, "rb");
	if (!file) {
		printf("skipped: no SPF suite beside the checkout\n");
		return SKIPPED;
	}
	suite.zone = base_alloc(sizeof(*suite.zone));
	run_file(&suite, file);
	base_free(suite.zone);
	fclose(file);
	printf("1..%u\n", CASES);
	return suite.n_failed == 0 && suite.n_cases == CASES ? 0 : 1;
}
