/* Questions of one check, counted and written down.
 *
 * Limits: MAILAUTH_LOOKUPS_MAX questions, the deadline, the arena. Past each of them the answer is
 * a temporary failure: a check that could not be finished has not failed.
 */
#include "mailauth/lookup.h"

#define EVIDENCE_AT_FIRST 16u

/* For the case that not even a failure fits into the arena. */
static const struct dns_answer no_memory = {
        .name = {"."},
        .type = DNS_TYPE_TXT,
        .outcome = DNS_FAILED,
        .security = DNS_INSECURE,
        .final_security = DNS_INSECURE,
        .canonical_name = {"."},
        .failure = DNS_FAILURE_TEMPORARY,
        .rcode = 2,
        .ede_code = DNS_NO_EDE,
        .ede_text = "",
        .why = "the memory for DNS answers of one check is used up",
};

void mailauth_dns_init(struct mailauth_dns *dns, const struct dns_resolver *resolver,
                       const struct clock *clock, int timeout_ms, struct arena *arena)
{
	*dns = (struct mailauth_dns){
	        .resolver = resolver,
	        .clock = clock,
	        .deadline_ms = clock_monotonic_ms(clock) + timeout_ms,
	        .arena = arena,
	};
}

static const struct dns_answer *failed(struct mailauth_dns *dns, struct dns_name name,
                                       enum dns_type type, const char *why)
{
	const struct dns_answer *answer =
	        dns_answer_failed(name, type, DNS_FAILURE_TEMPORARY, why, dns->arena);
	return answer ? answer : &no_memory;
}

static const struct dns_answer *ask(struct mailauth_dns *dns, struct dns_name name,
                                    enum dns_type type)
{
	if (dns->n_asked > MAILAUTH_LOOKUPS_MAX)
		return failed(dns, name, type, "too many DNS lookups for one check");
	int64_t left_ms = dns->deadline_ms - clock_monotonic_ms(dns->clock);
	if (left_ms <= 0)
		return failed(dns, name, type, "the time for DNS lookups of one check is over");
	const struct dns_answer *answer;
	struct status status =
	        dns_lookup_name(dns->resolver, name, type, (int)MIN(left_ms, (int64_t)INT32_MAX),
	                        dns->arena, &answer);
	return is_ok(status) ? answer : &no_memory;
}

static void write_down(struct mailauth_dns *dns, const struct dns_answer *answer)
{
	struct mailauth_evidence *evidence = &dns->evidence;
	if (evidence->n == dns->capacity) {
		size_t capacity = MAX(EVIDENCE_AT_FIRST, dns->capacity * 2);
		struct mailauth_evidence_item *items =
		        ARENA_ARRAY(dns->arena, capacity, struct mailauth_evidence_item);
		if (!items) {
			evidence->truncated = true;
			return;
		}
		if (evidence->n > 0)
			memcpy(items, evidence->v, evidence->n * sizeof(*items));
		dns->items = items;
		dns->capacity = capacity;
		evidence->v = items;
	}
	dns->items[evidence->n++] = (struct mailauth_evidence_item){
	        .name = answer->name,
	        .type = answer->type,
	        .outcome = answer->outcome,
	        .security = answer->security,
	        .failure = answer->failure,
	        .n_records = answer->n_records,
	        .ede_code = answer->ede_code,
	        .ede_text = answer->ede_text,
	        .why = answer->why,
	};
}

const struct dns_answer *mailauth_lookup(struct mailauth_dns *dns, struct dns_name name,
                                         enum dns_type type)
{
	dns->n_asked++;
	const struct dns_answer *answer = ask(dns, name, type);
	write_down(dns, answer);
	return answer;
}

struct mailauth_evidence mailauth_evidence_since(const struct mailauth_dns *dns, size_t first)
{
	struct mailauth_evidence since = dns->evidence;
	first = MIN(first, since.n);
	if (first > 0)
		since.v += first;
	since.n -= first;
	return since;
}

bool mailauth_evidence_security(const struct mailauth_evidence *evidence,
                                enum dns_security *ret_security)
{
	enum dns_security security = evidence->truncated ? DNS_INSECURE : DNS_SECURE;
	for (size_t i = 0; i < evidence->n; i++)
		security = dns_security_min(security, evidence->v[i].security);
	if (evidence->n == 0 && !evidence->truncated)
		return false;
	*ret_security = security;
	return true;
}

const char *mailauth_evidence_word(const struct mailauth_evidence *evidence)
{
	enum dns_security security;
	return mailauth_evidence_security(evidence, &security) ? dns_security_name(security)
	                                                       : "none";
}

static void item_print(const struct mailauth_evidence_item *item, struct buf *out)
{
	buf_printf(out, "%s %s: ", item->name.text, dns_type_name(item->type));
	if (item->outcome == DNS_FOUND)
		buf_printf(out, "%zu record%s", item->n_records, item->n_records == 1 ? "" : "s");
	else if (item->outcome == DNS_FAILED)
		buf_printf(out, "failed (%s), %s", dns_failure_name(item->failure), item->why);
	else
		buf_add_str(out, item->outcome == DNS_NXDOMAIN ? "no such name" : "no such record");
	buf_printf(out, ", %s", dns_security_name(item->security));
	if (item->ede_code != DNS_NO_EDE)
		buf_printf(out, ", extended error %" PRIu32 " %s%s%s", item->ede_code,
		           dns_ede_name(item->ede_code), item->ede_text[0] ? ": " : "",
		           item->ede_text);
	buf_add_byte(out, '\n');
}

void mailauth_evidence_print(const struct mailauth_evidence *evidence, struct buf *out)
{
	for (size_t i = 0; i < evidence->n; i++)
		item_print(&evidence->v[i], out);
	if (evidence->truncated)
		buf_add_str(out, "more lookups than were recorded\n");
}
