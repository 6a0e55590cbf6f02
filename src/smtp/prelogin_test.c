/* Submission before login as scripts: what the client sends, what it hears, how it ends; each at
 * several splits of the input. */
#include "smtp/prelogin.h"

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

static const char *const *test_mechanisms(void *context)
{
	static const char *const clear[] = {"ECHO", "PLAIN", NULL};
	static const char *const tls[] = {"PLUS", "ECHO", "PLAIN", NULL};
	const struct credentials *c = context;
	return c->stream->tls.on ? tls : clear;
}

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
	struct slice user, password;
	struct credentials *c = context;
	if (c->n_steps == 2)
		return test_start(context, SLICE("ECHO"), &response, challenge, ret_done);
	*ret_done = true;
	if (slice_cut(response, ':', &user, &password))
		return check(user, password);
	buf_add_str(challenge, "v=ok");
	return slice_eq_str(response, "yes") ? ok() : fail(ERR_SYNTAX, "yes was expected");
}

static void test_abort(void *context)
{
	((struct credentials *)context)->n_aborted++;
}

static const struct smtp_auth_ops auth = {test_mechanisms, test_start, test_step, test_abort};

enum flags { CLEAR = 1, STARTTLS = 2, TLS = 4 };

#define GREETING "220 mx.example.org ESMTP c1\r\n"
#define FIRST    "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 1000\r\n"
#define MIDDLE                                                                                     \
	"250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"              \
	"250-BINARYMIME\r\n250-DSN\r\n"
#define LATER        "250-FUTURERELEASE 86400 1970-01-02T00:00:00Z\r\n250-DELIVERBY\r\n250-MT-PRIORITY\r\n"
#define LAST         "250 LIMITS RCPTMAX=100\r\n"
#define HELLO        FIRST "250-AUTH ECHO PLAIN\r\n" MIDDLE LATER LAST
#define HELLO_CLOSED FIRST MIDDLE LAST
#define HELLO_START  FIRST "250-STARTTLS\r\n" MIDDLE LAST
#define HELLO_TLS    FIRST "250-AUTH PLUS ECHO PLAIN\r\n" MIDDLE LATER "250-REQUIRETLS\r\n" LAST
#define FAILED       "535 5.7.8 Authentication credentials invalid\r\n"
#define MALFORMED    "501 5.5.2 Not a valid message of this mechanism\r\n"
#define LOCKED       "530 5.7.0 Authentication required\r\n"
#define SYNC         "421 4.5.0 Cannot tell where the next command starts, closing\r\n"
#define OK           "250 2.0.0 OK\r\n"

struct session_case {
	unsigned flags;
	struct slice input;
	const char *output;
	enum err end;
	const char *rest; /* what belongs to the session, when it ends OK */
};

static void run_options(const struct session_case *k, size_t chunk, int total_ms)
{
	struct stream_mem m;
	struct credentials credentials = {.stream = &m.stream};
	stream_mem_init(&m, k->input, chunk);
	m.allow_tls = true;
	m.stream.tls.on = k->flags & TLS;
	struct smtp_prelogin_options options = {
	        .stream = &m.stream,
	        .clock = &test_clock,
	        .auth = &auth,
	        .auth_context = &credentials,
	        .hostname = "mx.example.org",
	        .cid = "c1",
	        .message_size = 1000,
	        .rcpts = 100,
	        .hold_s = 86400,
	        .allow_starttls = k->flags & STARTTLS,
	        .allow_plain_login = k->flags & CLEAR,
	        .wake_fd = -1,
	        .total_ms = total_ms,
	        .commands_max = 20,
	};
	struct status status = smtp_prelogin_run(&options);
	if (!slice_eq_str(stream_mem_output(&m), k->output))
		print_error("chunk %zu, input %.*s\ngot      %.*s\nexpected %s\n", chunk,
		            SLICE_FMT(k->input), SLICE_FMT(stream_mem_output(&m)), k->output);
	assert_true(slice_eq_str(stream_mem_output(&m), k->output));
	assert_string_equal(err_name(status.code), err_name(k->end));
	if (is_ok(status)) {
		struct slice rest = stream_buffered(&m.stream);
		assert_int_equal(rest.n + m.input.n - m.input_at, strlen(k->rest));
	}
	assert_int_equal(credentials.n_started - credentials.n_aborted, is_ok(status) ? 1 : 0);
	stream_mem_done(&m);
}

/* me:secret is bWU6c2VjcmV0, yes is eWVz, down:x is ZG93bjp4, locked:x is bG9ja2VkOng=, guesser:x
 * is Z3Vlc3Nlcjp4, x:y is eDp5 */
