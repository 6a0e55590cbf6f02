/* See report_address.h. */
#include "setup/report_address.h"

#include "config/name.h"

/* The same address, with a tag or without. URIs lead nowhere here. */
static bool leads_to(const struct config *config, const struct config_text *place,
                     const struct config_lookup *to)
{
	struct slice localpart, domain;
	struct config_lookup found;
	if (!config_address_split(slice_str(place->s), &localpart, &domain))
		return false;
	config_lookup_address(config, localpart, domain, &found);
	return found.address[0] && strcmp(found.address, to->address) == 0;
}

bool setup_is_report_address(const struct config *config, struct slice localpart,
                             struct slice domain)
{
	struct config_lookup to;
	config_lookup_address(config, localpart, domain, &to);
	bool may = (to.kind == CONFIG_LOOKUP_ACCOUNT && to.account->takes_reports) ||
	           (to.kind == CONFIG_LOOKUP_ALIAS && to.alias->takes_reports);
	if (!may) /* which of all mail is known by one look */
		return false;
	for (size_t i = 0; i < config->domains.n; i++) {
		const struct config_domain *d = &config->domains.v[i];
		for (size_t k = 0; k < d->tls_reports.n; k++)
			if (leads_to(config, &d->tls_reports.v[k], &to))
				return true;
		for (size_t k = 0; k < d->dmarc.reports.n; k++)
			if (leads_to(config, &d->dmarc.reports.v[k], &to))
				return true;
	}
	return false;
}
