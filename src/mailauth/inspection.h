/* Everything that is checked about one message while it comes in, put together:
 *
 *	client = inspection_client_new(&env, address)   once a connection; begins at once
 *	i = inspection_new(&env, client, &envelope)     at MAIL: SPF begins
 *	inspection_header(i, header, now_s)             the header is there: keys are looked up
 *	inspection_body(i, octets)                      as it comes
 *	inspection_finish(i)                            waits for what is under way, does the rest
 *	inspection_facts(i)                             for policy.h
 *	inspection_authres(i, out), inspection_spf_field(i, out)
 *	inspection_checks(i, checks, max)               everything in words, for explaining
 *	inspection_free(i) ... inspection_client_free(client)
 *
 * Lookups run beside each other and beside the coming in of the message: what the cache cannot
 * answer is given to the runner, which is the room's (threads) or a test's. Nothing here blocks but
 * finish, and that for at most the timeout twice: for what is under way, and for DMARC, which needs
 * the others.
 */
#pragma once

#include "dns/cache.h"
#include "mailauth/authres.h"
#include "mailauth/policy.h"

#define INSPECTION_HEADER_MAX ((size_t)1024 * 1024)      /* bytes of a header that are looked at */
#define INSPECTION_LISTS_MAX  20u                        /* zones of each kind */
#define INSPECTION_CHECKS_MAX 200u                       /* that inspection_checks gives */
#define INSPECTION_ARENA      ((size_t)24 * 1024 * 1024) /* of one message, lookups included */

/* Runs things beside the caller. */
struct inspection_runner {
	/* False: it cannot now; then it is done by the caller, later. */
	bool (*start)(const struct inspection_runner *runner, void (*run)(void *argument),
	              void *argument, void **ret_handle);
	void (*wait)(const struct inspection_runner *runner, void *handle); /* ends the handle */
};

/* What all messages share; outlives everything made with it. */
struct inspection_env {
	const struct dns_resolver *resolver; /* asks; thread-safe */
	struct dns_cache *cache;             /* before that; may be NULL */
	const struct clock *clock;
	const struct inspection_runner *runner; /* NULL: nothing runs beside anything */
	struct dnsbl_state *lists;              /* health of block lists */
	int timeout_ms;                         /* for the lookups of one message */
	enum dmarc_discovery discovery;
	/* Zones in A-labels; these and our name outlive everything, too. */
	const char *const *address_lists, *const *domain_lists;
	size_t n_address_lists, n_domain_lists;
	const char *receiver; /* our host name: authserv-id, %{r} of SPF */
};

/* --- who is connected --- */

struct inspection_client;

/* address: 4 or 16 bytes, copied. One thread uses a client and its messages at a time. */
struct inspection_client *inspection_client_new(const struct inspection_env *env,
                                                struct slice address);
void inspection_client_free(struct inspection_client *client); /* waits; NULL is fine */
/* What is known of the address's name when it has been looked up; waits for that. The result lives
 * as long as the client. */
const struct iprev_result *inspection_client_iprev(struct inspection_client *client);

/* --- a message --- */

struct inspection_envelope {
	struct slice helo;      /* as the client said it */
	struct slice localpart; /* of MAIL FROM, unquoted; empty for the null path */
	struct slice domain;    /* the same */
	bool utf8;              /* SMTPUTF8: fields may have UTF-8 */
};

struct inspection;

/* Copies the envelope. The client outlives it. */
struct inspection *inspection_new(const struct inspection_env *env,
                                  struct inspection_client *client,
                                  const struct inspection_envelope *envelope);
void inspection_free(struct inspection *i); /* waits for what is under way; NULL is fine */

/* Once, before any body. header: with its blank line or without, as it came; must live until the
 * inspection ends. now_s: when the message came in. */
void inspection_header(struct inspection *i, struct slice header, int64_t now_s);
void inspection_body(struct inspection *i, struct slice octets);
/* Once. Without a header there are no checks of it. */
void inspection_finish(struct inspection *i);

/* After finish. */
const struct policy_facts *inspection_facts(const struct inspection *i);

/* The Authentication-Results field (RFC 8601) with the DNSSEC status of each method in its comment,
 * and the Received-SPF field (RFC 7208 section 9.1). LIMIT when out is full. */
struct status inspection_authres(const struct inspection *i, struct buf *out);
struct status inspection_spf_field(const struct inspection *i, struct buf *out);

/* The comment on the client for Received: "dnssec: reverse name secure, sender domain insecure". */
const char *inspection_client_note(const struct inspection *i);

/* One check, in words. Text lives as long as the inspection. */
struct inspection_check {
	const char *method; /* "spf", "dkim", ... */
	const char *result; /* "pass", "listed", ... */
	const char *about;  /* the domain or address it is about */
	const char *why;    /* a sentence; may be empty */
	struct mailauth_evidence evidence;
};
size_t inspection_checks(const struct inspection *i, struct inspection_check *checks, size_t max);
