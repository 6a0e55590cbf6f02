/* Submission before login (RFC 6409 section 4.3, RFC 4954, RFC 3207).
 *
 *   auth-command     = "AUTH" SP sasl-mech [SP initial-response] *(CRLF [base64])
 *                      [CRLF cancel-response]                        RFC 4954 section 8
 *   initial-response = base64 / "="
 *   cancel-response  = "*"
 *
 * Every mechanism is refused without TLS unless allow_plain_login, and not announced then: what a
 * listener could change in the clear, also is no help to SCRAM. STARTTLS forgets everything,
 * including plaintext the client sent too early (stream_start_tls drops it; RFC 3207 section 4.2).
 * A line must end in CRLF: a bare LF ends the session, as in reception.
 *
 * Tolerated: two spaces before the initial response (seen from Windows Mail).
 *
 * Limits: SMTP_AUTH_LINE_MAX a line, an overall deadline, failures_max failed logins, bad_max
 * useless commands, commands_max commands.
 */
#include "smtp/prelogin.h"

#include "base/encode.h"
#include "smtp/command.h"
#include "smtp/extensions.h"

#define CHALLENGE_MAX ((size_t)16 * 1024)
#define REPLY_MAX     ((size_t)4 * 1024)
#define MECHANISM_MAX ((size_t)20) /* RFC 4422 section 3.1 */

enum outcome {
	NEXT,          /* go on */
	AUTHENTICATED, /* over, well */
	LEAVE,         /* over: p->status says why */
};

struct prelogin {
	const struct smtp_prelogin_options *options;
	struct stream *stream;
	struct status status;
	int64_t deadline_ms;
	bool extended; /* EHLO was said */
	bool hello;    /* EHLO or HELO */
	unsigned n_commands;
	unsigned n_failures;
	unsigned n_bad;
};

/* --- output --- */

static enum outcome lost(struct prelogin *p, struct status status)
{
	p->status = status;
	return LEAVE;
}

static enum outcome say(struct prelogin *p, struct smtp_reply reply)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, REPLY_MAX);
	ASSERT(is_ok(smtp_reply_print(reply, &text)));
	struct status status = stream_write(p->stream, buf_slice(&text));
	return is_ok(status) ? NEXT : lost(p, status);
}

static enum outcome say_id(struct prelogin *p, enum smtp_reply_id id)
{
	return say(p, smtp_reply(id));
}

static enum outcome bad(struct prelogin *p, enum smtp_reply_id id)
{
	p->n_bad++;
	return say_id(p, id);
}

static enum outcome leave(struct prelogin *p, enum smtp_reply_id id, struct status status)
{
	(void)say_id(p, id);
	return lost(p, status);
}

/* --- input --- */

static int64_t now_ms(const struct prelogin *p)
{
	return clock_monotonic_ms(p->options->clock);
}

/* Blocks for more input, at most for timeout_ms and not beyond the deadline. */
static struct status wait_for_input(struct prelogin *p)
{
	int timeout_ms = p->options->timeout_ms ? p->options->timeout_ms : 60 * 1000;
	int64_t left_ms = p->deadline_ms - now_ms(p);
	enum stream_event event = STREAM_INPUT;
	if (left_ms <= 0)
		return fail(ERR_TIMEOUT, "waited too long for a login");
	p->stream->timeout_ms = (int)MIN(left_ms, (int64_t)timeout_ms);
	if (p->options->wake_fd >= 0) {
		TRY(stream_flush(p->stream));
		TRY(p->stream->ops->wait(p->stream, p->options->wake_fd, p->stream->timeout_ms,
		                         &event));
	}
	if (event == STREAM_WOKEN)
		return fail(ERR_DRAINING, "shutting down");
	if (event == STREAM_TIMEOUT)
		return fail(ERR_TIMEOUT, "waited too long for a command");
	return stream_fill(p->stream);
}

/* One line without its end. LIMIT: too long; PROTOCOL: not framed by CRLF, or a CR or NUL in it;
 * UNSUPPORTED: no SMTP at all. */
