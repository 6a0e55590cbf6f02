/* Messages read whole, their line ends made those of mail. */
#include "cli/message_file.h"

#include "os/file.h"

#include <errno.h>

#define PIECE_SIZE ((size_t)64 * 1024)

static int read_standard_input(const struct cli *cli, struct buf *out)
{
	for (;;) {
		uint8_t piece[PIECE_SIZE];
		ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cli_fail(cli, NULL, "standard input cannot be read");
		if (n == 0)
			break;
		buf_add(out, slice_of(piece, (size_t)n));
	}
	return buf_failed(out) ? cli_fail(cli, NULL, "the message is too large") : 0;
}

static int read_path(const struct cli *cli, const char *path, struct buf *out)
{
	struct os_fault fault = {0};
	struct arena arena;
	struct slice bytes;
	int result = 0;
	arena_init(&arena, CLI_MESSAGE_MAX + KIB);
	if (is_ok(file_read_path(path, CLI_MESSAGE_MAX, &arena, &bytes, &fault)))
		buf_add(out, bytes);
	else
		result = cli_fail(cli, NULL, "`%s` cannot be read: %s", path, fault.text);
	arena_done(&arena);
	return result;
}

/* A CR before each LF that has none. */
static void add_cr(struct slice in, struct buf *out)
{
	while (in.n > 0) {
		size_t at = slice_index(in, '\n');
		struct slice line = slice_sub(in, 0, at == SIZE_MAX ? in.n : at);
		buf_add(out, line);
		if (at != SIZE_MAX)
			buf_add_str(out, slice_ends(line, SLICE("\r")) ? "\n" : "\r\n");
		in = slice_from(in, line.n + (at != SIZE_MAX));
	}
}

int cli_message_read(const struct cli *cli, const char *path, struct cli_message *message)
{
	bool is_stdin = !path || strcmp(path, "-") == 0;
	*message = (struct cli_message){.name = is_stdin ? "-" : path};
	buf_init(&message->original, CLI_MESSAGE_MAX);
	buf_init(&message->text, 2 * CLI_MESSAGE_MAX);
	int result = is_stdin ? read_standard_input(cli, &message->original)
	                      : read_path(cli, path, &message->original);
	struct slice original = buf_slice(&message->original);
	size_t at = slice_index(original, '\n');
	message->had_lf = at != SIZE_MAX && (at == 0 || original.p[at - 1] != '\r');
	if (message->had_lf)
		add_cr(original, &message->text);
	else
		buf_add(&message->text, original);
	if (result != 0)
		cli_message_done(message);
	return result;
}

void cli_message_done(struct cli_message *message)
{
	buf_done(&message->original);
	buf_done(&message->text);
}

/* The blank line is the first line that is empty; a bare LF ends a line, too. */
static size_t header_size(struct slice text)
{
	size_t at = 0;
	while (at < text.n) {
		struct slice rest = slice_from(text, at);
		size_t end = slice_index(rest, '\n');
		size_t n = end == SIZE_MAX ? rest.n : end + 1;
		at += n;
		if (rest.p[0] == '\n' || slice_starts(rest, SLICE("\r\n")))
			break;
	}
	return at;
}

struct slice cli_message_header(const struct cli_message *message)
{
	struct slice text = buf_slice(&message->text);
	return slice_sub(text, 0, header_size(text));
}

struct slice cli_message_body(const struct cli_message *message)
{
	struct slice text = buf_slice(&message->text);
	return slice_from(text, header_size(text));
}

int cli_messages_each(struct cli *cli,
                      int (*run)(struct cli *cli, const struct cli_message *message, void *context),
                      void *context)
{
	for (size_t i = 0; i < MAX(cli->n_args, (size_t)1); i++) {
		struct cli_message message;
		int result = cli_message_read(cli, i < cli->n_args ? cli->args[i] : NULL, &message);
		if (result == 0) {
			result = run(cli, &message, context);
			cli_message_done(&message);
		}
		if (result != 0)
			return result;
	}
	return 0;
}

void cli_message_prefixed(const struct cli_message *message, struct slice fields, bool whole,
                          struct buf *out)
{
	for (size_t i = 0; i < fields.n; i++)
		if (!message->had_lf || fields.p[i] != '\r')
			buf_add_byte(out, fields.p[i]);
	if (whole)
		buf_add(out, buf_slice(&message->original));
}
