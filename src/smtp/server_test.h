/* What the session tests share: the usual lines of scripts, and running a table of them. */
#pragma once

#include "smtp/script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HELLO                                                                                      \
	"S: 220 mx.example.org ESMTP c1\n"                                                         \
	"C: EHLO client.example\n"                                                                 \
	"S: 250-mx.example.org\n"                                                                  \
	"S: 250-PIPELINING\n"                                                                      \
	"S: 250-SIZE 67108864\n"                                                                   \
	"S: 250-STARTTLS\n"                                                                        \
	"S: 250-8BITMIME\n"                                                                        \
	"S: 250-ENHANCEDSTATUSCODES\n"                                                             \
	"S: 250-SMTPUTF8\n"                                                                        \
	"S: 250-CHUNKING\n"                                                                        \
	"S: 250-BINARYMIME\n"                                                                      \
	"S: 250-DSN\n"                                                                             \
	"S: 250 LIMITS RCPTMAX=1000 MAILMAX=1000\n"
/* the same where its lines do not matter */
#define HELO                                                                                       \
	"S: 220 mx.example.org ESMTP c1\n"                                                         \
	"C: HELO client.example\n"                                                                 \
	"S: 250 mx.example.org\n"
#define MAIL                                                                                       \
	"C: MAIL FROM:<a@client.example>\n"                                                        \
	"S: 250 2.1.0 Sender OK\n"
#define RCPT                                                                                       \
	"C: RCPT TO:<u@example.org>\n"                                                             \
	"S: 250 2.1.5 Recipient OK\n"
#define DATA                                                                                       \
	"C: DATA\n"                                                                                \
	"S: 354 Send the message, end with CRLF.CRLF\n"
#define KEPT "S: 250 2.0.0 Kept\n"
#define QUIT                                                                                       \
	"C: QUIT\n"                                                                                \
	"S: 221 2.0.0 Goodbye\n"

#define LOG_HELLO "ehlo client.example\n"
#define LOG_HELO  "helo client.example\n"
#define LOG_MAIL  "mail <a@client.example>\n"
#define LOG_RCPT  "rcpt <u@example.org>\n"

#define REFUSED "S: 550 5.6.0 Message holds a bare CR, bare LF or NUL (possible SMTP smuggling)\n"

typedef void tweak(struct smtp_server_options *options);

struct script_case {
	const char *name;
	const char *text;
	const char *log; /* NULL: not compared */
	tweak *change;
};

static const size_t chunks[] = {0, 1, 2, 3, 7};

static inline bool run_case(const struct script_case *c, size_t chunk)
{
	struct smtp_script script;
	smtp_script_init(&script, c->text, chunk);
	if (c->change)
		c->change(&script.options);
	bool right = smtp_script_run(&script);
	if (right && c->log && !slice_eq_str(buf_slice(&script.fake.log), c->log)) {
		print_error("the backend saw:\n%s--- not:\n%s", buf_cstr(&script.fake.log), c->log);
		right = false;
	}
	if (!right)
		print_error("--- script: %s (reads of %zu)\n", c->name, chunk);
	smtp_script_done(&script);
	return right;
}

static inline void run_cases(const struct script_case *cases, size_t n_cases)
{
	bool right = true;
	for (size_t i = 0; i < n_cases; i++)
		for (size_t j = 0; j < N_ELEMENTS(chunks) && right; j++)
			right &= run_case(&cases[i], chunks[j]);
	assert_true(right);
}
