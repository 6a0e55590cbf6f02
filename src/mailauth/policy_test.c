/* Every rule of the policy, as rows: what was found, what the settings say, what comes out. */
#include "mailauth/policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

/* ---- facts in a few words ---- */

enum chain { NO_ARC, ARC_PASSES, ARC_SAW_DMARC_PASS, ARC_FAILS };

struct facts {
	const char *spf; /* result and domain: "pass a.example" */
	const char *dkim;
	const char *dmarc; /* result and policy: "fail reject" */
	enum mailauth_author_kind author;
	enum mailauth_result iprev;
	bool listed;
	const char *list_id;
	enum chain arc;
};

struct made {
	struct policy_facts facts;
	struct spf_result spf;
	struct dkim_result dkim;
	struct dkim_results dkims;
	struct dkim_signature signature, seals[2];
	struct dmarc_result dmarc;
	struct mailauth_author author;
	struct iprev_result iprev;
	struct dnsbl_result listing;
	struct policy_listing listings[1];
	struct arc_set sets[2];
	struct arc_result arc;
};

static enum mailauth_result first_word(const char *text, struct slice *ret_rest)
{
	struct slice word, rest;
	enum mailauth_result result;
	(void)slice_cut(slice_str(text), ' ', &word, &rest);
	assert_true(mailauth_result_parse(word, &result));
	*ret_rest = rest;
	return result;
}

static void make_identities(struct made *m, const struct facts *from)
{
	struct slice rest;
	if (from->spf) {
		m->spf.result = first_word(from->spf, &rest);
		m->spf.domain = (const char *)rest.p;
		m->spf.why = "why of SPF";
		m->spf.explanation = m->spf.problem = m->spf.mechanism = m->spf.matched_in = "";
		m->facts.mailfrom = &m->spf;
	}
	if (from->dkim) {
		m->dkim.result = first_word(from->dkim, &rest);
		m->signature.domain = (const char *)rest.p;
		m->dkim.signature = &m->signature;
		m->dkims = (struct dkim_results){&m->dkim, 1, 1, 1};
		m->facts.dkim = &m->dkims;
	}
}

static void make_dmarc(struct made *m, const struct facts *from)
{
	struct slice rest;
	if (!from->dmarc)
		return;
	m->dmarc.result = first_word(from->dmarc, &rest);
	m->dmarc.policy = DMARC_NONE;
	if (rest.n > 0)
		assert_true(dmarc_policy_parse(rest, &m->dmarc.policy));
	m->dmarc.has_author = from->author == MAILAUTH_AUTHOR_FOUND;
	m->dmarc.why = "why of DMARC";
	m->dmarc.found.domain.text = "author.example";
	m->facts.dmarc = &m->dmarc;
}

static void make_arc(struct made *m, const struct facts *from)
{
	if (from->arc == NO_ARC)
		return;
	m->seals[0].domain = "first.example";
	m->seals[1].domain = "relay.example";
	for (unsigned i = 0; i < 2; i++)
		m->sets[i] = (struct arc_set){
		        .instance = i + 1,
		        .seal = &m->seals[i],
		        .results = SLICE(" mx; dmarc=fail header.from=author.example")};
	if (from->arc == ARC_SAW_DMARC_PASS)
		m->sets[0].results = SLICE(" mx;\r\n dmarc=pass header.from=author.example");
	m->arc = (struct arc_result){.result =
	                                     from->arc == ARC_FAILS ? MAILAUTH_FAIL : MAILAUTH_PASS,
	                             .sets = m->sets,
	                             .n_sets = 2};
	m->facts.arc = &m->arc;
}

static void make(struct made *m, const struct facts *from, struct arena *arena)
{
	*m = (struct made){0};
	m->facts.list_id = slice_str(from->list_id);
	make_identities(m, from);
	make_dmarc(m, from);
	make_arc(m, from);
	m->author.kind = from->author;
	m->facts.author = &m->author;
	m->iprev.result = from->iprev;
	m->iprev.why = "why of iprev";
	m->facts.iprev = &m->iprev;
	m->listing = (struct dnsbl_result){.outcome = DNSBL_LISTED, .text = "see our page"};
	m->listings[0] = (struct policy_listing){"bl.example", "192.0.2.1", &m->listing};
	m->facts.listings = m->listings;
	m->facts.n_listings = from->listed;
	policy_facts_prepare(&m->facts, arena);
}

