/* Bodies in pieces: source -> transfer decoding -> charset -> sink (RFC 2045 section 6, RFC 2046
 * section 4.1.2). */
#include "message/body.h"

#include "text/charset.h"

/* A piece of any charset becomes at most this many times as large in UTF-8 (a byte of a charset
 * gives at most a few characters of three bytes). */
#define TEXT_GROWTH 16

struct message_text {
	struct message_transfer transfer;
	struct text_decoder decoder;
	struct buf decoded; /* between the two */
};

/* Gives the body in pieces to each(). */
static struct status each_piece(const struct message_part *part,
                                const struct message_source *source,
                                struct status (*each)(void *context, struct slice piece),
                                void *context)
{
	CLEANUP(base_freep) uint8_t *bytes = base_alloc(MESSAGE_BODY_PIECE);
	uint64_t at = part->body_offset, left = part->body_size;
	while (left > 0) {
		size_t n = 0;
		TRY(source->read(source, at, bytes, MIN(left, MESSAGE_BODY_PIECE), &n));
		if (n == 0)
			return fail(ERR_TRUNCATED, "the message is shorter than its parts");
		TRY(each(context, slice_of(bytes, n)));
		at += n;
		left -= n;
	}
	return ok();
}

static struct status flush(struct message_sink *sink, struct buf *out)
{
	struct status status =
	        buf_failed(out) ? fail(ERR_LIMIT, "decoded piece is too large") : ok();
	if (is_ok(status) && out->n > 0)
		status = sink->add(sink, buf_slice(out));
	buf_reset(out);
	return status;
}

/* ---------------------------------------------------------------------------------------- bytes */

struct decode {
	struct message_transfer transfer;
	struct message_sink *sink;
	struct buf out;
};

static struct status decode_piece(void *context, struct slice piece)
{
	struct decode *decode = context;
	message_transfer_feed(&decode->transfer, piece, &decode->out);
	return flush(decode->sink, &decode->out);
}

struct status message_body_decode(const struct message_part *part,
                                  const struct message_source *source, struct message_sink *sink,
                                  bool *ret_damaged)
{
	struct decode decode = {.sink = sink};
	enum message_encoding encoding = message_encoding_of(part->encoding);
	if (encoding == MESSAGE_ENCODING_UNKNOWN)
		return fail(ERR_UNSUPPORTED, "unknown content transfer encoding");
	message_transfer_init(&decode.transfer, encoding);
	buf_init(&decode.out, MESSAGE_BODY_PIECE + 2 * MESSAGE_TRANSFER_HELD_MAX);
	struct status status = each_piece(part, source, decode_piece, &decode);
	if (is_ok(status)) {
		message_transfer_finish(&decode.transfer, &decode.out);
		status = flush(sink, &decode.out);
	}
	buf_done(&decode.out);
	if (is_ok(status) && ret_damaged)
		*ret_damaged = decode.transfer.damaged;
	return status;
}

/* ----------------------------------------------------------------------------------------- text */

bool message_part_is_text(const struct message_part *part)
{
	return part->kind == MESSAGE_LEAF && slice_eq_str(part->type, "text");
}

struct message_text *message_text_new(const struct message_part *part)
{
	struct message_text *text = base_alloc(sizeof(*text));
	const struct slice *charset = NULL;
	enum message_encoding encoding = MESSAGE_ENCODING_IDENTITY;
	if (part)
		encoding = message_encoding_of(part->encoding);
	if (part && message_part_is_text(part))
		charset = message_param_get(part->params, part->n_params, "charset");
	message_transfer_init(&text->transfer, encoding);
	/* A charset that nobody knows is guessed. */
	(void)!is_ok(text_decoder_init(&text->decoder, charset ? *charset : slice_empty()));
	buf_init(&text->decoded, SIZE_MAX);
	return text;
}

void message_text_feed(struct message_text *text, struct slice bytes, struct buf *out)
{
	while (bytes.n > 0) {
		struct slice piece = slice_sub(bytes, 0, MESSAGE_BODY_PIECE);
		buf_reset(&text->decoded);
		message_transfer_feed(&text->transfer, piece, &text->decoded);
		text_decoder_feed(&text->decoder, buf_slice(&text->decoded), out);
		bytes = slice_from(bytes, piece.n);
	}
}

void message_text_finish(struct message_text *text, struct buf *out)
{
	buf_reset(&text->decoded);
	message_transfer_finish(&text->transfer, &text->decoded);
	text_decoder_feed(&text->decoder, buf_slice(&text->decoded), out);
	text_decoder_finish(&text->decoder, out);
}

void message_text_free(struct message_text *text)
{
	if (!text)
		return;
	text_decoder_done(&text->decoder);
	buf_done(&text->decoded);
	base_free(text);
}

struct text_pieces {
	struct message_text *text;
	struct message_sink *sink;
	struct buf out;
};

static struct status text_piece(void *context, struct slice piece)
{
	struct text_pieces *pieces = context;
	message_text_feed(pieces->text, piece, &pieces->out);
	return flush(pieces->sink, &pieces->out);
}

struct status message_body_text(const struct message_part *part,
                                const struct message_source *source, struct message_sink *sink)
{
	struct text_pieces pieces = {.text = message_text_new(part), .sink = sink};
	buf_init(&pieces.out, MESSAGE_BODY_PIECE * TEXT_GROWTH);
	struct status status = each_piece(part, source, text_piece, &pieces);
	if (is_ok(status)) {
		message_text_finish(pieces.text, &pieces.out);
		status = flush(sink, &pieces.out);
	}
	buf_done(&pieces.out);
	message_text_free(pieces.text);
	return status;
}

/* --------------------------------------------------------------------------------------- memory */

static struct status mem_read(const struct message_source *source, uint64_t offset, uint8_t *p,
                              size_t n, size_t *ret_n)
{
	const struct message_source_mem *mem = (const struct message_source_mem *)source;
	struct slice piece = slice_sub(mem->bytes, offset, n);
	memcpy(p, piece.p, piece.n);
	*ret_n = piece.n;
	return ok();
}

void message_source_mem_init(struct message_source_mem *mem, struct slice bytes)
{
	*mem = (struct message_source_mem){.source = {.read = mem_read}, .bytes = bytes};
}

static struct status buf_sink_add(struct message_sink *sink, struct slice piece)
{
	struct buf *out = ((struct message_sink_buf *)sink)->out;
	buf_add(out, piece);
	return buf_failed(out) ? fail(ERR_LIMIT, "decoded text is too large") : ok();
}

void message_sink_buf_init(struct message_sink_buf *sink, struct buf *out)
{
	*sink = (struct message_sink_buf){.sink = {.add = buf_sink_add}, .out = out};
}
