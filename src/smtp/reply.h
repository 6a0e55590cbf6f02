/* Replies of the SMTP server: one table of code, enhanced code (RFC 3463, RFC 5248) and text, and
 * the one writer that puts a reply on the wire.
 *
 * A reply is a value; its text is borrowed. Code that needs its own words (the gate, naming a limit
 * or a network) starts from a row and changes the text: `smtp_reply_text(SMTP_REPLY_POLICY,
 * "...")`.
 */
#pragma once

#include "base/buf.h"
#include "base/status.h"

/* RFC 5321 section 4.5.3.1.5: 512 octets with the code and the CRLF. Longer text is continued. */
#define SMTP_REPLY_LINE_MAX ((size_t)512)
/* Lines of one reply; more text is cut. */
#define SMTP_REPLY_LINES_MAX ((size_t)32)

/* name, code, enhanced code ("" for none), text. A newline in a text starts another reply line. */
#define SMTP_REPLY_LIST(X)                                                                         \
	X(NONE, 0, "", "")                                                                         \
	X(HELP, 214, "2.0.0",                                                                      \
	  "Commands: EHLO HELO STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT")                  \
	X(TLS_GO, 220, "2.0.0", "Ready for TLS")                                                   \
	X(BYE, 221, "2.0.0", "Goodbye")                                                            \
	X(AUTH_OK, 235, "2.7.0", "Authentication successful")                                      \
	X(OK, 250, "2.0.0", "OK")                                                                  \
	X(SENDER_OK, 250, "2.1.0", "Sender OK")                                                    \
	X(RCPT_OK, 250, "2.1.5", "Recipient OK")                                                   \
	X(CHUNK_OK, 250, "2.0.0", "Chunk received")                                                \
	X(ACCEPTED, 250, "2.0.0", "Message accepted")                                              \
	X(VRFY, 252, "2.5.0", "Send mail and it will be tried")                                    \
	X(DATA_GO, 354, "", "Send the message, end with CRLF.CRLF")                                \
	X(SHUTTING_DOWN, 421, "4.3.2", "Shutting down, try again soon")                            \
	X(TIMEOUT, 421, "4.4.2", "Waited too long, closing")                                       \
	X(TOO_SLOW, 421, "4.4.2", "Message came too slowly, closing")                              \
	X(TOO_MANY_ERRORS, 421, "4.7.0", "Too many errors, closing")                               \
	X(TOO_MANY_COMMANDS, 421, "4.7.0", "Too many commands in one session, closing")            \
	X(TOO_MANY_MAILS, 421, "4.7.0", "Too many transactions in one session, connect again")     \
	X(TOO_LONG_SESSION, 421, "4.4.2", "Session lasted too long, connect again")                \
	X(OUT_OF_SYNC, 421, "4.5.0", "Cannot tell where the next command starts, closing")         \
	X(TRY_LATER, 451, "4.3.0", "Temporary failure, try again later")                           \
	X(NO_SPACE, 452, "4.3.1", "Out of storage for now, try again later")                       \
	X(TOO_MANY_RCPTS, 452, "4.5.3", "Too many recipients")                                     \
	X(ENVELOPE_TOO_LARGE, 452, "4.5.3",                                                        \
	  "Envelope takes too much memory, send fewer recipients")                                 \
	X(TLS_NOT_NOW, 454, "4.7.0", "TLS is not available now")                                   \
	X(AUTH_NOT_NOW, 454, "4.7.0", "Logging in does not work at the moment, try again later")   \
	X(NOT_SMTP, 500, "5.5.2", "This is an SMTP server and that was not SMTP")                  \
	X(LINE_TOO_LONG, 500, "5.5.2", "Line is too long")                                         \
	X(AUTH_TOO_LONG, 500, "5.5.6", "Authentication exchange line is too long")                 \
	X(BARE_LF, 500, "5.5.2", "Line must end in CRLF, not in a bare LF")                        \
	X(CONTROL, 500, "5.5.2", "Line holds a bare CR or a NUL")                                  \
	X(UNKNOWN_COMMAND, 500, "5.5.1", "Unknown command")                                        \
	X(BAD_ARGUMENT, 501, "5.5.4", "Invalid argument")                                          \
	X(NO_ARGUMENT, 501, "5.5.4", "This command takes no argument")                             \
	X(BAD_HELO, 501, "5.5.4", "Expected a domain name or an address literal")                  \
	X(BAD_SENDER, 501, "5.1.7", "Invalid sender address")                                      \
	X(BAD_RCPT, 501, "5.1.3", "Invalid recipient address")                                     \
	X(BAD_PARAMETER, 501, "5.5.4", "Invalid value of a parameter")                             \
	X(DUPLICATE_PARAMETER, 501, "5.5.4", "A parameter is given twice")                         \
	X(BAD_CHUNK, 501, "5.5.4", "Expected BDAT size [LAST]")                                    \
	X(AUTH_CANCELED, 501, "5.7.0", "Authentication cancelled")                                 \
	X(AUTH_BAD_BASE64, 501, "5.5.2", "Cannot decode, expected base64")                         \
	X(AUTH_MALFORMED, 501, "5.5.2", "Not a valid message of this mechanism")                   \
	X(HOLD_TOO_LONG, 501, "5.5.4", "Held for longer than the limit")                           \
	X(NOT_IMPLEMENTED, 502, "5.5.1", "Command is not implemented")                             \
	X(NO_TLS, 502, "5.5.1", "TLS is not offered")                                              \
	X(BAD_SEQUENCE, 503, "5.5.1", "Bad sequence of commands")                                  \
	X(SAY_HELLO, 503, "5.5.1", "Send EHLO first")                                              \
	X(NEED_MAIL, 503, "5.5.1", "Send MAIL first")                                              \
	X(NESTED_MAIL, 503, "5.5.1", "A transaction is open, send RSET first")                     \
	X(TLS_ALREADY, 503, "5.5.1", "TLS is already active")                                      \
	X(NO_AUTH, 503, "5.5.1", "No authentication here, use the submission port")                \
	X(AUTH_ALREADY, 503, "5.5.1", "Already authenticated")                                     \
	X(DATA_AFTER_BDAT, 503, "5.5.1", "DATA cannot follow BDAT, send RSET first")               \
	X(DATA_BINARY, 503, "5.5.1", "BODY=BINARYMIME needs BDAT")                                 \
	X(BDAT_FAILED, 503, "5.5.1", "An earlier chunk failed, send RSET first")                   \
	X(AUTH_UNKNOWN, 504, "5.5.4", "Authentication mechanism is not offered")                   \
	X(AUTH_REQUIRED, 530, "5.7.0", "Authentication required")                                  \
	X(STARTTLS_FIRST, 530, "5.7.0", "Must issue a STARTTLS command first")                     \
	X(REQUIRETLS_NO_TLS, 530, "5.7.10", "REQUIRETLS needs TLS on this connection too")         \
	X(AUTH_DENIED, 535, "5.7.1", "This account may not log in here")                           \
	X(AUTH_FAILED, 535, "5.7.8", "Authentication credentials invalid")                         \
	X(AUTH_NEEDS_TLS, 538, "5.7.11", "Authentication needs TLS")                               \
	X(SENDER_NOT_ASCII, 550, "5.6.7", "Non-ASCII sender needs SMTPUTF8")                       \
	X(NO_SUCH_USER, 550, "5.1.1", "No such mailbox here")                                      \
	X(USER_DISABLED, 550, "5.2.1", "Mailbox is disabled")                                      \
	X(NO_RELAY, 550, "5.7.1", "Relaying is not allowed")                                       \
	X(POLICY, 550, "5.7.1", "Refused by policy")                                               \
	X(OVER_QUOTA, 452, "4.2.2", "Mailbox is full")                                             \
	X(TOO_LARGE, 552, "5.3.4", "Message is larger than the limit")                             \
	X(RCPT_NOT_ASCII, 553, "5.6.7", "Non-ASCII recipient needs SMTPUTF8")                      \
	X(EARLY_TALKER, 554, "5.5.1", "Client spoke before the greeting")                          \
	X(NO_VALID_RCPTS, 554, "5.5.1", "No valid recipients")                                     \
	X(SMUGGLING, 550, "5.6.0",                                                                 \
	  "Message holds a bare CR, bare LF or NUL (possible SMTP smuggling)")                     \
	X(NOT_YOUR_ADDRESS, 550, "5.7.1", "Sender address is not one of this account")             \
	X(NOT_NOW_LIMIT, 451, "4.7.1", "Sending limit reached, try again later")                   \
	X(BAD_MESSAGE, 554, "5.6.0", "Message header is not acceptable")                           \
	X(ALL_REFUSED, 554, "5.0.0", "Refused by all recipients")                                  \
	X(LOOP, 554, "5.4.6", "Routing loop: too many Received header fields")                     \
	X(HEADER_TOO_LARGE, 552, "5.3.4", "Message header is larger than the limit")               \
	X(UNKNOWN_PARAMETER, 555, "5.5.4", "Unknown parameter")