/* ---- the rows ---- */

#define OBEY .dmarc = POLICY_DMARC_OBEY
#define ALL(action)                                                                                \
	OBEY, .dmarc_error = (action), .dmarc_temporary = (action), .no_author = (action),         \
	      .spf_fail = (action), .iprev_fail = (action), .listed = (action)

static const struct slice trusted[] = {SLICE("relay.example"), SLICE("first.example")};
static const struct slice half_trusted[] = {SLICE("first.example")};

static const struct row {
	const char *name;
	struct facts facts;
	struct policy_settings settings;
	enum policy_action action;
	const char *enhanced; /* of a reply */
	const char *reason;   /* part of one; NULL: none is looked for */
} rows[] = {
        {"nothing was found", {.dmarc = "none"}, {OBEY}, POLICY_ACCEPT, "", NULL},
        {"all is well",
         {.spf = "pass a.example",
          .dkim = "pass a.example",
          .dmarc = "pass",
          .iprev = MAILAUTH_PASS},
         {ALL(POLICY_REFUSE)},
         POLICY_ACCEPT,
         "",
         NULL},
        {"DMARC fails without a wish",
         {.dmarc = "fail"},
         {ALL(POLICY_REFUSE)},
         POLICY_ACCEPT,
         "",
         "its owner asks for nothing"},
        {"p=quarantine",
         {.dmarc = "fail quarantine"},
         {OBEY},
         POLICY_QUARANTINE,
         "",
         "author.example wishes such mail to be treated as suspicious"},
        {"p=reject", {.dmarc = "fail reject"}, {OBEY}, POLICY_REFUSE, "5.7.26", "to be refused"},
        {"p=reject, softened",
         {.dmarc = "fail reject"},
         {.dmarc = POLICY_DMARC_QUARANTINE},
         POLICY_QUARANTINE,
         "",
         NULL},
        {"p=reject, ignored",
         {.dmarc = "fail reject"},
         {.dmarc = POLICY_DMARC_IGNORE},
         POLICY_ACCEPT,
         "",
         "settings say to ignore"},
        /* indirect ways */
        {"a list that vouches for itself",
         {.dmarc = "fail reject", .dkim = "pass example.net", .list_id = "L <l.lists.example.net>"},
         {OBEY},
         POLICY_QUARANTINE,
         "",
         "mailing list of example.net"},
        {"the same by SPF",
         {.dmarc = "fail reject",
          .spf = "pass bounces.example.net",
          .list_id = "l.lists.example.net"},
         {OBEY},
         POLICY_QUARANTINE,
         "",
         "mailing list of bounces.example.net"},
        {"a list in words only",
         {.dmarc = "fail reject", .list_id = "<l.lists.example.net>"},
         {OBEY},
         POLICY_REFUSE,
         "5.7.26",
         NULL},
        {"a signature that fails is no list's",
         {.dmarc = "fail reject", .dkim = "fail example.net", .list_id = "<l.example.net>"},
         {OBEY},
         POLICY_REFUSE,
         "5.7.26",
         NULL},
        {"somebody else's signature",
         {.dmarc = "fail reject", .dkim = "pass evil.example", .list_id = "<l.example.net>"},
         {OBEY},
         POLICY_REFUSE,
         "5.7.26",
         NULL},
        {"neighbours under a public suffix",
         {.dmarc = "fail reject", .dkim = "pass evil.co.uk", .list_id = "<l.lists.co.uk>"},
         {OBEY},
         POLICY_REFUSE,
         "5.7.26",
         NULL},
        {"a signature of the suffix itself",
         {.dmarc = "fail reject", .dkim = "pass co.uk", .list_id = "<l.lists.co.uk>"},
         {OBEY},
         POLICY_REFUSE,
         "5.7.26",
         NULL},
        {"a chain of seals",
         {.dmarc = "fail reject", .arc = ARC_PASSES},
         {OBEY},
         POLICY_QUARANTINE,
         "",
         "relay.example has passed it on"},
        {"a broken chain",
         {.dmarc = "fail reject", .arc = ARC_FAILS},
         {OBEY},
         POLICY_REFUSE,
         "5.7.26",
         NULL},
        {"trusted sealers saw a pass",
         {.dmarc = "fail reject", .arc = ARC_SAW_DMARC_PASS},
         {OBEY, .arc_trusted = trusted, .n_arc_trusted = 2},
         POLICY_ACCEPT,
         "",
         "first.example, whose ARC seals are trusted"},
        {"trusted sealers saw none",
         {.dmarc = "fail reject", .arc = ARC_PASSES},
         {OBEY, .arc_trusted = trusted, .n_arc_trusted = 2},
         POLICY_QUARANTINE,
         "",
         NULL},
        {"behind one that is not trusted nobody is",
         {.dmarc = "fail reject", .arc = ARC_SAW_DMARC_PASS},
         {OBEY, .arc_trusted = half_trusted, .n_arc_trusted = 1},
         POLICY_QUARANTINE,
         "",
         NULL},
        {"p=quarantine by a list stays so",
         {.dmarc = "fail quarantine", .dkim = "pass example.net", .list_id = "<l.example.net>"},
         {OBEY},
         POLICY_QUARANTINE,
         "",
         NULL},
        /* DMARC that cannot be known */
        {"temporary, accepted", {.dmarc = "temperror"}, {OBEY}, POLICY_ACCEPT, "", "why of DMARC"},
        {"temporary, deferred",
         {.dmarc = "temperror"},
         {OBEY, .dmarc_temporary = POLICY_DEFER},
         POLICY_DEFER,
         "4.7.1",
         "sent away for now"},
        {"defective, accepted", {.dmarc = "permerror"}, {OBEY}, POLICY_ACCEPT, "", NULL},
        {"defective, refused",
         {.dmarc = "permerror"},
         {OBEY, .dmarc_error = POLICY_REFUSE},
         POLICY_REFUSE,
         "5.7.1",
         NULL},
        /* authors */
        {"no author, accepted",
         {.author = MAILAUTH_AUTHOR_NO_FIELD, .dmarc = "permerror"},
         {OBEY},
         POLICY_ACCEPT,
         "",
         "has no From field"},
        {"several, refused",
         {.author = MAILAUTH_AUTHOR_SEVERAL_FIELDS, .dmarc = "permerror"},
         {OBEY, .no_author = POLICY_REFUSE},
         POLICY_REFUSE,
         "5.7.1",
         NULL},
        {"several, one of which wishes it",
         {.author = MAILAUTH_AUTHOR_SEVERAL_DOMAINS, .dmarc = "permerror reject"},
         {OBEY},
         POLICY_REFUSE,
         "5.7.26",
         NULL},
        /* SPF */
        {"SPF fails, accepted", {.spf = "fail a.example"}, {OBEY}, POLICY_ACCEPT, "", "why of SPF"},
        {"SPF fails, refused",
         {.spf = "fail a.example"},
         {OBEY, .spf_fail = POLICY_REFUSE},
         POLICY_REFUSE,
         "5.7.23",
         NULL},
        {"SPF fails, deferred",
         {.spf = "fail a.example"},
         {OBEY, .spf_fail = POLICY_DEFER},
         POLICY_DEFER,
         "4.7.23",
         NULL},
        {"SPF fails, DMARC passes",
         {.spf = "fail a.example", .dmarc = "pass"},
         {OBEY, .spf_fail = POLICY_REFUSE},
         POLICY_ACCEPT,
         "",
         "since DMARC passes"},
        {"softfail asks for nothing",
         {.spf = "softfail a.example"},
         {ALL(POLICY_REFUSE)},
         POLICY_ACCEPT,
         "",
         NULL},
        {"SPF's own errors ask for nothing",
         {.spf = "permerror a.example"},
         {ALL(POLICY_REFUSE)},
         POLICY_ACCEPT,
         "",
         NULL},
        /* iprev, lists */
        {"no reverse name",
         {.iprev = MAILAUTH_PERMERROR},
         {OBEY, .iprev_fail = POLICY_REFUSE},
         POLICY_REFUSE,
         "5.7.25",
         NULL},
        {"a wrong one",
         {.iprev = MAILAUTH_FAIL},
         {OBEY, .iprev_fail = POLICY_QUARANTINE},
         POLICY_QUARANTINE,
         "",
         NULL},
        {"one that cannot be looked up",
         {.iprev = MAILAUTH_TEMPERROR},
         {ALL(POLICY_REFUSE)},
         POLICY_ACCEPT,
         "",
         NULL},
        {"on a block list",
         {.listed = true},
         {OBEY, .listed = POLICY_REFUSE},
         POLICY_REFUSE,
         "5.7.1",
         "192.0.2.1 is on the block list bl.example, which says: see our page"},
        {"on a block list, put aside",
         {.listed = true},
         {OBEY, .listed = POLICY_QUARANTINE},
         POLICY_QUARANTINE,
         "",
         NULL},
        /* together */
        {"the strongest counts",
         {.dmarc = "fail quarantine", .listed = true},
         {OBEY, .listed = POLICY_REFUSE},
         POLICY_REFUSE,
         "5.7.1",
         NULL},
        {"several refusals",
         {.spf = "fail a.example", .iprev = MAILAUTH_FAIL},
         {OBEY, .spf_fail = POLICY_REFUSE, .iprev_fail = POLICY_REFUSE},
         POLICY_REFUSE,
         "5.7.26",
         NULL},
        {"a deferral gives way to a refusal",
         {.dmarc = "temperror", .listed = true},
         {OBEY, .dmarc_temporary = POLICY_DEFER, .listed = POLICY_REFUSE},
         POLICY_REFUSE,
         "5.7.1",
         NULL},
};

