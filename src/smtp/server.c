/* The reception session: greeting, command lines, replies, limits, end.
 *
 * A command line ends in CRLF exactly. A bare LF, a bare CR or a NUL in it is refused (500) and
 * counted, since they are what smuggling is made of. Output is flushed only when the session must
 * wait, so pipelined commands are answered together (RFC 2920 section 3.2).
 *
 * With options.submission it is the session behind a login; what comes before is prelogin.c's.
 *
 * Not here: AUTH, VRFY answers, relaying of any kind.
 * Limits: struct smtp_server_limits, struct smtp_server_timeouts, SMTP_LINE_MAX, SKIP_MAX.
 *
 * SECURITY: everything read comes from strangers. The session opens nothing and remembers one
 * envelope; its memory is bounded by the envelope's arena and the stream's buffers.
 */
#include "smtp/server_private.h"

/* Octets of a too long line that are read to find its end. */
#define SKIP_MAX ((size_t)256 * 1024)

#define MECHANISM_MAX 20 /* octets (RFC 4422 section 3.1) */

void smtp_server_options_init(struct smtp_server_options *options)
{
	*options = (struct smtp_server_options){
	        .wake_fd = -1,
	        .limits = {.message_size = 64 * MIB,
	                   .discard_size = 64 * MIB,
	                   .header_size = MIB,
	                   .received = 100,
	                   .rcpts = 1000,
	                   .transactions = 1000,
	                   .commands = 100000,
	                   .idle_commands = 200,
	                   .errors = 20,
	                   .refused_rcpts = 200,
	                   .envelope_memory = 2 * MIB,
	                   .hold_s = 60 * 86400},
	        .timeouts = {.command_ms = 5 * 60 * 1000,
	                     .data_block_ms = 3 * 60 * 1000,
	                     .refused_block_ms = 30 * 1000,
	                     .data_total_ms = 60 * 60 * 1000,
	                     .data_grace_ms = 60 * 1000,
	                     .data_rate = 100,
	                     .tls_ms = 60 * 1000,
	                     .session_ms = 6 * 60 * 60 * 1000},
	};
}

void smtp_session_enter(struct smtp_session *s, enum smtp_state state)
{
	s->state = state;
}

void smtp_session_stop(struct smtp_session *s, const char *why)
{
	s->stop = true;
	if (!s->summary->why)
		s->summary->why = why;
}

/* What may be told of a command line: of AUTH the mechanism, and behind it nothing of lines that
 * are no commands, since a client that goes on all the same sends a name and a password there. */
static struct slice without_secrets(struct smtp_session *s)
{
	struct smtp_command command = smtp_command_parse(s->line);
	struct slice start = s->line;
	while (start.n > 0 && (start.p[0] == ' ' || start.p[0] == '\t'))
		start = slice_from(start, 1);
	if (!slice_istarts(start, SLICE("AUTH")))
		return s->saw_auth && command.verb == SMTP_VERB_UNKNOWN ? slice_empty() : s->line;
	s->saw_auth = true;
	if (command.verb != SMTP_VERB_AUTH)
		return slice_sub(start, 0, strlen("AUTH"));
	size_t n_word = command.word.n + 1;
	size_t n_mechanism = MIN(slice_index(command.argument, ' '), command.argument.n);
	return slice_sub(s->line, 0, n_word + MIN(n_mechanism, (size_t)MECHANISM_MAX));
}

void smtp_session_event(struct smtp_session *s, enum smtp_event_kind kind, struct smtp_reply reply)
{
	if (!s->options->ops->event)
		return;
	bool command = kind == SMTP_EVENT_REFUSED || kind == SMTP_EVENT_BARE_LF;
	struct smtp_event event = {.kind = kind,
	                           .verb = s->verb,
	                           .reply = reply,
	                           .text = command ? without_secrets(s) : s->line};
	s->options->ops->event(s->options->context, &event);
}

/* A reply whose words the writer refused still has to be given, or the client waits for ever. */
static struct smtp_reply plain_reply(struct smtp_reply reply)
{
	if (reply.code >= 500 && reply.code <= 599)
		return smtp_reply(SMTP_REPLY_POLICY);
	return smtp_reply(reply.code >= 400 || reply.code < 200 ? SMTP_REPLY_TRY_LATER
	                                                        : SMTP_REPLY_OK);
}

