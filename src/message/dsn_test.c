/* Delivery status notifications: golden messages, hostile facts, those of other systems. */
#include "message/dsn.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#undef fail

#define assert_ok(expr)             assert_int_equal((expr).code, ERR_OK)
#define assert_err(expr, expected)  assert_int_equal((expr).code, (expected))
#define assert_text(expr, expected) assert_string_equal((expr), (expected))

#define OUT_MAX ((size_t)4 * 1024 * 1024)

static void assert_slice(struct slice s, const char *expected)
{
	char text[4096];
	snprintf(text, sizeof(text), "%.*s", SLICE_FMT(s));
	assert_text(text, expected);
}

/* Line by line, so that a difference is seen. */
static void assert_lines(struct slice got, const char *expected)
{
	struct slice want = slice_str(expected), a, b;
	while (got.n > 0 || want.n > 0) {
		(void)slice_cut(got, '\n', &a, &got);
		(void)slice_cut(want, '\n', &b, &want);
		if (a.n > 0 && a.p[a.n - 1] == '\r')
			a.n--;
		char left[2000], right[2000];
		snprintf(left, sizeof(left), "%.*s", SLICE_FMT(a));
		snprintf(right, sizeof(right), "%.*s", SLICE_FMT(b));
		assert_text(left, right);
	}
}

static const struct slice reply_lines[] = {
        SLICE("550-5.1.1 The account that you tried to reach does not exist."),
        SLICE("550 5.1.1 Please check the address."),
};

static struct message_dsn_recipient recipient(void)
{
	return (struct message_dsn_recipient){
	        .address = SLICE("nobody@example.net"),
	        .original = SLICE("rfc822;n+body@example.net"),
	        .status = SLICE("5.1.1"),
	        .why = SLICE("The server of the recipient's domain refused the address."),
	        .remote_host = SLICE("mx.example.net"),
	        .remote_address = SLICE("192.0.2.25"),
	        .lines = reply_lines,
	        .n_lines = N_ELEMENTS(reply_lines),
	        .last_attempt_s = 1700000100,
	        .n_attempts = 1,
	};
}

static struct message_dsn notification(const struct message_dsn_recipient *recipients, size_t n)
{
	return (struct message_dsn){
	        .action = MESSAGE_DSN_FAILED,
	        .host = SLICE("mail.example.org"),
	        .from = SLICE(""),
	        .to = SLICE("ada@example.org"),
	        .message_id = SLICE("<report1@mail.example.org>"),
	        .boundary = "0123456789abcdefghijklm",
	        .now_s = 1700000200,
	        .zone_minutes = 60,
	        .envid = SLICE("QQ 314"),
	        .arrival_s = 1700000000,
	        .original_id = SLICE("<orig@example.org>"),
	        .original_references = SLICE("<root@example.org> <second@example.org>"),
	        .subject = SLICE("Lunch on Friday"),
	        .header = SLICE(
	                "Received: from a\r\n\tby b\r\nFrom: ada@example.org\r\nSubject: Lunch on "
	                "Friday\r\nMessage-ID: <orig@example.org>\r\n\r\nnever looked at\r\n"),
	        .recipients = recipients,
	        .n_recipients = n,
	};
}

#define BOUNDARY "report303132333435363738396162636465666768696a6b6c6d00"

static const char golden_failure[] =
        "From: Mail Delivery System <postmaster@mail.example.org>\n"
        "To: <ada@example.org>\n"
        "Subject: Undelivered mail: Lunch on Friday\n"
        "Date: Tue, 14 Nov 2023 23:16:40 +0100\n"
        "Message-ID: <report1@mail.example.org>\n"
        "In-Reply-To: <orig@example.org>\n"
        "References: <root@example.org> <second@example.org> <orig@example.org>\n"
        "Auto-Submitted: auto-replied\n"
        "MIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=delivery-status;\n"
        " boundary=\"" BOUNDARY "\"\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "This is a delivery status notification in MIME format.\n"
        "\n"
        "--" BOUNDARY "\n"
        "Content-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "This is the mail server mail.example.org\n"
        "\n"
        "Your message could not be delivered to the recipient below. It will not be\n"
        "tried again.\n"
        "\n"
        "  nobody@example.net\n"
        "      The server of the recipient's domain refused the address.\n"
        "      mx.example.net (192.0.2.25) said:\n"
        "          550-5.1.1 The account that you tried to reach does not exist.\n"
        "          550 5.1.1 Please check the address.\n"
        "      This means: there is no such mailbox at that domain (5.1.1). Check the\n"
        "      part before the @.\n"
        "      Attempt 1 was made on Tue, 14 Nov 2023 23:15:00 +0100.\n"
        "\n"
        "The message:\n"
        "      Subject: Lunch on Friday\n"
        "      Message-ID: <orig@example.org>\n"
        "      Sent: Tue, 14 Nov 2023 23:13:20 +0100\n"
        "The header of it is attached.\n"
        "\n"
        "--" BOUNDARY "\n"
        "Content-Type: message/delivery-status\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "Reporting-MTA: dns; mail.example.org\n"
        "Original-Envelope-Id: QQ 314\n"
        "Arrival-Date: Tue, 14 Nov 2023 23:13:20 +0100\n"
        "\n"
        "Original-Recipient: rfc822; n+body@example.net\n"
        "Final-Recipient: rfc822; nobody@example.net\n"
        "Action: failed\n"
        "Status: 5.1.1\n"
        "Remote-MTA: dns; mx.example.net ([192.0.2.25])\n"
        "Diagnostic-Code: smtp; 550-5.1.1 The account that you tried to reach does not exist.\n"
        " 550 5.1.1 Please check the address.\n"
        "Last-Attempt-Date: Tue, 14 Nov 2023 23:15:00 +0100\n"
        "\n"
        "--" BOUNDARY "\n"
        "Content-Type: text/rfc822-headers\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "Received: from a\n"
        "\tby b\n"
        "From: ada@example.org\n"
        "Subject: Lunch on Friday\n"
        "Message-ID: <orig@example.org>\n"
        "\n"
        "--" BOUNDARY "--\n";

