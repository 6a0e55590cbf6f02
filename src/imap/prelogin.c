/* IMAP before login (RFC 9051 sections 6.1 and 6.2; SASL-IR RFC 4959; ID RFC 2971).
 *
 * LOGIN and every SASL mechanism are refused without TLS unless allow_plain_login: LOGINDISABLED is
 * announced and no AUTH= (RFC 9051 section 6.2.3). STARTTLS forgets everything, including plaintext
 * the client sent too early (stream_start_tls drops it; section 6.2.1).
 *
 * Limits: a line of LINE_MAX bytes, LITERALS_MAX literals of together LITERALS_SIZE bytes, an
 * overall deadline, failures_max failed logins, bad_max useless commands.
 */
#include "imap/prelogin.h"

#include "base/encode.h"
#include "imap/id.h"
#include "imap/out.h"
#include "imap/reader.h"

#define LINE_MAX_SIZE ((size_t)8 * 1024)
#define LITERALS_MAX  64u /* ID may have two for each of its pairs */
#define LITERALS_SIZE ((uint64_t)8 * 1024)
#define NON_SYNC_MAX  4096u /* LITERAL-, RFC 7888 section 5 */
#define DISCARD_MAX   ((uint64_t)64 * 1024)
#define ARENA_SIZE    ((size_t)64 * 1024)
#define CHALLENGE_MAX ((size_t)16 * 1024)

enum outcome {
	NEXT,          /* go on */
	AUTHENTICATED, /* over, well */
	LEAVE,         /* over: p->status says why */
};

struct prelogin {
	const struct imap_prelogin_options *options;
	struct imap_reader reader;
	struct imap_out out;
	struct arena arena;
	struct slice tag;
	struct status status;
	unsigned n_failures;
	unsigned n_bad;
};

struct prelogin_command {
	const char *name;
	enum outcome (*run)(struct prelogin *p, struct cursor *args);
};

static bool may_authenticate(const struct prelogin *p)
{
	return p->options->stream->tls.on || p->options->allow_plain_login;
}

static bool may_starttls(const struct prelogin *p)
{
	return p->options->allow_starttls && !p->options->stream->tls.on;
}

static const char *const *mechanisms(const struct prelogin *p)
{
	return p->options->auth->mechanisms(p->options->auth_context);
}

static void write_mechanisms(struct prelogin *p)
{
	for (const char *const *names = mechanisms(p); *names; names++)
		imap_out_printf(&p->out, " AUTH=%.64s", *names);
}

static void write_capabilities(struct prelogin *p)
{
	/* The last three count after login only: clients such as Python's imaplib look but once. */
	imap_out_str(&p->out,
	             "CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID ENABLE IDLE UTF8=ACCEPT");
	if (may_starttls(p))
		imap_out_str(&p->out, " STARTTLS");
	if (!may_authenticate(p)) {
		imap_out_str(&p->out, " LOGINDISABLED");
		return;
	}
	write_mechanisms(p);
}

/* Answers the command: "TAG " text CRLF. */
static enum outcome answer(struct prelogin *p, const char *text)
{
	imap_out_slice(&p->out, p->tag);
	imap_out_printf(&p->out, " %s\r\n", text);
	return NEXT;
}

static enum outcome bad(struct prelogin *p, const char *why)
{
	p->n_bad++;
	imap_out_slice(&p->out, p->tag);
	imap_out_printf(&p->out, " BAD %s\r\n", why);
	return NEXT;
}

static enum outcome leave(struct prelogin *p, enum err code, const char *bye)
{
	imap_out_printf(&p->out, "* BYE %s\r\n", bye);
	p->status = fail(code, bye);
	return LEAVE;
}

static enum outcome lost(struct prelogin *p, struct status status)
{
	p->status = status;
	return LEAVE;
}

static enum outcome cmd_capability(struct prelogin *p, struct cursor *args)
{
	if (!cursor_at_end(args))
		return bad(p, "CAPABILITY takes no arguments");
	imap_out_str(&p->out, "* ");
	write_capabilities(p);
	imap_out_str(&p->out, "\r\n");
	return answer(p, "OK CAPABILITY done");
}

