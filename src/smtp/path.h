/* Envelope addresses: the paths of MAIL and RCPT (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
 *
 * Parsing takes a path apart and unquotes it; printing quotes as little as possible. Two spellings
 * of one local part ("a b"@x, "\a b"@x) give the same path, as section 4.1.2 asks.
 *
 * Tolerated, as harmless and seen in the wild: a local part longer than 64 octets (up to
 * SMTP_LOCALPART_MAX: VERP, SRS), one with misplaced dots (..a.@example.org; printed quoted), an
 * underscore in a domain. Everything else is refused.
 */
#pragma once

#include "base/buf.h"
#include "smtp/host.h"

#define SMTP_LOCALPART_MAX   ((size_t)128) /* unquoted; RFC 5321 section 4.5.3.1.1 asks for 64 */
#define SMTP_PATH_MAX        ((size_t)256) /* with "<" and ">", without a source route (4.5.3.1.3) */
#define SMTP_ROUTE_HOSTS_MAX ((size_t)16)

enum smtp_path_kind {
	SMTP_PATH_NULL,       /* <>, of MAIL only */
	SMTP_PATH_POSTMASTER, /* <Postmaster> without a domain, of RCPT only */
	SMTP_PATH_MAILBOX,
};

/* Made by smtp_path_parse only. */
struct smtp_path {
	enum smtp_path_kind kind;
	bool utf8;              /* local part or domain is not ASCII */
	struct slice localpart; /* unquoted; "postmaster" as it was spelled; empty for <> */
	struct smtp_host host;  /* of a mailbox */
};

/* One path at the cursor, of kinds MAILBOX and NULL (reverse) or MAILBOX and POSTMASTER (forward).
 * A source route is checked and dropped (RFC 5321 appendix C). Slices live in the arena. */
void smtp_reverse_path_parse(struct cursor *c, struct arena *arena, struct smtp_path *ret_path);
void smtp_forward_path_parse(struct cursor *c, struct arena *arena, struct smtp_path *ret_path);

/* "local@domain" without brackets, quoted where needed, nothing around it. */
struct status smtp_mailbox_parse(struct slice text, struct arena *arena,
                                 struct smtp_path *ret_path);

/* With "<" and ">". */
void smtp_path_print(const struct smtp_path *path, struct buf *out);
/* Without; nothing for the null path. */
void smtp_mailbox_print(const struct smtp_path *path, struct buf *out);

/* The same mailbox: local parts equal octet by octet, domains ASCII case-insensitively. */
bool smtp_path_eq(const struct smtp_path *a, const struct smtp_path *b);

/* Into another arena, for a longer life. */
struct smtp_path smtp_path_copy(const struct smtp_path *path, struct arena *arena);
