/* Domain names as people write them (RFC 5890, UTS #46), in both forms. */
#pragma once

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

#define TEXT_DOMAIN_MAX 253u /* bytes of the A-label form, without a dot at the end (RFC 1035) */
#define TEXT_LABEL_MAX  63u

/* Made by text_domain_parse only. */
struct text_domain {
	char ascii[TEXT_DOMAIN_MAX + 1]; /* lower case, A-labels: for DNS, comparing, storing */
	char unicode[4 * TEXT_DOMAIN_MAX +
	             1]; /* U-labels: for people; the same as ascii without any */
};

enum text_domain_kind {
	TEXT_DOMAIN_STRICT, /* letters, digits, hyphens (RFC 1123 section 2.1) */
	TEXT_DOMAIN_LAX, /* underscores as well: names of DNS records, MX targets met in the wild */
};

/* Non-transitional UTS #46 lookup: mapped to lower case and NFC, each label checked. Refused: an
 * empty name or label, a dot at the end, IP addresses, hyphens at the ends of a label, too long
 * names. */
struct status text_domain_parse(struct slice name, enum text_domain_kind kind,
                                struct text_domain *ret_domain);

/* Same name, ignoring case and form: for comparing what was parsed. */
bool text_domain_eq(const struct text_domain *a, const struct text_domain *b);
