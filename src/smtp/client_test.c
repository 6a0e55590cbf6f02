/* The client against scripted servers: good ones of all ages, and hostile ones. Each script runs
 * with the server's octets coming in pieces of several sizes. */
#include "smtp/client_script.h"

#include "text/utf8.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GREET "S: 220 mx.example.org ESMTP\nC: EHLO client.example\n"
/* a server with nothing, one with pipelining only, one with all */
#define BARE GREET "S: 250 mx.example.org\n"
#define PIPE GREET "S: 250-mx.example.org\nS: 250 PIPELINING\n"
#define FULL                                                                                       \
	GREET "S: 250-mx.example.org hello\nS: 250-PIPELINING\nS: 250-SIZE 1000\n"                 \
	      "S: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-DSN\nS: 250-CHUNKING\n"                    \
	      "S: 250-BINARYMIME\nS: 250-ENHANCEDSTATUSCODES\nS: 250-DELIVERBY 10\n"               \
	      "S: 250-MT-PRIORITY MIXER\nS: 250 FUTURERELEASE 1000 2030-01-01T00:00:00Z\n"
#define MAIL  "C: MAIL FROM:<a@client.example>\n"
#define RCPT  "C: RCPT TO:<u@example.org>\n"
#define YES   "S: 250 ok\n"
#define GO    "S: 354 go\n"
#define DATA  "C: DATA\n"
#define TEXT  "D: P: 1\\r\\n\\r\\nHi\\r\\n.\\r\\n\n"
#define TAKEN "S: 250 2.6.0 taken\n"
#define QUIT  "C: QUIT\nS: 221 bye\n"

typedef void tweak(struct smtp_client_script *s);

struct script_case {
	const char *name;
	const char *script;
	const char *log;
	const char *plan; /* NULL: "gsq" */
	const char *recipients;
	tweak *change;
	/* What comes too early is seen only when it comes together with what is due. */
	bool in_one_piece;
};

static const size_t chunks[] = {0, 1, 2, 3, 7};

static bool run_case(const struct script_case *k, size_t chunk)
{
	static struct smtp_client_script s;
	smtp_client_script_init(&s, k->script, k->recipients ? k->recipients : "u@example.org",
	                        chunk);
	if (k->change)
		k->change(&s);
	bool right = smtp_client_script_run(&s, k->plan ? k->plan : "gsq");
	bool same = slice_eq_str(buf_slice(&s.log), k->log);
	if (!right || !same)
		print_error("--- %s (reads of %zu): %s %.*s\n--- output:\n%.*s\n--- log:\n%s---\n",
		            k->name, chunk, s.wrong ? s.wrong : "", SLICE_FMT(s.where),
		            SLICE_FMT(stream_mem_output(&s.mem)), buf_cstr(&s.log));
	smtp_client_script_done(&s);
	return right && same;
}

static void run_cases(const struct script_case *cases, size_t n)
{
	bool right = true;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < (cases[i].in_one_piece ? 1 : N_ELEMENTS(chunks)); j++)
			right &= run_case(&cases[i], chunks[j]);
	assert_true(right);
}

/* --- greeting and EHLO --- */

static void bad_name(struct smtp_client_script *s)
{
	s->options.ehlo_name = "client.example\r\nRSET";
}

