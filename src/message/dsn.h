/* Delivery status notifications: writing our own, reading those of others (RFC 3461, 3462, 3464,
 * 6522, 6533).
 *
 * A notification is a multipart/report of three parts: words for people, the same facts for
 * programs, and the message it is about (its header, or all of it).
 *
 * What is written may come from remote servers and senders: whatever would break a header line is
 * removed or refused here, so no caller need look.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/status.h"
#include "message/body.h"
#include "message/part.h"

/* What happened (RFC 3464 section 2.3.3). wire text, enum */
#define MESSAGE_DSN_ACTION_LIST(X)                                                                 \
	X(FAILED, "failed")       /* given up */                                                   \
	X(DELAYED, "delayed")     /* still being tried */                                          \
	X(DELIVERED, "delivered") /* in the mailbox */                                             \
	X(RELAYED, "relayed")     /* passed on to a server that sends no notifications */          \
	X(EXPANDED, "expanded")   /* passed on to the members of a list */

enum message_dsn_action {
#define X(name, text) MESSAGE_DSN_##name,
	MESSAGE_DSN_ACTION_LIST(X)
#undef X
	        MESSAGE_DSN_ACTION_COUNT
};
const char *message_dsn_action_name(enum message_dsn_action action); /* "failed" */
bool message_dsn_action_parse(struct slice text, enum message_dsn_action *ret_action);

/* --- writing --- */

#define MESSAGE_DSN_RECIPIENTS_MAX 1000u /* in one notification; more need another one */
#define MESSAGE_DSN_LINES_MAX      100u  /* lines of a remote reply that are kept */
#define MESSAGE_DSN_LINE_MAX       900u  /* bytes kept of one of them */
#define MESSAGE_DSN_HEADER_MAX     ((size_t)64 * 1024)          /* of the original, whole fields */
#define MESSAGE_DSN_FULL_MAX       ((uint64_t)10 * 1024 * 1024) /* original sent back as a whole */
#define MESSAGE_DSN_REFERENCES_MAX 50u /* ids; the first and the newest are kept */
#define MESSAGE_DSN_BOUNDARY_SIZE  24u

/* Never about a notification: nobody is told where the sender is null (RFC 3461 section 6.2, RFC
 * 5321 section 4.5.5). `sender` as in MAIL FROM, without angle brackets. */
static inline bool message_dsn_allowed(struct slice sender)
{
	return sender.n > 0;
}

struct message_dsn_recipient {
	struct slice address;  /* "local@domain": the recipient as the message was for here */
	struct slice original; /* ORCPT decoded, "rfc822;local@domain"; empty: not given */
	struct slice status;   /* "5.1.1"; empty: that of the class (5.0.0, 4.0.0, 2.0.0) */
	struct slice why;      /* what happened and where, a sentence for people; may be empty */
	/* The server that said so; empty when the reason is local. */
	struct slice remote_host, remote_address; /* "mx.example.com", "192.0.2.1" */
	const struct slice *lines; /* of its reply, with codes: "550-5.1.1 no", "550 such user" */
	size_t n_lines;
	int64_t last_attempt_s; /* unix; 0: none */
	/* Of a delay. What is promised here must be what happens. */
	int64_t next_attempt_s, retry_until_s; /* unix; 0: unknown */
	uint32_t n_attempts;                   /* made so far; 0: not to be told */
};

struct message_dsn {
	enum message_dsn_action action;              /* of all its recipients */
	struct slice host;                           /* our name, A-labels: Reporting-MTA, From */
	struct slice from;                           /* empty: "postmaster@host" */
	struct slice to;                             /* sender of the original, "local@domain" */
	struct slice message_id;                     /* of this notification, "<...>" */
	uint8_t boundary[MESSAGE_DSN_BOUNDARY_SIZE]; /* random bytes: nobody can foresee it */
	int64_t now_s;
	int zone_minutes;

