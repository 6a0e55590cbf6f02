/* Faults as an axis: the n-th lookup fails in each way, the memory ends at each step. Whatever
 * happens, a check ends, says why, and never passes what it could not look up.
 */
#include "mailauth/spf.h"
#include "mailauth/spf_received.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static int64_t now_ms;

static int64_t test_now(const struct clock *clock)
{
	(void)clock;
	return now_ms;
}

static const struct clock test_clock = {test_now, test_now};

static const char facts[] =
        "a.example TXT \"v=spf1 mx include:b.example a:%{p}.x.example exists:e.example "
        "redirect=c.example\"\n"
        "a.example MX 1 m1.example\n"
        "a.example MX 2 m2.example\n"
        "m1.example A 198.51.100.1\n"
        "m2.example A 198.51.100.2\n"
        "b.example TXT \"v=spf1 ptr:other.example a:m1.example -all\"\n"
        "1.2.0.192.in-addr.arpa PTR h.example\n"
        "h.example A 192.0.2.1\n"
        "h.example.x.example A 198.51.100.3\n"
        "c.example TXT \"v=spf1 ip4:198.51.100.9 -all exp=x.c.example\"\n"
        "x.c.example TXT \"%{i} %{p}\"\n"
        "p.example TXT \"v=spf1 ptr:h.example -all\"\n"
        "q.example TXT \"v=spf1 exists:%{p}.x.example -all\"\n"
        "r.example TXT \"v=spf1 redirect=%{p}.r.example\"\n"
        "h.example.r.example TXT \"v=spf1 +all\"\n"
        "unknown.r.example TXT \"v=spf1\" \"no\"\n";

enum way { TIMES_OUT, IS_BOGUS, IS_REFUSED, IS_NODATA, IS_NXDOMAIN, IS_LATE, HAS_NO_MEMORY, WAYS };

struct faulty {
	struct dns_resolver resolver;
	struct dns_table table;
	size_t at, n_lookups;
	enum way way;
};

static struct status fault(enum way way, struct dns_name name, enum dns_type type,
                           struct arena *arena, const struct dns_answer **ret_answer)
{
	static const enum dns_failure failures[] = {
	        DNS_FAILURE_TEMPORARY, DNS_FAILURE_AUTHENTICATION, DNS_FAILURE_OTHER,
	        DNS_FAILURE_NONE,      DNS_FAILURE_NONE,           DNS_FAILURE_TEMPORARY,
	};
	if (way == HAS_NO_MEMORY && !arena_alloc(arena, SIZE_MAX / 2))
		return fail(ERR_LIMIT, "no room for an answer");
	if (way == IS_LATE)
		now_ms += 2000;
	struct dns_answer *answer =
	        dns_answer_failed(name, type, failures[way], "a fault of the test", arena);
	if (!answer)
		return fail(ERR_LIMIT, "no room for an answer");
	if (way == IS_NODATA || way == IS_NXDOMAIN)
		answer->outcome = way == IS_NODATA ? DNS_NODATA : DNS_NXDOMAIN;
	*ret_answer = answer;
	return ok();
}

static struct status faulty_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                   enum dns_type type, int timeout_ms, struct arena *arena,
                                   const struct dns_answer **ret_answer)
{
	struct faulty *f = resolver->context;
	if (f->n_lookups++ == f->at)
		return fault(f->way, name, type, arena, ret_answer);
	return dns_lookup_name(&f->table.resolver, name, type, timeout_ms, arena, ret_answer);
}

static void set_up(struct faulty *f)
{
	static const struct dns_resolver_ops ops = {.lookup = faulty_lookup};
	*f = (struct faulty){.resolver = {.ops = &ops, .context = f}, .at = SIZE_MAX};
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
}

/* What holds of every result. */
static void look(const struct spf_args *args, const struct spf_result *result,
                 const struct mailauth_dns *dns)
{
	struct buf field;
	struct mailauth_evidence evidence = spf_evidence(dns, result);
	assert_true(result->why[0]);
	bool is_error =
	        result->result == MAILAUTH_PERMERROR || result->result == MAILAUTH_TEMPERROR;
	assert_int_equal(is_error, result->problem[0] != 0);
	assert_true(result->n_path == 0 || result->path);
	buf_init(&field, SPF_RECEIVED_MAX);
	assert_true(
	        is_ok(spf_received_print(args, result, mailauth_evidence_word(&evidence), &field)));
	buf_done(&field);
}

