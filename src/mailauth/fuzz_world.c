/* See fuzz_world.h. */
#include "mailauth/fuzz_world.h"

#include "mailauth/spf_macro.h"

#include <arpa/inet.h>

struct slice fuzz_word(struct slice *rest)
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

void fuzz_address(struct slice text, int family, void *bytes)
{
	char c_text[INET6_ADDRSTRLEN];
	snprintf(c_text, sizeof(c_text), "%.*s", SLICE_FMT(text));
	(void)inet_pton(family, c_text, bytes); /* what is none stays 0.0.0.0 */
}

static struct dns_record record_of(const struct fuzz_fact *fact, struct arena *arena)
{
	struct dns_record record = {.type = fact->type};
	struct slice rest = fact->data;
	if (fact->type == DNS_TYPE_A) {
		fuzz_address(rest, AF_INET, record.a);
	} else if (fact->type == DNS_TYPE_AAAA) {
		fuzz_address(rest, AF_INET6, record.aaaa);
	} else if (fact->type == DNS_TYPE_TXT) {
		record.txt.joined = rest;
	} else if (fact->type == DNS_TYPE_MX) {
		record.mx.preference = (uint16_t)fuzz_word(&rest).n;
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
	struct fuzz_world *world = resolver->context;
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
		const struct fuzz_fact *fact = &world->facts[i];
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

void fuzz_world_read(struct slice rest, struct fuzz_world *world)
{
	static const struct dns_resolver_ops ops = {.lookup = world_lookup};
	world->resolver = (struct dns_resolver){.ops = &ops, .context = world};
	for (bool more = rest.n > 0; more && world->n_facts < FUZZ_FACTS_MAX;) {
		struct slice line;
		more = slice_cut(rest, '\n', &line, &rest);
		struct fuzz_fact *fact = &world->facts[world->n_facts];
		fact->name = fuzz_word(&line);
		if (dns_type_parse(fuzz_word(&line), &fact->type)) {
			fact->data = line;
			world->n_facts++;
		}
	}
}