static const char golden_delay[] =
        "From: Mail Delivery System <postmaster@mail.example.org>\n"
        "To: <ada@example.org>\n"
        "Subject: Delayed mail, still being tried: Lunch on Friday\n"
        "Date: Tue, 14 Nov 2023 23:16:40 +0100\n"
        "Message-ID: <report1@mail.example.org>\n"
        "In-Reply-To: <orig@example.org>\n"
        "References: <root@example.org> <second@example.org> <orig@example.org>\n"
        "Auto-Submitted: auto-replied\n"
        "MIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=delivery-status;\n"
        " boundary=\"" BOUNDARY "\"\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "This is a delivery status notification in MIME format.\n"
        "\n"
        "--" BOUNDARY "\n"
        "Content-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "This is the mail server mail.example.org\n"
        "\n"
        "Your message could not be delivered yet to the recipient below. It is still\n"
        "being tried; there is nothing you need to do.\n"
        "\n"
        "  nobody@example.net\n"
        "      No server of the domain could be reached.\n"
        "      This means: no server of the recipient's domain answered (4.4.1).\n"
        "      Attempt 5 was made on Tue, 14 Nov 2023 23:15:00 +0100.\n"
        "      The next one will be on Wed, 15 Nov 2023 01:15:00 +0100.\n"
        "      If none succeeds, the last will be on Wed, 15 Nov 2023 13:15:00 +0100.\n"
        "\n"
        "The message:\n"
        "      Subject: Lunch on Friday\n"
        "      Message-ID: <orig@example.org>\n"
        "      Sent: Tue, 14 Nov 2023 23:13:20 +0100\n"
        "The header of it is attached.\n"
        "\n"
        "--" BOUNDARY "\n"
        "Content-Type: message/delivery-status\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "Reporting-MTA: dns; mail.example.org\n"
        "Arrival-Date: Tue, 14 Nov 2023 23:13:20 +0100\n"
        "\n"
        "Final-Recipient: rfc822; nobody@example.net\n"
        "Action: delayed\n"
        "Status: 4.4.1\n"
        "Diagnostic-Code: X-mailkeep; No server of the domain could be reached.\n"
        "Last-Attempt-Date: Tue, 14 Nov 2023 23:15:00 +0100\n"
        "Will-Retry-Until: Wed, 15 Nov 2023 13:15:00 +0100\n"
        "\n"
        "--" BOUNDARY "\n"
        "Content-Type: text/rfc822-headers\n"
        "Content-Transfer-Encoding: 7bit\n"
        "\n"
        "From: ada@example.org\n"
        "\n"
        "--" BOUNDARY "--\n";

/* --- writing --- */

struct written {
	struct buf head, tail;
	bool has_8bit, utf8;
	struct status status;
};

static struct written compose(const struct message_dsn *dsn)
{
	struct written w = {.status = {0}};
	buf_init(&w.head, OUT_MAX);
	buf_init(&w.tail, 1000);
	w.status = message_dsn_compose(dsn, &w.head, &w.tail, &w.has_8bit, &w.utf8);
	return w;
}

static void done(struct written *w)
{
	buf_done(&w->head);
	buf_done(&w->tail);
}

static void a_failure_reads_like_this(void **state)
{
	(void)state;
	struct message_dsn_recipient r = recipient();
	struct message_dsn dsn = notification(&r, 1);
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_lines(buf_slice(&w.head), golden_failure);
	assert_int_equal(w.tail.n, 0);
	assert_false(w.has_8bit || w.utf8);
	done(&w);
}

