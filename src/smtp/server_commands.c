/* The commands of a reception session but for DATA and BDAT.
 *
 * One table says in which states a command may come (RFC 5321 section 4.1.4); the rest of a row is
 * what to do. A command gives exactly one reply, DATA two.
 */
#include "smtp/extensions.h"
#include "smtp/server_private.h"

#define RCPTS_MIN ((size_t)8) /* first size of the list of recipients; it doubles */

static bool has_backend_reply(struct smtp_reply reply)
{
	return reply.code != 0;
}

static void say_extensions(struct smtp_session *s)
{
	const struct smtp_server_options *options = s->options;
	struct smtp_extensions extensions = {
	        .hostname = options->hostname,
	        .message_size = options->limits.message_size,
	        .rcpts = options->limits.rcpts,
	        .transactions = options->limits.transactions,
	        .starttls = options->offer_tls && !s->stream->tls.on && !options->submission,
	        .tls = s->stream->tls.on,
	        .submission = options->submission,
	        .hold_s = options->limits.hold_s,
	        .now_s = clock_now_s(options->clock),
	};
	buf_reset(&s->reply);
	smtp_extensions_print(&extensions, &s->reply);
	struct status status = stream_write(s->stream, buf_slice(&s->reply));
	if (!is_ok(status))
		smtp_session_stop(s, status.why);
}

/* Checks name and backend, then forgets any transaction; on refusal nothing changes
 * (RFC 5321 section 4.1.4). */
static struct smtp_reply hello(struct smtp_session *s, struct slice argument, bool extended)
{
	struct smtp_envelope said = {.cid = s->envelope.cid,
	                             .has_helo = true,
	                             .extended = extended,
	                             .tls = s->envelope.tls,
	                             .n_transaction = s->envelope.n_transaction};
	struct smtp_reply reply = smtp_reply(SMTP_REPLY_NONE);
	if (!is_ok(smtp_helo_parse(argument, &said.helo)))
		return smtp_reply(SMTP_REPLY_BAD_HELO);
	if (s->options->ops->helo)
		reply = s->options->ops->helo(s->options->context, &said);
	if (has_backend_reply(reply) && !smtp_reply_is_positive(reply))
		return reply;
	smtp_session_reset(s);
	ASSERT(said.helo.text.n < sizeof(s->helo_name));
	memcpy(s->helo_name, said.helo.text.p, said.helo.text.n);
	said.helo.text.p = (const uint8_t *)s->helo_name;
	s->envelope = said;
	smtp_session_enter(s, SMTP_STATE_READY);
	return smtp_reply(SMTP_REPLY_NONE);
}

static struct smtp_reply run_ehlo(struct smtp_session *s, struct slice argument)
{
	struct smtp_reply refusal = hello(s, argument, true);
	if (!has_backend_reply(refusal))
		say_extensions(s);
	return refusal;
}

static struct smtp_reply run_helo(struct smtp_session *s, struct slice argument)
{
	struct smtp_reply refusal = hello(s, argument, false);
	if (has_backend_reply(refusal))
		return refusal;
	return (struct smtp_reply){.code = 250, .enhanced = "", .text = s->options->hostname};
}

/* RFC 3207 section 4: after the handshake the session starts anew, without a greeting. */
static struct smtp_reply run_starttls(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	if (s->stream->tls.on)
		return smtp_reply(SMTP_REPLY_TLS_ALREADY);
	if (!s->options->offer_tls || s->options->submission)
		return smtp_reply(SMTP_REPLY_NO_TLS);
	smtp_session_say(s, smtp_reply(SMTP_REPLY_TLS_GO));
	if (stream_buffered(s->stream).n > 0)
		smtp_session_event(s, SMTP_EVENT_PLAINTEXT_DROPPED, smtp_reply(SMTP_REPLY_NONE));
	s->line = slice_empty();
	s->stream->timeout_ms = s->options->timeouts.tls_ms;
	struct status status = stream_start_tls(s->stream);
	if (!is_ok(status)) {
		s->line = slice_str(status.why);
		smtp_session_event(s, SMTP_EVENT_TLS_FAILED, smtp_reply(SMTP_REPLY_NONE));
		smtp_session_stop(s, status.why);
		return smtp_reply(SMTP_REPLY_NONE);
	}
	s->envelope.has_helo = false;
	smtp_session_reset(s);
	if (s->options->ops->starttls_done)
		s->options->ops->starttls_done(s->options->context, &s->stream->tls);
	return smtp_reply(SMTP_REPLY_NONE);
}

