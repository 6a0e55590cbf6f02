/* Session scripts of submission: what comes behind a login. */
#include "smtp/server_test.h"

static void submission(struct smtp_server_options *options)
{
	options->submission = true;
	options->offer_tls = false;
}

static void in_tls(struct smtp_server_options *options)
{
	submission(options);
	options->stream->tls.on = true;
}

static void with_greeting(struct smtp_server_options *options)
{
	submission(options);
	options->greet = true;
}

#define AFTER                                                                                      \
	"S: 250-8BITMIME\nS: 250-ENHANCEDSTATUSCODES\nS: 250-SMTPUTF8\nS: 250-CHUNKING\n"          \
	"S: 250-BINARYMIME\nS: 250-DSN\n"                                                          \
	"S: 250-FUTURERELEASE 5184000 1970-03-02T00:16:40Z\nS: 250-DELIVERBY\nS: "                 \
	"250-MT-PRIORITY\n"
#define EHLO                                                                                       \
	"C: EHLO client.example\nS: 250-mx.example.org\nS: 250-PIPELINING\nS: 250-SIZE 67108864\n"
#define LIMITS "S: 250 LIMITS RCPTMAX=1000 MAILMAX=1000\n"

static const struct script_case cases[] = {
        {"MAIL at once, and a further EHLO",
         MAIL RCPT DATA "C: x\nC: .\n" KEPT EHLO AFTER LIMITS MAIL RCPT QUIT,
         LOG_MAIL LOG_RCPT "open\nend 3 x\\r\\n\nreset\n" LOG_HELLO LOG_MAIL LOG_RCPT "reset\n",
         submission},
        {"REQUIRETLS is announced in TLS only", EHLO AFTER "S: 250-REQUIRETLS\n" LIMITS QUIT,
         LOG_HELLO, in_tls},
        {"a login by the connection itself gets a greeting",
         "S: 220 mx.example.org ESMTP c1\nC: MAIL FROM:<a@client.example>\n"
         "S: 503 5.5.1 Send EHLO first\n" EHLO AFTER LIMITS MAIL QUIT,
         LOG_HELLO LOG_MAIL "reset\n", with_greeting},
        {"AUTH and STARTTLS are over",
         "C: AUTH PLAIN AAAA\nS: 503 5.5.1 Already authenticated\n"
         "C: STARTTLS\nS: 502 5.5.1 TLS is not offered\n" QUIT,
         "", submission},
        {"in TLS STARTTLS is over as well",
         "C: AUTH PLAIN\nS: 503 5.5.1 Already authenticated\n"
         "C: STARTTLS\nS: 503 5.5.1 TLS is already active\n" QUIT,
         "", in_tls},
        {"the parameters of submission are kept",
         "C: MAIL FROM:<a@b.example> HOLDFOR=3600 BY=120;RT MT-PRIORITY=-3 REQUIRETLS\n"
         "S: 250 2.1.0 Sender OK\nC: RSET\nS: 250 2.0.0 OK\n"
         "C: MAIL FROM:<a@b.example> HOLDUNTIL=1970-01-02T02:00:00+02:00 BY=-5;N MT-PRIORITY=9\n"
         "S: 250 2.1.0 Sender OK\n" QUIT,
         "mail <a@b.example> HOLDFOR=3600 BY=120;RT MT-PRIORITY=-3 REQUIRETLS\nreset\n"
         "mail <a@b.example> HOLDUNTIL=1970-01-02T00:00:00Z BY=-5;N MT-PRIORITY=9\nreset\n",
         in_tls},
        {"a time that is past is no hold",
         "C: MAIL FROM:<a@b.example> HOLDUNTIL=1970-01-01T00:00:01Z\nS: 250 2.1.0 Sender OK\n" QUIT,
         NULL, submission},
        {"held for too long",
         "C: MAIL FROM:<a@b.example> HOLDFOR=5184001\nS: 501 5.5.4 Held for longer than the limit\n"
         "C: MAIL FROM:<a@b.example> HOLDUNTIL=1970-03-02T00:16:41Z\nS: 501 5.5.4 *\n"
         "C: MAIL FROM:<a@b.example> HOLDUNTIL=1970-03-02T00:16:40Z\n"
         "S: 250 2.1.0 Sender OK\n" QUIT,
         NULL, submission},
        {"REQUIRETLS in clear",
         "C: MAIL FROM:<a@b.example> REQUIRETLS\n"
         "S: 530 5.7.10 REQUIRETLS needs TLS on this connection too\n" QUIT,
         NULL, submission},
        {"bad parameters",
         "C: MAIL FROM:<> HOLDFOR=\nS: 501 5.5.4 *\nC: MAIL FROM:<> HOLDFOR=0\nS: 501 5.5.4 *\n"
         "C: MAIL FROM:<> HOLDFOR=1 HOLDUNTIL=1970-01-01T00:00:01Z\nS: 501 5.5.4 *\n"
         "C: MAIL FROM:<> HOLDUNTIL=1970-01-01T00:00:01Z HOLDFOR=1\nS: 501 5.5.4 *\n"
         "C: MAIL FROM:<> BY=0;R\nS: 501 5.5.4 *\nC: MAIL FROM:<> BY=1;X\nS: 501 5.5.4 *\n"
         "C: MAIL FROM:<> MT-PRIORITY=10\nS: 501 5.5.4 *\n" QUIT,
         NULL, submission},
        {"port 25 knows little of it",
         HELO "C: MAIL FROM:<> HOLDFOR=1\nS: 555 5.5.4 Unknown parameter\n"
              "C: MAIL FROM:<> BY=1;R\nS: 555 *\nC: MAIL FROM:<> MT-PRIORITY=1\nS: 555 *\n"
              "C: MAIL FROM:<> REQUIRETLS\nS: 530 *\n" QUIT,
         LOG_HELO, NULL},
        {"a slip at the start is forgiven", "C: XYZ\nS: 500 5.5.1 Unknown command\n" MAIL QUIT,
         LOG_MAIL "reset\n", submission},
        {"smuggling is refused here too",
         MAIL RCPT DATA "D: x\\n.\\nMAIL FROM:<c@d>\\r\\n.\\r\\n\n" REFUSED QUIT, NULL, submission},
};

