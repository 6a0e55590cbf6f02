/* Findings, what takes them back, and the strongest that is left. */
#include "mailauth/policy.h"

#include "mailauth/authres.h"
#include "mailauth/public_suffix.h"

#include <stdarg.h>

static const char *const action_names[] = {"accept", "quarantine", "defer", "refuse"};

const char *policy_action_name(enum policy_action action)
{
	return (size_t)action < N_ELEMENTS(action_names) ? action_names[action] : "";
}

/* ---- facts that all recipients share ---- */

static void add_domain(struct policy_facts *facts, struct slice *domains, struct slice domain)
{
	if (domain.n == 0 || facts->n_domains == POLICY_DOMAINS_MAX)
		return;
	for (size_t i = 0; i < facts->n_domains; i++)
		if (slice_ieq(domains[i], domain))
			return;
	domains[facts->n_domains++] = domain;
}

/* Of SPF the domain in MAIL FROM, or in HELO for reports (RFC 7208 section 2.4). */
static void collect_domains(struct policy_facts *facts, struct arena *arena)
{
	struct slice *domains = ARENA_ARRAY(arena, POLICY_DOMAINS_MAX, struct slice);
	facts->n_domains = 0;
	if (!domains)
		return;
	facts->domains = domains;
	if (facts->mailfrom && facts->mailfrom->result == MAILAUTH_PASS)
		add_domain(facts, domains, slice_str(facts->mailfrom->domain));
	for (size_t i = 0; facts->dkim && i < facts->dkim->n; i++)
		if (facts->dkim->v[i].result == MAILAUTH_PASS && facts->dkim->v[i].signature)
			add_domain(facts, domains, slice_str(facts->dkim->v[i].signature->domain));
}

static bool is_same_or_below(struct slice domain, struct slice ancestor)
{
	return slice_ieq(domain, ancestor) ||
	       (domain.n > ancestor.n + 1 && slice_iends(domain, ancestor) &&
	        domain.p[domain.n - ancestor.n - 1] == '.');
}

/* Both in one organisation's hands. */
static bool is_related(struct slice a, struct slice b, struct arena *arena)
{
	struct dns_name name_a, name_b, org_a, org_b;
	if (is_same_or_below(a, b) || is_same_or_below(b, a))
		return !is_ok(dns_name_parse(a.n < b.n ? a : b, arena, &name_a)) ||
		       !public_suffix_is(name_a, PUBLIC_SUFFIX_ALL);
	return is_ok(dns_name_parse(a, arena, &name_a)) &&
	       is_ok(dns_name_parse(b, arena, &name_b)) &&
	       public_suffix_organizational(name_a, PUBLIC_SUFFIX_ALL, &org_a) &&
	       public_suffix_organizational(name_b, PUBLIC_SUFFIX_ALL, &org_b) &&
	       dns_name_eq(org_a, org_b);
}

/* RFC 2919 section 3: "Name of it <label.list.example.org>"; the domain is a tail of that. */
static struct slice list_id_of(struct slice value)
{
	struct slice before, id, rest;
	if (!slice_cut(value, '<', &before, &rest))
		return slice_trim(value);
	(void)slice_cut(rest, '>', &id, &rest);
	return slice_trim(id);
}

/* A list that only says that it is one proves nothing: one of the domains that vouch for the
 * message must be the list's own. */
static void find_list(struct policy_facts *facts, struct arena *arena)
{
	struct slice id = list_id_of(facts->list_id);
	facts->list = NULL;
	for (size_t i = 0; id.n > 0 && i < facts->n_domains && !facts->list; i++)
		if (is_related(id, facts->domains[i], arena))
			facts->list = mailauth_printable(facts->domains[i], MAILAUTH_PRINTABLE_MAX,
			                                 arena);
}

void policy_facts_prepare(struct policy_facts *facts, struct arena *arena)
{
	collect_domains(facts, arena);
	find_list(facts, arena);
	facts->arc_sealer = NULL;
	if (facts->arc && facts->arc->result == MAILAUTH_PASS && facts->arc->n_sets > 0)
		facts->arc_sealer = facts->arc->sets[facts->arc->n_sets - 1].seal->domain;
}

/* ---- deciding ---- */

struct finding {
	enum policy_action action;
	unsigned code;
	const char *enhanced;
	const char *text;
	bool authentication; /* of those that RFC 7372 section 3.4 counts */
};