static void count_error(struct smtp_session *s)
{
	const struct smtp_server_limits *limits = &s->options->limits;
	s->summary->n_errors++;
	if (s->verb == SMTP_VERB_RCPT)
		s->n_refused_rcpts++;
	if (s->n_refused_rcpts > limits->refused_rcpts ||
	    s->summary->n_errors - s->n_refused_rcpts > limits->errors)
		smtp_session_say(s, smtp_reply(SMTP_REPLY_TOO_MANY_ERRORS));
}

void smtp_session_say(struct smtp_session *s, struct smtp_reply reply)
{
	if (reply.code == 0)
		return;
	buf_reset(&s->reply);
	if (!is_ok(smtp_reply_print(reply, &s->reply))) {
		reply = plain_reply(reply);
		buf_reset(&s->reply);
		ASSERT(is_ok(smtp_reply_print(reply, &s->reply)));
	}
	struct status status = stream_write(s->stream, buf_slice(&s->reply));
	if (!is_ok(status))
		smtp_session_stop(s, status.why);
	if (reply.code >= 400)
		smtp_session_event(s, SMTP_EVENT_REFUSED, reply);
	if (reply.code == 421)
		smtp_session_stop(s, "closed by us with 421");
	else if (reply.code >= 500)
		count_error(s);
}

void smtp_session_lost(struct smtp_session *s, struct status status)
{
	s->line = slice_empty();
	smtp_session_stop(s, status.why);
	if (status.code == ERR_TIMEOUT)
		smtp_session_say(s, smtp_reply(SMTP_REPLY_TIMEOUT));
	else if (status.code == ERR_DRAINING)
		smtp_session_say(s, smtp_reply(SMTP_REPLY_SHUTTING_DOWN));
	else if (status.code == ERR_LIMIT)
		smtp_session_say(s, smtp_reply(SMTP_REPLY_OUT_OF_SYNC));
}

void smtp_session_reset(struct smtp_session *s)
{
	struct smtp_envelope *e = &s->envelope;
	smtp_content_abort(s);
	if (s->state != SMTP_STATE_NEW && s->state != SMTP_STATE_READY && s->options->ops->reset)
		s->options->ops->reset(s->options->context);
	*e = (struct smtp_envelope){.cid = e->cid,
	                            .has_helo = e->has_helo,
	                            .extended = e->extended,
	                            .helo = e->helo,
	                            .tls = e->tls,
	                            .n_transaction = e->n_transaction};
	s->rcpts_capacity = 0;
	arena_reset(&s->arena);
	smtp_session_enter(s, e->has_helo ? SMTP_STATE_READY : SMTP_STATE_NEW);
}

static int64_t now_ms(const struct smtp_session *s)
{
	return clock_monotonic_ms(s->options->clock);
}

/* Blocks for more input, until the deadline or a wake. */
static struct status wait_for_input(struct smtp_session *s, int64_t deadline_ms)
{
	int64_t left_ms = MAX(deadline_ms - now_ms(s), (int64_t)0);
	enum stream_event event = STREAM_INPUT;
	s->stream->timeout_ms = (int)MIN(left_ms, (int64_t)s->options->timeouts.command_ms);
	if (s->options->wake_fd >= 0) {
		TRY(stream_flush(s->stream));
		/* not stream_wait: half a line in the buffer is not what we wait for */
		TRY(s->stream->ops->wait(s->stream, s->options->wake_fd, s->stream->timeout_ms,
		                         &event));
	}
	if (event == STREAM_WOKEN)
		return fail(ERR_DRAINING, "shutting down");
	if (event == STREAM_TIMEOUT || left_ms == 0)
		return fail(ERR_TIMEOUT, "waited too long for a command");
	return stream_fill(s->stream);
}

/* A client that starts with another protocol may never send an LF. */
static bool starts_foreign(const struct smtp_session *s)
{
	struct slice have = stream_buffered(s->stream);
	return s->summary->n_commands == 0 &&
	       smtp_is_foreign_protocol(slice_sub(have, 0, slice_index(have, '\n')));
}

