/* Whole messages through all checks: what stands in the header afterwards, what the policy is
 * given, and that the ways to the same end (cached or not, beside or not, in pieces) lead there. */
#include "mailauth/inspection.h"

#include "dns/table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

/* ---- a house around it ---- */

static int64_t test_now_us(const struct clock *clock)
{
	(void)clock;
	return 1790000000000000;
}

static int64_t test_monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return 1000;
}

static const struct clock test_clock = {test_now_us, test_monotonic_ms};

struct job {
	pthread_t thread;
	void (*run)(void *argument);
	void *argument;
};

static void *run_job(void *argument)
{
	struct job *job = argument;
	job->run(job->argument);
	return NULL;
}

static bool start_thread(const struct inspection_runner *runner, void (*run)(void *argument),
                         void *argument, void **ret_handle)
{
	struct job *job = base_alloc(sizeof(*job));
	(void)runner;
	*job = (struct job){.run = run, .argument = argument};
	assert_int_equal(pthread_create(&job->thread, NULL, run_job, job), 0);
	*ret_handle = job;
	return true;
}

static void wait_thread(const struct inspection_runner *runner, void *handle)
{
	struct job *job = handle;
	(void)runner;
	pthread_join(job->thread, NULL);
	base_free(job);
}

static bool start_never(const struct inspection_runner *runner, void (*run)(void *argument),
                        void *argument, void **ret_handle)
{
	(void)runner, (void)run, (void)argument, (void)ret_handle;
	return false;
}

static const struct inspection_runner threads = {start_thread, wait_thread};
static const struct inspection_runner busy = {start_never, wait_thread};

struct fixture {
	struct dns_table table;
	struct dns_cache *cache;
	struct dnsbl_state *lists;
	struct inspection_env env;
};

#define ED25519_KEY "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" /* RFC 8463 appendix A.2 */

static const char *const address_lists[] = {"bl.example"};
static const char *const domain_lists[] = {"dbl.example"};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table,
	                    "1.2.0.192.in-addr.arpa PTR mx.football.example.com secure\n"
	                    "mx.football.example.com A 192.0.2.1 secure\n"
	                    "football.example.com TXT \"v=spf1 ip4:192.0.2.1 -all\" secure\n"
	                    "brisbane._domainkey.football.example.com TXT \"v=DKIM1; k=ed25519; "
	                    "p=" ED25519_KEY "\"\n"
	                    "_dmarc.football.example.com TXT \"v=DMARC1; p=reject\" secure\n"
	                    "9.2.0.192.bl.example A 127.0.0.2\n"
	                    "9.2.0.192.bl.example TXT \"see https://bl.example/\"\n"
	                    "2.0.0.127.bl.example A 127.0.0.2\n"
	                    "bad.example.dbl.example A 127.0.1.2\n"
	                    "test.dbl.example A 127.0.0.2\n");
	f->cache = dns_cache_new(DNS_CACHE_SIZE_DEFAULT, (struct hash_key){3, 4}, &test_clock);
	f->lists = dnsbl_state_new(&test_clock);
	f->env = (struct inspection_env){
	        .resolver = &f->table.resolver,
	        .cache = f->cache,
	        .clock = &test_clock,
	        .runner = &threads,
	        .lists = f->lists,
	        .timeout_ms = 10000,
	        .address_lists = address_lists,
	        .n_address_lists = 1,
	        .domain_lists = domain_lists,
	        .n_domain_lists = 1,
	        .receiver = "mx.example.org",
	};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	dnsbl_state_free(f->lists);
	dns_cache_free(f->cache);
	dns_table_done(&f->table);
	base_free(f);
	return 0;
}

/* ---- messages ---- */

/* RFC 8463 appendix A.3, with its Ed25519 signature alone. */
static const char signed_header[] =
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
        " d=football.example.com; i=@football.example.com;\r\n"
        " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
        " subject : date : message-id : from : subject : date;\r\n"
        " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
        " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
        "From: Joe SixPack <joe@football.example.com>\r\n"
        "To: Suzie Q <suzie@shopping.example.net>\r\n"
        "Subject: Is dinner ready?\r\n"
        "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
        "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
        "\r\n";
static const char signed_body[] =
        "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

