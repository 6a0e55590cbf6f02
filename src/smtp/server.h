/* One SMTP session of a server: reception (port 25) from greeting to end, or, with
 * options.submission, what comes behind a successful login (RFC 6409).
 *
 * The session is a thread that reads top to bottom: smtp_server_run blocks until the client has
 * gone, is sent away or the room shuts down. It sees its connection only through `struct stream`
 * and the rest of the house only through `struct smtp_server_ops`: the gate decides who is local
 * and keeps the bytes.
 *
 * How one transaction runs, and which callbacks see it:
 *
 *     MAIL        mail(envelope)            may refuse the sender
 *     RCPT ...    rcpt(envelope, rcpt)      accepts or refuses each recipient
 *     DATA, BDAT  data_open(envelope)       before the first octet
 *                 data_write(octets) ...    dot-stuffing undone
 *                 data_end(envelope)        the answer the peer gets: a positive one is a promise
 *     or instead  data_abort()              refused, too large, connection lost: forget the octets
 *     always      reset()                   behind an accepted MAIL: the envelope is gone
 *
 * After data_open succeeded exactly one of data_end and data_abort follows.
 *
 * What is refused whatever the backend thinks: commands out of order, lines that do not end in
 * CRLF, in DATA a bare CR, bare LF or NUL (SMTP_REPLY_SMUGGLING; the message is read to its real
 * end), messages over the size limit and messages that run in circles. In BDAT the frame is
 * counted, so octets cannot be mistaken for an end; RFC 3030 section 3 wants binary content
 * accepted whatever BODY says. The envelope tells the backend (has_bare), so that nobody sends such
 * a message on by DATA.
 */
#pragma once

#include "base/clock.h"
#include "base/stream.h"
#include "smtp/command.h"
#include "smtp/data.h"
#include "smtp/reply.h"

/* Everything known of the transaction; lives until reset(). */
struct smtp_envelope {
	/* the session */
	const char *cid;
	bool has_helo;
	bool extended;                /* EHLO, not HELO */
	struct smtp_host helo;        /* its name, when has_helo */
	const struct stream_tls *tls; /* tls->on tells */
	uint32_t n_transaction;       /* 1 for the first MAIL of the session */
	/* the transaction */
	struct smtp_mail mail;
	struct smtp_rcpt *rcpts; /* accepted ones, in order */
	size_t n_rcpts;
	/* the content: complete when data_end is called */
	uint64_t size;       /* octets of content */
	bool chunked;        /* came by BDAT */
	bool has_8bit;       /* an octet above 127 */
	bool has_bare;       /* a bare CR, bare LF or NUL: by BDAT only */
	bool header_8bit;    /* an octet above 127 in the header */
	uint32_t n_received; /* Received fields */
};

/* What the log and the metrics may want to know. `text` is what the peer sent (escape and cut it),
 * or says why, for TLS_FAILED and CLOSING. */
enum smtp_event_kind {
	SMTP_EVENT_EARLY_TALKER,      /* input before the greeting */
	SMTP_EVENT_FOREIGN,           /* another protocol's first line */
	SMTP_EVENT_REFUSED,           /* a command got a 4yz or 5yz reply; text: its line, without
	                               * what may be a password */
	SMTP_EVENT_BARE_LF,           /* a command line ended in a bare LF; text: the line */
	SMTP_EVENT_SMUGGLING,         /* a message was refused for a bare CR, bare LF or NUL */
	SMTP_EVENT_MESSAGE,           /* a message got its final reply, good or bad */
	SMTP_EVENT_PLAINTEXT_DROPPED, /* input was pipelined behind STARTTLS */
	SMTP_EVENT_TLS_FAILED,
	SMTP_EVENT_CLOSING, /* we end the session before QUIT */
};

struct smtp_event {
	enum smtp_event_kind kind;
	enum smtp_verb verb;
	struct smtp_reply reply; /* code 0 when none was given */
	struct slice text;
};

