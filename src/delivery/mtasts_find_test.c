/* From a domain to its policy: DNS facts, a policy host that says what the test wants, a store, a
 * clock. */
#include "delivery/mtasts_find.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DAY 86400
#define T0  1700000000

#define BODY(mode) "version: STSv1\nmode: " mode "\nmx: mx.example.com\nmax_age: 604800\n"

static const char facts[] = "_mta-sts.example.com TXT \"v=STSv1; id=1;\"\n"
                            "mta-sts.example.com A 192.0.2.1\n"
                            "mta-sts.example.com AAAA 2001:db8::1\n"
                            "_mta-sts.nohost.example TXT \"v=STSv1; id=1;\"\n"
                            "_mta-sts.deadhost.example TXT \"v=STSv1; id=1;\"\n"
                            "mta-sts.deadhost.example A servfail\n"
                            "_mta-sts.xn--bcher-kva.example TXT \"v=STSv1; id=9;\"\n"
                            "mta-sts.xn--bcher-kva.example A 192.0.2.2\n"
                            "alias.example CNAME example.com\n" /* has none of its own */
                            "example.com A 192.0.2.9\n"
                            "_mta-sts.forged.example TXT bogus\n";

struct kept {
	char domain[256];
	struct buf form;
};

struct fixture {
	struct dns_table table;
	struct arena arena;
	struct clock clock; /* first what clock_of needs */
	int64_t now_s;
	/* the policy host */
	struct https_fetcher fetcher;
	enum https_failure failure;
	const char *body;
	unsigned n_fetches;
	char host[256];
	size_t n_ips;
	/* the store */
	struct mtasts_store store;
	struct kept kept[4];
	unsigned n_puts;
	bool store_fails;
	struct mtasts_query query;
};

static int64_t now_us(const struct clock *clock)
{
	const struct fixture *f =
	        (const void *)((const char *)clock - offsetof(struct fixture, clock));
	return f->now_s * 1000000;
}

static int64_t monotonic_ms(const struct clock *clock)
{
	return now_us(clock) / 1000;
}

static void answer(void *context, const struct https_request *request, struct arena *arena,
                   struct https_response *response)
{
	struct fixture *f = context;
	*response = (struct https_response){.failure = f->failure, .body = slice_empty()};
	f->n_fetches++;
	f->n_ips = request->n_ips;
	snprintf(f->host, sizeof(f->host), "%s", request->host);
	assert_string_equal(request->path, "/.well-known/mta-sts.txt");
	assert_string_equal(request->media_type, "text/plain");
	assert_int_equal(request->body_max, 65536);
	assert_int_equal(request->timeout_ms, 60000);
	if (f->failure == HTTPS_OK)
		response->body = arena_copy(arena, slice_str(f->body));
	else
		snprintf(response->why, sizeof(response->why), "as the test wants");
}

static struct kept *slot_of(struct fixture *f, const char *domain)
{
	size_t i = 0;
	while (*f->kept[i].domain && strcmp(f->kept[i].domain, domain) != 0)
		i++;
	assert_true(i < N_ELEMENTS(f->kept));
	return &f->kept[i];
}

static struct status get(void *context, const char *domain, struct arena *arena,
                         struct slice *ret_form)
{
	struct kept *kept = slot_of(context, domain);
	if (((const struct fixture *)context)->store_fails)
		return (fail)(ERR_TIMEOUT, "as the test wants");
	if (!*kept->domain)
		return (fail)(ERR_NOT_FOUND, "nothing is kept");
	*ret_form = arena_copy(arena, buf_slice(&kept->form));
	return ok();
}

static void put(void *context, const char *domain, struct slice form)
{
	struct fixture *f = context;
	struct kept *kept = slot_of(f, domain);
	f->n_puts++;
	snprintf(kept->domain, sizeof(kept->domain), "%s", domain);
	buf_reset(&kept->form);
	buf_add(&kept->form, form);
}

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	*state = f;
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	arena_init(&f->arena, MTASTS_ARENA);
	f->clock = (struct clock){.now_us = now_us, .monotonic_ms = monotonic_ms};
	f->now_s = T0;
	f->body = BODY("enforce");
	f->fetcher = (struct https_fetcher){.fetch = answer, .context = f};
	f->store = (struct mtasts_store){.get = get, .put = put, .context = f};
	for (size_t i = 0; i < N_ELEMENTS(f->kept); i++)
		buf_init(&f->kept[i].form, MTASTS_ENTRY_MAX);
	f->query = (struct mtasts_query){.resolver = &f->table.resolver,
	                                 .clock = &f->clock,
	                                 .store = &f->store,
	                                 .fetcher = &f->fetcher};
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	dns_table_done(&f->table);
	arena_done(&f->arena);
	for (size_t i = 0; i < N_ELEMENTS(f->kept); i++)
		buf_done(&f->kept[i].form);
	base_free(f);
	return 0;
}