/* The result's texts are gone when it is back. */
static enum mailauth_result check(struct faulty *f, const char *domain, size_t budget,
                                  bool *ret_explained)
{
	static const uint8_t ip[] = {192, 0, 2, 1};
	struct spf_args args = {
	        .client_ip = slice_of(ip, 4),
	        .helo = SLICE("h.example"),
	        .localpart = SLICE("u"),
	        .domain = slice_str(domain),
	        .receiver = SLICE("r.example"),
	        .explain = true,
	};
	struct arena arena;
	struct mailauth_dns dns;
	struct spf_result result;
	now_ms = 0;
	f->n_lookups = 0;
	arena_init(&arena, budget);
	mailauth_dns_init(&dns, &f->resolver, &test_clock, 1000, &arena);
	spf_check(&dns, &args, SPF_MAILFROM, &result);
	look(&args, &result, &dns);
	*ret_explained = result.explanation[0] != 0;
	arena_done(&arena);
	return result.result;
}

static void lookups_fail_one_by_one(void **state)
{
	struct faulty f;
	bool explained;
	(void)state;
	set_up(&f);
	assert_int_equal(check(&f, "a.example", MAILAUTH_DNS_ARENA, &explained), MAILAUTH_FAIL);
	assert_true(explained);
	size_t n_lookups = f.n_lookups;
	assert_in_range(n_lookups, 10, 20);
	for (unsigned way = 0; way < WAYS; way++)
		for (f.at = 0; f.at < n_lookups; f.at++) {
			f.way = (enum way)way;
			enum mailauth_result result =
			        check(&f, "a.example", MAILAUTH_DNS_ARENA, &explained);
			bool is_absence = way == IS_NODATA || way == IS_NXDOMAIN;
			/* only the lookups of ptr, of %{p} and of the explanation may fail */
			if (is_absence)
				assert_true(result == MAILAUTH_FAIL || result == MAILAUTH_NONE ||
				            result == MAILAUTH_PERMERROR);
			else
				assert_true(result == MAILAUTH_TEMPERROR ||
				            (result == MAILAUTH_FAIL && f.at >= 5));
		}
	dns_table_done(&f.table);
}

/* A DNS error makes a name of ptr one that does not count (section 5.5); that there was no more
 * time or memory to ask is another thing. */
static void names_that_could_not_be_asked_for(void **state)
{
	static const enum mailauth_result expected[WAYS] = {
	        [TIMES_OUT] = MAILAUTH_FAIL,          [IS_BOGUS] = MAILAUTH_FAIL,
	        [IS_REFUSED] = MAILAUTH_FAIL,         [IS_NODATA] = MAILAUTH_FAIL,
	        [IS_NXDOMAIN] = MAILAUTH_FAIL,        [IS_LATE] = MAILAUTH_TEMPERROR,
	        [HAS_NO_MEMORY] = MAILAUTH_TEMPERROR,
	};
	static const char *const domains[] = {"p.example", "q.example", "r.example"};
	struct faulty f;
	bool explained;
	(void)state;
	set_up(&f);
	for (size_t i = 0; i < N_ELEMENTS(domains); i++) {
		f.at = SIZE_MAX;
		assert_int_equal(check(&f, domains[i], MAILAUTH_DNS_ARENA, &explained),
		                 MAILAUTH_PASS);
		for (unsigned way = 0; way < WAYS; way++)
			for (f.at = 1; f.at <= 2; f.at++) {
				f.way = (enum way)way;
				enum mailauth_result result =
				        check(&f, domains[i], MAILAUTH_DNS_ARENA, &explained);
				if (strcmp(domains[i], "r.example") == 0 &&
				    expected[way] == MAILAUTH_FAIL)
					assert_int_equal(result, MAILAUTH_PERMERROR);
				else
					assert_int_equal(result, expected[way]);
			}
	}
	dns_table_done(&f.table);
}

static void memory_ends_everywhere(void **state)
{
	static const struct {
		const char *domain;
		enum mailauth_result result;
	} cases[] = {
	        {"a.example", MAILAUTH_FAIL},
	        {"p.example", MAILAUTH_PASS},
	        {"q.example", MAILAUTH_PASS},
	        {"r.example", MAILAUTH_PASS},
	};
	struct faulty f;
	(void)state;
	set_up(&f);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		size_t n_good = 0, n_bad = 0;
		bool explained;
		for (size_t budget = 0; n_good < 40; budget += 16) {
			enum mailauth_result result =
			        check(&f, cases[i].domain, budget, &explained);
			assert_true(result == cases[i].result || result == MAILAUTH_TEMPERROR);
			n_bad += result == MAILAUTH_TEMPERROR;
			/* the explanation comes last, and the result does not rest on it */
			n_good +=
			        result == cases[i].result && (explained || result == MAILAUTH_PASS);
		}
		assert_true(n_bad > 100);
	}
	dns_table_done(&f.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lookups_fail_one_by_one),
	        cmocka_unit_test(names_that_could_not_be_asked_for),
	        cmocka_unit_test(memory_ends_everywhere),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
