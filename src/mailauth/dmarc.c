/* Evaluation of DMARC (RFC 9989 sections 4.10 and 5.3).
 *
 * Only an identity at or below the organisational domain of the author can be aligned: an
 * organisational domain is the name itself or an ancestor of it. So a signature by a stranger costs
 * no lookup, however many there are.
 *
 * What cannot be looked up counts only where it matters: one aligned pass is a pass whatever else
 * failed, and a temporary error of an identity that would not be aligned delays nothing (else
 * anybody could turn a fail into a temporary error by a signature of his own).
 */
#include "mailauth/dmarc.h"

#include "mailauth/dmarc_private.h"
#include "mailauth/public_suffix.h"

const char *dmarc_discovery_name(enum dmarc_discovery discovery)
{
	return discovery == DMARC_PUBLIC_SUFFIX ? "psl" : "treewalk";
}

const char *dmarc_place_name(enum dmarc_place place)
{
	static const char *const names[] = {
	        [DMARC_AT_AUTHOR] = "author",
	        [DMARC_AT_ORGANIZATION] = "organization",
	        [DMARC_AT_SUFFIX] = "suffix",
	};
	return (size_t)place < N_ELEMENTS(names) ? names[place] : "";
}

const char *dmarc_mechanism_name(enum dmarc_mechanism mechanism)
{
	return mechanism == DMARC_DKIM ? "dkim" : "spf";
}

const char *dmarc_aligned_name(enum dmarc_aligned aligned)
{
	static const char *const names[] = {
	        [DMARC_NOT_ALIGNED] = "no",
	        [DMARC_ALIGNED_RELAXED] = "relaxed",
	        [DMARC_ALIGNED_STRICT] = "strict",
	        [DMARC_ALIGNED_UNKNOWN] = "unknown",
	};
	return (size_t)aligned < N_ELEMENTS(names) ? names[aligned] : "";
}

struct evaluation {
	struct dmarc_walker walker;
	const struct dmarc_question *question;
	struct dmarc_result *result;
	struct arena *arena;
	/* The first reason for which neither pass nor fail can be said, temporary ones first. */
	bool has_open;
	enum dmarc_outcome open; /* TEMPORARY or PERMANENT */
	const char *open_why;
};

#define TELL(e, ...) mailauth_tell(&(e)->walker.story, (e)->arena, __VA_ARGS__)

static void begin(struct evaluation *e, struct mailauth_dns *dns,
                  const struct dmarc_question *question, struct dmarc_result *result)
{
	*e = (struct evaluation){.walker = {.dns = dns, .discovery = question->discovery},
	                         .question = question,
	                         .result = result,
	                         .arena = dns->arena};
	*result = (struct dmarc_result){
	        .result = MAILAUTH_TEMPERROR,
	        .why = "",
	        .tag = "",
	        .found = {.outcome = DMARC_TEMPORARY,
	                  .why = "",
	                  .author = dns_root,
	                  .domain = dns_root,
	                  .organization = dns_root,
	                  .text = ""},
	};
}

/* A result may never rest on what did not fit into memory. */
static void end(struct evaluation *e, size_t first_evidence)
{
	struct dmarc_result *result = e->result;
	if (arena_failed(e->arena)) {
		result->result = MAILAUTH_TEMPERROR;
		result->why = "the memory for one message's DMARC is used up";
		result->policy = result->published = DMARC_NONE;
		result->spf_aligned = result->dkim_aligned = false;
		result->n_alignments = 0;
	} else {
		TELL(e, "dmarc=%s: %s", mailauth_result_name(result->result), result->why);
	}
	result->story = e->walker.story;
	result->evidence = mailauth_evidence_since(e->walker.dns, first_evidence);
}

static void keep_open(struct evaluation *e, enum dmarc_outcome outcome, const char *why)
{
	if (e->has_open && (e->open == DMARC_TEMPORARY || outcome == DMARC_PERMANENT))
		return;
	e->has_open = true;
	e->open = outcome;
	e->open_why = why;
}

