/* Which domains belong to one organisation, by the public suffix list (publicsuffix.org): the way
 * of RFC 7489 section 3.2, and what else wants to group domains by owner.
 *
 * The list is the one that is built into libpsl, both of its sections: suffixes of registries
 * ("co.uk") and those under which companies give names to others ("github.io"). A top-level domain
 * that it does not know is a suffix. Nothing is opened or allocated; any number of threads may ask.
 */
#pragma once

#include "dns/name.h"

enum public_suffix_sections {
	PUBLIC_SUFFIX_ALL,
	PUBLIC_SUFFIX_ICANN, /* registries only */
};

/* The name itself is a suffix, under which others register. The root is one. */
bool public_suffix_is(struct dns_name name, enum public_suffix_sections sections);

/* The organisational domain: the suffix that name lies below, and one label more. It shares the
 * text of name. False when name is itself a suffix: nobody's domain. */
bool public_suffix_organizational(struct dns_name name, enum public_suffix_sections sections,
                                  struct dns_name *ret_domain);

/* False when libpsl was made without a list: then every top-level domain is a suffix and nothing
 * else. */
bool public_suffix_is_known(void);
