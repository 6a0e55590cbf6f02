/* The DATA machine: finds the message in what follows a 354 reply (RFC 5321
 * sections 4.1.1.4, 4.5.2).
 *
 * Fed any split of the input, it hands back runs of message content that point into that input,
 * with dot-stuffing undone. It neither allocates nor buffers.
 *
 * Only CRLF "." CRLF ends the message. A bare CR, a bare LF or a NUL anywhere makes the message
 * faulty: it is read to its real end and must then be refused (SMTP_REPLY_SMUGGLING), so that what
 * one server takes for an end and another for text never becomes a second message (SMTP smuggling,
 * 2023). From the first fault on no content is handed out. All else is clean: every other octet
 * passes unchanged, and so do lines of any length.
 */
#pragma once

#include "base/slice.h"

enum smtp_data_state {
	SMTP_DATA_LINE_START, /* behind CRLF, or at the very start */
	SMTP_DATA_IN_LINE,
	SMTP_DATA_CR,     /* behind a CR inside a line */
	SMTP_DATA_DOT,    /* behind a dot at the start of a line */
	SMTP_DATA_DOT_CR, /* behind such a dot and a CR */
	SMTP_DATA_ENDED,
};

struct smtp_data {
	enum smtp_data_state state;
	bool bare_cr;
	bool bare_lf;
	bool nul;
	bool has_8bit;    /* an octet above 127 */
	uint64_t n_taken; /* octets of input, terminator included */
};

void smtp_data_init(struct smtp_data *data);

/* Takes a prefix of *in and returns it as a run of content (maybe empty). Call again until *in is
 * empty or the message has ended; what is left in *in then belongs to the next command. */
struct slice smtp_data_next(struct smtp_data *data, struct slice *in);

static inline bool smtp_data_ended(const struct smtp_data *data)
{
	return data->state == SMTP_DATA_ENDED;
}
/* Faulty so far: the message will have to be refused. */
static inline bool smtp_data_faulty(const struct smtp_data *data)
{
	return data->bare_cr || data->bare_lf || data->nul;
}

/* The same facts about content whose frame is counted (BDAT): never an end, nothing removed. Bare
 * CR, bare LF and NUL are noted but no fault there, see smtp/server.h. Start from smtp_data_init.
 */
void smtp_data_note_chunk(struct smtp_data *data, struct slice chunk);

/* The facts about a chunked message that ends here: a CR at the very end was bare. */
void smtp_data_note_end(struct smtp_data *data);
