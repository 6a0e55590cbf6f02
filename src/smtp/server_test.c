/* Session scripts of the reception: commands and their replies, each at several sizes of reads. */
#include "smtp/server_test.h"

/* --- what a good client does --- */

static const struct script_case good_cases[] = {
        {"a message", HELLO MAIL RCPT DATA "C: Subject: x\nC: \nC: ..dot\nC: .\n" KEPT QUIT,
         LOG_HELLO LOG_MAIL LOG_RCPT "open\nend 20 Subject: x\\r\\n\\r\\n.dot\\r\\n\nreset\n",
         NULL},
        {"an empty message", HELO MAIL RCPT DATA "C: .\n" KEPT QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "open\nend 0 \nreset\n", NULL},
        {"two transactions, the second with the null sender",
         HELO MAIL RCPT DATA "C: x\nC: .\n" KEPT
                             "C: MAIL FROM:<>\nS: 250 2.1.0 Sender OK\n" RCPT DATA
                             "C: y\nC: .\n" KEPT QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "open\nend 3 x\\r\\n\nreset\nmail <>\n" LOG_RCPT
                                    "open\nend 3 y\\r\\n\nreset\n",
         NULL},
        {"everything pipelined",
         HELLO "C: MAIL FROM:<a@client.example>\nC: RCPT TO:<u@example.org>\n"
               "C: RCPT TO:<nobody@example.org>\nC: DATA\n"
               "S: 250 2.1.0 Sender OK\nS: 250 2.1.5 Recipient OK\n"
               "S: 550 5.1.1 No such mailbox here\n"
               "S: 354 Send the message, end with CRLF.CRLF\n"
               "C: x\nC: .\nC: RSET\nC: NOOP\nC: QUIT\n" KEPT
               "S: 250 2.0.0 OK\nS: 250 2.0.0 OK\nS: 221 2.0.0 Goodbye\n",
         LOG_HELLO LOG_MAIL LOG_RCPT "open\nend 3 x\\r\\n\nreset\n", NULL},
        {"DSN, SIZE and 8BITMIME parameters are kept",
         HELLO "C: MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=q+2B1\n"
               "S: 250 2.1.0 Sender OK\n"
               "C: RCPT TO:<u@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;U@example.org\n"
               "S: 250 2.1.5 Recipient OK\n" DATA "C: \xc3\xa9\nC: .\n" KEPT QUIT,
         LOG_HELLO "mail <a@b.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=q+2B1\n"
                   "rcpt <u@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;U@example.org\n"
                   "open\nend 4 8bit header8bit \\xc3\\xa9\\r\\n\nreset\n",
         NULL},
        {"SMTPUTF8",
         HELLO "C: MAIL FROM:<\xc3\xa9@\xc3\xa9.example> SMTPUTF8\nS: 250 2.1.0 Sender OK\n"
               "C: RCPT TO:<\xc3\xa9@example.org>\nS: 250 2.1.5 Recipient OK\n" QUIT,
         LOG_HELLO
         "mail <\xc3\xa9@\xc3\xa9.example> SMTPUTF8\nrcpt <\xc3\xa9@example.org>\nreset\n",
         NULL},
        {"postmaster without a domain, a source route, a quoted local part",
         HELO MAIL "C: RCPT TO:<PostMaster>\nS: 250 2.1.5 Recipient OK\n"
                   "C: RCPT TO:<@x.example,@y.example:u@example.org>\nS: 250 2.1.5 Recipient OK\n"
                   "C: RCPT TO:<\"a b\"@example.org>\nS: 250 2.1.5 Recipient OK\n" QUIT,
         LOG_HELO LOG_MAIL
         "rcpt <PostMaster>\nrcpt <u@example.org>\nrcpt <\"a b\"@example.org>\nreset\n",
         NULL},
        {"small letters and blanks at the end",
         "S: 220 mx.example.org ESMTP c1\nC: helo client.example  \nS: 250 mx.example.org\n"
         "C: mail from: <a@client.example>\nS: 250 2.1.0 Sender OK\n"
         "C: rcpt to:<u@example.org> \nS: 250 2.1.5 Recipient OK\n"
         "C: data \nS: 354 Send the message, end with CRLF.CRLF\nC: .\n" KEPT "C: quit\n"
         "S: 221 2.0.0 Goodbye\n",
         LOG_HELO LOG_MAIL LOG_RCPT "open\nend 0 \nreset\n", NULL},
        {"commands that may come at any time",
         "S: 220 mx.example.org ESMTP c1\nC: NOOP x y\nS: 250 2.0.0 OK\n"
         "C: RSET\nS: 250 2.0.0 OK\nC: VRFY u\nS: 252 2.5.0 Send mail and it will be tried\n"
         "C: HELP\nS: 214 2.0.0 Commands: *\n" QUIT,
         "", NULL},
        {"EHLO in a transaction ends it, RSET too",
         HELO MAIL RCPT "C: HELO again.example\nS: 250 mx.example.org\n"
                        "C: DATA\nS: 503 5.5.1 Send MAIL first\n" MAIL "C: RSET\nS: 250 2.0.0 OK\n"
                        "C: RCPT TO:<u@example.org>\nS: 503 5.5.1 Send MAIL first\n" QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "helo again.example\nreset\n" LOG_MAIL "reset\n", NULL},
        {"the backend's own words, in two lines",
         HELO MAIL RCPT DATA
         "C: REJECT\nC: .\nS: 550-5.7.1 Refused for\nS: 550 5.7.1 its content\n" MAIL RCPT DATA
         "C: SILENT\nC: .\nS: 250 2.0.0 Message accepted\n" QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "open\nend 8 REJECT\\r\\n\nreset\n" LOG_MAIL LOG_RCPT
                                    "open\nend 8 SILENT\\r\\n\nreset\n",
         NULL},
};