static struct status read_line(struct prelogin *p, struct slice *ret_line)
{
	bool crlf;
	for (size_t n_searched = 0;;) {
		struct slice have = stream_buffered(p->stream);
		size_t lf = slice_index(slice_from(have, n_searched), '\n');
		struct slice line = lf == SIZE_MAX ? have : slice_sub(have, 0, n_searched + lf);
		if (p->n_commands == 0 && smtp_is_foreign_protocol(line))
			return fail(ERR_UNSUPPORTED, "not an SMTP client");
		if (lf != SIZE_MAX || have.n >= SMTP_AUTH_LINE_MAX)
			break;
		n_searched = have.n;
		TRY(wait_for_input(p));
	}
	TRY(stream_read_line(p->stream, SMTP_AUTH_LINE_MAX, ret_line, &crlf));
	return crlf && !slice_has_control(*ret_line)
	               ? ok()
	               : fail(ERR_PROTOCOL, "line is not framed by CRLF");
}

/* What ends the connection rather than a command; silently where nobody listens any more. */
static enum outcome end_by(struct prelogin *p, struct status status)
{
	static const struct {
		enum err code;
		enum smtp_reply_id reply;
	} rows[] = {
	        {ERR_TIMEOUT, SMTP_REPLY_TIMEOUT},      {ERR_DRAINING, SMTP_REPLY_SHUTTING_DOWN},
	        {ERR_LIMIT, SMTP_REPLY_AUTH_TOO_LONG}, /* where the next line begins, nobody knows
	                                                */
	        {ERR_PROTOCOL, SMTP_REPLY_OUT_OF_SYNC}, {ERR_UNSUPPORTED, SMTP_REPLY_NOT_SMTP},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		if (rows[i].code != status.code)
			continue;
		bool waited = status.code == ERR_TIMEOUT || status.code == ERR_DRAINING;
		return leave(p, rows[i].reply, waited ? status : fail(ERR_PROTOCOL, status.why));
	}
	return lost(p, status);
}

/* --- EHLO and its kin --- */

static bool may_authenticate(const struct prelogin *p)
{
	return p->stream->tls.on || p->options->allow_plain_login;
}

static bool may_starttls(const struct prelogin *p)
{
	return p->options->allow_starttls && !p->stream->tls.on;
}

/* What is there before login, and what is there after it, for clients that ask but once. */
static enum outcome say_extensions(struct prelogin *p)
{
	CLEANUP(buf_done) struct buf text;
	const struct smtp_prelogin_options *options = p->options;
	bool may = may_authenticate(p);
	struct smtp_extensions extensions = {
	        .hostname = options->hostname,
	        .message_size = options->message_size,
	        .rcpts = options->rcpts,
	        .mechanisms = may ? options->auth->mechanisms(options->auth_context) : NULL,
	        .starttls = may_starttls(p),
	        .tls = p->stream->tls.on,
	        .submission = may,
	        .hold_s = options->hold_s,
	        .now_s = clock_now_s(options->clock),
	};
	buf_init(&text, REPLY_MAX);
	smtp_extensions_print(&extensions, &text);
	struct status status = stream_write(p->stream, buf_slice(&text));
	return is_ok(status) ? NEXT : lost(p, status);
}

static enum outcome cmd_hello(struct prelogin *p, const struct smtp_command *command)
{
	struct smtp_host name;
	if (!is_ok(smtp_helo_parse(command->argument, &name)))
		return bad(p, SMTP_REPLY_BAD_HELO);
	p->hello = true;
	p->extended = command->verb == SMTP_VERB_EHLO;
	if (p->extended)
		return say_extensions(p);
	return say(p,
	           (struct smtp_reply){.code = 250, .enhanced = "", .text = p->options->hostname});
}

