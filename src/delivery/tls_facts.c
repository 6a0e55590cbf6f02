/* Sessions and lookups by the names of RFC 8460 section 4.3.
 *
 * | what was seen | under STS | under TLSA | without a policy |
 * |---|---|---|---|
 * | no STARTTLS | starttls-not-supported | the same | the same |
 * | certificate for another name, expired, untrusted | certificate-... | certificate-... (usage 2)
 * | success | | no record fits | - | validation-failure, dane-no-match | - | | another failure of
 * the handshake | validation-failure | the same | the same | | the host is not in the policy |
 * validation-failure, mx-mismatch | - | - | | no usable record | - | tlsa-invalid | - | | the
 * lookup for records is bogus | - | dnssec-invalid | - |
 *
 * Limits: DELIVERY_TLS_FACTS_MAX, DELIVERY_TLS_STRINGS_MAX, DELIVERY_TLS_STRING_MAX,
 * DELIVERY_TLS_TEXT_MAX.
 */
#include "delivery/tls_facts.h"

#include "text/utf8.h"

#define EDE_SECTIONS 24u /* RFC 8914 section 4.1 is about code 0, 4.25 about code 24 */

const char *delivery_tls_result_name(enum delivery_tls_result result)
{
	static const char *const names[] = {
#define X(id, name) [DELIVERY_TLS_##id] = name,
	        DELIVERY_TLS_RESULT_LIST(X)
#undef X
	};
	return names[result];
}

bool delivery_tls_result_parse(struct slice name, enum delivery_tls_result *ret_result)
{
	for (unsigned i = 0; i < DELIVERY_TLS_RESULT_COUNT; i++) {
		if (!slice_eq_str(name, delivery_tls_result_name((enum delivery_tls_result)i)))
			continue;
		*ret_result = (enum delivery_tls_result)i;
		return true;
	}
	return false;
}

const char *delivery_tls_policy_name(enum delivery_tls_policy_type type)
{
	static const char *const names[] = {
#define X(id, name) [DELIVERY_TLS_POLICY_##id] = name,
	        DELIVERY_TLS_POLICY_LIST(X)
#undef X
	};
	return names[type];
}

/* --- texts --- */

/* Printable UTF-8 of at most max octets; "" past the arena's budget. */
static const char *clean(struct slice text, size_t max, struct arena *arena)
{
	CLEANUP(buf_done) struct buf out;
	buf_init(&out, 3 * max + 1);
	utf8_add_valid(&out, slice_sub(text, 0, max));
	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] < ' ' || out.p[i] == 0x7f)
			out.p[i] = '?';
	const char *copy = arena_cstr(arena, utf8_cut(buf_slice(&out), max));
	return copy ? copy : "";
}

static const char *reason_of(const char *text, struct arena *arena)
{
	return clean(slice_str(text), DELIVERY_TLS_TEXT_MAX, arena);
}

/* --- policies --- */

static const char *const *lines_of(struct slice body, size_t *ret_n, struct arena *arena)
{
	const char **lines = ARENA_ARRAY(arena, DELIVERY_TLS_STRINGS_MAX, const char *);
	size_t n = 0;
	while (lines && body.n > 0 && n < DELIVERY_TLS_STRINGS_MAX) {
		struct slice line;
		(void)slice_cut(body, '\n', &line, &body);
		line = slice_trim(line);
		if (line.n > 0)
			lines[n++] = clean(line, DELIVERY_TLS_STRING_MAX, arena);
	}
	*ret_n = n;
	return lines;
}

const struct delivery_tls_policy *delivery_tls_policy_of_sts(const char *domain, struct slice body,
                                                             const struct mtasts_policy *policy,
                                                             struct arena *arena)
{
	struct delivery_tls_policy *p = ARENA_NEW(arena, struct delivery_tls_policy);
	size_t n_mx = policy ? MIN(policy->n_mx, (size_t)DELIVERY_TLS_STRINGS_MAX) : 0;
	const char **mx = ARENA_ARRAY(arena, n_mx, const char *);
	if (!p || !mx)
		return NULL;
	for (size_t i = 0; i < n_mx; i++)
		mx[i] = clean(policy->mx[i], DELIVERY_TLS_STRING_MAX, arena);
	*p = (struct delivery_tls_policy){
	        .type = DELIVERY_TLS_POLICY_STS, .domain = domain, .mx = mx, .n_mx = n_mx};
	p->strings = lines_of(body, &p->n_strings, arena);
	return arena_failed(arena) ? NULL : p;
}

