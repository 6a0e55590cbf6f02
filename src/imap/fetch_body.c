/* BODY[section]<partial>, RFC822* (RFC 9051 sections 6.4.5.1 and 7.5.2); BINARY: fetch_binary.c.
 *
 * Bytes go from the store's memory, or its file in pieces of PIECE_SIZE, to the stream: constant
 * memory for any message. The structure of the message used last is kept, so that fetching a large
 * one in pieces parses it once.
 */
#include "imap/fetch_body.h"

#include "imap/summarize.h"
#include "message/header.h"

#define PIECE_SIZE ((size_t)256 * 1024)
#define PARSE_MAX  ((size_t)96 * 1024 * 1024)
#define FIRST_READ ((size_t)64 * 1024)  /* of a header */
#define KEEP_MAX   ((size_t)256 * 1024) /* of structure, between commands */

void imap_forget_parsed(struct imap_session *s)
{
	struct imap_parsed *p = &s->parsed;
	store_blob_free(p->blob);
	arena_done(&p->arena);
	*p = (struct imap_parsed){0};
}

void imap_close_message(struct imap_session *s)
{
	struct imap_parsed *p = &s->parsed;
	struct arena arena = p->arena;
	store_blob_free(p->blob);
	if (arena.used > 0)
		arena_reset(&arena);
	else if (arena.budget == 0)
		arena_init(&arena, PARSE_MAX);
	*p = (struct imap_parsed){.arena = arena};
}

void imap_shrink_parsed(struct imap_session *s)
{
	struct slice bytes;
	struct imap_parsed *p = &s->parsed;
	if (!p->blob || store_blob_bytes(p->blob, &bytes) || p->arena.used > KEEP_MAX)
		imap_forget_parsed(s);
}

bool imap_is_open(const struct imap_session *s, const struct store_entry *entry)
{
	return s->parsed.blob && s->parsed.message.v == entry->message.v;
}

void imap_set_message(struct imap_session *s, const struct store_entry *entry,
                      struct store_blob *blob)
{
	imap_close_message(s);
	s->parsed.blob = blob;
	s->parsed.message = entry->message;
}

struct status imap_open_message(struct imap_session *s, const struct store_entry *entry)
{
	struct store_blob *blob = NULL;
	if (imap_is_open(s, entry))
		return ok();
	imap_close_message(s);
	TRY(store_blob_open(s->store, entry->message, &blob));
	imap_set_message(s, entry, blob);
	return ok();
}

struct status imap_message_root(struct imap_session *s, const struct message_part **ret_root)
{
	struct imap_parsed *p = &s->parsed;
	struct slice bytes;
	unsigned defects;
	if (!p->root && store_blob_bytes(p->blob, &bytes))
		TRY(message_parse(bytes, &p->arena, &p->root, &defects));
	else if (!p->root)
		TRY(imap_parse_message(store_blob_reader(p->blob), &p->arena, &p->root));
	*ret_root = p->root;
	return ok();
}

/* ---- the bytes of a section ----------------------------------------------------------------- */

struct range {
	bool exists;
	uint64_t offset, size;
};

/* HEADER and TEXT of a part are those of the message inside; only message/rfc822 parts have them.
 */
static const struct message_part *message_of(const struct message_part *part, size_t n_numbers)
{
	if (n_numbers == 0)
		return part;
	return part->kind == MESSAGE_RFC822 ? part->first_child : NULL;
}

static struct range range_of(const struct message_part *part, const struct imap_section *section)
{
	const struct message_part *message = message_of(part, section->n_numbers);
	switch (section->what) {
	case IMAP_WHAT_ALL:
		return (struct range){true, part->body_offset, part->body_size};
	case IMAP_WHAT_MIME:
		return (struct range){true, part->header_offset, part->header_size};
	case IMAP_WHAT_HEADER:
	case IMAP_WHAT_FIELDS:
	case IMAP_WHAT_FIELDS_NOT:
		if (message)
			return (struct range){true, message->header_offset, message->header_size};
		break;
	case IMAP_WHAT_TEXT:
		if (message)
			return (struct range){true, message->body_offset, message->body_size};
		break;
	}
	return (struct range){0};
}

