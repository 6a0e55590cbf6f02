/* Bytes in any charset to UTF-8, as a stream.
 *
 * Names are those that mail uses, wrong ones included ("x-sjis", "utf8", "ks_c_5601-1987"); what
 * a built-in decoder (UTF-8, UTF-7, US-ASCII, ISO-8859-1, windows-1252) does not cover is left to
 * iconv. Any bytes decode: what is invalid becomes U+FFFD. Output is always valid UTF-8.
 *
 * After a sandbox has closed glibc cannot load its conversion modules any more: a room that decodes
 * text calls text_charsets_warm first and keeps its result for as long as it lives.
 */
#pragma once

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

#define TEXT_CHARSET_NAME_MAX 60u /* bytes of a charset's name */

enum text_decoder_kind {
	TEXT_DECODER_UTF8,
	TEXT_DECODER_GUESS, /* UTF-8 where it is valid, else windows-1252, sequence by sequence */
	TEXT_DECODER_CP1252,
	TEXT_DECODER_UTF7, /* RFC 2152 */
	TEXT_DECODER_ICONV,
};

struct text_utf7 {
	bool shifted;    /* behind a "+" */
	bool empty;      /* nothing came behind it yet */
	uint32_t bits;   /* the lowest n_bits are not used yet */
	unsigned n_bits; /* below 16 */
	uint16_t high;   /* a surrogate that waits for its other half; 0: none */
};

struct text_decoder {
	enum text_decoder_kind kind;
	void *iconv;      /* NULL unless kind is ICONV */
	uint8_t held[16]; /* an unfinished sequence at the end of the last piece */
	size_t n_held;
	struct text_utf7 utf7;
};

/* charset: any case; empty means US-ASCII. Text labelled US-ASCII with 8-bit bytes in it is guessed
 * (UTF-8 where valid, else windows-1252), ISO-8859-1 is read as windows-1252, as browsers do.
 * UNSUPPORTED when nobody knows the name; the decoder is then one that guesses, and usable. */
struct status text_decoder_init(struct text_decoder *decoder, struct slice charset);
/* Appends UTF-8 to out, whose ceiling is out's affair. Same output at any split of the input. */
void text_decoder_feed(struct text_decoder *decoder, struct slice bytes, struct buf *out);
/* The end: an unfinished sequence becomes U+FFFD. The decoder is ready for another text. */
void text_decoder_finish(struct text_decoder *decoder, struct buf *out);
void text_decoder_done(struct text_decoder *decoder); /* safe on a zeroed one and twice */

/* In one call. UNSUPPORTED as above (out then holds the guess). */
struct status text_decode(struct slice charset, struct slice bytes, struct buf *out);

/* True when text_decoder_init would accept the name. */
bool text_charset_known(struct slice charset);

/* Loads the conversions of the charsets met in mail and holds them open; to be called before a
 * sandbox closes. Others are UNSUPPORTED (and guessed) afterwards. */
struct text_charsets;
struct text_charsets *text_charsets_warm(void);
void text_charsets_free(struct text_charsets *charsets);          /* NULL is allowed */
size_t text_charsets_count(const struct text_charsets *charsets); /* how many could be loaded */