struct outcome {
	struct buf authres, spf;
	char note[200];
	struct policy_decision decision;
	enum policy_action action;
	char reply[POLICY_REPLY_MAX];
	char checks[4000];
};

static void list_checks(const struct inspection *i, struct outcome *o)
{
	struct inspection_check checks[INSPECTION_CHECKS_MAX];
	size_t n = inspection_checks(i, checks, INSPECTION_CHECKS_MAX), at = 0;
	for (size_t c = 0; c < n && at < sizeof(o->checks); c++)
		at += (size_t)snprintf(o->checks + at, sizeof(o->checks) - at, "%s %s %s (%s)\n",
		                       checks[c].method, checks[c].result, checks[c].about,
		                       mailauth_evidence_word(&checks[c].evidence));
}

static void inspect(const struct inspection_env *env, const uint8_t address[4], const char *helo,
                    const char *localpart, const char *domain, const char *header, const char *body,
                    size_t piece, struct outcome *o)
{
	struct inspection_client *client = inspection_client_new(env, slice_of(address, 4));
	const struct inspection_envelope envelope = {.helo = slice_str(helo),
	                                             .localpart = slice_str(localpart),
	                                             .domain = slice_str(domain)};
	const struct policy_settings settings = {.listed = POLICY_REFUSE};
	struct inspection *i = inspection_new(env, client, &envelope);
	struct slice rest = slice_str(body);
	struct arena arena;
	inspection_header(i, slice_str(header), 1528637909);
	for (; rest.n > 0; rest = slice_from(rest, piece))
		inspection_body(i, slice_sub(rest, 0, piece));
	inspection_finish(i);
	buf_init(&o->authres, 8192);
	buf_init(&o->spf, 8192);
	assert_int_equal(inspection_authres(i, &o->authres).code, ERR_OK);
	assert_int_equal(inspection_spf_field(i, &o->spf).code, ERR_OK);
	snprintf(o->note, sizeof(o->note), "%s", inspection_client_note(i));
	arena_init(&arena, (size_t)MIB);
	policy_decide(inspection_facts(i), &settings, NULL, 0, &arena, &o->decision);
	o->action = o->decision.action;
	snprintf(o->reply, sizeof(o->reply), "%s", o->decision.text);
	list_checks(i, o);
	arena_done(&arena);
	inspection_free(i);
	inspection_client_free(client);
}

/* In one line; where it is folded is the printer's affair. */
static const char *unfolded(struct buf *field)
{
	size_t n = 0;
	for (size_t i = 0; i < field->n; i++)
		if (field->p[i] != '\r' && field->p[i] != '\n')
			field->p[n++] = field->p[i] == '\t' ? ' ' : field->p[i];
	field->n = n;
	return buf_cstr(field);
}

static void outcome_done(struct outcome *o)
{
	buf_done(&o->authres);
	buf_done(&o->spf);
}

static const uint8_t good_client[4] = {192, 0, 2, 1}, listed_client[4] = {192, 0, 2, 9};

static void a_message_that_passes_everything(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	inspect(&f->env, good_client, "mx.football.example.com", "joe", "football.example.com",
	        signed_header, signed_body, 7, &o);
	assert_string_equal(unfolded(&o.authres),
	                    "Authentication-Results: mx.example.org;"
	                    " iprev=pass (dnssec secure) policy.iprev=192.0.2.1;"
	                    " spf=none (dnssec insecure) smtp.helo=mx.football.example.com;"
	                    " spf=pass (dnssec secure) smtp.mailfrom=football.example.com;"
	                    " dkim=pass (dnssec insecure) header.d=football.example.com"
	                    " header.i=@football.example.com header.s=brisbane"
	                    " header.a=ed25519-sha256 header.b=\"/gCrinpc\";"
	                    " dmarc=pass (dnssec secure) header.from=football.example.com"
	                    " policy.dmarc=none");
	assert_true(slice_starts(buf_slice(&o.spf), SLICE("Received-SPF: pass")));
	assert_string_equal(o.note, "dnssec: reverse name secure, sender domain secure");
	assert_int_equal(o.action, POLICY_ACCEPT);
	outcome_done(&o);
}

