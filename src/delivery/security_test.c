/* The whole product of what has a say, against the sentences of the RFCs; and the table of what
 * administrators ask about. */
#include "delivery/security.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* --- the table --- */

#define CLEAR    DELIVERY_FLOOR_CLEAR
#define ANY      DELIVERY_FLOOR_OPPORTUNISTIC
#define VERIFIED DELIVERY_FLOOR_VERIFIED
#define NO_WISH  DELIVERY_WISH_NONE
#define REQUIRED DELIVERY_WISH_REQUIRED
#define OPTIONAL DELIVERY_WISH_OPTIONAL
#define INSECURE DELIVERY_MX_INSECURE
#define SECURE   DELIVERY_MX_SECURE
#define ITSELF   DELIVERY_MX_ITSELF
#define D_NONE   DELIVERY_DANE_NONE
#define D_NOUSE  DELIVERY_DANE_UNUSABLE
#define D_USE    DELIVERY_DANE_USABLE
#define D_FAILED DELIVERY_DANE_FAILED
#define S_NONE   DELIVERY_STS_NONE
#define S_TEST   DELIVERY_STS_TESTING
#define S_FORCE  DELIVERY_STS_ENFORCED
#define S_LATER  DELIVERY_STS_LATER
#define MATCH    true
#define NOMATCH  false

static const struct security_case {
	enum delivery_floor floor;
	enum delivery_wish wish;
	enum delivery_mx mx;
	enum delivery_dane_state dane;
	enum delivery_sts sts;
	bool matches;
	/* "way tls", then d: DANE required, p: PKIX required, c: clear allowed, R: REQUIRETLS
	 * needed, (d), (s): reported */
	const char *result;
} cases[] = {
        {ANY, NO_WISH, INSECURE, D_NONE, S_NONE, NOMATCH, "open may c"},
        {ANY, NO_WISH, SECURE, D_NONE, S_NONE, NOMATCH, "open may c"},
        {ANY, NO_WISH, SECURE, D_USE, S_NONE, NOMATCH, "open must d"},
        {ANY, NO_WISH, SECURE, D_NOUSE, S_NONE, NOMATCH, "open must (d)"},
        {ANY, NO_WISH, SECURE, D_FAILED, S_NONE, NOMATCH, "later 4.4.3"},
        {ANY, NO_WISH, INSECURE, D_NONE, S_FORCE, MATCH, "open must p"},
        {ANY, NO_WISH, INSECURE, D_NONE, S_FORCE, NOMATCH, "later 4.7.5 (s)"},
        {ANY, NO_WISH, INSECURE, D_NONE, S_TEST, MATCH, "open may c(s)"},
        {ANY, NO_WISH, INSECURE, D_NONE, S_TEST, NOMATCH, "open may c(s)"},
        {ANY, NO_WISH, INSECURE, D_NONE, S_LATER, NOMATCH, "later 4.4.3"},
        {ANY, NO_WISH, SECURE, D_USE, S_FORCE, MATCH, "open must dp"}, /* both must hold */
        {ANY, NO_WISH, SECURE, D_NOUSE, S_FORCE, MATCH, "open must p(d)"},
        {ANY, NO_WISH, SECURE, D_USE, S_FORCE, NOMATCH, "later 4.7.5 (s)"},
        {ANY, NO_WISH, SECURE, D_USE, S_TEST, MATCH, "open must d(s)"},
        {ANY, NO_WISH, SECURE, D_FAILED, S_FORCE, MATCH, "later 4.4.3"},
        /* REQUIRETLS */
        {ANY, REQUIRED, INSECURE, D_NONE, S_NONE, NOMATCH, "closed 5.7.30"},
        {ANY, REQUIRED, INSECURE, D_NONE, S_TEST, MATCH, "closed 5.7.30"},
        {ANY, REQUIRED, INSECURE, D_NONE, S_FORCE, MATCH, "open must pR"},
        {ANY, REQUIRED, INSECURE, D_NONE, S_FORCE, NOMATCH, "later 4.7.5 (s)"},
        {ANY, REQUIRED, SECURE, D_NONE, S_NONE, NOMATCH, "open must pR"},
        {ANY, REQUIRED, SECURE, D_USE, S_NONE, NOMATCH, "open must dR"},
        {ANY, REQUIRED, SECURE, D_NOUSE, S_NONE, NOMATCH, "open must pR(d)"},
        {ANY, REQUIRED, SECURE, D_USE, S_FORCE, MATCH, "open must dpR"},
        {ANY, REQUIRED, SECURE, D_FAILED, S_NONE, NOMATCH, "later 4.4.3"},
        {ANY, REQUIRED, ITSELF, D_NONE, S_NONE, NOMATCH, "open must pR"},
        /* TLS-Required: No */
        {ANY, OPTIONAL, INSECURE, D_NONE, S_NONE, NOMATCH, "open may c"},
        {ANY, OPTIONAL, SECURE, D_USE, S_NONE, NOMATCH, "open may c(d)"},
        {ANY, OPTIONAL, SECURE, D_NOUSE, S_NONE, NOMATCH, "open may c(d)"},
        {ANY, OPTIONAL, SECURE, D_FAILED, S_LATER, NOMATCH, "open may c"},
        {ANY, OPTIONAL, INSECURE, D_NONE, S_FORCE, NOMATCH, "open may c(s)"},
        {ANY, OPTIONAL, SECURE, D_USE, S_FORCE, MATCH, "open may c(d)(s)"},
        {VERIFIED, OPTIONAL, INSECURE, D_NONE, S_NONE, NOMATCH, "open must p"},
        {VERIFIED, OPTIONAL, SECURE, D_USE, S_FORCE, NOMATCH, "open must d(d)(s)"},
        /* transports */
        {CLEAR, NO_WISH, SECURE, D_USE, S_FORCE, MATCH, "open never c"},
        {CLEAR, OPTIONAL, SECURE, D_USE, S_FORCE, MATCH, "open never c"},
        {CLEAR, REQUIRED, SECURE, D_USE, S_FORCE, MATCH, "closed 5.7.30"},
        {VERIFIED, NO_WISH, INSECURE, D_NONE, S_NONE, NOMATCH, "open must p"},
        {VERIFIED, NO_WISH, SECURE, D_USE, S_NONE, NOMATCH, "open must d"},
        {VERIFIED, NO_WISH, SECURE, D_NOUSE, S_NONE, NOMATCH, "open must p(d)"},
        {VERIFIED, NO_WISH, SECURE, D_USE, S_FORCE, MATCH, "open must dp"},
        {VERIFIED, NO_WISH, SECURE, D_FAILED, S_NONE, NOMATCH, "later 4.4.3"},
        {VERIFIED, REQUIRED, INSECURE, D_NONE, S_NONE, NOMATCH, "closed 5.7.30"},
};

