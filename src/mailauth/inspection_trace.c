/* What the checks found, as header fields and in words. */
#include "mailauth/inspection_private.h"

#include "mailauth/authres_checks.h"
#include "mailauth/spf_received.h"

#define RESULTS_MAX    120u /* in one Authentication-Results field */
#define PROPERTIES_MAX 6u
#define AUTHRES_MEMORY ((size_t)256 * 1024)

/* ---- Authentication-Results ---- */

struct field {
	struct arena arena;
	struct authres_result *results;
	size_t n;
};

/* NULL when there is no room for more. */
static struct authres_property *add_result(struct field *f, const char *method,
                                           enum mailauth_result result,
                                           const struct mailauth_evidence *evidence)
{
	struct authres_property *properties =
	        ARENA_ARRAY(&f->arena, PROPERTIES_MAX, struct authres_property);
	if (!properties || f->n == RESULTS_MAX)
		return NULL;
	f->results[f->n++] = (struct authres_result){
	        .method = slice_str(method),
	        .result = slice_str(mailauth_result_name(result)),
	        .comment = authres_dnssec_comment(evidence),
	        .properties = properties,
	};
	return properties;
}

static void add_property(struct field *f, struct authres_property *properties, const char *ptype,
                         const char *property, enum authres_form form, struct slice value)
{
	struct authres_result *result = &f->results[f->n - 1];
	if (value.n > 0)
		properties[result->n_properties++] =
		        (struct authres_property){ptype, property, form, value};
}

static void add_reason(struct field *f, const char *why)
{
	struct authres_result *result = &f->results[f->n - 1];
	result->has_reason = why[0] != 0;
	result->reason = slice_str(why);
}

static void add_spf(struct field *f, const struct mailauth_dns *dns, const struct spf_result *spf)
{
	struct mailauth_evidence evidence = spf_evidence(dns, spf);
	struct authres_property *p = add_result(f, "spf", spf->result, &evidence);
	if (!p)
		return;
	const char *name = spf_property(spf) + strlen("smtp.");
	add_property(f, p, "smtp", name, AUTHRES_VALUE, slice_str(spf->domain));
	add_reason(f, spf->problem);
}

static void add_signature(struct field *f, const struct dkim_result *dkim)
{
	const struct dkim_signature *s = dkim->signature;
	struct authres_property *p = add_result(f, "dkim", dkim->result, &dkim->evidence);
	if (!p)
		return;
	add_reason(f, dkim->why);
	if (!s)
		return;
	add_property(f, p, "header", "d", AUTHRES_VALUE, slice_str(s->domain));
	add_property(f, p, "header", "i", AUTHRES_MAILBOX, slice_str(dkim->identity));
	add_property(f, p, "header", "s", AUTHRES_VALUE, slice_str(s->selector));
	add_property(f, p, "header", "a", AUTHRES_VALUE,
	             slice_str(dkim_algorithm_name(s->algorithm)));
	add_property(f, p, "header", "b", AUTHRES_VALUE, dkim->b_prefix);
}

/* RFC 8617 section 10.2: the address that was there, for those who read the seals. */
static void add_arc(struct field *f, const struct inspection *i)
{
	struct mailauth_evidence evidence = {0};
	if (i->arc.n_sets > 0)
		evidence = i->arc.sets[i->arc.n_sets - 1].seal_evidence;
	struct authres_property *p = add_result(f, "arc", i->arc.result, &evidence);
	if (!p)
		return;
	add_reason(f, i->arc.why);
	if (i->arc.has_oldest_pass)
		add_property(f, p, "header", "oldest-pass", AUTHRES_VALUE,
		             slice_str(arena_printf(&f->arena, "%u", i->arc.oldest_pass)));
	add_property(f, p, "smtp", "remote-ip", AUTHRES_VALUE, slice_str(i->client->text));
}

static void add_made(struct field *f, struct status status, const struct authres_result *result)
{
	if (is_ok(status) && f->n < RESULTS_MAX)
		f->results[f->n++] = *result;
}

static void add_all(struct field *f, const struct inspection *i)
{
	struct authres_result made;
	add_made(f,
	         authres_of_iprev(&i->client->iprev, inspection_client_address(i->client),
	                          &f->arena, &made),
	         &made);
	if (i->facts.helo)
		add_spf(f, &i->helo_task.dns, &i->helo);
	add_spf(f, &i->mailfrom_task.dns, &i->mailfrom);
	for (size_t s = 0; s < i->dkim.n && s < RESULTS_MAX / 2; s++)
		add_signature(f, &i->dkim.v[s]);
	if (i->has_header && i->dkim.n == 0)
		(void)add_result(f, "dkim", MAILAUTH_NONE, &(struct mailauth_evidence){0});
	if (i->facts.arc && i->arc.result != MAILAUTH_NONE)
		add_arc(f, i);
	if (i->facts.dmarc)
		add_made(f, authres_of_dmarc(&i->dmarc, &f->arena, &made), &made);
}

struct status inspection_authres(const struct inspection *i, struct buf *out)
{
	struct field f = {.n = 0};
	arena_init(&f.arena, AUTHRES_MEMORY);
	f.results = ARENA_ARRAY(&f.arena, RESULTS_MAX, struct authres_result);
	struct status status = fail(ERR_LIMIT, "no room for the results of the checks");
	if (f.results) {
		add_all(&f, i);
		const struct authres authres = {.id = slice_str(i->env->receiver),
		                                .utf8 = i->envelope.utf8,
		                                .results = f.results,
		                                .n_results = f.n};
		status = authres_print(&authres, "Authentication-Results", 0, out);
	}
	arena_done(&f.arena);
	return status;
}