static void a_delay_reads_like_this(void **state)
{
	(void)state;
	struct message_dsn_recipient r = {
	        .address = SLICE("nobody@example.net"),
	        .status = SLICE("4.4.1"),
	        .why = SLICE("No server of the domain could be reached."),
	        .last_attempt_s = 1700000100,
	        .next_attempt_s = 1700000100 + 7200,
	        .retry_until_s = 1700000100 + 50400,
	        .n_attempts = 5,
	};
	struct message_dsn dsn = notification(&r, 1);
	dsn.action = MESSAGE_DSN_DELAYED;
	dsn.envid = slice_empty();
	dsn.header = SLICE("From: ada@example.org\n");
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_lines(buf_slice(&w.head), golden_delay);
	done(&w);
}

static bool holds(const struct buf *text, const char *part)
{
	return slice_find(buf_slice(text), slice_str(part)) != SIZE_MAX;
}

static void successes_say_what_they_are(void **state)
{
	(void)state;
	static const struct {
		enum message_dsn_action action;
		const char *parts[4];
	} cases[] = {
	        {MESSAGE_DSN_DELIVERED,
	         {"Subject: Delivered mail:", "was delivered to the mailbox",
	          "Action: delivered\r\n", "Status: 2.0.0\r\n"}},
	        {MESSAGE_DSN_RELAYED,
	         {"Subject: Mail passed on:", "does not tell whether", "Action: relayed\r\n",
	          "Remote-MTA: dns; mx.example.net ([192.0.2.25])\r\n"}},
	        {MESSAGE_DSN_EXPANDED,
	         {"Subject: Mail passed on to a list:", "members of a list", "Action: expanded\r\n",
	          "Status: 2.0.0\r\n"}},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct message_dsn_recipient r = recipient();
		struct message_dsn dsn = notification(&r, 1);
		dsn.action = cases[i].action;
		r.status = slice_empty();
		struct written w = compose(&dsn);
		assert_ok(w.status);
		for (size_t j = 0; j < N_ELEMENTS(cases[i].parts); j++)
			assert_true(holds(&w.head, cases[i].parts[j]));
		assert_false(holds(&w.head, "Will-Retry-Until"));
		assert_false(holds(&w.head, "This means"));
		done(&w);
	}
}

static void several_recipients_each_have_their_facts(void **state)
{
	(void)state;
	struct message_dsn_recipient r[3] = {recipient(), recipient(), recipient()};
	r[1].address = SLICE("second@example.net");
	r[1].remote_host = slice_empty();
	r[2].address = SLICE("third@example.net");
	r[2].remote_host = r[2].remote_address = slice_empty();
	r[2].n_lines = 0;
	struct message_dsn dsn = notification(r, 3);
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_true(holds(&w.head, "to the recipients below."));
	assert_true(holds(&w.head, "\r\n\r\nOriginal-Recipient: rfc822; n+body@example.net\r\n"
	                           "Final-Recipient: rfc822; second@example.net\r\n"));
	assert_true(holds(&w.head, "Remote-MTA: dns; [192.0.2.25]\r\n"));
	assert_true(holds(&w.head,
	                  "Final-Recipient: rfc822; third@example.net\r\nAction: failed\r\n"
	                  "Status: 5.1.1\r\nDiagnostic-Code: X-mailkeep; The server"));
	done(&w);
}

static void international_addresses_take_the_global_forms(void **state)
{
	(void)state;
	struct message_dsn_recipient r = recipient();
	r.address = SLICE("j\xc3\xb6rg@example.net");
	r.original = SLICE("utf-8;j\xc3\xb6rg@example.net");
	struct message_dsn dsn = notification(&r, 1);
	dsn.to = SLICE("\xc3\xa5"
	               "da@example.org");
	dsn.smtputf8 = true;
	dsn.header = SLICE("Subject: \xc3\xa4\r\n");
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_true(w.utf8 && w.has_8bit);
	assert_true(holds(&w.head, "To: <\xc3\xa5"
	                           "da@example.org>\r\n"));
	assert_true(holds(&w.head, "Content-Type: message/global-delivery-status\r\n"
	                           "Content-Transfer-Encoding: 8bit\r\n"));
	assert_true(holds(&w.head, "Original-Recipient: utf-8; j\xc3\xb6rg@example.net\r\n"
	                           "Final-Recipient: utf-8; j\xc3\xb6rg@example.net\r\n"));
	assert_true(holds(&w.head, "Content-Type: message/global-headers\r\n"
	                           "Content-Transfer-Encoding: 8bit\r\n\r\nSubject: \xc3\xa4\r\n"));
	done(&w);
}

