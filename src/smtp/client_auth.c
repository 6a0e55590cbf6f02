/* AUTH (RFC 4954): the SASL exchange of sasl/client.h in SMTP's lines.
 *
 *   auth-command = "AUTH" SP sasl-mech [SP initial-response] *(CRLF [base64]) [CRLF "*"] CRLF
 *
 * An initial response goes with the command when the line stays within SMTP_CLIENT_AUTH_LINE_MAX
 * octets, else it waits for an empty challenge (section 4). No line with a password stays in a
 * buffer of ours.
 */
#include "smtp/client_private.h"

#include "base/encode.h"

#define LINE_MAX_BASE64 ((size_t)12288) /* RFC 4954 section 4: octets of a base64 line */

static void wipe(struct buf *buf)
{
	if (buf->p)
		explicit_bzero(buf->p, buf->capacity);
	buf_done(buf);
}

static struct status failed(struct smtp_client *c, struct status status, const char *enhanced)
{
	arena_reset(&c->arena);
	c->failure =
	        smtp_outcome_local(enhanced[0] == '5' ? SMTP_OUTCOME_FAILED : SMTP_OUTCOME_DEFERRED,
	                           SMTP_STEP_AUTH, enhanced, status.why);
	return status;
}

/* Sends one line and reads the reply. The stream's buffer is wiped behind it. */
static struct status exchange(struct smtp_client *c, const struct buf *line)
{
	struct stream *stream = c->options.stream;
	struct status status = smtp_client_write_line(c, line);
	if (is_ok(status))
		status = stream_flush(stream);
	if (stream->out.p)
		explicit_bzero(stream->out.p, stream->out.capacity);
	if (!is_ok(status))
		return smtp_client_lost(c, SMTP_STEP_AUTH, status);
	return smtp_client_read_reply(c, SMTP_STEP_AUTH, c->options.timeouts.command_ms);
}

static struct status send_response(struct smtp_client *c, struct slice response)
{
	struct buf line;
	buf_init(&line, LINE_MAX_BASE64);
	buf_reserve(&line, LINE_MAX_BASE64);
	base64_encode(response, &line);
	struct status status = exchange(c, &line);
	wipe(&line);
	return status;
}

/* "AUTH PLAIN", with the initial response when there is one and it fits. *ret_sent: it went. */
static struct status send_command(struct smtp_client *c, enum sasl_mechanism mechanism,
                                  const struct slice *initial, bool *ret_sent)
{
	struct buf line;
	buf_init(&line, LINE_MAX_BASE64);
	buf_reserve(&line, LINE_MAX_BASE64);
	buf_printf(&line, "AUTH %s", sasl_mechanism_name(mechanism));
	size_t n_bare = line.n;
	if (initial) {
		buf_add_byte(&line, ' ');
		base64_encode(*initial, &line);
		if (initial->n == 0)
			buf_add_byte(&line, '='); /* an empty response, not none */
	}
	*ret_sent = initial && line.n + 2 <= SMTP_CLIENT_AUTH_LINE_MAX;
	if (!*ret_sent)
		line.n = n_bare;
	struct status status = exchange(c, &line);
	wipe(&line);
	return status;
}

/* "*" ends the exchange; the server says 501 (RFC 4954 section 4). Gives back why. */
static struct status cancel(struct smtp_client *c, struct status why)
{
	CLEANUP(buf_done) struct buf line;
	buf_init(&line, 8);
	buf_add_byte(&line, '*');
	TRY(exchange(c, &line));
	/* Whoever is there is not who should be, or talks nonsense: nothing more is said to it. */
	if (why.code != ERR_INVALID)
		c->broken = true;
	return failed(c, why, why.code == ERR_AUTH ? "5.7.8" : "4.7.0");
}

/* The challenge of a 334 reply, decoded. */
static struct status take_challenge(struct smtp_client *c, struct buf *challenge)
{
	buf_reset(challenge);
	if (!is_ok(base64_decode(smtp_reply_in_text(&c->reply, 0), challenge)))
		return fail(ERR_PROTOCOL, "the server's challenge cannot be decoded");
	return ok();
}

/* Answers challenges as long as there are; the step counter of the SASL client bounds them. */
static struct status converse(struct smtp_client *c, struct sasl_client *sasl,
                              const struct slice *waiting)
{
	struct buf challenge;
	struct slice response;
	struct status status = ok();
	buf_init(&challenge, SASL_CLIENT_CHALLENGE_MAX);
	while (is_ok(status) && c->reply.code == 334) {
		if (waiting) {
			status = send_response(c, *waiting);
			waiting = NULL;
			continue;
		}
		struct status stepped = take_challenge(c, &challenge);
		struct slice bytes = buf_slice(&challenge);
		if (is_ok(stepped))
			stepped = sasl_client_step(sasl, &bytes, &response);
		status = is_ok(stepped) ? send_response(c, response) : cancel(c, stepped);
	}
	buf_done(&challenge);
	return status;
}

static struct status run(struct smtp_client *c, struct sasl_client *sasl)
{
	struct slice initial;
	bool first = sasl_client_speaks_first(sasl->mechanism), sent;
	if (first) {
		struct status status = sasl_client_step(sasl, NULL, &initial);
		if (!is_ok(status))
			return failed(c, status, "4.7.0");
	}
	TRY(smtp_client_expect_quiet(c, SMTP_STEP_AUTH));
	TRY(send_command(c, sasl->mechanism, first ? &initial : NULL, &sent));
	TRY(converse(c, sasl, first && !sent ? &initial : NULL));
	if (c->reply.code == 235) {
		struct status status = sasl_client_finish(sasl);
		c->broken |= !is_ok(status);
		return is_ok(status) ? status : failed(c, status, "5.7.8");
	}
	struct status status = smtp_client_refused(c, SMTP_STEP_AUTH);
	return status.code == ERR_PERMANENT ? fail(ERR_AUTH, status.why) : status;
}

struct status smtp_client_auth(struct smtp_client *c, const struct sasl_client_options *credentials,
                               enum sasl_mechanism *ret_mechanism)
{
	const struct smtp_client_tls *tls = c->options.tls;
	struct sasl_client_options options = *credentials;
	struct sasl_binding bindings[SASL_BINDINGS_MAX];
	struct sasl_mechanisms left = c->ehlo.mechanisms;
	if (c->authenticated)
		return failed(c, fail(ERR_INVALID, "already logged in"), "4.7.0");
	if (options.n_bindings == 0 && c->options.stream->tls.on && tls && tls->bindings) {
		options.n_bindings = MIN(tls->bindings(tls->context, bindings), SASL_BINDINGS_MAX);
		options.bindings = bindings;
	}
	for (;;) { /* each round takes one mechanism out of the set */
		struct sasl_client sasl;
		enum sasl_mechanism mechanism;
		struct status status = sasl_client_choose(&options, left, &mechanism);
		if (!is_ok(status))
			return failed(c, status, "4.7.0");
		sasl_client_init(&sasl, &options, mechanism, c->ehlo.mechanisms);
		status = run(c, &sasl);
		sasl_client_done(&sasl);
		c->authenticated = is_ok(status);
		if (is_ok(status))
			*ret_mechanism = mechanism;
		if (status.code != ERR_AUTH || c->reply.code != 504 || c->broken)
			return status;
		sasl_mechanisms_remove(&left, mechanism);
	}
}