bool imap_header_size(struct slice block, uint64_t *ret_size)
{
	size_t at = 0;
	for (;;) {
		struct slice rest = slice_from(block, at);
		bool crlf = slice_starts(rest, SLICE("\r\n"));
		if (crlf || slice_starts(rest, SLICE("\n"))) {
			*ret_size = at + (crlf ? 2 : 1);
			return true;
		}
		size_t lf = slice_index(rest, '\n');
		if (lf == SIZE_MAX)
			return false;
		at += lf + 1;
	}
}

/* HEADER and TEXT of the message itself need no structure, when its header is not strange. */
static bool find_header_range(struct imap_session *s, const struct imap_section *section,
                              struct range *ret_range)
{
	struct slice block;
	uint64_t header_size;
	uint64_t size = store_blob_reader(s->parsed.blob)->size;
	bool header = section->what == IMAP_WHAT_HEADER;
	if (s->parsed.root || section->n_numbers > 0 ||
	    (!header && section->what != IMAP_WHAT_TEXT) ||
	    !store_blob_bytes(s->parsed.blob, &block) ||
	    !imap_header_size(slice_sub(block, 0, MESSAGE_HEADER_SIZE_MAX), &header_size))
		return false;
	ret_range->exists = true;
	ret_range->offset = header ? 0 : header_size;
	ret_range->size = header ? header_size : size - header_size;
	return true;
}

static struct status find_range(struct imap_session *s, const struct imap_section *section,
                                struct range *ret_range)
{
	const struct message_part *root;
	struct store_reader *reader = store_blob_reader(s->parsed.blob);
	bool fields = section->what == IMAP_WHAT_FIELDS || section->what == IMAP_WHAT_FIELDS_NOT;
	if (section->n_numbers == 0 && (section->what == IMAP_WHAT_ALL || fields)) {
		/* No structure is needed for these. */
		*ret_range = (struct range){true, 0, reader->size};
		return ok();
	}
	if (find_header_range(s, section, ret_range))
		return ok();
	TRY(imap_message_root(s, &root));
	const struct message_part *part =
	        message_part_find(root, section->numbers, section->n_numbers);
	*ret_range = part ? range_of(part, section) : (struct range){0};
	return ok();
}

/* The rest of a literal whose head is written: when the bytes do not come, the connection ends. */
static void write_range(struct imap_session *s, uint64_t offset, uint64_t size)
{
	struct slice bytes;
	if (store_blob_bytes(s->parsed.blob, &bytes)) {
		imap_out_slice(&s->out, slice_sub(bytes, (size_t)offset, (size_t)size));
		return;
	}
	struct store_reader *reader = store_blob_reader(s->parsed.blob);
	CLEANUP(base_freep) uint8_t *piece = base_alloc((size_t)MIN(size, (uint64_t)PIECE_SIZE));
	while (size > 0 && imap_out_ok(&s->out)) {
		size_t n = 0;
		struct status status = reader->read(reader, offset, piece,
		                                    (size_t)MIN(size, (uint64_t)PIECE_SIZE), &n);
		if (is_ok(status) && n == 0)
			status = fail(ERR_CORRUPT, "a message is shorter than it was");
		if (!is_ok(status)) {
			s->out.status = status;
			return;
		}
		imap_out_slice(&s->out, slice_of(piece, n));
		offset += n;
		size -= n;
	}
}

static void cut_partial(const struct imap_section *section, uint64_t *offset, uint64_t *size)
{
	if (!section->partial)
		return;
	uint64_t skip = MIN(section->offset, *size);
	*offset += skip;
	*size = MIN(section->size, *size - skip);
}

/* ---- header fields -------------------------------------------------------------------------- */

static bool is_named(const struct imap_section *section, struct slice name)
{
	for (size_t i = 0; i < section->n_fields; i++)
		if (slice_ieq(section->fields[i], name))
			return true;
	return false;
}

