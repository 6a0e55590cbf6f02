/* The options of sendmail(8), as far as programs use them. */
#pragma once

#include "smtp/param.h"

#include <sysexits.h>

enum sendmail_action {
	SENDMAIL_SEND,
	SENDMAIL_NOTHING,     /* -bi, -q: the server does by itself what is asked for */
	SENDMAIL_UNSUPPORTED, /* refusal says what and why */
	SENDMAIL_HELP,
};

struct sendmail_options {
	enum sendmail_action action;
	const char *from;      /* -f, -r: the sender; "" and "<>": the null path; NULL: not given */
	const char *full_name; /* -F; NULL: not given */
	const char *config;    /* --config; NULL: not given */
	bool header_recipients; /* -t */
	bool ignore_dots;       /* -i, -oi */
	bool verbose;           /* -v */
	unsigned notify;        /* -N: bits of enum smtp_notify */
	enum smtp_ret ret;      /* -R */
	const char *envid;      /* -V; NULL: not given */
	char refusal[300];
	const char **recipients; /* the words that are no options: n_recipients of them */
	size_t n_recipients;
};

/* recipients: room for n_words. 0, or EX_USAGE with the sentence in refusal. */
int sendmail_options_parse(struct sendmail_options *options, const char *const *words,
                           size_t n_words, const char **recipients);

/* The table as help. */
void sendmail_options_print(struct buf *out);
