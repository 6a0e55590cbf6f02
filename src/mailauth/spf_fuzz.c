/* A whole check in a world that the input makes up: lines of
 *
 *	budget ip helo localpart domain         the first; "-" is nothing, budget a letter: 'a' 2
 *KiB ... name TYPE data                          a record; "*" is every name; what is no type is
 *left out name TYPE !word                         servfail, bogus, nxdomain or nodata
 *
 * Whatever is published: the check ends within its limits, twice with the same result, and what it
 * says can be shown and written into a header.
 */
#include "mailauth/spf.h"
#include "mailauth/spf_macro.h"
#include "mailauth/spf_received.h"

#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define FACTS_MAX 400u
/* The record, ten terms with a lookup each and at most ten hosts of each, the names of the address
 * once, the explanation. */
#define LOOKUPS_MOST (1u + 10u * 11u + 11u + 1u)

struct fact {
	struct slice name, data;
	enum dns_type type;
};

struct world {
	struct dns_resolver resolver;
	struct fact facts[FACTS_MAX];
	size_t n_facts, n_lookups;
};

static struct slice next_word(struct slice *rest)
{
	struct slice word;
	(void)slice_cut(*rest, ' ', &word, rest);
	return slice_eq_str(word, "-") ? slice_empty() : word;
}

static struct dns_name name_of(struct slice text, struct arena *arena)
{
	struct spf_target target = {.name = dns_root};
	return is_ok(spf_target_parse(text, arena, &target)) ? target.name : dns_root;
}

static void set_address(struct slice text, int family, void *bytes)
{
	char c_text[INET6_ADDRSTRLEN];
	snprintf(c_text, sizeof(c_text), "%.*s", SLICE_FMT(text));
	(void)inet_pton(family, c_text, bytes); /* what is none stays 0.0.0.0 */
}

static struct dns_record record_of(const struct fact *fact, struct arena *arena)
{
	struct dns_record record = {.type = fact->type};
	struct slice rest = fact->data;
	if (fact->type == DNS_TYPE_A) {
		set_address(rest, AF_INET, record.a);
	} else if (fact->type == DNS_TYPE_AAAA) {
		set_address(rest, AF_INET6, record.aaaa);
	} else if (fact->type == DNS_TYPE_TXT) {
		record.txt.joined = rest;
	} else if (fact->type == DNS_TYPE_MX) {
		record.mx.preference = (uint16_t)next_word(&rest).n;
		record.mx.host = name_of(rest, arena);
	} else {
		record.name = name_of(rest, arena);
	}
	return record;
}

static struct status failed(const struct dns_answer *answer, enum dns_failure failure,
                            struct arena *arena, const struct dns_answer **ret_answer)
{
	*ret_answer = dns_answer_failed(answer->name, answer->type, failure, "as told", arena);
	return *ret_answer ? ok() : fail(ERR_LIMIT, "no room");
}

static struct status world_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                  enum dns_type type, int timeout_ms, struct arena *arena,
                                  const struct dns_answer **ret_answer)
{
	struct world *world = resolver->context;
	struct dns_answer *answer = ARENA_NEW(arena, struct dns_answer);
	struct dns_record *records = ARENA_ARRAY(arena, world->n_facts, struct dns_record);
	(void)timeout_ms;
	world->n_lookups++;
	if (!answer || !records)
		return fail(ERR_LIMIT, "no room");
	*answer = (struct dns_answer){.name = name,
	                              .canonical_name = name,
	                              .type = type,
	                              .records = records,
	                              .security = DNS_INSECURE,
	                              .ede_code = DNS_NO_EDE,
	                              .ede_text = "",
	                              .why = ""};
	answer->outcome = DNS_NODATA;
	for (size_t i = 0; i < world->n_facts; i++) {
		const struct fact *fact = &world->facts[i];
		if (fact->type != type ||
		    !(slice_eq_str(fact->name, "*") || slice_ieq(fact->name, dns_name_slice(name))))
			continue;
		if (slice_eq_str(fact->data, "!servfail"))
			return failed(answer, DNS_FAILURE_TEMPORARY, arena, ret_answer);
		if (slice_eq_str(fact->data, "!bogus"))
			return failed(answer, DNS_FAILURE_AUTHENTICATION, arena, ret_answer);
		if (slice_eq_str(fact->data, "!nxdomain"))
			answer->outcome = DNS_NXDOMAIN;
		else if (!slice_eq_str(fact->data, "!nodata"))
			records[answer->n_records++] = record_of(fact, arena);
	}
	if (answer->n_records > 0)
		answer->outcome = DNS_FOUND;
	*ret_answer = answer;
	return arena_failed(arena) ? fail(ERR_LIMIT, "no room") : ok();
}

