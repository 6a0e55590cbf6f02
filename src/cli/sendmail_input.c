/* Reading of a message from a program, to its end whatever it holds: what cannot be sent must still
 * be kept. */
#include "cli/sendmail_message.h"

#include "os/fd.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>

#define BLOCK_SIZE ((size_t)64 * 1024)

void sendmail_input_init(struct sendmail_input *input)
{
	*input = (struct sendmail_input){.body_fd = -1};
	buf_init(&input->header, SENDMAIL_HEADER_MAX);
}

void sendmail_input_done(struct sendmail_input *input)
{
	buf_done(&input->header);
	fd_close(&input->body_fd);
}

struct reader {
	struct sendmail_input *input;
	struct buf body; /* not yet written */
	struct buf line; /* of the header, as far as it has come */
	struct status status;
	bool in_body;
	bool ignore_dots;
	bool seen_line; /* at least one line of the header or dropped before it */
	bool after_cr;
	bool at_line_start;
	bool dot_held; /* a dot at the start of a line, which may be the end */
	bool ended;
};

static void flush_body(struct reader *r)
{
	if (r->body.n > 0 && is_ok(r->status))
		r->status = fd_write_all(r->input->body_fd, buf_slice(&r->body), NULL);
	r->input->body_size += r->body.n;
	buf_reset(&r->body);
}

static void add_body(struct reader *r, uint8_t c)
{
	r->input->has_8bit |= c >= 0x80;
	buf_add_byte(&r->body, c);
	if (r->body.n >= BLOCK_SIZE)
		flush_body(r);
}

static void begin_body(struct reader *r)
{
	r->in_body = true;
	add_body(r, '\r');
	add_body(r, '\n');
}

/* field-name = 1*ftext, then ":" (RFC 5322 section 2.2), blanks before it tolerated */
static bool is_field(struct slice line)
{
	size_t colon = slice_index(line, ':');
	if (colon == SIZE_MAX || colon == 0)
		return false;
	struct slice name = slice_trim(slice_sub(line, 0, colon));
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
			return false;
	return name.n > 0 && line.p[0] != ' ' && line.p[0] != '\t';
}

static void line_to_body(struct reader *r)
{
	for (size_t i = 0; i < r->line.n; i++)
		add_body(r, r->line.p[i]);
	buf_reset(&r->line);
}

/* A line of the header with its CRLF has come. */
static void take_line(struct reader *r)
{
	struct slice line = buf_slice(&r->line);
	struct buf *header = &r->input->header;
	bool first = !r->seen_line;
	r->seen_line = true;
	if (line.n == 2) {
		buf_reset(&r->line);
		begin_body(r);
		return;
	}
	bool mbox = slice_starts(line, SLICE("From ")) || slice_starts(line, SLICE(">From "));
	bool folded = (line.p[0] == ' ' || line.p[0] == '\t') && header->n > 0;
	if (!(first && mbox) && !folded && !is_field(line)) {
		begin_body(r); /* the blank line was forgotten */
		line_to_body(r);
		return;
	}
	if (!(first && mbox))
		buf_add(header, line);
	buf_reset(&r->line);
}

static void too_long(struct reader *r)
{
	r->input->fault = "the header is too long";
	begin_body(r);
	line_to_body(r);
}

static void put(struct reader *r, uint8_t c)
{
	if (r->in_body) {
		add_body(r, c);
		return;
	}
	if (r->input->header.n + r->line.n + 2 > SENDMAIL_HEADER_MAX) {
		too_long(r);
		add_body(r, c);
		return;
	}
	buf_add_byte(&r->line, c);
}

static void end_line(struct reader *r)
{
	put(r, '\r');
	put(r, '\n');
	if (!r->in_body)
		take_line(r);
	r->at_line_start = true;
}

static void fault(struct reader *r, const char *why)
{
	if (!r->input->fault)
		r->input->fault = why;
}

static void ordinary(struct reader *r, uint8_t c)
{
	if (r->dot_held) {
		r->dot_held = false;
		put(r, '.');
	}
	if (c == 0)
		fault(r, "it holds a NUL");
	r->at_line_start = false;
	put(r, c);
}

static void take_byte(struct reader *r, uint8_t c)
{
	if (r->after_cr) {
		r->after_cr = false;
		if (c != '\n') {
			fault(r, "it holds a CR that is no part of a line end");
			ordinary(r, '\r');
		}
	}
	if (c == '\r') {
		r->after_cr = true;
	} else if (c == '\n' && r->dot_held) {
		r->ended = true;
	} else if (c == '\n') {
		end_line(r);
	} else if (c == '.' && r->at_line_start && !r->ignore_dots) {
		r->dot_held = true;
		r->at_line_start = false;
	} else {
		ordinary(r, c);
	}
}

static void finish(struct reader *r)
{
	if (r->after_cr) {
		fault(r, "it holds a CR that is no part of a line end");
		ordinary(r, '\r');
	}
	if (!r->at_line_start && !r->dot_held)
		end_line(r);
	if (!r->in_body)
		begin_body(r);
	flush_body(r);
}

static void read_all(struct reader *r, int fd)
{
	CLEANUP(base_freep) uint8_t *block = base_alloc(BLOCK_SIZE);
	while (is_ok(r->status) && !r->ended) {
		ssize_t n = read(fd, block, BLOCK_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r->status = fail_errno(errno, "the message cannot be read");
		if (n <= 0)
			return;
		if (r->input->body_size > SENDMAIL_SIZE_MAX) {
			r->status = fail(ERR_LIMIT, "the message is too large");
			return;
		}
		for (ssize_t i = 0; i < n && !r->ended; i++)
			take_byte(r, block[i]);
	}
}

struct status sendmail_input_read(struct sendmail_input *input, int fd, bool ignore_dots,
                                  const char *directory)
{
	struct reader r = {
	        .input = input,
	        .status = ok(),
	        .ignore_dots = ignore_dots,
	        .at_line_start = true,
	};
	TRY(file_temporary(AT_FDCWD, directory, 0600, &input->body_fd, NULL));
	buf_init(&r.body, 2 * BLOCK_SIZE);
	buf_init(&r.line, SENDMAIL_HEADER_MAX + 2);
	read_all(&r, fd);
	finish(&r);
	buf_done(&r.body);
	buf_done(&r.line);
	return r.status;
}
