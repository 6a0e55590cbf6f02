/* Session scripts of the reception: limits, time, every split of the input, smuggling. */
#include "smtp/server_test.h"

/* --- limits --- */

static void small_limits(struct smtp_server_options *options)
{
	options->limits = (struct smtp_server_limits){.message_size = 20,
	                                              .discard_size = 40,
	                                              .header_size = 12,
	                                              .received = 1,
	                                              .rcpts = 2,
	                                              .transactions = 3,
	                                              .commands = 30,
	                                              .idle_commands = 4,
	                                              .errors = 3,
	                                              .refused_rcpts = 2,
	                                              .envelope_memory = 64 * KIB};
}

static void little_memory(struct smtp_server_options *options)
{
	options->limits.envelope_memory = 1600;
}

#define TOO_MANY_ERRORS "S: 421 4.7.0 Too many errors, closing\n"

static const struct script_case limit_cases[] = {
        {"limits are announced",
         "S: 220 *\nC: EHLO x.example\nS: 250-mx.example.org\nS: 250-PIPELINING\nS: 250-SIZE 20\n"
         "S: 250-STARTTLS\nS: 250-8BITMIME\nS: 250-ENHANCEDSTATUSCODES\nS: 250-SMTPUTF8\n"
         "S: 250-CHUNKING\nS: 250-BINARYMIME\nS: 250-DSN\nS: 250 LIMITS RCPTMAX=2 MAILMAX=3\n"
         "C: MAIL FROM:<> SIZE=21\nS: 552 5.3.4 *\nC: MAIL FROM:<> SIZE=20\nS: 250 *\n" QUIT,
         NULL, small_limits},
        {"a message of just the limit",
         HELO MAIL RCPT DATA "C: \nC: 0123456789012345\nC: .\n" KEPT QUIT, NULL, small_limits},
        {"one octet more is read to its end and refused",
         HELO MAIL RCPT DATA "C: \nC: 01234567890123456\nC: x\nC: .\nS: 552 5.3.4 Message is "
                             "larger than the limit\n" QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\n", small_limits},
        {"one that does not end is cut off",
         HELO MAIL RCPT DATA
         "C: \nC: 0123456789012345678901234567890123456789\nC: 0123456789\nC: 0123456789\n"
         "S: 552 5.3.4 *\n",
         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\nevent: closing\n", small_limits},
        {"a chunk that is too large is read and refused",
         HELO MAIL RCPT "C: BDAT 21 LAST\nD: 012345678901234567890\nS: 552 5.3.4 *\n" QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "open chunked\nabort\nreset\n", small_limits},
        {"chunks that are too large together",
         HELO MAIL RCPT "C: BDAT 4\nD: \\r\\nxx\nS: 250 *\n"
                        "C: BDAT 17\nD: 01234567890123456\nS: 552 5.3.4 *\n"
                        "C: BDAT 0 LAST\nS: 503 *\n" QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "open chunked\nabort\nreset\n", small_limits},
        {"a chunk without end is cut off",
         HELO MAIL RCPT "C: BDAT 18446744073709551615\n"
                        "D: 012345678901234567890123456789012345678901\nS: 552 5.3.4 *\n",
         LOG_HELO LOG_MAIL LOG_RCPT "open chunked\nabort\nreset\nevent: closing\n", small_limits},
        {"a large header",
         HELO MAIL RCPT DATA "C: A: b\nC: C: d\nC: E\nC: .\n"
                             "S: 552 5.3.4 Message header is larger *\n" QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\n", small_limits},
        {"recipients",
         HELO MAIL RCPT RCPT "C: RCPT TO:<w@example.org>\nS: 452 4.5.3 Too many recipients\n" DATA
                             "C: .\n" KEPT QUIT,
         NULL, small_limits},
        {"memory of the envelope",
         HELO MAIL RCPT RCPT RCPT RCPT RCPT RCPT RCPT RCPT
         "C: RCPT TO:<w@example.org>\n"
         "S: 452 4.5.3 Envelope takes too much memory, send fewer recipients\n"
         "C: RCPT TO:<w@example.org>\nS: 452 4.5.3 Env*\n" DATA "C: .\n" KEPT MAIL RCPT QUIT,
         NULL, little_memory},
        {"transactions",
         HELO MAIL "C: RSET\nS: 250 *\n" MAIL "C: RSET\nS: 250 *\n" MAIL "C: RSET\nS: 250 *\n"
                   "C: MAIL FROM:<>\n"
                   "S: 421 4.7.0 Too many transactions in one session, connect again\n",
         NULL, small_limits},
        {"idle commands",
         HELO "C: NOOP\nS: 250 *\nC: RSET\nS: 250 *\nC: NOOP\nS: 250 *\n"
              "C: NOOP\nS: 421 4.7.0 Too many commands in one session, closing\n",
         NULL, small_limits},
        {"idle commands count anew after a message",
         HELO "C: NOOP\nS: 250 *\nC: RSET\nS: 250 *\nC: NOOP\nS: 250 *\n" MAIL RCPT DATA
              "C: .\n" KEPT "C: NOOP\nS: 250 *\nC: RSET\nS: 250 *\nC: NOOP\nS: 250 *\n" QUIT,
         NULL, small_limits},
        {"errors",
         HELO "C: FOO\nS: 500 *\nC: EXPN\nS: 502 *\nC: DATA\nS: 503 *\nC: BAR\nS: 500 "
              "*\n" TOO_MANY_ERRORS,
         NULL, small_limits},
        {"refused recipients",
         HELO MAIL "C: RCPT TO:<nobody@example.org>\nS: 550 *\n"
                   "C: RCPT TO:<a@x.example>\nS: 550 *\n"
                   "C: RCPT TO:<nobody@example.org>\nS: 550 *\n" TOO_MANY_ERRORS,
         NULL, small_limits},
};

static void limits_hold(void **state)
{
	(void)state;
	run_cases(limit_cases, N_ELEMENTS(limit_cases));
}

static void few_received(struct smtp_server_options *options)
{
	options->limits.received = 2;
}

static void routing_loops_are_refused(void **state)
{
	(void)state;
	static const struct script_case cases[] = {
	        {"as many as allowed, more in the body",
	         HELO MAIL RCPT DATA
	         "C: Received: 1\nC: received : 2\nC: \nC: Received: 3\nC: .\n" KEPT QUIT,
	         NULL, few_received},
	        {"one more",
	         HELO MAIL RCPT DATA
	         "C: Received: 1\nC: Received: 2\nC:  folded\nC: RECEIVED: 3\nC: \nC: .\n"
	         "S: 554 5.4.6 Routing loop: too many Received header fields\n" QUIT,
	         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\n", few_received},
	        {"by BDAT",
	         HELO MAIL RCPT
	         "C: BDAT 33 LAST\nD: Received:\\r\\nReceived:\\r\\nReceived:\\r\\n\n"
	         "S: 554 5.4.6 *\n" QUIT,
	         NULL, few_received},
	};
	run_cases(cases, N_ELEMENTS(cases));
}

/* 2,000 octets are taken, 3,000 are not; the rest of the line is no command. */
static void long_command_lines_are_refused(void **state)
{
	(void)state;
	for (size_t n = SMTP_LINE_MAX - 6; n < SMTP_LINE_MAX + 6; n++) {
		CLEANUP(buf_done) struct buf text;
		buf_init(&text, 8 * SMTP_LINE_MAX);
		buf_add_str(&text, HELO "C: NOOP ");
		for (size_t i = strlen("NOOP \r\n"); i < n; i++)
			buf_add_byte(&text, 'x');
		buf_add_str(&text, n <= SMTP_LINE_MAX ? "\nS: 250 2.0.0 OK\n"
		                                      : "\nS: 500 5.5.2 Line is too long\n");
		buf_add_str(&text, QUIT);
		struct script_case c = {"long line", buf_cstr(&text), LOG_HELO, NULL};
		run_cases(&c, 1);
	}
}

static void endless_command_lines_end_the_session(void **state)
{
	(void)state;
	static const char *const verbs[] = {"NOOP ", "BDAT "};
	for (size_t v = 0; v < N_ELEMENTS(verbs); v++) {
		CLEANUP(buf_done) struct buf text;
		buf_init(&text, MIB);
		buf_printf(&text, "S: 220 *\nD: %s", verbs[v]);
		for (size_t i = 0; i < 270000; i++)
			buf_add_byte(&text, 'x');
		buf_add_str(&text, "\nS: 500 5.5.2 Line is too long\nS: 421 4.5.0 *\n");
		struct script_case c = {"endless line", buf_cstr(&text), "event: closing\n", NULL};
		assert_true(run_case(&c, 0));
	}
}

/* --- time --- */

static void wakeable(struct smtp_server_options *options)
{
	options->wake_fd = 0;
}

static void short_session(struct smtp_server_options *options)
{
	options->timeouts.session_ms = 1000;
}

#define WAITED "S: 421 4.4.2 Waited too long, closing\n"

static const struct script_case time_cases[] = {
        {"no command comes", "S: 220 *\nE: timeout\n" WAITED, "event: closing\n", NULL},
        {"no command comes, with a wake fd", "S: 220 *\nE: timeout\n" WAITED, "event: closing\n",
         wakeable},
        {"half a command comes", HELO "D: NOO\nE: timeout\n" WAITED, LOG_HELO "event: closing\n",
         NULL},
        {"a command that drips in", HELO "D: N\nT: 200000\nD: O\nT: 200000\n" WAITED,
         LOG_HELO "event: closing\n", NULL},
        {"DATA stops", HELO MAIL RCPT DATA "C: x\nE: timeout\n" WAITED,
         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\nevent: closing\n", NULL},
        {"a false end is answered, but not believed",
         HELO MAIL RCPT DATA "D: x\\n.\\n\nE: timeout\n" REFUSED,
         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\nevent: closing\n", NULL},
        {"DATA drips in below the least rate",
         HELO MAIL RCPT DATA "C: 0123456789\nT: 59000\nC: 0123456789\nT: 2000\nC: x\n"
                             "S: 421 4.4.2 Message came too slowly, closing\n",
         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\nevent: closing\n", NULL},
        {"a slow start is forgiven", HELO MAIL RCPT DATA "C: x\nT: 59000\nC: x\nC: .\n" KEPT QUIT,
         NULL, NULL},
        {"a chunk drips in",
         HELO MAIL RCPT "C: BDAT 100\nD: 0123456789\nT: 61000\nD: x\nS: 421 4.4.2 *\n", NULL, NULL},
        {"the room shuts down", HELO MAIL "E: wake\nS: 421 4.3.2 Shutting down, try again soon\n",
         LOG_HELO LOG_MAIL "reset\nevent: closing\n", wakeable},
        {"the room shuts down while half a command is there",
         HELO "D: NOO\nE: wake\nS: 421 4.3.2 *\n", LOG_HELO "event: closing\n", wakeable},
        {"a wakeable session works", HELO MAIL RCPT DATA "C: .\n" KEPT QUIT, NULL, wakeable},
        {"the session lasts too long",
         HELO "T: 1001\nC: NOOP\nS: 250 *\nS: 421 4.4.2 Session lasted too long, connect again\n",
         NULL, short_session},
};

static void time_is_limited(void **state)
{
	(void)state;
	run_cases(time_cases, N_ELEMENTS(time_cases));
}

/* --- every split --- */

/* All a session can do in one pipelined input. */
static const char all_at_once[] =
        "EHLO client.example\r\nMAIL FROM:<a@b.example> SIZE=99\r\nRCPT TO:<u@example.org>\r\n"
        "RCPT TO:<nobody@example.org>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.x\r\n\r\n.\r\n"
        "NO\rOP\r\nNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<\"a b\"@example.org>\r\nBDAT 7\r\n\r\n.\r\nab"
        "BDAT 3 LAST\r\ncd\nMAIL FROM:<>\r\nRCPT TO:<u@example.org>\r\nDATA\r\nbare\n.\r\n.\n"
        "x\r.\r\n.\r\nVRFY x\r\nFOO\r\nRSET\r\nHELP\r\nQUIT\r\nNOOP\r\n";

struct pieces {
	struct slice second;
};

static bool feed_second(struct stream_mem *m, void *context)
{
	struct pieces *pieces = context;
	if (pieces->second.n == 0)
		return false;
	stream_mem_feed(m, pieces->second);
	pieces->second = slice_empty();
	return true;
}

static void run_split(size_t at, struct buf *ret_output, struct buf *ret_log)
{
	struct slice input = slice_str(all_at_once);
	struct pieces pieces = {.second = slice_from(input, at)};
	struct stream_mem mem;
	struct smtp_fake fake;
	struct smtp_server_options options;
	struct smtp_server_summary summary;
	stream_mem_init(&mem, slice_sub(input, 0, at), 0);
	mem.more = feed_second;
	mem.context = &pieces;
	smtp_fake_init(&fake);
	smtp_fake_options(&fake, &mem.stream, &options);
	smtp_server_run(&options, &summary);
	assert_int_equal(summary.n_accepted, 2);
	assert_true(summary.quit);
	buf_add(ret_output, stream_mem_output(&mem));
	buf_add(ret_log, buf_slice(&fake.log));
	stream_mem_done(&mem);
	smtp_fake_done(&fake);
}

static void a_session_is_the_same_at_every_split(void **state)
{
	(void)state;
	CLEANUP(buf_done) struct buf output, log;
	buf_init(&output, MIB);
	buf_init(&log, MIB);
	run_split(0, &output, &log);
	for (size_t at = 1; at <= strlen(all_at_once); at++) {
		CLEANUP(buf_done) struct buf output2, log2;
		buf_init(&output2, MIB);
		buf_init(&log2, MIB);
		run_split(at, &output2, &log2);
		assert_true(slice_eq(buf_slice(&output), buf_slice(&output2)));
		assert_true(slice_eq(buf_slice(&log), buf_slice(&log2)));
	}
}

/* --- smuggling --- */

/* What a client sends between DATA and the real end, with a second message inside. Each is refused
 * as one message, and what looks like commands in it runs nowhere. */
static void smuggled_messages_are_refused_whole(void **state)
{
	(void)state;
	static const char *const ends[] = {
	        "\\n.\\n",
	        "\\n.\\r\\n",
	        "\\r\\n.\\n",
	        "\\r.\\r",
	        "\\r.\\r\\n",
	        "\\r\\n.\\r",
	        "\\n.\\r",
	        "\\r.\\n",
	        "\\r\\r\\n.\\n",
	        "\\n\\n.\\r\\n",
	        "\\x00.\\r\\n",
	        "\\r\\n.\\x00\\r\\n",
	        "\\r\\n\\x00.\\r\\n",
	        "\\r\\n.\\r\\x00\\n",
	        "\\r\\n.\\r\\r\\n",
	        "\\n.\\n\\r\\n",
	        "\\r\\n.\\n\\n",
	        "\\r\\n\\r.\\r\\n",
	};
	for (size_t i = 0; i < N_ELEMENTS(ends); i++) {
		CLEANUP(buf_done) struct buf text;
		buf_init(&text, MIB);
		buf_printf(&text,
		           HELO MAIL RCPT DATA
		           "D: one%sMAIL FROM:<evil@b.example>\\r\\nRCPT TO:<u@example.org>\\r\\n"
		           "DATA\\r\\ntwo\nC: \nC: .\n" REFUSED QUIT,
		           ends[i]);
		struct script_case c = {
		        ends[i], buf_cstr(&text),
		        LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nevent: smuggling\nreset\n", NULL};
		run_cases(&c, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(limits_hold),
	        cmocka_unit_test(routing_loops_are_refused),
	        cmocka_unit_test(long_command_lines_are_refused),
	        cmocka_unit_test(endless_command_lines_end_the_session),
	        cmocka_unit_test(time_is_limited),
	        cmocka_unit_test(a_session_is_the_same_at_every_split),
	        cmocka_unit_test(smuggled_messages_are_refused_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