static bool has_reason(const struct policy_decision *decision, const char *part)
{
	for (size_t i = 0; i < decision->n_reasons; i++)
		if (strstr(decision->reasons[i], part))
			return true;
	return false;
}

static void assert_reply(const struct policy_decision *decision)
{
	bool refused = decision->action >= POLICY_DEFER;
	assert_int_equal(decision->code / 100, !refused                           ? 0
	                                       : decision->action == POLICY_DEFER ? 4
	                                                                          : 5);
	assert_int_equal(decision->enhanced[0], !refused                           ? 0
	                                        : decision->action == POLICY_DEFER ? '4'
	                                                                           : '5');
	assert_int_equal(decision->text[0] != 0, refused);
	assert_true(decision->action == POLICY_ACCEPT || decision->n_reasons > 0);
}

static void rules_are_followed(void **state)
{
	unsigned n_wrong = 0;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct arena arena;
		struct made made;
		struct policy_decision decision;
		arena_init(&arena, (size_t)MIB);
		make(&made, &rows[i].facts, &arena);
		policy_decide(&made.facts, &rows[i].settings, NULL, 0, &arena, &decision);
		bool right = decision.action == rows[i].action &&
		             strcmp(decision.enhanced, rows[i].enhanced) == 0 &&
		             (!rows[i].reason || has_reason(&decision, rows[i].reason));
		if (!right) {
			n_wrong++;
			print_message("%s: %s %s\n", rows[i].name,
			              policy_action_name(decision.action), decision.enhanced);
			for (size_t j = 0; j < decision.n_reasons; j++)
				print_message("    %s\n", decision.reasons[j]);
		}
		assert_reply(&decision);
		arena_done(&arena);
	}
	assert_int_equal(n_wrong, 0);
}

