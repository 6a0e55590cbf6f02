/* A connection: greeting, EHLO, STARTTLS, RSET, QUIT (RFC 5321 sections 3.1, 3.2, 4.1.1, RFC 3207).
 *
 * What goes wrong is recorded once, in `failure`, at the place where it happens. A connection is
 * broken when it cannot be known what the next reply would answer.
 *
 * Limits: those of reply_parse.h, SMTP_CLIENT_COMMAND_MAX, FAILURE_MEMORY.
 */
#include "smtp/client_private.h"

#include "text/utf8.h"

#include <limits.h>

#define FAILURE_MEMORY ((size_t)16 * 1024)
#define MINUTE_MS      (60 * 1000)
#define WHY_REPLY_MAX  ((size_t)400) /* octets of a reply that `why` quotes */

static const char *const step_names[] = {
#define X(id, name) [SMTP_STEP_##id] = name,
        SMTP_STEP_LIST(X)
#undef X
};

const char *smtp_step_name(enum smtp_step step)
{
	return step_names[step];
}

/* RFC 5321 section 4.5.3.2 */
struct smtp_client_timeouts
smtp_client_timeouts_or_default(const struct smtp_client_timeouts *timeouts)
{
	struct smtp_client_timeouts t = *timeouts;
	t.greeting_ms = t.greeting_ms > 0 ? t.greeting_ms : 5 * MINUTE_MS;
	t.command_ms = t.command_ms > 0 ? t.command_ms : 5 * MINUTE_MS;
	t.data_start_ms = t.data_start_ms > 0 ? t.data_start_ms : 2 * MINUTE_MS;
	t.data_block_ms = t.data_block_ms > 0 ? t.data_block_ms : 3 * MINUTE_MS;
	t.data_end_ms = t.data_end_ms > 0 ? t.data_end_ms : 10 * MINUTE_MS;
	t.tls_ms = t.tls_ms > 0 ? t.tls_ms : MINUTE_MS;
	t.quit_ms = t.quit_ms > 0 ? t.quit_ms : 5000;
	t.send_ms = t.send_ms > 0 ? t.send_ms : 60 * MINUTE_MS;
	return t;
}

/* --- outcomes --- */

static enum smtp_outcome_kind kind_of_code(uint16_t code)
{
	return code >= 500 && code <= 599 ? SMTP_OUTCOME_FAILED : SMTP_OUTCOME_DEFERRED;
}

static void set_enhanced(struct smtp_outcome *o, const char *enhanced)
{
	snprintf(o->enhanced, sizeof(o->enhanced), "%s", enhanced);
}

/* As much of the reply as is worth keeping. */
static void keep_lines(const struct smtp_reply_in *reply, struct arena *arena,
                       struct smtp_outcome *o)
{
	size_t n = MIN(reply->n_lines, SMTP_CLIENT_LINES_MAX), left = SMTP_CLIENT_TEXT_MAX;
	struct slice *lines = ARENA_ARRAY(arena, n, struct slice);
	struct slice line, rest = buf_slice(&reply->text);
	for (size_t i = 0; lines && i < n && left > 0; i++) {
		(void)slice_cut(rest, '\n', &line, &rest);
		struct slice kept = utf8_cut(line, left);
		left = kept.n < line.n ? 0 : left - kept.n;
		lines[i] = arena_copy(arena, kept);
		o->n_lines = i + 1;
	}
	o->lines = lines;
	if (arena_failed(arena))
		o->n_lines = 0;
}

struct smtp_outcome smtp_outcome_of_reply(const struct smtp_client *c, enum smtp_step step,
                                          struct arena *arena)
{
	uint16_t code = c->reply.code;
	struct smtp_outcome o = {.kind = kind_of_code(code), .step = step, .code = code};
	bool odd = code < 400;
	set_enhanced(&o, c->reply.enhanced[0] && !odd ? c->reply.enhanced
	                 : odd                        ? "4.5.0"
	                 : code >= 500                ? "5.0.0"
	                                              : "4.0.0");
	keep_lines(&c->reply, arena, &o);
	o.why = arena_printf(arena, "the server answered to %s %s %.*s", smtp_step_name(step),
	                     odd ? "with the unexpected reply" : "with",
	                     SLICE_FMT(utf8_cut(smtp_reply_in_line(&c->reply, 0), WHY_REPLY_MAX)));
	if (!o.why)
		o.why = "the server refused";
	return o;
}

struct smtp_outcome smtp_outcome_of_status(enum smtp_step step, struct status status,
                                           struct arena *arena)
{
	struct smtp_outcome o = {.kind = SMTP_OUTCOME_DEFERRED, .step = step};
	bool network = status.code == ERR_TIMEOUT || status.code == ERR_CLOSED ||
	               status.code == ERR_IO || status.code == ERR_CANCELED;
	set_enhanced(&o, network ? "4.4.2" : status.code == ERR_TLS ? "4.7.5" : "4.5.0");
	o.why = arena_printf(arena, "%s (at %s)", status.why, smtp_step_name(step));
	if (!o.why)
		o.why = "the connection failed";
	return o;
}