static void bytes_beyond_ascii_make_no_global_form_by_themselves(void **state)
{
	(void)state;
	static const struct slice lines[] = {SLICE("550 pas trouv\xc3\xa9"), SLICE("550 \xff")};
	struct message_dsn_recipient r = recipient();
	r.lines = lines;
	struct message_dsn dsn = notification(&r, 1);
	dsn.header = SLICE("Subject: \xe4\r\n"); /* Latin-1, as it should not be */
	dsn.subject = SLICE("D\xc3\xa9jeuner");
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_true(w.has_8bit);
	assert_false(w.utf8);
	assert_true(holds(&w.head, "Subject: Undelivered mail: =?utf-8?") ||
	            holds(&w.head, "Subject: =?utf-8?") || holds(&w.head, "=?UTF-8?"));
	assert_true(holds(&w.head, "          550 pas trouv\xc3\xa9\r\n")); /* for people */
	assert_true(holds(&w.head, "Diagnostic-Code: smtp; 550 pas trouv?\r\n 550 ?\r\n"));
	assert_true(holds(&w.head, "Content-Type: message/delivery-status\r\n"
	                           "Content-Transfer-Encoding: 7bit\r\n"));
	assert_true(holds(&w.head, "Content-Type: text/rfc822-headers\r\n"
	                           "Content-Transfer-Encoding: 8bit\r\n\r\nSubject: \xe4\r\n"));
	done(&w);
}

static void the_whole_message_comes_back_on_request(void **state)
{
	(void)state;
	static const char original[] =
	        "Subject: x\r\nMessage-ID: <inner@example.org>\r\n\r\nbody\r\n";
	struct message_dsn_recipient r = recipient();
	struct message_dsn dsn = notification(&r, 1);
	struct message_part *root;
	struct arena arena;
	unsigned defects;
	dsn.full = message_dsn_returns_full(dsn.action, true, sizeof(original), false);
	assert_true(dsn.full);
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_true(holds(&w.head, "All of it is attached.\r\n"));
	buf_add_str(&w.head, original);
	buf_add(&w.head, buf_slice(&w.tail));
	arena_init(&arena, MIB);
	assert_ok(message_parse(buf_slice(&w.head), &arena, &root, &defects));
	assert_int_equal(defects, 0);
	assert_int_equal(root->n_children, 3);
	const struct message_part *third = root->first_child->next->next;
	assert_int_equal(third->kind, MESSAGE_RFC822);
	assert_slice(third->first_child->envelope->message_id, "<inner@example.org>");
	assert_int_equal(third->body_size, strlen(original));
	arena_done(&arena);
	done(&w);
}

static void the_whole_message_has_limits(void **state)
{
	(void)state;
	assert_true(
	        message_dsn_returns_full(MESSAGE_DSN_FAILED, true, MESSAGE_DSN_FULL_MAX, false));
	assert_false(message_dsn_returns_full(MESSAGE_DSN_FAILED, true, MESSAGE_DSN_FULL_MAX + 1,
	                                      false));
	assert_false(message_dsn_returns_full(MESSAGE_DSN_FAILED, false, 1, false));
	assert_false(message_dsn_returns_full(MESSAGE_DSN_FAILED, true, 1, true));
	assert_false(message_dsn_returns_full(MESSAGE_DSN_DELAYED, true, 1, false));
	assert_false(message_dsn_returns_full(MESSAGE_DSN_DELIVERED, true, 1, false));
}

static void the_null_sender_is_told_nothing(void **state)
{
	(void)state;
	struct message_dsn_recipient r = recipient();
	struct message_dsn dsn = notification(&r, 1);
	assert_false(message_dsn_allowed(slice_empty()));
	assert_true(message_dsn_allowed(SLICE("a@b")));
	dsn.to = slice_empty();
	struct written w = compose(&dsn);
	assert_err(w.status, ERR_INVALID);
	done(&w);
}

static void what_cannot_stand_in_a_header_is_refused(void **state)
{
	(void)state;
	static const struct slice bad[] = {
	        SLICE("a@b\r\nBcc: x@y"), SLICE("a@b\n"), SLICE("a\0@b"), SLICE("a@b, c@d"),
	        SLICE("nobody"),          SLICE("@b"),    SLICE("a@"),
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct message_dsn_recipient r = recipient();
		struct message_dsn dsn = notification(&r, 1);
		dsn.to = bad[i];
		struct written w = compose(&dsn);
		assert_err(w.status, ERR_INVALID);
		done(&w);
	}
	for (size_t i = 0; i < 3; i++) {
		struct message_dsn_recipient r = recipient();
		struct message_dsn dsn = notification(&r, 1);
		r.address = bad[i];
		struct written w = compose(&dsn);
		assert_err(w.status, ERR_INVALID);
		done(&w);
		r = recipient();
		dsn.host = bad[i];
		w = compose(&dsn);
		assert_err(w.status, ERR_INVALID);
		done(&w);
		dsn = notification(&r, 1);
		dsn.message_id = bad[i];
		w = compose(&dsn);
		assert_err(w.status, ERR_INVALID);
		done(&w);
	}
}

static size_t n_lines_that_begin(const struct buf *text, const char *with)
{
	struct slice line, rest = buf_slice(text);
	size_t n = 0;
	bool more;
	do {
		more = slice_cut(rest, '\n', &line, &rest);
		n += slice_istarts(line, slice_str(with));
	} while (more);
	return n;
}

