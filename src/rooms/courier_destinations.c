/* See courier_destinations.h. */
#include "rooms/courier_destinations.h"

#include "delivery/tlsrpt.h"
#include "mailauth/dmarc_destination.h"

#define UNUSUAL            "an address that mail cannot be sent to without quotes or SMTPUTF8"
#define URI_MAX            1000u
#define LOOKUPS_TIMEOUT_MS 20000

struct finding {
	struct arena *arena;
	Door__CourierReply *reply;
};

static struct status no_memory(void)
{
	return fail(ERR_TEMPORARY, "too little memory for a domain's destinations");
}

static bool is_known(const struct finding *f, const char *uri, const char *address)
{
	for (size_t i = 0; i < f->reply->n_destinations; i++) {
		const Door__Destination *d = f->reply->destinations[i];
		if (*address ? strcmp(d->address, address) == 0 : strcmp(d->uri, uri) == 0)
			return true;
	}
	return false;
}

/* As SMTP and a header have it without quotes (RFC 5322 section 3.2.3, dot-atom): all that is seen
 * in records. */
static bool is_plain(struct slice address)
{
	size_t at = slice_rindex(address, '@');
	for (size_t i = 0; at != SIZE_MAX && i < at; i++) {
		uint8_t c = address.p[i];
		if (!ascii_is_alnum(c) &&
		    (!ascii_is_print(c) || c == 0 || strchr(" \"(),:;<>@[\\]", c)))
			return false;
	}
	return at != SIZE_MAX && at > 0 && at + 1 < address.n && slice_is_ascii(address);
}

/* Visible ASCII, as the parsers of records let it through; else it is named by that alone. */
static const char *printable(struct finding *f, struct slice uri)
{
	const char *text = mailauth_printable(uri, URI_MAX, f->arena);
	return text ? text : "";
}

static void add(struct finding *f, struct slice uri, const char *address, uint64_t size_max,
                const char *refused)
{
	const char *text = printable(f, uri);
	Door__Destination *d = ARENA_NEW(f->arena, Door__Destination);
	if (!d || f->reply->n_destinations == COURIER_DESTINATIONS_MAX ||
	    is_known(f, text, address))
		return;
	door__destination__init(d);
	d->uri = door_string(text);
	d->address = door_string(address);
	d->size_max = size_max;
	d->refused = door_string(refused);
	f->reply->destinations[f->reply->n_destinations++] = d;
}

/* ---- TLSRPT ---- */

static void add_tls(struct finding *f, const struct tlsrpt_uri *uri)
{
	switch (uri->kind) {
	case TLSRPT_URI_MAILTO:
		if (is_plain(slice_str(uri->address)))
			add(f, uri->text, uri->address, 0, "");
		else
			add(f, uri->text, "", 0, UNUSUAL);
		break;
	case TLSRPT_URI_HTTPS:
		add(f, uri->text, "", 0, "");
		break;
	case TLSRPT_URI_OTHER:
		add(f, uri->text, "", 0, "neither a mailto: with one address nor https:");
		break;
	}
}

static struct status find_tls(struct finding *f, const struct dns_resolver *resolver,
                              const char *domain)
{
	struct tlsrpt_lookup lookup;
	if (!is_ok(tlsrpt_lookup(resolver, slice_str(domain), 0, f->arena, &lookup)))
		return no_memory();
	f->reply->why = door_string(lookup.why);
	if (lookup.outcome == TLSRPT_UNKNOWN)
		return fail(ERR_TEMPORARY, lookup.why);
	for (size_t i = 0; lookup.outcome == TLSRPT_FOUND && i < lookup.record.n; i++)
		add_tls(f, &lookup.record.rua[i]);
	return ok();
}

/* ---- DMARC ---- */

struct dmarc_finding {
	struct finding f;
	struct mailauth_dns dns;
	struct dns_name domain;
	enum dmarc_discovery discovery;
};

/* The limit is the original record's: who overrides the address may have said another. */
static void add_dmarc(struct finding *f, const struct dmarc_uri *uri, const struct dmarc_uri *from)
{
	uint64_t limit = uri->has_limit ? uri->limit : from->has_limit ? from->limit : 0;
	const char *address =
	        arena_printf(f->arena, "%.*s@%s", SLICE_FMT(uri->local), uri->host.text);
	if (address && is_plain(slice_str(address)))
		add(f, uri->text, address, limit, "");
	else
		add(f, uri->text, "", limit, UNUSUAL);
}

/* False: it is not known now. */
static bool check_uri(struct dmarc_finding *d, const struct dmarc_uri *uri)
{
	struct dmarc_destination *to = ARENA_NEW(d->f.arena, struct dmarc_destination);
	if (!to)
		return false;
	dmarc_destination_check(&d->dns, d->domain, uri, DMARC_AGGREGATE_REPORTS, d->discovery, to);
	if (to->kind == DMARC_DESTINATION_TEMPORARY)
		return false;
	for (size_t i = 0; i < to->uris.n; i++)
		add_dmarc(&d->f, &to->uris.v[i], uri);
	if (to->uris.n == 0)
		add(&d->f, uri->text, "", 0, to->why);
	return true;
}

static struct status check_uris(struct dmarc_finding *d, const struct dmarc_record *record)
{
	bool all_known = true;
	for (size_t i = 0; i < record->rua.n; i++)
		all_known = check_uri(d, &record->rua.v[i]) && all_known;
	if (!all_known)
		return fail(ERR_TEMPORARY,
		            "whether a destination allows the reports is not known now");
	return ok();
}

/* The record that the domain itself has now. */
static struct status find_dmarc(struct dmarc_finding *d)
{
	struct dmarc_result *result = ARENA_NEW(d->f.arena, struct dmarc_result);
	if (!result)
		return no_memory();
	dmarc_look_up(&d->dns, d->domain, d->discovery, result);
	const struct dmarc_found *found = &result->found;
	d->f.reply->why = door_string(found->why ? found->why : "");
	if (found->outcome == DMARC_TEMPORARY)
		return fail(ERR_TEMPORARY, found->why);
	if (found->outcome != DMARC_FOUND || !dns_name_eq(found->domain, d->domain)) {
		d->f.reply->why = door_string("the domain has no DMARC record any more");
		return ok();
	}
	if (found->record.rua.n == 0)
		d->f.reply->why =
		        door_string("the domain's DMARC record names nobody to report to");
	return check_uris(d, &found->record);
}

/* ---- both ---- */

struct status courier_destinations_find(const struct dns_resolver *resolver,
                                        const struct clock *clock, enum report_kind kind,
                                        const char *domain, enum dmarc_discovery discovery,
                                        struct arena *arena, Door__CourierReply *reply)
{
	struct dmarc_finding d = {.f = {arena, reply}, .discovery = discovery};
	struct status status;
	reply->destinations = ARENA_ARRAY(arena, COURIER_DESTINATIONS_MAX, Door__Destination *);
	if (!reply->destinations)
		return no_memory();
	if (!is_ok(dns_name_parse(slice_str(domain), arena, &d.domain)))
		return fail(ERR_INVALID, "no domain");
	if (kind == REPORT_DMARC) {
		mailauth_dns_init(&d.dns, resolver, clock, LOOKUPS_TIMEOUT_MS, arena);
		status = find_dmarc(&d);
	} else {
		status = find_tls(&d.f, resolver, domain);
	}
	return arena_failed(arena) ? no_memory() : status;
}
