/* Forward-confirmed reverse names (RFC 8601 sections 2.7.3 and 3).
 *
 * Names that are no host names (RFC 1123 section 2.1) confirm nothing: they could not be written
 * where the confirmed name goes. For the others only the address's own family is asked for: an AAAA
 * record never equals an IPv4 address.
 */
#include "mailauth/iprev.h"

#include "mailauth/address.h"

struct check {
	struct mailauth_dns *dns;
	struct slice address;
	struct iprev_result *result;
	struct arena *arena;
	bool failed; /* a lookup did */
	const char *failed_why;
};

#define TELL(c, ...) mailauth_tell(&(c)->result->story, (c)->arena, __VA_ARGS__)

static void decide(struct check *c, enum mailauth_result result, const char *why)
{
	c->result->result = result;
	c->result->why = why;
}

/* Host names of the PTR records, each once. */
static void keep_names(struct check *c, const struct dns_answer *answer)
{
	struct dns_name *names = ARENA_ARRAY(c->arena, IPREV_NAMES_MAX, struct dns_name);
	size_t n = 0;
	for (size_t i = 0; names && i < answer->n_records; i++) {
		struct dns_name name = answer->records[i].name;
		bool known = false;
		for (size_t k = 0; k < n; k++)
			known |= dns_name_eq(names[k], name);
		if (known)
			continue;
		if (n == IPREV_NAMES_MAX) {
			TELL(c, "more names than %u: the others are passed over", IPREV_NAMES_MAX);
			break;
		}
		if (dns_name_is_host(name))
			names[n++] = name;
		else
			TELL(c, "%s is no host name", name.text);
	}
	c->result->names = names;
	c->result->n_names = names ? n : 0;
}

static bool has_address(const struct check *c, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n_records; i++) {
		const struct dns_record *record = &answer->records[i];
		struct slice theirs = c->address.n == MAILAUTH_V4_SIZE
		                              ? slice_of(record->a, MAILAUTH_V4_SIZE)
		                              : slice_of(record->aaaa, MAILAUTH_V6_SIZE);
		if (slice_eq(theirs, c->address))
			return true;
	}
	return false;
}

static void keep_failure(struct check *c, const char *why)
{
	if (!c->failed)
		c->failed_why = why;
	c->failed = true;
}

/* True when the name leads to the address. */
static bool confirm(struct check *c, struct dns_name name)
{
	enum dns_type type = c->address.n == MAILAUTH_V4_SIZE ? DNS_TYPE_A : DNS_TYPE_AAAA;
	const struct dns_answer *answer = mailauth_lookup(c->dns, name, type);
	const char *security = dns_security_name(answer->security);
	struct iprev_result *result = c->result;
	result->forward_security =
	        result->has_forward ? dns_security_min(result->forward_security, answer->security)
	                            : answer->security;
	result->has_forward = true;
	if (answer->outcome == DNS_FAILED) {
		keep_failure(c, answer->why);
		TELL(c, "%s %s: the lookup failed (%s): %s", name.text, dns_type_name(type),
		     dns_failure_name(answer->failure), answer->why);
		return false;
	}
	bool confirmed = answer->outcome == DNS_FOUND && has_address(c, answer);
	TELL(c, "%s %s the address (%s)", name.text, confirmed ? "leads to" : "does not lead to",
	     security);
	return confirmed;
}

static void confirm_any(struct check *c)
{
	for (size_t i = 0; i < c->result->n_names; i++) {
		if (!confirm(c, c->result->names[i]))
			continue;
		c->result->name = c->result->names[i];
		decide(c, MAILAUTH_PASS, "the name of the address leads back to it");
		return;
	}
	if (c->failed)
		decide(c, MAILAUTH_TEMPERROR, c->failed_why);
	else
		decide(c, MAILAUTH_FAIL,
		       c->result->n_names > 0 ? "no name of the address leads back to it"
		                              : "the address has no name that is a host name");
}

static void look_at_names(struct check *c, struct dns_name reverse)
{
	const struct dns_answer *answer = mailauth_lookup(c->dns, reverse, DNS_TYPE_PTR);
	c->result->reverse_security = answer->security;
	const char *security = dns_security_name(answer->security);
	if (answer->outcome == DNS_FAILED) {
		TELL(c, "%s PTR: the lookup failed (%s): %s", reverse.text,
		     dns_failure_name(answer->failure), answer->why);
		decide(c, MAILAUTH_TEMPERROR, answer->why);
	} else if (answer->outcome != DNS_FOUND) {
		TELL(c, "%s has no PTR record (%s)", reverse.text, security);
		decide(c, MAILAUTH_PERMERROR, "the address has no name");
	} else {
		TELL(c, "%s has %zu PTR record%s (%s)", reverse.text, answer->n_records,
		     answer->n_records == 1 ? "" : "s", security);
		keep_names(c, answer);
		confirm_any(c);
	}
}

void iprev_check(struct mailauth_dns *dns, struct slice address, struct iprev_result *ret_result)
{
	struct check c = {.dns = dns,
	                  .address = mailauth_address_unmap(address),
	                  .result = ret_result,
	                  .arena = dns->arena};
	size_t first_evidence = dns->evidence.n;
	struct dns_name reverse;
	*ret_result = (struct iprev_result){.name = dns_root,
	                                    .reverse_security = DNS_INSECURE,
	                                    .forward_security = DNS_INSECURE};
	struct status status = dns_name_reverse(c.address, dns->arena, &reverse);
	if (is_ok(status))
		look_at_names(&c, reverse);
	else
		decide(&c, status.code == ERR_INVALID ? MAILAUTH_PERMERROR : MAILAUTH_TEMPERROR,
		       status.why);
	if (arena_failed(dns->arena)) {
		decide(&c, MAILAUTH_TEMPERROR, "the memory for one check is used up");
		ret_result->name = dns_root;
	}
	TELL(&c, "iprev=%s: %s", mailauth_result_name(ret_result->result), ret_result->why);
	ret_result->evidence = mailauth_evidence_since(dns, first_evidence);
}