/* Whatever a server or sender says, no line of the header or of the facts is theirs. */
static void hostile_facts_break_no_line(void **state)
{
	(void)state;
	static const struct slice evil = SLICE("x\r\n\r\nAction: delivered\r\nBcc: e@vil\n\n.\r\n--"
	                                       "report\0 \x1b[2J \xff\xfe");
	const struct slice lines[] = {evil, slice_empty(), SLICE("   "), evil};
	struct message_dsn_recipient r = recipient();
	r.original = r.status = r.why = r.remote_host = r.remote_address = evil;
	r.lines = lines;
	r.n_lines = N_ELEMENTS(lines);
	struct message_dsn dsn = notification(&r, 1);
	dsn.envid = dsn.original_id = dsn.original_references = dsn.subject = evil;
	dsn.header = SLICE("Good: 1\r\nBad\0: 1\r\nAlso: bad\rhere\r\nno field\r\nGood: 2\r\n");
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_int_equal(n_lines_that_begin(&w.head, "Bcc:"), 0);
	assert_int_equal(n_lines_that_begin(&w.head, "Action:"), 1);
	assert_int_equal(n_lines_that_begin(&w.head, "Good:"), 2);
	assert_int_equal(n_lines_that_begin(&w.head, "Bad"), 0);
	assert_int_equal(n_lines_that_begin(&w.head, "Also"), 0);
	assert_int_equal(n_lines_that_begin(&w.head, "--report"), 4);
	assert_false(holds(&w.head, "\x1b"));
	assert_true(slice_index(buf_slice(&w.head), 0) == SIZE_MAX);
	done(&w);
}

static void sizes_are_limited(void **state)
{
	(void)state;
	static struct message_dsn_recipient many[MESSAGE_DSN_RECIPIENTS_MAX + 1];
	static struct slice lines[MESSAGE_DSN_LINES_MAX + 50];
	static char text[5000];
	struct buf header;
	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 0; i < N_ELEMENTS(lines); i++)
		lines[i] = slice_str(text);
	for (size_t i = 0; i < N_ELEMENTS(many); i++)
		many[i] = recipient();
	struct message_dsn dsn = notification(many, N_ELEMENTS(many));
	struct written w = compose(&dsn);
	assert_err(w.status, ERR_LIMIT);
	done(&w);
	dsn.n_recipients = MESSAGE_DSN_RECIPIENTS_MAX;
	w = compose(&dsn);
	assert_ok(w.status);
	done(&w);
	dsn.n_recipients = 0;
	w = compose(&dsn);
	assert_err(w.status, ERR_INVALID);
	done(&w);

	/* Long lines and many of them; a header that is cut at a field. */
	dsn.n_recipients = 1;
	many[0].lines = lines;
	many[0].n_lines = N_ELEMENTS(lines);
	many[0].why = dsn.subject = dsn.envid = slice_str(text);
	buf_init(&header, MIB);
	for (int i = 0; i < 10000; i++)
		buf_add_str(&header, "X-Field: 0123456789\r\n");
	dsn.header = buf_slice(&header);
	w = compose(&dsn);
	assert_ok(w.status);
	assert_true(w.head.n < 2 * MESSAGE_DSN_HEADER_MAX + 3 * MESSAGE_DSN_LINES_MAX * 1000);
	struct slice line, rest = buf_slice(&w.head);
	while (slice_cut(rest, '\n', &line, &rest))
		assert_true(line.n <= 999);
	assert_true(holds(&w.head, "X-Field: 0123456789\r\n\r\n--report"));
	done(&w);

	struct buf small, tail;
	buf_init(&small, 500);
	buf_init(&tail, 500);
	assert_err(message_dsn_compose(&dsn, &small, &tail, &w.has_8bit, &w.utf8), ERR_LIMIT);
	buf_done(&small);
	buf_done(&tail);
	buf_done(&header);
}

static void references_keep_the_root_and_the_newest(void **state)
{
	(void)state;
	struct message_dsn_recipient r = recipient();
	struct message_dsn dsn = notification(&r, 1);
	struct buf ids;
	buf_init(&ids, 10000);
	for (int i = 0; i < 100; i++)
		buf_printf(&ids, "<%d@x> ", i);
	buf_add_str(&ids, "<orig@example.org> <b\xc3\xa4@x> <99@x>"); /* not twice, not UTF-8 */
	dsn.original_references = buf_slice(&ids);
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_true(holds(&w.head, "References: <0@x> <53@x> <54@x>"));
	assert_true(holds(&w.head, "<98@x> <99@x>"));
	assert_true(holds(&w.head, "<orig@example.org>\r\nAuto-Submitted"));
	assert_false(holds(&w.head, "<52@x>"));
	dsn.original_id = slice_empty();
	done(&w);
	w = compose(&dsn);
	assert_ok(w.status);
	assert_false(holds(&w.head, "References"));
	assert_false(holds(&w.head, "In-Reply-To"));
	done(&w);
	buf_done(&ids);
}

/* --- reading --- */