/* --- alignment (RFC 9989 section 4.10.2) --- */

static enum dmarc_aligned unknown(struct evaluation *e, const struct dmarc_node *failed,
                                  const char **ret_why)
{
	keep_open(e, dmarc_outcome_of_failure(failed->failure), failed->why);
	*ret_why = failed->why;
	return DMARC_ALIGNED_UNKNOWN;
}

static enum dmarc_aligned align_relaxed(struct evaluation *e, struct dns_name name,
                                        const char **ret_why)
{
	struct dmarc_found *found = &e->result->found;
	const struct dmarc_node *failed = NULL;
	struct dns_name organization;
	*ret_why = "not of the same organization";
	if (dns_name_is_root(found->organization))
		failed = dmarc_walker_organization(&e->walker, found->author, &found->organization);
	if (failed)
		return unknown(e, failed, ret_why);
	if (!dns_name_is_within(name, found->organization))
		return DMARC_NOT_ALIGNED;
	failed = dmarc_walker_organization(&e->walker, name, &organization);
	if (failed)
		return unknown(e, failed, ret_why);
	if (!dns_name_eq(organization, found->organization))
		return DMARC_NOT_ALIGNED;
	*ret_why = "the same organizational domain";
	return DMARC_ALIGNED_RELAXED;
}

static enum dmarc_aligned align(struct evaluation *e, const struct dmarc_identity *identity,
                                const char **ret_why)
{
	const struct dmarc_found *found = &e->result->found;
	enum dmarc_mode mode =
	        identity->mechanism == DMARC_SPF ? found->record.aspf : found->record.adkim;
	struct dns_name name;
	if (!is_ok(dns_name_parse(identity->domain, e->arena, &name))) {
		*ret_why = "not a domain name";
		return DMARC_NOT_ALIGNED;
	}
	if (dns_name_eq(name, found->author)) {
		*ret_why = "the same domain";
		return DMARC_ALIGNED_STRICT;
	}
	if (mode == DMARC_RELAXED)
		return align_relaxed(e, name, ret_why);
	*ret_why = "not the same domain, which the record demands";
	return DMARC_NOT_ALIGNED;
}

/* An identity that might have been one: RFC 7489 section 6.6.2 lets the policy not be applied when
 * it failed for a temporary error only. */
static void consider_error(struct evaluation *e, const struct dmarc_identity *identity,
                           struct dmarc_alignment *alignment)
{
	const char *why;
	enum dmarc_aligned aligned = align(e, identity, &why);
	alignment->why = "its check ended in a temporary error";
	if (aligned == DMARC_ALIGNED_RELAXED || aligned == DMARC_ALIGNED_STRICT)
		keep_open(e, DMARC_TEMPORARY,
		          identity->mechanism == DMARC_SPF
		                  ? "SPF, which would be aligned, ended in a temporary error"
		                  : "a DKIM signature, which would be aligned, ended in a "
		                    "temporary error");
}

static void consider(struct evaluation *e, const struct dmarc_identity *identity,
                     struct dmarc_alignment *alignment)
{
	*alignment = (struct dmarc_alignment){.identity = identity, .why = "it did not pass"};
	if (identity->result == MAILAUTH_PASS)
		alignment->aligned = align(e, identity, &alignment->why);
	else if (identity->result == MAILAUTH_TEMPERROR)
		consider_error(e, identity, alignment);
	bool aligned = alignment->aligned == DMARC_ALIGNED_RELAXED ||
	               alignment->aligned == DMARC_ALIGNED_STRICT;
	e->result->spf_aligned |= aligned && identity->mechanism == DMARC_SPF;
	e->result->dkim_aligned |= aligned && identity->mechanism == DMARC_DKIM;
	TELL(e, "%s=%s for %s: alignment %s, %s", dmarc_mechanism_name(identity->mechanism),
	     mailauth_result_name(identity->result),
	     mailauth_printable(identity->domain, DNS_NAME_WIRE_MAX, e->arena),
	     dmarc_aligned_name(alignment->aligned), alignment->why);
}

