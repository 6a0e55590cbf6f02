/* The name of a host as SMTP commands carry it: a domain or an address literal
 * (RFC 5321 sections 4.1.2 and 4.1.3, RFC 6531 section 3.3).
 */
#pragma once

#include "base/arena.h"
#include "base/cursor.h"

#define SMTP_DOMAIN_MAX  ((size_t)255) /* RFC 5321 section 4.5.3.1.2 */
#define SMTP_LABEL_MAX   ((size_t)63)  /* RFC 1035 section 2.3.4 */
#define SMTP_LITERAL_MAX ((size_t)255)

enum smtp_host_kind {
	SMTP_HOST_DOMAIN,
	SMTP_HOST_IPV4,    /* [192.0.2.1] */
	SMTP_HOST_IPV6,    /* [IPv6:2001:db8::1] */
	SMTP_HOST_GENERAL, /* [tag:anything]: well-formed, of no known meaning */
};

/* Made by the parsers below only. */
struct smtp_host {
	enum smtp_host_kind kind;
	bool utf8;           /* a label is not ASCII (U-label, not yet checked against IDNA) */
	uint8_t address[16]; /* of a literal; IPv4 uses the first four */
	struct slice text;   /* as it came, with the brackets of a literal */
};

/* One domain or literal at the cursor; on failure the cursor has failed and *ret_host is unchanged.
 * text points into the input. Underscores are tolerated in labels: they are common in HELO names
 * and no harm comes of them. */
void smtp_host_parse(struct cursor *c, struct smtp_host *ret_host);

/* The whole argument of EHLO or HELO: ASCII only (RFC 6531 section 3.7.1), blanks around it
 * ignored. */
struct status smtp_helo_parse(struct slice argument, struct smtp_host *ret_host);

/* "192.0.2.1" or "2001:db8::1", as a socket address is printed. */
struct status smtp_ip_parse(struct slice text, struct smtp_host *ret_host);