static enum outcome cmd_noop(struct prelogin *p, struct cursor *args)
{
	return cursor_at_end(args) ? answer(p, "OK NOOP done") : bad(p, "NOOP takes no arguments");
}

static enum outcome cmd_logout(struct prelogin *p, struct cursor *args)
{
	if (!cursor_at_end(args))
		return bad(p, "LOGOUT takes no arguments");
	imap_out_str(&p->out, "* BYE Goodbye\r\n");
	answer(p, "OK LOGOUT done");
	p->status = fail(ERR_CANCELED, "the client logged out");
	return LEAVE;
}

static enum outcome cmd_id(struct prelogin *p, struct cursor *args)
{
	struct status status = imap_id_parse(args, &p->arena);
	if (!is_ok(status))
		return bad(p, status.why);
	imap_id_answer(&p->out);
	return answer(p, "OK ID done");
}

static enum outcome cmd_starttls(struct prelogin *p, struct cursor *args)
{
	if (!cursor_at_end(args))
		return bad(p, "STARTTLS takes no arguments");
	if (p->options->stream->tls.on)
		return bad(p, "TLS is on already");
	if (!may_starttls(p))
		return bad(p, "TLS is not available here");
	answer(p, "OK Begin TLS negotiation now");
	imap_out_flush(&p->out);
	if (!imap_out_ok(&p->out))
		return lost(p, p->out.status);
	struct status status = stream_start_tls(p->options->stream);
	if (!is_ok(status))
		return lost(p, status);
	p->n_bad = 0;
	p->n_failures = 0;
	return NEXT;
}

/* RFC 5530 tells the client which kind of failure it was. */
static enum outcome refuse_login(struct prelogin *p, struct status status)
{
	if (status.code == ERR_SYNTAX)
		return bad(p, "that is no valid SASL message");
	if (status.code == ERR_AUTH || status.code == ERR_LIMIT) {
		answer(p, "NO [AUTHENTICATIONFAILED] User name or password is wrong");
		p->n_failures++;
		unsigned max = p->options->failures_max ? p->options->failures_max : 3;
		if (status.code == ERR_LIMIT || p->n_failures >= max)
			return leave(p, ERR_AUTH, "Too many failed logins");
		return NEXT;
	}
	if (status.code == ERR_DENIED)
		return answer(p, "NO [AUTHORIZATIONFAILED] This account may not log in here");
	if (status.code == ERR_UNSUPPORTED)
		return answer(p, "NO [CANNOT] This mechanism cannot be used here");
	return answer(p,
	              "NO [UNAVAILABLE] Logging in does not work at the moment, try again later");
}

static enum outcome refuse_insecure(struct prelogin *p)
{
	return answer(p, may_starttls(p) ? "NO [PRIVACYREQUIRED] Use STARTTLS first"
	                                 : "NO [PRIVACYREQUIRED] Logging in needs TLS");
}

static enum outcome cmd_login(struct prelogin *p, struct cursor *args)
{
	imap_sp(args);
	struct slice user = imap_astring(args, &p->arena);
	imap_sp(args);
	struct slice password = imap_astring(args, &p->arena);
	cursor_expect_end(args, "LOGIN takes a user name and a password");
	if (!cursor_ok(args))
		return bad(p, args->why);
	if (!may_authenticate(p))
		return refuse_insecure(p);
	struct status status = p->options->auth->login(p->options->auth_context, user, password);
	return is_ok(status) ? AUTHENTICATED : refuse_login(p, status);
}

static bool offers(const struct prelogin *p, struct slice mechanism)
{
	for (const char *const *names = mechanisms(p); *names; names++)
		if (slice_ieq_str(mechanism, *names))
			return true;
	return false;
}

