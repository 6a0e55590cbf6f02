/* BINARY[section]<partial> and BINARY.SIZE[section] (RFC 9051 section 6.4.5, RFC 3516).
 *
 * A literal's size comes before its bytes, so what is small is decoded once and kept, and what is
 * large decoded twice. Where a partial ended is remembered: a large part that is fetched piece by
 * piece is decoded once, not from its start for each piece.
 */
#include "imap/fetch_body.h"

#include "message/transfer.h"

#define DECODE_ONCE_MAX ((uint64_t)1024 * 1024) /* more is decoded twice, not kept */
#define PIECE_SIZE      ((size_t)16 * 1024)

/* Counts decoded bytes, and passes on those in a window. */
struct window {
	uint64_t at;          /* bytes seen */
	uint64_t from, to;    /* the window */
	bool has_nul;         /* in the window */
	struct imap_out *out; /* NULL: count only */
	struct buf *keep;     /* the window's bytes too, if they fit */
};

static void window_add(struct window *w, struct slice piece)
{
	uint64_t start = MAX(w->at, w->from);
	uint64_t end = MIN(w->at + piece.n, w->to);
	if (start < end) {
		struct slice wanted =
		        slice_sub(piece, (size_t)(start - w->at), (size_t)(end - start));
		w->has_nul |= slice_index(wanted, 0) != SIZE_MAX;
		if (w->out)
			imap_out_slice(w->out, wanted);
		if (w->keep)
			buf_add(w->keep, wanted);
	}
	w->at += piece.n;
}

static struct window window_of(const struct imap_section *section)
{
	return (struct window){
	        .from = section->partial ? section->offset : 0,
	        .to = section->partial ? section->offset + section->size : UINT64_MAX,
	};
}

static uint64_t window_size(const struct window *w)
{
	uint64_t end = MIN(w->at, w->to);
	return end > w->from ? end - w->from : 0;
}

/* Bytes of the message and how they are encoded: a part's body, or all of it for BINARY[]. */
struct encoded {
	uint64_t offset, size;
	enum message_encoding encoding;
};

static struct status encoded_of(struct imap_session *s, const struct imap_section *section,
                                const struct message_part *part, struct encoded *ret_encoded)
{
	*ret_encoded = (struct encoded){.size = store_blob_reader(s->parsed.blob)->size,
	                                .encoding = MESSAGE_ENCODING_IDENTITY};
	if (section->n_numbers == 0)
		return ok();
	ret_encoded->offset = part->body_offset;
	ret_encoded->size = part->body_size;
	ret_encoded->encoding = message_encoding_of(part->encoding);
	if (ret_encoded->encoding == MESSAGE_ENCODING_UNKNOWN)
		return fail(ERR_UNSUPPORTED, "unknown content transfer encoding");
	return ok();
}

/* Where to begin for a window from `from` on. */
static struct imap_decoding begin(const struct imap_session *s, const struct encoded *encoded,
                                  uint64_t from)
{
	struct imap_decoding at = {.known = true, .part = encoded->offset};
	const struct imap_decoding *last = &s->parsed.decoding;
	if (last->known && last->part == encoded->offset &&
	    last->transfer.encoding == encoded->encoding && last->decoded_at <= from)
		return *last;
	message_transfer_init(&at.transfer, encoded->encoding);
	return at;
}

/* Reads and decodes the next piece, and keeps where the window ended in it. */
static struct status step(struct imap_session *s, const struct encoded *encoded,
                          struct imap_decoding *at, uint8_t *bytes, struct buf *out,
                          struct window *w)
{
	struct store_reader *reader = store_blob_reader(s->parsed.blob);
	struct imap_decoding before = *at;
	size_t n = 0;
	TRY(reader->read(reader, encoded->offset + at->encoded_at, bytes,
	                 (size_t)MIN((uint64_t)PIECE_SIZE, encoded->size - at->encoded_at), &n));
	if (n == 0)
		return fail(ERR_CORRUPT, "a message is shorter than it was");
	buf_reset(out);
	message_transfer_feed(&at->transfer, slice_of(bytes, n), out);
	at->encoded_at += n;
	if (at->encoded_at == encoded->size)
		message_transfer_finish(&at->transfer, out);
	if (buf_failed(out))
		return fail(ERR_LIMIT, "decoded piece is too large");
	window_add(w, buf_slice(out));
	at->decoded_at = w->at;
	s->parsed.decoding = w->at > w->to ? before : *at;
	/* What is finished cannot go on. */
	s->parsed.decoding.known = w->at > w->to || at->encoded_at < encoded->size;
	return ok();
}

/* From `at` to the window's end. */
static struct status decode(struct imap_session *s, const struct encoded *encoded,
                            struct imap_decoding at, struct window *w)
{
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(PIECE_SIZE);
	struct status status = ok();
	struct buf out;
	/* What a piece and the end of it give at most. */
	buf_init(&out, PIECE_SIZE + 2 * (MESSAGE_TRANSFER_HELD_MAX + MESSAGE_TRANSFER_SLACK));
	w->at = at.decoded_at;
	while (is_ok(status) && at.encoded_at < encoded->size && w->at < w->to) {
		status = step(s, encoded, &at, bytes, &out, w);
		if (is_ok(status) && w->out)
			status = w->out->status;
	}
	buf_done(&out);
	return status;
}

/* literal8 only where there is a NUL: clients know the other one better. */
static void write_head(struct imap_session *s, bool has_nul, uint64_t size)
{
	if (has_nul)
		imap_out_byte(&s->out, '~');
	imap_write_literal_head(s, size);
}

static struct status write_part(struct imap_session *s, const struct imap_section *section,
                                const struct encoded *encoded, const char *separator)
{
	struct window count = window_of(section);
	struct imap_decoding start = begin(s, encoded, count.from);
	struct buf kept;
	buf_init(&kept, DECODE_ONCE_MAX);
	if (MIN(encoded->size, count.to - count.from) <= DECODE_ONCE_MAX)
		count.keep = &kept;
	struct status status = decode(s, encoded, start, &count);
	if (is_ok(status)) {
		imap_write_section_name(s, section, separator);
		write_head(s, count.has_nul, window_size(&count));
	}
	if (is_ok(status) && count.keep && !buf_failed(&kept)) {
		imap_out_slice(&s->out, buf_slice(&kept));
	} else if (is_ok(status)) {
		struct window write = window_of(section);
		write.out = &s->out;
		struct status again = decode(s, encoded, start, &write);
		if (!is_ok(again) && imap_out_ok(&s->out))
			s->out.status = again; /* the literal is not complete */
	}
	buf_done(&kept);
	return status;
}

struct status imap_write_binary(struct imap_session *s, const struct imap_section *section,
                                const char *separator)
{
	const struct message_part *root;
	struct window all = {.to = UINT64_MAX};
	struct encoded encoded;
	TRY(imap_message_root(s, &root));
	const struct message_part *part =
	        message_part_find(root, section->numbers, section->n_numbers);
	bool is_size = section->kind == IMAP_SECTION_BINARY_SIZE;
	if (!part) {
		imap_write_section_name(s, section, separator);
		imap_out_str(&s->out, is_size ? "0" : "NIL");
		return ok();
	}
	TRY(encoded_of(s, section, part, &encoded));
	if (!is_size)
		return write_part(s, section, &encoded, separator);
	TRY(decode(s, &encoded, begin(s, &encoded, 0), &all));
	imap_write_section_name(s, section, separator);
	imap_out_u64(&s->out, all.at);
	return ok();
}
