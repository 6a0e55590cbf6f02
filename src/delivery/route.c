/* Routes to a transport. The work is bounded by the config's own limits: at most
 * CONFIG_ROUTES_MAX routes a level, each with two lists of domains. */
#include "delivery/route.h"

#include "config/name.h"

/* A domain in the one form in which the config keeps its own. */
struct canonical {
	char text[CONFIG_DOMAIN_MAX + 1];
	size_t n;
	struct slice s; /* what is no domain name stays as it was given */
};

static void canonical_of(struct slice domain, struct canonical *ret)
{
	if (is_ok(config_domain_canonical(domain, ret->text, &ret->n)))
		ret->s = slice_of(ret->text, ret->n);
	else
		ret->s = domain;
}

/* "example.org" itself, ".example.org" with all below it, "." everything that is a domain. */
static bool domain_matches(const char *pattern, struct slice domain)
{
	struct slice wanted = slice_str(pattern);
	if (domain.n == 0)
		return false;
	if (slice_eq_str(wanted, "."))
		return true;
	if (!slice_starts(wanted, SLICE(".")))
		return slice_ieq(wanted, domain);
	return slice_iends(domain, wanted) || slice_ieq(slice_from(wanted, 1), domain);
}

static bool list_matches(const char *const *patterns, size_t n, struct slice domain)
{
	for (size_t i = 0; i < n; i++)
		if (domain_matches(patterns[i], domain))
			return true;
	return n == 0;
}

struct chooser {
	const struct delivery_question *question;
	struct canonical from, to;
};

static const struct config_route *first_match(const struct chooser *c,
                                              const struct config_routes *routes)
{
	for (size_t i = 0; i < routes->n; i++) {
		const struct config_route *route = &routes->v[i];
		if (c->question->n_attempts >= route->min_attempts &&
		    list_matches(route->to_ascii, route->to.n, c->to.s) &&
		    list_matches(route->from_ascii, route->from.n, c->from.s))
			return route;
	}
	return NULL;
}

const char *delivery_level_name(enum delivery_level level)
{
	switch (level) {
	case DELIVERY_LEVEL_NONE:
		return "none";
	case DELIVERY_LEVEL_ACCOUNT:
		return "account";
	case DELIVERY_LEVEL_DOMAIN:
		return "domain";
	case DELIVERY_LEVEL_GLOBAL:
		return "global";
	}
	return "none";
}

static void explain(struct delivery_choice *choice, const char *owner)
{
	const char *transport = choice->transport ? choice->transport->name.s : "direct";
	const char *route = choice->route ? choice->route->name.s : "";
	switch (choice->level) {
	case DELIVERY_LEVEL_NONE:
		snprintf(choice->why, sizeof(choice->why), "no route matches: direct");
		return;
	case DELIVERY_LEVEL_GLOBAL:
		snprintf(choice->why, sizeof(choice->why), "route `%s` of the server: %s", route,
		         transport);
		return;
	case DELIVERY_LEVEL_ACCOUNT:
	case DELIVERY_LEVEL_DOMAIN:
		snprintf(choice->why, sizeof(choice->why), "route `%s` of %s `%s`: %s", route,
		         delivery_level_name(choice->level), owner, transport);
		return;
	}
}

/* True when the level decides. */
static bool try_level(const struct chooser *c, enum delivery_level level,
                      const struct config_routes *routes, const char *owner,
                      struct delivery_choice *choice)
{
	const struct config_route *route = first_match(c, routes);
	if (!route)
		return false;
	*choice = (struct delivery_choice){.transport = route->via, .route = route, .level = level};
	explain(choice, owner);
	return true;
}

void delivery_choose(const struct delivery_question *question, struct delivery_choice *ret_choice)
{
	struct chooser c = {.question = question};
	canonical_of(question->sender_domain, &c.from);
	canonical_of(question->recipient_domain, &c.to);
	const struct config_domain *domain =
	        c.from.s.n > 0 ? config_domain_find(question->config, c.from.s) : NULL;
	if (question->account && try_level(&c, DELIVERY_LEVEL_ACCOUNT, &question->account->routes,
	                                   question->account->name.s, ret_choice))
		return;
	if (domain &&
	    try_level(&c, DELIVERY_LEVEL_DOMAIN, &domain->routes, domain->name.s, ret_choice))
		return;
	if (try_level(&c, DELIVERY_LEVEL_GLOBAL, &question->config->routes, "", ret_choice))
		return;
	*ret_choice = (struct delivery_choice){.level = DELIVERY_LEVEL_NONE};
	explain(ret_choice, "");
}