static void print(const struct delivery_security *s, struct buf *out)
{
	buf_reset(out);
	if (s->way != DELIVERY_WAY_OPEN) {
		buf_printf(out, "%s %s%s", delivery_way_name(s->way), s->enhanced,
		           s->sts_reported ? " (s)" : "");
		return;
	}
	buf_printf(out, "open %s ", delivery_tls_need_name(s->tls));
	buf_printf(out, "%s%s%s%s%s%s", s->clear_allowed ? "c" : "", s->dane_required ? "d" : "",
	           s->pkix_required ? "p" : "", s->requiretls_needed ? "R" : "",
	           s->dane_reported ? "(d)" : "", s->sts_reported ? "(s)" : "");
}

static void the_table_holds(void **state)
{
	struct buf text;
	(void)state;
	buf_init(&text, 100);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct security_case *c = &cases[i];
		const struct delivery_given given = {.floor = c->floor,
		                                     .wish = c->wish,
		                                     .mx = c->mx,
		                                     .dane = c->dane,
		                                     .sts = c->sts,
		                                     .sts_matches = c->matches};
		struct delivery_security security;
		delivery_security_decide(&given, &security);
		print(&security, &text);
		if (!slice_eq_str(buf_slice(&text), c->result))
			fail_msg("case %zu: [%s], wanted [%s]: %s", i, buf_cstr(&text), c->result,
			         security.why);
	}
	buf_done(&text);
}

/* --- the product --- */

