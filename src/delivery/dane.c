/* From answers of the DNS to what DANE demands (RFC 7672 section 2).
 *
 *	MX records insecure                       no DANE (2.2.1)
 *	first answer for the addresses insecure   no DANE, and no question for TLSA records (2.2.2)
 *	no alias                                  TLSA at the name
 *	alias, every step and the addresses       TLSA at the end of the aliases, and where there
 *	  are secure                                are none, at the name itself
 *	alias, first step secure, a later not     TLSA at the name itself
 *	a lookup for TLSA fails, or is bogus      the host is unreachable for now (2.1.2)
 *
 * The input domain is the host of an MX record; without MX records it is the recipient's domain as
 * it was written, with the aliases that the resolver followed when it looked for MX records.
 *
 * Deliberately not done: DANE behind insecure MX records, which section 2.2.1 allows; mandatory
 * DANE (section 6); usages 0 and 1 (section 3.1.3); raw public keys.
 *
 * Limits: TLS_TLSA_RECORDS_MAX records; two candidates.
 */
#include "delivery/dane.h"

#include <stdarg.h>

#define CANDIDATES_MAX 2u
#define STEP_MAX       400

const char *delivery_dane_state_name(enum delivery_dane_state state)
{
	static const char *const names[] = {
	        [DELIVERY_DANE_NONE] = "none",
	        [DELIVERY_DANE_UNUSABLE] = "unusable",
	        [DELIVERY_DANE_USABLE] = "usable",
	        [DELIVERY_DANE_FAILED] = "failed",
	};
	return names[state];
}

/* One search. */
struct search {
	const struct delivery_dane_query *query;
	struct arena *arena;
	struct delivery_dane *dane;
	/* The way from the input domain to its addresses. */
	const char *input, *expanded;
	enum dns_security first; /* of the first answer on it */
	enum dns_security whole; /* of all of it */
};

static bool same_name(const char *a, const char *b)
{
	return slice_ieq_str(slice_str(a), b);
}

/* --- telling --- */