static struct status parse(struct slice bytes, struct arena *arena,
                           struct message_dsn_report *report)
{
	struct message_part *root;
	struct message_source_mem source;
	unsigned defects;
	arena_init(arena, MESSAGE_DSN_PARSE_ARENA);
	assert_ok(message_parse(bytes, arena, &root, &defects));
	message_source_mem_init(&source, bytes);
	return message_dsn_parse(root, &source.source, arena, report);
}

static void our_own_are_read_back(void **state)
{
	(void)state;
	struct message_dsn_recipient r[2] = {recipient(), recipient()};
	struct message_dsn_report report;
	struct arena arena;
	r[1].address = SLICE("other@example.net");
	r[1].original = slice_empty();
	struct message_dsn dsn = notification(r, 2);
	struct written w = compose(&dsn);
	assert_ok(w.status);
	assert_ok(parse(buf_slice(&w.head), &arena, &report));
	assert_slice(report.reporting, "mail.example.org");
	assert_slice(report.envid, "QQ 314");
	assert_slice(report.original_id, "orig@example.org");
	assert_int_equal(report.arrival_s, 1700000000);
	assert_int_equal(report.n_facts, 2);
	assert_int_equal(report.facts[0].action, MESSAGE_DSN_FAILED);
	assert_slice(report.facts[0].recipient, "nobody@example.net");
	assert_slice(report.facts[0].original, "n+body@example.net");
	assert_slice(report.facts[0].status, "5.1.1");
	assert_slice(
	        report.facts[0].diagnostic,
	        "550-5.1.1 The account that you tried to reach does not exist. 550 5.1.1 Please "
	        "check the address.");
	assert_slice(report.facts[0].remote, "mx.example.net ([192.0.2.25])");
	assert_int_equal(report.facts[0].last_attempt_s, 1700000100);
	assert_slice(report.facts[1].recipient, "other@example.net");
	assert_slice(report.facts[1].original, "");
	arena_done(&arena);
	done(&w);
}

#define HEAD                                                                                       \
	"From: MAILER-DAEMON\r\nTo: me@example.org\r\nIn-Reply-To: <reply@example.org>\r\n"        \
	"MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; "       \
	"boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nwords\r\n"
#define STATUS "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
#define RETURNED                                                                                   \
	"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: "                                  \
	"<sent@example.org>\r\n\r\nbody\r\n"
#define END "--b--\r\n"