struct deciding {
	const struct policy_facts *facts;
	const struct policy_settings *settings;
	struct arena *arena;
	struct policy_decision *decision;
	const char **reasons;
	struct finding strongest;
	unsigned n_authentication; /* findings that ask for a refusal */
};

PRINTF(2, 3) static void tell(struct deciding *d, const char *format, ...)
{
	char text[MAILAUTH_STEP_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *copy = arena_cstr(d->arena, slice_str(text));
	if (copy && d->reasons && d->decision->n_reasons < POLICY_REASONS_MAX)
		d->reasons[d->decision->n_reasons++] = copy;
}

/* Who mends only the first of several reasons would be turned away again. */
static void add_text(struct deciding *d, const char *text)
{
	const char *both = text && d->strongest.text
	                           ? arena_printf(d->arena, "%s\n%s", d->strongest.text, text)
	                           : NULL;
	if (both)
		d->strongest.text = both;
}

static void find(struct deciding *d, const struct finding *finding)
{
	if (finding->action == POLICY_REFUSE && finding->authentication)
		d->n_authentication++;
	if (finding->action > d->strongest.action)
		d->strongest = *finding;
	else if (finding->action == d->strongest.action && finding->action >= POLICY_DEFER)
		add_text(d, finding->text);
}

static const char *clip(struct deciding *d, const char *text)
{
	const char *clipped = mailauth_printable(slice_str(text), POLICY_REPLY_MAX, d->arena);
	return clipped ? clipped : "";
}

/* "; " and what is made of it, for the end of a sentence. */
static const char *made_of_it(enum policy_action action)
{
	static const char *const words[] = {"no reason to turn it away here",
	                                    "to be put with the junk", "to be sent away for now",
	                                    "to be refused"};
	return words[action];
}

static bool is_forwarded(const struct deciding *d)
{
	return d->decision->exception && d->decision->exception->kind == POLICY_FORWARD;
}

static void look_at_lists(struct deciding *d)
{
	for (size_t i = 0; i < d->facts->n_listings; i++) {
		const struct policy_listing *l = &d->facts->listings[i];
		enum policy_action action = is_forwarded(d) ? POLICY_ACCEPT : d->settings->listed;
		tell(d, "%s is on the block list %s%s%s: %s", l->about, l->zone,
		     l->result->text[0] ? ", which says: " : "", l->result->text,
		     is_forwarded(d) ? "not counted, since the mail is passed on"
		                     : made_of_it(action));
		find(d,
		     &(struct finding){
		             .action = action,
		             .code = action == POLICY_DEFER ? 451 : 550,
		             .enhanced = action == POLICY_DEFER ? "4.7.1" : "5.7.1",
		             .text = arena_printf(d->arena, "%s is on the block list %s%s%s",
		                                  l->about, l->zone, l->result->text[0] ? "\n" : "",
		                                  clip(d, l->result->text)),
		     });
	}
}

static void look_at_iprev(struct deciding *d)
{
	const struct iprev_result *iprev = d->facts->iprev;
	if (!iprev || (iprev->result != MAILAUTH_FAIL && iprev->result != MAILAUTH_PERMERROR))
		return;
	enum policy_action action = is_forwarded(d) ? POLICY_ACCEPT : d->settings->iprev_fail;
	tell(d, "reverse name: %s: %s", iprev->why, made_of_it(action));
	find(d, &(struct finding){
	                .action = action,
	                .code = action == POLICY_DEFER ? 451 : 550,
	                .enhanced = action == POLICY_DEFER ? "4.7.25" : "5.7.25",
	                .text = "The name of your address is missing or does not lead back to it",
	                .authentication = true,
	        });
}

/* A pass of DMARC shows that the author's domain stands behind the message, whatever way it took.
 */
static void look_at_spf(struct deciding *d)
{
	const struct spf_result *spf = d->facts->mailfrom;
	struct buf text;
	if (!spf || spf->result != MAILAUTH_FAIL)
		return;
	bool passed = d->facts->dmarc && d->facts->dmarc->result == MAILAUTH_PASS;
	bool excused = is_forwarded(d) || passed;
	enum policy_action action = excused ? POLICY_ACCEPT : d->settings->spf_fail;
	tell(d, "SPF: %s: %s", spf->why,
	     passed            ? "not counted, since DMARC passes"
	     : is_forwarded(d) ? "not counted, since the mail is passed on"
	                       : made_of_it(action));
	buf_init(&text, 2 * POLICY_REPLY_MAX);
	spf_reply_text(spf, &text);
	struct slice lines = slice_trim(buf_slice(&text));
	const char *copy = buf_failed(&text) ? NULL : arena_cstr(d->arena, lines);
	buf_done(&text);
	find(d, &(struct finding){
	                .action = action,
	                .code = action == POLICY_DEFER ? 451 : 550,
	                .enhanced = action == POLICY_DEFER ? "4.7.23" : "5.7.23",
	                .text = copy ? copy : "SPF validation failed",
	                .authentication = true,
	        });
}

static void look_at_author(struct deciding *d)
{
	const struct mailauth_author *author = d->facts->author;
	if (!author || author->kind == MAILAUTH_AUTHOR_FOUND)
		return;
	enum policy_action action = d->settings->no_author;
	tell(d, "%s: %s", mailauth_author_why(author->kind), made_of_it(action));
	find(d, &(struct finding){
	                .action = action,
	                .code = action == POLICY_DEFER ? 451 : 550,
	                .enhanced = action == POLICY_DEFER ? "4.7.1" : "5.7.1",
	                .text = arena_printf(d->arena, "Not accepted: %s",
	                                     mailauth_author_why(author->kind)),
	        });
}

/* ---- DMARC ---- */

static bool is_trusted(const struct policy_settings *settings, struct slice sealer)
{
	for (size_t i = 0; i < settings->n_arc_trusted; i++)
		if (slice_ieq(settings->arc_trusted[i], sealer))
			return true;
	return false;
}

/* RFC 8617 section 7.2: what the nearest trusted sealers, one behind the other, have seen. */
static const char *trusted_witness(struct deciding *d)
{
	const struct arc_result *arc = d->facts->arc;
	if (!arc || arc->result != MAILAUTH_PASS)
		return NULL;
	for (size_t i = arc->n_sets; i-- > 0;) {
		struct authres authres;
		const char *sealer = arc->sets[i].seal->domain;
		if (!is_trusted(d->settings, slice_str(sealer)))
			return NULL;
		if (!is_ok(authres_parse(arc->sets[i].results, d->arena, &authres)))
			continue;
		const struct authres_result *dmarc = authres_find(&authres, "dmarc", 0);
		if (dmarc && slice_ieq(dmarc->result, SLICE("pass")))
			return sealer;
	}
	return NULL;
}

/* The owner's wish, and what speaks for the message all the same. */
static enum policy_action wish(struct deciding *d, const struct dmarc_result *dmarc)
{
	const struct policy_exception *exception = d->decision->exception;
	const char *witness;
	if (d->settings->dmarc == POLICY_DMARC_IGNORE) {
		tell(d, "DMARC: the settings say to ignore it");
		return POLICY_ACCEPT;
	}
	if (exception) {
		tell(d, "DMARC: not counted by the exception `%.*s`", SLICE_FMT(exception->name));
		return POLICY_ACCEPT;
	}
	if ((witness = trusted_witness(d)) != NULL) {
		tell(d,
		     "DMARC: not counted, since %s, whose ARC seals are trusted, has seen it pass",
		     witness);
		return POLICY_ACCEPT;
	}
	if (dmarc->policy != DMARC_REJECT || d->settings->dmarc == POLICY_DMARC_QUARANTINE)
		return POLICY_QUARANTINE;
	if (d->facts->list) {
		tell(d, "DMARC: not refused, since it comes by a mailing list of %s",
		     d->facts->list);
		return POLICY_QUARANTINE;
	}
	if (d->facts->arc_sealer) {
		tell(d, "DMARC: not refused, since %s has passed it on (ARC)",
		     d->facts->arc_sealer);
		return POLICY_QUARANTINE;
	}
	return POLICY_REFUSE;
}

/* Without one author domain nothing could have shown whose it is. */
static const char *failed_text(const struct deciding *d, const char *domain)
{
	const struct mailauth_author *author = d->facts->author;
	if (author && author->kind != MAILAUTH_AUTHOR_FOUND)
		return arena_printf(
		        d->arena,
		        "Refused by the DMARC policy of %s: %s, so nothing shows whose it is",
		        domain, mailauth_author_why(author->kind));
	return arena_printf(
	        d->arena,
	        "Refused by the DMARC policy of %s: neither SPF nor DKIM shows that the "
	        "message is from there",
	        domain);
}

static void dmarc_failed(struct deciding *d, const struct dmarc_result *dmarc)
{
	const char *domain = dmarc->found.domain.text ? dmarc->found.domain.text : "the domain";
	tell(d, "DMARC: %s: %s wishes such mail to be %s", dmarc->why, domain,
	     dmarc->policy == DMARC_REJECT ? "refused" : "treated as suspicious");
	enum policy_action action = wish(d, dmarc);
	if (action != POLICY_ACCEPT)
		tell(d, "DMARC: %s", made_of_it(action));
	find(d, &(struct finding){
	                .action = action,
	                .code = 550,
	                .enhanced = "5.7.26",
	                .text = failed_text(d, domain),
	                .authentication = true,
	        });
}

static void dmarc_unknown(struct deciding *d, const struct dmarc_result *dmarc)
{
	bool temporary = dmarc->result == MAILAUTH_TEMPERROR;
	enum policy_action action = d->decision->exception ? POLICY_ACCEPT
	                            : temporary            ? d->settings->dmarc_temporary
	                                                   : d->settings->dmarc_error;
	tell(d, "DMARC: %s: %s", dmarc->why, made_of_it(action));
	bool defer = action == POLICY_DEFER;
	find(d,
	     &(struct finding){
	             .action = action,
	             .code = defer ? 451 : 550,
	             .enhanced = defer ? "4.7.1" : "5.7.1",
	             .text = temporary ? "The DMARC policy of the author's domain cannot be looked "
	                                 "up now, try again later"
	                               : "The DMARC policy of the author's domain is of no use",
	     });
}

static void look_at_dmarc(struct deciding *d)
{
	const struct dmarc_result *dmarc = d->facts->dmarc;
	if (!dmarc)
		return;
	/* Without an author domain there is still the strictest wish of those in From. */
	if (dmarc->policy != DMARC_NONE && dmarc->result != MAILAUTH_PASS)
		dmarc_failed(d, dmarc);
	else if (dmarc->result == MAILAUTH_TEMPERROR ||
	         (dmarc->result == MAILAUTH_PERMERROR && dmarc->has_author))
		dmarc_unknown(d, dmarc);
	else if (dmarc->result == MAILAUTH_FAIL)
		tell(d, "DMARC: %s, and its owner asks for nothing", dmarc->why);
}

/* ---- the whole ---- */

static bool applies(const struct policy_exception *exception, const struct policy_facts *facts)
{
	for (size_t i = 0; i < exception->n_domains; i++)
		for (size_t j = 0; j < facts->n_domains; j++)
			if (is_same_or_below(facts->domains[j], exception->domains[i]))
				return true;
	return false;
}

/* The first that applies. */
static void choose_exception(struct deciding *d, const struct policy_exception *exceptions,
                             size_t n)
{
	for (size_t i = 0; i < n && !d->decision->exception; i++)
		if (applies(&exceptions[i], d->facts))
			d->decision->exception = &exceptions[i];
	if (d->decision->exception)
		tell(d, "the account's exception `%.*s` applies",
		     SLICE_FMT(d->decision->exception->name));
}

void policy_decide(const struct policy_facts *facts, const struct policy_settings *settings,
                   const struct policy_exception *exceptions, size_t n_exceptions,
                   struct arena *arena, struct policy_decision *ret_decision)
{
	struct deciding d = {
	        .facts = facts,
	        .settings = settings,
	        .arena = arena,
	        .decision = ret_decision,
	        .reasons = ARENA_ARRAY(arena, POLICY_REASONS_MAX, const char *),
	};
	*ret_decision = (struct policy_decision){.enhanced = "", .text = "", .reasons = d.reasons};
	choose_exception(&d, exceptions, n_exceptions);
	look_at_lists(&d);
	look_at_iprev(&d);
	look_at_spf(&d);
	look_at_author(&d);
	look_at_dmarc(&d);
	ret_decision->action = d.strongest.action;
	if (d.strongest.action < POLICY_DEFER)
		return;
	ret_decision->code = d.strongest.code;
	ret_decision->enhanced = d.strongest.enhanced;
	ret_decision->text = d.strongest.text ? d.strongest.text : "Refused by policy";
	if (d.strongest.action == POLICY_REFUSE && d.n_authentication > 1)
		ret_decision->enhanced = "5.7.26"; /* RFC 7372 section 3.4 */
}
