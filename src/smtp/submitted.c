/* Submitted headers.
 *
 * Lines end in CRLF and in nothing else. A line that is no field ends nothing here: the header ends
 * at its empty line, as for every other part of this house that reads the message, so that a name
 * smuggled behind such a line counts too.
 *
 * Limits: those of message/header.h (MESSAGE_HEADERS_MAX fields), the sizes in submitted.h.
 */
#include "smtp/submitted.h"

#include "message/date.h"
#include "message/header.h"
#include "message/msgid.h"
#include "message/word.h"

struct reading {
	struct smtp_submitted *out;
	struct arena *arena;
	unsigned n_from, n_sender, n_fields;
	bool has_references;
};

static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_print(s.p[i]))
			return false;
	return true;
}

static void read_from(struct reading *r, struct slice value)
{
	r->n_from++;
	message_addresses_add(value, r->arena, &r->out->from);
}

static void read_sender(struct reading *r, struct slice value)
{
	r->n_sender++;
	message_addresses_add(value, r->arena, &r->out->sender);
}

static void read_date(struct reading *r, struct slice value)
{
	(void)value;
	r->out->has_date = true;
}

static void read_message_id(struct reading *r, struct slice value)
{
	struct slice id;
	if (r->out->has_message_id)
		return;
	r->out->has_message_id = true;
	if (!message_id_parse(value, r->arena, &id) || id.n > SMTP_SUBMITTED_ID_MAX ||
	    !is_printable(id))
		return;
	char *text = arena_printf(r->arena, "<%.*s>", SLICE_FMT(id));
	r->out->message_id = slice_str(text);
}

static void read_subject(struct reading *r, struct slice value)
{
	struct buf text;
	if (r->out->subject.n > 0)
		return;
	buf_init(&text, MAX(2 * value.n, (size_t)64));
	message_words_decode(value, &text);
	struct slice subject = slice_trim(buf_slice(&text));
	size_t n = MIN(subject.n, (size_t)SMTP_SUBMITTED_SUBJECT_MAX);
	while (n > 0 && n < subject.n && (subject.p[n] & 0xc0) == 0x80)
		n--; /* no half character */
	if (!buf_failed(&text))
		r->out->subject = arena_copy(r->arena, slice_sub(subject, 0, n));
	buf_done(&text);
}

static void keep_references(struct reading *r, struct slice value)
{
	struct slice text = message_unfold(value, r->arena);
	if (text.n > SMTP_SUBMITTED_REFERENCES_MAX) {
		text = slice_from(text, text.n - SMTP_SUBMITTED_REFERENCES_MAX);
		size_t start = slice_index(text, '<');
		text = slice_from(text, start == SIZE_MAX ? text.n : start);
	}
	r->out->references = arena_copy(r->arena, text);
}

static void read_references(struct reading *r, struct slice value)
{
	r->has_references = true;
	keep_references(r, value);
}

static void read_in_reply_to(struct reading *r, struct slice value)
{
	if (!r->has_references)
		keep_references(r, value);
}

static void read_tls_required(struct reading *r, struct slice value)
{
	struct slice text = slice_trim(message_unfold(value, r->arena));
	r->out->tls_optional |= slice_ieq_str(text, "no");
}

static void read_unwanted(struct reading *r, struct slice value)
{
	(void)value;
	r->out->has_unwanted = true;
}

static const struct field_row {
	const char *name;
	void (*read)(struct reading *r, struct slice value);
} rows[] = {
        {"From", read_from},
        {"Sender", read_sender},
        {"Date", read_date},
        {"Message-ID", read_message_id},
        {"Subject", read_subject},
        {"References", read_references},
        {"In-Reply-To", read_in_reply_to},
        {"TLS-Required", read_tls_required},
        {"Bcc", read_unwanted},
        {"Resent-Bcc", read_unwanted},
        {"Return-Path", read_unwanted},
};

static const struct field_row *find_row(struct slice name)
{
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (slice_ieq_str(name, rows[i].name))
			return &rows[i];
	return NULL;
}

