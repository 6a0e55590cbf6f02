/* What a function that can fail returns: a code to branch on and a sentence to log.
 *
 * `why` is one lower-case sentence that says what failed first; it points at static storage or at
 * memory that outlives the call (an arena of the caller). Libraries never log: the place that gives
 * up does, once.
 */
#pragma once

#include "base/base.h"

/* code, wire name. Keep the order: the numbers travel over IPC. */
#define ERR_LIST(X)                                                                                \
	X(OK, "ok")                                                                                \
	X(SYNTAX, "syntax") /* input does not follow its grammar */                                \
	X(LIMIT, "limit")   /* input asked for more than a named limit */                          \
	X(NOT_FOUND, "not-found")                                                                  \
	X(EXISTS, "exists")                                                                        \
	X(DENIED, "denied")     /* not allowed to this caller */                                   \
	X(AUTH, "auth")         /* credentials are wrong */                                        \
	X(TIMEOUT, "timeout")   /* a deadline passed */                                            \
	X(CLOSED, "closed")     /* the peer ended the connection or channel */                     \
	X(IO, "io")             /* the environment failed: errno said why */                       \
	X(NO_SPACE, "no-space") /* disk full */                                                    \
	X(QUOTA, "quota")       /* the account's own storage limit */                              \
	X(BUSY, "busy")         /* try again later */                                              \
	X(CORRUPT, "corrupt")   /* stored data contradicts itself or its checksum */               \
	X(UNSUPPORTED, "unsupported")                                                              \
	X(INVALID, "invalid")     /* well-formed but makes no sense here */                        \
	X(TEMPORARY, "temporary") /* failed for now, no fault of the request */                    \
	X(PERMANENT, "permanent") /* refused for good */                                           \
	X(TLS, "tls")                                                                              \
	X(CANCELED, "canceled")                                                                    \
	X(DRAINING, "draining")   /* the room is ending; ask again for a new one */                \
	X(TRUNCATED, "truncated") /* input ended early */                                          \
	X(PROTOCOL, "protocol")   /* the peer broke the protocol */

enum err {
#define X(code, name) ERR_##code,
	ERR_LIST(X)
#undef X
	        ERR_COUNT
};

struct status {
	enum err code;
	const char *why;
};

/* The only ways to make one. */
static inline struct status status_ok(void)
{
	struct status status = {ERR_OK, ""};
	return status;
}
static inline struct status status_fail(enum err code, const char *why)
{
	struct status status = {code, why};
	return status;
}
static inline bool status_is_ok(struct status status)
{
	return status.code == ERR_OK;
}

const char *err_name(enum err code);

/* From errno: ENOSPC and EDQUOT give NO_SPACE, ENOENT NOT_FOUND, EEXIST EXISTS, EACCES and EPERM
 * DENIED, ETIMEDOUT TIMEOUT, EPIPE and ECONNRESET CLOSED, all else IO. */
struct status fail_errno(int errno_value, const char *why);

/* The same in short words (base.h says for whom). */
#ifdef MAILKEEP_WORDS

static inline struct status ok(void)
{
	return status_ok();
}
static inline struct status fail(enum err code, const char *why)
{
	return status_fail(code, why);
}
static inline bool is_ok(struct status status)
{
	return status_is_ok(status);
}

/* Passes a failure up. */
#define TRY(expr)                                                                                  \
	do {                                                                                       \
		struct status try_status_ = (expr);                                                \
		if (try_status_.code != ERR_OK)                                                    \
			return try_status_;                                                        \
	} while (0)

#endif