static void consider_all(struct evaluation *e)
{
	size_t n = MIN(e->question->n_identities, DMARC_IDENTITIES_MAX);
	struct dmarc_alignment *alignments = ARENA_ARRAY(e->arena, n, struct dmarc_alignment);
	if (!alignments)
		return;
	for (size_t i = 0; i < n; i++)
		consider(e, &e->question->identities[i], &alignments[i]);
	if (n < e->question->n_identities)
		TELL(e, "%zu more identities were not looked at", e->question->n_identities - n);
	e->result->alignments = alignments;
	e->result->n_alignments = n;
}

/* --- the policy for what did not pass --- */

/* A domain does not exist when the answer for its name is NXDOMAIN (RFC 9989 sections 3.2.13 and
 * A.4, RFC 8020). */
static void look_for_author(struct evaluation *e)
{
	struct dmarc_result *result = e->result;
	const struct dmarc_node *node = dmarc_walker_look(&e->walker, result->found.author);
	if (!node->exists) {
		const struct dns_answer *answer =
		        mailauth_lookup(e->walker.dns, result->found.author, DNS_TYPE_A);
		if (answer->outcome == DNS_FAILED) {
			const char *why =
			        arena_printf(e->arena, "whether %s exists is not known: %s",
			                     result->found.author.text, answer->why);
			keep_open(e, dmarc_outcome_of_failure(answer->failure), why ? why : "");
			return;
		}
		result->author_exists = answer->outcome != DNS_NXDOMAIN || answer->n_chain > 0;
	} else {
		result->author_exists = true;
	}
	result->existence_known = true;
	TELL(e, "%s %s", result->found.author.text,
	     result->author_exists ? "exists in the DNS" : "does not exist in the DNS");
}

static enum dmarc_scope scope_of(const struct dmarc_result *result)
{
	if (result->found.place == DMARC_AT_AUTHOR)
		return DMARC_SCOPE_DOMAIN;
	return result->existence_known && !result->author_exists ? DMARC_SCOPE_NONEXISTENT
	                                                         : DMARC_SCOPE_SUBDOMAIN;
}

/* "One level below" (RFC 9989 section 4.7, tag t; RFC 7489 section 6.6.4 for pct). */
static enum dmarc_policy one_level_off(enum dmarc_policy policy)
{
	return policy == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
}

static void choose_policy(struct evaluation *e)
{
	struct dmarc_result *result = e->result;
	const struct dmarc_record *record = &result->found.record;
	if (result->found.place != DMARC_AT_AUTHOR && record->has_np)
		look_for_author(e);
	result->published = dmarc_record_policy(record, scope_of(result), &result->tag);
	result->policy = result->published;
	result->testing = record->testing && result->published != DMARC_NONE;
	int sample = e->question->sample;
	result->sampled_out = !result->testing && result->published != DMARC_NONE && sample >= 0 &&
	                      (unsigned)sample >= record->pct;
	if (result->testing || result->sampled_out)
		result->policy = one_level_off(result->published);
	TELL(e, "the policy for what does not pass is %s%s%s%s", dmarc_policy_name(result->policy),
	     *result->tag ? ", by tag " : "", result->tag,
	     result->testing       ? ", one level off by t=y"
	     : result->sampled_out ? ", one level off by pct"
	                           : "");
}

/* --- one domain --- */

static void set_result(struct dmarc_result *result, enum mailauth_result word, const char *why)
{
	result->result = word;
	result->why = why;
}

static void set_open(struct dmarc_result *result, enum dmarc_outcome outcome, const char *why)
{
	bool permanent = outcome == DMARC_PERMANENT;
	set_result(result, permanent ? MAILAUTH_PERMERROR : MAILAUTH_TEMPERROR, why);
	result->policy = result->published = DMARC_NONE;
	result->testing = result->sampled_out = false;
	result->tag = "";
}

