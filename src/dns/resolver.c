/* The interface of resolvers. */
#include "dns/resolver.h"

struct status dns_lookup_name(const struct dns_resolver *resolver, struct dns_name name,
                              enum dns_type type, int timeout_ms, struct arena *arena,
                              const struct dns_answer **ret_answer)
{
	return resolver->ops->lookup(resolver, name, type, timeout_ms, arena, ret_answer);
}

struct status dns_lookup(const struct dns_resolver *resolver, struct slice name, enum dns_type type,
                         int timeout_ms, struct arena *arena, const struct dns_answer **ret_answer)
{
	struct dns_name parsed;
	TRY(dns_name_parse(name, arena, &parsed));
	return dns_lookup_name(resolver, parsed, type, timeout_ms, arena, ret_answer);
}
