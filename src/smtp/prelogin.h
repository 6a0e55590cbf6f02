/* An SMTP submission connection until it is authenticated (RFC 6409, RFC 4954): greeting, EHLO,
 * STARTTLS, AUTH.
 *
 * Runs in the gate, which owns nothing: who may log in is asked through smtp_auth_ops. It never
 * says the final 235 of a successful login: that is the account room's, which first has to open the
 * account. All but what leads to a login is answered with 530.
 */
#pragma once

#include "base/clock.h"
#include "base/stream.h"
#include "smtp/reply.h"

#define SMTP_AUTH_LINE_MAX ((size_t)12288) /* RFC 4954 section 4: of AUTH and of each response */

/* How a question about credentials is answered: OK, or AUTH (they are wrong), DENIED (right, but
 * this account may not), SYNTAX (a malformed SASL message), UNSUPPORTED (the mechanism cannot be
 * used), LIMIT (too many tries: the connection is to end), BUSY/TEMPORARY/IO... (not now). */
struct smtp_auth_ops {
	/* Offered now, upper case, strongest first, NULL-terminated; asked again after STARTTLS.
	 * Not asked where authentication needs TLS first. */
	const char *const *(*mechanisms)(void *context);
	/* SASL (RFC 4422). `challenge` is empty on entry and gets the bytes for the client, raw.
	 * *ret_done: the exchange is over and has succeeded. initial is NULL without one. */
	struct status (*start)(void *context, struct slice mechanism, const struct slice *initial,
	                       struct buf *challenge, bool *ret_done);
	struct status (*step)(void *context, struct slice response, struct buf *challenge,
	                      bool *ret_done);
	/* The exchange came to nothing: forget it. Called once after any start that did not end in
	 * a login. */
	void (*abort)(void *context);
};

struct smtp_prelogin_options {
	struct stream *stream;
	const struct clock *clock;
	const struct smtp_auth_ops *auth;
	void *auth_context;
	const char *hostname;   /* of greeting and EHLO; ASCII */
	const char *cid;        /* shown in the greeting; NULL for none */
	uint64_t message_size;  /* announced as SIZE */
	uint32_t rcpts;         /* announced in LIMITS */
	uint64_t hold_s;        /* announced in FUTURERELEASE */
	bool allow_starttls;    /* there is a certificate */
	bool allow_plain_login; /* logins without TLS (loopback) */
	int wake_fd;            /* readable: the room shuts down; -1 for none */
	int timeout_ms;         /* for each line; 0: one minute */
	int total_ms;           /* until authenticated; 0: three minutes */
	unsigned failures_max;  /* failed logins; 0: 3 */
	unsigned bad_max;       /* commands that were no good; 0: 10 */
	unsigned commands_max;  /* 0: 50 */
};

/* OK: authenticated; bytes still buffered in the stream belong to the session. Otherwise the
 * connection has ended or is to be closed, after what was written has been flushed (done here):
 * CANCELED (QUIT), PROTOCOL, TIMEOUT, AUTH (too many failures), CLOSED, IO, TLS, DRAINING. */
struct status smtp_prelogin_run(const struct smtp_prelogin_options *options);
