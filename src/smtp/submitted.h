/* The header of a message that a user submits: what it says, what it lacks, what must not leave
 * (RFC 6409 section 8, RFC 5322 section 3.6).
 *
 * Works on the header's bytes alone; who may send with which address is the caller's business.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "message/address.h"

#define SMTP_SUBMITTED_SUBJECT_MAX    500u  /* bytes of UTF-8 that are kept */
#define SMTP_SUBMITTED_REFERENCES_MAX 8000u /* bytes that are kept, of the end */
#define SMTP_SUBMITTED_ID_MAX         998u

struct smtp_submitted {
	size_t header_size;                 /* octets up to and with the empty line */
	struct message_address_list from;   /* at least one mailbox, mailboxes only */
	struct message_address_list sender; /* at most one mailbox */
	bool has_date;
	bool has_message_id;
	/* With its angle brackets; empty when there is none or it is not printable ASCII. */
	struct slice message_id;
	struct slice subject;    /* decoded: valid UTF-8 in one line */
	struct slice references; /* content of References, else of In-Reply-To, in one line */
	bool tls_optional;       /* TLS-Required: No (RFC 8689 section 5) */
	bool has_unwanted;       /* fields that smtp_submitted_print leaves out */
};

/* block: the header, with or without what follows it. SYNTAX with a sentence for the sender when
 * the message cannot be sent as it is: no header, not exactly one From, a From without an address,
 * more than one Sender, an address that is none. LIMIT: the arena's budget. Slices live in the
 * arena. */
struct status smtp_submitted_parse(struct slice block, struct arena *arena,
                                   struct smtp_submitted *ret_submitted);

/* The header with its empty line, without Bcc, Resent-Bcc and Return-Path (docs/decisions/
 * submitted-headers.md). */
void smtp_submitted_print(struct slice block, struct buf *out);

/* What is added at the top where it is missing (RFC 6409 sections 8.2 and 8.3). `id`: random text
 * for the Message-ID, written without its brackets into *ret_message_id with them. */
void smtp_submitted_complete(const struct smtp_submitted *submitted, struct slice id,
                             const char *hostname, int64_t now_s, struct buf *out);