static const struct session_case cases[] = {
        {CLEAR, SLICE("EHLO c\r\nAUTH PLAIN bWU6c2VjcmV0\r\n"), GREETING HELLO, ERR_OK, ""},
        {CLEAR, SLICE("ehlo c\r\nauth plain  bWU6c2VjcmV0 \r\nMAIL FROM:<>\r\n"), GREETING HELLO,
         ERR_OK, "MAIL FROM:<>\r\n"},
        {CLEAR, SLICE("EHLO c\r\nAUTH PLAIN\r\nbWU6c2VjcmV0\r\nrest"), GREETING HELLO "334 \r\n",
         ERR_OK, "rest"},
        {CLEAR, SLICE("EHLO c\r\nAUTH ECHO bWU6c2VjcmV0\r\neWVz\r\n\r\n"),
         GREETING HELLO "334 bW9yZQ==\r\n334 dj1vaw==\r\n", ERR_OK, ""},
        {TLS, SLICE("EHLO c\r\nAUTH PLUS bWU6c2VjcmV0\r\n"), GREETING HELLO_TLS, ERR_OK, ""},
        /* the other commands */
        {CLEAR, SLICE("NOOP x\r\nRSET\r\nHELP\r\nHELO c\r\nQUIT\r\n"),
         GREETING OK OK
         "214 2.0.0 Commands before login: EHLO HELO STARTTLS AUTH NOOP RSET HELP QUIT\r\n"
         "250 mx.example.org\r\n221 2.0.0 Goodbye\r\n",
         ERR_CANCELED, NULL},
        {CLEAR,
         SLICE("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\nVRFY x\r\nEXPN "
               "x\r\nNOOP\r\n"),
         GREETING HELLO LOCKED LOCKED LOCKED LOCKED LOCKED OK, ERR_CLOSED, NULL},
        {CLEAR, SLICE("MAIL FROM:<a@b>\r\nAUTH PLAIN bWU6c2VjcmV0\r\n"),
         GREETING "503 5.5.1 Send EHLO first\r\n503 5.5.1 Send EHLO first\r\n", ERR_CLOSED, NULL},
        {CLEAR, SLICE("HELO c\r\nAUTH PLAIN bWU6c2VjcmV0\r\n"), /* RFC 4954 is an extension */
         GREETING "250 mx.example.org\r\n503 5.5.1 Send EHLO first\r\n", ERR_CLOSED, NULL},
        {CLEAR, SLICE("EHLO\r\nEHLO a b\r\nXYZ\r\nTURN\r\nQUIT now\r\nRSET x\r\nSTARTTLS\r\n"),
         GREETING "501 5.5.4 Expected a domain name or an address literal\r\n"
                  "501 5.5.4 Expected a domain name or an address literal\r\n"
                  "500 5.5.1 Unknown command\r\n502 5.5.1 Command is not implemented\r\n"
                  "501 5.5.4 This command takes no argument\r\n"
                  "501 5.5.4 This command takes no argument\r\n"
                  "502 5.5.1 TLS is not offered\r\n",
         ERR_CLOSED, NULL},
        /* AUTH that goes wrong */
        {CLEAR, SLICE("EHLO c\r\nAUTH ECHO bWU6c2VjcmV0\r\neWVz\r\n*\r\nNOOP\r\n"),
         GREETING HELLO "334 bW9yZQ==\r\n334 dj1vaw==\r\n501 5.7.0 Authentication cancelled\r\n" OK,
         ERR_CLOSED, NULL},
        {CLEAR, SLICE("EHLO c\r\nAUTH ECHO bWU6c2VjcmV0\r\neWVz\r\neWVz\r\nNOOP\r\n"),
         GREETING HELLO "334 bW9yZQ==\r\n334 dj1vaw==\r\n" MALFORMED OK, ERR_CLOSED, NULL},
        {CLEAR, SLICE("EHLO c\r\nAUTH PLAIN\r\n*\r\nNOOP\r\n"),
         GREETING HELLO "334 \r\n501 5.7.0 Authentication cancelled\r\n" OK, ERR_CLOSED, NULL},
        {CLEAR, SLICE("EHLO c\r\nAUTH PLAIN =\r\nAUTH PLAIN bWU6c\r\nAUTH\r\nAUTH NTLM\r\n"),
         GREETING HELLO MALFORMED "501 5.5.2 Cannot decode, expected base64\r\n"
                                  "501 5.5.4 Invalid argument\r\n"
                                  "504 5.5.4 Authentication mechanism is not offered\r\n",
         ERR_CLOSED, NULL},
        {CLEAR,
         SLICE("EHLO c\r\nAUTH PLUS\r\nAUTH AVERYLONGMECHANISMNAMEINDEED\r\nAUTH PLAIN\r\nbW!\r\n"),
         GREETING HELLO "504 5.5.4 Authentication mechanism is not offered\r\n"
                        "504 5.5.4 Authentication mechanism is not offered\r\n"
                        "334 \r\n501 5.5.2 Cannot decode, expected base64\r\n",
         ERR_CLOSED, NULL},
        {CLEAR, SLICE("EHLO c\r\nAUTH PLAIN\r\nbWU6"), GREETING HELLO "334 \r\n", ERR_CLOSED, NULL},
        {CLEAR,
         SLICE("EHLO c\r\nAUTH PLAIN ZG93bjp4\r\nAUTH PLAIN bG9ja2VkOng=\r\n"
               "AUTH PLAIN Z3Vlc3Nlcjp4\r\nNOOP\r\n"),
         GREETING HELLO "454 4.7.0 Logging in does not work at the moment, try again later\r\n"
                        "535 5.7.1 This account may not log in here\r\n" FAILED
                        "421 4.7.0 Too many errors, closing\r\n",
         ERR_AUTH, NULL},
        {CLEAR,
         SLICE("EHLO c\r\nAUTH PLAIN eDp5\r\nAUTH PLAIN eDp5\r\nAUTH PLAIN eDp5\r\n"
               "AUTH PLAIN bWU6c2VjcmV0\r\n"),
         GREETING HELLO FAILED FAILED FAILED "421 4.7.0 Too many errors, closing\r\n", ERR_AUTH,
         NULL},
        /* lines that are none */
        {CLEAR, SLICE("EHLO c\nAUTH PLAIN bWU6c2VjcmV0\r\n"), GREETING SYNC, ERR_PROTOCOL, NULL},
        {CLEAR, SLICE("EHLO c\r\nAUTH PLAIN\r\nbWU6c2VjcmV0\n"), GREETING HELLO "334 \r\n" SYNC,
         ERR_PROTOCOL, NULL},
        {CLEAR, SLICE("EHLO\0c\r\nNOOP\r\n"), GREETING SYNC, ERR_PROTOCOL, NULL},
        {CLEAR, SLICE("EHLO\rc\r\nNOOP\r\n"), GREETING SYNC, ERR_PROTOCOL, NULL},
        {CLEAR, SLICE("BDAT 5 LAST\r\nQUIT\r\n"), GREETING SYNC, ERR_PROTOCOL, NULL},
        {CLEAR, SLICE("GET / HTTP/1.1\r\nHost: x\r\n"),
         GREETING "500 5.5.2 This is an SMTP server and that was not SMTP\r\n", ERR_PROTOCOL, NULL},
        {CLEAR, SLICE("\x16\x03\x01\x02"),
         GREETING "500 5.5.2 This is an SMTP server and that was not SMTP\r\n", ERR_PROTOCOL, NULL},
        {CLEAR, SLICE("X\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nNOOP\r\n"),
         GREETING "500 5.5.1 Unknown command\r\n500 5.5.1 Unknown command\r\n"
                  "500 5.5.1 Unknown command\r\n500 5.5.1 Unknown command\r\n"
                  "500 5.5.1 Unknown command\r\n500 5.5.1 Unknown command\r\n"
                  "500 5.5.1 Unknown command\r\n500 5.5.1 Unknown command\r\n"
                  "500 5.5.1 Unknown command\r\n500 5.5.1 Unknown command\r\n"
                  "421 4.7.0 Too many errors, closing\r\n",
         ERR_PROTOCOL, NULL},
        {CLEAR,
         SLICE("NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"
               "NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"
               "EHLO c\r\n"),
         GREETING OK OK OK OK OK OK OK OK OK OK OK OK OK OK OK OK OK OK OK OK
         "421 4.7.0 Too many commands in one session, closing\r\n",
         ERR_PROTOCOL, NULL},
        /* without TLS */
        {0, SLICE("EHLO c\r\nAUTH PLAIN bWU6c2VjcmV0\r\nMAIL FROM:<>\r\n"),
         GREETING HELLO_CLOSED "538 5.7.11 Authentication needs TLS\r\n" LOCKED, ERR_CLOSED, NULL},
        {STARTTLS, SLICE("EHLO c\r\nAUTH ECHO\r\nMAIL FROM:<>\r\nSTARTTLS x\r\n"),
         GREETING HELLO_START "538 5.7.11 Authentication needs TLS\r\n"
                              "530 5.7.0 Must issue a STARTTLS command first\r\n"
                              "501 5.5.4 This command takes no argument\r\n",
         ERR_CLOSED, NULL},
        {TLS | STARTTLS, SLICE("EHLO c\r\nSTARTTLS\r\n"),
         GREETING HELLO_TLS "503 5.5.1 TLS is already active\r\n", ERR_CLOSED, NULL},
};

