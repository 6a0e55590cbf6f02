/* A report as it is sent: the document made of what was counted, compressed, and the message that
 * carries it (RFC 7489 section 7.2, RFC 9990, RFC 8460 sections 4 and 5). The same counted facts
 * give the same bytes, but for the date.
 */
#pragma once

#include "base/buf.h"
#include "rooms/report_outbox.h"

#define REPORT_DOCUMENT_MAX ((size_t)64 * 1024 * 1024) /* bytes, not compressed */
#define REPORT_PACKED_MAX   ((size_t)10 * 1024 * 1024) /* compressed (RFC 8460 section 5.2) */
#define REPORT_MESSAGE_MAX  ((size_t)16 * 1024 * 1024)
#define REPORT_MAKE_ARENA   ((size_t)192 * 1024 * 1024) /* for the most facts that a topic has */

/* Who reports. */
struct report_author {
	struct slice organization;
	struct slice address; /* of From; its domain is the submitter */
	struct slice contact;
	struct slice generator; /* "mailkeep 1.0" */
};
struct slice report_author_domain(const struct report_author *author);

/* The document, compressed. INVALID when it has nothing to tell, LIMIT when there is too much. */
struct status report_make_document(const struct report_topic *topic, struct slice report_id,
                                   const struct report_author *author,
                                   const struct report_counted *counted, size_t n_counted,
                                   struct arena *arena, struct buf *packed);

struct report_mail {
	const struct report_topic *topic;
	const struct report_author *author;
	struct slice to;        /* local@domain */
	struct slice report_id; /* with its "@" */
	unsigned n;             /* of the dispatch: makes the Message-ID another than the others' */
	int64_t now_s;
	struct slice packed;
};
/* The message but for its signature: CRLF lines, ASCII. subject and message_id live in the arena.
 */
struct status report_make_message(const struct report_mail *mail, struct arena *arena,
                                  struct buf *out, struct slice *ret_subject,
                                  struct slice *ret_message_id);
