/* External destinations of reports (RFC 9990 section 3, RFC 7489 section 7.1): the numbers are
 * those of the steps in RFC 9990.
 */
#include "mailauth/dmarc_destination.h"

#include "mailauth/dmarc_private.h"

#define REPORT_LABELS "_report._dmarc"

const char *dmarc_destination_kind_name(enum dmarc_destination_kind kind)
{
	static const char *const names[] = {
	        [DMARC_DESTINATION_INTERNAL] = "internal",
	        [DMARC_DESTINATION_AUTHORIZED] = "authorized",
	        [DMARC_DESTINATION_OVERRIDDEN] = "overridden",
	        [DMARC_DESTINATION_REFUSED] = "refused",
	        [DMARC_DESTINATION_TEMPORARY] = "temporary",
	        [DMARC_DESTINATION_UNSUPPORTED] = "unsupported",
	};
	return (size_t)kind < N_ELEMENTS(names) ? names[kind] : "";
}

struct check {
	struct dmarc_walker walker;
	struct dns_name policy_domain;
	const struct dmarc_uri *uri;
	enum dmarc_reports reports;
	struct dmarc_destination *destination;
	struct arena *arena;
};

static void decide(struct check *c, enum dmarc_destination_kind kind, const char *why)
{
	c->destination->kind = kind;
	c->destination->why = why;
	bool itself = kind == DMARC_DESTINATION_INTERNAL || kind == DMARC_DESTINATION_AUTHORIZED;
	if (itself)
		c->destination->uris = (struct dmarc_uris){c->uri, 1};
}

static void decide_failed(struct check *c, enum dns_failure failure, const char *why)
{
	decide(c,
	       dmarc_outcome_of_failure(failure) == DMARC_PERMANENT ? DMARC_DESTINATION_REFUSED
	                                                            : DMARC_DESTINATION_TEMPORARY,
	       why);
}

/* True when it is decided: the same organisation, or not known. */
static bool is_internal(struct check *c)
{
	struct dns_name ours, theirs;
	if (dns_name_eq(c->policy_domain, c->uri->host)) {
		decide(c, DMARC_DESTINATION_INTERNAL, "the same domain");
		return true;
	}
	const struct dmarc_node *failed =
	        dmarc_walker_organization(&c->walker, c->policy_domain, &ours);
	if (!failed && !dns_name_is_within(c->uri->host, ours))
		return false;
	if (!failed)
		failed = dmarc_walker_organization(&c->walker, c->uri->host, &theirs);
	if (failed) {
		decide_failed(c, failed->failure, failed->why);
		return true;
	}
	if (!dns_name_eq(ours, theirs))
		return false;
	decide(c, DMARC_DESTINATION_INTERNAL, "the same organization");
	return true;
}

/* Step 9: "the overriding URI MUST use the same destination host"; where one does not, there is no
 * report at all. */
static void override(struct check *c, const struct dmarc_uris *uris)
{
	struct dmarc_uri *v = ARENA_ARRAY(c->arena, uris->n, struct dmarc_uri);
	size_t n = 0;
	for (size_t i = 0; i < uris->n && v; i++) {
		if (!uris->v[i].is_mailto)
			continue;
		if (!dns_name_eq(uris->v[i].host, c->uri->host)) {
			decide(c, DMARC_DESTINATION_REFUSED,
			       "the destination names an address of another domain");
			return;
		}
		v[n++] = uris->v[i];
	}
	if (n == 0) {
		decide(c, DMARC_DESTINATION_REFUSED,
		       "the destination names nothing that can be sent to");
		return;
	}
	decide(c, DMARC_DESTINATION_OVERRIDDEN, "the destination names other addresses of its own");
	c->destination->uris = (struct dmarc_uris){v, n};
}

/* Steps 6 to 9, with the records of the answer. The first that overrides does. */
static void read_answer(struct check *c, const struct dns_answer *answer)
{
	bool authorized = false;
	for (size_t i = 0; i < answer->n_records; i++) {
		struct dmarc_record record;
		if (!is_ok(dmarc_record_parse(answer->records[i].txt.joined, c->arena, &record)))
			continue;
		authorized = true;
		const struct dmarc_uris *uris =
		        c->reports == DMARC_AGGREGATE_REPORTS ? &record.rua : &record.ruf;
		if (uris->n > 0) {
			override(c, uris);
			return;
		}
	}
	if (authorized)
		decide(c, DMARC_DESTINATION_AUTHORIZED, "the destination allows it");
	else
		decide(c, DMARC_DESTINATION_REFUSED, "the destination does not allow it");
}

static void tell_answer(struct check *c, const struct dns_answer *answer)
{
	mailauth_tell(&c->walker.story, c->arena, "%s TXT: %s (%s)", answer->name.text,
	              answer->outcome == DNS_FAILED ? answer->why
	                                            : dns_outcome_name(answer->outcome),
	              dns_security_name(answer->security));
}

static void ask_destination(struct check *c)
{
	struct dns_name suffix, question;
	/* Step 4: a name that does not fit into the DNS allows nothing. */
	struct status status =
	        dns_name_prepend(slice_str(REPORT_LABELS), c->uri->host, c->arena, &suffix);
	if (is_ok(status))
		status = dns_name_prepend(dns_name_slice(c->policy_domain), suffix, c->arena,
		                          &question);
	if (!is_ok(status)) {
		decide(c, DMARC_DESTINATION_REFUSED,
		       "the name under which the destination would allow it is too long");
		return;
	}
	const struct dns_answer *answer = mailauth_lookup(c->walker.dns, question, DNS_TYPE_TXT);
	tell_answer(c, answer);
	if (answer->outcome == DNS_FAILED)
		decide_failed(c, answer->failure, "the destination could not be asked");
	else
		read_answer(c, answer);
}

void dmarc_destination_check(struct mailauth_dns *dns, struct dns_name policy_domain,
                             const struct dmarc_uri *uri, enum dmarc_reports reports,
                             enum dmarc_discovery discovery,
                             struct dmarc_destination *ret_destination)
{
	struct check c = {.walker = {.dns = dns, .discovery = discovery},
	                  .policy_domain = policy_domain,
	                  .uri = uri,
	                  .reports = reports,
	                  .destination = ret_destination,
	                  .arena = dns->arena};
	size_t first_evidence = dns->evidence.n;
	*ret_destination = (struct dmarc_destination){.why = ""};
	if (!uri->is_mailto)
		decide(&c, DMARC_DESTINATION_UNSUPPORTED, "only mailto: can be reported to");
	else if (!is_internal(&c))
		ask_destination(&c);
	if (arena_failed(dns->arena)) {
		decide(&c, DMARC_DESTINATION_TEMPORARY, "the memory for the check is used up");
		ret_destination->uris = (struct dmarc_uris){0};
	}
	mailauth_tell(&c.walker.story, c.arena, "%s: %s",
	              dmarc_destination_kind_name(ret_destination->kind), ret_destination->why);
	ret_destination->story = c.walker.story;
	ret_destination->evidence = mailauth_evidence_since(dns, first_evidence);
}
