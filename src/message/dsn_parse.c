/* Reading delivery status notifications.
 *
 * The status part (RFC 3464 section 2.1, RFC 6533 section 4):
 *	content = per-message-fields 1*( CRLF per-recipient-fields )
 * Each group is a run of header fields, groups are parted by blank lines. Read here with what is
 * seen in the wild: several blank lines, none between two recipients (a second Final-Recipient
 * begins another), per-message fields anywhere, comments behind values.
 *
 * Not looked into: a message that is attached (message/rfc822): a forwarded notification is not
 * one.
 */
#include "message/dsn_private.h"

#include "base/cursor.h"
#include "message/date.h"
#include "message/header.h"
#include "message/msgid.h"
#include "text/utf8.h"

#define HEADER_READ_MAX ((size_t)64 * 1024) /* bytes of a header that are searched for an id */
#define ATOM_MAX        40u                 /* bytes of a type before ';' */

/* --- bytes of a part --- */

/* Takes what fits and calls the work off then. */
struct cut_sink {
	struct message_sink sink; /* first member */
	struct buf *out;
	bool full;
};

static struct status add_piece(struct message_sink *sink, struct slice piece)
{
	struct cut_sink *cut = (struct cut_sink *)sink;
	size_t room = cut->out->max - cut->out->n;
	buf_add(cut->out, slice_sub(piece, 0, room));
	if (piece.n <= room)
		return ok();
	cut->full = true;
	return fail(ERR_CANCELED, "enough was read");
}

/* The body of a part, decoded, its first bytes as far as out takes them. */
static struct status read_part(const struct message_part *part, const struct message_source *source,
                               struct buf *out, bool *ret_cut)
{
	struct cut_sink sink = {.sink = {.add = add_piece}, .out = out};
	struct status status = message_body_decode(part, source, &sink.sink, NULL);
	*ret_cut = sink.full;
	if (status.code == ERR_CANCELED || status.code == ERR_UNSUPPORTED)
		return ok();
	return status;
}

static struct status read_header(const struct message_part *part,
                                 const struct message_source *source, struct buf *out)
{
	size_t n = (size_t)MIN(part->header_size, (uint64_t)out->max), got = 0;
	while (got < n) {
		size_t read = 0;
		uint8_t *p = buf_reserve(out, n - got);
		if (!p)
			break;
		TRY(source->read(source, part->header_offset + got, p, n - got, &read));
		buf_commit(out, read);
		got += read;
		if (read == 0)
			break;
	}
	return ok();
}

/* --- values --- */

static struct slice clean_text(struct slice text, struct arena *arena)
{
	struct buf out;
	buf_init(&out, 3 * (size_t)MESSAGE_DSN_TEXT_MAX + 16);
	dsn_add_clean(slice_trim(text), MESSAGE_DSN_TEXT_MAX, true, &out);
	struct slice copy = arena_copy(arena, slice_trim(buf_slice(&out)));
	buf_done(&out);
	return copy;
}

static bool is_atom(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return s.n > 0 && s.n <= ATOM_MAX;
}

/* "rfc822; a@b" gives "a@b", and its type; without a type all of it. */
static struct slice without_type(struct slice value, struct slice *ret_type)
{
	struct slice type, rest;
	*ret_type = slice_empty();
	if (!slice_cut(value, ';', &type, &rest) || !is_atom(slice_trim(type)))
		return slice_trim(value);
	*ret_type = slice_trim(type);
	return slice_trim(rest);
}

static struct slice first_word(struct slice s)
{
	size_t n = 0;
	s = slice_trim(s);
	while (n < s.n && s.p[n] > ' ' && s.p[n] != '(' && s.p[n] != ';')
		n++;
	return slice_sub(s, 0, n);
}

/* RFC 6533 section 3: utf-8-addr-xtext, "\x{E4}" for what is not ASCII. */
static struct slice decode_utf8_address(struct slice s, struct arena *arena)
{
	struct buf out;
	struct cursor c = cursor_of(s);
	buf_init(&out, MESSAGE_DSN_TEXT_MAX);
	while (!cursor_at_end(&c)) {
		struct cursor before = c;
		uint32_t codepoint = 0;
		size_t n_digits = 0;
		if (!cursor_skip_text(&c, "\\x{")) {
			buf_add_byte(&out, cursor_byte(&c));
			continue;
		}
		for (int d; n_digits < 6 && cursor_peek(&c) >= 0 &&
		            (d = ascii_hex_value((uint8_t)cursor_peek(&c))) >= 0;
		     n_digits++) {
			codepoint = codepoint << 4 | (uint32_t)d;
			(void)cursor_byte(&c);
		}
		if (n_digits > 0 && cursor_skip(&c, '}')) {
			utf8_add(&out, codepoint);
		} else { /* not of that form: as it stands */
			c = before;
			buf_add_byte(&out, cursor_byte(&c));
		}
	}
	struct slice copy = buf_failed(&out) ? s : arena_copy(arena, buf_slice(&out));
	buf_done(&out);
	return copy;
}