static enum outcome cmd_starttls(struct prelogin *p, const struct smtp_command *command)
{
	(void)command;
	if (p->stream->tls.on)
		return bad(p, SMTP_REPLY_TLS_ALREADY);
	if (!may_starttls(p))
		return bad(p, SMTP_REPLY_NO_TLS);
	if (say_id(p, SMTP_REPLY_TLS_GO) == LEAVE)
		return LEAVE;
	p->stream->timeout_ms = p->options->timeout_ms ? p->options->timeout_ms : 60 * 1000;
	struct status status = stream_start_tls(p->stream);
	if (!is_ok(status))
		return lost(p, status);
	p->hello = p->extended = false; /* RFC 3207 section 4.2 */
	p->n_bad = 0;
	p->n_failures = 0;
	return NEXT;
}

/* --- AUTH --- */

/* Credentials that are wrong, or too many of them. */
static enum outcome refuse_credentials(struct prelogin *p, enum err code)
{
	unsigned max = p->options->failures_max ? p->options->failures_max : 3;
	if (say_id(p, SMTP_REPLY_AUTH_FAILED) == LEAVE)
		return LEAVE;
	if (code == ERR_LIMIT || ++p->n_failures >= max)
		return leave(p, SMTP_REPLY_TOO_MANY_ERRORS,
		             fail(ERR_AUTH, "too many failed logins"));
	return NEXT;
}

static enum outcome refuse_login(struct prelogin *p, enum err code)
{
	static const struct {
		enum err code;
		enum smtp_reply_id reply;
	} rows[] = {
	        {ERR_CANCELED, SMTP_REPLY_AUTH_CANCELED},
	        {ERR_SYNTAX, SMTP_REPLY_AUTH_MALFORMED},
	        {ERR_INVALID, SMTP_REPLY_AUTH_BAD_BASE64},
	        {ERR_UNSUPPORTED, SMTP_REPLY_AUTH_UNKNOWN},
	        {ERR_DENIED, SMTP_REPLY_AUTH_DENIED},
	};
	if (code == ERR_AUTH || code == ERR_LIMIT)
		return refuse_credentials(p, code);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (rows[i].code == code)
			return bad(p, rows[i].reply);
	return say_id(p, SMTP_REPLY_AUTH_NOT_NOW);
}

/* One SASL exchange. */
struct exchange {
	struct prelogin *p;
	struct buf challenge, response;
	bool broken; /* reading or writing failed: status is the connection's */
};

/* What may hold a password does not stay in the stream's buffer. */
static void forget(struct slice line)
{
	explicit_bzero((void *)(uintptr_t)line.p, line.n);
}

static struct status decode(struct slice text, struct buf *out)
{
	buf_reset(out);
	return is_ok(base64_decode(text, out)) && !buf_failed(out)
	               ? ok()
	               : fail(ERR_INVALID, "not base64");
}

static struct status send_challenge(struct exchange *x)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, 2 * CHALLENGE_MAX);
	buf_add_str(&text, "334 ");
	base64_encode(buf_slice(&x->challenge), &text);
	buf_add_str(&text, "\r\n");
	buf_reset(&x->challenge);
	return stream_write(x->p->stream, buf_slice(&text));
}

/* Sends the challenge and reads the response. CANCELED: "*". INVALID: not base64. */
static struct status talk(struct exchange *x)
{
	struct slice line;
	struct status status = send_challenge(x);
	if (is_ok(status))
		status = read_line(x->p, &line);
	x->broken = !is_ok(status);
	TRY(status);
	if (slice_eq_str(line, "*"))
		return fail(ERR_CANCELED, "the client cancelled");
	status = decode(line, &x->response);
	forget(line);
	return status;
}

/* What the mechanism says with its success goes as a last challenge, which the client answers with
 * nothing (RFC 4954 section 4). */
static struct status finish(struct exchange *x)
{
	if (x->challenge.n == 0)
		return ok();
	TRY(talk(x));
	return x->response.n == 0 ? ok() : fail(ERR_SYNTAX, "nothing was expected");
}