/* Sentences that hold for every combination. */
static void check(const struct delivery_given *g, const struct delivery_security *s)
{
	bool open = s->way == DELIVERY_WAY_OPEN;
	bool verified = s->dane_required || s->pkix_required;
	bool policies_count = g->floor != DELIVERY_FLOOR_CLEAR && g->wish != DELIVERY_WISH_OPTIONAL;
	assert_true(s->n_steps > 0 && *s->why);
	assert_string_equal(s->why, s->steps[s->n_steps - 1]);
	assert_int_equal(open, !*s->enhanced);
	assert_int_equal(s->way == DELIVERY_WAY_CLOSED, s->enhanced[0] == '5');
	if (open) {
		assert_int_equal(s->clear_allowed, s->tls != DELIVERY_TLS_MUST);
		assert_true(!verified || s->tls == DELIVERY_TLS_MUST);
		assert_int_equal(s->tls == DELIVERY_TLS_NEVER, g->floor == DELIVERY_FLOOR_CLEAR);
	}
	/* RFC 7672 section 2.2: usable records are binding, unusable ones demand TLS, a failed
	 * lookup closes the host. */
	if (open && policies_count) {
		assert_true(g->dane != DELIVERY_DANE_FAILED);
		assert_true(g->dane != DELIVERY_DANE_USABLE || s->dane_required);
		assert_true(g->dane != DELIVERY_DANE_UNUSABLE || s->tls == DELIVERY_TLS_MUST);
	}
	assert_true(!s->dane_required || g->dane == DELIVERY_DANE_USABLE);
	/* RFC 8461 section 5: never to a host that fails MX matching or certificate validation; and
	 * its policy never overrides DANE (section 2). */
	if (open && policies_count && g->sts == DELIVERY_STS_ENFORCED)
		assert_true(g->sts_matches && s->pkix_required);
	assert_true(!open || !policies_count || g->sts != DELIVERY_STS_LATER);
	/* RFC 8689 section 4.2.1: a proven name, verified TLS, the extension. */
	if (open && g->wish == DELIVERY_WISH_REQUIRED) {
		assert_true(verified && s->tls == DELIVERY_TLS_MUST);
		assert_true(g->mx != DELIVERY_MX_INSECURE ||
		            (g->sts == DELIVERY_STS_ENFORCED && g->sts_matches));
		assert_int_equal(s->requiretls_needed, !g->null_sender);
	} else if (open) {
		assert_false(s->requiretls_needed);
	}
	/* Section 4.2.2: nothing that a recipient publishes stands in the way. */
	if (g->wish == DELIVERY_WISH_OPTIONAL) {
		assert_true(open);
		assert_int_equal(s->tls == DELIVERY_TLS_MUST, g->floor == DELIVERY_FLOOR_VERIFIED);
	}
	if (open && g->floor == DELIVERY_FLOOR_VERIFIED)
		assert_true(verified);
	/* Without any demand there is none. */
	if (policies_count && g->floor == DELIVERY_FLOOR_OPPORTUNISTIC &&
	    g->wish == DELIVERY_WISH_NONE && g->dane == DELIVERY_DANE_NONE &&
	    (g->sts == DELIVERY_STS_NONE || g->sts == DELIVERY_STS_TESTING))
		assert_true(open && s->tls == DELIVERY_TLS_MAY && s->clear_allowed);
}

static void the_sentences_of_the_rfcs_hold_for_all(void **state)
{
	size_t n = 0, n_open = 0;
	(void)state;
	for (unsigned i = 0; i < 3 * 3 * 2 * 3 * 4 * 4 * 2; i++) {
		unsigned rest = i;
		struct delivery_given g = {.floor = (enum delivery_floor)(rest % 3)};
		struct delivery_security s;
		rest /= 3, g.wish = (enum delivery_wish)(rest % 3);
		rest /= 3, g.null_sender = rest % 2;
		rest /= 2, g.mx = (enum delivery_mx)(rest % 3);
		rest /= 3, g.dane = (enum delivery_dane_state)(rest % 4);
		rest /= 4, g.sts = (enum delivery_sts)(rest % 4);
		rest /= 4, g.sts_matches = rest % 2;
		delivery_security_decide(&g, &s);
		check(&g, &s);
		n++;
		n_open += s.way == DELIVERY_WAY_OPEN;
	}
	assert_int_equal(n, 1728);
	assert_true(n_open > 300 && n_open < n);
}

/* More asked for is never less given: REQUIRETLS, DANE and an enforced policy only add. */
static void demands_only_add(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * 3 * 4; i++) {
		struct delivery_given g = {.floor = DELIVERY_FLOOR_OPPORTUNISTIC,
		                           .mx = (enum delivery_mx)(i % 3),
		                           .dane = (enum delivery_dane_state)(i / 3 % 3),
		                           .sts = (enum delivery_sts)(i / 9 % 3),
		                           .sts_matches = true};
		struct delivery_security before, after;
		delivery_security_decide(&g, &before);
		g.wish = DELIVERY_WISH_REQUIRED;
		delivery_security_decide(&g, &after);
		if (after.way != DELIVERY_WAY_OPEN)
			continue;
		assert_true(after.tls >= before.tls);
		assert_true(after.dane_required >= before.dane_required);
		assert_true(after.pkix_required >= before.pkix_required);
		assert_true(after.clear_allowed <= before.clear_allowed);
	}
}