static void good_clients_are_served(void **state)
{
	(void)state;
	run_cases(good_cases, N_ELEMENTS(good_cases));
}

/* --- what a bad client does: every refusal --- */

static const struct script_case refused_cases[] = {
        {"commands out of order",
         "S: 220 mx.example.org ESMTP c1\n"
         "C: MAIL FROM:<a@b.example>\nS: 503 5.5.1 Send EHLO first\n"
         "C: RCPT TO:<u@example.org>\nS: 503 5.5.1 Send EHLO first\n"
         "C: DATA\nS: 503 5.5.1 Send EHLO first\n"
         "C: HELO client.example\nS: 250 mx.example.org\n"
         "C: RCPT TO:<u@example.org>\nS: 503 5.5.1 Send MAIL first\n"
         "C: DATA\nS: 503 5.5.1 Send MAIL first\n" MAIL
         "C: MAIL FROM:<c@b.example>\nS: 503 5.5.1 A transaction is open, send RSET first\n"
         "C: DATA\nS: 554 5.5.1 No valid recipients\n" QUIT,
         LOG_HELO LOG_MAIL "reset\n", NULL},
        {"bad hello",
         "S: 220 mx.example.org ESMTP c1\n"
         "C: EHLO\nS: 501 5.5.4 Expected a domain name or an address literal\n"
         "C: EHLO a b\nS: 501 *\nC: HELO [1.2.3]\nS: 501 *\nC: EHLO -x\nS: 501 *\n"
         "C: EHLO \xc3\xa9.example\nS: 501 *\n"
         "C: EHLO unwanted.example\nS: 550 5.7.1 Refused by policy\n"
         "C: MAIL FROM:<>\nS: 503 5.5.1 Send EHLO first\n" QUIT,
         "ehlo unwanted.example\n", NULL},
        {"bad senders",
         HELO "C: MAIL\nS: 501 5.5.4 Invalid argument\nC: MAIL FROM\nS: 501 5.5.4 *\n"
              "C: MAIL TO:<a@b>\nS: 501 5.5.4 *\n"
              "C: MAIL FROM:a@b.example\nS: 501 5.1.7 Invalid sender address\n"
              "C: MAIL FROM:<a@b.example\nS: 501 5.1.7 *\nC: MAIL FROM:<a>\nS: 501 5.1.7 *\n"
              "C: MAIL FROM:<postmaster>\nS: 501 5.1.7 *\n"
              "C: MAIL FROM:<\xc3\xa9@b.example>\nS: 550 5.6.7 Non-ASCII sender needs SMTPUTF8\n"
              "C: MAIL FROM:<bad@b.example>\nS: 550 5.7.1 Not from you\n" QUIT,
         LOG_HELO, NULL},
        {"bad parameters of MAIL",
         HELO "C: MAIL FROM:<> SIZE=x\nS: 501 5.5.4 Invalid value of a parameter\n"
              "C: MAIL FROM:<> BODY=9BIT\nS: 501 5.5.4 *\n"
              "C: MAIL FROM:<> SIZE=1 SIZE=1\nS: 501 5.5.4 A parameter is given twice\n"
              "C: MAIL FROM:<> XYZ=1\nS: 555 5.5.4 Unknown parameter\n"
              "C: MAIL FROM:<> NOTIFY=NEVER\nS: 555 *\n"
              "C: MAIL FROM:<>SIZE=1\nS: 501 *\n"
              "C: MAIL FROM:<> SIZE=67108865\nS: 552 5.3.4 Message is larger than the limit\n"
              "C: MAIL FROM:<> SIZE=99999999999999999999\nS: 552 5.3.4 *\n" QUIT,
         LOG_HELO, NULL},
        {"bad recipients",
         HELO MAIL "C: RCPT TO:<>\nS: 501 5.1.3 Invalid recipient address\n"
                   "C: RCPT\nS: 501 5.5.4 *\nC: RCPT TO:<a@b.example\nS: 501 5.1.3 *\n"
                   "C: RCPT TO:<nobody@example.org>\nS: 550 5.1.1 No such mailbox here\n"
                   "C: RCPT TO:<a@other.example>\nS: 550 5.7.1 Relaying is not allowed\n"
                   "C: RCPT TO:<disabled@example.org>\nS: 550 5.2.1 Mailbox is disabled\n"
                   "C: RCPT TO:<full@example.org>\nS: 452 4.2.2 Mailbox is full\n"
                   "C: RCPT TO:<rude@example.org>\nS: 550 5.7.1 Refused by policy\n"
                   "C: RCPT TO:<\xc3\xa9@example.org>\n"
                   "S: 553 5.6.7 Non-ASCII recipient needs SMTPUTF8\n"
                   "C: RCPT TO:<u@example.org> NOTIFY=NEVER,DELAY\nS: 501 5.5.4 *\n"
                   "C: RCPT TO:<u@example.org> SIZE=1\nS: 555 5.5.4 *\n"
                   "C: DATA\nS: 554 5.5.1 No valid recipients\n" QUIT,
         LOG_HELO LOG_MAIL "reset\n", NULL},
        {"arguments where none belong",
         HELO "C: RSET x\nS: 501 5.5.4 This command takes no argument\n"
              "C: QUIT x\nS: 501 *\nC: STARTTLS x\nS: 501 *\nC: VRFY\nS: 501 *\n" MAIL RCPT
              "C: DATA x\nS: 501 5.5.4 *\n" QUIT,
         LOG_HELO LOG_MAIL LOG_RCPT "reset\n", NULL},
        {"commands that are not there",
         HELO
         "C: XYZZY\nS: 500 5.5.1 Unknown command\n"
         "C: EXPN list\nS: 502 5.5.1 Command is not implemented\nC: ETRN x\nS: 502 *\n"
         "C: TURN\nS: 502 *\nC: ATRN\nS: 502 *\nC: SEND FROM:<a@b>\nS: 502 *\n"
         "C: SOML FROM:<a@b>\nS: 502 *\nC: SAML FROM:<a@b>\nS: 502 *\n"
         "C: LHLO x\nS: 502 *\nC: BURL x\nS: 502 *\nC:  NOOP\nS: 500 5.5.1 *\n"
         "C: AUTH PLAIN x\nS: 503 5.5.1 No authentication here, use the submission port\n" QUIT,
         LOG_HELO, NULL},
        {"lines that hold what they must not",
         HELO "D: NO\\rOP\\r\\n\nS: 500 5.5.2 Line holds a bare CR or a NUL\n"
              "D: NOOP \\x00\\r\\n\nS: 500 5.5.2 *\nD: NOOP\\r\\r\\n\nS: 500 5.5.2 *\n" QUIT,
         LOG_HELO, NULL},
        {"a command line that ends in a bare LF ends the session",
         HELO "D: NOOP\\nNOOP\\r\\n\nS: 500 5.5.2 Line must end in CRLF, not in a bare LF\n"
              "S: 421 4.5.0 *\n",
         LOG_HELO "event: bare lf\nevent: closing\n", NULL},
        {"nor is what follows it read",
         HELO "D: MAIL FROM:<a@b.example>\\nRCPT TO:<u@example.org>\\n\n"
              "S: 500 5.5.2 *\nS: 421 4.5.0 *\n",
         LOG_HELO "event: bare lf\nevent: closing\n", NULL},
        {"no space when the message opens, when it comes",
         HELO "C: MAIL FROM:<nospace@b.example>\nS: 250 *\n" RCPT
              "C: DATA\nS: 452 4.3.1 Out of storage for now, try again later\n"
              "C: RSET\nS: 250 2.0.0 OK\n" MAIL RCPT DATA
              "C: a\nC: DISKFULL\nC: b\nC: .\nS: 452 4.3.1 *\n" QUIT,
         LOG_HELO "mail <nospace@b.example>\n" LOG_RCPT "reset\n" LOG_MAIL LOG_RCPT
                  "open\nabort\nreset\n",
         NULL},
        {"the client hangs up in DATA", HELO MAIL RCPT DATA "C: half\nE: close\n",
         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\nevent: closing\n", NULL},
        {"the client hangs up before the dot's line ends",
         HELO MAIL RCPT DATA "C: x\nD: .\\r\nE: close\n",
         LOG_HELO LOG_MAIL LOG_RCPT "open\nabort\nreset\nevent: closing\n", NULL},
        {"the client hangs up in a command", HELO "D: QUI\nE: close\n", LOG_HELO "event: closing\n",
         NULL},
        {"a 421 of the backend closes",
         HELO MAIL "C: RCPT TO:<shut@example.org>\n"
                   "S: 421 4.3.2 Shutting down, try again soon\n",
         LOG_HELO LOG_MAIL "reset\nevent: closing\n", NULL},
};

static void every_refusal_has_its_reply(void **state)
{
	(void)state;
	run_cases(refused_cases, N_ELEMENTS(refused_cases));
}

/* --- what the log may hold --- */

static void tell_refused(struct smtp_server_options *options)
{
	struct smtp_fake *fake = options->context;
	fake->tell_refused = true;
}

static const struct script_case told_cases[] = {
        {"commands are told whole",
         HELO "C: XYZZY a b\nS: 500 *\nC: RCPT TO:<u@example.org>\nS: 503 *\n" QUIT,
         LOG_HELO "refused \"XYZZY a b\"\nrefused \"RCPT TO:<u@example.org>\"\n", tell_refused},
        {"no password is",
         HELO
         "C: AUTH PLAIN AHVzZXIAc2VjcmV0\nS: 503 *\nC: auth plain AHVzZXIA c2VjcmV0\nS: 503 *\n"
         "C: AUTH\nS: 5*\nC: AUTH LOGIN\nS: 503 *\n"
         "C: AUTH  AHVzZXIAc2VjcmV0\nS: 503 *\n"
         "C: AUTH AHVzZXIAc2VjcmV0c2VjcmV0c2VjcmV0\nS: 503 *\n"
         "D: AUTH\\x09PLAIN AHVzZXIAc2VjcmV0\\r\\n\nS: 500 *\n"
         "D: AUTH PLAIN AHVzZXIAc2VjcmV0\\x00\\r\\n\nS: 500 *\n"
         "C:  auth PLAIN AHVzZXIAc2VjcmV0\nS: 500 *\n" QUIT,
         LOG_HELO
         "refused \"AUTH PLAIN\"\nrefused \"auth plain\"\nrefused \"AUTH\"\n"
         "refused \"AUTH LOGIN\"\nrefused \"AUTH \"\nrefused \"AUTH AHVzZXIAc2VjcmV0c2Vj\"\n"
         "refused \"AUTH\"\nrefused \"AUTH PLAIN\"\nrefused \"auth\"\n",
         tell_refused},
        {"nor what is sent on behind a refused AUTH",
         HELO "C: AUTH LOGIN\nS: 503 *\nC: dXNlcg==\nS: 500 *\nC: c2VjcmV0\nS: 500 *\n"
              "C: RCPT TO:<u@example.org>\nS: 503 *\n" QUIT,
         LOG_HELO "refused \"AUTH LOGIN\"\nrefused \"\"\nrefused \"\"\n"
                  "refused \"RCPT TO:<u@example.org>\"\n",
         tell_refused},
};

static void passwords_are_not_told(void **state)
{
	(void)state;
	run_cases(told_cases, N_ELEMENTS(told_cases));
}

/* --- other protocols, early talkers --- */

static void watch(struct smtp_server_options *options)
{
	options->watch_early_talkers = true;
}

static void watch_and_refuse(struct smtp_server_options *options)
{
	options->watch_early_talkers = true;
	options->refuse_early_talkers = true;
}

#define NOT_SMTP "S: 500 5.5.2 This is an SMTP server and that was not SMTP\n"

static const struct script_case foreign_cases[] = {
        {"an HTTP request", "S: 220 *\nC: GET / HTTP/1.1\nC: Host: x\n" NOT_SMTP,
         "event: foreign\nevent: closing\n", NULL},
        {"an HTTP request with bare LF", "S: 220 *\nD: POST /x HTTP/1.0\\n\\n\n" NOT_SMTP,
         "event: foreign\nevent: closing\n", NULL},
        {"an HTTP request later on", HELO "C: CONNECT x:25 HTTP/1.1\n" NOT_SMTP,
         LOG_HELO "event: foreign\nevent: closing\n", NULL},
        {"a TLS ClientHello without any LF",
         "S: 220 *\nD: \\x16\\x03\\x01\\x02\\x00\\x01\n" NOT_SMTP,
         "event: foreign\nevent: closing\n", NULL},
        {"any unknown word first", "S: 220 *\nC: hello there\n" NOT_SMTP,
         "event: foreign\nevent: closing\n", NULL},
        {"an early talker is noted",
         "C: HELO client.example\nS: 220 *\nS: 250 mx.example.org\n" QUIT,
         "event: early talker\n" LOG_HELO, watch},
        {"an early talker is refused",
         "C: HELO client.example\nS: 554 5.5.1 Client spoke before the greeting\n",
         "event: early talker\nevent: closing\n", watch_and_refuse},
        {"one who waits is not", "E: timeout\n" HELO QUIT, LOG_HELO, watch_and_refuse},
};

static void other_protocols_are_sent_away(void **state)
{
	(void)state;
	run_cases(foreign_cases, N_ELEMENTS(foreign_cases));
}

/* --- STARTTLS --- */

static void no_tls(struct smtp_server_options *options)
{
	options->offer_tls = false;
}

static void broken_tls(struct smtp_server_options *options)
{
	((struct stream_mem *)options->stream)->allow_tls = false;
}

static const struct script_case tls_cases[] = {
        {"TLS starts the session anew",
         HELLO MAIL "C: STARTTLS\nS: 220 2.0.0 Ready for TLS\n"
                    "C: MAIL FROM:<a@b.example>\nS: 503 5.5.1 Send EHLO first\n"
                    "C: EHLO again.example\nS: 250-mx.example.org\nS: 250-PIPELINING\n"
                    "S: 250-SIZE 67108864\nS: 250-8BITMIME\nS: 250-ENHANCEDSTATUSCODES\n"
                    "S: 250-SMTPUTF8\nS: 250-CHUNKING\nS: 250-BINARYMIME\nS: 250-DSN\n"
                    "S: 250-REQUIRETLS\nS: 250 LIMITS RCPTMAX=1000 MAILMAX=1000\n"
                    "C: STARTTLS\nS: 503 5.5.1 TLS is already active\n"
                    "C: MAIL FROM:<a@b.example> REQUIRETLS\nS: 250 *\n" QUIT,
         LOG_HELLO LOG_MAIL
         "reset\ntls\nehlo again.example\nmail <a@b.example> REQUIRETLS\nreset\n",
         NULL},
        {"REQUIRETLS needs TLS",
         HELLO "C: MAIL FROM:<a@b.example> REQUIRETLS\nS: 530 5.7.10 *\n" QUIT, LOG_HELLO, NULL},
        {"TLS is not offered", HELO "C: STARTTLS\nS: 502 5.5.1 TLS is not offered\n" QUIT, LOG_HELO,
         no_tls},
        {"the handshake fails", HELLO "C: STARTTLS\nS: 220 2.0.0 Ready for TLS\n",
         LOG_HELLO "event: tls failed\nevent: closing\n", broken_tls},
};

static void starttls_starts_anew(void **state)
{
	(void)state;
	run_cases(tls_cases, N_ELEMENTS(tls_cases));
}

/* Plaintext behind STARTTLS in one read must neither be answered nor run (RFC 3207 section 6). */
static void plaintext_behind_starttls_is_dropped(void **state)
{
	(void)state;
	static const struct script_case injected = {
	        "injection",
	        HELLO "C: STARTTLS\nC: RSET\nC: EHLO evil.example\nC: MAIL FROM:<evil@b.example>\n"
	              "S: 220 2.0.0 Ready for TLS\n"
	              "C: HELO good.example\nS: 250 mx.example.org\n" QUIT,
	        LOG_HELLO "tls\nhelo good.example\n", NULL};
	assert_true(run_case(&injected, 0));
}

/* --- BDAT --- */

static const struct script_case bdat_cases[] = {
        {"one chunk", HELLO MAIL RCPT "C: BDAT 5 LAST\nD: a\\r\\nb\\n\n" KEPT QUIT,
         LOG_HELLO LOG_MAIL LOG_RCPT "open chunked\nend 5 bare a\\r\\nb\\n\nreset\n", NULL},
        {"several chunks, a dot is a dot, an empty last",
         HELLO MAIL RCPT "C: BDAT 3\nD: \\r\\n.\nC: BDAT 2\nD: \\r\\n\nC: BDAT 0 LAST\n"
                         "S: 250 2.0.0 Chunk received\nS: 250 2.0.0 Chunk received\n" KEPT QUIT,
         LOG_HELLO LOG_MAIL LOG_RCPT "open chunked\nend 5 \\r\\n.\\r\\n\nreset\n", NULL},
        {"an empty message", HELLO MAIL RCPT "C: BDAT 0 LAST\n" KEPT QUIT,
         LOG_HELLO LOG_MAIL LOG_RCPT "open chunked\nend 0 \nreset\n", NULL},
        {"binary content",
         HELLO "C: MAIL FROM:<> BODY=BINARYMIME\nS: 250 *\n" RCPT
               "C: BDAT 4 LAST\nD: \\x00\\xff\\r\\n\n" KEPT QUIT,
         LOG_HELLO "mail <> BODY=BINARYMIME\n" LOG_RCPT
                   "open chunked\nend 4 8bit bare header8bit \\x00\\xff\\r\\n\nreset\n",
         NULL},
        {"RSET between chunks",
         HELLO MAIL RCPT "C: BDAT 2\nD: ab\nS: 250 2.0.0 Chunk received\n"
                         "C: RSET\nS: 250 2.0.0 OK\n"
                         "C: BDAT 1 LAST\nD: x\nS: 503 5.5.1 Send MAIL first\n" QUIT,
         LOG_HELLO LOG_MAIL LOG_RCPT "open chunked\nabort\nreset\n", NULL},
        {"chunks out of order are read and refused",
         "S: 220 *\nC: BDAT 6\nD: NOOP\\r\\n\nS: 503 5.5.1 Send EHLO first\n"
         "C: HELO client.example\nS: 250 mx.example.org\n"
         "C: BDAT 6 LAST\nD: NOOP\\r\\n\nS: 503 5.5.1 Send MAIL first\n" MAIL
         "C: BDAT 6 LAST\nD: NOOP\\r\\n\nS: 554 5.5.1 No valid recipients\n" QUIT,
         LOG_HELO LOG_MAIL "reset\n", NULL},
        {"after a failed chunk only RSET helps",
         HELLO "C: MAIL FROM:<nospace@b.example>\nS: 250 *\n" RCPT
               "C: BDAT 6\nD: NOOP\\r\\n\nC: BDAT 6 LAST\nD: NOOP\\r\\n\n"
               "S: 452 4.3.1 *\nS: 503 5.5.1 An earlier chunk failed, send RSET first\n"
               "C: MAIL FROM:<>\nS: 503 5.5.1 An earlier chunk failed, send RSET first\n"
               "C: DATA\nS: 503 *\nC: RCPT TO:<u@example.org>\nS: 503 *\n"
               "C: RSET\nS: 250 *\n" MAIL RCPT "C: BDAT 1 LAST\nD: x\n" KEPT QUIT,
         LOG_HELLO "mail <nospace@b.example>\n" LOG_RCPT "reset\n" LOG_MAIL LOG_RCPT
                   "open chunked\nend 1 x\nreset\n",
         NULL},
        {"a failed last chunk ends the transaction",
         HELLO MAIL RCPT "C: BDAT 8 LAST\nD: DISKFULL\nS: 452 4.3.1 *\n" MAIL QUIT,
         LOG_HELLO LOG_MAIL LOG_RCPT "open chunked\nabort\nreset\n" LOG_MAIL "reset\n", NULL},
        {"DATA and BDAT do not mix",
         HELLO MAIL RCPT "C: BDAT 1\nD: x\nS: 250 *\n"
                         "C: DATA\nS: 503 5.5.1 DATA cannot follow BDAT, send RSET first\n"
                         "C: RCPT TO:<v@example.org>\nS: 503 5.5.1 Bad sequence of commands\n"
                         "C: MAIL FROM:<>\nS: 503 5.5.1 Bad sequence of commands\n"
                         "C: BDAT 1 LAST\nD: y\n" KEPT QUIT,
         LOG_HELLO LOG_MAIL LOG_RCPT "open chunked\nend 2 xy\nreset\n", NULL},
        {"BINARYMIME needs BDAT",
         HELLO "C: MAIL FROM:<> BODY=BINARYMIME\nS: 250 *\n" RCPT
               "C: DATA\nS: 503 5.5.1 BODY=BINARYMIME needs BDAT\n" QUIT,
         LOG_HELLO "mail <> BODY=BINARYMIME\n" LOG_RCPT "reset\n", NULL},
        {"a chunk of unknown size ends the session",
         HELLO MAIL RCPT "C: BDAT x\nC: RSET\nC: QUIT\nS: 501 5.5.4 Expected BDAT size [LAST]\n"
                         "S: 421 4.5.0 Cannot tell where the next command starts, closing\n",
         LOG_HELLO LOG_MAIL LOG_RCPT "reset\nevent: closing\n", NULL},
        {"so does one whose line is not framed",
         HELLO MAIL RCPT "D: BDAT 5 LAST\\nNOOP\\r\\n\nS: 500 5.5.2 *\nS: 421 4.5.0 *\n",
         LOG_HELLO LOG_MAIL LOG_RCPT "event: bare lf\nreset\nevent: closing\n", NULL},
        {"the client hangs up in a chunk", HELLO MAIL RCPT "C: BDAT 9 LAST\nD: ab\nE: close\n",
         LOG_HELLO LOG_MAIL LOG_RCPT "open chunked\nabort\nreset\nevent: closing\n", NULL},
};

static void chunks_are_counted(void **state)
{
	(void)state;
	run_cases(bdat_cases, N_ELEMENTS(bdat_cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(good_clients_are_served),
	        cmocka_unit_test(passwords_are_not_told),
	        cmocka_unit_test(every_refusal_has_its_reply),
	        cmocka_unit_test(other_protocols_are_sent_away),
	        cmocka_unit_test(starttls_starts_anew),
	        cmocka_unit_test(plaintext_behind_starttls_is_dropped),
	        cmocka_unit_test(chunks_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
