/* ESMTP parameters of MAIL and RCPT (RFC 5321 section 4.1.2 esmtp-param), parsed into typed values.
 *
 * | parameter | command | RFC |
 * |---|---|---|
 * | SIZE=n | MAIL | 1870 |
 * | BODY=7BIT, 8BITMIME, BINARYMIME | MAIL | 6152, 3030 |
 * | SMTPUTF8 | MAIL | 6531 |
 * | AUTH=<> or a mailbox in xtext | MAIL | 4954 section 5 |
 * | RET=FULL, HDRS; ENVID=xtext | MAIL | 3461 sections 4.3, 4.4 |
 * | HOLDFOR=seconds or HOLDUNTIL=date-time | MAIL | 4865 section 4 |
 * | BY=seconds;R, N (T) | MAIL | 2852 section 4 |
 * | MT-PRIORITY=-9..9 | MAIL | 6710 section 4 |
 * | REQUIRETLS | MAIL | 8689 section 2 |
 * | NOTIFY=NEVER or a list; ORCPT=type;xtext | RCPT | 3461 sections 4.1, 4.2 |
 *
 * A parameter given twice, without its value or with an invalid one is an error of its own (501),
 * one that is not in the table another (555). Errors are rows of the reply table; SMTP_REPLY_NONE
 * is success. Whether a session offers an extension is the session's business: it refuses
 * parameters of those that it did not announce.
 */
#pragma once

#include "smtp/path.h"
#include "smtp/reply.h"

#define SMTP_ENVID_MAX ((size_t)100)       /* as xtext; RFC 3461 section 4.4 */
#define SMTP_ORCPT_MAX ((size_t)500)       /* as xtext with its type; RFC 3461 section 4.2 */
#define SMTP_AUTH_MAX  (3 * SMTP_PATH_MAX) /* as xtext: the longest mailbox, every octet encoded */

enum smtp_body {
	SMTP_BODY_UNSTATED, /* the same as 7BIT to RFC 6152; kept apart for the log */
	SMTP_BODY_7BIT,
	SMTP_BODY_8BITMIME,
	SMTP_BODY_BINARYMIME,
};

enum smtp_ret {
	SMTP_RET_UNSTATED,
	SMTP_RET_FULL,
	SMTP_RET_HDRS,
};

/* What is to happen when a message cannot be delivered in time (RFC 2852 section 4). */
enum smtp_by_mode {
	SMTP_BY_NONE,
	SMTP_BY_RETURN,
	SMTP_BY_NOTIFY,
};

#define SMTP_BY_MAX       ((int64_t)999999999) /* 1*9DIGIT */
#define SMTP_HOLD_MAX     ((uint64_t)999999999)
#define SMTP_PRIORITY_MIN (-9)
#define SMTP_PRIORITY_MAX 9

enum smtp_notify { /* bits */
	           SMTP_NOTIFY_NEVER = 1,
	           SMTP_NOTIFY_SUCCESS = 2,
	           SMTP_NOTIFY_FAILURE = 4,
	           SMTP_NOTIFY_DELAY = 8,
};

struct smtp_mail_params {
	bool has_size;
	uint64_t size; /* UINT64_MAX when the number stated is larger still */
	enum smtp_body body;
	bool utf8; /* SMTPUTF8 */
	bool has_auth;
	struct smtp_path auth; /* SMTP_PATH_NULL for AUTH=<> */
	enum smtp_ret ret;
	bool has_envid;
	struct slice envid; /* decoded: printable ASCII and spaces */
	/* At most one of the two; both stand for "not before". */
	bool has_hold_for;
	uint64_t hold_for_s;
	bool has_hold_until;
	int64_t hold_until_s; /* unix */
	enum smtp_by_mode by_mode;
	int64_t by_s; /* from now; with N it may be past */
	bool by_trace;
	bool has_priority;
	int priority;
	bool require_tls;
};

struct smtp_rcpt_params {
	unsigned notify; /* bits of enum smtp_notify; 0: not stated */
	bool has_orcpt;
	struct slice orcpt_type;    /* "rfc822" */
	struct slice orcpt_address; /* xtext decoded; of type utf-8 kept as it came (RFC 6533) */
};

/* The rest of the command line behind the path: empty, or a space and parameters. Values live in
 * the arena. `utf8` of RCPT: the transaction has SMTPUTF8, so an ORCPT of type utf-8 may hold
 * UTF-8. */
enum smtp_reply_id smtp_mail_params_parse(struct slice text, struct arena *arena,
                                          struct smtp_mail_params *ret_params);
enum smtp_reply_id smtp_rcpt_params_parse(struct slice text, bool utf8, struct arena *arena,
                                          struct smtp_rcpt_params *ret_params);

/* " SIZE=1000 BODY=8BITMIME": each stated parameter with a space before it. */
void smtp_mail_params_print(const struct smtp_mail_params *params, struct buf *out);
void smtp_rcpt_params_print(const struct smtp_rcpt_params *params, struct buf *out);
