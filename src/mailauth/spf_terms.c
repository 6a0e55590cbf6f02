/* Single terms of an SPF record (RFC 7208 section 5), and the explanation (section 6.2).
 *
 * Errors of the DNS: a term that asks and gets none ends the check with temperror (section 5), but
 * for the lookups of names that the client's address points to, which are skipped (section 5.5).
 *
 * Limits: a term counts once among the void ones, however many of its lookups found nothing; see
 * docs/decisions/spf-void-terms.md.
 */
#include "mailauth/spf_private.h"

static const struct dns_answer *ask(struct spf_check *check, struct dns_name name,
                                    enum dns_type type)
{
	const struct dns_answer *answer = mailauth_lookup(check->dns, name, type);
	bool is_void = answer->outcome == DNS_NODATA || answer->outcome == DNS_NXDOMAIN;
	if (is_void && !check->term_was_void) { /* section 4.6.4 */
		check->term_was_void = true;
		check->n_void_terms++;
	}
	/* Where errors of the DNS are passed over (ptr), our own want of time or memory must not
	 * be. */
	bool is_late = clock_monotonic_ms(check->dns->clock) >= check->dns->deadline_ms;
	if (answer->outcome == DNS_FAILED && (is_late || arena_failed(check->arena)))
		check->cut_short = answer->why;
	return answer;
}

static enum spf_match lookup_failed(struct spf_check *check, const struct dns_answer *answer,
                                    enum mailauth_result *ret_result)
{
	return spf_fail(check, MAILAUTH_TEMPERROR, ret_result, "the lookup of %s %s failed: %s",
	                dns_type_name(answer->type), answer->name.text, answer->why);
}

/* --- addresses --- */

/* "only the specified number of high-order bits" (section 5) */
static bool prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);
	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

static bool is_v4(const struct spf_check *check)
{
	return check->values.client_ip.n == 4;
}

static unsigned prefix_of(const struct spf_check *check, const struct spf_term *term)
{
	return is_v4(check) ? term->prefix4 : term->prefix6;
}

/* "when <ip> is an IPv4, "A" records are fetched; when <ip> is an IPv6 address, "AAAA" records"
 * (section 5) */
static enum dns_type address_type(const struct spf_check *check)
{
	return is_v4(check) ? DNS_TYPE_A : DNS_TYPE_AAAA;
}

static bool has_address(const struct spf_check *check, const struct dns_answer *answer,
                        unsigned bits)
{
	for (size_t i = 0; i < answer->n_records; i++) {
		const struct dns_record *record = &answer->records[i];
		const uint8_t *address = is_v4(check) ? record->a : record->aaaa;
		if (prefix_eq(address, check->ip, bits))
			return true;
	}
	return false;
}

static enum spf_match match_host(struct spf_check *check, const struct spf_term *term,
                                 struct dns_name host, enum mailauth_result *ret_result)
{
	const struct dns_answer *answer = ask(check, host, address_type(check));
	if (answer->outcome == DNS_FAILED)
		return lookup_failed(check, answer, ret_result);
	return has_address(check, answer, prefix_of(check, term)) ? SPF_MATCH : SPF_NO_MATCH;
}

/* --- names that the address points to (section 5.5) --- */

static void find_pointers(struct spf_check *check)
{
	struct dns_name reverse;
	check->has_pointers = true;
	if (!is_ok(dns_name_reverse(check->values.client_ip, check->arena, &reverse))) {
		check->cut_short = "no room for a name";
		return;
	}
	/* "If a DNS error occurs while doing the PTR RR lookup, then this mechanism fails to
	 * match" */
	const struct dns_answer *answer = ask(check, reverse, DNS_TYPE_PTR);
	check->n_pointers = MIN(answer->n_records, SPF_PTR_NAMES_MAX);
	for (size_t i = 0; i < check->n_pointers; i++)
		check->pointers[i] = (struct spf_pointer){.name = answer->records[i].name};
}

static bool is_validated(struct spf_check *check, struct spf_pointer *pointer)
{
	if (pointer->state == SPF_POINTER_UNKNOWN) {
		const struct dns_answer *answer = ask(check, pointer->name, address_type(check));
		bool good = has_address(check, answer, is_v4(check) ? 32 : 128);
		pointer->state = good ? SPF_POINTER_GOOD : SPF_POINTER_BAD;
	}
	return pointer->state == SPF_POINTER_GOOD;
}

