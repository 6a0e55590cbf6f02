/* Charsets: any bytes in any charset give valid UTF-8, the same at any split; folding and NFC of it
 * stay valid; domain names that parse print to themselves. First line: the charset's name. */
#include "text/charset.h"
#include "text/domain.h"
#include "text/fold.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct slice charset, struct slice in, size_t piece, struct buf *out)
{
	struct text_decoder decoder;
	(void)!is_ok(text_decoder_init(&decoder, charset));
	for (size_t at = 0; at < in.n; at += piece)
		text_decoder_feed(&decoder, slice_sub(in, at, piece), out);
	text_decoder_finish(&decoder, out);
	text_decoder_done(&decoder);
}

static void check_domain(struct slice name)
{
	struct text_domain domain, again;
	if (!is_ok(text_domain_parse(name, TEXT_DOMAIN_LAX, &domain)))
		return;
	ASSERT(slice_is_ascii(slice_str(domain.ascii)) && strlen(domain.ascii) <= TEXT_DOMAIN_MAX);
	ASSERT(utf8_valid(slice_str(domain.unicode)));
	ASSERT(is_ok(text_domain_parse(slice_str(domain.ascii), TEXT_DOMAIN_LAX, &again)));
	ASSERT(strcmp(again.ascii, domain.ascii) == 0);
	ASSERT(strcmp(again.unicode, domain.unicode) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice charset, in;
	struct buf whole, split;
	slice_cut(slice_of(data, size), '\n', &charset, &in);
	buf_init(&whole, 64 * size + 1000);
	buf_init(&split, 64 * size + 1000);
	decode(charset, in, in.n + 1, &whole);
	decode(charset, in, 1, &split);
	ASSERT(utf8_valid(buf_slice(&whole)));
	ASSERT(slice_eq(buf_slice(&whole), buf_slice(&split)));
	buf_reset(&split);
	text_unicode_casemap(buf_slice(&whole), &split);
	ASSERT(utf8_valid(buf_slice(&split)));
	buf_reset(&split);
	ASSERT(is_ok(text_nfc(buf_slice(&whole), &split)));
	ASSERT(buf_failed(&split) || text_is_nfc(buf_slice(&split)));
	check_domain(charset);
	buf_done(&whole);
	buf_done(&split);
	return 0;
}
