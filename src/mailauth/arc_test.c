/* Chains: sealed and verified again, every rule of their structure broken once, limits. */
#include "mailauth/arc_private.h"
#include "mailauth/dkim_testing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

static const char plain[] = "From: Ada <ada@example.com>\r\n"
                            "To: list@example.org\r\n"
                            "Subject: engines\r\n"
                            "\r\n"
                            "text\r\n";

struct fixture {
	struct testing_key rsa, ed25519;
	struct dns_table table;
	struct buf message, out;
};

static int set_up(void **state)
{
	struct fixture *f = base_alloc(sizeof(*f));
	testing_key_init(&f->rsa, DKIM_KEY_RSA);
	testing_key_init(&f->ed25519, DKIM_KEY_ED25519);
	buf_init(&f->message, 4 * MIB);
	buf_init(&f->out, MIB);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	testing_key_done(&f->rsa);
	testing_key_done(&f->ed25519);
	buf_done(&f->message);
	buf_done(&f->out);
	base_free(f);
	return 0;
}

static int begin(void **state)
{
	struct fixture *f = *state;
	dns_table_init(&f->table);
	testing_tell(&f->table, "rsa._domainkey.list.example", buf_cstr(&f->rsa.record));
	testing_tell(&f->table, "ed._domainkey.list.example", buf_cstr(&f->ed25519.record));
	buf_reset(&f->message);
	buf_add_str(&f->message, plain);
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;
	dns_table_done(&f->table);
	return 0;
}

/* --- verifying --- */

static void print_chain(const struct arc_result *r, struct buf *out)
{
	buf_printf(out, "%s%s%s%s", mailauth_result_name(r->result), *r->why ? ": " : "", r->why,
	           r->temporary ? " (temporary)" : "");
	if (r->has_oldest_pass)
		buf_printf(out, " oldest=%u", r->oldest_pass);
	for (size_t i = 0; i < r->n_sets; i++)
		buf_printf(out, " %u:%s/%s", r->sets[i].instance,
		           mailauth_result_name(r->sets[i].message_result),
		           mailauth_result_name(r->sets[i].seal_result));
}

static void verify(struct fixture *f, size_t n_fetched)
{
	struct dkim_options options = {.now_s = TESTING_NOW_S};
	struct slice message = buf_slice(&f->message);
	struct dkim_verifier *v;
	struct arc_chain *chain;
	struct arc_result result;
	struct mailauth_dns dns;
	struct arena arena;
	arena_init(&arena, DKIM_VERIFIER_ARENA);
	testing_dns(&dns, &f->table.resolver, &arena);
	assert_true(is_ok(dkim_verifier_new(testing_header(message), &options, &arena, &v)));
	assert_true(is_ok(arc_chain_new(v, &chain)));
	for (size_t i = 0; i < MIN(dkim_verifier_n_keys(v), n_fetched); i++)
		dkim_verifier_fetch_key(v, i, &dns);
	dkim_verifier_feed(v, testing_body(message));
	dkim_verifier_finish(v);
	arc_chain_finish(chain, &result);
	buf_reset(&f->out);
	print_chain(&result, &f->out);
	dkim_verifier_free(v);
	arena_done(&arena);
}

static void check(struct fixture *f, const char *expected)
{
	verify(f, SIZE_MAX);
	assert_string_equal(buf_cstr(&f->out), expected);
}

/* --- sealing --- */

static struct arc_seal_options by(const struct fixture *f, enum arc_cv cv)
{
	return (struct arc_seal_options){
	        .domain = SLICE("list.example"),
	        .selector = SLICE("ed"),
	        .key = &f->ed25519.signer,
	        .results = SLICE("list.example; arc=none; spf=pass smtp.mailfrom=example.com"),
	        .cv = cv,
	        .now_s = TESTING_NOW_S,
	};
}