/* Until the buffer holds a line's end, more than a line may have, or another protocol's start. */
static struct status wait_for_line(struct smtp_session *s, int64_t deadline_ms)
{
	size_t n_searched = 0;
	for (;;) {
		struct slice have = stream_buffered(s->stream);
		if (slice_index(slice_from(have, n_searched), '\n') != SIZE_MAX ||
		    have.n >= SMTP_LINE_MAX)
			return ok();
		if (starts_foreign(s))
			return ok();
		n_searched = have.n;
		TRY(wait_for_input(s, deadline_ms));
	}
}

/* Drops the rest of a line that is too long. */
static struct status skip_line(struct smtp_session *s, int64_t deadline_ms)
{
	for (size_t n_skipped = 0;;) {
		struct slice have = stream_buffered(s->stream);
		size_t lf = slice_index(have, '\n');
		stream_take(s->stream, lf == SIZE_MAX ? have.n : lf + 1);
		if (lf != SIZE_MAX)
			return ok();
		n_skipped += have.n;
		if (n_skipped > SKIP_MAX)
			return fail(ERR_LIMIT, "command line has no end");
		TRY(wait_for_input(s, deadline_ms));
	}
}

static void refuse_long_line(struct smtp_session *s, int64_t deadline_ms)
{
	struct slice start = slice_sub(stream_buffered(s->stream), 0, SMTP_LINE_MAX);
	struct smtp_command command = smtp_command_parse(start);
	s->verb = command.verb;
	s->line = start;
	smtp_session_say(s, smtp_reply(SMTP_REPLY_LINE_TOO_LONG));
	s->line = slice_empty();
	struct status status = fail(ERR_LIMIT, "a chunk of unknown size follows");
	if (command.verb != SMTP_VERB_BDAT)
		status = skip_line(s, deadline_ms);
	if (!is_ok(status))
		smtp_session_lost(s, status);
}

/* "GET / HTTP/1.1" and the like: someone makes a browser or a web server talk to us. */
static bool refuse_foreign(struct smtp_session *s, const struct smtp_command *command)
{
	bool first = s->summary->n_commands == 1 && !s->options->submission;
	if (command->verb != SMTP_VERB_UNKNOWN || !(first || smtp_is_foreign_protocol(s->line)))
		return false;
	struct smtp_reply reply = smtp_reply(SMTP_REPLY_NOT_SMTP);
	smtp_session_event(s, SMTP_EVENT_FOREIGN, reply);
	smtp_session_say(s, reply);
	smtp_session_stop(s, "not an SMTP client");
	return true;
}

/* A line that is not framed as it must be is answered here: true. */
static bool refuse_line(struct smtp_session *s, bool crlf)
{
	bool control = slice_has_control(s->line);
	if (crlf && !control)
		return false;
	enum smtp_reply_id id = crlf ? SMTP_REPLY_CONTROL : SMTP_REPLY_BARE_LF;
	if (!crlf)
		smtp_session_event(s, SMTP_EVENT_BARE_LF, smtp_reply(id));
	smtp_session_say(s, smtp_reply(id));
	/* Where a bare LF stands, nobody knows what the client takes for a line; behind a BDAT its
	 * chunk follows. Nothing more may be read as a command. */
	if (!crlf || s->verb == SMTP_VERB_BDAT)
		smtp_session_say(s, smtp_reply(SMTP_REPLY_OUT_OF_SYNC));
	return true;
}

static void run_line(struct smtp_session *s, bool crlf)
{
	struct smtp_command command = smtp_command_parse(s->line);
	s->verb = command.verb;
	s->summary->n_commands++;
	if (!refuse_foreign(s, &command) && !refuse_line(s, crlf))
		smtp_session_run(s, &command);
	s->line = slice_empty();
}

static struct status read_line(struct smtp_session *s, int64_t deadline_ms, bool *ret_crlf)
{
	TRY(wait_for_line(s, deadline_ms));
	if (!starts_foreign(s))
		return stream_read_line(s->stream, SMTP_LINE_MAX, &s->line, ret_crlf);
	s->line = slice_sub(stream_buffered(s->stream), 0, SMTP_LINE_MAX);
	*ret_crlf = false;
	return ok();
}