	/* The message that this is about. */
	struct slice envid; /* decoded; empty: not given */
	int64_t arrival_s;
	struct slice original_id;         /* Message-ID, "<...>"; empty: none known */
	struct slice original_references; /* content of its References field; may be empty */
	struct slice subject;             /* decoded, UTF-8; may be empty */
	struct slice header; /* header as it was sent, generated lines first, blank line or not;
	                        more than MESSAGE_DSN_HEADER_MAX is cut at a field's end */
	bool smtputf8;       /* UTF-8 in its header or envelope */
	bool has_8bit;       /* bytes above 127 in its content */
	/* The whole of it is to come back (RET=FULL; counts for failures alone, RFC 3461 section
	 * 4.3): the caller puts all original bytes, generated lines first, between head and tail.
	 * See message_dsn_returns_full. */
	bool full;

	const struct message_dsn_recipient *recipients;
	size_t n_recipients;
};

/* Whether the whole message is sent back: asked for, a failure, not over MESSAGE_DSN_FULL_MAX,
 * text in CRLF lines (binary is not). Else its header. */
bool message_dsn_returns_full(enum message_dsn_action action, bool ret_full, uint64_t size,
                              bool binary);

/* Writes the notification: head and, when dsn->full, the original and then tail; otherwise
 * everything is in head and tail stays empty. Lines end in CRLF. *ret_8bit: there are bytes above
 * 127; *ret_utf8: in headers, too (it needs SMTPUTF8 to travel on). INVALID: to, host or a
 * recipient cannot stand in a header, no recipient; LIMIT: a buffer is full or there are more than
 * MESSAGE_DSN_RECIPIENTS_MAX recipients. The null sender is INVALID. */
struct status message_dsn_compose(const struct message_dsn *dsn, struct buf *head, struct buf *tail,
                                  bool *ret_8bit, bool *ret_utf8);

/* --- reading --- */

#define MESSAGE_DSN_STATUS_SIZE_MAX     ((size_t)256 * 1024) /* bytes of the fields that are read */
#define MESSAGE_DSN_READ_RECIPIENTS_MAX 1000u
#define MESSAGE_DSN_TEXT_MAX            2000u                     /* bytes kept of one field */
#define MESSAGE_DSN_PARSE_ARENA         ((size_t)4 * 1024 * 1024) /* a fit budget for reading */

struct message_dsn_fact {
	enum message_dsn_action action;
	struct slice recipient;  /* Final-Recipient without its type, else Original-Recipient's */
	struct slice original;   /* Original-Recipient without its type; empty when not there */
	struct slice status;     /* "5.1.1"; empty when not there or malformed */
	struct slice diagnostic; /* Diagnostic-Code without its type, one line */
	struct slice remote;     /* Remote-MTA without its type */
	int64_t last_attempt_s, retry_until_s; /* unix; 0: not there */
};

struct message_dsn_report {
	struct slice reporting; /* Reporting-MTA without its type */
	struct slice envid;     /* Original-Envelope-Id; empty when not there */
	/* Of the message it is about, without angle brackets: from the part that returns it, else
	 * In-Reply-To, else the last of References. Empty when nothing tells. */
	struct slice original_id;
	int64_t arrival_s;
	const struct message_dsn_fact *facts; /* at least one */
	size_t n_facts;
	bool truncated; /* there were more than the limits allow */
};

/* Reads a message that has been taken apart. NOT_FOUND when it is no delivery status notification
 * or one that tells of no recipient; failures of the source are passed on. Tolerates what is seen
 * in the wild: no report-type, the status part anywhere below the root or encoded, missing types
 * before addresses, angle brackets, unknown actions (judged by the status), blank lines too many.
 * Texts are valid UTF-8 without control characters, in the arena. */
struct status message_dsn_parse(const struct message_part *root,
                                const struct message_source *source, struct arena *arena,
                                struct message_dsn_report *ret_report);
