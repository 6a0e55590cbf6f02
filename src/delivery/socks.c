/* SOCKS5 as a client (RFC 1928), with a user name and password (RFC 1929) where the proxy wants
 * one.
 *
 *	-> 05 n methods...             <- 05 method
 *	-> 01 n user n password        <- 01 status
 *	-> 05 01 00 type address port  <- 05 reply 00 type address port
 *
 * Deliberately not done: BIND, UDP, GSSAPI (which RFC 1928 wants and nobody has).
 *
 * Limits: the whole has one deadline; an answer has at most 262 bytes, each is read by its own
 * length; SOCKS_NAME_MAX.
 */
#include "delivery/socks.h"

#define VERSION       0x05u
#define LOGIN_VERSION 0x01u
#define CONNECT       0x01u

enum method {
	METHOD_NONE = 0x00,
	METHOD_LOGIN = 0x02,
	METHOD_REFUSED = 0xff,
};

enum address_type {
	ADDRESS_IPV4 = 0x01,
	ADDRESS_NAME = 0x03,
	ADDRESS_IPV6 = 0x04,
};

#define LOGIN_MAX   (3u + 2u * SOCKS_NAME_MAX)
#define REQUEST_MAX (6u + 1u + SOCKS_NAME_MAX)

const char *socks_reply_text(int reply)
{
	static const char *const texts[] = {
#define X(number, text) [number] = text,
	        SOCKS_REPLY_LIST(X)
#undef X
	};
	return reply >= 0 && (size_t)reply < N_ELEMENTS(texts) ? texts[reply]
	                                                       : "unknown reply of the proxy";
}

struct talk {
	struct stream *stream;
	const struct clock *clock;
	int64_t end_ms; /* monotonic: a proxy that says a byte a minute gets no more than this */
};

/* Exactly n bytes, never one more: what comes behind them is the target's. */
static struct status read_exactly(struct talk *talk, uint8_t *p, size_t n)
{
	while (n > 0) {
		struct slice some;
		int64_t left_ms = talk->end_ms - clock_monotonic_ms(talk->clock);
		if (left_ms <= 0)
			return fail(ERR_TIMEOUT, "the proxy takes too long");
		talk->stream->timeout_ms = (int)left_ms;
		TRY(stream_read_some(talk->stream, n, &some));
		memcpy(p, some.p, some.n);
		p += some.n;
		n -= some.n;
	}
	return ok();
}

static struct status choose_method(struct talk *talk, bool has_login, uint8_t *ret_method)
{
	const uint8_t offer[] = {VERSION, has_login ? 2 : 1, METHOD_NONE, METHOD_LOGIN};
	uint8_t answer[2];
	TRY(stream_write(talk->stream, slice_of(offer, has_login ? 4 : 3)));
	TRY(read_exactly(talk, answer, sizeof(answer)));
	if (answer[0] != VERSION)
		return fail(ERR_PROTOCOL, "the proxy does not speak SOCKS5");
	if (answer[1] == METHOD_REFUSED)
		return fail(ERR_AUTH, has_login ? "the proxy takes no login by password"
		                                : "the proxy wants a login");
	if (answer[1] != METHOD_NONE && (answer[1] != METHOD_LOGIN || !has_login))
		return fail(ERR_PROTOCOL, "the proxy chose what was not offered");
	*ret_method = answer[1];
	return ok();
}

static struct status log_in(struct talk *talk, const struct socks_login *login)
{
	uint8_t answer[2], request[LOGIN_MAX];
	size_t n = 0;
	request[n++] = LOGIN_VERSION;
	request[n++] = (uint8_t)login->user.n;
	memcpy(request + n, login->user.p, login->user.n);
	n += login->user.n;
	request[n++] = (uint8_t)login->password.n;
	memcpy(request + n, login->password.p, login->password.n);
	n += login->password.n;
	struct status sent = stream_write(talk->stream, slice_of(request, n));
	if (is_ok(sent))
		sent = stream_flush(talk->stream);
	explicit_bzero(request, sizeof(request));
	explicit_bzero(talk->stream->out.p, talk->stream->out.capacity);
	TRY(sent);
	TRY(read_exactly(talk, answer, sizeof(answer)));
	/* RFC 1929 section 2 has the version 1 in the answer; some proxies say 5. */
	if (answer[0] != LOGIN_VERSION && answer[0] != VERSION)
		return fail(ERR_PROTOCOL, "the proxy's answer to the login is malformed");
	if (answer[1] != 0)
		return fail(ERR_AUTH, "the proxy refuses the login");
	return ok();
}

