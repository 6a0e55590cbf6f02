/* The public suffix list over libpsl (its built-in data, as A-labels). */
#include "mailauth/public_suffix.h"

#include <libpsl.h>

bool public_suffix_is_known(void)
{
	const psl_ctx_t *list = psl_builtin();
	return list && psl_suffix_count(list) > 0;
}

bool public_suffix_is(struct dns_name name, enum public_suffix_sections sections)
{
	const psl_ctx_t *list = psl_builtin();
	if (dns_name_n_labels(name) <= 1)
		return true;
	int type = sections == PUBLIC_SUFFIX_ICANN ? PSL_TYPE_ICANN : PSL_TYPE_ANY;
	return list && psl_is_public_suffix2(list, name.text, type) == 1;
}

bool public_suffix_organizational(struct dns_name name, enum public_suffix_sections sections,
                                  struct dns_name *ret_domain)
{
	if (public_suffix_is(name, sections))
		return false;
	struct dns_name parent = dns_name_parent(name);
	while (!public_suffix_is(parent, sections)) {
		name = parent;
		parent = dns_name_parent(name);
	}
	*ret_domain = name;
	return true;
}