static struct mtasts_found find(struct fixture *f, const char *domain)
{
	struct mtasts_found found;
	arena_reset(&f->arena);
	f->query.domain = slice_str(domain);
	assert_true(is_ok(mtasts_find(&f->query, &f->arena, &found)));
	assert_true(found.n_steps > 0);
	assert_string_equal(found.why, found.steps[found.n_steps - 1]);
	return found;
}

static void a_policy_is_fetched_once_and_refreshed_in_time(void **state)
{
	struct fixture *f = *state;
	struct mtasts_found found = find(f, "Example.COM");
	assert_int_equal(found.use, MTASTS_USE_POLICY);
	assert_int_equal(found.entry.policy.mode, MTASTS_MODE_ENFORCE);
	assert_true(found.fetch.made && found.fetch.result == DELIVERY_TLS_SUCCESS);
	assert_string_equal(found.fetch.url, "https://mta-sts.example.com/.well-known/mta-sts.txt");
	assert_string_equal(f->host, "mta-sts.example.com");
	assert_int_equal(f->n_ips, 2);
	found = find(f, "example.com");
	assert_int_equal(found.use, MTASTS_USE_POLICY);
	assert_false(found.fetch.made || found.refresh_due);
	assert_int_equal(found.entry.policy.n_mx, 1);
	f->now_s += DAY;
	found = find(f, "example.com");
	assert_true(found.refresh_due && !found.fetch.made);
	f->body = BODY("testing");
	assert_true(is_ok(mtasts_refresh(&f->query, &f->arena, &found)));
	assert_true(found.fetch.made && !found.refresh_due);
	found = find(f, "example.com");
	assert_int_equal(found.entry.policy.mode, MTASTS_MODE_TESTING);
	assert_int_equal(f->n_fetches, 2);
	assert_int_equal(f->n_puts, 2);
}

static const struct failure_case {
	enum https_failure failure;
	const char *body;
	enum delivery_tls_result result;
} failures[] = {
        {HTTPS_UNREACHABLE, NULL, DELIVERY_TLS_STS_POLICY_FETCH_ERROR},
        {HTTPS_TIMEOUT, NULL, DELIVERY_TLS_STS_POLICY_FETCH_ERROR},
        {HTTPS_TLS, NULL, DELIVERY_TLS_STS_POLICY_FETCH_ERROR},
        {HTTPS_CERTIFICATE, NULL, DELIVERY_TLS_STS_WEBPKI_INVALID},
        {HTTPS_PROTOCOL, NULL, DELIVERY_TLS_STS_POLICY_FETCH_ERROR},
        {HTTPS_REDIRECT, NULL, DELIVERY_TLS_STS_POLICY_FETCH_ERROR},
        {HTTPS_STATUS, NULL, DELIVERY_TLS_STS_POLICY_FETCH_ERROR},
        {HTTPS_LOCAL, NULL, DELIVERY_TLS_STS_POLICY_FETCH_ERROR},
        {HTTPS_TYPE, NULL, DELIVERY_TLS_STS_POLICY_INVALID},
        {HTTPS_ENCODING, NULL, DELIVERY_TLS_STS_POLICY_INVALID},
        {HTTPS_SIZE, NULL, DELIVERY_TLS_STS_POLICY_INVALID},
        {HTTPS_OK, "", DELIVERY_TLS_STS_POLICY_INVALID},
        {HTTPS_OK, "<html>", DELIVERY_TLS_STS_POLICY_INVALID},
};

static void failures_have_their_names_and_lose_nothing(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < N_ELEMENTS(failures); i++) {
		*f->kept[0].domain = 0;
		f->failure = failures[i].failure;
		f->body = failures[i].body;
		f->n_fetches = 0;
		struct mtasts_found found = find(f, "example.com");
		assert_int_equal(found.use, MTASTS_USE_NOTHING);
		assert_int_equal(found.fetch.result, failures[i].result);
		assert_true(*found.fetch.why);
		found = find(f, "example.com"); /* not at once again: RFC 8461 section 3.3 */
		assert_false(found.fetch.made);
		/* With a policy that is kept, the same changes nothing. */
		f->failure = HTTPS_OK;
		f->body = BODY("enforce");
		f->now_s += 300;
		assert_int_equal(find(f, "example.com").use, MTASTS_USE_POLICY);
		f->failure = failures[i].failure;
		f->body = failures[i].body;
		f->now_s += 3 * DAY;
		found = find(f, "example.com");
		assert_true(found.refresh_due);
		assert_true(is_ok(mtasts_refresh(&f->query, &f->arena, &found)));
		assert_int_equal(found.fetch.result, failures[i].result);
		found = find(f, "example.com");
		assert_int_equal(found.use, MTASTS_USE_POLICY);
		assert_false(found.refresh_due);
		assert_int_equal(f->n_fetches, 3);
	}
}

