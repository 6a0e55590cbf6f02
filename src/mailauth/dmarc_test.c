/* DMARC: discovery, alignment, policy, and what failing lookups do to each. */
#include "mailauth/dmarc.h"

#include "dns/table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define IDENTITIES_MAX 8

static int64_t test_now_us(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static const struct clock test_clock = {test_now_us, test_now_us};

struct message {
	const char *facts;
	const char *from;       /* the value of From */
	const char *identities; /* "spf:example.com=pass dkim:..." */
	enum dmarc_discovery discovery;
	int sample;
};

struct fixture {
	struct dns_table table;
	struct arena arena;
	struct mailauth_dns dns;
	struct buf got;
	struct dmarc_identity identities[IDENTITIES_MAX];
	struct dmarc_result result;
};

static void open_fixture(struct fixture *f, const char *facts)
{
	dns_table_init(&f->table);
	dns_table_add_lines(&f->table, facts);
	arena_init(&f->arena, MAILAUTH_DNS_ARENA);
	buf_init(&f->got, MIB);
	mailauth_dns_init(&f->dns, &f->table.resolver, &test_clock, 1000, &f->arena);
}

static void close_fixture(struct fixture *f)
{
	buf_done(&f->got);
	arena_done(&f->arena);
	dns_table_done(&f->table);
}

static struct dmarc_identity identity_of(struct slice word)
{
	struct slice mechanism, domain, result, rest;
	struct dmarc_identity identity = {.mechanism = DMARC_SPF};
	slice_cut(word, ':', &mechanism, &rest);
	slice_cut(rest, '=', &domain, &result);
	identity.domain = domain;
	if (slice_eq_str(mechanism, "dkim"))
		identity.mechanism = DMARC_DKIM;
	assert_true(mailauth_result_parse(result, &identity.result));
	return identity;
}

static size_t read_identities(struct fixture *f, const char *text)
{
	struct slice word, rest = slice_str(text);
	size_t n = 0;
	while (rest.n > 0) {
		slice_cut(rest, ' ', &word, &rest);
		assert_true(n < IDENTITIES_MAX);
		f->identities[n++] = identity_of(word);
	}
	return n;
}

static void evaluate(struct fixture *f, const struct message *message)
{
	struct mailauth_author author;
	const char *header = arena_printf(&f->arena, "From: %s\r\n\r\n", message->from);
	assert_non_null(header);
	mailauth_author_find(slice_str(header), &f->arena, &author);
	struct dmarc_question question = {
	        .identities = f->identities,
	        .n_identities = read_identities(f, message->identities),
	        .discovery = message->discovery,
	        .sample = message->sample,
	};
	dmarc_evaluate(&f->dns, &author, &question, &f->result);
}

/* "fail reject(sp) at example.com organization org=example.com [no relaxed] temporary-why" */
static void describe(const struct dmarc_result *result, struct buf *out)
{
	buf_add_str(out, mailauth_result_name(result->result));
	if (result->policy != DMARC_NONE || result->published != DMARC_NONE || *result->tag)
		buf_printf(out, " %s(%s)", dmarc_policy_name(result->policy), result->tag);
	if (result->published != result->policy)
		buf_printf(out, "<%s", dmarc_policy_name(result->published));
	if (!dns_name_is_root(result->found.domain))
		buf_printf(out, " at %s %s", result->found.domain.text,
		           dmarc_place_name(result->found.place));
	if (!dns_name_is_root(result->found.organization))
		buf_printf(out, " org=%s", result->found.organization.text);
	for (size_t i = 0; i < result->n_alignments; i++)
		buf_printf(out, "%s%s", i == 0 ? " [" : " ",
		           dmarc_aligned_name(result->alignments[i].aligned));
	if (result->n_alignments > 0)
		buf_add_byte(out, ']');
	if (result->existence_known)
		buf_add_str(out, result->author_exists ? " exists" : " nonexistent");
	if (result->found.several)
		buf_add_str(out, " several");
}

static void check(const struct message *message, const char *expected)
{
	struct fixture f;
	open_fixture(&f, message->facts);
	evaluate(&f, message);
	describe(&f.result, &f.got);
	if (strcmp(buf_cstr(&f.got), expected) != 0) {
		print_message("# From: %s; %s\n", message->from, message->identities);
		mailauth_story_print(&f.result.story, &f.got);
	}
	assert_string_equal(buf_cstr(&f.got), expected);
	assert_true(f.result.story.n > 0 && *f.result.why);
	/* Nothing but FAIL has a policy where there is an author domain. */
	assert_true(f.result.result == MAILAUTH_FAIL || f.result.result == MAILAUTH_PERMERROR ||
	            f.result.policy == DMARC_NONE);
	close_fixture(&f);
}

struct check {
	const char *from, *identities, *expected;
};

static void check_all(const char *facts, enum dmarc_discovery discovery, const struct check *checks,
                      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct message message = {facts, checks[i].from, checks[i].identities, discovery,
		                          DMARC_NO_SAMPLING};
		check(&message, checks[i].expected);
	}
}

/* --- examples of the RFCs --- */

static const char example_facts[] = "_dmarc.example.com TXT \"v=DMARC1; p=reject\"\n"
                                    "child.example.com A 192.0.2.1\n"
                                    "news.example.com A 192.0.2.1\n";