/* Where no record applies. False where one does. */
static bool set_without_record(struct evaluation *e)
{
	const struct dmarc_found *found = &e->result->found;
	switch (found->outcome) {
	case DMARC_FOUND:
		return false;
	case DMARC_ABSENT:
		set_result(e->result, MAILAUTH_NONE, found->why);
		break;
	case DMARC_DEFECTIVE:
		set_result(e->result, MAILAUTH_PERMERROR, found->why);
		break;
	case DMARC_TEMPORARY:
	case DMARC_PERMANENT:
		set_open(e->result, found->outcome, found->why);
		break;
	}
	return true;
}

/* Nothing passed: RFC 9989 section 5.3.6, and 4.10.1 for the policy. */
static void set_failed(struct evaluation *e)
{
	if (!e->has_open)
		choose_policy(e);
	if (e->has_open)
		set_open(e->result, e->open, e->open_why);
	else
		set_result(e->result, MAILAUTH_FAIL,
		           e->question->n_identities == 0
		                   ? "neither SPF nor DKIM vouches for any domain"
		                   : "no pass of SPF or DKIM is aligned with the author domain");
}

static void evaluate_domain(struct evaluation *e, struct dns_name author)
{
	dmarc_walker_discover(&e->walker, author, &e->result->found);
	if (set_without_record(e))
		return;
	consider_all(e);
	if (e->result->spf_aligned || e->result->dkim_aligned)
		set_result(e->result, MAILAUTH_PASS,
		           !e->result->dkim_aligned  ? "SPF passes for an aligned domain"
		           : !e->result->spf_aligned ? "DKIM passes for an aligned domain"
		                                     : "SPF and DKIM pass for aligned domains");
	else
		set_failed(e);
}

/* --- no author domain, or several --- */

/* RFC 9989 section 11.5: nothing can pass, but the strictest policy of the domains that the reader
 * may see is worth knowing. */
static void evaluate_without_author(struct evaluation *e, const struct mailauth_author *author)
{
	static const struct dmarc_question nothing = {.sample = DMARC_NO_SAMPLING};
	struct dmarc_result strictest = *e->result;
	TELL(e, "%s: nothing can pass", mailauth_author_why(author->kind));
	for (size_t i = 0; i < author->n_domains; i++) {
		struct evaluation one = *e;
		struct dmarc_result result = *e->result;
		one.result = &result;
		one.question = &nothing;
		evaluate_domain(&one, author->domains[i]);
		e->walker = one.walker;
		if (i == 0 || result.policy > strictest.policy)
			strictest = result;
	}
	if (author->more_domains)
		TELL(e, "further domains were not looked at");
	*e->result = strictest;
	set_result(e->result, MAILAUTH_PERMERROR, mailauth_author_why(author->kind));
}

/* --- the doors --- */

void dmarc_evaluate(struct mailauth_dns *dns, const struct mailauth_author *author,
                    const struct dmarc_question *question, struct dmarc_result *ret_result)
{
	struct evaluation e;
	size_t first_evidence = dns->evidence.n;
	begin(&e, dns, question, ret_result);
	if (author->kind == MAILAUTH_AUTHOR_FOUND) {
		ret_result->has_author = true;
		TELL(&e, "the author domain is %s", author->domain.text);
		evaluate_domain(&e, author->domain);
	} else {
		evaluate_without_author(&e, author);
	}
	end(&e, first_evidence);
}

void dmarc_look_up(struct mailauth_dns *dns, struct dns_name domain, enum dmarc_discovery discovery,
                   struct dmarc_result *ret_result)
{
	struct dmarc_question question = {.discovery = discovery, .sample = DMARC_NO_SAMPLING};
	struct evaluation e;
	size_t first_evidence = dns->evidence.n;
	begin(&e, dns, &question, ret_result);
	ret_result->has_author = true;
	evaluate_domain(&e, domain);
	struct dmarc_found *found = &ret_result->found;
	if (dns_name_is_root(found->organization) && found->outcome != DMARC_TEMPORARY &&
	    found->outcome != DMARC_PERMANENT)
		(void)dmarc_walker_organization(&e.walker, domain, &found->organization);
	end(&e, first_evidence);
}
