/* Encoded words:
 *
 *   encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="
 *   encoding     = "B" / "Q"                                     RFC 2047 section 2, RFC 2231
 * section 5
 *
 * Leniency: any length (section 2 has at most 75), blanks in Q text, no blank needed around a word,
 * missing base64 padding, unknown charsets are guessed. Not tolerated: "?" in the text.
 */
#include "message/word.h"

#include "message/transfer.h"
#include "text/charset.h"
#include "text/utf8.h"

#define WORD_MAX       75u /* characters of an encoded word (RFC 2047 section 2) */
#define LINE_MAX_WORDS 76u
#define CHARSET_MAX    100u /* with its language */

struct word {
	struct slice charset;
	bool base64;
	struct slice text;
	size_t size; /* of all, with "=?" and "?=" */
};

/* -------------------------------------------------------------------------------------- parsing */

static bool is_charset(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '=')
			return false;
	return s.n > 0;
}

/* s starts with "=?". */
static bool parse_word(struct slice s, struct word *ret_word)
{
	struct word word;
	struct slice rest, language, at = slice_from(s, 2);
	if (!slice_cut(slice_sub(at, 0, CHARSET_MAX), '?', &word.charset, &rest))
		return false;
	at = slice_from(at, word.charset.n + 1);
	slice_cut(word.charset, '*', &word.charset, &language);
	if (!is_charset(word.charset) || at.n < 2 || at.p[1] != '?')
		return false;
	uint8_t encoding = ascii_lower(at.p[0]);
	if (encoding != 'b' && encoding != 'q')
		return false;
	word.base64 = encoding == 'b';
	at = slice_from(at, 2);
	if (!slice_cut(at, '?', &word.text, &rest) || rest.n == 0 || rest.p[0] != '=')
		return false;
	word.size = (size_t)(rest.p + 1 - s.p);
	*ret_word = word;
	return true;
}

/* ------------------------------------------------------------------------------------- decoding */

struct decoding {
	struct buf *out;
	struct buf bytes; /* of one word */
	struct text_decoder decoder;
	struct slice charset; /* that the decoder is for; empty: none is under way */
};

/* Decoded text must not break a line or end a string. */
static void make_safe(struct buf *out, size_t from)
{
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] == '\r' || out->p[i] == '\n' || out->p[i] == 0)
			out->p[i] = ' ';
}

static void end_words(struct decoding *d)
{
	if (d->charset.n == 0)
		return;
	size_t from = d->out->n;
	text_decoder_finish(&d->decoder, d->out);
	make_safe(d->out, from);
	text_decoder_done(&d->decoder);
	d->charset = slice_empty();
}

static void add_plain(struct decoding *d, struct slice plain)
{
	end_words(d);
	size_t from = d->out->n;
	struct text_decoder guess;
	/* The empty name is known. */
	(void)!is_ok(text_decoder_init(&guess, slice_empty()));
	while (plain.n > 0) {
		size_t n = 0;
		while (n < plain.n && plain.p[n] != '\r' && plain.p[n] != '\n')
			n++;
		text_decoder_feed(&guess, slice_sub(plain, 0, n), d->out);
		plain = slice_from(plain, n + 1);
	}
	text_decoder_finish(&guess, d->out);
	text_decoder_done(&guess);
	make_safe(d->out, from);
}

/* "Q" encoding: "_" is a space, "=XX" a byte (RFC 2047 section 4.2). */
static void decode_q(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		int high = c == '=' && i + 2 < text.n ? ascii_hex_value(text.p[i + 1]) : -1;
		int low = high >= 0 ? ascii_hex_value(text.p[i + 2]) : -1;
		if (low >= 0) {
			c = (uint8_t)(high << 4 | low);
			i += 2;
		}
		if (low >= 0 || (c != '\r' && c != '\n'))
			buf_add_byte(out, c == '_' && low < 0 ? ' ' : c);
	}
}

static void decode_b(struct slice text, struct buf *out)
{
	struct message_transfer transfer;
	message_transfer_init(&transfer, MESSAGE_ENCODING_BASE64);
	message_transfer_feed(&transfer, text, out);
	message_transfer_finish(&transfer, out);
}