static void one_that_fails(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	inspect(&f->env, listed_client, "elsewhere.example", "joe", "football.example.com",
	        signed_header, "Another body\r\n", 100, &o);
	assert_string_equal(o.checks,
	                    "iprev permerror 192.0.2.9 (insecure)\n"
	                    "block list listed 192.0.2.9 on bl.example (insecure)\n"
	                    "spf (HELO) none elsewhere.example (insecure)\n"
	                    "spf fail football.example.com (secure)\n"
	                    "dkim fail football.example.com (insecure)\n"
	                    "block list not-listed football.example.com on dbl.example (insecure)\n"
	                    "dmarc fail football.example.com (secure)\n");
	assert_int_equal(o.action, POLICY_REFUSE);
	outcome_done(&o);
}

static void every_way_leads_to_the_same(void **state)
{
	struct fixture *f = *state;
	struct outcome first, other;
	const struct inspection_runner *const runners[] = {&threads, &busy, NULL};
	inspect(&f->env, good_client, "mx.football.example.com", "joe", "football.example.com",
	        signed_header, signed_body, 1000, &first);
	for (size_t r = 0; r < N_ELEMENTS(runners); r++)
		for (int cached = 0; cached < 3; cached++)
			for (size_t piece = 1; piece < 70; piece += 17) {
				struct inspection_env env = f->env;
				env.runner = runners[r];
				if (cached == 0)
					env.cache = NULL;
				else if (cached == 1)
					dns_cache_clear(f->cache);
				inspect(&env, good_client, "mx.football.example.com", "joe",
				        "football.example.com", signed_header, signed_body, piece,
				        &other);
				assert_string_equal(buf_cstr(&other.authres),
				                    buf_cstr(&first.authres));
				assert_string_equal(buf_cstr(&other.spf), buf_cstr(&first.spf));
				assert_string_equal(other.checks, first.checks);
				outcome_done(&other);
			}
	outcome_done(&first);
}

/* What is known is not asked again: no lookup, hence no thread. */
static void what_is_known_is_not_asked_again(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	struct inspection_env env = f->env;
	inspect(&f->env, good_client, "mx.football.example.com", "joe", "football.example.com",
	        signed_header, signed_body, 1000, &o);
	outcome_done(&o);
	size_t before = f->table.n_lookups;
	env.runner = NULL;
	inspect(&env, good_client, "mx.football.example.com", "joe", "football.example.com",
	        signed_header, signed_body, 1000, &o);
	assert_int_equal(f->table.n_lookups, before);
	outcome_done(&o);
}

static void reports_and_odd_messages(void **state)
{
	static const struct {
		const char *domain, *header, *contains;
	} cases[] = {
	        /* the null path: HELO is all there is */
	        {"", "From: x@football.example.com\r\n\r\n",
	         "spf=none (dnssec insecure) smtp.helo="},
	        {"football.example.com", "", "dmarc=permerror"},
	        {"football.example.com", "\r\n", "dkim=none (dnssec none)"},
	        {"football.example.com", "From: a@x.example\r\nFrom: b@y.example\r\n\r\n",
	         "dmarc=permerror"},
	        {"no domain", "From: a@x.example\r\n\r\n", "spf=none"},
	        {"football.example.com", "DKIM-Signature: rubbish\r\nFrom: a@x.example\r\n\r\n",
	         "dkim=neutral"},
	};
	struct fixture *f = *state;
	for (size_t c = 0; c < N_ELEMENTS(cases); c++) {
		struct outcome o;
		inspect(&f->env, good_client, "mx.football.example.com",
		        cases[c].domain[0] ? "joe" : "", cases[c].domain, cases[c].header, "x\r\n",
		        2, &o);
		const char *text = unfolded(&o.authres);
		if (!strstr(text, cases[c].contains))
			print_message("%s\n", text);
		assert_non_null(strstr(text, cases[c].contains));
		outcome_done(&o);
	}
}

static void a_transaction_that_is_given_up(void **state)
{
	struct fixture *f = *state;
	const struct inspection_envelope envelope = {.helo = SLICE("mx.football.example.com"),
	                                             .localpart = SLICE("joe"),
	                                             .domain = SLICE("football.example.com")};
	struct inspection_client *client = inspection_client_new(&f->env, slice_of(good_client, 4));
	struct inspection *i = inspection_new(&f->env, client, &envelope);
	inspection_free(i);
	i = inspection_new(&f->env, client, &envelope);
	inspection_header(i, slice_str(signed_header), 0);
	inspection_body(i, SLICE("x"));
	inspection_free(i);
	inspection_client_free(client);
	inspection_client_free(NULL);
	inspection_free(NULL);
}

