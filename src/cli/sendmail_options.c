/* Options as sendmail's own getopt reads them: letters may stand together ("-ti"), a value is
 * attached or the next word, and "--" ends them. What other implementations take and what changes
 * nothing here is passed over. */
#include "cli/sendmail_options.h"

#include <stdarg.h>
#include <stdio.h>

enum shape {
	SHAPE_FLAG,
	SHAPE_VALUE,    /* attached, or the next word */
	SHAPE_ATTACHED, /* attached or nothing */
};

struct letter {
	char letter;
	enum shape shape;
	const char *help; /* NULL: passed over */
};

static const struct letter letters[] = {
        {'t', SHAPE_FLAG, "recipients are those of To, Cc and Bcc as well"},
        {'i', SHAPE_FLAG, "a line with a single dot is text, not the end (-oi is the same)"},
        {'f', SHAPE_VALUE, "the sender, to whom failures are reported (-r is the same)"},
        {'F', SHAPE_VALUE, "the sender's name, for a From that is missing"},
        {'N', SHAPE_VALUE, "when to notify the sender: never, or success,failure,delay"},
        {'R', SHAPE_VALUE, "what of the message to return with a failure: full or hdrs"},
        {'V', SHAPE_VALUE, "an identifier of the message that notifications repeat"},
        {'v', SHAPE_FLAG, "say what happens"},
        {'b', SHAPE_VALUE, "-bm, which is the default; other modes are not for this program"},
        {'r', SHAPE_VALUE, NULL},
        {'o', SHAPE_ATTACHED, NULL},
        {'O', SHAPE_VALUE, NULL},
        {'q', SHAPE_ATTACHED, NULL},
        {'A', SHAPE_ATTACHED, NULL},
        {'B', SHAPE_VALUE, NULL},
        {'C', SHAPE_VALUE, NULL},
        {'d', SHAPE_ATTACHED, NULL},
        {'e', SHAPE_ATTACHED, NULL},
        {'G', SHAPE_FLAG, NULL},
        {'h', SHAPE_VALUE, NULL},
        {'I', SHAPE_FLAG, NULL},
        {'L', SHAPE_VALUE, NULL},
        {'m', SHAPE_FLAG, NULL},
        {'n', SHAPE_FLAG, NULL},
        {'p', SHAPE_VALUE, NULL},
        {'s', SHAPE_FLAG, NULL},
        {'U', SHAPE_FLAG, NULL},
        {'X', SHAPE_VALUE, NULL},
        {'x', SHAPE_FLAG, NULL},
};

static const struct letter *find_letter(char c)
{
	for (size_t i = 0; i < N_ELEMENTS(letters); i++)
		if (letters[i].letter == c)
			return &letters[i];
	return NULL;
}

PRINTF(2, 3) static int refuse(struct sendmail_options *o, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(o->refusal, sizeof(o->refusal), format, args);
	va_end(args);
	return EX_USAGE;
}

/* "never" or a list of the others (RFC 3461 section 4.1) */
static int take_notify(struct sendmail_options *o, const char *value)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = {
	        {"never", SMTP_NOTIFY_NEVER},
	        {"success", SMTP_NOTIFY_SUCCESS},
	        {"failure", SMTP_NOTIFY_FAILURE},
	        {"delay", SMTP_NOTIFY_DELAY},
	};
	struct slice word, rest = slice_str(value);
	o->notify = 0;
	do {
		unsigned bit = 0;
		(void)slice_cut(rest, ',', &word, &rest);
		for (size_t i = 0; i < N_ELEMENTS(names); i++)
			bit |= slice_ieq_str(slice_trim(word), names[i].name) ? names[i].bit : 0;
		if (bit == 0)
			return refuse(o,
			              "-N takes never, or a list of success, failure and delay, "
			              "not `%.100s`",
			              value);
		o->notify |= bit;
	} while (rest.n > 0);
	if (o->notify & SMTP_NOTIFY_NEVER && o->notify != SMTP_NOTIFY_NEVER)
		return refuse(o, "-N: `never` stands alone");
	return 0;
}

static int take_ret(struct sendmail_options *o, const char *value)
{
	if (slice_ieq_str(slice_str(value), "full"))
		o->ret = SMTP_RET_FULL;
	else if (slice_ieq_str(slice_str(value), "hdrs"))
		o->ret = SMTP_RET_HDRS;
	else
		return refuse(o, "-R takes full or hdrs, not `%.100s`", value);
	return 0;
}

static int unsupported(struct sendmail_options *o, const char *what)
{
	o->action = SENDMAIL_UNSUPPORTED;
	return refuse(o, "%s", what);
}