PRINTF(2, 3) static void say(struct search *s, const char *format, ...)
{
	char text[STEP_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *copy = arena_printf(s->arena, "%s", text);
	if (!copy || s->dane->n_steps == DELIVERY_DANE_STEPS_MAX)
		return; /* LIMIT is said at the end */
	s->dane->steps[s->dane->n_steps++] = copy;
	s->dane->why = copy;
}

static void rests_on(struct search *s, const struct dns_answer *answer)
{
	if (answer && s->dane->n_answers < DELIVERY_DANE_ANSWERS_MAX)
		s->dane->answers[s->dane->n_answers++] = answer;
}

/* --- the way to the addresses --- */

/* The security of what was answered first: an alias or the records themselves. */
static enum dns_security first_of(const struct dns_answer *answer)
{
	return answer->n_chain > 0 ? answer->chain[0].security : answer->security;
}

static void add_answer(struct search *s, const struct dns_answer *answer)
{
	rests_on(s, answer);
	if (answer->outcome != DNS_FOUND)
		return;
	s->first = dns_security_min(s->first, first_of(answer));
	s->whole = dns_security_min(s->whole, answer->security);
}

/* Without MX records the aliases of the domain lead to the host, whose own answers begin at the end
 * of them. */
static void add_aliases_of_domain(struct search *s)
{
	const struct dns_answer *mx = s->query->hosts->answer;
	s->input = s->query->hosts->domain;
	if (mx->n_chain == 0)
		return;
	s->first = mx->chain[0].security;
	for (size_t i = 0; i < mx->n_chain; i++)
		s->whole = dns_security_min(s->whole, mx->chain[i].security);
}

static void follow(struct search *s)
{
	const struct delivery_addresses *addresses = s->query->addresses;
	const struct delivery_hosts *hosts = s->query->hosts;
	s->input = s->query->host->name;
	s->expanded = addresses->expanded;
	s->first = s->whole = DNS_SECURE;
	for (size_t i = 0; i < addresses->n_answers; i++)
		add_answer(s, addresses->answers[i]);
	if (hosts && !hosts->has_mx)
		add_aliases_of_domain(s);
}

/* --- candidates --- */

static bool mx_is_secure(struct search *s)
{
	const struct delivery_hosts *hosts = s->query->hosts;
	if (!hosts || !hosts->has_mx) {
		if (hosts)
			say(s, "%s has no MX records: it is its own mail server", hosts->domain);
		return true;
	}
	say(s, "the MX records of %s are %s", hosts->domain, dns_security_name(hosts->security));
	return hosts->security == DNS_SECURE;
}

/* RFC 7672 section 2.2.2. */
static size_t find_candidates(struct search *s, const char *candidates[CANDIDATES_MAX])
{
	bool is_alias = !same_name(s->input, s->expanded);
	size_t n = 0;
	if (!is_alias)
		say(s, "the addresses of %s are %s", s->input, dns_security_name(s->whole));
	else if (s->whole == DNS_SECURE)
		say(s, "%s is an alias, and all of the way to the addresses of %s is secure",
		    s->input, s->expanded);
	else
		say(s, "%s is an alias: its own record is %s, the way to the addresses of %s is %s",
		    s->input, dns_security_name(s->first), s->expanded,
		    dns_security_name(s->whole));
	if (s->first != DNS_SECURE)
		return 0;
	if (is_alias && s->whole == DNS_SECURE)
		candidates[n++] = s->expanded;
	candidates[n++] = s->input;
	return n;
}

/* --- records --- */

static void say_nothing_found(struct search *s, const struct dns_answer *answer)
{
	const char *name = answer->name.text, *security = dns_security_name(answer->security);
	switch (answer->outcome) {
	case DNS_FOUND:
		say(s, "the TLSA records of %s are %s: they do not count", name, security);
		return;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		say(s, "there are no TLSA records at %s (%s)", name,
		    answer->denial_proven ? "proven" : security);
		return;
	case DNS_FAILED:
		say(s, "the TLSA records of %s cannot be looked up (%s): %s", name,
		    answer->security == DNS_BOGUS ? "bogus" : dns_failure_name(answer->failure),
		    answer->why);
		return;
	}
}

/* Section 3.2.2: what usage 2 may find in the certificate. */
static void set_names(struct search *s)
{
	const struct delivery_hosts *hosts = s->query->hosts;
	struct tls_dane *tls = &s->dane->tls;
	const char **names = ARENA_ARRAY(s->arena, TLS_DANE_NAMES_MAX, const char *);
	size_t n = 0;
	if (!names)
		return;
	names[n++] = s->dane->base;
	if (hosts && hosts->has_mx) {
		if (!same_name(hosts->domain, names[0]))
			names[n++] = hosts->domain;
		if (!same_name(hosts->expanded, hosts->domain) &&
		    !same_name(hosts->expanded, names[0]))
			names[n++] = hosts->expanded;
	} else if (!same_name(s->input, names[0])) {
		names[n++] = s->input;
	}
	tls->names = names;
	tls->n_names = n;
}

static void judge(struct search *s, struct tls_tlsa *records, size_t n)
{
	struct delivery_dane *dane = s->dane;
	struct tls_tlsa_finding *findings = ARENA_ARRAY(s->arena, n, struct tls_tlsa_finding);
	if (!findings)
		return;
	tls_dane_judge(records, n, findings);
	for (size_t i = 0; i < n; i++)
		dane->n_usable += findings[i].kind == TLS_TLSA_UNTRIED;
	dane->tls.records = records;
	dane->tls.n_records = n;
	dane->findings = findings;
	set_names(s);
}

static void take_records(struct search *s, const struct dns_answer *answer, const char *base)
{
	struct delivery_dane *dane = s->dane;
	size_t n = answer->n_records;
	struct tls_tlsa *records = ARENA_ARRAY(s->arena, n, struct tls_tlsa);
	if (!records)
		return;
	for (size_t i = 0; i < n; i++)
		records[i] = (struct tls_tlsa){
		        answer->records[i].tlsa.usage, answer->records[i].tlsa.selector,
		        answer->records[i].tlsa.matching, answer->records[i].tlsa.bytes};
	dane->base = base;
	dane->tlsa = answer;
	say(s, "%s has %zu secure TLSA record%s", answer->name.text, n, n == 1 ? "" : "s");
	judge(s, records, n);
	if (dane->n_usable > 0) {
		dane->state = DELIVERY_DANE_USABLE;
		say(s, "%zu of %zu usable: the certificate must fit one of them", dane->n_usable,
		    n);
	} else {
		dane->state = DELIVERY_DANE_UNUSABLE;
		say(s, "none of them is usable: TLS is needed, with any certificate");
	}
}

/* True when the search is over. */
static bool try_candidate(struct search *s, const char *base, struct status *status)
{
	char prefix[16];
	struct dns_name host, name;
	const struct dns_answer *answer;
	int timeout_ms = s->query->timeout_ms > 0 ? s->query->timeout_ms : DNS_LOOKUP_TIMEOUT_MS;
	snprintf(prefix, sizeof(prefix), "_%u._tcp", s->query->port);
	*status = dns_name_parse(slice_str(base), s->arena, &host);
	if (is_ok(*status))
		*status = dns_name_prepend(slice_str(prefix), host, s->arena, &name);
	if (status->code == ERR_SYNTAX) {
		*status = ok();
		say(s, "there is no room for a name _%u._tcp of %s", s->query->port, base);
		return false;
	}
	if (is_ok(*status))
		*status = dns_lookup_name(s->query->resolver, name, DNS_TYPE_TLSA, timeout_ms,
		                          s->arena, &answer);
	if (!is_ok(*status))
		return true;
	rests_on(s, answer);
	if (answer->outcome == DNS_FOUND && answer->security == DNS_SECURE) {
		take_records(s, answer, base);
		return true;
	}
	say_nothing_found(s, answer);
	if (answer->outcome != DNS_FAILED)
		return false;
	/* Section 2.1.2: not even the next candidate; this may be an attack. */
	s->dane->state = DELIVERY_DANE_FAILED;
	s->dane->tlsa = answer;
	return true;
}

static struct status look_up(struct search *s)
{
	const char *candidates[CANDIDATES_MAX];
	struct status status = ok();
	size_t n = find_candidates(s, candidates);
	for (size_t i = 0; i < n; i++)
		if (try_candidate(s, candidates[i], &status))
			return status;
	say(s, "no DANE: TLS is as without it");
	return status;
}

struct status delivery_dane_find(const struct delivery_dane_query *query, struct arena *arena,
                                 struct delivery_dane *ret_dane)
{
	struct delivery_dane dane = {.base = "", .why = ""};
	struct search s = {.query = query, .arena = arena, .dane = &dane};
	struct status status = ok();
	rests_on(&s, query->hosts ? query->hosts->answer : NULL);
	if (query->host->is_literal) {
		say(&s, "%s is an address: no DANE", query->host->name);
	} else if (!mx_is_secure(&s)) {
		say(&s, "no DANE: TLS is as without it");
	} else {
		follow(&s);
		status = look_up(&s);
	}
	TRY(status);
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "too little memory for DANE");
	*ret_dane = dane;
	return ok();
}
