/* The client of a SOCKS5 proxy: RFC 1928 CONNECT, with RFC 1929 user name and password or without.
 * On a stream that is connected to the proxy; afterwards the stream is connected to the target.
 *
 * A proxy's answer is read to the byte: what the target says first stays in the stream.
 */
#pragma once

#include "base/clock.h"
#include "base/stream.h"

#define SOCKS_NAME_MAX     255u /* of a user, password or host, RFC 1928 section 5, RFC 1929 */
#define SOCKS_PORT_DEFAULT 1080u

/* Where to. Either an address or a name that the proxy looks up. */
struct socks_target {
	const uint8_t *ip; /* 4 or 16 bytes, or NULL */
	size_t n_ip;
	struct slice name;
	uint16_t port;
};

struct socks_login {
	struct slice user; /* empty: no login is offered */
	struct slice password;
};

/* RFC 1928 section 6, and -1 where the proxy did not get that far. */
#define SOCKS_REPLY_LIST(X)                                                                        \
	X(0, "succeeded")                                                                          \
	X(1, "general failure of the proxy")                                                       \
	X(2, "not allowed by the proxy's rules")                                                   \
	X(3, "network unreachable")                                                                \
	X(4, "host unreachable")                                                                   \
	X(5, "connection refused")                                                                 \
	X(6, "time to live expired")                                                               \
	X(7, "command not supported by the proxy")                                                 \
	X(8, "address type not supported by the proxy")
const char *socks_reply_text(int reply);

/* Blocks for at most timeout_ms in all; sets the stream's timeout and restores it. AUTH when the
 * proxy wants another login or refuses ours, DENIED for reply 2, TEMPORARY for the other replies
 * (with ret_reply, which may be NULL), INVALID for a user, password or name that does not fit,
 * TIMEOUT, PROTOCOL for nonsense, and what the stream says. After a failure the connection is of no
 * use. login may be NULL. */
struct status socks_connect(struct stream *stream, const struct socks_target *target,
                            const struct socks_login *login, const struct clock *clock,
                            int timeout_ms, int *ret_reply);
