/* IMAP in the gate: until login. */
#include "rooms/gate_credentials.h"

#include "imap/prelogin.h"
#include "os/clock.h"
#include "os/log.h"

static const struct imap_auth_ops auth_ops = {
        .mechanisms = gate_credentials_mechanisms,
        .login = gate_credentials_login,
        .start = gate_credentials_start,
        .step = gate_credentials_step,
        .abort = gate_credentials_abort,
};

/* True: the connection is the relay's. */
static bool greet_and_login(struct gate_credentials *c)
{
	bool relayed = false;
	struct stream *stream = &c->stream->stream;
	struct imap_prelogin_result result;
	struct imap_prelogin_options options = {
	        .stream = stream,
	        .clock = clock_real(),
	        .auth = &auth_ops,
	        .auth_context = c,
	        .allow_starttls = c->stream->context != NULL && !stream->tls.on,
	        .allow_plain_login = gate_may_login_plainly(c->connection),
	        .total_ms = (int)c->connection->config->config->timeouts.imap_login_ms,
	};
	struct status status = imap_prelogin_run(&options, &result);
	if (!is_ok(status)) {
		log_debug(c->connection->cid, "connection ended before login",
		          LOG_STR("peer", c->connection->peer_text), LOG_STATUS(status));
		stream_shutdown(stream);
		return false;
	}
	status = gate_hand_over(c, result.tag, &relayed);
	if (!is_ok(status)) {
		log_error(c->connection->cid, "session cannot begin", LOG_STATUS(status));
		(void)stream_printf(stream,
		                    "%s NO [UNAVAILABLE] The mailbox cannot be opened now\r\n",
		                    result.tag);
		stream_shutdown(stream);
	}
	return relayed;
}

bool gate_login_serve(struct gate_connection *connection, struct tls_stream *stream)
{
	struct gate_credentials credentials;
	gate_credentials_init(&credentials, connection, stream, TICKET_IMAP);
	bool relayed = greet_and_login(&credentials);
	gate_credentials_done(&credentials);
	return relayed;
}