static struct status seal(struct fixture *f, struct arc_seal_options options,
                          unsigned *ret_instance)
{
	struct buf whole;
	struct slice message = buf_slice(&f->message);
	struct dkim_body *body = dkim_body_new(1u << options.body_canon);
	buf_init(&whole, 4 * MIB);
	dkim_body_feed(body, testing_body(message));
	dkim_body_finish(body);
	struct status status =
	        arc_seal(testing_header(message), body, &options, &whole, ret_instance);
	buf_add(&whole, message);
	if (is_ok(status)) {
		buf_reset(&f->message);
		buf_add(&f->message, buf_slice(&whole));
	}
	dkim_body_free(body);
	buf_done(&whole);
	return status;
}

static void seal_by(struct fixture *f, struct arc_seal_options options, unsigned expected)
{
	unsigned instance = 99;
	assert_true(is_ok(seal(f, options, &instance)));
	assert_int_equal(instance, expected);
}

/* Replaces the first occurrence. */
static void replace(struct fixture *f, const char *old, const char *new)
{
	struct buf out;
	struct slice message = buf_slice(&f->message);
	size_t at = slice_find(message, slice_str(old));
	assert_true(at != SIZE_MAX);
	buf_init(&out, 4 * MIB);
	buf_add(&out, slice_sub(message, 0, at));
	buf_add_str(&out, new);
	buf_add(&out, slice_from(message, at + strlen(old)));
	buf_reset(&f->message);
	buf_add(&f->message, buf_slice(&out));
	buf_done(&out);
}

static void set_message(struct fixture *f, struct slice message)
{
	buf_reset(&f->message);
	buf_add(&f->message, message);
}

/* --- tests --- */

static void what_is_sealed_passes(void **state)
{
	struct fixture *f = *state;
	check(f, "none");
	seal_by(f, by(f, ARC_CV_NONE), 1);
	check(f, "pass oldest=0 1:pass/pass");
	struct arc_seal_options second = by(f, ARC_CV_PASS);
	second.selector = SLICE("rsa");
	second.key = &f->rsa.signer;
	second.header_canon = second.body_canon = DKIM_SIMPLE;
	seal_by(f, second, 2);
	seal_by(f, by(f, ARC_CV_PASS), 3);
	check(f, "pass oldest=0 1:pass/pass 2:pass/pass 3:pass/pass");
	assert_int_equal(f->table.n_lookups, 1 + 2);
}

static void the_fields_are_written_as_they_are_documented(void **state)
{
	struct fixture *f = *state;
	seal_by(f, by(f, ARC_CV_NONE), 1);
	struct slice message = buf_slice(&f->message), head, rest;
	static const char *const lines[] = {
	        "ARC-Seal: i=1; a=ed25519-sha256; cv=none; d=list.example; s=ed; t=1700000000;",
	        "\tb=",
	        "\t",
	        "ARC-Message-Signature: i=1; a=ed25519-sha256; c=relaxed/relaxed;",
	        "\td=list.example; s=ed; t=1700000000; h=From:From:Reply-To:To:To:Cc:",
	        "\tSubject:Subject:Date:Message-ID:Content-Type;",
	        "\tbh=",
	        "\tb=",
	        "\t",
	        "ARC-Authentication-Results: i=1; list.example; arc=none; spf=pass",
	        " smtp.mailfrom=example.com",
	        "From: ",
	};
	for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
		assert_true(slice_cut(message, '\n', &head, &rest));
		head.n--;
		assert_true(slice_starts(head, slice_str(lines[i])));
		message = rest;
	}
}

static void a_later_change_tells_the_oldest_that_passes(void **state)
{
	struct fixture *f = *state;
	seal_by(f, by(f, ARC_CV_NONE), 1);
	replace(f, "Subject: engines", "Subject: [list] engines");
	seal_by(f, by(f, ARC_CV_PASS), 2);
	seal_by(f, by(f, ARC_CV_PASS), 3);
	check(f, "pass oldest=2 1:fail/pass 2:pass/pass 3:pass/pass");
	replace(f, "\r\n\r\ntext", "\r\n\r\nTEXT");
	check(f, "fail: has a message signature of instance 3 that is for another body: it was "
	         "changed 1:none/none 2:none/none 3:fail/none");
}

