/* Verifying the DKIM signatures of a message (RFC 6376 section 6, RFC 8301, RFC 8463, RFC 8616), in
 * one pass over it.
 *
 *	dkim_verifier_new(header, &options, arena, &v)   finds and reads the signatures
 *	arc_chain_new(v, &chain)                         if ARC is wanted, too (arc.h)
 *	for each i < dkim_verifier_n_keys(v):            in any threads, also at once,
 *		dkim_verifier_fetch_key(v, i, &dns_i)    each with a struct mailauth_dns of its own
 *	dkim_verifier_feed(v, bytes)                     meanwhile: the body, as it comes
 *	dkim_verifier_finish(v)                          when all of both is done
 *	dkim_verifier_results(v)                         a result for each signature
 *	dkim_verifier_free(v)
 *
 * Results point into the header, into the arena given here and into the arenas of the mailauth_dns
 * that were used: all of them must live as long as the verifier. But for fetch_key everything is
 * one thread's.
 *
 * What gets which result (RFC 8601 section 2.7.1):
 *	neutral    cannot be read: syntax, an unknown version, algorithm or canonicalization
 *	permerror  contradicts itself or the message (From is not signed, i= is not of d=), or its
 *	           key is missing, revoked, broken or not for it
 *	temperror  the key could not be looked up
 *	policy     may be sound, but does not count here: rsa-sha1, an RSA key below 1,024 or above
 *	           8,192 bits, expired, from the future, parts of the body or a From field left
 *	           unsigned, one signature too many
 *	fail       the body or a signed field is not what was signed
 *	pass       signed by d=
 */
#pragma once

#include "mailauth/dkim_key.h"
#include "mailauth/lookup.h"
#include "mailauth/result.h"

#define DKIM_VERIFIER_ARENA  ((size_t)8 * 1024 * 1024) /* a fit budget for one message */
#define DKIM_VERIFIED_MAX    8u    /* signatures that are verified, where options say nothing */
#define DKIM_READ_MAX        100u  /* that are read at all */
#define DKIM_LISTED_MAX      1000u /* that get a result */
#define DKIM_KEYS_MAX        80u   /* keys looked up for one message, those of ARC included */
#define DKIM_KEY_RECORDS_MAX 4u    /* TXT records at one key's name that are looked at */
#define DKIM_CLOCK_SKEW_S    300   /* that t= and x= are given */

struct dkim_key_cache;

struct dkim_options {
	int64_t now_s;           /* when the message came in, seconds since 1970 */
	unsigned n_verified_max; /* 0: DKIM_VERIFIED_MAX */
	/* Refuses d= where it is a public suffix: nobody can sign for all of "co.uk" (section
	 * 6.1.1). In A-labels and lower case. NULL: nobody asks. Called by dkim_verifier_new. */
	bool (*is_public_suffix)(void *context, const char *domain);
	void *context;
	struct dkim_key_cache *keys; /* outlives the verifier; NULL: none */
};

struct dkim_result {
	enum mailauth_result result; /* never none */
	const char *why;             /* in words, about the signature; "" for a pass */
	/* NULL when it could not be read. Its domain, selector, algorithm, ... */
	const struct dkim_signature *signature;
	const char *identity;  /* i= or "@d", UTF-8: has no controls, but any other character */
	struct slice b_prefix; /* header.b of RFC 6008: unique among the results; may be empty */
	unsigned key_bits;     /* 0: no key of its kind was found */
	bool testing;          /* the key has t=y: a signature that is no pass counts as none */
	bool all_from_signed;  /* every From field of the message is among the signed ones */
	struct mailauth_evidence evidence; /* of the lookup of its key; may be empty */
};

struct dkim_results {
	const struct dkim_result *v; /* in the order of the fields, the uppermost first */
	size_t n;
	size_t n_found; /* DKIM-Signature fields; those beyond DKIM_LISTED_MAX have no result */
	size_t n_from;  /* From fields: DMARC trusts no message that has not exactly one */
};

struct dkim_verifier;

/* header: with or without its blank line. Fails with LIMIT alone, when the arena does not suffice;
 * the message has then to be treated as one whose signatures gave a temporary error. */
struct status dkim_verifier_new(struct slice header, const struct dkim_options *options,
                                struct arena *arena, struct dkim_verifier **ret_verifier);

/* The keys that are needed, each name once. */
size_t dkim_verifier_n_keys(const struct dkim_verifier *v);
const char *dkim_verifier_key_name(const struct dkim_verifier *v, size_t i); /* "s._domainkey.d" */
/* Looks key i up and reads it; blocks as mailauth_lookup does. Each key once; different ones from
 * different threads at once. Needs no other state of the verifier, so the body may be fed at the
 * same time. A key that was not fetched counts as one that could not be looked up. */
void dkim_verifier_fetch_key(struct dkim_verifier *v, size_t i, struct mailauth_dns *dns);

/* The body: what follows the blank line. When no signature can be verified any more nothing is
 * hashed. */
void dkim_verifier_feed(struct dkim_verifier *v, struct slice bytes);
/* Once, when the body and all keys are there. Does the arithmetic. */
void dkim_verifier_finish(struct dkim_verifier *v);
struct dkim_results dkim_verifier_results(const struct dkim_verifier *v); /* after finish */
void dkim_verifier_free(struct dkim_verifier *v);                         /* accepts NULL */