static void domains_are_looked_up_in_lists(void **state)
{
	struct fixture *f = *state;
	struct outcome o;
	inspect(&f->env, good_client, "h.example", "x", "bad.example",
	        "From: x@bad.example\r\n\r\n", "x\r\n", 3, &o);
	assert_non_null(strstr(o.checks, "block list listed bad.example"));
	assert_int_equal(o.action, POLICY_REFUSE);
	assert_string_equal(o.reply, "bad.example is on the block list dbl.example");
	outcome_done(&o);
}

/* ---- a DNS that takes all the time it is given ---- */

static _Atomic int64_t slow_ms;

static int64_t slow_monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return slow_ms;
}

static int64_t slow_now_us(const struct clock *clock)
{
	return slow_monotonic_ms(clock) * 1000;
}

static const struct clock slow_clock = {slow_now_us, slow_monotonic_ms};

static struct status slow_lookup(const struct dns_resolver *resolver, struct dns_name name,
                                 enum dns_type type, int timeout_ms, struct arena *arena,
                                 const struct dns_answer **ret_answer)
{
	(void)resolver;
	slow_ms += timeout_ms;
	*ret_answer = dns_answer_failed(name, type, DNS_FAILURE_TEMPORARY, "no answer", arena);
	return ok();
}

/* However many checks find no thread: all together wait for twice the timeout, as if each had one. */
static void a_slow_dns_holds_nobody_up_for_long(void **state)
{
	static const struct dns_resolver_ops ops = {.lookup = slow_lookup};
	static const struct dns_resolver slow = {.ops = &ops};
	struct fixture *f = *state;
	struct inspection_env env = f->env;
	struct outcome o;
	env.resolver = &slow;
	env.cache = NULL;
	env.runner = &busy;
	env.clock = &slow_clock;
	slow_ms = 1000;
	inspect(&env, good_client, "mx.football.example.com", "joe", "football.example.com",
	        signed_header, signed_body, 1000, &o);
	assert_in_range(slow_ms, 1000 + env.timeout_ms, 1000 + 2 * env.timeout_ms);
	assert_non_null(strstr(buf_cstr(&o.authres), "spf=temperror"));
	assert_non_null(strstr(buf_cstr(&o.authres), "dkim=temperror"));
	assert_non_null(strstr(buf_cstr(&o.authres), "dmarc=temperror"));
	assert_int_not_equal(o.action, POLICY_REFUSE);
	outcome_done(&o);
}

/* ---- sessions side by side ---- */

#define SESSIONS            6
#define MESSAGES_OF_SESSION 10

static void *many_messages(void *argument)
{
	const struct inspection_env *env = argument;
	struct outcome o;
	for (unsigned n = 0; n < MESSAGES_OF_SESSION; n++) {
		inspect(env, good_client, "mx.football.example.com", "joe", "football.example.com",
		        signed_header, signed_body, 50, &o);
		assert_non_null(strstr(buf_cstr(&o.authres), "dmarc=pass"));
		outcome_done(&o);
	}
	return NULL;
}

static void sessions_share_what_they_may(void **state)
{
	struct fixture *f = *state;
	pthread_t sessions[SESSIONS];
	for (size_t s = 0; s < SESSIONS; s++)
		assert_int_equal(pthread_create(&sessions[s], NULL, many_messages, &f->env), 0);
	for (size_t s = 0; s < SESSIONS; s++)
		assert_int_equal(pthread_join(sessions[s], NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        TEST(a_message_that_passes_everything), TEST(one_that_fails),
	        TEST(every_way_leads_to_the_same),      TEST(what_is_known_is_not_asked_again),
	        TEST(reports_and_odd_messages),         TEST(a_transaction_that_is_given_up),
	        TEST(domains_are_looked_up_in_lists),   TEST(a_slow_dns_holds_nobody_up_for_long),
	        TEST(sessions_share_what_they_may),
	};
#undef TEST
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