/* ---- exceptions ---- */

static const struct slice list_domains[] = {SLICE("lists.example")};
static const struct slice forward_domains[] = {SLICE("alumni.example")};
static const struct policy_exception exceptions[] = {
        {SLICE("lists"), POLICY_LIST, list_domains, 1, SLICE("Lists")},
        {SLICE("alumni"), POLICY_FORWARD, forward_domains, 1, SLICE("")},
};

static void exceptions_let_in_what_was_named(void **state)
{
	static const struct {
		struct facts facts;
		enum policy_action action;
		const char *exception;
	} cases[] = {
	        {{.spf = "pass lists.example", .dmarc = "fail reject"}, POLICY_ACCEPT, "lists"},
	        {{.dkim = "pass a.lists.example", .dmarc = "fail reject"}, POLICY_ACCEPT, "lists"},
	        {{.dkim = "pass lists.example", .dmarc = "temperror"}, POLICY_ACCEPT, "lists"},
	        {{.dkim = "pass notlists.example", .dmarc = "fail reject"}, POLICY_REFUSE, ""},
	        {{.spf = "softfail lists.example", .dmarc = "fail reject"}, POLICY_REFUSE, ""},
	        {{.dkim = "fail lists.example", .dmarc = "fail reject"}, POLICY_REFUSE, ""},
	        /* a list's own address may be listed; a forwarder's clients are others */
	        {{.spf = "pass lists.example", .listed = true}, POLICY_REFUSE, "lists"},
	        {{.spf = "pass lists.example", .iprev = MAILAUTH_FAIL}, POLICY_REFUSE, "lists"},
	        {{.dkim = "pass alumni.example",
	          .spf = "fail a.example",
	          .iprev = MAILAUTH_FAIL,
	          .listed = true,
	          .dmarc = "fail reject"},
	         POLICY_ACCEPT,
	         "alumni"},
	        {{.spf = "fail a.example"}, POLICY_REFUSE, ""},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct policy_settings settings = {ALL(POLICY_REFUSE)};
		struct arena arena;
		struct made made;
		struct policy_decision decision;
		arena_init(&arena, (size_t)MIB);
		make(&made, &cases[i].facts, &arena);
		policy_decide(&made.facts, &settings, exceptions, N_ELEMENTS(exceptions), &arena,
		              &decision);
		assert_int_equal(decision.action, cases[i].action);
		assert_true(slice_eq_str(decision.exception ? decision.exception->name : SLICE(""),
		                         cases[i].exception));
		arena_done(&arena);
	}
}