struct smtp_outcome smtp_outcome_local(enum smtp_outcome_kind kind, enum smtp_step step,
                                       const char *enhanced, const char *why)
{
	struct smtp_outcome o = {.kind = kind, .step = step, .why = why};
	set_enhanced(&o, enhanced);
	return o;
}

/* --- replies and commands --- */

struct status smtp_client_lost(struct smtp_client *c, enum smtp_step step, struct status status)
{
	c->broken = true;
	arena_reset(&c->arena);
	c->failure = smtp_outcome_of_status(step, status, &c->arena);
	return status;
}

struct status smtp_client_refused(struct smtp_client *c, enum smtp_step step)
{
	arena_reset(&c->arena);
	c->failure = smtp_outcome_of_reply(c, step, &c->arena);
	if (c->reply.code < 400) {
		c->broken = true;
		return fail(ERR_PROTOCOL, c->failure.why);
	}
	return fail(c->reply.code >= 500 ? ERR_PERMANENT : ERR_TEMPORARY, c->failure.why);
}

static struct status local_failure(struct smtp_client *c, enum smtp_step step, enum err code,
                                   const char *enhanced, const char *why)
{
	c->failure =
	        smtp_outcome_local(enhanced[0] == '5' ? SMTP_OUTCOME_FAILED : SMTP_OUTCOME_DEFERRED,
	                           step, enhanced, why);
	return fail(code, why);
}

/* "Not so much": RFC 5321 section 3.8, RFC 3463 X.3.2, X.4.5, and X.7.28 of the registry. */
static bool asks_for_less(const struct smtp_reply_in *reply)
{
	static const char *const codes[] = {"4.3.2", "4.4.5", "4.7.28"};
	for (size_t i = 0; i < N_ELEMENTS(codes); i++)
		if (strcmp(reply->enhanced, codes[i]) == 0)
			return true;
	return reply->code == 421;
}

/* What is left of the time for one step. */
static int cut_timeout(const struct smtp_client *c, int timeout_ms)
{
	if (c->until_ms == 0)
		return timeout_ms;
	int64_t left_ms = c->until_ms - clock_monotonic_ms(c->options.clock);
	return (int)MAX(MIN(left_ms, (int64_t)timeout_ms), (int64_t)1);
}

struct status smtp_client_read_reply(struct smtp_client *c, enum smtp_step step, int timeout_ms)
{
	struct status status = smtp_reply_in_read(&c->reply, c->options.stream, c->options.clock,
	                                          cut_timeout(c, timeout_ms));
	if (!is_ok(status))
		return smtp_client_lost(c, step, status);
	if (asks_for_less(&c->reply))
		c->busy = true;
	if (c->reply.code == 421)
		c->broken = true; /* the server closes (RFC 5321 section 3.8) */
	return ok();
}

struct status smtp_client_expect_quiet(struct smtp_client *c, enum smtp_step step)
{
	if (c->broken)
		return fail(ERR_CLOSED, "the connection is of no use any more");
	if (stream_buffered(c->options.stream).n == 0)
		return ok();
	TRY(smtp_client_read_reply(c, step, 1000));
	if (c->reply.code == 421)
		return smtp_client_refused(c, step);
	return smtp_client_lost(c, step,
	                        fail(ERR_PROTOCOL, "the server answered before it was asked"));
}

struct status smtp_client_write_line(struct smtp_client *c, const struct buf *line)
{
	if (buf_failed(line) || slice_has_control(buf_slice(line)))
		return fail(ERR_INVALID, "a command cannot be written");
	c->options.stream->write_timeout_ms = cut_timeout(c, c->options.timeouts.command_ms);
	TRY(stream_write(c->options.stream, buf_slice(line)));
	return stream_write(c->options.stream, SLICE("\r\n"));
}

struct status smtp_client_command(struct smtp_client *c, enum smtp_step step, struct slice text)
{
	CLEANUP(buf_done) struct buf line;
	buf_init(&line, SMTP_CLIENT_COMMAND_MAX);
	buf_add(&line, text);
	TRY(smtp_client_expect_quiet(c, step));
	struct status status = smtp_client_write_line(c, &line);
	if (!is_ok(status))
		return smtp_client_lost(c, step, status);
	return smtp_client_read_reply(c, step, c->options.timeouts.command_ms);
}

/* --- life --- */

void smtp_client_init(struct smtp_client *c, const struct smtp_client_options *options)
{
	*c = (struct smtp_client){.options = *options};
	c->options.timeouts = smtp_client_timeouts_or_default(&options->timeouts);
	smtp_reply_in_init(&c->reply);
	arena_init(&c->arena, FAILURE_MEMORY);
	c->failure = smtp_outcome_local(SMTP_OUTCOME_NONE, SMTP_STEP_CONNECT, "", "");
}

