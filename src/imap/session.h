/* An authenticated IMAP session: one thread that reads top to bottom (RFC 9051, RFC 3501 and the
 * extensions that imap_capabilities lists).
 */
#pragma once

#include "base/clock.h"
#include "base/stream.h"
#include "store/store.h"

/* Defaults of the limits in imap_session_options. */
#define IMAP_APPEND_MAX_DEFAULT ((uint64_t)100 * 1024 * 1024)
#define IMAP_TIMEOUT_MS_DEFAULT (30 * 60 * 1000) /* RFC 9051 section 5.4: at least 30 minutes */

struct imap_session_options {
	struct stream *stream;
	struct store *store;
	const struct clock *clock;
	/* The tag of the LOGIN or AUTHENTICATE that is to be answered; NULL or "": PREAUTH
	 * greeting. */
	const char *login_tag;
	const char *login_text; /* behind the OK's capabilities; NULL: a default */
	/* An eventfd of this session alone: the store makes it readable after changes, and so does
	 * who wants the session to end, after setting *stop. Stays the caller's. -1: no wake-ups.
	 */
	int wake_fd;
	const _Atomic bool *stop; /* may be NULL */
	uint64_t append_max;      /* bytes of one message; 0: IMAP_APPEND_MAX_DEFAULT */
	int timeout_ms;           /* without a command; 0: IMAP_TIMEOUT_MS_DEFAULT */
	int idle_notify_ms;       /* "still here" while IDLE; 0: two minutes */
	unsigned bad_max;         /* useless commands in a row; 0: 20 */
};

/* Runs until LOGOUT or the connection's end; the output is flushed. OK after LOGOUT; CANCELED when
 * it was stopped; TIMEOUT, PROTOCOL, CLOSED, IO... else. */
struct status imap_session_run(const struct imap_session_options *options);

/* Says why the account cannot be served, as the answer to login_tag: "TAG NO [UNAVAILABLE] ...".
 * For a room that could not open the store. */
struct status imap_session_refuse(struct stream *stream, const char *login_tag, struct status why);