/* "Subset of the header, with the blank line that ends it" (RFC 9051 section 6.4.5.1). */
static void select_fields(struct slice header, const struct imap_section *section, struct buf *out)
{
	struct message_headers headers = message_headers_of(header);
	struct message_field field;
	bool not_named = section->what == IMAP_WHAT_FIELDS_NOT;
	while (message_headers_next(&headers, &field)) {
		if ((field.bad || !is_named(section, field.name)) != not_named)
			continue;
		buf_add(out, field.raw);
		if (!slice_ends(field.raw, SLICE("\n")))
			buf_add_str(out, "\r\n");
	}
	buf_add_str(out, "\r\n");
}

struct status imap_read_bytes(struct imap_session *s, uint64_t offset, uint64_t size,
                              struct buf *out)
{
	struct slice bytes;
	if (store_blob_bytes(s->parsed.blob, &bytes)) {
		buf_add(out, slice_sub(bytes, (size_t)offset, (size_t)size));
		return ok();
	}
	struct store_reader *reader = store_blob_reader(s->parsed.blob);
	while (size > 0) {
		size_t n;
		uint8_t *p = buf_reserve(out, (size_t)MIN(size, (uint64_t)PIECE_SIZE));
		if (!p)
			return fail(ERR_LIMIT, "the header is too large");
		TRY(reader->read(reader, offset, p, (size_t)MIN(size, (uint64_t)PIECE_SIZE), &n));
		if (n == 0)
			return fail(ERR_CORRUPT, "a message is shorter than it was");
		buf_commit(out, n);
		offset += n;
		size -= n;
	}
	return ok();
}

struct status imap_header_block(struct imap_session *s, struct buf *bytes, struct slice *ret_block)
{
	struct slice block;
	struct store_reader *reader = store_blob_reader(s->parsed.blob);
	if (store_blob_bytes(s->parsed.blob, &block)) {
		*ret_block = slice_sub(block, 0, MESSAGE_HEADER_SIZE_MAX);
		return ok();
	}
	/* Hardly any header is larger than the first piece. */
	buf_reset(bytes);
	TRY(imap_read_bytes(s, 0, MIN(reader->size, (uint64_t)FIRST_READ), bytes));
	block = buf_slice(bytes);
	if (reader->size > FIRST_READ && slice_find(block, SLICE("\r\n\r\n")) == SIZE_MAX &&
	    slice_find(block, SLICE("\n\n")) == SIZE_MAX)
		TRY(imap_read_bytes(
		        s, FIRST_READ,
		        MIN(reader->size, (uint64_t)MESSAGE_HEADER_SIZE_MAX) - FIRST_READ, bytes));
	*ret_block = buf_slice(bytes);
	return ok();
}

static struct status read_fields(struct imap_session *s, const struct imap_section *section,
                                 struct range range, struct buf *ret_fields)
{
	struct buf header;
	struct slice block;
	struct status status;
	buf_init(&header, MESSAGE_HEADER_SIZE_MAX + PIECE_SIZE);
	if (section->n_numbers == 0) {
		status = imap_header_block(s, &header, &block);
	} else {
		status = imap_read_bytes(s, range.offset,
		                         MIN(range.size, (uint64_t)MESSAGE_HEADER_SIZE_MAX),
		                         &header);
		block = buf_slice(&header);
	}
	if (is_ok(status))
		select_fields(block, section, ret_fields);
	buf_done(&header);
	return status;
}

/* ---- names of sections ---------------------------------------------------------------------- */