static void greetings(void **state)
{
	static const struct script_case cases[] = {
	        {"an old server",
	         "S: 220 mx SMTP\nC: EHLO client.example\nS: 500 what?\n"
	         "C: HELO client.example\nS: 250 mx\n" QUIT,
	         "greet ok\n", "gq"},
	        {"one that says 502",
	         "S: 220 mx\nC: EHLO client.example\nS: 502 no\n"
	         "C: HELO client.example\nS: 250 mx\n" QUIT,
	         "greet ok\n", "gq"},
	        {"504",
	         "S: 220 mx\nC: EHLO client.example\nS: 504 no\n"
	         "C: HELO client.example\nS: 250 mx\n" QUIT,
	         "greet ok\n", "gq"},
	        {"HELO is refused too",
	         "S: 220 mx\nC: EHLO client.example\nS: 501 no\n"
	         "C: HELO client.example\nS: 550 5.7.1 go away\n",
	         "greet permanent: failed 550 5.7.1 HELO\n", "g"},
	        {"EHLO is refused by policy",
	         "S: 220 mx\nC: EHLO client.example\nS: 550 5.7.1 go away\n",
	         "greet permanent: failed 550 5.7.1 EHLO\n", "g"},
	        {"EHLO not now", "S: 220 mx\nC: EHLO client.example\nS: 451 later\n",
	         "greet temporary: deferred 451 4.0.0 EHLO\n", "g"},
	        {"no service", "S: 554 5.3.2 no mail here\n",
	         "greet permanent: failed 554 5.3.2 greeting\n", "gq"},
	        {"521", "S: 521 does not accept mail\n",
	         "greet permanent: failed 521 5.0.0 greeting\n", "gq"},
	        {"busy", "S: 421 4.3.2 too many connections\n",
	         "greet temporary: deferred 421 4.3.2 greeting\n", "gq"},
	        {"silence", "E: timeout\n", "greet timeout: deferred 0 4.4.2 greeting\n", "gq"},
	        {"closed at once", "E: close\n", "greet closed: deferred 0 4.4.2 greeting\n", "gq"},
	        {"closed in the greeting", "R: 220 mx", "greet closed: deferred 0 4.4.2 greeting\n",
	         "gq"},
	        {"a greeting that is none", "S: SSH-2.0-OpenSSH_9.2\n",
	         "greet syntax: deferred 0 4.5.0 greeting\n", "gq"},
	        {"a greeting of 250", "S: 250 mx\n",
	         "greet protocol: deferred 250 4.5.0 greeting\n", "gq"},
	        {"a long greeting",
	         "S: 220-mx\nS: 220-no spam\nS: 220 at all\n"
	         "C: EHLO client.example\nS: 250 mx\n" QUIT,
	         "greet ok\n", "gq"},
	        {"an answer to EHLO before it is said", "S: 220 mx\nS: 250 mx\n",
	         "greet protocol: deferred 0 4.5.0 EHLO\n", "gq", .in_one_piece = true},
	        {"closing before EHLO", "S: 220 mx\nS: 421 4.3.0 no, wait\n",
	         "greet temporary: deferred 421 4.3.0 EHLO\n", "gq", .in_one_piece = true},
	        {"two codes in one reply",
	         "S: 220 mx\nC: EHLO client.example\nS: 250-mx\nS: 251 PIPELINING\n",
	         "greet protocol: deferred 0 4.5.0 EHLO\n", "gq"},
	        {"a bare LF",
	         "R: 220 mx\\n\nC: EHLO client.example\nR: 250-mx\\n250 SIZE\\n\n" QUIT,
	         "greet ok\n", "gq"},
	        {"codes alone", "S: 220\nC: EHLO client.example\nS: 250\n" QUIT, "greet ok\n",
	         "gq"},
	        {"our own name is none", "", "greet invalid: deferred 0 4.3.5 EHLO\n", "gq", NULL,
	         bad_name},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* --- transactions --- */

static void transactions(void **state)
{
	static const struct script_case cases[] = {
	        {"one command at a time", BARE MAIL YES RCPT YES DATA GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"},
	        {"pipelined", PIPE MAIL RCPT DATA YES YES GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"},
	        {"BDAT",
	         FULL "C: MAIL FROM:<a@client.example> SIZE=12\n" RCPT YES YES
	              "D: BDAT 12 LAST\\r\\nP: 1\\r\\n\\r\\nHi\\r\\n\n" TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message\n"},
	        {"251 is as good", PIPE MAIL RCPT DATA YES "S: 251 forwarding\n" GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"},
	        {"252 as well",
	         PIPE MAIL RCPT DATA YES "S: 252 cannot verify, will try\n" GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"},
	        {"and any other positive answer",
	         BARE MAIL YES RCPT "S: 200 fine\n" DATA GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"},
	        {"one of them by 252",
	         PIPE MAIL RCPT "C: RCPT TO:<v@example.org>\n" DATA YES
	                        "S: 252 perhaps\nS: 550 5.1.1 nobody\n" GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\nfailed 550 5.1.1 RCPT TO\n",
	         NULL, "u@example.org v@example.org"},
	        {"MAIL is refused", BARE MAIL "S: 550 5.7.1 not you\n" QUIT,
	         "greet ok\nfailed 550 5.7.1 MAIL FROM\n"},
	        {"MAIL is refused, pipelined",
	         PIPE MAIL RCPT DATA "S: 550 5.7.1 not you\nS: 503 no\nS: 503 no\n" QUIT,
	         "greet ok\nfailed 550 5.7.1 MAIL FROM\n"},
	        {"MAIL not now, RCPT and DATA go on as if",
	         PIPE MAIL RCPT DATA "S: 451 later\nS: 250 ok\nS: 354 go\n",
	         "greet ok\ndeferred 451 4.0.0 MAIL FROM\n"},
	        {"RCPT is refused", BARE MAIL YES RCPT "S: 550 5.1.1 nobody\n" QUIT,
	         "greet ok\nfailed 550 5.1.1 RCPT TO\n"},
	        {"RCPT is refused, pipelined",
	         PIPE MAIL RCPT DATA YES "S: 550-5.1.1 nobody\nS: 550 5.1.1 really\n"
	                                 "S: 554 no valid recipients\n" QUIT,
	         "greet ok\nfailed 550 5.1.1 RCPT TO\n"},
	        {"all RCPT are refused and DATA is not",
	         PIPE MAIL RCPT DATA YES
	         "S: 450 4.2.1 later\nS: 354 go\nC: .\nS: 554 nothing\n" QUIT,
	         "greet ok\ndeferred 450 4.2.1 RCPT TO\n"},
	        {"DATA is refused", BARE MAIL YES RCPT YES DATA "S: 451 4.3.0 no disk\n" QUIT,
	         "greet ok\ndeferred 451 4.3.0 DATA\n"},
	        {"the message is refused",
	         PIPE MAIL RCPT DATA YES YES GO TEXT "S: 554 5.7.1 spam\n" QUIT,
	         "greet ok\nfailed 554 5.7.1 end of message\n"},
	        {"the message is put off",
	         PIPE MAIL RCPT DATA YES YES GO TEXT "S: 451 greylisted\n" QUIT,
	         "greet ok\ndeferred 451 4.0.0 end of message\n"},
	        {"an enhanced code of another class is none",
	         PIPE MAIL RCPT DATA YES YES GO TEXT "S: 554 2.0.0 spam\n" QUIT,
	         "greet ok\nfailed 554 5.0.0 end of message\n"},
	        {"some of many",
	         PIPE MAIL
	         "C: RCPT TO:<u1@x.org>\nC: RCPT TO:<u2@x.org>\nC: RCPT TO:<u3@x.org>\n" DATA YES
	         "S: 550 5.1.1 no\n" YES "S: 450 4.2.1 later\n" GO TEXT TAKEN QUIT,
	         "greet ok\nfailed 550 5.1.1 RCPT TO\n"
	         "delivered 250 2.6.0 end of message relayed\ndeferred 450 4.2.1 RCPT TO\n",
	         NULL, "u1@x.org u2@x.org u3@x.org"},
	        {"two messages on one connection",
	         PIPE MAIL RCPT DATA YES YES GO TEXT TAKEN MAIL RCPT DATA YES YES GO TEXT TAKEN
	                 QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "delivered 250 2.6.0 end of message relayed\n",
	         "gssq"},
	        {"RSET behind a transaction that got nowhere",
	         BARE MAIL YES RCPT
	         "S: 550 5.1.1 nobody\nC: RSET\n" YES MAIL YES RCPT YES DATA GO TEXT TAKEN QUIT,
	         "greet ok\nfailed 550 5.1.1 RCPT TO\ndelivered 250 2.6.0 end of message relayed\n",
	         "gssq"},
	        {"reuse", PIPE MAIL RCPT DATA YES YES GO TEXT TAKEN "C: RSET\n" YES QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\nreset ok\n", "gsrq"},
	        {"RSET fails", PIPE "C: RSET\nS: 500 no\n",
	         "greet ok\nreset permanent: failed 500 5.0.0 RSET\n", "grq"},
	        {"the server said goodbye in the meantime",
	         PIPE MAIL RCPT DATA YES YES GO TEXT TAKEN "S: 421 4.4.2 idle\n",
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "deferred 421 4.4.2 MAIL FROM\n",
	         "gssq", .in_one_piece = true},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* --- content --- */

static void dots(struct smtp_client_script *s)
{
	s->message.prefix = SLICE(".P: 1\r\n\r\n");
	s->body = SLICE(".\r\n..x\r\n.\r\n");
}
static void open_end(struct smtp_client_script *s)
{
	s->body = SLICE("Hi");
}
static void empty(struct smtp_client_script *s)
{
	s->message.prefix = slice_empty();
	s->body = slice_empty();
}
static void bare_lf(struct smtp_client_script *s)
{
	s->body = SLICE("Hi\n.\r\n");
}
static void bare_cr(struct smtp_client_script *s)
{
	s->body = SLICE("Hi\r.\r\n");
}
static void cr_at_end(struct smtp_client_script *s)
{
	s->body = SLICE("Hi\r");
}
static void has_nul(struct smtp_client_script *s)
{
	s->body = SLICE("H\0i\r\n");
}
static struct status unreadable(void *context, uint64_t offset, uint8_t *p, size_t n, size_t *ret_n)
{
	(void)context;
	(void)offset;
	(void)p;
	(void)n;
	(void)ret_n;
	return (struct status){ERR_IO, "the disk is gone"};
}
static struct status cut_short(void *context, uint64_t offset, uint8_t *p, size_t n, size_t *ret_n)
{
	(void)context;
	*ret_n = offset == 0 ? MIN(n, (size_t)2) : 0;
	memset(p, 'x', *ret_n);
	return ok();
}
static void disk_gone(struct smtp_client_script *s)
{
	s->content.read = unreadable;
}
static void file_cut(struct smtp_client_script *s)
{
	s->content.read = cut_short;
}
static void binary(struct smtp_client_script *s)
{
	s->message.binary = true;
	s->body = SLICE("\0\n.\r");
}
static void no_chunking(struct smtp_client_script *s)
{
	s->options.no_chunking = true;
}

#define SENT PIPE MAIL RCPT DATA YES YES GO

static void contents(void **state)
{
	static const struct script_case cases[] = {
	        {"dots are doubled",
	         SENT "D: ..P: 1\\r\\n\\r\\n..\\r\\n...x\\r\\n..\\r\\n.\\r\\n\n" TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n", NULL, NULL, dots},
	        {"a last line without an end gets one",
	         SENT "D: P: 1\\r\\n\\r\\nHi\\r\\n.\\r\\n\n" TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n", NULL, NULL, open_end},
	        {"nothing at all", SENT "D: .\\r\\n\n" TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n", NULL, NULL, empty},
	        {"a bare LF is never finished", SENT, "greet ok\nfailed 0 5.6.0 message message\n",
	         NULL, NULL, bare_lf},
	        {"a bare CR is never finished", SENT, "greet ok\nfailed 0 5.6.0 message message\n",
	         NULL, NULL, bare_cr},
	        {"nor is a CR at the end", SENT, "greet ok\nfailed 0 5.6.0 message message\n", NULL,
	         NULL, cr_at_end},
	        {"nor is a NUL", SENT, "greet ok\nfailed 0 5.6.0 message message\n", NULL, NULL,
	         has_nul},
	        {"the disk fails", SENT, "greet ok\ndeferred 0 4.3.0 message\n", NULL, NULL,
	         disk_gone},
	        {"the file is too short", SENT, "greet ok\ndeferred 0 4.3.0 message\n", NULL, NULL,
	         file_cut},
	        {"BDAT needs no dots",
	         FULL "C: MAIL FROM:<a@client.example> SIZE=20\n" RCPT YES YES
	              "D: BDAT 20 LAST\\r\\n.P: 1\\r\\n\\r\\n.\\r\\n..x\\r\\n.\\r\\n\n" TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message\n", NULL, NULL, dots},
	        {"BDAT of nothing",
	         FULL "C: MAIL FROM:<a@client.example> SIZE=0\n" RCPT YES YES
	              "D: BDAT 0 LAST\\r\\n\n" TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message\n", NULL, NULL, empty},
	        {"binary goes by count",
	         FULL "C: MAIL FROM:<a@client.example> SIZE=12 BODY=BINARYMIME\n" RCPT YES YES
	              "D: BDAT 12 LAST\\r\\nP: 1\\r\\n\\r\\n\\x00\\n.\\r\n" TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message\n", NULL, NULL, binary},
	        {"DATA where BDAT is not wanted",
	         FULL
	         "C: MAIL FROM:<a@client.example> SIZE=12\n" RCPT DATA YES YES GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message\n", NULL, NULL, no_chunking},
	        {"BDAT is refused",
	         FULL
	         "C: MAIL FROM:<a@client.example> SIZE=12\n" RCPT YES YES
	         "D: BDAT 12 LAST\\r\\nP: 1\\r\\n\\r\\nHi\\r\\n\nS: 552 5.3.4 too large\n" QUIT,
	         "greet ok\nfailed 552 5.3.4 end of message\n"},
	        {"refused before the end", SENT "E: refuse\nS: 552 5.3.4 too large, stop it\n",
	         "greet ok\nfailed 552 5.3.4 end of message\n"},
	        {"closed before the end", SENT "E: refuse\nE: close\n",
	         "greet ok\ndeferred 0 4.4.2 message uncertain\n"},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* The fault is the last octet, and BDAT has no end that could be withheld: not one octet too many
 * may have gone. */
static void faulty_content_never_fills_a_chunk(void **state)
{
	static const struct script_case cases[] = {
	        {"bare CR at the end",
	         FULL "C: MAIL FROM:<a@client.example> SIZE=11\n" RCPT YES YES,
	         "greet ok\nfailed 0 5.6.0 message message\n", NULL, NULL, cr_at_end},
	        {"bare LF", FULL "C: MAIL FROM:<a@client.example> SIZE=14\n" RCPT YES YES,
	         "greet ok\nfailed 0 5.6.0 message message\n", NULL, NULL, bare_lf},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* --- what the message needs --- */

static void eight_bit(struct smtp_client_script *s)
{
	s->message.has_8bit = true;
	s->body = SLICE("\xc3\xa9\r\n");
}
static void eight_bit_strict(struct smtp_client_script *s)
{
	eight_bit(s);
	s->options.strict_8bit = true;
}
static void large(struct smtp_client_script *s)
{
	static char text[1000];
	memset(text, 'x', sizeof(text));
	s->body = slice_of(text, sizeof(text));
}
static void utf8_header(struct smtp_client_script *s)
{
	s->message.utf8 = true;
}
static void utf8_sender(struct smtp_client_script *s)
{
	s->message.sender = SLICE("\xc3\xa9@client.example");
}
static void require_tls(struct smtp_client_script *s)
{
	s->message.require_tls = true;
}
static void require_tls_of_notice(struct smtp_client_script *s)
{
	s->message.require_tls = true;
	s->message.sender = slice_empty();
}
static void by_return(struct smtp_client_script *s)
{
	s->message.by_mode = SMTP_BY_RETURN;
	s->message.by_s = 100;
}
static void by_return_late(struct smtp_client_script *s)
{
	s->message.by_mode = SMTP_BY_RETURN;
	s->message.by_s = 9;
}
static void by_notify(struct smtp_client_script *s)
{
	s->message.by_mode = SMTP_BY_NOTIFY;
	s->message.by_trace = true;
	s->message.by_s = -5;
}
static void hold(struct smtp_client_script *s)
{
	s->message.hold_for_s = 60;
}
static void hold_long(struct smtp_client_script *s)
{
	s->message.hold_for_s = 1001;
}
static void urgent(struct smtp_client_script *s)
{
	s->message.has_priority = true;
	s->message.priority = 3;
}
static void dsn(struct smtp_client_script *s)
{
	s->message.ret = SMTP_RET_HDRS;
	s->message.envid = SLICE("id+1");
	s->recipients[0].notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE;
	s->recipients[0].orcpt = SLICE("rfc822;a+b@example.org");
}
static void dsn_bad(struct smtp_client_script *s)
{
	s->message.envid = SLICE("id\r\nRSET");
	s->recipients[0].notify = SMTP_NOTIFY_NEVER;
	s->recipients[0].orcpt = SLICE("rfc 822;x");
}
static void dsn_utf8(struct smtp_client_script *s)
{
	s->recipients[0].orcpt = SLICE("utf-8;\xc3\xa9@example.org");
}
static void dsn_utf8_all(struct smtp_client_script *s)
{
	dsn_utf8(s);
	s->message.utf8 = true;
}
static void null_sender(struct smtp_client_script *s)
{
	s->message.sender = slice_empty();
}
static void bad_sender(struct smtp_client_script *s)
{
	s->message.sender = SLICE("a@b> BODY=7BIT\r\nRCPT TO:<x");
}

#define FULL_MAIL(params) FULL "C: MAIL FROM:<a@client.example> SIZE=12" params "\n"
#define FULL_END          YES YES "D: BDAT 12 LAST\\r\\nP: 1\\r\\n\\r\\nHi\\r\\n\n" TAKEN QUIT
#define DELIVERED         "greet ok\ndelivered 250 2.6.0 end of message\n"
#define RELAYED           "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
#define BARE_END          RCPT YES DATA GO TEXT TAKEN QUIT

static void needs(void **state)
{
	static const struct script_case cases[] = {
	        {"8-bit",
	         FULL_MAIL(" BODY=8BITMIME") RCPT YES YES
	         "D: BDAT 12 LAST\\r\\nP: 1\\r\\n\\r\\n\\xc3\\xa9\\r\\n\n" TAKEN QUIT,
	         DELIVERED, NULL, NULL, eight_bit},
	        {"8-bit to an old server",
	         BARE MAIL YES RCPT YES DATA GO
	         "D: P: 1\\r\\n\\r\\n\\xc3\\xa9\\r\\n.\\r\\n\n" TAKEN QUIT,
	         RELAYED, NULL, NULL, eight_bit},
	        {"8-bit to an old server, strictly", BARE QUIT,
	         "greet ok\nfailed 0 5.6.3 MAIL FROM\n", NULL, NULL, eight_bit_strict},
	        {"binary to a server without", PIPE QUIT, "greet ok\nfailed 0 5.6.3 MAIL FROM\n",
	         NULL, NULL, binary},
	        {"too large", FULL QUIT, "greet ok\nfailed 0 5.3.4 MAIL FROM\n", NULL, NULL, large},
	        {"UTF-8 in the header", FULL_MAIL(" BODY=8BITMIME SMTPUTF8") RCPT FULL_END,
	         DELIVERED, NULL, NULL, utf8_header},
	        {"UTF-8 in the header, to a server without", PIPE QUIT,
	         "greet ok\nfailed 0 5.6.9 MAIL FROM\n", NULL, NULL, utf8_header},
	        {"UTF-8 sender, to a server without", PIPE QUIT,
	         "greet ok\nfailed 0 5.6.7 MAIL FROM\n", NULL, NULL, utf8_sender},
	        {"UTF-8 recipient",
	         FULL_MAIL(" SMTPUTF8") "C: RCPT TO:<\xc3\xa9@example.org>\n" FULL_END, DELIVERED,
	         NULL, "\xc3\xa9@example.org"},
	        {"UTF-8 recipient among others, to a server without", BARE MAIL YES BARE_END,
	         "greet ok\nfailed 0 5.6.7 MAIL FROM\n"
	         "delivered 250 2.6.0 end of message relayed\n",
	         NULL, "\xc3\xa9@example.org u@example.org"},
	        {"a domain in another script is ASCII to a server without",
	         BARE MAIL YES "C: RCPT TO:<u@xn--bcher-kva.example>\n" YES DATA GO TEXT TAKEN QUIT,
	         RELAYED, NULL, "u@b\xc3\xbc\x63her.example"},
	        {"and to one that could take it",
	         FULL_MAIL("") "C: RCPT TO:<u@xn--bcher-kva.example>\n" FULL_END, DELIVERED, NULL,
	         "u@b\xc3\xbc\x63her.example"},
	        {"REQUIRETLS without TLS", FULL QUIT, "greet ok\nfailed 0 5.7.30 MAIL FROM\n", NULL,
	         NULL, require_tls},
	        {"REQUIRETLS of a notification without TLS", FULL QUIT,
	         "greet ok\nfailed 0 5.7.30 MAIL FROM\n", NULL, NULL, require_tls_of_notice},
	        {"BY, return", FULL_MAIL(" BY=100;R") RCPT FULL_END, DELIVERED, NULL, NULL,
	         by_return},
	        {"BY, less than the minimum", FULL QUIT, "greet ok\nfailed 0 5.4.7 MAIL FROM\n",
	         NULL, NULL, by_return_late},
	        {"BY, return, to a server without", BARE QUIT,
	         "greet ok\nfailed 0 5.4.7 MAIL FROM\n", NULL, NULL, by_return},
	        {"BY, notify", FULL_MAIL(" BY=-5;NT") RCPT FULL_END, DELIVERED, NULL, NULL,
	         by_notify},
	        {"BY, notify, to a server without", BARE MAIL YES BARE_END,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed by-relayed\n", NULL, NULL,
	         by_notify},
	        {"BY, notify, to a server with DSN",
	         GREET
	         "S: 250-mx\nS: 250 DSN\n" MAIL YES
	         "C: RCPT TO:<u@example.org> NOTIFY=FAILURE,DELAY\n" YES DATA GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message by-relayed\n", NULL, NULL,
	         by_notify},
	        {"hold", FULL_MAIL(" HOLDFOR=60") RCPT FULL_END, DELIVERED, NULL, NULL, hold},
	        {"hold too long", FULL QUIT, "greet ok\nfailed 0 5.3.3 MAIL FROM\n", NULL, NULL,
	         hold_long},
	        {"hold, to a server without", BARE QUIT, "greet ok\nfailed 0 5.3.3 MAIL FROM\n",
	         NULL, NULL, hold},
	        {"priority", FULL_MAIL(" MT-PRIORITY=3") RCPT FULL_END, DELIVERED, NULL, NULL,
	         urgent},
	        {"priority, to a server without", BARE MAIL YES BARE_END, RELAYED, NULL, NULL,
	         urgent},
	        {"DSN",
	         FULL_MAIL(" RET=HDRS ENVID=id+2B1") "C: RCPT TO:<u@example.org> "
	                                             "NOTIFY=SUCCESS,FAILURE "
	                                             "ORCPT=rfc822;a+2Bb@example.org\n" FULL_END,
	         DELIVERED, NULL, NULL, dsn},
	        {"DSN, to a server without", BARE MAIL YES BARE_END, RELAYED, NULL, NULL, dsn},
	        {"DSN with what cannot be sent",
	         FULL_MAIL("") "C: RCPT TO:<u@example.org> NOTIFY=NEVER\n" FULL_END, DELIVERED,
	         NULL, NULL, dsn_bad},
	        {"ORCPT of type utf-8 where it must be ASCII",
	         FULL_MAIL("") "C: RCPT TO:<u@example.org> "
	                       "ORCPT=utf-8;\\\\x{E9}@example.org\n" FULL_END,
	         DELIVERED, NULL, NULL, dsn_utf8},
	        {"ORCPT of type utf-8 where it need not",
	         FULL_MAIL(" BODY=8BITMIME SMTPUTF8") "C: RCPT TO:<u@example.org> "
	                                              "ORCPT=utf-8;\xc3\xa9@example.org\n" FULL_END,
	         DELIVERED, NULL, NULL, dsn_utf8_all},
	        {"the null path", BARE "C: MAIL FROM:<>\n" YES BARE_END, RELAYED, NULL, NULL,
	         null_sender},
	        {"a sender that is a command", BARE QUIT,
	         "greet ok\nfailed 0 5.1.7 MAIL FROM message\n", NULL, NULL, bad_sender},
	        {"recipients that are commands", BARE MAIL YES BARE_END,
	         "greet ok\nfailed 0 5.1.3 MAIL FROM message\n"
	         "delivered 250 2.6.0 end of message relayed\n"
	         "failed 0 5.1.3 MAIL FROM message\nfailed 0 5.1.3 MAIL FROM message\n",
	         NULL, "x@y>\r\nDATA u@example.org no-domain @"},
	        {"quoted where it must be",
	         BARE MAIL YES "C: RCPT TO:<\"a>b\"@example.org>\n" YES DATA GO TEXT TAKEN QUIT,
	         RELAYED, NULL, "\"a>b\"@example.org"},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* --- limits of the server --- */

#define R(n)         "C: RCPT TO:<u" #n "@x.org>\n"
#define LIMITS(text) GREET "S: 250-mx.example.org\nS: 250-PIPELINING\nS: 250 LIMITS " text "\n"

static void limits(void **state)
{
	static const char three[] = "u1@x.org u2@x.org u3@x.org";
	static const struct script_case cases[] = {
	        {"RCPTMAX",
	         LIMITS("RCPTMAX=2") MAIL R(1) R(2) DATA YES YES YES GO TEXT TAKEN MAIL R(3)
	                 DATA YES YES GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "delivered 250 2.6.0 end of message relayed\n"
	         "delivered 250 2.6.0 end of message relayed t2\n",
	         NULL, three},
	        {"MAILMAX",
	         LIMITS("MAILMAX=1 RCPTMAX=2") MAIL R(1) R(2) DATA YES YES YES GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "delivered 250 2.6.0 end of message relayed\n"
	         "deferred 0 4.5.3 MAIL FROM again\n",
	         NULL, three},
	        {"RCPTDOMAINMAX",
	         LIMITS("RCPTDOMAINMAX=1") MAIL
	         "C: RCPT TO:<a@x.org>\nC: RCPT TO:<c@X.org>\n" DATA YES YES YES GO TEXT TAKEN MAIL
	         "C: RCPT TO:<b@y.org>\n" DATA YES YES GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "delivered 250 2.6.0 end of message relayed t2\n"
	         "delivered 250 2.6.0 end of message relayed\n",
	         NULL, "a@x.org b@y.org c@X.org"},
	        {"nonsense is no limit",
	         LIMITS("RCPTMAX=x MAILMAX= =3 RCPTMAX") MAIL R(1) R(2) R(3)
	                 DATA YES YES YES YES GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "delivered 250 2.6.0 end of message relayed\n"
	         "delivered 250 2.6.0 end of message relayed\n",
	         NULL, three},
	        {"452 to the second and third",
	         PIPE MAIL R(1) R(2) R(3) DATA YES YES "S: 452 4.5.3 too many\n"
	                                               "S: 452 too many\n" GO TEXT TAKEN MAIL R(2)
	                                                       R(3) DATA YES YES
	         "S: 552 too many\n" GO TEXT TAKEN MAIL R(3) DATA YES YES GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "delivered 250 2.6.0 end of message relayed t2\n"
	         "delivered 250 2.6.0 end of message relayed t3\n",
	         NULL, three},
	        {"452 of another kind is an answer",
	         PIPE MAIL R(1) R(2) R(3) DATA YES YES "S: 452 4.2.2 full\n"
	                                               "S: 552 5.2.2 full\n" GO TEXT TAKEN QUIT,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "deferred 452 4.2.2 RCPT TO\nfailed 552 5.2.2 RCPT TO\n",
	         NULL, three},
	        {"452 to all",
	         PIPE MAIL R(1) R(2) R(3) DATA YES "S: 452 4.5.3 no\nS: 452 4.5.3 no\n"
	                                           "S: 452 4.5.3 no\nS: 503 no\n" QUIT,
	         "greet ok\ndeferred 452 4.5.3 RCPT TO\ndeferred 452 4.5.3 RCPT TO\n"
	         "deferred 452 4.5.3 RCPT TO\n",
	         NULL, three},
	        {"552 to the first is an answer", BARE MAIL YES R(1) "S: 552 no\n" QUIT,
	         "greet ok\nfailed 552 5.0.0 RCPT TO\n", NULL, "u1@x.org"},
	        {"452, and the next transaction fails",
	         PIPE MAIL R(1) R(2) DATA YES YES "S: 452 4.5.3 too many\n" GO TEXT TAKEN MAIL R(2)
	                 DATA "S: 421 4.3.2 enough\n",
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "deferred 421 4.3.2 MAIL FROM t2\n",
	         NULL, "u1@x.org u2@x.org"},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* More recipients than a window: replies are read before more is written. */
static void many_recipients_go_in_windows(void **state)
{
	static struct smtp_client_script s;
	struct buf script, recipients;
	(void)state;
	buf_init(&script, 100000);
	buf_init(&recipients, 100000);
	buf_add_str(&script, PIPE MAIL);
	size_t n = 150, n_sent = 1;
	for (size_t i = 0; i < n; i++) {
		buf_printf(&recipients, "%su%zu@x.org", i > 0 ? " " : "", i);
		buf_printf(&script, "C: RCPT TO:<u%zu@x.org>\n", i);
		if (++n_sent == SMTP_CLIENT_WINDOW) {
			for (; n_sent > 0; n_sent--)
				buf_add_str(&script, YES);
		}
	}
	buf_add_str(&script, DATA);
	for (; n_sent > 0; n_sent--)
		buf_add_str(&script, YES);
	buf_add_str(&script, GO TEXT TAKEN QUIT);
	smtp_client_script_init(&s, buf_cstr(&script), buf_cstr(&recipients), 0);
	assert_true(smtp_client_script_run(&s, "gsq"));
	assert_int_equal(s.n_recipients, n);
	smtp_client_script_done(&s);
	buf_done(&script);
	buf_done(&recipients);
}

/* --- TLS --- */

#define OFFER  GREET "S: 250-mx\nS: 250 STARTTLS\n"
#define GO_TLS "C: STARTTLS\nS: 220 go\nX: tls\nC: EHLO client.example\n"

static void starttls(void **state)
{
	static const struct script_case cases[] = {
	        {"good",
	         OFFER GO_TLS "S: 250-mx\nS: 250 REQUIRETLS\n"
	                      "C: MAIL FROM:<a@client.example> REQUIRETLS\n" YES RCPT YES DATA GO
	                              TEXT TAKEN QUIT,
	         "greet ok\ntls ok\ndelivered 250 2.6.0 end of message relayed\n", "gtsq", NULL,
	         require_tls},
	        {"a notification, to a server with REQUIRETLS",
	         OFFER GO_TLS "S: 250-mx\nS: 250 REQUIRETLS\n"
	                      "C: MAIL FROM:<> REQUIRETLS\n" YES RCPT YES DATA GO TEXT TAKEN QUIT,
	         "greet ok\ntls ok\ndelivered 250 2.6.0 end of message relayed\n", "gtsq", NULL,
	         require_tls_of_notice},
	        {"a notification, to a server without",
	         OFFER GO_TLS "S: 250 mx\n"
	                      "C: MAIL FROM:<>\n" YES RCPT YES DATA GO TEXT TAKEN QUIT,
	         "greet ok\ntls ok\ndelivered 250 2.6.0 end of message relayed\n", "gtsq", NULL,
	         require_tls_of_notice},
	        {"a message, to a server without REQUIRETLS", OFFER GO_TLS "S: 250 mx\n" QUIT,
	         "greet ok\ntls ok\nfailed 0 5.7.30 MAIL FROM\n", "gtsq", NULL, require_tls},
	        {"what was announced in clear is forgotten",
	         GREET "S: 250-mx\nS: 250-STARTTLS\nS: 250-PIPELINING\nS: 250-DSN\nS: 250 "
	               "CHUNKING\n" GO_TLS "S: 250 mx\n" MAIL YES RCPT YES DATA GO TEXT TAKEN QUIT,
	         "greet ok\ntls ok\ndelivered 250 2.6.0 end of message relayed\n", "gtsq"},
	        {"not offered", BARE QUIT, "greet ok\ntls unsupported: deferred 0 4.7.4 STARTTLS\n",
	         "gtq"},
	        {"not offered and asked for", BARE "C: STARTTLS\nS: 502 no\n" QUIT,
	         "greet ok\ntls permanent: failed 502 5.0.0 STARTTLS\n", "gTq"},
	        {"not now", OFFER "C: STARTTLS\nS: 454 4.7.0 no\n" QUIT,
	         "greet ok\ntls temporary: deferred 454 4.7.0 STARTTLS\n", "gtq"},
	        {"the handshake fails", OFFER "C: STARTTLS\nS: 220 go\nX: tls fails\n",
	         "greet ok\ntls tls: deferred 0 4.7.5 TLS handshake\n"
	         "deferred 0 4.7.5 TLS handshake\n",
	         "gtsq"},
	        {"a reply injected behind the 220", OFFER "C: STARTTLS\nS: 220 go\nS: 250 evil\n",
	         "greet ok\ntls protocol: deferred 0 4.5.0 STARTTLS\n", "gtq",
	         .in_one_piece = true},
	        {"half a reply injected", OFFER "C: STARTTLS\nR: 220 go\\r\\n2\n",
	         "greet ok\ntls protocol: deferred 0 4.5.0 STARTTLS\n", "gtq",
	         .in_one_piece = true},
	        {"a 250 is no 220", OFFER "C: STARTTLS\nS: 250 go\n",
	         "greet ok\ntls protocol: deferred 250 4.5.0 STARTTLS\n", "gtq"},
	        {"EHLO is refused behind TLS", OFFER GO_TLS "S: 421 4.7.0 bye\n",
	         "greet ok\ntls temporary: deferred 421 4.7.0 EHLO\n", "gtq"},
	        {"twice", OFFER GO_TLS "S: 250-mx\nS: 250 STARTTLS\n" QUIT,
	         "greet ok\ntls ok\ntls unsupported: deferred 0 4.7.4 STARTTLS\n", "gttq"},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* --- AUTH --- */

static void trusted(struct smtp_client_script *s)
{
	s->credentials.channel_verified = true;
}
static void long_password(struct smtp_client_script *s)
{
	static char text[400];
	memset(text, 'x', sizeof(text));
	s->credentials.password = slice_of(text, sizeof(text));
	s->credentials.channel_verified = true;
}
static void certificate(struct smtp_client_script *s)
{
	s->credentials.has_certificate = true;
}

#define AUTH(text) GREET "S: 250-mx\nS: 250 AUTH " text "\n"
/* the example of RFC 2195 section 2, with our password: "<1896.697170952@postoffice...>" */
#define CHALLENGE "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"

static void auth(void **state)
{
	static const struct script_case cases[] = {
	        {"PLAIN", AUTH("PLAIN LOGIN") "C: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 235 ok\n" QUIT,
	         "greet ok\nPLAIN ok\n", "gaq", NULL, trusted},
	        {"PLAIN is not for channels that others read", AUTH("PLAIN LOGIN") QUIT,
	         "greet ok\nauth denied: deferred 0 4.7.0 AUTH\n", "gaq"},
	        {"an old server's spelling",
	         GREET "S: 250-mx\nS: 250 AUTH=LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\n"
	               "C: dXNlcg==\nS: 334 UGFzc3dvcmQ6\nC: cGVuY2ls\nS: 235 ok\n" QUIT,
	         "greet ok\nLOGIN ok\n", "gaq", NULL, trusted},
	        {"wrong password",
	         AUTH("PLAIN") "C: AUTH PLAIN AHVzZXIAcGVuY2ls\n"
	                       "S: 535 5.7.8 no\n" QUIT,
	         "greet ok\nauth auth: failed 535 5.7.8 AUTH\n", "gaq", NULL, trusted},
	        {"not now",
	         AUTH("PLAIN") "C: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 454 4.7.0 later\n" QUIT,
	         "greet ok\nauth temporary: deferred 454 4.7.0 AUTH\n", "gaq", NULL, trusted},
	        {"the next mechanism when one is unknown after all",
	         AUTH("CRAM-MD5 PLAIN LOGIN") "C: AUTH CRAM-MD5\nS: 504 what?\n"
	                                      "C: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 504 what?\nC: "
	                                      "AUTH LOGIN\n"
	                                      "S: 504 neither\n" QUIT,
	         "greet ok\nauth unsupported: deferred 0 4.7.0 AUTH\n", "gaq", NULL, trusted},
	        {"CRAM-MD5",
	         AUTH("CRAM-MD5") "C: AUTH CRAM-MD5\nS: 334 " CHALLENGE "\n"
	                          "C: dXNlciAyNjZmODJiYjJkMWFjZTY3MjlkMmM1NzNlNGUwMDRjNg==\nS: 235 "
	                          "ok\n" QUIT,
	         "greet ok\nCRAM-MD5 ok\n", "gaq"},
	        {"a challenge that is no base64",
	         AUTH("CRAM-MD5") "C: AUTH CRAM-MD5\nS: 334 !!!\nC: *\nS: 501 cancelled\n",
	         "greet ok\nauth protocol: deferred 0 4.7.0 AUTH\n", "gaq"},
	        {"the server is not who it should be",
	         AUTH("SCRAM-SHA-1") "C: AUTH SCRAM-SHA-1 biwsbj11c2VyLHI9Tk9OQ0U=\n"
	                             "S: 235 sure\n",
	         "greet ok\nauth auth: failed 0 5.7.8 AUTH\n", "gaq"},
	        {"a nonce that is not ours",
	         AUTH("SCRAM-SHA-1") "C: AUTH SCRAM-SHA-1 biwsbj11c2VyLHI9Tk9OQ0U=\n"
	                             "S: 334 cj14LHM9UVNYQ1IrUTZzZWs4YmY5MixpPTQwOTY=\nC: *\nS: "
	                             "501 ok\n",
	         "greet ok\nauth protocol: deferred 0 4.7.0 AUTH\n", "gaq"},
	        {"EXTERNAL", AUTH("EXTERNAL PLAIN") "C: AUTH EXTERNAL =\nS: 235 ok\n" QUIT,
	         "greet ok\nEXTERNAL ok\n", "gaq", NULL, certificate},
	        {"challenges without end",
	         AUTH("LOGIN") "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\n"
	                       "S: 334 UGFzc3dvcmQ6\nC: cGVuY2ls\nS: 334 UGFzc3dvcmQ6\nC: *\nS: "
	                       "501 no\n",
	         "greet ok\nauth protocol: deferred 0 4.7.0 AUTH\n", "gaq", NULL, trusted},
	        {"no AUTH at all", BARE QUIT, "greet ok\nauth unsupported: deferred 0 4.7.0 AUTH\n",
	         "gaq"},
	        {"a 250 is no 235", AUTH("PLAIN") "C: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 250 ok\n",
	         "greet ok\nauth protocol: deferred 250 4.5.0 AUTH\n", "gaq", NULL, trusted},
	        {"closed", AUTH("PLAIN") "C: AUTH PLAIN AHVzZXIAcGVuY2ls\nE: close\n",
	         "greet ok\nauth closed: deferred 0 4.4.2 AUTH\n", "gaq", NULL, trusted},
	        {"twice", AUTH("PLAIN") "C: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 235 ok\n" QUIT,
	         "greet ok\nPLAIN ok\nauth invalid: deferred 0 4.7.0 AUTH\n", "gaaq", NULL,
	         trusted},
	        {"a line beyond 512 octets waits for its turn",
	         AUTH("PLAIN") "C: AUTH PLAIN\nS: 334\nC: "
	                       "AHVzZXIAeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"
	                       "4eHh4eHh4"
	                       "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"
	                       "4eHh4eHh4"
	                       "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"
	                       "4eHh4eHh4"
	                       "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"
	                       "4eHh4eHh4"
	                       "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"
	                       "4eHh4eHh4"
	                       "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"
	                       "4eHh4eHh4"
	                       "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"
	                       "4eHh4eHh4"
	                       "eHh4eHh4eA=="
	                       "\nS: 235 ok\n" QUIT,
	         "greet ok\nPLAIN ok\n", "gaq", NULL, long_password},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* --- hostile servers and broken lines --- */

static void slow_total(struct smtp_client_script *s)
{
	s->options.timeouts.send_ms = 5000;
}

static void hostile(void **state)
{
	static const struct script_case cases[] = {
	        {"421 to MAIL", BARE MAIL "S: 421 4.3.2 later\n",
	         "greet ok\ndeferred 421 4.3.2 MAIL FROM\n"},
	        {"421 to RCPT", BARE MAIL YES RCPT "S: 421 later\n",
	         "greet ok\ndeferred 421 4.0.0 RCPT TO\n"},
	        {"421 to the second RCPT, pipelined",
	         PIPE MAIL R(1) R(2) R(3) DATA YES "S: 550 5.1.1 no\nS: 421 4.7.0 bye\n",
	         "greet ok\nfailed 550 5.1.1 RCPT TO\ndeferred 421 4.7.0 RCPT TO\n"
	         "deferred 421 4.7.0 RCPT TO\n",
	         NULL, "u1@x.org u2@x.org u3@x.org"},
	        {"421 to DATA", BARE MAIL YES RCPT YES DATA "S: 421 later\n",
	         "greet ok\ndeferred 421 4.0.0 DATA\n"},
	        {"421 to the message", BARE MAIL YES RCPT YES DATA GO TEXT "S: 421 4.3.0 later\n",
	         "greet ok\ndeferred 421 4.3.0 end of message\n"},
	        {"421, and the next message on a dead connection", BARE MAIL "S: 421 later\n",
	         "greet ok\ndeferred 421 4.0.0 MAIL FROM\ndeferred 421 4.0.0 MAIL FROM\n", "gssq"},
	        {"silence after MAIL", BARE MAIL "E: timeout\n",
	         "greet ok\ndeferred 0 4.4.2 MAIL FROM\n"},
	        {"silence after the message", PIPE MAIL RCPT DATA YES YES GO TEXT "E: timeout\n",
	         "greet ok\ndeferred 0 4.4.2 end of message uncertain\n"},
	        {"closed after the message", PIPE MAIL RCPT DATA YES YES GO TEXT "E: close\n",
	         "greet ok\ndeferred 0 4.4.2 end of message uncertain\n"},
	        {"half an answer after the message",
	         PIPE MAIL RCPT DATA YES YES GO TEXT "R: 250 o\n",
	         "greet ok\ndeferred 0 4.4.2 end of message uncertain\n"},
	        {"354 to MAIL", BARE MAIL "S: 354 go\n",
	         "greet ok\ndeferred 354 4.5.0 MAIL FROM\n"},
	        {"354 to RCPT", BARE MAIL YES RCPT "S: 354 go\n",
	         "greet ok\ndeferred 354 4.5.0 RCPT TO\n"},
	        {"250 to DATA", BARE MAIL YES RCPT YES DATA YES,
	         "greet ok\ndeferred 250 4.5.0 DATA\n"},
	        {"354 to the message", BARE MAIL YES RCPT YES DATA GO TEXT GO,
	         "greet ok\ndeferred 354 4.5.0 end of message\n"},
	        {"nonsense to RCPT", BARE MAIL YES RCPT "S: hello\n",
	         "greet ok\ndeferred 0 4.5.0 RCPT TO\n"},
	        {"NUL in a reply", BARE MAIL YES RCPT "R: 550 \\x00\\x1b[2J\\x9b\\r\\n\n" QUIT,
	         "greet ok\nfailed 550 5.0.0 RCPT TO\n"},
	        {"a reply to nothing", PIPE MAIL RCPT DATA YES YES GO TEXT TAKEN YES,
	         "greet ok\ndelivered 250 2.6.0 end of message relayed\n"
	         "deferred 0 4.5.0 MAIL FROM\n",
	         "gssq", .in_one_piece = true},
	        {"codes beyond what there are", BARE MAIL "S: 999 x\n",
	         "greet ok\ndeferred 0 4.5.0 MAIL FROM\n"},
	        {"codes below", BARE MAIL "S: 150 x\n", "greet ok\ndeferred 0 4.5.0 MAIL FROM\n"},
	        {"too slow altogether", BARE MAIL "T: 3000\n" YES RCPT "T: 3000\n",
	         "greet ok\ndeferred 0 4.4.2 RCPT TO\n", NULL, NULL, slow_total},
	};
	(void)state;
	run_cases(cases, N_ELEMENTS(cases));
}

/* A connection that breaks after any octet the server sends: nothing is ever taken for delivered
 * that was not, nothing fails for good, and what may have been delivered is said to be uncertain.
 */
static void connection_lost_at_every_octet(void **state)
{
	static const char *const scripts[] = {
	        PIPE MAIL RCPT DATA YES YES GO TEXT TAKEN QUIT,
	        BARE MAIL YES RCPT YES DATA GO TEXT TAKEN QUIT,
	        FULL "C: MAIL FROM:<a@client.example> SIZE=12\n" RCPT YES YES
	             "D: BDAT 12 LAST\\r\\nP: 1\\r\\n\\r\\nHi\\r\\n\n" TAKEN QUIT,
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
		bool delivered = false;
		for (size_t n = 0; !delivered || n < 10; n++) {
			static struct smtp_client_script s;
			smtp_client_script_init(&s, scripts[i], "u@example.org", 0);
			s.n_cut = n;
			(void)smtp_client_script_run(&s, "gs");
			struct slice log = buf_slice(&s.log), said = stream_mem_output(&s.mem);
			bool whole = slice_ends(said, SLICE("Hi\r\n.\r\n")) ||
			             slice_ends(said, SLICE("Hi\r\n"));
			bool uncertain = slice_find(log, SLICE("uncertain")) != SIZE_MAX;
			delivered = slice_find(log, SLICE("\ndelivered")) != SIZE_MAX;
			assert_true(delivered || slice_find(log, SLICE("deferred")) != SIZE_MAX);
			assert_true(slice_find(log, SLICE("failed")) == SIZE_MAX);
			assert_true(uncertain == (whole && !delivered));
			assert_true(!delivered || whole);
			smtp_client_script_done(&s);
			assert_true(n < 2000);
		}
	}
}

/* Whatever a reply is made of, no more of it is read or kept than the limits say. */
static void replies_are_bounded(void **state)
{
	static const struct {
		const char *start, *line;
		size_t n;
		enum err code;
	} cases[] = {
	        {"", "220-x\r\n", SMTP_REPLY_PARSE_LINES_MAX - 1, ERR_CLOSED},
	        {"", "220-x\r\n", SMTP_REPLY_PARSE_LINES_MAX, ERR_LIMIT},
	        {"", "220-x\r\n", 1000000, ERR_LIMIT},
	        {"220 ", "x", SMTP_REPLY_PARSE_LINE_MAX - 6, ERR_CLOSED},
	        {"220 ", "x", SMTP_REPLY_PARSE_LINE_MAX, ERR_LIMIT},
	        {"220 ", "x", 1000000, ERR_LIMIT},
	        {"",
	         "220-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
	         255, ERR_LIMIT},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		static struct smtp_client_script s;
		struct buf script;
		buf_init(&script, 16 * 1024 * 1024);
		buf_add_str(&script, cases[i].start);
		for (size_t j = 0; j < cases[i].n; j++)
			buf_add_str(&script, cases[i].line);
		smtp_client_script_init(&s, "", "u@example.org", 0);
		stream_mem_feed(&s.mem, buf_slice(&script));
		smtp_client_init(&s.client, &s.options);
		struct status status = smtp_client_greet(&s.client);
		if (status.code != cases[i].code)
			print_error("case %zu: %s\n", i, err_name(status.code));
		assert_int_equal(status.code, cases[i].code);
		assert_true(s.client.reply.text.n <=
		            SMTP_REPLY_PARSE_TOTAL_MAX + SMTP_REPLY_PARSE_LINES_MAX);
		assert_true(s.client.failure.n_lines <= SMTP_CLIENT_LINES_MAX);
		smtp_client_script_done(&s);
		buf_done(&script);
	}
}

/* What people get to see: the lines of the reply, cleaned, cut, in order. */
static void lines_are_kept(void **state)
{
	static struct smtp_client_script s;
	struct smtp_outcome outcome;
	struct buf script;
	(void)state;
	buf_init(&script, 100000);
	buf_add_str(&script,
	            BARE MAIL YES RCPT "S: 550-5.1.1 no\\x07body\nS: 550-5.1.1 \xc3\xa9\\xff\n");
	for (int i = 0; i < 30; i++)
		buf_add_str(&script, "S: 550-5.1.1 more\n");
	buf_add_str(&script, "S: 550 5.1.1 end\n");
	smtp_client_script_init(&s, buf_cstr(&script), "u@example.org", 1);
	smtp_client_init(&s.client, &s.options);
	s.content.size = s.body.n;
	assert_true(is_ok(smtp_client_greet(&s.client)));
	smtp_client_send(&s.client, &s.message, s.recipients, 1, &outcome, &s.arena);
	assert_int_equal(outcome.kind, SMTP_OUTCOME_FAILED);
	assert_int_equal(outcome.n_lines, SMTP_CLIENT_LINES_MAX);
	assert_true(slice_eq_str(outcome.lines[0], "550-5.1.1 no?body"));
	assert_true(slice_eq_str(outcome.lines[1], "550-5.1.1 \xc3\xa9?"));
	assert_string_equal(outcome.why, "the server answered to RCPT TO with 550-5.1.1 no?body");
	smtp_client_script_done(&s);
	buf_done(&script);
}

/* Where text is cut no character is: what it goes into, JSON, takes UTF-8 only. */
static void cuts_leave_characters_whole(void **state)
{
	static struct smtp_client_script s;
	(void)state;
	for (int shift = 0; shift < 4; shift++) {
		struct smtp_outcome outcome;
		struct buf script;
		buf_init(&script, 10000);
		buf_add_str(&script, BARE MAIL YES RCPT);
		for (int line = 0; line < 6; line++) {
			buf_printf(&script, "S: 550%c5.1.1 %.*s", line < 5 ? '-' : ' ', shift,
			           "xxx");
			for (int i = 0; i < 120; i++)
				buf_add_str(&script, "\xf0\x9f\x93\xac");
			buf_add_str(&script, "\n");
		}
		smtp_client_script_init(&s, buf_cstr(&script), "u@example.org", 0);
		smtp_client_init(&s.client, &s.options);
		s.content.size = s.body.n;
		assert_true(is_ok(smtp_client_greet(&s.client)));
		smtp_client_send(&s.client, &s.message, s.recipients, 1, &outcome, &s.arena);
		assert_int_equal(outcome.n_lines, 5); /* SMTP_CLIENT_TEXT_MAX cuts the fifth */
		assert_true(strlen(outcome.why) > 400);
		assert_true(utf8_valid(slice_str(outcome.why)));
		for (size_t i = 0; i < outcome.n_lines; i++)
			assert_true(utf8_valid(outcome.lines[i]));
		smtp_client_script_done(&s);
		buf_done(&script);
	}
}

/* An arena that is too small costs words, not outcomes. */
static void small_arena_loses_words_only(void **state)
{
	static struct smtp_client_script s;
	struct smtp_outcome outcome;
	struct arena small;
	(void)state;
	arena_init(&small, 1);
	smtp_client_script_init(&s, BARE MAIL YES RCPT "S: 550 5.1.1 no\n", "u@example.org", 0);
	smtp_client_init(&s.client, &s.options);
	s.content.size = s.body.n;
	assert_true(is_ok(smtp_client_greet(&s.client)));
	smtp_client_send(&s.client, &s.message, s.recipients, 1, &outcome, &small);
	assert_int_equal(outcome.kind, SMTP_OUTCOME_FAILED);
	assert_int_equal(outcome.n_lines, 0);
	assert_non_null(outcome.why);
	smtp_client_script_done(&s);
	arena_done(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(greetings),
	        cmocka_unit_test(transactions),
	        cmocka_unit_test(contents),
	        cmocka_unit_test(faulty_content_never_fills_a_chunk),
	        cmocka_unit_test(needs),
	        cmocka_unit_test(limits),
	        cmocka_unit_test(many_recipients_go_in_windows),
	        cmocka_unit_test(starttls),
	        cmocka_unit_test(auth),
	        cmocka_unit_test(hostile),
	        cmocka_unit_test(connection_lost_at_every_octet),
	        cmocka_unit_test(replies_are_bounded),
	        cmocka_unit_test(lines_are_kept),
	        cmocka_unit_test(cuts_leave_characters_whole),
	        cmocka_unit_test(small_arena_loses_words_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