/* Mailboxes alone: groups (RFC 6854) name nobody who could be held to it. */
static bool are_mailboxes(const struct message_address_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct message_address *address = &list->v[i];
		if (address->kind != MESSAGE_ADDRESS_MAILBOX || address->localpart.n == 0 ||
		    address->domain.n == 0)
			return false;
	}
	return !list->truncated;
}

static struct status judge(const struct reading *r)
{
	const struct smtp_submitted *out = r->out;
	if (r->n_fields == 0)
		return fail(ERR_SYNTAX, "The message has no header");
	if (r->n_from != 1)
		return fail(ERR_SYNTAX, r->n_from ? "The message has more than one From field"
		                                  : "The message has no From field");
	if (out->from.n == 0 || !are_mailboxes(&out->from))
		return fail(ERR_SYNTAX, "The From field holds something that is no address");
	if (r->n_sender > 1 || out->sender.n > 1 || !are_mailboxes(&out->sender))
		return fail(ERR_SYNTAX, "The Sender field must be one address");
	return ok();
}

/* The empty line at the start, if there is one. */
static size_t empty_line(struct slice rest)
{
	return slice_starts(rest, SLICE("\r\n")) ? 2 : 0;
}

/* Where another program sees a line end, a name could hide behind it. */
static bool has_bare(struct slice header)
{
	for (size_t i = 0; i < header.n; i++) {
		uint8_t next = i + 1 < header.n ? header.p[i + 1] : 0;
		uint8_t before = i > 0 ? header.p[i - 1] : 0;
		if (header.p[i] == 0 || (header.p[i] == '\r' && next != '\n') ||
		    (header.p[i] == '\n' && before != '\r'))
			return true;
	}
	return false;
}

struct status smtp_submitted_parse(struct slice block, struct arena *arena,
                                   struct smtp_submitted *ret_submitted)
{
	struct smtp_submitted out = {
	        .message_id = slice_empty(), .subject = slice_empty(), .references = slice_empty()};
	struct reading r = {.out = &out, .arena = arena};
	struct message_headers headers = message_headers_of(block);
	struct message_field field;
	while (message_headers_next(&headers, &field)) {
		if (field.bad && r.n_fields == 0)
			return fail(ERR_SYNTAX, "The message does not begin with a header");
		r.n_fields++;
		const struct field_row *row = find_row(field.name);
		if (row)
			row->read(&r, field.value);
	}
	if (!headers.ended)
		return fail(ERR_SYNTAX, "The message has too many header fields");
	out.header_size = headers.at + empty_line(slice_from(block, headers.at));
	if (has_bare(slice_sub(block, 0, out.header_size)))
		return fail(ERR_SYNTAX, "The header holds a bare CR, bare LF or NUL");
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "the header takes too much memory");
	TRY(judge(&r));
	*ret_submitted = out;
	return ok();
}

void smtp_submitted_print(struct slice block, struct buf *out)
{
	struct message_headers headers = message_headers_of(block);
	struct message_field field;
	size_t end = 0;
	while (message_headers_next(&headers, &field)) {
		const struct field_row *row = find_row(field.name);
		if (!row || row->read != read_unwanted)
			buf_add(out, field.raw);
		end = (size_t)(field.raw.p - block.p) + field.raw.n;
	}
	struct slice rest = slice_from(block, end);
	buf_add(out, slice_sub(rest, 0, empty_line(rest)));
}

void smtp_submitted_complete(const struct smtp_submitted *submitted, struct slice id,
                             const char *hostname, int64_t now_s, struct buf *out)
{
	char date[MESSAGE_DATE_SIZE];
	if (!submitted->has_date) {
		message_date_format(now_s, 0, date);
		buf_printf(out, "Date: %s\r\n", date);
	}
	if (!submitted->has_message_id)
		buf_printf(out, "Message-ID: <%.*s@%s>\r\n", SLICE_FMT(id), hostname);
}
