/* A resolver that knows what it was told: facts with their DNSSEC status, for tests.
 *
 *	struct dns_table table;
 *	dns_table_init(&table);
 *	dns_table_add(&table, "example.com MX 10 mx.example.com");           insecure
 *	dns_table_add(&table, "mx.example.com A 192.0.2.1 secure");
 *	dns_table_add(&table, "www.example.com CNAME example.net secure");
 *	dns_table_add(&table, "bad.example.com A bogus");                    validation fails
 *	dns_table_add(&table, "gone.example.com A servfail");                failure TEMPORARY
 *	dns_table_add(&table, "odd.example.com A refused");                  failure OTHER
 *	dns_table_add(&table, "example.com TLSA nodata secure");             proven absence
 *	dns_table_add(&table, "none.example.com * nxdomain secure");
 *	session(&table.resolver);
 *	dns_table_done(&table);
 *
 * What no fact tells is NXDOMAIN where nothing is known of the name or below it, else NODATA;
 * insecure both. CNAMEs are followed as a resolver does. A lookup counts in n_lookups. Any number
 * of threads may look up once all facts are told.
 */
#pragma once

#include "dns/resolver.h"

struct dns_table_fact;

struct dns_table {
	struct dns_resolver resolver; /* what the code under test gets */
	struct arena arena;
	struct dns_table_fact *first, *last; /* in the order they were told */
	size_t n_lookups;                    /* to be read when nobody looks up */
};

void dns_table_init(struct dns_table *table);
void dns_table_done(struct dns_table *table);

/* "NAME TYPE DATA [secure]", as above; TYPE may have a TTL before it ("NAME 300 A ...", else 3600).
 * A fact that cannot be read is a mistake of the test: it aborts with the fact's text. */
void dns_table_add(struct dns_table *table, const char *fact);
/* Several facts, one a line; blank lines and those that begin with '#' are passed over. */
void dns_table_add_lines(struct dns_table *table, const char *facts);
