/* A DNS that the input of a fuzzer makes up: lines of
 *
 *	name TYPE data            a record; "*" is every name; what is no type is left out
 *	name TYPE !word           servfail, bogus, nxdomain or nodata
 *
 * For fuzz targets alone.
 */
#pragma once

#include "dns/resolver.h"

#include <stdatomic.h>

#define FUZZ_FACTS_MAX 400u

struct fuzz_fact {
	struct slice name, data;
	enum dns_type type;
};

struct fuzz_world {
	struct dns_resolver resolver;
	struct fuzz_fact facts[FUZZ_FACTS_MAX];
	size_t n_facts;
	atomic_size_t n_lookups;
};

/* Keeps pointers into the text. */
void fuzz_world_read(struct slice text, struct fuzz_world *world);
/* Cuts the next word; "-" is an empty one. */
struct slice fuzz_word(struct slice *rest);
void fuzz_address(struct slice text, int family, void *bytes);
