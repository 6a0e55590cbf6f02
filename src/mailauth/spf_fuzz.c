/* A whole check in a world that the input makes up (fuzz_world.h), behind a line of
 *
 *	budget ip helo localpart domain         "-" is nothing, budget a letter: 'a' 2 KiB, ...
 *
 * Whatever is published: the check ends within its limits, twice with the same result, and what it
 * says can be shown and written into a header.
 */
#include "mailauth/fuzz_world.h"
#include "mailauth/spf.h"
#include "mailauth/spf_macro.h"
#include "mailauth/spf_received.h"

#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The record, ten terms with a lookup each and at most ten hosts of each, the names of the address
 * once, the explanation. */
#define LOOKUPS_MOST (1u + 10u * 11u + 11u + 1u)

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
			       (i + 2 == field.n || field.p[i + 2] == ' ' ||
			        field.p[i + 2] == '\t'));
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

static enum mailauth_result check(struct fuzz_world *world, const struct spf_args *args,
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
	static struct fuzz_world world;
	struct slice line, rest;
	uint8_t ip[16] = {0};
	(void)slice_cut(slice_of(p, n), '\n', &line, &rest);
	world = (struct fuzz_world){.n_facts = 0};
	fuzz_world_read(rest, &world);
	struct slice budget = fuzz_word(&line), address = fuzz_word(&line);
	bool v6 = slice_index(address, ':') != SIZE_MAX;
	fuzz_address(address, v6 ? AF_INET6 : AF_INET, ip);
	struct spf_args args = {.client_ip = slice_of(ip, v6 ? 16 : 4), .explain = true};
	args.helo = fuzz_word(&line);
	args.localpart = fuzz_word(&line);
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