static void dkim_signatures_are_signed_too(void **state)
{
	struct fixture *f = *state;
	buf_reset(&f->message);
	buf_add_str(&f->message, "DKIM-Signature: v=1\r\nDKIM-Signature: v=2\r\n");
	buf_add_str(&f->message, plain);
	seal_by(f, by(f, ARC_CV_NONE), 1);
	assert_non_null(strstr(buf_cstr(&f->message), ":DKIM-Signature:\r\n\tDKIM-Signature;"));
	check(f, "pass oldest=0 1:pass/pass");
	replace(f, "v=2\r\n", "v=3\r\n");
	check(f, "fail: has a message signature of instance 1 that does not fit its key: what it "
	         "signs was changed, or another key made it 1:fail/none");
}

#define SEAL_BROKEN " that does not fit its key: what it signs was changed, or another key made it"

static void every_set_is_sealed(void **state)
{
	static const struct {
		const char *old, *new, *expected;
	} cases[] = {
	        {"\r\nARC-Authentication-Results: i=1; list.example; arc=none",
	         "\r\nARC-Authentication-Results: i=1; list.example; arc=pass",
	         "fail: has a seal of instance 2" SEAL_BROKEN " 1:none/none 2:pass/fail"},
	        {"i=2; list.example; arc=none", "i=2; list.example; arc=pass",
	         "fail: has a seal of instance 2" SEAL_BROKEN " 1:none/none 2:pass/fail"},
	        {"cv=pass; d", "cv=pass;  d", "pass oldest=0 1:pass/pass 2:pass/pass"},
	        {"cv=pass; d", "cv=PASS; d",
	         "fail: has a seal of instance 2" SEAL_BROKEN " 1:none/none 2:pass/fail"},
	        {"ARC-Seal: i=2", "arc-seal:i=2", "pass oldest=0 1:pass/pass 2:pass/pass"},
	};
	struct fixture *f = *state;
	struct buf good;
	buf_init(&good, MIB);
	seal_by(f, by(f, ARC_CV_NONE), 1);
	seal_by(f, by(f, ARC_CV_PASS), 2);
	buf_add(&good, buf_slice(&f->message));
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		set_message(f, buf_slice(&good));
		replace(f, cases[i].old, cases[i].new);
		check(f, cases[i].expected);
	}
	buf_done(&good);
}