enum smtp_reply_id {
#define X(name, code, enhanced, text) SMTP_REPLY_##name,
	SMTP_REPLY_LIST(X)
#undef X
	        SMTP_REPLY_COUNT
};

struct smtp_reply {
	uint16_t code;        /* 0: no reply (SMTP_REPLY_NONE) */
	const char *enhanced; /* "5.1.1", or "" */
	const char *text;     /* lines parted by '\n'; valid until the reply is written */
};

struct smtp_reply smtp_reply(enum smtp_reply_id id);
/* The row's codes with other words. */
struct smtp_reply smtp_reply_text(enum smtp_reply_id id, const char *text);
/* What a failure of the environment says to the peer: NO_SPACE, TOO_LARGE, TRY_LATER ... */
struct smtp_reply smtp_reply_of_status(struct status status);

/* One answer for a message from the outcomes of its n >= 1 recipients: accepted when any of them
 * has it (the others are owed a notification, RFC 5321 section 4.4); otherwise what all say, or 451
 * when any failure is temporary, or 554. */
struct smtp_reply smtp_reply_combine(const struct smtp_reply *replies, size_t n_replies);

/* 2yz or 3yz. */
static inline bool smtp_reply_is_positive(struct smtp_reply reply)
{
	return reply.code >= 200 && reply.code < 400;
}

/* ASCII without control characters, but for newlines. */
bool smtp_reply_is_printable(const char *text);

/* Appends the reply with its CRLFs; several lines when the text has newlines or is long. INVALID,
 * and nothing is appended, when a text or code could not stand in a reply: control characters other
 * than newline, bytes outside ASCII (RFC 6531 section 3.7.4.2), a code outside 200..599, an
 * enhanced code of another class than the code. */
struct status smtp_reply_print(struct smtp_reply reply, struct buf *out);
