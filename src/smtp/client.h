/* The client of SMTP and submission, on a connected stream (RFC 5321, RFC 6409).
 *
 *	smtp_client_init(&c, &options);
 *	TRY(smtp_client_greet(&c));                     greeting, EHLO or HELO
 *	TRY(smtp_client_start_tls(&c));                 STARTTLS, handshake, EHLO again
 *	TRY(smtp_client_auth(&c, &credentials));        AUTH
 *	smtp_client_send(&c, &message, recipients, n, outcomes, &arena);   as often as wanted
 *	smtp_client_quit(&c);
 *	smtp_client_done(&c);
 *
 * Blocking: a call returns when the server has answered or a deadline of RFC 5321 section 4.5.3.2
 * has passed. Failures are statuses with a reason; what the server said is smtp_client_failure(),
 * for a message the outcome of each recipient. After a failure that leaves the conversation in
 * doubt smtp_client_usable() is false and all that is left is to close the connection.
 *
 * Nothing that is written holds a CR, LF or NUL but for line ends: names and addresses are parsed
 * and printed anew, and content is checked while it goes out.
 *
 * Not thread-safe. A caller that wants an end to a server that takes a byte a minute shuts the
 * socket down from another thread.
 */
#pragma once

#include "base/arena.h"
#include "smtp/ehlo.h"
#include "smtp/param.h"

#define SMTP_CLIENT_WINDOW           64u                /* commands sent ahead of their replies */
#define SMTP_CLIENT_LINES_MAX        ((size_t)16)       /* lines of a reply kept in an outcome */
#define SMTP_CLIENT_TEXT_MAX         ((size_t)2 * 1024) /* octets of them */
#define SMTP_CLIENT_TRANSACTIONS_MAX 1000u              /* of one smtp_client_send */
#define SMTP_CLIENT_AUTH_LINE_MAX    ((size_t)512)      /* RFC 4954 section 4: with the CRLF */

/* --- what the caller brings --- */

/* The client's side of TLS. */
struct smtp_client_tls {
	/* Shakes hands on the open connection, with whatever checks the caller wants, and sets
	 * stream->tls. TLS is the code of a handshake that failed (a caller may then try without),
	 * others are the network's. After a failure the connection is of no use. */
	struct status (*start)(void *context, struct stream *stream, int timeout_ms);
	/* Channel bindings of the connection, the best first; how many (0: none). May be NULL. */
	size_t (*bindings)(void *context, struct sasl_binding bindings[SASL_BINDINGS_MAX]);
	void *context;
};

/* Milliseconds; 0 takes the default. */
struct smtp_client_timeouts {
	int greeting_ms;   /* 5 minutes */
	int command_ms;    /* EHLO, MAIL, RCPT, AUTH, RSET: 5 minutes */
	int data_start_ms; /* the 354: 2 minutes */
	int data_block_ms; /* the server takes some of the message: 3 minutes */
	int data_end_ms;   /* the answer to the message: 10 minutes */
	int tls_ms;        /* the handshake: 1 minute */
	int quit_ms;       /* 5 seconds: the mail is through anyway */
	int64_t send_ms;   /* all of one smtp_client_send: 1 hour */
};

struct smtp_client_options {
	struct stream *stream; /* connected; outlives the client, which closes nothing */
	const struct clock *clock;
	const char *ehlo_name;             /* a host name or address literal */
	const struct smtp_client_tls *tls; /* NULL: no STARTTLS */
	struct smtp_client_timeouts timeouts;
	/* Refuse 8-bit content where 8BITMIME is not announced, as RFC 6152 section 3 asks. By
	 * default it is sent as it is: see docs/decisions/eight-bit-content.md. */
	bool strict_8bit;
	bool no_chunking;   /* never BDAT but for binary content */
	bool no_pipelining; /* one command at a time */
};

/* The bytes of a message behind the prefix. */
struct smtp_content {
	/* Up to n bytes at the offset; *ret_n == 0 only at the end. */
	struct status (*read)(void *context, uint64_t offset, uint8_t *p, size_t n, size_t *ret_n);
	void *context;
	uint64_t size;
};

/* Of an open file or memfd, by pread: bytes [offset, offset + size). */
struct smtp_content_file {
	int fd;
	uint64_t offset;
};
struct smtp_content smtp_content_of_file(struct smtp_content_file *file, uint64_t size);

struct smtp_message {
	struct slice sender; /* "local@domain"; empty: the null path */
	struct slice prefix; /* header lines before the content, CRLF line ends */
	const struct smtp_content *content;
	bool has_8bit;
	bool binary; /* BODY=BINARYMIME: CHUNKING and BINARYMIME are needed */
	/* The header holds UTF-8 (RFC 6532). Addresses that are not ASCII are noticed by
	 * themselves. */
	bool utf8;
	/* RFC 8689: only over TLS and to a server that announces REQUIRETLS; without a sender (a
	 * notification) the latter is not needed (section 5). */
	bool require_tls;
	enum smtp_ret ret;
	struct slice envid;        /* decoded; empty: none */
	enum smtp_by_mode by_mode; /* RFC 2852 */
	bool by_trace;
	int64_t by_s;      /* from now */
	bool has_priority; /* RFC 6710 */
	int priority;
	uint64_t hold_for_s; /* RFC 4865, to one's own submission server; 0: none */
};

struct smtp_recipient {
	struct slice address; /* "local@domain" */
	unsigned notify;      /* bits of enum smtp_notify; 0: not stated */
	struct slice orcpt;   /* "type;address", the address decoded; empty: none */
};

/* --- what comes of it --- */

