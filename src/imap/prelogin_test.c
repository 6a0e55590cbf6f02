/* Prelogin sessions as scripts: what the client sends, what the server answers, how it ends; each
 * at several splits of the input. */
#include "imap/prelogin.h"

#include "base/stream_mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#undef fail /* cmocka's; ours makes a status */

static int64_t now_ms;

static int64_t test_now_us(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static int64_t test_monotonic_ms(const struct clock *clock)
{
	(void)clock;
	return now_ms;
}

static const struct clock test_clock = {test_now_us, test_monotonic_ms};

struct credentials {
	const struct stream *stream;
	unsigned n_started, n_aborted;
	unsigned n_steps;
};

static struct status check(struct slice user, struct slice password)
{
	if (slice_eq_str(user, "down"))
		return fail(ERR_TEMPORARY, "the vault is away");
	if (slice_eq_str(user, "locked"))
		return fail(ERR_DENIED, "not this account");
	if (slice_eq_str(user, "guesser"))
		return fail(ERR_LIMIT, "too many");
	if (slice_eq_str(user, "me") && slice_eq_str(password, "secret"))
		return ok();
	return fail(ERR_AUTH, "wrong");
}

static struct status test_login(void *context, struct slice user, struct slice password)
{
	(void)context;
	return check(user, password);
}

/* PLAIN takes "user:password"; ECHO asks twice and gives data with its success. */
static struct status test_start(void *context, struct slice mechanism, const struct slice *initial,
                                struct buf *challenge, bool *ret_done)
{
	struct credentials *c = context;
	c->n_started++;
	c->n_steps = slice_ieq_str(mechanism, "ECHO") ? 2 : 1;
	if (!initial)
		return ok();
	struct slice user, password;
	if (!slice_cut(*initial, ':', &user, &password))
		return fail(ERR_SYNTAX, "no colon");
	*ret_done = c->n_steps == 1;
	if (!*ret_done)
		buf_add_str(challenge, "more");
	c->n_steps--;
	return check(user, password);
}

static struct status test_step(void *context, struct slice response, struct buf *challenge,
                               bool *ret_done)
{
	struct credentials *c = context;
	bool first = c->n_steps == 2;
	if (first)
		return test_start(context, SLICE("ECHO"), &response, challenge, ret_done);
	if (!first && slice_find(response, SLICE(":")) != SIZE_MAX) {
		struct slice user, password;
		slice_cut(response, ':', &user, &password);
		*ret_done = true;
		return check(user, password);
	}
	*ret_done = true;
	buf_add_str(challenge, "v=ok");
	return slice_eq_str(response, "yes") ? ok() : fail(ERR_SYNTAX, "yes was expected");
}

static void test_abort(void *context)
{
	((struct credentials *)context)->n_aborted++;
}

static const char *const *test_mechanisms(void *context)
{
	static const char *const clear[] = {"PLAIN", "ECHO", NULL};
	static const char *const tls[] = {"PLAIN", "ECHO", "PLUS", NULL};
	const struct credentials *c = context;
	return c->stream->tls.on ? tls : clear;
}

static const struct imap_auth_ops auth = {test_mechanisms, test_login, test_start, test_step,
                                          test_abort};

enum flags { CLEAR = 1, STARTTLS = 2, TLS = 4 };

#define CAPA    "IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR ID ENABLE IDLE UTF8=ACCEPT"
#define OPEN    "* OK [CAPABILITY " CAPA " AUTH=PLAIN AUTH=ECHO] hello\r\n"
#define CLOSED  "* OK [CAPABILITY " CAPA " LOGINDISABLED] hello\r\n"
#define UPGRADE "* OK [CAPABILITY " CAPA " STARTTLS LOGINDISABLED] hello\r\n"

struct session_case {
	unsigned flags;
	struct slice input;
	const char *output;
	enum err end;
	const char *tag;  /* when it ends OK */
	const char *rest; /* what belongs to the session */
};

static void run_case(const struct session_case *k, size_t chunk)
{
	struct stream_mem m;
	struct credentials credentials = {.stream = &m.stream};
	struct imap_prelogin_result result = {{0}};
	stream_mem_init(&m, k->input, chunk);
	m.allow_tls = true;
	m.stream.tls.on = k->flags & TLS;
	struct imap_prelogin_options options = {
	        .stream = &m.stream,
	        .clock = &test_clock,
	        .auth = &auth,
	        .auth_context = &credentials,
	        .allow_starttls = k->flags & STARTTLS,
	        .allow_plain_login = k->flags & CLEAR,
	        .greeting = "hello",
	};
	struct status status = imap_prelogin_run(&options, &result);
	if (!slice_eq_str(stream_mem_output(&m), k->output))
		print_error("chunk %zu, input %.*s\ngot      %.*s\nexpected %s\n", chunk,
		            SLICE_FMT(k->input), SLICE_FMT(stream_mem_output(&m)), k->output);
	assert_true(slice_eq_str(stream_mem_output(&m), k->output));
	assert_string_equal(err_name(status.code), err_name(k->end));
	if (is_ok(status)) {
		assert_string_equal(result.tag, k->tag);
		struct slice rest = stream_buffered(&m.stream);
		size_t unread = m.input.n - m.input_at;
		assert_int_equal(rest.n + unread, strlen(k->rest));
	}
	bool by_sasl = is_ok(status) && credentials.n_started > credentials.n_aborted;
	assert_int_equal(credentials.n_started - credentials.n_aborted, by_sasl ? 1 : 0);
	stream_mem_done(&m);
}

static const struct session_case cases[] = {
        {CLEAR, SLICE("a LOGIN me secret\r\n"), OPEN, ERR_OK, "a", ""},
        {CLEAR, SLICE("a login \"me\" {6+}\r\nsecret\r\nb SELECT x\r\n"), OPEN, ERR_OK, "a",
         "b SELECT x\r\n"},
        {CLEAR, SLICE("a LOGIN {2}\r\nme {6}\r\nsecret\r\n"), OPEN "+ OK\r\n+ OK\r\n", ERR_OK, "a",
         ""},
        {CLEAR, SLICE("a CAPABILITY\r\nb NOOP\r\nc LOGOUT\r\n"),
         OPEN "* CAPABILITY " CAPA " AUTH=PLAIN AUTH=ECHO\r\na OK CAPABILITY done\r\n"
              "b OK NOOP done\r\n* BYE Goodbye\r\nc OK LOGOUT done\r\n",
         ERR_CANCELED, NULL, NULL},
        {CLEAR, SLICE("a ID (\"name\" \"x\")\r\nb ID NIL\r\nc ID\r\nd LOGOUT\r\n"),
         OPEN "* ID (\"name\" \"mailkeep\")\r\na OK ID done\r\n"
              "* ID (\"name\" \"mailkeep\")\r\nb OK ID done\r\nc BAD a single space is missing\r\n"
              "* BYE Goodbye\r\nd OK LOGOUT done\r\n",
         ERR_CANCELED, NULL, NULL},
        /* SASL */
        {CLEAR, SLICE("a AUTHENTICATE PLAIN bWU6c2VjcmV0\r\n"), OPEN, ERR_OK, "a", ""},
        {CLEAR, SLICE("a AUTHENTICATE plain\r\nbWU6c2VjcmV0\r\nrest"), OPEN "+ \r\n", ERR_OK, "a",
         "rest"},
        {CLEAR, SLICE("a AUTHENTICATE ECHO bWU6c2VjcmV0\r\neWVz\r\n\r\n"),
         OPEN "+ bW9yZQ==\r\n+ dj1vaw==\r\n", ERR_OK, "a", ""},
        {CLEAR, SLICE("a AUTHENTICATE ECHO bWU6c2VjcmV0\r\neWVz\r\n*\r\n"),
         OPEN "+ bW9yZQ==\r\n+ dj1vaw==\r\na BAD Cancelled as asked\r\n", ERR_CLOSED, NULL, NULL},
        {CLEAR, SLICE("a AUTHENTICATE ECHO bWU6c2VjcmV0\r\neWVz\r\neWVz\r\n"),
         OPEN "+ bW9yZQ==\r\n+ dj1vaw==\r\na BAD that is no valid SASL message\r\n", ERR_CLOSED,
         NULL, NULL},
        {CLEAR, SLICE("a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n"),
         OPEN "+ \r\na BAD Cancelled as asked\r\nb OK NOOP done\r\n", ERR_CLOSED, NULL, NULL},
        {CLEAR, SLICE("a AUTHENTICATE PLAIN =\r\n"), OPEN "a BAD that is no valid SASL message\r\n",
         ERR_CLOSED, NULL, NULL},
        {CLEAR, SLICE("a AUTHENTICATE PLAIN bWU6\x01\r\nb AUTHENTICATE PLAIN \r\n"),
         OPEN "a BAD the initial response is not base64\r\n"
              "b BAD AUTHENTICATE takes a mechanism and an initial response in base64\r\n",
         ERR_CLOSED, NULL, NULL},
        {CLEAR,
         SLICE("a AUTHENTICATE PLAIN\r\nbW!\r\nb AUTHENTICATE NTLM\r\nc AUTHENTICATE PLUS\r\n"
               "d AUTHENTICATE\r\n"),
         OPEN "+ \r\na BAD that is no valid SASL message\r\n"
              "b NO [CANNOT] This mechanism is not offered\r\n"
              "c NO [CANNOT] This mechanism is not offered\r\n"
              "d BAD AUTHENTICATE takes a mechanism and an initial response in base64\r\n",
         ERR_CLOSED, NULL, NULL},
        {CLEAR, SLICE("a AUTHENTICATE PLAIN\r\nbWU6"), OPEN "+ \r\n", ERR_CLOSED, NULL, NULL},
        /* what goes wrong */
        {CLEAR, SLICE("a LOGIN me wrong\r\nb LOGIN me\r\nc LOGIN me secret x\r\nd LOGIN\r\n"),
         OPEN "a NO [AUTHENTICATIONFAILED] User name or password is wrong\r\n"
              "b BAD a single space is missing\r\nc BAD LOGIN takes a user name and a password\r\n"
              "d BAD a single space is missing\r\n",
         ERR_CLOSED, NULL, NULL},
        {CLEAR, SLICE("a LOGIN down x\r\nb LOGIN locked x\r\nc LOGIN guesser x\r\nd NOOP\r\n"),
         OPEN "a NO [UNAVAILABLE] Logging in does not work at the moment, try again later\r\n"
              "b NO [AUTHORIZATIONFAILED] This account may not log in here\r\n"
              "c NO [AUTHENTICATIONFAILED] User name or password is wrong\r\n"
              "* BYE Too many failed logins\r\n",
         ERR_AUTH, NULL, NULL},
        {CLEAR, SLICE("a LOGIN x y\r\nb LOGIN x y\r\nc LOGIN x y\r\nd LOGIN me secret\r\n"),
         OPEN "a NO [AUTHENTICATIONFAILED] User name or password is wrong\r\n"
              "b NO [AUTHENTICATIONFAILED] User name or password is wrong\r\n"
              "c NO [AUTHENTICATIONFAILED] User name or password is wrong\r\n"
              "* BYE Too many failed logins\r\n",
         ERR_AUTH, NULL, NULL},
        {CLEAR, SLICE("GET / HTTP/1.1\r\nHost: x\r\n\r\na SELECT x\r\nb XYZ\r\nc NOOP\r\n"),
         OPEN "GET BAD Unknown command, or one that needs a login first\r\n"
              "Host: BAD Unknown command, or one that needs a login first"
              "\r\n* BAD a command starts with a tag\r\n"
              "a BAD Unknown command, or one that needs a login first\r\n"
              "b BAD Unknown command, or one that needs a login first\r\n"
              "* BYE Too many commands that make no sense\r\n",
         ERR_PROTOCOL, NULL, NULL},
        {CLEAR, SLICE("a LOGIN {4097+}\r\n"), OPEN, ERR_CLOSED, NULL, NULL},
        {CLEAR, SLICE("a LOGIN {8193}\r\nb NOOP\r\n"),
         OPEN "a BAD the command's literals are too large\r\nb OK NOOP done\r\n", ERR_CLOSED, NULL,
         NULL},
        {CLEAR, SLICE("a LOGIN {99999999+}\r\nb NOOP\r\n"),
         OPEN "* BYE the literal is far too large\r\n", ERR_PROTOCOL, NULL, NULL},
        {CLEAR, SLICE("a NOOP\nb NOOP \r\nc NOOP\r\n"),
         OPEN
         "a BAD a line must end in CR LF\r\nb BAD NOOP takes no arguments\r\nc OK NOOP done\r\n",
         ERR_CLOSED, NULL, NULL},
        {CLEAR, SLICE("a STARTTLS\r\nb NOOP\r\n"),
         OPEN "a BAD TLS is not available here\r\nb OK NOOP done\r\n", ERR_CLOSED, NULL, NULL},
        /* without TLS */
        {0, SLICE("a LOGIN me secret\r\nb AUTHENTICATE PLAIN bWU6c2VjcmV0\r\n"),
         CLOSED "a NO [PRIVACYREQUIRED] Logging in needs TLS\r\n"
                "b NO [PRIVACYREQUIRED] Logging in needs TLS\r\n",
         ERR_CLOSED, NULL, NULL},
        {STARTTLS, SLICE("a LOGIN me secret\r\nb STARTTLS x\r\n"),
         UPGRADE "a NO [PRIVACYREQUIRED] Use STARTTLS first\r\n"
                 "b BAD STARTTLS takes no arguments\r\n",
         ERR_CLOSED, NULL, NULL},
        {TLS, SLICE("a AUTHENTICATE PLUS bWU6c2VjcmV0\r\n"),
         "* OK [CAPABILITY " CAPA " AUTH=PLAIN AUTH=ECHO AUTH=PLUS] hello\r\n", ERR_OK, "a", ""},
        {TLS | STARTTLS, SLICE("a STARTTLS\r\n"),
         "* OK [CAPABILITY " CAPA " AUTH=PLAIN AUTH=ECHO AUTH=PLUS] hello\r\n"
         "a BAD TLS is on already\r\n",
         ERR_CLOSED, NULL, NULL},
};

static void sessions_run_as_they_should_at_any_split(void **state)
{
	static const size_t chunks[] = {0, 1, 2, 3, 5, 11, 64};
	(void)state;
	now_ms = 1000;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (size_t k = 0; k < N_ELEMENTS(chunks); k++)
			run_case(&cases[i], chunks[k]);
}

/* RFC 9051 section 6.2.1: what was sent in clear behind STARTTLS is not run as a command. */
static void plaintext_behind_starttls_is_forgotten(void **state)
{
	static const struct session_case injected = {STARTTLS,
	                                             SLICE("a STARTTLS\r\nb LOGIN me secret\r\n"),
	                                             UPGRADE "a OK Begin TLS negotiation now\r\n",
	                                             ERR_CLOSED,
	                                             NULL,
	                                             NULL};
	(void)state;
	run_case(&injected, 0);
}

static void slow_clients_are_cut_off(void **state)
{
	static const struct session_case slow = {CLEAR,
	                                         SLICE("a NOOP\r\n"),
	                                         OPEN "* BYE Too slow, log in next time\r\n",
	                                         ERR_TIMEOUT,
	                                         NULL,
	                                         NULL};
	(void)state;
	struct stream_mem m;
	struct credentials credentials = {.stream = &m.stream};
	struct imap_prelogin_result result;
	stream_mem_init(&m, slow.input, 1);
	struct imap_prelogin_options options = {
	        .stream = &m.stream,
	        .clock = &test_clock,
	        .auth = &auth,
	        .auth_context = &credentials,
	        .allow_plain_login = true,
	        .greeting = "hello",
	        .total_ms = -1, /* over before it began */
	};
	assert_int_equal(imap_prelogin_run(&options, &result).code, ERR_TIMEOUT);
	assert_true(slice_eq_str(stream_mem_output(&m), slow.output));
	stream_mem_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sessions_run_as_they_should_at_any_split),
	        cmocka_unit_test(plaintext_behind_starttls_is_forgotten),
	        cmocka_unit_test(slow_clients_are_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
