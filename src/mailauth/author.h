/* Whose message is it: the one place that decides the author domain of a message, from its header.
 *
 * A pass of DMARC says "this domain sent it", so a header that two programs may read in two ways
 * has no author domain (RFC 9989 sections 4.4 and 11.5, RFC 7489 section 6.6.1): no From field or
 * several, several domains, no domain, text that is no address, an '@' that some would take for the
 * address and others for its name. Why is told, and the domains that were seen are given, so that
 * the strictest of their policies can be applied (RFC 9989 section 11.5).
 *
 * What stands in a display name is no concern of DMARC (RFC 9989 section 11.4). An address of
 * somebody else in it is reported beside the result.
 */
#pragma once

#include "base/arena.h"
#include "dns/name.h"

#define MAILAUTH_AUTHOR_DOMAINS_MAX 5u /* different ones that are kept */

/* code, name for programs, sentence for people */
#define MAILAUTH_AUTHOR_LIST(X)                                                                    \
	X(FOUND, "found", "the message has one author domain")                                     \
	X(NO_FIELD, "no-from", "the message has no From field")                                    \
	X(SEVERAL_FIELDS, "several-from", "the message has more than one From field")              \
	X(CONTROL, "control",                                                                      \
	  "the header has a NUL or a bare CR or LF, which may hide another From field")            \
	X(LIMIT, "limit", "the header has more fields or From more addresses than are looked at")  \
	X(MALFORMED, "malformed", "From holds something that is no address")                       \
	X(EMPTY, "empty", "From names nobody")                                                     \
	X(NO_DOMAIN, "no-domain", "an address in From has no domain")                              \
	X(LITERAL, "literal", "an address in From has an IP address instead of a domain")          \
	X(BAD_DOMAIN, "bad-domain", "the domain in From is no domain name")                        \
	X(AMBIGUOUS, "ambiguous", "From may be read in several ways that give different domains")  \
	X(SEVERAL_DOMAINS, "several-domains", "From has addresses of different domains")

enum mailauth_author_kind {
#define X(code, name, sentence) MAILAUTH_AUTHOR_##code,
	MAILAUTH_AUTHOR_LIST(X)
#undef X
};

struct mailauth_author {
	enum mailauth_author_kind kind;
	struct dns_name domain; /* when FOUND: lower case, A-labels (RFC 9989 section 5.3.1); else
	                           the root */
	/* All domains that From may be read to have, different ones, in order. When FOUND: one. */
	const struct dns_name *domains;
	size_t n_domains;
	bool more_domains; /* than MAILAUTH_AUTHOR_DOMAINS_MAX */
	size_t n_fields;   /* From fields */
	size_t n_mailboxes;
	/* When FOUND: the domain of an address that stands in a display name and is neither the
	 * author domain nor above or below it, as A-labels: "ceo@bank.example" <x@evil.example>. ""
	 * for none. */
	const char *name_domain;
};

/* header: a header block in memory, with or without its empty line and the body. Never fails; past
 * the arena's budget the kind is LIMIT. Work is linear in the header. */
void mailauth_author_find(struct slice header, struct arena *arena,
                          struct mailauth_author *ret_author);

const char *mailauth_author_kind_name(enum mailauth_author_kind kind); /* "several-from" */
const char *mailauth_author_why(enum mailauth_author_kind kind);       /* the sentence */
