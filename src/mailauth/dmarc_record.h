/* DMARC policy records: "v=DMARC1; p=reject; rua=mailto:dmarc@example.com" (RFC 9989 sections 4.7
 * and 4.8; the tags that only RFC 7489 section 6.3 has are understood, too).
 *
 * What does not begin with v=DMARC1 is no record. In all that follows an error costs the tag that
 * has it and nothing more: its default counts (RFC 9989 section 4.8), and `defects` says what was
 * wrong. Errors in the tags of policy decide whether the record has a policy at all (section
 * 4.10.1): see enum dmarc_use.
 *
 * Tag names and values are compared without regard to case, as ABNF's strings are (RFC 5234 section
 * 2.3), but for "DMARC1".
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "dns/name.h"

#define DMARC_URIS_MAX    20u /* of one tag; further ones are left out */
#define DMARC_DEFECTS_MAX 20u /* that are told */

#define DMARC_PCT_DEFAULT 100u
#define DMARC_RI_DEFAULT  86400u /* seconds */

/* Ascending strictness: of several policies the strictest is the greatest. */
enum dmarc_policy {
	DMARC_NONE,
	DMARC_QUARANTINE,
	DMARC_REJECT,
};
const char *dmarc_policy_name(enum dmarc_policy policy); /* "quarantine" */
bool dmarc_policy_parse(struct slice name, enum dmarc_policy *ret_policy);

enum dmarc_mode {
	DMARC_RELAXED,
	DMARC_STRICT,
};
const char *dmarc_mode_name(enum dmarc_mode mode); /* "relaxed" */

enum dmarc_psd {
	DMARC_PSD_UNKNOWN, /* "u": may or may not be an organisational domain */
	DMARC_PSD_NO,      /* "n": an organisational domain */
	DMARC_PSD_YES,     /* "y": a public suffix */
};

/* What a record is good for (RFC 9989 section 4.10.1). */
enum dmarc_use {
	DMARC_USE_POLICY,
	/* p is missing or not valid, or sp or np is not valid, but there is somebody to report to:
	 * as if it were p=none. */
	DMARC_USE_REPORTS,
	/* The same, and nobody to report to: DMARC is not applied. Also what authorises reports
	 * (RFC 7489 section 7.1) looks like this. */
	DMARC_USE_NOTHING,
};

/* Failure reporting options (tag fo), a set of bits. */
#define DMARC_FO_ALL  1u /* "0": when all mechanisms fail to give an aligned pass */
#define DMARC_FO_ANY  2u /* "1": when any does; comes without DMARC_FO_ALL */
#define DMARC_FO_DKIM 4u /* "d" */
#define DMARC_FO_SPF  8u /* "s" */

/* Where reports shall go. */
struct dmarc_uri {
	struct slice text; /* the URI (RFC 3986) as written, without the size limit */
	bool has_limit;    /* obsolete since RFC 9989: "!10m" */
	uint64_t limit;    /* bytes of a report, after compression; UINT64_MAX: any */
	/* Of mailto: (RFC 6068), its only address. Others cannot be reported to. */
	bool is_mailto;
	struct slice local;   /* decoded UTF-8, unquoted, no control characters */
	struct dns_name host; /* the root for other schemes */
};
struct dmarc_uris {
	const struct dmarc_uri *v;
	size_t n;
};

struct dmarc_defect {
	const char *where; /* name of the tag; "" for what is none */
	const char *why;   /* a sentence */
};

struct dmarc_record {
	enum dmarc_use use;
	/* Valid ones; all false unless use is POLICY. */
	bool has_p, has_sp, has_np;
	enum dmarc_policy p, sp, np; /* NONE where there is none */
	enum dmarc_mode adkim, aspf;
	enum dmarc_psd psd;
	bool testing; /* t=y */
	unsigned fo;  /* bits */
	struct dmarc_uris rua, ruf;
	unsigned pct;  /* 0..100 (RFC 7489; RFC 9989 ignores it) */
	uint32_t ri;   /* seconds (RFC 7489) */
	size_t n_tags; /* all, unknown ones too */
	const struct dmarc_defect *defects;
	size_t n_defects;
};

/* Begins with a v tag that says DMARC1: only then it is a DMARC record (RFC 9989 section 4.10). */
bool dmarc_record_is(struct slice text);

/* text: the strings of a TXT record run together. NOT_FOUND when it is no DMARC record; LIMIT past
 * the arena's budget; else OK, whatever is wrong with it. Everything is copied into the arena. */
struct status dmarc_record_parse(struct slice text, struct arena *arena,
                                 struct dmarc_record *ret_record);

/* The record as it counts: canonical, defaults left out, what was wrong left out. Parsing it gives
 * the same record without defects. */
void dmarc_record_print(const struct dmarc_record *record, struct buf *out);

/* Whom a policy is meant for. */
enum dmarc_scope {
	DMARC_SCOPE_DOMAIN,     /* the domain that has the record */
	DMARC_SCOPE_SUBDOMAIN,  /* a domain below it that exists */
	DMARC_SCOPE_NONEXISTENT /* one that does not */
};
/* The policy for it, and the tag that says so: "np", "sp", "p", or "" when none does. */
enum dmarc_policy dmarc_record_policy(const struct dmarc_record *record, enum dmarc_scope scope,
                                      const char **ret_tag);

/* "local@host" of a mailto: URI, as for a To field. False for other URIs. */
bool dmarc_uri_address(const struct dmarc_uri *uri, struct buf *out);
/* With its size limit, as in a record. */
void dmarc_uri_print(const struct dmarc_uri *uri, struct buf *out);