const struct delivery_tls_policy *delivery_tls_policy_of_dane(const struct delivery_dane *dane,
                                                              const char *host, struct arena *arena)
{
	struct delivery_tls_policy *p = ARENA_NEW(arena, struct delivery_tls_policy);
	size_t n = MIN(dane->tls.n_records, (size_t)DELIVERY_TLS_STRINGS_MAX);
	const char **strings = ARENA_ARRAY(arena, n, const char *);
	CLEANUP(buf_done) struct buf text;
	if (!p || !strings)
		return NULL;
	buf_init(&text, SIZE_MAX);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&text);
		tls_tlsa_print(&dane->tls.records[i], &text);
		strings[i] = clean(buf_slice(&text), DELIVERY_TLS_STRING_MAX, arena);
	}
	/* RFC 8460 section 1.1: of DANE the policy domain is the TLSA base domain. */
	*p = (struct delivery_tls_policy){.type = DELIVERY_TLS_POLICY_TLSA,
	                                  .domain = *dane->base ? dane->base : host,
	                                  .strings = strings,
	                                  .n_strings = n};
	return arena_failed(arena) ? NULL : p;
}

/* --- facts --- */

static struct delivery_tls_fact *add(struct delivery_tls_facts *facts,
                                     const struct delivery_tls_policy *policy,
                                     const struct delivery_tls_session *session)
{
	if (!policy || facts->n == DELIVERY_TLS_FACTS_MAX)
		return NULL;
	struct delivery_tls_fact *fact = &facts->v[facts->n++];
	*fact = (struct delivery_tls_fact){
	        .policy = *policy,
	        .host = session ? session->host : "",
	        .address = session ? session->address : "",
	        .helo = session ? session->helo : "",
	        .reason = "",
	        .information = "",
	};
	return fact;
}

enum delivery_tls_result delivery_tls_result_of(const struct tls_check *check)
{
	switch (check->fault) {
	case TLS_FAULT_NONE:
		return DELIVERY_TLS_SUCCESS;
	case TLS_FAULT_NAME:
		return DELIVERY_TLS_CERTIFICATE_HOST_MISMATCH;
	case TLS_FAULT_EXPIRED:
		return DELIVERY_TLS_CERTIFICATE_EXPIRED;
	case TLS_FAULT_UNTRUSTED:
		return DELIVERY_TLS_CERTIFICATE_NOT_TRUSTED;
	case TLS_FAULT_NO_CERTIFICATE:
	case TLS_FAULT_NO_MATCH:
	case TLS_FAULT_OTHER:
		return DELIVERY_TLS_VALIDATION_FAILURE;
	}
	BUG("an unknown fault");
}

/* What a policy that looks at one check of the certificate makes of the session. */
static void judge(struct delivery_tls_fact *fact, const struct tls_check *check,
                  const struct delivery_tls_session *session, struct arena *arena)
{
	if (session->progress == DELIVERY_TLS_NOT_OFFERED) {
		fact->result = DELIVERY_TLS_STARTTLS_NOT_SUPPORTED;
		fact->reason = reason_of(session->why, arena);
	} else if (check && check->made) {
		fact->result = delivery_tls_result_of(check);
		fact->reason = check->fault == TLS_FAULT_NO_MATCH ? "dane-no-match" : check->code;
	} else if (session->progress == DELIVERY_TLS_NO_HANDSHAKE || check) {
		fact->result = DELIVERY_TLS_VALIDATION_FAILURE;
		fact->reason = reason_of(session->why, arena);
	}
}

void delivery_tls_add_sts(struct delivery_tls_facts *facts,
                          const struct delivery_tls_policy *policy, bool sts_mismatch,
                          const struct delivery_tls_session *session, struct arena *arena)
{
	if (session->progress == DELIVERY_TLS_NOT_CONNECTED && !sts_mismatch)
		return;
	struct delivery_tls_fact *fact = add(facts, policy, session);
	if (fact && sts_mismatch) {
		fact->result = DELIVERY_TLS_VALIDATION_FAILURE;
		fact->reason = "mx-mismatch";
	} else if (fact) {
		judge(fact, &session->verdict.pkix, session, arena);
	}
}

void delivery_tls_add_none(struct delivery_tls_facts *facts, const char *domain,
                           const struct delivery_tls_session *session, struct arena *arena)
{
	const struct delivery_tls_policy policy = {.type = DELIVERY_TLS_POLICY_NONE,
	                                           .domain = domain};
	if (session->progress == DELIVERY_TLS_NOT_CONNECTED)
		return;
	struct delivery_tls_fact *fact = add(facts, &policy, session);
	if (fact)
		judge(fact, NULL, session, arena);
}

