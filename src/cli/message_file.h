/* Messages that commands are given as files, or on standard input. */
#pragma once

#include "cli/cli.h"

#define CLI_MESSAGE_MAX ((size_t)256 * 1024 * 1024) /* bytes */

struct cli_message {
	const char *name;    /* as it was given; "-" for standard input */
	struct buf original; /* as it was read */
	/* With the line ends of mail. A message whose first line ends in a bare LF is one from a
	 * file of this system: all of its lines get a CRLF. Any other is taken as it is. */
	struct buf text;
	bool had_lf; /* it was one of those */
};

/* path "-" or NULL: standard input. 0, or the exit status of a failure that is explained. */
int cli_message_read(const struct cli *cli, const char *path, struct cli_message *message);
void cli_message_done(struct cli_message *message);

/* Up to the blank line with it, and what follows. */
struct slice cli_message_header(const struct cli_message *message);
struct slice cli_message_body(const struct cli_message *message);

/* Calls run for each file among the arguments, for standard input when there are none. The first
 * failure (not 0) ends it and is given. */
int cli_messages_each(struct cli *cli,
                      int (*run)(struct cli *cli, const struct cli_message *message, void *context),
                      void *context);

/* Fields with CRLF, and the message behind them, with the line ends that the message had. */
void cli_message_prefixed(const struct cli_message *message, struct slice fields, bool whole,
                          struct buf *out);
