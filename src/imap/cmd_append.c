/* APPEND (RFC 9051 section 6.3.12; MULTIAPPEND RFC 3502, literal8 RFC 3516, UTF8 RFC 6855,
 * APPENDUID RFC 4315, APPENDLIMIT RFC 7889).
 *
 *   append         = "APPEND" SP mailbox 1*append-message
 *   append-message = [SP flag-list] [SP date-time] SP append-data
 *   append-data    = literal / literal8 / "UTF8" SP "(" literal8 ")"
 *
 * A message goes from the stream into a spool as it comes; all messages of a command are added in
 * one commit or none is. Size, quota and mailbox are checked before a message is asked for. Limits:
 * IMAP_APPEND_MESSAGES_MAX messages, together what one APPENDLIMIT allows four times.
 */
#include "imap/session_private.h"

#define IMAP_APPEND_MESSAGES_MAX 256u
#define TOTAL_FACTOR             4u

struct append {
	struct imap_session *s;
	struct store_mailbox mailbox;
	struct store_append *messages;
	size_t n;
	uint64_t size;
	bool utf8_form; /* the message under way stands in "UTF8 (...)" */
};

/* What stands before a message's literal, whose head is the unit's end. */
static void read_head(struct append *a, struct cursor *c, struct store_append *ret_message)
{
	struct imap_session *s = a->s;
	struct imap_flags flags = {0};
	ret_message->received_at = clock_now_s(s->options->clock);
	imap_sp(c);
	if (cursor_peek(c) == '(') {
		imap_read_flag_list(c, &s->arena, &flags);
		imap_sp(c);
	}
	if (cursor_peek(c) == '"') {
		ret_message->received_at = imap_date_time(c);
		imap_sp(c);
	}
	a->utf8_form = cursor_skip_text(c, "UTF8 (");
	if (a->utf8_form && !imap_has(s, IMAP_UTF8) && !imap_has(s, IMAP_REV2))
		cursor_fail(c, "use ENABLE UTF8=ACCEPT first");
	if (!s->reader.at_message || c->in.n - c->at != s->reader.message.head_size)
		cursor_fail(c, "APPEND takes flags, a date and a message as a literal");
	if (a->utf8_form && !s->reader.message.binary)
		cursor_fail(c, "UTF8 takes a literal8");
	/* The unit's memory is reused while the message is read. */
	for (size_t i = 0; i < flags.n_keywords; i++)
		flags.keywords[i] = arena_copy(&s->arena, flags.keywords[i]);
	ret_message->flags = flags.system_bits;
	ret_message->keywords = flags.keywords;
	ret_message->n_keywords = flags.n_keywords;
	ret_message->mailbox = a->mailbox.id;
	ret_message->fd = -1;
}

/* Whether the message is wanted at all: said before it is sent. */
static struct imap_reply check_message(struct append *a)
{
	struct imap_session *s = a->s;
	struct store_usage usage;
	uint64_t size = s->reader.message.size;
	uint64_t max = imap_append_max(s);
	if (size == 0) /* RFC 3502 section 6.3.11: also the way to cancel */
		return imap_no("CANNOT", "An empty message is not stored");
	if (size > max)
		return imap_no("TOOBIG", "The message is larger than APPENDLIMIT");
	if (a->n >= IMAP_APPEND_MESSAGES_MAX || a->size + size > max * TOTAL_FACTOR)
		return imap_no("LIMIT", "Too many messages in one APPEND");
	struct status status = store_usage(s->store, &usage);
	if (!is_ok(status))
		return imap_no_status(status);
	if (usage.quota > 0 && usage.size + a->size + size > usage.quota)
		return imap_no("OVERQUOTA", "The account's storage is full");
	return imap_ok("");
}

/* The literal's bytes into the spool. After a failure to write they are still read, to stay in
 * step; *ret_write tells. The result is that of reading. */
static struct status read_message(struct imap_session *s, struct store_spool *spool, uint64_t size,
                                  struct status *ret_write)
{
	*ret_write = ok();
	while (size > 0) {
		struct slice bytes;
		TRY(stream_read_some(s->options->stream, (size_t)MIN(size, (uint64_t)STREAM_IN_MAX),
		                     &bytes));
		size -= bytes.n;
		if (is_ok(*ret_write))
			*ret_write = store_spool_write(spool, bytes);
	}
	return ok();
}

/* After the literal: the UTF8 form's parenthesis; then the cursor stands at the end or at the next
 * message. */
static struct status read_tail(struct append *a, struct cursor *ret_cursor)
{
	TRY(imap_reader_rest(&a->s->reader));
	*ret_cursor = cursor_of(buf_slice(&a->s->reader.unit));
	if (a->utf8_form)
		cursor_expect(ret_cursor, ')', "the UTF8 message is not closed");
	return ok();
}