static struct status send_request(struct talk *talk, const struct socks_target *target)
{
	uint8_t request[REQUEST_MAX] = {VERSION, CONNECT, 0};
	size_t n = 3;
	if (target->ip) {
		request[n++] = target->n_ip == 16 ? ADDRESS_IPV6 : ADDRESS_IPV4;
		memcpy(request + n, target->ip, target->n_ip);
		n += target->n_ip;
	} else {
		request[n++] = ADDRESS_NAME;
		request[n++] = (uint8_t)target->name.n;
		memcpy(request + n, target->name.p, target->name.n);
		n += target->name.n;
	}
	request[n++] = (uint8_t)(target->port >> 8);
	request[n++] = (uint8_t)target->port;
	return stream_write(talk->stream, slice_of(request, n));
}

/* The address that the proxy connects from: of no use here, but it must be read. */
static struct status skip_address(struct talk *talk, uint8_t type)
{
	uint8_t rest[SOCKS_NAME_MAX + 2], size;
	switch (type) {
	case ADDRESS_IPV4:
		return read_exactly(talk, rest, 4 + 2);
	case ADDRESS_IPV6:
		return read_exactly(talk, rest, 16 + 2);
	case ADDRESS_NAME:
		TRY(read_exactly(talk, &size, 1));
		return read_exactly(talk, rest, (size_t)size + 2);
	default:
		return fail(ERR_PROTOCOL, "the proxy's answer has an unknown type of address");
	}
}

static struct status read_reply(struct talk *talk, int *reply)
{
	uint8_t answer[4];
	TRY(read_exactly(talk, answer, sizeof(answer)));
	if (answer[0] != VERSION || answer[2] != 0)
		return fail(ERR_PROTOCOL, "the proxy's answer is malformed");
	*reply = answer[1];
	/* A refusal is one, even when its address is cut off. */
	if (answer[1] == 2)
		return fail(ERR_DENIED, socks_reply_text(2));
	if (answer[1] != 0)
		return fail(ERR_TEMPORARY, socks_reply_text(answer[1]));
	return skip_address(talk, answer[3]);
}

static struct status check(const struct socks_target *target, const struct socks_login *login)
{
	if (target->ip ? target->n_ip != 4 && target->n_ip != 16
	               : target->name.n == 0 || target->name.n > SOCKS_NAME_MAX)
		return fail(ERR_INVALID, "the name of the host is too long for the proxy");
	if (login->user.n > SOCKS_NAME_MAX || login->password.n > SOCKS_NAME_MAX ||
	    (login->user.n > 0 && login->password.n == 0))
		return fail(ERR_INVALID, "a login at a proxy has 1 to 255 bytes of each");
	return ok();
}

static struct status converse(struct talk *talk, const struct socks_target *target,
                              const struct socks_login *login, int *reply)
{
	uint8_t method;
	TRY(choose_method(talk, login->user.n > 0, &method));
	if (method == METHOD_LOGIN)
		TRY(log_in(talk, login));
	TRY(send_request(talk, target));
	return read_reply(talk, reply);
}

struct status socks_connect(struct stream *stream, const struct socks_target *target,
                            const struct socks_login *login, const struct clock *clock,
                            int timeout_ms, int *ret_reply)
{
	static const struct socks_login none;
	int reply = -1, saved_ms = stream->timeout_ms;
	struct talk talk = {
	        .stream = stream, .clock = clock, .end_ms = clock_monotonic_ms(clock) + timeout_ms};
	login = login ? login : &none;
	TRY(check(target, login));
	stream->timeout_ms = timeout_ms;
	struct status status = converse(&talk, target, login, &reply);
	stream->timeout_ms = saved_ms;
	if (ret_reply)
		*ret_reply = reply;
	return status;
}