/* Reads and answers one command. */
static void next_command(struct smtp_session *s)
{
	int64_t deadline_ms = now_ms(s) + s->options->timeouts.command_ms;
	bool crlf;
	s->verb = SMTP_VERB_UNKNOWN;
	struct status status = read_line(s, deadline_ms, &crlf);
	if (is_ok(status)) {
		run_line(s, crlf);
	} else if (status.code == ERR_LIMIT) {
		refuse_long_line(s, deadline_ms);
	} else {
		smtp_session_lost(s, status);
	}
}

/* RFC 5321 section 3.1: a client waits for the greeting; one that does not is usually no mail
 * server. */
static bool spoke_early(struct smtp_session *s)
{
	enum stream_event event;
	if (!s->options->watch_early_talkers)
		return false;
	struct status status =
	        stream_wait(s->stream, -1, s->options->timeouts.early_talker_ms, &event);
	if (is_ok(status) && event == STREAM_INPUT)
		status = stream_fill(s->stream);
	if (!is_ok(status))
		smtp_session_lost(s, status);
	return is_ok(status) && event == STREAM_INPUT;
}

static void greet(struct smtp_session *s)
{
	CLEANUP(buf_done) struct buf text;
	buf_init(&text, SMTP_REPLY_LINE_MAX);
	if (spoke_early(s)) {
		struct smtp_reply reply = smtp_reply(SMTP_REPLY_EARLY_TALKER);
		smtp_session_event(s, SMTP_EVENT_EARLY_TALKER, reply);
		if (s->options->refuse_early_talkers) {
			smtp_session_say(s, reply);
			smtp_session_stop(s, "spoke before the greeting");
		}
	}
	if (s->stop)
		return;
	buf_printf(&text, "%s ESMTP", s->options->hostname);
	if (s->options->cid)
		buf_printf(&text, " %s", s->options->cid);
	smtp_session_say(s,
	                 (struct smtp_reply){.code = 220, .enhanced = "", .text = buf_cstr(&text)});
}

static void session_init(struct smtp_session *s, const struct smtp_server_options *options,
                         struct smtp_server_summary *summary)
{
	ASSERT(smtp_reply_is_printable(options->hostname));
	*summary = (struct smtp_server_summary){0};
	*s = (struct smtp_session){
	        .options = options, .stream = options->stream, .summary = summary};
	s->line = slice_empty();
	s->envelope = (struct smtp_envelope){.cid = options->cid, .tls = &options->stream->tls};
	s->started_ms = now_ms(s);
	arena_init(&s->arena, options->limits.envelope_memory);
	buf_init(&s->reply, SMTP_REPLY_LINES_MAX * SMTP_REPLY_LINE_MAX);
	smtp_session_enter(s, SMTP_STATE_NEW);
	if (options->submission && !options->greet) {
		/* EHLO was said before the login; its name is nobody's business here. */
		s->envelope.has_helo = s->envelope.extended = true;
		s->envelope.helo =
		        (struct smtp_host){.kind = SMTP_HOST_GENERAL, .text = slice_empty()};
		smtp_session_enter(s, SMTP_STATE_READY);
	}
}

static void session_done(struct smtp_session *s)
{
	s->line = slice_str(s->summary->why);
	s->verb = SMTP_VERB_UNKNOWN;
	smtp_session_reset(s);
	if (!s->summary->quit)
		smtp_session_event(s, SMTP_EVENT_CLOSING, smtp_reply(SMTP_REPLY_NONE));
	struct status status = stream_flush(s->stream);
	if (!is_ok(status))
		smtp_session_stop(s, status.why);
	arena_done(&s->arena);
	buf_done(&s->reply);
}

void smtp_server_run(const struct smtp_server_options *options,
                     struct smtp_server_summary *ret_summary)
{
	struct smtp_session s;
	session_init(&s, options, ret_summary);
	if (!options->submission || options->greet)
		greet(&s);
	while (!s.stop) {
		if (now_ms(&s) - s.started_ms > options->timeouts.session_ms)
			smtp_session_say(&s, smtp_reply(SMTP_REPLY_TOO_LONG_SESSION));
		else
			next_command(&s);
	}
	session_done(&s);
}
