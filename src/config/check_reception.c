/* What the checks of incoming mail are compared with: domains in their canonical form. */
#include "config/check.h"

#include "config/name.h"

/* The format of the field was checked before: what is no domain has been reported, and is left out.
 */
static struct status canonical(const struct config_texts *list, struct arena *arena,
                               const char ***ret_ascii)
{
	const char **v = ARENA_ARRAY(arena, MAX(list->n, (size_t)1), const char *);
	for (size_t i = 0; v && i < list->n; i++) {
		char ascii[CONFIG_DOMAIN_MAX + 1];
		size_t n = 0;
		bool good = is_ok(config_domain_canonical(config_slice(&list->v[i]), ascii, &n));
		v[i] = arena_cstr(arena, good ? slice_of(ascii, n) : slice_empty());
	}
	*ret_ascii = v;
	return arena_failed(arena) ? fail(ERR_LIMIT, "configuration takes too much memory") : ok();
}

struct status config_check_reception(struct config *config, struct arena *arena)
{
	struct config_reception *r = &config->reception;
	TRY(canonical(&r->address_lists, arena, &r->address_lists_ascii));
	TRY(canonical(&r->domain_lists, arena, &r->domain_lists_ascii));
	TRY(canonical(&r->arc_trusted, arena, &r->arc_trusted_ascii));
	for (size_t i = 0; i < config->accounts.n; i++) {
		struct config_exceptions *exceptions = &config->accounts.v[i].exceptions;
		for (size_t j = 0; j < exceptions->n; j++)
			TRY(canonical(&exceptions->v[j].domains, arena,
			              &exceptions->v[j].domains_ascii));
	}
	return ok();
}