static void a_refusal_tells_all_its_reasons(void **state)
{
	(void)state;
	const struct facts facts = {.spf = "fail a.example",
	                            .iprev = MAILAUTH_FAIL,
	                            .listed = true,
	                            .dmarc = "fail reject"};
	const struct policy_settings settings = {
	        .spf_fail = POLICY_REFUSE, .iprev_fail = POLICY_REFUSE, .listed = POLICY_DEFER};
	struct arena arena;
	struct made made;
	struct policy_decision decision;
	arena_init(&arena, 100000);
	make(&made, &facts, &arena);
	policy_decide(&made.facts, &settings, NULL, 0, &arena, &decision);
	assert_string_equal(decision.enhanced, "5.7.26");
	assert_non_null(strstr(decision.text, "name of your address"));
	assert_non_null(strstr(decision.text, " check: fail\n"));
	assert_non_null(strstr(decision.text, "\nRefused by the DMARC policy of author.example"));
	assert_null(strstr(decision.text, "block list"));
	arena_done(&arena);
}

/* Whatever memory there is: never milder. */
static void little_memory_makes_nothing_milder(void **state)
{
	(void)state;
	for (size_t budget = 0; budget < 20000; budget += 64) {
		const struct facts facts = {.spf = "fail a.example",
		                            .iprev = MAILAUTH_FAIL,
		                            .listed = true,
		                            .dmarc = "fail reject"};
		const struct policy_settings settings = {ALL(POLICY_REFUSE)};
		struct arena arena;
		struct made made;
		struct policy_decision decision;
		arena_init(&arena, budget);
		make(&made, &facts, &arena);
		policy_decide(&made.facts, &settings, NULL, 0, &arena, &decision);
		assert_int_equal(decision.action, POLICY_REFUSE);
		assert_true(decision.text[0] != 0);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rules_are_followed),
	        cmocka_unit_test(exceptions_let_in_what_was_named),
	        cmocka_unit_test(a_refusal_tells_all_its_reasons),
	        cmocka_unit_test(little_memory_makes_nothing_milder),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
