/* What the DNS said about one name and type, and how far that can be trusted.
 *
 * An answer is complete in itself: records or a kind of absence or a failure, the DNSSEC status of
 * it all and of each CNAME step on the way, how long it holds, and in words why it failed. It lives
 * in one arena and never changes. It travels between rooms in a packed form.
 *
 * How to read one:
 *	switch (answer->outcome) {
 *	case DNS_FOUND:    records[0 .. n_records), all of the type asked for
 *	case DNS_NODATA:   the name exists, has no such records (denial_proven: by DNSSEC)
 *	case DNS_NXDOMAIN: there is no such name                (denial_proven: by DNSSEC)
 *	case DNS_FAILED:   nothing is known: answer->failure tells the kind, answer->why the story
 *	}
 * Records that fail validation are never shown: such an answer is DNS_FAILED with security BOGUS
 * and failure AUTHENTICATION.
 */
#pragma once

#include "base/buf.h"
#include "dns/name.h"

/* Limits; beyond them an answer is DNS_FAILED, failure OTHER. */
#define DNS_RECORDS_MAX     1000u                     /* records of one answer */
#define DNS_CHAIN_MAX       16u                       /* CNAME steps */
#define DNS_TXT_STRINGS_MAX 1000u                     /* strings of one TXT record */
#define DNS_PACKED_MAX      ((size_t)112 * 1024)      /* bytes of a packed answer: one IPC packet */
#define DNS_ANSWER_ARENA    ((size_t)2 * 1024 * 1024) /* a fit budget for an answer's arena */

/* number of the type, name */
#define DNS_TYPE_LIST(X)                                                                           \
	X(A, 1)                                                                                    \
	X(NS, 2)                                                                                   \
	X(CNAME, 5)                                                                                \
	X(PTR, 12)                                                                                 \
	X(MX, 15)                                                                                  \
	X(TXT, 16)                                                                                 \
	X(AAAA, 28)                                                                                \
	X(SRV, 33)                                                                                 \
	X(TLSA, 52)                                                                                \
	X(CAA, 257)

enum dns_type {
#define X(name, number) DNS_TYPE_##name = number,
	DNS_TYPE_LIST(X)
#undef X
};
bool dns_type_is_known(uint32_t number);
const char *dns_type_name(enum dns_type type); /* "MX" */
bool dns_type_parse(struct slice name, enum dns_type *ret_type);

/* Ascending trust, so that the status of a conclusion is the minimum of what it rests on. */
enum dns_security {
	DNS_BOGUS,    /* validation failed: forged, expired or broken */
	DNS_INSECURE, /* not signed, or the one who asked for us may not be believed */
	DNS_SECURE,   /* validated up to a trust anchor */
};
const char *dns_security_name(enum dns_security security); /* "secure" */
static inline enum dns_security dns_security_min(enum dns_security a, enum dns_security b)
{
	return a < b ? a : b;
}

enum dns_outcome {
	DNS_FOUND,
	DNS_NODATA,
	DNS_NXDOMAIN,
	DNS_FAILED,
};
const char *
dns_outcome_name(enum dns_outcome outcome); /* "found", "nodata", "nxdomain", "failed" */

/* What to make of a failure. */
enum dns_failure {
	DNS_FAILURE_NONE,
	DNS_FAILURE_TEMPORARY, /* time out, no server reached, server in trouble: try again later */
	DNS_FAILURE_AUTHENTICATION, /* DNSSEC validation failed: the data may not be used; may be an
	                               attack or a mistake of the zone's owner. To mail it is
	                               temporary */
	DNS_FAILURE_OTHER,          /* refused, malformed, too large: waiting will hardly help */
};
const char *dns_failure_name(enum dns_failure failure); /* "temporary", "authentication", "other" */

struct dns_mx {
	uint16_t preference;
	struct dns_name host; /* the root for a null MX (RFC 7505) */
};

struct dns_txt {
	struct slice joined; /* the strings run together (RFC 7208 section 3.3) */
	const struct slice *strings;
	size_t n_strings;
};

struct dns_srv { /* RFC 2782 */
	uint16_t priority, weight, port;
	struct dns_name target;
};

struct dns_tlsa { /* RFC 6698 */
	uint8_t usage, selector, matching;
	struct slice bytes;
};

struct dns_caa { /* RFC 8659 */
	uint8_t flags;
	struct slice tag, value;
};

struct dns_record {
	enum dns_type type;
	uint32_t ttl_s;
	union {
		uint8_t a[4];
		uint8_t aaaa[16];
		struct dns_name name; /* NS, CNAME, PTR */
		struct dns_mx mx;
		struct dns_txt txt;
		struct dns_srv srv;
		struct dns_tlsa tlsa;
		struct dns_caa caa;
	};
};

/* A CNAME that was followed. */
struct dns_step {
	struct dns_name alias, target;
	enum dns_security security; /* of this CNAME record alone */
	uint32_t ttl_s;
};

#define DNS_NO_EDE UINT32_MAX

struct dns_answer {
	struct dns_name name; /* as asked */
	enum dns_type type;
	enum dns_outcome outcome;
	enum dns_security security; /* of the whole answer, chain included: its weakest part */
	/* Of the last part alone, at canonical_name: its records or their absence. RFC 7672 section
	 * 2.2.2 needs to tell an insecure alias of a secure name from its contrary. */
	enum dns_security final_security;
	bool denial_proven; /* NODATA, NXDOMAIN: the absence (at the end of the chain) is proven */
	uint32_t ttl_s;     /* the least of all records, of the negative answer (RFC 2308) or 0 */
	struct dns_name canonical_name; /* end of the chain; `name` without CNAMEs */
	const struct dns_step *chain;   /* in order */
	size_t n_chain;
	const struct dns_record *records;
	size_t n_records;

	/* Failures. */
	enum dns_failure failure;
	uint32_t rcode;       /* of the DNS, 0..4095 (2: SERVFAIL, 5: REFUSED) */
	uint32_t ede_code;    /* Extended DNS Error (RFC 8914), DNS_NO_EDE when none is known; may
	                         come with a success, too */
	const char *ede_text; /* what came with it, printable; "" when nothing */
	const char *why;      /* one sentence; "" for what did not fail */
};

/* The registered meaning of an Extended DNS Error: "Signature Expired"; "" for unknown ones. */
const char *dns_ede_name(uint32_t code);
const char *dns_rcode_name(uint32_t rcode); /* "SERVFAIL"; "RCODE" for unknown ones */

/* A failure, for those who could not even ask. why is copied. NULL past the arena's budget. */
struct dns_answer *dns_answer_failed(struct dns_name name, enum dns_type type,
                                     enum dns_failure failure, const char *why,
                                     struct arena *arena);

/* One record's data as in a zone file: "10 mx.example.com", "\"v=spf1 -all\"". */
void dns_record_print(const struct dns_record *record, struct buf *out);
/* "192.0.2.1", "2001:db8::1" of an A or AAAA record. */
#define DNS_ADDRESS_TEXT_MAX 46
void dns_address_print(const struct dns_record *record, char text[DNS_ADDRESS_TEXT_MAX]);

/* --- between rooms --- */

/* LIMIT past DNS_PACKED_MAX (the buffer's own ceiling counts, too). */
struct status dns_answer_pack(const struct dns_answer *answer, struct buf *out);
/* Everything is copied into the arena. PROTOCOL for what no packer made, LIMIT past its budget. */
struct status dns_answer_unpack(struct slice packed, struct arena *arena,
                                const struct dns_answer **ret_answer);