static int take_mode(struct sendmail_options *o, const char *value)
{
	switch (value[0]) {
	case 'm':
		return 0;
	case 'i':
	case 'I':
	case 'H':
	case 'h':
		o->action = SENDMAIL_NOTHING;
		return 0;
	case 's':
		return unsupported(o,
		                   "-bs (SMTP on standard input) is not supported: speak SMTP to "
		                   "the submission port, or hand the message over as text");
	case 'p':
		return unsupported(o,
		                   "-bp is not supported: `mailkeep queue list` shows the queue");
	case 'd':
	case 'D':
		return unsupported(o, "-bd is not supported: `mailkeep serve` runs the server");
	case 'v':
	case 't':
		return unsupported(o, "-bv and -bt are not supported: `mailkeep address find` says "
		                      "where mail to an address goes");
	default:
		return refuse(o, "-b%.20s is no mode that is known here", value);
	}
}

/* -oX: X is what used to be an option of its own. */
static void take_old_option(struct sendmail_options *o, const char *value)
{
	if (strcmp(value, "i") == 0)
		o->ignore_dots = true;
}

static int take_value(struct sendmail_options *o, char letter, const char *value)
{
	switch (letter) {
	case 't':
		o->header_recipients = true;
		return 0;
	case 'i':
		o->ignore_dots = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'f':
	case 'r':
		o->from = value;
		return 0;
	case 'F':
		o->full_name = value;
		return 0;
	case 'V':
		o->envid = value;
		return 0;
	case 'N':
		return take_notify(o, value);
	case 'R':
		return take_ret(o, value);
	case 'b':
		return take_mode(o, value);
	case 'o':
		take_old_option(o, value);
		return 0;
	case 'q':
		o->action = SENDMAIL_NOTHING;
		return 0;
	case 'I':
		o->action = SENDMAIL_NOTHING;
		return 0;
	default:
		return 0;
	}
}

/* One word of letters; takes the next word too when it is a value. */
static int take_word(struct sendmail_options *o, const char *const *words, size_t n_words,
                     size_t *at)
{
	for (const char *p = words[*at] + 1; *p; p++) {
		const struct letter *letter = find_letter(*p);
		const char *value = p + 1;
		if (!letter)
			return refuse(o, "there is no option -%c", *p);
		if (letter->shape == SHAPE_FLAG) {
			int failed = take_value(o, *p, "");
			if (failed)
				return failed;
			continue;
		}
		if (letter->shape == SHAPE_VALUE && !*value) {
			if (*at + 1 == n_words)
				return refuse(o, "-%c needs a value", *p);
			value = words[++*at];
		}
		return take_value(o, *p, value);
	}
	return 0;
}

static int take_long(struct sendmail_options *o, const char *const *words, size_t n_words,
                     size_t *at)
{
	const char *word = words[*at];
	if (strcmp(word, "--help") == 0) {
		o->action = SENDMAIL_HELP;
		return 0;
	}
	if (strncmp(word, "--config=", 9) == 0) {
		o->config = word + 9;
		return 0;
	}
	if (strcmp(word, "--config") != 0)
		return refuse(o, "there is no option %.100s", word);
	if (*at + 1 == n_words)
		return refuse(o, "--config needs a file");
	o->config = words[++*at];
	return 0;
}

int sendmail_options_parse(struct sendmail_options *options, const char *const *words,
                           size_t n_words, const char **recipients)
{
	bool ended = false;
	*options = (struct sendmail_options){.recipients = recipients};
	for (size_t i = 0; i < n_words; i++) {
		int failed = 0;
		if (!ended && strcmp(words[i], "--") == 0)
			ended = true;
		else if (!ended && strncmp(words[i], "--", 2) == 0)
			failed = take_long(options, words, n_words, &i);
		else if (!ended && words[i][0] == '-' && words[i][1])
			failed = take_word(options, words, n_words, &i);
		else
			recipients[options->n_recipients++] = words[i];
		if (failed)
			return failed;
	}
	return 0;
}

void sendmail_options_print(struct buf *out)
{
	for (size_t i = 0; i < N_ELEMENTS(letters); i++)
		if (letters[i].help)
			buf_printf(out, "  -%c%s  %s\n", letters[i].letter,
			           letters[i].shape == SHAPE_FLAG ? "      " : " VALUE",
			           letters[i].help);
	buf_add_str(out,
	            "  --config FILE  read this file only\nOther options of sendmail are passed "
	            "over where they change nothing.\n");
}