static struct status run_sasl(struct exchange *x, struct slice mechanism,
                              const struct slice *initial)
{
	const struct smtp_auth_ops *auth = x->p->options->auth;
	void *context = x->p->options->auth_context;
	bool done = false;
	TRY(auth->start(context, mechanism, initial, &x->challenge, &done));
	while (!done) {
		TRY(talk(x));
		TRY(auth->step(context, buf_slice(&x->response), &x->challenge, &done));
	}
	return finish(x);
}

static void wipe(struct buf *buf)
{
	if (buf->p)
		explicit_bzero(buf->p, buf->capacity); /* it may hold a password */
	buf_done(buf);
}

static enum outcome authenticate(struct prelogin *p, struct slice mechanism,
                                 const struct slice *initial)
{
	struct exchange x = {.p = p};
	buf_init(&x.challenge, CHALLENGE_MAX);
	buf_init(&x.response, SMTP_AUTH_LINE_MAX);
	struct status status = run_sasl(&x, mechanism, initial);
	wipe(&x.challenge);
	wipe(&x.response);
	if (is_ok(status))
		return AUTHENTICATED;
	p->options->auth->abort(p->options->auth_context);
	return x.broken ? end_by(p, status) : refuse_login(p, status.code);
}

static bool offers(const struct prelogin *p, struct slice mechanism)
{
	const char *const *names = p->options->auth->mechanisms(p->options->auth_context);
	for (; *names; names++)
		if (slice_ieq_str(mechanism, *names))
			return true;
	return false;
}

static enum outcome begin_auth(struct prelogin *p, struct slice mechanism, bool has_initial,
                               struct slice encoded)
{
	struct buf initial;
	char name[MECHANISM_MAX];
	enum outcome outcome;
	/* The line's memory is reused by the lines that follow. */
	ASSERT(mechanism.n <= sizeof(name));
	memcpy(name, mechanism.p, mechanism.n);
	buf_init(&initial, SMTP_AUTH_LINE_MAX);
	struct status status = slice_eq_str(encoded, "=") ? ok() : decode(encoded, &initial);
	struct slice bytes = buf_slice(&initial);
	forget(encoded);
	if (is_ok(status))
		outcome = authenticate(p, slice_of(name, mechanism.n), has_initial ? &bytes : NULL);
	else
		outcome = refuse_login(p, status.code);
	wipe(&initial);
	return outcome;
}

static enum outcome cmd_auth(struct prelogin *p, const struct smtp_command *command)
{
	struct slice mechanism, encoded;
	bool has_initial = slice_cut(command->argument, ' ', &mechanism, &encoded);
	encoded = slice_trim(encoded);
	if (!p->extended)
		return bad(p, SMTP_REPLY_SAY_HELLO);
	if (mechanism.n == 0)
		return bad(p, SMTP_REPLY_BAD_ARGUMENT);
	if (!may_authenticate(p))
		return bad(p, SMTP_REPLY_AUTH_NEEDS_TLS);
	if (mechanism.n > MECHANISM_MAX || !offers(p, mechanism))
		return bad(p, SMTP_REPLY_AUTH_UNKNOWN);
	return begin_auth(p, mechanism, has_initial && encoded.n > 0, encoded);
}

/* --- the other commands --- */

static enum outcome cmd_ok(struct prelogin *p, const struct smtp_command *command)
{
	(void)command;
	return say_id(p, SMTP_REPLY_OK);
}

static enum outcome cmd_help(struct prelogin *p, const struct smtp_command *command)
{
	(void)command;
	return say(p, smtp_reply_text(SMTP_REPLY_HELP,
	                              "Commands before login: EHLO HELO STARTTLS AUTH NOOP RSET "
	                              "HELP QUIT"));
}

static enum outcome cmd_quit(struct prelogin *p, const struct smtp_command *command)
{
	(void)command;
	return leave(p, SMTP_REPLY_BYE, fail(ERR_CANCELED, "the client has quit"));
}