static void sessions_run_as_they_should_at_any_split(void **state)
{
	static const size_t chunks[] = {0, 1, 2, 3, 5, 11, 64};
	(void)state;
	now_ms = 1000;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (size_t k = 0; k < N_ELEMENTS(chunks); k++)
			run_options(&cases[i], chunks[k], 0);
}

/* RFC 3207 section 4.2: what was sent in clear behind STARTTLS is not run as a command, and the
 * EHLO before it is forgotten. */
static void plaintext_behind_starttls_is_forgotten(void **state)
{
	static const struct session_case injected = {
	        STARTTLS, SLICE("EHLO c\r\nSTARTTLS\r\nEHLO c\r\nAUTH PLAIN bWU6c2VjcmV0\r\n"),
	        GREETING HELLO_START "220 2.0.0 Ready for TLS\r\n", ERR_CLOSED, NULL};
	(void)state;
	run_options(&injected, 0, 0);
}

static bool feed_after_tls(struct stream_mem *m, void *context)
{
	unsigned *n_fed = context;
	static const char *const inputs[] = {"EHLO c\r\nSTARTTLS\r\n", "AUTH PLAIN x\r\n",
	                                     "EHLO c\r\nAUTH PLUS bWU6c2VjcmV0\r\n"};
	if (*n_fed == N_ELEMENTS(inputs))
		return false;
	stream_mem_feed(m, slice_str(inputs[(*n_fed)++]));
	return true;
}

