/* Asking the DNS for a check of a message: within a deadline and a number of questions, and with a
 * record of every answer, so that a result can say what it rests on and how sure that is.
 *
 *	struct mailauth_dns dns;
 *	mailauth_dns_init(&dns, resolver, clock, 20000, arena);
 *	... spf_check(&dns, ...) ...            asks by mailauth_lookup
 *	dns.evidence: the questions in order; mailauth_evidence_security(&dns.evidence, &status)
 *
 * One thread. A check that runs beside others has one of its own. Answers and evidence live in the
 * arena.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "dns/resolver.h"

#define MAILAUTH_LOOKUPS_MAX 500u  /* of one check, whatever its own limits; further ones fail */
#define MAILAUTH_TIMEOUT_MS  20000 /* a fit time for all lookups of one check (RFC 7208 4.6.4) */
#define MAILAUTH_DNS_ARENA   ((size_t)4 * 1024 * 1024) /* a fit budget for one check's arena */

/* What one question brought. */
struct mailauth_evidence_item {
	struct dns_name name;
	enum dns_type type;
	enum dns_outcome outcome;
	enum dns_security security;
	enum dns_failure failure;
	size_t n_records;
	uint32_t ede_code;    /* DNS_NO_EDE: none */
	const char *ede_text; /* printable, "" for none */
	const char *why;      /* of a failure; "" */
};

struct mailauth_evidence {
	const struct mailauth_evidence_item *v;
	size_t n;
	bool truncated; /* more was asked than is recorded */
};

struct mailauth_dns {
	const struct dns_resolver *resolver;
	const struct clock *clock;
	int64_t deadline_ms; /* of clock's monotonic time */
	struct arena *arena;
	struct mailauth_evidence evidence;
	/* Private. */
	struct mailauth_evidence_item *items; /* evidence.v */
	size_t capacity;
	size_t n_asked;
};

void mailauth_dns_init(struct mailauth_dns *dns, const struct dns_resolver *resolver,
                       const struct clock *clock, int timeout_ms, struct arena *arena);

/* Never NULL: what cannot be asked any more (deadline, number, memory) is a DNS_FAILED answer,
 * failure TEMPORARY. Blocks until the deadline at most. */
const struct dns_answer *mailauth_lookup(struct mailauth_dns *dns, struct dns_name name,
                                         enum dns_type type);

/* The questions from number `first` on, for results that rest on a part of them. */
struct mailauth_evidence mailauth_evidence_since(const struct mailauth_dns *dns, size_t first);

/* The weakest status of all answers. False when nothing was asked (and ret_security is untouched).
 */
bool mailauth_evidence_security(const struct mailauth_evidence *evidence,
                                enum dns_security *ret_security);

/* "secure", "insecure", "bogus", or "none" when nothing was asked: the word for headers. */
const char *mailauth_evidence_word(const struct mailauth_evidence *evidence);

/* For people, a line each: "example.com TXT: found, secure". */
void mailauth_evidence_print(const struct mailauth_evidence *evidence, struct buf *out);