/* An address: type, angle brackets and a comment behind it taken off. */
static struct slice address_of(struct slice value, struct arena *arena)
{
	struct slice type, address = without_type(value, &type), rest;
	size_t comment = slice_find(address, SLICE(" ("));
	address = slice_sub(address, 0, comment);
	if (address.n > 0 && address.p[0] == '<')
		(void)slice_cut(slice_from(address, 1), '>', &address, &rest);
	if (slice_ieq_str(type, "utf-8"))
		address = decode_utf8_address(slice_sub(address, 0, MESSAGE_DSN_TEXT_MAX), arena);
	return clean_text(address, arena);
}

static int64_t date_of(struct slice value)
{
	struct message_date date;
	return is_ok(message_date_parse(value, &date)) ? date.unix_s : 0;
}

/* --- groups of fields --- */

struct reader {
	struct arena *arena;
	struct message_dsn_report *report;
	struct message_dsn_fact *facts; /* MESSAGE_DSN_READ_RECIPIENTS_MAX */
	struct message_dsn_fact fact;   /* under way */
	bool has_final, has_action, open;
};

/* RFC 3464 section 2.3.3; unknown words and missing fields are judged by the status. */
static bool judge(struct reader *r)
{
	if (r->has_action)
		return true;
	if (r->fact.status.n == 0)
		return false;
	r->fact.action = r->fact.status.p[0] == '2'   ? MESSAGE_DSN_DELIVERED
	                 : r->fact.status.p[0] == '4' ? MESSAGE_DSN_DELAYED
	                                              : MESSAGE_DSN_FAILED;
	return true;
}

static void end_recipient(struct reader *r)
{
	if (r->fact.recipient.n == 0)
		r->fact.recipient = r->fact.original;
	if (r->open && r->fact.recipient.n > 0 && judge(r)) {
		if (r->report->n_facts < MESSAGE_DSN_READ_RECIPIENTS_MAX)
			r->facts[r->report->n_facts++] = r->fact;
		else
			r->report->truncated = true;
	}
	r->fact = (struct message_dsn_fact){.action = MESSAGE_DSN_FAILED};
	r->fact.recipient = r->fact.original = r->fact.status = slice_empty();
	r->fact.diagnostic = r->fact.remote = slice_empty();
	r->has_final = r->has_action = r->open = false;
}

static bool message_field(struct reader *r, struct slice name, struct slice value)
{
	struct slice type;
	if (slice_ieq_str(name, "Reporting-MTA"))
		r->report->reporting = clean_text(without_type(value, &type), r->arena);
	else if (slice_ieq_str(name, "Original-Envelope-Id"))
		r->report->envid = clean_text(value, r->arena);
	else if (slice_ieq_str(name, "Arrival-Date"))
		r->report->arrival_s = date_of(value);
	else
		return false;
	return true;
}

static void recipient_field(struct reader *r, struct slice name, struct slice value)
{
	struct slice type;
	if (slice_ieq_str(name, "Final-Recipient")) {
		if (r->has_final)
			end_recipient(r);
		r->fact.recipient = address_of(value, r->arena);
		r->has_final = r->open = true;
	} else if (slice_ieq_str(name, "Original-Recipient")) {
		r->fact.original = address_of(value, r->arena);
		r->open = true;
	} else if (slice_ieq_str(name, "Action")) {
		r->has_action = message_dsn_action_parse(first_word(value), &r->fact.action);
		r->open = true;
	} else if (slice_ieq_str(name, "Status")) {
		struct slice status = first_word(value);
		if (dsn_status_is_valid(status))
			r->fact.status = clean_text(status, r->arena);
	} else if (slice_ieq_str(name, "Diagnostic-Code")) {
		r->fact.diagnostic = clean_text(without_type(value, &type), r->arena);
	} else if (slice_ieq_str(name, "Remote-MTA")) {
		r->fact.remote = clean_text(without_type(value, &type), r->arena);
	} else if (slice_ieq_str(name, "Last-Attempt-Date")) {
		r->fact.last_attempt_s = date_of(value);
	} else if (slice_ieq_str(name, "Will-Retry-Until")) {
		r->fact.retry_until_s = date_of(value);
	}
}

static void read_group(struct reader *r, struct slice group)
{
	struct message_headers headers = message_headers_of(group);
	struct message_field field;
	end_recipient(r);
	while (message_headers_next(&headers, &field)) {
		if (field.bad)
			continue;
		struct slice value = message_unfold(field.value, r->arena);
		if (!message_field(r, field.name, value))
			recipient_field(r, field.name, value);
	}
}

static bool is_blank_line(struct slice line)
{
	return slice_trim(line).n == 0;
}

/* The groups of the status part. A line of blanks counts as a blank line. */
static void read_groups(struct reader *r, struct slice text)
{
	size_t begins = 0, at = 0;
	bool more = true;
	while (more) {
		struct slice line, rest;
		more = slice_cut(slice_from(text, at), '\n', &line, &rest);
		size_t next = more ? at + line.n + 1 : text.n;
		if (is_blank_line(line) || !more) {
			struct slice group =
			        slice_sub(text, begins, (is_blank_line(line) ? at : next) - begins);
			if (group.n > 0)
				read_group(r, group);
			begins = next;
		}
		at = next;
	}
	end_recipient(r);
}