static void a_policy_host_without_addresses_is_a_fetch_error(void **state)
{
	struct fixture *f = *state;
	static const char *const domains[] = {"nohost.example", "deadhost.example"};
	for (size_t i = 0; i < N_ELEMENTS(domains); i++) {
		struct mtasts_found found = find(f, domains[i]);
		assert_int_equal(found.fetch.result, DELIVERY_TLS_STS_POLICY_FETCH_ERROR);
		assert_int_equal(found.use, MTASTS_USE_NOTHING);
	}
	assert_int_equal(f->n_fetches, 0);
}

static void what_announces_nothing_is_not_fetched(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *domain;
		enum mtasts_use use;
	} cases[] = {
	        {"none.example", MTASTS_USE_NOTHING},
	        {"alias.example", MTASTS_USE_NOTHING}, /* not that of its target */
	        {"sub.example.com", MTASTS_USE_NOTHING},
	        {"[192.0.2.1]", MTASTS_USE_NOTHING},
	        {"a..b", MTASTS_USE_NOTHING},
	        {"forged.example", MTASTS_USE_LATER},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(find(f, cases[i].domain).use, cases[i].use);
	assert_int_equal(f->n_fetches, 0);
	assert_int_equal(f->n_puts, 0);
}

static void names_of_all_scripts_are_asked_in_ascii(void **state)
{
	struct fixture *f = *state;
	struct mtasts_found found = find(f, "B\xc3\xbc"
	                                    "cher.example");
	assert_int_equal(found.use, MTASTS_USE_POLICY);
	assert_string_equal(found.entry.domain, "xn--bcher-kva.example");
	assert_string_equal(f->host, "mta-sts.xn--bcher-kva.example");
}

static void mode_none_is_kept_and_not_applied(void **state)
{
	struct fixture *f = *state;
	f->body = "version: STSv1\nmode: none\nmax_age: 1000\n";
	assert_int_equal(find(f, "example.com").use, MTASTS_USE_NOTHING);
	assert_int_equal(find(f, "example.com").use, MTASTS_USE_NOTHING);
	assert_int_equal(f->n_fetches, 1);
}

static void a_policy_without_time_holds_for_the_mail_it_was_fetched_for(void **state)
{
	struct fixture *f = *state;
	f->body = "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 0\n";
	assert_int_equal(find(f, "example.com").use, MTASTS_USE_POLICY);
	f->now_s++;
	assert_int_equal(find(f, "example.com").use, MTASTS_USE_POLICY);
	assert_int_equal(f->n_fetches, 2);
}

static void a_damaged_store_costs_a_fetch(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"", "nonsense",
	                                  "mailkeep-mtasts 1\ndomain other.example\npolicy a "
	                                  "1700000000\nfailed - 0 0\n\n" BODY("none")};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		put(f, "example.com", slice_str(bad[i]));
		struct mtasts_found found = find(f, "example.com");
		assert_true(found.fetch.made && found.use == MTASTS_USE_POLICY);
	}
	f->query.store = NULL;
	assert_true(find(f, "example.com").fetch.made);
	assert_true(find(f, "example.com").fetch.made);
}

static void a_small_arena_is_a_limit(void **state)
{
	struct fixture *f = *state;
	size_t n_good = 0;
	f->query.domain = SLICE("example.com");
	f->query.store = NULL;
	for (size_t budget = 0; budget < 60000; budget += budget < 20000 ? 64 : 1024) {
		struct arena arena;
		struct mtasts_found found;
		arena_init(&arena, budget);
		struct status status = mtasts_find(&f->query, &arena, &found);
		assert_true(status.code == ERR_LIMIT || is_ok(status));
		n_good += is_ok(status);
		arena_done(&arena);
	}
	assert_true(n_good > 0);
}

/* Section 5.1: a policy that holds is not passed over because nobody can read it just now. */
static void no_mail_goes_while_the_store_cannot_tell(void **state)
{
	struct fixture *f = *state;
	f->store_fails = true;
	struct mtasts_found found = find(f, "example.com");
	assert_int_equal(found.use, MTASTS_USE_LATER);
	assert_int_equal(f->n_fetches, 0);
	f->store_fails = false;
	found = find(f, "example.com");
	assert_int_equal(found.use, MTASTS_USE_POLICY);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        WITH_FIXTURE(a_policy_is_fetched_once_and_refreshed_in_time),
	        WITH_FIXTURE(failures_have_their_names_and_lose_nothing),
	        WITH_FIXTURE(a_policy_host_without_addresses_is_a_fetch_error),
	        WITH_FIXTURE(what_announces_nothing_is_not_fetched),
	        WITH_FIXTURE(names_of_all_scripts_are_asked_in_ascii),
	        WITH_FIXTURE(mode_none_is_kept_and_not_applied),
	        WITH_FIXTURE(a_policy_without_time_holds_for_the_mail_it_was_fetched_for),
	        WITH_FIXTURE(a_damaged_store_costs_a_fetch),
	        WITH_FIXTURE(no_mail_goes_while_the_store_cannot_tell),
	        WITH_FIXTURE(a_small_arena_is_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