/* Parameters of extensions that only submission announces, and that need TLS. What came with
 * REQUIRETLS and is for us goes no further: it has arrived (RFC 8689 section 4.1). */
static enum smtp_reply_id judge_extensions(const struct smtp_session *s,
                                           const struct smtp_mail_params *params)
{
	uint64_t hold_s = params->hold_for_s;
	bool any = params->has_hold_for || params->has_hold_until || params->has_priority ||
	           params->by_mode != SMTP_BY_NONE;
	if (any && !s->options->submission)
		return SMTP_REPLY_UNKNOWN_PARAMETER;
	if (params->require_tls && !s->stream->tls.on)
		return SMTP_REPLY_REQUIRETLS_NO_TLS;
	if (params->has_hold_until) {
		int64_t now_s = clock_now_s(s->options->clock);
		hold_s = (uint64_t)MAX(params->hold_until_s - now_s, (int64_t)0);
	}
	return hold_s > s->options->limits.hold_s ? SMTP_REPLY_HOLD_TOO_LONG : SMTP_REPLY_NONE;
}

static struct smtp_reply accept_sender(struct smtp_session *s, const struct smtp_mail *mail)
{
	enum smtp_reply_id refusal = judge_extensions(s, &mail->params);
	if (refusal != SMTP_REPLY_NONE)
		return smtp_reply(refusal);
	if (mail->params.has_size && mail->params.size > s->options->limits.message_size)
		return smtp_reply(SMTP_REPLY_TOO_LARGE); /* RFC 1870 section 6.1 */
	s->envelope.mail = *mail;
	struct smtp_reply reply = s->options->ops->mail(s->options->context, &s->envelope);
	return has_backend_reply(reply) ? reply : smtp_reply(SMTP_REPLY_SENDER_OK);
}

static struct smtp_reply run_mail(struct smtp_session *s, struct slice argument)
{
	struct smtp_mail mail;
	s->summary->n_transactions++;
	s->envelope.n_transaction = s->summary->n_transactions;
	if (s->summary->n_transactions > s->options->limits.transactions)
		return smtp_reply(SMTP_REPLY_TOO_MANY_MAILS);
	enum smtp_reply_id refusal = smtp_mail_parse(argument, &s->arena, &mail);
	struct smtp_reply reply =
	        refusal == SMTP_REPLY_NONE ? accept_sender(s, &mail) : smtp_reply(refusal);
	if (smtp_reply_is_positive(reply))
		smtp_session_enter(s, SMTP_STATE_MAIL);
	else
		smtp_session_reset(s);
	return reply;
}

/* Room for one more recipient; NULL when the envelope's memory is used up. */
static struct smtp_rcpt *rcpt_slot(struct smtp_session *s)
{
	struct smtp_envelope *e = &s->envelope;
	if (e->n_rcpts < s->rcpts_capacity)
		return &e->rcpts[e->n_rcpts];
	size_t capacity = MAX(2 * s->rcpts_capacity, RCPTS_MIN);
	struct smtp_rcpt *larger = ARENA_ARRAY(&s->arena, capacity, struct smtp_rcpt);
	if (!larger)
		return NULL;
	if (e->n_rcpts > 0)
		memcpy(larger, e->rcpts, e->n_rcpts * sizeof(*larger));
	e->rcpts = larger;
	s->rcpts_capacity = capacity;
	return &larger[e->n_rcpts];
}

