/* Renders ENVELOPE, BODY and BODYSTRUCTURE once, when a message is stored, so that FETCH copies
 * text (RFC 9051 section 7.5.2, RFC 3501 section 7.4.2). */
#pragma once

#include "base/buf.h"
#include "message/part.h"
#include "store/store.h"

/* For store_options.summarize. */
struct status imap_summarize(const struct store_reader *r, struct arena *arena,
                             struct store_summary *ret_summary);

/* The pieces, for tests and for BODY[n.MIME]-like needs. */
void imap_render_envelope(struct buf *buf, const struct message_envelope *envelope);
/* extended: BODYSTRUCTURE, else BODY. */
void imap_render_body(struct buf *buf, const struct message_part *root, bool extended);

/* Feeds a whole message to a parser. */
struct status imap_parse_message(const struct store_reader *r, struct arena *arena,
                                 struct message_part **ret_root);