static void submission_sessions_run_as_they_should(void **state)
{
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* Values of MAIL's parameters: what they are, or NULL for what is refused. */
static const struct {
	const char *text, *printed;
} values[] = {
        {" HOLDFOR=1", " HOLDFOR=1"},
        {" HOLDFOR=999999999", " HOLDFOR=999999999"},
        {" HOLDUNTIL=2026-11-22t10:00:00z", " HOLDUNTIL=2026-11-22T10:00:00Z"},
        {" HOLDUNTIL=2026-11-22T10:00:00.123Z", " HOLDUNTIL=2026-11-22T10:00:00Z"},
        {" HOLDUNTIL=2026-01-01T01:00:00+05:30", " HOLDUNTIL=2025-12-31T19:30:00Z"},
        {" HOLDUNTIL=2024-02-29T23:59:60-00:00", " HOLDUNTIL=2024-03-01T00:00:00Z"},
        {" BY=+5;r", " BY=5;R"},
        {" BY=-999999999;NT", " BY=-999999999;NT"},
        {" BY=0;N", " BY=0;N"},
        {" MT-PRIORITY=0", " MT-PRIORITY=0"},
        {" MT-PRIORITY=-9", " MT-PRIORITY=-9"},
        {" requiretls", " REQUIRETLS"},
        {" HOLDFOR", NULL},
        {" HOLDFOR=", NULL},
        {" HOLDFOR=0", NULL},
        {" HOLDFOR=-1", NULL},
        {" HOLDFOR=1000000000", NULL},
        {" HOLDFOR=0000000001", NULL},
        {" HOLDFOR=1 HOLDFOR=1", NULL},
        {" HOLDUNTIL=2026-11-22", NULL},
        {" HOLDUNTIL=2026-11-22T10:00:00", NULL},
        {" HOLDUNTIL=2026-11-22T10:00Z", NULL},
        {" HOLDUNTIL=2026-11-22T10:00:00ZZ", NULL},
        {" HOLDUNTIL=2026-11-22T24:00:00Z", NULL},
        {" HOLDUNTIL=2026-13-01T10:00:00Z", NULL},
        {" HOLDUNTIL=2026-00-01T10:00:00Z", NULL},
        {" HOLDUNTIL=2026-02-29T10:00:00Z", NULL},
        {" HOLDUNTIL=1969-01-01T10:00:00Z", NULL},
        {" HOLDUNTIL=1970-01-01T00:00:00+01:00", NULL},
        {" HOLDUNTIL=9999-12-31T23:59:59-01:00", NULL},
        {" HOLDUNTIL=26-11-22T10:00:00Z", NULL},
        {" HOLDUNTIL=2026-11-22T10:00:00.Z", NULL},
        {" HOLDUNTIL=2026-11-22T10:00:00+24:00", NULL},
        {" HOLDUNTIL=2026-11-22T10:00:00+0100", NULL},
        {" HOLDUNTIL=2026-11-22T10:00:0aZ", NULL},
        {" BY=", NULL},
        {" BY=;R", NULL},
        {" BY=5", NULL},
        {" BY=5;", NULL},
        {" BY=5;X", NULL},
        {" BY=5;RX", NULL},
        {" BY=5;RTT", NULL},
        {" BY=5;T", NULL},
        {" BY=0;R", NULL},
        {" BY=-5;R", NULL},
        {" BY=--5;N", NULL},
        {" BY=1234567890;N", NULL},
        {" MT-PRIORITY=", NULL},
        {" MT-PRIORITY=10", NULL},
        {" MT-PRIORITY=-10", NULL},
        {" MT-PRIORITY=+1", NULL},
        {" MT-PRIORITY=-0", NULL},
        {" MT-PRIORITY=01", NULL},
        {" MT-PRIORITY=-", NULL},
        {" MT-PRIORITY=a", NULL},
        {" REQUIRETLS=yes", NULL},
        {" REQUIRETLS REQUIRETLS", NULL},
};

static void parameters_are_understood_exactly(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		struct arena arena;
		struct buf printed;
		struct smtp_mail_params params;
		arena_init(&arena, 4096);
		buf_init(&printed, 1000);
		enum smtp_reply_id id =
		        smtp_mail_params_parse(slice_str(values[i].text), &arena, &params);
		if ((id == SMTP_REPLY_NONE) != (values[i].printed != NULL))
			fail_msg("%s: %d", values[i].text, (int)id);
		if (values[i].printed) {
			smtp_mail_params_print(&params, &printed);
			assert_string_equal(buf_cstr(&printed), values[i].printed);
		}
		buf_done(&printed);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(submission_sessions_run_as_they_should),
	        cmocka_unit_test(parameters_are_understood_exactly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
