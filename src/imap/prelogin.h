/* An IMAP connection until it is authenticated: greeting, STARTTLS, LOGIN, AUTHENTICATE.
 *
 * Runs in the gate, which owns nothing: who may log in is asked through imap_auth_ops. It never
 * says the final OK of a successful login: that is the account room's, which first has to open the
 * account (imap_session_options.login_tag).
 */
#pragma once

#include "base/clock.h"
#include "base/stream.h"
#include "imap/syntax.h"

/* How a question about credentials is answered: OK, or AUTH (they are wrong), DENIED (right, but
 * this account may not), SYNTAX (a malformed SASL message), BUSY/TEMPORARY/IO... (not now), LIMIT
 * (too many tries: the connection is to end). */
struct imap_auth_ops {
	/* Offered now, upper case, strongest first, NULL-terminated; asked again after STARTTLS.
	 * Not asked where logging in needs TLS first. */
	const char *const *(*mechanisms)(void *context);
	struct status (*login)(void *context, struct slice user, struct slice password);
	/* SASL (RFC 4422). `challenge` is empty on entry and gets the bytes for the client, raw.
	 * *ret_done: the exchange is over and has succeeded; a challenge is then data that goes
	 * with success, for which prelogin does what IMAP needs. initial is NULL without one. */
	struct status (*start)(void *context, struct slice mechanism, const struct slice *initial,
	                       struct buf *challenge, bool *ret_done);
	struct status (*step)(void *context, struct slice response, struct buf *challenge,
	                      bool *ret_done);
	/* The exchange came to nothing: forget it. Called once after any start that did not end in
	 * a login, be it that start or step refused, the client cancelled or the connection ended.
	 */
	void (*abort)(void *context);
};

struct imap_prelogin_options {
	struct stream *stream;
	const struct clock *clock;
	const struct imap_auth_ops *auth;
	void *auth_context;
	bool allow_starttls;    /* there is a certificate */
	bool allow_plain_login; /* passwords in clear text without TLS (loopback) */
	const char *greeting;   /* text behind the greeting's capabilities; NULL: a default */
	int timeout_ms;         /* for each wait; 0: one minute */
	int total_ms;           /* until authenticated; 0: three minutes */
	unsigned failures_max;  /* failed logins; 0: 3 */
	unsigned bad_max;       /* commands that were no good; 0: 5 */
};

struct imap_prelogin_result {
	char tag[IMAP_TAG_MAX + 1]; /* of the command that is to be answered */
};

/* OK: authenticated; bytes still buffered in the stream belong to the session. Otherwise the
 * connection has ended or is to be closed, after what was written has been flushed (done here):
 * CANCELED (LOGOUT), PROTOCOL, TIMEOUT, AUTH (too many failures), CLOSED, IO, TLS. */
struct status imap_prelogin_run(const struct imap_prelogin_options *options,
                                struct imap_prelogin_result *ret_result);