/* The first validated name within domain. Only names that would do are validated. */
static const struct spf_pointer *validated_within(struct spf_check *check, struct dns_name domain)
{
	for (size_t i = 0; i < check->n_pointers; i++) {
		struct spf_pointer *pointer = &check->pointers[i];
		if (dns_name_is_within(pointer->name, domain) && is_validated(check, pointer))
			return pointer;
	}
	return NULL;
}

static const struct spf_pointer *validated_as(struct spf_check *check, struct dns_name domain)
{
	for (size_t i = 0; i < check->n_pointers; i++) {
		struct spf_pointer *pointer = &check->pointers[i];
		if (dns_name_eq(pointer->name, domain) && is_validated(check, pointer))
			return pointer;
	}
	return NULL;
}

/* %{p}: <domain> itself, else a subdomain of it, else any (section 7.3). */
static void find_validated(struct spf_check *check, struct dns_name domain)
{
	const struct spf_pointer *pointer = validated_as(check, domain);
	if (!pointer)
		pointer = validated_within(check, domain);
	if (!pointer)
		pointer = validated_within(check, dns_root);
	struct slice name = pointer ? dns_name_slice(pointer->name) : slice_empty();
	/* A name with bytes that are written as escapes is no host's: "unknown". */
	check->values.validated = slice_index(name, '\\') == SIZE_MAX ? name : slice_empty();
}

/* --- targets --- */

/* Makes the values fit for a text of this record. */
static bool prepare(struct spf_check *check, const struct spf_target *domain, struct slice text,
                    bool counted, enum mailauth_result *ret_result)
{
	check->values.domain = domain->text;
	if (!spf_macro_uses(text, "p"))
		return true;
	if (!check->has_pointers) {
		/* "or the %{p} macro ... is included in the overall limit" (section 4.6.4) */
		if (counted && !spf_count_lookup(check, ret_result))
			return false;
		find_pointers(check);
	}
	find_validated(check, domain->name);
	return true;
}

enum spf_match spf_term_target(struct spf_check *check, struct slice domain_spec,
                               enum mailauth_result *ret_result, struct spf_target *ret_target)
{
	const struct spf_frame *frame = &check->frames[check->n_frames - 1];
	if (domain_spec.n == 0) { /* section 4.8 */
		*ret_target = frame->target;
		return SPF_MATCH;
	}
	if (!prepare(check, &frame->target, domain_spec, true, ret_result))
		return SPF_FAILED;
	struct status status =
	        spf_target_expand(domain_spec, &check->values, check->arena, ret_target);
	if (status.code == ERR_LIMIT)
		return spf_fail_memory(check, ret_result);
	check->is_malformed = status.code == ERR_INVALID;
	return is_ok(status) ? SPF_MATCH : SPF_NO_MATCH;
}

/* --- mechanisms --- */

/* Sections 5.6 and 5: an address is compared with networks of its own family only. */
static enum spf_match match_network(const struct spf_check *check, const struct spf_term *term)
{
	if (is_v4(check) != (term->kind == SPF_IP4))
		return SPF_NO_MATCH;
	return prefix_eq(term->network, check->ip, prefix_of(check, term)) ? SPF_MATCH
	                                                                   : SPF_NO_MATCH;
}

/* Whether a comes before b: the order must not depend on the one the DNS happens to give. */
static bool is_preferred(const struct dns_record *a, const struct dns_record *b)
{
	if (a->mx.preference != b->mx.preference)
		return a->mx.preference < b->mx.preference;
	return strcmp(a->mx.host.text, b->mx.host.text) < 0;
}

