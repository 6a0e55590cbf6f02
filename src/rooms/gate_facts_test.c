/* What is told of a message for DMARC reports: the disposition, why it is milder than the policy,
 * and of which messages nothing is told. */
#include "rooms/gate_facts.h"

#include "os/clock.h"
#include "report/dmarc_report.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail

struct fixture {
	struct arena arena;
	Door__DmarcChecked *checked;
	Door__DmarcPublished *policy;
	unsigned n;
	/* The message. */
	struct dmarc_result dmarc;
	struct policy_facts facts;
	struct policy_decision decision;
	struct policy_exception exception;
	struct spf_result spf;
	struct gate_fact fact;
};

static const struct dmarc_uri rua[] = {{.is_mailto = true}};

static struct status take(void *context, const Door__AddFacts *batch)
{
	struct fixture *f = context;
	for (size_t i = 0; i < batch->n_facts; i++) {
		f->checked = (Door__DmarcChecked *)door_unpack(&door__dmarc_checked__descriptor,
		                                               door_bytes(batch->facts[i]->form),
		                                               &f->arena);
		f->policy = (Door__DmarcPublished *)door_unpack(&door__dmarc_published__descriptor,
		                                                door_bytes(batch->facts[i]->policy),
		                                                &f->arena);
		assert_string_equal(batch->facts[i]->domains[0], "a.example");
		f->n++;
	}
	return ok();
}

/* A message that fails a policy of reject and is refused for it. */
static void prepare(struct fixture *f)
{
	*f = (struct fixture){.n = 0};
	arena_init(&f->arena, (size_t)1 << 20);
	f->dmarc = (struct dmarc_result){
	        .result = MAILAUTH_FAIL,
	        .policy = DMARC_REJECT,
	        .published = DMARC_REJECT,
	        .has_author = true,
	        .found = {.outcome = DMARC_FOUND,
	                  .author = {"b.a.example"},
	                  .domain = {"a.example"},
	                  .record = {.p = DMARC_REJECT,
	                             .fo = DMARC_FO_ALL,
	                             .rua = {rua, 1},
	                             .pct = 100}},
	};
	f->spf = (struct spf_result){.result = MAILAUTH_SOFTFAIL, .domain = "c.example"};
	f->facts = (struct policy_facts){.dmarc = &f->dmarc, .mailfrom = &f->spf};
	f->decision = (struct policy_decision){.action = POLICY_REFUSE};
	f->fact = (struct gate_fact){.facts = &f->facts,
	                             .decision = &f->decision,
	                             .client = "192.0.2.1",
	                             .mail_from = SLICE("c.example")};
}

static void tell(struct fixture *f)
{
	struct reporter *reporter = reporter_new(&(struct reporter_options){
	        .clock = clock_real(), .send = take, .context = f, .pause_ms = 1});
	gate_facts_tell(reporter, &f->fact);
	reporter_free(reporter);
}

static void expect(struct fixture *f, enum dmarc_disposition disposition, const char *reason)
{
	tell(f);
	assert_int_equal(f->n, 1);
	assert_non_null(f->checked);
	assert_int_equal(f->checked->disposition, disposition);
	assert_int_equal(f->checked->n_reasons, *reason ? 1 : 0);
	if (*reason)
		assert_string_equal(
		        dmarc_override_name((enum dmarc_override)f->checked->reasons[0]->type),
		        reason);
	arena_done(&f->arena);
}

static void a_refused_message_is_told_as_it_was(void **state)
{
	struct fixture f;
	(void)state;
	prepare(&f);
	tell(&f);
	assert_int_equal(f.n, 1);
	assert_string_equal(f.checked->source_ip, "192.0.2.1");
	assert_string_equal(f.checked->header_from, "b.a.example");
	assert_string_equal(f.checked->envelope_from, "c.example");
	assert_int_equal(f.checked->n_spf, 1);
	assert_int_equal(f.checked->spf[0]->result, MAILAUTH_SOFTFAIL);
	assert_string_equal(f.checked->spf[0]->domain, "c.example");
	assert_int_equal(f.policy->p, DMARC_REJECT);
	assert_string_equal(f.policy->fo, "0");
	arena_done(&f.arena);
	prepare(&f);
	expect(&f, DMARC_DISPOSITION_REJECT, "");
}