static void structure_is_checked(void **state)
{
	/* i=1 or i=2 of a field's name: removed, doubled or changed. */
	static const struct {
		const char *old, *new, *expected;
	} cases[] = {
	        {"ARC-Seal: i=2", "X: i=2", "fail: lacks the seal of an instance"},
	        {"ARC-Message-Signature: i=2", "X: i=2",
	         "fail: lacks the message signature of an instance"},
	        {"ARC-Authentication-Results: i=2", "X: i=2",
	         "fail: lacks the results of an instance"},
	        {"ARC-Seal: i=1", "X: i=1", "fail: lacks the seal of an instance"},
	        {"ARC-Message-Signature: i=1", "X: i=1",
	         "fail: lacks the message signature of an instance"},
	        {"ARC-Authentication-Results: i=1", "X: i=1",
	         "fail: lacks the results of an instance"},
	        {"ARC-Seal: i=2", "ARC-Seal: i=1", "fail: has two seals of one instance"},
	        {"ARC-Message-Signature: i=2", "ARC-Message-Signature: i=01",
	         "fail: has two message signatures of one instance"},
	        {"ARC-Authentication-Results: i=2", "ARC-Authentication-Results: i=1",
	         "fail: has two ARC-Authentication-Results of one instance"},
	        {"ARC-Seal: i=2", "ARC-Seal: i=3", "fail: lacks the seal of an instance"},
	        {"ARC-Seal: i=2", "ARC-Seal: i=0",
	         "fail: has an ARC-Seal that cannot be read: i= is no number from 1 to 50"},
	        {"ARC-Seal: i=2", "ARC-Seal: i=51",
	         "fail: has an ARC-Seal that cannot be read: i= is no number from 1 to 50"},
	        {"ARC-Seal: i=2;",
	         "ARC-Seal:", "fail: has an ARC-Seal that cannot be read: i= is missing"},
	        {"ARC-Seal: i=2;", "ARC-Seal: i=2; h=from;",
	         "fail: has an ARC-Seal that cannot be read: a seal has h="},
	        {"ARC-Seal: i=2;", "ARC-Seal: garbage",
	         "fail: has an ARC-Seal that cannot be read: a tag without '='"},
	        {"ARC-Seal: i=2", "ARC-Seal: (comment) i=2",
	         "fail: has an ARC-Seal that cannot be read: a tag without a name"},
	        {"ARC-Seal: i=2", "ARC-Seal: i=2; i=2",
	         "fail: has an ARC-Seal that cannot be read: a tag occurs twice"},
	        {"cv=pass", "cv=none", "fail: has a later seal that does not say cv=pass"},
	        {"cv=none", "cv=pass", "fail: does not begin with a seal that says cv=none"},
	        {"cv=pass", "cv=fail", "fail: was marked as failed by its last sealer"},
	        {"cv=none", "cv=fail", "fail: does not begin with a seal that says cv=none"},
	        {"cv=pass", "cv=maybe",
	         "fail: has an ARC-Seal that cannot be read: cv= is none of none, pass and fail"},
	        {"Results: i=2;", "Results: i=2",
	         "fail: has an ARC-Authentication-Results that cannot be read"},
	        {"Results: i=2;", "Results: I=2;",
	         "fail: has an ARC-Authentication-Results that cannot be read"},
	        {"Results: i=2;", "Results: list.example; i=2;",
	         "fail: has an ARC-Authentication-Results that cannot be read"},
	        {"Results: i=2;", "Results: i=51;",
	         "fail: has an ARC-Authentication-Results that cannot be read"},
	        {"Results: i=2;", "Results: i=002;",
	         "fail: has an ARC-Authentication-Results that cannot be read"},
	        {"Results: i=2;", "Results: i=;",
	         "fail: has an ARC-Authentication-Results that cannot be read"},
	        {"Results: i=2;",
	         "Results:", "fail: has an ARC-Authentication-Results that cannot be read"},
	};
	struct fixture *f = *state;
	struct buf good;
	buf_init(&good, MIB);
	seal_by(f, by(f, ARC_CV_NONE), 1);
	seal_by(f, by(f, ARC_CV_PASS), 2);
	buf_add(&good, buf_slice(&f->message));
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		set_message(f, buf_slice(&good));
		replace(f, cases[i].old, cases[i].new);
		check(f, cases[i].expected);
	}
	assert_int_equal(f->table.n_lookups, 0);
	buf_done(&good);
}

static void comments_stand_around_the_instance(void **state)
{
	static const struct {
		const char *value;
		bool any;
		const char *payload;
	} cases[] = {
	        {" i=7; x; y=z", true, "x; y=z"},
	        {" (c) i (c\r\n d) = (e) 7 (f) ; x ", true, "x"},
	        {"i=07;x", true, "x"},
	        {"i=7;", true, ""},
	        {" (open i=7; x", false, NULL},
	        {"=7; x", false, NULL},
	        {"i 7; x", false, NULL},
	        {"i=7 8; x", false, NULL},
	        {"i=x7; x", false, NULL},
	        {"\"i\"=7; x", false, NULL},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct arena arena;
		struct buf block;
		struct dkim_header header;
		struct arc_sets sets;
		arena_init(&arena, 64 * KIB);
		buf_init(&block, KIB);
		buf_printf(&block, "ARC-Authentication-Results:%s\r\n", cases[i].value);
		assert_true(is_ok(dkim_header_index(buf_slice(&block), &arena, &header)));
		assert_true(is_ok(arc_sets_read(&header, &arena, &sets)));
		assert_true(sets.any);
		assert_int_equal(sets.highest, cases[i].any ? 7 : 0);
		if (cases[i].any)
			assert_true(slice_eq_str(sets.v[6].payload, cases[i].payload));
		buf_done(&block);
		arena_done(&arena);
	}
}

static void seals_may_not_be_signed(void **state)
{
	struct fixture *f = *state;
	seal_by(f, by(f, ARC_CV_NONE), 1);
	replace(f, ":Content-Type;", ":Content-Type:arc-seal;");
	check(f, "fail: has a message signature of instance 1 that signs seals 1:permerror/none");
	static const struct slice names[] = {SLICE("From"), SLICE("Arc-Seal")};
	static const struct slice more[] = {SLICE("From"), SLICE("authentication-results")};
	struct arc_seal_options options = by(f, ARC_CV_PASS);
	unsigned instance;
	options.names = names;
	options.n_names = 2;
	assert_int_equal(seal(f, options, &instance).code, ERR_INVALID);
	options.names = more;
	assert_int_equal(seal(f, options, &instance).code, ERR_INVALID);
}

