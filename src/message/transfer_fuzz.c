/* Transfer encodings: the same output at any split, within the room that was promised; encoders and
 * decoders agree. The first byte chooses encoding and split. */
#include "message/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool decode(enum message_encoding encoding, struct slice in, size_t piece, struct buf *out)
{
	struct message_transfer transfer;
	message_transfer_init(&transfer, encoding);
	for (size_t at = 0; at < in.n; at += piece) {
		struct slice part = slice_sub(in, at, piece);
		size_t room = part.n + transfer.n_held + MESSAGE_TRANSFER_SLACK, before = out->n;
		message_transfer_feed(&transfer, part, out);
		ASSERT(out->n - before <= room);
		ASSERT(transfer.n_held <= MESSAGE_TRANSFER_HELD_MAX);
	}
	message_transfer_finish(&transfer, out);
	return transfer.damaged;
}

static void check_round_trip(struct slice in, struct buf *text, struct buf *out)
{
	buf_reset(text);
	buf_reset(out);
	message_base64_encode(in, text);
	ASSERT(!decode(MESSAGE_ENCODING_BASE64, buf_slice(text), SIZE_MAX / 2, out));
	ASSERT(slice_eq(buf_slice(out), in));
	buf_reset(text);
	buf_reset(out);
	message_quoted_printable_encode(in, text);
	ASSERT(!decode(MESSAGE_ENCODING_QUOTED_PRINTABLE, buf_slice(text), SIZE_MAX / 2, out));
	ASSERT(slice_eq(buf_slice(out), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct slice in = slice_of(data + 1, size - 1);
	enum message_encoding encoding = (enum message_encoding)(data[0] % 5);
	struct buf whole, split;
	buf_init(&whole, 8 * size + 1000);
	buf_init(&split, 8 * size + 1000);
	bool damaged = decode(encoding, in, in.n + 1, &whole);
	ASSERT(damaged == decode(encoding, in, 1 + data[0] / 5 % 16, &split));
	ASSERT(slice_eq(buf_slice(&whole), buf_slice(&split)));
	check_round_trip(in, &whole, &split);
	buf_done(&whole);
	buf_done(&split);
	return 0;
}
