/* Submission in the gate: until login (ports 587 and 465), and the local socket, where the kernel
 * says who the client is. */
#include "rooms/gate_credentials.h"

#include "os/clock.h"
#include "os/log.h"
#include "smtp/prelogin.h"

#include <sys/socket.h>

#define HOLD_S ((uint64_t)60 * 86400) /* as smtp_server_options_init has it */

static const struct smtp_auth_ops auth_ops = {
        .mechanisms = gate_credentials_mechanisms,
        .start = gate_credentials_start,
        .step = gate_credentials_step,
        .abort = gate_credentials_abort,
};

static void say(struct stream *stream, struct smtp_reply reply)
{
	struct buf text;
	buf_init(&text, SMTP_REPLY_LINES_MAX * SMTP_REPLY_LINE_MAX);
	if (is_ok(smtp_reply_print(reply, &text)))
		(void)stream_write(stream, buf_slice(&text));
	buf_done(&text);
	stream_shutdown(stream);
}

/* The room says 235, or the greeting at the local socket. True: the connection is the relay's. */
static bool hand_over(struct gate_credentials *c)
{
	bool relayed;
	struct status status = gate_hand_over(c, "", &relayed);
	if (!is_ok(status)) {
		log_error(c->connection->cid, "session cannot begin", LOG_STATUS(status));
		say(&c->stream->stream, smtp_reply(SMTP_REPLY_AUTH_NOT_NOW));
	}
	return relayed;
}

static bool greet_and_login(struct gate_credentials *c)
{
	const struct config *config = c->connection->config->config;
	struct stream *stream = &c->stream->stream;
	const struct smtp_prelogin_options options = {
	        .stream = stream,
	        .clock = clock_real(),
	        .auth = &auth_ops,
	        .auth_context = c,
	        .hostname = config->hostname_ascii,
	        .cid = c->connection->cid_text,
	        .message_size = config->limits.message_size,
	        .rcpts = config->limits.recipients,
	        .hold_s = HOLD_S,
	        .allow_starttls = c->stream->context != NULL && !stream->tls.on,
	        .allow_plain_login = gate_may_login_plainly(c->connection),
	        .wake_fd = c->connection->gate->stop_fd,
	        .total_ms = (int)config->timeouts.smtp_login_ms,
	};
	struct status status = smtp_prelogin_run(&options);
	if (is_ok(status))
		return hand_over(c);
	log_debug(c->connection->cid, "connection ended before login",
	          LOG_STR("peer", c->connection->peer_text), LOG_STATUS(status));
	stream_shutdown(stream);
	return false;
}

/* Nothing is asked of a local process: it is who the kernel says. */
static bool admit_local(struct gate_credentials *c)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct status status = fail(ERR_AUTH, "not a local process");
	if (getsockopt(c->stream->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		status = gate_credentials_unix_user(c, peer.uid);
	if (is_ok(status))
		return hand_over(c);
	log_warn(c->connection->cid, "local submission refused", LOG_STR("user", c->user),
	         LOG_STATUS(status));
	say(&c->stream->stream,
	    status.code == ERR_AUTH
	            ? (struct smtp_reply){554, "5.7.1",
	                                  "This Unix user may not send without a password: its "
	                                  "name must stand in unix_users of an account"}
	            : smtp_reply(SMTP_REPLY_TRY_LATER));
	return false;
}

bool gate_submission_serve(struct gate_connection *connection, struct tls_stream *stream)
{
	struct gate_credentials credentials;
	gate_credentials_init(&credentials, connection, stream, TICKET_SUBMISSION);
	bool relayed = connection->listener->protocol == ROOM_PROTOCOL_SUBMIT
	                       ? admit_local(&credentials)
	                       : greet_and_login(&credentials);
	gate_credentials_done(&credentials);
	return relayed;
}