static void starttls_begins_anew(void **state)
{
	(void)state;
	struct stream_mem m;
	unsigned n_fed = 0;
	stream_mem_init(&m, slice_empty(), 0);
	m.allow_tls = true;
	m.more = feed_after_tls;
	m.context = &n_fed;
	struct credentials credentials = {.stream = &m.stream};
	struct smtp_prelogin_options options = {.stream = &m.stream,
	                                        .clock = &test_clock,
	                                        .auth = &auth,
	                                        .auth_context = &credentials,
	                                        .hostname = "mx.example.org",
	                                        .cid = "c1",
	                                        .message_size = 1000,
	                                        .rcpts = 100,
	                                        .hold_s = 86400,
	                                        .allow_starttls = true,
	                                        .wake_fd = -1};
	assert_true(is_ok(smtp_prelogin_run(&options)));
	assert_true(slice_eq_str(stream_mem_output(&m),
	                         GREETING HELLO_START "220 2.0.0 Ready for TLS\r\n"
	                                              "503 5.5.1 Send EHLO first\r\n" HELLO_TLS));
	stream_mem_done(&m);
}

static void long_lines_end_the_session(void **state)
{
	(void)state;
	struct buf input;
	buf_init(&input, 64 * KIB);
	buf_add_str(&input, "EHLO c\r\nAUTH PLAIN ");
	while (input.n < 2 * SMTP_AUTH_LINE_MAX)
		buf_add_byte(&input, 'A');
	buf_add_str(&input, "\r\nNOOP\r\n");
	struct session_case k = {CLEAR, buf_slice(&input),
	                         GREETING HELLO
	                         "500 5.5.6 Authentication exchange line is too long\r\n",
	                         ERR_PROTOCOL, NULL};
	run_options(&k, 0, 0);
	run_options(&k, 1000, 0);
	buf_done(&input);
}

static void slow_clients_are_cut_off(void **state)
{
	static const struct session_case slow = {CLEAR, SLICE("NOOP\r\n"),
	                                         GREETING "421 4.4.2 Waited too long, closing\r\n",
	                                         ERR_TIMEOUT, NULL};
	(void)state;
	run_options(&slow, 1, -1); /* over before it began */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sessions_run_as_they_should_at_any_split),
	        cmocka_unit_test(plaintext_behind_starttls_is_forgotten),
	        cmocka_unit_test(starttls_begins_anew),
	        cmocka_unit_test(long_lines_end_the_session),
	        cmocka_unit_test(slow_clients_are_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