/* --- sessions --- */

/* No combination sends in clear what must not be, or gives up where another way is allowed. */
static void a_session_is_used_as_far_as_it_may(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * 2 * 2 * 4; i++) {
		const struct delivery_security s = {.tls = i & 1 ? DELIVERY_TLS_MUST
		                                                 : DELIVERY_TLS_MAY,
		                                    .requiretls_needed = i & 2};
		enum delivery_tls_progress progress = (enum delivery_tls_progress)(i >> 3);
		struct delivery_judgement j = delivery_security_judge(&s, progress, i & 4);
		bool lacks = s.requiretls_needed && !(i & 4);
		assert_true(*j.why);
		assert_int_equal(j.next == DELIVERY_NOT_NOW || j.next == DELIVERY_NOT_HERE,
		                 *j.enhanced != 0);
		switch (progress) {
		case DELIVERY_TLS_NOT_CONNECTED:
			assert_int_equal(j.next, DELIVERY_NOT_NOW);
			break;
		case DELIVERY_TLS_NOT_OFFERED:
			assert_int_equal(j.next, i & 1 ? DELIVERY_NOT_NOW : DELIVERY_SEND);
			break;
		case DELIVERY_TLS_NO_HANDSHAKE:
			assert_int_equal(j.next,
			                 i & 1 ? DELIVERY_NOT_NOW : DELIVERY_AGAIN_IN_CLEAR);
			break;
		case DELIVERY_TLS_DONE:
			assert_int_equal(j.next, lacks ? DELIVERY_NOT_HERE : DELIVERY_SEND);
			break;
		}
	}
}

/* --- givens --- */

static void the_way_to_the_host_is_a_given(void **state)
{
	struct delivery_hosts hosts = {.domain = "a.example", .expanded = "a.example"};
	(void)state;
	hosts.has_mx = true;
	hosts.security = DNS_SECURE;
	assert_int_equal(delivery_mx_of(&hosts), DELIVERY_MX_SECURE);
	hosts.security = DNS_INSECURE;
	assert_int_equal(delivery_mx_of(&hosts), DELIVERY_MX_INSECURE);
	hosts.has_mx = false;
	assert_int_equal(delivery_mx_of(&hosts), DELIVERY_MX_ITSELF);
	hosts.expanded = "b.example";
	assert_int_equal(delivery_mx_of(&hosts), DELIVERY_MX_INSECURE);
}

static void the_policy_is_a_given(void **state)
{
	static const struct slice mx[] = {{(const uint8_t *)"mx.example", 10}};
	struct mtasts_policy policy = {.mode = MTASTS_MODE_ENFORCE, .mx = mx, .n_mx = 1};
	bool matches;
	(void)state;
	assert_int_equal(delivery_sts_of(MTASTS_USE_POLICY, &policy, "mx.example", &matches),
	                 DELIVERY_STS_ENFORCED);
	assert_true(matches);
	assert_int_equal(delivery_sts_of(MTASTS_USE_POLICY, &policy, "other.example", &matches),
	                 DELIVERY_STS_ENFORCED);
	assert_false(matches);
	policy.mode = MTASTS_MODE_TESTING;
	assert_int_equal(delivery_sts_of(MTASTS_USE_POLICY, &policy, "mx.example", &matches),
	                 DELIVERY_STS_TESTING);
	assert_true(matches);
	policy.mode = MTASTS_MODE_NONE;
	assert_int_equal(delivery_sts_of(MTASTS_USE_POLICY, &policy, "mx.example", &matches),
	                 DELIVERY_STS_NONE);
	assert_int_equal(delivery_sts_of(MTASTS_USE_NOTHING, NULL, "mx.example", &matches),
	                 DELIVERY_STS_NONE);
	assert_int_equal(delivery_sts_of(MTASTS_USE_LATER, NULL, "mx.example", &matches),
	                 DELIVERY_STS_LATER);
	assert_false(matches);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_table_holds),
	        cmocka_unit_test(the_sentences_of_the_rfcs_hold_for_all),
	        cmocka_unit_test(demands_only_add),
	        cmocka_unit_test(a_session_is_used_as_far_as_it_may),
	        cmocka_unit_test(the_way_to_the_host_is_a_given),
	        cmocka_unit_test(the_policy_is_a_given),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