static void a_failed_chain_is_sealed_once(void **state)
{
	struct fixture *f = *state;
	seal_by(f, by(f, ARC_CV_NONE), 1);
	replace(f, "\r\n\r\ntext", "\r\n\r\nTEXT");
	seal_by(f, by(f, ARC_CV_FAIL), 2);
	assert_non_null(strstr(buf_cstr(&f->message), "cv=fail; "));
	check(f, "fail: was marked as failed by its last sealer");
	size_t before = f->message.n;
	seal_by(f, by(f, ARC_CV_FAIL), 0);
	assert_int_equal(f->message.n, before);
}

static void a_broken_chain_is_never_sealed_as_good(void **state)
{
	static const struct {
		const char *fields;
		unsigned instance;
	} cases[] = {
	        {"ARC-Seal: i=1; a=b\r\n", 2},
	        {"ARC-Seal: garbage\r\n", 1},
	        {"ARC-Authentication-Results: i=7; x\r\n", 8},
	        {"ARC-Message-Signature: i=49; x=y\r\n", 50},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		buf_reset(&f->message);
		buf_add_str(&f->message, cases[i].fields);
		buf_add_str(&f->message, plain);
		seal_by(f, by(f, ARC_CV_PASS), cases[i].instance);
		assert_non_null(strstr(buf_cstr(&f->message), "cv=fail; "));
	}
	/* Nobody can say of a message without a chain that it passed. */
	set_message(f, SLICE(""));
	buf_add_str(&f->message, plain);
	seal_by(f, by(f, ARC_CV_PASS), 1);
	check(f, "pass oldest=0 1:pass/pass");
	/* A chain that was not verified is not vouched for. */
	seal_by(f, by(f, ARC_CV_NONE), 2);
	check(f, "fail: was marked as failed by its last sealer");
}

static void fifty_sets_are_enough(void **state)
{
	struct fixture *f = *state;
	unsigned instance;
	for (unsigned i = 1; i <= ARC_SETS_MAX; i++)
		seal_by(f, by(f, i == 1 ? ARC_CV_NONE : ARC_CV_PASS), i);
	verify(f, SIZE_MAX);
	assert_true(slice_starts(buf_slice(&f->out), SLICE("pass oldest=40 1:none/pass ")));
	assert_non_null(strstr(buf_cstr(&f->out), " 39:none/pass 40:pass/pass "));
	assert_int_equal(f->table.n_lookups, 1);
	assert_int_equal(seal(f, by(f, ARC_CV_PASS), &instance).code, ERR_LIMIT);
	struct buf more;
	buf_init(&more, 4 * MIB);
	for (unsigned i = 0; i < 1000; i++)
		buf_add_str(&more, "ARC-Seal: i=1\r\n");
	buf_add_str(&more, plain);
	set_message(f, buf_slice(&more));
	verify(f, SIZE_MAX);
	assert_true(slice_starts(buf_slice(&f->out), SLICE("fail: has more than 50 sets")));
	buf_reset(&more);
	for (unsigned i = 0; i < 200; i++)
		buf_add_str(&more, "ARC-Authentication-Results: i=1;\r\n");
	buf_add_str(&more, plain);
	set_message(f, buf_slice(&more));
	verify(f, SIZE_MAX);
	assert_true(slice_starts(buf_slice(&f->out), SLICE("fail: has more than 50 sets")));
	buf_done(&more);
}

