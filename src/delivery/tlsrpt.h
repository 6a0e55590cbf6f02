/* TLSRPT records (RFC 8460 section 3): where a domain wants reports about TLS with its servers. */
#pragma once

#include "dns/resolver.h"

#define TLSRPT_RUA_MAX 10u            /* URIs; further ones are left out */
#define TLSRPT_URI_MAX ((size_t)1000) /* octets of a URI */

enum tlsrpt_uri_kind {
	TLSRPT_URI_OTHER, /* a scheme that is not known, or an address that cannot be used */
	TLSRPT_URI_MAILTO,
	TLSRPT_URI_HTTPS,
};

struct tlsrpt_uri {
	enum tlsrpt_uri_kind kind;
	struct slice text;   /* as it was written: visible ASCII without "," ";" "!" */
	const char *address; /* MAILTO: local@domain, decoded, in A-labels; else NULL */
};

struct tlsrpt_record {
	struct tlsrpt_uri rua[TLSRPT_RUA_MAX];
	size_t n;     /* at least one */
	bool rua_cut; /* there were more */
};

/* Texts point into `text` and the arena. SYNTAX with what is wrong; LIMIT. A record all of whose
 * URIs are OTHER is a record. */
struct status tlsrpt_record_parse(struct slice text, struct arena *arena,
                                  struct tlsrpt_record *ret_record);
void tlsrpt_record_print(const struct tlsrpt_record *record, struct buf *out);

enum tlsrpt_outcome {
	TLSRPT_FOUND,
	TLSRPT_ABSENT,  /* no record, several, or a malformed one: no reports are wanted */
	TLSRPT_UNKNOWN, /* the DNS did not tell */
};

struct tlsrpt_lookup {
	enum tlsrpt_outcome outcome;
	struct tlsrpt_record record;
	const struct dns_answer *answer; /* NULL where nothing was asked: an address literal */
	const char *why;                 /* one sentence, in the arena */
};

/* Blocks for one lookup. timeout_ms 0: DNS_LOOKUP_TIMEOUT_MS. LIMIT only: the arena's budget. */
struct status tlsrpt_lookup(const struct dns_resolver *resolver, struct slice domain,
                            int timeout_ms, struct arena *arena, struct tlsrpt_lookup *ret_lookup);