static struct smtp_reply run_rcpt(struct smtp_session *s, struct slice argument)
{
	struct smtp_rcpt rcpt;
	if (s->envelope.n_rcpts >= s->options->limits.rcpts)
		return smtp_reply(SMTP_REPLY_TOO_MANY_RCPTS); /* RFC 5321 section 4.5.3.1.10 */
	enum smtp_reply_id refusal =
	        smtp_rcpt_parse(argument, s->envelope.mail.params.utf8, &s->arena, &rcpt);
	if (refusal != SMTP_REPLY_NONE)
		return smtp_reply(refusal);
	struct smtp_rcpt *slot = rcpt_slot(s);
	if (!slot)
		return smtp_reply(SMTP_REPLY_ENVELOPE_TOO_LARGE);
	struct smtp_reply reply = s->options->ops->rcpt(s->options->context, &s->envelope, &rcpt);
	if (!has_backend_reply(reply))
		reply = smtp_reply(SMTP_REPLY_RCPT_OK);
	if (smtp_reply_is_positive(reply)) {
		*slot = rcpt;
		s->envelope.n_rcpts++;
	}
	return reply;
}

static struct smtp_reply run_data(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	return smtp_session_data(s);
}

static struct smtp_reply run_rset(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	smtp_session_reset(s);
	return smtp_reply(SMTP_REPLY_OK);
}

static struct smtp_reply run_noop(struct smtp_session *s, struct slice argument)
{
	(void)s;
	(void)argument;
	return smtp_reply(SMTP_REPLY_OK);
}

/* Nobody is told who has a mailbox (RFC 5321 sections 3.5.3 and 7.3). */
static struct smtp_reply run_vrfy(struct smtp_session *s, struct slice argument)
{
	(void)s;
	return smtp_reply(argument.n > 0 ? SMTP_REPLY_VRFY : SMTP_REPLY_BAD_ARGUMENT);
}

static struct smtp_reply run_help(struct smtp_session *s, struct slice argument)
{
	(void)s;
	(void)argument;
	return smtp_reply(SMTP_REPLY_HELP);
}

static struct smtp_reply run_quit(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	s->summary->quit = true;
	smtp_session_stop(s, "quit");
	return smtp_reply(SMTP_REPLY_BYE);
}

static struct smtp_reply run_auth(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	/* RFC 4954 section 4: not twice */
	return smtp_reply(s->options->submission ? SMTP_REPLY_AUTH_ALREADY : SMTP_REPLY_NO_AUTH);
}

static struct smtp_reply run_not_implemented(struct smtp_session *s, struct slice argument)
{
	(void)s;
	(void)argument;
	return smtp_reply(SMTP_REPLY_NOT_IMPLEMENTED);
}

static struct smtp_reply run_unknown(struct smtp_session *s, struct slice argument)
{
	(void)s;
	(void)argument;
	return smtp_reply(SMTP_REPLY_UNKNOWN_COMMAND);
}

#define IN(state)   (1u << SMTP_STATE_##state)
#define ANY         UINT32_MAX
#define IDLE        true
#define WORK        false
#define ARGUMENT    true
#define NO_ARGUMENT false

struct command_row {
	uint32_t
	        states; /* where it may come; BDAT sorts itself out, since its chunk must be read */
	bool argument;  /* it may have one */
	bool idle;      /* does nothing for a message: counted */
	struct smtp_reply (*run)(struct smtp_session *s, struct slice argument);
};