/* All run on the session's thread and may block. A reply with code 0 means the usual answer. */
struct smtp_server_ops {
	/* May be NULL. A reply other than positive refuses the greeting. */
	struct smtp_reply (*helo)(void *context, const struct smtp_envelope *envelope);
	struct smtp_reply (*mail)(void *context, const struct smtp_envelope *envelope);
	/* rcpt is not in the envelope yet; rcpt->entry may be set and is kept if the reply is
	 * positive. Called for <Postmaster> too. */
	struct smtp_reply (*rcpt)(void *context, const struct smtp_envelope *envelope,
	                          struct smtp_rcpt *rcpt);
	/* Failures become replies by smtp_reply_of_status: NO_SPACE 452, LIMIT 552, others 451.
	 * After a failure of data_write no more octets come, and data_abort follows. */
	struct status (*data_open)(void *context, const struct smtp_envelope *envelope);
	struct status (*data_write)(void *context, struct slice octets);
	struct smtp_reply (*data_end)(void *context, const struct smtp_envelope *envelope);
	void (*data_abort)(void *context);
	/* May be NULL, as all below. */
	void (*reset)(void *context);
	void (*starttls_done)(void *context, const struct stream_tls *tls);
	void (*event)(void *context, const struct smtp_event *event);
};

struct smtp_server_limits {
	uint64_t message_size; /* octets of content; 64 MiB; announced as SIZE */
	uint64_t discard_size; /* octets read and dropped behind the limit before we hang up; 64 MiB
	                        */
	uint64_t header_size;  /* octets of header; 1 MiB */
	uint32_t received;     /* Received fields; 100 */
	uint32_t rcpts;        /* in one transaction; 1000; announced as RCPTMAX */
	uint32_t transactions; /* MAIL commands in a session; 1000; announced as MAILMAX */
	uint32_t commands;     /* in a session; 100,000 */
	uint32_t idle_commands; /* NOOP, RSET, EHLO ... since the last accepted message; 200 */
	uint32_t errors;        /* replies 5yz in a session, but for RCPT; 20 */
	uint32_t refused_rcpts; /* replies 5yz to RCPT in a session; 200 */
	size_t envelope_memory; /* octets for addresses and parameters; 2 MiB */
	uint64_t hold_s;        /* submission: longest FUTURERELEASE; 60 days */
};

struct smtp_server_timeouts {
	int command_ms;       /* for a whole command line; 5 minutes (RFC 5321 section 4.5.3.2.7) */
	int data_block_ms;    /* between two reads of a message; 3 minutes (section 4.5.3.2.5) */
	int refused_block_ms; /* the same once a message is refused; 30 seconds, then we hang up */
	int data_total_ms;    /* for a whole message; 60 minutes */
	int data_grace_ms;    /* before data_rate counts; 60 seconds */
	uint32_t data_rate;   /* least octets a second on average behind the grace; 100; 0 is off */
	int tls_ms;           /* handshake; 60 seconds */
	int session_ms;       /* looked at before each command; 6 hours */
	int early_talker_ms;  /* how long to watch for input before the greeting; 0: look, do not
	                         wait */
};

struct smtp_server_options {
	struct stream *stream;
	const struct clock *clock;
	const struct smtp_server_ops *ops;
	void *context;
	const char *hostname; /* of greeting and EHLO; ASCII */
	const char *cid;      /* shown in the greeting too; NULL for none */
	bool offer_tls;
	bool watch_early_talkers;
	bool refuse_early_talkers; /* 554 instead of the greeting */
	int wake_fd; /* readable: the room shuts down, 421 at the next command; -1 for none */
	/* Submission: EHLO and AUTH are behind us, somebody else has said 235, so there is no
	 * greeting and MAIL may come at once; AUTH again gets 503. Announced and accepted beside
	 * what reception has: FUTURERELEASE, DELIVERBY, MT-PRIORITY. */
	bool submission;
	bool greet; /* with submission: a greeting after all (login by the connection itself) */
	struct smtp_server_limits limits;
	struct smtp_server_timeouts timeouts;
};

/* How a session ended, for one log line. */
struct smtp_server_summary {
	uint32_t n_commands;
	uint32_t n_transactions;
	uint32_t n_accepted; /* messages */
	uint32_t n_errors;   /* replies 5yz */
	bool quit;           /* the client said QUIT */
	const char *why;     /* what ended it otherwise */
};

/* The defaults named above; the caller then sets stream, clock, ops, context, hostname and cid. */
void smtp_server_options_init(struct smtp_server_options *options);

/* Does not close the stream; the caller does. */
void smtp_server_run(const struct smtp_server_options *options,
                     struct smtp_server_summary *ret_summary);