/* RFC 7489 appendix B.1, RFC 9989 appendix B.1 and table 1. */
static void alignment_examples(void **state)
{
	static const struct check checks[] = {
	        {"sender@example.com", "spf:example.com=pass",
	         "pass at example.com author [strict]"},
	        {"sender@example.com", "spf:child.example.com=pass",
	         "pass at example.com author org=example.com [relaxed]"},
	        {"sender@child.example.com", "spf:example.net=pass",
	         "fail reject(p) at example.com organization org=example.com [no]"},
	        {"sender@example.com", "dkim:example.com=pass",
	         "pass at example.com author [strict]"},
	        {"sender@child.example.com", "dkim:example.com=pass",
	         "pass at example.com organization org=example.com [relaxed]"},
	        {"sender@child.example.com", "dkim:sample.net=pass",
	         "fail reject(p) at example.com organization org=example.com [no]"},
	        {"sender@news.example.com", "dkim:foo.example.com=pass",
	         "pass at example.com organization org=example.com [relaxed]"},
	        {"sender@news.example.com", "dkim:news.example.com=pass",
	         "pass at example.com organization org=example.com [strict]"},
	        {"sender@news.example.com", "dkim:foo.example.net=pass",
	         "fail reject(p) at example.com organization org=example.com [no]"},
	};
	(void)state;
	check_all(example_facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
	check_all(example_facts, DMARC_PUBLIC_SUFFIX, checks, N_ELEMENTS(checks));
}

/* RFC 7489 and RFC 9989 appendix B.3.1. */
static void receiver_example(void **state)
{
	static const char facts[] = "_dmarc.example.com TXT \"v=DMARC1; p=reject; aspf=r; \" "
	                            "\"rua=mailto:dmarc-feedback@example.com\"\n";
	static const struct check checks[] = {
	        {"a@example.com", "spf:mail.example.com=pass dkim:example.com=pass",
	         "pass at example.com author org=example.com [relaxed strict]"},
	        {"a@example.com", "spf:mail.example.com=fail dkim:example.com=fail",
	         "fail reject(p) at example.com author [no no]"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
	check_all(facts, DMARC_PUBLIC_SUFFIX, checks, N_ELEMENTS(checks));
}

/* RFC 9989 appendix B.4. */
static void tree_walk_examples(void **state)
{
	static const char simple[] = "_dmarc.example.com TXT \"v=DMARC1; p=none\"\n"
	                             "_dmarc.signing.example.com TXT \"v=DMARC1; p=none\"\n";
	static const struct check simple_checks[] = {
	        {"a@example.com", "spf:example.com=pass dkim:signing.example.com=pass",
	         "pass at example.com author org=example.com [strict relaxed]"},
	};
	static const struct check deep_checks[] = {
	        {"a@a.b.c.d.e.f.g.h.i.j.k.example.com",
	         "spf:example.com=pass dkim:signing.example.com=pass",
	         "pass at example.com organization org=example.com [relaxed relaxed]"},
	};
	static const char bank[] = "_dmarc.bank.example TXT \"v=DMARC1; p=reject; psd=y\"\n"
	                           "_dmarc.giant.bank.example TXT \"v=DMARC1; p=quarantine\"\n"
	                           "mail.mega.bank.example A 192.0.2.1\n";
	static const struct check bank_checks[] = {
	        {"a@giant.bank.example",
	         "spf:mail.giant.bank.example=pass dkim:mail.mega.bank.example=pass",
	         "pass at giant.bank.example author org=giant.bank.example [relaxed no]"},
	        {"a@giant.bank.example", "dkim:mail.mega.bank.example=pass",
	         "fail quarantine(p) at giant.bank.example author org=giant.bank.example [no]"},
	        {"a@mega.bank.example", "dkim:mail.mega.bank.example=pass",
	         "pass at bank.example suffix org=mega.bank.example [relaxed]"},
	        {"a@mega.bank.example", "dkim:giant.bank.example=pass dkim:bank.example=pass",
	         "fail reject(p) at bank.example suffix org=mega.bank.example [no no]"},
	        {"a@bank.example", "dkim:giant.bank.example=pass",
	         "fail reject(p) at bank.example author org=bank.example [no]"},
	        {"a@bank.example", "dkim:bank.example=pass",
	         "pass at bank.example author [strict]"},
	};
	(void)state;
	check_all(simple, DMARC_TREE_WALK, simple_checks, N_ELEMENTS(simple_checks));
	check_all(simple, DMARC_TREE_WALK, deep_checks, N_ELEMENTS(deep_checks));
	check_all(bank, DMARC_TREE_WALK, bank_checks, N_ELEMENTS(bank_checks));
}

/* --- the walk --- */

/* The names that were asked for, without _dmarc, TXT only. */
static void check_walk(const char *facts, const char *domain, const char *expected)
{
	struct fixture f;
	struct dns_name name;
	open_fixture(&f, facts);
	assert_int_equal(dns_name_parse(slice_str(domain), &f.arena, &name).code, ERR_OK);
	dmarc_look_up(&f.dns, name, DMARC_TREE_WALK, &f.result);
	for (size_t i = 0; i < f.result.evidence.n; i++) {
		struct slice asked = dns_name_slice(f.result.evidence.v[i].name);
		if (f.result.evidence.v[i].type == DNS_TYPE_TXT)
			buf_printf(&f.got, "%.*s ", SLICE_FMT(slice_from(asked, sizeof("_dmarc"))));
	}
	buf_printf(&f.got, "-> %s", f.result.found.organization.text);
	assert_string_equal(buf_cstr(&f.got), expected);
	assert_true(f.result.evidence.n <= DMARC_WALK_MAX + 1);
	close_fixture(&f);
}

static void walks_ask_eight_names_at_most(void **state)
{
	(void)state;
	/* RFC 9989 section 4.10 */
	check_walk("", "a.b.c.d.e.f.g.h.i.j.mail.example.com",
	           "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com "
	           "h.i.j.mail.example.com i.j.mail.example.com j.mail.example.com "
	           "mail.example.com example.com com -> a.b.c.d.e.f.g.h.i.j.mail.example.com");
	/* section 5.1.8: the record at the zone cut is never found */
	check_walk("_dmarc.example.com TXT \"v=DMARC1; p=none\"\n"
	           "_dmarc.b.c.d.e.f.g.example.com TXT \"v=DMARC1; p=none; psd=n\"\n",
	           "mail.a.b.c.d.e.f.g.example.com",
	           "mail.a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com d.e.f.g.example.com "
	           "e.f.g.example.com f.g.example.com g.example.com example.com com -> "
	           "example.com");
	/* 7, 8 and 9 labels */
	check_walk("", "1.2.3.4.5.6.com",
	           "1.2.3.4.5.6.com 2.3.4.5.6.com 3.4.5.6.com 4.5.6.com 5.6.com 6.com com -> "
	           "1.2.3.4.5.6.com");
	check_walk("", "1.2.3.4.5.6.7.com",
	           "1.2.3.4.5.6.7.com 2.3.4.5.6.7.com 3.4.5.6.7.com 4.5.6.7.com 5.6.7.com "
	           "6.7.com 7.com com -> 1.2.3.4.5.6.7.com");
	check_walk("", "1.2.3.4.5.6.7.8.com",
	           "1.2.3.4.5.6.7.8.com 3.4.5.6.7.8.com 4.5.6.7.8.com 5.6.7.8.com 6.7.8.com "
	           "7.8.com 8.com com -> 1.2.3.4.5.6.7.8.com");
	check_walk("", "com", "com -> com");
	check_walk("", ".", " -> .");
	/* a public suffix just where names were left out */
	check_walk("_dmarc.3.4.5.6.7.8.com TXT \"v=DMARC1; p=none; psd=y\"\n",
	           "1.2.3.4.5.6.7.8.com",
	           "1.2.3.4.5.6.7.8.com 3.4.5.6.7.8.com -> 2.3.4.5.6.7.8.com");
}

static void walks_end_where_a_record_says_so(void **state)
{
	(void)state;
	/* RFC 9989 section 4.10.2, its examples */
	check_walk("_dmarc.mail.example.com TXT \"v=DMARC1; p=none\"\n"
	           "_dmarc.example.com TXT \"v=DMARC1; p=none\"\n",
	           "a.mail.example.com",
	           "a.mail.example.com mail.example.com example.com com -> example.com");
	check_walk("_dmarc.mail.example.com TXT \"v=DMARC1; p=none; psd=n\"\n"
	           "_dmarc.example.com TXT \"v=DMARC1; p=none\"\n",
	           "a.mail.example.com", "a.mail.example.com mail.example.com -> mail.example.com");
	check_walk("_dmarc.com TXT \"v=DMARC1; p=none; psd=y\"\n", "a.mail.example.com",
	           "a.mail.example.com mail.example.com example.com com -> example.com");
	check_walk("_dmarc.example.com TXT \"v=DMARC1; p=none; psd=y\"\n"
	           "_dmarc.com TXT \"v=DMARC1; p=none; psd=y\"\n",
	           "a.mail.example.com",
	           "a.mail.example.com mail.example.com example.com -> mail.example.com");
	/* at the start psd=y makes the name its own, psd=n too */
	check_walk("_dmarc.example.com TXT \"v=DMARC1; p=none; psd=y\"\n", "example.com",
	           "example.com -> example.com");
	check_walk("_dmarc.example.com TXT \"v=DMARC1; p=none; psd=n\"\n", "example.com",
	           "example.com -> example.com");
	/* a public suffix that forgot psd=y */
	check_walk("_dmarc.com TXT \"v=DMARC1; p=none\"\n"
	           "_dmarc.example.com TXT \"v=DMARC1; p=none\"\n",
	           "a.example.com", "a.example.com example.com com -> com");
	/* several records, other records and wrong psd tags do not end it */
	check_walk("_dmarc.example.com TXT \"v=DMARC1; p=none; psd=n\"\n"
	           "_dmarc.example.com TXT \"v=DMARC1; p=none; psd=n\"\n",
	           "a.example.com", "a.example.com example.com com -> a.example.com");
	check_walk("_dmarc.example.com TXT \"v=spf1 psd=n\"\n"
	           "_dmarc.example.com TXT \"v=DMARC1; p=none; psd=maybe\"\n",
	           "a.example.com", "a.example.com example.com com -> example.com");
	/* a record that is good for nothing else still says whose the domain is */
	check_walk("_dmarc.example.com TXT \"v=DMARC1; psd=n\"\n", "a.example.com",
	           "a.example.com example.com -> example.com");
}

static void names_too_long_for_a_record_have_none(void **state)
{
	static const char l49[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	char domain[300], expected[600];
	(void)state;
	snprintf(domain, sizeof(domain), "%s.%s.%s.%s.%s.com", l49, l49, l49, l49, l49);
	snprintf(expected, sizeof(expected),
	         "%s.%s.%s.%s.com %s.%s.%s.com %s.%s.com %s.com com -> %s.com", l49, l49, l49, l49,
	         l49, l49, l49, l49, l49, l49, l49);
	char facts[200];
	snprintf(facts, sizeof(facts), "_dmarc.%s.com TXT \"v=DMARC1; p=none\"\n", l49);
	check_walk(facts, domain, expected);
}

static void each_name_is_asked_once(void **state)
{
	struct fixture f;
	struct message message = {
	        example_facts, "a@x.y.example.com",
	        "spf:z.y.example.com=pass dkim:x.y.example.com=pass dkim:y.example.com=pass "
	        "dkim:evil.example=pass dkim:q.evil.example=pass dkim:a.b.c.evil.example=pass",
	        DMARC_TREE_WALK, DMARC_NO_SAMPLING};
	(void)state;
	open_fixture(&f, message.facts);
	evaluate(&f, &message);
	assert_int_equal(f.result.result, MAILAUTH_PASS);
	/* x.y, y, example.com, com; z.y. Nothing of strangers. */
	assert_int_equal(f.result.evidence.n, 5);
	close_fixture(&f);
}

/* --- discovery and policy --- */

static void policies_come_from_their_tags(void **state)
{
	static const char facts[] =
	        "_dmarc.example.com TXT \"v=DMARC1; p=reject; sp=quarantine; np=none\"\n"
	        "is.example.com A 192.0.2.1\n"
	        "below.is.example.com A 192.0.2.1\n"
	        "alias.example.com CNAME nowhere.example.net\n"
	        "_dmarc.delegated.example.com CNAME nowhere.example.net\n"
	        "mx.example.com MX 0 .\n"
	        "_dmarc.own.example.com TXT \"v=DMARC1; p=none; sp=reject\"\n"
	        "sub.own.example.com A 192.0.2.1\n"
	        "_dmarc.plain.example TXT \"v=DMARC1; p=quarantine\"\n"
	        "_dmarc.np.example TXT \"v=DMARC1; p=none; np=reject\"\n"
	        "is.np.example A 192.0.2.1\n";
	static const struct check checks[] = {
	        {"a@example.com", "", "fail reject(p) at example.com author"},
	        {"a@is.example.com", "",
	         "fail quarantine(sp) at example.com organization org=example.com exists"},
	        {"a@gone.example.com", "",
	         "fail none(np) at example.com organization org=example.com nonexistent"},
	        {"a@gone.is.example.com", "",
	         "fail none(np) at example.com organization org=example.com nonexistent"},
	        {"a@mx.example.com", "",
	         "fail quarantine(sp) at example.com organization org=example.com exists"},
	        /* aliases exist, wherever they lead */
	        {"a@alias.example.com", "",
	         "fail quarantine(sp) at example.com organization org=example.com exists"},
	        {"a@delegated.example.com", "",
	         "fail quarantine(sp) at example.com organization org=example.com exists"},
	        {"a@own.example.com", "", "fail none(p) at own.example.com author"},
	        /* the record between does not count: RFC 9989 section 4.10.1 */
	        {"a@sub.own.example.com", "",
	         "fail quarantine(sp) at example.com organization org=example.com exists"},
	        {"a@x.plain.example", "",
	         "fail quarantine(p) at plain.example organization org=plain.example"},
	        {"a@is.np.example", "",
	         "fail none(p) at np.example organization org=np.example exists"},
	        {"a@no.np.example", "",
	         "fail reject(np) at np.example organization org=np.example nonexistent"},
	        {"a@other.example", "", "none org=other.example"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
	check_all(facts, DMARC_PUBLIC_SUFFIX, checks, N_ELEMENTS(checks));
}

static void both_ways_of_discovery_differ_where_they_should(void **state)
{
	static const char facts[] = "_dmarc.mail.example.co.uk TXT \"v=DMARC1; p=reject\"\n"
	                            "_dmarc.uk TXT \"v=DMARC1; p=none; sp=reject; psd=y\"\n"
	                            "_dmarc.two.example TXT \"v=DMARC1; p=reject\"\n"
	                            "_dmarc.two.example TXT \"v=DMARC1; p=reject\"\n"
	                            "_dmarc.x.three.example TXT \"v=DMARC1; p=reject\"\n"
	                            "_dmarc.x.three.example TXT \"v=DMARC1; p=reject\"\n"
	                            "_dmarc.three.example TXT \"v=DMARC1; p=quarantine\"\n";
	static const struct check walk[] = {
	        {"a@x.mail.example.co.uk", "", "fail reject(sp) at uk suffix org=co.uk"},
	        {"a@mail.example.co.uk", "dkim:example.co.uk=pass",
	         "pass at mail.example.co.uk author org=co.uk [relaxed]"},
	        {"a@two.example", "", "none org=two.example several"},
	        {"a@x.three.example", "",
	         "fail quarantine(p) at three.example organization org=three.example several"},
	};
	static const struct check list[] = {
	        {"a@x.mail.example.co.uk", "", "none org=example.co.uk"},
	        {"a@mail.example.co.uk", "dkim:example.co.uk=pass",
	         "pass at mail.example.co.uk author org=example.co.uk [relaxed]"},
	        {"a@mail.example.co.uk", "dkim:other.co.uk=pass dkim:co.uk=pass",
	         "fail reject(p) at mail.example.co.uk author org=example.co.uk [no no]"},
	        {"a@two.example", "", "none org=two.example several"},
	        {"a@x.three.example", "", "none org=three.example several"},
	        {"a@co.uk", "", "none org=co.uk"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, walk, N_ELEMENTS(walk));
	check_all(facts, DMARC_PUBLIC_SUFFIX, list, N_ELEMENTS(list));
}

static void strict_alignment_is_strict(void **state)
{
	static const char facts[] =
	        "_dmarc.example.com TXT \"v=DMARC1; p=reject; adkim=s; aspf=s\"\n"
	        "_dmarc.half.example TXT \"v=DMARC1; p=reject; adkim=s\"\n";
	static const struct check checks[] = {
	        {"a@example.com", "spf:example.com=pass", "pass at example.com author [strict]"},
	        {"a@example.com", "spf:EXAMPLE.com=pass", "pass at example.com author [strict]"},
	        {"a@example.com", "spf:example.com.=pass", "pass at example.com author [strict]"},
	        {"a@example.com", "spf:m.example.com=pass dkim:m.example.com=pass",
	         "fail reject(p) at example.com author [no no]"},
	        {"a@half.example", "dkim:m.half.example=pass",
	         "fail reject(p) at half.example author [no]"},
	        {"a@half.example", "spf:m.half.example=pass dkim:m.half.example=pass",
	         "pass at half.example author org=half.example [relaxed no]"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
	check_all(facts, DMARC_PUBLIC_SUFFIX, checks, N_ELEMENTS(checks));
}

static void only_a_pass_is_a_pass(void **state)
{
	static const struct check checks[] = {
	        {"a@example.com", "", "fail reject(p) at example.com author"},
	        {"a@example.com", "spf:example.com=softfail dkim:example.com=fail",
	         "fail reject(p) at example.com author [no no]"},
	        {"a@example.com", "spf:example.com=neutral dkim:example.com=policy",
	         "fail reject(p) at example.com author [no no]"},
	        {"a@example.com", "spf:example.com=none dkim:example.com=permerror",
	         "fail reject(p) at example.com author [no no]"},
	        {"a@example.com", "spf:=pass dkim:..=pass",
	         "fail reject(p) at example.com author [no no]"},
	        {"a@example.com", "spf:com=pass dkim:ample.com=pass dkim:xexample.com=pass",
	         "fail reject(p) at example.com author org=example.com [no no no]"},
	};
	(void)state;
	check_all(example_facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
}

static void international_domains_meet(void **state)
{
	static const char facts[] = "_dmarc.xn--bcher-kva.example TXT \"v=DMARC1; p=reject\"\n";
	static const struct check checks[] = {
	        {"a@b\xc3\xbc"
	         "cher.example",
	         "dkim:xn--bcher-kva.example=pass",
	         "pass at xn--bcher-kva.example author [strict]"},
	        {"a@XN--bcher-KVA.example",
	         "dkim:b\xc3\xbc"
	         "cher.example=pass",
	         "pass at xn--bcher-kva.example author [strict]"},
	        {"a@m.b\xc3\xbc"
	         "cher.example",
	         "spf:b\xc3\x9c"
	         "cher.example=pass",
	         "pass at xn--bcher-kva.example organization org=xn--bcher-kva.example "
	         "[relaxed]"},
	        {"a@b\xc3\xbc"
	         "cher.example",
	         "dkim:bucher.example=pass",
	         "fail reject(p) at xn--bcher-kva.example author "
	         "org=xn--bcher-kva.example [no]"},
	        {"a@b\xc3\xbc"
	         "cher.example",
	         "dkim:b\xff.example=pass", "fail reject(p) at xn--bcher-kva.example author [no]"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
}

static void testing_and_sampling_take_a_level_off(void **state)
{
	static const char facts[] = "_dmarc.r.example TXT \"v=DMARC1; p=reject; t=y\"\n"
	                            "_dmarc.q.example TXT \"v=DMARC1; p=quarantine; t=y\"\n"
	                            "_dmarc.n.example TXT \"v=DMARC1; p=none; t=y\"\n"
	                            "_dmarc.p25.example TXT \"v=DMARC1; p=reject; pct=25\"\n"
	                            "_dmarc.p0.example TXT \"v=DMARC1; p=quarantine; pct=0\"\n"
	                            "_dmarc.both.example TXT \"v=DMARC1; p=reject; pct=0; t=y\"\n";
	static const struct {
		const char *from;
		int sample;
		const char *expected;
	} cases[] = {
	        {"a@r.example", DMARC_NO_SAMPLING, "fail quarantine(p)<reject at r.example author"},
	        {"a@q.example", DMARC_NO_SAMPLING, "fail none(p)<quarantine at q.example author"},
	        {"a@n.example", DMARC_NO_SAMPLING, "fail none(p) at n.example author"},
	        {"a@p25.example", DMARC_NO_SAMPLING, "fail reject(p) at p25.example author"},
	        {"a@p25.example", 0, "fail reject(p) at p25.example author"},
	        {"a@p25.example", 24, "fail reject(p) at p25.example author"},
	        {"a@p25.example", 25, "fail quarantine(p)<reject at p25.example author"},
	        {"a@p25.example", 99, "fail quarantine(p)<reject at p25.example author"},
	        {"a@p0.example", 0, "fail none(p)<quarantine at p0.example author"},
	        {"a@both.example", 50, "fail quarantine(p)<reject at both.example author"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct message message = {facts, cases[i].from, "", DMARC_TREE_WALK,
		                          cases[i].sample};
		check(&message, cases[i].expected);
	}
}

/* RFC 9989 section 4.10.1. */
static void defective_records_are_said_to_be(void **state)
{
	static const char facts[] =
	        "_dmarc.nothing.example TXT \"v=DMARC1; p=refuse\"\n"
	        "_dmarc.reports.example TXT \"v=DMARC1; p=refuse; rua=mailto:a@reports.example\"\n"
	        "_dmarc.sub.example TXT \"v=DMARC1; p=reject; sp=x; rua=mailto:a@b.example\"\n"
	        "_dmarc.other.example TXT \"v=spf1 -all\"\n"
	        "_dmarc.other.example TXT \"v=DMARC1; p=reject\"\n"
	        "_dmarc.case.example TXT \"v=dmarc1; p=reject\"\n"
	        "_dmarc.strings.example TXT \"v=DM\" \"ARC1; p=rej\" \"ect\"\n";
	static const struct check checks[] = {
	        {"a@nothing.example", "dkim:nothing.example=pass",
	         "permerror at nothing.example author"},
	        {"a@x.nothing.example", "",
	         "permerror at nothing.example organization org=nothing.example"},
	        {"a@reports.example", "", "fail at reports.example author"},
	        {"a@reports.example", "dkim:reports.example=pass",
	         "pass at reports.example author [strict]"},
	        {"a@sub.example", "", "fail at sub.example author"},
	        {"a@other.example", "", "fail reject(p) at other.example author"},
	        {"a@case.example", "", "none org=case.example"},
	        {"a@strings.example", "", "fail reject(p) at strings.example author"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
	check_all(facts, DMARC_PUBLIC_SUFFIX, checks, N_ELEMENTS(checks));
}

static void aliases_of_records_are_followed(void **state)
{
	static const char facts[] = "_dmarc.a.example CNAME a._dmarc.host.example secure\n"
	                            "a._dmarc.host.example TXT \"v=DMARC1; p=reject\" secure\n"
	                            "_dmarc.b.example CNAME gone.host.example\n";
	static const struct check checks[] = {
	        {"x@a.example", "", "fail reject(p) at a.example author"},
	        {"x@b.example", "", "none org=b.example"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
}

/* --- failing lookups --- */

static void failed_lookups_are_neither_none_nor_fail(void **state)
{
	static const char facts[] = "_dmarc.down.example TXT servfail\n"
	                            "_dmarc.slow.example TXT timeout\n"
	                            "_dmarc.bad.example TXT bogus\n"
	                            "_dmarc.refused.example TXT refused\n"
	                            "_dmarc.np.example TXT \"v=DMARC1; p=none; np=reject\"\n"
	                            "gone.np.example A servfail\n"
	                            "_dmarc.gone.np.example TXT nxdomain\n"
	                            "odd.np.example A refused\n"
	                            "_dmarc.odd.np.example TXT nxdomain\n"
	                            "_dmarc.up.example TXT \"v=DMARC1; p=reject\"\n"
	                            "_dmarc.part.up.example TXT servfail\n"
	                            "_dmarc.s.strict.example TXT servfail\n"
	                            "_dmarc.strict.example TXT \"v=DMARC1; p=reject; adkim=s\"\n";
	static const struct check checks[] = {
	        {"a@down.example", "dkim:down.example=pass", "temperror"},
	        {"a@x.down.example", "", "temperror"},
	        {"a@slow.example", "", "temperror"},
	        {"a@bad.example", "", "temperror"},
	        {"a@refused.example", "", "permerror"},
	        {"a@gone.np.example", "", "temperror at np.example organization org=np.example"},
	        {"a@odd.np.example", "", "permerror at np.example organization org=np.example"},
	        /* a pass needs no existence */
	        {"a@gone.np.example", "dkim:np.example=pass",
	         "pass at np.example organization org=np.example [relaxed]"},
	        /* an identity whose organisation is not known */
	        {"a@up.example", "dkim:part.up.example=pass",
	         "temperror at up.example author org=up.example [unknown]"},
	        {"a@up.example", "dkim:part.up.example=pass dkim:up.example=pass",
	         "pass at up.example author org=up.example [unknown strict]"},
	        {"a@up.example", "dkim:part.up.example=fail",
	         "fail reject(p) at up.example author [no]"},
	        {"a@strict.example", "dkim:s.strict.example=pass",
	         "fail reject(p) at strict.example author [no]"},
	};
	static const char above[] = "_dmarc.example.com TXT \"v=DMARC1; p=reject\"\n"
	                            "_dmarc.com TXT servfail\n";
	static const struct check above_checks[] = {
	        {"a@example.com", "dkim:example.com=pass", "pass at example.com author [strict]"},
	        {"a@example.com", "", "fail reject(p) at example.com author"},
	        {"a@example.com", "dkim:m.example.com=pass",
	         "temperror at example.com author [unknown]"},
	        {"a@m.example.com", "", "temperror"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
	check_all(above, DMARC_TREE_WALK, above_checks, N_ELEMENTS(above_checks));
}

static void temporary_errors_of_aligned_identities_count(void **state)
{
	static const struct check checks[] = {
	        {"a@example.com", "spf:example.com=temperror",
	         "temperror at example.com author [no]"},
	        {"a@example.com", "dkim:m.example.com=temperror",
	         "temperror at example.com author org=example.com [no]"},
	        /* a stranger's error delays nothing */
	        {"a@example.com", "dkim:evil.example=temperror",
	         "fail reject(p) at example.com author org=example.com [no]"},
	        {"a@example.com", "spf:example.com=temperror dkim:example.com=pass",
	         "pass at example.com author [no strict]"},
	        {"a@example.com", "spf:example.com=permerror",
	         "fail reject(p) at example.com author [no]"},
	};
	(void)state;
	check_all(example_facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
}

/* Each lookup in turn fails in each way: never a wrong word. */
static void any_lookup_may_fail(void **state)
{
	static const char *const names[] = {"_dmarc.x.example.com TXT", "_dmarc.example.com TXT",
	                                    "_dmarc.com TXT", "x.example.com A",
	                                    "_dmarc.m.example.com TXT"};
	static const char *const ways[] = {"servfail", "timeout", "refused", "bogus"};
	static const char rest[] = "_dmarc.example.com TXT \"v=DMARC1; p=quarantine; np=reject\"\n";
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		for (size_t way = 0; way < N_ELEMENTS(ways); way++) {
			char facts[400];
			struct fixture f;
			snprintf(facts, sizeof(facts), "%s %s\n%s", names[i], ways[way], rest);
			struct message message = {facts, "a@x.example.com",
			                          "dkim:m.example.com=pass", DMARC_TREE_WALK,
			                          DMARC_NO_SAMPLING};
			open_fixture(&f, facts);
			evaluate(&f, &message);
			bool permanent = way == 2;
			/* The author's existence does not matter to a pass. */
			enum mailauth_result expected = i == 3      ? MAILAUTH_PASS
			                                : permanent ? MAILAUTH_PERMERROR
			                                            : MAILAUTH_TEMPERROR;
			assert_int_equal(f.result.result, expected);
			assert_int_equal(f.result.policy, DMARC_NONE);
			assert_true(i == 3 || strstr(f.result.why, "failed"));
			close_fixture(&f);
		}
}

static void memory_is_bounded(void **state)
{
	size_t n_finished = 0;
	(void)state;
	for (size_t budget = 2000; budget < 120000; budget += 200) {
		struct fixture f;
		struct message message = {example_facts, "a@child.example.com",
		                          "spf:evil.example=pass dkim:m.example.com=fail",
		                          DMARC_TREE_WALK, DMARC_NO_SAMPLING};
		open_fixture(&f, message.facts);
		struct mailauth_author author = {.kind = MAILAUTH_AUTHOR_FOUND,
		                                 .domain = {"child.example.com"}};
		struct dmarc_question question = {.identities = f.identities,
		                                  .n_identities =
		                                          read_identities(&f, message.identities),
		                                  .sample = DMARC_NO_SAMPLING};
		f.arena.budget = budget;
		dmarc_evaluate(&f.dns, &author, &question, &f.result);
		if (f.result.result == MAILAUTH_FAIL) {
			assert_int_equal(f.result.policy, DMARC_REJECT);
			n_finished++;
		} else {
			assert_int_equal(f.result.result, MAILAUTH_TEMPERROR);
			assert_int_equal(f.result.policy, DMARC_NONE);
		}
		close_fixture(&f);
	}
	assert_true(n_finished > 100 && n_finished < 590);
}

static void identities_are_bounded(void **state)
{
	struct fixture f;
	struct mailauth_author author = {.kind = MAILAUTH_AUTHOR_FOUND, .domain = {"example.com"}};
	enum { N = DMARC_IDENTITIES_MAX + 50 };
	struct dmarc_identity *identities = base_alloc(N * sizeof(*identities));
	(void)state;
	open_fixture(&f, example_facts);
	for (size_t i = 0; i < N; i++) {
		const char *domain = arena_printf(&f.arena, "a.b.c%zu.example.com", i);
		identities[i] =
		        (struct dmarc_identity){DMARC_DKIM, slice_str(domain), MAILAUTH_TEMPERROR};
	}
	struct dmarc_question question = {
	        .identities = identities, .n_identities = N, .sample = DMARC_NO_SAMPLING};
	dmarc_evaluate(&f.dns, &author, &question, &f.result);
	assert_int_equal(f.result.result, MAILAUTH_TEMPERROR);
	assert_int_equal(f.result.n_alignments, DMARC_IDENTITIES_MAX);
	assert_true(f.result.evidence.n <= MAILAUTH_LOOKUPS_MAX);
	close_fixture(&f);
	base_free(identities);
}

/* --- no author domain --- */

static void without_an_author_nothing_passes(void **state)
{
	static const char facts[] = "_dmarc.n.example TXT \"v=DMARC1; p=none\"\n"
	                            "_dmarc.q.example TXT \"v=DMARC1; p=quarantine\"\n"
	                            "_dmarc.r.example TXT \"v=DMARC1; p=reject\"\n"
	                            "_dmarc.down.example TXT servfail\n";
	static const struct check checks[] = {
	        {"", "dkim:r.example=pass", "permerror"},
	        {"a@n.example, a@r.example, a@q.example",
	         "dkim:r.example=pass dkim:n.example=pass dkim:q.example=pass",
	         "permerror reject(p) at r.example author"},
	        {"a@none.example, a@q.example", "dkim:q.example=pass",
	         "permerror quarantine(p) at q.example author"},
	        {"a@r.example <a@n.example>", "dkim:n.example=pass",
	         "permerror reject(p) at r.example author"},
	        {"a@down.example, a@r.example", "", "permerror reject(p) at r.example author"},
	        {"a@[192.0.2.1]", "", "permerror"},
	};
	(void)state;
	check_all(facts, DMARC_TREE_WALK, checks, N_ELEMENTS(checks));
}

/* --- evidence and story --- */

static void the_weakest_answer_counts(void **state)
{
	static const char secure[] = "_dmarc.example.com TXT \"v=DMARC1; p=reject\" secure\n";
	struct fixture f;
	struct message message = {secure, "a@example.com", "dkim:example.com=pass", DMARC_TREE_WALK,
	                          DMARC_NO_SAMPLING};
	(void)state;
	open_fixture(&f, message.facts);
	evaluate(&f, &message);
	assert_string_equal(mailauth_evidence_word(&f.result.evidence), "secure");
	close_fixture(&f);
	/* the walk to _dmarc.com is not secured */
	message.identities = "dkim:m.example.com=pass";
	open_fixture(&f, message.facts);
	evaluate(&f, &message);
	assert_int_equal(f.result.result, MAILAUTH_PASS);
	assert_string_equal(mailauth_evidence_word(&f.result.evidence), "insecure");
	close_fixture(&f);
}

static void the_story_tells_every_step(void **state)
{
	static const char facts[] =
	        "_dmarc.example.com TXT \"v=DMARC1; p=reject; x; sp=quarantine\" secure\n"
	        "_dmarc.two.example.com TXT \"v=DMARC1; p=none\"\n"
	        "_dmarc.two.example.com TXT \"v=DMARC1; p=none\"\n";
	static const char expected[] =
	        "the author domain is two.example.com\n"
	        "two.example.com has 2 DMARC records: none of them counts (insecure)\n"
	        "example.com has the DMARC record \"v=DMARC1; p=reject; x; sp=quarantine\" "
	        "(secure)\n"
	        "in the record of example.com: x: a tag without '=', which is passed over\n"
	        "com has no DMARC record: no such name (insecure)\n"
	        "the organizational domain of two.example.com is example.com: the shortest name "
	        "with a record\n"
	        "the record of example.com (organization): a DMARC record applies\n"
	        "spf=softfail for example.com: alignment no, it did not pass\n"
	        "dkim=pass for evil.example: alignment no, not of the same organization\n"
	        "the policy for what does not pass is quarantine, by tag sp\n"
	        "dmarc=fail: no pass of SPF or DKIM is aligned with the author domain\n";
	struct fixture f;
	struct message message = {facts, "a@two.example.com",
	                          "spf:example.com=softfail dkim:evil.example=pass",
	                          DMARC_TREE_WALK, DMARC_NO_SAMPLING};
	(void)state;
	open_fixture(&f, message.facts);
	evaluate(&f, &message);
	mailauth_story_print(&f.result.story, &f.got);
	assert_string_equal(buf_cstr(&f.got), expected);
	close_fixture(&f);
}

static void hostile_records_stay_in_their_line(void **state)
{
	struct fixture f;
	struct message message = {
	        "_dmarc.example.com TXT \"v=DMARC1; p=reject; x=\r\x01\x7f\xff\"\n",
	        "a@example.com", "", DMARC_TREE_WALK, DMARC_NO_SAMPLING};
	(void)state;
	open_fixture(&f, message.facts);
	evaluate(&f, &message);
	for (size_t i = 0; i < f.result.story.n; i++) {
		struct slice step = slice_str(f.result.story.v[i]);
		assert_true(slice_is_ascii(step) && !slice_has_control(step));
		assert_null(strchr(f.result.story.v[i], 1));
	}
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(alignment_examples),
	        cmocka_unit_test(receiver_example),
	        cmocka_unit_test(tree_walk_examples),
	        cmocka_unit_test(walks_ask_eight_names_at_most),
	        cmocka_unit_test(walks_end_where_a_record_says_so),
	        cmocka_unit_test(names_too_long_for_a_record_have_none),
	        cmocka_unit_test(each_name_is_asked_once),
	        cmocka_unit_test(policies_come_from_their_tags),
	        cmocka_unit_test(both_ways_of_discovery_differ_where_they_should),
	        cmocka_unit_test(strict_alignment_is_strict),
	        cmocka_unit_test(only_a_pass_is_a_pass),
	        cmocka_unit_test(international_domains_meet),
	        cmocka_unit_test(testing_and_sampling_take_a_level_off),
	        cmocka_unit_test(defective_records_are_said_to_be),
	        cmocka_unit_test(aliases_of_records_are_followed),
	        cmocka_unit_test(failed_lookups_are_neither_none_nor_fail),
	        cmocka_unit_test(temporary_errors_of_aligned_identities_count),
	        cmocka_unit_test(any_lookup_may_fail),
	        cmocka_unit_test(memory_is_bounded),
	        cmocka_unit_test(identities_are_bounded),
	        cmocka_unit_test(without_an_author_nothing_passes),
	        cmocka_unit_test(the_weakest_answer_counts),
	        cmocka_unit_test(the_story_tells_every_step),
	        cmocka_unit_test(hostile_records_stay_in_their_line),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