/* Shapes that other systems send, made up after what they look like. */
static void those_of_others_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *message;
		const char *recipient, *status, *diagnostic, *id;
		enum message_dsn_action action;
	} cases[] = {
	        {HEAD STATUS
	         "Reporting-MTA: dns; mx.example.net\r\nX-Queue-ID: 4B\r\n\r\n"
	         "Final-Recipient: rfc822; u@example.net\r\nOriginal-Recipient: "
	         "rfc822;u@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: "
	         "dns; a.example\r\nDiagnostic-Code: smtp; 550 5.1.1 <u@example.net>: no\r\n "
	         "   such user\r\n" RETURNED END,
	         "u@example.net", "5.1.1", "550 5.1.1 <u@example.net>: no    such user",
	         "sent@example.org", MESSAGE_DSN_FAILED},
	        /* bare line feeds, no type before the address, a comment behind the status */
	        {"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: "
	         "message/delivery-status\n\nReporting-MTA: mx\n\nFinal-Recipient: u@example.net\n"
	         "Action: FAILED (gave up)\nStatus: 5.2.2 (mailbox full)\n--b\nContent-Type: "
	         "text/rfc822-headers\n\nMessage-Id: <sent@example.org>\n--b--\n",
	         "u@example.net", "5.2.2", "", "sent@example.org", MESSAGE_DSN_FAILED},
	        /* angle brackets; several blank lines, one with blanks; no Action */
	        {HEAD STATUS "\r\nReporting-MTA: dns;a\r\n\r\n \t\r\nFinal-Recipient: RFC822; "
	                     "<u@example.net>\r\nStatus: 4.2.1\r\n\r\n\r\n" RETURNED END,
	         "u@example.net", "4.2.1", "", "sent@example.org", MESSAGE_DSN_DELAYED},
	        /* all in one group; an unknown action */
	        {HEAD STATUS "Reporting-MTA: dns; a\r\nFinal-Recipient: rfc822;u@example.net\r\n"
	                     "Action: dunno\r\nStatus: 2.1.5\r\n" END,
	         "u@example.net", "2.1.5", "", "reply@example.org", MESSAGE_DSN_DELIVERED},
	        /* only an Original-Recipient; a status that is none */
	        {HEAD STATUS
	         "Reporting-MTA: dns; a\r\n\r\nOriginal-Recipient: rfc822;u@example.net\r\n"
	         "Action: relayed\r\nStatus: five\r\n" END,
	         "u@example.net", "", "", "reply@example.org", MESSAGE_DSN_RELAYED},
	        /* base64, which is forbidden; the part that returns the message as well */
	        {HEAD
	         "--b\r\nContent-Type: message/delivery-status\r\nContent-Transfer-Encoding: "
	         "base64\r\n\r\n"
	         "UmVwb3J0aW5nLU1UQTogZG5zOyBhDQoNCkZpbmFsLVJlY2lwaWVudDogcmZjODIyOyB1QGV4YW1w\r\n"
	         "bGUubmV0DQpBY3Rpb246IGRlbGF5ZWQNCg==\r\n"
	         "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	         "TWVzc2FnZS1JRDogPHNlbnRAZXhhbXBsZS5vcmc+DQoNCng=\r\n" END,
	         "u@example.net", "", "", "sent@example.org", MESSAGE_DSN_DELAYED},
	        /* deeper, in a mixed; words behind it (a mailing list's footer) */
	        {"Content-Type: multipart/mixed; boundary=a\r\nReferences: <one@x> <two@x>\r\n\r\n"
	         "--a\r\nContent-Type: multipart/report; boundary=b\r\n\r\n" STATUS
	         "Final-Recipient: x400; /S=u/\r\nAction: expanded\r\n" END
	         "--a\r\n\r\nfooter\r\n--a--\r\n",
	         "/S=u/", "", "", "two@x", MESSAGE_DSN_EXPANDED},
	        /* RFC 6533, both ways to write the address */
	        {HEAD
	         "--b\r\nContent-Type: message/global-delivery-status\r\n\r\nReporting-MTA: dns; "
	         "a\r\n\r\nFinal-Recipient: utf-8; j\xc3\xb6rg@example.net\r\nAction: failed\r\n"
	         "--b\r\nContent-Type: message/global-headers\r\n\r\nMessage-ID: "
	         "<sent@example.org>\r\n" END,
	         "j\xc3\xb6rg@example.net", "", "", "sent@example.org", MESSAGE_DSN_FAILED},
	        {HEAD STATUS
	         "Final-Recipient: utf-8; j\\x{F6}rg@example.net\r\nAction: failed\r\n" END,
	         "j\xc3\xb6rg@example.net", "", "", "reply@example.org", MESSAGE_DSN_FAILED},
	        {HEAD STATUS "Final-Recipient: utf-8; j\\x{}\\x{F6\\x@a\r\nAction: failed\r\n" END,
	         "j\\x{}\\x{F6\\x@a", "", "", "reply@example.org", MESSAGE_DSN_FAILED},
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct message_dsn_report report;
		struct arena arena;
		assert_ok(parse(slice_str(cases[i].message), &arena, &report));
		assert_int_equal(report.n_facts, 1);
		assert_slice(report.facts[0].recipient, cases[i].recipient);
		assert_slice(report.facts[0].status, cases[i].status);
		assert_slice(report.facts[0].diagnostic, cases[i].diagnostic);
		assert_int_equal(report.facts[0].action, cases[i].action);
		assert_slice(report.original_id, cases[i].id);
		arena_done(&arena);
	}
}

static void recipients_without_a_blank_line_between_are_told_apart(void **state)
{
	(void)state;
	struct message_dsn_report report;
	struct arena arena;
	assert_ok(parse(slice_str(HEAD STATUS
	                          "Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: "
	                          "rfc822;a@x\r\nAction: failed\r\nStatus: 5.0.0\r\n"
	                          "Final-Recipient: rfc822;b@x\r\nAction: delivered\r\n" END),
	                &arena, &report));
	assert_int_equal(report.n_facts, 2);
	assert_slice(report.facts[0].recipient, "a@x");
	assert_slice(report.facts[0].status, "5.0.0");
	assert_slice(report.facts[1].recipient, "b@x");
	assert_slice(report.facts[1].status, "");
	assert_int_equal(report.facts[1].action, MESSAGE_DSN_DELIVERED);
	arena_done(&arena);
}

static void others_are_no_notifications(void **state)
{
	(void)state;
	static const char *const cases[] = {
	        "",
	        "Subject: failure notice\r\n\r\nHi. This is the qmail-send program.\r\n",
	        HEAD END,
	        HEAD STATUS END,
	        HEAD STATUS "Reporting-MTA: dns; a\r\n" END,
	        HEAD STATUS "Reporting-MTA: dns; a\r\n\r\nAction: failed\r\nStatus: 5.0.0\r\n" END,
	        HEAD STATUS
	        "\r\nFinal-Recipient: rfc822; u@x\r\n" END, /* neither action nor status */
	        HEAD STATUS "\r\nFinal-Recipient: rfc822;\r\nAction: failed\r\n" END,
	        HEAD STATUS "\r\nFinal-Recipient\r\nAction: failed\r\n" END,
	        /* not multipart */
	        "Content-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; "
	        "u@x\r\nAction: "
	        "failed\r\n",
	        /* a read receipt */
	        "Content-Type: multipart/report; report-type=disposition-notification; "
	        "boundary=b\r\n\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
	        "Final-Recipient: rfc822; u@x\r\n" END,
	        /* a notification that somebody forwards */
	        "Content-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\nContent-Type: "
	        "message/rfc822\r\n\r\n" HEAD STATUS "Final-Recipient: rfc822;u@x\r\nAction: "
	        "failed\r\n" END "--f--\r\n",
	};
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct message_dsn_report report;
		struct arena arena;
		assert_err(parse(slice_str(cases[i]), &arena, &report), ERR_NOT_FOUND);
		arena_done(&arena);
	}
}

