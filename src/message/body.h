/* The text of a message's parts: transfer encoding undone, charset made UTF-8, in pieces.
 *
 * Memory is constant whatever the part's size. Where the bytes come from and go to is the caller's:
 * a source (as the store's reader gives it) and a sink.
 */
#pragma once

#include "base/status.h"
#include "message/part.h"
#include "message/transfer.h"

#define MESSAGE_BODY_PIECE ((size_t)16 * 1024) /* bytes read from a source at once */

struct message_source {
	/* Up to n bytes at offset; fewer only at the end. */
	struct status (*read)(const struct message_source *source, uint64_t offset, uint8_t *p,
	                      size_t n, size_t *ret_n);
};

struct message_sink {
	/* A failure ends the work and is passed on: CANCELED says that enough was seen. */
	struct status (*add)(struct message_sink *sink, struct slice piece);
};

/* The bytes of the part's body without its transfer encoding (BINARY of RFC 3516). UNSUPPORTED,
 * with nothing given, for an encoding that nobody knows. ret_damaged (may be NULL): something in
 * the encoding was wrong. */
struct status message_body_decode(const struct message_part *part,
                                  const struct message_source *source, struct message_sink *sink,
                                  bool *ret_damaged);

/* The same as UTF-8: pieces are valid UTF-8 of whole characters, for text parts by their charset
 * parameter, for others (an unknown encoding included) as text in no known charset. */
struct status message_body_text(const struct message_part *part,
                                const struct message_source *source, struct message_sink *sink);

/* True for parts whose text is worth searching: leaves of type text. */
bool message_part_is_text(const struct message_part *part);

/* The same for bytes that come as a stream: feed, finish, done. */
struct message_text;
/* NULL part gives a decoder that guesses. */
struct message_text *message_text_new(const struct message_part *part);
void message_text_feed(struct message_text *text, struct slice bytes, struct buf *out);
void message_text_finish(struct message_text *text, struct buf *out);
void message_text_free(struct message_text *text);

/* A source on bytes in memory, and a sink into a buffer (LIMIT when it is full). */
struct message_source_mem {
	struct message_source source; /* first member */
	struct slice bytes;
};
void message_source_mem_init(struct message_source_mem *mem, struct slice bytes);
struct message_sink_buf {
	struct message_sink sink; /* first member */
	struct buf *out;
};
void message_sink_buf_init(struct message_sink_buf *sink, struct buf *out);
