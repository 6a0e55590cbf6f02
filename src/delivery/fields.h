/* The fields of the TXT records of MTA-STS (RFC 8461 section 3.1) and TLSRPT (RFC 8460 section 3),
 * which share their grammar:
 *
 *	record = version 1*(delim field) [delim]
 *	delim  = *WSP ";" *WSP
 *	field  = name "=" value
 *	name   = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
 *
 * Unlike a tag list (mailauth/taglist.h, RFC 6376) the version stands first and is exact, names may
 * begin with a digit and have dots, a name may come twice (the first counts), and there are no
 * blanks within a field.
 */
#pragma once

#include "base/cursor.h"
#include "dns/resolver.h"

#define DELIVERY_FIELD_NAME_MAX 32u
#define DELIVERY_RECORD_MAX     ((size_t)4096) /* octets of a TXT record that is looked at */

/* A record that begins with the version; *ret is behind it. SYNTAX, LIMIT (DELIVERY_RECORD_MAX), with
 * why. */
struct status delivery_fields_begin(struct slice text, const char *version, struct cursor *ret);
/* Behind the version: *WSP ";" *WSP and a field, or the end. False at the end or after a failure of
 * the cursor. The value is what stands before the next ";", without blanks at its end; it is not
 * empty, and which bytes it may have is its reader's affair. */
bool delivery_field_next(struct cursor *c, struct slice *ret_name, struct slice *ret_value);
/* Visible ASCII but "=" (and ";"): what values of unknown fields are made of. */
bool delivery_field_is_plain(struct slice value);

/* --- finding a record --- */

enum delivery_record_outcome {
	DELIVERY_RECORD_FOUND,
	DELIVERY_RECORD_ABSENT,  /* none, or several */
	DELIVERY_RECORD_UNKNOWN, /* the DNS did not tell, or what it told is forged */
};

struct delivery_record {
	enum delivery_record_outcome outcome;
	struct slice text;               /* its strings run together; with FOUND */
	const struct dns_answer *answer; /* NULL where nothing was asked */
	const char *why;                 /* one sentence, in the arena or static */
};

/* The one TXT record at "prefix.domain" that begins with the version and ";" ("v=STSv1;"); others
 * are passed over. An address literal has none. Blocks for one lookup; timeout_ms 0:
 * DNS_LOOKUP_TIMEOUT_MS. LIMIT only: the arena's budget. */
struct status delivery_record_find(const struct dns_resolver *resolver, const char *prefix,
                                   struct slice domain, const char *version, int timeout_ms,
                                   struct arena *arena, struct delivery_record *ret_record);
/* The record that was found is none: ABSENT, and says why. */
void delivery_record_refuse(struct delivery_record *record, const char *why, struct arena *arena);