static void add_word(struct decoding *d, const struct word *word)
{
	if (!slice_ieq(word->charset, d->charset)) {
		end_words(d);
		/* An unknown charset is guessed. */
		(void)!is_ok(text_decoder_init(&d->decoder, word->charset));
		d->charset = word->charset;
	}
	buf_reset(&d->bytes);
	d->bytes.max = word->text.n + 2 * MESSAGE_TRANSFER_SLACK;
	if (word->base64)
		decode_b(word->text, &d->bytes);
	else
		decode_q(word->text, &d->bytes);
	size_t from = d->out->n;
	text_decoder_feed(&d->decoder, buf_slice(&d->bytes), d->out);
	make_safe(d->out, from);
}

void message_words_decode(struct slice value, struct buf *out)
{
	struct decoding d = {.out = out, .charset = SLICE("")};
	struct word word;
	value = slice_trim(value);
	size_t plain = 0, at = 0; /* start of what is not written yet; where to look on */
	bool after_word = false;
	for (;;) {
		size_t found = slice_find(slice_from(value, at), SLICE("=?"));
		if (found == SIZE_MAX)
			break;
		at += found;
		if (!parse_word(slice_from(value, at), &word)) {
			at += 2;
			continue;
		}
		struct slice between = slice_sub(value, plain, at - plain);
		/* RFC 2047 section 6.2: blanks between encoded words are not shown. */
		if (between.n > 0 && !(after_word && slice_trim(between).n == 0))
			add_plain(&d, between);
		add_word(&d, &word);
		after_word = true;
		at += word.size;
		plain = at;
	}
	add_plain(&d, slice_from(value, plain));
	buf_done(&d.bytes);
}

/* ------------------------------------------------------------------------------------- encoding */

bool message_words_needed(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_print(text.p[i]) && text.p[i] != '\t')
			return true;
	return slice_find(text, SLICE("=?")) != SIZE_MAX;
}

/* RFC 2047 section 5 (3): what may stand unencoded in a phrase. */
static bool is_q_plain(uint8_t c)
{
	return ascii_is_alnum(c) || c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
}

static size_t q_size(struct slice s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += is_q_plain(s.p[i]) || s.p[i] == ' ' ? 1 : 3;
	return n;
}

static size_t encoded_size(struct slice s, bool base64)
{
	return base64 ? (s.n + 2) / 3 * 4 : q_size(s);
}

static void add_encoded(struct slice s, bool base64, struct buf *out)
{
	buf_add_str(out, base64 ? "=?utf-8?b?" : "=?utf-8?q?");
	if (base64) {
		message_base64_encode(s, out);
		/* Without the line end. */
		out->n -= MIN(out->n, buf_failed(out) ? 0 : 2);
	}
	for (size_t i = 0; !base64 && i < s.n; i++) {
		if (s.p[i] == ' ')
			buf_add_byte(out, '_');
		else if (is_q_plain(s.p[i]))
			buf_add_byte(out, s.p[i]);
		else
			buf_printf(out, "=%02X", s.p[i]);
	}
	buf_add_str(out, "?=");
}

/* The longest beginning of text, in whole characters and at least one, whose word has at most
 * `room` characters. */
static size_t fitting(struct slice text, bool base64, size_t room)
{
	size_t n = 0, overhead = sizeof("=?utf-8?q?"
	                                "?=") -
	                         1;
	while (n < text.n) {
		uint32_t codepoint;
		size_t size;
		utf8_decode(slice_from(text, n), &codepoint, &size);
		if (n > 0 && overhead + encoded_size(slice_sub(text, 0, n + size), base64) > room)
			break;
		n += size;
	}
	return n;
}

static void encode_valid(struct slice text, size_t column, struct buf *out)
{
	bool base64 = encoded_size(text, true) < encoded_size(text, false);
	while (text.n > 0) {
		size_t room = LINE_MAX_WORDS - MIN(column, LINE_MAX_WORDS);
		/* No more than fits is looked at, so that the work stays linear. */
		size_t n = fitting(slice_sub(text, 0, WORD_MAX + 4), base64, MIN(room, WORD_MAX));
		n = utf8_cut(text, n).n;
		add_encoded(slice_sub(text, 0, n), base64, out);
		text = slice_from(text, n);
		if (text.n > 0)
			buf_add_str(out, "\r\n ");
		column = 1;
	}
}

void message_words_encode(struct slice text, size_t column, struct buf *out)
{
	if (!message_words_needed(text)) {
		buf_add(out, text);
		return;
	}
	if (column > LINE_MAX_WORDS / 2) {
		buf_add_str(out, "\r\n ");
		column = 1;
	}
	struct buf valid;
	buf_init(&valid, text.n * 3);
	utf8_add_valid(&valid, text);
	encode_valid(buf_slice(&valid), column, out);
	buf_done(&valid);
}