static void read_world(struct slice rest, struct world *world)
{
	static const struct dns_resolver_ops ops = {.lookup = world_lookup};
	world->resolver = (struct dns_resolver){.ops = &ops, .context = world};
	for (bool more = rest.n > 0; more && world->n_facts < FACTS_MAX;) {
		struct slice line;
		more = slice_cut(rest, '\n', &line, &rest);
		struct fact *fact = &world->facts[world->n_facts];
		fact->name = next_word(&line);
		if (dns_type_parse(next_word(&line), &fact->type)) {
			fact->data = line;
			world->n_facts++;
		}
	}
}

static void check_text(const char *text)
{
	ASSERT(text);
	for (; *text; text++)
		ASSERT(ascii_is_print((uint8_t)*text));
}

static void check_field(const struct spf_args *args, const struct spf_result *result)
{
	struct buf field;
	buf_init(&field, SPF_RECEIVED_MAX);
	ASSERT(is_ok(spf_received_print(args, result, "none", &field)));
	size_t column = 0;
	for (size_t i = 0; i < field.n; i++) {
		column = field.p[i] == '\n' ? 0 : column + 1;
		ASSERT(column <= 999 && field.p[i] != 0);
		if (field.p[i] == '\r')
			ASSERT(field.p[i + 1] == '\n' &&
			       (i + 2 == field.n || field.p[i + 2] == '\t'));
		else if (field.p[i] == '\n')
			ASSERT(i > 0 && field.p[i - 1] == '\r');
	}
	buf_done(&field);
}

static void check_result(const struct mailauth_dns *dns, const struct spf_args *args,
                         const struct spf_result *result)
{
	bool is_error =
	        result->result == MAILAUTH_PERMERROR || result->result == MAILAUTH_TEMPERROR;
	ASSERT(result->result != MAILAUTH_POLICY && result->why[0]);
	ASSERT(is_error == (result->problem[0] != 0));
	ASSERT(result->explanation[0] == 0 || result->result == MAILAUTH_FAIL);
	ASSERT(strlen(result->explanation) <= SPF_EXPLANATION_MAX);
	ASSERT(result->n_lookup_terms <= SPF_LOOKUP_TERMS_MAX);
	ASSERT(result->n_void_terms <= SPF_VOID_TERMS_MAX || is_error || result->mechanism[0] != 0);
	ASSERT(result->n_path <= SPF_DEPTH_MAX);
	for (size_t i = 0; i < result->n_path; i++) {
		check_text(result->path[i].domain);
		check_text(result->path[i].directive);
	}
	check_text(result->why);
	check_text(result->problem);
	check_text(result->explanation);
	check_text(result->mechanism);
	check_text(result->domain);
	struct mailauth_evidence evidence = spf_evidence(dns, result);
	ASSERT(result->first_lookup + evidence.n <= dns->evidence.n);
	check_field(args, result);
}

static int64_t never(const struct clock *clock)
{
	(void)clock;
	return 1;
}

static enum mailauth_result check(struct world *world, const struct spf_args *args,
                                  enum spf_identity identity, size_t budget)
{
	static const struct clock clock = {never, never};
	struct arena arena;
	struct mailauth_dns dns;
	struct spf_result result;
	arena_init(&arena, budget);
	mailauth_dns_init(&dns, &world->resolver, &clock, 1000, &arena);
	world->n_lookups = 0;
	spf_check(&dns, args, identity, &result);
	ASSERT(world->n_lookups <= LOOKUPS_MOST);
	check_result(&dns, args, &result);
	arena_done(&arena);
	return result.result;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct world world;
	struct slice line, rest;
	uint8_t ip[16] = {0};
	(void)slice_cut(slice_of(p, n), '\n', &line, &rest);
	world = (struct world){.n_facts = 0};
	read_world(rest, &world);
	struct slice budget = next_word(&line), address = next_word(&line);
	bool v6 = slice_index(address, ':') != SIZE_MAX;
	set_address(address, v6 ? AF_INET6 : AF_INET, ip);
	struct spf_args args = {.client_ip = slice_of(ip, v6 ? 16 : 4), .explain = true};
	args.helo = next_word(&line);
	args.localpart = next_word(&line);
	args.domain = line;
	args.receiver = SLICE("mx.example");
	size_t room = budget.n > 0 && ascii_is_alpha(budget.p[0])
	                      ? (size_t)1024 << (ascii_lower(budget.p[0]) - 'a') % 12
	                      : MAILAUTH_DNS_ARENA;
	for (unsigned i = 0; i < 2; i++) {
		enum spf_identity identity = i == 0 ? SPF_MAILFROM : SPF_HELO;
		enum mailauth_result result = check(&world, &args, identity, room);
		ASSERT(result == check(&world, &args, identity, room));
	}
	return 0;
}
