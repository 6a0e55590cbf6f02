/* Command lines of SMTP (RFC 5321 section 4.1.1): a line without its CRLF becomes a verb and its
 * argument, and the argument of MAIL, RCPT and BDAT a typed value. Errors are rows of the reply
 * table.
 */
#pragma once

#include "smtp/param.h"

/* Longest command line with its CRLF: the 512 octets of RFC 5321 section 4.5.3.1.4 and what the
 * extensions add (AUTH 500, ORCPT 500, ENVID 107, SIZE 26, NOTIFY 28, BODY 17, SMTPUTF8 10, RET 8).
 */
#define SMTP_LINE_MAX ((size_t)2048)

#define SMTP_VERB_LIST(X)                                                                          \
	X(EHLO)                                                                                    \
	X(HELO)                                                                                    \
	X(STARTTLS)                                                                                \
	X(AUTH)                                                                                    \
	X(MAIL)                                                                                    \
	X(RCPT)                                                                                    \
	X(DATA)                                                                                    \
	X(BDAT)                                                                                    \
	X(RSET)                                                                                    \
	X(NOOP)                                                                                    \
	X(VRFY)                                                                                    \
	X(EXPN)                                                                                    \
	X(HELP)                                                                                    \
	X(QUIT)                                                                                    \
	X(ETRN)                                                                                    \
	X(ATRN)                                                                                    \
	X(TURN)                                                                                    \
	X(SEND)                                                                                    \
	X(SOML)                                                                                    \
	X(SAML)                                                                                    \
	X(LHLO)                                                                                    \
	X(BURL)

enum smtp_verb {
	SMTP_VERB_UNKNOWN,
#define X(name) SMTP_VERB_##name,
	SMTP_VERB_LIST(X)
#undef X
	        SMTP_VERB_COUNT
};

/* "MAIL"; "" for the unknown verb. */
const char *smtp_verb_name(enum smtp_verb verb);

struct smtp_command {
	enum smtp_verb verb;
	struct slice word;     /* the verb as it came */
	struct slice argument; /* behind the one space, without blanks at its end */
};

struct smtp_mail {
	struct smtp_path from;
	struct smtp_mail_params params;
};

struct smtp_rcpt {
	struct smtp_path to;
	struct smtp_rcpt_params params;
	const void *entry; /* the backend's own: set by its rcpt, seen by its data_end */
};

struct smtp_bdat {
	uint64_t size; /* bytes of the chunk */
	bool last;
};

/* Never fails: what is no verb is SMTP_VERB_UNKNOWN. Slices point into the line. */
struct smtp_command smtp_command_parse(struct slice line);

/* The argument of the command. SMTP_REPLY_NONE on success; slices live in the arena. */
enum smtp_reply_id smtp_mail_parse(struct slice argument, struct arena *arena,
                                   struct smtp_mail *ret_mail);
/* utf8: the transaction's MAIL had SMTPUTF8. */
enum smtp_reply_id smtp_rcpt_parse(struct slice argument, bool utf8, struct arena *arena,
                                   struct smtp_rcpt *ret_rcpt);
enum smtp_reply_id smtp_bdat_parse(struct slice argument, struct smtp_bdat *ret_bdat);

/* "MAIL FROM:<a@b> SIZE=1" with CRLF. */
void smtp_mail_print(const struct smtp_mail *mail, struct buf *out);
void smtp_rcpt_print(const struct smtp_rcpt *rcpt, struct buf *out);

/* A line that another protocol starts with: an HTTP request, a TLS ClientHello, an SSH banner. */
bool smtp_is_foreign_protocol(struct slice line);