static void each_key_of_a_long_chain_is_looked_up_once(void **state)
{
	struct fixture *f = *state;
	char selector[16], name[64];
	for (unsigned i = 1; i <= ARC_SETS_MAX; i++) {
		struct arc_seal_options options = by(f, i == 1 ? ARC_CV_NONE : ARC_CV_PASS);
		snprintf(selector, sizeof(selector), "s%u", i);
		snprintf(name, sizeof(name), "s%u._domainkey.list.example", i);
		testing_tell(&f->table, name, buf_cstr(&f->ed25519.record));
		options.selector = slice_str(selector);
		seal_by(f, options, i);
	}
	verify(f, SIZE_MAX);
	assert_true(slice_starts(buf_slice(&f->out), SLICE("pass oldest=40 ")));
	assert_int_equal(f->table.n_lookups, ARC_SETS_MAX);
}

static void failed_lookups_are_failures_that_are_told(void **state)
{
	struct fixture *f = *state;
	seal_by(f, by(f, ARC_CV_NONE), 1);
	verify(f, 0);
	assert_string_equal(buf_cstr(&f->out),
	                    "fail: has a message signature of instance 1 that has a key that "
	                    "nobody looked up (temporary) 1:temperror/none");
	dns_table_done(&f->table);
	dns_table_init(&f->table);
	dns_table_add(&f->table, "ed._domainkey.list.example TXT timeout");
	check(f, "fail: has a message signature of instance 1 that has a key that could not be "
	         "looked up: no answer in time (temporary) 1:temperror/none");
	dns_table_done(&f->table);
	dns_table_init(&f->table);
	check(f, "fail: has a message signature of instance 1 that has no key in the DNS "
	         "1:permerror/none");
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct fixture *f = *state;
	struct arc_seal_options bad[7];
	unsigned instance;
	size_t n = 0;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = by(f, ARC_CV_NONE);
	bad[n++].results = SLICE("");
	bad[n++].results = SLICE("a;\r\nX: y");
	bad[n++].results = SLICE("a\0b");
	bad[n++].domain = SLICE("x");
	bad[n++].selector = SLICE("");
	bad[n++].header_canon = DKIM_SIMPLE; /* good, but see below */
	bad[n++].selector = SLICE("a;b");
	for (size_t i = 0; i < n; i++)
		if (bad[i].header_canon != DKIM_SIMPLE)
			assert_int_equal(seal(f, bad[i], &instance).code, ERR_INVALID);
	set_message(f, SLICE("To: x\r\n\r\n"));
	assert_int_equal(seal(f, by(f, ARC_CV_NONE), &instance).code, ERR_INVALID);
	set_message(f, SLICE("From: x\r\nFrom: y\r\n\r\n"));
	assert_int_equal(seal(f, bad[5], &instance).code, ERR_INVALID);
}

static void memory_is_limited(void **state)
{
	struct fixture *f = *state;
	struct dkim_options options = {.now_s = TESTING_NOW_S};
	size_t n_failed = 0;
	seal_by(f, by(f, ARC_CV_NONE), 1);
	seal_by(f, by(f, ARC_CV_PASS), 2);
	struct slice header = testing_header(buf_slice(&f->message));
	for (size_t budget = 3000; budget < 80000; budget += 301) {
		struct arena arena;
		struct dkim_verifier *v;
		struct arc_chain *chain;
		arena_init(&arena, budget);
		struct status status = dkim_verifier_new(header, &options, &arena, &v);
		if (is_ok(status)) {
			status = arc_chain_new(v, &chain);
			dkim_verifier_free(v);
		}
		assert_true(is_ok(status) || status.code == ERR_LIMIT);
		n_failed += !is_ok(status);
		arena_done(&arena);
	}
	assert_true(n_failed > 10 && n_failed < 250);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_is_sealed_passes),
	        TEST(the_fields_are_written_as_they_are_documented),
	        TEST(a_later_change_tells_the_oldest_that_passes),
	        TEST(dkim_signatures_are_signed_too),
	        TEST(every_set_is_sealed),
	        TEST(structure_is_checked),
	        TEST(comments_stand_around_the_instance),
	        TEST(seals_may_not_be_signed),
	        TEST(a_failed_chain_is_sealed_once),
	        TEST(a_broken_chain_is_never_sealed_as_good),
	        TEST(fifty_sets_are_enough),
	        TEST(each_key_of_a_long_chain_is_looked_up_once),
	        TEST(failed_lookups_are_failures_that_are_told),
	        TEST(what_makes_no_sense_is_refused),
	        TEST(memory_is_limited),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