/* --- the DNS --- */

/* DNSSEC is to blame: by our own validation, or by what a forwarder said (RFC 8914 section 4). */
static bool is_dnssec(const struct dns_answer *answer)
{
	bool said = answer->ede_code != DNS_NO_EDE &&
	            (answer->ede_code == 1 || answer->ede_code == 2 ||
	             (answer->ede_code >= 5 && answer->ede_code <= 12) || answer->ede_code == 27);
	return answer->failure == DNS_FAILURE_AUTHENTICATION || said;
}

static void blame_dnssec(struct delivery_tls_fact *fact, const struct dns_answer *answer,
                         struct arena *arena)
{
	const char *name = dns_ede_name(answer->ede_code);
	fact->result = DELIVERY_TLS_DNSSEC_INVALID;
	if (answer->ede_code == DNS_NO_EDE) {
		fact->reason = reason_of(answer->why, arena);
		return;
	}
	const char *reason = arena_printf(arena, "dns-extended-error-%" PRIu32 "%s%s%s%.200s",
	                                  answer->ede_code, *name ? " " : "", name,
	                                  *answer->ede_text ? ": " : "", answer->ede_text);
	fact->reason = reason ? reason_of(reason, arena) : "";
	if (answer->ede_code > EDE_SECTIONS)
		return;
	const char *uri = arena_printf(
	        arena, "https://www.rfc-editor.org/rfc/rfc8914.html#section-4.%" PRIu32,
	        answer->ede_code + 1);
	fact->information = uri ? uri : "";
}

static void say_unusable(struct delivery_tls_fact *fact, const struct delivery_dane *dane,
                         struct arena *arena)
{
	const char *why = dane->tls.n_records > 0 ? dane->findings[0].why : "";
	const char *reason = arena_printf(arena, "all-records-unusable: %.200s", why);
	fact->result = DELIVERY_TLS_TLSA_INVALID;
	fact->reason = reason ? reason : "all-records-unusable";
}

void delivery_tls_add_dane(struct delivery_tls_facts *facts, const struct delivery_dane *dane,
                           const struct delivery_tls_session *session, struct arena *arena)
{
	bool is_failure = dane->state == DELIVERY_DANE_FAILED && is_dnssec(dane->tlsa);
	bool has_session =
	        session->progress != DELIVERY_TLS_NOT_CONNECTED &&
	        (dane->state == DELIVERY_DANE_USABLE || dane->state == DELIVERY_DANE_UNUSABLE);
	if (!is_failure && !has_session)
		return;
	struct delivery_tls_fact *fact =
	        add(facts, delivery_tls_policy_of_dane(dane, session->host, arena), session);
	if (!fact)
		return;
	if (is_failure)
		blame_dnssec(fact, dane->tlsa, arena);
	else if (dane->state == DELIVERY_DANE_UNUSABLE && session->progress == DELIVERY_TLS_DONE)
		say_unusable(fact, dane, arena);
	else if (dane->state == DELIVERY_DANE_UNUSABLE)
		judge(fact, NULL, session, arena);
	else
		judge(fact, &session->verdict.dane, session, arena);
}

bool delivery_tls_add_lookup(struct delivery_tls_facts *facts, const char *domain, const char *host,
                             const struct dns_answer *answer, struct arena *arena)
{
	const struct delivery_tls_policy policy = {.type = DELIVERY_TLS_POLICY_NONE,
	                                           .domain = domain};
	const struct delivery_tls_session session = {.host = host, .address = "", .helo = ""};
	if (answer->outcome != DNS_FAILED || !is_dnssec(answer))
		return false;
	struct delivery_tls_fact *fact = add(facts, &policy, &session);
	if (fact)
		blame_dnssec(fact, answer, arena);
	return fact != NULL;
}

void delivery_tls_add_fetch(struct delivery_tls_facts *facts, const char *domain,
                            const struct delivery_tls_policy *policy,
                            enum delivery_tls_result result, const char *why, struct arena *arena)
{
	const struct delivery_tls_policy none = {.type = DELIVERY_TLS_POLICY_NONE,
	                                         .domain = domain};
	if (result == DELIVERY_TLS_SUCCESS)
		return;
	struct delivery_tls_fact *fact = add(facts, policy ? policy : &none, NULL);
	if (!fact)
		return;
	fact->result = result;
	fact->reason = reason_of(why, arena);
}