/* --- the parts --- */

static bool is_status(const struct message_part *part)
{
	return part->kind == MESSAGE_LEAF && slice_eq_str(part->type, "message") &&
	       (slice_eq_str(part->subtype, "delivery-status") ||
	        slice_eq_str(part->subtype, "global-delivery-status"));
}

/* The part behind this one in the order of the message; what is attached is passed over. */
static const struct message_part *next_part(const struct message_part *part)
{
	if (part->kind == MESSAGE_MULTIPART && part->first_child)
		return part->first_child;
	while (part && !part->next)
		part = part->parent;
	return part ? part->next : NULL;
}

static const struct message_part *find_status(const struct message_part *root)
{
	const struct message_part *part = root->kind == MESSAGE_MULTIPART ? root : NULL;
	while (part && !is_status(part))
		part = next_part(part);
	return part;
}

/* The header of the message that is returned, or what is there of it. */
static struct status read_returned(const struct message_part *part,
                                   const struct message_source *source, struct buf *out)
{
	bool cut;
	if (part->kind == MESSAGE_RFC822 && part->first_child)
		return read_header(part->first_child, source, out);
	bool headers = slice_ends(part->subtype, SLICE("headers"));
	bool message =
	        slice_eq_str(part->type, "message") &&
	        (slice_eq_str(part->subtype, "rfc822") || slice_eq_str(part->subtype, "global"));
	return headers || message ? read_part(part, source, out, &cut) : ok();
}

static struct slice id_in_header(struct slice header, struct arena *arena)
{
	struct message_field field;
	struct slice id;
	if (message_headers_find(header, "Message-ID", &field) &&
	    message_id_parse(message_unfold(field.value, arena), arena, &id))
		return clean_text(id, arena);
	return slice_empty();
}

/* The last id of a list of them. */
static struct slice last_id(struct slice value, struct arena *arena)
{
	struct message_ids ids;
	message_ids_parse(value, arena, &ids);
	return ids.n > 0 ? clean_text(ids.v[ids.n - 1], arena) : slice_empty();
}

static struct slice id_in_thread(const struct message_part *root, struct slice header,
                                 struct arena *arena)
{
	struct message_field field;
	struct slice id = slice_empty();
	if (root->envelope && root->envelope->has_in_reply_to)
		id = last_id(root->envelope->in_reply_to, arena);
	if (id.n == 0 && message_headers_find(header, "References", &field))
		id = last_id(message_unfold(field.value, arena), arena);
	return id;
}

static struct status find_original(const struct message_part *root,
                                   const struct message_part *status_part,
                                   const struct message_source *source, struct arena *arena,
                                   struct slice *ret_id)
{
	struct buf header;
	struct slice id = slice_empty();
	struct status status = ok();
	buf_init(&header, HEADER_READ_MAX);
	const struct message_part *part = next_part(status_part);
	for (; part && id.n == 0 && is_ok(status); part = next_part(part)) {
		buf_reset(&header);
		status = read_returned(part, source, &header);
		id = id_in_header(buf_slice(&header), arena);
	}
	if (id.n == 0 && is_ok(status)) {
		buf_reset(&header);
		status = read_header(root, source, &header);
		id = id_in_thread(root, buf_slice(&header), arena);
	}
	buf_done(&header);
	*ret_id = id;
	return status;
}

static struct status read_status(const struct message_part *part,
                                 const struct message_source *source, struct reader *r)
{
	struct buf text;
	buf_init(&text, MESSAGE_DSN_STATUS_SIZE_MAX);
	struct status status = read_part(part, source, &text, &r->report->truncated);
	if (is_ok(status))
		read_groups(r, buf_slice(&text));
	buf_done(&text);
	return status;
}

struct status message_dsn_parse(const struct message_part *root,
                                const struct message_source *source, struct arena *arena,
                                struct message_dsn_report *ret_report)
{
	struct message_dsn_report report = {0};
	struct reader r = {.arena = arena, .report = &report};
	const struct message_part *part = find_status(root);
	if (!part)
		return fail(ERR_NOT_FOUND, "not a delivery status notification");
	report.reporting = report.envid = report.original_id = slice_empty();
	r.facts = ARENA_ARRAY(arena, MESSAGE_DSN_READ_RECIPIENTS_MAX, struct message_dsn_fact);
	if (!r.facts)
		return fail(ERR_LIMIT, "no memory for the notification");
	end_recipient(&r);
	TRY(read_status(part, source, &r));
	if (report.n_facts == 0)
		return fail(ERR_NOT_FOUND, "the notification tells of no recipient");
	TRY(find_original(root, part, source, arena, &report.original_id));
	if (arena_failed(arena))
		return fail(ERR_LIMIT, "no memory for the notification");
	report.facts = r.facts;
	*ret_report = report;
	return ok();
}