static void what_was_done_less_than_asked_has_a_reason(void **state)
{
	struct fixture f;
	(void)state;
	prepare(&f);
	f.decision.action = POLICY_QUARANTINE;
	f.facts.list = "list.example";
	expect(&f, DMARC_DISPOSITION_QUARANTINE, "mailing_list");
	prepare(&f);
	f.decision.action = POLICY_ACCEPT;
	f.decision.exception = &f.exception;
	f.exception.kind = POLICY_FORWARD;
	expect(&f, DMARC_DISPOSITION_NONE, "trusted_forwarder");
	prepare(&f);
	f.decision.action = POLICY_ACCEPT;
	f.decision.exception = &f.exception;
	f.exception.kind = POLICY_LIST;
	expect(&f, DMARC_DISPOSITION_NONE, "mailing_list");
	prepare(&f);
	f.decision.action = POLICY_QUARANTINE;
	f.facts.arc_sealer = "sealer.example";
	expect(&f, DMARC_DISPOSITION_QUARANTINE, "trusted_forwarder");
	prepare(&f);
	f.decision.action = POLICY_ACCEPT;
	expect(&f, DMARC_DISPOSITION_NONE, "local_policy");
}

/* What else turned it away (a block list, say) is not the policy's doing. */
static void more_than_asked_is_not_told(void **state)
{
	struct fixture f;
	(void)state;
	prepare(&f);
	f.dmarc.policy = f.dmarc.published = DMARC_NONE;
	expect(&f, DMARC_DISPOSITION_NONE, "");
	prepare(&f);
	f.dmarc.policy = f.dmarc.published = DMARC_QUARANTINE;
	expect(&f, DMARC_DISPOSITION_QUARANTINE, "");
	prepare(&f);
	f.dmarc.result = MAILAUTH_PASS;
	expect(&f, DMARC_DISPOSITION_PASS, "");
}

static void testing_and_sampling_are_told(void **state)
{
	struct fixture f;
	(void)state;
	prepare(&f);
	f.dmarc.policy = DMARC_QUARANTINE;
	f.dmarc.testing = true;
	f.decision.action = POLICY_QUARANTINE;
	expect(&f, DMARC_DISPOSITION_QUARANTINE, "policy_test_mode");
	prepare(&f);
	f.dmarc.policy = DMARC_NONE;
	f.dmarc.sampled_out = true;
	f.decision.action = POLICY_ACCEPT;
	expect(&f, DMARC_DISPOSITION_NONE, "sampled_out");
}

static void nothing_is_told_where_nothing_is_known_or_wanted(void **state)
{
	(void)state;
	for (int i = 0; i < 7; i++) {
		struct fixture f;
		prepare(&f);
		if (i == 0)
			f.facts.dmarc = NULL;
		else if (i == 1)
			f.dmarc.result = MAILAUTH_TEMPERROR;
		else if (i == 2)
			f.dmarc.found.outcome = DMARC_ABSENT;
		else if (i == 3)
			f.dmarc.found.record.rua.n = 0;
		else if (i == 4)
			f.decision.action = POLICY_DEFER; /* it comes again */
		else if (i == 5)
			f.dmarc.has_author = false;
		else
			f.dmarc.found.domain.text = "a\\044b.example";
		tell(&f);
		assert_int_equal(f.n, 0);
		arena_done(&f.arena);
	}
}

static void report_mail_is_known_by_its_header(void **state)
{
	static const char *const yes[] = {
	        "Subject: Report Domain: a.example Submitter: b.example Report-ID: "
	        "<1@b.example>\r\n",
	        "From: x\r\nSubject: Report domain: a.example\r\n Submitter: b.example\r\n"
	        "\tReport-ID: 1\r\n\r\n",
	        "TLS-Report-Domain: a.example\r\n",
	};
	static const char *const no[] = {"", "Subject: a letter\r\n", "Subject: \r\n",
	                                 "Subject: Report Domain: a.example\r\n",
	                                 "\r\nTLS-Report-Domain: a.example\r\n"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(yes); i++)
		assert_true(gate_facts_is_report(slice_str(yes[i])));
	for (size_t i = 0; i < N_ELEMENTS(no); i++)
		assert_false(gate_facts_is_report(slice_str(no[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_refused_message_is_told_as_it_was),
	        cmocka_unit_test(what_was_done_less_than_asked_has_a_reason),
	        cmocka_unit_test(more_than_asked_is_not_told),
	        cmocka_unit_test(testing_and_sampling_are_told),
	        cmocka_unit_test(nothing_is_told_where_nothing_is_known_or_wanted),
	        cmocka_unit_test(report_mail_is_known_by_its_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