/* The connection's fate is in *ret_io; the reply counts when that is OK. */
static struct imap_reply take_message(struct append *a, struct cursor *c, struct status *ret_io)
{
	struct imap_session *s = a->s;
	struct store_append message = {0};
	struct status written;
	read_head(a, c, &message);
	if (!cursor_ok(c))
		return imap_bad_cursor(c);
	struct imap_reply reply = check_message(a);
	if (reply.kind != IMAP_OK)
		return reply;
	written = store_spool_new(s->store, &message.spool);
	if (!is_ok(written))
		return imap_no_status(written);
	uint64_t size = s->reader.message.size;
	a->messages[a->n++] = message; /* from here its spool is freed at the end */
	a->size += size;
	if (!s->reader.message.non_sync)
		*ret_io = imap_reader_continue(&s->reader, "OK");
	if (is_ok(*ret_io))
		*ret_io = read_message(s, message.spool, size, &written);
	if (!is_ok(*ret_io))
		return imap_ok("");
	s->reader.at_message = false;
	if (!is_ok(written)) {
		*ret_io = imap_reader_skip_rest(&s->reader);
		return imap_no_status(written);
	}
	*ret_io = read_tail(a, c);
	return imap_ok("");
}

static struct imap_reply take_messages(struct append *a, struct cursor *c, struct status *ret_io)
{
	struct imap_reply reply;
	do {
		reply = take_message(a, c, ret_io);
	} while (is_ok(*ret_io) && reply.kind == IMAP_OK && cursor_ok(c) && !cursor_at_end(c));
	if (is_ok(*ret_io) && reply.kind == IMAP_OK && !cursor_ok(c))
		return imap_bad_cursor(c);
	return reply;
}

/* resp-code-apnd = "APPENDUID" SP nz-number SP append-uid */
static const char *append_code(struct append *a)
{
	struct buf buf;
	buf_init(&buf, 64 * 1024);
	buf_printf(&buf, "APPENDUID %" PRIu32 " ", a->messages[0].uid_validity);
	for (size_t i = 0; i < a->n;) {
		size_t last = i;
		while (last + 1 < a->n &&
		       a->messages[last + 1].uid.v == a->messages[last].uid.v + 1)
			last++;
		buf_printf(&buf, "%s%" PRIu32, i ? "," : "", a->messages[i].uid.v);
		if (last > i)
			buf_printf(&buf, ":%" PRIu32, a->messages[last].uid.v);
		i = last + 1;
	}
	char *code = arena_cstr(&a->s->arena, buf_slice(&buf));
	buf_done(&buf);
	return code;
}

static struct imap_reply add_messages(struct append *a)
{
	store_append(a->s->store, a->messages, a->n, true);
	for (size_t i = 0; i < a->n; i++) {
		struct status status = a->messages[i].status;
		if (is_ok(status) || status.code == ERR_CANCELED)
			continue;
		if (status.code == ERR_NOT_FOUND)
			return imap_no("TRYCREATE", "There is no such mailbox");
		return imap_no_status(status);
	}
	if (!is_ok(a->messages[0].status))
		return imap_no_status(a->messages[0].status);
	return (struct imap_reply){IMAP_OK, append_code(a), "APPEND done"};
}

struct imap_reply imap_cmd_append(struct imap_session *s, struct imap_args *args)
{
	struct append a = {.s = s};
	struct imap_reply reply;
	struct slice name;
	struct status io = ok();
	if (!imap_read_mailbox(s, args, &name, &reply))
		return reply;
	struct status status = store_mailbox_find(s->store, name, &s->arena, &a.mailbox);
	if (status.code == ERR_NOT_FOUND)
		return imap_no("TRYCREATE", "There is no such mailbox");
	if (!is_ok(status))
		return imap_no_status(status);
	a.messages = ARENA_ARRAY(&s->arena, IMAP_APPEND_MESSAGES_MAX, struct store_append);
	if (!a.messages)
		return imap_no("LIMIT", "the command needs too much memory");
	reply = take_messages(&a, &args->c, &io);
	if (is_ok(io) && reply.kind == IMAP_OK)
		reply = add_messages(&a);
	for (size_t i = 0; i < a.n; i++)
		store_spool_free(a.messages[i].spool);
	if (io.code == ERR_SYNTAX)
		return imap_bad(io.why);
	if (io.code == ERR_LIMIT)
		return imap_no("TOOBIG", io.why);
	if (!is_ok(io))
		imap_lose(s, io);
	return reply;
}
