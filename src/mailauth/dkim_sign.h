/* Signing a message (RFC 6376 section 5): any number of signatures over one pass of its body.
 *
 *	body = dkim_body_new(dkim_sign_wants(signatures, n))
 *	dkim_body_feed(body, ...), dkim_body_finish(body)
 *	dkim_sign(header, body, signatures, n, out)      the fields, to be put before the message
 *
 * Sign what is sent: with CRLF line ends, and encoded as it will travel (section 5.3).
 */
#pragma once

#include "mailauth/dkim_body.h"
#include "mailauth/dkim_private_key.h"

#define DKIM_SIGN_ARENA ((size_t)4 * 1024 * 1024) /* bytes that one call uses at most */

/* One signature. What is zeroed has a good default. */
struct dkim_sign_options {
	struct slice domain, selector; /* any script; must be given */
	const struct dkim_signer_key *key;
	enum dkim_canon header_canon, body_canon; /* relaxed */
	struct slice identity; /* i=: "local@domain" or "@domain", within the domain; empty: none */
	int64_t now_s;         /* t=; 0: none */
	int64_t lifetime_s;    /* x= is so much later than now_s; 0: none */
	/* The fields to be signed, all of each name; NULL: the usual ones (dkim_sign.c). From must
	 * be among them. */
	const struct slice *names;
	size_t n_names;
	/* Each name is listed once more than there are fields of it, so that none can be added
	 * (section 5.4); with this it is not. */
	bool no_oversign;
	bool utf8; /* the header may have UTF-8 (RFC 8616) */
};

/* The canonicalizations of the body that these need, for dkim_body_new. */
unsigned dkim_sign_wants(const struct dkim_sign_options *signatures, size_t n);

/* Appends a folded field with its CRLF for each signature. header: with or without its blank line.
 * body: finished. INVALID: the message has no From field or several, or an option makes no sense;
 * LIMIT: there is too much to sign, or `out` is full; or what the holder of the key says. What was
 * appended before a failure is of no use. */
struct status dkim_sign(struct slice header, const struct dkim_body *body,
                        const struct dkim_sign_options *signatures, size_t n, struct buf *out);