static enum outcome cmd_locked(struct prelogin *p, const struct smtp_command *command)
{
	(void)command;
	if (!p->hello)
		return bad(p, SMTP_REPLY_SAY_HELLO);
	return bad(p, may_authenticate(p) || !may_starttls(p) ? SMTP_REPLY_AUTH_REQUIRED
	                                                      : SMTP_REPLY_STARTTLS_FIRST);
}

struct prelogin_command {
	enum smtp_verb verb;
	bool argument; /* it may have one */
	enum outcome (*run)(struct prelogin *p, const struct smtp_command *command);
};

static const struct prelogin_command commands[] = {
        {SMTP_VERB_EHLO, true, cmd_hello},  {SMTP_VERB_HELO, true, cmd_hello},
        {SMTP_VERB_AUTH, true, cmd_auth},   {SMTP_VERB_STARTTLS, false, cmd_starttls},
        {SMTP_VERB_NOOP, true, cmd_ok},     {SMTP_VERB_RSET, false, cmd_ok},
        {SMTP_VERB_HELP, true, cmd_help},   {SMTP_VERB_QUIT, false, cmd_quit},
        {SMTP_VERB_MAIL, true, cmd_locked}, {SMTP_VERB_RCPT, true, cmd_locked},
        {SMTP_VERB_DATA, true, cmd_locked}, {SMTP_VERB_VRFY, true, cmd_locked},
        {SMTP_VERB_EXPN, true, cmd_locked},
};

static enum outcome run_command(struct prelogin *p, const struct smtp_command *command)
{
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		if (commands[i].verb != command->verb)
			continue;
		if (command->argument.n > 0 && !commands[i].argument)
			return bad(p, SMTP_REPLY_NO_ARGUMENT);
		return commands[i].run(p, command);
	}
	if (command->verb == SMTP_VERB_BDAT) /* a chunk follows, of which nobody waits for an end */
		return leave(p, SMTP_REPLY_OUT_OF_SYNC, fail(ERR_PROTOCOL, "BDAT before login"));
	return bad(p, command->verb == SMTP_VERB_UNKNOWN ? SMTP_REPLY_UNKNOWN_COMMAND
	                                                 : SMTP_REPLY_NOT_IMPLEMENTED);
}

static enum outcome step(struct prelogin *p)
{
	unsigned bad_max = p->options->bad_max ? p->options->bad_max : 10;
	unsigned commands_max = p->options->commands_max ? p->options->commands_max : 50;
	struct slice line;
	if (p->n_bad >= bad_max)
		return leave(p, SMTP_REPLY_TOO_MANY_ERRORS, fail(ERR_PROTOCOL, "too many errors"));
	if (p->n_commands >= commands_max)
		return leave(p, SMTP_REPLY_TOO_MANY_COMMANDS,
		             fail(ERR_PROTOCOL, "too many commands before login"));
	struct status status = read_line(p, &line);
	if (!is_ok(status))
		return end_by(p, status);
	p->n_commands++;
	struct smtp_command command = smtp_command_parse(line);
	return run_command(p, &command);
}

static enum outcome greet(struct prelogin *p)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, SMTP_REPLY_LINE_MAX);
	buf_printf(&text, "%s ESMTP", p->options->hostname);
	if (p->options->cid)
		buf_printf(&text, " %s", p->options->cid);
	return say(p, (struct smtp_reply){.code = 220, .enhanced = "", .text = buf_cstr(&text)});
}

struct status smtp_prelogin_run(const struct smtp_prelogin_options *options)
{
	struct prelogin p = {.options = options, .stream = options->stream, .status = ok()};
	p.deadline_ms = clock_monotonic_ms(options->clock) +
	                (options->total_ms ? options->total_ms : 3 * 60 * 1000);
	enum outcome outcome = greet(&p);
	while (outcome == NEXT)
		outcome = step(&p);
	struct status status = stream_flush(options->stream);
	if (outcome != AUTHENTICATED)
		return p.status;
	return status;
}