static void write_what(struct imap_session *s, const struct imap_section *section)
{
	static const char *const names[] = {
	        [IMAP_WHAT_ALL] = "",
	        [IMAP_WHAT_HEADER] = "HEADER",
	        [IMAP_WHAT_FIELDS] = "HEADER.FIELDS",
	        [IMAP_WHAT_FIELDS_NOT] = "HEADER.FIELDS.NOT",
	        [IMAP_WHAT_TEXT] = "TEXT",
	        [IMAP_WHAT_MIME] = "MIME",
	};
	for (size_t i = 0; i < section->n_numbers; i++) {
		if (i > 0)
			imap_out_byte(&s->out, '.');
		imap_out_u64(&s->out, section->numbers[i]);
	}
	if (section->n_numbers > 0 && section->what != IMAP_WHAT_ALL)
		imap_out_byte(&s->out, '.');
	imap_out_str(&s->out, names[section->what]);
	if (section->n_fields == 0)
		return;
	imap_out_str(&s->out, " (");
	for (size_t i = 0; i < section->n_fields; i++) {
		if (i > 0)
			imap_out_byte(&s->out, ' ');
		imap_out_astring(&s->out, section->fields[i]);
	}
	imap_out_byte(&s->out, ')');
}

void imap_write_section_name(struct imap_session *s, const struct imap_section *section,
                             const char *separator)
{
	static const char *const names[] = {
	        [IMAP_SECTION_BODY] = "BODY",
	        [IMAP_SECTION_BINARY] = "BINARY",
	        [IMAP_SECTION_BINARY_SIZE] = "BINARY.SIZE",
	        [IMAP_SECTION_RFC822] = "RFC822",
	        [IMAP_SECTION_RFC822_HEADER] = "RFC822.HEADER",
	        [IMAP_SECTION_RFC822_TEXT] = "RFC822.TEXT",
	};
	imap_out_str(&s->out, separator);
	imap_out_str(&s->out, names[section->kind]);
	if (section->kind <= IMAP_SECTION_BINARY_SIZE) {
		imap_out_byte(&s->out, '[');
		write_what(s, section);
		imap_out_byte(&s->out, ']');
	}
	if (section->partial) {
		imap_out_byte(&s->out, '<');
		imap_out_u64(&s->out, section->offset);
		imap_out_byte(&s->out, '>');
	}
	imap_out_byte(&s->out, ' ');
}

void imap_write_literal_head(struct imap_session *s, uint64_t size)
{
	imap_out_byte(&s->out, '{');
	imap_out_u64(&s->out, size);
	imap_out_str(&s->out, "}\r\n");
}

/* ---- BODY ----------------------------------------------------------------------------------- */

static struct status write_body(struct imap_session *s, const struct imap_section *section,
                                const char *separator)
{
	struct range range;
	struct buf fields;
	TRY(find_range(s, section, &range));
	if (!range.exists) {
		imap_write_section_name(s, section, separator);
		imap_out_str(&s->out, "NIL");
		return ok();
	}
	if (section->what != IMAP_WHAT_FIELDS && section->what != IMAP_WHAT_FIELDS_NOT) {
		cut_partial(section, &range.offset, &range.size);
		imap_write_section_name(s, section, separator);
		imap_write_literal_head(s, range.size);
		write_range(s, range.offset, range.size);
		return ok();
	}
	buf_init(&fields, MESSAGE_HEADER_SIZE_MAX * 2);
	struct status status = read_fields(s, section, range, &fields);
	if (is_ok(status)) {
		uint64_t offset = 0, size = fields.n;
		cut_partial(section, &offset, &size);
		imap_write_section_name(s, section, separator);
		imap_write_literal_head(s, size);
		imap_out_slice(&s->out,
		               slice_sub(buf_slice(&fields), (size_t)offset, (size_t)size));
	}
	buf_done(&fields);
	return status;
}

struct status imap_write_section(struct imap_session *s, const struct imap_section *section,
                                 const char *separator)
{
	struct imap_section named = *section;
	switch (section->kind) {
	case IMAP_SECTION_BODY:
	case IMAP_SECTION_RFC822:
		return write_body(s, section, separator);
	case IMAP_SECTION_RFC822_HEADER:
		named.what = IMAP_WHAT_HEADER;
		return write_body(s, &named, separator);
	case IMAP_SECTION_RFC822_TEXT:
		named.what = IMAP_WHAT_TEXT;
		return write_body(s, &named, separator);
	case IMAP_SECTION_BINARY:
	case IMAP_SECTION_BINARY_SIZE:
		break;
	}
	return imap_write_binary(s, section, separator);
}