static const struct command_row rows[SMTP_VERB_COUNT] = {
        [SMTP_VERB_UNKNOWN] = {ANY, ARGUMENT, WORK, run_unknown},
        [SMTP_VERB_EHLO] = {ANY, ARGUMENT, IDLE, run_ehlo},
        [SMTP_VERB_HELO] = {ANY, ARGUMENT, IDLE, run_helo},
        [SMTP_VERB_STARTTLS] = {ANY, NO_ARGUMENT, IDLE, run_starttls},
        [SMTP_VERB_AUTH] = {ANY, ARGUMENT, IDLE, run_auth},
        [SMTP_VERB_MAIL] = {IN(READY), ARGUMENT, WORK, run_mail},
        [SMTP_VERB_RCPT] = {IN(MAIL), ARGUMENT, WORK, run_rcpt},
        [SMTP_VERB_DATA] = {IN(MAIL), NO_ARGUMENT, WORK, run_data},
        [SMTP_VERB_BDAT] = {ANY, ARGUMENT, WORK, smtp_session_bdat},
        [SMTP_VERB_RSET] = {ANY, NO_ARGUMENT, IDLE, run_rset},
        [SMTP_VERB_NOOP] = {ANY, ARGUMENT, IDLE, run_noop},
        [SMTP_VERB_VRFY] = {ANY, ARGUMENT, IDLE, run_vrfy},
        [SMTP_VERB_EXPN] = {ANY, ARGUMENT, IDLE, run_not_implemented},
        [SMTP_VERB_HELP] = {ANY, ARGUMENT, IDLE, run_help},
        [SMTP_VERB_QUIT] = {ANY, NO_ARGUMENT, WORK, run_quit},
        [SMTP_VERB_ETRN] = {ANY, ARGUMENT, IDLE, run_not_implemented},
        [SMTP_VERB_ATRN] = {ANY, ARGUMENT, IDLE, run_not_implemented},
        [SMTP_VERB_TURN] = {ANY, ARGUMENT, IDLE, run_not_implemented},
        [SMTP_VERB_SEND] = {ANY, ARGUMENT, IDLE, run_not_implemented},
        [SMTP_VERB_SOML] = {ANY, ARGUMENT, IDLE, run_not_implemented},
        [SMTP_VERB_SAML] = {ANY, ARGUMENT, IDLE, run_not_implemented},
        [SMTP_VERB_LHLO] = {ANY, ARGUMENT, IDLE, run_not_implemented},
        [SMTP_VERB_BURL] = {ANY, ARGUMENT, IDLE, run_not_implemented},
};

/* Why MAIL, RCPT or DATA cannot come now. */
static enum smtp_reply_id out_of_order(const struct smtp_session *s)
{
	switch (s->state) {
	case SMTP_STATE_NEW:
		return SMTP_REPLY_SAY_HELLO;
	case SMTP_STATE_READY:
		return SMTP_REPLY_NEED_MAIL;
	case SMTP_STATE_MAIL:
		return SMTP_REPLY_NESTED_MAIL;
	case SMTP_STATE_CHUNKS:
		return s->verb == SMTP_VERB_DATA ? SMTP_REPLY_DATA_AFTER_BDAT
		                                 : SMTP_REPLY_BAD_SEQUENCE;
	case SMTP_STATE_CHUNKS_FAILED:
		return SMTP_REPLY_BDAT_FAILED;
	}
	BUG("unknown state of an SMTP session");
}

static bool too_many_commands(struct smtp_session *s, const struct command_row *row)
{
	s->n_idle += row->idle;
	return s->n_idle > s->options->limits.idle_commands ||
	       s->summary->n_commands > s->options->limits.commands;
}

void smtp_session_run(struct smtp_session *s, const struct smtp_command *command)
{
	const struct command_row *row = &rows[command->verb];
	struct smtp_reply reply;
	if (too_many_commands(s, row))
		reply = smtp_reply(SMTP_REPLY_TOO_MANY_COMMANDS);
	else if (command->argument.n > 0 && !row->argument)
		reply = smtp_reply(SMTP_REPLY_NO_ARGUMENT);
	else if (!(row->states & 1u << s->state))
		reply = smtp_reply(out_of_order(s));
	else
		reply = row->run(s, command->argument);
	smtp_session_say(s, reply);
}