void smtp_client_done(struct smtp_client *c)
{
	smtp_reply_in_done(&c->reply);
	arena_done(&c->arena);
}

const struct smtp_outcome *smtp_client_failure(const struct smtp_client *c)
{
	return &c->failure;
}

bool smtp_client_usable(const struct smtp_client *c)
{
	return c->greeted && !c->broken &&
	       (c->ehlo.mail_max == 0 || c->n_transactions < c->ehlo.mail_max);
}

/* --- greeting and EHLO --- */

static struct status say(struct smtp_client *c, enum smtp_step step, const char *verb)
{
	CLEANUP(buf_done) struct buf line;
	buf_init(&line, SMTP_CLIENT_COMMAND_MAX);
	buf_printf(&line, "%s %s", verb, c->options.ehlo_name);
	return smtp_client_command(c, step, buf_slice(&line));
}

/* RFC 5321 section 3.2: a server that does not know EHLO gets HELO. */
static struct status hello(struct smtp_client *c)
{
	c->ehlo = (struct smtp_ehlo){.extended = false};
	TRY(say(c, SMTP_STEP_EHLO, "EHLO"));
	if (c->reply.code == 250) {
		smtp_ehlo_of_reply(&c->reply, &c->ehlo);
		return ok();
	}
	if (c->reply.code < 500 || c->reply.code > 504)
		return smtp_client_refused(c, SMTP_STEP_EHLO);
	TRY(say(c, SMTP_STEP_HELO, "HELO"));
	return c->reply.code == 250 ? ok() : smtp_client_refused(c, SMTP_STEP_HELO);
}

struct status smtp_client_greet(struct smtp_client *c)
{
	struct smtp_host name;
	struct slice text = slice_str(c->options.ehlo_name);
	if (slice_has_control(text) || !is_ok(smtp_helo_parse(text, &name)))
		return local_failure(c, SMTP_STEP_EHLO, ERR_INVALID, "4.3.5",
		                     "our own name for EHLO is no host name");
	TRY(smtp_client_read_reply(c, SMTP_STEP_GREETING, c->options.timeouts.greeting_ms));
	if (c->reply.code != 220)
		return smtp_client_refused(c, SMTP_STEP_GREETING);
	TRY(hello(c));
	c->greeted = true;
	return ok();
}

/* --- STARTTLS --- */

static struct status handshake(struct smtp_client *c)
{
	const struct smtp_client_tls *tls = c->options.tls;
	if (stream_buffered(c->options.stream).n > 0)
		return smtp_client_lost(c, SMTP_STEP_STARTTLS,
		                        fail(ERR_PROTOCOL, "something was sent in clear behind the "
		                                           "answer to STARTTLS"));
	struct status status =
	        tls->start(tls->context, c->options.stream, c->options.timeouts.tls_ms);
	if (!is_ok(status))
		return smtp_client_lost(c, SMTP_STEP_TLS, status);
	return ok();
}

/* RFC 3207 section 4.2: what the server said in clear is forgotten. */
struct status smtp_client_start_tls(struct smtp_client *c, bool required)
{
	if (!c->options.tls || c->options.stream->tls.on)
		return local_failure(c, SMTP_STEP_STARTTLS, ERR_UNSUPPORTED, "4.7.4",
		                     "this connection cannot start TLS");
	if (!required && !smtp_ehlo_has(&c->ehlo, SMTP_EXTENSION_STARTTLS))
		return local_failure(c, SMTP_STEP_STARTTLS, ERR_UNSUPPORTED, "4.7.4",
		                     "the server does not offer STARTTLS");
	TRY(smtp_client_command(c, SMTP_STEP_STARTTLS, SLICE("STARTTLS")));
	if (c->reply.code != 220)
		return smtp_client_refused(c, SMTP_STEP_STARTTLS);
	TRY(handshake(c));
	c->authenticated = false;
	return hello(c);
}

/* --- RSET and QUIT --- */

struct status smtp_client_reset(struct smtp_client *c)
{
	TRY(smtp_client_command(c, SMTP_STEP_RSET, SLICE("RSET")));
	if (c->reply.code != 250) {
		struct status status = smtp_client_refused(c, SMTP_STEP_RSET);
		c->broken = true; /* RSET cannot fail (RFC 5321 section 4.1.1.5) */
		return status;
	}
	c->in_transaction = false;
	return ok();
}

void smtp_client_quit(struct smtp_client *c)
{
	struct stream *stream = c->options.stream;
	if (c->broken || !c->greeted)
		return;
	c->until_ms = clock_monotonic_ms(c->options.clock) + c->options.timeouts.quit_ms;
	(void)smtp_client_command(c, SMTP_STEP_QUIT, SLICE("QUIT"));
	c->broken = true;
	stream_shutdown(stream);
}
