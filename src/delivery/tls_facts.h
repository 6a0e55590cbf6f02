/* What TLS reports (RFC 8460) are made of: for each policy and host that an attempt met, whether
 * the session was as the policy wants it, and if not, by which of the RFC's names it failed.
 *
 * A policy is an MTA-STS policy, the TLSA records of a host, or that there is none. One session may
 * be told under two (STS and TLSA). Texts live in the caller's arena and are printable UTF-8.
 */
#pragma once

#include "delivery/security.h"
#include "tls/client.h"

/* RFC 8460 section 4.3 */
#define DELIVERY_TLS_RESULT_LIST(X)                                                                \
	X(SUCCESS, "")                                                                             \
	X(STARTTLS_NOT_SUPPORTED, "starttls-not-supported")                                        \
	X(CERTIFICATE_HOST_MISMATCH, "certificate-host-mismatch")                                  \
	X(CERTIFICATE_EXPIRED, "certificate-expired")                                              \
	X(CERTIFICATE_NOT_TRUSTED, "certificate-not-trusted")                                      \
	X(VALIDATION_FAILURE, "validation-failure")                                                \
	X(TLSA_INVALID, "tlsa-invalid")                                                            \
	X(DNSSEC_INVALID, "dnssec-invalid")                                                        \
	X(DANE_REQUIRED, "dane-required")                                                          \
	X(STS_POLICY_FETCH_ERROR, "sts-policy-fetch-error")                                        \
	X(STS_POLICY_INVALID, "sts-policy-invalid")                                                \
	X(STS_WEBPKI_INVALID, "sts-webpki-invalid")

enum delivery_tls_result {
#define X(id, name) DELIVERY_TLS_##id,
	DELIVERY_TLS_RESULT_LIST(X)
#undef X
	        DELIVERY_TLS_RESULT_COUNT
};
const char *delivery_tls_result_name(enum delivery_tls_result result);
bool delivery_tls_result_parse(struct slice name, enum delivery_tls_result *ret_result);

/* RFC 8460 section 4.4, policy-type */
#define DELIVERY_TLS_POLICY_LIST(X)                                                                \
	X(NONE, "no-policy-found")                                                                 \
	X(STS, "sts")                                                                              \
	X(TLSA, "tlsa")

enum delivery_tls_policy_type {
#define X(id, name) DELIVERY_TLS_POLICY_##id,
	DELIVERY_TLS_POLICY_LIST(X)
#undef X
};
const char *delivery_tls_policy_name(enum delivery_tls_policy_type type);

#define DELIVERY_TLS_STRINGS_MAX 100u           /* of a policy; further ones are left out */
#define DELIVERY_TLS_TEXT_MAX    ((size_t)300)  /* octets of a reason */
#define DELIVERY_TLS_STRING_MAX  ((size_t)1000) /* octets of one string of a policy */
#define DELIVERY_TLS_FACTS_MAX   64u            /* of one attempt; further ones are not counted */

struct delivery_tls_policy {
	enum delivery_tls_policy_type type;
	const char *domain;         /* policy-domain: the recipients', or the TLSA base domain */
	const char *const *strings; /* policy-string: the lines of a policy, or "3 1 1 ab..." */
	size_t n_strings;
	const char *const *mx; /* mx-host: the patterns of an STS policy */
	size_t n_mx;
};

struct delivery_tls_fact {
	struct delivery_tls_policy policy;
	const char *host;    /* receiving-mx-hostname; "" where none was met: a policy's fetch */
	const char *address; /* receiving-ip; "" */
	const char *helo;    /* receiving-mx-helo; "" */
	enum delivery_tls_result result;
	const char *reason;      /* failure-reason-code; "" */
	const char *information; /* additional-information: a URI; "" */
};

struct delivery_tls_facts {
	struct delivery_tls_fact v[DELIVERY_TLS_FACTS_MAX];
	size_t n;
};

/* --- of what they are made --- */

/* A policy as reports have it: lines of a body as it came, its errors included; the records of a
 * host. NULL past the arena's budget. */
const struct delivery_tls_policy *delivery_tls_policy_of_sts(const char *domain, struct slice body,
                                                             const struct mtasts_policy *policy,
                                                             struct arena *arena);
const struct delivery_tls_policy *delivery_tls_policy_of_dane(const struct delivery_dane *dane,
                                                              const char *host,
                                                              struct arena *arena);

/* A session with a host, as far as it came. NOT_CONNECTED: nothing can be said, since it may be
 * transient (section 4.3.4). */
struct delivery_tls_session {
	enum delivery_tls_progress progress;
	struct tls_verdict verdict; /* of a handshake, good or not */
	const char *why;            /* of one that failed; "" */
	const char *host, *address, *helo;
};

/* What a certificate check comes to, by the names of section 4.3.1. */
enum delivery_tls_result delivery_tls_result_of(const struct tls_check *check);

/* Adds what the session was under the policy: of STS the PKIX check counts, of TLSA the records, of
 * none whether there was TLS. sts_mismatch: the STS policy does not name the host. Nothing is added
 * for a session that was not connected, but for sts_mismatch. */
void delivery_tls_add_sts(struct delivery_tls_facts *facts,
                          const struct delivery_tls_policy *policy, bool sts_mismatch,
                          const struct delivery_tls_session *session, struct arena *arena);
/* Unusable records are a failure (tlsa-invalid) even of a session with TLS. A search that failed
 * (dane->state FAILED) is told as dnssec-invalid where DNSSEC is to blame, with the extended DNS
 * error; other failures of the DNS are transient and not told. */
void delivery_tls_add_dane(struct delivery_tls_facts *facts, const struct delivery_dane *dane,
                           const struct delivery_tls_session *session, struct arena *arena);
void delivery_tls_add_none(struct delivery_tls_facts *facts, const char *domain,
                           const struct delivery_tls_session *session, struct arena *arena);
/* A lookup for a domain's servers, or for the addresses of one of them (host; else ""), that failed
 * for its DNSSEC. True: it did, and is told. */
bool delivery_tls_add_lookup(struct delivery_tls_facts *facts, const char *domain, const char *host,
                             const struct dns_answer *answer, struct arena *arena);
/* A policy that was announced and could not be had. policy: the kept one, or NULL. */
void delivery_tls_add_fetch(struct delivery_tls_facts *facts, const char *domain,
                            const struct delivery_tls_policy *policy,
                            enum delivery_tls_result result, const char *why, struct arena *arena);