static void large_ones_are_read_as_far_as_the_limits_go(void **state)
{
	(void)state;
	struct message_dsn_report report;
	struct arena arena;
	struct buf text;
	buf_init(&text, 4 * MIB);
	buf_add_str(&text, HEAD STATUS "Reporting-MTA: dns; a\r\n");
	for (int i = 0; i < 1500; i++)
		buf_printf(&text, "\r\nFinal-Recipient: rfc822; u%d@x\r\nAction: failed\r\n", i);
	buf_add_str(&text, END);
	assert_ok(parse(buf_slice(&text), &arena, &report));
	assert_int_equal(report.n_facts, MESSAGE_DSN_READ_RECIPIENTS_MAX);
	assert_true(report.truncated);
	arena_done(&arena);

	buf_reset(&text);
	buf_add_str(&text, HEAD STATUS "\r\nFinal-Recipient: rfc822; u@x\r\nAction: failed\r\n"
	                               "Diagnostic-Code: smtp; ");
	while (text.n < MIB)
		buf_add_str(&text, "0123456789 ");
	buf_add_str(&text, "\r\n" RETURNED END);
	assert_ok(parse(buf_slice(&text), &arena, &report));
	assert_int_equal(report.n_facts, 1);
	assert_true(report.truncated);
	assert_true(report.facts[0].diagnostic.n <= MESSAGE_DSN_TEXT_MAX);
	assert_slice(report.original_id, "sent@example.org");
	arena_done(&arena);
	buf_done(&text);
}

static struct status broken_read(const struct message_source *source, uint64_t offset, uint8_t *p,
                                 size_t n, size_t *ret_n)
{
	(void)source;
	(void)offset;
	(void)p;
	(void)n;
	(void)ret_n;
	return fail(ERR_IO, "disk on fire");
}

static void failures_of_the_source_are_passed_on(void **state)
{
	(void)state;
	const struct message_source broken = {.read = broken_read};
	struct slice bytes =
	        slice_str(HEAD STATUS "Final-Recipient: rfc822; u@x\r\nAction: failed\r\n" END);
	struct message_dsn_report report;
	struct message_part *root;
	struct arena arena;
	unsigned defects;
	arena_init(&arena, MESSAGE_DSN_PARSE_ARENA);
	assert_ok(message_parse(bytes, &arena, &root, &defects));
	assert_err(message_dsn_parse(root, &broken, &arena, &report), ERR_IO);
	arena_done(&arena);
	arena_init(&arena, 20000);
	assert_ok(message_parse(bytes, &arena, &root, &defects));
	struct message_source_mem source;
	message_source_mem_init(&source, bytes);
	assert_err(message_dsn_parse(root, &source.source, &arena, &report), ERR_LIMIT);
	arena_done(&arena);
}

static void actions_have_names(void **state)
{
	(void)state;
	enum message_dsn_action action;
	assert_text(message_dsn_action_name(MESSAGE_DSN_EXPANDED), "expanded");
	assert_true(message_dsn_action_parse(SLICE("Relayed"), &action));
	assert_int_equal(action, MESSAGE_DSN_RELAYED);
	assert_false(message_dsn_action_parse(SLICE(""), &action));
	assert_false(message_dsn_action_parse(SLICE("relaye"), &action));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_failure_reads_like_this),
	        cmocka_unit_test(a_delay_reads_like_this),
	        cmocka_unit_test(successes_say_what_they_are),
	        cmocka_unit_test(several_recipients_each_have_their_facts),
	        cmocka_unit_test(international_addresses_take_the_global_forms),
	        cmocka_unit_test(bytes_beyond_ascii_make_no_global_form_by_themselves),
	        cmocka_unit_test(the_whole_message_comes_back_on_request),
	        cmocka_unit_test(the_whole_message_has_limits),
	        cmocka_unit_test(the_null_sender_is_told_nothing),
	        cmocka_unit_test(what_cannot_stand_in_a_header_is_refused),
	        cmocka_unit_test(hostile_facts_break_no_line),
	        cmocka_unit_test(sizes_are_limited),
	        cmocka_unit_test(references_keep_the_root_and_the_newest),
	        cmocka_unit_test(our_own_are_read_back),
	        cmocka_unit_test(those_of_others_are_read),
	        cmocka_unit_test(recipients_without_a_blank_line_between_are_told_apart),
	        cmocka_unit_test(others_are_no_notifications),
	        cmocka_unit_test(large_ones_are_read_as_far_as_the_limits_go),
	        cmocka_unit_test(failures_of_the_source_are_passed_on),
	        cmocka_unit_test(actions_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