/* Sends a challenge and reads the response. CANCELED: "*". SYNTAX: no base64. */
static struct status exchange(struct prelogin *p, struct buf *challenge, struct buf *response)
{
	struct buf text;
	struct slice line;
	buf_init(&text, CHALLENGE_MAX * 2);
	base64_encode(buf_slice(challenge), &text);
	imap_out_str(&p->out, "+ ");
	imap_out_slice(&p->out, buf_slice(&text));
	imap_out_str(&p->out, "\r\n");
	buf_done(&text);
	buf_reset(challenge);
	TRY(p->out.status);
	TRY(imap_reader_line(&p->reader, &line));
	if (slice_eq_str(line, "*"))
		return fail(ERR_CANCELED, "the client cancelled");
	buf_reset(response);
	return base64_decode(line, response);
}

/* The server's data with success has no place in IMAP's OK: it goes as a last challenge, which the
 * client answers with nothing (RFC 9051 section 6.2.2). */
static struct status finish_sasl(struct prelogin *p, struct buf *challenge, struct buf *response)
{
	if (challenge->n == 0)
		return ok();
	TRY(exchange(p, challenge, response));
	return response->n == 0 ? ok() : fail(ERR_SYNTAX, "nothing was expected");
}

static struct status run_sasl(struct prelogin *p, struct slice mechanism,
                              const struct slice *initial, struct buf *challenge,
                              struct buf *response)
{
	const struct imap_auth_ops *auth = p->options->auth;
	void *context = p->options->auth_context;
	bool done = false;
	TRY(auth->start(context, mechanism, initial, challenge, &done));
	while (!done) {
		TRY(exchange(p, challenge, response));
		TRY(auth->step(context, buf_slice(response), challenge, &done));
	}
	return finish_sasl(p, challenge, response);
}

static bool connection_is_over(enum err code)
{
	return code == ERR_CLOSED || code == ERR_TIMEOUT || code == ERR_IO || code == ERR_TLS ||
	       code == ERR_PROTOCOL;
}

static enum outcome authenticate(struct prelogin *p, struct slice mechanism,
                                 const struct slice *initial)
{
	struct buf challenge, response;
	buf_init(&challenge, CHALLENGE_MAX);
	buf_init(&response, CHALLENGE_MAX);
	struct status status = run_sasl(p, mechanism, initial, &challenge, &response);
	buf_done(&challenge);
	buf_done(&response);
	if (is_ok(status))
		return AUTHENTICATED;
	p->options->auth->abort(p->options->auth_context);
	if (status.code == ERR_CANCELED)
		return bad(p, "Cancelled as asked");
	if (status.code == ERR_TIMEOUT)
		return leave(p, ERR_TIMEOUT, "Too slow");
	return connection_is_over(status.code) ? lost(p, status) : refuse_login(p, status);
}

/* authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]; initial-resp = base64 / "=" */
static enum outcome cmd_authenticate(struct prelogin *p, struct cursor *args)
{
	imap_sp(args);
	struct slice mechanism = imap_atom(args);
	bool has_initial = cursor_skip(args, ' ');
	struct slice encoded = has_initial ? cursor_rest(args) : slice_empty();
	if (!has_initial)
		cursor_expect_end(args, "AUTHENTICATE takes a mechanism and an initial response");
	if (!cursor_ok(args) || (has_initial && encoded.n == 0))
		return bad(p, "AUTHENTICATE takes a mechanism and an initial response in base64");
	if (!may_authenticate(p))
		return refuse_insecure(p);
	if (!offers(p, mechanism))
		return answer(p, "NO [CANNOT] This mechanism is not offered");
	/* The unit's memory is reused by the lines that follow. */
	mechanism = arena_copy(&p->arena, mechanism);
	struct buf initial;
	buf_init(&initial, CHALLENGE_MAX);
	struct status status = slice_eq_str(encoded, "=") ? ok() : base64_decode(encoded, &initial);
	struct slice bytes = arena_copy(&p->arena, buf_slice(&initial));
	buf_done(&initial);
	if (!is_ok(status))
		return bad(p, "the initial response is not base64");
	return authenticate(p, mechanism, has_initial ? &bytes : NULL);
}

