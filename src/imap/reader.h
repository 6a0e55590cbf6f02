/* Cuts one whole command, its lines and its literals, from a stream into one bounded unit.
 *
 * Grammar comes later: here only line ends and literal heads matter (RFC 9051 section 4.3, RFC
 * 7888). The unit keeps literals in place: "A1 LOGIN {2}\r\nme {1}\r\nx", without the last CRLF.
 */
#pragma once

#include "base/clock.h"
#include "base/stream.h"
#include "imap/syntax.h"

#define IMAP_LINE_MAX ((size_t)64 * 1024) /* bytes of one line */

struct imap_reader_limits {
	size_t line_max;       /* of one line, <= IMAP_LINE_MAX */
	uint64_t literal_max;  /* of one literal */
	uint64_t non_sync_max; /* of one non-synchronising literal (LITERAL-: 4096) */
	uint64_t total_max;    /* of all literals of a command */
	unsigned literals_max; /* how many a command may have */
	uint64_t discard_max;  /* bytes of refused non-synchronising literals read and dropped */
	bool message_literals; /* APPEND's message literals are left in the stream */
};

struct imap_reader {
	struct stream *stream;
	const struct clock *clock; /* may be NULL: no deadline */
	int64_t deadline_ms;       /* on the monotonic clock, for a whole command; 0: none */
	struct imap_reader_limits limits;
	struct buf unit;
	unsigned n_literals;
	uint64_t literals_size;
	uint64_t discarded;
	/* A message literal follows in the stream; its head ends the unit. The "+" is not yet sent.
	 */
	bool at_message;
	struct imap_literal message;
};

void imap_reader_init(struct imap_reader *r, struct stream *stream,
                      const struct imap_reader_limits *limits);
void imap_reader_done(struct imap_reader *r);

/* Reads the next command into r->unit. OK: whole, or up to a message literal (at_message).
 * SYNTAX, LIMIT: this command cannot be used (r->unit has at least the start of it, for its tag),
 * the connection goes on. PROTOCOL: client and server no longer agree where a command starts: BYE.
 * Others: the connection has ended. */
struct status imap_reader_next(struct imap_reader *r);

/* After a message literal was consumed by the caller: the rest of the command, up to its end or the
 * next message literal, in a fresh unit. */
struct status imap_reader_rest(struct imap_reader *r);

/* Refuses a message literal: in step again when it was a synchronising one, else it is read and
 * dropped with what follows it. PROTOCOL when that is more than discard_max. */
struct status imap_reader_refuse_message(struct imap_reader *r);
/* After a refusal halfway through a message literal's command: skips the rest of that command. */
struct status imap_reader_skip_rest(struct imap_reader *r);

/* "+ text": the client may go on. */
struct status imap_reader_continue(struct imap_reader *r, const char *text);

/* One line on its own (a SASL response, DONE), without its CRLF, valid until the next call. */
struct status imap_reader_line(struct imap_reader *r, struct slice *ret_line);