static void sort_hosts(const struct dns_answer *answer,
                       const struct dns_record *sorted[SPF_MX_HOSTS_MAX])
{
	for (size_t i = 0; i < answer->n_records; i++) {
		size_t at = i;
		for (; at > 0 && is_preferred(&answer->records[i], sorted[at - 1]); at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &answer->records[i];
	}
}

/* Section 5.4. */
static enum spf_match match_mx(struct spf_check *check, const struct spf_term *term,
                               struct dns_name domain, enum mailauth_result *ret_result)
{
	const struct dns_record *hosts[SPF_MX_HOSTS_MAX];
	const struct dns_answer *answer = ask(check, domain, DNS_TYPE_MX);
	if (answer->outcome == DNS_FAILED)
		return lookup_failed(check, answer, ret_result);
	if (answer->n_records > SPF_MX_HOSTS_MAX) /* section 4.6.4 */
		return spf_fail(check, MAILAUTH_PERMERROR, ret_result,
		                "%s has more than %u mail hosts", domain.text, SPF_MX_HOSTS_MAX);
	sort_hosts(answer, hosts);
	for (size_t i = 0; i < answer->n_records; i++) {
		if (dns_name_is_root(hosts[i]->mx.host)) /* no host at all (RFC 7505) */
			continue;
		enum spf_match match = match_host(check, term, hosts[i]->mx.host, ret_result);
		if (match != SPF_NO_MATCH)
			return match;
	}
	return SPF_NO_MATCH;
}

/* Section 5.5; that a validated name has to be within the target, and not the contrary, is erratum
 * 4751. */
static enum spf_match match_ptr(struct spf_check *check, struct dns_name domain,
                                enum mailauth_result *ret_result)
{
	if (!check->has_pointers)
		find_pointers(check);
	if (validated_within(check, domain))
		return SPF_MATCH;
	if (!check->cut_short)
		return SPF_NO_MATCH;
	return spf_fail(check, MAILAUTH_TEMPERROR, ret_result, "%s", check->cut_short);
}

/* Section 5.7: an A record whatever the client's family. */
static enum spf_match match_exists(struct spf_check *check, struct dns_name name,
                                   enum mailauth_result *ret_result)
{
	const struct dns_answer *answer = ask(check, name, DNS_TYPE_A);
	if (answer->outcome == DNS_FAILED)
		return lookup_failed(check, answer, ret_result);
	return answer->n_records > 0 ? SPF_MATCH : SPF_NO_MATCH;
}

enum spf_match spf_term_match(struct spf_check *check, const struct spf_term *term,
                              enum mailauth_result *ret_result)
{
	struct spf_target target;
	if (term->kind == SPF_ALL) /* section 5.1 */
		return SPF_MATCH;
	if (term->kind == SPF_IP4 || term->kind == SPF_IP6)
		return match_network(check, term);
	/* a name that cannot be asked for does not exist (section 4.8 leaves it open) */
	enum spf_match match = spf_term_target(check, term->domain_spec, ret_result, &target);
	if (match != SPF_MATCH)
		return match;
	switch (term->kind) {
	case SPF_A:
		return match_host(check, term, target.name, ret_result);
	case SPF_MX:
		return match_mx(check, term, target.name, ret_result);
	case SPF_PTR:
		return match_ptr(check, target.name, ret_result);
	case SPF_EXISTS:
		return match_exists(check, target.name, ret_result);
	case SPF_ALL:
	case SPF_INCLUDE:
	case SPF_IP4:
	case SPF_IP6:
	case SPF_REDIRECT:
	case SPF_EXP:
	case SPF_UNKNOWN:
		break;
	}
	BUG("no mechanism that asks for a name");
}

/* --- the explanation --- */

/* The one TXT record at the target; anything else is no explanation (section 6.2). */
static bool find_explanation(struct spf_check *check, const struct spf_frame *decider,
                             struct slice *ret_text)
{
	enum mailauth_result unused;
	struct spf_target target;
	struct spf_fault fault;
	struct slice domain_spec = decider->record.exp->domain_spec;
	if (!prepare(check, &decider->target, domain_spec, false, &unused) ||
	    !is_ok(spf_target_expand(domain_spec, &check->values, check->arena, &target)))
		return false;
	const struct dns_answer *answer = mailauth_lookup(check->dns, target.name, DNS_TYPE_TXT);
	if (answer->outcome != DNS_FOUND || answer->n_records != 1)
		return false;
	*ret_text = answer->records[0].txt.joined;
	return ret_text->n <= SPF_RECORD_MAX &&
	       spf_macro_check(*ret_text, SPF_MACRO_IN_EXPLANATION, &fault) &&
	       prepare(check, &decider->target, *ret_text, false, &unused);
}

static bool is_printable(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_print(text.p[i]))
			return false;
	return true;
}

void spf_explain(struct spf_check *check)
{
	const struct spf_frame *decider = &check->decider;
	CLEANUP(buf_done) struct buf expanded = {0};
	struct slice text;
	if (!decider->term || !decider->record.exp || !find_explanation(check, decider, &text))
		return;
	buf_init(&expanded, 2 * SPF_RECORD_MAX);
	spf_macro_expand(text, &check->values, &expanded);
	/* "MUST be limited to [US-ASCII]"; line ends and their like in it can only be an attack */
	if (!is_printable(buf_slice(&expanded)))
		return;
	const char *words =
	        arena_cstr(check->arena, slice_sub(buf_slice(&expanded), 0, SPF_EXPLANATION_MAX));
	if (words)
		check->result->explanation = words;
}
