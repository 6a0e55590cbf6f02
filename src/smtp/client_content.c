/* The message itself, behind DATA (RFC 5321 section 4.1.1.4) or in one BDAT (RFC 3030 section 2).
 *
 * One block of memory, whatever the size. Content with a bare CR, bare LF or NUL is never finished:
 * the connection is dropped instead, so that no server on the way can take a part of it for an end
 * and the rest for commands (SMTP smuggling, 2023). Binary content is exempt: it goes by count.
 *
 * A server that closes while we still write may have said why: that reply is looked for.
 */
#include "smtp/client_private.h"

#include "smtp/stuff.h"

#include <errno.h>

#define BLOCK_SIZE    ((size_t)64 * 1024)
#define LAST_WORDS_MS 1000 /* for what a server said before it closed */

/* --- content from a file --- */

static struct status file_read(void *context, uint64_t offset, uint8_t *p, size_t n, size_t *ret_n)
{
	const struct smtp_content_file *file = context;
	for (;;) {
		ssize_t got = pread(file->fd, p, n, (off_t)(file->offset + offset));
		if (got >= 0) {
			*ret_n = (size_t)got;
			return ok();
		}
		if (errno != EINTR)
			return fail_errno(errno, "the message cannot be read");
	}
}

struct smtp_content smtp_content_of_file(struct smtp_content_file *file, uint64_t size)
{
	return (struct smtp_content){.read = file_read, .context = file, .size = size};
}

/* --- sending --- */

struct sending {
	struct smtp_client *c;
	const struct smtp_message *message;
	struct smtp_stuff stuff;
	bool dots;                  /* DATA: dot-stuffed */
	uint64_t n_left;            /* octets of the message still to come */
	struct smtp_outcome *fault; /* the message's, or of reading it */
};

static struct status write_stuffed(struct sending *s, struct slice bytes)
{
	struct stream *stream = s->c->options.stream;
	struct slice run;
	bool dot = true;
	while (dot) {
		dot = smtp_stuff_next(&s->stuff, &bytes, &run);
		TRY(stream_write(stream, run));
		if (dot)
			TRY(stream_write(stream, SLICE(".")));
	}
	return ok();
}

static struct status faulty(struct sending *s)
{
	*s->fault = smtp_outcome_local(
	        SMTP_OUTCOME_FAILED, SMTP_STEP_CONTENT, "5.6.0",
	        "the message holds a bare CR, a bare LF or a NUL and cannot be sent safely");
	s->fault->message_fault = true;
	return fail(ERR_INVALID, s->fault->why);
}

static struct status write_some(struct sending *s, struct slice bytes)
{
	struct smtp_client *c = s->c;
	if (c->until_ms > 0 && clock_monotonic_ms(c->options.clock) > c->until_ms)
		return fail(ERR_TIMEOUT, "sending the message takes too long");
	s->n_left -= bytes.n;
	if (s->dots) {
		TRY(write_stuffed(s, bytes));
		return smtp_stuff_faulty(&s->stuff) ? faulty(s) : ok();
	}
	/* BDAT has no end that could be withheld: look before the octets go. */
	if (!s->message->binary)
		smtp_stuff_note(&s->stuff, bytes);
	if (!s->message->binary && s->n_left == 0)
		smtp_stuff_end(&s->stuff);
	if (smtp_stuff_faulty(&s->stuff))
		return faulty(s);
	return stream_write(c->options.stream, bytes);
}

static struct status unreadable(struct sending *s, struct status status)
{
	*s->fault = smtp_outcome_local(SMTP_OUTCOME_DEFERRED, SMTP_STEP_CONTENT, "4.3.0",
	                               "the message cannot be read here");
	return status;
}

static struct status write_content(struct sending *s, uint8_t *block)
{
	const struct smtp_content *content = s->message->content;
	for (uint64_t at = 0; at < content->size;) {
		size_t n = 0, wanted = (size_t)MIN((uint64_t)BLOCK_SIZE, content->size - at);
		struct status status = content->read(content->context, at, block, wanted, &n);
		if (!is_ok(status) || n == 0 || n > wanted)
			return unreadable(
			        s, is_ok(status) ? fail(ERR_TRUNCATED, "the message is cut short")
			                         : status);
		TRY(write_some(s, slice_of(block, n)));
		at += n;
	}
	return ok();
}

static struct status write_all(struct sending *s)
{
	uint64_t size = s->message->content->size;
	CLEANUP(base_freep) uint8_t *block = base_alloc((size_t)MIN(size, (uint64_t)BLOCK_SIZE));
	TRY(write_some(s, s->message->prefix));
	TRY(write_content(s, block));
	if (s->dots)
		smtp_stuff_end(&s->stuff);
	return smtp_stuff_faulty(&s->stuff) ? faulty(s) : ok();
}

/* Sending failed. When the server closed, it may have said why before. */
static struct status gave_up(struct sending *s, struct status status)
{
	struct smtp_client *c = s->c;
	bool was_closed = status.code == ERR_CLOSED || status.code == ERR_IO;
	buf_reset(&c->options.stream->out);
	if (s->fault->kind == SMTP_OUTCOME_NONE && was_closed &&
	    is_ok(smtp_reply_in_read(&c->reply, c->options.stream, c->options.clock,
	                             LAST_WORDS_MS)) &&
	    c->reply.code >= 400) {
		c->broken = true;
		c->busy |= c->reply.code == 421;
		return ok();
	}
	return smtp_client_lost(c, SMTP_STEP_CONTENT, status);
}

/* What is still buffered goes out, then the answer is awaited. */
static struct status finish(struct sending *s, bool *ret_ended)
{
	struct smtp_client *c = s->c;
	*ret_ended = true;
	struct status status = stream_flush(c->options.stream);
	if (!is_ok(status))
		return gave_up(s, status);
	return smtp_client_read_reply(c, SMTP_STEP_END, c->options.timeouts.data_end_ms);
}

static struct sending begin(struct smtp_client *c, const struct smtp_message *message,
                            bool *ret_ended, struct smtp_outcome *ret_fault)
{
	struct sending s = {
	        .c = c,
	        .message = message,
	        .n_left = message->prefix.n + message->content->size,
	        .fault = ret_fault,
	};
	smtp_stuff_init(&s.stuff);
	*ret_ended = false;
	c->options.stream->write_timeout_ms = c->options.timeouts.data_block_ms;
	return s;
}

struct status smtp_client_send_data(struct smtp_client *c, const struct smtp_message *message,
                                    bool *ret_ended, struct smtp_outcome *ret_fault)
{
	struct sending s = begin(c, message, ret_ended, ret_fault);
	s.dots = true;
	struct status status = write_all(&s);
	if (is_ok(status)) {
		bool open_line = !smtp_stuff_at_line_start(&s.stuff);
		status = stream_write(c->options.stream,
		                      open_line ? SLICE("\r\n.\r\n") : SLICE(".\r\n"));
	}
	return is_ok(status) ? finish(&s, ret_ended) : gave_up(&s, status);
}

struct status smtp_client_send_bdat(struct smtp_client *c, const struct smtp_message *message,
                                    bool *ret_ended, struct smtp_outcome *ret_fault)
{
	struct sending s = begin(c, message, ret_ended, ret_fault);
	struct status status =
	        stream_printf(c->options.stream, "BDAT %" PRIu64 " LAST\r\n", s.n_left);
	if (is_ok(status))
		status = write_all(&s);
	return is_ok(status) ? finish(&s, ret_ended) : gave_up(&s, status);
}
