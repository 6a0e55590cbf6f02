/* Encoded words: output is valid UTF-8 without line ends; text that is encoded decodes to itself.
 */
#include "message/word.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line_sizes(struct slice text)
{
	struct slice line, rest = text;
	bool more;
	do {
		more = slice_cut(rest, '\n', &line, &rest);
		ASSERT(line.n <= 77);
	} while (more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct buf out, encoded, again;
	buf_init(&out, 16 * size + 100);
	buf_init(&encoded, 32 * size + 100);
	buf_init(&again, 32 * size + 100);
	message_words_decode(in, &out);
	ASSERT(utf8_valid(buf_slice(&out)) && !slice_has_control(buf_slice(&out)));
	/* What was decoded is text without line ends: it must survive. */
	struct slice text = slice_trim(buf_slice(&out));
	message_words_encode(text, 0, &encoded);
	if (message_words_needed(text))
		check_line_sizes(buf_slice(&encoded));
	message_words_decode(buf_slice(&encoded), &again);
	ASSERT(buf_failed(&out) || slice_eq(buf_slice(&again), text));
	/* Any bytes can be encoded into ASCII lines. */
	buf_reset(&encoded);
	message_words_encode(in, size ? data[0] : 0, &encoded);
	ASSERT(slice_is_ascii(buf_slice(&encoded)));
	buf_done(&out);
	buf_done(&encoded);
	buf_done(&again);
	return 0;
}