enum smtp_outcome_kind {
	SMTP_OUTCOME_NONE,      /* not tried */
	SMTP_OUTCOME_DELIVERED, /* the server has taken the responsibility */
	SMTP_OUTCOME_DEFERRED,  /* temporary: try again later, or at another host */
	SMTP_OUTCOME_FAILED,    /* permanent */
};

/* Where things stood, and what is reported as the command (names: smtp_step_name). */
#define SMTP_STEP_LIST(X)                                                                          \
	X(CONNECT, "connection")                                                                   \
	X(GREETING, "greeting")                                                                    \
	X(EHLO, "EHLO")                                                                            \
	X(HELO, "HELO")                                                                            \
	X(STARTTLS, "STARTTLS")                                                                    \
	X(TLS, "TLS handshake")                                                                    \
	X(AUTH, "AUTH")                                                                            \
	X(MAIL, "MAIL FROM")                                                                       \
	X(RCPT, "RCPT TO")                                                                         \
	X(DATA, "DATA")                                                                            \
	X(CONTENT, "message")                                                                      \
	X(END, "end of message")                                                                   \
	X(RSET, "RSET")                                                                            \
	X(QUIT, "QUIT")

enum smtp_step {
#define X(id, name) SMTP_STEP_##id,
	SMTP_STEP_LIST(X)
#undef X
};
const char *smtp_step_name(enum smtp_step step);

struct smtp_outcome {
	enum smtp_outcome_kind kind;
	enum smtp_step step;
	uint16_t code;                     /* of the remote reply; 0: none, the reason is local */
	char enhanced[SMTP_ENHANCED_SIZE]; /* the reply's, else ours; "" only when delivered */
	const struct slice *lines;         /* of the reply, with the code, cleaned and cut */
	size_t n_lines;
	const char *why; /* one sentence, for people */
	/* Taken by a server that does not do DSN: RFC 3461 section 5.2.2 */
	bool relayed;
	/* Taken by a server without DELIVERBY while BY was wanted: RFC 2852 section 4.1.4.2 */
	bool by_relayed;
	/* The message was sent and the answer did not come: it may have been delivered. */
	bool uncertain;
	/* Left out by the server's limits (MAILMAX), not tried: send it at once on another
	 * connection. The kind is DEFERRED. */
	bool again;
	/* The message itself is at fault: no other host would take it. */
	bool message_fault;
	unsigned n_transaction; /* counted from 1: recipients of one number went together */
};

struct smtp_client {
	struct smtp_client_options options;
	struct smtp_ehlo ehlo; /* of the last EHLO: forgotten at STARTTLS */
	bool greeted;
	bool authenticated;
	bool broken; /* the conversation cannot go on */
	bool busy;   /* the server asked for less: 421, 4.3.2, 4.4.5, 4.7.28 */
	bool in_transaction;
	unsigned n_transactions; /* of this connection, for LIMITS MAILMAX */
	int64_t until_ms;        /* no waiting beyond this; 0: no such end */
	struct smtp_reply_in reply;
	struct arena arena; /* the last failure's lines */
	struct smtp_outcome failure;
};

/* --- a connection --- */

void smtp_client_init(struct smtp_client *c, const struct smtp_client_options *options);
void smtp_client_done(struct smtp_client *c); /* says nothing to the server; safe twice */

/* Reads the greeting and says EHLO, or HELO where EHLO is refused with 500 to 504. Failures of this
 * and the next: TEMPORARY and PERMANENT for a reply that says so (a 5yz greeting is PERMANENT for
 * this host alone, see RFC 5321 section 3.1), SYNTAX, LIMIT, PROTOCOL for nonsense, TIMEOUT,
 * CLOSED, IO; INVALID for an ehlo_name that is none. */
struct status smtp_client_greet(struct smtp_client *c);

/* UNSUPPORTED when it is not announced (the connection stays usable) and `required` is not set;
 * `required` asks for it all the same. A refusal leaves the connection usable too. PROTOCOL when
 * something came behind the server's 220 in clear (an injected reply: RFC 3207 section 4.2,
 * CVE-2011-0411), TLS when the handshake failed. */
struct status smtp_client_start_tls(struct smtp_client *c, bool required);

/* AUTH with the best mechanism there is (sasl/client.h chooses). A mechanism that the server does
 * not know after all (504) is left out and the next one is tried. AUTH when the server says no for
 * good (535 ...) or could not show that it is the right one; UNSUPPORTED, DENIED when there is no
 * usable mechanism; TEMPORARY for a 4yz. credentials.bindings is filled in from options.tls when it
 * is empty. */
struct status smtp_client_auth(struct smtp_client *c, const struct sasl_client_options *credentials,
                               enum sasl_mechanism *ret_mechanism);

/* What the last failing call of these met; kind says whether it was temporary. Valid until the next
 * call. */
const struct smtp_outcome *smtp_client_failure(const struct smtp_client *c);

/* The connection can serve another transaction. */
bool smtp_client_usable(const struct smtp_client *c);
/* RSET: is the server still there? For connections kept for reuse. */
struct status smtp_client_reset(struct smtp_client *c);
/* Says goodbye when there is somebody to hear it. */
void smtp_client_quit(struct smtp_client *c);

/* --- a message --- */

/* Sends the message to n >= 1 recipients, in as many transactions as the server's limits ask for
 * (LIMITS; 452 and 552 to some of many), and writes one outcome for each; none is NONE afterwards.
 * Lines and reasons live in the arena; when its budget ends, lines are left out. Never fails: what
 * goes wrong is in the outcomes. */
void smtp_client_send(struct smtp_client *c, const struct smtp_message *message,
                      const struct smtp_recipient *recipients, size_t n,
                      struct smtp_outcome *outcomes, struct arena *arena);