static const struct prelogin_command commands[] = {
        {"CAPABILITY", cmd_capability}, {"NOOP", cmd_noop},
        {"LOGOUT", cmd_logout},         {"ID", cmd_id},
        {"LOGIN", cmd_login},           {"AUTHENTICATE", cmd_authenticate},
        {"STARTTLS", cmd_starttls},
};

static enum outcome run_command(struct prelogin *p)
{
	struct cursor c = cursor_of(buf_slice(&p->reader.unit));
	p->tag = arena_copy(&p->arena, imap_tag(&c));
	imap_sp(&c);
	struct slice name = imap_atom(&c);
	if (!cursor_ok(&c)) {
		if (p->tag.n == 0)
			p->tag = SLICE("*");
		return bad(p, c.why);
	}
	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		if (slice_ieq_str(name, commands[i].name))
			return commands[i].run(p, &c);
	return bad(p, "Unknown command, or one that needs a login first");
}

/* The tag of a command that was cut but cannot be used. */
static void find_tag(struct prelogin *p)
{
	struct cursor c = cursor_of(buf_slice(&p->reader.unit));
	p->tag = arena_copy(&p->arena, imap_tag(&c));
	if (p->tag.n == 0 || cursor_peek(&c) != ' ')
		p->tag = SLICE("*");
}

static enum outcome step(struct prelogin *p)
{
	unsigned bad_max = p->options->bad_max ? p->options->bad_max : 5;
	arena_reset(&p->arena);
	if (p->n_bad >= bad_max)
		return leave(p, ERR_PROTOCOL, "Too many commands that make no sense");
	struct status status = imap_reader_next(&p->reader);
	if (is_ok(status))
		return run_command(p);
	find_tag(p);
	if (status.code == ERR_SYNTAX || status.code == ERR_LIMIT)
		return bad(p, status.why);
	if (status.code == ERR_TIMEOUT)
		return leave(p, ERR_TIMEOUT, "Too slow, log in next time");
	if (status.code == ERR_PROTOCOL)
		return leave(p, ERR_PROTOCOL, status.why);
	return lost(p, status);
}

static void greet(struct prelogin *p)
{
	const char *text = p->options->greeting ? p->options->greeting : "mailkeep ready";
	imap_out_str(&p->out, "* OK [");
	write_capabilities(p);
	imap_out_printf(&p->out, "] %.500s\r\n", text);
}

static enum outcome run(struct prelogin *p)
{
	enum outcome outcome = NEXT;
	greet(p);
	while (outcome == NEXT) {
		outcome = step(p);
		if (!imap_out_ok(&p->out))
			return lost(p, p->out.status);
	}
	return outcome;
}

struct status imap_prelogin_run(const struct imap_prelogin_options *options,
                                struct imap_prelogin_result *ret_result)
{
	static const struct imap_reader_limits limits = {
	        .line_max = LINE_MAX_SIZE,
	        .literal_max = LITERALS_SIZE,
	        .non_sync_max = NON_SYNC_MAX,
	        .total_max = LITERALS_SIZE,
	        .literals_max = LITERALS_MAX,
	        .discard_max = DISCARD_MAX,
	};
	struct prelogin p = {.options = options, .status = ok()};
	imap_reader_init(&p.reader, options->stream, &limits);
	imap_out_init(&p.out, options->stream);
	arena_init(&p.arena, ARENA_SIZE);
	p.reader.clock = options->clock;
	p.reader.deadline_ms = clock_monotonic_ms(options->clock) +
	                       (options->total_ms ? options->total_ms : 3 * 60 * 1000);
	options->stream->timeout_ms = options->timeout_ms ? options->timeout_ms : 60 * 1000;
	enum outcome outcome = run(&p);
	if (outcome == AUTHENTICATED) {
		memcpy(ret_result->tag, p.tag.p, p.tag.n);
		ret_result->tag[p.tag.n] = 0;
	}
	imap_out_flush(&p.out);
	arena_done(&p.arena);
	if (p.reader.unit.p && p.reader.unit.n > 0)
		explicit_bzero(p.reader.unit.p, p.reader.unit.n); /* it may hold a password */
	imap_reader_done(&p.reader);
	return outcome == AUTHENTICATED ? ok() : p.status;
}