struct status inspection_spf_field(const struct inspection *i, struct buf *out)
{
	const struct spf_args args = {
	        .client_ip = inspection_client_address(i->client),
	        .helo = i->envelope.helo,
	        .localpart = i->envelope.localpart,
	        .domain = i->envelope.domain,
	        .receiver = slice_str(i->env->receiver),
	};
	struct mailauth_evidence evidence = spf_evidence(&i->mailfrom_task.dns, &i->mailfrom);
	return spf_received_print(&args, &i->mailfrom, mailauth_evidence_word(&evidence), out);
}

const char *inspection_client_note(const struct inspection *i)
{
	struct mailauth_evidence sender = spf_evidence(&i->mailfrom_task.dns, &i->mailfrom);
	const char *note = arena_printf(&((struct inspection *)(uintptr_t)i)->arena,
	                                "dnssec: reverse name %s, sender domain %s",
	                                mailauth_evidence_word(&i->client->iprev.evidence),
	                                mailauth_evidence_word(&sender));
	return note ? note : "";
}

/* ---- in words ---- */

struct listing {
	struct inspection_check *v;
	size_t n, max;
};

static void add_check(struct listing *l, struct inspection_check check)
{
	if (l->n < l->max)
		l->v[l->n++] = check;
}

static void list_spf(struct listing *l, const struct mailauth_dns *dns,
                     const struct spf_result *spf)
{
	add_check(l, (struct inspection_check){
	                     .method = spf->identity == SPF_HELO ? "spf (HELO)" : "spf",
	                     .result = mailauth_result_name(spf->result),
	                     .about = spf->domain,
	                     .why = spf->why,
	                     .evidence = spf_evidence(dns, spf),
	             });
}

static void list_dkim(struct listing *l, const struct inspection *i)
{
	if (i->has_header && i->dkim.n == 0)
		add_check(l, (struct inspection_check){
		                     .method = "dkim",
		                     .result = mailauth_result_name(MAILAUTH_NONE),
		                     .about = "",
		                     .why = "the message has no signature",
		             });
	for (size_t s = 0; s < i->dkim.n; s++) {
		const struct dkim_result *d = &i->dkim.v[s];
		add_check(l, (struct inspection_check){
		                     .method = "dkim",
		                     .result = mailauth_result_name(d->result),
		                     .about = d->signature ? d->signature->domain : "",
		                     .why = d->why,
		                     .evidence = d->evidence,
		             });
	}
}

void inspection_zone_words(struct inspection_zone *zone, const char *subject, struct arena *arena)
{
	const struct dnsbl_result *result = &zone->result;
	zone->about = arena_printf(arena, "%s on %s", subject, zone->zone.text);
	zone->why = result->outcome == DNSBL_LISTED && result->text[0]
	                    ? arena_printf(arena, "%s, and the list says: %s", result->why,
	                                   result->text)
	                    : result->why;
}

static void list_zones(struct listing *l, const struct inspection_zone *zones, size_t n)
{
	for (size_t z = 0; z < n; z++)
		add_check(l, (struct inspection_check){
		                     .method = "block list",
		                     .result = dnsbl_outcome_name(zones[z].result.outcome),
		                     .about = zones[z].about ? zones[z].about : "",
		                     .why = zones[z].why ? zones[z].why : "",
		                     .evidence = zones[z].result.evidence,
		             });
}

static void list_arc(struct listing *l, const struct inspection *i)
{
	if (!i->facts.arc || i->arc.result == MAILAUTH_NONE)
		return;
	const struct arc_set *newest = i->arc.n_sets > 0 ? &i->arc.sets[i->arc.n_sets - 1] : NULL;
	add_check(l, (struct inspection_check){
	                     .method = "arc",
	                     .result = mailauth_result_name(i->arc.result),
	                     .about = newest && newest->seal ? newest->seal->domain : "",
	                     .why = i->arc.why,
	                     .evidence =
	                             newest ? newest->seal_evidence : (struct mailauth_evidence){0},
	             });
}

size_t inspection_checks(const struct inspection *i, struct inspection_check *checks, size_t max)
{
	struct listing l = {checks, 0, MIN(max, (size_t)INSPECTION_CHECKS_MAX)};
	add_check(&l,
	          (struct inspection_check){.method = "iprev",
	                                    .result = mailauth_result_name(i->client->iprev.result),
	                                    .about = i->client->text,
	                                    .why = i->client->iprev.why,
	                                    .evidence = i->client->iprev.evidence});
	list_zones(&l, i->client->zones, i->client->n_zones);
	if (i->facts.helo)
		list_spf(&l, &i->helo_task.dns, &i->helo);
	list_spf(&l, &i->mailfrom_task.dns, &i->mailfrom);
	list_dkim(&l, i);
	list_arc(&l, i);
	list_zones(&l, i->zones, i->n_zones);
	if (i->facts.dmarc)
		add_check(&l,
		          (struct inspection_check){
		                  .method = "dmarc",
		                  .result = mailauth_result_name(i->dmarc.result),
		                  .about = i->dmarc.has_author ? i->dmarc.found.author.text : "",
		                  .why = i->dmarc.why,
		                  .evidence = i->dmarc.evidence,
		          });
	return l.n;
}
